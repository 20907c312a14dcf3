"""Linear layers against plain ones in fp64, forward and every gradient; the kept copies of weights; uses of one weight
in several places."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nimllm.kernels import native, ops, reference
from nimllm.kernels.linear import in_dtype, linear, linears

pytestmark = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))
# of the largest value: fp32 sums of up to 300 terms in another order; in bf16 operands, result and gradients are rounded
LIMIT = {torch.float32: 32 * 2.0**-23, torch.bfloat16: 3 * 2.0**-8}
SHAPES = [(1, 3, (2,)), (16, 16, (16,)), (37, 33, (7, 5)), (130, 64, (96, 32, 32)), (300, 65, (257, 1))]


def case(n: int, d: int, rows: tuple[int, ...], bias: bool, seed: int = 0) -> tuple[Tensor, list[Tensor], list]:
    torch.manual_seed(seed)
    x = torch.randn(n, d).requires_grad_()
    weights = [(torch.randn(o, d) / d**0.5).requires_grad_() for o in rows]
    return x, weights, [torch.randn(o).requires_grad_() if bias and i != 1 else None for i, o in enumerate(rows)]


def off(got: Tensor | None, want: Tensor | None) -> float:
    assert got is not None and want is not None
    return ((got.double() - want).abs().max() / want.abs().max().clamp(min=1e-9)).item()


@pytest.mark.parametrize("function", [linears, reference.linears])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("how", ["fp32", "bf16", "autocast"])
def test_forward_and_gradients(function, shape, bias: bool, how: str) -> None:  # type: ignore[no-untyped-def]
    x, weights, biases = case(*shape, bias)
    if how == "bf16":
        x, *rest = [None if p is None else p.detach().bfloat16().requires_grad_() for p in (x, *weights, *biases)]
        weights, biases = rest[: len(weights)], rest[len(weights) :]  # type: ignore[assignment]
    given = [x, *weights, *(b for b in biases if b is not None)]
    wide = [p.detach().double().requires_grad_() for p in given]
    others = iter(wide[1 + len(weights) :])
    want = reference.linears(wide[0], wide[1 : 1 + len(weights)], [None if b is None else next(others) for b in biases])
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        got = function(x, weights, biases)
    limit = LIMIT[torch.float32 if how == "fp32" else torch.bfloat16]
    upstream = [torch.randn_like(y) for y in want]
    for mine, right in zip(got, want, strict=True):
        assert mine.dtype == (torch.float32 if how == "fp32" else torch.bfloat16) and mine.shape == right.shape
        assert off(mine.detach(), right.detach()) <= limit
    torch.autograd.backward(got, [u.to(y.dtype) for u, y in zip(upstream, got, strict=True)])
    torch.autograd.backward(want, upstream)
    for mine, right in zip(given, wide, strict=True):
        assert mine.grad is not None and mine.grad.dtype == mine.dtype
        assert off(mine.grad, right.grad) <= limit


def test_more_axes_and_strided_inputs() -> None:
    x, (weight,), _ = case(60, 20, (9,), False)
    for view in (x.view(3, 4, 5, 20), x.view(5, 12, 20).transpose(0, 1)):
        got = linear(view, weight)
        want = reference.linear(view, weight)
        torch.testing.assert_close(got, want)
        grads = [torch.autograd.grad(y.square().sum(), (x, weight), retain_graph=True) for y in (got, want)]
        for mine, right in zip(*grads, strict=True):
            torch.testing.assert_close(mine, right, rtol=1e-4, atol=1e-4)


def test_gradients_come_side_by_side_or_not() -> None:
    x, weights, _ = case(40, 24, (8, 16), False)
    with torch.autocast("cpu", torch.bfloat16):
        a, b = linears(x, weights)
    together = torch.cat((a.detach(), b.detach()), 1)
    torch.autograd.backward((a, b), together.split((8, 16), 1), retain_graph=True)
    first = [p.grad.clone() for p in (x, *weights)]  # type: ignore[union-attr]
    for p in (x, *weights):
        p.grad = None
    torch.autograd.backward((a, b), (a.detach().clone(), b.detach().contiguous()))
    assert all(torch.equal(one, p.grad) for one, p in zip(first, (x, *weights), strict=True))


@pytest.mark.parametrize("autocast", [False, True])
def test_an_output_that_nobody_uses_and_inputs_without_gradients(autocast: bool) -> None:
    x, weights, _ = case(32, 16, (8, 8, 4), False)
    weights[1].requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        linears(x, weights)[0].sum().backward()
        assert weights[1].grad is None and weights[0].grad is not None
        assert weights[2].grad is not None and not weights[2].grad.any()
        y = linear(x.detach(), weights[0])
        assert y.requires_grad and torch.autograd.grad(y.float().sum(), weights[0])[0].any()
        with torch.no_grad():
            assert not linear(x, weights[0]).requires_grad


def test_one_weight_in_two_places_and_accumulated_gradients() -> None:
    x, (weight,), _ = case(32, 16, (16,), False)
    for _ in range(2):  # the second backward adds to .grad
        with torch.autocast("cpu", torch.bfloat16):
            linear(linear(x, weight), weight).float().square().mean().backward()
    wide = [p.detach().double().requires_grad_() for p in (x, weight)]
    (2 * reference.linear(reference.linear(wide[0], wide[1]), wide[1]).square().mean()).backward()
    assert off(weight.grad, wide[1].grad) < 4 * 2.0**-8 and off(x.grad, wide[0].grad) < 4 * 2.0**-8


def test_a_copy_is_kept_until_a_weight_changes() -> None:
    _, weights, _ = case(1, 8, (4, 6), False)
    copy = in_dtype(weights, torch.bfloat16)
    assert in_dtype(weights, torch.bfloat16) is copy and torch.equal(copy, torch.cat(weights).detach().bfloat16())
    assert in_dtype(weights[::-1], torch.bfloat16) is not copy
    with torch.no_grad():
        weights[1].add_(1.0)
    changed = in_dtype(weights, torch.bfloat16)
    assert torch.equal(changed, torch.cat(weights).detach().bfloat16()) and not torch.equal(changed, copy)
    moved = weights[1].data.clone()
    weights[1].data = moved * 2
    assert torch.equal(in_dtype(weights, torch.bfloat16)[4:], (moved * 2).bfloat16())


def test_a_graph_keeps_the_weight_it_was_made_with() -> None:
    x, (weight,), _ = case(32, 16, (8,), False)
    with torch.autocast("cpu", torch.bfloat16):
        y = linear(x, weight)
        with torch.no_grad():
            weight.zero_()
        linear(x, weight)
    y.sum().backward()
    assert x.grad is not None and x.grad.any()


def test_wrong_shapes_and_dtypes_are_torchs_errors() -> None:
    x, (weight,), _ = case(32, 16, (8,), False)
    with pytest.raises(RuntimeError):
        linear(x[:, :15], weight)
    with pytest.raises(RuntimeError):
        linear(x, weight.double())


def test_the_table_has_them() -> None:
    assert ops.get("linear") is linear and ops.get("linears") is linears
