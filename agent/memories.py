"""Episodes on their way into the weights: a queue, one update after the other, never in this process.

Each update runs in a worker process of its own session, so that neither ^C nor the death of the terminal reaches it;
this process never imports torch.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nimllm.agent import records
from nimllm.agent.records import MemoryRecord, TaskRecord
from nimllm.errors import NimError

if TYPE_CHECKING:
    from nimllm.alignment.episodes import Episode
    from nimllm.alignment.memory.events import Record

Done = Callable[[TaskRecord], None]


class Memories:
    """The queue of one session. ``done`` is called from the queue's thread after each update, with the record as it
    was written to the task log."""

    def __init__(self, run: Path, mode: str, method: str, done: Done | None = None) -> None:
        self.run, self.mode, self.method = run, mode, method
        self._done = done or (lambda record: None)
        self._jobs: queue.SimpleQueue[tuple[TaskRecord, Episode] | None] = queue.SimpleQueue()
        self._idle = threading.Condition()
        self._pending = 0
        self._thread: threading.Thread | None = None
        self.remembered = 0  # accepted updates of this session
        self.failed = 0  # updates that broke: a locked or damaged store, no room

    @property
    def pending(self) -> int:
        return self._pending

    def add(self, record: TaskRecord, episode: Episode) -> None:
        """Writes the record and queues its update (mode off: only writes)."""
        if self.mode == "off" or not episode.learnable():
            record.memory = MemoryRecord(
                state="off" if self.mode == "off" else "skipped",
                detail="" if self.mode == "off" else "nothing in it was verified",
            )
            records.write(record)
            return
        record.memory = MemoryRecord(state="queued", method=self.method)
        records.write(record)
        with self._idle:
            self._pending += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="memory", daemon=True)
            self._thread.start()
        self._jobs.put((record, episode))

    def wait(self, timeout: float | None = None) -> bool:
        """Until the queue is empty; False when ``timeout`` seconds were not enough."""
        end = None if timeout is None else time.monotonic() + timeout
        with self._idle:
            while self._pending:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._idle.wait(0.2 if left is None else min(left, 0.2))  # short, so that signals are seen
        return True

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            record, episode = job
            record.memory = self._update(episode)
            self.remembered += record.memory.state == "accepted"
            self.failed += record.memory.state == "failed"
            try:
                records.write(record)
            except NimError as error:
                record.memory.detail = error.message()
            try:
                self._done(record)
            finally:
                with self._idle:
                    self._pending -= 1
                    self._idle.notify_all()

    def _update(self, episode: Episode) -> MemoryRecord:
        from nimllm.alignment.memory.worker import remember

        start = time.monotonic()
        try:
            made = remember(episode, self.run, mode=self.mode, method=self.method)
        except NimError as error:
            return MemoryRecord(state="failed", method=self.method, detail=error.message(),
                                seconds=round(time.monotonic() - start, 2))
        return summary(made, time.monotonic() - start)


def summary(made: Record, seconds: float) -> MemoryRecord:
    """What the task log keeps of a memory record; the ledger holds all of it."""
    state = {"reverted": "rejected", "consolidated": "accepted"}.get(made.state, made.state)
    return MemoryRecord.model_validate(dict(
        state=state, id=made.id or None, method=made.method,
        loss_before=made.loss_before, loss_after=made.loss_after, entries=made.entries, bytes=made.bytes,
        norm=made.norm,
        weights=made.weights_after or None, perplexity_ratio=made.perplexity_ratio,
        probes_before=made.probes_before, probes_after=made.probes_after, detail=made.reason,
        seconds=round(seconds, 2),
    ))
