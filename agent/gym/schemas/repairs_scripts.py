"""Repairs of programs: a script, a Makefile or a test that breaks, and the message that says where."""

from __future__ import annotations

import random

from nimllm.agent.gym.projects import project
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.builds import test_folder
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.worlds import World

MEND = (
        "(run|start) {file}, (fix|mend|repair) it if it (breaks|fails)",
        "{file} (is broken|does not run|fails), (fix|mend) it",
        "(fix|repair|mend) {file} so that it runs (again|)", "why does {file} (fail|not run)? (fix|mend) it",
        "get {file} to (run|work)", "(run|try) {file}; should it fail, (fix|repair) it",
        "{file} crashes, (find out why and fix it|please fix)", "there is a bug in {file}, find and fix it")
RUN = ("(run|start|execute) {file} (and show its output|)", "what does {file} print?", "output of {file}",
       "(run|try) {file}", "(run|execute) the script {file}", "(show|give) me the output of {file}")


def _broken(world: World, rng: random.Random, ext: str, lines: list[str]) -> str:
    path = (f"{rng.choice(world.dirs())}/" if world.dirs() and rng.random() < 0.2 else "") + world.new_name(ext=ext)
    world.add_file(path, "\n".join(lines) + "\n")
    return path


def _fixed(rng: random.Random, path: str, expression: str, plan: str) -> Draft:
    """Run, mend with sed, run again."""
    run = f"{'python3' if path.endswith('.py') else 'bash'} {quoted(path)}"
    return steps(rng, MEND, (run, f"sed -i '{expression}' {quoted(path)}", run), (f"run {path}",), True, ordered=True,
                 answer=plan, fails=(0,), file=path)


@schema("repair.python_name", "python3 sed", steps=3, weight=2)
def python_name(world: World, rng: random.Random) -> Draft:
    """A name that is spelled in two ways: the message suggests the right one."""
    right = f"{plain(world)}_{rng.choice(('total', 'count', 'names', 'value', 'limit', 'items'))}"
    at = rng.randrange(2, len(right) - 2)
    wrong = right[:at] + right[at + 1:]
    if wrong in right or plain(world) == wrong:
        raise Unsuitable("the same name")
    head = [f"import {rng.choice(('os', 're', 'json', 'math'))}", ""] if rng.random() < 0.4 else []
    path = _broken(world, rng, "py", [*head, f"{right} = {rng.randint(2, 99)}",
                                      f"print('{plain(world)}', {wrong} * {rng.randint(2, 9)})"])
    return _fixed(rng, path, f"s/{wrong}/{right}/g", f"{wrong} should be {right}.")


_METHODS = (("math", "math.sqr(2)", "sqr", "sqrt"), ("os", "os.getcw()[:0] + 'x'", "getcw", "getcwd"),
            ("", "'{w}'.uper()", "uper", "upper"), ("", "'{w}'.lowr()", "lowr", "lower"),
            ("", "'{w} '.stripp()", "stripp", "strip"),
            ("", "'{w}'.replce('a', 'b')", "replce", "replace"), ("", "' {w}'.splt()", "splt", "split"),
            ("math", "math.flor(2.5)", "flor", "floor"), ("json", "json.dump_s([1])", "dump_s", "dumps"),
            ("", "'{w}'.titel()", "titel", "title"), ("", "'{w}'.start_with('a')", "start_with", "startswith"))


@schema("repair.python_attribute", "python3 sed", steps=3, weight=1.5)
def python_attribute(world: World, rng: random.Random) -> Draft:
    module, call, wrong, right = rng.choice(_METHODS)
    word = plain(world)
    if wrong in word or (module and module in word):
        raise Unsuitable("the word holds the name")
    head = [f"import {module}", ""] if module else []
    path = _broken(world, rng, "py", [*head, f"result = {call.format(w=word)}", f"print('{word}', result)"])
    return _fixed(rng, path, f"s/{wrong}/{right}/g", f"{wrong} should be {right}.")


@schema("repair.python_module", "python3 sed", steps=3)
def python_module(world: World, rng: random.Random) -> Draft:
    """A module of the standard library, spelled wrong."""
    wrong, right, call = rng.choice((("jason", "json", "dumps([1])"), ("maths", "math", "sqrt(4)"),
                                     ("randon", "random", "Random(1).random()"),
                                     ("datetme", "datetime", "date(2020, 1, 2)"),
                                     ("colections", "collections", "Counter('aab')"),
                                     ("itertool", "itertools", "count(3)"),
                                     ("pathlb", "pathlib", "PurePosixPath('a/b').name")))
    path = _broken(world, rng, "py", [f"import {wrong}", "", f"print('{plain(world)}', {right}.{call})"])
    return _fixed(rng, path, f"s/import {wrong}/import {right}/", f"{wrong} should be {right}.")


