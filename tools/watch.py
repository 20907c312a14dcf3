"""Watches what the processes of a shell take together: their number, their memory, the disk they fill.

The kernel's own limits are per process, per user or exempt uid 0; a control group is not always to be had. So somebody
looks, every tick while a command runs and twice a second otherwise. A look is cheap (some ten microseconds: the load
average, the free memory, the free disk) until one of these has moved far enough that the processes must be counted.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path

from nimllm.tools import processes
from nimllm.tools.sandbox import Limits

MIB = 1 << 20
SECONDS = 0.5  # between looks at what runs in the background
COUNT_SECONDS = 2.0  # between counts when nothing hints at much
RESERVE = 512 * MIB  # of memory, and twice that of disk, that a command does not get to use up


class Watch:
    """``below``: ids of every process of the shell; ``folders``: where its commands can write; ``top``: the process
    that all others descend from, which makes them faster to count while they grow."""

    def __init__(
        self, limits: Limits, folders: Iterable[Path], below: Callable[[], Iterable[int]], top: int | None = None
    ) -> None:
        self.limits, self._top = limits, top
        self._below = below
        self._disks = {os.stat(folder).st_dev: folder for folder in folders if os.path.isdir(folder)}
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._memory = os.sysconf("SC_PHYS_PAGES") * self._page
        self._most = limits.resident_mib * MIB if limits.resident_mib else self._memory * 8 // 10
        self.begin()

    def begin(self) -> None:
        """A command starts: what it adds is counted from here."""
        self._count_at = time.monotonic() + COUNT_SECONDS
        self._tasks = processes.crowd()
        self._available = available()
        self._free = {device: free(folder) for device, folder in self._disks.items()}
        self._written: int | None = None

    def reason(self) -> str:
        """Why the command must be stopped (a clause about "it"), else empty."""
        # The machine's own numbers tell early and cheaply; other programs can hide it from them, but not for long.
        now = time.monotonic()
        counting = now >= self._count_at
        if counting:
            self._count_at = now + COUNT_SECONDS
        return self._crowd(counting) or self._hog(counting) or self._filler() or ""

    def _crowd(self, counting: bool) -> str | None:
        """A fork bomb. ulimit -u stops it, except for uid 0, whom the kernel exempts."""
        most = self.limits.processes
        if not most or (processes.crowd() - self._tasks < most and not counting):
            return None
        if self._top is None:
            many = len(list(self._below())) > most
        else:
            many = processes.more_descendants_than(self._top, most)
        return f"it started more than {most} processes" if many else None

    def _hog(self, counting: bool) -> str | None:
        now = available()
        if now is None or self._available is None:
            return None
        scarce = now < min(RESERVE, self._memory // 20)
        if not scarce and not counting and self._available - now < self._most // 2:
            return None
        taken = self.resident()
        if taken > self._most:
            return f"its processes took more than {self._most // MIB} MiB of memory"
        if scarce and taken > self._memory // 4:
            return f"its processes took {taken // MIB} MiB, and the machine has no memory left"
        return None

    def _filler(self) -> str | None:
        most = self.limits.disk_mib
        for device, folder in self._disks.items():
            before, now = self._free[device], free(folder)
            if before is None or now is None:
                continue
            added = before - now
            if most is not None and added > most * MIB:
                if self.written(device) > most * MIB // 2:  # somebody else may be filling it
                    return f"it filled more than {most} MiB of the disk of {folder}"
                self._free[device] = now
            # a small disk keeps a quarter of what was free
            if added > 0 and now < min(2 * RESERVE, before // 4):
                return f"the disk of {folder} is nearly full ({now // MIB} MiB left of {before // MIB})"
        return None

    def written(self, device: int) -> int:
        """Bytes that all processes have written to disks since the last call, those that ended included: whoever waited
        for them has them on his account. Without what was only reserved (fallocate); in memory, with what went through
        pipes."""
        total, key = 0, "write_bytes" if os.major(device) else "wchar"
        for pid in self._below():
            try:
                with open(f"/proc/{pid}/io") as file:
                    fields = dict(line.split(": ") for line in file.read().splitlines())
                total += int(fields[key])
            except (OSError, ValueError, KeyError):
                continue
        before, self._written = self._written or 0, total
        return total - before

    def resident(self) -> int:
        """Bytes of memory of all processes together; shared pages count for each, but those of files do not."""
        total = 0
        for pid in self._below():
            try:
                with open(f"/proc/{pid}/statm") as file:
                    _, resident, shared, *_ = map(int, file.read().split())
            except (OSError, ValueError):
                continue
            total += (resident - shared) * self._page
        return total


class Sentry:
    """Calls ``look`` twice a second, in a thread, until it is closed or what ``look`` belongs to is gone."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = weakref.WeakMethod(look)
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="nimllm-sentry", daemon=True).start()

    def _watch(self) -> None:
        while not self._closed.wait(SECONDS):
            look = self._look()
            if look is None:
                return
            look()
            del look

    def close(self) -> None:
        self._closed.set()


def available() -> int | None:
    """Bytes of memory that can be had without swapping; None where the kernel does not say."""
    try:
        with open("/proc/meminfo", "rb") as file:
            head = file.read(256)
        return int(head[head.index(b"MemAvailable:") + 13 :].split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        return None


def free(folder: Path) -> int | None:
    """Bytes that can still be written there; None when the folder is gone."""
    try:
        about = os.statvfs(folder)
    except OSError:
        return None
    return about.f_bavail * about.f_frsize
