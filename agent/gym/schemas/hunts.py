"""More ways to say which file or folder is meant, with the command that finds it, and what is done with it."""

from __future__ import annotations

import json
import random
import re
from pathlib import PurePosixPath

from nimllm.agent.gym.deeds import CHANGE, READ, Make, Target, append, deed, replace, requests
from nimllm.agent.gym.projects import project
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.builds import test_folder
from nimllm.agent.gym.schemas.chains import fetched, largest, longest, named, newest
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.stepwise import stepwise
from nimllm.agent.gym.worlds import World


def _drafted(world: World, rng: random.Random, target: Target, among: tuple[Make, ...]) -> Draft:
    """Find the target, then do one of these deeds with it."""
    what = deed(world, rng, target.path, among)
    slots = [str(value) for value in (*target.slots.values(), *what.slots.values()) if str(value)]
    return Draft(requests(rng, target, what), [target.command, what.command], [target.plan, what.planned()], what.asks,
                 what.ordered, what.answer, protected=tuple(slots))


def _inside(world: World, rng: random.Random) -> tuple[str, list[str]]:
    """A folder and the files that lie directly in it, two at least, and nothing else but folders."""
    found = {folder: [path for path in world.files(under=folder) if path.count("/") == folder.count("/") + 1
                      and not PurePosixPath(path).name.startswith(".")] for folder in world.dirs()}
    full = sorted(folder for folder, paths in found.items() if len(paths) > 1
                  and not any(path.startswith(f"{folder}/") and entry.kind != "file" for path,
                              entry in world.entries.items()))
    if not full:
        raise Unsuitable("no folder with two files")
    folder = rng.choice(full)
    return folder, found[folder]


@schema("hunt.newest_in", "ls head", steps=2, weight=1.5)
def newest_in(world: World, rng: random.Random) -> Draft:
    folder, paths = _inside(world, rng)
    new = rng.random() < 0.7
    order = sorted(paths, key=lambda path: world.entries[path].mtime, reverse=new)
    words = "(newest|latest|most recent|last modified)" if new else "oldest"
    target = Target(f"the {words} file in (the folder|) {{folder}}", f"(which|what) file in {{folder}} is the {words}?",
                    f"ls {'-t' if new else '-tr'} {quoted(folder)} | head -n 1",
                    f"find the {'newest' if new else 'oldest'} file in {folder}",
                    order[0], {"folder": folder})
    return fetched(world, rng, target)


@schema("hunt.largest_in", "find sort head cut", steps=2, weight=1.5)
def largest_in(world: World, rng: random.Random) -> Draft:
    folder, paths = _inside(world, rng)
    big = rng.random() < 0.7
    order = sorted(paths, key=lambda path: len(world.entries[path].content), reverse=big)
    if len(world.entries[order[0]].content) == len(world.entries[order[1]].content):
        raise Unsuitable("a tie")
    words = "(largest|biggest)" if big else "smallest"
    target = Target(f"the {words} file in (the folder|) {{folder}}", f"(which|what) file in {{folder}} is the {words}?",
            f"find {quoted(folder)} -type f -printf '%s %p\\n' | sort {'-nr' if big else '-n'} | head -n 1 "
                    "| cut -d ' ' -f 2-",
                    f"find the {'largest' if big else 'smallest'} file in {folder}", order[0], {"folder": folder})
    return fetched(world, rng, target)


@schema("hunt.most_errors", "grep sort head", steps=2, weight=1.2)
def most_errors(world: World, rng: random.Random) -> Draft:
    level, counts = rng.choice(("ERROR", "WARNING", "timeout", "failed", "FATAL")), rng.sample(range(1, 9), 3)
    names = [world.new_name(ext="log") for _ in counts]
    if len(set(names)) < 3 or any(" " in name or path.endswith(".log") for name in names for path in world.entries):
        raise Unsuitable("other logs")
    for name, count in zip(names, counts, strict=True):
        rows = [f"10:0{number} {level} {plain(world)}" for number in range(count)]
        rows += [f"11:00 INFO {plain(world)}" for _ in range(rng.randint(1, 4))]
        rng.shuffle(rows)
        world.add_file(name, "\n".join(rows) + "\n")
    best = names[counts.index(max(counts))]
    target = Target("the log (file|) with the most {level} lines",
                    "(which|what) log (file|) has the most {level} lines?",
                    f"grep -c '{level}' *.log | sort -t : -k 2 -nr | head -n 1",
                    f"find the log with the most {level} lines", best, {"level": level})
    return _drafted(world, rng, target, (*READ, *CHANGE))


