"""``nimllm align collect --from-episodes``: what the user did with the agent's commands, as preferences.

Accepted and successful is desirable, rejected or failed undesirable; an edit is a pair, the user's command over the
model's, and so is a rejection after which the model's next command was accepted. Only commands and plans are answers,
never an output or what repeats one; a command in which a secret was found is left out.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nimllm.agent import records
from nimllm.agent.loop import visible_output
from nimllm.agent.records import CommandRecord, TaskRecord
from nimllm.agent.results import Step
from nimllm.errors import OK, NimError, UsageError
from nimllm.llm.turns import Turn, observation

_REDACTED = re.compile(r"\[redacted [^\]\n]*\]")  # redact.MASK
FAILED = frozenset({"done", "timeout", "died"})  # ends of a command that ran and that nobody stopped


def preferences(record: TaskRecord) -> Iterator[tuple[str, dict[str, Any]]]:
    """(which command and why, row) for everything that a task's record says about the model's commands.

    Rows are ``{"prompt", "chosen", "rejected"}`` or ``{"prompt", "completion", "label"}``, lists of turns in the very
    words the model saw; outputs as far as the log keeps them.
    """
    if record.kind != "task":
        return
    verified = record.outcome == "success" and record.by in ("check", "user")
    plans = _plans(record)
    note, request = Turn("system", record.note, tainted=True), record.request
    seen: list[Turn] = []  # what ran, and its outputs
    start = [note, Turn("user", request)]
    ran = any(command.by == "model" and command.ended == "done" and command.status == 0 for command in record.commands)
    if verified and ran and record.plan.strip():
        yield "plan", _judged([note, Turn("user", _last_request(record))], Turn("plan", record.plan), True)
    for number, command in enumerate(record.commands):
        prompt = [*start, Turn("plan", plans[number]), *seen]
        name = f"command {number + 1}"
        proposed = command.edited_from if command.edited_from is not None else command.command
        good = command.ended == "done" and command.status == 0
        if command.by == "user":
            pass
        elif command.edited_from is not None:
            if good and command.command.strip() != proposed.strip():
                yield f"{name}: edited", _pair(prompt, command.command, proposed)
        elif command.decision == "reject":
            better = _accepted_instead(record, number)
            if better is not None:
                yield f"{name}: rejected", _pair(prompt, better, proposed)
            else:
                yield f"{name}: rejected", _judged(prompt, Turn("bash", proposed), False)
        elif command.ended in FAILED and not good:
            yield f"{name}: failed", _judged(prompt, Turn("bash", proposed), False)
        elif good and verified:
            yield f"{name}: verified", _judged(prompt, Turn("bash", proposed), True)
        elif good and record.outcome == "failure" and record.by in ("check", "user") and len(record.commands) == 1:
            yield f"{name}: failed its check", _judged(prompt, Turn("bash", proposed), False)
        elif good and record.ended == "loop" and number == len(record.commands) - 1:
            yield f"{name}: repeated", _judged(prompt, Turn("bash", proposed), False)
        if _said_why(command):
            request = f"{request}, {command.reason}"  # as Agent._replan
            start = [note, Turn("user", request)]
        if command.ended in ("done", "timeout", "interrupted", "died"):
            seen += [Turn("bash", command.command),
                     Turn("output", observation(visible_output(_step(command)), command.status), True)]


def _said_why(command: CommandRecord) -> bool:
    """Whether the rejection had a reason, which joined the request and made another plan."""
    return command.decision == "reject" and command.plan is not None


def _plans(record: TaskRecord) -> list[str]:
    """The plan under which each command was proposed: a rejection with a reason made a new one."""
    plans: list[str] = []
    plan = record.plan
    for command in reversed(record.commands):
        plan = command.plan if command.plan is not None else plan
        plans.append(plan)
    return plans[::-1]


def _last_request(record: TaskRecord) -> str:
    reasons = [command.reason for command in record.commands if _said_why(command)]
    return ", ".join([record.request, *reasons])


def _accepted_instead(record: TaskRecord, number: int) -> str | None:
    """The model's command that ran well in the place of a rejected one, when nothing was said in between."""
    for command in record.commands[number:]:
        if command.decision == "reject":
            if _said_why(command):
                return None
            continue
        accepted = command.by == "model" and command.decision in ("accept", "always", "edit")
        return command.command if accepted and command.ended == "done" and command.status == 0 else None
    return None


def _step(command: CommandRecord) -> Step:
    return Step(command.command, ended=command.ended, status=command.status,  # type: ignore[arg-type]
                output=command.output, seconds=command.seconds)


def _pair(prompt: list[Turn], chosen: str, rejected: str) -> dict[str, Any]:
    from nimllm.alignment.collected import as_rows

    return {"prompt": as_rows(prompt), "chosen": as_rows([Turn("bash", chosen)]),
            "rejected": as_rows([Turn("bash", rejected)])}


def _judged(prompt: list[Turn], answer: Turn, good: bool) -> dict[str, Any]:
    from nimllm.alignment.collected import as_rows

    return {"prompt": as_rows(prompt), "completion": as_rows([answer]), "label": good}


def _targets(row: dict[str, Any]) -> list[str]:
    return [turn["text"] for name in ("chosen", "rejected", "completion") for turn in row.get(name, ())]


def main(args: argparse.Namespace) -> int:
    """Writes the preferences of every task in the log to ``args.out``, those that are not there yet."""
    from nimllm.alignment.collected import Collected

    if args.data or args.preset:
        raise UsageError("--from-episodes takes no files and no preset", "it reads the agent's task log",
                         "run it twice with the same --out")
    folder = records.log_folder()
    tasks = sorted(records.newest(sys.maxsize), key=lambda record: record.id)
    unreadable = len(list(folder.glob("*.json"))) - len(tasks)
    counts: Counter[str] = Counter()
    with Collected(Path(args.out)) as out:
        for record in tasks[-args.limit:] if args.limit else tasks:
            for why, row in preferences(record):
                key = f"{record.id} {why}"
                if key in out:
                    counts["in the file already"] += 1
                elif any(_REDACTED.search(text) for text in _targets(row)):
                    counts["left out: a secret in the command"] += 1
                elif not all(text.strip() for text in _targets(row)):
                    counts["left out: empty"] += 1
                else:
                    out.add({**row, "source": {"key": key, "episode": record.id, "why": why, "by": record.by,
                                               "model": record.base}})
                    counts["pairs" if "chosen" in row else "good answers" if row["label"] else "bad answers"] += 1
    if unreadable:
        counts["unreadable records"] = unreadable
    if not tasks:
        raise NimError("the task log is empty", f"there is no task in {folder}", "work with nimllm --agent first")
    said = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items())) or "nothing that says good or bad"
    print(f"{len(tasks):,} tasks: {said}: {args.out}")
    return OK
