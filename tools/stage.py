"""Where things stand in a sandbox when that is not where they stand outside: folders shown at other places, and what is
not shown at all.

Scripted tasks need both: a task may say that it works in ``/app``, and what checks it must not be seen by what is
checked. bubblewrap only, since it takes mounts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_OWN = ("dev", "proc", "run", "tmp")  # mounted afterwards by the sandbox


@dataclass(frozen=True)
class Shown:
    """``source``, a file or folder of this machine, as commands see it: at ``at`` (absolute)."""

    source: Path
    at: Path
    writable: bool = False


def root(shown: Iterable[Shown]) -> list[str]:
    """bubblewrap's arguments for the root: the machine's own, read-only.

    A place to show something at must exist. Where the machine has none, the folder that lacks it is made anew in
    memory, holding everything that the machine's holds.
    """
    opened: set[Path] = set()
    for one in shown:
        for parent in reversed(one.at.parents):
            if not os.path.lexists(parent / one.at.relative_to(parent).parts[0]):
                opened.add(parent)
                break
    if not opened:
        return ["--ro-bind", "/", "/"]
    args = [] if Path("/") in opened else ["--ro-bind", "/", "/"]
    for folder in sorted(opened, key=lambda path: len(path.parts)):
        args += ["--tmpfs", str(folder)]
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_symlink():
                args += ["--symlink", os.readlink(entry.path), entry.path]
            elif not (folder == Path("/") and entry.name in _OWN):
                args += ["--ro-bind-try", entry.path, entry.path]
    return args


def mounts(shown: Iterable[Shown], hidden: Iterable[Path]) -> list[str]:
    """The arguments that follow all other mounts. A hidden folder is empty, a hidden file cannot be opened; what does
    not exist needs no hiding."""
    shown = tuple(shown)
    args: list[str] = []
    for path in hidden:
        if path.is_dir():
            args += ["--tmpfs", str(path), "--remount-ro", str(path)]
        elif path.exists():
            args += ["--ro-bind", "/dev/null", str(path)]
    for one in sorted(shown, key=lambda one: len(one.at.parts)):
        args += ["--bind" if one.writable else "--ro-bind", str(one.source), str(one.at)]
    if "--tmpfs" in (opened := root(shown)):
        for flag, folder in pairwise(opened):
            if flag == "--tmpfs":
                args += ["--remount-ro", folder]
    return args
