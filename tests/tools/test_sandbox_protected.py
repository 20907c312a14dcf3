# ruff: noqa: E501 (commands under test stay on one line)
"""What stays closed inside the workspace: settings and hooks of repositories, nimllm's own folders, the dot files of a
home, folders of the PATH. Beside each attempt stands what must go on working."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nimllm import places
from nimllm.errors import NimError
from nimllm.tools import sandbox
from nimllm.tools.keeper import Keeper
from nimllm.tools.protected import closed
from nimllm.tools.shell import Shell

Enforced = Callable[..., sandbox.Sandbox]
LEVELS = ("bwrap", "landlock")
ME = "git config user.name me && git config user.email me@example.org"


def git(folder: Path, script: str) -> None:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["bash", "-ec", script], cwd=folder, check=True, env=env, capture_output=True)


def tree(path: Path) -> object:
    """What ``path`` is and holds."""
    if path.is_symlink():
        return "link", os.readlink(path)
    if path.is_dir():
        return {name: tree(path / name) for name in sorted(os.listdir(path))}
    return path.read_bytes() if path.is_file() else path.exists()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a submodule, a work tree, another repository inside, and settings that lead elsewhere."""
    folder = Path(os.path.realpath(tmp_path_factory.mktemp("repository")))
    git(folder, f"git init -q -b main . && {ME} && echo one > file && mkdir -p sub deep/nested .husky && git add . && "
                "git commit -qm first && git branch side && git worktree add -q tree side && "
                "git init -q deep/nested && mkdir .git/modules && git init -q --separate-git-dir .git/modules/sub sub && "
                "git config core.hooksPath .husky && git config include.path ../.shared && "
                "echo '[alias]' > .shared && ln -s .shared .linked && git config --add include.path ../.linked")
    return folder


@pytest.fixture(scope="module", params=LEVELS)
def held(request: pytest.FixtureRequest, repository: Path, enforced: Enforced) -> Iterator[Shell]:
    with Shell(repository, enforced(repository, want=request.param)) as shell:
        yield shell


PROTECTED = (".git/config", ".git/hooks", ".git/commondir", ".git/config.worktree", ".git/modules/sub/config",
             ".git/modules/sub/hooks", ".git/worktrees/tree/commondir", ".git/worktrees/tree/gitdir", "tree/.git",
             "sub/.git", "deep/nested/.git/config", "deep/nested/.git/hooks", ".husky", ".shared", ".linked", ".nimllm")
ATTEMPTS = (
    "echo x >> .git/config",
    "git config core.pager evil",
    "git remote add evil https://example.org",
    "git config --worktree core.pager evil; echo x > .git/config.worktree",
    "printf '[core]\\nfsmonitor = evil\\n' > new && mv -f new .git/config",
    "rm -f .git/config",
    "cp /dev/null .git/config",
    "ln -sf /etc/hosts .git/config",
    "sed -i s/core/evil/ .git/config",
    "echo x > .git/hooks/pre-commit",
    "cp -f file .git/hooks/post-checkout",
    "chmod -R 777 .git/hooks && echo x > .git/hooks/update",
    "rm -rf .git/hooks",
    "mv .git/hooks .git/h",
    "rm -rf .git/hooks; ln -s ../deep .git/hooks",
    "mkdir evil; echo ../evil > .git/commondir",
    "mkdir -p evil2 && ln -s ../evil2 .git/commondir",
    "echo x >> .git/modules/sub/config",
    "echo x > .git/modules/sub/hooks/pre-commit",
    "echo 'gitdir: ../evil' > sub/.git",
    "rm -f tree/.git; mkdir tree/.git",
    "echo ../../../evil > .git/worktrees/tree/commondir",
    "git -C deep/nested config core.pager evil",
    "echo x > deep/nested/.git/hooks/pre-commit",
    "echo x > .husky/pre-commit",
    "mv .husky husky",
    "echo x >> .shared",
    "ln -sfn file .linked",
    "mkdir .nimllm",
    "mkdir -p .nimllm && echo 'mode = \"full\"' > .nimllm/config.toml",
    "ln -s evil .nimllm",
    "echo x > .nimllm",
    "mkfifo .nimllm",
    "cp -r deep .nimllm",
    "python3 -c 'import ctypes; ctypes.CDLL(None).renameat2(-100, b\"file\", -100, b\".git/config\", 2) and exit(1)'",
)


@pytest.mark.parametrize("command", ATTEMPTS)
def test_it_stays_as_it_is(held: Shell, repository: Path, command: str) -> None:
    before = {name: tree(repository / name) for name in PROTECTED}
    done = held.run(command)
    assert {name: tree(repository / name) for name in PROTECTED} == before, done
    assert done.status != 0 and "command not found" not in done.output, done
    assert not (repository / "husky").exists() or held.sandbox.level == "landlock"


