"""Low-rank adapters (LoRA, Hu et al. 2022): W = W0 + s B A with A [r, in] random, B [out, r] zero at first,
s = alpha / r.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory.bench.methods.baseline import Weights
from nimllm.alignment.memory.bench.methods.objective import Objective, beside, descend
from nimllm.alignment.memory.bench.methods.settings import ALPHA, RANK, Point
from nimllm.alignment.memory.curvature import to_array
from nimllm.alignment.memory.lessons import Lessons
from nimllm.alignment.memory.state import Arrays

SCALE = ALPHA / RANK


def factor_gradients(gradient: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(dL/dA, dL/dB) from dL/dW by the chain rule: s B^T G and s G A^T."""
    return SCALE * b.T @ gradient, SCALE * gradient @ a.T


class LoRA(Weights):
    """Adapters on every linear matrix of every block. Persistent: one pair for all episodes; merged: each episode's
    product is added to the weights and the pair begins anew. Either way the weights have the base's shapes."""

    def __init__(self, name: str, run: Path, state: Path, seed: int, point: Point, merged: bool) -> None:
        self.merged = merged
        super().__init__(name, run, state, seed, point)

    def prepare(self) -> None:
        super().prepare()
        self.begin(0)

    def names(self) -> list[str]:
        return [name for name, parameter in self.parameters.items() if parameter.dim() == 2 and ".layers." in name]

    def begin(self, number: int) -> None:
        """New pairs on the weights as they are; A drawn as PyTorch draws a linear layer's weight, as in the paper's
        code."""
        rng = torch.Generator().manual_seed(self.rng("lora", number).getrandbits(62))
        self.frozen = {name: self.parameters[name].detach().clone() for name in self.names()}
        self.a, self.b = {}, {}
        for name, weight in self.frozen.items():
            bound = 1 / math.sqrt(weight.shape[1])
            self.a[name] = torch.empty(RANK, weight.shape[1]).uniform_(-bound, bound, generator=rng)
            self.b[name] = torch.zeros(weight.shape[0], RANK)

    def put(self) -> None:
        with torch.no_grad():
            for name, weight in self.frozen.items():
                self.parameters[name].copy_(weight + SCALE * self.b[name] @ self.a[name])

    def write(self, episode: Episode, plan: Lessons) -> None:
        if self.merged:
            self.begin(len(self.about["updates"]))
        around = beside(self.model, self.tokenizer, plan)
        objective = Objective(self.model, self.tokenizer.pad, self.settings, plan.new, lambda: around)
        optimizer = torch.optim.Adam([*self.a.values(), *self.b.values()], lr=float(self.point["lr"]))

        def take(loss: float) -> bool:
            for name in self.frozen:
                gradient = self.parameters[name].grad
                assert gradient is not None
                self.a[name].grad, self.b[name].grad = factor_gradients(gradient, self.a[name], self.b[name])
            optimizer.step()
            self.put()
            return True

        descend(objective, self.settings.max_steps, take)

    def changed(self, before: dict[str, Tensor]) -> tuple[int, int]:  # type: ignore[override]
        """What has to be kept of an update are its two factors."""
        entries, _ = super().changed(before)
        return entries, 4 * sum(pair.numel() for pair in (*self.a.values(), *self.b.values())) if entries else 0

    def arrays(self) -> Arrays:
        pairs = {} if self.merged else {
            f"{letter}::{name}": to_array(factor) for letter, factors in (("a", self.a), ("b", self.b))
            for name, factor in factors.items()}
        return {**super().arrays(), **pairs}

    def restore(self, arrays: Arrays) -> None:
        super().restore(arrays)
        if not self.merged:
            self.a = {name: torch.from_numpy(arrays[f"a::{name}"].copy()) for name in self.names()}
            self.b = {name: torch.from_numpy(arrays[f"b::{name}"].copy()) for name in self.names()}

    def side_bytes(self) -> int:
        return 0 if self.merged else 4 * sum(pair.numel() for pair in (*self.a.values(), *self.b.values()))
