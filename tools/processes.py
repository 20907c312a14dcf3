"""Who runs: what /proc says of the shell's descendants, and signals that do not mind a process that is gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable


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
    """Direct children, in order of their ids."""
    try:
        found: list[int] = []
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
        return sorted(found)
    except FileNotFoundError:  # gone; or a kernel without CONFIG_PROC_CHILDREN
        return sorted(other for other in _all() if (stat := _stat(other)) and int(stat[1]) == pid)
    except OSError:
        return []


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


def end_groups(groups: Iterable[int], seconds: float) -> bool:
    """Wait for the members of ``groups`` to be gone, killing them when they are not within ``seconds``."""
    members = [pid for group in groups for pid in group_members(group)]
    if wait_gone(members, seconds):
        return True
    for pid in members:
        send(pid, signal.SIGKILL)
    return wait_gone(members, 1.0)


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


def reads_terminal(group: int, prompt: tuple[int, int] = (0, 0)) -> bool:
    """Whether a process of ``group`` is blocked reading a terminal; process and descriptor of ``prompt`` count only
    when the descriptor leads to /dev/tty."""
    for pid in group_members(group):
        try:
            with open(f"/proc/{pid}/syscall") as file:
                fields = file.read().split()
            if len(fields) > 1 and fields[0] in _READ:
                fd = int(fields[1], 16)
                where = os.readlink(f"/proc/{pid}/fd/{fd}")
                if where == "/dev/tty" or (where.startswith("/dev/pts/") and (pid, fd) != prompt):
                    return True
        except (OSError, ValueError):
            continue
    return False


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
