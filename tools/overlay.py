"""Trials: a command run in a throw-away, copy-on-write view of the workspace, to see what it would do.

How one trial is made (nothing of it touches the disk, so nothing can be left behind, whatever is killed and when):

1. the forked child takes a user and a mount namespace of its own;
2. on every folder that a command may write (the workspace, added folders, the session's /tmp) it mounts a tmpfs, and on
   top of that an overlay whose lower layer is the folder (held by a descriptor, since the tmpfs hides it) and whose
   upper layer is the tmpfs, which the overlay now hides in turn. Where the kernel has no overlay for user namespaces
   (before 5.11) the folder is copied into the tmpfs instead, within bounds;
3. a descriptor of the upper layer goes to the harness, then the child becomes the same bubblewrap that holds the live
   shell, always without network, with bash inside: its folder and its exported environment, no aliases or functions;
4. when all processes are dead, the harness reads the upper layer through its descriptor: what was written, removed,
   given other rights. Closing the descriptor frees the memory.

Only in an enforced bubblewrap: there is no trial at any other level. Known differences from a real run: a folder of the
lower layer cannot be renamed in one step (mv copies it; where a program fails for that, the trial is made again in a
copy), jobs and unexported variables of the live shell are not there, and git's commits carry the time at which the
trials began.
"""

from __future__ import annotations

import array
import ctypes
import os
import select
import selectors
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from nimllm.tools import processes
from nimllm.tools.bash import find_bash
from nimllm.tools.capture import clean, decode
from nimllm.tools.layers import Change, changes
from nimllm.tools.sandbox import Limits, Sandbox
from nimllm.tools.watch import Watch

Ended = Literal["done", "timeout", "limit", "failed"]
UPPER_BYTES = 256 << 20  # what one trial may write, in memory
OUTPUT_BYTES = 4 << 20  # output of one trial; a command that writes more is stopped
KEPT_BYTES = 1 << 18  # of standard output and of standard error, each
COPY_BYTES, COPY_FILES = 64 << 20, 4000  # the largest workspace that is copied where there is no overlay
PROBE_SECONDS = 5.0
_EXDEV = "cross-device link"  # what rename(2) says to a folder of the lower layer

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_SLAVE = 2, 4, 4096, 16384, 1 << 19
_PR_SET_PDEATHSIG = 1

# The exports come by a descriptor: they may be longer than an argument can be. The dates make commits of two trials
# equal.
_SCRIPT = r"""read -t 0 <&@GATE@ && exit 125; exec @GATE@<&-
@ULIMITS@
. /dev/fd/@FD@ 2>/dev/null; exec @FD@<&-
builtin cd -- "$2" 2>/dev/null || exit 125
export GIT_AUTHOR_DATE="${GIT_AUTHOR_DATE-@DATE@}" GIT_COMMITTER_DATE="${GIT_COMMITTER_DATE-@DATE@}"
nimllm_try=$1; set --; unset OLDPWD
shopt -s expand_aliases
eval -- "$nimllm_try"
"""


@dataclass(frozen=True)
class Trial:
    """What a command did. ``status``: None unless it ended by itself. ``ended``: "limit" when it wrote more than a
    trial may, "failed" when the trial itself could not be made. ``out`` and ``err`` are cleaned."""

    command: str
    status: int | None = None
    out: str = ""
    err: str = ""
    changes: Mapping[str, Change] = field(default_factory=dict)
    ended: Ended = "failed"
    seconds: float = 0.0

    @property
    def ran(self) -> bool:
        """It ended by itself, so that its effect says something."""
        return self.ended == "done"


