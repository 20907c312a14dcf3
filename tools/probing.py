"""A sandbox is believed when it has been tried: what must work works, what must not does not.

One bash in the sandbox tries everything with its builtins and writes a line for each. What it should not have written
is looked for from outside, so that a sandbox that lies is found out, too.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from pathlib import Path

from nimllm.places import config_home, state_home
from nimllm.tools.sandbox import Check, Sandbox

SECONDS = 10.0
MOST_CLOSED = 12  # protected paths that are tried

# Arguments: a name for files, whether the workspace can be written at all, folders outside, "--", protected files.
_SCRIPT = r"""
mark=$1 writes=$2; shift 2
echo started
if [ "$writes" = yes ]; then : 2>/dev/null >"./$mark" && echo workspace; else echo workspace; fi
while [ $# -gt 0 ] && [ "$1" != -- ]; do : 2>/dev/null >"$1/$mark"; shift; done; shift
for path; do : 2>/dev/null >>"$path" && echo "closed $path"; done
while read -r name value; do case $name in NoNewPrivs:|CapEff:|Seccomp:) echo "$name $value";; esac
done </proc/self/status
net=; while IFS=: read -r name rest; do name=${name// /}; case $name in lo|Inter-*|face*) ;; *) net+=" $name";; esac
done 2>/dev/null </proc/net/dev
echo "interfaces$net"
{ exec 3<>/dev/udp/127.0.0.1/9; } 2>/dev/null && echo socket
[ -e "/proc/$HARNESS/environ" ] && { read -r -n 1 _ <"/proc/$HARNESS/environ" && echo harness; } 2>/dev/null
echo done
"""


def examine(sandbox: Sandbox) -> tuple[list[Check], str]:
    """What was tried, and what the sandbox's own program complained of when nothing ran at all."""
    mark = f".nimllm-probe-{secrets.token_hex(6)}"
    outside = [sandbox.workspace.parent, Path.home(), state_home(), config_home(), Path("/usr"), Path("/etc")]
    outside = [
        folder
        for folder in dict.fromkeys(Path(os.path.realpath(folder)) for folder in outside)
        if os.path.isdir(folder) and not any(folder.is_relative_to(root) for root in sandbox.writable)
    ]
    with tempfile.TemporaryDirectory(prefix="nimllm-probe-") as name:
        private = Path(name)
        (private / "tmp").mkdir()
        try:
            with sandbox.launch([], private) as launch:
                # What Landlock cannot leave out of a folder is not closed to a command, but put back after it.
                held = launch.closed.existing if sandbox.contained else launch.closed.vital
                outside += [path for path in held if os.path.isdir(path)][:MOST_CLOSED]
                files = [str(path) for path in held if os.path.isfile(path)][:MOST_CLOSED]
                writes = "yes" if os.access(sandbox.workspace, os.W_OK) else "no"
                inner = ["/bin/bash", "--norc", "-c", _SCRIPT, "probe", mark, writes, *map(str, outside), "--", *files]
                done = subprocess.run(
                    [*launch.argv, *inner],
                    env={**sandbox.environment(os.environ), "HARNESS": str(os.getpid())},
                    cwd=sandbox.workspace,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=SECONDS,
                    pass_fds=launch.fds,
                    preexec_fn=launch.confine,
                )
        except subprocess.TimeoutExpired:
            return [Check("a command runs", False, f"no answer within {SECONDS:.0f} s")], ""
        except (OSError, subprocess.SubprocessError) as error:
            return [Check("a command runs", False, str(error))], ""
        wrote = os.path.isfile(sandbox.workspace / mark)
        (sandbox.workspace / mark).unlink(missing_ok=True)
        leaked = [folder for folder in outside if os.path.lexists(folder / mark)]
        for folder in leaked:
            (folder / mark).unlink(missing_ok=True)
    lines = done.stdout.decode("utf-8", "surrogateescape").split("\n")
    said = done.stderr.decode("utf-8", "replace").strip()
    if "started" not in lines or "done" not in lines:
        return [Check("a command runs", False, said.split("\n")[0] or f"exit {done.returncode}")], said or "exit"
    if writes == "yes" and not wrote:
        lines = [line for line in lines if line != "workspace"]
    return _judged(sandbox, lines, leaked, outside, files), ""


def _judged(sandbox: Sandbox, lines: list[str], leaked: list[Path], outside: list[Path], files: list[str]
            ) -> list[Check]:
    facts = {line.split(" ")[0]: line.partition(" ")[2] for line in lines}
    opened = [line[7:] for line in lines if line.startswith("closed ")]
    checks = [
        Check("a command runs", True),
        Check("the workspace can be written", "workspace" in lines, str(sandbox.workspace)),
        Check("nothing outside can be written", not leaked,
              f"a command could write to {leaked[0]}" if leaked else f"{len(outside)} folders tried"),
        Check("protected files cannot be written", not opened,
              f"a command could write to {opened[0]}" if opened else f"{len(files)} files tried"),
        Check("no privilege can be gained",
              facts.get("NoNewPrivs:") == "1" and not facts.get("CapEff:", "?").strip("0"),
              f"NoNewPrivs {facts.get('NoNewPrivs:', '?')}, CapEff {facts.get('CapEff:', '?')}"),
        Check("this process cannot be looked into", "harness" not in lines),
    ]
    if sandbox.level == "landlock" or sandbox.filtered:
        checks.append(Check("system calls are filtered", facts.get("Seccomp:") == "2",
                            f"Seccomp {facts.get('Seccomp:', '?')}"))
    if not sandbox.network:
        reached = facts.get("interfaces", "") if sandbox.contained else "a socket" if "socket" in lines else ""
        checks.append(Check("there is no network", not reached, f"{reached} seen" if reached else ""))
    return checks
