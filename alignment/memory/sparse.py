"""A step on few entries: which ones, and how long."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def top_mask(scores: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """The ``count`` largest entries of all tensors together (more where several are equal to the last one)."""
    everything = torch.cat([score.flatten() for score in scores.values()])
    count = min(everything.numel(), max(1, count))
    bar = everything.kthvalue(everything.numel() - count + 1).values
    return {name: score >= bar for name, score in scores.items()}


def polyak_step(parameters: Mapping[str, Tensor], directions: Mapping[str, Tensor], loss: float, share: float) -> bool:
    """One step along -directions, so long that the loss would fall by ``share`` of itself if it were linear: length =
    share * loss / <directions, gradients>, Polyak's rule for a known minimum of 0 (Polyak 1987, section 5.3). The
    gradients are those of the last backward pass. False, and no step, when the loss would not fall."""
    slope = 0.0
    for name, direction in directions.items():
        gradient = parameters[name].grad
        if gradient is not None:
            slope += float((direction * gradient).sum())
    if not slope > 0 or not math.isfinite(slope):
        return False
    with torch.no_grad():
        for name, direction in directions.items():
            parameters[name].sub_(direction, alpha=share * loss / slope)
    return True
