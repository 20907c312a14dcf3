"""What a command wrote: kept within bounds (head and tail), and made safe to show on a terminal."""

from __future__ import annotations

import codecs
import os
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path

LIMIT = 1 << 20  # bytes kept of one command, head and tail together
LOG_LIMIT = 256 << 20  # bytes written to the log of one command

# Everything a terminal would act on, and what hides or turns text: zero-width and direction-changing characters, line
# separators, tags, the variation selectors no emoji uses, halves of surrogate pairs (which no terminal could be sent).
SPECIAL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e01ef]"
)
# What may go without a trace, for it holds no text: colours, movements, modes. Strings (OSC: titles, links, the
# clipboard; DCS and its like) are not among them: they are spelled out, because a terminal would not show their text.
SEQUENCES = re.compile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[ -/]+[0-~]|\x1b[@-OQ-WYZa-z0-9=>]")
SEQUENCE_LENGTH = 64  # characters of an unfinished one that are held back
_OVERSTRIKE = re.compile("[^\x08\n]\x08")


def clean(text: str) -> str:
    r"""``text`` as a terminal would leave it, with nothing a terminal would obey, and nothing hidden in it.

    Colours and movements are removed; a lone carriage return or a backspace overwrites (progress bars, bold of manual
    pages), CR LF is LF; everything else that is no plain text is spelled out: ``\x00``, ``\u202e``, ``\x1b]52;c;...``.
    """
    if not SPECIAL.search(text):
        return text
    text = SEQUENCES.sub("", text)
    if "\r" in text:
        text = "\n".join(_overwritten(line) if "\r" in line else line for line in text.split("\n"))
    while "\x08" in text and _OVERSTRIKE.search(text):
        text = _OVERSTRIKE.sub("", text)
    return spelled(text)


def spelled(text: str) -> str:
    """``text`` with every special character but newline and tab written as in Python."""
    return SPECIAL.sub(_spelled, text)


def _overwritten(line: str) -> str:
    shown = ""
    for part in line.split("\r"):
        shown = part + shown[len(part) :]
    return shown


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def decode(data: bytes) -> str:
    """UTF-8; a byte that is not is spelled ``\\xNN``."""
    return data.decode("utf-8", "backslashreplace")


class Capture:
    """The bytes of one command: at most ``limit`` in memory; if there are more, all of them in ``log``."""

    def __init__(self, log: Path | None = None, limit: int = LIMIT) -> None:
        self.total = 0
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._path = log
        self._file: int | None = None
        self._logged = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
        if len(data) <= room:
            return
        if self._path is not None and self._logged == 0:
            self._write(bytes(self._head))
        rest = data[max(room, 0) :]
        self._write(rest)
        self._tail.append(rest)
        self._tail_size += len(rest)
        while self._tail_size - len(self._tail[0]) >= self._half:
            self._tail_size -= len(self._tail.popleft())

    @property
    def at_line_start(self) -> bool:
        last = self._tail[-1] if self._tail else self._head
        return not last or last.endswith(b"\n")

    def _write(self, data: bytes) -> None:
        if self._path is None or self._logged >= LOG_LIMIT:
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._logged += os.write(self._file, data)
        except OSError:  # a full disk must not stop the command; head and tail are still kept
            self.close()
            self._path = None

    @property
    def truncated(self) -> bool:
        return self.total > 2 * self._half

    @property
    def log(self) -> Path | None:
        """The file with the whole output; None when nothing was cut, or it could not be written."""
        return self._path if self.truncated and self._logged else None

    def text(self) -> str:
        """Head and tail, cleaned, with a line between them that says how much is left out."""
        tail = b"".join(self._tail)
        if not self.truncated:
            return clean(decode(bytes(self._head) + tail))
        tail = tail[-self._half :]
        head = bytes(self._head)
        # Cut at line ends when one is near, so that no line and no character is shown by halves.
        cut = head.rfind(b"\n", max(0, len(head) - 4096)) + 1
        head = head[:cut] if cut else head
        start = tail.find(b"\n", 0, 4096) + 1
        tail = tail[start:]
        left_out = self.total - len(head) - len(tail)
        return f"{clean(decode(head))}\n[... {left_out} bytes left out ...]\n{clean(decode(tail))}"

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if not self.truncated and self._logged and self._path is not None:
            self._path.unlink(missing_ok=True)


class Stream:
    """Cleaned text to ``show`` as it comes, whole lines at a time (a line is shown by parts after 4096 characters)."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._held = ""

    def add(self, data: bytes) -> None:
        text = self._held + self._decoder.decode(data)
        cut = text.rfind("\n") + 1
        if not cut and len(text) > 4096:
            cut = len(text)
            escape = text.rfind("\x1b", cut - SEQUENCE_LENGTH)
            if escape >= 0 and not SEQUENCES.match(text, escape):
                cut = escape
        self._held = text[cut:]
        if cut:
            self._show(clean(text[:cut]))

    def flush(self, final: bool = False) -> None:
        """Show an unfinished line (a prompt, say), unless a carriage return or an escape may still change it."""
        if final:
            self._held += self._decoder.decode(b"", True)
        elif SPECIAL.search(self._held):
            return
        if self._held:
            held, self._held = self._held, ""
            self._show(clean(held))
