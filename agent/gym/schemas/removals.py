"""Deleting: several, by pattern, by age, all but some, what a list names."""

from __future__ import annotations

import random
import re
from pathlib import PurePosixPath
from typing import Any

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import act, amount, folder_of, inside, named, several_of, stem
from nimllm.agent.gym.schemas.subjects import below, kind, scope, some_ext
from nimllm.agent.gym.worlds import DAY, NOW, World


def _top_ext(world: World, rng: random.Random, folder: str = "") -> str:
    found = sorted({path.rsplit(".", 1)[1] for path in inside(world, folder) if "." in path.rsplit("/", 1)[-1][1:]})
    found = [ext for ext in found if ext.isalnum()]
    if not found:
        raise Unsuitable("no extension")
    return rng.choice(found)


@schema("file.remove_several", "rm", weight=1.4)
def several(world: World, rng: random.Random) -> Draft:
    found = world.files()
    if len(found) < 4:
        raise Unsuitable("too few")
    some = rng.sample(found, rng.choice((2, 2, 2, 3, 3)))
    return act(rng, """
        <del> {x}
        <del> (the files|the following files|these files:|) {x}
        rm {x}
        I don't need {x} any more, delete (them|these)
        {x} can go
        (get rid of|throw away) {x}
        clean up: {x} (can go|are not needed)
        (please|) (delete|remove) these {n} files: {x}
        """, f"rm {quoted(*some)}", f"delete {some[0]} and {len(some) - 1} more", protected=some, x=several_of(rng,
        some), n=amount(rng, len(some)))


@schema("file.remove_in", "rm", weight=0.8)
def remove_in(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng)
    path = rng.choice(inside(world, folder))
    return act(rng, """
        <del> (the file|) {f} (in|from|inside) (the <dir>|) {d}
        (in|from) {d}, (delete|remove) {f}
        (delete|remove) {f}, it is in {d}
        {f} in {d} can go
        take {f} out of {d} (for good|and throw it away)
        rm {f} in {d}
        {d} (should not contain|does not need) {f} (any more|anymore), delete it
        """, f"rm {quoted(path)}", f"delete {path}", f=path.rsplit("/", 1)[-1], d=folder)


@schema("dir.clear", "rm", weight=1.3)
def clear(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng, 2)
    return act(rng, """
        (empty|clear) (the <dir>|) {d} (, but keep it|but keep the <dir> itself|, keep the <dir>)
        <del> everything (in|inside) {d} (, but keep the <dir>|but not the <dir> itself|, the <dir> stays)
        <del> (all|all the|the) contents of {d} (, not the <dir>|but keep the <dir>)
        (clean out|empty out|clear out) {d}
        {d} should be empty
        (wipe|erase|delete) what is (in|inside) {d}, keep the <dir>
        I want {d} empty
        make {d} an empty <dir>
        rm -r everything (in|under) {d}
        rm -rf {d}/*
        """, f"rm -r {quoted(folder)}/*", f"empty {folder}", d=folder)


@schema("dir.remove_forced", "rm", weight=1.3)
def remove_dir(world: World, rng: random.Random) -> Draft:
    """The harmless relatives of rm -rf /: a folder of the project."""
    name = rng.choice(("build", "dist", "node_modules", "tmp", "cache", "target", ".cache", "out", "coverage",
        world.new_name("dir")))
    if name in world.entries:
        raise Unsuitable("taken")
    for _ in range(rng.randint(1, 3)):
        world.add_file(f"{name}/" + world.new_name(), world.text(2))
    return act(rng, """
        rm -rf {d}
        rm -rf {d}/
        rm -r {d}
        <del> (the <dir>|) {d} (completely|with everything in it|and everything in it|recursively)
        (force|forcibly) (delete|remove) {d} (and its contents|)
        (delete|remove|clean up) the {d} <dir>
        {d} can go (completely|)
        (nuke|wipe) (the|) {d} (<dir>|)
        we can rebuild {d} any time, so (delete|remove) it
        I need a clean build, so (delete|remove) {d}
        """, f"rm -r {quoted(name)}", f"delete the folder {name}", d=name)


