"""SwiGLU, GELU and squared ReLU for training on a CPU: ``csrc/train/activations_body.h``.

One pass over the inputs each way; the backward pass keeps nothing but them. Rows may have any stride, so that gate and
up can be halves of one projection.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nimllm.kernels import native, reference

_DTYPES = {torch.float32: 0, torch.bfloat16: 1}
_SWIGLU, _GELU, _RELU2 = range(3)
_Shape = ctypes.c_int64 * 16


@cache
def _native() -> Any:
    return native.function("nimllm_activate", "pb")


def _rows(x: Tensor) -> Tensor:
    """x as [rows, d] with adjacent features, without a copy where its strides allow that."""
    rows = x.reshape(-1, x.shape[-1])
    return rows if rows.stride(1) == 1 or rows.shape[1] == 1 else rows.contiguous()


def _place(x: Tensor | None) -> tuple[int, int]:
    return (0, 0) if x is None else (x.data_ptr(), x.stride(0))


def _run(kind: int, backward: bool, *tensors: Tensor | None) -> None:
    """tensors: x, up, grad_out, out, grad_x, grad_up, all [rows, d]."""
    x = tensors[0]
    assert x is not None
    shape = _Shape(*x.shape, kind, _DTYPES[x.dtype], *(number for tensor in tensors for number in _place(tensor)))
    _native()(ctypes.addressof(shape), backward)


class _Swiglu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        out = torch.empty(gate.shape, dtype=gate.dtype)
        gate, up = _rows(gate), _rows(up)
        _run(_SWIGLU, False, gate, up, None, _rows(out), None, None)
        ctx.save_for_backward(gate, up)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        grad_gate = torch.empty(grad.shape, dtype=gate.dtype)
        grad_up = torch.empty(grad.shape, dtype=gate.dtype)
        _run(_SWIGLU, True, gate, up, _rows(grad.to(gate.dtype)), None, _rows(grad_gate), _rows(grad_up))
        return grad_gate, grad_up


class _Unary(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kind: int) -> Tensor:
        out = torch.empty(x.shape, dtype=x.dtype)
        x = _rows(x)
        _run(kind, False, x, None, None, _rows(out), None, None)
        ctx.kind = kind
        ctx.save_for_backward(x)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        grad_x = torch.empty(grad.shape, dtype=x.dtype)
        _run(ctx.kind, True, x, None, _rows(grad.to(x.dtype)), None, _rows(grad_x), None)
        return grad_x, None


def _usable(x: Tensor) -> bool:
    return x.dtype in _DTYPES and x.dim() > 0 and x.numel() > 0 and not torch.compiler.is_compiling()


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """As reference.swiglu, rounded once."""
    if not _usable(gate) or gate.dtype != up.dtype or gate.shape != up.shape:
        return reference.swiglu(gate, up)
    return _Swiglu.apply(gate, up)


def gelu(x: Tensor) -> Tensor:
    """As reference.gelu."""
    return _Unary.apply(x, _GELU) if _usable(x) else reference.gelu(x)


def relu2(x: Tensor) -> Tensor:
    """As reference.relu2, rounded once."""
    return _Unary.apply(x, _RELU2) if _usable(x) else reference.relu2(x)
