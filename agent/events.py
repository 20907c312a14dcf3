"""JSONL events: one object per line on standard output, nothing else there.

Every event holds ``v`` (1), ``ts`` (seconds since 1970), ``session``, ``seq`` (1, 2, ...), ``type`` and fields of its
own. ``agent/vocabulary.py`` defines every type with its fields, ``docs/events.md`` says them in words.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Any, Protocol

from nimllm import __version__
from nimllm.agent.loop import Hooks
from nimllm.agent.results import Decision, Step, TaskResult
from nimllm.tools.redact import Stream

OUTPUT_PER_EVENT = 8192  # characters of one step.output


class Redactor(Protocol):
    def __call__(self, text: str) -> str: ...


class Sink(Protocol):
    """Whatever takes events: a stream of them, a transcript, several."""

    def emit(self, type: str, **fields: Any) -> None: ...


class Many:
    """Several sinks as one."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.sinks = sinks

    def emit(self, type: str, **fields: Any) -> None:
        for sink in self.sinks:
            sink.emit(type, **fields)


class Events:
    """Writes events to ``stream``; a None stream swallows them. Secrets are redacted before anything is written."""

    def __init__(self, stream: IO[str] | None, redact: Redactor, session: str | None = None) -> None:
        self.stream, self._redact = stream, redact
        self.session = session or secrets.token_hex(4)
        self.gone = False  # the reader has closed its end
        self.on_gone: Callable[[], object] = lambda: None
        self.ended = False
        self.owned = False  # the stream is a file of ours
        self._seq = 0
        self._lock = threading.Lock()

    def started(self, **fields: Any) -> None:
        """The first event: ``model``, ``base``, ``mode``, ``memory``, ``network`` and what else is known."""
        self.emit("session.started", version=__version__, **fields)

    def failed(self, code: int, why: str) -> None:
        """The last event of a session that an error ended."""
        if not self.ended:
            self.emit("session.ended", exit_code=code, error=why, tasks=0, passed=0, failed=0, seconds=0.0)

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        """Closes a stream of our own."""
        if self.owned and self.stream is not None:
            self.stream.close()
            self.stream = None

    def emit(self, type: str, **fields: Any) -> None:
        """Never raises for a reader that left: ``gone`` is set, ``on_gone`` called once, later events are dropped.
        (An exception would pass through the shell's read loop, in the middle of a command.)"""
        if self.stream is None:
            return
        with self._lock:  # the memory's thread reports, too
            self._emit(type, fields)

    def _emit(self, type: str, fields: dict[str, Any]) -> None:
        if self.stream is None:
            return
        self._seq += 1
        self.ended = type == "session.ended"
        event = {"v": 1, "ts": round(time.time(), 3), "session": self.session, "seq": self._seq, "type": type}
        clean = {key: self._cleaned(value) for key, value in fields.items()}
        try:
            self.stream.write(json.dumps({**event, **clean}, ensure_ascii=True) + "\n")
            self.stream.flush()
        except (BrokenPipeError, ValueError):
            self._lost()
        except OSError:  # a full disk: what was written so far stays, and the task goes on
            if not self.owned:
                self._lost()

    def _lost(self) -> None:
        self.gone = not self.owned
        self.stream = None
        if self.gone:
            drop_stdout()
            self.on_gone()

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, dict):
            return {key: self._cleaned(item) for key, item in value.items()}
        return [self._cleaned(item) for item in value] if isinstance(value, list | tuple) else value


def open_events(wanted: bool) -> Events:
    """Events on standard output, or, when they are not wanted, nowhere."""
    from nimllm.tools.redact import redact

    return Events(sys.stdout if wanted else None, redact)


def listens(sink: Sink) -> bool:
    """Whether anybody gets what ``sink`` is given: redacting gigabytes for nobody takes minutes."""
    if isinstance(sink, Many):
        return any(map(listens, sink.sinks))
    return not isinstance(sink, Events) or sink.stream is not None


def drop_stdout() -> None:
    """Points descriptor 1 at /dev/null, so that the interpreter's last flush does not fail a second time."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


class EventHooks(Hooks):
    """Reports a task as events and passes everything on to another face (the human one, on standard error).

    ``stop`` is called when the outputs of the task are more than ``most`` bytes (None: never).
    """

    def __init__(self, events: Sink, face: Hooks, task: str, most: int | None = None,
                 stop: Callable[[], object] = lambda: None) -> None:
        self.events, self.face, self.task = events, face, task
        self.stop = stop
        self._most = self._left = most
        self._redacted = Stream()  # a secret may come in two pieces, which no event shows by halves
        self._step = 0

    def plan_text(self, piece: str) -> None:
        self.face.plan_text(piece)

    def plan(self, text: str) -> None:
        self.face.plan(text)
        self.events.emit("plan", task=self.task, text=text)

    def approve(self, command: str, verdict: Any) -> Decision:
        self.events.emit("approval.requested", task=self.task, command=command, reason=verdict.reason)
        said = self.face.approve(command, verdict)
        self.events.emit("approval.decided", task=self.task, command=command, decision=said.kind, reason=said.reason)
        return said

    def started(self, command: str, verdict: Any) -> None:
        self._step += 1
        self.face.started(command, verdict)
        self.events.emit("step.started", task=self.task, step=self._step, command=command, verdict=verdict.action,
                         rule=verdict.rule, reason=verdict.reason)

    def conclude(self, result: TaskResult, signalled: int | None) -> None:
        """Says why the task ended when it was ``stop`` that ended it, and no signal."""
        if self._left is not None and self._left < 0 and signalled is None:
            result.ended, result.limit = "output", f"stopped after {self._most:,} bytes of output (--max-output)"

    def output(self, text: str) -> None:
        if self._left is not None and self._left >= 0:
            self._left -= len(text.encode("utf-8", "replace"))
            if self._left < 0:
                self.stop()
        self.face.output(text)
        if listens(self.events):
            self._report(self._redacted.feed(text))

    def _report(self, text: str) -> None:
        for start in range(0, len(text), OUTPUT_PER_EVENT):
            self.events.emit("step.output", task=self.task, step=self._step, tainted=True,
                             text=text[start : start + OUTPUT_PER_EVENT])

    def finished(self, step: Step) -> None:
        self._report(self._redacted.close())
        if not step.ran:
            self._step += 1
        self.face.finished(step)
        self.events.emit("step.completed", task=self.task, step=self._step, command=step.command, by=step.by,
                         ended=step.ended, exit=step.status, signal=_signal(step), duration=round(step.seconds, 3),
                         cwd=step.cwd, bytes=step.output_bytes, truncated=step.truncated,
                         sandbox_denied=bool(step.denied), tainted=step.ran, reason=step.reason,
                         **({"snapshot": step.snapshot, "after": step.after} if step.snapshot and step.after else {}))
        if step.restarted:
            self.events.emit("shell.restarted", task=self.task, step=self._step, cwd=step.cwd)

    def answer_text(self, piece: str) -> None:
        self.face.answer_text(piece)

    def answer(self, text: str) -> None:
        self.face.answer(text)
        self.events.emit("answer", task=self.task, text=text)

    def notice(self, text: str) -> None:
        self.face.notice(text)
        self.events.emit("warning", task=self.task, text=text)


def _signal(step: Step) -> str | None:
    """The name of the signal that ended the command, as far as its exit status tells."""
    if not step.ran or step.status is None or step.status <= 128:
        return None
    try:
        return signal.Signals(step.status - 128).name
    except ValueError:
        return None
