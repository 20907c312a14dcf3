"""What a model says by itself to generated tasks, executed and judged: preferences that are its own.

At every step of an episode the right commands before it are context; the model's greedy command and some samples run in
fresh copies of the world, each after them, and are right when they leave and print what the right command does. Where
one of its own was wrong there is a pair: the likeliest right one, or the episode's command, over the wrong one that the
model likes best. On-policy pairs are what DPO needs: a command that the model would never say teaches nothing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nimllm.agent.gym import truth
from nimllm.agent.gym.episodes import Episode, chosen, place, produce, render, seeds
from nimllm.agent.gym.executor import Execution, Executor
from nimllm.agent.loop import PLAN_TOKENS
from nimllm.agent.writer import COMMAND_TOKENS
from nimllm.errors import SANDBOX, NimError
from nimllm.kernels.sampling import Sampling
from nimllm.llm.generate import Generator
from nimllm.llm.turns import ROLES, Turn
from nimllm.llm.turns import render as tokenise
from recipes.mixture import evaluated, say

SHOWN_EVERY = 50  # tasks


@dataclass(frozen=True)
class Attempt:
    """One command of the model's. ``logprob`` in nats."""

    command: str
    logprob: float
    greedy: bool


class Asked:
    """The model, asked for the next turn of a conversation."""

    def __init__(self, generator: Generator, samples: int, temperature: float) -> None:
        self.generator, self.samples, self.temperature = generator, samples, temperature
        self._marker = {role: generator.tokenizer.marker(role) for role in (*ROLES, "end")}
        self._banned = tuple(self._marker[role] for role in ROLES)
        self._draws = 0

    def _ids(self, turns: Sequence[Turn], role: str) -> list[int]:
        return [*tokenise(turns, self.generator.tokenizer).ids, self._marker[role]]

    def plan(self, turns: Sequence[Turn]) -> str:
        """The greedy plan; "" where there is no room for one."""
        ids = self._ids(turns, "plan")
        if len(ids) + PLAN_TOKENS + COMMAND_TOKENS > self.generator.config.context:
            return ""
        return self.generator.complete(ids, PLAN_TOKENS, (self._marker["end"],), banned=self._banned).text.strip()

    def commands(self, turns: Sequence[Turn]) -> list[Attempt]:
        """Different commands, the greedy one first; none where there is no room for one."""
        ids = self._ids(turns, "bash")
        if len(ids) + COMMAND_TOKENS > self.generator.config.context:
            return []
        self._draws += self.samples
        drawn = self.generator.sample_many(ids, 1 + self.samples, COMMAND_TOKENS, (self._marker["end"],), self._banned,
                                           Sampling(self.temperature, top_p=0.95, seed=self._draws))
        found: dict[str, Attempt] = {}
        for number, done in enumerate(drawn):
            text = done.text.strip()
            if text and done.stopped == "stop":
                found.setdefault(text, Attempt(text, done.logprob, number == 0))
        return list(found.values())


def _same(done: Execution | None, right: Execution, ordered: bool, asks: bool) -> bool:
    """Left and, where it is asked for, printed what the right command does."""
    if done is None or done.after != right.after:
        return False
    (have, status), (want, wanted) = done.observations[-1], right.observations[-1]
    if not asks:
        return (status == 0) == (wanted == 0)
    return truth.matches(truth.normalise(want.replace(right.root, "{root}"), ordered),
                         have.replace(done.root, "{root}"), ordered)


