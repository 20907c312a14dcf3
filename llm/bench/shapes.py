"""Named geometries with random weights, or the model of a run folder: what a benchmark measures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nimllm.errors import UsageError
from nimllm.llm.config import ModelConfig, read_config
from nimllm.places import shipped_model

_LLAMA: dict[str, Any] = dict(qk_norm=False, rope_theta=10000.0, norm_eps=1e-5)
_GPT2: dict[str, Any] = dict(qk_norm=False, pos="learned", norm="layer", ffn="gelu", norm_eps=1e-5)
SHAPES: dict[str, dict[str, Any]] = {
    # 10.36M, 79 % of it the head: fits a level-3 cache in any dtype
    "10m": dict(vocab_size=32000, n_layers=6, d_model=256, n_heads=8, n_kv_heads=2, head_dim=32, d_ff=256, context=512,
                **_LLAMA),
    # 47.5M
    "48m": dict(vocab_size=32000, n_layers=10, d_model=512, n_heads=8, n_kv_heads=8, head_dim=64, d_ff=1344,
                context=1024, **_LLAMA),
    # 105.1M with a small vocabulary: nearly all of it in the blocks
    "103m": dict(vocab_size=2259, n_layers=8, d_model=1024, n_heads=16, n_kv_heads=16, head_dim=64, d_ff=2816,
                 context=512, **_LLAMA),
    # 10.7M characters: the shape of nanoGPT's character example
    "char-10m": dict(vocab_size=201, n_layers=6, d_model=384, n_heads=6, n_kv_heads=6, head_dim=64, d_ff=1536,
                     context=256, **_GPT2),
    # 47.9M as a GPT-2: learned positions, GELU
    "48m-gpt2": dict(vocab_size=32000, n_layers=10, d_model=512, n_heads=8, n_kv_heads=8, head_dim=64, d_ff=2048,
                     context=512, **_GPT2),
    # 103M as a GPT-2
    "103m-gpt2": dict(vocab_size=2259, n_layers=8, d_model=1024, n_heads=16, n_kv_heads=16, head_dim=64, d_ff=4096,
                      context=512, **_GPT2),
    # 7.3M, of it 6.4M the head: where launches, not arithmetic, decide on a GPU
    "7m": dict(vocab_size=50257, n_layers=4, d_model=128, n_heads=4, n_kv_heads=4, head_dim=32, d_ff=512, context=256,
               **_GPT2),
    # seconds in a test
    "tiny": dict(vocab_size=512, n_layers=2, d_model=64, n_heads=2, n_kv_heads=1, head_dim=32, d_ff=128, context=128,
                 **_LLAMA),
}


@dataclass(frozen=True)
class Subject:
    """A model to measure. ``tensors`` is made, or read, at its first use and kept."""

    name: str
    config: ModelConfig
    read: Callable[[], dict[str, np.ndarray]]
    run: Path | None = None  # its run folder, None for random weights

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """fp32, by checkpoint name."""
        return self.read()

    @property
    def geometry(self) -> dict[str, Any]:
        """The configuration and the number of weights, for a report."""
        return {**self.config.model_dump(), "parameters": self.config.parameters(),
                "weights": "random" if self.run is None else str(self.run)}


def random_tensors(config: ModelConfig, seed: int = 0, silent: int = 0) -> dict[str, np.ndarray]:
    """Normal weights of standard deviation 1/sqrt(fan in), gains of 1, biases of 0: the same for the same seed.

    ``silent``: the rows of the first ids are zero, so that greedy decoding never chooses them (a tied head).
    """
    from nimllm.kernels.engine import tensor_shapes

    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for name, shape in tensor_shapes(config.model_dump()).items():
        if len(shape) == 1:
            tensors[name] = np.full(shape, 0.0 if name.endswith("bias") else 1.0, np.float32)
        else:
            tensors[name] = rng.standard_normal(shape, np.float32)
            tensors[name] *= np.float32(1 / math.sqrt(shape[1]))
    if silent:
        tensors["model.embed_tokens.weight"][:silent] = 0
        if not config.tied:
            tensors["lm_head.weight"][:silent] = 0
    return tensors


def shape(name: str, seed: int = 0) -> Subject:
    """A named geometry with random weights, or "shipped"; UsageError for an unknown name."""
    if name == "shipped":
        return stored(shipped_model(), "shipped")
    if name not in SHAPES:
        raise UsageError(f"no shape is called {name!r}", "", f"the shapes are {', '.join(SHAPES)} and shipped")
    config = ModelConfig(**SHAPES[name])
    return Subject(name, config, lambda: random_tensors(config, seed, silent=4))  # the special ids


def stored(run: Path, name: str | None = None) -> Subject:
    """The model of a run folder; NimError when it cannot be read."""
    config = read_config(run)

    def read() -> dict[str, np.ndarray]:
        from nimllm.llm.checkpoint import check_tensors, read_tensors

        path = run / "model.safetensors"
        tensors = read_tensors(path)
        check_tensors(config, tensors, path)
        return tensors

    return Subject(name or run.resolve().name, config, read, run)


def matmul_weights(config: ModelConfig) -> int:
    """Weights that every token is multiplied with: all matrices, the head once, no table of embeddings or positions."""
    d, q, kv = config.d_model, config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    ffn = (3 if config.ffn == "swiglu" else 2) * d * config.d_ff
    return config.n_layers * (d * (q + 2 * kv) + q * d + ffn) + config.vocab_size * d


def attention_operations(config: ModelConfig, length: int) -> float:
    """Forward operations of causal attention per token of a text of ``length``: two products of length/2 keys."""
    return 4.0 * config.n_layers * config.n_heads * config.head_dim * (length + 1) / 2


def training_operations(config: ModelConfig, length: int) -> float:
    """Operations of forward and backward per token: 6 per weight (Kaplan et al. 2020, table 1) and 3 x attention,
    of which only the causal half is counted."""
    return 6.0 * matmul_weights(config) + 3 * attention_operations(config, length)
