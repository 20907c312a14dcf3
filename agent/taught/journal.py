"""What a run has measured, a JSON line as soon as each is known, so that a run that was stopped goes on behind it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from nimllm.errors import CONFIG, NimError
from nimllm.llm.checkpoint import replacing


class Journal:
    """Rows of one file; a last line that a kill cut short is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        try:
            lines = path.read_bytes().split(b"\n") if path.exists() else []
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from None
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                found = json.loads(line)
                if not isinstance(found, dict):
                    raise ValueError("no object")
            except ValueError as error:
                if number == len(lines):  # it has no newline: torn
                    break
                raise _unusable(path, f"line {number}: {error}") from None
            self.rows.append(found)
        if lines and lines[-1]:
            write_bytes(path, b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in self.rows))

    def add(self, row: dict[str, Any]) -> None:
        """On the disk when this returns. NimError 3 when it cannot be written."""
        data = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        try:
            with open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0) as out:
                out.write(data)
                os.fsync(out.fileno())
        except OSError as error:
            raise _unusable(self.path, error.strerror or str(error)) from None
        self.rows.append(row)


def _unusable(path: Path, why: str) -> NimError:
    return NimError(f"cannot use {path}", why, "make room there, or begin in another --out", CONFIG)


def write_bytes(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    with replacing(path) as file:
        file.write(data)


def write_json(path: Path, data: object) -> None:
    write_bytes(path, json.dumps(data, ensure_ascii=False, indent=1).encode() + b"\n")


def read_json(path: Path) -> Any:
    """NimError 3 when it is missing or no JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(path, str(error)) from None
