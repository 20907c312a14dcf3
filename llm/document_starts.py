"""Where the documents of a token shard begin: its places of bos, found once and kept beside a large shard."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nimllm.errors import NimError
from nimllm.llm.checkpoint import replacing
from nimllm.llm.shards import Shard

SMALL = 1 << 26  # tokens that are scanned in a tenth of a second: not worth a file
_MAGIC, _HEADER = b"NIMSTART", struct.Struct("<8sIIQQ")  # magic, version, bos, checksum of the shard, count
_CHUNK = 1 << 24  # tokens


def document_starts(shard: Shard, bos: int) -> np.ndarray:
    """int64, ascending: 0 and every place of ``bos`` in the shard.

    From ``SMALL`` tokens on the places are written beside the shard (``train.shard.starts``) and mapped into memory, so
    ten billion tokens cost a scan once and no memory afterwards. Without a folder to write in they stay in memory.
    """
    if len(shard.tokens) < SMALL:
        return np.concatenate(list(_scan(shard, bos)))
    path = shard.path.with_name(shard.path.name + ".starts")
    kept = _kept(path, shard, bos)
    if kept is not None:
        return kept
    try:
        with replacing(path) as file:
            file.write(bytes(_HEADER.size))
            count = 0
            for part in _scan(shard, bos):
                file.write(part.astype("<i8").tobytes())
                count += len(part)
            file.seek(0)
            file.write(_HEADER.pack(_MAGIC, 1, bos, shard.checksum, count))
    except NimError:  # it cannot be written there
        return np.concatenate(list(_scan(shard, bos)))
    kept = _kept(path, shard, bos)
    return kept if kept is not None else np.concatenate(list(_scan(shard, bos)))


def _scan(shard: Shard, bos: int) -> Iterator[np.ndarray]:

    for begin in range(0, max(1, len(shard.tokens)), _CHUNK):
        part = np.flatnonzero(shard.tokens[begin:begin + _CHUNK] == bos).astype(np.int64) + begin
        if begin == 0 and (not len(part) or part[0]):
            part = np.concatenate((np.zeros(1, np.int64), part))
        yield part


def _kept(path: Path, shard: Shard, bos: int) -> np.ndarray | None:
    """The file's places, or None when there are none of this very shard."""
    try:
        with open(path, "rb") as file:
            magic, version, of, checksum, count = _HEADER.unpack(file.read(_HEADER.size))
        whole = path.stat().st_size == _HEADER.size + 8 * count
        if (magic, version, of, checksum) != (_MAGIC, 1, bos, shard.checksum) or not whole or not count:
            return None
        return np.memmap(path, "<i8", "r", _HEADER.size, (count,))
    except (OSError, struct.error, ValueError):
        return None
