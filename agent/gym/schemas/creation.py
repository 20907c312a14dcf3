"""Making files, folders, links and small scripts, singly and in series."""

from __future__ import annotations

import random
from dataclasses import replace

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.registers import act, amount, folder_of, several_of, stem
from nimllm.agent.gym.worlds import World

_EXTENSIONS = ("txt", "txt", "md", "log", "csv", "py", "json", "dat", "html", "sh")


def _free(world: World, *paths: str) -> None:
    if any(path in world.entries for path in paths) or len(set(paths)) < len(paths):
        raise Unsuitable("taken")


@schema("file.create_in", "touch", weight=1.2)
def create_in(world: World, rng: random.Random) -> Draft:
    folder, name = world.pick_dir(), world.new_name()
    return act(rng, """
        (create|make|add) (an empty|a new|the) file (called|named|) {f} (in|inside|in the folder|in the directory) {d}
        (in|inside) {d}, (create|make|add) (an empty file|a file|the file) (called|named|) {f}
        put (an empty|a new empty) file (called|named|) {f} (in|into) {d}
        touch {f} in {d}
        {d} needs (an empty|a new) file (called|named|) {f}
        add {f} to (the <dir>|) {d} (as an empty file|, empty)
        <want> (an empty|a blank) file {f} in (the <dir>|) {d}
        new (empty|blank|) file {f} in {d}
        """, f"touch {quoted(f'{folder}/{name}')}", f"create {name} in {folder}", f=name, d=folder)


@schema("file.create_range", "touch", weight=1.2)
def create_range(world: World, rng: random.Random) -> Draft:
    base, ext, a = stem(rng), rng.choice((*_EXTENSIONS, "")), rng.choice((1, 1, 1, 1, 0, rng.randint(2, 20)))
    b = a + rng.randint(2, 11)
    padded = rng.random() < 0.25 and b < 100
    dot, gap = f".{ext}" if ext else "", rng.choice(("", "", "_", "-"))
    first, last = (f"{a:02d}", f"{b:02d}") if padded else (str(a), str(b))
    folder = world.pick_dir() if world.dirs() and rng.random() < 0.3 else ""
    if " " in folder:
        raise Unsuitable("a blank")
    prefix = f"{folder}/" if folder else ""
    place = f"in {folder} " if folder else ""
    return act(rng, """
        (create|make|add) (the|) (empty|) files {x} (to|through|up to) {y} {place}
        (create|make) {n} (empty|) files {place}(called|named|:) {x} (to|through|..) {y}
        touch {x} (to|through|up to) {y} {place}
        <want> (empty|) files {x}, {z}, ... (up|) (to|until) {y} {place}
        (create|make) (empty files|files) {place}from {x} to {y}
        {n} empty files {place}: {x} ... {y}
        use brace expansion to (create|make) {x} to {y} {place}
        (create|make) {x} through {y} {place}(in one go|with one command|)
        empty files {x} till {y} {place}please
        """, f"touch {prefix}{base}{gap}{{{first}..{last}}}{dot}", f"create {base}{gap}{first} to {base}{gap}{last}",
        protected=(base,), x=f"{base}{gap}{first}{dot}", y=f"{base}{gap}{last}{dot}",
        z=f"{base}{gap}{a + 1:0{len(first)}d}{dot}",
        n=amount(rng, b - a + 1), place=place)


@schema("dir.create_range", "mkdir", weight=0.9)
def folder_range(world: World, rng: random.Random) -> Draft:
    base, a = stem(rng), rng.choice((1, 1, 1, 0, rng.randint(2, 20)))
    b, gap, padded = a + rng.randint(2, 11), rng.choice(("", "", "_", "-")), rng.random() < 0.3
    first, last = (f"{a:02d}", f"{b:02d}") if padded else (str(a), str(b))
    return act(rng, """
        (create|make|add) (the|) <dirs> {x} (to|through|up to) {y}
        mkdir {x} (to|through|..) {y}
        (create|make|set up) {n} <dirs> (called|named|:) {x} (to|through|until) {y}
        <want> (the|) <dirs> {x}, {z}, ... {y}
        <dirs> {x} till {y} please
        use brace expansion to make <dirs> {x} to {y}
        one <dir> per number from {a} to {b}: {x} ... {y}
        """, f"mkdir {base}{gap}{{{first}..{last}}}", f"create the folders {base}{gap}{first} to {last}",
        protected=(base,),
        x=f"{base}{gap}{first}", y=f"{base}{gap}{last}", z=f"{base}{gap}{a + 1:0{len(first)}d}", a=a, b=b, n=amount(rng,
        b - a + 1))


