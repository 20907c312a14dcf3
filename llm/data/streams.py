"""Bytes of files, decompressed by suffix: text in parts, or lines, in bounded memory whatever a line's length.

A row or line that is not text is left out and counted; a text of which more than one line in a hundred is bad is not
what its user takes it for, and an error.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nimllm.errors import NimError
from nimllm.llm.data.tally import Tally

PART = 1 << 22  # bytes of a text that are in memory at once
LONGEST_ROW = 10_000_000  # bytes of one row of JSONL or parquet; more is no document
COMPRESSED = (".gz", ".xz", ".bz2", ".zst")
_BAD_LINES = 0.01  # the share of a part's lines above which a text is not UTF-8 text at all


def stem(path: Path) -> Path:
    """The path without the suffix of a compression."""
    return path.with_suffix("") if path.suffix in COMPRESSED else path


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed by its suffix; every way it can fail is a NimError."""
    mend = "make it readable or leave it out"
    try:
        if path.suffix == ".zst":
            with _zstandard(path) as file:
                yield file
        else:
            opener: Any = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}.get(path.suffix, open)
            with opener(path, "rb") as file:
                yield file
    except (OSError, EOFError, lzma.LZMAError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise NimError(f"cannot read {path}", why, mend) from None
    except ValueError as error:  # how pyarrow names a damaged stream
        if type(error).__module__.split(".")[0] != "pyarrow":
            raise
        raise NimError(f"cannot read {path}", str(error).splitlines()[0], mend) from None


def _zstandard(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise NimError(f"cannot read {path}", ".zst needs pyarrow", "pip install pyarrow, or unpack it") from None
    return pyarrow.input_stream(str(path), compression="zstd")


def parts(file: BinaryIO, source: str, tally: Tally) -> Iterator[tuple[str, bool]]:
    """(text, is it the last) of a UTF-8 stream, cut before a line with something in it where there is one.

    A byte order mark is dropped, "\\r\\n" becomes "\\n". NimError: UTF-16, or too many bad lines (see the module).
    """
    offset, lines, rest, number = 0, 0, b"", 0
    before: str | None = None  # one part is held back: only the end of the stream says which is the last
    while True:
        block = file.read(PART)
        data = rest + block
        if number == 0 and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise NimError(f"{source} is not UTF-8", "it begins like UTF-16", f"iconv -f UTF-16 -t UTF-8 {source}")
        if number == 0 and data[:3] == b"\xef\xbb\xbf":
            data, offset = data[3:], 3
        end = len(data) if not block else _cut(data) if len(data) >= PART else 0
        if block and not end:
            rest = data
            continue
        raw = data[:end]
        if b"\0" in raw:
            text = _mended(raw, source, offset, lines, tally)
        else:
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                text = _mended(raw, source, offset, lines, tally)
        rest = data[end:]
        offset += end
        lines += raw.count(b"\n")
        number += 1
        if text:
            if before is not None:
                yield before, False
            before = text.replace("\r\n", "\n") if "\r" in text else text
        if not block:
            yield before or "", True
            return


def _cut(data: bytes) -> int:
    """Where a part may end: before the last line with something in it, so that a run of blank lines stays together."""
    end = data.rfind(b"\n", 0, len(data.rstrip(b" \t\r\n"))) + 1
    if not end and len(data) >= 2 * PART:
        end = data.rfind(b"\n") + 1
        if not end:  # no line end anywhere: cut between characters
            end = len(data) - 1
            while end > len(data) - 4 and data[end] & 0xC0 == 0x80:
                end -= 1
    return end


def _mended(raw: bytes, source: str, offset: int, lines: int, tally: Tally) -> str:
    """The lines of a part that are text; the others are counted. NimError when they are too many."""
    bad: list[tuple[int, NimError]] = []
    good: list[str] = []
    whole = raw.split(b"\n")
    at = offset
    for number, line in enumerate(whole):
        nul = line.find(b"\0")
        if nul >= 0:
            bad.append((number, NimError(f"{source} is binary", f"a NUL at offset {at + nul}",
                                         "give text, or leave it out")))
        else:
            try:
                good.append(line.decode())
            except UnicodeDecodeError as error:
                bad.append((number, NimError(
                    f"{source} is not UTF-8", f"byte {line[error.start]:#04x} at offset {at + error.start}",
                    f"convert it, for instance: iconv -f latin1 -t UTF-8 {source}")))
        at += len(line) + 1
    if len(bad) > _BAD_LINES * len(whole):
        raise next((flaw for _, flaw in bad if "binary" in flaw.what), bad[0][1])
    for number, flaw in bad:
        tally.bad("NULs" if "binary" in flaw.what else "not UTF-8", flaw, f"{source} line {lines + number + 1}")
    return "\n".join(good)


def rows(file: BinaryIO, longest: int | None = None) -> Iterator[tuple[int, bytes | None]]:
    """(line number from 1, its bytes without the line end) of every line that is not blank; None for one that is
    longer than ``longest`` bytes (default: LONGEST_ROW), of which no more than that is ever in memory."""
    longest = LONGEST_ROW if longest is None else longest
    rest, number, skipping, first = b"", 0, False, True
    while True:
        block = file.read(PART)
        if first and block[:3] == b"\xef\xbb\xbf":
            block = block[3:]
        first = False
        lines = block.split(b"\n")
        last = lines.pop() if block else b""
        if not block:
            lines = [b""] if rest or skipping else []  # the line without an end
        for line in lines:
            number += 1
            if rest or skipping:
                line, rest = rest + line, b""
            if skipping or len(line) > longest:
                skipping = False
                yield number, None
            elif line.strip():
                yield number, line
        if not block:
            return
        rest = b"" if skipping else rest + last
        if len(rest) > longest:
            rest, skipping = b"", True
