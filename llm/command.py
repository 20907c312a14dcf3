"""``nimllm --train``: from text files to a run folder, with one command, and on with it after anything."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm.errors import NimError, UsageError
from nimllm.llm import recipe
from nimllm.llm.config import ModelConfig
from nimllm.llm.presets import find, preset

if TYPE_CHECKING:
    from nimllm.llm.distributed import Group
    from nimllm.llm.progress import Progress

# may differ when a run is resumed
_EXECUTION = ("threads", "device", "plain", "save_seconds", "resume", "out", "tensorboard", "shard", "workers")


def _checked(args: argparse.Namespace) -> None:
    """Numbers that argparse cannot judge."""
    if args.minutes is not None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("--minutes cannot be used with several processes", "each would find another number of steps",
                         "give --steps or --epochs")
    for name in ("vocab_size", "context", "steps", "batch_tokens", "micro_batch", "warmup", "eval_every"):
        value = getattr(args, name)
        if value is not None and value < (0 if name == "warmup" else 1):
            raise UsageError(f"--{name.replace('_', '-')} {value} makes no sense", "it must be positive")
    for name, low, high in (("val_fraction", 0.0, 0.5), ("epochs", 0.0, 1e6), ("lr", 0.0, 10.0),
                            ("minutes", 0.0, 1e6)):
        value = getattr(args, name)
        if value is not None and not low < value <= high:
            raise UsageError(
                f"--{name.replace('_', '-')} {value} makes no sense", f"it lies above {low} and up to {high}"
            )
    if args.size is not None:
        find(args.size)
    recipe.changes(args.set)
    for path in args.data:
        if path != "-" and not Path(path).exists():
            raise NimError(f"cannot train on {path}", "there is no such file or folder", "check the path")


def _run_folder(args: argparse.Namespace) -> Path:
    if args.out:
        return Path(args.out)
    if not args.data:
        raise UsageError("nothing to train on", "no file was given", "nimllm --train yourdata.txt")
    name = "stdin" if args.data[0] == "-" else Path(args.data[0]).resolve().stem or "text"
    return Path("runs") / name


def _remembered(run: Path, args: argparse.Namespace) -> argparse.Namespace:
    """The options the run was started with, under those that may change."""
    path = run / "arguments.json"
    try:
        saved: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if args.data:
            return args  # killed before it had begun
        raise NimError(
            f"there is no run to resume in {run}",
            f"{path.name} is missing",
            "give --out DIR of a run that was started, or start one with text files",
        ) from None
    except (OSError, json.JSONDecodeError) as error:
        raise NimError(f"cannot read {path}", str(error), "start the run again in another --out") from None
    if args.data and [str(Path(p).resolve()) if p != "-" else p for p in args.data] != saved["data"]:
        raise UsageError(
            f"{run} was started with other files",
            "a resumed run goes on with its own text",
            "leave the files out, or choose another --out",
        )
    kept = {key: value for key, value in saved.items() if key not in _EXECUTION}
    kept["set"] = [*saved.get("set", []), *args.set]  # how long this process runs may differ; the rest is checked
    return argparse.Namespace(**{**vars(args), **kept})


def main(args: argparse.Namespace) -> int:
    """Prepare, train, report, also as one of several processes (torchrun). Exit 0, 130 after ^C and 143 after SIGTERM
    (everything saved), or a NimError's code."""
    from nimllm.llm.distributed import together

    return together(lambda group: _first(args, group) if group.first else _other(group))


def _other(group: Group) -> int:
    """What every process but the first does: wait for its decisions, and train its part of them."""
    plan = group.hear()
    if "failed" in plan:
        return int(plan["failed"])
    from nimllm.llm.settings import TrainSettings
    from nimllm.llm.tokenizer import Tokenizer
    from nimllm.llm.train import Trainer

    run = Path(plan["run"])
    config, settings = ModelConfig.model_validate(plan["model"]), TrainSettings.model_validate(plan["training"])
    Trainer(config, settings, run, Tokenizer.load(run), Path(plan["train"]), Path(plan["validation"]),
            plan["bytes_per_token"], resume=plan["resume"], group=group, shard=plan["shard"]).fit()  # fmt: skip
    return 0


