"""Text made safe to show: no byte of a program's output may act on the user's terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from nimllm.tools.capture import SEQUENCES as _SEQUENCE
from nimllm.tools.capture import spelled

MAX_PENDING = 256  # characters of an unfinished escape sequence that are held back


def visible(text: str) -> str:
    """Every control character but newline and tab spelled out; also zero-width and bidirectional ones.

    Lone surrogates (undecodable bytes) are spelled out too, so that the result can always be encoded.
    """
    return spelled(text.replace("\r\n", "\n"))


def plain(text: str) -> str:
    """What a terminal would have shown, roughly: colours and movements dropped, all else made visible, a line that was
    overwritten by carriage returns reduced to its last state."""
    text = _SEQUENCE.sub("", text).replace("\r\n", "\n")
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
    return visible(text)


class Stream:
    """:func:`plain` for output that comes in pieces: an escape sequence cut in two is put together first."""

    def __init__(self) -> None:
        self._pending = ""

    def feed(self, piece: str) -> str:
        text = self._pending + piece
        self._pending = ""
        cut = text.rfind("\x1b")
        if cut >= 0 and len(text) - cut < MAX_PENDING and not _SEQUENCE.match(text, cut):
            text, self._pending = text[:cut], text[cut:]
        if text.endswith("\r"):
            text, self._pending = text[:-1], "\r" + self._pending
        return visible(_SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))

    def close(self) -> str:
        """What was held back."""
        rest, self._pending = self._pending, ""
        return visible(_SEQUENCE.sub("", rest).rstrip("\r"))


class Glyphs(NamedTuple):
    """The marks that begin the harness's rows. Only the harness writes in the first column: see :class:`Gutter`."""

    prompt: str
    bar: str  # before each row that a command printed
    dot: str  # between the parts of the status bar

    @classmethod
    def of(cls, encoding: str | None) -> Glyphs:
        """Those that ``encoding`` has."""
        try:
            "›│·".encode(encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return cls("> ", "| ", " - ")
        return cls("› ", "│ ", " · ")


def cells(character: str) -> int:
    """Columns that a printable character takes on a terminal: 0, 1 or 2."""
    if " " <= character <= "~":
        return 1
    if unicodedata.east_asian_width(character) in "WF":
        return 2
    return 0 if unicodedata.category(character) in ("Mn", "Me", "Cf") else 1


class Gutter:
    """Text that others wrote, as rows that each begin with ``mark``.

    Long lines are broken here and not by the terminal, whose rows would begin in the first column: there only the
    harness writes, so that no program and no model can forge a prompt or a question. ``width()``: columns of the
    terminal, 0 when unknown (then nothing is broken). ``style``: SGR parameters of the mark.
    """

    def __init__(self, mark: str, width: Callable[[], int], style: str = "") -> None:
        self._mark = f"\x1b[{style}m{mark}\x1b[0m" if style else mark
        self._indent = len(mark)
        self._width = width
        self._column = 0  # cells written after the mark
        self._open = False  # the mark of this row is written

    def feed(self, text: str) -> str:
        """Visible text in pieces (newline and tab are the only control characters in it)."""
        columns = self._width()
        room = max(8, columns - self._indent - 1) if columns else 1 << 62
        rows: list[str] = []
        for number, line in enumerate(text.split("\n")):
            if number:
                rows.append("\n" if self._open else self._mark.rstrip(" ") + "\n")
                self.restart()
            if line:
                self._line(line, room, rows)
        return "".join(rows)

    def restart(self) -> None:
        """A new row begins, be it that somebody else has begun it."""
        self._column, self._open = 0, False

    def _line(self, line: str, room: int, rows: list[str]) -> None:
        if line.isascii() and "\t" not in line:
            while line:
                self._begin(1, room, rows)
                piece, line = line[: room - self._column], line[room - self._column :]
                rows.append(piece)
                self._column += len(piece)
            return
        for character in line:
            shown = " " * min(8 - self._column % 8, room) if character == "\t" else character
            wide = len(shown) if character == "\t" else cells(character)
            self._begin(wide, room, rows)
            rows.append(shown)
            self._column += wide

    def _begin(self, wide: int, room: int, rows: list[str]) -> None:
        """So many cells follow."""
        if wide and self._column + wide > room:
            rows.append("\n")
            self.restart()
        if not self._open:
            rows.append(self._mark)
            self._open = True


def hanging(text: str, width: int, first: int, rest: int) -> str:
    """``text`` broken into rows of at most ``width`` - 1 cells (0: not broken): the first begins after ``first`` cells
    that are written already, all others, of further lines too, with ``rest`` spaces."""
    rows: list[str] = []
    column = first
    most = max(width - 1, rest + 8) if width else 1 << 62
    for number, line in enumerate(text.replace("\t", "    ").split("\n")):
        if number:
            rows.append("\n" + " " * rest)
            column = rest
        start = space = 0  # where the row begins in the line, and where the newest word in it does
        for index, character in enumerate(line):
            wide = cells(character)
            if column + wide > most:
                cut = space if space > start else index  # a word too long for a row is cut
                rows.append(line[start:cut] + "\n" + " " * rest)
                column = rest + sum(map(cells, line[cut:index]))
                start = cut
            column += wide
            if character == " ":
                space = index + 1
        rows.append(line[start:])
    return "".join(rows)


def one_line(text: str, width: int = 100) -> str:
    """The first line of a text, visible, at most ``width`` characters."""
    line = visible(text.strip().split("\n", 1)[0])
    return line if len(line) <= width and "\n" not in text.strip() else line[: width - 1] + "…"


def size(count: int) -> str:
    """Bytes for people: 512 B, 3.1 kB, 2.0 MB."""
    if count < 1000:
        return f"{count} B"
    for unit in ("kB", "MB"):
        count_float = count / (1000 if unit == "kB" else 1e6)
        if count_float < 1000:
            return f"{count_float:.1f} {unit}"
    return f"{count / 1e9:.1f} GB"
