"""Everything about a training run but the shape of its model."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainSettings(BaseModel):
    """Everything about a run but the shape of its model; saved in config.json."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(gt=0)
    batch_rows: int = Field(gt=0)  # windows of one micro-batch
    accumulate: int = Field(default=1, gt=0)  # micro-batches of one step
    lr: float = Field(gt=0)
    warmup: int = Field(default=100, ge=0)
    schedule: Literal["cosine", "wsd"] = "cosine"
    floor: float = 0.1  # of the peak learning rate
    cooldown: float = Field(default=0.4, gt=0, le=1)  # share of the steps over which "wsd" falls to the floor
    optimizer: Literal["adamw", "muon"] = "adamw"
    weight_decay: float = 0.1  # of hidden matrices
    cautious: bool = False  # Muon decays only what its update shrinks too
    even_rows: bool = False  # Muon's rows get one size (NorMuon)
    momentum: float = 0.95  # of Muon
    betas: tuple[float, float] = (0.9, 0.95)  # of AdamW
    embed_scale: float = Field(default=1.0, gt=0)  # learning rate of embeddings, times lr
    vector_scale: float = Field(default=1.0, gt=0)  # of gains and biases
    clip: float = 1.0
    seed: int = 0
    eval_every: int = Field(default=200, gt=0)
    eval_rows: int = Field(default=64, gt=0)
    save_seconds: float = 60.0
    sample: str = ""  # prompt of the samples while training; "" starts from bos
    sample_tokens: int = 64
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    device: str = "auto"
    compile: bool = False
    threads: int = 0  # 0: all
    packing: Literal["stream", "bos"] = "stream"  # rows cut anywhere, or documents by best fit, each begun with bos
    document_mask: bool = False  # no document of a row sees another
    aligned: bool = False  # shards are packed in rows of one context
    stop_after: int = 0  # stop (as if interrupted) after this many steps of this process; 0: never
