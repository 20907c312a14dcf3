"""The product's own memory: a store, and ``update.Session`` on it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory.bench.method import Update
from nimllm.alignment.memory.events import Record
from nimllm.alignment.memory.sleep import due, sleep
from nimllm.alignment.memory.store import MemoryStore
from nimllm.alignment.memory.update import Session


class Ours:
    """One record per episode that teaches something. ``approve``: what the gate puts into the inbox is approved at
    once, as a user would who trusts everything; else it stays out of the weights, as in mode "auto". ``nights``: sleep
    whenever so many memories came in since the last time; 0: never."""

    added_bytes = 0

    def __init__(self, name: str, run: Path, state: Path, seed: int, approve: bool = False, nights: int = 0
                 ) -> None:
        self.name, self.approve, self.nights = name, approve, nights
        self.store = MemoryStore(run, state, wait=5.0)
        self.store.must_write()
        self.session = Session(self.store)
        self.by_episode = {record.episode: record for record in self.store.records()}

    def learn(self, episode: Episode) -> Update:
        known = self.by_episode.get(episode.id)
        if known is not None:
            if self.approve and known.state == "pending":  # killed between the two
                known = self._approve(known)
            return _update(known, known.seconds)
        start = time.monotonic()
        record = self.session.learn(episode)
        if record.state == "pending" and self.approve:
            record = self._approve(record)
        if record.state != "skipped":
            self.by_episode[episode.id] = record
        return _update(record, time.monotonic() - start)

    def _approve(self, record: Record) -> Record:
        record = self.store.approve(record.id)
        self.session.put(self.store.current(), list(self.session.parameters))
        self.session.protect()
        return record

    def tensors(self) -> Mapping[str, np.ndarray]:
        return self.store.current()

    def side_bytes(self) -> int:
        """Everything in the store but the weights that answer."""
        return sum(path.stat().st_size for path in self.store.folder.rglob("*")
                   if path.is_file() and path != self.store.head)

    def revert(self, id: str) -> None:
        self.store.revert(id)
        self.session.put(self.store.current(), list(self.session.parameters))

    def sleep(self) -> Update | None:
        if not self.nights or not due(self.session, self.nights):
            return None
        start = time.monotonic()
        record = sleep(self.session)
        return None if record is None else _update(record, time.monotonic() - start)


def _update(record: Record, seconds: float) -> Update:
    return Update(record.id, record.state == "accepted", seconds, record.bytes, record.entries)
