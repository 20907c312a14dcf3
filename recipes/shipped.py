"""The model in the box, from nothing: tokenizer, pretraining, tuning, export. One command, resumable at every stage.

    python -m recipes.shipped --data DATA --out runs/shipped

DATA is a folder of shell texts and pairs as ``recipes/corpus.py`` reads it. A stage that has been finished is skipped;
one that was interrupted goes on where it was. Everything is seeded. Measured times and scores: RUNS.md.

1. tokenizer   BPE of 4,096 pieces on a sample of everything below
2. pretrain    documents (loss on every token) and pairs (loss on plan and command)
3. tune        generated episodes of the loop, invented facts and small talk, pairs and some documents again
4. finish      episodes again, more of those of one command, some facts and pairs; the learning rate falls to 2 %
5. export      fp16 weights, tokenizer and model card into llm/shipped
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nimllm.agent.gym import names
from nimllm.agent.gym.worlds import World
from nimllm.alignment.memory import facts
from nimllm.errors import NimError
from nimllm.llm import tokenizer as tokenizers
from nimllm.llm.config import ModelConfig, preset
from nimllm.llm.packing import Packer
from nimllm.llm.shards import ShardWriter
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.train import Interrupted, Progress, Trainer, TrainSettings, write_json
from nimllm.llm.turns import Turn, render
from recipes import corpus

VOCAB = 4096  # the head is a quarter of a step at 8,192, and rare pieces would be seen too seldom to be copied
PAIR_RENDERINGS = 4
VALIDATION_EVERY = 60  # one document in so many is held out


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def show(progress: Progress) -> None:
    if progress.step % 20 == 0 or progress.validation is not None:
        text = (
            f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}  lr {progress.lr:.2e}  "
            f"{progress.tokens_per_second:,.0f} tok/s  {progress.eta / 60:.0f} min left"
        )
        if progress.validation is not None:
            text += f"  validation {progress.validation:.4f} ({progress.bits_per_byte:.3f} bits per byte)"
        say(text)


def name_lines(rng: random.Random, count: int) -> Iterator[str]:
    """Names as they are typed, for the tokenizer: it should meet what it will have to copy."""
    for _ in range(count):
        yield " ".join(
            names.stem(rng, blanks=0.0) + rng.choice((".txt", ".log", ".py", ".csv", ".md", "", "/")) for _ in range(6)
        )


def train_tokenizer(data: Path, out: Path) -> Tokenizer:
    if (out / "tokenizer.model").exists():
        return Tokenizer.load(out)
    say("tokenizer")
    rng = random.Random(0)
    texts: list[str] = [text for text in corpus.documents(data, 0) if rng.random() < 0.4]
    for rendering in range(2):
        texts += ["\n".join(turn.text for turn in turns) for turns in corpus.pairs(data, rendering)]
    texts += name_lines(rng, 20_000)
    texts += ["\n".join(turn.text for turn in turns) for turns in facts.corpus(random.Random(1), 20_000)]
    for _ in range(2500):
        world = World.random(rng)
        texts.append("\n".join(world.entries) + "\n" + "\n".join(world.read(path)[:300] for path in world.texts()[:4]))
    rng.shuffle(texts)
    tokenizer = tokenizers.train_bpe(texts, VOCAB)
    tokenizer.save(out)
    return tokenizer


class Mixture:
    """Documents and conversations into a training and a validation shard, with the counts of each source."""

    def __init__(self, out: Path, tokenizer: Tokenizer, context: int) -> None:
        self.out, self.tokenizer = out, tokenizer
        self.writers = [ShardWriter(out / name, tokenizer.vocab_size) for name in ("train.bin", "val.bin")]
        self.packers = [Packer(writer, context, tokenizer.pad) for writer in self.writers]
        self.counts: dict[str, dict[str, int]] = {}
        self.bytes = self.documents = 0

    def add(self, source: str, ids: list[int], learn: list[bool] | None, size: int) -> None:
        self.documents += 1
        held = self.documents % VALIDATION_EVERY == 0
        self.packers[held].append(ids, learn)
        row = self.counts.setdefault(source, {"documents": 0, "tokens": 0, "learnt": 0})
        row["documents"] += 1
        row["tokens"] += len(ids)
        row["learnt"] += sum(learn) if learn is not None else len(ids)
        self.bytes += size

    def text(self, source: str, text: str) -> None:
        ids = [self.tokenizer.bos, *self.tokenizer.encode(text), self.tokenizer.eos]
        self.add(source, ids, None, len(text.encode()))

    def turns(self, source: str, turns: list[Turn], with_request: bool = False) -> None:
        """Loss on what the model writes; ``with_request``: on the user's words, too (language, while pretraining)."""
        rendered = render(turns, self.tokenizer)
        learn = [True] * len(rendered.ids) if with_request else rendered.learn
        self.add(source, rendered.ids, learn, sum(len(turn.text.encode()) for turn in turns))

    def close(self) -> float:
        """Publish the shards; bytes per token."""
        for packer, writer in zip(self.packers, self.writers, strict=True):
            packer.close()
            writer.close()
        tokens = sum(row["tokens"] for row in self.counts.values())
        about = {
            "sources": self.counts,
            "tokens": tokens,
            "bytes_per_token": self.bytes / tokens,
            "rows": [writer.count for writer in self.writers],
        }
        write_json(self.out / "corpus.json", about)
        for source, row in self.counts.items():
            say(f"  {source}: {row['documents']:,} documents, {row['tokens']:,} tokens, {row['learnt']:,} learnt")
        return self.bytes / tokens


