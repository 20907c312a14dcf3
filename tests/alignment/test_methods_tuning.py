"""Which point of a grid is chosen, and what is written down of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nimllm.alignment.memory.bench import tune
from nimllm.alignment.memory.bench.methods import registry
from nimllm.alignment.memory.bench.methods.settings import GRIDS, chosen, read_choices, write_choices
from nimllm.alignment.memory.bench.plan import Plan, Sizes
from nimllm.alignment.memory.bench.stream import SALTS
from nimllm.errors import UsageError

SMALL = Sizes(windows=2, window_tokens=32)


def test_the_point_that_holds_most_is_chosen() -> None:
    rows = [{"held": 3, "ratio": 1.2, "n": 0}, {"held": 5, "ratio": 1.5, "n": 1}, {"held": 5, "ratio": 1.1, "n": 2},
            {"held": 5, "ratio": 1.1, "n": 3}]
    assert tune.best(rows)["n"] == 2
    assert tune.best([{"held": 5, "ratio": float("nan"), "n": 0}, {"held": 5, "ratio": 9.0, "n": 1}])["n"] == 1


def test_a_tuning_sees_no_test_seed_and_no_test_wording(tmp_path: Path) -> None:
    plan = Plan(tmp_path, tmp_path, ("base", "top", "literal", "ours"), controls=("ours",))
    found = tune.tuned_plan(plan)
    assert found.seeds == (tune.SEED,) and tune.SEED not in SALTS and found.wordings == "dev"
    assert found.methods == (*(f"top@{n}" for n in range(4)), *(f"literal@{n}" for n in range(4)))
    assert found.points == (100,) and found.out != plan.out and not found.controls
    with pytest.raises(UsageError, match="nothing to tune"):
        tune.tuned_plan(Plan(tmp_path, tmp_path, ("base", "ours")))


def test_choices_are_kept_for_one_base(tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    about = {"seed": "20", "n": 100}
    write_choices("one", about, {"top": {"step": 0.25}}, {"top": [{"held": 1}]}, path)
    write_choices("one", about, {"lora": {"lr": 3e-3}}, {}, path)
    assert read_choices(path)["choices"] == {"top": {"step": 0.25}, "lora": {"lr": 3e-3}}
    assert chosen("top", "one", path) == ({"step": 0.25}, "tuned on the dev seed")
    write_choices("two", about, {"lora": {"lr": 3e-4}}, {}, path)
    assert read_choices(path)["choices"] == {"lora": {"lr": 3e-4}}
    assert chosen("top", "two", path)[1].startswith("untuned")
    write_choices("two", {"seed": "20", "n": 10}, {"top": {"step": 1.0}}, {}, path)
    assert list(json.loads(path.read_text())["choices"]) == ["top"]  # tuned in another way: the others begin anew


def test_a_point_of_a_grid_has_a_name(talking_run: Path, tmp_path: Path) -> None:
    method = registry.METHODS["top@2"](talking_run, tmp_path, 0)
    assert method.name == "top@2" and method.point == GRIDS["top"][2]  # type: ignore[attr-defined]
    assert registry.settings("top@2", talking_run)["point"] == GRIDS["top"][2]
    for wrong in ("top@9", "top@x", "base@0", "magic@0", "magic"):
        with pytest.raises(UsageError):
            registry.METHODS[wrong]


@pytest.mark.slow
def test_a_tiny_tuning_ends_where_it_was_stopped(talking_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    plan = tune.tuned_plan(Plan(talking_run, tmp_path / "out", ("literal",), sizes=SMALL), 2)
    held = tune.tune(plan, None, path)
    assert [row["point"] for row in held["literal"]] == [dict(point) for point in GRIDS["literal"]]
    found = read_choices(path)
    assert found["n"] == 2 and found["choices"]["literal"] == tune.best(held["literal"])["point"]
    assert tune.tune(plan, None, path) == held  # nothing is run twice
