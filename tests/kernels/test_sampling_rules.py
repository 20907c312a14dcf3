"""The choice of a token as numpy defines it: what each rule keeps, and what it never lets through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimllm.errors import NimError
from nimllm.kernels.sampling import Sampling, candidates, choose, penalised

LOGITS = st.lists(st.floats(-12, 12, width=32), min_size=2, max_size=60).map(lambda v: np.array(v, np.float32))


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    scaled = logits.astype(np.float64) / temperature
    chances = np.exp(scaled - scaled.max())
    return chances / chances.sum()


@given(LOGITS, st.integers(1, 70), st.floats(0.1, 3))
def test_top_k_keeps_the_k_best(logits: np.ndarray, k: int, temperature: float) -> None:
    order, chances = candidates(logits, Sampling(temperature, top_k=k))
    assert len(order) == min(k, len(logits))
    assert chances.sum() == pytest.approx(1)
    left_out = np.delete(logits, order)
    assert not len(left_out) or logits[order].min() >= left_out.max()
    assert len(set(order.tolist())) == len(order)


@given(LOGITS, st.floats(0.01, 0.999), st.floats(0.1, 3))
def test_top_p_keeps_the_fewest_that_hold_the_mass(logits: np.ndarray, p: float, temperature: float) -> None:
    order, chances = candidates(logits, Sampling(temperature, top_p=p))
    full = softmax(logits, temperature)
    assert full[order].sum() >= p - 1e-9
    assert full[order[:-1]].sum() < p + 1e-9, "the last one was needed"
    np.testing.assert_allclose(chances, full[order] / full[order].sum(), rtol=1e-9)


@given(LOGITS, st.floats(0.01, 1), st.floats(0.1, 3))
def test_min_p_is_relative_to_the_best(logits: np.ndarray, p: float, temperature: float) -> None:
    order, _ = candidates(logits, Sampling(temperature, min_p=p))
    full = softmax(logits, temperature)
    kept = np.zeros(len(full), bool)
    kept[order] = True
    assert (full[kept] >= p * full.max() * (1 - 1e-9)).all()
    assert (full[~kept] < p * full.max() * (1 + 1e-9)).all()


@given(LOGITS, st.data())
def test_the_forbidden_never_comes(logits: np.ndarray, data: st.DataObject) -> None:
    shut = data.draw(st.sets(st.integers(0, len(logits) - 1), max_size=len(logits) - 1))
    logits[list(shut)] = -np.inf
    order, _ = candidates(logits, Sampling(1.0, top_k=len(logits), top_p=0.999))
    assert not shut & set(order.tolist())


@given(LOGITS, st.floats(1.01, 3), st.data())
def test_the_penalty_lowers_only_what_was_seen(logits: np.ndarray, penalty: float, data: st.DataObject) -> None:
    seen = data.draw(st.sets(st.integers(0, len(logits) - 1)))
    before = logits.copy()
    after = penalised(logits, seen, penalty)
    np.testing.assert_array_equal(logits, before)
    for index, value in enumerate(before):
        if index in seen and abs(value) > 1e-30:
            assert after[index] < value
        elif index not in seen:
            assert after[index] == value


def test_draws_follow_the_probabilities() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    drawn = np.bincount([choose(logits, index, Sampling(1.0))[0] for index in range(4000)], minlength=3) / 4000
    np.testing.assert_allclose(drawn, [0.5, 0.3, 0.2], atol=0.03)  # 3.8 standard deviations


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"min_p": -0.1}, {"top_k": -1},
                                   {"repetition_penalty": 0}, {"temperature": float("nan")}])
def test_senseless_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(NimError, match=next(iter(wrong))):
        Sampling(**wrong)
