"""Engines on weights that are packed once and kept: a start reads what it computes on, and nothing else.

The packed form of a run's weights lies in the cache folder, named by the weights file (place, size, time) and the
dtype. Weights that differ from them in a few places, the head of a memory, are the packed ones with those places
updated. numpy only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nimllm import places
from nimllm.errors import NimError
from nimllm.llm.checkpoint import check_tensors, read_tensors
from nimllm.llm.config import ModelConfig

if TYPE_CHECKING:
    from nimllm.kernels.engine import Engine

KEPT = 8  # packed files; the least recently used go
_LAYOUT = "1"  # raised with the layout, so that older files are not looked at


def packed_path(weights: Path, dtype: str) -> Path | None:
    """Where the packed form of a weights file is kept; None when there is no cache folder or no such file."""
    folder = places.cache_folder("packed")
    try:
        state = weights.stat()
    except OSError:
        return None
    if folder is None:
        return None
    key = f"{_LAYOUT}:{weights.resolve()}:{state.st_size}:{state.st_mtime_ns}:{state.st_ino}:{dtype}"
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"


class PackedModel:
    """An engine, and the weights file it computes; :meth:`change` gives it those of another file of the same shape."""

    def __init__(self, config: ModelConfig, base: Path, dtype: str, threads: int | None = None) -> None:
        """The engine has the weights of ``base``. NimError: the file is unusable, or there is not enough memory."""
        self.config, self.dtype, self._threads = config, dtype, threads
        self.file = Path(base)
        self._tensors: dict[str, np.ndarray] | None = None  # of the file, once another one took its place
        self.engine = self._from_cache() or self._from_weights()

    def _from_cache(self) -> Engine | None:
        from nimllm.kernels.engine import Engine

        path = packed_path(self.file, self.dtype)
        if path is None or not path.exists():
            return None
        try:
            engine = Engine.open(path, self._threads)
        except ValueError:
            path.unlink(missing_ok=True)  # damaged, or of another version: made again
            return None
        except MemoryError as error:
            raise NimError(f"there is not enough memory for {self.file}", str(error), "use a smaller model") from None
        if (engine.vocab_size, engine.context, engine.dtype) != (
                self.config.vocab_size, self.config.context, self.dtype):
            engine.close()
            return None
        with suppress(OSError):  # another process may have put it out in this moment
            os.utime(path)
        return engine

    def _from_weights(self) -> Engine:
        from nimllm.kernels.engine import Engine

        tensors = self._read(self.file)
        try:
            engine = Engine(self.config.model_dump(), tensors, dtype=self.dtype, threads=self._threads)
        except MemoryError as error:
            raise NimError(f"there is not enough memory for {self.file}", str(error), "use a smaller model"
                           ) from None
        path = packed_path(self.file, self.dtype)
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
    """Keep the newest."""
    files = sorted(folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[KEPT:]:
        path.unlink(missing_ok=True)
