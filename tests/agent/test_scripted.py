"""A run of scripted tasks: order, several at a time, repetitions, choices, reports."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from xml.etree import ElementTree

import pytest

from nimllm.agent import junit
from nimllm.agent.records import CheckRecord
from nimllm.agent.results import Step, TaskResult
from nimllm.agent.trial import TaskReport

Call = Callable[..., CompletedProcess[str]]
TASKS = """
- {id: slow, script: sleep 0.6; echo a >a, solution: echo a >a, checks: [{run: test -s a}]}
- {id: model, request: make the folder old, solution: mkdir old, checks: [{run: test -d old}]}
- {id: wrong, script: 'true', solution: echo b >b, checks: [{run: test -s b}]}
- {id: setup, script: 'true', solution: 'true', setup: exit 4, checks: [{run: 'true'}]}
- {id: quick, request: list the files, files: {x.txt: x}, solution: ls, checks: [{output: x.txt}]}
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.yaml"
    path.write_text(TASKS)
    return path


def test_several_at_a_time_give_the_same_report_in_the_same_order(agent: Call, tasks: Path, tmp_path: Path) -> None:
    found = []
    for jobs in ("1", "4"):
        report, xml = tmp_path / f"{jobs}.json", tmp_path / f"{jobs}.xml"
        done = agent("--tasks", str(tasks), "--mode", "auto", "--jobs", jobs, "--report", str(report), "--junit",
                     str(xml), "--record", str(tmp_path / jobs), "--json")
        data = json.loads(report.read_text())
        assert done.returncode == 1 == data["totals"]["exit_code"], done.stderr
        found.append([(row["id"], row["exit_code"], [step["command"] for step in row["commands"]], row["answer"],
                       row["checks"]) for row in data["tasks"]])
        assert [case.get("name") for case in ElementTree.parse(xml).iter("testcase")] == [row[0] for row in found[-1]]
        assert {path.stem for path in (tmp_path / jobs).iterdir()} == {row[0] for row in found[-1]}
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert found[0] == found[1] and [row[0] for row in found[0]] == ["slow", "model", "wrong", "setup", "quick"]


def test_choosing_repeating_and_ending_early(agent: Call, tasks: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    done = agent("--tasks", str(tasks), "--mode", "auto", "--only", "[mq]*", "--repeat", "2", "--report", str(report),
                 "--record", str(tmp_path / "rec"))
    rows = json.loads(report.read_text())["tasks"]
    assert [(row["id"], row["repeat"]) for row in rows] == [("model", 1), ("quick", 1), ("model", 2), ("quick", 2)]
    assert done.returncode == 0 and "4 of 4 passed" in done.stderr
    assert {path.name for path in (tmp_path / "rec").iterdir()} == {"model.jsonl", "quick.jsonl", "model.2.jsonl",
                                                                   "quick.2.jsonl"}
    done = agent("--tasks", str(tasks), "--mode", "auto", "--fail-fast", "--report", str(report), "--junit",
                 str(tmp_path / "r.xml"), "-q")
    data = json.loads(report.read_text())
    assert [row["id"] for row in data["tasks"]] == ["slow", "model", "wrong"] and data["left"] == ["setup", "quick"]
    assert data["totals"]["skipped"] == 2 and done.returncode == 1 and done.stderr == "" == done.stdout
    suite = ElementTree.parse(tmp_path / "r.xml").find("testsuite")
    assert suite is not None
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "1", "0", "2"]


def test_solutions_validate_the_tasks(agent: Call, tasks: Path, tmp_path: Path) -> None:
    done = agent("--tasks", str(tasks), "--solution", "--model", str(tmp_path))  # no model is needed
    assert "4 of 5 passed" in done.stderr and "FAIL  setup" in done.stderr and done.returncode == 1
    tasks.write_text("- {id: a, request: b, checks: [{run: 'true'}]}\n")
    done = agent("--tasks", str(tasks), "--solution")
    assert done.returncode == 2 and "the task a has no solution" in done.stderr


def test_the_example_of_the_document_is_right(agent: Call, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "agent.md").read_text()
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "tasks.yaml"
    path.write_text(example)
    assert agent("--tasks", str(path), "--only", "make-folders", "--solution").returncode == 0
    assert agent("--tasks", str(path), "--only", "no-model", "--mode", "auto").returncode == 0


def test_the_network_of_a_task(agent: Call, tmp_path: Path) -> None:
    path = tmp_path / "tasks.yaml"
    path.write_text("- {id: a, network: true, script: 'true', checks: [{run: 'true'}]}\n")
    done = agent("--tasks", str(path), "--mode", "auto")
    assert done.returncode == 2 and "the task a wants the network" in done.stderr
    path.write_text("".join(
        f"- {{id: {name}, network: {value}, script: 'wc -l < /proc/net/dev', checks: [{{output: '{lines}'}}]}}\n"
        for name, value, lines in (("closed", "false", "^3$"), ("open", "true", "^[0-9]+$"))))
    done = agent("--tasks", str(path), "--mode", "auto", "--network", "on")
    assert done.returncode == 0, done.stderr


