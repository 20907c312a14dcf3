"""What lies directly in a folder: names, order, kinds, counts."""

from __future__ import annotations

import random
from dataclasses import replace

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import act, amount, ask, folder_of, inside, named, place
from nimllm.agent.gym.schemas.subjects import kind, ordinal, some_ext, volatile
from nimllm.agent.gym.worlds import World


def _ls(options: str, folder: str) -> str:
    words = ["ls", options, "" if folder == "." else quoted(folder)]
    return " ".join(word for word in words if word)


@schema("list.one_per_line", "ls", weight=0.8)
def one_per_line(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng)
    return ask(rng, """
        <list> <all> (files|entries|names|file names) <w>, one per line
        ls <w>, one (name|entry|file) per line
        <list> the (names|entries) <w>, each on (its|a) own line
        (names|file names) <w>, one per line
        <want> a list of the (names|entries) <w> with one name per line
        one (file|entry|name) per line: what is <w>?
        use ls to print one name per line <w>
        simple list of (names|files) <w>, one (each line|a line|per line)
        ls -1 <w>
        what files are <w>? one per line, no details
        """, _ls("-1", folder), "list the names, one per line", None, True, w=w, **slots)


@schema("list.order", "ls", weight=1.5)
def order(world: World, rng: random.Random) -> Draft:
    """A folder's entries in an order that is said."""
    folder, w, slots = place(world, rng, 0.75, 2)
    option, how, plan = rng.choice((
        ("-S", "(largest first|biggest first|sorted by size|by size, largest first|from largest to smallest|"
         "ordered by size, biggest on top)", "by size"),
        ("-Sr", "(smallest first|from smallest to largest|by size, smallest first|sorted by size in ascending order)",
         "by size, smallest first"),
        ("-t", "(newest first|latest first|sorted by time|sorted by modification time|most recent first|"
         "by date, newest on top|from newest to oldest|most recently changed first)", "by time"),
        ("-tr", "(oldest first|from oldest to newest|sorted by time, oldest first|oldest on top|"
         "by modification time in ascending order|in the order in which they were last changed)",
         "by time, oldest first"),
        ("-r", "(in reverse order|in reverse alphabetical order|reversed|from Z to A|alphabetically backwards|"
         "in descending order of name|reverse sorted)", "in reverse order")))
    return ask(rng, f"""
        <list> <all> files <w> {how}
        <list> (what is|everything|all entries) <w>, {how}
        files <w> {how}
        ls <w> {how}
        <want> the files <w> {how}
        <want> to see what is <w>, {how}
        what is <w>? {how}
        names of the files <w>, {how}
        (sort|order) the listing <w>: {how}
        a listing <w> {how} please
        list (the contents|the content) {{x}} {how}
        """, _ls(option, folder), f"list the files {plan}", None, True, w=w,
        x=f"of {folder}" if folder != "." else "of this folder", **slots)


@schema("list.long_in", "ls", weight=1.3)
def long_in(world: World, rng: random.Random) -> Draft:
    """Details of a folder's entries."""
    folder, w, slots = place(world, rng, 0.8)
    option, how, plan = rng.choice((
        ("-l", "(with details|in long form|with permissions, owner and size|in long format|with all details)",
        "with details"),
        ("-lh", "(with human readable sizes|with readable sizes|in long form with sizes like 4K|with details and "
         "human-readable sizes)", "with readable sizes"),
        ("-lt", "(with details, newest first|in long format sorted by time|with dates, most recent first)",
         "with details, newest first"),
        ("-lS", "(with details, largest first|in long format sorted by size|with sizes, biggest first)",
         "with details, largest first"),
        ("-lhS", "(with human readable sizes, largest first|with readable sizes sorted by size)",
         "with readable sizes, largest first"),
        ("-ltr", "(with details, oldest first|in long format, newest last|with dates, oldest on top)",
         "with details, oldest first")))
    return ask(rng, f"""
        <list> <all> files <w> {how}
        (long|detailed) listing <w> {{x}}{how}
        ls <w> {how}
        <want> the files <w> {how}
        <see> what is <w> {how}
        what is <w>? {how}
        details please: the files <w> {how}
        (list|show) everything <w> {how}
        """, _ls(option, folder), f"list the files {plan}", None, True, w=w, x="", **slots)


