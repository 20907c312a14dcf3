"""Linear layers against plain ones in fp64, forward and every gradient; the kept copies of weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nimllm.kernels import linear as module
from nimllm.kernels import ops, reference
from nimllm.kernels.linear import in_dtype, linear

# of the largest value: fp32 sums of up to 300 terms in another order
LIMIT = 32 * 2.0**-23
SHAPES = [(1, 3, 2), (16, 16, 16), (17, 33, 19), (130, 64, 96), (300, 65, 257), (40, 300, 17)]


def case(n: int, d: int, o: int, bias: bool = False, seed: int = 0) -> tuple[Tensor, Tensor, Tensor | None]:
    torch.manual_seed(seed)
    return (torch.randn(n, d).requires_grad_(), (torch.randn(o, d) / d**0.5).requires_grad_(),
            torch.randn(o).requires_grad_() if bias else None)


def off(got: Tensor | None, want: Tensor | None) -> float:
    assert got is not None and want is not None and got.shape == want.shape
    return ((got.double() - want).abs().max() / want.abs().max().clamp(min=1e-9)).item()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("bias", [False, True])
def test_forward_and_gradients(shape: tuple[int, int, int], bias: bool) -> None:
    given = case(*shape, bias)
    wide = [None if p is None else p.detach().double().requires_grad_() for p in given]
    got, want = linear(*given), reference.linear(*wide)  # type: ignore[arg-type]
    assert got.dtype == torch.float32 and off(got.detach(), want.detach()) <= LIMIT
    upstream = torch.randn_like(want)
    got.backward(upstream.float())
    want.backward(upstream)
    for mine, right in zip(given, wide, strict=True):
        if mine is not None and right is not None:
            assert off(mine.grad, right.grad) <= LIMIT


@pytest.mark.skipif(module.available() is not None, reason=str(module.available()))
def test_the_table_has_it_and_it_is_not_torchs() -> None:
    x, weight, _ = case(32, 32, 32)
    assert ops.get("linear") is linear and type(linear(x, weight).grad_fn).__name__ == "_LinearBackward"


def test_more_axes_and_strided_inputs() -> None:
    x, weight, _ = case(60, 20, 19)
    for view in (x.view(3, 4, 5, 20), x.view(5, 12, 20).transpose(0, 1), x.T.contiguous().T):
        got, want = linear(view, weight), reference.linear(view, weight)
        torch.testing.assert_close(got, want)
        grads = [torch.autograd.grad(y.square().sum(), (x, weight), retain_graph=True) for y in (got, want)]
        for mine, right in zip(*grads, strict=True):
            torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-4)


def test_a_gradient_that_was_expanded() -> None:
    x, weight, _ = case(32, 16, 16)
    linear(x, weight).sum().backward()
    torch.testing.assert_close(weight.grad, x.detach().sum(0).expand(16, 16), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_only_one_input_wants_a_gradient(which: int) -> None:
    given = case(32, 16, 16, True)
    for i, tensor in enumerate(given):
        assert tensor is not None
        tensor.requires_grad_(i == which)
    linear(*given).square().sum().backward()
    assert [tensor is not None and tensor.grad is not None for tensor in given] == [i == which for i in range(3)]
    with torch.no_grad():
        assert not linear(*given).requires_grad


def test_one_weight_in_two_places_and_accumulated_gradients() -> None:
    x, weight, _ = case(32, 16, 16)
    for _ in range(2):  # the second backward adds to .grad
        linear(linear(x, weight), weight).square().mean().backward()
    wide = [p.detach().double().requires_grad_() for p in (x, weight)]
    (2 * reference.linear(reference.linear(wide[0], wide[1]), wide[1]).square().mean()).backward()
    assert off(weight.grad, wide[1].grad) < 4 * LIMIT and off(x.grad, wide[0].grad) < 4 * LIMIT


def test_a_weight_changed_before_the_backward_is_torchs_error() -> None:
    x, weight, _ = case(32, 16, 16)
    y = linear(x, weight)
    with torch.no_grad():
        weight.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_autocast_is_left_to_torch() -> None:
    x, weight, _ = case(32, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(linear(x, weight), reference.linear(x, weight))


def test_wrong_shapes_and_dtypes_are_torchs_errors() -> None:
    x, weight, _ = case(32, 17, 16)
    with pytest.raises(RuntimeError):
        linear(x[:, :16], weight)
    with pytest.raises(RuntimeError):
        linear(x, weight.double())
    with pytest.raises(RuntimeError):
        linear(x, weight, torch.zeros(3))


def test_no_rows() -> None:
    _, weight, _ = case(1, 16, 20)
    assert linear(torch.zeros(0, 16), weight).shape == (0, 20)
    assert linear(torch.zeros(3, 0, 16), weight).shape == (3, 0, 20)


def test_a_copy_is_kept_until_the_weight_changes() -> None:
    _, weight, _ = case(1, 8, 6)
    copy = in_dtype(weight, torch.bfloat16)
    assert in_dtype(weight, torch.bfloat16) is copy and torch.equal(copy, weight.detach().bfloat16())
    with torch.no_grad():
        weight.add_(1.0)
    changed = in_dtype(weight, torch.bfloat16)
    assert torch.equal(changed, weight.detach().bfloat16()) and not torch.equal(changed, copy)
    weight.data = weight.data.clone() * 2
    assert torch.equal(in_dtype(weight, torch.bfloat16), weight.detach().bfloat16())
    assert in_dtype(weight, torch.float32).data_ptr() == weight.data_ptr()
