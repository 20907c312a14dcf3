"""``--tasks``: every task in a folder of its own, one after the other or several at a time, then the reports."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm import errors, places
from nimllm.agent import equipment, tasks, transcript
from nimllm.agent.display import one_line, visible
from nimllm.agent.events import EventHooks, Events, Many, Sink
from nimllm.agent.face import Silence
from nimllm.agent.progress import Progress
from nimllm.agent.signals import Stop
from nimllm.agent.tasks import Task
from nimllm.agent.transcript import Transcript
from nimllm.agent.trial import Bench, TaskReport
from nimllm.errors import NimError, UsageError

if TYPE_CHECKING:
    from nimllm.agent.records import TaskRecord
    from nimllm.llm.generate import Generator
    from nimllm.tools.sandbox import Sandbox

MAX_JOBS = 64


def main(args: Namespace, events: Events) -> int:
    """Runs the tasks of ``--tasks``. The exit code is the worst of the tasks' own (``errors.WORST``)."""
    if args.cd:
        raise UsageError("--cd and --tasks cannot be used together", "each task gets a fresh folder", "leave out --cd")
    if not 1 <= args.jobs <= MAX_JOBS or args.repeat < 1:
        raise UsageError(f"--jobs must be 1 to {MAX_JOBS}, --repeat at least 1")
    source = Path(args.tasks).expanduser()
    todo = tasks.read_tasks(source, args.only)
    if args.dry_run:
        return _list(todo)
    _possible(args, todo)
    mode = equipment.mode_of(args, interactive=False)
    places.state_folder("tasks")
    run = _Run(args, events, mode, todo, source.resolve())
    try:
        return run.all()
    finally:
        run.close()


def _list(todo: list[Task]) -> int:
    """``--dry-run``: what would be done; nothing runs."""
    for task in todo:
        what = task.request or "; ".join(task.script)
        print(f"{visible(task.id):<24} {one_line(what, 90)}")
        if task.stage is not None and task.stage.refused is not None:
            print(f"{'':<24}   {visible(task.stage.refused.message())}")
        for check in task.checks:
            print(f"{'':<24}   check: {one_line(str(check), 90)}")
    return errors.OK


def _possible(args: Namespace, todo: list[Task]) -> None:
    """UsageError for what can be known before anything runs."""
    for name in ("report", "junit"):
        path = Path(given) if (given := getattr(args, name)) else None
        if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
            raise UsageError(f"cannot write the report {path}", f"{path.parent} is not a writable folder"
                             if not path.is_dir() else "it is a folder", f"give another --{name}")
    if args.record:
        try:
            Path(args.record).mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(args.record, os.W_OK):
                raise PermissionError(errno.EACCES, "it is not writable")
        except OSError as error:
            raise UsageError(f"cannot write in {args.record}", error.strerror or str(error), "give another --record"
                             ) from None
    for task in todo:
        if task.network and args.network != "on":
            raise UsageError(f"the task {task.id} wants the network", "it is off",
                             "add --network on, or leave the task out (--only)")
        if args.solution and not task.solution:
            raise UsageError(f"the task {task.id} has no solution", "--solution runs it instead of the model",
                             "give it one, or leave the task out (--only)")


