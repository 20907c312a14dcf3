"""JSONL events: one object per line on standard output, nothing else there.

Every event holds ``v`` (1), ``ts`` (seconds since 1970), ``session``, ``seq`` (1, 2, ...), ``type`` and fields of its
own. Types: session.started, task.started, plan, approval.requested, approval.decided, step.started, step.output,
step.completed, answer, check.completed, memory.committed, memory.pending, memory.rejected, memory.failed, warning,
task.completed, task.failed, session.ended.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any, Protocol

from nimllm.agent.loop import Hooks
from nimllm.agent.results import Decision, Step

OUTPUT_PER_EVENT = 8192  # characters of one step.output


class Redactor(Protocol):
    def __call__(self, text: str) -> str: ...


class Events:
    """Writes events to ``stream``; a None stream swallows them. Secrets are redacted before anything is written."""

    def __init__(self, stream: IO[str] | None, redact: Redactor, session: str | None = None) -> None:
        self.stream, self._redact = stream, redact
        self.session = session or secrets.token_hex(4)
        self.gone = False  # the reader has closed its end
        self.on_gone: Callable[[], object] = lambda: None
        self._seq = 0
        self._lock = threading.Lock()

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
        event = {"v": 1, "ts": round(time.time(), 3), "session": self.session, "seq": self._seq, "type": type}
        clean = {key: self._cleaned(value) for key, value in fields.items()}
        try:
            self.stream.write(json.dumps({**event, **clean}, ensure_ascii=True) + "\n")
            self.stream.flush()
        except (BrokenPipeError, ValueError):
            self.stream, self.gone = None, True
            drop_stdout()
            self.on_gone()

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, dict):
            return {key: self._cleaned(item) for key, item in value.items()}
        return [self._cleaned(item) for item in value] if isinstance(value, list | tuple) else value


def drop_stdout() -> None:
    """Points descriptor 1 at /dev/null, so that the interpreter's last flush does not fail a second time."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


class EventHooks(Hooks):
    """Reports a task as events and passes everything on to another face (the human one, on standard error)."""

    def __init__(self, events: Events, face: Hooks, task: str) -> None:
        self.events, self.face, self.task = events, face, task
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
        self.events.emit("step.started", task=self.task, step=self._step, command=command, verdict=verdict.action)

    def output(self, text: str) -> None:
        self.face.output(text)
        for start in range(0, len(text), OUTPUT_PER_EVENT):
            self.events.emit("step.output", task=self.task, step=self._step, tainted=True,
                             text=text[start : start + OUTPUT_PER_EVENT])

    def finished(self, step: Step) -> None:
        if not step.ran:
            self._step += 1
        self.face.finished(step)
        self.events.emit("step.completed", task=self.task, step=self._step, command=step.command, ended=step.ended,
                         exit=step.status, duration=round(step.seconds, 3), cwd=step.cwd, bytes=step.output_bytes,
                         truncated=step.truncated, reason=step.reason)

    def answer_text(self, piece: str) -> None:
        self.face.answer_text(piece)

    def answer(self, text: str) -> None:
        self.face.answer(text)
        self.events.emit("answer", task=self.task, text=text)

    def notice(self, text: str) -> None:
        self.face.notice(text)
        self.events.emit("warning", task=self.task, text=text)
