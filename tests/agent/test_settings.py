"""config.toml: what fills in for flags that were not given, and what a project may not do."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from nimllm import cli
from nimllm.agent import equipment, settings
from nimllm.errors import NimError

Call = Callable[..., CompletedProcess[str]]


def _args(*words: str) -> Namespace:
    args = cli.parser(["agent"]).parse_args(["agent", *words])
    args.given = cli.given(["agent", *words], "agent")
    return args


@pytest.fixture
def mine(home: Path) -> Path:
    file = settings.user_file()
    file.parent.mkdir(parents=True)
    return file


@pytest.fixture
def theirs(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace)
    (workspace / ".nimllm").mkdir()
    return workspace / ".nimllm" / "config.toml"


def test_the_users_file_fills_in_and_the_command_line_outweighs_it(mine: Path, workspace: Path) -> None:
    mine.write_text('mode = "auto"\ntimeout = 5\nmax_steps = 3\nnotify = 0\nadd_dir = ["/tmp"]\nmemory = "off"\n')
    args = _args("--timeout", "7", "--cd", str(workspace))
    assert equipment.apply_settings(args) == []
    assert (args.mode, args.timeout, args.max_steps, args.notify, args.memory) == ("auto", 7.0, 3, 0, "off")
    assert args.add_dir == ["/tmp"]


def test_a_flag_that_repeats_the_default_counts_as_given(mine: Path) -> None:
    mine.write_text("timeout = 5\n")
    args = _args("--timeout", "60")
    equipment.apply_settings(args)
    assert args.timeout == 60


def test_yes_outweighs_the_files_mode(mine: Path) -> None:
    mine.write_text('mode = "read-only"\n')
    args = _args("-y")
    equipment.apply_settings(args)
    assert equipment.mode_of(args, interactive=True) == "auto"


def test_a_project_tightens(mine: Path, theirs: Path) -> None:
    mine.write_text('mode = "auto"\nnetwork = "on"\n')
    theirs.write_text('mode = "ask"\nnetwork = "off"\nmemory = "review"\ntimeout = 10\nmax_steps = 2\n'
                      'sandbox = "bwrap"\n')
    args = _args()
    assert equipment.apply_settings(args) == []
    assert (args.network, args.memory, args.timeout, args.max_steps, args.sandbox) == ("off", "review", 10, 2, "bwrap")
    assert equipment.mode_of(args, interactive=True) == "ask"
    assert equipment.mode_of(args, interactive=False) == "ask"


@pytest.mark.parametrize(("line", "attribute"), [
    ('network = "on"', "network"), ('sandbox = "none"', "sandbox"), ('memory = "auto"', "memory"),
    ('sandbox = "landlock"', "sandbox"), ("timeout = 9999", "timeout"),
    ("task_timeout = 1e6", "task_timeout"), ("max_steps = 100", "max_steps"),
    ('add_dir = ["/"]', "add_dir"), ('model = "evil"', "model"), ('dtype = "q4"', "dtype"), ("threads = 64", "threads"),
    ("notify = 0", "notify"), ("plain = true", "plain")])
def test_a_project_never_loosens_and_that_is_said(theirs: Path, mine: Path, line: str, attribute: str) -> None:
    mine.write_text('memory = "review"\n')
    theirs.write_text(line + "\n")
    args, before = _args(), _args()
    before.memory = "review"
    [said] = equipment.apply_settings(args)
    assert getattr(args, attribute) == getattr(before, attribute) and str(theirs) in said and attribute in said


@pytest.mark.parametrize("mode", ["auto", "full"])
def test_a_project_gives_no_more_rights(theirs: Path, mode: str) -> None:
    theirs.write_text(f'mode = "{mode}"\n')
    args = _args()
    equipment.apply_settings(args)
    assert equipment.mode_of(args, interactive=True) == "ask"
    assert equipment.mode_of(args, interactive=False) == "read-only"


@pytest.mark.parametrize(("text", "said"), [
    ("moed = 'ask'", "did you mean mode?"), ("colour = 1", "the settings are"), ("mode = 'wild'", "one of read-only"),
    ("timeout = -1", "above 0"), ("timeout = nan", "above 0"), ("max_steps = 1.5", "whole number"),
    ("plain = 1", "true or false"), ("timeout = true", "a number"), ("add_dir = '/'", "list of folders"),
    ("mode = ", "not valid toml"), ("[mode]\nx = 1", "one of")])
def test_what_is_wrong_is_named_with_file_and_key(nimllm: Call, mine: Path, text: str, said: str) -> None:
    mine.write_text(text)
    with pytest.raises(NimError) as error:
        settings.read(mine)
    assert str(mine) in error.value.message() and said in error.value.message().lower() and error.value.code == 3


def test_a_wrong_file_ends_with_3_and_a_projects_is_used(nimllm: Call, run_folder: Path, mine: Path, workspace: Path
                                                         ) -> None:
    mine.write_text("colour = 1\n")
    call = ("agent", "--model", str(run_folder), "--memory", "off", "-p", "make the folder old")
    done = nimllm(*call)
    assert done.returncode == 3 and "config.toml" in done.stderr and "Traceback" not in done.stderr
    mine.write_text('mode = "auto"\n')
    (workspace / ".nimllm").mkdir()
    (workspace / ".nimllm" / "config.toml").write_text('mode = "read-only"\nnetwork = "on"\n')
    done = nimllm(*call)
    assert done.returncode == 4 and not (workspace / "old").exists() and "network = 'on' is ignored" in done.stderr
    (workspace / ".nimllm" / "config.toml").unlink()
    assert nimllm(*call).returncode == 0 and (workspace / "old").exists()
