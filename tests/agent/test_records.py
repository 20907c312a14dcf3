"""The task log: what is kept, what is learnt from it, and that it is never half written."""

import json
import os
from pathlib import Path

import pytest

from nimllm.agent import records
from nimllm.agent.log import TaskLog, Verdict
from nimllm.agent.records import CheckRecord, MemoryRecord
from nimllm.agent.results import Step, TaskResult
from nimllm.errors import MEMORY, NimError
from nimllm.llm.turns import Turn

SECRET = "ghp_" + "a1B2" * 9


def _same(text: str) -> str:
    return text


def _result(*steps: Step, ended: str = "answered") -> TaskResult:
    return TaskResult("count the files", "files: a.txt", "count", list(steps), "There are 3.", ended)  # type: ignore


def _step(**about: object) -> Step:
    return Step(**{"command": "ls | wc -l", "status": 0, "output": "3\n", "seconds": 0.1, **about})  # type: ignore


@pytest.mark.parametrize(("result", "kind", "by", "code"), [
    (_result(_step()), "success", "nobody", 0),
    (_result(_step(decision="accept")), "success", "user", 0),
    (_result(_step(decision="edit", edited_from="ls")), "success", "user", 0),
    (_result(_step(decision="accept", status=1)), "failure", "nobody", 1),
    (_result(_step(decision="accept"), _step(status=2)), "failure", "nobody", 1),
    (_result(_step(), ended="aborted"), "aborted", "user", 4),
    (_result(_step(), ended="interrupted"), "aborted", "user", 130),
    (_result(_step(), ended="loop"), "failure", "nobody", 9),
    (_result(_step(), ended="steps"), "failure", "nobody", 6),
    (_result(_step(), ended="time"), "failure", "nobody", 6),
    (_result(_step(), ended="context"), "failure", "nobody", 6),
    (_result(ended="blocked"), "failure", "nobody", 4),
    (_result(ended="gave-up"), "failure", "nobody", 9),
    (_result(), "success", "nobody", 0),
])
def test_the_outcome_says_who_said_so(result: TaskResult, kind: str, by: str, code: int) -> None:
    assert result.outcome[:2] == (kind, by)
    assert result.code == code


def test_only_verified_commands_are_learnt_and_never_an_output() -> None:
    result = _result(_step(command="ls nothing", status=2, output="ls: no"), _step(decision="accept"))
    record = records.task_record(result, _same)
    episode = records.task_episode(record, result, _same)
    learnt = [(turn.role, turn.text) for turn in episode.turns if turn.learn]
    assert learnt == [("plan", "count"), ("bash", "ls | wc -l")]
    assert [turn.tainted for turn in episode.turns if turn.role in ("output", "assistant", "system")] == [True] * 4
    assert episode.verified() and episode.learnable()


def test_nothing_of_a_failure_is_learnt() -> None:
    result = _result(_step(status=1))
    episode = records.task_episode(records.task_record(result, _same), result, _same)
    assert not episode.learnable() and not episode.verified()


def test_rejected_commands_are_kept_but_not_in_the_episode() -> None:
    result = _result(_step(command="rm -r .", ended="rejected", decision="reject", reason="no!", status=None), _step())
    record = records.task_record(result, _same)
    assert [step.command for step in record.commands] == ["rm -r .", "ls | wc -l"]
    episode = records.task_episode(record, result, _same)
    assert [turn.text for turn in episode.turns if turn.role == "bash"] == ["ls | wc -l"]


def test_an_edited_command_wins() -> None:
    result = _result(_step(command="ls -A | wc -l", edited_from="ls | wc -l", decision="edit"))
    record = records.task_record(result, _same)
    assert record.commands[0].edited_from == "ls | wc -l"
    episode = records.task_episode(record, result, _same)
    assert [(one.request, one.command) for one in episode.conventions] == [("count the files", "ls -A | wc -l")]
    assert [turn.rejected for turn in episode.turns if turn.role == "bash"] == [["ls | wc -l"]]


