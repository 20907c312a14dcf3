"""Small code bases that run: modules, constants, classes, tests that pass and tests that fail.

Every generated program is executable, so that "run the tests and say which fail" has an answer that execution gives.
"""

from __future__ import annotations

import keyword
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from nimllm.agent.gym.names import NOUNS, VERBS, syllables
from nimllm.agent.gym.worlds import World

_REMARKS = (
    "handle empty {n}", "remove this when the {n} moves", "use the real {n}", "check the {n} first",
    "add tests for {n}", "slow for a large {n}", "rename {n}", "support more than one {n}", "document the {n}",
    "what if {n} is None", "ask about the {n} format", "cache the {n}", "wrong for negative {n}",
    "drop the old {n}", "log the {n}")
_LICENCES = ("# Copyright {y} {who}", "# Licensed under the MIT License", "# SPDX-License-Identifier: Apache-2.0")


def noun(rng: random.Random) -> str:
    """Often invented, so that only copying gets it right."""
    return syllables(rng) if rng.random() < 0.25 else rng.choice(NOUNS)


def function_name(rng: random.Random) -> str:
    """Two or three parts (``parse_order``), so that no name is a part of a common word."""
    parts = [rng.choice(VERBS), noun(rng)] + ([noun(rng)] if rng.random() < 0.2 else [])
    return "_".join(parts)


def class_name(rng: random.Random) -> str:
    return noun(rng).capitalize() + rng.choice(
        ("Store", "Reader", "Writer", "Client", "Error", "Table", "Builder", "Manager", "Cache", "Parser", "Queue"))


def constant_name(rng: random.Random) -> str:
    return rng.choice(("MAX", "MIN", "DEFAULT", "TOTAL", "BASE", "FIRST")) + "_" + noun(rng).upper()


def different(rng: random.Random, draw: Callable[[random.Random], str], number: int, taken: set[str]) -> list[str]:
    """``number`` names, none equal to, contained in or containing a name that is taken already."""
    names: list[str] = []
    while len(names) < number:
        name = draw(rng)
        if not any(name in other or other in name for other in taken):
            names.append(name)
            taken.add(name)
    return names


@dataclass
class Module:
    path: str
    functions: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    constants: dict[str, int] = field(default_factory=dict)
    sums: dict[str, tuple[int, int]] = field(default_factory=dict)  # function -> (factor, shift) of what it computes

    @property
    def name(self) -> str:
        """As an import spells it: ``shop.order``."""
        return self.path.removesuffix(".py").replace("/", ".")


@dataclass
class Project:
    package: str  # "" when the modules lie in the root
    modules: list[Module]
    names: set[str]  # every name taken, so that a schema can draw a new one
    tests: str = ""  # the folder of the tests, "" without tests or when they lie in the root
    failing: list[tuple[str, str]] = field(default_factory=list)  # (path of the test file, method)
    test_files: list[str] = field(default_factory=list)

    def function(self, rng: random.Random) -> tuple[Module, str]:
        module = rng.choice([module for module in self.modules if module.functions])
        return module, rng.choice(module.functions)

    def runner(self) -> str:
        """The one form that runs all tests."""
        return "python3 -m unittest discover" + (f" -s {self.tests}" if self.tests else "")


def _function(rng: random.Random, name: str, factor: int, shift: int, remark: str, calls: str) -> list[str]:
    argument = rng.choice(("value", "number", "amount", "size", "count"))
    lines = [f"def {name}({argument}):"]
    if rng.random() < 0.5:
        lines.append(f'    """Return the {name.split("_")[-1]} of {argument}."""')
    if remark:
        lines.append(f"    # {remark}")
    if calls:
        lines.append(f"    # see {calls}")
    if rng.random() < 0.3:
        lines += [f"    if {argument} is None:", "        return 0"]
    return [*lines, f"    return {argument} * {factor} + {shift}", "", ""]


def remark(rng: random.Random, tag: str = "") -> str:
    return f"{tag or rng.choice(('TODO', 'TODO', 'TODO', 'FIXME'))}: {rng.choice(_REMARKS).format(n=noun(rng))}"


