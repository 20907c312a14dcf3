"""RMSNorm, LayerNorm and the fused residual addition in Triton against the reference in fp32: results and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nimllm.kernels import reference
from nimllm.kernels.gpu.norms import add_layer_norm, add_rms_norm, layer_norm, rms_norm

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
SHAPES = [(1, 1), (1, 2), (2, 7), (3, 33, 65), (1, 2, 200), (33, 127), (2, 3, 5, 64), (70, 256)]
KINDS = ["rms", "layer", "layer+bias"]
HALVES = [torch.float16, torch.bfloat16]
CASES = [*((shape, kind, torch.float32) for shape in SHAPES for kind in KINDS),
         *((shape, kind, dtype) for shape in SHAPES[1::2] for kind in KINDS[::2] for dtype in HALVES)]
RESIDUALS = [*(((3, 7, 65), kind, used, torch.float32) for kind in KINDS for used in ("both", "norm", "sum")),
             *((shape, kind, "both", dtype) for shape in ((1, 3), (3, 7, 65)) for kind in KINDS for dtype in HALVES),
             *(((35, 128), kind, "both", torch.float32) for kind in KINDS)]


def limit(dtype: torch.dtype) -> float:
    """Of the greatest error as a part of the greatest magnitude: two roundings (the interpreter truncates); 16 in fp32.
    """
    return (16 if dtype == torch.float32 else 2) * torch.finfo(dtype).eps


def off(got: Tensor | None, want: Tensor) -> float:
    assert got is not None and got.shape == want.shape and got.isfinite().all()
    return ((got.double() - want.double()).abs().max() / want.double().abs().max().clamp(min=1.0)).item()


def norm(kind: str, module: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if kind == "rms":
        return module.rms_norm(x, weight, 1e-5)
    return module.layer_norm(x, weight, bias if kind == "layer+bias" else None, 1e-5)


class Kernels:
    rms_norm = staticmethod(rms_norm)
    layer_norm = staticmethod(layer_norm)


def case(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """x, weight and bias (fp32, as a model's parameters are), gradient of the result."""
    torch.manual_seed(0)
    x, dy = (torch.randn(shape) + 0.5).to(device, dtype), torch.randn(shape).to(device, dtype)
    weight, bias = (torch.randn(shape[-1], device=device) for _ in range(2))
    return [x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), dy]


def compare(kind: str, x: Tensor, weight: Tensor, bias: Tensor, dy: Tensor) -> None:
    y = norm(kind, Kernels, x, weight, bias)
    assert y.dtype == x.dtype
    wanted = [x, weight, bias][: 3 if kind == "layer+bias" else 2]
    got = [y, *torch.autograd.grad(y, wanted, dy)]
    wide = [a.detach().float().requires_grad_() for a in (x, weight, bias)]
    y = norm(kind, reference, *wide)
    want = [y, *torch.autograd.grad(y, wide[: len(wanted)], dy.float())]
    for name, a, b in zip(("y", "dx", "dweight", "dbias"), got, want, strict=False):
        # the gains' gradients sum over rows numbers that the reference has in fp32, too: never worse than a rounding
        assert off(a, b) <= limit(x.dtype), name
    assert [a.dtype for a in got[1:]] == [a.dtype for a in wanted]


@pytest.mark.parametrize("shape,kind,dtype", CASES, ids=str)
def test_result_and_gradients(shape, kind, dtype, device) -> None:  # type: ignore[no-untyped-def]
    if kind != "rms" and shape[-1] <= 2:
        pytest.skip("a row of two is its own deviation: the gradient is rounding alone")
    compare(kind, *case(shape, dtype, device))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(1, 40), d=st.integers(3, 150), kind=st.sampled_from(KINDS), dtype=st.sampled_from(DTYPES))
def test_any_shape(n, d, kind, dtype, device) -> None:  # type: ignore[no-untyped-def]
    compare(kind, *case((n, d), dtype, device))


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_in_the_activations_dtype(kind: str, device: torch.device) -> None:
    x, weight, bias, dy = case((9, 40), torch.bfloat16, device)
    compare(kind, x, *(a.detach().bfloat16().requires_grad_() for a in (weight, bias)), dy)


