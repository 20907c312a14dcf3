"""``nimllm --train HISTORY src/ --from MODEL``: what is learnt, what is kept secret, what is measured, and resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nimllm import cli
from nimllm.agent import continuing
from nimllm.agent.gym import habits
from nimllm.errors import NimError
from nimllm.llm.shards import Shard
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.train import Trainer

SECRET = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture
def material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A history and a folder of sources, both with a secret; little is replayed."""
    monkeypatch.setattr(continuing, "_LEAST", 2_000)
    history = tmp_path / ".bash_history"
    lines = [*habits.commands(110, 5), f"export GITHUB_TOKEN={SECRET}"]
    history.write_text("\n".join(lines) + "\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text(f'TOKEN = "{SECRET}"\n\n\ndef twice(x):\n    return 2 * x\n')
    return [str(history), str(tmp_path / "src")]


def words(material: list[str], base: Path, out: Path, *more: str) -> list[str]:
    return ["--train", *material, "--from", str(base), "--out", str(out), "--steps", "3", "--skill-tasks", "1",
            "--plain", "--threads", "1", *more]


def test_a_history_and_sources_with_replay(material: list[str], run_folder: Path, tmp_path: Path,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert cli.main(words(material, run_folder, out)) == 0
    report = json.loads((out / continuing.REPORT).read_text())
    assert report["commands"] == 111 and report["texts"] == 1 and report["steps"] == 3
    assert set(report["tokens"]) == {"history", "history, held out", "texts", "replay"}
    for when in ("before", "after"):
        assert 0 <= report[when]["next_command"]["rate"] <= 1
        assert report[when]["skill"].get("total") == 1 or "skipped" in report[when]["skill"]
    said = capsys.readouterr().out
    assert "next command, of" in said and "before" in said and "tokens: history" in said
    tokenizer = Tokenizer.load(out)
    for name in (continuing.TRAIN, continuing.VALIDATION):
        text = tokenizer.decode([int(one) for one in Shard(out / name).tokens])
        assert SECRET not in text and SECRET[4:20] not in text
    everything = b"".join(path.read_bytes() for path in out.iterdir() if path.suffix in (".json", ".jsonl", ".txt"))
    assert SECRET.encode() not in everything
    assert cli.main(words(material, run_folder, out)) != 0  # it would replace the run
    assert "already holds a model" in capsys.readouterr().err


def test_it_goes_on_where_it_was_stopped(material: list[str], run_folder: Path, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    measured: list[Path] = []

    def measure(self: continuing.Continuation, model: Path, material: continuing.Material) -> dict[str, Any]:
        measured.append(model)
        return {}

    monkeypatch.setattr(continuing.Continuation, "_measured", measure)
    fit = Trainer.fit

    def stopped(self: Trainer, show: Any = None) -> Any:
        self.train_step()
        self.step += 1
        self.save()
        raise NimError("stopped")

    monkeypatch.setattr(Trainer, "fit", stopped)
    assert cli.main(words(material, run_folder, out, "--skill-tasks", "0")) != 0
    shard = (out / continuing.TRAIN).read_bytes()
    monkeypatch.setattr(Trainer, "fit", fit)
    assert cli.main(["--train", "--resume", "--out", str(out), "--plain", "--threads", "1"]) == 0
    assert measured == [run_folder, out]  # the base only once
    assert (out / continuing.TRAIN).read_bytes() == shard
    report = json.loads((out / continuing.REPORT).read_text())
    assert report["steps"] == 3
    assert cli.main(["--train", str(tmp_path), "--resume", "--out", str(out), "--plain"]) == 2  # other files


def test_a_very_short_history_without_replay(run_folder: Path, tmp_path: Path) -> None:
    history = tmp_path / ".zsh_history"
    history.write_text(": 1700000000:0;ls -la\n: 1700000001:0;git status\n")
    out = tmp_path / "out"
    assert cli.main(words([str(history)], run_folder, out, "--replay", "0", "--skill-tasks", "0")) == 0
    report = json.loads((out / continuing.REPORT).read_text())
    assert report["before"] == report["after"] == {} and "replay" not in report["tokens"]


@pytest.mark.parametrize(("more", "code"), [(["--size", "tiny"], 2), (["--replay", "1"], 2), (["--minutes", "3"], 2),
                                            (["--skill-tasks", "-1"], 2), (["--set", "rope=false"], 2)])
def test_what_makes_no_sense_is_refused(more: list[str], code: int, run_folder: Path, tmp_path: Path,
                                        material: list[str]) -> None:
    assert cli.main(words(material, run_folder, tmp_path / "out", *more)) == code
    assert not (tmp_path / "out" / "config.json").exists()


def test_nothing_usable_is_said(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".bash_history").write_text("\n\n")
    assert cli.main(words([str(tmp_path / ".bash_history")], run_folder, tmp_path / "out")) != 0
    assert "nothing to train on" in capsys.readouterr().err
    assert cli.main(words([str(tmp_path / "missing")], run_folder, tmp_path / "out")) != 0
    assert cli.main(["--train", "--from", str(run_folder), "--plain"]) == 2
