"""The interactive session, driven through a real terminal."""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "›"
ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[=>78]|\x1b\][^\x07]*\x07")


class Terminal:
    """A session at the other end of a pty; all that was ever shown is kept."""

    def __init__(self, folder: Path, run: Path, *words: str, memory: str = "off", **env: str) -> None:
        self.child = pexpect.spawn(
            sys.executable, ["-m", "nimllm", "--agent", "--model", str(run), "--memory", memory, *words],
            cwd=str(folder), encoding="utf-8", timeout=20, dimensions=(40, 120),
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **env})
        self.raw = ""
        self.child.logfile_read = self
        self.child.delaybeforesend = 0.05

    def write(self, text: str) -> None:
        self.raw += text
        if "\x1b[6n" in text:  # where is the cursor? a terminal would say so
            os.write(self.child.child_fd, b"\x1b[10;1R")

    def flush(self) -> None: ...

    @property
    def text(self) -> str:
        return ESCAPE.sub("", self.raw).replace("\r", "")

    def expect(self, pattern: str) -> None:
        self.child.expect(pattern)

    def ready(self) -> None:
        """The prompt is there, and so is the bar below it, which is drawn after it."""
        self.child.expect(PROMPT)

    def say(self, text: str) -> None:
        self.child.send(text + "\r")

    def end(self, code: int) -> None:
        self.child.expect(pexpect.EOF)
        self.child.close()
        assert self.child.exitstatus == code, self.text


@pytest.fixture
def terminal(run_folder: Path, workspace: Path, home: Path) -> Iterator[Terminal]:
    opened = Terminal(workspace, run_folder)
    opened.ready()
    yield opened
    opened.child.close(force=True)


def _records(home: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((home / "tasks").glob("*.json"))]


def test_a_task_is_shown_run_and_recorded(terminal: Terminal, home: Path) -> None:
    terminal.say("list the files")
    terminal.expect("These are the files")
    terminal.ready()
    terminal.say("/quit")
    terminal.end(0)
    for part in ("plan  list the files", "$ ls", "a.txt\nnotes.txt", "sandbox bwrap", "memory off", "ask"):
        assert part in terminal.text, part
    assert "\x1b[?1049h" not in terminal.raw and "\x1b[2J" not in terminal.raw  # never the alternate screen
    [record] = _records(home)
    assert (record["request"], record["commands"][0]["command"]) == ("list the files", "ls")


def test_accept_edit_reject_and_abort(terminal: Terminal, workspace: Path, home: Path) -> None:
    terminal.say("make the folder old")
    terminal.expect(r"\[y\]es")
    terminal.child.send("y")
    terminal.expect("The folder is made")
    terminal.ready()
    assert (workspace / "old").is_dir()
    terminal.say("delete notes.txt")
    terminal.expect(r"\[y\]es")
    terminal.child.send("e")
    terminal.expect("edit ›")
    terminal.child.send("\x15rm a.txt\r")  # ^U clears the line
    terminal.expect("It is deleted")
    terminal.ready()
    assert not (workspace / "a.txt").exists() and (workspace / "notes.txt").exists()
    terminal.say("delete notes.txt")
    terminal.expect(r"\[y\]es")
    terminal.child.send("n")
    terminal.expect("why not")
    terminal.child.send("\r")
    terminal.child.expect([r"\[y\]es", "no usable command"])
    terminal.child.send("\x03")
    terminal.ready()
    assert (workspace / "notes.txt").exists()
    terminal.child.sendcontrol("d")
    terminal.end(0)
    made, edited, rejected = _records(home)
    assert (made["outcome"], made["by"], made["commands"][0]["decision"]) == ("success", "user", "accept")
    assert edited["commands"][0]["edited_from"] == "rm notes.txt" and edited["commands"][0]["command"] == "rm a.txt"
    assert rejected["commands"][0]["decision"] == "reject" and rejected["commands"][0]["status"] is None


def test_keys_typed_before_the_question_do_not_answer_it(terminal: Terminal, workspace: Path) -> None:
    terminal.child.send("make the folder old\ry")  # in one write: the key is there before the model has planned
    terminal.expect(r"\[y\]es")
    time.sleep(0.5)
    assert not (workspace / "old").exists()
    terminal.child.send("q")
    terminal.expect("aborted by the user")
    assert not (workspace / "old").exists()


def test_always_asks_no_more(terminal: Terminal, workspace: Path) -> None:
    terminal.say("make the folder old")
    terminal.expect(r"\[y\]es")
    terminal.child.send("a")
    terminal.expect("The folder is made")
    terminal.ready()
    (workspace / "old").rmdir()
    terminal.say("make the folder old")
    terminal.expect("The folder is made")
    assert (workspace / "old").is_dir()


def test_ctrl_c_stops_the_command_then_idle_twice_quits(terminal: Terminal, home: Path) -> None:
    terminal.say("/mode full")
    terminal.ready()
    terminal.say("wait a long time")
    terminal.expect(r"\$ sleep 30")
    time.sleep(0.5)
    began = time.monotonic()
    terminal.child.sendcontrol("c")
    terminal.expect("interrupted")
    terminal.ready()
    assert time.monotonic() - began < 15
    terminal.child.sendcontrol("c")
    terminal.expect("again quits")
    terminal.ready()
    terminal.child.sendcontrol("c")
    terminal.end(130)
    assert _records(home)[0]["commands"][0]["ended"] == "interrupted"


