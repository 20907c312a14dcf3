"""Readers: whatever a user calls "my text" becomes a stream of documents.

Text files, folders of text and code, JSONL, parquet and stdin (``-``), all but parquet also as .gz, .xz, .bz2 and .zst.
Memory stays bounded: a long file comes in parts, a row has at most 10 MB. Line ends become "\\n", a byte order mark is
dropped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from nimllm.errors import NimError
from nimllm.llm.data import streams
from nimllm.llm.data.filters import Where, WrongType
from nimllm.llm.data.folders import Found, found
from nimllm.llm.data.tables import table_columns, table_rows
from nimllm.llm.data.tally import Tally
from nimllm.llm.turns import ROLES, Turn

ROWS = (".jsonl", ".ndjson")
FORMATS = ("auto", "text", "jsonl")
_NAMES = {"human": "user", "gpt": "assistant", "tool": "output", "model": "assistant"}
_TURNS = ("messages", "turns", "conversations")
FILTERED = "filtered out by --where"


@dataclass(frozen=True)
class Reading:
    """How rows become documents. ``columns``: their texts, joined by a blank line; ``where``: the rows that are kept;
    ``format``: what files and stdin are, by their names ("auto") or all the same."""

    columns: tuple[str, ...] = ("text",)
    where: Where | None = None
    format: str = "auto"


@dataclass(frozen=True)
class Document:
    """One document, or one part of a long file. ``turns``: it is a conversation, and ``text`` is empty.

    ``source``: the file, and the line or row. ``origin``: the number of the path through which it was found.
    """

    text: str
    source: str
    turns: tuple[Turn, ...] = ()
    first: bool = True  # a new document starts here
    last: bool = True  # and ends here
    origin: int = field(default=0, compare=False)


def documents(paths: Iterable[Path | str], reading: Reading | None = None, tally: Tally | None = None,
              without: Path | None = None) -> Iterator[Document]:
    """Every document of the paths, in a fixed order, each file once.

    Bad rows, and bad lines of texts, are left out and counted in ``tally``; without one the first is a NimError that
    names it. Inside folders, files that are binary, not UTF-8, empty or unreadable are passed over and counted; what
    lies under ``without`` is not looked at. NimError for a file that was named itself and is missing, unreadable,
    binary, not UTF-8 (with the byte offset), or that holds nothing usable.
    """
    reading = reading or Reading()
    tally = tally if tally is not None else Tally(strict=True)
    for file in found(paths, tally, without):
        stream = _file(file, reading, tally) if file.named else _inside(file, reading, tally)
        for document in stream:
            yield replace(document, origin=file.origin) if file.origin else document


def files(paths: Iterable[Path | str], without: Path | None = None) -> Iterator[tuple[Path, bool]]:
    """(file, was it named itself) of the paths, each once; NimError for a path that is missing."""
    return ((file.path, file.named) for file in found(paths, Tally(), without))


def _inside(file: Found, reading: Reading, tally: Tally) -> Iterator[Document]:
    """A file of a folder: what is wrong with it is counted, and it is passed over."""
    path, part = file.path, None
    name = str(path)
    try:
        rows = path.suffix == ".parquet" or _is_rows(path, reading)
        if rows and not _has_rows(path, reading, tally):
            if path.suffix == ".parquet":
                tally.file("parquet without the columns", name)
                return
            tally.note(f"{name} has no column {reading.columns[0]!r} and is read as plain text")
            rows = False
        for part in _file(file, reading, tally) if rows else _plain(path):
            if part.text.startswith("version https://git-lfs") and part.first:
                tally.file("git-lfs pointers", name)
                return
            yield part
    except NimError as error:
        if tally.strict and tally.total(bad=True):
            raise
        what = error.what
        reason = ("binary" if "binary" in what else "not UTF-8" if "UTF-8" in what else
                  "empty" if "is empty" in what or "nothing usable" in what else "unreadable")
        if part is None:
            tally.file(reason, name)
            return
        tally.bad(f"{reason} from the middle on", error, f"{name}: {error.why}")
        if not part.last:
            yield Document("", name, (), False, True)


def _is_rows(path: Path, reading: Reading) -> bool:
    return reading.format == "jsonl" or (reading.format == "auto" and streams.stem(path).suffix in ROWS)


def _file(file: Found, reading: Reading, tally: Tally) -> Iterator[Document]:
    path = file.path
    if str(path) == "-":
        if reading.format == "jsonl":
            yield from _rows(sys.stdin.buffer, "stdin", reading, tally)
        else:
            yield from _text(sys.stdin.buffer, "stdin", tally)
    elif path.suffix == ".parquet" and reading.format == "auto":
        yield from _parquet(path, reading, tally)
    elif _is_rows(path, reading):
        with streams.opened(path) as stream:
            yield from _rows(stream, str(path), reading, tally)
    else:
        if reading.where is not None:
            tally.note(f"{path} is plain text: it has no columns, and --where leaves it as it is")
        with streams.opened(path) as stream:
            yield from _text(stream, str(path), tally)


def _plain(path: Path) -> Iterator[Document]:
    """A text inside a folder: a line that is not text means that the file is none."""
    with streams.opened(path) as stream:
        yield from _text(stream, str(path), Tally(strict=True))


def _text(file: BinaryIO, source: str, tally: Tally) -> Iterator[Document]:
    first, blank = True, True
    for text, last in streams.parts(file, source, tally):
        blank = blank and not text.strip()
        if blank and last:
            break
        if text:
            yield Document(text, source, (), first, last)
            first = False
    if blank:
        raise NimError(f"{source} is empty", "there is no text in it", "give a file with text")


def _has_rows(path: Path, reading: Reading, tally: Tally) -> bool:
    """Whether a file of rows inside a folder holds what we can read, by its columns or its first line."""
    wanted = (*reading.columns, *_TURNS)
    if path.suffix == ".parquet":
        return any(name in wanted for name in table_columns(path))
    with streams.opened(path) as stream:
        for _, line in streams.rows(stream):
            try:
                row = json.loads(line or b"0")
            except (ValueError, RecursionError):
                return False
            return isinstance(row, dict) and any(name in row for name in wanted)
    return False


def _rows(file: BinaryIO, source: str, reading: Reading, tally: Tally) -> Iterator[Document]:
    """The documents of JSONL. NimError when not one row is usable."""
    before, read, used = tally.counts(), 0, False
    names: dict[str, None] = {}
    for number, line in streams.rows(file):
        where = f"{source} line {number}"
        read += 1
        if line is None:
            tally.bad(f"rows of more than {streams.LONGEST_ROW // 1_000_000} MB", NimError(
                f"{where} is longer than {streams.LONGEST_ROW:,} bytes", "", "cut it into documents"), where)
            continue
        try:
            row = json.loads(line.decode())
        except UnicodeDecodeError as error:
            tally.bad("not UTF-8", NimError(f"{where} is not UTF-8", f"byte {line[error.start]:#04x} in it",
                                            "mend the line or leave it out"), where)
            continue
        except (ValueError, RecursionError) as error:
            tally.bad("not JSON", NimError(f"{where} is not JSON", str(error), "mend the line or leave it out"), where)
            continue
        if not isinstance(row, dict):
            tally.bad("not an object", NimError(f"{where} is not an object", "",
                                                f'rows look like {{"{reading.columns[0]}": "..."}}'), where)
            continue
        if len(names) < 100:
            names.update(dict.fromkeys(map(str, row)))
        document = _document(row, where, reading, tally, filtered=False)
        if document is not None:
            used = True
            yield document
    if not used:
        _unusable(source, before, read, list(names), reading, tally)


def _parquet(path: Path, reading: Reading, tally: Tally) -> Iterator[Document]:
    names = table_columns(path)
    turns = next((name for name in _TURNS if name in names), None)
    absent = [name for name in reading.columns if name not in names]
    if absent and (turns is None or len(absent) < len(reading.columns)):
        raise NimError(f"{path} has no column {absent[0]!r}", f"its columns are {', '.join(names)}",
                       "name the one with the text with --column")
    before, read, used = tally.counts(), 0, False
    wanted = [turns] if absent and turns else list(reading.columns)
    for number, row, passes in table_rows(path, wanted, reading.where):
        read += 1
        where = f"{path} row {number}"
        if row is None:
            tally.left(FILTERED)
            continue
        document = _document(row, where, reading, tally, filtered=passes)
        if document is not None:
            used = True
            yield document
    if not used:
        _unusable(str(path), before, read, names, reading, tally)


def _unusable(source: str, before: Mapping[str, int], read: int, names: list[str], reading: Reading, tally: Tally
              ) -> None:
    """NimError for a file of rows that gave nothing, unless that is what --where asked for."""
    missing = [name for name in (reading.where.columns if reading.where else ()) if names
               and name not in names and name.split(".")[0] not in names]
    if missing:
        raise NimError(f"{source} has no column {missing[0]!r}, which --where asks for",
                       f"its columns are {', '.join(names)}", "correct the condition")
    if not read or tally.counts() == before:
        raise NimError(f"{source} is empty", "there is no text in it", "give a file with text")
    if tally.counts().get(FILTERED, 0) > before.get(FILTERED, 0):
        return
    reasons = tally.since(dict(before))
    first = next((entry.error for reason, entry in tally.reasons.items()
                  if entry.bad and entry.count > before.get(reason, 0) and entry.error), None)
    why = f"of its {read} rows: {reasons}"
    if first is not None and str(source) in first.what:
        why += f"; {first.what}" + (f", {first.why}" if first.why else "")
    raise NimError(f"{source} holds nothing usable", why, first.mend if first else "give a file with text")


def _document(row: Mapping[str, Any], where: str, reading: Reading, tally: Tally, filtered: bool) -> Document | None:
    """The document of a row, or None when it is left out (and counted)."""
    if reading.where is not None and not filtered:
        try:
            if not reading.where.test(row):
                tally.left(FILTERED)
                return None
        except WrongType as error:
            tally.bad("wrong types for --where", NimError(f"{where} does not fit --where {reading.where.source!r}",
                                                          str(error), "mend the row or the condition"), where)
            return None
    turns = next((name for name in _TURNS if row.get(name) is not None), None)
    if turns is not None and not any(isinstance(row.get(name), str) for name in reading.columns):
        try:
            read = read_turns(row[turns], where)
        except NimError as error:
            tally.bad("not a conversation", error, where)
            return None
        if not read:
            tally.left("without text", where)
        return Document("", where, read) if read else None
    texts: list[str] = []
    some = any(name in row for name in reading.columns)  # of several columns, a row may lack the others
    for name in reading.columns:
        value = row.get(name)
        if isinstance(value, str):
            flaw = _flaw(value, where)
            if flaw is not None:
                tally.bad(*flaw, where)
                return None
            if value.strip():
                texts.append(value)
        elif not some:
            tally.bad(f"no column {name!r}", NimError(
                f"{where} has no text in {name!r}", f"its fields are {', '.join(map(str, row)) or 'none'}",
                "name the field with --column"), where)
            return None
        elif value is not None:
            tally.bad(f"{name!r} is not text", NimError(
                f"{where} has no text in {name!r}", f"it holds {type(value).__name__}, which is not text",
                "name the field with --column"), where)
            return None
    if not texts:
        tally.left("without text", where)
        return None
    return Document("\n\n".join(texts) if len(texts) > 1 else texts[0], where)


def _flaw(text: str, where: str) -> tuple[str, NimError] | None:
    """JSON can spell half of a surrogate pair, which is no character, and NUL, which no text holds."""
    if len(text) > streams.LONGEST_ROW:
        return _too_long(where)
    if "\0" in text:
        return "NULs", NimError(f"{where} holds a NUL", f"at character {text.index(chr(0))}", "mend the row")
    if text.isascii():
        return None
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        return "lone surrogates", NimError(f"{where} is not Unicode text",
                                           f"a lone surrogate at character {error.start}", "mend the line")
    if size > streams.LONGEST_ROW:
        return _too_long(where)
    return None


def _too_long(where: str) -> tuple[str, NimError]:
    return f"rows of more than {streams.LONGEST_ROW // 1_000_000} MB", NimError(
        f"{where} is longer than {streams.LONGEST_ROW:,} bytes", "", "cut it into documents")


def read_turns(rows: object, where: str) -> tuple[Turn, ...]:
    """Turns from ``[{"role", "content" or "text"}]``; what a tool said is tainted. NimError naming ``where``."""
    turns: list[Turn] = []
    for given in rows if isinstance(rows, list) else [None]:
        # parquet gives every struct all fields of the column; the empty ones were not there
        row: dict[str, Any] = {key: value for key, value in given.items() if value is not None} \
            if isinstance(given, dict) else {}
        role = row.get("role", row.get("from"))
        text = next((row[key] for key in ("content", "text", "value") if key in row), None)
        name = _NAMES.get(role, role) if isinstance(role, str) else None
        if name not in ROLES or not isinstance(text, str):
            raise NimError(f"{where} is not a conversation", f"a turn is {str(given)[:80]}",
                           f"turns are {{role, content}} with a role of {', '.join(ROLES)}")
        flaw = _flaw(text, where)
        if flaw is not None:
            raise flaw[1]
        turns.append(Turn(name, text, bool(row.get("tainted", name == "output"))))
    return tuple(turns)
