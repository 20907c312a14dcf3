"""``diff ID``: what the model says without one memory and with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nimllm.alignment.memory import past
from nimllm.alignment.memory.answers import Voice, general_questions
from nimllm.alignment.memory.events import Record
from nimllm.alignment.memory.store import MemoryStore
from nimllm.llm.checkpoint import fingerprint


@dataclass
class Said:
    """One question under both weights. ``about``: "asked", "probe" (of the record; ``expected`` is its answer) or
    "general"."""

    about: str
    question: str
    expected: str = ""
    before: str = ""
    after: str = ""
    request: bool = False

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass
class Difference:
    """``when``: which weights were compared. Nats per token on a general text, nan without one."""

    record: Record
    when: str
    said: list[Said]
    loss_before: float
    loss_after: float
    weights_before: str
    weights_after: str

    @property
    def perplexity_ratio(self) -> float:
        return math.exp(self.loss_after - self.loss_before)

    def data(self) -> dict[str, Any]:
        ratio = self.perplexity_ratio
        return {"id": self.record.id, "state": self.record.state, "compared": self.when,
                "weights_before": self.weights_before, "weights_after": self.weights_after,
                "perplexity_ratio": None if math.isnan(ratio) else ratio,
                "said": [{**asdict(row), "changed": row.changed} for row in self.said]}


def weights_around(store: MemoryStore, record: Record) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], str]:
    """(weights without the record, with it, which those are). A sleep is compared with the memories it replaced."""
    if record.state == "consolidated":
        count = past.moment(store, record.id)
        return (past.tensors_at(store, count, record.id), past.tensors_at(store, count),
                f"the weights when {record.id} was made; {store.ledger.part_of(record.id)} holds it now")
    sign, states = -1 if record.state == "accepted" else 1, store.ledger.states()
    replaced = "consolidated" if record.state == "accepted" else "accepted"  # of a waiting sleep: what it would replace
    others = [store.delta(member) for member in store.ledger.members(record.id) if states[member] == replaced]
    other = store.apply(store.changed(store.delta(record.id), sign, [(delta, -sign) for delta in others]))
    if record.state == "accepted":
        return other, store.current(), "the weights in use, without it and with it"
    return store.current(), other, f"the weights in use, and with it ({record.state})"


def difference(store: MemoryStore, id: str, ask: Sequence[str] = (), requests: Sequence[str] = (),
               general: Sequence[str] | None = None) -> Difference:
    """Asks everything under both weights. ``general``: questions that no memory should change (default: seven).
    NimError 7: no such record, or its delta is gone or damaged."""
    record = store.get(id)
    before, after, when = weights_around(store, record)
    voice = Voice(store, before)
    said = [Said("asked", text) for text in ask] + [Said("asked", text, request=True) for text in requests]
    said += [Said("probe", probe.question, probe.expected, request=record.kind == "task") for probe in record.probes]
    said += [Said("general", text) for text in (general_questions() if general is None else general)]
    for row in said:
        row.before = voice.answer(row.question, row.request)
    loss_before = voice.general_loss()
    voice.put(after)
    for row in said:
        row.after = voice.answer(row.question, row.request)
    return Difference(record, when, said, loss_before, voice.general_loss(), fingerprint(before), fingerprint(after))
