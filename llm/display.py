"""Training progress: a live panel on a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from nimllm.llm.plots import terminal_plot
from nimllm.llm.progress import Progress
from nimllm.llm.quantities import amount, duration
from nimllm.llm.run_folder import Curves

if TYPE_CHECKING:
    from rich.console import Group

BAR = 70  # characters
POINTS = 1200  # of the live plot, which has 120 columns of dots; older ones thin out


def line(progress: Progress) -> str:
    """One step as a line of text."""
    text = (
        f"step {progress.step}/{progress.steps}  loss {progress.loss:.4f}  lr {progress.lr:.2e}  "
        f"{progress.tokens_per_second:,.0f} tok/s  ETA {duration(progress.eta)}"
    )
    if progress.validation is not None:
        text += f"  validation {progress.validation:.4f} ({progress.bits_per_byte:.3f} bits per byte)"
    return text


def details(progress: Progress) -> str:
    """What else there is to know about a step: tokens seen, the gradient's norm, model FLOPs utilisation."""
    parts = []
    if progress.tokens:
        parts.append(f"{amount(progress.tokens)} tokens seen")
    if progress.gradient_norm is not None:
        parts.append(f"gradient norm {progress.gradient_norm:.3g}")
    if progress.utilisation is not None:
        parts.append(f"MFU {100 * progress.utilisation:.1f} %")
    return "  ".join(parts)


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
            more = details(progress)
            self.say(line(progress) + (f"  {more}" if more else ""))

    def history(self, curves: Curves) -> None:
        """What a resumed run has behind it: nothing to print again."""


class LiveDisplay:
    """Bar, numbers, loss plot and the newest sample, redrawn in place at most four times a second."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console(stderr=True)
        self.live = Live(console=self.console, refresh_per_second=4, transient=False)
        self.losses: list[tuple[float, float]] = []
        self.validations: list[tuple[float, float]] = []
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

    def history(self, curves: Curves) -> None:
        """Begin with the curves of a resumed run."""
        every = 1 + len(curves.train) // POINTS
        self.losses, self.validations = curves.train[::every], list(curves.validation)

    def panel(self, progress: Progress) -> Group:
        """What is drawn after a step."""
        from rich.console import Group
        from rich.text import Text

        self.losses.append((progress.step, progress.loss))
        if len(self.losses) > POINTS:
            self.losses = self.losses[::2]
        if progress.validation is not None:
            self.validations.append((progress.step, progress.validation))
            self.validation = (
                f"validation {progress.validation:.4f} nats per token, "
                f"{progress.bits_per_byte:.3f} bits per byte at step {progress.step}"
            )
            self.sample = (progress.sample or "").strip()
        # a young model writes any byte: an escape sequence must not reach the terminal
        short = "".join(c if c.isprintable() else "�" for c in " ".join(self.sample.split())[:200])
        wide = min(BAR, self.console.width - 1)
        done = round(wide * progress.step / progress.steps)
        return Group(
            Text.assemble(("━" * done, "green"), ("━" * (wide - done), "dim")),
            Text(line(replace(progress, validation=None))),
            Text(details(progress)),
            Text(self.validation, style="green"),
            Text(f"sample: {short}" if short else "", style="dim"),
            Text.from_ansi(terminal_plot(self.losses, max(20, wide - 10), 8, self.validations, colour=True)),
        )


def display(plain: bool) -> PlainDisplay | LiveDisplay:
    """Live on a terminal that can move its cursor."""
    import os

    if plain or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return PlainDisplay()
    return LiveDisplay()
