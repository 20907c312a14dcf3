"""One persistent bash: commands share its folder, environment and functions, and nothing they do can wedge it.

How a command runs (nothing of it is ever typed into the terminal):

1. its text goes to a private file; one short line, into the pipe bash reads, sources ``go``, which sources that file
   with stdin from /dev/null and stdout and stderr into a FIFO (so programs write neither colours nor columns);
2. when it ends, ``go`` writes a byte into the control FIFO: a mere hint, anybody could forge it;
3. on the hint the line ``report TOKEN`` is said, TOKEN random and never seen by the command. bash reads it only at its
   prompt, so the answer *proves* that the command is over: the token in the output marks where the output ends, and
   the control FIFO brings token, status, folder and exported environment. ``report`` also puts back whatever a
   command may have bent: options, traps, IFS, prompts, PATH, functions named like builtins, a folder that is gone;
4. no hint (^C aborts ``go``, a function called ``printf``): a tick that finds bash waiting for its next line says it;
5. death of the shell (``exit``, ``exec``, ``set -e``, ``kill -9 $$``) and the deadline race with all of this. A dead
   shell is started again in the same folder with the same exported environment.

Measured (2 cores, idle): 0.5 ms for ``true``, 30 ms to start in bubblewrap.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nimllm.errors import SHELL, NimError
from nimllm.tools import interactive, processes
from nimllm.tools.bash import Bash, find_bash
from nimllm.tools.capture import Capture, Stream, clean, decode
from nimllm.tools.channel import Channel
from nimllm.tools.execution import Ended, Execution, Interrupts
from nimllm.tools.jobs import Job, Jobs
from nimllm.tools.keeper import Keeper
from nimllm.tools.private import KEPT, Guard, PrivateFolder
from nimllm.tools.sandbox import Sandbox
from nimllm.tools.watch import Sentry, Watch

__all__ = ["Ended", "Job", "Result", "Shell"]
START_SECONDS = 15.0
STARTS = 3  # tries, where bubblewrap says that it could not mount something
REFUSED = 126  # status of a command that was not even started: it could not be run here


@dataclass(frozen=True)
class Result:
    """One command. ``status``: its exit status; 124 when the deadline stopped it, 130 when the user did.

    ``bytes`` counts what it wrote; ``output`` is cleaned, and cut to head and tail when ``truncated``; then ``log``
    holds all of it, raw. ``ended == "died"``: the shell itself ended (``exit``, ``exec``, a kill); ``restarted`` says
    that a new one is in its place. ``reason``: a sentence when it was not started (status 126), or was stopped, because
    it needs somebody at a terminal, or was told that nobody is there. ``jobs``: how many run in the background now.
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
    reason: str = ""
    jobs: int = 0


