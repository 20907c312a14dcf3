"""The command line of ``nimllm bench``. Imported for every ``--help``, so it imports argparse and nothing else."""

from __future__ import annotations

import argparse


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="alternating rounds (default 5)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of every program (default: its own choice)")
    parser.add_argument("--json", metavar="FILE", help="append the JSON lines to a file (default: standard output)")


def _model(parser: argparse.ArgumentParser, dtype: str) -> None:
    parser.add_argument("--shape", metavar="NAME", help="random weights: 10m, 48m (default), 103m, char-10m, 48m-gpt2, "
                        "103m-gpt2, 7m, tiny; or shipped; several with commas")
    parser.add_argument("--model", metavar="RUN", help="the model of a run folder")
    parser.add_argument("--dtype", default=dtype, metavar="NAME", help=f"fp32, bf16, q8, q4; several with commas "
                        f"(default {dtype})")


def _device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def _against(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--against", action="append", metavar="NAME=WHERE", help=text)


def add(parser: argparse.ArgumentParser) -> None:
    """The benchmarks as sub-commands of ``parser``."""
    kinds = parser.add_subparsers(dest="bench", metavar="WHAT", required=True)

    def kind(name: str, text: str) -> argparse.ArgumentParser:
        return kinds.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")

    decode = kind("decode", "greedy decoding after a prompt, tok/s")
    _model(decode, "bf16")
    decode.add_argument("--prompt-tokens", type=int, default=32, metavar="N")
    decode.add_argument("--tokens", type=int, default=200, metavar="N", help="tokens decoded (default 200)")
    decode.add_argument("--samples", type=int, default=1, metavar="N", help="texts that continue one prompt together")
    _against(decode, "llama.cpp=PATH of llama-bench, llama2.c=DIR, nanogpt=DIR, transformers[=PYTHON]; repeatable")
    _device(decode)
    _common(decode)

    prefill = kind("prefill", "reading a prompt, tok/s")
    _model(prefill, "bf16")
    prefill.add_argument("--prompt-tokens", type=int, default=512, metavar="N")
    prefill.add_argument("--peer-dtype", metavar="NAME", help="measure llama.cpp in these formats too")
    _against(prefill, "llama.cpp=PATH of llama-bench, nanogpt=DIR, transformers[=PYTHON]; repeatable")
    _device(prefill)
    _common(prefill)

    train = kind("train", "optimizer steps on random ids, tok/s, and the time to the first step")
    _model(train, "bf16")
    train.add_argument("--rows", type=int, metavar="N", help="texts in a step (default: by shape)")
    train.add_argument("--context", type=int, metavar="N", help="tokens of a text (default: the shape's, 512 at most)")
    train.add_argument("--steps", type=int, default=3, metavar="N", help="steps of a round; their median counts")
    train.add_argument("--optimizer", choices=("adamw", "muon"), default="adamw")
    train.add_argument("--compile", action="store_true", help="also measure the peers with torch.compile")
    _against(train, "nanogpt=DIR, transformers[=PYTHON]; repeatable")
    _device(train)
    _common(train)

    attention = kind("attention", "every implementation of causal attention, forward and forward with backward")
    attention.add_argument("--dtype", default="fp32,bf16", metavar="NAME")
    attention.add_argument("--lengths", type=int, nargs="+", metavar="N", help="default: 256 512 1024; GPU: 512 … 4096")
    attention.add_argument("--rows", type=int, metavar="N", help="texts at once (default: 4096 tokens; GPU: 16384)")
    attention.add_argument("--heads", type=int, default=8, metavar="N")
    attention.add_argument("--kv-heads", type=int, default=8, metavar="N")
    attention.add_argument("--head-dim", type=int, default=64, metavar="N")
    _device(attention)
    _common(attention)

    startup = kind("startup", "whole processes: to the first token, to the end, peak memory, --help")
    _model(startup, "bf16")
    startup.add_argument("--prompt-tokens", type=int, default=32, metavar="N")
    startup.add_argument("--tokens", type=int, default=200, metavar="N", help="longest reply (default 200)")
    _against(startup, "llama.cpp=PATH of llama-completion or its folder")
    _common(startup)

    tokenize = kind("tokenize", "text to ids and back")
    tokenize.add_argument("--model", metavar="RUN", help="run folder of the tokenizer (default: the shipped one)")
    tokenize.add_argument("--text", metavar="FILE", help="UTF-8 text (default: one that ships with the model)")
    tokenize.add_argument("--characters", type=int, default=5_000_000, metavar="N", help="use the first N")
    _common(tokenize)

    shell = kind("shell", "a command's way through the agent's shell, at each level of the sandbox, ms")
    shell.add_argument("--commands", type=int, default=100, metavar="N", help="`true` so often a round (default 100)")
    shell.add_argument("--rounds", type=int, default=5, metavar="N", help="alternating rounds (default 5)")
    shell.add_argument("--json", metavar="FILE", help="append the JSON lines to a file (default: standard output)")
