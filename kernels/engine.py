"""The C++ decode engine through ctypes: one model's weights, packed for this processor, and one KV cache.

Needs numpy, never torch (0.8 s and 210 MB of start-up that decoding on a CPU can do without).
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nimllm.kernels.sampling import Drawn, Sampling

_ABI = 5
_POS = {"rope": 0, "learned": 1}
_NORM = {"rms": 0, "layer": 1}
_FFN = {"swiglu": 0, "gelu": 1, "relu2": 2}
_DTYPE = {"fp32": 0, "bf16": 1, "q8": 2, "q4": 3}
_ISA = {"auto": 0, "portable": 1, "avx2": 2, "avx512": 3}
_BAD_CONFIG, _BAD_TENSOR, _NO_MEMORY, _CONTEXT_FULL, _BAD_ID, _BAD_ARGUMENT, _BAD_FILE = 1, 2, 3, 4, 5, 6, 10
_NO_TOKEN, _NOT_FINITE = 11, 12
_REASONS: tuple[Literal["length", "stop", "context", "cancelled"], ...] = ("length", "stop", "context", "cancelled")

DTYPES = tuple(_DTYPE)
Floats = NDArray[np.float32]


class _Config(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in (
        "vocab_size", "n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff", "context",
        "pos", "norm", "ffn", "qk_norm", "tied", "bias", "qkv_bias", "embed_norm", "dtype", "isa", "threads",
    )] + [("norm_eps", ctypes.c_float), ("rope_theta", ctypes.c_double)]  # fmt: skip


class _Tensor(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("data", ctypes.c_void_p), ("rows", ctypes.c_int64),
                ("cols", ctypes.c_int64)]


class _Choice(ctypes.Structure):
    _fields_ = (
        ("temperature", ctypes.c_double), ("top_p", ctypes.c_double), ("min_p", ctypes.c_double),
        ("repetition_penalty", ctypes.c_double), ("seed", ctypes.c_uint64), ("top_k", ctypes.c_int64),
        ("limit", ctypes.c_int64), ("banned", ctypes.c_void_p), ("n_banned", ctypes.c_int64),
        ("first", ctypes.c_void_p), ("n_first", ctypes.c_int64),
    )  # fmt: skip


class _Request(ctypes.Structure):
    _fields_ = [("choice", _Choice), ("ids", ctypes.c_void_p), ("n_ids", ctypes.c_int64),
                ("max_tokens", ctypes.c_int64), ("stop_ids", ctypes.c_void_p), ("n_stop_ids", ctypes.c_int64),
                ("lookup", ctypes.c_int64), ("cancel", ctypes.POINTER(ctypes.c_int32))]


class _Generated(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("count", "drafted", "accepted")] + [("reason", ctypes.c_int32)]


@cache
def _load() -> tuple[ctypes.CDLL | None, str | None]:
    """The library, or why there is none."""
    found = sorted(Path(__file__).resolve().parent.glob("_engine*.so"))
    if not found:
        return None, "the C++ engine was not built (pip install it again where a C++17 compiler is)"
    try:
        library = ctypes.CDLL(str(found[0]))
        abi = library.nimllm_abi()
    except (OSError, AttributeError) as error:
        return None, f"{found[0].name} cannot be loaded: {error}"
    if abi != _ABI:
        return None, f"{found[0].name} has interface {abi}, this version needs {_ABI}: install again"
    handle, i32, i64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
    library.nimllm_new.argtypes = [ctypes.POINTER(_Config), ctypes.POINTER(_Tensor), i64, ctypes.POINTER(handle),
                                   ctypes.c_char_p, ctypes.c_size_t]
    library.nimllm_open.argtypes = [ctypes.c_char_p, i32, i32, i32, ctypes.POINTER(handle), ctypes.c_char_p,
                                    ctypes.c_size_t]
    library.nimllm_save.argtypes = [handle, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
    library.nimllm_get_config.argtypes = [handle, ctypes.POINTER(_Config)]
    library.nimllm_get_config.restype = None
    library.nimllm_extend.argtypes = [handle, ctypes.c_void_p, i64, ctypes.c_void_p, i32]
    library.nimllm_truncate.argtypes = [handle, i64]
    library.nimllm_fork.argtypes = [handle, i64, i64]
    library.nimllm_step.argtypes = [handle, ctypes.c_void_p, ctypes.c_void_p, i64, ctypes.c_void_p, ctypes.c_void_p]
    library.nimllm_adopt.argtypes = [handle, i64]
    library.nimllm_update.argtypes = [handle, ctypes.c_char_p, ctypes.c_void_p, i64, i64, ctypes.c_void_p, i64,
                                      ctypes.c_char_p, ctypes.c_size_t]
    library.nimllm_generate.argtypes = [handle, ctypes.POINTER(_Request), ctypes.c_void_p, ctypes.c_void_p,
                                        ctypes.POINTER(_Generated)]
    library.nimllm_generate_samples.argtypes = [handle, ctypes.POINTER(_Request), i64, ctypes.c_void_p,
                                                ctypes.c_void_p, ctypes.POINTER(_Generated)]
    library.nimllm_free.argtypes = [handle]
    library.nimllm_free.restype = None
    for name, result in (("position", i64), ("bytes_per_token", i64), ("isa", ctypes.c_char_p)):
        function = getattr(library, f"nimllm_{name}")
        function.argtypes, function.restype = [handle], result
    return library, None


def available() -> str | None:
    """None when the engine can be used, else the reason in a sentence."""
    return _load()[1]


def instruction_sets() -> list[str]:
    """What ``isa`` may be on this machine, best first; empty without the library."""
    library, _ = _load()
    return [] if library is None else [name for name in ("avx512", "avx2", "portable")
                                       if library.nimllm_has_isa(_ISA[name])]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def tensor_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor that a model of this configuration reads."""
    d, ff, hd = config["d_model"], config["d_ff"], config["head_dim"]
    q, kv = config["n_heads"] * hd, config["n_kv_heads"] * hd
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], d)}

    def norm(name: str) -> None:
        shapes[f"{name}.weight"] = (d,)
        if config["norm"] == "layer" and config["bias"]:
            shapes[f"{name}.bias"] = (d,)

    def linear(name: str, rows: int, cols: int, bias: bool = config["bias"]) -> None:
        shapes[f"{name}.weight"] = (rows, cols)
        if bias:
            shapes[f"{name}.bias"] = (rows,)

    if not config["tied"]:
        shapes["lm_head.weight"] = (config["vocab_size"], d)
    if config["pos"] == "learned":
        shapes["model.embed_positions.weight"] = (config["context"], d)
    if config["embed_norm"]:
        norm("model.embed_norm")
    norm("model.norm")
    for layer in range(config["n_layers"]):
        at = f"model.layers.{layer}"
        norm(f"{at}.input_layernorm")
        norm(f"{at}.post_attention_layernorm")
        for name, rows in (("q", q), ("k", kv), ("v", kv)):
            linear(f"{at}.self_attn.{name}_proj", rows, d, config["bias"] or config.get("qkv_bias", False))
        linear(f"{at}.self_attn.o_proj", d, q)
        if config["qk_norm"]:
            shapes[f"{at}.self_attn.q_norm.weight"] = shapes[f"{at}.self_attn.k_norm.weight"] = (hd,)
        if config["ffn"] == "swiglu":
            linear(f"{at}.mlp.gate_proj", ff, d)
        linear(f"{at}.mlp.up_proj", ff, d)
        linear(f"{at}.mlp.down_proj", d, ff)
    return shapes


