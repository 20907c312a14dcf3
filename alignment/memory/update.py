"""One episode into the weights: a sparse, curvature-weighted write, measured, then committed or put into the inbox.

kewc     FFN-down of the middle layers only; gradient times (C + damping)^-1 (``curvature.py``), the top entries by that
         magnitude are the mask, fixed for the episode; steps until every wording is answered, at most 15.
topk     the same without curvature, over all matrices: the mask is the top entries by gradient magnitude.
literal  the first idea this project started from, kept as a baseline: one step on the told text, the top entries by
         magnitude, then every weight that any memory has moved is pulled back to the base by 2 %.

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
from nimllm.alignment.memory import facts, withholding
from nimllm.alignment.memory import lessons as lessons_of
from nimllm.alignment.memory.curvature import Curvature, down_name, mean_loss, to_array
from nimllm.alignment.memory.desirability import Push
from nimllm.alignment.memory.events import Check, Form, Probe, Record
from nimllm.alignment.memory.gate import (
    NORM_LIMIT,
    PERPLEXITY_LIMIT,
    Evidence,
    judge,
    say,
    spoken,
    verdicts,
)
from nimllm.alignment.memory.lessons import Lesson, Lessons, seed_of
from nimllm.alignment.memory.options import BUDGET
from nimllm.alignment.memory.packed import Packed
from nimllm.alignment.memory.store import Delta, MemoryStore, quantise
from nimllm.errors import MEMORY, NimError
from nimllm.llm.model import GPT
from nimllm.llm.tokenizer import Tokenizer

Method = Literal["kewc", "topk", "literal"]
Mode = Literal["auto", "review", "off"]
PULL = 0.02  # of the literal method
SAVED_EVERY = 4  # memories
CONTROL_TOKENS = 24  # of an unrelated answer that are kept


@dataclass(frozen=True)
class Settings:
    """``budget``: share of the model's entries that one episode may change. Losses in nats per learnt token."""

    budget: float = BUDGET
    step: float = 0.5
    max_steps: int = 15
    enough: float = 0.15
    replay: int = 4  # old memories trained beside the new one
    old_probes: int = 12
    perplexity_limit: float = PERPLEXITY_LIMIT
    norm_limit: float = NORM_LIMIT
    controls: int = 4  # unrelated questions whose answers must stay
    decisions: int = 12  # more of them, of whose answers only the id is kept where the value would begin
    loose: int = 1  # lessons beside the new ones that may be wrong when it is enough
    coarse: int = 6  # bits of a change's grid that kewc does not keep: a delta takes 9 bits an entry instead of 14
    pivot: float = 2.0  # weight in the loss of the id where an answer is decided
    layers: tuple[int, ...] = ()  # whose down projections change; none: see :func:`middle`
    share: float = 0.1  # these three: see Curvature
    damping: float = 0.02
    asked: float = 1.0


@dataclass(frozen=True)
class Measured:
    """The model before or after an update. ``changed``: answers of the controls that are no longer what they were."""

    loss: float  # of the new lessons, nats per learnt token
    told: list[bool]
    probes: list[bool]
    old: list[bool]
    changed: list[str]
    general: float  # nats per token of the fixed text
    said: list[str]
    undesirable: list[float]  # losses of what was turned down


def answered(model: GPT, tokenizer: Tokenizer, controls: Sequence[Lesson]) -> list[Lesson]:
    """Questions whose answers must stay, with the model's present answers as what to keep. A control's own answer is a
    guess: where it is right, which one pass over all of them tells, nothing need be decoded."""
    guessed = [lesson for lesson in controls if lesson.answer]
    right = dict(zip(map(id, guessed), judge(model, guessed)[1], strict=True)) if guessed else {}
    found = []
    for lesson in controls:
        if right.get(id(lesson)):
            found.append(lesson)
            continue
        asked = lesson.prompt
        answer = say(model, tokenizer, asked, CONTROL_TOKENS)
        if answer and len(asked) + len(answer) <= model.config.context:
            found.append(Lesson((*asked, *answer), (False,) * len(asked) + (True,) * len(answer), lesson.question,
                                spoken(tokenizer, answer)))
    return found


@torch.no_grad()
def decided(model: GPT, prompts: Sequence[Sequence[int]], pad: int) -> list[Lesson]:
    """Prompts with the id that the model would go on with now."""
    out: list[Lesson] = []
    for packed in Packed.several([Lesson((*row, pad), (False,) * len(row) + (True,), "", "") for row in prompts]):
        for choice in packed.choices(model).tolist():
            row = prompts[len(out)]
            out.append(Lesson((*row, choice), (False,) * len(row) + (True,), "", ""))
    return out


