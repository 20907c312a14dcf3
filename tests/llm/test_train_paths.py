"""The kernels that a CPU trains with, against the plain torch path: the same loss, step after step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nimllm.kernels import native, ops
from nimllm.llm.config import ModelConfig
from nimllm.llm.settings import TrainSettings
from nimllm.llm.shards import ShardWriter
from nimllm.llm.tokenizer import train_char
from nimllm.llm.train import Trainer

SHAPES = {
    "gpt2": dict(
        n_heads=4, n_kv_heads=4, head_dim=24, pos="learned", norm="layer", bias=True, ffn="gelu", qk_norm=False
    ),
    "llama": dict(n_heads=4, n_kv_heads=2, head_dim=32, qk_norm=False),
    "qwen3": dict(n_heads=4, n_kv_heads=2, head_dim=32, tied=False),
}


def trace(
    folder: Path, kernels: str, shape: str, dtype: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> np.ndarray:
    """The losses of a run over numpy's own sources, every run over the same rows from the same weights."""
    monkeypatch.setenv(ops.VARIABLE, kernels)
    text = "".join(path.read_text("utf-8") for path in sorted(Path(np.__file__).parent.glob("*.py")))[:400_000]
    tokenizer = train_char([text])
    folder.mkdir()
    for name in ("train", "val"):
        with ShardWriter(folder / name, tokenizer.vocab_size) as writer:
            writer.append(tokenizer.encode(text))
    config = ModelConfig(vocab_size=tokenizer.vocab_size, n_layers=2, d_model=96, d_ff=256, context=64, **SHAPES[shape])
    settings = TrainSettings(steps=steps, batch_rows=8, lr=2e-3, warmup=20, dtype=dtype, device="cpu", threads=1)
    trainer = Trainer(config, settings, folder, tokenizer, folder / "train", folder / "val", 1.0)
    return np.array([trainer.train_step()[0] for _ in range(steps)])


def smooth(losses: np.ndarray) -> np.ndarray:
    return np.convolve(losses, np.ones(20) / 20, "valid")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_300_steps_lose_what_the_reference_loses(
    shape: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := native.available():
        pytest.skip(reason)
    mine = trace(tmp_path / "mine", "", shape, dtype, 300, monkeypatch)
    plain = trace(tmp_path / "plain", "reference", shape, dtype, 300, monkeypatch)
    assert plain[-20:].mean() < 0.6 * plain[0], "the reference itself does not learn"
    assert abs(mine[0] - plain[0]) < (1e-5 if dtype == "fp32" else 2e-3) * plain[0]
    # roundings in another order, and Adam's signs of tiny gradients, take two runs apart by a few thousandths
    apart = np.abs(smooth(mine) - smooth(plain)) / smooth(plain)
    assert apart.max() < 0.02 and abs(mine[-50:].mean() - plain[-50:].mean()) < 0.01 * plain[-50:].mean(), apart.max()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_steps_agree_to_rounding(shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := native.available():
        pytest.skip(reason)
    mine = trace(tmp_path / "mine", "", shape, "fp32", 6, monkeypatch)
    plain = trace(tmp_path / "plain", "reference", shape, "fp32", 6, monkeypatch)
    np.testing.assert_allclose(mine, plain, rtol=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_step_twice_is_the_same_to_the_bit(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an exact resume rests on."""
    if reason := native.available():
        pytest.skip(reason)
    from nimllm.llm.model import GPT

    monkeypatch.setenv(ops.VARIABLE, "")
    torch.manual_seed(0)
    model = GPT(ModelConfig(vocab_size=99, n_layers=2, d_model=96, d_ff=256, context=64, **SHAPES[shape]))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    ids = torch.randint(99, (4, 65))
    results = []
    for _ in range(2):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(ids[:, :-1], ids[:, 1:])
        loss.backward()
        results.append([loss.detach(), *(parameter.grad.clone() for parameter in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
