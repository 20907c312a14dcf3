"""Small changes to code and scripts: first lines, comments, blanks, requirements, Makefiles, caches."""

from __future__ import annotations

import random

from nimllm.agent.gym.projects import project, version
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.worlds import World

SHOW = "(show|list|print|give me|display|get)"


@schema("script.shebang", "sed", weight=1.2)
def shebang(world: World, rng: random.Random) -> Draft:
    ext, line = rng.choice((("sh", "#!/bin/bash"), ("sh", "#!/usr/bin/env bash"), ("sh", "#!/bin/sh"),
                            ("py", "#!/usr/bin/env python3")))
    path = world.new_name(ext=ext)
    world.add_file(path, f"echo {plain(world)}\n" if ext == "sh" else f"print('{plain(world)}')\n")
    return single(rng, (
        "add (the shebang|a shebang) {line} to {file}",
        "{file} (lacks|needs|has no) (a shebang|its shebang), (add|put) {line} (at the top|)",
        "(put|insert|add) {line} (at the top of|as the first line of|on line 1 of) {file}",
        "(start|begin) {file} with {line}",
        "make {line} the first line of {file}", "prepend {line} to {file}", "{file}: insert {line} as line 1",
        "the first line of {file} (should|must) be {line}, insert it"),
        f"sed -i '1i {line}' {quoted(path)}", f"insert {line} at the top of {path}", False,
        f"Done: {path} starts with {line}.", line=line, file=path)


@schema("script.strict", "sed", weight=1.0)
def strict(world: World, rng: random.Random) -> Draft:
    path, line = world.new_name(ext="sh"), rng.choice(("set -e", "set -e", "set -eu", "set -euo pipefail", "set -x",
        "cd \"$(dirname \"$0\")\""))
    world.add_file(path, f"#!/bin/bash\necho {plain(world)}\nmkdir -p {plain(world)}\n")
    return single(rng, (
        "add {line} after the first line of {file}", "(put|insert) {line} (below|under|after) the shebang of {file}",
        "(insert|add) {line} (as the second line of|on line 2 of|as line 2 into) {file}",
        "{file} (needs|lacks) {line}, (put|insert) it (below|after|under) the shebang",
        "{line} (should|must) be the second line of {file}, insert it",
        "after the shebang, {file} should have {line}", "{file}: {line} after line 1"),
        f"sed -i '1a {line}' {quoted(path)}", f"insert {line} below the first line", False,
        f"Done: {line} is line 2 of {path}.", line=line, file=path)


@schema("script.environment", "bash", weight=1.0)
def environment(world: World, rng: random.Random) -> Draft:
    path, name = world.new_name(ext="sh"), rng.choice(("MODE", "NAME", "DEBUG", "LEVEL", "PORT", "APP_ENV", "TARGET"))
    value = plain(world) if name not in ("DEBUG", "PORT", "LEVEL") else str(rng.randint(0, 9999))
    world.add_file(path, f"echo {plain(world)} ${{{name}:-unset}}\n")
    return single(rng, (
        "run {file} with {name}={value}",
        "(run|execute|start) {file} with the (environment|) variable {name} set to {value}",
        "set {name} to {value} for {file} and run it", "{name}={value} bash {file}",
        "what does {file} print (when|if) {name} is {value}?", "with {name}={value} in the environment, run {file}",
        "output of {file} (with|for) {name}={value}"),
        f"{name}={value} bash {quoted(path)}", f"run {path} with {name}={value}", True, ordered=True, file=path,
        name=name, value=value)


