"""How far a list of things has come: a bar on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

LINES_EVERY = 10.0  # seconds between plain lines about nothing but progress


class Progress:
    """``with Progress(total, "tasks") as progress: progress.step("line to keep")``."""

    def __init__(self, total: int, what: str, plain: bool = False, every: float = LINES_EVERY,
                 quiet: bool = False) -> None:
        self.total, self.what, self.done, self.quiet = total, what, 0, quiet
        self._lock = threading.Lock()  # tasks may run side by side
        self._every = every
        self._bar: Any = None
        self._task: Any = None
        self._last = self._start = time.monotonic()
        if sys.stderr.isatty() and not plain and not quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
                            TimeElapsedColumn(), console=Console(stderr=True), transient=True, refresh_per_second=4)
            self._task = self._bar.add_task(what, total=total)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def now(self, what: str) -> None:
        """What is being done."""
        if self._bar is not None:
            self._bar.update(self._task, description=what[:60])

    def line(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            if self._bar is not None:
                self._bar.console.print(text, markup=False, highlight=False)
            elif not self.quiet:
                print(text, file=sys.stderr, flush=True)

    def step(self, text: str = "") -> None:
        """One more is done; ``text`` stays when not empty."""
        self.done += 1
        if text:
            self.line(text)
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done)
        elif not text and time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            self.line(f"{self.what} {self.done}/{self.total}, {self._last - self._start:.0f} s")
