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
from nimllm.llm import tokenizer as tokenizers
from nimllm.llm.presets import preset
from nimllm.llm.settings import TrainSettings
from nimllm.llm.tokenizer import Tokenizer
from recipes import card, corpus, episodes
from recipes.mixture import Mixture, corpus_stage, say
from recipes.stage import run, train_stage

VOCAB = 4096  # the head is a quarter of a step at 8,192, and rare pieces would be seen too seldom to be copied
PAIR_RENDERINGS = 4


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
    stages = {name: card.stage(out / name) for name in ("pretrain", "tune", "finish")}
    card.export(out, weights, config, tokenizer, corpus.probe_text(arguments.data), stages)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
