"""``nimllm sessions``: list, show, export and delete what was saved. Needs no model."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import Namespace
from pathlib import Path

from nimllm import errors
from nimllm.agent import equipment, sessions, transcript
from nimllm.agent.display import one_line, visible
from nimllm.agent.sessions import Past
from nimllm.errors import NimError, UsageError

OUTPUT_LINES = 20  # of each command's output that show prints


def main(args: Namespace) -> int:
    """Does the one action; exit 2 when there is no such session, 3 when it is open elsewhere."""
    sessions.recover()
    if args.sessions_command == "list":
        return _list(args)
    path = sessions.find(args.id)
    if args.sessions_command == "delete":
        sessions.delete(path)
        print(f"deleted {path.stem}")
    elif args.sessions_command == "show":
        past = sessions.read(path)
        print(f"{past.id}  {_when(past.started)}  {visible(past.workspace)}")
        for line in shown(past):
            print(visible(line))
    else:
        text = exported(path, "atif" if args.atif else "json" if args.json else "markdown")
        if args.output:
            write_new(Path(args.output), text)
        else:
            sys.stdout.write(text)
    return errors.OK


def _list(args: Namespace) -> int:
    only = str(equipment.workspace_of(args)) if args.cd else ""
    rows = []
    for path in sessions.files():
        past = sessions.read(path)
        if only and past.workspace != only:
            continue
        rows.append({"id": past.id, "session": past.session, "started": past.started, "workspace": past.workspace,
                     "model": past.about.get("model", ""), "tasks": len(past.tasks),
                     "request": past.tasks[0].request if past.tasks else "", "open": transcript.held(path),
                     "bytes": path.stat().st_size})
    if args.json:
        print(json.dumps(rows))
        return errors.OK
    for row in rows:
        here = "  (open)" if row["open"] else ""
        count = f"{row['tasks']} task{'s' if row['tasks'] != 1 else ''}"
        print(f"{row['id']}  {count:<9} {visible(str(row['workspace']))}  {one_line(str(row['request']), 60)}{here}")
    if not rows:
        print("no saved sessions")
    return errors.OK


def exported(path: Path, form: str) -> str:
    """The session as text: ``atif`` (JSON), ``json`` (its events) or ``markdown``."""
    if form == "json":
        return "".join(json.dumps(event) + "\n" for event in transcript.read(path))
    past = sessions.read(path)
    if not past.runs:
        raise NimError(f"the session {path.stem} is empty", "", "delete it")
    if form == "markdown":
        return "\n".join(markdown(past)) + "\n"
    from nimllm.agent import atif

    made = atif.trajectory(past)
    if wrong := atif.problems(made):  # a mistake of ours, told instead of spread
        raise NimError("the session cannot be written as ATIF", "; ".join(wrong[:3]), "export it with --json")
    return json.dumps(made, indent=1) + "\n"


def write_new(path: Path, text: str) -> None:
    """A new file, 0600; UsageError when it exists or cannot be made."""
    try:
        descriptor = os.open(path.expanduser(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists", "", "give another name") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}", error.strerror or str(error), "give another name") from None


def shown(past: Past) -> list[str]:
    """The story in lines, outputs shortened."""
    lines: list[str] = []
    for task in past.tasks:
        lines += ["", f"› {task.request}"]
        lines += [f"plan  {line}" for line in task.plan.splitlines()]
        for step in task.commands:
            lines += [f"$ {step.command}"]
            output = step.output.rstrip("\n").split("\n") if step.output else []
            lines += [f"│ {line}" for line in output[:OUTPUT_LINES]]
            if len(output) > OUTPUT_LINES:
                lines.append(f"│ [{len(output) - OUTPUT_LINES} lines more: nimllm sessions export {past.id}]")
            if step.ended != "done" or step.exit:
                lines.append(f"[{step.ended or 'killed'}, exit {step.exit}]")
        lines += task.answer.splitlines()
        if task.ended != "answered":
            lines.append(f"[{task.ended or sessions.KILLED}]")
    return lines


def markdown(past: Past) -> list[str]:
    """For people: requests as headings, commands and outputs as fenced blocks no output can break out of."""
    about = past.about
    lines = [f"# nimllm session {past.id}", "",
             f"{_when(past.started)}, model {about.get('model', '?')}, mode {about.get('mode', '?')}, sandbox "
             f"{about.get('sandbox', '?')}, in `{visible(past.workspace)}`"]
    for task in past.tasks:
        lines += ["", f"## {one_line(task.request, 200)}", ""]
        if "\n" in task.request or len(task.request) > 200:
            lines += _fenced(visible(task.request), "text")
        if task.plan:
            lines += [f"> {line}" for line in visible(task.plan).splitlines()] + [""]
        for step in task.commands:
            lines += _fenced(visible(step.command), "bash")
            if step.output:
                lines += _fenced(visible(step.output).rstrip("\n"), "text")
            if step.ended != "done" or step.exit:
                lines += [f"*{step.ended or 'killed'}, exit {step.exit}*", ""]
        if task.answer:
            lines += [visible(task.answer)]
        if task.ended != "answered":
            lines += [f"*{task.ended or sessions.KILLED}*"]
    return lines


def _fenced(text: str, language: str) -> list[str]:
    fence = "```"
    while fence in text:
        fence += "`"
    return [f"{fence}{language}", text, fence, ""]


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
