"""A run folder as one GGUF file, for llama.cpp and the programs built on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nimllm.errors import NimError
from nimllm.llm.architectures import ARCHITECTURES, Make, Tensors, folded, joined, refusal, zeros
from nimllm.llm.checkpoint import check_tensors, read_tensors, sync_folder
from nimllm.llm.config import ModelConfig
from nimllm.llm.export_hf import load_run
from nimllm.llm.gguf_vocabulary import Vocabulary, vocabulary
from nimllm.llm.interchange import STORED
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.tokenizer_json import chat_template

# what llama.cpp's version of an architecture cannot do that transformers' can
_FIXED: dict[str, list[tuple[str, Callable[[ModelConfig], bool]]]] = {
    "qwen3": [("no biases", lambda c: not c.qkv_bias)],
    "arcee": [("ReLU squared, not GELU", lambda c: c.ffn == "relu2"), ("no biases", lambda c: not c.bias)],
    "starcoder2": [("GELU, not ReLU squared", lambda c: c.ffn == "gelu")],
    "gpt2": [("GELU, not ReLU squared", lambda c: c.ffn == "gelu")],
}
_LAYER = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
          "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
          "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
          "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
_OUTER = {"model.embed_tokens": "token_embd", "model.embed_positions": "position_embd", "model.norm": "output_norm",
          "lm_head": "output"}
_BLOCK = 32  # weights of one scale, in Q8_0 and Q4_0


@dataclass(frozen=True)
class Exported:
    """What was written. ``notices``: in what llama.cpp's arithmetic is not ours."""

    architecture: str
    notices: list[str]


def gguf_architecture(config: ModelConfig) -> str:
    """llama.cpp's architecture for a shape; NimError saying which property has none."""
    lacks = {one.model_type: one.lacks(config) + [text for text, test in _FIXED.get(one.model_type, ())
                                                  if not test(config)] for one in ARCHITECTURES}
    for name, missing in lacks.items():
        if not missing:
            return name
    stock = next((one.name for one in ARCHITECTURES if not one.lacks(config)), None)
    raise refusal(config, "a GGUF file", lacks, f", nimllm export hf writes it as {stock}" if stock else "")


def _interleaved(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key projection in the order of Meta's RoPE (pairs side by side), by which "llama" and "arcee"
    turn; ours, as Hugging Face's, turns the first half of a head against the second."""
    split = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2)).reshape(rows.shape)


def gguf_tensors(config: ModelConfig, tensors: Mapping[str, np.ndarray], name: str) -> Tensors:
    """The tensors by llama.cpp's names, of a model that is folded already."""
    made: Tensors = {}
    for key, tensor in tensors.items():
        stem, _, kind = key.rpartition(".")
        made[f"{_renamed(stem)}.{kind}"] = partial(_turned, config, name, stem, tensor)
    if name in ("gpt2", "starcoder2"):  # LayerNorm's biases must be there, GPT-2's all
        for key in [key for key in made if key.endswith(".weight")]:
            if "norm" in key or (name == "gpt2" and key.startswith("blk.")):
                width = made[key]().shape[0]
                made.setdefault(key.removesuffix("weight") + "bias", zeros(width))
    if name == "gpt2":
        for layer in range(config.n_layers):
            for kind in ("weight", "bias"):
                parts = [made.pop(f"blk.{layer}.attn_{part}.{kind}") for part in "qkv"]
                made[f"blk.{layer}.attn_qkv.{kind}"] = partial(joined, parts)
    return made


def _renamed(stem: str) -> str:
    if stem in _OUTER:
        return _OUTER[stem]
    layer, _, part = stem.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{_LAYER[part]}"


def _turned(config: ModelConfig, name: str, stem: str, tensor: np.ndarray) -> np.ndarray:
    if name in ("llama", "arcee") and stem.endswith(("q_proj", "k_proj")):
        return _interleaved(tensor, config.n_heads if stem.endswith("q_proj") else config.n_kv_heads)
    return tensor


def _with_copies(make: Make, rows: list[int]) -> np.ndarray:
    table = make()
    return np.concatenate((table, table[rows]))


