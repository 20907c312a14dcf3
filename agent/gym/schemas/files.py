"""Making, copying, moving and removing files and folders."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single
from nimllm.agent.gym.schemas.subjects import PRINT, kind, scope, some_ext, text_file
from nimllm.agent.gym.worlds import World

_FOLDER = "(folder|directory|dir|folder|directory)"


@schema("file.create", "touch")
def create(world: World, rng: random.Random) -> Draft:
    name = rng.choice([""] * 3 + [f"{path}/" for path in world.dirs()]) + world.new_name()
    return single(rng, (
        "(please|) make sure there is (an empty|a) file (called|named|) {f}",
        "create a (new|blank|) document {f}",
        "I'd like (to have|) an empty file {f}",
        "we need (a|an empty) {f} (, nothing in it yet|, empty for now)",
        "put an empty {f} there",
        "{f}: create, empty",
        "(create|make|add) (an empty|a new empty|a new) file (called|named|) {f}",
        "(create|make) {f}",
        "touch {f}",
        "I need an empty file {f}",
        "(create|make) {f} as an empty file",
        "new (empty|) file {f}",
        "(make|add) a blank file (with the name|called|named) {f}"),
        f"touch {quoted(name)}", f"create the empty file {name}", False, f=name)


@schema("file.create_several", "touch", weight=0.7)
def create_several(world: World, rng: random.Random) -> Draft:
    names = [world.new_name() for _ in range(rng.randint(2, 3))]
    if len(set(names)) < len(names):
        raise Unsuitable("twice the same name")
    text = ", ".join(names[:-1]) + " and " + names[-1]
    return single(rng, (
        "we need {n} blank files: {f}",
        "(create|make) {f} (, all empty|, all of them empty|as empty files)",
        "set up empty files {f}",
        "(create|make) (the|) (empty|) files {f}",
        "touch {f}",
        "(create|make|add) {f}",
        "(make|create) {n} empty files: {f}",
        "I need (the|) (empty|) files {f}",
        "new files {f}"),
        f"touch {quoted(*names)}", f"create the files {text}", False, protected=names, f=text, n=len(names))


@schema("file.copy", "cp", weight=1.6)
def copy(world: World, rng: random.Random) -> Draft:
    source = world.pick_file()
    target = (f"{source}.bak" if rng.random() < 0.15
              else world.new_name("file", PurePosixPath(source).suffix[1:] or None))
    if target in world.entries:
        raise Unsuitable("taken")
    return single(rng, (
        "I need {s} again under the name {t}",
        "before I touch {s}, copy it to {t}",
        "we need a second copy of {s}, call it {t}",
        "clone {s} (to|as) {t}",
        "take a copy of {s} and name it {t}",
        "copy the file {s} (and call the copy|under the new name) {t}",
        "{s} -> copy to {t}",
        "copy {s} to {t}",
        "(make|create) a copy of {s} (called|named|as) {t}",
        "cp {s} {t}",
        "duplicate {s} (as|to|under the name) {t}",
        "(save|keep) a copy of {s} (as|in|under) {t}",
        "{t} should be a copy of {s}",
        "back up {s} (to|as) {t}"),
        f"cp {quoted(source, target)}", f"copy {source} to {target}", False, s=source, t=target)


@schema("file.copy_into", "cp", weight=1.3)
def copy_into(world: World, rng: random.Random) -> Draft:
    source, folder = world.pick_file(), world.pick_dir()
    if str(PurePosixPath(source).parent) == folder or f"{folder}/{PurePosixPath(source).name}" in world.entries:
        raise Unsuitable("it is there")
    return single(rng, (
        "drop a copy of {s} into {d}",
        "duplicate {s} into {d}",
        "(please|) place a copy of {s} in {d}",
        "{d} needs {s} as well",
        "copy {s} over into the {d} (folder|directory)",
        "leave {s} where it is and put a copy in {d}",
        f"copy {{s}} (to|into) (the {_FOLDER}|) {{d}}",
        f"put a copy of {{s}} (in|into) (the {_FOLDER}|) {{d}}",
        "cp {s} into {d}",
        f"(I need|I want) {{s}} in (the {_FOLDER}|) {{d}} (too|as well)",
        "copy the file {s} (over|) to {d}",
        "{d} should have a copy of {s}"),
        f"cp {quoted(source)} {quoted(folder)}/", f"copy {source} into {folder}", False, s=source, d=folder)


@schema("dir.copy", "cp", weight=0.8)
def copy_dir(world: World, rng: random.Random) -> Draft:
    source = world.pick_dir()
    target = rng.choice((world.new_name("dir"), f"{PurePosixPath(source).name}_backup"))
    if target in world.entries:
        raise Unsuitable("taken")
    return single(rng, (
        "clone the (folder|directory) {s} (to|as) {t}",
        "I need (the folder|the directory|) {s} twice: copy it to {t}",
        "copy everything in {s}, the folder too, to {t}",
        "(make|take) a full copy of {s} (named|called) {t}",
        "{s} -> {t}, whole folder copied",
        f"copy the {_FOLDER} {{s}} to {{t}}",
        f"(make|create) a copy of the (whole|) {_FOLDER} {{s}} (called|named) {{t}}",
        "duplicate {s} (as|to) {t} with everything in it",
        "copy {s} (recursively|with all its contents|with everything in it) to {t}",
        "cp -r {s} {t}",
        f"back up the {_FOLDER} {{s}} (as|to) {{t}}"),
        f"cp -r {quoted(source, target)}", f"copy the folder {source} to {target}", False, s=source, t=target)


@schema("file.copy_by_extension", "cp", weight=0.8)
def copy_by_extension(world: World, rng: random.Random) -> Draft:
    folder = world.pick_dir()
    found = sorted({path.rsplit(".", 1)[1] for path in _top(world) if "." in path[1:]})
    if not found or " " in (ext := rng.choice(found)):
        raise Unsuitable("no extension")
    what, slots = kind(ext)
    return single(rng, (
        f"copy (all|all the|the) {what} (to|into) (the {_FOLDER}|) {{d}}",
        f"put (a copy|copies) of (all|the) {what} (in|into) {{d}}",
        f"copy (all|every one of the) {what} here (to|into) {{d}}",
        f"(I want|I need) (all|the) {what} copied (to|into) {{d}}",
        "cp {star} into {d}",
        f"duplicate (all|the) {what} into {{d}}"),
        f"cp *.{ext} {quoted(folder)}/", f"copy the .{ext} files into {folder}", False, d=folder, **slots)


@schema("file.rename", "mv", weight=1.6)
def rename(world: World, rng: random.Random) -> Draft:
    source = world.pick_file()
    parent = str(PurePosixPath(source).parent)
    name = world.new_name("file", PurePosixPath(source).suffix[1:] or None)
    target = name if parent == "." else f"{parent}/{name}"
    return single(rng, (
        "{s} is a bad name, rename it to {t}",
        "I'd like {s} to be called {t}",
        "the file {s} gets the (new|) name {t}",
        "rename {s} -> {t}",
        "{s} should be renamed (to|into) {t}",
        "new name for {s}: {t}",
        "could {s} be called {t} (instead|please|)",
        "rename {s} to {t}",
        "(change|set) the name of {s} to {t}",
        "mv {s} {t}",
        "{s} should be called {t}",
        "give {s} the (new|) name {t}",
        "rename the file {s} (as|to|into) {t}",
        "call {s} {t} (instead|from now on)"),
        f"mv {quoted(source, target)}", f"rename {source} to {target}", False, s=source, t=target)


@schema("file.move", "mv", weight=1.6)
def move(world: World, rng: random.Random) -> Draft:
    source, folder = world.pick_file(), world.pick_dir()
    if str(PurePosixPath(source).parent) == folder or f"{folder}/{PurePosixPath(source).name}" in world.entries:
        raise Unsuitable("it is there")
    return single(rng, (
        "{s} is in the wrong place, it should be in {d}",
        "get {s} into {d}",
        "file {s} away in {d}",
        "(please|) move {s} over into the {d} (folder|directory)",
        "transfer {s} to {d}",
        "{s} -> {d}/",
        f"move {{s}} (to|into) (the {_FOLDER}|) {{d}}",
        f"put {{s}} (in|into) (the {_FOLDER}|) {{d}}",
        "mv {s} (to|into) {d}",
        f"{{s}} (belongs|should be|should go) in (the {_FOLDER}|) {{d}}",
        "move the file {s} (over|) to {d}",
        f"(relocate|shift) {{s}} to (the {_FOLDER}|) {{d}}"),
        f"mv {quoted(source)} {quoted(folder)}/", f"move {source} into {folder}", False, s=source, d=folder)


@schema("file.move_by_extension", "mv")
def move_by_extension(world: World, rng: random.Random) -> Draft:
    folder = world.pick_dir()
    found = sorted({path.rsplit(".", 1)[1] for path in _top(world) if "." in path[1:]})
    if not found or " " in (ext := rng.choice(found)):
        raise Unsuitable("no extension")
    what, slots = kind(ext)
    return single(rng, (
        f"move (all|all the|the) {what} (to|into) (the {_FOLDER}|) {{d}}",
        f"put (all|all the|the) {what} (in|into) (the {_FOLDER}|) {{d}}",
        f"(all|the) {what} (belong|should go) in {{d}}",
        f"tidy up: move (all|the) {what} into {{d}}",
        "mv {star} into {d}",
        f"move every one of the {what} here into {{d}}"),
        f"mv *.{ext} {quoted(folder)}/", f"move the .{ext} files into {folder}", False, d=folder, **slots)


@schema("dir.rename", "mv")
def rename_dir(world: World, rng: random.Random) -> Draft:
    source, target = rng.choice([path for path in world.dirs() if "/" not in path] or [""]), world.new_name("dir")
    if not source:
        raise Unsuitable("no folder")
    return single(rng, (
        "{s} is a bad name for a (folder|directory), call it {t}",
        "I'd like the (folder|directory) {s} to be named {t}",
        "rename (folder|directory) {s} -> {t}",
        "the (folder|directory) {s} gets the name {t}",
        "new name for the (folder|directory) {s}: {t}",
        f"rename the {_FOLDER} {{s}} to {{t}}",
        f"(change|set) the name of the {_FOLDER} {{s}} to {{t}}",
        f"the {_FOLDER} {{s}} should be called {{t}}",
        f"mv the {_FOLDER} {{s}} to {{t}}",
        f"give the {_FOLDER} {{s}} the (new|) name {{t}}",
        f"call the {_FOLDER} {{s}} {{t}} (instead|from now on)"),
        f"mv {quoted(source, target)}", f"rename the folder {source} to {target}", False, s=source, t=target)


@schema("file.remove", "rm", weight=1.6)
def remove(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "{f} is obsolete, (delete|remove) it",
        "nobody needs {f} any more, (delete|remove|bin) it",
        "please (bin|trash|delete) {f}",
        "we can lose {f}",
        "clean up: {f} (can go|is not needed)",
        "I'd like {f} (deleted|removed|gone)",
        "{f} was created by mistake, (delete|remove) it",
        "unlink {f}",
        "(delete|remove) (the file|) {f}",
        "rm {f}",
        "(get rid of|throw away|erase) (the file|) {f}",
        "I (don't|do not) need {f} (any more|anymore), delete it",
        "{f} (can go|should go|must go)",
        "(delete|remove) {f} (from here|from disk|)",
        "drop (the file|) {f}"),
        f"rm {quoted(name)}", f"delete {name}", False, f=name)


@schema("file.remove_by_extension", "find", weight=1.3)
def remove_by_extension(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    ext = some_ext(world, rng, folder)
    what, more = kind(ext)
    return single(rng, (
        f"(delete|remove) (all|all the|the) {what} {where}",
        f"(get rid of|erase) (all|all the|the) {what} {where}",
        f"clean up (all|the) {what} {where}",
        f"find and (delete|remove) (all|the|) {what} {where}",
        f"(all|the) {what} {where} (can go|should be deleted)",
        f"(delete|remove) every one of the {what} {where}"),
        f"find {quoted(folder)} -type f -name '*.{ext}' -delete", f"delete the .{ext} files", False, **slots, **more)


@schema("file.remove_empty", "find", weight=0.8)
def remove_empty(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    for _ in range(rng.randint(1, 3)):
        world.add_file(("" if folder == "." else folder + "/") + world.new_name(), "")
    return single(rng, (
        f"(delete|remove) (all|all the|the) empty files {where}",
        f"(get rid of|clean up|erase) (all|the) (empty files|files of size 0|zero-byte files) {where}",
        f"find and (delete|remove) (all|the|) empty files {where}",
        f"(delete|remove) (all|the) files (that are empty|without content|with nothing in them) {where}",
        f"(all|the) empty files {where} can go",
        f"(remove|delete) (files of size 0|zero-length files) {where}"),
        f"find {quoted(folder)} -type f -empty -delete", "delete the empty files", False, **slots)


@schema("dir.remove", "rm")
def remove_dir(world: World, rng: random.Random) -> Draft:
    name = world.pick_dir()
    return single(rng, (
        "(bin|trash|scrap) the (whole|) (folder|directory) {d}",
        "we don't need the (folder|directory) {d} any more",
        "I'd like the (folder|directory) {d} (gone|deleted|removed) with everything in it",
        "rm -rf {d}",
        "wipe out the (folder|directory) {d}",
        "{d} is an old (folder|directory), delete it and its contents",
        f"(delete|remove) the {_FOLDER} {{d}} (and everything in it|with everything in it|with its contents|)",
        f"(get rid of|throw away|erase) the (whole|) {_FOLDER} {{d}}",
        "rm -r {d}",
        f"the {_FOLDER} {{d}} (can go|should go), with all its files",
        "(delete|remove) {d} (recursively|and all its contents|with all files in it)",
        f"drop the {_FOLDER} {{d}}"),
        f"rm -r {quoted(name)}", f"delete the folder {name}", False, d=name)


@schema("dir.remove_empty", "rmdir", weight=0.6)
def remove_empty_dir(world: World, rng: random.Random) -> Draft:
    name = world.new_name("dir")
    world.add_dir(name)
    return single(rng, (
        f"(delete|remove) the empty {_FOLDER} {{d}}",
        "rmdir {d}",
        f"{{d}} is (an|) empty {_FOLDER}, (delete|remove) it",
        f"(get rid of|drop) the empty {_FOLDER} {{d}}",
        f"the empty {_FOLDER} {{d}} can go",
        f"(remove|delete) {{d}}, (it is|it's) an empty {_FOLDER}"),
        f"rmdir {quoted(name)}", f"delete the empty folder {name}", False, d=name)


@schema("dir.create", "mkdir", weight=1.4)
def make_dir(world: World, rng: random.Random) -> Draft:
    name = world.new_name("dir")
    if rng.random() < 0.3:
        name = f"{world.pick_dir()}/{name}"
    return single(rng, (
        "we need a place called {d}: make the (folder|directory)",
        "I'd like (to have|) a (folder|directory) (named|called) {d}",
        "(please|) make a (folder|directory) {d} (for me|)",
        "there should be a (folder|directory) {d}",
        "open a new (folder|directory) {d}",
        "add an empty (folder|directory) {d}",
        f"(create|make|add) (a|a new|the) {_FOLDER} (called|named|) {{d}}",
        "mkdir {d}",
        f"new {_FOLDER} {{d}}",
        f"I need a {_FOLDER} (called|named|) {{d}}",
        f"(create|make) {{d}} as a (new|) {_FOLDER}",
        f"set up a {_FOLDER} (called|named|with the name) {{d}}"),
        f"mkdir {quoted(name)}", f"create the folder {name}", False, d=name)


@schema("dir.create_nested", "mkdir")
def make_nested(world: World, rng: random.Random) -> Draft:
    name = "/".join([world.new_name("dir")] + [world.word() for _ in range(rng.randint(1, 2))])
    return single(rng, (
        "(create|make) (the|) (nested|) (folders|directories) {d}",
        f"(create|make) (the|a) {_FOLDER} {{d}} (with all its parents|and its parents|including parents)",
        "mkdir -p {d}",
        f"I need the (nested|) {_FOLDER} {{d}}",
        "(create|make) the (whole|) path {d}",
        f"(create|make) (a|the) {_FOLDER} (tree|path|structure) {{d}}"),
        f"mkdir -p {quoted(name)}", f"create the folders {name}", False, d=name)


@schema("dir.create_several", "mkdir", weight=0.8)
def make_several(world: World, rng: random.Random) -> Draft:
    names = [world.new_name("dir") for _ in range(rng.randint(2, 4))]
    if len(set(names)) < len(names):
        raise Unsuitable("twice the same name")
    text = ", ".join(names[:-1]) + " and " + names[-1]
    return single(rng, (
        "we need {n} (folders|directories): {d}",
        "I'd like the (folders|directories) {d}",
        "make {n} new (folders|directories) (called|named|:) {d}",
        "(create|make) (the|) (folders|directories) {d}",
        "mkdir {d}",
        "I need (the|) (folders|directories) {d}",
        "(create|make|add) {n} (folders|directories): {d}",
        "new (folders|directories) {d}",
        "set up (the|) (folders|directories) (called|named|) {d}"),
        f"mkdir {quoted(*names)}", f"create the folders {text}", False, protected=names, d=text, n=len(names))


@schema("file.print", "cat", weight=2.0)
def print_file(world: World, rng: random.Random) -> Draft:
    name = text_file(world, rng, 1, 25)
    return single(rng, (
        "I want to (see|read) {f}",
        "what's in {f}?",
        "dump {f} (to the screen|to the terminal|)",
        "let me read {f}",
        "(please|) print {f} (to the terminal|to stdout|)",
        "I'd like to see what {f} says",
        "contents of {f} please",
        "{f}: show it",
        "output {f}",
        f"{PRINT} (the contents of|the content of|) (the file|) {{f}}", "cat {f}",
        "what (is in|does) (the file|) {f} (say|contain|)?".replace("(is in|does) (the file|) {f} (say|contain|)",
        "(does {f} say|is in {f}|does {f} contain|is written in {f})"),
        "(read|open) {f}", "show (me|) {f}", "let me see (the file|) {f}", "(contents|content) of {f}",
        "(read|show) (me|) the file {f}"),
        f"cat {quoted(name)}", f"print {name}", True, ordered=True, f=name)


def _top(world: World) -> list[str]:
    return [path for path in world.files() if "/" not in path]
