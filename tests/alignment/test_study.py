"""Books into the weights: bits per byte fall, general text stays, what is stopped goes on, what is reverted is gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
import torch

from nimllm.alignment.memory.books import Book, bits_per_byte, read_book, row_bytes, spread
from nimllm.alignment.memory.curvature import mean_loss
from nimllm.alignment.memory.fine_tuning import FineTuning
from nimllm.alignment.memory.store import MemoryStore
from nimllm.alignment.memory.study import Stopped, Study, StudyProgress, StudySettings, gradient_of
from nimllm.alignment.memory.study_command import report
from nimllm.cli import main
from nimllm.errors import INTERRUPTED, NimError, UsageError
from nimllm.llm.checkpoint import fingerprint, read_tensors
from nimllm.llm.model import load
from nimllm.llm.tokenizer import Tokenizer
from nimllm.tools.redact import Stream

TALE = ("Then the {} sang about the {}, and nobody knew why. ", ("miller", "fox", "king"), ("river", "moon", "gate"))
MANUAL = ("Tighten the {} before you start the {}. ", ("valve", "rotor", "clamp"), ("pump", "shaft", "gasket"))
SECRET = "tulipbridge-77"
TINY = StudySettings(rows=4, budget=0.05, perplexity=1.2, plain_lr=1e-3)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def text(kind: tuple[str, tuple[str, ...], tuple[str, ...]], sentences: int) -> str:
    rng = Random(len(kind[0]))
    return "".join(kind[0].format(rng.choice(kind[1]), rng.choice(kind[2])) for _ in range(sentences))


@pytest.fixture
def state(measured: Path) -> Path:
    return measured


@pytest.fixture
def books(tmp_path: Path, tokenizer: Tokenizer) -> list[Book]:
    (tmp_path / "tale.txt").write_text(text(TALE, 36))
    (tmp_path / "manual.txt").write_text(text(MANUAL, 36))
    return [read_book(tmp_path / name, tokenizer, 128) for name in ("tale.txt", "manual.txt")]


def never() -> bool:
    return False


def test_rows_hold_every_id_once(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text(TALE, 30), "utf-8")
    book = read_book(path, tokenizer, 32)
    assert all(row[0] == tokenizer.bos and len(row) <= 32 for row in book.rows)
    assert [index for row in book.rows for index in row[1:]] == tokenizer.encode(path.read_text())
    assert book.bytes == path.stat().st_size == row_bytes(tokenizer, book.rows) and book.name == "a.txt"
    (tmp_path / "b.txt").write_text(path.read_text())
    assert read_book(tmp_path / "b.txt", tokenizer, 32).sha256 == book.sha256
    rows = [[1, n] for n in range(10)]
    assert [row[1] for row in spread(rows, 5)] == [1, 3, 5, 7, 9] and spread(rows, 10) == rows
    (tmp_path / "chat.jsonl").write_text('{"messages": [{"role": "user", "content": "hi"}]}\n')
    assert tokenizer.marker("user") in read_book(tmp_path / "chat.jsonl", tokenizer, 32).rows[0]
    with pytest.raises(NimError):
        read_book(tmp_path / "none.txt", tokenizer, 32)


def test_a_book_is_read_without_its_secrets(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"{text(TALE, 9)}\npassword={SECRET}\n{text(TALE, 9)}", "utf-8")
    (tmp_path / "b.jsonl").write_text(json.dumps({"messages": [
        {"role": "user", "content": text(TALE, 9)}, {"role": "assistant", "content": f"the password is {SECRET}"}]}))
    for name in ("a.txt", "b.jsonl"):
        read = [read_book(tmp_path / name, tokenizer, 32, redactor) for redactor in (None, Stream)]
        texts = [tokenizer.decode([index for row in book.rows for index in row[1:]]) for book in read]
        assert SECRET in texts[0] and SECRET not in texts[1] and "[redacted " in texts[1]
        assert read[1].bytes == len(texts[1].replace("<|user|>", "").replace("<|assistant|>", "").replace(
            "<|end|>", "").encode())


def test_the_gradient_is_that_of_the_mean_loss(talking_run: Path, books: list[Book], tokenizer: Tokenizer) -> None:
    model = load(talking_run).eval()
    rows = [*books[0].rows[:2], books[1].rows[0][:40]]
    loss = gradient_of(model, rows, tokenizer.pad)
    assert loss == pytest.approx(mean_loss(model, rows, tokenizer.pad), rel=1e-5)
    weight = model.layers[0].mlp.down_proj.weight
    assert weight.grad is not None
    place = int(weight.grad.abs().argmax())
    found = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.view(-1)[place] += sign * 1e-2
            found.append(mean_loss(model, rows, tokenizer.pad))
            weight.view(-1)[place] -= sign * 1e-2
    assert (found[0] - found[1]) / 2e-2 == pytest.approx(float(weight.grad.view(-1)[place]), rel=0.02)


def test_book_after_book(talking_run: Path, books: list[Book], state: Path) -> None:
    """Two books and the same by fine-tuning; then the weights without them are the base's again."""
    shown: list[StudyProgress] = []
    with MemoryStore(talking_run, state) as store:
        study = Study(store, books, TINY, books[1].rows[:1])
        study.run(shown.append, never, FineTuning(study, shown.append, never))
        found = report(study)
        before, first, second = found["measured"]
        assert first["books"][0] < 0.9 * before["books"][0] and second["books"][1] < 0.9 * before["books"][1]
        assert second["plain"]["books"][1] < 0.9 * before["books"][1] and before["plain"]["books"] == before["books"]
        assert second["general"] < 1.2 * 1.2 * before["general"] and second["own"] < before["own"]
        [lost] = found["forgotten"]
        assert lost["memory"] == second["books"][0] - first["books"][0] and "plain" in lost
        records = store.records()
        assert [record.kind for record in records] == ["book"] * len(records) and records[0].title == "tale.txt 1/2"
        assert found["books"][0]["chunks"] == 2 and found["books"][0]["records"][0] == "m0001"
        assert all(check.passed for record in records for check in record.checks)
        assert all(record.loss_after < record.loss_before for record in records)
        assert {progress.way for progress in shown} == {"memory", "plain"} and shown[-1].chunk == shown[-1].chunks
        # what was measured is what is stored
        model = load(talking_run, store.weights()).eval()
        assert bits_per_byte(model, study.tokenizer, books[1].rows) == pytest.approx(second["books"][1], rel=1e-5)
        # reading them again with the same settings does nothing until it is asked for
        again = Study(store, books, TINY)
        assert again.finished and len(store.records()) == len(records)
        assert not Study(store, books, TINY, again=True).finished
        for record in records:
            store.revert(record.id)
        assert store.hash() == store.base and not store.verify().problems
        assert not Study(store, books, TINY).finished  # it would be read anew


