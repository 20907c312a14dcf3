"""The ledger: an append-only file of events, each chained to the one before by its hash, and the records in it.

One event is one line, so that a line that was half written when the power went is the only thing that can be torn, and
dropping it leaves exactly the state before. What is accepted, waiting or reverted is never stored: it follows from the
events. Opening checks every line's bytes and hash; records are made of them only when somebody asks for records.

    propose   a new record waits                     accept    it enters the weights (a new one at once)
    reject    a waiting record is refused            revert    an accepted one leaves the weights
    sleep     one record takes the place of others (its ``members``), which are then consolidated; reverting it brings
              them back, and until then none of them can be reverted alone
    discard   the delta of a rejected record is deleted, to save room
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm.errors import MEMORY, NimError
from nimllm.llm.checkpoint import sync_folder

if TYPE_CHECKING:  # imported where a record is made of a line: see events.py
    from nimllm.alignment.memory.events import Event, Kind, Record, State

START = "0" * 64  # what the first event is chained to
# (state before, event) -> state after; anything else is refused
MOVES: dict[tuple[State | None, str], State] = {
    (None, "propose"): "pending",
    (None, "accept"): "accepted",  # committed at once
    ("pending", "accept"): "accepted",
    ("pending", "reject"): "rejected",
    ("accepted", "revert"): "reverted",
    ("reverted", "accept"): "accepted",  # the undoing undone
    (None, "sleep"): "accepted",
    ("pending", "sleep"): "accepted",
    ("reverted", "sleep"): "accepted",
    ("rejected", "discard"): "rejected",
}
WEIGHTY = ("accept", "revert", "sleep")  # events that change the weights
ZEROS = bytes(4)  # a block that never reached the disk reads as zeros; JSON has none


def digest(body: Mapping[str, Any]) -> str:
    """sha256 over the canonical JSON of an event but its hash; it covers ``previous``, hence the chain. Of the fields
    as they stand in the line, so that a field which a later version adds changes no hash of an older line."""
    text = json.dumps({key: value for key, value in body.items() if key != "hash"}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _corrupt(path: Path, why: str) -> NimError:
    return NimError(f"the memory ledger {path} is damaged", why,
                    "restore the folder from a backup, or move it away to start with an empty memory", MEMORY)


@dataclass(frozen=True)
class Entry:
    """What the states follow from: one event without its record. ``creates``: a record stands in this line;
    ``members``: what that record takes the place of."""

    event: str
    id: str
    hash: str
    delta: str
    detail: str
    creates: bool
    members: tuple[str, ...]

    @staticmethod
    def of(body: Mapping[str, Any]) -> Entry:
        """ValueError, KeyError or TypeError when it is not the body of an event."""
        record = body["record"]
        entry = Entry(body["event"], body["id"], body["hash"], body["delta"], body["detail"], record is not None,
                      tuple(record.get("members", ())) if record is not None else ())
        texts = (entry.event, entry.id, entry.hash, entry.delta, entry.detail, *entry.members)
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a field is not a text")
        if entry.event != "base" and not re.fullmatch(r"m\d{4,12}", entry.id):  # it names a file
            raise ValueError(f"{entry.id[:40]!r} is not a record's name")
        return entry


class States:
    """Where a row of events leaves every record."""

    def __init__(self) -> None:
        self.of: dict[str, State] = {}  # in the order of creation
        self.members: dict[str, tuple[str, ...]] = {}
        self.discarded: set[str] = set()

    def copy(self) -> States:
        other = States()
        other.of, other.members, other.discarded = dict(self.of), dict(self.members), set(self.discarded)
        return other

    def move(self, entry: Entry) -> str:
        """Takes one event in; a sentence why it cannot follow, or ""."""
        id, before = entry.id, self.of.get(entry.id)
        members = entry.members if entry.creates else self.members.get(id, ())
        after = MOVES.get((before, entry.event))
        if after is None or (before is None) != entry.creates:
            return f"{entry.event} of {id or '?'} cannot follow"
        if (entry.event == "sleep") != bool(members) and entry.event in ("accept", "sleep"):
            return f"{entry.event} of {id} cannot be: it takes the place of {len(members)} others"
        if entry.event == "sleep":
            wrong = [member for member in members if self.of.get(member) != "accepted"]
            if wrong or len(set(members)) != len(members):
                return f"{id} takes the place of {', '.join(wrong) or 'one record twice'}"
        if entry.creates:
            self.members[id] = members
        if entry.event == "sleep":
            for member in members:
                self.of[member] = "consolidated"
        elif entry.event == "revert":
            for member in members:
                self.of[member] = "accepted"
        elif entry.event == "discard":
            self.discarded.add(id)
        self.of[id] = after
        return ""

    def accepted(self) -> list[str]:
        """Ids whose deltas make the head, oldest first."""
        return [id for id, state in self.of.items() if state == "accepted"]

    def alive(self) -> list[str]:
        """Ids of what is in the weights, by their own delta or by one that took their place; no sleeps."""
        return [id for id, state in self.of.items()
                if state in ("accepted", "consolidated") and not self.members.get(id)]


class Ledger:
    """The events of one base. ``path`` need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self.torn = 0  # bytes at the end that were dropped
        self._good = 0  # bytes of the file that hold whole events
        self._lines: list[bytes] = []
        self._events: list[Event] = []
        self._states = States()
        self.reload()

    def reload(self) -> None:
        """Reads the file. NimError 7: a line is damaged, or the chain is broken."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            raw = b""
        except OSError as error:
            raise NimError(f"cannot read the memory ledger {self.path}", error.strerror or str(error),
                           "make it readable", MEMORY) from None
        self.entries, self._lines, self._events, self._states, self._good = [], [], [], States(), 0
        *lines, rest = raw.split(b"\n")
        for number, line in enumerate(lines):
            try:
                self._take(line, number)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                if number == len(lines) - 1 and not rest and ZEROS in line:
                    break  # torn, too
                raise _corrupt(self.path, f"line {number + 1}: {str(error).splitlines()[0][:200] or 'unreadable'}"
                               ) from None
        if rest[:-1].endswith(b"}") and _whole(rest[:-1]):  # a torn line is a beginning, never a whole one and more
            raise _corrupt(self.path, f"line {len(self.entries) + 1} does not end as it was written")
        self.torn = len(raw) - self._good

    def _take(self, line: bytes, number: int) -> None:
        """One line of the file. ValueError and the like: not what was written."""
        body = json.loads(line)
        if json.dumps(body, ensure_ascii=False).encode() != line:  # 1e-05 and 1E-05 are the same value
            raise ValueError("it is not as it was written")
        if body["seq"] != number or body["previous"] != self.tip or body["hash"] != digest(body):
            raise ValueError("it is not the one that was written here")
        entry = Entry.of(body)
        if (entry.event == "base") != (number == 0):
            raise ValueError("the base is named first and once")
        if number and (why := self._states.move(entry)):
            raise ValueError(why)
        self.entries.append(entry)
        self._lines.append(line)
        self._good += len(line) + 1

    @property
    def events(self) -> list[Event]:
        """All of it, as records and checks. NimError 7: a newer nimllm wrote what this one does not know."""
        for number in range(len(self._events), len(self._lines)):
            self._events.append(self.event(number))
        return self._events

    def event(self, number: int) -> Event:
        """One line; see :attr:`events`."""
        from nimllm.alignment.memory.events import Event

        try:
            return Event.model_validate(json.loads(self._lines[number]))
        except ValueError as error:
            raise NimError(f"line {number + 1} of the memory ledger {self.path} cannot be read",
                           " ".join(str(error).split())[:200], "use the newer nimllm that wrote it", MEMORY) from None

    def base(self) -> tuple[str, dict[str, int]]:
        """(fingerprint of the base, exponent of two per tensor) of the first line. No record is made: a start that only
        counts need not wait for pydantic. NimError 7: it says neither."""
        body = json.loads(self._lines[0])
        base, grid = body.get("base"), body.get("grid")
        if not isinstance(base, str) or not isinstance(grid, dict) or not all(
                isinstance(exponent, int) for exponent in grid.values()):
            raise _corrupt(self.path, "line 1 names no base")
        return base, grid

    @property
    def tip(self) -> str:
        """Hash of the last event: names the ledger's position."""
        return self.entries[-1].hash if self.entries else START

    @property
    def weights_tip(self) -> str:
        """Hash of the last event that changed the weights: what the head must have been made for."""
        return next((entry.hash for entry in reversed(self.entries) if entry.event in WEIGHTY), START)

    def mend(self) -> None:
        """Cuts a torn end off the file. Call it with the lock held."""
        if self.torn:
            with open(self.path, "rb+") as file:
                file.truncate(self._good)
                os.fsync(file.fileno())
            self.torn = 0

    def append(self, kind: Kind, **fields: Any) -> Event:
        """Writes one event with these fields of an Event, and waits until it is on the disk. NimError 7 when it cannot
        be written (what was half written is cut off again), ValueError when it cannot follow."""
        from nimllm.alignment.memory.events import Event

        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        event = Event(seq=len(self.entries), event=kind, previous=self.tip, time=now, **fields)
        text = json.dumps(event.model_dump(mode="json"), ensure_ascii=False)
        body = json.loads(text.encode("utf-8", "replace"))  # half a surrogate pair is no text
        body["hash"] = digest(body)
        line = json.dumps(body, ensure_ascii=False).encode()
        entry, states = Entry.of(body), self._states.copy()
        if kind == "base" and self.entries:
            raise ValueError("a base is named first and once")
        if kind != "base" and (why := states.move(entry)):
            raise ValueError(why)
        try:
            self.mend()
            self._write(line + b"\n")
        except OSError as error:
            raise NimError(f"cannot write the memory ledger {self.path}", error.strerror or str(error),
                           "free some space or make the folder writable", MEMORY) from None
        self.entries.append(entry)
        self._lines.append(line)
        self._states = states
        self._good += len(line) + 1
        return self.event(len(self.entries) - 1)

    def _write(self, line: bytes) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(handle, view):]
            os.fsync(handle)
            if not self._good:
                sync_folder(self.path.parent)  # the file itself is new
        except OSError:
            os.ftruncate(handle, self._good)
            raise
        finally:
            os.close(handle)

    def states(self) -> dict[str, State]:
        """id -> where the events leave it, in the order of creation."""
        return dict(self._states.of)

    def states_at(self, count: int) -> States:
        """Where the first ``count`` events left everything."""
        states = States()
        for entry in self.entries[1:count]:
            states.move(entry)
        return states

    def records(self) -> list[Record]:
        """Every record with its present state, oldest first."""
        reasons = {entry.id: entry.detail for entry in self.entries}
        return [self._record(event, reasons[event.id]) for event in self.events if event.record is not None]

    def record(self, id: str) -> Record | None:
        """One of them; no other line is read."""
        for number, entry in enumerate(self.entries):
            if entry.id == id and entry.creates:
                return self._record(self.event(number), [other.detail for other in self.entries if other.id == id][-1])
        return None

    def _record(self, event: Event, reason: str) -> Record:
        state = self._states.of[event.id]
        assert event.record is not None
        return event.record.model_copy(update={
            "id": event.id, "state": state, "reason": reason or (event.record.reason if state == "pending" else "")})

    def accepted(self) -> list[str]:
        """Ids whose deltas make the head, oldest first."""
        return self._states.accepted()

    def alive(self) -> list[str]:
        """Ids of the memories in the weights, consolidated ones included, sleeps not."""
        return self._states.alive()

    def members(self, id: str) -> tuple[str, ...]:
        """What a record takes the place of; empty for an ordinary one."""
        return self._states.members.get(id, ())

    def part_of(self, id: str) -> str:
        """The record that has taken the place of a consolidated one; "" when none has."""
        return next((sleep for sleep, members in self._states.members.items()
                     if id in members and self._states.of[sleep] in ("accepted", "consolidated")
                     and self._states.of[id] == "consolidated"), "")

    def discarded(self, id: str) -> bool:
        """Its delta was deleted on purpose."""
        return id in self._states.discarded

    def delta(self, id: str) -> str:
        """sha256 of a record's delta file."""
        return next(entry.delta for entry in self.entries if entry.id == id and entry.creates)

    def entered(self, id: str) -> int | None:
        """How many events had been written when a record first was in the weights; None: it never was."""
        return next((number + 1 for number, entry in enumerate(self.entries)
                     if entry.id == id and entry.event in ("accept", "sleep")), None)


def _whole(line: bytes) -> bool:
    try:
        body = json.loads(line)
        return bool(body["hash"] == digest(body))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def next_id(ids: Iterable[str]) -> str:
    """``m0001``, ``m0002``, …"""
    return f"m{1 + max((int(id[1:]) for id in ids), default=0):04d}"


def tail(event: Event) -> dict[str, Any]:
    """An event without its record, for display."""
    return event.model_dump(mode="json", exclude={"record", "grid"})
