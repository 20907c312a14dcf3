"""The kernel of flash attention's forward pass; attention.py says what is computed and launches it."""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from nimllm.kernels.gpu.launch import Choice, tuned

# Never specialised on their values: lengths differ from call to call, and a compilation takes seconds.
LENGTHS = ["t", "s", "lse_stride", "bucket"]
KEY = ["bucket", "h", "CAUSAL", "PACKED", "GROUP", "BLOCK_D"]
SMALL: Choice = ({"BLOCK_M": 32, "BLOCK_N": 32}, 4, 1)  # fits 99 KB of shared memory at 128 features of fp32


def wide_rows(arguments: dict[str, Any]) -> bool:
    """Rows of more than 256 bytes (128 features in bf16): the usual blocks exceed shared memory or registers."""
    return arguments["BLOCK_D"] * arguments["q_ptr"].element_size() > 256


@triton.jit
def place(block, h, PACKED: tl.constexpr, starts_ptr, blocks, t, s):
    """(sequence, head, block, first row, queries, keys) of a program; blocks run fastest, then heads."""
    head = (block // blocks) % h
    sequence = block // blocks // h
    first = tl.zeros((), tl.int64)
    if PACKED:
        first = tl.load(starts_ptr + sequence).to(tl.int64)
        # a document longer than announced: its end is left out, nothing outside it is read
        length = tl.minimum(tl.load(starts_ptr + sequence + 1).to(tl.int64) - first, t).to(tl.int32)
        t = length
        s = length
    return sequence, head, block % blocks, first, t, s


@triton.jit
def rows_at(base, sequence, head, first, batch_stride, head_stride, row_stride):
    """Pointer to row 0 of a head; 64 bits, since b * h * t * d can pass 2^31."""
    return (base + sequence.to(tl.int64) * batch_stride + head.to(tl.int64) * head_stride
            + first * row_stride)


@triton.jit
def load_rows(pointers, rows, count, features, d, BOUNDED: tl.constexpr, PADDED: tl.constexpr):
    """A tile of rows; zeros outside. Without BOUNDED all rows exist, without PADDED all features do: no mask then."""
    if BOUNDED:
        return tl.load(pointers, mask=(rows[:, None] < count) & (features[None, :] < d), other=0.0)
    elif PADDED:
        return tl.load(pointers, mask=features[None, :] < d, other=0.0)
    else:
        return tl.load(pointers)


@triton.jit
def _walk(acc, peak, total, q, k_pointers, v_pointers, k_stride, v_stride, lo, hi, last, s, d, scale,
          MASKED: tl.constexpr, CAUSAL: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
          PADDED: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr):
    """Adds keys lo to hi. acc [M, D] sums p v, peak [M] is the greatest score * scale so far, total [M] sums p; last
    [M] is the last key a query sees."""
    columns = tl.arange(0, BLOCK_N)
    features = tl.arange(0, BLOCK_D)
    for start in range(lo, hi, BLOCK_N):
        keys = start + columns
        k = load_rows(k_pointers + start * k_stride, keys, s, features, d, MASKED, PADDED)
        v = load_rows(v_pointers + start * v_stride, keys, s, features, d, MASKED, PADDED)
        if UPCAST:
            k = k.to(tl.float32)
            v = v.to(tl.float32)
        score = tl.dot(q, tl.trans(k), input_precision=PRECISION)
        if MASKED:
            seen = keys[None, :] < s
            if CAUSAL:
                seen = seen & (keys[None, :] <= last[:, None])
            score = tl.where(seen, score, float("-inf"))
        risen = tl.maximum(peak, tl.max(score, 1) * scale)
        p = tl.exp2(score * scale - risen[:, None])
        shrink = tl.exp2(peak - risen)
        total = total * shrink + tl.sum(p, 1)
        acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision=PRECISION)
        peak = risen
    return acc, peak, total


