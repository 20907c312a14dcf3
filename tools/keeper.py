"""Looks after what no kernel rule can hold: protected names that do not exist yet, links, and, where there are no
mounts (Landlock), git's settings and hooks. After every command it compares, puts back, and says so.

Nothing is deleted. What a command made in a protected place is moved to the state folder, since the user may have made
it in another window.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nimllm.places import state_folder
from nimllm.tools.protected import Closed

MOST_BYTES, MOST_ENTRIES = 8 << 20, 4_000  # kept of all protected files together
_Signature = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class _Node:
    """One protected file, folder or link as it was: ``content`` a file's bytes, a link's target, None for a folder."""

    kind: str  # "file", "folder", "link"
    mode: int
    content: bytes | None


class Keeper:
    """``roots``: the writable folders, which themselves cannot be moved. ``mounted``: the kernel keeps what exists."""

    def __init__(self, closed: Closed, roots: Sequence[Path], mounted: bool) -> None:
        self._roots = tuple(roots)
        self._absent = closed.absent
        self._tops: dict[Path, dict[Path, _Node]] = {}  # protected path -> what lay there, itself included
        self._signatures: dict[Path, _Signature] = {}
        self._room = MOST_BYTES
        self.unguarded: list[Path] = []  # too much to keep a copy of
        for path in (*closed.links, *(() if mounted else closed.settings)):
            try:
                nodes = dict(self._read(path))
            except (OSError, _TooMuch):
                self.unguarded.append(path)
                continue
            self._tops[path] = nodes
            self._signatures |= {inner: _signature(inner) for inner in nodes}

    def save(self, file: Path) -> None:
        """Write down all that :func:`recover` needs when this process is killed."""
        tops = [[[os.fspath(path), node.kind, node.mode, _coded(node.content)] for path, node in nodes.items()]
                for nodes in self._tops.values()]
        text = json.dumps({"roots": list(map(os.fspath, self._roots)), "absent": list(map(os.fspath, self._absent)),
                           "tops": tops})
        file.write_text(text, "utf-8", "surrogateescape")

    @classmethod
    def load(cls, file: Path) -> Keeper:
        """What :meth:`save` wrote; ValueError when that is not what the file holds."""
        try:
            data = json.loads(file.read_text("utf-8", "surrogateescape"))
            keeper = cls(Closed(absent=tuple(map(Path, data["absent"]))), [Path(root) for root in data["roots"]], True)
            for nodes in data["tops"]:
                found = {Path(path): _Node(kind, mode, None if content is None else base64.b64decode(content))
                         for path, kind, mode, content in nodes}
                keeper._tops[next(iter(found))] = found
        except (KeyError, TypeError, AttributeError, StopIteration) as error:
            raise ValueError(f"{file} does not say what is protected") from error
        return keeper

    def _read(self, path: Path) -> Iterator[tuple[Path, _Node]]:
        about = os.lstat(path)
        if stat.S_ISLNK(about.st_mode):
            yield path, _Node("link", 0, os.fsencode(os.readlink(path)))
        elif stat.S_ISDIR(about.st_mode):
            yield path, _Node("folder", stat.S_IMODE(about.st_mode), None)
            names = sorted(os.listdir(path))
            if len(names) + len(self._signatures) > MOST_ENTRIES:
                raise _TooMuch
            for name in names:
                yield from self._read(path / name)
        elif stat.S_ISREG(about.st_mode):
            self._room -= about.st_size
            if self._room < 0:
                raise _TooMuch
            yield path, _Node("file", stat.S_IMODE(about.st_mode), path.read_bytes())

    def restore(self) -> list[str]:
        """Sentences about what was changed and is now as it was; empty when nothing was (some ten microseconds)."""
        said: list[str] = []
        for path in self._absent:
            if os.path.lexists(path):
                where = self._put_away(path)
                said.append(f"{path} is protected and must not be made; it was moved to {where}")
        for top, nodes in self._tops.items():
            # without its folder there is nothing that anybody would obey; should it come back, it is looked at again
            if self._same(top, nodes) or not os.path.lexists(top.parent):
                continue
            try:
                changed = self._put_back(top, nodes)
            except OSError as error:
                said.append(f"{top} is protected and was changed, and cannot be put back ({error.strerror})")
                continue
            if changed:
                said.append(f"{top} is protected; it was {changed}, and put back")
            self._signatures |= {inner: _signature(inner) for inner in nodes}
        return said

    def _same(self, top: Path, nodes: dict[Path, _Node]) -> bool:
        return all(self._signatures.get(path) == _signature(path) for path in nodes)

    def _put_back(self, top: Path, nodes: dict[Path, _Node]) -> str:
        """Puts ``top`` back when what it says is no longer the same; what had happened to it, else empty."""
        try:
            now = dict(self._read(top))
        except (OSError, _TooMuch):
            now = {}
        finally:
            self._room = MOST_BYTES
        if now == nodes:  # touched, or written as it was
            return ""
        what = f"changed (to what is in {self._put_away(top)} now)" if os.path.lexists(top) else "removed"
        for path, node in nodes.items():
            with _Parent(path, self._roots) as parent:
                if node.kind == "folder":
                    os.mkdir(path.name, 0o700, dir_fd=parent)
                elif node.kind == "link":
                    assert node.content is not None
                    os.symlink(node.content, os.fsencode(path.name), dir_fd=parent)
                else:
                    assert node.content is not None
                    fd = os.open(path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=parent)
                    with os.fdopen(fd, "wb") as file:
                        file.write(node.content)
                        os.fchmod(file.fileno(), node.mode)
        for path, node in reversed(nodes.items()):
            if node.kind == "folder":
                with _Parent(path, self._roots) as parent:
                    os.chmod(path.name, node.mode, dir_fd=parent)
        return what

    def _put_away(self, path: Path) -> Path:
        """Move ``path``, whatever it is, out of the writable folders. Never follows a link that a command made."""
        refused = f"{path.name}.refused-{time.time_ns():x}"
        with _Parent(path, self._roots) as parent:
            os.rename(path.name, refused, src_dir_fd=parent, dst_dir_fd=parent)
        aside = path.with_name(refused)
        try:
            return Path(shutil.move(aside, state_folder("refused") / refused.lstrip(".")))
        except Exception:  # no room, another owner, a special file: it stays beside its old name
            return aside


def recover(file: Path) -> list[str]:
    """Put back what a shell whose harness was killed had changed; what :meth:`Keeper.restore` says of it."""
    try:
        return Keeper.load(file).restore()
    except (OSError, ValueError):
        return []


def _coded(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode("ascii")


class _TooMuch(Exception):
    pass


class _Parent:
    """Descriptor of a path's folder, reached from a writable folder without following a link. What stands in the way (a
    link, a file) is renamed, what is missing is made."""

    def __init__(self, path: Path, roots: Sequence[Path]) -> None:
        self._path = path
        self._root = max((root for root in roots if path.is_relative_to(root)), key=lambda root: len(root.parts))

    def __enter__(self) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        self._fd = os.open(self._root, flags)
        try:
            for name in self._path.parent.relative_to(self._root).parts:
                try:
                    below = os.open(name, flags | os.O_NOFOLLOW, dir_fd=self._fd)
                except FileNotFoundError:
                    os.mkdir(name, 0o755, dir_fd=self._fd)
                    below = os.open(name, flags | os.O_NOFOLLOW, dir_fd=self._fd)
                except OSError:
                    os.rename(name, f"{name}.refused-{time.time_ns():x}", src_dir_fd=self._fd, dst_dir_fd=self._fd)
                    os.mkdir(name, 0o755, dir_fd=self._fd)
                    below = os.open(name, flags | os.O_NOFOLLOW, dir_fd=self._fd)
                os.close(self._fd)
                self._fd = below
        except BaseException:
            os.close(self._fd)
            raise
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _signature(path: Path) -> _Signature:
    """Changes whenever the file, its rights or, for a folder, its list of names do."""
    try:
        about = os.lstat(path)
    except OSError:
        return (0, 0, 0, 0, 0)
    return (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_mode)
