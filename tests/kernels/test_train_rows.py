"""The C++ norms, rotations and activations: results and gradients for every instruction set, layouts and threads."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from agreement import EPS, agree, close, isas
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nimllm.kernels import activations, native, norms, reference, rotary

pytestmark = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))
SHAPES = [(3, 5, 37), (2, 70, 384), (130, 8), (4, 65, 48), (1, 4), (0, 16)]


@pytest.fixture(params=isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    best = native.isa()
    yield native.limit_isa(request.param)
    native.limit_isa(best)


@pytest.fixture
def threads_as_they_were() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def factors(dtype: torch.dtype) -> tuple[float, float]:
    return (2, 8) if dtype == torch.bfloat16 else (8, 40)


def rows(shape: tuple[int, ...], dtype: torch.dtype, scale: float = 1.0) -> Tensor:
    torch.manual_seed(math.prod(shape))
    return (torch.randn(shape) * scale).to(dtype)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.usefixtures("isa")
def test_norms(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = rows(shape, dtype, 3.0) + 1
    weight, bias = torch.randn(shape[-1]), torch.randn(shape[-1])
    agree(lambda *a: norms.rms_norm(*a, 1e-5), lambda *a: reference.rms_norm(*a, 1e-5), [x, weight], *factors(dtype))
    agree(lambda *a: norms.layer_norm(*a, 1e-5), lambda *a: reference.layer_norm(*a, 1e-5), [x, weight, bias],
          *factors(dtype))
    agree(lambda *a: norms.layer_norm(*a, None, 1e-5), lambda *a: reference.layer_norm(*a, None, 1e-5), [x, weight],
          *factors(dtype))


@pytest.mark.parametrize("types", [(torch.float32, torch.float32), (torch.bfloat16, torch.float32),
                                   (torch.bfloat16, torch.bfloat16), (torch.float32, torch.bfloat16)])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.usefixtures("isa")
def test_additions_before_norms(shape: tuple[int, ...], types: tuple[torch.dtype, torch.dtype]) -> None:
    # multiples of 1/8: their sum is exact in bf16, so that the reference in fp32 normalises the same numbers
    x, residual = ((rows(shape, torch.float32, 20.0 + i).round() / 8).to(dtype) for i, dtype in enumerate(types))
    weight, bias = torch.randn(shape[-1]), torch.randn(shape[-1])
    narrow = torch.bfloat16 in types
    limits = (8, 300) if narrow else (8, 40)  # a gain's gradient is fp32 and sums rounded products
    agree(lambda *a: norms.add_rms_norm(*a, 1e-5), lambda *a: reference.add_rms_norm(*a, 1e-5), [x, residual, weight],
          *limits)
    agree(lambda *a: norms.add_layer_norm(*a, 1e-5), lambda *a: reference.add_layer_norm(*a, 1e-5),
          [x, residual, weight, bias], *limits)


def test_the_sum_is_of_the_promoted_dtype_and_is_what_is_normalised() -> None:
    x, residual, weight = rows((9, 40), torch.bfloat16), rows((9, 40), torch.bfloat16, 2.0), torch.rand(40)
    normed, summed = norms.add_rms_norm(x, residual, weight, 1e-6)
    assert torch.equal(summed, x + residual)
    assert torch.equal(normed, norms.rms_norm(summed, weight, 1e-6))
    assert norms.add_rms_norm(x, residual.float(), weight)[1].dtype == torch.float32


def test_under_autocast_norms_write_bf16_and_the_stream_stays_fp32() -> None:
    x, residual, weight = rows((9, 40), torch.bfloat16), rows((9, 40), torch.float32).requires_grad_(), torch.rand(40)
    with torch.autocast("cpu", torch.bfloat16):
        normed, summed = norms.add_layer_norm(x, residual, weight)
        plain = norms.rms_norm(residual, weight)
    assert normed.dtype == plain.dtype == torch.bfloat16 and summed.dtype == torch.float32
    close(plain.float(), reference.rms_norm(residual, weight), 2 * EPS[torch.bfloat16] / EPS[torch.float32])
    (normed.float().sum() + summed.sum()).backward()
    assert residual.grad is not None and residual.grad.dtype == torch.float32


def test_a_norm_whose_result_is_not_used_still_passes_the_stream_on() -> None:
    x, residual = rows((5, 16), torch.bfloat16).requires_grad_(), rows((5, 16), torch.float32).requires_grad_()
    norms.add_rms_norm(x, residual, torch.ones(16))[1].sum().backward()
    assert x.grad is not None and residual.grad is not None
    assert bool((x.grad == 1).all()) and bool((residual.grad == 1).all())


@pytest.mark.usefixtures("isa")
def test_norms_do_not_hide_a_nan() -> None:
    x = rows((4, 20), torch.bfloat16)
    x[2, 19] = float("nan")
    assert norms.rms_norm(x, torch.ones(20)).isnan().any(1).tolist() == [False, False, True, False]


POSITIONS = [torch.arange(40, 47), torch.tensor([[0, 1, 2, 3, 4, 5, 6], [3, 100, 5, 0, 7, 8, 500]])]


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("h,g,d", [(3, 1, 8), (4, 2, 64), (2, 2, 32), (1, 1, 6), (2, 1, 36)])
@pytest.mark.usefixtures("isa")
def test_qk_norm_and_rotation(h: int, g: int, d: int, positions: Tensor, dtype: torch.dtype) -> None:
    q, k = rows((2, 7, h, d), dtype), rows((2, 7, g, d), dtype)
    tensors = [q, k, torch.randn(d), torch.randn(d)]
    agree(lambda *a: rotary.qk_norm_rope(*a, 1e-5, positions, 500.0),
          lambda *a: reference.qk_norm_rope(*a, 1e-5, positions, 500.0), tensors, *factors(dtype))
    agree(lambda x: rotary.rope(x, positions, 500.0), lambda x: reference.rope(x, positions, 500.0), [q],
          *factors(dtype))


@pytest.mark.parametrize("d", [1, 5, 33, 64])
@pytest.mark.usefixtures("isa")
def test_qk_norm_alone(d: int) -> None:
    q, k, weight = rows((1, 70, 2, d), torch.float32), rows((1, 70, 1, d), torch.float32), torch.randn(d)
    agree(lambda q, k, w: rotary.qk_norm_rope(q, k, w, None, 1e-2, torch.arange(70), None),
          lambda q, k, w: (reference.rms_norm(q, w, 1e-2), k * 1.0), [q, k, weight], 8, 40)


def test_rotation_reads_slices_in_place() -> None:
    b, t, h, g, d = 2, 70, 4, 2, 32
    fused = rows((b, t, (h + g) * d), torch.bfloat16)
    q, k = (part.view(b, t, -1, d) for part in fused.split([h * d, g * d], -1))
    weights, positions = [torch.rand(d), torch.rand(d)], torch.arange(t)
    made = rotary.qk_norm_rope(q, k, *weights, 1e-6, positions, 1e4)
    plain = rotary.qk_norm_rope(q.contiguous(), k.contiguous(), *weights, 1e-6, positions, 1e4)
    assert all(torch.equal(one, other) for one, other in zip(made, plain, strict=True))


def test_a_negative_position() -> None:
    with pytest.raises(ValueError, match="-1"):
        rotary.rope(torch.randn(1, 2, 1, 4), torch.tensor([-1, 0]))


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("shape", [*SHAPES, (5,)])
@pytest.mark.usefixtures("isa")
def test_activations(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x, up = rows(shape, dtype, 3.0), rows(shape, dtype, 1.0).flip(0)
    agree(activations.swiglu, reference.swiglu, [x, up], *factors(dtype))
    agree(activations.gelu, reference.gelu, [x], *factors(dtype))
    agree(activations.relu2, reference.relu2, [x], *factors(dtype))


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.usefixtures("isa")
def test_activations_at_the_ends(dtype: torch.dtype) -> None:
    x = torch.tensor([-1e4, -200.0, -90.0, -20.0, -0.0, 0.0, 20.0, 90.0, 200.0, 1e4] * 4, dtype=dtype)
    for mine, theirs in ((activations.gelu, reference.gelu), (activations.relu2, reference.relu2),
                         (lambda x: activations.swiglu(x, x), lambda x: reference.swiglu(x, x))):
        one, other = x.clone().requires_grad_(), x.float().clone().requires_grad_()
        got, want = mine(one), theirs(other)
        assert torch.allclose(got.float(), want, rtol=2 * EPS[dtype], atol=1e-6)
        got.sum().backward()
        want.sum().backward()
        assert one.grad is not None and other.grad is not None
        assert torch.allclose(one.grad.float(), other.grad, rtol=2 * EPS[dtype], atol=1e-6)
    assert activations.gelu(torch.tensor([float("nan"), 1.0], dtype=dtype)).isnan().tolist() == [True, False]


def test_gate_and_up_may_be_halves_of_one_projection() -> None:
    both = rows((3, 21, 66), torch.bfloat16)
    gate, up = both.chunk(2, -1)
    assert torch.equal(activations.swiglu(gate, up), activations.swiglu(gate.contiguous(), up.contiguous()))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(4, 100), st.sampled_from(list(EPS)))
def test_any_rows(n: int, d: int, dtype: torch.dtype) -> None:
    x, weight = rows((n, d), dtype, 2.0), torch.randn(d)
    agree(lambda *a: norms.rms_norm(*a, 1e-2), lambda *a: reference.rms_norm(*a, 1e-2), [x, weight], *factors(dtype))
    agree(lambda *a: norms.layer_norm(*a, None, 1e-2), lambda *a: reference.layer_norm(*a, None, 1e-2), [x, weight],
          *factors(dtype))
    agree(activations.swiglu, reference.swiglu, [x, x.flip(0)], *factors(dtype))


@pytest.mark.usefixtures("threads_as_they_were")
def test_threads_change_no_bit() -> None:
    x, residual = rows((1000, 48), torch.bfloat16), rows((1000, 48), torch.float32)
    q, k = rows((3, 200, 4, 16), torch.bfloat16), rows((3, 200, 2, 16), torch.bfloat16)
    made = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        leaves = [t.clone().requires_grad_() for t in (x, residual, torch.ones(48), torch.zeros(48), q, k,
                                                       torch.ones(16), torch.ones(16))]
        outs = [*norms.add_layer_norm(*leaves[:4]), *rotary.qk_norm_rope(*leaves[4:], 1e-6, torch.arange(200), 1e4),
                activations.gelu(leaves[0])]
        torch.manual_seed(0)
        torch.autograd.backward(outs, [torch.randn(out.shape).to(out.dtype) for out in outs])
        made.append([*outs, *(leaf.grad for leaf in leaves)])
    for others in made[1:]:
        assert all(torch.equal(one, other) for one, other in zip(made[0], others, strict=True))


@pytest.mark.parametrize("name", ["rms_norm", "gelu"])
def test_other_dtypes_go_to_torch(name: str) -> None:
    x = torch.randn(3, 8, dtype=torch.float64)
    got = norms.rms_norm(x, torch.ones(8)) if name == "rms_norm" else activations.gelu(x)
    assert got.dtype == torch.float64 and torch.equal(got, getattr(reference, name)(
        *([x, torch.ones(8)] if name == "rms_norm" else [x])))
