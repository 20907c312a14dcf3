"""What the tuning stage is made of: generated episodes of the loop, facts and small talk, pairs, some documents."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from nimllm.agent.gym.episodes import NOTE_SHARE
from nimllm.agent.gym.wordings import humanise
from nimllm.alignment.memory import facts
from nimllm.errors import NimError
from nimllm.llm.turns import Turn
from recipes import corpus
from recipes.mixture import Mixture

STREAMS = 8  # files of generated episodes, each made once
SINGLE_STREAMS = 3  # more of them, of one command only: the kinds are many (305) and each must be met often enough
PER_STREAM = 6_000  # episodes drawn for a stream
COPYING_STREAM = 100  # of simple commands about literals that can only be copied (agent/gym/literals.py)
COPYING = 9_000  # episodes of it: an eighth of all
CONVERSATIONS = 60_000
PAIR_RENDERINGS = (10, 11)  # other seeds than in pretraining: other names
FINISH_RENDERING = 12
DOCUMENT_SHARE = 0.25


def generate(folder: Path) -> list[Path]:
    """The episode files, made where they are missing (a killed stream is made again from its beginning)."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for stream in range(STREAMS + SINGLE_STREAMS):
        single = stream >= STREAMS
        files.append(stream_file(folder, stream, PER_STREAM, single))
    return files


def stream_file(folder: Path, stream: int, count: int, single: bool, workers: int = 1) -> Path:
    """The file of one stream, made where it is missing; ``single``: episodes of one command only."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{'single' if single else 'stream'}-{stream}.jsonl"
    _make(path, count, stream, ["--steps", "1"] if single else [], workers)
    return path


def copying(folder: Path) -> Path:
    """The file of literals to copy, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"copying-{COPYING_STREAM}.jsonl"
    _make(path, COPYING, COPYING_STREAM, ["--source", "copying"])
    return path


def _make(path: Path, count: int, stream: int, more: list[str], workers: int = 1) -> None:
    """Draw the episodes of a stream unless the file is there."""
    if path.exists():
        return
    part = path.with_suffix(".part")
    print(f"episodes: {path.stem}", flush=True)
    words = ["--count", str(count), "--seed", str(stream), "--out", str(part), "--workers", str(workers), *more]
    done = subprocess.run([sys.executable, "-m", "nimllm.agent.gym.episodes", *words], check=False)
    if done.returncode:
        raise NimError("the episode generator failed", f"exit status {done.returncode}", "see its message above")
    part.replace(path)


def renderings(path: Path, rng: random.Random, wordings: Callable[[int], int]) -> Iterator[list[Turn]]:
    """Each episode of a file in its own wording and in others, with and without the note of the folder's files.
    ``wordings``: how many, from the number of its commands."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            turns = [Turn(turn["role"], turn["text"], turn["tainted"]) for turn in row["turns"]]
            yield turns
            body = [turn for turn in turns if turn.role not in ("system", "user")]
            for _ in range(wordings(row["steps"]) - 1):
                request = rng.choice(row["requests"])
                first = [Turn("user", humanise(rng, request, tuple(row["protected"]), row["commands"]))]
                if rng.random() < NOTE_SHARE:
                    first.insert(0, Turn("system", row["note"], True))
                yield first + body


def fill_tune(mixture: Mixture, folder: Path, data: Path, seed: int) -> None:
    """Everything at once; the order does not matter, rows are shuffled when they are trained on."""
    rng = random.Random(seed)
    for path in generate(folder)[:STREAMS]:
        for turns in renderings(path, rng, lambda steps: 2):
            mixture.turns("episodes", turns)
    for turns in renderings(copying(folder), rng, lambda steps: 2):
        mixture.turns("copying", turns)
    for turns in facts.corpus(random.Random(seed + 1), CONVERSATIONS):
        mixture.turns("facts", turns)
    for rendering in PAIR_RENDERINGS:
        for turns in corpus.pairs(data, rendering):
            mixture.turns("pairs", turns)
    for text in corpus.documents(data, seed):
        if rng.random() < DOCUMENT_SHARE:
            mixture.text("documents", text)


def fill_finish(mixture: Mixture, folder: Path, data: Path, seed: int) -> None:
    """What the last stage, with its falling learning rate, is about: the episodes, facts, and few pairs."""
    rng = random.Random(seed + 2)
    for path in generate(folder):
        for turns in renderings(path, rng, lambda steps: 2 if steps == 1 else 1):
            mixture.turns("episodes", turns)
    for turns in renderings(copying(folder), rng, lambda steps: 1):
        mixture.turns("copying", turns)
    for turns in facts.corpus(random.Random(seed + 3), CONVERSATIONS // 3):
        mixture.turns("facts", turns)
    for turns in corpus.pairs(data, FINISH_RENDERING):
        if rng.random() < 0.4:
            mixture.turns("pairs", turns)
