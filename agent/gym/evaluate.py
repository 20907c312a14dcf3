"""``nimllm eval shell``: the agent's own loop on generated tasks of unseen seeds, judged by what its commands did.

For each task the world is laid out in a folder, the right commands run there in the shell that the agent will use, and
what they print and leave is the truth (so paths, owners and sizes are those of this machine). Then the world is laid
out again, the agent works on the request in mode auto without memory, and state and output are compared.

A repair is judged twice: from the request alone, where a good model avoids the failure and so shows nothing about
repairing, and once more with the failing command played first (``Report.repairs``). What happens after failures of the
model's own is counted over all tasks, too (``Report.failed``).
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from nimllm.agent.gym import truth
from nimllm.agent.gym.episodes import EVALUATION, Episode, chosen, produce
from nimllm.agent.gym.executor import ENVIRONMENT, Executor, plant, unlock
from nimllm.agent.gym.wordings import humanise
from nimllm.errors import OK, NimError, UsageError
from nimllm.tools.sandbox import probe
from nimllm.tools.shell import Shell

STEP_SECONDS, TASK_SECONDS = 20.0, 120.0


class Ran(Protocol):
    """What the evaluation reads of a step."""

    @property
    def command(self) -> str: ...
    @property
    def output(self) -> str: ...
    @property
    def status(self) -> int | None: ...


class Tasked(Protocol):
    """What the evaluation reads of a task result."""

    @property
    def steps(self) -> Sequence[Ran]: ...
    @property
    def answer(self) -> str: ...


Work = Callable[[Shell, str], Tasked]  # does the request in the shell


class Repair(Protocol):
    """The same, after the commands ``played`` were run as its own."""

    def __call__(self, shell: Shell, request: str, played: Sequence[str]) -> Tasked: ...


@dataclass
class Verdict:
    """One task: ``why`` is empty when it passed."""

    schema: str
    steps: int
    seed: int
    request: str
    right: list[str]
    commands: list[str]
    answer: str
    why: str
    seconds: float
    failures: int = 0  # of the model's own commands, those that ended with another status than 0

    @property
    def passed(self) -> bool:
        return not self.why


@dataclass
class Report:
    verdicts: list[Verdict] = field(default_factory=list)
    repairs: list[Verdict] = field(default_factory=list)  # with the failing command played first

    def rate(self, steps: int | None = None, schema: str | None = None) -> tuple[int, int]:
        """Passed and all, of this many steps, of this schema."""
        some = [verdict for verdict in self.verdicts
                if steps in (None, verdict.steps) and schema in (None, verdict.schema)]
        return sum(verdict.passed for verdict in some), len(some)

    def repaired(self) -> tuple[int, int]:
        """Repairs that passed after their failing command was played, and all."""
        return sum(verdict.passed for verdict in self.repairs), len(self.repairs)

    def failed(self) -> tuple[int, int]:
        """Tasks that passed although a command of the model's own had failed, and all in which one failed."""
        some = [verdict for verdict in self.verdicts if verdict.failures]
        return sum(verdict.passed for verdict in some), len(some)

    def data(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"all": rate(*self.rate()),
                "steps": {n: rate(*self.rate(n)) for n in sorted({verdict.steps for verdict in self.verdicts})},
                "schemas": {name: rate(*self.rate(schema=name))
                            for name in sorted({verdict.schema for verdict in self.verdicts})},
                "repairs": rate(*self.repaired()), "failed": rate(*self.failed()),
                "played": [asdict(verdict) for verdict in self.repairs],
                "tasks": [asdict(verdict) for verdict in self.verdicts]}

    def lines(self) -> list[str]:
        """For people."""
        shown = []
        names = sorted({verdict.schema for verdict in self.verdicts}, key=lambda name: (_share(self, name), name))
        for name in names:
            passed, total = self.rate(schema=name)
            shown.append(f"{name:32} {passed:4}/{total}")
        kinds = Counter(verdict.why.split(":")[0] for verdict in self.verdicts if ":" in verdict.why)
        shown += [f"failed, {kind:24} {count:4}" for kind, count in kinds.most_common()]
        for steps in sorted({verdict.steps for verdict in self.verdicts}):
            shown.append(f"{steps}-step tasks: {line(*self.rate(steps))}")
        if self.repairs:
            shown.append(f"repairs, the failing command played first: {line(*self.repaired())}")
        if self.failed()[1]:
            shown.append(f"tasks in which a command of the model failed: {line(*self.failed())}")
        shown.append(f"all tasks:    {line(*self.rate())}")
        if self.verdicts:
            shown.append(f"seconds a task: median {statistics.median(one.seconds for one in self.verdicts):.2f}")
        return shown


