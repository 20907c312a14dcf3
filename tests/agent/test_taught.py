"""Taught commands asked in other words: the bank, the scoring, the folder of a run, and one whole run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from nimllm.agent import feedback
from nimllm.agent.taught import bank, examine, figures, repeated, run, teacher, wordings
from nimllm.agent.taught.bank import Convention
from nimllm.agent.taught.journal import Journal
from nimllm.alignment.memory import phrasings
from nimllm.alignment.memory.store import MemoryStore
from nimllm.cli import parser
from nimllm.errors import NimError, UsageError
from nimllm.tools import redact

bwrap = subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True,
                       check=False).returncode == 0 if shutil.which("bwrap") else False
needs_bwrap = pytest.mark.skipif(not bwrap, reason="needs a working bubblewrap")


# -- the bank ----------------------------------------------------------------------------------------------------------


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w'-]+", text.lower())
    return {tuple(words[at:at + 4]) for at in range(len(words) - 3)}


@pytest.mark.parametrize("seed", [1, 7])
def test_a_hundred_conventions_that_nobody_could_guess(seed: int) -> None:
    found = bank.bank(seed)
    assert len(found) == len({one.command for one in found}) == len({one.request for one in found}) == 100
    assert len({one.kind for one in found}) >= 25 and sum("{p}" not in one.kind for one in found) >= 25
    assert sum(one.edit for one in found) == 50
    assert len({text for one in found for text in one.asked}) == 400
    requests = {text for one in found for text in (one.request, *one.asked)}
    for one in found:
        assert len(one.asked) == 4 and one.controls and not requests & set(one.controls)
        said = set(re.findall(r"\w{3,}", " ".join((one.request, *one.asked)).lower()))
        made = set(re.findall(r"[a-z]{3,}", one.command.lower())) - {"bash", "scripts", "tools", "dev", "bin", "ops"}
        assert not said & made, (one.request, one.command)
        assert feedback.read_order(one.request) is None and not redact.find(one.request + one.command)
    assert bank.bank(seed) == found and bank.digest(seed) != bank.digest(seed + 1)


def test_those_who_ask_share_no_four_words_with_what_is_learnt_from() -> None:
    for one in bank.bank(1):
        learnt = {one.request, *phrasings.everything(one.request)}
        made = set().union(*map(_runs, learnt))
        cores = {phrasings.core(text).lower() for text in learnt}
        for asked in one.asked:
            assert not _runs(asked) & made, (one.request, asked, _runs(asked) & made)
            assert phrasings.core(asked).lower() not in cores


def test_a_text_of_kinds_is_checked() -> None:
    assert len(wordings.named()) >= 25 and len(wordings.nameless()) >= 25
    with pytest.raises(ValueError, match="ring"):
        wordings.kinds("ring\na\nb\nc\n~ near")


def test_the_planted_scripts_let_every_command_end_well(tmp_path: Path) -> None:
    run.plant(tmp_path, bank.bank(1))
    lines = "\n".join(f"( {one.command} ) || echo FAILED" for one in bank.bank(1)[:25])
    done = subprocess.run(["bash", "-c", lines], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert "FAILED" not in done.stdout and not done.stderr


# -- the figures -------------------------------------------------------------------------------------------------------


def _conventions(count: int) -> list[Convention]:
    return [Convention(f"do {n}", f"./x {n}", tuple(f"{n} {word}" for word in "abcd"), (f"not {n}",), (), "do", True)
            for n in range(count)]


def _answers(conventions: list[Convention], right: Callable[[int], int]) -> dict[str, dict[str, list[str]]]:
    return {one.request: {"asked": [one.command if at < right(number) else "ls" for at in range(4)],
                          "taught": [one.command if right(number) else "ls"], "controls": ["ls"]}
            for number, one in enumerate(conventions)}


def test_what_answers_come_to() -> None:
    some = _conventions(30)
    answers = _answers(some, lambda number: number if number < 1 else 1 if number < 10 else 3 if number < 20 else 4)
    found = figures.score(some, answers)
    assert (found["all4"], found["most"], found["wordings"]) == ([10, 30], [20, 30], [79, 120])
    assert found["same"] == [29, 30] and found["oldest"]["most"] == [0, 10] and found["newest"]["all4"] == [10, 10]
    assert found["controls"] == [0, 30] and found["other"] == 0 and len(figures.wrong(some, answers)) == 41
    answers["do 3"] |= {"asked": ["./x  3 ;", "./x 4", "", "ls"], "controls": ["./x 9"]}  # space and ; do not count
    found = figures.score(some, answers)
    assert found["wordings"] == [79, 120] and found["controls"] == [1, 30] and found["other"] == 1
    assert {"kind": "control", "taught": "do 3", "asked": "not 3", "right": "", "came": "./x 9"} in figures.wrong(
        some, answers)
    assert "oldest" not in figures.score(some[:19], answers)


def test_costs_and_skill() -> None:
    rows = [{"state": "accepted", "way": "edit", "guessed": False, "seconds": 1.0 + n, "bytes": 100, "why": ""}
            for n in range(20)]
    rows.append({"state": "pending", "way": "fix", "guessed": True, "seconds": 9.0, "bytes": 100,
                 "why": "the gate: answered: 3 of 8; kept: 1 of 4"})
    found = figures.costs(rows)
    assert found["states"] == {"accepted": 20, "pending": 1} and found["ways"] == {"edit": 20, "fix": 1}
    assert found["seconds"] == {"median": 10.0, "p95": 19.0} and found["guessed"] == 1
    assert found["waiting"] == {"the gate: answered, kept": 1}
    lost = figures.skill([True, True, False, False], [False, True, True, False])
    assert (lost["loss"], lost["lost"], lost["won"]) == (0.0, 1, 1)
    assert figures.skill([True, True], [True, False])["loss"] == 50.0


def _report() -> dict[str, object]:
    some = _conventions(25)
    points = [{**figures.score(some[:count], _answers(some, lambda number: 4)), "wrong": []} for count in (10, 25)]
    update = {"state": "accepted", "way": "typed", "guessed": False, "seconds": 1.5, "bytes": 2000, "why": ""}
    rows = [{"kind": "attempt", "round": number, "memory": memory, "seed": 1, "passed": memory and number > 1}
            for number in (1, 2, 3) for memory in (True, False)]
    return {"frozen": {"method": "kewc", "bank": "0" * 64, "seed": 1}, "begun": "", "points": points,
            "base": {"fingerprint": "f" * 64, "parameters": 11_000_000, "dtype": "fp32"},
            "machine": {"cpu": {"model": "a processor"}, "load_1min": 0.5, "commit": "abc", "date": "2026-01-01T00",
                        "versions": {"torch": "2", "nimllm": "0"}},
            "updates": figures.costs([update]), "skill": figures.skill([True] * 10, [True] * 9 + [False]),
            "repeat": repeated.summary(rows, 1, 3)}


def test_the_report_for_people_and_as_a_picture(tmp_path: Path) -> None:
    report = _report()
    said = "\n".join(figures.lines(report))
    for part in ("25/25", "oldest 10", "1 by !COMMAND", "10.0 points lost", "1.50 s", "a processor", "nimllm 0 abc",
                 "with memory  without", "2          1/1      0/1"):
        assert part in said, part
    assert "repeated tasks" in figures.chart(report) and "controls wrong" in figures.chart(report)
    pytest.importorskip("matplotlib")
    figures.save_png(report, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(NimError):
        figures.save_png({"points": report["points"][:1], "repeat": None}, tmp_path / "y.png")  # type: ignore[index]


# -- the folder of a run -----------------------------------------------------------------------------------------------


def test_a_torn_line_is_dropped_and_another_one_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    Journal(path).add({"a": 1})
    with open(path, "ab") as file:
        file.write(b'{"a": ')
    opened = Journal(path)
    assert opened.rows == [{"a": 1}]
    opened.add({"a": 2})
    assert Journal(path).rows == [{"a": 1}, {"a": 2}]
    path.write_bytes(b'[1]\n{"a": 2}\n')
    with pytest.raises(NimError, match="line 1"):
        Journal(path)


def _arguments(model: Path, *words: str) -> Namespace:
    return parser(["eval"]).parse_args(["eval", "taught", "--model", str(model), *words])


@pytest.mark.parametrize("words", [
    ("--n", "0"), ("--n", "101"), ("--n", "x"), ("--n", ""), ("--skill", "-1"), ("--repeat", "-2"), ("--seed", "-1"),
    ("--n", "3", "--plot", "x.png"), ("--plot", "/no/such/folder/x.png"),
])
def test_bad_options_are_usage_errors(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run.of_arguments(_arguments(tmp_path, *words))


def test_no_model_is_one_message(inside: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = inside("eval", "taught", "--model", "/no/such/model")
    assert done.returncode == 3 and "no model at" in done.stderr and "Traceback" not in done.stderr


def test_a_folder_of_another_run_is_refused(run_folder: Path, tmp_path: Path, home: Path) -> None:
    plan = run.of_arguments(_arguments(run_folder, "--n", "2", "--out", str(tmp_path / "out")))
    run.Run(plan)
    run.Run(plan)
    other = run.of_arguments(_arguments(run_folder, "--n", "2", "--seed", "2", "--out", str(tmp_path / "out")))
    with pytest.raises(NimError, match="another seed and bank"):
        run.Run(other)


def test_stopped_it_says_how_it_goes_on(run_folder: Path, tmp_path: Path, home: Path) -> None:
    out = tmp_path / "out"
    child = subprocess.Popen([sys.executable, "-m", "nimllm", "eval", "taught", "--model", str(run_folder), "--n", "1",
                              "--out", str(out)], stderr=subprocess.PIPE, text=True,
                             env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])})
    end = time.monotonic() + 120
    while not (out / "lock").exists():
        assert child.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=120)
    assert child.returncode == 130 and "the same command goes on" in said and "Traceback" not in said


# -- a whole run -------------------------------------------------------------------------------------------------------


@needs_bwrap
def test_three_conventions_from_session_to_report(run_folder: Path, tmp_path: Path, home: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """Taught in a real session, by the worker; stopped behind the second, and gone on with."""
    out = tmp_path / "out"
    plan = run.of_arguments(_arguments(run_folder, "--n", "2,3", "--out", str(out)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = sorted(path for path in home.rglob("*"))
    first = run.Run(plan, quiet=True)
    first.teach(2)
    rows = Journal(out / "updates.jsonl").rows
    assert [row["request"] for row in rows] == [one.request for one in bank.bank(1)[:2]]
    assert all(row["state"] in ("accepted", "pending") and row["id"] and row["bytes"] for row in rows)
    assert rows[0]["way"] in ("edit", "typed") and rows[1]["way"] == "typed" and rows[0]["seconds"] > 0
    assert not any(row["guessed"] for row in rows)
    # killed before the second was noted: it is found in the ledger, not taught again
    (out / "updates.jsonl").write_text(json.dumps(rows[0]) + "\n")
    again = run.Run(plan, quiet=True)
    report = again.report()
    noted = [row["id"] for row in Journal(out / "updates.jsonl").rows]
    assert noted[:2] == [row["id"] for row in rows] and len(set(noted)) == 3
    assert [point["taught"] for point in report["points"]] == [2, 3]
    assert report["points"][1]["all4"][1] == 3 and report["points"][1]["wordings"][1] == 12
    assert report["updates"]["ways"]["typed"] >= 1 and report["machine"]["cpu"] and report["skill"] is None
    assert "after 3:" in "\n".join(figures.lines(report))
    assert sorted(path for path in home.rglob("*")) == before, "the user's own state was touched"
    assert os.environ["XDG_STATE_HOME"] == str(home.parent)
    # the weights of a moment: without what waits, and with it once it is approved
    state = teacher.state_of(out / "home")
    with MemoryStore(run_folder, state) as store:
        for row in rows:
            if row["state"] == "pending":
                store.approve(row["id"])
    assert state in examine.weights_after(run_folder, state, [row["id"] for row in rows]).parents
    assert examine.weights_after(run_folder, state, []) == run_folder / "model.safetensors"
    # and everything is kept: the same again computes nothing
    stamp = (out / "point-3.json").stat().st_mtime_ns
    assert run.Run(plan, quiet=True).report()["points"] == report["points"]
    assert (out / "point-3.json").stat().st_mtime_ns == stamp
