"""Rules that a user writes down: strictest wins, examples are checked, a project's rules only tighten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nimllm.errors import CONFIG, NimError
from nimllm.tools import rules
from nimllm.tools.policy import judge

ROOT = Path(__file__).resolve().parents[2]
GIT = """
[[rule]]
prefix = ["git", ["push", "fetch"]]
decision = "forbid"
reason = "releases are pushed by hand"
match = ["git push origin main", "git -C x push", "/usr/bin/git --no-pager fetch", "bash -c 'ls; git push'",
         "ls | xargs git push", "echo $(git push)", "find . -exec git push {} +", "env A=1 git push"]
not_match = ["git commit -m push", "git status", "echo git push"]

[[rule]]
prefix = "git"
decision = "allow"
match = ["git push", "git add x"]
not_match = ["/usr/bin/git add x", "gitx"]

[[rule]]
prefix = ["rm"]
decision = "ask"
match = ["rm x"]

[[rule]]
prefix = ["rm"]
decision = "allow"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "nimllm"
    folder.mkdir(parents=True)
    return folder


def in_force(text: str) -> rules.Rules:
    return rules.Rules(tuple(rules.parse(text, Path("policy.toml"))))


@pytest.mark.parametrize(("command", "actions"), [  # in read-only, ask, auto and full
    ("git add x", "refuse run run run"),
    ("git add x && git commit -m y", "refuse run run run"),
    ("git add x; touch y", "refuse ask run run"),
    ("git add x > y", "refuse ask run run"),
    ("PATH=. git add x", "refuse ask run run"),
    ("./git add x", "refuse ask run run"),
    ("git status", "run run run run"),
    ("find . -exec git add {} +", "refuse ask run run"),  # find may do more than git
    ("git push", "refuse refuse refuse refuse"),
    ("git -c a.b=c push", "refuse refuse refuse refuse"),
    ("g=git; $g push", "refuse refuse refuse refuse"),
    ("ls && (git push)", "refuse refuse refuse refuse"),
    ("eval git push", "refuse refuse refuse refuse"),
    ("git push --force", "refuse refuse refuse refuse"),
    ("git $(cat x)", "refuse ask ask ask"),  # it may be a push, and nobody knows
    ("git p$x", "refuse ask ask ask"),
    ("git c$x", "refuse ask run run"),
    ("rm x", "refuse ask ask ask"),  # ask is stricter than allow
    ("sudo rm x", "refuse ask ask ask"),
    ("ls", "run run run run"),
    ("git add 'x", "refuse ask ask ask"),  # does not parse
    ("git -c core.pager='touch y' log", "refuse ask ask run"),  # a catastrophe is not excused
])
def test_the_strictest_rule_wins(command: str, actions: str) -> None:
    found = in_force(GIT)
    said = [judge(command, mode, (), None, found).action for mode in ("read-only", "ask", "auto", "full")]
    assert said == actions.split()


def test_the_reason_is_the_rules(home: Path) -> None:
    verdict = judge("ls; git push", "auto", (), None, in_force(GIT))
    assert (verdict.reason, verdict.rule) == ("releases are pushed by hand", "rule:git push|fetch")
    assert judge("git add x", "ask", (), None, in_force(GIT)).reason == "your rules allow it"
    assert judge("git add x", "ask", ["git add"], None, in_force(GIT)).reason == "you said always to this"
    assert "asks about rm" in judge("rm x", "auto", (), None, in_force(GIT)).reason
    # a word of the session's does not outweigh a rule
    assert judge("rm x", "ask", ["rm"], None, in_force(GIT)).action == "ask"


