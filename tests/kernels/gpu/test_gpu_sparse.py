"""The threshold of the largest saliencies and the grid add, to the bit: against sorting, and the memory's own numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nimllm.kernels import reference
from nimllm.kernels.gpu import sparse

DENORMAL = 2.0**-149
NUMBERS = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0, DENORMAL, -DENORMAL, 3 * DENORMAL, 2.0**-126, math.inf,
                                     1.0000001, 3.4e38, -3.4e38]),
                    st.floats(width=32, allow_nan=False))


def sorted_away(tensors: list[Tensor], count: int) -> tuple[float, list[list[int]]]:
    """Threshold and flat indices by Python's own sort: by magnitude, then by tensor, then by place."""
    entries = [(-abs(value), number, place) for number, tensor in enumerate(tensors)
               for place, value in enumerate(tensor.float().flatten().tolist())]
    entries.sort()
    chosen: list[list[int]] = [[] for _ in tensors]
    for _, number, place in entries[:count]:
        chosen[number].append(place)
    return (-entries[count - 1][0] if count else math.inf), [sorted(each) for each in chosen]


def check(tensors: list[Tensor], count: int) -> None:
    threshold, masks = sparse.top_saliency(tensors, count)
    want, places = sorted_away(tensors, count)
    assert threshold.dtype == torch.float32 and threshold.dim() == 0
    assert threshold.item() == want
    for mask, tensor, right in zip(masks, tensors, places, strict=True):
        assert mask.dtype == torch.bool and mask.shape == tensor.shape
        assert mask.flatten().nonzero().flatten().tolist() == right
    theirs, their_masks = reference.top_saliency(tensors, count)
    assert theirs.item() == want
    assert all(torch.equal(one, other) for one, other in zip(masks, their_masks, strict=True))


@given(st.lists(st.lists(NUMBERS, max_size=9), min_size=1, max_size=4), st.data())
@settings(max_examples=15, deadline=None)
def check_any(device: torch.device, lists: list[list[float]], data: st.DataObject) -> None:
    tensors = [torch.tensor(values, dtype=torch.float32, device=device) for values in lists]
    check(tensors, data.draw(st.integers(0, sum(map(len, lists)))))


def test_any_numbers(device: torch.device) -> None:
    check_any(device)


@pytest.mark.parametrize("kind,count", [
    *(("ties", count) for count in (0, 1, 2, 100, 2500, 3603, 3604)),
    *((kind, count) for kind in ("normal", "equal", "zeros", "denormal") for count in (1, 2500, 3603))])
def test_several_programs(device: torch.device, kind: str, count: int) -> None:
    shapes = [(3, 5), (0,), (33, 100), (289,)]
    total = sum(math.prod(shape) for shape in shapes)
    assert total == 3604
    torch.manual_seed(0)
    values = {"normal": torch.randn(total), "equal": torch.full((total,), -0.37), "zeros": torch.zeros(total),
              "ties": torch.randint(-3, 4, (total,)).float() * 0.1,
              "denormal": torch.randint(-9, 9, (total,)).float() * DENORMAL}[kind]
    tensors = [part.view(shape).to(device)
               for part, shape in zip(values.split([math.prod(shape) for shape in shapes]), shapes, strict=True)]
    check(tensors, count)


@pytest.mark.gpu
@pytest.mark.parametrize("count", [1, 40_000, 3_000_000])
def test_several_chunks_a_tensor_on_a_gpu(device: torch.device, count: int) -> None:
    """Where a chunk is 16384 entries; the reference is tested against Python's sort above."""
    for scale in (1.0, 1e-44):  # the latter: denormals, and thousands of ties
        tensors = [torch.randn(shape, device=device) * scale for shape in ((1500, 1000), (77, 333), (2_000_003,))]
        threshold, masks = sparse.top_saliency(tensors, count)
        theirs, their_masks = reference.top_saliency([tensor.cpu() for tensor in tensors], count)
        assert threshold.item() == theirs.item()
        assert all(torch.equal(one.cpu(), other) for one, other in zip(masks, their_masks, strict=True))


def test_dtypes_may_be_mixed_and_keep_the_order_of_ties(device: torch.device) -> None:
    tensors = [torch.tensor(values, device=device).to(dtype) for values, dtype in (
        ([1.0, 0.5, -0.5], torch.float32), ([0.5, 3.0], torch.bfloat16), ([0.5, -0.25], torch.float16),
        ([0.5], torch.float32))]
    for count in range(9):
        check(tensors, count)


def test_strided_tensors(device: torch.device) -> None:
    x = torch.randn(40, 30, generator=torch.Generator().manual_seed(1)).to(device)
    check([x.T, x[::2, ::3]], 77)


def test_nan_is_larger_than_infinity(device: torch.device) -> None:
    tensors = [torch.tensor([1.0, math.inf, math.nan, -2.0], device=device)]
    for implementation in (sparse.top_saliency, reference.top_saliency):
        threshold, masks = implementation(tensors, 2)
        assert threshold.item() == math.inf
        assert masks[0].tolist() == [False, True, True, False]
        assert implementation(tensors, 1)[1][0].tolist() == [False, False, True, False]


