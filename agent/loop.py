"""The loop: request -> plan -> command -> verdict -> run -> observation -> ... -> answer.

The harness owns the format: it writes the markers, and the model only fills the text between them or chooses between
``bash`` and ``assistant``. Nothing here draws on a terminal; whoever does so implements :class:`Hooks`.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nimllm.agent.choose import Candidate, Choice, Chooser, parses
from nimllm.agent.hooks import Hooks
from nimllm.agent.results import Step, TaskResult
from nimllm.agent.stall import Stall, stamp
from nimllm.agent.window import check_request
from nimllm.agent.writer import COMMAND_TOKENS, End, Tally, Writer
from nimllm.errors import USAGE, NimError
from nimllm.llm.turns import Turn, observation, workspace_note

if TYPE_CHECKING:
    from nimllm.llm.generate import Generator
    from nimllm.tools.overlay import Overlay
    from nimllm.tools.policy import Verdict
    from nimllm.tools.rules import Rules
    from nimllm.tools.shell import Shell
    from nimllm.tools.snapshots import Snapshots

__all__ = ["Agent", "Hooks", "grounded", "parses", "visible_output"]

PLAN_TOKENS, ANSWER_TOKENS = 96, 128
RESAMPLES, RESAMPLE_TEMPERATURE = 3, 0.7  # tries after the greedy one when no command is usable
SAMPLE_TEMPERATURE = 1.0  # of --samples: a trained model is so sure of itself that less gives the same text every time
PLANS = 4  # different plans, at most, under which commands are sampled
REJECTIONS = 3  # rejected commands after which a task ends
NEUTRAL = "The output above shows it."
_NUMBER = re.compile(r"\d+")
SCAN_NAMES = 2000  # entries of the working folder that are looked at


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
        temperature: float = 0.0,
        rules: Rules | None = None,
        samples: int = 1,
        try_first: bool = False,
        try_seconds: float = 2.0,
    ) -> None:
        self.samples, self.try_first, self.try_seconds = max(1, samples), try_first, try_seconds
        self.writer = Writer(generator, temperature, seed)
        self.shell, self.mode = shell, mode
        self.max_steps, self.step_timeout, self.task_timeout = max_steps, step_timeout, task_timeout
        self.snapshots, self.seed = snapshots, seed
        self.always: list[str] = []
        self.rules = rules if rules is not None else _rules(shell)
        self.tokens_per_second = 0.0
        self.here = True  # commands are for this machine: a program that it lacks speaks against one
        self._view: Overlay | None = None
        self._open: _Task | None = None  # a task that ended at a limit, and may go on
        self._running = threading.Event()  # a command runs
        self._interrupted = False  # the running command was asked to stop
        self._expected = False  # a stop from now on is meant for what comes next
        self._told = False  # which rules are ignored
        self._seen_exports = b""

    @property
    def generator(self) -> Generator:
        return self.writer.generator

    @generator.setter
    def generator(self, other: Generator) -> None:
        self.writer.generator = other

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
        self.writer.restart()
        self._expected = True

    def stop(self) -> None:
        """Ends the task at the next token or as soon as the running command is gone."""
        self.writer.stop()
        if self._running.is_set():
            self.shell.interrupt()

    # ---- one task -------------------------------------------------------------------------------------------------

    def task(self, request: str, hooks: Hooks | None = None, given: Sequence[str] = ()) -> TaskResult:
        """Works on one request until the model answers or a limit is reached.

        ``given``: commands that are run as if the model had proposed them, before it proposes its own. Raises
        NimError 2 for a request that cannot be given to the model (nothing has run then), and NimError 8 when the shell
        cannot be recovered.
        """
        hooks = hooks or Hooks()
        check_request(request, self.generator.tokenizer, self.generator.config.context)
        self._begin()
        note = workspace_note(self.names())
        result = TaskResult(request, note)
        for sentence in self.rules.ignored if not self._told else ():
            hooks.notice(sentence)
        self._told = True
        task = _Task([Turn("system", note, tainted=True), Turn("user", request)], result, Stall(), given=list(given))
        return self._work(task, hooks, planned=False)

    @property
    def resumable(self) -> str | None:
        """The request of the task that :meth:`resume` would go on with."""
        return self._open.result.request if self._open is not None else None

    def resume(self, hooks: Hooks | None = None) -> TaskResult:
        """Goes on with the last task, which ended at a limit: the number of steps, time, or no progress. The user says
        so, and knows better: repetition does not end it any more, only the limits do, counted anew. The result has the
        new steps. NimError 2 when there is no such task."""
        if self._open is None:
            raise NimError("there is no task to go on with", "no limit has ended the last one", "ask again", USAGE)
        self._begin()
        old = self._open.result
        task = _Task(self._open.turns, TaskResult(old.request, old.note, old.plan), Stall(patient=True))
        return self._work(task, hooks or Hooks(), planned=True)

    def _begin(self) -> None:
        """Forgets a stop that was not meant for what comes now."""
        if not self._expected:
            self.writer.restart()
        self._expected = False

    def _work(self, task: _Task, hooks: Hooks, planned: bool) -> TaskResult:
        """Steps until an answer or a limit."""
        result, start = task.result, time.monotonic()
        task.deadline = start + self.task_timeout if self.task_timeout else None
        tally = task.tally
        self._open = None
        try:
            if not planned:
                self._plan(task.turns, result, hooks, tally)
            while task.given or self.writer.next(task.turns) == "bash":
                self._check_limits(result, task.deadline)
                self._step(task, hooks)
            self._answer(task.turns, result, hooks, tally)
        except End as end:
            result.ended, result.limit = end.ended, end.limit
            if end.ended in ("loop", "steps", "time"):
                self._open = task
            if end.ended in ("loop", "steps"):
                hooks.notice(end.limit)
                try:
                    self._answer(task.turns, result, hooks, tally)
                except End:
                    pass  # the first reason is the one to tell
        result.seconds = time.monotonic() - start
        result.tokens = tally.tokens
        result.tokens_per_second = tally.speed
        self.tokens_per_second = tally.speed or self.tokens_per_second
        return result

    def first_command(self, request: str, hooks: Hooks | None = None) -> tuple[str, str]:
        """Plan and first command for a request, without running anything (but in trials); an empty command when the
        model wrote none that parses, or would rather answer (it declines). ``hooks`` hears of notices and choices.
        NimError 2 as for :meth:`task`."""
        check_request(request, self.generator.tokenizer, self.generator.config.context)
        self._begin()
        note = workspace_note(self.names())
        task = _Task([Turn("system", note, tainted=True), Turn("user", request)], TaskResult(request, note), Stall())
        try:
            self._plan(task.turns, task.result, Hooks(), task.tally)
            if self.writer.next(task.turns) != "bash":  # it declines
                return task.result.plan, ""
            command = self._command(task, hooks or Hooks(), ())
            return task.result.plan, command
        except End:
            return task.result.plan, ""

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

    def _plan(self, turns: list[Turn], result: TaskResult, hooks: Hooks, tally: Tally) -> None:
        result.plan = self.writer.one(turns, "plan", PLAN_TOKENS, tally, hooks.plan_text).text.strip()
        hooks.plan(result.plan)
        turns.append(Turn("plan", result.plan))

    def _command(self, task: _Task, hooks: Hooks, rejected: Sequence[str]) -> str:
        """The next command: the best of ``samples``, the greedy one among them; sampled again where none is usable.

        None is one of ``rejected``, nor one that has just failed. May replace the plan, the last turn then.
        """
        failed = task.stall.failed
        not_these = [*rejected, *failed]
        chooser = Chooser(self._judge, self.mode, self._trials(hooks), self.try_seconds, self._known,
                          self.writer.stopped.is_set, self.here)
        fallback: list[Candidate] = []
        said = ""
        for attempt in range(RESAMPLES + 1):
            samples = [one for one in self._samples(task, attempt, bool(rejected)) if one.command]
            said = samples[-1].command if samples else said
            found = chooser.sift(samples, self._folder(), self._exports(), not_these, task.turns[1].text,
                                 "\n".join(turn.text for turn in task.turns if turn.role == "output"))
            if any(not one.fault or one.refused for one in found):
                return self._chosen(task, hooks, chooser.choose(found, task.turns[1].text, self._folder(),
                                                                self._exports()))
            fallback += found
        if fallback:  # a program that is not there: bash says so best
            return self._chosen(task, hooks, Choice(fallback[0], fallback))
        if failed and said in failed:
            raise End("loop", f"stopped: the model knows only what has just failed ({said[:80]!r})")
        raise End("gave-up", f"the model wrote no usable command in {RESAMPLES + 1} tries (the last: {said[:80]!r})")

    def _samples(self, task: _Task, attempt: int, rejected: bool) -> Iterator[Candidate]:
        """What the model says next, ``samples`` times: the first greedy, but only at the first attempt.

        Before the first step the others get plans of their own: a model goes wrong there before it does in a command.
        """
        from nimllm.llm.generate import Sampling

        seed = self.seed * 1000 + 100 * attempt + 10 * len(task.result.steps)
        warmth = SAMPLE_TEMPERATURE if self.samples > 1 else RESAMPLE_TEMPERATURE
        sampling = Sampling(temperature=warmth, top_p=0.95, seed=seed)
        count = self.samples if not attempt else max(1, self.samples // 2)
        plans = [(task.result.plan, count)]
        if task.turns[-1].role == "plan" and count > 1 and not rejected:
            drawn = self.writer.many(task.turns[:-1], "plan", PLAN_TOKENS, count - 1, sampling, task.tally)
            votes = Counter([task.result.plan, *(one.text.strip() for one in drawn)])
            kept = sorted(votes.items(), key=lambda vote: (vote[0] != task.result.plan, -vote[1]))[:PLANS]
            plans = list(kept)
        for plan, share in plans:
            turns = [*task.turns[:-1], Turn("plan", plan)] if task.turns[-1].role == "plan" else task.turns
            greedy = not attempt and not rejected
            if greedy:
                done = self.writer.one(turns, "bash", COMMAND_TOKENS, task.tally)
                yield Candidate(done.text.strip() if done.stopped == "stop" else "", plan, 1, done.logprob)
            if share - greedy:
                for done in self.writer.many(turns, "bash", COMMAND_TOKENS, share - greedy, sampling, task.tally):
                    yield Candidate(done.text.strip() if done.stopped == "stop" else "", plan, 1, done.logprob)

    def _chosen(self, task: _Task, hooks: Hooks, choice: Choice) -> str:
        """Takes over the plan of the chosen command, and tells."""
        best = choice.candidate
        if task.turns[-1].role == "plan" and best.plan != task.result.plan:
            task.result.plan, task.turns[-1] = best.plan, Turn("plan", best.plan)
            hooks.plan(best.plan)
        if self.samples > 1:
            hooks.chosen(choice)
            if choice.why:
                hooks.notice(choice.why)
        return best.command

    def _answer(self, turns: Sequence[Turn], result: TaskResult, hooks: Hooks, tally: Tally) -> None:
        # not streamed: it is a sentence, and it must be looked at before anybody reads it
        result.answer = grounded(self.writer.one(turns, "assistant", ANSWER_TOKENS, tally).text.strip(), turns)
        hooks.answer_text(result.answer)
        hooks.answer(result.answer)
        if not result.answer and not result.steps:
            raise End("gave-up", "the model neither ran a command nor said anything")

    # ---- what a choice is made by ---------------------------------------------------------------------------------

    def _judge(self, command: str, mode: str) -> Verdict:
        from nimllm.tools import policy

        return policy.judge(command, mode, self.always, getattr(self.shell, "workspace", None), self.rules)

    def _folder(self) -> Path:
        return self.shell.cwd

    def _exports(self) -> bytes:
        return getattr(self.shell, "exports", b"")

    def _known(self, names: Collection[str]) -> Collection[str]:
        """Those of ``names`` that are functions or aliases of the live shell."""
        run = getattr(self.shell, "run", None)
        words = [name for name in names if re.fullmatch(r"[\w.+:@%-]+", name)]
        if run is None or not words:
            return ()
        asked = " ".join(f"type -t -- {name} >/dev/null && echo {name};" for name in words)
        return run(f"( {asked} )", timeout=5.0).output.split()

    def _trials(self, hooks: Hooks) -> Overlay | None:
        """Where commands are tried first; None when they are not. Why they cannot be is said once."""
        if not self.try_first or self.samples < 2:
            return None
        if self._view is None:
            from nimllm.tools.overlay import Overlay

            self._view = Overlay(self.shell.sandbox, private=getattr(self.shell, "private", None))
            if self._view.problem:
                hooks.notice(f"nothing is tried first: {self._view.problem}")
        return self._view

    # ---- one step -------------------------------------------------------------------------------------------------

    def _check_limits(self, result: TaskResult, deadline: float | None) -> None:
        if len(result.commands) >= self.max_steps:
            raise End("steps", f"stopped after {self.max_steps} commands (--max-steps)")
        if deadline is not None and time.monotonic() >= deadline:
            raise End("time", f"stopped after {self.task_timeout:g} seconds (--task-timeout)")

    def _step(self, task: _Task, hooks: Hooks) -> None:
        """Propose, judge, ask, run, observe: appends the bash and the output turn, or raises End."""
        from nimllm.tools import policy

        turns, result, tally = task.turns, task.result, task.tally
        rejected: list[str] = []
        while True:
            command = task.given.pop(0) if task.given else self._command(task, hooks, rejected)
            verdict = self._judge(command, self.mode)
            step = Step(command, verdict=verdict.action, reason=verdict.reason)
            result.steps.append(step)
            if verdict.action == "refuse":
                step.ended = "refused"
                hooks.finished(step)
                raise End("blocked", f"the policy refuses {command!r}: {verdict.reason}")
            if verdict.action == "ask":
                said = hooks.approve(command, verdict)
                step.decision = said.kind
                if said.kind in ("blocked", "abort"):
                    step.ended = "blocked" if said.kind == "blocked" else "rejected"
                    hooks.finished(step)
                    if said.kind == "abort":
                        raise End("aborted", "aborted by the user")
                    raise End("blocked", f"{command!r} needs approval ({verdict.reason}) and nobody can be asked")
                if said.kind == "reject":
                    step.ended, step.reason = "rejected", said.reason
                    hooks.finished(step)
                    rejected.append(command)
                    if len(rejected) >= REJECTIONS:
                        raise End("aborted", f"{REJECTIONS} commands were rejected")
                    if said.reason:
                        step.plan = result.plan
                        self._replan(turns, result, said.reason, hooks, tally)
                    continue
                if said.kind == "always":
                    self.always += policy.prefixes(command)
                if said.kind == "edit":
                    step.edited_from, step.command = command, said.command
            break
        changed = self._changes(step.command)
        self.run(step, hooks, task.deadline)
        turns += [Turn("bash", step.command), Turn("output", observation(visible_output(step), step.status), True)]
        if self.writer.stopped.is_set():
            raise End("interrupted", "stopped by the user")
        stalled = task.stall.note(step.command, step.status, step.output, changed())
        if stalled:
            raise End("loop", f"stopped: {stalled}")

    def _changes(self, command: str) -> Callable[[], bool]:
        """To be called before a command; what comes back says, after it, whether anything is different: files, the
        folder, the exported environment. A command that can write counts as a change where files cannot be compared."""
        from nimllm.tools import policy

        folders = (self.shell.workspace, *self.shell.sandbox.add_dirs)
        writes = policy.judge(command, "read-only").action != "run"
        place, files = (self.shell.cwd, self.shell.exports), stamp(folders) if writes else ""

        def changed() -> bool:
            now = stamp(folders) if writes else ""
            return files is None or now != files or (self.shell.cwd, self.shell.exports) != place

        return changed

    def _replan(self, turns: list[Turn], result: TaskResult, reason: str, hooks: Hooks, tally: Tally) -> None:
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
        verdict = self._judge(step.command, self.mode)
        writes = policy.judge(step.command, "read-only").action != "run"
        step.snapshot = self._snapshot("before", step, hooks) if writes else None
        self._interrupted = False
        self._running.set()
        try:
            hooks.started(step.command, verdict)
            if self._interrupted or self.writer.stopped.is_set():  # before the shell, which would not have noticed
                step.ended, step.status, step.cwd = "interrupted", 130, str(self.shell.cwd)
                hooks.finished(step)
                return
            done = self.shell.run(step.command, timeout=timeout, on_output=hooks.output)
        finally:
            self._running.clear()
        step.take(done, self.shell.sandbox)
        self._learn_secrets()
        step.after = self._snapshot("after", step, hooks) if step.snapshot else None
        hooks.finished(step)
        if step.denied:
            hooks.notice(step.denied)
        if done.reason and done.reason not in done.output:
            hooks.notice(done.reason)
        if done.restarted:
            hooks.notice("the shell had died and was started anew; its variables are lost, its folder is kept")

    def _learn_secrets(self) -> None:
        """A secret that the shell exports is redacted wherever it turns up from now on."""
        if self.shell.exports != self._seen_exports:
            from nimllm.tools import exports, redact

            self._seen_exports = self.shell.exports
            redact.remember_exports(exports.parse(self._seen_exports))

    def _snapshot(self, when: str, step: Step, hooks: Hooks) -> str | None:
        """The workspace as it is; without room for it the command still runs, and /undo will not know it."""
        if self.snapshots is None:
            return None
        try:
            from nimllm.tools.redact import redact

            taken = self.snapshots.take(f"{when}: {redact(step.command)[:60]}")
            if news := self.snapshots.news(taken):
                hooks.notice(news)
            return taken
        except NimError as error:
            hooks.notice(f"{error.message()}; /undo will not know this command")
            return None


@dataclass
class _Task:
    """A task at work: what the model has read and written, and whether it gets anywhere."""

    turns: list[Turn]
    result: TaskResult
    stall: Stall
    deadline: float | None = None
    given: list[str] = field(default_factory=list)  # commands still to be run before the model's own

    def __post_init__(self) -> None:
        self.tally = Tally()


def _rules(shell: Shell) -> Rules:
    """The user's and the workspace's rules; NimError 3 when a file of them is wrong. (``--plan-only`` has no shell.)"""
    from nimllm.tools import rules

    return rules.load(getattr(shell, "workspace", None))


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
