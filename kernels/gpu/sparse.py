"""The memory's two sparse ops: the global threshold of the largest saliencies, and the grid add.

The threshold is found without sorting: the bits of |x| as an integer have the order of the numbers, so three
histograms, of the 11 highest bits and then of 10 and 10 more among those that agree so far, end at the exact bits of
the count-th largest. All tensors are read in one launch through a table of addresses; the choice between two
histograms is made on the device. Reading passes over the data: three, one that counts ties, one that writes the masks.
Only bits are compared: denormals, which GPU arithmetic may flush, and ties are treated as anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
import triton
import triton.language as tl
from torch import Tensor

from nimllm.kernels.eager import eager
from nimllm.kernels.gpu.launch import on_device
from nimllm.kernels.gpu.tables import BLOCK, CHUNK, TRITON, WARPS, chunk_bounds, chunk_table, pointer, to_device
from nimllm.kernels.reference import check_grid_add

_BITS = (11, 10, 10)  # of the 31 bits of a magnitude, from the top
_BINS = 2048


@triton.jit
def _magnitudes(data_ptr, at, size, MASKED: tl.constexpr):
    """The bits of |entry| as an integer, -1 outside."""
    if MASKED:
        inside = at < size
        bits = tl.load(data_ptr + at, mask=inside, other=0.0).to(tl.float32).to(tl.int32, bitcast=True) & 0x7FFFFFFF
        bits = tl.where(inside, bits, -1)
    else:
        bits = tl.load(data_ptr + at).to(tl.float32).to(tl.int32, bitcast=True) & 0x7FFFFFFF
    return bits


@triton.jit
def _histogram(bits, found, SHIFT: tl.constexpr, HIGHER: tl.constexpr, BINS: tl.constexpr):
    """Of the digit at SHIFT, over the entries whose bits from HIGHER up are those found."""
    counted = (bits >= 0) & ((bits >> HIGHER).to(tl.int64) == (found >> HIGHER))
    digits = tl.where(counted, (bits >> SHIFT) & (BINS - 1), 0)
    # whoever is not counted went to bin 0: tl.histogram has a mask in newer versions only
    others = tl.sum((counted == 0).to(tl.int32), 0)
    return tl.histogram(digits, BINS) - tl.where(tl.arange(0, BINS) == 0, others, 0)


@triton.jit
def _count_digits(table_ptr, chunks_ptr, state_ptr, histogram_ptr, DTYPE: tl.constexpr, ALIGNED: tl.constexpr,
                  SHIFT: tl.constexpr, HIGHER: tl.constexpr, BINS: tl.constexpr, CHUNK: tl.constexpr,
                  BLOCK: tl.constexpr):
    """Adds one chunk's histogram of the digit at SHIFT to the whole one."""
    tensor, begin, end, whole = chunk_bounds(chunks_ptr, table_ptr + 1, 3, tl.program_id(0), CHUNK, BLOCK)
    data_ptr = pointer(table_ptr + 3 * tensor, DTYPE, ALIGNED)
    found = tl.load(state_ptr)
    lanes = tl.arange(0, BLOCK)
    counts = tl.zeros([BINS], tl.int32)
    for start in range(begin, whole, BLOCK):
        counts += _histogram(_magnitudes(data_ptr, start + lanes, end, False), found, SHIFT, HIGHER, BINS)
    if whole < end:
        counts += _histogram(_magnitudes(data_ptr, whole + lanes, end, True), found, SHIFT, HIGHER, BINS)
    tl.atomic_add(histogram_ptr + tl.arange(0, BINS), counts.to(tl.int64), mask=counts > 0)


@triton.jit
def _choose_digit(state_ptr, histogram_ptr, SHIFT: tl.constexpr, BINS: tl.constexpr):
    """state: (bits found so far, how many of the largest are still looked for among the entries that have them)."""
    found, wanted = tl.load(state_ptr), tl.load(state_ptr + 1)
    bins = tl.arange(0, BINS)
    counts = tl.load(histogram_ptr + bins)
    at_least = tl.cumsum(counts, 0, reverse=True)
    # the highest digit with at least ``wanted`` entries from it up
    digit = tl.max(tl.where(at_least >= wanted, bins, 0), 0)
    above = tl.sum(tl.where(bins > digit, counts, 0), 0)
    tl.store(state_ptr, found | (digit.to(tl.int64) << SHIFT))
    tl.store(state_ptr + 1, wanted - above)


