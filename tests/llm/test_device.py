"""The peak that utilisation is measured against: right, or none."""

from __future__ import annotations

import time

import pytest
import torch

from nimllm.kernels import limits
from nimllm.llm import device
from nimllm.llm.config import ModelConfig
from nimllm.llm.presets import preset


@pytest.mark.parametrize(
    "name, tera",
    [
        ("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H200", 989), ("NVIDIA H100 PCIe", 756), ("NVIDIA H100 NVL", 835),
        ("NVIDIA A100-SXM4-80GB", 312), ("NVIDIA A100 80GB PCIe", 312), ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA L4", 121), ("NVIDIA L40S", 362), ("AMD Instinct MI300X", 1307),
        # names that hold another's name are other machines
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None), ("NVIDIA GeForce RTX 4090 D", None), ("NVIDIA RTX A1000", None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None), ("Tesla T4", None), ("NVIDIA GeForce GTX 1080", None), ("", None),
    ],
)  # fmt: skip
def test_gpus_by_their_names(name: str, tera: float | None) -> None:
    assert device.sheet(name) == (None if tera is None else pytest.approx(tera * 1e12))


def test_operations_of_gpt2_are_the_published_ones() -> None:
    """GPT-2 124M at T 1024: 0.85 GFLOP a token by 6 N + 12 L d T (nanoGPT counts its norms and biases too: 0.86)."""
    gpt2 = ModelConfig(vocab_size=50257, n_layers=12, d_model=768, n_heads=12, n_kv_heads=12, head_dim=64, d_ff=3072,
                       context=1024, pos="learned", norm="layer", ffn="gelu", qk_norm=False, bias=True)
    assert device.operations(gpt2, 1024) == pytest.approx(0.86e9, rel=0.01)
    tiny = preset("tiny", 512)
    assert device.operations(tiny, 128) == 6 * (tiny.parameters() - 5 * 64 - 2 * 64) + 12 * 2 * 64 * 128


def test_a_cpu_cannot_be_faster_than_its_measured_peak() -> None:
    if reason := limits.available():
        pytest.skip(reason)
    a, threads = torch.randn(512, 512), torch.get_num_threads()
    best, highest = 0.0, 0.0
    for _ in range(10):  # in turns: on a busy machine each of the two is disturbed now and then
        torch.set_num_threads(threads)
        peak = device.peak(torch.device("cpu"), bf16=False)
        assert peak is not None
        highest = max(highest, peak)
        torch.set_num_threads(1)
        began = time.perf_counter()
        a @ a
        best = max(best, 2 * 512**3 / (time.perf_counter() - began))
    assert 1e9 < best < 1.3 * highest


def test_a_device_that_is_not_there_is_one_message() -> None:
    from nimllm.errors import NimError

    with pytest.raises(NimError, match="--device cpu"):
        device.pick_device("nonsense")
    if not torch.cuda.is_available():
        with pytest.raises(NimError, match="has no GPU"):
            device.pick_device("cuda", 3)
