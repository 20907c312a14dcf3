"""What goes to other programs and comes from them: tensors in their own dtype, one at a time, and whole folders.

A file is written tensor by tensor, so that a model larger than the memory left can pass; a folder appears complete or
not at all. numpy only, nothing is unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from nimllm.errors import NimError
from nimllm.llm.checkpoint import read_header, replacing

STORED: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"),
                                      "BF16": np.dtype("<u2")}  # the upper half of an fp32
NAMES = {"fp32": "F32", "fp16": "F16", "bf16": "BF16"}


@dataclass(frozen=True)
class Stored:
    """A tensor as it lies in a file. ``read``: its values in ``STORED[dtype]``, any shape of as many elements."""

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def widened(dtype: str, values: np.ndarray) -> np.ndarray:
    """fp32 of what a file holds, exactly."""
    if dtype == "BF16":
        return (values.astype("<u4") << 16).view("<f4")
    return values.astype(np.float32, copy=False)


def narrowed(dtype: str, values: np.ndarray, name: str = "a tensor") -> np.ndarray:
    """fp32 in a file's dtype, to the nearest (bf16: ties to even). NimError: beyond fp16, or not finite."""
    values = np.ascontiguousarray(values, np.float32)
    if dtype == "BF16":
        bits = values.view(np.uint32)
        made = ((bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16).astype("<u2")
        if ((made & 0x7F80) == 0x7F80).any():
            raise NimError(f"{name} cannot be written as bf16", "it holds values that are not finite there",
                           "write fp32 instead")
        return made
    with np.errstate(over="ignore"):
        made = values.astype(STORED[dtype])
    if dtype == "F16" and np.isinf(made).any():
        raise NimError(f"{name} cannot be written as fp16", "it holds values beyond 65504",
                       "write fp32 or bf16 instead")
    return made


def stored(dtype: str, shape: tuple[int, ...], make: Callable[[], np.ndarray], name: str) -> Stored:
    """fp32 values, to be written in another dtype."""
    return Stored(dtype, shape, lambda: narrowed(dtype, make(), name))


def read_stored(path: Path) -> dict[str, Stored]:
    """The tensors of a safetensors file, each read when it is wanted.

    NimError: missing, truncated, a pickle, not safetensors, or in a dtype that holds no floating point weights.
    """
    path = Path(path)
    entries, offset = read_header(path)
    try:
        with safe_open(path, framework="np"):  # the library checks the layout
            pass
    except SafetensorError as error:
        raise NimError(f"{path} is corrupt", str(error), "copy the file again from where it came") from None
    found: dict[str, Stored] = {}
    for name, entry in entries.items():
        dtype, (begin, end) = entry["dtype"], entry["data_offsets"]
        if dtype not in STORED:
            raise NimError(f"{path} holds {name} as {dtype}", "weights are F32, F16 or BF16",
                           "convert it with the program that made it")

        def read(dtype: str = dtype, begin: int = begin, end: int = end) -> np.ndarray:
            return np.fromfile(path, STORED[dtype], (end - begin) // STORED[dtype].itemsize, offset=offset + begin)

        found[name] = Stored(dtype, tuple(entry["shape"]), read)
    return found


def write_stored(path: Path, tensors: Mapping[str, Stored], metadata: Mapping[str, str],
                 report: Callable[[int], None] = lambda count: None) -> None:
    """Writes a safetensors file, one tensor in memory at a time, atomically. ``report``: bytes written so far."""
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    # fp32 before 16 bits, so that every tensor begins at a multiple of its element
    order = sorted(tensors, key=lambda name: (-STORED[tensors[name].dtype].itemsize, name))
    end = 0
    for name in order:
        one = tensors[name]
        begin, end = end, end + int(np.prod(one.shape)) * STORED[one.dtype].itemsize
        header[name] = {"dtype": one.dtype, "shape": list(one.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    written = 0
    with replacing(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            values = np.ascontiguousarray(tensors[name].read(), STORED[tensors[name].dtype])
            assert values.size == int(np.prod(tensors[name].shape)), name
            file.write(values.data)
            written += values.nbytes
            report(written)


def bytes_written() -> Callable[[int], None]:
    """A report for a terminal, of the bytes written so far, once a second; nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda count: None
    last = time.monotonic()

    def report(count: int) -> None:
        nonlocal last
        if time.monotonic() - last > 1:
            last = time.monotonic()
            print(f"{count / 1e6:.0f} MB", end="\r", file=sys.stderr, flush=True)

    return report


@contextmanager
def new_folder(out: Path, force: bool, replaced: tuple[str, ...], source: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of ``out`` when the block ends well, and leaves no trace when not.

    With ``force`` a folder that is not empty gets the new files one by one; of the old ones only those named by
    ``replaced`` (patterns) go, which the new ones would otherwise be mixed with. NimError 2: not empty without
    ``force``, a file, or ``source``, whose files it would replace; 3: it cannot be written.
    """
    out = Path(out).expanduser().absolute()
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        if out.resolve() == Path(source).resolve():
            raise NimError(f"cannot write into {out}", "it is the model itself", "give another place", 2)
        if out.is_symlink() or out.exists():
            if not out.is_dir():
                raise NimError(f"cannot write into {out}", "it is no folder", "give another place", 2)
            if any(out.iterdir()) and not force:
                raise NimError(f"{out} is not empty", "nothing is overwritten unasked",
                               "give another folder, or --force to replace what is in it", 2)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        if not out.exists():
            os.rename(temporary, out)
            return
        for pattern in replaced:
            for old in out.glob(pattern):
                if not (temporary / old.name).exists():
                    old.unlink()
        for new in sorted(temporary.iterdir(), key=lambda path: path.name == "config.json"):  # what names it comes last
            os.replace(new, out / new.name)
    except OSError as error:
        raise NimError(f"cannot write {out}", error.strerror or str(error),
                       "free some space or choose a folder you can write") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
