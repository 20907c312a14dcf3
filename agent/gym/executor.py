"""Runs the right commands of many drafts, fast: one long-lived sandboxed bash, a subshell and a folder per episode.

The meaning is that of one persistent bash started in the world's root: files of commands are sourced one after another,
``cd`` and variables persist, standard output and error go to one place, standard input is empty.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nimllm.agent.gym import places, truth
from nimllm.agent.gym.worlds import World
from nimllm.errors import SHELL, NimError

SECONDS = 30.0  # for all commands of one episode; wide, since a busy machine must not change what is generated
_DATE = "2026-06-01T12:00:00Z"
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "TZ": "UTC", "TERM": "dumb",
    "SHELL": "/bin/bash", "EDITOR": "true", "PAGER": "cat", "GIT_PAGER": "cat", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "GIT_AUTHOR_DATE": _DATE, "GIT_COMMITTER_DATE": _DATE,
    "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True)
class Execution:
    """``observations``: output and status per command; ``before`` and ``after``: :func:`truth.state`."""

    observations: list[tuple[str, int]]
    before: str
    after: str
    root: str  # the folder as the commands saw it


def history(world: World) -> bytes:
    """``git fast-import`` stream of the world's commits, an hour apart; one process instead of two per commit."""
    parts: list[bytes] = []
    last: dict[str, int] = {}
    for number, (author, message, _) in enumerate(world.commits, 1):
        last[author] = number
        stamp = 1_750_000_000 + number * 3_600
        who = f"{author} <{author.split()[0].lower()}@example.org> {stamp} +0000"
        text = message.encode() + b"\n"
        parts.append(f"commit refs/heads/main\nauthor {who}\ncommitter {who}\ndata {len(text)}\n".encode() + text)
        for path in world.commits[number - 1][2]:
            entry = world.entries[path]
            data = entry.target.encode() if entry.kind == "link" else entry.content
            mode = "120000" if entry.kind == "link" else "100755" if entry.mode & 0o100 else "100644"
            quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
            parts.append(f"M {mode} inline {quoted}\ndata {len(data)}\n".encode() + data + b"\n")
        parts.append(b"\n")
    return b"".join(parts)


def repository(world: World, stream: str) -> str:
    """Bash that turns the current folder into a repository with the history in the file ``stream``; the last author of
    a commit is its user."""
    user = world.commits[-1][0] if world.commits else "Ada King"
    mail = f"{user.split()[0].lower()}@example.org"
    return (f"git init -q -b main && git fast-import --quiet <{shlex.quote(stream)} && git reset -q && printf "
            f"'[user]\\n\\tname = %s\\n\\temail = %s\\n' {shlex.quote(user)} {mail} >>.git/config")


def edit(world: World, folder: Path) -> None:
    """Write the world's uncommitted changes."""
    for path, data in world.edits.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def plant(world: World, folder: Path) -> None:
    """The whole world in an empty folder, git included, without a worker; NimError when git fails."""
    world.materialise(folder)
    if not world.git:
        return
    with tempfile.NamedTemporaryFile() as stream:
        stream.write(history(world))
        stream.flush()
        script = f"set -e; {repository(world, stream.name)}"
        for step in (script, "; ".join(world.setup)):
            done = subprocess.run(["bash", "-c", step], cwd=folder, env=ENVIRONMENT, capture_output=True, check=False)
            if step == script:
                if done.returncode:
                    why = done.stderr.decode("utf-8", "replace")
                    raise NimError("cannot make a git repository", why, "install git", SHELL)
                edit(world, folder)


def _emptied(parent: str, own: Sequence[str]) -> list[str]:
    """bwrap's words for a folder that holds what the host's holds, and room for mount points of our own."""
    words = ["--tmpfs", parent] if parent != "/" else []
    for name in sorted(os.listdir(parent)):
        path = os.path.join(parent, name)
        if path in own or path in ("/dev", "/proc", "/tmp", "/run", "/etc", "/var"):
            continue
        words += ["--symlink", os.readlink(path), path] if os.path.islink(path) else ["--ro-bind-try", path, path]
    return words


def top_of(root: str) -> str:
    """Which of :data:`places.TOPS` the folder lies in."""
    return max((top for top in places.TOPS if f"{root}/".startswith(f"{top}/")), key=len)


