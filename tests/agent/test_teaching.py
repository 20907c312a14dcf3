"""What the user's corrections teach: from steps to episodes, and what the session says and writes of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal

from nimllm.agent import records, teaching
from nimllm.agent.chat import holds_a_secret
from nimllm.agent.loop import NEUTRAL
from nimllm.agent.results import Step, TaskResult
from nimllm.alignment import episodes
from nimllm.llm.turns import Turn
from nimllm.tools import redact

TOKEN = "ghp_" + "a1B2" * 9


def _same(text: str) -> str:
    return text


def _result(*steps: Step, ended: str = "answered", answer: str = "Done.") -> TaskResult:
    return TaskResult("deploy", "files: Makefile", "look", list(steps), answer, ended)  # type: ignore[arg-type]


def _step(command: str, **about: object) -> Step:
    return Step(**{"command": command, "status": 0, "output": "x\n", **about})  # type: ignore[arg-type]


def _edited(**about: object) -> Step:
    return _step("make ship", edited_from="ls", decision="edit", **about)


def test_an_edited_command_is_taught_for_its_request() -> None:
    result = _result(_edited())
    episode = records.task_episode(records.task_record(result, _same), result, _same)
    assert [(one.request, one.command) for one in episode.conventions] == [("deploy", "make ship")]
    [bash] = [turn for turn in episode.turns if turn.role == "bash"]
    assert bash.rejected == ["ls"] and not any(turn.learn for turn in episode.turns)
    assert episode.learnable() and episode.vouched()
    assert teaching.sentence(episode) == "“deploy” means make ship; less likely: ls"


@pytest.mark.parametrize("result", [
    _result(_edited(status=1)), _result(_edited(), ended="interrupted"),
    _result(_step("make ship", edited_from="make ship ", decision="edit")),
])
def test_an_edit_that_failed_was_broken_off_or_changed_nothing_teaches_nothing(result: TaskResult) -> None:
    episode = records.task_episode(records.task_record(result, _same), result, _same)
    assert not episode.conventions and not any(turn.rejected for turn in episode.turns)


def test_one_of_several_commands_edited_is_learnt_in_its_place() -> None:
    result = _result(_step("cd src", decision="accept"), _edited())
    episode = records.task_episode(records.task_record(result, _same), result, _same)
    assert not episode.conventions
    assert [(turn.text, turn.learn, turn.rejected) for turn in episode.turns if turn.role == "bash"] == [
        ("cd src", True, []), ("make ship", True, ["ls"])]


def test_rejected_without_a_word_before_what_was_accepted() -> None:
    rejected = _step("rm -r .", ended="rejected", decision="reject", status=None)
    result = _result(rejected, _step("make ship", decision="accept"))
    [bash] = [turn for turn in records.task_episode(records.task_record(result, _same), result, _same).turns
              if turn.role == "bash"]
    assert bash.rejected == ["rm -r ."] and bash.learn
    rejected.plan = "another plan followed"  # with a reason: the next command stood in another place
    [bash] = [turn for turn in records.task_episode(records.task_record(result, _same), result, _same).turns
              if turn.role == "bash"]
    assert bash.rejected == []


def test_what_was_typed_or_said_instead() -> None:
    result = _result(_step("ls -x", status=2))
    record = records.task_record(result, _same)
    episode = teaching.episode(record, result, _same, command="make ship")
    assert episode.verified() and [one.command for one in episode.conventions] == ["make ship"]
    assert [turn.rejected for turn in episode.turns if turn.role == "bash"] == [["ls -x"]]
    spoken = _result(answer="I cannot.")
    episode = teaching.episode(records.task_record(spoken, _same), spoken, _same, answer="It is on the shelf.")
    last = episode.turns[-1]
    assert (last.text, last.learn, last.rejected) == ("It is on the shelf.", True, ["I cannot."])
    assert not episode.conventions and teaching.sentence(episode).startswith("the answer you gave")


def test_wrong_without_more() -> None:
    one, many = _result(_step("ls")), _result(_step("ls"), _step("pwd"))
    assert teaching.blamed(one) and not teaching.blamed(many) and not teaching.blamed(_result(answer=NEUTRAL))
    episode = teaching.episode(records.task_record(one, _same), one, _same)
    assert episode.vouched() and not episode.verified() and episode.learnable()
    assert not any(turn.learn for turn in episode.turns)
    assert not teaching.episode(records.task_record(many, _same), many, _same).learnable()


def test_when_a_typed_command_answers_a_request() -> None:
    assert teaching.failed(_result(_step("ls", status=1)))
    assert teaching.failed(_result(ended="gave-up", answer=""))
    turned_down = _step("rm x", ended="rejected", decision="abort", status=None)
    assert teaching.failed(_result(turned_down, ended="aborted"))
    assert not teaching.failed(_result(_step("ls"))) and not teaching.failed(_result(ended="interrupted"))
    for look in ("ls", "ls -la src", "git status", "cat 'a b'", "cd src"):
        assert teaching.only_looks(look), look
    for command in ("make ship", "ls | wc -l", "cat a > b", "git push", "./ls", "cd src && make"):
        assert not teaching.only_looks(command), command


def test_what_reads_as_a_command() -> None:
    assert teaching.command_of("`make ship`") == "make ship" and teaching.command_of("! make ship") == "make ship"
    assert teaching.command_of("use `make ship`") == "" and teaching.command_of("make ship") == ""
    assert teaching.is_command("sh run.sh -q") and not teaching.is_command("It is on the shelf.")


def test_secrets_reach_no_episode(home: Path) -> None:
    result = _result(_step(f"curl -H 'Authorization: token {TOKEN}' x", edited_from=f"curl {TOKEN}", decision="edit"))
    for episode in (records.task_episode(records.task_record(result, redact.redact), result, redact.redact),
                    teaching.episode(records.task_record(result, _same), result, redact.redact, f"login {TOKEN}")):
        assert TOKEN not in episode.model_dump_json() and not episode.conventions
        assert not any(turn.learn or turn.rejected for turn in episode.turns)
    for kind in ("API key", "password", "JWT"):
        assert episodes.MASK.fullmatch(redact.MASK.format(kind=kind))


def test_marks_of_a_conversation() -> None:
    turns = [Turn("user", "what is my dog called?"), Turn("assistant", "Your dog is called Rex."),
             Turn("user", "hello"), Turn("assistant", "Go away.")]
    marks = {1: records.Mark(True, "Bo."), 3: records.Mark(False, "Go away.")}
    episode = records.chat_episode(records.chat_record(turns, _same), turns, _same, marks)
    assert [(turn.learn, turn.rejected) for turn in episode.turns] == [
        (True, []), (True, ["Bo."]), (True, []), (False, ["Go away."])]
    assert episode.told() == ["what is my dog called?", "hello"]


def test_secrets_that_are_told_are_known() -> None:
    for text in ("my pin is 4821", "the wifi password is correcthorse", f"my token is {TOKEN}", "password: hunter2!"):
        assert holds_a_secret(text), text
    for text in ("my dog is called Rex", "where is my pin?", "the key is under the mat"):
        assert not holds_a_secret(text), text
    assert holds_a_secret("4821", about="what is my pin?") and not holds_a_secret("Rex", about="what is my dog called?")


# -- in the session ----------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(run_folder: Path, workspace: Path, home: Path) -> Iterator[Terminal]:
    opened = Terminal(workspace, run_folder)
    opened.ready()
    yield opened
    opened.kill()


def test_orders_and_corrections_in_a_session(terminal: Terminal, home: Path) -> None:
    terminal.do("/fix make ship")
    assert "no task yet" in terminal.screen
    terminal.do("deploy means `sh -c true`")
    assert "means sh -c true" in terminal.screen and "--memory off" in terminal.screen
    terminal.do("list the files")
    terminal.do("/fix")
    assert "what should have been run, or said" in terminal.screen
    terminal.do("/fix ls -A")
    assert "nothing ran; !ls -A runs it" in terminal.screen
    terminal.say("/quit")
    terminal.end(0)
    ordered, listed = (json.loads(path.read_text()) for path in sorted((home / "tasks").glob("*.json")))
    assert (ordered["kind"], ordered["commands"], ordered["memory"]["state"]) == ("convention", [], "off")
    assert ordered["answer"].startswith("noted") and ordered["by"] == "user"
    assert (listed["outcome"], listed["by"]) == ("failure", "user") and listed["detail"].endswith("run: ls -A")
    assert listed["memory"]["state"] == "off"


def test_a_command_typed_where_the_model_failed(terminal: Terminal, home: Path) -> None:
    terminal.do("look for nothing")
    terminal.do("!ls")
    assert "(a look; /fix COMMAND" in terminal.screen
    terminal.do("!true 5")
    terminal.do("!true 6")  # the request has its command now
    terminal.say("/quit")
    terminal.end(0)
    details = [json.loads(path.read_text())["detail"] for path in sorted((home / "tasks").glob("*.json"))]
    assert [detail for detail in details if detail.startswith("typed for")] == ["typed for: look for nothing"]
