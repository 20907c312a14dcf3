"""The task log: one JSON file per task that a person can review, and the episode it gives to the memory."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nimllm import places
from nimllm.agent.loop import visible_output
from nimllm.agent.results import TaskResult
from nimllm.errors import CONFIG, MEMORY, NimError
from nimllm.llm.turns import Turn, observation

if TYPE_CHECKING:
    from nimllm.alignment.episodes import Episode

OUTPUT_CHARACTERS = 4000  # of each command's output that the log keeps (head and tail)


class CommandRecord(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: str
    by: Literal["model", "user"] = "model"
    edited_from: str | None = None
    verdict: str = "run"
    reason: str = ""
    decision: str | None = None
    ended: str = "done"
    status: int | None = None
    seconds: float = 0.0
    output: str = ""
    output_bytes: int = 0
    plan: str | None = None  # the plan it followed, when its rejection made another one
    snapshot: str | None = None  # of the workspace before the command, when it could write
    after: str | None = None


class MemoryRecord(BaseModel):
    """What the update did: losses in nats per token, ``entries`` changed weights, ``bytes`` of the delta on disk,
    ``norm`` of it by that of the tensors it touches, ``weights``: fingerprint of the weights with it,
    ``perplexity_ratio`` after / before on a fixed text, probes answered rightly before and after."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["off", "queued", "accepted", "pending", "rejected", "failed", "skipped"] = "off"
    id: str | None = None
    method: str | None = None
    loss_before: float | None = None
    loss_after: float | None = None
    entries: int | None = None
    bytes: int | None = None
    norm: float | None = None
    weights: str | None = None
    perplexity_ratio: float | None = None
    probes_before: str | None = None
    probes_after: str | None = None
    detail: str = ""
    seconds: float | None = None


class CheckRecord(BaseModel):
    model_config = ConfigDict(extra="forbid")

    check: str
    passed: bool
    detail: str = ""


class TaskRecord(BaseModel):
    model_config = ConfigDict(extra="forbid")

    v: Literal[1] = 1
    id: str
    # user: a command typed by the user, outside of a task; undo: a task was taken back; convention: an order about the
    # future, in which nothing ran
    kind: Literal["task", "chat", "user", "undo", "convention"] = "task"
    time: str
    name: str = ""  # the id in a tasks file
    session: str = ""  # the saved session it belongs to
    undoes: str = ""  # the record that this one took back
    model: str = ""
    base: str = ""  # fingerprint of the base checkpoint
    mode: str = ""
    sandbox: str = ""
    workspace: str = ""
    note: str = ""
    request: str
    plan: str = ""
    commands: list[CommandRecord] = Field(default_factory=list)
    answer: str = ""
    ended: str = "answered"
    limit: str = ""
    seconds: float = 0.0
    outcome: Literal["success", "failure", "aborted"] = "failure"
    by: Literal["check", "user", "nobody"] = "nobody"
    detail: str = ""
    checks: list[CheckRecord] = Field(default_factory=list)
    memory: MemoryRecord = Field(default_factory=MemoryRecord)


def new_id(now: float | None = None) -> str:
    """``YYYYMMDD-HHMMSS-mmmxxxx`` (UTC, milliseconds): sorts by time, and two sessions do not collide."""
    now = time.time() if now is None else now
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime(now)) + f"{int(now % 1 * 1000):03}{secrets.token_hex(2)}"


def now() -> str:
    """The time as records have it (UTC)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def task_record(result: TaskResult, redact: Callable[[str], str], **about: Any) -> TaskRecord:
    """The record of a finished task, secrets redacted. ``about``: model, base, mode, sandbox, workspace, name."""
    kind, by, detail = result.outcome
    commands = [
        CommandRecord(
            command=redact(step.command), by=step.by, decision=step.decision, verdict=step.verdict,
            edited_from=redact(step.edited_from) if step.edited_from is not None else None, reason=step.reason,
            ended=step.ended, status=step.status, seconds=round(step.seconds, 3),
            output=_shortened(redact(step.output)), output_bytes=step.output_bytes,
            plan=redact(step.plan) if step.plan is not None else None, snapshot=step.snapshot, after=step.after,
        )
        for step in result.steps
    ]
    return TaskRecord.model_validate({
        "id": new_id(), "time": now(), **about, "note": redact(result.note),
        "request": redact(result.request), "plan": redact(result.plan), "commands": commands,
        "answer": redact(result.answer), "ended": result.ended, "limit": redact(result.limit),
        "seconds": round(result.seconds, 3), "outcome": kind, "by": by, "detail": redact(detail),
    })


def _shortened(text: str) -> str:
    half = OUTPUT_CHARACTERS // 2
    if len(text) <= OUTPUT_CHARACTERS:
        return text
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"


def texts(result: TaskResult) -> list[str]:
    """Everything that a task's record and episode may hold, for a redactor of them all."""
    steps = [text for step in result.steps
             for text in (step.command, step.edited_from, step.output, step.plan, step.reason)]
    return [text for text in (result.note, result.request, result.plan, result.answer, result.limit, *steps) if text]


