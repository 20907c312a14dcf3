"""Flash attention in Triton against the reference in fp32 on the same numbers: result and each gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nimllm.kernels import reference
from nimllm.kernels.gpu.attention import attention

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
# b, h, g, t, s, d; blocks in the interpreter are 64 x 32, on a GPU at most 128 x 128. Programs cost the interpreter
# most, and there is one for each of b * h and of b * g
SHAPES = [
    (2, 3, 1, 2, 2, 48),
    (1, 2, 1, 7, 7, 64),
    (2, 2, 1, 65, 65, 32),
    (1, 1, 1, 1, 1, 32),
    (1, 1, 1, 33, 33, 128),
    (1, 1, 1, 127, 127, 64),
    (1, 2, 1, 33, 100, 48),
    (1, 2, 2, 1, 65, 64),
    (1, 1, 1, 32, 64, 16),
    (1, 2, 1, 5, 40, 9),
]
CASES = [
    *((shape, True, torch.float32) for shape in SHAPES),
    *((shape, False, torch.float32) for shape in SHAPES),
    *((shape, True, torch.bfloat16) for shape in SHAPES[:5]),
    *((shape, True, torch.float16) for shape in SHAPES[1:3]),
    *((shape, False, torch.bfloat16) for shape in SHAPES[1:3]),
]


def limit(dtype: torch.dtype) -> float:
    """Of the greatest error as a part of the greatest magnitude: three roundings, or 32 in fp32, where sums count.

    Half of it is the interpreter's, which truncates where a GPU rounds.
    """
    return (32 if dtype == torch.float32 else 3) * torch.finfo(dtype).eps


def off(got: Tensor | None, want: Tensor) -> float:
    assert got is not None and got.shape == want.shape
    assert got.isfinite().all()
    return ((got.double() - want.double()).abs().max() / want.double().abs().max().clamp(min=1.0)).item()


def case(b: int, h: int, g: int, t: int, s: int, d: int, dtype: torch.dtype, device: torch.device,
         seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """q, k, v that want gradients, and the gradient of the result."""
    torch.manual_seed(seed)
    q, do = torch.randn(2, b, h, t, d).to(device, dtype)
    k, v = torch.randn(2, b, g, s, d).to(device, dtype)
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_(), do


def both(q: Tensor, k: Tensor, v: Tensor, do: Tensor, causal: bool) -> tuple[list[Tensor], list[Tensor]]:
    """(result, dq, dk, dv) of the kernel and of the reference in fp32."""
    out = attention(q, k, v, causal)
    assert out.dtype == q.dtype
    got = [out, *torch.autograd.grad(out, (q, k, v), do)]
    wide = [x.detach().float().requires_grad_() for x in (q, k, v)]
    out = reference.attention(*wide, causal)
    return got, [out, *torch.autograd.grad(out, wide, do.float())]


@pytest.mark.parametrize("shape,causal,dtype", CASES, ids=str)
def test_result_and_gradients(shape, causal, dtype, device) -> None:  # type: ignore[no-untyped-def]
    got, want = both(*case(*shape, dtype, device), causal)
    for name, x, y in zip(("out", "dq", "dk", "dv"), got, want, strict=True):
        assert off(x, y) <= limit(dtype), name
        assert x.dtype == dtype


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(b=st.integers(1, 2), g=st.integers(1, 2), group=st.sampled_from([1, 3]), t=st.integers(1, 70),
       older=st.integers(0, 40), d=st.sampled_from([16, 24, 32]), causal=st.booleans(),
       dtype=st.sampled_from(DTYPES))
def test_any_shape(b, g, group, t, older, d, causal, dtype, device) -> None:  # type: ignore[no-untyped-def]
    got, want = both(*case(b, g * group, g, t, t + older, d, dtype, device), causal)
    for x, y in zip(got, want, strict=True):
        assert off(x, y) <= limit(dtype)


@pytest.mark.parametrize("t,s,dtype", [*((40, 7, dtype) for dtype in DTYPES), (3, 1, torch.float32)])
def test_queries_that_see_no_key(t, s, dtype, device) -> None:  # type: ignore[no-untyped-def]
    """With more queries than keys the first t - s are before every key: result 0, no gradient from or to them."""
    q, k, v, do = case(1, 2, 1, t, s, 32, dtype, device)
    out = attention(q, k, v)
    dq, dk, dv = torch.autograd.grad(out, (q, k, v), do)
    blind = t - s
    assert (out[:, :, :blind] == 0).all() and (dq[:, :, :blind] == 0).all()
    (seeing, seeing_dq, want_dk, want_dv) = both(q[:, :, blind:].detach().requires_grad_(), k, v, do[:, :, blind:],
                                                 True)[1]
    for x, y in ((out[:, :, blind:], seeing), (dq[:, :, blind:], seeing_dq), (dk, want_dk), (dv, want_dv)):
        assert off(x, y) <= limit(dtype)


def test_no_keys_and_no_queries(device: torch.device) -> None:
    q, k, v, do = case(2, 2, 1, 3, 0, 16, torch.float32, device)
    out = attention(q, k, v, False)
    assert (out == 0).all()
    dq, dk, dv = torch.autograd.grad(out, (q, k, v), do)
    assert (dq == 0).all() and dk.shape == dv.shape == k.shape
    q, k, v, do = case(2, 2, 1, 0, 5, 16, torch.float32, device)
    out = attention(q, k, v)
    assert out.shape == q.shape
    assert all((x == 0).all() for x in torch.autograd.grad(out, (k, v), do))
    q, k, v, do = case(0, 2, 1, 4, 4, 16, torch.float32, device)
    assert attention(q, k, v).shape == q.shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_views_of_one_projection_are_read_where_they_lie(dtype: torch.dtype, device: torch.device) -> None:
    b, t, h, g, d = 2, 37, 2, 1, 16
    torch.manual_seed(1)
    fused = torch.randn(b, t, (h + 2 * g) * d).to(device, dtype)
    q, k, v = (x.unflatten(-1, (-1, d)).transpose(1, 2) for x in fused.split([h * d, g * d, g * d], -1))
    do = torch.randn(b, t, h, d).to(device, dtype).transpose(1, 2)
    views = [x.detach().requires_grad_() for x in (q, k, v)]
    copies = [x.contiguous().detach().requires_grad_() for x in (q, k, v)]
    out, same = attention(*views), attention(*copies)
    assert out.transpose(1, 2).is_contiguous() and same.is_contiguous()
    assert torch.equal(out, same)
    for x, y in zip(torch.autograd.grad(out, views, do), torch.autograd.grad(same, copies, do.contiguous()),
                    strict=True):
        assert torch.equal(x, y)


def test_features_that_are_not_neighbours_and_an_expanded_gradient(device: torch.device) -> None:
    q, k, v, _ = case(1, 2, 1, 9, 9, 16, torch.float32, device)
    odd = [x.detach().mT.contiguous().mT.requires_grad_() for x in (q, k, v)]
    assert all(x.stride(-1) != 1 for x in odd)
    out, same = attention(*odd), attention(q, k, v)
    assert torch.equal(out, same)
    grads = torch.autograd.grad(out.sum(), odd)
    ones = torch.autograd.grad(same, (q, k, v), torch.ones_like(same))
    assert all(torch.equal(x, y) for x, y in zip(grads, ones, strict=True))


def test_one_head_for_all_sequences(device: torch.device) -> None:
    """Keys expanded over the batch have stride 0."""
    q, k, v, do = case(3, 2, 1, 12, 12, 16, torch.float32, device)
    shared = [x[:1].detach().requires_grad_() for x in (k, v)]
    got, want = both(q, *(x.expand(3, -1, -1, -1) for x in shared), do, True)
    for x, y in zip(got, want, strict=True):
        assert off(x, y) <= limit(torch.float32)


def test_large_scores_do_not_overflow(device: torch.device) -> None:
    q, k, v, do = case(1, 1, 1, 40, 40, 16, torch.float32, device)
    q = (q.detach() * 3000).requires_grad_()
    got, want = both(q, k, v, do, True)
    assert want[0].isfinite().all()
    for x, y in zip(got[:1] + got[3:], want[:1] + want[3:], strict=True):
        assert off(x, y) <= 1e-3  # scores of 10,000 are known to 1e-3, and soft-max takes their exponential


def test_the_same_bits_each_time(device: torch.device) -> None:
    first, second = (both(*case(1, 2, 1, 70, 70, 32, torch.bfloat16, device), True)[0] for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_autocast_multiplies_in_its_dtype(device: torch.device) -> None:
    q, k, v, do = case(1, 2, 1, 33, 33, 32, torch.float32, device)
    with torch.autocast(device.type, torch.bfloat16):
        out = attention(q, k.bfloat16(), v)
    assert out.dtype == torch.bfloat16
    dq, dk, dv = torch.autograd.grad(out, (q, k, v), do.bfloat16())
    want = both(q, k, v, do, True)[1]
    for x, y in zip((out, dq, dk, dv), want, strict=True):
        assert 1e-5 < off(x, y) <= 2 * limit(torch.bfloat16)
    assert dq.dtype == dk.dtype == dv.dtype == torch.float32


def test_a_second_derivative_is_refused(device: torch.device) -> None:
    q, k, v, _ = case(1, 1, 1, 3, 3, 16, torch.float32, device)
    (dq,) = torch.autograd.grad(attention(q, k, v).square().sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dq.sum().backward()


def test_bad_input(device: torch.device) -> None:
    q, k, v, _ = case(1, 4, 2, 5, 5, 16, torch.float32, device)
    for args, words in (
        ((q[0], k[0], v[0]), r"\[b, h, t, d\]"),
        ((q, k, v[:, :, :4]), "do not fit"),
        ((q, k[..., :8], v[..., :8]), "do not fit"),
        ((q[:, :3], k, v), "3 query heads"),
        ((q.double(), k.double(), v.double()), "float64"),
        ((q, k.half(), v), "one dtype"),
        ((q, k.to("meta"), v), "meta"),
    ):
        with pytest.raises(ValueError, match=words):
            attention(*args)
    with pytest.raises(ValueError, match="1 to 256"):
        attention(*(torch.zeros(1, 1, 2, 257, device=device) for _ in range(3)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 8, 2, 200, 200, 64), (1, 12, 4, 127, 200, 128), (1, 2, 2, 513, 513, 64),
                                   (1, 2, 1, 70, 70, 256), (1, 1, 1, 200, 200, 32),
                                   (2, 4, 1, 7, 7, 64), (1, 3, 3, 33, 33, 128)], ids=str)
def test_more_blocks(shape, dtype, device) -> None:  # type: ignore[no-untyped-def]
    got, want = both(*case(*shape, dtype, device), True)
    for x, y in zip(got, want, strict=True):
        assert off(x, y) <= limit(dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("d", [32, 64, 96, 128, 256])
@pytest.mark.parametrize("t", [512, 1000, 2048, 4096])
def test_training_shapes(t, d, causal, dtype, device) -> None:  # type: ignore[no-untyped-def]
    got, want = both(*case(2, 6, 2, t, t, d, dtype, device), causal)
    for x, y in zip(got, want, strict=True):
        assert off(x, y) <= limit(dtype)


@pytest.mark.gpu
def test_more_than_2_to_the_31_elements(device: torch.device) -> None:
    b, h, t, d = 520, 16, 4096, 64
    assert b * h * t * d > 2**31
    torch.manual_seed(0)
    q = torch.randn(b, h, t, d, device=device, dtype=torch.bfloat16).requires_grad_()
    k, v = (torch.randn(b, 1, t, d, device=device, dtype=torch.bfloat16).requires_grad_() for _ in range(2))
    out = attention(q, k, v)
    grads = torch.autograd.grad(out, (q, k, v), out.detach())
    last = [x[-1:].detach().clone().requires_grad_() for x in (q, k, v)]
    out_last = attention(*last)
    assert off(out[-1:], out_last) <= limit(torch.bfloat16)
    for x, y in zip(grads, torch.autograd.grad(out_last, last, out_last.detach()), strict=True):
        assert off(x[-1:], y) <= limit(torch.bfloat16)
