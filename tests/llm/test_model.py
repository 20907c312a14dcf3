"""The GPT with a device's own kernels against the same GPT in plain torch, for every kind of configuration."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nimllm.kernels import ops
from nimllm.llm.config import ModelConfig
from nimllm.llm.model import GPT, IGNORE, Documents, KeyValues
from nimllm.llm.presets import preset

BASE: dict[str, Any] = dict(vocab_size=61, n_layers=2, d_model=48, n_heads=4, n_kv_heads=2, head_dim=12, d_ff=80,
                            context=70)
KINDS: dict[str, dict[str, Any]] = {
    "default": {},
    "nanogpt": dict(pos="learned", norm="layer", ffn="gelu", qk_norm=False, bias=True, n_kv_heads=4),
    "no qk norm": dict(qk_norm=False, ffn="relu2", tied=False),
    "norms only": dict(pos="learned", embed_norm=True, norm="layer"),
    "qwen2": dict(qkv_bias=True, qk_norm=False),
    "dropout": dict(dropout=0.2, embed_norm=True),
}


def build(monkeypatch: pytest.MonkeyPatch, kind: str, kernels: str) -> GPT:
    monkeypatch.setenv(ops.VARIABLE, kernels)
    model = GPT(ModelConfig(**{**BASE, **KINDS[kind]}))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():  # nothing at its initial zero or one
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15 + (parameter.dim() < 2) * 0.9)
    return model


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    ids = torch.randint(0, 61, (3, 66), generator=generator)
    targets = ids[:, 1:].clone()
    targets[0, :20] = IGNORE
    return ids[:, :-1], targets


def step(model: GPT, bf16: bool) -> tuple[float, dict[str, Tensor]]:
    torch.manual_seed(5)
    model.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = model(*batch())
    loss.backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    assert len(grads) == len(list(model.parameters()))
    return loss.item(), grads


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_are_the_references(monkeypatch: pytest.MonkeyPatch, kind: str, bf16: bool) -> None:
    mine, got = step(build(monkeypatch, kind, ""), bf16)
    plain, want = step(build(monkeypatch, kind, "reference"), bf16)
    # bf16: both are rounded, differently, in some twenty places one after the other
    limit, loss_limit = (0.05, 5e-3) if bf16 else (1e-4, 1e-5)
    assert mine == pytest.approx(plain, rel=loss_limit)
    whole = torch.stack([grad.norm() for grad in want.values()]).norm()
    for name, grad in want.items():  # that of a key's bias is 0: soft-max does not see it
        error = (got[name] - grad).norm() / max(grad.norm(), 0.01 * whole)
        assert error < limit, f"{name}: {error:.2g}"


@pytest.mark.parametrize("kind", ["default", "nanogpt"])
def test_a_step_has_the_same_bits_each_time(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    first, grads = step(build(monkeypatch, kind, ""), True)
    again, same = step(build(monkeypatch, kind, ""), True)
    assert first == again and all(torch.equal(grad, same[name]) for name, grad in grads.items())


@pytest.mark.parametrize("kind", ["default", "nanogpt", "norms only"])
def test_a_cache_changes_nothing(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    model = build(monkeypatch, kind, "").eval()
    ids, _ = batch()
    cache = KeyValues()
    with torch.no_grad():
        whole = model(ids)
        parts = [model(ids[:, start:end], cache=cache) for start, end in ((0, 30), (30, 31), (31, 65))]
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-4)


def test_frozen_parameters_get_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory update trains the down projections alone."""
    model = build(monkeypatch, "default", "")
    _, want = step(model, False)
    model.zero_grad()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.endswith("down_proj.weight"))
    model(*batch()).backward()
    for name, parameter in model.named_parameters():
        if name.endswith("down_proj.weight"):
            assert parameter.grad is not None and torch.equal(parameter.grad, want[name])
        else:
            assert parameter.grad is None


@pytest.mark.slow
def test_it_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(monkeypatch, "default", "")
    plain, want = step(model, False)
    model.zero_grad()
    model.model.compile(fullgraph=True)
    compiled, got = step(model, False)
    assert compiled == pytest.approx(plain, rel=1e-5)
    assert all((got[name] - grad).norm() < 1e-4 * grad.norm() for name, grad in want.items())


# Three rows of 65: three documents; one; padding on the left, one document, padding on the right.
NUMBERS = torch.tensor([[0] * 9 + [1] + [2] * 55, [7] * 65, [0] * 20 + [1] * 30 + [0] * 15])
PLACES = [(0, 0, 9), (0, 9, 10), (0, 10, 65), (1, 0, 65), (2, 20, 50)]


