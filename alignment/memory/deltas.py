"""Deltas: sparse integer changes of the weights, and the files that hold them.

A file is safetensors (bits per entry are those of a fact told to the 11M model, 110,136 entries in 6 tensors):

    version 1   ``NAME::index`` int32 and ``NAME::value`` int16 per tensor: 48 bits per entry. Still read.
    version 2   all tensors in one row. Places go column by column, since a write moves few inputs and many outputs
                (3.9 bits for the gaps, as variable-length bytes; row by row it would be half a bit more). Values in
                zigzag, their common factor of two taken out, low and high bytes apart (12.1 bits; their entropy is
                11.8). Each of the three is deflated by the strategy that is shortest for it. 16.0 bits per entry.

numpy only.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

GRID_BITS = 12  # the grid is 2^-12 of a tensor's root mean square: int16 spans 8 of them, fp32 resolves 2^-9 of a step
FLAT_GRID = -16  # exponent for a tensor of zeros
MAX_INT = 32767
FORMAT, VERSION = "nimllm-delta", "2"
_STRATEGIES = (zlib.Z_HUFFMAN_ONLY, zlib.Z_FILTERED)  # the default one was never the shortest

Delta = dict[str, tuple[np.ndarray, np.ndarray]]  # tensor -> (flat indices int32 ascending, values int16)


def grid_of(tensors: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Exponent of two per tensor, from its root mean square."""
    grid: dict[str, int] = {}
    for name, tensor in tensors.items():
        rms = float(np.sqrt(np.mean(np.square(tensor, dtype=np.float64)))) if tensor.size else 0.0
        grid[name] = int(np.floor(np.log2(rms))) - GRID_BITS if rms > 0 else FLAT_GRID
    return grid


def quantise(change: Mapping[str, np.ndarray], grid: Mapping[str, int], coarse: int = 0) -> Delta:
    """Float changes [any shape] as sparse integers on the grid; what rounds to nothing is left out. A value beyond
    int16 (8 times the tensor's root mean square) is clipped: the gate measures what is left.

    coarse: only multiples of 2^coarse steps, for smaller files (one bit per entry each, up to about 7).
    """
    delta: Delta = {}
    for name, values in change.items():
        flat = np.asarray(values, np.float32).reshape(-1)
        index = np.flatnonzero(flat)
        most = MAX_INT >> coarse
        steps = np.clip(np.rint(np.ldexp(flat[index].astype(np.float64), -grid[name] - coarse)), -most, most)
        kept = steps != 0
        if kept.any():
            delta[name] = (index[kept].astype(np.int32), (steps[kept] * 2**coarse).astype(np.int16))
    return delta


def content_hash(delta: Delta) -> str:
    """sha256 of what a delta says, whatever file it stands in."""
    found = hashlib.sha256()
    for name in sorted(delta):
        index, value = delta[name]
        found.update(f"{name}\0{len(index)}\0".encode())
        found.update(np.ascontiguousarray(index, "<i4").tobytes() + np.ascontiguousarray(value, "<i2").tobytes())
    return found.hexdigest()


def entries(delta: Delta) -> int:
    """How many weights it changes."""
    return sum(len(index) for index, _ in delta.values())


# -- bytes -------------------------------------------------------------------------------------------------------------


def _deflated(raw: bytes) -> np.ndarray:
    best: bytes | None = None
    for strategy in _STRATEGIES:
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
        packed = packer.compress(raw) + packer.flush()
        if best is None or len(packed) < len(best):
            best = packed
    return np.frombuffer(best or b"", np.uint8)


