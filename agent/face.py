"""How a task looks to a person: append-only text, never a repaint.

Only the harness writes in the first column: ``›`` before what the user said, ``$`` before a command that runs, ``?``
before a question. What others wrote is moved in: the output of commands by a bar on every row, plan and answer by
spaces. So nothing a program prints, and nothing a model was talked into saying, can look like the harness.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Literal

from nimllm.agent.display import Glyphs, Gutter, Stream, hanging, one_line, visible
from nimllm.agent.loop import Hooks
from nimllm.agent.results import Step

if TYPE_CHECKING:
    from nimllm.tools.policy import Verdict

Stdio = Literal["stdout", "stderr"]
SHOWN = 20_000  # characters of one command's output on the screen
STYLES = {"dim": "2", "bold": "1", "command": "1;36", "good": "32", "warn": "33", "bad": "31"}
SLOW = 2.0  # seconds after which a command's time is worth a word
PLAN = "  plan  "
ANSWER = "  "


def coloured(stream: IO[str], plain: bool = False) -> bool:
    """Colour only on a terminal, and not with NO_COLOR (https://no-color.org) or TERM=dumb."""
    return (not plain and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
            and hasattr(stream, "isatty") and stream.isatty())


def columns(stream: IO[str]) -> int:
    """Columns of the terminal that ``stream`` is, now; 0 when it is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return 0


class Face(Hooks):
    """Prints a task: ``out`` gets what the user asked for (outputs, the answer), ``err`` the rest of the story.

    Streams go by their names in ``sys``, looked up at each write: while a prompt is open, others stand in their place.
    ``live``: text appears as it is written; otherwise whole lines at a time, for files and screen readers. A pipe or a
    file gets the bytes of the output and the answer as they are, without bars and spaces.
    """

    def __init__(self, out: Stdio = "stdout", err: Stdio = "stderr", *, live: bool | None = None, plain: bool = False,
                 shown: int = SHOWN) -> None:
        self.out: Stdio = out
        self.err: Stdio = err
        self.live = (not plain and getattr(sys, err).isatty()) if live is None else live
        self.shown = shown
        self.glyphs = Glyphs.of("ascii" if plain else getattr(getattr(sys, out), "encoding", None))
        self._colour = {name: coloured(getattr(sys, name), plain) for name in (out, err)}
        self._mark = ("  " if plain else self.glyphs.bar) if getattr(sys, out).isatty() else ""
        self._margin = ANSWER if self._mark else ""
        self._lock = threading.RLock()  # the memory's thread and the keyboard's say things, too
        self._column = 0  # characters since the last newline, on either stream (they share a terminal)
        self._stream, self._gutter = Stream(), self._new_gutter()
        self._room = shown
        self._began = False  # a streamed plan or answer has begun

    def width(self) -> int:
        """Columns to break lines at; 0: not at all."""
        return columns(getattr(sys, self.err))

    def _new_gutter(self) -> Gutter | None:
        if not self._mark:
            return None
        style = STYLES["dim"] if self._colour[self.out] else ""
        return Gutter(self._mark, lambda: columns(getattr(sys, self.out)), style)

    # ---- writing --------------------------------------------------------------------------------------------------

    def write(self, name: Stdio, text: str, style: str = "") -> None:
        """Visible text; never raises for a reader that left."""
        if not text:
            return
        with self._lock:
            self._column = len(text) - text.rfind("\n") - 1 if "\n" in text else self._column + len(text)
            if style and self._colour[name]:
                body = text.rstrip("\n")
                text = f"\x1b[{STYLES[style]}m{body}\x1b[0m{text[len(body):]}"
            stream = getattr(sys, name)
            try:
                stream.write(text)
                stream.flush()
            except UnicodeEncodeError:  # an ASCII terminal
                stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
                stream.flush()
            except (BrokenPipeError, ValueError, OSError):
                pass

    def fresh(self, name: Stdio) -> None:
        """A new line unless at the start of one."""
        if self._column:
            self.write(name, "\n")

    def say(self, text: str, style: str = "") -> None:
        """A line of the harness's own; what does not fit into a row goes on further in."""
        with self._lock:
            self.fresh(self.err)
            width = self.width()
            rows = [hanging(line, width, 0, 4) for line in text.split("\n")]
            self.write(self.err, "\n".join(rows) + "\n", style)

    def said(self, message: str) -> None:
        """The user's own message, when its turn has come."""
        with self._lock:
            self.fresh(self.err)
            mark = self.glyphs.prompt
            self.write(self.err, "\n")
            self.write(self.err, mark + hanging(visible(message), self.width(), len(mark), len(mark)) + "\n", "bold")

    def command_line(self, mark: str, command: str) -> None:
        """A command, all of it: control and invisible characters spelled, several lines numbered."""
        lines = visible(command).split("\n")
        digits = len(str(len(lines)))
        rows = lines if len(lines) == 1 else [f"{number:{digits}}  {line}" for number, line in enumerate(lines, 1)]
        indent = len(mark) + (digits + 2 if len(lines) > 1 else 0)
        with self._lock:
            self.fresh(self.err)
            for number, row in enumerate(rows):
                head = mark if not number else " " * len(mark)
                self.write(self.err, head + hanging(row, self.width(), len(mark), indent) + "\n", "command")

    # ---- hooks ----------------------------------------------------------------------------------------------------

    def plan_text(self, piece: str) -> None:
        if self.live:
            if not self._began:
                self.fresh(self.err)
                self.write(self.err, PLAN, "dim")
                self._began = True
            self.write(self.err, hanging(visible(piece), self.width(), self._column, len(PLAN)), "dim")

    def plan(self, text: str) -> None:
        if not self._began and text:
            self.fresh(self.err)
            self.write(self.err, PLAN + hanging(visible(text), self.width(), len(PLAN), len(PLAN)) + "\n", "dim")
        self.fresh(self.err)
        self._began = False

    def started(self, command: str, verdict: Verdict) -> None:
        self.command_line("$ ", command)
        self.begin_output()

    def begin_output(self) -> None:
        """Of another command."""
        self._stream, self._gutter, self._room = Stream(), self._new_gutter(), self.shown

    def output(self, text: str) -> None:
        if self._room > 0:
            shown = self._stream.feed(text)
            self._output(shown[: self._room])
            self._room -= len(shown)
            if self._room <= 0:
                self.say("[more output, not shown]", "dim")

    def _output(self, shown: str) -> None:
        with self._lock:
            if self._gutter is not None:
                if not self._column:  # at the beginning of a row, be it that somebody else ended the last one
                    self._gutter.restart()
                shown = self._gutter.feed(shown)
            self.write(self.out, shown)

    def finished(self, step: Step) -> None:
        if step.ran and self._room > 0:
            self._output(self._stream.close())
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
                self.write(self.out, self._margin)
                self._began = True
            self.write(self.out, self._moved_in(piece, self._column))

    def answer(self, text: str) -> None:
        if not self._began and text:
            self.fresh(self.out)
            self.write(self.out, self._margin + self._moved_in(text, len(self._margin)))
        self.fresh(self.out)
        self._began = False

    def _moved_in(self, text: str, column: int) -> str:
        text = visible(text)
        if not self._margin:
            return text
        return hanging(text, columns(getattr(sys, self.out)), column, len(self._margin))

    def notice(self, text: str) -> None:
        self.say(visible(text), "warn")


class Silence(Hooks):
    """For a progress display that has the screen to itself: only notices come through, as lines."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line

    def notice(self, text: str) -> None:
        self._line(f"      {one_line(text)}")
