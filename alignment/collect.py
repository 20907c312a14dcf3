"""``nimllm align collect``: rejected answers for preference tuning, written by the model itself.

A preset says how the model is made to go wrong: "loops" (hot, and nothing against repetition), "canned" (cold, short,
words it has used made dear: the phrases it falls back to), "tutorial" (long-winded explanations). Every row has its own
randomness, by the seed and its words: a run that was stopped goes on where it was, and gives what one run would have.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm import places
from nimllm.alignment import rows as files
from nimllm.alignment.collected import Collected, as_rows
from nimllm.alignment.conversations import Turns, side, turns_of
from nimllm.errors import OK, NimError, UsageError
from nimllm.llm.data.tally import Tally
from nimllm.llm.turns import LEARNED, ROLES, render

if TYPE_CHECKING:
    from nimllm.llm.generate import Completion, Generator

LEAST_ROOM = 16  # tokens that must be left for an answer
SAMPLES = 64  # at most, for one prompt


@dataclass(frozen=True)
class Preset:
    temperature: float
    repetition_penalty: float
    max_tokens: int


PRESETS = {"loops": Preset(1.2, 1.0, 400), "canned": Preset(0.4, 1.15, 80), "tutorial": Preset(0.7, 1.1, 500)}


@dataclass(frozen=True)
class Asked:
    """A prompt with its good answer, one turn of the model's; none: the prompt alone is known."""

    where: str
    prompt: Turns
    chosen: Turns


def asked(paths: Iterable[Path], tally: Tally) -> Iterator[Asked]:
    """Prompts and answers of ``{"prompt", "chosen"}``, of conversations (the last turn is the answer, or there is none
    after the user's), of ``{"prompt"}`` alone. Bad rows are counted in ``tally``."""
    for path in paths:
        for where, row in files.json_rows(path, tally):
            try:
                prompt, chosen = _split(row, where)
            except NimError as error:
                tally.bad("without a prompt", error, where)
                continue
            if len(chosen) > 1:
                tally.left("whose answer is several turns", where)
            elif chosen and (chosen[0].tainted or not chosen[0].text.strip()):
                tally.left("whose answer is empty or tainted", where)
            else:
                yield Asked(where, prompt, chosen)


def _split(row: dict[str, Any], where: str) -> tuple[Turns, Turns]:
    if row.get("prompt") is not None and row.get("completion") is None and row.get("response") is None:
        prompt, chosen = side(row["prompt"], "user", where), side(row.get("chosen"), "assistant", where)
    else:
        turns = turns_of(row, where)
        last = next((i for i in range(len(turns) - 1, -1, -1) if turns[i].role in LEARNED), -1)
        prompt, chosen = (turns[:last], turns[last:last + 1]) if last >= 0 and last == len(turns) - 1 else (turns, ())
    if not any(turn.role == "user" and turn.text.strip() for turn in prompt):
        raise NimError(f"{where} has no prompt", "nothing in it is said by a user",
                       'rows look like {"prompt": "…", "chosen": "…"}')
    if any(turn.role not in LEARNED for turn in chosen):
        raise NimError(f"{where} has an answer that the model does not write", ", ".join(t.role for t in chosen), "")
    return prompt, chosen


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()


def _alike(text: str) -> str:
    return " ".join(text.split()).casefold()


