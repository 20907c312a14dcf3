"""Questions to a code base beyond the commonest: counts per file, blanks, includes, tests, classes, runs."""

from __future__ import annotations

import json
import random
import shutil

from nimllm.agent.gym.projects import constant_name, different, noun, project
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.builds import test_folder
from nimllm.agent.gym.schemas.lookups import plain
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.worlds import World

SHOW = "(show|list|print|give me|display|get)"
HERE = "(|||here|in this project|in the project|in this repo|in the code|below here)"


@schema("code.todos_per_file", "grep", weight=1.0)
def todos_per_file(world: World, rng: random.Random) -> Draft:
    tag = rng.choice(("TODO", "TODO", "FIXME", "XXX"))
    project(world, rng, remarks=rng.randint(2, 7), tag=tag)
    return single(rng, (
        f"(number of|how many) {{tag}}s per (python|) file {HERE}",
        f"count the {{tag}}s (in each|per|of every) python file {HERE}",
        "{tag} count per python file (without zeros|, only files that have some)",
        f"{SHOW} each python file with its number of {{tag}}s, (leave out|skip) those without (any|)",
        "how many {tag}s does each python file have? (skip the zeros|only those that have any)",
        "which python files have how many {tag}s?"),
        f"grep -rc --include='*.py' '{tag}' . | grep -v ':0$'", f"count {tag} per file", True, tag=tag)


@schema("code.lines_per_file", "find xargs wc", weight=1.2)
def lines_per_file(world: World, rng: random.Random) -> Draft:
    project(world, rng, modules=(2, 4))
    if rng.random() < 0.5:
        return single(rng, (
            f"(number of|count the) lines of (each|every) python file {HERE}",
            f"how many lines does each python file have {HERE}?",
            f"python files with their (line counts|number of lines) {HERE}",
            f"{SHOW} the line count of every {{py}} file {HERE}",
            "wc -l for all {py} files (recursively|in all folders|)", f"lines per python file {HERE}",
            f"line counts of (all|the) python files {HERE}"),
            "find . -type f -name '*.py' -exec wc -l {} +", "count the lines of each file", True, py=".py")
    n = rng.randint(2, 3)
    return single(rng, (
        f"the {{n}} longest python files (by lines|in lines) {HERE}",
        f"(which|what) are the {{n}} python files with the most lines {HERE}?",
        "top {n} python files by (line count|number of lines)",
        f"{SHOW} the {{n}} longest {{py}} files with their line counts {HERE}",
        f"{{n}} python files with the most lines {HERE}, longest first",
        "longest python files, (only|just) the first {n}, with (line counts|their number of lines)"),
        f"find . -type f -name '*.py' -exec wc -l {{}} \\; | sort -rn | head -n {n}", f"list the {n} longest files",
        True, ordered=True, n=n, py=".py")


