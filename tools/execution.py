"""One command in flight: three events race (its report, the death of the shell, the deadline), and what stops it.

It is stopped by a ladder, SIGINT, SIGTERM, SIGKILL, then the whole shell, which everything that the command started has
to climb, daemons included; jobs of earlier commands stay. Nobody answers a program that asks its terminal: it is told
that there is no more input, or, when it asks for a password or takes the whole screen, stopped with the reason.
"""

from __future__ import annotations

import os
import re
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from nimllm.tools import processes
from nimllm.tools.bash import Bash
from nimllm.tools.capture import Capture, Stream, clean, decode
from nimllm.tools.channel import Channel

Ended = Literal["done", "timeout", "interrupted", "died"]
Watch = Callable[[], str]  # a sentence when the command must be stopped, shell and all; else empty
RUNGS = ((signal.SIGINT, 0.8), (signal.SIGTERM, 0.5), (signal.SIGKILL, 0.4))  # seconds of grace after each
TICK_FIRST, TICK_LAST = 0.03, 0.25  # seconds between looks at a silent command
PATIENCE = 6  # reports typed to a bash that reads its prompt and does not answer, before it is given up
SILENCE = 1.0  # seconds without output after which a program that reads the terminal is taken to wait for somebody
ENDS_OF_FILE = 3  # told so often that there is no input, before it is stopped

_PASSWORD = re.compile(r"(?:pass ?(?:word|phrase|code)|\bpin\b|\bsecret\b|passwort|mot de passe)[^\n]*[:?>]?\s*$", re.I)
_SCREEN = re.compile(rb"\x1b\[\?(?:1049|1047|47)h")


class Interrupts:
    """How often somebody asked to stop, and a descriptor that becomes readable then."""

    def __init__(self) -> None:
        self.count = 0
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ask(self) -> None:
        """Safe in threads and signal handlers."""
        self.count += 1
        try:
            os.write(self._write, b"!")
        except OSError:
            pass

    def close(self) -> None:
        for fd in (self.fd, self._write):
            if fd >= 0:
                os.close(fd)
        self.fd = self._write = -1