@pytest.mark.parametrize(("text", "said"), [
    ('[[rule]]\nprefix = ["git", "push"]\ndecision = "forbid"\nmatch = ["git pull"]', "does not match its own example"),
    ('[[rule]]\nprefix = ["git"]\ndecision = "ask"\nnot_match = ["ls; git pull"]', "matches its own example"),
    ('[[rule]]\nprefix = ["git"]\ndecision = "ask"\nmatch = ["git \'x"]', "does not parse"),
    ('[[rule]]\nprefix = ["git"]\ndecision = "ask"\nmatch = ["git \u202e x"]', "invisible"),
    ('[[rule]]\nprefix = ["git"]\ndecision = "maybe"', "llow, ask or forbid"),
    ('[[rule]]\nprefix = ["git"]', "llow, ask or forbid"),
    ('[[rule]]\ndecision = "ask"', "no prefix"),
    ('[[rule]]\nprefix = []\ndecision = "ask"', "no prefix"),
    ('[[rule]]\nprefix = [[]]\ndecision = "ask"', "neither a word"),
    ('[[rule]]\nprefix = [1]\ndecision = "ask"', "neither a word"),
    ('[[rule]]\nprefix = ["a"]\ndecision = "ask"\nreasons = "x"', "'reasons'"),
    ('[[rule]]\nprefix = ["a"]\ndecision = "ask"\nreason = "a\\u001b[2K"', "one line"),
    ('[[rule]]\nprefix = ["a"]\ndecision = "ask"\nmatch = "a b"', "not a list of commands"),
    ('[rule]\nprefix = ["a"]', "two brackets"),
    ('rules = 1', "'rules'"),
    ('[[rule', "not TOML"),
])
def test_a_wrong_rule_names_file_and_rule(home: Path, text: str, said: str) -> None:
    (home / "policy.toml").write_text(text)
    with pytest.raises(NimError) as error:
        rules.load()
    assert error.value.code == CONFIG and said in error.value.message()
    assert str(home / "policy.toml") in error.value.message()
    if "example" in said:
        assert "rule 1 (git" in error.value.message()


def test_unreadable_files_are_errors(home: Path) -> None:
    (home / "policy.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(NimError):
        rules.load()
    (home / "policy.toml").write_bytes(b"#" * 2_000_000)
    with pytest.raises(NimError):
        rules.load()
    (home / "policy.toml").unlink()
    (home / "policy.toml").mkdir()
    with pytest.raises(NimError):
        rules.load()


def test_a_project_only_tightens(home: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / ".nimllm").mkdir(parents=True)
    (work / ".nimllm" / "policy.toml").write_text(
        '[[rule]]\nprefix = "rm"\ndecision = "allow"\n[[rule]]\nprefix = "make deploy"\ndecision = "forbid"\n'
        '[[rule]]\nprefix = "ls"\ndecision = "ask"\n')
    (home / "policy.toml").write_text('[[rule]]\nprefix = "make"\ndecision = "allow"\n')
    found = rules.load(work)
    assert [rule.spelled for rule in found.rules] == ["make", "make deploy", "ls"]
    assert len(found.files) == 2 and len(found.ignored) == 1 and "rule 1 (rm) is ignored" in found.ignored[0]
    assert judge("rm x", "ask", (), work, found).action == "ask"
    assert judge("make test", "ask", (), work, found).action == "run"
    assert judge("make deploy", "full", (), work, found).action == "refuse"
    assert judge("ls", "auto", (), work, found).action == "ask"
    assert rules.load(tmp_path).rules[0].spelled == "make" and rules.load(None).ignored == ()


def test_a_written_rule_is_read_again(home: Path, tmp_path: Path) -> None:
    odd = ("git", 'a"b\\c', "d\x7fe", "ünï 🎉")
    path = rules.add(odd, "ask", "because \u00e9", "git 'a\"b\\c' $'d\\x7fe' 'ünï 🎉' x")
    rules.add(["make"], "allow", "", "make")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [rule.prefix for rule in rules.load().rules] == [tuple((word,) for word in odd), (("make",),)]
    # a link into somebody's dotfiles stays a link
    target = tmp_path / "dotfile.toml"
    path.rename(target)
    path.symlink_to(target)
    rules.add(["ls"], "ask", "", "ls")
    assert path.is_symlink() and len(rules.load().rules) == 3 and not list(home.glob(".*"))


# ---- the command line --------------------------------------------------------------------------------------------


def nimllm(home: Path, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "XDG_CONFIG_HOME": str(home.parent), "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", "nimllm", "policy", *words], capture_output=True, text=True, env=env,
                          stdin=subprocess.DEVNULL, cwd=cwd or home, timeout=60)


