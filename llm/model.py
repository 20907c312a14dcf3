"""The GPT: one class for every configuration.

Axes in names: b batch, t time, d model width, h query heads, g key/value heads, k head width, v vocabulary.
Parameter names are those of the checkpoint (``docs/architecture.md``), so ``state_dict`` is the file's content.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nimllm.kernels import ops
from nimllm.llm.checkpoint import check_tensors, read_tensors
from nimllm.llm.config import ModelConfig, read_config

IGNORE = -100  # a target that carries no loss


_OPS = ("rms_norm", "add_rms_norm", "layer_norm", "add_layer_norm", "rope", "qk_norm_rope", "attention",
        "attention_packed", "swiglu", "gelu", "relu2", "linear", "linear_cross_entropy")
_CHOSEN: dict[tuple[str, str], Callable[..., Any]] = {}


def _choose(device: str) -> None:
    """Look the ops up when a model is made or moved, not in its forward: torch.compile cannot trace the look-up."""
    _CHOSEN.update({(op, device): ops.get(op, device) for op in _OPS})


def _op(name: str, device: str) -> Callable[..., Any]:
    return _CHOSEN[name, device]


class Linear(nn.Linear):
    """nn.Linear through the op of that name."""

    def forward(self, x: Tensor) -> Tensor:
        return _op("linear", x.device.type)(x, self.weight, self.bias)


class Norm(nn.Module):
    """RMSNorm, or LayerNorm with a bias where the configuration has biases."""

    def __init__(self, width: int, config: ModelConfig, kind: str | None = None) -> None:
        super().__init__()
        self.kind, self.eps = kind or config.norm, config.norm_eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if self.kind == "layer" and config.bias else None

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "rms":
            return _op("rms_norm", x.device.type)(x, self.weight, self.eps)
        return _op("layer_norm", x.device.type)(x, self.weight, self.bias, self.eps)

    def add(self, x: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """(norm of the sum, sum): one pass over the residual stream instead of two."""
        if self.kind == "rms":
            return _op("add_rms_norm", x.device.type)(x, residual, self.weight, self.eps)
        return _op("add_layer_norm", x.device.type)(x, residual, self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class Documents:
    """Where the documents of a batch lie: a token sees those of its own document only, and positions begin with it.

    Made once per batch, on the CPU; every layer reads the same bounds. ``bounds``: int32 [documents + 1], ascending
    from 0, document i is the tokens from bounds[i] up to bounds[i + 1] of the b * t tokens of the batch, row after row.
    ``positions_bt``: a token's place in its document. ``longest``: no document is longer (tokens).
    """

    bounds: Tensor
    positions_bt: Tensor
    longest: int

    @classmethod
    def of(cls, ids_bt: Tensor | np.ndarray) -> Documents:
        """From a number per token [b, t]: neighbours in a row with the same number are one document. Padding, on
        whichever side, is a document like any other: give it a number of its own (an attention mask does)."""
        ids = np.asarray(ids_bt.cpu() if isinstance(ids_bt, Tensor) else ids_bt)
        if ids.ndim != 2 or not ids.size:
            raise ValueError(f"documents are numbered per token [b, t], not {ids.shape}")
        b, t = ids.shape
        first = np.ones((b, t), bool)
        first[:, 1:] = ids[:, 1:] != ids[:, :-1]
        starts = np.flatnonzero(first)
        bounds = np.append(starts, b * t)
        lengths = np.diff(bounds)
        positions = np.arange(b * t) - np.repeat(starts, lengths)
        return cls(torch.from_numpy(bounds.astype(np.int32)), torch.from_numpy(positions.reshape(b, t)),
                   int(lengths.max()))

    def to(self, device: torch.device | str) -> Documents:
        return Documents(self.bounds.to(device), self.positions_bt.to(device), self.longest)


class KeyValues:
    """Keys and values of the tokens seen so far, per layer: [b, g, t, k]."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def length(self) -> int:
        return self.layers[0][0].shape[2] if self.layers else 0

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        if layer in self.layers:
            old_keys, old_values = self.layers[layer]
            keys, values = torch.cat((old_keys, keys), 2), torch.cat((old_values, values), 2)
        self.layers[layer] = (keys, values)
        return keys, values

    def truncate(self, length: int) -> None:
        self.layers = {i: (k[:, :, :length], v[:, :, :length]) for i, (k, v) in self.layers.items()} if length else {}


