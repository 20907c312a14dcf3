"""Copying: literals of every kind in simple commands, and whether they arrive letter by letter."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from nimllm.agent.gym import copied, evaluate, literals, quoting
from nimllm.agent.gym.episodes import EVALUATION, Episode, main, produce, seeds, source
from nimllm.agent.gym.executor import Executor
from nimllm.errors import UsageError
from nimllm.tools.shell import Shell

bwrap = subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True,
                       check=False).returncode == 0 if shutil.which("bwrap") else False
needs_bwrap = pytest.mark.skipif(not bwrap, reason="needs a working bubblewrap")


@pytest.fixture(scope="module")
def made() -> Iterator[list[Episode]]:
    with Executor() as executor:
        reasons: Counter[str] = Counter()
        found = list(produce(seeds(7, 260), source("copying"), executor, reasons))
        assert len(found) > 240, reasons
        yield found


def test_every_literal_stands_in_request_and_command(made: list[Episode]) -> None:
    kinds: Counter[str] = Counter()
    for episode in made:
        assert copied.wanted(episode)
        for kind, text in copied.wanted(episode):
            kinds[kind] += 1
            assert copied.holds(episode.commands[0], text), (text, episode.commands)
            assert all(text in request for request in episode.requests), (text, episode.requests)
    assert set(kinds) == set(literals.KINDS)
    assert len({episode.schema for episode in made}) > 25
    assert copied.check([episode.commands[0] for episode in made], made) == 1


def test_other_letters_are_found_out(made: list[Episode]) -> None:
    """Whatever letter of a literal is changed in the command, it is no longer right."""
    rng = random.Random(3)
    for episode in made:
        kind, text = copied.wanted(episode)[-1]
        places = [at for at, letter in enumerate(text) if letter.isalnum()]
        at = rng.choice(places)
        wrong = text[:at] + ("z" if text[at] != "z" else "q") + text[at + 1:]
        command = episode.commands[0].replace(text, wrong).replace(text.replace("'", "'\"'\"'"), wrong)
        assert not copied.holds(command, text), (kind, text, command)


@pytest.mark.parametrize(("command", "literal", "right"), [
    ("cat a.txt", "a.txt", True), ("cat ./a.txt", "a.txt", True), ("cat xa.txt", "a.txt", False),
    ("cat a.txt.bak", "a.txt", False), ("cat 'a b.md'", "a b.md", True), ("cat a b.md", "a b.md", False),
    ('echo "it\'s"', "it's", True), ("echo it's", "it's", False), ("sed -n 17p x", "17", True),
    ("sed -n 117p x", "17", False), ("head -n 3 x", "3", True), ("sed -i 's/old/new/g' f", "new", True),
    ("sed -i 's/old/newer/g' f", "new", False), ("echo '$HOME' > x", "$HOME", True), ("ls >out.txt", "out.txt", True),
    ("cp a.txt 'x y'/", "x y", True), ("find . -name '*v1.2*'", "v1.2", True), ("", "a", False)])
def test_holds(command: str, literal: str, right: bool) -> None:
    assert copied.holds(command, literal) is right


@pytest.mark.parametrize(("text", "word"), [("a", "a"), ("a b", "'a b'"), ("it's", '"it\'s"'), ("", "''"),
                                            ("it's $x", "'it'\"'\"'s $x'")])
def test_quoting(text: str, word: str) -> None:
    assert quoting.word(text) == word
    assert subprocess.run(["bash", "-c", f"printf %s {quoting.string(text)}"], capture_output=True, text=True,
                          check=True).stdout == text


def test_seeds_of_training_and_evaluation_are_disjoint(tmp_path: Path) -> None:
    assert main(["--count", "30", "--seed", "2", "--source", "copying", "--out", str(tmp_path / "rows")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert rows and all(row["seed"] < EVALUATION and row["schema"].startswith("copy.") for row in rows)
    assert all(episode.seed >= EVALUATION for episode in copied.unseen(3, 5))
    with pytest.raises(UsageError):
        source("nothing")


@needs_bwrap
def test_the_evaluation_counts_literals_of_the_first_command() -> None:
    tasks = list(copied.unseen(8, 1))
    assert any(task.root for task in tasks)
    asked: list[str] = []

    def right(shell: Shell, request: str) -> Namespace:
        folder = shell.run("pwd").output.strip()
        asked.append(request)
        done = [Namespace(command=tasks[len(asked) - 1].at(folder).commands[0], output="", status=0),
                Namespace(command="true", output="", status=0)]
        return Namespace(steps=done, answer="")

    report = copied.evaluate(right, tasks)
    assert [verdict.why for verdict in report.verdicts] == [""] * 8
    data = json.loads(json.dumps(report.data()))
    assert data["all"]["rate"] == data["literals"]["rate"] == 1 and data["literals"]["total"] >= 8
    assert sum(row["total"] for row in data["kinds"].values()) == data["literals"]["total"]
    assert any(line.startswith("literals:") for line in report.lines())

    def second(shell: Shell, request: str) -> Namespace:
        first = Namespace(command="true", output="", status=0)
        return Namespace(steps=[first, *right(shell, request).steps], answer="")

    asked.clear()
    assert copied.evaluate(second, tasks).rate() == (0, 8)


@needs_bwrap
def test_eval_shell_set_copying(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = Namespace(model=str(run_folder), set="copying", tasks=2, seed=EVALUATION, steps=None, schemas="*",
                          failures=False, json=True, samples=None, try_first=False, try_seconds=2.0, only="",
                          pass_at=None, temperature=1.0)
    assert evaluate.main(arguments) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["all"]["total"] == 2 and data["kinds"]
