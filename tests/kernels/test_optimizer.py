"""Clip + AdamW in one pass: against the reference in fp64, against torch's own, and with other numbers of threads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nimllm.kernels import native, reference
from nimllm.kernels.optimizer import clip_adamw

pytestmark = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))
BETAS, EPS = (0.9, 0.95), 1e-8
SHAPES = [(1,), (3, 5), (128, 130), (16385,), (0,), (33000,)]


@pytest.fixture(autouse=True)
def as_it_was():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    native.limit_isa("avx512bf16")


def case(seed: int = 0, size: float = 1.0) -> tuple[list[Tensor], ...]:
    torch.manual_seed(seed)
    params, grads, first = ([torch.randn(shape) * scale for shape in SHAPES] for scale in (1.0, size, 0.1))
    return params, grads, first, [torch.rand(shape) * 0.01 for shape in SHAPES]


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
@pytest.mark.parametrize("max_norm", [None, 1.0, 1e9, float("inf")])
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_as_the_reference(isa: str, max_norm: float | None, step: int) -> None:
    if native.limit_isa(isa) != isa:
        pytest.skip(f"this processor has no {isa}")
    mine, wide = case(step), tuple([t.double() for t in tensors] for tensors in case(step))
    decays = [0.1 * i for i in range(len(SHAPES))]
    norm = clip_adamw(*mine, step, 3e-3, BETAS, EPS, decays, max_norm)
    want = torch.linalg.vector_norm(torch.cat([g.flatten() for g in wide[1]]))
    assert norm.item() == pytest.approx(want.item(), rel=1e-6)
    reference.clip_adamw(*wide, step, 3e-3, BETAS, EPS, decays, max_norm)
    for got_list, want_list in zip(mine, wide, strict=True):
        for got, right in zip(got_list, want_list, strict=True):
            # a few roundings of values up to 4, and the reference's own fp32 copies
            torch.testing.assert_close(got, right.float(), rtol=16 * 2.0**-23, atol=8 * 2.0**-23)


def test_ten_steps_as_torchs_own() -> None:
    params = case()[0]
    theirs = [p.clone().requires_grad_() for p in params]
    optimizer = torch.optim.AdamW(theirs, lr=1e-2, betas=BETAS, eps=EPS, weight_decay=0.1)
    first, second = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    for step in range(1, 11):
        grads = case(step, 0.01)[1]
        for p, g in zip(theirs, grads, strict=True):
            p.grad = g.clone()
        torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        optimizer.step()
        clip_adamw(params, grads, first, second, step, 1e-2, BETAS, EPS, 0.1, 0.5)
    for got, want in zip(params, theirs, strict=True):
        torch.testing.assert_close(got, want.detach(), rtol=1e-5, atol=1e-5)


def test_the_same_bits_with_any_number_of_threads() -> None:
    results = []
    for threads in (1, 2, 5, 2):
        torch.set_num_threads(threads)
        mine = case()
        norm = clip_adamw(*mine, 3, 1e-2, BETAS, EPS, 0.1, 1.0)
        results.append([norm, *(t for tensors in mine for t in tensors)])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_gradients_keep_their_values_and_versions_rise() -> None:
    params, grads, first, second = case(size=100.0)
    before, version = [g.clone() for g in grads], params[1]._version
    clip_adamw(params, grads, first, second, 1, 1e-2, BETAS, EPS, 0.0, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(grads, before, strict=True))
    assert params[1]._version > version


def test_other_dtypes_and_strides_go_to_the_reference() -> None:
    mine, wide = case(), tuple([t.double() for t in tensors] for tensors in case())
    turned = [g.T.contiguous().T if g.dim() == 2 else g for g in mine[1]]
    clip_adamw(mine[0], turned, *mine[2:], 1, 1e-2, BETAS, EPS, 0.1, 1.0)
    clip_adamw(*wide, 1, 1e-2, BETAS, EPS, 0.1, 1.0)
    for got, want in zip(mine[0], wide[0], strict=True):
        torch.testing.assert_close(got, want.float(), rtol=1e-5, atol=1e-5)


def test_a_nan_reaches_the_parameters() -> None:
    params, grads, first, second = case()
    grads[1][0, 0] = float("nan")
    assert torch.isnan(clip_adamw(params, grads, first, second, 1, 1e-2, BETAS, EPS, 0.0, 1.0))
    assert torch.isnan(params[0]).all()


def test_nothing_to_do_and_wrong_shapes() -> None:
    assert clip_adamw([], [], [], [], 1, 1e-2, BETAS, EPS, 0.1, 1.0).item() == 0.0
    params, grads, first, second = case()
    with pytest.raises(ValueError, match="length"):
        clip_adamw(params, grads[1:], first, second, 1, 1e-2, BETAS, EPS, 0.1, 1.0)
    with pytest.raises(ValueError, match="shapes"):
        clip_adamw(params, grads[::-1], first, second, 1, 1e-2, BETAS, EPS, 0.1, 1.0)
