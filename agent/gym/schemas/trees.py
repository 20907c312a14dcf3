"""What a whole tree amounts to: newest, deepest, duplicates, counts by kind and folder; a program for each find."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import act, amount, ask, kind_or_files, under
from nimllm.agent.gym.schemas.subjects import below, kind, scope, some_ext, word_in
from nimllm.agent.gym.worlds import World


@schema("tree.newest", "find sort head cut", weight=1.3)
def newest(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.5)
    test, what, more = kind_or_files(world, rng, folder, 0.3)
    ext = test[10:-1] if test else None
    files = under(world, folder, ext)
    if len(files) < 2:
        raise Unsuitable("too few")
    old = rng.random() < 0.35
    word = "(oldest|least recently changed)" if old else "(newest|latest|most recent|most recently changed)"
    n = rng.choice((1, 1, 2, 3, 5))
    flag = "-n" if old else "-nr"
    command = f"find {below(folder)} -type f{test} -printf '%T@ %p\\n' | sort {flag} | head -n {n} | cut -d ' ' -f 2-"
    one = what.replace("files", "file") if n == 1 else what
    if n == 1:
        return ask(rng, f"""
            (which|what) is the {word} <what> <w> <rec>?
            <show> the (path of the|) {word} <what> <w>, (also in subfolders|subfolders included|at any depth)
            {word} <what> <w>, (also in subfolders|at any depth|recursively)
            find the {word} <what> <w> <rec>
            <want> the {word} <what> (anywhere|) <w>, subfolders too
            in the whole tree <w>, which <what> is the {word} (one|)?
            """, command, f"find the {'oldest' if old else 'newest'} file", "It is {output}.", True, w=where, what=one,
            **slots, **more)
    return ask(rng, f"""
        <show> the {{n}} {word} <what> <w>, (subfolders included|also in subfolders|at any depth)
        (which|what) are the {{n}} {word} <what> <w> <rec>?
        {{n}} {word} <what> <w> <rec> (, paths only|)
        find the {{n}} {word} <what> <w>, at any depth (, {word} first|)
        <want> the {{n}} {word} <what> <w>, recursively
        """, command, f"find the {n} {'oldest' if old else 'newest'} files", None, True, w=where, what=one,
        n=amount(rng, n), **slots, **more)


@schema("tree.deepest", "find sort tail cut", weight=0.5)
def deepest(world: World, rng: random.Random) -> Draft:
    depths = sorted(path.count("/") for path in world.entries)
    if len(depths) < 2 or depths[-1] == depths[-2]:
        path = (world.dirs() or ["a"])[-1] + "/" + "/".join(names.word(rng) for _ in range(2)) + "/" + world.new_name()
        world.add_file(path, world.text(1))
        depths = sorted(path.count("/") for path in world.entries)
        if depths[-1] == depths[-2]:
            raise Unsuitable("two of them")
    return ask(rng, """
        (which|what) is the (most deeply nested|deepest) (entry|path) <here>?
        <show> the (deepest|most deeply nested) (path|entry) <here>
        deepest (path|entry) (in this tree|below this <dir>)
        find the (entry|path) with the most (levels|<dirs> above it) <here>
        what lies deepest in this tree?
        """, "find . -printf '%d %p\\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-", "find the deepest path",
        "It is {output}.", True)


@schema("tree.longest_name", "find awk", weight=0.4)
def longest_name(world: World, rng: random.Random) -> Draft:
    sizes = sorted(len(PurePosixPath(path).name) for path in world.files())
    if len(sizes) < 2 or sizes[-1] == sizes[-2]:
        raise Unsuitable("two of them")
    return ask(rng, """
        (which|what) file has the longest name (here and below|in this tree)?
        <show> the longest file name (in this tree|here and below)
        longest file name (here and below|in this tree|below this <dir>)
        find the file with the longest name (, name only|), subfolders included
        """, "find . -type f -printf '%f\\n' | awk 'length > length(m) {m = $0} END {print m}'",
        "find the longest name", "It is {output}.", True)


@schema("tree.base_names", "find", weight=1.2)
def base_names(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.5)
    test, what, more = kind_or_files(world, rng, folder, 0.7)
    if not under(world, folder, test[10:-1] if test else None):
        raise Unsuitable("none")
    ordered = rng.random() < 0.3
    how = "(names only, without the path|just the file names, no path|base names only)"
    also = "(, sorted|, in alphabetical order|, alphabetically)" if ordered else ""
    return ask(rng, f"""
        <find> <all> <what> <w>, {how}{also}
        (base names|file names) of <all> <what> <w> (, subfolders included|), without (paths|the path){also}
        <what> <w>, {how}{also}
        (only|just) the (names|file names) (not the paths|without paths) of the <what> <w>{also}
        <want> the names of <all> <what> <w> without their path{also}
        use find to print only the file names, not the paths, of <what> <w>{also}
        """, f"find {below(folder)} -type f{test} -printf '%f\\n'" + (" | sort" if ordered else ""), "list the names",
        None, ordered, w=where,
        what=what, **slots, **more)


@schema("tree.sorted", "find sort", weight=1.0)
def sorted_paths(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.5)
    test, what, more = kind_or_files(world, rng, folder, 0.6)
    if not under(world, folder, test[10:-1] if test else None):
        raise Unsuitable("none")
    return ask(rng, """
        <find> <all> <what> <w>, sorted (by path|by name|alphabetically|)
        sorted list of <all> <what> <w> (, subfolders included|)
        <what> <w>, (sorted|in alphabetical order|in sorted order)
        <want> a sorted list of (the paths of|) <all> <what> <w>
        find <what> <w> and sort (them|the result|the list)
        paths of the <what> <w> in alphabetical order
        """, f"find {below(folder)} -type f{test} | sort", "list them sorted", None, True, w=where, what=what, **slots,
        **more)


@schema("tree.into_file", "find sort", weight=1.1)
def into_file(world: World, rng: random.Random) -> Draft:
    folder = rng.choice([path for path in world.dirs() if under(world, path)] or [""])
    if not folder:
        raise Unsuitable("no folder")
    test, what, more = kind_or_files(world, rng, folder, 0.6)
    target = world.new_name("file", rng.choice(("txt", "lst", "list")))
    return act(rng, """
        (write|save|put) the paths of <all> <what> (below|under|in) {d} (to|into) {t}, sorted
        (write|save) a sorted list of <all> <what> (below|under|in) {d} (to|into) {t}
        {t} should (list|contain the sorted paths of) <all> <what> (below|in) {d}, sorted
        find <all> <what> (below|under|in) {d}, sort (them|the paths) and (save|write) the list (to|in) {t}
        make a sorted (index|list) of the <what> (below|under|in) {d} in {t}
        <want> {t} with the sorted paths of <all> <what> (below|under) {d}
        """.replace("should (list|contain the sorted paths of)", "should list"),
        f"find {quoted(folder)} -type f{test} | sort > {quoted(target)}",
        f"write the list to {target}", what=what, d=folder, t=target, **more)


@schema("tree.duplicate_names", "find sort uniq", weight=0.7)
def duplicate_names(world: World, rng: random.Random) -> Draft:
    folders = world.dirs()
    if not folders:
        raise Unsuitable("no folder")
    name = world.new_name()
    for folder in ["", *folders][: rng.randint(2, 3)]:
        world.add_file(f"{folder}/{name}" if folder else name, world.text(1))
    return ask(rng, """
        (which|what) file names (occur|exist|are used) more than once (in this tree|here and below)?
        <find> (duplicate|repeated) file names (in this tree|here and below|in all subfolders)
        duplicate file names (below this <dir>|in this tree|here and below)
        file names that (occur|appear) in (several|more than one) <dirs> (below here|in this tree)
        are there files with the same name in different <dirs> here? which names?
        <want> the (names of files|file names) that exist (several times|twice or more) in this tree
        """, "find . -type f -printf '%f\\n' | sort | uniq -d", "find the names that occur twice")


@schema("tree.duplicate_contents", "find md5sum sort uniq", weight=0.7)
def duplicate_contents(world: World, rng: random.Random) -> Draft:
    path = world.pick_file(min_lines=1)
    folders = ["", *world.dirs()]
    for _ in range(rng.randint(1, 2)):
        folder = rng.choice(folders)
        world.add_file(f"{folder}/{world.new_name()}" if folder else world.new_name(), world.entries[path].content)
    return ask(rng, """
        <find> (duplicate|identical) files (in this tree|here and below|) (by content|by checksum)
        (which|what) files (here and below|in this tree) have the same (content|contents)?
        files with identical (content|contents) (in this tree|here and below), by (md5|checksum)
        duplicate files by (md5|checksum|content)
        are there (duplicate|identical) files (in this tree|below this <dir>)? compare (checksums|by md5)
        <want> all files that are (copies|duplicates) of each other, found by checksum
        """, "find . -type f -exec md5sum {} + | sort | uniq -w32 -D", "find files of the same content")


@schema("tree.extension_ranking", "find sed sort uniq", weight=1.0)
def extension_ranking(world: World, rng: random.Random) -> Draft:
    found = world.extensions()
    if len(set(found)) < 2:
        raise Unsuitable("one kind")
    base = "find . -type f -name '*.*' | sed 's/.*\\.//' | sort"
    at = rng.random()
    if at < 0.35:
        return ask(rng, """
            (which|what) (extensions|file extensions) (are there|occur) (here and below|in this tree|)? (each once|)
            <show> the (different|distinct) (file|) extensions (here and below|in this tree)
            (distinct|unique|different) file extensions (in this tree|here and below)
            list every file extension (that occurs|) (in this tree|here and below) once
            <want> a list of the file extensions in this tree (without duplicates|, each only once)
            """, f"{base} -u", "list the extensions", None, True)
    if at < 0.7:
        return ask(rng, """
            count files (per|by) extension, most (frequent|common) first
            how many files (of each|per) extension? (most frequent|most common|largest count) first
            (extensions|file extensions) by (number of files|frequency), (most frequent|most common) first
            <show> the file extensions (here and below|in this tree) with counts, sorted by count (descending|)
            rank (the|) file extensions by (how often they occur|number of files)
            """, f"{base} | uniq -c | sort -rn", "count the extensions")
    top = sorted((found.count(ext) for ext in set(found)), reverse=True)
    if top[0] == top[1]:
        raise Unsuitable("a tie")
    return ask(rng, """
        (which|what) is the most (common|frequent) (file|) extension (here and below|in this tree|)?
        <show> the most (common|frequent) file extension (and how often it occurs|with its count)
        most (common|frequent) (file|) extension (in this tree|here and below), with count
        (which|what) (file type|extension) do we have most of?
        """, f"{base} | uniq -c | sort -rn | head -n 1", "find the commonest extension")


@schema("tree.per_folder", "find sort uniq", weight=0.9)
def per_folder(world: World, rng: random.Random) -> Draft:
    test, what, more = kind_or_files(world, rng, ".", 0.5)
    files = world.files(test[10:-1] if test else None)
    counts: dict[str, int] = {}
    for path in files:
        counts[str(PurePosixPath(path).parent)] = counts.get(str(PurePosixPath(path).parent), 0) + 1
    if len(counts) < 2:
        raise Unsuitable("one folder")
    base = f"find . -type f{test} -printf '%h\\n' | sort | uniq -c"
    top = sorted(counts.values(), reverse=True)
    if top[0] != top[1] and rng.random() < 0.4:
        return ask(rng, """
            (which|what) <dir> (has|holds|contains) the most <what> (, with the count|)?
            <dir> with the most <what> (in this tree|)
            <show> the <dir> that (has|holds) the most <what> and how many
            where are most of the <what>? (which <dir>|name the <dir>)
            <want> the <dir> with the (largest|highest) number of <what>
            """, f"{base} | sort -rn | head -n 1", "find the folder with the most", what=what, **more)
    if rng.random() < 0.5:
        return ask(rng, """
            how many <what> (are in|does|do) (each|every) <dir> (, largest count first|, most first)?
            number of <what> (per|in each|in every) <dir>, (largest|most|highest count) first
            count the <what> (per|by) <dir> and sort by (count|number) (, most first|descending)
            <dirs> by number of <what>, (most|largest) first
            """.replace("(are in|does|do) (each|every) <dir>", "are in (each|every) <dir>").replace("(, largest "
            "count first|, most first)", ", most first"),
            f"{base} | sort -rn", "count per folder", what=what, **more)
    return ask(rng, """
        how many <what> are in (each|every) <dir> (of this tree|)?
        number of <what> (per|in each|in every) <dir> (below here|)
        count the <what> (per|by|in each) <dir>
        <show> how many <what> (each|every) <dir> (has|holds|contains) (directly|)
        <what> per <dir>
        """, base, "count per folder", what=what, **more)


@schema("tree.folders_with", "find sort", weight=0.9)
def folders_with(world: World, rng: random.Random) -> Draft:
    ext = some_ext(world, rng)
    what, more = kind(ext)
    return ask(rng, """
        (which|what) <dirs> (contain|hold|have) <what>?
        <find> (all|the|) <dirs> that (contain|hold|have) <what> (, each once|, no duplicates|)
        <dirs> with <what> (in them|)
        in which <dirs> are there <what>?
        <want> the <dirs> in which <what> lie (, each only once|)
        """, f"find . -type f -name '*.{ext}' -printf '%h\\n' | sort -u", f"find the folders with .{ext} files", None,
        True, what=what, **more)


@schema("tree.lines_each", "find wc", weight=1.1)
def lines_each(world: World, rng: random.Random) -> Draft:
    """A program for each file that was found."""
    folder, where, slots = scope(world, rng, 0.5)
    ext = some_ext(world, rng, folder)
    what, more = kind(ext)
    program, said, plan = rng.choice((
        ("wc -l {} +", "(count the lines of|run wc -l on|give the line count of)", "count the lines of each"),
        ("wc -l {} +", "(count the lines of|run wc -l on)", "count the lines of each"),
        ("ls -l {} +", "(show the details of|ls -l|list with details)", "list each with details"),
        ("md5sum {} +", "(compute the md5 of|print the md5 checksum of|md5sum)", "compute the md5 of each"),
        ("sha256sum {} +", "(compute the sha256 of|print the sha256 checksum of|sha256sum)",
        "compute the sha256 of each"),
        ("head -n 1 {} \\;", "(print the first line of|show the first line of|head -n 1 of)",
        "print the first line of each"),
        ("tail -n 1 {} \\;", "(print the last line of|show the last line of)", "print the last line of each"),
        ("file {} +", "(show the file type of|run file on|tell the type of)", "show the kind of each"),
        ("stat -c '%s %n' {} +", "(print size in bytes and path of|show the byte size and path of)",
        "show the size of each"),
        ("basename {} \\;", "(print the base name of|run basename on)", "print the base name of each")))
    return ask(rng, f"""
        {said} (every one of the|all the|each of the) <what> <w> (, subfolders included|)
        (use find to|with find -exec,) {said} <all> <what> <w>
        find <all> <what> <w> and {said} each (of them|one)
        for (every|each) of the <what> <w> (and below|): {said} it
        {said} <all> <what> <w> <rec>
        """.replace("for (every|each) of the <what> <w> (and below|): {said} it", ""),
        f"find {below(folder)} -type f -name '*.{ext}' -exec {program}", plan,
        w=where, what=what, **slots, **more)


@schema("tree.grep_kind", "grep", weight=1.3)
def grep_kind(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.4)
    ext = some_ext(world, rng, folder)
    files = [path for path in under(world, folder, ext) if path in world.texts()]
    if not files:
        raise Unsuitable("no text")
    word = word_in(world, rng, rng.choice(files))
    what, more = kind(ext)
    if rng.random() < 0.4:
        return ask(rng, """
            (which|what) <what> <w> contain {p}?  (use find with -exec grep|with find and grep)
            find <what> <w> and use grep to list those (with|containing) {p}
            use find -exec grep to (list|show) the <what> <w> that (contain|mention) {p}
            find <w> (all|the) <what> containing {p}, with find and grep -l
            """, f"find {below(folder)} -type f -name '*.{ext}' -exec grep -l {quoted(word)} {{}} +",
            f"find .{ext} files with {word}", w=where, what=what,
            p=word, **slots, **more)
    return ask(rng, """
        (which|what) <what> <w> (contain|mention|have) {p} (, names only|)?
        <find> (all|the) <what> <w> (that contain|containing|that mention|with the text) {p}
        names of the <what> <w> (that contain|with|mentioning) {p}
        <what> <w> (in which|where) {p} (occurs|appears|is mentioned)
        in which <what> <w> does {p} (occur|appear)?
        <want> the <what> <w> that (contain|mention) {p}
        """, f"grep -rl --include='*.{ext}' {quoted(word)} {below(folder)}", f"find .{ext} files with {word}", w=where,
        what=what, p=word, **slots, **more)


@schema("tree.xargs", "find xargs", weight=0.8)
def xargs(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.4)
    ext = some_ext(world, rng, folder)
    what, more = kind(ext)
    program, said, plan = rng.choice((("wc -l", "(count the lines|run wc -l)", "count the lines"), ("ls -l",
        "(list the details|run ls -l)", "list the details"),
        ("du -h", "(show the disk usage|run du -h)", "show the disk usage"), ("md5sum",
        "(compute md5 checksums|run md5sum)", "compute checksums")))
    return ask(rng, f"""
        find <what> <w> and pipe them (null separated|with null bytes|safely) (to|into) xargs to {said}
        {said} (for|on) <all> <what> <w>, with find -print0 and xargs -0
        use find and xargs (with null separators|safely, blanks in names|-0) to {said} (for|on) the <what> <w>
        find -print0 the <what> <w>, then xargs -0 to {said}
        """.replace("(null separated|with null bytes|safely)",
        "(null separated|with null bytes)").replace("safely, blanks in names|", ""),
        f"find {below(folder)} -type f -name '*.{ext}' -print0 | xargs -0 {program}", plan, w=where, what=what, **slots,
        **more)


@schema("tree.total_dirs", "find wc", weight=0.8)
def totals(world: World, rng: random.Random) -> Draft:
    folder = world.pick_dir()
    flag, noun, least, answer = rng.choice((("d", "<subs>", "-mindepth 1 ", "folders"), ("l",
        "(symlinks|symbolic links)", "", "links"),
        ("f -empty", "empty files", "", "empty files"), ("f -executable", "executable files", "", "executable files"),
        ("d -empty", "empty <dirs>", "-mindepth 1 ", "empty folders"),
        ("f -name '.*'", "(hidden files|dotfiles)", "", "hidden files")))
    return ask(rng, f"""
        how many {noun} are (there|) (in|below|under|inside) {{d}} (, at any depth|altogether|in total|)?
        count the {noun} (in|below|under) {{d}} <rec> <num>
        number of {noun} (in|below|under) {{d}} (, all levels|, recursively|)
        <want> the number of {noun} (in|below|under) {{d}} <num>
        {noun} (in|below) {{d}}: how many (in total|)?
        """, f"find {quoted(folder)} {least}-type {flag} | wc -l", f"count the {answer}",
        f"There are {{output}} {answer}.", d=folder)


@schema("tree.exec_change", "find", weight=0.9)
def change_each(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.4)
    ext = some_ext(world, rng, folder)
    what, more = kind(ext)
    program, said, plan = rng.choice((
        ("gzip {} +", "(gzip|compress with gzip|compress)", "compress them"),
        ("cp {} {}.bak \\;", "(make a .bak copy of|copy to the same name plus .bak)", "copy each to .bak"),
        ("truncate -s 0 {} +", "(empty|truncate|clear)", "empty them"),
        ("sed -i '1d' {} +", "(delete the first line of|remove the first line from)", "delete the first line of each")))
    return act(rng, f"""
        {said} <all> <what> <w> <rec>
        {said} (every one of the|all the|each of the) <what> <w>, (subfolders included|at any depth|recursively)
        find <all> <what> <w> and {said} them X
        use find to {said} <all> <what> <w>
        (in the whole tree <w>,|recursively) {said} the <what> Y
        """.replace("find <all> <what> <w> and {said} them X", "").replace("Y",
        "<w>").replace(f"find <all> <what> <w> and {said} them X",
        f"with find -exec, {said} <all> <what> <w>").replace("(in the whole tree <w>,|recursively)", "recursively"),
        f"find {below(folder)} -type f -name '*.{ext}' -exec {program}", plan, w=where, what=what, **slots, **more)
