"""Where snapshots lie: one SQLite file per workspace, contents once by their SHA-256, lists as differences.

SQLite because it brings what kill -9, full disks and two sessions at once ask for: transactions and locks. A snapshot's
list of entries is stored as what differs from the one before it; every 32nd is whole.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nimllm.errors import CONFIG, LIMIT, NimError
from nimllm.tools.trees import Entry, Tree

DEPTH = 32  # differences that are followed to make a list whole
BUSY_SECONDS = 60.0  # another session's first snapshot of a large folder takes seconds
VERSION = 1
_SCHEMA = """
CREATE TABLE objects (name BLOB NOT NULL UNIQUE, data BLOB NOT NULL);
CREATE TABLE snapshots (id TEXT PRIMARY KEY, label TEXT NOT NULL, time REAL NOT NULL, taken_ns INTEGER NOT NULL,
    parent TEXT NOT NULL, depth INTEGER NOT NULL, entries BLOB NOT NULL, notes BLOB NOT NULL) WITHOUT ROWID;
"""


class Row(NamedTuple):
    id: str
    label: str
    time: float


class Store:
    """The file ``path`` (made with mode 0600). A damaged one is put aside, which ``trouble`` then says.

    Thread use: calls are serialised. NimError (CONFIG) when it cannot be opened, (LIMIT) when the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""
        self._lock = threading.RLock()
        with self._told():
            try:
                self._db = self._opened()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                aside = path.with_suffix(f".damaged-{time.time_ns():x}")
                os.replace(path, aside)
                for ending in ("-wal", "-shm", "-journal"):
                    Path(f"{path}{ending}").unlink(missing_ok=True)
                self.trouble = f"the earlier snapshots were damaged; they are put aside as {aside}"
                self._db = self._opened()

    def _opened(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # a power failure may lose the newest snapshot, never the file
            db.execute("BEGIN IMMEDIATE")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise NimError(f"the snapshots {self.path} were made by another version of nimllm", "",
                               "move the file away", CONFIG)
            db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.Error as error:
            if "full" in str(error) or "disk I/O" in str(error):
                raise NimError("no space left for a snapshot of the workspace", mend="free some, or switch undo off",
                               code=LIMIT) from None
            raise NimError(f"cannot use the snapshots {self.path}", str(error), code=CONFIG) from None
        except OSError as error:
            raise NimError(f"cannot write snapshots to {self.path.parent}", error.strerror or str(error)) from None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction, alone among all processes: all of it is kept, or nothing."""
        with self._lock, self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    # ---- contents ------------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        with self._lock, self._told():
            found = self._db.execute("SELECT 1 FROM objects WHERE name = ?", (bytes.fromhex(name),)).fetchone()
            return found is not None

    def put(self, name: str, data: bytes) -> bool:
        """Within :meth:`writing`; False when these contents are there already."""
        done = self._db.execute("INSERT OR IGNORE INTO objects VALUES (?, ?)", (bytes.fromhex(name), data))
        return done.rowcount > 0

    def get(self, name: str) -> bytes | None:
        with self._lock, self._told():
            found = self._db.execute("SELECT data FROM objects WHERE name = ?", (bytes.fromhex(name),)).fetchone()
            return bytes(found[0]) if found else None

    def held_bytes(self) -> int:
        """Of all contents."""
        with self._lock, self._told():
            return int(self._db.execute("SELECT coalesce(sum(length(data)), 0) FROM objects").fetchone()[0])

    # ---- lists ---------------------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """Every snapshot, oldest first."""
        with self._lock, self._told():
            return [Row(*row) for row in self._db.execute("SELECT id, label, time FROM snapshots ORDER BY id")]

    def newest(self) -> str:
        """The id of the newest snapshot; empty when there is none."""
        with self._lock, self._told():
            return self._db.execute("SELECT coalesce(max(id), '') FROM snapshots").fetchone()[0]  # type: ignore[no-any-return]

    def add(self, id: str, label: str, when: float, tree: Tree, parent: str, before: Tree | None) -> None:
        """Within :meth:`writing`. ``before`` is the tree of ``parent``."""
        depth = 0
        if before is not None:
            found = self._db.execute("SELECT depth FROM snapshots WHERE id = ?", (parent,)).fetchone()
            depth = found[0] + 1 if found else DEPTH
        changed: dict[str, Entry | None] | None = None
        if before is not None and depth < DEPTH:
            old = before.entries
            changed = {path: entry for path, entry in tree.entries.items()
                       if (was := old.get(path)) is not entry and was != entry}
            changed |= {path: None for path in old if path not in tree.entries}
        if changed is None or 2 * len(changed) > len(tree.entries) + 16:
            parent, depth, changed = "", 0, dict(tree.entries)
        notes = {"skipped": tree.skipped, "unlisted": tree.unlisted}
        self._db.execute("INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                         (id, label, when, tree.taken_ns, parent, depth, _packed(changed), _packed(notes)))

    def unchanged(self, before: str, after: str) -> bool:
        """Whether ``after`` is known to be the same as ``before`` without reading either (False: it must be looked
        at)."""
        with self._lock, self._told():
            row = self._db.execute("SELECT parent, entries FROM snapshots WHERE id = ?", (after,)).fetchone()
        return row is not None and row[0] == before and row[1] == _NOTHING

    def tree(self, id: str) -> Tree:
        """NimError (CONFIG) when there is none, or it cannot be read."""
        with self._lock, self._told():
            chain: list[bytes] = []
            row = self._db.execute("SELECT taken_ns, notes FROM snapshots WHERE id = ?", (id,)).fetchone()
            if row is None:
                raise NimError(f"there is no snapshot {id!r}", "the oldest ones are forgotten", code=CONFIG)
            at = id
            while at:
                found = self._db.execute("SELECT parent, entries FROM snapshots WHERE id = ?", (at,)).fetchone()
                if found is None:
                    raise NimError(f"the snapshot {id!r} cannot be read", f"{at!r} is missing", code=CONFIG)
                at = found[0]
                chain.append(found[1])
            try:
                tree = Tree(row[0], **_unpacked(row[1]))
                for packed in reversed(chain):
                    for path, fields in _unpacked(packed).items():
                        if fields is None:
                            tree.entries.pop(path, None)
                        else:
                            tree.entries[path] = Entry(*fields)
            except (ValueError, TypeError, zlib.error) as error:
                raise NimError(f"the snapshot {id!r} cannot be read", str(error), code=CONFIG) from None
            return tree

    def keep_newest(self, keep: int) -> int:
        """Forget all but the ``keep`` newest snapshots and the contents only they held; the number forgotten."""
        with self.writing():
            rows = self._db.execute("SELECT id, parent FROM snapshots ORDER BY id DESC").fetchall()
            left, gone = rows[:keep], rows[keep:]
            if not gone:
                return 0
            names = {row[0] for row in left}
            for id, parent in left:
                if parent and parent not in names:  # what it is a difference to goes
                    whole = self.tree(id).entries
                    self._db.execute("UPDATE snapshots SET parent = '', depth = 0, entries = ? WHERE id = ?",
                                     (_packed(whole), id))
            self._db.executemany("DELETE FROM snapshots WHERE id = ?", [(row[0],) for row in gone])
            used: set[str] = set()
            for (packed,) in self._db.execute("SELECT entries FROM snapshots"):
                used |= {fields[6] for fields in _unpacked(packed).values() if fields and fields[0] == "f"}
            idle = [(name,) for (name,) in self._db.execute("SELECT name FROM objects") if name.hex() not in used]
            self._db.executemany("DELETE FROM objects WHERE name = ?", idle)
        with self._lock, self._told():
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
            if free > 1000 and 2 * free > pages:
                self._db.execute("VACUUM")
        return len(gone)


def _packed(value: object) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)


def _unpacked(data: bytes) -> dict[str, Any]:
    return json.loads(zlib.decompress(data))  # type: ignore[no-any-return]


_NOTHING = _packed({})