def project(world: World, rng: random.Random, tests: str | None = None, failing: int = 0, remarks: int = 0,
            modules: tuple[int, int] = (2, 5), tag: str = "") -> Project:
    """Put a Python code base into ``world``.

    ``tests``: None for no tests, "" for test files in the root, else their folder; exactly ``failing`` of the test
    methods fail. ``remarks``: how many TODO or FIXME comments (``tag`` fixes which) are strewn over the functions.
    """
    taken: set[str] = set(_REMARKS) | {"test", "unittest", "main", "self", "assert", "value", "number"}
    package = "" if rng.random() < 0.4 else _free(world, different(rng, noun, 1, taken)[0], rng, taken)
    found = Project(package, [], taken, tests or "")
    names = [_free(world, name, rng, taken, ".py")
             for name in different(rng, noun, rng.randint(*modules), taken)]
    for name in names:
        module = Module(f"{package}/{name}.py" if package else f"{name}.py")
        module.functions = different(rng, function_name, rng.randint(1, 3), taken)
        module.classes = different(rng, class_name, rng.choice((0, 0, 1, 1, 2)), taken)
        module.constants = {constant: rng.choice((rng.randint(2, 99), rng.randint(1, 90) * 100))
                            for constant in different(rng, constant_name, rng.choice((0, 1, 1, 2)), taken)}
        found.modules.append(module)
    spots = [(module, function) for module in found.modules for function in module.functions]
    noted = set(rng.sample(range(len(spots)), min(remarks, len(spots))))
    number = 0
    for at, module in enumerate(found.modules):
        lines: list[str] = []
        if rng.random() < 0.3:
            lines.append(rng.choice(_LICENCES).format(y=rng.randint(2015, 2026), who=world.name()))
        if rng.random() < 0.5:
            lines.append(f'"""The {module.path.split("/")[-1][:-3]} of {package or world.word()}."""')
        imports = rng.sample(("json", "os", "re", "sys", "math", "random", "time", "csv"), rng.randint(0, 3))
        lines += [f"import {name}" for name in sorted(imports)]
        if at:
            other = found.modules[at - 1]
            lines.append(f"from {other.name} import {rng.choice(other.functions)}")
        lines += ["", *(f"{constant} = {value}" for constant, value in module.constants.items()), "", ""]
        for function in module.functions:
            module.sums[function] = (rng.randint(2, 9), rng.randint(0, 20))
            calls = rng.choice(spots)[1] if rng.random() < 0.4 else ""
            lines += _function(rng, function, *module.sums[function], remark(rng, tag) if number in noted else "",
                               calls if calls != function else "")
            number += 1
        for name in module.classes:
            method = rng.choice(VERBS)
            lines += [f"class {name}:", f"    def {method}(self, {noun(rng)}_id):",
                      f"        return {rng.randint(1, 99)}", "", ""]
        world.add_file(module.path, "\n".join(lines).strip("\n") + "\n")
    if package:
        world.add_file(f"{package}/__init__.py", f'__version__ = "{version(rng)}"\n' if rng.random() < 0.5 else "")
    if tests is not None:
        _tests(world, rng, found, failing)
    return found


def _free(world: World, name: str, rng: random.Random, taken: set[str], ext: str = "") -> str:
    """``name``, or another one when the world has it or Python's library does (``json.py`` would shadow it)."""
    while name + ext in world.entries or name in sys.stdlib_module_names or keyword.iskeyword(name):
        name = different(rng, syllables, 1, taken)[0]
    return name


def version(rng: random.Random) -> str:
    return f"{rng.randint(0, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 30)}"


def _tests(world: World, rng: random.Random, found: Project, failing: int) -> None:
    spots = [(module, function) for module in found.modules for function in module.functions]
    wrong = set(rng.sample(range(len(spots)), min(failing, len(spots))))
    number = 0
    for module in found.modules:
        stem = module.path.split("/")[-1][:-3]
        path = (f"{found.tests}/" if found.tests else "") + f"test_{stem}.py"
        lines = ["import unittest", "", f"from {module.name} import {', '.join(module.functions)}", "", "",
                 f"class {stem.capitalize()}Test(unittest.TestCase):"]
        for function in module.functions:
            factor, shift = module.sums[function]
            argument = rng.randint(1, 30)
            result = argument * factor + shift
            if number in wrong:
                result += rng.choice((-2, -1, 1, 2, 10))
                found.failing.append((path, f"test_{function}"))
            lines += [f"    def test_{function}(self):",
                      f"        self.assertEqual({function}({argument}), {result})", ""]
            number += 1
        world.add_file(path, "\n".join(lines).rstrip("\n") + "\n")
        found.test_files.append(path)
    if found.tests and rng.random() < 0.5:
        world.add_file(f"{found.tests}/__init__.py", "")
