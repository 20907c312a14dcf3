"""The command line of the agent: what goes where."""

import json
import os
import re
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pexpect
import pytest

from nimllm.agent import command
from nimllm.errors import NimError

Call = Callable[..., CompletedProcess[str]]
ROOT = Path(__file__).resolve().parents[2]


def test_one_task_prints_output_and_answer_on_stdout_and_the_rest_on_stderr(agent: Call) -> None:
    done = agent("-p", "list the files")
    assert done.returncode == 0
    assert done.stdout == "a.txt\nnotes.txt\nThese are the files.\n"
    assert "plan  list the files" in done.stderr and "$ ls" in done.stderr


def test_the_request_comes_from_standard_input_only_when_asked_for(agent: Call) -> None:
    assert agent("-p", "-", stdin="list the files\n").stdout.startswith("a.txt")
    done = agent("-p", "list the files", stdin="x" * 100)
    assert done.returncode == 0 and done.stdout.startswith("a.txt")


def test_torch_stays_out(run_folder: Path, home: Path, workspace: Path) -> None:
    code = ("import sys; from nimllm.cli import main\n"
            f"code = main(['agent', '--model', {str(run_folder)!r}, '--memory', 'auto', '-p', 'look for nothing'])\n"
            "assert code == 1, code\n"
            "assert 'torch' not in sys.modules, 'torch was imported'\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("words", "said"), [
    (["-p", "list the files", "--tasks", "x.yaml"], "cannot be used together"),
    (["-p", "list the files", "-y", "--mode", "ask"], "--mode ask was given too"),
    (["-p", "list the files", "--cd", "/nowhere"], "not a folder"),
    (["-p", "list the files", "--max-steps", "0"], "positive"),
    (["-p", "list the files", "--max-output", "0"], "positive"),
    (["-p", "list the files", "-q", "-v"], "cannot be used together"),
    (["-p", "list the files", "--output-last", "/nowhere/x"], "cannot write"),
    (["--tasks", "missing.yaml"], "missing.yaml"),
    (["--tasks", "x.yaml", "--cd", "/tmp"], "fresh folder"),
    (["--tasks", "x.yaml", "--jobs", "0"], "--jobs must be"),
    (["--tasks", "x.yaml", "--output-last", "x"], "goes with -p"),
    (["--report", "r.json"], "goes with --tasks"),
    (["--junit", "r.xml"], "goes with --tasks"),
    (["--jobs", "2"], "goes with --tasks"),
    (["--solution"], "goes with --tasks"),
    (["--json"], "--json needs"),
    (["--dry-run"], "--dry-run needs"),
    ([], "terminal"),
    (["--plan-only"], "needs a request"),
    (["--requests", "x.jsonl"], "goes with --plan-only"),
])
def test_flags_that_do_not_go_together(arguments: Callable[..., Namespace], capfd: pytest.CaptureFixture[str],
                                       monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115
    with pytest.raises(NimError, match=re.escape(said)) as caught:
        command.main(arguments(*words))
    assert caught.value.code == 2


def test_a_request_of_100_kb(agent: Call) -> None:
    done = agent("-p", "-", stdin="list the files " * 7000)
    assert done.returncode == 2 and "too long" in done.stderr and len(done.stderr) < 1000


def test_a_state_folder_that_cannot_be_made(agent: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = agent("-p", "list the files", XDG_STATE_HOME=str(tmp_path / "file"))
    assert done.returncode == 3 and "XDG_STATE_HOME" in done.stderr and done.stdout == ""


def test_json_is_events_and_nothing_else(agent: Call) -> None:
    done = agent("-p", "show a.txt, then count its lines", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    types = [event["type"] for event in events]
    assert types[:3] == ["session.started", "task.started", "plan"]
    assert types.count("step.started") == types.count("step.completed") == 2
    assert types[-3:] == ["answer", "task.completed", "session.ended"]
    assert all(event["v"] == 1 and event["session"] == events[0]["session"] for event in events)
    assert "".join(event["text"] for event in events if event["type"] == "step.output") == "one\ntwo\nthree\n3\n"
    steps = [event for event in events if event["type"] == "step.completed"]
    assert [(step["command"], step["exit"]) for step in steps] == [("cat a.txt", 0), ("wc -l < a.txt", 0)]
    assert "$ cat a.txt" in done.stderr


def test_a_reader_that_leaves_ends_it_cleanly(run_folder: Path, home: Path, workspace: Path) -> None:
    started = time.monotonic()
    running = subprocess.Popen(
        [sys.executable, "-m", "nimllm", "agent", "--model", str(run_folder), "--memory", "off", "--json", "--mode",
         "auto", "-p", "print a lot"], cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)
    assert running.stdout is not None and running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    said = running.stderr.read()
    assert running.wait(30) == 1 and "Traceback" not in said and "BrokenPipe" not in said
    assert time.monotonic() - started < 30


def test_one_task_on_a_terminal_asks(run_folder: Path, home: Path, workspace: Path) -> None:
    for answer, code in (("y", 0), ("q", 4)):
        words = ["-m", "nimllm", "agent", "--model", str(run_folder), "--memory", "off", "-p", "make the folder old"]
        terminal = pexpect.spawn(sys.executable, words, cwd=str(workspace), timeout=20, encoding="utf-8",
                                 env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"})
        terminal.expect(r"\[y\]es")
        terminal.send(answer + "\n")
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == code
        assert (workspace / "old").exists() == (answer == "y")
        if answer == "y":
            (workspace / "old").rmdir()


# ---- plan only ------------------------------------------------------------------------------------------------------


def test_plan_only_runs_nothing(agent: Call, workspace: Path) -> None:
    done = agent("--plan-only", "-p", "delete notes.txt")
    assert (done.returncode, done.stdout) == (0, "rm notes.txt\n")
    assert (workspace / "notes.txt").exists()
    assert agent("--plan-only", "-p", "break it").returncode == 9


def test_plan_only_answers_every_row(agent: Call, tmp_path: Path) -> None:
    queries = ["list the files", "break it", "delete notes.txt", "x" * 5000, "how many files are here?"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"query": query, "more": 1}) + "\n" for query in queries))
    done = agent("--plan-only", "--requests", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl"))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows == [{"query": query, "command": command} for query, command in
                    zip(queries, ["ls", "", "rm notes.txt", rows[3]["command"], "ls | wc -l"], strict=True)]
    assert rows[3]["command"] == ""


@pytest.mark.parametrize(("text", "said"), [
    ('{"query": "a"}\n{"quer": "b"}\n', "line 2 has no query"), ("nonsense\n", "line 1 is not JSON"),
    ("\n", "holds no request"), ('{"query": 3}\n', "line 1 has no query")])
def test_bad_rows_are_named_before_anything_is_written(agent: Call, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "in.jsonl").write_text(text)
    done = agent("--plan-only", "--requests", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl"))
    assert done.returncode == 2 and said in done.stderr and not (tmp_path / "out.jsonl").exists()
