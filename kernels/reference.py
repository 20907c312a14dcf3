"""Every op of the model in plain torch: the definition of right, against which every other implementation is tested.

Axes: b batch, t position, h query head, g key/value head, d feature (of a head or of the model), n rows, v vocabulary.
Arithmetic that rounds badly (norms, rotation, soft-max, loss) is done in fp32 whatever the input's dtype, and the
result has the input's dtype. All ops are differentiable.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def rms_norm(x: Tensor, weight_d: Tensor, eps: float = 1e-6) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich 2019, eq. 4). x: [..., d]."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return (wide * weight_d.float()).to(x.dtype)


def layer_norm(x: Tensor, weight_d: Tensor, bias_d: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axis, biased variance. x: [..., d]."""
    wide = x.float()
    centred = wide - wide.mean(-1, keepdim=True)
    wide = centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + eps) * weight_d.float()
    if bias_d is not None:
        wide = wide + bias_d.float()
    return wide.to(x.dtype)


def rope(x_bthd: Tensor, positions: Tensor, theta: float = 10000.0) -> Tensor:
    """Rotary positions, half-split as in Hugging Face's Llama and Qwen3: feature i turns with feature i + d/2.

    x_bthd: [b, t, h, d], d even. positions: integers, [t] or [b, t]. The angle of pair i at position p is
    p * theta^(-2i/d) (Su et al. 2021, section 3.4.2).
    """
    half = x_bthd.shape[-1] // 2
    # fp64 for the frequencies: they are few, and the C++ engine makes the same ones in double
    exponent = torch.arange(half, device="cpu", dtype=torch.float64) / half
    frequency = (float(theta) ** -exponent).to(torch.float32).to(x_bthd.device)
    angle = (positions.to(torch.float32)[..., None] * frequency).unsqueeze(-2)  # [(b,) t, 1, d/2]
    cos, sin = angle.cos(), angle.sin()
    low, high = x_bthd.float().split(half, dim=-1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1).to(x_bthd.dtype)


def attention(q_bhtd: Tensor, k_bgsd: Tensor, v_bgsd: Tensor, causal: bool = True) -> Tensor:
    """softmax(q k^T / sqrt(d)) v; query head i reads key/value head i // (h / g). Returns [b, h, t, d].

    When there are more keys (s) than queries (t) the queries are the last ones: query i sees keys up to i + s - t.
    """
    h, g, t, s = q_bhtd.shape[1], k_bgsd.shape[1], q_bhtd.shape[2], k_bgsd.shape[2]
    k_bhsd = k_bgsd.repeat_interleave(h // g, dim=1)
    v_bhsd = v_bgsd.repeat_interleave(h // g, dim=1)
    score_bhts = (q_bhtd.float() @ k_bhsd.float().transpose(-1, -2)) * q_bhtd.shape[-1] ** -0.5
    if causal:
        future = torch.ones(t, s, dtype=torch.bool, device=q_bhtd.device).triu(s - t + 1)
        score_bhts = score_bhts.masked_fill(future, float("-inf"))
    return (score_bhts.softmax(-1) @ v_bhsd.float()).to(q_bhtd.dtype)


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up (Shazeer 2020, eq. 6), elementwise."""
    return F.silu(gate) * up


def gelu(x: Tensor) -> Tensor:
    """x * Phi(x) with the exact error function (Hendrycks and Gimpel 2016), not the tanh approximation."""
    return F.gelu(x)


def relu2(x: Tensor) -> Tensor:
    """max(x, 0)^2 (So et al. 2021)."""
    return F.relu(x).square()


def linear_cross_entropy(hidden_nd: Tensor, weight_vd: Tensor, targets_n: Tensor, ignore_index: int = -100) -> Tensor:
    """Mean over the kept rows of -log softmax(hidden weight^T)[target], in nats; an fp32 scalar.

    Rows whose target is ``ignore_index`` count neither above nor below the line; with no row kept the loss is 0.
    """
    logits_nv = F.linear(hidden_nd, weight_vd).float()
    total = F.cross_entropy(logits_nv, targets_n, ignore_index=ignore_index, reduction="sum")
    return total / (targets_n != ignore_index).sum().clamp(min=1)
