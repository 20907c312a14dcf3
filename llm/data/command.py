"""``nimllm data``: what a corpus holds and what would be left out of it. Nothing is trained and nothing written."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from nimllm.errors import OK, NimError, UsageError
from nimllm.llm.data.clean import STEPS
from nimllm.llm.data.encoding import BulkEncoder
from nimllm.llm.data.options import DataOptions
from nimllm.llm.data.pool import workers_for
from nimllm.llm.data.report import add_tokens, describe, lines
from nimllm.llm.data.scan import Scan, scan
from nimllm.llm.data.split import TRAIN, VALIDATION, split
from nimllm.llm.data.tally import Tally
from nimllm.llm.text import documents, files
from nimllm.llm.tokenizer import Tokenizer
from nimllm.places import shipped_model

_COUNTED = 8_000_000  # bytes of the sample whose tokens are counted


def main(args: argparse.Namespace) -> int:
    """Exit 0, or a NimError's code."""
    if args.steps:
        for step in STEPS:
            print(f"{step.name:<10} {step.summary}")
        return OK
    if not args.data:
        raise UsageError("nothing to look at", "no file was given", "nimllm data yourdata.jsonl")
    if not 0 < args.val_fraction <= 0.5:
        raise UsageError(f"--val-fraction {args.val_fraction} makes no sense", "it lies above 0 and up to 0.5")
    options = DataOptions.of(args)
    tokenizer = Tokenizer.load(Path(args.model) if args.model else shipped_model())
    paths = [Path(path) for path in args.data]
    size = sum(path.stat().st_size for path, _ in files(path for path in paths if str(path) != "-"))
    size = size if Path("-") not in paths else 1 << 62
    tally = Tally(options.strict)
    with tempfile.TemporaryDirectory(prefix="nimllm-data-") as folder:
        scanned = scan(documents(paths, options.reading(), tally), options.clean, options.dedup, False,
                       workers_for(options.workers, size), Path(folder), tally,
                       lambda message: print(message, file=sys.stderr, flush=True))
    if scanned.drop.all():
        raise NimError("nothing is left of the text", tally.since({}) or "there is none", "give other text or options")
    report = describe(scanned, tally, [str(path) for path in args.data], options.dedup, options.clean)
    _count(report, scanned, tokenizer)
    held = split(scanned, args.val_fraction)
    sizes = scanned.sizes
    report["split"] = {"train_bytes": int(sizes[held.sides == TRAIN].sum()),
                       "validation_bytes": int(sizes[held.sides == VALIDATION].sum())}
    report["options"] = options.describe()
    report["seconds"] = round(scanned.seconds, 2)
    if args.json:
        json.dump(report, sys.stdout, ensure_ascii=False, indent=1)
        print()
    else:
        print("\n".join(lines(report)))
    return OK


def _count(report: dict[str, Any], scanned: Scan, tokenizer: Tokenizer) -> None:
    bulk, tokens, size, characters = BulkEncoder(tokenizer), 0, 0, 0
    for text in scanned.sample.texts():
        _, counts = bulk.encode([text], [False], [False])
        tokens += int(np.sum(counts))
        size += len(text.encode())
        characters += len(text)
        if size >= _COUNTED:
            break
    whole = "all of it" if size >= report["bytes"] else f"the first {size / 1e6:.1f} MB of an even sample"
    add_tokens(report, tokens, size, characters, f"{whole}, vocabulary of {tokenizer.vocab_size:,}")
