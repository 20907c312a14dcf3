"""What the ledger's lines hold: events, and the records, probes and checks in them.

In a module of its own because building pydantic's models takes 0.07 s, which a session without memories need not wait
for: the ledger imports this when there is a line to read or to write.
"""

from __future__ import annotations

import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from nimllm.alignment.memory.ledger import START

Kind = Literal["base", "propose", "accept", "reject", "revert", "sleep", "discard"]
# consolidated: in the weights by the delta of a later record that took its place; skipped: never in the ledger
State = Literal["accepted", "pending", "rejected", "reverted", "consolidated", "skipped"]


class Probe(BaseModel):
    """A question with a known answer, and what the model said to it before and after."""

    model_config = ConfigDict(extra="forbid")

    question: str
    expected: str
    before: str = ""
    after: str = ""
    right_before: bool = False
    right_after: bool = False


class Check(BaseModel):
    """One verdict of the gate."""

    model_config = ConfigDict(extra="forbid")

    name: str
    passed: bool
    detail: str = ""


class Form(BaseModel):
    """One text the update trained on: a question and its answer, or a whole episode (``question`` empty). Kind "task":
    a request to the agent and the command that was taught for it. ``opens``: the answer up to its value."""

    model_config = ConfigDict(extra="forbid")

    question: str
    answer: str
    kind: Literal["chat", "task"] = "chat"
    opens: str = ""


class Record(BaseModel):
    """One memory: what it came from, what it changed and the evidence. Losses in nats per token; ``bytes`` of the delta
    file; ``weights_*``: fingerprints of the weights without and with it when it was made."""

    model_config = ConfigDict(extra="forbid")

    id: str = ""
    time: str = Field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    kind: Literal["task", "chat", "book", "convention", "sleep"] = "chat"
    title: str = ""
    episode: str = ""
    method: str = "kewc"
    state: State = "pending"
    reason: str = ""  # why it waits, or who rejected or reverted it
    facts: list[tuple[str, str, str]] = Field(default_factory=list)  # subject, relation, value
    forms: list[Form] = Field(default_factory=list)
    loss_before: float = 0.0
    loss_after: float = 0.0
    steps: int = 0
    entries: int = 0
    bytes: int = 0
    norm: float = 0.0  # L2 norm of the delta by that of the tensors it touches
    perplexity_ratio: float = 1.0
    probes: list[Probe] = Field(default_factory=list)
    checks: list[Check] = Field(default_factory=list)
    seconds: float = 0.0
    weights_before: str = ""
    weights_after: str = ""
    members: list[str] = Field(default_factory=list)  # of a sleep: the records whose place it takes

    @property
    def alive(self) -> bool:
        """What it taught is in the weights: by its own delta, or by a later one that took its place."""
        return self.state in ("accepted", "consolidated")

    @property
    def probes_before(self) -> str:
        """``0/4``: probes answered rightly before the update."""
        return f"{sum(probe.right_before for probe in self.probes)}/{len(self.probes)}"

    @property
    def probes_after(self) -> str:
        return f"{sum(probe.right_after for probe in self.probes)}/{len(self.probes)}"


class Event(BaseModel):
    """One line of the ledger. ``record`` comes with the event that creates it, ``delta`` is sha256 of its file;
    ``hash``: :func:`ledger.digest` of the line's other fields."""

    model_config = ConfigDict(extra="forbid")

    seq: int
    event: Kind
    id: str = ""
    time: str = ""
    record: Record | None = None
    delta: str = ""
    detail: str = ""
    base: str = ""
    grid: dict[str, int] | None = None  # tensor -> exponent of two, with the base event
    previous: str = START
    hash: str = ""
