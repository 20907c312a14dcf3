"""Token shards: one file of ids (uint16 or uint32) that training maps into memory, with an optional loss mask behind.

Layout, little-endian: 64 bytes of header (magic, version, bytes per id, count, vocabulary, crc32 of everything after
the header, whether there is a mask), ``count`` ids, then ``count`` bytes of mask. One file, so that one rename
publishes it. Whoever writes decides what separates documents; ``prepare.py`` writes bos + ids + eos.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from nimllm.errors import NimError
from nimllm.llm.checkpoint import replacing

_MAGIC, _VERSION, _HEADER = b"NIMSHARD", 1, 64
_FIELDS = struct.Struct("<8sIIQQII")  # magic, version, bytes per id, count, vocabulary, crc32, mask
_CHUNK = 1 << 22
_MEND = "delete it: the preparation makes it again"


class ShardWriter:
    """Writes one shard; nothing appears at ``path`` before :meth:`close`, and a block that raises leaves nothing."""

    def __init__(self, path: Path, vocab_size: int) -> None:
        self.path, self.vocab_size, self.count = Path(path), vocab_size, 0
        self._dtype = np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")
        self._crc, self._masked = 0, False
        self._stack = ExitStack()
        self._file = self._stack.enter_context(replacing(self.path))
        # the mask waits in a file of its own: its place is behind ids that are still to come
        self._mask = self._stack.enter_context(tempfile.TemporaryFile(dir=self.path.parent))  # noqa: SIM115
        self._file.write(bytes(_HEADER))

    def append(self, ids: Sequence[int] | np.ndarray, learn: Sequence[bool] | np.ndarray | None = None) -> None:
        """Adds ids as they are. ``learn[i]`` false: id i carries no loss; None: all do. ValueError for a wrong id."""
        values = np.asarray(ids)
        if len(values) == 0:
            return
        if int(values.min()) < 0 or int(values.max()) >= self.vocab_size:
            raise ValueError(f"ids {values.min()} to {values.max()} do not fit a vocabulary of {self.vocab_size}")
        mask = None if learn is None else np.asarray(learn, bool).astype(np.uint8)
        if mask is not None and len(mask) != len(values):
            raise ValueError(f"{len(values)} ids and {len(mask)} flags")
        data = values.astype(self._dtype).tobytes()
        self._crc = zlib.crc32(data, self._crc)
        try:
            self._write(data, mask, len(values))
        except OSError as error:
            raise NimError(f"cannot write {self.path}", error.strerror or str(error),
                           "free some space or choose a folder you can write") from None
        self.count += len(values)

    def _write(self, data: bytes, mask: np.ndarray | None, count: int) -> None:
        self._file.write(data)
        if mask is not None and not self._masked:  # the first: everything before carries loss
            self._masked = True
            self._write_ones(self.count)
        if mask is not None:
            self._mask.write(mask.tobytes())
        elif self._masked:
            self._write_ones(count)

    def _write_ones(self, count: int) -> None:
        for begin in range(0, count, _CHUNK):
            self._mask.write(b"\1" * min(_CHUNK, count - begin))

    @property
    def checksum(self) -> int:
        """crc32 of what was written; final after :meth:`close`."""
        return self._crc

    def close(self) -> None:
        """Publishes the shard. NimError when the disk is full."""
        if self._masked:
            self._mask.seek(0)
            while data := self._mask.read(_CHUNK):
                self._crc = zlib.crc32(data, self._crc)
                self._file.write(data)
        self._file.seek(0)
        self._file.write(_FIELDS.pack(_MAGIC, _VERSION, self._dtype.itemsize, self.count, self.vocab_size, self._crc,
                                      self._masked))
        self._stack.close()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        if kind is None:
            self.close()
        else:
            self._stack.__exit__(kind, error, trace)  # replacing() removes its temporary file


class Shard:
    """A shard mapped read-only. ``tokens``: ids [count]; ``learn``: uint8 [count] of 0 and 1, or None without a mask.

    NimError: missing, not a shard, truncated, or (``verify``, about 1 GB/s) damaged.
    """

    tokens: np.ndarray
    learn: np.ndarray | None

    def __init__(self, path: Path, verify: bool = True) -> None:
        self.path = Path(path)
        try:
            size = self.path.stat().st_size
            with open(self.path, "rb") as file:
                header = file.read(_HEADER)
        except OSError as error:
            raise NimError(f"cannot read the token shard {path}", error.strerror or str(error),
                           "prepare the data again") from None
        if len(header) < _HEADER or header[:8] != _MAGIC:
            raise NimError(f"{path} is not a token shard", "its first bytes are not those of one", _MEND)
        _, version, width, count, self.vocab_size, self.checksum, masked = _FIELDS.unpack(header[:_FIELDS.size])
        if version != _VERSION or width not in (2, 4):
            raise NimError(f"{path} is a token shard of another version", f"it says {version}", _MEND)
        needed = _HEADER + count * (width + (1 if masked else 0))
        if size != needed:
            state = "truncated" if size < needed else "damaged"
            raise NimError(f"{path} is {state}", f"it holds {size} bytes of {needed}", _MEND)
        if count:
            self.tokens = np.memmap(self.path, f"<u{width}", "r", _HEADER, (count,))
            self.learn = np.memmap(self.path, "u1", "r", _HEADER + count * width, (count,)) if masked else None
        else:  # an empty file cannot be mapped
            self.tokens = np.zeros(0, f"<u{width}")
            self.learn = np.zeros(0, np.uint8) if masked else None
        if verify and self._crc() != self.checksum:
            raise NimError(f"{path} is damaged", "its checksum does not match its content", _MEND)

    def _crc(self) -> int:
        crc = 0
        with open(self.path, "rb") as file:
            file.seek(_HEADER)
            while data := file.read(_CHUNK):
                crc = zlib.crc32(data, crc)
        return crc
