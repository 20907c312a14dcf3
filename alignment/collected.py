"""A JSONL file of preference rows that grows over many runs: what is in it is not made again."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from nimllm.errors import NimError
from nimllm.llm.turns import Turn


def as_rows(turns: tuple[Turn, ...] | list[Turn]) -> list[dict[str, Any]]:
    """Turns as a row of JSON holds them."""
    return [{"role": turn.role, "text": turn.text, **({"tainted": True} if turn.tainted else {})} for turn in turns]


class Collected:
    """Rows with a ``source`` whose "key" names them. One process at a time; a row is in the file when :meth:`add`
    returns, and half a row that a killed process left is removed. NimError: the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys: set[str] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+b")  # noqa: SIM115
        except OSError as error:
            raise NimError(f"cannot write {path}", error.strerror or str(error), "choose another --out") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.seek(0)
            end = 0
            for line in self._file:
                if not line.endswith(b"\n"):
                    self._file.truncate(end)
                    break
                end += len(line)
                self._remember(line)
        except OSError as error:
            self._file.close()
            why = "another process is writing it" if isinstance(error, BlockingIOError) else error.strerror
            raise NimError(f"cannot write {path}", why or str(error), "wait for it, or choose another --out") from None

    def _remember(self, line: bytes) -> None:
        try:
            self.keys.add(json.loads(line)["source"]["key"])
        except (ValueError, RecursionError, KeyError, TypeError):
            pass  # somebody's own row

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def add(self, row: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            self._file.flush()
        except OSError as error:
            raise NimError(f"cannot write {self.path}", error.strerror or str(error),
                           "free some space and run again: what is in the file is kept") from None
        self.keys.add(row["source"]["key"])

    def __enter__(self) -> Collected:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        try:
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
