"""One dial: what a size and a text decide when nothing else is said. RUNS.md has the experiments behind each default.

Every value can be overridden (the options of ``nimllm --train``, or ``--set NAME=VALUE`` for any field of the model's
shape or of the training settings), and all of them are saved in the run's config.json.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from nimllm.errors import UsageError
from nimllm.llm.config import ModelConfig
from nimllm.llm.presets import Preset, find, preset

if TYPE_CHECKING:
    from nimllm.llm.settings import TrainSettings
    from nimllm.llm.train import Trainer

# what a text of so many bytes can feed (about 20 tokens a parameter would be ideal; small texts are repeated)
_SIZE_BY_BYTES = ((200_000, "tiny"), (4_000_000, "nimllm-2m"), (120_000_000, "nimllm-10m"))
_LARGEST_BY_DEFAULT = "nimllm-30m"
_BYTES_PER_ENTRY = 1000  # of text for one entry of the vocabulary: rarer pieces are hardly learnt
_SMALLEST_VOCAB = 512
# bytes of saved activations by layer, width and token: 47 to 55 measured in bf16 at six shapes, twice that in fp32
_ACTIVATION_BYTES = {"bf16": 60, "fp32": 110}
_CPU_BUDGET = 1_500_000_000  # for them
EMBED_SCALE = 10.0  # the embedding learns so much faster than the matrices, with Muon and with AdamW alone
_TRIAL_STEPS, _TRIAL_SHARE = 9, 0.02  # of the minutes: a few steps after a pause say too much (17 % on a busy machine)
_EVALUATIONS, _EVALUATE_EVERY = 5, 200  # at least so many evaluations, at least every 200 steps
_PASSES, _DROPOUT = 5.0, 0.2  # over the text; more of them only learn it by heart
_STEPS, _SMALLEST_BATCH = 400, 2048  # fewer tokens a step rather than fewer steps
_FITTED = {"lr", "steps", "batch_rows", "accumulate"}  # what --set must leave to its option


def default_size(paths: list[Path]) -> str:
    """The size that the files can feed."""
    from nimllm.llm.text import files

    total = sum(path.stat().st_size for path, _ in files(paths))
    return next((name for limit, name in _SIZE_BY_BYTES if total < limit), _LARGEST_BY_DEFAULT)


def vocabulary(found: Preset, size: int) -> int:
    """Entries for a text of ``size`` bytes: the preset's, or the power of two that the text can teach."""
    fed = _SMALLEST_VOCAB
    while 2 * fed * _BYTES_PER_ENTRY <= size:
        fed *= 2
    return min(found.vocab, fed)


