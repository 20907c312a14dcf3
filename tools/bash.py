"""One bash process in its pty: started in the sandbox, talked to through two FIFOs, ended with all it started."""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import shlex
import shutil
import signal
import termios
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pexpect

from nimllm.errors import SHELL, NimError
from nimllm.tools import processes
from nimllm.tools.sandbox import PIPES, Launch, Sandbox
from nimllm.tools.shellfiles import GO, HINT, LAST, REPORT, go_line, report_line, start_file

# bwrap's --die-with-parent (PR_SET_PDEATHSIG) follows the *thread* that forked, so shells are forked by one thread
# that lives as long as the process; a shell made by a short-lived worker would die with it.
_spawners: dict[int, ThreadPoolExecutor] = {}
_spawners_lock = threading.Lock()


def _spawner() -> ThreadPoolExecutor:
    with _spawners_lock:
        if os.getpid() not in _spawners:
            _spawners[os.getpid()] = ThreadPoolExecutor(1, thread_name_prefix="nimllm-shell")
        return _spawners[os.getpid()]


def _dies_with_parent() -> Callable[[], None]:
    """What makes a forked child be killed with this process, and be the parent of its own orphans, where the system can
    (prctl is Linux's)."""
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return lambda: None

    def set_both() -> None:
        prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: no double fork gets out of sight (bash reaps what it knows not)

    return set_both


# Found before the fork. Without it bash outlives a killed harness for as long as its command does: it answers a hang-up
# only when the command has ended. When bash is killed, the kernel hangs up on the command.
_die_with_parent = _dies_with_parent()


def _child_signals() -> None:
    _die_with_parent()
    try:  # when the machine runs out of memory, the kernel ends what a command made before anything else
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(fd, b"1000")
        os.close(fd)
    except OSError:
        pass
    # Python ignores SIGPIPE, and a background nimllm SIGINT; both would be inherited for good by everything bash runs.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class _Terminal(pexpect.spawn):  # type: ignore[misc]
    """A pexpect.spawn whose child keeps some descriptors, which pexpect has no argument for."""

    def __init__(self, keep: tuple[int, ...], *args: Any, **kwargs: Any) -> None:
        self._keep = keep
        super().__init__(*args, **kwargs)

    def _spawnpty(self, args: Any, **kwargs: Any) -> Any:
        return super()._spawnpty(args, pass_fds=self._keep, **kwargs)


def find_bash(env: Mapping[str, str]) -> str:
    """Path of bash; NimError (SHELL) when there is none."""
    found = shutil.which("bash", path=os.defpath + ":" + env.get("PATH", ""))
    if found is None:
        raise NimError("bash cannot be started", "it is not installed", "install bash", SHELL)
    return found


