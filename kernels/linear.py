"""Linear layers on a CPU: fp32 products by oneDNN, and bf16 copies of weights made once per value.

In fp32, torch.mm reaches 40 % of an AVX-512 machine (213 GFLOP/s of 533 on two Zen 5 cores: MKL takes its AVX2 path
there); oneDNN's fp32 product, which torch uses only for convolutions and in torch.compile, reaches 475. A step of the
10.7M character model in fp32: 1.8 times as fast. In bf16 torch.mm is oneDNN's and reaches 800 to 1000 of 1075, so
autocast does what can be done; stacked products for query, key and value with copies of our own gained nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.weak import WeakTensorKeyDictionary

from nimllm.kernels import native

_FEW = 16  # rows or columns below which torch's own product is as fast

# weight -> (what the copy was made of, the copy)
_COPIES: Any = WeakTensorKeyDictionary()


def in_dtype(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A detached, contiguous copy of the weight in ``dtype``; of a parameter the same one until its values change.

    Whoever writes to a weight behind torch's back (by its address) calls ``torch.autograd.graph.increment_version``.
    """
    if weight.dtype == dtype or weight.is_inference() or not weight.is_leaf:
        return weight.detach().to(dtype).contiguous()
    made_of = dtype, weight._version, weight.data_ptr()
    known = _COPIES.get(weight)
    if known is not None and known[0] == made_of:
        return known[1]
    _COPIES.pop(weight, None)  # freed before the new one is made, unless a graph holds it
    copy = weight.detach().to(dtype).contiguous()
    _COPIES[weight] = (made_of, copy)
    return copy


def forget_copies() -> None:
    """After weights were written without a trace in their version counters (FSDP gathers them so)."""
    _COPIES.clear()


@cache
def available() -> str | None:
    """None when oneDNN's fp32 product is there and faster than torch.mm, else the reason in a sentence: then
    :func:`linear` is torch's. The table asks native.available_avx512 alone, which does not import torch."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return "this torch has no oneDNN"
    return native.available_avx512()


def product(x_nd: Tensor, w_od: Tensor, bias_o: Tensor | None = None) -> Tensor:
    """x w^T + bias, [n, o], for tensors of one dtype, contiguous or transposed; not differentiable."""
    if x_nd.dtype == torch.float32 and min(*x_nd.shape, w_od.shape[0]) >= _FEW and available() is None:
        return torch.ops.mkldnn._linear_pointwise(x_nd, w_od, bias_o, "none", [], "")
    return torch.mm(x_nd, w_od.T) if bias_o is None else torch.addmm(bias_o, x_nd, w_od.T)


def widen(narrow: Tensor, wide: Tensor, add: bool = False) -> Tensor:
    """wide (fp32) = narrow (bf16), or += with ``add``; both contiguous and of one size."""
    _widen()(narrow.data_ptr(), wide.data_ptr(), narrow.numel(), add)
    return wide


@cache
def _widen() -> Any:
    return native.function("nimllm_train_widen", "ppib")


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_od: Tensor, bias_o: Tensor | None) -> Tensor:
        x_nd = x.reshape(-1, x.shape[-1])
        ctx.save_for_backward(x_nd, weight_od)
        ctx.shape = x.shape
        return product(x_nd.detach(), weight_od.detach(), None if bias_o is None else bias_o.detach()).view(
            *x.shape[:-1], weight_od.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x_nd, weight_od = ctx.saved_tensors
        grad_no = upstream.reshape(-1, upstream.shape[-1]).contiguous()
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (product(grad_no, weight_od.T).view(ctx.shape) if needs_x else None,
                product(grad_no.T, x_nd.T) if needs_weight else None,
                grad_no.sum(0) if needs_bias else None)


def linear(x: Tensor, weight_od: Tensor, bias_o: Tensor | None = None) -> Tensor:
    """As reference.linear: x weight^T + bias over the last axis, [..., d] to [..., o]. Differentiable once in fp32;
    whatever is not fp32, and few rows (decoding), goes to torch."""
    given = (x, weight_od) if bias_o is None else (x, weight_od, bias_o)
    fits = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in given)
    few = weight_od.dim() != 2 or min(*weight_od.shape) < _FEW or x.numel() < _FEW * x.shape[-1]
    if not fits or few or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling() or x.dim() < 2:
        return F.linear(x, weight_od, bias_o)
    if x.shape[-1] != weight_od.shape[1] or available() is not None:
        return F.linear(x, weight_od, bias_o)  # torch's error, or torch's product
    return _Linear.apply(x, weight_od, bias_o)