def _first(args: argparse.Namespace, group: Group) -> int:
    from nimllm.llm.distributed import restarted

    _checked(args)
    run = _run_folder(args)
    if group.size > 1 and restarted():
        args.resume = True
    if args.resume:
        args = _remembered(run, args)
    elif not args.data:
        raise UsageError("nothing to train on", "no file was given", "nimllm --train yourdata.txt")
    elif (run / "last.safetensors").exists() or (run / "model.safetensors").exists():
        raise NimError(
            f"{run} already holds a model", "a new run would replace it", "go on with --resume, or choose another --out"
        )

    from nimllm.llm import event_log
    from nimllm.llm.data.options import DataOptions
    from nimllm.llm.display import display
    from nimllm.llm.prepare import copied, prepare
    from nimllm.llm.run_folder import METRICS, hold, read_curves

    if args.tensorboard:
        event_log.check()
    DataOptions.of(args)  # what makes no sense is said before anything is written
    paths = [Path(path) for path in args.data]
    with display(args.plain) as screen, hold(run), ExitStack() as stack:
        _remember(run, args)
        size = args.size or recipe.default_size(copied(paths, run))
        found = find(size)
        args.clean = args.clean or ",".join(found.clean)
        shape = recipe.shape(args, size)
        prepared = prepare(
            paths,
            run,
            vocab_size=args.vocab_size or partial(recipe.vocabulary, found),
            kind=args.tokenizer or found.tokenizer,
            val_fraction=args.val_fraction,
            context=shape.get("context", found.shape["context"]),
            report=screen.say,
            options=DataOptions.of(args),
        )
        config = preset(size, prepared.tokenizer.vocab_size, **shape)
        settings = recipe.settings(args, size, config, prepared.train_tokens)

        from nimllm.llm.train import Trainer, write_json

        if args.minutes and not args.steps:
            screen.say(f"measuring how many steps {args.minutes:g} minutes hold")
            trial = Trainer(recipe.slowest(args, config), settings, run, prepared.tokenizer, prepared.train,
                            prepared.val, prepared.bytes_per_token)
            args.steps = recipe.steps_within(args.minutes, trial)
            del trial
            _remember(run, args)  # a resumed run keeps them
            settings = recipe.settings(args, size, config, prepared.train_tokens)
        config = recipe.regularised(args, config, settings, prepared.train_tokens)

        screen.say(
            f"{size}: {config.parameters():,} parameters, {settings.steps} steps of "
            f"{settings.batch_rows * settings.accumulate * config.context:,} tokens, "
            + (f"dropout {config.dropout:g}, " if config.dropout else "") + f"in {run}"
            + (f", by {group.size} processes" if group.size > 1 else "")
        )
        write_json(
            run / "config.json",
            {
                "format": "nimllm-run",
                "version": 1,
                "model": config.model_dump(),
                "tokenizer": prepared.tokenizer.describe(),
                "training": settings.model_dump(),
            },
        )
        group.tell({
            "run": str(run.resolve()), "model": config.model_dump(), "training": settings.model_dump(),
            "train": str(prepared.train.resolve()), "validation": str(prepared.val.resolve()),
            "bytes_per_token": prepared.bytes_per_token, "resume": args.resume,
            "shard": args.shard,
        })  # fmt: skip
        trainer = Trainer(
            config,
            settings,
            run,
            prepared.tokenizer,
            prepared.train,
            prepared.val,
            prepared.bytes_per_token,
            resume=args.resume,
            group=group,
            shard=args.shard,
        )
        if trainer.step:
            screen.say(f"resumed after step {trainer.step}")
            if (run / METRICS).exists():
                screen.history(read_curves(run, trainer.step))
        board = stack.enter_context(event_log.EventLog(run, trainer.step)) if args.tensorboard else None

        def show(progress: Progress) -> None:
            screen.show(progress)
            if board is not None:
                board(progress)

        outcome = trainer.fit(show)
    from nimllm.llm.plots import terminal_plot

    curves = read_curves(run)
    print(terminal_plot(curves.train, validation=curves.validation))
    print(
        f"done: {outcome.step} steps in {outcome.seconds:.0f} s, final loss {outcome.loss:.6f}, validation "
        f"{outcome.validation:.4f} nats per token, {outcome.bits_per_byte:.4f} bits per byte"
    )
    print(f"{run}/model.safetensors is the best on validation. Talk to it: nimllm --chat --model {run}")
    return 0


def _remember(run: Path, args: argparse.Namespace) -> None:
    from nimllm.llm.train import write_json

    try:
        run.mkdir(parents=True, exist_ok=True)
        saved = {key: value for key, value in vars(args).items() if key not in _EXECUTION and key != "command"}
        saved["data"] = [str(Path(path).resolve()) if path != "-" else path for path in args.data]
        write_json(run / "arguments.json", saved)
    except OSError as error:
        raise NimError(
            f"cannot write the run folder {run}",
            error.strerror or str(error),
            "choose a folder you can write with --out",
        ) from None


if __name__ == "__main__":
    sys.exit("run it as: nimllm --train FILE")
