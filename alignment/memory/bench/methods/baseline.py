"""What the baselines share: the episode's lessons, the weights, and a state that survives a kill between two items."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory import lessons as lessons_of
from nimllm.alignment.memory.bench.method import Update
from nimllm.alignment.memory.bench.methods.settings import FISHER_ROWS, GENERAL, GENERAL_TOKENS, Point
from nimllm.alignment.memory.curvature import general_text, to_array
from nimllm.alignment.memory.lessons import Lesson, Lessons, seed_of
from nimllm.alignment.memory.state import Arrays, State
from nimllm.alignment.memory.update import Settings
from nimllm.llm.checkpoint import fingerprint, read_tensors
from nimllm.llm.config import read_config
from nimllm.llm.model import GPT
from nimllm.llm.tokenizer import Tokenizer

SPARSE_ENTRY = 6  # bytes of one changed entry as the product's deltas hold it: int32 place, int16 value


class Kept:
    """State, and that no item is learnt twice. Subclasses write :meth:`take` and may hold arrays."""

    added_bytes = 0

    def __init__(self, name: str, run: Path, state: Path, seed: int, point: Point) -> None:
        self.name, self.run, self.seed, self.point = name, run, seed, dict(point)
        self.config = read_config(run)
        self.base = read_tensors(run / "model.safetensors")
        self.tokenizer = Tokenizer.load(run)
        self.settings = Settings()
        base = fingerprint(self.base)
        self.state = State(state, {"method": name, "base": base, "seed": seed, "point": self.point})
        self.made = State(state, {"base": base})  # files that depend on nothing else
        self.about: dict[str, Any] = {"updates": {}, "facts": []}  # episode id -> Update, (subject, relation) told
        self.prepare()
        found = self.state.read("state")
        if found is not None:
            self.restore(found[0])
            self.about = found[1]

    # -- for subclasses --------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """What depends on the base alone."""

    def take(self, episode: Episode, plan: Lessons) -> tuple[int, int]:
        """Learns one episode: (entries changed, bytes to keep of it). Not called when nothing in it can be learnt."""
        raise NotImplementedError

    def arrays(self) -> Arrays:
        return {}

    def restore(self, arrays: Arrays) -> None:
        """The reverse of :meth:`arrays`."""

    # -- the interface ---------------------------------------------------------------------------------------------

    def learn(self, episode: Episode) -> Update:
        """Seconds are those of the learning; a product would write a delta where this writes its whole state."""
        done = self.about["updates"].get(episode.id)
        if done is not None:
            return Update(**done)
        start = time.monotonic()
        plan = self.plan(episode)
        entries = size = 0
        if self.learnable(episode, plan):
            entries, size = self.take(episode, plan)
        update = Update("", bool(entries or size), time.monotonic() - start, size, entries)
        self.about["updates"][episode.id] = asdict(update)
        self.save()
        return update

    def plan(self, episode: Episode) -> Lessons:
        """The lessons that the product would make of it."""
        known = {(subject, relation) for subject, relation in self.about["facts"]}
        plan = lessons_of.lessons(episode, self.tokenizer, self.config.context, self.settings.controls,
                                  self.settings.decisions, known)
        self.about["facts"] += [[fact.subject, fact.relation] for fact in plan.facts
                                if (fact.subject, fact.relation) not in known]
        return plan

    def learnable(self, episode: Episode, plan: Lessons) -> bool:
        return bool(plan.new)

    def save(self) -> None:
        self.state.write("state", self.arrays(), self.about)

    def tensors(self) -> Mapping[str, np.ndarray]:
        return self.base

    def side_bytes(self) -> int:
        return 0

    def revert(self, id: str) -> None:
        raise NotImplementedError(f"{self.name} keeps no deltas")

    def sleep(self) -> Update | None:
        return None

    def rng(self, *what: object) -> Random:
        """Depends on the seed and on what it is for, and on nothing that a restart would change."""
        return Random(seed_of("/".join(map(str, (self.seed, *what)))))


class Weights(Kept):
    """A method whose memory is the model's own weights."""

    def prepare(self) -> None:
        self.model = GPT(self.config).load_numpy(self.base).eval()
        self.parameters: dict[str, Tensor] = dict(self.model.named_parameters())
        self._general: list[list[int]] | None = None

    def names(self) -> list[str]:
        """The tensors that it may change: all."""
        return list(self.parameters)

    def take(self, episode: Episode, plan: Lessons) -> tuple[int, int]:
        names = self.names()
        before = {name: self.parameters[name].detach().clone() for name in names}
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(name in before)
        self.write(episode, plan)
        for parameter in self.parameters.values():
            parameter.requires_grad_(False)
        return self.changed(before)

    def write(self, episode: Episode, plan: Lessons) -> None:
        """Changes ``self.parameters``; those of :meth:`names` ask for gradients."""
        raise NotImplementedError

    def changed(self, before: Mapping[str, Tensor]) -> tuple[int, int]:
        """(entries, bytes): sparse as the product's deltas are, or whole fp32 tensors where that is smaller."""
        entries, size = 0, 0
        for name, old in before.items():
            count = int((self.parameters[name] != old).sum())
            entries += count
            size += min(SPARSE_ENTRY * count, 4 * old.numel())
        return entries, size

    def arrays(self) -> Arrays:
        return {f"weights::{name}": to_array(parameter) for name, parameter in self.parameters.items()}

    def restore(self, arrays: Arrays) -> None:
        self.model.load_numpy({name: arrays[f"weights::{name}"] for name in self.parameters})

    def tensors(self) -> Mapping[str, np.ndarray]:
        return self.model.to_numpy()

    # -- text that stands for everything the base knows --------------------------------------------------------------

    def general(self) -> list[list[int]]:
        """The sequences of which the product takes its covariance (``curvature.general_text``)."""
        if self._general is None:
            found = self.made.read("general")
            if found is None:
                base = GPT(self.config).load_numpy(self.base).eval()
                rows = general_text(self.run, base, self.tokenizer)
                found = {}, {"rows": rows}
                self.made.write("general", *found)
            self._general = found[1]["rows"]
        return self._general

    def some_general(self, rng: Random) -> list[list[int]]:
        """A few beginnings of them."""
        rows = self.general()
        return [row[:GENERAL_TOKENS] for row in rng.sample(rows, min(GENERAL, len(rows)))]

    def prepared(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """Arrays of the base that take long to make, from the state folder when they are there."""
        found = self.made.read(name)
        if found is not None:
            return found[0]
        arrays = make()
        self.made.write(name, arrays, {})
        return arrays

    def base_fisher(self) -> dict[str, Tensor]:
        """Diagonal Fisher of the base on general text."""
        def make() -> Arrays:
            rows = list(self.general())
            Random(0).shuffle(rows)
            base = GPT(self.config).load_numpy(self.base).eval()
            fisher = diagonal_fisher(base, rows[:FISHER_ROWS], None, 0)
            return {name: to_array(values) for name, values in fisher.items()}

        return {name: torch.from_numpy(array) for name, array in self.prepared("fisher", make).items()}


def diagonal_fisher(model: GPT, rows: Sequence[Sequence[int]], learn: Sequence[Sequence[bool]] | None, seed: int
                    ) -> dict[str, Tensor]:
    """Mean over tokens of E[(d log p(y) / d theta)^2], y drawn from the model itself.

    Labels drawn independently at every place have gradients of mean 0 that do not correlate, so the square of a whole
    row's gradient is, in expectation, the sum of the tokens' squares (Fisher of the model and not the "empirical" one:
    Martens 2020, section 5; Kunstner, Balles and Hennig 2019). ``learn``: only the places that predict a learnt id.
    """
    rng = torch.Generator().manual_seed(seed)
    flags = [parameter.requires_grad for parameter in model.parameters()]
    model.requires_grad_(True)
    total = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
    count = 0
    for index, row in enumerate(rows):
        logits_tv = model(torch.tensor([list(row[:-1])]))[0]
        if learn is not None:
            logits_tv = logits_tv[torch.tensor(list(learn[index][1:]))]
        if not len(logits_tv):
            continue
        drawn_t = torch.multinomial(torch.softmax(logits_tv.detach(), -1), 1, generator=rng)[:, 0]
        model.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(logits_tv, drawn_t, reduction="sum").backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                total[name].addcmul_(parameter.grad, parameter.grad)
        count += len(drawn_t)
    model.zero_grad(set_to_none=True)
    for parameter, flag in zip(model.parameters(), flags, strict=True):
        parameter.requires_grad_(flag)
    return {name: values / max(1, count) for name, values in total.items()}


def still_true(held: Sequence[Sequence[Any]], plan: Lessons) -> list[list[Any]]:
    """Of earlier lessons, as JSON rows that begin with ids, learn, question, answer, those that ``plan`` does not
    replace: they are about none of the (subject, relation) told anew, and ask none of the same questions."""
    told = {(fact.subject, fact.relation) for fact in plan.facts}
    asked = {lesson.question for lesson in plan.new if lesson.question}
    return [list(row) for row in held if row[2] not in asked and not (row[4] and tuple(row[4]) in told)]


def as_rows(plan: Lessons) -> list[list[Any]]:
    """The new lessons as JSON rows: ids, learn, question, answer, (subject, relation) or None, pivot."""
    from nimllm.alignment.memory import facts

    about = {said: [fact.subject, fact.relation] for fact in plan.facts for said in (facts.reply(fact), fact.value)}
    return [[list(lesson.ids), list(lesson.learn), lesson.question, lesson.answer, about.get(lesson.answer),
             lesson.pivot] for lesson in plan.new]


def of_row(row: Sequence[Any]) -> Lesson:
    return Lesson(tuple(row[0]), tuple(row[1]), row[2], row[3], pivot=row[5])
