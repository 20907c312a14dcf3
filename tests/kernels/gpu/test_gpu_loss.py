"""Linear cross entropy and log-probabilities in Triton against the reference in fp64, forward and every gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nimllm.kernels import reference
from nimllm.kernels.gpu import loss as fused

EPS = {torch.float32: 2.0**-23, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
FACTOR = {torch.float32: 32.0, torch.float16: 3.0, torch.bfloat16: 3.0}  # a few roundings of logits of size about 3
SHAPES = [(1, 3, 2), (7, 5, 11), (37, 33, 257), (130, 16, 4096), (5, 24, 9001)]
CASES = [*((*shape, torch.float32) for shape in SHAPES),
         *((*shape, dtype) for shape in SHAPES[::2] for dtype in (torch.float16, torch.bfloat16))]


def case(device: torch.device, n: int, d: int, v: int, dtype: torch.dtype, ignored: float = 0.3
         ) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(n)
    hidden = torch.randn(n, d).to(device, dtype).requires_grad_()
    weight = (torch.randn(v, d) / d**0.5).to(device, dtype).requires_grad_()
    targets = torch.where(torch.rand(n) < ignored, -100, torch.randint(v, (n,)))
    targets[0] = v - 1
    return hidden, weight, targets.to(device)


def wide(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().double().requires_grad_() for tensor in tensors]


def logprobs64(hidden: Tensor, weight: Tensor, targets: Tensor, ignore: int = -100) -> Tensor:
    """In fp64 throughout, which the reference is not."""
    picked = (hidden @ weight.T).log_softmax(-1).gather(1, targets.clamp(min=0)[:, None]).squeeze(1)
    return torch.where(targets != ignore, picked, 0.0)


def agree(got: Tensor | None, want: Tensor | None, dtype: torch.dtype) -> None:
    assert got is not None and want is not None
    error = (got.double() - want.double()).abs().max().item()
    limit = FACTOR[dtype] * EPS[dtype] * max(want.double().abs().max().item(), 1e-2)
    assert error <= limit, f"error {error:.3g}, limit {limit:.3g}"


@pytest.mark.parametrize("n,d,v,dtype", CASES)
def test_cross_entropy_and_its_gradients(device: torch.device, dtype: torch.dtype, n: int, d: int, v: int) -> None:
    hidden, weight, targets = case(device, n, d, v, dtype)
    got = fused.linear_cross_entropy(hidden, weight, targets, chunk=64)
    (got * 1.5).backward()
    hidden64, weight64 = wide(hidden, weight)
    want = -logprobs64(hidden64, weight64, targets).sum() / (targets != -100).sum()
    (want * 1.5).backward()
    assert got.dtype == torch.float32 and got.dim() == 0
    agree(got, want, dtype)
    assert hidden.grad is not None and hidden.grad.dtype == dtype == hidden.dtype
    agree(hidden.grad, hidden64.grad, dtype)
    agree(weight.grad, weight64.grad, dtype)


@pytest.mark.parametrize("n,d,v,dtype", CASES)
def test_logprobs_and_their_gradients(device: torch.device, dtype: torch.dtype, n: int, d: int, v: int) -> None:
    hidden, weight, targets = case(device, n, d, v, dtype)
    upstream = torch.randn(n).to(device)
    got = fused.token_logprobs(hidden, weight, targets, chunk=50)
    got.backward(upstream)
    hidden64, weight64 = wide(hidden, weight)
    want = logprobs64(hidden64, weight64, targets)
    want.backward(upstream.double())
    assert got.dtype == torch.float32 and got.shape == (n,)
    assert not got[targets == -100].any()
    agree(got, want, dtype)
    agree(hidden.grad, hidden64.grad, dtype)
    agree(weight.grad, weight64.grad, dtype)


def test_the_loss_is_the_mean_of_the_logprobs(device: torch.device) -> None:
    hidden, weight, targets = case(device, 40, 16, 50, torch.float32)
    loss = fused.linear_cross_entropy(hidden, weight, targets)
    each = fused.token_logprobs(hidden, weight, targets)
    assert loss.item() == pytest.approx(-each.sum().item() / int((targets != -100).sum()), rel=1e-6)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("op", [fused.linear_cross_entropy, fused.token_logprobs])
def test_gradient_of_one_input_only(device: torch.device, op, which: int) -> None:  # type: ignore[no-untyped-def]
    hidden, weight, targets = case(device, 20, 8, 30, torch.float32)
    both = [torch.autograd.grad(op(hidden, weight, targets).sum(), x)[0] for x in (hidden, weight)]
    (weight, hidden)[which].requires_grad_(False)
    op(hidden, weight, targets).sum().backward()
    assert torch.equal((hidden, weight)[which].grad, both[which])  # type: ignore[arg-type]
    assert (weight, hidden)[which].grad is None


def test_nothing_kept_is_zero_with_zero_gradients(device: torch.device) -> None:
    hidden, weight, targets = case(device, 6, 8, 5, torch.float32)
    targets.fill_(-100)
    loss = fused.linear_cross_entropy(hidden, weight, targets)
    loss.backward()
    assert loss.item() == 0.0
    assert hidden.grad is not None and weight.grad is not None
    assert not hidden.grad.any() and not weight.grad.any()


def test_no_rows(device: torch.device) -> None:
    hidden, weight, targets = case(device, 1, 8, 5, torch.float32)
    assert fused.linear_cross_entropy(hidden[:0], weight, targets[:0]).item() == 0.0
    assert fused.token_logprobs(hidden[:0], weight, targets[:0]).shape == (0,)


def test_an_ignored_row_of_nan_harms_nobody_but_itself(device: torch.device) -> None:
    hidden, weight, targets = case(device, 6, 8, 5, torch.float32, ignored=0.0)
    targets[2] = 3
    kept = [0, 1, 3, 4, 5]
    want = reference.token_logprobs(hidden[kept], weight, targets[kept])
    targets[2] = -100
    with torch.no_grad():
        hidden[2] = float("nan")
    got = fused.token_logprobs(hidden, weight, targets)
    assert got[2] == 0.0
    agree(got[kept], want, torch.float32)
    grads = torch.autograd.grad(got.sum(), hidden)[0]
    assert torch.equal(grads[2], torch.zeros_like(grads[2])) and grads.isfinite().all()
    assert fused.linear_cross_entropy(hidden, weight, targets).isfinite()


@pytest.mark.parametrize("target", [-1, 5, 1 << 40])
def test_a_target_outside_the_vocabulary_shows_itself(device: torch.device, target: int) -> None:
    hidden, weight, targets = case(device, 6, 8, 5, torch.float32)
    targets[3] = target
    assert fused.linear_cross_entropy(hidden, weight, targets).isnan()
    assert fused.token_logprobs(hidden, weight, targets)[3].isnan()


def test_logits_of_minus_infinity(device: torch.device) -> None:
    """A first block of nothing but -inf: the running maximum must not become NaN."""
    logits = torch.full((1, 9000), float("-inf"), device=device)
    logits[0, 8999], logits[0, 8998] = 1.0, 2.0
    logprob, norm = torch.empty(1, device=device), torch.empty(1, device=device)
    fused.log_softmax_rows(logits, torch.tensor([8999], device=device), logprob, norm, -100, gradient=True)
    assert norm.item() == pytest.approx(2.3132617, rel=1e-6)
    assert logprob.item() == pytest.approx(-1.3132617, rel=1e-6)
    assert logits[0, :8998].eq(0).all() and logits[0, 8999].item() == pytest.approx(0.2689414 - 1, rel=1e-5)


def test_autocast_multiplies_in_its_dtype(device: torch.device) -> None:
    hidden, weight, targets = case(device, 65, 48, 99, torch.float32)
    with torch.autocast(device.type, torch.bfloat16):
        loss = fused.linear_cross_entropy(hidden, weight, targets)
        each = fused.token_logprobs(hidden, weight, targets)
    (loss + each.sum() * 0).backward()
    want = reference.linear_cross_entropy(*wide(hidden, weight), targets)
    assert hidden.grad is not None and hidden.grad.dtype == torch.float32
    assert 1e-6 < abs(loss.item() - want.item()) < 2.0**-8 * 8  # bf16 was used, and no worse
    agree(each.detach(), reference.token_logprobs(hidden, weight, targets).detach(), torch.bfloat16)


def test_second_backward(device: torch.device) -> None:
    hidden, weight, targets = case(device, 20, 8, 30, torch.float32)
    loss = fused.linear_cross_entropy(hidden, weight, targets)
    once = torch.autograd.grad(loss, hidden, retain_graph=True)[0]
    assert torch.equal(once, torch.autograd.grad(loss, hidden)[0])


def test_shapes_that_do_not_belong_together(device: torch.device) -> None:
    hidden, weight, targets = case(device, 6, 8, 5, torch.float32)
    with pytest.raises(ValueError, match="hidden"):
        fused.linear_cross_entropy(hidden[:, :7], weight, targets)
    with pytest.raises(ValueError, match="targets"):
        fused.token_logprobs(hidden, weight, targets[:5])


def test_rows_beyond_two_to_the_31(device: torch.device) -> None:
    """Offsets of 64 bits: the fourth row begins 3 * 2^30 elements in. The memory between the rows is never touched."""
    stride, v = 2**30, 70
    try:
        memory = torch.empty(3 * stride + v, dtype=torch.float16, device=device)
    except (RuntimeError, torch.OutOfMemoryError):
        pytest.skip("no 6 GiB of address space")
    logits = torch.as_strided(memory, (4, v), (stride, 1))
    logits.copy_(torch.randn(4, v))
    want = logits.double().log_softmax(-1)
    targets = torch.tensor([3, 69, 0, 5], device=device)
    logprobs, norms = torch.empty(4, device=device), torch.empty(4, device=device)
    fused.log_softmax_rows(logits, targets, logprobs, norms, -100, gradient=False)
    agree(logprobs, want.gather(1, targets[:, None]).squeeze(1), torch.float32)
    fused.logprob_gradient_rows(logits, targets, norms, torch.ones(4, device=device), -100)
    one_hot = torch.nn.functional.one_hot(targets, v)
    agree(logits, one_hot - want.exp(), torch.float16)
