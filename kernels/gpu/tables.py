"""Many tensors in one launch: tables in device memory of where they lie, and of which program does which chunk.

A program reads its row of ``chunks`` (a row of the table of tensors, and which chunk of it), then that row: addresses
as int64, which ``tl.pointer_type`` makes pointers again, and sizes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from nimllm.kernels.gpu.launch import INTERPRETED

TRITON = {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}
# entries of a program: 7.3M parameters make 445 programs, more than three on each of an H200's 132 processors. Few in
# the interpreter, so that small tensors have several chunks
CHUNK = 1024 if INTERPRETED else 16384
BLOCK = 512 if INTERPRETED else 2048
WARPS = 8


@triton.jit
def chunk_bounds(chunks_ptr, sizes_ptr, columns, program, CHUNK: tl.constexpr, BLOCK: tl.constexpr):
    """(row of the table, first entry, end, end of the whole blocks) of a program's chunk; entries as int64.

    sizes_ptr: the size in row 0 of a table of so many columns. Whole blocks are for loops without a mask: a mask whose
    bound is no known multiple of 16 makes single accesses of vector ones.
    """
    tensor = tl.load(chunks_ptr + 2 * program)
    begin = tl.load(chunks_ptr + 2 * program + 1).to(tl.int64) * CHUNK
    end = tl.minimum(begin + CHUNK, tl.load(sizes_ptr + columns * tensor))
    return tensor, begin, end, begin + (end - begin) // BLOCK * BLOCK


@triton.jit
def pointer(address_ptr, DTYPE: tl.constexpr, ALIGNED: tl.constexpr):
    """The address in a table as a pointer; ALIGNED: it is a multiple of 16 bytes."""
    made = tl.load(address_ptr).to(tl.pointer_type(DTYPE))
    if ALIGNED:
        made = tl.multiple_of(made, 16)
    return made


@lru_cache(maxsize=16)
def chunk_table(sizes: tuple[int, ...], device: torch.device) -> Tensor:
    """int32 [programs, 2]: row and chunk of every program, for tensors of so many entries. Kept: it has thousands of
    rows and depends on sizes only, while a gradient's address can be another at every step."""
    rows = [[row, chunk] for row, size in enumerate(sizes) for chunk in range(-(-size // CHUNK))]
    return to_device(rows, torch.int32, device).view(-1, 2)


def to_device(rows: list[Any], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of host numbers on ``device`` without waiting for what the GPU is doing."""
    made = torch.tensor(rows, dtype=dtype)
    # from pinned memory the copy needs no waiting; torch keeps that memory until the copy is done
    return made.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else made
