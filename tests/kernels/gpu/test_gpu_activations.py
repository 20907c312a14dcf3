"""SwiGLU, GELU and squared ReLU in Triton against the reference in fp64: results and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nimllm.kernels import reference
from nimllm.kernels.gpu.activations import gelu, relu2, swiglu, swiglu_fused

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
SHAPES = [(1,), (2, 7), (1, 33, 65), (3, 2, 200), (5, 127), (1, 1100)]
ALONE = {"gelu": (gelu, reference.gelu), "relu2": (relu2, reference.relu2)}


def limit(dtype: torch.dtype) -> float:
    return (16 if dtype == torch.float32 else 1.5) * torch.finfo(dtype).eps


def off(got: Tensor | None, want: Tensor) -> float:
    """The greatest error of an element as a part of itself, of 1 where it is less: each is rounded on its own."""
    assert got is not None and got.shape == want.shape and got.isfinite().all()
    return ((got.double() - want.double()).abs() / want.double().abs().clamp(min=1.0)).max().item()


def compare(x: Tensor, y: Tensor, dy: Tensor, kind: str) -> None:
    """``y`` is of x; for "fused" the gates and ups of one tensor."""
    function, truth, inputs = {
        "swiglu": (swiglu, reference.swiglu, (x, y)),
        "fused": (swiglu_fused, lambda z: reference.swiglu(*z.chunk(2, -1)), (torch.cat((x, y), -1),)),
        "gelu": (gelu, reference.gelu, (x,)),
        "relu2": (relu2, reference.relu2, (x,)),
    }[kind]
    inputs = [z.detach().requires_grad_() for z in inputs]
    out = function(*inputs)
    assert out.dtype == x.dtype
    got = [out, *torch.autograd.grad(out, inputs, dy)]
    wide = [z.detach().double().requires_grad_() for z in inputs]
    out = truth(*wide)
    for a, b in zip(got, [out, *torch.autograd.grad(out, wide, dy.double())], strict=True):
        assert off(a, b) <= limit(x.dtype)


def case(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    torch.manual_seed(0)
    return (torch.randn(3, *shape) * 3).to(device, dtype)


@pytest.mark.parametrize("kind", ["swiglu", "fused", "gelu", "relu2"])
@pytest.mark.parametrize("shape,dtype", [*((shape, torch.float32) for shape in SHAPES),
                                         *((shape, dtype) for shape in SHAPES[1::2] for dtype in DTYPES[1:])], ids=str)
def test_result_and_gradients(shape, kind, dtype, device) -> None:  # type: ignore[no-untyped-def]
    compare(*case(shape, dtype, device), kind)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(1, 40), f=st.integers(1, 300), kind=st.sampled_from(["swiglu", "fused", "gelu", "relu2"]),
       dtype=st.sampled_from(DTYPES))
def test_any_shape(n, f, kind, dtype, device) -> None:  # type: ignore[no-untyped-def]
    compare(*case((n, f), dtype, device), kind)


@pytest.mark.parametrize("kind", ["swiglu", "gelu", "relu2"])
def test_strides(kind: str, device: torch.device) -> None:
    x = case((8, 40), torch.float32, device)
    for view in (x[:, :, :24], x[:, ::2, 3:], x.mT, x[:, :, ::2], x[:, :1].expand(-1, 8, -1), x.mT[:, 1:]):
        compare(view[0], view[1], view[2], kind)


def test_the_fused_halves_are_those_of_one_tensor(device: torch.device) -> None:
    gate, up, dy = case((6, 20), torch.bfloat16, device)
    both = torch.cat((gate, up), -1).requires_grad_()
    out = swiglu_fused(both)
    assert torch.equal(out, swiglu(gate, up))
    (grad,) = torch.autograd.grad(out, both, dy)
    gate.requires_grad_(), up.requires_grad_()
    assert torch.equal(grad, torch.cat(torch.autograd.grad(swiglu(gate, up), (gate, up), dy), -1))


def test_two_dtypes(device: torch.device) -> None:
    gate, up, dy = case((3, 20), torch.float32, device)
    half = gate.bfloat16().requires_grad_()
    up.requires_grad_()
    out = swiglu(half, up)
    assert out.dtype == torch.float32 and off(out, reference.swiglu(half.float(), up)) <= limit(torch.float32)
    dgate, dup = torch.autograd.grad(out, (half, up), dy)
    assert dgate.dtype == torch.bfloat16 and dup.dtype == torch.float32


def test_ends_of_the_range(device: torch.device) -> None:
    far = torch.tensor([-1e30, -100.0, -0.0, 0.0, 100.0, 1e4, float("nan")], device=device)
    for function, truth in ALONE.values():
        assert torch.equal(function(far).nan_to_num(-7.0), truth(far).nan_to_num(-7.0))
    infinite = torch.tensor([-float("inf"), float("inf")], device=device)
    assert relu2(infinite).tolist() == [0.0, float("inf")] and gelu(infinite)[1] == float("inf")
    edge = far[:6].clone().requires_grad_()
    for function, truth in ALONE.values():
        got, want = (torch.autograd.grad(f(edge).sum(), edge)[0] for f in (function, truth))
        assert torch.allclose(got, want, rtol=1e-6)
    gate = far[:6].clone().requires_grad_()
    out = swiglu(gate, torch.ones_like(gate))
    assert torch.allclose(out, reference.swiglu(gate, torch.ones_like(gate)), rtol=1e-6)
    assert torch.autograd.grad(out.sum(), gate)[0].isfinite().all()


def test_nothing_to_do(device: torch.device) -> None:
    x = torch.zeros(0, 5, device=device, requires_grad=True)
    for out in (swiglu(x, x), swiglu_fused(torch.cat((x, x), -1)), gelu(x), relu2(x)):
        assert out.shape == (0, 5)
        assert torch.autograd.grad(out.sum(), x)[0].shape == (0, 5)


def test_bad_input(device: torch.device) -> None:
    x = torch.zeros(2, 5, device=device)
    for call, words in (
        (lambda: swiglu(x, x[:1]), r"\(1, 5\)"),
        (lambda: swiglu_fused(x), "even number"),
        (lambda: gelu(x.double()), "float64"),
        (lambda: relu2(x.long()), "int64"),
        (lambda: swiglu(x, x.to("meta")), "meta"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_under_torch_compile_it_is_a_graph_break(device: torch.device) -> None:
    def block(gate: Tensor, up: Tensor) -> Tensor:
        return swiglu(gate * 2, up + 1).square()

    gate, up, dy = case((3, 20), torch.float32, device)
    gate.requires_grad_(), up.requires_grad_()
    compiled = torch.compile(block, backend="aot_eager")(gate, up)
    plain = block(gate, up)
    assert torch.equal(compiled, plain)
    for x, y in zip(torch.autograd.grad(compiled, (gate, up), dy), torch.autograd.grad(plain, (gate, up), dy),
                    strict=True):
        assert torch.equal(x, y)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["swiglu", "fused", "gelu", "relu2"])
@pytest.mark.parametrize("f", [1376, 2816, 11008])
def test_training_shapes(f: int, kind: str, dtype: torch.dtype, device: torch.device) -> None:
    compare(*case((4096, f), dtype, device), kind)
