"""nimllm runs: what it finds, what it passes over, what it prints."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from nimllm.cli import main
from nimllm.errors import NimError
from nimllm.llm import runs
from nimllm.llm.presets import preset
from nimllm.llm.run_folder import hold, is_held, read_curves, rewind


def make(path: Path, steps: int = 100, done: int = 100, size: str = "tiny", when: int = 0, **training) -> Path:
    """A run folder as training leaves it, but for the weights: a loss that falls by a hundredth a step."""
    path.mkdir(parents=True)
    config = preset(size, 512).model_dump()
    settings = {"steps": steps, "batch_rows": 4, "accumulate": 2, "lr": 1e-3, **training}
    (path / "config.json").write_text(json.dumps({"format": "nimllm-run", "version": 1, "model": config,
                                                  "tokenizer": {"kind": "bpe"}, "training": settings}))
    (path / "arguments.json").write_text(json.dumps({"data": [f"/somewhere/{path.name}.txt"]}))
    with open(path / "metrics.jsonl", "w") as file:
        for step in range(1, done + 1):
            row = {"step": step, "loss": 5 - step / 100, "lr": 1e-3, "tokens": step * 1024, "tok_s": 1000 + step % 2,
                   "seconds": step / 2}
            if step % 50 == 0:
                row |= {"val_loss": 4.0 + abs(step - 50) / 100, "val_bpb": 2.0}
            file.write(json.dumps(row) + "\n")
    os.utime(path / "metrics.jsonl", (1_790_000_000 + when, 1_790_000_000 + when))
    return path


def test_list_names_what_each_run_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("runs/whole"), when=1)
    make(Path("runs/part"), done=70, when=2)
    make(Path("runs/stages/first"), done=0, size="nimllm-10m", when=3)
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "whole", "part", "first"]
    cells = [re.split(r"  +", line) for line in lines]
    assert cells[0] == ["run", "size", "params", "steps", "state", "tokens", "val loss", "bits/byte", "tok/s",
                        "changed"]
    assert cells[1][:9] == ["whole", "tiny", "106.9k", "100/100", "finished", "102.4k", "4.0000", "2.0000", "1,000"]
    assert cells[2][:5] == ["part", "tiny", "106.9k", "70/100", "interrupted"]
    assert cells[3][:9] == ["first", "nimllm-10m", "7.3M", "0/100", "not begun", "-", "-", "-", "-"]
    (tmp_path / "runs/stages/first/model.safetensors").touch()
    assert runs.read_run(tmp_path / "runs/stages/first").state == "weights only"


def test_a_run_that_is_held_is_running(tmp_path: Path) -> None:
    path = make(tmp_path / "a", done=10)
    assert runs.read_run(path).state == runs.INTERRUPTED
    with hold(path):
        assert is_held(path) and runs.read_run(path).state == runs.RUNNING
        with hold(path):  # the command holds it, then fit
            pass
        assert is_held(path)
    assert not is_held(path) and runs.read_run(path).state == runs.INTERRUPTED


def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = make(tmp_path / "a")
    code = (f"from pathlib import Path; from nimllm.llm.run_folder import hold\nwith hold(Path({str(path)!r})):\n"
            " print('held', flush=True); input()")
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          cwd=Path(__file__).resolve().parents[2]) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(NimError, match=f"another process: process {other.pid}"), hold(path):
            pass
        other.kill()
    with hold(path):
        pass


DAMAGES = {
    "hugging_face": lambda path: (path / "config.json").write_text('{"model_type": "llama"}'),
    "cut": lambda path: (path / "config.json").write_text((path / "config.json").read_text()[:50]),
    "binary": lambda path: (path / "config.json").write_bytes(b"\xff\xfe\x00\x81"),
    "list": lambda path: (path / "config.json").write_text("[1]"),
    "empty_model": lambda path: (path / "config.json").write_text('{"format": "nimllm-run", "model": {}}'),
    "nested": lambda path: (path / "config.json").write_text("[" * 100_000),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_no_run_is_passed_over_and_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "good")
    DAMAGES[name](make(tmp_path / name))
    assert main(["runs", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "good" in out and name not in out and err.count("skipped: ") == 1 and name in err
    assert "Traceback" not in err


def test_foreign_metrics_do_not_hide_a_run(tmp_path: Path) -> None:
    path = make(tmp_path / "a", done=20)
    with open(path / "metrics.jsonl", "ab") as file:
        file.write(b'\xff\xff\n{"step": "x", "loss": 1}\n[]\nnull\n{"step": 21, "loss": 4.5, "tok_s": null}\n')
        file.write(b'{"step": 22, ')
    curves = read_curves(path)
    assert [step for step, _ in curves.train] == list(range(1, 21))
    (path / "arguments.json").write_text("{")
    assert runs.read_run(path).step == 20 and "data" not in runs.read_run(path).settings


def test_nothing_to_show_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for words, code, said in (
        (["runs"], 3, "no runs here"), (["runs", "missing"], 3, "no such folder"), (["runs", "."], 3, "no run to show"),
        (["runs", "compare"], 2, "nothing to compare"),
    ):  # fmt: skip
        assert main(words) == code
        assert said in capsys.readouterr().err
    make(Path("one"))
    assert main(["runs", "compare", "one"]) == 2 and "only one is a run" in capsys.readouterr().err


def test_compare_shows_curves_and_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    make(Path("runs/b-first"), lr=1e-3, when=2)
    make(Path("runs/a-second"), lr=2e-3, done=50, when=1)
    assert main(["runs", "compare", "b-first", "runs/a-second", "--png", "both.png", "--log-x"]) == 0
    out = capsys.readouterr().out
    assert "a b-first" in out and "b a-second" in out, "not in the order they were named"
    lines = out.splitlines()
    differing = [line.split() for line in lines[lines.index("settings that differ") + 2 :]]
    assert ["training.lr", "0.001", "0.002"] in differing and ["data", "b-first.txt", "a-second.txt"] in differing
    assert not any(row and row[0] == "training.steps" for row in differing)
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert main(["runs", "compare", "b-first", "a-second", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["different"]["training.lr"] == ["0.001", "0.002"]
    assert [row["validation"] for row in data["runs"]] == [4.0, 4.0] and data["runs"][0]["last_validation"] == 4.5


@pytest.mark.parametrize("width", [80, 60, 120])
def test_the_table_fits_the_terminal(tmp_path: Path, width: int) -> None:
    for number, name in enumerate(("short", "a-name-that-goes-on-and-on-for-longer-than-any-name-should", "third")):
        make(tmp_path / name, steps=200_000, done=5, size="nimllm-10m", when=number)
    found, skipped = runs.find([tmp_path])
    text = runs.table(found, width)
    assert max(map(len, text.splitlines())) <= width and not skipped
    assert "…" in text and "bits/byte" in text and "state" in text


def test_rewinding_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    path = make(tmp_path / "a")
    samples = "".join(f"--- step {step}, validation loss 4.0000\ntext of {step}\n\n--- step is a word\n"
                      for step in (50, 100))
    (path / "samples.txt").write_text(samples)
    rewind(path, 60)
    assert [step for step, _ in read_curves(path).train] == list(range(1, 61))
    assert (path / "samples.txt").read_text() == samples.split("--- step 100")[0]
    rewind(path, 0)
    assert (path / "samples.txt").read_text() == "" == (path / "metrics.jsonl").read_text()
