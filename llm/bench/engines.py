"""Our side of decoding and reading a prompt: whatever the table of ops names for the device."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from nimllm.errors import NimError
from nimllm.kernels import ops
from nimllm.llm.bench.rounds import steady
from nimllm.llm.bench.shapes import Subject

SEED = 20


def prompt_ids(subject: Subject, length: int) -> list[int]:
    """Random ids, the same ones every time; none of the special ones."""
    low = min(64, subject.config.vocab_size // 2)
    return np.random.default_rng(SEED).integers(low, subject.config.vocab_size, length).tolist()


def check_length(subject: Subject, length: int) -> None:
    """NimError 2 when the text does not fit the model."""
    if length > subject.config.context:
        raise NimError(f"{length} tokens do not fit {subject.name}", f"its context is {subject.config.context}",
                       "shorten --prompt-tokens or --tokens", 2)


class EngineContestant:
    """One engine with the subject's weights. ``prompt`` ids are read first; ``tokens`` are decoded greedily (0: only
    the reading is timed); ``samples`` texts continue one prompt."""

    name = "nimllm"

    def __init__(self, subject: Subject, dtype: str, threads: int | None, device: str, prompt: int, tokens: int,
                 samples: int = 1) -> None:
        check_length(subject, prompt + tokens + (1 if tokens else 0))
        self.dtype, self._tokens, self._samples = dtype, tokens, samples
        self._ids = prompt_ids(subject, prompt)
        self._engine, implementation = _open(subject, dtype, threads, device)
        self.threads = int(getattr(self._engine, "threads", 1))
        isa = getattr(self._engine, "isa", "")
        self.what = f"{implementation}{f' {isa}' if isa else ''}"
        if samples > 1 and not hasattr(self._engine, "generate_samples"):
            raise NimError("this engine decodes one text at a time", f"{implementation} has no batched decode",
                           "leave --samples out", 2)

    @property
    def bytes_per_token(self) -> int | None:
        """Bytes of weights that one step reads; None where the implementation does not say."""
        value = getattr(self._engine, "bytes_per_token", None)
        return None if value is None else int(value)

    def measure(self) -> dict[str, float]:
        if not self._tokens:
            return {"prefill": steady(self._read)}
        return {"decode": steady(self._decode if self._samples == 1 else self._decode_samples)}

    def _read(self) -> float:
        self._engine.truncate(0)
        began = time.perf_counter()
        self._engine.extend(self._ids)
        return len(self._ids) / (time.perf_counter() - began)

    def _decode(self) -> float:
        """Tokens per second after the prompt. The first token comes with the prompt, so that as many passes through the
        model are timed as tokens are counted."""
        engine = self._engine
        engine.truncate(0)
        logits = engine.extend(self._ids)
        began = time.perf_counter()
        if hasattr(engine, "generate"):
            drawn = engine.generate(self._tokens + 1)
            seconds = time.perf_counter() - began
            if len(drawn.ids) != self._tokens + 1:
                raise NimError(f"the engine drew {len(drawn.ids)} tokens instead of {self._tokens + 1}")
            return self._tokens / seconds
        for _ in range(self._tokens):
            logits = engine.extend([int(logits.argmax())])
        return self._tokens / (time.perf_counter() - began)

    def _decode_samples(self) -> float:
        """Tokens per second of all texts together; the first token of each comes with the prompt, as in _decode. All
        are greedy, and so the same: what is computed, and how long that takes, does not depend on what they say."""
        engine = self._engine
        engine.truncate(0)
        engine.extend(self._ids)
        began = time.perf_counter()
        texts = engine.generate_samples(self._samples, self._tokens + 1)
        seconds = time.perf_counter() - began
        if any(len(text.ids) != self._tokens + 1 for text in texts):
            raise NimError(f"the engine drew {[len(text.ids) for text in texts]} tokens instead of {self._tokens + 1}")
        return self._samples * self._tokens / seconds

    def close(self) -> None:
        self._engine.close()


def _open(subject: Subject, dtype: str, threads: int | None, device: str) -> tuple[Any, str]:
    if device != "cpu":
        from nimllm.llm.generate import TorchBackend
        from nimllm.llm.model import GPT

        if dtype not in ("fp32", "bf16"):
            raise NimError(f"no {dtype} on {device}", "a GPU decodes with fp32 or bf16", "give --dtype bf16", 2)
        return TorchBackend(GPT(subject.config).load_numpy(subject.tensors), dtype), "torch"  # type: ignore[arg-type]
    chosen = ops.choose("decode", device)
    try:
        engine = chosen.function(subject.config.model_dump(), subject.tensors, dtype=dtype, threads=threads)
    except (ValueError, MemoryError) as error:
        raise NimError(f"{chosen.name} cannot run {subject.name} in {dtype}", str(error), "choose another --dtype", 2
                       ) from None
    return engine, chosen.name


def close_all(contestants: Sequence[Any]) -> None:
    """Closes every one, also when one fails."""
    for contestant in contestants:
        contestant.close()
