"""Every implementation in the table against the reference: results and each gradient. A port is tested by existing.

What cannot run here is skipped with its own reason; what runs on CUDA has the mark ``gpu``. A new op needs a line in
``CASES``. Tests of one implementation's own promises (chunks, limits, refusals) lie in files of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from nimllm.kernels import ops, reference
from nimllm.kernels.ops import Impl

EPS = {torch.float32: 2.0**-23, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
FLOATS = tuple(EPS)
ELSEWHERE = {"decode"}  # a class: test_engine.py


@dataclass(frozen=True)
class Case:
    """``make`` draws the arguments, floats in fp32; ``learn``: which of them get a gradient; ``limits``: epsilons of
    the dtype, relative to the largest value, for results and for gradients, in fp32 and in half precision."""

    make: Callable[[], Sequence[Any]]
    learn: tuple[int, ...] = ()
    limits: tuple[tuple[float, float], tuple[float, float]] = ((16, 64), (3, 4))
    dtypes: tuple[torch.dtype, ...] = FLOATS


def n(*shape: int) -> Tensor:
    return torch.randn(shape)


def head(rows: int, width: int, vocabulary: int) -> list[Any]:
    targets = torch.where(torch.rand(rows) < 0.3, -100, torch.randint(vocabulary, (rows,)))
    return [n(rows, width), n(vocabulary, width) / width**0.5, targets]


def attention(b: int, h: int, g: int, t: int, s: int, d: int, causal: bool) -> list[Any]:
    return [n(b, h, t, d), n(b, g, s, d), n(b, g, s, d), causal]


def packed(h: int, g: int, d: int, lengths: Sequence[int], rest: int, causal: bool) -> list[Any]:
    bounds = torch.tensor([0, *lengths]).cumsum(0).int()
    tokens = int(bounds[-1]) + rest
    return [n(tokens, h, d), n(tokens, g, d), n(tokens, g, d), bounds, max(lengths), causal]


def moments(*shapes: tuple[int, ...]) -> list[Any]:
    lists = [[n(*shape) for shape in shapes] for _ in range(4)]
    lists[3] = [square.square() for square in lists[3]]
    return [*lists, 3, 1e-2, (0.9, 0.95), 1e-8, [0.1 * (len(shape) > 1) for shape in shapes], 1.0]


def saliencies(count: int) -> list[Any]:
    return [[n(30, 7), n(5), torch.ones(40)], count]


CASES: dict[str, list[Case]] = {
    "rms_norm": [Case(lambda: [n(3, 5, 37) * 5, n(37), 1e-5], (0, 1)), Case(lambda: [n(130, 64), n(64), 1e-6], (0, 1))],
    "add_rms_norm": [Case(lambda: [n(3, 5, 37), n(3, 5, 37), n(37), 1e-5], (0, 1, 2)),
                     Case(lambda: [n(70, 128), n(70, 128), n(128), 1e-6], (0, 1, 2))],
    "layer_norm": [Case(lambda: [n(3, 5, 37) + 1, n(37), n(37), 1e-5], (0, 1, 2)),
                   Case(lambda: [n(70, 64), n(64), None, 1e-6], (0, 1))],
    "add_layer_norm": [Case(lambda: [n(3, 5, 37), n(3, 5, 37), n(37), n(37), 1e-5], (0, 1, 2, 3)),
                       Case(lambda: [n(70, 64), n(70, 64), n(64), None, 1e-6], (0, 1, 2))],
    "rope": [Case(lambda: [n(2, 7, 3, 10), torch.arange(5, 12), 1e4], (0,)),
             Case(lambda: [n(2, 3, 1, 64), torch.tensor([[0, 1, 2], [40, 41, 42]]), 5e5], (0,))],
    "qk_norm_rope": [
        Case(lambda: [n(2, 7, 4, 16), n(2, 7, 2, 16), n(16), n(16), 1e-6, torch.arange(3, 10), 1e4], (0, 1, 2, 3)),
        Case(lambda: [n(1, 5, 3, 64), n(1, 5, 1, 64), n(64), n(64), 1e-5, torch.arange(5)[None], 1e6], (0, 1, 2, 3))],
    "attention": [Case(lambda: attention(2, 2, 1, 37, 37, 32, True), (0, 1, 2)),
                  Case(lambda: attention(1, 3, 1, 66, 66, 64, True), (0, 1, 2)),
                  Case(lambda: attention(1, 2, 2, 5, 19, 32, True), (0, 1, 2)),
                  Case(lambda: attention(1, 4, 2, 1, 33, 16, True), (0, 1, 2)),
                  Case(lambda: attention(1, 2, 1, 21, 34, 32, False), (0, 1, 2))],
    "attention_packed": [Case(lambda: packed(4, 2, 32, (5, 1, 34), 3, True), (0, 1, 2)),
                         Case(lambda: packed(2, 2, 64, (17, 0, 9), 0, False), (0, 1, 2))],
    "swiglu": [Case(lambda: [n(3, 5, 37), n(3, 5, 37)], (0, 1))],
    "gelu": [Case(lambda: [n(3, 5, 37) * 2], (0,))],
    "relu2": [Case(lambda: [n(3, 5, 37)], (0,))],
    "linear": [Case(lambda: [n(3, 37, 33), n(20, 33), n(20)], (0, 1, 2), ((32, 64), (3, 4))),
               Case(lambda: [n(130, 16), n(100, 16), None], (0, 1), ((32, 64), (3, 4)))],
    "linears": [Case(lambda: [n(3, 5, 37), [n(70, 37), n(8, 37)], None], (0, 1)),
                Case(lambda: [n(7, 64), [n(33, 64), n(64, 64), n(1, 64)], [n(33), None, n(1)]], (0, 1, 2))],
    "linear_cross_entropy": [Case(lambda: head(37, 33, 257), (0, 1), ((32, 64), (3, 4))),
                             Case(lambda: head(66, 16, 4100), (0, 1), ((32, 64), (3, 4)))],
    "token_logprobs": [Case(lambda: head(37, 33, 257), (0, 1), ((32, 64), (3, 4)))],
    "clip_adamw": [Case(lambda: moments((33, 7), (5,), (129, 30), (1,)), dtypes=(torch.float32,))],
    # five steps in bf16 from the reference, which is as far from the truth: see test_gpu_newton_schulz.py
    "newton_schulz": [Case(lambda: [n(2, 20, 33)], limits=((16, 0), (16, 0))),
                      Case(lambda: [n(40, 17)], limits=((16, 0), (16, 0)))],
    # these two to the bit
    "top_saliency": [Case(partial(saliencies, count), limits=((0, 0), (0, 0))) for count in (0, 1, 30, 255)],
    "grid_add": [Case(lambda: [n(9, 11), None, torch.randint(-99, 99, (9, 11)).int(), -14], limits=((0, 0), (0, 0)),
                      dtypes=(torch.float32,)),
                 Case(lambda: [n(9, 11), torch.tensor([3, 98, 7]), torch.tensor([1, -5, 0]).short(), -9],
                      limits=((0, 0), (0, 0)), dtypes=(torch.float32,))],
}


def on(value: Any, device: str, dtype: torch.dtype) -> Any:
    """The argument on the device, floats in the dtype."""
    if isinstance(value, list):
        return [on(item, device, dtype) for item in value]
    if not isinstance(value, Tensor):
        return value
    return value.to(device, dtype) if value.is_floating_point() else value.to(device)


def tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)


def within(got: Tensor, want: Tensor, epsilons: float, dtype: torch.dtype, what: str) -> None:
    assert got.shape == want.shape, f"{what}: {tuple(got.shape)}, not {tuple(want.shape)}"
    if not epsilons or not got.is_floating_point():
        assert torch.equal(got.double(), want.double().to(got.device)), f"{what} differs"
    elif got.numel():
        want = want.double().to(got.device)
        error, largest = (got.double() - want).abs().max().item(), want.abs().max().item()
        limit = epsilons * max(EPS[dtype], EPS[got.dtype]) * max(largest, 1e-3)
        assert error <= limit, f"{what}: error {error:.3g}, limit {limit:.3g}, largest value {largest:.3g}"


def runs() -> Iterator[Any]:
    """(op, row of the table, device, dtype); nobody computes in fp16 on a CPU, but Triton's interpreter can."""
    for op in ops.names():
        for row in ops.rows(op):
            for dtype in FLOATS:
                if not any(dtype in case.dtypes for case in CASES.get(op, ())):
                    continue
                name = f"{op}-{row.name}-{str(dtype).removeprefix('torch.')}"
                if row.fits("cpu") and (dtype != torch.float16 or row.name == "triton-interpreter"):
                    yield pytest.param(op, row, "cpu", dtype, id=f"{name}-cpu")
                if row.fits("cuda"):
                    yield pytest.param(op, row, "cuda", dtype, id=f"{name}-cuda", marks=pytest.mark.gpu)


