"""Which part of a corpus is validation: whole documents drawn at random, or the tail where there are too few."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from nimllm.llm.data.clean import Cleaner
from nimllm.llm.data.scan import Scan, changed, item
from nimllm.llm.data.work import Item
from nimllm.llm.text import Document

TRAIN, VALIDATION, DROPPED, CUT = 0, 1, 2, 3
_STEP = 1 << 16


@dataclass(frozen=True)
class Split:
    """``sides``: uint8 for every part of the scan. With CUT, the tail begins ``at`` bytes into that part."""

    sides: np.ndarray
    at: int = 0


def split(scanned: Scan, fraction: float) -> Split:
    """Documents at random (seed 0) until ``fraction`` of the bytes is reached without going far over it, else the tail.

    The order of the draw depends only on how many documents are kept.
    """
    sizes = scanned.document_sizes()
    kept = np.flatnonzero(~scanned.drop)
    held = sizes[kept]
    target = fraction * int(held.sum())
    side = np.full(len(sizes), TRAIN, np.uint8)
    side[scanned.drop] = DROPPED
    got = 0
    order = np.random.default_rng(0).permutation(len(kept))
    for begin in range(0, len(order), _STEP):
        for number, size in zip(order[begin:begin + _STEP].tolist(), held[order[begin:begin + _STEP]].tolist(),
                                strict=True):
            if got < target and got + size <= 1.25 * target:
                side[kept[number]] = VALIDATION
                got += size
        if got >= target:
            break
    of_part = np.cumsum(scanned.opens) - 1
    if got >= 0.75 * target and got:
        return Split(side[of_part])
    return _tail(scanned, of_part, int(held.sum() - target))


def _tail(scanned: Scan, of_part: np.ndarray, cut: int) -> Split:
    parts = np.where(scanned.drop[of_part], 0, scanned.sizes)
    ends = np.cumsum(parts)
    sides = np.where(ends <= cut, TRAIN, VALIDATION).astype(np.uint8)
    crossing = int(np.searchsorted(ends, cut, "right"))
    at = 0
    if crossing < len(sides):
        at = int(cut - (ends[crossing] - parts[crossing]))
        if at > 0:
            sides[crossing] = CUT
    sides[scanned.drop[of_part]] = DROPPED
    return Split(sides, at)


def sides(stream: Iterable[Document], chosen: Split, cleaner: Cleaner) -> Iterator[tuple[int, Item, int]]:
    """(TRAIN or VALIDATION, what is to be encoded, its origin). The first text of a validation tail opens a document of
    its own. NimError when the stream has other parts than the scan."""
    number, tail = -1, False
    for number, document in enumerate(stream):
        if number >= len(chosen.sides):
            raise changed()
        side = int(chosen.sides[number])
        if side == DROPPED:
            continue
        if side == CUT:
            tail = True
            if document.turns:
                yield VALIDATION, item(document), document.origin
                continue
            raw = (cleaner.apply(document.text) if cleaner.steps else document.text).encode()
            head = raw[:raw.rfind(b"\n", 0, chosen.at) + 1 or chosen.at].decode(errors="ignore").encode()
            if head:
                yield TRAIN, Item(head, False, document.first, False, True), document.origin
            yield VALIDATION, Item(raw[len(head):], False, True, document.last, True), document.origin
        elif side == VALIDATION and not tail and not document.first and number and \
                chosen.sides[number - 1] == TRAIN:
            tail = True
            yield VALIDATION, Item(document.text.encode(), False, True, document.last), document.origin
        else:
            yield side, item(document), document.origin
    if number + 1 != len(chosen.sides):
        raise changed()
