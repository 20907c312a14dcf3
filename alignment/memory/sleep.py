"""Sleep: all memories learnt once more, together, and written as one change that takes the place of theirs.

A stream writes every fact once, into whatever room the earlier ones left, and never looks back; what fades is not
written again. Revisiting all facts in turns ("breadth-first", LocFT-BF, arXiv 2509.22072) is what single updates cannot
do. So: start from the weights as they are, go through the forms of every living memory in mini-batches, step along the
gradient times (C + damping)^-1 of general text alone (what the memories need stands in the loss), pull a little to the
base after every step, keep the best epoch, and accept it only when no fewer facts are held and general text does not
suffer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from nimllm.alignment.memory import facts
from nimllm.alignment.memory import lessons as lessons_of
from nimllm.alignment.memory.curvature import down_name, mean_loss, to_array
from nimllm.alignment.memory.deltas import Delta, quantise
from nimllm.alignment.memory.events import Check, Record
from nimllm.alignment.memory.gate import judge
from nimllm.alignment.memory.lessons import Lesson
from nimllm.alignment.memory.packed import Packed
from nimllm.alignment.memory.update import Session, decided

AUDITED = 400  # facts that are asked for before and after


@dataclass(frozen=True)
class Night:
    """``batch``: facts of a step, one of their forms each; ``beside``: other subjects' decisions that must stay, per
    step; ``step``: share of the loss that a step would take if it were linear; ``decay``: pull to the base per step;
    ``perplexity_limit``: after / before."""

    epochs: int = 4
    batch: int = 32
    beside: int = 16
    step: float = 0.25
    decay: float = 0.0005
    perplexity_limit: float = 1.001


@dataclass(frozen=True)
class Progress:
    """After ``epoch`` of ``epochs``: ``held`` of ``asked`` facts, ``general`` nats per token of the fixed text."""

    epoch: int
    epochs: int
    held: int
    asked: int
    general: float


def sleep(session: Session, night: Night | None = None, show: Callable[[Progress], None] = lambda progress: None
          ) -> Record | None:
    """Consolidates the session's store; its record, or None when there are fewer than two memories with facts.

    ``show`` may raise KeyboardInterrupt: until the last moment nothing is written. NimError 7: the store is read-only.
    """
    store, night, started = session.store, night or Night(), time.monotonic()
    store.must_write()
    members, taught = _living(session)
    if len(taught) < 2:
        return None
    session.protect()
    names = [down_name(layer) for layer in session.layers]
    audited = [Random(len(forms)).choice(forms) for forms in taught[-AUDITED:]]
    general = mean_loss(session.model, session.curvature.judged, session.tokenizer.pad)
    _, right = judge(session.model, audited)
    first = Progress(0, night.epochs, sum(right), len(right), general)
    show(first)
    weights, best = _night(session, night, names, taught, audited, first, show)
    current = store.current()
    session.put(current, names)
    without = store.without(members)
    delta = quantise({name: weights[name] - without[name] for name in names}, store.grid)
    for name in store.base_tensors():  # what members changed elsewhere (another method's) stays as it is
        if name not in names and not np.array_equal(current[name], without[name]):
            delta.update(quantise({name: current[name] - without[name]}, store.grid))
    return _judged(session, night, members, delta, audited, first, best, time.monotonic() - started)


def _living(session: Session) -> tuple[list[str], list[list[Lesson]]]:
    """(accepted records that a sleep can take the place of, the forms of every fact in the weights, oldest first; of a
    fact that was told again only the newest)."""
    store, context = session.store, session.store.config.context
    records = {record.id: record for record in store.records()}
    newest: dict[tuple[str, ...], list[Lesson]] = {}
    members = []
    for id, record in records.items():
        if record.state == "accepted" and (record.members or _single(record)):
            members.append(id)
        if record.state not in lessons_of.IN_THE_WEIGHTS or not record.facts or record.members:
            continue
        for subject, relation, value in record.facts:
            answer = facts.reply(facts.Fact(subject, relation, value))
            forms = [lessons_of.question_lesson(session.tokenizer, form.question, form.answer, opens=form.opens)
                     for form in record.forms if form.question and form.answer == answer]
            forms = [lesson for lesson in forms if len(lesson.ids) <= context]
            newest.pop((subject, relation), None)
            if forms:
                newest[subject, relation] = forms
    return members, list(newest.values())


def _night(session: Session, night: Night, names: Sequence[str], taught: Sequence[list[Lesson]],
           audited: Sequence[Lesson], first: Progress, show: Callable[[Progress], None]
           ) -> tuple[dict[str, np.ndarray], Progress]:
    """The best weights of all epochs, and what was measured with them. The model is left with the last ones."""
    model, parameters, rng = session.model, session.parameters, Random(len(taught))
    base = session.store.base_tensors()
    anchor = {name: torch.from_numpy(np.ascontiguousarray(base[name])) for name in names}
    inverses = dict(zip(names, session.curvature.plain_inverse(session.layers), strict=True))
    lowest = min(session.layers)
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in names)

    def kept() -> dict[str, np.ndarray]:
        return {name: to_array(parameters[name]).copy() for name in names}

    weights, best = kept(), first
    try:
        for epoch in range(1, night.epochs + 1):
            order = rng.sample(range(len(taught)), len(taught))
            for at in range(0, len(order), night.batch):
                work = [rng.choice(taught[number]) for number in order[at : at + night.batch]]
                others = [facts.invent(rng) for _ in range(night.beside)]
                prompts = [lessons_of.decision(session.tokenizer, facts.ask(rng, other), other) for other in others]
                work += decided(model, [row for row in prompts if len(row) < model.config.context],
                                session.tokenizer.pad)
                _step(session, Packed.of(work), names, inverses, anchor, lowest, night)
            _, right = judge(model, audited)
            now = Progress(epoch, night.epochs, sum(right), len(right),
                           mean_loss(model, session.curvature.judged, session.tokenizer.pad))
            show(now)
            if (now.held, -now.general) > (best.held, -best.general):
                weights, best = kept(), now
    finally:
        model.zero_grad(set_to_none=True)
        for parameter in parameters.values():
            parameter.requires_grad_(False)
        session.put(session.store.current(), names)
    return weights, best


def _step(session: Session, packed: Packed, names: Sequence[str], inverses: dict[str, Tensor],
          anchor: dict[str, Tensor], lowest: int, night: Night) -> None:
    """One step along the preconditioned gradient, scaled by Polyak's rule, and a little towards the base."""
    session.model.zero_grad(set_to_none=True)
    with torch.no_grad():
        below = packed.lower(session.model, lowest)
    nats_m, _ = packed.nats(session.model, below, lowest)
    loss = packed.mean(nats_m, torch.where(packed.pivot_m, session.settings.pivot, 1.0)).mean()
    loss.backward()
    with torch.no_grad():
        directions = {name: session.gradient(name) @ inverses[name] for name in names}
        slope = sum(float((directions[name] * session.gradient(name)).sum()) for name in names)
        if not slope > 0 or not math.isfinite(slope):
            return
        length = night.step * loss.item() / slope
        for name in names:
            parameter = session.parameters[name]
            parameter.sub_(directions[name], alpha=length)
            parameter.lerp_(anchor[name], night.decay)


