"""Snapshots of the workspace, so that what a command did (also through the shell) can be shown and undone.

Contents are kept once, by their SHA-256, under ``state/objects``; a snapshot is a list of entries under
``state/snapshots``. A file whose size, times and inode are those of the snapshot before is not read again. Nothing is
ever deleted that the snapshots do not prove to be the command's own: a file somebody else changed since is left alone
and reported. Kept: regular files, permissions, symbolic links, folders (empty ones too), ``.git``. Not kept: hard links
as such, extended attributes, owners, sockets, devices.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from nimllm.errors import CONFIG, LIMIT, NimError
from nimllm.places import state_home

MAX_FILE = 32 << 20  # bytes; larger files are noted, not kept
MAX_NEW = 256 << 20  # bytes of new contents per snapshot
MAX_ENTRIES = 50_000
# A file written within this time before it was read may change again without a new timestamp (the kernel's tick).
RACY_NS = 50_000_000

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


@dataclass(frozen=True)
class Undone:
    """``action``: ``removed``, ``restored``, ``mode``; or ``left`` with the reason why nothing was done."""

    path: str
    action: Literal["removed", "restored", "mode", "left"]
    skipped_reason: str = ""


@dataclass(frozen=True)
class Info:
    id: str
    label: str
    time: float  # seconds since the epoch


@dataclass
class _Snapshot:
    label: str
    time: float
    taken_ns: int
    entries: dict[str, Entry]
    skipped: dict[str, str]
    complete: bool


class Snapshots:
    """The snapshots of one ``workspace``, kept in ``state`` (made with mode 0700). NimError (LIMIT): no space left."""

    def __init__(self, state: Path, workspace: Path) -> None:
        self.state = Path(state)
        self.workspace = Path(os.path.realpath(workspace))
        if not self.workspace.is_dir():
            raise NimError(f"the workspace {workspace} is not a folder", code=CONFIG)
        self._cache: dict[str, _Snapshot] = {}
        self._last = ""
        self._own = {os.path.realpath(self.state), os.path.realpath(state_home())}
        try:
            for folder in (self.state, self.state / "objects", self.state / "snapshots"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NimError(f"cannot write snapshots to {self.state}", error.strerror or str(error)) from None

    # ---- taking ------------------------------------------------------------------------------------------------

    def take(self, label: str) -> str:
        """Record the workspace as it is now; the id of the snapshot. :meth:`skipped` says what it does not hold."""
        now = time.time()
        taken_ns = time.time_ns()
        before = self._load(self._last) if self._last else None
        try:
            shot = self._scan(label, now, taken_ns, before, keep=True)
            name = f"{taken_ns:016x}-{secrets.token_hex(3)}"
            self._write(name, shot, before)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise NimError(
                    "no space left for a snapshot of the workspace", mend="free some, or switch undo off", code=LIMIT
                ) from None
            raise NimError(f"cannot write a snapshot to {self.state}", error.strerror or str(error)) from None
        self._remember(name, shot)
        self._last = name
        return name

    def _scan(self, label: str, now: float, taken_ns: int, before: _Snapshot | None, keep: bool) -> _Snapshot:
        shot = _Snapshot(label, now, taken_ns, {}, {}, True)
        known = before.entries if before else {}
        settled = (before.taken_ns - RACY_NS) if before else 0
        room = MAX_NEW
        for path, info in self._walk(shot):
            if len(shot.entries) >= MAX_ENTRIES:
                shot.complete = False
                shot.skipped["."] = f"more than {MAX_ENTRIES} entries; the rest is not in the snapshot"
                break
            old = known.get(path)
            mode = stat.S_IMODE(info.st_mode)
            kind, ref = _kind(info.st_mode), ""
            if (
                old is not None
                and old.ref
                and old[:6] == (kind, mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)
                and max(info.st_mtime_ns, info.st_ctime_ns) < settled
            ):
                shot.entries[path] = old
                continue
            if kind == "f":
                ref, used, reason = self._keep(path, info, room if keep else MAX_FILE, keep)
                room -= used
                if reason:
                    shot.skipped[path] = reason
            elif kind == "l":
                try:
                    ref = os.readlink(self.workspace / path)
                except OSError:
                    continue
            elif kind == "o":
                shot.skipped[path] = "not a regular file"
            shot.entries[path] = Entry(kind, mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, ref)
        return shot

    def _walk(self, shot: _Snapshot) -> Iterator[tuple[str, os.stat_result]]:
        """Entries below the workspace on its own file system; ``.git`` comes last, so that it uses up no one's room."""
        root = os.fspath(self.workspace)
        device = os.lstat(root).st_dev
        waiting: list[str] = [""]
        later: list[str] = []
        while waiting or later:
            folder = waiting.pop() if waiting else later.pop()
            try:
                with os.scandir(os.path.join(root, folder)) as listing:
                    found = sorted(listing, key=lambda item: item.name)
            except OSError as error:
                if folder:
                    shot.skipped[folder] = error.strerror or "cannot be read"
                    shot.complete = shot.complete and error.errno == errno.ENOENT
                continue
            for item in found:
                path = f"{folder}/{item.name}" if folder else item.name
                try:
                    info = item.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISDIR(info.st_mode):
                    if os.path.join(root, path) in self._own or info.st_dev != device:
                        continue
                    (later if item.name == ".git" else waiting).append(path)
                yield path, info

    def _keep(self, path: str, info: os.stat_result, room: int, keep: bool) -> tuple[str, int, str]:
        """Store one file: its hash, the bytes it newly took, and why it is not kept (empty when it is)."""
        if info.st_size > MAX_FILE:
            return "", 0, f"larger than {MAX_FILE >> 20} MiB"
        try:
            fd = os.open(self.workspace / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(fd, "rb") as file:
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            return "", 0, error.strerror or "cannot be read"
        if len(data) > MAX_FILE:
            return "", 0, f"larger than {MAX_FILE >> 20} MiB"
        name = hashlib.sha256(data).hexdigest()
        if not keep or (place := self._object(name)).exists():
            return name, 0, ""
        if len(data) > room:
            return "", 0, f"more than {MAX_NEW >> 20} MiB of new contents"
        place.parent.mkdir(mode=0o700, exist_ok=True)
        _replace(place, data)
        return name, len(data), ""

    def _object(self, name: str) -> Path:
        return self.state / "objects" / name[:2] / name[2:]

    # ---- the list ----------------------------------------------------------------------------------------------

    def _write(self, name: str, shot: _Snapshot, before: _Snapshot | None) -> None:
        same = self._last if before is not None and before.entries == shot.entries else ""
        record = {
            "format": "nimllm-snapshot",
            "version": 1,
            "label": shot.label,
            "time": shot.time,
            "taken_ns": shot.taken_ns,
            "workspace": os.fspath(self.workspace),
            "complete": shot.complete,
            "skipped": shot.skipped,
            "same_as": same,
            "entries": {} if same else shot.entries,
        }
        _replace(self.state / "snapshots" / f"{name}.json", json.dumps(record, separators=(",", ":")).encode())

    def _load(self, name: str) -> _Snapshot:
        if name in self._cache:
            return self._cache[name]
        path = self.state / "snapshots" / f"{name}.json"
        try:
            if "/" in name or name.startswith("."):
                raise FileNotFoundError(errno.ENOENT, "no such snapshot")
            record = json.loads(path.read_bytes())
            if record["format"] != "nimllm-snapshot" or record["version"] != 1:
                raise ValueError("written by another version")
            if record["same_as"]:
                entries = self._load(record["same_as"]).entries
            else:
                entries = {key: Entry(*fields) for key, fields in record["entries"].items()}
            shot = _Snapshot(
                record["label"],
                float(record["time"]),
                int(record["taken_ns"]),
                entries,
                dict(record["skipped"]),
                bool(record["complete"]),
            )
        except FileNotFoundError:
            raise NimError(f"there is no snapshot {name!r}", code=CONFIG) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NimError(f"the snapshot {path} cannot be read", str(error), code=CONFIG) from None
        self._remember(name, shot)
        return shot

    def _remember(self, name: str, shot: _Snapshot) -> None:
        self._cache[name] = shot
        while len(self._cache) > 8:
            self._cache.pop(next(iter(self._cache)))

    def all(self) -> list[Info]:
        """Every snapshot, oldest first."""
        found = []
        for path in sorted((self.state / "snapshots").glob("*.json")):
            shot = self._load(path.stem)
            found.append(Info(path.stem, shot.label, shot.time))
        return found

    def skipped(self, id: str) -> list[str]:
        """``path: reason`` for everything the snapshot saw and does not hold."""
        return [f"{path}: {reason}" for path, reason in sorted(self._load(id).skipped.items())]

    def prune(self, keep: int = 100) -> int:
        """Forget all but the ``keep`` newest snapshots and the contents only they held; the number forgotten."""
        names = sorted(path.stem for path in (self.state / "snapshots").glob("*.json"))
        gone, left = names[: max(0, len(names) - keep)], names[max(0, len(names) - keep) :]
        if not gone:
            return 0
        used: set[str] = set()
        for name in left:
            shot = self._load(name)
            self._last, last = "", self._last
            self._write(name, shot, None)  # whole: the one it refers to may go
            self._last = last
            used.update(entry.ref for entry in shot.entries.values() if entry.kind == "f")
        for name in gone:
            (self.state / "snapshots" / f"{name}.json").unlink(missing_ok=True)
            self._cache.pop(name, None)
        if self._last in gone:
            self._last = ""
        for folder in (self.state / "objects").iterdir():
            for item in folder.iterdir():
                if folder.name + item.name not in used:
                    item.unlink(missing_ok=True)
        return len(gone)

    # ---- comparing ---------------------------------------------------------------------------------------------

    def changes(self, id: str) -> list[Change]:
        """What differs now from the snapshot."""
        shot = self._load(id)
        return _compare(shot, self._scan("", 0.0, time.time_ns(), shot, keep=False))

    def between(self, before: str, after: str) -> list[Change]:
        """What changed between two snapshots."""
        return _compare(self._load(before), self._load(after))

    # ---- going back --------------------------------------------------------------------------------------------

    def restore(self, id: str, dry_run: bool = False) -> list[Change]:
        """Make the workspace what it was, whoever changed it; the changes that were (or would be) reverted.

        What the snapshot does not hold (too large, unreadable) is left alone and not in the list. To take back one
        command only, use :meth:`undo`.
        """
        shot = self._load(id)
        now = self._scan("", 0.0, time.time_ns(), shot, keep=False)
        changes = _compare(shot, now)
        done = self._revert(changes, shot, now, dry_run)
        reverted = {item.path for item in done if item.action != "left"}
        return [change for change in changes if change.path in reverted]

    def undo(self, before: str, after: str, dry_run: bool = False) -> list[Undone]:
        """Take back what changed between the two snapshots, except where somebody changed it again since ``after``."""
        first, second = self._load(before), self._load(after)
        now = self._scan("", 0.0, time.time_ns(), second, keep=False)
        return self._revert(_compare(first, second), first, second, dry_run, now)

    def _revert(
        self, changes: list[Change], old: _Snapshot, new: _Snapshot, dry_run: bool, now: _Snapshot | None = None
    ) -> list[Undone]:
        done: list[Undone] = []
        present = now or new
        doomed = {change.path for change in changes if change.kind == "created"}
        # Deepest first to remove; parents first to make; folders' own rights last, when nothing is written in them.
        removals = sorted(
            (change for change in changes if change.kind == "created"), key=lambda c: c.path, reverse=True
        )
        rest = sorted((change for change in changes if change.kind != "created"), key=lambda c: c.path)
        folders = [change for change in rest if old.entries[change.path].kind == "d" and change.kind == "mode"]
        for change in [*removals, *(change for change in rest if change not in folders), *reversed(folders)]:
            path = change.path
            reason = self._obstacle(path, old, new, present if now else None, change.kind == "mode")
            if not reason and change.kind == "created" and present.entries[path].kind == "d":
                others = [other for other in present.entries if other.startswith(path + "/") and other not in doomed]
                kept = {item.path for item in done if item.action == "left"}
                if others or any(other.startswith(path + "/") for other in kept):
                    reason = "it holds files of somebody else"
            action: Literal["removed", "restored", "mode", "left"] = "left"
            if not reason:
                action = {"created": "removed", "mode": "mode"}.get(change.kind, "restored")  # type: ignore[assignment]
                if not dry_run:
                    try:
                        self._put_back(path, old.entries.get(path), only_mode=change.kind == "mode")
                    except OSError as error:
                        action, reason = "left", error.strerror or str(error)
            done.append(Undone(path, action, reason))
        return sorted(done, key=lambda item: item.path)

    def _obstacle(self, path: str, old: _Snapshot, new: _Snapshot, now: _Snapshot | None, only_mode: bool) -> str:
        """Why ``path`` must not be touched, or an empty string."""
        was, became = old.entries.get(path), new.entries.get(path)
        if was is None and not old.complete:
            return "the earlier snapshot is not complete, so it may have been there"
        lost = (
            was is not None and was.kind == "f" and not only_mode and not (was.ref and self._object(was.ref).exists())
        )
        if lost:
            return old.skipped.get(path) or "its old contents are not kept"
        if was is not None and was.kind == "o":
            return "not a regular file"
        if now is not None:
            is_now = now.entries.get(path)
            if _same(was, is_now):
                return "it is already as it was"
            if not _same(became, is_now):
                return "somebody else changed it since"
        return ""

    def _put_back(self, path: str, was: Entry | None, only_mode: bool) -> None:
        """Make ``path`` what it ``was`` (None: gone); through descriptors, so no link leads out of the workspace."""
        parts = path.split("/")
        folder = os.open(self.workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                os.close(folder)
                folder = inner
            if only_mode and was is not None:
                fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
                try:
                    os.fchmod(fd, was.mode)
                finally:
                    os.close(fd)
                return
            _put_back_in(folder, parts[-1], was, self._object(was.ref) if was and was.kind == "f" else None)
        finally:
            os.close(folder)


def _put_back_in(folder: int, name: str, was: Entry | None, contents: Path | None) -> None:
    try:
        now: os.stat_result | None = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        now = None
    is_folder = now is not None and stat.S_ISDIR(now.st_mode)
    if was is None:
        if now is not None:
            os.rmdir(name, dir_fd=folder) if is_folder else os.unlink(name, dir_fd=folder)
        return
    if was.kind == "d":
        if not is_folder:
            if now is not None:
                os.unlink(name, dir_fd=folder)
            os.mkdir(name, 0o700, dir_fd=folder)
        os.chmod(name, was.mode, dir_fd=folder)
        return
    if is_folder:
        os.rmdir(name, dir_fd=folder)
    temporary = f".nimllm-undo-{secrets.token_hex(6)}"
    if was.kind == "l":
        os.symlink(was.ref, temporary, dir_fd=folder)
    else:
        assert contents is not None
        data = contents.read_bytes()
        if hashlib.sha256(data).hexdigest() != was.ref:
            raise OSError(errno.EIO, "its old contents are damaged")
        fd = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
        )
        try:
            with open(fd, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), was.mode)
                file.flush()
                os.utime(file.fileno(), ns=(was.mtime_ns, was.mtime_ns))
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
    os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _kind(mode: int) -> str:
    return "f" if stat.S_ISREG(mode) else "l" if stat.S_ISLNK(mode) else "d" if stat.S_ISDIR(mode) else "o"


