"""Snapshots of the workspace, so that what a command did (also through the shell) can be shown and undone.

Contents are kept once, by their SHA-256, in one SQLite file per workspace (:mod:`nimllm.tools.snapshot_store`). A file
whose size, times and inode are those of the snapshot before is not read again. Nothing is ever deleted that the
snapshots do not prove to be the command's own: a file somebody else changed since is left alone and reported. Kept:
regular files, permissions, symbolic links, folders (empty ones too), ``.git``. Not kept: hard links as such (each name
gets its own contents back), extended attributes, owners, sockets, devices, other file systems mounted inside. What
somebody else does *while* a command runs cannot be told from what the command does.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nimllm.errors import CONFIG, NimError
from nimllm.places import state_home
from nimllm.tools import reversal, trees
from nimllm.tools.reversal import Undone
from nimllm.tools.snapshot_store import Store
from nimllm.tools.trees import Change, Entry, Tree, compare, same

__all__ = ["Change", "Info", "Pair", "Piece", "Snapshots", "Undone"]

KEPT = 200  # snapshots of one workspace
KEPT_BYTES = 1 << 30  # of their contents, together
NAMED = 3  # paths that a sentence about what is not covered names
Pair = tuple[str, str]  # ids of the snapshots before and after one command


@dataclass(frozen=True)
class Info:
    id: str
    label: str
    time: float  # seconds since the epoch


@dataclass(frozen=True)
class Piece:
    """One path's change by the steps: ``was`` and ``became`` are None where it was not there; ``old`` and ``new`` are a
    file's contents or a link's target (None: not there, a folder, or not kept)."""

    path: str
    was: Entry | None
    became: Entry | None
    old: bytes | None
    new: bytes | None


class Snapshots:
    """The snapshots of one ``workspace``, kept in a file of their own in the folder ``state`` (made with mode 0700).

    NimError (LIMIT): no space left; (CONFIG): the file cannot be used.
    """

    def __init__(self, state: Path, workspace: Path) -> None:
        self.state = Path(state)
        self.workspace = Path(os.path.realpath(workspace))
        if not self.workspace.is_dir():
            raise NimError(f"the workspace {workspace} is not a folder", code=CONFIG)
        try:
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NimError(f"cannot write snapshots to {self.state}", error.strerror or str(error)) from None
        self._cache: dict[str, Tree] = {}
        self._own = {os.path.realpath(self.state), os.path.realpath(state_home())}
        self._told: set[str] = set()

    @cached_property
    def store(self) -> Store:
        """Opened when it is first needed: a task that writes nothing has no use for it."""
        return Store(self.file(self.state, self.workspace))

    @staticmethod
    def file(state: Path, workspace: Path) -> Path:
        """Where the snapshots of a workspace lie: its name for people, a hash for certainty."""
        name = re.sub(r"[^A-Za-z0-9._-]", "_", workspace.name)[:40] or "root"
        return Path(state) / f"{name}-{hashlib.sha256(os.fsencode(workspace)).hexdigest()[:16]}.sqlite"

    def close(self) -> None:
        if "store" in self.__dict__:
            self.store.close()

    # ---- taking ------------------------------------------------------------------------------------------------

    def take(self, label: str) -> str:
        """Record the workspace as it is now; the id of the snapshot. :meth:`skipped` says what it does not hold."""
        now = time.time()
        with self.store.writing():
            parent = self.store.newest()
            before = self._known(parent) if parent else None
            tree = trees.scan(self.workspace, self._keep, before, self._own)
            # sorts by time; after a clock that jumped back, still after its parent
            number = max(tree.taken_ns, int(parent.partition("-")[0] or "0", 16) + 1 if parent else 0)
            name = f"{number:016x}-{secrets.token_hex(3)}"
            self.store.add(name, label, now, tree, parent if before is not None else "", before)
        self._remember(name, tree)
        return name

    def _known(self, id: str) -> Tree | None:
        try:
            return self._tree(id)
        except NimError:
            return None

    def _keep(self, path: str, info: os.stat_result, room: int) -> tuple[str, int, str]:
        """Store one file: its hash, the bytes it newly took, and why it is not kept (empty when it is)."""
        name, data, reason = _hashed(f"{self.workspace}/{path}", info)
        if reason:
            return "", 0, reason
        if len(data) > room:
            kept = self.store.has(name)
            return (name, 0, "") if kept else ("", 0, f"more than {trees.MAX_NEW >> 20} MiB of new contents")
        return name, len(data) if self.store.put(name, data) else 0, ""

    def _tree(self, id: str) -> Tree:
        if id not in self._cache:
            self._remember(id, self.store.tree(id))
        return self._cache[id]

    def _remember(self, id: str, tree: Tree) -> None:
        self._cache[id] = tree
        while len(self._cache) > 4:
            self._cache.pop(next(iter(self._cache)))

    def _now(self, like: Tree) -> Tree:
        """The workspace now, hashed where it is not as in ``like``; nothing is stored."""
        def hashed(path: str, info: os.stat_result, room: int) -> tuple[str, int, str]:
            name, _, reason = _hashed(f"{self.workspace}/{path}", info)
            return name, 0, reason

        return trees.scan(self.workspace, hashed, like, self._own)

    # ---- what there is -----------------------------------------------------------------------------------------

    def all(self) -> list[Info]:
        """Every snapshot, oldest first."""
        return [Info(*row) for row in self.store.rows()]

    def skipped(self, id: str) -> list[str]:
        """``path: reason`` for everything the snapshot saw and does not hold."""
        tree = self._tree(id)
        return [f"{path or '.'}: {reason}" for path, reason in sorted({**tree.skipped, **tree.unlisted}.items())]

    def news(self, id: str) -> str:
        """A sentence about what the snapshot does not cover, empty when that has been said before."""
        if self.store.trouble and self.store.trouble not in self._told:
            self._told.add(self.store.trouble)
            return self.store.trouble
        tree = self._tree(id)
        fresh = {path: why for path, why in {**tree.skipped, **tree.unlisted}.items() if path not in self._told}
        self._told |= set(fresh)
        if not fresh:
            return ""
        names = sorted(fresh)
        reasons = sorted({why for why in fresh.values()})
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return (f"undo will not cover {', '.join(name or 'the whole folder' for name in names[:NAMED])}{more}: "
                + "; ".join(reasons[:NAMED]))

    def prune(self, keep: int = KEPT, most: int = KEPT_BYTES) -> int:
        """Forget all but the ``keep`` newest snapshots, fewer where their contents take more than ``most`` bytes; the
        number forgotten."""
        gone = self.store.keep_newest(keep)
        while self.store.held_bytes() > most and (count := len(self.store.rows())) > 2:
            gone += self.store.keep_newest(max(2, count // 2))
        return gone

    # ---- comparing ---------------------------------------------------------------------------------------------

    def changes(self, id: str) -> list[Change]:
        """What differs now from the snapshot."""
        tree = self._tree(id)
        return compare(tree, self._now(tree))

    def between(self, before: str, after: str) -> list[Change]:
        """What changed between two snapshots."""
        if self.store.unchanged(before, after):
            return []
        return compare(self._tree(before), self._tree(after))

    def pieces(self, steps: Sequence[Pair]) -> Iterator[Piece]:
        """What the steps changed, by path. Changes of one path that follow on one another are one piece; where somebody
        else changed it in between there are several."""
        chains: dict[str, list[tuple[Entry | None, Entry | None]]] = {}
        for before, after in steps:
            first, second = self._tree(before), self._tree(after)
            for change in compare(first, second):
                was, became = first.entries.get(change.path), second.entries.get(change.path)
                chain = chains.setdefault(change.path, [])
                if chain and same(chain[-1][1], was):
                    chain[-1] = (chain[-1][0], became)
                else:
                    chain.append((was, became))
        for path in sorted(chains):
            for was, became in chains[path]:
                if not same(was, became):
                    yield Piece(path, was, became, self._contents(was), self._contents(became))

    def _contents(self, entry: Entry | None) -> bytes | None:
        if entry is None or not entry.ref:
            return None
        return os.fsencode(entry.ref) if entry.kind == "l" else self.store.get(entry.ref)

    # ---- going back --------------------------------------------------------------------------------------------

    def restore(self, id: str, dry_run: bool = False) -> list[Change]:
        """Make the workspace what it was, whoever changed it; the changes that were (or would be) reverted.

        What the snapshot does not hold (too large, unreadable) is left alone and not in the list. To take back one
        command only, use :meth:`undo`.
        """
        tree = self._tree(id)
        now = self._now(tree)
        reverted = {item.path for item in self._back([(tree, now)], now, dry_run) if item.action != "left"}
        return [change for change in compare(tree, now) if change.path in reverted]

    def undo(self, before: str, after: str, dry_run: bool = False) -> list[Undone]:
        """Take back what changed between the two snapshots, except where somebody changed it again since ``after``."""
        return self.undo_steps([(before, after)], dry_run)

    def undo_steps(self, steps: Sequence[Pair], dry_run: bool = False) -> list[Undone]:
        """Take back several commands, given in the order in which they ran; what somebody else did between or after
        them stays."""
        pairs = [(self._tree(before), self._tree(after)) for before, after in steps]
        if not pairs:
            return []
        return self._back(pairs, self._now(pairs[-1][1]), dry_run)

    def _back(self, steps: Sequence[tuple[Tree, Tree]], now: Tree, dry_run: bool) -> list[Undone]:
        if not dry_run:
            reversal.sweep(self.workspace, now)
        made = reversal.plan(steps, now, self.store.has)
        return reversal.carry_out(self.workspace, made, now, self.store.get, dry_run)


def _hashed(path: str, info: os.stat_result) -> tuple[str, bytes, str]:
    """``(hash, contents, why there are none)`` of a regular file."""
    if info.st_size > trees.MAX_FILE:
        return "", b"", f"larger than {trees.MAX_FILE >> 20} MiB"
    try:
        data = trees.read_file(path)
    except OSError as error:
        return "", b"", error.strerror or "cannot be read"
    if len(data) > trees.MAX_FILE:
        return "", b"", f"larger than {trees.MAX_FILE >> 20} MiB"
    return hashlib.sha256(data).hexdigest(), data, ""
