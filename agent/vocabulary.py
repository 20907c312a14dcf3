"""Every event of ``--json``: its type and fields. ``docs/events.md`` says the same in words,
``docs/events.schema.json`` as a JSON schema; a test holds the three, and what real runs write, together.

Version 1 may gain types and optional fields; a reader ignores what it does not know. Anything else raises ``v``.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Mode = Literal["read-only", "ask", "auto", "full"]
Code = Literal[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130, 143]
Action = Literal["run", "ask", "refuse"]


class _Event(BaseModel):
    """``ts``: seconds since 1970; ``session``: the run; ``seq``: 1, 2, ... without a gap."""

    model_config = ConfigDict(extra="forbid")

    v: Literal[1]
    ts: float
    session: str = Field(min_length=1)
    seq: int = Field(ge=1)


class _Of(_Event):
    """``task``: the id in a tasks file, ``#2`` and so on behind it with ``--repeat``; ``1`` with ``-p``."""

    task: str


class _OfStep(_Of):
    """``step``: 1, 2, ... within the task."""

    step: int = Field(ge=1)


class SessionStarted(_Event):
    """The first event. ``base``: fingerprint of the base's weights, empty without a memory; ``sandbox`` is missing with
    ``--tasks``, where each task's report has it; ``tasks``: how many are to be tried."""

    type: Literal["session.started"]
    version: str
    model: str
    base: str
    mode: Mode
    memory: Literal["off", "review", "auto"]
    network: Literal["off", "on"]
    sandbox: str | None = None
    workspace: str | None = None
    tasks: int | None = None
    dry_run: bool = False


class SessionResumed(SessionStarted):
    """In a saved session only: it goes on, in another process."""

    type: Literal["session.resumed"]  # type: ignore[assignment]


class SessionState(_Event):
    """In a saved session only: what the next run begins with. ``env``: exported variables that commands have set,
    without secrets; ``unset``: those they took away; ``always``: what needs no approval."""

    type: Literal["session.state"]
    cwd: str
    env: dict[str, str]
    unset: list[str]
    always: list[str]
    mode: Mode


class TaskStarted(_Of):
    type: Literal["task.started"]
    request: str


class Plan(_Of):
    type: Literal["plan"]
    text: str


class StepProposed(_OfStep):
    """``--dry-run`` only: what would run, and what the policy says of it."""

    type: Literal["step.proposed"]
    command: str
    verdict: Action
    reason: str
    rule: str


class ApprovalRequested(_Of):
    type: Literal["approval.requested"]
    command: str
    reason: str


class ApprovalDecided(_Of):
    """``blocked``: nobody could be asked."""

    type: Literal["approval.decided"]
    command: str
    decision: Literal["accept", "always", "edit", "reject", "abort", "blocked"]
    reason: str


class StepStarted(_OfStep):
    type: Literal["step.started"]
    command: str
    verdict: Action
    reason: str
    rule: str


class StepOutput(_OfStep):
    """A piece of standard output and standard error, as they came. ``tainted``: nobody vouches for it."""

    type: Literal["step.output"]
    text: str
    tainted: Literal[True]


class StepCompleted(_OfStep):
    """The step is over; ``ended`` says whether it ran. ``exit``: status, 124 when its time ran out, 130 interrupted;
    ``signal``: name of the signal that ended it, as far as its status tells; ``duration``: seconds; ``bytes`` of all
    its output; ``truncated``: more than is kept; ``sandbox_denied``: a guess that a warning explains
    (tools/denials.py); ``snapshot`` and ``after``: of the workspace, when the command could write."""

    type: Literal["step.completed"]
    command: str
    by: Literal["model", "user"]
    ended: Literal["done", "timeout", "interrupted", "died", "refused", "rejected", "blocked"]
    exit: int | None
    signal: str | None
    duration: float = Field(ge=0)
    cwd: str
    bytes: int = Field(ge=0)
    truncated: bool
    sandbox_denied: bool
    tainted: bool
    reason: str
    snapshot: str | None = None
    after: str | None = None


class ShellRestarted(_OfStep):
    """The shell ended with this step, and a new one is in its place: the same folder, the same exported variables."""

    type: Literal["shell.restarted"]
    cwd: str


class Answer(_Of):
    type: Literal["answer"]
    text: str


class Warning(_Of):
    type: Literal["warning"]
    text: str


