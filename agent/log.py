"""Where finished tasks go: the task log on disk, and behind it the memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nimllm.agent import records
from nimllm.agent.memories import Memories
from nimllm.agent.records import CheckRecord, TaskRecord
from nimllm.agent.results import TaskResult


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

    @property
    def pending(self) -> int:
        return self.memories.pending

    @property
    def failed(self) -> int:
        """Updates that broke; one that the gate held back did not."""
        return self.memories.failed

    def add(self, result: TaskResult, verdict: Verdict | None = None, learn: bool = True, **about: str) -> TaskRecord:
        """Writes the record, redacted, and queues what may be learnt. NimError 3 when it cannot be written."""
        from nimllm.tools.redact import redact

        record = records.task_record(result, redact, **{**self.about, **about})
        if verdict is not None:
            record.outcome, record.by = "success" if verdict.passed else "failure", "check"
            record.detail = redact(verdict.detail)
            record.checks = [CheckRecord(check=redact(check.check), passed=check.passed, detail=redact(check.detail))
                             for check in verdict.checks]
        if not self.keep:
            return record
        if learn:
            self.memories.add(record, records.task_episode(record, result, redact))
        else:
            records.write(record)
        return record

    def said(self, result: TaskResult, record: TaskRecord, kind: Literal["success", "failure"], detail: str = ""
             ) -> None:
        """The user's word about a finished task: it outweighs what the task says of itself, and is learnt from."""
        from nimllm.tools.redact import redact

        record.outcome, record.by, record.detail = kind, "user", redact(detail) or "the user said so"
        if not self.keep:
            return
        if kind == "success":
            self.memories.add(record, records.task_episode(record, result, redact))
        else:
            records.write(record)

    def wait(self, timeout: float | None = None) -> bool:
        """Until every update is done; False when ``timeout`` seconds were not enough."""
        return self.memories.wait(timeout)
