"""Norm of queries and keys over a head's features and their rotation, in one kernel for both, forward and backward.

Instead of four kernels that read and write q and k (two norms, two rotations), one; sines and cosines are made once
for a token and used for all its heads. The backward turns the gradient back, then goes through the norm, which is made
again from the saved q and k; without a norm nothing is saved.

Axes: b batch, t position, h query head, g key head, d feature; n token (b and t), in a program TOKENS of them.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from nimllm.kernels.eager import eager
from nimllm.kernels.gpu.launch import INTERPRETED, check_floating, on_device, processors

TILE = 1024  # elements of one head's tile: 4 warps x 32 lanes x 8 elements, two halves


@triton.jit
def _tokens(tile, b, t, TOKENS: tl.constexpr):
    """Sequence and position, [TOKENS, 1], 64 bits, and whether they exist."""
    tokens = tl.cast(tile, tl.int64) * TOKENS + tl.arange(0, TOKENS)[:, None]
    return tokens // t, tokens % t, tokens < tl.cast(b, tl.int64) * t


@triton.jit
def _angles(positions_ptr, frequency_ptr, sequence, position, exists, features, half, positions_b, positions_t,
            ROTATE: tl.constexpr, TOKENS: tl.constexpr, BLOCK_D: tl.constexpr):
    """Cosine and sine, [TOKENS, BLOCK_D]."""
    if ROTATE:
        at = tl.load(positions_ptr + sequence * positions_b + position * positions_t, mask=exists, other=0)
        angle = at.to(tl.float32) * tl.load(frequency_ptr + features, mask=features < half, other=0.0)
        return tl.cos(angle), tl.sin(angle)
    else:
        return tl.zeros((TOKENS, BLOCK_D), tl.float32), tl.zeros((TOKENS, BLOCK_D), tl.float32)


@triton.jit
def _turn(x_base, y_base, low_gain, high_gain, cos, sin, mask, heads, half, x_head, y_head, eps,
          NORM: tl.constexpr, ROTATE: tl.constexpr):
    """All heads of the tile's tokens: norm, gains, rotation. x_base, y_base: pointers to the low halves of head 0."""
    for head in range(0, heads):
        low = tl.load(x_base + head * x_head, mask=mask, other=0.0).to(tl.float32)
        high = tl.load(x_base + head * x_head + half, mask=mask, other=0.0).to(tl.float32)
        if NORM:
            rstd = tl.rsqrt(tl.sum(low * low + high * high, 1) / (2 * half) + eps)[:, None]
            low *= rstd * low_gain
            high *= rstd * high_gain
        if ROTATE:
            turned = low * cos - high * sin
            high = high * cos + low * sin
            low = turned
        tl.store(y_base + head * y_head, low.to(y_base.dtype.element_ty), mask=mask)
        tl.store(y_base + head * y_head + half, high.to(y_base.dtype.element_ty), mask=mask)


@triton.jit
def _turn_back(dy_base, x_base, dx_base, low_gain, high_gain, dlow_gain, dhigh_gain, cos, sin, mask, heads, half,
               dy_head, x_head, dx_head, eps, NORM: tl.constexpr, ROTATE: tl.constexpr):
    """The reverse of _turn; returns the gains' gradients so far, [TOKENS, BLOCK_D] each."""
    for head in range(0, heads):
        low = tl.load(dy_base + head * dy_head, mask=mask, other=0.0).to(tl.float32)
        high = tl.load(dy_base + head * dy_head + half, mask=mask, other=0.0).to(tl.float32)
        if ROTATE:
            turned = low * cos + high * sin
            high = high * cos - low * sin
            low = turned
        if NORM:
            x_low = tl.load(x_base + head * x_head, mask=mask, other=0.0).to(tl.float32)
            x_high = tl.load(x_base + head * x_head + half, mask=mask, other=0.0).to(tl.float32)
            rstd = tl.rsqrt(tl.sum(x_low * x_low + x_high * x_high, 1) / (2 * half) + eps)[:, None]
            x_low *= rstd
            x_high *= rstd
            dlow_gain += low * x_low
            dhigh_gain += high * x_high
            low *= low_gain
            high *= high_gain
            along = (tl.sum(low * x_low + high * x_high, 1) / (2 * half))[:, None]
            low = rstd * (low - along * x_low)
            high = rstd * (high - along * x_high)
        tl.store(dx_base + head * dx_head, low.to(dx_base.dtype.element_ty), mask=mask)
        tl.store(dx_base + head * dx_head + half, high.to(dx_base.dtype.element_ty), mask=mask)
    return dlow_gain, dhigh_gain


