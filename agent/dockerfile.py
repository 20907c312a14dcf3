"""The part of a Dockerfile that a folder and a sandbox can stand in for: WORKDIR, ENV, ARG, COPY, ADD and RUN.

There is no image: the programs are this machine's, so a RUN step that would install others fails, and says so.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from nimllm.errors import CONFIG, NimError

# They start nothing and copy nothing: what they say does not matter where the agent's shell is what runs.
_IGNORED = ("LABEL", "EXPOSE", "MAINTAINER", "STOPSIGNAL", "CMD", "ENTRYPOINT", "USER", "VOLUME", "HEALTHCHECK")
_HARMLESS_FLAGS = ("--chown", "--chmod", "--link", "--mount", "--network", "--security")
_ARCHIVE = re.compile(r"\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz)$")
_VARIABLE = re.compile(r"\\\$|\$(?:\{(?P<braced>\w+)(?::(?P<how>[-+])(?P<word>[^}]*))?\}|(?P<bare>\w+))")


ROOT = PurePosixPath("/")


@dataclass(frozen=True)
class Copy:
    """``sources`` (patterns, relative to the folder of the Dockerfile) go to ``target`` (absolute); ``into``: it is a
    folder."""

    sources: tuple[str, ...]
    target: PurePosixPath
    into: bool


@dataclass(frozen=True)
class Run:
    """``command`` in ``folder``, with the variables that the file had set by then."""

    command: str
    folder: PurePosixPath
    env: Mapping[str, str]


@dataclass
class Recipe:
    image: str = ""
    workdir: PurePosixPath = ROOT
    env: dict[str, str] = field(default_factory=dict)
    steps: list[Copy | Run] = field(default_factory=list)
    places: list[PurePosixPath] = field(default_factory=list)  # every WORKDIR, which is made when it is missing


def parse(text: str, where: str) -> Recipe:
    """The recipe of a Dockerfile; ``where`` names it in errors. NimError 3: it asks for more than can be done here."""
    recipe = Recipe()
    arguments: dict[str, str] = {}
    for number, line in _lines(text, where):
        word, _, rest = line.partition(" ")
        word, rest = word.upper(), rest.strip()

        def refuse(why: str, what: str = word, at: int = number) -> NimError:
            return NimError(f"{where}, line {at}: {what} cannot be done without a container", why,
                            "leave the task out (--only)", CONFIG)

        known = {**arguments, **recipe.env}
        if word == "FROM":
            if recipe.image:
                raise refuse("the image is built in several stages")
            recipe.image = _filled(rest, known).split()[0] if rest else ""
        elif word == "WORKDIR":
            recipe.workdir = recipe.workdir / _filled(rest, known)
            recipe.places.append(recipe.workdir)
        elif word == "ENV":
            recipe.env.update(_pairs(rest, known))
        elif word == "ARG":
            name, has, value = rest.partition("=")
            arguments[name] = _filled(_bare(value), known) if has else arguments.get(name, "")
        elif word in ("COPY", "ADD"):
            recipe.steps.append(_copy(word, rest, recipe, known, refuse))
        elif word == "RUN":
            _, rest = _flags(rest)
            if rest.startswith("["):
                rest = shlex.join(_strings(rest, refuse))
            recipe.steps.append(Run(rest, recipe.workdir, known))
        elif word == "SHELL":
            if not re.search(r"/(?:ba)?sh\"", rest):
                raise refuse("another shell than bash is asked for")
        elif word not in _IGNORED:
            raise refuse("this instruction is not known here")
    return recipe


def _lines(text: str, where: str) -> list[tuple[int, str]]:
    """Logical lines with the number of their first: comments gone, continuations joined, here-documents put back."""
    found: list[tuple[int, str]] = []
    lines = text.replace("\r\n", "\n").split("\n")
    index = 0
    while index < len(lines):
        first, line = index + 1, lines[index].strip()
        index += 1
        if not line or line.startswith("#"):
            continue
        while line.endswith("\\") and index < len(lines):
            more = lines[index].strip()
            index += 1
            if more.startswith("#"):
                continue
            line = line[:-1] + " " + more if more else line[:-1] + "\\"
        begun = re.match(r"(?i)(RUN|COPY|ADD)\b.*<<-?\s*(['\"]?)(\w+)\2", line)
        if begun:
            if begun[1].upper() != "RUN":
                raise NimError(f"{where}, line {first}: a file written in the Dockerfile is not understood here",
                               "", "leave the task out (--only)", CONFIG)
            body = [line]
            while index < len(lines) and lines[index].strip() != begun[3]:
                body.append(lines[index])
                index += 1
            body.append(begun[3])
            index += 1
            line = "\n".join(body)
            script = re.fullmatch(r"(?is)RUN\s+<<-?\s*['\"]?\w+['\"]?\n(.*)\n\w+", line)
            line = f"RUN {script[1]}" if script else line
        found.append((first, line))
    return found


def _copy(word: str, rest: str, recipe: Recipe, known: Mapping[str, str], refuse: object) -> Copy:
    assert callable(refuse)
    flags, rest = _flags(rest)
    for flag in flags:
        if not flag.startswith(_HARMLESS_FLAGS):
            raise refuse(f"it has {flag}")
    words = _strings(rest, refuse) if rest.startswith("[") else [_bare(part) for part in rest.split()]
    words = [_filled(part, known) for part in words]
    if len(words) < 2:
        raise refuse("it names no target")
    *sources, target = words
    for source in sources:
        if "://" in source or source.startswith("git@"):
            raise refuse(f"it fetches {source}")
        if word == "ADD" and _ARCHIVE.search(source):
            raise refuse(f"it unpacks {source}")
        if ".." in PurePosixPath(source).parts:
            raise refuse(f"{source} lies outside of the task")
    into = target.endswith("/") or target in (".", "./") or len(sources) > 1
    return Copy(tuple(source.lstrip("/") for source in sources), recipe.workdir / target, into)


def _flags(rest: str) -> tuple[list[str], str]:
    flags = []
    while rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        flags.append(flag)
        rest = rest.lstrip()
    return flags, rest


def _strings(rest: str, refuse: object) -> list[str]:
    assert callable(refuse)
    try:
        words = json.loads(rest)
    except ValueError:
        raise refuse("its list is not JSON") from None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise refuse("its list does not hold texts")
    return words


def _bare(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _pairs(rest: str, known: Mapping[str, str]) -> dict[str, str]:
    """``a=1 b="two words"``, or the old ``a all the rest``."""
    if re.match(r"\w+\s", rest) or "=" not in rest:
        name, _, value = rest.partition(" ")
        return {name: _filled(value.strip(), known)}
    found = {}
    for name, quoted, bare, plain in re.findall(
            r"(\w+)=(?:\"((?:\\.|[^\"\\])*)\"|'([^']*)'|((?:\\.|[^\s\\])*))", rest):
        found[name] = bare or _filled(quoted or plain.replace("\\ ", " "), known)
    return found


def _filled(text: str, known: Mapping[str, str]) -> str:
    """``$NAME``, ``${NAME}``, ``${NAME:-word}`` and ``${NAME:+word}`` replaced."""

    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["bare"]
        if not name:
            return "$"
        held = known.get(name, "")
        if found["how"] == "-":
            return held or found["word"]
        return (found["word"] if held else "") if found["how"] == "+" else held

    return _VARIABLE.sub(value, text)

