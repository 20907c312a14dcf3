"""Several texts of one sequence drawn side by side: each is, bit for bit, the text drawn alone with its seed."""

from __future__ import annotations

import ctypes
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_generation import ANY, HAS_ENGINE, MAKERS, C, made, needs_engine, prompt, same, weights

from nimllm.kernels import engine as module
from nimllm.kernels.decoder import Decoder
from nimllm.kernels.engine import DTYPES, Engine
from nimllm.kernels.sampling import Drawn, Sampling


def alone(decoder: Any, count: int, tokens: int, sampling: Sampling, ids: list[int], **rules: Any) -> list[Drawn]:
    """The definition: one text after another."""
    texts = []
    for i in range(count):
        decoder.truncate(0)
        texts.append(decoder.generate(tokens, replace(sampling, seed=sampling.seed + i), ids, **rules))
    return texts


@needs_engine
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_samples_are_texts_drawn_alone(dtype: str, threads: int) -> None:
    ids = prompt(37)
    with Engine(C, weights(), dtype, 1) as single, Engine(C, weights(), dtype, threads) as engine:
        for sampling in ANY:
            want = alone(single, 9, 40, sampling, ids)
            engine.truncate(0)
            assert engine.generate_samples(9, 40, sampling, ids) == want
            assert engine.position == 37, "the sequence stays what it was"
            if sampling.temperature:
                assert len({tuple(text.ids) for text in want}) == 9, "seeds that make a difference"
            short = engine.generate_samples(9, 40, sampling, logprobs=False)
            assert short == [text._replace(logprobs=[]) for text in want], "from the same logits once more"


@pytest.mark.parametrize("sampling", ANY)
def test_the_definition_draws_one_after_another(sampling: Sampling) -> None:
    decoder, ids = made(Decoder), prompt()
    want = alone(made(Decoder), 3, 12, sampling, ids)
    decoder.truncate(0)
    assert all(same(*pair) for pair in zip(decoder.generate_samples(3, 12, sampling, ids), want, strict=True))
    decoder.adopt(2)
    assert decoder.position == 20 + 11
    if HAS_ENGINE:
        got = made(Engine).generate_samples(3, 12, sampling, ids)
        assert all(same(*pair) for pair in zip(got, want, strict=True))


@needs_engine
@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 64), length=st.integers(1, 128), tokens=st.integers(0, 140), seed=st.integers(0, 2**64 - 1),
       stop=st.sets(st.integers(0, 70), max_size=4), banned=st.sets(st.integers(0, 40), max_size=20),
       first=st.sets(st.integers(41, 70), max_size=3), limit=st.sampled_from([0, 60]),
       temperature=st.sampled_from([0.0, 1.0, 2.0]), penalty=st.sampled_from([1.0, 1.0, 1.2]))
