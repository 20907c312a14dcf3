"""llama.cpp, where it is at hand, as a judge of the files we write.

``NIMLLM_LLAMA_CPP`` names the program that llama_peer.cpp becomes; its first lines say how to compile it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nimllm.llm.checkpoint import read_tensors


class Llama:
    """The program named by NIMLLM_LLAMA_CPP, on one file."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen([os.environ["NIMLLM_LLAMA_CPP"], str(path)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self._answer()[0] == "READY", "llama.cpp cannot load the file"

    def _answer(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def ask(self, line: str) -> list[str]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def tokens(self, text: str) -> list[int]:
        return [int(word) for word in self.ask("T " + text.encode().hex())]

    def greedy(self, count: int, ids: list[int]) -> list[int]:
        return [int(word) for word in self.ask(f"G {count} {' '.join(map(str, ids))}")]

    def logits(self, ids: list[int]) -> np.ndarray:
        return np.array([float(word) for word in self.ask("L " + " ".join(map(str, ids)))], np.float32)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def llama_cpp(path: Path) -> Llama:
    """llama.cpp on one file."""
    return Llama(path)


needs_llama = pytest.mark.skipif(not os.environ.get("NIMLLM_LLAMA_CPP"), reason="set NIMLLM_LLAMA_CPP: llama_peer.cpp")


def greedy(run: Path, count: int, ids: list[int], dtype: str = "fp32") -> tuple[list[int], np.ndarray]:
    """Ours: greedy ids, and the logits after the prompt."""
    from nimllm.kernels.engine import Engine
    from nimllm.llm.config import read_config

    engine = Engine(read_config(run).model_dump(), read_tensors(run / "model.safetensors"), dtype=dtype, threads=1)
    first = engine.extend(ids)
    found = [int(first.argmax())]
    while len(found) < count:
        found.append(int(engine.extend(found[-1:]).argmax()))
    return found, first
