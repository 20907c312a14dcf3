"""``nimllm align sft``: fine-tuning on conversations, with the loss on what the model writes and on nothing else.

It starts from a run folder, makes a new one, and can be killed and resumed like any training run. Conversations are
packed into rows, none sees another (``document_mask``), and none is cut.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nimllm import places
from nimllm.alignment import rows as files
from nimllm.alignment.conversations import Fitting, conversations
from nimllm.alignment.conversations import learnt as learnt_turns
from nimllm.errors import CONFIG, OK, NimError, UsageError
from nimllm.llm.config import read_config
from nimllm.llm.data.tally import Tally
from nimllm.llm.packing import Packer
from nimllm.llm.shards import Shard, ShardWriter
from nimllm.llm.tokenizer import Tokenizer

TRAIN, VALIDATION = "train.shard", "val.shard"
HELD_OUT = 4096  # conversations that are held out at most


@dataclass(frozen=True)
class Prepared:
    """The data of one run. ``shortened``: conversations that lost their oldest exchanges; ``tally``: what was left
    out."""

    train: Path
    validation: Path
    conversations: int
    held_out: int
    tokens: int
    learnt: int
    shortened: int
    bytes_per_token: float  # of what is learnt in the validation part
    checksums: tuple[int, int]
    tally: Tally = field(compare=False)

    def report(self) -> str:
        """One line for the user."""
        said = f"{self.conversations:,} conversations, {self.held_out:,} more held out; {self.tokens:,} tokens, " \
               f"{self.learnt:,} of them learnt"
        if self.shortened:
            said += f"; {self.shortened:,} without their oldest turns"
        return said + (f"; left out: {files.places(self.tally)}" if self.tally.reasons else "")


def prepare(paths: Iterable[Path], out: Path, fitting: Fitting, val_fraction: float = 0.05, seed: int = 0,
            strict: bool = False, report: Callable[[str], None] = lambda message: None) -> Prepared:
    """Two shards of packed conversations in ``out``, with their loss masks; deterministic by the data and the seed.

    Memory does not grow with the data. NimError naming the row: what ``fitting`` refuses, and with ``strict`` the first
    bad row.
    """
    tally, rng = Tally(strict), np.random.default_rng(seed)
    said = time.monotonic()
    counts, size = [0, 0], 0
    paths_out = out / TRAIN, out / VALIDATION
    tokenizer = fitting.tokenizer
    with ShardWriter(paths_out[0], tokenizer.vocab_size) as train, \
            ShardWriter(paths_out[1], tokenizer.vocab_size) as validation:
        packers = [Packer(writer, fitting.context, tokenizer.pad) for writer in (train, validation)]
        waiting: tuple[int, list[int], list[bool], int] | None = None  # the last one goes where there is none yet

        def place(side: int, ids: list[int], learn: list[bool], length: int) -> None:
            nonlocal size
            packers[side].append(ids, learn)
            counts[side] += 1
            size += length if side else 0

        for where, turns in conversations(paths, tally):
            fitted = fitting.fit(where, turns, tally)
            if fitted is None:
                continue
            turns, made = fitted
            if waiting is not None:
                place(*waiting)
            held = rng.random() < val_fraction and counts[1] < HELD_OUT
            waiting = int(held), made.ids, made.learn, sum(
                len(turn.text.encode()) for turn in learnt_turns(turns, fitting.rule))
            if time.monotonic() - said > 2:
                said = time.monotonic()
                report(f"reading: {sum(counts) + 1:,} conversations, {sum(p.tokens for p in packers):,} tokens")
        if waiting is None or sum(counts) == 0:
            found = sum(counts) + (waiting is not None)
            raise NimError("there are too few conversations", f"{found} usable" + (
                f"; left out: {files.places(tally)}" if tally.reasons else ""),
                "give at least two: one is held out for validation")
        side = 1 if not counts[1] else 0 if not counts[0] else waiting[0]
        place(side, *waiting[1:])
        for packer in packers:
            packer.close()
    sums = tuple(Shard(path).checksum for path in paths_out)
    return Prepared(*paths_out, counts[0], counts[1], packers[0].tokens, packers[0].learnt, fitting.shortened,
                    size / max(1, packers[1].learnt), (sums[0], sums[1]), tally)


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
    fitting = Fitting(tokenizer, config.context, args.learn, args.drop_turns == "oldest", args.skip_long,
                      args.skip_empty)
    data = prepare([Path(path) for path in args.data], out, fitting, args.val_fraction, args.seed, args.strict, say)
    if before and before != list(data.checksums):
        raise NimError(f"{out} was started with other conversations", "a resumed run goes on with its own data",
                       "give the same files and options, or choose another --out", CONFIG)
    say(data.report())
    rows = max(1, round(args.batch_tokens / config.context))
    windows = (len(Shard(data.train, verify=False).tokens) - 1) // config.context
    steps = max(1, round(args.epochs * windows / min(rows, windows)))
    settings = TrainSettings(
        steps=steps, batch_rows=min(rows, windows), lr=args.lr, warmup=max(1, min(50, steps // 10)), seed=args.seed,
        eval_every=max(1, min(100, steps // 4)), device=args.device, threads=args.threads, aligned=True,
        document_mask=True,
    )
    write_json(out / "sft.json", {
        "checksums": list(data.checksums), "from": str(run.resolve()), "learn": args.learn,
        "conversations": data.conversations, "held_out": data.held_out, "tokens": data.tokens, "learnt": data.learnt,
        "shortened": data.shortened, "left_out": data.tally.describe()})
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
