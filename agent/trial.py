"""One scripted task, tried: a folder made for it, the agent in it, then the checks, out of the agent's reach."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm import errors, places
from nimllm.agent import checks, records
from nimllm.agent.events import EventHooks
from nimllm.agent.loop import Agent
from nimllm.agent.results import TaskResult
from nimllm.agent.script import Script
from nimllm.agent.tasks import Task
from nimllm.errors import NimError

if TYPE_CHECKING:
    from nimllm.agent.signals import Stoppable
    from nimllm.llm.generate import Generator
    from nimllm.tools.sandbox import Sandbox
    from nimllm.tools.stage import Shown

SETUP_TIMEOUT = 60.0
DETAIL = 160  # characters of a failed set-up's output that are reported


@dataclass
class Place:
    """Where a trial happens. ``root`` holds everything of it and is removed afterwards; ``work`` is the workspace;
    ``box`` the agent's sandbox; ``shown`` what it sees elsewhere; ``env`` what its shell's environment has more.
    ``started`` hears of every shell, so that ^C reaches it."""

    root: Path
    work: Path
    box: Sandbox
    shown: tuple[Shown, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    started: Callable[[Stoppable], None] = field(default=lambda shell: None)


@dataclass
class TaskReport:
    """What happened to one task. ``code``: as an exit code of nimllm. ``record``: id of the task's record;
    ``rewards``: what the tests of a task in harbor's form wrote; ``repeat``: 1, 2, ... of ``--repeat``."""

    id: str
    passed: bool
    code: int
    checks: list[records.CheckRecord]
    result: TaskResult | None
    seconds: float
    error: str = ""
    record: str = ""
    sandbox: str = ""
    rewards: dict[str, float] = field(default_factory=dict)
    repeat: int = 1

    @property
    def why(self) -> str:
        """Why it did not pass, in a sentence; empty when it did."""
        if self.passed:
            return ""
        failed = [check for check in self.checks if not check.passed]
        limit = self.result.limit if self.result else ""
        if self.error or not failed:
            return self.error or limit or f"exit code {self.code}"
        detail = f" [{limit}]" if limit else f" ({failed[0].detail})" if failed[0].detail else ""
        return failed[0].check + detail

    def row(self, memory: str | None = None) -> dict[str, Any]:
        """For the JSON report."""
        steps = self.result.steps if self.result else []
        row = {
            "id": self.id, "repeat": self.repeat, "pass": self.passed, "exit_code": self.code,
            "seconds": round(self.seconds, 3),
            "request": self.result.request if self.result else "", "plan": self.result.plan if self.result else "",
            "commands": [{"command": step.command, "status": step.status, "ended": step.ended,
                          "seconds": round(step.seconds, 3)} for step in steps],
            "answer": self.result.answer if self.result else "", "ended": self.result.ended if self.result else "error",
            "checks": [check.model_dump() for check in self.checks], "error": self.error,
            "record": self.record, "memory": memory,
        }
        return {**row, "rewards": self.rewards} if self.rewards else row


