"""Further skill for a model of this recipe: a stretch of training on generated episodes of every kind.

    python -m recipes.skill --data ../data --out runs/skill --steps 4000

``--start`` is the run folder it goes on from (the model in the box unless told otherwise; ``OUT/skill`` of another
stretch), so stretches add up. The episodes are made once in ``OUT/episodes`` and the shards once in ``OUT/skill``; a
killed run goes on where it was. With ``--export`` the weights replace the model in the box.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from nimllm.alignment.memory import facts
from nimllm.llm.config import read_config
from nimllm.llm.run_folder import write_json
from nimllm.llm.settings import TrainSettings
from nimllm.llm.tokenizer import Tokenizer
from recipes import card, corpus, episodes
from recipes.mixture import Mixture, corpus_stage
from recipes.stage import run, train_stage

FACTS = 150_000  # conversations
PAIR_RENDERING = 21  # other names than in the stages before
PAIR_SHARE = 0.4
DOCUMENT_SHARE = 0.04


MIXED = (33, 34, 36, 37, 39)  # streams of episodes of all lengths
SINGLE = (32, 35, 38, 40, 42)  # of one command: most of what people ask, and most kinds


def fill(mixture: Mixture, folder: Path, data: Path, arguments: argparse.Namespace) -> None:
    seed, rng = arguments.seed, random.Random(arguments.seed + 4)
    for stream in (*arguments.mixed, *arguments.single):
        single = stream in arguments.single
        path = episodes.stream_file(folder, stream, arguments.count, single, arguments.workers)
        for turns in episodes.renderings(path, rng, lambda steps: 3 if steps == 1 else 1):
            mixture.turns("episodes", turns)
    for turns in episodes.renderings(episodes.copying(folder), rng, lambda steps: 2):
        mixture.turns("copying", turns)
    for turns in facts.corpus(random.Random(seed + 5), FACTS):
        mixture.turns("facts", turns)
    for turns in corpus.pairs(data, PAIR_RENDERING):
        if rng.random() < PAIR_SHARE:
            mixture.turns("pairs", turns)
    for text in corpus.documents(data, seed + 6):
        if rng.random() < DOCUMENT_SHARE:
            mixture.text("documents", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/skill"))
    parser.add_argument("--start", type=Path, default=card.SHIPPED, help="run folder to go on from")
    parser.add_argument("--episodes", type=Path, help="folder of the episodes (default: OUT/episodes)")
    parser.add_argument("--mixed", type=int, nargs="*", default=MIXED, help="streams (0 to 127) of all lengths")
    parser.add_argument("--single", type=int, nargs="*", default=SINGLE, help="streams of one command")
    parser.add_argument("--count", type=int, default=6_000)
    parser.add_argument("--workers", type=int, default=2, help="processes that make episodes")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--lr", type=float, default=2.5e-3)
    parser.add_argument("--batch-rows", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus-only", action="store_true", help="make episodes and shards, and stop")
    parser.add_argument("--export", action="store_true", help="replace the model in the box by the result")
    arguments = parser.parse_args()
    out: Path = arguments.out
    config, tokenizer = read_config(arguments.start), Tokenizer.load(arguments.start)
    before = card.stages(arguments.start)

    def filling(mixture: Mixture) -> None:
        fill(mixture, arguments.episodes or out / "episodes", arguments.data, arguments)

    ratio = corpus_stage(out / "skill", tokenizer, config.context, filling)
    if arguments.corpus_only:
        return 0
    settings = TrainSettings(
        steps=arguments.steps,
        lr=arguments.lr,
        warmup=40,
        schedule="wsd",
        cooldown=0.5,
        floor=0.02,
        batch_rows=arguments.batch_rows,
        optimizer="muon",
        weight_decay=0.05,
        seed=arguments.seed,
        aligned=True,
        document_mask=True,  # at work, too, it sees one conversation and nothing before it
        device=arguments.device,
        save_seconds=120,
        eval_rows=96,
        eval_every=250,
    )
    start = arguments.start / "model.safetensors"
    weights = train_stage(config, settings, out / "skill", tokenizer, ratio, start)
    stages = {**before, f"skill {sum(name.startswith('skill') for name in before) + 1}": card.stage(out / "skill")}
    write_json(out / "skill" / card.STAGES, stages)
    if arguments.export:
        card.export(out, weights, config, tokenizer, corpus.probe_text(arguments.data), stages)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
