"""Text out of a model: the C++ engine or torch gives logits, numpy samples, the KV cache outlives the call.

torch is imported only when its backend is asked for, or when the engine cannot be used.
"""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from nimllm.errors import NimError
from nimllm.kernels import ops
from nimllm.llm.checkpoint import check_tensors, read_tensors
from nimllm.llm.config import ModelConfig, read_config
from nimllm.llm.tokenizer import Tokenizer

if TYPE_CHECKING:
    from nimllm.llm.model import GPT

Stopped = Literal["stop", "length", "context", "interrupted"]
_CHUNK = 128  # prompt tokens between two looks at should_stop
_told: set[str] = set()


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. Temperature 0 takes the most probable one; the others narrow the choice, in this
    order: the ``top_k`` best, then the fewest that hold ``top_p`` of the mass, then those of at least ``min_p`` times
    the best one's probability. ``repetition_penalty``: Keskar et al. 2019 (CTRL), on every token seen."""

    temperature: float = 0.0
    top_k: int = 0  # 0: all
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        sane = {"temperature": self.temperature >= 0, "top_k": self.top_k >= 0, "top_p": 0 < self.top_p <= 1,
                "min_p": 0 <= self.min_p <= 1, "repetition_penalty": self.repetition_penalty > 0}
        for name, good in sane.items():
            if not good:
                raise NimError(f"{name} cannot be {getattr(self, name)}", "", "temperature and top_k start at 0, min_p "
                               "lies in [0, 1], top_p in (0, 1], the repetition penalty is above 0", 2)


@dataclass(frozen=True)
class Completion:
    """``ids`` and ``text`` without what stopped them; where a stop string began inside a token, ``ids`` ends before
    that token and ``text`` has its first characters.

    ``logprob``: sum of the model's own log-probabilities (nats; before temperature, penalty and bans) of every token
    drawn, the stop id too. ``tokens_per_second``: without the reading of the prompt. ``stop_id``: the id that ended it.
    """

    ids: list[int]
    text: str
    stopped: Stopped
    logprob: float
    seconds: float
    tokens_per_second: float
    stop_id: int | None = None


class Backend(Protocol):
    """What the generator asks of an engine; ``position`` is the number of tokens in its KV cache."""

    @property
    def position(self) -> int: ...
    def extend(self, ids: Sequence[int]) -> np.ndarray: ...  # fp32 [vocab] after the last id
    def extend_all(self, ids: Sequence[int]) -> np.ndarray: ...  # fp32 [len(ids), vocab]
    def truncate(self, position: int) -> None: ...
    def close(self) -> None: ...


class TorchBackend:
    """The torch model with its KV cache, behind the engine's face; on a GPU when there is one."""

    def __init__(self, model: GPT, dtype: Literal["fp32", "bf16"] = "fp32") -> None:
        import torch

        from nimllm.llm.model import KeyValues

        self._torch = torch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(self._device).eval()
        self._autocast = dtype == "bf16"
        self._cache = KeyValues()

    @property
    def position(self) -> int:
        return self._cache.length

    def _logits(self, ids: Sequence[int], last: bool) -> np.ndarray:
        torch = self._torch
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            x_btd = self._model.hidden(torch.tensor([list(ids)], device=self._device), self._cache)
            logits = (x_btd[0, -1:] if last else x_btd[0]) @ self._model.head.to(x_btd.dtype).T
        return logits.float().cpu().numpy()

    def extend(self, ids: Sequence[int]) -> np.ndarray:
        return self._logits(ids, True)[0]

    def extend_all(self, ids: Sequence[int]) -> np.ndarray:
        return self._logits(ids, False)

    def truncate(self, position: int) -> None:
        self._cache.truncate(position)

    def close(self) -> None:
        self._cache.truncate(0)


