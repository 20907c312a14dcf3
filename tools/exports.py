"""The exported environment as ``export -p`` writes it, read without running anything of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from nimllm.tools.environment import scrub
from nimllm.tools.redact import redact

MOST_VALUE = 32 << 10  # characters of one value that is kept
MOST = 256 << 10  # of all
_OWN = frozenset({"PWD", "OLDPWD", "SHLVL", "_", "SHELLOPTS", "BASHOPTS", "BASH_ENV", "ENV", "PROMPT_COMMAND",
                  "LD_PRELOAD", "LD_AUDIT", "NIMLLM_SHELL", "PPID", "UID", "EUID"})
# One declaration: attributes, a name, and a value in double quotes or in $'...'.
_ONE = re.compile(
    rb"declare -(?P<flags>[A-Za-z-]+) (?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    rb"(?:=(?:\"(?P<double>(?:[^\"\\]|\\.)*)\"|\$'(?P<ansi>(?:[^'\\]|\\.)*)'|(?P<bare>[^\s\"'$]*)))?\n", re.DOTALL)
_DOUBLE = re.compile(rb"\\([$`\"\\])")
_ANSI = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))", re.DOTALL)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"e": b"\x1b", b"E": b"\x1b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t",
            b"v": b"\v"}


def parse(text: bytes) -> dict[str, str]:
    """Name -> value of what is exported with a value. What does not read as a declaration is passed over."""
    found: dict[str, str] = {}
    at = 0
    text = text if text.endswith(b"\n") else text + b"\n"
    while at < len(text):
        match = _ONE.match(text, at)
        if match is None:
            end = text.find(b"\n", at)
            at = len(text) if end < 0 else end + 1
            continue
        at = match.end()
        if b"x" not in match["flags"]:
            continue
        if match["double"] is not None:
            value = _DOUBLE.sub(rb"\1", match["double"])
        elif match["ansi"] is not None:
            value = _ANSI.sub(_letter, match["ansi"])
        elif match["bare"] is not None:
            value = match["bare"]
        else:
            continue
        found[match["name"].decode()] = value.decode("utf-8", "surrogateescape")
    return found


def _letter(match: re.Match[bytes]) -> bytes:
    if match[1] is not None:
        return bytes([int(match[1], 8) & 0xFF])
    if match[2] is not None:
        return bytes([int(match[2], 16)])
    return _LETTERS.get(match[3], match[3])


def changed(now: Mapping[str, str], start: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What was exported, and what taken away, since ``start``; without what is a secret, too large, or bash's own."""
    kept: dict[str, str] = {}
    room = MOST
    for name, value in scrub(now).items():
        if name in _OWN or start.get(name) == value or len(value) > min(MOST_VALUE, room):
            continue
        if redact(f"{name}={value}") != f"{name}={value}" or redact(value) != value:
            continue
        kept[name] = value
        room -= len(value)
    return kept, [name for name in start if name not in now and name not in _OWN]


def commands(values: Mapping[str, str], gone: list[str]) -> str:
    """bash that exports ``values`` and takes ``gone`` away, one a line, so that one readonly name stops no other."""
    name = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
    lines = [f"export {key}={shlex.quote(value)}" for key, value in values.items()
             if name.fullmatch(key) and "\0" not in value]
    lines += [f"unset -v {key}" for key in gone if name.fullmatch(key)]
    return "\n".join(lines)
