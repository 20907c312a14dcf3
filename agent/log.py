"""Where finished tasks go: the task log on disk, and behind it the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nimllm.agent import records
from nimllm.agent.memories import Memories
from nimllm.agent.records import CheckRecord, TaskRecord
from nimllm.agent.results import TaskResult

if TYPE_CHECKING:
    from nimllm.alignment.episodes import Episode
    from nimllm.alignment.memory.conventions import Order


@dataclass(frozen=True)
class Verdict:
    """What checks say about a task; it replaces what the task says of itself."""

    passed: bool
    checks: list[CheckRecord]
    error: str = ""

    @property
    def detail(self) -> str:
        failed = [check.check for check in self.checks if not check.passed]
        return self.error or (f"failed: {failed[0]}" if failed else "all checks passed")


class TaskLog:
    """Records and remembers one session's tasks. ``remembered`` is called from another thread after each update;
    ``about`` holds the fields that all records share (model, base, mode, sandbox, workspace, session)."""

    def __init__(self, run: Path, memory: str, method: str, remembered: Callable[[TaskRecord], None] | None = None,
                 **about: str) -> None:
        self.keep = True  # False: nothing is written or remembered
        self.memories = Memories(run, memory, method, remembered)
        self.about = about
        self.learning = ""  # what the last record's corrections teach, for the user

    @property
    def pending(self) -> int:
        return self.memories.pending

    @property
    def failed(self) -> int:
        """Updates that broke; one that the gate held back did not."""
        return self.memories.failed

    def add(self, result: TaskResult, verdict: Verdict | None = None, learn: bool = True, **about: str) -> TaskRecord:
        """Writes the record, redacted, and queues what may be learnt. NimError 3 when it cannot be written."""
        from nimllm.tools.redact import together

        redact = together(records.texts(result))
        record = records.task_record(result, redact, **{**self.about, **about})
        if verdict is not None:
            record.outcome, record.by = "success" if verdict.passed else "failure", "check"
            record.detail = redact(verdict.detail)
            record.checks = [CheckRecord(check=redact(check.check), passed=check.passed, detail=redact(check.detail))
                             for check in verdict.checks]
        self.learning = ""
        if not self.keep:
            return record
        if learn:
            self._remember(record, records.task_episode(record, result, redact))
        else:
            records.write(record)
        return record

    def _remember(self, record: TaskRecord, episode: Episode) -> None:
        """Queues an episode, and says what its corrections teach."""
        from nimllm.agent import teaching

        self.learning = teaching.sentence(episode) if self.memories.mode != "off" else ""
        self.memories.add(record, episode)

    def correct(self, result: TaskResult, record: TaskRecord, command: str = "", answer: str = "") -> None:
        """The user says what a task should have run or said (neither: that what it did was wrong). ``record`` is the
        one that will tell what became of it: the task's, or that of the command which the user typed instead."""
        from nimllm.agent import teaching
        from nimllm.tools.redact import together

        self.learning = ""
        if self.keep:
            redact = together([*records.texts(result), command, answer])
            self._remember(record, teaching.episode(record, result, redact, command, answer))

    def order(self, text: str, order: Order, told: str) -> TaskRecord:
        """An order about the future: written down, and learnt; nothing runs. ``told``: what the user was told."""
        from nimllm.agent import teaching
        from nimllm.tools.redact import together

        redact = together([text])
        record = records.order_record(text, told, redact, **self.about)
        self.learning = ""
        if self.keep:
            self._remember(record, teaching.order_episode(record, text, order.request, order.command,
                                                           redact))
        return record

    def said(self, result: TaskResult, record: TaskRecord, kind: Literal["success", "failure"], detail: str = ""
             ) -> None:
        """The user's word about a finished task: it outweighs what the task says of itself, and is learnt from."""
        from nimllm.tools.redact import together

        redact = together([*records.texts(result), detail])
        record.outcome, record.by, record.detail = kind, "user", redact(detail) or "the user said so"
        if not self.keep:
            return
        self.learning = ""
        if kind == "success":
            self._remember(record, records.task_episode(record, result, redact))
        else:
            records.write(record)

    def wait(self, timeout: float | None = None) -> bool:
        """Until every update is done; False when ``timeout`` seconds were not enough."""
        return self.memories.wait(timeout)
