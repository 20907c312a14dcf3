"""What Tab and ``@`` offer: /commands, and files of the shell's folder, found by any letters of their path in order."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from nimllm.agent.display import visible

MOST_FILES, WALK_SECONDS, FRESH_SECONDS = 20_000, 0.1, 3.0  # of the tree that @ searches
OFFERED = 30
LEFT_OUT = frozenset({"node_modules", "__pycache__", "venv"})  # and everything hidden, unless a dot is typed
_AT = re.compile(r"(?<!\S)@(\"[^\"\n]*|\S*)$")
_WORD = re.compile(r"(?:\"([^\"\n]*)|((?:\\.|[^\s\\])*))$")


def quoted(path: str) -> str:
    """A path as one word of a message."""
    return f'"{path}"' if re.search(r"\s", path) else path


def score(wanted: str, path: str) -> float | None:
    """How well the letters of ``wanted`` are found in ``path``, in order; None: not at all. The file's own name counts
    most, letters side by side and the beginnings of words more than others, and short paths before long ones."""
    low, name = path.lower(), path.rstrip("/").rfind("/") + 1
    wanted = wanted.lower()
    whole = low.rfind(wanted)
    if whole >= 0:
        return 1000 + (200 if whole >= name else 0) + (100 if whole == name else 0) - len(path)
    points, at = 0.0, -1
    for letter in wanted:
        found = low.find(letter, at + 1)
        if found < 0:
            return None
        points += 8 if found == at + 1 else 4 if not found or low[found - 1] in "/._- " else 0
        points += 2 if found >= name else 0
        at = found
    return points - len(path) / 10


class Files:
    """The paths below a folder, folders with a slash at the end, looked up again after a few seconds."""

    def __init__(self) -> None:
        self._found: dict[tuple[Path, bool], tuple[float, list[str]]] = {}

    def below(self, folder: Path, hidden: bool) -> list[str]:
        at, names = self._found.get((folder, hidden), (0.0, []))
        if time.monotonic() - at > FRESH_SECONDS:
            names = list(_walk(folder, hidden))
            self._found = {(folder, hidden): (time.monotonic(), names)}
        return names


def _walk(folder: Path, hidden: bool) -> Iterator[str]:
    """Breadth first, so that what is near is found when time runs out."""
    end, count, level = time.monotonic() + WALK_SECONDS, 0, [""]
    while level:
        below: list[str] = []
        for parent in level:
            try:
                entries = sorted(os.scandir(folder / parent), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                if entry.name in LEFT_OUT or (entry.name.startswith(".") and not hidden):
                    continue
                try:
                    inside = entry.is_dir(follow_symlinks=False)
                except OSError:
                    inside = False
                path = parent + entry.name + ("/" if inside else "")
                if inside and entry.name != ".git":
                    below.append(path)
                count += 1
                yield path
            if count >= MOST_FILES or time.monotonic() > end:
                return
        level = below


class Words(Completer):
    """``commands``: slash command -> its second words. ``folder()``: where paths begin."""

    def __init__(self, commands: Mapping[str, Iterable[str]], folder: Callable[[], Path]) -> None:
        self._commands = {name: list(words) for name, words in commands.items()}
        self._folder = folder
        self._files = Files()

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        text = document.text_before_cursor
        if text.startswith("/") and " " not in text and "\n" not in text and "/" not in text[1:]:
            yield from self._slash(text)
            return
        first, blank, rest = text.partition(" ")
        if blank and first in self._commands and self._commands[first]:
            yield from (Completion(option, start_position=-len(rest)) for option in self._commands[first]
                        if option.startswith(rest))
            return
        at = _AT.search(text)
        if at:
            wanted = at[1].lstrip('"')
            yield from self._fuzzy(wanted, -len(at[1]))
        elif event.completion_requested:
            yield from self._paths(text)

    def _slash(self, text: str) -> Iterator[Completion]:
        for option in sorted(self._commands):
            if option.startswith(text):
                yield Completion(option, start_position=-len(text))

    def _fuzzy(self, wanted: str, start: int) -> Iterator[Completion]:
        hidden = wanted.startswith(".") or "/." in wanted
        scored = [(points, path) for path in self._files.below(self._folder(), hidden)
                  if (points := score(wanted, path)) is not None]
        scored.sort(key=lambda pair: (-pair[0], pair[1]) if wanted else (0, pair[1].count("/"), pair[1]))  # type: ignore
        for _, path in scored[:OFFERED]:
            yield Completion(quoted(path), start_position=start, display=visible(path))

    def _paths(self, text: str) -> Iterator[Completion]:
        """Tab: the names in one folder that go on from the last word."""
        found = _WORD.search(text.removeprefix("!"))
        word = (found[1] or found[2] or "") if found else ""
        length = len(found[0]) if found else 0
        folder, slash, beginning = word.rpartition("/")
        base = Path(os.path.expanduser(folder + slash)) if folder + slash else Path()
        try:
            entries = sorted(os.scandir(self._folder() / base), key=lambda entry: entry.name)
        except OSError:
            return
        for entry in entries:
            if not entry.name.startswith(beginning) or (entry.name.startswith(".") and not beginning.startswith(".")):
                continue
            try:
                name = entry.name + ("/" if entry.is_dir() else "")
            except OSError:
                name = entry.name
            path = folder + slash + name
            yield Completion(quoted(path), start_position=-length, display=visible(name))


def named(message: str, folder: Path) -> str:
    """A message without the ``@`` before names of files that exist; a name with spaces stays in quotes."""

    def plain(found: re.Match[str]) -> str:
        name: Any = found[1].strip('"')
        return found[1] if name and (folder / os.path.expanduser(name)).exists() else found[0]

    return re.sub(r"(?<!\S)@(\"[^\"\n]+\"|\S+)", plain, message)
