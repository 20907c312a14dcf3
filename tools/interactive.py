"""Commands that need somebody at a terminal, told from their text: they are not started, and the reason is given.

Only what is certain: a program that does nothing without a screen or a password, called in a way that would use it.
Pagers (``less``, ``more``, ``man``) are not among them: into a pipe, as here, they write all at once. Nor are programs
that read standard input (``python``, ``gdb``, ``mysql``): they get its end. What the text does not show is found while
it runs, by :mod:`nimllm.tools.execution`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

_EDITORS = (
    "vi", "vim", "nvim", "view", "vimdiff", "rvim", "nano", "pico", "rnano", "emacs", "jed", "joe", "mcedit", "micro",
    "hx", "helix", "kak", "ne", "mg", "zile",
)  # fmt: skip
_MONITORS = {
    "top": "top -b -n 1", "htop": "top -b -n 1", "btop": "top -b -n 1", "atop": "ps aux", "glances": "top -b -n 1",
    "nmon": "top -b -n 1", "bmon": "cat /proc/net/dev", "iftop": "cat /proc/net/dev", "nethogs": "cat /proc/net/dev",
    "iotop": "iotop -b -n 1", "nvtop": "nvidia-smi",
}  # fmt: skip
_MANAGERS = {
    "mc": "ls, cp and mv", "ranger": "ls", "nnn": "ls", "vifm": "ls", "tig": "git log", "lazygit": "git",
    "gitui": "git", "lazydocker": "docker ps", "k9s": "kubectl get", "ncdu": "du -sh *", "irssi": "", "weechat": "",
    "dialog": "", "whiptail": "", "nmtui": "nmcli", "cmatrix": "", "alsamixer": "amixer",
}  # fmt: skip
_BROWSERS = frozenset(["lynx", "w3m", "links", "elinks"])
_ROOT = frozenset(["sudo", "doas", "su", "pkexec", "run0"])
_ABOUT = frozenset(["--version", "--help", "-V", "-version"])
# Programs that run the command behind them, with the letters of the options that take a value, and the words to skip.
_BEFORE = {
    "env": ("uCS", 0), "command": ("", 0), "exec": ("a", 0), "nohup": ("", 0), "time": ("of", 0), "nice": ("n", 0),
    "ionice": ("cn", 0), "timeout": ("ks", 1), "setsid": ("", 0), "stdbuf": ("ioe", 0), "sudo": ("ughpCrtUD", 0),
}  # fmt: skip


def refusal(command: str) -> str:
    """Why ``command`` is not to be started, in a sentence; empty when it may be (2 µs for most)."""
    if _NAMES.isdisjoint(re.findall(r"[\w+-]+", command)):
        return ""
    from nimllm.tools.commands import UNKNOWN, parse

    script = parse(command)
    if script.problem:
        return ""
    defined = [id(simple) for body in script.functions.values() for simple in body]
    for simple in script.simples:
        if id(simple) in defined or simple.name in script.functions or not simple.words:
            continue
        if UNKNOWN in simple.words[0]:
            continue
        if reason := _refusal(simple.words):
            return reason
    return ""


def _refusal(words: Sequence[str]) -> str:
    for _ in range(6):
        name, args = words[0].rsplit("/", 1)[-1], list(words[1:])
        if _ABOUT.intersection(args):
            return ""
        if check := _CHECKS.get(name):
            reason = check(name, args)
            if reason:
                return reason
        if name not in _BEFORE:
            return ""
        words = _behind(name, args)
        if not words:
            return ""
    return ""


def _behind(name: str, args: list[str]) -> list[str]:
    """The command that a wrapper runs."""
    takes, skip = _BEFORE[name]
    if name == "command" and args[:1] in (["-v"], ["-V"]):
        return []
    while args and (args[0].startswith("-") or (name in ("env", "sudo") and re.match(r"\w+=", args[0]))):
        word = args.pop(0)
        if word == "--":
            break
        if len(word) == 2 and word[1] in takes and args:
            args.pop(0)
    return args[skip:]


def _short(args: Sequence[str], letter: str) -> bool:
    return any(re.fullmatch(rf"-\w*{letter}\w*", word) for word in args)


def _editor(name: str, args: list[str]) -> str:
    batch = ("--headless", "--batch", "-batch", "--script")
    if any(word in batch or re.fullmatch(r"-\w*[eE]s", word) for word in args):
        return ""
    return f"{name} edits on a screen, and there is none; change the file with sed, or write it anew"


def _monitor(name: str, args: list[str]) -> str:
    if name in ("top", "iotop") and _short(args, "b"):
        return ""
    return f"{name} redraws a screen until a key is pressed, and there is none; {_MONITORS[name]} says it once"


def _watch(_: str, args: list[str]) -> str:
    return "watch redraws a screen for ever, and there is none; run the command itself, or a loop with sleep"


def _manager(name: str, args: list[str]) -> str:
    if name == "ncdu" and _short(args, "o"):
        return ""
    instead = f"; use {_MANAGERS[name]}" if _MANAGERS[name] else ""
    return f"{name} needs a screen and keys, and there are none{instead}"


def _browser(name: str, args: list[str]) -> str:
    if any(re.match(r"--?(?:dump|source|listonly)", word) for word in args):
        return ""
    return f"{name} shows pages on a screen, and there is none; {name} -dump prints them"


def _tmux(name: str, args: list[str]) -> str:
    words = [word for word in args if not word.startswith("-")]
    verb = words[0] if words else ""
    if not args or verb in ("attach", "attach-session", "a", "at") or (
        verb in ("new", "new-session") and not _short(args, "d")
    ):
        return "tmux takes the terminal over, and there is none; tmux new-session -d works without"
    return ""


def _screen(name: str, args: list[str]) -> str:
    if any(re.match(r"-(?:\w*[dD]m|ls|list|X|wipe|Q|v)", word) for word in args):
        return ""
    return "screen takes the terminal over, and there is none; screen -dm works without"


def _fzf(name: str, args: list[str]) -> str:
    if any(re.match(r"-f|--filter", word) for word in args):
        return ""
    return "fzf asks for a choice on a screen, and there is none; fzf --filter or grep finds without asking"


def _passwd(name: str, args: list[str]) -> str:
    if any(word in ("-S", "--status", "-l", "-u", "-d", "-e", "-a", "--stdin", "-h") for word in args):
        return ""
    return "passwd asks for a password, and nobody types one here; run it in a terminal of yours"


def _root(name: str, args: list[str]) -> str:
    if os.geteuid() == 0 or (name == "sudo" and (_short(args, "[nSkKVhl]") or "--non-interactive" in args)):
        return ""
    mend = "sudo -n never asks" if name == "sudo" else "run it in a terminal of yours"
    return f"{name} may ask for a password, and nobody types one here; {mend}"


_CHECKS: dict[str, Callable[[str, list[str]], str]] = {
    **dict.fromkeys(_EDITORS, _editor),
    **dict.fromkeys(_MONITORS, _monitor),
    **dict.fromkeys(_MANAGERS, _manager),
    **dict.fromkeys(_BROWSERS, _browser),
    **dict.fromkeys(_ROOT, _root),
    "watch": _watch, "tmux": _tmux, "screen": _screen, "fzf": _fzf, "passwd": _passwd,
}  # fmt: skip
_NAMES = frozenset(_CHECKS)
