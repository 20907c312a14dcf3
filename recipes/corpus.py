"""The texts and pairs of a data folder (see its README), as documents and as turns in the format of the loop."""

from __future__ import annotations

import json
import lzma
import random
import re
from collections.abc import Iterator
from pathlib import Path

from nimllm.agent.gym import names
from nimllm.agent.gym.wordings import humanise
from nimllm.errors import NimError
from nimllm.llm.turns import Turn

# (file, share of its documents that is used): the small model cannot hold it all, the shell texts matter most
DOCUMENTS = (
    ("abs-guide/abs-guide.jsonl.xz", 1.0),
    ("guides-mit/bash-guide.md", 1.0),
    ("guides-mit/bash-oneliner.md", 1.0),
    ("guides-mit/introduction-to-bash-scripting.md", 1.0),
    ("guides-mit/pure-bash-bible.md", 1.0),
    ("guides-cc-by/bash-handbook.md", 1.0),
    ("debian-man/man_cli.jsonl.xz", 0.35),
    ("debian-docs/docs.jsonl.xz", 0.06),
    ("text-general/gutenberg.jsonl.xz", 0.08),
    ("text-general/us-speeches.txt.xz", 0.3),
    ("text-general/tinyshakespeare.txt", 0.3),
    ("wordnet/glosses.txt.xz", 0.3),
)
PAIRS = (
    "tldr/pairs.jsonl.xz",
    "nl2bash/pairs.jsonl.xz",
    "cheatsheets-cc0/cheat-cheatsheets.jsonl",
    "cheatsheets-cc0/denisidoro-cheats.jsonl",
    "cheatsheets-mit/bash-oneliner.jsonl",
    "cheatsheets-mit/secret-knowledge.jsonl",
)
PIECE = 6000  # characters of a document's piece


def _open(path: Path) -> Iterator[str]:
    """The file's text, unpacked, line by line; NimError when it is missing."""
    if not path.exists():
        raise NimError(
            f"the data folder has no {path.name}",
            f"{path} does not exist",
            "give --data the folder its README describes",
            2,
        )
    if path.suffix == ".xz":
        with lzma.open(path, "rt", encoding="utf-8") as file:
            yield from file
    else:
        with open(path, encoding="utf-8") as file:
            yield from file


def _pieces(text: str) -> Iterator[str]:
    """Cut at blank lines into pieces of at most about PIECE characters."""
    piece: list[str] = []
    size = 0
    for paragraph in text.split("\n\n"):
        if size + len(paragraph) > PIECE and piece:
            yield "\n\n".join(piece)
            piece, size = [], 0
        piece.append(paragraph[: 4 * PIECE])
        size += len(paragraph) + 2
    if piece:
        yield "\n\n".join(piece)


def documents(data: Path, seed: int) -> Iterator[str]:
    """Pieces of text of the sources above, in file order."""
    rng = random.Random(seed)
    for name, share in DOCUMENTS:
        path = data / name
        if ".jsonl" in path.name:
            for line in _open(path):
                if rng.random() < share:
                    yield from _pieces(json.loads(line)["text"])
        else:
            for piece in _pieces("".join(_open(path))):
                if rng.random() < share:
                    yield piece


def probe_text(data: Path, pieces: int = 12, characters: int = 1800) -> str:
    """Public-domain text, half about the shell and half not, that ships with the model: a memory update measures on
    it what it does to everything else (``alignment/memory/curvature.py``)."""
    rng = random.Random(0)
    parts = []
    for name in ("abs-guide/abs-guide.jsonl.xz", "text-general/gutenberg.jsonl.xz"):
        rows = [json.loads(line)["text"] for line in _open(data / name)]
        for text in rng.choices(rows, k=pieces):
            start = rng.randrange(max(1, len(text) - characters))
            parts.append(text[start : start + characters])
    rng.shuffle(parts)
    return "\n\n".join(parts)


_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}")
_LITERAL = re.compile(r"(?<![\w./-])(?:[\w-]+\.[a-z]{1,4}|[a-z]+\d+|\d{2,}|[a-z]+_[a-z_]+)(?![\w/])")
_WANTED_KINDS = (
    "path/to",
    "file",
    "dir",
    "name",
    "pattern",
    "string",
    "number",
    "user",
    "word",
    "text",
    "regex",
    "port",
    "branch",
    "message",
    "host",
    "pid",
    "process",
    "group",
    "package",
)


