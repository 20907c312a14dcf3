"""The environment of a command: without secrets, and with what keeps programs from waiting for a person or a pager."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(
    r"KEY|SECRET|TOKEN|PASSW|PASSPHRASE|PASSWD|(?:^|_)PASS(?:$|_)|_PWD$|CREDENTIAL|PRIVATE|(?:^|_)AUTH(?!OR)|COOKIE"
    r"|SSH_AUTH_SOCK|DBUS_SESSION_BUS|GPG_AGENT|NETRC|WEBHOOK|_DSN$|(?:^|_)PAT$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"://[^/\s:@]+:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:gh[pousr]_|github_pat_|xox[abprs]-|AKIA|sk-)\w{12,}"
)

QUIET = {
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
# What makes bash or the loader run code that is not the command, and bash's own settings of the user's session.
_CODE = (
    "BASH_ENV", "ENV", "PROMPT_COMMAND", "SHELLOPTS", "BASHOPTS", "HISTFILE", "BASH_XTRACEFD", "LD_PRELOAD", "LD_AUDIT",
)


def secret(name: str, value: str) -> bool:
    """Whether a variable's name (``*KEY*``, ``*TOKEN*``, …) or value looks like a secret."""
    return bool(_SECRET_NAME.search(name) or _SECRET_VALUE.search(value))


def scrub(env: Mapping[str, str]) -> dict[str, str]:
    """``env`` without secrets."""
    return {name: value for name, value in env.items() if not secret(name, value)}


def quiet(env: Mapping[str, str]) -> dict[str, str]:
    """``env`` for commands: scrubbed, no exported functions, no code to run first, and a PATH."""
    clean = {name: value for name, value in scrub(env).items() if not name.startswith("BASH_FUNC_")}
    clean.update(QUIET)
    for name in _CODE:
        clean.pop(name, None)
    clean.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return clean
