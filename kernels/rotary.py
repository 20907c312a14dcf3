"""QK-norm and rotary positions for training on a CPU, in one pass over a token's heads: ``csrc/train/rotary_body.h``.

Queries and keys are read where the projections left them; nothing but them is kept for the backward pass.
"""

from __future__ import annotations

import ctypes
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nimllm.kernels import native, reference

_DTYPES = {torch.float32: 0, torch.bfloat16: 1}
_ROWS = 64  # kRowsPerPiece of csrc/train/ops.h
_Shape = ctypes.c_int64 * 40


@cache
def _native() -> Any:
    return native.function("nimllm_rotate", "pfb")


@lru_cache(maxsize=16)
def _angles(theta: float, half: int, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [length, half], made as the reference makes them."""
    exponent = torch.arange(half, dtype=torch.float64) / half
    frequency = (theta ** -exponent).to(torch.float32)
    angle = torch.arange(length, dtype=torch.float32)[:, None] * frequency
    return angle.cos(), angle.sin()


def _place(x: Tensor) -> tuple[int, int, int, int]:
    """Address and strides of batch, token and head of a [b, t, h, d] tensor."""
    return x.data_ptr(), x.stride(0), x.stride(1), x.stride(2)


def _readable(x: Tensor) -> Tensor:
    return x if x.stride(3) == 1 or x.shape[3] == 1 else x.contiguous()


def _address(x: Tensor | None) -> int:
    return 0 if x is None else x.data_ptr()


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, q_weight: Tensor | None, k_weight: Tensor | None, eps: float,
                positions: Tensor, theta: float | None) -> tuple[Tensor, Tensor]:
        q, k = _readable(q), _readable(k)
        weights = [None if w is None else w.contiguous() for w in (q_weight, k_weight)]
        b, t, _, d = q.shape
        ctx.eps, ctx.angles = eps, None
        head = [b, t, d, _DTYPES[q.dtype], 0, 0, 0, 0]
        if theta is not None:
            positions = positions.to(torch.int64).contiguous()
            least, most = (int(x) for x in torch.aminmax(positions)) if positions.numel() else (0, 0)
            if least < 0:
                raise ValueError(f"a position is {least}")
            ctx.angles = _angles(float(theta), d // 2, 1 << max(6, most.bit_length()))
            head[4:] = [positions.data_ptr(), t if positions.dim() == 2 else 0, *(x.data_ptr() for x in ctx.angles)]
        ctx.head = head
        outs = [torch.empty(x.shape, dtype=x.dtype) for x in (q, k)]
        shape = _Shape(*head, *(number for x, weight, out in zip((q, k), weights, outs, strict=True)
                                for number in (x.shape[2], _address(weight), *_place(x), *_place(out))))
        _native()(ctypes.addressof(shape), eps, False)
        ctx.save_for_backward(q, k, *weights, positions)
        return outs[0], outs[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, q_weight, k_weight, _ = ctx.saved_tensors
        b, t, _, d = q.shape
        wanted = ctx.needs_input_grad[2:4]
        made, gains, numbers, kept = [], [], [], []
        for x, weight, grad, want in zip((q, k), (q_weight, k_weight), grads, wanted, strict=True):
            grad = _readable(grad.to(x.dtype))
            made.append(torch.empty(x.shape, dtype=x.dtype))
            gains.append(torch.empty_like(weight) if want and weight is not None else None)
            parts = torch.empty((-(-b * t // _ROWS), d), dtype=torch.float32) if gains[-1] is not None else None
            kept += [grad, parts]
            numbers += [x.shape[2], _address(weight), *_place(x), *_place(grad), *_place(made[-1]),
                        _address(gains[-1]), _address(parts)]
        shape = _Shape(*ctx.head, *numbers)
        _native()(ctypes.addressof(shape), ctx.eps, True)
        return *made, *gains, None, None, None


def qk_norm_rope(q_bthd: Tensor, k_btgd: Tensor, q_weight_d: Tensor | None, k_weight_d: Tensor | None, eps: float,
                 positions: Tensor, theta: float | None = 10000.0) -> tuple[Tensor, Tensor]:
    """As reference.qk_norm_rope, rounded once. A weight of None means no norm on that side, theta None no rotation.

    Features must be adjacent in memory or are copied; every other stride is free. ValueError: a negative position.
    """
    b, t, _, d = q_bthd.shape
    usable = (q_bthd.dtype == k_btgd.dtype and q_bthd.dtype in _DTYPES and k_btgd.shape[:2] == (b, t)
              and k_btgd.shape[3] == d > 0 and positions.shape in ((t,), (b, t)) and (theta is None or d % 2 == 0))
    if not usable or torch.compiler.is_compiling():
        q = q_bthd if q_weight_d is None else reference.rms_norm(q_bthd, q_weight_d, eps)
        k = k_btgd if k_weight_d is None else reference.rms_norm(k_btgd, k_weight_d, eps)
        return (q, k) if theta is None else (reference.rope(q, positions, theta), reference.rope(k, positions, theta))
    weights = [None if w is None else w.float() for w in (q_weight_d, k_weight_d)]
    return _Rotate.apply(q_bthd, k_btgd, *weights, eps, positions, theta)


def rope(x_bthd: Tensor, positions: Tensor, theta: float = 10000.0) -> Tensor:
    """As reference.rope."""
    none = x_bthd[:, :, :0]  # no keys
    return qk_norm_rope(x_bthd, none, None, None, 0.0, positions, theta)[0]