@schema("dir.remove_several", "rm", weight=0.8)
def remove_dirs(world: World, rng: random.Random) -> Draft:
    found = [path for path in world.dirs() if "/" not in path]
    if len(found) < 2:
        raise Unsuitable("too few")
    some = rng.sample(found, 2 if len(found) < 4 else rng.choice((2, 3)))
    return act(rng, """
        <del> the <dirs> {x} (and all they hold|with their contents|and everything in them|)
        rm -r {x}
        the <dirs> {x} can go
        (get rid of|throw away) the <dirs> {x}
        I don't need the <dirs> {x} any more, (delete|remove) them
        (delete|remove) (recursively|) the <dirs> {x}
        """, f"rm -r {quoted(*some)}", f"delete {len(some)} folders", protected=some, x=several_of(rng, some))


@schema("file.remove_direct", "find", weight=1.0)
def direct(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng) if rng.random() < 0.6 else "."
    ext = _top_ext(world, rng, folder)
    what, slots = kind(ext)
    w = "(in|directly in) {folder}" if folder != "." else "(here|in this folder|in the current directory)"
    return act(rng, """
        <del> <all> <what> <w> <flat>
        <del> <all> <what> <w>, but (leave|keep) (the|those in) subfolders (alone|)
        (only|just) (directly|) <w>, (delete|remove) the <what>
        <del> the <what> (that lie|that are|lying) <w>, not those deeper
        (delete|remove) <what> <w> (, maxdepth 1|without recursion)
        (all|the) <what> <w> can go, <flat>
        """.replace("(leave|keep) (the|those in) subfolders (alone|)", "(leave subfolders alone|not in subfolders)")
        .replace("(only|just) (directly|) <w>,", "<w>, not deeper,"),
        f"find {quoted(folder)} -maxdepth 1 -type f -name '*.{ext}' -delete", f"delete the .{ext} files", w=w,
        what=what,
        **named(folder), **slots)


@schema("file.remove_others", "find", weight=1.0)
def others(world: World, rng: random.Random) -> Draft:
    """All but one, or all but one kind."""
    folder = folder_of(world, rng, 2)
    files = inside(world, folder)
    if rng.random() < 0.5:
        keep = rng.choice(files).rsplit("/", 1)[-1]
        if re.search(r"[*?\[\\]", keep) or len(files) < 2:
            raise Unsuitable("pattern")
        return act(rng, """
            <del> (all|all the) files in {d} (except|but|except for|other than) {k}
            <del> everything in {d} except (the file|) {k} (, leave subfolders alone|, files only)
            keep (only|just) {k} in {d}, (delete|remove) (all|the) other files
            (delete|remove) (all|every) other (files|file) than {k} (in|from) {d}
            {d} should (only|) keep {k}: (delete|remove) the other files
            in {d} (delete|remove) all files but not {k}
            """.replace("(all|every) other (files|file) than", "all files other than"),
            f"find {quoted(folder)} -maxdepth 1 -type f -not -name {quoted(keep)} -delete", f"delete all but {keep}",
            d=folder, k=keep)
    ext = _top_ext(world, rng, folder)
    if all(path.endswith(f".{ext}") for path in files):
        raise Unsuitable("only these")
    what, slots = kind(ext)
    return act(rng, """
        <del> (all|all the) files in {d} (except|but|except for|other than) the <what> <flat>
        keep (only|just) the <what> in {d}, (delete|remove) (all|the) other files <flat>
        (delete|remove) everything in {d} that (is not|isn't) (one of the|among the) <what> (, files only|) <flat>
        in {d} (delete|remove) all files but the <what> <flat>
        (delete|remove) files in {d} that (don't|do not) end in {e} <flat>
        """, f"find {quoted(folder)} -maxdepth 1 -type f -not -name '*.{ext}' -delete",
        f"delete all but the .{ext} files", what=what,
        d=folder, e=f".{ext}", **slots)


