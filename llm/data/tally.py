"""What a reading left out: counted by reason, with the first places, so that nothing disappears silently."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nimllm.errors import NimError

PLACES = 5  # places that are remembered for each reason


@dataclass
class Reason:
    """One reason. ``bad``: something is wrong with the data; otherwise it was left out because it was asked for."""

    bad: bool
    count: int = 0
    first: list[str] = field(default_factory=list)
    error: NimError | None = None  # of the first place


class Tally:
    """``strict``: the first bad row is an error (NimError naming its place) instead of a count."""

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self.reasons: dict[str, Reason] = {}
        self.files = 0  # files inside folders that were passed over
        self.notes: list[str] = []  # what a user may not expect, at most PLACES

    def bad(self, reason: str, error: NimError, place: str = "") -> None:
        """Counts a flaw of the data; raises ``error`` when strict. ``place``: file and line (default: the error's)."""
        entry = self._count(reason, place or error.what, True, 1)
        entry.error = entry.error or error
        if self.strict:
            raise error

    def left(self, reason: str, place: str = "", count: int = 1) -> None:
        """Counts what was passed over on purpose."""
        self._count(reason, place, False, count)

    def file(self, reason: str, place: str) -> None:
        """Counts a file inside a folder that holds no text."""
        self.files += 1
        self.left(reason, place)

    def note(self, text: str) -> None:
        """Remembers a remark for the report."""
        if len(self.notes) < PLACES and text not in self.notes:
            self.notes.append(text)

    def _count(self, reason: str, place: str, bad: bool, count: int) -> Reason:
        entry = self.reasons.setdefault(reason, Reason(bad))
        entry.count += count
        if place and len(entry.first) < PLACES:
            entry.first.append(place)
        return entry

    def total(self, bad: bool | None = None) -> int:
        """How many were left out; with ``bad`` only those (not) counted as flaws."""
        return sum(entry.count for entry in self.reasons.values() if bad is None or entry.bad == bad)

    def counts(self) -> dict[str, int]:
        """reason -> count."""
        return {reason: entry.count for reason, entry in self.reasons.items()}

    def describe(self) -> dict[str, dict[str, Any]]:
        """For JSON: {reason: {count, bad, first}}."""
        return {reason: {"count": entry.count, "bad": entry.bad, "first": entry.first}
                for reason, entry in sorted(self.reasons.items())}

    def since(self, before: dict[str, int]) -> str:
        """What was added after :meth:`counts` gave ``before``, as a phrase: "2 binary, 1 empty"."""
        added = ((entry.count - before.get(reason, 0), reason) for reason, entry in sorted(self.reasons.items()))
        return ", ".join(f"{count} {reason}" for count, reason in added if count)