@schema("hunt.column", "grep head cut wc cat", steps=2, weight=1.2)
def column(world: World, rng: random.Random) -> Draft:
    """The table that has a column, or the JSON file that has a key."""
    if rng.random() < 0.6:
        name = f"{plain(world)}_{plain(world)}"
        for number in range(rng.randint(2, 3)):
            text, columns = world.csv(rng.randint(3, 7))
            path = world.new_name(ext="csv")
            if not number:
                text, chosen = text.replace(columns[-1], name, 1), path
            world.add_file(path, text)
        if any(not path.count("/") and name in world.read(path) for path in world.files("csv") if path != chosen):
            raise Unsuitable("two such tables")
        target = Target("the (csv|table|csv file) (with|that has) (a|the) column {name}",
                        "(which|what) csv (file|) has (a|the) column {name}?",
                        f"grep -l '{name}' *.csv", f"find the table with {name}", chosen, {"name": name})
    else:
        name = f"{plain(world)}_{plain(world)}"
        for number in range(2):
            path = world.new_name(ext="json")
            world.add_file(path, json.dumps({plain(world): rng.randint(1, 9),
                                             name if not number else plain(world): plain(world), "n": 1},
                                             indent=2) + "\n")
            chosen = chosen if number else path
        target = Target("the json file (with|that has) the key {name}",
                        "(which|what) json file has (a|the) key {name}?", f"grep -l '{name}' *.json",
                        f"find the file with {name}", chosen, {"name": name})
    return _drafted(world, rng, target, (*READ, *CHANGE))


@schema("hunt.importing", "grep head wc cat", steps=2, weight=1.0)
def importing(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, modules=(3, 5))
    at = rng.randrange(len(found.modules) - 1)
    name, path = found.modules[at].name, found.modules[at + 1].path
    if sum(f"from {name} import" in world.read(other.path) for other in found.modules) != 1:
        raise Unsuitable("two importers")
    target = Target("the file (that imports|importing) {name}", "(which|what) file imports {name}?",
                    f"grep -rlE '(import|from) {name}' .",
                    f"find who imports {name}", f"./{path}", {"name": name})
    return _drafted(world, rng, target, (*READ, append))


@schema("hunt.todo", "grep head wc cat", steps=2, weight=1.0)
def todo(world: World, rng: random.Random) -> Draft:
    tag = rng.choice(("FIXME", "XXX", "HACK"))
    project(world, rng, remarks=1, tag=tag)
    paths = [path for path in world.files() if tag in world.read(path)]
    if len(paths) != 1:
        raise Unsuitable("not one")
    target = Target("the file (with|that has|containing) the {tag}", "(which|what) file has the {tag}?",
                    f"grep -rl '{tag}' .", f"find the {tag}", f"./{paths[0]}", {"tag": tag})
    return _drafted(world, rng, target, (*READ, append))


@schema("hunt.carriage", "grep sed", steps=2)
def carriage(world: World, rng: random.Random) -> Draft:
    path = world.pick_text(3)
    if path.startswith("-") or any(b"\r" in entry.content for entry in world.entries.values()):
        raise Unsuitable("others have carriage returns")
    world.entries[path].content = world.entries[path].content.replace(b"\n", b"\r\n")
    return steps(rng, (*stepwise(rng, ("(find|see) which file has (windows|CRLF|DOS) line ends",
        "(convert|change) it to (unix|LF) line ends"), 4),
                       "which file has (windows|CRLF) line (ends|endings)? (convert|fix) it",
                       "one of the files has (CRLF|windows) line endings, (find it and fix it|convert it to LF)",
                       "find the file with carriage returns and remove them"),
                 ("grep -rl $'\\r' .", f"sed -i 's/\\r$//' {quoted('./' + path)}"),
                 ("find the file with carriage returns", "remove them"), False, f"Done: {path} has unix line ends.")


