"""The reference ops against other definitions of the same thing, and torch's fused ones against the reference."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nimllm.kernels import attention, fused, reference

EPS = {torch.float32: 2.0**-23, torch.bfloat16: 2.0**-8}


def close(got: Tensor, want: Tensor, dtype: torch.dtype, factor: float) -> None:
    """Within ``factor`` epsilons of the dtype, of the largest value."""
    error = (got.double() - want.double()).abs().max().item()
    limit = factor * EPS[dtype] * max(want.double().abs().max().item(), 1e-3)
    assert error <= limit, f"error {error:.3g}, limit {limit:.3g}"


def test_rms_norm_is_torchs() -> None:
    x, weight = torch.randn(3, 5, 37) * 10, torch.randn(37)
    close(reference.rms_norm(x, weight, 1e-5), F.rms_norm(x, (37,), weight, 1e-5), torch.float32, 8)


def test_rms_norm_of_bf16_rounds_once() -> None:
    x, weight = torch.randn(4, 33).bfloat16(), torch.randn(33)
    wide = reference.rms_norm(x.float(), weight, 1e-6)
    assert torch.equal(reference.rms_norm(x, weight, 1e-6), wide.bfloat16())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", EPS)
def test_layer_norms_agree(bias: bool, dtype: torch.dtype) -> None:
    x, weight = torch.randn(3, 5, 37).to(dtype), torch.randn(37)
    offset = torch.randn(37) if bias else None
    close(fused.layer_norm(x, weight, offset, 1e-5), reference.layer_norm(x, weight, offset, 1e-5), dtype, 4)


@pytest.mark.parametrize("shape", [(1, 3, 2, 8), (2, 5, 3, 6)])
def test_rope_is_a_rotation_of_complex_pairs(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    half = shape[-1] // 2
    positions = torch.arange(7, 7 + shape[1])
    pairs = torch.complex(x[..., :half].double(), x[..., half:].double())
    angle = positions[:, None].double() * 1e4 ** (-torch.arange(half).double() / half)
    turned = pairs * torch.polar(torch.ones_like(angle), angle)[None, :, None, :]
    close(reference.rope(x, positions, 1e4), torch.cat((turned.real, turned.imag), -1), torch.float32, 40)


def test_rope_takes_positions_of_each_row() -> None:
    x = torch.randn(2, 3, 1, 4)
    both = reference.rope(x, torch.tensor([[0, 1, 2], [5, 6, 7]]))
    assert torch.equal(both[1], reference.rope(x[1:], torch.tensor([5, 6, 7]))[0])


def test_attention_by_hand() -> None:
    """Two query heads on one key head, three queries on five keys: the last query sees all five."""
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 2, 3, 4), torch.randn(1, 1, 5, 4), torch.randn(1, 1, 5, 4)
    got = reference.attention(q, k, v, causal=True)
    for h in range(2):
        for t in range(3):
            seen = t + 3
            weight = torch.softmax((k[0, 0, :seen] @ q[0, h, t]) / math.sqrt(4), 0)
            close(got[0, h, t], weight @ v[0, 0, :seen], torch.float32, 16)


@pytest.mark.parametrize("implementation", [fused.attention, attention.attention])
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("b,h,g,t,s,d", [(2, 6, 2, 37, 37, 16), (1, 3, 1, 131, 131, 24), (2, 4, 4, 1, 9, 8),
                                         (1, 6, 2, 5, 12, 32), (1, 2, 2, 257, 257, 8)])
@pytest.mark.parametrize("causal", [True, False])
def test_attentions_agree(implementation, dtype, b, h, g, t, s, d, causal) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(t)
    mine = [torch.randn(shape).to(dtype).requires_grad_() for shape in ((b, h, t, d), (b, g, s, d), (b, g, s, d))]
    # the reference in fp32 on the same numbers: an implementation's error is then its own
    theirs = [x.detach().float().requires_grad_() for x in mine]
    got, want = implementation(*mine, causal), reference.attention(*theirs, causal)
    assert got.dtype == dtype and got.shape == (b, h, t, d)
    close(got, want, dtype, 16 if dtype == torch.float32 else 3)
    upstream = torch.randn_like(want)
    got.backward(upstream.to(dtype))
    want.backward(upstream.to(dtype).float())
    for one, other in zip(mine, theirs, strict=True):
        assert one.grad is not None and other.grad is not None
        close(one.grad, other.grad, dtype, 40 if dtype == torch.float32 else 4)


def test_activations() -> None:
    x = torch.linspace(-6, 6, 101)
    exact = torch.tensor([value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x.tolist()])
    close(reference.gelu(x), exact, torch.float32, 4)
    assert torch.equal(reference.relu2(torch.tensor([-2.0, 0.0, 3.0])), torch.tensor([0.0, 0.0, 9.0]))
    close(reference.swiglu(x, x + 1), x / (1 + torch.exp(-x)) * (x + 1), torch.float32, 4)
