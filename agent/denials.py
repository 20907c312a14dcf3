"""Whether a command failed because of the sandbox, guessed from what it said.

The kernel's refusal reaches a program as an error number, and us as the program's message. A read-only file system is
the sandbox's doing. "Permission denied" and "Operation not permitted" count when their line names a place outside of
the folder the command ran in. A network that is not there counts, too. It stays a guess: a program may swallow the
message, or print one for reasons of its own (a file of another user, a server that is down).
"""

from __future__ import annotations

import re

from nimllm.agent.results import Step

_READ_ONLY = re.compile(r"Read-only file system|EROFS")
_REFUSED = re.compile(r"Permission denied|Operation not permitted|EACCES|EPERM")
_NETWORK = re.compile(
    r"Network is unreachable|Could not resolve host|Temporary failure in name resolution|Name or service not known"
    r"|Couldn't connect to server|No address associated with hostname|ENETUNREACH"
)
_PATH = re.compile(r"(?<![\w.])(?:/[^\s:'\"`‘’]+|\.\./[^\s:'\"`‘’]*)")


def denied(step: Step) -> bool:
    """Whether ``step`` ran, failed, and said what a denied program says."""
    if not step.ran or not step.status:
        return False
    if _READ_ONLY.search(step.output) or _NETWORK.search(step.output):
        return True
    return any(_REFUSED.search(line) and _leads_out(line, step.cwd) for line in step.output.split("\n"))


def _leads_out(line: str, folder: str) -> bool:
    return any(path.startswith("..") or not f"{path}/".startswith(f"{folder}/") for path in _PATH.findall(line))
