"""Every op of the model in plain torch: the definition of right, against which every other implementation is tested.

Axes: b batch, t position, h query head, g key/value head, d feature (of a head or of the model), n rows, v vocabulary.
Arithmetic that rounds badly (norms, rotation, soft-max, loss) is done in fp32 whatever the input's dtype, and the
result has the input's dtype. The ops of the model are differentiable; those of the optimizers and of the memory, at the
end of the file, are not and need not be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor


def rms_norm(x: Tensor, weight_d: Tensor, eps: float = 1e-6) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich 2019, eq. 4). x: [..., d]."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return (wide * weight_d.float()).to(x.dtype)


def add_rms_norm(x: Tensor, residual: Tensor, weight_d: Tensor, eps: float = 1e-6) -> tuple[Tensor, Tensor]:
    """(rms_norm(x + residual), x + residual): the end of one block and the beginning of the next. Both [..., d].

    The norm is of the sum as it is stored, in x's dtype.
    """
    summed = x + residual
    return rms_norm(summed, weight_d, eps), summed


def layer_norm(x: Tensor, weight_d: Tensor, bias_d: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axis, biased variance. x: [..., d]."""
    wide = x.float()
    centred = wide - wide.mean(-1, keepdim=True)
    wide = centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + eps) * weight_d.float()
    if bias_d is not None:
        wide = wide + bias_d.float()
    return wide.to(x.dtype)


def add_layer_norm(x: Tensor, residual: Tensor, weight_d: Tensor, bias_d: Tensor | None = None, eps: float = 1e-6
                   ) -> tuple[Tensor, Tensor]:
    """(layer_norm(x + residual), x + residual), as :func:`add_rms_norm`."""
    summed = x + residual
    return layer_norm(summed, weight_d, bias_d, eps), summed


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


def qk_norm_rope(q_bthd: Tensor, k_btgd: Tensor, q_weight_d: Tensor | None, k_weight_d: Tensor | None, eps: float,
                 positions: Tensor | None, theta: float | None = 10000.0) -> tuple[Tensor, Tensor]:
    """RMSNorm of every query and key head, then rotary positions, as Qwen3 does. Returns q and k, shaped as given.

    No weight: no norm; theta None: no rotation, and positions are not read.
    """
    q = q_bthd if q_weight_d is None else rms_norm(q_bthd, q_weight_d, eps)
    k = k_btgd if k_weight_d is None else rms_norm(k_btgd, k_weight_d, eps)
    if theta is None:
        return q, k
    if positions is None:
        raise ValueError("a rotation needs positions")
    return rope(q, positions, theta), rope(k, positions, theta)


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


def attention_packed(q_nhd: Tensor, k_ngd: Tensor, v_ngd: Tensor, cu_seqlens: Tensor, max_len: int,
                     causal: bool = True) -> Tensor:
    """Attention of documents that lie one after the other in one row: no token sees another document's. [n, h, d].

    cu_seqlens: int32 [documents + 1], ascending from 0: document i is tokens cu_seqlens[i] to cu_seqlens[i + 1], and
    may be empty. ``max_len`` bounds a document's length (kernels size their grid by it). Tokens after the last one
    belong to no document: their output is 0.
    """
    parts = []
    bounds = cu_seqlens.tolist()
    for start, end in pairwise(bounds):
        q, k, v = (x[start:end].transpose(0, 1).unsqueeze(0) for x in (q_nhd, k_ngd, v_ngd))
        parts.append(attention(q, k, v, causal).squeeze(0).transpose(0, 1))
    return torch.cat([*parts, torch.zeros_like(q_nhd[bounds[-1]:])])


def linear(x: Tensor, weight_od: Tensor, bias_o: Tensor | None = None) -> Tensor:
    """x weight^T + bias over the last axis: [..., d] to [..., o]; in autocast's dtype under autocast."""
    return F.linear(x, weight_od, bias_o)


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


def token_logprobs(hidden_nd: Tensor, weight_vd: Tensor, targets_n: Tensor, ignore_index: int = -100) -> Tensor:
    """log softmax(hidden weight^T)[target] of every row, in nats: fp32 [n], 0 where the target is ``ignore_index``."""
    kept_n = targets_n != ignore_index
    logprobs_nv = F.linear(hidden_nd, weight_vd).float().log_softmax(-1)
    picked_n = logprobs_nv.gather(1, torch.where(kept_n, targets_n, 0)[:, None]).squeeze(1)
    return torch.where(kept_n, picked_n, 0.0)


@torch.no_grad()
def clip_adamw(params: Sequence[Tensor], grads: Sequence[Tensor], exp_avg: Sequence[Tensor],
               exp_avg_sq: Sequence[Tensor], step: int | Tensor, lr: float | Tensor, betas: tuple[float, float],
               eps: float, weight_decay: float | Sequence[float], max_norm: float | None) -> Tensor:
    """One step of AdamW (Loshchilov and Hutter 2019) after clipping the gradients' common norm, in place.

    Returns the norm before clipping, an fp32 scalar on the parameters' device. Equal to
    ``torch.nn.utils.clip_grad_norm_`` followed by ``torch.optim.AdamW``, except that ``grads`` keep their values.
    step: the number of this step, from 1; step and lr may be 0-dim tensors on the device (a CUDA graph replays with
    new values in them). weight_decay: one for all, or one per tensor. max_norm: None or infinity clips nothing.
    """
    decays = [weight_decay] * len(params) if isinstance(weight_decay, int | float) else list(weight_decay)
    if not len(params) == len(grads) == len(exp_avg) == len(exp_avg_sq) == len(decays):
        raise ValueError("clip_adamw: the lists differ in length")
    if not params:
        return torch.zeros(())
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(grad.float()) for grad in grads]))
    factor = None if max_norm is None or math.isinf(max_norm) else (max_norm / (norm + 1e-6)).clamp(max=1.0)
    number = torch.as_tensor(step, dtype=torch.float64)
    rate = torch.as_tensor(lr, dtype=torch.float64)
    # in fp64: 1 - 0.999 in fp32 is off by 6e-5 of itself
    size = (rate / (1 - betas[0] ** number)).float()
    root = (1 - betas[1] ** number).sqrt().float()
    for param, grad, first, second, decay in zip(params, grads, exp_avg, exp_avg_sq, decays, strict=True):
        wide = grad.float() if factor is None else grad.float() * factor
        moment = first.float().lerp(wide, 1 - betas[0])
        square = second.float() * betas[1] + wide.square() * (1 - betas[1])
        kept = param.float() * (1 - rate * decay).float().to(param.device)
        param.copy_(kept - size.to(param.device) * (moment / (square.sqrt() / root.to(param.device) + eps)))
        first.copy_(moment)
        second.copy_(square)
    return norm