class Attention(nn.Module):
    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.config, self.index = config, index
        d, q, kv = config.d_model, config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
        bias = config.bias or config.qkv_bias
        self.q_proj = Linear(d, q, bias=bias)
        self.k_proj = Linear(d, kv, bias=bias)
        self.v_proj = Linear(d, kv, bias=bias)
        self.o_proj = Linear(q, d, bias=config.bias)
        if config.qk_norm:
            self.q_norm = Norm(config.head_dim, config, "rms")
            self.k_norm = Norm(config.head_dim, config, "rms")

    def forward(self, x_btd: Tensor, positions: Tensor, cache: KeyValues | None, documents: Documents | None) -> Tensor:
        c, device = self.config, x_btd.device.type
        b, t, _ = x_btd.shape
        q_bthk = self.q_proj(x_btd).view(b, t, c.n_heads, c.head_dim)
        k_btgk = self.k_proj(x_btd).view(b, t, c.n_kv_heads, c.head_dim)
        v_btgk = self.v_proj(x_btd).view(b, t, c.n_kv_heads, c.head_dim)
        if c.qk_norm and c.pos == "rope":
            q_bthk, k_btgk = _op("qk_norm_rope", device)(q_bthk, k_btgk, self.q_norm.weight, self.k_norm.weight,
                                                         c.norm_eps, positions, c.rope_theta)
        elif c.qk_norm:
            q_bthk, k_btgk = self.q_norm(q_bthk), self.k_norm(k_btgk)
        elif c.pos == "rope":
            rope = _op("rope", device)
            q_bthk, k_btgk = rope(q_bthk, positions, c.rope_theta), rope(k_btgk, positions, c.rope_theta)
        if documents is not None:
            q_nhk, k_ngk, v_ngk = (x.flatten(0, 1).to(v_btgk.dtype) for x in (q_bthk, k_btgk, v_btgk))
            y_nhk = _op("attention_packed", device)(q_nhk, k_ngk, v_ngk, documents.bounds, documents.longest, True)
            return self.o_proj(y_nhk.reshape(b, t, -1))
        v = v_btgk.transpose(1, 2)
        q, k = q_bthk.transpose(1, 2).to(v.dtype), k_btgk.transpose(1, 2).to(v.dtype)
        if cache is not None:
            k, v = cache.append(self.index, k, v)
        y_bhtk = _op("attention", device)(q, k, v, True)
        return self.o_proj(y_bhtk.transpose(1, 2).reshape(b, t, -1))


class FeedForward(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.kind = config.ffn
        if config.ffn == "swiglu":
            self.gate_proj = Linear(config.d_model, config.d_ff, bias=config.bias)
        self.up_proj = Linear(config.d_model, config.d_ff, bias=config.bias)
        self.down_proj = Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, x_btd: Tensor) -> Tensor:
        op = _op(self.kind, x_btd.device.type)
        if self.kind == "swiglu":
            return self.down_proj(op(self.gate_proj(x_btd), self.up_proj(x_btd)))
        return self.down_proj(op(self.up_proj(x_btd)))


class Block(nn.Module):
    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.input_layernorm = Norm(config.d_model, config)
        self.self_attn = Attention(config, index)
        self.post_attention_layernorm = Norm(config.d_model, config)
        self.mlp = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()

    def forward(self, branch_btd: Tensor | None, x_btd: Tensor, positions: Tensor, cache: KeyValues | None,
                documents: Documents | None, rows_n: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The residual stream, and what the block before is still to add to it; returns the same two. ``rows_n``: the
        places in [b * t] that are wanted; the feed-forward then sees them only, and the two are [1, n, d]."""
        if branch_btd is None:
            normed_btd = self.input_layernorm(x_btd)
        else:
            normed_btd, x_btd = self.input_layernorm.add(branch_btd, x_btd)
        branch_btd = self.dropout(self.self_attn(normed_btd, positions, cache, documents))
        if rows_n is not None:
            branch_btd, x_btd = (y.flatten(0, 1)[rows_n].unsqueeze(0) for y in (branch_btd, x_btd))
        normed_btd, x_btd = self.post_attention_layernorm.add(branch_btd, x_btd)
        return self.dropout(self.mlp(normed_btd)), x_btd


class Body(nn.Module):
    """Everything below the head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        if config.pos == "learned":
            self.embed_positions = nn.Embedding(config.context, config.d_model)
        if config.embed_norm:
            self.embed_norm = Norm(config.d_model, config)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.n_layers))
        self.norm = Norm(config.d_model, config)

    def forward(self, ids_bt: Tensor, cache: KeyValues | None = None, documents: Documents | None = None,
                rows_n: Tensor | None = None) -> Tensor:
        """Final normalised activations [b, t, d]; [1, n, d] for the places ``rows_n`` of [b * t] alone."""
        start = cache.length if cache is not None else 0
        end = start + ids_bt.shape[1]
        if end > self.config.context and (documents is None or documents.longest > self.config.context):
            raise ValueError(f"{end} tokens do not fit a context of {self.config.context}")
        if documents is None:
            positions = torch.arange(start, end, device=ids_bt.device)
        elif cache is not None:
            raise ValueError("a cache holds one document")
        elif documents.positions_bt.shape != ids_bt.shape:
            raise ValueError(f"documents of {tuple(documents.positions_bt.shape)} tokens for ids {tuple(ids_bt.shape)}")
        else:
            positions = documents.positions_bt
        branch_btd, x_btd = self.through(range(len(self.layers)), None, self.embedded(ids_bt, positions), positions,
                                         cache, documents, rows_n)
        return self.normed(branch_btd, x_btd)

    def embedded(self, ids_bt: Tensor, positions: Tensor) -> Tensor:
        """The residual stream [b, t, d] that enters the first layer."""
        x_btd: Tensor = self.embed_tokens(ids_bt)
        if self.config.pos == "learned":
            x_btd = x_btd + self.embed_positions(positions)
        if self.config.embed_norm:
            with torch.autocast(x_btd.device.type, enabled=False):  # the residual stream stays fp32
                x_btd = self.embed_norm(x_btd)
        return x_btd

    def through(self, layers: range, branch_btd: Tensor | None, x_btd: Tensor, positions: Tensor,
                cache: KeyValues | None = None, documents: Documents | None = None, rows_n: Tensor | None = None
                ) -> tuple[Tensor | None, Tensor]:
        """The stream through some of the layers, and what the last of them is still to add to it. ``rows_n``: see
        :meth:`Block.forward`; heeded in the model's last layer."""
        for index in layers:
            rows = rows_n if index == len(self.layers) - 1 else None
            branch_btd, x_btd = self.layers[index](branch_btd, x_btd, positions, cache, documents, rows)
        return branch_btd, x_btd

    def normed(self, branch_btd: Tensor | None, x_btd: Tensor) -> Tensor:
        """The final normalised activations."""
        assert branch_btd is not None  # a configuration has at least one layer
        return self.norm.add(branch_btd, x_btd)[0]


