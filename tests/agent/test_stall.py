"""A task that gets nowhere ends; one that repeats itself and gets somewhere goes on."""

from pathlib import Path

import pytest

from nimllm.agent import stall
from nimllm.agent.stall import STALE, Stall, skeleton, stamp


def test_the_same_command_with_the_same_output_and_no_change_ends() -> None:
    steps = Stall()
    assert steps.note("pwd", 0, "/home\n", False) == ""
    assert "twice" in steps.note("pwd", 0, "/home\n", False)


def test_the_same_command_goes_on_while_its_output_changes() -> None:
    steps = Stall()
    assert not any(steps.note("wc -l < log", 0, f"{n}\n", False) for n in range(20))


def test_the_same_command_goes_on_while_it_changes_files() -> None:
    steps = Stall()
    assert not any(steps.note("./next.sh", 0, "", True) for n in range(20))


def test_a_repair_in_between_makes_running_again_sensible() -> None:
    steps = Stall()
    for n in range(5):
        assert steps.note("pytest -q", 1, "1 failed\n", False) == ""
        assert steps.failed == ["pytest -q"]
        assert steps.note(f"sed -i s/{n}/x/ a.py", 0, "", True) == ""
        assert steps.failed == []


def test_taking_turns_without_a_change_is_a_loop() -> None:
    steps = Stall()
    assert not steps.note("ls", 0, "a\n", False) and not steps.note("pwd", 0, "/\n", False)
    assert "twice" in steps.note("ls", 0, "a\n", False)


@pytest.mark.parametrize("outputs", [
    [f"ls: cannot access 'file{n}': No such file or directory\n" for n in range(9)],
    [f"bash: line 1: tool{n}x: command not found\n" for n in range(9)],
    [f"attempt {n}: connection refused by 10.0.0.{n}\n" for n in range(9)],
    [""] * 9])
def test_different_commands_that_fail_alike_get_nowhere(outputs: list[str]) -> None:
    steps, said = Stall(), []
    for number, output in enumerate(outputs):
        said.append(steps.note(f"tool{number}x file{number}", 1, output, False))
    first = next(index for index, text in enumerate(said) if text)
    assert first == STALE and "nothing new" in said[first]


def test_different_failures_are_news() -> None:
    steps = Stall()
    for word in ("no space left", "permission denied", "not a directory", "broken pipe", "is a directory"):
        assert steps.note(f"try {word}", 1, word, False) == ""


def test_the_users_word_ends_the_counting() -> None:
    steps = Stall(patient=True)
    assert not any(steps.note("pwd", 1, "no\n", False) for _ in range(10)) and steps.failed == []


def test_skeletons() -> None:
    assert skeleton("cat: ./a/b.txt: No such file") == skeleton("cat: c.txt: No such file")
    assert skeleton("error 12 in 'x'") == skeleton("error 7 in 'why'") != skeleton("warning 7 in 'why'")


def test_a_stamp_sees_any_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "f").write_text("x")
    seen = {stamp([tmp_path])}
    (tmp_path / "sub" / "f").chmod(0o600)
    seen.add(stamp([tmp_path]))
    (tmp_path / "sub" / "f").write_text("y")
    seen.add(stamp([tmp_path]))
    (tmp_path / "sub" / "f").rename(tmp_path / "sub" / "g")
    seen.add(stamp([tmp_path]))
    assert len(seen) == 4 and stamp([tmp_path]) in seen and None not in seen
    monkeypatch.setattr(stall, "STAMP_ENTRIES", 1)
    assert stamp([tmp_path]) is None
