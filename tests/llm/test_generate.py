"""Generation: the cache, stops, streaming, and both backends on the same random model."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.errors import NimError
from nimllm.llm.checkpoint import expected_shapes, read_tensors, write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.generate import Generator, Sampling, TextStream
from nimllm.llm.presets import preset
from nimllm.llm.tokenizer import Tokenizer, train_bpe, train_char

TEXTS = [f"find . -name '*.{kind}' | xargs wc -l | sort -n\n" * 4 for kind in ("py", "txt", "md", "json")]


# -- the stream ------------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(st.text(alphabet="ab\n漢😀é", max_size=30),
       st.lists(st.text(alphabet="ab\n漢", min_size=1, max_size=4), max_size=3), st.data())
def test_streams_give_whole_characters_up_to_the_stop(text: str, stops: list[str], data: st.DataObject) -> None:
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    given_out: list[str] = []
    stream = TextStream(stops, given_out.append)
    stopped = False
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        stopped = stream.add(raw[begin:end])
        if stopped:
            break
    if not stopped:
        stopped = stream.add(b"", final=True)
    assert "".join(given_out) == stream.text
    assert "\ufffd" not in stream.text, "no character is given in halves"
    assert text.startswith(stream.text)
    assert not any(stop in stream.text for stop in stops)
    if stopped:
        assert any(text[len(stream.text):].startswith(stop) for stop in stops)
    else:
        assert stream.text == text


def test_text_is_given_out_as_soon_as_it_can_be() -> None:
    stream = TextStream(["\nuser:"], None)
    stream.add(b"hello\nus")
    assert stream.text == "hello"
    stream.add(b"eful")
    assert stream.text == "hello\nuseful"
    stream.add("é".encode()[:1])
    assert stream.text == "hello\nuseful"
    stream.add(b"", final=True)
    assert stream.text == "hello\nuseful\ufffd"


# -- a tiny random model ---------------------------------------------------------------------------------------------


def write_run(run: Path, config: ModelConfig, tokenizer: Tokenizer, seed: int = 0) -> Path:
    run.mkdir(exist_ok=True)
    (run / "config.json").write_text(json.dumps({"format": "nimllm-run", "version": 1, "model": config.model_dump()}))
    tokenizer.save(run)
    rng = np.random.default_rng(seed)
    write_tensors(run / "model.safetensors",
                  {name: (1 + 0.1 * rng.standard_normal(shape) if "norm" in name else 0.3 * rng.standard_normal(shape))
                   for name, shape in expected_shapes(config).items()})
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = train_bpe(TEXTS, 320)
    return write_run(tmp_path_factory.mktemp("model") / "run", preset("tiny", tokenizer.vocab_size), tokenizer)


def engine_reason() -> str | None:
    try:
        from nimllm.kernels.engine import available
    except ImportError as error:
        return str(error)
    return available()


BACKENDS = ["torch", pytest.param("engine", marks=pytest.mark.skipif(engine_reason() is not None,
                                                                     reason=str(engine_reason())))]


@pytest.fixture(scope="module", params=BACKENDS)
def generator(request: pytest.FixtureRequest, run: Path) -> Generator:
    return Generator.load(run, backend=request.param, threads=1)


def prompt(generator: Generator, text: str = "find . -name") -> list[int]:
    return [generator.tokenizer.bos, *generator.tokenizer.encode(text)]


def every_logit(run: Path, ids: Sequence[int]) -> np.ndarray:
    """The reference: the torch model over the whole sequence at once, no cache."""
    import torch

    from nimllm.llm.model import load

    with torch.inference_mode():
        return load(run).eval()(torch.tensor([list(ids)]))[0].numpy()


def test_greedy_is_the_argmax_of_the_uncached_model(generator: Generator, run: Path) -> None:
    ids = prompt(generator)
    got = generator.complete(ids, 40)
    assert len(got.ids) == 40 and got.stopped == "length"
    logits = every_logit(run, ids + got.ids)
    expected = 0.0
    for position, choice in enumerate(got.ids):
        row = logits[len(ids) - 1 + position].astype(np.float64)
        expected += row[choice] - np.log(np.exp(row - row.max()).sum()) - row.max()
        open_row = row.copy()
        open_row[[0, 1, 3]] = -np.inf
        assert open_row[choice] >= open_row.max() - 1e-4
    assert got.logprob == pytest.approx(expected, abs=1e-3)
    assert got.text == generator.tokenizer.decode(got.ids)
    assert got.tokens_per_second > 0 and got.seconds > 0


def test_engine_and_torch_say_the_same(run: Path) -> None:
    if engine_reason() is not None:
        pytest.skip(str(engine_reason()))
    engine, torch_ = (Generator.load(run, backend=name, threads=1) for name in ("engine", "torch"))  # type: ignore
    for text in ("find", "xargs wc", "sort -n\n" * 8):
        ids = prompt(engine, text)
        one, two = engine.complete(ids, 50), torch_.complete(ids, 50)
        assert one.ids == two.ids
        assert one.logprob == pytest.approx(two.logprob, abs=1e-3)
        drawn = one.ids + ([one.stop_id] if one.stop_id is not None else [])
        assert engine.score(ids + drawn, len(ids)) == pytest.approx(two.logprob, abs=1e-3)


def test_the_cache_between_calls_changes_nothing(generator: Generator, run: Path) -> None:
    """Extend, shorten, diverge, repeat: every answer equals that of a generator that has seen nothing."""
    long = prompt(generator, TEXTS[0])[:60]
    for ids in (long, long[:30], [*long[:20], *long[5:40]], long, long, long[:1]):
        fresh = Generator.load(run, backend=generator.backend_name, threads=1)  # type: ignore[arg-type]
        for sampling in (Sampling(), Sampling(0.9, top_k=20, seed=5)):
            kept, new = generator.complete(ids, 12, sampling=sampling), fresh.complete(ids, 12, sampling=sampling)
            assert kept.ids == new.ids
            assert kept.logprob == pytest.approx(new.logprob, abs=1e-3)


def test_a_common_prefix_is_not_computed_again(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = prompt(generator, TEXTS[0])[:50]
    generator.complete(ids, 4)
    read: list[int] = []
    extend = generator._extend

    def counting(new: Sequence[int], every: bool = False) -> np.ndarray:
        read.append(len(new))
        return extend(new, every)

    monkeypatch.setattr(generator, "_extend", counting)
    generator.complete([*ids, 7, 8, 9], 1)
    assert sum(read) <= 4
    read.clear()
    generator.complete([*ids[:25], 9], 1)
    assert sum(read) == 1


def test_score_is_the_sum_of_the_model(generator: Generator, run: Path) -> None:
    ids = prompt(generator, TEXTS[1] * 2)[:90]
    logits = every_logit(run, ids).astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    for start in (1, 2, 45, 89, 90):
        expected = sum(logs[position - 1, ids[position]] for position in range(start, len(ids)))
        assert generator.score(ids, start) == pytest.approx(expected, abs=2e-3)
    assert generator.score(ids, len(ids)) == 0
    with pytest.raises(ValueError, match="start 0"):
        generator.score(ids, 0)


def test_seeds_repeat_and_differ(generator: Generator) -> None:
    ids = prompt(generator)
    draws = [generator.complete(ids, 20, sampling=Sampling(1.5, seed=seed)).ids for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_top_k_one_is_greedy(generator: Generator) -> None:
    ids = prompt(generator)
    assert generator.complete(ids, 15, sampling=Sampling(2.0, top_k=1)).ids == generator.complete(ids, 15).ids


def test_allowed_first_and_banned(generator: Generator) -> None:
    ids = prompt(generator)
    tokenizer = generator.tokenizer
    choice = {tokenizer.marker("bash"), tokenizer.marker("assistant")}
    for seed in range(5):
        got = generator.complete(ids, 3, allowed_first=choice, sampling=Sampling(1.0, seed=seed))
        assert got.ids[0] in choice
    only = generator.complete(ids, 1, allowed_first=choice, banned={min(choice)})
    assert only.ids == [max(choice)]
    greedy = generator.complete(ids, 10).ids
    without = generator.complete(ids, 10, banned=greedy).ids
    assert not set(greedy) & set(without)
    with pytest.raises(ValueError, match="banned"):
        generator.complete(ids, 1, allowed_first={9}, banned={9})
    for seed in range(30):
        assert not {0, 1, 3} & set(generator.complete(ids, 20, sampling=Sampling(5.0, seed=seed)).ids)


def test_a_stop_id_is_left_out_and_named(generator: Generator) -> None:
    ids = prompt(generator)
    free = generator.complete(ids, 20)
    stop = free.ids[7]
    first = free.ids.index(stop)
    got = generator.complete(ids, 20, stop_ids=[stop])
    assert (got.stopped, got.stop_id, got.ids) == ("stop", stop, free.ids[:first])
    assert got.logprob == pytest.approx(generator.score(ids + free.ids[:first + 1], len(ids)), abs=1e-3)
    at_once = generator.complete(ids, 20, stop_ids=[free.ids[0]])
    assert (at_once.ids, at_once.text, at_once.stopped) == ([], "", "stop")


def test_a_stop_string_may_span_tokens(generator: Generator) -> None:
    ids = prompt(generator)
    letters = [generator.tokenizer.encode(letter)[0] for letter in "fndwcsorta"]
    banned = set(range(generator.config.vocab_size)) - set(letters)
    free = generator.complete(ids, 40, banned=banned, sampling=Sampling(1.0, seed=3))
    stop = free.text[10:13]
    where = free.text.index(stop)
    said: list[str] = []
    got = generator.complete(ids, 40, banned=banned, sampling=Sampling(1.0, seed=3), stop_strings=["never!", stop],
                             on_text=said.append)
    assert got.stopped == "stop" and got.stop_id is None
    assert got.text == free.text[:where] == "".join(said)
    assert got.ids == free.ids[:where]


def test_the_stream_is_the_text(generator: Generator) -> None:
    for seed in range(10):  # at this temperature a random model writes many broken characters
        said: list[str] = []
        got = generator.complete(prompt(generator), 40, sampling=Sampling(3.0, seed=seed), on_text=said.append)
        assert "".join(said) == got.text == generator.tokenizer.decode(got.ids)


def test_the_end_of_the_context(generator: Generator) -> None:
    context = generator.config.context
    ids = (prompt(generator, TEXTS[0]) * 9)[:context]
    got = generator.complete(ids[:-5], 50)
    assert got.stopped == "context"
    assert len(got.ids) == 6, "five more fit, and the last one drawn needs no place"
    assert generator.complete(ids, 50).stopped == "context"
    assert generator.complete(ids, 1).stopped == "length"
    with pytest.raises(NimError, match=f"{context + 1} tokens: the model's context is {context}"):
        generator.complete([*ids, 5], 1)
    with pytest.raises(NimError, match="too long"):
        generator.score([*ids, 5, 6], 3)
    with pytest.raises(ValueError, match="bos"):
        generator.complete([], 1)
    assert generator.complete(ids[:3], 0).ids == []


def test_should_stop_is_asked_between_tokens(generator: Generator) -> None:
    ids = prompt(generator)
    said: list[str] = []
    got = generator.complete(ids, 50, on_text=said.append, should_stop=lambda: len(said) >= 3)
    assert got.stopped == "interrupted" and 3 <= len(got.ids) < 50
    free = generator.complete(ids, 50)
    assert got.ids == free.ids[:len(got.ids)]
    assert generator.complete(ids, 5, should_stop=lambda: True).ids == []


def test_an_exception_in_the_middle_leaves_a_usable_generator(generator: Generator) -> None:
    ids = prompt(generator)
    expected = generator.complete(ids, 10).ids

    def burst(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.complete(ids, 10, on_text=burst)
    assert generator.complete(ids, 10).ids == expected


class LogitsOnly:
    """A backend that gives logits and draws nothing: the other way through the generator, on the same numbers."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    @property
    def position(self) -> int:
        return self._backend.position

    def extend(self, ids: Sequence[int]) -> np.ndarray:
        return self._backend.extend(ids)

    def extend_all(self, ids: Sequence[int]) -> np.ndarray:
        return self._backend.extend_all(ids)

    def truncate(self, position: int) -> None:
        self._backend.truncate(position)

    def close(self) -> None:
        self._backend.close()


