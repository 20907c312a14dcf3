"""Which of several commands is run: what falls away, what is alike, what a trial shows. Real bash, real trials."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nimllm.agent.choose import (
    Candidate,
    Chooser,
    agree,
    elsewhere,
    failed,
    likeness,
    merge,
    missing,
    normal,
    search_path,
)
from nimllm.agent.hooks import Hooks
from nimllm.agent.loop import Agent
from nimllm.tools import policy, sandbox
from nimllm.tools.overlay import Overlay, Trial


def trial(out: str = "", err: str = "", status: int | None = 0, ended: str = "done", **changes: str) -> Trial:
    return Trial("x", status, out, err, changes, ended)  # type: ignore[arg-type]


@pytest.fixture
def view(workspace: Path, home: Path) -> Iterator[Overlay]:
    with Overlay(sandbox.probe(workspace)) as made:
        if made.problem:
            pytest.skip(made.problem)
        yield made


def chooser(workspace: Path, mode: str = "auto", view: Overlay | None = None, seconds: float = 20.0) -> Chooser:
    return Chooser(lambda command, mode: policy.judge(command, mode, (), workspace), mode, view, seconds)


def said(*commands: str | tuple[str, int]) -> list[Candidate]:
    """One sample per command; a number says how often it was said. The first ones are the likelier ones."""
    pairs = [each if isinstance(each, tuple) else (each, 1) for each in commands]
    return [Candidate(command, weight=count, logprob=-float(place)) for place, (command, count) in enumerate(pairs)]


# ---- what falls away -----------------------------------------------------------------------------------------------


def test_what_says_the_same_is_one() -> None:
    one, two = merge(said("ls  -l ;", "ls -l", ("echo 'a  b'", 2), "echo 'a b'", " ls -l\n"))[:2]
    assert (one.command, one.weight, two.weight) == ("ls  -l ;", 3, 2)
    assert normal("echo 'a  b'") != normal("echo 'a b'") and normal("ls  a") == normal("ls a;")


def test_commands_that_do_not_parse_or_have_failed_are_left_out(workspace: Path) -> None:
    kept = chooser(workspace).sift(said("echo 'oops", "", "  ", "ls", "cat  a.txt", "fi", "wc -l <"), workspace, b"",
                                   ["cat a.txt"])
    assert [one.command for one in kept] == ["ls"]


@pytest.mark.parametrize(("command", "lacking"), [
    ("ls | sort", ""), ("no-such-tool a", "no-such-tool"), ("ls && no-such-tool", "no-such-tool"),
    ("f() { ls; }; f", ""), ("if true; then [ -f a ]; fi", ""), ("$X a", ""), ("x=1; export x", ""), ("./run.sh", ""),
    ("./gone.sh", "./gone.sh"), ("chmod +x gone.sh && ./gone.sh", ""), ("echo $(no-such-tool)", "no-such-tool"),
    ("plain.txt", "plain.txt"), ("for f in *; do nope $f; done", "nope"), ("cd sub && ./gone.sh", "")])
def test_programs_that_nobody_has(command: str, lacking: str, tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "plain.txt").write_text("x")
    assert missing(command, tmp_path, "/usr/bin:/bin") == lacking


def test_functions_and_aliases_of_the_live_shell_exist(generator: Any, shell: Any, workspace: Path) -> None:
    shell.run("greet() { echo hi; }; alias ll='ls -l'; mkdir bin; printf '#!/bin/sh\\n' > bin/mine; chmod +x bin/mine; "
              "export PATH=$PWD/bin:$PATH; set -f")
    agent = Agent(generator, shell, "auto")
    path = search_path(shell.exports)
    for name in ("greet", "ll -a", "mine"):
        assert missing(name, workspace, path, agent._known) == ""
    assert missing("greeet", workspace, path, agent._known) == "greeet"


def test_what_the_policy_refuses_comes_last(workspace: Path) -> None:
    choose = chooser(workspace, "read-only")
    kept = choose.sift(said(("rm a.txt", 5), "ls"), workspace, b"")
    assert [bool(one.fault) for one in kept] == [True, False]
    choice = choose.choose(kept, "", workspace, b"")
    assert choice.candidate.command == "ls" and "refuses" in choice.why
    kept = choose.sift(said("rm a.txt", "rm notes.txt"), workspace, b"")
    assert choose.choose(kept, "", workspace, b"").candidate.command == "rm a.txt"  # so that the refusal can be told


# ---- effects -------------------------------------------------------------------------------------------------------


def test_likeness_is_one_for_equal_effects_only() -> None:
    assert likeness(trial("a\nb\n"), trial("a \n\nb\n")) == 1.0 == likeness(trial("./a.py\n"), trial("a.py\n"))
    assert likeness(trial("a\nb\n"), trial("b\na\n")) == 0.9
    near, far = likeness(trial("3 a.txt\n"), trial("3\n")), likeness(trial("3 a.txt\n"), trial("7\n"))
    assert 0 < far + near < 1.2 and near > far
    assert likeness(trial(a="gone"), trial(a="gone")) == 1.0
    assert 0 < likeness(trial(a="gone", b="gone"), trial(a="gone")) < 1
    assert likeness(trial("x", status=0), trial("x", status=1)) == 0.5
    assert likeness(trial(status=1, err="no a\n"), trial(status=1, err="syntax\n")) < 1


def test_the_effect_most_agree_on_wins() -> None:
    """The first guess alone has more votes than any other wording; together the others do the same thing."""
    candidates = said(("ls", 3), ("find . -maxdepth 1", 2), ("printf '%s\\n' *", 2))
    for one, out in zip(candidates, ("a\nb\nc\n", "x\ny\n", "y\nx\n"), strict=True):
        one.trial = trial(out)
    assert agree(candidates).command in ("find . -maxdepth 1", "printf '%s\\n' *")
    assert candidates[0].score == pytest.approx(3.0) and candidates[1].score == pytest.approx(3.8)


def test_equal_scores_are_broken_by_likelihood() -> None:
    candidates = said("b", "a")
    candidates[0].logprob, candidates[1].logprob = -2.0, -1.0
    assert agree(candidates).command == "a"


def test_failing_loses_unless_all_fail() -> None:
    candidates = said(("mv old new", 6), "cp x y")
    candidates[0].trial = trial(err="mv: cannot stat 'old': No such file or directory\n", status=1)
    candidates[1].trial = trial(y="file 644 1")
    assert agree(candidates, "rename it").command == "cp x y"
    candidates[1].trial = trial()  # it found nothing to do, and said so by silence
    assert agree(candidates, "rename it").command == "mv old new"
    candidates[1].trial = trial(err="cp: something else\n", status=1)
    assert agree(candidates, "rename it").command == "mv old new"


@pytest.mark.parametrize(("tried", "request_", "bad"), [
    (trial(status=1), "is it there?", False),  # grep -q: no is an answer
    (trial("1c1\n", status=1), "compare", False),
    (trial(err="ls: cannot access 'x.txt': No such file or directory\n", status=2), "show x.txt", False),
    (trial(err="ls: cannot access 'y.txt': No such file or directory\n", status=2), "show x.txt", True),
    (trial(err="touch: cannot touch '/etc/x': Read-only file system\n", status=1), "make it", False),
    (trial(err="curl: (6) Could not resolve host: a\n", status=6), "fetch it", False),
    (trial(err="half of it failed\n", status=1, a="gone"), "do it", False),
    (trial(err="rm: cannot remove 'd': Is a directory\n", status=1), "delete d", True),
    (trial(err="warning\n"), "do it", False)])
def test_what_counts_as_failing(tried: Trial, request_: str, bad: bool) -> None:
    assert failed(tried, request_) is bad


def test_a_request_about_another_machine_is_not_tried(workspace: Path) -> None:
    assert elsewhere("list /no-such-root/data please") == "/no-such-root/data"
    assert elsewhere("list /usr and make /tmp/new.txt, 1/2 of it, see http://a.b/c") == ""
    assert elsewhere("list /nowhere") == "/nowhere" and elsewhere("list the files") == ""


# ---- trials --------------------------------------------------------------------------------------------------------


def test_the_first_guess_that_fails_is_passed_over(view: Overlay, workspace: Path) -> None:
    before = sorted(path.name for path in workspace.iterdir())
    choose = chooser(workspace, view=view)
    kept = choose.sift(said(("cat b.txt", 5), "rm -r a.txt/x", "cat a.txt", "head a.txt"), workspace, b"")
    choice = choose.choose(kept, "show it", workspace, b"")
    assert choice.candidate.command in ("cat a.txt", "head a.txt") and "No such file" in choice.why
    assert sorted(path.name for path in workspace.iterdir()) == before


def test_a_majority_that_works_spares_the_other_trials(view: Overlay, workspace: Path) -> None:
    choose = chooser(workspace, view=view)
    kept = choose.sift(said(("wc -l a.txt", 5), "sleep 15", "cat a.txt"), workspace, b"")
    choice = choose.choose(kept, "count", workspace, b"")
    assert choice.candidate.command == "wc -l a.txt" and not choice.why
    assert [one.trial is not None for one in choice.candidates] == [True, False, False]


def test_a_catastrophe_and_the_unreadable_are_never_tried(view: Overlay, workspace: Path) -> None:
    choose = chooser(workspace, "full", view)
    kept = choose.sift(said("rm -rf ~", ":(){ :|:& };:", "ls\u200b", "echo fine", "pwd"), workspace, b"")
    choice = choose.choose(kept, "", workspace, b"")
    tried = {one.command for one in choice.candidates if one.trial is not None}
    assert tried and tried <= {"echo fine", "pwd"}


def test_what_would_be_asked_about_may_be_tried(view: Overlay, workspace: Path) -> None:
    choose = chooser(workspace, "ask", view)
    kept = choose.sift(said(("rm b.txt", 3), "rm notes.txt", "unlink notes.txt"), workspace, b"")
    choice = choose.choose(kept, "delete the notes", workspace, b"")
    assert choice.candidate.command in ("rm notes.txt", "unlink notes.txt") and (workspace / "notes.txt").exists()


def test_slow_commands_are_judged_by_their_samples(view: Overlay, workspace: Path) -> None:
    choose = chooser(workspace, view=view, seconds=0.6)
    kept = choose.sift(said(("sleep 50", 3), "sleep 60"), workspace, b"")
    assert choose.choose(kept, "", workspace, b"").candidate.command == "sleep 50"


def test_a_garbled_name_is_mended_and_a_misplaced_one_is_tried(view: Overlay, workspace: Path) -> None:
    (workspace / "sub").mkdir()
    (workspace / "sub" / "deep.txt").write_text("x\n")
    choose = chooser(workspace, view=view)
    (one,) = choose.sift(said("wc -l notos.txt"), workspace, b"", request="count the lines of notes.txt")
    assert (one.command, one.said) == ("wc -l notes.txt", "wc -l notos.txt")
    (one,) = choose.sift(said("cat deep.txt"), workspace, b"", request="show deep.txt")
    assert one.command == "cat sub/deep.txt"
    kept = choose.sift(said("mv deep.txt up.txt"), workspace, b"", request="move the deep one up")
    assert choose.choose(kept, "move the deep one up", workspace, b"").candidate.command == "mv sub/deep.txt up.txt"
    kept = choose.sift(said("rm deep.txt"), workspace, b"", request="remove the deep one")
    assert choose.choose(kept, "remove the deep one", workspace, b"").candidate.command == "rm deep.txt"


# ---- in the loop ---------------------------------------------------------------------------------------------------


class Choices(Hooks):
    def __init__(self) -> None:
        self.made: list[Any] = []
        self.notices: list[str] = []
        self.plans: list[str] = []

    def chosen(self, choice: Any) -> None:
        self.made.append(choice)

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def plan(self, text: str) -> None:
        self.plans.append(text)


def test_samples_run_one_command_and_leave_nothing_else(generator: Any, shell: Any, workspace: Path) -> None:
    seen = Choices()
    agent = Agent(generator, shell, "auto", samples=6, try_first=True, try_seconds=20)
    result = agent.task("make the folder old", seen)
    assert [step.command for step in result.steps] == ["mkdir old"] and result.code == 0
    assert sum(one.weight for one in seen.made[0].candidates) >= 3 and (workspace / "old").is_dir()
    assert sorted(path.name for path in workspace.iterdir()) == ["a.txt", "notes.txt", "old"]
    assert seen.plans[-1] == result.plan


def test_without_a_sandbox_nothing_is_tried_and_that_is_said(generator: Any, workspace: Path, home: Path) -> None:
    from nimllm.tools.shell import Shell

    with Shell(workspace, sandbox.probe(workspace, want="none")) as bare:
        seen = Choices()
        agent = Agent(generator, bare, "full", samples=4, try_first=True)
        assert agent.task("list the files", seen).steps[0].command == "ls"
        agent.task("list the files", seen)
    assert sum("nothing is tried first" in text for text in seen.notices) == 1
    assert all(one.trial is None for choice in seen.made for one in choice.candidates)


def test_the_command_line_knows_samples(agent: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path,
                                        workspace: Path) -> None:
    done = agent("--mode", "auto", "-p", "make the folder old", "--samples", "4", "--try-first")
    assert done.returncode == 0 and (workspace / "old").is_dir(), done.stderr
    for words in (["--samples", "0"], ["--samples", "1", "--try-first"], ["--samples", "2", "--try-seconds", "0"]):
        assert agent("-p", "list the files", *words).returncode == 2
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"query": "list the files"}\n{"query": ""}\n{"query": "delete notes.txt"}\n')
    done = agent("--plan-only", "--requests", str(rows), "--samples", "4", "--try-first")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ['{"query": "list the files", "command": "ls"}', '{"query": "", "command": ""}',
                                        '{"query": "delete notes.txt", "command": "rm notes.txt"}']
    assert (workspace / "notes.txt").exists()
