"""One episode into the weights: a sparse, curvature-weighted write, measured, then committed or put into the inbox.

kewc     FFN-down only; gradient times (C + damping)^-1 (``curvature.py``), the top 1 % of the model's entries by that
         magnitude are the mask, fixed for the episode; steps until every wording is answered, at most 15.
topk     the same without curvature, over all matrices: the mask is the top 1 % by gradient magnitude.
literal  the first idea this project started from, kept as a baseline: one step on the told text, top 1 % by magnitude,
         then every weight that any memory has moved is pulled back to the base by 2 %.

A step's length needs no learning rate: the direction D is scaled so that the loss L would fall by the fraction ``step``
of itself if it were linear (length = step * L / <G, D>, Polyak's rule for a known minimum of 0).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory import lessons as lessons_of
from nimllm.alignment.memory.curvature import Curvature, down_name, mean_loss, padded, to_array
from nimllm.alignment.memory.gate import (
    Batch,
    Evidence,
    judge,
    opening_weights,
    per_lesson,
    say,
    spoken,
    token_losses,
    verdicts,
)
from nimllm.alignment.memory.ledger import Form, Probe, Record
from nimllm.alignment.memory.lessons import Lesson, Lessons, seed_of
from nimllm.alignment.memory.store import Delta, MemoryStore, quantise
from nimllm.errors import MEMORY, NimError
from nimllm.llm.model import GPT
from nimllm.llm.tokenizer import Tokenizer

Method = Literal["kewc", "topk", "literal"]
Mode = Literal["auto", "review", "off"]
PULL = 0.02  # of the literal method


@dataclass(frozen=True)
class Settings:
    """``budget``: share of the model's entries that one episode may change. Losses in nats per learnt token."""

    budget: float = 0.01
    step: float = 0.5
    max_steps: int = 15
    enough: float = 0.15
    replay: int = 4  # old memories trained beside the new one
    old_probes: int = 20
    perplexity_limit: float = 1.02
    opening: float = 4.0  # weight of an answer's first id in the loss
    loose: int = 1  # lessons beside the new ones that may be wrong when it is enough
    share: float = 0.05
    damping: float = 0.02
    openings: float = 1.0


