"""What a sandbox shows at other places, and what it does not show."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from nimllm.tools import sandbox
from nimllm.tools.stage import Shown


@pytest.fixture
def box(tmp_path: Path) -> sandbox.Sandbox:
    (tmp_path / "work").mkdir()
    made = sandbox.probe(tmp_path / "work")
    if made.level != "bwrap":
        pytest.skip(made.reason)
    return made


def inside(box: sandbox.Sandbox, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(box.argv(["/bin/bash", "-c", script]), capture_output=True, text=True, timeout=30)


def test_folders_and_files_are_shown_where_the_machine_has_no_such_place(box: sandbox.Sandbox, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("one\n")
    (tmp_path / "tool").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "tool").chmod(0o755)
    shown = (Shown(box.workspace, Path("/app-of-task"), True), Shown(tmp_path / "data", Path("/deep/er/data")),
             Shown(tmp_path / "tool", Path("/usr/local/bin/tool-of-task")))
    done = inside(replace(box, shown=shown), "cat /deep/er/data/x; tool-of-task; echo hi >/app-of-task/f; "
                  "ls /usr/bin/env; grep -c . /etc/passwd; echo y >/deep/er/data/x; echo y >/z; "
                  "echo y >/usr/local/bin/z; echo y >/deep/z")
    lines = done.stdout.splitlines()
    assert lines[:3] == ["one", "ran", "/usr/bin/env"] and int(lines[3]) > 0, done
    assert done.stderr.count("Read-only file system") == 4
    assert (box.workspace / "f").read_text() == "hi\n" and (tmp_path / "data" / "x").read_text() == "one\n"


def test_hidden_files_and_folders_cannot_be_read_nor_written(box: sandbox.Sandbox, tmp_path: Path) -> None:
    (box.workspace / "tests").mkdir()
    (box.workspace / "tests" / "test.sh").write_text("answer 42\n")
    (box.workspace / "plan").write_text("answer 42\n")
    script = "grep -rs answer . ; ls tests; cat plan; echo x >plan; echo x >tests/y"
    assert inside(box, "grep -rs answer .").stdout.count("answer 42") == 2  # without hiding, it is all there
    hidden = (box.workspace / "tests", box.workspace / "plan", box.workspace / "missing")
    done = inside(replace(box, hidden=hidden), script)
    assert done.stdout == "" and done.stderr.count("Permission denied") == 2, done
    assert done.stderr.count("Read-only file system") == 1
    assert (box.workspace / "plan").read_text() == "answer 42\n"
    assert [path.name for path in (box.workspace / "tests").iterdir()] == ["test.sh"]