@schema("dir.create_below", "mkdir", weight=1.2)
def folders_below(world: World, rng: random.Random) -> Draft:
    """A folder with several subfolders, by brace expansion."""
    top = stem(rng)
    parts = [names.word(rng) for _ in range(rng.randint(2, 4))]
    _free(world, top, *parts)
    return act(rng, """
        (create|make|set up) (a|the) <dir> {d} with (the|) (subfolders|subdirectories|folders) {x}
        (create|make) {d} and (in it|inside it|below it) (the|) <dirs> {x}
        (create|make) (the|) <subs> {x} (in|inside|under) (a new <dir>|) {d}
        mkdir {d} with {x} (inside|in it|below)
        <want> a project <dir> {d} (containing|with) {x}
        {d} with subfolders {x}, please create
        new <dir> {d} (holding|with) {n} <subs>: {x}
        set up the (structure|layout) {d} with {x} inside
        """, f"mkdir -p {top}/{{{','.join(parts)}}}", f"create {top} with its subfolders", protected=parts, d=top,
        x=several_of(rng, parts), n=amount(rng, len(parts)))


@schema("dir.create_parents", "mkdir", weight=1.3)
def parents(world: World, rng: random.Random) -> Draft:
    path = "/".join([world.new_name("dir"), *(stem(rng) for _ in range(rng.randint(1, 3)))])
    if world.dirs() and rng.random() < 0.3:
        path = f"{world.pick_dir()}/{path}"
    return act(rng, """
        (create|make) (the|) <dir> {d} (and any missing parents|, including missing parents|with all parent <dirs>)
        make sure (the <dir>|) {d} exists
        (create|make) {d} (if it does not exist|if it is not there|if missing|unless it exists)
        mkdir {d} (and its parents|with parents|, nested)
        <want> the (nested|) <dir> (path|) {d}
        (create|make) (all|) (the|) <dirs> (of|in|along) the path {d}
        the <dir> {d} should exist
        set up {d} (, creating parents as needed|and every <dir> above it)
        deep <dir> {d}, all levels at once
        """, f"mkdir -p {quoted(path)}", f"create the folders {path}", d=path)


@schema("file.create_with_folder", "mkdir touch", weight=0.9)
def with_folder(world: World, rng: random.Random) -> Draft:
    folder, name = world.new_name("dir"), world.new_name()
    if rng.random() < 0.4:
        folder += "/" + stem(rng)
    return act(rng, """
        (create|make) (a|the) (new|) <dir> {d} (with|containing) (an|the|) empty file {f} (in it|inside|)
        (create|make) {d} and (put|create) (an empty|the empty|a blank) {f} (in it|inside|in there)
        (create|make) an empty {f} in a new <dir> {d}
        mkdir {d} and touch {f} (in it|inside it|there)
        <want> a <dir> {d} with an empty {f}
        new <dir> {d}, with an empty file {f}
        set up {d} with an empty {f}
        """, f"mkdir -p {quoted(folder)} && touch {quoted(f'{folder}/{name}')}", f"create {folder} with {name}",
        d=folder, f=name)


@schema("dir.create_from_list", "xargs mkdir", weight=0.7)
def from_list(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "lst")))
    items = list(dict.fromkeys(names.word(rng) for _ in range(rng.randint(3, 6))))
    _free(world, *items)
    world.add_file(path, "\n".join(items) + "\n")
    program, noun, one = rng.choice((("mkdir", "<dirs>", "<dir>"), ("touch", "(empty files|files)",
        "(empty file|file)")))
    return act(rng, f"""
        (create|make) (a|one) {one} for (each|every) (line|name|entry) (of|in) {{f}}
        (create|make) (the|all|all the) {noun} (listed|named) in {{f}}
        {{f}} (lists|holds|contains) names (of {noun}|), (create|make) (them|all of them) as {noun}
        for (each|every) (line|name) in {{f}} (create|make) a {one} (of that name|with that name)
        one {one} per line of {{f}}
        use xargs to (create|make) the {noun} (from|named in) {{f}}
        <want> a {one} for every name in {{f}}
        {program} every (line|name) of {{f}} with xargs
        """, f"xargs {program} < {quoted(path)}", f"create what {path} lists", f=path)


