"""Shell histories: the files of four shells, secrets, windows, and the made-up person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from nimllm.agent import histories
from nimllm.agent.gym import habits
from nimllm.errors import UsageError
from nimllm.llm.generate import Generator


@pytest.mark.parametrize("form", habits.FORMATS)
def test_every_shell_is_read(form: str, tmp_path: Path) -> None:
    commands = habits.commands(120, 3)
    file = tmp_path / {"bash": ".bash_history", "fish": "fish_history"}.get(form, "old.txt")
    file.write_text("".join(f"{line}\n" for line in habits.written(commands, form)), "utf-8")
    assert histories.is_history(file)
    assert histories.read(file) == commands


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os\nprint(1)\n")
    (tmp_path / "history.md").write_text("The history of Rome\nis long.\n")
    (tmp_path / "my-history.txt").write_text("ls\ncd src\ngit status\nfoo --bar\n")
    assert not histories.is_history(tmp_path / "a.py") and not histories.is_history(tmp_path / "history.md")
    assert not histories.is_history(tmp_path) and not histories.is_history(tmp_path / "missing")
    assert histories.is_history(tmp_path / "my-history.txt")


def test_lines_that_continue(tmp_path: Path) -> None:
    zsh, stamped, fish = tmp_path / "z_history", tmp_path / "b_history", tmp_path / "f_history"
    zsh.write_bytes(b": 1700000000:0;echo a \\\nb\n: 1700000002:0;echo \xc3\x83\xa3\x83\xa4\n")  # metafied letters
    stamped.write_text("#1700000000\nfor x in 1; do\necho $x\ndone\n#1700000001\nls\n")
    fish.write_text("- cmd: echo a\\nb \\\\n\n  when: 1700000000\n  paths:\n    - x\n- cmd: ls\n")
    assert histories.read(zsh)[0] == "echo a \nb" and len(histories.read(zsh)) == 2
    assert histories.read(stamped) == ["for x in 1; do\necho $x\ndone", "ls"]
    assert histories.read(fish) == ["echo a\nb \\n", "ls"]


def test_secrets_are_redacted(tmp_path: Path) -> None:
    file = tmp_path / ".bash_history"
    file.write_text("export GITHUB_TOKEN=ghp_abcdefghijklmnopqrstuvwxyz0123456789\n"
                    "curl -H 'Authorization: Bearer sk-proj-Q7xJ2mN8vB4kL1pR6tY3wZ9c' https://x.dev\nls\n"
                    + "x" * 400 + "\n")
    found = histories.read(file)
    assert len(found) == 3 and "ls" in found  # the long one is left out
    assert not any("ghp_abc" in command or "Q7xJ2mN8" in command for command in found)


@pytest.mark.parametrize("count", [0, 1, 15, 21, 60, 500])
def test_held_out_commands_are_learnt_nowhere(count: int) -> None:
    commands = [f"echo {number}" for number in range(count)]
    divided = histories.divide(commands)
    learnt = [turn.text for turns in divided.windows for turn in turns if turn.role == "bash" and not turn.tainted]
    held = [command for _, command in divided.held]
    assert sorted([*learnt, *held]) == sorted(commands)  # each once
    assert bool(held) is (count > histories.CHUNK) and len(held) <= max(40, count / 4)
    for shown, command in divided.held:
        at = commands.index(command)
        assert list(shown) == commands[max(0, at - histories.SHOWN):at]
    for turns in divided.windows:
        assert turns[0].text == histories.NOTE and turns[0].tainted


def test_accuracy_counts_exact_commands(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [((f"cd {number}",), f"ls {number}") for number in range(500)]

    def knows(_: Generator, shown: Sequence[str]) -> str:
        number = int(shown[-1].split()[1])
        return f"ls {number}" if number % 4 else f"ls {number}x"

    said = histories.next_command(generator, ["ls"] * 200)  # more than the window holds
    assert isinstance(said, str) and "<|" not in said
    monkeypatch.setattr(histories, "next_command", knows)
    right, asked = histories.accuracy(generator, held)
    assert asked == histories.ASKED and 0.6 < right / asked < 0.9


def test_the_made_up_person_repeats_itself() -> None:
    commands = habits.commands(2000, 1)
    assert len(commands) == 2000 and commands == habits.commands(2000, 1) != habits.commands(2000, 2)
    assert 80 < len(set(commands)) < 1500
    with pytest.raises(UsageError):
        list(habits.written(commands, "tcsh"))