@dataclass
class Collector:
    """Draws answers from ``generator`` into ``out``. ``counts``: what became of them."""

    generator: Generator
    out: Collected
    name: str
    preset: Preset
    seed: int
    samples: int
    model: str  # fingerprint
    dedup: bool

    def __post_init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.tokens = 0
        self._texts: set[str] = set()

    def key(self, one: Asked, sample: int) -> str:
        return _digest("row", as_rows(one.prompt), as_rows(one.chosen), self.name, asdict(self.preset), self.seed,
                       sample, self.model)[:24]

    def draw(self, one: Asked) -> None:
        """The samples of one prompt that are not in the file."""
        from nimllm.llm.generate import Sampling

        missing = [i for i in range(self.samples) if self.key(one, i) not in self.out]
        self.counts["done before"] += self.samples - len(missing)
        if not missing:
            return
        tokenizer = self.generator.tokenizer
        role = one.chosen[0].role if one.chosen else "assistant"
        ids = [*render(one.prompt, tokenizer).ids, tokenizer.marker(role)]
        room = min(self.preset.max_tokens, self.generator.config.context - len(ids))
        if room < min(LEAST_ROOM, self.preset.max_tokens):
            self.counts["prompts that leave no room for an answer"] += 1
            return
        end = tokenizer.marker("end")
        shut = [tokenizer.marker(name) for name in ROLES]
        seed = int(_digest("seed", self.seed, self.name, as_rows(one.prompt))[:15], 16)
        sampling = Sampling(self.preset.temperature, repetition_penalty=self.preset.repetition_penalty, seed=seed)
        if self.samples == 1:
            drawn = [self.generator.complete(ids, room, stop_ids=(end,), banned=shut, sampling=sampling)]
        else:
            drawn = self.generator.complete_many(ids, self.samples, room, stop_ids=(end,), banned=shut,
                                                 sampling=sampling)
        self.tokens += sum(len(text.ids) for text in drawn)
        before = {_alike(turn.text) for turn in one.chosen}
        for sample, text in enumerate(drawn):
            self._keep(one, role, sample, text, before, end)

    def _keep(self, one: Asked, role: str, sample: int, text: Completion, before: set[str], end: int) -> None:
        key, alike = self.key(one, sample), _alike(text.text)
        if not alike:
            self.counts["empty"] += 1
        elif alike in before:
            chosen = one.chosen and alike == _alike(one.chosen[0].text)
            self.counts["the same as the chosen answer" if chosen else "the same as another sample"] += 1
        elif self.dedup and alike in self._texts:
            self.counts["the same as an answer to another prompt"] += 1
        else:
            before.add(alike)
            self._texts.add(alike)
            if key in self.out:
                return
            answer = [{"role": role, "text": text.text}]
            source = {"key": key, "preset": self.name, **asdict(self.preset), "seed": self.seed, "sample": sample,
                      "model": self.model, "row": one.where, "ended": text.stop_id == end}
            row = {"chosen": as_rows(one.chosen), "rejected": answer} if one.chosen else {"completion": answer,
                                                                                         "label": False}
            self.out.add({"prompt": as_rows(one.prompt), **row, "source": source})
            self.counts["collected"] += 1


def collect(rows: Sequence[Asked], collector: Collector, say: Callable[[str], None], every: float = 5.0) -> None:
    """All rows, with a line about the progress every so many seconds."""
    began = said = time.monotonic()
    for number, one in enumerate(rows, 1):
        collector.draw(one)
        now = time.monotonic()
        if now - said >= every and number < len(rows):
            said = now
            left = (now - began) / number * (len(rows) - number)
            say(f"{number:,} of {len(rows):,} prompts, {collector.counts['collected']:,} answers, "
                f"{collector.tokens / (now - began):,.0f} tokens/s, {left / 60:.0f} min left")


def summary(counts: Counter[str]) -> str:
    """"12 answers collected; 3 the same as the chosen answer, …"."""
    others = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()) if what != "collected" and count)
    return f"{counts['collected']:,} answers collected" + (f"; {others}" if others else "")


def _preset(args: argparse.Namespace) -> Preset:
    given = {name: getattr(args, name) for name in ("temperature", "repetition_penalty", "max_tokens")
             if getattr(args, name) is not None}
    if given.get("max_tokens", 1) < 1:
        raise UsageError(f"--max-tokens {args.max_tokens} makes no sense", "it must be positive")
    if not 1 <= args.samples <= SAMPLES:
        raise UsageError(f"--samples {args.samples} makes no sense", f"1 to {SAMPLES}")
    return replace(PRESETS[args.preset], **given)


def main(args: argparse.Namespace) -> int:
    """``nimllm align collect DATA --preset loops --out pairs.jsonl``. Exit 0, or 130 after ^C; rows are kept."""
    if args.preset is None or not args.data:
        raise UsageError("nothing to collect from", "it takes prompts and a preset, or the agent's episodes",
                         "nimllm align collect DATA --preset loops --out pairs.jsonl, or --from-episodes")
    preset, tally = _preset(args), Tally(args.strict)
    rows = list(asked([Path(path) for path in args.data], tally))
    rows = rows[:args.limit] if args.limit else rows

    def say(message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    left_out = f"; left out: {files.places(tally)}" if tally.reasons else ""
    if not rows:
        raise NimError("there are no prompts", f"in {', '.join(args.data)}{left_out}",
                       'rows look like {"prompt": "…", "chosen": "…"}')
    from nimllm.llm.checkpoint import fingerprint, read_tensors
    from nimllm.llm.generate import Generator

    run = Path(args.model) if args.model else places.shipped_model()
    generator = Generator.load(run, dtype=args.dtype, threads=args.threads)
    with Collected(Path(args.out)) as out:
        say(f"{len(rows):,} prompts{left_out}; {args.preset}: temperature {preset.temperature:g}, repetition penalty "
            f"{preset.repetition_penalty:g}, at most {preset.max_tokens} tokens")
        collector = Collector(generator, out, args.preset, preset, args.seed, args.samples,
                              fingerprint(read_tensors(run / "model.safetensors"))[:16], args.dedup)
        try:
            collect(rows, collector, say)
        except KeyboardInterrupt:
            say(f"stopped; {summary(collector.counts)}: run it again to go on")
            raise
        finally:
            generator.close()
    print(f"{summary(collector.counts)}: {args.out}")
    return OK
