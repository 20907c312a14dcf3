"""Muon is torch's where it has the same options; its own options do what they say."""

from __future__ import annotations

import pytest
import torch

from nimllm.llm.muon import ADAMW_RMS, Muon
from nimllm.llm.optim import optimizers, set_rate
from nimllm.llm.settings import TrainSettings


def matrices(seed: int = 0) -> list[torch.nn.Parameter]:
    rng = torch.Generator().manual_seed(seed)
    shapes = [(24, 40), (24, 40), (40, 24), (24, 24)]
    made = [torch.nn.Parameter(torch.randn(shape, generator=rng)) for shape in shapes]
    for parameter in made:
        parameter.grad = torch.randn(parameter.shape, generator=rng)
    return made


def test_steps_are_those_of_torch() -> None:
    ours, theirs = matrices(), matrices()
    one = Muon(ours, lr=0.02, weight_decay=0.1)
    other = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.95, nesterov=True,
                             adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        one.step()
        other.step()
        for a, b in zip(ours, theirs, strict=True):
            # the iteration runs in bf16, and not in the same order of sums: 1 % of an update
            torch.testing.assert_close(a, b, rtol=0, atol=0.02 * ADAMW_RMS * (40 ** 0.5) * 0.02 * (step + 1))
            a.grad = b.grad = torch.randn(a.shape, generator=torch.Generator().manual_seed(step))


@pytest.mark.parametrize("cautious", [False, True])
def test_cautious_decay_spares_what_the_update_grows(cautious: bool) -> None:
    decayed, plain = matrices()[:1], matrices()[:1]
    before = decayed[0].detach().clone()
    Muon(decayed, lr=0.1, weight_decay=0.5, cautious=cautious).step()
    Muon(plain, lr=0.1).step()
    update = before - plain[0].detach()
    decay = plain[0].detach() - decayed[0].detach()
    expected = 0.05 * before * (before * update > 0) if cautious else 0.05 * before
    torch.testing.assert_close(decay, expected, rtol=1e-4, atol=1e-5)


def test_even_rows_have_one_size_and_the_whole_keeps_its_norm() -> None:
    (parameter,) = matrices()[:1]
    with torch.no_grad():  # rows of a gradient of rank 3 get rows of very different sizes
        parameter.grad = torch.randn(24, 3) * torch.linspace(0.01, 3, 24)[:, None] @ torch.randn(3, 40)
    rows = []
    for even in (False, True):
        copy = torch.nn.Parameter(parameter.detach().clone())
        copy.grad = parameter.grad
        Muon([copy], lr=0.1, rows=even).step()
        rows.append((parameter - copy).detach().norm(dim=1))
    assert rows[0].max() > 2 * rows[0].min() and rows[1].max() < 1.001 * rows[1].min()
    torch.testing.assert_close(rows[0].norm(), rows[1].norm(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_has_its_optimizer_and_its_rate(tied: bool) -> None:
    from nimllm.llm.model import GPT
    from nimllm.llm.presets import preset

    model = GPT(preset("tiny", tied=tied))
    both = optimizers(model, TrainSettings(steps=1, batch_rows=1, lr=1.0, optimizer="muon", embed_scale=3.0,
                                            vector_scale=0.5))
    set_rate(both, 0.01)
    rates = {id(p): group["lr"] for one in both for group in one.param_groups for p in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        expected = 0.03 if "embed" in name else 0.005 if parameter.dim() < 2 else 0.01
        assert rates[id(parameter)] == pytest.approx(expected), name


def test_it_takes_no_closure() -> None:
    with pytest.raises(ValueError, match="no closure"):
        Muon(matrices(), lr=0.1).step(lambda: 0.0)