def _same(one: Entry | None, other: Entry | None) -> bool:
    """Same kind, rights and contents; where contents are not kept, same size and time."""
    if one is None or other is None:
        return one is other
    return _same_contents(one, other) and (one.mode == other.mode or one.kind == "l")


def _same_contents(one: Entry, other: Entry) -> bool:
    if one.kind != other.kind:
        return False
    if one.kind in "do":
        return True
    if one.ref and other.ref:
        return one.ref == other.ref
    return (one.size, one.mtime_ns) == (other.size, other.mtime_ns)


def _compare(old: _Snapshot, new: _Snapshot) -> list[Change]:
    found: list[Change] = []
    for path in _names(old.entries, new.entries):
        was, became = old.entries.get(path), new.entries.get(path)
        if was is None:
            if old.complete:
                found.append(Change(path, "created"))
        elif became is None:
            if new.complete:
                found.append(Change(path, "deleted"))
        elif not _same_contents(was, became):
            found.append(Change(path, "modified"))
        elif not _same(was, became):
            found.append(Change(path, "mode"))
    return found


def _names(*several: Iterable[str]) -> list[str]:
    return sorted(set().union(*several))


def _replace(place: Path, data: bytes) -> None:
    temporary = place.with_name(f".{secrets.token_hex(6)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(data)
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
