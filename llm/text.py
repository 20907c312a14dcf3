"""Readers: whatever a user calls "my text" becomes a stream of documents.

Text files, folders of text and code, JSONL, parquet and stdin (``-``), the first ones also as .gz and .xz. Memory stays
bounded: a long file comes in parts. Line ends become "\\n", a byte order mark is dropped.
"""

from __future__ import annotations

import gzip
import json
import lzma
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nimllm.errors import NimError
from nimllm.llm.turns import ROLES, Turn

PART = 1 << 22  # bytes of a file that are in memory at once
_SUFFIXES = (".gz", ".xz")
_ROWS = (".jsonl", ".ndjson")
# What nobody means by "my code": other people's, or written by a machine.
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv", "site-packages", "target", "dist", "build"})
_NAMES = {"human": "user", "gpt": "assistant", "tool": "output", "model": "assistant"}


@dataclass(frozen=True)
class Document:
    """One document, or one part of a long file. ``turns``: it is a conversation, and ``text`` is empty."""

    text: str
    source: str
    turns: tuple[Turn, ...] = ()
    first: bool = True  # a new document starts here
    last: bool = True  # and ends here


def documents(paths: Iterable[Path | str], column: str = "text", skipped: Counter[str] | None = None,
              without: Path | None = None) -> Iterator[Document]:
    """Every document of the paths, in a fixed order, each file once.

    Inside folders, files that are binary, not UTF-8, empty or unreadable are passed over and counted by reason in
    ``skipped``; what lies under ``without`` is not looked at. A file that is named itself must be good: NimError when
    it is missing, empty, binary, not UTF-8 (with the byte offset), or when its rows do not hold text (with the line).
    """
    skipped = Counter() if skipped is None else skipped
    for path, named in files(paths, skipped, without):
        if str(path) == "-":
            yield from _text(sys.stdin.buffer, "stdin")
        elif named:
            yield from _file(path, column)
        else:
            reason = _flaw(path)
            if reason:
                skipped[reason] += 1
            elif _stem(path).suffix in _ROWS and not _has_rows(path, column):
                yield from _plain(path)
            else:
                yield from _file(path, column)


def files(paths: Iterable[Path | str], skipped: Counter[str] | None = None, without: Path | None = None
          ) -> Iterator[tuple[Path, bool]]:
    """(file, was it named itself) of the paths, each once; NimError for a path that is missing."""
    seen: set[Path] = set()
    skipped = Counter() if skipped is None else skipped
    for given in paths:
        path = Path(given)
        if str(path) == "-":
            yield path, True
            continue
        try:
            folder = path.is_dir()
            if not folder and not path.exists():
                raise NimError(f"{path} does not exist", "", "give a text file, a folder, a .jsonl, a .parquet or -")
            found = [path]
            if folder:
                out = without.resolve() if without is not None else None
                found = [file for file in _inside(path) if out is None or out not in file.resolve().parents]
        except OSError as error:
            raise NimError(f"cannot read {path}", error.strerror or str(error), "make it readable") from None
        usable = 0
        before = skipped.total()
        for file in found:
            real = file.resolve()
            if real not in seen:
                seen.add(real)
                usable += 1
                yield file, not folder
        if folder and (not found or 0 < usable <= skipped.total() - before):
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items()))
            raise NimError(f"the folder {path} holds no text", reasons or "it has no files", "give a folder with text")


