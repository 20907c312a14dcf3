"""Random worlds: a folder tree in memory, made so that requests about it have interesting answers."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from nimllm.agent.gym import contents, names, records

Kind = Literal["file", "dir", "link"]
THEMES = ("notes", "code", "logs", "data", "site", "mixed")
NOW = 1_780_000_000.0  # 2026-05-28, the reference for ages; every default mtime lies in the four years before
DAY = 86_400.0
_USUAL = {
    "notes": ("README.md", "notes.txt", "todo.txt", "ideas.md", "draft.txt", "list.txt", "diary.txt"),
    "code": ("README.md", "main.py", "setup.py", "Makefile", "requirements.txt", "utils.py", "run.sh", ".gitignore",
             "LICENSE", "app.py", "config.json", "index.js"),
    "logs": ("app.log", "error.log", "access.log", "server.log", "output.txt"),
    "data": ("data.csv", "users.csv", "sales.csv", "data.json", "config.yaml", "names.txt", "input.txt"),
    "site": ("index.html", "style.css", "README.md", "package.json", "robots.txt", "app.js"),
    "mixed": ("README.md", "notes.txt", "data.csv", "main.py", "app.log", "config.ini", "todo.md"),
}
_USUAL_DIRS = ("src", "docs", "data", "tests", "logs", "backup", "tmp", "images", "build", "lib", "scripts", "old",
               "reports", "assets", "archive", "config", "notes", "bin", "output", "public")
_SHARE_USUAL = 0.12  # of names; kept low so that names must be read, not guessed


class Unsuitable(Exception):
    """This world cannot carry this schema (it has no such file, say): draw another."""


@dataclass
class Entry:
    """A file, a folder or a symbolic link; ``mtime`` in seconds since 1970, ``target`` of a link only."""

    kind: Kind
    content: bytes = b""
    mode: int = 0o644
    mtime: float = NOW - 30 * DAY
    target: str = ""


@dataclass
class PythonProject:
    """What :meth:`World.python_project` built; paths are relative to the world's root."""

    package: str
    modules: list[str]  # paths
    tests: list[str]  # paths
    functions: dict[str, str]  # function -> path of its module
    failing: list[str]  # test methods that fail ("test_add")
    passing: list[str]
    run: str = "python3 -m unittest discover -s tests"


