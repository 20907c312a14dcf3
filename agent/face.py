"""How a task looks to a person: append-only text, never a repaint."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Literal

from nimllm.agent.display import Stream, one_line, visible
from nimllm.agent.loop import Hooks
from nimllm.agent.results import Step

if TYPE_CHECKING:
    from nimllm.tools.policy import Verdict

Stdio = Literal["stdout", "stderr"]
SHOWN = 20_000  # characters of one command's output on the screen
STYLES = {"dim": "2", "bold": "1", "command": "1;36", "good": "32", "warn": "33", "bad": "31"}
SLOW = 2.0  # seconds after which a command's time is worth a word


def coloured(stream: IO[str], plain: bool = False) -> bool:
    """Colour only on a terminal, and not with NO_COLOR (https://no-color.org) or TERM=dumb."""
    return (not plain and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
            and hasattr(stream, "isatty") and stream.isatty())


class Face(Hooks):
    """Prints a task: ``out`` gets what the user asked for (outputs, the answer), ``err`` the rest of the story.

    Streams go by their names in ``sys``, looked up at each write: while a prompt is open, prompt-toolkit puts others in
    their place. ``live``: text appears as it is written; otherwise whole lines at a time, for files and screen readers.
    """

    def __init__(self, out: Stdio = "stdout", err: Stdio = "stderr", *, live: bool | None = None, plain: bool = False,
                 shown: int = SHOWN) -> None:
        self.out: Stdio = out
        self.err: Stdio = err
        self.live = (not plain and getattr(sys, err).isatty()) if live is None else live
        self._shown = shown
        self._colour = {name: coloured(getattr(sys, name), plain) for name in (out, err)}
        self._column = 0  # characters since the last newline, on either stream (they share a terminal)
        self._stream = Stream()
        self._room = shown
        self._began = False  # a streamed plan or answer has begun

    # ---- writing --------------------------------------------------------------------------------------------------

    def write(self, name: Stdio, text: str, style: str = "") -> None:
        """Visible text; never raises for a reader that left."""
        if not text:
            return
        self._column = len(text) - text.rfind("\n") - 1 if "\n" in text else self._column + len(text)
        if style and self._colour[name]:
            text = f"\x1b[{STYLES[style]}m{text}\x1b[0m"
        stream = getattr(sys, name)
        try:
            stream.write(text)
            stream.flush()
        except UnicodeEncodeError:  # an ASCII terminal
            stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
            stream.flush()
        except (BrokenPipeError, ValueError):
            pass

    def fresh(self, name: Stdio) -> None:
        """A new line unless at the start of one."""
        if self._column:
            self.write(name, "\n")

    def say(self, text: str, style: str = "") -> None:
        """A line of the harness's own."""
        self.fresh(self.err)
        self.write(self.err, text + "\n", style)

    # ---- hooks ----------------------------------------------------------------------------------------------------

    def plan_text(self, piece: str) -> None:
        if self.live:
            if not self._began:
                self.fresh(self.err)
                self.write(self.err, "plan  ", "dim")
                self._began = True
            self.write(self.err, visible(piece), "dim")

    def plan(self, text: str) -> None:
        if not self._began and text:
            self.say("plan  " + visible(text), "dim")
        self.fresh(self.err)
        self._began = False

    def started(self, command: str, verdict: Verdict) -> None:
        self.fresh(self.err)
        self.write(self.err, "$ " + visible(command).replace("\n", "\n  ") + "\n", "command")
        self._stream, self._room = Stream(), self._shown

    def output(self, text: str) -> None:
        if self._room > 0:
            shown = self._stream.feed(text)
            self.write(self.out, shown[: self._room])
            self._room -= len(shown)
            if self._room <= 0:
                self.say("[more output, not shown]", "dim")

    def finished(self, step: Step) -> None:
        if step.ran and self._room > 0:
            self.write(self.out, self._stream.close())
        self.fresh(self.out if step.ran else self.err)
        if step.ended == "refused":
            self.say(f"refused: {visible(step.command)}  ({visible(step.reason)})", "bad")
        elif step.ended == "timeout":
            self.say(f"stopped after {step.seconds:.0f} s", "warn")
        elif step.ended in ("interrupted", "died"):
            self.say("interrupted" if step.ended == "interrupted" else "the shell ended with this command", "warn")
        elif step.ran and (step.status != 0 or step.seconds >= SLOW):
            self.say(f"exit {step.status}, {step.seconds:.1f} s", "bad" if step.status else "dim")

    def answer_text(self, piece: str) -> None:
        if self.live:
            if not self._began:
                self.fresh(self.out)
                self._began = True
            self.write(self.out, visible(piece))

    def answer(self, text: str) -> None:
        if not self._began and text:
            self.fresh(self.out)
            self.write(self.out, visible(text))
        self.fresh(self.out)
        self._began = False

    def notice(self, text: str) -> None:
        self.say(visible(text), "warn")


class Silence(Hooks):
    """For a progress display that has the screen to itself: only notices come through, as lines."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line

    def notice(self, text: str) -> None:
        self._line(f"      {one_line(text)}")
