"""The mixture of a stage: documents and conversations, packed into a training and a validation shard."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from nimllm.agent.gym.everyday import Kept
from nimllm.llm.packing import Packer
from nimllm.llm.shards import ShardWriter
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.train import write_json
from nimllm.llm.turns import Turn, render

VALIDATION_EVERY = 60  # one document in so many is held out


@cache
def evaluated() -> Kept:
    """The requests that are evaluated on: no source trains on one, by whatever chance."""
    return Kept()


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


class Mixture:
    """Documents and conversations into a training and a validation shard, with the counts of each source."""

    def __init__(self, out: Path, tokenizer: Tokenizer, context: int) -> None:
        self.out, self.tokenizer = out, tokenizer
        self.writers = [ShardWriter(out / name, tokenizer.vocab_size) for name in ("train.bin", "val.bin")]
        self.packers = [Packer(writer, context, tokenizer.pad) for writer in self.writers]
        self.counts: dict[str, dict[str, int]] = {}
        self.bytes = self.documents = self.kept = 0

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
        """Loss on what the model writes; ``with_request``: on the user's words, too (language, while pretraining). A
        request that is evaluated on is left out."""
        if any(turn.role == "user" and evaluated().holds(turn.text) for turn in turns):
            self.kept += 1
            return
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
            "left_out": self.kept,
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
