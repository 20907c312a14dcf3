"""Chores of a code base, one command each: comments, definitions, uses, renames, imports, lines."""

from __future__ import annotations

import random

from nimllm.agent.gym.projects import Project, class_name, constant_name, different, function_name, project
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.worlds import World

HERE = "(||here|in this project|in this repo|in the code base|in the project|in the code|in this folder)"
SHOW = "(show|list|print|give me|display|get)"


def _tag(rng: random.Random) -> str:
    return rng.choice(("TODO", "TODO", "FIXME", "HACK", "XXX"))


@schema("code.todos", "grep", weight=1.5)
def todos(world: World, rng: random.Random) -> Draft:
    tag = _tag(rng)
    project(world, rng, remarks=rng.randint(1, 5), tag=tag)
    return single(rng, (
        f"{SHOW} (all|all the|the|every) {{tag}} (comments|comment lines|notes|lines) {HERE}",
        f"(list|show|find|collect) (all|the) {{tag}}s {HERE}",
        f"(where are|what are) the {{tag}}s {HERE}?",
        f"which {{tag}}s are (still open|left|there) {HERE}?",
        "grep (for|) {tag} (in all files|recursively|everywhere)",
        f"find (every|each) {{tag}} with file (name|) and line number {HERE}",
        "{tag}s?",
        f"what is marked (as|with) {{tag}} {HERE}?"),
        f"grep -rn '{tag}' .", f"search for {tag}", True, tag=tag)


@schema("code.todos_both", "grep")
def todos_both(world: World, rng: random.Random) -> Draft:
    first, second = rng.choice((("TODO", "FIXME"), ("FIXME", "TODO"), ("TODO", "XXX"), ("HACK", "TODO")))
    project(world, rng, remarks=2, tag=first)
    project(world, rng, remarks=1, tag=second)
    return single(rng, (
        f"{SHOW} (all|the|all the) {{a}} and {{b}} (comments|notes|lines|) {HERE}",
        f"where are the {{a}}s and {{b}}s {HERE}?",
        f"find (every|each) {{a}} or {{b}} {HERE}",
        f"lines (with|containing) {{a}} or {{b}} {HERE}",
        f"what {{a}}s and {{b}}s (are left|do we have) {HERE}?",
        "grep for {a} and {b} (everywhere|recursively|)",
        f"(search|look) for both {{a}} and {{b}} {HERE}"),
        f"grep -rnE '{first}|{second}' .", f"search for {first} or {second}", True, a=first, b=second)


@schema("code.todos_count", "grep wc")
def todos_count(world: World, rng: random.Random) -> Draft:
    tag = _tag(rng)
    project(world, rng, remarks=rng.randint(2, 9), tag=tag)
    return single(rng, (
        f"how many {{tag}}s are (there|left) {HERE}?",
        f"count (all|the|) {{tag}} (comments|lines|notes|) {HERE}",
        f"count the {{tag}}s {HERE}",
        f"(number|count) of {{tag}}s {HERE}",
        f"how many (lines|comments) (contain|have|mention) {{tag}} {HERE}?",
        "how many {tag}s do we (still have|have)?",
        f"tell me how many {{tag}} (comments|lines) (remain|there are) {HERE}"),
        f"grep -rn '{tag}' . | wc -l", f"count the {tag} lines", True, f"There are {{output}} {tag} lines.", tag=tag)


@schema("code.todos_files", "grep")
def todos_files(world: World, rng: random.Random) -> Draft:
    tag = _tag(rng)
    project(world, rng, remarks=rng.randint(1, 3), tag=tag)
    return single(rng, (
        f"which files (have|contain) (a {{tag}}|{{tag}}s|{{tag}} comments) {HERE}?",
        f"(list|show|name) the files (with|containing|that have) {{tag}} {HERE}",
        "in which files (is|do I find) {tag}?",
        f"(file names|files) (only|) (with|that contain) {{tag}} {HERE}",
        f"what files still have {{tag}}s {HERE}?",
        f"find (all|the|) files that mention {{tag}} {HERE}"),
        f"grep -rl '{tag}' .", f"find the files with {tag}", True, tag=tag)


