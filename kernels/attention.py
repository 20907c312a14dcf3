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

from nimllm.kernels import fused, native

_DTYPES = {torch.float32: 0, torch.bfloat16: 1}
_Shape = ctypes.c_int64 * 40


@cache
def _native() -> Any:
    return native.function("nimllm_attention", "pfpb", "b")


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
