# ruff: noqa: E501 (commands under test stay on one line)
"""^C fifty times, kill -9 of the harness at random moments: nothing stays behind, no process, no mount, no folder."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from nimllm.tools import private, processes, sandbox
from nimllm.tools.private import LOCK, PREFIX, PrivateFolder, marked, sweep
from nimllm.tools.shell import Shell

# What ^C has to end, with how long it may take to be under way. Each carries its own mark.
STUBBORN = {
    "sleep": "sleep @.5",
    "find": "find / -name @no-such-name @NICE@",
    "a python loop": "python3 -c 'while True: @ + 1'",
    "a child that ignores SIGINT and SIGTERM": "python3 -c 'import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; print(\"ready\", flush=True); time.sleep(@.5)'",
    "a daemon": "(setsid sh -c 'trap \"\" HUP INT TERM; while :; do sleep @.5; done' >/dev/null 2>&1 &); sleep @.25",
}


def holders(mark: str) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        pid = int(name) if name.isdigit() else os.getpid()
        if pid != os.getpid() and mark in processes.command_line(pid) and processes.alive(pid):
            found.append(pid)
    return found


def interrupted(shell: Shell, command: str, mark: str) -> float:
    """Seconds from ^C, asked for once, to the last process of the command being gone."""
    asked: list[float] = []
    ready = threading.Event()  # a child that ignores signals says when it does

    def ask() -> None:
        if "ready" in command:
            ready.wait(20)
        until = time.monotonic() + 10
        while not holders(mark) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.3 if "python3" in command else 0.1)
        asked.append(time.monotonic())
        shell.interrupt()

    thread = threading.Thread(target=ask)
    thread.start()
    done = shell.run(command, timeout=30, on_output=lambda text: ready.set())
    thread.join()
    while (left := holders(mark)) and time.monotonic() < asked[0] + 10:
        time.sleep(0.01)
    took = time.monotonic() - asked[0]
    assert not left and done.ended == "interrupted" and done.status == 130, (done, left)
    return took


def tries(shell: Shell, kind: str, count: int) -> list[float]:
    took = []
    for _ in range(count):
        mark = str(random.randrange(10**8, 10**9))
        command = STUBBORN[kind].replace(" @NICE@", " 2>/dev/null").replace("@", mark)
        if kind == "find":
            command = f"while :; do {command}; done"  # on a small disk it would be done before anybody can stop it
        took.append(interrupted(shell, command, mark))
        assert shell.run("echo on").output == "on\n"
    return took


@pytest.mark.parametrize("kind", STUBBORN)
def test_an_interrupt_ends_every_process(shell: Shell, kind: str) -> None:
    assert max(tries(shell, kind, 1)) < 6, "2 s on a machine that has nothing else to do"


@pytest.mark.slow
@pytest.mark.parametrize("kind", STUBBORN)
def test_an_interrupt_ends_every_process_within_two_seconds_ten_times_of_ten(shell: Shell, kind: str) -> None:
    took = tries(shell, kind, 10)
    print(f"\n{shell.sandbox.level}, {kind}: median {sorted(took)[5]:.2f} s, worst {max(took):.2f} s of 10")
    assert max(took) < 2.0, took


# ---- kill -9 of the harness --------------------------------------------------------------------------------------------

HARNESS = """
import sys
from pathlib import Path
from nimllm.tools import sandbox, shell
here, mark = Path(sys.argv[1]), sys.argv[2]
print("begun", flush=True)
with shell.Shell(here, sandbox.probe(here, want=sys.argv[3]), outputs=here / "outputs") as bash:
    n = 0
    while True:
        bash.run(f"(setsid sleep {mark}.5 >/dev/null 2>&1 &); sleep {mark}.25 & seq 100000 > f; kill %1; (exit {n % 7})")
        bash.run(f"sleep {mark}.125", timeout=0.05)
        bash.run("exit 3" if n % 3 == 0 else "seq 200000")
        n += 1
