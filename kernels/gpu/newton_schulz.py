"""Newton-Schulz iteration of Muon, batched: symmetric products computed for one triangle and mirrored.

Two of the three matrix products of an iteration are symmetric, X X^T and G G^T (G is symmetric itself), and the second
adds b G while its tile is in registers. Half of their tiles is computed. The third product, (b G + c G G) X + a X, is
the GPU library's. bf16 with fp32 sums, as torch.optim.Muon.

FLOPs of an iteration for m x n, m <= n: 2 m^2 n + 2 m^3 + 2 m^2 n -> m^2 n + m^3 + 2 m^2 n; square: 6 -> 4 m^3.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from nimllm.kernels.eager import eager
from nimllm.kernels.gpu.launch import INTERPRETED, on_device

# (rows of a tile, columns of a step, warps, stages) by the number of rows; to be measured. Small matrices need many
# tiles to fill the processors, large ones large tiles to live from their registers.
_SMALL = (64, 64, 4, 4)
_LARGE = (128, 64, 8, 4)
_LARGE_FROM = 768
_INTERPRETED = (32, 32, 4, 1)


@triton.jit
def _symmetric_product(x_ptr, x_batch, x_row, added_ptr, out_ptr, out_batch, m, n, alpha, beta, ADDED: tl.constexpr,
                       UPCAST: tl.constexpr, TILE: tl.constexpr, STEP: tl.constexpr):
    """out = alpha X X^T + beta added, one tile of the lower triangle and its mirror image. added: symmetric, as out."""
    row_tile, column_tile = tl.program_id(0), tl.program_id(1)
    if column_tile <= row_tile:  # the programs above the diagonal have nothing to do
        batch = tl.program_id(2).to(tl.int64)
        x_ptr += batch * x_batch
        out_ptr += batch * out_batch
        rows = row_tile * TILE + tl.arange(0, TILE)
        columns = column_tile * TILE + tl.arange(0, TILE)
        steps = tl.arange(0, STEP)
        left_ptrs = x_ptr + rows.to(tl.int64)[:, None] * x_row + steps[None, :]
        right_ptrs = x_ptr + columns.to(tl.int64)[:, None] * x_row + steps[None, :]
        total = tl.zeros([TILE, TILE], tl.float32)
        for start in range(0, n, STEP):
            inside = (start + steps)[None, :] < n
            left = tl.load(left_ptrs + start, mask=inside & (rows < m)[:, None], other=0.0)
            right = tl.load(right_ptrs + start, mask=inside & (columns < m)[:, None], other=0.0)
            if UPCAST:  # the interpreter's bf16 dot is garbage
                left, right = left.to(tl.float32), right.to(tl.float32)
            total = tl.dot(left, tl.trans(right), total)
        total *= alpha
        at = rows.to(tl.int64)[:, None] * m + columns[None, :]
        inside = (rows < m)[:, None] & (columns < m)[None, :]
        if ADDED:
            added = tl.load(added_ptr + batch * out_batch + at, mask=inside, other=0.0)
            total += beta * added.to(tl.float32)
        if column_tile == row_tile:  # a dot product of rows i and j need not sum in the order of j and i
            total = tl.where(rows[:, None] >= columns[None, :], total, tl.trans(total))
        made = total.to(out_ptr.dtype.element_ty)
        tl.store(out_ptr + at, made, mask=inside)
        if column_tile < row_tile:
            mirror = columns.to(tl.int64)[:, None] * m + rows[None, :]
            tl.store(out_ptr + mirror, tl.trans(made), mask=(columns < m)[:, None] & (rows < m)[None, :])


def symmetric_product(x_bmn: Tensor, alpha: float = 1.0, added_bmm: Tensor | None = None, beta: float = 0.0) -> Tensor:
    """alpha X X^T + beta added for every matrix: [b, m, m] in X's dtype, bf16 or fp16 or fp32, fp32 sums.

    Symmetric to the bit. added_bmm: symmetric, contiguous.
    """
    b, m, n = x_bmn.shape
    x_bmn = x_bmn if x_bmn.stride(2) == 1 else x_bmn.contiguous()
    upcast = INTERPRETED and x_bmn.dtype == torch.bfloat16  # there torch rounds: the interpreter truncates
    out = torch.empty(b, m, m, dtype=torch.float32 if upcast else x_bmn.dtype, device=x_bmn.device)
    tile, step, warps, stages = _INTERPRETED if INTERPRETED else _LARGE if m >= _LARGE_FROM else _SMALL
    tiles = triton.cdiv(m, tile)
    if not out.numel():
        return out.to(x_bmn.dtype)
    with on_device(x_bmn):
        _symmetric_product[(tiles, tiles, b)](x_bmn, x_bmn.stride(0), x_bmn.stride(1), out if added_bmm is None
                                              else added_bmm, out, m * m, m, n, float(alpha), float(beta),
                                              ADDED=added_bmm is not None,
                                              UPCAST=upcast, TILE=tile, STEP=step, num_warps=warps,
                                              num_stages=stages)
    return out.to(x_bmn.dtype)


@eager
@torch.no_grad()
def newton_schulz(matrices_bmn: Tensor, steps: int = 5, eps: float = 1e-7,
                  coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315)) -> Tensor:
    """As :func:`nimllm.kernels.reference.newton_schulz`: [..., m, n] of any float dtype to bf16 of the same shape.

    The matrices of one call share a shape; stack those that do (a model has four to six shapes).
    """
    if matrices_bmn.dim() < 2 or not matrices_bmn.is_floating_point():
        raise ValueError(f"newton_schulz: matrices [..., m, n], not {matrices_bmn.dtype} {tuple(matrices_bmn.shape)}")
    a, b, c = coefficients
    tall = matrices_bmn.shape[-2] > matrices_bmn.shape[-1]
    x = matrices_bmn.reshape(-1, *matrices_bmn.shape[-2:])
    x = (x.mT if tall else x).to(torch.bfloat16, memory_format=torch.contiguous_format).contiguous()
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = symmetric_product(x)
        x = torch.baddbmm(x, symmetric_product(gram, c, gram, b), x, beta=a)
    return (x.mT if tall else x).reshape(matrices_bmn.shape)
