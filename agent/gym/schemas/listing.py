"""What lies in a folder: names, sizes, times, rights."""

from __future__ import annotations

import random

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single
from nimllm.agent.gym.schemas.subjects import HERE, SHOW, ordinal, scope
from nimllm.agent.gym.worlds import World

_FOLDER = "(folder|directory|dir|folder|directory)"


@schema("mode.show", "stat", weight=0.8)
def show_mode(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    world.entries[name].mode = rng.choice((0o600, 0o640, 0o700, 0o755, 0o444, 0o664, 0o750, 0o644))
    return single(rng, (
        "{f}: permissions as a number?",
        "I need the (octal|numeric) (mode|permissions) of {f}",
        "which number would chmod need to make a file like {f}?",
        "get the octal mode of {f}",
        "(octal|numeric) access rights of {f}",
        "what are the permissions of {f} (in octal|as a number|)?",
        f"{SHOW} the (octal|numeric|) (mode|permissions) of {{f}}",
        "which (mode|permissions) does {f} have?", "(octal|numeric|) permissions of {f}", "what mode is {f}?",
        "what mode does {f} have?"),
        f"stat -c %a {quoted(name)}", f"show the permissions of {name}", True,
        "{f} has the permissions {output}.".replace("{f}", name), f=name)


@schema("size.bytes", "stat", weight=1.3)
def size(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "{f}: how many bytes?",
        "I need the (byte size|size in bytes|exact size) of {f}",
        "(byte count|size in bytes|number of bytes) of {f}",
        "how many bytes long is {f}?",
        "bytes in {f}?",
        "tell me how (large|big) {f} is, in bytes",
        "(exact|) size of {f}, in bytes, just the number",
        "use stat to get the size of {f}",
        "how (big|large) is {f} (in bytes|)?", "what is the size of {f} (in bytes|)?",
        f"{SHOW} the (file|) size of {{f}} (in bytes|)", "size of {f} (in bytes|)?",
        "how many bytes (does {f} have|is {f})?",
        "(how much space|how many bytes) does {f} take?", "get the size in bytes of {f}", "(file|) size {f}"),
        f"stat -c %s {quoted(name)}", f"show the size of {name}", True,
        "{f} is {output} bytes.".replace("{f}", name), f=name)


@schema("time.modified", "stat", weight=0.8)
def modified(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "I need (the time of the last change|the mtime) of {f}",
        "(last modified|modification time), {f}",
        "at what time was {f} (last|) changed",
        "tell me when {f} was last (touched|edited|written)",
        "use stat to see when {f} was modified",
        "{f}: last change?",
        "when was {f} (last|) (modified|changed|edited)?",
        f"{SHOW} the (modification time|mtime|modification date) of {{f}}",
        "(what is|get) the (modification time|last change) of {f}(|?)", "last (change|modification) of {f}",
        "when did {f} (last|) change?", "how old is {f}?"),
        f"stat -c %y {quoted(name)}", f"show when {name} was modified", True, f=name)


@schema("size.folder", "du", weight=1.3)
def folder_size(world: World, rng: random.Random) -> Draft:
    name = world.pick_dir()
    return single(rng, (
        "I need the (total|) size of the (folder|directory) {d} (, human readable|)",
        "{d}: how much space?",
        "how much does {d} (weigh|take up|occupy)?",
        "tell me how (large|big) the (folder|directory) {d} is",
        "(total|overall) disk usage of {d} (, human readable|)",
        "summary of the disk usage of {d}",
        "space taken by {d}",
        f"how (big|large) is the {_FOLDER} {{d}}?",
        f"(how much|what) (disk|) space does (the {_FOLDER}|) {{d}} (use|take|need)?",
        f"(show|print|get) the (total|) size of (the {_FOLDER}|) {{d}}", "(disk usage|size) of {d}", "du {d}",
        f"what is the (total|) size of (the {_FOLDER}|) {{d}}?", "(disk usage|space used by) {d}?"),
        f"du -sh {quoted(name)}", f"measure the folder {name}", True, d=name)


