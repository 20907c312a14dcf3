"""The engine's sampler against its definition in numpy: what is kept, with what probability, and what is drawn."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nimllm.errors import NimError
from nimllm.kernels import engine
from nimllm.kernels.sampling import Sampling, candidates, choose, penalised, uniform

pytestmark = pytest.mark.skipif(engine.available() is not None, reason=str(engine.available()))

NO_TOKEN, NOT_FINITE, BAD_ID, BAD_ARGUMENT = 11, 12, 5, 6
VALUES = st.floats(-12, 12, width=32)
# few distinct values make ties
TIES = st.lists(st.sampled_from([-2.5, 0.0, 1.0, 3.0]), min_size=1, max_size=300)
LOGITS = st.one_of(st.lists(VALUES, min_size=1, max_size=90), TIES).map(lambda values: np.array(values, np.float32))
SAMPLING = st.builds(Sampling, temperature=st.floats(0.05, 4), top_k=st.integers(0, 100),
                     top_p=st.one_of(st.just(1.0), st.floats(0.01, 0.999)),
                     min_p=st.one_of(st.just(0.0), st.floats(0, 1)),
                     repetition_penalty=st.sampled_from([1.0, 1.0, 1.3, 0.7]), seed=st.integers(0, 2**64 - 1))


def native(logits: np.ndarray, sampling: Sampling, seen: Collection[int] = (), banned: Collection[int] = (),
           first: Collection[int] = (), limit: int = 0) -> dict[str, Any]:
    """The C arguments that both functions take, and what must stay alive meanwhile."""
    arrays = [np.array(sorted(part), np.int32) for part in (seen, banned, first)]
    choice = engine.choice_of(sampling, arrays[1], arrays[2], limit)
    row = np.ascontiguousarray(logits, np.float32)
    common = (ctypes.c_void_p(row.ctypes.data), ctypes.c_int64(len(row)), ctypes.byref(choice),
              ctypes.c_void_p(arrays[0].ctypes.data), ctypes.c_int64(len(arrays[0])))
    return {"common": common, "alive": (arrays, choice, row)}


def chosen(logits: np.ndarray, index: int, sampling: Sampling, **rules: Any) -> tuple[int, float]:
    library, _ = engine._load()
    assert library is not None
    held, token, logprob = native(logits, sampling, **rules), ctypes.c_int32(-1), ctypes.c_double()
    code = library.nimllm_choose(*held["common"], ctypes.c_uint64(index), ctypes.byref(token), ctypes.byref(logprob))
    return (token.value, logprob.value) if code == 0 else (-code, math.nan)


def kept(logits: np.ndarray, sampling: Sampling, **rules: Any) -> tuple[np.ndarray, np.ndarray]:
    library, _ = engine._load()
    assert library is not None
    held = native(logits, sampling, **rules)
    ids, chances = np.empty(len(logits), np.int32), np.empty(len(logits), np.float64)
    count = ctypes.c_int64()
    code = library.nimllm_candidates(*held["common"], ctypes.c_void_p(ids.ctypes.data),
                                     ctypes.c_void_p(chances.ctypes.data), ctypes.byref(count))
    assert code == 0
    return ids[:count.value], chances[:count.value]


def on_the_edge(logits: np.ndarray, sampling: Sampling) -> bool:
    """Whether rounding decides what top-p or min-p keeps: a cumulative sum or a ratio within 1e-9 of the limit."""
    ids = np.flatnonzero(logits > -np.inf)
    scaled = np.sort(logits[ids].astype(np.float64) / sampling.temperature)[::-1]
    if 0 < sampling.top_k < len(ids):
        scaled = scaled[:sampling.top_k]
    chances = np.exp(scaled - scaled[0])
    near_p = sampling.top_p < 1 and np.abs(np.cumsum(chances) / chances.sum() - sampling.top_p).min() < 1e-9
    return bool(near_p or (sampling.min_p > 0 and np.abs(chances - sampling.min_p).min() < 1e-9))


@settings(max_examples=600, deadline=None)
@given(LOGITS, SAMPLING, st.data())
def test_what_is_kept_is_numpys(logits: np.ndarray, sampling: Sampling, data: st.DataObject) -> None:
    everything = st.integers(0, len(logits) - 1)
    seen, banned = data.draw(st.sets(everything, max_size=8)), data.draw(st.sets(everything, max_size=8))
    limit = data.draw(st.sampled_from([0, len(logits), max(1, len(logits) - 3)]))
    allowed = penalised(logits, seen, sampling.repetition_penalty)
    allowed[list(banned)] = -np.inf
    if limit:
        allowed[limit:] = -np.inf
    if (allowed == -np.inf).all():
        assert chosen(logits, 0, sampling, seen=seen, banned=banned, limit=limit)[0] == -NO_TOKEN
        return
    if on_the_edge(allowed, sampling):
        return
    want_ids, want = candidates(allowed, sampling)
    order = np.argsort(want_ids)
    got_ids, got = kept(logits, sampling, seen=seen, banned=banned, limit=limit)
    np.testing.assert_array_equal(got_ids, want_ids[order])
    np.testing.assert_allclose(got, want[order], rtol=1e-9, atol=1e-300)


@settings(max_examples=400, deadline=None)
@given(LOGITS, SAMPLING, st.integers(0, 5000), st.data())
def test_what_is_drawn_is_numpys(logits: np.ndarray, sampling: Sampling, index: int, data: st.DataObject) -> None:
    everything = st.integers(0, len(logits) - 1)
    rules = {name: data.draw(st.sets(everything, max_size=6)) for name in ("seen", "banned", "first")}
    if data.draw(st.booleans()):
        sampling = Sampling(repetition_penalty=sampling.repetition_penalty)  # greedy
    try:
        want = choose(logits, index, sampling, **rules)
    except ValueError:
        assert chosen(logits, index, sampling, **rules)[0] == -NO_TOKEN
        return
    got = chosen(logits, index, sampling, **rules)
    assert got[1] == pytest.approx(want[1] if got[0] == want[0] else got[1], abs=2e-5)
    if got[0] != want[0]:  # only where rounding decides: at the edge of a cut, or of an id's share of [0, 1)
        allowed = penalised(logits, rules["seen"], sampling.repetition_penalty)
        _, chances = kept(logits, sampling, seen=rules["seen"], banned=rules["banned"])
        edges = np.cumsum(chances)
        assert on_the_edge(allowed, sampling) or np.abs(edges - uniform(sampling.seed, index)).min() < 1e-9


@pytest.mark.parametrize("size", [1, 2, 3, 7, 31, 32, 33, 511, 512, 513, 1000, 32_000])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.0), Sampling(0.7, top_k=40), Sampling(1.0, top_k=700),
                                      Sampling(1.0, top_p=0.95), Sampling(0.8, top_k=200, top_p=0.9, min_p=0.01),
                                      Sampling(1.3, min_p=0.02), Sampling(5.0, top_p=0.999)])
def test_sizes_around_the_vectors(size: int, sampling: Sampling) -> None:
    rng = np.random.default_rng(size)
    for seed in range(3):
        logits = (3 * rng.standard_normal(size)).astype(np.float32)
        index = int(rng.integers(1000))
        got, logprob = chosen(logits, index, sampling)
        want, expected = choose(logits, index, sampling)
        assert (got, seed) == (want, seed)
        wide = logits.astype(np.float64)
        exact = wide[got] - wide.max() - math.log(np.exp(wide - wide.max()).sum())
        assert logprob == pytest.approx(exact, abs=1e-6) and logprob == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("place", [0, 5, 511, 512, 31_999])
def test_no_number_and_no_token(place: int) -> None:
    good = np.linspace(-1, 1, 32_000, dtype=np.float32)
    for value, sampling in ((np.nan, Sampling()), (np.inf, Sampling()), (np.nan, Sampling(1.0, top_k=3))):
        logits = good.copy()
        logits[place] = value
        assert chosen(logits, 0, sampling)[0] == -NOT_FINITE
        with pytest.raises(FloatingPointError):
            choose(logits, 0, sampling)
    assert chosen(np.full(32_000, -np.inf, np.float32), 0, Sampling())[0] == -NOT_FINITE
    few = np.full(40, -np.inf, np.float32)
    few[place % 40] = -7
    for sampling in (Sampling(), Sampling(1.0), Sampling(2.0, top_k=4), Sampling(1.0, top_p=0.5)):
        assert chosen(few, 3, sampling) == (place % 40, 0.0), "minus infinity is a logit like any other"
        assert chosen(few, 3, sampling, banned={place % 40})[0] == -NO_TOKEN
        assert chosen(good, 3, sampling, banned={9}, first={9})[0] == -NO_TOKEN
        assert chosen(good, 3, sampling, first={9}, limit=9)[0] == -NO_TOKEN


def test_the_c_interface_refuses_senseless_rules() -> None:
    logits = np.zeros(10, np.float32)
    assert chosen(logits, 0, Sampling(), banned={10})[0] == -BAD_ID
    assert chosen(logits, 0, Sampling(), first={-1})[0] == -BAD_ID
    assert chosen(logits, 0, Sampling(), seen={10})[0] == -BAD_ID
    assert chosen(logits, 0, Sampling(), limit=11)[0] == -BAD_ARGUMENT
    for field, value in (("temperature", -1.0), ("temperature", math.nan), ("temperature", math.inf), ("top_p", 0.0),
                         ("top_p", 1.5), ("min_p", -0.1), ("repetition_penalty", 0.0), ("top_k", -1)):
        sampling = Sampling()
        object.__setattr__(sampling, field, value)  # past the checks of the Python face
        assert chosen(logits, 0, sampling)[0] == -BAD_ARGUMENT, field
        with pytest.raises(NimError, match=field):
            Sampling(**{field: value})


def test_ties_go_to_the_smaller_id() -> None:
    logits = np.zeros(5000, np.float32)
    logits[[700, 70, 4999]] = 2
    assert chosen(logits, 0, Sampling())[0] == 70
    assert kept(logits, Sampling(1.0, top_k=2))[0].tolist() == [70, 700]
    assert kept(logits, Sampling(1.0, top_k=5))[0].tolist() == [0, 1, 70, 700, 4999]
    assert kept(logits, Sampling(1.0, top_k=400))[0].tolist() == [*range(398), 700, 4999]
    assert kept(np.zeros(4, np.float32), Sampling(1.0, top_p=0.5))[0].tolist() == [0, 1]
    assert chosen(np.array([-0.0, 0.0], np.float32), 0, Sampling())[0] == 0


@pytest.mark.parametrize("sampling", [Sampling(1.0), Sampling(0.8, top_k=5), Sampling(1.2, top_p=0.8),
                                      Sampling(1.0, min_p=0.1)])
def test_draws_follow_the_probabilities(sampling: Sampling) -> None:
    """Chi-square of 20,000 draws with fixed seeds, against what the definition says."""
    logits = np.random.default_rng(0).standard_normal(24).astype(np.float32)
    ids, chances = candidates(logits, sampling)
    library, _ = engine._load()
    assert library is not None
    counts = np.zeros(len(logits))
    held, token, logprob = native(logits, sampling), ctypes.c_int32(), ctypes.c_double()
    choice = held["alive"][1]
    for draw in range(20_000):
        choice.seed = draw % 100
        library.nimllm_choose(*held["common"], ctypes.c_uint64(draw // 100), ctypes.byref(token), ctypes.byref(logprob))
        counts[token.value] += 1
    assert counts[np.setdiff1d(np.arange(24), ids)].sum() == 0
    statistic = ((counts[ids] - 20_000 * chances) ** 2 / (20_000 * chances)).sum()
    freedom = len(ids) - 1
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**40))
@example(0, 0)
@example(2**64 - 1, 2**40)
def test_uniform_is_in_the_unit_interval(seed: int, index: int) -> None:
    assert 0 <= uniform(seed, index) < 1


def test_uniform_is_uniform_along_indices_and_seeds() -> None:
    along = np.array([uniform(7, index) for index in range(20_000)])
    across = np.array([uniform(seed, 7) for seed in range(20_000)])
    for values in (along, across):
        counts = np.histogram(values, 50, (0, 1))[0]
        assert ((counts - 400) ** 2 / 400).sum() < 49 + 5 * math.sqrt(98)
        assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4 / math.sqrt(20_000)
    shifted = np.array([uniform(8, index) for index in range(20_000)])
    assert abs(np.corrcoef(along, shifted)[0, 1]) < 4 / math.sqrt(20_000)
    assert not np.intersect1d(along, shifted).size
