"""The user's terminal as prompt-toolkit writes to it: one write per repaint, and never one that blocks the keyboard."""

from __future__ import annotations

import os
import threading
import time
from typing import TextIO

from prompt_toolkit.data_structures import Size
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

FIRST_CHUNK, LEAST, MOST = 4096, 256, 1 << 16  # characters handed over at a time, by how fast the terminal takes them
CHUNK_SECONDS = 0.2  # what one chunk should take; so long ^C does not stop what is on the screen's way already


class Pipe:
    """A thread that writes to a descriptor, so that a slow terminal (a serial line, a stopped ssh) blocks nobody."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting = bytearray()
        self._news = threading.Condition()
        self._closed = False
        self.gone = False  # the terminal does not take anything any more
        self.idle_since = time.monotonic()
        self.chunk = FIRST_CHUNK
        self._thread = threading.Thread(target=self._work, name="terminal", daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        with self._news:
            self._waiting += data
            self._news.notify_all()

    @property
    def idle(self) -> bool:
        """Everything has been taken by the terminal."""
        return not self._waiting

    def drain(self, timeout: float) -> bool:
        """Until everything is written; False after ``timeout`` seconds."""
        with self._news:
            return self._news.wait_for(lambda: not self._waiting or self.gone, timeout)

    def close(self, timeout: float) -> None:
        """Writes what is left, for ``timeout`` seconds at most."""
        self.drain(timeout)
        with self._news:
            self._closed = True
            self._news.notify_all()

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                data = bytes(self._waiting)
            began = time.monotonic()
            try:
                written = os.write(self._fd, data)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            except OSError:  # hung up
                written, self.gone = len(data), True
            took = time.monotonic() - began
            with self._news:
                del self._waiting[:written]
                if written >= LEAST or took > CHUNK_SECONDS:
                    fair = written / took * CHUNK_SECONDS if took > 0 else MOST
                    self.chunk = int(min(MOST, max(LEAST, fair)))
                if not self._waiting:
                    self.idle_since = time.monotonic()
                    self._news.notify_all()


class Terminal(Vt100_Output):
    """A terminal that is never asked where its cursor is (slow lines answer late, recorders not at all), whose writes
    can be held back and go out as one, and are done by a :class:`Pipe`."""

    def __init__(self, stream: TextIO, colour: bool) -> None:
        self.fd = stream.fileno()
        self.pipe = Pipe(self.fd)
        self.holding = False
        self._encoding = stream.encoding or "utf-8"
        depth = None if colour else ColorDepth.DEPTH_1_BIT
        super().__init__(stream, self._size, os.environ.get("TERM"), depth, enable_bell=False, enable_cpr=False)

    def _size(self) -> Size:
        try:
            columns, rows = os.get_terminal_size(self.fd)
        except OSError:
            columns, rows = 0, 0
        return Size(rows=rows or 24, columns=columns or 80)

    def flush(self) -> None:
        if self.holding or not self._buffer:
            return
        data = "".join(self._buffer)
        self._buffer = []
        self.pipe.put(data.encode(self._encoding, "backslashreplace"))