def _filler(rng: random.Random, placeholder: str) -> str:
    """A random value of the kind that a tldr placeholder names."""
    last = placeholder.rsplit("/", 1)[-1]
    extension = re.search(r"(\.[a-z0-9]+(?:\.[a-z0-9]+)?)$", last)
    stem = names.stem(rng, blanks=0.0)
    if re.fullmatch(r"\d+", placeholder):
        return str(rng.randint(1, 10 ** len(placeholder)))
    if extension:
        folder = f"{names.word(rng)}/" if rng.random() < 0.3 else ""
        return f"{folder}{stem}{extension.group(1)}"
    if "path/to" in placeholder or "dir" in placeholder:
        return stem if rng.random() < 0.6 else f"{names.word(rng)}/{stem}"
    return names.word(rng)


def _refilled(rng: random.Random, request: str, template: str) -> tuple[str, str] | None:
    """A tldr template with fresh values, said in the request, too: so a value is copied, never a placeholder learnt."""
    places = _PLACEHOLDER.findall(template)
    kinds = [place for place in dict.fromkeys(places)]
    if not places:
        return request, template
    if len(kinds) > 2 or any(
        "|" in place or not (re.fullmatch(r"\d+", place) or any(kind in place.lower() for kind in _WANTED_KINDS))
        for place in kinds
    ):
        return None
    values = {kind: _filler(rng, kind) for kind in kinds}
    command = _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)
    said = list(values.values())
    tail = said[0] if len(said) == 1 else f"{said[0]} {rng.choice(('and', 'to', 'with', 'in'))} {said[1]}"
    joint = rng.choice((": {}", " {}", " ({})", ", {}"))
    return request.rstrip(".") + joint.format(tail), command


def _renamed(rng: random.Random, request: str, command: str) -> tuple[str, str]:
    """The same pair with its file names, numbers and identifiers renamed on both sides at once."""
    if rng.random() < 0.15:
        return request, command
    found = [word for word in dict.fromkeys(_LITERAL.findall(request)) if word in command]
    quoted = [word for word in re.findall(r"[\"']([A-Za-z]\w{2,14})[\"']", request) if word in command]
    for word in dict.fromkeys(found + quoted):
        if word.isdigit():
            fresh = str(rng.randint(2, 10 ** len(word)))
        elif "." in word:
            fresh = f"{names.stem(rng, blanks=0.0)}.{word.rsplit('.', 1)[1]}"
        else:
            fresh = names.word(rng)
        pattern = re.compile(rf"(?<![\w.]){re.escape(word)}(?![\w])")
        request, command = pattern.sub(fresh, request), pattern.sub(fresh, command)
    return request, command


def _plan(request: str) -> str:
    """A plan of one line for a pair: its own first words."""
    words = re.sub(r"\([^)]*\)", "", request).split()
    line = " ".join(words[:9]).rstrip(".,:;")
    return line[:1].lower() + line[1:]


def pairs(data: Path, seed: int) -> Iterator[list[Turn]]:
    """Every pair once, values renamed at random: call with another seed for another rendering."""
    rng = random.Random(seed)
    for name in PAIRS:
        for line in _open(data / name):
            row = json.loads(line)
            request, command = row["nl"].strip(), row["bash"].strip()
            if "template" in row:
                made = _refilled(rng, request, row["template"])
                if made is None:
                    continue
                request, command = made
                if "[" in command and "|" in command and "{{" in row["template"]:
                    command = re.sub(r"\[(-\w)\|(--[\w-]+)\]", r"\1", command)
                if not row.get("nl_unique", True):
                    request = f"{request} with {row['command']}"
            else:
                request, command = _renamed(rng, request, command)
            if not 2 < len(request) < 300 or not 1 < len(command) < 240 or "\n" in command or "{{" in command:
                continue
            plan = _plan(request)
            request = humanise(
                rng,
                request[:1].lower() + request[1:] if rng.random() < 0.6 else request,
                tuple(word for word in request.split() if word in command),
            )
            yield [Turn("user", request), Turn("plan", plan), Turn("bash", command)]