@triton.jit
def _count_ties(table_ptr, chunks_ptr, state_ptr, ties_ptr, first_program, DTYPE: tl.constexpr,
                ALIGNED: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr):
    """How many entries of a chunk are equal to the threshold."""
    program = tl.program_id(0)
    tensor, begin, end, whole = chunk_bounds(chunks_ptr, table_ptr + 1, 3, program, CHUNK, BLOCK)
    data_ptr = pointer(table_ptr + 3 * tensor, DTYPE, ALIGNED)
    threshold = tl.load(state_ptr).to(tl.int32)
    lanes = tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.int32)
    for start in range(begin, whole, BLOCK):
        total += (_magnitudes(data_ptr, start + lanes, end, False) == threshold).to(tl.int32)
    if whole < end:
        total += (_magnitudes(data_ptr, whole + lanes, end, True) == threshold).to(tl.int32)
    tl.store(ties_ptr + first_program + program, tl.sum(total, 0).to(tl.int64))


@triton.jit
def _chosen(bits, threshold, wanted, before):
    """(larger than the threshold, or equal and among the first ``wanted``; ties until here). before: until then."""
    tie = (bits == threshold).to(tl.int32)
    rank = before + tl.cumsum(tie, 0)  # of a tie, from 1
    chosen = (bits > threshold) | ((tie > 0) & (rank <= wanted))
    return chosen.to(tl.int8), before + tl.sum(tie, 0)


@triton.jit
def _write_masks(table_ptr, chunks_ptr, state_ptr, ties_ptr, first_program, masks_ptr, DTYPE: tl.constexpr,
                 ALIGNED: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr):
    """The masks, one after the other in the order of the list. ties: how many there are in the chunks before."""
    program = tl.program_id(0)
    tensor, begin, end, whole = chunk_bounds(chunks_ptr, table_ptr + 1, 3, program, CHUNK, BLOCK)
    data_ptr = pointer(table_ptr + 3 * tensor, DTYPE, ALIGNED)
    masks_ptr += tl.load(table_ptr + 3 * tensor + 2)
    threshold, wanted = tl.load(state_ptr).to(tl.int32), tl.load(state_ptr + 1)
    before = tl.load(ties_ptr + first_program + program)
    lanes = tl.arange(0, BLOCK)
    for start in range(begin, whole, BLOCK):
        bits = _magnitudes(data_ptr, start + lanes, end, False)
        chosen, before = _chosen(bits, threshold, wanted, before)
        tl.store(masks_ptr + start + lanes, chosen)
    if whole < end:
        bits = _magnitudes(data_ptr, whole + lanes, end, True)
        chosen, before = _chosen(bits, threshold, wanted, before)
        tl.store(masks_ptr + whole + lanes, chosen, mask=whole + lanes < end)


def _runs(tensors: Sequence[Tensor]) -> list[tuple[torch.dtype, list[int]]]:
    """Neighbours of one dtype, so that ties can be counted in the order of the list; empty tensors are left out."""
    runs: list[tuple[torch.dtype, list[int]]] = []
    for index, tensor in enumerate(tensors):
        if tensor.dtype not in TRITON or tensor.device != tensors[0].device:
            raise ValueError(f"top_saliency: tensor {index} is {tensor.dtype} on {tensor.device}; all are fp32, fp16 "
                             f"or bf16 on {tensors[0].device}")
        if not tensor.numel():
            continue
        if not runs or runs[-1][0] != tensor.dtype:
            runs.append((tensor.dtype, []))
        runs[-1][1].append(index)
    return runs


