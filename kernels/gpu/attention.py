"""Flash attention on a GPU: soft-max(q k^T / sqrt(d)) v without the matrix of scores, forward and backward.

Blocks of queries walk over blocks of keys with a running maximum and sum (FlashAttention-2, Dao 2023, algorithms 1
and 2); the backward makes the probabilities again from the saved log-sum-exp. Key/value heads are never repeated: a
query head reads its key/value head, and the program that sums dK and dV of a head walks over all query heads of its
group. Three kernels for the backward (row sums of o * do; dK and dV; dQ), no atomics: the same bits each time.

Axes: b batch, t query position, s key position, h query head, g key/value head, d feature; n position in a batch of
packed documents. In kernels: M queries of a block, N keys of a block, D features padded to a power of two.

The kernels are in attention_forward.py and attention_backward.py; this file launches them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from nimllm.kernels.eager import eager
from nimllm.kernels.gpu.attention_backward import backward_keys, backward_queries, row_sums
from nimllm.kernels.gpu.attention_forward import forward
from nimllm.kernels.gpu.launch import check_floating, on_device, precision, upcast

WIDEST = 256  # features of a head; beyond this the smallest blocks exceed a processor's shared memory


@dataclass(frozen=True)
class _Shape:
    """What the kernels need to know beside the tensors. Of packed documents t and s are the longest one's length."""

    b: int  # sequences, or documents
    h: int
    g: int
    t: int
    s: int
    d: int
    causal: bool
    packed: bool

    def constants(self, q: Tensor) -> dict[str, Any]:
        width = max(16, triton.next_power_of_2(self.d))  # 16: the least tl.dot takes
        return {
            "CAUSAL": self.causal, "PACKED": self.packed, "GROUP": self.h // self.g, "BLOCK_D": width,
            "PADDED": width != self.d, "UPCAST": upcast(q), "PRECISION": precision(),
        }

    @property
    def bucket(self) -> int:
        """Configurations are measured once per power of two of the length, of 128 to 4096."""
        return min(4096, max(128, triton.next_power_of_2(max(self.t, self.s))))

    def grid(self, heads: int, length: int, block: str) -> Any:
        # one axis: the others end at 65,535, which batch * heads can pass
        return lambda meta: (triton.cdiv(length, meta[block]) * heads * self.b,)


def _strides(x: Tensor, packed: bool) -> tuple[int, int, int]:
    """(batch, head, position) of [b, h, t, d] or [n, h, d]."""
    return (0, x.stride(1), x.stride(0)) if packed else (x.stride(0), x.stride(1), x.stride(2))


def _neighbours(x: Tensor) -> Tensor:
    """The kernels take any strides but the last, which must be 1."""
    return x if x.stride(-1) == 1 or x.shape[-1] == 1 else x.contiguous()


def _forward(q: Tensor, k: Tensor, v: Tensor, starts: Tensor | None, shape: _Shape) -> tuple[Tensor, Tensor]:
    """The result, and per row log2(sum(2^(score * log2 e))), fp32; +inf where a row sees no key."""
    packed = shape.packed
    out = torch.empty_like(q)  # keeps the order of q's axes: of a transposed [b, t, h, d] it is one again
    lse_shape = (shape.h, q.shape[0]) if packed else (shape.b, shape.h, shape.t)
    lse = torch.empty(lse_shape, dtype=torch.float32, device=q.device)
    if packed and q.shape[0]:
        out.zero_()  # tokens that belong to no document
    if out.numel() and shape.b:
        with on_device(q):
            forward[shape.grid(shape.h, shape.t, "BLOCK_M")](
                q, k, v, out, lse, starts, *_strides(q, packed), *_strides(k, packed), *_strides(v, packed),
                *_strides(out, packed), lse.shape[-1], shape.h, shape.t, shape.s, shape.d, shape.d**-0.5, shape.bucket,
                **shape.constants(q))
    return out, lse


def _backward(q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, do: Tensor, starts: Tensor | None,
              shape: _Shape) -> tuple[Tensor, Tensor, Tensor]:
    packed = shape.packed
    # tokens that belong to no document, and heads without a query, get no gradient
    make = torch.zeros_like if packed or not (shape.t and shape.h) else torch.empty_like
    dq, dk, dv = make(q), make(k), make(v)
    if not (q.numel() and shape.b):
        return dq, dk, dv
    do = _neighbours(do)
    delta = torch.empty_like(lse)
    constants = shape.constants(q)
    inputs = (q, k, v, do, lse, delta, starts, *_strides(q, packed), *_strides(k, packed), *_strides(v, packed),
              *_strides(do, packed))
    sizes = (lse.shape[-1], shape.h, shape.t, shape.s, shape.d, shape.d**-0.5, shape.bucket)
    with on_device(q):
        row_sums[shape.grid(shape.h, shape.t, "BLOCK_M")](
            out, do, delta, starts, *_strides(out, packed), *_strides(do, packed), lse.shape[-1], shape.h, shape.t,
            shape.d, PACKED=packed, BLOCK_M=32, BLOCK_D=constants["BLOCK_D"])
        if k.numel():
            backward_keys[shape.grid(shape.g, shape.s, "BLOCK_N")](
                *inputs, dk, dv, *_strides(dk, packed), *_strides(dv, packed), *sizes, **constants)
        backward_queries[shape.grid(shape.h, shape.t, "BLOCK_M")](
            *inputs, dq, *_strides(dq, packed), *sizes, **constants)
    return dq, dk, dv


