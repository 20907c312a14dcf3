"""^C and SIGTERM while tasks run: everything that runs is stopped, and one number says by what."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from nimllm import errors


class Stoppable(Protocol):
    def stop(self) -> object: ...


class Stop:
    """``code`` is the exit code of the signal that came, None before. Agents attach while they run."""

    def __init__(self) -> None:
        self.code: int | None = None
        self._running: dict[int, Stoppable] = {}  # thread -> what runs in it
        self._remembering = False  # only the memory's worker is waited for, and it cannot be stopped
        self._waiting = False  # the main thread waits for others, which see the signal by ``code``

    def attach(self, agent: Stoppable) -> None:
        """``agent`` runs now, in this thread."""
        self._running[threading.get_ident()] = agent
        if self.code is not None:
            agent.stop()

    def detach(self) -> None:
        """What this thread ran is over."""
        self._running.pop(threading.get_ident(), None)

    def stop(self) -> None:
        """Ends what runs, as a signal would; ``code`` stays."""
        for agent in list(self._running.values()):
            agent.stop()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.code is not None
        self.code = errors.INTERRUPTED if number == signal.SIGINT else errors.TERMINATED
        if self._remembering:
            if again:
                raise SystemExit(self.code)  # the worker ends its update by itself
            sys.stderr.write("nimllm: the memory update ends first (again: leave it to the background)\n")
        elif self._running or self._waiting:
            self.stop()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(self.code)

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Nothing runs but the memory's worker."""
        self._remembering = True
        try:
            yield
        finally:
            self._remembering = False

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Other threads work, and this one waits for them."""
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        old = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
