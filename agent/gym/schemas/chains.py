"""Two steps with one thing to read between them: find a file, then do something with the one that was found."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import PurePosixPath

from nimllm.agent.gym.deeds import Target, append, deed, head, replace, requests, show, tail
from nimllm.agent.gym.projects import project
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import steps
from nimllm.agent.gym.schemas.phrases import quoted, squeeze
from nimllm.agent.gym.schemas.subjects import KINDS
from nimllm.agent.gym.worlds import World

HERE = "(|||here|in this folder|in the project)"


def fetched(world: World, rng: random.Random, target: Target) -> Draft:
    """Find the target, then do something with it."""
    what = deed(world, rng, target.path)
    slots = [str(value) for value in (*target.slots.values(), *what.slots.values()) if str(value)]
    return Draft(requests(rng, target, what), [target.command, what.command], [target.plan, what.planned()], what.asks,
                 what.ordered, what.answer, protected=tuple(slots))


def _only(paths: list[str], value: Callable[[str], float], largest: bool = True) -> str:
    """The one path of greatest (least) value; Unsuitable when two share it or there are fewer than two."""
    if len(paths) < 2:
        raise Unsuitable("too few files")
    order = sorted(paths, key=value, reverse=largest)
    if value(order[0]) == value(order[1]):
        raise Unsuitable("a tie")
    return order[0]


def _kind(world: World, rng: random.Random) -> tuple[str, str, str]:
    """An extension of which there are several files, or "": (extension, find's condition, how people say it)."""
    several = sorted({ext for ext in world.extensions() if len(world.files(ext)) > 1})
    if not several or rng.random() < 0.4:
        return "", "", ""
    ext = rng.choice(several)
    return ext, f" -name '*.{ext}'", _said(rng, ext)


def _said(rng: random.Random, ext: str) -> str:
    return rng.choice((f".{ext}", ext, KINDS.get(ext, f".{ext}")))


def _by_size(world: World, rng: random.Random, words: str, order: str) -> Target:
    ext, condition, kind = _kind(world, rng)
    path = _only(world.files(ext or None), lambda path: len(world.entries[path].content), order == "-nr")
    return Target(f"the {words} {{kind}} file {HERE}", f"(which|what) {{kind}} file is the {words} {HERE}?",
                  f"find . -type f{condition} -printf '%s %p\\n' | sort {order} | head -n 1 | cut -d ' ' -f 2-",
                  squeeze(f"find the {'largest' if order == '-nr' else 'smallest'} {kind} file"), f"./{path}",
                  {"kind": kind})


def largest(world: World, rng: random.Random) -> Target:
    return _by_size(world, rng, "(largest|biggest)", "-nr")


def smallest(world: World, rng: random.Random) -> Target:
    return _by_size(world, rng, "smallest", "-n")


def _by_time(world: World, rng: random.Random, words: str, question: str, option: str) -> Target:
    """Of the top folder, as ``ls -t`` sees it."""
    top = [path for path in world.entries if "/" not in path and not path.startswith(".")]
    several = sorted({path.rsplit(".", 1)[1] for path in top if "." in path and world.entries[path].kind == "file"
                      and sum(other.endswith("." + path.rsplit(".", 1)[1]) for other in top) > 1})
    ext = rng.choice(several) if several and rng.random() < 0.6 else ""
    path = _only([path for path in top if path.endswith(f".{ext}" if ext else "")],
                 lambda path: world.entries[path].mtime, option == "-t")
    if world.entries[path].kind != "file" or (ext and any(
            world.entries[other].kind == "dir" for other in top if other.endswith(f".{ext}"))):
        raise Unsuitable("no file")
    kind = _said(rng, ext) if ext else ""
    return Target(f"the {words} {{kind}} file {HERE}", f"(which|what) {{kind}} file {question} {HERE}?",
                  f"ls {option}{f' *.{ext}' if ext else ''} | head -n 1",
                  squeeze(f"find the {'newest' if option == '-t' else 'oldest'} {kind} file"), path, {"kind": kind})


def newest(world: World, rng: random.Random) -> Target:
    return _by_time(world, rng, "(newest|latest|most recent|most recently changed|last modified)",
                    "(is the newest|was changed last|is the most recent)", "-t")


def oldest(world: World, rng: random.Random) -> Target:
    return _by_time(world, rng, "(oldest|least recently changed)", "is the oldest", "-tr")


def longest(world: World, rng: random.Random) -> Target:
    ext, condition, kind = _kind(world, rng)
    if not ext:
        raise Unsuitable("no kind of file")
    path = _only(world.files(ext), lambda path: world.entries[path].content.count(b"\n"))
    return Target(f"the (longest {{kind}} file|{{kind}} file with (the most|most) lines) {HERE}",
                  f"(which|what) {{kind}} file has the most lines {HERE}?",
                  f"find . -type f{condition} -exec wc -l {{}} \\; | sort -nr | head -n 1",
                  f"find the longest {kind} file", f"./{path}", {"kind": kind})


def containing(world: World, rng: random.Random) -> Target:
    texts = world.texts()
    places: dict[str, list[str]] = {}
    for path in texts:
        for word in set(world.read(path).split()):
            if word.isascii() and word.isalnum() and len(word) > 3:
                places.setdefault(word, []).append(path)
    alone = sorted(word for word in places if sum(word in world.read(path) for path in world.files()) == 1)
    if not alone:
        raise Unsuitable("no word of one file only")
    word = rng.choice(alone)
    return Target(f"the file (that contains|containing|with the word|that mentions|mentioning) {{word}} {HERE}",
                  f"(which|what) file (contains|mentions) {{word}} {HERE}?",
                  f"grep -rl '{word}' .", f"find the file with {word}", f"./{places[word][0]}", {"word": word})


def named(world: World, rng: random.Random) -> Target:
    deep = [path for path in world.files() if "/" in path
            and len([other for other in world.entries if PurePosixPath(other).name == PurePosixPath(path).name]) == 1]
    if not deep:
        raise Unsuitable("no file in a folder")
    path = rng.choice(deep)
    name = PurePosixPath(path).name
    return Target("(the file|the file called|the file named) {name} (somewhere here|in some folder|somewhere below)",
                  "where is {name}?", f"find . -name {quoted(name)}", f"find {name}", f"./{path}", {"name": name})


def only_kind(world: World, rng: random.Random) -> Target:
    single = sorted({ext for ext in world.extensions() if len(world.files(ext)) == 1})
    if not single:
        raise Unsuitable("no lone file")
    ext = rng.choice(single)
    return Target(f"the (only|single|one) {{ext}} file {HERE}", f"(where is|which is) the only {{ext}} file {HERE}?",
                  f"find . -type f -name '*.{ext}'", f"find the .{ext} file", f"./{world.files(ext)[0]}",
                  {"ext": rng.choice((f".{ext}", ext))})


def in_folder(world: World, rng: random.Random) -> Target:
    alone = [folder for folder in world.dirs() if len(world.files(under=folder)) == 1
             and sum(path.startswith(folder + "/") for path in world.entries) == 1]
    alone = [folder for folder in alone if not PurePosixPath(world.files(under=folder)[0]).name.startswith(".")]
    if not alone:
        raise Unsuitable("no folder with one file")
    folder = rng.choice(alone)
    return Target("the (only|single|one) file in (the folder|) {folder}", "(which|what) file (lies|is) in {folder}?",
                  f"ls {quoted(folder)}", f"look into {folder}", world.files(under=folder)[0], {"folder": folder})


def defining(world: World, rng: random.Random) -> Target:
    module, name = project(world, rng).function(rng)
    return Target("the file (that defines|defining|with the definition of) {name}",
                  "(where|in which file) is {name} defined?",
                  f"grep -rn 'def {name}(' .", f"find the definition of {name}", f"./{module.path}", {"name": name})


@schema("chain.largest", "find sort head cut", steps=2, weight=2)
def chain_largest(world: World, rng: random.Random) -> Draft:
    return fetched(world, rng, largest(world, rng))


@schema("chain.smallest", "find sort head cut", steps=2)
def chain_smallest(world: World, rng: random.Random) -> Draft:
    return fetched(world, rng, smallest(world, rng))


@schema("chain.newest", "ls head", steps=2, weight=1.5)
def chain_newest(world: World, rng: random.Random) -> Draft:
    return fetched(world, rng, newest(world, rng))


@schema("chain.oldest", "ls head", steps=2)
def chain_oldest(world: World, rng: random.Random) -> Draft:
    return fetched(world, rng, oldest(world, rng))


@schema("chain.longest", "find wc sort head", steps=2, weight=1.5)
def chain_longest(world: World, rng: random.Random) -> Draft:
    return fetched(world, rng, longest(world, rng))


@schema("chain.containing", "grep", steps=2, weight=2)
def chain_containing(world: World, rng: random.Random) -> Draft:
    return fetched(world, rng, containing(world, rng))


@schema("chain.named", "find", steps=2, weight=2)
def chain_named(world: World, rng: random.Random) -> Draft:
    return fetched(world, rng, named(world, rng))


@schema("chain.only_kind", "find", steps=2)
def chain_only_kind(world: World, rng: random.Random) -> Draft:
    return fetched(world, rng, only_kind(world, rng))


@schema("chain.in_folder", "ls", steps=2)
def chain_in_folder(world: World, rng: random.Random) -> Draft:
    return fetched(world, rng, in_folder(world, rng))


@schema("chain.defining", "grep", steps=2)
def chain_defining(world: World, rng: random.Random) -> Draft:
    return fetched(world, rng, defining(world, rng))


_TARGETS = (largest, smallest, newest, oldest, longest, containing, named, only_kind)


def _target(world: World, rng: random.Random) -> Target:
    for make in rng.sample(_TARGETS, len(_TARGETS)):
        try:
            return make(world, rng)
        except Unsuitable:
            continue
    raise Unsuitable("no target")


@schema("chain.into_new_folder", "mkdir find grep ls mv cp", steps=3, weight=4)
def into_new_folder(world: World, rng: random.Random) -> Draft:
    target = _target(world, rng)
    folder = world.new_name("dir")
    verb, tool = rng.choice((("move", "mv"), ("move", "mv"), ("copy", "cp")))
    return steps(rng, (
        f"(make|create) (a|the) folder {{folder}} and {{verb}} {target.noun} (into it|there)",
        f"{{verb}} {target.noun} into a new folder {{folder}}",
        f"mkdir {{folder}}, then (find|look for) {target.noun} and {{verb}} it (there|into {{folder}})",
        f"(create|make) {{folder}}; {{verb}} {target.noun} (there|into it)",
        f"{{verb}} {target.noun} (to|into) {{folder}}, (a new folder|create that folder first)",
        f"new folder {{folder}} for {target.noun}: {{verb}} it there"),
        (f"mkdir {quoted(folder)}", target.command, f"{tool} {quoted(target.path)} {quoted(folder)}/"),
        (f"create the folder {folder}", target.plan, f"{verb} it to {folder}"), False,
        f"Done: it is in {folder}.", folder=folder, verb=verb, **target.slots)


@schema("chain.change_and_look", "find grep ls sed echo head tail wc cat", steps=3, weight=5)
def change_and_look(world: World, rng: random.Random) -> Draft:
    target = _target(world, rng)
    change = deed(world, rng, target.path, (append, replace))
    look = deed(world, rng, target.path, (head, tail, show))
    slots = {f"{side}_{key}": value for side, what in (("c", change), ("l", look)) for key, value in what.slots.items()}
    first = re.sub(r"\{(\w+)\}", r"{c_\1}", rng.choice(change.then))
    then = re.sub(r"\{(\w+)\}", r"{l_\1}", rng.choice(look.then))
    return steps(rng, (
        f"(find|look for) {target.noun}, {first} and {then}",
        f"(find|locate) {target.noun}, {first}, then {then}",
        f"{target.question} {first}, then {then}",
        f"{target.noun}: find it, {first}, {then}",
        f"search {target.noun}, {first} and (finally|then) {then}",
        f"first find {target.noun}, then {first}, and at last {then}"),
        (target.command, change.command, look.command), (target.plan, change.planned(), look.planned()), True,
        ordered=True, **slots, **target.slots)