@schema("list.long_all", "ls", weight=0.8)
def long_all(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng, 0.6)
    return volatile(ask(rng, """
        <list> all files <w> with details, (hidden ones too|including hidden ones|also the hidden ones)
        ls -la <w>
        (long|detailed) listing <w> (including|with) (dotfiles|hidden files)
        everything <w> with permissions, hidden files too
        <list> (really|) everything <w> with owner, size and date, also (dotfiles|hidden files)
        <want> a full listing <w>, hidden files included
        long format, all files (hidden ones included|including dotfiles) <w>
        show details of all files, hidden too, <w>
        """, _ls("-la", folder), "list everything with details", w=w, **slots))


@schema("list.hidden_in", "ls", weight=0.8)
def hidden_in(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng)
    world.add_file(f"{folder}/." + world.new_name("file", rng.choice(("rc", "env", "cfg"))), world.text(2))
    return ask(rng, """
        <list> all files in {folder}, (also|including|even) (the|) hidden (ones|files)
        what is in {folder}? (hidden files too|also the hidden ones|including dotfiles)
        everything in {folder} including (dotfiles|hidden files)
        (list|show) the <dir> {folder} with hidden files
        ls {folder} (with|including) (dotfiles|hidden files|hidden ones)
        <want> to see the hidden files in {folder} (too|as well)
        contents of {folder}, hidden (ones|entries|files) included
        ls -A {folder}
        """, f"ls -A {quoted(folder)}", f"list {folder}, hidden files too", folder=folder)


@schema("list.only_hidden", "find", weight=0.7)
def only_hidden(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng) if rng.random() < 0.4 else "."
    prefix = "" if folder == "." else folder + "/"
    for _ in range(rng.randint(1, 3)):
        world.add_file(prefix + "." + world.new_name("file", rng.choice(("rc", "env", "cfg", "ini"))), world.text(2))
    w = "in {folder}" if prefix else "<here>"
    return ask(rng, """
        <list> only the (hidden files|dotfiles) <w>
        <find> the (dotfiles|hidden files) <w> and nothing else
        which (dotfiles|hidden files) are there <w>?
        files whose name starts with a dot <w> (, not in subfolders|)
        (hidden files|dotfiles) <w> only
        <want> just the hidden files <w>
        only dotfiles <w>, please
        are there dotfiles <w>? list only those
        """.replace("<w>", w), f"find {quoted(folder)} -maxdepth 1 -type f -name '.*'", "list the hidden files",
        **named(folder))


@schema("list.only_files", "find", weight=1.2)
def only_files(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng)
    names = rng.random() < 0.4
    how = "(names only|without the path|just the names|base names only)" if names else "(with their paths|)"
    tail = " -printf '%f\\n'" if names else ""
    return ask(rng, f"""
        <list> only the files <w> <flat>, {how}
        <list> (the|all) files (but not the|, no|without the|and no) <dirs> <w>, <flat> {how}
        (regular|plain|ordinary) files <w> <flat>, {how}
        which entries <w> are (regular|plain|ordinary) files? {how}
        <find> (regular|plain) files <w>, not deeper than one level, {how}
        <want> only the files, (not the|no) <dirs>, <w>, not recursive, {how}
        files directly <w> (not recursive|without recursion), {how}
        just files <w>, (leave out|skip|ignore) the <dirs> and what is in them, {how}
        """, f"find {quoted(folder)} -maxdepth 1 -type f{tail}", "list the files only", w=w, **slots)


