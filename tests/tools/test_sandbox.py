# ruff: noqa: E501, SIM117 (commands under test stay on one line)
"""The kernel's boundary: everything here is tried from inside a real sandbox, next to a control that shows the attempt
itself works where it is allowed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nimllm import places
from nimllm.errors import SANDBOX, NimError
from nimllm.tools import sandbox
from nimllm.tools.shell import Shell

Enforced = Callable[..., sandbox.Sandbox]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outside")
    (folder / "file").write_text("untouched")
    return folder


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(os.path.realpath(tmp_path_factory.mktemp("ground")))


@pytest.fixture(scope="module")
def boxed(ground: Path, enforced: Enforced) -> Iterator[Shell]:
    with Shell(ground, enforced(ground)) as shell:
        yield shell


# Each attempt writes outside the workspace; OUT is a folder outside, and would be written if nothing held the command.
ESCAPES = {
    "a redirection": "echo x > OUT/new",
    "an existing file": "echo x >> OUT/file",
    "a symbolic link": "ln -sfn OUT link; echo x > link/new",
    "a link to the root": "ln -sfn / root; echo x > root/OUT/new",
    "a hard link": "ln OUT/file hard && echo x >> hard; exit_status=$?; rm -f hard; (exit $exit_status)",
    "the home folder": "touch ~/nimllm-escaped",
    "a rename": "touch mine; mv mine OUT/new",
    "a folder renamed over": "mv OUT here",
    "removal": "rm OUT/file",
    "rights": "chmod 777 OUT/file",
    "another program": 'python3 -c \'open("OUT/new", "w")\'',
    "a system folder": "touch /usr/bin/nimllm-escaped",
    "etc": "echo x >> /etc/hosts",
    "a mount": "mount -t tmpfs none OUT",
    "a remount": "mount -o remount,rw /",
    "a new root": "chroot / touch OUT/new",
    "a user namespace": "unshare -Urm sh -c 'mount -o remount,bind,rw / && touch OUT/new'",
    "a device": "mknod dev b 8 0",
    "another process's root": "touch /proc/1/root/OUT/new",
    "proc of the harness": "ls /proc/HARNESS",
    "a setting of the kernel": "v=$(cat /proc/sys/kernel/panic) && echo $v > /proc/sys/kernel/panic",
    "the kernel's emergency keys": ": > /proc/sysrq-trigger",
    "memory of the first process": "head -c 1 /proc/1/mem",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_outside_the_workspace_is_written(boxed: Shell, outside: Path, name: str) -> None:
    # OUT is below /tmp, which the sandbox replaces; so it is tried in its own name and in the host's shared memory.
    command = ESCAPES[name].replace("HARNESS", str(os.getpid()))
    for place in {str(outside), str(Path(__file__).resolve().parent)}:
        done = boxed.run(command.replace("OUT", place), timeout=20)
        assert done.status not in (0, 127), done
    assert sorted(os.listdir(outside)) == ["file"] and (outside / "file").read_text() == "untouched"
    assert not (outside.parent / "escaped").exists() and not (Path.home() / "nimllm-escaped").exists()
    assert not (Path(__file__).parent / "new").exists()


def test_the_parent_of_a_workspace(boxed: Shell) -> None:
    boxed.run("touch ../escaped; rm -rf ../*; mv ../ground* ../away")  # below /tmp this meets only the private /tmp
    assert not (boxed.workspace.parent / "escaped").exists() and boxed.workspace.is_dir()


def test_the_workspace_and_added_folders_are_written(enforced: Enforced, tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "added").mkdir()
    (tmp_path / "other").mkdir()
    box = enforced(tmp_path / "workspace", add_dirs=[tmp_path / "added"])
    with Shell(tmp_path / "workspace", box) as shell:
        done = shell.run(
            f"touch here && touch {tmp_path}/added/there && mkdir -p /tmp/a /dev/shm/b && echo x > /dev/null"
        )
        assert done.status == 0, done
        assert shell.run(f"touch {tmp_path}/other/x").status == 1
    assert (tmp_path / "workspace" / "here").exists() and (tmp_path / "added" / "there").exists()
    assert not Path("/tmp/a").exists()


def test_no_rights_and_no_way_to_gain_any(boxed: Shell) -> None:
    status = boxed.run("cat /proc/self/status").output
    assert (
        "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status and "CapBnd:\t0000000000000000" in status
    )


def test_processes_outside_are_not_seen(boxed: Shell) -> None:
    pids = [int(name) for name in boxed.run("ls /proc").output.split() if name.isdigit()]
    assert 1 in pids and len(pids) < 10


NETWORK = {
    "bash": "exec 3<>/dev/tcp/127.0.0.1/PORT",
    "python": "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", PORT), 3)'",
    "python over a name": "python3 -c 'import socket; socket.getaddrinfo(\"example.org\", 80)'",
    "an abstract socket": "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect(\"\\0NAME\")'",
    "a socket file in /run or /tmp": "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect(\"SOCKET\")'",
}


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A TCP port, an abstract socket and a socket file of the host, all of them answering."""
    path = str(tmp_path_factory.mktemp("sockets") / "s")
    name = f"nimllm-test-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        with socket.socket(socket.AF_UNIX) as file:
            abstract.bind("\0" + name)
            file.bind(path)
            abstract.listen()
            file.listen()
            yield {"PORT": str(tcp.getsockname()[1]), "NAME": name, "SOCKET": path}


