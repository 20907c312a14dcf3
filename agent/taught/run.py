"""One run in its folder: what was taught, asked and attempted, each kept as it comes.

    <out>/settings.json       what must not change while a run goes on, and the commit it was begun with
    <out>/updates.jsonl       a line per convention: how it was taught, and what became of it
    <out>/point-N.json        the commands that came after N conventions
    <out>/skill-*.jsonl       verdicts of generated tasks, with the base and after the last point
    <out>/repeat*.json*       the tasks that are repeated, and a line per attempt and correction
    <out>/home, repeat-home   state folders with the memories; the user's are not touched
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm import __version__, places
from nimllm.agent.taught import bank, figures, repeated
from nimllm.agent.taught.bank import Convention
from nimllm.agent.taught.journal import Journal, read_json, write_json
from nimllm.errors import CONFIG, MEMORY, NimError, UsageError

if TYPE_CHECKING:
    from nimllm.agent.gym.evaluate import Tasked, Verdict, Work
    from nimllm.agent.progress import Progress
    from nimllm.agent.taught.teacher import Taught
    from nimllm.llm.generate import Generator
    from nimllm.tools.shell import Shell

SKILL_SEED = 2**31  # the first of eval shell
SCRIPT = "#!/bin/sh\necho ok\n"  # what the taught commands find


@dataclass(frozen=True)
class Plan:
    """What is asked for. ``session``: the options of a session as nobody has set them; ``out`` None: a folder of the
    state folder, named by what is measured."""

    model: Path
    session: Namespace
    points: tuple[int, ...]
    seed: int = 1
    method: str = "kewc"
    skill: int = 0
    repeat: int = 0
    dtype: str = "fp32"
    threads: int | None = None
    out: Path | None = None


def of_arguments(args: Namespace) -> Plan:
    """UsageError for what cannot be, NimError 3 for a model that is not there."""
    from nimllm.agent.equipment import model_folder

    points = _points(args.n)
    if args.skill < 0 or args.repeat < 0:
        raise UsageError("--skill and --repeat are numbers of tasks")
    if not 0 <= args.seed < 1000:
        raise UsageError(f"--seed {args.seed}", "seeds lie between 0 and 999")
    if args.repeat > 500 or args.skill > 100_000:
        raise UsageError("--repeat takes 500 tasks at most, --skill 100000")
    if args.plot and len(points) < 2 and not args.repeat:
        raise UsageError("--plot has nothing to draw", "a curve needs two points", "give --n 10,25, or --repeat")
    if args.plot and not Path(args.plot).absolute().parent.is_dir():
        raise UsageError(f"cannot write {args.plot}", "there is no such folder", "give another --plot")
    return Plan(model_folder(args.model), args.session, points, args.seed, args.memory_method, args.skill, args.repeat,
                args.dtype or "fp32", args.threads, Path(args.out).expanduser().absolute() if args.out else None)


def _points(text: str) -> tuple[int, ...]:
    try:
        found = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        raise UsageError(f"--n {text}", "points are numbers of conventions", "such as --n 10,25,50,100") from None
    if not found or found[0] < 1 or found[-1] > bank.SIZE:
        raise UsageError(f"--n {text}", f"points lie between 1 and {bank.SIZE}")
    return tuple(found)


class Run:
    """Raises NimError 3 when the folder holds another run, or another process works in it."""

    def __init__(self, plan: Plan, quiet: bool = False) -> None:
        from nimllm.llm.bench.provenance import commit
        from nimllm.llm.checkpoint import fingerprint, read_tensors

        self.plan, self.quiet = plan, quiet
        self.frozen = {"seed": plan.seed, "bank": bank.digest(plan.seed), "method": plan.method, "dtype": plan.dtype,
                       "base": fingerprint(read_tensors(plan.model / "model.safetensors"))}
        code = f"{__version__} {commit(Path(__file__).resolve().parents[2]) or ''}".strip()
        name = hashlib.sha256(json.dumps([self.frozen, code]).encode()).hexdigest()[:12]
        self.out = plan.out or places.state_folder("eval", "taught") / name
        try:
            self.out.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NimError(f"cannot make {self.out}", error.strerror or str(error), "give another --out", CONFIG
                           ) from None
        path = self.out / "settings.json"
        if not path.exists():
            write_json(path, {**self.frozen, "code": code})
        known = read_json(path)
        differ = [name for name, value in self.frozen.items() if known.get(name) != value]
        if differ:
            raise NimError(f"{self.out} holds a run with another {' and '.join(differ)}", "",
                           "give another --out, or remove the folder", CONFIG)
        self.begun = str(known.get("code", ""))
        self.updates = Journal(self.out / "updates.jsonl")
        self._generator: Generator | None = None

    # ---- everything ----------------------------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """Measures what is not yet measured; the report as JSON data."""
        from nimllm.llm.bench.provenance import provenance
        from nimllm.llm.config import read_config

        with self._alone():
            before = self.skill("before", self.plan.model / "model.safetensors")
            points = [self.point(count) for count in self.plan.points]
            last = self.plan.points[-1]
            after = self.skill(f"after-{last}", self.weights(last))
            repeat = self.repeat() if self.plan.repeat else None
        rows = self.updates.rows[:last]
        return {
            "format": "nimllm-taught", "version": 1, "frozen": self.frozen, "begun": self.begun,
            "base": {"fingerprint": self.frozen["base"], "folder": self.plan.model.name, "dtype": self.plan.dtype,
                     "parameters": read_config(self.plan.model).parameters()},
            "machine": provenance(), "points": points, "updates": {**figures.costs(rows), "rows": rows},
            "skill": figures.skill(before, after) if self.plan.skill else None, "repeat": repeat,
        }  # fmt: skip

    @contextmanager
    def _alone(self) -> Iterator[None]:
        handle = os.open(self.out / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise NimError(f"another process measures in {self.out}", "", "wait for it, or give another --out",
                               CONFIG) from None
            yield
        finally:
            os.close(handle)

    def _progress(self, total: int, what: str) -> Progress:
        from nimllm.agent.progress import Progress

        return Progress(total, what, quiet=self.quiet)

    def generator(self, weights: Path) -> Generator:
        """The model with these weights."""
        if self._generator is None:
            from nimllm.llm.generate import Generator

            self._generator = Generator.load(self.plan.model, weights=weights, dtype=self.plan.dtype,  # type: ignore[arg-type]
                                             threads=self.plan.threads)
        else:
            self._generator.reload(weights)
        return self._generator

    # ---- teaching, and asking ------------------------------------------------------------------------------------

    def weights(self, count: int) -> Path:
        """Those after the first ``count`` conventions."""
        from nimllm.agent.taught import examine, teacher

        ids = [row["id"] for row in self.updates.rows[:count] if row["state"] == "accepted"]
        return examine.weights_after(self.plan.model, teacher.state_of(self.out / "home"), ids)

    def teach(self, count: int) -> None:
        """Until ``count`` conventions were taught. NimError 7 when an update breaks: nothing is noted of it."""
        from nimllm.agent.taught.teacher import Teacher, guessed, own_state

        done = len(self.updates.rows)
        if done >= count:
            return
        todo = bank.bank(self.plan.seed)[done:count]
        with (own_state(self.out / "home", asks=True), tempfile.TemporaryDirectory(prefix="nimllm-taught-") as folder,
              self._progress(len(todo), "conventions taught") as progress):
            workspace = Path(os.path.realpath(folder)) / "work"
            plant(workspace, bank.bank(self.plan.seed))
            left = self.left_over(self.out / "home", todo[0].command, self.updates.rows)
            with Teacher(self.plan.session, self.plan.model, workspace, self.plan.method, self.plan.dtype,
                         self.plan.threads) as teacher:
                for one in todo:
                    progress.now(one.request)
                    found, left = left or teacher.teach(one.request, one.command, one.edit), None
                    self.updates.add({"request": one.request, "command": one.command, **noted(found),
                                      "guessed": guessed(found, one.command)})
                    progress.step()

    def left_over(self, home: Path, command: str, rows: Sequence[dict[str, Any]]) -> Taught | None:
        """An update that ended after this run was stopped: it is in the ledger, and in no line."""
        from nimllm.agent.taught.teacher import past_update

        known = {str(row.get("id", "")) for row in rows}
        return past_update(self.plan.model, home, command, known)

    def point(self, count: int) -> dict[str, Any]:
        """What the first ``count`` conventions come to."""
        from nimllm.agent.taught.examine import examine
        from nimllm.agent.taught.teacher import own_state

        self.teach(count)
        taught = bank.bank(self.plan.seed)[:count]
        path = self.out / f"point-{count}.json"
        if not path.exists():
            total = sum(1 + len(one.asked) + len(one.controls) for one in taught)
            weights = self.weights(count)
            with own_state(self.out / "home"), self._progress(total, f"asked after {count}") as progress:
                write_json(path, examine(self.generator(weights), self.plan.session, taught, progress.step))
        answers = read_json(path)
        return {**figures.score(taught, answers), "wrong": figures.wrong(taught, answers)}

    # ---- skill ---------------------------------------------------------------------------------------------------

    def _work(self, weights: Path) -> Work:
        """The agent on a task, as eval shell has it."""
        from nimllm.agent.equipment import agent_options
        from nimllm.agent.gym.evaluate import STEP_SECONDS, TASK_SECONDS
        from nimllm.agent.loop import Agent

        generator, options = self.generator(weights), agent_options(self.plan.session)

        def work(shell: Shell, request: str) -> Tasked:
            return Agent(generator, shell, "auto", step_timeout=STEP_SECONDS, task_timeout=TASK_SECONDS, **options
                         ).task(request)

        return work

    def skill(self, when: str, weights: Path) -> list[bool]:
        """Which of the first generated tasks pass with these weights."""
        from nimllm.agent.gym.evaluate import evaluate, unseen
        from nimllm.agent.taught.teacher import own_state

        count = self.plan.skill
        if not count:
            return []
        journal = Journal(self.out / f"skill-{when}.jsonl")
        done = len(journal.rows)
        if done < count:
            with own_state(self.out / "home"), self._progress(count - done, f"eval shell, {when}") as progress:

                def tell(verdict: Verdict) -> None:
                    journal.add({"passed": verdict.passed, **asdict(verdict)})
                    progress.step()

                evaluate(self._work(weights), islice(unseen(count, SKILL_SEED), done, None), tell)
        return [bool(row["passed"]) for row in journal.rows[:count]]

    # ---- repeated tasks ------------------------------------------------------------------------------------------

    def repeat(self) -> dict[str, Any]:
        """The same tasks, round after round, with memory and without."""
        from nimllm.agent.taught.teacher import own_state, state_of

        home, base = self.out / "repeat-home", self.plan.model / "model.safetensors"
        path = self.out / f"repeat-{self.plan.repeat}.json"
        with own_state(home):
            if not path.exists():
                with self._progress(self.plan.repeat, "tasks that fail") as progress:
                    seeds, tried = repeated.failing(self._work(base), self.plan.repeat, self.plan.seed,
                                                    lambda verdict: None if verdict.passed else progress.step())
                write_json(path, {"seeds": seeds, "tried": tried})
        chosen = read_json(path)
        journal = Journal(self.out / f"repeat-{self.plan.repeat}.jsonl")
        episodes = repeated.by_seeds(chosen["seeds"])
        resumed = True
        with self._progress(repeated.ROUNDS * 2 * len(episodes), "attempts") as progress:
            for number in range(1, repeated.ROUNDS + 1):
                for memory in (False, True):
                    for episode in episodes:
                        row = repeated.find(journal.rows, "attempt", number, episode.seed, memory)
                        if row is None:
                            ids = [one["id"] for one in journal.rows
                                   if one["kind"] == "correction" and one["state"] == "accepted"]
                            weights = self._weights_of(state_of(home), ids) if memory else base
                            with own_state(home):
                                verdict = repeated.attempt(self._work(weights), episode)
                            row = repeated.attempted(number, memory, verdict)
                            journal.add(row)
                            resumed = False
                        if memory and not row["passed"] and number < repeated.ROUNDS and repeated.find(
                                journal.rows, "correction", number, episode.seed) is None:
                            left = self.left_over(home, episode.commands[0], journal.rows) if resumed else None
                            with own_state(home, asks=True):
                                found = left or repeated.corrected(episode, row["request"], self._taught_in)
                            journal.add({"kind": "correction", "round": number, "memory": True, "seed": episode.seed,
                                         **noted(found)})
                            resumed = False
                        progress.step()
        return repeated.summary(journal.rows, len(episodes), int(chosen["tried"]))

    def _weights_of(self, state: Path, ids: Sequence[str]) -> Path:
        from nimllm.agent.taught.examine import weights_after

        return weights_after(self.plan.model, state, ids)

    def _taught_in(self, folder: Path, request: str, command: str) -> Taught:
        """A session in this folder, for one correction."""
        from nimllm.agent.taught.teacher import Teacher

        with Teacher(self.plan.session, self.plan.model, folder, self.plan.method, self.plan.dtype, self.plan.threads
                     ) as teacher:
            return teacher.teach(request, command, edit=True)


def noted(found: Taught) -> dict[str, Any]:
    """A correction as a journal keeps it. NimError 7 for an update that broke: it is to be done again."""
    if found.state == "failed":
        raise NimError("a memory update failed", found.why, "the same command tries it again", MEMORY)
    return asdict(found)


def plant(workspace: Path, conventions: Sequence[Convention]) -> None:
    """The scripts that the taught commands run."""
    for one in conventions:
        for script in one.scripts:
            path = workspace / script
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SCRIPT, "utf-8")
            path.chmod(0o755)
