"""Given commands instead of a model's, through the same gates: policy, sandboxed shell, hooks, records."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nimllm.agent.loop import Hooks
from nimllm.agent.results import Step, TaskEnd, TaskResult

if TYPE_CHECKING:
    from nimllm.tools.shell import Shell


class Script:
    """Stands where :class:`~nimllm.agent.loop.Agent` does: ``task``, ``stop``. ``step_timeout`` and ``task_timeout``
    are seconds. NimError 3: a file of policy rules is wrong."""

    def __init__(self, commands: Sequence[str], shell: Shell, mode: str, *, step_timeout: float = 60.0,
                 task_timeout: float | None = None) -> None:
        from nimllm.tools import rules

        self.rules = rules.load(shell.workspace)
        self.commands, self.shell, self.mode = tuple(commands), shell, mode
        self.step_timeout, self.task_timeout = step_timeout, task_timeout
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ends the script as soon as the running command is gone; may be called from a signal handler."""
        self._stop.set()
        self.shell.interrupt()

    def task(self, request: str, hooks: Hooks | None = None) -> TaskResult:
        """Runs the commands in order, to the last or to one that the policy stops. NimError 8: the shell is gone."""
        hooks = hooks or Hooks()
        result = TaskResult(request, "")
        start = time.monotonic()
        for command in self.commands:
            left = self.task_timeout - (time.monotonic() - start) if self.task_timeout else self.step_timeout
            if left <= 0:
                result.ended, result.limit = "time", f"stopped after {self.task_timeout:g} seconds"
            elif self._stop.is_set():
                result.ended, result.limit = "interrupted", "stopped by the user"
            else:
                self._step(command, min(left, self.step_timeout), result, hooks)
            if result.ended != "answered":
                break
        if self._stop.is_set() and result.ended == "answered":
            result.ended, result.limit = "interrupted", "stopped by the user"
        result.seconds = time.monotonic() - start
        return result

    def _step(self, command: str, timeout: float, result: TaskResult, hooks: Hooks) -> None:
        from nimllm.tools import policy

        verdict = policy.judge(command, self.mode, (), self.shell.workspace, self.rules)
        step = Step(command, by="user", verdict=verdict.action, reason=verdict.reason)
        result.steps.append(step)
        if verdict.action != "run":
            ended: TaskEnd = "blocked"
            step.ended = "refused" if verdict.action == "refuse" else "blocked"
            why = f"the policy refuses {command!r}: {verdict.reason}"
            if verdict.action == "ask":
                step.decision = hooks.approve(command, verdict).kind
                if step.decision in ("accept", "always"):
                    step.ended, ended = "done", "answered"
                elif step.decision == "abort":
                    step.ended, ended = "rejected", "aborted"
                why = f"{command!r} needs approval ({verdict.reason}) and nobody gave it"
            if ended != "answered":
                result.ended, result.limit = ended, why
                hooks.finished(step)
                return
        hooks.started(command, verdict)
        done = self.shell.run(command, timeout=timeout, on_output=hooks.output)
        step.take(done, self.shell.sandbox)
        hooks.finished(step)
        if step.denied:
            hooks.notice(step.denied)
        if done.restarted:
            hooks.notice("the shell had died and was started anew; its variables are lost, its folder is kept")
        if done.ended == "interrupted":
            result.ended, result.limit = "interrupted", "stopped by the user"
