"""``verify``: everything in a store against its checksums, and the head against what base and ledger make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nimllm.alignment.memory import archive, bases, past, sealed
from nimllm.alignment.memory.ledger import START, Ledger
from nimllm.alignment.memory.store import MemoryStore
from nimllm.errors import NimError
from nimllm.llm.checkpoint import fingerprint, read_header, read_tensors

CACHES = ("sums.safetensors", "curvature-base.safetensors", "curvature-memories.safetensors")


@dataclass(frozen=True)
class Verified:
    """What :func:`verify` found. ``problems`` empty: everything is as the ledger says."""

    records: int
    accepted: int
    weights: str
    problems: list[str] = field(default_factory=list)


def verify(store: MemoryStore, show: Callable[[int, int], None] | None = None) -> Verified:
    """Rebuilds the head from base and deltas, and compares: chain, checksums, hashes, headers. ``show``: (deltas read,
    deltas in all). NimError 7 only when the ledger itself cannot be read; everything else is listed."""
    problems = list(store.healed)
    base = fingerprint(read_tensors(store.run / "model.safetensors"))
    if base != store.base:
        problems.append(f"{store.run / 'model.safetensors'} is not the base this memory belongs to")
    ledger = Ledger(store.folder / "ledger.jsonl")
    ledger.events  # noqa: B018 - every record can be read
    if ledger.torn:
        problems.append(f"{ledger.path} ends in half a line; the next nimllm that writes cuts it off")
    problems += _packs(store)
    sums: dict[str, np.ndarray] = {}
    states = ledger.states()
    for number, (id, state) in enumerate(states.items()):
        if ledger.discarded(id):
            continue
        try:
            delta = store.delta(id)
            if state == "accepted":
                store.add(sums, delta, 1)
        except (NimError, IndexError, KeyError, TypeError) as error:
            problems.append(error.message() if isinstance(error, NimError) else f"deltas/{id}.safetensors: {error}")
        if show is not None:
            show(number + 1, len(states))
    weights = fingerprint(store.apply(sums))
    if ledger.weights_tip != START:
        problems += _head(store, ledger.weights_tip, weights)
    problems += [problem for name in CACHES if (problem := sealed.problem(store.folder / name))]
    kept = sealed.read(store.folder / CACHES[0])
    if kept is not None and not store.passed(kept[1].get("position", "")):
        problems.append(f"{store.folder / CACHES[0]} is of another ledger. It is a cache: delete it")
    problems += past.problems(store)
    if wrong := bases.problem(store.root):
        problems.append(wrong)
    accepted = sum(state == "accepted" for state in states.values())
    return Verified(len(states), accepted, weights, problems)


def _packs(store: MemoryStore) -> list[str]:
    return [f"{pack} is damaged: {why}" for pack in store.archive.packs() if (why := archive.pack_problem(pack))]


def _head(store: MemoryStore, position: str, weights: str) -> list[str]:
    """What is wrong with the head: its numbers, its header (every byte of it), or its age."""
    head = store.head
    try:
        found = read_tensors(head)
        entries, offset = read_header(head)
        about = store.head_about()
    except NimError as error:
        return [error.message()]
    if fingerprint(found) != weights:
        return [f"{head} is not what base and ledger make: {fingerprint(found)[:16]}, not {weights[:16]}"]
    if about.get("position") != position:
        return [f"{head} is older than the ledger"]
    at, right = 0, about == {"position": position, "base": store.base, "weights": weights}
    for name, entry in sorted(entries.items(), key=lambda pair: pair[1]["data_offsets"][0]):
        shape = store.base_tensors()[name].shape if name in store.base_tensors() else ()
        end = at + 4 * int(np.prod(shape, dtype=np.int64))
        right = right and entry == {"dtype": "F32", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    if not right or head.stat().st_size != offset + at:
        return [f"{head} is damaged: its header is not what was written. It is made again when it is deleted"]
    return []
