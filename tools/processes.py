"""Who runs: what /proc says of the shell's descendants, and signals that do not mind a process that is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Entry:
    """A process as /proc has it; ``start``: clock ticks since boot, which with the id names it for ever."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start: int

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - self.start / TICKS)


def entry(pid: int) -> Entry | None:
    """None when it is gone, or only a zombie is left of it."""
    stat = _stat(pid)
    if stat is None or stat[0] in "ZX":
        return None
    return Entry(pid, stat[0], int(stat[1]), int(stat[2]), int(stat[3]), int(stat[19]))


def _stat(pid: int | str) -> list[str] | None:
    """Fields of /proc/PID/stat after the name: state, parent, group, session, ...; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode().split()
    except OSError:
        return None


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def alive(pid: int) -> bool:
    """Runs (a zombie does not)."""
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def children(pid: int) -> list[int]:
    """Direct children, in order of their ids; none when it is gone."""
    if not os.path.exists(f"/proc/self/task/{threading.get_native_id()}/children"):  # without CONFIG_PROC_CHILDREN
        return sorted(other for other in _all() if (stat := _stat(other)) and int(stat[1]) == pid)
    try:
        found: list[int] = []
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
        return sorted(found)
    except OSError:
        return []


def descendants(pid: int) -> dict[int, Entry]:
    """All that descend from ``pid``, without itself: id -> entry."""
    found: dict[int, Entry] = {}
    waiting = [pid]
    while waiting:
        for child in children(waiting.pop()):
            if child not in found and (known := entry(child)) is not None:
                found[child] = known
                waiting.append(child)
    return found


def same(known: Entry) -> bool:
    """Whether ``known`` still runs, and is no other process that got its number."""
    now = entry(known.pid)
    return now is not None and now.start == known.start


def command_line(pid: int) -> str:
    """Its words, with blanks between them; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def inner_pid(pid: int) -> int:
    """Its number in the innermost pid namespace it lives in: what commands there call it."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("NSpid:"):
                    return int(line.split()[-1])
    except (OSError, ValueError):
        pass
    return pid


def of_session(leader: int, mark: str) -> list[int]:
    """Processes of the session ``leader`` opened, and those that left it but carry ``mark`` in their environment."""
    found = []
    needle = f"NIMLLM_SHELL={mark}".encode()
    for pid in _all():
        stat = _stat(pid)
        if stat is None or stat[0] in "ZX":
            continue
        if int(stat[3]) == leader:
            found.append(pid)
            continue
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if needle in file.read():
                    found.append(pid)
        except OSError:
            continue
    return found


def group_members(group: int) -> list[int]:
    return [pid for pid in _all() if (stat := _stat(pid)) and int(stat[2]) == group and stat[0] not in "ZX"]


def send(pid: int, number: int) -> None:
    if pid > 1:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def send_group(group: int, number: int) -> None:
    if group > 1:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            pass


def wait_gone(pids: Iterable[int], seconds: float, reap: Callable[[], object] | None = None) -> bool:
    """Wait until none of ``pids`` runs; ``reap`` is called meanwhile so that our own child does not stay a zombie."""
    until = time.monotonic() + seconds
    left = list(pids)
    while True:
        if reap:
            reap()
        left = [pid for pid in left if alive(pid)]
        if not left or time.monotonic() > until:
            return not left
        time.sleep(0.002)


def end(entries: Iterable[Entry], seconds: float) -> bool:
    """Wait for ``entries`` to be gone, killing them when they are not within ``seconds``."""
    left = [known for known in entries if same(known)]
    if wait_gone([known.pid for known in left], seconds):
        return True
    for known in left:
        if same(known):
            send(known.pid, signal.SIGKILL)
    return wait_gone([known.pid for known in left], 1.0)


def reads(pid: int, fd: int) -> bool | None:
    """Whether ``pid`` is blocked in read(``fd``); None when the kernel does not tell (another user, no such file)."""
    try:
        with open(f"/proc/{pid}/syscall") as file:
            fields = file.read().split()
    except OSError:
        return None
    if len(fields) < 2:  # "running"
        return False
    # read is system call 0 on x86-64 and 63 on arm64 and riscv64.
    return fields[0] in _READ and int(fields[1], 16) == fd


_READ = ("0",) if os.uname().machine in ("x86_64", "amd64") else ("63", "3")


def target(pid: int, fd: int) -> str:
    """Where descriptor ``fd`` of ``pid`` leads; empty when the kernel does not tell."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{fd}")
    except OSError:
        return ""


def terminal_use(group: int) -> str:
    """How a process of ``group`` waits on a terminal: ``"reads"`` (blocked in read), ``"polls"`` (blocked in select,
    poll or epoll with a terminal open), or ``""``."""
    polls = False
    for pid in group_members(group):
        try:
            with open(f"/proc/{pid}/syscall") as file:
                fields = file.read().split()
            if len(fields) < 2:
                continue
            if fields[0] in _READ:
                if _is_terminal(target(pid, int(fields[1], 16))):
                    return "reads"
            elif fields[0] in _POLL:
                polls = polls or any(_is_terminal(target(pid, int(fd))) for fd in os.listdir(f"/proc/{pid}/fd"))
        except (OSError, ValueError):
            continue
    return "polls" if polls else ""


def _is_terminal(path: str) -> bool:
    return path == "/dev/tty" or path.startswith("/dev/pts/")


# poll, select, epoll_wait, pselect6, ppoll, epoll_pwait, epoll_pwait2
_POLL = (
    ("7", "23", "232", "270", "271", "281", "441")
    if os.uname().machine in ("x86_64", "amd64")
    else ("72", "73", "22", "441")
)


def crowd() -> int:
    """Tasks on the whole machine (15 µs); 0 when /proc does not say."""
    try:
        with open("/proc/loadavg") as file:
            return int(file.read().split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return 0


def more_descendants_than(pid: int, most: int) -> bool:
    """Whether more than ``most`` processes descend from ``pid``; stops looking when it knows."""
    found, waiting = 0, [pid]
    while waiting and found <= most:
        below = children(waiting.pop())
        found += len(below)
        waiting += below
    return found > most
