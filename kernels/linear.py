"""Linear layers on a CPU: bf16 copies of the weights made once per value, fp32 products by oneDNN.

* Under autocast the activations and weights of a product are bf16. The copy of a weight, of several weights stacked
  where they share their input (query, key and value; gate and up), is kept until the weight changes, so a step makes it
  once, whatever the number of micro-batches, and evaluation makes none.
* In fp32, torch.mm reaches 40 % of an AVX-512 machine (213 GFLOP/s of 533 on two Zen 5 cores: MKL takes its AVX2 path
  there); oneDNN's fp32 product, which torch uses only for convolutions and in torch.compile, reaches 475.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.weak import WeakTensorKeyDictionary

from nimllm.kernels import native, reference

_FEW = 16  # rows below which torch's own product is as fast

# first weight -> (what it was made of, the copy)
_COPIES: Any = WeakTensorKeyDictionary()


def in_dtype(weights: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """The weights [o_i, d] as one detached tensor [sum of o_i, d] in ``dtype``; the same one until a weight changes.

    Whoever writes to a weight behind torch's back (by its address) calls ``torch.autograd.graph.increment_version``.
    """
    first = weights[0]
    if len(weights) == 1 and first.dtype == dtype:
        return first.detach()
    if any(weight.is_inference() or not weight.is_leaf for weight in weights):
        return torch.cat([weight.detach().to(dtype) for weight in weights])
    made_of = (dtype, *((id(weight), weight._version, weight.data_ptr()) for weight in weights))
    known = _COPIES.get(first)
    if known is not None and known[0] == made_of:
        return known[1]
    rows = [weight.shape[0] for weight in weights]
    copy = torch.empty(sum(rows), first.shape[1], dtype=dtype, device=first.device)
    with torch.no_grad():
        for weight, part in zip(weights, copy.split(rows), strict=True):
            part.copy_(weight.detach())
    _COPIES[first] = (made_of, copy)
    return copy


@cache
def _onednn() -> Any:
    """oneDNN's x w^T + b, or None."""
    if not torch.backends.mkldnn.is_available() or native.available_avx512() is not None:
        return None  # elsewhere torch's own product is as good
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def product(x_nd: Tensor, w_od: Tensor, bias_o: Tensor | None = None) -> Tensor:
    """x w^T + bias, [n, o], for detached tensors of one dtype, contiguous or transposed."""
    call = _onednn() if x_nd.dtype == torch.float32 and min(*x_nd.shape, w_od.shape[0]) >= _FEW else None
    if call is not None:
        return call(x_nd, w_od, bias_o, "none", [], "")
    return torch.mm(x_nd, w_od.T) if bias_o is None else torch.addmm(bias_o, x_nd, w_od.T)


def widen(narrow: Tensor, wide: Tensor, add: bool = False) -> Tensor:
    """wide (fp32) = narrow (bf16), or += with ``add``; both contiguous and of one size."""
    _widen()(narrow.data_ptr(), wide.data_ptr(), narrow.numel(), add)
    return wide


@cache
def _widen() -> Any:
    return native.function("nimllm_train_widen", "ppib")


def _gathered(grads: Sequence[Tensor], rows: Sequence[int]) -> Tensor:
    """The gradients [n, o_i] side by side, [n, sum of o_i]; no copy where they already are slices of such a tensor."""
    first, total = grads[0], sum(rows)
    if len(grads) == 1:
        return first.contiguous()
    at = first.storage_offset()
    for grad, width in zip(grads, rows, strict=True):
        if (grad.untyped_storage().data_ptr() != first.untyped_storage().data_ptr() or grad.storage_offset() != at
                or grad.stride() != (total, 1)):
            return torch.cat(tuple(grads), dim=1)
        at += width
    return first.as_strided((first.shape[0], total), (total, 1))