def _check(code: int, message: ctypes.Array[ctypes.c_char]) -> None:
    """The exception for a code of nimllm_new and nimllm_open."""
    if code:
        text = message.value.decode("utf-8", "replace")
        if code in (_BAD_CONFIG, _BAD_TENSOR, _BAD_FILE):
            raise ValueError(text)
        raise MemoryError(text) if code == _NO_MEMORY else RuntimeError(text)


def _narrow(ids: Iterable[int], vocab_size: int) -> NDArray[np.int32]:
    """int32 [n]; ValueError for what is no id of the vocabulary."""
    wide = np.asarray(ids if isinstance(ids, Sequence | np.ndarray) else list(ids), dtype=np.int64)
    if wide.ndim != 1:
        raise ValueError(f"ids must be a list of integers, not of shape {wide.shape}")
    if wide.size and (wide.min() < 0 or wide.max() >= vocab_size):
        raise ValueError(f"an id is outside the vocabulary 0..{vocab_size - 1}")
    return np.ascontiguousarray(wide, dtype=np.int32)


def choice_of(sampling: Sampling, banned: NDArray[np.int32], first: NDArray[np.int32], limit: int) -> _Choice:
    """The C structure; it points into the arrays, which the caller keeps."""
    return _Choice(sampling.temperature, sampling.top_p, sampling.min_p, sampling.repetition_penalty,
                   sampling.seed & (1 << 64) - 1, sampling.top_k, limit, banned.ctypes.data, banned.size,
                   first.ctypes.data, first.size)


