"""kill -9 of the harness at random moments of a session: what is on disk is whole, nothing runs on, nothing stays
mounted, and the next session goes on with what there was."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal import Terminal

from nimllm.agent import vocabulary

ROOT = Path(__file__).resolve().parents[2]
MARK = "NIM_KILL_MARK"
# moment: (what is done before it, until when something is awaited, seconds after it within which the kill comes)
MOMENTS: dict[str, tuple[float, str]] = {
    "start": (1.2, ""), "idle": (0.3, ""), "task": (0.7, "make the folder old"), "write": (0.7, "write hi to a.txt"),
    "command": (0.5, "wait a long time"), "many": (0.6, "print a lot"),
    "own": (0.4, "!mkdir d; for n in {1..400}; do echo $n >d/$n; done"), "undo": (0.4, "/undo"), "resume": (1.5, ""),
    "memory": (12.0, "make the folder old"),
}


def _marked(mark: str) -> list[tuple[int, str]]:
    """Processes that have the mark in their environment: all that the session started."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                if f"{MARK}={mark}".encode() in Path(f"/proc/{name}/environ").read_bytes():
                    found.append((int(name), Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode()))
            except OSError:
                continue
    return found


def _mounts() -> set[str]:
    return {line.split(" ", 1)[1] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def _whole(state: Path) -> None:
    """Every file in the state folder is what it should be; only the last line of a session may be torn."""
    for path in state.rglob("*"):
        if not path.is_file() or path.name.endswith((".lock", ".sqlite-wal", ".sqlite-shm")) or path.suffix == ".tmp":
            continue
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".jsonl":
            lines = path.read_bytes().split(b"\n")
            for line in lines[:-1]:
                vocabulary.read(line) if path.parent.name == "sessions" else json.loads(line)
            assert path.parent.name == "sessions" or lines[-1] == b"", path
        elif path.suffix == ".sqlite":
            with sqlite3.connect(path) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",), path


def _drive(moment: str, seconds: float, run: Path, workspace: Path, mark: str) -> None:
    """A session up to the moment, and the kill ``seconds`` after it."""
    words = ["--mode", "ask" if moment == "memory" else "full"]
    if moment in ("resume", "undo"):
        subprocess.run([sys.executable, "-m", "nimllm", "agent", "--model", str(run), "--memory", "off", "-p",
                        "make the folder old", "--mode", "full"], cwd=workspace, check=True, stdin=subprocess.DEVNULL,
                       capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        words += ["--continue"] if moment == "resume" else []
    opened = Terminal(workspace, run, *words, memory="auto" if moment == "memory" else "off", **{MARK: mark})
    try:
        if moment not in ("start", "resume"):
            opened.ready()
        said = MOMENTS[moment][1]
        if said:
            opened.child.send(said)
            time.sleep(0.1)
            opened.child.send("\r")
        if moment == "memory":
            opened.answer("y")
            opened.expect("remembering in the background")
        elif moment == "undo":
            opened.answer("y")
        elif moment == "command":
            opened.expect(r"\$ sleep 30")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            opened.pump(0.02)
    finally:
        opened.kill()


def _kill_once(moment: str, rng: random.Random, run: Path, workspace: Path, home: Path,
               nimllm: Callable[..., subprocess.CompletedProcess[str]]) -> str:
    """One kill, and everything that must hold afterwards; what the next session found."""
    mark = f"{rng.getrandbits(64):x}"
    mounts = _mounts()
    seconds = rng.random() * MOMENTS[moment][0]
    _drive(moment, seconds, run, workspace, mark)
    what = f"{moment} + {seconds:.3f} s"
    end = time.monotonic() + 10
    while (left := [found for found in _marked(mark) if "memory.worker" not in found[1]]) and time.monotonic() < end:
        time.sleep(0.02)
    assert not left, (what, left)
    end = time.monotonic() + 120
    while (left := _marked(mark)) and time.monotonic() < end:  # an update that has begun ends by itself
        time.sleep(0.1)
    assert not left, (what, left)
    assert _mounts() <= mounts, (what, _mounts() - mounts)
    _whole(home)
    listed = nimllm("sessions", "list", "--json")
    assert listed.returncode == 0, (what, listed.stderr)
    rows = [row for row in json.loads(listed.stdout) if row["workspace"] == str(workspace)]
    words = ["--continue"] if any(row["tasks"] for row in rows) else []
    done = nimllm("agent", "--model", str(run), "--memory", "off", *words, "-p", "list the files")
    assert done.returncode in (0, 1, 4, 9), (what, done.stderr)  # the tests' model may lose its way, nothing else may
    assert "$ ls" in done.stderr and ("so far" in done.stderr) == bool(words), (what, done.stderr)
    verified = nimllm("memory", "verify", "--model", str(run))
    assert verified.returncode == 0, (what, verified.stdout + verified.stderr)
    assert nimllm("undo", "--list").returncode == 0
    _whole(home)
    for path in (home / "sessions").glob("*.jsonl"):  # repaired: every line whole, every session with an end
        events = [vocabulary.read(line) for line in path.read_bytes().splitlines()]
        assert path.read_bytes().endswith(b"\n") and events[-1].type == "session.ended", (what, path)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert not [path for path in home.rglob("*.tmp")], what
    assert not (workspace / ".nimllm").exists()
    killed = [row for row in rows if row["tasks"]]
    return f"{what}: {len(rows)} sessions, {killed[0]['tasks'] if killed else 0} tasks"


@pytest.mark.parametrize("moment", ["write", "undo"])
def test_killed_at_a_random_moment(moment: str, run_folder: Path, workspace: Path, home: Path, nimllm: Callable[
        ..., subprocess.CompletedProcess[str]]) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    _kill_once(moment, random.Random(seed), run_folder, workspace, home, nimllm)


@pytest.mark.slow
def test_killed_at_fifty_random_moments(run_folder: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch,
                                        nimllm: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """All in one state folder, as a user would have it; the seed is told."""
    seed = int(os.environ.get("NIM_KILL_SEED") or random.randrange(1 << 30))
    rng = random.Random(seed)
    print("seed", seed)
    moments = (list(MOMENTS) * 5)[:50]
    rng.shuffle(moments)
    for number, moment in enumerate(moments, 1):
        workspace = tmp_path / f"w{number}"
        workspace.mkdir()
        (workspace / "a.txt").write_text("one\ntwo\nthree\n")
        (workspace / "notes.txt").write_text("secret plans\n")

        def here(*words: str, folder: Path = workspace) -> subprocess.CompletedProcess[str]:
            return nimllm(*words, cwd=folder, timeout=180)

        began = time.monotonic()
        said = _kill_once(moment, rng, run_folder, workspace, home, here)
        print(f"{number:2} {said} ({time.monotonic() - began:.0f} s)", flush=True)
