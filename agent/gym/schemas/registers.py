"""Requests as a block of text, one template a line, with short names for what is said in every other one.

``<show>``, ``<dir>`` and so on stand for alternations; ``<w>`` for where to look and ``<what>`` for which files, when
the schema gives them.
"""

from __future__ import annotations

import random
import re
from typing import Any

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable
from nimllm.agent.gym.schemas.phrases import single
from nimllm.agent.gym.schemas.subjects import HERE, kind, some_ext
from nimllm.agent.gym.worlds import World

MACROS = {
    "show": "(show|show me|print|list|display|give me|get|output|tell me)",
    "list": "(list|show|show me|print|find|give me|get|display)",
    "find": "(find|list|show|show me|locate|search for|look for|give me|get|print)",
    "want": "(I want|I need|I'd like|I would like|we need)",
    "see": "(I want to see|I need to see|I'd like to see|let me see|show me)",
    "dir": "(folder|directory|dir|folder|directory)",
    "dirs": "(folders|directories|dirs|folders|directories)",
    "subs": "(subfolders|subdirectories|sub-folders|folders|directories)",
    "del": "(delete|remove|get rid of|erase|drop|delete|remove)",
    "make": "(create|make|add|set up)",
    "all": "(all|all the|the|every one of the|all of the)",
    "here": HERE,
    "rec": "(recursively|and everything below|including subfolders|including all subfolders|with all subfolders)",
    "flat": "(, not in subfolders|, no subfolders|, without subfolders|only, not deeper| (top level only)|, not "
    "recursively)",
    "just": "(just|only)",
    "num": "(, just the number|, only the number|: just the number|)",
    "modes": "(permissions|mode|rights|access rights|permission bits)",
}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def expand(block: str, **extra: str) -> tuple[str, ...]:
    """The templates of a block, its short names replaced."""
    known, text = MACROS | extra, block
    for _ in range(2):  # what stands for <w> may hold <dir>
        text = re.sub(r"<(\w+)>", lambda found: known.get(found.group(1), found.group(0)), text)
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def ask(rng: random.Random, block: str, command: str, plan: str, answer: str | None = None, ordered: bool = False,
        w: str = "", what: str = "", **slots: Any) -> Draft:
    """A question of one command; ``w`` and ``what`` are alternations, the rest are slots."""
    return single(rng, expand(block, w=w, what=what), command, plan, True, answer, ordered, **slots)


def act(rng: random.Random, block: str, command: str, plan: str, w: str = "", what: str = "", **slots: Any) -> Draft:
    """Something to be done by one command."""
    return single(rng, expand(block, w=w, what=what), command, plan, False, **slots)


def amount(rng: random.Random, n: int) -> str:
    """A number as people write it: digits, or the word for a small one."""
    return NUMBERS[n] if n < len(NUMBERS) and rng.random() < 0.4 else str(n)


def several_of(rng: random.Random, items: list[str]) -> str:
    """a, b and c, in the ways a list is typed."""
    if len(items) < 2:
        return items[0]
    return rng.choice((", ".join(items[:-1]) + " and " + items[-1], ", ".join(items), " ".join(items),
                       ", ".join(items[:-1]) + ", and " + items[-1] if len(items) > 2 else " and ".join(items)))


def folder_of(world: World, rng: random.Random, least: int = 1, blanks: bool = True) -> str:
    """A folder with at least so many files directly in it; when there is none, one is made."""
    found = [path for path in world.dirs() if len(inside(world, path)) >= least and (blanks or " " not in path)]
    if found and rng.random() < 0.7:
        return rng.choice(found)
    path = world.new_name("dir")
    if not blanks and " " in path:
        raise Unsuitable("a blank")
    world.add_dir(path)
    for _ in range(max(1, least) + rng.randint(0, 2)):
        name = world.new_name("file")
        world.add_file(f"{path}/{name}", world.content(name))
    return path


def inside(world: World, folder: str) -> list[str]:
    """Paths of the files directly in a folder ("" or ".": the root)."""
    prefix = "" if folder in ("", ".") else folder + "/"
    return [path for path in world.files() if path.startswith(prefix) and "/" not in path[len(prefix):]]


def place(world: World, rng: random.Random, share: float = 0.5, least: int = 1) -> tuple[str, str, dict[str, Any]]:
    """A folder to look directly into, as for :func:`subjects.scope`: at least so many files lie in it."""
    if rng.random() < share:
        folder = folder_of(world, rng, least)
        return folder, ("(in {folder}|in {folder}|inside {folder}|within {folder}|in the folder {folder}|"
                        "in the directory {folder}|in the {folder} folder|in the {folder} directory|"
                        "in the dir {folder})"), {"folder": folder}
    if len(inside(world, "")) < least:
        raise Unsuitable("too few files")
    return ".", HERE, {}


def named(folder: str) -> dict[str, Any]:
    """The slot of a folder that a request names; none for the current one."""
    return {} if folder in ("", ".") else {"folder": folder}


def stem(rng: random.Random) -> str:
    """A plain name without blanks, dots or dashes at the start: for new files and folders, prefixes, variables."""
    return re.sub(r"\W", "_", names.stem(rng, 0)) if rng.random() < 0.3 else names.word(rng)


def under(world: World, folder: str, ext: str | None = None) -> list[str]:
    """The files below a folder, "." for all."""
    return world.files(ext, "" if folder == "." else folder)


def kind_or_files(world: World, rng: random.Random, folder: str, share: float = 0.4) -> tuple[str, str, dict[str, Any]]:
    """A test of find on the extension (or none), how such files are called, and the slots of that."""
    if rng.random() < share:
        ext = some_ext(world, rng, folder)
        what, slots = kind(ext)
        return f" -name '*.{ext}'", what, slots
    return "", "files", {}


def count(rng: random.Random, share: float = 0.25) -> str:
    """Now and then the end of a command that counts lines."""
    return " | wc -l" if rng.random() < share else ""