@pytest.mark.skipif(engine_reason() is not None, reason=str(engine_reason()))
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(repetition_penalty=1.4), Sampling(0.8, top_k=30, seed=3),
                                      Sampling(1.2, top_p=0.9, min_p=0.01, seed=4, repetition_penalty=1.1)])
def test_drawing_in_the_engine_and_outside_is_the_same(run: Path, sampling: Sampling) -> None:
    inside, outside = (Generator.load(run, backend="engine", threads=1) for _ in range(2))
    outside._backend = LogitsOnly(outside._backend)
    free = inside.complete(prompt(inside), 40, sampling=sampling)
    for ids in (prompt(inside), prompt(inside, TEXTS[0])[:70], prompt(inside, TEXTS[0])[:124], prompt(inside)[:2]):
        for more in ({}, {"stop_ids": free.ids[5:6]}, {"stop_strings": [free.text[20:22]]}, {"banned": free.ids[:3]},
                     {"allowed_first": [9, 50, 70]}):
            one, two = (generator.complete(ids, 45, sampling=sampling, **more)  # type: ignore[arg-type]
                        for generator in (inside, outside))
            assert (one.ids, one.text, one.stopped, one.stop_id) == (two.ids, two.text, two.stopped, two.stop_id)
            assert one.logprob == pytest.approx(two.logprob, abs=1e-3)
            assert len(inside._ids) == inside._backend.position <= len(ids) + len(one.ids) + 8
            assert inside._ids[:len(ids)] == ids
    inside.close()
    outside.close()