@pytest.mark.parametrize("shape,kind,used,dtype", RESIDUALS, ids=str)
def test_residual(kind, used, shape, dtype, device) -> None:  # type: ignore[no-untyped-def]
    x, weight, bias, dy = case(shape, dtype, device)
    residual, dsum = torch.randn(2, *shape).to(device, dtype)
    inputs = [x, residual.requires_grad_(), weight, *([bias] if kind == "layer+bias" else [])]
    name = "add_rms_norm" if kind == "rms" else "add_layer_norm"

    def run(function: Any, inputs: list[Tensor]) -> list[Tensor]:
        y, total = function(*inputs, eps=1e-5)
        assert y.dtype == total.dtype == inputs[0].dtype
        outs, douts = {"both": ((y, total), (dy, dsum)), "norm": ((y,), (dy,)), "sum": ((total,), (dsum,))}[used]
        grads = torch.autograd.grad(outs, inputs, [g.to(y.dtype) for g in douts], materialize_grads=True)
        return [y, total, *grads]

    wide = [a.detach().float().requires_grad_() for a in inputs]
    ours = {"add_rms_norm": add_rms_norm, "add_layer_norm": add_layer_norm}[name]
    for a, b in zip(run(ours, inputs), run(getattr(reference, name), wide), strict=True):
        assert off(a, b) <= limit(dtype)


def test_the_norm_is_of_the_stored_sum(device: torch.device) -> None:
    x, weight, _, _ = case((20, 64), torch.bfloat16, device)
    y, total = add_rms_norm(x, x.detach() * 0.37, weight, 1e-5)
    assert torch.equal(y, rms_norm(total, weight, 1e-5))


def test_residual_wider_than_the_branch(device: torch.device) -> None:
    """Under autocast a branch ends in bf16 and the residual stream is fp32: the sum is fp32, as torch's would be."""
    x, weight, _, _ = case((6, 33), torch.bfloat16, device)
    residual = torch.randn(6, 33, device=device).requires_grad_()
    y, total = add_rms_norm(x, residual, weight)
    assert y.dtype == total.dtype == torch.float32
    assert off(total, x + residual) == 0
    assert off(y, reference.rms_norm(x + residual, weight)) <= limit(torch.float32)
    dx, dresidual = torch.autograd.grad(y.sum() + total.sum(), (x, residual))
    assert dx.dtype == torch.bfloat16 and dresidual.dtype == torch.float32
    want = torch.autograd.grad(reference.rms_norm(x + residual, weight).sum() + (x + residual).sum(), residual)[0]
    assert off(dresidual, want) <= limit(torch.float32)
    assert off(dx, want) <= limit(torch.bfloat16)


def test_strided_rows_and_features_and_an_expanded_gradient(device: torch.device) -> None:
    x, weight, bias, _ = case((10, 40), torch.float32, device)
    for view in (x[:, :24], x[::2, 3:27], x[:24, :].mT[:24].mT, x[:, ::2][:, :12], x[:, None, :24].expand(-1, 3, -1)):
        d = view.shape[-1]
        got = torch.autograd.grad(layer_norm(view, weight[:d], bias[:d]).sum(), (x, weight, bias))
        want = torch.autograd.grad(reference.layer_norm(view, weight[:d], bias[:d]).sum(), (x, weight, bias))
        for a, b in zip(got, want, strict=True):
            assert off(a, b) <= limit(torch.float32)


def test_more_tiles_than_programs(device: torch.device) -> None:
    """Programs walk over tiles and sum the gains' gradients as they go."""
    compare("layer+bias", *case((1 << 14, 3) if device.type == "cuda" else (3000, 9), torch.float32, device))


def test_zeros_stay_zeros_and_large_rows_finite(device: torch.device) -> None:
    weight = torch.ones(16, device=device)
    x = torch.zeros(2, 16, device=device).requires_grad_()
    (dx,) = torch.autograd.grad(rms_norm(x, weight).sum(), x)
    assert (rms_norm(x, weight) == 0).all() and dx.isfinite().all()
    big = torch.full((1, 16), 3e18, device=device)
    assert off(rms_norm(big, weight), torch.ones_like(big)) < 1e-6


def test_nothing_to_do(device: torch.device) -> None:
    x, weight, bias, dy = case((0, 8), torch.float32, device)
    y = layer_norm(x, weight, bias)
    grads = torch.autograd.grad(y, (x, weight, bias), dy)
    assert y.shape == (0, 8) and (grads[1] == 0).all() and (grads[2] == 0).all()


def test_bad_input(device: torch.device) -> None:
    x, weight, bias, _ = case((4, 8), torch.float32, device)
    for call, words in (
        (lambda: rms_norm(x, weight[:7]), r"\(7,\)"),
        (lambda: rms_norm(x.double(), weight), "float64"),
        (lambda: layer_norm(x, weight, bias[:7]), r"\(7,\)"),
        (lambda: add_rms_norm(x, x[:3], weight), "residual"),
        (lambda: rms_norm(x[:, :0], weight[:0]), "1 to 32768"),
        (lambda: rms_norm(x, weight.to("meta")), "meta"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [512, 1000, 1024, 8192, 32768])
def test_training_shapes(d, kind, dtype, device) -> None:  # type: ignore[no-untyped-def]
    compare(kind, *case((4096, d), dtype, device))