@schema("file.write_lines", "printf", weight=1.5)
def write_lines(world: World, rng: random.Random) -> Draft:
    name = world.new_name("file", rng.choice(("txt", "txt", "md", "lst", "csv")))
    lines = [rng.choice((names.word(rng), names.word(rng), str(rng.randint(1, 999)),
        f"{names.word(rng)} {names.word(rng)}"))
             for _ in range(rng.randint(2, 4))]
    if rng.random() < 0.3:
        name = f"{world.pick_dir()}/{name}"
    x = rng.choice((", ".join(lines), " / ".join(lines), ", ".join(f'"{line}"' for line in lines),
        ", ".join(lines[:-1]) + " and " + lines[-1]))
    return act(rng, """
        (write|put|save) (the lines|) {x} (into|to|in) {f}, (one per line|each on its own line|each on a separate line)
        (create|make) {f} with (the|) {n} lines {x}
        (create|make) (a file|) {f} (with|containing) the lines {x}
        {f} should (have|contain|consist of) (the|) {n} lines: {x}
        (create|make|write) {f} (with|from) {x}, one per line
        <want> a file {f} with the lines {x}
        use printf to write {x} (into|to) {f}, one per line
        a {n} line file {f}: {x}
        """, f"printf '%s\\n' {' '.join(quoted(line) for line in lines)} > {quoted(name)}",
        f"write the lines to {name}",
        protected=lines, f=name, x=x, n=amount(rng, len(lines)))


@schema("file.of_size", "head truncate dd", weight=0.8)
def of_size(world: World, rng: random.Random) -> Draft:
    name, n = world.new_name("file", rng.choice(("bin", "dat", "img", "tmp", "txt"))), rng.choice((1, 2, 3, 4, 5, 8, 10,
        16, 20, 50, 64, 100))
    way = rng.choice(("truncate", "truncate", "bytes", "dd"))
    if way == "dd":
        return act(rng, """
            use dd to (create|make|write) {f} with {n} (KB|kilobytes|KiB) of (zeros|zeroes)
            dd {n} (KB|kilobytes) of (zeros|zeroes) (into|to) {f}
            (fill|write|create) {f} with {n} blocks of 1K from /dev/zero (with dd|using dd)
            (create|make) a {n} (KB|K) file {f} from /dev/zero with dd
            dd if=/dev/zero, {n} blocks of 1K, into {f}
            """, f"dd if=/dev/zero of={quoted(name)} bs=1K count={n} status=none", f"write {n} KB of zeros to {name}",
            f=name, n=n)
    if way == "bytes":
        size = rng.choice((10, 16, 32, 50, 100, 128, 200, 256, 500, 512, 1000, 2048, 5000))
        return act(rng, """
            (create|make) (a file|) {f} (of|with) (exactly|) {n} (zero|null) bytes
            (write|put) {n} (zero|null) bytes (into|to) {f}
            (create|make) {f} with {n} bytes (from|of) /dev/zero
            <want> a file {f} of {n} (zero|null) bytes
            {f} should hold {n} zero bytes
            head -c {n} of /dev/zero into {f}
            """, f"head -c {size} /dev/zero > {quoted(name)}", f"write {size} zero bytes to {name}", f=name, n=size)
    unit, word = rng.choice((("K", "(KB|kilobytes|K|KiB)"), ("K", "(KB|kilobytes)"), ("", "bytes"), ("M",
        "(MB|megabytes|M)")))
    n = n if unit != "M" else rng.choice((1, 2, 3))
    return act(rng, f"""
        (create|make) (a file|an empty file|) {{f}} of {{n}} {word} (with truncate|)
        (create|make) a {{n}} {word} file (called|named|) {{f}}
        <want> a (test|dummy|) file {{f}} (that is|of) {{n}} {word} (large|)
        a file {{f}} with a size of {{n}} {word}
        use truncate to make {{f}} {{n}} {word} (large|big)
        (make|create) {{f}} (exactly|) {{n}} {word} (large|big)
        """, f"truncate -s {n}{unit} {quoted(name)}", f"make {name} of that size", f=name, n=n)


