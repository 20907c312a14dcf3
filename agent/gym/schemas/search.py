"""Finding files by name, kind, size and age."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single
from nimllm.agent.gym.schemas.subjects import (
    SHOW,
    below,
    kind,
    scope,
    some_ext,
)
from nimllm.agent.gym.worlds import World

_FIND = "(find|list|show|show me|give me|search for|print)"


@schema("find.by_extension", "find", weight=2.5)
def by_extension(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng)
    ext = some_ext(world, rng, folder)
    what, more = kind(ext)
    return single(rng, (
        f"I'm looking for {what} {where}",
        f"I need (a list of|) all {what} {where}",
        f"(could you|) list all the {what} {where}",
        f"any {what} {where}?",
        f"get me (all|the) {what} {where}",
        f"{what} {where}, with their paths",
        f"show me where the {what} are {where}",
        f"use find to (get|list) the {what} {where}",
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
        f"I need the number of {what} {where}",
        f"I'd like to know how many {what} there are {where}",
        f"{what} {where}, just the (number|count)",
        f"what's the count of {what} {where}?",
        f"(print|give me) only the number of {what} {where}",
        f"use find and wc to count the {what} {where}",
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
    least = n * (1024 if unit == "k" else 1)
    if not any(len(world.entries[path].content) > least for path in world.files(under="" if folder == "." else folder)):
        raise Unsuitable("none so large")
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
    if not any(len(world.entries[path].content) < n for path in world.files(under="" if folder == "." else folder)):
        raise Unsuitable("none so small")
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
        f"find {below(folder)} -type f -printf '%s %p\\n' | sort {'-n' if small else '-nr'} | head -n 1 "
        "| cut -d ' ' -f 2-",
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
        f"find {below(folder)} -type f -printf '%s %p\\n' | sort -nr | head -n {n}", f"find the {n} largest files",
        True,
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


def _part(rng: random.Random, name: str) -> str:
    """A run of letters or digits of the name."""
    import re

    runs = [run for run in re.findall(r"[A-Za-z]{3,}|\d{2,}", name.rsplit(".", 1)[0])]
    if not runs:
        raise Unsuitable("no part")
    return rng.choice(runs)