@schema("size.folders", "du", weight=0.7)
def folder_sizes(world: World, rng: random.Random) -> Draft:
    if len([path for path in world.dirs() if "/" not in path]) < 2:
        raise Unsuitable("too few folders")
    return single(rng, (
        f"how (big|large) are the (folders|directories|subfolders) {HERE}?",
        "(disk usage|size|space) of (each|every) (folder|subfolder|directory)",
        f"{SHOW} the size of (each|every) (folder|directory|subfolder) {HERE}",
        f"which (folder|directory) uses how much space {HERE}?",
        f"how much (disk|) space does (each|every) (folder|directory) {HERE} (take|use)?",
        "sizes of all (folders|subfolders|directories)"),
        "du -sh */", "measure each folder", True)


@schema("size.human", "ls", weight=0.6)
def human(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"(list|show) (all|the|) files with (human readable|human-readable|readable) sizes {HERE}",
        f"{SHOW} (the|all) files and (their|) sizes {HERE}, (human readable|human-readable)",
        "ls with (human readable|readable) sizes",
        f"(long|detailed) listing {HERE} with (human readable|human-readable) sizes",
        f"show (me|) sizes like 4K or 2M for the files {HERE}",
        f"list (everything|all files) {HERE} with sizes (in K and M|in human readable form)"),
        "ls -lh", "list the files with readable sizes", True)


@schema("list.plain", "ls", weight=1.5)
def list_plain(world: World, rng: random.Random) -> Draft:
    folder, _, slots = scope(world, rng)
    if folder != "." and not world.files(under=folder):
        raise Unsuitable("empty")
    if folder == ".":
        return single(rng, (
        "I'd like to see what is (here|in this folder)",
        "(give me|print) the names of the files here",
        "directory listing",
        "files here?",
        "show directory contents",
        "what have we got here?",
        f"(list|show) (the|all|all the|my|) files {HERE}", "ls", "what is (in here|in this folder|here)?",
            "what files are (there|here)?",
            "which files are (here|in this folder|in the current directory)?",
            "show (me|) (what is here|the contents of this folder)",
            "what do we have here?", "list this (folder|directory)", "(list|show) everything (here|in this folder)"),
            "ls", "list the files", True)
    return single(rng, (
        f"(list|show) (the|all|all the|) files in (the {_FOLDER}|) {{folder}}", "ls {folder}",
        f"what is in (the {_FOLDER}|) {{folder}}?",
        f"which files are in (the {_FOLDER}|) {{folder}}?",
        f"show (me|) (the contents of|what is in) (the {_FOLDER}|) {{folder}}",
        f"what does (the {_FOLDER}|) {{folder}} contain?", "contents of {folder}", f"list the {_FOLDER} {{folder}}"),
        f"ls {quoted(folder)}", f"list {folder}", True, **slots)


@schema("list.hidden", "ls", weight=0.8)
def list_hidden(world: World, rng: random.Random) -> Draft:
    world.add_file("." + world.new_name("file", rng.choice(("rc", "env", "cfg", "ini"))), world.text(2))
    return single(rng, (
        f"(list|show) all files {HERE}, (also|including|even) (the|) hidden (ones|files)",
        f"(list|show) (also|) the hidden files {HERE} (too|)",
        "ls -a", f"(are there|which) hidden files {HERE}?",
        f"(list|show) everything {HERE} including (dotfiles|hidden files)",
        f"show (me|) (all|) the (dotfiles|hidden files) (as well|too|) {HERE}",
        f"what (dotfiles|hidden files) are {HERE}?"),
        "ls -A", "list all files, hidden ones too", True)


@schema("list.long", "ls", weight=0.8)
def list_long(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "I'd like the files with all details",
        "file list with dates and sizes",
        "ls with details",
        "all about the files here: rights, owner, size, date",
        f"(list|show) (all|the|) files {HERE} with (details|permissions and sizes|owner and size)", "ls -l",
        f"(long|detailed) listing {HERE}",
        f"{SHOW} (the|all) (details|permissions, owners and sizes) of the files {HERE}",
        f"show (me|) (permissions|owners) of (the|all) files {HERE}",
        f"who owns the files {HERE}?", f"a (long|detailed) list of (the|all) files {HERE}"),
        "ls -l", "list the files with details", True)


