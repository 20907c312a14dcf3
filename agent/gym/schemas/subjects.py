"""What requests are about: where to look, which kind of file, which word of a text; and how people say it."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

from nimllm.agent.gym.schema import Draft, Unsuitable
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.worlds import World

HERE = ("(||here|in this folder|in the current directory|in the current folder|in this directory|in this dir|"
        "in the working directory)")
SHOW = "(show|list|print|give me|display|get|tell me)"
PRINT = "(show|print|display|give me|output)"
KINDS = {"py": "python", "md": "markdown", "txt": "text", "js": "javascript", "sh": "shell", "html": "html",
    "log": "log",
         "csv": "csv", "json": "json", "yaml": "yaml", "yml": "yaml", "c": "c", "go": "go", "rs": "rust",
         "java": "java",
         "css": "css", "xml": "xml", "sql": "sql", "rb": "ruby", "ts": "typescript", "png": "png", "pdf": "pdf",
         "jpg": "jpg", "bak": "backup", "tmp": "temporary", "toml": "toml", "ini": "ini", "mp3": "mp3", "gif": "gif"}


def scope(world: World, rng: random.Random, share: float = 0.4) -> tuple[str, str, dict[str, Any]]:
    """Where to search: a folder (``.`` for the root), an alternation that names it, and the slots of that."""
    folders = world.dirs()
    if folders and rng.random() < share:
        folder = rng.choice(folders)
        return folder, ("(in {folder}|inside {folder}|under {folder}|in the folder {folder}|in the directory {folder}|"
                        "within {folder}|below {folder}|in the {folder} folder|in the {folder} directory|"
                        "anywhere in {folder}|somewhere under {folder}|in dir {folder})"), {"folder": folder}
    return ".", HERE, {}


def kind(ext: str, plural: str = "files") -> tuple[str, dict[str, Any]]:
    """Alternation for "files with this extension" and its slots."""
    ways = ["{dot} " + plural, "{dot} " + plural, "{star} " + plural, plural + " ending in {dot}",
            plural + " with (the|) extension {bare}", "{bare} " + plural]
    if ext in KINDS:
        ways += [KINDS[ext] + " " + plural] * 3
    return "(" + "|".join(ways) + ")", {"dot": f".{ext}", "star": f"*.{ext}", "bare": ext}


def some_ext(world: World, rng: random.Random, under: str = ".", least: int = 1) -> str:
    """An extension that files below a folder have; rare ones are as likely as common ones."""
    found = world.extensions("" if under == "." else under)
    several = sorted({ext for ext in found if found.count(ext) >= least and re.fullmatch(r"\w{1,5}", ext)})
    if not several:
        raise Unsuitable("no extension")
    return rng.choice(several)


def word_in(world: World, rng: random.Random, path: str, least: int = 3) -> str:
    """A word of the file."""
    found = sorted({word for word in re.findall(r"[A-Za-z]+", world.read(path)) if least <= len(word) <= 20})
    if not found:
        raise Unsuitable("no word")
    return rng.choice(found)


def pattern_in(world: World, rng: random.Random, path: str) -> str:
    """A word, two words, or a number of the file: free of characters that grep or sed read in a special way."""
    text = world.read(path)
    at = rng.random()
    if at < 0.2:
        pairs = sorted(set(re.findall(r"[A-Za-z]+ [A-Za-z]+", text)))
        if pairs:
            return rng.choice(pairs)
    if at < 0.3:
        numbers = sorted(set(re.findall(r"\d{2,}", text)))
        if numbers:
            return rng.choice(numbers)
    return word_in(world, rng, path)


def text_file(world: World, rng: random.Random, least: int = 3, most: int = 10_000) -> str:
    """A text file with that many lines; when none suits, one is written."""
    found = [path for path in world.texts(min_lines=least) if world.entries[path].content.count(b"\n") <= most]
    near = [path for path in found if "/" not in path]
    if found and rng.random() < 0.85:
        return rng.choice(near if near and rng.random() < 0.6 else found)
    folder = rng.choice(["", "", *(f"{path}/" for path in world.dirs() if "/" not in path)])
    path = folder + world.new_name("file", rng.choice(("txt", "txt", "md", "log", "lst")))
    world.add_file(path, world.text(rng.randint(least, min(most, least + 20))))
    return path


def table(world: World, rng: random.Random, least: int = 4) -> tuple[str, list[str]]:
    """A new comma-separated file and its columns."""
    rows = rng.randint(least, least + rng.choice((3, 6, 12)))
    text, columns = world.csv(rows)
    folders = [f"{path}/" for path in world.dirs() if "/" not in path]
    path = rng.choice(["", "", "", *folders]) + world.new_name("file", "csv")
    world.add_file(path, text)
    return path, columns


def list_file(world: World, rng: random.Random, least: int = 4) -> str:
    """A new file with one word or name per line, some of them twice."""
    path = world.new_name("file", rng.choice(("txt", "txt", "lst", "list", "dat")))
    world.add_file(path, world.word_list(rng.randint(least, least + 10)))
    return path


def number_file(world: World, rng: random.Random, least: int = 3) -> str:
    """A new file with one number per line."""
    path = world.new_name("file", rng.choice(("txt", "dat", "num", "lst")))
    world.add_file(path, world.numbers(rng.randint(least, least + 9), 0, rng.choice((20, 99, 999, 50_000))))
    return path


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def below(folder: str) -> str:
    """The folder as an argument of find or grep -r."""
    return "." if folder == "." else quoted(folder)


def volatile(draft: Draft) -> Draft:
    """The same draft, its output depending on the moment."""
    return replace(draft, volatile=True)
