"""A folder as it is at one moment: every entry below it, what is not known of it, and how two such moments differ."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

MAX_FILE = 32 << 20  # bytes; larger files are noted, not kept
MAX_NEW = 256 << 20  # bytes of new contents per snapshot
MAX_ENTRIES = 100_000  # 0.7 s of listing (measured: 7 µs each, of which 4.6 are the system's)
LIST_SECONDS = 4.0  # for listing the folders; what is not reached is noted
READ_SECONDS = 4.0  # for reading contents that are new; what is not reached is kept next time
# A file written within this time before it was read may change again without a new timestamp (the kernel's tick).
RACY_NS = 50_000_000
# Large folders that programs make again; they come last, so that they use up nobody's room.
LATE = frozenset({".git", "node_modules", ".venv", "venv", "__pycache__", "target", ".tox", ".nox", ".mypy_cache",
                  ".cache", "build", "dist"})

ChangeKind = Literal["created", "modified", "deleted", "mode"]


class Entry(NamedTuple):
    kind: str  # "f" file, "l" link, "d" folder, "o" other
    mode: int  # permission bits
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    ref: str  # SHA-256 of a file's contents, target of a link; empty: not kept


@dataclass(frozen=True)
class Change:
    """``path`` is relative to the workspace."""

    path: str
    kind: ChangeKind


@dataclass
class Tree:
    """``skipped``: path -> why its contents are not held; ``unlisted``: folder ("": the top) -> why what lies in it is
    not known, or not all of it."""

    taken_ns: int
    entries: dict[str, Entry] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    unlisted: dict[str, str] = field(default_factory=dict)

    def knows(self, path: str) -> bool:
        """Whether ``path`` would be among the entries if it were there."""
        return not self.unlisted or self.why_unknown(path) == ""

    def why_unknown(self, path: str) -> str:
        """Why ``path`` may be there without being among the entries; empty when it would be."""
        while path:
            path = path.rpartition("/")[0]
            if path in self.unlisted:
                return self.unlisted[path]
        return ""


class Keeper(Protocol):
    """Takes a file's contents: ``(hash, bytes newly used, why not kept)``."""

    def __call__(self, path: str, info: os.stat_result, room: int) -> tuple[str, int, str]: ...


def scan(root: Path, keep: Keeper, before: Tree | None = None, own: Collection[str] = ()) -> Tree:
    """The tree below ``root``, on its own file system and without the folders ``own`` (absolute paths).

    A file whose size, times and inode are those of ``before`` is not read again. Bounds: the constants above; whatever
    they leave out is said in ``skipped`` and ``unlisted``.
    """
    tree = Tree(time.time_ns())
    fresh: list[tuple[str, os.stat_result]] = []
    for path, info in _listed(root, tree, own):
        kind, ref = kind_of(info.st_mode), ""
        old = before.entries.get(path) if before else None
        if old is not None and before and old.ref and _untouched(old, info, before.taken_ns - RACY_NS):
            tree.entries[path] = old
            continue
        if kind == "f":
            fresh.append((path, info))
        elif kind == "l":
            try:
                ref = os.readlink(f"{root}/{path}")
            except OSError:
                continue
        elif kind == "o":
            tree.skipped[path] = "not a regular file"
        tree.entries[path] = Entry(kind, stat.S_IMODE(info.st_mode), info.st_size, info.st_mtime_ns, info.st_ctime_ns,
                                   info.st_ino, ref)
    room, until = MAX_NEW, time.monotonic() + READ_SECONDS
    for path, info in fresh:
        if time.monotonic() > until:
            tree.skipped[path] = f"reading new files took more than {READ_SECONDS:.0f} s"
            continue
        ref, used, reason = keep(path, info, room)
        room -= used
        if reason:
            tree.skipped[path] = reason
        else:
            tree.entries[path] = tree.entries[path]._replace(ref=ref)
    return tree


def _untouched(old: Entry, info: os.stat_result, settled: int) -> bool:
    return (old[5] == info.st_ino and old[3] == info.st_mtime_ns and old[4] == info.st_ctime_ns
            and old[2] == info.st_size and info.st_ctime_ns < settled and info.st_mtime_ns < settled
            and old[1] == stat.S_IMODE(info.st_mode) and old[0] == kind_of(info.st_mode))


def _listed(root: Path, tree: Tree, own: Collection[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Folder by folder, the upper ones first."""
    top = os.fspath(root)
    device = os.lstat(top).st_dev
    until = time.monotonic() + LIST_SECONDS
    waiting: deque[str] = deque([""])
    late: deque[str] = deque()
    while waiting or late:
        folder = waiting.popleft() if waiting else late.popleft()
        if len(tree.entries) >= MAX_ENTRIES:
            tree.unlisted[folder] = f"there are more than {MAX_ENTRIES} entries"
            continue
        if time.monotonic() > until:
            tree.unlisted[folder] = f"listing took more than {LIST_SECONDS:.0f} s"
            continue
        prefix = f"{folder}/" if folder else ""
        try:
            with os.scandir(f"{top}/{folder}" if folder else top) as listing:
                found = sorted(listing, key=lambda item: item.name)
        except OSError as error:
            if error.errno != errno.ENOENT:
                tree.unlisted[folder] = error.strerror or "cannot be read"
            continue
        for item in found:
            try:
                info = item.stat(follow_symlinks=False)
            except OSError:
                continue
            path = prefix + item.name
            if stat.S_ISDIR(info.st_mode):
                if f"{top}/{path}" in own:
                    continue
                if info.st_dev != device:
                    tree.skipped[path] = "it is on another file system"
                    continue
                (late if item.name in LATE else waiting).append(path)
            yield path, info


def read_file(path: Path | str) -> bytes:
    """At most ``MAX_FILE + 1`` bytes of a regular file; a link is not followed and a FIFO not waited for (OSError)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    parts, left = [], MAX_FILE + 1
    try:
        while left > 0 and (part := os.read(descriptor, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    finally:
        os.close(descriptor)
    return b"".join(parts)


def kind_of(mode: int) -> str:
    return "f" if stat.S_ISREG(mode) else "l" if stat.S_ISLNK(mode) else "d" if stat.S_ISDIR(mode) else "o"


def same(one: Entry | None, other: Entry | None) -> bool:
    """Same kind, rights and contents; where contents are not kept, same size and time."""
    if one is None or other is None:
        return one is other
    return one is other or (same_contents(one, other) and (one.mode == other.mode or one.kind == "l"))


def same_contents(one: Entry, other: Entry) -> bool:
    if one.kind != other.kind:
        return False
    if one.kind in "do":
        return True
    if one.ref and other.ref:
        return one.ref == other.ref
    return (one.size, one.mtime_ns) == (other.size, other.mtime_ns)


def compare(old: Tree, new: Tree) -> list[Change]:
    """What is different in ``new``, by path. What one of them cannot know counts as the same."""
    found: list[Change] = []
    for path, was in old.entries.items():
        became = new.entries.get(path)
        if became is was:
            continue
        if became is None:
            if new.knows(path):
                found.append(Change(path, "deleted"))
        elif not same_contents(was, became):
            found.append(Change(path, "modified"))
        elif not same(was, became):
            found.append(Change(path, "mode"))
    found += [Change(path, "created") for path in new.entries if path not in old.entries and old.knows(path)]
    return sorted(found, key=lambda change: change.path)
