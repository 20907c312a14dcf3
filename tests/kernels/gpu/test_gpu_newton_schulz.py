"""Symmetric products and the Newton-Schulz iteration in Triton against plain torch and against torch.optim.Muon."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nimllm.kernels import reference
from nimllm.kernels.gpu import newton_schulz as fused

EPS = {torch.float32: 2.0**-23, torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}
# tiles are 32 x 32 in the interpreter
SHAPES = [(1, 1, 1), (3, 5, 7), (1, 64, 64), (1, 33, 100), (1, 67, 40), (2, 40, 17)]


def matrices(device: torch.device, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(device, dtype)


CASES = [*((shape, torch.float32) for shape in SHAPES),
         *((shape, dtype) for shape in SHAPES[1::2] for dtype in (torch.float16, torch.bfloat16))]


@pytest.mark.parametrize("shape,dtype", CASES, ids=str)
def test_symmetric_product(device: torch.device, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    x = matrices(device, shape, dtype)
    added = matrices(device, (shape[0], shape[1], shape[1]), dtype)
    added = (added + added.mT).contiguous()
    got = fused.symmetric_product(x, 2.0315, added, -4.775)
    want = 2.0315 * (x.double() @ x.double().mT) - 4.775 * added.double()
    assert got.dtype == dtype
    assert torch.equal(got, got.mT)  # to the bit: the upper triangle is a copy
    # fp32 sums of products as large as the diagonal, then one rounding
    limit = EPS[dtype] * want.abs().max() + 8 * 2.0**-23 * want.abs().max()
    if device.type == "cuda" and dtype == torch.float32:
        limit = 2.0**-9 * want.abs().max()  # tl.dot takes tf32 there
    assert (got.double() - want).abs().max() <= limit
    assert torch.equal(fused.symmetric_product(x), fused.symmetric_product(x, 1.0, torch.zeros_like(added), 1.0))


def test_rows_of_a_wider_matrix(device: torch.device) -> None:
    wide = matrices(device, (2, 40, 90))
    part = wide[:, 3:40, 5:60]
    torch.testing.assert_close(fused.symmetric_product(part), fused.symmetric_product(part.contiguous()))


@pytest.mark.parametrize("shape,dtype", CASES, ids=str)
def test_newton_schulz_is_the_reference(device: torch.device, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    x = matrices(device, shape, dtype)
    got, want = fused.newton_schulz(x), reference.newton_schulz(x)
    assert got.dtype == torch.bfloat16 and got.shape == x.shape
    # five steps, each the size of the coefficients' sum in roundings of bf16: both are this far from fp64's iteration
    exact = iterate(x.double())
    error, theirs = ((y.double() - exact).abs().max().item() for y in (got, want))
    assert error <= max(1.5 * theirs, 0.05), f"error {error:.3g}, the reference's {theirs:.3g}"


def iterate(x: Tensor) -> Tensor:
    """The definition, in fp64."""
    x = x / torch.linalg.matrix_norm(x, keepdim=True)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


@pytest.mark.parametrize("shape", [(5, 7), (64, 48)])
def test_it_is_muons(device: torch.device, shape: tuple[int, int]) -> None:
    """One step of torch.optim.Muon without momentum or decay moves a weight by lr * the direction."""
    gradient = matrices(device, shape)
    weight = torch.nn.Parameter(torch.zeros(shape, device=device))
    weight.grad = gradient
    torch.optim.Muon([weight], lr=1.0, weight_decay=0.0, momentum=0.0, nesterov=False).step()
    want = -weight.detach() / max(1.0, shape[0] / shape[1]) ** 0.5
    torch.testing.assert_close(fused.newton_schulz(gradient).float(), want, rtol=0, atol=0.03)


def test_singular_values_come_near_one(device: torch.device) -> None:
    values = torch.linalg.svdvals(fused.newton_schulz(matrices(device, (2, 48, 80)) * 1e-3).float())
    assert values.min() > 0.5 and values.max() < 1.4


def test_zeros_stay_zeros_and_nothing_is_nan(device: torch.device) -> None:
    assert not fused.newton_schulz(torch.zeros(1, 8, 9, device=device)).any()
    assert fused.newton_schulz(torch.zeros(0, 8, 9, device=device)).shape == (0, 8, 9)


def test_any_number_of_leading_axes(device: torch.device) -> None:
    x = matrices(device, (2, 3, 6, 9))
    assert torch.equal(fused.newton_schulz(x)[1, 2], fused.newton_schulz(x[1, 2]))


def test_what_it_refuses(device: torch.device) -> None:
    with pytest.raises(ValueError, match="matrices"):
        fused.newton_schulz(torch.zeros(8, device=device))
    with pytest.raises(ValueError, match="matrices"):
        fused.newton_schulz(torch.zeros(8, 8, dtype=torch.int32, device=device))


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(2, 512, 1536), (1, 1024, 1024), (1, 700, 800)])
def test_large_ones_with_the_gpus_own_bf16_dot(device: torch.device, shape: tuple[int, ...]) -> None:
    x = matrices(device, shape, torch.bfloat16)
    got, want = fused.symmetric_product(x), x.double() @ x.double().mT
    assert torch.equal(got, got.mT)
    assert (got.double() - want).abs().max() <= 2.0**-7 * want.abs().max()
    values = torch.linalg.svdvals(fused.newton_schulz(x).float())
    assert values.max() < 1.4
