"""The same tasks three times, with memory and without: generated ones that the model fails, corrected by an edit.

A task is one command in a generated world, judged by what it did (``gym/evaluate.py``). Taken are those at which the
model fails, whose right command ends with status 0, and that name no absolute path: the world lies in another folder
each time. With memory, the user edits the proposed command into the right one after each failure, in a session in that
world, and the next attempt has what was learnt of it. Without, the base attempts them as often.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from nimllm.agent.gym.episodes import EVALUATION, Episode, chosen, produce
from nimllm.agent.gym.evaluate import Verdict, Work, clear, evaluate, lay_out
from nimllm.agent.gym.executor import Executor
from nimllm.agent.taught.teacher import Taught

ROUNDS = 3
TRIED = 40  # tasks that are tried for each one wanted, at most
STREAM = 2**27  # evaluation seeds from here on: others than those of eval shell by default
Row = dict[str, Any]


class Teach(Protocol):
    """The session that is taught in a folder."""

    def __call__(self, folder: Path, request: str, command: str) -> Taught: ...


def suitable(episode: Episode) -> bool:
    """One command that ends well, in a world that may lie anywhere."""
    return (len(episode.commands) == 1 and not episode.root and episode.observations[-1][1] == 0
            and "\n" not in episode.commands[0])


def episodes(numbers: Iterable[int]) -> Iterator[Episode]:
    """The suitable episodes of one step of these seeds."""
    with Executor() as executor:
        for episode in produce(list(numbers), chosen(None, 1), executor):
            if suitable(episode):
                yield episode


def by_seeds(wanted: list[int]) -> list[Episode]:
    """The episodes of these seeds, in that order."""
    found = {episode.seed: episode for episode in episodes(wanted)}
    return [found[seed] for seed in wanted]


def attempt(work: Work, episode: Episode) -> Verdict:
    return evaluate(work, [episode]).verdicts[0]


def failing(work: Work, count: int, seed: int, show: Callable[[Verdict], None]) -> tuple[list[int], int]:
    """Seeds of ``count`` tasks that ``work`` fails, or of as many as there are; and how many were tried."""
    start = EVALUATION + STREAM + seed * 2**16
    found: list[int] = []
    tried = 0
    for episode in episodes(range(start, start + TRIED * count)):
        verdict = attempt(work, episode)
        tried += 1
        show(verdict)
        if not verdict.passed:
            found.append(episode.seed)
        if len(found) == count:
            break
    return found, tried


def corrected(episode: Episode, request: str, teach: Teach) -> Taught:
    """The right command is put in the place of the proposed one, in a fresh copy of the world."""
    with tempfile.TemporaryDirectory(prefix="nimllm-repeat-") as temporary:
        folder = Path(os.path.realpath(temporary)) / "work"
        folder.mkdir()
        lay_out(episode, folder)
        try:
            return teach(folder, request, episode.commands[0])
        finally:
            clear(folder)  # a task may have taken rights away, which would keep the folder from being removed


def attempted(number: int, memory: bool, verdict: Verdict) -> Row:
    """What is kept of an attempt."""
    return {"kind": "attempt", "round": number, "memory": memory, "seed": verdict.seed, "schema": verdict.schema,
            "passed": verdict.passed, "why": verdict.why, "request": verdict.request, "right": verdict.right,
            "commands": verdict.commands}


def find(rows: Iterable[Row], kind: str, number: int, seed: int, memory: bool = True) -> Row | None:
    """The row of an attempt, or of the correction after it."""
    return next((one for one in rows if one["kind"] == kind and one["round"] == number and one["seed"] == seed
                 and one["memory"] is memory), None)


def summary(rows: Iterable[Row], tasks: int, tried: int) -> Row:
    """Success per round, [passed, of], with memory (``on``) and without."""
    kept = list(rows)

    def share(number: int, memory: bool) -> list[int]:
        some = [one["passed"] for one in kept
                if one["kind"] == "attempt" and one["round"] == number and one["memory"] is memory]
        return [sum(some), len(some)]

    states = [one["state"] for one in kept if one["kind"] == "correction"]
    return {"tasks": tasks, "tried": tried, "corrections": len(states), "learnt": states.count("accepted"),
            "rounds": [{"round": number, "on": share(number, True), "off": share(number, False)}
                       for number in range(1, ROUNDS + 1)], "attempts": kept}
