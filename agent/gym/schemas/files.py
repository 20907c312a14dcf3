"""Making, copying, moving, removing and describing files and folders; archives."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import PurePosixPath

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import HERE, KINDS, PRINT, SHOW, kind, ordinal, scope, some_ext, text_file
from nimllm.agent.gym.worlds import World

_FOLDER = "(folder|directory|dir|folder|directory)"


def _top(world: World) -> list[str]:
    return [path for path in world.files() if "/" not in path]


@schema("file.create", "touch")
def create(world: World, rng: random.Random) -> Draft:
    name = rng.choice([""] * 3 + [f"{path}/" for path in world.dirs()]) + world.new_name()
    return single(rng, (
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
        "(create|make) (the|) (empty|) files {f}",
        "touch {f}",
        "(create|make|add) {f}",
        "(make|create) {n} empty files: {f}",
        "I need (the|) (empty|) files {f}",
        "new files {f}"),
        f"touch {quoted(*names)}", f"create the files {text}", False, protected=names, f=text, n=len(names))


@schema("file.write", "echo", weight=2.0)
def write(world: World, rng: random.Random) -> Draft:
    name = rng.choice([""] * 4 + [f"{path}/" for path in world.dirs()]) + world.new_name(
        "file", rng.choice(("txt", "txt", "md", "log", "cfg", "note", None)))
    text = _line(world, rng)
    return single(rng, (
        "(create|make|write) (a file|a new file|the file) (called|named|) {f} (with|containing) (the text|the line|) {t}",
        "(write|put|save) {t} (into|to|in) (the file|a file called|a new file|) {f}",
        "(create|make) {f} (with|containing) (the text|the content|the words|) {t}",
        "{f} (should contain|should say) {t}",
        "(save|store) (the text|) {t} (in|as) {f}",
        "echo {t} (to|into) {f}",
        "(make|write) a file {f} that (says|contains) {t}"),
        f"echo {string(text)} > {quoted(name)}", f"write the text to {name}", False, protected=(text,), f=name,
        t=rng.choice((text, f'"{text}"', f"'{text}'", f'"{text}"')))


def _line(world: World, rng: random.Random) -> str:
    """A short text such as someone would have written into a file."""
    at = rng.random()
    if at < 0.4:
        return " ".join(world.words(rng.randint(2, 4)))
    if at < 0.55:
        return f"{world.word()}={world.number()}"
    if at < 0.7:
        return f"hello {world.word()}"
    if at < 0.8:
        return f"{world.word()}: {world.word()}"
    if at < 0.9:
        return f"{world.name()} {world.number()}"
    return world.word()


@schema("file.append", "echo", weight=2.0)
def append(world: World, rng: random.Random) -> Draft:
    name, text = text_file(world, rng, 1), _line(world, rng)
    return single(rng, (
        "(append|add) (the line|the text|a line|) {t} to (the end of|) {f}",
        "add {t} (as the last line of|at the end of|to the bottom of|to) {f}",
        "(append|add) {t} (to|at the end of) the file {f}",
        "put (the line|) {t} at the (end|bottom) of {f}",
        "{f} needs one more line: {t}",
        "append to {f}: {t}",
        "(write|add) one more line (saying|with|) {t} to {f}"),
        f"echo {string(text)} >> {quoted(name)}", f"append the line to {name}", False, protected=(text,), f=name,
        t=rng.choice((text, f'"{text}"', f"'{text}'", f'"{text}"')))


@schema("file.prepend", "sed", weight=0.8)
def prepend(world: World, rng: random.Random) -> Draft:
    name, text = text_file(world, rng, 1), " ".join(world.words(rng.randint(1, 3)))
    return single(rng, (
        "(insert|put|add) (the line|) {t} (at the top of|at the beginning of|at the start of|before the first line of) {f}",
        "prepend (the line|) {t} to {f}",
        "make {t} the first line of {f}",
        "(the|) first line of {f} should (be|become) {t}, keep the rest",
        "add {t} (as the first line of|to the top of) {f}",
        "(insert|add) {t} above everything in {f}"),
        f"sed -i {string(f'1i {text}')} {quoted(name)}", f"insert the line at the top of {name}", False,
        protected=(text,), f=name, t=rng.choice((text, f'"{text}"', f"'{text}'")))


@schema("file.copy", "cp", weight=1.6)
def copy(world: World, rng: random.Random) -> Draft:
    source = world.pick_file()
    target = (f"{source}.bak" if rng.random() < 0.15
              else world.new_name("file", PurePosixPath(source).suffix[1:] or None))
    if target in world.entries:
        raise Unsuitable("taken")
    return single(rng, (
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
        f"copy the {_FOLDER} {{s}} to {{t}}",
        f"(make|create) a copy of the (whole|) {_FOLDER} {{s}} (called|named) {{t}}",
        "duplicate {s} (as|to) {t} with everything in it",
        f"copy {{s}} (recursively|with all its contents|with everything in it) to {{t}}",
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
        f"(create|make) (the|) (nested|) (folders|directories) {{d}}",
        f"(create|make) (the|a) {_FOLDER} {{d}} (with all its parents|and its parents|including parents)",
        "mkdir -p {d}",
        f"I need the (nested|) {_FOLDER} {{d}}",
        f"(create|make) the (whole|) path {{d}}",
        f"(create|make) (a|the) {_FOLDER} (tree|path|structure) {{d}}"),
        f"mkdir -p {quoted(name)}", f"create the folders {name}", False, d=name)


@schema("dir.create_several", "mkdir", weight=0.8)
def make_several(world: World, rng: random.Random) -> Draft:
    names = [world.new_name("dir") for _ in range(rng.randint(2, 4))]
    if len(set(names)) < len(names):
        raise Unsuitable("twice the same name")
    text = ", ".join(names[:-1]) + " and " + names[-1]
    return single(rng, (
        "(create|make) (the|) (folders|directories) {d}",
        "mkdir {d}",
        "I need (the|) (folders|directories) {d}",
        "(create|make|add) {n} (folders|directories): {d}",
        "new (folders|directories) {d}",
        "set up (the|) (folders|directories) (called|named|) {d}"),
        f"mkdir {quoted(*names)}", f"create the folders {text}", False, protected=names, d=text, n=len(names))


@schema("link.create", "ln")
def link(world: World, rng: random.Random) -> Draft:
    target = rng.choice([*world.files(), *world.dirs()])
    name = world.new_name("file") if rng.random() < 0.5 else rng.choice(("latest", "current", "link")) + str(
        rng.choice(("", "", rng.randint(1, 99))))
    if name in world.entries:
        raise Unsuitable("taken")
    return single(rng, (
        "(create|make|add) a (symbolic link|symlink|soft link) (called|named|) {l} (to|pointing to|that points to) {t}",
        "symlink {t} (as|to) {l}",
        "(link|make) {l} (to point to|point to|point at) {t}",
        "ln -s {t} {l}",
        "I (want|need) a (symlink|symbolic link) {l} (to|pointing at) {t}",
        "{l} should be a (symlink|symbolic link) to {t}"),
        f"ln -s {quoted(target, name)}", f"link {name} to {target}", False, l=name, t=target)


@schema("mode.executable", "chmod")
def executable(world: World, rng: random.Random) -> Draft:
    name = rng.choice([path for path in world.files() if world.entries[path].mode == 0o644] or [""])
    if not name or rng.random() < 0.4:
        name = world.new_name("file", rng.choice(("sh", "py", "sh", "pl")))
        world.add_file(name, world.content(name), 0o640)
        world.entries[name].mode = 0o644
    return single(rng, (
        "make {f} executable",
        "chmod +x {f}",
        "(set|add) the (executable|execute|x) (bit|permission|flag) (on|of|to|for) {f}",
        "{f} should be executable",
        "(let me|I want to) (execute|run) {f} (directly|as a program)",
        "(allow|permit) (execution of|executing) {f}",
        "give {f} execute (permission|rights)"),
        f"chmod +x {quoted(name)}", f"make {name} executable", False, f=name)


@schema("mode.octal", "chmod")
def octal(world: World, rng: random.Random) -> Draft:
    name, mode = world.pick_file(), rng.choice(("600", "640", "700", "755", "444", "400", "664", "660", "750", "644"))
    return single(rng, (
        "(set|change) the (permissions|mode|rights) of {f} to {m}",
        "chmod {m} {f}",
        "(give|set) {f} (the|) (permissions|mode) {m}",
        "{f} should have (the|) (permissions|mode) {m}",
        "make the (mode|permissions) of {f} {m}",
        "(permissions|mode) {m} (on|for) {f}"),
        f"chmod {mode} {quoted(name)}", f"set the mode of {name} to {mode}", False, f=name, m=mode)


@schema("mode.private", "chmod", weight=0.8)
def private(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "make {f} private", "make {f} (readable and writable|accessible) only (by|for) (me|the owner)",
        "only (I|the owner) should be able to read (and write|or change) {f}",
        "nobody else (should|may) (be able to|) read {f}",
        "(take away|remove) all (rights|permissions) on {f} from (others|everybody else)",
        "(protect|hide) {f} from (other users|everybody else)"),
        f"chmod 600 {quoted(name)}", f"make {name} private", False, f=name)


@schema("mode.readonly", "chmod", weight=0.8)
def readonly(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "make {f} (read-only|readonly|read only)", "(remove|take away) (the|all) write permission (of|from|on) {f}",
        "(write-protect|write protect|lock) {f}", "{f} should be (read-only|readonly)",
        "(nobody|no one) should be able to (change|write to|modify) {f}", "chmod a-w {f}", "set {f} to read-only"),
        f"chmod a-w {quoted(name)}", f"make {name} read-only", False, f=name)


@schema("mode.show", "stat", weight=0.8)
def show_mode(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    world.entries[name].mode = rng.choice((0o600, 0o640, 0o700, 0o755, 0o444, 0o664, 0o750, 0o644))
    return single(rng, (
        "what are the permissions of {f} (in octal|as a number|)?", f"{SHOW} the (octal|numeric|) (mode|permissions) of {{f}}",
        "which (mode|permissions) does {f} have?", "(octal|numeric|) permissions of {f}", "what mode is {f}?",
        "what mode does {f} have?"),
        f"stat -c %a {quoted(name)}", f"show the permissions of {name}", True,
        "{f} has the permissions {output}.".replace("{f}", name), f=name)


@schema("size.bytes", "stat", weight=1.3)
def size(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "how (big|large) is {f} (in bytes|)?", "what is the size of {f} (in bytes|)?",
        f"{SHOW} the (file|) size of {{f}} (in bytes|)", "size of {f} (in bytes|)?", "how many bytes (does {f} have|is {f})?",
        "(how much space|how many bytes) does {f} take?", "get the size in bytes of {f}", "(file|) size {f}"),
        f"stat -c %s {quoted(name)}", f"show the size of {name}", True,
        "{f} is {output} bytes.".replace("{f}", name), f=name)


@schema("time.modified", "stat", weight=0.8)
def modified(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "when was {f} (last|) (modified|changed|edited)?", f"{SHOW} the (modification time|mtime|modification date) of {{f}}",
        "(what is|get) the (modification time|last change) of {f}(|?)", "last (change|modification) of {f}",
        "when did {f} (last|) change?", "how old is {f}?"),
        f"stat -c %y {quoted(name)}", f"show when {name} was modified", True, f=name)


@schema("size.folder", "du", weight=1.3)
def folder_size(world: World, rng: random.Random) -> Draft:
    name = world.pick_dir()
    return single(rng, (
        f"how (big|large) is the {_FOLDER} {{d}}?", f"(how much|what) (disk|) space does (the {_FOLDER}|) {{d}} (use|take|need)?",
        f"(show|print|get) the (total|) size of (the {_FOLDER}|) {{d}}", "(disk usage|size) of {d}", "du {d}",
        f"what is the (total|) size of (the {_FOLDER}|) {{d}}?", "(disk usage|space used by) {d}?"),
        f"du -sh {quoted(name)}", f"measure the folder {name}", True, d=name)


@schema("size.folders", "du", weight=0.7)
def folder_sizes(world: World, rng: random.Random) -> Draft:
    if len([path for path in world.dirs() if "/" not in path]) < 2:
        raise Unsuitable("too few folders")
    return single(rng, (
        f"how (big|large) are the (folders|directories|subfolders) {HERE}?", "(disk usage|size|space) of (each|every) (folder|subfolder|directory)",
        f"{SHOW} the size of (each|every) (folder|directory|subfolder) {HERE}", f"which (folder|directory) uses how much space {HERE}?",
        f"how much (disk|) space does (each|every) (folder|directory) {HERE} (take|use)?", "sizes of all (folders|subfolders|directories)"),
        "du -sh */", "measure each folder", True)


@schema("size.human", "ls", weight=0.6)
def human(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"(list|show) (all|the|) files with (human readable|human-readable|readable) sizes {HERE}",
        f"{SHOW} (the|all) files and (their|) sizes {HERE}, (human readable|human-readable)", "ls with (human readable|readable) sizes",
        f"(long|detailed) listing {HERE} with (human readable|human-readable) sizes", f"show (me|) sizes like 4K or 2M for the files {HERE}",
        f"list (everything|all files) {HERE} with sizes (in K and M|in human readable form)"),
        "ls -lh", "list the files with readable sizes", True)


@schema("list.plain", "ls", weight=1.5)
def list_plain(world: World, rng: random.Random) -> Draft:
    folder, _, slots = scope(world, rng)
    if folder != "." and not world.files(under=folder):
        raise Unsuitable("empty")
    if folder == ".":
        return single(rng, (
            f"(list|show) (the|all|all the|my|) files {HERE}", "ls", "what is (in here|in this folder|here)?", "what files are (there|here)?",
            "which files are (here|in this folder|in the current directory)?", "show (me|) (what is here|the contents of this folder)",
            "what do we have here?", "list this (folder|directory)", "(list|show) everything (here|in this folder)"),
            "ls", "list the files", True)
    return single(rng, (
        f"(list|show) (the|all|all the|) files in (the {_FOLDER}|) {{folder}}", "ls {folder}", f"what is in (the {_FOLDER}|) {{folder}}?",
        f"which files are in (the {_FOLDER}|) {{folder}}?", f"show (me|) (the contents of|what is in) (the {_FOLDER}|) {{folder}}",
        f"what does (the {_FOLDER}|) {{folder}} contain?", "contents of {folder}", f"list the {_FOLDER} {{folder}}"),
        f"ls {quoted(folder)}", f"list {folder}", True, **slots)


@schema("list.hidden", "ls", weight=0.8)
def list_hidden(world: World, rng: random.Random) -> Draft:
    world.add_file("." + world.new_name("file", rng.choice(("rc", "env", "cfg", "ini"))), world.text(2))
    return single(rng, (
        f"(list|show) all files {HERE}, (also|including|even) (the|) hidden (ones|files)", f"(list|show) (also|) the hidden files {HERE} (too|)",
        "ls -a", f"(are there|which) hidden files {HERE}?", f"(list|show) everything {HERE} including (dotfiles|hidden files)",
        f"show (me|) (all|) the (dotfiles|hidden files) (as well|too|) {HERE}", f"what (dotfiles|hidden files) are {HERE}?"),
        "ls -A", "list all files, hidden ones too", True)


@schema("list.long", "ls", weight=0.8)
def list_long(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"(list|show) (all|the|) files {HERE} with (details|permissions and sizes|owner and size)", "ls -l", f"(long|detailed) listing {HERE}",
        f"{SHOW} (the|all) (details|permissions, owners and sizes) of the files {HERE}", f"show (me|) (permissions|owners) of (the|all) files {HERE}",
        f"who owns the files {HERE}?", f"a (long|detailed) list of (the|all) files {HERE}"),
        "ls -l", "list the files with details", True)


@schema("list.by_size", "ls", weight=1.0)
def list_by_size(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"(list|show) (the|all|) files {HERE} (sorted|ordered) by size", f"sort (the|all|) files {HERE} by size", "ls by size",
        f"(list|show) (the|all|) files {HERE} from (largest|biggest) to smallest", f"(list|show) (the|) (largest|biggest) files (first|on top) {HERE}",
        f"files {HERE} by size, (largest|biggest) first"),
        "ls -S", "list the files by size", True, ordered=True)


@schema("list.by_time", "ls", weight=1.0)
def list_by_time(world: World, rng: random.Random) -> Draft:
    oldest = rng.random() < 0.35
    if oldest:
        return single(rng, (
            f"(list|show) (the|all|) files {HERE} from oldest to newest", f"(list|show) (the|) oldest files first {HERE}", f"files {HERE} by (time|date), oldest first",
            f"sort (the|all|) files {HERE} by (time|date|age), oldest first", f"(list|show) (the|all) files {HERE} by (date|time), (the|) newest (last|at the end)",
            "ls by time, oldest first"),
            "ls -tr", "list the files, oldest first", True, ordered=True)
    return single(rng, (
        f"(list|show) (the|all|) files {HERE} (sorted|ordered) by (time|date|modification time)", f"sort (the|all|) files {HERE} by (time|date|age)", "ls by time",
        f"(list|show) (the|all|) files {HERE} from newest to oldest", f"(list|show) (the|) newest files (first|on top) {HERE}",
        f"files {HERE} by (time|date), newest first"),
        "ls -t", "list the files by time", True, ordered=True)


@schema("list.newest", "ls head", weight=1.2)
def newest(world: World, rng: random.Random) -> Draft:
    n = rng.choice((1, 1, 1, 2, 3, 4, 5))
    if len([path for path in world.entries if "/" not in path and not path.startswith(".")]) <= n:
        raise Unsuitable("too few")
    old = rng.random() < 0.35
    adjective = "(oldest|least recently changed|oldest)" if old else "(newest|latest|most recent|most recently changed)"
    if n == 1:
        templates: tuple[str, ...] = (
            f"(what|which) is the {adjective} (file|entry) {HERE}?", f"{SHOW} the {adjective} file {HERE}", f"{adjective} file {HERE}?", f"find the {adjective} file {HERE}",
            f"which file {HERE} (is the {adjective}|is {adjective})?", f"name (of|) the {adjective} file {HERE}",
            f"which file {HERE} was changed (first|longest ago)?" if old else f"which file {HERE} (was changed|changed|did I change) last?")
    else:
        templates = (f"{SHOW} the {{n}} {adjective} files {HERE}", f"(what|which) are the {{n}} {adjective} files {HERE}?",
                     f"the {{n}} {adjective} files {HERE}", f"find the {{n}} {adjective} files {HERE}",
                     f"{{n}} {adjective} files {HERE}?", f"which {{n}} files {HERE} are the {adjective}?")
    word = "oldest" if old else "newest"
    return single(rng, templates, f"ls {'-tr' if old else '-t'} | head -n {n}",
                  f"list the {word} {'file' if n == 1 else f'{n} files'}", True,
                  f"The {word} file is {{output}}." if n == 1 else None, ordered=True, n=n)


@schema("archive.create", "tar", weight=1.3)
def archive(world: World, rng: random.Random) -> Draft:
    source = world.pick_dir()
    name = rng.choice((PurePosixPath(source).name, world.new_name("dir"), world.word())) + rng.choice((".tar.gz", ".tar.gz", ".tgz"))
    return single(rng, (
        f"(create|make) (a tar archive|an archive|a tarball) (called|named|) {{a}} (of|from) (the {_FOLDER}|) {{d}}", f"(pack|archive|compress) (the {_FOLDER}|) {{d}} (into|to|as) {{a}}",
        "tar {d} (into|to) {a}", f"(put|pack) the (whole|) {_FOLDER} {{d}} into (the archive|) {{a}}", f"(back up|backup) (the {_FOLDER}|) {{d}} (as|to|into) {{a}}",
        f"make {{a}} (from|out of) (the {_FOLDER}|) {{d}}", f"{{a}} should be (a compressed archive|a tarball) of {{d}}"),
        f"tar -czf {quoted(name, source)}", f"pack {source} into {name}", False, a=name, d=source)


@schema("archive.extract", "tar", weight=1.2)
def extract(world: World, rng: random.Random) -> Draft:
    name = _tarball(world, rng)
    return single(rng, (
        "(extract|unpack) (the archive|the tarball|) {a} (here|)", "untar {a}", "(open|unpack|expand) (the archive|) {a} (in this folder|here|)",
        "(get|take) the files out of {a}", "unpack everything (from|in) {a}", "decompress (the tarball|the archive|) {a}"),
        f"tar -xzf {quoted(name)}", f"unpack {name}", False, a=name)


@schema("archive.extract_into", "tar", weight=0.7)
def extract_into(world: World, rng: random.Random) -> Draft:
    name, folder = _tarball(world, rng), world.pick_dir()
    return single(rng, (
        f"(extract|unpack) (the archive|) {{a}} into (the {_FOLDER}|) {{d}}", "untar {a} into {d}", f"unpack {{a}} (inside|in) (the {_FOLDER}|) {{d}}",
        f"put the (contents|files) of {{a}} into {{d}}", "(extract|unpack) everything (from|in) {a} to {d}", "decompress {a} to {d}"),
        f"tar -xzf {quoted(name)} -C {quoted(folder)}", f"unpack {name} into {folder}", False, a=name, d=folder)


@schema("archive.list", "tar")
def list_archive(world: World, rng: random.Random) -> Draft:
    name = _tarball(world, rng)
    return single(rng, (
        "(list|show) the (contents|files) of (the archive|) {a} (without unpacking|)", "what is in (the archive|the tarball|) {a}?", "which files are (in|inside) {a}?",
        "(list|show) (the|all) files in (the archive|) {a}", "contents of {a}", "what does {a} contain?"),
        f"tar -tzf {quoted(name)}", f"list {name}", True, a=name)


def _tarball(world: World, rng: random.Random) -> str:
    """A new compressed tar archive with two to four files."""
    import gzip
    import io
    import tarfile

    name = world.new_name("file", rng.choice(("tar.gz", "tgz")))
    buffer, inner = io.BytesIO(), rng.choice(("", f"{world.new_name('dir')}/"))
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for _ in range(rng.randint(2, 4)):
            data = world.text(rng.randint(1, 5)).encode()
            info = tarfile.TarInfo(inner + world.new_name())
            info.size, info.mtime = len(data), 1_760_000_000
            tar.addfile(info, io.BytesIO(data))
    world.add_file(name, gzip.compress(buffer.getvalue(), mtime=0))
    return name


@schema("gzip.compress", "gzip", weight=0.8)
def compress(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    if name.endswith((".gz", ".tgz")) or f"{name}.gz" in world.entries:
        raise Unsuitable("compressed")
    return single(rng, (
        "(compress|gzip) (the file|) {f}", "compress {f} with gzip", "gzip {f}", "make {f} smaller with gzip", "(turn|convert) {f} into a (gz|gzip) file",
        "zip up {f} with gzip"),
        f"gzip {quoted(name)}", f"compress {name}", False, f=name)


@schema("gzip.decompress", "gunzip", weight=0.7)
def decompress(world: World, rng: random.Random) -> Draft:
    import gzip

    name = world.new_name("file", rng.choice(("txt", "log", "csv", "sql", "md"))) + ".gz"
    if name[:-3] in world.entries:
        raise Unsuitable("taken")
    world.add_file(name, gzip.compress(world.text(5).encode(), mtime=0))
    return single(rng, (
        "(decompress|uncompress|unpack|unzip) (the file|) {f}", "gunzip {f}", "(extract|expand) {f}", "ungzip {f}", "get the original file (back|) (from|out of) {f}",
        "decompress {f} with gunzip"),
        f"gunzip {quoted(name)}", f"decompress {name}", False, f=name)


@schema("zip.create", "zip", weight=0.8)
def make_zip(world: World, rng: random.Random) -> Draft:
    source = world.pick_dir()
    name = rng.choice((PurePosixPath(source).name, world.word())) + ".zip"
    return single(rng, (
        f"zip (the {_FOLDER}|) {{d}} (into|to|as) {{a}}", f"(create|make) a zip (file|archive) (called|named|) {{a}} (of|from|with) (the {_FOLDER}|) {{d}}",
        f"(pack|put) (the {_FOLDER}|) {{d}} into (the zip|the zip file|) {{a}}", f"compress (the {_FOLDER}|) {{d}} (to|as|into) {{a}}", f"I need {{d}} as (a zip|) {{a}}",
        f"{{a}} should be a zip of (the {_FOLDER}|) {{d}}"),
        f"zip -qr {quoted(name, source)}", f"zip {source} into {name}", False, a=name, d=source)


@schema("file.rename_extension", "mv", weight=1.0)
def rename_extension(world: World, rng: random.Random) -> Draft:
    found = sorted({path.rsplit(".", 1)[1] for path in _top(world) if "." in path[1:]})
    if not found or not (ext := rng.choice(found)).isalnum():
        raise Unsuitable("no extension")
    new = rng.choice([other for other in (*KINDS, "bak", "old", "dat") if other != ext])
    what, slots = kind(ext)
    return single(rng, (
        f"rename (all|all the|the) {what} {HERE} to {{new}}", f"change the (extension|ending) of (all|the|all the) {what} {HERE} to {{new}}",
        f"(all|the) {what} {HERE} should (end in|have the extension|become) {{new}}", "rename {star} to {newstar}", "change {dot} to {new} for all files {h}".replace("{h}", HERE),
        f"give (all|the) {what} {HERE} the extension {{new}}", f"turn (all|the) {what} into {{new}} files"),
        f'for f in *.{ext}; do mv "$f" "${{f%.{ext}}}.{new}"; done', f"rename the .{ext} files to .{new}", False,
        new=f".{new}", newstar=f"*.{new}", **slots)


@schema("file.backup_all", "cp", weight=0.6)
def backup_all(world: World, rng: random.Random) -> Draft:
    found = sorted({path.rsplit(".", 1)[1] for path in _top(world) if "." in path[1:]})
    if not found or not (ext := rng.choice(found)).isalnum() or ext == "bak":
        raise Unsuitable("no extension")
    what, slots = kind(ext)
    return single(rng, (
        f"make a (.bak|backup) copy of (every one of the|all the|all) {what} {HERE}", f"back up (all|all the|the) {what} {HERE} (as|with the extension) {{bak}}",
        f"(copy|duplicate) each of the {what} {HERE} to the same name with {{bak}} (at the end|appended|added)", f"for (all|the) {what} {HERE}, make a copy that ends in {{bak}}",
        f"(save|keep) a {{bak}} copy of (all|the) {what} {HERE}", f"(all|the) {what} {HERE} need a {{bak}} copy"),
        f'for f in *.{ext}; do cp "$f" "$f.bak"; done', f"copy each .{ext} file to .bak", False, bak=".bak", **slots)


@schema("time.set", "touch", weight=0.6)
def set_time(world: World, rng: random.Random) -> Draft:
    name, date = world.pick_file(), world.date()
    made = single(rng, (
        "set the (modification time|modification date|date|mtime) of {f} to {d}", "touch {f} with (the|) date {d}", "(change|set) the (timestamp|time stamp) of {f} to {d}",
        "make {f} look as if (it was|) (changed|modified) on {d}", "{f} should have the (modification date|date) {d}", "give {f} the date {d}"),
        f"touch -d {date} {quoted(name)}", f"set the date of {name} to {date}", False, f=name, d=date)
    return replace(made, times=(name,))


@schema("file.truncate", "truncate", weight=0.6)
def empty(world: World, rng: random.Random) -> Draft:
    name = world.pick_file(min_lines=1)
    return single(rng, (
        "empty (the file|) {f}", "(clear|delete|remove|wipe) (the|all) contents of {f} (but keep the file|)", "make {f} empty", "truncate {f} (to zero|)", "{f} should be empty",
        "(clear|blank) {f}", "throw away everything in {f}, keep the file"),
        f"truncate -s 0 {quoted(name)}", f"empty {name}", False, f=name)


@schema("file.type", "file", weight=0.8)
def file_type(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "what (kind|type|sort) of file is {f}?", "(show|tell me|determine) the (file|) type of {f}", "what is {f}?", "file type of {f}",
        "is {f} a text file?", "which (type|kind) does {f} have?"),
        f"file {quoted(name)}", f"determine the type of {name}", True, f=name)


@schema("file.print", "cat", weight=2.0)
def print_file(world: World, rng: random.Random) -> Draft:
    name = text_file(world, rng, 1, 25)
    return single(rng, (
        f"{PRINT} (the contents of|the content of|) (the file|) {{f}}", "cat {f}", "what (is in|does) (the file|) {f} (say|contain|)?".replace("(is in|does) (the file|) {f} (say|contain|)", "(does {f} say|is in {f}|does {f} contain|is written in {f})"),
        "(read|open) {f}", "show (me|) {f}", "let me see (the file|) {f}", "(contents|content) of {f}", "(read|show) (me|) the file {f}"),
        f"cat {quoted(name)}", f"print {name}", True, ordered=True, f=name)


@schema("file.nth", "ls sed", weight=0.4)
def nth_entry(world: World, rng: random.Random) -> Draft:
    shown = [path for path in world.entries if "/" not in path and not path.startswith(".")]
    n = rng.randint(1, max(1, min(9, len(shown))))
    return single(rng, (
        f"what is the {{o}} file {HERE} (in alphabetical order|)?", f"{SHOW} the {{o}} (entry|file) of the listing", f"the {{o}} file {HERE}?",
        "(print|give) the name of the {o} file (in alphabetical order|)", f"which file comes {{o}} {HERE} (alphabetically|in the listing)?", "{o} name in the (directory|folder) listing"),
        f"ls | sed -n {n}p", f"show the {ordinal(n)} entry", True, o=ordinal(n))
