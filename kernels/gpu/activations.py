"""SwiGLU, GELU and squared ReLU, forward and backward: arithmetic in fp32, one rounding, one reading of each input.

Axes: n rows (all leading axes), f feature. Rows may be strided: the two halves of a fused gate+up projection are read,
and their gradients written, in place.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from nimllm.kernels.eager import eager
from nimllm.kernels.gpu.launch import INTERPRETED, check_floating, on_device

SWIGLU, GELU, RELU2 = 0, 1, 2
TILE = 512 if INTERPRETED else 4096  # elements of a program; 4 warps x 32 lanes x 32 elements


@triton.jit
def _place(n, f, ROWS: tl.constexpr, COLS: tl.constexpr):
    """The program's tile of an [n, f] matrix: row numbers (64 bits), column numbers, mask."""
    across = tl.cdiv(f, COLS)
    program = tl.program_id(0)
    rows = (program // across).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    cols = (program % across) * COLS + tl.arange(0, COLS)[None, :]
    return rows, cols, (rows < n) & (cols < f)


@triton.jit
def _sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def _forward(x_ptr, up_ptr, y_ptr, n, f, x_stride, up_stride, KIND: tl.constexpr, ROWS: tl.constexpr,
             COLS: tl.constexpr):
    rows, cols, mask = _place(n, f, ROWS, COLS)
    x = tl.load(x_ptr + rows * x_stride + cols, mask=mask, other=0.0).to(tl.float32)
    if KIND == 0:
        up = tl.load(up_ptr + rows * up_stride + cols, mask=mask, other=0.0).to(tl.float32)
        y = x * _sigmoid(x) * up
    elif KIND == 1:
        y = 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))
    else:
        y = tl.where(x <= 0.0, 0.0, x * x)  # asked this way round a NaN stays one
    tl.store(y_ptr + rows * f + cols, y.to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _backward(dy_ptr, x_ptr, up_ptr, dx_ptr, dup_ptr, n, f, dy_stride, x_stride, up_stride, dx_stride, dup_stride,
              KIND: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr):
    rows, cols, mask = _place(n, f, ROWS, COLS)
    dy = tl.load(dy_ptr + rows * dy_stride + cols, mask=mask, other=0.0).to(tl.float32)
    x = tl.load(x_ptr + rows * x_stride + cols, mask=mask, other=0.0).to(tl.float32)
    if KIND == 0:
        up = tl.load(up_ptr + rows * up_stride + cols, mask=mask, other=0.0).to(tl.float32)
        sigmoid = _sigmoid(x)
        dup = dy * x * sigmoid
        tl.store(dup_ptr + rows * dup_stride + cols, dup.to(dup_ptr.dtype.element_ty), mask=mask)
        dx = dy * up * sigmoid * (1.0 + x * (1.0 - sigmoid))
    elif KIND == 1:
        density = 0.3989422804014327 * tl.exp(-0.5 * x * x)
        dx = dy * (0.5 * (1.0 + tl.erf(x * 0.7071067811865476)) + x * density)
    else:
        dx = dy * tl.where(x <= 0.0, 0.0, 2.0 * x)
    tl.store(dx_ptr + rows * dx_stride + cols, dx.to(dx_ptr.dtype.element_ty), mask=mask)


def _rows(x: Tensor) -> Tensor:
    """x as [n, f] with neighbouring features; a view unless the strides forbid it."""
    x = x.reshape(-1, x.shape[-1]) if x.dim() else x.reshape(1, 1)
    return x if x.stride(1) == 1 or x.shape[1] == 1 else x.contiguous()


def _tile(n: int, f: int) -> tuple[int, int, tuple[int]]:
    cols = min(triton.next_power_of_2(f), TILE // 4)
    rows = max(1, min(TILE // cols, triton.next_power_of_2(n)))
    return rows, cols, (triton.cdiv(n, rows) * triton.cdiv(f, cols),)


def _run_forward(kind: int, x: Tensor, up: Tensor | None, dtype: torch.dtype) -> Tensor:
    y = torch.empty(x.shape, dtype=dtype, device=x.device)
    if not y.numel():
        return y
    x_nf = _rows(x)
    up_nf = x_nf if up is None else _rows(up)
    n, f = x_nf.shape
    rows, cols, grid = _tile(n, f)
    with on_device(x):
        _forward[grid](x_nf, up_nf, y, n, f, x_nf.stride(0), up_nf.stride(0), KIND=kind, ROWS=rows, COLS=cols)
    return y


def _run_backward(kind: int, dy: Tensor, x: Tensor, up: Tensor | None, dx: Tensor, dup: Tensor | None) -> None:
    """Writes ``dx`` (and ``dup``), which must be [n, f] views with neighbouring features."""
    if not x.numel():
        return
    dy_nf, x_nf = _rows(dy), _rows(x)
    up_nf = x_nf if up is None else _rows(up)
    dup = dx if dup is None else dup
    n, f = x_nf.shape
    rows, cols, grid = _tile(n, f)
    with on_device(x):
        _backward[grid](dy_nf, x_nf, up_nf, dx, dup, n, f, dy_nf.stride(0), x_nf.stride(0), up_nf.stride(0),
                        dx.stride(0), dup.stride(0), KIND=kind, ROWS=rows, COLS=cols)


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return _run_forward(SWIGLU, gate, up, torch.promote_types(gate.dtype, up.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        dgate, dup = (torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (gate, up))
        _run_backward(SWIGLU, dy, gate, up, _rows(dgate), _rows(dup))
        return dgate, dup


class _FusedSwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, -1)
        return _run_forward(SWIGLU, gate, up, gate_up.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        grad = torch.empty(gate_up.shape, dtype=gate_up.dtype, device=gate_up.device)
        (gate, up), (dgate, dup) = gate_up.chunk(2, -1), _rows(grad).chunk(2, -1)
        _run_backward(SWIGLU, dy, gate, up, dgate, dup)
        return grad


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kind: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.kind = kind
        return _run_forward(kind, x, None, x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        _run_backward(ctx.kind, dy, x, None, _rows(dx), None)
        return dx, None


@eager
def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """As reference.swiglu: silu(gate) * up (Shazeer 2020, eq. 6). Same shapes, any strides, [..., f]."""
    check_floating(gate=gate, up=up)
    if gate.shape != up.shape:
        raise ValueError(f"gate is {tuple(gate.shape)}, up is {tuple(up.shape)}")
    return _SwiGLU.apply(gate, up)


@eager
def swiglu_fused(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of one tensor [..., 2 f], the gates first; the gradient is one tensor, too. Returns [..., f]."""
    check_floating(gate_up=gate_up)
    if gate_up.shape[-1] % 2:
        raise ValueError(f"gate and up need an even number of features, not {gate_up.shape[-1]}")
    return _FusedSwiGLU.apply(gate_up)


@eager
def gelu(x: Tensor) -> Tensor:
    """As reference.gelu: x * Phi(x), exact error function (Hendrycks and Gimpel 2016)."""
    check_floating(x=x)
    return _Pointwise.apply(x, GELU)


@eager
def relu2(x: Tensor) -> Tensor:
    """As reference.relu2: max(x, 0)^2 (So et al. 2021)."""
    check_floating(x=x)
    return _Pointwise.apply(x, RELU2)
