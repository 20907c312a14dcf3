"""The loop: request -> plan -> command -> verdict -> run -> observation -> ... -> answer.

The harness owns the format: it writes the markers, and the model only fills the text between them or chooses between
``bash`` and ``assistant``. Nothing here draws on a terminal; whoever does so implements :class:`Hooks`.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nimllm.agent.results import Decision, Step, TaskEnd, TaskResult
from nimllm.agent.window import Overflow, check_request, fit_task
from nimllm.errors import NimError
from nimllm.llm.turns import ROLES, Turn, observation, workspace_note

if TYPE_CHECKING:
    from nimllm.llm.generate import Completion, Generator, Sampling
    from nimllm.tools.policy import Verdict
    from nimllm.tools.rules import Rules
    from nimllm.tools.shell import Shell
    from nimllm.tools.snapshots import Snapshots

PLAN_TOKENS, COMMAND_TOKENS, ANSWER_TOKENS = 96, 160, 128
RESAMPLES, RESAMPLE_TEMPERATURE = 3, 0.7  # tries after the greedy one when a command is empty or does not parse
REJECTIONS = 3  # rejected commands after which a task ends
NEUTRAL = "The output above shows it."
_NUMBER = re.compile(r"\d+")
SCAN_NAMES = 2000  # entries of the working folder that are looked at


class Hooks:
    """What the loop tells and asks; this class tells nobody and lets nothing run that needs a word from a person."""

    def plan_text(self, piece: str) -> None:
        """A piece of the plan, as it is written."""

    def plan(self, text: str) -> None:
        """The whole plan."""

    def approve(self, command: str, verdict: Verdict) -> Decision:
        """The policy wants a person to look at ``command``."""
        return Decision("blocked")

    def started(self, command: str, verdict: Verdict) -> None:
        """The command runs now."""

    def output(self, text: str) -> None:
        """A piece of the command's output, raw: whoever shows it makes control characters visible."""

    def finished(self, step: Step) -> None:
        """The step is over, run or not."""

    def answer_text(self, piece: str) -> None:
        """A piece of the answer, as it is written."""

    def answer(self, text: str) -> None:
        """The whole answer."""

    def notice(self, text: str) -> None:
        """Something the user should know: the shell was restarted, the model repeats itself."""


class _End(Exception):
    """The task ends here, for this reason."""

    def __init__(self, ended: TaskEnd, limit: str = "") -> None:
        self.ended, self.limit = ended, limit
        super().__init__(limit)


