"""The saved side of a session: opened at its start, fed while it runs, and what it takes to go on with one later."""

from __future__ import annotations

import secrets
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm import __version__, errors
from nimllm.agent import sessions, transcript
from nimllm.agent.display import one_line
from nimllm.errors import NimError, UsageError

if TYPE_CHECKING:
    from nimllm.agent.loop import Agent
    from nimllm.agent.records import TaskRecord
    from nimllm.agent.results import TaskResult
    from nimllm.alignment.memory.store import MemoryStore

TOLD = 5  # past tasks that a resumed session shows


class Recording:
    """A sink of events that ends in a file, or nowhere (``--ephemeral``)."""

    def __init__(self, opened: transcript.Transcript | None, past: sessions.Past | None, session: str) -> None:
        self.transcript, self.past, self.session = opened, past, session
        self.number = len(past.tasks) if past else 0  # of the newest task
        self._start: dict[str, str] = {}
        self._results: list[int] = []
        self._open = ""  # the number of the task that runs
        self._numbers: dict[str, str] = {}  # id in the task log -> number
        self._closed = False

    # ---- opening -------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, args: Namespace, workspace: Path, session: str = "") -> Recording:
        """A new session, or the one that ``--continue`` or ``--resume ID`` names. UsageError when there is no such
        session or it is of another folder; NimError 3 when it is open elsewhere or cannot be written."""
        from nimllm.tools.redact import redact

        wanted = getattr(args, "resume", None)
        if getattr(args, "ephemeral", False):
            if wanted or getattr(args, "continue_", False):
                raise UsageError("--ephemeral saves nothing", "--continue and --resume go on with what was saved",
                                 "give one of them")
            return cls(None, None, session or secrets.token_hex(4))
        if not wanted and not getattr(args, "continue_", False):
            session = session or secrets.token_hex(4)
            path = sessions.folder() / transcript.named(session)
            return cls(transcript.create(path, session, redact), None, session)
        path = sessions.find(wanted) if wanted else sessions.newest(workspace)
        opened = transcript.reopen(path, redact)
        try:
            past = sessions.read(path)
            if past.workspace and past.workspace != str(workspace):
                raise UsageError(f"the session {path.stem} is of another folder", past.workspace,
                                 f"nimllm --agent --cd {past.workspace} --resume {path.stem}")
            if not past.ended:  # it was killed
                sessions.mend(opened)
                past = sessions.read(path)
        except BaseException:
            opened.close()
            raise
        return cls(opened, past, opened.session)

    @property
    def id(self) -> str:
        """How ``--resume`` names it; empty when nothing is saved."""
        return self.transcript.path.stem if self.transcript else ""

    def begin(self, agent: Agent, **about: Any) -> list[str]:
        """The first event, and the state of the session that is gone on with. ``about``: model, base, mode, sandbox,
        network, memory, workspace. Returns lines for the user."""
        self.emit("session.resumed" if self.past else "session.started", version=__version__, **about)
        from nimllm.tools import exports

        self._start = exports.parse(agent.shell.exports)
        return self._restore(agent) if self.past else []

    def _restore(self, agent: Agent) -> list[str]:
        """Folder and exported variables of the shell, and what is always allowed."""
        from nimllm.tools import exports
        from nimllm.tools.redact import redact

        assert self.past is not None
        state = self.past.state
        lines = history(self.past)
        values = {str(name): str(value) for name, value in dict(state.get("env") or {}).items()
                  if redact(str(value)) == value}
        script = exports.commands(values, [str(name) for name in state.get("unset") or ()])
        if script:
            agent.shell.run(script, timeout=10.0)
        cwd = str(state.get("cwd") or "")
        if cwd and cwd != str(agent.shell.cwd):
            import shlex

            agent.shell.run(f"cd -- {shlex.quote(cwd)}", timeout=10.0)
            if str(agent.shell.cwd) != cwd:
                lines.append(f"the folder {cwd} is gone; now in {agent.shell.cwd}")
        agent.always += [str(rule) for rule in state.get("always") or () if rule not in agent.always]
        if values or agent.always:
            count = len(values)
            known = [f"{count} exported variable{'s' if count > 1 else ''}" if values else "",
                     f"always allowed: {', '.join(agent.always)}" if agent.always else ""]
            lines.append("restored: " + "; ".join(part for part in known if part))
        return lines

    def settle(self, store: MemoryStore) -> list[str]:
        """What became of memory updates that an earlier run did not see the end of: the worker outlives its session.
        The task log gets to know it; lines for the user."""
        from nimllm.agent import memories, records

        waiting = {}
        for task in self.past.tasks if self.past else ():
            if task.record and not task.memory:
                try:
                    record = records.read(task.record)
                except NimError:
                    continue
                if record.memory.state == "queued":
                    waiting[task.id] = record
        if not waiting:
            return []
        made = {memory.episode: memory for memory in store.records()}
        lines, lost = [], 0
        for number, record in waiting.items():
            if record.id not in made:
                lost += 1
                continue
            record.memory = memories.summary(made[record.id], made[record.id].seconds)
            records.write(record)
            self._numbers[record.id] = number
            self.remembered(record)
            lines.append(records.tell_memory(record.memory))
        if lost:
            lines.append(f"{lost} memory update{'s' if lost > 1 else ''} did not end with the session; nothing of "
                         f"{'them' if lost > 1 else 'it'} is in the weights (yet)")
        return lines

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """An error ends the session with its code."""
        code = error.code if isinstance(error, NimError | SystemExit) else errors.INTERRUPTED if isinstance(
            error, KeyboardInterrupt) else errors.TASK_FAILED
        self.close(code if isinstance(code, int) else errors.OK)

    # ---- while it runs -------------------------------------------------------------------------------------------

    def emit(self, type: str, **fields: Any) -> None:
        if self.transcript is not None:
            self.transcript.emit(type, **fields)

    def task_started(self, request: str) -> str:
        """The number of the task, for its events."""
        self._give_up()
        self.number += 1
        self._open = str(self.number)
        self.emit("task.started", task=str(self.number), request=request)
        return str(self.number)

    def task_ended(self, agent: Agent, result: TaskResult, record: TaskRecord | None, code: int | None = None) -> None:
        """Its end, and the state a resumed session begins with; on the disk when this returns."""
        code = result.code if code is None else code
        self._results.append(code)
        self._open = ""
        if record is not None:
            self._numbers[record.id] = str(self.number)
        self.emit("task.completed" if code == 0 else "task.failed", task=str(self.number), exit_code=code,
                  ended=result.ended, reason=result.limit, outcome=result.outcome[0], by=result.outcome[1],
                  seconds=round(result.seconds, 3), tokens=result.tokens,
                  **({"record": record.id} if record is not None else {}))
        self.state(agent)

    def _give_up(self) -> None:
        """A task that an error ended."""
        if self._open:
            self._results.append(errors.TASK_FAILED)
            self.emit("task.failed", task=self._open, exit_code=errors.TASK_FAILED, ended="error",
                      reason="an error ended it", outcome="failure", by="nobody", seconds=0.0)
            self._open = ""

    def remembered(self, record: TaskRecord) -> None:
        """What the memory did with a task of this session."""
        kind = {"accepted": "committed"}.get(record.memory.state, record.memory.state)
        self.emit(f"memory.{kind}", task=self._numbers.get(record.id, str(self.number)), **record.memory.model_dump())

    def state(self, agent: Agent) -> None:
        if self.transcript is None:
            return
        from nimllm.tools import exports

        values, gone = exports.changed(exports.parse(agent.shell.exports), self._start)
        self.emit("session.state", cwd=str(agent.shell.cwd), env=values, unset=gone, always=list(agent.always),
                  mode=agent.mode)

    def close(self, code: int, seconds: float = 0.0) -> None:
        """The last event; the file is given up. A second call does nothing."""
        if self.transcript is None or self._closed:
            return
        self._closed = True
        self._give_up()
        passed = self._results.count(0)
        self.emit("session.ended", exit_code=code, tasks=len(self._results), passed=passed,
                  failed=len(self._results) - passed, seconds=round(seconds, 3))
        path, empty = self.transcript.path, not self.number
        self.transcript.close()
        if empty:  # nothing was asked: nothing to resume
            path.unlink(missing_ok=True)


def history(past: sessions.Past) -> list[str]:
    """A few lines about what a session did before."""
    shown = past.tasks[-TOLD:]
    lines = [f"session {past.id}: {len(past.tasks)} task{'s' if len(past.tasks) != 1 else ''} so far"]
    if len(past.tasks) > len(shown):
        lines.append(f"  … {len(past.tasks) - len(shown)} earlier")
    for task in shown:
        lines.append(f"  › {one_line(task.request, 90)}")
        for step in task.commands:
            end = "" if step.ended == "done" and step.exit == 0 else (
                f"   [exit {step.exit}]" if step.exit is not None else f"   [{step.ended or 'killed'}]")
            lines.append(f"    $ {one_line(step.command, 80)}{end}")
        if task.answer:
            lines.append(f"    {one_line(task.answer, 90)}")
        if task.ended not in ("answered", ""):
            lines.append(f"    [{task.ended}]")
    return lines
