"""``gc`` and ``compact``: room, without ever touching what a revert needs.

Needed are the base, the ledger and the delta of every record that is in the weights, waits, was reverted (it can be
approved again) or is consolidated. A rejected record's delta goes only when it is asked for, and the ledger says so
first: deleted without a line in the ledger would be damage.
"""

from __future__ import annotations

import calendar
import time
from dataclasses import dataclass, field
from pathlib import Path

from nimllm.alignment.memory import bases, past
from nimllm.alignment.memory.archive import Show
from nimllm.alignment.memory.store import MemoryStore
from nimllm.errors import MEMORY, NimError


@dataclass
class Cleaned:
    """What went (or would go): ``files`` by what they were, ``records`` whose deltas were discarded, ``bytes``."""

    files: dict[str, int] = field(default_factory=dict)
    records: list[str] = field(default_factory=list)
    bytes: int = 0

    def take(self, what: str, path: Path, dry_run: bool) -> None:
        try:
            size = path.stat().st_size
            if not dry_run:
                path.unlink(missing_ok=True)
        except OSError:
            return
        self.files[what] = self.files.get(what, 0) + 1
        self.bytes += size


def gc(store: MemoryStore, rejected_days: float | None = None, dry_run: bool = False) -> Cleaned:
    """Deletes left-overs. ``rejected_days``: deltas of records rejected that long ago, too. NimError 7: not writable,
    or a pack cannot be made anew."""
    store.must_write()
    cleaned = Cleaned()
    for path in store.archive.strays(store.kept()):
        cleaned.take("left half written or of no record", path, dry_run)
    for path in [*store.folder.glob(".*.tmp"), *bases.cache_file(store.root).parent.glob(".*.tmp")]:
        if path.parent == store.folder or time.time() - path.stat().st_mtime > 3600:  # another store's may be in use
            cleaned.take("left half written or of no record", path, dry_run)
    for path in past.folder(store).glob("*"):
        cleaned.take("head of the past", path, dry_run)
    if rejected_days is not None:
        packed = store.archive.packed()
        for id in _rejected(store, rejected_days):
            cleaned.records.append(id)
            cleaned.bytes += store.get(id).bytes
            if not dry_run:
                store.ledger.append("discard", id=id, detail="made room")
                store.archive.path(id).unlink(missing_ok=True)
        if not dry_run and packed.keys() & set(cleaned.records):
            compact(store)  # a pack that holds one of them is made without it
    return cleaned


def _rejected(store: MemoryStore, days: float) -> list[str]:
    """Records whose rejection is old enough by the clock; one from the future stays."""
    when: dict[str, float] = {}
    for event in store.ledger.events:
        if event.event == "reject":
            try:
                when[event.id] = calendar.timegm(time.strptime(event.time, "%Y-%m-%dT%H:%M:%SZ"))
            except ValueError:
                continue
    return [id for id, moment in when.items()
            if not store.ledger.discarded(id) and time.time() - moment >= days * 86400]


def compact(store: MemoryStore, show: Show | None = None) -> tuple[int, int]:
    """Packs the deltas: (deltas moved, files fewer). NimError 7: not writable, a delta is damaged, no room."""
    store.must_write()
    try:
        return store.archive.pack({id: store.ledger.delta(id) for id in sorted(store.kept())}, show)
    except (ValueError, OSError) as error:
        raise NimError("the deltas cannot be packed", f"the delta of {error} is damaged" if isinstance(
            error, ValueError) else error.strerror or str(error), "nimllm memory verify says what is wrong", MEMORY
            ) from None
