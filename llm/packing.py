"""Whole documents into rows of one context, so that no window starts in the middle of a short one.

First fit over a few dozen open rows, rest padded: about 97 % full for episodes of 60 to 400 tokens in rows of 512,
where cutting a stream at every 512th token would cost a third of the episodes their beginning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nimllm.llm.shards import ShardWriter

OPEN_ROWS = 48


class Packer:
    """Append documents; full rows go to the shard. Close it before the shard is closed."""

    def __init__(self, writer: ShardWriter, context: int, pad: int) -> None:
        self.writer, self.context, self.pad = writer, context, pad
        self.rows: list[tuple[list[int], list[bool]]] = []
        self.documents = self.tokens = self.learnt = self.cut = 0

    def append(self, ids: Sequence[int], learn: Sequence[bool] | None = None) -> None:
        """Add one document. A longer one than a row is split at row ends (``cut`` counts the extra pieces)."""
        flags = list(learn) if learn is not None else [True] * len(ids)
        self.documents += 1
        self.tokens += len(ids)
        self.learnt += sum(flags)
        for start in range(0, len(ids), self.context):
            self.cut += start > 0
            self._place(list(ids[start : start + self.context]), flags[start : start + self.context])

    def _place(self, ids: list[int], learn: list[bool]) -> None:
        for row_ids, row_learn in self.rows:
            if len(row_ids) + len(ids) <= self.context:
                row_ids += ids
                row_learn += learn
                break
        else:
            self.rows.append((ids, learn))
            if len(self.rows) > OPEN_ROWS:
                fullest = max(range(len(self.rows)), key=lambda i: len(self.rows[i][0]))
                self._write(*self.rows.pop(fullest))

    def _write(self, ids: list[int], learn: list[bool]) -> None:
        spare = self.context - len(ids)
        self.writer.append(np.asarray(ids + [self.pad] * spare), np.asarray(learn + [False] * spare))

    def close(self) -> None:
        """Write the rows that are still open, and one id more: the last row's last position has a target, too."""
        for row in self.rows:
            self._write(*row)
        self.rows.clear()
        self.writer.append([self.pad], [False])