@dataclass
class World:
    """A folder tree. ``entries`` maps relative posix paths; the parents of an entry are always there."""

    rng: random.Random
    theme: str = "mixed"
    entries: dict[str, Entry] = field(default_factory=dict)
    git: bool = False
    commits: list[tuple[str, str, list[str]]] = field(default_factory=list)  # author, message, paths
    edits: dict[str, bytes] = field(default_factory=dict)  # written over the committed files: changes not yet staged
    setup: list[str] = field(default_factory=list)  # bash lines, after the edits: branches, staging
    recent: bool = False  # ages count from the present day (for find -mtime); otherwise mtimes are fixed dates

    @classmethod
    def random(cls, rng: random.Random, theme: str | None = None) -> World:
        """4 to 30 entries, depth at most 3."""
        world = cls(rng, theme or rng.choice(THEMES))
        folders = [""]
        for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4, 5))):
            parent = rng.choice(folders)
            if parent.count("/") >= 1:
                parent = ""
            path = world._join(parent, world.new_name("dir"))
            world.add_dir(path)
            folders.append(path)
        wanted = min(24, max(4, round(rng.lognormvariate(2.0, 0.55))))
        kinds = world._extensions()
        for _ in range(wanted):
            folder = "" if rng.random() < 0.55 else rng.choice(folders)
            name = world.new_name("file", rng.choice(kinds))
            world.add_file(world._join(folder, name), world.content(name))
        if rng.random() < 0.1:
            world.add_link(world.new_name("file"), rng.choice(world.files()))
        return world

    # looking

    def files(self, ext: str | None = None, under: str = "", min_lines: int = 0) -> list[str]:
        """Paths of the files, sorted; ``ext`` without the dot."""
        prefix = f"{under.rstrip('/')}/" if under else ""
        return sorted(path for path, entry in self.entries.items()
                      if entry.kind == "file" and path.startswith(prefix)
                      and (ext is None or path.endswith(f".{ext}"))
                      and (not min_lines or entry.content.count(b"\n") >= min_lines))

    def dirs(self) -> list[str]:
        return sorted(path for path, entry in self.entries.items() if entry.kind == "dir")

    def texts(self, under: str = "", min_lines: int = 1) -> list[str]:
        """Files of printable text."""
        return [path for path in self.files(under=under, min_lines=min_lines)
                if b"\0" not in self.entries[path].content]

    def read(self, path: str) -> str:
        return self.entries[path].content.decode("utf-8", "replace")

    def pick_file(self, ext: str | None = None, under: str = "", min_lines: int = 0) -> str:
        found = self.files(ext, under, min_lines)
        if not found:
            raise Unsuitable("no such file")
        return self.rng.choice(found)

    def pick_text(self, min_lines: int = 2, under: str = "") -> str:
        """A file of printable text, mostly one of the top folder."""
        found = self.texts(under, min_lines)
        near = [path for path in found if "/" not in path]
        if not found:
            raise Unsuitable("no text")
        return self.rng.choice(near if near and self.rng.random() < 0.6 else found)

    def pick_dir(self) -> str:
        found = self.dirs()
        if not found:
            raise Unsuitable("no folder")
        return self.rng.choice(found)

    def extensions(self, under: str = "") -> list[str]:
        """Extensions of the files, one item per file."""
        return [path.rsplit(".", 1)[1] for path in self.files(under=under)
                if "." in PurePosixPath(path).name.lstrip(".")]

    # drawing

    def word(self) -> str:
        return names.word(self.rng)

    def words(self, n: int) -> list[str]:
        return [names.word(self.rng) for _ in range(n)]

    def name(self) -> str:
        """A person's name."""
        return names.person(self.rng)

    def number(self, low: int = 1, high: int = 999) -> int:
        return self.rng.randint(low, high)

    def ext(self) -> str:
        return self.rng.choice(names.ALL_EXTENSIONS)

    def date(self) -> str:
        return names.date(self.rng)

    def new_name(self, kind: Literal["file", "dir"] = "file", ext: str | None = None) -> str:
        """A fresh plausible name that nothing in the world bears (in any folder)."""
        rng = self.rng
        taken = {PurePosixPath(path).name for path in self.entries}
        while True:
            if rng.random() < _SHARE_USUAL:
                usual = _USUAL_DIRS if kind == "dir" else _USUAL[self.theme]
                name = rng.choice(usual)
                if kind == "file" and ext is not None and not name.endswith(f".{ext}"):
                    continue
            elif kind == "dir":
                name = names.stem(rng, blanks=0.06)
                if rng.random() < 0.02:
                    name = "." + name
            else:
                name = f"{names.stem(rng, blanks=0.1)}.{ext or rng.choice(self._extensions())}"
                at = rng.random()
                if ext is None and at < 0.04:
                    name = name.rsplit(".", 1)[0]
                elif ext is None and at < 0.06:
                    name = "." + name
                elif ext is None and at < 0.08:
                    name += rng.choice((".bak", ".old", ".orig", ".1", ".2", ".tmp"))
            if name not in taken and name.lower() not in {other.lower() for other in taken}:
                return name

    # building

    def add_file(self, path: str, content: str | bytes, mode: int = 0o644, mtime: float | None = None) -> None:
        self._parents(path)
        data = content.encode() if isinstance(content, str) else content
        if mode == 0o644 and path.endswith(".sh") and self.rng.random() < 0.5:
            mode = 0o755
        self.entries[path] = Entry("file", data, mode, self._mtime() if mtime is None else mtime)

    def add_dir(self, path: str) -> None:
        self._parents(path)
        self.entries.setdefault(path, Entry("dir", mode=0o755, mtime=self._mtime()))

    def add_link(self, path: str, target: str) -> None:
        self._parents(path)
        self.entries[path] = Entry("link", mode=0o777, mtime=self._mtime(), target=target)

    def content(self, name: str) -> str | bytes:
        """Something a file of this name would hold; logs come in every format."""
        if name.endswith(".log") and self.rng.random() < 0.3:
            return records.any_log(self.rng, self.rng.randint(3, 16))
        return contents.for_name(self.rng, name)

    def text(self, lines: int) -> str:
        return contents.text(self.rng, lines)

    def word_list(self, lines: int, repeats: bool = True) -> str:
        """One word or name per line; ``repeats``: some lines occur more than once."""
        return contents.word_list(self.rng, lines, repeats)

    def numbers(self, lines: int, low: int = 0, high: int = 999) -> str:
        return "".join(f"{self.rng.randint(low, high)}\n" for _ in range(lines))

    def csv(self, rows: int, separator: str = ",") -> tuple[str, list[str]]:
        """A table with a header line, and its column names; :data:`contents.NUMERIC` says which hold numbers."""
        return contents.csv(self.rng, rows, separator)

    def log(self, lines: int) -> str:
        """``2024-03-01 10:22:31 ERROR name: message``; time ascends."""
        return contents.log(self.rng, lines)

    def config(self, kind: str = "ini") -> str:
        """``kind``: ini, json, yaml, env, toml."""
        return contents.config(self.rng, kind)

    def python_module(self, functions: Sequence[str] = ()) -> str:
        """A module with these functions (or random ones), imports, sometimes a class and TODO comments."""
        return contents.python_module(self.rng, functions)

    def json(self, data: object) -> str:
        return json.dumps(data, indent=2) + "\n"

    def python_project(self) -> PythonProject:
        """A package of two or three modules with unit tests, some of which may fail."""
        rng = self.rng
        package = names.syllables(rng) if rng.random() < 0.5 else rng.choice(names.NOUNS)
        self.add_file(f"{package}/__init__.py", "")
        self.add_file("tests/__init__.py", "")
        project = PythonProject(package, [], [], {}, [], [])
        used: set[str] = set()
        for _ in range(rng.choice((1, 2, 2, 3))):
            module = rng.choice(names.NOUNS)
            if module in used or module == package:
                continue
            used.add(module)
            functions = contents.arithmetic(rng, rng.choice((2, 2, 3)), used)
            path, test = f"{package}/{module}.py", f"tests/test_{module}.py"
            self.add_file(path, contents.arithmetic_module(rng, functions))
            source, failing, passing = contents.arithmetic_tests(rng, package, module, functions)
            self.add_file(test, source)
            project.modules.append(path)
            project.tests.append(test)
            project.functions |= {function.name: path for function in functions}
            project.failing += failing
            project.passing += passing
        return project

    def add_history(self) -> None:
        """Make this a git repository: every file is committed, in one to five commits by one to three authors."""
        rng, paths = self.rng, self.files()
        self.git = True
        authors = [self.name() for _ in range(rng.randint(1, 3))]
        rng.shuffle(paths)
        steps = min(len(paths), rng.randint(1, 5))
        for step in range(steps):
            part = sorted(paths[step::steps])
            self.commits.append((rng.choice(authors), contents.commit_message(rng, part), part))

    # on disk

    def materialise(self, folder: Path) -> None:
        """Write everything below ``folder`` (which exists), with modes and times; git, ``edits`` and ``setup`` are the
        executor's."""
        shift = time.time() - NOW if self.recent else 0.0
        root = os.fspath(folder)
        for path in sorted(self.entries):
            entry, where = self.entries[path], f"{root}/{path}"
            if entry.kind == "dir":
                os.mkdir(where, 0o755)
            elif entry.kind == "link":
                os.symlink(entry.target, where)
            else:
                with open(where, "wb") as file:
                    file.write(entry.content)
                os.chmod(where, entry.mode)
        for path in sorted(self.entries, reverse=True):  # children first: writing one touches its parent
            entry = self.entries[path]
            stamp = entry.mtime + shift
            os.utime(f"{root}/{path}", (stamp, stamp), follow_symlinks=False)

    def _parents(self, path: str) -> None:
        for parent in list(PurePosixPath(path).parents)[-2::-1]:
            self.entries.setdefault(str(parent), Entry("dir", mode=0o755, mtime=self._mtime()))

    def _mtime(self) -> float:
        """Within the last hours, days, weeks or years, all with about equal odds; whole seconds, all different.

        Never within two hours of a whole number of days before NOW, so that ``find -mtime`` has one answer.
        """
        while True:
            age = self.rng.choice((DAY, 7 * DAY, 30 * DAY, 365 * DAY, 1400 * DAY)) * self.rng.random() + 7500
            if 7200 < age % DAY < DAY - 7200:
                return float(round(NOW - age))

    def _extensions(self) -> tuple[str, ...]:
        if self.theme == "mixed":
            return names.ALL_EXTENSIONS
        others = names.EXTENSIONS[self.rng.choice(tuple(names.EXTENSIONS))]
        return names.EXTENSIONS[self.theme] * 2 + others

    @staticmethod
    def _join(folder: str, name: str) -> str:
        return f"{folder}/{name}" if folder else name