def test_what_a_burst_drew_past_the_end_is_forgotten(generator: Generator) -> None:
    ids = prompt(generator)
    free = generator.complete(ids, 40)
    said: list[str] = []
    got = generator.complete(ids, 40, on_text=said.append, should_stop=lambda: len(said) >= 5)
    assert got.stopped == "interrupted" and got.ids == free.ids[:len(got.ids)]
    assert generator._backend.position == len(generator._ids) <= len(ids) + len(got.ids)
    assert generator.complete(ids + got.ids, 10).ids == free.ids[len(got.ids):len(got.ids) + 10]


@pytest.mark.parametrize("name", BACKENDS)
def test_damaged_weights_are_told(name: str, run: Path, tmp_path: Path) -> None:
    mine = Generator.load(run, backend=name, threads=1)  # type: ignore[arg-type]
    tensors = read_tensors(run / "model.safetensors")
    tensors["model.norm.weight"][3] = 3e38
    write_tensors(tmp_path / "damaged.safetensors", tensors)
    mine.reload(tmp_path / "damaged.safetensors")
    with pytest.raises(NimError, match="not finite"):
        mine.complete(prompt(mine), 5)
    mine.reload(run / "model.safetensors")
    assert len(mine.complete(prompt(mine), 5).ids) == 5
    mine.close()


