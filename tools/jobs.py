"""What a shell left running: jobs in the background and daemons, each with its own output.

A job is a process group below the shell that has not the terminal. It is found by looking (/proc), not by asking bash,
so that ``setsid``, ``disown`` and double forks hide nothing. What jobs write is read by a thread of its own: it belongs
to no later command, and a job that writes much does not stand still for want of a reader.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nimllm.errors import SHELL, USAGE, NimError
from nimllm.tools import processes
from nimllm.tools.capture import Capture
from nimllm.tools.processes import Entry

KEPT = 64 << 10  # bytes kept of what the jobs of one command write, head and tail
GRACE = 0.5  # seconds between SIGTERM and SIGKILL
PAUSE = 0.005  # seconds between two reads (256 KiB at most), so that a job that writes for ever leaves us the processor
REMEMBERED = 256  # commands whose text is kept for their jobs


@dataclass(frozen=True)
class Job:
    """``id`` lasts as long as the job; ``pid`` is its first process as commands see it, ``pids`` are all of them as
    this system numbers them. ``command``: the text that started it; ``program``: what runs now. ``output``: head and
    tail of what it wrote since that command ended, cleaned."""

    id: int
    pid: int
    pids: tuple[int, ...]
    command: str
    program: str
    seconds: float
    state: Literal["running", "stopped"]
    output: str


@dataclass
class _Group:
    id: int
    number: int  # of the command that started it
    members: dict[int, Entry] = field(default_factory=dict)


class Jobs:
    """The jobs of one shell. ``below``: all processes of the shell but bash itself and the sandbox around it."""

    def __init__(self, below: Callable[[], dict[int, Entry]]) -> None:
        self._below = below
        self._groups: dict[int, _Group] = {}
        self._texts: dict[int, str] = {}
        self._outputs: dict[int, Capture] = {}
        self._next = 1
        self._lock = threading.RLock()
        self._reader = _Reader()

    def note(self, number: int, text: str, foreground: int = -1) -> bool:
        """Look at what runs now; what is new was started by command ``number``. Whether anything runs."""
        found = self._below()
        with self._lock:
            groups: dict[int, _Group] = {}
            members: dict[int, list[Entry]] = {}
            for entry in found.values():
                if entry.group != foreground:
                    members.setdefault(entry.group, []).append(entry)
            for key, entries in members.items():
                group = self._groups.get(key) or self._moved(entries, members) or self._family(entries[0], found)
                if group is not None and any(group is other for other in groups.values()):
                    group = self._new(group.number)  # one job became two
                elif group is None:
                    group = self._new(number)
                    self._texts[number] = text
                group.members = {entry.pid: entry for entry in entries}
                groups[key] = group
            self._groups = groups
            kept = {group.number for group in groups.values()}
            for old in [other for other in self._texts if other not in kept][:-REMEMBERED]:
                del self._texts[old]
            for old in [other for other in self._outputs if other not in kept][:-REMEMBERED]:
                del self._outputs[old]
            return bool(groups)

    def _new(self, number: int) -> _Group:
        self._next += 1
        return _Group(self._next - 1, number)

    def _moved(self, entries: list[Entry], present: dict[int, list[Entry]]) -> _Group | None:
        """The job that these processes were when they were in another group, which is gone (``setsid``)."""
        for key, group in self._groups.items():
            if key not in present and any(
                (known := group.members.get(entry.pid)) and known.start == entry.start for entry in entries
            ):
                return group
        return None

    def _family(self, entry: Entry, found: dict[int, Entry]) -> _Group | None:
        """A new group that an older job opened is no job of the present command: it gets that command's number."""
        parent = found.get(entry.parent)
        while parent is not None:
            if older := self._groups.get(parent.group):
                return self._new(older.number)
            parent = found.get(parent.parent)
        return None

    def forget(self) -> None:
        """Nothing runs any more."""
        if self._groups:
            with self._lock:
                self._groups = {}

    @property
    def count(self) -> int:
        return len(self._groups)

    def old(self) -> set[int]:
        """Process groups that were jobs when last looked at."""
        with self._lock:
            return set(self._groups)

    def list(self, number: int, text: str, foreground: int) -> list[Job]:
        self.note(number, text, foreground)
        with self._lock:
            return sorted((self._job(group) for group in self._groups.values()), key=lambda job: job.id)

    def _job(self, group: _Group) -> Job:
        entries = sorted(group.members.values(), key=lambda entry: (entry.start, entry.pid))
        first = entries[0]
        # bash that waits for a list says nothing of what runs: its child does
        lines = [processes.command_line(entry.pid) for entry in entries]
        program = next((line for line in lines if line and "--rcfile" not in line), "bash")
        output = self._outputs.get(group.number)
        return Job(
            group.id,
            processes.inner_pid(first.pid),
            tuple(entry.pid for entry in entries),
            self._texts.get(group.number, ""),
            program,
            first.seconds,
            "stopped" if all(entry.state in "Tt" for entry in entries) else "running",
            output.text() if output else "",
        )

    def kill(self, job: int) -> None:
        """SIGTERM, then SIGKILL, until no process of it is left. NimError (USAGE): there is no such job; (SHELL): it
        does not go (it hangs in the kernel)."""
        with self._lock:
            key, group = next(((key, group) for key, group in self._groups.items() if group.id == job), (0, None))
        if group is None:
            known = ", ".join(str(other.id) for other in self._groups.values())
            raise NimError(f"there is no job {job}", "", f"the jobs are {known}" if known else "no job runs", USAGE)
        started = {entry.pid: entry.start for entry in group.members.values()}

        def members() -> list[Entry]:  # one may open a session of its own this very moment
            below = self._below().values()
            return [entry for entry in below if entry.group == key or started.get(entry.pid) == entry.start]

        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
            found = members()
            for entry in found:
                processes.send(entry.pid, number)
                processes.send(entry.pid, signal.SIGCONT)  # a stopped one would keep the signal for later
            if processes.wait_gone([entry.pid for entry in found], GRACE) and not members():
                return
        raise NimError(f"job {job} does not end", "it hangs in the kernel", "", SHELL)

    # ---- output -------------------------------------------------------------------------------------------------

    def stray(self, number: int, data: bytes) -> None:
        """Output that came behind the end of command ``number``."""
        if data:
            with self._lock:
                self._outputs.setdefault(number, Capture(limit=KEPT)).add(data)

    def adopt(self, number: int, fifo: Path, fd: int) -> None:
        """Read ``fifo`` until all its writers are gone, as output of the jobs of command ``number``. ``fd``, which
        holds it open, is closed, and its name removed."""
        try:
            reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            reading = -1
        os.close(fd)
        fifo.unlink(missing_ok=True)
        if reading >= 0:
            self._reader.add(reading, lambda data: self.stray(number, data))

    def close(self) -> None:
        self._reader.close()


