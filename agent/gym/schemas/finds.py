"""Finding by name and place: names in other forms, kinds, rights, depth, folders to leave out."""

from __future__ import annotations

import random
import re
from pathlib import PurePosixPath

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import ask, count, kind_or_files, stem, under
from nimllm.agent.gym.schemas.subjects import below, kind, scope, some_ext
from nimllm.agent.gym.worlds import World


@schema("find.ignore_case", "find", weight=1.3)
def ignore_case(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.35)
    part = stem(rng)
    if len(part) < 3:
        raise Unsuitable("short")
    for form in rng.sample([part.upper(), part.capitalize(), part.lower()], 2):
        prefix = "" if folder == "." else folder + "/"
        world.add_file(f"{prefix}{form}{rng.choice('-_')}{names.word(rng)}.{world.ext()}", world.text(1))
    return ask(rng, """
        <find> (all|the|) files <w> with {p} in the name, (ignoring case|case insensitive|whatever the case)
        files <w> (named|called) something with {p}, (case doesn't matter|ignore case|case-insensitively)
        (which|what) files <w> have {p} in the name? (ignore case|case does not matter|upper or lower case)
        case insensitive search <w> for file names (with|containing) {p}
        <find> files <w> matching *{p}* (regardless of case|ignoring case)
        <want> all files <w> whose name (contains|has) {p} in any (case|spelling of upper and lower case)
        use find with iname to (look|search) for {p} in the names of files <w>
        """, f"find {below(folder)} -type f -iname '*{part}*'", f"find files with {part} in the name", w=where, p=part,
        **slots)


@schema("find.exact_ignore_case", "find", weight=0.6)
def exact_ignore_case(world: World, rng: random.Random) -> Draft:
    path = world.pick_file()
    name = PurePosixPath(path).name
    if re.search(r"[*?\[\\]", name) or name.lower() == name.upper():
        raise Unsuitable("pattern")
    said = rng.choice((name.lower(), name.upper()))
    return ask(rng, """
        <find> the file {f} (, ignoring case|, upper or lower case, whatever the case)
        where is {f}? (the case may differ|ignore case|maybe in other case|not sure about upper or lower case)
        (locate|find) {f}, case insensitive
        find a file called {f}, I don't know (whether it has capitals|the case)
        there is a file {f}, maybe written in other case: where?
        """.replace("(, ignoring case|, upper or lower case, whatever the case)",
        "(, ignoring case|in upper or lower case)"),
        f"find . -iname {quoted(said)}", f"find {said}", f=said)


@schema("find.not_extension", "find", weight=1.3)
def not_extension(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.4)
    ext = some_ext(world, rng, folder)
    if all(path.endswith(f".{ext}") for path in under(world, folder)):
        raise Unsuitable("only these")
    what, more = kind(ext)
    tail = count(rng)
    if tail:
        return ask(rng, """
            how many files <w> are not <what>?
            (count|number of) (the|all|) files <w> that are not <what>
            count (everything|all files) <w> (except|but) the <what>
            how many files <w> (don't|do not) end in {x}?
            """, f"find {below(folder)} -type f -not -name '*.{ext}'{tail}", f"count the files that are not .{ext}",
            "There are {output}.",
            w=where, what=what, x=f".{ext}", **slots, **more)
    return ask(rng, """
        <find> (all|the|) files <w> that are not <what>
        <find> (all|) files <w> (except|but|other than|without) the <what>
        (which|what) files <w> are not <what>?
        everything <w> (except|but) <what> (, files only|)
        <find> files <w> (that do not|that don't|not) (end in|ending in) {x}
        files <w> whose (extension|ending) is not {bare}
        <want> the files <w> that (don't|do not) have the (extension|ending) {bare}
        all files <w> (excluding|leaving out) the <what>
        """.replace("(that do not|that don't|not) (end in|ending in)",
        "(that do not end in|not ending in|that don't end in)"),
        f"find {below(folder)} -type f -not -name '*.{ext}'", f"find the files that are not .{ext}", w=where, what=what,
        x=f".{ext}", **slots, **more)


