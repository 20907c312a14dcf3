"""What a task leaves behind: its steps, its end, and who says whether it went well."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from nimllm import errors

if TYPE_CHECKING:
    from nimllm.tools.sandbox import Sandbox
    from nimllm.tools.shell import Result

By = Literal["model", "user"]
Decided = Literal["accept", "always", "edit", "reject", "abort", "blocked"]
StepEnd = Literal["done", "timeout", "interrupted", "died", "refused", "rejected", "blocked"]
TaskEnd = Literal["answered", "steps", "time", "output", "context", "loop", "blocked", "aborted", "interrupted",
                  "gave-up"]
RAN: frozenset[str] = frozenset({"done", "timeout", "interrupted", "died"})


@dataclass(frozen=True)
class Decision:
    """What somebody said to a proposed command. ``command``: the edited one; ``reason``: why it was rejected."""

    kind: Decided
    command: str = ""
    reason: str = ""


@dataclass
class Step:
    """One command: who wrote it, what the policy and the user said, and what it did.

    ``status`` is None when the command did not run or did not end by itself; ``seconds`` are wall clock; ``output`` is
    what the shell kept of the output (its head and tail), ``output_bytes`` the size of all of it.
    """

    command: str
    by: By = "model"
    edited_from: str | None = None
    verdict: str = "run"  # the policy's: run, ask or refuse
    reason: str = ""
    decision: Decided | None = None  # None: nobody was asked
    ended: StepEnd = "done"
    status: int | None = None
    output: str = ""
    output_bytes: int = 0
    truncated: bool = False
    seconds: float = 0.0
    cwd: str = ""
    snapshot: str | None = None
    after: str | None = None  # the snapshot taken when the command had ended
    plan: str | None = None  # the plan it followed, when its rejection made another one
    denied: str = ""  # what in the sandbox seems to have stopped it, and what would let it pass
    restarted: bool = False  # a new shell is in the place of the one that ended with it

    def take(self, done: Result, sandbox: Sandbox) -> None:
        """Fills in what the shell says of the command, and whether the sandbox seems to have stopped it."""
        from nimllm.tools import denials

        self.ended, self.status, self.output = done.ended, done.status, done.output
        self.output_bytes, self.truncated, self.seconds, self.cwd = (
            done.bytes, done.truncated, done.seconds, str(done.cwd))
        self.restarted = done.restarted
        self.denied = denials.explain(sandbox, done.output, done.status) or ""

    @property
    def ran(self) -> bool:
        return self.ended in RAN

    @property
    def approved(self) -> bool:
        """A person saw this very command and let it run, or wrote it."""
        return self.by == "user" or self.decision in ("accept", "always", "edit")


@dataclass
class TaskResult:
    """One request and everything that followed. ``limit`` says in a sentence why it ended when not by an answer."""

    request: str
    note: str  # the system turn
    plan: str = ""
    steps: list[Step] = field(default_factory=list)
    answer: str = ""
    ended: TaskEnd = "answered"
    limit: str = ""
    seconds: float = 0.0
    tokens: int = 0
    tokens_per_second: float = 0.0

    @property
    def commands(self) -> list[Step]:
        """The steps that ran."""
        return [step for step in self.steps if step.ran]

    @property
    def shown(self) -> str:
        """What the user was told: the last command's output and the answer."""
        ran = self.commands
        return "\n".join(part for part in (ran[-1].output if ran else "", self.answer) if part)

    @property
    def outcome(self) -> tuple[str, str, str]:
        """``(kind, by, detail)`` as far as the task itself can tell; a check's verdict replaces it.

        A command that a person approved and that exited 0 at the end of the task counts as verified by the user.
        """
        if self.ended in ("aborted", "interrupted"):
            return "aborted", "user", self.limit
        if self.ended not in ("answered", "loop", "steps"):
            return "failure", "nobody", self.limit
        ran = self.commands
        if not ran:
            return ("success", "nobody", "no command was needed") if self.answer else ("failure", "nobody", self.limit)
        if ran[-1].status != 0:
            return "failure", "nobody", f"the last command ended with status {ran[-1].status}"
        if self.ended == "answered" and ran[-1].approved:
            return "success", "user", "the user approved the command and it exited 0"
        return ("success" if self.ended == "answered" else "failure"), "nobody", self.limit

    @property
    def code(self) -> int:
        """The exit code of ``-p``, by how the task ended."""
        codes = {"steps": errors.LIMIT, "time": errors.LIMIT, "output": errors.LIMIT, "context": errors.LIMIT,
                 "loop": errors.GAVE_UP, "gave-up": errors.GAVE_UP, "blocked": errors.BLOCKED,
                 "aborted": errors.BLOCKED, "interrupted": errors.INTERRUPTED}
        if self.ended != "answered":
            return codes[self.ended]
        ran = self.commands
        return errors.TASK_FAILED if ran and ran[-1].status != 0 else errors.OK
