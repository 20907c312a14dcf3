"""Tensors on disk: safetensors in, fp32 numpy out; every write replaces its file atomically.

numpy only, so that ``--chat`` and ``--agent`` read weights without torch. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nimllm.errors import NimError
from nimllm.llm.config import ModelConfig

_HEADER_LIMIT = 100_000_000  # bytes; safetensors' own limit for its JSON header
_READABLE: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
_RESTORE = "copy the file again from where it came, or train again"


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of ``path`` when the block ends well, and leaves no trace when it does not.

    The bytes go to a temporary file in the same folder, fsync, rename, fsync of the folder: after a power cut the name
    holds either all of the old file or all of the new one. NimError when the folder cannot be written or is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise NimError(f"cannot write {path}", error.strerror or str(error),
                       "free some space or choose a folder you can write") from None
    finally:
        with suppress(OSError):  # the folder above it may be none
            temporary.unlink(missing_ok=True)  # gone already after a rename


def sync_folder(folder: Path) -> None:
    """fsync of a folder, so that the renames in it survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_stranger(path: Path, start: bytes) -> None:
    """NimError for the formats people mistake for ours."""
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"):
        raise NimError(f"{path} is a pickle (a PyTorch .pt or .bin file)", "unpickling runs code that is in the file",
                       "convert it to safetensors with the program that made it")
    if start[:4] == b"GGUF":
        raise NimError(f"{path} is a GGUF file", "only safetensors can be loaded", "give the run folder it came from")


