"""Short texts into files, rights, dates, links, and one change to many files."""

from __future__ import annotations

import random
from dataclasses import replace

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.frames import deed
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import HERE, KINDS, kind, text_file
from nimllm.agent.gym.worlds import World


@schema("file.write", "echo", weight=2.0)
def write(world: World, rng: random.Random) -> Draft:
    name = rng.choice([""] * 4 + [f"{path}/" for path in world.dirs()]) + world.new_name(
        "file", rng.choice(("txt", "txt", "md", "log", "cfg", "note", None)))
    text = _line(world, rng)
    return single(rng, (*deed("(create|make|write) (a|the|a new) file {f} (with|containing) (the text|the line|) {t}",
                              "(write|put|save|store) {t} (in|into|to) {f}", "(make|let) {f} (say|contain) {t}",
                              tool="echo"), "new file {f}: {t}", "I need a file {f} (with|saying|that says) {t}",
            
        "(create|make|write) (a|a new|the) file (called|named|) {f} (with|containing) (the text|the line|) {t}",
        "(write|put|save) {t} (into|to|in) (the file|a file called|a new file|) {f}",
        "(create|make) {f} (with|containing) (the text|the content|the words|) {t}",
        "{f} (should contain|should say) {t}",
        "(save|store) (the text|) {t} (in|as) {f}",
        "echo {t} (to|into) {f}",
        "(make|write) a file {f} that (says|contains) {t}"),
        f"echo {string(text)} > {quoted(name)}", f"write the text to {name}", False, protected=(text,), f=name,
        t=rng.choice((text, f'"{text}"', f"'{text}'", f'"{text}"')))


@schema("file.append", "echo", weight=2.0)
def append(world: World, rng: random.Random) -> Draft:
    name, text = text_file(world, rng, 1), _line(world, rng)
    return single(rng, (*deed("(append|add) {t} (as a new line|as a line|) to {f}", "(add|put) (one more|another|a) "
                              "line {t} (to|at the end of) {f}", tool="echo"), "{f}: append {t}",
                              "{t} belongs at the end of {f}, add it",
            
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
    return single(rng, (*deed("(put|add|insert) {t} (at the top|on top|at the very beginning|as the first line) of {f}",
                              "prepend {t} to {f}", tool="sed"), "{f} should start with a line {t}, (the rest "
                              "follows|keep everything else)",
            
        "(insert|put|add) (the line|) {t} (at the top|at the beginning|at the start|before the first line) of {f}",
        "prepend (the line|) {t} to {f}",
        "make {t} the first line of {f}",
        "(the|) first line of {f} should (be|become) {t}, keep the rest",
        "add {t} (as the first line of|to the top of) {f}",
        "(insert|add) {t} above everything in {f}"),
        f"sed -i {string(f'1i {text}')} {quoted(name)}", f"insert the line at the top of {name}", False,
        protected=(text,), f=name, t=rng.choice((text, f'"{text}"', f"'{text}'")))


@schema("link.create", "ln")
def link(world: World, rng: random.Random) -> Draft:
    target = rng.choice([*world.files(), *world.dirs()])
    name = world.new_name("file") if rng.random() < 0.5 else rng.choice(("latest", "current", "link")) + str(
        rng.choice(("", "", rng.randint(1, 99))))
    if name in world.entries:
        raise Unsuitable("taken")
    return single(rng, (
        "I'd like {l} to be a symlink to {t}",
        "make {l} a (symlink|symbolic link|soft link) to {t}",
        "{l} -> {t} (as a symlink|, symbolic)",
        "create {l} as a shortcut to {t}",
        "a (symlink|soft link) named {l} for {t}",
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
        "I can't run {f}, make it executable",
        "{f} says permission denied, make it executable",
        "I'd like to be able to run {f}",
        "turn {f} into an executable",
        "mark {f} as executable",
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
    world.entries[name].mode = 0o644 if mode != "644" else 0o600
    world.entries[name].mode = 0o640 if mode != "640" else 0o600
    return single(rng, (
        "{f} needs mode {m}",
        "I'd like {f} to have (mode|permissions) {m}",
        "{f}: {m}",
        "{f} with {m} permissions please",
        "put {m} on {f}",
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


@schema("file.rename_extension", "mv", weight=1.0)
def rename_extension(world: World, rng: random.Random) -> Draft:
    found = sorted({path.rsplit(".", 1)[1] for path in _top(world) if "." in path[1:]})
    if not found or not (ext := rng.choice(found)).isalnum():
        raise Unsuitable("no extension")
    new = rng.choice([other for other in (*KINDS, "bak", "old", "dat") if other != ext])
    what, slots = kind(ext)
    return single(rng, (
        f"rename (all|all the|the) {what} {HERE} to {{new}}",
        f"change the (extension|ending) of (all|the|all the) {what} {HERE} to {{new}}",
        f"(all|the) {what} {HERE} should (end in|have the extension|become) {{new}}", "rename {star} to {newstar}",
        "change {dot} to {new} for all files {h}".replace("{h}", HERE),
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
        f"make a (.bak|backup) copy of (every one of the|all the|all) {what} {HERE}",
        f"back up (all|all the|the) {what} {HERE} (as|with the extension) {{bak}}",
        f"(copy|duplicate) each of the {what} {HERE} to the same name with {{bak}} (at the end|appended|added)",
        f"for (all|the) {what} {HERE}, make a copy that ends in {{bak}}",
        f"(save|keep) a {{bak}} copy of (all|the) {what} {HERE}", f"(all|the) {what} {HERE} need a {{bak}} copy"),
        f'for f in *.{ext}; do cp "$f" "$f.bak"; done', f"copy each .{ext} file to .bak", False, bak=".bak", **slots)


@schema("time.set", "touch", weight=0.6)
def set_time(world: World, rng: random.Random) -> Draft:
    name, date = world.pick_file(), world.date()
    made = single(rng, (
        "set the (modification time|modification date|date|mtime) of {f} to {d}", "touch {f} with (the|) date {d}",
        "(change|set) the (timestamp|time stamp) of {f} to {d}",
        "make {f} look as if (it was|) (changed|modified) on {d}", "{f} should have the (modification date|date) {d}",
        "give {f} the date {d}"),
        f"touch -d {date} {quoted(name)}", f"set the date of {name} to {date}", False, f=name, d=date)
    return replace(made, times=(name,))


@schema("file.truncate", "truncate", weight=0.6)
def empty(world: World, rng: random.Random) -> Draft:
    name = world.pick_file(min_lines=1)
    return single(rng, (
        "{f} is too long, empty it but keep it",
        "reset {f} to zero bytes",
        "I want {f} to be empty (but still there|)",
        "remove everything from {f} but leave the file",
        "make {f} zero bytes long",
        *deed("(empty|clear|truncate) {f}", "(delete|remove|wipe) (everything|all text|all lines) "
                              "(in|from) {f} (but keep|, keep) the file".replace("(but keep|, keep)", "but keep")),
            
        "empty (the file|) {f}", "(clear|delete|remove|wipe) (the|all) contents of {f} (but keep the file|)",
        "make {f} empty", "truncate {f} (to zero|)", "{f} should be empty",
        "(clear|blank) {f}", "throw away everything in {f}, keep the file"),
        f"truncate -s 0 {quoted(name)}", f"empty {name}", False, f=name)


def _top(world: World) -> list[str]:
    return [path for path in world.files() if "/" not in path]


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