def micro_rows(config: ModelConfig, rows: int, dtype: str, budget: int) -> int:
    """The most rows at once, of a step's ``rows``, whose activations stay below ``budget`` bytes; a divisor of them, so
    that every step has the size that was asked for."""
    each = _ACTIVATION_BYTES[dtype] * config.n_layers * config.d_model * config.context
    most = max(1, min(rows, budget // each))
    return next(count for count in range(int(most), 0, -1) if rows % count == 0)


def changes(texts: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(fields of the shape, fields of the settings) from ``NAME=VALUE``; UsageError for one that does not exist."""
    from nimllm.llm.settings import TrainSettings

    shape: dict[str, Any] = {}
    training: dict[str, Any] = {}
    names = {field.name for field in fields(ModelConfig)} - {"vocab_size"}
    for text in texts:
        name, found, value = text.partition("=")
        if not found or name in _FITTED or (name not in names and name not in TrainSettings.model_fields):
            known = sorted(names | (TrainSettings.model_fields.keys() - _FITTED))
            raise UsageError(f"--set {text} makes no sense", "it must be NAME=VALUE",
                             f"the names are {', '.join(known)}")
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        (shape if name in names else training)[name] = parsed
    return shape, training


def shape(args: argparse.Namespace, size: str) -> dict[str, Any]:
    """The preset's shape with what the options change; UsageError when it makes no model."""
    found = find(size)
    changed, _ = changes(args.set)
    if args.dropout is not None:
        changed["dropout"] = args.dropout
    if args.context:
        changed["context"] = args.context
    try:
        preset(size, found.vocab, **changed)
    except ValueError as error:
        raise UsageError(f"these options make no model of {size}", str(error)) from None
    return changed


def _budget(device: str) -> int:
    import torch

    if device in ("auto", "cuda") and torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0] * 0.5)
    return _CPU_BUDGET


def steps_within(minutes: float, trainer: Trainer) -> int:
    """Steps that fit into so many minutes with their evaluations, by a trial of some. The trainer is used up."""
    times: list[float] = []
    while len(times) < _TRIAL_STEPS or sum(times) < _TRIAL_SHARE * 60.0 * minutes:
        began = time.perf_counter()
        trainer.train_step()
        times.append(time.perf_counter() - began)
    step = median(times[_TRIAL_STEPS // 3:])  # the first ones allocate
    began = time.perf_counter()
    trainer.evaluate()
    evaluation = time.perf_counter() - began
    left = 60.0 * minutes - sum(times) - evaluation
    few = (left - _EVALUATIONS * evaluation) / step
    return max(1, int(min(few, left / (step + evaluation / _EVALUATE_EVERY))))


def regularised(args: argparse.Namespace, config: ModelConfig, made: TrainSettings, tokens: int) -> ModelConfig:
    """With dropout where the text will be read often and nobody said how much."""
    passes = made.steps * made.batch_rows * made.accumulate * config.context / max(1, tokens)
    return slowest(args, config) if passes > _PASSES else config


def slowest(args: argparse.Namespace, config: ModelConfig) -> ModelConfig:
    """The configuration with the dropout that a text read often would get: for a trial before one knows."""
    said = args.dropout is not None or "dropout" in changes(args.set)[0] or config.dropout
    return config if said else config.model_copy(update={"dropout": _DROPOUT})


def _batch_tokens(args: argparse.Namespace, found: Preset, tokens: int) -> int:
    """The preset's, halved while a small text would give too few steps."""
    batch = found.batch_tokens
    if args.steps is None and args.minutes is None:
        while batch > _SMALLEST_BATCH and args.epochs * tokens < _STEPS * batch:
            batch //= 2
    return batch


def settings(args: argparse.Namespace, size: str, config: ModelConfig, tokens: int) -> TrainSettings:
    """Everything about the training that was not said. ``tokens``: of the training text."""
    from nimllm.llm.settings import TrainSettings
    from nimllm.llm.train import gains_by_bf16, pick_device

    found = find(size)
    rows = max(1, round((args.batch_tokens or _batch_tokens(args, found, tokens)) / config.context))
    dtype = args.dtype
    if dtype == "auto":
        dtype = "bf16" if gains_by_bf16(pick_device(args.device)) else "fp32"
    micro = min(rows, args.micro_batch) if args.micro_batch else micro_rows(config, rows, dtype, _budget(args.device))
    accumulate = max(1, round(rows / micro))
    steps = args.steps or max(1, round(args.epochs * tokens / (micro * accumulate * config.context)))
    made = dict(
        steps=steps, batch_rows=micro, accumulate=accumulate, embed_scale=EMBED_SCALE,
        lr=args.lr or found.rate * (1.0 if args.optimizer == "muon" else 0.5),
        warmup=args.warmup if args.warmup is not None else min(100, max(1, steps // 10)), schedule=args.schedule,
        optimizer=args.optimizer, weight_decay=args.weight_decay, seed=args.seed,
        eval_every=args.eval_every or max(1, min(_EVALUATE_EVERY, steps // _EVALUATIONS)),
        save_seconds=args.save_seconds, sample=args.sample, dtype=args.dtype, device=args.device,
        compile=args.compile, threads=args.threads,
    )
    _, training = changes(args.set)
    try:
        return TrainSettings(**{**made, **training})
    except ValueError as error:
        raise UsageError("these options make no training", str(error).splitlines()[-2].strip()) from None
