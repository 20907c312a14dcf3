"""Whole texts into the weights, book after book: the update of an episode on chunks of running text.

A chunk is a few contexts. Its gradient is weighted by the inverse covariance (``curvature.py``) and thinned out to the
top entries, some short steps are taken, and what general text and older memories lose by it is measured before it
stays; a chunk that costs too much is tried with shorter steps and then left out. One record per chunk, or per book.
When a book is done its own keys enter the covariance, so that the next one writes where this one does not read. They
are in the cache of the covariance only: the ledger does not hold the text.

What is done is in the ledger and in a working file: a study that was stopped goes on with the chunk it was at.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from nimllm.alignment.memory import lessons as lessons_of
from nimllm.alignment.memory.books import Book, bits_per_byte, row_bytes, spread
from nimllm.alignment.memory.curvature import batches, down_name, mean_loss, padded, to_array
from nimllm.alignment.memory.events import Check, Record
from nimllm.alignment.memory.gate import FORGOTTEN_LIMIT, NORM_LIMIT, PERPLEXITY_LIMIT, judge
from nimllm.alignment.memory.lessons import Lesson
from nimllm.alignment.memory.sparse import polyak_step, top_mask
from nimllm.alignment.memory.state import Arrays, State
from nimllm.alignment.memory.store import Delta, MemoryStore, quantise
from nimllm.alignment.memory.update import Session
from nimllm.llm.batches import IGNORE
from nimllm.llm.model import GPT

HALVINGS = 2  # shorter steps that are tried before a chunk is left out
PROTECTED_ROWS = 32  # of a book, whose keys enter the covariance
OLD_PROBES = 20
FIRST_SHARE = 0.25  # of a book's budget that its first chunk may use


@dataclass(frozen=True)
class StudySettings:
    """``rows``: contexts per chunk; ``step``: share of the loss that a step would take off were it linear; ``budget``:
    share of the model's entries one record may change; ``perplexity``: ratio that general text may rise by in one book;
    ``plain_lr``: of the fine-tuning beside it."""

    rows: int = 8
    steps: int = 2
    step: float = 0.05
    budget: float = 0.01
    delta: Literal["chunk", "book"] = "chunk"
    perplexity: float = PERPLEXITY_LIMIT
    plain_lr: float = 1e-4


@dataclass(frozen=True)
class StudyProgress:
    """After a chunk. Bits per byte of the chunk; ``ratio``: perplexity of general text by that before the book;
    ``kept``: it passed the gate; ``eta``: seconds to the end of this book, by ``way``."""

    way: Literal["memory", "plain"]
    book: str
    chunk: int
    chunks: int
    before: float
    after: float
    ratio: float
    kept: bool
    eta: float


Show = Callable[[StudyProgress], None]
Stop = Callable[[], bool]


class Stopped(Exception):
    """Somebody asked to stop; all that was read is kept."""


def gradient_of(model: GPT, rows: Sequence[Sequence[int]], pad: int) -> float:
    """Adds the gradient of the mean loss per predicted id; that loss in nats."""
    tokens = sum(len(row) - 1 for row in rows)
    total = 0.0
    for group in batches(rows):
        ids_bt, real_bt = padded(group, pad)
        targets_bt = torch.where(real_bt, ids_bt, IGNORE)[:, 1:].contiguous()
        share = int((targets_bt != IGNORE).sum()) / tokens
        loss = model(ids_bt[:, :-1], targets_bt) * share
        loss.backward()
        total += loss.item()
    return total


def chunks_of(book: Book, rows: int) -> list[list[list[int]]]:
    return [book.rows[at : at + rows] for at in range(0, len(book.rows), rows)]


class Study:
    """Some books into one store's weights. ``general``: rows of a text of the user's that is measured, too; ``again``:
    a finished study of the same books with the same settings does not count."""

    def __init__(self, store: MemoryStore, books: Sequence[Book], settings: StudySettings,
                 general: Sequence[list[int]] = (), again: bool = False) -> None:
        self.store, self.books, self.settings, self.general = store, list(books), settings, list(general)
        self.session = Session(store)
        self.session.protect()
        self.model, self.tokenizer = self.session.model, self.session.tokenizer
        self.names = [down_name(layer) for layer in range(store.config.n_layers)]
        identity = {"version": 2, "base": store.base, "books": [book.sha256 for book in self.books],
                    "settings": asdict(settings)}
        key = hashlib.sha256(repr(sorted(identity.items())).encode()).hexdigest()[:16]
        self.state = State(store.folder / "study" / key, identity, "nimllm memory study --again begins anew")
        found = self.state.read("progress")
        if found is not None and ((again and self._finished(found[1])) or not self._whole(found[1])):
            found = None
        self.fresh = found is None
        self.partial: Arrays = found[0] if found else {}  # the tensors as half a book left them, to the bit
        # measured: at the start, and after each book; left_out, next: of the book at hand
        self.about: dict[str, Any] = found[1] if found else {
            "id": f"{key}-{store.hash()[:8]}-{len(store.records())}", "measured": [], "left_out": [], "next": 0,
            "lost": {}}

    def _finished(self, about: Mapping[str, Any]) -> bool:
        return len(about["measured"]) == len(self.books) + 1

    def _whole(self, about: Mapping[str, Any]) -> bool:
        """Nothing of it was reverted since."""
        states = {record.state for record in self.store.records() if record.episode.startswith(about["id"] + "/")}
        return not states & {"reverted", "rejected"}

    # -- the whole ---------------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        return self._finished(self.about)

    def save(self) -> None:
        self.state.write("progress", self.partial, self.about)

    def run(self, show: Show, stop: Stop, beside: Callable[[int, Book], Mapping[str, Any]] | None = None) -> None:
        """Reads what has not been read. ``beside``: does the same another way, book by book (-1: before the first), and
        says what it measured. Stopped: after a whole chunk."""
        if not self.about["measured"]:
            self._measured(beside(-1, self.books[0]) if beside else None)
        while not self.finished:
            index = len(self.about["measured"]) - 1
            self.read(index, show, stop)
            self._measured(beside(index, self.books[index]) if beside else None)

    def _measured(self, other: Mapping[str, Any] | None) -> None:
        found = measure(self.model, self)
        self.about["measured"].append(found | ({"plain": dict(other)} if other is not None else {}))
        self.about["next"], self.about["left_out"] = 0, []
        self.save()

    def records(self, index: int) -> list[Record]:
        """Of one book."""
        return [record for record in self.store.records() if record.episode.startswith(f"{self.about['id']}/{index}/")]

    # -- one book ----------------------------------------------------------------------------------------------------

    def read(self, index: int, show: Show, stop: Stop) -> None:
        """One book, from the chunk it was left at."""
        book, settings = self.books[index], self.settings
        chunks = chunks_of(book, settings.rows)
        whole = settings.delta == "book"
        done = {record.episode for record in self.records(index)}
        if not (whole and done):
            self._start_book(index)
            mask = self._book_mask(book) if whole else None
            if self.partial:
                self.session.put(self.partial, self.names)
            began, read = time.monotonic(), 0
            for number in range(self.about["next"], len(chunks)):
                episode = f"{self.about['id']}/{index}/{number}"
                if whole or episode not in done:
                    if stop():
                        raise Stopped(f"{number} of {len(chunks)} chunks of {book.name} are read")
                    start = time.monotonic()
                    attempt = self._attempt(chunks[number], (number + 1) / len(chunks), mask)
                    if attempt.delta is not None and not whole:
                        title = f"{book.name} {number + 1}/{len(chunks)}"
                        self._commit(title, episode, attempt, attempt.delta, time.monotonic() - start)
                    if not attempt.kept:
                        self.about["left_out"].append(number)
                    read += 1
                    per_byte = sum(len(row) - 1 for row in chunks[number]) / math.log(2) / max(
                        1, row_bytes(self.tokenizer, chunks[number]))
                    show(StudyProgress("memory", book.name, number + 1, len(chunks), attempt.before * per_byte,
                                       attempt.after * per_byte, attempt.ratio, attempt.kept,
                                       (time.monotonic() - began) / read * (len(chunks) - number - 1)))
                self.about["next"] = number + 1
                if whole:
                    self.partial = {name: to_array(self.session.parameters[name]).copy() for name in self.names}
                self.save()
            if whole:
                self._commit_book(index, book)
        self.about["lost"][str(index)] = list(self.about["left_out"])
        self._protect(index, book)

    def _start_book(self, index: int) -> None:
        """What the gate compares with: general text and old memories before this book, measured once."""
        kept = self.about.get("book")
        if kept is None or kept["index"] != index:
            old = lessons_of.old_lessons(self.store.records(), self.tokenizer, self.store.config.context,
                                         Random(lessons_of.seed_of(f"{self.about['id']}/{index}")), OLD_PROBES)
            _, right = judge(self.model, old) if old else ([], [])
            known = [[list(lesson.ids), list(lesson.learn)] for lesson, answered in zip(old, right, strict=True)
                     if answered]
            self.about["book"] = {"index": index, "general": self.session.general_loss(), "known": known,
                                  "began": time.time()}
            self.save()
        self.known = [Lesson(tuple(ids), tuple(learn), "", "") for ids, learn in self.about["book"]["known"]]

    def _book_mask(self, book: Book) -> dict[str, Tensor]:
        """One mask for a whole book, from rows of all of it, on the weights before it."""
        self._ask_gradients()
        gradient_of(self.model, spread(book.rows, max(16, self.settings.rows)), self.tokenizer.pad)
        return self._mask(self._directions())

    # -- one chunk ---------------------------------------------------------------------------------------------------

    def _ask_gradients(self) -> None:
        self.model.zero_grad(set_to_none=True)
        for name, parameter in self.session.parameters.items():
            parameter.requires_grad_(name in self.names)

    def _directions(self) -> dict[str, Tensor]:
        out = {}
        for name, inverse in zip(self.names, self.session.curvature.inverse(), strict=True):
            gradient = self.session.parameters[name].grad
            assert gradient is not None
            out[name] = gradient @ inverse
        return out

    def _mask(self, directions: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return top_mask({name: direction.abs() for name, direction in directions.items()},
                        round(self.settings.budget * self.store.config.parameters()))

    def _descend(self, rows: Sequence[Sequence[int]], share: float, mask: Mapping[str, Tensor] | None
                 ) -> tuple[float, int]:
        """A few steps: (loss before, nats per id; steps taken)."""
        before, steps = math.nan, 0
        for number in range(self.settings.steps):
            self._ask_gradients()
            loss = gradient_of(self.model, rows, self.tokenizer.pad)
            before = loss if number == 0 else before
            directions = self._directions()
            mask = mask or self._mask(directions)
            for name, direction in directions.items():
                direction.mul_(mask[name])
            if not polyak_step(self.session.parameters, directions, loss, share):
                break
            steps += 1
        self.model.zero_grad(set_to_none=True)
        for name in self.names:
            self.session.parameters[name].requires_grad_(False)
        return before, steps

    def _attempt(self, rows: Sequence[Sequence[int]], share_read: float, mask: Mapping[str, Tensor] | None) -> Attempt:
        """One chunk, with shorter steps when the gate refuses it; the model is left with it, or without."""
        whole = self.settings.delta == "book"
        before = {name: self.session.parameters[name].detach().clone() for name in self.names}
        allowed = math.log(self.settings.perplexity) * (FIRST_SHARE + (1 - FIRST_SHARE) * share_read)
        share = self.settings.step
        for _ in range(HALVINGS + 1):
            loss, steps = self._descend(rows, share, mask)
            delta = None
            if not whole:  # measured as it will be stored
                delta = quantise({name: to_array(self.session.parameters[name]) - to_array(before[name])
                                  for name in self.names}, self.store.grid)
                self.session.put(self.store.with_delta(delta), self.names)
            after = mean_loss(self.model, rows, self.tokenizer.pad)
            ratio, checks = self._checks(loss, after, allowed, delta)
            if all(check.passed for check in checks):
                return Attempt(loss, after, ratio, steps, True, checks, delta)
            with torch.no_grad():
                for name, old in before.items():
                    self.session.parameters[name].copy_(old)
            share /= 2
        return Attempt(loss, loss, self._ratio(), steps, False, checks, None)

    def _ratio(self) -> float:
        return math.exp(self.session.general_loss() - self.about["book"]["general"])

    def _checks(self, before: float, after: float, allowed: float, delta: Delta | None) -> tuple[float, list[Check]]:
        """(perplexity ratio of general text since the book began, the verdicts)."""
        ratio = self._ratio()
        right = judge(self.model, self.known)[1] if self.known else []
        lost = len(right) - sum(right)
        checks = [
            Check(name="learnt", passed=after < before, detail=f"{before:.3f} to {after:.3f} nats per token"),
            Check(name="perplexity", passed=math.isfinite(ratio) and ratio <= math.exp(allowed),
                  detail=f"general text ×{ratio:.4f} since the book began, at most ×{math.exp(allowed):.4f} so far"),
            Check(name="old memories", passed=lost <= FORGOTTEN_LIMIT * len(right),
                  detail=f"{lost} of {len(right)} lost"),
        ]
        if delta is not None:
            norm = self._norm(delta)
            checks.append(Check(name="norm", passed=norm <= NORM_LIMIT,
                                detail=f"{100 * norm:.2f} % of the touched tensors, at most {100 * NORM_LIMIT:.0f} %"))
        return ratio, checks

    def _norm(self, delta: Delta) -> float:
        """L2 norm of the delta by that of the tensors it touches."""
        grid, base = self.store.grid, self.store.base_tensors()
        moved = sum(float(np.square(np.ldexp(value.astype(np.float64), grid[name])).sum())
                    for name, (_, value) in delta.items())
        return math.sqrt(moved / sum(float(np.square(base[name], dtype=np.float64).sum()) for name in delta)
                         ) if delta else 0.0

    # -- records -----------------------------------------------------------------------------------------------------

    def _commit(self, title: str, episode: str, attempt: Attempt, delta: Delta, seconds: float,
                state: str = "accepted", reason: str = "") -> Record:
        record = Record(kind="book", title=title, episode=episode, method="kewc", loss_before=attempt.before,
                        loss_after=attempt.after, steps=attempt.steps, norm=self._norm(delta),
                        perplexity_ratio=attempt.ratio, checks=attempt.checks, seconds=round(seconds, 3),
                        reason=reason)
        return self.store.commit(record, delta, state)

    def _commit_book(self, index: int, book: Book) -> None:
        """All of a book as one record; what the gate refuses as a whole waits in the inbox."""
        current = self.store.current()
        delta = quantise({name: tensor - current[name] for name, tensor in self.partial.items()}, self.store.grid)
        rows = book.measured()
        self.session.put(current, self.names)
        before = mean_loss(self.model, rows, self.tokenizer.pad)
        self.session.put(self.store.with_delta(delta), self.names)
        after = mean_loss(self.model, rows, self.tokenizer.pad)
        ratio, checks = self._checks(before, after, math.log(self.settings.perplexity), delta)
        failed = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
        steps = self.settings.steps * (len(chunks_of(book, self.settings.rows)) - len(self.about["left_out"]))
        attempt = Attempt(before, after, ratio, steps, not failed, checks, delta)
        self._commit(book.name, f"{self.about['id']}/{index}/all", attempt, delta,
                     time.time() - self.about["book"]["began"], "pending" if failed else "accepted",
                     "the gate: " + "; ".join(failed) if failed else "")
        if failed:
            self.session.put(self.store.current(), self.names)
        self.partial = {}
        self.save()

    def _protect(self, index: int, book: Book) -> None:
        """The book's keys enter the covariance, as one memory; its other records have none of their own."""
        curvature = self.session.curvature
        new = [record.id for record in self.records(index) if record.state == "accepted"
               and record.id not in curvature.ids]
        for number, id in enumerate(new):
            rows = book.measured(PROTECTED_ROWS) if number == 0 else []
            curvature.add(self.model, id, rows, [[True] * len(row) for row in rows])
        if new:
            curvature.general = (self.store.hash(), self.session.general_loss())
            curvature.save()


@dataclass(frozen=True)
class Attempt:
    """What became of one chunk. Losses in nats per id."""

    before: float
    after: float
    ratio: float
    steps: int
    kept: bool
    checks: list[Check]
    delta: Delta | None


def measure(model: GPT, study: Study) -> dict[str, Any]:
    """Bits per byte of every book, of general text (the sequences that the gate goes by, which the covariance never
    saw), and of the user's own general text."""
    tokenizer = study.tokenizer
    found: dict[str, Any] = {
        "books": [bits_per_byte(model, tokenizer, book.measured()) for book in study.books],
        "general": bits_per_byte(model, tokenizer, study.session.curvature.judged)}
    if study.general:
        found["own"] = bits_per_byte(model, tokenizer, study.general)
    return found