def test_repetition_penalty_ends_loops(generator: Generator) -> None:
    ids = prompt(generator)
    strong = generator.complete(ids, 60, sampling=Sampling(repetition_penalty=50.0)).ids
    assert len(set(strong)) > len(set(generator.complete(ids, 60).ids))


def test_reload_takes_other_weights(run: Path, tmp_path: Path, generator: Generator) -> None:
    other = write_run(tmp_path / "other", generator.config, generator.tokenizer, seed=9)
    mine = Generator.load(run, backend=generator.backend_name, threads=1)  # type: ignore[arg-type]
    ids = prompt(generator)
    before = mine.complete(ids, 20).ids
    mine.reload(other / "model.safetensors")
    after = mine.complete(ids, 20).ids
    assert after == Generator.load(run, other / "model.safetensors", backend="torch").complete(ids, 20).ids != before
    with pytest.raises(NimError):
        mine.reload(tmp_path / "nowhere.safetensors")
    assert mine.complete(ids, 20).ids == after, "a failed reload changes nothing"


def test_bf16_is_close(run: Path, generator: Generator) -> None:
    rough = Generator.load(run, backend=generator.backend_name, dtype="bf16", threads=1)  # type: ignore[arg-type]
    ids = prompt(generator, TEXTS[0])[:40]
    exact = generator.score(ids, 1)
    assert rough.score(ids, 1) == pytest.approx(exact, rel=0.03) and rough.score(ids, 1) != exact