@pytest.mark.parametrize(("words", "code", "said"), [
    (("check", "--", "ls", "-la"), 0, "run: it only reads"),
    (("check", "--", "ls | wc -l; touch y"), 1, "touch is not known to only read"),
    (("check", "--mode", "auto", "--", "touch", "y"), 0, "run: "),
    (("check", "--mode", "auto", "--", "rm", "-rf", "/"), 1, "the whole file system"),
    (("check", "--mode", "read-only", "--", "touch", "y"), 4, "refuse: "),
    (("check", "--mode", "full", "--", "git", "push"), 4, "pushed by hand"),
    (("check", "--", "ls", "\u202ex"), 1, "U+202E"),
    (("check", "--", "nimllm", "--agent"), 1, "nimllm is not known"),
    (("check", "--", ""), 2, "no command"),
    (("check",), 2, "CMD"),
    (("check", "-C", "nowhere", "--", "ls"), 2, "not a folder"),
    (("list",), 0, "releases are pushed by hand"),
    (("allow", "--", "ls"), 0, "without a rule"),
    (("allow", "--", "rm -rf /"), 2, "the whole file system"),
])
def test_the_command_line(home: Path, words: tuple[str, ...], code: int, said: str) -> None:
    (home / "policy.toml").write_text(GIT)
    done = nimllm(home, *words)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert "\u202e" not in done.stdout + done.stderr


def test_json_says_the_same_as_text(home: Path) -> None:
    (home / "policy.toml").write_text(GIT)
    for command, code in (("ls; git -C x push", 4), ("make", 1), ("ls", 0), ("git add x", 0)):
        said = nimllm(home, "check", "--json", "--", command)
        row = json.loads(said.stdout)
        assert said.returncode == code == {"run": 0, "ask": 1, "refuse": 4}[row["action"]]
        assert row["examples_checked"] == 16 and row["rules"] == 4
        assert nimllm(home, "check", "--", command).stdout.startswith(f"{row['action']}: {row['reason']}")
    row = json.loads(nimllm(home, "check", "--json", "--", "ls; git -C x push").stdout)
    assert [part["words"][0] for part in row["commands"]] == ["ls", "git"]
    assert row["commands"][1]["rule"].startswith("forbid: ") and row["always"] == []
    assert [rule["decision"] for rule in json.loads(nimllm(home, "list", "--json").stdout)["rules"]] == [
        "forbid", "allow", "ask", "allow"]


def test_a_wrong_example_fails_every_call(home: Path) -> None:
    (home / "policy.toml").write_text('[[rule]]\nprefix = "a b"\ndecision = "ask"\nmatch = ["a c"]\n')
    for words in (("check", "--", "ls"), ("list",), ("allow", "--", "make")):
        done = nimllm(home, *words)
        assert done.returncode == CONFIG and "'a c'" in done.stderr and done.stdout == ""


def test_allow_is_always_in_every_session(home: Path) -> None:
    assert nimllm(home, "check", "--", "make x; python3 -m pytest -q").returncode == 1
    said = nimllm(home, "allow", "--", "make x; python3 -m pytest -q")
    assert said.returncode == 0 and "allowed: make" in said.stdout
    assert nimllm(home, "check", "--", "make x -j4; python3 -m pytest a").returncode == 0
    assert nimllm(home, "check", "--", "python3 -m http.server").returncode == 1
    assert "already" in nimllm(home, "allow", "--", "make x").stdout
