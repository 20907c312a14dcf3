"""Wordings by the hundred: how people ask for and tell what the table's relations hold.

A few wordings a relation teach a small model those wordings. What lets it understand one that nobody wrote down is the
breadth of what it met: every noun, verb and situation. The lists are text files beside this one, a template a line
(slots: see :mod:`~nimllm.alignment.memory.relations`). A section ``[city]`` asks, for any subject; ``[city:named]``
asks, for names only; ``[city+]`` and ``[city+named]`` tell. ``frames.txt`` holds what is put around a question.

Those who wrote the lists had not seen the bench's bank (``bench/``); a test holds that no wording of the bank is here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources

FILES = ("personal", "people", "project", "world", "further")
_SECTION = re.compile(r"\[(\w+)(\+|:)?(named)?\]")


@dataclass
class Paraphrases:
    """Of one relation. ``*_named``: only where the subject is a name."""

    asks: list[str] = field(default_factory=list)
    asks_named: list[str] = field(default_factory=list)
    tells: list[str] = field(default_factory=list)
    tells_named: list[str] = field(default_factory=list)

    def questions(self, named: bool) -> list[str]:
        return self.asks + self.asks_named if named else self.asks

    def statements(self, named: bool) -> list[str]:
        return self.tells + self.tells_named if named else self.tells


def _lines(name: str) -> list[str]:
    text = (resources.files(__package__) / f"{name}.txt").read_text("utf-8")
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


@lru_cache(maxsize=1)
def every() -> dict[str, Paraphrases]:
    """All lists, by the key of the relation."""
    found: dict[str, Paraphrases] = {}
    for name in FILES:
        into: list[str] = []
        for line in _lines(name):
            if section := _SECTION.fullmatch(line):
                key, mark, named = section.groups()
                lists = found.setdefault(key, Paraphrases())
                into = getattr(lists, ("tells" if mark == "+" else "asks") + ("_named" if named else ""))
            else:
                into.append(line)
    return found


def of(key: str) -> Paraphrases:
    """The lists of a relation; empty ones where there are none."""
    return every().get(key) or Paraphrases()


@lru_cache(maxsize=1)
def frames() -> dict[str, tuple[str, ...]]:
    """What is put around a question: ``question``, ``noun``, ``completion``, ``before``."""
    found: dict[str, list[str]] = {}
    for line in _lines("frames"):
        if section := _SECTION.fullmatch(line):
            found[section[1]] = []
        else:
            found[next(reversed(found))].append(line)
    return {key: tuple(lines) for key, lines in found.items()}