@schema("code.define_function", "grep", weight=2)
def define_function(world: World, rng: random.Random) -> Draft:
    _, name = project(world, rng).function(rng)
    return single(rng, (
        f"where is (the function|function|) {{name}} defined {HERE}?",
        f"find the definition of (the function|) {{name}} {HERE}",
        "(which|what) file defines (the function|) {name}?",
        "(show|give me) (me|) where (the function|) {name} is defined",
        "(locate|find) (the function|function) {name}",
        "definition of {name}",
        f"(in which file and line|on which line) is {{name}} defined {HERE}?",
        "where does {name} come from?",
        "find def {name}"),
        f"grep -rn 'def {name}(' .", f"find the definition of {name}", True, name=name)


@schema("code.define_class", "grep")
def define_class(world: World, rng: random.Random) -> Draft:
    name = _class(world, rng)
    return single(rng, (
        f"where is (the class|class) {{name}} defined {HERE}?",
        f"find the definition of (the|) class {{name}} {HERE}",
        "(which|what) file defines (the|) class {name}?",
        "(locate|find) (the class|class) {name}",
        "where is {name} (defined|declared)?",
        "definition of class {name}",
        f"on which line does class {{name}} start {HERE}?",
        "(show|tell) me where the class {name} is (defined|declared)"),
        f"grep -rn 'class {name}' .", f"find the class {name}", True, name=name)


def _class(world: World, rng: random.Random) -> str:
    names = [name for module in project(world, rng, modules=(3, 5)).modules for name in module.classes]
    if not names:
        raise Unsuitable("no class")
    return rng.choice(names)


def _symbol(world: World, rng: random.Random) -> tuple[Project, str]:
    """A function, sometimes a class or a constant."""
    found = project(world, rng)
    pools = [[name for module in found.modules for name in names(module)] for names in
             (lambda module: module.functions, lambda module: module.functions, lambda module: module.classes,
              lambda module: list(module.constants))]
    return found, rng.choice(rng.choice([pool for pool in pools if pool]))


@schema("code.uses", "grep", weight=2)
def uses(world: World, rng: random.Random) -> Draft:
    _, name = _symbol(world, rng)
    return single(rng, (
        f"where is {{name}} used {HERE}?",
        f"find (all|the|every|) (uses|usages|use) of {{name}} {HERE}",
        f"{SHOW} (all|the|every|) (places|lines) (where|that use|in which) {{name}} (is used|appears|occurs|) {HERE}",
        "who (calls|uses) {name}?",
        f"(show|list) (all|every) (reference|references) to {{name}} {HERE}",
        "what (calls|uses) {name}?",
        f"search (the code|) for {{name}} as a whole word {HERE}",
        "usages of {name}"),
        f"grep -rnw '{name}' .", f"find the uses of {name}", True, name=name)


@schema("code.uses_files", "grep")
def uses_files(world: World, rng: random.Random) -> Draft:
    _, name = _symbol(world, rng)
    return single(rng, (
        f"which files use {{name}} {HERE}?",
        f"(list|show|name) the files that (use|call|reference) {{name}} {HERE}",
        "in which files is {name} used?",
        f"what files reference {{name}} {HERE}?",
        f"find the files (using|referencing|that depend on) {{name}} {HERE}",
        f"only the names of the files that use {{name}} {HERE}"),
        f"grep -rlw '{name}' .", f"find the files that use {name}", True, name=name)