def _inflated(packed: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` bytes: a file says how many there are before they are made."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    raw = unpacker.decompress(packed.tobytes(), most + 1)
    if len(raw) > most or not unpacker.eof or unpacker.unused_data:
        raise ValueError("a packed row is not as long as it says")
    return np.frombuffer(raw, np.uint8)


def _varints(numbers: np.ndarray) -> bytes:
    """Seven bits a byte, the lowest first, the top bit set on all but the last; numbers < 2^35."""
    numbers = numbers.astype(np.uint64)
    count = np.ones(len(numbers), np.int64)
    for byte in range(1, 5):
        count += numbers >= np.uint64(1 << 7 * byte)
    ends = np.cumsum(count)
    out = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    for byte in range(5):
        has = count > byte
        bits = (numbers[has] >> np.uint64(7 * byte)) & np.uint64(127)
        more = np.where(count[has] > byte + 1, 128, 0)
        out[(ends - count)[has] + byte] = bits.astype(np.uint8) | more.astype(np.uint8)
    return out.tobytes()


def _numbers(raw: np.ndarray, count: int) -> np.ndarray:
    """The inverse of :func:`_varints`, int64."""
    last = raw < 128
    ends = np.flatnonzero(last) + 1
    if len(ends) != count or (len(raw) and not last[-1]):
        raise ValueError("the places are not as many as they should be")
    starts = np.concatenate(([0], ends[:-1])) if count else np.zeros(0, np.int64)
    if count and int((ends - starts).max()) > 5:
        raise ValueError("a place is out of range")
    offset = np.arange(len(raw)) - np.repeat(starts, ends - starts)
    parts = (raw & 127).astype(np.int64) << (7 * offset)
    return np.add.reduceat(parts, starts) if count else np.zeros(0, np.int64)


def encode(delta: Delta, shapes: Mapping[str, tuple[int, ...]], about: Mapping[str, str]) -> bytes:
    """The bytes of a delta's file, version 2. ``shapes`` of the tensors it touches; ``about``: id, base, grid."""
    layout, gaps, numbers = [], [], []
    for name in sorted(delta):
        index, value = (array.astype(np.int64) for array in delta[name])
        size = int(np.prod(shapes[name], dtype=np.int64))
        columns = shapes[name][-1] if len(shapes[name]) > 1 else 1
        place = index % columns * (size // columns) + index // columns
        order = np.argsort(place)
        gaps.append(np.diff(place[order], prepend=-1) - 1)
        value = value[order]
        used = int(np.bitwise_or.reduce(np.abs(value))) if len(value) else 0
        shift = (used & -used).bit_length() - 1 if used else 0
        value >>= shift
        numbers.append((value << 1) ^ (value >> 63))
        layout.append([name, len(index), size, columns, shift])
    zigzag = np.concatenate(numbers).astype(np.uint16) if numbers else np.zeros(0, np.uint16)
    places = _varints(np.concatenate(gaps)) if gaps else b""
    parts = {"places": _deflated(places), "low": _deflated((zigzag & 255).astype(np.uint8).tobytes()),
             "high": _deflated((zigzag >> 8).astype(np.uint8).tobytes())}
    return save(parts, {**about, "format": FORMAT, "version": VERSION, "layout": json.dumps(layout)})


def decode(raw: bytes) -> Delta:
    """The delta in a file's bytes, of either version. ValueError: it is none; nothing large is made of a small lie."""
    try:
        content = load(raw)
        length = int.from_bytes(raw[:8], "little")
        about = json.loads(raw[8 : 8 + length]).get("__metadata__") or {}
        if about.get("format") != FORMAT:
            delta = {key[:-7]: (content[key], content[key[:-7] + "::value"]) for key in content
                     if key.endswith("::index")}
            for index, value in delta.values():
                if not (index.dtype == np.int32 and value.dtype == np.int16 and index.ndim == 1
                        and index.shape == value.shape and len(index) and index[0] >= 0 and (np.diff(index) > 0).all()):
                    raise ValueError("its places or values are not of a delta")
            return delta
        if about.get("version") != VERSION:
            raise ValueError(f"it is of version {about.get('version')}, which this nimllm does not know")
        return _unpacked(content, json.loads(about["layout"]))
    except (SafetensorError, KeyError, TypeError, AttributeError, OverflowError, zlib.error, IndexError) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _unpacked(content: Mapping[str, np.ndarray], layout: list[list]) -> Delta:
    for name, count, size, columns, shift in layout:
        numbers = (count, size, columns, shift)
        if not isinstance(name, str) or not all(isinstance(number, int) for number in numbers) or not (
                0 < count <= size < 2**31 and 0 < columns <= size and size % columns == 0 and 0 <= shift < 15):
            raise ValueError("its layout cannot be")
    total = sum(row[1] for row in layout)
    gaps = _numbers(_inflated(content["places"], 5 * total), total)
    low, high = _inflated(content["low"], total), _inflated(content["high"], total)
    if len(low) != total or len(high) != total:
        raise ValueError("the values are not as many as they should be")
    zigzag = low.astype(np.int64) | (high.astype(np.int64) << 8)
    value = (zigzag >> 1) ^ -(zigzag & 1)
    delta: Delta = {}
    at = 0
    for name, count, size, columns, shift in layout:
        place = np.cumsum(gaps[at : at + count] + 1) - 1
        if place[-1] >= size:
            raise ValueError("a place is out of range")
        index = place % (size // columns) * columns + place // (size // columns)
        order = np.argsort(index)
        steps = value[at : at + count] << shift
        if np.abs(steps).max() > MAX_INT:
            raise ValueError("a value is out of range")
        delta[name] = (index[order].astype(np.int32), steps[order].astype(np.int16))
        at += count
    return delta
