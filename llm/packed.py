"""Engines on weights that are packed once and kept: a start reads what it computes on, and nothing else.

The packed form of a weights file, a base or a memory's head, lies in the cache folder, named by the file (place, size,
time), the model's shape and the dtype. An engine that runs takes over another file's weights in place: only what
differs is packed again. numpy only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nimllm import places
from nimllm.errors import NimError
from nimllm.llm.checkpoint import check_tensors, is_fp32, read_tensors
from nimllm.llm.config import ModelConfig

if TYPE_CHECKING:
    from nimllm.kernels.engine import Engine

KEPT, KEPT_BYTES = 8, 1 << 30  # packed files, and their bytes; the least recently used go
_LAYOUT = "1"  # raised with the layout, so that older files are not looked at


def packed_path(config: ModelConfig, weights: Path, dtype: str) -> Path | None:
    """Where the packed form of a weights file is kept; None when there is no cache folder or no such file."""
    folder = places.cache_folder("packed")
    try:
        state = weights.stat()
    except OSError:
        return None
    if folder is None:
        return None
    shape = json.dumps(config.model_dump(), sort_keys=True)
    key = f"{_LAYOUT}:{weights.resolve()}:{state.st_size}:{state.st_mtime_ns}:{state.st_ino}:{dtype}:{shape}"
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"


class PackedModel:
    """An engine, and the weights file it computes; :meth:`change` gives it those of another file of the same shape."""

    def __init__(self, config: ModelConfig, weights: Path, dtype: str, threads: int | None = None) -> None:
        """The engine has the weights of the file. NimError: it is unusable, or there is not enough memory."""
        self.config, self.dtype, self._threads = config, dtype, threads
        self.file = Path(weights)
        # What the engine has, for the day the file's name holds something else: views of an fp32 file, which cost
        # nothing. A base in 16 bits would be 40 ms to read; it stays as it is, and is read when it is wanted.
        self._tensors: dict[str, np.ndarray] | None = None
        while True:
            path = packed_path(config, self.file, dtype)
            if is_fp32(self.file):
                self._tensors = read_tensors(self.file, mapped=True)
            self.engine = self._from_cache(path) or self._from_weights(path)
            if packed_path(config, self.file, dtype) == path:
                return
            self.engine.close()  # a memory was written in this moment: once more, with the new head

    def _from_cache(self, path: Path | None) -> Engine | None:
        from nimllm.kernels.engine import Engine

        if path is None or not path.exists():
            return None
        try:
            engine = Engine.open(path, self._threads)
        except ValueError:
            path.unlink(missing_ok=True)  # damaged, or of another version: made again
            return None
        except MemoryError as error:
            raise NimError(f"there is not enough memory for {self.file}", str(error), "use a smaller model") from None
        with suppress(OSError):  # another process may have put it out in this moment
            os.utime(path)
        return engine

    def _from_weights(self, path: Path | None) -> Engine:
        from nimllm.kernels.engine import Engine

        tensors = self._read(self.file)
        try:
            engine = Engine(self.config.model_dump(), tensors, dtype=self.dtype, threads=self._threads)
        except MemoryError as error:
            raise NimError(f"there is not enough memory for {self.file}", str(error), "use a smaller model"
                           ) from None
        if path is not None:
            with suppress(OSError):  # only a cache
                engine.save(path)
                _evict(path.parent)
        return engine

    def _read(self, path: Path) -> dict[str, np.ndarray]:
        tensors = read_tensors(path, mapped=True)
        check_tensors(self.config, tensors, path)
        return tensors

    def change(self, weights: Path) -> None:
        """The weights of another file: only what differs is packed again, into the engine that runs. Its cache of
        tokens is forgotten. NimError: the file is unusable; the engine then keeps what it had."""
        old = self._tensors if self._tensors is not None else self._read(self.file)
        new = self._read(Path(weights))
        for name, places_of in differences(old, new):
            self.engine.update(name, new[name], places_of)
        self.engine.truncate(0)
        self.file, self._tensors = Path(weights), new


def differences(old: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """(name, flat indices) of the tensors that differ; all of ``new`` have their like in ``old``."""
    for name, tensor in new.items():
        where = np.flatnonzero(old[name] != tensor)
        if where.size:
            yield name, where


def _evict(folder: Path) -> None:
    """Keep the newest, as many as may stay; the very newest always does."""
    files = sorted(((path.stat(), path) for path in folder.glob("*.safetensors")), key=lambda pair: -pair[0].st_mtime)
    size = 0
    for number, (state, path) in enumerate(files):
        size += state.st_size
        if number >= KEPT or (number and size > KEPT_BYTES):
            path.unlink(missing_ok=True)
