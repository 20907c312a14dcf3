"""Explains a failure at the sandbox: programs say no more than "Read-only file system" or "Operation not permitted".

A guess from the status and the messages, never from what was intended: it explains, and decides nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

from nimllm.tools.sandbox import Sandbox

_GIT_CONFIG = re.compile(r"could not (?:lock|write) config file (\S*(?:config|config\.worktree))\b")
_BUSY = re.compile(
    r"(?:^|[\s'\"‘])((?:/|\.{0,2}/?)[^\s:'\"’]*)['\"’]?: (?:Device or resource busy|Read-only file system)")
_READ_ONLY = re.compile(r"Read-only file system|Errno 30\b|EROFS")
_FORBIDDEN = re.compile(r"Permission denied|Operation not permitted|Errno 1\b|Errno 13\b|EACCES|EPERM")
_NETWORK = re.compile(
    r"Network is unreachable|Temporary failure in name resolution|Could not resolve host|unable to resolve host"
    r"|Name or service not known|socket: Operation not permitted|Failed to connect|socket\.gaierror|Errno -3\b"
    r"|getaddrinfo (?:EAI_AGAIN|ENOTFOUND)|Cannot assign requested address", re.IGNORECASE)
_PATH = re.compile(r"(?<![\w.~/-])/[^\s:'\"‘’`,;()\[\]]+")


def explain(sandbox: Sandbox, output: str, status: int | None) -> str | None:
    """One sentence on why the command was stopped and what would let it pass; None when the sandbox was not it.

    git's remark on its settings counts for a command that succeeded, too: then git itself went on.
    """
    if not sandbox.enforced:
        return None
    tail = output[-8192:]
    if (match := _GIT_CONFIG.search(tail)) and _inside(sandbox, match[1]):
        return (f"{match[1]} is protected, since git finds programs to run in it: run this in your own terminal, or "
                "let commands change it with --allow-git-config")
    if status in (0, None):
        return None
    if not sandbox.network and _NETWORK.search(tail):
        return "commands have no network; --network on gives it"
    if (_READ_ONLY.search(tail) or _FORBIDDEN.search(tail)) and (path := _outside(sandbox, tail)):
        return f"commands can write only in {sandbox.workspace}; --add-dir {path} adds a folder"
    if match := _BUSY.search(tail):
        return f"{match[1]} is protected and stays as it is"
    return None


def _inside(sandbox: Sandbox, name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() or any(path.is_relative_to(folder) for folder in sandbox.writable)


def _outside(sandbox: Sandbox, text: str) -> Path | None:
    """The folder of the first path outside in a line that complains."""
    for line in text.split("\n"):
        if not (_READ_ONLY.search(line) or _FORBIDDEN.search(line)):
            continue
        for match in _PATH.finditer(line):
            path = Path(match[0])
            if len(path.parts) > 2 and path.parts[1] not in ("tmp", "proc", "dev", "sys", "run") and not any(
                path.is_relative_to(folder) for folder in sandbox.writable
            ):
                return path.parent
    return None
