"""RMSNorm and LayerNorm for training on a CPU, with the residual addition before them: ``csrc/train/norms_body.h``.

Under autocast the residual stream is fp32 and what a norm feeds is a matrix product in bf16: the norms here write bf16
at once, which saves the cast that autocast would add. The gradients of gains are summed by blocks of 64 rows in the
order of the rows: the number of threads changes no bit.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nimllm.kernels import fused, native, reference

_DTYPES = {torch.float32: 0, torch.bfloat16: 1}
_ROWS = 64  # kRowsPerPiece of csrc/train/ops.h
_Shape = ctypes.c_int64 * 20


@cache
def _forward() -> Any:
    return native.function("nimllm_norm", "pf", "b")


@cache
def _backward() -> Any:
    return native.function("nimllm_norm_back", "p")


def _address(x: Tensor | None) -> int:
    return 0 if x is None else x.data_ptr()


class _Norm(torch.autograd.Function):
    """x or None, residual [..., d] -> the norm of their sum, and the sum (which without x is the residual itself)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor | None, residual: Tensor, weight: Tensor, bias: Tensor | None, eps: float,
                layer: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        residual, weight = residual.contiguous(), weight.contiguous()
        x = None if x is None else x.contiguous()
        bias = None if bias is None else bias.contiguous()
        d = weight.numel()
        rows = residual.numel() // d
        summed = residual if x is None else torch.empty_like(residual)
        out = torch.empty(residual.shape, dtype=dtype)
        stats = torch.empty((rows, 2), dtype=torch.float32)
        ctx.head = (rows, d, layer, _DTYPES[residual.dtype if x is None else x.dtype], _DTYPES[residual.dtype],
                    _DTYPES[dtype])
        ctx.dtypes = dtype, residual.dtype, None if x is None else x.dtype
        shape = _Shape(*ctx.head, weight.data_ptr(), _address(bias), _address(x), residual.data_ptr(),
                       summed.data_ptr(), out.data_ptr(), stats.data_ptr())
        if not _forward()(ctypes.addressof(shape), eps):
            raise MemoryError("no memory for the scratch of a norm")
        ctx.save_for_backward(summed, weight, stats)
        ctx.set_materialize_grads(False)
        if x is None:
            ctx.mark_non_differentiable(summed)  # the caller does not look at it
        return out, summed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor | None, grad_sum: Tensor | None) -> tuple[Tensor | None, ...]:
        summed, weight, stats = ctx.saved_tensors
        out_dtype, sum_dtype, x_dtype = ctx.dtypes
        rows, d = ctx.head[:2]
        if grad_out is None:
            grad_out = torch.zeros(summed.shape, dtype=out_dtype)
        grad_out = grad_out.to(out_dtype).contiguous()
        grad_sum = None if grad_sum is None else grad_sum.to(sum_dtype).contiguous()
        grad_residual = torch.empty_like(summed)
        grad_x = torch.empty(summed.shape, dtype=x_dtype) if x_dtype not in (None, sum_dtype) else None
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[2] else None
        grad_bias = torch.empty_like(weight) if ctx.needs_input_grad[3] else None
        parts = None
        if grad_weight is not None or grad_bias is not None:
            parts = torch.empty((2, -(-rows // _ROWS), d), dtype=torch.float32)
        shape = _Shape(*ctx.head, weight.data_ptr(), 0, 0, 0, summed.data_ptr(), 0, stats.data_ptr(),
                       grad_out.data_ptr(), _address(grad_sum), grad_residual.data_ptr(), _address(grad_x),
                       _address(grad_weight), _address(grad_bias), _address(parts))
        _backward()(ctypes.addressof(shape))
        first = None if x_dtype is None else grad_residual if grad_x is None else grad_x
        return first, grad_residual, grad_weight, grad_bias, None, None, None


def _written(dtype: torch.dtype) -> torch.dtype:
    """What a norm of ``dtype`` writes: autocast's dtype where it is on."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else dtype


def _usable(weight: Tensor, *tensors: Tensor) -> bool:
    """Whether the kernel takes these; whoever traces gets plain torch, which a compiler can fuse."""
    return (all(x.dtype in _DTYPES and x.shape[-1] == weight.numel() > 0 for x in tensors)
            and _written(tensors[0].dtype) in _DTYPES and not torch.compiler.is_compiling())


def rms_norm(x: Tensor, weight_d: Tensor, eps: float = 1e-6) -> Tensor:
    """As reference.rms_norm; under autocast the result has autocast's dtype."""
    if not _usable(weight_d, x):
        return reference.rms_norm(x, weight_d, eps)
    return _Norm.apply(None, x, weight_d.float(), None, eps, False, _written(x.dtype))[0]


def layer_norm(x: Tensor, weight_d: Tensor, bias_d: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """As reference.layer_norm; under autocast the result has autocast's dtype."""
    if not _usable(weight_d, x):
        return fused.layer_norm(x, weight_d, bias_d, eps)
    bias = None if bias_d is None else bias_d.float()
    return _Norm.apply(None, x, weight_d.float(), bias, eps, True, _written(x.dtype))[0]


def _promoted(x: Tensor, residual: Tensor) -> Tensor:
    """The residual in the dtype of the sum."""
    return residual.to(torch.promote_types(x.dtype, residual.dtype))


def add_rms_norm(x: Tensor, residual: Tensor, weight_d: Tensor, eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    """As reference.add_rms_norm: (norm, sum). The sum has the promoted dtype of both; under autocast the norm has
    autocast's."""
    if not _usable(weight_d, x, residual) or x.shape != residual.shape:
        return reference.add_rms_norm(x, residual, weight_d, eps)
    residual = _promoted(x, residual)
    return _Norm.apply(x, residual, weight_d.float(), None, eps, False, _written(residual.dtype))


def add_layer_norm(x: Tensor, residual: Tensor, weight_d: Tensor, bias_d: Tensor | None = None, eps: float = 1e-6
                   ) -> tuple[Tensor, Tensor]:
    """As reference.add_layer_norm: (norm, sum), with the dtypes of :func:`add_rms_norm`."""
    if not _usable(weight_d, x, residual) or x.shape != residual.shape:
        return reference.add_layer_norm(x, residual, weight_d, bias_d, eps)
    residual = _promoted(x, residual)
    bias = None if bias_d is None else bias_d.float()
    return _Norm.apply(x, residual, weight_d.float(), bias, eps, True, _written(residual.dtype))
