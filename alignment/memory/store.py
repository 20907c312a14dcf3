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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nimllm import places
from nimllm.alignment.memory.ledger import START, Ledger, next_id
from nimllm.errors import MEMORY, NimError
from nimllm.llm.checkpoint import check_tensors, fingerprint, read_tensors, replacing, write_tensors
from nimllm.llm.config import read_config

if TYPE_CHECKING:
    from nimllm.alignment.memory.events import Kind, Record, State

GRID_BITS = 12  # the grid is 2^-12 of a tensor's root mean square: int16 spans 8 of them, fp32 resolves 2^-9 of a step
FLAT_GRID = -16  # exponent for a tensor of zeros
MAX_INT = 32767

Delta = dict[str, tuple[np.ndarray, np.ndarray]]  # tensor -> (flat indices int32 ascending, values int16)


@dataclass(frozen=True)
class Verified:
    """What :meth:`MemoryStore.verify` found. ``problems`` empty: everything is as the ledger says."""

    records: int
    accepted: int
    weights: str
    problems: list[str] = field(default_factory=list)


def grid_of(tensors: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Exponent of two per tensor, from its root mean square."""
    grid: dict[str, int] = {}
    for name, tensor in tensors.items():
        rms = float(np.sqrt(np.mean(np.square(tensor, dtype=np.float64)))) if tensor.size else 0.0
        grid[name] = int(np.floor(np.log2(rms))) - GRID_BITS if rms > 0 else FLAT_GRID
    return grid


def quantise(change: Mapping[str, np.ndarray], grid: Mapping[str, int]) -> Delta:
    """Float changes [any shape] as sparse integers on the grid; what rounds to nothing is left out. A value beyond
    int16 (8 times the tensor's root mean square) is clipped: the gate measures what is left."""
    delta: Delta = {}
    for name, values in change.items():
        flat = np.asarray(values, np.float32).reshape(-1)
        index = np.flatnonzero(flat)
        steps = np.clip(np.rint(np.ldexp(flat[index].astype(np.float64), -grid[name])), -MAX_INT, MAX_INT)
        kept = steps != 0
        if kept.any():
            delta[name] = (index[kept].astype(np.int32), steps[kept].astype(np.int16))
    return delta


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
        root = Path(state) if state is not None else places.state_folder()
        self.base = self._name_base(root)
        self.folder = root / "memory" / self.base[:16]
        self.notice = ""
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
                self._recover()
        except BaseException:
            self.close()
            raise
        if not writable:
            self.close()
        elif not locked:
            self.notice = "another nimllm is writing this memory, so it is open for reading only"

    # -- opening ---------------------------------------------------------------------------------------------------

    def _name_base(self, root: Path) -> str:
        """The base's fingerprint; hashing 12M weights takes 0.1 s, so it is kept by the file's size and time."""
        try:
            state = self._base_file.stat()
        except OSError as error:
            raise NimError(f"cannot read {self._base_file}", error.strerror or str(error),
                           "give a folder made by --train") from None
        key = f"{self._base_file.resolve()}:{state.st_size}:{state.st_mtime_ns}:{state.st_ino}"
        cache = root / "memory" / "bases.json"
        try:
            known = json.loads(cache.read_text("utf-8"))
            if isinstance(known.get(key), str) and len(known[key]) == 64:
                return known[key]
        except (OSError, ValueError, AttributeError):
            known = {}
        name = fingerprint(self.base_tensors())
        try:
            cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(cache) as file:
                file.write(json.dumps({**dict(list(known.items())[-63:]), key: name}).encode())
        except (OSError, NimError):
            pass  # only a cache
        return name

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
        events = self.ledger.events
        if events and (events[0].event != "base" or events[0].base != self.base or events[0].grid is None):
            raise self._damaged("ledger.jsonl", "it does not begin with this base")

    def _damaged(self, name: str, why: str) -> NimError:
        return NimError(f"the memory file {self.folder / name} is damaged", why,
                        "restore the folder from a backup, or move it away to start with an empty memory", MEMORY)

    def _recover(self) -> None:
        """Puts right what a kill left. The lock is held."""
        self.ledger.mend()
        known = {event.id for event in self.ledger.events if event.record is not None}
        for path in (self.folder / "deltas").iterdir():
            if path.name.startswith(".") or (path.suffix == ".safetensors" and path.stem not in known):
                path.unlink(missing_ok=True)
        for path in self.folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)
        if self._stale():
            self._write_head(self._sum(self.ledger.accepted()))

    def _stale(self) -> bool:
        """The ledger ends in half a line, or the head is not the one it describes."""
        return self.ledger.torn > 0 or self.ledger.weights_tip not in (START, self._head_about().get("position"))

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def grid(self) -> dict[str, int]:
        """Exponent of two per tensor."""
        if self.ledger.events and self.ledger.events[0].grid is not None:
            return self.ledger.events[0].grid
        return grid_of(self.base_tensors())

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
            if self._head_about():
                return self.head
            time.sleep(0.05)
        raise self._damaged("head.safetensors", "it is missing or unreadable, and the folder cannot be written")

    def hash(self) -> str:
        """Fingerprint of the weights in use."""
        if not self.ledger.accepted():
            return self.base
        about = self._head_about()
        return about["weights"] if about.get("position") == self.ledger.weights_tip else fingerprint(self.current())

    def current(self) -> dict[str, np.ndarray]:
        """The weights in use as fp32 arrays (a copy where they differ from the base)."""
        return self._apply(self._sum(self.ledger.accepted()))

    def records(self) -> list[Record]:
        return self.ledger.records()

    def get(self, id: str) -> Record:
        """NimError 7 when there is no such record."""
        for record in self.records():
            if record.id == id:
                return record
        have = [record.id for record in self.records()]
        raise NimError(f"there is no memory {id}", f"the ledger holds {have[0]} to {have[-1]}" if have else
                       "the ledger is empty", "nimllm memory list shows them", MEMORY)

    def delta(self, id: str) -> Delta:
        """The integers of a record; NimError 7 when the file is missing or not what was written."""
        name = f"deltas/{id}.safetensors"
        try:
            raw = (self.folder / name).read_bytes()
        except OSError as error:
            raise self._damaged(name, error.strerror or str(error)) from None
        if hashlib.sha256(raw).hexdigest() != self.ledger.delta(id):
            raise self._damaged(name, "its checksum is not the one in the ledger")
        from safetensors.numpy import load

        try:
            content = load(raw)
        except SafetensorError as error:
            raise self._damaged(name, str(error)) from None
        return {key[:-7]: (content[key], content[key[:-7] + "::value"]) for key in content if key.endswith("::index")}

    def _head_about(self) -> dict[str, str]:
        try:
            with safe_open(self.head, "np") as file:
                return file.metadata() or {}
        except (SafetensorError, OSError):
            return {}

    # -- integers to weights ---------------------------------------------------------------------------------------

    def _zeros(self, name: str) -> np.ndarray:
        return np.zeros(self.base_tensors()[name].size, np.int32)

    def _sum(self, ids: list[str]) -> dict[str, np.ndarray]:
        """Sum of the deltas per touched tensor, int32 flat; from the cache when it is of this very ledger."""
        if self._sums is None:
            self._sums = self._cached_sums()
        if self._sums is not None and ids == self.ledger.accepted():
            return self._sums
        sums: dict[str, np.ndarray] = {}
        for id in ids:
            self._add(sums, self.delta(id), 1)
        if ids == self.ledger.accepted():
            self._sums = sums
        return sums

    def _add(self, sums: dict[str, np.ndarray], delta: Delta, sign: int) -> None:
        for name, (index, value) in delta.items():
            if name not in sums:
                sums[name] = self._zeros(name)
            sums[name][index] += sign * value.astype(np.int32)  # indices of one delta are unique

    def _apply(self, sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
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

    def with_delta(self, delta: Delta) -> dict[str, np.ndarray]:
        """What the weights would be with one delta more."""
        return self._apply(self._changed(delta, 1))

    def _cached_sums(self) -> dict[str, np.ndarray] | None:
        path = self.folder / "sums.safetensors"
        try:
            with safe_open(path, "np") as file:
                about = file.metadata() or {}
                if about.get("position") != self.ledger.weights_tip:
                    return None
                sums = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError):
            return None
        return sums if about.get("sha256") == _digest(sums) else None

    # -- writing ---------------------------------------------------------------------------------------------------

    def must_write(self) -> None:
        if not self.writable:
            raise NimError(f"the memory {self.folder} cannot be written now",
                           self.notice or "it was opened for reading", "wait for the other nimllm, or close it", MEMORY)

    def _write_head(self, sums: dict[str, np.ndarray], tensors: dict[str, np.ndarray] | None = None) -> None:
        """Head and the cache of the sums for the ledger as it stands."""
        tensors = self._apply(sums) if tensors is None else tensors
        position = self.ledger.weights_tip
        write_tensors(self.head, tensors, metadata={"position": position, "base": self.base,
                                                    "weights": fingerprint(tensors)})
        temporary = self.folder / f".sums.{os.getpid()}.tmp"
        try:  # a cache with a checksum: losing it costs a rebuild, so there is no fsync
            temporary.write_bytes(save(sums, {"position": position, "sha256": _digest(sums)}))
            os.replace(temporary, self.folder / "sums.safetensors")
        except OSError:
            temporary.unlink(missing_ok=True)
        self._sums = sums

    def commit(self, record: Record, delta: Delta, state: str = "accepted") -> Record:
        """Writes a new record: "accepted" (its delta enters the head) or "pending" (it waits in the inbox).

        Returns it with its id, bytes, entries and, when accepted, the fingerprint of the new weights.
        """
        self.must_write()
        if state not in ("accepted", "pending"):
            raise ValueError(f"a new record is accepted or pending, not {state}")
        if not self.ledger.events:
            self.ledger.append("base", base=self.base, grid=self.grid)
        id = next_id(self.ledger.states())
        parts = {f"{name}::{part}": array for name, pair in sorted(delta.items())
                 for part, array in zip(("index", "value"), pair, strict=True)}
        grid = self.grid
        raw = save(parts, {"id": id, "base": self.base,
                           "grid": json.dumps({name: grid[name] for name in sorted(delta)})})
        before = self.hash()
        sums = self._changed(delta, 1)
        tensors = self._apply(sums)
        record = record.model_copy(update={
            "id": id, "state": state, "bytes": len(raw), "entries": sum(len(index) for index, _ in delta.values()),
            "weights_before": before, "weights_after": fingerprint(tensors),
        })
        with replacing(self.folder / "deltas" / f"{id}.safetensors") as file:
            file.write(raw)
        kind: Kind = "accept" if state == "accepted" else "propose"
        self.ledger.append(kind, id=id, record=record, delta=hashlib.sha256(raw).hexdigest())
        if state == "accepted":
            self._write_head(sums, tensors)
        return self.get(id)

    def _changed(self, delta: Delta, sign: int) -> dict[str, np.ndarray]:
        """The sums with one delta more or less (copies)."""
        sums = {name: total.copy() for name, total in self._sum(self.ledger.accepted()).items()}
        self._add(sums, delta, sign)
        return sums

    def _allow(self, id: str, doing: str, *wanted: State) -> None:
        self.must_write()
        record = self.get(id)
        if record.state not in wanted:
            raise NimError(f"{id} cannot be {doing}", f"it is {record.state}",
                           f"only a record that is {' or '.join(wanted)} can", MEMORY)

    def approve(self, id: str, detail: str = "approved by the user") -> Record:
        """A waiting (or reverted) record enters the head."""
        self._allow(id, "approved", "pending", "reverted")
        sums = self._changed(self.delta(id), 1)
        self.ledger.append("accept", id=id, detail=detail)
        self._write_head(sums)
        return self.get(id)

    def reject(self, id: str, detail: str = "rejected by the user") -> Record:
        """A waiting record is refused for good."""
        self._allow(id, "rejected", "pending")
        self.ledger.append("reject", id=id, detail=detail)
        return self.get(id)

    def revert(self, id: str, detail: str = "reverted by the user") -> Record:
        """An accepted record leaves the weights, bit for bit as if it had never been, whatever came after it."""
        self._allow(id, "reverted", "accepted")
        sums = self._changed(self.delta(id), -1)
        self.ledger.append("revert", id=id, detail=detail)
        self._write_head(sums)
        return self.get(id)

    # -- checking --------------------------------------------------------------------------------------------------

    def verify(self) -> Verified:
        """Rebuilds the head from base and deltas, and compares: chain, checksums, hashes. NimError 7 only when the
        ledger itself cannot be read; everything else is listed."""
        problems: list[str] = []
        base = fingerprint(read_tensors(self._base_file))
        if base != self.base:
            problems.append(f"{self._base_file} is not the base this memory belongs to")
        ledger = Ledger(self.folder / "ledger.jsonl")
        sums: dict[str, np.ndarray] = {}
        states = ledger.states()
        for id, state in states.items():
            try:
                delta = self.delta(id)
                if state == "accepted":
                    self._add(sums, delta, 1)
            except (NimError, IndexError, KeyError, TypeError) as error:
                problems.append(error.message() if isinstance(error, NimError) else f"deltas/{id}.safetensors: {error}")
        weights = fingerprint(self._apply(sums))
        if ledger.weights_tip != START:
            try:
                head = fingerprint(read_tensors(self.head))
                if head != weights:
                    problems.append(f"{self.head} is not what base and ledger make: {head[:16]}, not {weights[:16]}")
                if self._head_about().get("position") != ledger.weights_tip:
                    problems.append(f"{self.head} is older than the ledger")
            except NimError as error:
                problems.append(error.message())
        accepted = sum(state == "accepted" for state in states.values())
        return Verified(len(states), accepted, weights, problems)


def _digest(sums: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(sums):
        digest.update(name.encode() + b"\0")
        digest.update(np.ascontiguousarray(sums[name]).data)
    return digest.hexdigest()
