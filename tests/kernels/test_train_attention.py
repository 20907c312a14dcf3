"""The C++ attention: results and gradients for every instruction set, memory layouts, threads, and hard cases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from agreement import EPS, agree, close, isas
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nimllm.kernels import native, reference
from nimllm.kernels.attention import attention, attention_packed

pytestmark = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))
Shape = tuple[int, int, int, int, int, int]  # b, h, g, t, s, d


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


def inputs(b: int, h: int, g: int, t: int, s: int, d: int, dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(1000 * t + s)
    return [torch.randn(b, n, heads, d).to(dtype).transpose(1, 2) for n, heads in ((t, h), (s, g), (s, g))]


def check(shape: Shape, dtype: torch.dtype, causal: bool) -> None:
    narrow = dtype == torch.bfloat16
    agree(lambda q, k, v: attention(q, k, v, causal), lambda q, k, v: reference.attention(q, k, v, causal),
          inputs(*shape, dtype), 3 if narrow else 24, 3 if narrow else 40)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("shape", [(2, 6, 2, 37, 37, 16), (1, 3, 1, 131, 131, 24), (2, 4, 4, 3, 9, 8),
                                   (1, 6, 2, 5, 12, 32), (2, 2, 1, 200, 200, 64), (1, 2, 2, 66, 66, 7),
                                   (1, 2, 2, 70, 300, 33), (1, 1, 1, 129, 129, 128), (17, 1, 1, 2, 2, 5)])
@pytest.mark.usefixtures("isa")
def test_results_and_gradients(shape: Shape, dtype: torch.dtype, causal: bool) -> None:
    check(shape, dtype, causal)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(2, 150), st.integers(0, 90),
       st.integers(1, 70), st.sampled_from(list(EPS)), st.booleans())
def test_any_shape(b: int, g: int, group: int, t: int, more: int, d: int, dtype: torch.dtype, causal: bool) -> None:
    check((b, g * group, g, t, t + more, d), dtype, causal)


def gradients(tensors: list[Tensor], upstream: Tensor) -> list[Tensor]:
    leaves = [x.detach().requires_grad_() for x in tensors]
    out = attention(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, upstream)]


@pytest.mark.parametrize("dtype", EPS)
def test_reads_slices_of_one_projection_in_place(dtype: torch.dtype) -> None:
    b, h, g, t, d = 2, 4, 2, 77, 32
    torch.manual_seed(0)
    fused = torch.randn(b, t, (h + 2 * g) * d).to(dtype)
    parts = [part.view(b, t, -1, d).transpose(1, 2) for part in fused.split([h * d, g * d, g * d], -1)]
    upstream = torch.randn(b, h, t, d).to(dtype)
    compact = [part.contiguous() for part in parts]
    for one, other in zip(gradients(parts, upstream), gradients(compact, upstream), strict=True):
        assert torch.equal(one, other)
    scattered = [part.transpose(2, 3).contiguous().transpose(2, 3) for part in parts]  # features are not adjacent
    assert torch.equal(attention(*scattered), attention(*parts))


def test_the_result_lies_as_the_next_projection_reads_it() -> None:
    out = attention(*inputs(2, 4, 2, 9, 9, 8, torch.float32))
    assert out.transpose(1, 2).is_contiguous()


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("shape", [(1, 2, 1, 150, 150, 32), (5, 4, 2, 70, 70, 16)])
@pytest.mark.usefixtures("threads_as_they_were")
def test_threads_change_no_bit(shape: Shape, dtype: torch.dtype) -> None:
    tensors = inputs(*shape, dtype)
    upstream = torch.randn_like(tensors[0])
    made = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        made.append(gradients(tensors, upstream))
    for others in made[1:]:
        assert all(torch.equal(one, other) for one, other in zip(made[0], others, strict=True))


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.usefixtures("isa")
def test_huge_scores_stay_finite(dtype: torch.dtype) -> None:
    q, k, v = inputs(1, 2, 1, 90, 90, 16, dtype)
    q, k = (q * 300).detach(), (k * 300).detach()
    made = gradients([q, k, v], torch.randn_like(v.expand(1, 2, 90, 16)))
    assert all(bool(x.isfinite().all()) for x in made)
    # the largest score is all that matters: each query copies one value
    best = reference.attention(q.float(), k.float(), v.float())
    close(made[0], best, 4 if dtype == torch.bfloat16 else 1000)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.usefixtures("isa")
def test_a_query_that_sees_nothing_gets_zero(dtype: torch.dtype) -> None:
    tensors = inputs(1, 2, 1, 100, 20, 16, dtype)  # the first 80 queries come before the first key
    made = gradients(tensors, torch.randn_like(tensors[0]))
    assert all(bool(x.isfinite().all()) for x in made)
    assert not made[0][:, :, :80].any() and not made[1][:, :, :80].any() and made[0][:, :, 80:].any()


@pytest.mark.usefixtures("isa")
def test_a_nan_is_not_hidden() -> None:
    q, k, v = inputs(1, 1, 1, 70, 70, 16, torch.bfloat16)
    v[0, 0, 3, 2] = float("nan")
    q[0, 0, 40, 1] = float("nan")
    out = attention(q, k, v)[0, 0]
    assert out[3:, 2].isnan().all() and out[40].isnan().all()
    assert not out[:40, :2].isnan().any() and not out[:40, 3:].isnan().any()


def test_an_expanded_gradient() -> None:
    tensors = inputs(1, 2, 2, 20, 20, 8, torch.float32)
    ones = gradients(tensors, torch.ones(1, 2, 20, 8))
    leaves = [x.detach().requires_grad_() for x in tensors]
    attention(*leaves).sum().backward()  # its gradient has strides of 0
    for want, leaf in zip(ones[1:], leaves, strict=True):
        assert leaf.grad is not None and torch.equal(leaf.grad, want)


def test_nothing_quadratic_is_kept() -> None:
    b, h, g, t, d = 1, 2, 1, 2048, 16
    kept: list[int] = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x.numel())
        return x

    leaves = [x.requires_grad_() for x in inputs(b, h, g, t, t, d, torch.bfloat16)]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        attention(*leaves).sum().backward()
    assert sum(kept) == (2 * h + 2 * g) * t * d + h * t  # q, out, k, v, log-sum-exp


@pytest.mark.parametrize("shape", [(2, 6, 2, 1, 9, 8), (1, 2, 2, 1, 1, 16)])
def test_decoding_goes_to_torch_and_agrees(shape: Shape) -> None:
    tensors = inputs(*shape, torch.float32)
    with torch.no_grad():
        close(attention(*tensors), reference.attention(*tensors), 16)


def test_shapes_that_do_not_fit() -> None:
    q, k, v = inputs(1, 4, 2, 5, 5, 8, torch.float32)
    for bad in ((q, k[..., :4], v[..., :4]), (q, k, v[:, :, :3]), (q[:, :3], k, v)):
        with pytest.raises(ValueError, match="fit"):
            attention(*bad)


def test_without_gradients_the_same_numbers() -> None:
    tensors = inputs(2, 4, 2, 70, 70, 32, torch.bfloat16)
    trained = attention(*(x.detach().requires_grad_() for x in tensors)).detach()
    with torch.no_grad():
        assert torch.equal(attention(*tensors), trained)


# ---- documents end to end ----
def document_inputs(lengths: list[int], rest: int, h: int, g: int, d: int, dtype: torch.dtype
                    ) -> tuple[list[Tensor], Tensor]:
    torch.manual_seed(sum(lengths) + d)
    bounds = torch.tensor([0, *lengths]).cumsum(0)
    tokens = int(bounds[-1]) + rest
    return [torch.randn(tokens, heads, d).to(dtype) for heads in (h, g, g)], bounds.int()


def check_documents(lengths: list[int], rest: int, h: int, g: int, d: int, dtype: torch.dtype, causal: bool) -> None:
    tensors, bounds = document_inputs(lengths, rest, h, g, d, dtype)
    narrow = dtype == torch.bfloat16
    agree(lambda q, k, v: attention_packed(q, k, v, bounds, 0, causal),
          lambda q, k, v: reference.attention_packed(q, k, v, bounds, 0, causal), tensors, 3 if narrow else 24,
          3 if narrow else 40, 1.0)  # a document of one token: the gradient of its query is 0, a sum of terms of size 1


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize(("lengths", "rest", "heads"), [
    ([5, 1, 40], 3, (6, 2, 16)), ([130, 0, 7, 128, 129, 1], 0, (2, 1, 64)), ([1], 0, (1, 1, 8)),
    ([300], 5, (4, 4, 33)), ([3] * 40, 1, (3, 1, 24)), ([0, 0], 4, (2, 2, 7)),
])
@pytest.mark.usefixtures("isa")
def test_documents_and_their_gradients(lengths: list[int], rest: int, heads: tuple[int, int, int], dtype: torch.dtype,
                                       causal: bool) -> None:
    check_documents(lengths, rest, *heads, dtype, causal)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 140), min_size=1, max_size=9), st.integers(0, 5), st.integers(1, 3), st.integers(1, 4),
       st.integers(1, 70), st.sampled_from(list(EPS)), st.booleans())
def test_any_documents(lengths: list[int], rest: int, g: int, group: int, d: int, dtype: torch.dtype, causal: bool
                       ) -> None:
    check_documents(lengths, rest + (sum(lengths) == 0), g * group, g, d, dtype, causal)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.usefixtures("threads_as_they_were")
def test_a_document_has_the_bits_it_has_alone_for_any_number_of_threads(dtype: torch.dtype) -> None:
    lengths = [200, 3, 77, 150]
    tensors, bounds = document_inputs(lengths, 2, 4, 2, 32, dtype)
    upstream = torch.randn(tensors[0].shape).to(dtype)
    made = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        leaves = [x.detach().requires_grad_() for x in tensors]
        out = attention_packed(*leaves, bounds, 200)
        made.append([out.detach(), *torch.autograd.grad(out, leaves, upstream)])
    for others in made[1:]:
        assert all(torch.equal(one, other) for one, other in zip(made[0], others, strict=True))
    start = 0
    for length in lengths:
        part = slice(start, start + length)
        alone = gradients([x[part].transpose(0, 1)[None] for x in tensors], upstream[part].transpose(0, 1)[None])
        for one, other in zip(made[0], alone, strict=True):
            assert torch.equal(one[part], other[0].transpose(0, 1))
        start += length


def test_documents_read_slices_of_one_projection_in_place() -> None:
    n, h, g, d = 60, 4, 2, 16
    torch.manual_seed(0)
    fused = torch.randn(n, (h + 2 * g) * d)
    parts = [part.view(n, -1, d) for part in fused.split([h * d, g * d, g * d], -1)]
    bounds = torch.tensor([0, 33, 60])
    scattered = [part.transpose(1, 2).contiguous().transpose(1, 2) for part in parts]
    want = attention_packed(*(part.contiguous() for part in parts), bounds, 33)
    assert torch.equal(attention_packed(*parts, bounds, 33), want)
    assert torch.equal(attention_packed(*scattered, bounds, 33), want)


@pytest.mark.parametrize("bounds", [[0, 5, 3], [1, 5], [0, 5, 9], [0, -1, 5]])
def test_bounds_that_are_none(bounds: list[int]) -> None:
    tensors, _ = document_inputs([8], 0, 2, 1, 8, torch.float32)
    with pytest.raises(ValueError, match="ascend"):
        attention_packed(*tensors, torch.tensor(bounds), 8)


def test_documents_of_shapes_that_do_not_fit() -> None:
    (q, k, v), bounds = document_inputs([8], 0, 4, 2, 8, torch.float32)
    for bad in ((q, k[..., :4], v[..., :4]), (q, k, v[:5]), (q[:, :3], k, v), (q, k[:, :0], v[:, :0])):
        with pytest.raises(ValueError, match="fit"):
            attention_packed(*bad, bounds, 8)
    for wrong in (bounds.float(), bounds[None], bounds[:0]):
        with pytest.raises(ValueError, match="cu_seqlens"):
            attention_packed(q, k, v, wrong, 8)
