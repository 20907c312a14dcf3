"""Which files a user's paths mean: what is named itself, and in folders what git would track."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nimllm.errors import NimError
from nimllm.llm.data.tally import Tally

# What nobody means by "my code": other people's, or written by a machine.
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv", "site-packages", "target", "dist", "build"})


@dataclass(frozen=True)
class Found:
    """A file. ``named``: by the user itself, not through its folder; ``origin``: the number of the path it came by."""

    path: Path
    named: bool
    origin: int


def found(paths: Iterable[Path | str], tally: Tally, without: Path | None = None) -> Iterator[Found]:
    """Every file of the paths in a fixed order, each once; what lies under ``without`` is not looked at.

    NimError for a path that is missing, and for a folder of which nothing was usable.
    """
    seen: set[Path] = set()
    for origin, given in enumerate(paths):
        path = Path(given)
        if str(path) == "-":
            yield Found(path, True, origin)
            continue
        try:
            folder = path.is_dir()
            if not folder and not path.exists():
                raise NimError(f"{path} does not exist", "", "give a text file, a folder, a .jsonl, a .parquet or -")
            files = [path]
            if folder:
                out = without.resolve() if without is not None else None
                files = [file for file in _inside(path, tally) if out is None or out not in file.resolve().parents]
        except OSError as error:
            raise NimError(f"cannot read {path}", error.strerror or str(error), "make it readable") from None
        usable = 0
        before = tally.counts()
        unused = tally.files
        for file in files:
            real = file.resolve()
            if real not in seen:
                seen.add(real)
                usable += 1
                yield Found(file, not folder, origin)
        if folder and (not files or 0 < usable <= tally.files - unused):
            raise NimError(f"the folder {path} holds no text", tally.since(before) or "it has no files",
                           "give a folder with text")


def _inside(folder: Path, tally: Tally) -> Iterator[Path]:
    """The files of a folder, sorted: what git would track, or all but hidden and machine-made ones."""
    listed = _listed(["git", "-C", str(folder)])
    if not listed and any(folder.rglob(".gitignore")):  # no repository, but rules of one
        with tempfile.TemporaryDirectory(prefix="nimllm-git-") as empty:
            command = ["git", f"--git-dir={empty}", f"--work-tree={folder}"]
            try:
                subprocess.run(["git", "init", "-q", "--bare", empty], capture_output=True, timeout=60, check=True)
                listed = [name for name in _listed([*command, "-c", "core.bare=false", "-C", str(folder)])
                          if not any(part in _SKIPPED_FOLDERS or part.startswith(".") for part in Path(name).parts)]
            except (OSError, subprocess.SubprocessError):
                tally.note(f"git is not installed: the .gitignore files of {folder} are not read")
    if listed:
        for name in listed:
            path = folder / name
            if path.is_file():
                yield path
            elif path.is_dir() and not path.is_symlink():  # a repository of its own inside this one
                yield from _inside(path, tally)
        return
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED_FOLDERS)
        for name in sorted(names):
            path = Path(where, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _listed(git: list[str]) -> list[str]:
    try:
        done = subprocess.run([*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                              capture_output=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired):
        return []  # no git: the simple rules
    return sorted(os.fsdecode(name) for name in set(done.stdout.split(b"\0")) if name)
