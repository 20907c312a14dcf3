"""Run folders, deltas and records for the memory's tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nimllm.alignment.memory.events import Record
from nimllm.alignment.memory.store import Delta, MemoryStore, quantise
from nimllm.llm.checkpoint import write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.tokenizer import Tokenizer


def write_run(run: Path, config: ModelConfig, tensors: dict[str, np.ndarray], tokenizer: Tokenizer) -> Path:
    run.mkdir(parents=True, exist_ok=True)
    about = {"format": "nimllm-run", "version": 1, "model": config.model_dump(), "tokenizer": tokenizer.describe()}
    (run / "config.json").write_text(json.dumps(about), "utf-8")
    write_tensors(run / "model.safetensors", tensors)
    tokenizer.save(run)
    return run


def some_delta(store: MemoryStore, seed: int, share: float = 0.01) -> Delta:
    """A random sparse change of about ``share`` of the entries of some tensors."""
    rng = np.random.default_rng(seed)
    change: dict[str, np.ndarray] = {}
    for name, tensor in store.base_tensors().items():
        if rng.random() < 0.5:
            mask = rng.random(tensor.shape) < share
            change[name] = np.where(mask, rng.normal(0, 0.02, tensor.shape), 0).astype(np.float32)
    return quantise(change, store.grid)


def some_record(title: str = "a memory") -> Record:
    return Record(title=title, method="kewc")
