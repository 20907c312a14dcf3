"""Scripted tasks: what a file may hold, and what becomes of each task."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from nimllm.agent import tasks, vocabulary
from nimllm.errors import USAGE, NimError

Call = Callable[..., CompletedProcess[str]]
GOOD = """
- id: list
  request: list the files
  files: {a.txt: "one\\n", sub/b.txt: "two\\n"}
  checks:
    - output: a\\.txt
- id: make-folder
  request: make the folder old
  setup: echo ready > state
  checks:
    - run: test -d old
    - {run: cat state, expect_output: ^ready$}
  timeout: 30
"""


def _file(folder: Path, text: str, name: str = "tasks.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


# ---- reading --------------------------------------------------------------------------------------------------------


def test_yaml_jsonl_and_a_mapping_give_the_same_tasks(tmp_path: Path) -> None:
    listed = tasks.read_tasks(_file(tmp_path, GOOD))
    assert [task.id for task in listed] == ["list", "make-folder"] and listed[1].timeout == 30
    nested = "tasks:" + GOOD.replace("\n", "\n  ")
    assert tasks.read_tasks(_file(tmp_path, nested)) == listed
    rows = "\n".join(task.model_dump_json() for task in listed)
    assert tasks.read_tasks(_file(tmp_path, rows, "tasks.jsonl")) == listed


ONE = "- id: a\n  request: list the files\n  checks: [{output: x}]\n"


@pytest.mark.parametrize(("text", "said"), [
    ("- id: a\n  request: x\n  cheks: []\n", ["'a'", "cheks is not a known key", "checks is missing"]),
    ("- id: a\n  checks: [{run: 'true'}]\n", ["'a'", "either a request or a script"]),
    (ONE + "  script: ls\n", ["either a request or a script"]),
    (ONE.replace("output: x", "file: x"), ["file and sha256 go together"]),
    (ONE.replace("output: x", "output: x, writes: true"), ["go with run"]),
    (ONE + "  env: {a b: c}\n", ["env", "cannot be a variable"]),
    ("- request: x\n  checks: [{run: 'true'}]\n", ["entry 1", "id is missing"]),
    (ONE + ONE, ["entry 2", "already used by entry 1"]),
    (ONE.replace("output: x", "output: '['"), ["'a'", "checks.0.output", "not a regular expression"]),
    (ONE.replace("output: x", "run: ls, output: x"), ["checks.0", "either run or output"]),
    (ONE.replace("output: x", "outptu: x"), ["checks.0.outptu is not a known key"]),
    (ONE.replace("[{output: x}]", "[]"), ["checks"]),
    (ONE + "  files: {../x: y}\n", ["files", "not a path inside"]),
    (ONE + "  files: {/etc/x: y}\n", ["files", "not a path inside"]),
    (ONE + "  timeout: -1\n", ["timeout"]),
    (ONE + "  request: twice\n", ["'request' stands twice"]),
    ("- id: [a\n", ["not valid YAML", "line 2"]),
    ("hello", ["not a list of tasks", "str"]),
    ("", ["holds no task"]),
    ("[]", ["holds no task"]),
    ("- just text\n", ["entry 1"]),
    ("!!python/object/apply:os.system ['true']", ["not valid YAML"]),
])
def test_a_bad_file_is_refused_naming_file_task_and_field(tmp_path: Path, text: str, said: list[str]) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(NimError) as caught:
        tasks.read_tasks(path)
    assert caught.value.code == USAGE
    for part in (str(path), *said):
        assert part in caught.value.message()


def test_files_that_are_no_text(tmp_path: Path) -> None:
    for name, raw, said in (("a.yaml", b"- id: \xff\n", "not UTF-8"), ("b.jsonl", b'{"id": 1\n', "line 1 is not JSON")):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(NimError, match=said):
            tasks.read_tasks(tmp_path / name)
    with pytest.raises(NimError, match="cannot read the tasks file"):
        tasks.read_tasks(tmp_path / "missing.yaml")


# ---- running --------------------------------------------------------------------------------------------------------


def test_a_run_passes_reports_and_leaves_records(agent: Call, home: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    done = agent("--tasks", str(_file(tmp_path, GOOD)), "--mode", "auto", "--report",
                  str(report))
    assert done.returncode == 0, done.stderr
    assert "2 of 2 passed" in done.stderr and done.stdout == ""
    data = json.loads(report.read_text())
    assert data["totals"]["passed"] == 2 and data["totals"]["exit_code"] == 0
    first = data["tasks"][0]
    assert first["pass"] and first["commands"][0]["command"] == "ls" and first["commands"][0]["status"] == 0
    records = sorted((home / "tasks").glob("*.json"))
    assert {path.stem for path in records} == {row["record"] for row in data["tasks"]}
    kept = json.loads(records[0].read_text())
    assert (kept["outcome"], kept["by"], kept["name"]) == ("success", "check", "list")
    assert os.stat(records[0]).st_mode & 0o777 == 0o600
    assert not list(Path("/tmp").glob("nimllm-make-folder-*"))


def test_failures_are_told_apart_and_do_not_end_the_run(agent: Call, tmp_path: Path) -> None:
    text = """