@schema("list.by_size", "ls", weight=1.0)
def list_by_size(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "which files here are big? sort by size",
        "I'd like the files (ordered|sorted) by size, (largest|biggest) first",
        "size order please: list the files here",
        "what takes the space here? biggest files first",
        f"(list|show) (the|all|) files {HERE} (sorted|ordered) by size", f"sort (the|all|) files {HERE} by size",
        "ls by size",
        f"(list|show) (the|all|) files {HERE} from (largest|biggest) to smallest",
        f"(list|show) (the|) (largest|biggest) files (first|on top) {HERE}",
        f"files {HERE} by size, (largest|biggest) first"),
        "ls -S", "list the files by size", True, ordered=True)


@schema("list.by_time", "ls", weight=1.0)
def list_by_time(world: World, rng: random.Random) -> Draft:
    oldest = rng.random() < 0.35
    if oldest:
        return single(rng, (
        "I'd like the files (ordered|sorted) by time, newest first",
        "what was changed recently here? newest first",
        "most recently changed files first",
        "chronological listing, newest on top",
        f"(list|show) (the|all|) files {HERE} from oldest to newest",
            f"(list|show) (the|) oldest files first {HERE}", f"files {HERE} by (time|date), oldest first",
            f"sort (the|all|) files {HERE} by (time|date|age), oldest first",
            f"(list|show) (the|all) files {HERE} by (date|time), (the|) newest (last|at the end)",
            "ls by time, oldest first"),
            "ls -tr", "list the files, oldest first", True, ordered=True)
    return single(rng, (
        f"(list|show) (the|all|) files {HERE} (sorted|ordered) by (time|date|modification time)",
        f"sort (the|all|) files {HERE} by (time|date|age)", "ls by time",
        f"(list|show) (the|all|) files {HERE} from newest to oldest",
        f"(list|show) (the|) newest files (first|on top) {HERE}",
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
            f"(what|which) is the {adjective} (file|entry) {HERE}?", f"{SHOW} the {adjective} file {HERE}",
            f"{adjective} file {HERE}?", f"find the {adjective} file {HERE}",
            f"which file {HERE} (is the {adjective}|is {adjective})?", f"name (of|) the {adjective} file {HERE}",
            f"which file {HERE} was changed (first|longest ago)?" if old
            else f"which file {HERE} (was changed|changed|did I change) last?")
    else:
        templates = (f"{SHOW} the {{n}} {adjective} files {HERE}",
            f"(what|which) are the {{n}} {adjective} files {HERE}?",
                     f"the {{n}} {adjective} files {HERE}", f"find the {{n}} {adjective} files {HERE}",
                     f"{{n}} {adjective} files {HERE}?", f"which {{n}} files {HERE} are the {adjective}?")
    word = "oldest" if old else "newest"
    return single(rng, templates, f"ls {'-tr' if old else '-t'} | head -n {n}",
                  f"list the {word} {'file' if n == 1 else f'{n} files'}", True,
                  f"The {word} file is {{output}}." if n == 1 else None, ordered=True, n=n)


@schema("file.type", "file", weight=0.8)
def file_type(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "I need to know what (kind|type) of file {f} is",
        "{f}: text or binary?",
        "is {f} text, or something else?",
        "tell me the type of {f}",
        "what (kind|type|sort) of file is {f}?", "(show|tell me|determine) the (file|) type of {f}", "what is {f}?",
        "file type of {f}",
        "is {f} a text file?", "which (type|kind) does {f} have?"),
        f"file {quoted(name)}", f"determine the type of {name}", True, f=name)


@schema("file.nth", "ls sed", weight=0.4)
def nth_entry(world: World, rng: random.Random) -> Draft:
    shown = [path for path in world.entries if "/" not in path and not path.startswith(".")]
    n = rng.randint(1, max(1, min(9, len(shown))))
    return single(rng, (
        f"what is the {{o}} file {HERE} (in alphabetical order|)?", f"{SHOW} the {{o}} (entry|file) of the listing",
        f"the {{o}} file {HERE}?",
        "(print|give) the name of the {o} file (in alphabetical order|)",
        f"which file comes {{o}} {HERE} (alphabetically|in the listing)?",
        "{o} name in the (directory|folder) listing"),
        f"ls | sed -n {n}p", f"show the {ordinal(n)} entry", True, o=ordinal(n))