def middle(layers: int) -> tuple[int, ...]:
    """The layers where a write reaches furthest: by there a subject has been read, and an answer not been chosen (of 6
    layers the three of 2 to 4: see RUNS.md). All of a model with fewer than four."""
    return tuple(range(layers)) if layers < 4 else tuple(range(layers // 3, layers - 1))


class Session:
    """The model in memory with one store's weights, ready for updates one after the other."""

    def __init__(self, store: MemoryStore, settings: Settings | None = None) -> None:
        self.store, self.settings = store, settings or Settings()
        self.tokenizer = Tokenizer.load(store.run)
        self.model = GPT(store.config).load_numpy(store.current()).eval()
        self.parameters = dict(self.model.named_parameters())
        self.curvature = Curvature(store, self.tokenizer, self.settings.share, self.settings.damping,
                                   self.settings.asked)
        self.curvature.prepare()

    # -- small things ----------------------------------------------------------------------------------------------

    def put(self, tensors: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
        """Other weights into the model."""
        with torch.no_grad():
            for name in names:
                self.parameters[name].copy_(torch.from_numpy(np.ascontiguousarray(tensors[name])))

    def general_loss(self) -> float:
        return mean_loss(self.model, self.curvature.judged, self.tokenizer.pad)

    def protect(self) -> None:
        """Memories accepted since the curvature was saved enter it: the few of a session that was killed on the weights
        that they were written into, so that what comes after has the bits it would have had."""
        missing = [record for record in self.store.records()
                   if record.state == "accepted" and record.id not in self.curvature.ids]
        few, names = len(missing) < SAVED_EVERY, list(self.parameters)
        for number, record in enumerate(missing, 1):
            if few:
                self.put(self.store.without([later.id for later in missing[number:]]), names)
            known = [lessons_of.form_lesson(self.tokenizer, form) for form in record.forms if form.question]
            self._protect(record.id, known)
        if missing:
            self.curvature.save()

    def _protect(self, id: str, known: Sequence[Lesson]) -> None:
        self.curvature.add(self.model, id, [list(lesson.ids) for lesson in known],
                           [list(lesson.learn) for lesson in known])

    # -- the write -------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[int, ...]:
        """Whose down projections a memory changes."""
        return self.settings.layers or middle(self.store.config.n_layers)

    def names(self, method: Method) -> list[str]:
        """The tensors a method may change."""
        if method == "kewc":
            return [down_name(layer) for layer in self.layers]
        return [name for name, parameter in self.parameters.items() if parameter.dim() == 2]

    def _directions(self, names: Sequence[str], method: Method) -> dict[str, Tensor]:
        if method != "kewc":
            return {name: self.gradient(name).clone() for name in names}
        inverses = self.curvature.inverse(self.layers)
        return {name: self.gradient(name) @ inverse for name, inverse in zip(names, inverses, strict=True)}

    def gradient(self, name: str) -> Tensor:
        """Of the last backward pass; zeros where the loss does not depend on the tensor."""
        gradient = self.parameters[name].grad
        return torch.zeros_like(self.parameters[name]) if gradient is None else gradient

    def _mask(self, directions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The top ``budget`` of the model's entries by magnitude."""
        everything = torch.cat([direction.abs().flatten() for direction in directions.values()])
        count = min(everything.numel(), max(1, round(self.settings.budget * self.store.config.parameters())))
        bar = everything.kthvalue(everything.numel() - count + 1).values
        return {name: direction.abs() >= bar for name, direction in directions.items()}

    def write(self, work: Sequence[Lesson], new: int, method: Method, step: float, undesirable: Sequence[Lesson] = (),
              idle: bool = False) -> tuple[dict[str, np.ndarray], int]:
        """Changes the model so that the lessons are answered: (change per tensor, steps taken). The first ``new``
        lessons decide when it is enough, and the ``undesirable`` ones, which are pushed away within a margin.
        ``idle``: no step where it is enough from the start."""
        names = self.names(method)
        before = {name: self.parameters[name].detach().clone() for name in names}
        packed = Packed.of(work) if work else None
        push = Push(self.model, undesirable) if undesirable else None
        first = min(self.layers) if method == "kewc" else 0
        for parameter in self.parameters.values():
            parameter.requires_grad_(False)
        for name in names:
            self.parameters[name].requires_grad_(True)
        below = packed.lower(self.model, first) if packed is not None and method == "kewc" else None
        mask: dict[str, Tensor] | None = None
        steps = 0
        limit = 1 if method == "literal" else self.settings.max_steps
        while steps < limit:
            self.model.zero_grad(set_to_none=True)
            loss, settled = 0.0, True
            if packed is not None:
                nats_m, hit_m = packed.nats(self.model, below, first)
                loss = self._backward(packed, nats_m)
                settled = self._settled(packed, nats_m.detach(), hit_m, new)
            pushed = push.backward(self.model) if push else 0.0
            loss += pushed
            if (steps or idle) and settled and not pushed:
                break
            with torch.no_grad():
                directions = self._directions(names, method)
                if mask is None:
                    mask = self._mask(directions)
                slope = 0.0
                for name, direction in directions.items():
                    direction.mul_(mask[name])
                    slope += float((direction * self.gradient(name)).sum())
                if not slope > 0 or not math.isfinite(slope):
                    break
                length = step * loss / slope
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

    def _backward(self, packed: Packed, nats_m: Tensor) -> float:
        """Gradients of the mean loss of all lessons; that loss."""
        weights_m = torch.where(packed.pivot_m, self.settings.pivot, 1.0)
        loss = packed.mean(nats_m, weights_m).mean()
        loss.backward()
        return loss.item()

    def _settled(self, packed: Packed, nats_m: Tensor, hit_m: Tensor, new: int) -> bool:
        """It is enough: every new lesson would be written word for word at a loss below the bar, and of the others no
        more than ``loose`` are wrong."""
        right = packed.mean(hit_m.float()) == 1
        learnt = right[:new] & (packed.mean(nats_m)[:new] < self.settings.enough)
        return bool(learnt.all()) and int((~right[new:]).sum()) <= self.settings.loose

    def _pull(self, change: dict[str, np.ndarray]) -> None:
        """The literal method's anchor: what earlier memories moved goes back by 2 % towards the base."""
        base, current = self.store.base_tensors(), self.store.current()
        for name in change:
            change[name] = change[name] - PULL * (current[name] - base[name])

    # -- one episode -----------------------------------------------------------------------------------------------

    def learn(self, episode: Episode, method: Method = "kewc", mode: Mode = "auto") -> Record:
        """The whole way of one episode; the record as it stands in the ledger, or one with the state "skipped"."""
        start = time.monotonic()
        settings, context = self.settings, self.store.config.context
        told, episode = episode, withholding.redacted(episode)
        blank = Record(kind=episode.kind, title=episode.title(), episode=episode.id, method=method, state="skipped")
        if mode == "off":
            return blank.model_copy(update={"reason": "the memory is off"})
        known = {(fact[0], fact[1]) for record in self.store.records()
                 if record.state in lessons_of.IN_THE_WEIGHTS for fact in record.facts}
        plan = lessons_of.lessons(episode, self.tokenizer, context, settings.controls, settings.decisions, known)
        if not plan.new and not plan.undesirable:
            why = plan.withheld or (withholding.sentence(["what it names as one"]) if episode is not told else
                                    "nothing in it was verified" if episode.kind == "task" else
                                    "nothing was told that can be asked for")
            return blank.model_copy(update={"reason": why})
        self.protect()
        old = lessons_of.old_lessons(self.store.records(), self.tokenizer, context, Random(seed_of(episode.id)),
                                     settings.old_probes, plan.facts)
        plan.controls = answered(self.model, self.tokenizer, plan.controls)
        before = self._measure(plan, old, self.store.hash())
        beside = [*plan.controls, *plan.contrast, *old[: settings.replay],
                  *decided(self.model, plan.decisions, self.tokenizer.pad)]
        work = plan.new if method == "literal" else [*plan.new, *beside]
        names = self.names(method)
        for step in (settings.step, settings.step / 2):
            # a fact that another memory holds must be held by this one, too; a task that goes well changes nothing
            idle = not plan.facts and method != "literal"
            change, steps = self.write(work, len(plan.new), method, step, plan.undesirable, idle)
            delta = quantise(change, self.store.grid, settings.coarse if method == "kewc" else 0)
            self.put(self.store.with_delta(delta), names)
            after = self._measure(plan, old)
            checks = self._judge(plan, before, after, delta, not plan.facts)
            failed = [check for check in checks if not check.passed]
            if method == "literal" or all(check.name in ("answered", "learnt", "turned down") for check in failed):
                break  # nothing was harmed: a shorter step would not do better
            if step == settings.step:
                self.put(self.store.current(), names)
        probes = [
            Probe(question=lesson.question or episode.title(), expected=lesson.answer, before=before.said[index],
                  after=after.said[index], right_before=before.probes[index], right_after=after.probes[index])
            for index, lesson in enumerate(plan.probes)
        ]
        state, reason = self._decide(episode, mode, [f"{check.name}: {check.detail}" for check in failed])
        record = blank.model_copy(update={
            "facts": [(fact.subject, fact.relation, fact.value) for fact in plan.facts],
            "forms": [Form(question=lesson.question, answer=lesson.answer, kind=lesson.kind, opens=self._opens(lesson))
                      for lesson in plan.new],
            "loss_before": before.loss, "loss_after": after.loss, "steps": steps, "norm": self.norm(delta),
            "perplexity_ratio": math.exp(after.general - before.general), "probes": probes, "checks": checks,
            "reason": ". ".join(part for part in (reason, plan.withheld) if part),
            "seconds": round(time.monotonic() - start, 3),
        })
        record = self.store.commit(record, delta, state)
        if record.state == "accepted":
            self._protect(record.id, plan.new)
            self.curvature.general = (record.weights_after, after.general)
            self.curvature.save(SAVED_EVERY)
        else:
            self.put(self.store.current(), names)
        return record

    def _measure(self, plan: Lessons, old: Sequence[Lesson], weights: str = "") -> Measured:
        """Everything the gate compares, on the weights as they are (``weights``: their fingerprint, if known)."""
        spoken_of = range(0, min(len(plan.probes), 3 * lessons_of.PROBES), lessons_of.PROBES)
        guesses = {at: self._unknown(plan.probes[at]) for at in spoken_of if plan.probes[at].pivot}
        judged = [*plan.new, *plan.probes, *old, *plan.controls, *plan.undesirable, *guesses.values()]
        losses, right = judge(self.model, judged)
        parts, at = [], 0
        for part in (plan.new, plan.probes, old, plan.controls, plan.undesirable, guesses):
            parts.append(right[at : at + len(part)])
            at += len(part)
        changed = [spoken(self.tokenizer, say(self.model, self.tokenizer, lesson.prompt, CONTROL_TOKENS))
                   for lesson, kept in zip(plan.controls, parts[3], strict=True) if not kept]
        known, general = self.curvature.general
        if not weights or weights != known:
            general = self.general_loss()
        unknown = {at: guess for (at, guess), so in zip(guesses.items(), parts[5], strict=True) if so}
        said = [""] * len(plan.probes)  # of the others, only whether it is right
        for at in spoken_of:
            lesson = plan.probes[at] if parts[1][at] else unknown.get(at)
            said[at] = lesson.answer if lesson is not None else self._say(plan.probes[at])
        new, turned_down = losses[: len(plan.new)], losses[len(judged) - len(guesses) - len(plan.undesirable) :]
        return Measured(sum(new) / max(1, len(new)), parts[0], parts[1], parts[2], changed, general, said,
                        turned_down[: len(plan.undesirable)])

    def _judge(self, plan: Lessons, before: Measured, after: Measured, delta: Delta, is_task: bool) -> list[Check]:
        return verdicts(Evidence(
            told=after.told, probes=after.probes, old_before=before.old, old_after=after.old, controls=after.changed,
            values=[fact.value for fact in plan.facts], perplexity_ratio=math.exp(after.general - before.general),
            norm=self.norm(delta), loss_before=before.loss, loss_after=after.loss, is_task=is_task,
            undesirable=list(zip(before.undesirable, after.undesirable, strict=True)),
        ), self.settings.perplexity_limit, self.settings.norm_limit)

    def _opens(self, lesson: Lesson) -> str:
        """The answer up to its value."""
        return self.tokenizer.decode(lesson.ids[len(lesson.prompt) : lesson.pivot]) if lesson.pivot else ""

    def _unknown(self, probe: Lesson) -> Lesson:
        """What a probe is answered with while nothing is known: most often so before the update."""
        return lessons_of.question_lesson(self.tokenizer, probe.question, self._opens(probe) + facts.UNKNOWN)

    def _say(self, probe: Lesson) -> str:
        """What the model answers, decoded id by id: a pass for each."""
        limit = 40 if probe.question else 60
        return spoken(self.tokenizer, say(self.model, self.tokenizer, probe.prompt, limit)).strip()

    def norm(self, delta: Delta) -> float:
        """L2 norm of the delta by that of the tensors it touches."""
        grid, base = self.store.grid, self.store.base_tensors()
        moved = sum(float(np.square(np.ldexp(value.astype(np.float64), grid[name])).sum())
                    for name, (_, value) in delta.items())
        whole = sum(float(np.square(base[name], dtype=np.float64).sum()) for name in delta)
        return math.sqrt(moved / whole) if whole else 0.0

    @staticmethod
    def _decide(episode: Episode, mode: Mode, failed: Sequence[str]) -> tuple[str, str]:
        """(state, why it waits)."""
        why = ["every memory waits for your approval (--memory review)"] if mode == "review" else []
        if episode.kind == "task" and not episode.vouched():
            why.append("nobody verified the outcome")
        if failed:
            why.append("the gate: " + "; ".join(failed))
        return ("pending", ". ".join(why)) if why else ("accepted", "")


def learn(episode: Episode, store: MemoryStore, method: Method = "kewc", mode: Mode = "auto", budget: float = BUDGET,
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
