"""Decoding in plain torch, behind the same face as the C++ engine: the definition of right for the op ``decode``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ctypes import c_int32
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nimllm.kernels import quantised, reference
from nimllm.kernels.engine import DTYPES, Floats, tensor_shapes
from nimllm.kernels.sampling import Drawn, Sampling, choose


class _State(NamedTuple):
    """What a sequence is made of; no tensor of it is ever written to."""

    keys: dict[int, Tensor]
    values: dict[int, Tensor]
    ids: list[int]
    logits: Floats | None


class Decoder:
    """As :class:`nimllm.kernels.engine.Engine`, made of the reference ops; ``threads`` and ``isa`` change nothing.

    dtype "bf16" rounds weights and the inputs of matrix products to bf16 and does the arithmetic in fp32, which is what
    the engine's bf16 means; "q8" and "q4" round both as :mod:`nimllm.kernels.quantised` says.
    """

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], dtype: str = "fp32",
                 threads: int | None = None, isa: str = "auto") -> None:
        del threads, isa
        if dtype not in DTYPES:
            raise ValueError(f"dtype is one of {', '.join(DTYPES)}, not {dtype!r}")
        self.config, self.dtype = dict(config), dtype
        self.vocab_size, self.context = int(config["vocab_size"]), int(config["context"])
        self._tensors: dict[str, Tensor] = {}
        for name, shape in tensor_shapes(config).items():
            if name not in tensors or tensors[name].shape != shape:
                raise ValueError(f"tensor {name} is missing or not of shape {shape}")
            value = np.array(tensors[name], dtype=np.float32)
            if value.ndim == 2 and dtype in quantised.GROUP:
                value = quantised.rounded_weights(value, dtype)
            self._tensors[name] = torch.from_numpy(value)
            if value.ndim == 2 and dtype == "bf16":
                self._tensors[name] = self._narrow(self._tensors[name])
        self._keys: dict[int, Tensor] = {}  # layer -> [1, g, t, d]
        self._values: dict[int, Tensor] = {}
        self._ids: list[int] = []  # what the cache holds
        self._logits: Floats | None = None  # after the last of them
        self.position = 0
        self._branches: list[_State] = []

    @staticmethod
    def _narrow(x: Tensor) -> Tensor:
        return x.to(torch.bfloat16).float()

    def _rounded(self, x: Tensor) -> Tensor:
        """The inputs of a matrix product."""
        if self.dtype in quantised.GROUP:
            return torch.from_numpy(quantised.rounded_inputs(x.numpy(), self.dtype))
        return self._narrow(x) if self.dtype == "bf16" else x

    def _linear(self, x_td: Tensor, name: str) -> Tensor:
        y = self._rounded(x_td) @ self._tensors[f"{name}.weight"].T
        return y + self._tensors[f"{name}.bias"] if f"{name}.bias" in self._tensors else y

    def _norm(self, x: Tensor, name: str, rms: bool = False) -> Tensor:
        weight, eps = self._tensors[f"{name}.weight"], self.config["norm_eps"]
        if rms or self.config["norm"] == "rms":
            return reference.rms_norm(x, weight, eps)
        return reference.layer_norm(x, weight, self._tensors.get(f"{name}.bias"), eps)

    def _attention(self, x_td: Tensor, layer: int, positions: Tensor) -> Tensor:
        c, at, t = self.config, f"model.layers.{layer}.self_attn", x_td.shape[0]
        q = self._linear(x_td, f"{at}.q_proj").view(1, t, c["n_heads"], c["head_dim"])
        k = self._linear(x_td, f"{at}.k_proj").view(1, t, c["n_kv_heads"], c["head_dim"])
        v = self._linear(x_td, f"{at}.v_proj").view(1, t, c["n_kv_heads"], c["head_dim"])
        if c["qk_norm"]:
            q, k = self._norm(q, f"{at}.q_norm", rms=True), self._norm(k, f"{at}.k_norm", rms=True)
        if c["pos"] == "rope":
            q, k = (reference.rope(x, positions, c["rope_theta"]) for x in (q, k))
        if self.dtype != "fp32":  # the cache is bf16
            k, v = self._narrow(k), self._narrow(v)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        if layer in self._keys:
            k, v = torch.cat((self._keys[layer], k), 2), torch.cat((self._values[layer], v), 2)
        self._keys[layer], self._values[layer] = k, v
        return self._linear(reference.attention(q, k, v).transpose(1, 2).reshape(t, -1), f"{at}.o_proj")

    def _ffn(self, x_td: Tensor, layer: int) -> Tensor:
        at, kind = f"model.layers.{layer}.mlp", self.config["ffn"]
        up = self._linear(x_td, f"{at}.up_proj")
        if kind == "swiglu":
            hidden = reference.swiglu(self._linear(x_td, f"{at}.gate_proj"), up)
        else:
            hidden = reference.gelu(up) if kind == "gelu" else reference.relu2(up)
        return self._linear(hidden, f"{at}.down_proj")

    @torch.inference_mode()
    def extend_all(self, ids: Sequence[int] | np.ndarray) -> Floats:
        """Append ids; logits [len(ids), vocab], row i after ids[i]. ValueError past the context or vocabulary."""
        c, index = self.config, torch.from_numpy(np.asarray(ids, dtype=np.int64))
        if index.dim() != 1 or not len(index) or index.min() < 0 or index.max() >= self.vocab_size:
            raise ValueError("ids must be a non-empty list of ids of the vocabulary")
        if self.position + len(index) > self.context:
            raise ValueError(f"{len(index)} ids after position {self.position} do not fit {self.context}")
        self._branches = []
        positions = torch.arange(self.position, self.position + len(index))
        x_td = self._tensors["model.embed_tokens.weight"][index]
        if c["pos"] == "learned":
            x_td = x_td + self._tensors["model.embed_positions.weight"][positions]
        if c["embed_norm"]:
            x_td = self._norm(x_td, "model.embed_norm")
        for layer in range(c["n_layers"]):
            at = f"model.layers.{layer}"
            x_td = x_td + self._attention(self._norm(x_td, f"{at}.input_layernorm"), layer, positions)
            x_td = x_td + self._ffn(self._norm(x_td, f"{at}.post_attention_layernorm"), layer)
        self.position += len(index)
        logits_tv = self._linear(self._norm(x_td, "model.norm"),
                                 "model.embed_tokens" if c["tied"] else "lm_head").numpy()
        self._ids += index.tolist()
        self._logits = logits_tv[-1]
        return logits_tv

    def extend(self, ids: Sequence[int] | np.ndarray) -> Floats:
        """Append ids; logits [vocab] after the last."""
        return self.extend_all(ids)[-1]

    def truncate(self, position: int) -> None:
        """Forget every token from ``position`` on; ValueError when it is negative or past the end."""
        if not 0 <= position <= self.position:
            raise ValueError(f"cannot truncate to {position}: the decoder holds {self.position} tokens")
        self._branches = []
        for cache in (self._keys, self._values):
            for layer in cache:
                cache[layer] = cache[layer][:, :, :position]
        if position < self.position:
            self._logits = None
        del self._ids[position:]
        self.position = position

    def generate(self, max_tokens: int, sampling: Sampling | None = None, ids: Sequence[int] | np.ndarray = (),
                 stop_ids: Iterable[int] = (), banned: Iterable[int] = (), allowed_first: Iterable[int] = (),
                 limit: int = 0, lookup: int = 0, cancel: c_int32 | None = None) -> Drawn:
        """As :meth:`nimllm.kernels.engine.Engine.generate`, token by token: ``lookup`` changes nothing."""
        del lookup
        sampling = sampling or Sampling()
        stops, shut, first = frozenset(stop_ids), frozenset(banned), frozenset(allowed_first)
        drawn: list[int] = []
        logprobs: list[float] = []
        if len(ids):
            self.extend_all(ids)
        if max_tokens and not self.position:
            raise ValueError("there is nothing to continue: the cache is empty")
        while len(drawn) < max_tokens:
            if not drawn and cancel is not None and cancel.value:
                return Drawn(drawn, logprobs, "cancelled")
            if self._logits is None:  # after a truncation: compute the last id again
                last = self._ids[-1]
                self.truncate(self.position - 1)
                self.extend_all([last])
            assert self._logits is not None
            token, logprob = choose(self._logits, self.position, sampling, {*self._ids}, shut,
                                    () if drawn else first, limit)
            drawn.append(token)
            logprobs.append(logprob)
            if token in stops:
                return Drawn(drawn, logprobs, "stop")
            if len(drawn) == max_tokens:
                break
            if self.position >= self.context:
                return Drawn(drawn, logprobs, "context")
            if cancel is not None and cancel.value:
                return Drawn(drawn, logprobs, "cancelled")
            self.extend_all([token])
        return Drawn(drawn, logprobs, "length")

    def generate_samples(self, count: int, max_tokens: int, sampling: Sampling | None = None,
                         ids: Sequence[int] | np.ndarray = (), stop_ids: Iterable[int] = (),
                         banned: Iterable[int] = (), allowed_first: Iterable[int] = (), limit: int = 0,
                         cancel: c_int32 | None = None, logprobs: bool = True) -> list[Drawn]:
        """As :meth:`nimllm.kernels.engine.Engine.generate_samples`, one text after another."""
        if not 1 <= count <= 64:
            raise ValueError(f"cannot draw {count} texts at once: 1 to 64")
        sampling = sampling or Sampling()
        stops, shut, first = frozenset(stop_ids), frozenset(banned), frozenset(allowed_first)
        if len(ids):
            self.extend_all(ids)
        begin, texts, branches = self._state(), [], []
        try:
            for i in range(count):
                self._continue(begin)
                texts.append(self.generate(max_tokens, replace(sampling, seed=sampling.seed + i), (), stops, shut,
                                           first, limit, 0, cancel))
                branches.append(self._state())
        finally:
            self._continue(begin)
        self._branches = branches
        return texts if logprobs else [text._replace(logprobs=[]) for text in texts]

    def adopt(self, branch: int) -> None:
        """This branch becomes the sequence, the others end; ValueError when it is not open."""
        if not 0 <= branch < len(self._branches):
            raise ValueError(f"branch {branch} is not open")
        self._continue(self._branches[branch])

    def _state(self) -> _State:
        return _State({**self._keys}, {**self._values}, [*self._ids], self._logits)

    def _continue(self, state: _State) -> None:
        self._keys, self._values, self._ids = {**state.keys}, {**state.values}, [*state.ids]
        self._logits, self.position, self._branches = state.logits, len(state.ids), []

    def close(self) -> None:
        """Free the weights and the cache."""
        self._tensors, self._keys, self._values = {}, {}, {}
