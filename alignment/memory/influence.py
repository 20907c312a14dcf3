"""``why PROMPT``: which memories an answer comes from.

The influence of a memory is the answer's log-likelihood with all memories minus that without this one, the others
staying. One forward pass per memory says it exactly; where there are hundreds, one backward pass estimates all of them
(log p falls by about gradient . delta when the delta is taken out) and the largest estimates are then measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from nimllm.alignment.memory.answers import Voice
from nimllm.alignment.memory.deltas import Delta
from nimllm.alignment.memory.store import MemoryStore
from nimllm.errors import UsageError

TOUCHES = 0.05  # nats of the whole answer: less is said to be nothing
REANSWERED = 3  # memories without which the answer is drawn anew


@dataclass
class Influence:
    """``effect``: nats that the memory adds to the answer's log-likelihood; ``exact`` False: estimated only;
    ``without``: what the model says without it ("" when it was not asked)."""

    id: str
    title: str
    effect: float
    exact: bool
    estimate: float
    without: str = ""
    members: list[str] = field(default_factory=list)


@dataclass
class Why:
    """``likelihood`` and ``base_likelihood``: log p of the answer with all memories, and with none."""

    prompt: str
    answer: str
    base_answer: str
    likelihood: float
    base_likelihood: float
    memories: int
    measured: int
    influences: list[Influence]

    @property
    def touching(self) -> list[Influence]:
        return [one for one in self.influences if one.exact and abs(one.effect) >= TOUCHES]

    def data(self) -> dict[str, Any]:
        return {**asdict(self), "touching": [one.id for one in self.touching]}


@contextmanager
def _without(voice: Voice, sums: Mapping[str, np.ndarray], delta: Delta) -> Iterator[None]:
    """The very weights that taking the memory out would leave."""
    parameters = dict(voice.model.named_parameters())
    base, grid, kept = voice.store.base_tensors(), voice.store.grid, []
    for name, (index, value) in delta.items():
        flat = parameters[name].data.view(-1)
        where = torch.from_numpy(index.astype(np.int64))
        total = sums[name][index] - value.astype(np.int32)
        plain = base[name].reshape(-1)[index]
        moved = (plain.astype(np.float64) + np.ldexp(total.astype(np.float64), grid[name])).astype(np.float32)
        kept.append((flat, where, flat[where].clone()))
        flat[where] = torch.from_numpy(np.where(total == 0, plain, moved))
    try:
        yield
    finally:
        for flat, where, old in kept:
            flat[where] = old


def _estimates(voice: Voice, prompt: list[int], answer: list[int], names: list[str], ids: list[str]
               ) -> dict[str, float]:
    """id -> gradient of log p . delta, from one backward pass; the deltas are read one after the other."""
    parameters = dict(voice.model.named_parameters())
    for name in names:
        parameters[name].requires_grad_(True)
    try:
        slopes = torch.autograd.grad(voice.log_likelihood(prompt, answer), [parameters[name] for name in names],
                                     allow_unused=True)
    finally:
        for name in names:
            parameters[name].requires_grad_(False)
    gradients = {name: slope.reshape(-1).numpy() for name, slope in zip(names, slopes, strict=True)
                 if slope is not None}
    grid, found = voice.store.grid, {}
    for id in ids:
        found[id] = sum(float(np.ldexp(value.astype(np.float64), grid[name]) @ gradients[name][index])
                        for name, (index, value) in voice.store.delta(id).items() if name in gradients)
    return found


@torch.no_grad()
def _exact(voice: Voice, sums: Mapping[str, np.ndarray], prompt: list[int], answer: list[int], delta: Delta) -> float:
    with _without(voice, sums, delta):
        return float(voice.log_likelihood(prompt, answer))


def why(store: MemoryStore, text: str, request: bool = False, answer: str | None = None, exact: int = 24) -> Why:
    """The memories behind an answer (default: the one the model gives), the strongest first. ``exact``: how many are
    taken out one by one. UsageError: the text does not fit, or ``answer`` is empty."""
    if exact < 1:
        raise UsageError("--exact must be at least 1")
    if answer is not None and not answer.strip():
        raise UsageError("--answer must say something")
    ids = store.ledger.accepted()
    voice = Voice(store, store.base_tensors())
    prompt = voice.prompt(text, request)
    base_answer = voice.answer(text, request)
    sums = store.sums_of(ids)
    voice.put(store.current())
    said = voice.ids_of(answer) if answer is not None else voice.writes(text, request)
    with torch.no_grad():
        likelihood = float(voice.log_likelihood(prompt, said))
    estimates = _estimates(voice, prompt, said, sorted(sums), ids) if sums else dict.fromkeys(ids, 0.0)
    order = sorted(ids, key=lambda id: -abs(estimates[id]))
    found = []
    for place, id in enumerate(order):
        measured = place < exact
        effect = likelihood - _exact(voice, sums, prompt, said, store.delta(id)) if measured else estimates[id]
        found.append(Influence(id, store.get(id).title, effect, measured, estimates[id],
                               members=list(store.ledger.members(id))))
    found.sort(key=lambda one: (not one.exact, -abs(one.effect)))
    for one in found[:REANSWERED]:
        if one.exact and abs(one.effect) >= TOUCHES and answer is None:
            with _without(voice, sums, store.delta(one.id)):
                one.without = voice.answer(text, request)
    voice.put(store.base_tensors())
    with torch.no_grad():
        base_likelihood = float(voice.log_likelihood(prompt, said))
    return Why(text, voice.text(said), base_answer, likelihood, base_likelihood, len(ids), min(exact, len(ids)), found)
