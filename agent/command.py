"""``nimllm --agent``: one task (-p), scripted tasks (--tasks), plans only (--plan-only), or the session."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nimllm import errors, places
from nimllm.agent import equipment, feedback
from nimllm.agent.display import visible
from nimllm.agent.events import EventHooks, Events, Many, Sink, open_events
from nimllm.agent.face import Face
from nimllm.agent.loop import Agent
from nimllm.agent.recording import Recording
from nimllm.agent.signals import Stop
from nimllm.errors import NimError, UsageError

SHOWN_ALONE = 1_000_000  # characters of one output that -p shows
if TYPE_CHECKING:  # pydantic builds the records' models in 0.1 s, which the first token need not wait for
    from nimllm.agent.log import TaskLog
    from nimllm.agent.records import TaskRecord
    from nimllm.tools.policy import Verdict
    from nimllm.tools.snapshots import Snapshots

MAX_STDIN = 10_000_000  # bytes read for ``-p -``
_OF_TASKS = ("report", "junit", "record", "only", "jobs", "repeat", "fail_fast", "solution")


def main(args: Namespace) -> int:
    """Checks that the flags go together, then does the one thing they ask for. Returns the exit code; with --json the
    last event says the same, whatever happens."""
    events = open_events(args.json and not args.plan_only)
    try:
        return _main(args, events)
    except NimError as error:
        events.failed(error.code, error.message())
        raise
    except KeyboardInterrupt:
        events.failed(errors.INTERRUPTED, "interrupted")
        raise
    except SystemExit as ended:  # a signal while nothing ran
        events.failed(int(ended.code or errors.OK), "terminated")
        raise


def _main(args: Namespace, events: Events) -> int:
    for sentence in equipment.apply_settings(args):
        print(f"nimllm: {sentence}", file=sys.stderr)
    equipment.hold_memory(args)
    if args.plan_only:
        if args.tasks:
            raise UsageError("--plan-only and --tasks cannot be used together", "", "give one of them")
        from nimllm.agent import plans

        return plans.main(args)
    saved = [flag for flag, given in (("--continue", args.continue_), ("--resume", args.resume),
                                      ("--ephemeral", args.ephemeral)) if given]
    if len(saved) > 1:
        raise UsageError(f"{' and '.join(saved)} cannot be used together", "", "give one of them")
    if saved and args.tasks:
        raise UsageError(f"{saved[0]} and --tasks cannot be used together", "each task begins afresh",
                         "give one of them")
    for flag, needs in (("requests", "plan_only"), ("output", "plan_only"), *((flag, "tasks") for flag in _OF_TASKS),
                        ("output_last", "prompt")):
        given = getattr(args, flag)
        if given is not None and given is not False and (given is True or given != 1) and not getattr(args, needs):
            raise UsageError(f"--{flag.replace('_', '-')} goes with " + ("-p" if needs == "prompt" else
                                                                         f"--{needs.replace('_', '-')}"))
    if args.max_steps < 1 or args.timeout <= 0 or (args.task_timeout is not None and args.task_timeout <= 0):
        raise UsageError("--max-steps, --timeout and --task-timeout must be positive")
    if args.max_output is not None and args.max_output < 1:
        raise UsageError("--max-output must be positive")
    if args.quiet and args.verbose:
        raise UsageError("--quiet and --verbose cannot be used together", "", "give one of them")
    if args.prompt is not None and args.tasks:
        raise UsageError("-p and --tasks cannot be used together", "", "give one of them")
    if args.tasks:
        from nimllm.agent import scripted

        return scripted.main(args, events)
    if args.prompt is not None:
        return run_one(args, events)
    if args.dry_run:
        raise UsageError("--dry-run needs -p or --tasks", "", "add -p TEXT or --tasks FILE")
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


# ---- one task ----------------------------------------------------------------------------------------------------


def run_one(args: Namespace, events: Events) -> int:
    """``-p``: one task, then exit with how it ended. On a terminal (and without --json) somebody can be asked."""
    from nimllm.tools.shell import Shell

    request = read_prompt(args.prompt)
    asking = equipment.interactive() and not args.json
    mode = equipment.mode_of(args, asking)
    workspace = equipment.workspace_of(args)
    if args.dry_run:
        from nimllm.agent import plans

        return plans.dry_run(args, events, request, mode, workspace, asking)
    last = Path(args.output_last) if args.output_last else None
    if last is not None and (last.is_dir() or not os.access(last.absolute().parent, os.W_OK)):
        raise UsageError(f"cannot write {last}", "", "give another --output-last")
    places.state_folder("tasks")  # an unwritable home is found out before anything runs
    recording = Recording.open(args, workspace, events.session)
    events.session = recording.session
    with recording, Stop().listening() as stop:
        both = Many([events, recording])
        box = equipment.open_sandbox(args, workspace, mode)
        model = equipment.load_model(args, args.memory != "off")
        shell = Shell(workspace, box)
        try:
            agent = Agent(model.generator, shell, mode, max_steps=args.max_steps, step_timeout=args.timeout,
                          task_timeout=args.task_timeout, seed=args.seed, **equipment.agent_options(args),
                          snapshots=None if args.ephemeral else _snapshots(workspace))
            stop.attach(agent)
            events.on_gone = agent.stop
            about = {"model": model.name, "base": model.base, "mode": mode, "sandbox": box.level,
                     "network": args.network, "workspace": str(workspace), "memory": args.memory}
            events.started(**about)
            face = _face(args, asking)
            lines = recording.begin(agent, **about)
            if recording.past and args.memory != "off":
                lines += recording.settle(equipment.open_store(model.run))
            for line in lines:
                face.say(visible(line), "dim")
            number = recording.task_started(request)
            events.emit("task.started", task=number, request=request)
            hooks = EventHooks(both, face, number, args.max_output, agent.stop)
            ordered = feedback.read_order(request)
            result = feedback.noted(request, ordered, hooks, args.memory) if ordered else agent.task(request, hooks)
        except NimError as error:
            events.emit("task.failed", task="1", exit_code=error.code, ended="error", reason=error.message(),
                        outcome="failure", by="nobody", seconds=0.0)
            raise
        finally:
            shell.close()
            stop.detach()
        hooks.conclude(result, stop.code)
        code = stop.code or (errors.TASK_FAILED if events.gone else result.code)
        if code != errors.OK and result.limit:
            face.say(f"nimllm: {result.limit}", "warn")
        if last is not None:
            from nimllm.agent.scripted import write_file

            write_file(last, (result.shown.rstrip("\n") + "\n").encode("utf-8", "backslashreplace"), "output-last")
        log = task_log(args, model, both, face.say, mode=mode, sandbox=box.level, workspace=str(workspace),
                       session=recording.session)
        record = log.order(request, ordered, result.answer) if ordered else log.add(result, learn=stop.code is None)
        if log.learning and not ordered:
            face.say(f"learning: {visible(log.learning)}", "dim")
        with stop.remembering():
            log.wait()
        if args.verbose:
            face.say(f"{len(result.commands)} commands, {result.tokens} tokens at {result.tokens_per_second:.0f} a "
                     f"second, {result.seconds:.1f} s, sandbox {box.level}, exit {code}", "dim")
        code = stop.code or errors.worst((code, errors.MEMORY if log.failed else errors.OK))
        events.emit("task.completed" if code == errors.OK else "task.failed", task=number, exit_code=code,
                    ended=result.ended, reason=result.limit, outcome=result.outcome[0], by=result.outcome[1],
                    seconds=round(result.seconds, 3), tokens=result.tokens, record=record.id)
        recording.task_ended(agent, result, record, code)
        recording.close(code, result.seconds)
        from nimllm.agent import retention

        retention.prune(agent.snapshots)
        events.emit("session.ended", exit_code=code, tasks=1, passed=int(code == errors.OK),
                    failed=int(code != errors.OK), seconds=round(result.seconds, 3))
        return code


class Quiet(Face):
    """Outputs and answers only."""

    def write(self, name: str, text: str, style: str = "") -> None:
        if name == self.out and self.out != self.err:
            super().write(self.out, text, style)


class Chatty(Face):
    """Says of each command why it may run, too."""

    def started(self, command: str, verdict: Verdict) -> None:
        super().started(command, verdict)
        self.say(f"  {verdict.action}: {verdict.reason}" + (f"  [{verdict.rule}]" if verdict.rule else ""), "dim")


def _snapshots(workspace: Path) -> Snapshots:
    from nimllm.tools.snapshots import Snapshots

    return Snapshots(places.state_folder("snapshots"), workspace)


def _face(args: Namespace, asking: bool) -> Face:
    """Who shows the one task: outputs and answer on standard output (with --json: on standard error, like the rest)."""
    if not asking:
        kind = Quiet if args.quiet else Chatty if args.verbose else Face
        return kind("stderr" if args.json else "stdout", plain=args.plain, shown=SHOWN_ALONE)
    from nimllm.agent.asking import AskingFace
    from nimllm.agent.console import Console

    console = Console(places.state_folder() / "history", {}, str, Path.cwd, args.plain)
    return AskingFace(console, "stdout", "stderr", args.plain, SHOWN_ALONE)


def task_log(args: Namespace, model: equipment.Model | None, events: Sink, say: Callable[[str], None], **about: str
             ) -> TaskLog:
    """The task log and the memory behind it, reporting to both faces. Without a model nothing is learnt."""
    from nimllm.agent import records
    from nimllm.agent.log import TaskLog

    def remembered(record: TaskRecord) -> None:
        say(records.tell_memory(record.memory))
        kind = {"accepted": "committed"}.get(record.memory.state, record.memory.state)
        events.emit(f"memory.{kind}", task=record.name or "1", **record.memory.model_dump())

    if model is None:
        return TaskLog(places.shipped_model(), "off", args.memory_method, remembered, **about)
    log = TaskLog(model.run, args.memory, args.memory_method, remembered, model=model.name, base=model.base, **about)
    log.keep = not args.ephemeral
    return log