def candidates(logits: np.ndarray, sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
    """(ids, their probabilities) after temperature, top-k, top-p and min-p; most probable first after a
    cut by top-k or top-p, ties to the smaller id.

    ``logits``: fp32 [vocab], -inf where forbidden; temperature above 0. Sorting 8192 of them takes 0.4 ms, so only what
    top-k and top-p can still want is sorted: 0.07 ms and 0.11 ms on logits with a standard deviation of 3.
    """
    ids = np.flatnonzero(logits > -np.inf)
    scaled = logits[ids].astype(np.float64) / sampling.temperature
    if 0 < sampling.top_k < len(ids):
        keep = scaled >= np.partition(scaled, -sampling.top_k)[-sampling.top_k]
        ids, scaled = ids[keep], scaled[keep]
        order = np.argsort(-scaled, kind="stable")[:sampling.top_k]
        ids, scaled = ids[order], scaled[order]
    chances = np.exp(scaled - scaled.max())
    chances /= chances.sum()
    if sampling.top_p < 1:
        # all that are rarer than this hold less than 1 - top_p together
        keep = chances >= (1 - sampling.top_p) / len(chances)
        ids, chances = ids[keep], chances[keep]
        order = np.argsort(-chances, kind="stable")
        ids, chances = ids[order], chances[order]
        count = int(np.searchsorted(np.cumsum(chances), sampling.top_p - 1e-12)) + 1
        ids, chances = ids[:count], chances[:count]
    if sampling.min_p > 0:
        keep = chances >= sampling.min_p * chances.max()
        ids, chances = ids[keep], chances[keep]
    return ids, chances / chances.sum()


def penalised(logits: np.ndarray, seen: Collection[int], penalty: float) -> np.ndarray:
    """A copy in which the tokens seen are less likely: positive logits divided by the penalty, negative multiplied."""
    logits = logits.copy()
    if penalty != 1 and seen:
        where = np.fromiter(seen, np.int64, len(seen))
        values = logits[where]
        logits[where] = np.where(values > 0, values / penalty, values * penalty)
    return logits


class TextStream:
    """Bytes in, text out: only whole characters, and nothing that may still become a stop string."""

    def __init__(self, stop_strings: Sequence[str], on_text: Callable[[str], None] | None) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = [stop for stop in stop_strings if stop]
        self._on_text = on_text
        self._held = ""
        self.text = ""  # what was given out

    def _give(self, text: str) -> None:
        if text:
            self.text += text
            if self._on_text is not None:
                self._on_text(text)

    def add(self, data: bytes, final: bool = False) -> bool:
        """Takes the bytes of a token; whether a stop string is complete (the text then ends before it)."""
        self._held += self._decoder.decode(data, final)
        found = [self._held.find(stop) for stop in self._stops if stop in self._held]
        if found:
            self._give(self._held[:min(found)])
            self._held = ""
            return True
        keep = 0
        if not final:
            for stop in self._stops:
                for length in range(min(len(stop) - 1, len(self._held)), keep, -1):
                    if self._held.endswith(stop[:length]):
                        keep = length
                        break
        cut = len(self._held) - keep
        self._give(self._held[:cut])
        self._held = self._held[cut:]
        return False


class Generator:
    """A model, its tokenizer and a KV cache that remembers the longest common prefix between calls. Not thread-safe."""

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer, backend: Backend, name: str,
                 reopen: Callable[[Path], Backend]) -> None:
        self.config, self.tokenizer, self.backend_name = config, tokenizer, name
        self._backend, self._reopen = backend, reopen
        self._ids: list[int] = []  # what the KV cache holds
        self._never = [index for index in (tokenizer.unk, tokenizer.bos, tokenizer.pad)]

    @staticmethod
    def load(run: Path, weights: Path | None = None, backend: Literal["auto", "engine", "torch"] = "auto",
             dtype: Literal["fp32", "bf16"] = "fp32", threads: int | None = None) -> Generator:
        """The model of a run folder, with other weights of its shape when given. ``threads``: None leaves it to the
        backend. NimError: anything unusable in the folder, or an engine that was asked for and cannot be used."""
        run = Path(run)
        config, tokenizer = read_config(run), Tokenizer.load(run)
        if tokenizer.vocab_size > config.vocab_size:
            raise NimError(f"the tokenizer of {run} does not fit its model",
                           f"it has {tokenizer.vocab_size} ids, the model {config.vocab_size}",
                           "restore the files of one and the same run")
        name = _pick(backend)

        def reopen(path: Path) -> Backend:
            tensors = read_tensors(path)
            check_tensors(config, tensors, path)
            if name == "engine":
                from nimllm.kernels.engine import Engine

                try:
                    return Engine(config.model_dump(), tensors, dtype=dtype, threads=threads)
                except MemoryError as error:
                    raise NimError(f"there is not enough memory for {path}", str(error), "use a smaller model"
                                   ) from None
            from nimllm.llm.model import GPT

            if threads:
                import torch

                torch.set_num_threads(threads)

            return TorchBackend(GPT(config).load_numpy(tensors), dtype)

        return Generator(config, tokenizer, reopen(weights or run / "model.safetensors"), name, reopen)

    def reload(self, weights: Path) -> None:
        """Other weights of the same shape, after a memory update; forgets the cache."""
        fresh = self._reopen(Path(weights))
        self._backend.close()
        self._backend, self._ids = fresh, []

    def close(self) -> None:
        """Gives the backend's memory back; the generator cannot be used any more."""
        self._backend.close()

    def complete(self, ids: Sequence[int], max_tokens: int, stop_ids: Collection[int] = (),
                 stop_strings: Sequence[str] = (), allowed_first: Collection[int] = (), banned: Collection[int] = (),
                 sampling: Sampling | None = None, on_text: Callable[[str], None] | None = None,
                 should_stop: Callable[[], bool] | None = None) -> Completion:
        """Continues ``ids`` (bos and markers included) by at most ``max_tokens``.

        Stops at a stop id (eos always is one), a stop string (it may span tokens), the context's end, or when
        ``should_stop()`` is true, looked at between tokens. ``allowed_first``: the first token is one of these. unk,
        bos and pad never come. NimError: the prompt does not fit the context. ValueError: no prompt, no token allowed.
        """
        sampling = sampling or Sampling()
        began = time.monotonic()
        self._fits(len(ids))
        stops = {self.tokenizer.eos, *stop_ids}
        shut = np.fromiter({*self._never, *banned}, np.int64)
        rng = np.random.default_rng(sampling.seed)
        stream = TextStream(stop_strings, on_text)
        out: list[int] = []
        seen = set(ids) if sampling.repetition_penalty != 1 else set()
        drawn, logprob, stopped, stop_id = 0, 0.0, "length", None
        logits = self._read(ids, len(ids) - 1, should_stop)
        ready = time.monotonic()
        while len(out) < max_tokens:
            if logits is None or (should_stop is not None and should_stop()):
                stopped = "interrupted"
                break
            top = float(logits.max())
            if not np.isfinite(top):
                raise NimError("the model's output is not finite", f"the highest logit is {top}", "its weights are "
                               "damaged: restore them, or revert the last memories")
            allowed = penalised(logits, seen, sampling.repetition_penalty)
            allowed[shut] = -np.inf
            allowed[self.tokenizer.vocab_size:] = -np.inf  # a vocabulary padded to a round size
            if allowed_first and not out:
                first = np.fromiter(allowed_first, np.int64, len(allowed_first))
                mask = np.full_like(allowed, -np.inf)
                mask[first] = allowed[first]
                allowed = mask
            choice = self._draw(allowed, sampling, rng)
            logprob += float(logits[choice]) - top - float(np.log(np.exp(logits - top).sum(dtype=np.float64)))
            if choice in stops:
                stopped, stop_id = "stop", choice
                break
            out.append(choice)
            drawn += 1
            if stream.add(self.tokenizer.token_bytes(choice)):
                stopped = "stop"
                while not stream.text.startswith(self.tokenizer.decode(out)):
                    out.pop()
                break
            if sampling.repetition_penalty != 1:
                seen.add(choice)
            if len(out) == max_tokens:
                break
            if len(self._ids) >= self.config.context:
                stopped = "context"
                break
            logits = self._extend([choice])
        if not (stopped == "stop" and stop_id is None) and stream.add(b"", final=True):
            stopped = "stop"
        now = time.monotonic()
        return Completion(out, stream.text, stopped, logprob, now - began,  # type: ignore[arg-type]
                          drawn / max(now - ready, 1e-9), stop_id)

    def score(self, ids: Sequence[int], start: int) -> float:
        """Sum of log p(ids[i] | ids[:i]) in nats over i >= start. NimError: more ids than the context holds."""
        if not 1 <= start <= len(ids):
            raise ValueError(f"start {start} is not in 1..{len(ids)}: the first id has nothing before it")
        if start == len(ids):
            return 0.0
        self._fits(len(ids) - 1)
        self._read(ids[:-1], start - 1, None, last=False)
        total = 0.0
        for begin in range(start - 1, len(ids) - 1, _CHUNK):
            inputs = list(ids[begin:min(begin + _CHUNK, len(ids) - 1)])
            logits = self._extend(inputs, every=True).astype(np.float64)
            logits -= logits.max(1, keepdims=True)
            targets = np.asarray(ids[begin + 1:begin + 1 + len(inputs)])
            total += float((logits[np.arange(len(inputs)), targets] - np.log(np.exp(logits).sum(1))).sum())
        return total

    def _fits(self, length: int) -> None:
        if not length:
            raise ValueError("there is nothing to continue: a prompt begins with bos")
        if length > self.config.context:
            raise NimError(f"the prompt is too long: {length} tokens",
                           f"the model's context is {self.config.context}", "shorten it", 2)

    def _read(self, ids: Sequence[int], at_most: int, should_stop: Callable[[], bool] | None, last: bool = True
              ) -> np.ndarray | None:
        """Brings the cache to ``ids`` (``last``) or to its first ``at_most``; the logits after the last id, or None
        when interrupted. At most ``at_most`` ids are taken from the cache, so that there is something to compute."""
        common = 0
        for old, new in zip(self._ids, ids[:at_most], strict=False):
            if old != new:
                break
            common += 1
        self._truncate(common)
        end, logits = len(ids) if last else at_most, None
        for begin in range(common, end, _CHUNK):
            if should_stop is not None and begin > common and should_stop():
                return None
            logits = self._extend(ids[begin:min(begin + _CHUNK, end)])
        return logits

    def _truncate(self, position: int) -> None:
        if position < len(self._ids):
            self._backend.truncate(position)
            del self._ids[position:]

    def _extend(self, ids: Sequence[int], every: bool = False) -> np.ndarray:
        done = False
        try:
            logits = (self._backend.extend_all if every else self._backend.extend)(list(ids))
            self._ids += ids
            done = True
            return logits
        finally:
            if not done:  # ^C or an error inside: nobody knows what the cache holds now
                self._backend.truncate(0)
                self._ids.clear()

    @staticmethod
    def _draw(logits: np.ndarray, sampling: Sampling, rng: np.random.Generator) -> int:
        best = int(logits.argmax())
        if logits[best] == -np.inf:
            raise ValueError("every token is banned")
        if sampling.temperature == 0:
            return best
        order, chances = candidates(logits, sampling)
        return int(order[min(int(np.searchsorted(np.cumsum(chances), rng.random(), "right")), len(order) - 1)])


def _pick(wanted: str) -> Literal["engine", "torch"]:
    """The backend to use; says once on stderr when the engine cannot be used though nobody chose torch."""
    if wanted == "torch" or (wanted == "auto" and os.environ.get(ops.VARIABLE)
                             and ops.choose("decode", "cpu").name == "torch"):
        return "torch"
    try:
        from nimllm.kernels.engine import available

        reason = available()
    except ImportError as error:
        reason = str(error)
    if reason is None:
        return "engine"
    if wanted == "engine":
        raise NimError("the C++ engine cannot be used", reason, "use the torch backend, or install nimllm again "
                       "where a C++ compiler is")
    if reason not in _told:
        _told.add(reason)
        print(f"nimllm: generating with torch, since the C++ engine cannot be used: {reason}", file=sys.stderr)
    return "torch"
