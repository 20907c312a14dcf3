"""Flash attention over packed documents: against a loop over documents, and that no document sees another."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nimllm.kernels import reference
from nimllm.kernels.gpu.attention import attention, attention_packed

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def limit(dtype: torch.dtype) -> float:
    return (32 if dtype == torch.float32 else 3) * torch.finfo(dtype).eps


def off(got: Tensor, want: Tensor) -> float:
    assert got.shape == want.shape and got.isfinite().all()
    if not got.numel():
        return 0.0
    return ((got.double() - want.double()).abs().max() / want.double().abs().max().clamp(min=1.0)).item()


def case(lengths: list[int], h: int, g: int, d: int, dtype: torch.dtype, device: torch.device,
         behind: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """q, k, v that want gradients, the gradient of the result, the boundaries; ``behind`` tokens are in no document."""
    torch.manual_seed(0)
    n = sum(lengths) + behind
    q, do = torch.randn(2, n, h, d).to(device, dtype)
    k, v = torch.randn(2, n, g, d).to(device, dtype)
    bounds = torch.tensor([0, *lengths]).cumsum(0).to(device, torch.int32)
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_(), do, bounds


def check(lengths: list[int], h: int, g: int, d: int, causal: bool, dtype: torch.dtype, device: torch.device,
          behind: int = 0, spare: int = 0) -> None:
    q, k, v, do, bounds = case(lengths, h, g, d, dtype, device, behind)
    longest = max([0, *lengths]) + spare
    out = attention_packed(q, k, v, bounds, longest, causal)
    got = [out, *torch.autograd.grad(out, (q, k, v), do)]
    wide = [x.detach().float().requires_grad_() for x in (q, k, v)]
    want_out = reference.attention_packed(*wide, bounds, longest, causal)
    want = [want_out, *torch.autograd.grad(want_out, wide, do.float())]
    for name, x, y in zip(("out", "dq", "dk", "dv"), got, want, strict=True):
        assert x.dtype == dtype
        assert off(x, y) <= limit(dtype), name


@pytest.mark.parametrize("lengths,causal,dtype", [
    ([5], True, torch.float32), ([1, 1, 1], True, torch.float32), ([1, 1, 1], False, torch.bfloat16),
    *(([33, 0, 1, 7], True, dtype) for dtype in DTYPES), ([33, 0, 1, 7], False, torch.float32)], ids=str)
def test_result_and_gradients(lengths, causal, dtype, device) -> None:  # type: ignore[no-untyped-def]
    check(lengths, 2, 1, 32, causal, dtype, device)


@pytest.mark.parametrize("h,g,d", [(3, 1, 48), (2, 2, 64), (2, 1, 128)])
def test_heads(h: int, g: int, d: int, device: torch.device) -> None:
    check([2, 34, 1], h, g, d, True, torch.float32, device)


def test_tokens_behind_the_last_document_and_a_generous_bound(device: torch.device) -> None:
    check([3, 33], 2, 1, 16, True, torch.float32, device, behind=5, spare=100)
    q, k, v, _, bounds = case([3, 33], 2, 1, 16, torch.float32, device, behind=5)
    assert (attention_packed(q, k, v, bounds, 33)[36:] == 0).all()


def test_only_empty_documents(device: torch.device) -> None:
    check([0, 0], 2, 1, 16, True, torch.float32, device, behind=4)
    q, k, v, do, bounds = case([], 2, 1, 16, torch.float32, device, behind=4)
    out = attention_packed(q, k, v, bounds, 0)
    assert (out == 0).all()
    assert all((x == 0).all() for x in torch.autograd.grad(out, (q, k, v), do))
    q, k, v, do, bounds = case([0], 2, 1, 16, torch.float32, device)
    assert attention_packed(q, k, v, bounds, 0).shape == (0, 2, 16)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(0, 40), min_size=1, max_size=4), group=st.sampled_from([1, 3]),
       causal=st.booleans(), dtype=st.sampled_from(DTYPES))
def test_any_documents(lengths, group, causal, dtype, device) -> None:  # type: ignore[no-untyped-def]
    check(lengths, group, 1, 16, causal, dtype, device)


def test_a_document_does_not_feel_its_neighbours(device: torch.device) -> None:
    q, k, v, do, bounds = case([20, 35, 9], 2, 1, 16, torch.float32, device)
    out = attention_packed(q, k, v, bounds, 35)
    grads = torch.autograd.grad(out, (q, k, v), do)
    others = [x.detach().clone() for x in (q, k, v)]
    for x in others:
        x[:20], x[55:] = float("nan"), float("inf")
        x.requires_grad_()
    changed = attention_packed(*others, bounds, 35)
    assert torch.equal(changed[20:55], out[20:55])
    for x, y in zip(torch.autograd.grad(changed, others, do), grads, strict=True):
        assert torch.equal(x[20:55], y[20:55])


def test_one_document_is_plain_attention(device: torch.device) -> None:
    q, k, v, _, bounds = case([50], 4, 2, 32, torch.bfloat16, device)
    plain = attention(*(x.transpose(0, 1).unsqueeze(0) for x in (q, k, v)))
    assert torch.equal(attention_packed(q, k, v, bounds.long(), 50), plain.squeeze(0).transpose(0, 1))


def test_views_of_one_projection(device: torch.device) -> None:
    q, k, v, _, bounds = case([7, 30], 4, 2, 16, torch.float32, device)
    fused = torch.cat((q, k, v), 1).detach()
    out = attention_packed(*fused.split([4, 2, 2], 1), bounds, 30)
    assert torch.equal(out, attention_packed(q, k, v, bounds, 30))


def test_a_bound_too_small_leaves_the_rest_alone(device: torch.device) -> None:
    """Documents longer than announced lose their end; nothing outside is touched, and the others are right."""
    q, k, v, _, bounds = case([4, 40, 6], 1, 1, 16, torch.float32, device)
    out = attention_packed(q, k, v, bounds, 8)
    want = reference.attention_packed(q, k, v, bounds, 40)
    kept = [*range(4), *range(4, 12), *range(44, 50)]
    assert off(out[kept], want[kept]) <= limit(torch.float32)
    assert (out[12:44] == 0).all()


def test_bad_input(device: torch.device) -> None:
    q, k, v, _, bounds = case([3, 4], 2, 1, 16, torch.float32, device)
    for args, words in (
        ((q[None], k[None], v[None], bounds), r"\[n, h, d\]"),
        ((q[:5], k, v, bounds), "do not fit"),
        ((q, k, v, bounds.float()), "float32"),
        ((q, k, v, bounds[:0]), r"\(0,\)"),
        ((q, k, v, bounds[None]), r"\(1, 3\)"),
        ((q, k, v, bounds.to("meta")), "meta"),
    ):
        with pytest.raises(ValueError, match=words):
            attention_packed(*args, 4)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("d", [64, 128])
def test_training_shapes(d: int, dtype: torch.dtype, device: torch.device) -> None:
    check([512, 1, 4096, 0, 700, 33, 2048, 129], 6, 2, d, True, dtype, device)