@schema("find.two_extensions", "find", weight=1.5)
def two_extensions(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.4)
    found = sorted({ext for ext in world.extensions("" if folder == "." else folder) if re.fullmatch(r"\w{1,5}", ext)})
    if len(found) < 2:
        raise Unsuitable("one kind")
    a, b = rng.sample(found, 2)
    form = rng.choice(("{}", ".{}", "*.{}", ".{}"))
    tail = count(rng)
    x, y = form.format(a), form.format(b)
    command = f"find {below(folder)} -type f \\( -name '*.{a}' -o -name '*.{b}' \\){tail}"
    if tail:
        return ask(rng, """
            how many {x} and {y} files are (there|) <w> (together|in total|altogether|)?
            count the {x} and {y} files <w> (together|)
            (total|) number of {x} (and|or|plus) {y} files <w>
            {x} or {y} files <w>: how many?
            """, command, f"count the .{a} and .{b} files", "There are {output}.", w=where, x=x, y=y, **slots)
    return ask(rng, """
        <find> <all> {x} (and|or) {y} files <w>
        <find> (all|) files <w> ending in {x} or {y}
        (which|what) {x} (and|or) {y} files are (there|) <w>?
        {x} and {y} files <w>
        <find> files <w> with (the|) (extension|ending) {x} or {y}
        <want> both the {x} and the {y} files <w>
        everything <w> that (ends in|is) {x} or {y}
        {x} files and {y} files <w>, in one list
        """, command, f"find the .{a} and .{b} files", w=where, x=x, y=y, **slots)


@schema("find.folder_named", "find", weight=1.2)
def folder_named(world: World, rng: random.Random) -> Draft:
    path = world.pick_dir()
    name = PurePosixPath(path).name
    if rng.random() < 0.4:
        runs = re.findall(r"[A-Za-z]{3,}|\d{2,}", name)
        if not runs:
            raise Unsuitable("no part")
        part = rng.choice(runs)
        return ask(rng, """
            <find> (all|the|) <dirs> with {p} in (the|their) name
            (which|what) <dirs> have {p} in (the|their) name?
            <find> <dirs> whose name contains {p}
            <dirs> (named|called) something with {p}
            (search for|find) <dirs> matching *{p}*
            """, f"find . -type d -name '*{part}*'", f"find folders with {part} in the name", p=part)
    return ask(rng, """
        where is the <dir> (called|named|) {d}?
        <find> (all|the|) <dirs> (called|named) {d}
        find the <dir> {d}
        is there a <dir> (called|named) {d} (somewhere|anywhere) (here|below|in this tree)? where?
        (locate|look for) (a|the) <dir> (called|named|) {d}
        path of the <dir> {d}
        which <dirs> are called {d}?
        """, f"find . -type d -name {quoted(name)}", f"find the folder {name}", d=name)


