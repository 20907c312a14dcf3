"""What a program must bear around it: no standard input, no home, a home that cannot be written, umask 0, a clock that
jumps; and the flags that say how much it tells."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from nimllm import places
from nimllm.agent import vocabulary
from nimllm.agent.events import EventHooks, Events
from nimllm.agent.loop import Agent, Hooks
from nimllm.errors import NimError

Call = Callable[..., CompletedProcess[str]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def program(run_folder: Path, home: Path, workspace: Path) -> Callable[..., subprocess.Popen[str]]:
    def start(*words: str, before: tuple[str, ...] = (), env: dict[str, str] | None = None, **about: Any
              ) -> subprocess.Popen[str]:
        call = [*before, sys.executable, "-m", "nimllm", "agent", "--model", str(run_folder), "--memory", "off", *words]
        about.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(call, cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "PYTHONPATH": str(ROOT)} if env is None else env, **about)

    return start


# ---- standard input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["-p", "list the files"], ["--tasks", "tasks.yaml", "--mode", "auto"]])
def test_a_pipe_that_is_never_closed_is_not_waited_for(program: Callable[..., subprocess.Popen[str]], workspace: Path,
                                                        words: list[str]) -> None:
    (workspace / "tasks.yaml").write_text("- {id: a, request: list the files, checks: [{run: 'cat; true'}]}\n")
    reads, writes = os.pipe()
    try:
        running = program(*words, stdin=reads)
        said, told = running.communicate(timeout=60)
        assert running.returncode == 0, told
        if words[0] == "-p":
            assert "These are the files." in said
    finally:
        os.close(reads)
        os.close(writes)


def test_closed_standard_streams(program: Callable[..., subprocess.Popen[str]], workspace: Path) -> None:
    running = program("-p", "write hi to a.txt", "--mode", "auto", preexec_fn=lambda: os.close(0))
    _, told = running.communicate(timeout=60)
    assert running.returncode == 0 and (workspace / "a.txt").read_text() == "hi\n", told
    (workspace / "a.txt").unlink()
    running = program("-p", "write hi to a.txt", "--mode", "auto", preexec_fn=lambda: os.closerange(0, 3))
    running.communicate(timeout=60)
    assert running.returncode == 0 and (workspace / "a.txt").read_text() == "hi\n"


def test_the_request_on_a_standard_input_that_is_closed(program: Callable[..., subprocess.Popen[str]]) -> None:
    running = program("-p", "-", preexec_fn=lambda: os.close(0))
    _, told = running.communicate(timeout=60)
    assert running.returncode == 2 and "Traceback" not in told


# ---- home, rights, clock --------------------------------------------------------------------------------------------


def test_without_home(program: Callable[..., subprocess.Popen[str]], home: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "USER", "LOGNAME")}
    running = program("-p", "list the files", env={**kept, "PYTHONPATH": str(ROOT)})
    said, told = running.communicate(timeout=60)
    assert running.returncode == 0 and "a.txt" in said, told


def test_a_user_nobody_knows_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for asked in (places.state_home, places.config_home, lambda: places.state_folder("x")):
        with pytest.raises(NimError, match="HOME"):
            asked()
    assert places.cache_folder("x") is None


def test_a_home_that_cannot_be_written(program: Callable[..., subprocess.Popen[str]], tmp_path: Path, workspace: Path
                                       ) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    closed = ("bwrap", "--unshare-user", "--dev-bind", "/", "/", "--ro-bind", str(tmp_path), str(tmp_path), "--bind",
              str(workspace), str(workspace))
    if subprocess.run([*closed, "true"]).returncode:
        pytest.skip("no user namespaces")
    running = program("-p", "list the files", before=closed)
    said, told = running.communicate(timeout=60)
    assert running.returncode == 3 and said == "" and "XDG_STATE_HOME" in told and "Traceback" not in told


def test_nothing_is_readable_for_others_with_umask_0(program: Callable[..., subprocess.Popen[str]], home: Path,
                                                     workspace: Path, tmp_path: Path) -> None:
    (workspace / "tasks.yaml").write_text("- {id: a, script: echo hi, checks: [{run: 'true'}]}\n")
    for words in (["-p", "write hi to a.txt", "--mode", "auto"],
                  ["--tasks", "tasks.yaml", "--mode", "auto", "--record", str(tmp_path / "rec")]):
        running = program(*words, preexec_fn=lambda: os.umask(0))
        _, told = running.communicate(timeout=60)
        assert running.returncode == 0, told
    written = [home, *home.rglob("*"), tmp_path / "rec", *(tmp_path / "rec").rglob("*")]
    assert len(written) > 4
    assert not [path for path in written if path.lstat().st_mode & 0o077]


def test_a_clock_that_jumps(generator: Any, shell: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ten years forth and back at every look; deadlines and durations go by the clock that does not."""
    looks = iter(range(10**9))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + (-1) ** next(looks) * 3.2e8)
    with open(tmp_path / "events", "w") as stream:
        hooks = EventHooks(Events(stream, str), Hooks(), "1")
        result = Agent(generator, shell, "auto", task_timeout=60).task("show a.txt, then count its lines", hooks)
    assert result.ended == "answered" and len(result.commands) == 2 and 0 < result.seconds < 60
    events = [vocabulary.read(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert all(0 <= event.duration < 60 for event in events if event.type == "step.completed")


# ---- how much is told -----------------------------------------------------------------------------------------------


def test_quiet_verbose_and_the_last_output(agent: Call, tmp_path: Path) -> None:
    quiet = agent("-p", "list the files", "-q", "--output-last", str(tmp_path / "last"))
    assert (quiet.stdout, quiet.stderr) == ("a.txt\nnotes.txt\nThese are the files.\n", "")
    assert (tmp_path / "last").read_text() == "a.txt\nnotes.txt\n\nThese are the files.\n"
    verbose = agent("-p", "list the files", "-v")
    assert "run: " in verbose.stderr and "tokens at" in verbose.stderr and "exit 0" in verbose.stderr
    assert verbose.stdout == quiet.stdout
    events = agent("-p", "list the files", "-q", "--json")
    assert events.stderr == "" and events.stdout.count("\n") == 9


def test_a_dry_run_says_what_would_happen(agent: Call, workspace: Path, home: Path) -> None:
    for mode, code, verdict in (("read-only", 4, "refuse"), ("auto", 0, "run")):
        done = agent("-p", "delete notes.txt", "--dry-run", "--mode", mode)
        assert done.returncode == code and "command  rm notes.txt" in done.stdout
        assert f"verdict  {verdict}: " in done.stdout
    assert (workspace / "notes.txt").exists() and not (home / "tasks").exists()


def test_a_flood_is_stopped(agent: Call, tmp_path: Path) -> None:
    done = agent("-p", "print a lot", "--mode", "auto", "--max-output", "1000")
    assert done.returncode == 6 and "stopped after 1,000 bytes of output" in done.stderr
    (tmp_path / "tasks.yaml").write_text("- {id: a, script: ['yes', echo more], checks: [{run: test -e x}]}\n")
    started = time.monotonic()
    done = agent("--tasks", str(tmp_path / "tasks.yaml"), "--mode", "auto", "--max-output", "100000")
    assert done.returncode == 6 and "stopped after 100,000 bytes" in done.stderr and time.monotonic() - started < 30