class Overlay:
    """Trials for the commands of one sandbox. ``private``: the folder of the live shell, whose ``tmp/`` is /tmp.

    Threads of its own run the trials; ``close`` ends them. Not for use at level none: ``problem`` then says so.
    """

    def __init__(self, sandbox: Sandbox, env: Mapping[str, str] | None = None, private: Path | None = None,
                 workers: int | None = None) -> None:
        self.sandbox = replace(sandbox, network=False)
        self.private = private
        self._env = sandbox.environment(os.environ if env is None else env)
        self._bash = find_bash(self._env)
        # bubblewrap dies with the thread that forked it, so these threads live as long as their trials
        self._workers = ThreadPoolExecutor(workers or max(1, min(4, os.cpu_count() or 1)), "nimllm-try")
        self._copies = False
        self._problem: str | None = None

    def close(self) -> None:
        self._workers.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Overlay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- may it be used at all ------------------------------------------------------------------------------------

    @property
    def problem(self) -> str:
        """Why nothing can be tried here (a clause), or an empty string; found out by a trial at the first call."""
        if self._problem is None:
            self._problem = self._probe()
        return self._problem

    def _probe(self) -> str:
        if self.sandbox.level != "bwrap":
            return "commands are only tried inside bubblewrap, which is not in force"
        if any(one.writable and not one.source.is_dir() for one in self.sandbox.shown):
            return "a single file is shown, and writable, at another place"
        inner = _mounts_inside(self._roots())
        if inner:
            return f"another file system is mounted inside the workspace ({inner})"
        mark = f".nimllm-try-{os.urandom(6).hex()}"
        command = f"printf x >{mark}; while IFS=: read -r n _; do echo ${{n// /}}; done </proc/net/dev"
        why = ""
        for self._copies in (False, True):
            if self._copies and (why_not := _too_big(self._roots())):
                return f"the kernel has no overlay for user namespaces, and {why_not}"
            seen = self.run_all([command], self.sandbox.workspace, b"", PROBE_SECONDS)[0]
            if (self.sandbox.workspace / mark).exists():
                (self.sandbox.workspace / mark).unlink()
                return "a trial wrote into the real workspace"
            devices = {line for line in seen.out.split() if "|" not in line}
            if seen.ended == "done" and mark in seen.changes and devices == {"lo"}:
                return ""
            why = why or seen.err.strip().split("\n")[0] or seen.ended
        return f"a trial does not work here ({why})"

    def _roots(self) -> list[Path]:
        """The folders a command may write, outermost only."""
        found: list[Path] = []
        shown = [one.source for one in self.sandbox.shown if one.writable]
        folders = (self.sandbox.workspace, *self.sandbox.add_dirs, *shown)
        for folder in sorted(folders, key=lambda path: len(path.parts)):
            if not any(folder.is_relative_to(other) for other in found):
                found.append(folder)
        return found

    # ---- trials ---------------------------------------------------------------------------------------------------

    def run_all(self, commands: Sequence[str], cwd: Path, exports: bytes, seconds: float,
                should_stop: Callable[[], bool] = lambda: False) -> list[Trial]:
        """One trial per command, side by side, each in a view of its own; all are over after ``seconds``.

        ``exports``: the live shell's ``export -p``; empty: the environment given at the beginning. A command whose
        turn did not come before the time was over has ``ended == "timeout"``.
        """
        began = time.time()
        deadline = time.monotonic() + seconds
        waiting = [self._workers.submit(self._run, command, cwd, exports, deadline, began, should_stop)
                   for command in commands]
        return [each.result() for each in waiting]

    def _run(self, command: str, cwd: Path, exports: bytes, deadline: float, began: float,
             should_stop: Callable[[], bool]) -> Trial:
        """In an overlay; once more in a copy where the overlay's own shortcoming made the command fail."""
        seen = self._once(command, cwd, exports, deadline, began, should_stop, self._copies)
        if not self._copies and seen.status and _EXDEV in seen.err and not _too_big(self._roots()):
            return self._once(command, cwd, exports, deadline, began, should_stop, True)
        return seen

    def _once(self, command: str, cwd: Path, exports: bytes, deadline: float, began: float,
              should_stop: Callable[[], bool], copies: bool) -> Trial:
        start = time.monotonic()
        if start >= deadline or should_stop():
            return Trial(command, ended="timeout")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        memory = os.memfd_create("exports", os.MFD_CLOEXEC)
        gate = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # the child puts another file in its place
        child: subprocess.Popen[bytes] | None = None
        uppers: list[int] = []
        lowers: list[int] = []  # only where folders are copied
        try:
            os.write(memory, exports)
            os.lseek(memory, 0, os.SEEK_SET)
            roots = self._roots()
            if copies:
                lowers += [os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for root in roots]
            layers = _Layers(roots, self.private, theirs, copies, gate)
            env = {"PATH": self._env["PATH"]} if exports else self._env
            try:
                with self.sandbox.launch(self._inner(command, cwd, memory, gate, began), self.private) as launch:
                    child = subprocess.Popen(self._argv(launch.argv, lowers), stdin=subprocess.DEVNULL,
                                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd="/",
                                             pass_fds=(memory, gate, *launch.fds, *lowers), preexec_fn=layers.enter,
                                             start_new_session=True)
            except (OSError, subprocess.SubprocessError) as error:
                said = _received(ours)[0] or str(error)
                return Trial(command, err=said, seconds=time.monotonic() - start)
            uppers = _received(ours)[1]
            out, err, ended = _watch(child, deadline, self.sandbox.limits, should_stop)
            status = child.returncode
            if ended == "done" and status == 125 and not out:
                ended = "failed"  # the folder is not there in the view
            if any(_full(fd) for fd in uppers):
                ended = "limit"
            found: dict[str, Change] = {}
            for root, upper in zip(roots, uppers, strict=False):
                prefix = "" if root == self.sandbox.workspace else f"{root}/"
                found |= {prefix + path: change
                          for path, change in changes(upper, root, began, whole=copies).items()}
            return Trial(command, status if ended == "done" else None, clean(decode(out)), clean(decode(err)), found,
                         ended, time.monotonic() - start)
        except OSError as error:  # no memory, no descriptors: no trial, and the command is not the worse for it
            return Trial(command, err=str(error), seconds=time.monotonic() - start)
        finally:
            if child is not None:
                _end(child)
            for fd in (memory, gate, *uppers, *lowers):
                os.close(fd)
            ours.close()
            theirs.close()

    def _inner(self, command: str, cwd: Path, exports: int, gate: int, began: float) -> list[str]:
        script = (_SCRIPT.replace("@ULIMITS@", self.sandbox.limits.ulimits()).replace("@FD@", str(exports))
                  .replace("@GATE@", str(gate)).replace("@DATE@", f"@{int(began)} +0000"))
        return [self._bash, "--norc", "--noprofile", "-c", script, "bash", command, str(cwd)]

    def _argv(self, argv: list[str], lowers: Sequence[int]) -> list[str]:
        """Where folders are copied: cp does it, which needs no right of its own; then the real ones are out of reach.
        """
        if not lowers:
            return argv
        copy = " && ".join(f"cp -a --reflink=auto -- /proc/self/fd/{fd}/. {shlex.quote(str(root))}/"
                           for fd, root in zip(lowers, self._roots(), strict=True))
        shut = " ".join(f"{fd}<&-" for fd in lowers)
        return [self._bash, "--norc", "--noprofile", "-c", f'{copy} && exec "$@" {shut}', "bash", *argv]


