"""Saved sessions: where they lie, what they hold, and how one is gone on with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nimllm import places
from nimllm.agent import transcript
from nimllm.agent.transcript import Transcript
from nimllm.errors import NimError, UsageError

KEPT = 200  # sessions
KEPT_BYTES = 200 << 20  # of all their files
KILLED = "the session was killed"


@dataclass
class Command:
    """One command of a past task. ``pair``: the snapshots before and after it."""

    command: str
    by: str = "model"
    ended: str = ""  # empty: it was never heard of again
    exit: int | None = None
    output: str = ""
    seconds: float = 0.0
    cwd: str = ""
    started: float = 0.0
    pair: tuple[str, str] | None = None


@dataclass
class PastTask:
    """``ended`` is empty for a task that never ended: the session was killed. ``record``: its id in the task log."""

    id: str
    request: str
    started: float
    plan: str = ""
    commands: list[Command] = field(default_factory=list)
    answer: str = ""
    ended: str = ""
    code: int | None = None
    record: str = ""
    memory: str = ""
    tokens: int = 0
    finished: float = 0.0
    warnings: list[str] = field(default_factory=list)


@dataclass
class Past:
    """Everything a session's file tells. ``runs``: the fields of each session.started and session.resumed; ``state``:
    those of the newest session.state."""

    path: Path
    session: str = ""
    started: float = 0.0
    runs: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    tasks: list[PastTask] = field(default_factory=list)
    ended: bool = False

    @property
    def id(self) -> str:
        return self.path.stem

    @property
    def workspace(self) -> str:
        return str(self.runs[0].get("workspace") or "") if self.runs else ""

    @property
    def about(self) -> dict[str, Any]:
        """The newest run's fields."""
        return self.runs[-1] if self.runs else {}


def folder() -> Path:
    """``<state>/sessions``, made on first use."""
    return places.state_folder("sessions")


def files() -> list[Path]:
    """Every session's file, newest first; of two that began in one second, the one that was written to last."""
    def began(path: Path) -> tuple[str, float]:
        try:
            return path.stem.rpartition("-")[0], path.stat().st_mtime
        except OSError:  # another process has just deleted it
            return path.stem, 0.0

    return sorted(folder().glob("*.jsonl"), key=began, reverse=True)


def find(id: str) -> Path:
    """The session named by its id, the date before it, or the beginning of either; UsageError when it is not one."""
    found = [path for path in files() if path.stem == id] or [
        path for path in files() if path.stem.startswith(id) or path.stem.rpartition("-")[2].startswith(id)]
    if len(found) != 1 or not id:
        raise UsageError(f"no session {id}" if not found or not id else f"{len(found)} sessions begin with {id}", "",
                         "nimllm sessions list shows them")
    return found[0]


def newest(workspace: Path) -> Path:
    """The newest session of a folder that has a task in it; UsageError when there is none."""
    for path in files():
        past = read(path)
        if past.workspace == str(workspace) and past.tasks:
            return path
    raise UsageError(f"there is no session of {workspace} to go on with", "", "start one without --continue")


def read(path: Path) -> Past:
    """The file's story, whole or torn."""
    past = Past(path)
    for event in transcript.read(path):
        try:
            _take(past, event)
        except (TypeError, ValueError):  # a line that somebody, or a failing disk, has changed
            continue
    return past


def _take(past: Past, event: dict[str, Any]) -> None:
    kind, when = event["type"], float(event.get("ts") or 0.0)
    past.ended = kind == "session.ended"
    if kind in ("session.started", "session.resumed"):
        past.session = past.session or str(event.get("session", ""))
        past.started = past.started or when
        past.runs.append(event)
        return
    if kind == "session.state":
        if isinstance(event.get("env"), dict) and isinstance(event.get("always"), list):
            past.state = event
        return
    if kind == "task.started":
        past.tasks.append(PastTask(str(event.get("task", "")), str(event.get("request", "")), when))
        return
    task = next((task for task in reversed(past.tasks) if task.id == event.get("task")), None)
    if task is not None:
        _take_of_task(task, event, when)