def test_every_op_has_a_case() -> None:
    assert not set(ops.names()) - set(CASES) - ELSEWHERE


@pytest.mark.parametrize("op,row,device,dtype", list(runs()))
def test_it_agrees_with_the_reference(op: str, row: Impl, device: str, dtype: torch.dtype) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    if reason := row.available():
        pytest.skip(reason)
    for number, case in enumerate(case for case in CASES[op] if dtype in case.dtypes):
        torch.manual_seed(number)
        drawn = [on(value, device, dtype) for value in case.make()]
        # the reference in fp32 on the same numbers: the error is then the implementation's own
        compare(row.function, getattr(reference, op), drawn, case, dtype, f"{op} {number}")


def compare(function: Callable[..., Any], right: Callable[..., Any], drawn: list[Any], case: Case, dtype: torch.dtype,
            what: str) -> None:
    forward, backward = case.limits[0 if dtype == torch.float32 else 1]
    mine, theirs = copied(drawn, None), copied(drawn, torch.float32)
    learnt = [(f"gradient of argument {index}", one.requires_grad_(), other.requires_grad_()) for index in case.learn
              for one, other in zip(tensors(mine[index]), tensors(theirs[index]), strict=True)]
    got, want = function(*mine), right(*theirs)
    results = list(zip(tensors(got), tensors(want), strict=True))
    for number, (one, other) in enumerate(results):
        within(one.detach(), other.detach(), forward, dtype, f"{what}: result {number}")
    if not case.learn:  # whatever was changed in place
        for number, (one, other) in enumerate(zip(tensors(mine), tensors(theirs), strict=True)):
            within(one, other, forward, dtype, f"{what}: argument {number} afterwards")
        return
    upstream = [torch.randn_like(one) for one, _ in results]
    torch.autograd.backward([one for one, _ in results], upstream)
    torch.autograd.backward([other for _, other in results], [x.to(other.dtype) for x, (_, other) in
                                                              zip(upstream, results, strict=True)])
    for name, one, other in learnt:
        assert one.grad is not None and other.grad is not None, f"{what}: no {name}"
        assert one.grad.dtype == one.dtype
        within(one.grad, other.grad, backward, dtype, f"{what}: {name}")


def copied(value: list[Any], dtype: torch.dtype | None) -> list[Any]:
    """The same numbers in other memory; floats in ``dtype`` when one is given."""
    made: list[Any] = []
    for item in value:
        if isinstance(item, list):
            made.append(copied(item, dtype))
        elif isinstance(item, Tensor):
            made.append(item.detach().clone().to(dtype or item.dtype) if item.is_floating_point() else item.clone())
        else:
            made.append(item)
    return made
