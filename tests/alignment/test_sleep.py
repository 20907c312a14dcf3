"""Sleep: memories learnt together, written as one change, undone bit for bit."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_update import TINY, chat

from nimllm.alignment.memory import command
from nimllm.alignment.memory.bench.methods.ours import Ours
from nimllm.alignment.memory.gate import judge
from nimllm.alignment.memory.lessons import question_lesson
from nimllm.alignment.memory.sleep import Night, Progress, due, sleep
from nimllm.alignment.memory.store import MemoryStore
from nimllm.alignment.memory.update import Session
from nimllm.errors import NimError, UsageError

SETTINGS = replace(TINY, perplexity_limit=9.0, norm_limit=9.0)
TOLD = ("My dog is called Rex.", "my name is Tom", "we deploy with make ship", "My dog is called Bo now.")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def session(talking_run: Path, tmp_path: Path) -> Session:
    store = MemoryStore(talking_run, tmp_path / "state")
    found = Session(store, SETTINGS)
    for number, text in enumerate(TOLD):
        record = found.learn(chat(text, id=str(number)))
        if record.state == "pending":  # a model of this size cannot always pass the gate
            store.approve(record.id)
    found.put(store.current(), list(found.parameters))
    return found


def _held(session: Session) -> int:
    records = session.store.records()
    forms = [form for record in records[1:4] for form in record.forms]  # the first one was told again
    _, right = judge(session.model, [question_lesson(session.tokenizer, form.question, form.answer, opens=form.opens)
                                     for form in forms])
    return sum(right)


def test_a_sleep_holds_no_less_and_can_be_undone(session: Session) -> None:
    store, before, weights = session.store, _held(session), session.store.hash()
    seen: list[Progress] = []
    record = sleep(session, Night(epochs=6, beside=4, step=0.4, perplexity_limit=9.0), seen.append)
    assert record is not None and record.state == "accepted", record and record.reason
    assert record.members == ["m0001", "m0002", "m0003", "m0004"] and record.kind == "sleep"
    assert [progress.epoch for progress in seen] == list(range(7)) and seen[0].asked == 3  # the dog has one name
    assert _held(session) >= before - 1  # the audit asks for one form of each
    for name, parameter in session.parameters.items():
        assert torch.equal(parameter, torch.from_numpy(store.current()[name])), name
    assert store.hash() == record.weights_after and not store.verify().problems
    if max(progress.held for progress in seen[1:]) > seen[0].held:  # else the weights it began with may be the best
        assert store.hash() != weights
    assert store.get("m0002").state == "consolidated"
    with pytest.raises(NimError, match="alone"):
        store.revert("m0002")
    again = sleep(session, Night(epochs=1, beside=4, perplexity_limit=9.0))  # a sleep on a sleep
    assert again is not None and again.members == [record.id]
    if again.state == "accepted":
        store.revert(again.id)
    store.revert(record.id)
    assert store.hash() == weights and store.get("m0002").state == "accepted"


def test_what_would_be_a_loss_waits(session: Session) -> None:
    weights = session.store.hash()
    record = sleep(session, Night(epochs=1, beside=2, perplexity_limit=0.5))
    assert record is not None and record.state == "pending" and "perplexity" in record.reason
    assert session.store.hash() == weights
    for name, parameter in session.parameters.items():
        assert torch.equal(parameter, torch.from_numpy(session.store.current()[name])), name


def test_an_interrupted_sleep_changes_nothing(session: Session) -> None:
    weights, count = session.store.hash(), len(session.store.records())

    def interrupt(progress: Progress) -> None:
        if progress.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sleep(session, Night(beside=2), interrupt)
    assert session.store.hash() == weights and len(session.store.records()) == count
    for name, parameter in session.parameters.items():
        assert torch.equal(parameter, torch.from_numpy(session.store.current()[name])), name
    assert due(session, 4) and not due(session, 5)


def test_nothing_to_learn_together(talking_run: Path, tmp_path: Path) -> None:
    with MemoryStore(talking_run, tmp_path / "state") as store:
        session = Session(store, SETTINGS)
        assert sleep(session) is None
        session.learn(chat("My dog is called Rex."))
        assert sleep(session) is None


def test_the_command(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                     capsys: pytest.CaptureFixture[str]) -> None:
    store = session.store
    store.close()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "unused"))
    monkeypatch.setattr("nimllm.places.state_folder", lambda: tmp_path / "state")

    def call(epochs: int, as_json: bool) -> str:
        assert command.main(Namespace(memory_command="sleep", epochs=epochs, json=as_json, model=str(store.run))) == 0
        return capsys.readouterr().out

    with pytest.raises(UsageError, match="--epochs 0"):
        call(0, False)
    record = json.loads(call(2, True))
    assert record["kind"] == "sleep" and record["members"] == ["m0001", "m0002", "m0003", "m0004"]
    assert record["state"] in ("accepted", "pending")
    text = call(1, False)
    assert "1 of 1: " in text and ("memories" in text)


def test_the_bench_sleeps_when_it_is_due_and_only_where_it_was_asked_for(talking_run: Path, tmp_path: Path) -> None:
    by_name = {}
    for name, nights in (("never", 0), ("often", 2)):
        method = Ours(name, talking_run, tmp_path / name, 0, approve=True, nights=nights)
        slept = []
        for number, text in enumerate(TOLD[:3]):
            method.learn(chat(text, id=str(number)))
            slept.append(method.sleep() is not None)
        by_name[name] = slept
    assert by_name == {"never": [False, False, False], "often": [False, True, False]}
