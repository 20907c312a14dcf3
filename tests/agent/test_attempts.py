"""The preference stage's attempts: executed, judged, paired; collected in parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nimllm.agent.gym.episodes import chosen, produce, seeds
from nimllm.agent.gym.executor import Executor
from nimllm.alignment import preferences
from nimllm.llm.turns import Turn
from recipes import attempts
from recipes.attempts import Asked, Attempt, judged


class Known(Asked):
    """Says given commands: what is judged must not depend on what a small model happens to say."""

    def __init__(self, plan: str, said: list[list[str]]) -> None:
        self.own, self.said = plan, iter(said)

    def plan(self, turns: object) -> str:
        return self.own

    def commands(self, turns: object) -> list[Attempt]:
        return [Attempt(text, -float(number), number == 0) for number, text in enumerate(next(self.said))]


@pytest.fixture(scope="module")
def executor() -> object:
    with Executor() as found:
        if not found.sandboxed:
            pytest.skip("no bubblewrap")
        yield found


def test_a_wrong_command_loses_to_a_right_one(executor: Executor) -> None:
    found = {episode.steps: episode for episode in produce(seeds(3, 200), chosen("count.*,chain.*,*"), executor)
             if episode.steps in (1, 2) and not any(status for _, status in episode.observations)
             and episode.expect_output is not None}
    one = found[1]
    right = one.commands[0]
    (step,) = judged(one, Known(one.plan[0], [["false", right, "true"]]), executor)
    assert step["greedy"] is False and (step["right"], step["of"]) == (1, 3)
    assert step["pair"]["chosen"][0]["text"] == right and step["pair"]["rejected"][0]["text"] == "false"
    (step,) = judged(one, Known(one.plan[0], [[right, f" {right}"]]), executor)
    assert step["greedy"] is True and step["pair"] is None
    (step,) = judged(one, Known("do something else", [["true"]]), executor)  # the plan was wrong, too
    assert [turn["role"] for turn in step["pair"]["chosen"]] == ["plan", "bash"]
    assert [turn["text"] for turn in step["pair"]["rejected"]] == ["do something else", "true"]
    two = found[2]
    steps = list(judged(two, Known("\n".join(two.plan), [[two.commands[0]], ["echo no", two.commands[1]]]), executor))
    assert [step["greedy"] for step in steps] == [True, False]
    assert [turn["role"] for turn in steps[1]["pair"]["prompt"]] == ["system", "user", "plan", "bash", "output"]
    assert steps[1]["pair"]["chosen"][0]["text"] == two.commands[1]


def test_collecting_goes_on_where_it_was(run_folder: Path, tmp_path: Path, executor: Executor) -> None:
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    attempts.collect(run_folder, whole, 9, 4, 2, 0.8)
    attempts.collect(run_folder, parts, 9, 2, 2, 0.8)
    attempts.collect(run_folder, parts, 9, 4, 2, 0.8)
    seen = [[json.loads(line)["seed"] for line in file.read_text().splitlines()] for file in (whole, parts)]
    assert seen[0] == seen[1] and len(set(seen[0])) == 4
    assert attempts.pairs(whole, tmp_path / "pairs.jsonl") > 0
    assert preferences.read([tmp_path / "pairs.jsonl"], strict=True).pairs


def test_different_commands_are_asked_for_once(generator: object) -> None:
    asked = Asked(generator, 4, 0.01)  # type: ignore[arg-type]
    said = asked.commands([Turn("user", "list the files"), Turn("plan", "list the files")])
    assert [attempt.command for attempt in said].count("ls") == 1 and said[0].greedy
    assert asked.plan([Turn("user", "list the files")]) == "list the files"