@schema("file.remove_old", "find", weight=1.2)
def old(world: World, rng: random.Random) -> Draft:
    world.recent = True
    folder, where, slots = scope(world, rng, 0.5)
    n = rng.choice((1, 2, 3, 7, 7, 10, 14, 30, 30, 60, 90, 180, 365, rng.randint(2, 200)))
    ext, what = "", "files"
    more: dict[str, Any] = {}
    if rng.random() < 0.4:
        ext = some_ext(world, rng, folder)
        what, more = kind(ext)
    name = f" -name '*.{ext}'" if ext else ""
    ages = [(NOW - world.entries[path].mtime) // DAY for path in world.files(ext or None,
        "" if folder == "." else folder)]
    if not any(age > n for age in ages):
        raise Unsuitable("none so old")
    return act(rng, """
        <del> <all> <what> <w> (that are|) older than {n} days
        <del> <what> <w> (not|that were not) (changed|modified|touched) (for|in) (more than|over) {n} days
        (clean up|clear out) <what> older than {n} days <w>
        <what> older than {n} days <w> (can go|should be deleted|must go)
        <del> <what> <w> (last|) (changed|modified) more than {n} days ago
        find <what> older than {n} days <w> and delete them
        purge <what> <w> (after|older than) {n} days
        (old|stale) <what> <w> (more than {n} days old|, older than {n} days) : delete them
        """, f"find {below(folder)} -type f{name} -mtime +{n} -delete", f"delete files older than {n} days", w=where,
        what=what, n=n, **slots, **more)