@pytest.mark.parametrize("kernels", ["", "reference", "attention_packed=torch"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_document_does_not_know_its_neighbours(monkeypatch: pytest.MonkeyPatch, kind: str, kernels: str) -> None:
    model = build(monkeypatch, kind, kernels).eval()
    ids, _ = batch()
    with torch.no_grad():
        packed = model(ids, documents=Documents.of(NUMBERS))
        for row, start, end in PLACES:
            alone = model(ids[row:row + 1, start:end])[0]
            assert torch.allclose(packed[row, start:end], alone, atol=2e-5), f"row {row}, {start} to {end}"
        other = ids.clone()
        other[0, :9] = (other[0, :9] + 1) % 61
        changed = model(other, documents=Documents.of(NUMBERS))
        assert torch.equal(changed[0, 9:], packed[0, 9:]) and not torch.equal(changed[0, :9], packed[0, :9])
        assert not torch.allclose(model(ids)[0, 10:], packed[0, 10:], atol=1e-3)  # a row as one document is another


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("kind", ["default", "nanogpt", "norms only"])
def test_a_packed_step_is_the_sum_of_its_documents(monkeypatch: pytest.MonkeyPatch, kind: str, bf16: bool) -> None:
    model = build(monkeypatch, kind, "")
    ids, targets = batch()
    targets[2, :20] = targets[2, 50:] = IGNORE
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        packed = model(ids, targets, documents=Documents.of(NUMBERS))
    packed.backward()
    got = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    kept = [int((targets[row, start:end] != IGNORE).sum()) for row, start, end in PLACES]
    total = 0.0
    for (row, start, end), count in zip(PLACES, kept, strict=True):
        if count:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = model(ids[row:row + 1, start:end], targets[row:row + 1, start:end]) * (count / sum(kept))
            loss.backward()
            total += loss.item()
    assert packed.item() == pytest.approx(total, rel=5e-3 if bf16 else 1e-5)
    whole = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        error = (got[name] - parameter.grad).norm() / max(parameter.grad.norm(), 0.01 * whole)
        assert error < (0.05 if bf16 else 1e-4), f"{name}: {error:.2g}"


def test_documents_of_a_batch() -> None:
    found = Documents.of(NUMBERS)
    assert found.bounds.tolist() == [0, 9, 10, 65, 130, 150, 180, 195] and found.longest == 65
    assert found.positions_bt[0].tolist() == [*range(9), 0, *range(55)]
    assert found.positions_bt[2].tolist() == [*range(20), *range(30), *range(15)]
    # two rows never share a document, whatever their numbers
    assert Documents.of(torch.zeros(2, 3, dtype=torch.int64)).bounds.tolist() == [0, 3, 6]
    for wrong in (torch.zeros(3), torch.zeros(0, 3)):
        with pytest.raises(ValueError, match="per token"):
            Documents.of(wrong)


def test_documents_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(monkeypatch, "nanogpt", "").eval()
    ids, _ = batch()
    with pytest.raises(ValueError, match="documents of"):
        model(ids[:, :-1], documents=Documents.of(NUMBERS))
    with pytest.raises(ValueError, match="one document"):
        model(ids, cache=KeyValues(), documents=Documents.of(NUMBERS))
    long = torch.zeros(1, 140, dtype=torch.int64)
    with torch.no_grad():  # a row may be longer than the context when none of its documents is
        assert model(long, documents=Documents.of(torch.arange(140)[None] // 70)).shape == (1, 140, 61)
        with pytest.raises(ValueError, match="context"):
            model(long, documents=Documents.of(torch.arange(140)[None] // 71))


def test_learnt_rows_come_in_few_sizes_and_lose_the_same() -> None:
    """Every other size would be another product for oneDNN to keep: memory grew by megabytes a step."""
    from nimllm.llm.model import _filled

    generator = torch.Generator().manual_seed(0)
    sizes = set()
    for _ in range(200):
        targets = torch.randint(0, 9, (1000,), generator=generator)
        targets[torch.rand(1000, generator=generator) < torch.rand((), generator=generator)] = IGNORE
        kept = (targets != IGNORE).nonzero().squeeze(1)
        filled = _filled(kept, targets)
        assert torch.equal(filled[: len(kept)], kept) and (targets[filled[len(kept) :]] == IGNORE).all()
        assert len(filled.unique()) == len(filled)
        sizes.add(len(filled))
    assert sizes <= {0, 256, 512, 768, 1000}
    model = GPT(preset("tiny", 64, context=32))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    ids = torch.randint(0, 64, (3, 33), generator=generator)
    targets = ids[:, 1:].clone()
    targets[torch.rand(targets.shape, generator=generator) < 0.7] = IGNORE
    loss = model(ids[:, :-1], targets)
    loss.backward()
    own = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    logits = model(ids[:, :-1])
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
    plain.backward()
    torch.testing.assert_close(loss, plain, rtol=1e-5, atol=1e-6)
    theirs = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    for a, b in zip(own, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
