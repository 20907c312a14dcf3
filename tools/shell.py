"""One persistent bash: commands share its folder, environment and functions, and nothing they do can wedge it.

How a command runs (nothing of it is ever typed into the terminal):

1. its text goes to a private file; one short line, typed into the pty, sources ``go``, which sources that file with
   stdin from /dev/null and stdout and stderr into a FIFO (a pipe, so programs write neither colours nor columns);
2. when it ends, ``go`` writes a byte into the control FIFO: a mere hint, anybody could forge it;
3. on the hint the line ``report TOKEN`` is typed, TOKEN random and never seen by the command. bash reads it only at its
   prompt, so the answer *proves* that the command is over: the token in the output marks where the output ends, and
   the control FIFO brings token, status, folder and exported environment. ``report`` also puts back whatever a
   command may have bent: options, traps, IFS, prompts, PATH, functions named like builtins, a folder that is gone;
4. no hint (^C aborts ``go``, a function called ``printf``): a tick that finds bash reading its prompt types the line;
5. death of the shell (``exit``, ``exec``, ``set -e``, ``kill -9 $$``) and the deadline race with all of this. A dead
   shell is started again in the same folder with the same exported environment.

Measured (2 cores, idle): 0.5 ms for ``true``, 30 ms to start in bubblewrap.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nimllm.errors import SHELL, NimError
from nimllm.tools import processes
from nimllm.tools.bash import Bash, find_bash
from nimllm.tools.capture import Capture, Stream, clean, decode
from nimllm.tools.sandbox import Sandbox

Ended = Literal["done", "timeout", "interrupted", "died"]
START_SECONDS = 15.0
GRACE = 1.0  # seconds a command is given after SIGINT, SIGTERM and SIGKILL each, before the next rung
RUNGS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
TICK_FIRST, TICK_LAST = 0.03, 0.25  # seconds between looks at a silent command
PATIENCE = 6  # reports typed to a bash that reads its prompt and does not answer, before it is given up


@dataclass(frozen=True)
class Result:
    """One command. ``status``: its exit status; 124 when the deadline stopped it, 130 when the user did.

    ``bytes`` counts what it wrote; ``output`` is cleaned, and cut to head and tail when ``truncated``; then ``log``
    holds all of it, raw. ``ended == "died"``: the shell itself ended (``exit``, ``exec``, a kill); ``restarted`` says
    that a new one is in its place.
    """

    command: str
    status: int | None
    output: str
    seconds: float
    cwd: Path
    bytes: int
    truncated: bool
    ended: Ended
    restarted: bool
    log: Path | None


@dataclass
class _Run:
    """The state of the command in flight."""

    token: bytes
    capture: Capture
    stream: Stream | None
    deadline: float | None
    started: float
    starting: bool = False  # not a command but the first report of a new shell
    pending: bytes = b""  # output that may be the beginning of a needle
    control: bytes = b""
    said: bytes = b""  # what went to the terminal itself
    hinted: bool = False
    typed: int = 0
    typed_at: float = 0.0
    reply: tuple[int, Path, bool] | None = None  # status, folder, whether the folder had to be left
    marked: bool = False
    dead: bool = False
    why: Ended = "done"
    rung: int = 0
    next_rung: float = 0.0
    signalled: set[int] = field(default_factory=set)
    ends_of_file: int = 0
    wrote_at: float = 0.0
    crowd: int = 0  # tasks on the machine when the command began


class Shell:
    """A bash in ``sandbox``. ``outputs``: folder for the full output of commands that wrote more than is kept.

    One command at a time (a second caller waits); :meth:`interrupt` may be called from any thread or signal handler.
    NimError (SHELL) when bash cannot be started.
    """

    def __init__(
        self, workspace: Path, sandbox: Sandbox, outputs: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.workspace = Path(os.path.realpath(workspace))
        self.sandbox = sandbox
        self._outputs = outputs
        self._env = sandbox.environment(os.environ if env is None else env)
        self._program = find_bash(self._env)
        self._mark = os.urandom(8).hex()
        self._cwd = self.workspace
        self._exports = b""
        self._count = 0
        self._lock = threading.Lock()
        self._running = False
        self._closed = False
        self._interrupts = 0
        self._left = b""  # output that came between commands, from jobs in the background
        self._stale: list[bytes] = []  # tokens that may still turn up in the output
        self._bash: Bash | None = None
        self._private = Path(tempfile.mkdtemp(prefix="nimllm-shell-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self._private, True)
        self._needle = f"{sandbox.inside(self._private)}/command: ".encode()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    # ---- starting and ending -------------------------------------------------------------------------------------

    def _start(self) -> None:
        now = time.monotonic()
        bash = Bash(self._program, self.sandbox, self._private, self._env, self._mark, self._cwd, self._exports)
        self._bash = bash
        bash.poll.register(self._wake_read, select.POLLIN)
        run = _Run(_token(), Capture(), None, now + START_SECONDS, now, starting=True, hinted=True)
        self._wait(run, bash)
        if run.reply is None:
            why = clean(decode(run.said + run.capture.text().encode())).strip().split("\n")[0]
            raise NimError(
                "bash cannot be started", why or f"no answer within {START_SECONDS:.0f} s", "see nimllm doctor", SHELL
            )
        bash.settled()
        self._cwd = run.reply[1]

    def _discard(self) -> None:
        bash, self._bash = self._bash, None
        if bash is not None:
            bash.close()

    def close(self) -> None:
        """End the shell with everything it started, and a command in flight with it; a second call does nothing."""
        self._closed = True
        for _ in range(4):
            self.interrupt()
            if self._lock.acquire(timeout=1.0):
                break
        else:
            return  # run() itself closes, below
        try:
            self._release()
        finally:
            self._lock.release()

    def _release(self) -> None:
        self._discard()
        self._remove()
        for fd in (self._wake_read, self._wake_write):
            if fd >= 0:
                os.close(fd)
        self._wake_read = self._wake_write = -1

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def cwd(self) -> Path:
        """Where the next command starts."""
        return self._cwd

    @property
    def exports(self) -> bytes:
        """The exported environment, as the shell's ``export -p`` wrote it after the last command."""
        return self._exports

    @property
    def private(self) -> Path:
        """The folder of this shell alone; its ``tmp/`` is /tmp inside a sandbox."""
        return self._private

    # ---- running -------------------------------------------------------------------------------------------------

    def run(self, command: str, timeout: float | None = 60.0, on_output: Callable[[str], None] | None = None) -> Result:
        """Run ``command`` and wait for its end, at most ``timeout`` seconds (None: for ever).

        ``on_output`` gets cleaned text as it comes. Several lines are checked for syntax first, so that half a script
        does not run (a single line bash itself parses whole). NimError (SHELL) when a dead shell cannot be restarted.
        """
        with self._lock:
            if self._closed:
                raise NimError("the shell is closed", code=SHELL)
            started = time.monotonic()
            self._interrupts = 0
            self._running = True
            try:
                return self._run(command, timeout, on_output, started)
            finally:
                self._running = False
                if self._closed:
                    self._release()

    def interrupt(self) -> None:
        """Stop the command that runs: SIGINT to its process group, then SIGTERM, SIGKILL, then the whole sandbox.

        Returns at once; run() returns when the processes are gone. Each further call goes up one rung. Without a
        command in flight it does nothing. Safe in threads and signal handlers.
        """
        if self._running:
            self._interrupts += 1
            try:
                os.write(self._wake_write, b"!")
            except OSError:
                pass

    def _run(
        self, command: str, timeout: float | None, on_output: Callable[[str], None] | None, started: float
    ) -> Result:
        bash, restarted = self._alive_bash()
        self._count += 1
        log = self._outputs / f"{self._count:05d}-{self._mark[:6]}.log" if self._outputs else None
        script = _encoded(command.replace("\r\n", "\n"))
        (self._private / "command").write_bytes(script + b"\n")
        if b"\n" in script.strip(b"\n") and (complaint := self._syntax_error()) is not None:
            if on_output and complaint:
                on_output(complaint)
            took = time.monotonic() - started
            return Result(command, 2, complaint, took, self._cwd, len(complaint), False, "done", restarted, None)
        deadline = None if timeout is None else started + timeout
        run = _Run(_token(), Capture(log), Stream(on_output) if on_output else None, deadline, started)
        run.wrote_at, run.crowd = started, processes.crowd()
        run.pending, self._left = self._left, b""
        try:
            bash.go()
            self._wait(run, bash)
            status = self._concluded(run, bash)
            if run.stream:
                run.stream.flush(final=True)
        except BaseException:
            # on_output raised: the command must not go on unseen, nor its end be taken for the next one's.
            run.capture.close()
            self._discard()
            if not self._closed:
                self._start()
            raise
        if run.reply is None and not self._closed:
            self._start()
            restarted = True
        capture = run.capture
        capture.close()
        took = time.monotonic() - started
        return Result(
            command,
            status,
            capture.text(),
            took,
            self._cwd,
            capture.total,
            capture.truncated,
            run.why,
            restarted,
            capture.log,
        )

    def _alive_bash(self) -> tuple[Bash, bool]:
        """The shell, started again when it died between two commands (killed from outside, or by a job it left)."""
        bash = self._bash
        if bash is not None and bash.alive() and bash.whole():
            return bash, False
        self._discard()
        self._start()
        assert self._bash is not None
        return self._bash, True

    def _concluded(self, run: _Run, bash: Bash) -> int | None:
        """Take over what the report, or the dead shell, leaves behind; the status of the command."""
        status: int | None
        if run.reply is not None:
            status, self._cwd, moved = run.reply
            if moved:
                self._note(run, f"the current folder is gone; now in {self._cwd}")
        else:
            status = bash.status() if run.why == "died" else None
            # Folder and environment from the EXIT trap: unproven, but the shell is dead and nothing else is known.
            begin = run.control.rfind(b"\0last\n")
            fields = run.control[begin:].split(b"\0") if begin >= 0 else []
            if len(fields) >= 6 and fields[4].startswith(b"/"):
                self._cwd, self._exports = Path(os.fsdecode(fields[4])), fields[5]
            self._discard()
        return {"timeout": 124, "interrupted": 130}.get(run.why, status)

    def _syntax_error(self) -> str | None:
        checked = subprocess.run(
            [self._program, "--norc", "-O", "extglob", "-n", str(self._private / "command")],
            env={"PATH": self._env["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        if checked.returncode == 0:
            return None
        return clean(decode(checked.stderr.replace(f"{self._private}/command: ".encode(), b"bash: ")))

    # ---- waiting -------------------------------------------------------------------------------------------------

    def _wait(self, run: _Run, bash: Bash) -> None:
        """Until the report, the death of the shell, or the last rung."""
        tick, next_tick = TICK_FIRST, run.started + TICK_FIRST
        while run.reply is None and not run.dead:
            if run.hinted and not run.typed:
                self._report(run, bash)
            until = min(next_tick, run.next_rung or next_tick, run.deadline or next_tick)
            try:
                events = bash.poll.poll(max(0.0, until - time.monotonic()) * 1000)
            except KeyboardInterrupt:  # ^C with Python's own handler means the same as interrupt()
                self._interrupts += 1
                events = []
            for fd, _ in events:
                self._event(fd, run, bash)
            now = time.monotonic()
            if run.reply is not None or run.dead:
                break
            if self._must_stop(run, now):
                if run.starting or not self._climb(run, bash, now):
                    break
                tick = TICK_FIRST / 8
                next_tick = now + tick
            if now >= next_tick:
                if not run.starting and not self._look(run, bash, now):
                    break
                run.dead = not bash.alive()
                tick = min(tick * 1.5, 0.05 if run.rung else 0.12 if run.stream else TICK_LAST)
                next_tick = now + tick
        self._settle(run, bash)

    def _event(self, fd: int, run: _Run, bash: Bash) -> None:
        if fd == bash.control:
            run.control += _read(fd)
            run.hinted = True
            self._parse(run)
        elif fd == bash.output:
            self._emit(run, _read(fd))
        elif fd == bash.pty:
            data = _read(fd)
            if not data:
                run.dead = not bash.alive()
            run.said = (run.said + data)[-4096:]
            if not run.starting and not (run.rung and not data.strip()):  # ^C has bash end its line
                self._emit(run, data)
        elif fd == self._wake_read:
            _read(fd)
        else:
            run.dead = not bash.alive()

    def _must_stop(self, run: _Run, now: float) -> bool:
        """Whether the next rung is due: the deadline, an interrupt (each goes up one), or grace that ran out."""
        if run.why == "done" and run.deadline is not None and now >= run.deadline:
            run.why = "timeout"
            return True
        if self._interrupts and not run.starting:
            self._interrupts -= 1
            run.why = "interrupted" if run.why == "done" else run.why
            return True
        return bool(run.rung) and now >= run.next_rung

    def _climb(self, run: _Run, bash: Bash, now: float) -> bool:
        """The next rung of stopping a command; False when none is left but the shell itself."""
        group = bash.foreground()
        if run.rung >= len(RUNGS) or (run.rung and group == bash.group):  # bash itself is what does not stop
            return False
        if group > 0 and group != bash.group:
            run.signalled.add(group)
            processes.send_group(group, signal.SIGCONT)
            processes.send_group(group, RUNGS[run.rung])
        # bash as well: it would go on with the next command of the list, and may itself be the loop that runs.
        processes.send(bash.group, signal.SIGCONT)
        processes.send(bash.group, signal.SIGINT)
        run.next_rung = now + GRACE
        run.rung += 1
        return True

    def _look(self, run: _Run, bash: Bash, now: float) -> bool:
        """A tick: is bash at its prompt without having reported? False when it must be given up."""
        if run.stream and now - run.wrote_at > 0.1:
            # what was held back as the beginning of a token is none: a token is written in one piece
            self._show(run, run.pending)
            run.pending = b""
            run.stream.flush()
        if self._crowded(run, bash):
            run.why = "died" if run.why == "done" else run.why
            self._note(run, f"stopped: it started more than {self.sandbox.limits.processes} processes")
            return False
        if not run.rung and not run.hinted and now - run.started < 0.2:
            return True
        group = bash.foreground()
        at_prompt = group == bash.group and bash.at_prompt()
        if at_prompt is not False:
            patience = 0.15 if at_prompt else 1.0
            if not run.typed or now - run.typed_at > patience:
                if run.typed >= PATIENCE:
                    run.why = "died" if run.why == "done" else run.why
                    return False
                self._report(run, bash)
        elif now - run.wrote_at > 1.0 and run.ends_of_file < 3 and bash.reads_terminal():
            # It asks the terminal itself (a password, a yes): nobody will answer, and end-of-file says so.
            run.ends_of_file += 1
            run.wrote_at = now
            bash.end_of_file()
        return True

    def _crowded(self, run: _Run, bash: Bash) -> bool:
        """A fork bomb. ulimit -u stops it, except for uid 0, whom the kernel exempts. Cheap until it is likely."""
        most = self.sandbox.limits.processes
        if not most or processes.crowd() - run.crowd < most:
            return False
        return processes.more_descendants_than(bash.child.pid, most)

    def _settle(self, run: _Run, bash: Bash) -> None:
        """Read what is still in the pipes; see that what was signalled is gone."""
        if run.dead and run.why == "done" and not run.starting:
            run.why = "died"
        if run.reply is None:
            bash.kill()
        for fd in (bash.output, bash.control):
            while data := _read(fd):
                if fd == bash.output:
                    self._emit(run, data)
                else:
                    run.control += data
        if not run.marked:
            self._emit(run, b"", final=True)
        if run.signalled:
            processes.end_groups(run.signalled - {bash.group}, GRACE / 4)
        if run.typed > 1:
            self._stale = [*self._stale[-7:], run.token]

    def _report(self, run: _Run, bash: Bash) -> None:
        run.typed += 1
        run.typed_at = time.monotonic()
        bash.report(run.token)

    def _parse(self, run: _Run) -> None:
        """Find our record in the control FIFO: NUL token LF NUL status NUL moved NUL folder NUL exports LF token
        NUL."""
        begin = run.control.find(b"\0" + run.token + b"\n")
        end = run.control.find(b"\n" + run.token + b"\0", begin + 1)
        if begin < 0 or end < 0:
            run.control = run.control[-(1 << 20) :]
            return
        fields = run.control[begin:end].split(b"\0")
        try:
            status, moved, folder, exports = fields[2], fields[3], fields[4], fields[5]
            run.reply = (int(status), Path(os.fsdecode(folder)), moved == b"1")
        except (IndexError, ValueError):  # somebody wrote into it meanwhile; the next report will be whole
            run.control = b""
            return
        self._exports = exports

    # ---- output --------------------------------------------------------------------------------------------------

    def _emit(self, run: _Run, data: bytes, final: bool = False) -> None:
        """Output up to the token; the name of our file becomes ``bash``, as in ``bash -c``."""
        if run.marked:
            self._left = (self._left + data)[-(1 << 20) :]
            return
        if data:
            run.wrote_at = time.monotonic()
        data = run.pending + data
        run.pending = b""
        where = data.find(run.token)
        if where >= 0:
            run.marked, final = True, True
            self._left = data[where + len(run.token) :]
            data = data[:where]
        for token in self._stale:
            data = data.replace(token, b"")
        data = data.replace(b"bash: " + self._needle, b"bash: ").replace(self._needle, b"bash: ")
        if not final:
            needles = (run.token, self._needle, b"bash: " + self._needle, *self._stale)
            keep = max(_overlap(data, needle) for needle in needles)
            if keep:
                data, run.pending = data[:-keep], data[-keep:]
        self._show(run, data)

    def _note(self, run: _Run, text: str) -> None:
        """A line of our own in the output."""
        self._show(run, f"nimllm: {text}\n".encode("utf-8", "surrogateescape"))

    def _show(self, run: _Run, data: bytes) -> None:
        if data:
            run.capture.add(data)
            if run.stream:
                run.stream.add(data)


def _token() -> bytes:
    return os.urandom(16).hex().encode()


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return text.encode("utf-8", "replace")


def _overlap(data: bytes, needle: bytes) -> int:
    """Length of the longest end of ``data`` that begins ``needle``."""
    tail = data[-(len(needle) - 1) :]
    first = tail.find(needle[:1])
    while first >= 0:
        if needle.startswith(tail[first:]):
            return len(tail) - first
        first = tail.find(needle[:1], first + 1)
    return 0


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 18)
    except OSError:  # nothing there (BlockingIOError), or every other end of the pty is closed (EIO)
        return b""
