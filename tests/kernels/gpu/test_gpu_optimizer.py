"""Fused clipping and AdamW against torch's clip_grad_norm_ and AdamW in fp64, over several steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from nimllm.kernels import reference
from nimllm.kernels.gpu import optimizer

# around a chunk: 1024 in the interpreter, 16384 on a GPU, where one tensor is larger
SHAPES = [(5,), (33, 7), (1,), (29, 131), (1024,), (2, 8193 if torch.cuda.is_available() else 1025), (0,), (3, 4, 5)]
BETAS, EPSILON, DECAYS = (0.9, 0.95), 1e-8, [0.0, 0.1, 0.0, 0.1, 0.0, 0.1, 0.0, 0.2]
IMPLEMENTATIONS = [optimizer.clip_adamw, reference.clip_adamw]


def tensors(device: torch.device, seed: int, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(shape, generator=generator) * scale).to(device, dtype) for shape in SHAPES]


def truth(params: Sequence[Tensor], grads: Sequence[Sequence[Tensor]], lrs: Sequence[float], max_norm: float | None
          ) -> tuple[list[Tensor], list[float]]:
    """What torch makes of it in fp64: parameters at the end, the norm of every step."""
    wide = [param.double().requires_grad_() for param in params]
    groups = [{"params": [param], "weight_decay": decay} for param, decay in zip(wide, DECAYS, strict=True)]
    adamw = torch.optim.AdamW(groups, betas=BETAS, eps=EPSILON)
    norms = []
    for step_grads, lr in zip(grads, lrs, strict=True):
        for group in adamw.param_groups:
            group["lr"] = lr
        for param, grad in zip(wide, step_grads, strict=True):
            param.grad = grad.double()
        norms.append(torch.nn.utils.clip_grad_norm_(wide, math.inf if max_norm is None else max_norm).item())
        adamw.step()
    return [param.detach() for param in wide], norms


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("max_norm,held", [(1.0, "numbers"), (1e6, "tensors"), (None, "numbers"), (None, "tensors"),
                                           (math.inf, "tensors")])
def test_it_is_torchs(device: torch.device, implementation: Callable[..., Tensor], max_norm: float | None,
                      held: str) -> None:
    params, grads = tensors(device, 0), [tensors(device, seed, 0.3) for seed in (1, 2, 3)]
    first, second = ([torch.zeros_like(param) for param in params] for _ in range(2))
    lrs = [1e-2, 2e-2, 5e-3]
    want, norms = truth(params, grads, lrs, max_norm)
    kept = [grad.clone() for grad in grads[0]]
    for index, (step_grads, lr) in enumerate(zip(grads, lrs, strict=True)):
        numbers = (index + 1, lr) if held == "numbers" else (torch.tensor(index + 1.0, device=device),
                                                             torch.tensor(lr, device=device))
        norm = implementation(params, step_grads, first, second, *numbers, BETAS, EPSILON, DECAYS, max_norm)
        assert norm.dtype == torch.float32 and norm.device == params[0].device
        assert norm.item() == pytest.approx(norms[index], rel=1e-6)
    for got, right in zip(params, want, strict=True):
        # three steps of at most 2e-2: the error is one of the steps', a few roundings of the weight aside
        torch.testing.assert_close(got.double(), right, rtol=4 * 2.0**-23, atol=4e-8)
    assert all(torch.equal(grad, before) for grad, before in zip(grads[0], kept, strict=True))


@pytest.mark.parametrize("param_dtype,grad_dtype,state_dtype", [
    (torch.bfloat16, torch.bfloat16, torch.float32), (torch.float16, torch.float16, torch.float32),
    (torch.float32, torch.bfloat16, torch.float32), (torch.bfloat16, torch.bfloat16, torch.bfloat16)])
def test_other_dtypes(device: torch.device, param_dtype: torch.dtype, grad_dtype: torch.dtype,
                      state_dtype: torch.dtype) -> None:
    params, grads = tensors(device, 0, dtype=param_dtype), tensors(device, 1, dtype=grad_dtype)
    first, second = ([torch.zeros_like(param, dtype=state_dtype) for param in params] for _ in range(2))
    want, norms = truth(params, [grads], [0.1], 1.0)
    before = [param.double() for param in params]
    norm = optimizer.clip_adamw(params, grads, first, second, 1, 0.1, BETAS, EPSILON, DECAYS, 1.0)
    assert norm.item() == pytest.approx(norms[0], rel=1e-6)
    epsilon = {torch.float32: 2.0**-23, torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}[param_dtype]
    for got, right, old in zip(params, want, before, strict=True):
        torch.testing.assert_close(got.double(), right, rtol=epsilon, atol=1e-7)
        assert got.numel() == 0 or not torch.equal(got.double(), old)


def test_tensors_of_several_dtypes_share_one_norm(device: torch.device) -> None:
    params, grads = tensors(device, 0), tensors(device, 1, 100.0)
    for index in (0, 3):
        params[index], grads[index] = params[index].bfloat16(), grads[index].bfloat16()
    first, second = ([torch.zeros_like(param, dtype=torch.float32) for param in params] for _ in range(2))
    want, norms = truth(params, [grads], [0.1], 1.0)
    norm = optimizer.clip_adamw(params, grads, first, second, 1, 0.1, BETAS, EPSILON, DECAYS, 1.0)
    assert norm.item() == pytest.approx(norms[0], rel=1e-6)
    for index, (got, right) in enumerate(zip(params, want, strict=True)):
        torch.testing.assert_close(got.double(), right, rtol=2.0**-7 if index in (0, 3) else 1e-6, atol=1e-7)


def test_addresses_that_are_no_multiples_of_16(device: torch.device) -> None:
    memory = [torch.randn(4, 1000, device=device) for _ in range(2)]
    lists = [[memory[0][index, 1:].clone()] for index in range(4)]
    odd = [[memory[1][index, 1 + index:]] for index in range(4)]
    for one, other in zip(lists, odd, strict=True):
        one[0] = one[0][:990].clone()
        other[0] = other[0][:990].copy_(one[0])
    for second in (lists[3], odd[3]):
        second[0].abs_()
    norms = [optimizer.clip_adamw(*each, 3, 1e-2, BETAS, EPSILON, 0.1, 1.0) for each in (lists, odd)]
    assert torch.equal(norms[0], norms[1])
    assert all(torch.equal(one[0], other[0]) for one, other in zip(lists, odd, strict=True))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_not_hidden(device: torch.device, bad: float) -> None:
    params, grads = tensors(device, 0), tensors(device, 1)
    grads[3][5, 5] = bad
    first, second = ([torch.zeros_like(param) for param in params] for _ in range(2))
    norm = optimizer.clip_adamw(params, grads, first, second, 1, 1e-2, BETAS, EPSILON, 0.0, 1.0)
    assert not norm.isfinite()
    assert params[3][5, 5].isnan()


def test_the_same_bits_every_time_and_tables_for_new_tensors(device: torch.device) -> None:
    results = []
    for _ in range(3):
        params, grads = tensors(device, 0), tensors(device, 1)
        first, second = ([torch.zeros_like(param) for param in params] for _ in range(2))
        norm = optimizer.clip_adamw(params, grads, first, second, 1, 1e-2, BETAS, EPSILON, 0.1, 1.0)
        results.append([norm, *params])
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


def test_what_it_refuses(device: torch.device) -> None:
    params, grads = tensors(device, 0), tensors(device, 1)
    states = [torch.zeros_like(param) for param in params]
    with pytest.raises(ValueError, match="differ in length"):
        optimizer.clip_adamw(params, grads[1:], states, states, 1, 1e-2, BETAS, EPSILON, 0.1, 1.0)
    with pytest.raises(ValueError, match="exp_avg 1 must be contiguous"):
        turned = [states[0], torch.zeros(7, 33, device=device).T, *states[2:]]
        optimizer.clip_adamw(params, grads, turned, states, 1, 1e-2, BETAS, EPSILON, 0.1, 1.0)
    with pytest.raises(ValueError, match="gradient 0 must be"):
        optimizer.clip_adamw(params, [grads[0][:3], *grads[1:]], states, states, 1, 1e-2, BETAS, EPSILON, 0.1, 1.0)
    with pytest.raises(ValueError, match="parameter 2 is torch"):
        optimizer.clip_adamw([*params[:2], params[2].double(), *params[3:]], grads, states, states, 1, 1e-2, BETAS,
                             EPSILON, 0.1, 1.0)


def test_a_gradient_may_be_turned(device: torch.device) -> None:
    grad = torch.randn(7, 33, generator=torch.Generator().manual_seed(0)).to(device)
    results = []
    for one in (grad.T, grad.T.contiguous()):
        three = [[torch.ones(33, 7, device=device)] for _ in range(3)]
        norm = optimizer.clip_adamw(three[0], [one], three[1], three[2], 1, 1e-2, BETAS, EPSILON, 0.1, 1.0)
        results.append([norm, *(each[0] for each in three)])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_nothing_to_do(device: torch.device) -> None:
    assert optimizer.clip_adamw([], [], [], [], 1, 1e-2, BETAS, EPSILON, 0.1, 1.0).item() == 0.0
    empty = [torch.zeros(0, device=device)]
    assert optimizer.clip_adamw(empty, empty, empty, empty, 1, 1e-2, BETAS, EPSILON, 0.1, 1.0).item() == 0.0