def _judged(session: Session, night: Night, members: Sequence[str], delta: Delta, audited: Sequence[Lesson],
            first: Progress, best: Progress, seconds: float) -> Record:
    """The quantised change measured and written: accepted when it is no loss, else it waits in the inbox."""
    store = session.store
    names = list(delta)
    session.put(store.exchanged(members, delta), names)
    _, right = judge(session.model, audited)
    general = mean_loss(session.model, session.curvature.judged, session.tokenizer.pad)
    ratio = math.exp(general - first.general)
    checks = [
        Check(name="facts held", passed=sum(right) >= first.held,
              detail=f"{first.held} of {first.asked} before, {sum(right)} after"),
        Check(name="perplexity", passed=ratio <= night.perplexity_limit,
              detail=f"x{ratio:.4f} on a fixed text, at most x{night.perplexity_limit}"),
    ]
    failed = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
    record = Record(kind="sleep", title=f"{len(members)} memories learnt together", method="kewc", steps=best.epoch,
                    perplexity_ratio=ratio, norm=session.norm(delta), checks=checks, seconds=round(seconds, 3),
                    reason="the gate: " + "; ".join(failed) if failed else "")
    record = store.swap(members, record, delta, "pending" if failed else "accepted")
    if failed:
        session.put(store.current(), names)
    return record


def due(session: Session, every: int) -> bool:
    """Whether ``every`` memories or more that a sleep can take the place of have been accepted since the last one."""
    return sum(record.state == "accepted" and _single(record) for record in session.store.records()) >= every


def _single(record: Record) -> bool:
    return record.kind == "chat" and bool(record.facts) and not record.members