@schema("hunt.broken_link", "find rm", steps=2)
def broken_link(world: World, rng: random.Random) -> Draft:
    folder = rng.choice(("", "", *(f"{path}/" for path in world.dirs())))
    path = f"{folder}{plain(world)}-{rng.choice(('link', 'latest', 'old', 'ref'))}"
    world.add_link(path, f"{plain(world)}.{rng.choice(('txt', 'log', 'cfg'))}.gone")
    return steps(rng, (*stepwise(rng, ("find the (broken|dangling|dead) (link|symlink)", "(delete|remove) it"), 5),
                       "(delete|remove) the (broken|dangling|dead) (link|symlink)",
                       "which (symlink|link) is broken? (delete|remove) it",
                       "one symlink points nowhere, (find and delete it|get rid of it)"),
                 ("find . -xtype l", f"rm {quoted('./' + path)}"), ("find the broken link", "delete it"), False,
                 f"Done: {path} is deleted.")


@schema("hunt.open_mode", "find chmod", steps=2)
def open_mode(world: World, rng: random.Random) -> Draft:
    path = world.pick_file()
    mode, new = rng.choice(("777", "666", "775")), rng.choice(("644", "600", "640", "755"))
    if world.entries[path].mode == int(mode, 8):
        raise Unsuitable("more than one")
    for other in world.files():
        if world.entries[other].mode == int(mode, 8):
            raise Unsuitable("more than one")
    world.entries[path].mode = int(mode, 8)
    return steps(rng, (*stepwise(rng, ("find the file with mode {mode}", "(set|change) (it|its mode) to {new}"), 5),
                       "(which|what) file has (mode|permissions) {mode}? (set|change) it to {new}",
                       "one file has mode {mode}, (it should be|make it) {new}",
                       "chmod the file that has {mode} to {new}"),
                 (f"find . -type f -perm {mode}", f"chmod {new} {quoted('./' + path)}"),
                 (f"find the file with mode {mode}", f"set it to {new}"), False, f"Done: it has {new}.", mode=mode,
                 new=new)


@schema("hunt.blank_name", "find mv", steps=2, weight=1.2)
def blank_name(world: World, rng: random.Random) -> Draft:
    if any(" " in path for path in world.entries):
        raise Unsuitable("other names with blanks")
    folder = rng.choice(("", "", *(f"{path}/" for path in world.dirs())))
    name = f"{plain(world)} {plain(world)}.{rng.choice(('txt', 'md', 'csv', 'pdf'))}"
    world.add_file(folder + name, world.text(2))
    sign, word = rng.choice((("_", "(underscores|an underscore)"), ("-", "(dashes|a dash)")))
    return steps(rng, (*stepwise(rng, ("find the file with a (blank|space) in its name",
        f"rename it with {word} instead"), 5),
                       f"(which|what) file has a (blank|space) in its name? rename it with {word} (instead|)",
            f"rename the (only|one|) file with a (blank|space) in its name, {word} instead of the (blank|space)",
                       f"one name has a (blank|space), replace (it|that) by {word}"),
                 ("find . -name '* *'", f"mv {quoted('./' + folder + name, './' + folder + name.replace(' ', sign))}"),
                 ("find the name with a blank", "rename it"), False, "Done: it is renamed.")


