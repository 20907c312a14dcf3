"""The command line of the agent: what goes where, and every exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pexpect
import pytest

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


@pytest.mark.parametrize(("words", "code", "said"), [
    (["-p", "make the folder old"], 4, "mkdir old"),
    (["-p", "make the folder old", "--mode", "ask"], 4, "nobody can be asked"),
    (["-p", "make the folder old", "-y"], 0, ""),
    (["-p", "look for nothing", "--mode", "auto"], 1, "exit 2"),
    (["-p", "break it", "--mode", "auto"], 9, "no usable command"),
    (["-p", "count up", "--mode", "auto", "--max-steps", "1"], 6, "--max-steps"),
    (["-p", ""], 2, "empty"),
    (["-p", "list the files", "--tasks", "x.yaml"], 2, "cannot be used together"),
    (["-p", "list the files", "-y", "--mode", "ask"], 2, "--mode ask was given too"),
    (["-p", "list the files", "--cd", "/nowhere"], 2, "not a folder"),
    (["-p", "list the files", "--max-steps", "0"], 2, "positive"),
    (["-p", "list the files", "--mode", "auto", "--sandbox", "none"], 5, "--mode full"),
    (["--tasks", "missing.yaml"], 2, "missing.yaml"),
    (["--tasks", "x.yaml", "--cd", "/tmp"], 2, "fresh folder"),
    (["--report", "r.json"], 2, "goes with --tasks"),
    (["--json"], 2, "--json needs"),
    ([], 2, "terminal"),
    (["--plan-only"], 2, "needs a request"),
    (["--requests", "x.jsonl"], 2, "goes with --plan-only"),
])
def test_exit_codes(agent: Call, words: list[str], code: int, said: str) -> None:
    done = agent(*words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr


def test_a_request_of_100_kb(agent: Call) -> None:
    done = agent("-p", "-", stdin="list the files " * 7000)
    assert done.returncode == 2 and "too long" in done.stderr and len(done.stderr) < 1000


def test_no_model(nimllm: Call, tmp_path: Path) -> None:
    for folder, said in (("none", "no such folder"), ("empty", "not a nimllm run folder")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        done = nimllm("agent", "--model", str(tmp_path / folder), "-p", "list the files")
        assert done.returncode == 3 and said in done.stderr


def test_a_state_folder_that_cannot_be_made(agent: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = agent("-p", "list the files", XDG_STATE_HOME=str(tmp_path / "file"))
    assert done.returncode == 3 and "XDG_STATE_HOME" in done.stderr and done.stdout == ""


def test_no_bash(run_folder: Path, home: Path, workspace: Path) -> None:
    """The shell looks at PATH and at the system's default path, so both are emptied."""
    code = ("import os, sys; os.defpath = '/nowhere'; os.environ['PATH'] = '/nowhere'\n"
            "from nimllm.cli import main\n"
            f"sys.exit(main(['agent', '--model', {str(run_folder)!r}, '--memory', 'off', '-p', 'list the files']))")
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)
    assert done.returncode == 8 and "bash" in done.stderr, done.stderr


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


def test_json_and_text_agree_on_a_blocked_task(agent: Call) -> None:
    done = agent("-p", "make the folder old", "--mode", "ask", "--json")
    events = {event["type"]: event for event in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 4 == events["session.ended"]["exit_code"] == events["task.failed"]["exit_code"]
    assert events["approval.decided"]["decision"] == "blocked"


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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_the_command_too(run_folder: Path, home: Path, workspace: Path, number: int, code: int) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "nimllm", "agent", "--model", str(run_folder), "--memory", "off", "--json", "--mode",
         "auto", "-p", "wait a long time"], cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)
    assert running.stdout is not None and running.stderr is not None
    for line in running.stdout:
        if '"step.started"' in line:
            break
    time.sleep(0.3)
    running.send_signal(number)
    rest = running.stdout.read()
    assert running.wait(15) == code, running.stderr.read()
    assert '"session.ended"' in rest and "Traceback" not in running.stderr.read()
    alive = subprocess.run(["pgrep", "-f", "^sleep 30$"], capture_output=True, text=True, check=False).stdout.split()
    assert not [pid for pid in alive if Path(f"/proc/{pid}/cwd").resolve() == workspace]


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
