"""The training loop with a real tiny model: learning, exact resume, accumulation, masks, refusals."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nimllm.cli import main
from nimllm.errors import NimError
from nimllm.llm.batches import IGNORE, Windows
from nimllm.llm.config import ModelConfig, read_config
from nimllm.llm.model import GPT, KeyValues
from nimllm.llm.optim import schedule
from nimllm.llm.packing import Packer
from nimllm.llm.presets import SIZES, preset
from nimllm.llm.settings import TrainSettings
from nimllm.llm.shards import Shard, ShardWriter
from nimllm.llm.tokenizer import train_char
from nimllm.llm.train import Trainer, read_metrics

TEXT = "the cat sat on the mat and the dog lay by the door.\n" * 200


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def data(tmp_path: Path):
    tokenizer = train_char([TEXT])
    ids = tokenizer.encode(TEXT)
    for name, part in (("train", ids[:9000]), ("val", ids[9000:])):
        with ShardWriter(tmp_path / f"{name}.shard", tokenizer.vocab_size) as writer:
            writer.append(part)
    return tmp_path, tokenizer


def settings(**changes) -> TrainSettings:
    return TrainSettings(
        **(
            {
                "steps": 30,
                "batch_rows": 4,
                "lr": 5e-3,
                "warmup": 3,
                "eval_every": 10,
                "eval_rows": 4,
                "sample_tokens": 8,
                "threads": 1,
                "dtype": "fp32",
            }
            | changes
        )
    )


def tiny(vocab: int, **changes) -> ModelConfig:
    return preset("tiny", vocab, **({"context": 32, "d_model": 32, "d_ff": 64} | changes))


def trainer(data, run: Path, resume: bool = False, shape: dict | None = None, **changes) -> Trainer:
    folder, tokenizer = data
    run.mkdir(exist_ok=True)
    return Trainer(
        tiny(tokenizer.vocab_size, **(shape or {})),
        settings(**changes),
        run,
        tokenizer,
        folder / "train.shard",
        folder / "val.shard",
        1.0,
        resume=resume,
    )


def trace(run: Path) -> list[float]:
    return [loss for _, loss in read_metrics(run)[0]]


@pytest.mark.parametrize("name", sorted(SIZES))
def test_parameter_counts_are_exact(name: str) -> None:
    config = preset(name, 512)
    with torch.device("meta"):
        assert sum(p.numel() for p in GPT(config).parameters()) == config.parameters()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pos": "learned"},
        {"norm": "layer", "bias": True, "ffn": "gelu"},
        {"ffn": "relu2", "qk_norm": False},
        {"tied": False},
        {"embed_norm": True},
        {"n_heads": 4, "n_kv_heads": 4, "head_dim": 16},
    ],
    ids=str,
)
def test_every_variety_trains_counts_and_caches(changes: dict) -> None:
    torch.manual_seed(0)
    config = tiny(50, **changes)
    model = GPT(config)
    assert sum(p.numel() for p in model.parameters()) == config.parameters()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    ids = torch.randint(0, 50, (2, 17))
    loss = model(ids[:, :-1], ids[:, 1:].contiguous())
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    with torch.no_grad():
        whole = model(ids)
        cache = KeyValues()
        parts = [model(ids[:, :5], cache=cache)] + [model(ids[:, i : i + 1], cache=cache) for i in range(5, 17)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_learns(data, tmp_path: Path, optimizer: str) -> None:
    run = tmp_path / "run"
    outcome = trainer(data, run, optimizer=optimizer, steps=60).fit()
    losses = trace(run)
    assert losses[0] > 2.5 and outcome.validation < 1.2, (losses[0], outcome)
    assert (run / "model.safetensors").exists() and (run / "samples.txt").read_text().count("--- step") == 6


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_resume_is_exact(data, tmp_path: Path, optimizer: str) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    final = trainer(data, whole, optimizer=optimizer, shape={"dropout": 0.1}).fit()
    for stop in (7, 1, 11):
        with pytest.raises(NimError, match="stopped at step"):
            trainer(data, parts, resume=True, optimizer=optimizer, shape={"dropout": 0.1}, stop_after=stop).fit()
    again = trainer(data, parts, resume=True, optimizer=optimizer, shape={"dropout": 0.1}).fit()
    assert trace(parts) == trace(whole) and again.loss == final.loss and again.validation == final.validation
    assert (parts / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_accumulation_changes_nothing(data, tmp_path: Path) -> None:
    trainer(data, tmp_path / "a", batch_rows=4, steps=8).fit()
    trainer(data, tmp_path / "b", batch_rows=1, accumulate=4, steps=8).fit()
    np.testing.assert_allclose(trace(tmp_path / "a"), trace(tmp_path / "b"), rtol=2e-4)


def test_other_settings_are_refused_on_resume(data, tmp_path: Path) -> None:
    with pytest.raises(NimError):
        trainer(data, tmp_path / "run", stop_after=2).fit()
    with pytest.raises(NimError, match="other settings"):
        trainer(data, tmp_path / "run", resume=True, lr=1e-3)


def test_damaged_checkpoint_is_refused(data, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(NimError):
        trainer(data, run, stop_after=2).fit()
    path = run / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(NimError, match="damaged"):
        trainer(data, run, resume=True)


def test_torn_metrics_line_is_dropped(data, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(NimError):
        trainer(data, run, stop_after=5).fit()
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"step": 6, "loss": 9.0}\n{"step": 7, "lo')
    trainer(data, run, resume=True, steps=30).fit()
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 31))


def test_explosion_is_one_clear_error(data, tmp_path: Path) -> None:
    with pytest.raises(NimError, match="smaller --lr"):
        trainer(data, tmp_path / "run", lr=1e9, clip=0.0, warmup=0, shape={"qk_norm": False}).fit()


def test_windows_cover_everything_once_per_epoch_and_mask(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "s.shard", 1000) as writer:
        writer.append(np.arange(4, 105), np.arange(101) % 2 == 0)
    windows = Windows(Shard(tmp_path / "s.shard"), 10, seed=1, aligned=True)
    inputs, targets, _ = windows.batch(0, 10)
    assert sorted(inputs.flatten().tolist()) == list(range(4, 104))
    assert inputs[:, 0].tolist() != sorted(inputs[:, 0].tolist())
    kept = targets[targets != IGNORE]
    assert len(kept) == 50 and (kept % 2 == 0).all()
    again, *_ = Windows(Shard(tmp_path / "s.shard"), 10, seed=1, aligned=True).batch(10, 10)
    assert sorted(again.flatten().tolist()) == list(range(4, 104)) and again.tolist() != inputs.tolist()


def test_packing_keeps_documents_whole(tmp_path: Path) -> None:
    rng = random.Random(0)
    documents = [[1, *(rng.randint(4, 90) for _ in range(rng.randint(1, 40))), 2] for _ in range(300)]
    with ShardWriter(tmp_path / "p.shard", 100) as writer:
        packer = Packer(writer, 64, 3)
        for document in documents:
            packer.append(document)
        packer.close()
    tokens = Shard(tmp_path / "p.shard").tokens
    assert len(tokens) % 64 == 1
    found = []
    for row in tokens[:-1].reshape(-1, 64):
        text = [int(token) for token in row if token != 3]
        while text:
            end = text.index(2) + 1
            found.append(tuple(text[:end]))
            text = text[end:]
    assert sorted(found) == sorted(map(tuple, documents))
    assert sum(map(len, documents)) / (len(tokens) - 1) > 0.9


def test_schedules() -> None:
    assert schedule(0, 100, 10) == pytest.approx(0.1) and schedule(9, 100, 10) == 1.0
    assert schedule(99, 100, 10) == pytest.approx(0.1, abs=0.01)
    assert schedule(50, 100, 10, "wsd", 0.0, 0.4) == 1.0 and schedule(80, 100, 10, "wsd", 0.0, 0.4) == pytest.approx(
        0.5
    )


# -- the command, as a user runs it ------------------------------------------------------------------------------


def train(*words: str, cwd: Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nimllm", "--train", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=200,
        env=environment(),
        **options,
    )


Inside = Callable[..., tuple[int, str]]


@pytest.fixture
def inside(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Inside:
    """The command in this process, for what needs no signal: its code and its standard error, without torch's start."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str]:
        capfd.readouterr()
        return main(["--train", *words]), capfd.readouterr().err

    return call


def environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def long_text(bytes_wanted: int) -> str:
    rng = random.Random(5)
    words = ["".join(rng.choice("abcdefghijklmnop") for _ in range(rng.randint(2, 9))) for _ in range(400)]
    lines: list[str] = []
    while bytes_wanted > 0:
        lines.append(" ".join(rng.choices(words, k=12)) + ".\n")
        bytes_wanted -= len(lines[-1])
    return "".join(lines)


OPTIONS = (
    "--size",
    "tiny",
    "--context",
    "32",
    "--steps",
    "60",
    "--batch-tokens",
    "256",
    "--save-seconds",
    "0.2",
    "--threads",
    "1",
    "--eval-every",
    "20",
    "--plain",
)


def test_killed_at_random_moments_ends_like_an_uninterrupted_run(tmp_path: Path, inside: Inside) -> None:
    (tmp_path / "book.txt").write_text(long_text(120_000))
    code, said = inside("book.txt", "--out", "whole", *OPTIONS)
    assert code == 0, said
    rng = random.Random(1)
    for number in range(2):  # the beginning is killed, and what resumes it
        words = ["book.txt", "--out", "parts", *OPTIONS] if not number else ["--resume", "--out", "parts", "--plain"]
        process = subprocess.Popen(
            [sys.executable, "-m", "nimllm", "--train", *words],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in process.stderr:  # once it trains, at a random moment (the first kill may come before a checkpoint)
            if line.startswith("step"):
                break
        time.sleep(rng.random() * 0.8)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
    code, said = inside("--resume", "--out", "parts", "--plain")
    assert code == 0, said
    assert trace(tmp_path / "parts") == trace(tmp_path / "whole")
    assert read_config(tmp_path / "parts").context == 32


def test_interrupt_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(long_text(60_000))
    words = ["book.txt", "--out", "run", *OPTIONS, "--steps", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "nimllm", "--train", *words],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("step"):
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume" in rest and "Traceback" not in rest
    assert (tmp_path / "run" / "last.safetensors").exists()


@pytest.mark.parametrize(
    "content, what",
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"\x00\x01\x02binary\x00" * 50, "binary"),
        (b"caf\xe9 au lait " * 400, "UTF-8"),
        (b"short", "small"),
    ],
    ids=["missing", "empty", "binary", "latin1", "short"],
)
def test_bad_text_is_one_clear_message(tmp_path: Path, content: bytes | None, what: str, inside: Inside) -> None:
    if content is not None:
        (tmp_path / "x.txt").write_bytes(content)
    code, said = inside("x.txt", "--out", "run", "--plain")
    assert code == 3 and what in said and "Traceback" not in said, said
    assert "x.txt" in said or what == "small"
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_finished_run_is_not_overwritten(tmp_path: Path, inside: Inside) -> None:
    (tmp_path / "book.txt").write_text(long_text(60_000))
    assert inside("book.txt", "--out", "run", *OPTIONS, "--steps", "3")[0] == 0
    code, said = inside("book.txt", "--out", "run", *OPTIONS, "--steps", "3")
    assert code == 3 and "--resume" in said
