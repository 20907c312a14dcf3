"""Measuring answers: log-probabilities and divergence against their definitions, repetition, validity."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from nimllm.alignment import answers
from nimllm.alignment.answers import distinct, loops, valid
from nimllm.alignment.preferences import Answer, tokenised
from nimllm.llm.generate import Generator
from nimllm.llm.model import GPT, load
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render


def some(tokenizer: Tokenizer) -> list[Answer]:
    found = [tokenised([Turn("user", f"what is {n}? " + "so " * n)], [Turn("assistant", f"it is {n} " * (n % 5 + 1))],
                       tokenizer) for n in range(9)]
    with_output = [Turn("bash", "ls"), Turn("output", "secret", True), Turn("assistant", "done")]
    return [*found, tokenised([Turn("user", "list")], with_output, tokenizer)]


def other(run: Path) -> GPT:
    """A policy a little away from the run's."""
    model = load(run).eval()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
    return model


def test_log_probabilities_and_divergence_are_what_they_are_called(blank_run: Path, tokenizer: Tokenizer,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BATCH_TOKENS", 200)  # several batches
    monkeypatch.setattr(answers, "CHUNK", 7)
    reference, policy, rows = load(blank_run).eval(), other(blank_run), some(tokenizer)
    kl, entropy, count = 0.0, 0.0, 0
    expected = []
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row.prompt + row.ids])
            p, q = (torch.log_softmax(model(ids).double(), -1)[0] for model in (policy, reference))
            places = [len(row.prompt) + i for i, own in enumerate(row.own) if own]
            expected.append(sum(float(p[i - 1, ids[0, i]]) for i in places))
            kl += sum(float((p[i - 1].exp() * (p[i - 1] - q[i - 1])).sum()) for i in places)
            entropy -= sum(float((p[i - 1].exp() * p[i - 1]).sum()) for i in places)
            count += len(places)
    assert not all(rows[-1].own) and count == sum(row.count for row in rows)  # an output is not the model's
    assert answers.logprobs(policy, rows) == pytest.approx(expected, rel=1e-5)
    assert answers.divergence(policy, reference, rows) == pytest.approx((kl / count, entropy / count), rel=1e-4)
    assert answers.divergence(reference, reference, rows)[0] == pytest.approx(0.0, abs=1e-7)


def test_bits_per_byte_of_a_text(blank_run: Path, tokenizer: Tokenizer) -> None:
    model = load(blank_run).eval()
    text = "the quick brown fox is what it is, and 7 is 7\n" * 30
    ids = [tokenizer.bos, *tokenizer.encode(text)]
    nats = 0.0
    with torch.no_grad():
        for start in range(0, len(ids) - 1, 128):
            window = torch.tensor([ids[start:start + 129]])
            nats += float(model(window[:, :-1], window[:, 1:])) * (window.shape[1] - 1)
    assert len(ids) > 3 * 128
    found = answers.bits_per_byte(model, ids, len(text.encode()), 128)
    assert found == pytest.approx(nats / math.log(2) / len(text.encode()), rel=1e-5)


def test_samples_begin_with_a_marker_of_the_models_own(talking_run: Path) -> None:
    generator = Generator.load(talking_run, threads=1)
    prompts = [render([Turn("user", text)], generator.tokenizer).ids for text in ("what is my name?", "hello")]
    found = answers.sample(generator, prompts, 24, 0.0, 0)
    assert [sample.role for sample in found] == ["assistant", "assistant"]
    for sample in found:
        assert sample.ended and sample.text and sample.ids[-1] == generator.tokenizer.marker("end")
        whole = render([Turn("assistant", sample.text)], generator.tokenizer, bos=False).ids
        assert list(sample.ids) == whole
    assert found == answers.sample(generator, prompts, 24, 0.0, 1)  # greedy
    hot = answers.sample(generator, prompts, 24, 1.5, 1)
    assert hot != found and hot == answers.sample(generator, prompts, 24, 1.5, 1)
    short = answers.sample(generator, prompts, 2, 0.0, 0)
    assert all(len(sample.ids) == 2 and not sample.ended for sample in short)


def test_repetition() -> None:
    assert distinct([1, 2, 3, 4, 5, 6]) == 1.0 and distinct([1, 2]) == 1.0
    assert distinct([7] * 13) == pytest.approx(1 / 10)
    assert loops([5] * 16) and not loops([5] * 15)
    assert loops([9, 8, 7, *[1, 2, 3, 4, 5] * 4, 6]) and not loops([9, 8, 7, *[1, 2, 3, 4, 5] * 3, 6])
    assert not loops(list(range(400))) and not loops([])
    assert loops([*range(50), *[1, 2] * 8])


@pytest.mark.parametrize(("role", "text", "good"), [
    ("bash", "ls -l | wc -l", True), ("bash", "echo 'unclosed", False), ("bash", "if true; then", False),
    ("bash", "", False), ("assistant", "It's 'fine", True), ("assistant", " ", False), ("assistant", "a\ufffdb", False),
    ("bash", "find . -name '*.py' -exec wc -l {} +", True), ("bash", "a ) b", False),
])
def test_validity(role: str, text: str, good: bool) -> None:
    assert valid(role, text) is good
