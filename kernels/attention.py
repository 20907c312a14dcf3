"""Causal attention for training on a CPU, by blocks of queries.

torch's CPU flash attention runs far from its FLOPs at these sizes (16 x 6 heads x 512 x 64, bf16, two Zen 5 cores:
forward 36 ms, backward 73). Blocks of 128 queries against the keys they may see, as batched GEMMs with the
probabilities kept for the backward: forward 13 ms, backward 31. Memory: b * h * t * (t + block) / 2 probabilities in
the inputs' dtype, per layer, until the backward; torch's own keeps none.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nimllm.kernels import fused

BLOCK = 128  # queries; 64: 13.7 + 29.2 ms, 128: 12.9 + 31.4 ms, 256: 21.0 + 44.0 ms at the shape above
LONGEST = 2048  # beyond this the kept probabilities cost more memory than the speed is worth


class _BlockedAttention(torch.autograd.Function):
    """q, k, v: [n, t, d] with n = batch * query heads (key/value heads already repeated); q is already scaled."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        t = q.shape[1]
        out = torch.empty_like(q)
        kept: list[Tensor] = []
        triangle = torch.full((BLOCK, BLOCK), float("-inf"), dtype=q.dtype, device=q.device).triu(1)
        for start in range(0, t, BLOCK):
            end = min(t, start + BLOCK)
            scores = torch.bmm(q[:, start:end], k[:, :end].transpose(1, 2))
            scores[:, :, start:end] += triangle[: end - start, : end - start]
            weights = torch.softmax(scores, -1)
            out[:, start:end] = torch.bmm(weights, v[:, :end])
            kept.append(weights)
        ctx.save_for_backward(q, k, v, *kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, *kept = ctx.saved_tensors
        grad_q = torch.empty_like(q)
        # fp32: up to t / BLOCK parts are summed, which bf16 would round each time
        grad_k = torch.zeros(k.shape, dtype=torch.float32, device=k.device)
        grad_v = torch.zeros(v.shape, dtype=torch.float32, device=v.device)
        for index, start in enumerate(range(0, q.shape[1], BLOCK)):
            weights = kept[index]
            end = start + weights.shape[1]
            grad_block = grad[:, start:end]
            grad_v[:, :end] += torch.bmm(weights.transpose(1, 2), grad_block)
            grad_weights = torch.bmm(grad_block, v[:, :end].transpose(1, 2))
            grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            grad_q[:, start:end] = torch.bmm(grad_scores, k[:, :end])
            grad_k[:, :end] += torch.bmm(grad_scores.transpose(1, 2), q[:, start:end])
        return grad_q, grad_k.to(k.dtype), grad_v.to(v.dtype)


def blocked_attention(q_bhtd: Tensor, k_bgsd: Tensor, v_bgsd: Tensor, causal: bool = True) -> Tensor:
    """As reference.attention; whatever is not causal self-attention under gradients goes to torch's kernel."""
    b, h, t, d = q_bhtd.shape
    g = k_bgsd.shape[1]
    training = torch.is_grad_enabled() and (q_bhtd.requires_grad or k_bgsd.requires_grad or v_bgsd.requires_grad)
    if not causal or t != k_bgsd.shape[2] or t > LONGEST or not training:
        return fused.attention(q_bhtd, k_bgsd, v_bgsd, causal)
    q = (q_bhtd * d**-0.5).reshape(b * h, t, d)
    k = k_bgsd.repeat_interleave(h // g, dim=1).reshape(b * h, t, d)
    v = v_bgsd.repeat_interleave(h // g, dim=1).reshape(b * h, t, d)
    with torch.autocast(q.device.type, enabled=False):
        return _BlockedAttention.apply(q, k, v).view(b, h, t, d)