def read_header(path: Path) -> tuple[dict[str, dict], int]:
    """The entries of a safetensors header and the offset of the first tensor's bytes; NimError when there is none."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(8)
            _refuse_stranger(path, start)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if length > _HEADER_LIMIT:
                raise NimError(f"{path} is not a safetensors file", "it does not begin with a header", _RESTORE)
            if size < 8 or 8 + length > size:
                raise NimError(f"{path} is truncated", f"it ends after {size} bytes, inside its header", _RESTORE)
            raw = file.read(length)
    except FileNotFoundError:
        raise NimError(f"{path} does not exist", "", "give a run folder made by --train, or one of its files") from None
    except OSError as error:
        raise NimError(f"cannot read {path}", error.strerror or str(error), _RESTORE) from None
    try:
        entries = json.loads(raw)
        entries.pop("__metadata__", None)
        ends = [int(entry["data_offsets"][1]) for entry in entries.values()]
    except (ValueError, AttributeError, KeyError, TypeError, IndexError):
        raise NimError(f"{path} is not a safetensors file", "its header is not what safetensors writes", _RESTORE
                       ) from None
    needed = 8 + length + max(ends, default=0)
    if needed > size:
        raise NimError(f"{path} is truncated", f"its header promises {needed} bytes and it holds {size}", _RESTORE)
    return entries, 8 + length


def is_fp32(path: Path) -> bool:
    """Whether every tensor of the file is fp32, so that it can be mapped; NimError when it is no safetensors file."""
    return all(entry.get("dtype") == "F32" for entry in read_header(Path(path))[0].values())


def read_tensors(path: Path, mapped: bool = False) -> dict[str, np.ndarray]:
    """Every tensor of a safetensors file as fp32 (fp16 and bf16 are widened exactly).

    mapped: fp32 tensors are read-only views of the file as it is now, also when another file takes its name later.
    NimError: missing, truncated, a pickle, not safetensors, or tensors that are not floating point weights.
    """
    path = Path(path)
    entries, offset = read_header(path)
    tensors: dict[str, np.ndarray] = {}
    try:
        with safe_open(path, framework="np"), open(path, "rb") as file:  # the library checks the layout
            for name, entry in entries.items():
                if entry["dtype"] not in _READABLE:
                    raise NimError(f"{path} holds {name} as {entry['dtype']}", "weights are F32, F16 or BF16",
                                   "convert it with the program that made it")
                dtype = _READABLE[entry["dtype"]]
                begin, end = entry["data_offsets"]
                if mapped and entry["dtype"] == "F32" and end > begin and (offset + begin) % 4 == 0:
                    tensors[name] = np.memmap(file, dtype, "r", offset + begin, tuple(entry["shape"]))
                    continue
                file.seek(offset + begin)
                values = np.fromfile(file, dtype=dtype, count=(end - begin) // dtype.itemsize)
                if entry["dtype"] == "BF16":  # the upper half of an fp32; numpy has no such type
                    values = (values.astype("<u4") << 16).view("<f4")
                tensors[name] = values.astype(np.float32, copy=False).reshape(entry["shape"])
    except SafetensorError as error:
        raise NimError(f"{path} is corrupt", str(error), _RESTORE) from None
    except OSError as error:
        raise NimError(f"cannot read {path}", error.strerror or str(error), _RESTORE) from None
    return tensors


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray], dtype: Literal["fp32", "fp16"] = "fp32",
                  metadata: Mapping[str, str] | None = None) -> None:
    """Writes floating point tensors as one safetensors file, atomically (see :func:`replacing`).

    NimError: a value is too large for fp16, or the folder cannot be written.
    """
    target = np.float32 if dtype == "fp32" else np.float16
    ready: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        with np.errstate(over="ignore"):
            ready[name] = np.ascontiguousarray(tensor, dtype=target)
        if dtype == "fp16" and np.isinf(ready[name]).any():
            raise NimError(f"cannot write {path} as fp16", f"{name} holds values beyond 65504", "write fp32 instead")
    with replacing(Path(path)) as file:
        file.write(save(ready, metadata=dict(metadata or {})))


def fingerprint(tensors: Mapping[str, np.ndarray]) -> str:
    """sha256 hex over the sorted names, their shapes and their fp32 little-endian bytes: the name of a base."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name], dtype="<f4")
        digest.update(f"{name}\0{','.join(map(str, tensor.shape))}\0".encode())
        digest.update(tensor.data)
    return digest.hexdigest()


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight a model of this configuration has; linear weights are [out, in]."""
    d, head = config.d_model, config.head_dim
    q, kv = config.n_heads * head, config.n_kv_heads * head
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, d)}

    def norm(name: str) -> None:
        shapes[f"{name}.weight"] = (d,)
        if config.norm == "layer" and config.bias:
            shapes[f"{name}.bias"] = (d,)

    def linear(name: str, out: int, into: int, bias: bool = config.bias) -> None:
        shapes[f"{name}.weight"] = (out, into)
        if bias:
            shapes[f"{name}.bias"] = (out,)

    if config.pos == "learned":
        shapes["model.embed_positions.weight"] = (config.context, d)
    if config.embed_norm:
        norm("model.embed_norm")
    for index in range(config.n_layers):
        layer = f"model.layers.{index}"
        norm(f"{layer}.input_layernorm")
        for name, out in (("q", q), ("k", kv), ("v", kv)):
            linear(f"{layer}.self_attn.{name}_proj", out, d, config.bias or config.qkv_bias)
        linear(f"{layer}.self_attn.o_proj", d, q)
        if config.qk_norm:
            shapes[f"{layer}.self_attn.q_norm.weight"] = (head,)
            shapes[f"{layer}.self_attn.k_norm.weight"] = (head,)
        norm(f"{layer}.post_attention_layernorm")
        if config.ffn == "swiglu":
            linear(f"{layer}.mlp.gate_proj", config.d_ff, d)
        linear(f"{layer}.mlp.up_proj", config.d_ff, d)
        linear(f"{layer}.mlp.down_proj", d, config.d_ff)
    norm("model.norm")
    if not config.tied:
        shapes["lm_head.weight"] = (config.vocab_size, d)
    return shapes


def check_tensors(config: ModelConfig, tensors: Mapping[str, np.ndarray], path: Path) -> None:
    """NimError naming the first tensor that is missing, unknown, of another shape or not finite."""
    shapes = expected_shapes(config)
    mend = "use the weights and the config.json of the same run"
    for name, shape in shapes.items():
        if name not in tensors:
            raise NimError(f"{path} is of another architecture", f"{name} is missing", mend)
        if tuple(tensors[name].shape) != shape:
            raise NimError(f"{path} is of another architecture",
                           f"{name} is {list(tensors[name].shape)}, config.json needs {list(shape)}", mend)
        if not np.isfinite(tensors[name].sum(dtype=np.float64)):  # one pass, no mask in memory
            raise NimError(f"{path} is damaged", f"{name} holds values that are not finite", _RESTORE)
    for name in tensors:
        if name not in shapes:
            raise NimError(f"{path} is of another architecture", f"{name} has no place in config.json", mend)
