"""Every exit code, by the real program: as text and with --json, which say the same, and so does the last event."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from nimllm import errors
from nimllm.agent import vocabulary

slow = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
NO_BASH = ("import os, sys; os.defpath = '/nowhere'; os.environ['PATH'] = '/nowhere'\n"
           "from nimllm.cli import main; sys.exit(main(sys.argv[1:]))")  # the shell looks at the system's path, too


class Program:
    """The command line in two processes at a time: one shows text, one writes events."""

    def __init__(self, run: Path, workspace: Path) -> None:
        self.run, self.workspace = run, workspace

    def start(self, words: Sequence[str], model: Path | None = None, memory: str = "off",
              before: Sequence[str] = ("-m", "nimllm")) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *before, "agent", "--model", str(model or self.run), "--memory", memory, *words],
            cwd=self.workspace, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)})

    def both(self, words: Sequence[str], **more: object) -> tuple[int, str, str]:
        """The code of both, the text's standard error, and the error or reason of the last events."""
        text = self.start(words, **more)  # type: ignore[arg-type]
        events = self.start([*words, "--json"], **more)  # type: ignore[arg-type]
        said, told = text.communicate(timeout=120), events.communicate(timeout=120)
        assert "Traceback" not in said[1] + told[1]
        lines = [vocabulary.read(line) for line in told[0].splitlines()]
        assert text.returncode == events.returncode == lines[-1].exit_code, (said, told)
        assert lines[-1].type == "session.ended"
        reasons = " ".join(line.reason for line in lines if line.type in ("task.failed", "task.completed"))
        return text.returncode, said[1], f"{lines[-1].error} {reasons}"


@pytest.fixture
def program(run_folder: Path, home: Path, workspace: Path) -> Program:
    return Program(run_folder, workspace)


@pytest.mark.parametrize(("code", "words", "said"), [
    (errors.OK, ["-p", "list the files"], ""),
    (errors.TASK_FAILED, ["-p", "look for nothing", "--mode", "auto"], ""),
    (errors.USAGE, ["-p", "list the files", "--max-steps", "0"], "positive"),
    (errors.BLOCKED, ["-p", "make the folder old", "--mode", "ask"], "nobody can be asked"),  # no terminal
    (errors.SANDBOX, ["-p", "list the files", "--mode", "auto", "--sandbox", "none"], "--mode full"),
    (errors.LIMIT, ["-p", "count up", "--mode", "auto", "--max-steps", "1"], "--max-steps"),
    (errors.GAVE_UP, ["-p", "break it", "--mode", "auto"], "no usable command"),
])
def test_of_one_task(program: Program, code: int, words: list[str], said: str) -> None:
    found, text, reason = program.both(words)
    assert found == code and said in text and said in reason


def test_3_without_a_model(program: Program, tmp_path: Path) -> None:
    code, text, reason = program.both(["-p", "list the files"], model=tmp_path / "none")
    assert code == errors.CONFIG and "no model at" in text and "no model at" in reason


def damage(run: Path, kind: str) -> None:
    """A memory store of this model that cannot be trusted."""
    from nimllm.alignment.memory.store import MemoryStore

    folder = MemoryStore(run, writable=False).folder
    folder.mkdir(parents=True, exist_ok=True)
    line = {"seq": 1, "event": "base", "base": "f" * 64, "grid": {}, "previous": "0" * 64, "hash": "0" * 64}
    text = {"garbage": "no ledger\nno ledger\n", "of another": json.dumps(line) + "\n"}[kind]
    (folder / "ledger.jsonl").write_text(text)


@pytest.mark.parametrize("kind", [pytest.param("garbage", marks=slow), "of another"])
def test_7_with_a_memory_store_that_is_not_ours(program: Program, run_folder: Path, kind: str) -> None:
    damage(run_folder, kind)
    code, text, reason = program.both(["-p", "list the files"], memory="auto")
    assert code == errors.MEMORY and "ledger" in text and "ledger" in reason


def test_8_without_bash(program: Program) -> None:
    code, text, reason = program.both(["-p", "list the files"], before=("-c", NO_BASH))
    assert code == errors.SHELL and "bash" in text and "bash" in reason


@pytest.mark.parametrize(("number", "code", "tasks"), [
    (signal.SIGINT, 130, True), (signal.SIGTERM, 143, False), pytest.param(signal.SIGINT, 130, False, marks=slow),
    pytest.param(signal.SIGTERM, 143, True, marks=slow)])
def test_130_and_143_by_signals(program: Program, tmp_path: Path, number: int, code: int, tasks: bool) -> None:
    (tmp_path / "tasks.yaml").write_text(
        "".join(f"- {{id: t{n}, request: wait a long time, checks: [{{run: 'true'}}]}}\n" for n in range(3)))
    words = ["--tasks", str(tmp_path / "tasks.yaml"), "--jobs", "2"] if tasks else ["-p", "wait a long time"]
    running = [program.start([*words, "--mode", "auto", *more]) for more in ([], ["--json"])]
    try:
        assert running[1].stdout is not None
        for line in running[1].stdout:
            if '"step.started"' in line:
                break
        time.sleep(1.0)  # the other one is as far; if not, the signal ends it before, with the same code
        for one in running:
            one.send_signal(number)
        ends = [one.communicate(timeout=30) for one in running]
    finally:
        for one in running:
            one.kill()
    assert [one.returncode for one in running] == [code, code], ends
    assert vocabulary.read(ends[1][0].splitlines()[-1]).exit_code == code
    assert "Traceback" not in ends[0][1] + ends[1][1]
    sleeping = subprocess.run(["pgrep", "-f", "^sleep 30$"], capture_output=True, text=True, check=False).stdout.split()
    assert not [pid for pid in sleeping if "nimllm-t" in os.readlink(f"/proc/{pid}/cwd")
                and str(tmp_path) in os.readlink(f"/proc/{pid}/cwd")]


def test_of_scripted_tasks_the_worst_counts(program: Program, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text("""
- {id: good, script: 'true', checks: [{run: 'true'}]}
- {id: failed, script: 'true', checks: [{run: 'false'}]}
- {id: gave-up, request: break it, checks: [{run: 'false'}]}
- {id: blocked, script: 'rm -rf ~', checks: [{run: 'true'}]}
""")
    words = ["--tasks", str(tmp_path / "tasks.yaml"), "--mode", "auto"]
    assert program.both(words)[0] == errors.BLOCKED


def test_the_order_of_the_worst_holds_every_code() -> None:
    codes = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}
    assert set(errors.WORST) == codes and len(errors.WORST) == len(codes)
    assert errors.worst([]) == errors.OK and errors.worst([0, 1, 6]) == errors.LIMIT
    assert errors.worst([1, 9, 130, 5]) == errors.INTERRUPTED


def test_an_unknown_option(program: Program) -> None:
    done = program.start(["-p", "x", "--no-such-thing", "--json"])
    assert done.communicate(timeout=30)[0] == "" and done.returncode == errors.USAGE