@schema("file.remove_sized", "find", weight=0.9)
def sized(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    big = rng.random() < 0.6
    n, unit, word = rng.choice(((rng.choice((50, 100, 200, 300, 500)), "c", "bytes"), (1, "k", "(KB|kilobyte|K)"),
        (rng.randint(60, 900), "c", "bytes")))
    if not big:
        unit, word, n = "c", "bytes", n if n > 1 else 100
    sizes = [len(world.entries[path].content) for path in world.files(under="" if folder == "." else folder)]
    if not any(size > n * (1024 if unit == "k" else 1) if big else size < n for size in sizes):
        raise Unsuitable("none of that size")
    return act(rng, f"""
        <del> <all> files <w> ({'larger|bigger' if big else 'smaller'}) than {{n}} {word}
        <del> files <w> {'(over|above)' if big else '(under|below)'} {{n}} {word}
        <del> (all|the) files <w> with ({'more' if big else 'less|fewer'}) than {{n}} {word}
        find files {'(larger|bigger)' if big else 'smaller'} than {{n}} {word} <w> and delete them
        (all|the) files <w> {'(larger|bigger)' if big else 'smaller'} than {{n}} {word} can go
        (clean up|clear out) files {'(larger|bigger)' if big else 'smaller'} than {{n}} {word} <w>
        """, f"find {below(folder)} -type f -size {'+' if big else '-'}{n}{unit} -delete",
        "delete the files of that size", w=where, n=n, **slots)


@schema("dir.remove_empty_all", "find", weight=0.9)
def empty_dirs(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    for _ in range(rng.randint(1, 3)):
        world.add_dir(("" if folder == "." else folder + "/") + world.new_name("dir"))
    return act(rng, """
        <del> (all|all the|the) empty <dirs> <w>
        (clean up|clear out) (all|the|) empty <subs> <w>
        find and (delete|remove) (all|) empty <dirs> <w>
        (empty|unused) <dirs> <w> (can go|should be deleted)
        <del> <dirs> <w> (that are empty|with nothing in them|that hold nothing|without any files)
        get rid of (all|the) <dirs> <w> (that are empty|with nothing inside)
        prune (the|) empty <dirs> <w>
        """.replace("(empty|unused) <dirs>", "empty <dirs>").replace("|without any files", ""),
        f"find {below(folder)} -type d -empty -delete", "delete the empty folders", w=where, **slots)


@schema("file.remove_named", "find", weight=1.1)
def by_name(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    name = PurePosixPath(world.pick_file(under="" if folder == "." else folder)).name
    runs = re.findall(r"[A-Za-z]{3,}|\d{2,}", name.rsplit(".", 1)[0])
    if not runs:
        raise Unsuitable("no part")
    part = rng.choice(runs)
    how = rng.choice(("contains", "contains", "starts", "ends"))
    if how == "starts" and not name.startswith(part):
        how = "contains"
    if how == "ends":
        part = name[-rng.randint(3, 6):]
        if not re.fullmatch(r"[\w.-]+", part):
            raise Unsuitable("pattern")
    said = {"contains": "(with {p} in (the|their) name|whose name contains {p}|that have {p} in the name)",
            "starts": "(starting with {p}|that start with {p}|whose name starts with {p}|beginning with {p})",
            "ends": "(ending in {p}|that end with {p}|whose name ends in {p})"}[how]
    pattern = {"contains": f"*{part}*", "starts": f"{part}*", "ends": f"*{part}"}[how]
    return act(rng, f"""
        <del> <all> files <w> {said}
        find and (delete|remove) (all|the|) files <w> {said}
        (all|the) files <w> {said} can go
        clean up (the|) files <w> {said}
        <del> everything <w> {said} (, files only|)
        I don't need the files <w> {said}, (delete|remove) them
        """, f"find {below(folder)} -type f -name '{pattern}' -delete", f"delete the files named {pattern}", w=where,
        p=part, **slots)


@schema("file.remove_two_kinds", "find", weight=0.7)
def two_kinds(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    found = sorted({ext for ext in world.extensions("" if folder == "." else folder) if re.fullmatch(r"\w{1,5}", ext)})
    if len(found) < 2:
        raise Unsuitable("one kind")
    a, b = rng.sample(found, 2)
    return act(rng, """
        <del> <all> {x} and {y} files <w>
        <del> <all> files <w> ending in {x} or {y}
        (all|the) {x} and {y} files <w> can go
        find and (delete|remove) {x} and {y} files <w>
        clean up the {x} and {y} files <w>
        <del> files <w> with the (extension|ending) {x} or {y}
        """, f"find {below(folder)} -type f \\( -name '*.{a}' -o -name '*.{b}' \\) -delete",
        f"delete the .{a} and .{b} files", w=where, x=rng.choice((a, f".{a}", f"*.{a}")),
        y=rng.choice((b, f".{b}", f"*.{b}")), **slots)


@schema("dir.remove_named", "find", weight=0.9)
def dirs_named(world: World, rng: random.Random) -> Draft:
    name = rng.choice(("node_modules", ".cache", "build", "tmp", "dist", ".idea", stem(rng), stem(rng)))
    if any(path.split("/")[-1] == name for path in world.entries):
        raise Unsuitable("taken")
    for folder in ["", *(f"{path}/" for path in world.dirs())][: rng.randint(2, 3)]:
        world.add_file(f"{folder}{name}/" + world.new_name(), world.text(1))
    return act(rng, """
        <del> (all|every one of the|all the) {d} <dirs> (here and below|recursively|in the whole tree|everywhere)
        <del> (all|) <dirs> (called|named) {d} (, wherever they are|, recursively|in the whole tree|anywhere under here)
        find (all|every) <dirs> (called|named) {d} and (delete|remove) them
        clean (up|out) (all|the) {d} <dirs> (in this project|recursively|below this folder)
        (all|every) {d} <dirs> in this (project|tree) can go
        rm -r every {d} (below here|in this tree)
        there are {d} <dirs> everywhere, (delete|remove) (all of|) them
        """.replace("(all|every) <dirs>", "all <dirs>").replace("(all|every) {d}", "all {d}"),
        f"find . -type d -name {quoted(name)} -exec rm -r {{}} +", f"delete the {name} folders", d=name)


@schema("link.remove_broken", "find", weight=0.7)
def broken(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    prefix = "" if folder == "." else folder + "/"
    for _ in range(rng.randint(1, 3)):
        world.add_link(prefix + world.new_name("file"), names.word(rng) + ".gone")
    return act(rng, """
        <del> (all|all the|the) (broken|dangling|dead) (symlinks|symbolic links|links) <w>
        find and (delete|remove) (broken|dangling|dead) (symlinks|links) <w>
        clean up (the|) (broken|dangling) (symlinks|links) <w>
        (broken|dangling|dead) (symlinks|links) <w> can go
        <del> (symlinks|links) <w> (that point nowhere|whose target is gone|that lead nowhere)
        """, f"find {below(folder)} -xtype l -delete", "delete the broken links", w=where, **slots)


@schema("link.remove", "rm", weight=0.6)
def unlink(world: World, rng: random.Random) -> Draft:
    name = rng.choice(("latest", "current", stem(rng), world.new_name()))
    if name in world.entries:
        raise Unsuitable("taken")
    world.add_link(name, rng.choice([*world.files(), *world.dirs()]))
    return act(rng, """
        <del> (the symlink|the link|the symbolic link) {l} (, not its target|but not what it points to|)
        unlink {l}
        <del> (only|just) the (link|symlink) {l}, the target stays
        the (symlink|link) {l} can go
        I don't need the (link|symlink) {l} (any more|anymore), (delete|remove) it
        {l} is a (symlink|link), (delete|remove) it (but keep the target|)
        """, f"rm {quoted(name)}", f"delete the link {name}", l=name)


@schema("file.remove_listed", "xargs rm", weight=0.8)
def listed(world: World, rng: random.Random) -> Draft:
    files = inside(world, "")
    if len(files) < 3:
        raise Unsuitable("too few")
    path = world.new_name("file", rng.choice(("txt", "lst")))
    world.add_file(path, "\n".join(rng.sample(files, rng.randint(2, len(files) - 1))) + "\n")
    return act(rng, """
        <del> (all|all the|the) files (listed|named) in {f}
        <del> every file whose name (stands|is) in {f}
        {f} (lists|names|holds the names of) files (to delete|that can go), one per line: (delete|remove) them
        (delete|remove) what {f} lists
        use xargs to (delete|remove) (the|all) files (listed|named) in {f}
        for (each|every) line of {f}, (delete|remove) the file of that name
        rm (all|the) files in the list {f}
        """, f"xargs -d '\\n' rm < {quoted(path)}", f"delete what {path} lists", f=path)


@schema("file.remove_numbered", "rm", weight=0.6)
def numbered(world: World, rng: random.Random) -> Draft:
    base, ext = stem(rng), rng.choice(("txt", "log", "dat", "csv", "tmp"))
    total = rng.randint(5, 10)
    for number in range(1, total + 1):
        world.add_file(f"{base}{number}.{ext}", world.text(1))
    a = rng.randint(1, total - 2)
    b = rng.randint(a + 1, total)
    return act(rng, """
        <del> {x} (to|through|up to) {y}
        <del> (the|) files {x} (to|through) {y}
        rm {x} (to|through|..) {y}
        {x} (to|through) {y} can go
        use brace expansion to (delete|remove) {x} to {y}
        (delete|remove) the numbers {a} to {b} of the {n} files ({x} ...)
        """.replace("({x} ...)", ", {x} and so on"), f"rm {base}{{{a}..{b}}}.{ext}", f"delete {base}{a} to {base}{b}",
        x=f"{base}{a}.{ext}", y=f"{base}{b}.{ext}",
        a=a, b=b, n=base)


@schema("file.remove_if_there", "rm", weight=0.6)
def if_there(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return act(rng, """
        <del> {f} if it exists
        <del> {f} (without asking|, no questions asked|by force)
        if {f} exists, (delete|remove) it
        rm -f {f}
        (delete|remove) {f}, (and|) (don't|do not) complain if it is (missing|gone|not there)
        make sure (that|) {f} is gone
        force (deletion|removal) of {f}
        """, f"rm -f {quoted(name)}", f"delete {name}", f=name)


@schema("file.keep_newest", "ls tail xargs rm", weight=0.7)
def keep_newest(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng, 3)
    if any(path.startswith(folder + "/") for path in world.dirs()):
        raise Unsuitable("folders")
    n = rng.choice((1, 2, 2, 3, 5))
    if len(inside(world, folder)) <= n:
        raise Unsuitable("too few")
    m = amount(rng, n) if n > 1 else ""
    files = "files" if n > 1 else "file"
    return act(rng, f"""
        keep (only|) the {{n}} (newest|latest|most recent) {files} in {{d}} and (delete|remove) the (rest|others)
        <del> all but the {{n}} (newest|latest|most recent) {files} in {{d}}
        <del> (all|the) files in {{d}} except the {{n}} (newest|latest|most recently modified)
        {{d}} should keep only (its|the) {{n}} (newest|latest) {files}
        (rotate|clean up) {{d}}: keep the {{n}} (newest|latest) {files}
        in {{d}} only the {{n}} most recent {files} should stay
        """, f"ls -t {quoted(folder)}/* | tail -n +{n + 1} | xargs -d '\\n' rm", f"delete all but the {n} newest",
        d=folder, n=m)