class _Layers:
    """The forked child's part: namespaces and mounts. All that can be prepared is prepared before the fork."""

    def __init__(self, roots: Sequence[Path], private: Path | None, report: socket.socket, copies: bool,
                 gate: int) -> None:
        self.gate = gate
        self.roots = [os.fsencode(root) for root in roots]
        self.private = os.fsencode(private) if private else None
        self.report, self.copies = report, copies
        self.ids = (os.geteuid(), os.getegid())
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.parent = os.getpid()

    def enter(self) -> None:
        """Becomes two processes: the one that returns is the first of a process namespace, and all others end with it;
        the other one waits for it. Each is killed with its parent: bubblewrap's own --die-with-parent comes into force
        only when its mounts are done, so a harness that is killed before that would leave them running. bubblewrap's
        change of rights undoes it for a moment; what dies then is seen at the gate, a pipe whose other end is held by
        the one that waits: the script looks there before it runs the command."""
        try:
            uppers = self._enter()
            self.report.sendmsg([b"ok"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", uppers))])
            heard, held = os.pipe()
            pid = os.fork()
        except OSError as error:
            self.report.send(f"{error.strerror} ({error.filename or 'namespaces'})".encode())
            raise
        if pid:
            os.dup2(held, 0)
            os.closerange(1, 1 << 20)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            os._exit(status if status >= 0 else 128 - status)
        os.close(held)
        self.libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if select.select([heard], [], [], 0)[0]:  # the other end is closed: it died before the line above
            os._exit(1)
        os.dup2(heard, self.gate)
        os.close(heard)

    def _enter(self) -> list[int]:
        self._check(self.libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWPID), b"user namespace")
        uid, gid = self.ids
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(fd, text.encode())
            os.close(fd)
        self.libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the change of rights, which clears it
        if os.getppid() != self.parent:
            os._exit(1)
        try:  # when the machine runs out of memory, a trial goes first
            fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
            os.write(fd, b"1000")
            os.close(fd)
        except OSError:
            pass
        self._mount(None, b"/", None, _MS_REC | _MS_SLAVE)
        uppers = [self._layer(root, root) for root in self.roots]
        if self.private is not None:
            # The FIFOs of the live shell are hidden, and its /tmp is a view like the workspace.
            lower = os.open(self.private + b"/tmp", os.O_PATH | os.O_DIRECTORY)
            self._tmpfs(self.private)
            os.mkdir(self.private + b"/tmp", 0o777)
            os.chmod(self.private + b"/tmp", 0o1777)
            self._view(lower, self.private + b"/tmp", copy=False)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return uppers

    def _layer(self, lower: bytes, at: bytes) -> int:
        return self._view(os.open(lower, os.O_PATH | os.O_DIRECTORY), at, self.copies)

    def _view(self, lower: int, at: bytes, copy: bool) -> int:
        """An overlay over ``lower`` at ``at``; the descriptor of its upper layer."""
        self._tmpfs(at)
        base = os.open(at, os.O_RDONLY | os.O_DIRECTORY)
        os.mkdir(b"upper", 0o755, dir_fd=base)
        os.mkdir(b"work", 0o755, dir_fd=base)
        upper = os.open(b"upper", os.O_RDONLY | os.O_DIRECTORY, dir_fd=base)
        mode = os.stat(b"/proc/self/fd/%d" % lower).st_mode & 0o7777
        os.fchmod(upper, mode)
        if copy:
            self._mount(b"/proc/self/fd/%d" % upper, at, None, _MS_BIND)
            return upper
        options = b"lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d/upper,workdir=/proc/self/fd/%d/work" % (
            lower, base, base)
        try:  # without user.* attributes a folder that replaces another cannot be marked, and mkdir fails
            self._mount(b"overlay", at, b"overlay", 0, options + b",userxattr")
        except OSError:
            self._mount(b"overlay", at, b"overlay", 0, options)
        return upper

    def _tmpfs(self, at: bytes) -> None:
        self._mount(b"tmpfs", at, b"tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=0755,size=%d" % UPPER_BYTES)

    def _mount(self, source: bytes | None, target: bytes, kind: bytes | None, flags: int, data: bytes | None = None
               ) -> None:
        self._check(self.libc.mount(source, target, kind, ctypes.c_ulong(flags), data), target)

    def _check(self, code: int, what: bytes) -> None:
        if code:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), os.fsdecode(what))


