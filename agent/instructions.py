"""AGENTS.md: what a project says to agents, shown to the user and never obeyed.

A model of this size knows one form of conversation, and sentences about a project in its window cost it skill: of 60
generated tasks the shipped one does 57; with 75 characters of AGENTS.md behind the note of the folder 56, with 430
characters 49. And the file came with the project: its text is tainted. So it is read, capped, named at the start, and
where one of its lines gives a command for what the user just asked, that command is *shown*, for the user to type.
Nothing in it reaches the model, approves, runs, or is learnt.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nimllm.agent.display import size

NAME = "AGENTS.md"
MOST_BYTES = 8192  # of one file
MOST_FILES = 5  # from the workspace upwards
LONGEST = 200  # characters of a command that is shown
_CODE = re.compile(r"(`+)(.+?)\1")
_FENCE = re.compile(r"\s*(```|~~~)")
_WORD = re.compile(r"[a-z][a-z0-9_-]+")
# words that say nothing about what is to be done
_COMMON = frozenset(re.findall(r"\S+", """
    the an and or to of in on for with all any your you this that it its is are be by as at from into use using used run
    runs running please can could would how do does command commands before after always never must should when if then
    make sure me my our we i what which here there file files project code"""))


@dataclass(frozen=True)
class Suggestion:
    """A command that a line of the file gives, and the words around it."""

    path: Path
    line: int
    command: str
    words: frozenset[str]


@dataclass(frozen=True)
class Instructions:
    """One file. ``bytes``: its size; ``text``: as much of it as is read."""

    path: Path
    bytes: int
    text: str

    def told(self) -> str:
        """One line for the start of a session."""
        capped = f", of which the first {size(MOST_BYTES)} are read" if self.bytes > MOST_BYTES else ""
        return f"{self.path}: {size(self.bytes)}{capped}; its commands are shown where they fit, none is run unasked"


def find(workspace: Path) -> list[Instructions]:
    """The files of the workspace and of the folders above it up to the root of its repository, nearest first."""
    found: list[Instructions] = []
    folders = [workspace, *workspace.parents]
    root = next((number for number, folder in enumerate(folders) if (folder / ".git").exists()), 0)
    for folder in folders[: root + 1]:
        read = _read(folder / NAME, folders[root])
        if read is not None and len(found) < MOST_FILES:
            found.append(read)
    return found


def _read(path: Path, root: Path) -> Instructions | None:
    """None: there is none, or it is no file of the project (a link that leads out of it, a FIFO)."""
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, RuntimeError):
        return None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            return None
        return Instructions(path, about.st_size, os.read(descriptor, MOST_BYTES).decode("utf-8", "replace"))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def suggestions(files: list[Instructions]) -> list[Suggestion]:
    """The commands that the files give: code in a sentence, and lines of a code block under one."""
    return [found for file in files for found in _suggestions(file)]


def _suggestions(file: Instructions) -> Iterator[Suggestion]:
    above, fenced = "", False
    for number, line in enumerate(file.text.split("\n"), 1):
        if _FENCE.match(line):
            fenced = not fenced
            continue
        if fenced:
            command, _, comment = line.strip().removeprefix("$ ").partition(" # ")
            if command and not command.startswith("#"):
                yield Suggestion(file.path, number, command.strip(), _content(f"{above} {comment}"))
            continue
        text = _CODE.sub(" ", line)
        for code in _CODE.finditer(line):
            yield Suggestion(file.path, number, code[2].strip(), _content(text))
        if text.strip():
            above = text


def _content(text: str) -> frozenset[str]:
    words = (word.rstrip("s") if len(word) > 3 else word for word in _WORD.findall(text.lower()) if word not in _COMMON)
    return frozenset(words)


def fitting(request: str, offered: list[Suggestion]) -> Suggestion | None:
    """The suggestion whose words are those of the request; None when none comes near, or it cannot be judged by looking
    at it."""
    from nimllm.tools import policy

    wanted = _content(request)
    best: tuple[float, Suggestion] | None = None
    for one in offered:
        shared = len(wanted & one.words)
        if not shared or (" " not in one.command and not re.fullmatch(r"[\w./-]+", one.command)):
            continue
        points = shared / len(wanted | one.words) + shared
        if shared * 2 >= len(wanted) and shared * 3 >= len(one.words) and (best is None or points > best[0]):
            best = points, one
    if best is None:
        return None
    command = best[1].command
    if len(command) > LONGEST or policy.unreadable(command) or policy.look(command).problem:
        return None
    return best[1]