@schema("repair.python_import", "python3 sed", steps=3, weight=1.2)
def python_import(world: World, rng: random.Random) -> Draft:
    """An import that is missing: the message names the module."""
    module, call = rng.choice((("math", "floor(2.5)"), ("json", "dumps([1, 2])"), ("os", "path.basename('a/b')"),
                               ("re", "sub('a', 'b', 'abc')"),
                               ("random", "Random(3).randint(1, 9)"), ("sys", "byteorder")))
    path = _broken(world, rng, "py",
                   [f"total = {rng.randint(1, 99)}", f"print('{plain(world)}', total, {module}.{call})"])
    return _fixed(rng, path, f"1i import {module}", f"import {module} was missing.")


@schema("repair.python_colon", "python3 sed", steps=3, weight=1.5)
def python_colon(world: World, rng: random.Random) -> Draft:
    name = plain(world)
    head = [f"size_{number} = {rng.randint(1, 99)}" for number in range(rng.randint(0, 4))]
    block, use = rng.choice((
        ([f"def make_{name}(value)", f"    return value * {rng.randint(2, 9)}", ""],
         f"print(make_{name}({rng.randint(2, 50)}))"),
        ([f"for number in range({rng.randint(2, 4)})", f"    print('{name}', number)"], f"print('{plain(world)}')"),
        ([f"if {rng.randint(2, 9)} > 1", f"    print('{name}')"], f"print('{plain(world)}')"),
        ([f"class Box_{name}", f"    size = {rng.randint(2, 99)}", ""], f"print(Box_{name}.size)")))
    path = _broken(world, rng, "py", [*head, *block, use])
    return _fixed(rng, path, f"{len(head) + 1}s/$/:/", f"A colon was missing in line {len(head) + 1}.")


@schema("repair.python_parenthesis", "python3 sed", steps=3)
def python_parenthesis(world: World, rng: random.Random) -> Draft:
    head = [f"size_{number} = {rng.randint(1, 99)}" for number in range(rng.randint(0, 4))]
    path = _broken(world, rng, "py", [*head, f"print('{plain(world)}', {rng.randint(2, 99)} * {rng.randint(2, 99)}"])
    return _fixed(rng, path, f"{len(head) + 1}s/$/)/", f"A parenthesis was missing in line {len(head) + 1}.")


@schema("repair.python_print", "python3 sed", steps=3)
def python_print(world: World, rng: random.Random) -> Draft:
    """print as a statement, as it was until 2019."""
    path = _broken(world, rng, "py",
                   [f"size = {rng.randint(2, 99)}", f"print '{plain(world)}', size * {rng.randint(2, 9)}"])
    return _fixed(rng, path, r"s/print \(.*\)/print(\1)/", "print needs parentheses.")


@schema("repair.python_indent", "python3 sed", steps=3)
def python_indent(world: World, rng: random.Random) -> Draft:
    name = plain(world)
    head = [f"size_{number} = {rng.randint(1, 99)}" for number in range(rng.randint(1, 4))]
    line = len(head) + 1
    if rng.random() < 0.5:
        path = _broken(world, rng, "py", [*head, f"   print('{name}', size_0)"])
        return _fixed(rng, path, f"{line}s/^ *//", f"Line {line} was indented.")
    path = _broken(world, rng, "py", [*head, f"def make_{name}(value):", "return value + 1", "",
                                      f"print(make_{name}(size_0))"])
    return _fixed(rng, path, f"{line + 1}s/^/    /", f"Line {line + 1} was not indented.")


