"""How much space files and folders take, which take most, and how much is left."""

from __future__ import annotations

import random
from typing import Any

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import amount, ask, folder_of, inside, named, place
from nimllm.agent.gym.schemas.subjects import below, kind, scope, some_ext, volatile
from nimllm.agent.gym.worlds import World


@schema("size.ranking", "du sort", weight=1.4)
def ranking(world: World, rng: random.Random) -> Draft:
    """What takes the space: entries of a folder by size."""
    parents = [path for path in world.dirs() if any(other.startswith(path + "/") for other in world.entries)]
    folder = rng.choice(parents) if parents and rng.random() < 0.6 else "."
    w = "(in {folder}|inside {folder}|within {folder}|in the <dir> {folder})" if folder != "." else "<here>"
    slots = named(folder)
    stars = "*" if folder == "." else f"{quoted(folder)}/*"
    if not any(not path.rsplit("/", 1)[-1].startswith(".") for path in inside(world, folder)) and folder != ".":
        raise Unsuitable("hidden")
    if rng.random() < 0.5:
        n = rng.choice((1, 2, 3, 5, 10))
        m = amount(rng, n) if n > 1 else ""
        things = "(things|entries|items|files and folders)" if n > 1 else "(thing|entry|item)"
        return ask(rng, f"""
            what (takes|uses|needs) the most space <w>? (top|the) {{n}} {things} X
            <show> the {{n}} (largest|biggest) {things} <w>, <dirs> included, with sizes
            (largest|biggest) {{n}} {things} <w> by disk usage (, human readable|)
            the {{n}} {things} <w> that (take|use) the most (disk space|space), (largest first|biggest on top)
            use du to find the {{n}} (largest|biggest) {things} <w>
            (top|the top) {{n}} space (eaters|hogs|users) <w>
            """.replace("(take|use)", "take" if n > 1 else "takes").replace("? (top|the) {n} " + things + " X",
            f" , {{n}} {things} only?"),
            f"du -sh {stars} | sort -hr | head -n {n}", f"find the {n} largest entries", w=w, n=m, **slots)
    return ask(rng, """
        <show> the size of everything <w>, (largest|biggest) first
        disk usage (of everything|of each entry|per entry) <w> (, sorted|sorted by size|from largest to smallest)
        what (takes|uses|eats) (the|all the) space <w>? (sort by size|largest first|biggest on top)
        (files and folders|entries) <w> by (disk usage|size), (largest|biggest) first, with readable sizes
        <want> to see what (takes|uses) up space <w>, (sorted by size|largest first)
        du <w>, sorted (by size|with the largest first)
        sizes of (all|the) files and <dirs> <w>, (descending|largest first|in descending order)
        (why is {x} so large|where did the space go)? sizes of everything <w>, largest first
        """, f"du -sh {stars} | sort -hr", "rank the entries by size", w=w,
        x=folder if folder != "." else "this folder", **slots)


@schema("size.subfolders", "du sort", weight=1.0)
def subfolders(world: World, rng: random.Random) -> Draft:
    tops = [path for path in world.dirs() if "/" not in path and not path.startswith(".")]
    if len(tops) < 2:
        raise Unsuitable("too few")
    if rng.random() < 0.45:
        return ask(rng, """
            (which|what) (<dir>|subfolder) here is the (largest|biggest)?
            (which|what) <dir> (takes|uses) (the most|most) (disk|) space <here>?
            <show> the (largest|biggest) <dir> <here> (with its size|and its size|)
            (largest|biggest) (subfolder|<dir>) <here> (by disk usage|)
            <want> the <dir> that (takes|uses) the most space <here>
            use du to find the (largest|biggest) <dir> here
            """, "du -sh */ | sort -hr | head -n 1", "find the largest folder")
    return ask(rng, """
        <show> the size of (each|every) (<dir>|subfolder) <here>, (largest|biggest) first
        (rank|sort) the <dirs> here by (size|disk usage)
        <dirs> <here> by (size|disk usage), (largest|biggest) first
        disk usage (of|per) (each|every) <dir> <here>, sorted (by size|with the largest first|in descending order)
        which <dirs> (take|use) the most space <here>? (sorted|largest first)
        <want> the <subs> (ordered|sorted) by size, (largest|biggest) first
        """.replace("<want> the <subs> (ordered|sorted) by size, (largest|biggest) first",
        "<want> the <subs> sorted by size, with sizes, largest first")
        .replace("which <dirs> (take|use) the most space <here>? (sorted|largest first)",
        "how large are the <dirs> <here>? largest first"),
        "du -sh */ | sort -hr", "rank the folders by size")


