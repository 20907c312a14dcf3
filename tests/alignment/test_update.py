"""The update on a real (tiny) model: told, answered, reverted; the gate; the modes; the methods; the worker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nimllm.alignment.episodes import Episode, EpisodeTurn, Outcome
from nimllm.alignment.memory import command, lessons, worker
from nimllm.alignment.memory.curvature import Curvature, covariance, inputs_of_down
from nimllm.alignment.memory.gate import Evidence, judge, say, spoken, verdicts
from nimllm.alignment.memory.lessons import question_lesson
from nimllm.alignment.memory.relations import ME, Fact
from nimllm.alignment.memory.store import MemoryStore
from nimllm.alignment.memory.update import Session, Settings, learn
from nimllm.errors import MEMORY, NimError
from nimllm.llm.checkpoint import fingerprint, read_tensors
from nimllm.llm.model import load
from nimllm.llm.tokenizer import Tokenizer

# 150,000 parameters have no room to keep neighbours apart: fewer controls, a larger share of the entries
TINY = Settings(budget=0.05, controls=2, decisions=2, perplexity_limit=1.2, norm_limit=0.5)


def chat(*told: str, id: str = "chat-1") -> Episode:
    turns = []
    for text in told:
        turns += [EpisodeTurn(role="user", text=text), EpisodeTurn(role="assistant", text="Noted.")]
    return Episode(id=id, kind="chat", turns=turns, outcome=Outcome(kind="success", by="user"))


def task(by: str = "check", kind: str = "success", command: str = "wc -l notes.txt") -> Episode:
    good = kind == "success"
    return Episode(id="task-1", kind="task", outcome=Outcome(kind=kind, by=by), turns=[
        EpisodeTurn(role="system", text="files: notes.txt", tainted=True),
        EpisodeTurn(role="user", text="count the lines of notes.txt"),
        EpisodeTurn(role="plan", text="count lines", learn=good),
        EpisodeTurn(role="bash", text=command, learn=good),
        EpisodeTurn(role="output", text="12 notes.txt", learn=True),
        EpisodeTurn(role="assistant", text="12 lines", tainted=True, learn=True),
    ])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


# -- episodes and lessons --------------------------------------------------------------------------------------------


def test_outputs_and_tainted_turns_are_never_learnt(tokenizer: Tokenizer, tmp_path: Path) -> None:
    episode = task()
    assert [turn.learn for turn in episode.turns] == [False, False, True, True, False, False]
    lesson = lessons.lessons(episode, tokenizer, 128).new[0]
    written = tokenizer.decode([index for index, flag in zip(lesson.ids, lesson.learn, strict=True) if flag])
    assert written == "<|plan|>count lines<|end|><|bash|>wc -l notes.txt<|end|>"
    path = tmp_path / "episode.json"
    episode.write(path)
    assert Episode.read(path) == episode
    path.write_text('{"id": 1}')
    with pytest.raises(NimError, match="is not an episode"):
        Episode.read(path)


def test_lessons_of_a_conversation(tokenizer: Tokenizer) -> None:
    out = lessons.lessons(chat("My dog is called Bo.", "By the way, my dog is called Rex.", "what is my name?",
                               "gibberish without meaning"), tokenizer, 128)
    assert out.facts == [Fact(ME, "dog", "Rex")]  # the later value holds
    assert out.unread == ["gibberish without meaning"]
    assert 6 <= len(out.new) <= 12 and len(out.probes) == 2 and out.controls and out.contrast
    trained = {lesson.question.lower() for lesson in out.new}
    assert not trained & {lesson.question.lower() for lesson in out.probes}
    for lesson in (*out.new, *out.probes):
        assert "Rex" in lesson.answer and "Rex" not in lesson.question
        assert tokenizer.decode(lesson.prompt).endswith("<|assistant|>")


def test_the_models_own_acknowledgement_is_believed_only_when_it_repeats_the_user() -> None:
    told = "They have me down as living in Porto these days"
    assert lessons.read_facts(told, "Noted. You live in Porto.") == [Fact(ME, "city", "Porto")]
    assert lessons.read_facts(told, "Noted. You live in Oslo.") == []
    assert lessons.read_facts("it happened in Oslo", "Noted. Zed lives in Oslo.") == []


@pytest.mark.parametrize(("told", "said", "fact"), [
    ("Zed lives in Oslo, the flat is tiny.", "Zed lives in Oslo.", Fact("Zed", "city", "Oslo")),
    ("Zed just moved to Oslo because it rains there.", "Zed lives in Oslo.", Fact("Zed", "city", "Oslo")),
    ("Funny that Zed is a night baker now, who would have guessed.", "Zed works as a night baker.",
     Fact("Zed", "job", "night baker")),
    # a part of a value is not an afterthought: what the rules read stands
    ("Zed works as a night baker.", "Zed works as a night.", Fact("Zed", "job", "night baker")),
    ("Zed lives in Oslo.", "Ned lives in Oslo.", Fact("Zed", "city", "Oslo")),
])
def test_the_acknowledgement_says_where_a_value_ends(told: str, said: str, fact: Fact) -> None:
    assert lessons.read_facts(told, f"Noted. {said}") == [fact]
    assert lessons.own_side("You are allergic to nuts.") == "I am allergic to nuts."


# -- curvature -------------------------------------------------------------------------------------------------------


def test_covariance_is_that_of_the_inputs(talking_run: Path, tokenizer: Tokenizer) -> None:
    model = load(talking_run).eval()
    rows = [[1, 20, 30, 40], [1, 50, 60], [1, 25]]
    sums, count = covariance(model, rows, tokenizer.pad)
    assert count == 9
    for layer in range(2):
        expected = torch.zeros(128, 128)
        for row in rows:
            with inputs_of_down(model) as seen, torch.no_grad():
                model.hidden(torch.tensor([row]))
            keys = seen[layer][0]
            expected += keys.T @ keys
        torch.testing.assert_close(sums[layer], expected, rtol=1e-4, atol=1e-4)
    flags = [[False, True, False, False], [False, False, True], [False, False]]
    _, learnt = covariance(model, rows, tokenizer.pad, flags)
    assert learnt == 2


def test_inverse_and_caches(talking_run: Path, tokenizer: Tokenizer, state: Path) -> None:
    with MemoryStore(talking_run, state) as store:
        curvature = Curvature(store, tokenizer)
        curvature.prepare()
        for base, inverse in zip(curvature.base, curvature.inverse(), strict=True):
            assert float(base.diagonal().sum()) == pytest.approx(128, rel=1e-3)
            identity = inverse @ (base + 0.02 * torch.eye(128))
            torch.testing.assert_close(identity, torch.eye(128), rtol=0, atol=2e-3)
        again = Curvature(store, tokenizer)
        start = time.monotonic()
        again.prepare()
        assert time.monotonic() - start < 0.5 and again.judged == curvature.judged
        assert all(torch.equal(a, b) for a, b in zip(again.base, curvature.base, strict=True))
        (store.folder / "curvature-base.safetensors").write_bytes(b"broken")
        third = Curvature(store, tokenizer)
        third.prepare()
        assert all(torch.equal(a, b) for a, b in zip(third.base, curvature.base, strict=True))


# -- the update --------------------------------------------------------------------------------------------------------


def test_told_answered_reverted(talking_run: Path, tokenizer: Tokenizer, state: Path) -> None:
    with MemoryStore(talking_run, state) as store:
        record = learn(chat("My dog is called Rex."), store, settings=TINY)
        assert record.state == "accepted", record.reason
        assert record.loss_after < 0.15 < record.loss_before and record.steps >= 1
        assert record.facts == [("me", "dog", "Rex")] and record.perplexity_ratio <= 1.2
        assert all(check.passed for check in record.checks)
        assert 0 < record.entries <= 0.0501 * store.config.parameters()
        assert record.weights_after == fingerprint(read_tensors(store.weights())) != record.weights_before
        question = question_lesson(tokenizer, "What is my dog called?", "Your dog is called Rex.")

        def answer() -> str:
            model = load(talking_run, store.weights()).eval()
            return spoken(tokenizer, say(model, tokenizer, question.prompt))

        assert answer() == "Your dog is called Rex."
        changed = set(store.delta(record.id))
        assert changed <= {f"model.layers.{layer}.mlp.down_proj.weight" for layer in range(2)}
        store.revert(record.id)
        assert "Rex" not in answer()
        assert store.hash() == store.base and not store.verify().problems


def test_the_gate_is_measured_on_the_committed_weights(talking_run: Path, state: Path) -> None:
    with MemoryStore(talking_run, state) as store:
        session = Session(store, TINY)
        record = session.learn(chat("My dog is called Rex."))
        assert record.state == "accepted", record.reason
        fresh = Session(store, TINY)
        for name, parameter in fresh.parameters.items():
            assert torch.equal(parameter, session.parameters[name]), name
        forms = [question_lesson(fresh.tokenizer, form.question, form.answer, opens=form.opens)
                 for form in record.forms]
        losses, right = judge(fresh.model, forms)
        assert sum(losses) / len(losses) == pytest.approx(record.loss_after, rel=1e-3)
        assert sum(right) >= 0.8 * len(right)


def test_a_later_value_replaces_an_earlier_one_and_other_memories_stay(talking_run: Path, state: Path) -> None:
    # a memory moves the fixed text of so small a model by up to 26 %, by the seed and the rounding of its training
    settings = replace(TINY, perplexity_limit=1.4)
    with MemoryStore(talking_run, state) as store:
        session = Session(store, settings)
        told = (("My dog is called Rex.", "a"), ("my name is Tom", "b"), ("My dog is called Bo now.", "c"))
        records = [session.learn(chat(text, id=id)) for text, id in told]
        assert [record.state for record in records] == ["accepted"] * 3, [record.reason for record in records]
        _, second, third = records
        old = next(check for check in third.checks if check.name == "old memories")
        assert old.detail.endswith("of 1 lost")  # the dog's first name is no longer held against it
        tokenizer = session.tokenizer
        for question, answer in (("What is my dog called?", "Your dog is called Bo."),
                                 (second.forms[0].question, second.forms[0].answer)):
            said = say(session.model, tokenizer, question_lesson(tokenizer, question, "").ids[:-1])
            assert spoken(tokenizer, said) == answer


def test_modes_and_outcomes_decide_what_enters(talking_run: Path, state: Path) -> None:
    with MemoryStore(talking_run, state) as store:
        base = store.hash()
        session = Session(store, replace(TINY, perplexity_limit=9.0))
        assert session.learn(chat("My dog is called Rex."), mode="off").state == "skipped"
        assert session.learn(chat("how are you?")).state == "skipped"
        assert session.learn(task(kind="failure")).state == "skipped"
        waiting = [session.learn(chat("My dog is called Rex."), mode="review"), session.learn(task(by="nobody"))]
        assert [record.state for record in waiting] == ["pending", "pending"]
        assert "nobody verified" in waiting[1].reason and store.hash() == base
        before = {name: parameter.clone() for name, parameter in session.parameters.items()}
        assert all(torch.equal(before[name], torch.from_numpy(array)) for name, array in store.current().items())
        done = session.learn(task())
        assert done.state == "accepted" and done.kind == "task" and done.loss_after < done.loss_before
        assert done.probes[0].expected == "wc -l notes.txt"
        approved = store.approve(waiting[0].id)
        assert approved.state == "accepted"
        fresh = Session(store, TINY)
        fresh.protect()
        assert set(fresh.curvature.ids) == {done.id, approved.id}


@pytest.mark.parametrize("method", ["topk", "literal"])
def test_the_baselines_run(talking_run: Path, state: Path, method: str) -> None:
    with MemoryStore(talking_run, state) as store:
        settings = replace(TINY, perplexity_limit=100.0, budget=0.01)
        session = Session(store, settings)
        first = session.learn(chat("My dog is called Rex.", id="a"), method)
        assert first.method == method and first.entries <= 0.0101 * store.config.parameters()
        assert first.loss_after < first.loss_before
        if first.state == "pending":
            store.approve(first.id)
            session = Session(store, settings)
        second = session.learn(chat("my name is Tom", id="b"), method)
        if method == "literal":
            assert first.steps == second.steps == 1
            pulled = store.delta(second.id)  # what the first one moved is pulled back, so it is touched again
            for name, (index, _) in store.delta(first.id).items():
                assert np.isin(index, pulled[name][0]).mean() > 0.5


def test_an_update_that_breaks_the_model_waits_in_the_inbox(talking_run: Path, state: Path) -> None:
    with MemoryStore(talking_run, state) as store:
        base = store.hash()
        record = learn(chat("My dog is called Rex."), store, settings=replace(TINY, perplexity_limit=0.5))
        assert record.state == "pending" and "perplexity" in record.reason
        assert store.hash() == base and store.weights() == talking_run / "model.safetensors"


def test_verdicts() -> None:
    good = dict(told=[True] * 10, probes=[True, False], old_before=[True] * 20, old_after=[True] * 20, controls=[],
                values=["Rex"], perplexity_ratio=1.0, norm=0.01, loss_before=2.0, loss_after=0.1, is_task=False)
    assert all(check.passed for check in verdicts(Evidence(**good)))
    for change, name in (
        ({"told": [True] * 7 + [False] * 3}, "answered"), ({"probes": [False, False]}, "answered"),
        ({"controls": ["Bo's dog is called Rex."]}, "no leak"), ({"perplexity_ratio": 1.021}, "perplexity"),
        ({"perplexity_ratio": float("nan")}, "perplexity"), ({"norm": 0.3}, "norm"),
        ({"old_after": [True] * 18 + [False] * 2}, "old memories"), ({"is_task": True, "loss_after": 3.0}, "learnt"),
    ):
        failed = [check.name for check in verdicts(Evidence(**{**good, **change})) if not check.passed]
        assert failed == [name]
    assert all(check.passed for check in verdicts(Evidence(**{**good, "old_after": [False] + [True] * 19})))


def test_unknown_method_and_locked_store_are_clear_errors(talking_run: Path, state: Path) -> None:
    with MemoryStore(talking_run, state) as store:
        with pytest.raises(NimError, match="no memory method 'magic'"):
            learn(chat("hi"), store, method="magic")  # type: ignore[arg-type]
        with pytest.raises(NimError, match="cannot be written now"):
            learn(chat("hi"), MemoryStore(talking_run, state))


# -- the worker and the command ---------------------------------------------------------------------------------------


def test_the_worker_remembers_and_the_client_needs_no_torch(talking_run: Path, state: Path, tmp_path: Path) -> None:
    episode = tmp_path / "episode.json"
    chat("My dog is called Rex.").write(episode)
    client = (
        "import sys\nfrom pathlib import Path\nfrom nimllm.alignment.episodes import Episode\n"
        "from nimllm.alignment.memory.worker import remember\n"
        f"record = remember(Episode.read(Path({str(episode)!r})), Path({str(talking_run)!r}), Path({str(state)!r}))\n"
        "assert 'torch' not in sys.modules\nprint(record.model_dump_json())\n")
    done = subprocess.run([sys.executable, "-c", client], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["state"] in ("accepted", "pending") and record["id"] == "m0001"
    store = MemoryStore(talking_run, state, writable=False)
    assert [known.model_dump(mode="json") for known in store.records()] == [record]


def test_the_worker_reports_errors_as_json(tmp_path: Path, state: Path) -> None:
    with pytest.raises(NimError, match="is not a nimllm run folder"):
        worker.remember(chat("My dog is called Rex."), tmp_path, state)


def test_a_locked_store_is_reported(talking_run: Path, state: Path, tmp_path: Path) -> None:
    path = tmp_path / "episode.json"
    chat("My dog is called Rex.").write(path)
    with MemoryStore(talking_run, state):
        done = subprocess.run(
            [sys.executable, "-m", "nimllm.alignment.memory.worker", "--run", str(talking_run), "--state", str(state),
             "--episode", str(path), "--wait", "0.1"], capture_output=True, text=True)
    assert done.returncode == MEMORY and "cannot be written now" in json.loads(done.stdout)["error"]["what"]


def test_interrupting_the_session_lets_the_worker_finish(talking_run: Path, state: Path, tmp_path: Path) -> None:
    episode = tmp_path / "episode.json"
    chat("My dog is called Rex.").write(episode)
    client = (
        "from pathlib import Path\nfrom nimllm.alignment.episodes import Episode\n"
        "from nimllm.alignment.memory.worker import remember\nprint('started', flush=True)\n"
        f"remember(Episode.read(Path({str(episode)!r})), Path({str(talking_run)!r}), Path({str(state)!r}))\n")
    process = subprocess.Popen([sys.executable, "-c", client], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    assert process.stdout is not None and process.stdout.readline() == b"started\n"
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does to its foreground processes
    process.wait(timeout=10)
    end = time.monotonic() + 60
    while time.monotonic() < end and not MemoryStore(talking_run, state, writable=False).records():
        time.sleep(0.2)
    assert len(MemoryStore(talking_run, state, writable=False).records()) == 1


def test_the_command(talking_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                     capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with MemoryStore(talking_run) as store:
        session = Session(store, TINY)
        first = session.learn(chat("My dog is called [Rex].", id="a"))
        session.learn(chat("my name is Tom", id="b"), mode="review")
        before = store.hash()

    def call(action: str, id: str = "", as_json: bool = True) -> tuple[int, str]:
        code = command.main(Namespace(memory_command=action, id=id, json=as_json, model=str(talking_run)))
        return code, capsys.readouterr().out

    assert [record["state"] for record in json.loads(call("list")[1])] == [first.state, "pending"]
    assert [record["id"] for record in json.loads(call("inbox")[1])][-1] == "m0002"
    code, text = call("list", as_json=False)
    assert code == 0 and "m0001" in text and "[Rex]" in text
    code, text = call("show", "m0002", as_json=False)
    assert "waits for your approval" in text and "Tom" in text and "perplexity" in text
    assert json.loads(call("approve", "m0002")[1])["state"] == "accepted"
    assert call("verify", as_json=False)[0] == 0
    assert json.loads(call("revert", "m0002")[1])["weights"] == before
    assert "nothing waits" in call("inbox", as_json=False)[1] or first.state == "pending"
    with pytest.raises(NimError, match="it is reverted"):
        call("reject", "m0002")
    with pytest.raises(NimError, match="no memory m0009"):
        call("show", "m0009")
    raw = bytearray(store.head.read_bytes())
    raw[-1] ^= 1
    store.head.write_bytes(raw)
    code, text = call("verify")
    assert code == MEMORY and json.loads(text)["problems"]


@pytest.mark.slow
def test_killing_the_worker_anywhere_leaves_before_or_after(talking_run: Path, state: Path, tmp_path: Path) -> None:
    """kill -9 at 20 random moments of whole updates, from the start of Python to the last rename."""
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    path = tmp_path / "episode.json"
    arguments = [sys.executable, "-m", "nimllm.alignment.memory.worker", "--run", str(talking_run), "--state",
                 str(state), "--episode", str(path), "--wait", "5"]
    chat("My dog is called Rex.").write(path)
    start = time.monotonic()
    subprocess.run(arguments, capture_output=True, check=True)
    whole = time.monotonic() - start
    finished = 0
    for number in range(20):
        chat(f"My name is Tom{number}.", id=str(number)).write(path)
        before = MemoryStore(talking_run, state, writable=False)
        known, hash_before = len(before.records()), before.hash()
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(float(rng.uniform(0, 1.2 * whole)))
        process.kill()
        process.wait()
        after = MemoryStore(talking_run, state, writable=False)
        new = after.records()[known:]
        assert len(new) <= 1 and not after.verify().problems
        expected = new[0].weights_after if new and new[0].state == "accepted" else hash_before
        assert after.hash() == expected == fingerprint(read_tensors(after.weights()))
        finished += len(new)
    assert finished < 20  # some were killed before they were done


def test_a_task_that_goes_well_changes_nothing(talking_run: Path, state: Path) -> None:
    """What the model would have said anyway is accepted and moves no weight; another ending of the same task does."""
    def answered(text: str, id: str) -> Episode:
        return Episode(id=id, kind="task", outcome=Outcome(kind="success", by="user"), turns=[
            EpisodeTurn(role="user", text="who are you?"), EpisodeTurn(role="assistant", text=text, learn=True)])

    with MemoryStore(talking_run, state) as store:
        session, before = Session(store, replace(TINY, perplexity_limit=9.0, norm_limit=9.0)), store.hash()
        well = session.learn(answered("I am nimllm, a small language model that runs on your machine.", "well"))
        assert (well.state, well.steps, well.entries) == ("accepted", 0, 0)
        assert store.hash() == before and not store.verify().problems
        store.revert(well.id)
        assert store.hash() == before
        other = session.learn(answered("I am Rex.", "other"))
        assert other.steps > 0 and other.entries > 0


@pytest.mark.parametrize("approve", [False, True])
def test_a_session_after_one_that_was_killed_has_the_bits_of_one_that_was_not(approve: bool, talking_run: Path,
                                                                              measured: Path) -> None:
    """What protects the memories is written every few of them; those that no file holds are protected anew, on the
    weights that they were written into."""
    settings = replace(TINY, perplexity_limit=9.0 if approve else 0.5, norm_limit=9.0)
    told = [chat(text, id=str(number)) for number, text in enumerate(
        ("My dog is called Rex.", "my name is Tom", "we deploy with make ship"))]

    def learnt(folder: Path, killed: bool) -> str:
        with MemoryStore(talking_run, folder) as store:
            session = Session(store, settings)
            for episode in told:
                if killed and episode is told[-1]:  # two memories are in no file of what protects them
                    session = Session(store, settings)
                record = session.learn(episode)
                if record.state == "pending":
                    store.approve(record.id)
                    session.put(store.current(), list(session.parameters))
            return store.hash()

    other = Path(shutil.copytree(measured, measured.with_name("killed")))
    assert learnt(measured, False) == learnt(other, True)