def _inside(folder: Path) -> Iterator[Path]:
    """The files of a folder, sorted: what git would track, or all but hidden and machine-made ones."""
    listed: list[str] = []
    try:
        done = subprocess.run(["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others",
                               "--exclude-standard"], capture_output=True, timeout=60)
        listed = sorted(os.fsdecode(name) for name in set(done.stdout.split(b"\0")) if name)
    except (OSError, subprocess.TimeoutExpired):
        pass  # no git: the simple rules
    if listed:
        yield from (path for path in (folder / name for name in listed) if path.is_file())
        return
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED_FOLDERS)
        for name in sorted(names):
            path = Path(where, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _flaw(path: Path) -> str:
    """Why a file inside a folder is passed over, or ""."""
    if path.suffix == ".parquet":
        return ""
    try:
        blank = True
        with _opened(path) as file:
            for number, (part, _) in enumerate(_parts(file, str(path))):
                blank = blank and not part.strip()
                if number == 0 and part.startswith("version https://git-lfs"):
                    return "git-lfs pointers"
    except NimError as error:
        return "binary" if "binary" in error.what else "not UTF-8" if "UTF-8" in error.what else "unreadable"
    return "empty" if blank else ""


def _stem(path: Path) -> Path:
    return path.with_suffix("") if path.suffix in _SUFFIXES else path


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed by its suffix; every way it can fail is a NimError."""
    try:
        opener: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
        with opener(path, "rb") as file:
            yield file
    except (OSError, EOFError, lzma.LZMAError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise NimError(f"cannot read {path}", why, "make it readable or leave it out") from None


def _parts(file: BinaryIO, source: str) -> Iterator[tuple[str, bool]]:
    """(text, is it the last) of a UTF-8 stream, cut after a line end where there is one."""
    offset, rest, number = 0, b"", 0
    before: str | None = None  # one part is held back: only the end of the stream says which is the last
    while True:
        block = file.read(PART)
        data = rest + block
        if number == 0 and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise NimError(f"{source} is not UTF-8", "it begins like UTF-16", f"iconv -f UTF-16 -t UTF-8 {source}")
        if number == 0 and data[:3] == b"\xef\xbb\xbf":
            data, offset = data[3:], 3
        nul = data.find(b"\0")
        if nul >= 0:
            raise NimError(f"{source} is binary", f"a NUL at offset {offset + nul}", "give text, or leave it out")
        end = len(data)
        if block:
            end = data.rfind(b"\n") + 1
            if not end and len(data) >= 2 * PART:  # no line end anywhere: cut between characters
                end = len(data) - 1
                while end > len(data) - 4 and data[end] & 0xC0 == 0x80:
                    end -= 1
            if not end:
                rest = data
                continue
        try:
            text = data[:end].decode()
        except UnicodeDecodeError as error:
            raise NimError(f"{source} is not UTF-8", f"byte {data[error.start]:#04x} at offset {offset + error.start}",
                           f"convert it, for instance: iconv -f latin1 -t UTF-8 {source}") from None
        rest = data[end:]
        offset += end
        number += 1
        if text:
            if before is not None:
                yield before, False
            before = text.replace("\r\n", "\n") if "\r" in text else text
        if not block:
            yield before or "", True
            return


def _text(file: BinaryIO, source: str) -> Iterator[Document]:
    first, blank = True, True
    for text, last in _parts(file, source):
        blank = blank and not text.strip()
        if text:
            yield Document(text, source, (), first, last)
            first = False
    if blank:
        raise NimError(f"{source} is empty", "there is no text in it", "give a file with text")


def _plain(path: Path) -> Iterator[Document]:
    with _opened(path) as file:
        yield from _text(file, str(path))


def _file(path: Path, column: str) -> Iterator[Document]:
    if path.suffix == ".parquet":
        yield from _parquet(path, column)
    elif _stem(path).suffix in _ROWS:
        yield from _jsonl(path, column)
    else:
        yield from _plain(path)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    rest, number = "", 0
    with _opened(path) as file:
        for text, last in _parts(file, str(path)):
            lines = (rest + text).split("\n")
            rest = "" if last else lines.pop()
            for line in lines:
                number += 1
                if line.strip():
                    yield number, line


def _has_rows(path: Path, column: str) -> bool:
    """Whether the first line of a JSONL file inside a folder holds what we can read."""
    for _, line in _lines(path):
        try:
            row = json.loads(line)
        except ValueError:
            return False
        return isinstance(row, dict) and any(key in row for key in (column, "messages", "turns"))
    return False


def _jsonl(path: Path, column: str) -> Iterator[Document]:
    empty = True
    for number, line in _lines(path):
        where = f"{path} line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise NimError(f"{where} is not JSON", str(error), "mend the line or leave it out") from None
        if not isinstance(row, dict):
            raise NimError(f"{where} is not an object", "", f'rows look like {{"{column}": "..."}}')
        text = row.get(column)
        if isinstance(text, str):
            document = Document(_sound(text, where), where)
        elif "messages" in row or "turns" in row:
            document = Document("", where, read_turns(row.get("messages", row.get("turns")), where))
        else:
            raise NimError(f"{where} has no text in {column!r}", f"its fields are {', '.join(map(str, row)) or 'none'}",
                           "name the field with --column")
        if document.text.strip() or document.turns:
            empty = False
            yield document
    if empty:
        raise NimError(f"{path} is empty", "there is no text in it", "give a file with text")


def _sound(text: str, where: str) -> str:
    """JSON can spell half of a surrogate pair, which is no character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NimError(f"{where} is not Unicode text", f"a lone surrogate at character {error.start}", "mend the line"
                       ) from None
    return text


def read_turns(rows: object, where: str) -> tuple[Turn, ...]:
    """Turns from ``[{"role", "content" or "text"}]``; what a tool said is tainted."""
    turns: list[Turn] = []
    for given in rows if isinstance(rows, list) else [None]:
        row: dict[str, Any] = given if isinstance(given, dict) else {}
        role = row.get("role", row.get("from"))
        text = next((row[key] for key in ("content", "text", "value") if key in row), None)
        name = _NAMES.get(role, role) if isinstance(role, str) else None
        if name not in ROLES or not isinstance(text, str):
            raise NimError(f"{where} is not a conversation", f"a turn is {str(given)[:80]}",
                           f"turns are {{role, content}} with a role of {', '.join(ROLES)}")
        turns.append(Turn(name, _sound(text, where), bool(row.get("tainted", name == "output"))))
    return tuple(turns)


def _parquet(path: Path, column: str) -> Iterator[Document]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise NimError(f"cannot read {path}", "parquet needs pyarrow", "pip install pyarrow, or give JSONL") from None
    empty = True
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            names = table.schema_arrow.names
            if column not in names:
                raise NimError(f"{path} has no column {column!r}", f"its columns are {', '.join(names)}",
                               "name the one with the text with --column")
            for batch in table.iter_batches(batch_size=256, columns=[column]):
                for text in batch.column(0).to_pylist():
                    if text is not None and not isinstance(text, str):
                        raise NimError(f"{path}: the column {column!r} is not text", f"it holds {type(text).__name__}",
                                       f"its columns are {', '.join(names)}")
                    if text and text.strip():
                        empty = False
                        yield Document(text, str(path))
    except (OSError, pyarrow.ArrowException) as error:
        raise NimError(f"cannot read {path}", str(error).splitlines()[0], "it is not a good parquet file") from None
    if empty:
        raise NimError(f"{path} is empty", "there is no text in it", "give a file with text")
