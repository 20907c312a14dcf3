"""Preparation: the shards hold exactly the text, split as promised, made once."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nimllm.errors import NimError
from nimllm.llm.prepare import Prepared, load_prepared, prepare
from nimllm.llm.shards import Shard
from nimllm.llm.tokenizer import Tokenizer, train_bpe, train_char
from nimllm.llm.turns import Turn, render

LINES = [f"row {number}: the value of item {number * 37 % 101} is {number * number}\n" for number in range(2000)]


def decoded(prepared: Prepared, path: Path) -> list[str]:
    """The documents of a shard, cut at bos."""
    ids = Shard(path).tokens.tolist()
    assert ids[0] == prepared.tokenizer.bos
    starts = [position for position, index in enumerate(ids) if index == prepared.tokenizer.bos] + [len(ids)]
    return [prepared.tokenizer.decode(ids[a:b]) for a, b in itertools.pairwise(starts)]


def test_one_file_is_split_at_its_tail(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("".join(LINES))
    got = prepare([book], tmp_path / "run", vocab_size=400, context=64)
    (head,), (tail,) = decoded(got, got.train), decoded(got, got.val)
    assert head + tail == "".join(LINES)
    assert head.endswith("\n")
    assert len(tail) == pytest.approx(0.05 * len(head + tail), rel=0.1)
    assert Shard(got.val).tokens[-1] == got.tokenizer.eos
    assert got.tokenizer.eos not in Shard(got.train).tokens, "the text goes on in validation"
    assert got.val_bytes == len(tail.encode())
    assert got.bytes_per_token == pytest.approx(got.val_bytes / len(Shard(got.val).tokens))
    assert (got.train_tokens, got.val_tokens) == (len(Shard(got.train).tokens), len(Shard(got.val).tokens))
    assert load_prepared(tmp_path / "run").val_bytes == got.val_bytes


@pytest.mark.parametrize("part", [700, 1000, 12_000])
def test_a_file_in_many_parts_is_split_at_its_tail_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                part: int) -> None:
    from nimllm.llm.data import scan, streams

    monkeypatch.setattr(streams, "PART", part)
    monkeypatch.setattr(scan, "BATCH", 2000)
    book = tmp_path / "book.txt"
    book.write_text("".join(LINES))
    got = prepare([book], tmp_path / "run", kind="char", context=64)
    (head,), (tail,) = decoded(got, got.train), decoded(got, got.val)
    assert head + tail == "".join(LINES) and head.endswith("\n")
    assert len(tail) == pytest.approx(0.05 * len(head + tail), rel=0.1)
    assert got.val_bytes == len(tail.encode())


def test_many_documents_are_split_whole(tmp_path: Path) -> None:
    rows = ["".join(LINES[position:position + 10]) for position in range(0, 2000, 10)]
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    got = prepare([path], tmp_path / "run", vocab_size=400, context=64)
    train, val = decoded(got, got.train), decoded(got, got.val)
    assert sorted(train + val) == sorted(rows)
    assert 7 <= len(val) <= 13
    assert train == [row for row in rows if row in set(train)], "in the order of the file"


def test_a_small_text_gets_a_larger_validation_share(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("".join(LINES[:100]))
    got = prepare([book], tmp_path / "run", kind="char", context=256)
    assert got.val_tokens > 256
    with pytest.raises(NimError, match=r"too small: \d+ tokens.*--context") as caught:
        prepare([book], tmp_path / "other", kind="char", context=4096)
    assert caught.value.code == 3
    assert not list((tmp_path / "other").glob("*.shard"))


def test_a_second_call_reuses_and_a_changed_text_does_not(tmp_path: Path) -> None:
    book, run = tmp_path / "book.txt", tmp_path / "run"
    book.write_text("".join(LINES))
    first = prepare([book], run, vocab_size=400, context=64)
    stamp = first.train.stat().st_mtime_ns
    said: list[str] = []
    os.utime(book, (1, 1))  # touched, the same bytes
    again = prepare([book], run, vocab_size=400, context=64, report=said.append)
    assert said == [f"the prepared data of {run} is reused"]
    assert again.train.stat().st_mtime_ns == stamp
    assert (again.train_tokens, again.bytes_per_token) == (first.train_tokens, first.bytes_per_token)
    prepare([book], run, Tokenizer.load(run), context=64, report=said.append)
    assert len(said) == 2, "its own tokenizer given is no change"
    damaged = first.train.read_bytes()
    first.train.write_bytes(damaged[:-1] + bytes([damaged[-1] ^ 1]))
    assert prepare([book], run, vocab_size=400, context=64).train.read_bytes() == damaged, "a damaged shard is mended"
    book.write_text("".join(LINES) + "more\n")
    changed = prepare([book], run, vocab_size=400, context=64)
    assert "more\n" in decoded(changed, changed.val)[0]
    (run / "model.safetensors").touch()
    prepare([book], run, vocab_size=400, context=64)
    with pytest.raises(NimError, match="trained on other text"):
        prepare([book], run, vocab_size=400, context=32)


def test_conversations_are_rendered_with_their_mask(tmp_path: Path) -> None:
    turns = [Turn("user", "how many lines?"), Turn("bash", "wc -l < a.txt"), Turn("output", "12", True),
             Turn("assistant", "12 lines")]
    path = tmp_path / "c.jsonl"
    path.write_text((json.dumps({"turns": [{"role": t.role, "text": t.text} for t in turns]}) + "\n") * 40)
    tokenizer = train_bpe(LINES, 400)
    got = prepare([path], tmp_path / "run", tokenizer, context=64, own_turns=True, val_fraction=0.2)
    rendered = render(turns, tokenizer)
    shard = Shard(got.train)
    assert shard.learn is not None
    count = len(shard.tokens) // len(rendered.ids)
    assert shard.tokens.tolist() == rendered.ids * count
    assert shard.learn.astype(bool).tolist() == rendered.learn * count
    assert Shard(prepare([path], tmp_path / "all", tokenizer, context=64, val_fraction=0.2).train).learn is None


def test_stdin_is_kept_for_the_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pipe(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    pipe("".join(LINES).encode())
    first = prepare(["-"], tmp_path / "run", kind="char", context=64)
    assert decoded(first, first.train)[0] + decoded(first, first.val)[0] == "".join(LINES)
    pipe(b"")
    said: list[str] = []
    prepare(["-"], tmp_path / "run", kind="char", context=64, report=said.append)
    assert "reused" in said[0]
    pipe(b"")
    with pytest.raises(NimError, match="is empty"):
        prepare(["-"], tmp_path / "other", kind="char", context=64)


def test_a_bad_text_leaves_no_data(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"fine\n" * 1000 + b"\xff\n" * 20)  # more than one line in a hundred
    with pytest.raises(NimError, match="offset 5000"):
        prepare([tmp_path / "bad.txt"], tmp_path / "run", context=64)
    assert list((tmp_path / "run").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(NimError, match="cannot make the run folder"):
        prepare([tmp_path / "bad.txt"], tmp_path / "file" / "run", context=64)


def test_killed_at_any_moment_it_is_made_again(tmp_path: Path) -> None:
    """SIGKILL at several moments; afterwards the data must be the same as that of an undisturbed preparation."""
    book = tmp_path / "book.txt"
    book.write_text("".join(LINES) * 20)
    tokenizer = train_char(LINES)
    tokenizer.save(tmp_path / "tok")
    whole = prepare([book], tmp_path / "whole", tokenizer, context=64)
    code = ("import sys; from pathlib import Path; from nimllm.llm.tokenizer import Tokenizer; "
            "from nimllm.llm.prepare import prepare; print('go', flush=True); "
            "prepare([sys.argv[1]], Path(sys.argv[2]), Tokenizer.load(Path(sys.argv[3])), context=64)")
    run = tmp_path / "run"
    for delay in (0.0, 0.01, 0.03, 0.08):
        child = subprocess.Popen([sys.executable, "-c", code, str(book), str(run), str(tmp_path / "tok")],
                                 stdout=subprocess.PIPE)
        assert child.stdout is not None and child.stdout.readline() == b"go\n"
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    got = prepare([book], run, tokenizer, context=64)
    assert got.train.read_bytes() == whole.train.read_bytes()
    assert got.val.read_bytes() == whole.val.read_bytes()
    assert not list(run.glob(".*.tmp"))


def test_a_run_inside_its_own_text_does_not_read_itself(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("".join(LINES))
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text('{"step": 1}\n')
    first = prepare([tmp_path], run, kind="char", context=64)
    (run / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    (run / "model.safetensors").touch()
    assert prepare([tmp_path], run, kind="char", context=64).train_tokens == first.train_tokens
    assert decoded(first, first.train)[0] + decoded(first, first.val)[0] == "".join(LINES)