class _FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, starts: Tensor | None, shape: _Shape) -> Tensor:
        q, k, v = _neighbours(q), _neighbours(k), _neighbours(v)
        out, lse = _forward(q, k, v, starts, shape)
        ctx.save_for_backward(q, k, v, out, lse, starts)
        ctx.shape = shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, out, lse, starts = ctx.saved_tensors
        return *_backward(q, k, v, out, lse, do, starts, ctx.shape), None, None


def _as_autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Under autocast attention multiplies in autocast's dtype, as torch's own does."""
    device = tensors[0].device.type
    if not torch.is_autocast_enabled(device):
        return tensors
    return tuple(x.to(torch.get_autocast_dtype(device)) for x in tensors)


def _check(q: Tensor, k: Tensor, v: Tensor, head_axis: int) -> None:
    check_floating(q=q, k=k, v=v)
    if not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"q, k and v must have one dtype, not {q.dtype}, {k.dtype} and {v.dtype}")
    if k.shape != v.shape or q.dim() != k.dim() or q.shape[0] != k.shape[0] or q.shape[-1] != k.shape[-1]:
        raise ValueError(f"shapes do not fit: q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}")
    h, g = q.shape[head_axis], k.shape[head_axis]
    if not g or h % g:
        raise ValueError(f"{h} query heads cannot be shared among {g} key/value heads")
    if not 1 <= q.shape[-1] <= WIDEST:
        raise ValueError(f"heads of 1 to {WIDEST} features, not {q.shape[-1]}")


@eager
def attention(q_bhtd: Tensor, k_bgsd: Tensor, v_bgsd: Tensor, causal: bool = True) -> Tensor:
    """As reference.attention, for any t and s; a query that sees no key gives 0 and gets and sends no gradient.

    Any strides, without copies as long as the last one is 1; the result has q's order of axes in memory. Features up
    to 256, best are 32, 64 and 128 (others are padded to a power of two in registers). Soft-max and sums in fp32.
    ValueError for shapes or dtypes that do not fit.
    """
    q_bhtd, k_bgsd, v_bgsd = _as_autocast(q_bhtd, k_bgsd, v_bgsd)
    if q_bhtd.dim() != 4:
        raise ValueError(f"q is [b, h, t, d], not {tuple(q_bhtd.shape)}")
    _check(q_bhtd, k_bgsd, v_bgsd, 1)
    b, h, t, d = q_bhtd.shape
    shape = _Shape(b, h, k_bgsd.shape[1], t, k_bgsd.shape[2], d, causal, packed=False)
    return _FlashAttention.apply(q_bhtd, k_bgsd, v_bgsd, None, shape)


@eager
def attention_packed(q_nhd: Tensor, k_ngd: Tensor, v_ngd: Tensor, cu_seqlens: Tensor, max_len: int,
                     causal: bool = True) -> Tensor:
    """As reference.attention_packed: documents laid end to end, none sees another.

    cu_seqlens: int32 or int64 [documents + 1] on the same device, ascending from 0: document i is the tokens from
    cu_seqlens[i] up to cu_seqlens[i + 1]; it may be empty. Tokens behind the last boundary give 0. max_len: at least
    the longest document's length; what lies beyond it in a longer document is not computed (checking would wait for
    the device). ValueError for shapes or dtypes that do not fit.
    """
    q_nhd, k_ngd, v_ngd = _as_autocast(q_nhd, k_ngd, v_ngd)
    if q_nhd.dim() != 3:
        raise ValueError(f"q is [n, h, d], not {tuple(q_nhd.shape)}")
    _check(q_nhd, k_ngd, v_ngd, 1)
    if cu_seqlens.dim() != 1 or not len(cu_seqlens) or cu_seqlens.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"cu_seqlens is int32 or int64 [documents + 1], not {cu_seqlens.dtype} "
                         f"{tuple(cu_seqlens.shape)}")
    if cu_seqlens.device != q_nhd.device:
        raise ValueError(f"cu_seqlens is on {cu_seqlens.device}, q on {q_nhd.device}")
    _, h, d = q_nhd.shape
    shape = _Shape(len(cu_seqlens) - 1, h, k_ngd.shape[1], max_len, max_len, d, causal, packed=True)
    return _FlashAttention.apply(q_nhd, k_ngd, v_ngd, cu_seqlens.contiguous(), shape)
