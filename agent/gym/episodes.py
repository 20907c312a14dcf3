"""From seeds to episodes whose outputs and truths were made by running the right commands.

Rule: training uses episode seeds below 2**31, evaluation seeds from 2**31 on, so no evaluated request was trained on.
A seed names one episode: kind, world, request, commands and wording all follow from it.

    python -m nimllm.agent.gym.episodes --count 20000 --seed 1 --out tasks.jsonl --workers 1
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import json
import pkgutil
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any

from nimllm.agent.display import plain
from nimllm.agent.gym import absolute, places, schemas
from nimllm.agent.gym.executor import Execution, Executor
from nimllm.agent.gym.schema import SCHEMAS, Draft, Schema
from nimllm.agent.gym.truth import matches, normalise, state
from nimllm.agent.gym.wordings import humanise
from nimllm.agent.gym.worlds import Unsuitable, World
from nimllm.errors import NimError, UsageError
from nimllm.llm.turns import Turn, observation, workspace_note

__all__ = ["EVALUATION", "Draft", "Episode", "Rejected", "draft", "execute", "load", "matches", "normalise", "produce",
           "render", "seeds", "state"]

EVALUATION = 2**31  # the first seed of evaluation
OUTPUT_LIMIT = 4_000  # characters; a longer output is no answer
TRIES = 60  # worlds drawn for one schema before another is taken
STEP_SHARES = {0: 0.025, 1: 0.605, 2: 0.245, 3: 0.125}  # of episodes, whatever the number of schemas of each length
NOTE_SHARE = 0.7  # of training episodes that start with the workspace note


class Rejected(Exception):
    """The draft is no good as an episode; the text is a reason to count."""


@dataclass(frozen=True)
class Episode:
    """An executed draft. ``expect_output`` is normalised, with the world's root as ``{root}``; None: not compared."""

    schema: str
    tools: tuple[str, ...]
    seed: int
    world: World
    requests: tuple[str, ...]
    plan: tuple[str, ...]
    commands: tuple[str, ...]
    observations: tuple[tuple[str, int], ...]
    answer: str
    asks: bool
    ordered: bool
    expect_output: str | None
    expect_state: str
    times: tuple[str, ...]
    protected: tuple[str, ...]
    root: str = ""  # the world's root where the request names it; empty: no absolute path of the world is in it

    literals: tuple[tuple[str, str], ...] = ()  # (kind, text), as in the draft

    def at(self, folder: str) -> Episode:
        """The same episode for a world in another folder (one whose path needs no quotes in bash)."""
        if not self.root:
            return self

        def there(texts: Sequence[str]) -> tuple[str, ...]:
            return tuple(absolute.moved(text, self.root, folder) for text in texts)

        return replace(self, requests=there(self.requests), commands=there(self.commands),
                       protected=there(self.protected), root=folder)

    @property
    def steps(self) -> int:
        return len(self.commands)


@cache
def load() -> dict[str, Schema]:
    """Every schema of every module in ``schemas/``, in a fixed order."""
    for module in sorted(info.name for info in pkgutil.iter_modules(schemas.__path__)):
        importlib.import_module(f"{schemas.__name__}.{module}")
    return dict(sorted(SCHEMAS.items()))


def source(name: str) -> list[Schema]:
    """The schemas of a source that is not among those of ``schemas/``: ``copying``."""
    from nimllm.agent.gym import literals

    if name != "copying":
        raise UsageError(f"there is no source {name!r}", "", "there is copying")
    return literals.schemas()


def chosen(patterns: str | None = None, steps: int | None = None) -> list[Schema]:
    """Schemas whose name matches one of the comma-separated globs; NimError when none does."""
    globs = [glob.strip() for glob in patterns.split(",")] if patterns else ["*"]
    found = [schema for schema in load().values() if any(fnmatch.fnmatchcase(schema.name, glob) for glob in globs)
             and (steps is None or schema.steps == steps)]
    if not found:
        raise UsageError(f"no schema matches {patterns or steps!r}", "", "the names are like find.by_extension")
    return found


def seeds(stream: int, count: int, evaluation: bool = False) -> range:
    """Episode seeds of a numbered stream (0 to 127); streams do not overlap, nor do training and evaluation."""
    if not 0 <= stream < 128 or count > 2**24:
        raise UsageError(f"stream {stream} with {count} episodes is out of range", "", "seeds are 0 to 127")
    start = stream * 2**24 + (EVALUATION if evaluation else 0)
    return range(start, start + count)