@schema("size.depth", "du", weight=0.7)
def depth(world: World, rng: random.Random) -> Draft:
    folder, n = rng.choice([".", world.pick_dir()]), rng.choice((1, 1, 1, 2))
    w = "of {folder}" if folder != "." else "(here|of this <dir>|of the current <dir>)"
    levels = "(one level|1 level|only one level)" if n == 1 else "(two levels|2 levels)"
    return ask(rng, f"""
        disk usage <w>, {levels} deep (, human readable|)
        <show> the disk usage <w> down to {levels} (of <subs>|)
        du <w> with {levels} of depth (and readable sizes|)
        du <w>, max depth {n} (, human readable|)
        sizes of the <dirs> <w>, {levels} deep, with the total
        <want> the disk usage of each <dir> {levels} below <w>
        """.replace(f"<want> the disk usage of each <dir> {levels} below <w>", f"<want> du <w> limited to {levels}"),
        f"du -h --max-depth={n} {quoted(folder)}", "measure the folders",
        w=w, **named(folder))


@schema("size.kilobytes", "du", weight=0.8)
def kilobytes(world: World, rng: random.Random) -> Draft:
    name = world.pick_dir()
    form, unit = rng.choice((("-sk", "(in kilobytes|in KB|in K)"), ("-sk", "(in kilobytes|in KB)"), ("-sm",
        "(in megabytes|in MB|in M)")))
    return ask(rng, f"""
        how (large|big) is (the <dir>|) {{d}} {unit}?
        size of (the <dir>|) {{d}} {unit}
        <show> the (size|disk usage) of {{d}} {unit}
        how (much|many kilobytes of) space does {{d}} (take|use|need) {unit}?
        <want> the (total|) size of the <dir> {{d}} {unit}
        du of {{d}} {unit}
        """.replace("how (much|many kilobytes of) space", "how much space"), f"du {form} {quoted(name)}",
        f"measure {name}", d=name)


@schema("size.number_only", "du cut", weight=0.9)
def number_only(world: World, rng: random.Random) -> Draft:
    name = world.pick_dir()
    return ask(rng, """
        size of (the <dir>|) {d}, (only|just) the (number|size) (, human readable|)
        (just|only) the (human readable|) size of (the <dir>|) {d}, not its name
        how (large|big) is the <dir> {d}? (only|just) the size (, no name|)
        <show> (only|just) the (disk usage|size) of {d}, without the (name|path)
        <want> the (total|) size of {d} (like 4.0K|in human readable form) and nothing else
        du of {d} without the path
        """, f"du -sh {quoted(name)} | cut -f 1", f"measure {name}", "It is {output}.", d=name)


