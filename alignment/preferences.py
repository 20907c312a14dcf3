"""Preference data: which of two answers is better, or whether one is good. Read, tokenised, held out by prompt.

Rows are ``{"prompt", "chosen", "rejected"}`` or ``{"prompt", "completion", "label"}``, JSONL or parquet. A prompt is a
text (what the user said) or a list of turns; an answer is a text (what the assistant says) or a list of turns. Without
"prompt", the turns that chosen and rejected have in common are it. JSONL may be compressed (.gz, .xz, .bz2, .zst).
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from nimllm.errors import NimError
from nimllm.llm.data import streams
from nimllm.llm.data.tables import table_rows
from nimllm.llm.text import read_turns
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import LEARNED, Turn, render

COLUMNS = ("prompt", "chosen", "rejected", "completion", "label")
SHOWN = 5  # bad rows that are named
Turns = tuple[Turn, ...]


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt, of which the first is preferred."""

    where: str
    prompt: Turns
    chosen: Turns
    rejected: Turns


@dataclass(frozen=True)
class Judged:
    """One answer to a prompt and whether it is good."""

    where: str
    prompt: Turns
    answer: Turns
    good: bool


@dataclass
class Rows:
    """What was read. ``bad``: what is wrong with each row that could not be used, with file and line."""

    pairs: list[Pair] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    long: int = 0

    def report(self) -> str:
        """One line about the bad rows, or ""."""
        if not self.bad:
            return ""
        more = f" and {len(self.bad) - SHOWN} more" if len(self.bad) > SHOWN else ""
        return f"{len(self.bad)} bad rows left out: " + "; ".join(self.bad[:SHOWN]) + more


def read(paths: Iterable[Path], strict: bool = False) -> Rows:
    """Every row of the files. NimError: a file that cannot be read, no usable row; with ``strict``, the first bad row.
    """
    rows = Rows()
    for path in paths:
        for where, row in _parquet(path) if path.suffix == ".parquet" else _jsonl(path):
            try:
                if isinstance(row, NimError):
                    raise row
                kept = _row(row, where)
            except NimError as error:
                if strict:
                    raise
                rows.bad.append(error.message())
                continue
            if isinstance(kept, Pair):
                rows.pairs.append(kept)
            else:
                rows.judged.append(kept)
    if not rows.pairs and not rows.judged:
        raise NimError("there is no preference data", rows.report() or "the files are empty",
                       'rows look like {"prompt": "…", "chosen": "…", "rejected": "…"} or '
                       '{"prompt": "…", "completion": "…", "label": true}')
    return rows


def _jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    with streams.opened(path) as file:
        for number, line in streams.rows(file):
            where = f"{path} line {number}"
            if line is None:
                yield where, NimError(f"{where} is longer than {streams.LONGEST_ROW // 10**6} MB")
                continue
            try:
                yield where, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield where, NimError(f"{where} is not JSON", str(error).split(": ", 1)[0])


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    for number, row, _ in table_rows(path, list(COLUMNS), None):
        # parquet gives every row and every turn all fields; the empty ones were not there
        yield f"{path} row {number}", _without_none(row)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value]
    return value


def _row(row: Any, where: str) -> Pair | Judged:
    if not isinstance(row, dict):
        raise NimError(f"{where} is not an object")
    if "chosen" in row and "rejected" in row:
        chosen, rejected = (_turns(row, name, "assistant", where) for name in ("chosen", "rejected"))
        if "prompt" in row:
            prompt = _turns(row, "prompt", "user", where)
        else:
            same = 0
            while same < min(len(chosen), len(rejected)) and chosen[same] == rejected[same]:
                same += 1
            prompt, chosen, rejected = chosen[:same], chosen[same:], rejected[same:]
        if chosen == rejected:
            raise NimError(f"{where} prefers an answer to itself")
        return Pair(where, _prompt(prompt, where), _answer(chosen, where), _answer(rejected, where))
    if "completion" in row and "label" in row:
        if not isinstance(row["label"], bool):
            raise NimError(f"{where} has a label that is not true or false", str(row["label"])[:80])
        prompt, answer = _turns(row, "prompt", "user", where), _turns(row, "completion", "assistant", where)
        return Judged(where, _prompt(prompt, where), _answer(answer, where), row["label"])
    raise NimError(f"{where} is no preference", f"its fields are {', '.join(map(str, row))[:200] or 'none'}")


