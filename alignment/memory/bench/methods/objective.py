"""The loss that every gradient method goes down on: that of the lessons, with the stopping rule of the product.

Axes: m learnt ids, b lessons, v vocabulary, t time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from nimllm.alignment.memory.curvature import padded
from nimllm.alignment.memory.lessons import Lesson, Lessons
from nimllm.alignment.memory.packed import Packed
from nimllm.alignment.memory.update import Settings, answered, decided
from nimllm.llm.model import GPT
from nimllm.llm.tokenizer import Tokenizer

Extra = Callable[[], Tensor]  # a term of the loss beside the lessons
Beside = Callable[[], Sequence[Lesson]]  # lessons beside the new ones, asked for at every step


class Objective:
    """Mean loss of the new lessons and of those beside them, plus the extras.

    ``settings``: the product's, for the bar of "enough", how many lessons beside may be wrong, and the weight of the
    id where an answer is decided.
    """

    def __init__(self, model: GPT, pad: int, settings: Settings, new: Sequence[Lesson],
                 beside: Beside = lambda: (), extras: Sequence[Extra] = ()) -> None:
        self.model, self.pad, self.settings = model, pad, settings
        self.new, self.beside, self.extras = list(new), beside, list(extras)

    def backward(self) -> tuple[float, bool]:
        """Adds the gradients; (the whole loss, is it enough). Enough, as in ``update.py``: every new lesson would be
        written word for word at a loss below the bar, and of the others no more than ``loose`` are wrong."""
        work = [*self.new, *self.beside()]
        whole, wrong, unsettled = 0.0, 0, False
        at = 0
        for packed in Packed.several(work):
            nats_m, hit_m = packed.nats(self.model)
            weights_m = torch.where(packed.pivot_m, self.settings.pivot, 1.0)
            loss = packed.mean(nats_m, weights_m).sum() / len(work)
            loss.backward()
            whole += loss.item()
            each, right = packed.mean(nats_m.detach()).tolist(), (packed.mean(hit_m.float()) == 1).tolist()
            for nats, hit in zip(each, right, strict=True):
                if at < len(self.new):
                    unsettled = unsettled or not hit or nats >= self.settings.enough
                else:
                    wrong += not hit
                at += 1
        for extra in self.extras:
            term = extra()
            if term.requires_grad:
                term.backward()
            whole += term.item()
        return whole, not unsettled and wrong <= self.settings.loose


def descend(objective: Objective, limit: int, take: Callable[[float], bool]) -> int:
    """Steps until it is enough, at most ``limit``; how many there were. ``take`` gets the loss, with the gradients in
    place, and says whether it took a step."""
    steps = 0
    while steps < limit:
        objective.model.zero_grad(set_to_none=True)
        loss, settled = objective.backward()
        if (steps and settled) or not take(loss):
            break
        steps += 1
    objective.model.zero_grad(set_to_none=True)
    return steps


def beside(model: GPT, tokenizer: Tokenizer, plan: Lessons) -> list[Lesson]:
    """What must stay as it is, as the product trains it: the controls with the model's present answers, the contrast,
    and the prompts with the id that they go on with now."""
    kept = answered(model, tokenizer, plan.controls)
    return [*kept, *plan.contrast, *decided(model, plan.decisions, tokenizer.pad)]


class Stays:
    """KL(before || now) per token on rows of general text; ``before``: the model when this was made, or another."""

    def __init__(self, model: GPT, rows: Sequence[Sequence[int]], pad: int, before: GPT | None = None) -> None:
        self.model = model
        self.ids_bt, self.real_bt = padded(rows, pad)
        with torch.no_grad():
            self.before_btv = functional.log_softmax((before or model)(self.ids_bt), -1)

    def __call__(self) -> Tensor:
        now_btv = functional.log_softmax(self.model(self.ids_bt), -1)
        kl_bt = (self.before_btv.exp() * (self.before_btv - now_btv)).sum(-1)
        return kl_bt[self.real_bt].mean()