def test_the_users_own_command_shares_the_shell(terminal: Terminal, workspace: Path, home: Path) -> None:
    (workspace / "sub").mkdir()
    (workspace / "sub" / "notes.txt").write_text("x")
    terminal.say("!cd sub; X=7")
    terminal.ready()
    terminal.say("!echo is:$X")
    terminal.expect("is:7")
    terminal.ready()
    terminal.say("list the files")
    terminal.expect("These are the files")
    assert _records(home)[0]["kind"] == "user" and _records(home)[0]["commands"][0]["by"] == "user"
    assert terminal.text.count("a.txt") == 0


def test_undo_takes_back_what_a_command_changed(terminal: Terminal, workspace: Path) -> None:
    terminal.say("delete notes.txt")
    terminal.expect(r"\[y\]es")
    terminal.child.send("y")
    terminal.expect("It is deleted")
    terminal.ready()
    assert not (workspace / "notes.txt").exists()
    (workspace / "mine.txt").write_text("made by the user meanwhile")
    terminal.say("/undo")
    terminal.expect("notes.txt")
    terminal.expect(r"\[y\]es")
    terminal.child.send("y")
    terminal.expect("undone")
    terminal.ready()
    assert (workspace / "notes.txt").read_text() == "secret plans\n"
    assert (workspace / "mine.txt").exists()  # what others did stays
    terminal.say("/undo")
    terminal.expect("nothing to undo")


def test_slash_commands(terminal: Terminal, run_folder: Path, home: Path) -> None:
    for said, expected in (("/help", "!COMMAND"), ("/status", "workspace"), ("/mode", "the modes are"),
                           ("/mode wild", "no mode wild"), ("/memory", "memory is off"), ("/undo", "nothing to undo"),
                           ("/model", str(run_folder.name)), ("/frobnicate", "no command /frobnicate"),
                           ("/sta", "did you mean /status"), ("/log", "no task yet"),
                           ("/model /nowhere", "no model at")):
        terminal.say(said)
        terminal.expect(re.escape(expected))
        terminal.ready()
    assert not (home / "tasks").exists() or not _records(home)  # none of it was a task


def test_a_pasted_text_of_many_lines_is_one_message(terminal: Terminal, home: Path) -> None:
    terminal.child.send("\x1b[200~list the files\n\n\x1b[201~")
    terminal.say("")
    terminal.expect("These are the files")
    terminal.ready()
    assert len(_records(home)) == 1


def test_history_is_private_and_survives(terminal: Terminal, home: Path, run_folder: Path, workspace: Path) -> None:
    terminal.say("list the files")
    terminal.expect("These are")
    terminal.ready()
    terminal.say("/quit")
    terminal.end(0)
    assert os.stat(home / "history").st_mode & 0o777 == 0o600
    again = Terminal(workspace, run_folder)
    again.ready()
    again.child.send("\x1b[A\x1b[A\r")  # up, up: /quit, list the files
    again.expect("These are")
    again.child.close(force=True)


def test_plain_moves_no_cursor_and_no_color_has_no_colour(run_folder: Path, workspace: Path, home: Path) -> None:
    flat = Terminal(workspace, run_folder, "--plain")
    flat.ready()
    flat.child.send("make the folder old\n")
    flat.expect(r"\[y\]es")
    flat.child.send("y\n")
    flat.expect("The folder is made")
    flat.child.send("/quit\n")
    flat.end(0)
    assert "\x1b" not in flat.raw
    grey = Terminal(workspace, run_folder, NO_COLOR="1")
    grey.ready()
    grey.say("list the files")
    grey.expect("These are")
    grey.child.close(force=True)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7][0-9;]*m", grey.raw)


def test_hostile_output_does_not_reach_the_terminal(terminal: Terminal, workspace: Path) -> None:
    (workspace / "a.txt").write_bytes(b"\x1b]52;c;aGk=\x07\x1b[2J\x1b]0;owned\x07 text \x9b31m\n")
    terminal.say("show a.txt, then count its lines")
    terminal.expect("Both are above")
    assert "\x1b]52" not in terminal.raw and "\x1b]0;owned" not in terminal.raw and "\x1b[2J" not in terminal.raw


def test_sigterm_and_a_closed_terminal(terminal: Terminal, run_folder: Path, workspace: Path) -> None:
    terminal.child.kill(signal.SIGTERM)
    terminal.end(143)
    other = Terminal(workspace, run_folder)
    other.ready()
    other.say("make the folder old")
    other.expect(r"\[y\]es")
    other.child.close(force=False)  # hang up while an approval is pending: that is a no
    deadline = time.monotonic() + 10
    while other.child.isalive() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not other.child.isalive() and not (workspace / "old").exists()


@pytest.mark.slow
def test_a_verified_task_is_remembered_in_the_background(run_folder: Path, workspace: Path, home: Path) -> None:
    opened = Terminal(workspace, run_folder, memory="auto")
    opened.ready()
    opened.say("make the folder old")
    opened.expect(r"\[y\]es")
    opened.child.send("y")
    opened.expect("remembering in the background")
    opened.ready()  # at once
    opened.child.timeout = 180
    opened.expect("(remembered m|approval as m|not remembered \\(m)0001")
    opened.say("/memory")
    opened.expect("1 in all")
    opened.say("/quit")
    opened.end(0)
    assert _records(home)[0]["memory"]["id"] == "m0001"
