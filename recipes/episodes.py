"""What the tuning stage is made of: generated episodes of the loop, facts and small talk, pairs, some documents."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nimllm.agent.gym.episodes import NOTE_SHARE
from nimllm.agent.gym.wordings import humanise
from nimllm.alignment.memory import facts
from nimllm.errors import NimError
from nimllm.llm.turns import Turn
from recipes import corpus

if TYPE_CHECKING:
    from recipes.shipped import Mixture

STREAMS = 8  # files of generated episodes, each made once
PER_STREAM = 6_000  # episodes drawn for a stream
WORDINGS = 2  # renderings of each episode
CONVERSATIONS = 60_000
PAIR_RENDERINGS = (10, 11)  # other seeds than in pretraining: other names
DOCUMENT_SHARE = 0.25


def generate(folder: Path, streams: int = STREAMS) -> list[Path]:
    """The episode files, made where they are missing (a killed stream is made again from its beginning)."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for stream in range(streams):
        path = folder / f"stream-{stream}.jsonl"
        if not path.exists():
            part = path.with_suffix(".part")
            print(f"episodes: stream {stream}", flush=True)
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "nimllm.agent.gym.episodes",
                    "--count",
                    str(PER_STREAM),
                    "--seed",
                    str(stream),
                    "--out",
                    str(part),
                    "--workers",
                    "1",
                ],
                check=False,
            )
            if done.returncode:
                raise NimError(
                    "the episode generator failed", f"exit status {done.returncode}", "see its message above"
                )
            part.replace(path)
        files.append(path)
    return files


def renderings(path: Path, rng: random.Random) -> Iterator[tuple[str, list[Turn]]]:
    """Each episode of a file in its own wording and in others, with and without the note of the folder's files."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            turns = [Turn(turn["role"], turn["text"], turn["tainted"]) for turn in row["turns"]]
            yield row["schema"], turns
            body = [turn for turn in turns if turn.role not in ("system", "user")]
            for _ in range(WORDINGS - 1):
                request = rng.choice(row["requests"])
                first = [Turn("user", humanise(rng, request, tuple(row["protected"])))]
                if rng.random() < NOTE_SHARE:
                    first.insert(0, Turn("system", row["note"], True))
                yield row["schema"], first + body


def fill(mixture: Mixture, folder: Path, data: Path, seed: int) -> None:
    """Everything of the tuning stage, in an order that does not matter: rows are shuffled when they are trained on."""
    rng = random.Random(seed)
    for path in generate(folder):
        for _, turns in renderings(path, rng):
            mixture.turns("episodes", turns)
    for turns in facts.corpus(random.Random(seed + 1), CONVERSATIONS):
        mixture.turns("facts", turns)
    for rendering in PAIR_RENDERINGS:
        for turns in corpus.pairs(data, rendering):
            mixture.turns("pairs", turns)
    for text in corpus.documents(data, seed):
        if rng.random() < DOCUMENT_SHARE:
            mixture.text("documents", text)
