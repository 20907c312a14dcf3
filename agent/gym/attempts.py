"""pass@k: how often at least one of k sampled attempts at a task is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import comb

from nimllm.agent.gym.evaluate import Report


def pass_at(right: int, attempts: int, k: int) -> float:
    """Chance that one of ``k`` of the ``attempts``, drawn without replacement, is among the ``right`` ones. This is the
    unbiased estimator of Chen et al. 2021, "Evaluating Large Language Models Trained on Code", equation 1."""
    if not 0 <= right <= attempts or not 0 < k <= attempts:
        raise ValueError(f"{right} of {attempts}, {k}")
    return 1.0 - comb(attempts - right, k) / comb(attempts, k)


@dataclass
class Attempts:
    """``right``: how many of the ``count`` attempts at each task passed, in the order of the tasks."""

    count: int
    right: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, count: int, evaluate: Callable[[int], Report]) -> Attempts:
        """``evaluate(n)`` is the n-th attempt at all tasks."""
        rows = [[verdict.passed for verdict in evaluate(number).verdicts] for number in range(count)]
        return cls(count, [sum(task) for task in zip(*rows, strict=True)])

    def at(self, k: int) -> float:
        return sum(pass_at(right, self.count, k) for right in self.right) / max(1, len(self.right))

    @property
    def shown(self) -> Sequence[int]:
        """1, 2, 4, … and the count itself."""
        return sorted({*(2**power for power in range(10) if 2**power <= self.count), self.count})

    def data(self) -> dict[str, float]:
        return {str(k): self.at(k) for k in self.shown}

    def line(self) -> str:
        return "sampled: " + ", ".join(f"pass@{k} {self.at(k):.1%}" for k in self.shown)