def test_8_and_4_bits_are_close_and_the_engines_alone(run: Path, generator: Generator) -> None:
    if generator.backend_name == "torch":
        with pytest.raises(NimError, match="torch backend has no q8"):
            Generator.load(run, backend="torch", dtype="q8")
        return
    ids = prompt(generator, TEXTS[0])[:40]
    exact = generator.score(ids, 1)
    scores = [Generator.load(run, backend="engine", dtype=dtype, threads=1).score(ids, 1)
              for dtype in ("q8", "q4")]  # type: ignore[arg-type]
    assert scores[0] == pytest.approx(exact, rel=0.05) and scores[0] != exact
    assert scores[1] == pytest.approx(exact, rel=0.3) and scores[1] != exact


@pytest.mark.parametrize("variety", [{"pos": "learned", "norm": "layer", "ffn": "gelu", "bias": True, "tied": False},
                                     {"ffn": "relu2", "qk_norm": False, "embed_norm": True, "n_kv_heads": 2}])
def test_other_architectures_and_characters(variety: dict, tmp_path: Path) -> None:
    tokenizer = train_char(TEXTS)
    config = preset("tiny", tokenizer.vocab_size + 5, **variety)  # a padded vocabulary: its last ids never come
    run = write_run(tmp_path / "run", config, tokenizer)
    answers = []
    for name in ("torch", "engine") if engine_reason() is None else ("torch",):
        generator = Generator.load(run, backend=name, threads=1)  # type: ignore[arg-type]
        got = generator.complete(prompt(generator), 30, sampling=Sampling(2.0, seed=1))
        assert max(got.ids) < tokenizer.vocab_size
        answers.append(got.ids)
        assert generator.score(prompt(generator) + got.ids, 4) == pytest.approx(
            Generator.load(run, backend="torch").score(prompt(generator) + got.ids, 4), abs=2e-3)
    assert all(answer == answers[0] for answer in answers)


def test_a_broken_run_folder(run: Path, tmp_path: Path) -> None:
    config = preset("tiny", 320)
    with pytest.raises(NimError, match=r"config\.json is missing"):
        Generator.load(tmp_path)
    damaged = write_run(tmp_path / "a", config, Tokenizer.load(run))
    (damaged / "model.safetensors").unlink()
    with pytest.raises(NimError, match="does not exist"):
        Generator.load(damaged)
    small = write_run(tmp_path / "b", preset("tiny", 64), Tokenizer.load(run))
    with pytest.raises(NimError, match="does not fit its model"):
        Generator.load(small)


