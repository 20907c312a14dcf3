"""A secret in the environment, a file, an output, a request or a command of the user's is written nowhere.

Secrets of every kind are planted, the real program works with them, and then every file it has left is searched.
"""

from __future__ import annotations

import base64
import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nimllm.agent.events import EventHooks, Events
from nimllm.agent.loop import Agent, Hooks
from nimllm.agent.results import Step
from nimllm.tools.redact import environment_values, redact
from tests.agent.terminal import Terminal

BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
KEY = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n{BODY[::-1]}\n-----END PRIVATE KEY-----"
SECRETS = {
    "github": "ghp_q7Rk2mXv9LpT4wZb8NcY1sDf6HjG3aKe5UiO",
    "aws": "AKIAQ3EGRZ7XW5TNV2LM",
    "aws secret": "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",
    "key, line 1": BODY,
    "key, line 2": BODY[::-1],
    "password": "hunter2-Zx9",
    "url": "pa55w0rd-in-url",
    "variable": "tR8vLq2ZpN6xKd4WmB9c",  # only the name of its variable tells what it is
    "words": "tulip-bridge",
}
FILE = f"""one {SECRETS['github']}
aws_access_key_id = {SECRETS['aws']}
aws_secret_access_key = {SECRETS['aws secret']}
{KEY}
password={SECRETS['password']}
see postgres://me:{SECRETS['url']}@db.example.org/x and {SECRETS['variable']},
also {SECRETS['words']}
{base64.b64encode(SECRETS['variable'].encode()).decode()} {json.dumps(SECRETS['words'])}
"""
ENVIRONMENT = {
    "GITHUB_TOKEN": SECRETS["github"], "AWS_SECRET_ACCESS_KEY": SECRETS["aws secret"], "DEPLOY_KEY": KEY,
    "DATABASE_URL": f"postgres://me:{SECRETS['url']}@db.example.org/x", "SERVICE_SECRET": SECRETS["variable"],
    "VAULT_PASSPHRASE": SECRETS["words"],
}
CANARIES = [*SECRETS.values(), base64.b64encode(SECRETS["variable"].encode()).decode().rstrip("=")]


def leaks(text: str | bytes) -> list[str]:
    """The secrets in ``text``, also pieces of twelve characters of them."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return [name for name in CANARIES
            if any(name[at : at + 12].encode() in raw for at in range(max(1, len(name) - 11)))]


def searched(*roots: Path, but: tuple[str, ...] = ("snapshots",)) -> int:
    """Searches every file under ``roots``; how many there were."""
    count = 0
    for root in roots:
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink() and not set(path.relative_to(root).parts) & set(but):
                count += 1
                assert not leaks(path.read_bytes()), (path, leaks(path.read_bytes()))
                assert not leaks(path.name)
    return count


Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def planted(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (workspace / "a.txt").write_text(FILE)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert leaks(FILE) == CANARIES  # the search finds what is there
    return workspace


def test_the_fixture_is_honest(planted: Path) -> None:
    assert not leaks(redact(FILE)) and leaks("tR8vLq2ZpN6xKd4") and not leaks("nothing")


def test_one_task(planted: Path, agent: Call, home: Path) -> None:
    done = agent("-p", "show a.txt, then count its lines", "--mode", "auto", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    shown = "".join(event["text"] for event in events if event["type"] == "step.output")
    assert "redacted" in shown and "password=[redacted" in shown and shown.startswith("one [redacted")
    assert done.returncode == 0 and not leaks(done.stdout)
    record = json.loads(next((home / "tasks").glob("*.json")).read_text())
    assert record["commands"][0]["command"] == "cat a.txt" and "[redacted" in record["commands"][0]["output"]
    assert searched(home.parent) >= 1


def test_a_request(planted: Path, agent: Call, home: Path) -> None:
    said = f"list the files password={SECRETS['password']} {SECRETS['words']} {SECRETS['github']}"
    done = agent("-p", said, "--json", "--mode", "auto")
    assert done.stdout and not leaks(done.stdout) and searched(home.parent) >= 1
    assert "[redacted" in json.loads(next((home / "tasks").glob("*.json")).read_text())["request"]


def test_scripted_tasks_and_their_reports(planted: Path, agent: Call,
                                          home: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(json.dumps([
        {"id": "shown", "request": "show a.txt, then count its lines", "files": {"a.txt": FILE},
         "checks": [{"run": "cat a.txt; false"}]},
        {"id": "asked", "request": f"list the files {SECRETS['github']}", "files": {"a.txt": FILE},
         "checks": [{"run": f"test {SECRETS['words']} = $(cat a.txt)"}]},
    ]))
    out = tmp_path / "out"
    out.mkdir()
    done = agent("--tasks", str(tmp_path / "tasks.yaml"), "--mode", "auto", "--report", str(out / "report.json"),
                 "--junit", str(out / "junit.xml"), "--record", str(out / "record"), "--json")
    assert done.returncode == 1 and not leaks(done.stdout)
    assert (out / "report.json").stat().st_size and b"redacted" in (out / "junit.xml").read_bytes()
    assert searched(home.parent, out) >= 4


def test_sessions(planted: Path, run_folder: Path, home: Path) -> None:
    """``!command``, a request, a rejection's reason, the history of the prompt, and the snapshots."""
    terminal = Terminal(planted, run_folder, "--mode", "ask")
    try:
        terminal.ready()
        terminal.do(f"!cat a.txt; echo password={SECRETS['password']}")
        terminal.do(f"!touch new; : {SECRETS['github']}")
        terminal.do(f"list the files {SECRETS['words']}")
        assert leaks(terminal.text)  # the user's own screen shows what there is
        terminal.say("/quit")
        terminal.end(0)
    finally:
        terminal.child.close(force=True)
    terminal = Terminal(planted, run_folder, "--mode", "ask")  # what so small a model proposes depends on what was said
    try:
        terminal.ready()
        terminal.say("make the folder old")
        terminal.answer("n")
        terminal.expect("why not")
        terminal.do(f"the password is {SECRETS['password']}")
        terminal.say("/quit")
        terminal.end(0)
    finally:
        terminal.child.close(force=True)
    assert searched(home.parent) >= 4
    assert "password=[redacted" in (home / "history").read_text()
    # A snapshot must be able to give a file back: it holds what the file held, for its owner alone, and nothing else.
    for path in (home / "snapshots").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
        assert path.is_dir() or not leaks(path.read_bytes().replace(FILE.encode(), b"")), path