@schema("size.total_kind", "find awk", weight=1.0)
def total_kind(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    ext, what = "", "files"
    more: dict[str, Any] = {}
    if rng.random() < 0.7:
        ext = some_ext(world, rng, folder)
        what, more = kind(ext)
    elif not world.files(under="" if folder == "." else folder):
        raise Unsuitable("empty")
    name = f" -name '*.{ext}'" if ext else ""
    return ask(rng, """
        (total|combined|overall) size of (all|all the|the) <what> <w> (in bytes|, in bytes)
        how many bytes do (all|all the|the) <what> <w> (have|take|need) (together|in total|altogether)?
        (sum|add) up the (sizes|sizes in bytes) of (all|the) <what> <w>
        <show> the (total|summed) (size in bytes|number of bytes) of (all|the) <what> <w>
        <want> the total (size|number of bytes) of (all|the) <what> <w> (in bytes|)
        bytes in (all|the) <what> <w>, (total|summed|all together)
        what do (all|the) <what> <w> add up to, in bytes?
        """, f"find {below(folder)} -type f{name} -printf '%s\\n' | awk '{{s += $1}} END {{print s}}'",
        "add up the sizes", "They have {output} bytes.",
        w=where, what=what, **slots, **more)


@schema("size.total_du", "du tail", weight=0.7)
def total_du(world: World, rng: random.Random) -> Draft:
    found = sorted({path.rsplit(".", 1)[1] for path in inside(world, "") if "." in path[1:]})
    found = [ext for ext in found if ext.isalnum()]
    if not found:
        raise Unsuitable("no extension")
    ext = rng.choice(found)
    what, more = kind(ext)
    return ask(rng, """
        how much (disk|) space do the <what> here (use|take) together (, human readable|)?
        (disk usage|disk space) of all <what> here, (grand total only|only the total)
        use du to (get|show) the (grand|) total for <all> <what> (here|in this <dir>)
        du -ch of the <what> here, only the total (line|)
        <want> the (total|combined) disk usage of the <what> here
        (total|combined) disk (usage|space) of <all> <what> in this <dir>
        """, f"du -ch *.{ext} | tail -n 1", f"add up the .{ext} files", what=what, **more)


@schema("size.of_file", "du ls", weight=0.9)
def of_file(world: World, rng: random.Random) -> Draft:
    name = world.pick_file(min_lines=1)
    if rng.random() < 0.5:
        return ask(rng, """
            how much disk space does (the file|) {f} (use|take|occupy)?
            disk usage of (the file|) {f} (, human readable|)
            du of (the file|) {f} (with a readable size|)
            <show> the disk usage of (the file|) {f}
            <want> the (disk|) space that {f} (takes|uses) on disk
            space on disk of {f}
            """, f"du -h {quoted(name)}", f"measure {name}", f=name)
    return ask(rng, """
        size of {f} in (human readable form|a human readable form|readable units)
        (human readable|human-readable) size of {f}
        how (large|big) is {f}? (human readable|in K or M), with details
        <show> {f} with (details and a human readable size|a human readable size)
        ls of {f} with (a readable|a human readable) size
        details of {f}, size in K or M
        """, f"ls -lh {quoted(name)}", f"show {name} with its size", f=name)


@schema("size.largest_names", "find sort head cut", weight=1.2)
def largest_names(world: World, rng: random.Random) -> Draft:
    """The N largest or smallest of a tree, names or sizes and names, of one kind or all."""
    folder, where, slots = scope(world, rng)
    n, small = rng.choice((2, 3, 3, 4, 5, 5, 10)), rng.random() < 0.25
    ext, what = "", "files"
    more: dict[str, Any] = {}
    if rng.random() < 0.35:
        ext = some_ext(world, rng, folder, 2)
        what, more = kind(ext)
    files = world.files(ext or None, "" if folder == "." else folder)
    sizes = [len(world.entries[path].content) for path in files]
    if len(files) < 2 or len(set(sizes)) < len(sizes):
        raise Unsuitable("equal sizes")
    word = "smallest" if small else "(largest|biggest)"
    bare = rng.random() < 0.6
    how = "(names only|without the sizes|only the paths|just the names)"
    if not bare:
        how = "(with their sizes|with sizes in bytes|size first)"
    name = f" -name '*.{ext}'" if ext else ""
    command = f"find {below(folder)} -type f{name} -printf '%s %p\\n' | sort {'-n' if small else '-nr'} | head -n {n}"
    return ask(rng, f"""
        <show> the {{n}} {word} <what> <w>, {how}
        (which|what) are the {{n}} {word} <what> <w>? {how}
        {{n}} {word} <what> <w>, {how}
        (paths|names) of the {{n}} {word} <what> <w> {'' if bare else ', with sizes'}
        <want> the {{n}} {word} <what> <w>, {how}
        find the {{n}} {word} <what> <w>, {word} first, {how}
        top {{n}} <what> <w> by size {'(ascending|smallest first)' if small else ''}, {how}
        """, command + (" | cut -d ' ' -f 2-" if bare else ""), f"find the {n} {'smallest' if small else 'largest'}",
        None, True,
        w=where, what=what, n=amount(rng, n), **slots, **more)


@schema("size.average", "find awk", weight=0.4)
def average(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    if not world.files(under="" if folder == "." else folder):
        raise Unsuitable("empty")
    return ask(rng, """
        (average|mean) (file size|size of the files) <w> (in bytes|)
        what is the (average|mean) (file size|size of a file) <w> (in bytes|)?
        how large is a file <w> on average (in bytes|)?
        <show> the (average|mean) file size <w>
        compute the (average|mean) size of all files <w>
        """, f"find {below(folder)} -type f -printf '%s\\n' | awk '{{s += $1}} END {{print s / NR}}'",
        "compute the mean size", w=where, **slots)


@schema("size.table", "ls awk", weight=0.5)
def table(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng, 0.6, 2)
    stars = "" if folder == "." else f" {quoted(folder)}"
    return ask(rng, """
        from ls -l <w>, (print|show|keep) only (size and name|the size and the name) (with awk|using awk|)
        ls -l <w>, but only the (columns|fields) size and name
        use awk (on|with) ls -l <w> to (print|show) the name and nothing but the size before it
        """.replace("the name and nothing but the size before it",
        "size and name of every entry").replace("(with awk|using awk|)", "with awk"),
        f"ls -l{stars} | awk 'NR > 1 {{print $5, $9}}'", "show sizes and names", w=w, **slots)


@schema("system.disk", "df", weight=1.2)
def disk(world: World, rng: random.Random) -> Draft:
    command, plan, block = rng.choice((
        ("df -h", "show the file systems", """
            disk usage of all (file systems|filesystems|disks) (, human readable|)
            <show> (all|the) (mounted|) (file systems|filesystems) (with|and) (their|) (free space|usage)
            how full are (the|my) (disks|file systems|partitions)?
            df -h
            free space on (all|every one of the) (disks|partitions|file systems)
            """), ("df -h /", "show the root file system", """
            how much space is (left|free) on (/|the root file system|the root partition)?
            disk usage of (/|the root partition|the root file system)
            how full is (/|the root partition|the root file system)?
            <show> the free space (on|of) (/|the root partition)
            free space on / (, human readable|)
            """), ("df -i .", "show the free inodes", """
            how many inodes are (free|left|used) here?
            inode usage (here|of this file system|of the current <dir>)
            <show> the (free|used) inodes (here|of this disk)
            are we (running|) out of inodes (here|)?
            """), ("df --output=pcent . | tail -n 1", "show how full the disk is", """
            how full is (the|this) disk (here|)? (only|just) the percentage
            (percentage|percent) of the disk (that is|) (used|in use) (here|)
            disk usage (here|of this file system) in percent, just the number
            use df to (print|show) (only|just) the used percentage of this disk
            """), ("df -T .", "show the kind of file system", """
            (what|which) (kind|type) of (file system|filesystem) is this (folder|directory) on?
            (file system|filesystem) type (here|of the current <dir>)
            <show> the (file system|filesystem) type of this <dir>
            is this <dir> on ext4 or (something else|tmpfs)?
            """)))
    return volatile(ask(rng, block, command, plan))


@schema("size.folder_of_kind", "du", weight=0.6)
def with_dot(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        return ask(rng, """
            (total|) size of (this|the current) <dir>
            how (large|big) is (this|the current) <dir> (with everything in it|altogether|in total|)?
            how much space does (this|the current) <dir> (take|use|need)?
            disk usage of (this|the current) <dir>, (total|summary) only
            du of the (current|working) <dir>, only the total, human readable
            <want> the (total|) size of the <dir> (I am in|we are in)
            """, "du -sh .", "measure this folder")
    folder = folder_of(world, rng)
    return ask(rng, """
        (size|disk usage) of (each|every) (file and <dir>|entry) in {d}
        <show> how (large|big) each (entry|file) in {d} is (, <dirs> too|on disk)
        du (of|for) (each|every) entry (in|of) {d}, one line each
        how much space does (each|every) (entry|thing) in {d} (take|use)?
        <want> the disk usage of (each|every) entry in {d}
        """, f"du -sh {quoted(folder)}/*", "measure each entry", d=folder)
