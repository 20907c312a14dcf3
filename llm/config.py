"""The one GPT's configuration, and the named sizes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from nimllm.errors import NimError

_KINDS = {"pos": ("rope", "learned"), "norm": ("rms", "layer"), "ffn": ("swiglu", "gelu", "relu2")}


@dataclass(frozen=True)
class ModelConfig:
    """Shape of a GPT. The default family is Qwen3-shaped: RoPE half-split, RMSNorm, GQA, QK-norm, SwiGLU, tied.

    ValueError for values that make no model. A dataclass, not pydantic's (70 ms of imports), since every start of a
    session reads one.
    """

    vocab_size: int
    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    d_ff: int
    context: int
    pos: str = "rope"  # or "learned"
    rope_theta: float = 10000.0
    norm: str = "rms"  # or "layer"
    norm_eps: float = 1e-6
    ffn: str = "swiglu"  # or "gelu", "relu2"
    qk_norm: bool = True
    tied: bool = True
    bias: bool = False
    qkv_bias: bool = False  # biases of queries, keys and values alone, as in Qwen2
    embed_norm: bool = False  # a norm after the embedding
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):  # annotations are strings here
            value = getattr(self, field.name)
            if field.name in _KINDS:
                if value not in _KINDS[field.name]:
                    raise ValueError(f"{field.name}: {value!r} is none of {', '.join(_KINDS[field.name])}")
            elif field.type == "bool":
                if not isinstance(value, bool):
                    raise ValueError(f"{field.name}: {value!r} is not true or false")
            elif field.type == "int":
                if isinstance(value, bool) or not isinstance(value, int):
                    raise ValueError(f"{field.name}: {value!r} is not a whole number")
                if value <= 0:
                    raise ValueError(f"{field.name}: {value} is not positive")
            else:
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise ValueError(f"{field.name}: {value!r} is not a number")
                low = value >= 0 if field.name == "dropout" else value > 0
                if not (low and value < (1 if field.name == "dropout" else float("inf"))):
                    raise ValueError(f"{field.name}: {value} is out of range")
                object.__setattr__(self, field.name, float(value))
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}")
        if self.pos == "rope" and self.head_dim % 2:
            raise ValueError(f"RoPE needs an even head_dim, not {self.head_dim}")

    @classmethod
    def model_validate(cls, data: Any) -> ModelConfig:
        """From what JSON gave; ValueError naming the first field that is missing, unknown or wrong."""
        if not isinstance(data, dict):
            raise ValueError("it is no object with fields")
        for name in data:
            if name not in cls.__dataclass_fields__:
                raise ValueError(f"{name}: no such field")
        for field in fields(cls)[:8]:  # those without a default
            if field.name not in data:
                raise ValueError(f"{field.name}: it is missing")
        return cls(**data)

    def model_dump(self) -> dict[str, Any]:
        """The fields, as JSON takes them."""
        return asdict(self)

    def model_copy(self, update: dict[str, Any]) -> ModelConfig:
        """The same with some fields changed."""
        return replace(self, **update)

    def parameters(self) -> int:
        """Exact number of weights (a tied head is counted once)."""
        d, q, kv = self.d_model, self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
        norm = d * (2 if self.norm == "layer" and self.bias else 1)
        attention = d * (q + 2 * kv) + q * d + (2 * self.head_dim if self.qk_norm else 0)
        ffn = (3 if self.ffn == "swiglu" else 2) * d * self.d_ff
        if self.bias:
            attention += q + 2 * kv + d
            ffn += d + (2 if self.ffn == "swiglu" else 1) * self.d_ff
        elif self.qkv_bias:
            attention += q + 2 * kv
        total = self.vocab_size * d * (1 if self.tied else 2) + self.n_layers * (attention + ffn + 2 * norm) + norm
        if self.pos == "learned":
            total += self.context * d
        return total + (norm if self.embed_norm else 0)


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
    except ValueError as error:
        raise NimError(f"{path} does not describe a model of ours", str(error), "restore the file or train again"
                       ) from None
