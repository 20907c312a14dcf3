"""Which stock architecture computes exactly what a model of ours computes, and how its tensors are called there.

A norm after the embedding exists nowhere else, but with RoPE it sees nothing but the token: it is computed once for
each id and becomes the embedding, with the head kept apart. Everything else is a change of names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from nimllm.errors import NimError
from nimllm.llm.config import ModelConfig

Need = tuple[str, Callable[[ModelConfig], bool]]  # what it has instead (said of a model that lacks it), the test
Make = Callable[[], np.ndarray]  # fp32, made when it is written: one tensor in memory at a time
Tensors = dict[str, Make]

_ROPE: Need = ("rotary positions, not learned ones", lambda c: c.pos == "rope")
_LEARNED: Need = ("learned positions, not rotary ones", lambda c: c.pos == "learned")
_RMS: Need = ("RMSNorm, not LayerNorm", lambda c: c.norm == "rms")
_LAYER: Need = ("LayerNorm, not RMSNorm", lambda c: c.norm == "layer")
_GATED: Need = ("SwiGLU", lambda c: c.ffn == "swiglu")
_PLAIN: Need = ("a feed-forward without gate, not SwiGLU", lambda c: c.ffn != "swiglu")
_QK_NORM: Need = ("norms of queries and keys", lambda c: c.qk_norm)
_NO_QK_NORM: Need = ("no norms of queries and keys", lambda c: not c.qk_norm)
_NO_BIAS: Need = ("no biases in the feed-forward", lambda c: not c.bias)
_NO_QKV: Need = ("no biases of queries, keys and values alone", lambda c: not c.qkv_bias)
_HEADS: Need = ("as many key as query heads", lambda c: c.n_heads == c.n_kv_heads)
_WIDTH: Need = ("heads that fill the model's width", lambda c: c.n_heads * c.head_dim == c.d_model)
_DIVIDES: Need = ("a width that is a multiple of the heads", lambda c: c.d_model % c.n_heads == 0)
_NO_EMBED_NORM: Need = ("no norm after the embedding (with learned positions it cannot be computed beforehand)",
                        lambda c: not c.embed_norm or c.pos == "rope")


@dataclass(frozen=True)
class Architecture:
    """A stock architecture and what it needs of a shape. ``name``: the class in transformers."""

    name: str
    model_type: str
    needs: tuple[Need, ...]

    def lacks(self, config: ModelConfig) -> list[str]:
        """What this architecture has and the shape does not fit; empty when it computes the same."""
        return [text for text, test in self.needs if not test(config)]


# No Qwen2: for that type transformers has its own way of cutting texts, whatever tokenizer.json says. Llama with biases
# in attention is the same model.
ARCHITECTURES = (
    Architecture("Qwen3ForCausalLM", "qwen3", (_ROPE, _RMS, _GATED, _QK_NORM, _NO_BIAS, _NO_EMBED_NORM)),
    Architecture("LlamaForCausalLM", "llama", (_ROPE, _RMS, _GATED, _NO_QK_NORM, _DIVIDES, _NO_EMBED_NORM)),
    Architecture("ArceeForCausalLM", "arcee", (_ROPE, _RMS, _PLAIN, _NO_QK_NORM, _NO_QKV, _DIVIDES, _NO_EMBED_NORM)),
    Architecture("Starcoder2ForCausalLM", "starcoder2", (_ROPE, _LAYER, _PLAIN, _NO_QK_NORM, _NO_QKV, _WIDTH,
                                                         _NO_EMBED_NORM)),
    Architecture("GPT2LMHeadModel", "gpt2", (_LEARNED, _LAYER, _PLAIN, _NO_QK_NORM, _NO_QKV, _HEADS, _WIDTH,
                                             _NO_EMBED_NORM)),
)


def refusal(config: ModelConfig, what: str, candidates: Mapping[str, list[str]], instead: str = "") -> NimError:
    """Why none of the candidates (name -> what it has and the shape does not fit) will do: the nearest, and how not."""
    name, lacks = min(candidates.items(), key=lambda pair: (len(pair[1]), bool({_ROPE[0], _LEARNED[0]} & {*pair[1]})))
    return NimError(f"this model cannot be written as {what}",
                    f"the nearest architecture, {name}, has {', '.join(lacks)}; the model has {describe(config)}",
                    f"nimllm --chat --model runs it as it is{instead}; the nimllm-* sizes can be exported")


def architecture(config: ModelConfig) -> Architecture:
    """The stock architecture of the same arithmetic; NimError saying which property has none."""
    lacks = {one.name: one.lacks(config) for one in ARCHITECTURES}
    for one in ARCHITECTURES:
        if not lacks[one.name]:
            return one
    raise refusal(config, "a stock Hugging Face model", lacks)


def describe(config: ModelConfig) -> str:
    """The properties that decide about architectures, in words."""
    words = ["RoPE" if config.pos == "rope" else "learned positions",
             "RMSNorm" if config.norm == "rms" else "LayerNorm",
             {"swiglu": "SwiGLU", "gelu": "GELU", "relu2": "ReLU squared"}[config.ffn]]
    words += ["norms of queries and keys"] if config.qk_norm else []
    words += ["a norm after the embedding"] if config.embed_norm else []
    words += ["biases"] if config.bias else ["biases of queries, keys and values"] if config.qkv_bias else []
    words += ["grouped key heads"] if config.n_heads != config.n_kv_heads else []
    return ", ".join(words)


def folded(config: ModelConfig, tensors: Mapping[str, np.ndarray]) -> tuple[ModelConfig, dict[str, np.ndarray]]:
    """The same model without the norm after the embedding: the normed table is the embedding, the raw one the head."""
    found = dict(tensors)
    if not config.embed_norm:
        return config, found
    table = found["model.embed_tokens.weight"]
    weight, bias = found.pop("model.embed_norm.weight"), found.pop("model.embed_norm.bias", None)
    if config.tied:
        found["lm_head.weight"] = table
    wide = table.astype(np.float64)
    if config.norm == "layer":
        wide = wide - wide.mean(-1, keepdims=True)
    normed = wide / np.sqrt(np.square(wide).mean(-1, keepdims=True) + config.norm_eps) * weight
    found["model.embed_tokens.weight"] = (normed + bias if bias is not None else normed).astype(np.float32)
    return config.model_copy({"embed_norm": False, "tied": False}), found


def _itself(tensor: np.ndarray) -> np.ndarray:
    return tensor


def zeros(width: int) -> Make:
    """A bias that changes nothing."""
    return lambda: np.zeros(width, np.float32)


def hf_tensors(config: ModelConfig, tensors: Mapping[str, np.ndarray]) -> Tensors:
    """The tensors by the names and in the shapes of :func:`architecture`; of a model that is folded already."""
    kind = architecture(config).model_type
    if kind == "gpt2":
        return dict(_gpt2(config, tensors))
    made: Tensors = {}
    for name, tensor in tensors.items():
        if kind == "starcoder2":
            name = name.replace(".mlp.up_proj.", ".mlp.c_fc.").replace(".mlp.down_proj.", ".mlp.c_proj.")
        made[name] = partial(_itself, tensor)
        if kind == "starcoder2" and "norm" in name and name.endswith(".weight"):
            made.setdefault(name.removesuffix("weight") + "bias", zeros(config.d_model))
    if config.qkv_bias and not config.bias:  # their switch adds one to the output projection too
        for layer in range(config.n_layers):
            made[f"model.layers.{layer}.self_attn.o_proj.bias"] = zeros(config.d_model)
    return made


def joined(parts: list[Make], axis: int = 0) -> np.ndarray:
    """Queries, keys and values side by side."""
    return np.concatenate([part() for part in parts], axis)


def _gpt2(config: ModelConfig, tensors: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Make]]:
    """GPT-2 keeps matrices as [in, out], queries, keys and values side by side, and always has biases."""

    def vector(name: str, width: int) -> Make:
        return (lambda: tensors[name]) if name in tensors else zeros(width)

    def matrix(name: str) -> Make:
        return lambda: tensors[name].T

    d = config.d_model
    yield "transformer.wte.weight", lambda: tensors["model.embed_tokens.weight"]
    yield "transformer.wpe.weight", lambda: tensors["model.embed_positions.weight"]
    for layer in range(config.n_layers):
        at, to = f"model.layers.{layer}", f"transformer.h.{layer}"
        qkv = [f"{at}.self_attn.{name}_proj" for name in "qkv"]
        yield f"{to}.attn.c_attn.weight", partial(joined, [matrix(f"{name}.weight") for name in qkv], -1)
        yield f"{to}.attn.c_attn.bias", partial(joined, [vector(f"{name}.bias", d) for name in qkv])
        for own, theirs, width in ((f"{at}.self_attn.o_proj", f"{to}.attn.c_proj", d),
                                   (f"{at}.mlp.up_proj", f"{to}.mlp.c_fc", config.d_ff),
                                   (f"{at}.mlp.down_proj", f"{to}.mlp.c_proj", d)):
            yield f"{theirs}.weight", matrix(f"{own}.weight")
            yield f"{theirs}.bias", vector(f"{own}.bias", width)
        for own, theirs in ((f"{at}.input_layernorm", f"{to}.ln_1"), (f"{at}.post_attention_layernorm", f"{to}.ln_2")):
            yield f"{theirs}.weight", vector(f"{own}.weight", d)
            yield f"{theirs}.bias", vector(f"{own}.bias", d)
    yield "transformer.ln_f.weight", vector("model.norm.weight", d)
    yield "transformer.ln_f.bias", vector("model.norm.bias", d)
    if not config.tied:
        yield "lm_head.weight", lambda: tensors["lm_head.weight"]


def hf_config(config: ModelConfig, dtype: str) -> dict[str, object]:
    """The model's part of config.json; both spellings where version 5 of transformers has changed one."""
    one = architecture(config)
    shared: dict[str, object] = {
        "architectures": [one.name], "model_type": one.model_type, "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.tied, "dtype": dtype, "torch_dtype": dtype,
    }
    if one.model_type == "gpt2":
        return shared | {
            "n_positions": config.context, "n_embd": config.d_model, "n_layer": config.n_layers,
            "n_head": config.n_heads, "n_inner": config.d_ff, "activation_function": config.ffn,
            "layer_norm_epsilon": config.norm_eps, "resid_pdrop": config.dropout, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
        }
    shared |= {
        "hidden_size": config.d_model, "intermediate_size": config.d_ff, "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads, "num_key_value_heads": config.n_kv_heads, "head_dim": config.head_dim,
        "hidden_act": {"swiglu": "silu"}.get(config.ffn, config.ffn), "max_position_embeddings": config.context,
        "rope_theta": config.rope_theta, "attention_dropout": 0.0,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    }
    if one.model_type == "starcoder2":
        return shared | {"norm_epsilon": config.norm_eps, "use_bias": config.bias, "sliding_window": None,
                         "residual_dropout": config.dropout, "embedding_dropout": 0.0}
    shared["rms_norm_eps"] = config.norm_eps
    shared["attention_bias"] = config.bias or config.qkv_bias
    if one.model_type == "qwen3":
        return shared | {"use_sliding_window": False, "sliding_window": None}
    return shared | {"mlp_bias": config.bias}
