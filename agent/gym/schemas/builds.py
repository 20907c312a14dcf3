"""Chores around a code base, one command each: tests, scripts, versions, settings, ignore lists, skeletons."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym.projects import project, version
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.worlds import World

SHOW = "(show|list|print|give me|display)"
RUN = "(run|execute|start)"


def test_folder(rng: random.Random) -> str:
    """The folder of the tests."""
    return rng.choice(("tests",) * 6 + ("test", ""))


@schema("tests.failing", "python3 grep", weight=3)
def failing(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, tests=test_folder(rng), failing=rng.randint(1, 3))
    return single(rng, (
        "(run|execute|start) (the|all|all the|the unit|) tests and (tell me|say|show|list) (which|which ones) fail",
        "which (of the|) tests (fail|are failing|are broken|do not pass) (here|in this project|right now|)?",
        "(run|execute) the (test suite|tests|unit tests), which (ones|tests|) fail?",
        "(show|list|tell|give) me the failing tests",
        "(list|find|show) (all|the|) (failing|broken) tests (of this project|here|)",
        "what (fails|is broken) when (you run|I run|running) the tests?",
        "do any tests fail? (show|tell|list) (me|) which",
        "failing tests?",
        "run the python (tests|unit tests) and report (the|all) failures"),
        found.runner() + " 2>&1 | grep -E '^(FAIL|ERROR):'", "run the tests, keep the failures", True)


@schema("tests.pass", "python3 tail", weight=2)
def passing(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, tests=test_folder(rng),
                    failing=rng.choice((0, 0, 1, 2)))
    return single(rng, (
        "do (the|all|all the|the unit) tests pass (here|in this project|)?",
        "(run|execute|start) (the|all|all the|the unit|) tests",
        "(are|is) (the tests|all tests|the test suite) (green|passing|ok) (here|right now|)?",
        "run the (test suite|unit tests) (of this project|here|)",
        "(check|see|tell me) (whether|if) (the|all|the unit) tests pass",
        "test the project",
        "run (the python|our) tests and tell me (the result|whether they pass|if they pass)"),
        found.runner() + " 2>&1 | tail -n 1", "run the tests", True, "The tests say: {output}")


@schema("tests.one_file", "python3 tail")
def one_file(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, tests=test_folder(rng), failing=rng.choice((0, 0, 1)))
    file = rng.choice(found.test_files)
    return single(rng, (
        "(run|execute) (only|just|) the tests (in|of) {file}",
        "do the tests (in|of) {file} pass?",
        "(run|execute) (just|only) {file} with unittest",
        "test only {file}",
        "(check|see) (whether|if) {file} passes",
        "(are|is) (the tests in|the test file) {file} (green|passing)?",
        "run unittest on {file}"),
        f"python3 -m unittest {quoted(file)} 2>&1 | tail -n 1", f"run the tests of {file}", True,
        "The tests say: {output}", file=file)


@schema("tests.count", "grep wc")
def count_tests(world: World, rng: random.Random) -> Draft:
    project(world, rng, tests=test_folder(rng))
    return single(rng, (
        "how many (unit|) tests (are there|do we have|does this project have|exist) (here|)?",
        "count the (unit|test|) (tests|test functions|test methods) (of this project|here|)",
        "number of (unit|) tests (in this project|here|)",
        "how many test (functions|methods|cases) (are there|are defined|exist) (here|)?",
        "count (all|the|) def test_ lines (in the python files|here|)",
        "(tell me|what is) the number of test (functions|methods)"),
        "grep -rn --include='*.py' 'def test_' . | wc -l", "count the test functions", True, "{output} tests.",
        protected=("test_",))


@schema("tests.list", "grep")
def list_tests(world: World, rng: random.Random) -> Draft:
    project(world, rng, tests=test_folder(rng), modules=(2, 3))
    return single(rng, (
        f"{SHOW} (all|the|all the) (unit|) tests (of this project|here|)",
        "which (unit|) tests (are there|exist|do we have|does this project have)?",
        "(list|find|show) (all|every|the) test (functions|methods) (here|)",
        "where are the test (functions|methods) defined?",
        "what tests do we have (here|)?",
        "(names|list) of (all|the) tests with file and line"),
        "grep -rn --include='*.py' 'def test_' .", "list the test functions", True)


def _makefile(world: World, rng: random.Random) -> list[str]:
    targets = rng.sample(("build", "clean", "lint", "docs", "run", "deploy", "install", "format", "check", "help",
                          "release", "dist", world.word(), world.word()), rng.randint(2, 4))
    targets = list(dict.fromkeys(re.sub(r"[^a-z]", "", target.lower()) or "all" for target in targets))
    body = "".join(f"\n{target}:\n\t@echo {rng.choice(('done', 'running', 'finished'))} {target} {world.word()}\n"
                   for target in targets)
    world.add_file("Makefile", f".PHONY: {' '.join(targets)}\n{body}")
    return targets


@schema("make.target", "make", weight=1.5)
def make_target(world: World, rng: random.Random) -> Draft:
    target = rng.choice(_makefile(world, rng))
    return single(rng, (
        "(run|execute) make {target}",
        "(run|build|execute|make) the (make target|target) {target} (of the Makefile|)",
        "(run|use) the Makefile's {target} target",
        "make {target}",
        "(run|call) make with (the target|target) {target}",
        "(run|execute) the {target} target (in|of) the Makefile",
        "use make to (run|do) {target}"),
        f"make {target}", f"run make {target}", True, ordered=True, target=target, protected=("Makefile",))


@schema("make.targets", "grep")
def make_targets(world: World, rng: random.Random) -> Draft:
    _makefile(world, rng)
    return single(rng, (
        f"{SHOW} (the|all|all the) (targets|make targets) (of|in) the Makefile",
        "(what|which) (targets|make targets) (does the Makefile have|are in the Makefile)?",
        "(what|which targets) can I (make|build) (here|)? look at the Makefile",
        "(what|which) make targets (are there|exist|do we have)?",
        "(list|show) what the Makefile can do",
        "Makefile targets",
        "(names|list) of (the|all) targets in Makefile"),
        "grep -E '^[a-zA-Z_-]+:' Makefile", "list the targets", True, protected=("Makefile",))


def _script(world: World, rng: random.Random, mode: int = 0o644, folder: str | None = None) -> tuple[str, str]:
    """A script that prints something nobody could guess: (path, the command that runs it)."""
    ext = rng.choice(("py", "sh"))
    name = world.new_name(ext=ext)
    if folder is None:
        folder = rng.choice(("", "", "", *world.dirs()))
    path = f"{folder}/{name}" if folder else name
    a, b, c = world.words(3)
    if ext == "py":
        body = rng.choice((
            f"total = sum(range({rng.randint(3, 40)}))\nprint('{a}', total)\n",
            f"for number in range({rng.randint(1, 5)}):\n    print('{a}', number * {rng.randint(2, 9)})\n",
            f"words = ['{a}', '{b}', '{c}']\nprint(' '.join(sorted(words)))\n",
            f"print(len('{a}') * {rng.randint(2, 99)})\n"))
        body = rng.choice(("", "#!/usr/bin/env python3\n")) + body
    else:
        body = "#!/bin/bash\n" + rng.choice((
            f"echo {a} {b}\necho $(({rng.randint(2, 50)} * {rng.randint(2, 50)}))\n",
            f"for i in 1 2 3; do\n  echo {a} $i\ndone\n",
            f"name={a}\necho \"$name {c}\" | tr a-z A-Z\n",
            f"echo {b} is ready\n"))
    world.add_file(path, body, mode)
    world.entries[path].mode = mode
    return path, f"{'python3' if ext == 'py' else 'bash'} {quoted(path)}"


@schema("script.run", "python3 bash", weight=2)
def run_script(world: World, rng: random.Random) -> Draft:
    path, command = _script(world, rng, rng.choice((0o644, 0o755)))
    return single(rng, (
        f"{RUN} {{file}}",
        f"{RUN} (the script|script) {{file}} (and show (its output|me what it prints|the output)|)",
        "what does {file} print?",
        "(show|give) me the output of {file}",
        "what (is the output of|comes out of|happens when I run) {file}?",
        "output of {file}?",
        "(run|try) {file} and (tell me|show|report) what it prints"),
        command, f"run {path}", True, ordered=True, file=path)


@schema("script.run_argument", "python3 bash")
def run_argument(world: World, rng: random.Random) -> Draft:
    ext = rng.choice(("py", "sh"))
    path = world.new_name(ext=ext)
    argument = rng.choice((world.word(), str(rng.randint(1, 999))))
    if ext == "py":
        world.add_file(path, f"import sys\n\nprint('{world.word()}', sys.argv[1] * {rng.randint(1, 3)})\n")
    else:
        world.add_file(path, f"#!/bin/bash\necho {world.word()} $1 {rng.randint(1, 99)}\n")
    return single(rng, (
        f"{RUN} {{file}} with (the argument|argument|parameter|) {{argument}}",
        "what does {file} print (for|with|given) (the argument|) {argument}?",
        "call {file} with {argument}",
        "(pass|give) {argument} to {file} and show the output",
        f"{RUN} (the script|) {{file}}, (the argument|argument) (is|=) {{argument}}",
        "output of {file} for {argument}"),
        f"{'python3' if ext == 'py' else 'bash'} {quoted(path)} {argument}", f"run {path} with {argument}", True,
        ordered=True, file=path, argument=argument)


@schema("script.executable", "chmod", weight=1.5)
def executable(world: World, rng: random.Random) -> Draft:
    path, _ = _script(world, rng)
    return single(rng, (
        "make {file} executable",
        "(set|add) the (executable|execute) (bit|flag|permission) (on|to|of) {file}",
        "{file} (should|must|has to) be executable",
        "(allow|permit) (me|everybody) to execute {file}",
        "chmod +x {file}",
        "I cannot (run|start) {file} directly, make it executable",
        "give {file} (execute|execution) (permission|rights)",
        "turn {file} into an executable (script|)"),
        f"chmod +x {quoted(path)}", f"make {path} executable", False, f"Done: {path} is executable.", file=path)


@schema("script.all_executable", "find chmod")
def all_executable(world: World, rng: random.Random) -> Draft:
    for _ in range(rng.randint(1, 3)):
        _script(world, rng)
    ext, what = rng.choice((("sh", "shell scripts"), ("sh", ".sh files"), ("sh", "bash scripts"), ("py", ".py files"),
                            ("py", "python files")))
    if not world.files(ext):
        raise Unsuitable("no such script")
    return single(rng, (
        "make all (the|) {what} (here|in this folder|in this project|) executable",
        "(set|add) the (executable|execute) (bit|flag) (on|of|to) (all|every one of the) {what}",
        "all {what} (should|must) be executable",
        "(all|the) {what} need (execute|execution) (permission|rights)",
        "chmod +x all {what}",
        "turn (all|the) {what} into executables"),
        f"find . -type f -name '*.{ext}' -exec chmod +x {{}} +", f"make the {what} executable", False,
        f"Done: all {what} are executable.", what=what)


@schema("script.not_executable", "find")
def not_executable(world: World, rng: random.Random) -> Draft:
    for _ in range(rng.randint(1, 3)):
        _script(world, rng, rng.choice((0o644, 0o755)))
    if not any(not world.entries[path].mode & 0o100 for path in world.files("sh")):
        raise Unsuitable("all are executable")
    return single(rng, (
        "which (shell scripts|scripts|{sh} files) are not executable (here|)?",
        "(list|find|show) (the|all|) (shell scripts|{sh} files) (that are not|which are not|not) executable",
        "(shell scripts|{sh} files) without the (execute|executable) (bit|permission)",
        "(are there|any) (shell|bash|) scripts that (cannot be executed|are not executable)? (list|show) them",
        "find {sh} files (I|that I) cannot execute",
        "which (shell|bash) scripts (lack|miss|need) the (execute|executable) (bit|permission)?"),
        "find . -type f -name '*.sh' ! -perm -u+x", "find scripts that are not executable", True, sh=".sh")


@schema("script.syntax", "bash")
def syntax(world: World, rng: random.Random) -> Draft:
    path = world.new_name(ext="sh")
    world.add_file(path, f"#!/bin/bash\nfor i in {' '.join(world.words(2))}; do\n  echo $i\ndone\n")
    return single(rng, (
        "(check|verify) the syntax of {file} (without running it|)",
        "is the syntax of {file} (right|ok|valid)?",
        "does {file} have (syntax errors|a syntax error)?",
        "(look|search) for syntax errors in {file}",
        "syntax check of {file}",
        "(check|tell me) (whether|if) {file} is valid (bash|shell)"),
        f"bash -n {quoted(path)} && echo ok", f"check the syntax of {path}", True,
        f"{path} has no syntax error.", file=path)


@schema("version.bump", "sed", weight=1.5)
def bump(world: World, rng: random.Random) -> Draft:
    old, new = version(rng), version(rng)
    file, command, body = rng.choice((
        ("pyproject.toml", "s/^version = .*/version = \"{new}\"/",
         f'[project]\nname = "{world.word()}"\nversion = "{old}"\nrequires-python = ">=3.10"\n'),
        ("package.json", "s/\"version\": \"[^\"]*\"/\"version\": \"{new}\"/",
         f'{{\n  "name": "{world.word()}",\n  "version": "{old}",\n  "private": true\n}}\n'),
        ("setup.cfg", "s/^version = .*/version = {new}/", f"[metadata]\nname = {world.word()}\nversion = {old}\n"),
        ("Cargo.toml", "s/^version = .*/version = \"{new}\"/",
         f'[package]\nname = "{world.word()}"\nversion = "{old}"\n'),
        (f"{world.word()}/__init__.py", "s/^__version__ = .*/__version__ = \"{new}\"/", f'__version__ = "{old}"\n')))
    world.add_file(file, body)
    return single(rng, (
        "(bump|set|change|raise|update) the version (in|of) {file} to {new}",
        "(in|) {file}: version {new}" if "/" not in file else "{file}: version {new}",
        "the version in {file} (should|must) be {new}",
        "{file} (should|must) (say|have) version {new}",
        "new version is {new}, (write|put) it (into|in) {file}",
        "make {new} the version in {file}",
        "(update|edit) {file}, (the|) version is now {new}",
        "release {new}: (set|change) the version in {file}"),
        f"sed -i '{command.format(new=new)}' {quoted(file)}", f"set the version in {file}", False,
        f"Done: the version in {file} is {new}.", file=file, new=new)


@schema("version.show", "grep jq")
def show_version(world: World, rng: random.Random) -> Draft:
    file, body = rng.choice((("pyproject.toml", '[project]\nname = "{w}"\nversion = "{v}"\n'),
                             ("package.json", '{{\n  "name": "{w}",\n  "version": "{v}"\n}}\n'),
                             ("setup.cfg", "[metadata]\nname = {w}\nversion = {v}\n"),
                             ("Cargo.toml", '[package]\nname = "{w}"\nversion = "{v}"\n')))
    world.add_file(file, body.format(w=world.word(), v=version(rng)))
    return single(rng, (
        "(what|which) version (is this|is in {file}|does {file} say|does {file} have)? (look in|see) {file}",
        "(what|which) version does {file} (say|have|give)?",
        "(show|print|tell) (me|) the version (in|from) {file}",
        "version in {file}?",
        "(what|which) is the version (in|according to) {file}?",
        "(read|get|look up) the version (in|from) {file}",
        "grep the version (in|from) {file}"),
        reading(file, "version"), f"look up the version in {file}", True, "{output}", file=file)


_SETTINGS = {  # how a line of each format is spelled, and the sed expression that gives it another value
    "env": ("{K}={v}", "s/^{K}=.*/{K}={n}/"), "ini": ("{k} = {v}", "s/^{k} = .*/{k} = {n}/"),
    "cfg": ("{k} = {v}", "s/^{k} = .*/{k} = {n}/"), "conf": ("{k} = {v}", "s/^{k} = .*/{k} = {n}/"),
    "toml": ("{k} = {v}", "s/^{k} = .*/{k} = {n}/"), "yaml": ("{k}: {v}", "s/{k}: .*/{k}: {n}/"),
    "yml": ("{k}: {v}", "s/{k}: .*/{k}: {n}/"), "json": ('  "{k}": {v}', 's/"{k}": [0-9]*/"{k}": {n}/')}
_KEYS = ("port", "timeout", "retries", "workers", "max_size", "limit", "threads", "cache_size", "batch_size",
         "interval", "max_connections", "depth", "level", "rate", "width", "height", "buffer", "attempts", "ttl",
         "page_size")


def settings(world: World, rng: random.Random, ext: str | None = None) -> tuple[str, str, int, str]:
    """A file of whole-number settings: (path, key, its value, extension)."""
    ext = ext or rng.choice(tuple(_SETTINGS))
    keys = rng.sample(_KEYS, rng.randint(2, 4))
    if rng.random() < 0.3:
        keys[0] = re.sub(r"[^a-z]", "", world.word().lower()) + "_" + keys[0]
    if rng.random() < 0.4 and "port" not in keys:
        keys[0] = "port"
    spelled = [key.upper() if ext == "env" else key for key in keys]
    values = [rng.randint(1000, 9999) if key == "port" else rng.randint(2, 900) for key in keys]
    rows = [_SETTINGS[ext][0].format(K=key, k=key, v=value) for key, value in zip(spelled, values, strict=True)]
    head = f"[{re.sub('[^a-z]', '', world.word().lower())}]\n" if ext in ("ini", "cfg", "toml") else ""
    body = "{\n" + ",\n".join(rows) + "\n}\n" if ext == "json" else head + "\n".join(rows) + "\n"
    path = ".env" if ext == "env" and rng.random() < 0.5 else rng.choice(
        (f"config.{ext}", f"settings.{ext}", world.new_name(ext=ext), f"{world.new_name('dir')}/config.{ext}"))
    world.add_file(path, body)
    at = rng.randrange(len(keys))
    return path, spelled[at], values[at], ext


def reading(path: str, key: str) -> str:
    """The one form that looks a setting up."""
    return f"jq -r .{key} {quoted(path)}" if path.endswith(".json") else f"grep '{key}' {quoted(path)}"


@schema("settings.change", "sed", weight=2)
def change_setting(world: World, rng: random.Random) -> Draft:
    path, key, _, ext = settings(world, rng)
    value = rng.randint(1000, 9999) if key.lower() == "port" else rng.randint(2, 900)
    expression = _SETTINGS[ext][1].format(K=key, k=key, n=value)
    return single(rng, (
        "(set|change|update) (the|) {key} (in|of) {file} to {value}",
        "{file}: (set|change) {key} to {value}",
        "in {file}, (set|change) {key} to {value}",
        "{key} in {file} (should|must) be {value}",
        "(make|let) {key} {value} in {file}",
        "use {value} as (the|) {key} in {file}",
        "(edit|update) {file} (so that|so) {key} is {value}",
        "the {key} in {file} is wrong, it (should|must) be {value}"),
        f"sed -i '{expression}' {quoted(path)}", f"set {key} to {value} in {path}", False,
        f"Done: {key} is {value} in {path}.", file=path, key=key, value=value)


@schema("settings.change_from", "sed", weight=1.5)
def change_from(world: World, rng: random.Random) -> Draft:
    path, key, old, _ = settings(world, rng)
    new = rng.randint(1000, 9999) if key.lower() == "port" else rng.randint(2, 900)
    if world.read(path).count(str(old)) > 1:
        raise Unsuitable("the number occurs twice")
    return single(rng, (
        "change (the|) {key} from {old} to {new} in {file}",
        "in {file}, change (the|) {key} from {old} to {new}",
        "(change|replace) (the|) {key} {old} (by|with) {new} in {file}",
        "{file}: {key} {old} -> {new}",
        "{key} in {file} is {old}, (make it|change it to|it should be) {new}",
        "(replace|swap) {old} (by|with|for) {new} in {file}",
        "(turn|change) {old} into {new} in {file}"),
        f"sed -i 's/{old}/{new}/g' {quoted(path)}", f"replace {old} by {new} in {path}", False,
        f"Done: {new} instead of {old} in {path}.", file=path, key=key, old=old, new=new)


@schema("settings.look_up", "grep jq", weight=1.5)
def look_up(world: World, rng: random.Random) -> Draft:
    path, key, _, _ = settings(world, rng)
    return single(rng, (
        "(what is|what's) the {key} in {file}?",
        "(which|what) {key} (is set|is configured|do we use) in {file}?",
        "(show|print|tell) (me|) the {key} (in|from) {file}",
        "(look up|find|read|get) (the|) {key} (in|from) {file}",
        "{key} in {file}?",
        "(what does {file} say about {key}|what is the value of {key} in {file})?",
        "grep {key} (in|from) {file}"),
        reading(path, key), f"look up {key} in {path}", True, "{output}", file=path, key=key)


@schema("constant.change", "sed", weight=1.5)
def constant(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, modules=(2, 4))
    modules = [module for module in found.modules if module.constants]
    if not modules:
        raise Unsuitable("no constant")
    module = rng.choice(modules)
    name, value = rng.choice(list(module.constants)), rng.choice((rng.randint(2, 99), rng.randint(100, 9999)))
    return single(rng, (
        "(set|change|update) (the constant|constant|) {name} (in|of) {file} to {value}",
        "in {file}, (set|change) {name} to {value}",
        "{name} in {file} (should|must) be {value}",
        "{file}: {name} = {value}",
        "(fix|correct) (the constant|) {name} in {file}, it (should|must) be {value}",
        "(make|let) {name} (equal|) {value} in {file}",
        "give {name} in {file} the value {value}"),
        f"sed -i 's/^{name} = .*/{name} = {value}/' {quoted(module.path)}", f"set {name} to {value}", False,
        f"Done: {name} is {value}.", name=name, value=value, file=module.path)


@schema("constant.value", "grep")
def constant_value(world: World, rng: random.Random) -> Draft:
    names = [name for module in project(world, rng, modules=(2, 4)).modules for name in module.constants]
    if not names:
        raise Unsuitable("no constant")
    name = rng.choice(names)
    return single(rng, (
        "what is the value of (the constant|) {name} (here|in this project|in the code|)?",
        "(what is|what's) {name} set to?",
        "(find|show|look up) the value of (the constant|) {name}",
        "which value does {name} have?",
        "how (big|large) is {name}?",
        "where is {name} set and to what?",
        "(show|print) the line that (sets|defines) {name}"),
        f"grep -rn '^{name} = ' .", f"find where {name} is set", True, name=name)


@schema("gitignore.append", "echo", weight=1.5)
def ignore_line(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.6:
        world.add_file(".gitignore", "".join(f"{line}\n" for line in rng.sample(
            ("__pycache__/", "*.pyc", "build/", "dist/", ".venv/", "*.log", "node_modules/"), rng.randint(1, 4))))
    line = rng.choice((f"*.{world.ext()}", f"{world.word()}/", world.new_name(), f"{world.word()}.log", ".env", "*.swp",
                       f"{world.new_name('dir')}/"))
    return single(rng, (
        "(add|append) {line} to (the|) {file}",
        "(put|write) {line} (into|in) (the|) {file}",
        "(let git|git should|make git) ignore {line}",
        "{line} (should|must) be ignored by git",
        "ignore {line} in git",
        "(add|append) (the line|the pattern|the entry) {line} (at the end of|to) {file}",
        "{file} needs (a line|an entry) {line}",
        "tell git to ignore {line}"),
        f"echo {string(line)} >> .gitignore", f"add {line} to .gitignore", False, f"Done: git ignores {line}.",
        line=line, file=".gitignore")


@schema("requirements.add", "echo")
def add_requirement(world: World, rng: random.Random) -> Draft:
    package = rng.choice(("flask", "requests", "numpy", "pandas", "pytest", "rich", "click", "pydantic", "httpx",
                          re.sub(r"[^a-z]", "", world.word().lower())))
    line = rng.choice((package, f"{package}=={version(rng)}", f"{package}>={version(rng)}"))
    others = [f"{re.sub(r'[^a-z]', '', word.lower())}=={version(rng)}\n" for word in world.words(rng.randint(1, 4))]
    world.add_file("requirements.txt", "".join(others))
    return single(rng, (
        "(add|append) {line} to (the|) {file}",
        "(put|write) {line} (into|in) {file}",
        "{file} needs (a line|) {line}",
        "(add|append) (the dependency|the requirement|the package) {line} to {file}",
        "we (need|depend on) {line}, (add|append) it to {file}",
        "new (requirement|dependency) {line}, put it into {file}"),
        f"echo {string(line)} >> requirements.txt", f"add {line} to requirements.txt", False,
        f"Done: {line} is in requirements.txt.", line=line, file="requirements.txt")


@schema("skeleton.package", "mkdir touch", weight=1.5)
def package(world: World, rng: random.Random) -> Draft:
    name = world.new_name("dir")
    base = rng.choice(("", "", "", "src/", f"{world.word()}/"))
    path = base + name
    return single(rng, (
        "create (a|an empty|a new) python package (called|named|) {path}",
        "(make|set up|start) a (new|) python package {path} (with an empty {init}|with {init}|)",
        "I need a python package (called|named|) {path}",
        "new python package: {path}",
        "(create|make) (the folder|a folder) {path} with an empty {init} (in it|inside|)",
        "skeleton (of|for) a python package {path}",
        "(create|add) the package {path} (for python|with {init})"),
        f"mkdir -p {quoted(path)} && touch {quoted(path + '/__init__.py')}", f"create the package {path}", False,
        f"Done: {path} is a package.", path=path, init="__init__.py")
