"""Branches that share a prompt's cache, and live updates of weights: the same bits as without either."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine import config, need, some_ids, weights

from nimllm.kernels.engine import DTYPES, Engine

ISAS = ["avx512", "avx2", "portable"]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["default", "gpt2", "odd everywhere", "one key head"])
def test_branches_are_sequences_of_their_own(name: str, dtype: str, isa: str) -> None:
    """Three branches after 37 tokens (no whole block), stepped in changing company, against three plain runs."""
    need(isa)
    c = config(name)
    tensors, prompt = weights(c), some_ids(c, 37)
    tails = [some_ids(c, 30, seed) for seed in (5, 6, 7)]
    want = []
    with Engine(c, tensors, dtype, 1, isa) as plain:
        for tail in tails:
            plain.truncate(0)
            plain.extend(prompt)
            want.append(np.stack([plain.extend([int(token)]) for token in tail]))
    with Engine(c, tensors, dtype, 2, isa) as engine:
        engine.extend(prompt)
        engine.fork(3, 30)
        done = [0, 0, 0]
        random = np.random.default_rng(3)
        while min(done) < 30:
            open_ones = [int(b) for b in random.permutation(3) if done[b] < 30]
            which = [b for b in open_ones if random.random() < 0.7 or sum(done) > 60]
            if not which:
                continue
            got = engine.step([int(tails[b][done[b]]) for b in which], which)
            for row, b in enumerate(which):
                assert np.array_equal(got[row], want[b][done[b]]), (b, done[b])
                done[b] += 1
        assert engine.position == 37
        engine.adopt(1)
        assert engine.position == 67
        with Engine(c, tensors, dtype, 1, isa) as plain:
            plain.extend(prompt)
            plain.extend(tails[1])
            more = some_ids(c, 20, 9)
            assert np.array_equal(engine.extend_all(more), plain.extend_all(more))


@pytest.mark.parametrize("dtype", ["fp32", "q8"])
def test_a_cache_that_grows_keeps_what_it_holds(dtype: str) -> None:
    """The cache begins with 256 positions; here a prompt, a branch and single tokens each pass its end."""
    c = config(context=1300)
    tensors, ids = weights(c), some_ids(c, 1300)
    with Engine(c, tensors, dtype, 2) as whole, Engine(c, tensors, dtype, 2) as parts:
        want = whole.extend_all(ids)
        assert np.array_equal(parts.extend_all(ids[:250]), want[:250])
        assert np.array_equal(np.stack([parts.extend([int(token)]) for token in ids[250:260]]), want[250:260])
        assert np.array_equal(parts.extend_all(ids[260:500]), want[260:500])
        parts.fork(2, 30)
        for at in range(500, 530):
            assert np.array_equal(parts.step([3, int(ids[at])])[1], want[at])
        parts.adopt(1)
        assert np.array_equal(parts.extend_all(ids[530:1300]), want[530:])
        parts.truncate(700)
        assert np.array_equal(parts.extend_all(ids[700:800]), want[700:800])


def test_branches_are_ended_and_refused() -> None:
    c = config()
    with Engine(c, weights(c), "fp32", 2) as engine:
        engine.extend(some_ids(c, 150))
        for count, room in ((0, 5), (65, 5), (2, 0), (-1, 5)):
            with pytest.raises(ValueError, match="branches"):
                engine.fork(count, room)
        engine.fork(2, 100)  # ten positions are left
        for _ in range(10):
            engine.step([1, 2])
        with pytest.raises(ValueError, match="full"):
            engine.step([1], [1])
        for ids, which in (([1, 1], [0, 0]), ([1], [2]), ([1], [-1]), ([1], [70]), ([c["vocab_size"]], [0]), ([], [])):
            with pytest.raises(ValueError):
                engine.step(ids, which)
        engine.truncate(100)
        with pytest.raises(ValueError, match="not open"):
            engine.step([1])
        with pytest.raises(ValueError, match="not open"):
            engine.adopt(0)
        engine.fork(1, 5)
        engine.extend([1])
        with pytest.raises(ValueError, match="not open"):
            engine.adopt(0)
        engine.extend(some_ids(c, 59))
        with pytest.raises(ValueError, match="full"):
            engine.fork(1, 1)


def changed(tensors: dict[str, np.ndarray], seed: int, share: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> (new tensor, indices that differ), for every tensor."""
    random = np.random.default_rng(seed)
    made = {}
    for name, old in tensors.items():
        new = old.copy()
        where = np.flatnonzero(random.random(old.size) < share)
        new.reshape(-1)[where] += random.choice([-0.5, 0.01, 3.0], len(where)).astype(np.float32)
        made[name] = (new, where)
    return made


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["default", "gpt2", "odd everywhere", "biases with gates"])
def test_an_updated_engine_is_one_made_anew(name: str, dtype: str) -> None:
    c = config(name)
    tensors, ids = weights(c), some_ids(c, 50)
    new = changed(tensors, 4, 0.02)
    with Engine(c, {n: t for n, (t, _) in new.items()}, dtype) as fresh, Engine(c, tensors, dtype) as live:
        want, before = fresh.extend_all(ids), live.extend_all(ids)
        for tensor, (value, where) in new.items():
            live.update(tensor, value, np.random.default_rng(1).permutation(where))
        assert live.position == 0
        assert np.array_equal(live.extend_all(ids), want) and not np.array_equal(before, want)
        for tensor, (_, where) in new.items():  # and back
            live.update(tensor, tensors[tensor], where)
        assert np.array_equal(live.extend_all(ids), before)


@given(seed=st.integers(0, 999), share=st.sampled_from([0.0, 0.001, 0.3, 1.0]), dtype=st.sampled_from(DTYPES))
@settings(max_examples=15, deadline=None)
def test_any_set_of_entries_can_be_updated(seed: int, share: float, dtype: str) -> None:
    c = config("smallest", d_model=33, d_ff=65, vocab_size=70)
    tensors, ids = weights(c), some_ids(c, 20)
    new = changed(tensors, seed, share)
    with Engine(c, {n: t for n, (t, _) in new.items()}, dtype, 1) as fresh, Engine(c, tensors, dtype, 1) as live:
        for tensor, (value, where) in new.items():
            live.update(tensor, value, where)
        assert np.array_equal(live.extend_all(ids), fresh.extend_all(ids))


def test_an_update_that_fits_nothing_is_refused() -> None:
    c = config()
    tensors = weights(c)
    ids = some_ids(c, 5)
    with Engine(c, tensors) as engine:
        want = engine.extend_all(ids)
        good = tensors["model.norm.weight"]
        for name, tensor, where in (
            ("model.norm.wait", good, [0]), ("model.norm.weight", good[:-1], [0]), ("model.norm.weight", good, [-1]),
            ("model.norm.weight", good, [len(good)]), ("model.norm.weight", good[None, None], [0]),
        ):  # fmt: skip
            with pytest.raises(ValueError):
                engine.update(name, tensor, np.array(where))
        engine.truncate(0)
        assert np.array_equal(engine.extend_all(ids), want)


def test_a_closed_engine_says_so() -> None:
    c: dict[str, Any] = config()
    engine = Engine(c, weights(c))
    engine.close()
    for call in (lambda: engine.fork(1, 1), lambda: engine.step([1]), lambda: engine.adopt(0)):
        with pytest.raises(ValueError, match="closed"):
            call()
