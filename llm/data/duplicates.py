"""Duplicates: equal documents by a hash, similar ones by MinHash and locality-sensitive hashing, in bounded memory.

Equal: the same but for white space (64-bit hash: about n²/2⁶⁵ false pairs among n documents, 3 in a million for ten
million). Similar: Jaccard similarity of the sets of five-word shingles, letters lower-case, punctuation ignored, each
Chinese or Japanese character a word. One-permutation hashing with optimal densification (Shrivastava 2017, "Optimal
Densification for Fast and Accurate Minwise Hashing") gives 112 bytes per document: 14 bands of 8. Two documents of
similarity s meet in a band with probability 1 - (1 - s^8)^14: 0.1 % at 0.3, 5 % at 0.5, 56 % at 0.7, 77 % at 0.75, 92 %
at 0.8, 99.96 % at 0.9 (the shape of FineWeb's filter), and the later one goes when the 112 bytes of both agree on a
similarity of at least 0.7 (standard error 0.04), so that pairs below 0.55 practically never go. Signatures lie on the
disk (1.1 GB for ten million documents); bands are sorted one after the other, 16 bytes per document.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

BANDS, ROWS = 14, 8
BYTES = BANDS * ROWS  # of a signature: one of each minimum
SHINGLE = 5  # words
SIMILAR = 0.7
_PAIRS = 1 << 18  # compared at once: 60 MB
_MIX1, _MIX2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)  # murmur3's finaliser
_FACTOR = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_PUNCTUATION = re.compile("[\u2000-\u206f\u3000-\u303f\xa0-\xbf]")
_STRETCH = 1 << 17  # characters whose shingles are made at once: 10 MB


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """(kind of each byte: 0 separator, 1 inside a word, 2 a word of its own begins; a random number for each byte)."""
    kind = np.zeros(256, np.uint8)
    for character in b"abcdefghijklmnopqrstuvwxyz0123456789_":
        kind[character] = 1
    kind[0x80:] = 1
    kind[0xE3:0xEA] = 2  # first bytes of kana and Chinese characters in UTF-8
    random = np.random.default_rng(20240531).integers(1, 1 << 63, 256, np.uint64)
    return kind, random


_KIND, _RANDOM = _tables()


def exact_hash(text: str) -> int:
    """64 bits of the text with runs of white space as one space."""
    return int.from_bytes(hashlib.blake2b(" ".join(text.split()).encode(), digest_size=8).digest(), "little")


def joined_hash(hashes: Sequence[int]) -> int:
    """The hash of a document that came in parts."""
    if len(hashes) == 1:
        return hashes[0]
    data = b"".join(value.to_bytes(8, "little") for value in hashes)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _mix(values: np.ndarray) -> np.ndarray:
    values = (values ^ (values >> np.uint64(33))) * _MIX1
    values = (values ^ (values >> np.uint64(33))) * _MIX2
    return values ^ (values >> np.uint64(33))


def shingles(text: str) -> np.ndarray:
    """Hashes, uint64, of every five words in a row; of all words together when there are fewer."""
    if not text.isascii():
        text = _PUNCTUATION.sub(" ", text)
    data = np.frombuffer(text.lower().encode(errors="replace"), np.uint8)
    kind = _KIND[data]
    inside = kind > 0
    opens = inside & ((kind == 2) | ~np.concatenate([[False], inside[:-1]]))
    place = np.cumsum(inside) - 1  # of each byte among those that count
    starts = place[opens]
    letters = data[inside]
    if not len(letters):
        return np.zeros(0, np.uint64)
    with np.errstate(over="ignore"):
        powers = _powers(len(letters) + 1)
        # sum of random[byte] * factor^-i: times factor^start it is a hash of the window alone
        total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_RANDOM[letters] * powers[0][:len(letters)])])
        ends = np.append(starts[SHINGLE:], len(letters))
        begins = starts[:max(1, len(starts) - SHINGLE + 1)]
        ends = ends[:len(begins)] if len(starts) >= SHINGLE else ends[-1:]
        return _mix((total[ends] - total[begins]) * powers[1][begins])


_POWERS: list[np.ndarray] = [np.ones(1, np.uint64), np.ones(1, np.uint64)]


def _powers(count: int) -> list[np.ndarray]:
    """[factor^-i, factor^i] modulo 2**64, i < count."""
    if len(_POWERS[0]) < count:
        with np.errstate(over="ignore"):
            size = max(count, 1 << 16)
            inverse = pow(_FACTOR, -1, 1 << 64)
            for number, factor in enumerate((inverse, _FACTOR)):
                steps = np.full(size, factor, np.uint64)
                steps[0] = 1
                _POWERS[number] = np.cumprod(steps)
    return _POWERS


def minima(text: str) -> np.ndarray:
    """uint64 [BYTES]: of the shingles that fall into each of the bins, the smallest hash; _EMPTY without one. The
    minima of a document in parts are the elementwise minimum of those of its parts."""
    found = np.full(BYTES, _EMPTY)
    for begin in range(0, len(text), _STRETCH):
        hashes = shingles(text[begin:begin + _STRETCH])
        bins = ((hashes >> np.uint64(40)) * np.uint64(BYTES)) >> np.uint64(24)
        np.minimum.at(found, bins.astype(np.intp), _mix(hashes + np.uint64(_FACTOR & 0xFFFF)))
    return found


_PROBES = np.random.default_rng(20170809).permuted(np.tile(np.arange(BYTES), (BYTES, 1)), axis=1)  # [bin, attempt]


def signatures(found: np.ndarray) -> np.ndarray:
    """uint8 [n, BYTES] of minima [n, BYTES]; an empty bin takes what stands in the first full one of its own random
    order of all bins. All zero for a text without words."""
    found = found.copy()
    full = found != _EMPTY
    rows, bins = np.nonzero(~full & full.any(1, keepdims=True))
    attempt = 0
    while len(rows):
        drawn = _PROBES[bins, attempt]
        hit = full[rows, drawn]
        found[rows[hit], bins[hit]] = found[rows[hit], drawn[hit]]
        rows, bins = rows[~hit], bins[~hit]
        attempt += 1
    result = (_mix(found) & np.uint64(0xFF)).astype(np.uint8)
    result[~full.any(1)] = 0
    return result


def equal(hashes: np.ndarray) -> np.ndarray:
    """bool [n]: documents with the hash of an earlier one. ``hashes``: uint64 [n]."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    drop = np.zeros(len(hashes), bool)
    drop[order[1:][ordered[1:] == ordered[:-1]]] = True
    return drop


