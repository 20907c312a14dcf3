"""A person's shell history: read from the files of bash, zsh and fish, rendered, and asked about.

``nimllm --train HISTORY --from MODEL`` teaches the model what its user types next. The rendering is that of the loop:
one ``bash`` turn after another, behind a system turn that says what it is (where a task has the names of files there),
without outputs, for a history holds none. A window shows the last commands and learns the ones behind them, so every
command is learnt with what preceded it; asking is the same window with the last turn open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nimllm.llm.generate import Generator
from nimllm.llm.turns import MARKERS, Turn, render
from nimllm.tools.redact import redact

NOTE = "shell history"  # the system turn
SHOWN, LEARNT = 12, 12  # commands of a window that are read, and that are learnt
CHUNK, EVERY = 20, 10  # of so many commands in a row, every tenth chunk is held out
LONGEST = 300  # characters of a command; longer ones are pasted programs
ASKED = 200  # held-out commands that are asked for, at most
COMMAND_TOKENS = 96
_NAMES = frozenset((".bash_history", ".zsh_history", "fish_history", ".histfile", ".sh_history", ".history",
                    ".zhistory", ".ash_history", ".ksh_history"))
_ZSH = re.compile(r": \d{9,11}:\d+;")
_STAMP = re.compile(r"#\d{9,11}$")
_FISH = re.compile(r"- cmd: ")
_USUAL = frozenset(("ls", "cd", "git", "cat", "vim", "vi", "nano", "grep", "sudo", "make", "ssh", "python", "python3",
                    "pip", "npm", "docker", "rm", "cp", "mv", "mkdir", "man", "history", "exit", "clear", "less",
                    "tail"))


def is_history(path: Path) -> bool:
    """Whether a file is one: by its name, or by the marks that shells write before commands."""
    if not path.is_file():
        return False
    if path.name in _NAMES or path.name.endswith("_history"):
        return True
    try:
        with open(path, "rb") as file:
            lines = file.read(20_000).decode("utf-8", "replace").splitlines()
    except OSError:
        return False
    marked = sum(bool(_ZSH.match(line) or _STAMP.match(line) or _FISH.match(line)) for line in lines)
    if marked >= max(1, len(lines) // 4):
        return True
    programs = sum(line.split(" ", 1)[0] in _USUAL for line in lines)
    return "history" in path.name.lower() and programs >= max(1, len(lines) // 3)


def read(path: Path) -> list[str]:
    """The commands, oldest first, their secrets redacted; without empty ones and those that are too long."""
    data = path.read_bytes()
    lines = _unmetafied(data).decode("utf-8", "replace").split("\n")
    if any(_ZSH.match(line) for line in lines[:50]):
        found = _zsh(lines)
    elif any(_FISH.match(line) for line in lines[:50]):
        found = _fish(lines)
    elif any(_STAMP.match(line) for line in lines[:50]):
        found = _stamped(lines)
    else:
        found = iter(lines)
    clean = (redact(command.strip()) for command in found)
    return [command for command in clean if command and len(command) <= LONGEST]


def _unmetafied(data: bytes) -> bytes:
    """zsh writes byte b of some letters as 0x83 and b ^ 32; 0x83 begins no UTF-8 sequence elsewhere."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return re.sub(rb"\x83(.)", lambda match: bytes([match[1][0] ^ 32]), data, flags=re.DOTALL)
    return data


def _zsh(lines: Sequence[str]) -> Iterator[str]:
    command: list[str] = []
    for line in lines:
        begun = _ZSH.match(line)
        if begun or not command:
            command = [line[begun.end():] if begun else line]
        else:
            command.append(line)
        if not command[-1].endswith("\\"):
            yield "\n".join(part.removesuffix("\\") for part in command)
            command = []


def _fish(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if _FISH.match(line):
            yield re.sub(r"\\(\\|n)", lambda match: "\n" if match[1] == "n" else "\\", line[7:])


def _stamped(lines: Sequence[str]) -> Iterator[str]:
    """Between two time stamps stands one command, of several lines perhaps."""
    command: list[str] = []
    for line in [*lines, "#000000000"]:
        if _STAMP.match(line):
            yield "\n".join(command)
            command = []
        else:
            command.append(line)


# ---- windows


@dataclass(frozen=True)
class Divided:
    """``windows``: conversations to learn from; ``held``: (what preceded, the command), of chunks that no window
    learns."""

    windows: list[list[Turn]]
    held: list[tuple[tuple[str, ...], str]]


def divide(commands: Sequence[str]) -> Divided:
    """Windows and held-out commands; deterministic. A held-out command may still be read as what preceded another."""
    every = min(EVERY, max(2, len(commands) // CHUNK))  # short histories lose a larger part
    windows: list[list[Turn]] = []
    held: list[tuple[tuple[str, ...], str]] = []
    for number, start in enumerate(range(0, len(commands), CHUNK)):
        chunk = range(start, min(start + CHUNK, len(commands)))
        if number % every == every - 1:
            held += [(tuple(commands[max(0, at - SHOWN):at]), commands[at]) for at in chunk]
            continue
        for begin in range(chunk.start, chunk.stop, LEARNT):
            windows.append(window(commands[max(0, begin - SHOWN):begin],
                                  commands[begin:min(begin + LEARNT, chunk.stop)]))
    return Divided(windows, held)


def window(shown: Sequence[str], learnt: Sequence[str] = ()) -> list[Turn]:
    """The turns: what is only read, and what is learnt."""
    return [Turn("system", NOTE, tainted=True), *(Turn("bash", command, tainted=True) for command in shown),
            *(Turn("bash", command) for command in learnt)]


def accuracy(generator: Generator, held: Sequence[tuple[tuple[str, ...], str]]) -> tuple[int, int]:
    """Held-out commands that greedy decoding writes exactly, and how many were asked for (evenly spread)."""
    asked = [held[at * len(held) // min(ASKED, len(held))] for at in range(min(ASKED, len(held)))]
    return sum(next_command(generator, shown) == command for shown, command in asked), len(asked)


def next_command(generator: Generator, shown: Sequence[str]) -> str:
    """What the model would type next."""
    tokenizer = generator.tokenizer
    bash, end = tokenizer.marker("bash"), tokenizer.marker("end")
    tokens = min(COMMAND_TOKENS, generator.config.context // 4)
    ids: list[int] = []
    for first in range(len(shown) + 1):  # as many as fit
        ids = render(window(shown[first:]), tokenizer).ids
        if len(ids) + 1 + tokens <= generator.config.context:
            break
    banned = tuple(tokenizer.marker(marker[2:-2]) for marker in MARKERS if marker != "<|end|>")
    return generator.complete([*ids, bash], tokens, stop_ids=(end,), banned=(0, 1, 2, 3, *banned)).text.strip()
