"""A small real model that knows the fact conversations, trained once per test session in a few seconds."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from memory_samples import write_run

from nimllm.alignment.memory import facts
from nimllm.llm.checkpoint import expected_shapes
from nimllm.llm.config import preset
from nimllm.llm.tokenizer import Tokenizer, train_bpe


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    texts = (turn.text for turns in facts.corpus(Random(0), 3000) for turn in turns)
    return train_bpe(texts, 1024)


@pytest.fixture(scope="session")
def blank_run(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """An untrained run folder: enough for everything that only moves numbers."""
    config = preset("tiny", tokenizer.vocab_size)
    rng = np.random.default_rng(1)
    tensors = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in expected_shapes(config).items()}
    tensors["model.norm.weight"][:3] = -0.0  # a base may hold negative zeros, and they must stay
    return write_run(tmp_path_factory.mktemp("blank") / "run", config, tensors, tokenizer)
