"""The collapse guard: what it measures, which budgets a ruined model passes, which checkpoint is better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nimllm.alignment import preferences
from nimllm.alignment.answers import sample
from nimllm.alignment.guard import Budgets, Guard, Measured
from nimllm.errors import UsageError
from nimllm.llm.checkpoint import write_tensors
from nimllm.llm.generate import Generator
from nimllm.llm.model import GPT, load
from nimllm.llm.turns import Turn, render

TEXT = "I don't know that yet. What is my name? Your name is Ada.\n" * 20


def guard_of(run: Path, reference: GPT, **options: object) -> Guard:
    """Of prompts to which the chosen answer is the one the run's model gives."""
    generator = Generator.load(run, threads=1)
    tokenizer = generator.tokenizer
    prompts = [[Turn("user", f"what is {name}'s job?")] for name in ("Ada", "Bo", "Cy", "Di")]
    said = sample(generator, [render(prompt, tokenizer).ids for prompt in prompts], 40, 0.0, 0)
    pairs = [preferences.Comparison(*(preferences.tokenised(prompt, [Turn("assistant", text)], tokenizer)
                                      for text in (answer.text or "a", "x y z job x name y")))
             for prompt, answer in zip(prompts, said, strict=True)]
    text = ([tokenizer.bos, *tokenizer.encode(TEXT)], len(TEXT.encode()))
    return Guard(reference, generator, pairs, text, sampled=3, max_tokens=40, **options)  # type: ignore[arg-type]


def moved(run: Path, size: float) -> GPT:
    model = load(run).eval()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for name, parameter in model.named_parameters():
            if "proj" in name:
                parameter += size * parameter.std() * torch.randn(parameter.shape, generator=generator)
    return model


def test_a_ruined_model_passes_the_budgets_and_a_near_one_does_not(talking_run: Path, tmp_path: Path) -> None:
    reference = load(talking_run).eval()
    guard = guard_of(talking_run, reference)
    with pytest.raises(ValueError, match="baseline"):
        guard.passed(measured())
    base = guard.measure(reference, talking_run / "model.safetensors", 0)
    assert guard.baseline is base and not guard.passed(base)
    assert base.kl == pytest.approx(0, abs=1e-6) and base.margin == base.chosen == base.rejected == base.accuracy == 0
    assert base.wins == 1.0 and base.greedy_chosen > 0.6 and base.valid > 0.6 and base.bits is not None
    found = {}
    for size in (0.01, 2.0):
        model = moved(talking_run, size)
        write_tensors(tmp_path / "moved.safetensors", model.to_numpy())
        found[size] = guard.measure(model, tmp_path / "moved.safetensors", 5)
        again = guard.measure(model, tmp_path / "moved.safetensors", 5)
        assert again == found[size]  # the same prompts, the same randomness
    assert not guard.passed(found[0.01]) and found[0.01].kl > 0
    said = " / ".join(guard.passed(found[2.0]))
    for what in ("KL to the reference", "chosen answers at -", "bits per byte", "usable answers"):
        assert what in said
    off = guard_of(talking_run, reference, budgets=Budgets(0, 0, 0, 0, 0))
    off.baseline = base
    assert not off.passed(found[2.0])


def measured(**changes: float) -> Measured:
    values = dict(step=1, wins=0.5, wins_summed=0.5, accuracy=0.5, margin=0.0, chosen=0.0, rejected=0.0,
                  greedy_chosen=0.0, greedy_rejected=0.0, kl=0.0, entropy=1.0, bits=2.0, distinct=0.9, looping=0.1,
                  valid=0.9)
    return Measured(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("changes", "what"), [
    ({"kl": 0.11}, "KL to the reference 0.110"), ({"kl": float("nan")}, "KL"), ({"chosen": -0.51}, "chosen answers"),
    ({"bits": 2.03}, "bits per byte 2.000 -> 2.030"), ({"bits": float("inf")}, "bits"), ({"looping": 0.3}, "looping"),
    ({"distinct": 0.7}, "distinct"), ({"valid": 0.7}, "usable"), ({"accuracy": 1.0, "chosen": -37.0}, "chosen answers"),
    ({"wins": 1.0, "kl": 0.09, "chosen": -0.4, "bits": 2.01, "looping": 0.2, "valid": 0.8}, ""),
    ({"bits": 1.0, "looping": 0.0, "distinct": 1.0, "valid": 1.0, "chosen": 3.0}, ""),
])
def test_each_budget(blank_run: Path, changes: dict[str, float], what: str) -> None:
    guard = guard_of(blank_run, load(blank_run).eval())
    guard.baseline = measured()
    said = guard.passed(measured(**changes))
    assert (len(said) == 1 and what in said[0]) if what else not said
    if what.startswith("bits"):
        guard.baseline = replace(measured(), bits=None)
        assert not guard.passed(measured(**changes) if changes["bits"] is None else replace(measured(), bits=None))


def test_the_better_checkpoint_wins_more_pairs_or_is_nearer() -> None:
    one, two, three = measured(wins=0.8, kl=0.05), measured(wins=0.8, kl=0.03), measured(wins=0.7, kl=0.0)
    assert two.better(one) and one.better(three) and not three.better(two) and not one.better(one)


def test_budgets_make_sense() -> None:
    for value in (-0.1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="makes no sense"):
            Budgets(kl=value)
