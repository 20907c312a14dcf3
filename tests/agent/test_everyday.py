"""The hand-written requests: right commands are judged right, wrong ones wrong, and the generator never says them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nimllm.agent.gym import everyday
from nimllm.agent.gym.episodes import chosen, produce
from nimllm.agent.gym.executor import Executor
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn
from nimllm.places import shipped_model
from nimllm.tools.shell import Result, Shell
from recipes.mixture import Mixture

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Done:
    steps: list[Result] = field(default_factory=list)
    answer: str = ""


def doing(*commands: str) -> everyday.Work:
    return lambda shell, say: Done([shell.run(command) for command in commands])


@pytest.fixture(scope="module")
def judge() -> Iterator[everyday.Judge]:
    with everyday.Judge() as opened:
        yield opened


def test_two_hundred_different_requests_in_known_worlds() -> None:
    worlds, requests = everyday.load()
    assert len({request.say for request in requests}) == len(requests) == 200
    assert {request.world for request in requests} == set(worlds)


def _checked(judge: everyday.Judge, request: everyday.Request) -> None:
    placed = request.at(judge.work)
    for run in placed.runs:
        verdict = judge.judge(doing(run), request)
        if not (verdict.why and "not found" in run):
            known = judge.rights(everyday.Request(placed.say, placed.world, (run,)))
            assert verdict.passed or not known, (request.say, run, verdict.why)
    idle = judge.judge(doing("true"), request)
    assert not idle.passed, f"doing nothing passes: {request.say}"


def test_right_commands_pass_and_idle_ones_do_not(judge: everyday.Judge) -> None:
    for request in judge.requests[::40]:
        _checked(judge, request)


@pytest.mark.slow
def test_all_right_commands_pass_and_idle_ones_do_not(judge: everyday.Judge) -> None:
    for request in judge.requests:
        _checked(judge, request)


@pytest.mark.parametrize("say, command, why", [
    ("how many errors are in app.log", "wc -l app.log", "option"),
    ("last 5 lines of app.log", "tail -n 4 app.log", "option"),
    ("print line 17 of debug.log", "sed -n 17p bug.log", "copying"),
    ("make hello.sh executable", "chmod +r hello.sh", "option"),
    ("create a folder called build", "mkdir built", "option"),
    ("which branch am I on", "echo 'main", "quoting"),
    ("what user am I", "echo root", "program"),
])  # fmt: skip
def test_wrong_commands_are_told_apart(judge: everyday.Judge, say: str, command: str, why: str) -> None:
    request = next(request for request in judge.requests if request.say == say)
    verdict = judge.judge(doing(command), request)
    assert verdict.why.startswith(why), verdict.why


def test_without_a_command_the_plan_is_to_blame(judge: everyday.Judge) -> None:
    assert judge.judge(doing(), judge.requests[0]).why.startswith("plan")


def test_nothing_of_the_set_is_trained_on(tmp_path: Path) -> None:
    """The sources of the generator and the recipes do not read it, and a request of it that comes all the same is left
    out of what is trained on."""
    for source in [*(ROOT / "recipes").glob("*.py"), *(ROOT / "agent" / "gym" / "schemas").glob("*.py")]:
        assert source.name == "mixture.py" or "everyday" not in source.read_text("utf-8"), source
    mixture = Mixture(tmp_path, Tokenizer.load(shipped_model()), 512)
    requests = [request.say for request in everyday.load()[1]]
    others = ["count the lines of a.txt", "rename b.txt to c.txt"]
    for text in [*requests, *(text.upper() + "?!" for text in requests), *others]:
        mixture.turns("x", [Turn("user", text), Turn("plan", "a"), Turn("bash", "ls")])
    count = len(requests)  # a failing assertion must not show them
    assert mixture.kept == 2 * count and mixture.counts["x"]["documents"] == len(others)


def test_few_requests_of_the_generator_are_the_same_by_chance() -> None:
    kept = everyday.Kept()
    with Executor() as executor:
        same = sum(kept.holds(text) for episode in produce(range(150), chosen(None, None), executor)
                   for text in episode.requests)
    assert same <= 6


def test_a_shell_is_what_the_work_gets(judge: everyday.Judge) -> None:
    seen: list[object] = []

    def work(shell: Shell, say: str) -> Done:
        seen.append((shell.cwd, say))
        return Done()

    judge.judge(work, next(request for request in judge.requests if "{here}" in request.say))
    assert seen and str(judge.work) in str(seen[0])
