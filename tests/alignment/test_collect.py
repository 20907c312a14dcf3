"""Rejected answers with a real model: what is kept and dropped, the same for a seed, resumed after anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nimllm.alignment import collect
from nimllm.alignment.collected import Collected
from nimllm.cli import main
from nimllm.errors import NimError
from nimllm.llm.data.tally import Tally

PAIRS = [{"prompt": f"what is my {thing} called?", "chosen": f"Your {thing} is called Rex."}
         for thing in ("dog", "cat", "boat", "house", "friend")]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def run(data: Path, out: Path, model: Path, *options: str) -> int:
    return main(["align", "collect", str(data), "--out", str(out), "--model", str(model), "--threads", "1", *options])


def test_prompts_and_answers_of_every_form(tmp_path: Path) -> None:
    talk = [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"}]
    rows = [*PAIRS[:1], {"messages": talk}, {"prompt": "alone"}, {"messages": talk[:2]},
            {"prompt": talk[:2], "chosen": talk[2:]}, {"prompt": "a", "completion": "b"},
            {"turns": [{"role": "user", "text": "count"}, {"role": "plan", "text": "p"},
                       {"role": "bash", "text": "ls"}]},
            # left out:
            {"prompt": "a", "chosen": [*talk[2:], *talk[2:]]}, {"prompt": "a", "chosen": " "}, {"chosen": "b"},
            {"prompt": "", "chosen": "b"}, {"prompt": "a", "chosen": [{"role": "user", "content": "b"}]}, {"x": 1}]
    tally = Tally()
    found = list(collect.asked([write(tmp_path / "rows.jsonl", rows)], tally))
    said = [([f"{turn.role} {turn.text}" for turn in one.prompt], [f"{turn.role} {turn.text}" for turn in one.chosen])
            for one in found]
    assert said == [(["user what is my dog called?"], ["assistant Your dog is called Rex."]),
                    (["system s", "user hi"], ["assistant hello"]), (["user alone"], []), (["system s", "user hi"], []),
                    (["system s", "user hi"], ["assistant hello"]), (["user a"], ["assistant b"]),
                    (["user count", "plan p"], ["bash ls"])]
    assert tally.counts() == {"whose answer is several turns": 1, "whose answer is empty or tainted": 1,
                              "without a prompt": 4}


def test_rows_are_what_preference_tuning_reads(tmp_path: Path, talking_run: Path) -> None:
    data = write(tmp_path / "data.jsonl", [*PAIRS, {"prompt": "hello"}])
    out = tmp_path / "new" / "pairs.jsonl"
    assert run(data, out, talking_run, "--preset", "canned", "--seed", "3") == 0
    rows = read(out)
    assert len(rows) == 6
    for row, given in zip(rows, PAIRS, strict=False):
        assert row["prompt"] == [{"role": "user", "text": given["prompt"]}]
        assert row["chosen"] == [{"role": "assistant", "text": given["chosen"]}]
        assert [turn["role"] for turn in row["rejected"]] == ["assistant"] and row["rejected"] != row["chosen"]
        assert row["rejected"][0]["text"].strip() and "<|" not in row["rejected"][0]["text"]
        source = row["source"]
        assert (source["preset"], source["temperature"], source["repetition_penalty"], source["max_tokens"]) == (
            "canned", 0.4, 1.15, 80)
        assert source["seed"] == 3 and len(source["model"]) == 16 and source["row"].startswith(str(data))
    assert rows[5]["label"] is False and "chosen" not in rows[5] and rows[5]["completion"][0]["text"]


def test_what_is_in_the_file_is_not_made_again(tmp_path: Path, talking_run: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    data, whole, parts = write(tmp_path / "data.jsonl", PAIRS), tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    assert run(data, whole, talking_run, "--preset", "loops") == 0
    assert run(data, parts, talking_run, "--preset", "loops", "--limit", "2") == 0
    with open(parts, "ab") as file:
        file.write(b'{"prompt": [{"role": "us')  # killed while writing
    assert run(data, parts, talking_run, "--preset", "loops") == 0
    assert parts.read_bytes() == whole.read_bytes()
    assert run(data, parts, talking_run, "--preset", "loops") == 0
    assert "0 answers collected; 5 done before" in capsys.readouterr().out
    assert run(data, parts, talking_run, "--preset", "loops", "--seed", "1") == 0
    assert run(data, parts, talking_run, "--preset", "loops", "--max-tokens", "3") == 0
    assert len(read(parts)) == 15
    assert [row["rejected"] for row in read(parts)[:5]] != [row["rejected"] for row in read(parts)[5:10]]


def test_presets_are_the_documented_ones_and_change_what_is_written(tmp_path: Path, talking_run: Path) -> None:
    assert {name: (preset.temperature, preset.repetition_penalty, preset.max_tokens)
            for name, preset in collect.PRESETS.items()} == {
        "loops": (1.2, 1.0, 400), "canned": (0.4, 1.15, 80), "tutorial": (0.7, 1.1, 500)}
    data = write(tmp_path / "data.jsonl", PAIRS)
    for name in collect.PRESETS:
        assert run(data, tmp_path / f"{name}.jsonl", talking_run, "--preset", name) == 0
    answers = {name: [row["rejected"] for row in read(tmp_path / f"{name}.jsonl")] for name in collect.PRESETS}
    assert answers["loops"] != answers["canned"] != answers["tutorial"]


def test_samples_that_are_no_rejected_answers_are_dropped(tmp_path: Path, talking_run: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write(tmp_path / "data.jsonl", PAIRS[:1]), tmp_path / "out.jsonl"
    cold = ("--preset", "canned", "--temperature", "0", "--repetition-penalty", "1")
    assert run(data, out, talking_run, *cold, "--samples", "4") == 0
    assert "1 answers collected; 3 the same as another sample" in capsys.readouterr().out
    said = read(out)[0]["rejected"][0]["text"]
    data = write(tmp_path / "data.jsonl", [{**PAIRS[0], "chosen": f"  {said.upper()} "}])
    assert run(data, tmp_path / "other.jsonl", talking_run, *cold) == 0
    assert "0 answers collected; 1 the same as the chosen answer" in capsys.readouterr().out
    twice = [{"prompt": "what is my dog called?", "chosen": name} for name in ("Rex", "Bo")]
    assert run(write(data, twice), tmp_path / "both.jsonl", talking_run, *cold) == 0
    assert run(data, tmp_path / "one.jsonl", talking_run, *cold, "--dedup") == 0
    assert len(read(tmp_path / "both.jsonl")) == 2 and len(read(tmp_path / "one.jsonl")) == 1
    long = [{"prompt": "word " * 400, "chosen": "x"}]
    assert run(write(data, long), tmp_path / "none.jsonl", talking_run, *cold) == 0
    assert "1 prompts that leave no room" in capsys.readouterr().out


def test_a_sample_is_the_same_however_many_are_drawn_beside_it(tmp_path: Path, talking_run: Path) -> None:
    data = write(tmp_path / "data.jsonl", PAIRS[:2])
    assert run(data, tmp_path / "one.jsonl", talking_run, "--preset", "loops", "--max-tokens", "20") == 0
    assert run(data, tmp_path / "many.jsonl", talking_run, "--preset", "loops", "--max-tokens", "20", "--samples", "3"
               ) == 0
    first = [row for row in read(tmp_path / "many.jsonl") if row["source"]["sample"] == 0]
    assert first == read(tmp_path / "one.jsonl")


@pytest.mark.parametrize(("words", "code"), [
    (["--preset", "loops", "--samples", "0"], 2), (["--preset", "loops", "--max-tokens", "0"], 2), ([], 2),
    (["--preset", "loops", "--temperature", "-1"], 2), (["--preset", "loops", "--strict"], 3),
    (["--from-episodes"], 2),
])
def test_what_makes_no_sense(tmp_path: Path, talking_run: Path, words: list[str], code: int,
                             capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path / "data.jsonl", [*PAIRS[:1], {"x": 1}])
    assert run(data, tmp_path / "out.jsonl", talking_run, *words) == code
    assert capsys.readouterr().err.startswith("nimllm: ") or code == 2


def test_without_a_prompt_there_is_an_error(tmp_path: Path, talking_run: Path, capsys: pytest.CaptureFixture[str]
                                            ) -> None:
    data = write(tmp_path / "data.jsonl", [{"x": 1}])
    assert run(data, tmp_path / "out.jsonl", talking_run, "--preset", "loops") == 3
    assert "no prompts" in capsys.readouterr().err and not (tmp_path / "out.jsonl").exists()


def test_two_processes_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with Collected(path), pytest.raises(NimError, match="another process"):
        Collected(path)
    with pytest.raises(NimError, match="cannot write"):
        Collected(Path("/proc/nowhere/out.jsonl"))
    path.write_text('{"mine": 1}\n[3]\nnot json\n{"source": {"key": "a"}}\n{"sou')
    with Collected(path) as out:
        assert "a" in out and path.read_text().endswith('"a"}}\n')
        out.add({"source": {"key": "b"}})
        assert "b" in out
    assert path.read_text().splitlines()[-1] == '{"source": {"key": "b"}}'


def test_an_interrupt_keeps_what_is_there(tmp_path: Path, talking_run: Path) -> None:
    import signal

    rows = [{"prompt": f"what is number {n}?", "chosen": "x"} for n in range(3000)]
    data, out = write(tmp_path / "data.jsonl", rows), tmp_path / "out.jsonl"
    words = [sys.executable, "-m", "nimllm", "align", "collect", str(data), "--out", str(out), "--model",
             str(talking_run), "--preset", "loops"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while (not out.exists() or out.stat().st_size == 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "run it again to go on" in said and "Traceback" not in said
    assert read(out) and all("rejected" in row for row in read(out))
