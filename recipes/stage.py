"""One stage of a recipe: trained in a folder of its own, killed and resumed as often as it must be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from nimllm.errors import NimError
from nimllm.llm.checkpoint import write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.settings import TrainSettings
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.train import Interrupted, Progress, Trainer, write_json
from recipes.mixture import say


def show(progress: Progress) -> None:
    if progress.step % 20 == 0 or progress.validation is not None:
        text = (
            f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}  lr {progress.lr:.2e}  "
            f"{progress.tokens_per_second:,.0f} tok/s  {progress.eta / 60:.0f} min left"
        )
        if progress.validation is not None:
            text += f"  validation {progress.validation:.4f} ({progress.bits_per_byte:.3f} bits per byte)"
        say(text)


def train_stage(
    config: ModelConfig,
    settings: TrainSettings,
    out: Path,
    tokenizer: Tokenizer,
    bytes_per_token: float,
    start: Path | None,
) -> Path:
    """Train in ``out`` unless it is finished; the weights to go on with."""
    weights = out / "final.safetensors"
    if weights.exists():
        return weights
    say(
        f"{out.name}: {config.parameters():,} parameters, {settings.steps} steps of "
        f"{settings.batch_rows * settings.accumulate * config.context:,} tokens"
    )
    tokenizer.save(out)
    write_json(
        out / "config.json",
        {
            "format": "nimllm-run",
            "version": 1,
            "model": config.model_dump(),
            "tokenizer": tokenizer.describe(),
            "training": settings.model_dump(),
        },
    )
    trainer = Trainer(
        config,
        settings,
        out,
        tokenizer,
        out / "train.bin",
        out / "val.bin",
        bytes_per_token,
        start,
        resume=(out / "last.safetensors").exists(),
    )
    outcome = trainer.fit(show)
    write_tensors(weights, trainer.model.to_numpy(), "fp32", {"step": str(outcome.step)})
    say(f"{out.name} done: validation {outcome.validation:.4f}, {outcome.seconds / 60:.0f} min")
    return weights


def run(main: Callable[[], int]) -> int:
    """``main`` as a program: its errors in one message each, and their exit codes."""
    try:
        return main()
    except Interrupted as error:
        print(error.message(), file=sys.stderr)
        return error.code
    except NimError as error:
        print(f"recipe: {error.message()}", file=sys.stderr)
        return error.code