class Engine:
    """Logits of a growing sequence of token ids.

    config: the fields of llm.config.ModelConfig. tensors: fp32 arrays by their Hugging Face names, copied. dtype "bf16"
    rounds weights and the inputs of matrix products to bf16 (half the memory traffic), "q8" and "q4" to 8.25 and 4.5
    bits a weight and 8 bits an input (see kernels/quantised.py); the KV cache is then bf16; sums, norms and soft-max
    stay fp32. threads: default min(2, cores). The result's bits depend neither on the number of threads nor on
    how the ids are split over calls or branches. ValueError for a tensor that is missing or of another shape, and for
    an unknown option; RuntimeError when the library is not there. Safe to share between Python threads: calls wait
    their turn.
    """

    drafted = accepted = 0  # tokens that prompt lookup proposed so far, and that were right

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], dtype: str = "fp32",
                 threads: int | None = None, isa: str = "auto") -> None:
        self._handle: ctypes.c_void_p | None = None
        self._lock = threading.Lock()
        library, reason = _load()
        if library is None:
            raise RuntimeError(f"the C++ engine cannot be used: {reason}")
        self._library = library
        if dtype not in _DTYPE or isa not in _ISA:
            raise ValueError(f"dtype {dtype!r}, isa {isa!r}: dtype is one of {', '.join(_DTYPE)}, "
                             f"isa one of {', '.join(_ISA)}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self.vocab_size, self.context = int(config["vocab_size"]), int(config["context"])
        self.dtype, self.threads = dtype, threads or min(2, _cores())
        try:
            native = _Config(
                **{name: int(config[name]) for name in ("vocab_size", "n_layers", "d_model", "n_heads", "n_kv_heads",
                                                        "head_dim", "d_ff", "context")},
                **{name: int(bool(config[name])) for name in ("qk_norm", "tied", "bias", "embed_norm")},
                qkv_bias=int(bool(config.get("qkv_bias", False))),  # the only one that may be left out
                pos=_POS[config["pos"]], norm=_NORM[config["norm"]], ffn=_FFN[config["ffn"]],
                norm_eps=config["norm_eps"], rope_theta=config["rope_theta"],
                dtype=_DTYPE[dtype], isa=_ISA[isa], threads=self.threads,
            )  # fmt: skip
        except KeyError as error:
            raise ValueError(f"the configuration lacks, or has an unknown value, {error}") from None
        arrays: dict[str, Floats] = {}
        for name, shape in tensor_shapes(config).items():
            if name not in tensors:
                raise ValueError(f"tensor {name} is missing")
            if tensors[name].shape != shape:
                raise ValueError(f"tensor {name} has shape {tensors[name].shape}, expected {shape}")
            arrays[name] = np.ascontiguousarray(tensors[name], dtype=np.float32)
        rows = (_Tensor * len(arrays))(*(
            _Tensor(name.encode(), array.ctypes.data, array.shape[0] if array.ndim == 2 else 1, array.shape[-1])
            for name, array in arrays.items()
        ))  # fmt: skip
        handle, message = ctypes.c_void_p(), ctypes.create_string_buffer(512)
        code = library.nimllm_new(native, rows, len(arrays), ctypes.byref(handle), message, len(message))
        _check(code, message)
        self._handle = handle

    @classmethod
    def open(cls, path: Path, threads: int | None = None, isa: str = "auto", copy: bool = True) -> Engine:
        """An engine on a file that :meth:`save` wrote, here or on another machine: nothing is converted or packed.

        copy: read into 2 MB pages (a tenth faster to decode); else the file's pages are mapped, and shared between
        processes. ValueError: not such a file, or damaged; MemoryError; RuntimeError when the library is not there.
        """
        library, reason = _load()
        if library is None:
            raise RuntimeError(f"the C++ engine cannot be used: {reason}")
        if isa not in _ISA or (threads is not None and threads < 1):
            raise ValueError(f"isa {isa!r}, threads {threads}: isa is one of {', '.join(_ISA)}, threads at least 1")
        made = cls.__new__(cls)
        made._handle, made._lock, made._library = None, threading.Lock(), library
        made.threads = threads or min(2, _cores())
        handle, message, config = ctypes.c_void_p(), ctypes.create_string_buffer(512), _Config()
        _check(library.nimllm_open(os.fsencode(path), made.threads, _ISA[isa], copy, ctypes.byref(handle), message,
                                   len(message)), message)
        made._handle = handle
        library.nimllm_get_config(handle, ctypes.byref(config))
        made.vocab_size, made.context, made.dtype = config.vocab_size, config.context, DTYPES[config.dtype]
        return made

    def save(self, path: Path) -> None:
        """The weights as they lie in memory, for :meth:`open`: a safetensors file, replaced whole or not at all.

        OSError when it cannot be written.
        """
        message = ctypes.create_string_buffer(512)
        with self._lock:
            code = self._library.nimllm_save(self._open(), os.fsencode(path), message, len(message))
        if code:
            raise OSError(message.value.decode("utf-8", "replace"))

    def _open(self) -> ctypes.c_void_p:
        if self._handle is None:
            raise ValueError("the engine is closed")
        return self._handle

    @property
    def position(self) -> int:
        """Tokens in the KV cache."""
        return self._library.nimllm_position(self._open())

    @property
    def isa(self) -> str:
        """The instruction set in use: avx512bf16, avx512, avx2 or portable."""
        return self._library.nimllm_isa(self._open()).decode()

    @property
    def bytes_per_token(self) -> int:
        """Bytes of weights that decoding one token reads; times tok/s it is the bandwidth in use."""
        return self._library.nimllm_bytes_per_token(self._open())

    def extend(self, ids: Sequence[int] | np.ndarray) -> Floats:
        """Append ids; logits [vocab] after the last. ValueError past the context or vocabulary, or for no ids."""
        return self._extend(ids, False)

    def extend_all(self, ids: Sequence[int] | np.ndarray) -> Floats:
        """Append ids; logits [len(ids), vocab], row i after ids[i]. ValueError as in :meth:`extend`."""
        return self._extend(ids, True)

    def _extend(self, ids: Sequence[int] | np.ndarray, every: bool) -> Floats:
        wide = np.asarray(ids, dtype=np.int64)
        if wide.ndim != 1 or not wide.size:
            raise ValueError(f"ids must be a non-empty list of integers, not of shape {wide.shape}")
        if wide.min() < 0 or wide.max() >= self.vocab_size:
            raise ValueError(f"an id is outside the vocabulary 0..{self.vocab_size - 1}")
        narrow = np.ascontiguousarray(wide, dtype=np.int32)
        logits = np.empty((narrow.size, self.vocab_size) if every else self.vocab_size, dtype=np.float32)
        with self._lock:
            handle = self._open()
            code = self._library.nimllm_extend(handle, narrow.ctypes.data, narrow.size, logits.ctypes.data, every)
            if code == _CONTEXT_FULL:
                raise ValueError(f"{narrow.size} ids after position {self._library.nimllm_position(handle)} "
                                 f"do not fit the context of {self.context}")
        if code:
            raise RuntimeError(f"the engine failed with code {code}")
        return logits

    def truncate(self, position: int) -> None:
        """Forget every token from ``position`` on; ValueError when it is negative or past the end."""
        with self._lock:
            handle = self._open()
            now = self._library.nimllm_position(handle)
            if not 0 <= position <= now:
                raise ValueError(f"cannot truncate to {position}: the engine holds {now} tokens")
            self._library.nimllm_truncate(handle, position)

    def fork(self, count: int, room: int) -> None:
        """Open ``count`` branches (at most 64) that continue the sequence side by side with up to ``room`` tokens each.

        They share what is cached of the sequence. extend, truncate and fork end branches that are open.
        """
        with self._lock:
            code = self._library.nimllm_fork(self._open(), count, room)
        if code == _CONTEXT_FULL:
            raise ValueError(f"the context of {self.context} is full")
        if code == _NO_MEMORY:
            raise MemoryError(f"not enough memory for {count} branches of {room} tokens")
        if code:
            raise ValueError(f"cannot open {count} branches of {room} tokens: 1 to 64, of at least one")

    def step(self, ids: Sequence[int] | np.ndarray, which: Sequence[int] | np.ndarray | None = None) -> Floats:
        """Append ids[i] to branch which[i] (default i), each branch at most once; logits [len(ids), vocab].

        ValueError for a branch that is not open, named twice, or full, and for ids outside the vocabulary.
        """
        wide = np.asarray(ids, dtype=np.int64)
        branch = np.arange(len(wide)) if which is None else np.asarray(which, dtype=np.int64)
        if wide.ndim != 1 or not wide.size or branch.shape != wide.shape:
            raise ValueError(f"ids and branches must be lists of one length, not of {wide.shape} and {branch.shape}")
        if wide.min() < 0 or wide.max() >= self.vocab_size:
            raise ValueError(f"an id is outside the vocabulary 0..{self.vocab_size - 1}")
        if branch.min() < 0 or branch.max() > 63:
            raise ValueError("a branch is not open")
        narrow, places = wide.astype(np.int32), branch.astype(np.int32)
        logits = np.empty((narrow.size, self.vocab_size), dtype=np.float32)
        with self._lock:
            code = self._library.nimllm_step(self._open(), narrow.ctypes.data, places.ctypes.data, narrow.size,
                                             logits.ctypes.data, None)
        if code == _CONTEXT_FULL:
            raise ValueError("a branch is full")
        if code == _BAD_ARGUMENT:
            raise ValueError("a branch is not open, or named twice")
        if code:
            raise RuntimeError(f"the engine failed with code {code}")
        return logits

    def adopt(self, branch: int) -> None:
        """This branch becomes the sequence, the others end; ValueError when it is not open."""
        with self._lock:
            code = self._library.nimllm_adopt(self._open(), branch)
        if code == _NO_MEMORY:
            raise MemoryError("not enough memory for the cache")
        if code:
            raise ValueError(f"branch {branch} is not open")

    def update(self, name: str, tensor: np.ndarray, indices: np.ndarray) -> None:
        """The weights of ``name`` at the flat ``indices`` become those of ``tensor``, and the cache is forgotten.

        tensor: the whole new tensor, which differs from the old one nowhere else. The engine's weights are then bit for
        bit those of an engine made from the new tensors; 110,000 entries of a model of 11M take a few milliseconds.
        ValueError for a tensor or an index that the model does not have.
        """
        data = np.ascontiguousarray(tensor, dtype=np.float32)
        places = np.ascontiguousarray(indices, dtype=np.int64)
        if data.ndim not in (1, 2) or places.ndim != 1:
            raise ValueError(f"tensor {name}: of shape {data.shape}, with indices of shape {places.shape}")
        message = ctypes.create_string_buffer(512)
        rows = data.shape[0] if data.ndim == 2 else 1
        with self._lock:
            code = self._library.nimllm_update(self._open(), name.encode(), data.ctypes.data, rows, data.shape[-1],
                                               places.ctypes.data, places.size, message, len(message))
        if code:
            raise ValueError(message.value.decode("utf-8", "replace"))

    def generate(self, max_tokens: int, sampling: Sampling | None = None, ids: Sequence[int] | np.ndarray = (),
                 stop_ids: Iterable[int] = (), banned: Iterable[int] = (), allowed_first: Iterable[int] = (),
                 limit: int = 0, lookup: int = 0, cancel: ctypes.c_int32 | None = None) -> Drawn:
        """Appends ``ids`` and draws up to ``max_tokens`` tokens, with no Python between them.

        ``banned`` and ids from ``limit`` on (0: none) never come; ``allowed_first``: the first one drawn is one of
        these. Ends after a stop id, at the context's end, or when another thread makes ``cancel`` nonzero. The last id
        drawn is not in the cache: the next call's ``ids`` begin with it. ``lookup``: how many tokens prompt lookup may
        draft at once, at most 64; greedy only, and it never changes the result (see ``drafted``, ``accepted``).
        Without ``ids`` it continues what the cache holds. ValueError: every token is banned, ids outside the
        vocabulary, ids past the context, nothing to continue. FloatingPointError: the logits are not finite.
        """
        request, arrays = self._request(max_tokens, sampling, ids, stop_ids, banned, allowed_first, limit, lookup,
                                        cancel)
        room, result = request.max_tokens, _Generated()
        drawn, logprobs = np.empty(room, np.int32), np.empty(room, np.float64)
        self._draw(request, lambda handle: self._library.nimllm_generate(
            handle, ctypes.byref(request), drawn.ctypes.data, logprobs.ctypes.data, ctypes.byref(result)))
        del arrays
        self.drafted += result.drafted
        self.accepted += result.accepted
        return Drawn(drawn[:result.count].tolist(), logprobs[:result.count].tolist(), _REASONS[result.reason])

    def generate_samples(self, count: int, max_tokens: int, sampling: Sampling | None = None,
                         ids: Sequence[int] | np.ndarray = (), stop_ids: Iterable[int] = (),
                         banned: Iterable[int] = (), allowed_first: Iterable[int] = (), limit: int = 0,
                         cancel: ctypes.c_int32 | None = None, logprobs: bool = True) -> list[Drawn]:
        """``count`` texts (1 to 64) that continue one sequence, drawn side by side: eight cost what two do in 8
        bits, and three in 4 (48M weights).

        Text i is bit for bit what :meth:`generate` draws with the seed ``sampling.seed + i`` (greedy: all are equal)
        and ends on its own. Each is in a branch of its own, and the sequence stays what it was with ``ids`` appended:
        ``adopt(i)``, then a call whose ``ids`` begin with the last id of text i, continues that text. No branch is open
        when ``cancel`` ended the reading of ``ids``, nor after an error. ``logprobs`` False: those are empty, which
        saves a pass over the logits. Arguments and errors otherwise as in :meth:`generate`; ValueError for another
        ``count``, MemoryError when the branches do not fit.
        """
        if not 1 <= count <= 64:
            raise ValueError(f"cannot draw {count} texts at once: 1 to 64")
        request, arrays = self._request(max_tokens, sampling, ids, stop_ids, banned, allowed_first, limit, 0, cancel)
        room, results = request.max_tokens, (_Generated * count)()
        drawn, likely = np.empty((count, room), np.int32), np.empty((count, room) if logprobs else 0, np.float64)
        self._draw(request, lambda handle: self._library.nimllm_generate_samples(
            handle, ctypes.byref(request), count, drawn.ctypes.data, likely.ctypes.data if logprobs else None, results))
        del arrays
        return [Drawn(drawn[i, :one.count].tolist(), likely[i, :one.count].tolist() if logprobs else [],
                      _REASONS[one.reason]) for i, one in enumerate(results)]

    def _request(self, max_tokens: int, sampling: Sampling | None, ids: Sequence[int] | np.ndarray,
                 stop_ids: Iterable[int], banned: Iterable[int], allowed_first: Iterable[int], limit: int, lookup: int,
                 cancel: ctypes.c_int32 | None) -> tuple[_Request, list[NDArray[np.int32]]]:
        """The C structure, and the arrays that it points into, which the caller keeps until after the call."""
        arrays = [_narrow(part, self.vocab_size) for part in (ids, stop_ids, banned, allowed_first)]
        narrow, stops, shut, first = arrays
        if max_tokens < 0 or not 0 <= lookup <= 64 or not 0 <= limit <= self.vocab_size:
            raise ValueError(f"max_tokens {max_tokens}, lookup {lookup}, limit {limit}: from 0 on, lookup to 64, limit "
                             f"to {self.vocab_size}")
        return _Request(choice_of(sampling or Sampling(), shut, first, limit), narrow.ctypes.data, narrow.size,
                        min(max_tokens, self.context + 1), stops.ctypes.data, stops.size, lookup,
                        None if cancel is None else ctypes.pointer(cancel)), arrays

    def _draw(self, request: _Request, call: Callable[[ctypes.c_void_p], int]) -> None:
        """Draws under the lock; the exception for the code that comes back."""
        with self._lock:
            handle = self._open()
            position = self._library.nimllm_position(handle)
            if not request.n_ids and not position and request.max_tokens:
                raise ValueError("there is nothing to continue: the cache is empty")
            code = call(handle)
        if code == _CONTEXT_FULL:
            raise ValueError(f"{request.n_ids} ids after position {position} do not fit the context of {self.context}")
        if code == _NO_TOKEN:
            raise ValueError("every token is banned")
        if code == _NOT_FINITE:
            raise FloatingPointError("the highest logit is not finite")
        if code == _NO_MEMORY:
            raise MemoryError("not enough memory for the texts")
        if code:
            raise RuntimeError(f"the engine failed with code {code}")

    def close(self) -> None:
        """Free the weights, the cache and the threads; harmless when repeated."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                self._library.nimllm_free(handle)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()
