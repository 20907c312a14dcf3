"""The fused norm and rotation of queries and keys in Triton against the reference in fp32: results and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nimllm.kernels import reference
from nimllm.kernels.gpu.rotary import qk_norm_rope, rope

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
# b, t, h, g, d; tiles are 4 tokens in the interpreter
SHAPES = [(1, 1, 1, 1, 2), (2, 7, 2, 1, 32), (2, 2, 3, 3, 48), (1, 17, 3, 1, 64), (1, 5, 4, 2, 128), (1, 9, 2, 2, 6)]
CASES = [*((shape, torch.float32) for shape in SHAPES),
         *((shape, dtype) for shape in SHAPES[1::2] for dtype in (torch.float16, torch.bfloat16))]


def limit(dtype: torch.dtype) -> float:
    return (16 if dtype == torch.float32 else 2) * torch.finfo(dtype).eps


def off(got: Tensor | None, want: Tensor) -> float:
    assert got is not None and got.shape == want.shape and got.isfinite().all()
    return ((got.double() - want.double()).abs().max() / want.double().abs().max().clamp(min=1.0)).item()


def case(b: int, t: int, h: int, g: int, d: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """q, k, gains of q and k, positions, and the gradients of both results."""
    torch.manual_seed(0)
    q, dq = torch.randn(2, b, t, h, d).to(device, dtype)
    k, dk = torch.randn(2, b, t, g, d).to(device, dtype)
    gains = [torch.randn(d, device=device).requires_grad_() for _ in range(2)]
    positions = (torch.arange(t) + 1000).to(device)
    return [q.requires_grad_(), k.requires_grad_(), *gains, positions, dq, dk]


def compare(q: Tensor, k: Tensor, q_gain: Tensor | None, k_gain: Tensor | None, positions: Tensor | None, dq: Tensor,
            dk: Tensor, theta: float | None = 10000.0) -> None:
    inputs = [x for x in (q, k, q_gain, k_gain) if x is not None]
    outs = qk_norm_rope(q, k, q_gain, k_gain, 1e-6, positions, theta)
    assert outs[0].dtype == q.dtype and outs[1].dtype == k.dtype
    got = [*outs, *torch.autograd.grad(outs, inputs, (dq, dk))]
    wide = [None if x is None else x.detach().float().requires_grad_() for x in (q, k, q_gain, k_gain)]
    outs = reference.qk_norm_rope(*wide, 1e-6, positions, theta)  # type: ignore[arg-type]
    want = [*outs, *torch.autograd.grad(outs, [x for x in wide if x is not None], (dq.float(), dk.float()))]
    for x, y in zip(got, want, strict=True):
        assert off(x, y) <= limit(q.dtype)


@pytest.mark.parametrize("shape,dtype", CASES, ids=str)
def test_norm_and_rotation(shape, dtype, device) -> None:  # type: ignore[no-untyped-def]
    compare(*case(*shape, dtype, device))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("q_norm,k_norm,theta", [(False, False, 1e4), (True, True, None), (True, False, 5e5),
                                                 (False, True, None)])
def test_parts_that_are_left_out(q_norm, k_norm, theta, dtype, device) -> None:  # type: ignore[no-untyped-def]
    q, k, q_gain, k_gain, positions, dq, dk = case(2, 6, 3, 1, 16, dtype, device)
    compare(q, k, q_gain if q_norm else None, k_gain if k_norm else None, None if theta is None else positions, dq, dk,
            theta)


def test_neither_norm_nor_rotation_is_the_identity(device: torch.device) -> None:
    q, k, _, _, _, dq, dk = case(2, 3, 2, 1, 16, torch.bfloat16, device)
    outs = qk_norm_rope(q, k, None, None, 1e-6, None, None)
    grads = torch.autograd.grad(outs, (q, k), (dq, dk))
    assert all(torch.equal(x, y) for x, y in zip((*outs, *grads), (q, k, dq, dk), strict=True))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(b=st.integers(1, 2), t=st.integers(1, 10), g=st.integers(1, 2), group=st.sampled_from([1, 3, 4]),
       half=st.integers(1, 40), dtype=st.sampled_from(DTYPES))
def test_any_shape(b, t, g, group, half, dtype, device) -> None:  # type: ignore[no-untyped-def]
    compare(*case(b, t, g * group, g, 2 * half, dtype, device))


def test_positions_for_each_sequence(device: torch.device) -> None:
    q, k, q_gain, k_gain, _, dq, dk = case(2, 5, 2, 1, 32, torch.float32, device)
    positions = torch.randint(0, 30000, (2, 5)).to(device)
    compare(q, k, q_gain, k_gain, positions, dq, dk)
    compare(q, k, q_gain, k_gain, positions.int(), dq, dk)
    compare(q, k, q_gain, k_gain, positions.mT.contiguous().mT, dq, dk)
    compare(q, k, q_gain, k_gain, positions[:1, 2:3].expand(2, 5), dq, dk)
    compare(q, k, q_gain, k_gain, positions[:1], dq, dk)


def test_views_of_one_projection(device: torch.device) -> None:
    b, t, h, g, d = 2, 9, 4, 2, 16
    torch.manual_seed(0)
    fused = torch.randn(b, t, (h + 2 * g) * d, device=device)
    q, k, _ = (x.unflatten(-1, (-1, d)) for x in fused.split([h * d, g * d, g * d], -1))
    gain, positions = torch.randn(d, device=device), torch.arange(t, device=device)
    for out, same in zip(qk_norm_rope(q, k, gain, gain, 1e-6, positions),
                         qk_norm_rope(q.contiguous(), k.contiguous(), gain, gain, 1e-6, positions), strict=True):
        assert out.is_contiguous() and torch.equal(out, same)


def test_strides_of_inputs_and_gradients(device: torch.device) -> None:
    q, k, q_gain, k_gain, positions, dq, dk = case(2, 5, 4, 2, 8, torch.float32, device)
    heads_first = [x.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_() for x in (q, k)]
    compare(*heads_first, q_gain, k_gain, positions, dq.transpose(1, 2).contiguous().transpose(1, 2), dk)
    features_apart = [x.detach().mT.contiguous().mT.requires_grad_() for x in (q, k)]
    compare(*features_apart, q_gain, k_gain, positions, dq, dk[:, :, :1].expand(-1, -1, 2, -1))


def test_one_of_the_two_results_unused(device: torch.device) -> None:
    q, k, q_gain, k_gain, positions, dq, _ = case(1, 5, 2, 1, 8, torch.float32, device)
    out = qk_norm_rope(q, k, q_gain, k_gain, 1e-6, positions)[0]
    got = torch.autograd.grad(out, (q, k, q_gain, k_gain), dq)
    assert (got[1] == 0).all() and (got[3] == 0).all()
    want = torch.autograd.grad(reference.rope(reference.rms_norm(q, q_gain), positions), (q, q_gain), dq)
    assert off(got[0], want[0]) <= limit(torch.float32) and off(got[2], want[1]) <= limit(torch.float32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rotation_alone(dtype: torch.dtype, device: torch.device) -> None:
    q, _, _, _, positions, dq, _ = case(2, 7, 3, 1, 48, dtype, device)
    out = rope(q, positions, 500000.0)
    (grad,) = torch.autograd.grad(out, q, dq)
    wide = q.detach().float().requires_grad_()
    want = reference.rope(wide, positions, 500000.0)
    assert off(out, want) <= limit(dtype)
    assert off(grad, torch.autograd.grad(want, wide, dq.float())[0]) <= limit(dtype)


def test_far_positions(device: torch.device) -> None:
    """Angles of 10^5 radians: the sine's own reduction must be exact, an approximation of it is off by 0.01."""
    q, k, q_gain, k_gain, _, dq, dk = case(1, 8, 2, 1, 64, torch.float32, device)
    compare(q, k, q_gain, k_gain, torch.arange(8, device=device) * 17389, dq, dk)


