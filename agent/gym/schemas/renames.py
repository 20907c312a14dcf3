"""Renaming many files: prefixes, suffixes, case, blanks, numbers, parts of names."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.registers import act, folder_of, inside, stem
from nimllm.agent.gym.schemas.subjects import kind
from nimllm.agent.gym.worlds import World


def _some(world: World, rng: random.Random, share: float = 0.35) -> tuple[str, str, dict[str, str]]:
    """Extension, folder ("" here) and slots of files to rename."""
    folder = folder_of(world, rng) if rng.random() < share else ""
    found = [path.rsplit(".", 1)[1] for path in inside(world, folder) if re.search(r"[^./][^/]*\.\w+$", path)]
    found = sorted({ext for ext in found if ext.isalnum()})
    if not found:
        raise Unsuitable("no extension")
    return rng.choice(found), folder, ({"folder": folder} if folder else {})


def _where(folder: str) -> str:
    return "(in {folder}|in the <dir> {folder}|inside {folder})" if folder else "<here>"


@schema("rename.prefix", "mv", weight=1.2)
def prefix(world: World, rng: random.Random) -> Draft:
    ext, folder, slots = _some(world, rng, 0)
    text = stem(rng) + rng.choice(("_", "-", "_", ""))
    what, more = kind(ext)
    return act(rng, """
        (add|put) the prefix {p} to (all|all the|the names of all|the) <what> <w>
        prefix (all|the|all the) <what> <w> with {p}
        rename (all|the) <what> <w> so that they (start|begin) with {p}
        (put|add) {p} (before|in front of) the (name|names) of (all|the) <what> <w>
        (all|the) <what> <w> should (get the prefix|start with) {p}
        prepend {p} to the names of (all|the) <what> <w>
        in a loop, rename (all|the) <what> <w> to {p} plus the old name
        """, f'for f in *.{ext}; do mv "$f" "{text}$f"; done', f"prefix the .{ext} files", w=_where(folder), what=what,
        p=text, **slots, **more)


@schema("rename.suffix", "mv", weight=1.0)
def suffix(world: World, rng: random.Random) -> Draft:
    ext, folder, slots = _some(world, rng, 0)
    text = rng.choice(("_", "-", "_")) + stem(rng)
    what, more = kind(ext)
    return act(rng, """
        (add|put|insert) {p} before the extension of (all|the|all the) <what> <w>
        (add|append) the suffix {p} to the (name|names) of (all|the) <what> <w>, before the extension
        rename (all|the) <what> <w> so that the name ends with {p} (, the extension stays|before the extension)
        (append|add) {p} to (all|the) <what> <w> (but keep the extension|, keeping the extension)
        (all|the) <what> <w> should get the suffix {p} (before the dot|before the extension)
        insert {p} in front of the extension of every one of the <what> <w>
        """, f'for f in *.{ext}; do mv "$f" "${{f%.{ext}}}{text}.{ext}"; done', f"append {text} to the .{ext} files",
        w=_where(folder), what=what,
        p=text, **slots, **more)


@schema("rename.extension_in", "mv", weight=0.9)
def extension_in(world: World, rng: random.Random) -> Draft:
    ext, folder, slots = _some(world, rng, 1)
    new = rng.choice([other for other in ("txt", "md", "bak", "old", "dat", "log", "csv", "html", "json",
        "orig") if other != ext])
    what, more = kind(ext)
    return act(rng, """
        rename (all|all the|the) <what> <w> to {n}
        change the (extension|ending|suffix) of (all|the) <what> <w> (to|into) {n}
        (all|the) <what> <w> should (end in|have the extension|become) {n}
        <w>, (turn|rename) <what> (in|)to {n}
        give (all|the) <what> <w> the extension {n}
        change {dot} to {n} for all files <w>
        """.replace("(in|)to", "to").replace("(turn|rename)", "rename").replace("<w>, rename <what> to {n}",
        "rename the {star} files <w> to {n}"),
        f'for f in {quoted(folder)}/*.{ext}; do mv "$f" "${{f%.{ext}}}.{new}"; done',
        f"rename the .{ext} files to .{new}", w=_where(folder), what=what,
        n=f".{new}", **slots, **more)


@schema("rename.drop_extension", "mv", weight=0.7)
def drop_extension(world: World, rng: random.Random) -> Draft:
    ext, folder, slots = _some(world, rng, 0)
    what, more = kind(ext)
    return act(rng, """
        (remove|strip|drop|cut off) the (extension|ending) {dot} from (all|the) files <w> (that have it|)
        rename (all|the) <what> <w> to (their|the) name without (the|) extension
        (remove|strip) {dot} from the (names|name) of (all|the) files <w>
        (all|the) <what> <w> should lose their extension
        take the (extension|ending) {dot} off (all|the) (file names|files) <w>
        """, f'for f in *.{ext}; do mv "$f" "${{f%.{ext}}}"; done', f"strip .{ext} from the names", w=_where(folder),
        what=what, **slots, **more)


@schema("rename.lower", "mv", weight=1.0)
def lower(world: World, rng: random.Random) -> Draft:
    folder = ""
    if not any(re.search("[A-Z]", path.split("/", 1)[0]) for path in world.entries if not path.startswith(".")):
        word = names.word(rng).upper()
        world.add_file(f"{word}.{world.ext()}", world.text(1))
    tops = [path for path in world.entries if "/" not in path]
    if len({path.lower() for path in tops}) < len(tops):
        raise Unsuitable("the same")
    return act(rng, """
        (rename|change) (all|all the|the) (files|names|file names) <w> to (lower case|lowercase|small letters)
        (make|turn) (all|the) (file names|names) <w> (lower case|lowercase|into lower case)
        (all|the) (names|file names) <w> should be (lower case|lowercase|in small letters)
        lowercase (all|the) (names|file names) <w>
        convert (all|the) (names|file names) <w> to (lower case|lowercase)
        no capitals in (names|file names) <w>: rename (everything|all files) (to lower case|)
        rename everything <w> with capital letters to lower case
        """.replace("(make|turn) (all|the) (file names|names) <w> (lower case|lowercase|into lower case)",
        "make (all|the) (file names|names) <w> (lower case|lowercase)"),
        'for f in *[A-Z]*; do mv "$f" "${f,,}"; done', "write the names in lower case", w=_where(folder))


@schema("rename.upper", "mv", weight=0.4)
def upper(world: World, rng: random.Random) -> Draft:
    ext, folder, slots = _some(world, rng, 0)
    what, more = kind(ext)
    if ext.isdigit():
        raise Unsuitable("no letters")
    return act(rng, """
        (rename|change) (all|the) <what> <w> to (upper case|uppercase|capitals|capital letters)
        (make|write) the names of (all|the) <what> <w> (upper case|uppercase|in capitals)
        (all|the) <what> <w> should have names in (upper case|uppercase|capitals)
        uppercase the names of (all|the) <what> <w>
        """, f'for f in *.{ext}; do mv "$f" "${{f^^}}"; done', "write the names in upper case", w=_where(folder),
        what=what, **slots, **more)


@schema("rename.blanks", "mv", weight=1.1)
def blanks(world: World, rng: random.Random) -> Draft:
    sign, name = rng.choice((("_", "(underscores|an underscore|_)"), ("_", "(underscores|an underscore)"), ("-",
        "(dashes|a dash|hyphens|-)")))
    for _ in range(rng.randint(1, 3)):
        path = f"{names.word(rng)} {names.word(rng)}.{world.ext()}"
        world.add_file(path, world.text(1))
    tops = [path.replace(" ", sign) for path in world.entries if "/" not in path]
    if len(set(tops)) < len(tops):
        raise Unsuitable("the same")
    return act(rng, f"""
        replace (blanks|spaces|the spaces) in (all|the|) (file names|names|filenames) <w> (by|with) {name}
        (file names|names) <w> should have {name} instead of (spaces|blanks)
        rename (all|the) files <w> with (spaces|blanks) (in their names|), use {name} instead
        (no|get rid of the) (spaces|blanks) in (file names|names) <w>: {name} instead
        (change|turn) (spaces|blanks) in (the|) (file names|names) <w> (to|into) {name}
        (some|a few) files <w> have (spaces|blanks) in their names, replace (them|these) by {name}
        (spaces|blanks) to {name} in all (file names|names) <w>
        """, f'for f in *" "*; do mv "$f" "${{f// /{sign}}}"; done', f"replace blanks in the names by {sign}",
        w="<here>")


@schema("rename.number", "mv", weight=0.9)
def number(world: World, rng: random.Random) -> Draft:
    ext, folder, slots = _some(world, rng, 0)
    base = rng.choice(("photo", "image", "file", "page", "doc", stem(rng), stem(rng), stem(rng))) + rng.choice(("_",
        "-", ""))
    base += "_" if base[-1].isdigit() else ""
    if any(path.startswith(base) for path in world.entries):
        raise Unsuitable("taken")
    what, more = kind(ext)
    return act(rng, """
        (number|enumerate) (all|the) <what> <w>: {x}, {y} and so on
        rename (all|the|all the) <what> <w> to {x}, {y}, ...
        rename <what> <w> (consecutively|sequentially|in sequence) as {x}, {y}, ...
        give (all|the) <what> <w> (numbered names|consecutive names|names with numbers): {x}, {y}, ...
        (all|the) <what> <w> should be called {x}, {y} and so on (in alphabetical order|)
        number the <what> <w> starting (at 1|with {x})
        """.replace("number the <what> <w> starting (at 1|with {x})", "number the <what> <w> starting with {x}"),
        f'i=1; for f in *.{ext}; do mv "$f" "{base}$i.{ext}"; i=$((i+1)); done', f"number the .{ext} files",
        w=_where(folder), what=what,
        x=f"{base}1.{ext}", y=f"{base}2.{ext}", **slots, **more)


@schema("rename.word", "mv", weight=1.0)
def word(world: World, rng: random.Random) -> Draft:
    old, new = rng.sample([*{names.word(rng) for _ in range(9)}], 2)
    for _ in range(rng.randint(2, 3)):
        world.add_file(rng.choice((f"{old}_{names.word(rng)}", f"{names.word(rng)}-{old}",
            f"{old}{rng.randint(1, 99)}")) + f".{world.ext()}", world.text(1))
    if any(new in path for path in world.entries):
        raise Unsuitable("taken")
    at = rng.random()
    if at < 0.25:
        return act(rng, """
            (remove|delete|drop|cut) {a} from (the names of all files|all file names|the file names) <here>
            rename all files with {a} in the name so that {a} is gone
            take {a} out of (all|the) (file names|names) <here>
            (strip|remove) the word {a} from (all|the) (file names|names) <here>
            """, f'for f in *{old}*; do mv "$f" "${{f/{old}/}}"; done', f"cut {old} from the names", a=old)
    return act(rng, """
        replace {a} (by|with) {b} in (all|the) (file names|names) <here>
        rename (all|the) files with {a} in the name (so that it says|to have) {b} instead
        (change|turn) {a} (to|into) {b} in (the|all) (names|file names) (of the files|) <here>
        (all|the) files <here> that are called something with {a}: put {b} instead of {a} in the name
        in (all|the) file names <here>, {a} should (become|be) {b}
        rename *{a}* <here>, {a} becomes {b}
        """, f'for f in *{old}*; do mv "$f" "${{f/{old}/{new}}}"; done', f"replace {old} by {new} in the names", a=old,
        b=new)


@schema("rename.strip_prefix", "mv", weight=0.7)
def strip_prefix(world: World, rng: random.Random) -> Draft:
    start = rng.choice(("old_", "IMG_", "copy-of-", "draft-", "tmp_", "new_", stem(rng) + "_", stem(rng) + "-"))
    for _ in range(rng.randint(2, 4)):
        world.add_file(start + world.new_name(), world.text(1))
    return act(rng, """
        (remove|strip|drop|cut) the prefix {p} from (all|the) (file names|files|names) <here>
        rename (all|the) files (that start|starting|beginning) with {p} (so that it is gone|to the name without it)
        (remove|cut off|strip) {p} (at the start|at the beginning|in front) of (all|the) (file names|names) <here>
        files (that start|starting) with {p} should lose that prefix
        (all|the) {p} files (, without the prefix please|): remove the prefix
        """.replace("(all|the) {p} files (, without the prefix please|): remove the prefix",
        "take the {p} off the front of the (names|file names) <here>"),
        f'for f in {start}*; do mv "$f" "${{f#{start}}}"; done', f"strip the prefix {start}", p=start)


@schema("rename.by_extension", "mkdir mv", weight=0.8)
def sort_into(world: World, rng: random.Random) -> Draft:
    tops = [path for path in inside(world, "") if re.match(r"[^.].*\.", path)]
    ends = {path.rsplit(".", 1)[1] for path in tops}
    if not tops or any(end in world.entries or not end for end in ends):
        raise Unsuitable("taken")
    return act(rng, """
        (sort|move) (all|the) files (here|in this folder) into <dirs> (named after|by) their extension
        (put|move) (each|every) file (here|) into a <dir> (named after|called like) its extension
        one <dir> per extension, with the files of (that kind|that extension) (in it|moved into it)
        organise (the|) files here by extension: one <dir> (per|for each) extension
        (group|sort) files into <dirs> by (extension|file extension)
        (tidy|clean) up: txt files into txt/, md files into md/, and so on for every extension
        """, 'for f in *.*; do mkdir -p "${f##*.}" && mv "$f" "${f##*.}/"; done',
        "sort the files into folders by extension")


@schema("rename.move_name", "mv", weight=0.9)
def same_folder(world: World, rng: random.Random) -> Draft:
    """The new name is given without the folder, which stays."""
    found = [path for path in world.files() if "/" in path]
    if not found:
        raise Unsuitable("none below")
    source = rng.choice(found)
    folder, old = source.rsplit("/", 1)
    new = world.new_name("file", old.rsplit(".", 1)[-1] if "." in old[1:] and rng.random() < 0.8 else None)
    return act(rng, """
        rename {o} in {d} to {t}
        in {d}, rename {o} to {t}
        rename {f} to {t}, (in the same <dir>|it stays in {d}|it stays where it is)
        (the file|) {o} in (the <dir>|) {d} should be called {t}
        give {f} the name {t} (, same <dir>|, within {d})
        {d}: {o} becomes {t}
        change the name of {o} (in|inside) {d} to {t}
        """, f"mv {quoted(source, f'{folder}/{new}')}", f"rename {source} to {folder}/{new}", o=old, d=folder, t=new,
        f=source)


@schema("rename.change_extension", "mv", weight=0.9)
def change_extension(world: World, rng: random.Random) -> Draft:
    source = world.pick_file()
    if not re.search(r"[^./][^/]*\.\w+$", source):
        raise Unsuitable("no extension")
    base, old = source.rsplit(".", 1)
    new = rng.choice([ext for ext in ("txt", "md", "bak", "old", "dat", "log", "csv", "html", "json", "py",
        "yaml") if ext != old])
    if f"{base}.{new}" in world.entries:
        raise Unsuitable("taken")
    return act(rng, """
        (change|set) the (extension|ending|suffix) of {f} to {n}
        {f} should (end in|have the extension) {n} (instead|)
        rename {f} to the same name with {n}
        make {f} a {n} file (by renaming|, just rename it)
        (replace|swap) the (extension|ending) of {f} (by|with|for) {n}
        rename {f}: {o} becomes {n}
        """, f"mv {quoted(source, f'{base}.{new}')}", f"rename {source} to .{new}", f=source, n=f".{new}", o=f".{old}")


@schema("text.to_file_name", "echo", weight=0.3)
def slug(world: World, rng: random.Random) -> Draft:
    words = [names.word(rng).capitalize() for _ in range(rng.randint(2, 4))]
    text = " ".join(words)
    folder = "_".join(words).lower()
    if folder in world.entries:
        raise Unsuitable("taken")
    return act(rng, """
        (create|make) a <dir> for {t}: lower case, (underscores|_) instead of (spaces|blanks)
        mkdir a <dir> named after {t}, in lower case with underscores (for|instead of) (spaces|blanks)
        (create|make) a <dir> (whose name is|called) {t} in lower case, blanks replaced by (underscores|_)
        """, f"mkdir {folder}", f"create the folder {folder}", protected=(text,), t=string(text).replace("'", '"'))