@schema("find.mode", "find", weight=1.0)
def mode(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    files = under(world, folder)
    if not files:
        raise Unsuitable("none")
    test, said, plan = rng.choice((
        ("-perm 777", "(with mode 777|with permissions 777|that have mode 777|whose mode is 777|with rwxrwxrwx)",
        "mode 777"),
        ("-perm 600", "(with mode 600|with permissions 600|that have mode 600|whose mode is exactly 600)", "mode 600"),
        ("-perm 644", "(with mode 644|with permissions 644|whose permissions are 644)", "mode 644"),
        ("-perm -o+w", "(that others can write|writable for others|that are world-writable|with write permission for "
        "others|world writable)", "write permission for others"),
        ("-perm -g+w", "(that the group can write|writable for the group|with group write permission|group-writable)",
        "write permission for the group"),
        ("-perm /a+x", "(with any execute bit|with an execute bit for anybody|that have an x bit set)",
        "an execute bit"),
        ("-not -perm -o+r", "(that others cannot read|not readable for others|without read permission for others)",
        "no read permission for others"),
        ("-not -perm 644", "(whose mode is not 644|with permissions other than 644|that don't have mode 644)",
        "another mode than 644")))
    fitting = {"mode 777": 0o777, "mode 600": 0o600, "mode 644": 0o644, "write permission for others": 0o646,
               "write permission for the group": 0o664, "an execute bit": 0o755, "no read permission for others": 0o640}
    for path in rng.sample(files, min(len(files), rng.randint(1, 3))):
        world.entries[path].mode = fitting.get(plan, 0o600)
    return ask(rng, f"""
        <find> (all|the|) files <w> {said}
        are there (any|) files <w> {said}?
        files <w> {said}
        <want> a list of the files <w> {said}
        security check: files <w> {said}
        use find to (show|list) files <w> {said}
        (search|look) <w> for files {said}
        """.replace("(search|look) <w> for files", "(search for|look for|locate) files <w>"),
        f"find {below(folder)} -type f {test}", f"find files with {plan}", w=where, **slots)


@schema("find.not_executable", "find", weight=0.6)
def not_executable(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    for mode in (0o644, 0o755):
        path = ("" if folder == "." else folder + "/") + world.new_name("file", "sh")
        world.add_file(path, "echo hi\n")
        world.entries[path].mode = mode
    test, said = rng.choice((("-not -executable", "(that are not executable|that cannot be executed|without execute "
        "permission|which are not executable)"),
        ("-executable", "(that are executable|that can be executed|with execute permission)")))
    return ask(rng, f"""
        <find> (all|the|) shell scripts <w> {said}
        (which|what) .sh files <w> {said.replace('that ', '').replace('which ', '')
        .replace('with execute', 'have execute').replace('without execute', 'lack execute')}?
        .sh files <w> {said}
        <want> the *.sh files <w> {said}
        shell scripts <w> {said}
        """, f"find {below(folder)} -type f -name '*.sh' {test}", "find those scripts", w=where, **slots)


@schema("find.depth", "find", weight=1.0)
def depth(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    n = rng.choice((1, 2, 2, 3))
    if not any(path.count("/") >= 1 for path in world.files()):
        raise Unsuitable("flat")
    name, what, more = kind_or_files(world, rng, folder, 0.4)
    at = rng.random()
    if at < 0.7:
        levels = "level" if n == 1 else "levels"
        said = f"(at most {{n}} {levels} deep|down to {{n}} {levels}|not deeper than {{n}} {levels}|, max depth {{n}})"
        test = f"-maxdepth {n}"
    else:
        n = 2
        said = "(only in subfolders|not at the top level|at least two levels deep|below the first level)"
        test = "-mindepth 2"
    prefix = 0 if folder == "." else folder.count("/") + 1
    ext = name[10:-1] if name else None
    levels_of = [path.count("/") - prefix + 1 for path in under(world, folder, ext)]
    if not any(level <= n if "max" in test else level >= n for level in levels_of):
        raise Unsuitable("none of that depth")
    return ask(rng, f"""
        <find> <all> <what> <w> {said}
        <what> <w> {said}
        which <what> are there <w> {said}?
        <want> the <what> <w> {said}
        use find to (list|get|show) <what> <w> {said}
        (search|look) for <what> <w> {said}
        """, f"find {below(folder)} {test} -type f{name}", "find the files of that depth", w=where, what=what, n=n,
        **slots, **more)


@schema("find.prune", "find", weight=1.1)
def prune(world: World, rng: random.Random) -> Draft:
    tops = [path for path in world.dirs() if "/" not in path and under(world, path)]
    if not tops:
        raise Unsuitable("no folder")
    skip = rng.choice(tops)
    if re.search(r"[*?\[\\' ]", skip):
        raise Unsuitable("pattern")
    name, what, more = kind_or_files(world, rng, ".", 0.5)
    ext = name[10:-1] if name else None
    if not [path for path in world.files(ext) if f"/{skip}/" not in f"/{path}"]:
        raise Unsuitable("none elsewhere")
    tail = count(rng)
    command = f"find . -type f{name} -not -path '*/{skip}/*'{tail}"
    out = "(but not in {d}|except in {d}|, excluding {d}|, leave out {d}|, skipping {d}|outside {d})"
    if tail:
        return ask(rng, f"""
            how many <what> are there {out}?
            count (all|the|) <what> {out}
            number of <what> {out}
            """, command, f"count the files outside {skip}", "There are {output}.", what=what, d=skip, **more)
    return ask(rng, f"""
        <find> <all> <what> {out}
        (which|what) <what> are there {out}?
        <what> {out}
        <want> <all> <what> {out}
        search (everywhere|the tree) for <what> {out}
        <find> <what> here and below {out}
        """, command, f"find the files outside {skip}", what=what, d=skip, **more)


@schema("find.path", "find", weight=0.7)
def path_pattern(world: World, rng: random.Random) -> Draft:
    found = [path for path in world.dirs() if re.fullmatch(r"[\w.-]+", PurePosixPath(path).name) and under(world,
        path)]
    if not found:
        raise Unsuitable("no folder")
    name = PurePosixPath(rng.choice(found)).name
    test, what, more = kind_or_files(world, rng, ".", 0.3)
    ext = test[10:-1] if test else None
    if not [path for path in world.files(ext) if f"/{name}/" in f"/{path}"]:
        raise Unsuitable("none")
    return ask(rng, """
        <find> (all|the|) <what> (with|that have) a <dir> {d} (somewhere|) in (the|their) path
        <find> (all|the|) <what> whose path (contains|goes through) a <dir> {d}
        <what> in any <dir> (called|named) {d}
        which <what> lie in (a|some|any) <dir> (called|named) {d}, at any level?
        <find> <what> below any <dir> named {d}
        """, f"find . -type f{test} -path '*/{name}/*'", f"find files below a folder {name}", what=what, d=name, **more)


@schema("find.odd_names", "find", weight=0.9)
def odd_names(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    prefix = "" if folder == "." else folder + "/"
    test, said, plan, sample = rng.choice((
        ("-name '* *'", "(with a (blank|space) in the name|with (blanks|spaces) in their names|whose names contain "
        "(blanks|spaces))", "blanks in the name", f"{names.word(rng)} {names.word(rng)}.txt"),
        ("-name '*[0-9]*'", "(with a digit in the name|with (digits|numbers) in the name|whose name contains a digit)",
        "digits in the name", f"{names.word(rng)}7.txt"),
        ("-name '*[A-Z]*'", "(with capitals in the name|with upper case letters in the name|whose name has a capital "
        "letter)", "capitals in the name", f"Big{names.word(rng)}.txt"),
        ("-not -name '*.*'", "(without (an|any) extension|that have no extension|with no extension|without a dot in "
        "the name)", "no extension", names.word(rng) + "x"),
        ("-name '.*'", "(that are hidden|whose name starts with a dot|starting with a dot)", "hidden names",
        f".{names.word(rng)}rc"),
        ("-name '[0-9]*'", "(whose name starts with a digit|starting with a (digit|number)|that begin with a (number|"
        "digit))", "a digit at the start", f"{rng.randint(1, 99)}{names.word(rng)}.md"),
        ("-name '[A-Z]*'", "(whose name starts with a capital (letter|)|starting with a capital|that begin with an "
        "upper case letter)", "a capital at the start", f"{names.word(rng).capitalize()}.md")))
    world.add_file(prefix + sample, world.text(1))
    tail = count(rng)
    if tail:
        return ask(rng, f"""
            how many files <w> are there {said}?
            count (the|all|) files <w> {said}
            number of files <w> {said}
            """, f"find {below(folder)} -type f {test}{tail}", f"count files with {plan}", "There are {output}.",
            w=where, **slots)
    return ask(rng, f"""
        <find> (all|the|) files <w> {said}
        (are there|do we have) (any|) files <w> {said}?
        files <w> {said}
        <want> to see (all|the) files <w> {said}
        use find for the files <w> {said}
        """, f"find {below(folder)} -type f {test}", f"find files with {plan}", w=where, **slots)


@schema("find.pattern", "find", weight=0.9)
def pattern(world: World, rng: random.Random) -> Draft:
    """A start and an end, or a number of free characters."""
    folder, where, slots = scope(world, rng, 0.3)
    prefix = "" if folder == "." else folder + "/"
    base, ext = stem(rng), rng.choice(("txt", "log", "csv", "md", "py", "json"))
    for number in rng.sample(range(10, 99), rng.randint(2, 3)):
        world.add_file(f"{prefix}{base}_{number}.{ext}", world.text(1))
    world.add_file(f"{prefix}{base}_{rng.randint(100, 999)}.{ext}", world.text(1))
    if rng.random() < 0.4:
        return ask(rng, """
            <find> files <w> (called|named|matching) {p}_??.{e} (, the ? standing for any character|)
            <find> files <w> (called|named) {p}_ plus exactly two characters and .{e}
            files <w> matching {q}
            files <w> like {q}, where ? is any (one|single) character
            which files <w> match (the pattern|) {q}?
            """.replace("{p}_??.{e}", "{q}").replace("and .{e}", "and {e}").replace("{p}_ plus", "{p} plus"),
            f"find {below(folder)} -type f -name '{base}_??.{ext}'",
            f"find files like {base}_??.{ext}", w=where, p=f"{base}_", e=f".{ext}", q=f"{base}_??.{ext}", **slots)
    return ask(rng, """
        <find> (all|the|) files <w> that (start|begin) with {p} and end (in|with) {e}
        (which|what) files <w> (start|begin) with {p} and end in {e}?
        <find> files <w> matching {q}
        files <w> whose name (starts|begins) with {p} and ends in {e}
        {q} files <w>
        everything <w> named {q} (, files only|)
        """, f"find {below(folder)} -type f -name '{base}*.{ext}'", f"find files like {base}*.{ext}", w=where, p=base,
        e=f".{ext}", q=f"{base}*.{ext}", **slots)


@schema("find.broken_links", "find", weight=0.9)
def broken_links(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    prefix = "" if folder == "." else folder + "/"
    for _ in range(rng.randint(1, 2)):
        world.add_link(prefix + world.new_name(), names.word(rng) + ".missing")
    if rng.random() < 0.3:
        return ask(rng, """
            <find> (all|the|) (symlinks|symbolic links) <w> and (where they point|their targets)
            (symlinks|symbolic links) <w> with (their|the) (target|targets)
            where do the (symlinks|symbolic links) <w> point?
            (print|list|show) (every|each) (symlink|symbolic link) <w> as name -> target
            """, f"find {below(folder)} -type l -printf '%p -> %l\\n'", "list the links with targets", w=where, **slots)
    return ask(rng, """
        <find> (all|the|) (broken|dangling|dead) (symlinks|symbolic links|links) <w>
        are there (any|) (broken|dangling|dead) (symlinks|links) <w>?
        (broken|dangling) (symlinks|links) <w>
        (which|what) (symlinks|links) <w> (are broken|point nowhere|lead nowhere)?
        (symlinks|links) <w> whose target (is missing|does not exist|is gone)
        """, f"find {below(folder)} -xtype l", "find the broken links", w=where, **slots)
