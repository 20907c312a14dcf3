"""Checkpoints: exact, atomic, and clear about what is wrong with a file."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from nimllm.errors import NimError
from nimllm.llm import checkpoint
from nimllm.llm.checkpoint import check_tensors, expected_shapes, fingerprint, read_tensors, write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.presets import preset

VARIETIES = [{}, {"bias": True}, {"pos": "learned", "norm": "layer", "ffn": "gelu", "bias": True, "tied": False},
             {"ffn": "relu2", "norm": "layer", "qk_norm": False, "embed_norm": True},
             {"norm": "layer", "bias": True, "embed_norm": True, "tied": False}, {"qkv_bias": True, "qk_norm": False}]


def random_tensors(config: ModelConfig, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in expected_shapes(config).items()}


@pytest.mark.parametrize("variety", VARIETIES)
def test_expected_shapes_are_those_of_the_model(variety: dict) -> None:
    from nimllm.llm.model import GPT

    config = preset("tiny", 300, **variety)
    shapes = expected_shapes(config)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == config.parameters()
    assert {name: tuple(p.shape) for name, p in GPT(config).named_parameters()} == shapes


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_round_trip(tmp_path: Path, dtype: str) -> None:
    tensors = random_tensors(preset("tiny", 300))
    path = tmp_path / "model.safetensors"
    write_tensors(path, tensors, dtype, {"note": "x"})  # type: ignore[arg-type]
    back = read_tensors(path)
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        expected = tensor if dtype == "fp32" else tensor.astype(np.float16).astype(np.float32)
        assert back[name].dtype == np.float32
        np.testing.assert_array_equal(back[name], expected)
    assert os.listdir(tmp_path) == ["model.safetensors"], "no temporary file stays"
    assert safetensors.numpy.load_file(path).keys() == tensors.keys(), "other programs can read it"


def test_bf16_is_widened_exactly(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    tensor = torch.randn(7, 5).bfloat16()
    save_file({"a": tensor, "b": torch.ones(3)}, tmp_path / "x.safetensors")
    back = read_tensors(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(back["a"], tensor.float().numpy())
    np.testing.assert_array_equal(back["b"], np.ones(3, np.float32))


def test_the_fingerprint_names_content_and_not_storage(tmp_path: Path) -> None:
    tensors = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(4, np.float32)}
    name = fingerprint(tensors)
    write_tensors(tmp_path / "x.safetensors", tensors, "fp16")
    assert fingerprint(read_tensors(tmp_path / "x.safetensors")) == name  # these values are exact in fp16
    assert fingerprint({"a": tensors["a"], "b": tensors["b"].reshape(3, 2)}) != name
    assert fingerprint({"a": tensors["a"], "c": tensors["b"]}) != name
    changed = tensors["b"].copy()
    changed[1, 2] = np.nextafter(changed[1, 2], np.float32(9))
    assert fingerprint({"a": tensors["a"], "b": changed}) != name
    assert fingerprint({"a": tensors["a"], "b": np.asfortranarray(tensors["b"])}) == name


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"a": np.ones((3, 4), np.float32)})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(NimError) as caught:
            read_tensors(path)
        assert str(path) in caught.value.what and "truncated" in caught.value.what and caught.value.mend


def test_strangers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"

    class Bomb:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "exploded"),)

    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(NimError, match="pickle"):
        read_tensors(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    with pytest.raises(NimError, match="pickle"):
        read_tensors(path)
    assert not (tmp_path / "exploded").exists()
    for content, word in ((b"GGUF" + bytes(60), "GGUF"), (b"hello world, this is text", "not a safetensors"),
                          (struct.pack("<Q", 4) + b"[{}]", "not a safetensors"),
                          (struct.pack("<Q", 9) + b'{"a": 12}', "not a safetensors")):
        path.write_bytes(content)
        with pytest.raises(NimError, match=word):
            read_tensors(path)
    with pytest.raises(NimError, match="does not exist"):
        read_tensors(tmp_path / "nowhere.safetensors")
    with pytest.raises(NimError, match="cannot read"):
        read_tensors(tmp_path)


def test_a_layout_that_lies_is_corrupt(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(NimError, match="corrupt"):
        read_tensors(tmp_path / "x")


def test_integers_are_no_weights(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"a": np.ones(3, np.int32)}, tmp_path / "x")
    with pytest.raises(NimError, match="a as I32"):
        read_tensors(tmp_path / "x")


def test_check_tensors_names_the_first_that_is_wrong() -> None:
    config = preset("tiny", 300)
    good = random_tensors(config)
    path = Path("m.safetensors")
    check_tensors(config, good, path)
    name = "model.layers.1.self_attn.k_norm.weight"
    with pytest.raises(NimError, match=rf"{name} is missing"):
        check_tensors(config, {key: value for key, value in good.items() if key != name}, path)
    with pytest.raises(NimError, match=r"k_norm.weight is \[31\], config.json needs \[32\]"):
        check_tensors(config, good | {name: good[name][:-1]}, path)
    with pytest.raises(NimError, match="extra has no place"):
        check_tensors(config, good | {"extra": good[name]}, path)
    for value in (np.nan, np.inf):
        with pytest.raises(NimError, match="not finite"):
            check_tensors(config, good | {name: np.full(32, value, np.float32)}, path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"a": np.ones(3, np.float32)})
    before = path.read_bytes()
    with pytest.raises(NimError, match="65504"):
        write_tensors(path, {"a": np.full(3, 1e6, np.float32)}, "fp16")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(NimError, match="No space left"):
        write_tensors(path, {"a": np.zeros(3, np.float32)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_no_space_for_real(tmp_path: Path) -> None:
    """/dev/full refuses every byte; the write must end in our error, not in a half file."""
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    target = tmp_path / f".m.safetensors.{os.getpid()}.tmp"
    target.symlink_to("/dev/full")
    with pytest.raises(NimError, match="No space left"):
        write_tensors(tmp_path / "m.safetensors", {"a": np.ones(100_000, np.float32)})
    assert os.listdir(tmp_path) == []