class _Reader:
    """A thread that reads pipes; it starts with the first of them and ends with the last."""

    def __init__(self) -> None:
        self._takers: dict[int, Callable[[bytes], None]] = {}
        self._poll = select.poll()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake: tuple[int, int] | None = None

    def add(self, fd: int, take: Callable[[bytes], None]) -> None:
        with self._lock:
            self._takers[fd] = take
            if self._wake is None:
                self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
                self._poll.register(self._wake[0], select.POLLIN)
            self._poll.register(fd, select.POLLIN)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="nimllm-jobs", daemon=True)
                self._thread.start()
            else:
                os.write(self._wake[1], b"+")

    def _work(self) -> None:
        while True:
            events = self._poll.poll()
            for fd, _ in events:
                if self._wake is not None and fd == self._wake[0]:
                    os.read(fd, 4096)
                    continue
                try:
                    data = os.read(fd, 1 << 18)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if data:
                    self._takers[fd](data)
                    time.sleep(PAUSE)
                else:
                    self._forget(fd)
            with self._lock:
                if not self._takers:
                    self._thread = None
                    if self._wake is not None:
                        self._poll.unregister(self._wake[0])
                        for end in self._wake:
                            os.close(end)
                        self._wake = None
                    return

    def _forget(self, fd: int) -> None:
        with self._lock:
            self._takers.pop(fd, None)
            self._poll.unregister(fd)
            os.close(fd)

    def close(self) -> None:
        """To be called when the writers are dead: waits for the thread, which then ends by itself."""
        thread = self._thread
        if thread is not None:
            thread.join(2.0)
