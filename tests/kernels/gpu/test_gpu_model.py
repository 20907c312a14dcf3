"""The whole model on Triton's kernels against the reference: the layouts in which a model really calls them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from nimllm.kernels import ops
from nimllm.llm import model as gpt
from nimllm.llm.config import ModelConfig

SMALL: dict[str, Any] = {"vocab_size": 300, "context": 64, "n_layers": 2, "d_model": 64, "n_heads": 2, "n_kv_heads": 1,
                         "head_dim": 16, "d_ff": 96}
SHAPES: dict[str, dict[str, Any]] = {
    "qwen3": {},
    "llama, untied": {"qk_norm": False, "tied": False, "n_kv_heads": 2},
    "gpt2": {"pos": "learned", "norm": "layer", "ffn": "gelu", "qk_norm": False, "bias": True, "n_kv_heads": 2},
    "relu2": {"ffn": "relu2"},
}


@pytest.fixture(autouse=True)
def ops_as_they_were() -> Iterator[None]:
    yield
    gpt._CHOSEN.clear()  # chosen under this test's override
    for kind in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        gpt._choose(kind)


def outcome(config: ModelConfig, ids: Tensor, targets: Tensor, bf16: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradients of a model with the same weights every time."""
    model = gpt.GPT(config)
    model.reset(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():  # projections start at zero, which would hide what lies before them
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)), alpha=0.05)
    model.to(ids.device)
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=bf16):
        loss = model(ids, targets)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("bf16", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", ["qwen3", "gpt2", pytest.param("llama, untied", marks=pytest.mark.slow),
                                   pytest.param("relu2", marks=pytest.mark.slow)])
def test_loss_and_every_gradient(device: torch.device, monkeypatch: pytest.MonkeyPatch, shape: str, bf16: bool) -> None:
    config = ModelConfig(**{**SMALL, **SHAPES[shape]})
    generator = torch.Generator().manual_seed(2)
    ids, targets = torch.randint(300, (2, 2, 37), generator=generator).to(device)
    targets[:, ::5] = gpt.IGNORE
    monkeypatch.setenv(ops.VARIABLE, "reference")
    want, right = outcome(config, ids, targets, bf16=False)
    monkeypatch.setenv(ops.VARIABLE, "triton" if device.type == "cuda" else "triton-interpreter")
    got, gradients = outcome(config, ids, targets, bf16)
    chosen = {op: getattr(function, "__module__", "") for (op, kind), function in gpt._CHOSEN.items()
              if kind == device.type}
    for op in ("rms_norm", "add_rms_norm", "rope", "qk_norm_rope", "attention", "swiglu", "gelu", "relu2"):
        assert chosen[op].startswith("nimllm.kernels.gpu."), op
    epsilon = 2.0**-8 if bf16 else 2.0**-23
    assert abs(got - want) <= (4 if bf16 else 64) * epsilon * want
    assert gradients.keys() == right.keys()
    largest = max(gradient.norm() for gradient in right.values())
    for name, gradient in gradients.items():
        # through two layers: relative to the tensor's own norm, since single entries may differ by more. The gradient
        # of a bias of keys is 0 but for rounding: soft-max does not see it
        error = (gradient - right[name]).norm() / max(right[name].norm(), 0.05 * largest)
        assert error <= (12 if bf16 else 200) * epsilon, f"{name}: {error:.3g}"
