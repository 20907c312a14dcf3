"""One of the processes of test_distributed.py: the same runs as one process makes, as torchrun's environment says.

    torchrun --nproc-per-node 2 ddp_worker.py DATA NAMES
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nimllm.llm.distributed import Group, together
from nimllm.llm.presets import preset
from nimllm.llm.settings import TrainSettings
from nimllm.llm.shards import ShardWriter
from nimllm.llm.tokenizer import Tokenizer, train_char
from nimllm.llm.train import Interrupted, Trainer

TEXT = "the cat sat on the mat and the dog lay by the door.\n" * 200
CONTEXT = 32
STEPS = 6

# name: (settings, shape). Rows that do not divide; learnt tokens that differ from row to row; one row for two processes
RUNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "adamw": ({"batch_rows": 4}, {}),
    "muon": ({"batch_rows": 4, "optimizer": "muon"}, {}),
    "accumulated": ({"batch_rows": 2, "accumulate": 3, "data": "masked"}, {}),
    "uneven": ({"batch_rows": 3}, {"tied": False, "pos": "learned", "norm": "layer", "bias": True, "ffn": "gelu"}),
    "one_row": ({"batch_rows": 1}, {}),
    "masked": ({"batch_rows": 5, "data": "masked"}, {}),
    "sparse": ({"batch_rows": 2, "accumulate": 2, "data": "sparse"}, {}),
}
# in shards (FSDP2), each beside one process that has the whole model
SHARDED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sharded_adamw": ({"batch_rows": 2, "accumulate": 3, "data": "masked"}, {"tied": False}),
    "sharded_muon": ({"batch_rows": 3, "optimizer": "muon", "even_rows": True, "cautious": True}, {}),
    "sharded_bf16": ({"batch_rows": 4, "dtype": "bf16"}, {}),
    "sharded_one_row": ({"batch_rows": 1, "data": "sparse", "accumulate": 2}, {}),
}


def write_data(folder: Path) -> Tokenizer:
    """Shards with every token learnt, with parts of rows learnt, and with most rows not learnt at all."""
    tokenizer = train_char([TEXT])
    tokenizer.save(folder)
    ids = np.array(tokenizer.encode(TEXT))
    rng = np.random.default_rng(3)
    position = np.arange(9000)
    masks = {
        "all": None,
        "masked": rng.random(9000) < rng.random(9000 // CONTEXT + 1)[position // CONTEXT],
        "sparse": (rng.random(9000 // CONTEXT + 1) < 0.2)[position // CONTEXT],
    }
    for name, mask in masks.items():
        with ShardWriter(folder / f"{name}.shard", tokenizer.vocab_size) as writer:
            writer.append(ids[:9000], mask)
    with ShardWriter(folder / "val.shard", tokenizer.vocab_size) as writer:
        writer.append(ids[9000:])
    return tokenizer


def train(folder: Path, run: Path, name: str, group: Group | None = None, resume: bool = False, stop_after: int = 0,
          shard: bool = False, **changes: Any) -> float:
    """Make or go on with the named run; its validation loss at the end, nan when it was stopped."""
    torch.set_num_threads(1)
    tokenizer = Tokenizer.load(folder)
    settings, shape = (RUNS | SHARDED)[name]
    settings = {"steps": STEPS, "lr": 5e-3, "warmup": 3, "eval_every": 3, "eval_rows": 5, "sample_tokens": 4,
                "threads": 1, "dtype": "fp32", "device": "cpu", "aligned": True} | settings | changes
    data = settings.pop("data", "all")
    config = preset("tiny", tokenizer.vocab_size, **({"context": CONTEXT, "d_model": 32, "d_ff": 64} | shape))
    run.mkdir(exist_ok=True)
    trainer = Trainer(config, TrainSettings(**settings, stop_after=stop_after), run, tokenizer,
                      folder / f"{data}.shard", folder / "val.shard", 1.0, resume=resume, group=group,
                      shard=shard)
    trainer.plot = lambda: None  # type: ignore[method-assign]  # half the time of so short a run
    try:
        return trainer.fit().validation
    except Interrupted:
        return float("nan")


def main(group: Group) -> int:
    folder, names = Path(sys.argv[1]), sys.argv[2].split(",")
    for name in names:
        train(folder, folder / f"{name}.two", name, group)
    for name in SHARDED:
        train(folder, folder / f"{name}.two", name, group, shard=True)
    train(folder, folder / "shrunk", "masked", group, stop_after=3)  # goes on in one process
    train(folder, folder / "grown", "masked", group, resume=True)  # begun by one process
    for name in ("sharded_adamw", "sharded_muon"):
        train(folder, folder / f"{name}.shrunk", name, group, stop_after=3, shard=True)
        train(folder, folder / f"{name}.grown", name, group, resume=True, shard=True)
    return 0


if __name__ == "__main__":
    sys.exit(together(main))
