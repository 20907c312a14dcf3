"""Checks of a scripted task, out of the reach of what they check.

They run when every process of the agent is gone, each in a shell of its own that never saw the agent's: its own
environment, a private /tmp, the workspace read-only or a copy of it. Nothing of a check exists before.

Not promised: a check that runs code of the workspace (``python3 app.py``, ``make``) runs the agent's code, and believes
what it says. Without a sandbox nothing is out of reach.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nimllm.agent import records
from nimllm.agent.results import TaskResult
from nimllm.agent.tasks import Check, Task
from nimllm.errors import TASK_FAILED, NimError

if TYPE_CHECKING:
    from nimllm.agent.signals import Stoppable
    from nimllm.agent.trial import Place
    from nimllm.tools.sandbox import Sandbox
    from nimllm.tools.shell import Result, Shell

ENDED = ("done", "died")  # "died": by ``exit``, which is a way to end a check
DETAIL = 160  # characters of a failed check's output that are reported
COPY_SECONDS, COPY_KIB = 60.0, 2 * 1024 * 1024  # what a copy of the workspace may take
LEFTOVER_SECONDS = 3.0
# Settings of the workspace's repository that would have git start programs of the agent's.
_GIT = "'core.fsmonitor=false' 'core.hooksPath=/dev/null' 'core.pager=cat'"
_LOOKS_INTO_THE_FOLDER = ("PATH", "PYTHONPATH", "PERL5LIB", "RUBYLIB", "NODE_PATH", "MANPATH", "CDPATH")


def examine(task: Task, place: Place, result: TaskResult, network: bool = False
            ) -> tuple[list[records.CheckRecord], dict[str, float]]:
    """Every check of ``task`` on what was left in ``place``; of a task in harbor's form also its rewards."""
    if task.stage is not None:
        from nimllm.agent import harbor

        record, rewards = harbor.test(task.stage, place, network)
        return [record], rewards
    return [_checked(check, number, place, result) for number, check in enumerate(task.checks)], {}


def _checked(check: Check, number: int, place: Place, result: TaskResult) -> records.CheckRecord:
    if check.output is not None:
        passed = re.search(check.output, result.shown, re.MULTILINE) is not None
        detail = "" if passed else f"the agent showed: {result.shown[-DETAIL:].strip()!r}"
        return records.CheckRecord(check=str(check), passed=passed, detail=detail)
    command, wanted = check.run, check.expect_output
    if check.file is not None:
        assert check.sha256 is not None
        quoted = "'" + check.file.replace("'", "'\\''") + "'"
        command, wanted = f"sha256sum <{quoted}", f"^{check.sha256.lower()}"
    assert command is not None
    box, folder = view(place, f"check-{number}", check.writes)
    done = in_fresh_shell(command, folder, box, check.timeout, environment(), place.started)
    passed = done.ended in ENDED and done.status == check.expect_status
    if passed and wanted is not None:
        passed = re.search(wanted, done.output, re.MULTILINE) is not None
    detail = "" if passed else f"{ended(done)}: {done.output[-DETAIL:].strip()}".rstrip(": ")
    return records.CheckRecord(check=str(check), passed=passed, detail=detail)


def view(place: Place, name: str, writes: bool) -> tuple[Sandbox, Path]:
    """A sandbox to look at the workspace from, and the folder to stand in: the workspace, which it cannot write, or a
    copy of it. Both are at the workspace's own place when the sandbox takes mounts."""
    from nimllm.tools.stage import Shown

    scratch = place.root / name
    scratch.mkdir()
    source = copied(place, place.root / f"{name}-copy") if writes else place.work
    if place.box.level == "bwrap":
        shown = (*(replace(one, writable=False) for one in place.shown if one.source != place.work),
                 *(Shown(source, one.at, writes) for one in place.shown if one.source == place.work),
                 Shown(source, place.work, writes))
        return replace(place.box, workspace=scratch, add_dirs=(), shown=shown, hidden=()), place.work
    return replace(place.box, workspace=source if writes else scratch, add_dirs=(), shown=(), hidden=()), source


def copied(place: Place, target: Path) -> Path:
    """A copy of the workspace, made inside of a sandbox: what lies there may be a pipe, a loop of links or a flood."""
    from shlex import quote

    from nimllm.tools.stage import Shown

    target.mkdir()
    box = replace(place.box, workspace=target, add_dirs=(), hidden=(), shown=(Shown(place.work, place.work),)
                  if place.box.level == "bwrap" else ())
    work, copy = quote(str(place.work)), quote(str(target))
    script = (f"size=$(du -skx -- {work} 2>/dev/null | cut -f1); [ \"${{size:-0}}\" -le {COPY_KIB} ] || "
              f"{{ echo \"it holds $size KiB\"; exit 9; }}; set -o pipefail; "
              f"cp -a --reflink=auto -- {work}/. {copy}/ 2>&1 | tail -n 3")
    done = in_fresh_shell(script, target, box, COPY_SECONDS, environment(), place.started)
    if done.ended != "died" and done.status == 0:
        return target
    raise NimError("the workspace cannot be copied for its checks", f"{ended(done)} {done.output[-DETAIL:].strip()}",
                   "leave less in it", TASK_FAILED)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a check: this process's, without paths that would be looked for in the workspace."""
    found = dict(os.environ)
    for name in _LOOKS_INTO_THE_FOLDER:
        if name in found:
            found[name] = os.pathsep.join(part for part in found[name].split(os.pathsep) if part.startswith("/"))
    return {**found, "GIT_CONFIG_PARAMETERS": _GIT, "PYTHONDONTWRITEBYTECODE": "1", **(more or {})}


class _Stoppable:
    def __init__(self, shell: Shell) -> None:
        self.stop = shell.interrupt


def in_fresh_shell(command: str, folder: Path, box: Sandbox, timeout: float, env: Mapping[str, str],
                   started: Callable[[Stoppable], None]) -> Result:
    """One command in a shell that is ended, with everything the command started, before this returns."""
    from nimllm.tools.shell import Shell

    shell = Shell(folder, box, env={**os.environ, **env})
    try:
        started(_Stoppable(shell))
        return shell.run(command, timeout=timeout)
    finally:
        shell.close()


def ended(done: Result) -> str:
    return f"status {done.status}" if done.ended in ENDED else f"{done.ended} after {done.seconds:.0f} s"


def end_leftovers(folder: Path) -> bool:
    """Kills what still works in ``folder`` (its current folder or an open file lies there) though its shell has ended;
    whether all of it is gone. Without a sandbox a daemon can outlive its shell; in one, nothing does."""
    from nimllm.tools import processes

    until = time.monotonic() + LEFTOVER_SECONDS
    while left := _inside(folder):
        if time.monotonic() > until:
            return False
        for pid in left:
            processes.send(pid, signal.SIGKILL)
        processes.wait_gone(left, 0.2)
    return True


def _inside(folder: Path) -> list[int]:
    prefix, found = f"{os.path.realpath(folder)}/", []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        links = [f"/proc/{name}/cwd"]
        try:
            links += [f"/proc/{name}/fd/{fd}" for fd in os.listdir(f"/proc/{name}/fd")]
        except OSError:
            pass
        for link in links:
            try:
                if f"{os.readlink(link)}/".startswith(prefix):
                    found.append(int(name))
                    break
            except OSError:
                continue
    return found