@schema("repair.python_folder", "python3 mkdir", steps=3, weight=1.2)
def python_folder(world: World, rng: random.Random) -> Draft:
    """The script writes into a folder that does not exist."""
    folder, name = world.new_name("dir"), f"{plain(world)}.txt"
    if " " in folder or "'" in folder:
        raise Unsuitable("a blank")
    path = world.new_name(ext="py")
    world.add_file(path, f"with open('{folder}/{name}', 'w') as out:\n    out.write('{plain(world)}\\n')\n")
    run = f"python3 {quoted(path)}"
    return steps(rng, (*RUN[:1], "(run|start|execute) {file}",
                       "(run|try) {file}, (fix what it needs|make what is missing) (if it fails|)",
                       "{file} should run", "I want to run {file}", "(run|execute) the script {file} (please|)",
                       "python3 {file}", "start the python script {file}"),
                 (run, f"mkdir -p {quoted(folder)}", run), (f"run {path}",), False,
                 f"Done: the folder {folder} was missing.", fails=(0,), file=path)


@schema("repair.python_path", "python3", steps=2)
def python_path(world: World, rng: random.Random) -> Draft:
    """A script in a folder that imports a package of the root."""
    found = project(world, rng, modules=(1, 2))
    if not found.package:
        raise Unsuitable("no package")
    module, function = found.function(rng)
    path = f"{rng.choice(('scripts', 'tools', 'bin', 'examples'))}/{plain(world)}_run.py"
    world.add_file(path, f"from {module.name} import {function}\n\nprint({function}({rng.randint(1, 50)}))\n")
    run = f"python3 {quoted(path)}"
    return steps(rng, RUN, (run, f"PYTHONPATH=. {run}"), (f"run {path}",), True, ordered=True, fails=(0,), file=path)


@schema("repair.shell_command", "bash sed", steps=3, weight=1.5)
def shell_command(world: World, rng: random.Random) -> Draft:
    """A program's name spelled wrong in a script."""
    word = plain(world)
    right, wrong, rest = rng.choice((("echo", "ehco", word), ("echo", "ecoh", word),
                                     ("echo", "ecko", f"{word} {word}"), ("printf", "prinft", f"'{word}\\n'"),
                                     ("seq", "sqe", str(rng.randint(2, 5))),
                                     ("expr", "exrp", f"{rng.randint(1, 99)} + {rng.randint(1, 99)}"),
                                     ("basename", "basname", f"/a/{word}"), ("dirname", "dirnmae", f"{word}/b")))
    head = ["#!/bin/bash", *(f"# {plain(world)}" for _ in range(rng.randint(0, 2))),
            f"{plain(world)}={rng.randint(1, 9)}"]
    path = _broken(world, rng, "sh", [*head, f"{wrong} {rest}"])
    return _fixed(rng, path, f"s/{wrong}/{right}/g", f"{wrong} should be {right}.")


@schema("repair.shell_carriage", "bash sed", steps=3)
def shell_carriage(world: World, rng: random.Random) -> Draft:
    """A script with the line ends of another system."""
    path = world.new_name(ext="sh")
    world.add_file(path, f"#!/bin/bash\r\ncd .\r\necho {plain(world)} $(({rng.randint(2, 50)} * 3))\r\ntrue\r\n")
    return _fixed(rng, path, r"s/\r$//", "It had carriage returns at the line ends.")


@schema("repair.interpreter", "bash python3", steps=2)
def interpreter(world: World, rng: random.Random) -> Draft:
    ext, wrong, tool = rng.choice((("sh", "/bin/bsh", "bash"), ("sh", "/usr/local/bin/bash5", "bash"),
                                   ("py", "/usr/bin/python2", "python3"),
                                   ("py", "/opt/python/bin/python", "python3")))
    path = world.new_name(ext=ext)
    word, number = plain(world), rng.randint(1, 99)
    body = f"echo {word} {number}" if ext == "sh" else f"print('{word}', {number})"
    world.add_file(path, f"#!{wrong}\n{body}\n", 0o755)
    world.entries[path].mode = 0o755
    return steps(rng, ("(run|start|execute) {file}", "what does {file} print?", "(run|execute) {file} (directly|)",
                       "{file}: run it", "(show|give) me the output of {file}", "call {file}"),
                 (quoted(f"./{path}"), f"{tool} {quoted(path)}"), (f"run ./{path}",), True, ordered=True, fails=(0,),
                 file=f"./{path}")


def _targets(world: World, rng: random.Random) -> list[str]:
    usual = ("build", "clean", "lint", "docs", "install", "format", "check", "release", "package", "report")
    return list(dict.fromkeys([*rng.sample(usual, 3), plain(world)]))