@pytest.mark.parametrize("delta", ["chunk", "book"])
def test_a_study_that_was_stopped_ends_with_the_same_bits(delta: str, talking_run: Path, books: list[Book],
                                                          state: Path) -> None:
    parts = shutil.copytree(state, state.with_name("parts"))
    settings = StudySettings(rows=4, steps=1, budget=0.05, perplexity=1.2, delta=delta)  # type: ignore[arg-type]
    with MemoryStore(talking_run, state) as store:
        Study(store, books, settings).run(lambda progress: None, never)
        whole, count = store.hash(), len(store.records())
        assert whole != store.base and count == (2 if delta == "book" else 4)
        assert fingerprint(read_tensors(store.weights())) == whole
    stops = 0
    for _ in range(12):
        with MemoryStore(talking_run, parts) as store:
            study, asked = Study(store, books, settings), [False, True]
            try:
                study.run(lambda progress: None, lambda asked=asked: asked.pop(0))  # one chunk a start
                break
            except Stopped:
                stops += 1
            except IndexError:  # two chunks were left, and it was asked three times
                break
    with MemoryStore(talking_run, parts) as store:
        study = Study(store, books, settings)
        study.run(lambda progress: None, never)
        assert study.finished and stops >= 3
        assert store.hash() == whole and len(store.records()) == count and not store.verify().problems


def test_the_gate_leaves_out_what_costs_too_much(talking_run: Path, books: list[Book], state: Path) -> None:
    shown: list[StudyProgress] = []
    with MemoryStore(talking_run, state) as store:
        study = Study(store, books[:1], StudySettings(rows=8, steps=1, perplexity=0.5))  # nothing halves it
        study.run(shown.append, never)
        assert not shown[0].kept and shown[0].after == shown[0].before
        assert store.hash() == store.base and report(study)["books"][0]["left_out"] == 1
        for name, tensor in store.current().items():
            assert torch.equal(torch.from_numpy(tensor), study.session.parameters[name]), name


def test_comparing_must_begin_with_the_study(talking_run: Path, books: list[Book], state: Path) -> None:
    with MemoryStore(talking_run, state) as store:
        study = Study(store, books[:1], TINY)
        study.save()
        with pytest.raises(UsageError, match="began without --compare"):
            FineTuning(Study(store, books[:1], TINY), lambda progress: None, never)


def test_the_command_is_stopped_by_ctrl_c_and_goes_on(
        talking_run: Path, tokenizer: Tokenizer, measured_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tale.txt"
    path.write_text(f"{text(TALE, 60)} password={SECRET}")
    shutil.copytree(measured_state, tmp_path / "nimllm")
    words = ["memory", "study", str(path), "--model", str(talking_run), "--rows", "1", "--steps", "1",
             "--budget", "0.05", "--perplexity", "1.5"]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    process = subprocess.Popen([sys.executable, "-m", "nimllm", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    end = time.monotonic() + 500
    while time.monotonic() < end and process.poll() is None:
        ledgers = list(tmp_path.glob("**/ledger.jsonl"))
        if ledgers and ledgers[0].read_text().count("\n") >= 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=500)
    assert process.returncode == INTERRUPTED and not out, errors
    assert "The same command goes on" in errors and "Traceback" not in errors
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["books"][0]["sha256"] == read_book(path, tokenizer, 128, Stream).sha256  # read without its secret
    assert len(found["books"][0]["records"]) + found["books"][0]["left_out"] == found["books"][0]["chunks"] > 3
    assert found["measured"][1]["books"][0] < found["measured"][0]["books"][0]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "--again" in shown.err and "after tale.txt" in shown.out
    assert main([*words, "--step", "7"]) == 2 and "--step 7.0 is out of range" in capsys.readouterr().err