def test_nothing_to_do(device: torch.device) -> None:
    q, k, q_gain, k_gain, positions, dq, dk = case(2, 0, 2, 1, 8, torch.float32, device)
    outs = qk_norm_rope(q, k, q_gain, k_gain, 1e-6, positions)
    grads = torch.autograd.grad(outs, (q, k, q_gain, k_gain), (dq, dk))
    assert outs[0].shape == q.shape and (grads[2] == 0).all() and (grads[3] == 0).all()


def test_bad_input(device: torch.device) -> None:
    q, k, gain, _, positions, _, _ = case(2, 3, 2, 1, 8, torch.float32, device)
    for args, words in (
        ((q[0], k, gain, gain, 1e-6, positions), r"\[b, t, h, d\]"),
        ((q, k[:, :2], gain, gain, 1e-6, positions), r"\[b, t, g, d\]"),
        ((q[..., :7], k[..., :7], None, None, 1e-6, positions), "even number"),
        ((q, k, gain[:4], gain, 1e-6, positions), "q_weight"),
        ((q, k, gain, gain, 1e-6, None), "positions"),
        ((q, k, gain, gain, 1e-6, positions[:2]), "positions"),
        ((q, k, gain, gain, 1e-6, positions.float()), "positions"),
        ((q, k, gain, gain, 1e-6, positions.to("meta")), "meta"),
        ((q.double(), k, gain, gain, 1e-6, positions), "float64"),
    ):
        with pytest.raises(ValueError, match=words):
            qk_norm_rope(*args)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("d", [32, 64, 128])
def test_training_shapes(d: int, dtype: torch.dtype, device: torch.device) -> None:
    compare(*case(4, 2048, 8, 2, d, dtype, device))
