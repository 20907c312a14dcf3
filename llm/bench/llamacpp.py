"""llama.cpp as a peer: the subject's weights as GGUF, llama-bench for speed, llama-completion for whole processes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from nimllm.errors import NimError, UsageError
from nimllm.llm.bench.shapes import Subject
from nimllm.llm.export_gguf import describe, gguf_architecture, gguf_tensors

_TYPES = {"fp32": "F32", "bf16": "BF16", "q8": "Q8_0", "q4": "Q4_0"}  # equal bits, head included ("pure")
_REPETITIONS = 3


def _gguf() -> Any:
    try:
        import gguf
    except ImportError:
        raise NimError("the model cannot be written for llama.cpp", "the gguf package is not installed",
                       "install it: pip install gguf") from None
    return gguf


def check(subject: Subject) -> None:
    """UsageError when llama.cpp has no architecture of the subject's shape."""
    config = subject.config
    if (config.pos, config.norm, config.ffn) != ("rope", "rms", "swiglu") or config.bias or config.embed_norm:
        raise UsageError(f"llama.cpp cannot run {subject.name}", "only Llama- and Qwen3-shaped models are written as "
                         "GGUF (RoPE, RMSNorm, SwiGLU, no biases)", "choose --shape 10m, 48m, 103m or shipped")


def write_gguf(subject: Subject, dtype: str, path: Path, pieces: Sequence[tuple[bytes, float, int]] | None = None
               ) -> None:
    """The subject as one GGUF file, every matrix in the type that has ``dtype``'s bits.

    ``pieces``: (text, score, llama.cpp's token type) of each id; None leaves the vocabulary out (llama-bench needs
    none). NimError without the gguf package, or for a matrix whose rows are no multiple of the type's block.
    """
    check(subject)
    gguf = _gguf()
    config = subject.config
    name = gguf_architecture(config)
    writer = gguf.GGUFWriter(path, name)
    describe(writer, config, _TYPES[dtype], subject.name, gguf)
    writer.add_vocab_size(config.vocab_size)
    if pieces is None:
        writer.add_tokenizer_model("none")
    else:
        writer.add_tokenizer_model("llama")
        writer.add_token_list([text for text, _, _ in pieces])
        writer.add_token_scores([score for _, score, _ in pieces])
        writer.add_token_types([kind for _, _, kind in pieces])
        writer.add_unk_token_id(0)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_add_space_prefix(False)
    kind = gguf.GGMLQuantizationType[_TYPES[dtype]]
    block = gguf.GGML_QUANT_SIZES[kind][0]
    for key, make in gguf_tensors(config, subject.tensors, name).items():
        tensor = make()
        if tensor.ndim == 1:
            writer.add_tensor(key, tensor.astype(np.float32))
            continue
        if tensor.shape[1] % block:
            raise UsageError(f"{key} cannot be written as {_TYPES[dtype]}", f"its rows of {tensor.shape[1]} are no "
                             f"multiple of {block}", "choose another shape or --dtype")
        writer.add_tensor(key, gguf.quants.quantize(np.ascontiguousarray(tensor), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def program(where: str, name: str) -> str:
    """The program ``name`` of an installation, given one of its programs or their folder; UsageError without it."""
    given = Path(where).expanduser()
    found = [given / name, given / "bin" / name] if given.is_dir() else [given.with_name(name)]
    for path in found:
        if path.is_file() and os.access(path, os.X_OK):
            return str(path.resolve())
    raise UsageError(f"there is no {name} at {where}", f"looked for {', '.join(map(str, found))}",
                     "give --against llama.cpp=PATH of llama-bench, or of the folder it is in")


def version(where: str) -> str:
    """"b1234 (0c1e570)", as llama-bench prints it; empty when it does not."""
    done = subprocess.run([program(where, "llama-bench"), "--version"], capture_output=True, text=True, timeout=30,
                          check=False)
    first = (done.stdout + done.stderr).strip().splitlines()
    return first[0].removeprefix("version: ") if first else ""


class LlamaBench:
    """llama-bench on the subject: ``tokens`` decoded after ``prompt``, or ``prompt`` read when ``tokens`` is 0."""

    name = "llama.cpp"

    def __init__(self, where: str, subject: Subject, dtype: str, threads: int, prompt: int, tokens: int, folder: Path
                 ) -> None:
        self._program = program(where, "llama-bench")
        self.dtype = dtype
        self.what = f"llama-bench {version(where)}, {_TYPES[dtype]} in every matrix"
        path = folder / f"{subject.name}.{dtype}.gguf"
        if not path.exists():
            write_gguf(subject, dtype, path)
        lengths = ["-p", "0", "-n", str(tokens), "-d", str(prompt)] if tokens else ["-p", str(prompt), "-n", "0"]
        self._words = [self._program, "-m", str(path), "-t", str(threads), *lengths, "-r", str(_REPETITIONS),
                       "-o", "json"]
        self._figure = "decode" if tokens else "prefill"

    def measure(self) -> dict[str, float]:
        try:
            done = subprocess.run(self._words, capture_output=True, text=True, timeout=600, check=False)
        except subprocess.TimeoutExpired:
            raise NimError("llama-bench took longer than ten minutes", "", "choose a smaller shape") from None
        try:
            return {self._figure: median(json.loads(done.stdout)[0]["samples_ts"])}
        except (ValueError, KeyError, IndexError, TypeError):
            said = done.stderr.strip().splitlines()
            raise NimError("llama-bench measured nothing", said[-1][:300] if said else f"exit code {done.returncode}",
                           f"run it: {' '.join(self._words)}") from None

    def close(self) -> None:
        pass
