"""Text out of a model: the C++ engine or torch gives logits, numpy samples, the KV cache outlives the call.

torch is imported only when its backend is asked for, or when the engine cannot be used.
"""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from ctypes import c_int32
from dataclasses import dataclass, replace
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

import numpy as np

from nimllm.errors import NimError
from nimllm.kernels import ops
from nimllm.kernels.sampling import Drawn, Sampling, choose
from nimllm.llm.checkpoint import check_tensors, read_tensors
from nimllm.llm.config import ModelConfig, read_config
from nimllm.llm.tokenizer import Tokenizer

if TYPE_CHECKING:
    from nimllm.llm.model import GPT

Dtype = Literal["fp32", "bf16", "q8", "q4"]
Stopped = Literal["stop", "length", "context", "interrupted"]
_CHUNK = 128  # prompt tokens between two looks at should_stop
_BURSTS = (1, 2, 4, 8, 16)  # tokens drawn by an engine before the text is looked at; then always so many as the last
_LOOKUP = 8  # tokens that prompt lookup may draft at once
_told: set[str] = set()


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


class DrawingBackend(Backend, Protocol):
    """A backend that draws tokens itself, with no Python between them; see ``kernels.engine.Engine.generate``."""

    def generate(self, max_tokens: int, sampling: Sampling | None = None, ids: Sequence[int] = (),
                 stop_ids: Collection[int] = (), banned: Collection[int] = (), allowed_first: Collection[int] = (),
                 limit: int = 0, lookup: int = 0) -> Drawn: ...
    def generate_samples(self, count: int, max_tokens: int, sampling: Sampling | None = None, ids: Sequence[int] = (),
                         stop_ids: Collection[int] = (), banned: Collection[int] = (),
                         allowed_first: Collection[int] = (), limit: int = 0, cancel: c_int32 | None = None
                         ) -> list[Drawn]: ...


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
        self._never = list(tokenizer.never)

    @staticmethod
    def load(run: Path, weights: Path | None = None, backend: Literal["auto", "engine", "torch"] = "auto",
             dtype: Dtype = "fp32", threads: int | None = None) -> Generator:
        """The model of a run folder, with other weights of its shape when given. ``threads``: None leaves it to the
        backend; "q8" and "q4" are the engine's alone. NimError: anything unusable in the folder, or an engine that was
        asked for and cannot be used."""
        run = Path(run)
        config, tokenizer = read_config(run), Tokenizer.load(run)
        if tokenizer.vocab_size > config.vocab_size:
            raise NimError(f"the tokenizer of {run} does not fit its model",
                           f"it has {tokenizer.vocab_size} ids, the model {config.vocab_size}",
                           "restore the files of one and the same run")
        name = _pick(backend)
        if name == "torch" and dtype not in ("fp32", "bf16"):
            raise NimError(f"the torch backend has no {dtype} weights", "only the C++ engine rounds to 8 and 4 bits",
                           "use fp32 or bf16, or install nimllm where a C++ compiler is", 2)

        chosen = Path(weights or run / "model.safetensors")
        if name == "engine":
            from nimllm.llm.packed import PackedModel

            packed = PackedModel(config, chosen, dtype, threads)

            def change(path: Path) -> Backend:
                packed.change(path)
                return packed.engine

            return Generator(config, tokenizer, packed.engine, name, change)

        def reopen(path: Path) -> Backend:
            from nimllm.llm.model import GPT

            tensors = read_tensors(path)
            check_tensors(config, tensors, path)
            if threads:
                import torch

                torch.set_num_threads(threads)

            return TorchBackend(GPT(config).load_numpy(tensors), "bf16" if dtype == "bf16" else "fp32")

        return Generator(config, tokenizer, reopen(chosen), name, reopen)

    def reload(self, weights: Path) -> None:
        """Other weights of the same shape, after a memory update; forgets the cache. The engine takes over only what
        differs."""
        fresh = self._reopen(Path(weights))
        if fresh is not self._backend:
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
        stops = {*self.tokenizer.stops, *stop_ids}
        shut = {*self._never, *banned}
        stream = TextStream(stop_strings, on_text)
        out: list[int] = []
        drawn, logprob, stopped, stop_id = 0, 0.0, "length", None
        logits = self._read(ids, len(ids) - 1, should_stop)
        ready = time.monotonic()
        if hasattr(self._backend, "generate"):
            draws = self._drawn_in_bursts(max_tokens, stops, shut, allowed_first, sampling)
        else:
            draws = self._drawn_one_by_one(logits, shut, allowed_first, sampling)
        while len(out) < max_tokens:
            if logits is None or (should_stop is not None and should_stop()):
                stopped = "interrupted"
                break
            try:
                choice, likely = next(draws)
            except FloatingPointError as error:
                raise _not_finite(error) from None
            logprob += likely
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
            if len(out) < max_tokens and len(ids) + len(out) > self.config.context:
                stopped = "context"
                break
        self._truncate(len(ids) + drawn)  # a burst may have gone on after what ended the text
        if not (stopped == "stop" and stop_id is None) and stream.add(b"", final=True):
            stopped = "stop"
        now = time.monotonic()
        return Completion(out, stream.text, stopped, logprob, now - began,  # type: ignore[arg-type]
                          drawn / max(now - ready, 1e-9), stop_id)

    def sample_many(self, ids: Sequence[int], count: int, max_tokens: int, stop_ids: Collection[int] = (),
                    banned: Collection[int] = (), sampling: Sampling | None = None, cancel: c_int32 | None = None
                    ) -> list[Completion]:
        """``count`` texts (1 to 64) that continue ``ids``: first the greedy one, then ``count - 1`` as
        :meth:`complete_many` draws them, all on one reading of ``ids``. A nonzero ``cancel`` ends it: the texts are
        then "interrupted", and may be fewer."""

        def stop() -> bool:
            return cancel is not None and bool(cancel.value)

        greedy = self.complete(ids, max_tokens, stop_ids, banned=banned, should_stop=stop)
        if count == 1 or stop():
            return [greedy]
        return [greedy, *self.complete_many(ids, count - 1, max_tokens, stop_ids, (), (), banned, sampling, cancel)]

    def complete_many(self, ids: Sequence[int], count: int, max_tokens: int, stop_ids: Collection[int] = (),
                      stop_strings: Sequence[str] = (), allowed_first: Collection[int] = (),
                      banned: Collection[int] = (), sampling: Sampling | None = None, cancel: c_int32 | None = None
                      ) -> list[Completion]:
        """``count`` texts (1 to 64) that continue ``ids``, drawn side by side where the backend can: number i is what
        :meth:`complete` says with the seed ``sampling.seed + i``.

        Stop strings are looked for afterwards: a text that one ends costs as many tokens as without, and ``logprob`` is
        that of what is kept. ``seconds`` and ``tokens_per_second`` are of all texts together. A nonzero ``cancel``,
        from another thread or a signal handler, ends the drawing: texts that had not ended are "interrupted". Errors as
        ``complete``.
        """
        if not 1 <= count <= 64:
            raise ValueError(f"cannot draw {count} texts at once: 1 to 64")
        sampling = sampling or Sampling()
        if not hasattr(self._backend, "generate_samples"):
            return [self.complete(ids, max_tokens, stop_ids, stop_strings, allowed_first, banned,
                                  replace(sampling, seed=sampling.seed + i),
                                  should_stop=lambda: cancel is not None and bool(cancel.value)) for i in range(count)]
        began = time.monotonic()
        self._fits(len(ids))
        self._read(ids, len(ids) - 1, None)
        ready = time.monotonic()
        try:
            texts = cast(DrawingBackend, self._backend).generate_samples(
                count, max_tokens, sampling, (), {*self.tokenizer.stops, *stop_ids}, {*self._never, *banned},
                allowed_first, self.tokenizer.vocab_size, cancel)
        except FloatingPointError as error:
            raise _not_finite(error) from None
        now = time.monotonic()
        rate = sum(len(text.ids) for text in texts) / max(now - ready, 1e-9)
        return [self._completed(text, stop_strings, now - began, rate) for text in texts]

    def _completed(self, drawn: Drawn, stop_strings: Sequence[str], seconds: float, rate: float) -> Completion:
        """What was drawn, up to its stop id or to the first stop string in it."""
        stop_id = drawn.ids[-1] if drawn.reason == "stop" else None
        ids = drawn.ids if stop_id is None else drawn.ids[:-1]
        stream = TextStream(stop_strings, None)
        for length, token in enumerate(ids, 1):
            if stream.add(self.tokenizer.token_bytes(token)):
                out = ids[:length]
                while not stream.text.startswith(self.tokenizer.decode(out)):
                    out.pop()
                return Completion(out, stream.text, "stop", sum(drawn.logprobs[:length]), seconds, rate)
        stopped: Stopped = "stop" if stream.add(b"", final=True) or drawn.reason == "stop" else (
            "context" if drawn.reason == "context" else "interrupted" if drawn.reason == "cancelled" else "length")
        return Completion(list(ids), stream.text, stopped, sum(drawn.logprobs), seconds, rate, stop_id)

    def _drawn_one_by_one(self, logits: np.ndarray | None, banned: Collection[int], allowed_first: Collection[int],
                          sampling: Sampling) -> Iterator[tuple[int, float]]:
        """Tokens and their log-probabilities without end, from a backend that gives logits."""
        seen = set(self._ids) if sampling.repetition_penalty != 1 else set()
        while logits is not None:
            choice, logprob = choose(logits, len(self._ids), sampling, seen, banned, allowed_first,
                                     self.tokenizer.vocab_size)
            yield choice, logprob
            allowed_first = ()
            seen.add(choice)
            logits = self._extend([choice])

    def _drawn_in_bursts(self, max_tokens: int, stop_ids: Collection[int], banned: Collection[int],
                         allowed_first: Collection[int], sampling: Sampling) -> Iterator[tuple[int, float]]:
        """As :meth:`_drawn_one_by_one`, up to a stop id or the context's end, from a backend that draws itself."""
        backend = cast(DrawingBackend, self._backend)
        drawn = 0
        feed: list[int] = []
        bursts = chain(_BURSTS, repeat(_BURSTS[-1]))
        lookup = _LOOKUP if sampling.temperature == 0 else 0
        while drawn < max_tokens:
            done = False
            try:
                got = backend.generate(min(next(bursts), max_tokens - drawn), sampling, feed, stop_ids, banned,
                                       () if drawn else allowed_first, self.tokenizer.vocab_size, lookup)
                self._ids += feed + got.ids[:-1]
                done = True
            finally:
                if not done:  # nobody knows what the cache holds now
                    self._forget()
            drawn += len(got.ids)
            feed = got.ids[-1:]
            yield from zip(got.ids, got.logprobs, strict=True)

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
                self._forget()

    def _forget(self) -> None:
        self._backend.truncate(0)
        self._ids.clear()


def _not_finite(error: FloatingPointError) -> NimError:
    return NimError("the model's output is not finite", str(error), "its weights are damaged: restore them, or revert "
                    "the last memories")


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
