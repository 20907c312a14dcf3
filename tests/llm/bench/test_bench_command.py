"""``nimllm bench``: every line has its provenance, wrong options are one sentence, ^C prints what there is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nimllm.kernels import engine
from nimllm.llm.bench import shapes
from nimllm.llm.bench.provenance import provenance
from nimllm.llm.bench.vocabulary import enlarged, pieces
from nimllm.llm.tokenizer import Tokenizer
from nimllm.places import shipped_model

ROOT = Path(__file__).resolve().parents[3]
needs_engine = pytest.mark.skipif(engine.available() is not None, reason=str(engine.available()))


def bench(*words: str, code: int = 0, cwd: Path = ROOT) -> tuple[list[dict[str, Any]], str]:
    """(JSON lines, standard error) of one command."""
    done = subprocess.run([sys.executable, "-m", "nimllm", "bench", *words], cwd=cwd, capture_output=True, text=True,
                          timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def check(row: dict[str, Any], bench_name: str, rounds: int) -> None:
    assert (row["format"], row["version"], row["bench"]) == ("nimllm-bench", 1, bench_name)
    assert len(row["rounds"]) in (1, rounds) and row["min"] <= row["median"] <= row["max"]
    assert row["unit"] and row["better"] in ("higher", "lower") and row["who"] and row["dtype"]
    about = row["provenance"]
    assert about["cpu"]["model"] and about["cpu"]["cpus"] >= 1 and about["date"].startswith("20")
    assert {"nimllm", "python", "torch", "numpy", "compiler"} <= set(about["versions"])
    assert {"commit", "memory_bytes", "system", "gpus", "load_1min", "kernels"} <= set(about)
    if row["limit"] is not None:
        assert row["limit"]["kind"] and row["limit"]["unit"] == row["unit"] and row["limit"]["median"] > 0
        assert 0 < row["limit"]["share"]["median"] < 3


@needs_engine
@pytest.mark.parametrize("what, figure", [("decode", "decode"), ("prefill", "prefill")])
def test_engine_benchmarks(what: str, figure: str, tmp_path: Path) -> None:
    lengths = ["--tokens", "20"] if what == "decode" else []
    rows, said = bench(what, "--shape", "tiny", "--dtype", "fp32,bf16", "--rounds", "2", "--prompt-tokens", "8",
                       "--threads", "1", *lengths)
    assert [(row["figure"], row["dtype"], row["who"]) for row in rows] == [(figure, "fp32", "nimllm"),
                                                                          (figure, "bf16", "nimllm")]
    for row in rows:
        check(row, what, 2)
        assert row["limit"] and row["conditions"]["threads"] == 1 and row["geometry"]["parameters"] == 106816
    assert not said  # no table where nobody looks


@needs_engine
def test_several_texts_are_measured_beside_one() -> None:
    rows, _ = bench("decode", "--shape", "tiny", "--dtype", "q8", "--rounds", "1", "--prompt-tokens", "8", "--tokens",
                    "8", "--samples", "3", "--threads", "1")
    assert [row["who"] for row in rows] == ["nimllm", "one text"] and "one text" in rows[0]["ratios"]
    limits = [row["limit"] for row in rows]
    texts = [limit["median"] * limit["bytes"] / (limit["gb_per_second"][0] * 1e9) for limit in limits]
    assert texts == pytest.approx([3, 1], rel=0.01)  # three texts share a reading of the weights


@needs_engine
def test_a_stored_model_and_lines_in_a_file(tmp_path: Path) -> None:
    words = ["decode", "--model", str(shipped_model()), "--dtype", "bf16", "--rounds", "1", "--prompt-tokens", "4",
             "--tokens", "4", "--json", str(tmp_path / "out.jsonl")]
    assert bench(*words)[0] == []
    rows, said = bench(*words)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert rows == [] and len(lines) == 2  # appended
    assert json.loads(lines[0])["geometry"]["weights"] == str(shipped_model()) and "tok/s" in said


def test_training() -> None:
    rows, _ = bench("train", "--shape", "tiny", "--dtype", "fp32", "--rounds", "2", "--steps", "1", "--rows", "2")
    found = {row["figure"]: row for row in rows}
    assert set(found) == {"train", "first_step", "peak_rss"}
    for row in rows:
        check(row, "train", 2)
    assert found["train"]["conditions"]["tokens_per_step"] == 256 and found["first_step"]["median"] > 0.1
    assert 50 < found["peak_rss"]["median"] < 5000


@pytest.mark.slow
def test_attention() -> None:
    rows, _ = bench("attention", "--dtype", "fp32", "--rounds", "1", "--lengths", "16", "--rows", "1", "--heads", "2",
                    "--kv-heads", "1", "--head-dim", "32")
    assert {row["figure"] for row in rows} == {"forward", "forward_backward"}
    assert {"nimllm", "reference"} <= {row["who"] for row in rows}
    for row in rows:
        check(row, "attention", 1)
    ours = next(row for row in rows if row["who"] == "nimllm")
    assert "reference" in ours["ratios"]


@needs_engine
@pytest.mark.slow
def test_startup_of_a_model_with_random_weights() -> None:
    rows, _ = bench("startup", "--shape", "shipped", "--dtype", "bf16", "--rounds", "1", "--tokens", "8",
                    "--prompt-tokens", "12")
    found = {row["figure"]: row for row in rows}
    assert set(found) == {"first_token", "whole", "peak_rss", "help", "modules", "torch_modules"}
    for row in rows:
        check(row, "startup", 1)
    assert found["torch_modules"]["median"] == 0
    assert 0 < found["first_token"]["median"] <= found["whole"]["median"]
    assert 10 < found["peak_rss"]["median"] < 2000


def test_tokenize() -> None:
    rows, _ = bench("tokenize", "--rounds", "1", "--characters", "2000")
    assert {row["figure"] for row in rows} == {"encode", "encode_lines", "stream", "decode", "load"}
    for row in rows:
        check(row, "tokenize", 1)


@pytest.mark.parametrize("words, code, message", [
    (["decode", "--shape", "48x"], 2, "no shape is called '48x'"),
    (["decode", "--dtype", "int3"], 2, "--dtype int3 is unknown"),
    (["decode", "--dtype", ","], 2, "names nothing"),
    (["train", "--dtype", "q8"], 2, "--dtype q8 is unknown"),
    (["decode", "--rounds", "0"], 2, "--rounds 0"),
    (["decode", "--shape", "tiny", "--prompt-tokens", "100", "--tokens", "100"], 2, "do not fit tiny"),
    (["decode", "--model", "/no/such/run"], 3, "no model at"),
    (["decode", "--model", ".", "--shape", "tiny"], 2, "cannot be used together"),
    (["decode", "--against", "vllm"], 2, "no peer is called 'vllm'"),
    (["decode", "--against", "llama.cpp"], 2, "needs a place"),
    (["prefill", "--against", "llama2.c=."], 2, "cannot measure llama2.c"),
    (["train", "--against", "nanogpt=/tmp"], 2, "no checkout of nanoGPT"),
    (["train", "--shape", "7m", "--against", "transformers"], 2, "Llama and Qwen3 shapes"),
    (["attention", "--heads", "3", "--kv-heads", "2"], 2, "multiple"),
    (["tokenize", "--text", "/no/such/text"], 3, "cannot read"),
    (["startup", "--shape", "char-10m"], 2, "no vocabulary"),
    (["decode", "--shape", "tiny", "--json", "/no/such/folder/x"], 3, "cannot write"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")  # fmt: skip
def test_wrong_options_are_one_sentence(words: list[str], code: int, message: str) -> None:
    rows, said = bench(*words, code=code)
    assert rows == [] and message in said and len(said.strip().splitlines()) == 1, said


@needs_engine
def test_interrupt_prints_what_was_measured() -> None:
    process = subprocess.Popen([sys.executable, "-m", "nimllm", "bench", "decode", "--shape", "tiny", "--dtype", "bf16",
                                "--rounds", "100000", "--prompt-tokens", "4", "--tokens", "4"], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        time.sleep(4)  # a round takes half a second
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in said, said
    assert len(json.loads(out)["rounds"]) >= 1


def test_presets_have_the_published_numbers_of_weights() -> None:
    millions = {name: round(shapes.shape(name).config.parameters() / 1e6, 2) for name in shapes.SHAPES}
    assert (millions["10m"], millions["48m"], millions["103m"]) == (10.36, 47.52, 105.09)
    # as "matmul weights read per token" of the reference measurements: 10.35M, 47.51M, 105.07M
    read = [shapes.matmul_weights(shapes.shape(name).config) / 1e6 for name in ("10m", "48m", "103m")]
    assert [round(value, 2) for value in read] == [10.35, 47.51, 105.07]


def test_random_weights_are_the_same_every_time_and_silence_the_special_ids() -> None:
    first, second = (shapes.shape("tiny").tensors for _ in range(2))
    assert all((first[name] == second[name]).all() for name in first)
    assert not first["model.embed_tokens.weight"][:4].any() and first["model.embed_tokens.weight"][4:].any()


def test_training_operations_against_a_count_by_hand() -> None:
    config = shapes.shape("tiny").config  # 2 layers, width 64, 2 heads of 32, 1 key/value head, 128 hidden, 512 ids
    weights = 2 * (64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 128) + 512 * 64
    assert shapes.matmul_weights(config) == weights
    pairs = sum(range(1, 129)) / 128  # keys that a query sees, on average
    assert shapes.training_operations(config, 128) == pytest.approx(6 * weights + 3 * 2 * 2 * 2 * 64 * pairs)


def test_a_vocabulary_grows_and_still_encodes(tmp_path: Path) -> None:
    model = (shipped_model() / "tokenizer.model").read_bytes()
    small, large = Tokenizer("bpe", model), Tokenizer("bpe", enlarged(model, 9000))
    text = "list the 3 largest files here\n\tété"
    assert large.vocab_size == 9000 and large.decode(large.encode(text)) == text
    assert large.marker("end") == small.marker("end")
    with pytest.raises(ValueError, match="more than 100"):
        enlarged(model, 100)
    listed = pieces(model, small.vocab_size + 2)
    assert len(listed) == len({text for text, _, _ in listed}) == small.vocab_size + 2
    assert [kind for _, _, kind in listed[:4]] == [2, 3, 3, 3] and listed[-1][2] == 3


def test_provenance_names_the_commit_of_a_checkout() -> None:
    commit = provenance()["commit"]
    if (ROOT / ".git").exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        assert commit is not None and commit.startswith(head)