class Agent:
    """One model and one shell. ``step_timeout`` and ``task_timeout`` are seconds; ``max_steps`` counts commands.

    Thread use: ``task`` runs in one thread; ``interrupt`` and ``stop`` may be called from a signal handler.
    """

    def __init__(
        self,
        generator: Generator,
        shell: Shell,
        mode: str = "ask",
        *,
        max_steps: int = 6,
        step_timeout: float = 60.0,
        task_timeout: float | None = None,
        snapshots: Snapshots | None = None,
        seed: int = 0,
        rules: Rules | None = None,
    ) -> None:
        self.generator, self.shell, self.mode = generator, shell, mode
        self.max_steps, self.step_timeout, self.task_timeout = max_steps, step_timeout, task_timeout
        self.snapshots, self.seed = snapshots, seed
        self.always: list[str] = []
        self.rules = rules if rules is not None else _rules(shell)
        self.tokens_per_second = 0.0
        self._stop = threading.Event()
        self._running = threading.Event()  # a command runs
        self._interrupted = False  # the running command was asked to stop
        self._expected = False  # a stop from now on is meant for what comes next
        self._told = False  # which rules are ignored
        tokenizer = generator.tokenizer
        self._marker = {name: tokenizer.marker(name) for name in (*ROLES, "end")}
        self._banned = (0, 1, 2, 3, *(self._marker[role] for role in ROLES))

    # ---- control from outside -------------------------------------------------------------------------------------

    def interrupt(self) -> Literal["command", "turn"]:
        """^C: stops the running command; when none runs, or it was already asked to stop, the turn."""
        if self._running.is_set() and not self._interrupted:
            self._interrupted = True
            self.shell.interrupt()
            return "command"
        self.stop()
        return "turn"

    def expect(self) -> None:
        """A task or a command follows: a stop from now on is for it, even if it comes before the first token."""
        self._stop.clear()
        self._expected = True

    def stop(self) -> None:
        """Ends the task at the next token or as soon as the running command is gone."""
        self._stop.set()
        if self._running.is_set():
            self.shell.interrupt()

    # ---- one task -------------------------------------------------------------------------------------------------

    def task(self, request: str, hooks: Hooks | None = None) -> TaskResult:
        """Works on one request until the model answers or a limit is reached.

        Raises NimError 2 for a request that cannot be given to the model (nothing has run then), and NimError 8 when
        the shell cannot be recovered.
        """
        hooks = hooks or Hooks()
        check_request(request, self.generator.tokenizer, self.generator.config.context)
        if not self._expected:
            self._stop.clear()
        self._expected = False
        note = workspace_note(self.names())
        result = TaskResult(request, note)
        for sentence in self.rules.ignored if not self._told else ():
            hooks.notice(sentence)
        self._told = True
        start = time.monotonic()
        deadline = start + self.task_timeout if self.task_timeout else None
        tally = _Tally()
        turns = [Turn("system", note, tainted=True), Turn("user", request)]
        try:
            self._plan(turns, result, hooks, tally)
            while self._next(turns) == "bash":
                self._check_limits(result, deadline)
                self._step(turns, result, hooks, deadline, tally)
            self._answer(turns, result, hooks, tally)
        except _End as end:
            result.ended, result.limit = end.ended, end.limit
            if end.ended in ("loop", "steps"):
                hooks.notice(end.limit)
                try:
                    self._answer(turns, result, hooks, tally)
                except _End:
                    pass  # the first reason is the one to tell
        result.seconds = time.monotonic() - start
        result.tokens = tally.tokens
        result.tokens_per_second = tally.speed
        self.tokens_per_second = tally.speed or self.tokens_per_second
        return result

    def first_command(self, request: str) -> tuple[str, str]:
        """Plan and first command for a request, without running anything; an empty command when the model wrote none
        that parses. NimError 2 as for :meth:`task`."""
        check_request(request, self.generator.tokenizer, self.generator.config.context)
        self._stop.clear()
        note = workspace_note(self.names())
        turns = [Turn("system", note, tainted=True), Turn("user", request)]
        result, tally = TaskResult(request, note), _Tally()
        try:
            self._plan(turns, result, Hooks(), tally)
            return result.plan, self._command(turns, tally, ())
        except _End:
            return result.plan, ""

    def names(self) -> list[str]:
        """Top-level entries of the shell's folder, folders with a slash at the end."""
        from nimllm.agent.display import visible

        found: list[str] = []
        try:
            with os.scandir(self.shell.cwd) as entries:
                for entry in entries:
                    found.append(visible(entry.name).replace("\n", "\\n") + ("/" if entry.is_dir() else ""))
                    if len(found) >= SCAN_NAMES:
                        break
        except OSError:
            return []
        return found

    # ---- what the model writes ------------------------------------------------------------------------------------

    def _write(
        self,
        turns: Sequence[Turn],
        role: str,
        tokens: int,
        tally: _Tally,
        on_text: Callable[[str], None] | None = None,
        sampling: Sampling | None = None,
    ) -> Completion:
        """The model's text for a turn of ``role`` after ``turns``."""
        context = self.generator.config.context
        tokens = min(tokens, context // 4)
        try:
            ids = fit_task(turns, self.generator.tokenizer, context, tokens + 1).ids
        except Overflow as overflow:
            raise _End("context", f"the task no longer fits into the model's window: {overflow}") from None
        done = self.generator.complete(
            [*ids, self._marker[role]], tokens, stop_ids=(self._marker["end"],), banned=self._banned,
            on_text=on_text, should_stop=self._stop.is_set, sampling=sampling,
        )
        tally.add(done)
        if self._stop.is_set():
            raise _End("interrupted", "stopped by the user")
        return done

    def _plan(self, turns: list[Turn], result: TaskResult, hooks: Hooks, tally: _Tally) -> None:
        result.plan = self._write(turns, "plan", PLAN_TOKENS, tally, hooks.plan_text).text.strip()
        hooks.plan(result.plan)
        turns.append(Turn("plan", result.plan))

    def _next(self, turns: Sequence[Turn]) -> str:
        """The marker the model wants next: ``bash`` or ``assistant``."""
        context = self.generator.config.context
        try:
            ids = fit_task(turns, self.generator.tokenizer, context, min(COMMAND_TOKENS, context // 4) + 2).ids
        except Overflow as overflow:
            raise _End("context", f"the task no longer fits into the model's window: {overflow}") from None
        choice = self.generator.complete(ids, 1, allowed_first=(self._marker["bash"], self._marker["assistant"]),
                                         should_stop=self._stop.is_set)
        if self._stop.is_set():
            raise _End("interrupted", "stopped by the user")
        return "bash" if choice.ids[:1] == [self._marker["bash"]] else "assistant"

    def _command(self, turns: Sequence[Turn], tally: _Tally, not_these: Sequence[str]) -> str:
        """A command that parses and is none of ``not_these``: greedy first, then resampled."""
        from nimllm.llm.generate import Sampling

        said = ""
        for attempt in range(RESAMPLES + 1):
            sampling = None
            if attempt or not_these:
                seed = self.seed * 1000 + attempt + 10 * len(not_these)
                sampling = Sampling(temperature=RESAMPLE_TEMPERATURE, top_p=0.95, seed=seed)
            done = self._write(turns, "bash", COMMAND_TOKENS, tally, sampling=sampling)
            said = done.text.strip()
            if done.stopped == "stop" and said and said not in not_these and parses(said):
                return said
        raise _End("gave-up", f"the model wrote no usable command in {RESAMPLES + 1} tries (the last: {said[:80]!r})")

    def _answer(self, turns: Sequence[Turn], result: TaskResult, hooks: Hooks, tally: _Tally) -> None:
        # not streamed: it is a sentence, and it must be looked at before anybody reads it
        result.answer = grounded(self._write(turns, "assistant", ANSWER_TOKENS, tally).text.strip(), turns)
        hooks.answer_text(result.answer)
        hooks.answer(result.answer)
        if not result.answer and not result.steps:
            raise _End("gave-up", "the model neither ran a command nor said anything")

    # ---- one step -------------------------------------------------------------------------------------------------

    def _check_limits(self, result: TaskResult, deadline: float | None) -> None:
        if len(result.commands) >= self.max_steps:
            raise _End("steps", f"stopped after {self.max_steps} commands (--max-steps)")
        if deadline is not None and time.monotonic() >= deadline:
            raise _End("time", f"stopped after {self.task_timeout:g} seconds (--task-timeout)")

    def _step(
        self, turns: list[Turn], result: TaskResult, hooks: Hooks, deadline: float | None, tally: _Tally
    ) -> None:
        """Propose, judge, ask, run, observe: appends the bash and the output turn, or raises _End."""
        from nimllm.tools import policy

        rejected: list[str] = []
        while True:
            command = self._command(turns, tally, rejected)
            verdict = policy.judge(command, self.mode, self.always, self.shell.workspace, self.rules)
            step = Step(command, verdict=verdict.action, reason=verdict.reason)
            result.steps.append(step)
            if verdict.action == "refuse":
                step.ended = "refused"
                hooks.finished(step)
                raise _End("blocked", f"the policy refuses {command!r}: {verdict.reason}")
            if verdict.action == "ask":
                said = hooks.approve(command, verdict)
                step.decision = said.kind
                if said.kind in ("blocked", "abort"):
                    step.ended = "blocked" if said.kind == "blocked" else "rejected"
                    hooks.finished(step)
                    if said.kind == "abort":
                        raise _End("aborted", "aborted by the user")
                    raise _End("blocked", f"{command!r} needs approval ({verdict.reason}) and nobody can be asked")
                if said.kind == "reject":
                    step.ended, step.reason = "rejected", said.reason
                    hooks.finished(step)
                    rejected.append(command)
                    if len(rejected) >= REJECTIONS:
                        raise _End("aborted", f"{REJECTIONS} commands were rejected")
                    if said.reason:
                        step.plan = result.plan
                        self._replan(turns, result, said.reason, hooks, tally)
                    continue
                if said.kind == "always":
                    self.always += policy.prefixes(command)
                if said.kind == "edit":
                    step.edited_from, step.command = command, said.command
            break
        self.run(step, hooks, deadline)
        turns += [Turn("bash", step.command), Turn("output", observation(visible_output(step), step.status), True)]
        if self._stop.is_set():
            raise _End("interrupted", "stopped by the user")
        key = (step.command, step.status, step.output)
        if any((old.command, old.status, old.output) == key for old in result.commands if old is not step):
            raise _End("loop", "stopped: the same command gave the same output twice")

    def _replan(self, turns: list[Turn], result: TaskResult, reason: str, hooks: Hooks, tally: _Tally) -> None:
        """The user said what was wrong: it joins the request, and the model plans again with what it saw so far."""
        request = f"{turns[1].text}, {reason}"
        check_request(request, self.generator.tokenizer, self.generator.config.context)
        turns[1] = Turn("user", request)
        seen = turns[3:]
        del turns[2:]
        self._plan(turns, result, hooks, tally)
        turns += seen

    def run(self, step: Step, hooks: Hooks, deadline: float | None = None) -> None:
        """Runs ``step.command`` in the shell and fills in what happened. Also used for a user's own ``!command``."""
        from nimllm.tools import policy

        timeout = self.step_timeout
        if deadline is not None:
            timeout = max(1.0, min(timeout, deadline - time.monotonic()))
        verdict = policy.judge(step.command, self.mode, self.always, self.shell.workspace, self.rules)
        writes = policy.judge(step.command, "read-only").action != "run"
        step.snapshot = self._snapshot("before", step, hooks) if writes else None
        self._interrupted = False
        self._running.set()
        try:
            hooks.started(step.command, verdict)
            if self._interrupted or self._stop.is_set():  # before the shell had begun, which would not have noticed
                step.ended, step.status, step.cwd = "interrupted", 130, str(self.shell.cwd)
                hooks.finished(step)
                return
            done = self.shell.run(step.command, timeout=timeout, on_output=hooks.output)
        finally:
            self._running.clear()
        step.take(done, self.shell.sandbox)
        step.after = self._snapshot("after", step, hooks) if step.snapshot else None
        hooks.finished(step)
        if step.denied:
            hooks.notice(step.denied)
        if done.reason and done.reason not in done.output:
            hooks.notice(done.reason)
        if done.restarted:
            hooks.notice("the shell had died and was started anew; its variables are lost, its folder is kept")


    def _snapshot(self, when: str, step: Step, hooks: Hooks) -> str | None:
        """The workspace as it is; without room for it the command still runs, and /undo will not know it."""
        if self.snapshots is None:
            return None
        try:
            taken = self.snapshots.take(f"{when}: {step.command[:60]}")
            if news := self.snapshots.news(taken):
                hooks.notice(news)
            return taken
        except NimError as error:
            hooks.notice(f"{error.message()}; /undo will not know this command")
            return None


def _rules(shell: Shell) -> Rules:
    """The user's and the workspace's rules; NimError 3 when a file of them is wrong. (``--plan-only`` has no shell.)"""
    from nimllm.tools import rules

    return rules.load(getattr(shell, "workspace", None))


class _Tally:
    """Tokens of one task, and the seconds their decoding took (reading the prompts not counted)."""

    def __init__(self) -> None:
        self.tokens, self.seconds = 0, 0.0

    def add(self, done: Completion) -> None:
        self.tokens += len(done.ids)
        self.seconds += len(done.ids) / done.tokens_per_second if done.ids else 0.0

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds if self.seconds > 0 else 0.0


def grounded(answer: str, turns: Sequence[Turn]) -> str:
    """The answer, or a neutral sentence when it states a number that stands nowhere in what the model has read: a
    number in an answer is a copy, and a small model's copy can be wrong while the output above it is right."""
    read = {number for turn in turns for number in _NUMBER.findall(turn.text)}
    if set(_NUMBER.findall(answer)) <= read:
        return answer
    return NEUTRAL if any(turn.role == "output" for turn in turns) else ""


def visible_output(step: Step) -> str:
    """The output for the model: with a word about a timeout, and no terminal control characters."""
    from nimllm.agent.display import plain

    text = plain(step.output)
    if step.ended == "timeout":
        text += f"\n[stopped after {step.seconds:.0f} s]"
    elif step.ended == "interrupted":
        text += "\n[interrupted]"
    return text


def parses(command: str) -> bool:
    """Whether bash accepts the syntax. Nothing is executed; an empty environment keeps BASH_ENV out."""
    if "\0" in command:
        return False
    try:
        done = subprocess.run(
            ["bash", "--norc", "--noprofile", "-n"], input=command.encode("utf-8", "replace"), capture_output=True,
            env={"PATH": os.environ.get("PATH", os.defpath)}, timeout=10, check=False, cwd=Path("/"),
        )
    except FileNotFoundError:
        return True  # the shell, which needs bash too, gives the error that says so
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and not done.stderr  # a here-document without its end only warns
