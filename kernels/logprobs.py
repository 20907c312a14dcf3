"""Log-probability of every row's target, without the whole [rows, vocabulary] matrix: what DPO and KTO compare.

A row's upstream gradient is known only in the backward pass, so the logits are made twice, a chunk at a time, instead
of being kept. What is kept is the inputs and one number a row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 256  # rows of logits held at a time; kernels/loss.py has the measurements


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_nd: Tensor, weight_vd: Tensor, targets_n: Tensor, ignore_index: int, chunk: int,
                dtype: torch.dtype) -> Tensor:
        rows, weight = hidden_nd.to(dtype), weight_vd.to(dtype)
        kept_n = targets_n != ignore_index
        index_n = torch.where(kept_n, targets_n, 0)
        logprobs_n = torch.zeros(targets_n.shape, dtype=torch.float32, device=hidden_nd.device)
        norms_n = torch.zeros_like(logprobs_n)
        for start in range(0, rows.shape[0], chunk):
            part = slice(start, start + chunk)
            logits = (rows[part] @ weight.T).float()
            norms_n[part] = torch.logsumexp(logits, dim=-1)
            picked = logits.gather(1, index_n[part, None]).squeeze(1)
            logprobs_n[part] = torch.where(kept_n[part], picked - norms_n[part], 0.0)
        ctx.save_for_backward(rows, weight, index_n, kept_n, norms_n)
        ctx.dtypes, ctx.chunk = (hidden_nd.dtype, weight_vd.dtype), chunk
        return logprobs_n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream_n: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, index_n, kept_n, norms_n = ctx.saved_tensors
        want_hidden, want_weight = ctx.needs_input_grad[:2]
        hidden_dtype, weight_dtype = ctx.dtypes
        grad_hidden = torch.empty_like(rows) if want_hidden else None
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device) if want_weight else None
        upstream_n = torch.where(kept_n, upstream_n.float(), 0.0)
        for start in range(0, rows.shape[0], ctx.chunk):
            part = slice(start, start + ctx.chunk)
            logits = (rows[part] @ weight.T).float()
            scale = upstream_n[part, None]
            grad = logits.sub_(norms_n[part, None]).exp_().mul_(-scale)  # in the logits' memory
            grad.scatter_add_(1, index_n[part, None], scale)
            # where, not a product: a row that is ignored may hold inf or nan
            grad = torch.where(kept_n[part, None], grad, 0.0).to(weight.dtype)
            if grad_hidden is not None:
                torch.mm(grad, weight, out=grad_hidden[part])
            if grad_weight is not None:
                grad_weight += grad.T @ rows[part]
        return (None if grad_hidden is None else grad_hidden.to(hidden_dtype),
                None if grad_weight is None else grad_weight.to(weight_dtype), None, None, None, None)


def token_logprobs(hidden_nd: Tensor, weight_vd: Tensor, targets_n: Tensor, ignore_index: int = -100,
                   chunk: int = CHUNK) -> Tensor:
    """fp32 [n], in nats, 0 where ignored; the meaning of :func:`nimllm.kernels.reference.token_logprobs`.

    hidden_nd [n, d] and weight_vd [v, d] in one dtype, or any under autocast (the GEMMs then run in autocast's dtype);
    targets_n [n] int64. Memory is chunk * v * 4 bytes. Differentiable once, in hidden and weight.
    """
    device = hidden_nd.device.type
    autocast = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if autocast else torch.promote_types(hidden_nd.dtype, weight_vd.dtype)
    with torch.autocast(device, enabled=False):
        return _TokenLogprobs.apply(hidden_nd, weight_vd, targets_n, ignore_index, chunk, dtype)