@schema("file.extend", "truncate", weight=0.4)
def resize(world: World, rng: random.Random) -> Draft:
    name = world.pick_file(min_lines=2)
    n = rng.randint(3, max(4, len(world.entries[name].content) - 1))
    return act(rng, """
        (cut|truncate|shorten) {f} to (the first|) {n} bytes
        keep only the first {n} bytes of {f}
        truncate {f} to {n} bytes
        {f} should be (cut|truncated) to {n} bytes
        throw away everything after byte {n} of {f}
        (make|set) the size of {f} {n} bytes
        """, f"truncate -s {n} {quoted(name)}", f"cut {name} to {n} bytes", f=name, n=n)


@schema("link.hard", "ln", weight=0.8)
def hard_link(world: World, rng: random.Random) -> Draft:
    target = world.pick_file()
    name = world.new_name("file", target.rsplit(".", 1)[-1] if "." in target.rsplit("/", 1)[-1] else None)
    return act(rng, """
        (create|make|add) a hard link (called|named|) {l} (to|for|pointing to) {f}
        hard link {f} (as|to) {l}
        hardlink {f} (as|to) {l}
        ln {f} {l}
        <want> a hard link {l} (to|for) {f}
        {l} should be a hard link to {f}
        give {f} a second name {l} (by|with) a hard link
        (not a symlink, but|) a hard link from {l} to {f} please
        """, f"ln {quoted(target, name)}", f"make the hard link {name}", f=target, l=name)


@schema("link.into_folder", "ln", weight=0.7)
def link_into(world: World, rng: random.Random) -> Draft:
    source = world.pick_file()
    folder = world.pick_dir()
    name = source.rsplit("/", 1)[-1]
    _free(world, f"{folder}/{name}")
    return act(rng, """
        (create|make|put) (a symlink|a symbolic link) to {f} in {d} (with its absolute path|, full path as target)
        symlink {f} into {d} (with|using) (the|its) (absolute|full) path
        (create|make) {x} as (a symlink|a symbolic link) to the absolute path of {f}
        in {d}, (create|make) a symlink to {f} (with the absolute path|by its full path)
        link {f} into {d} (symbolically|by symlink), (full path|absolute path) as target
        """, f'ln -s "$PWD"/{quoted(source)} {quoted(folder)}/', f"link {source} into {folder}", f=source, d=folder,
        x=f"{folder}/{name}")


@schema("link.replace", "ln", weight=0.8)
def link_replace(world: World, rng: random.Random) -> Draft:
    name = rng.choice(("latest", "current", "link", stem(rng)))
    _free(world, name)
    old, new = rng.sample([*world.files(), *world.dirs()], 2)
    world.add_link(name, old)
    return act(rng, """
        (change|update|set) (the link|the symlink|) {l} (so that it points|to point) to {t}
        (point|redirect|switch) (the link|the symlink|) {l} to {t} (instead|now|)
        {l} should (now|) point to {t} (instead of {o}|instead)
        (make|let) {l} point (to|at) {t} (, it points to {o} now|now|)
        (relink|re-link) {l} to {t}
        the (symlink|link) {l} is (stale|outdated|wrong), it should point to {t}
        ln -sfn {t} {l}
        """, f"ln -sfn {quoted(new, name)}", f"point {name} to {new}", l=name, t=new, o=old)


