"""Progress of a preference run: the numbers that tell learning from collapse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nimllm.alignment.guard import Measured
from nimllm.llm.display import BAR, POINTS, LiveDisplay, PlainDisplay
from nimllm.llm.plots import terminal_plot
from nimllm.llm.quantities import duration

if TYPE_CHECKING:
    from rich.console import Group


@dataclass(frozen=True)
class PreferenceProgress:
    """What is shown after a step. Rewards are beta times the log-ratio to the reference, means of the batch's answers;
    ``z_ref``: KTO's estimate of the KL in nats; ``measured``: the guard's newest findings, new at this step or not."""

    step: int
    steps: int
    loss: float
    lr: float
    tokens_per_second: float
    eta: float  # seconds
    margin: float | None
    accuracy: float | None
    chosen: float | None  # log-probability of the batch's chosen answers, nats
    rejected: float | None
    z_ref: float | None
    entropy: float | None
    measured: Measured | None
    fresh: bool = False


def line(progress: PreferenceProgress) -> str:
    """One step as a line of text."""
    parts = [f"step {progress.step}/{progress.steps}", f"loss {progress.loss:.4f}"]
    for name, value, form in (("margin", progress.margin, "+.3f"), ("accuracy", progress.accuracy, ".0%"),
                              ("log p chosen", progress.chosen, ".1f"), ("rejected", progress.rejected, ".1f"),
                              ("z_ref", progress.z_ref, ".3f"), ("entropy", progress.entropy, ".2f")):
        if value is not None:
            parts.append(f"{name} {value:{form}}")
    parts += [f"lr {progress.lr:.2e}", f"{progress.tokens_per_second:,.0f} tok/s", f"ETA {duration(progress.eta)}"]
    return "  ".join(parts)


def findings(found: Measured) -> str:
    """What the guard measured as a line of text."""
    bits = f"  {found.bits:.3f} bits per byte" if found.bits is not None else ""
    return (f"held out at step {found.step}: wins {found.wins:.0%} (summed {found.wins_summed:.0%})  "
            f"accuracy {found.accuracy:.0%}  margin {found.margin:+.2f}  log-ratio chosen {found.chosen:+.3f} rejected "
            f"{found.rejected:+.3f} per token  KL {found.kl:.4f} per token{bits}  usable {found.valid:.0%}  looping "
            f"{found.looping:.0%}")


class PlainPreferenceDisplay(PlainDisplay):
    """Lines on stderr: every few seconds, and whatever the guard finds."""

    def __enter__(self) -> PlainPreferenceDisplay:
        return self

    def show(self, progress: PreferenceProgress) -> None:  # type: ignore[override]
        import time

        now = time.monotonic()
        if progress.fresh or progress.step == progress.steps or now - self._last >= self.seconds:
            self._last = now
            self.say(line(progress))
        if progress.fresh and progress.measured is not None:
            self.say(findings(progress.measured))


class LivePreferenceDisplay(LiveDisplay):
    """Bar, numbers, the guard's findings, a plot of the loss and an answer, redrawn in place."""

    def __enter__(self) -> LivePreferenceDisplay:
        super().__enter__()
        return self

    def show(self, progress: PreferenceProgress) -> None:  # type: ignore[override]
        self.live.update(self.panel(progress))

    def panel(self, progress: PreferenceProgress) -> Group:  # type: ignore[override]
        """What is drawn after a step."""
        from rich.console import Group
        from rich.text import Text

        self.losses.append((progress.step, progress.loss))
        if len(self.losses) > POINTS:
            self.losses = self.losses[::2]
        found = progress.measured
        shown = " ".join(found.shown[0].split())[:200] if found is not None and found.shown else ""
        wide = min(BAR, self.console.width - 1)
        done = round(wide * progress.step / max(1, progress.steps))
        return Group(
            Text.assemble(("━" * done, "green"), ("━" * (wide - done), "dim")),
            Text(line(progress)),
            Text(findings(found) if found is not None else "", style="green"),
            Text(f"sample: {shown}" if shown else "", style="dim"),
            Text.from_ansi(terminal_plot(self.losses, max(20, wide - 10), 8, colour=True)),
        )


def display(plain: bool) -> PlainPreferenceDisplay | LivePreferenceDisplay:
    """Live on a terminal that can move its cursor."""
    import os
    import sys

    if plain or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return PlainPreferenceDisplay()
    return LivePreferenceDisplay()