class Shell:
    """A bash in ``sandbox``. ``outputs``: folder for the full output of commands that wrote more than is kept.

    One command at a time (a second caller waits); :meth:`interrupt`, :meth:`jobs` and :meth:`kill_job` may be called
    from any thread. NimError (SHELL) when bash cannot be started.
    """

    def __init__(
        self, workspace: Path, sandbox: Sandbox, outputs: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.workspace = Path(os.path.realpath(workspace))
        self.sandbox = sandbox
        self._outputs = outputs
        self._env = sandbox.environment(os.environ if env is None else env)
        self._program = find_bash(self._env)
        self._cwd = self.workspace
        self._exports = b""
        self._count = 0
        self._command = ""
        self._lock = threading.Lock()
        self._running = False
        self._closed = False
        self._bash: Bash | None = None
        self._folder = PrivateFolder()
        self._private = self._folder.path
        self._mark = self._folder.mark
        self._channel = Channel(str(sandbox.inside(self._private)))
        self._jobs = Jobs(self._below)
        self._interrupts = Interrupts()
        Guard.add(self._program, self._mark)
        self._keeper: Keeper | None = None
        self._watched = 0.0  # when the watch last looked at what was free
        self._aside: list[str] = []  # what happened between commands, told with the next one
        self._sentry = Sentry(self._look_at_jobs)
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    # ---- starting and ending -------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._keeper is not None:
            self._aside += self._keeper.restore()
        for left in reversed(range(STARTS)):
            bash, first = self._first()
            if first.reply is not None:
                bash.settled()
                self._cwd, self._exports = first.reply[1], first.exports
                return
            said = clean(decode(first.said + first.capture.text().encode())).strip().split("\n")[0]
            if not said.startswith("bwrap: ") or not left:
                why = said or f"no answer within {START_SECONDS:.0f} s"
                raise NimError("bash cannot be started", why, "see nimllm doctor", SHELL)
            self._discard()  # a file that it was to cover, another program's socket, may have gone meanwhile

    def _first(self) -> tuple[Bash, Execution]:
        """A new bash, and what became of its first prompt."""
        bash = Bash(self._program, self.sandbox, self._private, self._env, self._mark, self._cwd, self._exports)
        self._bash = bash
        if self.sandbox.enforced:
            self._keeper = Keeper(bash.closed, self.sandbox.writable, self.sandbox.contained)
            self._keeper.save(self._private / KEPT)
        folders = (*self.sandbox.writable, self._private)
        self._watch = Watch(self.sandbox.limits, folders, lambda: (*bash.below(), bash.group), bash.child.pid)
        bash.poll.register(self._interrupts.fd, select.POLLIN)
        first = Execution(
            bash, self._channel, self._interrupts, Capture(), None, time.monotonic() + START_SECONDS, starting=True
        )
        first.wait()
        return bash, first

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
        self._sentry.close()
        self._discard()
        if self._keeper is not None:
            self._keeper.restore()
        self._jobs.close()
        Guard.drop(self._mark)
        self._folder.remove()
        self._interrupts.close()

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

    # ---- jobs ----------------------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """What earlier commands, or the present one, left running in the background, daemons included."""
        return self._jobs.list(self._count, self._command, self._foreground())

    def kill_job(self, job: int) -> None:
        """End a job by its ``id``, and see that it is gone. NimError: no such job, or it does not go."""
        self.jobs()
        self._jobs.kill(job)
        self.jobs()

    def _below(self) -> dict[int, processes.Entry]:
        bash = self._bash
        return {} if bash is None or self._closed or bash.alone() else bash.below()

    def _foreground(self) -> int:
        """The process group that is no job, because it has the terminal; -1 when that is bash itself."""
        bash = self._bash
        group = bash.foreground() if bash is not None and self._running else -1
        return group if bash is None or group != bash.group else -1

    # ---- running -------------------------------------------------------------------------------------------------

    def run(self, command: str, timeout: float | None = 60.0, on_output: Callable[[str], None] | None = None) -> Result:
        """Run ``command`` and wait for its end, at most ``timeout`` seconds (None: for ever).

        ``on_output`` gets cleaned text as it comes. Several lines are checked for syntax first, so that half a script
        does not run (a single line bash itself parses whole). What surely needs somebody at a terminal is not started.
        NimError (SHELL) when a dead shell cannot be restarted.
        """
        with self._lock:
            if self._closed:
                raise NimError("the shell is closed", code=SHELL)
            started = time.monotonic()
            self._interrupts.count = 0
            self._running = True
            try:
                return self._run(command, timeout, on_output, started)
            finally:
                self._running = False
                if self._closed:
                    self._release()

    def interrupt(self) -> None:
        """Stop the command that runs: SIGINT, then SIGTERM, SIGKILL to all it started, then the whole sandbox.

        Returns at once; run() returns when the processes are gone. Each further call goes up one rung. Without a
        command in flight it does nothing. Safe in threads and signal handlers.
        """
        if self._running:
            self._interrupts.ask()

    def _run(
        self, command: str, timeout: float | None, on_output: Callable[[str], None] | None, started: float
    ) -> Result:
        bash, restarted = self._alive_bash()
        if reason := interactive.refusal(command):
            return self._unstarted(command, REFUSED, f"nimllm: not started: {reason}\n", started, on_output, reason)
        self._count, self._command = self._count + 1, command
        log = self._outputs / f"{self._count:05d}-{self._mark[:6]}.log" if self._outputs else None
        script = _encoded(command.replace("\r\n", "\n"))
        if _doubtful(script.strip(b"\n")) and (complaint := self._syntax_error(script)) is not None:
            return self._unstarted(command, 2, complaint, started, on_output, restarted=restarted)
        run = Execution(
            bash,
            self._channel,
            self._interrupts,
            Capture(log),
            Stream(on_output) if on_output else None,
            None if timeout is None else started + timeout,
            (self._watch.reason,),
            frozenset(self._jobs.old() - {bash.group}),
        )
        for sentence in self._aside:
            run.note(sentence)
        self._aside.clear()
        if started - self._watched > 1.0:  # a look at memory and disk costs a tenth of a short command
            self._watch.begin()
            self._watched = started
        try:
            bash.go(script + b"\n")
            run.wait()
            status = self._kept(run, self._concluded(run, bash))
            if run.stream:
                run.stream.flush(final=True)
        except BaseException:
            # on_output raised: the command must not go on unseen, nor its end be taken for the next one's.
            run.capture.close()
            self._discard()
            if not self._closed:
                self._start()
            raise
        if run.bent:
            self._discard()
        if self._bash is None and not self._closed:
            self._start()
            restarted = True
        jobs = self._look_behind()
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
            run.ended,
            restarted,
            capture.log,
            run.reason,
            jobs,
        )

    def _unstarted(
        self,
        command: str,
        status: int,
        text: str,
        started: float,
        on_output: Callable[[str], None] | None,
        reason: str = "",
        restarted: bool = False,
    ) -> Result:
        if on_output and text:
            on_output(text)
        took = time.monotonic() - started
        size = len(text.encode("utf-8", "replace"))
        return Result(command, status, text, took, self._cwd, size, False, "done", restarted, None, reason)

    def _look_behind(self) -> int:
        """What the command left running becomes jobs, and keeps its output to itself. How many jobs there are."""
        bash = self._bash
        self._jobs.stray(self._count, self._channel.take_left())
        if bash is None or bash.alone():
            self._jobs.forget()
            return 0
        if not self._jobs.note(self._count, self._command):
            return 0
        self._jobs.adopt(self._count, *bash.rotate())
        return self._jobs.count

    def _alive_bash(self) -> tuple[Bash, bool]:
        """The shell, started again when it died between two commands (killed from outside, or by a job it left)."""
        bash = self._bash
        if bash is not None and bash.alive() and bash.whole():
            return bash, False
        self._discard()
        self._start()
        assert self._bash is not None
        return self._bash, True

    def _concluded(self, run: Execution, bash: Bash) -> int | None:
        """Take over what the report, or the dead shell, leaves behind; the status of the command."""
        status: int | None
        if run.reply is not None:
            status, self._cwd, moved = run.reply
            self._exports = run.exports
            if moved:
                run.note(f"the current folder is gone; now in {self._cwd}")
        else:
            status = bash.status() if run.ended == "died" else None
            if last := run.last_words():
                self._cwd, self._exports = last
            self._discard()
        return {"timeout": 124, "interrupted": 130}.get(run.ended, status)

    def _kept(self, run: Execution, status: int | None) -> int | None:
        """Protected things that the command changed are put back, which makes it a failure."""
        kept = self._keeper.restore() if self._keeper is not None else []
        for sentence in kept:
            run.note(sentence)
            run.reason = run.reason or sentence
        return 1 if kept and status == 0 else status

    def _look_at_jobs(self) -> None:
        """Between commands: jobs that take too much are stopped, and the shell with them (a fork bomb is faster than
        its hunter). The next command starts a new one."""
        if self._running or self._closed or not self._lock.acquire(blocking=False):
            return
        try:
            bash = self._bash
            if bash is None or not bash.alive() or bash.alone() or not (why := self._watch.reason()):
                return
            bash.kill()
            self._aside.append(f"what ran in the background was stopped: {why}")
        finally:
            self._lock.release()

    def _syntax_error(self, script: bytes) -> str | None:
        checked = subprocess.run(
            ["bash", "--norc", "-O", "extglob", "-n"],
            executable=self._program,
            env={"PATH": self._env["PATH"], "LC_ALL": "C.UTF-8"},
            input=script + b"\n",
            capture_output=True,
        )
        return None if checked.returncode == 0 else clean(decode(checked.stderr))


def _doubtful(script: bytes) -> bool:
    """Worth a look before it is run: several lines; an open parenthesis (bash 5.2 crashes now and then when it sources
    an unfinished ``$(``)."""
    return b"\n" in script or script.count(b"(") != script.count(b")")


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return text.encode("utf-8", "replace")
