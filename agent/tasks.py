"""Scripted tasks: a YAML or JSONL file of requests with set-up and checks, each run in a workspace of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nimllm import errors
from nimllm.agent import records
from nimllm.agent.loop import Agent, Hooks
from nimllm.agent.results import TaskResult
from nimllm.errors import USAGE, NimError

if TYPE_CHECKING:
    from nimllm.llm.generate import Generator
    from nimllm.tools.sandbox import Sandbox
    from nimllm.tools.shell import Result

SETUP_TIMEOUT, CHECK_TIMEOUT = 60.0, 60.0
ENDED = ("done", "died")  # "died": by ``exit``, which is a way to end a check
DETAIL = 160  # characters of a failed check's output that are reported
MAX_FILE = 20_000_000  # bytes of a tasks file


class Check(BaseModel):
    """``run`` with what it must give, or ``output``: a regular expression the agent's last words must match."""

    model_config = ConfigDict(extra="forbid")

    run: str | None = None
    expect_status: int = 0
    expect_output: str | None = None
    output: str | None = None

    @field_validator("expect_output", "output")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value, re.MULTILINE)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Check:
        if (self.run is None) == (self.output is None):
            raise ValueError("a check has either run or output")
        if self.output is not None and (self.expect_output is not None or self.expect_status != 0):
            raise ValueError("expect_status and expect_output go with run")
        return self

    def __str__(self) -> str:
        if self.output is not None:
            return f"output matches {self.output}"
        wanted = f" prints {self.expect_output}" if self.expect_output is not None else ""
        return f"{self.run}{wanted}" + (f" (status {self.expect_status})" if self.expect_status else "")


class Task(BaseModel):
    """``timeout``: seconds for the whole task; ``memory``: False keeps it out of the weights."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=100, pattern=r"^[\w.-]+$")
    request: str = Field(min_length=1)
    setup: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    checks: list[Check] = Field(min_length=1)
    timeout: float = Field(default=120.0, gt=0, le=86400)
    memory: bool = True

    @field_validator("files")
    @classmethod
    def _inside(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            path = Path(name)
            if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
                raise ValueError(f"{name!r} is not a path inside of the workspace")
        return value


# ---- reading -----------------------------------------------------------------------------------------------------


def read_tasks(path: Path) -> list[Task]:
    """The tasks of a YAML (a list, or a mapping with ``tasks:``) or JSONL file, all of them right.

    Raises NimError 2 naming file, task and field before anything runs.
    """
    try:
        if path.stat().st_size > MAX_FILE:
            raise NimError(f"{path} is too large for a tasks file", f"{path.stat().st_size:,} bytes", "split it", USAGE)
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise NimError(f"cannot read the tasks file {path}", error.strerror or str(error),
                       "give a YAML or JSONL file", USAGE) from None
    except UnicodeDecodeError as error:
        raise NimError(f"{path} is not UTF-8 text", f"byte {error.start} is {error.object[error.start]:#04x}",
                       "save it as UTF-8", USAGE) from None
    rows = _rows_jsonl(path, text) if path.suffix in (".jsonl", ".ndjson") else _rows_yaml(path, text)
    if not rows:
        raise NimError(f"{path} holds no task", "", "give a list of tasks, each with id, request and checks", USAGE)
    tasks: list[Task] = []
    seen: dict[str, str] = {}
    for where, row in rows:
        name = f"task {row['id']!r} ({where})" if isinstance(row, dict) and "id" in row else where
        try:
            task = Task.model_validate(row)
        except ValidationError as error:
            raise NimError(f"{path}: {name}", _said(error), "see examples/tasks.yaml for the format", USAGE) from None
        if task.id in seen:
            raise NimError(f"{path}: {name}", f"the id is already used by {seen[task.id]}", "give each task its own id",
                           USAGE)
        seen[task.id] = where
        tasks.append(task)
    return tasks


def _said(error: ValidationError) -> str:
    """All faults of one task in a sentence, the field first."""
    faults = []
    for fault in error.errors():
        field_name = ".".join(str(part) for part in fault["loc"]) or "task"
        said = {"missing": "is missing", "extra_forbidden": "is not a known key"}.get(
            fault["type"], fault["msg"].removeprefix("Value error, "))
        faults.append(f"{field_name}: {said}" if " " in said and not said.startswith("is ") else f"{field_name} {said}")
    return "; ".join(faults)


def _rows_jsonl(path: Path, text: str) -> list[tuple[str, Any]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                rows.append((f"line {number}", json.loads(line)))
            except ValueError as error:
                raise NimError(f"{path}, line {number} is not JSON", str(error), "write one JSON object per line",
                               USAGE) from None
    return rows


def _rows_yaml(path: Path, text: str) -> list[tuple[str, Any]]:
    import yaml

    class UniqueKeys(yaml.SafeLoader):
        """YAML lets a later key silently win; here it is an error."""

    def mapping(loader: UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = Counter(loader.construct_object(key, deep=True) for key, _ in node.value)  # type: ignore[no-untyped-call]
        for key, count in keys.items():
            if count > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return dict(loader.construct_pairs(node, deep=True))  # type: ignore[no-untyped-call]

    UniqueKeys.add_constructor("tag:yaml.org,2002:map", mapping)
    try:
        data = yaml.load(text, Loader=UniqueKeys)  # SafeLoader: builds plain values only
    except (yaml.YAMLError, RecursionError, TypeError) as error:
        said = " ".join(str(error).split()).replace('in "<unicode string>", ', "")
        raise NimError(f"{path} is not valid YAML", said, "mend it there", USAGE) from None
    if isinstance(data, dict) and set(data) == {"tasks"}:
        data = data["tasks"]
    if data is None:
        return []
    if not isinstance(data, list):
        raise NimError(f"{path} is not a list of tasks", f"it holds a {type(data).__name__}",
                       "begin each task with '- id:'", USAGE)
    return [(f"entry {number}", row) for number, row in enumerate(data, 1)]


# ---- running -----------------------------------------------------------------------------------------------------


@dataclass
class TaskReport:
    """What happened to one task. ``code``: as an exit code of nimllm. ``record``: id of the task's record."""

    id: str
    passed: bool
    code: int
    checks: list[records.CheckRecord]
    result: TaskResult | None
    seconds: float
    error: str = ""
    record: str = ""

    def row(self, memory: str | None = None) -> dict[str, Any]:
        steps = self.result.steps if self.result else []
        return {
            "id": self.id, "pass": self.passed, "exit_code": self.code, "seconds": round(self.seconds, 3),
            "request": self.result.request if self.result else "", "plan": self.result.plan if self.result else "",
            "commands": [{"command": step.command, "status": step.status, "ended": step.ended,
                          "seconds": round(step.seconds, 3)} for step in steps],
            "answer": self.result.answer if self.result else "", "ended": self.result.ended if self.result else "error",
            "checks": [check.model_dump() for check in self.checks], "error": self.error,
            "record": self.record, "memory": memory,
        }


