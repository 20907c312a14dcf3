"""How well a model predicts a text: nats per token and bits per byte (``nimllm eval loss FILE``).

Bits per byte counts the raw bytes of the text, so models with different vocabularies compare.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nimllm.errors import NimError
from nimllm.llm.generate import Generator
from nimllm.llm.text import Document, documents
from nimllm.llm.turns import render
from nimllm.places import shipped_model


@dataclass(frozen=True)
class Measured:
    """Sums over some text."""

    nats: float
    tokens: int
    bytes: int
    seconds: float

    @property
    def nats_per_token(self) -> float:
        return self.nats / self.tokens

    @property
    def bits_per_byte(self) -> float:
        return self.nats / math.log(2) / self.bytes

    def row(self, name: str) -> dict[str, object]:
        return {"text": name, "nats_per_token": round(self.nats_per_token, 5),
                "bits_per_byte": round(self.bits_per_byte, 5), "tokens": self.tokens, "bytes": self.bytes,
                "seconds": round(self.seconds, 2)}


def measure(generator: Generator, stream: Iterable[Document]) -> Measured:
    """Loss over the documents, each after a bos of its own; conversations in the turn format.

    Windows of one context, half overlapping: apart from a document's beginning, every token is predicted from at least
    half a context. NimError when there is no text.
    """
    began = time.monotonic()
    tokenizer, context = generator.tokenizer, generator.config.context
    nats, tokens, size = 0.0, 0, 0
    held: list[int] = []
    start = 1  # the first id of ``held`` that was not scored yet
    for document in stream:
        if document.first:
            held, start = [tokenizer.bos], 1
        if document.turns:
            held += render(document.turns, tokenizer, bos=False).ids
            size += sum(len(turn.text.encode()) for turn in document.turns)
        else:
            held += tokenizer.encode(document.text)
            size += len(document.text.encode())
        while len(held) > start and (document.last or len(held) > context):
            window = held[:context + 1]  # one more than the context: the last one is only predicted
            nats -= generator.score(window, start)  # a score is a log-probability
            tokens += len(window) - start
            keep = min(len(window), max(1, context // 2))
            held, start = held[len(window) - keep:], keep
    if not tokens or not size:
        raise NimError("there is no text to measure", "", "give a file with text")
    return Measured(nats, tokens, size, time.monotonic() - began)


def main(args: argparse.Namespace) -> int:
    """``nimllm eval loss FILE... [--model DIR] [--json]``: one line per path, and the total of several."""
    run = Path(args.model) if args.model else shipped_model()
    generator = Generator.load(run, dtype=args.dtype, threads=args.threads)
    rows: list[tuple[str, Measured]] = []
    for path in args.data:
        rows.append((str(path), measure(generator, documents([path]))))
    if len(rows) > 1:
        parts = [measured for _, measured in rows]
        rows.append(("all", Measured(*(sum(getattr(part, field) for part in parts)
                                       for field in ("nats", "tokens", "bytes", "seconds")))))
    if args.json:
        json.dump({"model": str(run), "backend": generator.backend_name, "dtype": args.dtype, "context":
                   generator.config.context, "texts": [measured.row(name) for name, measured in rows]}, sys.stdout)
        print()
        return 0
    print(f"{'nats/token':>10} {'bits/byte':>10} {'tokens':>10} {'bytes':>11} {'tok/s':>8}  text")
    for name, measured in rows:
        print(f"{measured.nats_per_token:10.4f} {measured.bits_per_byte:10.4f} {measured.tokens:10,} "
              f"{measured.bytes:11,} {measured.tokens / max(measured.seconds, 1e-9):8,.0f}  {name}")
    return 0