def draft(seed: int, among: Sequence[Schema]) -> tuple[Schema, World, Draft]:
    """What a seed says, before it is executed; Rejected when no world suits the schema."""
    rng = random.Random(seed)
    lengths = sorted({schema.steps for schema in among})
    steps = rng.choices(lengths, [STEP_SHARES.get(length, 0.05) for length in lengths])[0]
    alike = [schema for schema in among if schema.steps == steps]
    schema = rng.choices(alike, [schema.weight for schema in alike])[0]
    for _ in range(TRIES):
        world = World.random(rng, schema.theme)
        if schema.git:
            world.add_history()
        try:
            return schema, world, schema.make(world, rng)
        except Unsuitable:
            continue
        except (ValueError, LookupError) as error:  # a world that the kind did not think of must not end a whole stream
            raise Rejected(f"{schema.name}: {type(error).__name__}: {error}") from error
    raise Rejected(f"{schema.name}: no world suits")


def place(seed: int) -> tuple[str, str]:
    """The user and the folder of an episode, so that absolute paths vary."""
    return places.where(random.Random(seed ^ 0x5EED))


def execute(seed: int, schema: Schema, world: World, draft: Draft, executor: Executor) -> Episode:
    """Run the commands, of a part of the episodes with absolute paths; Rejected when they do not do what a right answer
    must."""
    user, root = place(seed)
    rng = random.Random(seed ^ 0xAB50)
    if rng.random() < absolute.SHARE:
        made = absolute.rewritten(draft, world, executor.seen(root), rng)
        if made is not None:
            try:
                return _executed(seed, schema, world, made.draft, executor, user, root, made.anywhere, made.root)
            except Rejected:  # what could not be said so is said as it was
                pass
    return _executed(seed, schema, world, draft, executor, user, root)


def _executed(seed: int, schema: Schema, world: World, draft: Draft, executor: Executor, user: str, root: str,
              elsewhere: bool = False, named: str = "") -> Episode:
    done = executor.run(world, draft.commands, draft.times, user, root, elsewhere)
    if done is None:
        raise Rejected(f"{schema.name}: too slow, or ended the shell")
    _inspect(schema, draft, done)
    last = done.observations[-1][0] if done.observations else ""
    expect = None
    if draft.asks and not draft.volatile:
        expect = normalise(last.replace(done.root, "{root}"), draft.ordered)
    return Episode(schema.name, schema.tools, seed, world, tuple(draft.requests), tuple(draft.plan),
                   tuple(draft.commands), tuple(done.observations), _answer(draft, last), draft.asks, draft.ordered,
                   expect, done.after, draft.times, draft.protected, named,
                   draft.literals)


def _inspect(schema: Schema, draft: Draft, done: Execution) -> None:
    planned = len(draft.plan) == max(1, schema.steps) or (draft.fails and 0 < len(draft.plan) < schema.steps)
    if not schema.steps and (draft.asks or not draft.answer):
        raise Rejected(f"{schema.name}: declines without a word")
    if len(draft.commands) != schema.steps or not planned or not draft.requests:
        raise Rejected(f"{schema.name}: steps, plan and requests do not agree")
    for number, (output, status) in enumerate(done.observations):
        if (status != 0) != (number in draft.fails):
            raise Rejected(f"{schema.name}: command {number + 1} ended with {status}")
        if len(output) > OUTPUT_LIMIT:
            raise Rejected(f"{schema.name}: command {number + 1} printed too much")
    if draft.asks and not done.observations[-1][0].strip():
        raise Rejected(f"{schema.name}: the question has an empty answer")
    if schema.steps and not draft.asks and done.before == done.after:
        raise Rejected(f"{schema.name}: nothing changed")


def _answer(draft: Draft, output: str) -> str:
    """The assistant's last words, derivable from what stands before them."""
    text = output.strip()
    if draft.answer is not None and ("{output}" not in draft.answer or len(text) <= 200):
        return draft.answer.replace("{output}", text)
    if draft.asks:
        return text if text and "\n" not in text and len(text) <= 100 else "The output above shows it."
    return f"Done: {draft.plan[0]}." if len(draft.plan) == 1 else "Done."


def render(episode: Episode, rng: random.Random, note: bool) -> list[Turn]:
    """The turns of an episode, with one of its wordings as people type it."""
    turns: list[Turn] = []
    if note:
        turns.append(Turn("system", workspace_note(top_names(episode.world)), tainted=True))
    turns.append(Turn("user", humanise(rng, rng.choice(episode.requests), episode.protected,
                                       episode.commands)))
    turns.append(Turn("plan", "\n".join(episode.plan)))
    for number, (command, (output, status)) in enumerate(zip(episode.commands, episode.observations, strict=True), 1):
        seen = observation(plain(output), status)  # as the loop shows it to the model
        # a command that fails is context: to repair it is what is learnt, not to write it. The last one is an answer
        # whatever its status is (diff)
        wrong = status != 0 and number < episode.steps
        turns += [Turn("bash", command, tainted=wrong), Turn("output", seen, tainted=True)]
    turns.append(Turn("assistant", episode.answer))
    return turns


