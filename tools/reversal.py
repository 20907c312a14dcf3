"""Taking changes back: what must be done to which path, decided on paper first, then done through descriptors.

A step is a pair of trees, before and after one command. Steps are taken back in reverse order on a picture of the
folder as it is now; a path that is not as the step left it was changed by somebody else and stays. Only then is the
difference between the folder and the picture carried out, each path once, and each only if it is still as it was seen.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nimllm.tools.trees import Entry, Tree, compare, kind_of, same, same_contents

Action = Literal["removed", "restored", "mode", "left"]
LEFTOVER = re.compile(r"(?:.*/)?\.nimllm-undo-[0-9a-f]{12}")  # what an undo that was killed leaves behind
ELSE = "somebody else changed it since"
ALREADY = "it is already as it was"
OCCUPIED = "it holds files of somebody else"


@dataclass(frozen=True)
class Undone:
    """``action``: ``removed``, ``restored``, ``mode``; or ``left`` with the reason why nothing was done."""

    path: str
    action: Action
    skipped_reason: str = ""


@dataclass
class Plan:
    """``target``: path -> what it is to become (None: gone). ``left``: path -> why it stays as it is."""

    target: dict[str, Entry | None]
    left: dict[str, str]


def plan(steps: Sequence[tuple[Tree, Tree]], now: Tree, held: Callable[[str], bool]) -> Plan:
    """How to take back ``steps`` (in the order in which they happened). ``held(hash)``: these contents are kept."""
    picture = dict(now.entries)
    left: dict[str, str] = {}
    for before, after in reversed(steps):
        for change in compare(before, after):
            path = change.path
            was, became, present = before.entries.get(path), after.entries.get(path), picture.get(path)
            reason = _obstacle(path, was, became, present, before, now, held, change.kind == "mode")
            if reason:
                left[path] = reason
                continue
            left.pop(path, None)
            if was is None:
                picture.pop(path, None)
            elif change.kind == "mode" and present is not None:
                picture[path] = present._replace(mode=was.mode)
            else:
                picture[path] = was
    _stand(picture, now, left)
    target = {path: picture.get(path) for path in {*picture, *now.entries}
              if not same(picture.get(path), now.entries.get(path))}
    for path in target:
        left.pop(path, None)
    return Plan(target, left)


def _obstacle(path: str, was: Entry | None, became: Entry | None, present: Entry | None, before: Tree, now: Tree,
              held: Callable[[str], bool], only_mode: bool) -> str:
    """Why ``path`` must not be touched, or an empty string."""
    if present is None and (reason := now.why_unknown(path)):
        return f"it was not looked at ({reason})"
    if same(was, present):
        return ALREADY
    if not same(became, present):
        return ELSE
    if was is not None and was.kind == "o":
        return "not a regular file"
    if was is not None and was.kind == "f" and not only_mode and not (was.ref and held(was.ref)):
        return before.skipped.get(path) or "its old contents are not kept"
    return ""


def _stand(picture: dict[str, Entry], now: Tree, left: dict[str, str]) -> None:
    """Give up what would leave an entry without its folder, until nothing does."""
    while True:
        lost = [path for path in picture if "/" in path and not _is_folder(picture.get(path.rpartition("/")[0]))]
        if not lost:
            return
        for path in lost:
            folder = path.rpartition("/")[0]
            present = now.entries.get(folder)
            if present is not None and present.kind == "d":  # the folder was to go: it stays
                picture[folder], left[folder] = present, OCCUPIED
            else:  # somebody took the folder away, and so it was not there now either
                del picture[path]
                left[path] = "its folder is gone"


def _is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.kind == "d"


def carry_out(root: Path, made: Plan, now: Tree, contents: Callable[[str], bytes | None], dry_run: bool
              ) -> list[Undone]:
    """Do it (``dry_run``: only say it). What was done to each path, by path. ``contents(hash)``: a file's bytes."""
    done = {path: Undone(path, "left", reason) for path, reason in made.left.items()}
    target = made.target
    done |= {path: Undone(path, _action(target[path], now.entries.get(path))) for path in target}
    if not dry_run:
        hands = _Hands(root, now, contents, done)
        hands.open_folders(target)
        deepest = sorted(target, key=lambda path: (-path.count("/"), path))
        for path in deepest:
            wanted, present = target[path], now.entries.get(path)
            if present is not None and (wanted is None or (wanted.kind != present.kind and "d" in (wanted.kind,
                                                                                                    present.kind))):
                hands.remove(path, present)
        for path in reversed(deepest):
            wanted = target[path]
            if wanted is not None:
                hands.put(path, wanted, done[path].action == "mode")
        hands.close_folders(target)
    return [done[path] for path in sorted(done)]


def _action(wanted: Entry | None, present: Entry | None) -> Action:
    if wanted is None:
        return "removed"
    return "mode" if present is not None and same_contents(wanted, present) else "restored"


