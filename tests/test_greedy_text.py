"""The shipped model's greedy text in fp32: the same 200 tokens from torch and from the engine on every processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nimllm.kernels.engine import Engine, available, instruction_sets
from nimllm.kernels.sampling import Sampling
from nimllm.llm.checkpoint import read_tensors
from nimllm.llm.config import ModelConfig, read_config
from nimllm.llm.generate import Backend, Generator
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Role, Turn, render
from nimllm.places import shipped_model

LENGTH = 200
# The smallest lead of the best logit over the next on the way is 1e-4 (the loop), 9e-3 (the prose), 5e-2 and more
# (the others); the backends' logits differ by 3e-5 at most.
PROMPTS: dict[str, tuple[list[tuple[Role, str]], Role] | str] = {
    "a command": ([("user", "find all TODO comments")], "bash"),
    "a plan": ([("system", "files: main.py notes.txt src/"), ("user", "how many python files are there?")], "plan"),
    "a fact": ([("user", "my dog is called Rex")], "assistant"),
    "a question": ([("user", "What is my name?")], "assistant"),
    "a loop": 'for f in *.py; do\n  wc -l "$f"\n',
    "another language": "Es war einmal ein kleiner Hund, der hieß",
    "prose": (shipped_model() / "probe_text.txt").read_text("utf-8")[:800],
    "nothing": "",
}
# Plain greedy text of a small model falls into rounds, and then even bf16 weights write the same; with a penalty on
# what was there it goes on, from one close choice to the next: there bf16 weights part within 80 tokens.
CASES = [*((name, 1.0) for name in PROMPTS), *((name, 1.3) for name in ("a question", "a loop", "another language"))]
CLEAR = (("a plan", 1.0), ("a fact", 1.0), ("a question", 1.0))  # leads of 5e-2: others part before them

pytestmark = pytest.mark.skipif(available() is not None, reason=available() or "")


@pytest.fixture(scope="module")
def config() -> ModelConfig:
    return read_config(shipped_model())


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(shipped_model())


@pytest.fixture(scope="module")
def plain_torch() -> Generator:
    torch.set_num_threads(1)
    return Generator.load(shipped_model(), backend="torch")


@pytest.fixture(scope="module")
def on(config: ModelConfig, tokenizer: Tokenizer) -> Callable[[str], Generator]:
    """The engine's generator for one instruction set; made once."""
    made: dict[str, Generator] = {}

    def reopen(path: Path) -> Backend:
        raise AssertionError(f"nobody asked for the weights of {path}")

    def generator(isa: str) -> Generator:
        if isa not in made:
            tensors = read_tensors(shipped_model() / "model.safetensors")
            made[isa] = Generator(config, tokenizer, Engine(config.model_dump(), tensors, isa=isa), "engine", reopen)
        return made[isa]

    return generator


def prompt_ids(name: str, tokenizer: Tokenizer) -> list[int]:
    prompt = PROMPTS[name]
    if isinstance(prompt, str):
        return [tokenizer.bos, *tokenizer.encode(prompt)]
    turns, role = prompt
    return [*render([Turn(*turn) for turn in turns], tokenizer).ids, tokenizer.marker(role)]


def greedy(generator: Generator, ids: list[int], penalty: float = 1.0) -> list[int]:
    """The continuation; nothing ends it, since eos is banned and the marker of a turn's end is a token like others."""
    sampling = Sampling(temperature=0, repetition_penalty=penalty)
    done = generator.complete(ids, LENGTH, banned=[generator.tokenizer.eos], sampling=sampling)
    assert done.stopped == "length" and len(done.ids) == LENGTH
    return done.ids


def fork(generator: Generator, prompt: list[int], here: list[int], there: list[int]) -> str:
    """Where two texts part, and by how much the one token is ahead of the other for ``generator``, no penalty."""
    at = next(place for place in range(LENGTH) if here[place] != there[place])
    totals = [generator.score([*prompt, *text[: at + 1]], len(prompt) + at) for text in (here, there)]
    return f"token {at}: {here[at]} and {there[at]}, {totals[0] - totals[1]:.2g} nats apart"


@pytest.fixture(scope="module")
def torch_text(plain_torch: Generator, tokenizer: Tokenizer) -> Callable[..., list[int]]:
    texts: dict[tuple[str, float], list[int]] = {}

    def text(name: str, penalty: float = 1.0) -> list[int]:
        if (name, penalty) not in texts:
            texts[name, penalty] = greedy(plain_torch, prompt_ids(name, tokenizer), penalty)
        return texts[name, penalty]

    return text


@pytest.mark.parametrize("isa", ["avx512", "avx2", "portable"])
@pytest.mark.parametrize(("name", "penalty"), [pytest.param(*case, marks=[pytest.mark.slow] if case in CLEAR else [])
                                               for case in CASES])
def test_the_text_is_that_of_torch(name: str, penalty: float, isa: str, on: Callable[[str], Generator],
                                   plain_torch: Generator, torch_text: Callable[..., list[int]],
                                   tokenizer: Tokenizer) -> None:
    if isa not in instruction_sets():
        pytest.skip(f"this processor has no {isa}")
    prompt, expected = prompt_ids(name, tokenizer), torch_text(name, penalty)
    written = greedy(on(isa), prompt, penalty)
    assert written == expected, fork(plain_torch, prompt, expected, written)


def test_the_loaded_model_writes_it_too(torch_text: Callable[..., list[int]], tokenizer: Tokenizer,
                                        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As sessions load it, on two threads: the first one packs the weights, the second opens the packed file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        generator = Generator.load(shipped_model(), backend="engine", threads=2)
        assert list(tmp_path.rglob("*.safetensors"))
        for name in ("a command", "prose"):
            assert greedy(generator, prompt_ids(name, tokenizer)) == torch_text(name)
        generator.close()


def test_the_texts_differ(torch_text: Callable[..., list[int]]) -> None:
    """What is compared is text, not one and the same token again and again."""
    texts = [torch_text(name) for name in PROMPTS if (name, 1.0) not in CLEAR]
    assert len({tuple(text) for text in texts}) == len(texts)
    assert np.median([len(set(text)) for text in texts]) >= 5