@schema("code.comment_out", "sed", weight=1.2)
def comment_out(world: World, rng: random.Random) -> Draft:
    """Line n, or the lines that match, with # before them; or the other way round."""
    path = world.new_name(ext=rng.choice(("py", "sh", "conf", "cfg", "yaml", "toml")))
    keys = list(dict.fromkeys(plain(world) for _ in range(5)))
    which = rng.choice(("line", "match", "back"))
    key, n = rng.choice(keys), rng.randint(1, len(keys))
    world.add_file(path,
                   "".join(f"{'#' if which == 'back' and name == key else ''}{name} = {rng.randint(1, 99)}\n"
                           for name in keys))
    if which == "line":
        return single(rng,
                      ("comment out line {n} (of|in) {file}",
                       "(put|add) a # (at the start of|before|in front of) line {n} (of|in) {file}",
                       "line {n} of {file} should be a comment", "turn line {n} of {file} into a comment",
                       "{file}: comment out line {n}", "disable line {n} in {file} with a #"),
                      f"sed -i '{n}s/^/#/' {quoted(path)}", f"comment out line {n}", False,
                      f"Done: line {n} is a comment.", n=n, file=path)
    if which == "match":
        return single(rng, ("comment out the {key} line in {file}",
                            "(put|add) a # before the line that (starts with|sets) {key} in {file}",
                            "comment out {key} in {file}", "disable {key} in {file} (by a comment|with a #)",
                            "{key} in {file} should be commented out", "{file}: comment out {key}",
                            "turn the {key} setting in {file} into a comment"),
                      f"sed -i 's/^{key}/#{key}/' {quoted(path)}", f"comment out {key}", False,
                      f"Done: {key} is commented out.", key=key, file=path)
    return single(rng, ("uncomment (the|) {key} (line|) in {file}",
                        "(remove|delete) the # (before|in front of) {key} in {file}",
                        "enable {key} in {file}, it is commented out",
                        "{key} in {file} should be active again, it is commented out", "{file}: uncomment {key}",
                        "activate the commented {key} line in {file}"),
                  f"sed -i 's/^#{key}/{key}/' {quoted(path)}", f"uncomment {key}", False, f"Done: {key} is active.",
                  key=key, file=path)