@schema("list.only_folders", "find", weight=1.2)
def only_folders(world: World, rng: random.Random) -> Draft:
    parents = [path for path in world.dirs() if any(other.startswith(path + "/") for other in world.dirs())]
    world.pick_dir()
    folder = rng.choice(parents) if parents and rng.random() < 0.6 else "."
    w = "(in {folder}|of {folder}|directly in {folder}|in the <dir> {folder})" if folder != "." else "<here>"
    names = rng.random() < 0.35
    how = ", names only" if names else ""
    tail = " -printf '%f\\n'" if names else ""
    return ask(rng, f"""
        <list> only the (top-level|immediate|direct) <subs> <w>{how}
        <list> the <subs> <w>, (not deeper|one level deep|first level only|no recursion){how}
        (top-level|first-level|immediate) <subs> <w>{how}
        which <subs> are there directly <w>{how}?
        <find> the <subs> <w>, without (going deeper|recursion|recursing){how}
        <want> just the <subs> (, no files,|) one level deep <w>{how}
        what <subs> (lie|are) on the first level <w>{how}?
        <dirs> directly <w>, no files, not recursive{how}
        """, f"find {quoted(folder)} -mindepth 1 -maxdepth 1 -type d{tail}", "list the folders only", w=w,
        **named(folder))


@schema("list.folders_slash", "ls", weight=0.8)
def folders_slash(world: World, rng: random.Random) -> Draft:
    if not any("/" not in path and not path.startswith(".") for path in world.dirs()):
        raise Unsuitable("no folder")
    return ask(rng, """
        (list|show) only <dirs> here with ls
        use ls to (list|show) only the <dirs> (here|in the current directory|)
        ls only (the|) <dirs>
        ls -d */
        ls, but just <dirs>
        list the <dirs> (here|in this folder|) with a slash (at the end|behind)
        only the <dirs> <here>, as ls shows them
        """, "ls -d */", "list the folders")


@schema("list.count_entries", "ls wc", weight=1.5)
def count_entries(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng, 0.7)
    hidden = rng.random() < 0.25
    also = "(, hidden ones too|, including hidden ones|, with dotfiles)" if hidden else ""
    if hidden:
        world.add_file(("" if folder == "." else folder + "/") + "." + world.new_name("file", "cfg"), "x\n")
    command = f"{_ls('-A' if hidden else '', folder)} | wc -l"
    return ask(rng, f"""
        how many (entries|items|things) are (there|) <w>{also}?
        count the (entries|items|things) <w>{also}
        number of (entries|items) <w>{also} (, files and folders|)
        how many (files and folders|files and directories) are (there|) (directly|) <w>{also}? (not recursive|)
        count what ls shows <w>{also}
        <want> the number of (entries|items|files and folders) <w>{also} <num>
        pipe ls into wc to count (the entries|everything) <w>{also}
        (entries|items) <w>{also}: how many?
        (tell me|say) how many (things|items) lie <w>{also}
        """, command, "count the entries", "There are {output} entries.", w=w, **slots)


@schema("list.count_files_direct", "find wc", weight=1.2)
def count_files_direct(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng, 0.6)
    noun, flag = rng.choice((("files", "f"), ("files", "f"), ("<subs>", "d")))
    if flag == "d" and not any(path.startswith("" if folder == "." else folder + "/") for path in world.dirs()):
        raise Unsuitable("no folders")
    least = "-mindepth 1 " if flag == "d" else ""
    return ask(rng, f"""
        how many {noun} are directly <w> <flat>?
        count (only|just|) the {noun} <w> <flat> <num>
        number of {noun} <w> (not recursive|not counting subfolders|without subfolders|first level only) <num>
        how many {noun} (lie|are) <w>, not counting (what is in|those in) subfolders?
        <want> the number of {noun} <w>, (not recursive|without recursion|no subfolders) <num>
        count {noun} <w> on the top level (only|)
        {noun} directly <w>: how many?
        """, f"find {quoted(folder)} {least}-maxdepth 1 -type {flag} | wc -l",
        f"count the {'files' if flag == 'f' else 'folders'}",
        "There are {output}.", w=w, **slots)


