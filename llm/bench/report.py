"""Where figures go: JSON lines for programs, a table for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, TextIO

from nimllm.errors import NimError
from nimllm.llm.bench.provenance import provenance
from nimllm.llm.bench.rounds import Figure

FORMAT, VERSION = "nimllm-bench", 1


class Report:
    """Writes every figure as it comes. Standard output gets the JSON lines, or ``path`` does; the table goes to
    standard error when that is a terminal, or when the lines go to a file."""

    def __init__(self, bench: str, path: str | None) -> None:
        self.bench = bench
        self._out: TextIO = sys.stdout
        if path is not None:
            try:
                self._out = open(path, "a", encoding="utf-8")  # noqa: SIM115
            except OSError as error:
                raise NimError(f"cannot write {path}", error.strerror or str(error), "choose another --json FILE"
                               ) from None
        self._path = path
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Report:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        if self._path is not None:
            self._out.close()
        if self._rows and (self._terminal or self._path is not None):
            self._say("\r\x1b[K" if self._terminal else "")
            for line in table(self._rows):
                self._say(line + "\n")

    def _say(self, text: str) -> None:
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()

    def tell(self, text: str) -> None:
        """Progress, on a terminal only."""
        if self._terminal:
            self._say(f"\r\x1b[K{text[:118]}")

    def note(self, text: str) -> None:
        """Something the reader must know, on standard error."""
        self._say(("\r\x1b[K" if self._terminal else "") + f"nimllm: {text}\n")

    def add(self, figures: Iterable[Figure], shape: str, conditions: dict[str, Any],
            geometry: dict[str, Any] | None = None) -> None:
        """One line each. ``conditions``: lengths, batches, threads: everything that was chosen."""
        for figure in figures:
            row = {"format": FORMAT, "version": VERSION, "bench": self.bench, "shape": shape, **figure.row(),
                   "conditions": conditions, "geometry": geometry, "provenance": provenance()}
            self._rows.append(row)
            self._out.write(json.dumps(row) + "\n")
            self._out.flush()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Lines of a table: what, who, median, spread, share of the limit, ratios to the peers."""
    cells = [("shape", "dtype", "who", "figure", "median", "min … max", "limit", "share", "ratio to peers (min … max)")]
    for row in rows:
        limit = row["limit"]
        ratios = "; ".join(f"{peer} {ratio['median']:.2f}x ({ratio['min']:.2f} … {ratio['max']:.2f})"
                           for peer, ratio in row["ratios"].items())
        cells.append((row["shape"], row["dtype"], row["who"], row["figure"], f"{_number(row['median'])} {row['unit']}",
                      f"{_number(row['min'])} … {_number(row['max'])}", _number(limit["median"]) if limit else "-",
                      f"{limit['share']['median']:.0%}" if limit else "-", ratios))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
