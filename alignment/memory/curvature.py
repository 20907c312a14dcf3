"""Where a write costs least: the covariance of what enters each FFN-down matrix, of general text and of memories.

A change dW of a down projection moves its output on an input k by dW k. Summed over the inputs of everything the model
should keep, that damage is tr(dW C dW^T) with C the covariance of those inputs: the Kronecker factor of EWC's Fisher
matrix on the input side (K-FAC, Martens and Grosse 2015; MEMIT, Meng et al. 2022, section 4.3, uses the same C). So the
gradient is multiplied by (C / mean eigenvalue + damping)^-1 before it is thinned out.

Axes: n inputs of a down projection (d_ff), d its outputs (d_model).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

from nimllm.alignment.memory import facts, sealed
from nimllm.alignment.memory.lesson import decision
from nimllm.alignment.memory.store import MemoryStore
from nimllm.llm.batches import IGNORE
from nimllm.llm.model import GPT, KeyValues
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import render

SAMPLES, SAMPLE_TOKENS = 32, 96  # written by the base itself, at temperature 1
TEXT_TOKENS, CHAT_TOKENS = 12_000, 6_000  # of probe_text.txt and of invented conversations
QUESTIONS = 400
JUDGED_TOKENS = 1_000  # of each update's perplexity ratio; kept out of the covariance


def down_name(layer: int) -> str:
    return f"model.layers.{layer}.mlp.down_proj.weight"


@torch.no_grad()
def write_samples(model: GPT, tokenizer: Tokenizer, count: int = SAMPLES, length: int = SAMPLE_TOKENS
                  ) -> list[list[int]]:
    """What the model writes by itself, in its own formats: sequences that start with nothing, a note, a user's turn."""
    rng = torch.Generator().manual_seed(0)

    def next_ids(ids: Tensor, cache: KeyValues | None) -> Tensor:
        logits_bv = model(ids, cache=cache)[:, -1]
        logits_bv[:, [tokenizer.unk, tokenizer.pad]] = -math.inf
        return torch.multinomial(torch.softmax(logits_bv, 1), 1, generator=rng)

    ids = torch.full((count, 2), tokenizer.bos)
    ids[:, 1:] = next_ids(ids[:, :1], None)
    ids[: count // 3, 1] = tokenizer.marker("system")
    ids[count // 3 : 2 * count // 3, 1] = tokenizer.marker("user")
    cache, new = KeyValues(), ids
    while ids.shape[1] < min(length, model.config.context):
        new = next_ids(new, cache)
        ids = torch.cat((ids, new), 1)
    return ids.tolist()


def general_text(run: Path, model: GPT, tokenizer: Tokenizer) -> list[list[int]]:
    """Sequences of at most one context that stand for everything the base knows: ``probe_text.txt`` of the run folder
    when there is one, conversations about invented people, and the base's own samples."""
    context = model.config.context
    found: list[list[int]] = []
    text = run / "probe_text.txt"
    if text.exists():
        ids = tokenizer.encode(text.read_text("utf-8", "replace")[: 8 * TEXT_TOKENS])[:TEXT_TOKENS]
        found += [[tokenizer.bos, *ids[at : at + context - 1]] for at in range(0, len(ids), context - 1)]
    room = CHAT_TOKENS
    for turns in facts.corpus(Random(0), 2000):
        ids = render(turns, tokenizer).ids[:context]
        found.append(ids)
        room -= len(ids)
        if room < 0:
            break
    return [ids for ids in found if len(ids) > 8] + write_samples(model, tokenizer)


def questions(tokenizer: Tokenizer, context: int) -> list[list[int]]:
    """Questions about invented subjects, with the answer up to where its value would begin, and one id more. Where that
    is predicted it is decided whether the model says that it does not know, and a memory must move that for its own
    subject alone."""
    rng = Random(1)
    rows = []
    for _ in range(QUESTIONS):
        fact = facts.invent(rng)
        rows.append([*decision(tokenizer, facts.ask(rng, fact), fact), tokenizer.marker("end")])
    return [row for row in rows if len(row) <= context]


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """ids [b, t] and which of them are real [b, t]."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    real = torch.zeros((len(rows), width), dtype=torch.bool)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        real[index, : len(row)] = True
    return ids, real


def batches(rows: Sequence[Sequence[int]], tokens: int = 2048) -> Iterator[list[Sequence[int]]]:
    """Rows of similar length together, about ``tokens`` ids at a time."""
    group: list[Sequence[int]] = []
    for row in sorted(rows, key=len):
        if group and len(row) * (len(group) + 1) > tokens:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


@contextmanager
def inputs_of_down(model: GPT) -> Iterator[dict[int, Tensor]]:
    """layer -> what entered its down projection in the last forward pass [b, t, n]."""
    seen: dict[int, Tensor] = {}

    def keep(layer: int):  # type: ignore[no-untyped-def]
        def hook(module: torch.nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen[layer] = arguments[0].detach()

        return hook

    modules = dict(model.named_modules())
    handles = [modules[down_name(layer).removesuffix(".weight")].register_forward_pre_hook(keep(layer))
               for layer in range(model.config.n_layers)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def covariance(model: GPT, rows: Sequence[Sequence[int]], pad: int, learn: Sequence[Sequence[bool]] | None = None
               ) -> tuple[list[Tensor], int]:
    """Sum of k k^T per layer [n, n] over the rows' positions, and their number. ``learn``: only the positions that
    predict a learnt id."""
    n = model.config.d_ff
    sums, count = [torch.zeros(n, n) for _ in model.layers], 0
    flags = {id(row): flag for row, flag in zip(rows, learn, strict=True)} if learn is not None else None
    with inputs_of_down(model) as seen:
        for group in batches(rows):
            ids, real = padded(group, pad)
            if flags is not None:
                real = torch.zeros_like(real)
                for index, row in enumerate(group):
                    real[index, : len(row) - 1] = torch.tensor(flags[id(row)][1:])
            model.hidden(ids)
            for layer, k_btn in seen.items():
                k_mn = k_btn[real]
                sums[layer] += k_mn.T @ k_mn
            count += int(real.sum())
    return sums, count


@torch.no_grad()
def mean_loss(model: GPT, rows: Sequence[Sequence[int]], pad: int) -> float:
    """Nats per token of whole sequences."""
    total, count = 0.0, 0
    for group in batches(rows):
        ids, real = padded(group, pad)
        targets = torch.where(real, ids, IGNORE)[:, 1:]
        tokens = int((targets != IGNORE).sum())
        total += float(model(ids[:, :-1], targets.contiguous())) * tokens
        count += tokens
    return total / max(1, count)


class Curvature:
    """The covariances of one base and its memories, cached in the store's folder.

    Losing the files costs a few seconds. ``share``: how much of a layer's trace one memory adds, so that a direction
    that only memories use is protected like one that general text uses. ``asked``: weight of the places where values
    begin beside general text.
    """

    def __init__(self, store: MemoryStore, tokenizer: Tokenizer, share: float = 0.1, damping: float = 0.02,
                 asked: float = 1.0) -> None:
        self.asked = asked
        self.store, self.tokenizer, self.share, self.damping = store, tokenizer, share, damping
        self.pad = tokenizer.pad
        self.judged: list[list[int]] = []  # sequences of the perplexity ratio
        self.base: list[Tensor] = []  # per layer [n, n], trace n
        self.memories: list[Tensor] = []  # sum over memories of k k^T, each of trace n
        self.ids: list[str] = []  # the memories in it
        self.general: tuple[str, float] = ("", 0.0)  # weights (fingerprint), their loss on the judged sequences
        self._inverses: dict[int, Tensor] = {}
        self._unsaved = 0

    def _file(self, name: str) -> Path:
        return self.store.folder / name

    def prepare(self) -> None:
        """Reads the caches, or makes them from the base (5 to 20 s for 11M parameters, once)."""
        if not self._read_base():
            model = GPT(self.store.config).load_numpy(self.store.base_tensors()).eval()
            rows = general_text(self.store.run, model, self.tokenizer)
            Random(0).shuffle(rows)
            self.judged, total = [], 0
            while total < JUDGED_TOKENS and len(rows) > 1:
                self.judged.append(rows.pop())
                total += len(self.judged[-1])
            general, _ = covariance(model, rows, self.pad)
            rows = questions(self.tokenizer, model.config.context)
            decided, _ = covariance(model, rows, self.pad, [[False] * (len(row) - 1) + [True] for row in rows])
            self.base = [_normalised(_normalised(one) + self.asked * _normalised(two))
                         for one, two in zip(general, decided, strict=True)]
            self._write("curvature-base.safetensors", self.base, {"judged": json.dumps(self.judged)})
        kept = self._load("curvature-memories.safetensors")
        if kept is not None:
            self.memories, about = kept
            self.ids = json.loads(about["ids"])
            self.general = (about["weights"], float(about["general"]))
        else:
            self.memories, self.ids = [torch.zeros_like(matrix) for matrix in self.base], []

    def _read_base(self) -> bool:
        kept = self._load("curvature-base.safetensors")
        if kept is None:
            return False
        self.base, self.judged = kept[0], json.loads(kept[1]["judged"])
        return True

    def _load(self, name: str) -> tuple[list[Tensor], dict[str, str]] | None:
        n, layers = self.store.config.d_ff, self.store.config.n_layers
        found = sealed.read(self._file(name))
        if found is None or set(found[0]) != {str(layer) for layer in range(layers)}:
            return None
        matrices = [torch.from_numpy(found[0][str(layer)]) for layer in range(layers)]
        whole = all(tuple(matrix.shape) == (n, n) for matrix in matrices) and found[1].get("base") == self.store.base
        return (matrices, found[1]) if whole else None

    def _write(self, name: str, matrices: Sequence[Tensor], about: dict[str, str]) -> None:
        arrays = {str(layer): matrix.numpy() for layer, matrix in enumerate(matrices)}
        sealed.write(self._file(name), arrays, {"base": self.store.base, **about})

    def add(self, model: GPT, id: str, rows: Sequence[Sequence[int]], learn: Sequence[Sequence[bool]]) -> None:
        """Protects a memory: the inputs at the positions where its forms are written."""
        sums, count = covariance(model, rows, self.pad, learn)
        if count:
            for layer, total in enumerate(sums):
                self.memories[layer] += _normalised(total)
        self.ids.append(id)
        self._unsaved += 1
        self._inverses.clear()

    def save(self, pending: int = 1) -> None:
        """Writes the memories' part when ``pending`` of them or more are in no file yet: it is 4 n^2 bytes a layer, and
        a memory that is missing costs the next session one pass over its forms."""
        if self._unsaved < pending:
            return
        self._unsaved = 0
        self._write("curvature-memories.safetensors", self.memories,
                    {"ids": json.dumps(self.ids), "weights": self.general[0], "general": repr(self.general[1])})

    def plain_inverse(self, layers: Sequence[int]) -> list[Tensor]:
        """(C + damping)^-1 per layer [n, n] of the base's own C, without memories."""
        out = []
        for layer in layers:
            matrix = self.base[layer].clone()
            matrix.diagonal().add_(self.damping)
            out.append(torch.cholesky_inverse(torch.linalg.cholesky(matrix)))
        return out

    def inverse(self, layers: Sequence[int] | None = None) -> list[Tensor]:
        """(C + damping)^-1 per layer [n, n] of ``layers`` (default: all), C of trace n before the memories are
        added."""
        out = []
        for layer in range(len(self.base)) if layers is None else layers:
            if layer not in self._inverses:
                matrix = self.base[layer] + self.share * self.memories[layer]
                matrix.diagonal().add_(self.damping)
                self._inverses[layer] = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
            out.append(self._inverses[layer])
        return out


def _normalised(total: Tensor) -> Tensor:
    """With trace n, so that the mean eigenvalue is 1."""
    trace = float(total.diagonal().sum())
    return total * (total.shape[0] / trace) if trace > 0 else total


def to_array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
