"""Events: every line of real runs is one of the vocabulary, and the documents say the same as the models."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from nimllm.agent import vocabulary
from nimllm.agent.events import Events

Call = Callable[..., CompletedProcess[str]]
DOCS = Path(__file__).resolve().parents[2] / "docs"


def read(text: str) -> list[Any]:
    """The events, each held against its model, the numbers without a gap."""
    events = [vocabulary.read(line) for line in text.splitlines()]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len({event.session for event in events}) == 1
    assert events[-1].type == "session.ended" and [event.type for event in events].count("session.ended") == 1
    return events


@pytest.mark.parametrize(("words", "types"), [
    (["-p", "show a.txt, then count its lines"],
     "session.started task.started plan step.started step.output step.completed step.started step.output "
     "step.completed answer task.completed session.ended"),
    (["-p", "make the folder old", "--mode", "ask"],
     "session.started task.started plan approval.requested approval.decided step.completed task.failed session.ended"),
    (["-p", "make the folder old", "--mode", "auto", "--dry-run"],
     "session.started task.started plan step.proposed session.ended"),
    (["-p", ""], "session.started task.started task.failed session.ended"),
    (["-p", "list the files", "--cd", "/nowhere"], "session.ended"),
    (["-p", "leave the shell", "--mode", "full"],
     "session.started task.started plan step.started step.completed shell.restarted warning answer task.failed "
     "session.ended"),
])
def test_one_task(agent: Call, words: list[str], types: str) -> None:
    done = agent("--json", *words)
    events = read(done.stdout)
    assert [event.type for event in events] == types.split(), done.stderr
    assert events[-1].exit_code == done.returncode


TASKS = """
- id: script
  script:
    - echo one
    - echo x > /etc/nimllm-test
    - bash -c 'kill -9 $$'
    - seq 1 200000
    - exit 3
    - echo ghp_abcdefghijklmnopqrstuvwxyz0123456789
  checks: [{run: 'true'}, {run: 'false'}]
- id: model
  request: list the files
  files: {a.txt: x}
  checks: [{output: a.txt}]
- {id: setup, request: list the files, setup: exit 4, checks: [{run: 'true'}]}
"""


def test_scripted_tasks_and_their_records(agent: Call, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(TASKS)
    done = agent("--json", "--tasks", str(tmp_path / "tasks.yaml"), "--mode", "full", "--record", str(tmp_path / "rec"))
    events = read(done.stdout)
    steps = {event.command: event for event in events if event.type == "step.completed" and event.task == "script"}
    assert [step.exit for step in steps.values()] == [0, 1, 137, 0, 3, 0]
    assert [step.sandbox_denied for step in steps.values()] == [False, True, False, False, False, False]
    assert steps["bash -c 'kill -9 $$'"].signal == "SIGKILL" and steps["echo one"].signal is None
    assert steps["seq 1 200000"].truncated and steps["seq 1 200000"].bytes == 1288895
    assert steps["exit 3"].ended == "died" and all(step.by == "user" for step in steps.values())
    ends = {event.task: event for event in events if event.type in ("task.completed", "task.failed")}
    assert {name: event.type for name, event in ends.items()} == {
        "script": "task.failed", "model": "task.completed", "setup": "task.failed"}
    assert ends["setup"].ended == "error" and "status 4" in ends["setup"].reason
    assert "ghp_abc" not in done.stdout and "[redacted" in done.stdout
    last = events[-1]
    assert (last.tasks, last.passed, last.failed, last.skipped, last.exit_code) == (3, 1, 2, 0, 1)
    assert done.returncode == 1
    for name in ("script", "model", "setup"):
        path = tmp_path / "rec" / f"{name}.jsonl"
        kept = read(path.read_text())
        assert {event.task for event in kept if hasattr(event, "task")} == {name}
        assert os.stat(path).st_mode & 0o777 == 0o600 and "ghp_abc" not in path.read_text()


def test_the_schema_on_file_is_that_of_the_models() -> None:
    """To write it anew: python -c "from nimllm.agent import vocabulary; print(end=vocabulary.schema_text())"."""
    text = (DOCS / "events.schema.json").read_text()
    assert text == vocabulary.schema_text() and json.loads(text) == vocabulary.schema()


def test_the_document_names_every_type_and_field() -> None:
    text = (DOCS / "events.md").read_text()
    rows = {name: line for line in text.splitlines() if line.startswith("|")
            for name in re.findall(r"`([a-z]+\.[a-z]+|plan|answer|warning)`", line.split("|")[1])}
    common = {"v", "ts", "session", "seq", "type", "task", "step"}
    kinds = {model.model_fields["type"].annotation.__args__[0]: model for model in vocabulary.TYPES}  # type: ignore
    assert set(rows) == set(kinds)
    for name, model in kinds.items():
        missing = {field for field in model.model_fields if field not in common and f"`{field}`" not in rows[name]}
        assert not missing, (name, missing)


PLAN = {"v": 1, "ts": 1.0, "session": "a", "seq": 1, "type": "plan", "task": "1", "text": ""}


@pytest.mark.parametrize("line", ["nonsense", "{}", *(json.dumps({**PLAN, **wrong}) for wrong in (
    {"v": 2}, {"seq": 0}, {"more": 1}, {"type": "new"}, {"text": None}, {"session": ""}))])
def test_what_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        vocabulary.read(line)
    vocabulary.read(json.dumps(PLAN))


def test_a_full_disk_ends_a_record_and_not_the_task() -> None:
    with open("/dev/full", "w") as full:
        events = Events(full, str)
        events.owned = True
        for _ in range(3):
            events.emit("plan", task="1", text="x" * 10000)
        assert not events.gone
        events.stream = None


def test_a_record_that_cannot_be_made(agent: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "tasks.yaml").write_text(TASKS)
    done = agent("--tasks", str(tmp_path / "tasks.yaml"), "--record", str(tmp_path / "file"))
    assert done.returncode == 2 and "cannot write in" in done.stderr
