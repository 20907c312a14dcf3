"""Preferences from the task log: who said what about which command, in the words that the model saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nimllm.agent import labels, records
from nimllm.agent.results import Step, TaskResult
from nimllm.cli import main

SECRET = "ghp_" + "a1B2" * 9


def _step(command: str, **about: Any) -> Step:
    return Step(**{"command": command, "status": 0, "output": "3\n", "decision": "accept", **about})


def _rejected(command: str, **about: Any) -> Step:
    return _step(command, **{"decision": "reject", "ended": "rejected", "status": None, "output": "", **about})


def _record(*steps: Step, outcome: tuple[str, str] | None = None, ended: str = "answered") -> records.TaskRecord:
    from nimllm.tools.redact import redact

    result = TaskResult("count the files", "files: a.txt", "count", list(steps), "There are 3.", ended)  # type: ignore
    record = records.task_record(result, redact, base="f00d")
    if outcome:
        record.outcome, record.by = outcome  # type: ignore[assignment]
    return record


def _told(record: records.TaskRecord) -> list[tuple[str, ...]]:
    """(why, "chosen over rejected" or "command: label")."""
    found: list[tuple[str, ...]] = []
    for why, row in labels.preferences(record):
        if "chosen" in row:
            found.append((why, f"{row['chosen'][0]['text']} over {row['rejected'][0]['text']}"))
        else:
            found.append((why, f"{row['completion'][0]['text']}: {row['label']}"))
    return found


PLAN = ("plan", "count: True")


@pytest.mark.parametrize(("record", "told"), [
    (_record(_step("ls | wc -l")), [PLAN, ("command 1: verified", "ls | wc -l: True")]),
    (_record(_step("ls | wc -l", decision=None)), []),  # nobody said anything
    (_record(_step("ls | wc -l", decision=None), outcome=("success", "check")),
     [PLAN, ("command 1: verified", "ls | wc -l: True")]),
    (_record(_step("ls -A | wc -l", decision="edit", edited_from="ls | wc -l")),
     [PLAN, ("command 1: edited", "ls -A | wc -l over ls | wc -l")]),
    (_record(_step("ls -Z", decision="edit", edited_from="ls", status=2)), []),  # the edit was no better
    (_record(_step("ls ", decision="edit", edited_from="ls"), outcome=("failure", "nobody")), []),
    (_record(_rejected("rm -r ."), _step("ls | wc -l")),
     [PLAN, ("command 1: rejected", "ls | wc -l over rm -r ."), ("command 2: verified", "ls | wc -l: True")]),
    (_record(_rejected("rm -r ."), _rejected("rm *"), _step("ls")),
     [PLAN, ("command 1: rejected", "ls over rm -r ."), ("command 2: rejected", "ls over rm *"),
      ("command 3: verified", "ls: True")]),
    (_record(_rejected("rm -r ."), ended="aborted"), [("command 1: rejected", "rm -r .: False")]),
    (_record(_step("ls nothing", status=2), _step("ls")),
     [PLAN, ("command 1: failed", "ls nothing: False"), ("command 2: verified", "ls: True")]),
    (_record(_step("sleep 99", ended="timeout", status=None)), [("command 1: failed", "sleep 99: False")]),
    (_record(_step("sleep 99", ended="interrupted", status=None), ended="interrupted"), []),
    (_record(_step("rm x", ended="refused", verdict="refuse", status=None, decision=None), ended="blocked"), []),
    (_record(_step("x", decision="abort", ended="rejected", status=None), ended="aborted"), []),
    (_record(_step("ls"), outcome=("failure", "check")), [("command 1: failed its check", "ls: False")]),
    (_record(_step("ls"), _step("pwd"), outcome=("failure", "user")), []),  # nobody knows which
    (_record(_step("ls", decision=None), _step("ls", decision=None), ended="loop"),
     [("command 2: repeated", "ls: False")]),
    (_record(_step("echo hi", by="user")), []),
    (_record(), []),
])
def test_every_word_about_a_command_is_a_label(record: records.TaskRecord, told: list[tuple[str, str]]) -> None:
    assert _told(record) == told


def test_prompts_are_what_the_model_saw() -> None:
    record = _record(_step("ls", output="a.txt\n"), _rejected("rm a.txt", reason="keep it", plan="remove"),
                     _step("wc -l a.txt", status=1, output="\x1b[1mno\x1b[0m\n"), outcome=("failure", "nobody"))
    rows = [row for _, row in labels.preferences(record)]
    seen = [{"role": "bash", "text": "ls"}, {"role": "output", "text": "a.txt", "tainted": True}]
    note = {"role": "system", "text": "files: a.txt", "tainted": True}
    assert rows[0]["prompt"] == [note, {"role": "user", "text": "count the files"}, {"role": "plan", "text": "remove"},
                                 *seen]
    assert rows[0]["completion"] == [{"role": "bash", "text": "rm a.txt"}]  # no pair: the request was another one
    assert rows[1]["prompt"] == [note, {"role": "user", "text": "count the files, keep it"},
                                 {"role": "plan", "text": "count"}, *seen]


def test_the_log_becomes_a_file_that_preference_tuning_reads(home: Path, tmp_path: Path,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "labels.jsonl"
    words = ["align", "collect", "--from-episodes", "--out", str(out)]
    assert main(words) == 3 and "the task log is empty" in capsys.readouterr().err
    for step in (_step("ls -A", decision="edit", edited_from="ls"), _step("ls"), _step("ls x", status=2),
                 _step(f"curl -H 'Authorization: token {SECRET}' x")):
        records.write(_record(step))
    (records.log_folder() / "20260101-000000-aaaaaa.json").write_text("{")
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "4 tasks: 1 bad answers, 4 good answers, 1 left out: a secret in the command, 1 pairs" in said
    assert "1 unreadable records" in said
    assert SECRET not in out.read_text() and "[redacted" not in out.read_text()
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(row["source"]["model"] == "f00d" and row["source"]["episode"] for row in rows)
    targets = [turn for row in rows for name in ("chosen", "rejected", "completion") for turn in row.get(name, ())]
    assert {turn["role"] for turn in targets} == {"bash", "plan"} and not any("tainted" in turn for turn in targets)
    before = out.read_bytes()
    assert main(words) == 0 and out.read_bytes() == before and "in the file already" in capsys.readouterr().out


def test_conversations_and_own_commands_say_nothing(home: Path) -> None:
    assert not list(labels.preferences(records.chat_record([], lambda text: text)))
    own = _record(_step("ls"))
    own.kind = "user"
    assert not list(labels.preferences(own))
