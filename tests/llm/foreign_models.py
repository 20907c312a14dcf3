"""Hugging Face folders as others publish them: the architectures of SmolLM2, Qwen2.5 and Qwen3 with random weights, and
byte-level tokenizers with their special tokens and their way of cutting texts, trained here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

QWEN_CUT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
            r"\s+(?!\S)|\s+")
QWEN_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|vision_pad|>"]
QWEN_PLAIN = ["<tool_call>", "</tool_call>", "<think>", "</think>"]  # added, and not special
SMOL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>", "<empty_output>"]
CORPUS = ["find . -name '*.py' | xargs wc -l\nthe user and the assistant plan a system; bash it\n\t漢字 é ё😀\n"] * 4


def tokenizer(family: str, folder: Path, size: int = 420) -> int:
    """Writes tokenizer.json and tokenizer_config.json; returns the number of ids."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=family != "qwen")
    if family == "qwen":
        made.normalizer = normalizers.NFC()
        cut = pre_tokenizers.Split(Regex(QWEN_CUT), "isolated")
        made.pre_tokenizer = pre_tokenizers.Sequence([cut, letters])
    else:
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), letters])
    made.decoder = decoders.ByteLevel()
    special = QWEN_TOKENS if family == "qwen" else SMOL_TOKENS
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=[] if family == "qwen" else special, show_progress=False)
    made.train_from_iterator(CORPUS, trainer)
    if family == "qwen":  # behind the vocabulary, as Qwen has them
        made.add_special_tokens([AddedToken(name, normalized=False) for name in special])
        made.add_tokens([AddedToken(name, normalized=False) for name in QWEN_PLAIN])
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
             "bos_token": None if family == "qwen" else "<|endoftext|>", "eos_token": "<|endoftext|>",
             "pad_token": "<|endoftext|>" if family == "qwen" else None, "model_max_length": 1000}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return made.get_vocab_size()


def checkpoint(folder: Path, family: str, dtype: str = "float32", shards: str = "1GB", **changes: Any) -> Any:
    """A model with random weights, saved as transformers saves it; returns it in fp32."""
    import torch
    import transformers

    count = tokenizer("llama" if family == "llama" else "qwen", folder)
    name = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}[family]
    given = {"vocab_size": count + (0 if family == "llama" else 13), "hidden_size": 48, "intermediate_size": 80,
             "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
             "max_position_embeddings": 96, "tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": None,
             "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "initializer_range": 0.2, **changes}
    if family == "qwen3":
        given.setdefault("head_dim", 16)
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForCausalLM")(getattr(transformers, f"{name}Config")(**given)).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():  # nothing at its initial zero or one
            if key.endswith("bias") or "norm" in key:
                parameter.add_(0.2 * torch.randn_like(parameter))
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shards)
    return type(model).from_pretrained(folder, dtype=torch.float32).eval()  # .to has rounded its angles, too