@schema("script.write", "printf", weight=1.0)
def write_script(world: World, rng: random.Random) -> Draft:
    name, text = world.new_name("file", "sh"), " ".join(world.words(rng.randint(1, 3)))
    run = rng.random() < 0.6
    what = rng.choice((f"echo {text}", "date", "ls -l", "df -h", f"echo {names.word(rng)}", "whoami", "uptime"))
    also = "&& chmod +x" if run else ""
    lines = f"printf '%s\\n' '#!/bin/bash' {string(what)} > {quoted(name)}"
    if run:
        lines += f" {also} {quoted(name)}"
    more = "(executable|)" if not run else ""
    block = """
        (create|write|make) (a|an executable|) (bash|shell|) script {f} that runs {t} (and make it executable|)
        (create|write|make) {f}, a bash script (with|that runs) {t} (, and make it executable|)
        <want> an executable (bash|shell|) script {f} that runs {t}
        (write|create) a (bash|shell) script (called|named) {f} with the (command|line) {t} (and make it executable|)
        new executable (bash|shell) script {f}: {t}
        """
    block = (block.replace("(a|an executable|)", "an executable").replace("(and make it executable|)",
        "and make it executable").replace(
        "(, and make it executable|)", ", and make it executable") if run else
        block.replace("(a|an executable|)", "(a|)").replace("(and make it executable|)",
        "").replace("(, and make it executable|)", "")
        .replace("an executable", "a").replace("new executable", "new"))
    return act(rng, block + more.replace("(executable|)", ""), lines, f"write the script {name}", protected=(what,),
        f=name, t=what)


@schema("dir.create_private", "mkdir", weight=0.5)
def private_dir(world: World, rng: random.Random) -> Draft:
    name, mode = world.new_name("dir"), rng.choice(("700", "700", "750", "755", "770", "711"))
    return act(rng, """
        (create|make) (a|the|) <dir> {d} with (mode|permissions) {m}
        mkdir {d} with (mode|permissions) {m}
        new <dir> {d}, (mode|permissions) {m}
        <want> a <dir> {d} with (the|) (mode|permissions) {m}
        (create|make) {d} as a <dir> (whose mode is|that has mode) {m}
        {d}: new <dir>, {m}
        """, f"mkdir -m {mode} {quoted(name)}", f"create {name} with mode {mode}", d=name, m=mode)


@schema("time.reference", "touch", weight=0.5)
def time_reference(world: World, rng: random.Random) -> Draft:
    found = world.files()
    if len(found) < 2:
        raise Unsuitable("too few")
    a, b = rng.sample(found, 2)
    return replace(act(rng, """
        (give|set) {b} the (same|) (modification time|mtime|timestamp|date) (of|as) {a}
        (set|change) the (modification time|timestamp|mtime) of {b} to that of {a}
        {b} should have the (same|) (modification time|timestamp) (as|of) {a}
        copy the (timestamp|modification time) of {a} (to|onto) {b}
        touch {b} with {a} as reference
        make {b} as old as {a}
        """.replace("the (same|) (modification time|mtime|timestamp|date) (of|as)",
        "the same (modification time|mtime|timestamp|date) as")
        .replace("the (same|) (modification time|timestamp) (as|of)", "the same (modification time|timestamp) as"),
        f"touch -r {quoted(a, b)}", f"give {b} the time of {a}", a=a, b=b), times=(b,))


@schema("time.set_clock", "touch", weight=0.5)
def time_clock(world: World, rng: random.Random) -> Draft:
    minute = rng.choice((0, 15, 30, 45, rng.randint(0, 59)))
    name, stamp = world.pick_file(), f"{world.date()} {rng.randint(0, 23):02d}:{minute:02d}"
    return replace(act(rng, """
        set the (modification time|mtime|timestamp) of {f} to {t}
        (touch|stamp) {f} with {t}
        (change|set) the (date and time|modification time) of {f} to {t}
        {f} should look (as if it was|) (changed|modified) at {t}
        give {f} the (timestamp|modification time) {t}
        backdate {f} to {t}
        """.replace("look (as if it was|)", "look as if it was").replace("backdate", "set the clock of"),
        f"touch -d '{stamp}' {quoted(name)}",
        f"set the time of {name}", f=name, t=stamp), times=(name,))


