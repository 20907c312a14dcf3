"""Muon's iteration on the Gram matrix is the one on the matrix itself."""

from __future__ import annotations

import pytest
import torch

from nimllm.kernels import newton_schulz

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def plain(x_mn: torch.Tensor, steps: int) -> torch.Tensor:
    a, b, c = COEFFICIENTS
    x_mn = x_mn.double()
    for _ in range(steps):
        gram = x_mn @ x_mn.mT
        x_mn = a * x_mn + (b * gram + c * gram @ gram) @ x_mn
    return x_mn


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
@pytest.mark.parametrize("decades", [0, 5])  # between the largest and the smallest singular value
def test_by_the_gram_matrix(steps: int, decades: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    left, right = (torch.linalg.qr(torch.randn(n, 48, generator=generator))[0] for n in (48, 130))
    x_mn = (left * torch.logspace(0, -decades, 48)) @ right.mT
    x_mn = x_mn / torch.linalg.matrix_norm(x_mn)
    have, want = newton_schulz._by_gram(x_mn, steps, COEFFICIENTS), plain(x_mn, steps)
    assert (have - want).norm() < 1e-3 * want.norm()


@pytest.mark.parametrize("shape", [(20, 40), (40, 20), (20, 24)])
def test_all_shapes_on_a_cpu_without_bf16(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]) -> None:
    monkeypatch.setattr(newton_schulz, "_multiplies_bf16", lambda: False)
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    have = newton_schulz.newton_schulz(matrices).float()
    for matrix, found in zip(matrices, have, strict=True):
        x_mn = matrix.bfloat16().double()
        x_mn = x_mn / torch.linalg.matrix_norm(x_mn)
        want = plain(x_mn.mT, 5).mT if shape[0] > shape[1] else plain(x_mn, 5)
        assert (found - want).norm() < 0.01 * want.norm()