def _turns(row: dict[str, Any], name: str, role: str, where: str) -> Turns:
    value = row.get(name)
    if isinstance(value, str):
        value = [{"role": role, "text": value}]
    elif isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise NimError(f"{where}: {name} is neither a text nor turns", str(value)[:80])
    turns = read_turns(value, where)
    if any("\0" in turn.text for turn in turns):
        raise NimError(f"{where}: {name} holds a NUL")
    return turns


def _prompt(turns: Turns, where: str) -> Turns:
    if not turns or not any(turn.text.strip() for turn in turns):
        raise NimError(f"{where} has no prompt")
    return turns


def _answer(turns: Turns, where: str) -> Turns:
    """An answer is what the model writes, and what programs answered in between."""
    if not any(turn.text.strip() for turn in turns):
        raise NimError(f"{where} has an empty answer")
    for turn in turns:
        if turn.role not in LEARNED and turn.role != "output":
            raise NimError(f"{where} has an answer that the model does not write", f"a turn of {turn.role}")
        if turn.tainted and turn.role != "output":
            raise NimError(f"{where} has a tainted answer", "text of a program or a file is never a target")
    if turns[0].role not in LEARNED:
        raise NimError(f"{where} has an answer that begins with an output")
    return turns


@dataclass(frozen=True)
class Answer:
    """Ids of an answer after its prompt; ``own[i]``: id i is one the model writes (an output's are not)."""

    prompt: tuple[int, ...]
    ids: tuple[int, ...]
    own: tuple[bool, ...]

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.ids)

    @property
    def count(self) -> int:
        """Tokens of the model's own."""
        return sum(self.own)


def tokenised(prompt: Sequence[Turn], answer: Sequence[Turn], tokenizer: Tokenizer) -> Answer:
    rendered = render(answer, tokenizer, bos=False)
    return Answer(tuple(render(prompt, tokenizer).ids), tuple(rendered.ids), tuple(rendered.learn))


@dataclass(frozen=True)
class Comparison:
    """A held-out pair. ``crossed``: the two answers are to different prompts, since no prompt had both kinds."""

    chosen: Answer
    rejected: Answer
    crossed: bool = False


@dataclass
class Preferences:
    """Training rows and held-out pairs; no prompt is in both."""

    pairs: list[Pair]
    judged: list[Judged]
    held_out: list[Comparison]
    prompts: int  # held-out ones
    rows: Rows


def fitting(rows: Rows, tokenizer: Tokenizer, context: int, skip_long: bool) -> Rows:
    """The rows whose prompt and answers fit the context; NimError naming the first that does not, unless
    ``skip_long``. Nothing is ever cut."""
    kept = Rows(bad=rows.bad)

    def fits(where: str, prompt: Turns, *answers: Turns) -> bool:
        length = max(tokenised(prompt, answer, tokenizer).length for answer in answers)
        if length > context and not skip_long:
            raise NimError(f"{where} is longer than the context", f"{length} tokens of {context}",
                           "shorten it, or leave such rows out with --skip-long")
        kept.long += length > context
        return length <= context

    kept.pairs = [pair for pair in rows.pairs if fits(pair.where, pair.prompt, pair.chosen, pair.rejected)]
    kept.judged = [row for row in rows.judged if fits(row.where, row.prompt, row.answer)]
    return kept