@dataclass
class Bench:
    """What tasks are tried with. ``generator``: loads the model when first called; ``workplace``: a probed sandbox for
    a fresh folder, with the network or without; ``hidden``: what the agent must not see, such as the tasks file."""

    generator: Callable[[], Generator]
    workplace: Callable[[Path, bool], Sandbox]
    mode: str
    max_steps: int = 6
    step_timeout: float = 60.0
    task_timeout: float | None = None
    seed: int = 0
    network: bool = False
    solution: bool = False  # run what the task's author wrote instead of the model
    hidden: tuple[Path, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)  # more of the agent's own
    started: Callable[[Stoppable], None] = field(default=lambda agent: None)  # so that ^C reaches what runs

    def run(self, task: Task, hooks: EventHooks | None = None, repeat: int = 1) -> TaskReport:
        """Sets up a workspace, lets the agent work in it, checks what it left, and removes everything.

        A task that cannot be set up, or whose shell dies for good, is a failed task with an ``error``; it does not
        end the run. NimError 5 (the sandbox) does: it would meet every task.
        """
        start = time.monotonic()
        root = Path(tempfile.mkdtemp(prefix=f"nimllm-{task.id[:20]}-"))
        report = TaskReport(task.id, False, errors.TASK_FAILED, [], None, 0.0, repeat=repeat)
        try:
            self._try(task, root, report, hooks, repeat)
        except NimError as failed:
            if failed.code == errors.SANDBOX:
                raise
            report.code, report.error = failed.code, failed.message()
        except OSError as failed:  # a full disk, a path that cannot be made
            report.code, report.error = errors.TASK_FAILED, f"the workspace could not be prepared: {failed}"
        finally:
            _remove(root)
        report.passed = report.code == errors.OK
        report.seconds = time.monotonic() - start
        return report

    def _try(self, task: Task, root: Path, report: TaskReport, hooks: EventHooks | None, repeat: int) -> None:
        from nimllm.tools.shell import Shell

        place = self._place(task, root)
        report.sandbox = place.box.level
        self._set_up(task, place)
        shell = Shell(place.work, place.box, env={**os.environ, **place.env})
        try:
            report.result = self._work(task, shell, hooks, repeat)
        finally:
            shell.close()
        if report.result.ended != "interrupted":
            if not checks.end_leftovers(place.root):
                raise NimError(f"task {task.id!r} cannot be checked", "a process that it started does not end",
                               "end it by hand", errors.SHELL)
            report.checks, report.rewards = checks.examine(task, place, report.result, self.network)
        report.code = _code(report.result, report.checks)

    def _place(self, task: Task, root: Path) -> Place:
        work = root / "work"
        work.mkdir()
        hidden = tuple(path for path in (*self.hidden, places.state_home()) if not work.is_relative_to(path))
        box = self.workplace(work, self.network and task.network is not False)
        place = Place(root, work, replace(box, hidden=hidden), env=dict(task.env), started=self.started)
        if task.stage is not None:
            from nimllm.agent import harbor

            harbor.prepare(task.stage, place, self.solution)
            place.box = replace(place.box, shown=place.shown)
        return place

    def _work(self, task: Task, shell: Any, hooks: EventHooks | None, repeat: int) -> TaskResult:
        limit = min(task.timeout, self.task_timeout) if self.task_timeout else task.timeout
        step = min(self.step_timeout, limit)
        commands = task.solution if self.solution else task.script
        if commands:
            # What --solution runs is the author's own, and the author of a script need not approve it twice.
            script = Script(commands, shell, "full" if self.solution else self.mode, step_timeout=limit if self.solution
                            else step, task_timeout=limit)
            return self._run(script, task.request or "; ".join(commands), hooks)
        agent = Agent(self.generator(), shell, self.mode, max_steps=self.max_steps, task_timeout=limit,
                      step_timeout=step, seed=self.seed + repeat - 1, **self.options)
        return self._run(agent, task.request, hooks)

    def _run(self, agent: Agent | Script, request: str, hooks: EventHooks | None) -> TaskResult:
        self.started(agent)
        if hooks is None:
            return agent.task(request)
        hooks.stop = agent.stop
        result = agent.task(request, hooks)
        hooks.conclude(result, None)
        return result

    def _set_up(self, task: Task, place: Place) -> None:
        for name, content in task.files.items():
            path = place.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
        if task.setup:
            done = checks.in_fresh_shell(task.setup, place.work, place.box, SETUP_TIMEOUT, place.env,
                                         place.started)
            if done.status != 0 or done.ended not in checks.ENDED:
                said = f"{checks.ended(done)} {done.output[-DETAIL:].strip()}".strip()
                raise NimError(f"the set-up of task {task.id!r} failed", said, "mend its setup", errors.TASK_FAILED)


def _code(result: TaskResult, found: list[records.CheckRecord]) -> int:
    """Checks have the last word: a task whose checks pass has passed, however its loop ended."""
    if result.ended in ("interrupted", "blocked"):
        return result.code
    if found and all(check.passed for check in found):
        return errors.OK
    return result.code or errors.TASK_FAILED


def _remove(folder: Path) -> None:
    """Removes a trial's folder, whose folders may have been made unwritable."""

    def make_writable(function: Any, path: str, _: Any) -> None:
        try:
            os.chmod(os.path.dirname(path), 0o700)
            if os.path.isdir(path) and not os.path.islink(path):
                os.chmod(path, 0o700)
                shutil.rmtree(path, ignore_errors=True)
            else:
                function(path)
        except OSError:
            pass

    shutil.rmtree(folder, onerror=make_writable)