@schema("list.extension_direct", "find", weight=1.2)
def extension_direct(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng, 0.6)
    found = sorted({path.rsplit(".", 1)[1] for path in inside(world, folder) if "." in path.rsplit("/", 1)[-1][1:]})
    if not found or not (ext := rng.choice(found)).isalnum():
        raise Unsuitable("no extension")
    what, more = kind(ext)
    count = rng.random() < 0.35
    if count:
        return ask(rng, """
            how many <what> are directly <w> <flat>?
            count the <what> <w> <flat> <num>
            number of <what> directly <w>, not recursive
            count (only|just) the <what> that lie directly <w>
            <want> the number of <what> <w>, not counting subfolders
            <what> <w>, top level only: how many?
            """, f"find {quoted(folder)} -maxdepth 1 -type f -name '*.{ext}' | wc -l", f"count the .{ext} files",
            "There are {output} files.", w=w, what=what, **slots, **more)
    return ask(rng, """
        <list> <all> <what> directly <w> <flat>
        <list> the <what> <w>, but not those in subfolders
        <what> <w>, (top level only|not recursive|not deeper|first level only)
        which <what> lie directly <w>?
        <find> <what> <w> without (recursion|going into subfolders|descending)
        <want> only the <what> that are directly <w>
        <list> <what> <w> (non-recursively|not recursively)
        """, f"find {quoted(folder)} -maxdepth 1 -type f -name '*.{ext}'", f"find the .{ext} files", w=w, what=what,
        **slots, **more)


@schema("list.first_of_order", "ls head", weight=1.6)
def first_of_order(world: World, rng: random.Random) -> Draft:
    """The newest, oldest, largest or smallest entries."""
    folder, w, slots = place(world, rng, 0.6, 3)
    option, word, plan = rng.choice((
        ("-t", "(newest|latest|most recent|most recently modified|last modified|last changed|most recently changed)",
        "newest"),
        ("-t", "(newest|latest|most recent|youngest)", "newest"),
        ("-tr", "(oldest|least recently modified|least recently changed)", "oldest"),
        ("-S", "(largest|biggest)", "largest"), ("-Sr", "smallest", "smallest")))
    mixed = any(path.startswith("" if folder == "." else folder + "/") for path in world.dirs())
    if mixed and (rng.random() < 0.7 or plan in ("largest", "smallest")):  # a folder may come first: no "file"
        raise Unsuitable("folders")
    one, many = ("(entry|thing)", "(entries|things)") if mixed else ("(file|file|entry)", "(files|files|entries)")
    n = rng.choice((1, 1, 2, 3, 3, 4, 5, 5, 10))
    if n == 1:
        return ask(rng, f"""
            (which|what) is the {word} {one} <w>?
            <show> the (name of the|) {word} {one} <w>
            {word} {one} <w>
            {word} {one} <w>, name only
            <want> the (name of the|) {word} {one} <w>
            (which|what) {one} <w> is the {word} (one|)?
            use ls to find the {word} {one} <w>
            (find out|tell me) which {one} <w> is the {word}
            the {word} {one} <w> is called what?
            """, f"{_ls(option, folder)} | head -n 1", f"find the {plan} file", f"The {plan} is {{output}}.", True, w=w,
            **slots)
    return ask(rng, f"""
        <show> the {{n}} {word} {many} <w>
        (which|what) are the {{n}} {word} {many} <w>?
        the {{n}} {word} {many} <w> (, names only|)
        (top|first) {{n}} of the {word} {many} <w>
        <want> the (names of the|) {{n}} {word} {many} <w>
        {{n}} {word} {many} <w>
        use ls and head for the {{n}} {word} {many} <w>
        names of the {{n}} {word} {many} <w>, {word} first
        """, f"{_ls(option, folder)} | head -n {n}", f"find the {n} {plan} files", None, True, w=w, n=amount(rng, n),
        **slots)


