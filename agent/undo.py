"""What the agent changed in the files, taken back: task by task, from the task log and the snapshots.

Works without a session and without a model. The state before an undo is a snapshot, too, and the undo a record of its
own, so that it can be undone like a task.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from nimllm import errors, places
from nimllm.agent import equipment, records, sessions
from nimllm.agent.display import one_line, visible
from nimllm.agent.records import CommandRecord, TaskRecord
from nimllm.errors import NimError
from nimllm.tools.snapshots import Pair, Snapshots, Undone

LOOKED_AT = 1000  # newest records that are searched
SHOWN = 40  # paths that are listed
LISTED = 100  # tasks
WORDS = {"removed": "removed", "restored": "put back", "mode": "rights put back", "left": "left alone"}
WOULD = {"removed": "would remove", "restored": "would put back", "mode": "would chmod", "left": "leaves alone"}
QUIET = "it is already as it was"


@dataclass(frozen=True)
class Undo:
    """What was (or would be) done for one record; ``id`` of the undo's own record, empty for a dry run."""

    record: TaskRecord
    paths: list[Undone]
    id: str = ""

    @property
    def done(self) -> list[Undone]:
        return [item for item in self.paths if item.action != "left"]

    @property
    def left(self) -> list[Undone]:
        """What stays though the task changed it."""
        return [item for item in self.paths if item.action == "left" and item.skipped_reason != QUIET]


def steps(record: TaskRecord) -> list[Pair]:
    """The snapshots before and after each of the task's commands that may have written."""
    return [(command.snapshot, command.after) for command in record.commands if command.snapshot and command.after]


def open_snapshots(workspace: str | Path) -> Snapshots:
    """The snapshots of a workspace; NimError 3 when the folder is gone or nothing was ever taken there."""
    folder = places.state_folder("snapshots")
    if not Snapshots.file(folder, Path(workspace).resolve()).exists():
        raise NimError(f"there is nothing to undo in {workspace}", "no command has changed anything there")
    return Snapshots(folder, Path(workspace))


def tasks(workspace: Path, kinds: Collection[str] = ("task", "user", "undo")) -> Iterator[TaskRecord]:
    """Records of this workspace (or one around it) that have snapshots, newest first, with what is undone left out."""
    undone: set[str] = set()
    for record in records.newest(LOOKED_AT):
        if not record.workspace or not workspace.is_relative_to(record.workspace):
            continue
        if record.id in undone:
            continue
        if record.undoes:
            undone.add(record.undoes)
        if record.kind in kinds and steps(record):
            yield record


def find(workspace: Path, id: str = "", kinds: Collection[str] = ("task",), session: str = "") -> TaskRecord:
    """The record ``id`` (its beginning is enough), or the newest of this workspace that changed a file; one of
    ``session`` before all others, since another may be at work in the same workspace.

    NimError 2 when there is none.
    """
    if id:
        found = [record for record in records.newest(sys.maxsize) if record.id.startswith(id)]
        if len(found) != 1:
            raise errors.UsageError(f"no task {id}" if not found else f"{len(found)} tasks begin with {id}", "",
                                    "nimllm undo --list shows them")
        if not steps(found[0]):
            raise errors.UsageError(f"task {found[0].id} changed no files", "", "nimllm undo --list shows what did")
        return found[0]
    for wanted in dict.fromkeys((session, "")):
        for record in tasks(workspace, kinds):
            if wanted in ("", record.session) and changed(record):
                return record
    raise errors.UsageError(f"there is nothing to undo in {workspace}", "", "nimllm undo --list shows what there was")


def changed(record: TaskRecord) -> int:
    """How many paths the task's commands changed; 0 when its snapshots are forgotten."""
    try:
        shots = open_snapshots(record.workspace)
    except NimError:
        return 0
    try:
        return _count(record, shots)
    finally:
        shots.close()


def _count(record: TaskRecord, shots: Snapshots) -> int:
    try:
        return len({change.path for pair in steps(record) for change in shots.between(*pair)})
    except NimError:
        return 0


