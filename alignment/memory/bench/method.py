"""What the bench asks of a way of learning. The ways themselves are in ``methods/``.

A method sees one episode per call and nothing else: no questions, no later items, no word about which kind of item it
is. It keeps its state in the folder it was given, so that a bench that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nimllm.llm.turns import Turn

if TYPE_CHECKING:
    import numpy as np

    from nimllm.alignment.episodes import Episode


@dataclass(frozen=True)
class Update:
    """What one call of ``learn`` or ``sleep`` did. ``seconds`` of wall time; ``bytes`` of what it wrote to be kept (the
    delta as it lies on disk); ``entries``: weights it changed. ``id`` is what ``revert`` takes, "" when nothing can."""

    id: str
    accepted: bool
    seconds: float
    bytes: int
    entries: int


class Method(Protocol):
    """One way of learning, with its state on disk. Deterministic: the same episodes in the same order give the same
    weights, also when the process was killed between two of them."""

    name: str
    added_bytes: int  # parameters or stores that answering needs beside a weight file of the base's shapes

    def learn(self, episode: Episode) -> Update:
        """One item of the stream into the weights; durable when it returns. An item that was learnt before (by its
        ``episode.id``, after a kill between ``learn`` and the bench's own note of it) is not learnt twice."""
        ...

    def tensors(self) -> Mapping[str, np.ndarray]:
        """The weights now: the base's names and shapes, fp32."""
        ...

    def side_bytes(self) -> int:
        """Bytes of what learning (not answering) keeps: Fisher, covariances, buffer, ledger."""
        ...

    def revert(self, id: str) -> None:
        """Takes one update out. NotImplementedError where a method cannot."""
        ...

    def sleep(self) -> Update | None:
        """Consolidation, when the method has it and it is due; else None. Called after every item."""
        ...


@runtime_checkable
class Answers(Protocol):
    """A method that is no weights: it answers by itself (the constant answer)."""

    def answer(self, questions: Sequence[Sequence[Turn]]) -> list[str]:
        """One text per question; a question is the conversation up to the user's last turn."""
        ...


@runtime_checkable
class Context(Protocol):
    """A method that puts what was told in front of a question instead of into the weights (the upper reference)."""

    def context(self, question: Sequence[Turn]) -> list[Turn]:
        """The turns to stand before the question."""
        ...


Maker = Callable[[Path, Path, int], Method]  # (run folder of the base, state folder of its own, seed)