@schema("code.strip_trailing", "sed find", weight=1.2)
def strip_trailing(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    ext = "py"
    modules = rng.sample(found.modules, rng.randint(1, 2))
    for module in modules:
        world.add_file(module.path, "\n".join(row + " " * rng.choice((0, 0, 1,
            3)) for row in world.read(module.path).split("\n")) + "x = 1 \n")
    if rng.random() < 0.5:
        path = modules[0].path
        return single(rng, ("(remove|delete|strip) (the|all|) trailing (whitespace|blanks|spaces) (from|in) {file}",
                            "{file}: strip trailing (whitespace|blanks)",
                            "(remove|delete) (blanks|spaces) at (the|) line ends (of|in) {file}",
                            "clean up the line ends of {file} (, no trailing blanks|)",
                            "no trailing (blanks|whitespace) in {file}, please",
                            "get rid of trailing (spaces|blanks) in {file}"),
                      f"sed -i 's/[[:space:]]*$//' {quoted(path)}", f"strip the lines of {path}", False,
                      f"Done: no trailing blanks in {path}.", file=path)
    return single(rng,
                  ("(remove|delete|strip) (the|all|) trailing (whitespace|blanks|spaces) (from|in) all python files",
                   "strip trailing whitespace in every {dot} file (here|)",
                   "no python file should have trailing (blanks|spaces), (remove|strip) them",
                   "clean trailing whitespace from all {dot} files (in all folders|recursively|)",
                   "get rid of trailing (spaces|blanks) in the python (code|files)",
                   "(remove|strip) blanks at line ends in all python files"),
                  f"find . -type f -name '*.{ext}' -exec sed -i 's/[[:space:]]*$//' {{}} +",
                  "strip the lines of all python files", False, "Done: no trailing blanks.", dot=".py")


@schema("code.caches", "find", weight=1.0)
def caches(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    folder = found.modules[0].path.rpartition("/")[0]
    name = rng.choice((".mypy_cache", "build", "node_modules", ".ruff_cache", "dist", ".cache"))
    places = dict.fromkeys((f"{folder}/{name}" if folder else name, f"{plain(world)}/{name}"))
    for place in places:
        world.add_file(f"{place}/{plain(world)}.{rng.choice(('json', 'o', 'txt'))}", plain(world))
    return single(rng, (
        "(delete|remove) all (folders|directories) (called|named) {name} (here and below|recursively|)",
        "get rid of every {name} folder",
        "(delete|remove) (all|the|) {name} (folders|directories) (everywhere|below here|in all folders)",
        "clean up: (delete|remove) every {name} (folder|directory)",
        "no {name} (folders|directories) should be left here, (delete|remove) them all", "rm all {name} directories"),
        f"find . -type d -name {name} -prune -exec rm -r {{}} +", f"delete the {name} folders", False,
        f"Done: no {name} is left.", name=name)


def _requirements(world: World, rng: random.Random) -> tuple[str, list[str], dict[str, str]]:
    path = rng.choice(("requirements.txt", "requirements.txt", "requirements-dev.txt", "requirements/base.txt",
                       "constraints.txt"))
    pool = ("flask", "requests", "numpy", "pandas", "pytest", "rich", "click", "pydantic", "httpx", "jinja2", "pyyaml",
            "sqlalchemy", plain(world), plain(world))
    names = list(dict.fromkeys(rng.sample(pool, rng.randint(3, 7))))
    versions = {name: version(rng) for name in names}
    world.add_file(path, "".join(f"{name}=={versions[name]}\n" for name in names))
    return path, names, versions


@schema("requirements.change", "sed", weight=1.2)
def requirements_change(world: World, rng: random.Random) -> Draft:
    path, names, _ = _requirements(world, rng)
    name = rng.choice([name for name in names if sum(other.startswith(name) for other in names) == 1])
    which, new = rng.choice(("remove", "version", "version", "loosen")), version(rng)
    if which == "remove":
        return single(rng, ("(remove|delete|drop) {name} from {file}", "take {name} out of {file}",
                            "we do not (need|use) {name} any more, (remove|delete) it from {file}",
                            "(remove|delete) the {name} line (from|in) {file}", "{file}: {name} can go",
                            "{name} should not be in {file} (any more|)"),
                      f"sed -i '/^{name}==/d' {quoted(path)}", f"remove {name} from {path}", False,
                      f"Done: {name} is not in {path} any more.", name=name, file=path)
    if which == "version":
        return single(rng,
                      ("(pin|set) {name} to {new} in {file}", "(bump|update|upgrade|change) {name} in {file} to {new}",
                       "{file}: {name} {new}", "{name} in {file} (should|must) be (version|) {new}",
                       "in {file}, {name} (becomes|should be) {name}=={new}", "(use|require) {name} {new} in {file}",
                       "the version of {name} in {file} (should|must) be {new}"),
                      f"sed -i 's/^{name}==.*/{name}=={new}/' {quoted(path)}", f"pin {name} to {new}", False,
                      f"Done: {name}=={new}.", name=name, new=new, file=path)
    return single(rng, ("(change|replace) (all|every) == (to|by|with) >= in {file}", "{file}: >= instead of ==",
                        "turn the exact pins in {file} into minimum versions (, == becomes >=|) ".strip(),
                        "(unpin|loosen) {file}: == (becomes|to) >=", "use >= instead of == in {file}",
                        "every == in {file} should be >="),
                  f"sed -i 's/==/>=/g' {quoted(path)}", f"replace == by >= in {path}", False,
                  "Done: minimum versions.", file=path, protected=("==", ">="))


@schema("requirements.ask", "grep wc cut sort", weight=1.2)
def requirements_ask(world: World, rng: random.Random) -> Draft:
    path, names, _ = _requirements(world, rng)
    name = rng.choice([name for name in names if sum(other.startswith(name) for other in names) == 1])
    command, ways, plan, ordered = rng.choice((
        (f"grep '^{name}=' {quoted(path)}", ("(which|what) version of {name} is in {file}?",
            "version of {name} in {file}", "(look up|find|show) {name} in {file}",
            "(which|what) {name} do we (use|pin|require) (according to|in) {file}?",
            "what does {file} say about {name}?", "how is {name} pinned in {file}?"), f"look up {name}", True),
        (f"wc -l < {quoted(path)}", ("how many (dependencies|requirements|packages) are in {file}?",
                                     "count the (dependencies|requirements|packages) in {file}",
                                     "number of (dependencies|packages) in {file}"), "count the lines", True),
        (f"cut -d= -f1 {quoted(path)}", ("names of the packages in {file} without (their|) versions",
            "(which|what) packages are in {file}? (names only|without versions|just the names)",
            f"{SHOW} the package names (from|in) {{file}} (without versions|, no versions)",
            "{file} without the version numbers", "only the names of the (requirements|dependencies) in {file}"),
            "cut off the versions", True),
        (f"sort {quoted(path)}", ("{file} sorted", f"{SHOW} {{file}} in alphabetical order",
                                  "sort the requirements in {file} (alphabetically|by name) and print them",
                                  "(print|show) the requirements of {file} sorted by name"), "sort it", True)))
    return single(rng, ways, command, plan, True, "{output}" if command.startswith(("wc", "grep")) else None, ordered,
                  name=name, file=path)


def _makefile(world: World, rng: random.Random) -> tuple[list[str], str, str]:
    """Targets with recipes and one variable that the first target prints."""
    targets = list(dict.fromkeys([*rng.sample(("build", "clean", "lint", "docs", "install", "deploy", "package"), 3),
                                  plain(world)]))
    name, value = rng.choice(("NAME", "MODE", "TARGET", "OUT", "CFLAGS", "PREFIX", "PORT")), plain(world)
    body = "".join(f"{target}:\n\t@echo {target} {'$(' + name + ')' if not number else plain(world)}\n\n" for number,
                   target in enumerate(targets))
    world.add_file("Makefile", f"{name} = {value}\nDEBUG = 0\n\n{body}")
    return targets, name, value


@schema("make.more", "make grep sed", weight=1.5)
def make_more(world: World, rng: random.Random) -> Draft:
    targets, name, _ = _makefile(world, rng)
    target, new = rng.choice(targets), plain(world)
    which = rng.choice(("variable", "dry", "recipe", "variables", "value", "set", "folder", "first"))
    if which == "variable":
        first = targets[0]
        return single(rng, ("make {target} with {name}={new}", "(run|execute) make {target} with {name} set to {new}",
                            "make {target}, {name} (should|must) be {new}", "build {target} with {name}={new}",
                            "make {target} {name}={new}", "(run|call) the target {target} and pass {name}={new}"),
                      f"make {first} {name}={new}", f"make {first} with {name}={new}", True, ordered=True,
                      target=first, name=name, new=new)
    if which == "dry":
        return single(rng, ("what would make {target} (do|run)? (do not|don't) run it",
                            "(show|print) the commands of make {target} without running (them|it)",
                            "dry run of make {target}", "make {target}, dry run (only|)",
                            "(which|what) commands would make {target} (execute|run)?", "make -n {target}",
                            "preview make {target}"),
                      f"make -n {target}", f"preview make {target}", True, ordered=True, target=target)
    if which == "recipe":
        return single(rng, ("(show|print) the (recipe|rule) (of|for) {target} (in|from) the Makefile",
                            "how is the target {target} defined (in the Makefile|)?",
                            "(show|print) the {target} (target|rule) of the Makefile",
                            "what does the Makefile say for {target}?", "the {target} (rule|recipe) in the Makefile",
                            "(print|show) the lines of the Makefile that make {target}"),
                      f"sed -n '/^{target}:/,/^$/p' Makefile", f"print the rule {target}", True, ordered=True,
                      target=target, protected=("Makefile",))
    if which == "variables":
        return single(rng, ("(which|what) variables does the Makefile (set|define|have)?",
                            f"{SHOW} the variables (of|in) the Makefile", "variables (set|defined) in the Makefile",
                            "Makefile variables (with|and) their values",
                            "grep the variable (definitions|assignments) in the Makefile",
                            "(what|which) settings are at the top of the Makefile? only the variables"),
                      "grep -E '^[A-Z_]+ *=' Makefile", "list the variables", True, ordered=True,
                      protected=("Makefile",))
    if which == "value":
        return single(rng, ("(what is|what's) {name} set to in the Makefile?", "value of {name} in the Makefile",
                            "(which|what) value does {name} have in the Makefile?",
                            "(look up|find|show) {name} in the Makefile", "how is {name} set (by|in) the Makefile?",
                            "grep {name} = in the Makefile"),
                      f"grep '^{name} =' Makefile", f"look up {name}", True, "{output}", ordered=True, name=name,
                      protected=("Makefile",))
    if which == "set":
        return single(rng, ("(set|change) {name} to {new} in the Makefile",
                            "{name} in the Makefile (should|must) be {new}", "Makefile: {name} = {new}",
                            "(update|edit) the Makefile so that {name} is {new}",
                            "use {new} as {name} in the Makefile", "the Makefile (should|must) set {name} to {new}"),
                      f"sed -i 's/^{name} = .*/{name} = {new}/' Makefile", f"set {name} to {new}", False,
                      f"Done: {name} is {new}.", name=name, new=new, protected=("Makefile",))
    if which == "first":
        return single(rng, ("run make", "just make (it|)", "(run|call) make without (a target|arguments|any target)",
                            "make, default target", "build with make (, the default target|)",
                            "(run|make|build) the default target of the Makefile"),
                      "make", "run make", True, ordered=True, protected=("Makefile",))
    folder = f"{plain(world)}-{plain(world)}"
    world.add_file(f"{folder}/Makefile", f"{target}:\n\t@echo {plain(world)} {target}\n")
    return single(rng, ("(run|execute) make {target} in {folder}", "make {target} in the (folder|directory) {folder}",
                        "make -C {folder} {target}", "in {folder}, (run|do) make {target}",
                        "the Makefile in {folder} has a target {target}, run it",
                        "build {target} in {folder} (with make|)"),
                  f"make -C {folder} {target}", f"make {target} in {folder}", True, ordered=True, target=target,
                  folder=folder, protected=("Makefile",))


@schema("code.append_function", "printf", weight=1.0)
def append_function(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    path = rng.choice(found.modules).path
    name, value = f"get_{plain(world)}", rng.choice((str(rng.randint(1, 99)), "None", "True", "[]",
        f"'{plain(world)}'"))
    if "'" in value:
        raise Unsuitable("a quote in a quote")
    return single(rng, (
        "(add|append) a function {name} (that returns|returning) {value} (at the end of|to) {file}",
        "{file} needs a function {name} (that returns|returning) {value} (at the end|)",
        "(write|put) a function {name} (which|that) returns {value} at the end of {file}",
        "(append|add) def {name}() to {file}, it (should|must) return {value}",
        "new function {name} (in|at the end of) {file}: (it returns|return) {value}",
        "extend {file} (by|with) a function {name} that returns {value}"),
        f"printf '\\n\\ndef {name}():\\n    return {value}\\n' >> {quoted(path)}", f"append {name} to {path}", False,
        f"Done: {path} has {name}.", name=name, value=value, file=path)


@schema("code.insert_after", "sed", weight=0.8)
def insert_after(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    module, name = found.function(rng)
    line = f"# {plain(world)} {plain(world)}"
    before = rng.random() < 0.5
    side = "before" if before else "after"
    return single(rng, (
        f"(insert|add|put) {{line}} {side} the (definition of|line that defines) {{name}} in {{file}}",
        f"in {{file}}, (insert|add|put) {{line}} {side} def {{name}}",
        f"{{file}}: {{line}} {side} the line def {{name}}",
        f"(insert|add) a line {{line}} {'above' if before else 'below'} def {{name}} in {{file}}",
        f"{{line}} should stand {side} the def line of {{name}} in {{file}}",
        f"put {{line}} {side} the line with def {{name}} in {{file}}"),
        f"sed -i '/def {name}(/{'i' if before else 'a'} {line}' {quoted(module.path)}", f"insert it {side} {name}",
        False, f"Done: the line stands {side} {name}.", line=string(line), name=name, file=module.path)
