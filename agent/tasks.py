"""Scripted tasks: what a YAML or JSONL file of them, or a folder in harbor's form, may hold, and how it is read."""

from __future__ import annotations

import json
import re
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nimllm.errors import USAGE, NimError

if TYPE_CHECKING:
    from nimllm.agent.harbor import Stage

MAX_FILE = 20_000_000  # bytes of a tasks file
CHECK_TIMEOUT = 60.0


class Check(BaseModel):
    """One of three: ``run``, a command with what it must give; ``output``, a regular expression that the agent's last
    words must match; ``file`` with its ``sha256``.

    ``writes``: the command may change the workspace, and gets a copy that is thrown away; without it the workspace is
    read-only to it. ``timeout``: seconds.
    """

    model_config = ConfigDict(extra="forbid")

    run: str | None = None
    expect_status: int = 0
    expect_output: str | None = None
    writes: bool = False
    output: str | None = None
    file: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$")
    timeout: float = Field(default=CHECK_TIMEOUT, gt=0, le=86400)

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
        if sum(kind is not None for kind in (self.run, self.output, self.file)) != 1:
            raise ValueError("a check has either run or output or file")
        if self.run is None and (self.expect_output is not None or self.expect_status != 0 or self.writes):
            raise ValueError("expect_status, expect_output and writes go with run")
        if (self.file is None) != (self.sha256 is None):
            raise ValueError("file and sha256 go together")
        return self

    def __str__(self) -> str:
        if self.output is not None:
            return f"output matches {self.output}"
        if self.file is not None:
            return f"{self.file} has sha256 {self.sha256}"
        wanted = f" prints {self.expect_output}" if self.expect_output is not None else ""
        return f"{self.run}{wanted}" + (f" (status {self.expect_status})" if self.expect_status else "")


class Task(BaseModel):
    """What is asked (``request``), or the commands that run instead of the model's (``script``, one step each).

    ``setup`` runs before, ``solution`` instead with ``--solution``. ``timeout``: seconds for the whole task.
    ``network``: None leaves it to ``--network``, False closes it, True needs ``--network on``. ``env``: variables of
    the agent's shell. ``memory``: False keeps the task out of the weights.
    """

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=100, pattern=r"^[\w.-]+$")
    request: str = ""
    script: list[str] = Field(default_factory=list)
    solution: list[str] = Field(default_factory=list)
    setup: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    checks: list[Check] = Field(default_factory=list)
    timeout: float = Field(default=120.0, gt=0, le=86400)
    network: bool | None = None
    env: dict[str, str] = Field(default_factory=dict)
    memory: bool = True
    _stage: Stage | None = None  # of a folder in harbor's form

    @property
    def stage(self) -> Stage | None:
        return self._stage

    @field_validator("script", "solution", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("script", "solution")
    @classmethod
    def _filled(cls, value: list[str]) -> list[str]:
        if any(not command.strip() for command in value):
            raise ValueError("an empty command")
        return value

    @field_validator("env")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not re.fullmatch(r"[A-Za-z_]\w*", name) or "\0" in text:
                raise ValueError(f"{name!r} cannot be a variable")
        return value

    @field_validator("files")
    @classmethod
    def _inside(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            path = Path(name)
            if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
                raise ValueError(f"{name!r} is not a path inside of the workspace")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Task:
        if bool(self.request.strip()) == bool(self.script):
            raise ValueError("a task has either a request or a script")
        return self


class FileTask(Task):
    """A task as a file holds it: with at least one check."""

    checks: list[Check] = Field(min_length=1)


# ---- reading -----------------------------------------------------------------------------------------------------


def read_tasks(path: Path, only: str | None = None) -> list[Task]:
    """The tasks of a YAML (a list, or a mapping with ``tasks:``) or JSONL file, or of a folder in harbor's form, all of
    them right; with ``only``, those whose id the pattern matches.

    Raises NimError 2 naming file, task and field before anything runs.
    """
    if path.is_dir():
        from nimllm.agent import harbor

        found = harbor.read_folder(path)
    else:
        found = _read_file(path)
    if only is None:
        return found
    chosen = [task for task in found if fnmatchcase(task.id, only)]
    if not chosen:
        raise NimError(f"--only {only} leaves no task", f"{path} has {', '.join(task.id for task in found[:8])}"
                       + (" and more" if len(found) > 8 else ""), "give another pattern", USAGE)
    return chosen


def _read_file(path: Path) -> list[Task]:
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
            task = FileTask.model_validate(row)
        except ValidationError as error:
            raise NimError(f"{path}: {name}", _said(error), "see docs/agent.md for the format", USAGE) from None
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