def _filled(kept_n: Tensor, targets_n: Tensor, multiple: int = 256) -> Tensor:
    """The learnt rows, and as many of the others as fill up the multiple: batches of ever-changing sizes make oneDNN
    build and keep a product for every size, and the heap fall into pieces."""
    missing = min(-len(kept_n) % multiple, len(targets_n) - len(kept_n))
    return torch.cat((kept_n, (targets_n == IGNORE).nonzero().squeeze(1)[:missing]))


class GPT(nn.Module):
    """Call with ids [b, t] for logits [b, t, v] (fp32), or with targets [b, t] too for the mean loss in nats.

    With ``documents`` a token sees its own document only: a document's logits are those it has alone in a row. Without
    them a row is one document.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Body(config)
        if not config.tied:
            self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        _choose(self.head.device.type)
        if self.head.device.type != "meta":
            self.reset()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> GPT:
        super()._apply(fn, recurse)
        _choose(self.head.device.type)
        return self

    @property
    def layers(self) -> nn.ModuleList:
        return self.model.layers

    @property
    def head(self) -> Tensor:
        """The output matrix [v, d]."""
        return self.model.embed_tokens.weight if self.config.tied else self.lm_head.weight

    @torch.no_grad()
    def reset(self, generator: torch.Generator | None = None) -> None:
        """Initial weights: normal(0, 1/sqrt(fan_in)) matrices; projections into the residual stream start at zero, so
        every block starts as the identity (modded-nanogpt record 5, see RUNS.md)."""
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
            elif "embed" in name:
                parameter.normal_(0.0, 0.02 if self.config.tied else 0.3, generator=generator)
            else:
                parameter.normal_(0.0, 1.0 / math.sqrt(parameter.shape[1]), generator=generator)

    def hidden(self, ids_bt: Tensor, cache: KeyValues | None = None, documents: Documents | None = None) -> Tensor:
        """Final normalised activations [b, t, d]."""
        return self.model(ids_bt, cache, documents)

    def forward(self, ids_bt: Tensor, targets_bt: Tensor | None = None, cache: KeyValues | None = None,
                documents: Documents | None = None) -> Tensor:
        if targets_bt is None:
            x_btd = self.model(ids_bt, cache, documents)
            return (x_btd @ self.head.to(x_btd.dtype).T).float()
        targets_n, rows_n = targets_bt.reshape(-1), None
        if ids_bt.device.type == "cpu":
            # most of an episode is not learnt: its last feed-forward and its logits are not needed. On a GPU the copy
            # to know how much would stall
            kept_n = (targets_n != IGNORE).nonzero().squeeze(1)
            if len(kept_n) < len(targets_n):
                rows_n = _filled(kept_n, targets_n)
                targets_n = targets_n[rows_n]
        x_btd = self.model(ids_bt, cache, documents, rows_n)
        loss = _op("linear_cross_entropy", x_btd.device.type)
        return loss(x_btd.reshape(-1, x_btd.shape[-1]), self.head, targets_n, IGNORE)

    @torch.no_grad()
    def load_numpy(self, tensors: Mapping[str, np.ndarray]) -> GPT:
        """Copy the tensors of a checkpoint in; their names and shapes have been checked."""
        for name, parameter in self.named_parameters():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(tensors[name])))
        return self

    def to_numpy(self) -> dict[str, np.ndarray]:
        """The parameters as fp32 arrays, by checkpoint name (a copy)."""
        return {name: parameter.detach().float().cpu().numpy().copy() for name, parameter in self.named_parameters()}


def load(run: Path, weights: Path | None = None) -> GPT:
    """The model of a run folder, with other weights of the same shape when given (a memory head)."""
    config = read_config(run)
    path = weights or run / "model.safetensors"
    tensors = read_tensors(path)
    check_tensors(config, tensors, path)
    return GPT(config).load_numpy(tensors)