def split(rows: Rows, tokenizer: Tokenizer, held_out: int, seed: int) -> Preferences:
    """Holds out the rows of ``held_out`` prompts (a fifth of all at most), chosen by the seed among those that have a
    better and a worse answer, or among all when none has."""
    prompts: dict[Turns, tuple[list[Pair], list[Judged]]] = {}
    for pair in rows.pairs:
        prompts.setdefault(pair.prompt, ([], []))[0].append(pair)
    for row in rows.judged:
        prompts.setdefault(row.prompt, ([], []))[1].append(row)
    if len(prompts) < 2:
        raise NimError("there is too little preference data", f"{len(prompts)} prompt", "one of two at least is held "
                       "out to measure on: give more rows, with other prompts")
    complete = [prompt for prompt, (pairs, judged) in prompts.items() if pairs or len({row.good for row in judged}) > 1]
    among = complete or list(prompts)
    count = max(1, min(held_out, len(prompts) // 5, len(among)))
    held = set(random.Random(seed).sample(range(len(among)), count))
    kept = {among[index] for index in held}
    comparisons: list[Comparison] = []
    good: list[Answer] = []
    bad: list[Answer] = []
    for prompt in (among[index] for index in sorted(held)):
        pairs, judged = prompts[prompt]
        if pairs:  # one pair a prompt: prompts weigh alike
            comparisons.append(Comparison(tokenised(prompt, pairs[0].chosen, tokenizer),
                                          tokenised(prompt, pairs[0].rejected, tokenizer)))
            continue
        by_label: dict[bool, list[Judged]] = {True: [], False: []}
        for row in judged:
            by_label[row.good].append(row)
        if by_label[True] and by_label[False]:
            comparisons.append(Comparison(tokenised(prompt, by_label[True][0].answer, tokenizer),
                                          tokenised(prompt, by_label[False][0].answer, tokenizer)))
        else:
            for row in judged[:1]:
                (good if row.good else bad).append(tokenised(prompt, row.answer, tokenizer))
    comparisons += [Comparison(one, two, True) for one, two in zip(good, bad, strict=False)]
    return Preferences([pair for pair in rows.pairs if pair.prompt not in kept],
                       [row for row in rows.judged if row.prompt not in kept], comparisons, len(kept), rows)


def paired(preferences: Preferences) -> list[Pair]:
    """What DPO trains on: the pairs, and for judged rows each good answer beside each bad one of its prompt, as many
    times as the longer side has rows (its shorter side repeats)."""
    by_prompt: dict[Turns, dict[bool, list[Judged]]] = {}
    for row in preferences.judged:
        by_prompt.setdefault(row.prompt, {True: [], False: []})[row.good].append(row)
    made = [Pair(f"{good[i % len(good)].where}, {bad[i % len(bad)].where}", prompt, good[i % len(good)].answer,
                 bad[i % len(bad)].answer)
            for prompt, labels in by_prompt.items() for good, bad in [(labels[True], labels[False])] if good and bad
            for i in range(max(len(good), len(bad)))]
    found = preferences.pairs + made
    if not found:
        raise NimError("DPO needs pairs", "no prompt has a better and a worse answer",
                       "nimllm align kto learns from labels alone")
    return found


def labelled(preferences: Preferences) -> list[Judged]:
    """What KTO trains on: the judged rows, and each pair as a good and a bad one. NimError: one of the kinds is
    missing."""
    found = list(preferences.judged)
    for pair in preferences.pairs:
        found += [Judged(pair.where, pair.prompt, pair.chosen, True),
                  Judged(pair.where, pair.prompt, pair.rejected, False)]
    kinds = {row.good for row in found}
    if len(kinds) < 2:
        raise NimError("KTO needs good and bad answers", f"all labels are {'true' if True in kinds else 'false'}",
                       "add rows of the other kind")
    return found


def batched(rows: Sequence[Judged], batch: int, seed: int) -> list[Judged]:
    """The rows in an order for KTO's batches, read one after the other: the answers to a prompt in one batch, and no
    two of them side by side.

    Good and bad answers to a prompt have most tokens in common, and what they ask of these cancels when they meet in a
    batch, as in a pair of DPO. TRL estimates z_ref from each prompt with the answer of the row before, which must be an
    answer to another prompt.
    """
    by_prompt: dict[Turns, dict[bool, list[Judged]]] = {}
    for row in rows:
        by_prompt.setdefault(row.prompt, {True: [], False: []})[row.good].append(row)
    prompts = list(by_prompt)
    rng = random.Random(seed)
    rng.shuffle(prompts)
    line: list[Judged] = []
    for prompt in prompts:
        good, bad = by_prompt[prompt][True], by_prompt[prompt][False]
        line += [row for some in zip_longest(good, bad) for row in some if row is not None]
    found: list[Judged] = []
    for start in range(0, len(line), batch):
        seen: Counter[Turns] = Counter()
        rounds: dict[int, list[Judged]] = {}
        for row in line[start:start + batch]:  # first one answer to each prompt of the batch, then a second one
            rounds.setdefault(seen[row.prompt], []).append(row)
            seen[row.prompt] += 1
        found += [row for number in sorted(rounds) for row in rounds[number]]
    return found