class Bash:
    """``private`` is the folder with what bash sources and the FIFOs; ``mark`` names the shell to the guard, and its
    processes where no sandbox holds them together; ``exports`` is the ``export -p`` of the shell this one replaces."""

    def __init__(
        self,
        program: str,
        sandbox: Sandbox,
        private: Path,
        env: Mapping[str, str],
        mark: str,
        cwd: Path,
        exports: bytes,
    ) -> None:
        self.sandbox, self.private, self.mark = sandbox, private, mark
        self.namespaced = sandbox.contained  # a pid namespace holds all processes together
        self.inside = sandbox.inside(private)
        self.name = f"nimllm_{os.urandom(4).hex()}"
        self.group = 0  # process group, and id, of bash at its prompt; known after the first report
        self._fds: list[int] = []
        for folder, mode in ((private, 0o700), (private / "tmp", 0o1777)):  # missing when a command took it away
            if not folder.is_dir():
                folder.mkdir(parents=True)
                folder.chmod(mode)
        # A pipe whose other end nobody but this process holds: see shellfiles.start_file.
        gate, ours = os.pipe2(os.O_CLOEXEC)
        self._fds.append(ours)
        self._write_files(env, cwd, exports, gate)
        # FIFOs in a folder of their own: the only ones that a sandbox without mounts opens for writing
        shutil.rmtree(private / PIPES, ignore_errors=True)
        (private / PIPES).mkdir(mode=0o700)
        self._outputs = 0
        self.control = self._fifo(f"{PIPES}/control")
        self.output = self._fifo(self.output_name)
        self._below: list[int] | None = None  # /proc files with the children of bash (and of the sandbox's init)
        start = ["--noprofile", "--rcfile", str(self.inside / "start"), "--noediting", "-i"]
        self._env = {**env, "NIMLLM_SHELL": mark, **sandbox.temporary(private)}
        try:
            # bash reads its lines from a pipe and not from the pty: no echo, no line discipline, and none of the
            # kernel's workers in between, which on a busy machine come milliseconds late.
            reading, self._lines = os.pipe2(os.O_CLOEXEC)
            self._fds.append(self._lines)
            os.set_blocking(self._lines, False)
            self._prompt = f"pipe:[{os.fstat(self._lines).st_ino}]"
            with sandbox.launch([program, *start], private) as launch:
                self.closed = launch.closed
                self.child = _spawner().submit(self._spawn, launch, cwd, reading, gate).result()
        except (OSError, pexpect.ExceptionPexpect) as error:
            self._close_fds()
            raise NimError("bash cannot be started", str(error).split("\n")[0], "see nimllm doctor", SHELL) from None
        finally:
            os.close(reading)
            os.close(gate)
        self.pty: int = self.child.child_fd
        os.set_blocking(self.pty, False)
        # The terminal as commands should find it; set from this side, so no stty has to run. It echoes, though nobody
        # types: a program that turns that off is about to ask for a password.
        self._mode = termios.tcgetattr(self.pty)
        self._mode[1] &= ~termios.OPOST
        self._mode[3] |= termios.ICANON | termios.ISIG | termios.ECHO
        self._mode[3] &= ~(termios.ECHONL | termios.TOSTOP)
        self.poll = select.poll()
        for fd in (self.pty, self.control, self.output):
            self.poll.register(fd, select.POLLIN)
        try:
            pidfd = os.pidfd_open(self.child.pid)
            self._fds.append(pidfd)
            self.poll.register(pidfd, select.POLLIN)
        except (OSError, AttributeError):  # an old kernel: death is then seen at the next tick
            pass

    def _write_files(self, env: Mapping[str, str], cwd: Path, exports: bytes, gate: int) -> None:
        texts = {"go": GO, "hint": HINT, "report": REPORT, "last": LAST}
        texts["start"] = start_file(self.sandbox.limits.ulimits(), cwd, gate, hidden=self.namespaced)
        for name, text in texts.items():
            text = text.replace("@NAME@", self.name).replace("@PATH@", shlex.quote(env["PATH"]))
            text = text.replace("@WORKSPACE@", shlex.quote(str(self.sandbox.workspace)))
            (self.private / name).write_bytes(os.fsencode(text.replace("@DIR@", shlex.quote(str(self.inside)))))
        (self.private / "restore").write_bytes(exports)
        (self.private / "command").unlink(missing_ok=True)
        # Held open: opening it for each command costs more than writing it.
        self._command = os.open(self.private / "command", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._fds.append(self._command)

    def _fifo(self, name: str) -> int:
        (self.private / name).unlink(missing_ok=True)
        os.mkfifo(self.private / name, 0o600)
        # Read and write: never an end of file, and a writer in bash never blocks in open().
        fd = os.open(self.private / name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._fds.append(fd)
        try:  # 1 MiB: fewer wake-ups for a command that writes much; the default 64 KiB is no error
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << 20)
        except OSError:
            pass
        return fd

    @property
    def output_name(self) -> str:
        return f"{PIPES}/output-{self._outputs}"

    def rotate(self) -> tuple[Path, int]:
        """A new FIFO for the next command, because jobs still hold the present one, which is handed over."""
        old = (self.private / self.output_name, self.output)
        self.poll.unregister(self.output)
        self._fds.remove(self.output)
        self._outputs += 1
        self.output = self._fifo(self.output_name)
        self.poll.register(self.output, select.POLLIN)
        return old

    def _spawn(self, launch: Launch, cwd: Path, reading: int, gate: int) -> pexpect.spawn:
        def confine() -> None:
            os.dup2(reading, 0)
            os.set_inheritable(gate, True)
            _child_signals()
            launch.confine()

        child = _Terminal(
            (*launch.fds, reading, gate),
            launch.argv[0],
            launch.argv[1:],
            env=self._env,
            cwd=str(cwd if cwd.is_dir() else self.sandbox.workspace),
            echo=False,
            timeout=None,
            dimensions=(50, 200),
            preexec_fn=confine,
        )
        child.delaybeforesend = None
        child.delayafterclose = child.delayafterterminate = 0.0
        child.ptyproc.delayafterclose = child.ptyproc.delayafterterminate = 0.0
        return child

    # ---- talking ------------------------------------------------------------------------------------------------

    def go(self, script: bytes) -> None:
        """Have bash source ``script``."""
        written = 0
        while written < len(script):
            written += os.pwrite(self._command, script[written:], written)
        os.ftruncate(self._command, written)
        self._restore_terminal()
        self._say(go_line(self.inside, self.output_name))

    def report(self, token: bytes, again: bool = False) -> None:
        """``again``: it was asked for before and did not come."""
        self._say(report_line(self.inside, self.output_name, self.name, token, again))

    def end_of_file(self) -> None:
        """For a program that reads the terminal itself."""
        self._restore_terminal()
        try:
            os.write(self.pty, b"\x04")
        except OSError:
            pass

    def _say(self, line: bytes) -> None:
        try:
            os.write(self._lines, line)
        except OSError:  # the shell is dead, and the wait will see it; or a full pipe, and a tick will say it again
            pass

    def _restore_terminal(self) -> None:
        # A command may have left it raw, stopped, or with another end-of-file character. To look is cheap; to set waits
        # for whoever uses the terminal.
        try:
            if termios.tcgetattr(self.pty) != self._mode:
                termios.tcsetattr(self.pty, termios.TCSANOW, self._mode)
                termios.tcflow(self.pty, termios.TCOON)
        except (OSError, termios.error):
            pass

    # ---- looking ------------------------------------------------------------------------------------------------

    def alive(self) -> bool:
        try:
            return bool(self.child.isalive())
        except pexpect.ExceptionPexpect:
            return False

    def whole(self) -> bool:
        """Whether what bash sources, and the FIFO it answers on, are still there (without a sandbox, a command may take
        them away)."""
        folder = self.private
        try:
            return (
                os.fstat(self._command).st_nlink > 0
                and os.path.samestat(os.stat(f"{folder}/{PIPES}/control"), os.fstat(self.control))
                and all(os.path.exists(f"{folder}/{name}") for name in ("go", "hint", "report", self.output_name))
            )
        except OSError:
            return False

    def status(self) -> int | None:
        """Exit status of the dead shell, 128 + signal; None while it lives."""
        if self.alive():
            return None
        status = self.child.exitstatus
        return int(status) if status is not None else 128 + (self.child.signalstatus or 0)

    def foreground(self) -> int:
        """The process group that has the terminal; -1 when there is none."""
        try:
            return os.tcgetpgrp(self.pty)
        except OSError:
            return -1

    def settled(self) -> None:
        """To be called after the first report: nothing but bash itself can have the terminal then."""
        self.group = self.foreground()
        init = processes.children(self.child.pid)[:1] if self.namespaced else []
        below: list[int] = []
        try:
            for pid in (self.group, *init):
                below.append(os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:  # a kernel without CONFIG_PROC_CHILDREN
            pass
        self._fds += below
        self._below = below if len(below) == 1 + len(init) else None

    def alone(self) -> bool:
        """Whether surely nothing runs below bash: no job, no daemon (5 µs)."""
        if self._below is None:
            return False
        try:
            children = [os.pread(fd, 256, 0).split() for fd in self._below]
        except OSError:
            return False
        return not children[0] and all(len(other) <= 1 for other in children[1:])

    def below(self) -> dict[int, processes.Entry]:
        """Every process that the shell started and that still runs."""
        top = self.child.pid
        found = processes.descendants(top)
        if not self.namespaced:
            for pid in processes.of_session(top, self.mark):
                known = processes.entry(pid)
                if known is not None:
                    found.setdefault(pid, known)
        own = {top, self.group}
        if self.namespaced:
            own |= {pid for pid, known in found.items() if known.parent == top}
        return {pid: known for pid, known in found.items() if pid not in own}

    def at_prompt(self) -> bool | None:
        """Whether bash reads its next line; None when the kernel does not tell. (``read`` blocks in the same system
        call, on the same descriptor, which then leads elsewhere.)"""
        reads = processes.reads(self.group, 0)
        return reads and processes.target(self.group, 0) == self._prompt

    def terminal_use(self) -> str:
        """How the command waits on the terminal, see processes."""
        return processes.terminal_use(self.foreground())

    def terminal_mode(self) -> tuple[bool, bool]:
        """Whether the terminal gives whole lines, and whether it echoes."""
        try:
            flags = termios.tcgetattr(self.pty)[3]
        except (OSError, termios.error):
            return True, True
        return bool(flags & termios.ICANON), bool(flags & termios.ECHO)

    # ---- ending -------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """End the shell and everything it started, and see that they are gone."""
        pid = self.child.pid
        if self.namespaced:
            # The first process of the namespace takes all others with it, and bwrap itself ends only after that.
            for inner in (processes.children(pid) if self.alive() else []) or [pid]:
                processes.send(inner, signal.SIGKILL)
            if not processes.wait_gone([pid], 2.0, reap=self.alive):
                processes.send(pid, signal.SIGKILL)
        else:
            # bash goes last: while it stands still, it starts nothing, and all orphans are its children.
            if self.alive():
                processes.send(pid, signal.SIGSTOP)
            until = time.monotonic() + 3.0
            while (left := {*processes.descendants(pid), *processes.of_session(pid, self.mark)} - {pid}) and (
                time.monotonic() < until
            ):
                for other in left:
                    processes.send(other, signal.SIGKILL)
                time.sleep(0.003)
            processes.send(pid, signal.SIGKILL)
        processes.wait_gone([pid], 2.0, reap=self.alive)

    def close(self) -> None:
        self.kill()
        try:
            self.child.close(force=True)
        except (OSError, pexpect.ExceptionPexpect):
            pass
        self._close_fds()

    def _close_fds(self) -> None:
        for fd in self._fds:
            try:
                os.close(fd)
            except OSError:
                pass
        self._fds.clear()
