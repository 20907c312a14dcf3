"""The one GPT's configuration, and the named sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nimllm.errors import NimError


class ModelConfig(BaseModel):
    """Shape of a GPT. The default family is Qwen3-shaped: RoPE half-split, RMSNorm, GQA, QK-norm, SwiGLU, tied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocab_size: int = Field(gt=0)
    n_layers: int = Field(gt=0)
    d_model: int = Field(gt=0)
    n_heads: int = Field(gt=0)
    n_kv_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    d_ff: int = Field(gt=0)
    context: int = Field(gt=0)
    pos: Literal["rope", "learned"] = "rope"
    rope_theta: float = Field(default=10000.0, gt=0)
    norm: Literal["rms", "layer"] = "rms"
    norm_eps: float = Field(default=1e-6, gt=0)
    ffn: Literal["swiglu", "gelu", "relu2"] = "swiglu"
    qk_norm: bool = True
    tied: bool = True
    bias: bool = False
    embed_norm: bool = False  # a norm after the embedding
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}")
        if self.pos == "rope" and self.head_dim % 2:
            raise ValueError(f"RoPE needs an even head_dim, not {self.head_dim}")
        return self

    def parameters(self) -> int:
        """Exact number of weights (a tied head is counted once)."""
        d, q, kv = self.d_model, self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
        norm = d * (2 if self.norm == "layer" and self.bias else 1)
        attention = d * (q + 2 * kv) + q * d + (2 * self.head_dim if self.qk_norm else 0)
        ffn = (3 if self.ffn == "swiglu" else 2) * d * self.d_ff
        if self.bias:
            attention += q + 2 * kv + d
            ffn += d + (2 if self.ffn == "swiglu" else 1) * self.d_ff
        total = self.vocab_size * d * (1 if self.tied else 2) + self.n_layers * (attention + ffn + 2 * norm) + norm
        if self.pos == "learned":
            total += self.context * d
        return total + (norm if self.embed_norm else 0)


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


def read_config(run: Path) -> ModelConfig:
    """The ``model`` part of a run folder's config.json; NimError when missing or not ours."""
    path = run / "config.json"
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NimError(
            f"{run} is not a nimllm run folder", "config.json is missing", "give a folder made by --train"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NimError(f"cannot read {path}", str(error), "restore the file from a copy or train again") from None
    if not isinstance(data, dict) or data.get("format") != "nimllm-run":
        raise NimError(
            f"{path} is not a nimllm configuration",
            "its format field is not 'nimllm-run'",
            "other programs' checkpoints cannot be loaded directly",
        )
    try:
        return ModelConfig.model_validate(data.get("model"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "model"
        raise NimError(
            f"{path} does not describe a model of ours", f"{where}: {first['msg']}", "restore the file or train again"
        ) from None