@schema("code.uses_count", "grep wc")
def uses_count(world: World, rng: random.Random) -> Draft:
    _, name = _symbol(world, rng)
    return single(rng, (
        f"how (often|many times) is {{name}} used {HERE}?",
        f"count the (uses|usages|references) of {{name}} {HERE}",
        f"on how many lines (is|does) {{name}} (used|appear) {HERE}?",
        f"number of (lines that use|uses of|references to) {{name}} {HERE}",
        f"count (all|the|) lines (that use|using) {{name}} {HERE}",
        f"how many references to {{name}} are there {HERE}?"),
        f"grep -rnw '{name}' . | wc -l", f"count the uses of {name}", True, "{output}", name=name)


@schema("code.rename", "grep xargs sed", weight=4)
def rename(world: World, rng: random.Random) -> Draft:
    found, old = _symbol(world, rng)
    draw = class_name if old[0].isupper() and not old.isupper() else constant_name if old.isupper() else function_name
    new = different(rng, draw, 1, found.names)[0]
    what = "class" if draw is class_name else "constant" if draw is constant_name else rng.choice(
        ("function", "function", "symbol", "method", "name", "identifier"))
    return single(rng, (
        "rename (the {what}|{what}) {old} to {new} (|everywhere|in all files|across the project|in the whole code)",
        "rename {old} to {new} (everywhere|in every file|across all files|in all files|throughout the code)",
        "change the name of (the {what}|) {old} to {new} (in all files|everywhere|across the project)",
        "replace {old} (by|with) {new} (in all files|everywhere|in the whole project|across the code base)",
        "{old} should be called {new} (everywhere|in all files|from now on)",
        "refactor: {old} -> {new} (in all files|everywhere|)",
        "(in all files|everywhere|across the repo), (rename|change) (the {what}|) {old} to {new}",
        "(the {what}|) {old} needs a new name: {new}, (everywhere|in all files)",
        "use {new} instead of {old} (in the whole code|everywhere|in all files)"),
        f"grep -rlw --exclude-dir=.git '{old}' . | xargs sed -i 's/\\b{old}\\b/{new}/g'",
        f"rename {old} to {new} in every file", False, f"Done: {old} is now {new}.", old=old, new=new, what=what)


