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
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from nimllm.agent.gym import names
from nimllm.agent.gym.worlds import World
from nimllm.alignment.memory import facts
from nimllm.errors import NimError
from nimllm.llm import tokenizer as tokenizers
from nimllm.llm.checkpoint import write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.presets import preset
from nimllm.llm.settings import TrainSettings
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.train import Interrupted, Progress, Trainer, write_json
from recipes import card, corpus, episodes
from recipes.mixture import Mixture, corpus_stage, say

VOCAB = 4096  # the head is a quarter of a step at 8,192, and rare pieces would be seen too seldom to be copied
PAIR_RENDERINGS = 4


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
    write_tensors(weights, trainer.model.to_numpy(), "fp32", {"step": str(outcome.step)})
    say(f"{out.name} done: validation {outcome.validation:.4f}, {outcome.seconds / 60:.0f} min")
    return weights


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/shipped"))
    parser.add_argument("--size", default="nimllm-10m")
    parser.add_argument("--pretrain-steps", type=int, default=832)
    parser.add_argument("--tune-steps", type=int, default=793)
    parser.add_argument("--finish-steps", type=int, default=1400)
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
    config = preset(arguments.size, tokenizer.vocab_size, n_layers=6, d_ff=1024)  # what nimllm-10m was in 0.1.0
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
    card.export(out, weights, config, tokenizer, corpus.probe_text(arguments.data))
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