@triton.jit
def _gains(weight_ptr, features, half, NORM: tl.constexpr):
    """The two halves of a head's gains, [1, BLOCK_D]."""
    if NORM:
        low = tl.load(weight_ptr + features, mask=features < half, other=0.0).to(tl.float32)
        high = tl.load(weight_ptr + half + features, mask=features < half, other=0.0).to(tl.float32)
        return low, high
    else:
        return tl.zeros_like(features).to(tl.float32), tl.zeros_like(features).to(tl.float32)


@triton.jit
def _forward(q_ptr, k_ptr, q_weight_ptr, k_weight_ptr, q_out_ptr, k_out_ptr, positions_ptr, frequency_ptr,
             q_b, q_t, q_h, k_b, k_t, k_g, positions_b, positions_t, b, t, h, g, half, eps,
             Q_NORM: tl.constexpr, K_NORM: tl.constexpr, ROTATE: tl.constexpr, TOKENS: tl.constexpr,
             BLOCK_D: tl.constexpr):
    sequence, position, exists = _tokens(tl.program_id(0), b, t, TOKENS)
    features = tl.arange(0, BLOCK_D)[None, :]
    mask = exists & (features < half)
    cos, sin = _angles(positions_ptr, frequency_ptr, sequence, position, exists, features, half, positions_b,
                       positions_t, ROTATE, TOKENS, BLOCK_D)
    d = 2 * half
    token = sequence * t + position
    low, high = _gains(q_weight_ptr, features, half, Q_NORM)
    _turn(q_ptr + sequence * q_b + position * q_t + features, q_out_ptr + token * h * d + features, low, high, cos, sin,
          mask, h, half, q_h, d, eps, Q_NORM, ROTATE)
    low, high = _gains(k_weight_ptr, features, half, K_NORM)
    _turn(k_ptr + sequence * k_b + position * k_t + features, k_out_ptr + token * g * d + features, low, high, cos, sin,
          mask, g, half, k_g, d, eps, K_NORM, ROTATE)