def export(run: Path, out: Path, weights: Path | None = None, kind: str = "bf16", force: bool = False,
           report: Callable[[int], None] = lambda count: None) -> Exported:
    """Writes ``out``, atomically. ``kind``: f32, f16, bf16, Q8_0 or Q4_0, of the matrices; vectors stay fp32, and in
    Q4_0 the embedding and the head are Q8_0. ``weights``, ``report``: as for ``export_hf.export``.

    NimError: the run is unusable, llama.cpp has no such architecture, rows that do not fill blocks (3), ``out`` exists
    (2), the package gguf is missing (3).
    """
    run, out = Path(run), Path(out).expanduser()
    try:
        import gguf
    except ImportError:
        raise NimError("the GGUF writer is missing", "the package gguf is not installed",
                       'install it: pip install "nimllm[export]"') from None
    if out.is_dir() or (out.exists() and not force):
        raise NimError(f"{out} exists already", "it is a folder" if out.is_dir() else "nothing is overwritten unasked",
                       "give another name" + ("" if out.is_dir() else ", or --force to replace it"), 2)
    path = Path(weights or run / "model.safetensors")
    if out.resolve() == path.resolve():
        raise NimError(f"cannot write {out}", "it is the model itself", "give another name", 2)
    config, tokenizer = load_run(run)
    name = gguf_architecture(config)
    tensors = read_tensors(path, mapped=True)
    check_tensors(config, tensors, path)
    shape, tensors = folded(config, tensors)
    words = vocabulary(tokenizer, config.vocab_size)
    made = gguf_tensors(shape, tensors, name)
    if words.copied:
        for key in ("token_embd.weight", "output.weight"):
            if key in made:
                made[key] = partial(_with_copies, made[key], words.copied)
    types = {key: _type_of(key, make, kind, gguf) for key, make in made.items()}
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        writer = gguf.GGUFWriter(str(temporary), name)
        describe(writer, shape, kind, run.resolve().name, gguf)
        writer.add_vocab_size(len(words.tokens))
        _vocabulary(writer, words, tokenizer)
        _tensors(writer, made, types, report, gguf)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, out)
        sync_folder(out.parent)
    except OSError as error:
        raise NimError(f"cannot write {out}", error.strerror or str(error),
                       "free some space or choose a folder you can write") from None
    finally:
        with suppress(OSError):  # the folder above it may be none
            temporary.unlink(missing_ok=True)
    return Exported(name, _notices(name, tokenizer.kind, words.normalised))


def _notices(name: str, kind: str, normalised: bool) -> list[str]:
    found = []
    if name in ("gpt2", "starcoder2"):
        found.append("llama.cpp computes GELU by its tanh approximation and in 16 bits: its text may part from ours")
    if kind == "hf" and normalised:
        found.append("llama.cpp does not normalise texts as this tokenizer does: composed characters are the same")
    if kind == "char":
        found.append("characters outside the vocabulary are one <unk> for each of their bytes in llama.cpp")
    return found


def _type_of(key: str, make: Make, kind: str, gguf: Any) -> Any:
    """GGML's type of a tensor; NimError where its rows do not fill blocks."""
    types = gguf.GGMLQuantizationType
    shape = make().shape
    if len(shape) == 1 or key.startswith("position_embd"):
        return types.F32
    if kind == "Q4_0" and key in ("token_embd.weight", "output.weight"):
        kind = "Q8_0"
    if kind in ("Q8_0", "Q4_0") and shape[1] % _BLOCK:
        raise NimError(f"this model cannot be written as {kind}",
                       f"{key} has rows of {shape[1]} weights, and {kind} takes {_BLOCK} at a time",
                       "use --type bf16, f16 or f32, or train a size whose widths are multiples of 32")
    return types[kind.upper()]


def describe(writer: Any, config: ModelConfig, kind: str, title: str, gguf: Any) -> None:
    """The model's shape and the type of its matrices, into a GGUFWriter; nothing of the vocabulary."""
    writer.add_name(title)
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if kind.upper() == "F32" else f"MOSTLY_{kind.upper()}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.d_model)
    writer.add_block_count(config.n_layers)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    if config.norm == "rms":
        writer.add_layer_norm_rms_eps(config.norm_eps)
    else:
        writer.add_layer_norm_eps(config.norm_eps)
    if config.pos == "rope":
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_rope_freq_base(config.rope_theta)


def _vocabulary(writer: Any, words: Vocabulary, tokenizer: Tokenizer) -> None:
    writer.add_tokenizer_model(words.model)
    writer.add_tokenizer_pre(words.pre)
    writer.add_token_list(words.tokens)
    if words.model == "llama":
        writer.add_token_scores(words.scores)
        writer.add_unk_token_id(tokenizer.unk)
    else:
        writer.add_token_merges(words.merges)
    writer.add_token_types(words.types)
    writer.add_bos_token_id(tokenizer.bos)
    writer.add_eos_token_id(tokenizer.eos)
    writer.add_eot_token_id(tokenizer.marker("end"))
    writer.add_pad_token_id(tokenizer.pad)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_remove_extra_whitespaces(False)
    writer.add_chat_template(chat_template(tokenizer, guarded=False, generation=False))


def _tensors(writer: Any, made: Tensors, types: Mapping[str, Any], report: Callable[[int], None], gguf: Any) -> None:
    """Header, then tensor by tensor: one of them in memory at a time."""
    for key, make in made.items():
        shape = make().shape
        width, size = gguf.GGML_QUANT_SIZES[types[key]]
        elements = int(np.prod(shape))
        stored = (*shape[:-1], shape[-1] // width * size)
        plain = STORED.get(types[key].name) if types[key].name != "BF16" else None
        if plain is not None:
            writer.add_tensor_info(key, shape, plain, elements * plain.itemsize)
        else:  # as bytes: the writer makes the shape in weights of it
            writer.add_tensor_info(key, stored, np.dtype(np.uint8), elements // width * size, raw_dtype=types[key])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    written = 0
    for key, make in made.items():
        values = np.ascontiguousarray(make(), np.float32)
        data = gguf.quants.quantize(values, types[key])
        writer.write_tensor_data(data)
        written += data.nbytes
        report(written)
    writer.flush()
    writer.close()
