"""The bench on a real (tiny) model: generation, a whole run with its controls, killed and taken up again."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from nimllm.alignment.memory.bench import display, learner, plan, prepare, stream
from nimllm.alignment.memory.bench.examine import examine
from nimllm.alignment.memory.bench.general import compare, windows
from nimllm.alignment.memory.bench.method import Update
from nimllm.alignment.memory.bench.plan import Plan, Sizes
from nimllm.alignment.memory.bench.questions import Question, of_point
from nimllm.alignment.memory.bench.runner import Bench, Track
from nimllm.alignment.memory.bench.speaker import answer_all, continued
from nimllm.alignment.memory.gate import say
from nimllm.errors import NimError, UsageError
from nimllm.llm.model import load
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render

SIZES = Sizes(windows=6, window_tokens=48, control_items=5, reverted=2, every=10)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


# ---- generation ----------------------------------------------------------------------------------------------------


def test_many_prompts_side_by_side_give_what_each_gives_alone(talking_run: Path) -> None:
    tokenizer, model = Tokenizer.load(talking_run), load(talking_run).eval()
    texts = ["hi", "who are you?", "What is Mira's birthday?", "Where does Bo Du live?", "thanks",
             "My dog is called Rex."]
    prompts = [[*render([Turn("user", text)], tokenizer).ids, tokenizer.marker("assistant")] for text in texts]
    end = tokenizer.marker("end")
    together = continued(model, tokenizer, prompts, 24)
    ended = 0
    for prompt, (ids, done) in zip(prompts, together, strict=True):
        alone = say(model, tokenizer, prompt, 24)
        if not any(tokenizer.is_marker(index) for index in alone[:-1]):
            assert ids == [index for index in alone if index != end] and done == (alone[-1] == end)
            ended += done
    assert ended >= 3  # it talks, and comes to an end by itself
    short = continued(model, tokenizer, prompts, 2)
    assert all(len(ids) <= 2 for ids, _ in short) and not all(done for _, done in short)


def test_an_answer_that_never_ends_is_none(blank_run: Path) -> None:
    tokenizer, model = Tokenizer.load(blank_run), load(blank_run).eval()
    asked = [Question("a", "hello"), Question("long", "word " * 400),  # more than the context holds
             Question("t", "list", (("system", "x"),), True)]
    found = answer_all(model, tokenizer, asked)
    assert set(found) == {"a", "long", "t"} and not all(answer.ended for answer in found.values())


def test_windows_tell_a_moved_model_from_the_base(talking_run: Path) -> None:
    tokenizer, base, moved = Tokenizer.load(talking_run), load(talking_run).eval(), load(talking_run).eval()
    rows = windows(talking_run, base, tokenizer, 6, 32)
    assert len(rows) == 6 and {len(row) for row in rows} == {32}
    assert windows(talking_run, base, tokenizer, 6, 32) == rows
    same = compare(base, moved, rows)
    assert same.kl == 0 and same.agreement == 1 and same.ratio == 1 and same.tokens == 6 * 31
    with torch.no_grad():
        moved.head.add_(torch.randn(moved.head.shape, generator=torch.Generator().manual_seed(1)), alpha=0.05)
    other = compare(base, moved, rows)
    assert other.kl > 0 and other.agreement < 1 and other.ratio > 1


# ---- a whole run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done(talking_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, dict]:
    """Five items, the product's own method, both controls; its learner was killed after three items, in the middle of
    a line."""
    torch.set_num_threads(1)
    what = Plan(talking_run, tmp_path_factory.mktemp("bench") / "out", ("ours-approved",), ("7",), (5,),
                controls=("ours-approved",), sizes=SIZES)
    bench, track = Bench(what), Track("7", "ours-approved")
    prepared = bench.prepared("7")
    bench.settle(track)
    folder = bench.folder(track)
    method = learner.make(json.loads(bench.spec(track)), learner.state_folder(folder))
    learner.learn(method, prepared, folder, 3)
    method.learn(prepared.episode(prepared.stream.items[3]))  # learnt, and killed before it was noted
    method.store.close()  # type: ignore[attr-defined]
    with open(folder / "updates.jsonl", "a") as file:
        file.write('{"place": 3, "ki')
    with pytest.MonkeyPatch.context() as patch:  # sums of two threads may have other last bits than those of one
        patch.setenv("OMP_NUM_THREADS", "1")
        return what, Bench(what).run()


def test_a_run_reports_everything_and_says_under_which_circumstances(done: tuple[Plan, dict]) -> None:
    _, report = done
    point = report["methods"]["ours-approved"]["seeds"]["7"]["5"]
    assert point["facts"]["told"] == 5 and 0 <= point["facts"]["held"] <= 5
    assert point["facts"]["recalled"] >= point["facts"]["held"] >= point["facts"]["strict"]
    assert point["far"]["windows"]["tokens"] == 6 * 47 and 0 <= point["far"]["windows"]["agreement"] <= 1
    assert point["locality"]["hallucinated"][1] == 20 and point["locality"]["everyday"][1] <= 5
    cost = point["cost"]
    assert cost["accepted"] + cost["refused"] + cost["unread"] == 5 and cost["accepted"] >= 1
    assert point["cost"]["updates"] == 5 and point["cost"]["peak_bytes"] > 10**7 and point["cost"]["side_bytes"] > 0
    assert report["limits"]["facts_at_1_bit"] == report["base"]["parameters"] // 30
    assert report["streams"]["7"]["hash"] == stream.draw("7", 5).hash() or report["streams"]["7"]["refused"]
    assert len(report["frozen_hash"]) == 64 and report["machine"]["versions"]["torch"]
    json.dumps(report)
    console = Console(width=200, record=True)
    display.show(report, console)
    text = console.export_text()
    assert "ours-approved" in text and "chance at most" in text and "values permuted" in text


def test_a_killed_run_goes_on_and_learns_nothing_twice(done: tuple[Plan, dict], tmp_path: Path) -> None:
    what, report = done
    folder = what.folder("7", "ours-approved")
    found = learner.notes(folder)
    assert [note.place for note in found] == [0, 1, 2, 3, 4]
    ids = [note.update.id for note in found if note.update.id]
    assert len(ids) == len(set(ids)) >= 1
    # the same as in one go: every item once, in another state folder
    prepared = prepare.read(what.stream_file("7"))
    spec = {"run": str(what.run), "method": "ours-approved", "seed": "7"}
    method = learner.make(spec, tmp_path / "state")
    learner.learn(method, prepared, tmp_path, 5)
    [weights] = {json.loads((path / "point-5.json").read_text())["weights"] for path in (folder, tmp_path)}
    assert weights == report["methods"]["ours-approved"]["seeds"]["7"]["5"]["weights"]
    with pytest.raises(NimError, match="has learnt 5 items"):
        learner.learn(method, prepared, tmp_path, 2)
    method.store.close()  # type: ignore[attr-defined]


def test_a_finished_run_is_only_read_and_other_settings_are_refused(done: tuple[Plan, dict]) -> None:
    what, report = done
    again = Bench(what).point(Track("7", "ours-approved"), 5)
    assert again == report["methods"]["ours-approved"]["seeds"]["7"]["5"]
    with pytest.raises(NimError, match="other settings"):
        Bench(Plan(what.run, what.out, what.methods, what.seeds, what.points, "seen", sizes=SIZES))


def test_the_controls_are_exact_where_they_must_be(done: tuple[Plan, dict]) -> None:
    _, report = done
    check = report["controls"]["ours-approved"]
    assert check["shuffle"]["items"] == 5 and check["shuffle"]["original_recalled"] == 0
    reverts = check["revert"]
    assert reverts["possible"] and reverts["reverted"] >= 1
    assert reverts["same_in_both_orders"] and reverts["rebuilt"] is True


def test_the_examiner_sees_a_weight_file_and_nothing_else(talking_run: Path, done: tuple[Plan, dict]) -> None:
    what, _ = done
    stored = json.loads((what.folder("7", "ours-approved") / "answers-5.json").read_text())
    prepared = prepare.read(what.stream_file("7"))
    questions = of_point(prepared.stream, 5, "test")[:12]
    tokenizer = Tokenizer.load(talking_run)
    model = load(talking_run, learner.weights_file(what.folder("7", "ours-approved"))).eval()
    here = answer_all(model, tokenizer, questions)
    assert {id: [answer.text, answer.ended] for id, answer in here.items()} == {q.id: stored[q.id] for q in questions}
    broken = what.out / "broken.safetensors"
    broken.write_bytes(b"no weights")
    with pytest.raises(NimError):
        examine(talking_run, broken, questions[:1])


# ---- parts that need no model --------------------------------------------------------------------------------------


def test_notes_survive_a_torn_line(tmp_path: Path) -> None:
    known: list[learner.Note] = []
    for place in range(3):
        note = learner.Note(place, "fact", f"f{place}", Update("m1", True, 0.5, 10, 2), Update("s", True, 1.0, 5, 1))
        learner._append(tmp_path, known, note)
        known.append(note)
    with open(tmp_path / "updates.jsonl", "a") as file:
        file.write('{"place": 3')
    assert learner.notes(tmp_path) == known
    learner._append(tmp_path, known, known[0])
    assert learner.notes(tmp_path) == [*known, known[0]]


def _arguments(**changed: object) -> Namespace:
    given = {"methods": "base,ours", "seeds": "1", "n": "3,1", "controls": None, "model": "m", "out": "o", "text": None,
             "wordings": "test", "mix": "standard", "json": None, "tune": False}
    return Namespace(**{**given, **changed})


def test_arguments_become_a_plan_or_an_error() -> None:
    what = plan.of_arguments(_arguments())
    assert what.points == (1, 3) and what.controls == ("ours",) and what.count == 3
    for wrong in ({"methods": "magic"}, {"methods": ""}, {"n": "0"}, {"n": "x"}, {"n": ""}, {"seeds": "abc"},
                  {"seeds": ""}, {"controls": "literal"}):
        with pytest.raises(UsageError):
            plan.of_arguments(_arguments(**wrong))


def test_help_needs_neither_torch_nor_numpy() -> None:
    code = ("import sys; from nimllm import cli\n"
            "try: cli.main(['memory', 'bench', '--help'])\n"
            "except SystemExit: pass\n"
            "print(sorted({'torch', 'numpy', 'pydantic', 'rich'} & set(sys.modules)))")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "--wordings" in said.stdout and said.stdout.strip().endswith("[]")
