"""The memory of one base: immutable integer deltas, a ledger, and the head rebuilt from them.

Weights = base (fp32) + grid x sum of integers, with a power-of-two grid per tensor fixed by the base. Integer sums
commute, so taking any record out, in any order, gives the very bits of a store that never had it.

Order of writing: delta, fsync; ledger, fsync; head by atomic rename. Opening a store puts right what a kill left: an
orphan delta is deleted, a torn ledger line dropped, a head older than the ledger rebuilt. numpy only.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open

from nimllm import places
from nimllm.alignment.memory import bases, sealed
from nimllm.alignment.memory.archive import Archive
from nimllm.alignment.memory.deltas import MAX_INT, Delta, decode, encode, entries, grid_of, quantise
from nimllm.alignment.memory.ledger import START, Ledger, next_id
from nimllm.errors import MEMORY, NimError
from nimllm.llm.checkpoint import check_tensors, fingerprint, read_tensors, write_tensors
from nimllm.llm.config import read_config

if TYPE_CHECKING:
    from nimllm.alignment.memory.archive import Show
    from nimllm.alignment.memory.events import Kind, Record, State
    from nimllm.alignment.memory.verification import Verified

__all__ = ["MAX_INT", "Delta", "MemoryStore", "grid_of", "quantise"]


class MemoryStore:
    """``<state>/memory/<first 16 of the base's fingerprint>/``.

    ``writable``: takes the store's lock (waiting up to ``wait`` seconds). When another process holds it the store opens
    read-only, ``notice`` says so, and every writing method raises NimError 7.
    """

    def __init__(self, run: Path, state: Path | None = None, writable: bool = True, wait: float = 0.0) -> None:
        self.run = Path(run)
        self.config = read_config(self.run)
        self._base_file = self.run / "model.safetensors"
        self._base: dict[str, np.ndarray] | None = None
        self._sums: dict[str, np.ndarray] | None = None
        self._grid: dict[str, int] | None = None
        root = Path(state) if state is not None else places.state_folder()
        self.root = root
        self.base, wrong = bases.name_base(self._base_file, root, self.base_tensors)
        self.folder = root / "memory" / self.base[:16]
        self.archive = Archive(self.folder / "deltas")
        self.notice = ""
        self.healed = [wrong] if wrong else []  # what was damaged and has been made again
        self._lock: int | None = None
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.folder / "deltas").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            if writable:
                raise NimError(f"cannot make the memory folder {self.folder}", error.strerror or str(error),
                               "set XDG_STATE_HOME to a folder you can write", MEMORY) from None
        locked = writable and self._take_lock(wait)
        try:
            self.ledger = Ledger(self.folder / "ledger.jsonl")
            self._check_base_event()
            # a reader takes the lock only to put right what a kill left: never while somebody writes
            if not writable and self._stale() and self._take_lock(0.0):
                self.ledger.reload()
                locked = True
            if locked:
                try:
                    self._recover()
                except (NimError, OSError) as error:
                    if writable:
                        raise
                    # a full disk must not keep anybody from the weights that are there
                    self.notice = f"the weights are older than the ledger: {error}"
        except BaseException:
            self.close()
            raise
        if not writable:
            self.close()
        elif not locked:
            self.notice = "another nimllm is writing this memory, so it is open for reading only"

    # -- opening ---------------------------------------------------------------------------------------------------

    def _take_lock(self, wait: float) -> bool:
        end = time.monotonic() + wait
        try:
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False  # a folder that cannot be written: reading is still possible
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._lock = handle
                return True
            except OSError:
                if time.monotonic() >= end:
                    os.close(handle)
                    return False
                time.sleep(0.05)

    @property
    def writable(self) -> bool:
        return self._lock is not None

    def close(self) -> None:
        """Gives the lock back; the store can still be read."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self.close()

    def _check_base_event(self) -> None:
        if not self.ledger.entries:
            return
        base, grid = self.ledger.base()
        if base != self.base:
            raise NimError(f"the memory ledger {self.ledger.path} belongs to another base",
                           f"it was written for {base[:16]}, and these weights are {self.base[:16]}",
                           "move it back to where it came from; memories of a sibling come by nimllm memory export and "
                           "apply", MEMORY)
        self._grid = grid

    def _damaged(self, name: str, why: str) -> NimError:
        return NimError(f"the memory file {self.folder / name} is damaged", why,
                        "restore the folder from a backup, or move it away to start with an empty memory", MEMORY)

    def _recover(self) -> None:
        """Puts right what a kill left. The lock is held."""
        torn = self.ledger.torn
        self.ledger.mend()
        for path in [*self.archive.strays(self.kept()), *self.folder.glob(".*.tmp"), *self.folder.glob("past/.*.tmp")]:
            path.unlink(missing_ok=True)
        if self._stale():
            if not torn and self.head.exists() and not self.passed(self.head_about().get("position", "")):
                self.healed.append(f"{self.head} was damaged, or of another ledger; it has been made again")
            self._write_head(self.sums_of(self.ledger.accepted()))

    def kept(self) -> set[str]:
        """Ids whose deltas must be there."""
        return {entry.id for entry in self.ledger.entries if entry.creates and not self.ledger.discarded(entry.id)}

    def passed(self, position: str) -> bool:
        """It names a place in the ledger at which the weights have stood."""
        return position == START or any(position == entry.hash for entry in self.ledger.entries)

    def _stale(self) -> bool:
        """The ledger ends in half a line, or the head is not the one it describes."""
        return self.ledger.torn > 0 or self.ledger.weights_tip not in (START, self.head_about().get("position"))

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def grid(self) -> dict[str, int]:
        """Exponent of two per tensor."""
        if self._grid is None:
            self._grid = grid_of(self.base_tensors())
        return self._grid

    @property
    def head(self) -> Path:
        return self.folder / "head.safetensors"

    def base_tensors(self) -> dict[str, np.ndarray]:
        """The base as fp32; checked against the configuration."""
        if self._base is None:
            self._base = read_tensors(self._base_file)
            check_tensors(self.config, self._base, self._base_file)
        return self._base

    def weights(self) -> Path:
        """The weights in use: the head, or the base's own file while nothing is accepted."""
        if not self.ledger.accepted():
            return self._base_file
        for _ in range(40):  # the first head of all may be on its way from another process
            if self.head_about():
                return self.head
            time.sleep(0.05)
        raise self._damaged("head.safetensors", "it is missing or unreadable, and the folder cannot be written")

    def hash(self) -> str:
        """Fingerprint of the weights in use."""
        if not self.ledger.accepted():
            return self.base
        about = self.head_about()
        return about["weights"] if about.get("position") == self.ledger.weights_tip else fingerprint(self.current())

    def current(self) -> dict[str, np.ndarray]:
        """The weights in use as fp32 arrays (a copy where they differ from the base)."""
        return self.apply(self.sums_of(self.ledger.accepted()))

    def records(self) -> list[Record]:
        return self.ledger.records()

    def get(self, id: str) -> Record:
        """NimError 7 when there is no such record."""
        if (record := self.ledger.record(id)) is not None:
            return record
        have = list(self.ledger.states())
        raise NimError(f"there is no memory {id}", f"the ledger holds {have[0]} to {have[-1]}" if have else
                       "the ledger is empty", "nimllm memory list shows them", MEMORY)

    def delta(self, id: str) -> Delta:
        """The integers of a record; NimError 7 when the file is missing or not what was written."""
        name = f"deltas/{id}.safetensors"
        if self.ledger.discarded(id):
            raise NimError(f"the delta of {id} was deleted", "it was rejected, and gc --rejected made room",
                           "teach it again", MEMORY)
        try:
            raw = self.archive.read(id)
        except OSError as error:
            raise self._damaged(name, error.strerror or str(error)) from None
        if hashlib.sha256(raw).hexdigest() != self.ledger.delta(id):
            raise self._damaged(name, "its checksum is not the one in the ledger")
        try:
            return decode(raw)
        except ValueError as error:
            raise self._damaged(name, str(error)) from None

    def head_about(self) -> dict[str, str]:
        try:
            with safe_open(self.head, "np") as file:
                return file.metadata() or {}
        except (SafetensorError, OSError):
            return {}

    # -- integers to weights ---------------------------------------------------------------------------------------

    def _zeros(self, name: str) -> np.ndarray:
        return np.zeros(self.base_tensors()[name].size, np.int32)

    def sums_of(self, ids: list[str]) -> dict[str, np.ndarray]:
        """Sum of the deltas per touched tensor, int32 flat; from the cache when it is of this very ledger."""
        if self._sums is None:
            self._sums = self._cached_sums()
        if self._sums is not None and ids == self.ledger.accepted():
            return self._sums
        sums: dict[str, np.ndarray] = {}
        now, wanted = set(self.ledger.accepted()), set(ids)
        if self._sums is not None and len(now ^ wanted) < len(wanted):  # nearer than nothing
            sums = {name: total.copy() for name, total in self._sums.items()}
            for id in now ^ wanted:
                self.add(sums, self.delta(id), 1 if id in wanted else -1)
            return sums
        for id in ids:
            self.add(sums, self.delta(id), 1)
        if ids == self.ledger.accepted():
            self._sums = sums
        return sums

    def add(self, sums: dict[str, np.ndarray], delta: Delta, sign: int) -> None:
        for name, (index, value) in delta.items():
            if name not in sums:
                sums[name] = self._zeros(name)
            sums[name][index] += sign * value.astype(np.int32)  # indices of one delta are unique

    def apply(self, sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """base + grid x sums. An entry whose sum is 0 keeps the base's bits (-0.0 stays -0.0)."""
        tensors, grid = dict(self.base_tensors()), self.grid
        for name, total in sums.items():
            index = np.flatnonzero(total)
            if len(index):
                flat = tensors[name].reshape(-1).copy()
                change = np.ldexp(total[index].astype(np.float64), grid[name])
                flat[index] = (flat[index].astype(np.float64) + change).astype(np.float32)
                tensors[name] = flat.reshape(tensors[name].shape)
        return tensors

    def without(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """What the weights would be without some of the accepted records."""
        return self.exchanged(ids, {})

    def exchanged(self, ids: Sequence[str], delta: Delta) -> dict[str, np.ndarray]:
        """What the weights would be with one delta in the place of accepted records'."""
        return self.apply(self.changed(delta, 1, [(self.delta(id), -1) for id in ids]))

    def with_delta(self, delta: Delta) -> dict[str, np.ndarray]:
        """What the weights would be with one delta more."""
        return self.apply(self.changed(delta, 1))

    def _cached_sums(self) -> dict[str, np.ndarray] | None:
        found = sealed.read(self.folder / "sums.safetensors")
        return found[0] if found is not None and found[1].get("position") == self.ledger.weights_tip else None

    # -- writing ---------------------------------------------------------------------------------------------------

    def must_write(self) -> None:
        if not self.writable:
            raise NimError(f"the memory {self.folder} cannot be written now",
                           self.notice or "it was opened for reading", "wait for the other nimllm, or close it", MEMORY)

    def _write_head(self, sums: dict[str, np.ndarray], tensors: dict[str, np.ndarray] | None = None,
                    weights: str = "") -> None:
        """Head and the cache of the sums for the ledger as it stands. ``weights``: their fingerprint, if known."""
        tensors = self.apply(sums) if tensors is None else tensors
        position = self.ledger.weights_tip
        write_tensors(self.head, tensors, metadata={"position": position, "base": self.base,
                                                    "weights": weights or fingerprint(tensors)})
        sealed.write(self.folder / "sums.safetensors", sums, {"position": position})
        self._sums = sums

    def commit(self, record: Record, delta: Delta, state: str = "accepted", detail: str = "") -> Record:
        """Writes a new record: "accepted" (its delta enters the head) or "pending" (it waits in the inbox).

        Returns it with its id, bytes, entries and, when accepted, the fingerprint of the new weights. ``detail``: a
        word for the ledger, such as where it came from.
        """
        return self._create(record, delta, state, (), detail)

    def swap(self, ids: Sequence[str], record: Record, delta: Delta, state: str = "accepted", detail: str = ""
             ) -> Record:
        """One new record takes the place of the accepted records ``ids``: their deltas leave the weights and ``delta``
        enters them, in one event ("pending": when it is approved). Reverting it brings theirs back, bit for bit; until
        then they are consolidated, and none of them can be reverted alone. NimError 7: one is not accepted.
        """
        self.must_write()
        if not ids or len(set(ids)) != len(ids):
            raise ValueError("a swap needs records, each of them once")
        for id in ids:
            self._allow(id, "consolidated", "accepted")
        return self._create(record, delta, state, tuple(ids), detail)

    def _create(self, record: Record, delta: Delta, state: str, members: tuple[str, ...], detail: str) -> Record:
        self.must_write()
        if state not in ("accepted", "pending"):
            raise ValueError(f"a new record is accepted or pending, not {state}")
        if not self.ledger.entries:
            self.ledger.append("base", base=self.base, grid=self.grid)
        id = next_id(self.ledger.states())
        grid = self.grid
        shapes = {name: self.base_tensors()[name].shape for name in delta}
        raw = encode(delta, shapes, {"id": id, "base": self.base,
                                     "grid": json.dumps({name: grid[name] for name in sorted(delta)})})
        before = self.hash()
        sums = self.changed(delta, 1, [(self.delta(member), -1) for member in members])
        tensors = self.apply(sums)
        after = fingerprint(tensors)
        record = record.model_copy(update={
            "id": id, "state": state, "bytes": len(raw), "entries": entries(delta), "members": list(members),
            "weights_before": before, "weights_after": after,
        })
        self.archive.write(id, raw)
        kind: Kind = "propose" if state == "pending" else "sleep" if members else "accept"
        self.ledger.append(kind, id=id, record=record, delta=hashlib.sha256(raw).hexdigest(), detail=detail)
        if state == "accepted":
            self._write_head(sums, tensors, after)
        return self.get(id)

    def changed(self, delta: Delta, sign: int, others: Iterable[tuple[Delta, int]] = ()) -> dict[str, np.ndarray]:
        """The sums with one delta more or less, and others (copies)."""
        sums = {name: total.copy() for name, total in self.sums_of(self.ledger.accepted()).items()}
        for one, way in ((delta, sign), *others):
            self.add(sums, one, way)
        return sums

    def _allow(self, id: str, doing: str, *wanted: State) -> None:
        self.must_write()
        state = self.get(id).state
        if state not in wanted:
            if sleep := self.ledger.part_of(id):
                raise NimError(f"{id} cannot be {doing} alone", f"{sleep} has taken its place in the weights",
                               f"nimllm memory revert {sleep} brings the single memories back, and then {id} can be",
                               MEMORY)
            raise NimError(f"{id} cannot be {doing}", f"it is {state}",
                           f"only a record that is {' or '.join(wanted)} can", MEMORY)

    def approve(self, id: str, detail: str = "approved by the user") -> Record:
        """A waiting (or reverted) record enters the head; one that takes the place of others needs them accepted."""
        self._allow(id, "approved", "pending", "reverted")
        members, states = self.ledger.members(id), self.ledger.states()
        gone = [member for member in members if states[member] != "accepted"]
        if gone:
            raise NimError(f"{id} cannot be approved", f"it takes the place of {len(members)} memories, and of those "
                           f"{', '.join(gone[:5])}{' …' if len(gone) > 5 else ''} cannot be replaced now",
                           f"approve those first, or reject {id}", MEMORY)
        sums = self.changed(self.delta(id), 1, [(self.delta(member), -1) for member in members])
        self.ledger.append("sleep" if members else "accept", id=id, detail=detail)
        self._write_head(sums)
        return self.get(id)

    def reject(self, id: str, detail: str = "rejected by the user") -> Record:
        """A waiting record is refused for good."""
        self._allow(id, "rejected", "pending")
        self.ledger.append("reject", id=id, detail=detail)
        return self.get(id)

    def revert(self, id: str, detail: str = "reverted by the user") -> Record:
        """An accepted record leaves the weights, bit for bit as if it had never been, whatever came after it. What it
        took the place of comes back."""
        self._allow(id, "reverted", "accepted")
        members = self.ledger.members(id)
        sums = self.changed(self.delta(id), -1, [(self.delta(member), 1) for member in members])
        self.ledger.append("revert", id=id, detail=detail)
        self._write_head(sums)
        return self.get(id)

    def verify(self, show: Show | None = None) -> Verified:
        """See :func:`verification.verify`."""
        from nimllm.alignment.memory.verification import verify

        return verify(self, show)