def similar(file: BinaryIO, count: int, without: np.ndarray) -> np.ndarray:
    """bool [count]: documents similar to an earlier one. ``file``: their signatures, BYTES each; ``without``, bool
    [count]: documents that are out of the comparison."""
    drop = np.zeros(count, bool)
    if not count:
        return drop
    table = np.memmap(file, np.uint8, "r", shape=(count, BYTES))
    blank = np.zeros(count, bool)
    step = 1 << 16
    for begin in range(0, count, step):
        blank[begin:begin + step] = ~table[begin:begin + step].any(1)  # without a word
    places = np.flatnonzero(~(without | blank))
    for band in range(BANDS):
        keys = np.empty(len(places), np.uint64)
        for begin in range(0, len(places), step):
            rows = table[places[begin:begin + step], band * ROWS:(band + 1) * ROWS]
            keys[begin:begin + step] = np.ascontiguousarray(rows).view(np.uint64)[:, 0]
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        same = np.flatnonzero(keys[1:] == keys[:-1]) + 1
        opens = np.ones(len(keys), bool)
        opens[same] = False
        head = np.maximum.accumulate(np.where(opens, np.arange(len(keys)), 0))  # the first of each group
        ordered = places[order]
        for begin in range(0, len(same), _PAIRS):
            members = same[begin:begin + _PAIRS]
            later = ordered[members]
            # with the first of its group, and with the one before it: a group may hold several kinds
            for earlier in (ordered[head[members]], ordered[members - 1]):
                open_ = ~drop[later]
                alike = (table[later[open_]] == table[earlier[open_]]).mean(1)
                drop[later[open_]] |= (alike - 1 / 256) / (1 - 1 / 256) >= SIMILAR
    return drop
