"""Lessons side by side in one row of documents, and forward passes that begin where the weights change.

An update is a few steps on half a thousand tokens, so what counts is to compute nothing twice and nothing for padding:
lessons lie one after the other in a single row, none of which sees another, and what lies below the first layer that
changes is computed once.

Axes: t tokens of all lessons, m of them predict a learnt id, d the model's width, v the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nimllm.alignment.memory.lessons import Lesson
from nimllm.llm.model import GPT, Documents

TOKENS = 4096  # of one forward pass


@dataclass(frozen=True)
class Packed:
    """``ids_1t``: without each lesson's last id, which nothing follows; ``starts``: where the lessons begin.
    ``places_m``: where the learnt ids are predicted, ``targets_m`` what they are, ``lesson_m`` whose; ``pivot_m``: is
    it the id where a lesson's answer is decided."""

    ids_1t: Tensor
    starts: Tensor
    documents: Documents
    places_m: Tensor
    targets_m: Tensor
    lesson_m: Tensor
    pivot_m: Tensor
    count: int

    @staticmethod
    def of(lessons: Sequence[Lesson]) -> Packed:
        """Lessons of two ids and more, at least one."""
        ids: list[int] = []
        numbers: list[int] = []
        starts: list[int] = []
        found: list[tuple[int, int, int, bool]] = []
        for number, lesson in enumerate(lessons):
            start = len(ids)
            starts.append(start)
            ids += lesson.ids[:-1]
            numbers += [number] * (len(lesson.ids) - 1)
            decided = lesson.pivot or lesson.learn.index(True)
            found += [(start + at - 1, lesson.ids[at], number, at == decided)
                      for at in range(1, len(lesson.ids)) if lesson.learn[at]]
        places, targets, owners, pivots = (torch.tensor(part) for part in zip(*found, strict=True))
        return Packed(torch.tensor([ids]), torch.tensor(starts), Documents.of(np.array([numbers])), places, targets,
                      owners, pivots, len(lessons))

    @staticmethod
    def several(lessons: Sequence[Lesson], tokens: int = TOKENS) -> Iterator[Packed]:
        """The lessons in their order, about ``tokens`` ids at a time."""
        part: list[Lesson] = []
        size = 0
        for lesson in lessons:
            if part and size + len(lesson.ids) > tokens:
                yield Packed.of(part)
                part, size = [], 0
            part.append(lesson)
            size += len(lesson.ids)
        if part:
            yield Packed.of(part)

    def nats(self, model: GPT, below: tuple[Tensor | None, Tensor] | None = None, first: int = 0, thin: bool = True
             ) -> tuple[Tensor, Tensor]:
        """(nats [m], is the most likely id the right one [m]) of the learnt ids. ``below``: what :meth:`lower` made for
        the layers from ``first`` on. ``thin``: the last feed-forward is computed at the places only."""
        body, positions = model.model, self.documents.positions_bt
        branch, stream = self.lower(model, first) if below is None else below
        branch, stream = body.through(range(first, len(body.layers)), branch, stream, positions, None, self.documents,
                                      self.places_m if thin else None)
        last_md = body.normed(branch, stream)[0]
        logits_mv = ((last_md if thin else last_md[self.places_m]) @ model.head.T).float()
        hit_m = logits_mv.detach().argmax(1) == self.targets_m
        return functional.cross_entropy(logits_mv, self.targets_m, reduction="none"), hit_m

    def choices(self, model: GPT) -> Tensor:
        """The most likely ids [m] where the learnt ones are predicted."""
        hidden_td = model.hidden(self.ids_1t, documents=self.documents)[0]
        return (hidden_td[self.places_m] @ model.head.T).argmax(1)

    def lower(self, model: GPT, first: int) -> tuple[Tensor | None, Tensor]:
        """What enters layer ``first``."""
        body, positions = model.model, self.documents.positions_bt
        return body.through(range(first), None, body.embedded(self.ids_1t, positions), positions, None, self.documents)

    def mean(self, values_m: Tensor, weights_m: Tensor | None = None) -> Tensor:
        """Mean over each lesson's learnt ids [count]."""
        weights_m = torch.ones_like(values_m) if weights_m is None else weights_m
        zeros = torch.zeros(self.count, dtype=values_m.dtype)
        return zeros.index_add(0, self.lesson_m, values_m * weights_m) / zeros.index_add(0, self.lesson_m, weights_m)