def _take_of_task(task: PastTask, event: dict[str, Any], when: float) -> None:
    kind, text = event["type"], str(event.get("text", ""))
    if kind == "plan":
        task.plan = text
    elif kind == "step.started":
        task.commands.append(Command(str(event.get("command", "")), started=when))
    elif kind == "step.output" and task.commands:
        task.commands[-1].output += text
    elif kind == "step.completed":
        if not task.commands or task.commands[-1].ended:  # one that was not run
            task.commands.append(Command(str(event.get("command", "")), started=when))
        step = task.commands[-1]
        step.ended, step.exit = str(event.get("ended", "done")), event.get("exit")
        step.by = str(event.get("by", "model"))
        step.seconds, step.cwd = float(event.get("duration") or 0.0), str(event.get("cwd") or "")
        if event.get("snapshot") and event.get("after"):
            step.pair = (str(event["snapshot"]), str(event["after"]))
    elif kind == "answer":
        task.answer = text
    elif kind == "warning":
        task.warnings.append(text)
    elif kind.startswith("memory."):
        task.memory = kind.partition(".")[2]
    elif kind in ("task.completed", "task.failed"):
        task.ended, task.code = str(event.get("ended") or "answered"), event.get("exit_code")
        task.record, task.tokens = str(event.get("record") or ""), int(event.get("tokens") or 0)
        task.finished = when


# ---- sessions that were killed -----------------------------------------------------------------------------------


def recover() -> int:
    """Give killed sessions their end: what their last task had done goes into the task log (so that it can be undone),
    and the file says that it was killed. The number of sessions mended; one that is open is left alone."""
    from nimllm.tools.redact import redact

    mended = 0
    for path in files():
        if transcript.last(path).get("type") == "session.ended" or transcript.held(path):
            continue
        try:
            opened = transcript.reopen(path, redact)
        except NimError:
            if path.stat().st_size == 0 and not transcript.held(path):
                path.unlink(missing_ok=True)  # killed before its first line
            continue
        try:
            if read(path).tasks:
                mend(opened)
                mended += 1
            else:
                path.unlink(missing_ok=True)  # killed before anything was asked
        finally:
            opened.close()
    return mended


def mend(opened: Transcript) -> None:
    """Write the end of a session that was killed."""
    past = read(opened.path)
    for task in past.tasks:
        if not task.ended:
            record = _record(past, task)
            opened.emit("task.failed", task=task.id, exit_code=143, ended="interrupted", reason=KILLED,
                        outcome="aborted", by="nobody", seconds=0.0, **({"record": record} if record else {}))
    failed = sum(task.code != 0 for task in past.tasks)
    opened.failed(143, KILLED) if not past.runs else opened.emit(
        "session.ended", exit_code=143, tasks=len(past.tasks), passed=len(past.tasks) - failed, failed=failed,
        seconds=0.0, error=KILLED)


def _record(past: Past, task: PastTask) -> str:
    """The id of the record made for a task that never ended; empty when it had run nothing."""
    from nimllm.agent import records

    commands = [records.CommandRecord(
        command=step.command, by="user" if step.by == "user" else "model", ended=step.ended, status=step.exit,
        seconds=step.seconds, output=step.output[-records.OUTPUT_CHARACTERS:],
        snapshot=step.pair[0] if step.pair else None, after=step.pair[1] if step.pair else None,
    ) for step in task.commands if step.ended]
    if not commands:
        return ""
    about = past.about
    made = records.TaskRecord(
        id=records.new_id(task.started or None), time=records.now(), model=str(about.get("model", "")),
        base=str(about.get("base", "")), mode=str(about.get("mode", "")), sandbox=str(about.get("sandbox") or ""),
        workspace=past.workspace, session=past.session, request=task.request, plan=task.plan, commands=commands,
        ended="interrupted", limit=KILLED, outcome="aborted", by="nobody", detail=KILLED)
    records.write(made)
    return made.id


# ---- forgetting --------------------------------------------------------------------------------------------------


def delete(path: Path) -> None:
    """Remove a session's file; NimError 3 while a process has it open."""
    if transcript.held(path):
        raise NimError(f"the session {path.stem} is open in another process", "", "end that one first")
    path.unlink(missing_ok=True)


def prune(keep: int = KEPT, most: int = KEPT_BYTES) -> int:
    """Remove the oldest sessions beyond ``keep`` files or ``most`` bytes; open ones stay. The number removed."""
    gone = total = 0
    for number, path in enumerate(files()):
        try:
            total += path.stat().st_size
            if (number >= keep or (total > most and number)) and not transcript.held(path):
                path.unlink()
                gone += 1
        except OSError:
            continue
    return gone


def sizes(paths: Iterator[Path] | list[Path]) -> tuple[int, int]:
    """Number and bytes of files; those that vanish meanwhile do not count."""
    count = total = 0
    for path in paths:
        try:
            total += os.stat(path).st_size
            count += 1
        except OSError:
            continue
    return count, total