def test_env_and_memory_of_a_task(agent: Call, home: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(
        "- {id: a, env: {WHO: you there}, script: 'echo hello $WHO', checks: [{output: hello you there}, "
        "{run: '[ -z \"$WHO\" ]'}]}\n")
    assert agent("--tasks", str(tmp_path / "tasks.yaml"), "--mode", "auto").returncode == 0
    [record] = [json.loads(path.read_text()) for path in (home / "tasks").glob("*.json")]
    assert record["commands"][0]["by"] == "user" and record["memory"]["state"] == "off"


def test_a_dry_run_lists_and_runs_nothing(agent: Call, home: Path, tasks: Path) -> None:
    done = agent("--tasks", str(tasks), "--dry-run")
    assert done.returncode == 0 and "make the folder old" in done.stdout and "check: test -s b" in done.stdout
    assert not home.exists()


def test_secrets_are_in_no_report(agent: Call, home: Path, tmp_path: Path) -> None:
    secret = "ghp_" + "abcdefghij0123456789" * 2
    (tmp_path / "tasks.yaml").write_text(
        f"- {{id: a, script: 'echo {secret}', checks: [{{run: 'echo {secret}; false'}}]}}\n")
    done = agent("--tasks", str(tmp_path / "tasks.yaml"), "--mode", "auto", "--json", "--report",
                 str(tmp_path / "r.json"), "--junit", str(tmp_path / "r.xml"), "--record", str(tmp_path / "rec"))
    written = [path for folder in (tmp_path / "rec", home) for path in folder.rglob("*") if path.is_file()]
    texts = [done.stdout, *(path.read_text() for path in (tmp_path / "r.json", tmp_path / "r.xml", *written))]
    assert done.returncode == 1 and len(written) >= 2
    assert not [text for text in texts if secret in text] and "[redacted" in texts[0]


# ---- JUnit ----------------------------------------------------------------------------------------------------------

ORDER = ["properties", "testcase", "system-out", "system-err"]


def valid(document: bytes) -> ElementTree.Element:
    """What Ant's schema and Jenkins' junit-10 both ask for; both were run on such documents by hand."""
    top = ElementTree.fromstring(document)
    assert (top.tag, top.attrib, [child.tag for child in top]) == ("testsuites", {}, ["testsuite"])
    suite = top[0]
    assert set(suite.attrib) == {"name", "package", "id", "hostname", "timestamp", "time", "tests", "failures",
                                 "errors", "skipped"}
    tags = [child.tag for child in suite]
    assert tags == sorted(tags, key=ORDER.index) and set(tags) >= {"properties", "system-out", "system-err"}
    for case in suite.iter("testcase"):
        assert set(case.attrib) == {"name", "classname", "time"} and len(case) <= 1
        assert case.get("name", "").split() == case.get("name", "").strip().split(" ")  # a token
        for told in case:
            assert told.tag in ("failure", "error", "skipped")
            assert told.tag == "skipped" or set(told.attrib) == {"message", "type"}
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped"), ("testcase", "tests")):
        assert len(list(suite.iter(tag))) == int(suite.get(name, "-1"))
    return suite


def test_junit_tells_failures_from_errors_and_survives_any_text() -> None:
    hostile = "".join(map(chr, range(256))) + "\ud800\ufffe\uffff\U0001f600]]><&\"'"
    result = TaskResult(hostile, "", steps=[Step(hostile, status=1)], answer=hostile)
    reports = [
        TaskReport("good", True, 0, [CheckRecord(check="x", passed=True)], result, 1.0),
        TaskReport("failed", False, 1, [CheckRecord(check=hostile, passed=False, detail=hostile)], result, 1234.5),
        TaskReport("broken", False, 3, [], None, 0.0, error=hostile),
        TaskReport("blocked", False, 4, [], result, 0.0, repeat=2),
    ]
    suite = valid(junit.document(reports, ["left"], 1.5, 0.0, {"model": hostile, "mode": "auto", "base": ""}))
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "1", "2", "1"]
    failure = suite.find("testcase/failure")
    assert failure is not None and failure.get("type") == "exit-code-1" and "check failed" in (failure.text or "")
    assert suite.get("timestamp") == "1970-01-01T00:00:00"
    assert [case.get("name") for case in suite.iter("testcase")] == ["good", "failed", "broken", "blocked (2)", "left"]


def test_junit_of_nothing() -> None:
    assert valid(junit.document([], [], 0.0, 0.0, {})).get("tests") == "0"
