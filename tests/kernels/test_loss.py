"""Chunked linear cross entropy against the plain one in fp64, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nimllm.kernels import native
from nimllm.kernels.loss import linear_cross_entropy_chunked, linear_cross_entropy_cpp
from nimllm.kernels.reference import linear_cross_entropy

# errors are a few roundings of logits of size about 3, relative to the largest gradient
LIMIT = {torch.float32: 64 * 2.0**-23, torch.bfloat16: 2 * 2.0**-8}


def case(n: int, d: int, v: int, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    hidden = torch.randn(n, d).to(dtype).requires_grad_()
    weight = (torch.randn(v, d) / d**0.5).to(dtype).requires_grad_()
    return hidden, weight, torch.randint(v, (n,))


def truth(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    wide = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    logits = wide[0] @ wide[1].T
    kept = targets != -100
    picked = logits.log_softmax(-1)[kept].gather(1, targets[kept, None])
    loss = -picked.sum() / max(int(kept.sum()), 1)
    loss.backward()
    assert wide[0].grad is not None and wide[1].grad is not None
    return loss.detach(), wide[0].grad, wide[1].grad


def off(got: Tensor | None, want: Tensor) -> float:
    assert got is not None
    return ((got.double() - want).abs().max() / want.abs().max().clamp(min=1e-12)).item()


NATIVE = pytest.param(
    linear_cross_entropy_cpp, marks=pytest.mark.skipif(native.available() is not None, reason=str(native.available()))
)
OWN = pytest.mark.parametrize("own", [linear_cross_entropy_chunked, NATIVE])


@pytest.mark.parametrize("implementation", [linear_cross_entropy, linear_cross_entropy_chunked, NATIVE])
@pytest.mark.parametrize("dtype", LIMIT)
@pytest.mark.parametrize("n,d,v", [(1, 3, 2), (7, 5, 11), (130, 33, 257), (1031, 64, 300)])
@pytest.mark.parametrize("ignored", [0.0, 0.4])
def test_loss_and_gradients(implementation, dtype, n, d, v, ignored) -> None:  # type: ignore[no-untyped-def]
    hidden, weight, targets = case(n, d, v, dtype)
    targets[torch.rand(n) < ignored] = -100
    targets[0] = 0
    loss = implementation(hidden, weight, targets)
    loss.backward()
    want, want_hidden, want_weight = truth(hidden, weight, targets)
    assert loss.dtype == torch.float32 and loss.dim() == 0
    assert abs(loss.item() - want.item()) <= LIMIT[dtype] * max(1.0, want.item())
    assert hidden.grad is not None and hidden.grad.dtype == dtype
    assert off(hidden.grad, want_hidden) <= LIMIT[dtype]
    assert off(weight.grad, want_weight) <= LIMIT[dtype]


@OWN
def test_the_chunk_changes_nothing(own) -> None:  # type: ignore[no-untyped-def]
    results = []
    for chunk in (1, 16, 100, 4096):
        hidden, weight, targets = case(101, 32, 77, torch.float32)
        own(hidden, weight, targets, chunk=chunk).backward()
        results.append((hidden.grad, weight.grad))
    for other in results[1:]:
        assert off(other[0], results[0][0].double()) < 1e-5  # type: ignore[union-attr]
        assert off(other[1], results[0][1].double()) < 1e-5  # type: ignore[union-attr]


@OWN
def test_autocast_multiplies_in_bf16_and_returns_fp32_gradients(own) -> None:  # type: ignore[no-untyped-def]
    hidden, weight, targets = case(65, 48, 99, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = own(hidden, weight, targets)
    loss.backward()
    want, want_hidden, want_weight = truth(hidden, weight, targets)
    assert hidden.grad is not None and hidden.grad.dtype == torch.float32
    assert 1e-6 < abs(loss.item() - want.item()) < LIMIT[torch.bfloat16] * 5  # bf16 was used, and no worse
    assert off(hidden.grad, want_hidden) < 3 * 2.0**-8
    assert off(weight.grad, want_weight) < 3 * 2.0**-8


@OWN
def test_other_ignored_value(own) -> None:  # type: ignore[no-untyped-def]
    hidden, weight, targets = case(9, 8, 5, torch.float32)
    targets[::2] = 3
    got = own(hidden, weight, targets, ignore_index=3)
    want = linear_cross_entropy(hidden, weight, targets, ignore_index=3)
    assert got.item() == pytest.approx(want.item(), rel=1e-6)


@OWN
def test_nothing_kept_is_zero_with_zero_gradients(own) -> None:  # type: ignore[no-untyped-def]
    hidden, weight, _ = case(6, 8, 5, torch.float32)
    targets = torch.full((6,), -100)
    loss = own(hidden, weight, targets)
    loss.backward()
    assert loss.item() == 0.0 == linear_cross_entropy(hidden, weight, targets).item()
    assert hidden.grad is not None and weight.grad is not None
    assert not hidden.grad.any() and not weight.grad.any()


@OWN
def test_an_ignored_row_of_nan_harms_nobody_but_itself(own) -> None:  # type: ignore[no-untyped-def]
    hidden, weight, targets = case(6, 8, 5, torch.float32)
    targets[2] = -100
    with torch.no_grad():
        hidden[2] = float("inf")
    loss = own(hidden, weight, targets)
    kept = [0, 1, 3, 4, 5]
    want = linear_cross_entropy(hidden[kept], weight, targets[kept])
    assert loss.item() == pytest.approx(want.item(), rel=1e-6)


@pytest.mark.parametrize("which", [0, 1])
@OWN
def test_gradient_of_one_input_only(own, which: int) -> None:  # type: ignore[no-untyped-def]
    hidden, weight, targets = case(20, 8, 30, torch.float32)
    (weight, hidden)[which].requires_grad_(False)
    own(hidden, weight, targets).backward()
    want = truth(hidden, weight, targets)[1 + which]
    assert off((hidden, weight)[which].grad, want) < 1e-5
    assert (weight, hidden)[which].grad is None


@OWN
def test_upstream_gradient_and_second_backward(own) -> None:  # type: ignore[no-untyped-def]
    hidden, weight, targets = case(20, 8, 30, torch.float32)
    loss = own(hidden, weight, targets) * 3.0
    loss.backward(retain_graph=True)
    loss.backward()
    assert off(hidden.grad, 6 * truth(hidden, weight, targets)[1]) < 1e-5


@OWN
def test_no_grad_keeps_no_graph(own) -> None:  # type: ignore[no-untyped-def]
    hidden, weight, targets = case(20, 8, 30, torch.float32)
    with torch.no_grad():
        loss = own(hidden, weight, targets)
    assert not loss.requires_grad
    assert loss.item() == pytest.approx(truth(hidden, weight, targets)[0].item(), rel=1e-6)


@NATIVE.marks[0]
@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
@pytest.mark.parametrize("dtype", LIMIT)
def test_every_instruction_set_agrees(isa: str, dtype: torch.dtype) -> None:
    try:
        if native.limit_isa(isa) != isa:
            pytest.skip(f"this processor has no {isa}")
        hidden, weight, targets = case(37, 16, 203, dtype)
        with torch.no_grad():
            hidden *= 20  # logits down to -100: the exponentials that vanish
        targets[::3] = -100
        loss = linear_cross_entropy_cpp(hidden, weight, targets)
        loss.backward()
        want, want_hidden, want_weight = truth(hidden, weight, targets)
        # of the largest logit, which is 60 here
        assert abs(loss.item() - want.item()) <= 60 * LIMIT[dtype] / 16
        if dtype == torch.float32:
            assert off(hidden.grad, want_hidden) <= 4 * LIMIT[dtype]
            assert off(weight.grad, want_weight) <= 4 * LIMIT[dtype]
    finally:
        native.limit_isa("avx512bf16")


@NATIVE.marks[0]
def test_no_rows_and_one_class() -> None:
    hidden, weight, targets = case(0, 8, 5, torch.float32)
    loss = linear_cross_entropy_cpp(hidden, weight, targets)
    loss.backward()
    assert loss.item() == 0.0 and weight.grad is not None and not weight.grad.any()
    hidden, weight, targets = case(3, 8, 1, torch.bfloat16)
    loss = linear_cross_entropy_cpp(hidden, weight, targets)
    loss.backward()
    assert loss.item() == 0.0 and hidden.grad is not None and not hidden.grad.any()


@NATIVE.marks[0]
@pytest.mark.parametrize("wrong", [5, -1, 2**40])
def test_a_target_outside_is_one_clear_error(wrong: int) -> None:
    hidden, weight, targets = case(6, 8, 5, torch.float32)
    targets[3] = wrong
    with pytest.raises(IndexError, match=str(wrong)):
        linear_cross_entropy_cpp(hidden, weight, targets)


@NATIVE.marks[0]
def test_a_logit_that_is_not_finite_is_a_loss_that_is_not_finite() -> None:
    for bad in (float("inf"), float("nan")):
        hidden, weight, targets = case(6, 8, 5, torch.float32)
        with torch.no_grad():
            hidden[2, 0] = bad
        assert not torch.isfinite(linear_cross_entropy_cpp(hidden, weight, targets))


@NATIVE.marks[0]
def test_a_weight_that_changes_is_cast_again() -> None:
    hidden, weight, targets = case(20, 8, 30, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        before = linear_cross_entropy_cpp(hidden, weight, targets)
        with torch.no_grad():
            weight.mul_(3.0)
        after = linear_cross_entropy_cpp(hidden, weight, targets)
    assert abs(after.item() - truth(hidden, weight, targets)[0].item()) < 0.1 < abs(after.item() - before.item())