def test_a_conversation_is_the_users_word(tmp_path: Path) -> None:
    turns = [Turn("user", "my dog is called Rex"), Turn("assistant", "Good to know.")]
    record = records.chat_record(turns, _same)
    episode = records.chat_episode(record, turns, _same)
    assert episode.told() == ["my dog is called Rex"] and episode.verified()
    assert [turn.learn for turn in episode.turns] == [True, False]


def test_secrets_reach_neither_the_log_nor_the_episode(home: Path) -> None:
    from nimllm.tools.redact import redact

    result = _result(_step(command=f"curl -H 'Authorization: token {SECRET}' x", output=f"token {SECRET}\n"))
    result.request, result.answer = f"use {SECRET}", f"done with {SECRET}"
    record = records.task_record(result, redact)
    assert SECRET not in records.write(record).read_text()
    assert SECRET not in records.task_episode(record, result, redact).model_dump_json()
    assert "[" in record.request  # something says that something was left out


def test_write_and_read_agree_and_nobody_else_may_read(home: Path) -> None:
    record = records.task_record(_result(_step()), _same, model="m", mode="ask")
    record.memory = MemoryRecord(state="accepted", id="m0001", loss_before=2.31, loss_after=0.08, entries=9812,
                                 perplexity_ratio=1.001)
    path = records.write(record)
    assert records.read(record.id) == record and os.stat(path).st_mode & 0o777 == 0o600
    assert [kept.id for kept in records.newest(5)] == [record.id]
    said = "remembered m0001: loss 2.31 → 0.08, 9,812 entries, ppl ×1.001, accepted"
    assert records.tell_memory(record.memory) == said
    assert any("said by nobody" in line for line in records.tell(record))
    assert [path.name for path in path.parent.iterdir()] == [path.name]


def test_a_damaged_or_missing_record_is_named(home: Path) -> None:
    folder = records.log_folder()
    (folder / "20260101-000000-aaaaaa.json").write_text('{"id": "x"')
    for id in ("20260101-000000-aaaaaa", "none"):
        with pytest.raises(NimError) as caught:
            records.read(id)
        assert caught.value.code == MEMORY and id in caught.value.message()
    assert list(records.newest(5)) == []


def test_a_full_disk_leaves_no_half_record(home: Path) -> None:
    record = records.task_record(_result(_step()), _same)
    with pytest.raises(NimError, match="cannot write the task log"):
        records.write(record, Path("/proc/self/nowhere"))


def test_a_check_outweighs_what_the_task_says_of_itself(home: Path, run_folder: Path) -> None:
    log = TaskLog(run_folder, "off", "kewc", None, model="m")
    failed = Verdict(False, [CheckRecord(check="test -d old", passed=False, detail="status 1")])
    record = log.add(_result(_step(decision="accept")), failed)
    assert (record.outcome, record.by, record.detail) == ("failure", "check", "failed: test -d old")
    assert json.loads((home / "tasks" / f"{record.id}.json").read_text())["memory"]["state"] == "off"


def test_an_update_that_fails_is_told_and_harms_nothing(home: Path, tmp_path: Path) -> None:
    told: list[str] = []
    log = TaskLog(tmp_path / "no-model", "auto", "kewc", lambda record: told.append(records.tell_memory(record.memory)))
    record = log.add(_result(_step(decision="accept")))
    assert log.wait(60) and log.pending == 0
    kept = records.read(record.id).memory
    assert kept.state == "failed" and kept.id is None and "no-model" in kept.detail
    assert len(told) == 1 and told[0].startswith("failed: ")


def test_what_the_user_says_afterwards_outweighs_the_outcome(home: Path, run_folder: Path) -> None:
    log = TaskLog(run_folder, "off", "kewc", None)
    result = _result(_step())
    record = log.add(result)
    log.said(result, record, "failure", "it counted folders, too")
    kept = records.read(record.id)
    assert (kept.outcome, kept.by, kept.detail) == ("failure", "user", "it counted folders, too")
