"""Batches as a pure function of (seed, step): nothing of the data order needs saving for an exact resume."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nimllm.errors import NimError
from nimllm.llm.model import IGNORE, Documents
from nimllm.llm.shards import Shard


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
    otherwise every epoch starts at another random offset. Targets carry no loss where the shard's mask says so, nor on
    padding.
    """

    def __init__(self, shard: Shard, context: int, seed: int, aligned: bool = False, pad: int = 3) -> None:
        self.shard, self.context, self.seed, self.aligned, self.pad = shard, context, seed, aligned, pad
        slack = 0 if aligned else context // 2
        self.count = (len(shard.tokens) - 1 - slack) // context
        if self.count < 1:
            raise NimError(
                f"the text is too small: {len(shard.tokens)} tokens",
                f"one context is {context} tokens",
                "give more text, or a smaller --context",
            )
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
        return Batch(torch.from_numpy(inputs), torch.from_numpy(targets))
