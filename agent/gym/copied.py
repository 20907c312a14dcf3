"""``nimllm eval shell --set copying``: whether what can only be copied arrives in the first command, letter by letter.

Each task of ``literals.py`` is laid out and asked like any other; of what the agent did only the first command counts,
taken apart as a shell does it. A literal is right when a word of the command is it, or holds it between signs: a
pattern, a path that ends with it.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nimllm.agent.gym import evaluate as shell_evaluation
from nimllm.agent.gym.episodes import EVALUATION, Episode, produce, source
from nimllm.agent.gym.evaluate import Report, Verdict, Work
from nimllm.agent.gym.executor import ENVIRONMENT, Executor
from nimllm.agent.gym.wordings import humanise
from nimllm.errors import NimError
from nimllm.tools.sandbox import probe
from nimllm.tools.shell import Shell


@dataclass
class CopyReport(Report):
    """``right`` and ``all`` count literals by kind."""

    right: Counter[str] = field(default_factory=Counter)
    all: Counter[str] = field(default_factory=Counter)

    def data(self) -> dict[str, Any]:
        found = shell_evaluation.rate(self.right.total(), self.all.total())
        return {**super().data(), "literals": found,
                "kinds": {kind: shell_evaluation.rate(self.right[kind], self.all[kind]) for kind in sorted(self.all)}}

    def lines(self) -> list[str]:
        shown = [f"{kind:32} {self.right[kind]:4}/{self.all[kind]}"
                 for kind in sorted(self.all, key=lambda kind: (self.right[kind] / self.all[kind], kind))]
        shown.append(f"literals:     {shell_evaluation.line(self.right.total(), self.all.total())}")
        return [*super().lines(), *shown]


def words(command: str) -> list[str]:
    """The words of a command without their quotes; none when a quote is open."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer)
    except ValueError:
        return []


def holds(command: str, literal: str) -> bool:
    """Whether the command repeats the literal exactly."""
    if literal.isdigit():
        pattern = rf"(?<![\d.]){literal}(?![\d.])"
    else:
        before = r"(?<![\w.-])" if literal[0].isalnum() else ""
        behind = r"(?![\w-]|\.\w)" if literal[-1].isalnum() else ""
        pattern = before + re.escape(literal) + behind
    return any(re.search(pattern, word) for word in words(command))


def wanted(episode: Episode) -> list[tuple[str, str]]:
    """(kind, text) of what must be repeated; with absolute paths where the request has them."""
    found = []
    for kind, text in episode.literals:
        path = f"{episode.root}/{text}"
        whole = bool(episode.root) and all(path in request for request in episode.requests)
        found.append(("absolute path", path) if whole else (kind, text))
    if episode.root and not any(path.startswith(episode.root) for _, path in found):
        found.append(("absolute path", episode.root))
    return found


def evaluate(work: Work, episodes: Iterable[Episode], on_verdict: Callable[[Verdict], None] | None = None
             ) -> CopyReport:
    """Ask ``work`` for every episode, each in a fresh copy of its world. NimError 5 without a sandbox."""
    report = CopyReport()
    with tempfile.TemporaryDirectory(prefix="nimllm-copying-") as temporary:
        folder = Path(os.path.realpath(temporary)) / "work"
        folder.mkdir()
        sandbox = probe(folder, want="bwrap", git_config=True)
        env = {**ENVIRONMENT, "HOME": str(folder), "USER": "user", "LOGNAME": "user"}
        try:
            for episode in episodes:
                shell_evaluation.lay_out(episode, folder)
                verdict = _judge(work, episode.at(str(folder)), Shell(folder, sandbox, env=env), report)
                report.verdicts.append(verdict)
                if on_verdict is not None:
                    on_verdict(verdict)
        finally:
            shell_evaluation.clear(folder)
    return report


def _judge(work: Work, episode: Episode, shell: Shell, report: CopyReport) -> Verdict:
    wording = random.Random(episode.seed ^ 0xF00D)
    request = humanise(wording, wording.choice(episode.requests), episode.protected, episode.commands)
    began, commands, answer, why = time.monotonic(), list[str](), "", ""
    try:
        result = work(shell, request)
        commands = [step.command for step in result.steps]
        answer = result.answer
    except NimError as error:
        why = error.message()
    finally:
        shell.close()
    first = commands[0] if commands else ""
    for kind, text in wanted(episode):
        right = holds(first, text)
        report.all[kind] += 1
        report.right[kind] += right
        if not right:
            why = why or f"{kind}: {text} is not in the command"
    return Verdict(episode.schema, 1, episode.seed, request, list(episode.commands), commands[:1], answer, why,
                   time.monotonic() - began)


def unseen(count: int, seed: int) -> Iterable[Episode]:
    """``count`` tasks from evaluation seed ``seed`` on (seeds below 2**31 name a place above it)."""
    start = seed if seed >= EVALUATION else EVALUATION + seed * 2**20
    with Executor() as executor:
        for number, episode in enumerate(produce(range(start, start + 20 * count), source("copying"), executor), 1):
            yield episode
            if number >= count:
                return


def check(commands: Sequence[str], episodes: Sequence[Episode]) -> float:
    """Share of the episodes whose command, of as many, repeats all their literals."""
    right = [all(holds(command, text) for _, text in wanted(episode))
             for command, episode in zip(commands, episodes, strict=True)]
    return sum(right) / max(1, len(right))