def judged(episode: Episode, asked: Asked, executor: Executor) -> Iterator[dict[str, Any]]:
    """For every step that is learnt: {"step", "greedy": is it right, "right", "of": attempts, "pair": or None}."""
    rng = random.Random(episode.seed ^ 0xA77E)
    turns = render(episode, rng, note=True)
    user, root = place(episode.seed)
    context = turns[:2]
    if any(turn.role == "user" and evaluated().holds(turn.text) for turn in context):
        return
    own_plan = asked.plan(context)
    plan = turns[2]
    for number, command in enumerate(episode.commands):
        before = [*context, plan, *turns[3 : 3 + 2 * number]]
        last = number + 1 == episode.steps
        if episode.observations[number][1] != 0 and not last:
            continue  # a command that fails is context
        prompt, answered = before, [Turn("bash", command)]
        if number == 0 and own_plan and own_plan != plan.text:
            prompt, answered = [*context, Turn("plan", own_plan)], [plan, Turn("bash", command)]
        attempts = asked.commands(prompt)
        right = executor.run(episode.world, episode.commands[: number + 1], episode.times, user, root)
        if not attempts or right is None:
            continue
        asks = not last or (episode.asks and episode.expect_output is not None)
        good: list[Attempt] = []
        bad: list[Attempt] = []
        for attempt in attempts:
            ran = executor.run(episode.world, [*episode.commands[:number], attempt.command], episode.times, user, root)
            (good if _same(ran, right, episode.ordered, asks) else bad).append(attempt)
        pair = None
        if bad:
            worst = next((attempt for attempt in bad if attempt.greedy), max(bad, key=lambda one: one.logprob))
            own = max(good, key=lambda one: one.logprob).command if good else None
            if own is not None or answered[0].role == "bash":
                pair = _pair(prompt, [Turn("bash", own or command)], [Turn("bash", worst.command)])
            else:  # no command fits under the model's own plan: the plan is what was wrong
                pair = _pair(context, answered, [Turn("plan", own_plan), Turn("bash", worst.command)])
        yield {"step": number, "greedy": any(attempt.greedy for attempt in good), "right": len(good),
               "of": len(attempts), "pair": pair}


def _pair(prompt: Sequence[Turn], better: Sequence[Turn], worse: Sequence[Turn]) -> dict[str, Any]:
    def rows(turns: Sequence[Turn]) -> list[dict[str, Any]]:
        return [{"role": turn.role, "text": turn.text, "tainted": turn.tainted} for turn in turns]

    return {"prompt": rows(prompt), "chosen": rows(better), "rejected": rows(worse)}


def collect(run: Path, file: Path, stream: int, tasks: int, samples: int, temperature: float) -> None:
    """Attempts at ``tasks`` tasks of a stream, a line of JSON each, appended to ``file``; what is there is kept.
    NimError 5 without bubblewrap: these commands were read by nobody."""
    done = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    first = seeds(stream, 2**20).start if not done else done[-1]["seed"] + 1
    if len(done) >= tasks:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    generator = Generator.load(run)
    asked = Asked(generator, samples, temperature)
    with Executor() as executor, open(file, "a", encoding="utf-8") as out:
        if not executor.sandboxed:
            raise NimError("commands that a model made up cannot run here", "bubblewrap does not work",
                           "install bubblewrap", SANDBOX)
        for episode in produce(range(first, first + 20 * tasks), chosen(), executor):
            if not episode.commands:
                continue
            row = {"seed": episode.seed, "schema": episode.schema, "steps": list(judged(episode, asked, executor))}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            out.flush()
            done.append(row)
            if len(done) % SHOWN_EVERY == 0:
                say(report(done))
            if len(done) >= tasks:
                return


def report(rows: Sequence[dict[str, Any]]) -> str:
    steps = [step for row in rows for step in row["steps"]]
    greedy, pairs = sum(step["greedy"] for step in steps), sum(step["pair"] is not None for step in steps)
    some = sum(step["right"] > 0 for step in steps)
    return (f"{len(rows)} tasks, {len(steps)} steps: greedy right {greedy / max(1, len(steps)):.1%}, some sample "
            f"{some / max(1, len(steps)):.1%}, {pairs} pairs")


def pairs(file: Path, out: Path) -> int:
    """The pairs of a file of attempts as rows for ``nimllm align dpo``; their number."""
    found = [step["pair"] for line in file.read_text("utf-8").splitlines() for step in json.loads(line)["steps"]
             if step["pair"] is not None]
    out.write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in found), "utf-8")
    return len(found)
