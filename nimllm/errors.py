"""The two kinds of error a user meets, and the exit code of each situation.

A leaf: any room may import it, it imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable

OK = 0
TASK_FAILED = 1  # a task or one of its checks failed
USAGE = 2  # the command line is wrong
CONFIG = 3  # configuration, model, tokenizer, data or checkpoint is unusable
BLOCKED = 4  # an approval was needed and nobody could give it, or the policy forbids
SANDBOX = 5  # the sandbox that was asked for cannot be enforced
LIMIT = 6  # steps, time or output ran out
MEMORY = 7  # the memory store is locked or corrupt, or an update was rolled back
SHELL = 8  # bash could not be started or recovered
GAVE_UP = 9  # the model produced nothing usable
INTERRUPTED = 130  # SIGINT
TERMINATED = 143  # SIGTERM

# Of several, the one to report: what stopped everything, then what was broken, then what a task did.
WORST = (TERMINATED, INTERRUPTED, SANDBOX, SHELL, MEMORY, CONFIG, USAGE, BLOCKED, GAVE_UP, LIMIT, TASK_FAILED, OK)


def worst(codes: Iterable[int]) -> int:
    """The code that comes first in :data:`WORST`; 0 of none."""
    return min(codes, key=WORST.index, default=OK)


class NimError(Exception):
    """Something a user can mend: what happened, why, how to mend it.

    ``code`` is the process's exit code when nobody catches the error before the command line does.
    """

    def __init__(self, what: str, why: str = "", mend: str = "", code: int = CONFIG) -> None:
        self.what, self.why, self.mend, self.code = what, why, mend, code
        super().__init__(self.message())

    def message(self) -> str:
        """One paragraph: ``what: why. mend.``"""
        text = self.what
        if self.why:
            text += f": {self.why}"
        if self.mend:
            command = self.mend.startswith(("nimllm", "-"))  # a command stays as it is typed
            text += ". " + (self.mend if command else self.mend[0].upper() + self.mend[1:])
        return text


class UsageError(NimError):
    """The command line is wrong (exit 2)."""

    def __init__(self, what: str, why: str = "", mend: str = "see --help") -> None:
        super().__init__(what, why, mend, USAGE)
