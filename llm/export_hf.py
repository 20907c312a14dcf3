"""A run folder as a Hugging Face model: loads in stock ``AutoModelForCausalLM`` and ``AutoTokenizer``, equal logits and
ids, no code of ours needed. Which shapes have a stock architecture: :mod:`nimllm.llm.architectures`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from nimllm.errors import NimError
from nimllm.llm.architectures import architecture, folded, hf_config, hf_tensors
from nimllm.llm.checkpoint import check_tensors, read_tensors, replacing
from nimllm.llm.config import ModelConfig, read_config
from nimllm.llm.imported_tokenizer import ImportedTokenizer
from nimllm.llm.interchange import NAMES, new_folder, stored, write_stored
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.tokenizer_json import imported_json, tokenizer_config, tokenizer_json

Dtype = Literal["fp32", "bf16", "fp16"]
LONG_NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
# what a folder of a model may hold of an earlier one, and would be mixed up with the new
MODEL_FILES = ("config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json",
               "tokenizer*.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json",
               "merges.txt", "chat_template.jinja")


def load_run(run: Path) -> tuple[ModelConfig, Tokenizer]:
    """Shape and tokenizer of a run folder; NimError when they do not fit each other."""
    config, tokenizer = read_config(run), Tokenizer.load(run)
    if tokenizer.vocab_size > config.vocab_size:
        raise NimError(f"the tokenizer of {run} does not fit its model",
                       f"it has {tokenizer.vocab_size} ids, the model {config.vocab_size}",
                       "restore the files of one and the same run")
    return config, tokenizer


def write_json(path: Path, content: object) -> None:
    """A JSON file, its folder given."""
    with replacing(path) as file:
        file.write(json.dumps(content, indent=2).encode() + b"\n")


def export(run: Path, out: Path, weights: Path | None = None, dtype: Dtype = "fp32", force: bool = False,
           report: Callable[[int], None] = lambda count: None) -> str:
    """Writes ``out``; returns the name of the stock class it is. ``weights``: others of the same shape, such as a
    memory's head. ``report``: bytes written so far.

    NimError: the run is unusable, no stock architecture is of its shape (both 3), ``out`` is not empty (2).
    """
    run = Path(run)
    config, tokenizer = load_run(run)
    name = architecture(config).name
    path = Path(weights or run / "model.safetensors")
    tensors = read_tensors(path, mapped=True)
    check_tensors(config, tensors, path)
    shape, tensors = folded(config, tensors)
    made = hf_tensors(shape, tensors)
    with new_folder(out, force, MODEL_FILES, run) as folder:
        shapes = {key: make().shape for key, make in made.items()}
        write_stored(folder / "model.safetensors",
                     {key: stored(NAMES[dtype], shapes[key], make, key) for key, make in made.items()},
                     {"format": "pt"}, report)
        ends = {"bos_token_id": tokenizer.bos, "eos_token_id": sorted({*tokenizer.stops, tokenizer.marker("end")}),
                "pad_token_id": tokenizer.pad}
        write_json(folder / "config.json", {**hf_config(shape, LONG_NAMES[dtype]), **ends,
                                            "eos_token_id": tokenizer.eos})
        write_json(folder / "generation_config.json", {**ends, "do_sample": False})
        write_tokenizer(folder, tokenizer, config.context)
    return name


def write_tokenizer(folder: Path, tokenizer: Tokenizer, context: int) -> None:
    """The tokenizer's files."""
    with replacing(folder / "tokenizer.json") as file:
        text = imported_json(tokenizer) if isinstance(tokenizer, ImportedTokenizer) else tokenizer_json(tokenizer)
        file.write(text.encode())
    write_json(folder / "tokenizer_config.json", tokenizer_config(tokenizer, context))
    if tokenizer.kind == "bpe":  # for programs that read SentencePiece, and for our own way back
        with replacing(folder / "tokenizer.model") as file:
            file.write(tokenizer.data)