class _Linears(torch.autograd.Function):
    """y_i = x w_i^T + b_i; weights and biases alternate in ``parameters``, a bias may be None."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype, *parameters: Tensor | None) -> tuple[Tensor, ...]:
        weights: list[Tensor] = [weight for weight in parameters[::2] if weight is not None]
        biases = parameters[1::2]
        ctx.rows = [weight.shape[0] for weight in weights]
        ctx.shape, ctx.x_dtype, ctx.parameters = x.shape, x.dtype, [p if p is None else p.dtype for p in parameters]
        x_nd = x.reshape(-1, x.shape[-1]).to(dtype).contiguous()
        if dtype == torch.float32:  # stacking would copy the weights
            held = [weight.detach() for weight in weights]
            made = [product(x_nd, w, b) for w, b in zip(held, biases, strict=True)]
        else:
            held = [in_dtype(weights, dtype)]
            bias = None
            if any(b is not None for b in biases):
                bias = torch.cat([x_nd.new_zeros(o) if b is None else b.detach().to(dtype)
                                  for o, b in zip(ctx.rows, biases, strict=True)])
            made = list(product(x_nd, held[0], bias).split(ctx.rows, dim=1))
        ctx.save_for_backward(x_nd, *held)
        return tuple(y.unflatten(0, x.shape[:-1]) for y in made)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        x_nd, *held = ctx.saved_tensors
        needs, rows = ctx.needs_input_grad, ctx.rows
        grads = [g.reshape(-1, g.shape[-1]).to(x_nd.dtype) for g in upstream]
        if x_nd.dtype != torch.float32:
            grads = [_gathered(grads, rows)]
        grad_x: Tensor | None = None
        if needs[0]:
            for grad, weight in zip(grads, held, strict=True):
                part = product(grad.contiguous(), weight.T)
                grad_x = part if grad_x is None else grad_x.add_(part)
            assert grad_x is not None
            grad_x = grad_x.view(ctx.shape).to(ctx.x_dtype)
        result: list[Tensor | None] = [grad_x, None]
        weight_grads: list[Tensor | None] = [None] * len(rows)
        if any(needs[2::2]):
            made = [product(grad.T, x_nd.T) for grad in grads]
            if x_nd.dtype == torch.bfloat16 and all(d == torch.float32 for d in ctx.parameters[::2]):
                made = [widen(made[0], torch.empty(made[0].shape, dtype=torch.float32))]
            weight_grads = list(made if len(made) == len(rows) else made[0].split(rows))
        columns = grads if len(grads) == len(rows) else list(grads[0].split(rows, dim=1))
        for i in range(len(rows)):
            weight_grad = weight_grads[i] if needs[2 + 2 * i] else None
            result.append(None if weight_grad is None else weight_grad.to(ctx.parameters[2 * i]))
            result.append(columns[i].sum(0, dtype=torch.float32).to(ctx.parameters[2 * i + 1])
                          if needs[3 + 2 * i] else None)
        return tuple(result)


def linears(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None] | None = None
            ) -> tuple[Tensor, ...]:
    """As reference.linears: several layers of one input, x [..., d] and weights [o_i, d] to [..., o_i] each.

    In bf16 the results are slices of one tensor: contiguous in their last axis only. Differentiable once.
    """
    biases = biases or [None] * len(weights)
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return reference.linears(x, weights, biases)
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    rows = x.numel() // max(1, x.shape[-1])
    given = [p for p in (*weights, *biases) if p is not None]
    mixed = any(p.dtype != x.dtype for p in given) and not torch.is_autocast_enabled("cpu")  # torch's error to raise
    wide = dtype == torch.float32 and any(p.dtype != dtype for p in (x, *given))
    if dtype not in (torch.float32, torch.bfloat16) or rows < _FEW or mixed or wide or not x.shape[-1]:
        return reference.linears(x, weights, biases)
    parameters = [part for pair in zip(weights, biases, strict=True) for part in pair]
    with torch.autocast("cpu", enabled=False):
        return _Linears.apply(x, dtype, *parameters)


def linear(x: Tensor, weight_od: Tensor, bias_o: Tensor | None = None) -> Tensor:
    """As reference.linear: x w^T + bias over the last axis. Differentiable once."""
    return linears(x, [weight_od], [bias_o])[0]