class CheckCompleted(_Of):
    type: Literal["check.completed"]
    check: str
    passed: bool
    detail: str


class _Memory(_Of):
    """What an update did. ``id`` in the ledger; losses in nats per token; ``entries`` changed weights; ``bytes`` of the
    delta on disk, ``norm`` of it by that of the tensors it touches; ``weights``: fingerprint with it; ``probes_*``:
    answered rightly of all, as ``3/4``; ``seconds`` it took."""

    state: str
    id: str | None
    method: str | None
    loss_before: float | None
    loss_after: float | None
    entries: int | None
    bytes: int | None
    norm: float | None
    weights: str | None
    perplexity_ratio: float | None
    probes_before: str | None
    probes_after: str | None
    detail: str
    seconds: float | None


class MemoryCommitted(_Memory):
    type: Literal["memory.committed"]


class MemoryPending(_Memory):
    """It waits for ``nimllm memory approve``; ``detail`` says why."""

    type: Literal["memory.pending"]


class MemoryRejected(_Memory):
    type: Literal["memory.rejected"]


class MemorySkipped(_Memory):
    """There was nothing to learn."""

    type: Literal["memory.skipped"]


class MemoryFailed(_Memory):
    """The update broke; the weights are as before."""

    type: Literal["memory.failed"]


class _TaskEnd(_Of):
    """``ended``: how its loop ended, ``error`` when it did not begin; ``outcome`` said ``by``.
    ``tokens`` the model wrote; ``record``: id in the task log."""

    exit_code: Code
    ended: Literal["answered", "steps", "time", "output", "context", "loop", "blocked", "aborted", "interrupted",
                   "gave-up", "error"]
    reason: str
    outcome: Literal["success", "failure", "aborted"]
    by: Literal["check", "user", "nobody"]
    seconds: float = Field(ge=0)
    tokens: int | None = None
    record: str | None = None


class TaskCompleted(_TaskEnd):
    type: Literal["task.completed"]


class TaskFailed(_TaskEnd):
    type: Literal["task.failed"]


class SessionEnded(_Event):
    """The last event: the exit code, and totals. ``skipped``: tasks that were not tried; ``remembered``: updates
    accepted; ``error``: why nothing could be done, or no more (it may then be the only event)."""

    type: Literal["session.ended"]
    exit_code: Code
    tasks: int = Field(ge=0)
    passed: int = Field(ge=0)
    failed: int = Field(ge=0)
    skipped: int = 0
    seconds: float = Field(ge=0)
    seconds_with_memory: float | None = None
    remembered: int = 0
    error: str = ""


TYPES = (SessionStarted, SessionResumed, SessionState, TaskStarted, Plan, StepProposed, ApprovalRequested,
         ApprovalDecided, StepStarted, StepOutput, StepCompleted, ShellRestarted, Answer, Warning, CheckCompleted,
         MemoryCommitted, MemoryPending, MemoryRejected, MemorySkipped, MemoryFailed, TaskCompleted, TaskFailed,
         SessionEnded)
Event = Annotated[
    SessionStarted | SessionResumed | SessionState | TaskStarted | Plan | StepProposed | ApprovalRequested |
    ApprovalDecided | StepStarted | StepOutput | StepCompleted | ShellRestarted | Answer | Warning |
    CheckCompleted | MemoryCommitted | MemoryPending | MemoryRejected | MemorySkipped | MemoryFailed |
    TaskCompleted | TaskFailed | SessionEnded,
    Field(discriminator="type")]
_adapter: TypeAdapter[Any] = TypeAdapter(Event)


def read(line: str | bytes) -> Any:
    """The event of one line; pydantic's ValidationError (a ValueError) when it is none."""
    return _adapter.validate_json(line, strict=True)


def schema() -> dict[str, Any]:
    """The JSON schema of one line."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "nimllm event, version 1",
            **_adapter.json_schema()}


def schema_text() -> str:
    """:func:`schema` as the file in docs holds it: one definition a line."""
    whole = schema()
    definitions = ",\n".join(f"  {json.dumps(name)}: {json.dumps(body)}" for name, body in whole.pop("$defs").items())
    rest = "".join(f" {json.dumps(name)}: {json.dumps(body)},\n" for name, body in whole.items())
    return f'{{\n{rest} "$defs": {{\n{definitions}\n }}\n}}\n'
