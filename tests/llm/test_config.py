"""The configuration refuses, in words, what makes no model, and survives JSON."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from nimllm.errors import NimError
from nimllm.llm.config import ModelConfig, read_config
from nimllm.llm.presets import PRESETS, SIZES, preset

GOOD: dict[str, Any] = dict(vocab_size=100, n_layers=2, d_model=64, n_heads=4, n_kv_heads=2, head_dim=16, d_ff=128,
                            context=32)


def written(folder: Path, model: Any) -> Path:
    (folder / "config.json").write_text(json.dumps({"format": "nimllm-run", "version": 1, "model": model}))
    return folder


@pytest.mark.parametrize("name", SIZES)
def test_named_sizes_survive_json(name: str, tmp_path: Path) -> None:
    config = preset(name, 512, dropout=0.1)
    again = read_config(written(tmp_path, config.model_dump()))
    assert again == config and hash(again) == hash(config) and isinstance(again.rope_theta, float)


@pytest.mark.parametrize("name", SIZES)
def test_presets_have_exactly_the_weights_they_say(name: str) -> None:
    assert preset(name).parameters() == PRESETS[name].parameters


def test_the_reference_models_have_their_authors_sizes() -> None:
    """Counts as their authors give them."""
    sizes = {"vidya-103m": 102_994_944, "llmc-7m": 7_259_008, "char-10m": 10_797_312, "classics-46m": 46_215_680,
             "chat-48m": 48_376_320}
    assert {name: preset(name).parameters() for name in sizes} == sizes
    assert preset("chat-48m").parameters() - 1024 * 512 == 47_852_032  # without positions
    assert 10_300_000 < preset("nanolm-10m").parameters() < 10_450_000
    for name in ("nimllm-10m", "nimllm-30m", "nimllm-50m", "nimllm-103m"):
        config = preset(name)
        assert abs(config.parameters() / (1e6 * int(name.split("-")[1][:-1])) - 1) < 0.03
        assert not any(value % 64 for value in (config.d_model, config.d_ff, config.vocab_size, config.context))


def test_an_unknown_size_is_named_with_those_there_are() -> None:
    with pytest.raises(NimError, match="nimllm-11m") as caught:
        preset("nimllm-11m")
    assert caught.value.code == 2 and "nimllm-10m" in caught.value.message()


def test_it_is_frozen_and_copies_are_checked() -> None:
    config = ModelConfig(**GOOD)
    with pytest.raises(FrozenInstanceError):
        config.d_model = 3  # type: ignore[misc]
    assert config.model_copy(update={"context": 7}).context == 7 and config.context == 32
    with pytest.raises(ValueError, match="context: 0"):
        config.model_copy(update={"context": 0})


@pytest.mark.parametrize("change, message", [
    ({"vocab_size": 0}, "vocab_size: 0 is not positive"), ({"n_layers": -1}, "n_layers: -1"),
    ({"d_model": 64.0}, "d_model: 64.0 is not a whole number"), ({"d_model": "64"}, "whole number"),
    ({"d_model": True}, "whole number"), ({"d_model": None}, "whole number"), ({"n_kv_heads": 3}, "multiple"),
    ({"head_dim": 15}, "even head_dim"), ({"pos": "alibi"}, "pos: 'alibi' is none of rope, learned"),
    ({"ffn": ["gelu"]}, "ffn"), ({"qk_norm": 1}, "qk_norm: 1 is not true or false"), ({"norm_eps": 0}, "norm_eps"),
    ({"rope_theta": float("inf")}, "rope_theta"), ({"rope_theta": float("nan")}, "rope_theta"),
    ({"dropout": 1.0}, "dropout"), ({"dropout": -0.1}, "dropout"), ({"experts": 8}, "experts: no such field"),
])  # fmt: skip
def test_what_makes_no_model_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(NimError, match=message) as caught:
        read_config(written(tmp_path, {**GOOD, **change}))
    assert "does not describe a model of ours" in caught.value.what


@pytest.mark.parametrize("field", GOOD)
def test_missing_fields_are_named(field: str, tmp_path: Path) -> None:
    with pytest.raises(NimError, match=f"{field}: it is missing"):
        read_config(written(tmp_path, {name: value for name, value in GOOD.items() if name != field}))


@pytest.mark.parametrize("model", [None, [], "x", 3])
def test_a_model_that_is_no_object_is_refused(model: Any, tmp_path: Path) -> None:
    with pytest.raises(NimError, match="no object"):
        read_config(written(tmp_path, model))