def corpus_stage(out: Path, tokenizer: Tokenizer, context: int, fill: Callable[[Mixture], None]) -> float:
    """Make the shards of a stage unless they are there; bytes per token."""
    about = out / "corpus.json"
    if not about.exists():
        out.mkdir(parents=True, exist_ok=True)
        say(f"corpus of {out.name}")
        mixture = Mixture(out, tokenizer, context)
        fill(mixture)
        return mixture.close()
    return float(json.loads(about.read_text("utf-8"))["bytes_per_token"])


def train_stage(
    config: ModelConfig,
    settings: TrainSettings,
    out: Path,
    tokenizer: Tokenizer,
    bytes_per_token: float,
    start: Path | None,
) -> Path:
    """Train in ``out`` unless it is finished; the weights to go on with."""
    weights = out / "final.safetensors"
    if weights.exists():
        return weights
    say(
        f"{out.name}: {config.parameters():,} parameters, {settings.steps} steps of "
        f"{settings.batch_rows * settings.accumulate * config.context:,} tokens"
    )
    tokenizer.save(out)
    write_json(
        out / "config.json",
        {
            "format": "nimllm-run",
            "version": 1,
            "model": config.model_dump(),
            "tokenizer": tokenizer.describe(),
            "training": settings.model_dump(),
        },
    )
    trainer = Trainer(
        config,
        settings,
        out,
        tokenizer,
        out / "train.bin",
        out / "val.bin",
        bytes_per_token,
        start,
        resume=(out / "last.safetensors").exists(),
    )
    outcome = trainer.fit(show)
    from nimllm.llm.checkpoint import write_tensors

    write_tensors(weights, trainer.model.to_numpy(), "fp32", {"step": str(outcome.step)})
    say(f"{out.name} done: validation {outcome.validation:.4f}, {outcome.seconds / 60:.0f} min")
    return weights


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/shipped"))
    parser.add_argument("--size", default="nimllm-10m")
    parser.add_argument("--pretrain-steps", type=int, default=830)
    parser.add_argument("--tune-steps", type=int, default=800)
    parser.add_argument("--finish-steps", type=int, default=1500)
    parser.add_argument("--pretrain-lr", type=float, default=4e-3)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--batch-rows", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stage", choices=("pretrain", "tune", "finish"), help="stop after this stage")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(arguments.data, out)
    config = preset(arguments.size, tokenizer.vocab_size)
    common = dict(
        batch_rows=arguments.batch_rows,
        optimizer="muon",
        weight_decay=0.05,
        seed=arguments.seed,
        aligned=True,
        device=arguments.device,
        save_seconds=120,
        eval_rows=96,
        eval_every=200,
    )

    def pretraining(mixture: Mixture) -> None:
        for text in corpus.documents(arguments.data, arguments.seed):
            mixture.text("documents", text)
        for rendering in range(PAIR_RENDERINGS):
            for turns in corpus.pairs(arguments.data, rendering):
                mixture.turns("pairs", turns, with_request=True)

    ratio = corpus_stage(out / "pretrain", tokenizer, config.context, pretraining)
    weights = train_stage(
        config,
        TrainSettings(
            steps=arguments.pretrain_steps, lr=arguments.pretrain_lr, warmup=60, schedule="wsd", floor=0.8, **common
        ),
        out / "pretrain",
        tokenizer,
        ratio,
        None,
    )
    if arguments.stage == "pretrain":
        return 0

    from recipes import episodes

    def tuning(mixture: Mixture) -> None:
        episodes.fill_tune(mixture, out / "episodes", arguments.data, arguments.seed)

    ratio = corpus_stage(out / "tune", tokenizer, config.context, tuning)
    settings = TrainSettings(
        steps=arguments.tune_steps, lr=arguments.lr, warmup=30, schedule="wsd", floor=1.0, **common
    )
    weights = train_stage(config, settings, out / "tune", tokenizer, ratio, weights)
    if arguments.stage == "tune":
        return 0

    def finishing(mixture: Mixture) -> None:
        episodes.fill_finish(mixture, out / "episodes", arguments.data, arguments.seed)

    ratio = corpus_stage(out / "finish", tokenizer, config.context, finishing)
    settings = TrainSettings(
        steps=arguments.finish_steps, lr=arguments.lr, warmup=10, schedule="wsd", cooldown=0.8, floor=0.02, **common
    )
    weights = train_stage(config, settings, out / "finish", tokenizer, ratio, weights)
    if arguments.stage == "finish":
        return 0
    from recipes import card

    card.export(out, weights, config, tokenizer)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Interrupted as error:
        print(error.message(), file=sys.stderr)
        sys.exit(error.code)
    except NimError as error:
        print(f"recipe: {error.message()}", file=sys.stderr)
        sys.exit(error.code)
