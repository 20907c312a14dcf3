"""What the upper layer of an overlay (or a copy) changes in the folder below it, without what says nothing."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from pathlib import Path

Change = str  # "gone", "folder 755", "link target", "file 644 sha256", "pipe 644"; "touched" and "touched time"

ENTRIES = 4000  # entries of the layer that are looked at
HASHED = 64 << 20  # bytes of contents that are read, in all; beyond, a file's size stands for its content
SMALL_CHANGE = "…"  # path under which a layer that was too big to be read whole says so

# A sandbox may make these to keep them closed; no command can.
_OWN = frozenset({".nimllm", ".git/hooks"})
# What git rewrites all the time and what holds times: the index is read for what it stages, objects are named by what
# they hold, and the rest follows from them.
_GIT_NOISE = ("logs", "index", "ORIG_HEAD", "COMMIT_EDITMSG", "FETCH_HEAD", "gc.log", "objects/info", "objects/pack")


def changes(upper: int, lower: Path, began: float, whole: bool = False) -> dict[str, Change]:
    """Path below the folder -> what became of it. ``upper``: descriptor of the layer's root, not closed here.

    ``whole``: the layer is a copy of the folder and holds everything, so that what it lacks is gone. Only what differs
    from ``lower`` counts: a file opened for writing and left as it was is none, one whose time alone changed is
    "touched". ``began``: the clock (seconds since the epoch) before the command; times after it are all alike.
    """
    reader = _Reader(began, whole)
    reader.folder(upper, lower, "", whole)
    return reader.found


class _Reader:
    def __init__(self, began: float, whole: bool) -> None:
        self.began, self.whole = began, whole
        self.found: dict[str, Change] = {}
        self.entries = self.hashed = 0

    def folder(self, fd: int, lower: Path | None, prefix: str, closed: bool) -> None:
        """``closed``: what the layer does not hold is gone."""
        names = sorted(os.listdir(fd))
        for name in names:
            self.entries += 1
            if self.entries > ENTRIES:
                self.found[SMALL_CHANGE] = "more"
                return
            path = prefix + name
            if path in _OWN or _noise(path):
                if path == ".git/index" or path.endswith("/.git/index"):
                    self.index(fd, lower, path)
                continue
            try:
                self.entry(fd, name, lower / name if lower else None, path)
            except OSError:  # rights that the command took away from its own file
                self.found[path] = "closed"
        if closed and lower is not None:
            for name in sorted(_names(lower) - set(names)):
                path = prefix + name
                if path not in _OWN and not _noise(path):
                    self.found[path] = "gone"

    def entry(self, parent: int, name: str, lower: Path | None, path: str) -> None:
        now = os.stat(name, dir_fd=parent, follow_symlinks=False)
        before = _lstat(lower)
        kind = stat.S_IFMT(now.st_mode)
        mode = f"{stat.S_IMODE(now.st_mode):o}"
        same = before is not None and stat.S_IFMT(before.st_mode) == kind
        if kind == stat.S_IFCHR and now.st_rdev == 0:  # the overlay's mark for what is removed
            if before is not None:
                self.found[path] = "gone"
        elif kind == stat.S_IFDIR:
            if not same or before is None or before.st_mode != now.st_mode:
                self.found[path] = f"folder {mode}"
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                self.folder(fd, lower if same else None, path + "/", same and (self.whole or _opaque(fd)))
            finally:
                os.close(fd)
        elif kind == stat.S_IFLNK:
            target = os.readlink(name, dir_fd=parent)
            if not same or lower is None or os.readlink(lower) != target:
                self.found[path] = f"link {target}"
        elif kind == stat.S_IFREG:
            self.file(parent, name, lower if same else None, path, now, before, mode)
        elif not same:
            self.found[path] = f"special {mode}"

    def file(self, parent: int, name: str, lower: Path | None, path: str, now: os.stat_result,
             before: os.stat_result | None, mode: str) -> None:
        content = self.content(name, parent, now.st_size)
        if (lower is None or before is None or (before.st_mode, before.st_size) != (now.st_mode, now.st_size)
                or content != self.content(str(lower), None, before.st_size)):
            self.found[path] = f"file {mode} {content}"
        elif now.st_mtime_ns != before.st_mtime_ns and ".git/" not in path:  # git freshens objects it has
            self.found[path] = "touched" if now.st_mtime >= self.began - 1 else f"touched {now.st_mtime:.0f}"

    def content(self, name: str, parent: int | None, size: int) -> str:
        self.hashed += size
        if self.hashed > HASHED:
            return f"{size} bytes"
        digest = hashlib.sha256()
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        with open(fd, "rb") as file:
            while part := file.read(1 << 18):
                digest.update(part)
        return digest.hexdigest()

    def index(self, parent: int, lower: Path | None, path: str) -> None:
        """What git has staged; the times and inodes beside it differ from run to run."""
        try:
            with open(os.open("index", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent), "rb") as file:
                now = staged(file.read(HASHED))
        except OSError:
            return
        try:
            before = staged((lower / "index").read_bytes()) if lower is not None else ""
        except OSError:
            before = ""
        if now != before:
            self.found[path] = f"staged {now}"


def staged(index: bytes) -> str:
    """A hash of the (mode, object, flags, path) entries of git's index, versions 2 and 3 (gitformat-index); of all its
    bytes for any other."""
    if len(index) < 12 or index[:4] != b"DIRC" or index[7] not in (2, 3):
        return hashlib.sha256(index).hexdigest()
    digest, place = hashlib.sha256(), 12
    for _ in range(struct.unpack(">I", index[8:12])[0]):
        start = place
        extended = len(index) > start + 62 and index[start + 60] & 0x40
        end = index.find(b"\0", start + (64 if extended else 62))
        if end < 0:  # cut short
            break
        digest.update(index[start + 24:start + 28] + index[start + 40:end + 1])
        place = start + (end - start + 8) // 8 * 8  # padded with 1 to 8 NULs
    return digest.hexdigest()


def _noise(path: str) -> bool:
    at = path.find(".git/")
    if at < 0 or (at and path[at - 1] != "/"):
        return False
    inside = path[at + 5:]
    return any(inside == name or inside.startswith(name + "/") for name in _GIT_NOISE)


def _opaque(fd: int) -> bool:
    for name in ("user.overlay.opaque", "trusted.overlay.opaque"):
        try:
            if os.getxattr(fd, name) == b"y":
                return True
        except OSError:
            continue
    return False


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _lstat(path: Path | None) -> os.stat_result | None:
    try:
        return os.lstat(path) if path is not None else None
    except OSError:
        return None