@schema("code.rename_in_file", "sed", weight=1.5)
def rename_in_file(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    module, old = found.function(rng)
    new = different(rng, function_name, 1, found.names)[0]
    return single(rng, (
        "rename (the function|function|) {old} to {new} in {file} (only|)",
        "in {file}, rename (the function|) {old} to {new}",
        "change the name of {old} to {new} in {file}",
        "{old} should be called {new} in {file}",
        "{file}: rename {old} -> {new}",
        "only in {file}, (rename|change) (the function|) {old} to {new}"),
        f"sed -i 's/\\b{old}\\b/{new}/g' {quoted(module.path)}", f"rename {old} to {new} in {module.path}", False,
        f"Done: {old} is now {new} in {module.path}.", old=old, new=new, file=module.path)


_LANGUAGES = {"py": ("python", "Python", ".py"), "js": ("javascript", "JavaScript", ".js"), "c": ("C", ".c"),
              "sh": ("shell", "bash", ".sh"), "go": ("go", ".go"), "rs": ("rust", "Rust", ".rs"),
              "java": ("java", ".java"), "ts": ("typescript", ".ts"), "rb": ("ruby", ".rb"),
              "html": ("HTML", "html"), "css": ("CSS", "css"), "cpp": ("C++", ".cpp")}


def _language(world: World, rng: random.Random) -> tuple[str, str]:
    if rng.random() < 0.6:
        project(world, rng)
    exts = sorted({path.rsplit(".", 1)[-1] for path in world.files()} & set(_LANGUAGES))
    if not exts:
        raise Unsuitable("no source file")
    ext = rng.choice(exts)
    return ext, rng.choice(_LANGUAGES[ext])


@schema("code.lines", "find xargs cat wc", weight=1.5)
def lines(world: World, rng: random.Random) -> Draft:
    ext, language = _language(world, rng)
    return single(rng, (
        f"how many lines of {{language}} (code|) (are there|do we have|) {HERE}?",
        f"count the lines of {{language}} (code|) {HERE}",
        f"(total|) number of lines (in|of) all {{language}} files {HERE}",
        f"how many lines do (all|the) {{language}} files have (in total|together|all together) {HERE}?",
        f"lines of {{language}} code {HERE}",
        f"how (big|large) is the {{language}} code in lines {HERE}?",
        f"sum up the lines of all {{language}} (sources|files) {HERE}"),
        f"find . -type f -name '*.{ext}' -print0 | xargs -0 cat | wc -l", f"count the lines of all {language} files",
        True,
        "{output} lines.", language=language, protected=(language,))


@schema("code.functions", "grep", weight=1.5)
def functions(world: World, rng: random.Random) -> Draft:
    module, _ = project(world, rng).function(rng)
    return single(rng, (
        f"{SHOW} (all|the|all the) functions (in|of) {{file}}",
        "(what|which) functions (does {file} have|are in {file}|does {file} define)?",
        "functions (of|in) {file}",
        "list every def in {file} with (its|) line number",
        "(show|tell) me which functions {file} (has|defines|contains)",
        "grep the function definitions (in|of) {file}",
        "find all function definitions in {file}"),
        f"grep -n 'def ' {quoted(module.path)}", f"list the functions of {module.path}", True, ordered=True,
        file=module.path)


@schema("code.functions_count", "grep")
def functions_count(world: World, rng: random.Random) -> Draft:
    module, _ = project(world, rng).function(rng)
    return single(rng, (
        "how many functions (are in|does|are there in) {file} (have|define|)?",
        "count the functions (in|of) {file}",
        "number of functions in {file}",
        "how many defs (are|are there) in {file}?",
        "tell me how many functions {file} (has|defines|contains)",
        "count (all|the|) function definitions in {file}"),
        f"grep -c 'def ' {quoted(module.path)}", f"count the functions of {module.path}", True,
        f"{module.path} has {{output}} functions.", file=module.path)


@schema("code.functions_all", "grep wc")
def functions_all(world: World, rng: random.Random) -> Draft:
    project(world, rng)
    return single(rng, (
        "how many (python|) functions (are there|do we have) in (total|the whole project|all files)?",
        "count all (the|) (python|) functions (in the project|in this project|in the code base|here)",
        "total number of (python|) functions (in the project|here|in the code)",
        "how many function definitions are (in the python files|in the code|in this project)?",
        "count the function definitions (in all python files|of the project|across all files)",
        "how many defs does the (project|code base|code) have?"),
        "grep -rn --include='*.py' 'def ' . | wc -l", "count the function definitions", True, "{output} functions.")


@schema("code.classes", "grep")
def classes(world: World, rng: random.Random) -> Draft:
    _class(world, rng)
    return single(rng, (
        f"{SHOW} (all|the|all the) (python|) classes (in this project|here|in the code base|in the project|)",
        "(what|which) classes (are defined|are there|do we have) (here|in this project|in the code|)?",
        "find (every|each) class definition (here|in the project|)",
        "where are the classes defined?",
        "classes of this (project|code base|repo)",
        "grep (for|) all class definitions",
        "which classes does (the|this) (project|code) define?"),
        "grep -rn --include='*.py' '^class ' .", "list the classes", True)


@schema("code.imports", "grep")
def imports(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    file = found.modules[-1].path
    return single(rng, (
        "(what|which modules) does {file} import?",
        f"{SHOW} (all|the) imports (of|in) {{file}}",
        "imports of {file}",
        "(list|show) the import lines (of|in) {file}",
        "which (modules|libraries|packages) (are|get) imported (in|by) {file}?",
        "what does {file} depend on? (show|list) its import lines",
        "(find|grep) the import statements in {file}"),
        f"grep -nE '^(import|from) ' {quoted(file)}", f"list the imports of {file}", True, ordered=True, file=file)


@schema("code.importers", "grep")
def importers(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, modules=(3, 5))
    name = found.modules[0].name
    return single(rng, (
        f"(who|what|which files) (imports|import) {{name}} {HERE}?",
        f"where is {{name}} imported {HERE}?",
        f"find (all|the|every|) (places|lines) that import {{name}} {HERE}",
        f"{SHOW} the imports of the module {{name}} {HERE}",
        "which modules depend on {name}?",
        f"(list|show) (every|all) (line|lines) (importing|that import) (the module|) {{name}} {HERE}"),
        f"grep -rnE '(import|from) {name}' .", f"find the imports of {name}", True, name=name)


@schema("code.import_line", "sed", weight=1.5)
def import_line(world: World, rng: random.Random) -> Draft:
    module, _ = project(world, rng).function(rng)
    line = rng.choice(("import json", "import os", "import re", "import sys", "import logging", "import time",
                       "from pathlib import Path", "from typing import Any", "import numpy as np",
                       "from dataclasses import dataclass", f"import {world.word()}",
                       f"from {world.word()} import {world.word()}"))
    return single(rng, (
        "add (the line|) {line} (at the top of|as the first line of|to the top of|at the beginning of) {file}",
        "(put|insert) {line} (at the top of|as first line into|at the start of) {file}",
        "{file} (needs|should start with) {line}, (add it at the top|put it on the first line)",
        "{file} should begin with {line}",
        "prepend {line} to {file}",
        "insert {line} before the first line of {file}",
        "make {line} the first line of {file}"),
        f"sed -i '1i {line}' {quoted(module.path)}", f"insert {line} at the top of {module.path}", False,
        f"Done: {module.path} starts with {line}.", line=line, file=module.path)


@schema("code.long_lines", "grep")
def long_lines(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    longest = max(len(row) for module in found.modules for row in world.read(module.path).split("\n"))
    limits = [number for number in (25, 30, 40, 50, 60, 72, 80) if longest * 0.6 < number < longest]
    if not limits:
        raise Unsuitable("no long line")
    limit = rng.choice(limits)
    return single(rng, (
        f"(which|what) lines of the python (files|code) are longer than {{limit}} characters {HERE}?",
        f"{SHOW} (the|all) lines in python files (longer than|with more than|over) {{limit}} characters {HERE}",
        "find lines (over|longer than|of more than) {limit} (characters|columns) in (the|all) python files",
        "python lines longer than {limit}",
        f"does the python code have lines (longer than|over) {{limit}} characters {HERE}? (show|list) them",
        "too long lines in the python (code|files) (the limit is {limit} characters|, limit {limit})"),
        f"grep -rnE --include='*.py' '.{{{limit + 1},}}' .", f"find lines longer than {limit} characters", True,
        limit=limit)


@schema("code.largest_sources", "find sort head")
def largest_sources(world: World, rng: random.Random) -> Draft:
    ext, language = _language(world, rng)
    sizes = sorted((len(world.read(path)) for path in world.files(ext)), reverse=True)
    number = rng.randint(1, 5)
    if len(sizes) < number or len(set(sizes)) < len(sizes):
        raise Unsuitable("too few files")
    count = "" if number == 1 else str(number)
    s, verb = ("", "is") if number == 1 else ("s", "are")
    return single(rng, (
        f"{SHOW} the {{count}} (largest|biggest) {{language}} file{s} {HERE}",
        f"(which|what) {verb} the {{count}} (largest|biggest) {{language}} file{s} {HERE}?",
        f"{{count}} (largest|biggest) {{language}} (file|source){s} {HERE}",
        f"find the {{count}} (largest|biggest) {{language}} source file{s} {HERE}",
        f"{{language}}: the {{count}} (biggest|largest) file{s} by bytes {HERE}",
        f"top {{number}} {{language}} files by size {HERE}"),
        f"find . -type f -name '*.{ext}' -printf '%s %p\\n' | sort -nr | head -n {number}",
        f"list the largest {language} files", True, ordered=True, count=count, number=number, language=language)


@schema("code.without_header", "grep")
def without_header(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, modules=(3, 5))
    header = rng.choice(("Copyright", "License", "SPDX", "import unittest", '"""', "__name__", world.word()))
    for module in rng.sample(found.modules, rng.randint(1, len(found.modules) - 1)):
        if header not in world.read(module.path):
            world.add_file(module.path, f"# {header} {world.name()}\n" + world.read(module.path))
    return single(rng, (
        f"which python files (do not|don't) (contain|have|mention) {{header}} {HERE}?",
        f"(list|show|find) (the|all|) python files (without|that lack|missing) {{header}} {HERE}",
        f"python files without {{header}} {HERE}",
        "(in which|which) python files is {header} (missing|not there)?",
        f"find (the|all|) {{py}} files (that do not contain|not containing|without) {{header}} {HERE}",
        "where is {header} missing? (look at|check) the python files"),
        f"grep -rL --include='*.py' {string(header)} .", f"find python files without {header}", True, header=header,
        py=".py")


@schema("code.show_function", "sed", weight=1.5)
def show_function(world: World, rng: random.Random) -> Draft:
    module, name = project(world, rng).function(rng)
    return single(rng, (
        "(show|print) (me|) (the|) (code|body|source) of (the function|) {name} (in|from) {file}",
        "(show|print) (the|) function {name} (in|of|from) {file}",
        "what does (the function|) {name} in {file} do? show (me|) (its|the) (code|source|body)",
        "(how does|what does) {name} in {file} look like?",
        "print only {name} from {file}",
        "body of {name} in {file}"),
        f"sed -n '/def {name}(/,/^$/p' {quoted(module.path)}", f"print the function {name}", True, ordered=True,
        name=name, file=module.path)


@schema("code.prints", "grep")
def prints(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    call = rng.choice(("print(", "print(", "breakpoint(", "input(", "exit(", "eval("))
    for module in rng.sample(found.modules, rng.randint(1, len(found.modules))):
        world.add_file(module.path, world.read(module.path) + f"{call}{rng.randint(1, 99)})\n")
    word = call[:-1]
    return single(rng, (
        f"(are there|any) (left|leftover|forgotten|) {{word}} calls {HERE}? (show|list) them",
        f"find (all|the|every) {{word}} (calls|statements|call) {HERE}",
        f"{SHOW} (all|the) (lines|places) (that call|with a call of|calling) {{word}} {HERE}",
        f"where (do we call|is) {{word}} (called|) {HERE}?",
        f"which lines call {{word}} {HERE}?",
        "grep the {word} calls in (the|all) python files",
        "{word} calls"),
        f"grep -rn --include='*.py' {string(call)} .", f"find the {word} calls", True, word=word)


@schema("code.drop_lines", "sed")
def drop_lines(world: World, rng: random.Random) -> Draft:
    found = project(world, rng)
    module, _ = found.function(rng)
    mark = rng.choice(("breakpoint()", "DEBUG", "pdb", "console.log", "print", world.word(), world.word()))
    rows = world.read(module.path).split("\n")
    for _ in range(rng.randint(1, 3)):
        rows.insert(rng.randrange(len(rows)), f"# {mark} {world.word()}")
    world.add_file(module.path, "\n".join(rows))
    return single(rng, (
        "(remove|delete) (all|the|every) (lines|line) (with|containing|that contain) {mark} (from|in) {file}",
        "delete (every line|all lines) (with|mentioning) {mark} in {file}",
        "(drop|strip) the {mark} lines (from|in) {file}",
        "in {file}, (remove|delete) (all|the) lines (with|that contain) {mark}",
        "get rid of the {mark} lines in {file}",
        "{file}: (remove|delete) lines with {mark}",
        "clean {file} (of|from) {mark} lines"),
        f"sed -i '/{mark}/d' {quoted(module.path)}", f"delete the {mark} lines of {module.path}", False,
        f"Done: no more {mark} in {module.path}.", mark=mark, file=module.path)