def task_episode(record: TaskRecord, result: TaskResult, redact: Callable[[str], str]) -> Episode:
    """The episode in the very turns the model saw. Only text that a check or a person verified may be learnt: the
    plan, the commands that ran and exited 0, and the answer, of a verified success; never an output. Where the user
    edited the one command that ran, it is taught for such a request, and the proposed one turned down."""
    from nimllm.agent import teaching
    from nimllm.alignment.episodes import Convention, Episode, EpisodeTurn, Outcome

    good = record.outcome == "success" and record.by in ("check", "user")
    taught = teaching.edited(result) if good else None
    own = record.outcome == "success" and taught is None  # a taught command has lessons of its own, with their own plan
    turns = [EpisodeTurn(role="system", text=redact(result.note), tainted=True),
             EpisodeTurn(role="user", text=redact(result.request)),
             EpisodeTurn(role="plan", text=redact(result.plan), learn=own)]
    for step in result.commands:
        instead = teaching.turned_down(result, step) if good and step.status == 0 else []
        turns += [
            EpisodeTurn(role="bash", text=redact(step.command), learn=own and step.status == 0,
                        rejected=[redact(text) for text in instead]),
            EpisodeTurn(role="output", text=observation(redact(visible_output(step)), step.status), tainted=True),
        ]
    # an answer may repeat what a program printed, and nobody checked its words
    turns.append(EpisodeTurn(role="assistant", text=redact(result.answer), tainted=bool(result.commands)))
    outcome = Outcome(kind=record.outcome, by=record.by, detail=record.detail)
    conventions = [Convention(request=redact(result.request), command=redact(taught.command))] if taught else []
    return Episode(id=record.id, kind="task", model=record.base, turns=turns, conventions=conventions, outcome=outcome)


def order_record(text: str, told: str, redact: Callable[[str], str], **about: Any) -> TaskRecord:
    """The record of an order about the future ("deploy means `make ship`"); ``told``: what the user was told."""
    return TaskRecord.model_validate({
        "id": new_id(), "kind": "convention", "time": now(), **about, "request": redact(text), "answer": redact(told),
        "outcome": "success", "by": "user", "detail": "the user ordered it",
    })


@dataclass
class Mark:
    """What the user said about one answer of a conversation: it was right, or not; ``rejected``: what it was before the
    user put something else in its place, or all of it when there is nothing else."""

    right: bool
    rejected: str = ""


def chat_record(turns: Sequence[Turn], redact: Callable[[str], str], **about: Any) -> TaskRecord:
    """The record of a conversation: the first message is its request, the last reply its answer."""
    first = next((turn.text for turn in turns if turn.role == "user"), "")
    last = next((turn.text for turn in reversed(turns) if turn.role == "assistant"), "")
    said = sum(turn.role == "user" for turn in turns)
    return TaskRecord.model_validate({
        "id": new_id(), "kind": "chat", "time": now(), "mode": "chat",
        **about, "request": redact(first), "answer": redact(last), "outcome": "success", "by": "user",
        "detail": f"a conversation of {said} messages: its words are the user's own",
    })


def chat_episode(record: TaskRecord, turns: Sequence[Turn], redact: Callable[[str], str],
                 marks: Mapping[int, Mark] | None = None) -> Episode:
    """A conversation's episode: what the user said counts as verified by the user, what the model said does not, but
    for what the user said about it (``marks``, by the turn's number)."""
    from nimllm.alignment.episodes import Episode, EpisodeTurn, Outcome

    marks, unsaid = marks or {}, Mark(False)
    return Episode(
        id=record.id, kind="chat", model=record.base,
        turns=[EpisodeTurn(role=turn.role, text=redact(turn.text), learn=turn.role == "user" or mark.right,
                           rejected=[redact(mark.rejected)] if mark.rejected else [])
               for turn, mark in ((turn, marks.get(number, unsaid)) for number, turn in enumerate(turns))],
        outcome=Outcome(kind="success", by="user", detail=record.detail),
    )


