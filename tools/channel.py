"""Output of one command, cut out of the pipe that a shell's commands share one after the other."""

from __future__ import annotations

LEFT_LIMIT = 1 << 20  # bytes kept of what came after a command's end


class Channel:
    """Finds where a command's output ends: at its token, which is written in one piece, by bash, at its prompt.

    The name of our own file becomes ``bash``, as in ``bash -c``. ``stale``: tokens that were written more than once and
    may still turn up. ``left``: what came behind the token, from jobs in the background.
    """

    def __init__(self, folder: str) -> None:
        self.left = b""
        self._stale: list[bytes] = []
        self._token = b""
        self._pending = b""  # output that may be the beginning of a needle
        self._needle = f"{folder}/command: ".encode()
        self._watched: tuple[bytes, ...] = ()
        self.marked = False

    def begin(self, token: bytes) -> None:
        self._token, self._pending, self.marked = token, b"", False
        self._watched = (token, self._needle, b"bash: " + self._needle, *self._stale)

    def retire(self) -> None:
        """The present token was asked for more than once, or has not come."""
        self._stale = [*self._stale[-7:], self._token]

    def take_left(self) -> bytes:
        left, self.left = self.left, b""
        return left

    def feed(self, data: bytes, final: bool = False) -> bytes:
        """What of ``data``, and of what was held back, is the command's and can be shown."""
        if self.marked:
            self.left = (self.left + data)[-LEFT_LIMIT:]
            return b""
        data = self._pending + data
        self._pending = b""
        where = data.find(self._token)
        if where >= 0:
            self.marked, final = True, True
            self.left = data[where + len(self._token) :]
            data = data[:where]
        for token in self._stale:
            data = data.replace(token, b"")
        if self._needle in data:
            data = data.replace(b"bash: " + self._needle, b"bash: ").replace(self._needle, b"bash: ")
        if not final:
            keep = max(_overlap(data, needle) for needle in self._watched)
            if keep:
                data, self._pending = data[:-keep], data[-keep:]
        return data

    def release(self) -> bytes:
        """What was held back as the beginning of a token, when nothing followed: it is none."""
        held, self._pending = self._pending, b""
        return held


def _overlap(data: bytes, needle: bytes) -> int:
    """Length of the longest end of ``data`` that begins ``needle``."""
    tail = data[-(len(needle) - 1) :]
    first = tail.find(needle[:1])
    while first >= 0:
        if needle.startswith(tail[first:]):
            return len(tail) - first
        first = tail.find(needle[:1], first + 1)
    return 0
