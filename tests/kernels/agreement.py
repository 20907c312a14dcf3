"""An implementation against the reference on the same numbers: results and every gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nimllm.kernels import native

EPS = {torch.float32: 2.0**-23, torch.bfloat16: 2.0**-8}
ISAS = ("portable", "avx2", "avx512", "avx512bf16")


def isas() -> list[str]:
    """Those that this machine can run, best last; the last one also when there is no library (the test is skipped)."""
    return [name for name in ISAS if native.available() is None and ISAS.index(name) <= ISAS.index(native.isa())] or [
        ISAS[-1]]


def close(got: Tensor, want: Tensor, factor: float, what: str = "", least: float = 1e-3) -> None:
    """Within ``factor`` epsilons of got's dtype, of the largest value, or of ``least``: such terms may cancel."""
    assert got.shape == want.shape, f"{what}: {tuple(got.shape)}, not {tuple(want.shape)}"
    if not got.numel():
        return
    error = (got.double() - want.double()).abs().max().item()
    limit = factor * EPS[got.dtype] * max(want.double().abs().max().item(), least)
    assert error <= limit, f"{what}: error {error:.3g}, limit {limit:.3g}"


def agree(function: Callable[..., Any], reference: Callable[..., Any], inputs: Sequence[Tensor], factor: float,
          gradient_factor: float, least: float = 1e-3) -> None:
    """Results and all gradients, the reference in fp32 so that an implementation's error is its own."""
    mine = [x.detach().clone(memory_format=torch.preserve_format).requires_grad_() for x in inputs]
    theirs = [x.detach().float().clone().requires_grad_() for x in inputs]
    got, want = function(*mine), reference(*theirs)
    got, want = (x if isinstance(x, tuple) else (x,) for x in (got, want))
    upstream = [torch.randn(x.shape, dtype=x.dtype) for x in got]
    for index, (one, other) in enumerate(zip(got, want, strict=True)):
        close(one, other, factor, f"result {index}")
    torch.autograd.backward(got, upstream)
    torch.autograd.backward(want, [x.float() for x in upstream])
    for index, (one, other) in enumerate(zip(mine, theirs, strict=True)):
        assert one.grad is not None and other.grad is not None and one.grad.dtype == one.dtype
        close(one.grad, other.grad, gradient_factor, f"gradient {index}", least)
