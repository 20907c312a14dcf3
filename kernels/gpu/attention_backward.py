"""The kernels of flash attention's backward pass; attention.py says what is computed and launches them.

With p = exp2(score * scale * log2 e - lse): dv = p^T do, ds = p * (do v^T - delta), dq = scale ds k, dk = scale ds^T q,
where delta = row sums of o * do (Dao 2023, algorithm 2). lse is +inf for a query that sees no key, so its p is 0.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nimllm.kernels.gpu.attention_forward import KEY, LENGTHS, SMALL, load_rows, place, rows_at, wide_rows
from nimllm.kernels.gpu.launch import tuned


@triton.jit(do_not_specialize=["t", "lse_stride"])
def row_sums(out_ptr, do_ptr, delta_ptr, starts_ptr, out_batch, out_head, out_row, do_batch, do_head, do_row,
             lse_stride, h, t, d, PACKED: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_D: tl.constexpr):
    """delta [M] = sum over features of o * do, fp32."""
    blocks = tl.cdiv(t, BLOCK_M)
    sequence, head, block, first, t, _ = place(tl.program_id(0), h, PACKED, starts_ptr, blocks, t, t)
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    features = tl.arange(0, BLOCK_D)
    mask = (rows[:, None] < t) & (features[None, :] < d)
    out = tl.load(rows_at(out_ptr, sequence, head, first, out_batch, out_head, out_row)
                  + rows[:, None].to(tl.int64) * out_row + features[None, :], mask=mask, other=0.0)
    do = tl.load(rows_at(do_ptr, sequence, head, first, do_batch, do_head, do_row)
                 + rows[:, None].to(tl.int64) * do_row + features[None, :], mask=mask, other=0.0)
    delta = tl.sum(out.to(tl.float32) * do.to(tl.float32), 1)
    lse_row = (sequence * h + head).to(tl.int64)
    if PACKED:
        lse_row = head.to(tl.int64)
    tl.store(delta_ptr + lse_row * lse_stride + first + rows, delta, mask=rows < t)


@triton.jit
def _gather_keys(dk, dv, k, v, q_pointers, do_pointers, q_step, do_step, q_next, do_next, lse_row, delta_row, lse_next,
                 lo, steps, jump, gap, keys, shift, t, d, scale, MASKED: tl.constexpr, CAUSAL: tl.constexpr,
                 GROUP: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_D: tl.constexpr, PADDED: tl.constexpr,
                 UPCAST: tl.constexpr, PRECISION: tl.constexpr):
    """Adds ``steps`` blocks of queries from lo on, of each head of the group; from step ``jump`` on they lie ``gap``
    queries further. dk, dv, k, v: [N, D]. Scores are made transposed, [N, M], so that p and ds are left operands and
    stay in registers.

    One loop for heads and blocks: two nested ones take 80 registers more of each thread's 255 and spill (32 x 64, d 64,
    compiled by Triton 3.6 for sm_90), and refill the pipeline for each head.
    """
    columns = tl.arange(0, BLOCK_M)
    features = tl.arange(0, BLOCK_D)
    for turn in range(0, steps * GROUP):
        member = 0
        step = turn
        if GROUP > 1:
            member = turn // steps
            step = turn - member * steps
        start = lo + step * BLOCK_M
        if MASKED:
            start += tl.where(step >= jump, gap, 0)
        rows = start + columns
        q = load_rows(q_pointers + (member * q_next + start * q_step), rows, t, features, d, MASKED, PADDED)
        do = load_rows(do_pointers + (member * do_next + start * do_step), rows, t, features, d, MASKED, PADDED)
        offset = member * lse_next
        if MASKED:
            lse = tl.load(lse_row + offset + rows, mask=rows < t, other=float("inf"))
            delta = tl.load(delta_row + offset + rows, mask=rows < t, other=0.0)
        else:
            lse = tl.load(lse_row + offset + rows)
            delta = tl.load(delta_row + offset + rows)
        if UPCAST:
            q = q.to(tl.float32)
            do = do.to(tl.float32)
        p = tl.exp2(tl.dot(k, tl.trans(q), input_precision=PRECISION) * scale - lse[None, :])
        if MASKED and CAUSAL:
            p = tl.where(keys[:, None] <= rows[None, :] + shift, p, 0.0)
        dv = tl.dot(p.to(do.dtype), do, dv, input_precision=PRECISION)
        ds = p * (tl.dot(v, tl.trans(do), input_precision=PRECISION) - delta[None, :])
        dk = tl.dot(ds.to(q.dtype), q, dk, input_precision=PRECISION)
    return dk, dv


@tuned([
    ({"BLOCK_M": 64, "BLOCK_N": 128}, 8, 2),
    ({"BLOCK_M": 32, "BLOCK_N": 128}, 8, 3),
    ({"BLOCK_M": 32, "BLOCK_N": 128}, 8, 2),
    ({"BLOCK_M": 64, "BLOCK_N": 64}, 4, 2),
    ({"BLOCK_M": 32, "BLOCK_N": 64}, 4, 3),
], {"BLOCK_M": 32, "BLOCK_N": 64}, KEY, SMALL, wide_rows)
@triton.jit(do_not_specialize=LENGTHS)
def backward_keys(q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, starts_ptr,
                  q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row, do_batch, do_head, do_row,
                  dk_ptr, dv_ptr, dk_batch, dk_head, dk_row, dv_batch, dv_head, dv_row,
                  lse_stride, h, t, s, d, scale, bucket,
                  CAUSAL: tl.constexpr, PACKED: tl.constexpr, GROUP: tl.constexpr, BLOCK_D: tl.constexpr,
                  PADDED: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr,
                  BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """dK and dV of one block of keys, summed over all queries of all query heads that read them."""
    blocks = tl.cdiv(s, BLOCK_N)
    sequence, group, block, first, t, s = place(tl.program_id(0), h // GROUP, PACKED, starts_ptr, blocks, t, s)
    start = block * BLOCK_N  # the first block is seen by the most queries, and comes first
    if start < s:
        keys = start + tl.arange(0, BLOCK_N)
        columns = tl.arange(0, BLOCK_M)
        features = tl.arange(0, BLOCK_D)
        q_step = tl.cast(q_row, tl.int64)
        do_step = tl.cast(do_row, tl.int64)
        k = load_rows(rows_at(k_ptr, sequence, group, first, k_batch, k_head, k_row)
                      + keys[:, None].to(tl.int64) * k_row + features[None, :], keys, s, features, d, True, PADDED)
        v = load_rows(rows_at(v_ptr, sequence, group, first, v_batch, v_head, v_row)
                      + keys[:, None].to(tl.int64) * v_row + features[None, :], keys, s, features, d, True, PADDED)
        if UPCAST:
            k = k.to(tl.float32)
            v = v.to(tl.float32)
        scale2 = scale * 1.4426950408889634

        # queries [lo, clear) see part of the block (the diagonal), [clear, full) all of it, [full, t) is the rest
        # that fills no block. The two masked parts share one loop, which jumps over the middle.
        shift = s - t
        lo = 0
        clear = 0
        full = t // BLOCK_M * BLOCK_M
        if CAUSAL:
            lo = tl.maximum(start - shift, 0) // BLOCK_M * BLOCK_M
            clear = tl.minimum(tl.cdiv(tl.maximum(start + BLOCK_N - 1 - shift, 0), BLOCK_M) * BLOCK_M, full)
        diagonal = tl.maximum(clear - lo, 0) // BLOCK_M
        tail = tl.maximum(full, lo)
        masked = diagonal + tl.cdiv(tl.maximum(t - tail, 0), BLOCK_M)
        gap = tail - (lo + diagonal * BLOCK_M)
        middle = tl.maximum(full - clear, 0) // BLOCK_M

        dk = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
        dv = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
        head = group * GROUP
        q_pointers = (rows_at(q_ptr, sequence, head, first, q_batch, q_head, q_row)
                      + columns[:, None] * q_step + features[None, :])
        do_pointers = (rows_at(do_ptr, sequence, head, first, do_batch, do_head, do_row)
                       + columns[:, None] * do_step + features[None, :])
        q_next = tl.cast(q_head, tl.int64)
        do_next = tl.cast(do_head, tl.int64)
        lse_next = tl.cast(lse_stride, tl.int64)
        lse_row = (sequence * h + head).to(tl.int64)
        if PACKED:
            lse_row = head.to(tl.int64)
        offset = lse_row * lse_stride + first
        dk, dv = _gather_keys(dk, dv, k, v, q_pointers, do_pointers, q_step, do_step, q_next, do_next, lse_ptr + offset,
                              delta_ptr + offset, lse_next, lo, masked, diagonal, gap, keys, shift, t, d, scale2, True,
                              CAUSAL, GROUP, BLOCK_M, BLOCK_D, PADDED, UPCAST, PRECISION)
        dk, dv = _gather_keys(dk, dv, k, v, q_pointers, do_pointers, q_step, do_step, q_next, do_next, lse_ptr + offset,
                              delta_ptr + offset, lse_next, clear, middle, middle, 0, keys, shift, t, d, scale2, False,
                              CAUSAL, GROUP, BLOCK_M, BLOCK_D, PADDED, UPCAST, PRECISION)

        mask = (keys[:, None] < s) & (features[None, :] < d)
        tl.store(rows_at(dk_ptr, sequence, group, first, dk_batch, dk_head, dk_row)
                 + keys[:, None].to(tl.int64) * dk_row + features[None, :],
                 (dk * scale).to(dk_ptr.dtype.element_ty), mask=mask)
        tl.store(rows_at(dv_ptr, sequence, group, first, dv_batch, dv_head, dv_row)
                 + keys[:, None].to(tl.int64) * dv_row + features[None, :],
                 dv.to(dv_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _gather_queries(dq, q, do, lse, delta, k_pointers, v_pointers, k_step, v_step, lo, hi, last, s, d, scale,
                    MASKED: tl.constexpr, CAUSAL: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
                    PADDED: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr):
    """Adds keys lo to hi to dq [M, D]; last [M] is the last key a query sees."""
    columns = tl.arange(0, BLOCK_N)
    features = tl.arange(0, BLOCK_D)
    for start in range(lo, hi, BLOCK_N):
        keys = start + columns
        k = load_rows(k_pointers + start * k_step, keys, s, features, d, MASKED, PADDED)
        v = load_rows(v_pointers + start * v_step, keys, s, features, d, MASKED, PADDED)
        if UPCAST:
            k = k.to(tl.float32)
            v = v.to(tl.float32)
        p = tl.exp2(tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale - lse[:, None])
        if MASKED:
            seen = keys[None, :] < s
            if CAUSAL:
                seen = seen & (keys[None, :] <= last[:, None])
            p = tl.where(seen, p, 0.0)
        ds = p * (tl.dot(do, tl.trans(v), input_precision=PRECISION) - delta[:, None])
        dq = tl.dot(ds.to(k.dtype), k, dq, input_precision=PRECISION)
    return dq


@tuned([
    ({"BLOCK_M": 128, "BLOCK_N": 64}, 8, 2),
    ({"BLOCK_M": 128, "BLOCK_N": 64}, 8, 3),
    ({"BLOCK_M": 128, "BLOCK_N": 32}, 4, 3),
    ({"BLOCK_M": 64, "BLOCK_N": 64}, 4, 3),
    ({"BLOCK_M": 64, "BLOCK_N": 32}, 4, 2),
], {"BLOCK_M": 64, "BLOCK_N": 32}, KEY, SMALL, wide_rows)
@triton.jit(do_not_specialize=LENGTHS)
def backward_queries(q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, starts_ptr,
                     q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row, do_batch, do_head, do_row,
                     dq_ptr, dq_batch, dq_head, dq_row,
                     lse_stride, h, t, s, d, scale, bucket,
                     CAUSAL: tl.constexpr, PACKED: tl.constexpr, GROUP: tl.constexpr, BLOCK_D: tl.constexpr,
                     PADDED: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr,
                     BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """dQ of one block of queries."""
    blocks = tl.cdiv(t, BLOCK_M)
    sequence, head, block, first, t, s = place(tl.program_id(0), h, PACKED, starts_ptr, blocks, t, s)
    start = (blocks - 1 - block) * BLOCK_M
    if start < t:
        rows = start + tl.arange(0, BLOCK_M)
        columns = tl.arange(0, BLOCK_N)
        features = tl.arange(0, BLOCK_D)
        k_step = tl.cast(k_row, tl.int64)
        v_step = tl.cast(v_row, tl.int64)
        q = load_rows(rows_at(q_ptr, sequence, head, first, q_batch, q_head, q_row)
                      + rows[:, None].to(tl.int64) * q_row + features[None, :], rows, t, features, d, True, PADDED)
        do = load_rows(rows_at(do_ptr, sequence, head, first, do_batch, do_head, do_row)
                       + rows[:, None].to(tl.int64) * do_row + features[None, :], rows, t, features, d, True, PADDED)
        if UPCAST:
            q = q.to(tl.float32)
            do = do.to(tl.float32)
        k_pointers = (rows_at(k_ptr, sequence, head // GROUP, first, k_batch, k_head, k_row)
                      + columns[:, None] * k_step + features[None, :])
        v_pointers = (rows_at(v_ptr, sequence, head // GROUP, first, v_batch, v_head, v_row)
                      + columns[:, None] * v_step + features[None, :])
        lse_row = (sequence * h + head).to(tl.int64)
        if PACKED:
            lse_row = head.to(tl.int64)
        offset = lse_row * lse_stride + first
        lse = tl.load(lse_ptr + offset + rows, mask=rows < t, other=float("inf"))
        delta = tl.load(delta_ptr + offset + rows, mask=rows < t, other=0.0)
        scale2 = scale * 1.4426950408889634

        last = rows + (s - t)
        end = s
        clear = s // BLOCK_N * BLOCK_N
        if CAUSAL:
            end = tl.minimum(s, tl.maximum(start + BLOCK_M + s - t, 0))
            clear = tl.minimum(clear, tl.maximum(start + s - t + 1, 0) // BLOCK_N * BLOCK_N)
        dq = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
        dq = _gather_queries(dq, q, do, lse, delta, k_pointers, v_pointers, k_step, v_step, 0, clear, last, s, d,
                             scale2, False, CAUSAL, BLOCK_N, BLOCK_D, PADDED, UPCAST, PRECISION)
        dq = _gather_queries(dq, q, do, lse, delta, k_pointers, v_pointers, k_step, v_step, clear, end, last, s, d,
                             scale2, True, CAUSAL, BLOCK_N, BLOCK_D, PADDED, UPCAST, PRECISION)
        tl.store(rows_at(dq_ptr, sequence, head, first, dq_batch, dq_head, dq_row)
                 + rows[:, None].to(tl.int64) * dq_row + features[None, :],
                 (dq * scale).to(dq_ptr.dtype.element_ty), mask=(rows[:, None] < t) & (features[None, :] < d))
