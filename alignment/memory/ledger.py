"""The ledger: an append-only file of events, each chained to the one before by its hash, and the records in it.

One event is one line, so that a line that was half written when the power went is the only thing that can be torn, and
dropping it leaves exactly the state before. What is accepted, waiting or reverted is never stored: it follows from the
events.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm.errors import MEMORY, NimError

if TYPE_CHECKING:  # imported where a line is read or written: see events.py
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
}


def _corrupt(path: Path, why: str) -> NimError:
    return NimError(f"the memory ledger {path} is damaged", why,
                    "restore the folder from a backup, or move it away to start with an empty memory", MEMORY)


class Ledger:
    """The events of one base. ``path`` need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        self.torn = 0  # bytes at the end that were dropped
        self._good = 0  # bytes of the file that hold whole events
        self.reload()

    def reload(self) -> None:
        """Reads the file. NimError 7: an event in the middle is damaged, or the chain is broken."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            raw = b""
        except OSError as error:
            raise NimError(f"cannot read the memory ledger {self.path}", error.strerror or str(error),
                           "make it readable", MEMORY) from None
        self.events, self._good = [], 0
        lines = raw.split(b"\n")
        if len(lines) > 1:
            from nimllm.alignment.memory.events import Event
        for number, line in enumerate(lines):
            last = number >= len(lines) - 2  # the last line with a newline, or the rest after the last newline
            if number == len(lines) - 1:
                break  # nothing, or a line without its newline: torn
            try:
                event = Event.model_validate(json.loads(line))
            except ValueError as error:
                if last and number == len(lines) - 2 and not lines[-1]:
                    break  # a block that never reached the disk reads as zeros: torn, too
                raise _corrupt(self.path, f"line {number + 1}: {str(error).splitlines()[0]}") from None
            self._chain(event, number)
            self.events.append(event)
            self._good += len(line) + 1
        self.torn = len(raw) - self._good
        self.states()  # refuses an order of events that cannot be

    def _chain(self, event: Event, number: int) -> None:
        if event.seq != number or event.previous != self.tip or event.hash != event.digest():
            raise _corrupt(self.path, f"line {number + 1} is not the one that was written after line {number}")

    @property
    def tip(self) -> str:
        """Hash of the last event: names the ledger's position."""
        return self.events[-1].hash if self.events else START

    @property
    def weights_tip(self) -> str:
        """Hash of the last event that changed the weights: what the head must have been made for."""
        return next((event.hash for event in reversed(self.events) if event.event in ("accept", "revert")), START)

    def mend(self) -> None:
        """Cuts a torn end off the file. Call it with the lock held."""
        if self.torn:
            with open(self.path, "rb+") as file:
                file.truncate(self._good)
                os.fsync(file.fileno())
            self.torn = 0

    def append(self, kind: Kind, **fields: Any) -> Event:
        """Writes one event with these fields of an Event, and waits until it is on the disk. NimError 7 when it cannot
        be written; what was half written is cut off again."""
        from nimllm.alignment.memory.events import Event

        self.mend()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        event = Event(seq=len(self.events), event=kind, previous=self.tip, time=now, **fields).sealed()
        self._move(self.states(), event)
        line = json.dumps(event.model_dump(mode="json"), ensure_ascii=False).encode() + b"\n"
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                view = memoryview(line)
                while view:
                    view = view[os.write(handle, view):]
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, self._good)
                raise
            finally:
                os.close(handle)
        except OSError as error:
            raise NimError(f"cannot write the memory ledger {self.path}", error.strerror or str(error),
                           "free some space or make the folder writable", MEMORY) from None
        self.events.append(event)
        self._good += len(line)
        return event

    def _move(self, states: dict[str, State], event: Event) -> None:
        if event.event == "base":
            if event.seq:
                raise _corrupt(self.path, f"line {event.seq + 1} names a base again")
            return
        after = MOVES.get((states.get(event.id), event.event))
        if after is None or (event.id not in states) != (event.record is not None):
            raise _corrupt(self.path, f"line {event.seq + 1}: {event.event} of {event.id or '?'} cannot follow")
        states[event.id] = after

    def states(self) -> dict[str, State]:
        """id -> where the events leave it, in the order of creation."""
        states: dict[str, State] = {}
        for event in self.events:
            self._move(states, event)
        return states

    def records(self) -> list[Record]:
        """Every record with its present state, oldest first."""
        states, reasons = self.states(), {event.id: event.detail for event in self.events}
        return [
            event.record.model_copy(update={
                "id": event.id, "state": states[event.id],
                "reason": reasons[event.id] or (event.record.reason if states[event.id] == "pending" else ""),
            })
            for event in self.events if event.record is not None
        ]

    def accepted(self) -> list[str]:
        """Ids whose deltas make the head, oldest first."""
        return [id for id, state in self.states().items() if state == "accepted"]

    def delta(self, id: str) -> str:
        """sha256 of a record's delta file."""
        return next(event.delta for event in self.events if event.id == id and event.record is not None)


def next_id(ids: Iterable[str]) -> str:
    """``m0001``, ``m0002``, …"""
    return f"m{1 + max((int(id[1:]) for id in ids), default=0):04d}"


def tail(event: Event) -> dict[str, Any]:
    """An event without its record, for display."""
    return event.model_dump(mode="json", exclude={"record", "grid"})
