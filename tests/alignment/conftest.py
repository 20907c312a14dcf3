"""A small real model that knows the fact conversations, trained once per test session in a few seconds."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import numpy as np
import pytest
from memory_samples import write_run
from shared_folder import for_all_workers, made_once

from nimllm.alignment.memory import facts
from nimllm.llm.checkpoint import expected_shapes
from nimllm.llm.presets import preset
from nimllm.llm.tokenizer import Tokenizer, train_bpe


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    def make(folder: Path) -> None:
        folder.mkdir()
        train_bpe((turn.text for turns in facts.corpus(Random(0), 3000) for turn in turns), 1024).save(folder)

    return Tokenizer.load(made_once(for_all_workers(tmp_path_factory) / "facts-tokenizer", make))


@pytest.fixture(scope="session")
def blank_run(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """An untrained run folder: enough for everything that only moves numbers."""
    config = preset("tiny", tokenizer.vocab_size)
    rng = np.random.default_rng(1)
    tensors = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in expected_shapes(config).items()}
    tensors["model.norm.weight"][:3] = -0.0  # a base may hold negative zeros, and they must stay
    return write_run(tmp_path_factory.mktemp("blank") / "run", config, tensors, tokenizer)


@pytest.fixture(scope="session")
def talking_run(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """A 150,000-parameter model that has seen the conversations for a few seconds: it says "I don't know that yet."."""
    import torch

    from nimllm.llm.packing import Packer
    from nimllm.llm.settings import TrainSettings
    from nimllm.llm.shards import ShardWriter
    from nimllm.llm.train import Trainer, write_json
    from nimllm.llm.turns import render

    torch.set_num_threads(1)

    def make(run: Path) -> None:
        run.mkdir()
        config = preset("tiny", tokenizer.vocab_size)
        for name, seed, count in (("train.shard", 1, 4000), ("val.shard", 2, 60)):
            with ShardWriter(run / name, tokenizer.vocab_size) as writer:
                packer = Packer(writer, config.context, tokenizer.pad)
                for turns in facts.corpus(Random(seed), count):
                    rendered = render(turns, tokenizer)
                    packer.append(rendered.ids, rendered.learn)
                packer.close()
        settings = TrainSettings(steps=400, batch_rows=16, lr=1e-2, warmup=20, optimizer="muon", aligned=True,
                                 device="cpu", threads=1, eval_every=400, eval_rows=8, sample_tokens=4)
        write_json(run / "config.json", {"format": "nimllm-run", "version": 1, "model": config.model_dump(),
                                         "tokenizer": tokenizer.describe(), "training": settings.model_dump()})
        tokenizer.save(run)
        Trainer(config, settings, run, tokenizer, run / "train.shard", run / "val.shard", 3.0).fit()

    return made_once(for_all_workers(tmp_path_factory) / "talking-run", make)


@pytest.fixture(scope="session")
def measured_state(talking_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose empty store knows the covariance of ``talking_run``: most of what a first update costs."""
    import torch

    from nimllm.alignment.memory.store import MemoryStore
    from nimllm.alignment.memory.update import Session

    torch.set_num_threads(1)

    def make(folder: Path) -> None:
        with MemoryStore(talking_run, folder) as store:
            Session(store)

    return made_once(for_all_workers(tmp_path_factory) / "measured-state", make)


@pytest.fixture
def measured(measured_state: Path, tmp_path: Path) -> Path:
    """A copy of it to write into."""
    return shutil.copytree(measured_state, tmp_path / "measured")
