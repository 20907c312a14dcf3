"""Trials: what a command would do, with nothing of it done. Real bubblewrap, real mounts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nimllm.tools import overlay, processes, sandbox
from nimllm.tools.layers import changes, staged
from nimllm.tools.overlay import Overlay, Trial
from nimllm.tools.shell import Shell

SECONDS = 20.0  # for the trials of one test: a busy machine must not change what is seen


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "a place, with: signs"
    folder.mkdir()
    (folder / "a.txt").write_text("one\ntwo\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "x").write_text("x")
    (folder / "sub" / "y").write_text("y")
    return folder


@pytest.fixture(params=["overlay", "copy"])
def view(request: pytest.FixtureRequest, workspace: Path, enforced: Callable[..., sandbox.Sandbox]
         ) -> Iterator[Overlay]:
    """Both ways of making a view; the copy is what a kernel without unprivileged overlays gets."""
    with Overlay(enforced(workspace)) as made:
        if made.problem:
            pytest.skip(made.problem)
        if request.param == "overlay" and made._copies:
            pytest.skip("no overlay in user namespaces here")
        made._copies = request.param == "copy"
        yield made


def tried(view: Overlay, *commands: str, cwd: Path | None = None, exports: bytes = b"") -> list[Trial]:
    return view.run_all(commands, cwd or view.sandbox.workspace, exports, SECONDS)


def tree(folder: Path) -> dict[str, object]:
    """Everything a trial could have changed: names, kinds, modes, times and contents."""
    found: dict[str, object] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        about = path.lstat()
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_size, about.st_mtime_ns, about.st_ino,
                                                path.read_bytes() if path.is_file() else "")
    return found


def test_effects_are_seen_and_nothing_is_done(view: Overlay, workspace: Path) -> None:
    before = tree(workspace)
    seen = tried(view, "cat a.txt", "echo three >> a.txt", "rm -r sub", "mv a.txt b.txt", "mkdir -p deep/er",
                 "chmod 600 a.txt", "ln -s a.txt link", "rm -r sub; mkdir sub; echo z > sub/z", "ls nothing",
                 "touch a.txt", "touch -d 2020-01-01T00:00:00Z a.txt", "exec 3>>a.txt", "mkfifo pipe", "exit 3")
    assert tree(workspace) == before
    done = {trial.command: trial for trial in seen}
    assert all(trial.ended == "done" for trial in seen)
    assert (done["cat a.txt"].out, done["cat a.txt"].changes) == ("one\ntwo\n", {})
    assert done["echo three >> a.txt"].changes["a.txt"].startswith("file 644 ")
    assert done["rm -r sub"].changes in ({"sub": "gone"},)
    moved = done["mv a.txt b.txt"].changes
    assert moved["a.txt"] == "gone" and set(moved) == {"a.txt", "b.txt"}
    assert done["mkdir -p deep/er"].changes == {"deep": "folder 755", "deep/er": "folder 755"}
    assert done["chmod 600 a.txt"].changes["a.txt"].startswith("file 600 ")
    assert done["ln -s a.txt link"].changes == {"link": "link a.txt"}
    again = done["rm -r sub; mkdir sub; echo z > sub/z"].changes
    assert {path: change.split()[0] for path, change in again.items()} == {
        "sub/x": "gone", "sub/y": "gone", "sub/z": "file"}
    assert (done["ls nothing"].status, done["ls nothing"].out) == (2, "") and "No such file" in done["ls nothing"].err
    assert done["touch a.txt"].changes == {"a.txt": "touched"}
    assert done["touch -d 2020-01-01T00:00:00Z a.txt"].changes == {"a.txt": "touched 1577836800"}
    assert done["exec 3>>a.txt"].changes == {}  # opened for writing, and left as it was
    assert done["mkfifo pipe"].changes == {"pipe": "special 644"} and done["exit 3"].status == 3


def test_the_same_effect_by_other_means_is_the_same(view: Overlay) -> None:
    one, two, three = tried(view, "printf 'one\\ntwo\\nhi\\n' > a.txt", "echo hi >> a.txt", "sed -i '$a hi' a.txt")
    assert one.changes == two.changes == three.changes and one.changes


def test_trials_do_not_see_one_another(view: Overlay) -> None:
    seen = tried(view, *[f"echo {n} > mine; sleep 0.2; cat mine; ls | wc -l" for n in range(4)])
    assert [trial.out for trial in seen] == [f"{n}\n3\n" for n in range(4)]


def test_git_is_seen_by_what_it_stages_and_commits(view: Overlay, workspace: Path) -> None:
    if subprocess.run(["git", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("no git")
    subprocess.run("git init -q -b main . && git config user.email a@b.c && git config user.name A && git add . && "
                   "git commit -qm first && echo more >> a.txt && echo new > n.txt", shell=True, cwd=workspace,
                   check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"})
    before = tree(workspace)
    add, also, other, commit, later, moved, status = tried(
        view, "git add n.txt", "git add ./n.txt; sleep 1.1", "git add a.txt", "git commit -qam second",
        "sleep 1.1; git add -u; git commit -q -m second", "git mv sub other", "git status --short")
    assert add.changes == also.changes != other.changes and ".git/index" in add.changes
    assert commit.changes == later.changes and commit.status == 0  # though made in different seconds
    assert moved.status == 0 and moved.changes["sub"] == "gone" and "other/x" in moved.changes
    assert status.out == " M a.txt\n?? n.txt\n" and status.changes == {}
    assert tree(workspace) == before


def test_the_live_shells_folder_environment_and_tmp_are_there(
        workspace: Path, enforced: Callable[..., sandbox.Sandbox]) -> None:
    box = enforced(workspace)
    with Shell(workspace, box) as shell:
        shell.run("export GREETING='hello\nyou'; unset LANG; cd sub; echo kept > /tmp/kept; here=1")
        with Overlay(box, private=shell.private) as view:
            seen, wrote, control = view.run_all(
                ["pwd; echo \"$GREETING\" ${LANG-none} ${here-none}; cat /tmp/kept",
                 "echo changed > /tmp/kept; cat /tmp/kept",
                 "ls -A /run/nimllm; echo forged > /run/nimllm/control; echo forged > /run/nimllm/output"],
                shell.cwd, shell.exports, SECONDS)
        assert seen.out == f"{workspace}/sub\nhello\nyou none none\nkept\n", seen
        assert wrote.out == "changed\n" and wrote.status == 0
        assert control.out == "tmp\n" and control.status != 0  # the live shell's FIFOs cannot be reached
        assert shell.run("cat /tmp/kept; pwd").output == f"kept\n{workspace}/sub\n"


def test_added_folders_are_views_too(workspace: Path, tmp_path: Path, enforced: Callable[..., sandbox.Sandbox]) -> None:
    added = tmp_path / "added"
    added.mkdir()
    (added / "f").write_text("f\n")
    with Overlay(enforced(workspace, (added,))) as view:
        if view.problem:
            pytest.skip(view.problem)
        one, two = tried(view, f"rm {added}/f; echo hi > {added}/g", f"cp {added}/f .")
    assert one.changes[f"{added}/f"] == "gone" and one.changes[f"{added}/g"].startswith("file 644")
    assert two.changes["f"].startswith("file 644") and (added / "f").exists() and not (added / "g").exists()


@pytest.mark.parametrize("network", [False, True])
def test_no_network_whatever_the_session_has(workspace: Path, enforced: Callable[..., sandbox.Sandbox], network: bool
                                             ) -> None:
    with Overlay(enforced(workspace, network=network)) as view:
        if view.problem:
            pytest.skip(view.problem)
        devices, dial = tried(view, "tail -n +3 /proc/net/dev | cut -d: -f1", "exec 3<>/dev/tcp/127.0.0.1/22")
    assert devices.out.split() == ["lo"] and dial.status != 0
    assert "refused" in dial.err or "unreachable" in dial.err


def test_writes_outside_fail_as_they_would(view: Overlay, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    direct, link, root, _ = tried(view, f"echo x > {outside}/x", f"ln -s {outside} l && echo x > l/x",
                                  "echo x > /usr/x", "echo x > ../x; echo x > /usr/x; echo x > ~/.bashrc")
    assert direct.status and link.status and "Read-only" in root.err
    assert not list(outside.iterdir()) and not (tmp_path / "x").exists()


def test_nothing_outlives_a_trial(view: Overlay) -> None:
    mark = f"{os.getpid()}.{time.monotonic_ns() % 1000:03}"
    start = time.monotonic()
    (seen,) = tried(view, f"(setsid sleep 4711{mark} &) ; sleep 4711{mark} & disown; echo started")
    assert seen.out == "started\n" and seen.ended == "done" and time.monotonic() - start < SECONDS / 2
    assert not running(f"4711{mark}")
    (seen,) = view.run_all([f"trap '' INT TERM HUP; sleep 4712{mark}"], view.sandbox.workspace, b"", 1.0)
    assert seen.ended == "timeout" and seen.status is None and not running(f"4712{mark}")
    assert mounts() == []


def test_too_much_of_anything_is_stopped(view: Overlay, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    flood, late = view.run_all(["yes", "sleep 60"], workspace, b"", 3.0)
    assert flood.ended == "limit" and len(flood.out) <= overlay.KEPT_BYTES and late.ended == "timeout"
    assert time.monotonic() - start < 20
    monkeypatch.setattr(overlay, "UPPER_BYTES", 1 << 20)
    (full,) = tried(view, "head -c 3000000 /dev/zero > big")
    assert full.ended == "limit" and not (workspace / "big").exists()


def test_a_stop_ends_all_trials(view: Overlay, workspace: Path) -> None:
    start = time.monotonic()
    seen = view.run_all(["sleep 60"] * 6, workspace, b"", 60.0, lambda: time.monotonic() - start > 0.5)
    assert {trial.ended for trial in seen} == {"timeout"} and time.monotonic() - start < 20


def test_a_killed_harness_leaves_nothing(workspace: Path, tmp_path: Path, enforced: Callable[..., sandbox.Sandbox]
                                         ) -> None:
    """No process, no mount, no folder: all of a trial lives in namespaces that die with it."""
    enforced(workspace)
    code = ("import sys; from pathlib import Path; from nimllm.tools import sandbox\n"
            "from nimllm.tools.overlay import Overlay\n"
            "view = Overlay(sandbox.probe(Path(sys.argv[1])))\n"
            "assert not view.problem, view.problem\n"
            "print('ready', flush=True)\n"
            "view.run_all([f'echo x > f{n}; sleep 4713.' + sys.argv[2] for n in range(4)], Path(sys.argv[1]), b'', 60)")
    mark = f"{os.getpid()}{time.monotonic_ns() % 100000}"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    for delay in (0.0, 0.03, 0.1, 0.6):
        child = subprocess.Popen([sys.executable, "-c", code, str(workspace), mark], stdout=subprocess.PIPE,
                                 env={**os.environ, "TMPDIR": str(temporary)}, text=True)
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        until = time.monotonic() + 10
        while running(f"4713.{mark}") and time.monotonic() < until:
            time.sleep(0.02)
        assert not running(f"4713.{mark}")
    assert mounts() == [] and not list(temporary.iterdir())
    assert sorted(path.name for path in workspace.iterdir()) == ["a.txt", "sub"]


def test_never_without_a_sandbox(workspace: Path) -> None:
    with Overlay(sandbox.probe(workspace, want="none")) as view:
        assert "bubblewrap" in view.problem


def test_a_workspace_that_would_look_different_is_refused(
        workspace: Path, monkeypatch: pytest.MonkeyPatch, enforced: Callable[..., sandbox.Sandbox]) -> None:
    """A mount inside would be an empty folder in the overlay; a big tree is not copied where there is no overlay."""
    monkeypatch.setattr(overlay, "_mounts_inside", lambda roots: "/somewhere/inside")
    with Overlay(enforced(workspace)) as view:
        assert "/somewhere/inside" in view.problem
    monkeypatch.undo()
    assert overlay._mounts_inside([Path("/")]) and not overlay._mounts_inside([workspace])
    monkeypatch.setattr(overlay, "COPY_FILES", 3)
    assert "too big" in overlay._too_big([workspace])


def test_a_lost_folder_is_no_verdict_on_the_command(view: Overlay, workspace: Path) -> None:
    (seen,) = tried(view, "ls", cwd=workspace / "gone")
    assert seen.ended == "failed" and not seen.ran


def test_hostile_commands_end_and_say_so(view: Overlay, workspace: Path) -> None:
    seen = tried(view, "kill -9 $$", "exec 1>&- 2>&-", "echo 'oops", "no-such-program", "printf '\\033[2J\\xff\\0'",
                 "exec sleep 0", "umount .", "rm -rf . 2>/dev/null; ls -A")
    statuses = [trial.status for trial in seen]
    assert statuses[:4] == [137, 0, 2, 127] and statuses[6] not in (0, None)
    assert "\x1b" not in seen[4].out and "\\xff" in seen[4].out
    assert sorted(path.name for path in workspace.iterdir()) == ["a.txt", "sub"]


def test_contents_that_cannot_be_read_are_a_change_too(view: Overlay) -> None:
    one, two = tried(view, "echo x > locked; chmod 000 locked", "mkdir -m 000 d")
    assert "locked" in one.changes and "d" in two.changes


def test_a_huge_layer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimllm.tools.layers.ENTRIES", 10)
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    upper.mkdir()
    lower.mkdir()
    for number in range(20):
        (upper / str(number)).write_text("x")
    fd = os.open(upper, os.O_RDONLY)
    try:
        assert len(changes(fd, lower, 0.0)) == 11
    finally:
        os.close(fd)


def test_staged_reads_what_gits_index_says(tmp_path: Path) -> None:
    def index(*words: str) -> str:
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)
        return staged((tmp_path / ".git" / "index").read_bytes())

    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    first = index("add", "one")
    both = index("add", "two")
    assert first != both
    os.utime(tmp_path / "one", (1, 1))
    assert index("update-index", "--refresh") == both
    (tmp_path / "one").write_text("other")
    assert index("add", "one") != both
    head = b"DIRC\0\0\0\x02\0\0\0\x05"
    assert staged(head + b"broken") == staged(head) and staged(b"nonsense") != staged(b"other")


def running(text: str) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if f"sleep\0{text}" in words and processes.alive(int(name)):
                found.append(int(name))
    return found


def mounts() -> list[str]:
    """Mounts of this test's making that are seen from here."""
    with open("/proc/self/mountinfo") as file:
        return [line for line in file if "with:" in line or "nimllm-" in line]


def test_the_filter_of_system_calls_holds_in_a_trial(workspace: Path) -> None:
    box = sandbox.probe(workspace)
    if not box.filtered:
        pytest.skip("no filter on this machine")
    with Overlay(box) as view:
        command = "grep -c '^Seccomp:.*2' /proc/self/status; unshare -U true || echo refused"
        seen = view.run_all([command], workspace, b"", SECONDS)
    assert seen[0].out == "1\nrefused\n", seen
