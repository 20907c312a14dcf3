"""What an update must pass before it enters the head, measured on the quantised weights themselves.

Small models forget neighbours before they forget to talk, and one bad edit can end a model ("disabling edits",
arXiv 2401.07453), so nothing is accepted unmeasured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nimllm.alignment.memory.curvature import padded
from nimllm.alignment.memory.events import Check
from nimllm.alignment.memory.lessons import Lesson
from nimllm.llm.model import GPT, KeyValues
from nimllm.llm.tokenizer import Tokenizer

PERPLEXITY_LIMIT = 1.02  # ratio after / before of one update
NORM_LIMIT = 0.25  # L2 norm of the delta by that of the tensors it touches
FORGOTTEN_LIMIT = 0.05  # share of the old memories' probes that may be lost
TOLD_SHARE = 0.8  # of the trained forms that must be answered


@dataclass(frozen=True)
class Batch:
    """Lessons side by side. ``rows``, ``places``: where the m learnt ids are predicted; ``targets`` [m]."""

    ids_bt: Tensor
    rows: Tensor
    places: Tensor
    targets: Tensor
    count: int

    @staticmethod
    def of(lessons: Sequence[Lesson], pad: int) -> Batch:
        ids_bt, _ = padded([lesson.ids for lesson in lessons], pad)
        found = [(row, at) for row, lesson in enumerate(lessons) for at, flag in enumerate(lesson.learn) if flag and at]
        rows, places = (torch.tensor(part) for part in zip(*found, strict=True))
        return Batch(ids_bt, rows, places - 1, ids_bt[rows, places], len(lessons))


def groups(lessons: Sequence[Lesson], pad: int, tokens: int = 512) -> list[tuple[list[int], Batch]]:
    """The lessons in batches of similar length, about ``tokens`` padded ids each, with their places in the list: side
    by side in the given order, half of the ids would be padding."""
    out: list[tuple[list[int], Batch]] = []
    order = sorted(range(len(lessons)), key=lambda place: len(lessons[place].ids))
    while order:
        taken = 1
        while taken < len(order) and (taken + 1) * len(lessons[order[taken]].ids) <= tokens:
            taken += 1
        out.append((order[:taken], Batch.of([lessons[place] for place in order[:taken]], pad)))
        order = order[taken:]
    return out


def token_losses(model: GPT, batch: Batch) -> tuple[Tensor, Tensor]:
    """(nats [m], is the most likely id the right one [m]) of the learnt ids."""
    x_md = model.hidden(batch.ids_bt)[batch.rows, batch.places]
    logits_mv = (x_md @ model.head.T).float()
    return functional.cross_entropy(logits_mv, batch.targets, reduction="none"), logits_mv.argmax(1) == batch.targets


def opening_weights(batch: Batch, weight: float) -> Tensor:
    """1 per learnt id [m], ``weight`` for the first one of each lesson, where it is decided whether to answer."""
    first_m = torch.ones(len(batch.rows), dtype=torch.bool)
    first_m[1:] = batch.rows[1:] != batch.rows[:-1]
    return torch.where(first_m, weight, 1.0)


def per_lesson(values_m: Tensor, batch: Batch) -> Tensor:
    """Mean over each lesson's learnt ids [b]."""
    total = torch.zeros(batch.count).index_add_(0, batch.rows, values_m)
    return total / torch.bincount(batch.rows, minlength=batch.count)


@torch.no_grad()
def judge(model: GPT, lessons: Sequence[Lesson], pad: int) -> tuple[list[float], list[bool]]:
    """(nats per learnt id, would greedy decoding write exactly this) of each lesson. Teacher forcing is exact here:
    greedy decoding yields the answer if and only if every one of its ids is the most likely one after those before."""
    losses, right = [0.0] * len(lessons), [False] * len(lessons)
    for places, batch in groups(lessons, pad):
        nats_m, hit_m = token_losses(model, batch)
        found = zip(places, per_lesson(nats_m, batch).tolist(), per_lesson(hit_m.float(), batch).tolist(), strict=True)
        for place, nats, hits in found:
            losses[place], right[place] = nats, hits == 1
    return losses, right


@torch.no_grad()
def say(model: GPT, tokenizer: Tokenizer, prompt: Sequence[int], limit: int = 40) -> list[int]:
    """What the model writes greedily, up to and with its end marker."""
    cache, new, out = KeyValues(), torch.tensor([list(prompt)]), []
    for _ in range(min(limit, model.config.context - len(prompt))):
        choice = int(model.hidden(new, cache)[0, -1].matmul(model.head.T).argmax())
        out.append(choice)
        if choice == tokenizer.marker("end") or choice == tokenizer.eos:
            break
        new = torch.tensor([[choice]])
    return out


def spoken(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Its text, without the markers."""
    return tokenizer.decode([index for index in ids if not tokenizer.is_marker(index)])


@dataclass(frozen=True)
class Evidence:
    """Everything the gate looks at."""

    told: Sequence[bool]  # the trained forms, after
    probes: Sequence[bool]  # wordings that were not trained on, after
    old_before: Sequence[bool]
    old_after: Sequence[bool]
    controls: Sequence[str]  # answers of unrelated questions that changed, after
    values: Sequence[str]  # what was told
    perplexity_ratio: float
    norm: float
    loss_before: float
    loss_after: float
    is_task: bool


def verdicts(evidence: Evidence, perplexity_limit: float = PERPLEXITY_LIMIT,
             norm_limit: float = NORM_LIMIT) -> list[Check]:
    """Every check with its figures; the update passes when all do."""
    e = evidence
    checks: list[Check] = []
    if e.is_task:
        checks.append(Check(name="learnt", passed=e.loss_after <= e.loss_before + 1e-6,
                            detail=f"loss {e.loss_before:.3f} to {e.loss_after:.3f}"))
    else:
        share = sum(e.told) / max(1, len(e.told))
        answered = share >= TOLD_SHARE and (not e.probes or any(e.probes))
        checks.append(Check(name="answered", passed=answered,
                            detail=f"{sum(e.told)} of {len(e.told)} wordings it trained on, "
                                   f"{sum(e.probes)} of {len(e.probes)} it did not"))
        leaked = [text for text in e.controls if any(value and value in text for value in e.values)]
        checks.append(Check(name="no leak", passed=not leaked,
                            detail=f"unrelated question now answered: {leaked[0]}" if leaked else
                            f"{len(e.controls)} unrelated answers changed, none to what was told"))
    checks.append(Check(name="perplexity", passed=e.perplexity_ratio <= perplexity_limit,
                        detail=f"x{e.perplexity_ratio:.4f} on a fixed text, at most x{perplexity_limit}"))
    lost = sum(before and not after for before, after in zip(e.old_before, e.old_after, strict=True))
    checks.append(Check(name="old memories", passed=lost <= FORGOTTEN_LIMIT * len(e.old_before),
                        detail=f"{lost} of {len(e.old_before)} lost"))
    checks.append(Check(name="norm", passed=e.norm <= norm_limit,
                        detail=f"{100 * e.norm:.2f} % of the touched tensors, at most {100 * norm_limit:.0f} %"))
    return checks
