"""Two steps where a value must be read first: a setting, a column, a name, a failing test, a change in git."""

from __future__ import annotations

import io
import random
import re
import tarfile
from typing import Any, Literal

from nimllm.agent.gym.projects import project
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.builds import reading, settings, test_folder
from nimllm.agent.gym.schemas.phrases import quoted, several
from nimllm.agent.gym.schemas.subjects import table
from nimllm.agent.gym.worlds import World


def steps(rng: random.Random, templates: tuple[str, ...], commands: tuple[str, ...], plan: tuple[str, ...], asks: bool,
          answer: str | None = None, ordered: bool = False, fails: tuple[int, ...] = (),
          protected: tuple[str, ...] = (), **slots: Any) -> Draft:
    """A draft of several commands; every slot's value is protected against typos."""
    names = (*protected, *(str(value) for value in slots.values() if str(value)))
    return Draft(several(rng, templates, most=5, **slots), list(commands), list(plan), asks, ordered, answer,
                 frozenset(fails), names)


def plain(world: World) -> str:
    return "".join(letter for letter in world.word().lower() if letter.isascii() and letter.isalnum()) or "word"


@schema("lookup.setting_to_file", "grep echo", steps=2)
def setting_to_file(world: World, rng: random.Random) -> Draft:
    path, key, value, _ = settings(world, rng)
    target = world.new_name(ext="txt")
    return steps(rng, (
        "(look up|find|read) (the|) {key} in {file} and (write|save|put) it (to|into) {target}",
        "(write|save|put) the {key} (from|of) {file} (to|into) {target}",
        "{target} (should|must) contain the {key} that is set in {file}",
        "which {key} is in {file}? (write|put) only the (number|value) (to|into) {target}",
        "(get|take) the {key} (from|out of) {file} and (store|save) it in {target}",
        "create {target} with the value of {key} from {file}"),
        (reading(path, key), f"echo {value} > {quoted(target)}"),
        (f"look up {key}", f"write it to {target}"), False, f"Done: {target} says {value}.",
        key=key, file=path, target=target)


@schema("lookup.setting_to_setting", "grep sed", steps=2, weight=1.5)
def setting_to_setting(world: World, rng: random.Random) -> Draft:
    source, key, value, _ = settings(world, rng)
    ext = rng.choice(("toml", "ini", "yaml", "env"))
    target = world.new_name(ext=ext)
    old = rng.randint(10, 9999)
    name = key.upper() if ext == "env" else key.lower()
    form = {"env": f"{name}=%s", "yaml": f"{name}: %s"}.get(ext, f"{name} = %s")
    if old == value:
        raise Unsuitable("the same value")
    other = form.replace(name, "name") % plain(world)
    world.add_file(target, f"{other}\n{form % old}\n")
    return steps(rng, (
        "(use|set) the {key} (of|from) {source} (also|) in {target}",
        "set (the|) {key} in {target} to the (value|one) (in|from) {source}",
        "(look up|find) (the|) {key} in {source} and set (it|the same) in {target}",
        "{target} (should|must) have the same {key} as {source}",
        "(copy|take over) the {key} from {source} (to|into) {target}",
        "the {key} in {target} is wrong, take the one (from|in) {source}",
        "make {key} in {target} equal to that in {source}"),
        (reading(source, key), f"sed -i 's/^{form % '.*'}/{form % value}/' {quoted(target)}"),
        (f"look up {key} in {source}", f"set it in {target}"), False, f"Done: {key} is {value} in {target}.",
        key=key, source=source, target=target)


@schema("lookup.count_to_file", "wc echo", steps=2)
def count_to_file(world: World, rng: random.Random) -> Draft:
    path, target = world.pick_text(2), world.new_name(ext=rng.choice(("txt", "md", "log")))
    unit, option, number = rng.choice((("lines", "-l", world.entries[path].content.count(b"\n")),
                                       ("words", "-w", len(world.entries[path].content.split()))))
    return steps(rng, (
        "count the {unit} (of|in) {file} and (write|save|put) the number (to|into) {target}",
        "(write|save|put) the number of {unit} (of|in) {file} (to|into) {target}",
        "how many {unit} (does {file} have|are in {file})? (write|put) the (number|answer|result) into {target}",
        "{target} (should|must) contain the number of {unit} in {file}",
        "count {unit} in {file}, then (write|store|save) the (result|number) in {target}",
        "create {target} with the number of {unit} of {file}"),
        (f"wc {option} < {quoted(path)}", f"echo {number} > {quoted(target)}"),
        (f"count the {unit} of {path}", f"write the number to {target}"), False, f"Done: {target} says {number}.",
        unit=unit, file=path, target=target)


