"""``nimllm --agent``: one task (-p), scripted tasks (--tasks), plans only (--plan-only), or the session."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from nimllm import errors, places
from nimllm.agent import equipment
from nimllm.agent.display import one_line
from nimllm.agent.events import EventHooks, Events
from nimllm.agent.face import Face, Silence
from nimllm.agent.loop import Agent
from nimllm.errors import NimError, UsageError

SHOWN_ALONE = 1_000_000  # characters of one output that -p shows
if TYPE_CHECKING:  # pydantic builds the records' models in 0.1 s, which the first token need not wait for
    from nimllm.agent.log import TaskLog
    from nimllm.agent.records import TaskRecord

MAX_STDIN = 10_000_000  # bytes read for ``-p -``


def main(args: Namespace) -> int:
    """Checks that the flags go together, then does the one thing they ask for. Returns the exit code."""
    if args.plan_only:
        if args.tasks:
            raise UsageError("--plan-only and --tasks cannot be used together", "", "give one of them")
        from nimllm.agent import plans

        return plans.main(args)
    for flag, needs in (("requests", "plan_only"), ("output", "plan_only"), ("report", "tasks")):
        if getattr(args, flag) is not None and not getattr(args, needs):
            raise UsageError(f"--{flag} goes with --{needs.replace('_', '-')}")
    if args.max_steps < 1 or args.timeout <= 0 or (args.task_timeout is not None and args.task_timeout <= 0):
        raise UsageError("--max-steps, --timeout and --task-timeout must be positive")
    if args.prompt is not None and args.tasks:
        raise UsageError("-p and --tasks cannot be used together", "", "give one of them")
    if args.tasks:
        return run_tasks(args)
    if args.prompt is not None:
        return run_one(args)
    if args.json:
        raise UsageError("--json needs -p or --tasks", "a session is for people", "add -p TEXT or --tasks FILE")
    from nimllm.agent import session

    return session.main(args)


def read_prompt(given: str) -> str:
    """The text of ``-p``; standard input is read only for ``-p -``."""
    if given != "-":
        return given
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("-p - reads the request from standard input", "which is a terminal", "pipe the text in")
    raw = sys.stdin.buffer.read(MAX_STDIN)
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise UsageError("the request on standard input is not UTF-8 text", f"byte {error.start}", "save it as UTF-8"
                         ) from None


class Stop:
    """^C and SIGTERM while tasks run: the running agent is stopped, and ``code`` says by what."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.agent: Agent | None = None
        self.remembering = False  # only the memory's worker is waited for, and it cannot be stopped

    def attach(self, agent: Agent) -> None:
        self.agent = agent
        if self.code is not None:
            agent.stop()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.code is not None
        self.code = errors.INTERRUPTED if number == signal.SIGINT else errors.TERMINATED
        if self.remembering:
            if again:
                raise SystemExit(self.code)  # the worker ends its update by itself
            sys.stderr.write("nimllm: the memory update ends first (again: leave it to the background)\n")
        elif self.agent is not None:
            self.agent.stop()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(self.code)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Nothing runs but the memory's worker."""
        self.remembering = True
        try:
            yield
        finally:
            self.remembering = False

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        old = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


def _events(args: Namespace) -> Events:
    from nimllm.tools.redact import redact

    return Events(sys.stdout if args.json else None, redact)


# ---- one task ----------------------------------------------------------------------------------------------------


def run_one(args: Namespace) -> int:
    """``-p``: one task, then exit with how it ended. On a terminal (and without --json) somebody can be asked."""
    from nimllm.tools.shell import Shell

    request = read_prompt(args.prompt)
    asking = equipment.interactive() and not args.json
    mode = equipment.mode_of(args, asking)
    workspace = equipment.workspace_of(args)
    events = _events(args)
    places.state_folder("tasks")  # an unwritable home is found out before anything runs
    with Stop().listening() as stop:
        box = equipment.open_sandbox(args, workspace, mode)
        model = equipment.load_model(args, args.memory != "off")
        shell = Shell(workspace, box)
        try:
            agent = Agent(model.generator, shell, mode, max_steps=args.max_steps, step_timeout=args.timeout,
                          task_timeout=args.task_timeout, seed=args.seed)
            stop.attach(agent)
            events.on_gone = agent.stop
            events.emit("session.started", model=model.name, base=model.base, mode=mode, sandbox=box.level,
                        workspace=str(workspace), memory=args.memory)
            events.emit("task.started", task="1", request=request)
            face = _face(args, asking)
            result = agent.task(request, EventHooks(events, face, "1"))
        finally:
            shell.close()
            stop.agent = None
        code = stop.code or (errors.TASK_FAILED if events.gone else result.code)
        if code != errors.OK and result.limit:
            face.say(f"nimllm: {result.limit}", "warn")
        log = _log(args, model, events, face.say, mode=mode, sandbox=box.level, workspace=str(workspace))
        log.add(result, learn=stop.code is None)
        with stop.waiting():
            log.wait()
        events.emit("task.completed" if code == errors.OK else "task.failed", task="1", exit_code=code,
                    ended=result.ended, reason=result.limit, outcome=result.outcome[0], by=result.outcome[1],
                    seconds=round(result.seconds, 3))
        events.emit("session.ended", exit_code=stop.code or code)
        return stop.code or code


