"""RMSNorm and LayerNorm over the last axis, forward and backward, alone or with the residual addition before them.

One kernel for each direction: a program holds whole rows in registers, so each number is read once and written once.
The backward makes a row's mean and variance again from the row, which it must read anyway. The gains' gradients are
summed per program in fp32 and then over programs: the same bits each time.

Axes: n rows (all leading axes), d feature.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from nimllm.kernels.eager import eager
from nimllm.kernels.gpu.launch import check_floating, on_device, processors

WIDEST = 32768  # features: a row of fp32 in the registers of 16 warps, twice
TILE = 2048  # elements of a program where rows are short: 16 a lane; at 32 the backward fills the registers (sm_90)


@triton.jit
def _forward(x_ptr, residual_ptr, weight_ptr, bias_ptr, y_ptr, sum_ptr, n, d, x_row, residual_row, eps,
             CENTRE: tl.constexpr, BIAS: tl.constexpr, ADD: tl.constexpr, ROWS: tl.constexpr, BLOCK_D: tl.constexpr):
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    features = tl.arange(0, BLOCK_D)[None, :]
    mask = (rows < n) & (features < d)
    x = tl.load(x_ptr + rows * x_row + features, mask=mask, other=0.0).to(tl.float32)
    if ADD:
        x += tl.load(residual_ptr + rows * residual_row + features, mask=mask, other=0.0).to(tl.float32)
        total = x.to(sum_ptr.dtype.element_ty)
        tl.store(sum_ptr + rows * d + features, total, mask=mask)
        x = total.to(tl.float32)  # the norm of what the next block will read, not of what it was before rounding
    if CENTRE:
        x = tl.where(features < d, x - (tl.sum(x, 1) / d)[:, None], 0.0)
    y = x * tl.rsqrt(tl.sum(x * x, 1) / d + eps)[:, None]
    y *= tl.load(weight_ptr + features, mask=features < d, other=0.0).to(tl.float32)
    if BIAS:
        y += tl.load(bias_ptr + features, mask=features < d, other=0.0).to(tl.float32)
    tl.store(y_ptr + rows * d + features, y.to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _backward(dy_ptr, dsum_ptr, x_ptr, weight_ptr, dx_ptr, dweight_ptr, dbias_ptr, n, d, dy_row, dsum_row, x_row, eps,
              CENTRE: tl.constexpr, BIAS: tl.constexpr, ADD: tl.constexpr, ROWS: tl.constexpr, BLOCK_D: tl.constexpr):
    """dweight, dbias: [programs, d] fp32, one row for each program; dsum: what flows into the sum from elsewhere."""
    program = tl.program_id(0)
    features = tl.arange(0, BLOCK_D)[None, :]
    weight = tl.load(weight_ptr + features, mask=features < d, other=0.0).to(tl.float32)
    dweight = tl.zeros((ROWS, BLOCK_D), tl.float32)
    dbias = tl.zeros((ROWS, BLOCK_D), tl.float32)
    for tile in range(program, tl.cdiv(n, ROWS), tl.num_programs(0)):
        rows = tl.cast(tile, tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
        mask = (rows < n) & (features < d)
        x = tl.load(x_ptr + rows * x_row + features, mask=mask, other=0.0).to(tl.float32)
        dy = tl.load(dy_ptr + rows * dy_row + features, mask=mask, other=0.0).to(tl.float32)
        if CENTRE:
            x = tl.where(features < d, x - (tl.sum(x, 1) / d)[:, None], 0.0)
        rstd = tl.rsqrt(tl.sum(x * x, 1) / d + eps)[:, None]
        normed = x * rstd
        dweight += dy * normed
        if BIAS:
            dbias += dy
        dnormed = dy * weight
        dx = dnormed - normed * (tl.sum(dnormed * normed, 1) / d)[:, None]
        if CENTRE:
            dx -= (tl.sum(dnormed, 1) / d)[:, None]
        dx *= rstd
        if ADD:
            dx += tl.load(dsum_ptr + rows * dsum_row + features, mask=mask, other=0.0).to(tl.float32)
        tl.store(dx_ptr + rows * d + features, dx.to(dx_ptr.dtype.element_ty), mask=mask)
    place = program * d + tl.arange(0, BLOCK_D)
    tl.store(dweight_ptr + place, tl.sum(dweight, 0), mask=tl.arange(0, BLOCK_D) < d)
    if BIAS:
        tl.store(dbias_ptr + place, tl.sum(dbias, 0), mask=tl.arange(0, BLOCK_D) < d)


def _rows(x: Tensor) -> Tensor:
    """x as [n, d] with neighbouring features; a view unless the strides forbid it."""
    x = x.reshape(-1, x.shape[-1])
    return x if x.stride(1) == 1 or x.shape[1] == 1 else x.contiguous()


def _layout(n: int, d: int) -> dict[str, int]:
    width = triton.next_power_of_2(d)
    rows = max(1, min(TILE // width, triton.next_power_of_2(n)))
    return {"ROWS": rows, "BLOCK_D": width, "num_warps": 4 if width <= TILE else min(16, 4 * width // TILE)}


def _run_forward(x: Tensor, residual: Tensor | None, weight_d: Tensor, bias_d: Tensor | None, eps: float,
                 centre: bool) -> tuple[Tensor, Tensor]:
    """The norm, and what it is the norm of (x, or x + residual)."""
    add = residual is not None
    dtype = torch.promote_types(x.dtype, residual.dtype) if residual is not None else x.dtype
    y = torch.empty(x.shape, dtype=dtype, device=x.device)
    total = torch.empty_like(y) if add else x
    if x.numel():
        x_nd = _rows(x)
        residual_nd = x_nd if residual is None else _rows(residual)
        n, d = x_nd.shape
        layout = _layout(n, d)
        with on_device(x):
            _forward[(triton.cdiv(n, layout["ROWS"]),)](
                x_nd, residual_nd, weight_d.contiguous(), weight_d if bias_d is None else bias_d.contiguous(), y, total,
                n, d, x_nd.stride(0), residual_nd.stride(0), eps, CENTRE=centre, BIAS=bias_d is not None, ADD=add,
                **layout)
    return y, total


def _run_backward(dy: Tensor, dsum: Tensor | None, x: Tensor, weight_d: Tensor, bias: bool, eps: float,
                  centre: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """The gradients of x (with dsum added), of the gains and of the bias; the last two in fp32."""
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    d = x.shape[-1]
    if not x.numel():
        zero = torch.zeros(d, dtype=torch.float32, device=x.device)
        return dx, zero, zero.clone() if bias else None
    x_nd, dy_nd = _rows(x), _rows(dy)
    dsum_nd = dy_nd if dsum is None else _rows(dsum)
    n = len(x_nd)
    layout = _layout(n, d)
    # 4 warps at about 100 registers: four programs share a multiprocessor
    programs = min(triton.cdiv(n, layout["ROWS"]), 4 * processors(x.device))
    parts = torch.empty((1 + bias, programs, d), dtype=torch.float32, device=x.device)
    with on_device(x):
        _backward[(programs,)](
            dy_nd, dsum_nd, x_nd, weight_d.contiguous(), dx, parts[0], parts[-1], n, d, dy_nd.stride(0),
            dsum_nd.stride(0), x_nd.stride(0), eps, CENTRE=centre, BIAS=bias, ADD=dsum is not None, **layout)
    sums = parts.sum(1)
    return dx, sums[0], sums[1] if bias else None


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_d: Tensor, bias_d: Tensor | None, eps: float, centre: bool) -> Tensor:
        ctx.save_for_backward(x, weight_d)
        ctx.bias_dtype = None if bias_d is None else bias_d.dtype
        ctx.eps, ctx.centre = eps, centre
        return _run_forward(x, None, weight_d, bias_d, eps, centre)[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor | None, None, None]:
        x, weight_d = ctx.saved_tensors
        dx, dweight, dbias = _run_backward(dy, None, x, weight_d, ctx.bias_dtype is not None, ctx.eps, ctx.centre)
        return dx, dweight.to(weight_d.dtype), None if dbias is None else dbias.to(ctx.bias_dtype), None, None


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, residual: Tensor, weight_d: Tensor, bias_d: Tensor | None, eps: float,
                centre: bool) -> tuple[Tensor, Tensor]:
        y, total = _run_forward(x, residual, weight_d, bias_d, eps, centre)
        ctx.save_for_backward(total, weight_d)
        ctx.bias_dtype = None if bias_d is None else bias_d.dtype
        ctx.eps, ctx.centre, ctx.dtypes = eps, centre, (x.dtype, residual.dtype)
        ctx.set_materialize_grads(False)
        return y, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor | None, dsum: Tensor | None) -> tuple[Tensor | None, ...]:
        total, weight_d = ctx.saved_tensors
        dweight: Tensor | None = None
        dbias: Tensor | None = None
        if dy is not None:
            dx, dweight, dbias = _run_backward(dy, dsum, total, weight_d, ctx.bias_dtype is not None, ctx.eps,
                                               ctx.centre)
            dweight = dweight.to(weight_d.dtype)
            dbias = None if dbias is None else dbias.to(ctx.bias_dtype)
        elif dsum is not None:
            dx = dsum
        else:
            return None, None, None, None, None, None
        return dx.to(ctx.dtypes[0]), dx.to(ctx.dtypes[1]), dweight, dbias, None, None


def _check(x: Tensor, weight_d: Tensor, bias_d: Tensor | None = None, residual: Tensor | None = None) -> None:
    others = {name: y for name, y in (("bias", bias_d), ("residual", residual)) if y is not None}
    check_floating(x=x, weight=weight_d, **others)
    if not x.dim() or weight_d.shape != x.shape[-1:]:
        raise ValueError(f"x is {tuple(x.shape)}, the weight {tuple(weight_d.shape)}")
    if not 1 <= x.shape[-1] <= WIDEST:
        raise ValueError(f"rows of 1 to {WIDEST} features, not {x.shape[-1]}")
    if bias_d is not None and bias_d.shape != weight_d.shape:
        raise ValueError(f"the weight is {tuple(weight_d.shape)}, the bias {tuple(bias_d.shape)}")
    if residual is not None and residual.shape != x.shape:
        raise ValueError(f"x is {tuple(x.shape)}, the residual {tuple(residual.shape)}")


@eager
def rms_norm(x: Tensor, weight_d: Tensor, eps: float = 1e-6) -> Tensor:
    """As reference.rms_norm (Zhang and Sennrich 2019, eq. 4). x: [..., d], d up to 32768; the result has x's dtype."""
    _check(x, weight_d)
    return _Norm.apply(x, weight_d, None, eps, False)


@eager
def layer_norm(x: Tensor, weight_d: Tensor, bias_d: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """As reference.layer_norm. x: [..., d], d up to 32768; the result has x's dtype."""
    _check(x, weight_d, bias_d)
    return _Norm.apply(x, weight_d, bias_d, eps, True)


@eager
def add_rms_norm(x: Tensor, residual: Tensor, weight_d: Tensor, eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    """As reference.add_rms_norm: (rms_norm(x + residual), x + residual), in the wider of the two dtypes."""
    _check(x, weight_d, None, residual)
    return _AddNorm.apply(x, residual, weight_d, None, eps, False)


@eager
def add_layer_norm(x: Tensor, residual: Tensor, weight_d: Tensor, bias_d: Tensor | None = None, eps: float = 1e-6
                   ) -> tuple[Tensor, Tensor]:
    """As reference.add_layer_norm: (layer_norm(x + residual), x + residual), in the wider of the two dtypes."""
    _check(x, weight_d, bias_d, residual)
    return _AddNorm.apply(x, residual, weight_d, bias_d, eps, True)