class _Run:
    """One run of ``--tasks``: what its threads share."""

    def __init__(self, args: Namespace, events: Events, mode: str, todo: list[Task], source: Path) -> None:
        self.args, self.events, self.mode, self.source = args, events, mode, source
        self.todo = [(task, number) for number in range(1, args.repeat + 1) for task in todo]
        self.stop = Stop()
        self._loaded = threading.local()
        self._loading = threading.Lock()
        self._generators: list[Generator] = []
        self._model: equipment.Model | None = None
        self.needs_model = not args.solution and any(not task.script for task in todo)

    # ---- what a task is tried with --------------------------------------------------------------------------------

    def model(self) -> equipment.Model:
        """The model, with the generator of the thread that asks first."""
        with self._loading:
            if self._model is None:
                self._model = self._load()
                self._loaded.generator = self._model.generator
            return self._model

    def _load(self) -> equipment.Model:
        threads = self.args.threads
        if threads is None and self.args.jobs > 1:  # several engines share the cores
            threads = max(1, len(os.sched_getaffinity(0)) // self.args.jobs)
        model = equipment.load_model(Namespace(**{**vars(self.args), "threads": threads}), self.args.memory != "off")
        self._generators.append(model.generator)
        return model

    def _generator(self) -> Generator:
        """One for each thread: a generator is not for two at once."""
        model = self.model()
        if not hasattr(self._loaded, "generator"):
            with self._loading:
                self._loaded.generator = self._load().generator
        found: Generator = self._loaded.generator if self.args.jobs > 1 else model.generator
        return found

    def _workplace(self, folder: Path, network: bool) -> Sandbox:
        args = Namespace(**{**vars(self.args), "network": "on" if network else "off"})
        mode = "auto" if self.args.solution and self.mode != "full" else self.mode
        return equipment.open_sandbox(args, folder, mode, throwaway=True)

    def close(self) -> None:
        for generator in self._generators:
            generator.close()

    # ---- running --------------------------------------------------------------------------------------------------

    def all(self) -> int:
        from nimllm.agent.command import task_log

        args, start, began = self.args, time.monotonic(), time.time()
        with self.stop.listening() as stop, ExitStack() as stack:
            self.events.on_gone = stop.stop
            model = self.model() if self.needs_model else None
            about = {"model": model.name if model else "", "base": model.base if model else "", "mode": self.mode}
            self.events.started(**about, memory=args.memory if model else "off", network=args.network,
                                tasks=len(self.todo))
            progress = stack.enter_context(Progress(len(self.todo), "tasks", plain=args.plain, quiet=args.quiet))
            log = task_log(args, model, self.events, lambda text: progress.line(f"      {text}"), mode=self.mode)
            made: dict[int, TaskRecord] = {}
            reports: dict[int, TaskReport] = {}
            for index, done in self._each(progress):
                task = self.todo[index][0]
                reports[index] = done
                progress.step(task_line(done))
                if done.result is not None:
                    from nimllm.agent.log import Verdict

                    verdict = Verdict(done.passed, done.checks, done.error) if done.checks else None
                    learn = task.memory and not task.script and not args.solution
                    made[index] = log.add(done.result, verdict, learn=learn, name=task.id, sandbox=done.sandbox)
                    done.record = made[index].id
            seconds = time.monotonic() - start
            found = [reports[index] for index in sorted(reports)]
            passed = sum(done.passed for done in found)
            progress.line(f"{passed} of {len(self.todo)} passed in {seconds:.0f} s")
            if log.pending:
                progress.line(f"      {log.pending} memory updates are still to come")
            with stop.remembering():
                log.wait()
            codes = [done.code for done in found] + ([errors.TASK_FAILED] if self.events.gone else [])
            codes += [errors.MEMORY] if log.failed else []
            code = stop.code or errors.worst(codes)
            totals = {"tasks": len(self.todo), "passed": passed, "failed": len(found) - passed,
                      "skipped": len(self.todo) - len(found), "seconds": round(seconds, 3),
                      "seconds_with_memory": round(time.monotonic() - start, 3), "exit_code": code,
                      "remembered": sum(record.memory.state == "accepted" for record in made.values())}
            about["sandbox"] = found[0].sandbox if found else ""
            self._write_reports(found, reports, made, {**about, "seed": args.seed}, totals, began)
            self.events.emit("session.ended", **totals)
            return code

    def _each(self, progress: Progress) -> Iterator[tuple[int, TaskReport]]:
        """Each task's place and report, as they end; ends early on a signal, a reader that left, or ``--fail-fast``."""
        bench = Bench(
            self._generator, self._workplace, self.mode, self.args.max_steps, self.args.timeout, self.args.task_timeout,
            self.args.seed, self.args.network == "on", self.args.solution, self._hidden(),
            equipment.agent_options(self.args), self.stop.attach)
        over = threading.Event()

        def one(index: int) -> TaskReport | None:
            if over.is_set() or self.stop.code is not None or self.events.gone:
                return None
            task, repeat = self.todo[index]
            progress.now(task.id)
            try:
                return self._one(bench, task, repeat, progress)
            finally:
                self.stop.detach()

        def counts(done: TaskReport | None) -> bool:
            """Whether it was tried to its end."""
            if done is None or self.stop.code is not None or self.events.gone:
                return False
            if self.args.fail_fast and not done.passed:
                over.set()
            return True

        if self.args.jobs == 1:
            for index in range(len(self.todo)):
                with self.stop.waiting():
                    done = one(index)
                if done is None or not counts(done):
                    return
                yield index, done
            return
        with ThreadPoolExecutor(self.args.jobs, "task") as pool, self.stop.waiting():
            left: dict[Future[TaskReport | None], int] = {pool.submit(one, i): i for i in range(len(self.todo))}
            try:
                while left:
                    # a wait without an end would keep the signal handlers from running
                    for future in wait(left, timeout=0.2, return_when=FIRST_COMPLETED).done:
                        index = left.pop(future)
                        done = future.result()
                        if done is not None and counts(done):
                            yield index, done
            finally:
                over.set()
                self.stop.stop() if left else None

    def _one(self, bench: Bench, task: Task, repeat: int, progress: Progress) -> TaskReport:
        with ExitStack() as stack:
            kept = [stack.enter_context(self._transcript(task, repeat))] if self.args.record else []
            sink: Sink = Many([self.events, *kept])
            name = task.id if self.args.repeat == 1 else f"{task.id}#{repeat}"
            sink.emit("task.started", task=name, request=task.request or "; ".join(task.script))
            done = bench.run(task, EventHooks(sink, Silence(progress.line), name, self.args.max_output),
                             repeat)
            for check in done.checks:
                sink.emit("check.completed", task=name, **check.model_dump())
            ended, limit = (done.result.ended, done.result.limit) if done.result else ("error", "")
            if self.stop.code is None and not self.events.gone:
                sink.emit("task.completed" if done.passed else "task.failed", task=name, exit_code=done.code,
                          ended=ended, reason=done.error or limit, outcome="success" if done.passed else "failure",
                          by="check" if done.checks else "nobody", seconds=round(done.seconds, 3))
            for transcript in kept:
                transcript.emit("session.ended", exit_code=self.stop.code or done.code, tasks=1,
                                passed=int(done.passed), failed=int(not done.passed), seconds=round(done.seconds, 3))
            return done

    def _transcript(self, task: Task, repeat: int) -> Transcript:
        """``DIR/ID.jsonl``, in the place of an earlier run's."""
        from nimllm.tools.redact import redact

        path = Path(self.args.record) / f"{task.id if repeat == 1 else f'{task.id}.{repeat}'}.jsonl"
        path.unlink(missing_ok=True)
        events = transcript.create(path, self.events.session, redact)
        model = self._model
        events.started(model=model.name if model else "", base=model.base if model else "", mode=self.mode,
                       memory=self.args.memory if model else "off", network=self.args.network, tasks=1)
        return events

    def _hidden(self) -> tuple[Path, ...]:
        """What the tasks are and what is written about them."""
        found = [self.source]
        found += [Path(given).resolve() for given in (self.args.report, self.args.junit, self.args.record) if given]
        return tuple(found)

    # ---- reports --------------------------------------------------------------------------------------------------

    def _write_reports(self, found: list[TaskReport], reports: dict[int, TaskReport], made: dict[int, TaskRecord],
                       about: dict[str, Any], totals: dict[str, Any], began: float) -> None:
        from nimllm.tools.redact import redact, redact_data

        left = [task.id for index, (task, _) in enumerate(self.todo) if index not in reports]
        if self.args.report:
            rows = []
            for index in sorted(reports):
                record = made.get(index)
                rows.append({**reports[index].row(record.memory.id if record else None),
                             "memory_state": record.memory.state if record else "off"})
            data = {**about, "totals": totals, "tasks": rows, "left": left}
            text = json.dumps(redact_data(data), indent=1, ensure_ascii=False) + "\n"
            write_file(Path(self.args.report), text.encode("utf-8", "backslashreplace"), "report")
        if self.args.junit:
            from nimllm.agent import junit

            write_file(Path(self.args.junit), junit.document(found, left, totals["seconds"], began, about, redact),
                       "junit")


def task_line(done: TaskReport) -> str:
    """``pass  id  1.2 s  commands``, or ``FAIL`` with why."""
    commands = "; ".join(one_line(step.command, 60) for step in (done.result.commands if done.result else ()))
    name = done.id if done.repeat == 1 else f"{done.id} ({done.repeat})"
    why = f"  {done.why}" if done.why else ""
    return one_line(f"{'pass' if done.passed else 'FAIL'}  {name:<24} {done.seconds:5.1f} s  {commands}{why}", 200)


def write_file(path: Path, data: bytes, flag: str) -> None:
    """Writes ``path`` by a temporary file and a rename; NimError 2 naming ``--flag`` when it cannot be."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise NimError(f"cannot write {path}", error.strerror or str(error), f"give another --{flag}", errors.USAGE
                       ) from None