# M x N, warps, stages. Hopper's products take 64 rows per 4 warps, so M is 64 or 128; Ampere prefers the smaller ones.
@tuned([
    ({"BLOCK_M": 128, "BLOCK_N": 128}, 8, 2),
    ({"BLOCK_M": 128, "BLOCK_N": 64}, 8, 3),
    ({"BLOCK_M": 128, "BLOCK_N": 64}, 4, 3),
    ({"BLOCK_M": 64, "BLOCK_N": 64}, 4, 3),
    ({"BLOCK_M": 64, "BLOCK_N": 32}, 4, 2),
], {"BLOCK_M": 64, "BLOCK_N": 32}, KEY, SMALL, wide_rows)
@triton.jit(do_not_specialize=LENGTHS)
def forward(q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, starts_ptr,
            q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row, out_batch, out_head, out_row,
            lse_stride, h, t, s, d, scale, bucket,
            CAUSAL: tl.constexpr, PACKED: tl.constexpr, GROUP: tl.constexpr, BLOCK_D: tl.constexpr,
            PADDED: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr,
            BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    blocks = tl.cdiv(t, BLOCK_M)
    sequence, head, block, first, t, s = place(tl.program_id(0), h, PACKED, starts_ptr, blocks, t, s)
    # the last block sees the most keys: it comes first, so that the device is not left waiting for it
    start = (blocks - 1 - block) * BLOCK_M
    if start < t:
        rows = start + tl.arange(0, BLOCK_M)
        columns = tl.arange(0, BLOCK_N)
        features = tl.arange(0, BLOCK_D)
        k_step = tl.cast(k_row, tl.int64)
        v_step = tl.cast(v_row, tl.int64)
        q_pointers = (rows_at(q_ptr, sequence, head, first, q_batch, q_head, q_row)
                      + rows[:, None].to(tl.int64) * q_row + features[None, :])
        k_pointers = (rows_at(k_ptr, sequence, head // GROUP, first, k_batch, k_head, k_row)
                      + columns[:, None] * k_step + features[None, :])
        v_pointers = (rows_at(v_ptr, sequence, head // GROUP, first, v_batch, v_head, v_row)
                      + columns[:, None] * v_step + features[None, :])
        q = load_rows(q_pointers, rows, t, features, d, True, PADDED)
        if UPCAST:
            q = q.to(tl.float32)
        scale2 = scale * 1.4426950408889634  # log2 e: exp2 is one instruction, exp is two

        # keys [0, clear) are seen by the whole block, [clear, end) are masked, the rest is seen by none
        last = rows + (s - t)
        end = s
        clear = s // BLOCK_N * BLOCK_N
        if CAUSAL:
            end = tl.minimum(s, tl.maximum(start + BLOCK_M + s - t, 0))
            clear = tl.minimum(clear, tl.maximum(start + s - t + 1, 0) // BLOCK_N * BLOCK_N)
        acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
        # finite, and below any score: a row that has seen only masked keys stays at it, and exp2(-inf - peak) is 0
        peak = tl.full((BLOCK_M,), -1.0e30, tl.float32)
        total = tl.zeros((BLOCK_M,), tl.float32)
        acc, peak, total = _walk(acc, peak, total, q, k_pointers, v_pointers, k_step, v_step, 0, clear, last, s, d,
                                 scale2, False, CAUSAL, BLOCK_N, BLOCK_D, PADDED, UPCAST, PRECISION)
        acc, peak, total = _walk(acc, peak, total, q, k_pointers, v_pointers, k_step, v_step, clear, end, last, s, d,
                                 scale2, True, CAUSAL, BLOCK_N, BLOCK_D, PADDED, UPCAST, PRECISION)

        blind = total == 0.0
        out = acc / tl.where(blind, 1.0, total)[:, None]
        lse = tl.where(blind, float("inf"), peak + tl.log2(tl.where(blind, 1.0, total)))
        out_pointers = (rows_at(out_ptr, sequence, head, first, out_batch, out_head, out_row)
                        + rows[:, None].to(tl.int64) * out_row + features[None, :])
        tl.store(out_pointers, out.to(out_ptr.dtype.element_ty),
                 mask=(rows[:, None] < t) & (features[None, :] < d))
        lse_row = (sequence * h + head).to(tl.int64)
        if PACKED:
            lse_row = head.to(tl.int64)
        tl.store(lse_ptr + lse_row * lse_stride + first + rows, lse, mask=rows < t)
