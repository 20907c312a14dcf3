"""Models packed to a file and opened from it: the same bits, also on other instruction sets, and refusals."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine import CONFIGS, config, need, some_ids, weights

from nimllm.kernels.engine import DTYPES, Engine


def header(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON header of a safetensors file, and its data."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def rewrite(path: Path, entries: dict[str, Any], data: bytes) -> None:
    text = json.dumps(entries).encode()
    text += b" " * (-(8 + len(text)) % 64)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_saved_model_opens_with_the_same_bits(name: str, dtype: str, tmp_path: Path) -> None:
    c = config(name)
    ids = some_ids(c, 100)
    with Engine(c, weights(c), dtype) as packed:
        packed.save(tmp_path / "model.safetensors")
        want = packed.extend_all(ids)
    for copy in (False, True):
        with Engine.open(tmp_path / "model.safetensors", 2, copy=copy) as opened:
            assert (opened.dtype, opened.vocab_size, opened.context) == (dtype, c["vocab_size"], c["context"])
            assert np.array_equal(opened.extend_all(ids), want)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_file_serves_every_instruction_set(dtype: str, tmp_path: Path) -> None:
    c = config()
    tensors, ids = weights(c), some_ids(c, 40)
    need("avx2")
    with Engine(c, tensors, dtype, isa="avx2") as packed:
        packed.save(tmp_path / "model.safetensors")
    for isa in ("portable", "avx2", "avx512"):
        need(isa)
        with Engine(c, tensors, dtype, isa=isa) as own, \
                Engine.open(tmp_path / "model.safetensors", isa=isa) as opened:  # fmt: skip
            assert opened.isa == own.isa and np.array_equal(opened.extend_all(ids), own.extend_all(ids))


@pytest.mark.parametrize("copy", [False, True])
def test_a_live_update_leaves_the_file_alone(copy: bool, tmp_path: Path) -> None:
    c = config()
    tensors, ids = weights(c), some_ids(c, 20)
    path = tmp_path / "model.safetensors"
    with Engine(c, tensors, "q8") as packed:
        packed.save(path)
    before = path.read_bytes()
    new = tensors["model.layers.1.mlp.down_proj.weight"].copy()
    new[3, :5] += 1
    with Engine.open(path, copy=copy) as engine:
        old = engine.extend_all(ids)
        engine.update("model.layers.1.mlp.down_proj.weight", new, np.arange(3 * new.shape[1], 3 * new.shape[1] + 5))
        assert not np.array_equal(engine.extend_all(ids), old)
    assert path.read_bytes() == before


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    c = config()
    with Engine(c, weights(c)) as engine, pytest.raises(OSError, match="missing"):
        engine.save(tmp_path / "missing" / "model.safetensors")
    assert not list(tmp_path.iterdir())


def changed_shape(entries: dict[str, Any], field: str, value: Any) -> None:
    shape = json.loads(entries["__metadata__"]["config"])
    shape[field] = value
    entries["__metadata__"]["config"] = json.dumps(shape)


HOSTILE = {
    "a huge context": lambda e: changed_shape(e, "context", 1 << 24),
    "a zero size": lambda e: changed_shape(e, "d_model", 0),
    "a negative size": lambda e: changed_shape(e, "n_layers", -1),
    "more layers than blocks": lambda e: changed_shape(e, "n_layers", 3),
    "a wider model than its blocks": lambda e: changed_shape(e, "d_model", 160),
    "a vocabulary beyond the block": lambda e: changed_shape(e, "vocab_size", 321),
    "heads that do not divide": lambda e: changed_shape(e, "n_kv_heads", 4),
    "an odd head with rotation": lambda e: changed_shape(e, "head_dim", 31),
    "an epsilon of zero": lambda e: changed_shape(e, "norm_eps", 0),
    "a size as text": lambda e: changed_shape(e, "d_ff", "200"),
    "another layout": lambda e: e["__metadata__"].update(layout="panels-16"),
    "an unknown dtype": lambda e: e["__metadata__"].update(dtype="q2"),
    "another dtype than its blocks": lambda e: e["__metadata__"].update(dtype="bf16"),
    "a missing block": lambda e: e.update({"lost": e.pop("layers.1.up")}),
    "a block of another kind": lambda e: e["layers.0.up"].update(dtype="I8"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_models_are_refused(what: str, tmp_path: Path) -> None:
    c, path = config(), tmp_path / "model.safetensors"
    with Engine(c, weights(c), "q8") as engine:
        engine.save(path)
    entries, data = header(path)
    HOSTILE[what](entries)
    rewrite(path, entries, data)
    with pytest.raises(ValueError):
        Engine.open(path)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_damaged_file_reaches_a_kernel(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any byte of the header changed, or the file cut: refused, or a model that computes (a name within the metadata
    may change without harm)."""
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    c = config("smallest", d_model=20, vocab_size=30)
    if not path.exists():
        with Engine(c, weights(c), "q4", 1) as engine:
            engine.save(path)
    whole = path.read_bytes()
    end = 8 + struct.unpack("<Q", whole[:8])[0]
    broken = bytearray(whole)
    if data.draw(st.booleans()):
        for _ in range(data.draw(st.integers(1, 3))):
            broken[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    else:
        del broken[data.draw(st.integers(0, len(whole) - 1)) :]
    target = path.with_name("broken.safetensors")
    target.write_bytes(broken)
    try:
        engine = Engine.open(target, 1)
    except (ValueError, MemoryError):
        return
    with engine:
        assert engine.extend([0]).shape == (engine.vocab_size,)


def test_strangers_are_refused(tmp_path: Path) -> None:
    for name, content in {"pickle": b"\x80\x04\x95" + bytes(100), "gguf": b"GGUF" + bytes(100), "empty": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError):
            Engine.open(tmp_path / name)
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ValueError):
            Engine.open(path)
