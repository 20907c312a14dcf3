"""Finding files by name, kind, size and age; finding lines in files."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import (
    SHOW,
    below,
    kind,
    pattern_in,
    scope,
    some_ext,
    text_file,
    word_in,
)
from nimllm.agent.gym.worlds import World

_FIND = "(find|list|show|show me|give me|search for|print)"
_LINES = "(lines|the lines|all lines|all the lines|every line)"


@schema("find.by_extension", "find", weight=2.5)
def by_extension(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    ext = some_ext(world, rng, folder)
    what, more = kind(ext)
    return single(rng, (
        f"{_FIND} (all|all the|the|) {what} {where}",
        f"(which|what) {what} are (there|) {where}?",
        f"where are the {what} {where}?",
        f"(find|list) every one of the {what} {where}",
        f"{SHOW} (the names of|the paths of|) (all|the) {what} {where}",
        f"(look for|locate) {what} {where}",
        f"{what} {where}?",
        f"(do we|do I) have (any|) {what} {where}?"),
        f"find {below(folder)} -type f -name '*.{ext}'", f"find the .{ext} files", True, **slots, **more)


@schema("find.count_extension", "find wc", weight=2.5)
def count_extension(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    ext = some_ext(world, rng, folder)
    what, more = kind(ext)
    return single(rng, (
        f"how many {what} are (there|) {where}?",
        f"count (the|all|all the|) {what} {where}",
        f"(what is the|give me the|) number of {what} {where}",
        f"how many {what} (do we|do I) have {where}?",
        f"tell me how many {what} (there are|exist) {where}",
        f"{what} {where}: how many?",
        f"(count|total) of {what} {where}"),
        f"find {below(folder)} -type f -name '*.{ext}' | wc -l", f"count the .{ext} files", True,
        f"There are {{output}} .{ext} files.", **slots, **more)


@schema("find.count_files", "find wc", weight=1.5)
def count_files(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    return single(rng, (
        f"how many files are (there|) {where}?",
        f"count (the|all|all the|) files {where}",
        f"(what is the|give me the|) (total|) number of files {where}",
        f"how many files (do we|do I) have {where}?",
        f"tell me how many files (there are|exist) {where}",
        f"(file count|number of files) {where}",
        f"count files {where} (recursively|including subfolders|)"),
        f"find {below(folder)} -type f | wc -l", "count the files", True, "There are {output} files.", **slots)


@schema("find.count_folders", "find wc")
def count_folders(world: World, rng: random.Random) -> Draft:
    noun = "(folders|directories|subfolders|subdirectories)"
    return single(rng, (
        f"how many {noun} are (there|) (here|in this folder|)?",
        f"count (the|all|all the|) {noun} (here|in this folder|)",
        f"(what is the|give me the|) number of {noun} (here|)",
        f"how many {noun} (do we|do I) have (here|)?",
        f"tell me how many {noun} (there are|exist)",
        f"{noun} (here|) : how many?"),
        "find . -mindepth 1 -type d | wc -l", "count the folders", True, "There are {output} folders.")


@schema("find.files", "find")
def all_files(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    return single(rng, (
        f"{_FIND} all files {where} (recursively|including subfolders|and below|with their paths)",
        f"(list|show) every file {where}, (also|even) (in subfolders|below)",
        f"(list|show|print) the (paths|path names) of all files {where}",
        f"all files {where} (and its subfolders|recursively)",
        f"find (every|each) file {where}",
        f"recursive list of (the|all) files {where}"),
        f"find {below(folder)} -type f", "find all files", True, **slots)


@schema("find.folders", "find")
def folders(world: World, rng: random.Random) -> Draft:
    world.pick_dir()
    noun = "(folders|directories|subfolders|subdirectories)"
    return single(rng, (
        f"{_FIND} (all|all the|the|) {noun} (here|in this folder|)",
        f"(which|what) {noun} are (there|here)?",
        f"(list|show) only (the|) {noun} (here|)",
        f"{SHOW} (the names of|) (all|the) {noun}",
        f"what {noun} (do we|do I) have?",
        f"{noun} (here|)?",),
        "find . -mindepth 1 -type d", "find the folders", True)


@schema("find.by_name", "find", weight=1.5)
def by_name(world: World, rng: random.Random) -> Draft:
    path = world.pick_file()
    name = PurePosixPath(path).name
    return single(rng, (
        "where is (the file|) {f}?",
        "find (the file|) {f}",
        "(locate|search for|look for) (the file|) {f}",
        "in which (folder|directory) is (the file|) {f}?",
        "which (folder|directory) (has|contains|holds) {f}?",
        "(what is|show|print) the path of {f}",
        "I (cannot|can't) find {f}"),
        f"find . -name {quoted(name)}", f"find {name}", True, f=name)


@schema("find.name_contains", "find", weight=1.3)
def name_contains(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.25)
    path = world.pick_file(under="" if folder == "." else folder)
    part = _part(rng, PurePosixPath(path).name)
    return single(rng, (
        f"{_FIND} (all|the|) files {where} (with|that have) {{w}} in (the|their) name",
        f"(which|what) files {where} have {{w}} in (the|their) name?",
        f"{_FIND} (all|the|) files whose name contains {{w}} {where}",
        f"(find|list) files (named|called) something with {{w}} {where}",
        f"(file names|names) (containing|with) {{w}} {where}",
        f"is there a file with {{w}} in its name {where}?"),
        f"find {below(folder)} -type f -name '*{part}*'", f"find files with {part} in the name", True, w=part, **slots)


def _part(rng: random.Random, name: str) -> str:
    """A run of letters or digits of the name."""
    import re

    runs = [run for run in re.findall(r"[A-Za-z]{3,}|\d{2,}", name.rsplit(".", 1)[0])]
    if not runs:
        raise Unsuitable("no part")
    return rng.choice(runs)


@schema("find.name_starts", "find")
def name_starts(world: World, rng: random.Random) -> Draft:
    name = PurePosixPath(world.pick_file()).name
    if not name[0].isalnum():
        raise Unsuitable("no letter")
    cut = rng.choice((1, 1, 2, 3))
    start = name[:cut]
    if not start.isalnum():
        raise Unsuitable("no letter")
    return single(rng, (
        f"{_FIND} (all|the|) files (that start|starting|that begin|beginning) with {{w}}",
        "(which|what) files (start|begin) with {w}?",
        f"{_FIND} (all|the|) files whose name (starts|begins) with {{w}}",
        "files (starting|beginning) with {w}",
        "(find|list) everything (called|named) {w}*",
        "(all|the) files (that start|that begin) with (the letters|) {w}?"),
        f"find . -type f -name '{start}*'", f"find files starting with {start}", True, w=start)


@schema("find.empty", "find", weight=1.3)
def empty(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    for _ in range(rng.randint(1, 3)):
        world.add_file(("" if folder == "." else folder + "/") + world.new_name(), "")
    return single(rng, (
        f"{_FIND} (all|the|all the|) empty files {where}",
        f"(which|what) files {where} are empty?",
        f"are there (any|) empty files {where}?",
        f"{_FIND} (all|the|) files {where} (without content|of size 0|with zero bytes|that are empty)",
        f"(find|list) (zero-byte|zero-length) files {where}",
        f"empty files {where}?"),
        f"find {below(folder)} -type f -empty", "find the empty files", True, **slots)


@schema("find.empty_folders", "find", weight=0.7)
def empty_folders(world: World, rng: random.Random) -> Draft:
    for _ in range(rng.randint(1, 2)):
        world.add_dir(world.new_name("dir"))
    return single(rng, (
        f"{_FIND} (all|the|all the|) empty (folders|directories)",
        "(which|what) (folders|directories) are empty?",
        "are there (any|) empty (folders|directories)?",
        f"{_FIND} (all|the|) (folders|directories) (without files|with nothing in them|that are empty)",
        "empty (folders|directories)?",
        "(find|list) (directories|folders) (that are|which are) empty"),
        "find . -type d -empty", "find the empty folders", True)


@schema("find.larger", "find", weight=1.2)
def larger(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.25)
    n, unit, word = rng.choice(((100, "c", "bytes"), (200, "c", "bytes"), (500, "c", "bytes"), (1, "k", "KB"),
                                (2, "k", "KB"), (5, "k", "KB"), (10, "k", "KB"), (1, "k", "kilobyte"),
                                (rng.randint(50, 900), "c", "bytes"), (3, "k", "kilobytes")))
    return single(rng, (
        f"{_FIND} (all|the|) files {where} (larger|bigger) than {{n}} {{u}}",
        f"(which|what) files {where} are (larger|bigger) than {{n}} {{u}}?",
        f"{_FIND} (all|the|) files {where} (over|above) {{n}} {{u}}",
        f"{_FIND} (all|the|) files {where} with more than {{n}} {{u}}",
        f"files (larger|bigger) than {{n}} {{u}} {where}",
        f"are there files (larger|bigger) than {{n}} {{u}} {where}?"),
        f"find {below(folder)} -type f -size +{n}{unit}", f"find files larger than {n} {word}", True,
        n=n, u=word, **slots)


@schema("find.smaller", "find", weight=0.7)
def smaller(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.25)
    n = rng.choice((50, 100, 200, 500, 1000, rng.randint(40, 900)))
    return single(rng, (
        f"{_FIND} (all|the|) files {where} smaller than {{n}} bytes",
        f"(which|what) files {where} are smaller than {{n}} bytes?",
        f"{_FIND} (all|the|) files {where} (under|below) {{n}} bytes",
        f"{_FIND} (all|the|) files {where} with (less|fewer) than {{n}} bytes",
        f"files smaller than {{n}} bytes {where}",
        f"are there files smaller than {{n}} bytes {where}?"),
        f"find {below(folder)} -type f -size -{n}c", f"find files smaller than {n} bytes", True, n=n, **slots)


@schema("find.recent", "find", weight=1.2)
def recent(world: World, rng: random.Random) -> Draft:
    world.recent = True
    n = rng.choice((1, 1, 2, 3, 5, 7, 7, 10, 14, 30, rng.randint(2, 60)))
    period = ("(the last day|the last 24 hours|one day|a day)" if n == 1
              else "(the last week|the last 7 days|the past week|one week)" if n == 7
              else "(the last|the past) {n} days")
    return single(rng, (
        f"{_FIND} (all|the|) files (changed|modified|edited) (in|within|during) {period}",
        f"(which|what) files (changed|were modified|were changed|were edited) in {period}?",
        f"files (changed|modified|edited) (in|within) {period}",
        f"(what did I change|what changed) (here|) in {period}?",
        f"{_FIND} (all|the|) files from {period}",
        f"find (all|) files (not older|newer) than {{n}} {'day' if n == 1 else 'days'}"),
        f"find . -type f -mtime -{n}", f"find files changed in the last {n} days", True, n=n)


@schema("find.old", "find", weight=1.0)
def old(world: World, rng: random.Random) -> Draft:
    world.recent = True
    n = rng.choice((1, 2, 3, 5, 7, 10, 14, 30, 30, 60, 90, 100, 365, rng.randint(2, 200)))
    return single(rng, (
        f"{_FIND} (all|the|) files (that are|) older than {{n}} days",
        "(which|what) files are older than {n} days?",
        f"{_FIND} (all|the|) files (not changed|not modified|unchanged) (for|in) (more than|over) {{n}} days",
        "files (modified|changed|last changed) more than {n} days ago",
        "(which|what) files were (last|) (changed|modified) more than {n} days ago?",
        "files older than {n} days?"),
        f"find . -type f -mtime +{n}", f"find files older than {n} days", True, n=n)


@schema("find.newer_than_file", "find", weight=0.7)
def newer_than(world: World, rng: random.Random) -> Draft:
    path = world.pick_file()
    return single(rng, (
        f"{_FIND} (all|the|) files newer than {{f}}",
        "(which|what) files are newer than {f}?",
        f"{_FIND} (all|the|) files (changed|modified) (after|since) {{f}}",
        "files newer than {f}?",
        "(what|which files) (was|were) (changed|modified) after {f}?",
        "(find|list) everything that is newer than {f}"),
        f"find . -type f -newer {quoted(path)}", f"find files newer than {path}", True, f=path)


@schema("find.links", "find", weight=0.6)
def links(world: World, rng: random.Random) -> Draft:
    for _ in range(rng.randint(1, 2)):
        world.add_link(world.new_name(), world.pick_file())
    return single(rng, (
        f"{_FIND} (all|the|) (symbolic links|symlinks)",
        "(which|what) (files|entries) are (symbolic links|symlinks)?",
        "are there (any|) (symbolic links|symlinks) (here|)?",
        "where are (the|) (symbolic links|symlinks)?",
        "(symbolic links|symlinks) (here|)?",
        f"{_FIND} (all|the|) (files|entries) that are (symbolic links|symlinks)"),
        "find . -type l", "find the symbolic links", True)


@schema("find.executables", "find", weight=0.8)
def executables(world: World, rng: random.Random) -> Draft:
    name = world.new_name("file", "sh")
    world.add_file(name, "#!/bin/bash\necho hi\n", 0o755)
    return single(rng, (
        f"{_FIND} (all|the|) executable files",
        "(which|what) files are executable?",
        "(which|what) files can be (executed|run)?",
        f"{_FIND} (all|the|) files with (the|) (execute|executable) (bit|permission)",
        "executables (here|)?",
        f"{_FIND} (all|the|) (executables|programs|runnable files) (here|)"),
        "find . -type f -executable", "find the executable files", True)


@schema("find.largest", "find sort head cut", weight=1.5)
def largest(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    if not world.files(under="" if folder == "." else folder):
        raise Unsuitable("empty")
    small = rng.random() < 0.35
    adjective = "smallest" if small else "(largest|biggest)"
    return single(rng, (
        f"(what|which) is the {adjective} file {where}?",
        f"{SHOW} the {adjective} file {where}",
        f"find the {adjective} file {where}",
        f"which file {where} (takes the least space|is the smallest)?" if small
        else f"which file {where} (takes the most space|is the largest|is the biggest)?",
        f"{adjective} file {where}",
        f"(the|name of the|path of the) {adjective} file {where}"),
        f"find {below(folder)} -type f -printf '%s %p\\n' | sort {'-n' if small else '-nr'} | head -n 1 | cut -d ' ' -f 2-",
        f"find the {'smallest' if small else 'largest'} file", True,
        f"The {'smallest' if small else 'largest'} file is {{output}}.", **slots)


@schema("find.largest_n", "find sort head", weight=1.0)
def largest_n(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    n = rng.randint(2, 6)
    if len(world.files(under="" if folder == "." else folder)) <= n:
        raise Unsuitable("too few")
    return single(rng, (
        f"{SHOW} the {{n}} (largest|biggest) files {where} (with their sizes|and their sizes|)",
        f"(what|which) are the {{n}} (largest|biggest) files {where}?",
        f"find the {{n}} (largest|biggest) files {where}",
        f"(top|) {{n}} (largest|biggest) files {where}",
        f"which {{n}} files take the most space {where}?",
        f"the {{n}} files {where} that (use|take) (most space|the most bytes)"),
        f"find {below(folder)} -type f -printf '%s %p\\n' | sort -nr | head -n {n}", f"find the {n} largest files", True,
        ordered=True, n=n, **slots)


@schema("find.per_extension", "find sed sort uniq", weight=0.7)
def per_extension(world: World, rng: random.Random) -> Draft:
    if len(set(world.extensions())) < 2:
        raise Unsuitable("one kind")
    return single(rng, (
        "how many files (of each|per) (type|extension|kind) (are there|do we have|)?",
        "count (the|) files (per|by|of each) (extension|type|kind)",
        "(which|what) (extensions|file types) are there and how many (of each|files each)?",
        "number of files (per|for each|by) (extension|file type)",
        "(give me|show) (a table of|) the (file types|extensions) and their counts",
        "group (the|) files by extension and count (them|)"),
        "find . -type f -name '*.*' | sed 's/.*\\.//' | sort | uniq -c", "count the files per extension", True)


@schema("find.total_lines", "find xargs cat wc", weight=1.2)
def total_lines(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    ext = some_ext(world, rng, folder)
    what, more = kind(ext)
    return single(rng, (
        f"how many lines (are in|do) (all|) the {what} {where} (have together|have in total|altogether)?".replace(
            "(are in|do)", "do"),
        f"(total|) number of lines (in|of) (all|the|all the) {what} {where}",
        f"count the lines (of|in) (all|all the|the) {what} {where}",
        f"how many lines are (there|) in (all|the|all the) {what} {where}?",
        f"(sum up|add up) the lines of (all|the) {what} {where}",
        f"lines in (all|the) {what} {where}, (total|all together)"),
        f"find {below(folder)} -type f -name '*.{ext}' -print0 | xargs -0 cat | wc -l",
        f"count the lines of the .{ext} files", True, "There are {output} lines.", **slots, **more)


@schema("grep.lines", "grep", weight=2.2)
def lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = pattern_in(world, rng, path)
    return single(rng, (
        f"(show|print|find|give me|list) {_LINES} (with|containing|that contain|that mention) {{w}} in {{f}}",
        "which lines of {f} (contain|have|mention) {w}?",
        "grep (for|) {w} in {f}",
        "(search|look) for {w} in {f}",
        "search {f} for {w}",
        "where does {f} mention {w}?",
        "(find|show) {w} in (the file|) {f}",
        "what does {f} say about {w}?"),
        f"grep {string(word)} {quoted(path)}", f"search {path} for {word}", True, ordered=True, f=path,
        protected=(word,), w=rng.choice((word, word, f'"{word}"', f"'{word}'")))


@schema("grep.ignore_case", "grep", weight=1.0)
def ignore_case(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = rng.choice((str.lower, str.upper, str.lower))(word_in(world, rng, path))
    no_case = "(ignoring case|case-insensitively|in upper or lower case|in any case|no matter the case)"
    return single(rng, (
        f"(show|print|find) {_LINES} (with|containing) {{w}} {no_case} in {{f}}",
        f"(search|look) for {{w}} in {{f}}, {no_case}",
        f"grep {{w}} in {{f}} {no_case}",
        f"search {{f}} for {{w}}, {no_case}",
        f"which lines of {{f}} (contain|have) {{w}}, {no_case}?",
        f"find {{w}} in {{f}} {no_case}"),
        f"grep -i {string(word)} {quoted(path)}", f"search {path} for {word} in any case", True, ordered=True, f=path,
        w=word)


@schema("grep.numbers", "grep", weight=1.2)
def numbers(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = pattern_in(world, rng, path)
    return single(rng, (
        "(on which lines|in which lines|in which line|on which line) (of|in) {f} (is|does) {w}(| occur)?".replace(
            "(is|does) {w}(| occur)", "(is {w}|does {w} occur|does {w} appear)"),
        f"(show|print|find) {_LINES} (with|containing) {{w}} in {{f}} with (their|) line numbers",
        "(give me|show|tell me) the line numbers of {w} in {f}",
        "grep {w} in {f} with line numbers",
        "at (which|what) line does {w} (appear|occur) in {f}?",
        "(search|look) for {w} in {f} (and show|with) (the|) line numbers"),
        f"grep -n {string(word)} {quoted(path)}", f"search {path} for {word} with line numbers", True, ordered=True,
        f=path, protected=(word,), w=rng.choice((word, word, f'"{word}"')))


@schema("grep.invert", "grep", weight=1.2)
def invert(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = pattern_in(world, rng, path)
    return single(rng, (
        f"(show|print|list|give me) {_LINES} (of|in|from) {{f}} (without|not containing|that do not contain) {{w}}",
        "which lines of {f} (do not|don't) (contain|have|mention) {w}?",
        f"{_LINES} (of|in) {{f}} that (lack|do not have|don't have) {{w}}",
        "everything in {f} except (the|) lines (with|containing) {w}",
        "(print|show) {f} without the lines (that contain|containing|with) {w}",
        "(hide|leave out|skip) the lines with {w} (in|of) {f}"),
        f"grep -v {string(word)} {quoted(path)}", f"show the lines of {path} without {word}", True, ordered=True, f=path,
        protected=(word,), w=rng.choice((word, word, f'"{word}"')))


@schema("grep.count", "grep", weight=2.0)
def count(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = pattern_in(world, rng, path)
    return single(rng, (
        "how many lines (of|in) {f} (contain|have|mention|match) {w}?",
        "count (the|) lines (with|containing|that contain) {w} in {f}",
        "(number|count) of lines (with|containing) {w} in {f}",
        "in how many lines (of {f} does {w} occur|does {w} occur in {f})?",
        "(tell me|show me) how many lines (of|in) {f} have {w}",
        "how many {w} lines (are in|does) {f}(| have)?".replace("(are in|does) {f}(| have)", "(are in {f}|does {f} have)"),
        "lines with {w} in {f}: how many?"),
        f"grep -c {string(word)} {quoted(path)}", f"count the lines with {word} in {path}", True,
        f"{{output}} lines contain {word}.", f=path, protected=(word,), w=rng.choice((word, word, f'"{word}"')))


@schema("grep.occurrences", "grep wc", weight=1.0)
def occurrences(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = word_in(world, rng, path)
    return single(rng, (
        "how (often|many times) does {w} (occur|appear) in {f}?",
        "count (the|all|) occurrences of {w} in {f}",
        "how many (times|occurrences of) {w} (are there|) in {f}?".replace("(times|occurrences of) {w} (are there|)",
                                                                          "occurrences of {w} are there"),
        "(number|count) of occurrences of {w} in {f}",
        "how (often|many times) is {w} (in|mentioned in|used in) {f}?",
        "count how (often|many times) {w} (occurs|appears) in {f}"),
        f"grep -o {string(word)} {quoted(path)} | wc -l", f"count the occurrences of {word} in {path}", True,
        f"{word} occurs {{output}} times.", f=path, w=word)


@schema("grep.files_with", "grep", weight=2.2)
def files_with(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    path = world.pick_text(under="" if folder == "." else folder)
    word = word_in(world, rng, path)
    return single(rng, (
        f"which files {where} (contain|mention|have) (the word|the text|) {{w}}?",
        f"{_FIND} (all|the|) files {where} (containing|that contain|with) (the word|the text|) {{w}}",
        f"(find|search) (for|) {{w}} in all files {where} (and list the file names|, only the names)",
        f"in which files {where} (does {{w}} occur|is {{w}}|does {{w}} appear)?",
        f"files {where} (that mention|mentioning|containing) {{w}}",
        f"(what|which) files (talk about|mention) {{w}} {where}?",
        f"where is {{w}} mentioned {where}?"),
        f"grep -rl {string(word)} {below(folder)}", f"find the files that contain {word}", True, protected=(word,),
        w=rng.choice((word, word, word, f'"{word}"')), **slots)


@schema("grep.files_without", "grep", weight=0.8)
def files_without(world: World, rng: random.Random) -> Draft:
    word = word_in(world, rng, world.pick_text())
    return single(rng, (
        "which files (do not|don't) (contain|mention|have) (the word|the text|) {w}?",
        f"{_FIND} (all|the|) files (not containing|that do not contain|without|that don't contain) (the word|) {{w}}",
        "(which|what) files (lack|miss) (the word|) {w}?",
        "files (without|not mentioning) (the word|) {w}",
        "in which files (does {w} not occur|is there no {w})?",
        f"{_FIND} files (where|in which) {{w}} (does not|doesn't) (occur|appear)"),
        f"grep -rL {string(word)} .", f"find the files without {word}", True, w=word)


@schema("grep.recursive", "grep", weight=1.5)
def recursive(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    path = world.pick_text(under="" if folder == "." else folder)
    word = word_in(world, rng, path, 4)
    return single(rng, (
        f"(search|look) for {{w}} in all files {where} (with line numbers|)",
        f"grep (for|) {{w}} (recursively|in all files|everywhere) {where}",
        f"(show|print|find) {_LINES} (with|containing) {{w}} in (all|any of the|) files {where}",
        f"(search|look) for {{w}} (everywhere|recursively) {where}",
        f"where (exactly|) does {{w}} (occur|appear) {where}?",
        f"find every (line with|occurrence of|mention of) {{w}} {where}"),
        f"grep -rn {string(word)} {below(folder)}", f"search all files for {word}", True, w=word, **slots)


@schema("grep.starts", "grep", weight=1.0)
def starts(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    firsts = sorted({line.split()[0] for line in world.read(path).splitlines() if line[:1].isalnum()})
    firsts = [word for word in firsts if word.isalnum()]
    if not firsts:
        raise Unsuitable("no word")
    start = rng.choice(firsts)
    if rng.random() < 0.4:
        start = start[0]
    return single(rng, (
        f"(show|print|find|list) {_LINES} (of|in) {{f}} (that start|starting|that begin|beginning) with {{w}}",
        "which lines (of|in) {f} (start|begin) with {w}?",
        f"{_LINES} (starting|beginning) with {{w}} in {{f}}",
        "grep lines that (start|begin) with {w} (in|from) {f}",
        "what lines of {f} have {w} at the (start|beginning)?",
        "lines of {f} that (begin|start) with {w}"),
        f"grep {string('^' + start)} {quoted(path)}", f"search {path} for lines starting with {start}", True,
        ordered=True, f=path, w=start)


@schema("grep.ends", "grep", weight=0.8)
def ends(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    lasts = sorted({line.split()[-1] for line in world.read(path).splitlines() if line[-1:].isalnum()})
    lasts = [word for word in lasts if word.isalnum()]
    if not lasts:
        raise Unsuitable("no word")
    end = rng.choice(lasts)
    return single(rng, (
        f"(show|print|find|list) {_LINES} (of|in) {{f}} (that end|ending|which end) (with|in) {{w}}",
        "which lines (of|in) {f} end (with|in) {w}?",
        f"{_LINES} (ending|that end) (with|in) {{w}} in {{f}}",
        "grep lines that end (with|in) {w} (in|from) {f}",
        "what lines of {f} have {w} at the end?",
        "lines of {f} that end (with|in) {w}"),
        f"grep {string(end + '$')} {quoted(path)}", f"search {path} for lines ending with {end}", True, ordered=True,
        f=path, w=end)


@schema("grep.either", "grep", weight=1.0)
def either(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    a, b = word_in(world, rng, path), word_in(world, rng, path)
    if a == b:
        raise Unsuitable("one word")
    return single(rng, (
        f"(show|print|find|list) {_LINES} (with|containing|that contain) {{a}} or {{b}} in {{f}}",
        "which lines (of|in) {f} (contain|have|mention) {a} or {b}?",
        "(search|look) for {a} or {b} in {f}",
        "grep {a} or {b} in {f}",
        "(search|look) for both {a} and {b} in {f}",
        f"{_LINES} (of|in) {{f}} that (have|mention) either {{a}} or {{b}}"),
        f"grep -E {string(f'{a}|{b}')} {quoted(path)}", f"search {path} for {a} or {b}", True, ordered=True, f=path,
        a=a, b=b)


@schema("grep.both", "grep", weight=0.7)
def both(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    rows = [row for row in ([word for word in line.split() if word.isalpha() and len(word) > 2]
                            for line in world.read(path).splitlines()) if len(set(row)) > 1]
    if not rows:
        raise Unsuitable("short lines")
    a, b = rng.sample(sorted(set(rng.choice(rows))), 2)
    return single(rng, (
        f"(show|print|find|list) {_LINES} (with|containing|that contain) both {{a}} and {{b}} in {{f}}",
        "which lines (of|in) {f} (contain|have|mention) both {a} and {b}?",
        f"{_LINES} (of|in) {{f}} that (have|mention|contain) {{a}} and also {{b}}",
        f"{_LINES} in {{f}} (with|containing) {{a}} as well as {{b}}",
        "in {f}, (show|find) the lines where {a} and {b} (occur|appear) together",
        "lines of {f} with {a} and {b} in them"),
        f"grep {string(a)} {quoted(path)} | grep {string(b)}", f"search {path} for {a} and {b}", True, ordered=True,
        f=path, a=a, b=b)


@schema("grep.context", "grep", weight=0.7)
def context(world: World, rng: random.Random) -> Draft:
    path, n = text_file(world, rng, 6), rng.randint(1, 3)
    word, after = word_in(world, rng, path), rng.random() < 0.6
    side = "after" if after else "before"
    return single(rng, (
        f"(show|print|find) (the|) lines (with|containing) {{w}} in {{f}} and {{n}} {'line' if n == 1 else 'lines'} {side} (it|each|them)",
        f"(search|look) for {{w}} in {{f}} with {{n}} {'line' if n == 1 else 'lines'} {side} (it|the match)",
        f"grep {{w}} in {{f}} with {{n}} {'line' if n == 1 else 'lines'} of context {side} (it|the match)",
        f"what comes {side} {{w}} in {{f}}? show {{n}} {'line' if n == 1 else 'lines'}",
        f"show {{w}} in {{f}} and the {{n}} {'line' if n == 1 else 'lines'} {side} (it|each match)",
        f"find {{w}} in {{f}}, (also show|with) the {{n}} {'line' if n == 1 else 'lines'} {side} (it|)"),
        f"grep -{'A' if after else 'B'} {n} {string(word)} {quoted(path)}", f"search {path} for {word} with context", True,
        ordered=True, f=path, w=word, n=n)


@schema("grep.extract", "grep", weight=0.9)
def extract(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "log", "md", "csv")))
    what, pattern, values = rng.choice((
        ("(email addresses|emails|e-mail addresses)", r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+",
         [f"{rng.choice(names.FIRST).lower()}@{names.word(rng).lower()}.com" for _ in range(3)]),
        ("(dates|ISO dates)", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", [names.date(rng) for _ in range(3)]),
        ("(IP addresses|ip addresses|IPs)", r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+",
         [".".join(str(rng.randint(1, 254)) for _ in range(4)) for _ in range(3)]),
        ("(URLs|links|web addresses)", r"https?://[^ ]+", [f"https://{names.word(rng).lower()}.org/{names.word(rng)}" for _ in range(3)]),
        ("(numbers|all numbers)", r"[0-9]+", [str(rng.randint(1, 9999)) for _ in range(3)])))
    rows = world.text(rng.randint(2, 6)).splitlines() + [f"{' '.join(world.words(2))} {value}" for value in values]
    rng.shuffle(rows)
    world.add_file(path, "\n".join(rows) + "\n")
    return single(rng, (
        f"(extract|get|list|find|show) (all|the|all the|) {what} (from|in) {{f}}",
        f"(which|what) {what} (are|occur) in {{f}}?",
        f"(print|show) only the {what} (from|of|in) {{f}}",
        f"{what} in {{f}}",
        f"pull (all|the) {what} out of {{f}}",
        f"grep (the|all|) {what} (from|in) {{f}}"),
        f"grep -oE {string(pattern)} {quoted(path)}", f"extract them from {path}", True, ordered=True, f=path)


@schema("grep.per_file", "grep", weight=0.6)
def per_file(world: World, rng: random.Random) -> Draft:
    found = sorted({path.rsplit(".", 1)[1] for path in world.texts() if "/" not in path and "." in path[1:]})
    if not found or not (ext := rng.choice(found)).isalnum():
        raise Unsuitable("no extension")
    path = rng.choice([path for path in world.texts() if "/" not in path and path.endswith("." + ext)])
    word = word_in(world, rng, path)
    what, slots = kind(ext)
    return single(rng, (
        f"how many lines (with|containing) {{w}} (does each|do each) of the {what} have?".replace("(does each|do each)", "does each"),
        f"count (the|) lines with {{w}} in (each|every) one of the {what}",
        f"for (each|every) one of the {what}, how many lines (contain|have) {{w}}?",
        f"(show|list) the number of {{w}} lines (per file|for each file) in (all|the) {what}",
        f"(count|number of) lines (with|containing) {{w}} per file in (the|all) {what}",
        f"{{w}} lines per file in the {what}"),
        f"grep -c {string(word)} *.{ext}", f"count the lines with {word} in each .{ext} file", True, w=word, **slots)