# ---- on disk -----------------------------------------------------------------------------------------------------


def log_folder() -> Path:
    """``<state>/tasks``, made on first use."""
    return places.state_folder("tasks")


def write(record: TaskRecord, folder: Path | None = None) -> Path:
    """Writes or replaces a record, 0600, by a temporary file and a rename: a reader sees the old or the new one.

    Raises NimError 3 when the folder cannot be written or the disk is full; a half-written file is removed.
    """
    from nimllm.tools.redact import redact_data

    folder = folder or log_folder()
    path = folder / f"{record.id}.json"
    data = redact_data(record.model_dump())  # reasons, checks and whatever else a field may come to hold
    temporary = folder / f".{record.id}.{os.getpid()}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(json.dumps(data, ensure_ascii=False, indent=1) + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise NimError(f"cannot write the task log {path}", error.strerror or str(error),
                       "make room or set XDG_STATE_HOME to a folder you can write", CONFIG) from None
    return path


def read(id: str, folder: Path | None = None) -> TaskRecord:
    """The record with this id; NimError 7 when there is none or it was damaged."""
    path = (folder or log_folder()) / f"{id}.json"
    try:
        return TaskRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise NimError(f"no task {id} in the log", "", f"look into {path.parent}", MEMORY) from None
    except (OSError, ValidationError, ValueError) as error:
        raise NimError(f"cannot read the task log {path}", str(error).split("\n")[0], "delete the file", MEMORY
                       ) from None


def newest(count: int, folder: Path | None = None) -> Iterator[TaskRecord]:
    """The newest readable records, newest first."""
    shown = 0
    for path in sorted((folder or log_folder()).glob("*.json"), reverse=True):
        if shown == count:
            return
        try:
            yield TaskRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError, ValueError):
            continue
        shown += 1


def tell(record: TaskRecord) -> list[str]:
    """A record for people, one line per fact."""
    lines = [f"task      {record.id}" + (f"  ({record.name})" if record.name else ""),
             f"when      {record.time}   {record.seconds:.1f} s   {record.model}   {record.mode}   {record.sandbox}",
             f"request   {record.request}", f"plan      {record.plan}"]
    for step in record.commands:
        status = step.ended if step.status is None else f"exit {step.status}"
        who = "" if step.by == "model" else "  (typed by the user)"
        if step.edited_from:
            who = f"  (edited by the user, from: {step.edited_from})"
        lines.append(f"command   {step.command}   [{status}, {step.seconds:.2f} s]{who}")
    if record.answer:
        lines.append(f"answer    {record.answer}")
    lines.append(f"outcome   {record.outcome}, said by {record.by}" + (f": {record.detail}" if record.detail else ""))
    lines += [f"check     {'passed' if check.passed else 'failed'}: {check.check}"
              + (f"   ({check.detail})" if check.detail else "") for check in record.checks]
    lines.append(f"memory    {tell_memory(record.memory)}")
    return lines


def tell_memory(memory: MemoryRecord) -> str:
    """``remembered m0007: loss 2.31 → 0.08, 9,812 entries, ppl ×1.001, accepted``."""
    if memory.id is None:
        return memory.state + (f": {memory.detail}" if memory.detail else "")
    parts = []
    if memory.loss_before is not None and memory.loss_after is not None:
        parts.append(f"loss {memory.loss_before:.2f} → {memory.loss_after:.2f}")
    if memory.entries is not None:
        parts.append(f"{memory.entries:,} entries")
    if memory.perplexity_ratio is not None:
        parts.append(f"ppl ×{memory.perplexity_ratio:.3f}")
    if memory.probes_after is not None:
        parts.append(f"probes {memory.probes_before} → {memory.probes_after}")
    if memory.state == "pending":
        said = f"waits for approval as {memory.id}"
        parts.append((memory.detail + "; " if memory.detail else "") + f"nimllm memory approve {memory.id}")
    elif memory.state == "accepted":
        said = f"remembered {memory.id}"
        parts.append("accepted")
    else:
        said = f"not remembered ({memory.id})"
        parts.append(memory.state + (f": {memory.detail}" if memory.detail else ""))
    return f"{said}: " + ", ".join(parts)