def test_without_the_engine_torch_is_used_and_said_once(run: Path, monkeypatch: pytest.MonkeyPatch,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    from nimllm.llm import generate

    monkeypatch.setitem(sys.modules, "nimllm.kernels.engine", None)  # what Python does for a module that is not there
    monkeypatch.setattr(generate, "_told", set())
    assert Generator.load(run).backend_name == "torch"
    Generator.load(run)
    assert capsys.readouterr().err.count("C++ engine cannot be used") == 1
    with pytest.raises(NimError, match="cannot be used"):
        Generator.load(run, backend="engine")


@pytest.mark.skipif(engine_reason() is not None, reason=str(engine_reason()))
def test_the_engine_needs_no_torch(run: Path) -> None:
    """In a process of its own: torch would cost 0.8 s and 210 MB before the first token."""
    import subprocess
    import sys

    code = ("import sys; from pathlib import Path; from nimllm.llm.generate import Generator\n"
            "generator = Generator.load(Path(sys.argv[1]), threads=1)\n"
            "generator.complete([1, 9, 9], 5)\n"
            "assert generator.backend_name == 'engine' and 'torch' not in sys.modules, sorted(sys.modules)")
    done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_table_can_choose_the_backend(generator: Generator, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIMLLM_KERNELS", "decode=torch")
    chosen = Generator.load(run, threads=1)
    assert chosen.backend_name == "torch"
    chosen.close()


# -- several texts at once -------------------------------------------------------------------------------------------


def one_by_one(generator: Generator, ids: list[int], count: int, tokens: int, sampling: Sampling, **rules: Any) -> list:
    return [generator.complete(ids, tokens, sampling=replace(sampling, seed=sampling.seed + i), **rules)
            for i in range(count)]


def told(texts: list) -> list:
    return [(text.ids, text.text, text.stopped, text.stop_id, pytest.approx(text.logprob, abs=1e-3)) for text in texts]


@pytest.mark.parametrize("rules", [{}, {"stop_strings": ["e", " | "]}, {"stop_ids": range(100, 140)},
                                   {"allowed_first": [70, 71, 90], "banned": range(100, 300)}])
def test_many_texts_are_single_ones(generator: Generator, rules: dict) -> None:
    sampling, ids = Sampling(1.0, seed=5), prompt(generator)
    want = one_by_one(generator, ids, 6, 40, sampling, **rules)
    many = generator.complete_many(ids, 6, 40, sampling=sampling, **rules)
    assert told(many) == told(want)
    assert len({tuple(text.ids) for text in want}) > 1
    if "stop_ids" in rules or "stop_strings" in rules:
        assert any(text.stopped == "stop" for text in want)
    assert told([generator.complete(ids, 40, sampling=sampling, **rules)]) == told(want[:1]), "the cache is right"


def test_many_texts_end_with_the_context(generator: Generator) -> None:
    context = generator.config.context
    ids = (prompt(generator) * 100)[:context - 3]
    many = generator.complete_many(ids, 3, 50, sampling=Sampling(1.0))
    assert told(many) == told(one_by_one(generator, ids, 3, 50, Sampling(1.0)))
    assert "context" in {text.stopped for text in many}
    for count in (0, 65):
        with pytest.raises(ValueError, match="1 to 64"):
            generator.complete_many(ids, count, 5)
    with pytest.raises(NimError, match="too long"):
        generator.complete_many(ids * 2, 2, 5)


def test_the_first_of_many_samples_is_the_greedy_one(generator: Generator) -> None:
    ids, sampling = prompt(generator), Sampling(1.0, seed=5)
    greedy = generator.complete(ids, 30)
    assert told(generator.sample_many(ids, 5, 30, sampling=sampling)) == told(
        [greedy, *one_by_one(generator, ids, 4, 30, sampling)])
    assert told(generator.sample_many(ids, 1, 30, sampling=sampling)) == told([greedy])


def test_samples_can_be_stopped_from_another_thread(generator: Generator) -> None:
    ids, stop = prompt(generator), ctypes.c_int32(1)
    assert [text.stopped for text in generator.sample_many(ids, 5, 30, cancel=stop)] == ["interrupted"]
    many = generator.complete_many(ids, 5, 30, sampling=Sampling(1.0), cancel=stop)
    assert {text.stopped for text in many} == {"interrupted"} and sum(len(text.ids) for text in many) < 5 * 30
    stop.value = 0
    assert generator.complete_many(ids, 2, 30, sampling=Sampling(1.0), cancel=stop)[0].stopped != "interrupted"
