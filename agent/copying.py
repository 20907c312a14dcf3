"""Names that can only be copied, copied by the harness.

A small model writes ``head -n 1 heart.csv`` when it was asked about ``people.csv``: it knows what to do and garbles
what it read. A name in a command that nobody has said and that is not on the disk, while the request holds one of its
kind that the command lacks, is that one. And it is told only what lies at the top of the folder: a file that is not
there, but in exactly one place below, is meant to be that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

SEARCHED = 4000  # entries below the folder that are looked at for a file that is not at its top
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv"})
ALIKE = 0.6  # likeness from which two names are one (difflib's ratio: twice the matching characters over all)
_TOKEN = re.compile(r"[\w~./@+:-]*[\w/]")
_PART = re.compile(r"\w[\w.-]*\w")  # of a quoted text: a pattern, a program of sed or awk
_NAME = re.compile(r"[./_]|\d.*[A-Za-z]|[A-Za-z].*\d|[a-z][A-Z]|\d-\d")
_QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"")
_EDGES = ".,:;?!()[]{}<>\"'`“”‘’"


def repaired(command: str, request: str, cwd: Path, known: str = "") -> str:
    """``command`` with garbled names replaced, or as it was. ``known``: other text that the model has read, from
    which a name may come as well."""
    wanted = [name for name in literals(request) if not _holds(command, name)]
    if not wanted:
        return command
    heard = f"{request}\n{known}"
    text, moved = command, 0
    for start, end, quoted in list(_names(command)):
        name = command[start:end]
        if _holds(heard, name) or (not quoted and os.path.lexists(cwd / os.path.expanduser(name))):
            continue
        found = _nearest(name, wanted, quoted)
        if found:
            text = text[:start + moved] + found + text[end + moved:]
            moved += len(found) - (end - start)
            wanted.remove(found)
    return text


def placed(command: str, cwd: Path) -> str:
    """``command`` with the path of each file it names that is not where it says, but in one place below ``cwd``; as it
    was when there is none, or there are several. Not where it writes its output to."""
    text, moved = command, 0
    below: dict[str, list[str]] | None = None
    for start, end, quoted in list(_names(command)):
        name = command[start:end]
        if quoted or "/" in name or name.startswith("~") or os.path.lexists(cwd / name):
            continue
        if re.search(r">\s*$", command[:start]):
            continue
        below = _below(cwd) if below is None else below
        places = below.get(name, [])
        if len(places) == 1 and re.fullmatch(_TOKEN, places[0]):
            text = text[:start + moved] + places[0] + text[end + moved:]
            moved += len(places[0]) - (end - start)
    return text


def _below(cwd: Path) -> dict[str, list[str]]:
    """Names of files below ``cwd`` -> their paths from there; none when there are too many to look at."""
    found: dict[str, list[str]] = {}
    count, waiting = 0, [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(cwd / folder) as entries:
                for entry in entries:
                    count += 1
                    if count > SEARCHED:
                        return {}
                    if entry.is_dir(follow_symlinks=False):
                        if not entry.name.startswith(".") and entry.name not in _SKIPPED:
                            waiting.append(f"{folder}{entry.name}/")
                    elif folder:
                        found.setdefault(entry.name, []).append(folder + entry.name)
        except OSError:
            continue
    return found


def literals(request: str) -> list[str]:
    """Words of a request that look like names: with a dot, a slash, an underscore or a digit inside, or inCapitals."""
    found: dict[str, None] = {}
    for word in request.split():
        word = word.strip(_EDGES) if not re.match(r"[.(\"'`]*\.\w", word) else word.lstrip("(\"'`").rstrip(_EDGES)
        if len(word) > 2 and "'" not in word and re.fullmatch(_TOKEN, word) and _looks_like_a_name(word):
            found[word] = None
    return list(found)


def _looks_like_a_name(word: str) -> bool:
    return bool(_NAME.search(word)) and bool(re.search(r"[A-Za-z]|\d-\d", word))


def _holds(text: str, name: str) -> bool:
    """Whether ``name`` stands in ``text`` as a whole, or as the last parts of a path."""
    return bool(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text))


def _names(command: str) -> Iterator[tuple[int, int, bool]]:
    """Where names stand in a command: begin, end, and whether inside quotes. Not options, programs, or what globs,
    variables and formats are made of."""
    inside = [match.span(match.lastindex or 0) for match in _QUOTED.finditer(command)]
    for begin, end in inside:
        whole = command[begin:end]
        if "/" in whole and re.fullmatch(_TOKEN, whole) and not re.match(r"[sy]/", whole):
            yield begin, end, False
            continue
        for match in _PART.finditer(command, begin, end):
            if _usable(command, match.start(), match.end()):
                yield match.start(), match.end(), True
    for match in _TOKEN.finditer(command):
        start, end = match.span()
        quoted = any(start < after and end > before for before, after in inside)
        leads = re.search(r"(?:^|[|;&(`]|\bdo|\bthen|\$\()\s*$", command[:start]) is not None
        if not quoted and not leads and not match[0].startswith(("-", "+", ":")) and _usable(command, start, end):
            yield start, end, False


def _usable(command: str, start: int, end: int) -> bool:
    around = command[start - 1:start] + command[end:end + 1]
    return _looks_like_a_name(command[start:end]) and not any(letter in "*?[]{}$%\\=" for letter in around)


def _nearest(name: str, wanted: list[str], quoted: bool) -> str:
    """The one of ``wanted`` that ``name`` was meant to be, or an empty string."""
    kind = os.path.splitext(name)[1]
    best, likeness = "", 0.0
    for other in wanted:
        alike = SequenceMatcher(None, name, other, autojunk=False).ratio()
        same = bool(kind) and os.path.splitext(other)[1] == kind and ("/" in name) == ("/" in other)
        if alike + same * 0.3 > likeness and (alike >= ALIKE or (same and not quoted)):
            best, likeness = other, alike + same * 0.3
    return best