def test_the_attempts_work_where_nothing_is_protected(tmp_path: Path) -> None:
    git(tmp_path, f"git init -q . && {ME} && echo one > file && mkdir deep")
    with Shell(tmp_path, sandbox.probe(tmp_path, want="none")) as shell:
        for command in ATTEMPTS:
            if any(name in command for name in ("sub", "tree", "nested", "husky", ".shared", ".linked")):
                continue
            before = tree(tmp_path)
            done = shell.run(command)
            assert tree(tmp_path) != before or "evil2" in command, done
            git(tmp_path, "rm -rf .nimllm .git evil* && git init -q .")


def test_git_goes_on_working(held: Shell, repository: Path) -> None:
    work = ("echo two > file && git add file && git commit -qm second && git switch -qc topic && echo t > topic && git add topic && "
            "git commit -qm topic && git switch -q main && echo m > other && git add other && git commit -qm other && "
            "git merge -q --no-edit topic && git branch -d topic 2>/dev/null; git stash -q 2>/dev/null; git tag v1 && "
            "git rebase -q HEAD~0 && git gc -q && git worktree list && git log --oneline | wc -l && git diff HEAD~1 --stat && git tag -d v1")
    done = held.run(work)
    assert done.status == 0, done
    assert "second" in subprocess.run(["git", "log", "--format=%s"], cwd=repository, capture_output=True, text=True).stdout
    git(repository, "git reset -q --hard HEAD~3 2>/dev/null || true")
    made = held.run("git init -q fresh && cd fresh && git config core.pager cat && git config core.pager; cd .. && rm -rf fresh")
    assert made.output == "cat\n", "a repository that a command makes is its own"


@pytest.mark.parametrize("level", LEVELS)
def test_settings_of_repositories_when_they_are_allowed(enforced: Enforced, tmp_path: Path, level: str) -> None:
    git(tmp_path, f"git init -q . && {ME}")
    with Shell(tmp_path, enforced(tmp_path, want=level, git_config=True)) as shell:
        done = shell.run("git config a.b c && git remote add origin x && git remote")
        assert (done.status, done.output) == (0, "origin\n")
        for command in ("echo x > .git/hooks/pre-commit", "echo .. > .git/commondir"):
            assert shell.run(command).status != 0, command
    assert not (tmp_path / ".git" / "hooks" / "pre-commit").exists() and not (tmp_path / ".git" / "commondir").exists()


@pytest.mark.parametrize("level", LEVELS)
def test_a_home_as_workspace(enforced: Enforced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    home = Path(os.path.realpath(tmp_path))
    for name, value in (("HOME", home), ("XDG_STATE_HOME", home / ".local/state"), ("XDG_CONFIG_HOME", home / ".config"),
                        ("XDG_CACHE_HOME", home / ".cache"), ("PATH", f"{home}/tools:{os.environ['PATH']}")):
        monkeypatch.setenv(name, str(value))
    places.state_folder("memory")
    for folder in (".ssh", "project", "tools", "models/mine", ".local/bin"):
        (home / folder).mkdir(parents=True)
    for file in (".bashrc", ".gitconfig", ".ssh/authorized_keys", "models/mine/model.safetensors", "tools/tool"):
        (home / file).write_text("mine\n")
    kept = (".bashrc", ".gitconfig", ".ssh", "tools", "models/mine", ".profile", ".zshrc", ".local/bin",
            ".local/state/nimllm/memory", ".config/nimllm", ".config/autostart")
    with Shell(home, enforced(home, want=level, keep=[home / "models/mine"])) as shell:
        before = {name: tree(home / name) for name in kept}
        for command in ("echo x >> .bashrc", "echo x > .profile", "ln -s project .zshrc", "echo x >> .ssh/authorized_keys",
                        "git config --global a.b c", "mv .ssh s", "echo x > tools/ls", "echo x > tools/tool",
                        "echo x > models/mine/model.safetensors", "mv models/mine models/yours", "echo x > .local/bin/ls",
                        "echo x > .local/state/nimllm/memory/ledger.jsonl", "echo x > .config/nimllm/config.toml",
                        "mv .config c", "mkdir -p .config/autostart && echo x > .config/autostart/evil.desktop",
                        "rm -rf .local", "rm .bashrc"):
            done = shell.run(command)
            assert done.status != 0, done
            assert {name: tree(home / name) for name in kept} == before, done
        assert shell.run("echo x > project/file && mkdir project/new && mv project/file project/new/").status == 0
        # the price of Landlock: beside what is closed nothing new can be made
        assert (shell.run("echo x > plain").status == 0) == (level == "bwrap")
    assert (home / "project/new/file").exists()


@pytest.mark.parametrize("level", LEVELS)
def test_a_folder_that_is_replaced_by_a_link(enforced: Enforced, tmp_path: Path, level: str) -> None:
    (tmp_path / "work/folder").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    work = tmp_path / "work"
    box = enforced(work, want=level)
    with Shell(work, box) as shell:
        (work / "folder").rmdir()
        (work / "folder").symlink_to(tmp_path / "outside")
        assert shell.run("echo x > folder/new").status != 0
        assert shell.run("for i in {1..50}; do rm -f f; ln -s ../outside f; echo x > f/new; rm -f f; mkdir f; rmdir f; done").status is not None
    work.rename(tmp_path / "moved")
    work.symlink_to(tmp_path / "outside")
    with pytest.raises(NimError, match="leads somewhere else"):
        Shell(work, box)
    assert os.listdir(tmp_path / "outside") == []


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_is_left_behind(enforced: Enforced, tmp_path: Path, level: str) -> None:
    git(tmp_path, "git init -q .")
    before = tree(tmp_path)
    with Shell(tmp_path, enforced(tmp_path, want=level)) as shell:
        assert shell.run("ls -A").output == ".git\n", "no place for a mount is to be seen"
        shell.run("mkdir .nimllm; echo x > .git/config.worktree")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("level", LEVELS)
def test_a_killed_harness(enforced: Enforced, tmp_path: Path, level: str) -> None:
    """What the shell changed of protected things is put back at once, by the guard of its processes."""
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    for folder in (work, temporary):
        folder.mkdir()
    git(work, "git init -q .")
    enforced(work, want=level)
    before = tree(work / ".git")
    code = (f"from nimllm.tools import sandbox; from nimllm.tools.shell import Shell; from pathlib import Path\n"
            f"shell = Shell(Path({str(work)!r}), sandbox.probe(Path({str(work)!r}), want={level!r}))\n"
            "shell.run('mkdir .nimllm; echo x >> .git/config; echo x > .git/hooks/pre-commit; touch ready; sleep 60')")
    env = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[2])}
    harness = subprocess.Popen([sys.executable, "-c", code], env=env)
    for _ in range(600):
        if (work / "ready").exists():
            break
        time.sleep(0.05)
    assert (work / ".nimllm").exists()
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    for _ in range(400):
        try:
            if not (work / ".nimllm").exists() and tree(work / ".git") == before and not os.listdir(temporary):
                break
        except FileNotFoundError:
            pass  # files are being put back under our eyes
        time.sleep(0.05)
    assert tree(work / ".git") == before and sorted(os.listdir(work)) == [".git", "ready"] and os.listdir(temporary) == []
    assert str(work) not in Path("/proc/self/mountinfo").read_text()