@pytest.mark.parametrize("count", [-1, 13])
def test_more_than_there_is(device: torch.device, count: int) -> None:
    for implementation in (sparse.top_saliency, reference.top_saliency):
        with pytest.raises(ValueError, match="of 12 entries"):
            implementation([torch.zeros(12, device=device)], count)
    with pytest.raises(ValueError, match="float64"):
        sparse.top_saliency([torch.zeros(12, dtype=torch.float64, device=device)], 3)


# -- grid add ----------------------------------------------------------------------------------------------------------


def bits(x: Tensor) -> list[int]:
    return x.cpu().view(torch.int32).flatten().tolist()


def as_the_store(base: Tensor, sums: Tensor, exponent: int) -> list[int]:
    """What MemoryStore makes of a tensor: the numpy of ``store.py``'s _apply."""
    flat, total = base.cpu().numpy().reshape(-1).copy(), sums.cpu().numpy().reshape(-1)
    index = np.flatnonzero(total)
    change = np.ldexp(total[index].astype(np.float64), exponent)
    flat[index] = (flat[index].astype(np.float64) + change).astype(np.float32)
    return flat.view(np.int32).tolist()


ENTRIES = st.lists(st.tuples(NUMBERS, st.one_of(st.just(0), st.integers(-(2**31), 2**31 - 1))), min_size=1, max_size=20)


@given(ENTRIES, st.integers(-150, 40))
@settings(max_examples=60, deadline=None)
def check_grid(device: torch.device, entries: list[tuple[float, int]], exponent: int) -> None:
    base = torch.tensor([value for value, _ in entries], dtype=torch.float32, device=device)
    sums = torch.tensor([value for _, value in entries], dtype=torch.int32, device=device)
    want = as_the_store(base, sums, exponent)
    for implementation in (sparse.grid_add, reference.grid_add):
        assert bits(implementation(base, None, sums, exponent)) == want


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_the_stores_bits(device: torch.device) -> None:
    check_grid(device)


@pytest.mark.parametrize("implementation", [sparse.grid_add, reference.grid_add])
@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_everywhere_by_mask_and_by_index(device: torch.device, implementation, dtype: torch.dtype  # type: ignore[no-untyped-def]
                                         ) -> None:
    generator = torch.Generator().manual_seed(2)
    base = torch.randn(47, 101, generator=generator).to(device)
    sums = torch.randint(-100, 100, (47, 101), generator=generator).to(device, dtype)
    mask = (torch.rand(47, 101, generator=generator) < 0.1).to(device)
    index = mask.flatten().nonzero().flatten().int()
    kept = base.clone()
    want = as_the_store(base, torch.where(mask, sums, 0).to(torch.int32), -14)
    assert bits(implementation(base, mask, sums, -14)) == want
    for wide in (index, index.long()):
        assert bits(implementation(base, wide, sums.flatten()[index.long()], -14)) == want
    assert bits(implementation(base, None, torch.where(mask, sums, 0), -14)) == want
    assert bits(implementation(base.T.contiguous().T, mask, sums, -14)) == want
    assert torch.equal(base, kept)


@pytest.mark.parametrize("implementation", [sparse.grid_add, reference.grid_add])
def test_live_weights_go_and_come_back(device: torch.device, implementation) -> None:  # type: ignore[no-untyped-def]
    """Only the entries of the delta are written, and a sum that is 0 again restores the base, -0.0 included."""
    base = torch.tensor([1.0, -0.0, 3.0, -4.0], device=device)
    live = torch.tensor([9.0, -0.0, 3.0, -4.0], device=device)
    index = torch.tensor([1, 2], device=device)
    result = implementation(base, index, torch.tensor([5, -3], dtype=torch.int32, device=device), -2, out=live)
    assert result is live and live.tolist() == [9.0, 1.25, 2.25, -4.0]
    implementation(base, index, torch.zeros(2, dtype=torch.int32, device=device), -2, out=live)
    assert bits(live) == bits(torch.tensor([9.0, -0.0, 3.0, -4.0]))
    mask = torch.tensor([True, False, False, True], device=device)
    implementation(base, mask, torch.tensor([1, 7, 7, 0], dtype=torch.int32, device=device), 0, out=live)
    assert live.tolist() == [2.0, -0.0, 3.0, -4.0]


@pytest.mark.parametrize("implementation", [sparse.grid_add, reference.grid_add])
def test_what_grid_add_refuses(device: torch.device, implementation) -> None:  # type: ignore[no-untyped-def]
    base, sums = torch.zeros(4, 4, device=device), torch.zeros(4, 4, dtype=torch.int32, device=device)
    for arguments, said in [((base.half(), None, sums, 0), "fp32"), ((base, None, sums.float(), 0), "integers"),
                            ((base, None, sums[:3], 0), "shaped as base"), ((base, None, sums, 2000), "grid"),
                            ((base, sums[:2] == 0, sums, 0), "shaped as base"),
                            ((base, torch.zeros(3, dtype=torch.int64, device=device), sums, 0), "indices"),
                            ((base, None, sums, 0, base[:2]), "shaped as base")]:
        with pytest.raises(ValueError, match=said):
            implementation(*arguments)
