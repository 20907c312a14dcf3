"""The options of ``nimllm export`` and ``nimllm import``; argparse only, since every ``--help`` imports it."""

from __future__ import annotations

import argparse

GGUF_TYPES = ("f32", "f16", "bf16", "Q8_0", "Q4_0")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Onto the parser of ``nimllm export``."""
    formats = parser.add_subparsers(dest="format", metavar="FORMAT", required=True)
    hf = formats.add_parser("hf", help="a Hugging Face folder: AutoModelForCausalLM and AutoTokenizer load it",
                            description="Write a run as a Hugging Face model: equal logits and ids.")
    _source(hf)
    hf.add_argument("out", metavar="DIR", help="folder to write")
    hf.add_argument("--dtype", choices=("fp32", "bf16", "fp16"), default="fp32", help="of the weights (default: fp32)")
    hf.add_argument("--force", action="store_true", help="replace the files of a folder that is not empty")
    gguf = formats.add_parser("gguf", help="one file for llama.cpp and what is built on it",
                              description="Write a run as a GGUF file for llama.cpp.")
    _source(gguf)
    gguf.add_argument("out", metavar="FILE", help="file to write, such as model.gguf")
    gguf.add_argument("--type", choices=GGUF_TYPES, default="bf16", help="of the matrices (default: bf16)")
    gguf.add_argument("--force", action="store_true", help="replace the file when it exists")


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="run folder, or the word shipped")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--with-memory", action="store_true", help="the weights with everything remembered so far "
                       "(default: the trained ones)")
    which.add_argument("--weights", metavar="FILE", help="other weights of the same shape (safetensors)")


def add_import(parser: argparse.ArgumentParser) -> None:
    """Onto the parser of ``nimllm import``."""
    formats = parser.add_subparsers(dest="format", metavar="FORMAT", required=True)
    hf = formats.add_parser("hf", help="a Llama-, Qwen2- or Qwen3-shaped Hugging Face folder",
                            description="Make a run folder of a Hugging Face model (Llama-, Qwen2- or Qwen3-shaped), "
                            "for --chat, --agent, eval and align.")
    hf.add_argument("folder", metavar="DIR", help="folder with config.json, tokenizer.json and safetensors")
    hf.add_argument("--out", metavar="RUN", required=True, help="run folder to write")
    hf.add_argument("--context", type=int, metavar="N",
                    help="tokens it shall see at once (default: its own, at most 4096)")
    hf.add_argument("--force", action="store_true", help="replace the files of a folder that is not empty")