def test_any_rules(count: int, length: int, tokens: int, seed: int, stop: set[int], banned: set[int], first: set[int],
                   limit: int, temperature: float, penalty: float) -> None:
    """Stops at different times, the context's end in the middle, a full context, no tokens at all."""
    first = {id for id in first if not limit or id < limit}
    sampling = Sampling(temperature, repetition_penalty=penalty, seed=seed)
    rules: dict[str, Any] = dict(stop_ids=stop, banned=banned, allowed_first=first, limit=limit)
    engine, ids = made(Engine), prompt(length)
    chosen = sorted({0, count // 2, count - 1})
    want = {i: alone(engine, 1, tokens, replace(sampling, seed=seed + i), ids, **rules)[0] for i in chosen}
    engine.truncate(0)
    got = engine.generate_samples(count, tokens, sampling, ids, **rules)
    assert len(got) == count and {i: got[i] for i in chosen} == want


def test_stop_ids_end_texts_at_different_times() -> None:
    for kind in [Decoder, *([Engine] if HAS_ENGINE else [])]:
        free = made(kind).generate_samples(6, 40, Sampling(1.5), prompt())
        stop = free[2].ids[5]
        got = made(kind).generate_samples(6, 40, Sampling(1.5), prompt(), stop_ids=[stop])
        lengths = [text.ids.index(stop) + 1 if stop in text.ids else 40 for text in free]
        assert [len(text.ids) for text in got] == lengths and len(set(lengths)) > 2
        assert [text.reason for text in got] == ["stop" if stop in text.ids else "length" for text in free]


@needs_engine
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [16, 37])
def test_an_adopted_text_goes_on(dtype: str, length: int) -> None:
    """Also with what depends on the ids before: the penalty, and prompt lookup."""
    for after in (Sampling(1.0, repetition_penalty=1.2, seed=9), Sampling()):
        with Engine(C, weights(), dtype) as engine, Engine(C, weights(), dtype, 1) as single:
            texts = engine.generate_samples(5, 30, Sampling(1.2, seed=3), prompt(length))
            engine.adopt(3)
            assert engine.position == length + 29
            got = engine.generate(40, after, texts[3].ids[-1:], lookup=8)
            single.generate(0, ids=prompt(length) + texts[3].ids[:-1])
            assert got == single.generate(40, after, texts[3].ids[-1:])
            # and samples of the sample
            more = engine.generate_samples(3, 10, Sampling(1.0, repetition_penalty=1.2), got.ids[-1:])
            single.generate(0, ids=got.ids[-1:])
            assert more == single.generate_samples(3, 10, Sampling(1.0, repetition_penalty=1.2))


@needs_engine
def test_branches_stay_open_until_something_else_is_done() -> None:
    engine = made(Engine)
    texts = engine.generate_samples(3, 10, Sampling(1.0), prompt())
    logits = engine.step([texts[1].ids[-1]], [1])  # the last one drawn has a place
    with pytest.raises(ValueError, match="full"):
        engine.step([1], [1])
    engine.adopt(1)
    assert engine.position == 30
    engine.truncate(0)
    assert np.array_equal(engine.extend(prompt() + texts[1].ids), logits[0])
    with pytest.raises(ValueError, match="not open"):
        engine.adopt(1)
    engine.truncate(20)  # the logits are gone: the last id is computed again
    assert engine.generate_samples(3, 10, Sampling(1.0)) == texts
    assert engine.generate_samples(2, 0) == [Drawn([], [], "length")] * 2
    engine.adopt(0)
    assert engine.generate_samples(3, 10, Sampling(1.0)) == texts


@pytest.mark.parametrize("kind", MAKERS)
def test_samples_that_cannot_be(kind: Any) -> None:
    decoder = made(kind)
    with pytest.raises(ValueError, match="nothing to continue"):
        decoder.generate_samples(2, 5)
    for count in (0, 65, -1):
        with pytest.raises(ValueError, match="1 to 64"):
            decoder.generate_samples(count, 5, ids=prompt())
    with pytest.raises(ValueError, match="fit"):
        decoder.generate_samples(2, 5, ids=prompt(129))
    assert decoder.position == 0
    with pytest.raises(ValueError, match="banned"):
        decoder.generate_samples(2, 5, ids=prompt(), banned=range(71))
    assert decoder.position == 20, "the sequence is whole"
    with pytest.raises(ValueError, match="not open"):
        decoder.adopt(0)
    flag = ctypes.c_int32(1)
    assert decoder.generate_samples(2, 5, cancel=flag) == [Drawn([], [], "cancelled")] * 2
    flag.value = 0
    full = made(kind).generate_samples(3, 5, Sampling(2.0), prompt(128), cancel=flag)
    assert [(len(text.ids), text.reason) for text in full] == [(1, "context")] * 3
    decoder.adopt(1)
    assert decoder.position == 128


@pytest.mark.parametrize("kind", MAKERS)
def test_damaged_weights_are_told_by_samples(kind: Any) -> None:
    tensors = weights()
    tensors["lm_head.weight"][5, 5] = np.nan
    decoder = kind(C, tensors)
    for wanted in (True, False):
        with pytest.raises(FloatingPointError):
            decoder.generate_samples(3, 5, ids=prompt(), logprobs=wanted)
        decoder.truncate(0)
    decoder.close()


@needs_engine
def test_the_c_interface_refuses() -> None:
    engine = made(Engine)
    call, request, results = engine._library.nimllm_generate_samples, module._Request(max_tokens=3), (
        module._Generated * 2)()
    request.choice.top_p = request.choice.repetition_penalty = 1.0
    ids = np.zeros((2, 3), np.int32)
    handle, where = engine._handle, ids.ctypes.data
    assert call(None, ctypes.byref(request), 2, where, None, results) == 6
    assert call(handle, None, 2, where, None, results) == 6
    assert call(handle, ctypes.byref(request), 0, where, None, results) == 6
    assert call(handle, ctypes.byref(request), 65, where, None, results) == 6
    assert call(handle, ctypes.byref(request), 2, None, None, results) == 6
    assert call(handle, ctypes.byref(request), 2, where, None, None) == 6
    assert call(handle, ctypes.byref(request), 2, where, None, results) == 6, "an empty cache"
    engine.extend(prompt())
    assert call(handle, ctypes.byref(request), 2, where, None, results) == 0
    assert [one.count for one in results] == [3, 3] and ids[0].tolist() == ids[1].tolist()


@needs_engine
def test_a_flag_from_another_thread_ends_all_texts() -> None:
    c = {**C, "context": 40_000, "n_layers": 8}
    flag, got = ctypes.c_int32(0), []
    with Engine(c, weights(c=c), threads=1) as engine:
        def draw() -> None:
            got.extend(engine.generate_samples(4, 39_000, Sampling(1.0), cancel=flag))

        engine.generate_samples(4, 39_000, ids=[1], cancel=ctypes.c_int32(1))  # opens the branches: that takes a while
        worker = threading.Thread(target=draw)
        worker.start()
        time.sleep(0.3)
        flag.value = 1
        worker.join(20)
        assert not worker.is_alive() and {text.reason for text in got} == {"cancelled"}
        assert len({len(text.ids) for text in got}) == 1 and 0 < len(got[0].ids) < 39_000
        engine.adopt(2)
        assert engine.position == len(got[2].ids)
        want = alone(engine, 1, min(len(got[2].ids), 60), Sampling(1.0, seed=2), [1])[0]
        assert got[2].ids[:60] == want.ids