@torch.no_grad()
def newton_schulz(matrices_bmn: Tensor, steps: int = 5, eps: float = 1e-7,
                  coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315)) -> Tensor:
    """Every matrix with its singular values brought near 1 (0.7 to 1.2), in bf16: Muon's direction.

    Quintic iteration X <- a X + (b G + c G G) X with G = X X^T, from X / max(|X|_F, eps), on the side with fewer rows
    (Jordan et al. 2024; torch.optim.Muon). matrices_bmn: [..., m, n], any float dtype. Returns bf16, shaped as given.
    """
    a, b, c = coefficients
    tall = matrices_bmn.shape[-2] > matrices_bmn.shape[-1]
    x = matrices_bmn.bfloat16().reshape(-1, *matrices_bmn.shape[-2:])
    x = x.mT if tall else x
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).reshape(matrices_bmn.shape)


@torch.no_grad()
def top_saliency(tensors: Sequence[Tensor], count: int) -> tuple[Tensor, list[Tensor]]:
    """The ``count`` entries of largest magnitude over all tensors: (their smallest magnitude, a mask per tensor).

    The threshold is exactly the count-th largest |entry|, an fp32 scalar (infinity for count 0). Exactly ``count``
    entries are in the masks: among those equal to the threshold the first ones, in the order of the list and of the
    flattened tensors. fp32, fp16 or bf16; a NaN counts as larger than infinity.
    """
    sizes = [tensor.numel() for tensor in tensors]
    if not 0 <= count <= sum(sizes):
        raise ValueError(f"top_saliency: {count} of {sum(sizes)} entries")
    device = tensors[0].device if tensors else None
    if count == 0:
        return torch.full((), math.inf, device=device), [torch.zeros_like(x, dtype=torch.bool) for x in tensors]
    every = torch.cat([tensor.reshape(-1).float().abs() for tensor in tensors])
    order = every.sort(descending=True, stable=True).indices[:count]
    mask = torch.zeros_like(every, dtype=torch.bool)
    mask[order] = True
    masks = [part.view(tensor.shape) for part, tensor in zip(mask.split(sizes), tensors, strict=True)]
    return every[order[-1]], masks


@torch.no_grad()
def grid_add(base: Tensor, where: Tensor | None, sums: Tensor, exponent: int, out: Tensor | None = None) -> Tensor:
    """base + 2^exponent * sums at the entries ``where``: how the memory's integers become weights, to the bit.

    base: fp32, any shape. where: flat indices (int32 or int64, unique) with as many ``sums``; or a mask of base's shape
    with sums of that shape; or None for every entry. sums: integers. Computed in fp64 and rounded once; an entry whose
    sum is 0 has the base's bits (-0.0 stays -0.0). Returns a new tensor, or ``out`` (the live weights, say, shaped as
    base), of which only the entries ``where`` are written, so that a sum that went back to 0 restores the base.
    """
    check_grid_add(base, where, sums, exponent, out)
    result = base.clone(memory_format=torch.contiguous_format) if out is None else out
    if where is None or where.dtype == torch.bool:
        old, total = base, sums
    else:
        old, total = base.reshape(-1)[where.long()], sums.reshape(-1)
    # a power of two as fp64 is exact, and so is its product with 32 bits: one rounding in the sum, one to fp32
    new = torch.where(total != 0, (old.double() + total.double() * math.ldexp(1.0, exponent)).float(), old)
    if where is None:
        return result.copy_(new)
    if where.dtype == torch.bool:
        return result.copy_(torch.where(where, new, result))
    result.view(-1)[where.long()] = new
    return result


def check_grid_add(base: Tensor, where: Tensor | None, sums: Tensor, exponent: int, out: Tensor | None) -> None:
    """ValueError for what :func:`grid_add` cannot take; the same for every implementation."""
    if base.dtype != torch.float32 or (out is not None and out.dtype != torch.float32):
        raise ValueError("grid_add: the memory's weights are fp32")
    if out is not None and (out.shape != base.shape or not out.is_contiguous()):
        raise ValueError(f"grid_add: out must be contiguous and shaped as base, {tuple(base.shape)}")
    if sums.dtype.is_floating_point or sums.dtype in (torch.bool, torch.complex64, torch.complex128):
        raise ValueError(f"grid_add: sums are integers, not {sums.dtype}")
    if not -1000 <= exponent <= 900:
        raise ValueError(f"grid_add: 2^{exponent} is no grid")
    if where is None or where.dtype == torch.bool:
        if sums.shape != base.shape or (where is not None and where.shape != base.shape):
            raise ValueError("grid_add: a mask and its sums are shaped as base")
    elif where.dtype not in (torch.int32, torch.int64) or where.numel() != sums.numel():
        raise ValueError("grid_add: int32 or int64 indices, with as many sums")