@pytest.mark.parametrize("name", NETWORK)
def test_no_network(boxed: Shell, listening: dict[str, str], name: str) -> None:
    command = NETWORK[name]
    for word, value in listening.items():
        command = command.replace(word, value)
    if "example" not in command:
        control = subprocess.run(["bash", "-c", command], capture_output=True)
        assert control.returncode == 0, control.stderr  # outside it does connect
    assert boxed.run(command, timeout=20).status not in (0, 127)


def test_network_when_it_is_asked_for(enforced: Enforced, tmp_path: Path, listening: dict[str, str]) -> None:
    box = enforced(tmp_path, network=True)
    assert "with network" in box.reason
    with Shell(tmp_path, box) as shell:
        assert shell.run(f"exec 3<>/dev/tcp/127.0.0.1/{listening['PORT']}").status == 0


def test_own_folders_stay_read_only_inside_the_workspace(
    enforced: Enforced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".local" / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    places.state_folder("memory")
    (tmp_path / ".nimllm").mkdir()
    (tmp_path / ".nimllm" / "config.toml").write_text("a = 1\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".git" / "hooks").mkdir(exist_ok=True)
    hooks = sorted(os.listdir(tmp_path / ".git" / "hooks"))
    with Shell(tmp_path, enforced(tmp_path)) as shell:
        for command in (
            "echo x > .local/state/nimllm/memory/ledger",
            "rm -rf .local/state/nimllm",
            "mv .local away",
            "mkdir -p .config/nimllm && echo x > .config/nimllm/config.toml",
            "echo x > .nimllm/config.toml",
            "mv .nimllm elsewhere",
            "echo x > .git/hooks/pre-commit",
            "mv .git away",
            "rm -rf .git/hooks",
            "ln -sfn /tmp .nimllm/config.toml",
        ):
            assert shell.run(command).status != 0, command
        work = "touch free && git add free && git -c user.name=a -c user.email=b commit -qm x && git branch other && git gc -q"
        done = shell.run(work)
        assert done.status == 0, done.output
    assert (tmp_path / ".nimllm" / "config.toml").read_text() == "a = 1\n"
    assert sorted(os.listdir(tmp_path / ".git" / "hooks")) == hooks and not (tmp_path / "away").exists()


def test_a_workspace_inside_the_state_folder_can_be_written(
    enforced: Enforced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    workspace = places.state_folder("tasks", "one")
    with Shell(workspace, enforced(workspace)) as shell:
        assert shell.run("touch mine").status == 0
        shell.run("touch ../other")
    assert not (workspace.parent / "other").exists()


def test_a_link_as_workspace_is_its_target(enforced: Enforced, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    box = enforced(tmp_path / "link")
    assert box.workspace == Path(os.path.realpath(tmp_path / "real"))
    with Shell(tmp_path / "link", box) as shell:
        shell.run("touch x")
    assert (tmp_path / "real" / "x").exists()


def test_the_levels_are_named_honestly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    off = sandbox.probe(tmp_path, want="none")
    assert (off.level, off.enforced) == ("none", False) and "not enforced" in off.reason
    assert off.argv(["true"]) == ["true"]
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_, **__: None)
    second = sandbox.probe(tmp_path, want="auto")
    assert second.level == "landlock" and "not bubblewrap, since" in second.reason and "not installed" in second.reason
    monkeypatch.setattr(sandbox.landlock, "version", lambda: 0)
    missing = sandbox.probe(tmp_path, want="auto")
    assert missing.level == "none" and "not installed" in missing.reason and "install bubblewrap" in missing.reason
    with pytest.raises(NimError) as error:
        sandbox.probe(tmp_path, want="bwrap")
    assert error.value.code == SANDBOX and "--sandbox none" in error.value.message()


@pytest.mark.parametrize(
    "script, reason",
    [
        ("echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1", "Permission denied"),
        ("exit 0", "does not work here"),
        # A bwrap that drops every restriction and runs the command: only the negative probe can tell.
        ('while [ "$1" != -- ]; do shift; done; shift; exec "$@"', "could write to"),
    ],
)
def test_a_bwrap_that_does_not_hold_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/bash\n{script}\n")
    fake.chmod(0o755)
    workspace = tmp_path / "deep" / "workspace"
    workspace.mkdir(parents=True)
    monkeypatch.chdir(workspace)
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_, **__: str(fake))
    with pytest.raises(NimError, match=reason) as error:
        sandbox.probe(workspace, want="bwrap")
    assert error.value.code == SANDBOX
    assert sandbox.probe(workspace, want="auto").level == "landlock"
    assert sorted(os.listdir(tmp_path / "deep")) == ["workspace"] and not os.listdir(workspace)


def test_bad_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(NimError, match="not a folder"):
            sandbox.probe(bad)
        with pytest.raises(NimError, match="not a folder"):
            sandbox.probe(tmp_path, add_dirs=[bad])
    with pytest.raises(NimError, match="unknown sandbox"):
        sandbox.probe(tmp_path, want="docker")
    with pytest.raises(NimError, match="nothing to protect"):
        sandbox.probe(Path("/"), want="bwrap")


def test_scrub() -> None:
    kept = {"PATH": "/bin", "HOME": "/root", "LANG": "C", "EDITOR": "vi", "AUTHOR": "me", "PWD": "/", "OLDPWD": "/"}
    lost = [
        "OPENAI_API_KEY",
        "GH_TOKEN",
        "aws_secret_access_key",
        "PGPASSWORD",
        "MYSQL_PWD",
        "SSH_AUTH_SOCK",
        "NPM_AUTH",
    ]
    lost += ["SENTRY_DSN", "DB_PASS", "GOOGLE_APPLICATION_CREDENTIALS", "SESSION_COOKIE"]
    assert sandbox.scrub(kept | dict.fromkeys(lost, "x")) == kept
    assert sandbox.scrub({"URL": "https://me:pw@host/"}) == {}


def test_a_path_that_may_not_be_entered(enforced: Enforced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's folder on the PATH (as after su): what cannot be looked at is no reason to fail."""
    (tmp_path / "theirs" / "bin").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/theirs/bin/x:{os.environ['PATH']}")
    code = (
        "import os; from pathlib import Path; from nimllm.tools import sandbox\n"
        f"os.chmod({str(tmp_path)!r}, 0o755); os.chown({str(tmp_path / 'work')!r}, 65534, 65534)\n"
        f"os.chmod({str(tmp_path / 'theirs')!r}, 0); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"from nimllm.tools.protected import closed; print(closed([Path({str(tmp_path / 'work')!r})]).absent)"
    )
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "XDG_STATE_HOME": str(tmp_path / "work/s"),
           "XDG_CONFIG_HOME": str(tmp_path / "work/c")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    (tmp_path / "theirs").chmod(0o700)
    assert done.returncode == 0 and ".nimllm" in done.stdout, done.stderr