def top_names(world: World) -> list[str]:
    """Names in the world's root, folders with a slash, as the loop lists them."""
    return sorted(path + "/" * (entry.kind == "dir") for path, entry in world.entries.items() if "/" not in path)


def produce(numbers: Sequence[int], among: Sequence[Schema], executor: Executor, reasons: Counter[str] | None = None
            ) -> Iterator[Episode]:
    """The good episodes of these seeds; why the others are not is counted in ``reasons``."""
    for seed in numbers:
        try:
            schema, world, made = draft(seed, among)
            yield execute(seed, schema, world, made, executor)
        except Rejected as reason:
            if reasons is not None:
                reasons[str(reason)] += 1


def row(episode: Episode) -> dict[str, Any]:
    """One JSONL row."""
    rng = random.Random(episode.seed ^ 0xF00D)
    turns = render(episode, rng, rng.random() < NOTE_SHARE)
    return {"schema": episode.schema, "steps": episode.steps, "tools": episode.tools, "seed": episode.seed,
            "turns": [{"role": turn.role, "text": turn.text, "tainted": turn.tainted} for turn in turns],
            "note": workspace_note(top_names(episode.world)), "requests": episode.requests, "plan": episode.plan,
            "commands": episode.commands, "protected": episode.protected,
            "outputs": [[text, status] for text, status in episode.observations],
            "asks": episode.asks, "ordered": episode.ordered, "expect_output": episode.expect_output,
            "expect_state": episode.expect_state}


def _portion(numbers: Sequence[int], patterns: str | None, steps: int | None, special: str | None
             ) -> tuple[list[str], Counter[str], Counter[str], int]:
    """Rows, episodes per schema, reasons of rejection, characters of the turns; for one process."""
    kept: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    rows, characters = [], 0
    with Executor() as executor:
        for episode in produce(numbers, source(special) if special else chosen(patterns, steps), executor, reasons):
            data = row(episode)
            kept[episode.schema] += 1
            characters += sum(len(turn["text"]) for turn in data["turns"])
            rows.append(json.dumps(data, ensure_ascii=False))
    return rows, kept, reasons, characters


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nimllm.agent.gym.episodes", description=__doc__)
    parser.add_argument("--count", type=int, required=True, help="episodes to draw (a few are rejected)")
    parser.add_argument("--seed", type=int, default=0, help="number of the stream, 0 to 127")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--schemas", help="only these (comma-separated globs)")
    parser.add_argument("--steps", type=int, help="only episodes of this many commands")
    parser.add_argument("--source", choices=("copying",), help="literals to copy, instead of the schemas")
    args = parser.parse_args(arguments)
    try:
        _generate(args)
    except NimError as error:
        print(f"episodes: {error.message()}", file=sys.stderr)
        return error.code
    return 0


def _generate(args: argparse.Namespace) -> None:
    numbers, size = seeds(args.seed, args.count), 500
    chosen(args.schemas, args.steps)
    portions = [numbers[start:start + size] for start in range(0, len(numbers), size)]
    kept: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    characters, started = 0, time.monotonic()
    with open(args.out, "w", encoding="utf-8") as out, ProcessPoolExecutor(args.workers) as pool:
        results = pool.map(_portion, portions, repeat(args.schemas), repeat(args.steps), repeat(args.source))
        for number, (rows, good, bad, length) in enumerate(results, 1):
            out.writelines(line + "\n" for line in rows)
            kept += good
            reasons += bad
            characters += length
            seconds = time.monotonic() - started
            drawn = min(number * size, len(numbers))
            print(f"{drawn}/{len(numbers)} drawn, {kept.total()} kept, {drawn / seconds:.0f}/s", file=sys.stderr)
    _report(kept, reasons, characters)


def _report(kept: Counter[str], reasons: Counter[str], characters: int) -> None:
    known, tools = load(), Counter[str]()
    lost = Counter[str]()
    for reason, count in reasons.items():
        lost[reason.split(":")[0]] += count
    for name, count in kept.items():
        for tool in known[name].tools if name in known else ():
            tools[tool] += count
    for name in sorted(kept.keys() | lost.keys()):
        total = kept[name] + lost[name]
        print(f"{name:32} {kept[name]:7}  rejected {lost[name] / total:6.1%}", file=sys.stderr)
    print("tools: " + ", ".join(f"{tool} {count}" for tool, count in tools.most_common()), file=sys.stderr)
    for reason, count in reasons.most_common(30):
        print(f"  {count:6} {reason}", file=sys.stderr)
    total = kept.total()
    print(f"{total} episodes of {len(kept)} kinds, rejected {reasons.total() / max(1, total + reasons.total()):.1%}, "
          f"{characters / max(1, total):.0f} characters each", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
