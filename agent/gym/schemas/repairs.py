"""A command fails, its message says why, and the next ones repair it."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from nimllm.agent.gym.deeds import CHANGE, READ, Make, deed
from nimllm.agent.gym.history import branch_name, committed
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.sequences import line, said, top_kind
from nimllm.agent.gym.worlds import World


def _elsewhere(world: World, rng: random.Random, change_case: bool) -> tuple[str, str]:
    """The name of a file as the user says it, and its path: in a folder, or spelled with other letters."""
    names = [PurePosixPath(path).name.lower() for path in world.entries]
    found = []
    for path in world.files():
        name = PurePosixPath(path).name
        other = rng.choice((name.lower(), name.capitalize(), name.upper()))
        if names.count(name.lower()) == 1 and (other != name if change_case else "/" in path):
            found.append((other if change_case else name, path))
    if not found:
        raise Unsuitable("no such file")
    return rng.choice(found)


def mended(world: World, rng: random.Random, said: str, path: str, look: str, among: tuple[Make, ...]) -> Draft:
    """A deed on ``said`` fails, ``look`` shows the real name, the deed is done on ``path``, spelled as it was shown."""
    want = rng.choice(among)
    state = rng.getstate(), world.rng.getstate()
    right = deed(world, rng, path, (want,))
    rng.setstate(state[0])
    world.rng.setstate(state[1])
    world.entries[said] = world.entries[path.removeprefix("./")]  # for a moment: the deed with the user's name
    try:
        wrong = deed(world, rng, said, (want,))
    finally:
        del world.entries[said]
    if wrong.slots != right.slots:
        raise Unsuitable("another deed")
    return steps(rng, right.direct, (wrong.command, look, right.command), (right.planned(said),), right.asks,
                 right.answer, right.ordered, (0,), it=said, **right.slots)


def _missing(world: World, rng: random.Random, among: tuple[Make, ...], change_case: bool) -> Draft:
    """The file is not where the user thinks: the deed fails, find looks, the deed is done on what was found."""
    said, path = _elsewhere(world, rng, change_case)
    return mended(world, rng, said, f"./{path}", f"find . -iname {quoted(said)}", among)


@schema("repair.missing_read", "find head tail wc cat", steps=3, weight=2.5)
def missing_read(world: World, rng: random.Random) -> Draft:
    return _missing(world, rng, READ, False)


@schema("repair.missing_change", "find gzip rm mv cp chmod sed", steps=3, weight=2)
def missing_change(world: World, rng: random.Random) -> Draft:
    return _missing(world, rng, tuple(make for make in CHANGE if make.__name__ != "append"), False)


@schema("repair.other_case", "find head tail wc cat", steps=3, weight=1.5)
def other_case(world: World, rng: random.Random) -> Draft:
    return _missing(world, rng, READ, True)


@schema("repair.not_executable", "chmod", steps=3, weight=2)
def not_executable(world: World, rng: random.Random) -> Draft:
    name = world.new_name(ext="sh")
    world.add_file(name, f"#!/bin/bash\necho {line(world, rng)}\n")
    world.entries[name].mode = 0o644
    path = quoted(f"./{name}")
    return steps(rng, (
        "(run|execute|start) {path}", "(run|start|execute) the script {path} and show what it prints",
        "what does {path} print?", "(execute|run) {path} directly", "{path}: run it",
        "call {path} and show me the output"),
        (path, f"chmod +x {path}", path), (f"run ./{name}",), True, ordered=True,
        fails=(0,), path=f"./{name}")


@schema("repair.no_folder", "mv cp mkdir", steps=3, weight=1.5)
def no_folder(world: World, rng: random.Random) -> Draft:
    top = [path for path in world.files() if "/" not in path]
    if not top:
        raise Unsuitable("no file")
    path, folder = rng.choice(top), world.new_name("dir")
    verb, tool = rng.choice((("move", "mv"), ("copy", "cp")))
    command = f"{tool} {quoted(path)} {quoted(folder)}/"
    return steps(rng, (
        "{verb} {file} (to|into) the folder {folder}", "{verb} {file} into {folder}/",
        "{verb} {file} (in|into) (the|) directory {folder}",
        "{file}: {verb} it into the folder {folder}", "into the folder {folder}, {verb} {file}",
        "I want to {verb} {file} into the folder {folder}"),
        (command, f"mkdir {quoted(folder)}", command),
        (f"{verb} {path} into {folder}",), False, f"Done: {folder} was missing, it is there now.", fails=(0,),
        verb=verb, file=path, folder=folder)


@schema("repair.no_parent", "echo mkdir", steps=3)
def no_parent(world: World, rng: random.Random) -> Draft:
    folder, name, text = world.new_name("dir"), world.new_name(ext=rng.choice(("txt", "md", "cfg"))), line(world, rng)
    path = f"{folder}/{name}"
    command = f"echo {string(text)} > {quoted(path)}"
    return steps(rng, (
        "write {text} to {path}", "(save|put) {text} (in|into) {path}", "{path} should contain {text}",
        "(create|make) {path} with the text {text}", "echo {text} into {path}",
        "the file {path} (should|must) say {text}"),
        (command, f"mkdir -p {quoted(folder)}", command), (f"write {path}",), False,
        f"Done: {path} says {text}.", fails=(0,), text=said(rng, text), path=path)


@schema("repair.folder_exists", "mkdir mv", steps=2, weight=1.5)
def folder_exists(world: World, rng: random.Random) -> Draft:
    ext, kind = top_kind(world, rng)
    folders = [path for path in world.dirs() if "/" not in path]
    if not folders:
        raise Unsuitable("no folder")
    folder = rng.choice(folders)
    return steps(rng, (
        "(make|create) (a folder|a directory|the folder) {folder} and move (all|the) {kind} (into it|there|to it)",
        "(move|put) (all|the) {kind} into a new folder {folder}",
        "create {folder} and (move|put) (all|every one of|) the {kind} there",
        "(collect|gather) (all|the) {kind} in a new (folder|directory) (called|named|) {folder}",
        "I want (all|the) {kind} in {folder}, (make|create) that folder first",
        "mkdir {folder}, then move the {kind} into it"),
        (f"mkdir {quoted(folder)}", f"mv *.{ext} {quoted(folder)}/"),
        (f"create the folder {folder}", f"move the .{ext} files there"), False,
        f"Done: {folder} was there already, the .{ext} files are in it.", fails=(0,), folder=folder, kind=kind)


@schema("repair.grep_case", "grep", steps=2, weight=1.5)
def grep_case(world: World, rng: random.Random) -> Draft:
    path = world.pick_text(2)
    text = world.read(path)
    words = sorted({word for word in text.split() if word.isascii() and word.isalpha() and len(word) > 3})
    said = [other for word in words for other in (word.upper(), word.lower(), word.capitalize()) if other not in text]
    if not said:
        raise Unsuitable("no word")
    word = rng.choice(said)
    return steps(rng, (
        "(show|print|find) the lines (with|containing) {word} in {file}",
        "(find|search|look for|grep) {word} in {file}",
        "(which|what) lines of {file} contain {word}?", "where is {word} in {file}?", "lines of {file} with {word}",
        "search {file} for {word}", "grep {word} {file}"),
        (f"grep '{word}' {quoted(path)}", f"grep -i '{word}' {quoted(path)}"),
        (f"search for {word} in {path}",), True, ordered=True, fails=(0,), word=word, file=path)


@schema("repair.is_folder", "rm", steps=2)
def is_folder(world: World, rng: random.Random) -> Draft:
    deep = [path for path in world.dirs() if "/" in path]
    if not deep:
        raise Unsuitable("no folder in a folder")
    path = rng.choice(deep)
    return steps(rng, ("(delete|remove|erase) {path}", "get rid of {path}", "rm {path}",
                       "{path} can go, (delete|remove) it",
                       "I do not need {path} any more, (delete|remove) it", "throw {path} away"),
                 (f"rm {quoted(path)}", f"rm -r {quoted(path)}"), (f"delete {path}",), False,
                 f"Done: {path} is deleted.", fails=(0,), path=path)


@schema("repair.not_empty", "rmdir rm", steps=2)
def not_empty(world: World, rng: random.Random) -> Draft:
    full = [path for path in world.dirs() if world.files(under=path)]
    if not full:
        raise Unsuitable("no full folder")
    path = rng.choice(full)
    return steps(rng, ("rmdir {path} (even if it is not empty|, with its files if need be)",
                       "try to rmdir {path}, if it is not empty (delete|remove) it with all files",
                       "(remove|delete) {path} with rmdir, or with everything in it if that fails",
                       "rmdir {path}; should it not be empty, (delete|remove) everything",
                       "(use|try) rmdir on {path} and rm -r if that does not work",
                       "{path}: rmdir, else rm -r"),
                 (f"rmdir {quoted(path)}", f"rm -r {quoted(path)}"), (f"remove {path}", "remove it with its files"),
                 False, f"Done: {path} is deleted.", fails=(0,), path=path)


@schema("repair.copy_folder", "cp", steps=2)
def copy_folder(world: World, rng: random.Random) -> Draft:
    deep = [path for path in world.dirs() if "/" in path]
    if not deep:
        raise Unsuitable("no folder in a folder")
    path, target = rng.choice(deep), world.new_name("dir")
    return steps(rng, ("copy {path} to {target}", "make a copy of {path} (called|named) {target}", "cp {path} {target}",
                       "duplicate {path} as {target}", "I need {path} once more as {target}",
                       "save a copy of {path} as {target}"),
                 (f"cp {quoted(path, target)}", f"cp -r {quoted(path, target)}"), (f"copy {path} to {target}",),
                 False, f"Done: {target} is a copy of {path}.", fails=(0,), path=path, target=target)


@schema("repair.no_branch", "git", steps=2, weight=1.5, git=True)
def no_branch(world: World, rng: random.Random) -> Draft:
    committed(world)
    name = branch_name(world, rng)
    return steps(rng, ("(switch|change|go) to (the|) branch {name}", "(check out|checkout) (the branch|) {name}",
                       "I want to (work|be) on (the|) branch {name}", "git switch {name}", "go to branch {name}",
                       "(let us|let's) (work on|use) branch {name}"),
                 (f"git switch -q {name}", f"git switch -qc {name}"), (f"switch to {name}",), False,
                 f"Done: {name} is a new branch.", fails=(0,), name=name)


@schema("repair.branch_exists", "git", steps=2, git=True)
def branch_exists(world: World, rng: random.Random) -> Draft:
    committed(world)
    name = branch_name(world, rng)
    world.setup.append(f"git branch {name}")
    return steps(rng, ("create (a|the) branch {name} and switch to it", "(make|start) a new branch {name}",
                       "new branch {name}, and (switch|go) there", "git switch -c {name}",
                       "(create|open) and check out the branch {name}", "I need a new branch {name} to work on"),
                 (f"git switch -qc {name}", f"git switch -q {name}"), (f"create the branch {name}",), False,
                 f"Done: {name} existed already, you are on it.", fails=(0,), name=name)


@schema("repair.script_elsewhere", "python3 bash", steps=3)
def script_elsewhere(world: World, rng: random.Random) -> Draft:
    ext, tool = rng.choice((("py", "python3"), ("sh", "bash")))
    name, folder = world.new_name(ext=ext), rng.choice(world.dirs() or [plain(world)])
    path, words = f"{folder}/{name}", plain(world)
    factors = rng.randint(2, 99), rng.randint(2, 99)
    world.add_file(path, "print('{}', {} * {})\n".format(words, *factors) if ext == "py"
                   else "echo {} $(({} * {}))\n".format(words, *factors))
    return steps(rng, ("(run|execute|start) {name}", "(run|start) the script {name} and show its output",
                       "what does {name} print?", "output of {name}?", "(run|try) {name} and show what it prints",
                       "(show|give) me the output of {name}"),
                 (f"{tool} {quoted(name)}", f"find . -iname {quoted(name)}", f"{tool} {quoted('./' + path)}"),
                 (f"run {name}",), True, ordered=True, fails=(0,), name=name)
