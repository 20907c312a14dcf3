"""Texts drawn inside the engine: the same as token by token, with prompt lookup and without, and every way to end."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.kernels import engine as module
from nimllm.kernels.decoder import Decoder
from nimllm.kernels.engine import Engine, instruction_sets, tensor_shapes
from nimllm.kernels.sampling import Drawn, Sampling

C: dict[str, Any] = dict(
    vocab_size=71, n_layers=2, d_model=32, n_heads=2, n_kv_heads=1, head_dim=16, d_ff=64, context=128, pos="rope",
    rope_theta=10000.0, norm="rms", norm_eps=1e-6, ffn="swiglu", qk_norm=True, tied=False, bias=False, embed_norm=False,
)  # fmt: skip
HAS_ENGINE = module.available() is None
needs_engine = pytest.mark.skipif(not HAS_ENGINE, reason=str(module.available()))
MAKERS = [pytest.param(Engine, marks=needs_engine), Decoder]
ANY = [Sampling(), Sampling(repetition_penalty=1.3), Sampling(0.9, top_k=20, seed=3), Sampling(1.3, top_p=0.9, seed=4),
       Sampling(1.0, min_p=0.05, repetition_penalty=1.1, seed=5), Sampling(1.0, seed=2**64 - 1)]


def weights(seed: int = 0, c: dict[str, Any] = C) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    made = {}
    for name, shape in tensor_shapes(c).items():
        value = random.standard_normal(shape)
        made[name] = (value / np.sqrt(shape[1]) if len(shape) == 2 else 1 + 0.2 * value).astype(np.float32)
    return made


def prompt(n: int = 20, seed: int = 1) -> list[int]:
    return np.random.default_rng(seed).integers(0, C["vocab_size"], n).tolist()


_engines: dict[tuple[Any, int], Any] = {}


def made(kind: Any, seed: int = 0) -> Any:
    """An empty decoder; they are kept between tests."""
    if (kind, seed) not in _engines:
        _engines[kind, seed] = kind(C, weights(seed))
    decoder = _engines[kind, seed]
    decoder.truncate(0)
    return decoder


def same(got: Drawn, want: Drawn) -> bool:
    """torch's sums depend on how the ids are split over calls; the engine's do not (test_lookup_changes_nothing)."""
    return (got.ids, got.reason) == (want.ids, want.reason) and np.allclose(got.logprobs, want.logprobs, atol=2e-4)


@pytest.mark.parametrize("sampling", ANY)
@pytest.mark.parametrize("kind", MAKERS)
def test_every_decoder_draws_what_torch_draws_token_by_token(kind: Any, sampling: Sampling) -> None:
    ids, plain = prompt(), made(Decoder)
    want: list[int] = []
    logprobs: list[float] = []
    feed: Sequence[int] = ids
    for _ in range(60):
        token, logprob, _ = plain.generate(1, sampling, feed)
        want += token
        logprobs += logprob
        feed = token
    decoder = made(kind)
    got = decoder.generate(60, sampling, ids)
    assert isinstance(got, Drawn) and got.reason == "length"
    assert got.ids == want
    np.testing.assert_allclose(got.logprobs, logprobs, atol=2e-4)
    assert decoder.position == len(ids) + 59, "the last one drawn is not in the cache"
    assert len(set(want)) > 4


@pytest.mark.parametrize("kind", MAKERS)
def test_logprobs_are_the_models(kind: Any) -> None:
    ids = prompt()
    got = made(kind).generate(30, Sampling(1.0, seed=8), ids)
    logits = made(Decoder).extend_all(ids + got.ids[:-1])[len(ids) - 1:].astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(got.logprobs, logs[np.arange(30), got.ids], atol=2e-4)


@needs_engine
@pytest.mark.parametrize("isa", ["avx512", "avx2", "portable"])
def test_greedy_text_is_the_same_on_every_instruction_set(isa: str) -> None:
    if isa not in instruction_sets():
        pytest.skip(f"this processor has no {isa}")
    want = made(Decoder).generate(100, ids=prompt())
    with Engine(C, weights(), isa=isa) as engine:
        assert engine.generate(100, ids=prompt(), lookup=8).ids == want.ids


@needs_engine
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 5), base=st.lists(st.integers(0, 70), min_size=1, max_size=12), times=st.integers(1, 5),
       lookup=st.integers(1, 64), cuts=st.lists(st.integers(1, 30), max_size=8),
       penalty=st.sampled_from([1.0, 1.0, 1.2]), stop=st.sets(st.integers(0, 70), max_size=3), data=st.data())
def test_lookup_changes_nothing(seed: int, base: list[int], times: int, lookup: int, cuts: list[int], penalty: float,
                                stop: set[int], data: st.DataObject) -> None:
    """Repeating prompts, text in several calls, stops and bans in the middle of drafts: bit for bit the plain text."""
    ids = (base * times)[:60]
    engine = made(Engine, seed)
    rules: dict[str, Any] = dict(sampling=Sampling(repetition_penalty=penalty), stop_ids=stop,
                                 banned=data.draw(st.sets(st.integers(0, 70), max_size=5)))
    total = sum(cuts) + 10
    want = engine.generate(total, ids=ids, **rules)
    position = engine.position
    engine.truncate(0)
    drawn: list[int] = []
    logprobs: list[float] = []
    feed = ids
    for count in [*cuts, 10]:
        part = engine.generate(count, ids=feed, lookup=lookup, **rules)
        drawn += part.ids
        logprobs += part.logprobs
        feed = part.ids[-1:]
        if part.reason != "length":
            break
        if engine.position >= engine.context:
            break
    assert drawn == want.ids and logprobs == want.logprobs
    assert engine.position == position
    # and what is in the cache is what should be
    after = engine.extend(drawn[-1:]) if position < engine.context else None
    engine.truncate(0)
    if after is not None:
        assert np.array_equal(engine.extend(ids + drawn), after)


@needs_engine
def test_lookup_drafts_where_the_text_repeats() -> None:
    """Without attention and FFN the next token depends on the last one alone: greedy text is a loop."""
    tensors = weights()
    for name, value in tensors.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            value[...] = 0
    with Engine(C, tensors) as engine:
        loop = engine.generate(120, ids=prompt(5))
        assert len(set(loop.ids[60:])) <= 50, "the loop that this test needs"
        assert (engine.drafted, engine.accepted) == (0, 0)
        engine.truncate(0)
        again = engine.generate(120, ids=prompt(5), lookup=16)
        assert again == loop
        assert engine.drafted >= engine.accepted > 4, "4 can be the first draft; on a busy machine it rests in between"


@pytest.mark.parametrize("kind", MAKERS)
def test_stop_ids_end_the_text_and_are_told(kind: Any) -> None:
    free = made(kind).generate(40, ids=prompt())
    stop = free.ids[9]
    first = free.ids.index(stop)
    for lookup in (0, 8):
        decoder = made(kind)
        got = decoder.generate(40, ids=prompt(), stop_ids=[stop, 70], lookup=lookup)
        assert same(got, Drawn(free.ids[:first + 1], free.logprobs[:first + 1], "stop"))
        assert decoder.position == 20 + first


@pytest.mark.parametrize("kind", MAKERS)
def test_the_end_of_the_context(kind: Any) -> None:
    decoder = made(kind)
    got = decoder.generate(10**9, ids=prompt(120), lookup=8)
    assert got.reason == "context" and len(got.ids) == 9, "the last one drawn needs no place"
    assert decoder.position == 128
    decoder.truncate(0)
    assert decoder.generate(9, ids=prompt(120)).reason == "length"
    decoder.truncate(0)
    assert len(decoder.generate(5, ids=prompt(128)).ids) == 1
    with pytest.raises(ValueError, match="do not fit"):
        decoder.generate(5, ids=[1])
    assert decoder.position == 128


@pytest.mark.parametrize("kind", MAKERS)
def test_bans_limits_and_the_first_token(kind: Any) -> None:
    free = made(kind).generate(30, ids=prompt())
    got = made(kind).generate(30, ids=prompt(), banned=set(free.ids))
    assert not set(got.ids) & set(free.ids)
    assert max(made(kind).generate(60, Sampling(3.0), prompt(), limit=40).ids) < 40
    first = made(kind).generate(5, ids=prompt(), allowed_first=[3, 5])
    assert first.ids[0] in (3, 5)
    again = made(kind).generate(4, ids=[*prompt(), first.ids[0]])
    assert first.ids[1:] == again.ids, "only the first one is bound"
    with pytest.raises(ValueError, match="banned"):
        made(kind).generate(5, ids=prompt(), banned=range(71))
    with pytest.raises(ValueError, match="banned"):
        made(kind).generate(5, ids=prompt(), allowed_first=[3], limit=3)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_text_goes_on_after_anything(kind: Any) -> None:
    """After an extend, after a truncation (the last id is computed again), after a call that failed."""
    whole = made(kind).generate(20, ids=prompt())
    decoder = made(kind)
    decoder.extend(prompt())
    assert decoder.generate(20).ids == whole.ids
    decoder.truncate(20)
    assert decoder.generate(20).ids == whole.ids
    decoder.extend([1, 2, 3])
    decoder.truncate(20)
    assert same(decoder.generate(20), whole)
    decoder.truncate(20)
    with pytest.raises(ValueError, match="banned"):
        decoder.generate(5, banned=range(71))
    assert same(decoder.generate(20), whole)
    assert decoder.generate(0) == Drawn([], [], "length")
    decoder.truncate(0)
    with pytest.raises(ValueError, match="nothing to continue"):
        decoder.generate(1)
    decoder.generate(0, ids=prompt())
    assert decoder.position == 20 and same(decoder.generate(20), whole)


@needs_engine
def test_a_text_goes_on_after_branches_and_updates() -> None:
    tensors = weights()
    with Engine(C, tensors) as engine:
        whole = engine.generate(20, ids=prompt())
        engine.truncate(20)
        engine.fork(2, 9)
        engine.step([5, whole.ids[0]])
        engine.step([whole.ids[1]], [1])
        engine.adopt(1)
        assert engine.position == 22
        rest = engine.generate(18)
        assert (rest.ids, rest.logprobs) == (whole.ids[2:], whole.logprobs[2:])
        engine.fork(2, 9)
        engine.adopt(0)
        assert engine.generate(1).ids == rest.ids[-1:]
        name = "lm_head.weight"
        changed = tensors[name].copy()
        changed[3] += 7
        engine.update(name, changed, np.arange(3 * 32, 4 * 32))
        with Engine(C, {**tensors, name: changed}) as other:
            assert engine.position == 0
            assert engine.generate(20, ids=prompt(), lookup=4) == other.generate(20, ids=prompt())


@pytest.mark.parametrize("kind", MAKERS)
def test_damaged_weights_are_told(kind: Any) -> None:
    tensors = weights()
    tensors["lm_head.weight"][5, 5] = np.nan
    decoder = kind(C, tensors)
    with pytest.raises(FloatingPointError):
        decoder.generate(5, ids=prompt())
    decoder.close()


@needs_engine
def test_bad_arguments() -> None:
    engine = made(Engine)
    for wrong in (dict(ids=[71]), dict(ids=[-1]), dict(stop_ids=[71]), dict(banned=[10**12]), dict(lookup=65),
                  dict(lookup=-1), dict(limit=72), dict(ids=[[1]])):
        with pytest.raises(ValueError):
            engine.generate(3, **{"ids": [1], **wrong})  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        engine.generate(-1, ids=[1])
    assert engine.position == 0
    call = engine._library.nimllm_generate
    request, result = module._Request(max_tokens=3), module._Generated()
    request.choice.top_p = request.choice.repetition_penalty = 1.0
    ids = np.zeros(3, np.int32)
    assert call(engine._handle, None, None, None, ctypes.byref(result)) == 6
    assert call(None, ctypes.byref(request), None, None, ctypes.byref(result)) == 6
    assert call(engine._handle, ctypes.byref(request), None, None, ctypes.byref(result)) == 6, "no room for the ids"
    assert call(engine._handle, ctypes.byref(request), ids.ctypes.data, np.zeros(3).ctypes.data,
                ctypes.byref(result)) == 6, "an empty cache"
    request.n_ids = 5
    assert call(engine._handle, ctypes.byref(request), ids.ctypes.data, np.zeros(3).ctypes.data,
                ctypes.byref(result)) == 6, "ids that are not there"


@pytest.mark.parametrize("kind", MAKERS)
def test_a_raised_flag_draws_nothing(kind: Any) -> None:
    flag = ctypes.c_int32(1)
    decoder = made(kind)
    decoder.extend(prompt())
    assert decoder.generate(5, cancel=flag) == Drawn([], [], "cancelled")
    flag.value = 0
    assert decoder.generate(5, cancel=flag).reason == "length"


@needs_engine
def test_a_flag_from_another_thread_ends_the_text() -> None:
    c = {**C, "context": 40_000, "n_layers": 8}
    flag, got = ctypes.c_int32(0), []
    with Engine(c, weights(c=c), threads=1) as engine:
        worker = threading.Thread(target=lambda: got.append(engine.generate(39_000, ids=[1], cancel=flag)))
        worker.start()
        time.sleep(0.3)
        flag.value = 1
        worker.join(20)
        assert not worker.is_alive() and got[0].reason == "cancelled"
        assert 0 < len(got[0].ids) < 39_000
        assert engine.position == len(got[0].ids)
        rest = engine.generate(5, ids=got[0].ids[-1:])
        engine.truncate(0)
        want = engine.generate(min(len(got[0].ids) + 5, 60), ids=[1])
        assert (got[0].ids + rest.ids)[:60] == want.ids