def undo(record: TaskRecord, dry_run: bool = False) -> Undo:
    """Take back what the task's commands changed and nothing else; what somebody changed since is left, and said.

    NimError 3 when its snapshots are forgotten.
    """
    pairs = steps(record)
    shots = open_snapshots(record.workspace)
    try:
        if dry_run or not any(item.action != "left" for item in shots.undo_steps(pairs, dry_run=True)):
            return Undo(record, shots.undo_steps(pairs, dry_run=True))
        before = shots.take(f"before the undo of {record.id}")
        paths = shots.undo_steps(pairs)
        after = shots.take(f"after the undo of {record.id}")
    finally:
        shots.close()
    made = TaskRecord(id=records.new_id(), kind="undo", time=records.now(), workspace=record.workspace,
                      request=f"undo of {record.id}: {one_line(record.request or record.commands[0].command, 60)}",
                      undoes=record.id, outcome="success", by="user",
                      commands=[CommandRecord(command="", by="user", snapshot=before, after=after)])
    records.write(made)
    return Undo(record, paths, made.id)


def tell(done: Undo, dry_run: bool = False) -> list[str]:
    """Lines for a person; names are made visible."""
    words = WOULD if dry_run else WORDS
    shown = [item for item in done.paths if item.skipped_reason != QUIET]
    lines = []
    for item in shown[:SHOWN]:
        why = f" ({item.skipped_reason})" if item.skipped_reason else ""
        lines.append(f"  {words[item.action]:<16} {_name(item.path)}{why}")
    if len(shown) > SHOWN:
        lines.append(f"  and {len(shown) - SHOWN} more")
    return lines or ["  everything is already as it was"]


def _name(path: str) -> str:
    return visible(path).replace("\n", "\\n")


def title(record: TaskRecord) -> str:
    """One line that names a task to a person."""
    what = record.request or "!" + "; ".join(command.command for command in record.commands)
    return f"{record.id}  {one_line(what, 80)}"


# ---- nimllm undo -------------------------------------------------------------------------------------------------


def main(args: Namespace) -> int:
    """``nimllm undo [TASK] [--dry-run] [--list] [--json]``: exit 0 when something was taken back (or would be), 1 when
    nothing could be."""
    workspace = equipment.workspace_of(args)
    sessions.recover()  # a killed session's task can be undone, too
    if args.list:
        return _list(workspace, args.json)
    record = find(workspace, args.task or "")
    done = undo(record, args.dry_run)
    if args.json:
        rows = [{"path": item.path, "action": item.action, "reason": item.skipped_reason} for item in done.paths]
        print(json.dumps({"task": record.id, "workspace": record.workspace, "dry_run": args.dry_run, "undo": done.id,
                          "paths": rows}))
    else:
        print(f"{'would undo' if args.dry_run else 'undo of'} {title(record)}")
        print("\n".join(tell(done, args.dry_run)))
        if done.id:
            print(f"nimllm undo {done.id} takes this back")
    return errors.OK if done.done else errors.TASK_FAILED


def _list(workspace: Path, as_json: bool) -> int:
    opened: dict[str, Snapshots] = {}
    rows = []
    for record in tasks(workspace):
        if record.workspace not in opened:
            try:
                opened[record.workspace] = open_snapshots(record.workspace)
            except NimError:
                continue
        rows.append((record, _count(record, opened[record.workspace])))
        if len(rows) == LISTED:
            break
    for shots in opened.values():
        shots.close()
    if as_json:
        print(json.dumps([{"task": record.id, "kind": record.kind, "time": record.time, "request": record.request,
                           "commands": [command.command for command in record.commands], "paths": count}
                          for record, count in rows]))
        return errors.OK
    for record, count in rows:
        if count:
            print(f"{title(record)}  ({count} path{'s' if count > 1 else ''})")
    if not any(count for _, count in rows):
        print("nothing to undo here")
    return errors.OK

