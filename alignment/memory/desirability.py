"""What must become less likely: a bounded push away from a completion that the user turned down.

The value function of KTO (Ethayarajh et al. 2024, arXiv 2402.01306, equation 8) for an undesirable completion y of a
prompt x, with the reward r = log p(y|x) - log p_reference(y|x) and the reference point 0 (there is one example, so no
mean reward to compare with): its loss is 1 - v = s(beta r), s the logistic function. It flattens by itself as r falls,
and here it also ends: below r = -margin nothing is pushed any more,

    L = weight * (max(0, s(beta r) - s(-beta margin))),

so that L has the known minimum 0, which the step rule of ``update.py`` needs, and a command that was turned down once
is not driven out of everything that looks like it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nimllm.alignment.memory.lesson import Lesson
from nimllm.alignment.memory.packed import Packed
from nimllm.llm.model import GPT

BETA = 0.25  # rewards of a few nats are what a command's first ids make
MARGIN = 4.0  # nats, of the whole completion: 50 times less likely than it was
WEIGHT = 0.5  # beside the mean loss of what is to be learnt (KTO's lambda_U, halved: one word against many)


def completion_logs(model: GPT, packed: Packed) -> Tensor:
    """log p of each lesson's learnt ids together [b], nats."""
    nats_m, _ = packed.nats(model)
    return -torch.zeros(packed.count).index_add(0, packed.lesson_m, nats_m)


class Push:
    """The undesirable completions of one update. The reference is the model as it is when this is made."""

    def __init__(self, model: GPT, undesirable: Sequence[Lesson], beta: float = BETA, margin: float = MARGIN,
                 weight: float = WEIGHT) -> None:
        self.beta, self.margin, self.weight, self.count = beta, margin, weight, len(undesirable)
        self.packed = list(Packed.several(undesirable))
        with torch.no_grad():
            self.reference = [completion_logs(model, packed) for packed in self.packed]

    def loss(self, reward_b: Tensor) -> Tensor:
        """The loss of each completion [b] from its reward [b]; 0, with no gradient, beyond the margin."""
        floor = 1 / (1 + math.exp(self.beta * self.margin))
        return self.weight * (torch.sigmoid(self.beta * reward_b) - floor).clamp(min=0)

    def backward(self, model: GPT) -> float:
        """Adds the gradients of the mean loss to those the parameters have; that loss, 0 when every completion is
        beyond the margin."""
        whole = 0.0
        for packed, reference_b in zip(self.packed, self.reference, strict=True):
            loss = self.loss(completion_logs(model, packed) - reference_b).sum() / self.count
            if loss.item() > 0:
                loss.backward()
                whole += loss.item()
        return whole