def _received(ours: socket.socket) -> tuple[str, list[int]]:
    """What the child said before it became something else: an error, or the descriptors of the upper layers."""
    try:
        data, fds, _, _ = socket.recv_fds(ours, 1024, 64, socket.MSG_DONTWAIT)
    except OSError:
        return "", []
    return ("", fds) if data == b"ok" else (data.decode("utf-8", "replace"), fds)


def _watch(child: subprocess.Popen[bytes], deadline: float, limits: Limits, should_stop: Callable[[], bool]
           ) -> tuple[bytes, bytes, Ended]:
    """Reads until the end of both outputs, the deadline, or too much of anything; nothing is left running."""
    assert child.stdout is not None and child.stderr is not None
    kept: dict[int, bytearray] = {child.stdout.fileno(): bytearray(), child.stderr.fileno(): bytearray()}
    total, ended = 0, "done"
    watch = Watch(limits, (), lambda: _below(child.pid))
    with selectors.DefaultSelector() as selector:
        for fd in kept:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            now = time.monotonic()
            if now >= deadline or should_stop():
                ended = "timeout"
                break
            if total > OUTPUT_BYTES or watch.reason():
                ended = "limit"
                break
            for key, _ in selector.select(min(0.05, deadline - now)):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fd)
                total += len(data)
                kept[key.fd] += data[: max(0, KEPT_BYTES - len(kept[key.fd]))]
    if ended == "done":
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            ended = "timeout"
    _end(child)
    return bytes(kept[child.stdout.fileno()]), bytes(kept[child.stderr.fileno()]), ended  # type: ignore[return-value]


def _below(pid: int) -> Iterator[int]:
    """Every process that descends from ``pid``."""
    for child in processes.children(pid):
        yield child
        yield from _below(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kills what is left: the first process of the namespace takes all others with it, and the child ends after it."""
    if child.poll() is None:
        for pid in processes.children(child.pid) or [child.pid]:
            processes.send(pid, signal.SIGKILL)
        try:
            child.wait(2.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _full(fd: int) -> bool:
    left = os.statvfs(fd)
    return left.f_bavail * left.f_bsize < 1 << 16


def _mounts_inside(roots: Sequence[Path]) -> str:
    """A mount point below one of ``roots``: an overlay would show an empty folder there."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            points = [Path(os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1"))) for line in file]
    except (OSError, ValueError):
        return ""
    return next((str(point) for point in points for root in roots if point != root and point.is_relative_to(root)), "")


def _too_big(roots: Sequence[Path]) -> str:
    """Why these folders are not copied for every trial (a clause), or an empty string."""
    count = size = 0
    for root in roots:
        for folder, folders, files in os.walk(root):
            count += len(folders) + len(files)
            for name in files:
                try:
                    size += os.lstat(os.path.join(folder, name)).st_size
                except OSError:
                    continue
            if count > COPY_FILES or size > COPY_BYTES:
                return f"the workspace is too big to be copied (over {COPY_FILES} files or {COPY_BYTES >> 20} MiB)"
    return ""
