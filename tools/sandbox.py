"""Where commands may write: a bubblewrap around the shell, probed before it is trusted.

The whole file system is read-only except the workspace and the folders given with it; /tmp is private to the session,
/run is empty (no sockets of docker, D-Bus or ssh-agent), there is no network unless asked for, no capability, and
processes outside cannot be seen. nimllm's own state and configuration stay read-only even inside the workspace.

Not promised: files can be *read* everywhere; ``.git/config`` of the workspace is writable (git needs it), so a command
can plant a setting that git obeys later, outside; uid 0 is exempt from the kernel's process limit.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nimllm.errors import CONFIG, SANDBOX, USAGE, NimError
from nimllm.places import config_home, state_home
from nimllm.tools import stage

Level = Literal["bwrap", "none"]
INSIDE = Path("/run/nimllm")  # the shell's private folder as the sandbox sees it (read-only: a FIFO stays writable)
PROBE_SECONDS = 10.0

# Strongest first; the first set of flags that passes the probe is used. --unshare-user is explicit because bwrap skips
# it for uid 0; --disable-userns is refused by bwrap < 0.8 and by setuid builds.
_FLAGS = (("--unshare-user", "--disable-userns", "--cap-drop", "ALL"), ("--unshare-user", "--cap-drop", "ALL"), ())

_SECRET_NAME = re.compile(
    r"KEY|SECRET|TOKEN|PASSW|PASSPHRASE|PASSWD|(?:^|_)PASS(?:$|_)|_PWD$|CREDENTIAL|PRIVATE|(?:^|_)AUTH(?!OR)|COOKIE"
    r"|SSH_AUTH_SOCK|DBUS_SESSION_BUS|GPG_AGENT|NETRC|WEBHOOK|_DSN$|(?:^|_)PAT$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"://[^/\s:@]+:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:gh[pousr]_|github_pat_|xox[abprs]-|AKIA|sk-)\w{12,}"
)


@dataclass(frozen=True)
class Limits:
    """Limits that bash sets on itself at its start (hard, so that no command raises them); None: not set."""

    processes: int | None = 4096  # per user (inside the namespace); uid 0 is exempt, the shell counts for it
    file_kib: int | None = 4 * 1024 * 1024  # largest file, KiB
    memory_kib: int | None = (
        None  # address space of each process, KiB; off: JVM and torch reserve far more than they use
    )
    cpu_seconds: int | None = None  # of each process; off: the deadline of the command stops it

    def ulimits(self) -> str:
        """One line of bash; a limit above the one already in force is left alone (2>/dev/null)."""
        pairs = (("u", self.processes), ("f", self.file_kib), ("v", self.memory_kib), ("t", self.cpu_seconds), ("c", 0))
        return "\n".join(f"ulimit -{flag} {value} 2>/dev/null" for flag, value in pairs if value is not None)


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

    @property
    def enforced(self) -> bool:
        return self.level != "none"

    def inside(self, private: Path) -> Path:
        """Where ``private`` (the shell's folder on the host) is seen by what runs in the sandbox."""
        return INSIDE if self.enforced else private

    def argv(self, inner: Sequence[str], private: Path | None = None) -> list[str]:
        """``inner`` wrapped; ``private`` is shown read-only at :data:`INSIDE`, its ``tmp/`` becomes /tmp.

        Without --new-session on purpose: it takes the terminal away from bash, and ^C and job control with it. The
        terminal is a private pty, so nothing typed into it (TIOCSTI) can reach the user's own.
        """
        if not self.enforced:
            return list(inner)
        assert self.bwrap
        args = [self.bwrap, *self.flags, "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        args += [] if self.network else ["--unshare-net"]
        args += ["--die-with-parent", *stage.root(self.shown), "--dev", "/dev", "--proc", "/proc"]
        # As uid 0 a command is root to these files even without a capability.
        for name in ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi"):
            args += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
        args += _run_folder(self.network)
        writable = (self.workspace, *self.add_dirs)
        if Path("/tmp") not in writable:
            temporary = private / "tmp" if private else None
            args += ["--bind", str(temporary), "/tmp"] if temporary else ["--perms", "1777", "--tmpfs", "/tmp"]
        # A narrower rule wins over a wider one, whichever of the two opens or closes.
        closed = protected(writable)
        mounts = [("--bind", folder) for folder in (*writable, *_pinned(closed, writable))]
        mounts += [("--ro-bind", path) for path in closed]
        for flag, path in sorted(mounts, key=lambda mount: (len(mount[1].parts), mount[0] == "--ro-bind")):
            args += [flag, str(path), str(path)]
        if private:
            args += ["--ro-bind", str(private), str(INSIDE)]
        args += stage.mounts(self.shown, self.hidden)
        return [*args, "--chdir", str(self.workspace), "--", *inner]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """``env`` without secrets, and with what keeps programs from waiting for a person or a pager."""
        clean = scrub(env)
        clean.update(_QUIET)
        for name in ("BASH_ENV", "ENV", "PROMPT_COMMAND", "SHELLOPTS", "BASHOPTS", "HISTFILE", "LD_PRELOAD"):
            clean.pop(name, None)
        if self.enforced:
            clean.pop("TMPDIR", None)
            clean["XDG_CACHE_HOME"] = "/tmp/.cache"
        clean.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        return clean


_QUIET = {
    "TERM": "dumb",
    "NO_COLOR": "1",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GH_PAGER": "cat",
    "MANPAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "EDITOR": "true",
    "VISUAL": "true",
    "GIT_EDITOR": "true",
    "GIT_SEQUENCE_EDITOR": "true",
    "GIT_MERGE_AUTOEDIT": "no",
    "GIT_TERMINAL_PROMPT": "0",
    "SSH_ASKPASS": "false",
    "DEBIAN_FRONTEND": "noninteractive",
    "PYTHONUNBUFFERED": "1",
    "PIP_NO_INPUT": "1",
}


def scrub(env: Mapping[str, str]) -> dict[str, str]:
    """``env`` without the variables whose name (``*KEY*``, ``*TOKEN*``, …) or value looks like a secret."""
    return {
        name: value for name, value in env.items() if not _SECRET_NAME.search(name) and not _SECRET_VALUE.search(value)
    }


def protected(writable: Iterable[Path]) -> list[Path]:
    """Paths inside the writable folders that stay read-only: nimllm's own folders, ``.nimllm`` and ``.git/hooks``.

    nimllm's state and configuration are made when they are missing, so that a command cannot make them first.
    """
    found: list[Path] = []
    for folder in writable:
        for own in (state_home(), config_home()):
            own = Path(os.path.realpath(own))
            if own != folder and own.is_relative_to(folder):
                try:
                    own.mkdir(mode=0o700, parents=True, exist_ok=True)
                except OSError:
                    continue
                found.append(own)
        for path in (folder / ".nimllm", folder / ".git" / "hooks"):
            if path.exists() and not path.is_symlink() and not path.parent.is_symlink():
                found.append(path)
    return found


def _pinned(closed: Iterable[Path], writable: Sequence[Path]) -> list[Path]:
    """The folders between the writable ones and what is closed in them. Each becomes a mount of its own, because a
    mount cannot be renamed: ``mv .git away`` would take ``.git/hooks`` with it and leave the name free."""
    found: dict[Path, None] = {}
    for path in closed:
        for parent in path.parents:
            if parent in writable:
                break
            if any(parent.is_relative_to(folder) for folder in writable):
                found[parent] = None
    return list(found)


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
) -> Sandbox:
    """Find the strongest level that works here, by trying it (about 60 ms).

    Positive: a command runs, and writes in the workspace. Negative: it cannot write beside the workspace, in the home
    or in nimllm's state, and has no network interface but ``lo``. ``want="bwrap"`` that cannot be enforced is a
    NimError (SANDBOX); ``"auto"`` falls to ``"none"`` and the reason says why.
    """
    if want not in ("auto", "bwrap", "none"):
        raise NimError(f"unknown sandbox {want!r}", mend="use auto, bwrap or none", code=USAGE)
    root = _folder(workspace, "workspace")
    extra = tuple(dict.fromkeys(_folder(folder, "added folder") for folder in add_dirs))
    limits = limits or Limits()
    plain = Sandbox("none", "", root, extra, network, limits)
    if want == "none":
        return _named(plain, "not enforced: switched off by the user")
    found = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin:" + os.environ.get("PATH", ""))
    why = ""
    if Path("/") in (root, *extra):
        why = "the writable folder is /, so there is nothing to protect"
    elif found is None or Path(found).resolve().is_relative_to(root):
        why = "bubblewrap (bwrap) is not installed"
    else:
        for flags in _FLAGS:
            candidate = Sandbox("bwrap", "", root, extra, network, limits, found, flags)
            failure = _try(candidate)
            if failure is None:
                return _named(candidate, _promise(candidate))
            why = why or failure
    if want == "bwrap":
        raise NimError(
            "the sandbox cannot be enforced",
            why,
            "install bubblewrap and allow user namespaces, choose a narrower workspace, or pass --sandbox none to run "
            "commands with no protection",
            SANDBOX,
        )
    return _named(plain, f"not enforced: {why}")


def _named(sandbox: Sandbox, reason: str) -> Sandbox:
    return Sandbox(
        sandbox.level,
        reason,
        sandbox.workspace,
        sandbox.add_dirs,
        sandbox.network,
        sandbox.limits,
        sandbox.bwrap,
        sandbox.flags,
    )


def _promise(sandbox: Sandbox) -> str:
    writable = "the workspace" + (f" and {len(sandbox.add_dirs)} more" if sandbox.add_dirs else "")
    return f"bubblewrap: only {writable} can be written, {'with' if sandbox.network else 'no'} network"


def _folder(path: Path, what: str) -> Path:
    real = Path(os.path.realpath(Path(path).expanduser()))
    if not real.is_dir():
        raise NimError(f"the {what} {path} is not a folder", mend="name a folder that exists", code=CONFIG)
    return real


_PROBE = r"""
mark=$1 writes=$2; shift 2
if [ "$writes" = yes ]; then : >"./$mark" && rm -f -- "./$mark" || { echo "cannot write in the workspace"; exit 9; }; fi
for folder; do : 2>/dev/null >"$folder/$mark"; done
read -r _ </dev/null
net=; while IFS=: read -r name rest; do name=${name// /}; case $name in lo|Inter-*|face*) ;; *) net+=" $name";; esac
done </proc/net/dev
echo "net$net"; echo done
"""


def _try(sandbox: Sandbox) -> str | None:
    """None when the probe passes, else why not. Files that got out are removed, and are the failure."""
    mark = f".nimllm-probe-{secrets.token_hex(6)}"
    writable = (sandbox.workspace, *sandbox.add_dirs)
    outside = [sandbox.workspace.parent, Path.home(), state_home(), config_home(), Path("/usr"), Path("/etc")]
    allowed = [*protected(writable)]
    outside = [
        folder
        for folder in dict.fromkeys(Path(os.path.realpath(folder)) for folder in outside)
        if folder.is_dir() and not any(folder.is_relative_to(root) for root in writable)
    ] + allowed
    writes = "yes" if os.access(sandbox.workspace, os.W_OK) else "no"
    with tempfile.TemporaryDirectory(prefix="nimllm-probe-") as private:
        (Path(private) / "tmp").mkdir()
        inner = ["/bin/bash", "--norc", "-c", _PROBE, "probe", mark, writes, *map(str, outside)]
        try:
            done = subprocess.run(
                sandbox.argv(inner, Path(private)),
                env=sandbox.environment(os.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROBE_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"bubblewrap did not answer within {PROBE_SECONDS:.0f} s"
        except OSError as error:
            return f"bubblewrap could not be started ({error.strerror})"
        leaked = [folder for folder in outside if (folder / mark).exists()]
        for folder in leaked:
            (folder / mark).unlink(missing_ok=True)
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    if leaked:
        return f"a command in the sandbox could write to {leaked[0]}"
    if done.returncode or "done" not in lines:
        said = (done.stderr.decode("utf-8", "replace").strip() or lines[0]).split("\n")[0]
        return f"bubblewrap does not work here ({said or f'exit {done.returncode}'})"
    if not sandbox.network and "net" not in lines:
        return "a command in the sandbox still sees the network"
    return None