@dataclass
class Bench:
    """What tasks are run with. ``workplace`` probes a sandbox for a fresh workspace."""

    generator: Generator
    workplace: Callable[[Path], Sandbox]
    mode: str
    max_steps: int = 6
    step_timeout: float = 60.0
    task_timeout: float | None = None
    seed: int = 0
    started: Callable[[Agent], None] = field(default=lambda agent: None)  # so that ^C reaches the task that runs

    def run(self, task: Task, hooks: Hooks | None = None) -> TaskReport:
        """Sets up a workspace, lets the agent work in it, checks it with a fresh shell, and removes it.

        A task that cannot be set up, or whose shell dies for good, is a failed task with an ``error``; it does not
        end the run. NimError 5 (the sandbox) does: it would meet every task.
        """
        from nimllm.tools.shell import Shell

        start = time.monotonic()
        workspace = Path(tempfile.mkdtemp(prefix=f"nimllm-{task.id[:20]}-"))
        result: TaskResult | None = None
        checks: list[records.CheckRecord] = []
        code, error = errors.OK, ""
        try:
            sandbox = self.workplace(workspace)
            self._set_up(task, workspace, sandbox)
            shell = Shell(workspace, sandbox)
            try:
                limit = min(task.timeout, self.task_timeout) if self.task_timeout else task.timeout
                agent = Agent(self.generator, shell, self.mode, max_steps=self.max_steps, task_timeout=limit,
                              step_timeout=min(self.step_timeout, limit), seed=self.seed)
                self.started(agent)
                result = agent.task(task.request, hooks)
            finally:
                shell.close()
            if result.ended != "interrupted":
                checks = self._check(task, workspace, sandbox, result)
            code = _code(result, checks)
        except NimError as failed:
            if failed.code == errors.SANDBOX:
                raise
            code, error = failed.code, failed.message()
        except OSError as failed:  # a full disk, a path that cannot be made
            code, error = errors.TASK_FAILED, f"the workspace could not be prepared: {failed}"
        finally:
            _remove(workspace)
        passed = code == errors.OK
        return TaskReport(task.id, passed, code, checks, result, time.monotonic() - start, error)

    def _set_up(self, task: Task, workspace: Path, sandbox: Sandbox) -> None:
        for name, content in task.files.items():
            path = workspace / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
        if task.setup:
            done = _in_fresh_shell(task.setup, workspace, sandbox, SETUP_TIMEOUT)
            if done.status != 0 or done.ended not in ENDED:
                said = f"{_ended(done)} {done.output[-DETAIL:].strip()}".strip()
                raise NimError(f"the set-up of task {task.id!r} failed", said, "mend its setup", errors.TASK_FAILED)

    def _check(self, task: Task, workspace: Path, sandbox: Sandbox, result: TaskResult) -> list[records.CheckRecord]:
        found = []
        for check in task.checks:
            if check.output is not None:
                passed = re.search(check.output, result.shown, re.MULTILINE) is not None
                detail = "" if passed else f"the agent showed: {result.shown[-DETAIL:].strip()!r}"
            else:
                assert check.run is not None
                done = _in_fresh_shell(check.run, workspace, sandbox, CHECK_TIMEOUT)
                passed = done.ended in ENDED and done.status == check.expect_status
                if passed and check.expect_output is not None:
                    passed = re.search(check.expect_output, done.output, re.MULTILINE) is not None
                detail = "" if passed else f"{_ended(done)}: {done.output[-DETAIL:].strip()}".rstrip(": ")
            found.append(records.CheckRecord(check=str(check), passed=passed, detail=detail))
        return found


def _code(result: TaskResult, checks: list[records.CheckRecord]) -> int:
    """Checks have the last word: a task whose checks pass has passed, however its loop ended."""
    if result.ended in ("interrupted", "blocked"):
        return result.code
    if checks and all(check.passed for check in checks):
        return errors.OK
    return result.code or errors.TASK_FAILED


def _in_fresh_shell(command: str, workspace: Path, sandbox: Sandbox, timeout: float) -> Result:
    from nimllm.tools.shell import Shell

    shell = Shell(workspace, sandbox)
    try:
        return shell.run(command, timeout=timeout)
    finally:
        shell.close()


def _ended(done: Result) -> str:
    return f"status {done.status}" if done.ended in ENDED else f"{done.ended} after {done.seconds:.0f} s"


def _remove(workspace: Path) -> None:
    """Removes a workspace whose folders may have been made unwritable."""

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

    shutil.rmtree(workspace, onerror=make_writable)
