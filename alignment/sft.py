"""``nimllm align sft``: fine-tuning on conversations, with the loss on what the model writes and on nothing else.

Rows are ``{"messages": [{"role", "content"}]}`` or ``{"turns": […]}``, JSONL or parquet. It starts from a run folder,
makes a new one, and can be killed and resumed like any training run.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nimllm import places
from nimllm.errors import CONFIG, OK, NimError, UsageError
from nimllm.llm.config import read_config
from nimllm.llm.packing import Packer
from nimllm.llm.shards import Shard, ShardWriter
from nimllm.llm.text import documents, read_turns
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render

COLUMNS = ("messages", "turns")
TRAIN, VALIDATION = "train.shard", "val.shard"


@dataclass(frozen=True)
class Conversations:
    """The prepared data of one run. ``skipped``: conversations longer than the context that were left out."""

    train: Path
    validation: Path
    conversations: int
    held_out: int
    tokens: int
    learnt: int
    skipped: int
    bytes_per_token: float  # of the validation part
    checksums: tuple[int, int]


def conversations(paths: Iterable[Path]) -> Iterator[tuple[str, tuple[Turn, ...]]]:
    """(where it stands, its turns) of every row. NimError naming the row that is not a conversation."""
    for path in paths:
        if path.suffix == ".parquet":
            yield from _parquet(path)
            continue
        for document in documents([path]):
            if not document.turns:
                raise NimError(f"{document.source} is not a conversation", "it has no messages and no turns",
                               'rows look like {"messages": [{"role": "user", "content": "…"}, …]}')
            yield document.source, document.turns


def _parquet(path: Path) -> Iterator[tuple[str, tuple[Turn, ...]]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise NimError(f"cannot read {path}", "parquet needs pyarrow", "pip install pyarrow, or give JSONL") from None
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            names = table.schema_arrow.names
            column = next((name for name in COLUMNS if name in names), None)
            if column is None:
                raise NimError(f"{path} holds no conversations", f"its columns are {', '.join(names)}",
                               "one must be called messages or turns")
            for batch in table.iter_batches(batch_size=256, columns=[column]):
                for row in batch.column(0).to_pylist():
                    number += 1
                    where = f"{path} row {number}"
                    # parquet gives every struct all fields of the column; the empty ones were not there
                    rows = [{key: value for key, value in turn.items() if value is not None} if isinstance(turn, dict)
                            else turn for turn in row or ()]
                    yield where, read_turns(rows, where)
    except (OSError, pyarrow.ArrowException) as error:
        raise NimError(f"cannot read {path}", str(error).splitlines()[0], "it is not a good parquet file") from None


def prepare(paths: Iterable[Path], out: Path, tokenizer: Tokenizer, context: int, val_fraction: float = 0.05,
            seed: int = 0, skip_long: bool = False) -> Conversations:
    """Two shards of packed conversations in ``out``, with their loss masks; deterministic by the data and the seed.

    NimError naming the row: no token to learn in it, or longer than the context (unless ``skip_long``).
    """
    kept: list[tuple[list[int], list[bool], int]] = []
    skipped = 0
    for where, turns in conversations(paths):
        rendered = render(turns, tokenizer)
        if not any(rendered.learn):
            roles = ", ".join(dict.fromkeys(turn.role for turn in turns)) or "no turns"
            raise NimError(f"{where} has nothing to learn", f"the model writes none of it ({roles})",
                           "each conversation needs an assistant, plan or bash turn that is not tainted")
        if len(rendered.ids) > context:
            if not skip_long:
                raise NimError(f"{where} is longer than the context", f"{len(rendered.ids)} tokens of {context}",
                               "shorten it, or leave such rows out with --skip-long")
            skipped += 1
            continue
        kept.append((rendered.ids, rendered.learn, sum(len(turn.text.encode()) for turn in turns)))
    if len(kept) < 2:
        raise NimError("there are too few conversations", f"{len(kept)} usable, {skipped} longer than the context",
                       "give at least two: one is held out for validation")
    held = max(1, min(len(kept) - 1, round(val_fraction * len(kept))))
    chosen = set(np.random.default_rng(seed).permutation(len(kept))[:held].tolist())
    size = tokens = learnt = 0
    paths_out = out / TRAIN, out / VALIDATION
    with ShardWriter(paths_out[0], tokenizer.vocab_size) as train, \
            ShardWriter(paths_out[1], tokenizer.vocab_size) as validation:
        packers = [Packer(writer, context, tokenizer.pad) for writer in (train, validation)]
        for number, (ids, learn, length) in enumerate(kept):
            packers[number in chosen].append(ids, learn)
            size += length if number in chosen else 0
        for packer in packers:
            packer.close()
        tokens, learnt = packers[0].tokens, packers[0].learnt
        ratio = size / max(1, packers[1].tokens)
    sums = tuple(Shard(path).checksum for path in paths_out)
    return Conversations(*paths_out, len(kept) - held, held, tokens, learnt, skipped, ratio, (sums[0], sums[1]))


def _checked(args: argparse.Namespace) -> None:
    for name, low, high in (("epochs", 0.0, 1e6), ("lr", 0.0, 10.0), ("val_fraction", 0.0, 0.5)):
        value = getattr(args, name)
        if not low < value <= high:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} {value} makes no sense", f"it lies above {low} and up to {high}")
    if args.batch_tokens < 1:
        raise UsageError(f"--batch-tokens {args.batch_tokens} makes no sense", "it must be positive")


def _data_of(out: Path) -> list[int]:
    """Checksums of the shards a run was started with."""
    import json

    try:
        return json.loads((out / "sft.json").read_text("utf-8"))["checksums"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NimError(f"cannot read {out / 'sft.json'}", str(error), "start the run again in another --out") from None


def fine_tune(run: Path, out: Path, args: argparse.Namespace, say: Callable[[str], None],
              show: Callable[..., None] | None = None) -> int:
    """Prepares and trains; see :func:`main`."""
    from nimllm.llm.settings import TrainSettings
    from nimllm.llm.train import Trainer, write_json

    config, tokenizer = read_config(run), Tokenizer.load(run)
    started = (out / "last.safetensors").exists() or (out / "model.safetensors").exists()
    if out.resolve() == run.resolve():
        raise UsageError("--out is the model to start from", "it would be overwritten", "choose another --out")
    if started and not args.resume:
        raise NimError(f"{out} already holds a model", "a new run would replace it",
                       "go on with --resume, or choose another --out")
    if args.resume and not (out / "sft.json").exists():
        raise NimError(f"there is no run to resume in {out}", "sft.json is missing", "start one without --resume")
    before = _data_of(out) if args.resume else []
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NimError(f"cannot make the run folder {out}", error.strerror or str(error),
                       "choose a folder you can write with --out") from None
    data = prepare([Path(path) for path in args.data], out, tokenizer, config.context, args.val_fraction, args.seed,
                   args.skip_long)
    if before and before != list(data.checksums):
        raise NimError(f"{out} was started with other conversations", "a resumed run goes on with its own data",
                       "give the same files and options, or choose another --out", CONFIG)
    left_out = f", {data.skipped} longer than the context left out" if data.skipped else ""
    say(f"{data.conversations} conversations, {data.held_out} more held out{left_out}; "
        f"{data.tokens:,} tokens, {data.learnt:,} of them learnt")
    rows = max(1, round(args.batch_tokens / config.context))
    windows = (len(Shard(data.train, verify=False).tokens) - 1) // config.context
    steps = max(1, round(args.epochs * windows / min(rows, windows)))
    settings = TrainSettings(
        steps=steps, batch_rows=min(rows, windows), lr=args.lr, warmup=max(1, min(50, steps // 10)), seed=args.seed,
        eval_every=max(1, min(100, steps // 4)), device=args.device, threads=args.threads, aligned=True,
    )
    write_json(out / "sft.json", {"checksums": list(data.checksums), "from": str(run.resolve())})
    write_json(out / "config.json", {"format": "nimllm-run", "version": 1, "model": config.model_dump(),
                                     "tokenizer": tokenizer.describe(), "training": settings.model_dump()})
    tokenizer.save(out)
    if (run / "probe_text.txt").exists():
        shutil.copyfile(run / "probe_text.txt", out / "probe_text.txt")
    trainer = Trainer(config, settings, out, tokenizer, data.train, data.validation, data.bytes_per_token,
                      run / "model.safetensors", resume=args.resume)
    say(f"{steps} steps of {settings.batch_rows * config.context:,} tokens"
        + (f", resumed after step {trainer.step}" if trainer.step else ""))
    outcome = trainer.fit(show)
    print(f"done: {outcome.step} steps in {outcome.seconds:.0f} s, final loss {outcome.loss:.4f}, validation "
          f"{outcome.validation:.4f} nats per learnt token")
    print(f"{out}/model.safetensors is the best on validation. Talk to it: nimllm --chat --model {out}")
    return OK


def main(args: argparse.Namespace) -> int:
    """Fine-tunes ``args.model`` (default: the shipped one) into ``args.out``. Exit 0, or 130 after ^C."""
    if args.method != "sft":
        raise UsageError(f"there is no alignment method {args.method!r} here", "", "use nimllm align sft")
    _checked(args)
    run = Path(args.model) if args.model else places.shipped_model()
    from nimllm.llm.display import display

    with display(args.plain) as screen:
        return fine_tune(run, Path(args.out), args, screen.say, screen.show)
