"""karpathy/llama2.c as a peer: run (fp32) and runq (int8, groups of 64) on the subject's weights."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from pathlib import Path

import numpy as np

from nimllm.errors import NimError, UsageError
from nimllm.llm.bench.shapes import Subject

_PROGRAMS = {"fp32": "run", "q8": "runq"}
_GROUP = 64
_BUILD = "gcc -O3 -march=native -ffast-math -fopenmp {name}.c -lm -o {name}"


def _matrices(subject: Subject) -> list[np.ndarray]:
    layers = range(subject.config.n_layers)
    order = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
             "mlp.down_proj", "mlp.up_proj")
    return [subject.tensors[f"model.layers.{layer}.{name}.weight"] for name in order for layer in layers]


def _norms(subject: Subject, name: str) -> list[np.ndarray]:
    return [subject.tensors[f"model.layers.{layer}.{name}.weight"] for layer in range(subject.config.n_layers)]


def _sizes(subject: Subject) -> tuple[int, ...]:
    config = subject.config
    return (config.d_model, config.d_ff, config.n_layers, config.n_heads, config.n_kv_heads, config.vocab_size,
            config.context)


def write_fp32(subject: Subject, path: Path) -> None:
    """The format of ``export.py --version 0``, which run reads."""
    tensors, config = subject.tensors, subject.config
    attention, feed_forward = _matrices(subject)[:4 * config.n_layers], _matrices(subject)[4 * config.n_layers:]
    unused = np.zeros((2, config.context * config.head_dim // 2), np.float32)  # the table of rotations, once
    with open(path, "wb") as file:
        file.write(struct.pack("<7i", *_sizes(subject)))
        for tensor in (tensors["model.embed_tokens.weight"], *_norms(subject, "input_layernorm"), *attention,
                       *_norms(subject, "post_attention_layernorm"), *feed_forward, tensors["model.norm.weight"],
                       unused):
            file.write(np.ascontiguousarray(tensor, "<f4").tobytes())


def write_int8(subject: Subject, path: Path) -> None:
    """The format of ``export.py --version 2``, which runq reads."""
    tensors = subject.tensors
    with open(path, "wb") as file:
        header = struct.pack("<Ii7iBi", 0x616B3432, 2, *_sizes(subject), 1, _GROUP)
        file.write(header.ljust(256, b"\0"))
        for tensor in (*_norms(subject, "input_layernorm"), *_norms(subject, "post_attention_layernorm"),
                       tensors["model.norm.weight"]):
            file.write(np.ascontiguousarray(tensor, "<f4").tobytes())
        for tensor in (tensors["model.embed_tokens.weight"], *_matrices(subject)):
            groups = tensor.reshape(-1, _GROUP)
            scales = np.abs(groups).max(1, keepdims=True) / 127
            file.write(np.round(groups / np.maximum(scales, 1e-30)).astype(np.int8).tobytes())
            file.write(scales.astype("<f4").tobytes())


def _write_tokenizer(vocab_size: int, path: Path) -> None:
    """Pieces nobody reads: the program wants as many as the model has ids."""
    with open(path, "wb") as file:
        file.write(struct.pack("<i", 12))
        for index in range(vocab_size):
            piece = f" {index:x}".encode()
            file.write(struct.pack("<fi", -float(index), len(piece)) + piece)


class Llama2c:
    """``tokens`` greedy tokens from an empty context: it reads a prompt token by token, so a prompt changes nothing."""

    name = "llama2.c"

    def __init__(self, where: str, subject: Subject, dtype: str, threads: int, tokens: int, folder: Path) -> None:
        config = subject.config
        if (config.pos, config.norm, config.ffn, config.qk_norm, config.tied, config.bias, config.embed_norm) != (
                "rope", "rms", "swiglu", False, True, False, False) or config.n_heads * config.head_dim != (
                config.d_model):
            raise UsageError(f"llama2.c cannot run {subject.name}", "it knows tied Llama shapes only",
                             "choose --shape 10m, 48m or 103m")
        if dtype not in _PROGRAMS:
            raise UsageError(f"llama2.c has no {dtype}", "run is fp32 and runq int8", "give --dtype fp32 or q8")
        if dtype == "q8" and any(size % _GROUP for size in (config.d_model, config.d_ff)):
            raise UsageError(f"runq cannot run {subject.name}", f"its sizes are no multiples of {_GROUP}",
                             "give --dtype fp32")
        name, given = _PROGRAMS[dtype], Path(where).expanduser()
        binary = given / name if given.is_dir() else given.with_name(name)
        if not (binary.is_file() and os.access(binary, os.X_OK)):
            raise UsageError(f"there is no program {binary}", "", f"compile it there: {_BUILD.format(name=name)}")
        self.dtype, self._tokens = dtype, tokens
        self.what = f"{name}, {'fp32' if dtype == 'fp32' else f'int8 in groups of {_GROUP}'}, from an empty context"
        model, pieces = folder / f"{subject.name}.{name}.bin", folder / f"{subject.name}.tokenizer.bin"
        if not model.exists():
            (write_fp32 if dtype == "fp32" else write_int8)(subject, model)
            _write_tokenizer(config.vocab_size, pieces)
        self._words = [str(binary.resolve()), str(model), "-z", str(pieces), "-t", "0", "-n", str(tokens)]
        self._environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}

    def measure(self) -> dict[str, float]:
        try:
            done = subprocess.run(self._words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                  timeout=600, env=self._environment, check=False)
        except subprocess.TimeoutExpired:
            raise NimError("llama2.c took longer than ten minutes", "", "choose a smaller shape") from None
        found = re.search(r"achieved tok/s: ([0-9.]+)", done.stderr or "")
        if found is None:
            said = (done.stderr or "").strip()[-300:]
            raise NimError("llama2.c measured nothing", said or f"exit code {done.returncode}",
                           f"run it: {' '.join(self._words)}")
        return {"decode": float(found[1])}

    def close(self) -> None:
        pass
