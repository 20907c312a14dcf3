"""The interactive session, driven through a real terminal."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Common, Terminal


@pytest.fixture
def terminal(run_folder: Path, workspace: Path, home: Path) -> Iterator[Terminal]:
    opened = Terminal(workspace, run_folder)
    opened.ready()
    yield opened
    opened.kill()


def _records(home: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((home / "tasks").glob("*.json"))]


def test_a_task_is_shown_run_and_recorded(run_folder: Path, workspace: Path, home: Path) -> None:
    terminal = Terminal(workspace, run_folder, columns=240)  # the whole status bar, however long the folder's name is
    terminal.ready()
    terminal.do("list the files")
    terminal.say("/quit")
    terminal.end(0)
    for part in ("› list the files\n", "  plan  list the files", "$ ls\n", "│ a.txt\n│ notes.txt",
                 "  These are the files."):
        assert part in terminal.scrollback, part
    for part in ("sandbox bwrap", "memory off", "ask"):
        assert part in terminal.text, part
    assert "\x1b[?1049h" not in terminal.raw and "\x1b[2J" not in terminal.raw  # never the alternate screen
    [record] = _records(home)
    assert (record["request"], record["commands"][0]["command"]) == ("list the files", "ls")


def test_accept_edit_reject_and_abort(terminal: Terminal, workspace: Path, home: Path) -> None:
    terminal.say("make the folder old")
    terminal.answer("y")
    terminal.ready()
    assert (workspace / "old").is_dir()
    terminal.say("delete notes.txt")
    terminal.answer("e")
    terminal.see("edit › rm notes.txt")
    terminal.type("\x15rm a.txt\r")  # ^U clears the line
    terminal.ready()
    assert not (workspace / "a.txt").exists() and (workspace / "notes.txt").exists()
    terminal.say("delete notes.txt")
    terminal.answer("n")
    terminal.see("why not")
    terminal.type("\r")
    terminal.expect(r"\[y\]es|no usable command")
    terminal.type("\x03")
    terminal.ready()
    assert (workspace / "notes.txt").exists()
    terminal.type("\x04")
    terminal.end(0)
    made, edited, rejected = _records(home)
    assert (made["outcome"], made["by"], made["commands"][0]["decision"]) == ("success", "user", "accept")
    assert edited["commands"][0]["edited_from"] == "rm notes.txt" and edited["commands"][0]["command"] == "rm a.txt"
    assert rejected["commands"][0]["decision"] == "reject" and rejected["commands"][0]["status"] is None


def test_always_names_what_it_allows_and_asks_no_more(terminal: Terminal, workspace: Path) -> None:
    terminal.say("make the folder old")
    terminal.see(r"\[a\]lways \(mkdir\)")
    terminal.answer("a")
    terminal.ready()
    assert "always from now on, in this session: mkdir" in terminal.screen
    (workspace / "old").rmdir()
    terminal.do("make the folder old")
    assert (workspace / "old").is_dir()


def test_ctrl_c_stops_the_command_then_idle_twice_quits(terminal: Terminal, home: Path) -> None:
    terminal.do("/mode full")
    terminal.say("wait a long time")
    terminal.expect(r"\$ sleep 30")
    time.sleep(0.3)
    began = time.monotonic()
    terminal.type("\x03")
    terminal.expect("interrupted")
    terminal.ready()
    assert time.monotonic() - began < 15
    terminal.type("\x03")
    terminal.expect("again quits")
    terminal.type("\x03")
    terminal.end(130)
    assert _records(home)[0]["commands"][0]["ended"] == "interrupted"


def test_the_users_own_command_shares_the_shell(common: Common) -> None:
    terminal, workspace = common.terminal, common.workspace
    (workspace / "sub").mkdir()
    (workspace / "sub" / "notes.txt").write_text("x")
    terminal.do("!cd sub; X=7")
    terminal.do("!echo is:$X")
    assert "│ is:7" in terminal.screen
    terminal.do("list the files")
    assert common.records()[0]["kind"] == "user" and common.records()[0]["commands"][0]["by"] == "user"
    assert "a.txt" not in terminal.screen


def test_undo_takes_back_what_a_command_changed(terminal: Terminal, workspace: Path) -> None:
    terminal.say("delete notes.txt")
    terminal.answer("y")
    terminal.ready()
    assert not (workspace / "notes.txt").exists()
    (workspace / "mine.txt").write_text("made by the user meanwhile")
    terminal.say("/undo")
    terminal.answer("y")
    terminal.expect("undone")
    terminal.ready()
    assert (workspace / "notes.txt").read_text() == "secret plans\n"
    assert (workspace / "mine.txt").exists()  # what others did stays
    terminal.say("/undo")
    terminal.expect("there is nothing to undo")


def test_slash_commands(terminal: Terminal, run_folder: Path, home: Path) -> None:
    for said, expected in (("/help", "!COMMAND"), ("/status", "workspace"), ("/mode", "the modes are"),
                           ("/mode wild", "no mode wild"), ("/memory", "memory is off"),
                           ("/undo", "there is nothing to undo"),
                           ("/model", str(run_folder.name)), ("/frobnicate", "no command /frobnicate"),
                           ("/sta", "did you mean /status"), ("/log", "no task yet"),
                           ("/model /nowhere", "no model at")):
        terminal.say(said)
        terminal.expect(re.escape(expected))
        terminal.ready()
    assert not (home / "tasks").exists() or not _records(home)  # none of it was a task


def test_a_task_that_got_nowhere_goes_on_when_told(terminal: Terminal, home: Path) -> None:
    terminal.do("/continue")
    terminal.do("where am I, again and again")
    assert "nothing has changed in between" in terminal.text and "/continue goes on" in terminal.text
    terminal.do("/continue")
    first, second = _records(home)
    assert (first["request"], first["ended"]) == (second["request"], "loop") and second["ended"] != "loop"


def test_a_message_may_begin_with_a_path(common: Common) -> None:
    terminal = common.terminal
    terminal.do("/etc/hostname is what?")
    assert "no command" not in terminal.screen and common.records()[0]["request"] == "/etc/hostname is what?"


def test_a_pasted_text_of_many_lines_is_one_message(common: Common) -> None:
    terminal = common.terminal
    terminal.type("\x1b[200~list the files\n\n\x1b[201~")
    terminal.expect("list the files")
    terminal.type("\r")
    terminal.expect("These are the files")
    terminal.ready()
    assert len(common.records()) == 1


def test_history_is_private_and_survives(terminal: Terminal, home: Path, run_folder: Path, workspace: Path) -> None:
    terminal.do("list the files")
    terminal.say("/quit")
    terminal.end(0)
    assert os.stat(home / "history").st_mode & 0o777 == 0o600
    again = Terminal(workspace, run_folder)
    again.ready()
    again.type("\x1b[A\x1b[A\r")  # up, up: /quit, list the files
    again.expect("These are")
    again.kill()


def test_plain_moves_no_cursor_and_no_color_has_no_colour(run_folder: Path, workspace: Path, home: Path) -> None:
    flat = Terminal(workspace, run_folder, "--plain")
    flat.expect("> ")
    flat.type("make the folder old\n")
    flat.expect(r"1 \[y\]es, 2 \[a\]lways \(mkdir\), 3 \[e\]dit, 4 \[n\]o, 5 \[q\]uit the task")
    flat.type("1\n")
    flat.expect("The folder is made")
    flat.expect("> ")
    flat.type("/quit\n")
    flat.end(0)
    assert "\x1b" not in flat.raw and (workspace / "old").is_dir()
    grey = Terminal(workspace, run_folder, NO_COLOR="1")
    grey.ready()
    grey.do("list the files")
    grey.kill()
    assert not re.search(r"\x1b\[[0-9;]*3[0-7][0-9;]*m", grey.raw)


def test_hostile_output_does_not_reach_the_terminal(common: Common) -> None:
    terminal, workspace = common.terminal, common.workspace
    (workspace / "a.txt").write_bytes(b"\x1b]52;c;aGk=\x07\x1b[2J\x1b]0;owned\x07 text \x9b31m\n")
    start = len(terminal.raw)
    terminal.do("show a.txt, then count its lines")
    raw = terminal.raw[start:]
    assert "\x1b]52" not in raw and "\x1b]0;owned" not in raw and "\x1b[2J" not in raw


def test_sigterm_and_a_closed_terminal(terminal: Terminal, run_folder: Path, workspace: Path) -> None:
    terminal.child.kill(signal.SIGTERM)
    terminal.end(143)
    other = Terminal(workspace, run_folder)
    other.ready()
    other.say("make the folder old")
    other.expect(r"\[y\]es")
    other.child.close(force=False)  # hang up while an approval is pending: that is a no
    deadline = time.monotonic() + 20
    while other.child.isalive() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not other.child.isalive() and not (workspace / "old").exists()


@pytest.mark.slow
def test_a_verified_task_is_remembered_in_the_background(run_folder: Path, workspace: Path, home: Path) -> None:
    opened = Terminal(workspace, run_folder, memory="auto")
    opened.ready()
    opened.say("make the folder old")
    opened.answer("y")
    opened.expect("remembering in the background")
    opened.ready()  # at once
    opened.expect("(remembered m|approval as m|not remembered \\(m)0001", timeout=180)
    opened.say("/memory")
    opened.see("1 in all")
    opened.say("/quit")
    opened.end(0)
    assert _records(home)[0]["memory"]["id"] == "m0001"


def test_jobs_folder_and_a_new_shell(common: Common) -> None:
    terminal, workspace = common.terminal, common.workspace
    (workspace / "sub").mkdir()
    terminal.do("!X=7; sleep 300 &")
    terminal.say("/jobs")
    terminal.expect(r"  (\d+)  running")
    terminal.say("/kill 1")
    terminal.expect("job 1 is gone")
    terminal.say("/jobs")
    terminal.expect("nothing runs in the background")
    terminal.say("/kill nine")
    terminal.expect("with a number that /jobs shows")
    terminal.say("/cwd sub")
    terminal.see(rf"(?m)^{re.escape(str(workspace))}/sub$")
    terminal.say("/cwd nowhere")
    terminal.see("No such file")
    terminal.do("/reset-shell")
    terminal.do("!echo [$X] $PWD")
    assert f"│ [] {workspace}" in terminal.screen


def test_plan_runs_nothing_and_verbose_says_why(common: Common) -> None:
    terminal, workspace = common.terminal, common.workspace
    terminal.say("/plan make the folder old")
    terminal.see(r"\? mkdir old")
    terminal.see("would ask")
    assert not (workspace / "old").exists()
    terminal.say("/verbose")
    terminal.expect("saying why")
    terminal.do("list the files")
    assert "it only reads [reader]" in terminal.screen and "1 commands" in terminal.screen
    terminal.type("/clear\r")
    terminal.until("an empty screen", lambda: "list the files" not in terminal.screen)
    assert len(common.records()) == 1


def test_a_command_with_two_marks_leaves_no_record(common: Common) -> None:
    terminal = common.terminal
    terminal.do("!!echo hidden-4711")
    assert "│ hidden-4711" in terminal.screen
    terminal.do("!echo seen")
    assert [record["commands"][0]["command"] for record in common.records()] == ["echo seen"]
    assert not any(b"4711" in path.read_bytes() for path in common.home.rglob("*") if path.is_file())
