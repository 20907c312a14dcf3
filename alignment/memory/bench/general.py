"""General text far away from every fact: windows of ids, and how two models differ on them.

The windows are text of the run folder (``probe_text.txt``), a file of the user's, and what the base itself writes at
temperature 1, which is what a model knows best and so what shows first that it was moved.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nimllm.errors import NimError
from nimllm.llm.model import GPT, KeyValues
from nimllm.llm.tokenizer import Tokenizer

ROWS = 16  # windows of one forward pass
SEED = 404  # of the self-written windows
MOST_TEXT = 200_000  # tokens of a file of the user's


@dataclass(frozen=True)
class Far:
    """Base against edited on some windows. ``kl``: KL(base || edited), nats per token; ``agreement``: share of places
    with the same most likely id; ``ratio``: perplexity of the edited model by the base's."""

    kl: float
    agreement: float
    ratio: float
    tokens: int


@torch.no_grad()
def written(model: GPT, tokenizer: Tokenizer, count: int, length: int) -> list[list[int]]:
    """What the model writes by itself, a third each begun by nothing, by a user's turn and by a folder's note."""
    rng = torch.Generator().manual_seed(SEED)
    starts = [[tokenizer.bos], [tokenizer.bos, tokenizer.marker("user")], [tokenizer.bos, tokenizer.marker("system")]]
    out: list[list[int]] = []
    for at in range(0, count, ROWS):
        start = starts[(at // ROWS) % 3]
        ids = torch.tensor([start] * min(ROWS, count - at))
        cache, new = KeyValues(), ids
        while ids.shape[1] < length:
            logits_bv = (model.hidden(new, cache)[:, -1] @ model.head.T).float()
            logits_bv[:, [tokenizer.unk, tokenizer.pad]] = -math.inf
            new = torch.multinomial(torch.softmax(logits_bv, 1), 1, generator=rng)
            ids = torch.cat((ids, new), 1)
        out += ids.tolist()
    return out


def windows(run: Path, model: GPT, tokenizer: Tokenizer, count: int, length: int) -> list[list[int]]:
    """``count`` windows of ``length`` ids (less where the context is smaller): of the run's text up to half of them,
    the others self-written."""
    length = min(length, model.config.context)
    found = []
    path = run / "probe_text.txt"
    if path.exists():
        ids = tokenizer.encode(path.read_text("utf-8", "replace"))
        found = [[tokenizer.bos, *ids[at : at + length - 1]] for at in range(0, len(ids) - length, length - 1)]
    found = found[: count // 2]
    return found + written(model, tokenizer, count - len(found), length)


def text_windows(path: Path, tokenizer: Tokenizer, length: int) -> tuple[list[list[int]], str]:
    """(windows of a file of the user's, SHA-256 of its bytes). NimError when it cannot be read or is too short."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise NimError(f"cannot read {path}", error.strerror or str(error), "give a text file") from None
    ids = tokenizer.encode(raw.decode("utf-8", "replace"))[:MOST_TEXT]
    if len(ids) < length:
        raise NimError(f"{path} is too short", f"it has {len(ids)} tokens", "give at least a page of text")
    return ([[tokenizer.bos, *ids[at : at + length - 1]] for at in range(0, len(ids) - length + 1, length - 1)],
            hashlib.sha256(raw).hexdigest())


def _losses(logits_btv: Tensor, ids_bt: Tensor) -> Tensor:
    return logits_btv[:, :-1].gather(2, ids_bt[:, 1:, None]).neg().sum(dtype=torch.float64)


@torch.no_grad()
def compare(base: GPT, edited: GPT, rows: Sequence[Sequence[int]]) -> Far:
    """Exact sums over the vocabulary at every place of every window. Markers of turns count as text."""
    kl = nats_base = nats_edited = 0.0
    same = places = 0
    by_length: dict[int, list[Sequence[int]]] = {}
    for row in rows:
        by_length.setdefault(len(row), []).append(row)
    for group in by_length.values():
        for at in range(0, len(group), ROWS):
            ids_bt = torch.tensor([list(row) for row in group[at : at + ROWS]])
            p_btv, q_btv = (torch.log_softmax((model.hidden(ids_bt) @ model.head.T).float(), -1)
                            for model in (base, edited))
            nats_base += float(_losses(p_btv, ids_bt))
            nats_edited += float(_losses(q_btv, ids_bt))
            p_btv, q_btv = p_btv[:, :-1], q_btv[:, :-1]
            kl += float((p_btv.exp() * (p_btv - q_btv)).sum(dtype=torch.float64))
            same += int((p_btv.argmax(-1) == q_btv.argmax(-1)).sum())
            places += p_btv.shape[0] * p_btv.shape[1]
    return Far(kl / places, same / places, math.exp((nats_edited - nats_base) / places), places)
