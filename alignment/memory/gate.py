"""What an update must pass before it enters the head, measured on the quantised weights themselves.

Small models forget neighbours before they forget to talk, and one bad edit can end a model ("disabling edits",
arXiv 2401.07453), so nothing is accepted unmeasured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nimllm.alignment.memory.events import Check
from nimllm.alignment.memory.lessons import Lesson
from nimllm.alignment.memory.packed import Packed
from nimllm.llm.model import GPT, KeyValues
from nimllm.llm.tokenizer import Tokenizer

PERPLEXITY_LIMIT = 1.02  # ratio after / before of one update
NORM_LIMIT = 0.25  # L2 norm of the delta by that of the tensors it touches
FORGOTTEN_LIMIT = 0.05  # share of the old memories' probes that may be lost
TOLD_SHARE = 0.8  # of the trained forms that must be answered


@torch.no_grad()
def judge(model: GPT, lessons: Sequence[Lesson]) -> tuple[list[float], list[bool]]:
    """(nats per learnt id, would greedy decoding write exactly this) of each lesson. Teacher forcing is exact here:
    greedy decoding yields the answer if and only if every one of its ids is the most likely one after those before."""
    losses: list[float] = []
    right: list[bool] = []
    for packed in Packed.several(lessons):
        nats_m, hit_m = packed.nats(model)
        losses += packed.mean(nats_m).tolist()
        right += (packed.mean(hit_m.float()) == 1).tolist()
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
    undesirable: Sequence[tuple[float, float]] = ()  # (nats per id before, after) of what was turned down


def verdicts(evidence: Evidence, perplexity_limit: float = PERPLEXITY_LIMIT,
             norm_limit: float = NORM_LIMIT) -> list[Check]:
    """Every check with its figures; the update passes when all do."""
    e = evidence
    checks: list[Check] = []
    if e.undesirable:
        less = sum(after > before for before, after in e.undesirable)
        checks.append(Check(name="turned down", passed=less == len(e.undesirable),
                            detail=f"{less} of {len(e.undesirable)} texts are less likely than before"))
    if e.is_task and not e.told:
        pass  # nothing was to be learnt, only to be left
    elif e.is_task:
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
