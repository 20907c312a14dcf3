"""Causal attention for training on a CPU: the C++ kernels of ``csrc/train/attention_body.h``.

Blocks of 128 queries and 128 keys; only the log-sum-exp is kept and the backward pass makes the probabilities again.
Query heads that share a key/value head are worked on together, so keys and values are packed once and never expanded;
q, k and v are read where the projections left them, whatever the strides.
"""

from __future__ import annotations

import ctypes
import math
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nimllm.kernels import fused, native, reference
from nimllm.kernels.eager import eager

_DTYPES = {torch.float32: 0, torch.bfloat16: 1}
_Shape = ctypes.c_int64 * 40


@cache
def _native() -> Any:
    return native.function("nimllm_attention", "pfpb", "b")


@cache
def _native_packed() -> Any:
    return native.function("nimllm_attention_packed", "ppfpb", "i")


def _place(x: Tensor) -> tuple[int, int, int, int]:
    """Address and strides of batch, position and head of a [b, h, t, d] tensor."""
    return x.data_ptr(), x.stride(0), x.stride(2), x.stride(1)


def _readable(x: Tensor) -> Tensor:
    return x if x.stride(3) == 1 or x.shape[3] == 1 else x.contiguous()


def _like_tokens(b: int, h: int, t: int, d: int, like: Tensor) -> Tensor:
    """An empty [b, h, t, d] whose memory is [b, t, h, d]: what the projections read and write."""
    return torch.empty((b, t, h, d), dtype=like.dtype).transpose(1, 2)


def _run(q: Tensor, k: Tensor, causal: bool, lse: Tensor | None, backward: bool, *tensors: Tensor) -> None:
    b, h, t, d = q.shape
    shape = _Shape(b, h, k.shape[1], t, k.shape[2], d, causal, _DTYPES[q.dtype],
                   *(number for x in tensors for number in _place(x)))
    if not _native()(ctypes.addressof(shape), 1.0 / math.sqrt(d), None if lse is None else lse.data_ptr(), backward):
        raise MemoryError("no memory for the scratch of attention")


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        q, k, v = _readable(q), _readable(k), _readable(v)
        b, h, t, d = q.shape
        out = _like_tokens(b, h, t, d, q)
        lse = torch.empty((b, h, t), dtype=torch.float32)
        _run(q, k, causal, lse, False, q, k, v, out)
        ctx.causal = causal
        ctx.save_for_backward(q, k, v, out, lse)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, lse = ctx.saved_tensors
        b, h, t, d = q.shape
        g, s = k.shape[1], k.shape[2]
        grad_q = _like_tokens(b, h, t, d, q)
        grad_k, grad_v = _like_tokens(b, g, s, d, k), _like_tokens(b, g, s, d, v)
        _run(q, k, ctx.causal, lse, True, q, k, v, out, _readable(grad.to(q.dtype)), grad_q, grad_k, grad_v)
        return grad_q, grad_k, grad_v, None


def attention(q_bhtd: Tensor, k_bgsd: Tensor, v_bgsd: Tensor, causal: bool = True) -> Tensor:
    """As reference.attention, except that a query that sees no key gets 0. fp32 or bf16, all three alike; the result
    lies in memory as [b, t, h, d]. Single queries (decoding) and other dtypes go to torch's kernel."""
    b, h, t, d = q_bhtd.shape
    same = q_bhtd.dtype == k_bgsd.dtype == v_bgsd.dtype and q_bhtd.dtype in _DTYPES
    if t == 1 or not same or d == 0 or torch.compiler.is_compiling():
        return fused.attention(q_bhtd, k_bgsd, v_bgsd, causal)
    if k_bgsd.shape != v_bgsd.shape or k_bgsd.shape[0] != b or k_bgsd.shape[3] != d or h % k_bgsd.shape[1]:
        raise ValueError(f"attention: {tuple(q_bhtd.shape)} queries do not fit keys {tuple(k_bgsd.shape)} and values "
                         f"{tuple(v_bgsd.shape)}")
    return _Attention.apply(q_bhtd, k_bgsd, v_bgsd, causal)


def _run_packed(q: Tensor, k: Tensor, bounds: Tensor, causal: bool, lse: Tensor | None, backward: bool,
                *tensors: Tensor) -> None:
    n, h, d = q.shape
    places = (number for x in tensors for number in (x.data_ptr(), 0, x.stride(0), x.stride(1)))
    shape = _Shape(n, len(bounds) - 1, h, k.shape[1], d, causal, _DTYPES[q.dtype], *places)
    failure = _native_packed()(ctypes.addressof(shape), bounds.data_ptr(), 1.0 / math.sqrt(d),
                               None if lse is None else lse.data_ptr(), backward)
    if failure == 1:
        raise MemoryError("no memory for the scratch of attention")
    if failure:
        raise ValueError(f"attention_packed: documents do not ascend from 0 to at most {n} tokens")


class _AttentionPacked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bounds: Tensor, causal: bool) -> Tensor:
        q, k, v = (x if x.stride(2) == 1 or x.shape[2] == 1 else x.contiguous() for x in (q, k, v))
        out = torch.empty(q.shape, dtype=q.dtype)
        out[int(bounds[-1]):] = 0  # tokens of no document
        lse = torch.empty(q.shape[:2], dtype=torch.float32)
        _run_packed(q, k, bounds, causal, lse, False, q, k, v, out)
        ctx.causal = causal
        ctx.save_for_backward(q, k, v, out, lse, bounds)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, lse, bounds = ctx.saved_tensors
        grad = grad.to(q.dtype)
        grad = grad if grad.stride(2) == 1 or grad.shape[2] == 1 else grad.contiguous()
        grads = [torch.empty(x.shape, dtype=x.dtype) for x in (q, k, v)]
        for x in grads:
            x[int(bounds[-1]):] = 0
        _run_packed(q, k, bounds, ctx.causal, lse, True, q, k, v, out, grad, *grads)
        return *grads, None, None


@eager
def attention_packed(q_nhd: Tensor, k_ngd: Tensor, v_ngd: Tensor, cu_seqlens: Tensor, max_len: int,
                     causal: bool = True) -> Tensor:
    """As reference.attention_packed: every document is a piece of work of its own, so a row of short ones costs less
    than one long one. ``max_len`` is not needed here. ValueError for shapes and bounds that do not fit."""
    same = q_nhd.dtype == k_ngd.dtype == v_ngd.dtype and q_nhd.dtype in _DTYPES
    if not same or q_nhd.shape[-1] == 0:
        return reference.attention_packed(q_nhd, k_ngd, v_ngd, cu_seqlens, max_len, causal)
    n, h, d = q_nhd.shape
    if k_ngd.shape != v_ngd.shape or k_ngd.shape[0] != n or k_ngd.shape[2] != d or not k_ngd.shape[1] or \
            h % k_ngd.shape[1]:
        raise ValueError(f"attention_packed: {tuple(q_nhd.shape)} queries do not fit keys {tuple(k_ngd.shape)} and "
                         f"values {tuple(v_ngd.shape)}")
    if cu_seqlens.dim() != 1 or not len(cu_seqlens) or cu_seqlens.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"cu_seqlens is int32 or int64 [documents + 1], not {cu_seqlens.dtype} "
                         f"{tuple(cu_seqlens.shape)}")
    return _AttentionPacked.apply(q_nhd, k_ngd, v_ngd, cu_seqlens.long().contiguous(), causal)