"""


def killed_at(moment: float, workspace: Path, temporary: Path, want: str) -> None:
    mark = str(random.randrange(10**8, 10**9))
    child = subprocess.Popen(
        [sys.executable, "-c", HARNESS, str(workspace), mark, want],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert child.stdout is not None and child.stdout.readline() == b"begun\n"
    time.sleep(moment)
    assert child.poll() is None, child.stderr.read() if child.stderr else ""
    child.kill()
    child.wait()
    until = time.monotonic() + 15
    while (left := [*holders(mark), *holders(str(temporary))]) and time.monotonic() < until:
        time.sleep(0.02)
    assert not left, [(pid, processes.command_line(pid)) for pid in left]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    assert not [line for line in mounts if str(temporary) in line or str(workspace) in line]
    # The next start meets what is left, sweeps it away, and works.
    until = time.monotonic() + 15  # the guard may be at it, too, and holds a folder's lock meanwhile
    while sweep(temporary) or (list(temporary.glob(PREFIX + "*/go")) and time.monotonic() < until):
        time.sleep(0.02)
    for young in temporary.glob(PREFIX + "*"):  # killed before it had written whose it is: swept when it is old
        assert not (young / "go").exists()
        os.utime(young, (1, 1))
    while sweep(temporary) or (list(temporary.glob(PREFIX + "*")) and time.monotonic() < until):
        time.sleep(0.02)
    assert not list(temporary.glob(PREFIX + "*"))
    with Shell(workspace, sandbox.probe(workspace, want=want)) as shell:
        done = shell.run("seq 3; (exit 4)")
        assert (done.output, done.status) == ("1\n2\n3\n", 4)


@pytest.mark.parametrize("want", ["none", "bwrap"])
def test_kill_nine_at_some_moments_leaves_nothing(tmp_path: Path, want: str) -> None:
    for number, moment in enumerate((0.0, 0.3, 0.9)):
        temporary = tmp_path / f"tmp{number}"
        temporary.mkdir()
        killed_at(moment, tmp_path, temporary, want)


@pytest.mark.slow
@pytest.mark.parametrize("want", ["none", "bwrap", "landlock"])
def test_kill_nine_at_twenty_random_moments_leaves_nothing(tmp_path: Path, want: str) -> None:
    for number in range(20):
        temporary = tmp_path / f"tmp{number}"
        temporary.mkdir()
        killed_at(random.uniform(0, 1.5), tmp_path, temporary, want)


def test_only_folders_of_the_dead_are_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    private._swept.set()  # a process's first folder has others swept by a thread: not beside this one
    mine = PrivateFolder()
    dead = tmp_path / f"{PREFIX}dead"
    (dead / "tmp" / "closed" / "inner").mkdir(parents=True)
    (dead / "tmp" / "closed").chmod(0)
    (dead / LOCK).write_text("0123456789abcdef")
    (tmp_path / f"{PREFIX}new").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path)
    ancient = tmp_path / f"{PREFIX}ancient"
    ancient.mkdir()
    os.utime(ancient, (1, 1))
    (tmp_path / "other").mkdir()
    assert sorted(path.name for path in sweep(tmp_path)) == [f"{PREFIX}ancient", f"{PREFIX}dead"]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([mine.path.name, f"{PREFIX}link", f"{PREFIX}new", "other"])
    mine.remove()
    mine.remove()
    assert not mine.path.exists()


def test_what_a_dead_shell_left_running_is_ended_by_the_sweep(tmp_path: Path) -> None:
    dead = tmp_path / f"{PREFIX}dead"
    dead.mkdir()
    (dead / LOCK).write_text("fedcba9876543210")
    child = subprocess.Popen(["sleep", "300"], env={"PATH": os.environ["PATH"], "NIMLLM_SHELL": "fedcba9876543210"})
    other = subprocess.Popen(["sleep", "300"], env={"PATH": os.environ["PATH"], "NIMLLM_SHELL": "f" * 16})
    try:
        assert sweep(tmp_path) == [dead]
        assert child.wait(10) == -signal.SIGKILL and other.poll() is None
    finally:
        other.kill()
        other.wait()


def guards() -> list[int]:
    return [pid for pid in processes.children(os.getpid()) if "nimllm-guard" in processes.command_line(pid)]


def test_one_guard_serves_all_shells_and_ends_with_the_last(tmp_path: Path) -> None:
    box = sandbox.probe(tmp_path, want="none")
    before = guards()  # of shells of other fixtures
    with Shell(tmp_path, box), Shell(tmp_path, box):
        (guard,) = guards()
    assert guards() == before and (before == [guard] or not processes.alive(guard))


def test_a_guard_that_was_killed_is_replaced_with_the_next_shell_and_knows_the_others(tmp_path: Path) -> None:
    box = sandbox.probe(tmp_path, want="none")
    with Shell(tmp_path, box) as first:
        (guard,) = guards()
        os.kill(guard, signal.SIGKILL)
        processes.wait_gone([guard], 2.0)
        assert first.run("echo on").output == "on\n"
        with Shell(tmp_path, box):
            (second,) = guards()
            assert second != guard
        assert guards() == [second], "the first shell is still open"


def test_a_shell_whose_guard_was_killed_ends_like_any_other(tmp_path: Path) -> None:
    before = guards()
    shell = Shell(tmp_path, sandbox.probe(tmp_path, want="none"))
    for guard in guards():
        os.kill(guard, signal.SIGKILL)
        processes.wait_gone([guard], 2.0)
    private_folder = shell.private
    shell.close()
    assert not private_folder.exists() and (before or not guards())


@pytest.mark.parametrize("want", ["bwrap", "landlock", "none"])
def test_a_shell_carries_its_mark_and_in_a_pid_namespace_its_commands_do_not(tmp_path: Path, want: str) -> None:
    with Shell(tmp_path, sandbox.probe(tmp_path, want=want)) as shell:
        seen = shell.run("printenv NIMLLM_SHELL").output.strip()
        assert seen == ("" if want == "bwrap" else shell._mark)
        assert marked(shell._mark)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_harness_that_ends_by_a_signal_leaves_nothing(tmp_path: Path, number: int) -> None:
    mark = str(random.randrange(10**8, 10**9))
    script = HARNESS.replace("import sys\n", "import signal, sys\nfor n in (1, 15): signal.signal(n, lambda *_: sys.exit(143))\n")
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), mark, "none"],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert child.stdout is not None and child.stdout.readline() == b"begun\n"
    time.sleep(0.6)
    child.send_signal(number)
    assert child.wait(20) == 143
    assert not holders(mark) and not list(tmp_path.glob(PREFIX + "*"))
