"""Texts as rows for the model, and how well a model predicts them.

A book is whatever one path names: a file, or all of a folder. Its rows begin with bos and fill a context each.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from nimllm.alignment.memory.curvature import mean_loss
from nimllm.errors import NimError
from nimllm.llm.model import GPT
from nimllm.llm.text import documents
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import render

MEASURED_ROWS = 32  # of a book, evenly spaced, on which it is measured


@dataclass(frozen=True)
class Book:
    """``sha256`` of its rows: the same text in another file is the same book."""

    name: str
    sha256: str
    rows: list[list[int]]
    bytes: int

    def measured(self, count: int = MEASURED_ROWS) -> list[list[int]]:
        """Rows that stand for the whole."""
        return spread(self.rows, count)


def spread(rows: Sequence[list[int]], count: int) -> list[list[int]]:
    """At most ``count`` of the rows, evenly spaced."""
    if len(rows) <= count:
        return list(rows)
    return [rows[(2 * index + 1) * len(rows) // (2 * count)] for index in range(count)]


class Redactor(Protocol):
    """Takes a text in pieces, and gives it back without its secrets (``tools.redact.Stream``)."""

    def feed(self, piece: str) -> str: ...
    def close(self) -> str: ...


def read_book(path: Path, tokenizer: Tokenizer, context: int, redactor: Callable[[], Redactor] | None = None) -> Book:
    """``redactor``: made anew for each text of it. NimError when it cannot be read, or when it is too short to learn
    from."""
    hidden: Redactor | None = None

    def shown(text: str, first: bool, last: bool) -> str:
        nonlocal hidden
        if redactor is None:
            return text
        if first or hidden is None:
            hidden = redactor()
        text = hidden.feed(text)
        return text + hidden.close() if last else text

    rows: list[list[int]] = []
    held: list[int] = []
    size = 0

    def cut(last: bool) -> None:
        while len(held) >= context - 1 or (last and held):
            row = held[: context - 1]
            del held[: context - 1]
            if len(row) > 1:
                rows.append([tokenizer.bos, *row])

    for document in documents([path]):
        if document.first:
            cut(True)
        if document.turns:
            turns = [replace(turn, text=shown(turn.text, True, True)) for turn in document.turns]
            held += render(turns, tokenizer, bos=False).ids
            size += sum(len(turn.text.encode()) for turn in turns)
        else:
            text = shown(document.text, document.first, document.last)
            held += tokenizer.encode(text)
            size += len(text.encode())
        cut(document.last)
    if not rows:
        raise NimError(f"there is nothing to read in {path}", "it holds no text", "give a file with some pages of text")
    digest = hashlib.sha256()
    for row in rows:
        digest.update(b",".join(b"%d" % index for index in row) + b"\n")
    name = path.name or str(path)
    return Book("standard input" if str(path) == "-" else name, digest.hexdigest(), rows, size)


def row_bytes(tokenizer: Tokenizer, rows: Sequence[Sequence[int]]) -> int:
    """Bytes of text in the predicted ids of the rows: all but each one's first."""
    return sum(len(tokenizer.token_bytes(index)) for row in rows for index in row[1:])


def bits_per_byte(model: GPT, tokenizer: Tokenizer, rows: Sequence[Sequence[int]]) -> float:
    """Bits per byte of the rows' predicted ids."""
    tokens = sum(len(row) - 1 for row in rows)
    return mean_loss(model, rows, tokenizer.pad) * tokens / math.log(2) / max(1, row_bytes(tokenizer, rows))
