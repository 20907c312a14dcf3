"""Clipping and AdamW in two passes over memory, on a CPU (csrc/train/optimizer.cpp).

32 bytes a parameter, which is what the step costs: 48M parameters, two Zen 5 cores, 25 ms; clip_grad_norm_ and torch's
AdamW took 100 ms there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from nimllm.kernels import native, reference


@cache
def _call() -> Any:
    return native.function("nimllm_train_clip_adamw", "pppiiddddd", "d")


def _fits(tensor: Tensor) -> bool:
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and tensor.is_contiguous()


@torch.no_grad()
def clip_adamw(params: Sequence[Tensor], grads: Sequence[Tensor], exp_avg: Sequence[Tensor],
               exp_avg_sq: Sequence[Tensor], step: int | Tensor, lr: float | Tensor, betas: tuple[float, float],
               eps: float, weight_decay: float | Sequence[float], max_norm: float | None) -> Tensor:
    """As reference.clip_adamw; the same bits whatever the number of threads. What is not fp32 and contiguous goes to
    the reference."""
    decays = [weight_decay] * len(params) if isinstance(weight_decay, int | float) else list(weight_decay)
    lists = params, grads, exp_avg, exp_avg_sq
    if any(len(tensors) != len(decays) for tensors in lists):
        raise ValueError("clip_adamw: the lists differ in length")
    rows = list(zip(*lists, strict=True))
    for row in rows:
        if any(tensor.shape != row[0].shape for tensor in row):
            raise ValueError(f"clip_adamw: the shapes {[tuple(tensor.shape) for tensor in row]} differ")
    if not all(_fits(tensor) for tensor in chain(*rows)):
        return reference.clip_adamw(params, grads, exp_avg, exp_avg_sq, step, lr, betas, eps, weight_decay, max_norm)
    if not rows:
        return torch.zeros(())
    addresses = torch.tensor([[tensor.data_ptr() for tensor in row] for row in rows], dtype=torch.int64)
    sizes = torch.tensor([row[0].numel() for row in rows], dtype=torch.int64)
    decay = torch.tensor(decays, dtype=torch.float64)
    norm = _call()(addresses.data_ptr(), sizes.data_ptr(), decay.data_ptr(), len(rows), int(step), float(lr), *betas,
                   eps, math.inf if max_norm is None else max_norm)
    if norm == -1.0:
        raise MemoryError("clip_adamw: no memory for the list of pieces")
    for row in rows:  # bf16 copies of the weights are made again (kernels/linear.py)
        torch.autograd.graph.increment_version((row[0], row[2], row[3]))
    return torch.tensor(norm, dtype=torch.float32)
