"""The private folder of a shell: what bash sources, its FIFOs, its /tmp; what a killed harness left is swept away."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nimllm.tools.keeper import recover

PREFIX = "nimllm-shell-"
LOCK = "lock"  # held by the process that owns the folder: the system lets go of it whatever becomes of the process
KEPT = "kept.json"  # what is protected in the workspace, as it was when the shell started
ABANDONED = 86_400.0  # seconds after which a folder without a lock file is nobody's
_swept = threading.Event()


class PrivateFolder:
    """A folder only we may enter, in the temporary folder. ``mark`` names the processes of the shell."""

    def __init__(self) -> None:
        self.mark = os.urandom(8).hex()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(self._lock, self.mark.encode())
        self._remove = weakref.finalize(self, _remove, self.path, self._lock)
        if not _swept.is_set():
            _swept.set()
            threading.Thread(target=sweep, name="nimllm-sweep", daemon=True).start()

    def remove(self) -> None:
        """A second call does nothing."""
        self._remove()


def _remove(path: Path, lock: int) -> None:
    remove_tree(path)
    os.close(lock)


def remove_tree(path: Path) -> None:
    """Removes what it can; folders that a command closed to itself are opened first."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        for folder, _, _ in os.walk(path):
            for name in os.listdir(folder) if os.access(folder, os.R_OK) else ():
                inner = os.path.join(folder, name)
                try:
                    if stat.S_ISDIR(os.lstat(inner).st_mode):
                        os.chmod(inner, 0o700)
                except OSError:
                    continue
        shutil.rmtree(path, ignore_errors=True)


def sweep(folder: Path | None = None) -> list[Path]:
    """Remove the private folders whose owners are dead, and end what runs of their shells; the folders removed.

    Only folders of this user, and only those whose lock nobody holds.
    """
    removed = []
    try:
        entries = list(os.scandir(folder or tempfile.gettempdir()))
    except OSError:
        return []
    for entry in entries:
        if not entry.name.startswith(PREFIX):
            continue
        try:
            found = entry.stat(follow_symlinks=False)
            if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
                continue
            with _abandoned(Path(entry.path), found.st_mtime) as mark:
                if mark is None:
                    continue
                for pid in marked(mark) if mark else ():
                    try:
                        os.kill(pid, 9)
                    except OSError:
                        continue
                recover(Path(entry.path) / KEPT)  # nothing of the shell runs any more
                remove_tree(Path(entry.path))
                removed.append(Path(entry.path))
        except OSError:
            continue
    return removed


@contextmanager
def _abandoned(path: Path, changed: float) -> Iterator[str | None]:
    """The mark of a folder whose owner is dead; empty when it had none; None while it may be in use. Its lock is held
    meanwhile, so that one sweeper at a time puts back what the shell changed."""
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield "" if time.time() - changed > ABANDONED else None
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        text = os.read(lock, 64).decode("ascii", "replace")
        if len(text) == 16:
            yield text
        else:
            yield "" if time.time() - changed > 60.0 else None  # made, and not yet locked
    finally:
        os.close(lock)


def marked(mark: str) -> list[int]:
    """Processes that carry ``mark`` in their environment (shells without a pid namespace of their own)."""
    needle = f"NIMLLM_SHELL={mark}".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if needle in file.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                continue
    return found


_GUARD = r"""
declare -A marks
while read -r what mark; do
  case $what in
    add) marks[$mark]=1 ;;
    drop) unset "marks[$mark]" ;;
  esac
done
[ ${#marks[@]} = 0 ] && exit
for mark in "${!marks[@]}"; do lines+=(-e "NIMLLM_SHELL=$mark"); done
for round in {1..40}; do
  found=
  for file in /proc/[0-9]*/environ; do
    if grep -qzxF "${lines[@]}" "$file" 2>/dev/null; then
      file=${file#/proc/}; kill -9 "${file%/environ}" 2>/dev/null && found=1
    fi
  done
  [ "$found" ] || break
done
exec "$1" -c 'from nimllm.tools.private import sweep; sweep()'
"""


def _homes() -> dict[str, str]:
    names = ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
    return {name: os.environ[name] for name in names if name in os.environ}


class Guard:
    """A process that ends the shells of this one when it is gone, however it went: it waits for the end of a pipe.

    Without a pid namespace nothing else would end their jobs; and bubblewrap's first process misses the death of its
    parent when that comes before it asked to be told. What the shells changed of protected things is put back at once.
    One guard serves all shells of a process, and ends with the last of them.
    """

    _lock = threading.Lock()
    _present: Guard | None = None

    def __init__(self, bash: str) -> None:
        self._owner = os.getpid()
        self._marks: set[str] = set()
        self._process = subprocess.Popen(
            [bash, "--norc", "--noprofile", "-c", _GUARD, "nimllm-guard", sys.executable],
            stdin=subprocess.PIPE,
            bufsize=0,  # what a killed guard did not read would be tried again, and fail, when the pipe is closed
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "PYTHONPATH": os.pathsep.join(sys.path), **_homes()},
            start_new_session=True,
        )

    @classmethod
    def add(cls, bash: str, mark: str) -> None:
        """Guard the shell that carries ``mark``, from before it starts."""
        with cls._lock:
            guard = cls._present
            if guard is None or guard._owner != os.getpid() or guard._process.poll() is not None:
                kept = guard._marks if guard is not None and guard._owner == os.getpid() else set()
                guard = cls._present = Guard(bash)  # the one before may have been killed: by a user, out of memory
                for other in kept:
                    guard._tell("add", other)
            guard._tell("add", mark)

    @classmethod
    def drop(cls, mark: str) -> None:
        """The shell with ``mark`` has ended; a second call does nothing."""
        with cls._lock:
            guard = cls._present
            if guard is None or guard._owner != os.getpid() or mark not in guard._marks:
                return
            guard._tell("drop", mark)
            if not guard._marks:
                cls._present = None
                guard._process.kill()
                guard._process.wait()
                if guard._process.stdin:
                    guard._process.stdin.close()

    def _tell(self, what: str, mark: str) -> None:
        if what == "add":
            self._marks.add(mark)
        else:
            self._marks.discard(mark)
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{what} {mark}\n".encode())
        except OSError:  # it was killed; the next shell starts another
            pass
