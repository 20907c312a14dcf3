"""The dial: what follows from a size and a text, and that every value of it can be overridden."""

from __future__ import annotations

import argparse
import json

import pytest

from nimllm.cli import parser
from nimllm.errors import UsageError
from nimllm.llm import recipe
from nimllm.llm.presets import find, preset


def options(*words: str) -> argparse.Namespace:
    return parser().parse_args(["train", "text.txt", "--device", "cpu", *words])


def test_small_texts_get_small_vocabularies() -> None:
    sizes = [recipe.vocabulary(find("nimllm-10m"), size) for size in (0, 1_000_000, 5_000_000, 10**9)]
    assert sizes == sorted(sizes) and sizes[0] == 512 and sizes[-1] == 8192
    assert recipe.vocabulary(find("vidya-103m"), 10**9) == 2259


@pytest.mark.parametrize("rows", [1, 7, 16, 48])
@pytest.mark.parametrize("budget", [1, 30_000_000, 10**12])
def test_micro_batches_fit_and_divide_the_step(rows: int, budget: int) -> None:
    config = preset("nimllm-10m")
    micro = recipe.micro_rows(config, rows, "bf16", budget)
    assert rows % micro == 0
    each = 60 * config.n_layers * config.d_model * config.context
    assert micro == 1 or micro * each <= budget
    assert budget < 10**12 or micro == rows


def test_every_value_can_be_overridden() -> None:
    args = options("--size", "nimllm-10m", "--set", "qk_norm=false", "--set", "pos=learned", "--set", "momentum=0.9",
                   "--set", "even_rows=true", "--steps", "7", "--lr", "0.5", "--dropout", "0.3", "--context", "256")
    shape = recipe.shape(args, "nimllm-10m")
    config = preset("nimllm-10m", 1000, **shape)
    assert (config.qk_norm, config.pos, config.dropout, config.context) == (False, "learned", 0.3, 256)
    settings = recipe.settings(args, "nimllm-10m", config, 10**6)
    assert (settings.momentum, settings.even_rows, settings.steps, settings.lr) == (0.9, True, 7, 0.5)


def test_a_step_has_the_tokens_of_the_preset_unless_said() -> None:
    for words, tokens in (((), find("nimllm-30m").batch_tokens), (("--batch-tokens", "4096"), 4096)):
        config = preset("nimllm-30m")
        settings = recipe.settings(options(*words), "nimllm-30m", config, 10**6)
        assert settings.batch_rows * settings.accumulate * config.context == tokens


@pytest.mark.parametrize("word, message", [
    ("depth=3", "NAME=VALUE"), ("qk_norm", "NAME=VALUE"), ("vocab_size=3", "NAME=VALUE"), ("lr=3", "NAME=VALUE"),
    ("n_layers=0", "not positive"), ("n_kv_heads=4", "multiple"), ("momentum=much", "valid number"),
    ("schedule=none", "cosine"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(word: str, message: str) -> None:
    args = options("--set", word)
    with pytest.raises(UsageError) as caught:
        config = preset("nimllm-10m", 512, **recipe.shape(args, "nimllm-10m"))
        recipe.settings(args, "nimllm-10m", config, 10**6)
    assert message in caught.value.message()


def test_small_texts_get_small_steps() -> None:
    config = preset("nimllm-10m")
    tokens = [recipe.settings(options("--epochs", "2"), "nimllm-10m", config, size) for size in (10**5, 10**6, 10**7)]
    assert [made.batch_rows * made.accumulate * config.context for made in tokens] == [2048, 4096, 8192]


def test_minutes_become_steps_and_stay_so_on_a_resume(tmp_path, capsys) -> None:
    from nimllm.cli import main
    from nimllm.llm.train import read_metrics

    text, out = tmp_path / "text.txt", tmp_path / "run"
    text.write_text("".join(f"line {i} says {i * 37 % 101} and no more\n" for i in range(2000)))
    words = ["--train", str(text), "--size", "tiny", "--minutes", "0.3", "--out", str(out), "--plain", "--device",
             "cpu", "--batch-tokens", "512"]
    assert main([*words, "--set", "stop_after=2"]) == 130
    steps = json.loads((out / "config.json").read_text())["training"]["steps"]
    assert steps > 2 and json.loads((out / "arguments.json").read_text())["steps"] == steps
    assert main(["--train", "--resume", "--out", str(out), "--plain", "--set", "stop_after=2"]) in (0, 130)
    assert "measuring" not in capsys.readouterr().err.split("stopped")[1]
    assert len(read_metrics(out)[0]) > 2


@pytest.mark.parametrize("words, dropout", [
    (("--epochs", "4"), 0.0), (("--epochs", "12"), 0.2), (("--epochs", "12", "--dropout", "0"), 0.0),
    (("--epochs", "12", "--set", "dropout=0.1"), 0.1),
])  # fmt: skip
def test_a_text_that_is_read_often_gets_dropout(words: tuple[str, ...], dropout: float) -> None:
    args = options(*words)
    config = preset("nimllm-10m", 1024, **recipe.shape(args, "nimllm-10m"))
    made = recipe.settings(args, "nimllm-10m", config, 10**6)
    assert recipe.regularised(args, config, made, 10**6).dropout == dropout


def test_standard_input_is_measured_too(tmp_path, monkeypatch, capsys) -> None:
    """Its size decides as a file's does: it was taken for nothing, and got the smallest model and vocabulary."""
    from nimllm.cli import main

    words = tmp_path / "words.txt"
    words.write_text("".join(f"word{i * 7919 % 10007} and {i * 104729 % 9973}, then\n" for i in range(60_000)))
    with open(words) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert main(["--train", "-", "--steps", "1", "--batch-tokens", "256", "--out", str(tmp_path / "run"), "--plain",
                     "--device", "cpu"]) == 0
    model = json.loads((tmp_path / "run" / "config.json").read_text())["model"]
    assert model["d_model"] == preset("nimllm-2m").d_model
    assert "vocabulary of 1024" in capsys.readouterr().err  # which these few words cannot fill