@triton.jit
def _backward(dq_ptr, dk_ptr, q_ptr, k_ptr, q_weight_ptr, k_weight_ptr, dq_in_ptr, dk_in_ptr, dgain_ptr,
              positions_ptr, frequency_ptr, dq_b, dq_t, dq_h, dk_b, dk_t, dk_g, q_b, q_t, q_h, k_b, k_t, k_g,
              positions_b, positions_t, b, t, h, g, half, eps,
              Q_NORM: tl.constexpr, K_NORM: tl.constexpr, ROTATE: tl.constexpr, TOKENS: tl.constexpr,
              BLOCK_D: tl.constexpr):
    """dgain: [programs, 2 (q, k), d] fp32, one row for each program."""
    program = tl.program_id(0)
    features = tl.arange(0, BLOCK_D)[None, :]
    d = 2 * half
    q_low, q_high = _gains(q_weight_ptr, features, half, Q_NORM)
    k_low, k_high = _gains(k_weight_ptr, features, half, K_NORM)
    dq_low = tl.zeros((TOKENS, BLOCK_D), tl.float32)
    dq_high = tl.zeros((TOKENS, BLOCK_D), tl.float32)
    dk_low = tl.zeros((TOKENS, BLOCK_D), tl.float32)
    dk_high = tl.zeros((TOKENS, BLOCK_D), tl.float32)
    tiles = tl.cdiv(tl.cast(b, tl.int64) * t, TOKENS).to(tl.int32)
    for tile in range(program, tiles, tl.num_programs(0)):
        sequence, position, exists = _tokens(tile, b, t, TOKENS)
        mask = exists & (features < half)
        cos, sin = _angles(positions_ptr, frequency_ptr, sequence, position, exists, features, half, positions_b,
                           positions_t, ROTATE, TOKENS, BLOCK_D)
        token = sequence * t + position
        dq_low, dq_high = _turn_back(
            dq_ptr + sequence * dq_b + position * dq_t + features, q_ptr + sequence * q_b + position * q_t + features,
            dq_in_ptr + token * h * d + features, q_low, q_high, dq_low, dq_high, cos, sin, mask, h, half, dq_h, q_h, d,
            eps, Q_NORM, ROTATE)
        dk_low, dk_high = _turn_back(
            dk_ptr + sequence * dk_b + position * dk_t + features, k_ptr + sequence * k_b + position * k_t + features,
            dk_in_ptr + token * g * d + features, k_low, k_high, dk_low, dk_high, cos, sin, mask, g, half, dk_g, k_g, d,
            eps, K_NORM, ROTATE)
    line = tl.arange(0, BLOCK_D)
    place = dgain_ptr + program * 2 * d + line
    if Q_NORM:
        tl.store(place, tl.sum(dq_low, 0), mask=line < half)
        tl.store(place + half, tl.sum(dq_high, 0), mask=line < half)
    if K_NORM:
        tl.store(place + d, tl.sum(dk_low, 0), mask=line < half)
        tl.store(place + d + half, tl.sum(dk_high, 0), mask=line < half)


@functools.lru_cache(maxsize=16)
def _frequency(half: int, theta: float, device: torch.device) -> Tensor:
    """theta^(-i / half) as reference.rope makes it: fp64, then rounded."""
    exponent = torch.arange(half, dtype=torch.float64) / half
    return (theta**-exponent).to(torch.float32).to(device)


