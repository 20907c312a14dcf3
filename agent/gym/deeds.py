"""What can be done with one file, and ways to say which file is meant: the halves that two-step requests are made of.

A :class:`Target` names a file by something that must be looked up (the largest log, the file that mentions a word) and
carries the command that looks; a :class:`Deed` is what shall be done with it. The path in the second command is spelled
as the first one prints it, so that it can be copied.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from nimllm.agent.gym.schemas.phrases import quoted, squeeze, string
from nimllm.agent.gym.wordings import say
from nimllm.agent.gym.worlds import Unsuitable, World


@dataclass(frozen=True)
class Target:
    """``noun``: "the largest log file" (a template); ``question``: the same as a question; ``path`` as printed."""

    noun: str
    question: str
    command: str
    plan: str
    path: str
    slots: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Deed:
    """``direct`` and ``plan`` hold templates with {it}; ``then`` the same after "find it and"."""

    direct: tuple[str, ...]
    then: tuple[str, ...]
    command: str
    plan: str
    asks: bool
    ordered: bool = False
    answer: str | None = None
    slots: Mapping[str, Any] = field(default_factory=dict)

    def planned(self, it: str = "it") -> str:
        return re.sub(r"\{(\w+)\}", lambda found: it if found[1] == "it" else str(self.slots[found[1]]), self.plan)


Make = Callable[[World, random.Random, str], Deed]


def _key(path: str) -> str:
    return path.removeprefix("./")


def _lines(world: World, path: str, least: int) -> int:
    content = world.entries[_key(path)].content
    number = content.count(b"\n")
    if b"\0" in content or number < least:
        raise Unsuitable("no such text")
    return number


def head(world: World, rng: random.Random, path: str) -> Deed:
    n = rng.randint(1, min(12, _lines(world, path, 3) - 1))
    return Deed(("(show|print|give me|display) the {part} (of|from) {it}", "{part} of {it}",
                 "what {verb} the {part} of {it}?", "(show|tell) me the {part} of {it}"),
                ("(show|print|give me) its {part}", "(show|print) the {part} (of it|)", "(print|display) its {part}"),
                f"head -n {n} {quoted(path)}", "print the first line" + ("s" if n > 1 else "") + " of {it}", True, True,
                slots={"part": "first line" if n == 1 else f"first {n} lines", "verb": "is" if n == 1 else "are"})


def tail(world: World, rng: random.Random, path: str) -> Deed:
    n = rng.randint(1, min(12, _lines(world, path, 3) - 1))
    return Deed(("(show|print|give me|display) the {part} (of|from) {it}", "{part} of {it}",
                 "what {verb} the {part} of {it}?", "(show|tell) me the {part} of {it}"),
                ("(show|print|give me) its {part}", "(show|print) the {part} (of it|)", "(print|display) its {part}"),
                f"tail -n {n} {quoted(path)}", "print the last line" + ("s" if n > 1 else "") + " of {it}", True, True,
                slots={"part": "last line" if n == 1 else f"last {n} lines", "verb": "is" if n == 1 else "are"})


def lines(world: World, rng: random.Random, path: str) -> Deed:
    _lines(world, path, 1)
    return Deed(("how many lines (does {it} have|are in {it})?", "count the lines (of|in) {it}",
                 "number of lines (of|in) {it}", "(tell me|what is) the number of lines in {it}"),
                ("count its lines", "(tell me|say|show) how many lines it has", "count the lines (in it|)"),
                f"wc -l < {quoted(path)}", "count the lines of {it}", True, False, "It has {output} lines.")


def words(world: World, rng: random.Random, path: str) -> Deed:
    _lines(world, path, 1)
    return Deed(("how many words (does {it} have|are in {it})?", "count the words (of|in) {it}",
                 "number of words (of|in) {it}"),
                ("count its words", "(tell me|say|show) how many words it has", "count the words (in it|)"),
                f"wc -w < {quoted(path)}", "count the words of {it}", True, False, "It has {output} words.")


def show(world: World, rng: random.Random, path: str) -> Deed:
    _lines(world, path, 1)
    if len(world.entries[_key(path)].content) > 700:
        raise Unsuitable("too long")
    return Deed(("(show|print|display) (me|) (the content of|the contents of|what is in|) {it}", "what is in {it}?",
                 "what does {it} (contain|say)?", "cat {it}", "content of {it}"),
                ("(show|print|display) it", "(show|print) (me|) its content", "cat it", "(show|tell) me what is in it"),
                f"cat {quoted(path)}", "print {it}", True, True)


def gzip(world: World, rng: random.Random, path: str) -> Deed:
    if path.endswith(".gz"):
        raise Unsuitable("compressed")
    return Deed(("(compress|gzip) {it}", "(compress|pack) {it} (with|using) gzip", "make a gz of {it}",
                 "turn {it} into a gz file"),
                ("(compress|gzip) it", "(compress|pack) it with gzip", "gzip that one"),
                f"gzip {quoted(path)}", "compress {it}", False, answer="Done: it is compressed.", slots={"gz": "gz"})


def remove(world: World, rng: random.Random, path: str) -> Deed:
    return Deed(("(delete|remove|erase) {it}", "get rid of {it}", "throw {it} away", "rm {it}"),
                ("(delete|remove|erase) it", "get rid of it", "rm it", "throw it away"),
                f"rm {quoted(path)}", "delete {it}", False, answer="Done: it is deleted.")


def _folder(world: World, path: str) -> str:
    folder = world.pick_dir()
    if str(PurePosixPath(_key(path)).parent) == folder:
        raise Unsuitable("it is there")
    return folder


def move(world: World, rng: random.Random, path: str) -> Deed:
    folder = _folder(world, path)
    return Deed(("move {it} (to|into) (the folder|) {folder}", "(put|mv) {it} into {folder}",
                 "{it} belongs into {folder}", "{it} (should|must) go (to|into) {folder}"),
                ("move it (to|into) (the folder|) {folder}", "put it into {folder}", "mv it to {folder}"),
                f"mv {quoted(path)} {quoted(folder)}/", "move {it} to {folder}", False,
                answer=f"Done: it is in {folder}.", slots={"folder": folder})


def copy(world: World, rng: random.Random, path: str) -> Deed:
    folder = _folder(world, path)
    return Deed(("copy {it} (to|into) (the folder|) {folder}", "put a copy of {it} into {folder}",
                 "cp {it} to {folder}", "I need a copy of {it} in {folder}"),
                ("copy it (to|into) (the folder|) {folder}", "put a copy (of it|) into {folder}", "cp it to {folder}"),
                f"cp {quoted(path)} {quoted(folder)}/", "copy {it} to {folder}", False,
                answer=f"Done: a copy is in {folder}.", slots={"folder": folder})


def backup(world: World, rng: random.Random, path: str) -> Deed:
    name = world.new_name("file")
    return Deed(("copy {it} to {name}", "save a copy of {it} (as|under the name) {name}",
                 "make a copy of {it} called {name}", "duplicate {it} as {name}"),
                ("copy it to {name}", "save a copy (of it|) as {name}", "make a copy called {name}"),
                f"cp {quoted(path)} {quoted(name)}", "copy {it} to {name}", False, answer=f"Done: the copy is {name}.",
                slots={"name": name})


def protect(world: World, rng: random.Random, path: str) -> Deed:
    mode = rng.choice(("600", "644", "400", "640", "755", "700", "444"))
    if world.entries[_key(path)].mode == int(mode, 8):
        raise Unsuitable("it has that mode")
    return Deed(("(set|change) the (mode|permissions) of {it} to {mode}", "chmod {mode} {it}",
                 "give {it} (the mode|mode) {mode}"),
                ("(set|change) its (mode|permissions) to {mode}", "chmod it to {mode}", "give it mode {mode}"),
                f"chmod {mode} {quoted(path)}", "set the mode of {it} to {mode}", False,
                answer=f"Done: its mode is {mode}.", slots={"mode": mode})


def append(world: World, rng: random.Random, path: str) -> Deed:
    content = world.entries[_key(path)].content
    if b"\0" in content or not content.endswith(b"\n"):
        raise Unsuitable("no text")
    line = " ".join(word.replace("'", "") for word in world.words(rng.randint(1, 4)))
    return Deed(("(append|add) (the line|) '{line}' to {it}", "(add|write) '{line}' at the end of {it}",
                 "{it} needs one more line: '{line}'"),
                ("(append|add) (the line|) '{line}' (to it|)", "write '{line}' at its end", "add '{line}' at the end"),
                f"echo {string(line)} >> {quoted(path)}", "append {line} to {it}", False,
                answer=f"Done: {line} is added.", slots={"line": line})


def replace(world: World, rng: random.Random, path: str) -> Deed:
    text = world.read(_key(path))
    found = sorted({word for word in text.split() if word.isascii() and word.isalnum() and len(word) > 2})
    if "\0" in text or not found:
        raise Unsuitable("no word")
    old = rng.choice(found)
    new = "".join(letter for letter in world.word() if letter.isascii() and letter.isalnum()) or "new"
    return Deed(("replace {old} (by|with) {new} in {it}", "change {old} to {new} in {it}",
                 "in {it}, replace {old} (by|with) {new}", "swap {old} for {new} in {it}"),
                ("replace {old} (by|with) {new} in it", "change {old} to {new} (in it|there)",
                 "in it, replace {old} (by|with) {new}"),
                f"sed -i 's/{old}/{new}/g' {quoted(path)}", "replace {old} by {new} in {it}", False,
                answer=f"Done: {new} instead of {old}.", slots={"old": old, "new": new})


READ: tuple[Make, ...] = (head, tail, lines, words, show)
CHANGE: tuple[Make, ...] = (gzip, remove, move, copy, backup, protect, append, replace)


def deed(world: World, rng: random.Random, path: str, among: Sequence[Make] = (*READ, *CHANGE)) -> Deed:
    """A deed that this file can bear."""
    for make in rng.sample(list(among), len(among)):
        try:
            return make(world, rng, path)
        except Unsuitable:
            continue
    raise Unsuitable("nothing to do with it")


_JOINED = ("(find|look for|search|locate) {it} and {then}", "(find|look up|search|locate) {it}, then {then}",
           "{question} {then}", "{it}: find it and {then}", "first find {it}, then {then}")


def requests(rng: random.Random, target: Target, what: Deed, most: int = 4) -> list[str]:
    """Wordings of "look up the target and do the deed"."""
    found: dict[str, None] = {}
    for _ in range(most * 3):
        noun = say(rng, target.noun, **target.slots)
        if rng.random() < 0.5:
            text = say(rng, rng.choice(what.direct), it=noun, **what.slots)
        else:
            text = say(rng, rng.choice(_JOINED), it=noun, question=say(rng, target.question, **target.slots),
                       then=say(rng, rng.choice(what.then), **what.slots))
        found[squeeze(text)] = None
        if len(found) == most:
            break
    return list(found)