@schema("lookup.column", "head cut", steps=2)
def column(world: World, rng: random.Random) -> Draft:
    """Two steps only where the request asks for the header first; ``named.*`` answers the others in one."""
    path, columns = table(world, rng)
    name = rng.choice(columns)
    at = columns.index(name) + 1
    return steps(rng, (
        "find out which column is {name} in {file} and (print|show|cut out) it",
        "(look at|read|check) the header of {file} (first|), then (print|show|cut out) the column {name}",
        "(see|look) which (column|field) of {file} {name} is and (cut|print|extract) that (column|field)",
        "{file}: (look at|read) the first line, then (show|print) the {name} column",
        "(which|what) column is {name} in {file}? then (print|show) (it|that column)",
        "first (show|read) the header of {file}, then (only|) its {name} column"),
        (f"head -n 1 {quoted(path)}", f"cut -d , -f {at} {quoted(path)}"),
        (f"read the header of {path}", f"print the column {name}"), True, ordered=True, name=name, file=path)


@schema("lookup.column_sum", "head awk", steps=2)
def column_sum(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    rows = [row.split(",") for row in world.read(path).strip().split("\n")[1:]]
    numeric = [at for at in range(len(columns)) if all(re.fullmatch(r"\d+", row[at]) for row in rows)]
    if not numeric:
        raise Unsuitable("no whole numbers")
    at = rng.choice(numeric)
    return steps(rng, (
        "find (out which column of {file} is|the column) {name} in {file} and (sum|add) it up".replace(
            "(out which column of {file} is|the column)", "(out which column is|the column)"),
        "(look at|read|check) the header of {file} (first|), then (sum|add) up the column {name}",
        "(see|look) which (column|field) of {file} {name} is and (add|sum) it up",
        "first the header of {file}, then the (sum|total) of {name}",
        "(which|what) column is {name} in {file}? (add|sum) it up",
        "{file}: read the first line, then (compute|calculate) the (sum|total) of the {name} column"),
        (f"head -n 1 {quoted(path)}", f"awk -F , 'NR > 1 {{ s += ${at + 1} }} END {{ print s }}' {quoted(path)}"),
        (f"read the header of {path}", f"add up the column {columns[at]}"), True,
        f"The sum of {columns[at]} is {{output}}.", name=columns[at], file=path)


@schema("lookup.column_sort", "head sort", steps=2)
def column_sort(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    rows = [row.split(",") for row in world.read(path).strip().split("\n")[1:]]
    numeric = [at for at in range(len(columns)) if all(re.fullmatch(r"\d+", row[at]) for row in rows)
               and len({row[at] for row in rows}) == len(rows)]
    if not numeric:
        raise Unsuitable("no different numbers")
    at = rng.choice(numeric)
    largest = rng.random() < 0.6
    return steps(rng, (
        "find the column {name} in {file} and (show|print) the row with the {extreme} value",
        "(look at|read|check) the header of {file} (first|), then (show|print) the row with the {extreme} {name}",
        "(see|look) which (column|field) of {file} {name} is and (show|print|find) the row with the {extreme} value",
        "first the header of {file}, then the row with the {extreme} {name}",
        "(which|what) column is {name} in {file}, and which row has the {extreme} value there?",
        "{file}: read the first line, then (find|show) the row with the {extreme} {name}"),
        (f"head -n 1 {quoted(path)}",
         f"tail -n +2 {quoted(path)} | sort -t , -k {at + 1},{at + 1}n{'r' if largest else ''} | head -n 1"),
        (f"read the header of {path}", f"find the row with the {'largest' if largest else 'smallest'} {columns[at]}"),
        True, name=columns[at], file=path,
        extreme=rng.choice(("largest", "highest", "biggest")) if largest else rng.choice(("smallest", "lowest")))


@schema("lookup.name_in_file", "cat mkdir touch", steps=2, weight=1.5)
def name_in_file(world: World, rng: random.Random) -> Draft:
    path, name = world.new_name(ext=rng.choice(("txt", "md", "cfg"))), f"{plain(world)}-{plain(world)}"
    world.add_file(path, f"{name}\n")
    folder = rng.random() < 0.6
    what = "folder" if folder else "file"
    return steps(rng, (
        f"(create|make) a{'' if folder else 'n empty'} {{what}} (called|named) as (it says|) in {{file}}",
        "(create|make) the {what} whose name (is|stands) in {file}",
        "{file} (holds|contains) the name of a {what}: create it",
        "read {file} and (create|make) a {what} with that name",
        "(look|see) in {file} (what the {what} should be called|for the name of the {what}) and (make|create) it",
        "the name of the new {what} is in {file}, (make|create) it"),
        (f"cat {quoted(path)}", f"{'mkdir' if folder else 'touch'} {name}"), (f"read {path}", f"create the {what}"),
        False, f"Done: {name} is there.", what=what, file=path)


@schema("lookup.list_in_file", "cat touch rm mkdir", steps=2, weight=1.5)
def list_in_file(world: World, rng: random.Random) -> Draft:
    path = world.new_name(ext=rng.choice(("txt", "lst", "md")))
    how = rng.choice(("touch", "rm", "mkdir"))
    if how == "rm":
        top = [name for name in world.files() if "/" not in name]
        if len(top) < 3:
            raise Unsuitable("too few files")
        names = rng.sample(top, rng.choice((2, 2, 3)))
    else:
        kind: Literal["dir", "file"] = "dir" if how == "mkdir" else "file"
        names = list(dict.fromkeys(world.new_name(kind) for _ in range(rng.choice((2, 2, 3)))))
    world.add_file(path, "".join(f"{name}\n" for name in names))
    verb = {"touch": "(create|make)", "mkdir": "(create|make)", "rm": "(delete|remove)"}[how]
    what = {"touch": "empty files", "mkdir": "folders", "rm": "files"}[how]
    return steps(rng, (
        f"{verb} the {{what}} (that are|) (listed|named) in {{file}}",
        f"{verb} (all|the) {{what}} whose names (are|stand) in {{file}}",
        f"{{file}} lists some {{what}}: {verb} them",
        f"read {{file}} and {verb} the {{what}} (in it|it names|listed there)",
        f"{verb} every one of the {{what}} (listed|named) in {{file}}",
        f"for each name in {{file}}, {verb} {'that file' if how == 'rm' else 'one of the {what}'}"),
        (f"cat {quoted(path)}", f"{how} {quoted(*names)}"), (f"read {path}", f"{verb[1:-1].split('|')[0]} the {what}"),
        False, "Done: " + ", ".join(names) + ".", what=what, file=path)


@schema("lookup.unpack_member", "tar", steps=2)
def unpack_member(world: World, rng: random.Random) -> Draft:
    exts = rng.sample(("txt", "csv", "md", "log", "py", "json", "cfg"), rng.randint(2, 3))
    names = [(f"{plain(world)}/" if rng.random() < 0.5 else "") + f"{plain(world)}.{ext}" for ext in exts]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            data = world.text(2).encode()
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    path = world.new_name(ext="tar.gz")
    world.add_file(path, buffer.getvalue())
    at = rng.randrange(len(names))
    return steps(rng, (
        "(extract|unpack|get) (only|just|) the {ext} file (from|out of|in) {file}",
        "(extract|unpack) only the file (ending in|with extension) {ext} (from|of) {file}",
        "I need (only|just) the {ext} file (from|inside|in) {file}",
        "{file} contains (one|a) {ext} file, (extract|unpack) (only|) that",
        "look into {file} and (extract|unpack) the {ext} file",
        "from {file}, (unpack|extract) the {ext} (file|one) only"),
        (f"tar -tzf {quoted(path)}", f"tar -xzf {quoted(path)} {names[at]}"),
        (f"list {path}", f"extract the {exts[at]} file"), False, f"Done: {names[at]} is extracted.",
        ext=rng.choice((f".{exts[at]}", exts[at])), file=path)


@schema("lookup.empty", "find rm rmdir", steps=2)
def empty(world: World, rng: random.Random) -> Draft:
    folder = rng.random() < 0.4
    if folder:
        have = [path for path in world.dirs() if not any(other.startswith(path + "/") for other in world.entries)]
    else:
        have = [path for path in world.files() if not world.entries[path].content]
    if not have:
        path = world.new_name("dir" if folder else "file")
        world.add_dir(path) if folder else world.add_file(path, "")
        have = [path]
    if len(have) > 1:
        raise Unsuitable("more than one")
    what = "folder" if folder else "file"
    return steps(rng, (
        "(find|look for|search) the (one |)empty {what} and (delete|remove) it",
        "which {what} is empty? (delete|remove) it",
        "one {what} (here is|is) empty: (find it and|) (delete|remove) it",
        "there is an empty {what} somewhere (here|), (find and|) (delete|remove) it",
        "(find|locate) the empty {what}, then (delete|remove) it",
        "(search|look) for an empty {what} and get rid of it"),
        (f"find . -type {'d' if folder else 'f'} -empty", f"{'rmdir' if folder else 'rm'} {quoted('./' + have[0])}"),
        (f"find the empty {what}", "delete it"), False, f"Done: the empty {what} is gone.", what=what)


@schema("lookup.not_executable", "find chmod", steps=2)
def not_executable(world: World, rng: random.Random) -> Draft:
    names = [world.new_name(ext="sh") for _ in range(rng.randint(2, 3))]
    folder = rng.choice(("", "", *(f"{path}/" for path in world.dirs())))
    for name in names:
        world.add_file(folder + name, f"#!/bin/bash\necho {plain(world)}\n")
    scripts = world.files("sh")
    lacking = rng.choice(scripts)
    for path in scripts:
        world.entries[path].mode = 0o644 if path == lacking else 0o755
    return steps(rng, (
        "(find|look for) the (shell |)script that is not executable and (make it executable|chmod it)",
        "which (shell |)script is not executable? (fix it|make it executable|set its execute bit)",
        "one of the (shell |)scripts (is not executable|cannot be executed), (find it|look which) and fix it",
        "(find|locate) the (non-executable|not executable) {sh} file, then make it executable",
        "one {sh} file lacks the execute bit: find it and (set|add) it",
        "(check|look) which (shell |)script lacks execute permission and (give|add) it"),
        ("find . -type f -name '*.sh' ! -perm -u+x", f"chmod +x {quoted('./' + lacking)}"),
        ("find the script that is not executable", "make it executable"), False, f"Done: {lacking} is executable.",
        sh=".sh")


@schema("lookup.failing_test", "python3 grep cat", steps=2, weight=2.5)
def failing_test(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, tests=test_folder(rng), failing=1, modules=(2, 3))
    path, method = found.failing[0]
    if rng.random() < 0.5:
        command, plan = f"cat {quoted(path)}", "print its file"
        templates = (
            "(run|execute) (the|all|) tests and (show|print) (me|) the file of the (failing|broken) (test|one)",
            "(show|print) (me|) the test file (in which|where) a test fails",
            "which test fails? (show|print) (me|) its file",
            "(find|see) which test fails and (print|show|cat) the file it is in",
            "run the tests, then (show|print|cat) the test file that fails",
            "(show|print) the file with the failing test")
    else:
        command, plan = f"grep -n -A 2 'def {method}' {quoted(path)}", "show its code"
        templates = (
            "(run|execute) (the|all|) tests and (show|print) (me|) the code of the (failing|broken) (test|one)",
            "which test fails? (show|print) (me|) its code",
            "(show|print) (me|) the code of the (failing|broken) test",
            "(find|see) which test fails and (print|show) (its source|its code|the test function)",
            "run the tests, then (show|print) the (source|code) of the test that fails",
            "what does the failing test (check|look like|do)?")
    return steps(rng, templates, (found.runner() + " 2>&1 | grep -E '^(FAIL|ERROR):'", command),
                 ("run the tests, keep the failures", plan), True, ordered=True)


@schema("lookup.function_body", "grep sed", steps=2, weight=1.5)
def function_body(world: World, rng: random.Random) -> Draft:
    module, name = project(world, rng).function(rng)
    return steps(rng, (
        "(show|print) (me|) the (code|body|source) of (the function|) {name}",
        "(find|locate) (the function|) {name} and (show|print) (me|) (its code|its body|it)",
        "what does (the function|) {name} do? show its (code|source)",
        "(how is|how's) {name} implemented?",
        "where is {name} defined? show its (body|code|source)",
        "source of (the function|) {name}"),
        (f"grep -rn 'def {name}(' .", f"sed -n '/def {name}(/,/^$/p' {quoted('./' + module.path)}"),
        (f"find the definition of {name}", "print it"), True, ordered=True, name=name)


@schema("lookup.use_value", "grep sed", steps=2)
def constant_everywhere(world: World, rng: random.Random) -> Draft:
    modules = [module for module in project(world, rng, modules=(2, 4)).modules if module.constants]
    if not modules:
        raise Unsuitable("no constant")
    module = rng.choice(modules)
    name, value = rng.choice(list(module.constants)), rng.randint(2, 9999)
    return steps(rng, (
        "(find|look up) where {name} is set and (set|change) it to {value}",
        "(set|change) (the constant|) {name} to {value}",
        "{name} (should|must) be {value}, wherever it is (set|defined)",
        "(find|locate) the constant {name} and give it the value {value}",
        "(give|assign) {name} the (new|) value {value}",
        "the value of {name} is wrong, (find it and|) make it {value}"),
        (f"grep -rn '^{name} = ' .", f"sed -i 's/^{name} = .*/{name} = {value}/' {quoted('./' + module.path)}"),
        (f"find where {name} is set", f"set it to {value}"), False, f"Done: {name} is {value}.", name=name, value=value)