@cache
def _bwrap() -> str | None:
    """Path of a bubblewrap that works here."""
    program = shutil.which("bwrap")
    if program is None:
        return None
    probe = subprocess.run([program, "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True, check=False)
    return program if probe.returncode == 0 else None


class Executor:
    """One worker. Folders live in memory (/dev/shm) where there is one. A context manager; not for threads."""

    def __init__(self) -> None:
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._base = Path(tempfile.mkdtemp(prefix="nimllm-gym-", dir=place))
        self._tops, self._control = self._base / "tops", self._base / "control"
        for top in places.TOPS:
            (self._tops / top[1:]).mkdir(parents=True, exist_ok=True)
        (self._control / "elsewhere").mkdir(parents=True)
        self._sandboxed = _bwrap() is not None
        self._told = 0
        self._bash: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._kill()
        shutil.rmtree(self._base, onerror=unlock)

    @property
    def sandboxed(self) -> bool:
        """Without bubblewrap only commands that the project itself wrote should run here."""
        return self._sandboxed

    def seen(self, root: str) -> str:
        """The path under which commands will see ``root``: without bubblewrap, one in the temporary folder."""
        return root if self._sandboxed else str(self._tops / root[1:])

    def run(self, world: World, commands: Sequence[str], times: Sequence[str] = (), user: str = "user",
            root: str = "/home/user/work", elsewhere: bool = False) -> Execution | None:
        """Execute in a fresh copy of the world at ``root`` (below one of :data:`places.TOPS`); None when the shell ends
        or is too slow. ``elsewhere``: the shell starts in another, empty folder."""
        folder, top = self._tops / root[1:], self._tops / top_of(root)[1:]
        folder.mkdir(parents=True, exist_ok=folder == top)
        try:
            world.materialise(folder)
            return self._execute(world, folder, commands, times, user, self.seen(root), elsewhere)
        finally:
            for entry in list(top.iterdir()) if folder == top else [top / folder.relative_to(top).parts[0]]:
                shutil.rmtree(entry, onerror=unlock) if entry.is_dir() and not entry.is_symlink() else entry.unlink()

    def _execute(self, world: World, folder: Path, commands: Sequence[str], times: Sequence[str], user: str,
                 root: str, elsewhere: bool) -> Execution | None:
        control = "/run/gym" if self._sandboxed else str(self._control)
        (self._control / "status").write_bytes(b"")
        self._passwd(user)
        if world.git:
            (self._control / "history").write_bytes(history(world))
            script = repository(world, f"{control}/history")
            if not self._tell(f"( cd {shlex.quote(root)} && {script} ) >&2 </dev/null"):
                return None
            if world.edits or world.setup:
                edit(world, folder)
                script = "; ".join(world.setup) or ":"
                if not self._tell(f"( cd {shlex.quote(root)}; {script} ) >&2 </dev/null"):
                    return None
        before = truth.state(folder, times)
        # without a trap, bash 5.2 replaces the subshell by the last command of a sourced "a; b" and never comes back
        lines = [f"( trap : EXIT; cd {shlex.quote(root)}; export HOME=$PWD USER={user} LOGNAME={user}",
                 f"cd {control}/elsewhere" if elsewhere else ":"]
        for number, command in enumerate(commands):
            (self._control / f"c{number}").write_text(command + "\n", "utf-8")
            lines.append(f". {control}/c{number} >{control}/o{number} 2>&1 </dev/null; echo $? >>{control}/status")
        lines.append(")")
        if not self._tell("\n".join(lines)):
            return None
        statuses = (self._control / "status").read_text().split()
        if len(statuses) != len(commands):
            return None
        own = re.compile(rf"^{re.escape(control)}/c\d+: line \d+: ", re.MULTILINE)  # tools/shell.py says "bash: "
        observations = [(own.sub("bash: ", (self._control / f"o{number}").read_bytes().decode("utf-8", "replace")),
                         int(status)) for number, status in enumerate(statuses)]
        git = ""
        if (folder / ".git").exists():
            if not self._tell(f"( cd {shlex.quote(root)}; {truth.GIT_STATE} ) >{control}/git 2>&1 </dev/null"):
                return None
            git = (self._control / "git").read_text("utf-8", "replace")
        return Execution(observations, before, truth.state(folder, times, git), root)

    def _passwd(self, user: str) -> None:
        """The sandbox's user is called as the episode says, so that ``whoami`` and ``ls -l`` vary."""
        (self._control / "passwd").write_text(
            f"root:x:0:0::/root:/bin/bash\n{user}:x:1000:1000::/home/{user}:/bin/bash\n")
        (self._control / "group").write_text(f"root:x:0:\n{user}:x:1000:\n")

    def _start(self) -> subprocess.Popen[bytes]:
        bash = ["/bin/bash", "--norc", "--noprofile"]
        if self._sandboxed:
            own = [word for top in places.TOPS for word in ("--bind", str(self._tops / top[1:]), top)]
            sandbox = [str(_bwrap()), "--unshare-all", "--die-with-parent", "--hostname", "box", "--uid", "1000",
                       "--gid", "1000", *(word for parent in ("/", "/etc", "/var")
                                          for word in _emptied(parent, places.TOPS)),
                       "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run", *own,
                       *(_emptied("/opt", places.TOPS)[2:] if os.path.isdir("/opt") else []),  # programs may live there
                       *(word for parent in ("/", "/etc", "/var") for word in ("--remount-ro", parent)),
                       "--bind", str(self._control), "/run/gym",
                       "--ro-bind", str(self._control / "passwd"), "/etc/passwd",
                       "--ro-bind", str(self._control / "group"), "/etc/group"]
            bash = [*sandbox, *bash]
        try:
            worker = subprocess.Popen(bash, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      env=ENVIRONMENT, start_new_session=True)
        except OSError as error:
            raise NimError("cannot start bash", str(error), "install bash", SHELL) from None
        assert worker.stdin is not None
        worker.stdin.write(b"umask 022; ulimit -f 200000 -c 0\n")
        return worker

    def _tell(self, script: str) -> bool:
        """Run a script to its end; False, and a new shell next time, when it does not end in time."""
        if self._bash is None:
            self._bash = self._start()
        bash = self._bash
        assert bash.stdin is not None and bash.stdout is not None
        self._told += 1
        wanted, seen, deadline = b"done %d\n" % self._told, b"", time.monotonic() + SECONDS
        try:
            bash.stdin.write(script.encode() + b"\necho " + wanted)
            bash.stdin.flush()
            while select.select([bash.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                seen += (part := os.read(bash.stdout.fileno(), 4096))
                if seen.endswith(wanted):
                    return True
                if not part:
                    break
        except BrokenPipeError:
            pass
        self._kill()
        return False

    def _kill(self) -> None:
        if self._bash is not None:
            with_group = self._bash.pid
            try:
                os.killpg(with_group, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._bash.wait()
            for pipe in (self._bash.stdin, self._bash.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass
            self._bash = None


def unlock(function: object, path: str, _: object) -> None:
    """A command may have taken our own rights away."""
    parent = os.path.dirname(path)
    os.chmod(parent, 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, 0o700)
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
