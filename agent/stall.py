"""Whether a task still gets anywhere: what a step must bring so that the next one is worth its time.

Repetition alone is no loop: the same command may wait for something, or be run again after a repair. A step made
progress when it changed something (a file, the folder, the exported environment) or showed something new. For a command
that fails, what it was called with does not count as new: ``ls x``, ``ls y``, ``ls z`` that all fail the same way are
one failure three times.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

STALE = 3  # steps in a row without progress after which a task ends
STAMP_ENTRIES, STAMP_SECONDS = 30_000, 0.25  # what a look at the workspace may cost
_NAMES = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`|[‘“][^’”\n]*[’”]|\S*[/.]\S*|0x[0-9a-f]+|\d+")


class Stall:
    """One task's steps. ``patient``: the user has said to go on, and knows that commands repeat themselves."""

    def __init__(self, patient: bool = False) -> None:
        self.patient = patient
        self._state = 0  # counts the changes, so that "since then" can be asked
        self._seen: dict[tuple[int, str, int | None, str], int] = {}
        self._shown: set[tuple[object, ...]] = set()
        self._stale = 0
        self._failed: list[str] = []

    @property
    def failed(self) -> list[str]:
        """Commands that failed since anything changed last: proposing one of them again unchanged is pointless."""
        return [] if self.patient else list(self._failed)

    def note(self, command: str, status: int | None, output: str, changed: bool) -> str:
        """A step is over; the reason to stop (a clause), or an empty string."""
        if changed:
            self._state += 1
            self._failed.clear()
        if status != 0:
            self._failed.append(command)
        digest = hashlib.sha256(output.encode("utf-8", "surrogatepass")).hexdigest()
        bare = command.split()[:1]  # a shell names the program it cannot find without quotes
        shown: tuple[object, ...] = (command, status, digest) if status == 0 else (status, skeleton(output, bare))
        progress = changed or shown not in self._shown
        self._shown.add(shown)
        key = (self._state, command, status, digest)
        self._seen[key] = self._seen.get(key, 0) + 1
        self._stale = 0 if progress else self._stale + 1
        if self.patient:
            return ""
        if not changed and self._seen[key] > 1:
            return "the same command gave the same output twice, and nothing has changed in between"
        if self._stale >= STALE:
            return f"{STALE} commands in a row changed nothing and showed nothing new"
        return ""


def skeleton(output: str, words: Iterable[str] = ()) -> str:
    """The kind of an error message: without names, paths and numbers."""
    for word in words:
        if len(word) == 1:
            continue
        output = output.replace(word, "…")
    return "\n".join(dict.fromkeys(_NAMES.sub("…", line).strip() for line in output.splitlines()))


def stamp(folders: Iterable[Path]) -> str | None:
    """A hash of every entry's name, kind, rights, size, time and inode; None when that would take too long."""
    digest, count, until = hashlib.sha256(), 0, time.monotonic() + STAMP_SECONDS
    waiting = [os.fspath(folder) for folder in folders]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda one: one.name):
                    about = entry.stat(follow_symlinks=False)
                    digest.update(repr((entry.path, about.st_mode, about.st_size, about.st_mtime_ns, about.st_ino)
                                       ).encode("utf-8", "surrogatepass"))
                    count += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            digest.update(b"closed")
        if count > STAMP_ENTRIES or time.monotonic() > until:
            return None
    return digest.hexdigest()
