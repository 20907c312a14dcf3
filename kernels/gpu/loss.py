"""Linear + cross entropy, and log-probabilities of targets, on a GPU: a chunk of rows at a time.

The three matrix products are the GPU library's; a Triton kernel between them reads a chunk's logits twice and turns
them in place into the gradient of the loss. Against one kernel that multiplies too (Cut Cross Entropy): the logits are
written and read a few times, but once they fit the L2 cache that is cheap, every FLOP is done once instead of twice,
and Triton's matrix product need not compete with cuBLAS. Against whole logits: memory is ``CHUNK`` elements whatever n.

Statistics are fp32; the logits have the dtype of the matrix product, as in the reference. A target outside the
vocabulary gives NaN, not a read outside: checking it on the host would wait for the GPU.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from nimllm.kernels.eager import eager
from nimllm.kernels.gpu.launch import on_device

CHUNK = 2**25  # logits held at a time: 64 MiB of bf16, about an H200's L2 (50 MiB). To be measured
_BLOCK = 4096
_WARPS = 8


@triton.jit
def _absorb(largest, total, x):
    """The running maximum, and the sum of exponentials relative to it, after the values x."""
    new = tl.maximum(largest, tl.max(x, 0))
    shift = tl.where(new == float("-inf"), 0.0, new)  # only -inf so far: inf - inf would be NaN
    return new, total * tl.exp(largest - shift) + tl.sum(tl.exp(x - shift), 0)


@triton.jit
def _log_softmax_rows(logits_ptr, row_stride, targets_ptr, logprobs_ptr, norms_ptr, vocabulary, ignore_index,
                      GRADIENT: tl.constexpr, BLOCK: tl.constexpr):
    """Log-probability of the target and log of the sum, per row. GRADIENT: the logits become soft-max minus one-hot."""
    row = tl.program_id(0).to(tl.int64)  # row * row_stride passes 2^31
    target = tl.load(targets_ptr + row)
    logits_ptr += row * row_stride
    lanes = tl.arange(0, BLOCK)
    # whole blocks without a mask: a mask whose bound is no multiple of 16 turns vector loads into single ones
    whole = vocabulary // BLOCK * BLOCK
    if target == ignore_index:
        tl.store(logprobs_ptr + row, 0.0)
        tl.store(norms_ptr + row, 0.0)
        if GRADIENT:
            zeros = tl.zeros([BLOCK], tl.float32).to(logits_ptr.dtype.element_ty)
            for start in range(0, whole, BLOCK):
                tl.store(logits_ptr + start + lanes, zeros)
            tl.store(logits_ptr + whole + lanes, zeros, mask=whole + lanes < vocabulary)
    else:
        inside = (target >= 0) & (target < vocabulary)
        picked = tl.load(logits_ptr + target, mask=inside, other=float("nan")).to(tl.float32)
        largest = float("-inf")
        total = 0.0
        for start in range(0, whole, BLOCK):
            largest, total = _absorb(largest, total, tl.load(logits_ptr + start + lanes).to(tl.float32))
        if whole < vocabulary:
            x = tl.load(logits_ptr + whole + lanes, mask=whole + lanes < vocabulary, other=float("-inf"))
            largest, total = _absorb(largest, total, x.to(tl.float32))
        norm = largest + tl.log(total)
        tl.store(logprobs_ptr + row, picked - norm)
        tl.store(norms_ptr + row, norm)
        if GRADIENT:
            for start in range(0, whole, BLOCK):
                columns = start + lanes
                x = tl.load(logits_ptr + columns).to(tl.float32)
                gradient = tl.exp(x - norm) - tl.where(columns == target, 1.0, 0.0)
                tl.store(logits_ptr + columns, gradient.to(logits_ptr.dtype.element_ty))
            if whole < vocabulary:
                columns = whole + lanes
                x = tl.load(logits_ptr + columns, mask=columns < vocabulary, other=0.0).to(tl.float32)
                gradient = tl.exp(x - norm) - tl.where(columns == target, 1.0, 0.0)
                tl.store(logits_ptr + columns, gradient.to(logits_ptr.dtype.element_ty), mask=columns < vocabulary)


@triton.jit
def _logprob_gradient_rows(logits_ptr, row_stride, targets_ptr, norms_ptr, upstream_ptr, vocabulary, ignore_index,
                           BLOCK: tl.constexpr):
    """The logits become upstream * (one-hot - soft-max); a row that is ignored becomes 0, whatever it holds."""
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(targets_ptr + row)
    kept = target != ignore_index
    norm = tl.load(norms_ptr + row)
    upstream = tl.load(upstream_ptr + row).to(tl.float32)
    logits_ptr += row * row_stride
    lanes = tl.arange(0, BLOCK)
    whole = vocabulary // BLOCK * BLOCK
    for start in range(0, whole, BLOCK):
        columns = start + lanes
        x = tl.load(logits_ptr + columns).to(tl.float32)
        gradient = upstream * (tl.where(columns == target, 1.0, 0.0) - tl.exp(x - norm))
        tl.store(logits_ptr + columns, tl.where(kept, gradient, 0.0).to(logits_ptr.dtype.element_ty))
    if whole < vocabulary:
        columns = whole + lanes
        x = tl.load(logits_ptr + columns, mask=columns < vocabulary, other=0.0).to(tl.float32)
        gradient = upstream * (tl.where(columns == target, 1.0, 0.0) - tl.exp(x - norm))
        gradient = tl.where(kept, gradient, 0.0).to(logits_ptr.dtype.element_ty)
        tl.store(logits_ptr + columns, gradient, mask=columns < vocabulary)


def log_softmax_rows(logits_nv: Tensor, targets_n: Tensor, logprobs_n: Tensor, norms_n: Tensor, ignore_index: int,
                     gradient: bool) -> None:
    """Fills ``logprobs_n`` and ``norms_n`` (fp32); with ``gradient`` the logits become soft-max minus one-hot."""
    n, v = logits_nv.shape
    block = min(_BLOCK, triton.next_power_of_2(v))
    with on_device(logits_nv):
        _log_softmax_rows[(n,)](logits_nv, logits_nv.stride(0), targets_n, logprobs_n, norms_n, v, ignore_index,
                                GRADIENT=gradient, BLOCK=block, num_warps=_WARPS)


def logprob_gradient_rows(logits_nv: Tensor, targets_n: Tensor, norms_n: Tensor, upstream_n: Tensor,
                          ignore_index: int) -> None:
    """The logits become the gradient of sum(upstream * log-probability of the target)."""
    n, v = logits_nv.shape
    block = min(_BLOCK, triton.next_power_of_2(v))
    with on_device(logits_nv):
        _logprob_gradient_rows[(n,)](logits_nv, logits_nv.stride(0), targets_n, norms_n, upstream_n, v, ignore_index,
                                     BLOCK=block, num_warps=_WARPS)


def _chunks(n: int, v: int, chunk: int | None) -> list[slice]:
    """Rows that are done together. A multiple of 128, the largest tile of a matrix product, unless it is given."""
    rows = max(128, CHUNK // v // 128 * 128) if chunk is None else chunk
    return [slice(start, min(n, start + rows)) for start in range(0, n, rows)]


def _logits_buffer(parts: list[slice], v: int, like: Tensor) -> Tensor:
    """One chunk's logits; the rows begin at multiples of 128 bytes, since matrix products crawl on odd strides. Zeros:
    oneDNN's bf16 product on AMX multiplies what lies behind the end of a row by 0, and garbage may be NaN."""
    rows = max((part.stop - part.start for part in parts), default=0)
    return torch.zeros(rows, -(-v // 64) * 64, dtype=like.dtype, device=like.device)[:, :v]


def _product(rows: Tensor, weight: Tensor, buffer: Tensor) -> Tensor:
    return torch.mm(rows, weight.T, out=buffer[: rows.shape[0]])


def _accumulate(grad_weight: Tensor, grad: Tensor, rows: Tensor) -> None:
    """grad_weight (fp32) += grad^T rows."""
    if rows.dtype == torch.float32:
        grad_weight.addmm_(grad.T, rows)
    else:
        grad_weight += grad.T @ rows


def _prepared(hidden_nd: Tensor, weight_vd: Tensor, targets_n: Tensor) -> torch.dtype:
    """The matrix products' dtype: autocast's, or the inputs'. ValueError for shapes that do not belong together."""
    if hidden_nd.dim() != 2 or weight_vd.dim() != 2 or hidden_nd.shape[1] != weight_vd.shape[1]:
        raise ValueError(f"hidden {tuple(hidden_nd.shape)} and weight {tuple(weight_vd.shape)} are not [n, d], [v, d]")
    if targets_n.shape != hidden_nd.shape[:1] or targets_n.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"targets: one integer a row, not {targets_n.dtype} {tuple(targets_n.shape)}")
    if not hidden_nd.device == weight_vd.device == targets_n.device:
        devices = f"{hidden_nd.device}, {weight_vd.device}, {targets_n.device}"
        raise ValueError(f"hidden, weight and targets are on {devices}")
    device = hidden_nd.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return torch.promote_types(hidden_nd.dtype, weight_vd.dtype)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_nd: Tensor, weight_vd: Tensor, targets_n: Tensor, ignore_index: int,
                chunk: int | None, dtype: torch.dtype, want_hidden: bool, want_weight: bool) -> Tensor:
        """Loss, and the gradients of the *sum* of the losses, unscaled: fp16's small values would vanish in a mean."""
        rows, weight, targets_n = hidden_nd.to(dtype), weight_vd.to(dtype), targets_n.contiguous()
        n, v = rows.shape[0], weight.shape[0]
        logprobs_n = torch.zeros(n, dtype=torch.float32, device=rows.device)
        norms_n = torch.empty_like(logprobs_n)
        grad_hidden = torch.empty_like(rows, memory_format=torch.contiguous_format) if want_hidden else None
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device) if want_weight else None
        parts = _chunks(n, v, chunk)
        buffer = _logits_buffer(parts, v, rows)
        for part in parts:
            logits = _product(rows[part], weight, buffer)
            log_softmax_rows(logits, targets_n[part], logprobs_n[part], norms_n[part], ignore_index,
                             want_hidden or want_weight)
            if grad_hidden is not None:
                torch.mm(logits, weight, out=grad_hidden[part])
            if grad_weight is not None:
                _accumulate(grad_weight, logits, rows[part])
        scale = 1.0 / (targets_n != ignore_index).sum().clamp(min=1).float()
        ctx.dtypes = hidden_nd.dtype, weight_vd.dtype
        ctx.save_for_backward(grad_hidden, grad_weight, scale)
        return -logprobs_n.sum() * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight, scale = ctx.saved_tensors
        factor = grad_loss.float() * scale
        hidden_dtype, weight_dtype = ctx.dtypes
        # new tensors, so that a second backward (retain_graph) finds the saved ones unscaled
        made = (None if grad_hidden is None else (grad_hidden.float() * factor).to(hidden_dtype),
                None if grad_weight is None else (grad_weight * factor).to(weight_dtype))
        return *made, None, None, None, None, None, None


