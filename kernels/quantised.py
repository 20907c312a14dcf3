"""8-bit and 4-bit weights in plain numpy: the definition of what ``kernels/csrc/packing.cpp`` and the engine compute.

A group of neighbouring inputs of a row shares one bfloat16 scale: 64 inputs in 8 bits (8.25 bits a weight), 32 in
4 bits (4.5). Activations are rounded to int8 in the same groups, each with an fp32 scale, so that a product is an exact
integer sum per group, times two scales.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
GROUP = {"q8": 64, "q4": 32}


def _grouped(x: Floats, group: int) -> Floats:
    """[..., n] to [..., groups, group], padded with zeros."""
    pad = -x.shape[-1] % group
    wide = np.concatenate((x, np.zeros((*x.shape[:-1], pad), np.float32)), -1) if pad else x
    return wide.reshape(*x.shape[:-1], -1, group)


def _bf16(x: Floats) -> Floats:
    """Rounded to bfloat16, ties to even."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def _scale_q8(w: Floats) -> Floats:
    """[..., groups, 1]: the largest weight over 127, rounded up, so that it fits."""
    exact = np.abs(w).max(-1, keepdims=True) / np.float32(127)
    half = _bf16(exact)
    up = (half.view(np.uint32) + 0x10000).view(np.float32)
    return np.where(half < exact, up, half)


def _scale_q4(w: Floats) -> Floats:
    """[..., groups, 1]: of 17 scales around extreme / -8, the one with the least squared error."""
    extreme = np.take_along_axis(w, np.abs(w).argmax(-1)[..., None], -1)
    best, least = np.zeros_like(extreme), np.full_like(extreme, np.inf)
    for step in range(17):
        scale = _bf16(extreme / np.float32(np.float32(-6.8) - np.float32(0.15) * np.float32(step)))
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = np.where(scale != 0, np.float32(1) / scale, np.float32(0))
        rounded = np.clip(np.rint(w * inverse), -8, 7) * scale
        error = np.square(rounded - w, dtype=np.float32).sum(-1, keepdims=True)
        better = (error < least) & (scale != 0)
        best, least = np.where(better, scale, best), np.where(better, error, least)
    return best


def rounded_weights(weights: Floats, dtype: str) -> Floats:
    """A [rows, inputs] matrix as the engine reads it back: dtype "q8" or "q4"."""
    w = _grouped(weights, GROUP[dtype])
    scale, low, high = (_scale_q8(w), -127, 127) if dtype == "q8" else (_scale_q4(w), -8, 7)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(scale != 0, np.float32(1) / scale, np.float32(0))
    q = np.clip(np.rint(w * inverse), low, high)
    return (q * scale).astype(np.float32).reshape(weights.shape[0], -1)[:, : weights.shape[1]]


def rounded_inputs(x: Floats, dtype: str) -> Floats:
    """Activations [..., n] rounded to int8 by groups, times their scales."""
    wide = _grouped(x.astype(np.float32), GROUP[dtype])
    top = np.abs(wide).max(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(top > 1e-30, np.float32(127) / top, np.float32(0))
    return (np.rint(wide * inverse) * (top / np.float32(127))).reshape(*x.shape[:-1], -1)[..., : x.shape[-1]]