class Execution:
    """Waits for the end of a command that :class:`Bash` was told to run. ``deadline``: by time.monotonic().

    Afterwards: ``reply`` (status, folder, whether the folder had to be left), None when the shell is dead or must be
    killed; ``exports``; ``bent``; ``ended``; ``reason``, a sentence when something stopped the command, or nearly did.
    """

    def __init__(
        self,
        bash: Bash,
        channel: Channel,
        interrupts: Interrupts,
        capture: Capture,
        stream: Stream | None = None,
        deadline: float | None = None,
        watches: Sequence[Watch] = (),
        old_groups: frozenset[int] = frozenset(),
        starting: bool = False,
    ) -> None:
        self.bash, self.channel, self.interrupts = bash, channel, interrupts
        self.capture, self.stream, self.deadline = capture, stream, deadline
        self.token = _token()
        self.reply: tuple[int, Path, bool] | None = None
        self.exports = b""
        self.bent = False  # the shell answers, and must be replaced all the same
        self.ended: Ended = "done"
        self.reason = ""
        self.said = b""  # what went to the terminal itself
        self.control = bytearray()
        self._searched = 0
        self._watches, self._old_groups = watches, old_groups
        self._starting = starting  # not a command but the first report of a new shell
        self._hinted = starting
        self._typed, self._typed_at = 0, 0.0
        self._dead = False
        self._rung, self._next_rung = 0, 0.0
        self._signalled: dict[int, processes.Entry] = {}
        self._ends_of_file = 0
        self._waited = False
        self._started = self._wrote_at = time.monotonic()
        channel.begin(self.token)

    @property
    def stopping(self) -> bool:
        return self._rung > 0

    # ---- waiting -------------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Until the report, the death of the shell, or the last rung."""
        bash = self.bash
        tick, next_tick = TICK_FIRST, self._started + TICK_FIRST
        bash.poll.modify(bash.control, select.POLLIN)
        while self.reply is None and not self._dead:
            if self._hinted and not self._typed:
                self._report()
            until = min(next_tick, self._next_rung or next_tick, self.deadline or next_tick)
            try:
                events = bash.poll.poll(max(0.0, until - time.monotonic()) * 1000)
            except KeyboardInterrupt:  # ^C with Python's own handler means the same as an interrupt
                self.interrupts.count += 1
                events = []
            for fd, _ in events:
                self._event(fd)
            now = time.monotonic()
            if self.reply is not None or self._dead:
                break
            if self._must_stop(now):
                if self._starting or not self._climb(now):
                    break
                tick = TICK_FIRST / 8
                next_tick = now + tick
            if now >= next_tick:
                if self._typed:
                    self._event(bash.control)  # an environment that does not fit into the pipe
                    if self.reply is not None:
                        break
                if not self._starting and not self._look(now):
                    break
                self._dead = not bash.alive()
                tick = min(tick * 1.5, 0.05 if self._rung else 0.12 if self.stream else TICK_LAST)
                next_tick = now + tick
        self._settle()

    def _event(self, fd: int) -> None:
        bash = self.bash
        if fd == bash.control:
            self.control += _read(fd)
            self._hinted = True
            self._parse()
        elif fd == bash.output:
            self._emit(_read(fd))
            if self.channel.marked:  # the record came before the token
                self._event(bash.control)
        elif fd == bash.pty:
            data = _read(fd)
            if not data:
                self._dead = not bash.alive()
            self.said = (self.said + data)[-4096:]
            if not self._starting and not (self._rung and not data.strip()):  # ^C has bash end its line
                self._emit(data)
                if b"\x1b[?" in data and _SCREEN.search(self.said):
                    self._stop("it takes the whole screen, and there is none")
        elif fd == self.interrupts.fd:
            _read(fd)
        else:
            self._dead = not bash.alive()

    def _must_stop(self, now: float) -> bool:
        """Whether the next rung is due: the deadline, an interrupt (each goes up one), or grace that ran out."""
        if self.ended == "done" and self.deadline is not None and now >= self.deadline and not self.reason_stops:
            self.ended = "timeout"
            return True
        if self.interrupts.count and not self._starting:
            self.interrupts.count -= 1
            self.ended = "interrupted" if self.ended == "done" else self.ended
            return True
        return self._next_rung > 0 and now >= self._next_rung

    @property
    def reason_stops(self) -> bool:
        """Whether the reason is why the command is being stopped (not merely what it was told)."""
        return bool(self.reason) and self._next_rung > 0

    def _stop(self, reason: str) -> None:
        """Begin to climb, for a reason of our own."""
        if not self._rung and not self.reason_stops:
            self.reason = reason
            self._next_rung = time.monotonic()

    def _climb(self, now: float) -> bool:
        """The next rung of stopping a command; False when none is left but the shell itself."""
        bash, group = self.bash, self.bash.foreground()
        below = self._started_processes()
        if self._rung >= len(RUNGS) or (self._rung and group == bash.group and not below):
            return False  # bash itself is what does not stop
        number, grace = RUNGS[self._rung]
        self._signalled.update(below)
        for other in {entry.group for entry in below.values()} | {group}:
            if other > 0 and other != bash.group:
                processes.send_group(other, signal.SIGCONT)
                processes.send_group(other, number)
        for entry in below.values():
            if entry.group == bash.group:  # started without job control: no group of its own
                processes.send(entry.pid, number)
        # bash as well: it would go on with the next command of the list, and may itself be the loop that runs.
        processes.send(bash.group, signal.SIGCONT)
        processes.send(bash.group, signal.SIGINT)
        self._next_rung = now + grace
        self._rung += 1
        return True

    def _started_processes(self) -> dict[int, processes.Entry]:
        """What the command started, as far as it still runs: all below the shell but the jobs of earlier commands."""
        if self.bash.alone():
            return {}
        below = self.bash.below()

        def old(entry: processes.Entry) -> bool:
            while entry.group not in self._old_groups:
                if entry.parent not in below:
                    return False
                entry = below[entry.parent]
            return True

        return {pid: entry for pid, entry in below.items() if not old(entry)}

    def _look(self, now: float) -> bool:
        """A tick: is bash at its prompt without having reported? False when it must be given up."""
        bash = self.bash
        if self.stream and now - self._wrote_at > 0.1:
            self._show(self.channel.release())
            self.stream.flush()
        for watch in self._watches:
            if not self.reason_stops and (why := watch()):
                self.ended = "died" if self.ended == "done" else self.ended
                self.reason = why
                self.note(f"stopped: {why}")
                return False
        if not self._rung and not self._hinted and now - self._started < 0.2:
            return True
        group = bash.foreground()
        at_prompt = group == bash.group and bash.at_prompt()
        if at_prompt is not False:
            patience = 0.15 if at_prompt else 1.0
            if not self._typed or now - self._typed_at > patience:
                if self._typed >= PATIENCE:
                    self.ended = "died" if self.ended == "done" else self.ended
                    return False
                self._report()
        elif now - self._wrote_at > SILENCE and not self._rung:
            self._unattended(now)
        return True

    def _unattended(self, now: float) -> None:
        """Does the silent command wait for somebody at the terminal? Nobody will answer."""
        bash = self.bash
        self._event(bash.pty)  # the question, which may have come this very moment
        if self._rung or self._next_rung:
            return
        said = clean(decode(self.said)).rstrip("\n").rpartition("\n")[2].strip()[-80:]
        quoted = f' ("{said}")' if said else ""
        use = bash.terminal_use()
        lines, echoes = bash.terminal_mode()
        if use and not said and not self._waited:  # the question may still be on its way through the kernel
            self._waited = True
            return
        if _PASSWORD.search(said) and (use or bash.foreground() != bash.group):
            self._stop(f"it asked for a password{quoted}, and nobody types one here")
        elif use and not lines:
            self._stop(f"it waits for keys on the terminal{quoted}, and nobody is there to press them")
        elif use == "reads" and not echoes:
            self._stop(f"it asked for something that is not shown{quoted}, and nobody types here")
        elif use == "reads" and self._ends_of_file >= ENDS_OF_FILE:
            self._stop(f"it asks the terminal again and again{quoted}, and nobody answers")
        elif use == "reads":
            self._ends_of_file += 1
            self._wrote_at = now
            self.reason = f"it asked the terminal{quoted}, and was told that there is no input"
            bash.end_of_file()

    def _settle(self) -> None:
        """Read what is still in the pipes; see that what was signalled is gone."""
        bash = self.bash
        if self._dead and self.ended == "done" and not self._starting:
            self.ended = "died"
        if self.reply is None:
            bash.kill()
        for fd in (bash.output, bash.control):
            while data := _read(fd):
                if fd == bash.output:
                    self._emit(data)
                else:
                    self.control += data
        if not self.channel.marked:
            self._emit(b"", final=True)
        if self._signalled and self.reply is not None:
            # bash reported before everything was gone: what is left has had its chance
            processes.end(self._signalled.values(), 0.1)
            processes.end(self._started_processes().values(), 0.0)
        if self._typed > 1 or not self.channel.marked:  # it comes again, or late: not in the next command's output
            self.channel.retire()
        if self.reason_stops and self.ended in ("done", "died"):
            self.note(f"stopped: {self.reason}")

    def _report(self) -> None:
        self._typed += 1
        self._typed_at = time.monotonic()
        # bash writes its environment line by line; nobody needs to wake up for each of them
        self.bash.poll.modify(self.bash.control, 0)
        self.bash.report(self.token, self._typed > 1)

    def _parse(self) -> None:
        """Find our record in the control FIFO: NUL token LF NUL status NUL moved bent NUL folder NUL exports LF token
        NUL."""
        begin = self.control.find(b"\0" + self.token + b"\n")
        if begin < 0:
            self.control = self.control[-(1 << 16) :]
            return
        del self.control[:begin]
        end = self.control.find(b"\n" + self.token + b"\0", max(1, self._searched - 64))
        self._searched = len(self.control)  # an environment may have megabytes
        if end < 0:
            return
        fields = bytes(self.control[:end]).split(b"\0")
        try:
            status, flags, folder, exports = fields[2], fields[3], fields[4], fields[5]
            self.reply = (int(status), Path(os.fsdecode(folder)), flags[:1] == b"1")
        except (IndexError, ValueError):  # somebody wrote into it meanwhile; the next report will be whole
            self.control.clear()
            self._searched = 0
            return
        self.exports, self.bent = exports, flags[1:] == b"1"

    def last_words(self) -> tuple[Path, bytes] | None:
        """Folder and environment from the EXIT trap of a shell that is dead: unproven, but nothing else is known."""
        begin = self.control.rfind(b"\0last\n")
        fields = bytes(self.control[begin:]).split(b"\0") if begin >= 0 else []
        if len(fields) >= 6 and fields[4].startswith(b"/"):
            return Path(os.fsdecode(fields[4])), fields[5]
        return None

    # ---- output --------------------------------------------------------------------------------------------------

    def _emit(self, data: bytes, final: bool = False) -> None:
        if data and not self.channel.marked:
            self._wrote_at = time.monotonic()
        self._show(self.channel.feed(data, final))

    def note(self, text: str) -> None:
        """A line of our own in the output."""
        begun = b"" if self.capture.at_line_start else b"\n"
        self._show(begun + f"nimllm: {text}\n".encode("utf-8", "surrogateescape"))

    def _show(self, data: bytes) -> None:
        if data:
            self.capture.add(data)
            if self.stream:
                self.stream.add(data)


def _token() -> bytes:
    return os.urandom(16).hex().encode()


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 18)
    except OSError:  # nothing there (BlockingIOError), or every other end of the pty is closed (EIO)
        return b""