def _neighbours(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


def _layout(half: int) -> dict[str, int]:
    width = max(2, triton.next_power_of_2(half))
    return {"TOKENS": 4 if INTERPRETED else max(1, TILE // width), "BLOCK_D": width}


class _QKNormRope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, q_weight: Tensor | None, k_weight: Tensor | None, eps: float,
                positions: Tensor | None, theta: float | None) -> tuple[Tensor, Tensor]:
        q, k = _neighbours(q), _neighbours(k)
        b, t, h, d = q.shape
        g, half = k.shape[2], d // 2
        q_out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
        k_out = torch.empty(k.shape, dtype=k.dtype, device=k.device)
        # what the constants leave unread stands for what is missing
        frequency = q if theta is None else _frequency(half, float(theta), q.device)
        where = q if positions is None else positions
        steps = (0, 0) if positions is None else (0 if positions.shape[0] == 1 or positions.dim() == 1
                                                  else positions.stride(0), positions.stride(-1))
        constants = {"Q_NORM": q_weight is not None, "K_NORM": k_weight is not None, "ROTATE": theta is not None,
                     **_layout(half)}
        if b * t:
            with on_device(q):
                _forward[(triton.cdiv(b * t, constants["TOKENS"]),)](
                    q, k, q if q_weight is None else q_weight.contiguous(),
                    k if k_weight is None else k_weight.contiguous(), q_out, k_out, where, frequency,
                    *q.stride()[:3], *k.stride()[:3], *steps, b, t, h, g, half, eps, **constants)
        # where there is no norm its input is not needed
        ctx.save_for_backward(None if q_weight is None else q, None if k_weight is None else k, q_weight, k_weight,
                              None if theta is None else positions, None if theta is None else frequency)
        ctx.sizes, ctx.steps, ctx.eps, ctx.constants = (b, t, h, g, half), steps, eps, constants
        return q_out, k_out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dq: Tensor, dk: Tensor) -> tuple[Tensor | None, ...]:
        q, k, q_weight, k_weight, positions, frequency = ctx.saved_tensors
        b, t, h, g, half = ctx.sizes
        dq, dk = _neighbours(dq), _neighbours(dk)
        dq_in = torch.empty(dq.shape, dtype=dq.dtype, device=dq.device)
        dk_in = torch.empty(dk.shape, dtype=dk.dtype, device=dk.device)
        programs = min(triton.cdiv(b * t, ctx.constants["TOKENS"]), 4 * processors(dq.device))
        parts = torch.empty((programs, 2, 2 * half), dtype=torch.float32, device=dq.device)
        q, k = dq if q is None else q, dk if k is None else k
        if b * t:
            with on_device(dq):
                _backward[(programs,)](
                    dq, dk, q, k, dq if q_weight is None else q_weight.contiguous(),
                    dk if k_weight is None else k_weight.contiguous(), dq_in, dk_in, parts,
                    dq if positions is None else positions, dq if frequency is None else frequency,
                    *dq.stride()[:3], *dk.stride()[:3], *q.stride()[:3], *k.stride()[:3], *ctx.steps, b, t, h, g, half,
                    ctx.eps, **ctx.constants)
        dq_weight = None if q_weight is None else parts[:, 0].sum(0).to(q_weight.dtype)
        dk_weight = None if k_weight is None else parts[:, 1].sum(0).to(k_weight.dtype)
        return dq_in, dk_in, dq_weight, dk_weight, None, None, None


def _check(q: Tensor, k: Tensor, q_weight: Tensor | None, k_weight: Tensor | None, positions: Tensor | None,
           theta: float | None) -> None:
    gains = {name: x for name, x in (("q_weight", q_weight), ("k_weight", k_weight)) if x is not None}
    check_floating(q=q, k=k, **gains)
    if q.dim() != 4 or k.dim() != 4 or q.shape[:2] != k.shape[:2] or q.shape[3] != k.shape[3]:
        raise ValueError(f"q is [b, t, h, d] and k [b, t, g, d], not {tuple(q.shape)} and {tuple(k.shape)}")
    d = q.shape[3]
    if d % 2 or not d:
        raise ValueError(f"a head needs an even number of features, not {d}")
    for name, x in gains.items():
        if x.shape != (d,):
            raise ValueError(f"{name} is {tuple(x.shape)}, a head has {d} features")
    if theta is None:
        return
    b, t = q.shape[:2]
    if positions is None or positions.is_floating_point() or positions.shape not in ((t,), (1, t), (b, t)):
        raise ValueError("a rotation needs positions, integers of shape [t] or [b, t]")
    if positions.device != q.device:
        raise ValueError(f"positions are on {positions.device}, q on {q.device}")


@eager
def qk_norm_rope(q_bthd: Tensor, k_btgd: Tensor, q_weight_d: Tensor | None, k_weight_d: Tensor | None, eps: float,
                 positions: Tensor | None, theta: float | None = 10000.0) -> tuple[Tensor, Tensor]:
    """As reference.qk_norm_rope: rms_norm of each head where a weight is given, then rope unless theta is None.

    Rounds once, at the end, where the two ops in turn round twice. positions: integers, [t] or [b, t]. Any strides
    whose last is 1 without a copy; the results are contiguous [b, t, h, d] and [b, t, g, d]. ValueError for shapes
    that do not fit.
    """
    _check(q_bthd, k_btgd, q_weight_d, k_weight_d, positions, theta)
    return _QKNormRope.apply(q_bthd, k_btgd, q_weight_d, k_weight_d, eps, positions, theta)


@eager
def rope(x_bthd: Tensor, positions: Tensor, theta: float = 10000.0) -> Tensor:
    """As reference.rope. x_bthd: [b, t, h, d], d even; positions: integers, [t] or [b, t]."""
    empty = x_bthd[:, :, :0]  # the kernel turns queries and keys; here there are no keys
    _check(x_bthd, empty, None, None, positions, theta)
    return _QKNormRope.apply(x_bthd, empty, None, None, 0.0, positions, theta)[0]