def wilson(passed: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a rate (Wilson 1927, equation 22 of Brown, Cai, DasGupta 2001 is the same)."""
    if total == 0:
        return 0.0, 1.0
    rate = passed / total
    middle = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def rate(passed: int, total: int) -> dict[str, float]:
    low, high = wilson(passed, total)
    return {"passed": passed, "total": total, "rate": passed / total if total else 0.0, "low": low, "high": high}


def line(passed: int, total: int) -> str:
    low, high = wilson(passed, total)
    return f"{passed}/{total} = {passed / max(1, total):.1%} (95 % interval {low:.1%} to {high:.1%})"


def _share(report: Report, name: str) -> float:
    passed, total = report.rate(schema=name)
    return passed / total


def evaluate(work: Work, episodes: Iterable[Episode], on_verdict: Callable[[Verdict], None] | None = None,
             repair: Repair | None = None) -> Report:
    """Judge ``work`` on every episode, each in a fresh copy of its world, and ``repair`` on those that hold a failure.

    Wants a sandbox and says so when there is none (NimError 5): the model's commands run without being asked for.
    """
    report = Report()
    with tempfile.TemporaryDirectory(prefix="nimllm-eval-") as temporary:
        folder = Path(os.path.realpath(temporary)) / "work"
        folder.mkdir()
        sandbox = probe(folder, want="bwrap", git_config=True)
        env = {**ENVIRONMENT, "HOME": str(folder), "USER": "user", "LOGNAME": "user"}
        umask = os.umask(0o022)  # modes of new files are part of the state
        try:
            for episode in episodes:
                verdict = _judge(work, episode, folder, lambda: Shell(folder, sandbox, env=env))
                report.verdicts.append(verdict)
                if on_verdict is not None:
                    on_verdict(verdict)
                if repair is not None and (played := up_to_failure(episode.at(str(folder)))):
                    mended = partial(repair, played=played)
                    report.repairs.append(_judge(mended, episode, folder, lambda: Shell(folder, sandbox, env=env),
                                                 len(played)))
        finally:
            os.umask(umask)
            clear(folder)
    return report


def up_to_failure(episode: Episode) -> tuple[str, ...]:
    """The commands up to the first one that fails; none when none does. The last one mends nothing when it ends with
    another status than 0: with diff it is the answer."""
    for number, (_, status) in enumerate(episode.observations[:-1], 1):
        if status != 0:
            return episode.commands[:number]
    return ()


def _judge(work: Work, episode: Episode, folder: Path, shell_of: Callable[[], Shell], played: int = 0) -> Verdict:
    """The first ``played`` steps of the result are not the model's own."""
    episode = episode.at(str(folder))
    wording = random.Random(episode.seed ^ 0xF00D)
    request = humanise(wording, wording.choice(episode.requests), episode.protected, episode.commands)
    lay_out(episode, folder)
    shell = shell_of()
    try:
        outputs = [shell.run(command, timeout=STEP_SECONDS).output for command in episode.commands]
    finally:
        shell.close()
    expected = _state(folder, episode)
    lay_out(episode, folder)
    started, why, result = time.monotonic(), "", None
    shell = shell_of()
    try:
        result = work(shell, request)
    except NimError as error:
        why = error.message()
    finally:
        shell.close()
    steps = [step for step in result.steps if step.status is not None] if result is not None else []
    if not why and _state(folder, episode) != expected:
        why = "the files are not as they should be"
    if not why and steps and not episode.commands:
        why = "a command ran: there is none to run"
    if not why and episode.asks:
        why = _wrong_output(episode, outputs[-1], steps)
    return Verdict(episode.schema, episode.steps, episode.seed, request, list(episode.commands),
                   [step.command for step in steps], result.answer if result is not None else "", why,
                   time.monotonic() - started, sum(step.status != 0 for step in steps[played:]))


def _wrong_output(episode: Episode, expected: str, steps: Sequence[Ran]) -> str:
    if not steps:
        return "no command ran"
    if episode.expect_output is None:  # it depends on the moment: the same program must have been asked, with success
        program = episode.commands[-1].split()[0]
        status = episode.observations[-1][1]
        asked = any(step.command.split()[:1] == [program] and step.status == status and step.output.strip()
                    for step in steps)
        return "" if asked else f"{program} was not asked"
    right = any(truth.matches(truth.normalise(expected, episode.ordered), step.output, episode.ordered)
                for step in steps)
    return "" if right else "the output is not the answer"


def lay_out(episode: Episode, folder: Path) -> None:
    clear(folder)
    plant(episode.world, folder)


def clear(folder: Path) -> None:
    """Empty the folder, which itself stays: the sandbox holds it. A task may have taken its rights away."""
    folder.chmod(0o755)
    for entry in list(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, onerror=unlock)
        else:
            entry.unlink()


def _state(folder: Path, episode: Episode) -> str:
    git = ""
    if (folder / ".git").exists():
        git = subprocess.run(["bash", "-c", truth.GIT_STATE], cwd=folder, env=ENVIRONMENT, capture_output=True,
                             text=True, errors="replace", check=False).stdout
    return truth.state(folder, episode.times, git)


def unseen(count: int, seed: int, patterns: str | None = None, steps: int | None = None) -> Iterable[Episode]:
    """``count`` good episodes from evaluation seed ``seed`` on (seeds below 2**31 name a place above it)."""
    start = seed if seed >= EVALUATION else EVALUATION + seed * 2**20
    with Executor() as executor:
        found = produce(range(start, start + 20 * count), chosen(patterns, steps), executor)
        for number, episode in enumerate(found, 1):
            yield episode
            if number >= count:
                return


def main(args: Namespace) -> int:
    """``nimllm eval shell``; exit 0 whatever the rate is."""
    from nimllm.agent.equipment import agent_options, model_folder
    from nimllm.agent.loop import Agent
    from nimllm.llm.generate import Generator

    if args.pass_at is not None and not (1 <= args.pass_at <= 64 and args.temperature > 0):
        raise UsageError("--pass-at is 1 to 64, and --temperature positive")
    generator = Generator.load(model_folder(args.model), dtype=getattr(args, "dtype", None) or "fp32",
                               threads=getattr(args, "threads", None))

    options = agent_options(args)
    which = getattr(args, "set", "generated")
    if which == "copying":
        options["max_steps"] = 1  # nothing after the first command counts
    tasks = args.tasks or (500 if which == "copying" else 200)

    def report_of(tell: Callable[[Verdict], None] | None, **drawn: Any) -> Report:
        def work(shell: Shell, request: str, played: Sequence[str] = ()) -> Tasked:
            return Agent(generator, shell, "auto", step_timeout=STEP_SECONDS, task_timeout=TASK_SECONDS, **options,
                         **drawn).task(request, given=played)

        if which == "everyday":
            from nimllm.agent.gym import everyday as people

            return people.evaluate(work, tell, args.only)
        if which == "copying":
            from nimllm.agent.gym import copied

            return copied.evaluate(work, copied.unseen(tasks, args.seed), tell)
        return evaluate(work, unseen(tasks, args.seed, args.schemas, args.steps), tell, None if drawn else work)

    done = [0, 0]

    def tell(verdict: Verdict) -> None:
        done[0] += 1
        done[1] += verdict.passed
        if args.failures and not verdict.passed:
            print(f"{verdict.schema} (seed {verdict.seed}): {verdict.request}\n  right: {' ; '.join(verdict.right)}\n"
                  f"  ran:   {' ; '.join(verdict.commands)}\n  {verdict.why}", file=sys.stderr)
        elif sys.stderr.isatty():
            of = "" if which == "everyday" else f"/{tasks}"
            print(f"\r{done[0]}{of} tasks, {done[1]} passed ", end="", file=sys.stderr, flush=True)

    report = report_of(tell)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    attempts = None
    if args.pass_at:
        from nimllm.agent.gym.attempts import Attempts

        options |= {"samples": 1, "try_first": False}  # one drawn plan and command each time, nothing chosen
        attempts = Attempts.of(args.pass_at, lambda n: report_of(None, temperature=args.temperature, seed=n + 1))
    if args.json:
        sampled = {"pass_at": attempts.data()} if attempts else {}
        print(json.dumps({**report.data(), **sampled}, ensure_ascii=False))
    else:
        print("\n".join([*report.lines(), *([attempts.line()] if attempts else [])]))
    return OK
