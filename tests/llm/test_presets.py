"""Every preset, as a user meets it: one command trains it; it stops, resumes, is sampled, decoded and exported.

By default in small: the same kinds of layers, narrow ones. The slow tests have the real sizes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nimllm.cli import main
from nimllm.llm.config import read_config
from nimllm.llm.generate import Generator
from nimllm.llm.presets import PRESETS, find
from nimllm.llm.train import read_metrics

NARROW = {"n_layers": 2, "d_model": 64, "n_heads": 4, "n_kv_heads": 4, "head_dim": 16, "d_ff": 128, "context": 64}
STEPS = 50


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    names = ["ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"]
    lines = (f"{names[i % 8]} gives {names[i * 5 % 7]} the number {i * 37 % 101}, and takes {i * 53 % 89} back.\n"
             for i in range(4000))
    path.write_text("".join(lines))
    return path


def test_a_finished_run_says_again_what_came_out(text: Path, tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--out", str(tmp_path / "run"), "--plain", "--device", "cpu"]
    assert main(["--train", str(text), "--size", "tiny", "--steps", "4", "--batch-tokens", "512", *common]) == 0
    first = capsys.readouterr().out.splitlines()
    assert main(["--train", "--resume", *common]) == 0
    again = capsys.readouterr().out.splitlines()
    assert [line for line in again if line.startswith("done")] == [line for line in first if line.startswith("done")]


def train(text: Path, out: Path, name: str, *words: str) -> None:
    """STEPS steps, stopped in the middle and resumed."""
    common = ["--out", str(out), "--plain", "--device", "cpu", "--save-seconds", "1000"]
    said = ["--train", str(text), "--size", name, "--steps", str(STEPS), "--eval-every", "25", *words, *common]
    assert main([*said, "--set", "stop_after=20"]) == 130
    assert main(["--train", "--resume", *common, "--set", "stop_after=0"]) == 0
    losses = [loss for _, loss in read_metrics(out)[0]]
    assert len(losses) == STEPS and losses[-1] < losses[0] - 0.3
    assert (out / "samples.txt").read_text().count("--- step") >= 2


def exports(out: Path, name: str) -> None:
    """Everything to Hugging Face's format, and to llama.cpp's but what it has no architecture for."""
    assert main(["export", "hf", str(out), str(out / "hf")]) == 0
    assert (out / "hf" / "model.safetensors").exists()
    assert main(["export", "gguf", str(out), str(out / "model.gguf")]) == (3 if name == "vidya-103m" else 0)


def decoded(out: Path) -> str:
    generator = Generator.load(out)
    ids = generator.tokenizer.encode("ann gives")
    return generator.tokenizer.decode(generator.complete([generator.tokenizer.bos, *ids], max_tokens=8).ids)


# ours, of characters, with GELU and learned positions, with what GGUF cannot hold; the others differ from these in size
UNLIKE = ("nimllm-10m", "char-10m", "llmc-7m", "vidya-103m")


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in UNLIKE else pytest.mark.slow)
                                  for name in PRESETS if name not in ("tiny", "nimllm-2m")])
def test_trains_stops_resumes_and_decodes_in_small(name: str, text: Path, tmp_path: Path) -> None:
    kv = {"n_kv_heads": 1} if find(name).shape["n_kv_heads"] < find(name).shape["n_heads"] else {}
    changes = [f"--set={field}={value}" for field, value in {**NARROW, **kv}.items()]
    train(text, tmp_path / "run", name, *changes, "--batch-tokens", "256", "--lr", "0.01")
    config = read_config(tmp_path / "run")
    shape = find(name).shape
    assert all(getattr(config, field) == value for field, value in shape.items() if field not in NARROW)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["tokenizer"]["kind"] == find(name).tokenizer and saved["training"]["optimizer"] == "muon"
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert data["settings"]["clean"] == list(find(name).clean)
    assert decoded(tmp_path / "run")
    exports(tmp_path / "run", name)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_trains_stops_resumes_and_decodes(name: str, text: Path, tmp_path: Path) -> None:
    train(text, tmp_path / "run", name, "--batch-tokens", str(find(name).shape["context"]))
    config = read_config(tmp_path / "run")
    found = find(name)
    positions = config.vocab_size * config.d_model
    assert config.parameters() - positions == found.parameters - found.vocab * config.d_model
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert data["settings"]["clean"] == list(find(name).clean)
    assert decoded(tmp_path / "run")
    exports(tmp_path / "run", name)
