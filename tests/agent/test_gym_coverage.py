"""The report on what a set of episodes holds."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from nimllm.agent.gym import coverage
from nimllm.errors import UsageError

ROW = {"schema": "a.b", "steps": 1, "protected": ["notes of mine"],
       "commands": ["grep -c --color=never x f | sort -rn"],
       "turns": [{"role": "user", "text": "Count 'the x' in notes of mine, /srv/a and 3 others"}]}
OTHER = {"nl": "count the lines in file.txt", "bash": "grep -c '' file.txt; dig x"}


def test_literals_are_no_words() -> None:
    turn = ROW["turns"][0]  # type: ignore[index]
    assert coverage.words(turn["text"], ROW["protected"]) == ["count", "_", "in", "_", "_", "and", "_", "others"]


def test_what_is_counted() -> None:
    found = coverage.report([ROW, ROW], [OTHER])
    assert found["episodes"] == 2 and found["kinds"] == 1 and found["steps"] == {1: 2}
    assert found["programs"] == {"grep": 2, "sort": 2}
    assert found["options"] == {"grep -c": 2, "grep --color": 2, "sort -rn": 2}
    against = found["against"]
    assert against["of their n-grams"] == {1: pytest.approx(3 / 5), 2: pytest.approx(1 / 4), 3: 0.0}
    assert against["of their uses of programs"] == pytest.approx(1 / 2)
    assert against["of their uses of options"] == 1.0 and against["programs only they use"] == ["dig"]
    assert math.isnan(found["variety"][1]) and "1 kinds" in coverage.lines(found)[0]


def test_variety_is_that_of_a_thousand_whatever_the_length() -> None:
    rng = random.Random(1)
    few = [(rng.choice("abcdefghij"),) for _ in range(5000)]
    many = [(str(rng.random()),) for _ in range(5000)]
    assert coverage.variety(few, rng) == 10 and coverage.variety(many, rng) == coverage.SAMPLE


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROW) + "\n")
    assert coverage.main([str(path), "--json"]) == 0 and json.loads(capsys.readouterr().out)["episodes"] == 1
    path.write_text("{\n")
    with pytest.raises(UsageError, match="line 1 is not JSON"):
        coverage.main([str(path)])