def test_a_keeper_is_not_led_astray(tmp_path: Path) -> None:
    """What puts files back runs outside the sandbox: a link in the way is not followed."""
    work, outside = tmp_path / "work", tmp_path / "outside"
    git(tmp_path, "mkdir work outside && git init -q work")
    keeper = Keeper(closed([work]), [work], mounted=False)
    assert keeper.restore() == [] and keeper.unguarded == []
    git(work, "mv .git away && ln -s ../outside .git")
    said = keeper.restore()
    assert any("config" in sentence for sentence in said) and os.listdir(outside) == []
    assert (work / ".git").is_dir() and not (work / ".git").is_symlink()
    assert tree(work / ".git/config") == tree(work / "away/config") and tree(work / ".git/hooks") == tree(work / "away/hooks")
    refused = places.state_folder("refused")
    assert refused.stat().st_mode & 0o077 == 0
    (work / ".git/config").write_text("evil")
    keeper.save(tmp_path / "kept.json")
    again = Keeper.load(tmp_path / "kept.json")
    assert len(again.restore()) == 1 and tree(work / ".git/config") == tree(work / "away/config")
    assert any(path.read_text() == "evil" for path in refused.iterdir() if path.is_file()), "what was refused is kept"
    for text in ("", "{}", "[]", json.dumps({"roots": [], "absent": [], "tops": [[]]})):
        (tmp_path / "kept.json").write_text(text)
        with pytest.raises(ValueError):
            Keeper.load(tmp_path / "kept.json")


def test_what_is_found_is_bounded(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}/.git/hooks").mkdir(parents=True)
    started = time.monotonic()
    found = closed([tmp_path])
    assert 1 <= len(found.settings) <= 200 and time.monotonic() - started < 3.0


def test_a_socket_that_goes_away_while_the_sandbox_is_made(tmp_path: Path, enforced: Enforced,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """It is to be covered, and gone when bubblewrap comes to it: what is there is looked up again, in the probe (which
    else would settle for fewer flags) and when the shell starts."""
    strict = enforced(tmp_path, want="bwrap")
    gone = [Path("/var/tmp/nimllm-no-such-folder/socket")]
    found = sandbox._sockets
    monkeypatch.setattr(sandbox, "_sockets", lambda writable: [gone.pop()] if gone else found(writable))
    assert enforced(tmp_path, want="bwrap").flags == strict.flags and not gone
    gone.append(Path("/var/tmp/nimllm-no-such-folder/socket"))
    with Shell(tmp_path, strict) as shell:
        assert not gone and shell.run("echo alive").output == "alive\n"
    gone += 5 * [Path("/var/tmp/nimllm-no-such-folder/socket")]
    with pytest.raises(NimError, match="bash cannot be started"):
        Shell(tmp_path, strict)
    assert len(gone) == 2  # not for ever
