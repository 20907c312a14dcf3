"""Typing while the agent works: the queue, the draft, and questions that no stray key answers."""

import time
from pathlib import Path

import pytest
from terminal import Common, Terminal


@pytest.fixture
def terminal(common: Common) -> Terminal:
    return common.terminal


@pytest.fixture
def workspace(common: Common) -> Path:
    return common.workspace


def test_keys_typed_before_the_question_do_not_answer_it(terminal: Terminal, workspace: Path) -> None:
    terminal.type("make the folder old\ry")  # in one write: the key is there before the model has planned
    terminal.see(r"Tab, then \[y\]es")  # it began a draft
    time.sleep(0.5)
    assert not (workspace / "old").exists() and terminal.input == "y"
    terminal.type("\tq")
    terminal.expect("aborted by the user")
    assert not (workspace / "old").exists()
    terminal.typed("y")  # the draft is still there


def test_a_draft_survives_the_question_and_its_answers(terminal: Terminal, workspace: Path) -> None:
    terminal.say("delete notes.txt")
    terminal.type("then list ")
    terminal.see(r"Tab, then \[y\]es")
    terminal.type("the files")  # goes on into the draft
    terminal.typed("then list the files")
    assert (workspace / "notes.txt").exists()
    terminal.type("\te")
    terminal.see("edit › rm notes.txt")
    terminal.type("\x15rm a.txt\r")
    terminal.expect("It is deleted")
    terminal.typed("then list the files")
    assert not (workspace / "a.txt").exists() and (workspace / "notes.txt").exists()


def test_an_answer_may_be_typed_as_a_word(terminal: Terminal, workspace: Path, common: Common) -> None:
    terminal.say("make the folder old")
    terminal.answer("yes\r")
    terminal.ready()
    assert (workspace / "old").is_dir() and terminal.input == "" and common.requests() == ["make the folder old"]


def test_messages_wait_in_order_while_a_task_runs(terminal: Terminal, common: Common) -> None:
    terminal.do("/mode full")
    terminal.say("!sleep 1.5; echo slept")
    for message in ("list the files", "!echo mine", "count up"):
        terminal.say(message)
    terminal.see("queued: list the files\n  queued: !echo mine\n  queued: count up")
    terminal.type("\x1b[A")  # ↑ on an empty line takes the newest back
    terminal.typed("count up")
    assert "queued: count up" not in terminal.screen
    terminal.type("\x15")
    terminal.say("how many files are here?")
    terminal.ready()
    assert common.requests() == ["sleep 1.5; echo slept", "list the files", "echo mine", "how many files are here?"]
    shown = terminal.scrollback
    assert shown.index("│ slept") < shown.index("› list the files") < shown.index("│ mine") < shown.index("wc -l")


def test_what_only_looks_does_not_wait(terminal: Terminal) -> None:
    terminal.say("!sleep 2; echo slept")
    terminal.say("/status")
    terminal.expect("workspace")
    assert "│ slept" not in terminal.screen
    terminal.ready()
    assert "│ slept" in terminal.screen


def test_stopping_a_task_holds_what_waits(terminal: Terminal, common: Common) -> None:
    terminal.say("!sleep 30")
    terminal.say("list the files")
    terminal.see("queued: list the files")
    terminal.type("\x03")
    terminal.expect(r"1 message waits: Enter goes on with it, \^C drops it")
    time.sleep(0.5)
    assert common.requests() == ["sleep 30"]
    terminal.type("\r")
    terminal.expect("These are the files")
    terminal.ready()
    terminal.say("!sleep 30")
    terminal.say("count up")
    terminal.type("\x03")
    terminal.expect("1 message waits")
    terminal.type("\x03")
    terminal.expect("dropped 1 message")
    terminal.ready()
    assert common.requests() == ["sleep 30", "list the files", "sleep 30"]


def test_ctrl_c_leaves_the_draft_while_a_task_runs_and_clears_it_after(terminal: Terminal) -> None:
    terminal.say("!sleep 30")
    terminal.type("half a thou")
    terminal.typed("half a thou")
    terminal.type("\x03")
    terminal.expect("interrupted")
    terminal.typed("half a thou")
    terminal.type("\x03")
    terminal.ready()
    terminal.type("\x1b[A")
    terminal.typed("half a thou")  # even then ↑ finds it


def test_a_paste_while_a_task_runs_is_one_message(terminal: Terminal, common: Common) -> None:
    terminal.say("!sleep 1")
    terminal.type("\x1b[200~list the files\n\n\x1b[201~")
    terminal.expect("list the files")
    terminal.type("\r")
    terminal.expect("These are the files")
    terminal.ready()
    assert len(common.requests()) == 2


def test_a_paste_never_answers(terminal: Terminal, workspace: Path) -> None:
    terminal.say("make the folder old")
    terminal.see(r"\[y\]es")
    time.sleep(0.4)
    terminal.type("\x1b[200~yes\n\x1b[201~")
    terminal.see(r"Tab, then")
    assert not (workspace / "old").exists()


def test_up_and_down_keep_the_draft(terminal: Terminal) -> None:
    terminal.do("/status")
    terminal.type("a new thought\x1b[A")
    terminal.typed("/status")
    terminal.type("\x1b[B")
    terminal.typed("a new thought")


def test_search_in_the_history(terminal: Terminal) -> None:
    terminal.do("!echo first")
    terminal.do("!echo second")
    terminal.type("\x12fir")
    terminal.typed("!echo first")
    terminal.type("\r\r")
    terminal.expect("│ first")
    terminal.ready()
    assert terminal.screen.count("│ first") == 2


def test_several_lines(terminal: Terminal, common: Common) -> None:
    terminal.type("!echo one\\\r echo two\x1b\r echo three\r")
    terminal.expect("│ three")
    terminal.ready()
    assert common.requests() == ["echo one\n echo two\n echo three"]


def test_the_editor(terminal: Terminal) -> None:
    terminal.type("something\x18\x05")  # as in bash, what is written there is done when the editor ends
    terminal.expect("These are the files")
    terminal.ready()