@schema("hunt.largest_folder", "du sort tail ls rm tar", steps=2, weight=1.5)
def largest_folder(world: World, rng: random.Random) -> Draft:
    folders = [path for path in world.dirs() if "/" not in path and not path.startswith((".", "-"))]
    if len(folders) < 2:
        raise Unsuitable("too few folders")
    folder = rng.choice(folders)
    world.add_file(f"{folder}/{plain(world)}.bin", b"\x89\0" * 150_000)
    archive = f"{plain(world)}.tar.gz"
    command, part, asks, plan = rng.choice(((f"ls {quoted(folder)}", "(list|show) (what is in it|its files|it)", True,
        "list it"), (f"rm -r {quoted(folder)}", "(delete|remove) it", False, "delete it"),
                                            (f"tar -czf {quoted(archive, folder)}", "(pack|archive) it as {archive}",
                                             False, f"pack it as {archive}"),
                                             (f"find {quoted(folder)} -type f | wc -l", "count its files", True,
                                              "count its files")))
    return steps(rng, (*stepwise(rng, ("find the (largest|biggest) folder", part), 5),
                       f"(which|what) (folder|directory) is the (largest|biggest) (here|)? {part}",
            f"(find|look for) the (folder|directory) that (takes|uses) (the most|most) (space|room) and {part}"),
                 ("du -s */ | sort -n | tail -n 1", command), ("find the largest folder", plan), asks,
                 None if asks else "Done.", archive=archive)


@schema("hunt.backup_edit", "find ls cp echo sed", steps=3, weight=3)
def backup_edit(world: World, rng: random.Random) -> Draft:
    """Find a file, keep a copy, change it."""
    target = rng.choice((largest, newest, longest, named))(world, rng)
    bak = f"{PurePosixPath(target.path).name}.bak"
    if bak in world.entries:
        raise Unsuitable("the name is taken")
    change = deed(world, rng, target.path, (append, replace))
    slots = {f"c_{key}": value for key, value in change.slots.items()}
    part = re.sub(r"\{(\w+)\}", r"{c_\1}", rng.choice(change.then))
    return steps(rng, (*stepwise(rng, (f"(find|look for) {target.noun}", "copy it to {bak}", part), 5),
                       f"(find|locate) {target.noun}, save it as {{bak}} and then {part}",
                       f"{target.question} copy it to {{bak}}, then {part}"),
                 (target.command, f"cp {quoted(target.path, bak)}", change.command),
                 (target.plan, f"copy it to {bak}", change.planned()), False, f"Done: {bak} is the old one.", bak=bak,
                 **slots, **target.slots)


@schema("hunt.failing_source", "python3 grep sed", steps=3, weight=1.5)
def failing_source(world: World, rng: random.Random) -> Draft:
    """Which test fails, where the tested function is, and what it says."""
    found = project(world, rng, tests=test_folder(rng), failing=1, modules=(2, 3))
    _, method = found.failing[0]
    name = method.removeprefix("test_")
    module = next(module for module in found.modules if name in module.functions)
    return steps(rng, (*stepwise(rng, ("(run|execute) the tests",
        "find the function (whose test fails|of the failing test)", "(show|print) (its code|it|its source)"), 5),
                       "which test fails? find the function it tests and (show|print) it",
                       "(show|print) me the function whose test fails",
                       "a test fails: (show|print) the source of the function that it tests"),
                 (found.runner() + " 2>&1 | grep -E '^(FAIL|ERROR):'", f"grep -rn 'def {name}(' .",
                  f"sed -n '/def {name}(/,/^$/p' {quoted('./' + module.path)}"),
                 ("run the tests", "find the function", "print it"), True, None, True)


@schema("hunt.move_list", "find ls mv", steps=3, weight=3)
def move_list(world: World, rng: random.Random) -> Draft:
    """Find a file, move it into a folder that is there, list that folder."""
    target = rng.choice((largest, newest, longest, named))(world, rng)
    folders = [path for path in world.dirs() if path != str(PurePosixPath(target.path.removeprefix("./")).parent)]
    if not folders:
        raise Unsuitable("no folder")
    folder = rng.choice(folders)
    verb, tool = rng.choice((("move", "mv"), ("copy", "cp")))
    return steps(rng, (*stepwise(rng, (f"(find|look for) {target.noun}", "{verb} it (to|into) {folder}",
        "(list|show) {folder}"), 5), f"{{verb}} {target.noun} (to|into) {{folder}}, then (list|ls) {{folder}}",
                       f"{target.question} {{verb}} it to {{folder}} and (list|show) what is there (then|now)"),
                 (target.command, f"{tool} {quoted(target.path)} {quoted(folder)}/", f"ls {quoted(folder)}"),
                 (target.plan, f"{verb} it to {folder}", f"list {folder}"), True, folder=folder, verb=verb,
                 **target.slots)
