"""Text made safe to show: no byte of a program's output may act on the user's terminal."""

from __future__ import annotations

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
