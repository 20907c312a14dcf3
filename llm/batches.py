"""Batches as a pure function of (seed, step): nothing of the data order needs saving for an exact resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nimllm.errors import NimError
from nimllm.llm.document_starts import document_starts
from nimllm.llm.model import IGNORE, Documents
from nimllm.llm.packing import fill
from nimllm.llm.settings import TrainSettings
from nimllm.llm.shards import Shard
from nimllm.llm.tokenizer import Tokenizer


class Batch(NamedTuple):
    """Rows of a step: ids and targets, int64 [rows, context], and where their documents lie (None: a row is one)."""

    inputs: Tensor
    targets: Tensor
    documents: Documents | None = None

    @property
    def learnt(self) -> int:
        """Tokens that carry loss."""
        return int((self.targets != IGNORE).sum())

    def to(self, device: torch.device) -> Batch:
        return Batch(self.inputs.to(device), self.targets.to(device),
                     None if self.documents is None else self.documents.to(device))


class Windows:
    """Windows of ``context`` tokens of one shard in a new random order every epoch.

    ``aligned``: documents were packed into rows of exactly ``context`` tokens, so windows start at row starts;
    otherwise every epoch starts at another random offset. ``bos``: documents begin with it, and none sees another.
    Targets carry no loss where the shard's mask says so, nor on padding.
    """

    tokens_per_prediction = 1.0

    def __init__(self, shard: Shard, context: int, seed: int, aligned: bool = False, pad: int = 3,
                 bos: int | None = None) -> None:
        self.shard, self.context, self.seed, self.aligned, self.pad = shard, context, seed, aligned, pad
        self.bos = bos
        slack = 0 if aligned else context // 2
        self.count = (len(shard.tokens) - 1 - slack) // context
        if self.count < 1:
            raise _too_small(shard, context)
        self._epoch, self._order, self._offset = -1, np.zeros(0, np.int64), 0

    def _start(self, number: int) -> int:
        epoch, at = divmod(number, self.count)
        if epoch != self._epoch:
            rng = np.random.default_rng((self.seed, epoch))
            self._order = rng.permutation(self.count)
            self._offset = 0 if self.aligned else int(rng.integers(0, self.context // 2 + 1))
            self._epoch = epoch
        return self._offset + int(self._order[at]) * self.context

    def batch(self, first: int, rows: int) -> Batch:
        """Windows number ``first`` … ``first + rows - 1``."""
        inputs = np.empty((rows, self.context), np.int64)
        targets = np.empty((rows, self.context), np.int64)
        for row in range(rows):
            start = self._start(first + row)
            span = self.shard.tokens[start : start + self.context + 1].astype(np.int64)
            inputs[row], targets[row] = span[:-1], span[1:]
            if self.shard.learn is not None:
                learn = np.asarray(self.shard.learn[start + 1 : start + self.context + 1], bool)
                targets[row, ~learn] = IGNORE
        targets[targets == self.pad] = IGNORE
        return Batch(torch.from_numpy(inputs), torch.from_numpy(targets),
                     None if self.bos is None else Documents.of(self._numbers(inputs)))

    def _numbers(self, inputs: np.ndarray) -> np.ndarray:
        """The document of every token; padding is one of its own."""
        padding = inputs == self.pad
        begins = inputs == self.bos
        begins[:, 1:] |= padding[:, 1:] & ~padding[:, :-1]
        return begins.cumsum(1)

    def spans(self, number: int) -> list[tuple[int, int]]:
        """(first token, length) in the shard of everything in a row."""
        return [(self._start(number), self.context)]


BLOCK = 64  # rows that are filled together, from neighbouring text
POOL = 32  # blocks, drawn from everywhere, whose rows are mixed


class Packed:
    """Rows that begin with bos and are packed by best fit; in a new random order every epoch, as :class:`Windows`.

    A document of n ids gives its n - 1 predictions, each of them once an epoch: nothing is cropped or padded. Where a
    document goes on in another row, bos stands in the place of the token before, so every document and every part of
    one begins with bos, as every prompt does. (Windows of a book see a bos once in the whole training.) ``masked``: no
    document sees another.

    A block of ``BLOCK`` rows is filled with a stretch of the shard, and a pool of ``POOL`` blocks mixed, so a row needs
    neither a list of all rows nor its neighbours: memory is that of one pool and of the documents' places on disk.
    ``shifted``: the stretches begin elsewhere every epoch, so that documents are not cut at the same places again.
    """

    def __init__(self, shard: Shard, context: int, seed: int, bos: int, pad: int = 3, masked: bool = False,
                 shifted: bool = True) -> None:
        self.shard, self.context, self.seed, self.bos, self.pad, self.masked = shard, context, seed, bos, pad, masked
        self.starts = document_starts(shard, bos)
        self.pairs = len(shard.tokens) - len(self.starts)  # (id, next id) inside a document
        # a bos is never predicted: as many nats in a text, but fewer predictions than tokens
        self.tokens_per_prediction = len(shard.tokens) / max(1, self.pairs)
        self.slack = context // 2 if shifted else 0
        self.count = (self.pairs - self.slack) // context
        if not shifted and self.pairs > 0:
            self.count = max(1, self.count)  # one row, if need be with padding
        if self.count < 1:
            raise _too_small(shard, context)
        self.blocks = -(-self.count // BLOCK)
        self._epoch = self._pool = -1
        self._order, self._offset = np.zeros(0, np.int64), 0
        self._mixed = np.zeros(0, np.int64)
        self._plans: dict[int, list[list[tuple[int, int]]]] = {}

    def _document(self, pair: int) -> int:
        """The document of a pair: the last one with starts[i] - i <= pair."""
        low, high = 0, len(self.starts)
        while low < high:
            middle = (low + high) // 2
            if int(self.starts[middle]) - middle <= pair:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def _plan(self, block: int) -> list[list[tuple[int, int]]]:
        """(first token, length) of every piece of every row of a block."""
        rows = min(BLOCK, self.count - block * BLOCK)
        begin = self._offset + block * BLOCK * self.context
        end = min(self.pairs, begin + rows * self.context)
        first, last = self._document(begin), self._document(end - 1)
        numbers = np.arange(first, last + 2)
        edges = np.append(self.starts[first : last + 2], len(self.shard.tokens))[: len(numbers)] - numbers
        edges = np.clip(edges, begin, end)
        rng = np.random.default_rng((self.seed, self._epoch, 1, block))
        filled = fill(np.diff(edges).tolist(), rows, self.context, rng)
        tokens = (edges[:-1] + numbers[:-1]).tolist()
        return [[(tokens[piece.document] + piece.start, piece.length) for piece in row] for row in filled]

    def spans(self, number: int) -> list[tuple[int, int]]:
        """(first token, length) in the shard of everything in a row."""
        epoch, at = divmod(number, self.count)
        pool, at = divmod(at, BLOCK * POOL)
        if epoch != self._epoch:
            rng = np.random.default_rng((self.seed, epoch, 0))
            # the last block, which may be a smaller one, stays last: pools begin at multiples of their size
            self._order = np.append(rng.permutation(self.blocks - 1), self.blocks - 1)
            self._offset = int(rng.integers(0, self.slack + 1))
            self._epoch, self._pool = epoch, -1
        if pool != self._pool:
            size = min(BLOCK * POOL, self.count - pool * BLOCK * POOL)
            self._mixed = np.random.default_rng((self.seed, epoch, 2, pool)).permutation(size)
            self._plans, self._pool = {}, pool
        place, row = divmod(int(self._mixed[at]), BLOCK)
        block = int(self._order[pool * POOL + place])
        if block not in self._plans:
            self._plans[block] = self._plan(block)
        return self._plans[block][row]

    def batch(self, first: int, rows: int) -> Batch:
        """Rows number ``first`` … ``first + rows - 1``."""
        inputs = np.full((rows, self.context), self.pad, np.int64)
        targets = np.full((rows, self.context), IGNORE, np.int64)
        numbers = np.full((rows, self.context), -1, np.int64)
        for row in range(rows):
            at = 0
            for number, (start, length) in enumerate(self.spans(first + row)):
                span = self.shard.tokens[start : start + length + 1].astype(np.int64)
                inputs[row, at : at + length], targets[row, at : at + length] = span[:-1], span[1:]
                inputs[row, at], numbers[row, at : at + length] = self.bos, number
                if self.shard.learn is not None:
                    learn = np.asarray(self.shard.learn[start + 1 : start + length + 1], bool)
                    targets[row, at : at + length][~learn] = IGNORE
                at += length
        return Batch(torch.from_numpy(inputs), torch.from_numpy(targets),
                     Documents.of(numbers) if self.masked else None)

def open_rows(shard: Shard, context: int, settings: TrainSettings, tokenizer: Tokenizer, training: bool
              ) -> Windows | Packed:
    """The rows that the settings ask for; those for validation are the same whatever the seed."""
    seed = settings.seed if training else 0
    if settings.packing == "bos" and not settings.aligned:
        return Packed(shard, context, seed, tokenizer.bos, tokenizer.pad, settings.document_mask, shifted=training)
    return Windows(shard, context, seed, settings.aligned or not training, tokenizer.pad,
                   tokenizer.bos if settings.document_mask else None)


@dataclass(frozen=True)
class Share:
    """What becomes of a text's documents in rows.

    ``documents``: those of no more than a row's tokens that were met; ``cut``: how many of them do not lie whole in a
    row; ``context``: how many tokens of its own document a prediction sees, on average; ``padding``: positions without
    a token; ``left_out``: predictions inside documents that an epoch does not reach.
    """

    rows: int
    documents: int
    cut: int
    context: float
    padding: int
    left_out: int


def share(source: Windows | Packed, bos: int, rows: int) -> Share:
    """Of the first rows of the first epoch."""
    starts = document_starts(source.shard, bos)
    ends = np.append(starts[1:], len(source.shard.tokens))
    rows, context = min(rows, source.count), source.context
    met: set[int] = set()
    cut: set[int] = set()
    seen = tokens = padding = 0
    for number in range(rows):
        spans = source.spans(number)
        padding += context - sum(length for _, length in spans)
        for start, length in spans:
            first, last = np.searchsorted(starts, (start, start + length - 1), side="right") - 1
            for document in range(int(first), int(last) + 1):
                begin, end = max(int(starts[document]), start), min(int(ends[document]) - 1, start + length)
                size = max(0, end - begin)
                tokens += size
                seen += size * (size + 1) // 2
                whole = int(ends[document] - starts[document]) - 1
                if whole <= context:
                    met.add(document)
                    if size < whole:
                        cut.add(document)
    pairs = len(source.shard.tokens) - len(starts)
    reached = tokens * source.count // rows
    return Share(rows, len(met), len(cut), seen / max(1, tokens), padding, max(0, pairs - reached))


def _too_small(shard: Shard, context: int) -> NimError:
    return NimError(f"the text is too small: {len(shard.tokens)} tokens", f"one context is {context} tokens",
                    "give more text, or a smaller --context")
