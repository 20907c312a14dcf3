"""Loss on a text: windows lose nothing, and the figures are those of the model."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pytest

from nimllm.errors import NimError
from nimllm.llm.checkpoint import expected_shapes, write_tensors
from nimllm.llm.evaluate import main, measure
from nimllm.llm.generate import Generator
from nimllm.llm.presets import preset
from nimllm.llm.text import Document
from nimllm.llm.tokenizer import train_char
from nimllm.llm.turns import Turn, render

TEXT = "".join(f"line {number} is {number * number}\n" for number in range(60))  # about nine contexts of the tiny model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run")
    tokenizer = train_char([TEXT, "äé"])
    config = preset("tiny", tokenizer.vocab_size)
    (run / "config.json").write_text(json.dumps({"format": "nimllm-run", "model": config.model_dump()}))
    tokenizer.save(run)
    rng = np.random.default_rng(0)
    write_tensors(run / "model.safetensors", {name: (np.ones(shape) if "norm" in name else
                                                     0.2 * rng.standard_normal(shape))
                                              for name, shape in expected_shapes(config).items()})
    return run


def test_every_token_is_counted_once_with_half_a_context_before(run: Path) -> None:
    generator = Generator.load(run, threads=1)
    ids = [generator.tokenizer.bos, *generator.tokenizer.encode(TEXT)]
    context = generator.config.context
    expected, done = 0.0, 1
    while done < len(ids):  # the same windows, straight from their definition
        begin = 0 if done == 1 else done - context // 2
        end = min(begin + context + 1, len(ids))
        expected -= generator.score(ids[begin:end], done - begin)
        done = end
    got = measure(generator, [Document(TEXT, "x")])
    assert (got.tokens, got.bytes) == (len(ids) - 1, len(TEXT.encode()))
    assert got.nats == pytest.approx(expected, rel=1e-6)
    assert got.nats_per_token > 0 and got.bits_per_byte > 0  # a loss, not the log-probability
    assert got.bits_per_byte == pytest.approx(got.nats / math.log(2) / got.bytes)
    cut = TEXT.index("line 33")
    parts = [Document(TEXT[:cut], "x", last=False), Document(TEXT[cut:], "x", first=False)]
    again = measure(generator, parts)
    assert again.tokens == got.tokens and again.nats == pytest.approx(got.nats, rel=1e-6)


def test_short_documents_and_conversations(run: Path) -> None:
    generator = Generator.load(run, threads=1)
    tokenizer = generator.tokenizer
    turns = (Turn("user", "is 4"), Turn("assistant", "line 2"))
    got = measure(generator, [Document("line é", "x"), Document("", "y", turns)])
    one, two = [tokenizer.bos, *tokenizer.encode("line é")], render(turns, tokenizer).ids
    assert got.nats == pytest.approx(-generator.score(one, 1) - generator.score(two, 1), rel=1e-5)
    assert (got.tokens, got.bytes) == (len(one) + len(two) - 2, 7 + 10)
    with pytest.raises(NimError, match="no text"):
        measure(generator, [])


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_text(TEXT)
    b.write_text("line 1\n")
    args = argparse.Namespace(model=str(run), data=[str(a), str(b)], dtype="fp32", threads=1, json=True)
    assert main(args) == 0
    rows = json.loads(capsys.readouterr().out)["texts"]
    assert [row["text"] for row in rows] == [str(a), str(b), "all"]
    assert rows[2]["bytes"] == rows[0]["bytes"] + rows[1]["bytes"] == len(TEXT) + 7
    args.json = False
    assert main(args) == 0
    assert f"{rows[0]['nats_per_token']:.4f}" in capsys.readouterr().out