@schema("file.create_if_missing", "test touch mkdir", weight=0.8)
def if_missing(world: World, rng: random.Random) -> Draft:
    name = world.new_name()
    return act(rng, """
        (create|make) {f} (only|) if it (does not exist|is missing|is not there) (yet|)
        if {f} (does not exist|is missing), (create|make) it (empty|as an empty file)
        (test|check) (whether|if) {f} exists and (create|make) it (empty|) if not
        (create|make) an empty {f} unless (it exists|there is one)
        make sure (that|) (a file|the file|) {f} exists
        {f} must exist: (create|make) it when it is missing
        """, f"[ -e {quoted(name)} ] || touch {quoted(name)}", f"create {name} if it is missing", f=name)


@schema("file.dated_copy", "cp date", weight=0.7)
def dated(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    if rng.random() < 0.4:
        base, end = f"{stem(rng)}{rng.choice('-_')}", f".{rng.choice(_EXTENSIONS)}"
        return act(rng, """
            (create|make|touch) (an empty file|a file) (called|named) {b}YYYY-MM-DD{e} with today's date
            (create|make) an empty file (called|named) {b}DATE{e}, DATE being today as YYYY-MM-DD
            touch {b}YYYY-MM-DD{e} for today
            <want> an empty {b}YYYY-MM-DD{e} with (today's date|the date of today)
            an empty file named {b}<date>{e}, <date> is today in the form YYYY-MM-DD
            """, f"touch {base}$(date +%F){end}", "create the file with today's date", b=base, e=end)
    return act(rng, """
        copy {f} to the same name with today's date (appended|at the end) (as .YYYY-MM-DD|after a dot)
        back up {f} with today's date (YYYY-MM-DD|) (as suffix|as extension|appended after a dot)
        make a (dated|) backup (copy|) of {f}: same name plus a dot and today's date (as YYYY-MM-DD|)
        cp {f} to the same name with .YYYY-MM-DD of today
        <want> a backup of {f} (whose name ends in|with) a dot and today's date
        save a copy of {f} with the date of today (YYYY-MM-DD) behind a dot
        """, f"cp {quoted(name)} {quoted(name)}.$(date +%F)", f"copy {name} with today's date", f=name)


@schema("dir.create_in_each", "mkdir", weight=0.4)
def in_each(world: World, rng: random.Random) -> Draft:
    name = stem(rng)
    if len([path for path in world.dirs() if "/" not in path and not path.startswith(".")]) < 2:
        raise Unsuitable("too few")
    _free(world, *(f"{path}/{name}" for path in world.dirs()))
    program, noun, plan = rng.choice((("mkdir", "(a <dir>|a subfolder|a subdirectory)", "folder"), ("touch",
        "(an empty file|a file)", "file")))
    return act(rng, f"""
        (create|make|add) {noun} (called|named|) {{n}} in (each|every) <dir> (here|in this folder|)
        (each|every) <dir> (here|in this folder) (needs|should have) {noun} {{n}}
        (in|inside) (each|every) <dir> here, (create|make) {noun} (called|named|) {{n}}
        loop over the <dirs> here and (create|make) {noun} {{n}} in each
        put {noun} {{n}} (into|in) all <dirs> here
        """.replace("in all <dirs>", "in each of the <dirs>"), f'for d in */; do {program} "$d"{name}; done',
        f"create the {plan} {name} in each folder", n=name)


@schema("file.heredoc", "cat", weight=0.5)
def project_readme(world: World, rng: random.Random) -> Draft:
    title, folder = " ".join(word.capitalize() for word in world.words(rng.randint(1, 3))), folder_of(world, rng)
    name = rng.choice(("README.md", "NOTES.md", "index.md", "CHANGELOG.md", "TODO.md"))
    _free(world, f"{folder}/{name}")
    return act(rng, """
        (create|write|add) (the file|) {n} in {d} with (the|a) (title|heading) {t} (as a level one heading|)
        (create|write) {x} with the markdown (heading|title) {t}
        put (the file|) {n} with the (heading|title) {t} (into|in) {d}
        {d} needs (the file|) {n} (with|that starts with) the (heading|title) {t}
        <want> {n} in {d}, first line: # {t}
        (create|start) {x}: (level one|top level|first level) heading {t}
        """, f"echo {string('# ' + title)} > {quoted(f'{folder}/{name}')}", f"write {name} in {folder}",
        protected=(title,), n=name, d=folder,
        t=rng.choice((title, f'"{title}"')), x=f"{folder}/{name}")