@schema("list.first_alphabetical", "ls head tail", weight=0.8)
def first_alphabetical(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng, 0.5, 3)
    n = rng.choice((1, 1, 2, 3, 5))
    last = rng.random() < 0.5
    word = "last" if last else "first"
    m = amount(rng, n) if n > 1 else ""
    noun = "(names|entries|files and folders)" if n > 1 else "(name|entry)"
    return ask(rng, f"""
        (which|what) (is|are) the {word} {{m}} {noun} <w> (in alphabetical order|alphabetically)?
        <show> the {word} {{m}} {noun} <w> (in alphabetical order|alphabetically|of ls)
        {word} {{m}} {noun} <w> by alphabet
        (alphabetically|in alphabetical order) the {word} {{m}} {noun} <w>
        the {word} {{m}} {noun} that ls prints <w>
        <want> the {word} {{m}} {noun} <w>, sorted by name
        ls <w>, only the {word} {{m}} (line|lines|{noun})
        """.replace("(is|are)", "are" if n > 1 else "is").replace("(line|lines|", "(lines|" if n > 1 else "(line|"),
        f"{_ls('', folder)} | {'tail' if last else 'head'} -n {n}", f"list the {word} {n} names", None, True, w=w, m=m,
        **slots)


@schema("list.nth_of_order", "ls sed", weight=0.5)
def nth_of_order(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng, 0.5, 4)
    if any(path.startswith("" if folder == "." else folder + "/") for path in world.dirs()):
        raise Unsuitable("folders")
    option, word = rng.choice((("-t", "(newest|latest|most recent)"), ("-S", "(largest|biggest)"), ("-tr", "oldest"),
        ("-Sr", "smallest")))
    n = rng.choice((2, 2, 3, 3, 4))
    return ask(rng, f"""
        (which|what) is the {{n}} {word} file <w>?
        <show> the (name of the|) {{n}} {word} file <w>
        {{n}} {word} file <w>
        not the {word} but the {{n}} {word} file <w>
        <want> the {{n}} {word} file <w>
        (find|get) the {{n}} {word} file <w> with ls and sed
        """, f"{_ls(option, folder)} | sed -n {n}p", f"find the {ordinal(n)} file", "It is {output}.", True, w=w,
        n=rng.choice((ordinal(n), ("", "", "second", "third", "fourth")[n])), **slots)


@schema("list.recursive", "ls", weight=0.7)
def recursive(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng) if rng.random() < 0.6 else "."
    w = "(in|of|below|under) {folder}" if folder != "." else "(here|in this folder|of the current directory)"
    return ask(rng, """
        recursive ls <w>
        ls -R <w>
        (list|show) everything <w> recursively, folder by folder
        recursive listing <w>, grouped by folder
        use ls to list everything <w>, also in (the|) subfolders
        ls <w> and (all|) its subfolders, recursively
        """, _ls("-R", folder), "list everything recursively", None, True, w=w,
        **named(folder))


@schema("list.classified", "ls", weight=0.4)
def classified(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng)
    return ask(rng, """
        <list> (the entries|everything) <w> with a slash (after|behind) <dirs> and a star (after|behind) programs
        <list> the entries <w>, marking <dirs> with / and executables with *
        ls <w> with (type|kind) (indicators|markers)
        ls -F <w>
        (mark|show) <dirs> with a slash and programs with a star in a listing <w>
        """, _ls("-F", folder), "list with markers", w=w, **slots)


@schema("list.commas", "ls", weight=0.5)
def commas(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng)
    return ask(rng, """
        <list> the (files|names|entries) <w> (separated by|with) commas
        comma-separated list of the (files|names|entries) <w>
        names <w>, (comma separated|separated by commas|with commas between)
        ls -m <w>
        <want> the file names <w> as a comma separated list
        (print|show) everything <w> on one line with commas
        """.replace("on one line ", ""), _ls("-m", folder), "list with commas", None, True, w=w, **slots)


@schema("list.tree", "tree", weight=0.8)
def tree(world: World, rng: random.Random) -> Draft:
    folder = rng.choice([".", world.pick_dir()])
    w = "(of|for|below|under) {folder}" if folder != "." else "(of this folder|here|of the current directory|)"
    option, how = rng.choice((("", ""), ("", ""), (f"-L {(n := rng.randint(1, 3))}",
        f"(, {n} levels deep|, down to level {n}|"
        f", depth {n}|limited to {n} levels)"), ("-d",
        "(with only the folders|, folders only|, directories only|, without files)"),
        ("-a", "(, hidden files too|with hidden files|including dotfiles)")))
    words = ["tree", option, "" if folder == "." else quoted(folder)]
    return ask(rng, f"""
        <show> the (folder|directory|file) tree <w> {how}
        tree <w> {how}
        (draw|print|show) <w> the tree {how}
        <want> to see the (folder structure|directory structure|structure) <w> as a tree {how}
        (folder|directory) structure <w> as a tree {how}
        use tree to show the (structure|layout) <w> {how}
        what does the (tree|directory tree) <w> look like {how}?
        """.replace("(draw|print|show) <w> the tree", "(draw|print) a tree <w>"),
        " ".join(word for word in words if word),
        "show the tree", None, True, w=w, **named(folder))


