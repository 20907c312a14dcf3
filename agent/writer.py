"""What the model writes: the text of a turn, several of them side by side, or the choice of the next turn.

The harness writes the markers; the model fills the gaps, and cannot write a marker of its own.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from nimllm.agent.results import TaskEnd
from nimllm.agent.window import Overflow, fit_task
from nimllm.llm.turns import ROLES, Turn

if TYPE_CHECKING:
    from nimllm.llm.generate import Completion, Generator, Sampling

MOST = 64  # texts that an engine draws side by side
COMMAND_TOKENS = 160


class End(Exception):
    """The task ends here, for this reason."""

    def __init__(self, ended: TaskEnd, limit: str = "") -> None:
        self.ended, self.limit = ended, limit
        super().__init__(limit)


class Tally:
    """Tokens of one task, and the seconds their decoding took (reading the prompts not counted)."""

    def __init__(self) -> None:
        self.tokens, self.seconds = 0, 0.0

    def add(self, done: Completion) -> None:
        self.tokens += len(done.ids)
        self.seconds += len(done.ids) / done.tokens_per_second if done.ids else 0.0

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds if self.seconds > 0 else 0.0


class Writer:
    """A model within its window. ``stop`` may be called from a signal handler: whatever is being written then raises
    End("interrupted"); so does a task that no longer fits ("context").

    With a ``temperature``, texts are drawn where the likeliest is taken otherwise; ``seed`` names the draws."""

    def __init__(self, generator: Generator, temperature: float = 0.0, seed: int = 0) -> None:
        self.generator = generator
        self.temperature, self._draw = temperature, seed << 20
        self.stopped = threading.Event()
        self._cancel = ctypes.c_int32(0)  # the same, for the engine, which draws several texts in one call
        tokenizer = generator.tokenizer
        self._marker = {name: tokenizer.marker(name) for name in (*ROLES, "end")}
        self._banned = (0, 1, 2, 3, *(self._marker[role] for role in ROLES))

    def stop(self) -> None:
        self.stopped.set()
        self._cancel.value = 1

    def restart(self) -> None:
        self.stopped.clear()
        self._cancel.value = 0

    def one(self, turns: Sequence[Turn], role: str, tokens: int, tally: Tally,
            on_text: Callable[[str], None] | None = None, sampling: Sampling | None = None) -> Completion:
        """The model's text for a turn of ``role`` after ``turns``."""
        tokens = min(tokens, self.generator.config.context // 4)
        if sampling is None and self.temperature:
            sampling = self._sampling()
        done = self.generator.complete(
            [*self._ids(turns, tokens + 1), self._marker[role]], tokens, stop_ids=(self._marker["end"],),
            banned=self._banned, on_text=on_text, should_stop=self.stopped.is_set, sampling=sampling,
        )
        tally.add(done)
        self._heed()
        return done

    def many(self, turns: Sequence[Turn], role: str, tokens: int, count: int, sampling: Sampling, tally: Tally
             ) -> list[Completion]:
        """``count`` texts for the turn, drawn side by side."""
        tokens = min(tokens, self.generator.config.context // 4)
        drawn = self.generator.complete_many(
            [*self._ids(turns, tokens + 1), self._marker[role]], min(count, MOST), tokens,
            stop_ids=(self._marker["end"],), banned=self._banned, sampling=sampling, cancel=self._cancel)
        for done in drawn:
            tally.add(done)
        self._heed()
        return drawn

    def next(self, turns: Sequence[Turn]) -> Literal["bash", "assistant"]:
        """The turn the model wants next."""
        room = min(COMMAND_TOKENS, self.generator.config.context // 4) + 2
        choice = self.generator.complete(self._ids(turns, room), 1, should_stop=self.stopped.is_set,
                                         allowed_first=(self._marker["bash"], self._marker["assistant"]))
        self._heed()
        return "bash" if choice.ids[:1] == [self._marker["bash"]] else "assistant"

    def _sampling(self) -> Sampling:
        from nimllm.llm.generate import Sampling

        self._draw += 1
        return Sampling(temperature=self.temperature, top_p=0.95, seed=self._draw)

    def _ids(self, turns: Sequence[Turn], room: int) -> list[int]:
        try:
            return fit_task(turns, self.generator.tokenizer, self.generator.config.context, room).ids
        except Overflow as overflow:
            raise End("context", f"the task no longer fits into the model's window: {overflow}") from None

    def _heed(self) -> None:
        if self.stopped.is_set():
            raise End("interrupted", "stopped by the user")
