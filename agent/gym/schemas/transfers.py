"""Copying and moving: several files, whole folders, by kind, by age, with care for what is there already."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import PurePosixPath

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import act, folder_of, inside, several_of
from nimllm.agent.gym.schemas.subjects import kind
from nimllm.agent.gym.worlds import DAY, NOW, World

_COPY = "(copy|cp|duplicate|put copies of)"


def _two_folders(world: World, rng: random.Random, least: int = 1) -> tuple[str, str]:
    """A folder with files and another one, neither within the other, no name in both."""
    source = folder_of(world, rng, least)
    others = [path for path in world.dirs() if not path.startswith(source) and not source.startswith(path)]
    target = rng.choice(others) if others and rng.random() < 0.8 else world.new_name("dir")
    if target.startswith(source) or source.startswith(target):
        raise Unsuitable("one within the other")
    world.add_dir(target)
    return source, target


def _extension(world: World, rng: random.Random, folder: str) -> str:
    found = [path.rsplit(".", 1)[1] for path in inside(world, folder) if "." in path.rsplit("/", 1)[-1][1:]]
    found = sorted({ext for ext in found if ext.isalnum()})
    if not found:
        raise Unsuitable("no extension")
    return rng.choice(found)


@schema("file.copy_several", "cp", weight=1.0)
def copy_several(world: World, rng: random.Random) -> Draft:
    return _several_into(world, rng, "cp", "copy")


@schema("file.move_several", "mv", weight=1.2)
def move_several(world: World, rng: random.Random) -> Draft:
    return _several_into(world, rng, "mv", "move")


def _several_into(world: World, rng: random.Random, program: str, verb: str) -> Draft:
    folder = world.pick_dir()
    found = [path for path in world.files() if not path.startswith(folder + "/")]
    if len(found) < 3:
        raise Unsuitable("too few")
    some = rng.sample(found, rng.choice((2, 2, 3)))
    if len({path.rsplit("/", 1)[-1] for path in some}) < len(some):
        raise Unsuitable("the same name")
    put = "(put|place)" if program == "mv" else "(put copies of|put a copy of each of)"
    return act(rng, f"""
        {verb} {{x}} (to|into) (the <dir>|) {{d}}
        {verb} (the files|these files:|) {{x}} (to|into) {{d}}
        {put} {{x}} (in|into) (the <dir>|) {{d}}
        {program} {{x}} {{d}}
        {{x}} (should|must) be {'moved' if program == 'mv' else 'copied'} (to|into) {{d}}
        <want> {{x}} {'moved' if program == 'mv' else 'copied'} (to|into) (the <dir>|) {{d}}
        (please|) {verb} {{x}} over to {{d}}
        """, f"{program} {quoted(*some)} {quoted(folder)}/", f"{verb} the files into {folder}", protected=some,
        x=several_of(rng, some), d=folder)


@schema("file.copy_all", "cp", weight=1.2)
def copy_all(world: World, rng: random.Random) -> Draft:
    source, target = _two_folders(world, rng)
    return act(rng, """
        copy (everything|all files|all the contents|the whole contents) (from|in|of) {s} (to|into) {d}
        copy the contents of (the <dir>|) {s} (to|into) (the <dir>|) {d}
        cp -r {s}/* {d}
        (everything|all) (that is|) in {s} should (also be|be copied|be duplicated) (in|to|into) {d}
        put (a copy|copies) of everything in {s} (in|into) {d}
        <want> (all of|the contents of) {s} copied (to|into) {d} (, subfolders too|)
        duplicate (the contents|what is inside) of {s} in {d}
        (all|) contents of {s} -> copy to {d}
        """.replace("(also be|be copied|be duplicated) (in|to|into)", "be copied (to|into)").replace("(the contents|"
        "what is inside) of", "the contents of"),
        f"cp -r {quoted(source)}/* {quoted(target)}/", f"copy everything from {source} to {target}", s=source, d=target)


@schema("file.move_all", "mv", weight=1.2)
def move_all(world: World, rng: random.Random) -> Draft:
    source, target = _two_folders(world, rng)
    if rng.random() < 0.25:
        target = str(PurePosixPath(source).parent)
        d = "(the parent <dir>|the <dir> above)" if target != "." else "(the current <dir>|this <dir>|the top <dir>)"
        to = f"{quoted(target)}/" if target != "." else "."
        prefix = "" if target == "." else target + "/"
        if any(prefix + path.rsplit("/", 1)[-1] in world.entries for path in inside(world, source)):
            raise Unsuitable("taken")
        return act(rng, f"""
            move everything (from|in) {{s}} to {d}
            move (all files|the contents) of {{s}} to {d}
            mv everything (in|from) {{s}} to {d}
            (all|everything) in {{s}} should (go|be moved) to {d}
            """.replace("to (the parent <dir>|one level up|the <dir> above)",
            "to (the parent <dir>|the <dir> above)").replace("to (here|", "to ("),
            f"mv {quoted(source)}/* {to}", f"move everything out of {source}", s=source)
    return act(rng, """
        move (everything|all files|all the contents|the whole contents) (from|in|of) {s} (to|into) {d}
        move the contents of (the <dir>|) {s} (to|into) (the <dir>|) {d}
        mv {s}/* {d}
        (everything|all) in {s} (should|must) (go|be moved|move) (to|into) {d}
        put everything (from|that is in) {s} into {d}
        <want> the contents of {s} moved (to|into) {d}
        relocate the contents of {s} to {d}
        (empty|clear) {s} into {d}
        """.replace("(empty|clear) {s} into {d}", "shift everything from {s} (over|) to {d}"),
        f"mv {quoted(source)}/* {quoted(target)}/", f"move everything from {source} to {target}", s=source, d=target)


@schema("file.transfer_extension", "mv cp", weight=1.4)
def transfer_extension(world: World, rng: random.Random) -> Draft:
    """All of one kind from one folder to another."""
    source, target = _two_folders(world, rng)
    ext = _extension(world, rng, source)
    what, slots = kind(ext)
    program, verb = rng.choice((("mv", "move"), ("cp", "copy")))
    past = "moved" if program == "mv" else "copied"
    return act(rng, f"""
        {verb} <all> <what> (from|in) (the <dir>|) {{s}} (to|into) (the <dir>|) {{d}}
        {verb} {{s}}/{{star}} (to|into) {{d}}
        {program} {{s}}/{{star}} {{d}}
        <all> <what> in {{s}} should be {past} (to|into) {{d}}
        <want> the <what> (of|in|from) {{s}} {past} to {{d}}
        from {{s}} to {{d}}: {verb} (all|) <what>
        {verb} (only|just) the <what> from {{s}} (over|) to {{d}}
        take the <what> (in|from) {{s}} and {verb} them (to|into) {{d}}
        """, f"{program} {quoted(source)}/*.{ext} {quoted(target)}/",
        f"{verb} the .{ext} files from {source} to {target}", what=what, s=source,
        d=target, **slots)


@schema("file.transfer_tree", "find", weight=1.0)
def transfer_tree(world: World, rng: random.Random) -> Draft:
    """One kind from a whole tree, flat into a folder."""
    source, target = _two_folders(world, rng)
    ext = _extension(world, rng, source)
    if any(path.startswith(target + "/") for path in world.files()):
        raise Unsuitable("not empty")
    what, slots = kind(ext)
    program, verb = rng.choice((("mv", "move"), ("cp", "copy")))
    return act(rng, f"""
        {verb} <all> <what> (below|under|anywhere in|anywhere below) {{s}} (to|into) {{d}}
        find <all> <what> (below|under|in) {{s}} and {verb} them (to|into) {{d}}
        {verb} <all> <what> (from|in) {{s}} <rec> into {{d}}
        (collect|gather) {'copies of ' if program == 'cp' else ''}<all> <what> (below|under) {{s}} in {{d}}
        use find to {verb} the <what> (below|under) {{s}} into {{d}}
        every one of the <what> in the tree {{s}} should be {'copied' if program == 'cp' else 'moved'} into {{d}}
        """.replace("also be", "be"),
        f"find {quoted(source)} -type f -name '*.{ext}' -exec {program} -t {quoted(target)} {{}} +",
        f"{verb} the .{ext} files into {target}", what=what, s=source, d=target, **slots)


@schema("dir.move", "mv", weight=1.2)
def move_dir(world: World, rng: random.Random) -> Draft:
    source, target = _two_folders(world, rng, 0)
    if f"{target}/{source.rsplit('/', 1)[-1]}" in world.entries:
        raise Unsuitable("taken")
    program, verb, past = rng.choice((("mv", "move", "moved"), ("mv", "move", "moved"), ("cp -r", "copy", "copied")))
    return act(rng, f"""
        {verb} the (whole|entire|) <dir> {{s}} (to|into|inside) (the <dir>|) {{d}}
        {verb} {{s}} (with everything in it|and everything in it|as a whole) into {{d}}
        {program} {{s}} {{d}}/
        the <dir> {{s}} should be {past} into {{d}}
        <want> (the <dir>|) {{s}} {past} into {{d}} (, as a subfolder|)
        put {'a copy of ' if verb == 'copy' else ''}the <dir> {{s}} (into|inside) {{d}}
        make {{s}} a subfolder of {{d}} X
        """.replace("make {s} a subfolder of {d} X",
        "make {s} a (subfolder|subdirectory) of {d}" if verb == "move" else "duplicate the <dir> {s} inside {d}"),
        f"{program} {quoted(source)} {quoted(target)}/", f"{verb} {source} into {target}", s=source, d=target)


@schema("file.copy_new_folder", "mkdir cp mv", weight=1.0)
def new_folder(world: World, rng: random.Random) -> Draft:
    source, folder = world.pick_file(), world.new_name("dir")
    program, verb = rng.choice((("cp", "copy"), ("mv", "move")))
    return act(rng, f"""
        {verb} {{f}} (to|into) a new <dir> (called|named|) {{d}}
        (create|make) (the <dir>|a <dir>|) {{d}} and {verb} {{f}} (there|into it)
        {verb} {{f}} into {{d}}, (create|make) the <dir> if (needed|necessary|it is missing)
        {verb} {{f}} into the <dir> {{d}}, which (does not exist|is not there) yet
        (make|create) a new <dir> {{d}} and {verb} {{f}} (into it|there)
        new <dir> {{d}}, then {verb} {{f}} (into it|there)
        """, f"mkdir -p {quoted(folder)} && {program} {quoted(source)} {quoted(folder)}/",
        f"{verb} {source} into the new folder {folder}", f=source,
        d=folder)


@schema("file.copy_as", "cp mv", weight=1.2)
def transfer_as(world: World, rng: random.Random) -> Draft:
    """Into a folder under another name."""
    source, folder = world.pick_file(), world.pick_dir()
    name = world.new_name("file", PurePosixPath(source).suffix[1:] or None)
    program, verb, past = rng.choice((("cp", "copy", "copied"), ("mv", "move", "moved")))
    return act(rng, f"""
        {verb} {{f}} (to|into) {{d}} (as|under the name|with the new name) {{t}}
        {verb} {{f}} (to|into) (the <dir>|) {{d}} and (call|name) it {{t}}
        {program} {{f}} {{x}}
        {verb} {{f}} to {{x}}
        <want> {{f}} {past} (to|into) {{d}} (as|under the name) {{t}}
        {{f}} should {'also be' if program == 'cp' else 'be'} in {{d}}, (called|named|as) {{t}}
        {verb} {{f}} into {{d}}, (renaming|and rename) it to {{t}}
        """.replace("(renaming|and rename) it to", "(renamed to|and name it)"),
        f"{program} {quoted(source)} {quoted(f'{folder}/{name}')}",
        f"{verb} {source} to {folder}/{name}", f=source, d=folder, t=name, x=f"{folder}/{name}")


@schema("file.copy_preserve", "cp", weight=0.8)
def preserve(world: World, rng: random.Random) -> Draft:
    source = world.pick_file()
    world.entries[source].mode = rng.choice((0o600, 0o640, 0o755, 0o644))
    target = world.new_name("file", PurePosixPath(source).suffix[1:] or None)
    return replace(act(rng, """
        copy {s} to {t} and (keep|preserve) (the|) (times|timestamps|time and permissions|mode and timestamps)
        copy {s} to {t}, (keeping|preserving) (the modification time|timestamps|the timestamp|its date)
        cp {s} {t} with (the same|unchanged) (timestamps|modification time and mode)
        <want> a copy {t} of {s} (with|that keeps) (the original|the same) (timestamp|date|modification time)
        cp -p {s} {t}
        duplicate {s} as {t}, (timestamps|dates) (preserved|should stay)
        """.replace("(timestamps|dates) (preserved|should stay)",
        "(timestamps preserved|the date should stay the same)"), f"cp -p {quoted(source, target)}",
        f"copy {source} to {target}, keeping its time", s=source, t=target), times=(target,))


@schema("dir.copy_archive", "cp", weight=0.7)
def archive(world: World, rng: random.Random) -> Draft:
    source, target = folder_of(world, rng), world.new_name("dir")
    return act(rng, """
        copy the <dir> {s} to {t} (and keep|, keeping|, preserving) (permissions and times|all attributes)
        copy {s} to {t} in archive mode
        cp -a {s} {t}
        <want> an exact copy of (the <dir>|) {s} (called|named|as) {t} (, attributes included|)
        (mirror|clone) (the <dir>|) {s} (to|as) {t}, (attributes included|preserving attributes|with all attributes)
        back up {s} to {t} with (permissions|times and permissions|all attributes)
        """, f"cp -a {quoted(source, target)}", f"copy {source} to {target} with its attributes", s=source, t=target)


@schema("file.copy_no_clobber", "cp", weight=0.5)
def no_clobber(world: World, rng: random.Random) -> Draft:
    source, target = _two_folders(world, rng, 2)
    one = rng.choice(inside(world, source)).rsplit("/", 1)[-1]
    world.add_file(f"{target}/{one}", world.text(1))
    return act(rng, """
        copy (all|the) files (from|in) {s} to {d} without overwriting (existing files|what is there)
        copy the contents of {s} (to|into) {d}, (skip|leave) files that (exist already|are already there)
        copy (from|everything in) {s} (to|into) {d} only what is (missing|not there yet)
        cp -n {s}/* (to|into) {d}
        <want> everything (from|in) {s} in {d}, existing files (must|should) (stay|not be overwritten)
        """.replace("copy (from|everything in) {s} (to|into) {d} only what is (missing|not there yet)",
        "copy from {s} to {d} only what is (missing|not there yet)")
        .replace("cp -n {s}/* (to|into) {d}", "cp {s}/* to {d} with no-clobber"),
        f"cp -rn {quoted(source)}/* {quoted(target)}/",
        f"copy what {target} lacks", s=source, d=target)


@schema("dir.update", "cp", weight=0.7)
def update(world: World, rng: random.Random) -> Draft:
    source, target = _two_folders(world, rng, 2)
    if any(path.startswith(target + "/") for path in world.files()):
        raise Unsuitable("not empty")
    old = rng.choice(inside(world, source))
    world.add_file(f"{target}/{old.rsplit('/', 1)[-1]}", world.text(1),
        mtime=world.entries[old].mtime + rng.choice((-DAY, DAY)))
    return act(rng, """
        copy (only|) (newer|updated|changed) files from {s} to {d}
        (update|refresh) {d} (with|from) (newer|) files (from|of) {s}
        copy from {s} to {d} what is newer (or missing|there or missing) (in {s}|)
        sync {s} into {d}, (only newer or missing files|copying only what is newer|with cp)
        bring {d} up to date with {s}
        cp -ru {s}/. {d}
        (synchronise|synchronize|sync) {d} with (the files of|) {s} (, newer files win|: only newer or missing files)
        """.replace("what is newer (or missing|there or missing) (in {s}|)",
        "what is newer or missing").replace("(with|from) (newer|) files (from|of)", "with newer files from"),
        f"cp -ru {quoted(source)}/. {quoted(target)}/", f"update {target} from {source}", s=source, d=target)


@schema("file.move_old", "find", weight=0.8)
def move_old(world: World, rng: random.Random) -> Draft:
    world.recent = True
    target, n = world.new_name("dir"), rng.choice((1, 7, 14, 30, 60, 90, 365, rng.randint(2, 100)))
    big = rng.random() < 0.4
    if big:
        n = rng.choice((50, 100, 200, 500))
        if not any(len(world.entries[path].content) > n for path in inside(world, "")):
            raise Unsuitable("none so large")
    elif not any((NOW - world.entries[path].mtime) // DAY > n for path in inside(world, "")):
        raise Unsuitable("none so old")
    world.add_dir(target)
    program, verb = rng.choice((("mv", "move"), ("mv", "move"), ("cp", "copy")))
    test, how = (f"-size +{n}c", "(larger than|bigger than|over) {n} bytes") if big else (f"-mtime +{n}",
        "(older than {n} days|not changed for more than {n} days|last "
        "modified more than {n} days ago)")
    return act(rng, f"""
        {verb} (all|the|all the) files (here|in this folder) (that are|) {how} (to|into) {{d}} <flat>
        {verb} files {how} (to|into) (the <dir>|) {{d}} <flat>
        files {how} (belong|should go) (in|into) {{d}} <flat>
        find (the|) files {how} here and {verb} them (to|into) {{d}} <flat>
        (archive|put away) files {how} X {{d}} <flat>
        """.replace("(archive|put away) files", f"{verb} every file").replace(" X ",
        " (to|into) ").replace("that are|) (not", "|) (not")
        .replace("files {how} (belong", "files {how} (belong").replace("(belong|should go) (in|into)",
        "(belong into|should go to)" if program == "mv" else "(should be copied to|need a copy in)"),
        f"find . -maxdepth 1 -type f {test} -exec {program} -t {quoted(target)} {{}} +",
        f"{verb} those files into {target}", d=target, n=n)


@schema("file.swap", "mv", weight=0.6)
def swap(world: World, rng: random.Random) -> Draft:
    found = [path for path in world.files() if "/" not in path]
    if len(found) < 2 or "tmp" in world.entries:
        raise Unsuitable("too few")
    a, b = rng.sample(found, 2)
    return act(rng, """
        swap {a} and {b}
        (exchange|swap) the (names|contents) of {a} and {b}
        {a} should become {b} and (the other way round|vice versa)
        (exchange|swap) the (two|) files {a} and {b}
        rename {a} to {b} and {b} to {a}
        switch {a} with {b}
        """, f"mv {quoted(a)} tmp && mv {quoted(b, a)} && mv tmp {quoted(b)}", f"swap {a} and {b}", a=a, b=b)


@schema("file.flatten", "find", weight=0.6)
def flatten(world: World, rng: random.Random) -> Draft:
    source = world.new_name("dir")
    for _ in range(rng.randint(2, 4)):
        world.add_file(f"{source}/{world.new_name('dir')}/{world.new_name()}", world.text(1))
    return act(rng, """
        flatten (the <dir>|) {d}: move all files (from|out of) (its|the) subfolders (directly|) into {d} (itself|)
        move (all|the) files (in|from) (all|the|) <subs> of {d} (up|directly|) into {d} (itself|)
        (everything|all files) in the subfolders of {d} should (lie|go) directly in {d}
        pull (all|the) files (out of|from) the subfolders of {d} up into {d}
        use find to move all files of deeper levels up into {d}
        """.replace("of deeper levels", "from the subfolders of {d}"),
        f"find {quoted(source)} -mindepth 2 -type f -exec mv -t {quoted(source)} {{}} +",
        f"move all files up into {source}", d=source)


@schema("file.backup_in_place", "cp", weight=1.0)
def backup(world: World, rng: random.Random) -> Draft:
    source = world.pick_file()
    suffix = rng.choice((".bak", ".bak", ".orig", ".old", ".backup", "~", ".save", f".{rng.randint(1, 9)}"))
    return act(rng, """
        back up {f} (as|to) {t}
        (make|keep|save) a backup of {f} (with the suffix|ending in|with suffix|with) {x}
        copy {f} to the same name (plus|with) {x} (at the end|appended|)
        <want> a backup {t} before I (edit|change|touch) {f}
        before I change {f}, (keep|save) a copy (as|in) {t}
        (make|create) a {x} (copy|backup) of {f}
        save {f} as {t} first
        backup {f} {x}
        """.replace("backup {f} {x}", "backup copy of {f}: {t}"), f"cp {quoted(source, source + suffix)}",
        f"copy {source} to {source}{suffix}",
        f=source, t=source + suffix, x=suffix)


@schema("file.install_over", "cp mv", weight=0.6)
def over(world: World, rng: random.Random) -> Draft:
    found = world.files()
    if len(found) < 2:
        raise Unsuitable("too few")
    a, b = rng.sample(found, 2)
    program, verb = rng.choice((("cp", "copy"), ("mv", "move")))
    gone = "" if program == "cp" else "(, {a} goes away|, {a} is gone afterwards)"
    return act(rng, f"""
        {verb} {{a}} over {{b}}
        (overwrite|replace) {{b}} (with|by) {'a copy of ' if program == 'cp' else ''}{{a}} {gone}
        {verb} {{a}} to {{b}}, overwriting (it|what is there)
        {verb} {{a}} onto {{b}}
        {program} {{a}} over {{b}} (, overwrite|)
        """, f"{program} {quoted(a, b)}", f"{verb} {a} over {b}", a=a, b=b)
