"""Training progress: a live panel on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from nimllm.llm.plots import terminal_plot
from nimllm.llm.train import Progress

if TYPE_CHECKING:
    from rich.console import Group

BAR = 70  # characters


def duration(seconds: float) -> str:
    """ "1:05" or "2:03:04"."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def line(progress: Progress) -> str:
    """One step as a line of text."""
    text = (
        f"step {progress.step}/{progress.steps}  loss {progress.loss:.4f}  lr {progress.lr:.2e}  "
        f"{progress.tokens_per_second:,.0f} tok/s  ETA {duration(progress.eta)}"
    )
    if progress.validation is not None:
        text += f"  validation {progress.validation:.4f} ({progress.bits_per_byte:.3f} bits per byte)"
    return text


class PlainDisplay:
    """A line every few seconds and at every evaluation, on stderr."""

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds, self._last = seconds, 0.0

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.validation is not None or progress.step == progress.steps or now - self._last >= self.seconds:
            self._last = now
            self.say(line(progress))


class LiveDisplay:
    """Bar, numbers, loss plot and the newest sample, redrawn in place at most four times a second."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console(stderr=True)
        self.live = Live(console=self.console, refresh_per_second=4, transient=False)
        self.losses: list[tuple[float, float]] = []
        self.sample, self.validation = "", ""

    def __enter__(self) -> LiveDisplay:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def say(self, message: str) -> None:
        self.console.print(message, highlight=False, markup=False)

    def show(self, progress: Progress) -> None:
        self.live.update(self.panel(progress))

    def panel(self, progress: Progress) -> Group:
        """What is drawn after a step."""
        from rich.console import Group
        from rich.text import Text

        self.losses.append((progress.step, progress.loss))
        if len(self.losses) > 1200:  # the plot has 120 columns of dots; older ones thin out
            self.losses = self.losses[::2]
        if progress.validation is not None:
            self.validation = (
                f"validation {progress.validation:.4f} nats per token, "
                f"{progress.bits_per_byte:.3f} bits per byte at step {progress.step}"
            )
            self.sample = (progress.sample or "").strip()
        short = " ".join(self.sample.split())[:200]
        done = round(BAR * progress.step / progress.steps)
        return Group(
            Text.assemble(("━" * done, "green"), ("━" * (BAR - done), "dim")),
            Text(line(replace(progress, validation=None))),
            Text(self.validation, style="green"),
            Text(f"sample: {short}" if short else "", style="dim"),
            Text(terminal_plot(self.losses, 60, 8), style="cyan"),
        )


def display(plain: bool) -> PlainDisplay | LiveDisplay:
    """Live on a terminal that can move its cursor."""
    import os

    if plain or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return PlainDisplay()
    return LiveDisplay()