@eager
@torch.no_grad()
def top_saliency(tensors: Sequence[Tensor], count: int) -> tuple[Tensor, list[Tensor]]:
    """As :func:`nimllm.kernels.reference.top_saliency`, to the bit; the masks share one memory. Nothing waits for the
    GPU."""
    sizes = [tensor.numel() for tensor in tensors]
    if not 0 <= count <= sum(sizes):
        raise ValueError(f"top_saliency: {count} of {sum(sizes)} entries")
    device = tensors[0].device if tensors else torch.device("cpu")
    every = torch.zeros(sum(sizes), dtype=torch.bool, device=device)
    masks = [part.view(tensor.shape) for part, tensor in zip(every.split(sizes), tensors, strict=True)]
    runs = _runs(tensors)
    if count == 0:
        return torch.full((), float("inf"), device=device), masks
    kept = [tensor.contiguous() for tensor in tensors]  # alive until the kernels are in the stream
    offsets = [0, *accumulate(sizes)]
    work, programs = [], 0
    sizes_of_blocks = {"CHUNK": CHUNK, "BLOCK": BLOCK, "num_warps": WARPS}
    for dtype, members in runs:
        table = to_device([[kept[index].data_ptr(), sizes[index], offsets[index]] for index in members], torch.int64,
                          device)
        chunks = chunk_table(tuple(sizes[index] for index in members), device)
        aligned = all(kept[index].data_ptr() % 16 == 0 for index in members)
        work.append((table, chunks, programs, {"DTYPE": TRITON[dtype], "ALIGNED": aligned, **sizes_of_blocks}))
        programs += len(chunks)
    state = to_device([0, count], torch.int64, device)
    ties = torch.zeros(programs + 1, dtype=torch.int64, device=device)
    histogram = torch.zeros(len(_BITS), _BINS, dtype=torch.int64, device=device)
    with on_device(every):
        shift = sum(_BITS)
        for digit, bits in enumerate(_BITS):
            higher, shift = shift, shift - bits
            for table, chunks, _, constants in work:
                _count_digits[(len(chunks),)](table, chunks, state, histogram[digit], SHIFT=shift, HIGHER=higher,
                                              BINS=2**bits, **constants)
            _choose_digit[(1,)](state, histogram[digit], SHIFT=shift, BINS=2**bits, num_warps=WARPS)
        for table, chunks, first, constants in work:
            _count_ties[(len(chunks),)](table, chunks, state, ties[1:], first, **constants)
        before = ties.cumsum(0)
        for table, chunks, first, constants in work:
            _write_masks[(len(chunks),)](table, chunks, state, before, first, every.view(torch.int8), **constants)
    return state[0].to(torch.int32).view(torch.float32), masks


@triton.jit
def _grid_add(base_ptr, where_ptr, sums_ptr, out_ptr, exponent, n, INDEX: tl.constexpr, MASK: tl.constexpr,
              BLOCK: tl.constexpr):
    """out = base + 2^exponent * sums, in fp64; a sum of 0 keeps the base's bits."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    total = tl.load(sums_ptr + at, mask=inside, other=0).to(tl.int64)
    if INDEX:
        at = tl.load(where_ptr + at, mask=inside, other=0).to(tl.int64)
    if MASK:
        inside = inside & (tl.load(where_ptr + at, mask=inside, other=0) != 0)
    # a power of two from its bits: as an argument it would have come as fp32
    grid = ((tl.zeros([BLOCK], tl.int64) + exponent + 1023) << 52).to(tl.float64, bitcast=True)
    base = tl.load(base_ptr + at, mask=inside, other=0.0)
    new = (base.to(tl.float64) + total.to(tl.float64) * grid).to(tl.float32)
    tl.store(out_ptr + at, tl.where(total != 0, new, base), mask=inside)


@eager
@torch.no_grad()
def grid_add(base: Tensor, where: Tensor | None, sums: Tensor, exponent: int, out: Tensor | None = None) -> Tensor:
    """As :func:`nimllm.kernels.reference.grid_add`, to the bit. An index outside is the caller's bug: not checked, as
    that would wait for the GPU."""
    check_grid_add(base, where, sums, exponent, out)
    base = base.contiguous()
    result = base.clone() if out is None else out
    index, mask = where is not None and where.dtype != torch.bool, where is not None and where.dtype == torch.bool
    sums = sums.contiguous()
    picked = sums if where is None else where.contiguous().view(torch.int8) if mask else where.contiguous()
    if n := sums.numel():
        with on_device(base):
            _grid_add[(triton.cdiv(n, BLOCK),)](base, picked, sums, result, exponent, n, INDEX=index, MASK=mask,
                                                 BLOCK=BLOCK, num_warps=WARPS)
    return result
