"""Undo and diff on the command line: without a session, without a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nimllm import places
from nimllm.agent import difference, records, undo
from nimllm.agent.records import CommandRecord, TaskRecord
from nimllm.tools.snapshots import Snapshots

Call = Callable[..., subprocess.CompletedProcess[str]]


def _record(shots: Snapshots, workspace: Path, change: Callable[[], object], **about: str) -> TaskRecord:
    """A task whose one command did ``change``."""
    before = shots.take("before")
    change()
    made = TaskRecord.model_validate({
        "id": records.new_id(), "time": records.now(), "workspace": str(workspace), "request": "a request", **about,
        "commands": [CommandRecord(command="x", snapshot=before, after=shots.take("after"))]})
    records.write(made)
    return made


@pytest.fixture
def shots(home: Path, workspace: Path) -> Snapshots:
    return Snapshots(places.state_folder("snapshots"), workspace)


def test_a_task_is_listed_shown_and_taken_back_and_the_undo_too(agent: Call, inside: Call, workspace: Path) -> None:
    assert agent("-p", "delete notes.txt", "-y").returncode == 0
    assert agent("-p", "make the folder old", "-y").returncode == 0
    assert agent("-p", "list the files", "-y").returncode == 0
    (workspace / "mine.txt").write_text("made by the user meanwhile")
    listed = inside("undo", "--list")
    first, second = listed.stdout.splitlines()
    assert "make the folder old" in first and "delete notes.txt" in second and "(1 path)" in second
    would = inside("undo", "--dry-run")
    assert would.returncode == 0 and "would remove     old" in would.stdout and (workspace / "old").is_dir()
    done = inside("undo")
    assert done.returncode == 0 and "removed          old" in done.stdout and not (workspace / "old").exists()
    named = second.split()[0]
    shown = inside("diff", named)
    assert shown.stdout.splitlines()[:2] == ["diff --git a/notes.txt b/notes.txt", "deleted file mode 100644"]
    assert "-secret plans" in shown.stdout
    done = inside("undo", "--json")  # the newest that is not undone
    row = json.loads(done.stdout)
    assert row["task"] == named and row["paths"] == [{"path": "notes.txt", "action": "restored", "reason": ""}]
    assert (workspace / "notes.txt").read_text() == "secret plans\n" and (workspace / "mine.txt").exists()
    again = inside("undo")
    assert again.returncode == 2 and "nothing to undo" in again.stderr
    back = inside("undo", row["undo"])
    assert back.returncode == 0 and not (workspace / "notes.txt").exists()
    assert "delete notes.txt" in inside("undo", "--dry-run").stdout  # the task can be undone once more
    assert inside("undo", "nothing").returncode == 2


def test_a_session_takes_back_its_own_tasks_before_those_of_others(shots: Snapshots, workspace: Path) -> None:
    own = _record(shots, workspace, lambda: (workspace / "own").touch(), session="a")
    other = _record(shots, workspace, lambda: (workspace / "other").touch(), session="b")
    assert [undo.find(workspace, session=session).id for session in ("a", "b", "c", "")] == [
        own.id, other.id, other.id, other.id]
    undo.undo(own)
    assert undo.find(workspace, session="a").id == other.id


def test_what_somebody_changed_since_is_left_and_said(shots: Snapshots, workspace: Path, inside: Call) -> None:
    def change() -> None:
        (workspace / "a.txt").write_text("agent")
        (workspace / "notes.txt").write_text("agent")

    _record(shots, workspace, change)
    (workspace / "a.txt").write_text("user")
    done = inside("undo")
    assert done.returncode == 0
    assert "left alone       a.txt (somebody else changed it since)" in done.stdout
    assert (workspace / "a.txt").read_text() == "user" and (workspace / "notes.txt").read_text() == "secret plans\n"
    (workspace / "sub").mkdir()
    again = inside("undo", cwd=workspace / "sub")  # below the workspace it is found, too
    assert again.returncode == 2
    only = _record(shots, workspace, lambda: (workspace / "a.txt").write_text("agent again"))
    (workspace / "a.txt").write_text("user again")
    nothing = inside("undo", only.id[:-2])
    assert nothing.returncode == 1 and (workspace / "a.txt").read_text() == "user again"


def test_another_workspace_and_forgotten_snapshots(shots: Snapshots, workspace: Path, tmp_path: Path, inside: Call
                                                   ) -> None:
    made = _record(shots, workspace, lambda: (workspace / "new").write_text("x"))
    other = tmp_path / "other"
    other.mkdir()
    assert "nothing to undo" in inside("undo", cwd=other).stderr
    assert inside("undo", "-C", str(workspace), "--dry-run", cwd=other).returncode == 0
    for _ in range(3):
        shots.take("later")
    shots.prune(keep=2)
    assert inside("undo", "--list").stdout == "nothing to undo here\n"
    gone = inside("undo", made.id)
    assert gone.returncode == 3 and "forgotten" in gone.stderr and (workspace / "new").exists()


def test_names_and_lines_cannot_act_on_a_terminal(shots: Snapshots, workspace: Path) -> None:
    import pexpect

    _record(shots, workspace, lambda: (workspace / "x\x1b]0;owned\x07\ny").write_text("\x1b[2J\x9b31m\x07\n"))
    root = Path(__file__).resolve().parents[2]
    for command in ("diff", "undo"):
        child = pexpect.spawn(sys.executable, ["-m", "nimllm", command], cwd=str(workspace), encoding="utf-8",
                              env={**os.environ, "PYTHONPATH": str(root), "TERM": "xterm"}, dimensions=(40, 200))
        text = child.read()
        child.close()
        assert child.exitstatus == 0, text
        colours = {f"\x1b[{code}m" for code in ("0", "1", "2", "1;36", "32", "31")}
        for colour in colours:
            text = text.replace(colour, "")
        assert "\x1b" not in text and "\x07" not in text and "\x9b" not in text and "owned" in text


def _git(folder: Path, *words: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["git", "-c", "core.fileMode=true", *words], cwd=folder, input=stdin, check=True,
                          capture_output=True).stdout


NAMES = ("a", "b c", "two\nlines", "ü", 'q"uote', "d/e", "d/f/g", "tab\there")
TEXT = st.text(st.sampled_from("ab\n\r +-@\\"), max_size=60)
FILES = st.dictionaries(st.sampled_from(NAMES), st.one_of(TEXT, st.just(None), st.just("link")), max_size=6)


def _fill(folder: Path, files: dict[str, str | None]) -> None:
    for name in NAMES:
        path = folder / name
        if path.is_symlink() or path.exists():
            path.unlink()
        value = files.get(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if value == "link":
            path.symlink_to("where to")
        elif value is not None:
            path.write_bytes(value.encode())
            path.chmod(0o755 if len(value) % 3 == 0 else 0o644)


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path.relative_to(folder)): (path.lstat().st_mode & 0o120111,
                                            os.readlink(path).encode() if path.is_symlink() else path.read_bytes())
            for path in folder.rglob("*") if (path.is_symlink() or path.is_file()) and ".git" not in path.parts}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES, FILES)
def test_git_apply_takes_the_diff_back(tmp_path_factory: pytest.TempPathFactory, old: dict[str, str | None],
                                       new: dict[str, str | None]) -> None:
    base = tmp_path_factory.mktemp("diff")
    work = base / "work"
    work.mkdir()
    _git(work, "init", "-q")
    _fill(work, old)
    was = _files(work)
    shots = Snapshots(base / "state", work)
    before = shots.take("before")
    _fill(work, new)
    after = shots.take("after")
    text = "".join(f"{line}\n" for line in difference.difference(shots, [(before, after)]))
    assert bool(text) == (was != _files(work))
    if text:
        _git(work, "apply", "-R", "--whitespace=nowarn", "--unidiff-zero", "-", stdin=text.encode())
    assert _files(work) == was
    shots.close()


def test_what_a_diff_says_of_other_things(shots: Snapshots, workspace: Path) -> None:
    (workspace / "bin").write_bytes(b"\0\1\2")
    (workspace / "sub").mkdir(mode=0o755)
    (workspace / "long").write_text("".join(f"{n}\n" for n in range(60_000)))

    def change() -> None:
        (workspace / "bin").write_bytes(b"\0\1\2\3")
        (workspace / "sub").chmod(0o700)
        (workspace / "empty").mkdir()
        (workspace / "a.txt").chmod(0o600)
        (workspace / "long").write_text("".join(f"{n}!\n" for n in range(60_000)))

    made = _record(shots, workspace, change)
    lines = list(difference.difference(shots, undo.steps(made)))
    assert "Binary files a/bin and b/bin differ (3 B -> 4 B)" in lines
    assert "# rights of sub: 755 -> 700" in lines and "# folder empty made" in lines
    assert "# rights of a.txt: 644 -> 600" in lines
    assert "# 60000 and 60000 lines: too many to compare" in lines


def test_help_is_quick_and_imports_nothing_heavy(nimllm: Call) -> None:
    for command in ("undo", "diff"):
        assert nimllm(command, "--help").returncode == 0
    code = ("import sys; from nimllm.agent import undo, difference\n"
            "assert not {'torch', 'prompt_toolkit'} & set(sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