- {id: wrong, request: list the files, checks: [{run: test -e never}]}
- {id: bad-setup, request: list the files, setup: exit 4, checks: [{run: 'true'}]}
- {id: unusable, request: break it, checks: [{run: 'true'}, {run: 'false'}]}
- {id: slow, request: wait a long time, timeout: 2, checks: [{run: test -e never}]}
- {id: good, request: make the folder old, checks: [{run: test -d old}]}
"""
    report = tmp_path / "r.json"
    done = agent("--tasks", str(_file(tmp_path, text)), "--mode", "auto", "--report",
                  str(report))
    assert done.returncode == 9  # the worst of them, by errors.WORST
    rows = {row["id"]: row for row in json.loads(report.read_text())["tasks"]}
    assert {name: row["exit_code"] for name, row in rows.items()} == {
        "wrong": 1, "bad-setup": 1, "unusable": 9, "slow": 1, "good": 0}
    assert rows["wrong"]["checks"][0] == {"check": "test -e never", "passed": False, "detail": "status 1"}
    assert "status 4" in rows["bad-setup"]["error"] and rows["bad-setup"]["commands"] == []
    assert rows["slow"]["commands"][0]["ended"] == "timeout" and rows["slow"]["seconds"] < 20
    assert "FAIL  wrong" in done.stderr and "pass  good" in done.stderr


def test_checks_run_in_a_shell_of_their_own_inside_the_sandbox(agent: Call, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    text = f"""
- id: a
  request: list the files
  setup: cd /tmp; X=1; export X
  checks:
    - {{run: '[ -z "$X" ] && [ "$PWD" != /tmp ]'}}
    - {{run: 'echo x > {outside}', expect_status: 1}}
"""
    done = agent("--tasks", str(_file(tmp_path, text)), "--mode", "auto")
    assert done.returncode == 0, done.stderr
    assert not outside.exists()


def test_json_events_name_every_check(agent: Call, tmp_path: Path) -> None:
    done = agent("--tasks", str(_file(tmp_path, GOOD)), "--mode", "auto", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    types = [event["type"] for event in events]
    assert types[0] == "session.started" and types[-1] == "session.ended"
    assert types.count("task.completed") == 2 and types.count("check.completed") == 3
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


def test_nothing_runs_when_the_report_cannot_be_written(agent: Call, tmp_path: Path, home: Path) -> None:
    done = agent("--tasks", str(_file(tmp_path, GOOD)), "--report", str(tmp_path / "no" / "r.json"))
    assert done.returncode == 2 and "cannot write the report" in done.stderr
    assert not (home / "tasks").exists()


@pytest.mark.slow
def test_verified_tasks_are_remembered_one_after_the_other(nimllm: Call, run_folder: Path, tmp_path: Path, home: Path
                                                           ) -> None:
    """Two tasks at a time, one update at a time; and every event about the memory is one of the vocabulary."""
    report = tmp_path / "r.json"
    done = nimllm("--agent", "--model", str(run_folder), "--tasks", str(_file(tmp_path, GOOD)), "--mode", "auto",
                  "--report", str(report), "--jobs", "2", "--json", timeout=300)
    assert done.returncode == 0, done.stderr
    for row in json.loads(report.read_text())["tasks"]:
        kept = json.loads((home / "tasks" / f"{row['record']}.json").read_text())["memory"]
        assert kept["state"] in ("accepted", "pending", "rejected") and kept["loss_after"] is not None
    events = [vocabulary.read(line) for line in done.stdout.splitlines()]
    told = [event for event in events if event.type.startswith("memory.")]
    assert {event.task for event in told} == {"list", "make-folder"} and len({event.id for event in told}) == 2
    assert all(event.norm > 0 and event.entries > 0 for event in told)


@pytest.mark.slow
def test_an_update_that_breaks_is_exit_code_7(nimllm: Call, run_folder: Path, home: Path, tmp_path: Path) -> None:
    """The task succeeds, and its memory cannot be written: its folder is a file."""
    from nimllm.alignment.memory.store import MemoryStore

    folder = MemoryStore(run_folder, writable=False).folder
    (folder / "deltas").rmdir()
    (folder / "deltas").write_text("in the way")
    done = nimllm("--agent", "--model", str(run_folder), "--tasks", str(_file(tmp_path, GOOD)), "--mode", "auto",
                  "--only", "make-folder", "--json", timeout=300)
    events = [vocabulary.read(line) for line in done.stdout.splitlines()]
    assert done.returncode == 7 == events[-1].exit_code, done.stderr
    assert [event.type for event in events if event.type.startswith("memory.")] == ["memory.failed"]
    assert events[-1].passed == 1
