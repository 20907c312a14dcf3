"""What a run tells whoever watches it: after every step, and at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What the display shows after a step."""

    step: int
    steps: int
    loss: float
    lr: float
    tokens_per_second: float  # of all processes together
    eta: float  # seconds
    validation: float | None = None
    bits_per_byte: float | None = None
    best: float | None = None
    sample: str | None = None
    tokens: int = 0  # seen since the first step
    gradient_norm: float | None = None  # before clipping
    utilisation: float | None = None  # share of the devices' peak (model FLOPs utilisation); None: peak unknown


@dataclass(frozen=True)
class Outcome:
    step: int
    loss: float
    validation: float
    bits_per_byte: float
    seconds: float


Watcher = Callable[[Progress], None]