class Session:
    """The model in memory with one store's weights, ready for updates one after the other."""

    def __init__(self, store: MemoryStore, settings: Settings | None = None) -> None:
        self.store, self.settings = store, settings or Settings()
        self.tokenizer = Tokenizer.load(store.run)
        self.model = GPT(store.config).load_numpy(store.current()).eval()
        self.parameters = dict(self.model.named_parameters())
        self.curvature = Curvature(store, self.tokenizer, self.settings.share, self.settings.damping,
                                   self.settings.openings)
        self.curvature.prepare()
        self._general: tuple[str, float] = ("", 0.0)  # weights' hash, nats per token of the fixed text

    # -- small things ----------------------------------------------------------------------------------------------

    def put(self, tensors: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
        """Other weights into the model."""
        with torch.no_grad():
            for name in names:
                self.parameters[name].copy_(torch.from_numpy(np.ascontiguousarray(tensors[name])))

    def general_loss(self) -> float:
        return mean_loss(self.model, self.curvature.judged, self.tokenizer.pad)

    def protect(self) -> None:
        """Memories accepted since the curvature was saved enter it."""
        missing = [record for record in self.store.records()
                   if record.state == "accepted" and record.id not in self.curvature.ids]
        for record in missing:
            known = [lessons_of.question_lesson(self.tokenizer, form.question, form.answer)
                     for form in record.forms if form.question]
            self._protect(record.id, known)
        if missing:
            self.curvature.save()

    def _protect(self, id: str, known: Sequence[Lesson]) -> None:
        self.curvature.add(self.model, id, [list(lesson.ids) for lesson in known],
                           [list(lesson.learn) for lesson in known])

    # -- the write -------------------------------------------------------------------------------------------------

    def names(self, method: Method) -> list[str]:
        """The tensors a method may change."""
        if method == "kewc":
            return [down_name(layer) for layer in range(self.store.config.n_layers)]
        return [name for name, parameter in self.parameters.items() if parameter.dim() == 2]

    def _directions(self, names: Sequence[str], method: Method) -> dict[str, Tensor]:
        gradients = {name: self.parameters[name].grad for name in names}
        if method != "kewc":
            return {name: gradient.clone() for name, gradient in gradients.items() if gradient is not None}
        inverse = self.curvature.inverse()
        return {name: gradient @ inverse[layer] for layer, (name, gradient) in enumerate(gradients.items())
                if gradient is not None}

    def _mask(self, directions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The top ``budget`` of the model's entries by magnitude."""
        everything = torch.cat([direction.abs().flatten() for direction in directions.values()])
        count = min(everything.numel(), max(1, round(self.settings.budget * self.store.config.parameters())))
        bar = everything.kthvalue(everything.numel() - count + 1).values
        return {name: direction.abs() >= bar for name, direction in directions.items()}

    def write(self, work: Sequence[Lesson], new: int, method: Method) -> tuple[dict[str, np.ndarray], int]:
        """Changes the model so that the lessons are answered: (change per tensor, steps taken). The first ``new``
        lessons decide when it is enough."""
        names = self.names(method)
        before = {name: self.parameters[name].detach().clone() for name in names}
        batch = Batch.of(work, self.tokenizer.pad)
        for parameter in self.parameters.values():
            parameter.requires_grad_(False)
        for name in names:
            self.parameters[name].requires_grad_(True)
        weights_m = opening_weights(batch, self.settings.opening)
        mask: dict[str, Tensor] | None = None
        steps = 0
        limit = 1 if method == "literal" else self.settings.max_steps
        while steps < limit:
            nats_m, hit_m = token_losses(self.model, batch)
            each_b = per_lesson(nats_m, batch)
            right_b = per_lesson(hit_m.float(), batch) == 1
            settled = right_b[:new].all() and int((~right_b[new:]).sum()) <= self.settings.loose
            if steps and bool(settled) and each_b[:new].max().item() < self.settings.enough:
                break
            loss = (per_lesson(nats_m * weights_m, batch) / per_lesson(weights_m, batch)).mean()
            self.model.zero_grad(set_to_none=True)
            loss.backward()
            with torch.no_grad():
                directions = self._directions(names, method)
                if mask is None:
                    mask = self._mask(directions)
                slope = 0.0
                for name, direction in directions.items():
                    direction.mul_(mask[name])
                    slope += float((direction * self.parameters[name].grad).sum())
                if not slope > 0 or not math.isfinite(slope):
                    break
                length = self.settings.step * loss.item() / slope
                for name, direction in directions.items():
                    self.parameters[name].sub_(direction, alpha=length)
            steps += 1
        self.model.zero_grad(set_to_none=True)
        for parameter in self.parameters.values():
            parameter.requires_grad_(False)
        change = {name: to_array(self.parameters[name]) - to_array(before[name]) for name in names}
        if method == "literal":
            self._pull(change)
        return change, steps

    def _pull(self, change: dict[str, np.ndarray]) -> None:
        """The literal method's anchor: what earlier memories moved goes back by 2 % towards the base."""
        base, current = self.store.base_tensors(), self.store.current()
        for name in change:
            change[name] = change[name] - PULL * (current[name] - base[name])

    # -- one episode -----------------------------------------------------------------------------------------------

    def learn(self, episode: Episode, method: Method = "kewc", mode: Mode = "auto") -> Record:
        """The whole way of one episode; the record as it stands in the ledger, or one with the state "skipped"."""
        start = time.monotonic()
        store, settings, tokenizer = self.store, self.settings, self.tokenizer
        blank = Record(kind=episode.kind, title=episode.title(), episode=episode.id, method=method, state="skipped")
        if mode == "off":
            return blank.model_copy(update={"reason": "the memory is off"})
        plan = lessons_of.lessons(episode, tokenizer, store.config.context)
        if not plan.new:
            why = "nothing in it was verified" if episode.kind == "task" else "nothing was told that can be asked for"
            return blank.model_copy(update={"reason": why})
        self.protect()
        rng = Random(seed_of(episode.id))
        context = store.config.context
        old = lessons_of.old_lessons(store.records(), tokenizer, context, rng, settings.old_probes, plan.facts)
        replayed = old[: settings.replay] if method != "literal" else []
        controls, controls_before = self._settled(plan.controls)
        openings = self._opened(plan.openings)
        judged = [*plan.new, *plan.probes, *old]
        losses, right = judge(self.model, judged, tokenizer.pad)
        cut, end = len(plan.new), len(plan.new) + len(plan.probes)
        old_before, loss_before = right[end:], sum(losses[:cut]) / cut
        said_before = self._say(plan)
        general_before = self._general[1] if self._general[0] == store.hash() else self.general_loss()
        beside = [] if method == "literal" else [*controls, *plan.contrast, *replayed, *openings]
        change, steps = self.write([*plan.new, *beside], cut, method)

        names = self.names(method)
        scale, tried = 1.0, 0
        while True:
            delta = quantise({name: scale * values for name, values in change.items()}, store.grid)
            self.put(store.with_delta(delta), names)
            losses, right_after = judge(self.model, judged, tokenizer.pad)
            general_after = self.general_loss()
            ratio = math.exp(general_after - general_before)
            changed = [spoken(tokenizer, say(self.model, tokenizer, lesson.prompt)) for lesson, kept in
                       zip(controls, judge(self.model, controls, tokenizer.pad)[1], strict=True) if not kept]
            checks = verdicts(Evidence(
                told=right_after[:cut], probes=right_after[cut:end], old_before=old_before,
                old_after=right_after[end:], controls=[text for text in changed if text not in controls_before],
                values=[fact.value for fact in plan.facts], perplexity_ratio=ratio, norm=self._norm(delta),
                loss_before=loss_before, loss_after=sum(losses[:cut]) / cut, is_task=episode.kind == "task",
            ), settings.perplexity_limit)
            failed = [check for check in checks if not check.passed]
            harmful = [check for check in failed if check.name not in ("answered", "learnt")]
            if tried or not harmful:
                break
            scale, tried = 0.5, 1
        said_after = self._say(plan)
        probes = [
            Probe(question=lesson.question or episode.title(), expected=lesson.answer, before=said_before[index],
                  after=said_after[index], right_before=right[cut + index], right_after=right_after[cut + index])
            for index, lesson in enumerate(plan.probes)
        ]
        state, reason = self._decide(episode, mode, [check.name + ": " + check.detail for check in failed])
        record = blank.model_copy(update={
            "facts": [(fact.subject, fact.relation, fact.value) for fact in plan.facts],
            "forms": [Form(question=lesson.question, answer=lesson.answer) for lesson in plan.new],
            "loss_before": loss_before, "loss_after": sum(losses[:cut]) / cut, "steps": steps,
            "norm": self._norm(delta), "perplexity_ratio": ratio, "probes": probes, "checks": checks, "reason": reason,
            "seconds": round(time.monotonic() - start, 3),
        })
        record = store.commit(record, delta, state)
        if record.state == "accepted":
            self._general = (record.weights_after, general_after)
            self._protect(record.id, plan.new)
            self.curvature.save()
        else:
            self.put(store.current(), names)
        return record

    def _settled(self, controls: Sequence[Lesson]) -> tuple[list[Lesson], list[str]]:
        """Questions whose answers must not change, with the model's own present answers as what to keep."""
        found, texts = [], []
        for lesson in controls:
            answer = say(self.model, self.tokenizer, lesson.ids[: lesson.learn.index(True)])
            asked = lesson.ids[: lesson.learn.index(True)]
            if answer and len(asked) + len(answer) <= self.store.config.context:
                found.append(Lesson((*asked, *answer), (False,) * len(asked) + (True,) * len(answer), lesson.question,
                                    spoken(self.tokenizer, answer)))
                texts.append(found[-1].answer)
        return found, texts

    @torch.no_grad()
    def _opened(self, prompts: Sequence[Sequence[int]]) -> list[Lesson]:
        """Prompts with the id that the model would begin its answer with now."""
        out = []
        for start in range(0, len(prompts), 32):
            rows = prompts[start : start + 32]
            ids_bt, real_bt = padded(rows, self.tokenizer.pad)
            last_bd = self.model.hidden(ids_bt)[torch.arange(len(rows)), real_bt.sum(1) - 1]
            for row, choice in zip(rows, (last_bd @ self.model.head.T).argmax(1).tolist(), strict=True):
                out.append(Lesson((*row, choice), (False,) * len(row) + (True,), "", ""))
        return out

    def _say(self, plan: Lessons) -> list[str]:
        """What the model answers to the first probe of each of three facts; "" for the others (they are judged, not
        spoken: a decoded answer costs 30 passes)."""
        out = [""] * len(plan.probes)
        for index in range(0, min(len(out), 3 * lessons_of.PROBES), lessons_of.PROBES):
            lesson = plan.probes[index]
            limit = 40 if lesson.question else 60
            out[index] = spoken(self.tokenizer, say(self.model, self.tokenizer, lesson.prompt, limit)).strip()
        return out

    def _norm(self, delta: Delta) -> float:
        """L2 norm of the delta by that of the tensors it touches."""
        grid, base = self.store.grid, self.store.base_tensors()
        moved = sum(float(np.square(np.ldexp(value.astype(np.float64), grid[name])).sum())
                    for name, (_, value) in delta.items())
        whole = sum(float(np.square(base[name], dtype=np.float64).sum()) for name in delta)
        return math.sqrt(moved / whole) if whole else 0.0

    @staticmethod
    def _decide(episode: Episode, mode: Mode, failed: Sequence[str]) -> tuple[str, str]:
        """(state, why it waits)."""
        if failed:
            return "pending", "the gate: " + "; ".join(failed)
        if mode == "review":
            return "pending", "every memory waits for your approval (--memory review)"
        if episode.kind == "task" and not episode.verified():
            return "pending", "nobody verified the outcome"
        return "accepted", ""


def learn(episode: Episode, store: MemoryStore, method: Method = "kewc", mode: Mode = "auto", budget: float = 0.01,
          settings: Settings | None = None) -> Record:
    """One episode into the store's weights.

    Returns its record: accepted, pending (the reason says why it waits), or skipped when there was nothing to learn.
    NimError 7: the store cannot be written, or the method or mode is unknown.
    """
    if method not in ("kewc", "topk", "literal") or mode not in ("auto", "review", "off"):
        raise NimError(f"no memory method {method!r} with mode {mode!r}", "",
                       "methods: kewc, topk, literal; modes: auto, review, off", MEMORY)
    store.must_write()
    return Session(store, settings or Settings(budget=budget)).learn(episode, method, mode)
