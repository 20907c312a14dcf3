"""Small runs of every family, and texts that tokenizers get wrong. Shapes: those of the reference models, smaller."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nimllm.llm.checkpoint import expected_shapes, write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.tokenizer import Tokenizer, train_bpe, train_char

BASE: dict[str, Any] = dict(n_layers=2, d_model=64, n_heads=4, n_kv_heads=2, head_dim=16, d_ff=96, context=64)
GPT2: dict[str, Any] = dict(pos="learned", norm="layer", ffn="gelu", qk_norm=False, n_kv_heads=4)
# name -> (changes, class in transformers, architecture in llama.cpp); None: excluded
SHAPES: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    "ours": ({}, "Qwen3ForCausalLM", "qwen3"),
    "ours, wide heads": (dict(head_dim=32, tied=False, rope_theta=1e6, norm_eps=1e-5), "Qwen3ForCausalLM", "qwen3"),
    "nanolm": (dict(n_kv_heads=1, qk_norm=False), "LlamaForCausalLM", "llama"),
    "llama with biases": (dict(qk_norm=False, bias=True, tied=False), "LlamaForCausalLM", "llama"),
    "qwen2": (dict(qk_norm=False, qkv_bias=True), "LlamaForCausalLM", "llama"),
    "qwen3 with biases": (dict(qkv_bias=True), "Qwen3ForCausalLM", None),
    "vidya": (dict(qk_norm=False, n_kv_heads=4, ffn="gelu", embed_norm=True), "ArceeForCausalLM", None),
    "squares": (dict(qk_norm=False, ffn="relu2"), "ArceeForCausalLM", "arcee"),
    "normed embedding": (dict(embed_norm=True), "Qwen3ForCausalLM", "qwen3"),
    "starcoder": (dict(qk_norm=False, norm="layer", ffn="gelu", bias=True), "Starcoder2ForCausalLM", "starcoder2"),
    "starcoder, normed": (dict(qk_norm=False, norm="layer", ffn="gelu", embed_norm=True, bias=True, tied=False),
                          "Starcoder2ForCausalLM", "starcoder2"),
    "llm.c": (dict(GPT2, bias=True), "GPT2LMHeadModel", "gpt2"),
    "nanoGPT": (GPT2, "GPT2LMHeadModel", "gpt2"),
    "gpt2, own head": (dict(GPT2, bias=True, tied=False), "GPT2LMHeadModel", "gpt2"),
    "gpt2, squares": (dict(GPT2, ffn="relu2"), "GPT2LMHeadModel", None),
    "learned positions, gates": (dict(pos="learned", qk_norm=False, n_kv_heads=4), None, None),
    "normed after positions": (dict(GPT2, embed_norm=True), None, None),
    "grouped gpt2": (dict(GPT2, n_kv_heads=2), None, None),
    "biases in gates, qk norm": (dict(bias=True), None, None),
    "layer norm with gates": (dict(norm="layer", qk_norm=False), None, None),
}

_CORPUS = [f"find . -name '*.{kind}' | xargs wc -l | sort -n\n\tthe {kind} files, 1234 of them   é漢 ё <s> <|us\n" * 4
           for kind in ("py", "txt", "md", "json", "user|>", "<|user")]
NASTY = [
    "", "a", " ", "   ", "\n", "\n\n\t\t\n", " a", "a ", "find . -name '*.py'", "x\r\ny", "1234567890", "é漢字😀",
    "e\u0301", "\u2581", "a\u2581 b", "\x00\x01\x7f", "\ufdd0", "\ufdd1\ufdd0", "\u200b\ufeff", "<s>",
    "</s><unk><pad>", "<0x41>",
    "<|user|>", "a<|end|>b", "<|us<|user|>er|>", "<|USER|>", "<|system|> <|assistant|>", "<|userx|>", "  lead  ",
    "\ud7ff\ue000\U0010ffff", "the " * 300,
]


@cache
def bpe() -> Tokenizer:
    return train_bpe(_CORPUS, 400)


@cache
def characters() -> Tokenizer:
    return train_char(_CORPUS)


def shape(name: str, tokenizer: Tokenizer, padded: int = 0) -> ModelConfig:
    return ModelConfig(vocab_size=tokenizer.vocab_size + padded, **{**BASE, **SHAPES[name][0]})


def random_run(run: Path, config: ModelConfig, tokenizer: Tokenizer, seed: int = 0, scale: float = 0.15) -> Path:
    """A run folder in which nothing is at its initial zero or one."""
    run.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    write_tensors(run / "model.safetensors", {
        name: (("norm" in name and name.endswith("weight")) + scale * rng.standard_normal(size)).astype(np.float32)
        for name, size in expected_shapes(config).items()})
    (run / "config.json").write_text(json.dumps({"format": "nimllm-run", "version": 1, "model": config.model_dump(),
                                                 "tokenizer": tokenizer.describe(), "training": {}}))
    tokenizer.save(run)
    return run
