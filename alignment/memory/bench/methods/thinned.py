"""One per cent of the entries, chosen without curvature: by magnitude, by g^2 / F, with replay; and the literal method.

The mask is chosen from an episode's first gradient and fixed for the episode, as in the product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory.bench.methods.baseline import Weights, as_rows, of_row, still_true
from nimllm.alignment.memory.bench.methods.dense import RunningFisher
from nimllm.alignment.memory.bench.methods.objective import Objective, Stays, beside, descend
from nimllm.alignment.memory.bench.methods.settings import PULL, REPLAYED, SHARE
from nimllm.alignment.memory.lessons import Lesson, Lessons
from nimllm.alignment.memory.sparse import polyak_step, top_mask
from nimllm.llm.turns import render


class Top(Weights):
    """The top 1 % of the model's entries by gradient magnitude, over all matrices."""

    def names(self) -> list[str]:
        return [name for name, parameter in self.parameters.items() if parameter.dim() == 2]

    def mask(self, gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        return top_mask({name: gradient.abs() for name, gradient in gradients.items()},
                        round(SHARE * self.config.parameters()))

    def objective(self, episode: Episode, plan: Lessons) -> Objective:
        around = beside(self.model, self.tokenizer, plan)
        return Objective(self.model, self.tokenizer.pad, self.settings, plan.new, lambda: around)

    def descent(self) -> Callable[[float], bool]:
        """A step on the masked gradient; the first one chooses the mask."""
        mask: dict[str, Tensor] = {}

        def take(loss: float) -> bool:
            gradients = {name: parameter.grad for name in self.names()
                         if (parameter := self.parameters[name]).grad is not None}
            if not mask:
                mask.update(self.mask(gradients))
            directions = {name: gradient * mask[name] for name, gradient in gradients.items() if name in mask}
            return polyak_step(self.parameters, directions, loss, float(self.point["step"]))

        return take

    def write(self, episode: Episode, plan: Lessons) -> None:
        descend(self.objective(episode, plan), self.settings.max_steps, self.descent())


class FisherTop(RunningFisher, Top):
    """The mask is the top 1 % of each tensor by g^2 / (F + F of the memories + eps): where a change gains most for what
    it costs by the diagonal Fisher (FGGM, arXiv 2601.18261). ``eps`` is the tensor's mean F."""

    def mask(self, gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        out: dict[str, Tensor] = {}
        for name, gradient in gradients.items():
            fisher = self.fisher[name]
            score = gradient.square() / (fisher + fisher.mean() + torch.finfo(fisher.dtype).tiny)
            out |= top_mask({name: score}, round(SHARE * score.numel()))
        return out


class TopReplay(Top):
    """The top 1 % by magnitude, with lessons of earlier memories in every step's gradient; with ``kl``, KL(before ||
    now) on general text, too. The buffer holds what is still true: a corrected fact leaves it."""

    kl = False

    def objective(self, episode: Episode, plan: Lessons) -> Objective:
        held = still_true(self.about.setdefault("buffer", []), plan)
        around, rng = beside(self.model, self.tokenizer, plan), self.rng("replay", episode.id)

        def with_replay() -> list[Lesson]:
            return [*around, *map(of_row, rng.sample(held, min(REPLAYED, len(held))))]

        extras = [Stays(self.model, self.some_general(rng), self.tokenizer.pad)] if self.kl else []
        return Objective(self.model, self.tokenizer.pad, self.settings, plan.new, with_replay, extras)

    def write(self, episode: Episode, plan: Lessons) -> None:
        super().write(episode, plan)
        buffer: list[Any] = self.about["buffer"]
        self.about["buffer"] = [*still_true(buffer, plan), *as_rows(plan)]

    def side_bytes(self) -> int:
        import json

        return len(json.dumps(self.about.get("buffer", [])))


class TopReplayKL(TopReplay):
    kl = True


def told_lesson(episode: Episode, weights: Weights) -> Lesson | None:
    """The conversation or task as it was, every word of it learnt that no program wrote: the text as a language model
    sees it, and no question made of it. Cut to the context. None when nothing is left."""
    ids: list[int] = []
    learn: list[bool] = []
    for index, turn in enumerate(episode.turns):
        part = render([turn.turn()], weights.tokenizer, bos=index == 0)
        ids += part.ids
        opening = 2 if index == 0 else 1  # the role's marker is the harness's, and so is the text's first id
        learn += [not turn.tainted and place >= opening for place in range(len(part.ids))]
    ids, learn = ids[: weights.config.context], learn[: weights.config.context]
    return Lesson(tuple(ids), tuple(learn), "", "") if any(learn) else None


class Literal(Top):
    """What this project started from: one step on the told text alone, through the top 1 % by magnitude, then every
    weight is pulled back to the base by 2 % ("EWC" with all of F equal). Nothing is made of the text, nothing is kept
    beside it, and it is not asked whether there was anything to learn."""

    def learnable(self, episode: Episode, plan: Lessons) -> bool:
        return told_lesson(episode, self) is not None

    def write(self, episode: Episode, plan: Lessons) -> None:
        lesson = told_lesson(episode, self)
        assert lesson is not None
        plain = replace(self.settings, pivot=1.0)
        descend(Objective(self.model, self.tokenizer.pad, plain, [lesson]), 1, self.descent())
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.add_(torch.from_numpy(self.base[name]) - parameter, alpha=PULL)
