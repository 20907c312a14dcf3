"""Where commands may write: bubblewrap around the shell, or Landlock in it, probed before it is trusted.

``bwrap``: the whole file system is read-only except the workspace and the folders given with it; /tmp is private to the
session, /run is empty (no sockets of docker, D-Bus or ssh-agent), there is no network unless asked for, no capability,
and processes outside cannot be seen. ``landlock``, where user namespaces are forbidden: the same folders can be
written, TMPDIR is private, no socket can be made (with the network: none but IPv4 and IPv6), processes outside cannot
be signalled or looked into. At both levels a filter of system calls (:mod:`nimllm.tools.seccomp`) closes what neither
covers, and what is protected inside the workspace (:mod:`nimllm.tools.protected`) stays as it is.

Not promised: files can be *read* everywhere; a repository that a command itself makes has settings it can write;
``landlock`` does not hold chmod, chown, times and attributes of the user's own files outside, nor hide processes.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from nimllm.errors import CONFIG, SANDBOX, USAGE, NimError
from nimllm.tools import causes, environment, landlock, seccomp, stage
from nimllm.tools.environment import scrub as scrub
from nimllm.tools.protected import Closed, closed

Level = Literal["bwrap", "landlock", "none"]
INSIDE = Path("/run/nimllm")  # the shell's private folder as the sandbox sees it (read-only: a FIFO stays writable)
PIPES = "pipes"  # folder of its FIFOs
SHARED_MEMORY = 1 << 30  # bytes of /dev/shm in bubblewrap, at most a quarter of the machine's memory
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# Address families, by number: Python knows some of them only where its C library does. NETLINK is how getaddrinfo and
# programs such as ip look at the (own) network; all others, such as VSOCK (40), which no namespace holds, are refused.
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_FAMILIES = {"bwrap": (_UNIX, _INET, _INET6, _NETLINK), "landlock": (), "landlock, network": (_INET, _INET6, _NETLINK)}

# Strongest first; the first set of flags that passes the probe is used. --unshare-user is explicit because bwrap skips
# it for uid 0; --disable-userns is refused by bwrap < 0.8 and by setuid builds.
_FLAGS = (("--unshare-user", "--disable-userns", "--cap-drop", "ALL"), ("--unshare-user", "--cap-drop", "ALL"), ())


@dataclass(frozen=True)
class Limits:
    """Limits. The first four bash sets on itself at its start (hard, so that no command raises them; None: not set),
    the others a watch enforces."""

    processes: int | None = 4096  # per user (inside the namespace); uid 0 is exempt, the shell counts for it
    file_kib: int | None = 4 * 1024 * 1024  # largest file, KiB
    memory_kib: int | None = None  # address space of each process; off: JVM and torch reserve far more than they use
    cpu_seconds: int | None = 3600  # of each process; a command also has its deadline, what it leaves running has not
    resident_mib: int | None = None  # memory of all processes together; None: 80 % of the machine's (tools/watch.py)
    disk_mib: int | None = 20 * 1024  # what one command may add to a disk, in MiB (tools/watch.py)

    def ulimits(self) -> str:
        """One line of bash; a limit above the one already in force is left alone (2>/dev/null)."""
        pairs = (("u", self.processes), ("f", self.file_kib), ("v", self.memory_kib), ("t", self.cpu_seconds), ("c", 0))
        return "\n".join(f"ulimit -{flag} {value} 2>/dev/null" for flag, value in pairs if value is not None)


@dataclass(frozen=True)
class Check:
    """One thing that a probe tried. ``held``: it turned out as it must."""

    name: str
    held: bool
    detail: str = ""


class Launch(AbstractContextManager["Launch"]):
    """How a program is started in a sandbox. ``argv``; ``fds``, which the child must inherit; ``confine``, which it
    calls before exec; ``closed``, what is protected. To be closed once the child runs."""

    def __init__(self, argv: list[str], fds: tuple[int, ...], confine: Callable[[], None], closed: Closed) -> None:
        self.argv, self.fds, self.confine, self.closed = argv, fds, confine, closed

    def __exit__(self, *_: object) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = ()


@dataclass(frozen=True)
class Sandbox:
    """What is enforced around a command. ``level`` is what a probe has shown, ``reason`` says so in a sentence."""

    level: Level
    reason: str
    workspace: Path
    add_dirs: tuple[Path, ...] = ()
    network: bool = False
    limits: Limits = field(default_factory=Limits)
    bwrap: str | None = None
    flags: tuple[str, ...] = ()
    shown: tuple[stage.Shown, ...] = ()  # what commands see at another place; bwrap only
    hidden: tuple[Path, ...] = ()  # what commands do not see; bwrap only
    git_config: bool = False  # whether commands may write repositories' settings
    keep: tuple[Path, ...] = ()  # further paths that are never written, such as the model's folder
    abi: int = 0  # version of Landlock
    checks: tuple[Check, ...] = field(default=(), compare=False)

    @property
    def filtered(self) -> bool:
        """Whether system calls are filtered."""
        return self.enforced and seccomp.available() is None

    @property
    def enforced(self) -> bool:
        return self.level != "none"

    @property
    def contained(self) -> bool:
        """Whether all processes end with the first one (a process namespace)."""
        return self.level == "bwrap"

    @property
    def writable(self) -> tuple[Path, ...]:
        return (self.workspace, *self.add_dirs)

    def inside(self, private: Path) -> Path:
        """Where ``private`` (the shell's folder on the host) is seen by what runs in the sandbox."""
        return INSIDE if self.contained else private

    def closed(self) -> Closed:
        """What is protected in the writable folders, as they are now."""
        return closed(self.writable, self.git_config, self.keep)

    def launch(self, inner: Sequence[str], private: Path | None = None) -> Launch:
        """How to start ``inner`` in the sandbox, with the filter of system calls, which :meth:`argv` alone has not.

        ``private``: folder of the shell; its ``tmp/`` can be written, and its FIFOs, and nothing else in it.
        """
        for folder in self.writable:
            if self.enforced and folder.is_dir() and os.path.realpath(folder) != str(folder):
                raise NimError(f"{folder} leads somewhere else now", "it was replaced by a link after the sandbox was "
                               "tried", "put the folder back, and start again", SANDBOX)
        protected = self.closed() if self.enforced else Closed()
        if self.level == "none":
            return Launch(list(inner), (), lambda: None, protected)
        if self.level == "landlock":
            fd = landlock.ruleset(self._grants(private, protected), self.network, self.abi)
            families = _FAMILIES["landlock, network" if self.network else "landlock"]
            program = seccomp.Filter(families, truncates=self.abi >= 3).program()
            return Launch(list(inner), (fd,), landlock.confinement(fd, program), protected)
        if seccomp.available() is not None:
            return Launch(self.argv(inner, private, protected), (), lambda: None, protected)
        file = os.memfd_create("filter", os.MFD_CLOEXEC)
        os.write(file, seccomp.Filter(_FAMILIES["bwrap"]).program())
        os.lseek(file, 0, os.SEEK_SET)
        return Launch(self.argv(inner, private, protected, file), (file,), lambda: os.set_inheritable(file, True),
                      protected)

    def _grants(self, private: Path | None, protected: Closed) -> list[tuple[Path, int]]:
        """Landlock's rules. Settings of repositories cannot be left out of a folder in which files are made and
        renamed: a keeper looks after those."""
        found = [grant for folder in self.writable for grant in landlock.around(folder, protected.vital)]
        found += [(Path("/dev") / name, landlock.DEVICE) for name in _DEVICES]
        if private:
            found.append((private / "tmp", landlock.FOLDER))
            found.append((private / PIPES, landlock.WRITE))
        return found

    def argv(self, inner: Sequence[str], private: Path | None = None, protected: Closed | None = None,
             seccomp_fd: int | None = None) -> list[str]:
        """``inner`` wrapped by bubblewrap (as it is at other levels); ``private`` is shown read-only at :data:`INSIDE`,
        its ``tmp/`` becomes /tmp.

        Without --new-session on purpose: it takes the terminal away from bash, and ^C and job control with it. The
        terminal is a private pty, so nothing typed into it (TIOCSTI) can reach the user's own.
        """
        if not self.contained:
            return list(inner)
        assert self.bwrap
        protected = self.closed() if protected is None else protected
        args = [self.bwrap, *self.flags, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        args += [] if self.network else ["--unshare-net"]
        args += [] if seccomp_fd is None else ["--seccomp", str(seccomp_fd)]
        args += ["--die-with-parent", *stage.root(self.shown), "--dev", "/dev", "--proc", "/proc"]
        args += ["--size", str(_shared_memory()), "--tmpfs", "/dev/shm"] if "--disable-userns" in self.flags else []
        # As uid 0 a command is root to these files even without a capability.
        for name in ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi"):
            args += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
        args += _run_folder(self.network)
        if Path("/tmp") not in self.writable:
            temporary = private / "tmp" if private else None
            args += ["--bind", str(temporary), "/tmp"] if temporary else ["--perms", "1777", "--tmpfs", "/tmp"]
        # A narrower rule wins over a wider one, whichever of the two opens or closes.
        mounts = [("--bind", folder) for folder in (*self.writable, *_pinned(protected.existing, self.writable))]
        mounts += [("--ro-bind", path) for path in protected.existing]
        for flag, path in sorted(mounts, key=lambda mount: (len(mount[1].parts), mount[0] == "--ro-bind")):
            args += [flag, str(path), str(path)]
        for path in _sockets(self.writable):
            args += ["--ro-bind", "/dev/null", str(path)]
        if private:
            args += ["--ro-bind", str(private), str(INSIDE)]
        args += stage.mounts(self.shown, self.hidden)
        # Devices, folders of mounts: nothing is made there, in memory that nobody counts.
        args += ["--remount-ro", "/dev", "--remount-ro", "/run"]
        return [*args, "--chdir", str(self.workspace), "--", *inner]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """``env`` without secrets, and with what keeps programs from waiting for a person or a pager."""
        clean = environment.quiet(env)
        if self.contained:
            clean.pop("TMPDIR", None)
            clean["XDG_CACHE_HOME"] = "/tmp/.cache"
        return clean

    def temporary(self, private: Path) -> dict[str, str]:
        """Variables that lead programs to the private folder for temporary files where /tmp cannot be replaced."""
        if self.level != "landlock":
            return {}
        folder = str(private / "tmp")
        return {"TMPDIR": folder, "TMP": folder, "TEMP": folder, "XDG_CACHE_HOME": f"{folder}/.cache"}


def _pinned(closed: Iterable[Path], writable: Sequence[Path]) -> list[Path]:
    """The folders between the writable ones and what is closed in them. Each becomes a mount of its own, because a
    mount cannot be renamed: ``mv .git away`` would take ``.git/hooks`` with it and leave the name free."""
    closed = tuple(closed)
    found: dict[Path, None] = {}
    for path in closed:
        for parent in path.parents:
            if parent in writable:
                break
            if any(parent.is_relative_to(folder) for folder in writable) and parent not in closed:
                found[parent] = None
    return list(found)


def _sockets(writable: Sequence[Path]) -> list[Path]:
    """Sockets of running programs that could be reached by their path (a read-only mount does not keep anybody from
    connecting): agents, databases, docker. Those in the workspace are its own, unless they are in a hidden folder."""
    try:
        lines = Path("/proc/net/unix").read_text("utf-8", "surrogateescape").splitlines()[1:]
    except OSError:
        return []
    found: dict[Path, None] = {}
    for line in lines:
        name = line.split(None, 7)[7] if line.count(" /") else ""
        if not name.startswith("/") or name.startswith(("/run/", "/var/run/", "/tmp/", "/dev/", "/proc/")):
            continue
        path = Path(os.path.realpath(name))
        own = [path.relative_to(folder) for folder in writable if path.is_relative_to(folder)]
        if own and not any(part.startswith(".") for part in own[0].parts):
            continue
        try:
            if stat.S_ISSOCK(os.lstat(path).st_mode) and not path.is_relative_to("/run"):
                found[path] = None
        except OSError:
            continue
    return list(found)


def _shared_memory() -> int:
    return min(SHARED_MEMORY, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4)


def _run_folder(network: bool) -> list[str]:
    """An empty /run; NixOS keeps its programs there, and resolv.conf often points into it."""
    args = ["--tmpfs", "/run"]
    kept = ["/run/current-system", "/run/wrappers", "/run/opengl-driver"]
    if network:
        kept += ["/run/systemd/resolve", "/run/NetworkManager/resolv.conf", "/run/resolvconf"]
    for path in kept:
        args += ["--ro-bind-try", path, path]
    return args


def probe(
    workspace: Path,
    add_dirs: Iterable[Path] = (),
    network: bool = False,
    want: str = "auto",
    limits: Limits | None = None,
    git_config: bool = False,
    keep: Iterable[Path] = (),
) -> Sandbox:
    """Find the strongest level that works here, by trying it (:mod:`nimllm.tools.probing`; about 40 ms).

    ``want="bwrap"`` or ``"landlock"`` that cannot be enforced is a NimError (SANDBOX) that says why and how to mend it;
    ``"auto"`` falls to ``"none"``, and the reason says why.
    """
    if want not in ("auto", "bwrap", "landlock", "none"):
        raise NimError(f"unknown sandbox {want!r}", mend="use auto, bwrap, landlock or none", code=USAGE)
    root = _folder(workspace, "workspace")
    extra = tuple(dict.fromkeys(_folder(folder, "added folder") for folder in add_dirs))
    kept = tuple(Path(os.path.realpath(path)) for path in keep)
    plain = Sandbox("none", "", root, extra, network, limits or Limits(), git_config=git_config, keep=kept)
    if want == "none":
        return replace(plain, reason="not enforced: switched off by the user")
    if Path("/") in (root, *extra):
        failures = [("the writable folder is /, so there is nothing to protect", "choose a narrower workspace")]
    else:
        failures = []
        for level in ("bwrap", "landlock") if want == "auto" else (want,):
            found = _with_bubblewrap(plain) if level == "bwrap" else _with_landlock(plain)
            if isinstance(found, Sandbox):
                weaker = f"; not bubblewrap, since {failures[0][0]}" if failures else ""
                return replace(found, reason=_promise(found) + weaker)
            failures.append(found)
    if want != "auto":
        why, mend = failures[0]
        raise NimError(f"the sandbox ({want}) cannot be enforced", why,
                       f"{mend}; or pass --sandbox none to run commands with no protection", SANDBOX)
    return replace(plain, reason="not enforced: " + "; ".join(why for why, _ in failures) + f"; to mend it, "
                   f"{failures[0][1]}")


def _with_bubblewrap(plain: Sandbox) -> Sandbox | tuple[str, str]:
    from nimllm.tools import probing

    program = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin:" + os.environ.get("PATH", ""))
    if program is None or Path(program).resolve().is_relative_to(plain.workspace):
        return causes.of_missing_bubblewrap()
    failure: tuple[str, str] | None = None
    for flags in _FLAGS:
        candidate = replace(plain, level="bwrap", bwrap=program, flags=flags)
        checks, said = probing.examine(candidate)
        for _ in range(2):  # another program's socket, which is covered, may have gone meanwhile
            if said.startswith("bwrap: Can't "):
                checks, said = probing.examine(candidate)
        broken = next((check for check in checks if not check.held), None)
        if broken is None:
            return replace(candidate, checks=tuple(checks))
        found = causes.of_bubblewrap(said) if said else (f"{broken.name}: no ({broken.detail})", "run nimllm doctor")
        failure = failure or found
    assert failure is not None
    return failure


def _with_landlock(plain: Sandbox) -> Sandbox | tuple[str, str]:
    from nimllm.tools import probing

    version, filters = landlock.version(), seccomp.available()
    if version == 0 or filters is not None:
        return causes.of_missing_landlock(version, filters)
    candidate = replace(plain, level="landlock", abi=version)
    checks, said = probing.examine(candidate)
    broken = next((check for check in checks if not check.held), None)
    if broken is None:
        return replace(candidate, checks=tuple(checks))
    return f"{broken.name}: no ({said or broken.detail})", "run nimllm doctor"


def _promise(sandbox: Sandbox) -> str:
    how = "bubblewrap" if sandbox.level == "bwrap" else f"Landlock {sandbox.abi} and seccomp"
    writable = "the workspace" + (f" and {len(sandbox.add_dirs)} more" if sandbox.add_dirs else "")
    return f"{how}: only {writable} can be written, {'with' if sandbox.network else 'no'} network"


def _folder(path: Path, what: str) -> Path:
    real = Path(os.path.realpath(Path(path).expanduser()))
    if not real.is_dir():
        raise NimError(f"the {what} {path} is not a folder", mend="name a folder that exists", code=CONFIG)
    return real
