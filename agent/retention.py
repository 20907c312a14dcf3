"""How much of the past is kept: sessions, snapshots and whole outputs go by count and size, oldest first.

The task log stays: it is what preferences are made of, and small. Nothing here runs while a task does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nimllm import places
from nimllm.agent import sessions
from nimllm.errors import NimError
from nimllm.tools import snapshots

OUTPUTS, OUTPUT_BYTES = 500, 512 << 20  # files with the whole output of commands
WORKSPACES, WORKSPACE_BYTES = 100, 4 << 30  # snapshot files; each is bounded by itself, too


@dataclass(frozen=True)
class Kept:
    """``count`` files of ``bytes`` together, of at most ``most`` files and ``most_bytes``."""

    name: str
    count: int
    bytes: int
    most: int
    most_bytes: int


def kept() -> list[Kept]:
    """What lies there now."""
    state = places.state_home()
    rows = (("sessions", "sessions", sessions.KEPT, sessions.KEPT_BYTES),
            ("snapshots", "snapshots", WORKSPACES, WORKSPACE_BYTES), ("outputs", "outputs", OUTPUTS, OUTPUT_BYTES),
            ("tasks", "tasks", 0, 0))
    return [Kept(name, *sessions.sizes(path for path in (state / folder).rglob("*") if path.is_file()), most, size)
            for name, folder, most, size in rows]


def prune(snaps: snapshots.Snapshots | None = None) -> None:
    """Forget what is too much; failing at that is nobody's concern now. ``snaps``: those of the present workspace."""
    try:
        sessions.prune()
        if snaps is not None and "store" in snaps.__dict__:
            snaps.prune()
        state = places.state_home()
        _oldest((state / "outputs").glob("**/*.log"), OUTPUTS, OUTPUT_BYTES)
        _oldest((state / "snapshots").glob("*.sqlite"), WORKSPACES, WORKSPACE_BYTES, ("-wal", "-shm"))
        _oldest((state / "snapshots").glob("*.damaged-*"), 1, snapshots.KEPT_BYTES)
        for path in (state / "tasks").glob(".*.tmp"):  # half-written by a process that was killed
            if not os.path.exists(f"/proc/{path.name.split('.')[-2]}"):
                path.unlink(missing_ok=True)
    except (NimError, OSError):
        pass


def _oldest(paths: Iterable[Path], most: int, most_bytes: int, beside: tuple[str, ...] = ()) -> None:
    """Remove the least recently written files beyond the bounds; the newest stays whatever its size."""
    found = []
    for path in paths:
        try:
            info = path.stat()
            found.append((info.st_mtime, info.st_size, path))
        except OSError:
            continue
    total = 0
    for number, (_, size, path) in enumerate(sorted(found, reverse=True)):
        total += size
        if number and (number >= most or total > most_bytes):
            for ending in ("", *beside):
                Path(f"{path}{ending}").unlink(missing_ok=True)