@schema("list.into_file", "ls", weight=1.0)
def into_file(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng)
    target = world.new_name("file", rng.choice(("txt", "lst", "txt")))
    return act(rng, """
        (write|save|put|store) (the|a) (list|listing) of (the|all) files in {folder} (to|into|in) {t}
        (write|save|put) the names of (all|the) (files|entries) in {folder} (to|into|in) {t}
        {t} should (list|contain the names of) (all|the) (files|entries) in {folder}
        ls {folder} (into|to) {t}
        (redirect|send) the output of ls {folder} (to|into) {t}
        (make|create) {t} with (a list|the names) of everything in {folder}
        list {folder} into {t}
        I need the file names of {folder} in a file (called|named) {t}
        """, f"ls {quoted(folder)} > {quoted(target)}", f"write the listing of {folder} to {target}", folder=folder,
        t=target)


@schema("list.numbered", "ls cat", weight=0.4)
def numbered(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng)
    return ask(rng, """
        (numbered|enumerated) list of the (files|entries|names) <w>
        <list> the (files|entries|names) <w> with (numbers|line numbers|a running number)
        number the (files|entries) <w>
        ls <w> with (line numbers|numbers in front)
        (files|entries) <w>, numbered
        <want> a numbered listing <w>
        """, f"{_ls('', folder)} | cat -n", "number the entries", None, True, w=w, **slots)


@schema("list.sizes_names", "stat", weight=0.7)
def sizes_names(world: World, rng: random.Random) -> Draft:
    folder, w, slots = place(world, rng)
    stars = "*" if folder == "." else f"{quoted(folder)}/*"
    form, what = rng.choice((("%s %n", "(the size in bytes and the name|size in bytes and name|the byte size and the "
        "name)"),
        ("%a %n", "(the octal permissions and the name|the octal mode and the name|octal permissions and name)"),
        ("%n %s", "(name and size in bytes|the name and the size in bytes)"),
        ("%A %n", "(the permissions and the name|permissions like -rw-r--r-- and the name)"),
        ("%U %n", "(the owner and the name|owner and name)")))
    made = ask(rng, f"""
        <show> {what} of (every|each) (file|entry) <w>
        (for|of) (every|each) (file|entry) <w>: {what}
        {what} of all (files|entries) <w>, one per line
        <want> {what} of (all|the) (files|entries) <w>
        use stat to print {what} for everything <w>
        (list|print) {what} for all (files|entries) <w>
        """, f"stat -c '{form}' {stars}", "show it for each entry", w=w, **slots)
    return replace(made, volatile=form.startswith("%U"))


@schema("list.extension_sorted", "ls", weight=0.6)
def glob(world: World, rng: random.Random) -> Draft:
    ext = some_ext(world, rng)
    here = [path for path in inside(world, "") if path.endswith(f".{ext}")]
    if not here:
        raise Unsuitable("none here")
    option, how, plan = rng.choice((("-t", "(newest first|by time|sorted by time)", "by time"), ("-S",
        "(largest first|by size|sorted by size)",
        "by size"), ("-l", "(with details|in long form)", "with details"), ("-lh", "with human readable sizes",
        "with readable sizes")))
    what, more = kind(ext)
    return ask(rng, f"""
        ls <all> <what> here {how}
        <list> <all> <what> in this folder {how}
        <what> here {how}
        <want> the <what> in the current directory {how}
        ls {{star}} {how}
        the <what> in this directory, {how}
        """, f"ls {option} *.{ext}", f"list the .{ext} files {plan}", None, True, what=what, **more)