@schema("repair.make_target", "make grep", steps=3, weight=1.5)
def make_target(world: World, rng: random.Random) -> Draft:
    """No such target, but one of a close name."""
    targets = _targets(world, rng)
    right = rng.choice([target for target in targets if len(target) > 3] or targets)
    wrong = rng.choice((right[:-1], right + "s", right[:2] + right[3:], f"{right}-all", right + "ing"))
    if wrong in targets or wrong in world.entries or len(wrong) < 3:
        raise Unsuitable("no such name")
    world.add_file("Makefile", "".join(f"{target}:\n\t@echo {target} {plain(world)}\n\n" for target in targets))
    return steps(rng, ("make {wrong}", "(run|execute) make {wrong}", "(run|build) the (target|make target) {wrong}",
                       "(call|run) make with the target {wrong}", "use the Makefile to (do|run) {wrong}",
                       "(run|do) the {wrong} target of the Makefile"),
                 (f"make {wrong}", "grep -E '^[a-zA-Z_-]+:' Makefile", f"make {right}"), (f"run make {wrong}",), True,
                 ordered=True, fails=(0,), protected=("Makefile",), wrong=wrong)


@schema("repair.make_tab", "make sed", steps=3)
def make_tab(world: World, rng: random.Random) -> Draft:
    target, number = rng.choice(("build", "all", "report", "check")), rng.randint(0, 3)
    head = [f"{plain(world).upper()} = {rng.randint(1, 9)}" for _ in range(number)]
    world.add_file("Makefile", "\n".join([*head, f"{target}:", f"    @echo {plain(world)}"]) + "\n")
    return steps(rng, ("make {target} (fails|does not work), (fix|mend) the Makefile",
                       "(run|try) make {target}, (fix|mend) the Makefile if it is broken",
                       "(fix|repair) the Makefile so that make {target} works",
                       "why does make {target} fail? (fix|mend) it",
                       "the Makefile is broken, (fix|mend) it and (run|make) {target}",
                       "get make {target} to work"),
                 (f"make {target}", rf"sed -i '{number + 2}s/^ */\t/' Makefile", f"make {target}"),
                 (f"run make {target}",), True,
                 ordered=True, answer=f"Line {number + 2} needed a tab.", fails=(0,), protected=("Makefile",),
                 target=target)


@schema("repair.make_folder", "make find", steps=3)
def make_folder(world: World, rng: random.Random) -> Draft:
    """The Makefile lies in a folder."""
    folders = [path for path in world.dirs() if " " not in path]
    if not folders or "Makefile" in world.entries:
        raise Unsuitable("no folder")
    folder, target = rng.choice(folders), rng.choice(("build", "all", "test", "check", "docs"))
    world.add_file(f"{folder}/Makefile", f"{target}:\n\t@echo {plain(world)} {target}\n")
    return steps(rng, ("make {target}", "(run|execute) make {target}", "(build|run|make) the target {target}",
                       "(run|call) make with {target}",
                       "do a make {target}", "use make to (run|do) {target}"),
                 (f"make {target}", "find . -name Makefile", f"make -C ./{folder} {target}"), (f"run make {target}",),
                 True, ordered=True, fails=(0,), target=target)


@schema("repair.test_value", "python3 sed", steps=3, weight=1.2)
def test_value(world: World, rng: random.Random) -> Draft:
    """A test expects a wrong number; the message says which line and which numbers."""
    found = project(world, rng, tests=test_folder(rng), failing=1, modules=(1, 2))
    path, method = found.failing[0]
    text = world.read(path).split("\n")
    at = next(number for number, row in enumerate(text) if f"def {method}(" in row) + 1
    module = next(module for module in found.modules if method[5:] in module.functions)
    factor, shift = module.sums[method[5:]]
    argument, expected = text[at].strip().split("(", 2)[2].rstrip(")").split("), ")
    run = found.runner()
    return steps(rng, (
        "(run|execute) the tests; where a test expects the wrong (value|number), (correct|fix) the test",
        "a test expects a wrong (number|value), (find and fix it|run the tests and fix it)",
        "(run|execute) the tests and (correct|fix) the expected (value|number) of the one that fails",
        "the code is right but a test fails: (correct|adjust) the expected (value|number)",
        "one of the tests has the wrong expected (value|number), (fix|correct) it",
        "(fix|mend) the failing test, the code is right"),
        (run, f"sed -i '{at + 1}s/{expected}/{int(argument) * factor + shift}/' {quoted(path)}",
         f"{run} 2>&1 | tail -n 1"),
        ("run the tests",), True, answer="The tests say: {output}", fails=(0,))