@eager
def linear_cross_entropy(hidden_nd: Tensor, weight_vd: Tensor, targets_n: Tensor, ignore_index: int = -100,
                         chunk: int | None = None) -> Tensor:
    """Mean loss in nats, an fp32 scalar; the meaning of :func:`nimllm.kernels.reference.linear_cross_entropy`.

    hidden_nd [n, d] and weight_vd [v, d] in one dtype, or any under autocast (the matrix products then run in
    autocast's dtype); targets_n [n] int32 or int64. ``chunk``: rows at a time, chosen by itself when None.
    Differentiable once, in hidden and weight.
    """
    dtype = _prepared(hidden_nd, weight_vd, targets_n)
    grad = torch.is_grad_enabled()
    with torch.autocast(hidden_nd.device.type, enabled=False):
        return _LinearCrossEntropy.apply(hidden_nd, weight_vd, targets_n, ignore_index, chunk, dtype,
                                         grad and hidden_nd.requires_grad, grad and weight_vd.requires_grad)


class _TokenLogprobs(torch.autograd.Function):
    """A row's upstream gradient comes with the backward pass: the logits are made a second time there, not kept."""

    @staticmethod
    def forward(ctx: Any, hidden_nd: Tensor, weight_vd: Tensor, targets_n: Tensor, ignore_index: int,
                chunk: int | None, dtype: torch.dtype) -> Tensor:
        rows, weight, targets_n = hidden_nd.to(dtype), weight_vd.to(dtype), targets_n.contiguous()
        n, v = rows.shape[0], weight.shape[0]
        logprobs_n = torch.zeros(n, dtype=torch.float32, device=rows.device)
        norms_n = torch.empty_like(logprobs_n)
        parts = _chunks(n, v, chunk)
        buffer = _logits_buffer(parts, v, rows)
        for part in parts:
            logits = _product(rows[part], weight, buffer)
            log_softmax_rows(logits, targets_n[part], logprobs_n[part], norms_n[part], ignore_index, gradient=False)
        ctx.save_for_backward(rows, weight, targets_n, norms_n)
        ctx.settings = ignore_index, chunk, hidden_nd.dtype, weight_vd.dtype
        return logprobs_n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream_n: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, targets_n, norms_n = ctx.saved_tensors
        ignore_index, chunk, hidden_dtype, weight_dtype = ctx.settings
        want_hidden, want_weight = ctx.needs_input_grad[:2]
        n, v = rows.shape[0], weight.shape[0]
        grad_hidden = torch.empty_like(rows, memory_format=torch.contiguous_format) if want_hidden else None
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device) if want_weight else None
        upstream_n = upstream_n.contiguous()
        parts = _chunks(n, v, chunk)
        buffer = _logits_buffer(parts, v, rows)
        for part in parts:
            logits = _product(rows[part], weight, buffer)
            logprob_gradient_rows(logits, targets_n[part], norms_n[part], upstream_n[part], ignore_index)
            if grad_hidden is not None:
                torch.mm(logits, weight, out=grad_hidden[part])
            if grad_weight is not None:
                _accumulate(grad_weight, logits, rows[part])
        return (None if grad_hidden is None else grad_hidden.to(hidden_dtype),
                None if grad_weight is None else grad_weight.to(weight_dtype), None, None, None, None)


@eager
def token_logprobs(hidden_nd: Tensor, weight_vd: Tensor, targets_n: Tensor, ignore_index: int = -100,
                   chunk: int | None = None) -> Tensor:
    """fp32 [n], in nats, 0 where ignored; the meaning of :func:`nimllm.kernels.reference.token_logprobs`.

    Arguments as :func:`linear_cross_entropy`'s. Differentiable once, in hidden and weight.
    """
    dtype = _prepared(hidden_nd, weight_vd, targets_n)
    with torch.autocast(hidden_nd.device.type, enabled=False):
        return _TokenLogprobs.apply(hidden_nd, weight_vd, targets_n, ignore_index, chunk, dtype)