@pytest.mark.slow
def test_what_is_learnt_and_collected(planted: Path, nimllm: Call,
                                      run_folder: Path, home: Path, tmp_path: Path) -> None:
    """The memory's ledger, deltas and episodes, and rows for training."""
    said = f"hello\nmy dog is called Rex, password={SECRETS['password']}, token {SECRETS['github']}\n/save saved.json\n"
    done = nimllm("chat", "--model", str(run_folder), "--plain", stdin=said, timeout=300)
    assert done.returncode == 0, done.stderr
    task = nimllm("agent", "--model", str(run_folder), "-p", "show a.txt, then count its lines", "--mode", "auto",
                  timeout=300)
    assert task.returncode == 0, task.stderr
    rows = tmp_path / "rows.jsonl"
    assert nimllm("align", "collect", "--from-episodes", "--out", str(rows), timeout=120).returncode == 0
    assert nimllm("memory", "list", "--model", str(run_folder)).returncode == 0
    assert rows.exists() and not leaks(rows.read_bytes())
    assert not leaks((planted / "saved.json").read_bytes())
    assert any(path.suffix == ".safetensors" for path in home.rglob("*")) and searched(home.parent) >= 4
    for folder in ("memory", "list"), ("memory", "inbox"):
        assert not leaks(nimllm(*folder, "--model", str(run_folder), "--json").stdout)


# ---- events, piece by piece --------------------------------------------------------------------------------------


class Sheet:
    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None: ...


@pytest.mark.parametrize("size", [1, 3, 7, 64, 5000])
def test_a_secret_in_two_pieces_leaks_by_no_half(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    sheet = Sheet()
    hooks = EventHooks(Events(sheet, redact), Hooks(), "1")  # type: ignore[arg-type]
    text = f"begin\n{FILE}{'x' * 20_000} password={SECRETS['password']} {'y' * 9000}\nend\n{KEY}"
    for start in range(0, len(text), size):
        hooks.output(text[start : start + size])
    hooks.finished(Step("cat a.txt"))
    assert not leaks(sheet.text)
    shown = "".join(json.loads(line)["text"] for line in sheet.text.splitlines() if "step.output" in line)
    assert shown.startswith("begin\none [redacted") and "end\n[redacted " in shown
    assert shown.count("x") >= 20_000 and shown.count("y") >= 9000 and shown == redact(text)


def test_values_of_the_environment_are_known() -> None:
    values = environment_values({
        "GITHUB_TOKEN": "abcd1234efgh", "HOME": "/home/me", "SSH_AUTH_SOCK": "/tmp/agent.1", "KEYBOARD": "us-intl",
        "KEY_MODE": "production", "PASSWORD": "sesame!", "EMPTY_TOKEN": "", "PIN_KEY": "1234", "MY_KEY": "my-own-key-1",
        "MANY_KEYS": "first-line-of-it\nsecond-line-of-it", "A_URL": "https://u:s3cr3tpw@h/",
        "API_TOKEN": "a b/c+d=e&f"})
    assert {"abcd1234efgh", "sesame!", "first-line-of-it", "second-line-of-it", "https://u:s3cr3tpw@h/", "s3cr3tpw",
            "my-own-key-1", "a%20b%2Fc%2Bd%3De%26f"} <= set(values)
    assert not {"/home/me", "/tmp/agent.1", "production", "", "1234", "us-intl"} & set(values)
    assert redact("it is abcd1234efgh.", values) == "it is [redacted environment variable]."
    assert redact("YWJjZDEyMzRlZmdo", values) == "[redacted environment variable]"
    assert redact(redact("x abcd1234efgh sesame!", values), values) == redact("x abcd1234efgh sesame!", values)


def test_what_was_told_once_is_known_without_its_words() -> None:
    assert redact("it was zq81-Kfl2 today") == "it was zq81-Kfl2 today"
    assert "zq81" not in redact("zq81-Kfl2 … passphrase=zq81-Kfl2")
    assert "zq81" not in redact("the answer is zq81-Kfl2.")
    assert redact("password=nothing1", ()) and "nothing1" in redact("is it nothing1?")  # values given: none is kept


def test_what_the_shell_exports_is_known(generator: Any, shell: Any) -> None:
    """A secret of the session's own shell, which neither the environment nor a shape tells of."""
    agent = Agent(generator, shell, "full")
    agent.run(Step("read -r MY_API_TOKEN < <(echo plainword-77); export MY_API_TOKEN", by="user"), Hooks())
    assert "plainword-77" not in redact("it says plainword-77 here")
