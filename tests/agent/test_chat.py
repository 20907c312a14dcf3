"""Talking: replies, commands, the window, and what becomes of a conversation."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pexpect
import pytest

Call = Callable[..., CompletedProcess[str]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def chat(nimllm: Call, run_folder: Path) -> Call:
    def call(*words: str, **about: object) -> CompletedProcess[str]:
        return nimllm("--chat", "--model", str(run_folder), "--memory", "off", *words, **about)

    return call


def _log(home: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((home / "tasks").glob("*.json"))]


def test_a_piped_conversation(chat: Call, home: Path) -> None:
    done = chat(stdin="hello\nwhat is two plus two?\n/quit\nnever read\n")
    assert (done.returncode, done.stdout) == (0, "Hi there.\nFour.\n")
    [record] = _log(home)
    assert (record["kind"], record["request"], record["answer"]) == ("chat", "hello", "Four.")
    assert (record["by"], record["memory"]["state"]) == ("user", "off")


def test_the_end_of_the_pipe_quits_and_an_unknown_command_is_not_said(chat: Call, home: Path) -> None:
    done = chat(stdin="/hepl\n/status\n\nhello\n")
    assert (done.returncode, done.stdout) == (0, "Hi there.\n")
    assert "no command /hepl" in done.stderr and "0 turns" in done.stderr
    assert len(_log(home)) == 1


def test_one_message(chat: Call) -> None:
    assert chat("-p", "hello").stdout == "Hi there.\n"
    assert chat("-p", "-", stdin="hello\n").stdout == "Hi there.\n"


def test_nothing_said_leaves_nothing(chat: Call, home: Path) -> None:
    assert chat(stdin="/help\n/quit\n").returncode == 0
    assert not (home / "tasks").exists()


def test_save_and_temperature(chat: Call, workspace: Path) -> None:
    done = chat(stdin="hello\n/save talk.json\n/save talk.json\n/temp 0.5\n/temp hot\n/save /proc/x\n/quit\n")
    assert json.loads((workspace / "talk.json").read_text()) == {
        "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Hi there."}]}
    assert os.stat(workspace / "talk.json").st_mode & 0o777 == 0o600
    for said in ("saved 2 turns", "exists; give another name", "temperature 0.5", "hot is not a temperature",
                 "cannot write /proc/x"):
        assert said in done.stderr


def test_a_message_of_100_kb_is_refused_and_the_talk_goes_on(chat: Call) -> None:
    done = chat(stdin="hello " * 17000 + "\nhello\n/quit\n")
    assert done.returncode == 2 and "too long" in done.stderr and done.stdout == "Hi there.\n"


def test_a_long_conversation_drops_its_oldest_turns(chat: Call) -> None:
    done = chat(stdin="my dog is called Rex\n" * 40 + "hello\n/quit\n")
    assert done.returncode == 0 and "oldest turns" in done.stderr
    assert done.stdout.count("\n") == 41 and done.stdout.startswith("Good to know.\n")


@pytest.mark.parametrize("words", [["--temperature", "-1"], ["--top-p", "0"], ["--max-tokens", "0"]])
def test_bad_numbers(chat: Call, words: list[str]) -> None:
    assert chat(*words, stdin="").returncode == 2


def test_text_that_is_not_utf8(chat: Call, run_folder: Path, home: Path, workspace: Path) -> None:
    import subprocess

    done = subprocess.run([sys.executable, "-m", "nimllm", "chat", "--model", str(run_folder), "--memory", "off"],
                          input=b"caf\xe9\nhello\n", cwd=workspace, capture_output=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert b"Traceback" not in done.stderr and b"Hi there." in done.stdout and b"not text" in done.stderr


def test_torch_stays_out(run_folder: Path, home: Path, workspace: Path) -> None:
    import subprocess

    code = ("import sys; from nimllm.cli import main\n"
            f"assert main(['--chat', '--model', {str(run_folder)!r}, '--memory', 'off', '-p', 'hello']) == 0\n"
            "assert 'torch' not in sys.modules\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr


def test_on_a_terminal(run_folder: Path, home: Path, workspace: Path) -> None:
    terminal = pexpect.spawn(sys.executable, ["-m", "nimllm", "--chat", "--model", str(run_folder), "--memory", "off"],
                             cwd=str(workspace), encoding="utf-8", timeout=20, dimensions=(30, 100),
                             env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"})
    terminal.expect("›")
    terminal.send("hello\r")
    terminal.expect("Hi there")
    terminal.expect("›")
    terminal.sendcontrol("c")
    terminal.expect("again quits")
    terminal.expect("›")
    terminal.sendcontrol("d")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert "\x1b[?1049h" not in (terminal.before or "")


def test_sigterm(run_folder: Path, home: Path, workspace: Path) -> None:
    terminal = pexpect.spawn(sys.executable, ["-m", "nimllm", "--chat", "--model", str(run_folder), "--plain"],
                             cwd=str(workspace), encoding="utf-8", timeout=20,
                             env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"})
    terminal.expect("> ")
    terminal.sendline("hello")
    terminal.expect("Hi there")
    terminal.expect("> ")
    terminal.kill(signal.SIGTERM)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 143
    [record] = _log(home)
    assert record["request"] == "hello" and record["memory"]["state"] == "off"


@pytest.mark.slow
def test_a_conversation_is_remembered(nimllm: Call, run_folder: Path, home: Path) -> None:
    done = nimllm("--chat", "--model", str(run_folder), stdin="my dog is called Rex\n/quit\n", timeout=300)
    assert done.returncode == 0, done.stderr
    [record] = _log(home)
    assert record["memory"]["state"] in ("accepted", "pending", "rejected"), record["memory"]
    assert record["memory"]["loss_after"] < record["memory"]["loss_before"]