@schema("code.longest_line", "awk", weight=0.6)
def longest_line(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    path = rng.choice(found.modules).path
    return single(rng, (
        "how long is the longest line (in|of) {file}?", "length of the longest line (in|of) {file}",
        "(maximum|max|maximal) line length (in|of) {file}", f"{SHOW} the length of the longest line in {{file}}",
        "longest line of {file}: how many characters?",
        "(what is|tell me) the longest line's length in {file}"),
        f"awk '{{ if (length > n) n = length }} END {{ print n }}' {quoted(path)}", f"measure the lines of {path}",
        True, "{output} characters.", ordered=True, file=path)


@schema("code.trailing", "grep", weight=1.2)
def trailing(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    modules = rng.sample(found.modules, rng.randint(1, 2))
    for module in modules:
        rows = world.read(module.path).split("\n")
        at = rng.randrange(len(rows) - 1)
        rows[at] = rows[at].rstrip() + " " * rng.randint(1, 3)
        world.add_file(module.path, "\n".join(rows))
    if rng.random() < 0.5:
        return single(rng, (
            f"(which|what) python files have trailing (blanks|spaces|whitespace) {HERE}?",
            f"{SHOW} (the|all) python files with trailing (blanks|whitespace|spaces) {HERE}",
            f"python files with trailing whitespace {HERE}", "which {py} files have blanks at line ends?",
            f"find python files (that have|with) spaces at the end of a line {HERE}"),
            "grep -rl --include='*.py' ' $' .", "find files with trailing blanks", True, py=".py")
    path = modules[0].path
    return single(rng, (
        "(which|what) lines of {file} end in (blanks|spaces)?",
        f"{SHOW} the lines of {{file}} with trailing (blanks|spaces|whitespace) (with line numbers|)",
        "lines of {file} that end with a (blank|space), with line numbers",
        "(find|show) trailing whitespace in {file}", "trailing blanks in {file}: (which|what) lines?",
        "(where|in which lines) does {file} have trailing (spaces|whitespace)?"),
        f"grep -n ' $' {quoted(path)}", f"find trailing blanks in {path}", True, ordered=True, file=path)


@schema("code.kinds", "find sed sort uniq", weight=1.0)
def kinds(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"(number of|how many) files per extension {HERE}",
        f"count the files (by|per) (extension|file type|type) {HERE}, (most frequent first|most first)",
        "file types with counts", f"how many files of each (type|extension|kind) are there {HERE}?",
        f"{SHOW} the (extensions|file types) with the number of files, (most|largest number) first",
        f"(which|what) (extensions|file types) do we have {HERE} and how many files of each?",
        "files grouped by extension, (counted|with counts)", "(statistics|stats) of file extensions"),
        "find . -type f -name '*.*' | sed 's/.*\\.//' | sort | uniq -c | sort -rn", "count the files per extension",
        True)


@schema("code.constants", "grep", weight=0.8)
def constants(world: World, rng: random.Random) -> Draft:
    modules = [module for module in project(world, rng, modules=(2, 4)).modules if module.constants]
    if not modules:
        raise Unsuitable("no constant")
    path = rng.choice(modules).path
    return single(rng, (
        "(which|what) constants (are defined|are set|are) in {file}?",
        f"{SHOW} (all|the) constants (of|in|from) {{file}} (with line numbers|)", "constants (of|in) {file}",
        "(which|what) upper-case (names|variables) does {file} (define|set)?",
        "grep the constants (in|of) {file}", "(find|list) the top-level constants (of|in) {file}"),
        f"grep -nE '^[A-Z_]+ = ' {quoted(path)}", f"list the constants of {path}", True, ordered=True, file=path)


@schema("code.subclasses", "grep", weight=0.8)
def subclasses(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, modules=(2, 4))
    base = noun(rng).capitalize() + rng.choice(("Base", "Error", "Handler", "Model", "View"))
    for module in rng.sample(found.modules, rng.randint(1, 2)):
        world.add_file(module.path,
                       world.read(module.path) + f"\n\nclass {noun(rng).capitalize()}{base}({base}):\n    pass\n")
    return single(rng, (
        f"(which|what) classes (inherit from|derive from|subclass|extend) {{name}} {HERE}?",
        f"{SHOW} (all|the) (subclasses|children) of {{name}} {HERE}", "subclasses of {name}",
        f"who (inherits|derives) from {{name}} {HERE}?",
        "(find|grep) every class that extends {name}", "where is {name} subclassed?"),
        f"grep -rn 'class .*({base})' .", f"find the subclasses of {base}", True, name=base)


@schema("code.entry_points", "grep", weight=0.8)
def entry_points(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, modules=(2, 4))
    for module in rng.sample(found.modules, rng.randint(1, 2)):
        world.add_file(module.path, world.read(module.path) + "\n\nif __name__ == \"__main__\":\n    print(1)\n")
    return single(rng, (
        f"(which|what) python files have a main block {HERE}?",
        f"{SHOW} (the|all) (python|) files with {{main}} {HERE}",
        f"(which|what) files (contain|have) {{main}} {HERE}?", "files with a {main} block",
        f"(find|list) the scripts {HERE}: files that mention {{main}}",
        "which files check {main}?"),
        "grep -rl '__main__' .", "find the files with a main block", True, main="__main__")


@schema("code.defined_and_used", "grep", weight=0.8)
def used_in_file(world: World, rng: random.Random) -> Draft:
    module, name = project(world, rng).function(rng)
    return single(rng, (
        "which lines of {file} mention {name}?", "where (in|inside) {file} is {name} (used|mentioned)?",
        "lines with {name} in {file}, (numbered|with line numbers)",
        f"{SHOW} the lines of {{file}} that mention {{name}} (with their numbers|with line numbers)",
        "occurrences of {name} in {file} with line numbers", "grep -n {name} in {file}"),
        f"grep -n '{name}' {quoted(module.path)}", f"search {module.path} for {name}", True, ordered=True, name=name,
        file=module.path)


@schema("code.size", "grep", weight=1.0)
def size(world: World, rng: random.Random) -> Draft:
    """Lines that are code, comments, or empty."""
    path = rng.choice(project(world, rng, remarks=3).modules).path
    command, ways, plan = rng.choice((
        ("grep -cv '^$'", ("how many non-empty lines (does {file} have|are in {file})?",
                           "count the (non-empty|non-blank) lines (of|in) {file}",
                           "lines of {file} without (the|) empty ones, how many?",
                           "number of (non-blank|non-empty) lines in {file}"), "count the lines that are not empty"),
        ("grep -c '^$'", ("how many (empty|blank) lines (does {file} have|are in {file})?",
                          "count the (empty|blank) lines (of|in) {file}", "number of (blank|empty) lines in {file}",
                          "(empty|blank) lines in {file}: how many?"), "count the empty lines"),
        ("grep -c '^ *#'", ("how many comment lines (does {file} have|are in {file})?",
                            "count the comment lines (of|in) {file}", "number of comment lines in {file}",
                            "how many lines of {file} are comments?"), "count the comment lines"),
        ("grep -cvE '^ *(#|$)'", ("how many lines of {file} are (real|actual|) code, no comments or empty lines?",
            "count the (real|actual|) code lines of {file}, without comments and (empty|blank) lines",
          "lines of code in {file} without comments and blank lines",
          "number of lines in {file} that are neither (empty|blank) nor comments"), "count the code lines")))
    return single(rng, ways, f"{command} {quoted(path)}", plan, True, "{output} lines.", ordered=True, file=path)


@schema("code.without_comments", "grep", weight=0.8)
def without_comments(world: World, rng: random.Random) -> Draft:
    name = world.new_name(ext=rng.choice(("conf", "cfg", "sh", "py", "yaml", "env")))
    rows = [rng.choice((f"# {plain(world)} {plain(world)}", "", f"{plain(world)}={rng.randint(1, 99)}",
                        f"{plain(world)}={plain(world)}")) for _ in range(rng.randint(5, 12))]
    world.add_file(name, "\n".join([*rows, f"{plain(world)}=1"]) + "\n")
    if rng.random() < 0.5:
        return single(rng, (
            f"{SHOW} {{file}} without comments (and empty lines|and blank lines)",
            "{file} without comments and (empty|blank) lines",
            "only the (real|active|effective) lines of {file}, no comments, no (blank|empty) lines",
            "cat {file}, (leave out|skip) comments and (blank|empty) lines",
            "(strip|drop) comments and empty lines from {file} and (print|show) the rest",
            "(which|what) lines of {file} are neither comments nor empty?"),
            f"grep -vE '^(#|$)' {quoted(name)}", f"print {name} without comments", True, ordered=True, file=name)
    if not any(row.startswith("#") for row in rows):
        raise Unsuitable("no comment")
    return single(rng, (f"{SHOW} (only|) the comments (of|in) {{file}}", "comments in {file}",
                        "(which|what) lines of {file} are comments?", "comment lines of {file}",
                        "(only|just) the lines of {file} that start with #",
                        "(grep|print) the comment lines of {file}"),
                  f"grep '^#' {quoted(name)}", f"print the comments of {name}", True, ordered=True, file=name)


@schema("code.c_includes", "grep", weight=0.6)
def c_includes(world: World, rng: random.Random) -> Draft:
    name = world.new_name(ext=rng.choice(("c", "h", "cpp")))
    heads = rng.sample(("<stdio.h>", "<stdlib.h>", "<string.h>", "<math.h>", "<time.h>", f'"{plain(world)}.h"',
                        f'"{plain(world)}.h"'), rng.randint(1, 4))
    world.add_file(name,
                   "".join(f"#include {head}\n" for head in heads) + f"\nint {plain(world)} = {rng.randint(1, 9)};\n")
    return single(rng, ("(which|what) (headers|header files) does {file} include?",
                        f"{SHOW} the includes (of|in) {{file}}", "includes of {file}", "#include lines of {file}",
                        "(list|grep) the (headers|include lines) (of|in) {file}", "what does {file} include?"),
                  f"grep '^#include' {quoted(name)}", f"list the includes of {name}", True, ordered=True, file=name)


@schema("code.js_functions", "grep", weight=0.7)
def js_functions(world: World, rng: random.Random) -> Draft:
    name = world.new_name(ext=rng.choice(("js", "ts")))
    used: set[str] = set()
    names = [part.lower() for part in different(rng, noun, rng.randint(1, 4), used)]
    body = "".join(f"function {part}(value) {{\n  return value + {rng.randint(1, 9)};\n}}\n\n" for part in names)
    world.add_file(name, f"const {constant_name(rng)} = {rng.randint(1, 99)};\n\n{body}console.log({names[0]}(1));\n")
    return single(rng, ("(which|what) functions does {file} define?",
                        f"{SHOW} the functions (of|in) {{file}} (with line numbers|)", "functions of {file}",
                        "(list|grep) the function definitions in {file}", "(names|list) of the functions in {file}",
                        "(find|show) every function of {file}"),
                  f"grep -n '^function ' {quoted(name)}", f"list the functions of {name}", True, ordered=True,
                  file=name)


@schema("tests.files", "find", weight=0.8)
def test_files(world: World, rng: random.Random) -> Draft:
    project(world, rng, tests=test_folder(rng), modules=(2, 4))
    if rng.random() < 0.4:
        return single(rng, ("how many test files (are there|do we have) (here|)?", "number of test files",
                            "count the (python|) test files", f"count the test_*.py files {HERE}",
                            "how many files are called test_something.py?"),
                      "find . -type f -name 'test_*.py' | wc -l", "count the test files", True, "{output} test files.")
    return single(rng, (f"{SHOW} (all|the) (python|) test files {HERE}",
                        "(which|what) test files (are there|do we have)?", "where are the test files?", "test files?",
                        f"find (all|the|every) test_*.py (file|) {HERE}", "files with tests",
                        "(names|list) of the test files"),
                  "find . -type f -name 'test_*.py'", "list the test files", True)


@schema("tests.of_function", "grep", weight=0.8)
def tests_of_function(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, tests=rng.choice(("tests", "test")), modules=(2, 3))
    _, name = found.function(rng)
    return single(rng, (
        "(which|what) test file mentions {name}?", "(which|what) files in {tests} mention {name}?",
        "(where|in which test file) is {name} tested?", "test files (for|of) {name}",
        f"{SHOW} the files in {{tests}} that (use|mention) {{name}}",
        "is {name} tested? (show|list) the test files (that use it|)"),
        f"grep -rl '{name}' {found.tests}", f"find the tests of {name}", True, name=name, tests=found.tests)


@schema("tests.one_test", "python3 tail", weight=1.2)
def one_test(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, tests=test_folder(rng), failing=rng.choice((0, 0, 1)))
    _, name = found.function(rng)
    return single(rng, (
        "run (only|just|) the test {test}", "does (the test|) {test} pass?", "(run|execute) (just|only) {test}",
        "run the tests (whose name contains|that match|matching) {test}", "(check|see) (whether|if) {test} passes",
        "unittest, only {test}", "(run|try) {test} (alone|by itself)"),
        f"{found.runner()} -k test_{name} 2>&1 | tail -n 1", f"run test_{name}", True, "The tests say: {output}",
        test=f"test_{name}")


@schema("python.check", "python3", weight=1.2)
def check(world: World, rng: random.Random) -> Draft:
    """Whether a file can be compiled, is valid JSON, or passes its doctests."""
    which = rng.choice(("compile", "json", "doctest", "all"))
    if which == "json":
        path = world.new_name(ext="json")
        world.add_file(path, json.dumps({plain(world): rng.randint(1, 99), "list": [1, 2, plain(world)]}) + "\n")
        return single(rng, ("is {file} valid json?", "(check|validate) the json in {file}",
                            "does {file} parse as json?", "validate {file} (as json|)",
                            "(check|see) (whether|if) {file} is (valid|well-formed) json",
                            "json syntax check of {file}"),
                      f"jq . {quoted(path)}", f"parse {path}", True, f"Yes, {path} is valid JSON.", ordered=True,
                      file=path)
    path = rng.choice(project(world, rng).modules).path
    if which == "compile":
        return single(rng,
                      ("does {file} compile? print ok if so",
                       "(check|verify) the (python|) syntax of {file}, say ok (if it is fine|when it is right)",
                       "syntax check of {file}, print ok when it is fine", "py_compile {file} and print ok",
                       "is {file} valid python? say ok if it is", "is the syntax of {file} right? print ok if so"),
                      f"python3 -m py_compile {quoted(path)} && echo ok", f"compile {path}", True, "Yes, it compiles.",
                      file=path)
    if which == "all":
        return single(rng, ("do all python files compile? print ok if so",
            "(check|verify) the syntax of all python files, say ok (if they are fine|when all is right)",
                            "compileall, then ok", "compile every python file here (quietly|) and print ok",
                            "is there a syntax error in any python file? print ok if not",
                            "syntax check of the whole project, print ok when it is fine"),
                      "python3 -m compileall -q . && echo ok", "compile everything", True, "Yes, they compile.")
    name = world.new_name(ext="py")
    function, factor, value = plain(world), rng.randint(2, 9), rng.randint(2, 9)
    world.add_file(name,
                   f'def f_{function}(x):\n    """\n    >>> f_{function}({value})\n'
                   f'    {value * factor}\n    """\n    return x * {factor}\n')
    return single(rng, ("(run|execute) the doctests (of|in) {file} and say ok (if they pass|)",
                        "do the doctests (of|in) {file} pass? print ok if so", "doctest {file}, ok if it passes",
                        "(check|verify) the (docstring examples|doctests) in {file}, print ok when they pass",
                        "python doctest on {file}, then ok",
                        "are the examples in the docstrings of {file} right? print ok if so"),
                  f"python3 -m doctest {quoted(name)} && echo ok", f"run the doctests of {name}", True,
                  "Yes, they pass.", file=name)


@schema("python.run", "python3", weight=1.2)
def run(world: World, rng: random.Random) -> Draft:
    """A module with -m, a function from the command line, several arguments, output into a file."""
    found = project(world, rng)
    module, function = found.function(rng)
    number = rng.randint(1, 60)
    factor, shift = module.sums[function]
    which = rng.choice(("call", "module", "arguments", "into", "version"))
    if which == "call":
        return single(rng, ("what does {function}({n}) (return|give)? it is in {module}",
                            "call {function}({n}) from (the module|) {module} and print the result",
                            "value of {function}({n}) in {module}", "(print|show) {module}.{function}({n})",
                            "evaluate {function}({n}), imported from {module}",
                            "import {function} from {module} and print {function}({n})"),
                      f"python3 -c 'from {module.name} import {function}; print({function}({number}))'",
                      f"call {function}", True, f"It is {number * factor + shift}.", ordered=True, function=function,
                      n=number, module=module.name)
    path = world.new_name(ext="py")
    if which == "module":
        package = f"{plain(world)}_{plain(world)}"
        world.add_file(f"{package}/__init__.py", "")
        world.add_file(f"{package}/__main__.py", f"print('{plain(world)}', {rng.randint(1, 99)} * 2)\n")
        return single(rng, ("run the (python|) package {name}", "python3 -m {name}",
                            "(run|execute|start) {name} (as a module|with python -m)",
                            "{name} is a python package, run it", "what does python -m {name} print?",
                            "output of the package {name} when (run|executed)"),
                      f"python3 -m {package}", f"run {package}", True, ordered=True, name=package)
    if which == "arguments":
        a, b = plain(world), rng.choice((plain(world), str(rng.randint(1, 99))))
        world.add_file(path, "import sys\n\nprint(len(sys.argv), *reversed(sys.argv[1:]))\n")
        return single(rng, ("run {file} with {a} and {b}", "(run|execute|start) {file} {a} {b}",
                            "what does {file} print (for|with) the arguments {a} and {b}?",
                            "call {file} with the arguments {a} {b}", "pass {a} and {b} to {file} and show the output",
                            "output of {file} {a} {b}"),
                      f"python3 {quoted(path)} {a} {b}", f"run {path}", True, ordered=True, file=path, a=a, b=b)
    if which == "into":
        out = world.new_name(ext=rng.choice(("txt", "log", "out")))
        world.add_file(path, f"for number in range({rng.randint(2, 5)}):\n    print('{plain(world)}', number)\n")
        return single(rng, ("run {file} and (save|write|put) the output (to|into|in) {out}",
                            "(save|write) the output of {file} (to|into|in) {out}", "{file} > {out}",
                            "{out} should (hold|contain) what {file} prints", "run {file}, output into {out}",
                            "execute {file} and redirect (its|the) output to {out}"),
                      f"python3 {quoted(path)} > {quoted(out)}", f"run {path} into {out}", False,
                      f"Done: {out} has the output.", file=path, out=out)
    left, right, sign = rng.randint(2, 999), rng.randint(2, 99), rng.choice(("*", "+", "-", "%", "**"))
    if sign == "**":
        left, right = rng.randint(2, 12), rng.randint(2, 9)
    return single(rng, ("(use python to|with python,) (compute|calculate) {x}", "what does python say to {x}?",
                        "python: print {x}", "evaluate {x} (in|with) python", "{x} in python",
                        "print the result of {x} with python3"),
                  f"python3 -c 'print({left} {sign} {right})'", f"compute {left} {sign} {right}", True, "{output}",
                  ordered=True,
                  x=f"{left} {sign} {right}")


@schema("c.compile", "gcc", weight=0.8)
def compile_c(world: World, rng: random.Random) -> Draft:
    if shutil.which("gcc") is None:
        raise Unsuitable("no compiler")
    stem = plain(world)
    if stem in world.entries or f"{stem}.c" in world.entries:
        raise Unsuitable("the name is taken")
    world.add_file(f"{stem}.c",
                   f'#include <stdio.h>\n\nint main(void) {{\n'
                   f'    printf("{plain(world)} %d\\n", {rng.randint(2, 99)} * 3);\n    return 0;\n}}\n')
    return single(rng,
                  ("compile {file} and run it",
                   "(compile|build) {file} (to|as|into) {stem} and (run|start|execute) it",
                   "gcc {file}, (then|and) run (it|the program)", "(build|compile) and run {file}",
                   "what does {file} print? (compile|build) it first",
                   "(make|build) the program {stem} from {file} and run it", "output of the C program {file}"),
                  f"gcc -o {stem} {stem}.c && ./{stem}", f"compile {stem}.c and run it", True, ordered=True,
                  file=f"{stem}.c", stem=stem)


@schema("code.string", "grep", weight=1.0)
def literal(world: World, rng: random.Random) -> Draft:
    """A text with blanks or signs, as it stands."""
    found = project(world, rng, modules=(2, 4))
    text = rng.choice((f"{plain(world)} {plain(world)}", f"{plain(world)}: {plain(world)}",
                       f"{plain(world)}_{rng.randint(1, 99)}", f"{plain(world)}/{plain(world)}"))
    for module in rng.sample(found.modules, rng.randint(1, 2)):
        world.add_file(module.path, world.read(module.path) + f"\n\nMESSAGE = \"{text}\"\n")
    return single(rng, (
        f"where does the text {{text}} come from {HERE}?", "(which|what) file contains the message {text}?",
        "(search|grep) (the code|all files|everything) for {text}", f"(find|look for) the string {{text}} {HERE}",
        "grep {text} everywhere with line numbers", f"in (which|what) files and lines is {{text}} {HERE}?"),
        f"grep -rn {string(text)} .", "search for the text", True,
        text=f'"{text}"') if rng.random() < 0.7 else single(rng, (
        "(which|what) files contain {text}? (names only|)",
        f"{SHOW} the files (that contain|with) {{text}} (, names only|)", "files with {text}",
        "(names|list) of the files that mention {text}", "grep -l {text} in all files",
        "in (which|what) files is {text}? (just|only) the names"),
        f"grep -rl {string(text)} .", "search for the text", True, text=f'"{text}"')
