"""Peers get the same weights: what is written for them is read back, and where their programs are, they run."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from nimllm.errors import UsageError
from nimllm.llm.bench import llama2c, llamacpp, peers
from nimllm.llm.bench.shapes import shape

LLAMA_BENCH = os.environ.get("NIMLLM_LLAMA_BENCH", "")  # llama-bench of an installation
LLAMA2C = os.environ.get("NIMLLM_LLAMA2C", "")  # folder with run and runq
NANOGPT = os.environ.get("NIMLLM_NANOGPT", "")  # a checkout


@pytest.mark.parametrize("dtype, bits, tolerance", [("fp32", 32, 0.0), ("bf16", 16, 2**-8), ("q8", 8.5, 2**-6),
                                                    ("q4", 4.5, 0.2)])
def test_gguf_holds_the_weights_in_equal_bits(dtype: str, bits: float, tolerance: float, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    subject, path = shape("tiny"), tmp_path / "tiny.gguf"
    llamacpp.write_gguf(subject, dtype, path)
    reader = gguf.GGUFReader(path)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert len(tensors) == len(subject.tensors)
    for ours, theirs in (("model.embed_tokens.weight", "token_embd.weight"),
                         ("model.layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight"),
                         ("model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight")):  # fmt: skip
        tensor, expected = tensors[theirs], subject.tensors[ours]
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(expected.shape)
        assert np.abs(values - expected).max() <= tolerance * np.abs(expected).max() + 1e-12
        assert tensor.n_bytes * 8 == bits * expected.size  # the head too: it is the embedding


def test_gguf_without_its_package_says_what_to_install(tmp_path: Path) -> None:
    try:
        import gguf  # noqa: F401
    except ImportError:
        with pytest.raises(llamacpp.NimError, match="pip install gguf"):
            llamacpp.write_gguf(shape("tiny"), "bf16", tmp_path / "x.gguf")
    else:
        pytest.skip("gguf is installed")


def test_llama2c_file_has_the_layout_it_maps(tmp_path: Path) -> None:
    subject, path = shape("10m"), tmp_path / "model.bin"
    llama2c.write_fp32(subject, path)
    data, config = path.read_bytes(), subject.config
    assert struct.unpack("<7i", data[:28]) == (256, 256, 6, 8, 2, 32000, 512)
    floats = np.frombuffer(data, "<f4", offset=28)
    tables = config.context * config.head_dim
    assert floats.size == config.parameters() + tables
    at = 32000 * 256 + 6 * 256  # after the embedding and the first norms: wq of every layer
    assert (floats[at:at + 256 * 256].reshape(256, 256) == subject.tensors["model.layers.0.self_attn.q_proj.weight"]
            ).all()
    assert (floats[-tables - 256:-tables] == 1).all()  # the last norm


def test_llama2c_int8_is_within_half_a_step(tmp_path: Path) -> None:
    subject, path = shape("10m"), tmp_path / "model.bin"
    llama2c.write_int8(subject, path)
    data = path.read_bytes()
    assert struct.unpack("<Ii", data[:8]) == (0x616B3432, 2) and data[36] == 1
    embedding = subject.tensors["model.embed_tokens.weight"]
    at = 256 + 4 * (13 * 256)
    values = np.frombuffer(data, np.int8, embedding.size, at).reshape(-1, 64)
    scales = np.frombuffer(data, "<f4", embedding.size // 64, at + embedding.size)[:, None]
    assert np.abs(values * scales - embedding.reshape(-1, 64)).max() <= 0.501 * scales.max()


def test_shapes_that_a_peer_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Llama"):
        llamacpp.check(shape("char-10m"))
    with pytest.raises(UsageError, match="GPT-2"):
        peers.check_torch_peer("nanogpt", shape("10m"))
    with pytest.raises(UsageError, match="Compile it there"):
        llama2c.Llama2c(str(tmp_path), shape("10m"), "fp32", 1, 8, tmp_path)
    with pytest.raises(UsageError, match="no bf16"):
        llama2c.Llama2c(str(tmp_path), shape("10m"), "bf16", 1, 8, tmp_path)
    with pytest.raises(UsageError, match="no llama-bench"):
        llamacpp.program(str(tmp_path), "llama-bench")


@pytest.mark.skipif(not LLAMA_BENCH, reason="NIMLLM_LLAMA_BENCH names no program")
@pytest.mark.parametrize("task", ["decode", "prefill"])
def test_llama_bench_measures_our_weights(task: str, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    who = llamacpp.LlamaBench(LLAMA_BENCH, shape("tiny"), "q8", 1, 16, 8 if task == "decode" else 0, tmp_path)
    assert who.measure()[task] > 1


@pytest.mark.skipif(not LLAMA2C, reason="NIMLLM_LLAMA2C names no folder")
@pytest.mark.parametrize("dtype", ["fp32", "q8"])
def test_llama2c_measures_our_weights(dtype: str, tmp_path: Path) -> None:
    assert llama2c.Llama2c(LLAMA2C, shape("10m"), dtype, 1, 20, tmp_path).measure()["decode"] > 1


@pytest.mark.skipif(not NANOGPT, reason="NIMLLM_NANOGPT names no checkout")
@pytest.mark.parametrize("task", ["train", "decode", "prefill"])
def test_nanogpt_runs_in_its_folder(task: str, tmp_path: Path) -> None:
    spec = {"task": task, "dtype": "fp32", "device": "cpu", "threads": 1, "seed": 1, "rows": 1, "steps": 1,
            "compile": False, "optimizer": "adamw", "prompt": 4, "tokens": 4}
    who = peers.ChildContestant("nanogpt", "nanogpt", NANOGPT, shape("7m"), spec)
    try:
        assert who.measure()[task] > 0
    finally:
        who.close()
