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
"""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pexpect

from nimllm.errors import SHELL, NimError
from nimllm.tools import processes
from nimllm.tools.capture import Capture, Stream, clean, decode
from nimllm.tools.sandbox import Sandbox
from nimllm.tools.shellfiles import GO, HINT, LAST, REPORT, go_line, report_line, start_file

Ended = Literal["done", "timeout", "interrupted", "died"]
START_SECONDS = 15.0
GRACE = (1.0, 1.0, 1.0)  # seconds a command is given after SIGINT, SIGTERM, SIGKILL before the next rung
TICK_FIRST, TICK_LAST = 0.03, 0.4  # seconds between looks at a silent command


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
    pending: bytes = b""  # output that may be the beginning of a needle
    control: bytes = b""
    hinted: bool = False
    typed: int = 0
    typed_at: float = 0.0
    reply: tuple[int, Path, bool] | None = None
    marked: bool = False
    why: Ended = "done"
    rung: int = 0
    next_rung: float = 0.0
    signalled: set[int] | None = None
    eofs: int = 0
    wrote_at: float = 0.0


# bwrap's --die-with-parent (PR_SET_PDEATHSIG) follows the *thread* that forked, so shells are forked by one thread
# that lives as long as the process; a shell made by a short-lived worker would die with it.
_spawners: dict[int, ThreadPoolExecutor] = {}
_spawners_lock = threading.Lock()


def _spawner() -> ThreadPoolExecutor:
    with _spawners_lock:
        if os.getpid() not in _spawners:
            _spawners[os.getpid()] = ThreadPoolExecutor(1, thread_name_prefix="nimllm-shell")
        return _spawners[os.getpid()]


def _child_signals() -> None:
    # Python ignores SIGPIPE, and a background nimllm SIGINT; both would be inherited for good by everything bash runs.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


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
        self._mark = f"nimllm-{os.urandom(8).hex()}"
        self._cwd = self.workspace
        self._exports = b""
        self._count = 0
        self._lock = threading.Lock()
        self._running = False
        self._interrupts = 0
        self._left = b""  # output that came between commands, from jobs in the background
        self._stale: list[bytes] = []
        self._child: pexpect.spawn | None = None
        self._fds: list[int] = []
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._private = Path(tempfile.mkdtemp(prefix="nimllm-shell-"))
        self._inside = sandbox.inside(self._private)
        self._needle = f"{self._inside}/command: ".encode()
        (self._private / "tmp").mkdir(mode=0o700)
        (self._private / "tmp").chmod(0o1777)
        bash = shutil.which("bash", path=os.defpath + ":" + self._env.get("PATH", ""))
        if bash is None:
            self.close()
            raise NimError("bash cannot be started", "it is not installed", "install bash", SHELL)
        self._bash = bash
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    # ---- starting and ending -------------------------------------------------------------------------------------

    def _start(self) -> None:
        folder, inside = self._private, self._inside
        for name, text in (
            ("go", GO),
            ("hint", HINT),
            ("report", REPORT),
            ("last", LAST),
            ("start", start_file(self.sandbox.limits.ulimits(), self._cwd)),
        ):
            text = text.replace("@DIR@", str(inside)).replace("@WORKSPACE@", shlex.quote(str(self.workspace)))
            (folder / name).write_text(text.replace("@PATH@", shlex.quote(self._env["PATH"])))
        (folder / "restore").write_bytes(self._exports)
        (folder / "command").write_bytes(b"")
        for name in ("control", "output"):
            (folder / name).unlink(missing_ok=True)
            os.mkfifo(folder / name, 0o600)
        self._control = self._opened(folder / "control")
        self._output = self._opened(folder / "output")
        try:  # 1 MiB: fewer wake-ups for a command that writes much; the default 64 KiB is no error
            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, 1 << 20)
        except OSError:
            pass
        argv = self.sandbox.argv(
            [self._bash, "--noprofile", "--rcfile", str(inside / "start"), "--noediting", "-i"], folder
        )
        env = dict(self._env)
        if not self.sandbox.enforced:
            env["NIMLLM_SHELL"] = self._mark
        try:
            child = _spawner().submit(self._spawn, argv, env).result()
        except (OSError, pexpect.ExceptionPexpect) as error:
            raise NimError("bash cannot be started", str(error).split("\n")[0], "see nimllm doctor", SHELL) from None
        self._child = child
        self._pty = child.child_fd
        os.set_blocking(self._pty, False)
        # The terminal as commands should find it; set from this side, so no stty has to run.
        mode = termios.tcgetattr(self._pty)
        mode[1] &= ~termios.OPOST
        mode[3] = (mode[3] | termios.ICANON | termios.ISIG) & ~(termios.ECHO | termios.ECHONL | termios.TOSTOP)
        self._mode = mode
        try:
            self._pidfd: int | None = os.pidfd_open(child.pid)
            self._fds.append(self._pidfd)
        except (OSError, AttributeError):
            self._pidfd = None
        self._poll = select.poll()
        for fd in (self._pty, self._control, self._output, self._wake_read, *filter(None, [self._pidfd])):
            self._poll.register(fd, select.POLLIN)
        self._bash_pid = 0
        run = _Run(self._token(), Capture(), None, time.monotonic() + START_SECONDS, time.monotonic())
        run.hinted = True
        said = self._wait(run, starting=True)
        if run.reply is None:
            why = clean(decode(said)).strip().split("\n")[0] or f"no answer within {START_SECONDS:.0f} s"
            raise NimError("bash cannot be started", why, "see nimllm doctor", SHELL)
        self._bash_pid = os.tcgetpgrp(self._pty)
        self._cwd = run.reply[1]

    def _opened(self, fifo: Path) -> int:
        # Read and write: never an end of file, and a writer in bash never blocks in open().
        fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._fds.append(fd)
        return fd

    def _spawn(self, argv: list[str], env: dict[str, str]) -> pexpect.spawn:
        start_in = self._cwd if self._cwd.is_dir() else self.workspace
        child = pexpect.spawn(
            argv[0],
            argv[1:],
            env=env,
            cwd=str(start_in),
            echo=False,
            timeout=None,
            dimensions=(50, 200),
            preexec_fn=_child_signals,
        )
        child.delaybeforesend = None
        child.delayafterclose = child.delayafterterminate = 0.0
        child.ptyproc.delayafterclose = child.ptyproc.delayafterterminate = 0.0
        return child

    def _kill(self) -> None:
        """End the shell and everything it started, and see that they are gone."""
        child = self._child
        if child is None:
            return
        if self.sandbox.enforced:
            # The first process of the namespace takes all others with it, and bwrap itself ends only after that.
            for pid in processes.children(child.pid) or [child.pid]:
                processes.send(pid, signal.SIGKILL)
            processes.wait_gone([child.pid], 2.0, reap=child.isalive)
            processes.send(child.pid, signal.SIGKILL)
        else:
            for _ in range(20):
                alive = processes.of_session(child.pid, self._mark)
                if not alive and not child.isalive():
                    break
                for pid in alive:
                    processes.send(pid, signal.SIGKILL)
                time.sleep(0.005)
        processes.wait_gone([child.pid], 2.0, reap=child.isalive)

    def _discard(self) -> None:
        self._kill()
        child, self._child = self._child, None
        if child is not None:
            try:
                child.close(force=True)
            except (OSError, pexpect.ExceptionPexpect):
                pass
        for fd in self._fds:
            try:
                os.close(fd)
            except OSError:
                pass
        self._fds.clear()

    def close(self) -> None:
        """End the shell with everything it started; a second call does nothing."""
        self._discard()
        shutil.rmtree(self._private, ignore_errors=True)
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

    # ---- running -------------------------------------------------------------------------------------------------

    def run(self, command: str, timeout: float | None = 60.0, on_output: Callable[[str], None] | None = None) -> Result:
        """Run ``command`` and wait for its end, at most ``timeout`` seconds (None: for ever).

        ``on_output`` gets cleaned text as it comes. Several lines are checked for syntax first, so that half a script
        does not run (a single line bash itself parses whole). NimError (SHELL) when a dead shell cannot be restarted.
        """
        with self._lock:
            if self._wake_write < 0:
                raise NimError("the shell is closed", code=SHELL)
            started = time.monotonic()
            self._interrupts = 0
            self._running = True
            try:
                return self._run(command, timeout, on_output, started)
            finally:
                self._running = False

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
        restarted = self._revive()
        self._count += 1
        log = self._outputs / f"{self._count:05d}-{self._mark[-6:]}.log" if self._outputs else None
        script = command.replace("\r\n", "\n").encode("utf-8", "surrogateescape" if _escaped(command) else "replace")
        (self._private / "command").write_bytes(script + b"\n")
        if b"\n" in script.strip(b"\n") and (complaint := self._syntax_error()) is not None:
            if on_output and complaint:
                on_output(complaint)
            took = time.monotonic() - started
            return Result(command, 2, complaint, took, self._cwd, len(complaint), False, "done", restarted, None)
        run = _Run(
            self._token(),
            Capture(log),
            Stream(on_output) if on_output else None,
            None if timeout is None else started + timeout,
            started,
        )
        run.wrote_at = started
        run.pending, self._left = self._left, b""
        try:
            termios.tcsetattr(self._pty, termios.TCSANOW, self._mode)
            self._type(go_line(self._inside))
            self._wait(run)
        except BaseException:
            # on_output raised: the command must not go on unseen, nor its end be taken for the next one's.
            self._discard()
            run.capture.close()
            self._start()
            raise
        if run.reply is None:
            status: int | None = self._death_status() if run.why == "died" else None
            self._last_words(run)
            self._discard()
            self._start()
            restarted = True
        else:
            status, self._cwd, moved = run.reply
            if moved:
                self._emit(run, f"nimllm: the current folder is gone; now in {self._cwd}\n".encode())
        if run.stream:
            run.stream.flush(final=True)
        status = {"timeout": 124, "interrupted": 130}.get(run.why, status)
        capture = run.capture
        capture.close()
        return Result(
            command,
            status,
            capture.text(),
            time.monotonic() - started,
            self._cwd,
            capture.total,
            capture.truncated,
            run.why,
            restarted,
            capture.log,
        )

    def _revive(self) -> bool:
        """Start again when the shell died between two commands (killed from outside, or by a job it left)."""
        if self._child is not None and self._child.isalive() and (self._private / "control").is_fifo():
            return False
        self._discard()
        self._start()
        return True

    def _syntax_error(self) -> str | None:
        checked = subprocess.run(
            [self._bash, "--norc", "-O", "extglob", "-n", str(self._private / "command")],
            env={"PATH": self._env["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        if checked.returncode == 0:
            return None
        return clean(decode(checked.stderr.replace(f"{self._private}/command: ".encode(), b"bash: ")))

    def _token(self) -> bytes:
        return os.urandom(16).hex().encode()

    def _type(self, line: bytes) -> None:
        try:
            os.write(self._pty, line)
        except OSError:  # the shell is dead; the wait will see it
            pass

    # ---- waiting -------------------------------------------------------------------------------------------------

    def _wait(self, run: _Run, starting: bool = False) -> bytes:
        """Until the report, the death of the shell, or the last rung; returns what went to the terminal itself."""
        said = bytearray()
        tick, next_tick = TICK_FIRST, run.started + TICK_FIRST
        dead = False
        while run.reply is None and not dead:
            if run.hinted and not run.typed:
                self._report(run)
            now = time.monotonic()
            until = min(next_tick, run.next_rung or next_tick, run.deadline or next_tick)
            try:
                events = self._poll.poll(max(0.0, until - now) * 1000)
            except KeyboardInterrupt:  # ^C with Python's own handler means the same as interrupt()
                self._interrupts += 1
                events = []
            for fd, _ in events:
                if fd == self._control:
                    run.control += _read(fd)
                    self._parse(run)
                elif fd == self._output:
                    self._emit(run, _read(fd))
                elif fd == self._pty:
                    data = _read(fd)
                    dead = dead or data == b"" and not self._alive()
                    said += data
                    if not starting and not (run.rung and data.strip() == b""):
                        self._emit(run, data)
                elif fd == self._wake_read:
                    _read(fd)
                else:
                    dead = not self._alive()
            now = time.monotonic()
            if run.reply is not None or dead:
                break
            if run.deadline is not None and now >= run.deadline and not run.rung:
                if starting:
                    return bytes(said)
                run.why, run.rung, run.next_rung, tick = "timeout", 1, now, TICK_FIRST / 8
            if self._interrupts > (run.rung if run.why == "interrupted" else 0) and not starting:
                if run.why == "done":
                    run.why = "interrupted"
                run.rung, run.next_rung, tick = max(1, run.rung), now, TICK_FIRST / 8
                self._interrupts = 0 if run.why == "timeout" else self._interrupts
            if run.rung and now >= run.next_rung:
                if not self._climb(run, now):
                    break
                next_tick = now + tick
            if now >= next_tick:
                dead = dead or not self._alive()
                tick = min(tick * 1.5, TICK_LAST if not run.rung else 0.05)
                next_tick = now + tick
                if not starting and not self._look(run, now):
                    break
        self._settle(run, dead)
        return bytes(said)

    def _settle(self, run: _Run, dead: bool) -> None:
        """Read what is still in the pipes; name the end."""
        if run.reply is None and not dead:
            self._kill()
            dead = True
        elif dead and run.why == "done":
            run.why = "died"
        if dead and not self.sandbox.enforced:
            self._kill()
        for fd in (self._output, self._control):
            while data := _read(fd):
                if fd == self._output:
                    self._emit(run, data)
                else:
                    run.control += data
        if not run.marked and run.pending:
            self._emit(run, b"", final=True)
        if run.signalled:
            processes.end_groups(run.signalled - {self._bash_pid}, 1.0)
        if run.typed > 1:
            self._stale = [*self._stale[-7:], run.token]

    def _parse(self, run: _Run) -> None:
        """Find our record among the bytes of the control FIFO: NUL token, status, moved, folder, exports, token NUL."""
        run.hinted = True
        begin = run.control.find(b"\0" + run.token + b"\n")
        end = run.control.find(b"\n" + run.token + b"\0", begin + 1)
        if begin < 0 or end < 0:
            run.control = run.control[-(1 << 20) :]
            return
        fields = run.control[begin:end].split(b"\0")
        try:
            status, moved, folder, exports = fields[2], fields[3], fields[4], fields[5]
            run.reply = (int(status), Path(os.fsdecode(folder)), moved == b"1")
        except (IndexError, ValueError):
            return
        self._exports = exports
        self._control_left = run.control[end:]

    def _report(self, run: _Run) -> None:
        run.typed += 1
        run.typed_at = time.monotonic()
        self._type(report_line(self._inside, run.token))

    def _look(self, run: _Run, now: float) -> bool:
        """A tick: is bash at its prompt without having reported? False when it does not answer at all."""
        if run.stream and now - run.wrote_at > 0.1:
            run.stream.flush()
        if not run.rung and not run.hinted and now - run.started < 0.2:
            return True
        group = self._foreground()
        if group == self._bash_pid:
            at_prompt = processes.reads(self._bash_pid, 0)
            patience = 0.15 if at_prompt else 1.0
            if at_prompt is not False and (not run.typed or now - run.typed_at > patience):
                if run.typed >= 12:
                    return False
                self._report(run)
        elif now - run.wrote_at > 1.0 and run.eofs < 3 and processes.reads_terminal(group):
            # It asks the terminal itself (a password, a yes): nobody will answer, and end-of-file says so.
            run.eofs += 1
            run.wrote_at = now
            self._type(b"\x04")
        return True

    def _climb(self, run: _Run, now: float) -> bool:
        """The next rung of stopping a command; False when none is left but the shell itself."""
        group = self._foreground()
        if run.rung > len(GRACE):
            return False
        number = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[run.rung - 1]
        run.signalled = run.signalled or set()
        if group > 0 and group != self._bash_pid:
            run.signalled.add(group)
            processes.send_group(group, signal.SIGCONT)
            processes.send_group(group, number)
        # bash as well: it would go on with the next command of the list, and may itself be the loop that runs.
        processes.send(self._bash_pid, signal.SIGCONT)
        processes.send(self._bash_pid, signal.SIGINT)
        run.next_rung = now + GRACE[run.rung - 1]
        run.rung += 1
        return True

    def _foreground(self) -> int:
        try:
            return os.tcgetpgrp(self._pty)
        except OSError:
            return -1

    def _alive(self) -> bool:
        return self._child is not None and self._child.isalive()

    def _death_status(self) -> int | None:
        child = self._child
        assert child is not None
        if child.isalive():
            return None
        return child.exitstatus if child.exitstatus is not None else 128 + (child.signalstatus or 0)

    def _last_words(self, run: _Run) -> None:
        """Folder and environment from the EXIT trap; unproven, but the shell is dead and nothing else is known."""
        begin = run.control.rfind(b"\0last\n")
        fields = run.control[begin:].split(b"\0") if begin >= 0 else []
        if len(fields) >= 6 and fields[4].startswith(b"/"):
            self._cwd, self._exports = Path(os.fsdecode(fields[4])), fields[5]

    # ---- output --------------------------------------------------------------------------------------------------

    def _emit(self, run: _Run, data: bytes, final: bool = False) -> None:
        """Output up to the token; the name of our file becomes ``bash``, as in ``bash -c``."""
        if run.marked:
            self._left += data
            return
        if data:
            run.wrote_at = time.monotonic()
        data = run.pending + data
        run.pending = b""
        where = data.find(run.token)
        if where >= 0:
            run.marked, final = True, True
            self._left += data[where + len(run.token) :]
            data = data[:where]
        for token in self._stale:
            data = data.replace(token, b"")
        data = data.replace(b"bash: " + self._needle, b"bash: ").replace(self._needle, b"bash: ")
        if not final:
            keep = max(
                _overlap(data, needle) for needle in (run.token, self._needle, b"bash: " + self._needle, *self._stale)
            )
            if keep:
                data, run.pending = data[:-keep], data[-keep:]
        if data:
            run.capture.add(data)
            if run.stream:
                run.stream.add(data)


def _escaped(text: str) -> bool:
    """Whether every surrogate of ``text`` stands for a byte (as os.fsdecode makes them)."""
    return all(0xDC80 <= ord(letter) <= 0xDCFF for letter in text if 0xD800 <= ord(letter) <= 0xDFFF)


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
    except (BlockingIOError, OSError):  # EIO: every other end of the pty is closed
        return b""
