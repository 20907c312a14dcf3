"""Packed weights kept between sessions, and weights changed in place: always the bits of a model packed anew."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nimllm.errors import NimError
from nimllm.kernels.engine import Engine, available
from nimllm.llm.checkpoint import expected_shapes, read_tensors, write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.packed import KEPT, PackedModel, packed_path

pytestmark = pytest.mark.skipif(available() is not None, reason="the C++ engine was not built")
CONFIG = ModelConfig(vocab_size=90, n_layers=2, d_model=64, n_heads=4, n_kv_heads=2, head_dim=16, d_ff=96, context=64)
IDS = [1, 5, 9, 2, 88, 41]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nimllm" / "packed"


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in expected_shapes(CONFIG).items()}


def write(path: Path, values: dict[str, np.ndarray], dtype: str = "fp32") -> Path:
    write_tensors(path, values, dtype)  # type: ignore[arg-type]
    return path


def fresh(path: Path, dtype: str) -> np.ndarray:
    with Engine(CONFIG.model_dump(), read_tensors(path), dtype) as engine:
        return engine.extend_all(IDS)


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "q8", "q4"])
def test_the_second_start_computes_on_the_kept_file(tmp_path: Path, cache: Path, dtype: str) -> None:
    base = write(tmp_path / "model.safetensors", tensors(), "fp16")
    for _ in range(2):
        model = PackedModel(CONFIG, base, dtype)
        assert np.array_equal(model.engine.extend_all(IDS), fresh(base, dtype))
        model.engine.close()
    assert [path.stat().st_mode & 0o077 for path in (cache, cache.parent)] == [0, 0]
    kept = packed_path(CONFIG, base, dtype)
    assert kept is not None and kept.parent == cache and len(list(cache.iterdir())) == 1
    # that it is read, and not only written: of the weights only the header, the size and the time are left
    state = base.stat()
    with open(base, "r+b") as file:
        header = 8 + int.from_bytes(file.read(8), "little")
        file.seek(header)
        file.write(bytes(state.st_size - header))
    os.utime(base, ns=(state.st_atime_ns, state.st_mtime_ns))
    with Engine(CONFIG.model_dump(), read_tensors(base), dtype) as engine:
        zeros = engine.extend_all(IDS)
    logits = PackedModel(CONFIG, base, dtype).engine.extend_all(IDS)
    assert not np.array_equal(logits, zeros)


def test_another_file_under_the_same_name_is_packed_anew(tmp_path: Path) -> None:
    base = write(tmp_path / "model.safetensors", tensors())
    PackedModel(CONFIG, base, "q8").engine.close()
    write(base, tensors(1))
    assert np.array_equal(PackedModel(CONFIG, base, "q8").engine.extend_all(IDS), fresh(base, "q8"))


def test_another_shape_for_the_same_weights_is_packed_anew(tmp_path: Path) -> None:
    """config.json edited: nothing about the weights file tells."""
    base = write(tmp_path / "model.safetensors", tensors())
    PackedModel(CONFIG, base, "q8").engine.close()
    other = CONFIG.model_copy(update={"rope_theta": 300.0})
    with Engine(other.model_dump(), read_tensors(base), "q8") as engine:
        want = engine.extend_all(IDS)
    assert np.array_equal(PackedModel(other, base, "q8").engine.extend_all(IDS), want)
    assert not np.array_equal(want, fresh(base, "q8"))


@pytest.mark.parametrize("kept", [False, True])
def test_a_session_that_starts_on_a_head_takes_the_next_one(tmp_path: Path, kept: bool) -> None:
    """The second head takes the first one's name; the engine must still know what it has."""
    head = write(tmp_path / "head.safetensors", tensors(1))
    if kept:
        PackedModel(CONFIG, head, "q8").engine.close()
    model = PackedModel(CONFIG, head, "q8")
    values = tensors(1)
    values["model.layers.0.mlp.up_proj.weight"][2, 3] += 1
    model.change(write(head, values))
    assert np.array_equal(model.engine.extend_all(IDS), fresh(head, "q8"))
    model.engine.close()


def test_a_damaged_or_foreign_kept_file_is_made_again(tmp_path: Path) -> None:
    base = write(tmp_path / "model.safetensors", tensors())
    PackedModel(CONFIG, base, "q8").engine.close()
    kept = packed_path(CONFIG, base, "q8")
    assert kept is not None
    whole = kept.read_bytes()
    for content in (whole[:100], b"GGUF" + whole, b""):
        kept.write_bytes(content)
        assert np.array_equal(PackedModel(CONFIG, base, "q8").engine.extend_all(IDS), fresh(base, "q8"))
        assert kept.read_bytes() == whole


def test_nothing_is_lost_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    base = write(tmp_path / "model.safetensors", tensors())
    assert np.array_equal(PackedModel(CONFIG, base, "q8").engine.extend_all(IDS), fresh(base, "q8"))


def test_kept_files_stay_below_their_share_of_the_disk(tmp_path: Path, cache: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimllm.llm.packed.KEPT_BYTES", 1)
    for i in range(3):
        PackedModel(CONFIG, write(tmp_path / f"{i}.safetensors", tensors(i)), "fp32").engine.close()
    assert [path.name for path in cache.iterdir()] == [packed_path(CONFIG, tmp_path / "2.safetensors", "fp32").name]  # type: ignore[union-attr]


def test_the_oldest_kept_files_go(tmp_path: Path, cache: Path) -> None:
    files = [write(tmp_path / f"{i}.safetensors", tensors(i)) for i in range(KEPT + 3)]
    for age, base in enumerate(files):
        PackedModel(CONFIG, base, "fp32").engine.close()
        kept = packed_path(CONFIG, base, "fp32")
        assert kept is not None
        os.utime(kept, (age + 1, age + 1))
    left = {path.name for path in cache.iterdir()}
    assert len(left) == KEPT and all(packed_path(CONFIG, base, "fp32").name in left for base in files[-KEPT:])  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "q8", "q4"])
def test_changed_weights_are_those_of_the_other_file(tmp_path: Path, dtype: str) -> None:
    """Base to head, head to the next head under the same name, and back."""
    base = write(tmp_path / "model.safetensors", tensors())
    head = tmp_path / "head.safetensors"
    model = PackedModel(CONFIG, base, dtype)
    random = np.random.default_rng(5)
    for _ in range(3):
        values = tensors()
        for tensor in values.values():
            flat = tensor.reshape(-1)
            flat[random.integers(0, flat.size, 3)] += 0.3
        write(head, values)
        model.change(head)
        assert np.array_equal(model.engine.extend_all(IDS), fresh(head, dtype))
    model.change(base)
    assert np.array_equal(model.engine.extend_all(IDS), fresh(base, dtype))
    model.engine.close()


def test_an_unusable_file_changes_nothing(tmp_path: Path) -> None:
    base = write(tmp_path / "model.safetensors", tensors())
    model = PackedModel(CONFIG, base, "q8")
    broken = tensors()
    broken["model.norm.weight"][3] = np.nan
    for path in (tmp_path / "missing.safetensors", write(tmp_path / "nan.safetensors", broken)):
        with pytest.raises(NimError):
            model.change(path)
    assert np.array_equal(model.engine.extend_all(IDS), fresh(base, "q8"))
    model.engine.close()