def _face(args: Namespace, asking: bool) -> Face:
    """Who shows the one task: outputs and answer on standard output (with --json: on standard error, like the rest)."""
    if not asking:
        return Face("stderr" if args.json else "stdout", plain=args.plain, shown=SHOWN_ALONE)
    from nimllm.agent.asking import AskingFace
    from nimllm.agent.console import Console

    console = Console(places.state_folder() / "history", {}, str, Path.cwd, args.plain)
    return AskingFace(console, "stdout", "stderr", args.plain, SHOWN_ALONE)


def _log(args: Namespace, model: equipment.Model, events: Events, say: Callable[[str], None], **about: str) -> TaskLog:
    """The task log and the memory behind it, reporting to both faces."""

    from nimllm.agent import records
    from nimllm.agent.log import TaskLog

    def remembered(record: TaskRecord) -> None:
        say(records.tell_memory(record.memory))
        kind = {"accepted": "committed"}.get(record.memory.state, record.memory.state)
        events.emit(f"memory.{kind}", task=record.name or "1", **record.memory.model_dump())

    return TaskLog(model.run, args.memory, args.memory_method, remembered, model=model.name, base=model.base, **about)


# ---- scripted tasks ----------------------------------------------------------------------------------------------


def run_tasks(args: Namespace) -> int:
    """``--tasks``: every task in a workspace of its own. Exit 0 when all passed, 1 when not."""
    from nimllm.agent import tasks as scripted
    from nimllm.agent.log import Verdict
    from nimllm.agent.progress import Progress

    if args.cd:
        raise UsageError("--cd and --tasks cannot be used together", "each task gets a fresh folder", "leave out --cd")
    todo = scripted.read_tasks(Path(args.tasks))
    report = Path(args.report) if args.report else None
    if report is not None and not os.access(report.parent, os.W_OK):
        raise UsageError(f"cannot write the report {report}", f"{report.parent} is not a writable folder",
                         "give another --report")
    mode = equipment.mode_of(args, interactive=False)
    events = _events(args)
    places.state_folder("tasks")
    start = time.monotonic()
    reports: list[scripted.TaskReport] = []
    with Stop().listening() as stop:
        model = equipment.load_model(args, args.memory != "off")
        level: list[str] = []

        def workplace(folder: Path) -> Any:
            box = equipment.open_sandbox(args, folder, mode, throwaway=True)
            level[:] = [box.level]
            return box

        bench = scripted.Bench(model.generator, workplace, mode, args.max_steps, args.timeout, args.task_timeout,
                               args.seed, stop.attach)
        events.emit("session.started", model=model.name, base=model.base, mode=mode, memory=args.memory,
                    tasks=len(todo))
        with Progress(len(todo), "tasks", plain=args.plain) as progress:
            log = _log(args, model, events, lambda text: progress.line(f"      {text}"), mode=mode)
            made: dict[str, TaskRecord] = {}
            for task in todo:
                progress.now(task.id)
                events.emit("task.started", task=task.id, request=task.request)
                done = bench.run(task, EventHooks(events, Silence(progress.line), task.id))
                stop.agent = None
                if stop.code is not None or events.gone:
                    break
                reports.append(done)
                for check in done.checks:
                    events.emit("check.completed", task=task.id, **check.model_dump())
                events.emit("task.completed" if done.passed else "task.failed", task=task.id, exit_code=done.code,
                            seconds=round(done.seconds, 3), error=done.error)
                progress.step(_task_line(done))
                if done.result is not None:
                    verdict = Verdict(done.passed, done.checks, done.error) if done.checks else None
                    made[done.id] = log.add(done.result, verdict, learn=task.memory, name=task.id, sandbox=level[0])
            seconds = time.monotonic() - start
            passed = sum(done.passed for done in reports)
            progress.line(f"{passed} of {len(todo)} passed in {seconds:.0f} s")
            if log.pending:
                progress.line(f"      {log.pending} memory updates are still to come")
            with stop.waiting():
                log.wait()
        code = stop.code or (errors.OK if passed == len(todo) else errors.TASK_FAILED)
        totals = {"tasks": len(todo), "passed": passed, "failed": len(todo) - passed, "seconds": round(seconds, 3),
                  "seconds_with_memory": round(time.monotonic() - start, 3), "exit_code": code,
                  "remembered": sum(record.memory.state == "accepted" for record in made.values())}
        if report is not None:
            rows = []
            for done in reports:
                record = made.get(done.id)
                done.record = record.id if record else ""
                rows.append({**done.row(record.memory.id if record else None),
                             "memory_state": record.memory.state if record else "off"})
            _write_report(report, {"model": model.name, "base": model.base, "mode": mode,
                                   "sandbox": level[0] if level else "", "seed": args.seed, "totals": totals,
                                   "tasks": rows})
        events.emit("session.ended", **totals)
        return code


def _task_line(done: Any) -> str:
    word = "pass" if done.passed else "FAIL"
    failed = [check for check in done.checks if not check.passed]
    why = "" if done.passed else f"  {done.error or (failed[0].check if failed else '')}"
    if not done.passed and done.result is not None and done.result.limit:
        why += f" [{done.result.limit}]"
    elif failed and not done.error and failed[0].detail:
        why += f" ({failed[0].detail})"
    commands = "; ".join(one_line(step.command, 60) for step in (done.result.commands if done.result else ()))
    return one_line(f"{word}  {done.id:<24} {done.seconds:5.1f} s  {commands}{why}", 200)


def _write_report(path: Path, data: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise NimError(f"cannot write the report {path}", error.strerror or str(error), "give another --report",
                       errors.USAGE) from None
