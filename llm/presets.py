"""The named shapes."""

from __future__ import annotations

from typing import Any

from nimllm.errors import NimError
from nimllm.llm.config import ModelConfig

# name -> everything but the vocabulary, which the tokenizer decides
SIZES: dict[str, dict[str, Any]] = {
    "tiny": dict(n_layers=2, d_model=64, n_heads=2, n_kv_heads=1, head_dim=32, d_ff=128, context=128),
    "nimllm-2m": dict(n_layers=4, d_model=128, n_heads=4, n_kv_heads=2, head_dim=32, d_ff=384, context=256),
    "nimllm-10m": dict(n_layers=6, d_model=384, n_heads=6, n_kv_heads=2, head_dim=64, d_ff=1024, context=512),
    "nimllm-30m": dict(n_layers=10, d_model=512, n_heads=8, n_kv_heads=2, head_dim=64, d_ff=1408, context=1024),
    "nimllm-50m": dict(n_layers=10, d_model=640, n_heads=10, n_kv_heads=2, head_dim=64, d_ff=1728, context=1024),
    "nimllm-103m": dict(n_layers=12, d_model=832, n_heads=13, n_kv_heads=1, head_dim=64, d_ff=2304, context=1024),
}
DEFAULT_VOCAB = {"tiny": 512, "nimllm-2m": 2048, "nimllm-10m": 8192, "nimllm-30m": 8192}


def preset(name: str, vocab_size: int, **overrides: Any) -> ModelConfig:
    """The named size with this vocabulary; NimError for an unknown name."""
    if name not in SIZES:
        raise NimError(f"no model size is called {name!r}", "", f"the sizes are {', '.join(SIZES)}", 2)
    return ModelConfig(vocab_size=vocab_size, **{**SIZES[name], **overrides})