class _Hands:
    """Touches the folder; every path is walked through descriptors, so that no link leads out of ``root``."""

    def __init__(self, root: Path, now: Tree, contents: Callable[[str], bytes | None], done: dict[str, Undone]) -> None:
        self.root, self.now, self.contents, self.done = root, now, contents, done
        self.opened: dict[str, int] = {}  # folders made writable for the time of the work -> rights
        self.gone: set[str] = set()

    def _try(self, path: str, act: Callable[[int, str], None]) -> None:
        parts = path.split("/")
        try:
            folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for part in parts[:-1]:
                    inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                    os.close(folder)
                    folder = inner
                act(folder, parts[-1])
            finally:
                os.close(folder)
        except OSError as error:
            self.done[path] = Undone(path, "left", error.strerror or str(error))

    def _check(self, path: str, folder: int, name: str) -> os.stat_result | None:
        """What is there now; OSError when it is not what the plan was made for."""
        try:
            info: os.stat_result | None = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            info = None
        seen = None if path in self.gone else self.now.entries.get(path)
        still = (info is None) == (seen is None)
        if info is not None and seen is not None:
            still = kind_of(info.st_mode) == seen.kind and info.st_ino == seen.inode
            if seen.kind != "d":
                still = still and (info.st_size, info.st_mtime_ns) == (seen.size, seen.mtime_ns)
        if not still:
            raise OSError(errno.EBUSY, "it changed in this very moment")
        return info

    def open_folders(self, target: dict[str, Entry | None]) -> None:
        """Folders the agent (or the user) closed, in which something must be done."""
        for folder in sorted({path.rpartition("/")[0] for path in target if "/" in path}):
            present = self.now.entries.get(folder)
            if present is not None and present.kind == "d" and present.mode & 0o700 != 0o700:
                self._try(folder, lambda fd, name, mode=present.mode: _chmod(fd, name, mode | 0o700))  # type: ignore[misc]
                if self.done.get(folder) is None or self.done[folder].action != "left":
                    self.opened[folder] = present.mode

    def close_folders(self, target: dict[str, Entry | None]) -> None:
        """Rights of folders come last, deepest first: until then something may have to be written in them."""
        folders = {path: wanted.mode for path, wanted in target.items() if wanted is not None and wanted.kind == "d"
                   and self.done[path].action != "left"}
        for path, mode in sorted({**self.opened, **folders}.items(), key=lambda item: -item[0].count("/")):
            if path in self.opened and path in target and target[path] is None and self.done[path].action != "left":
                continue
            before = self.done.get(path)
            self._try(path, lambda fd, name, mode=mode: _chmod(fd, name, mode))  # type: ignore[misc]
            if before is None:
                self.done.pop(path, None)

    def remove(self, path: str, present: Entry) -> None:
        def act(folder: int, name: str) -> None:
            self._check(path, folder, name)
            os.rmdir(name, dir_fd=folder) if present.kind == "d" else os.unlink(name, dir_fd=folder)
            self.gone.add(path)

        self._try(path, act)
        why = self.done[path].skipped_reason
        if why == os.strerror(errno.ENOTEMPTY):
            self.done[path] = Undone(path, "left", OCCUPIED)

    def put(self, path: str, wanted: Entry, only_mode: bool) -> None:
        if self.done[path].action == "left":  # what stood there could not be removed
            return

        def act(folder: int, name: str) -> None:
            info = self._check(path, folder, name)
            if wanted.kind == "d":
                if info is None:
                    os.mkdir(name, 0o700, dir_fd=folder)
            elif only_mode:
                _chmod(folder, name, wanted.mode)
            else:
                self._replace(folder, name, wanted)

        self._try(path, act)

    def _replace(self, folder: int, name: str, wanted: Entry) -> None:
        temporary = f".nimllm-undo-{secrets.token_hex(6)}"
        if wanted.kind == "l":
            os.symlink(wanted.ref, temporary, dir_fd=folder)
        else:
            data = self.contents(wanted.ref)
            if data is None or hashlib.sha256(data).hexdigest() != wanted.ref:
                raise OSError(errno.EIO, "its old contents are damaged")
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600,
                         dir_fd=folder)
            try:
                with open(fd, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fchmod(file.fileno(), wanted.mode)
                    os.utime(file.fileno(), ns=(wanted.mtime_ns, wanted.mtime_ns))
            except BaseException:
                os.unlink(temporary, dir_fd=folder)
                raise
        # A new file in its place, never a write into the old one: that might have another name outside (a hard link).
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _chmod(folder: int, name: str, mode: int) -> None:
    """Rights of a file or folder; of a link's target never."""
    if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise OSError(errno.ELOOP, "it has become a link")
    os.chmod(name, mode, dir_fd=folder)


def sweep(root: Path, now: Tree) -> None:
    """Remove what an undo that was killed left half-written."""
    for path in [path for path in now.entries if LEFTOVER.fullmatch(path)]:
        if now.entries[path].kind in "fl":
            try:
                os.unlink(root / path)
            except OSError:
                continue
        now.entries.pop(path)
