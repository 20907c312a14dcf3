# ruff: noqa: E501 (commands under test stay on one line)
"""Commands that take all there is: the harness lives, what was taken is given back, and somebody says what happened."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nimllm.tools import sandbox, watch
from nimllm.tools.shell import Shell

PYTHON = os.path.realpath(sys.executable)  # an environment below /tmp is not seen in the sandbox

Enforced = Callable[..., sandbox.Sandbox]
SMALL = sandbox.Limits(processes=150, file_kib=20 * 1024, cpu_seconds=3, resident_mib=200, disk_mib=60)
# A bomb that stops growing by itself: a true one would hit whatever else runs on this machine should the watch fail.
BOMB = "for i in {1..250}; do sleep 30 & done; wait"


@pytest.fixture(scope="module", params=["bwrap", *(pytest.param(level, marks=pytest.mark.slow) for level in ("landlock", "none"))])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, enforced: Enforced) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("limits")
    with Shell(folder, enforced(folder, want=request.param, limits=SMALL)) as opened:
        yield opened


@pytest.mark.parametrize("command, why", [
    (BOMB, "more than 150 processes"),
    (f"({BOMB}) & wait", "more than 150 processes"),
    ("PYTHON -IS -c 'x = bytearray(10**9); x[::4096] = bytes(len(x[::4096])); import time; time.sleep(20)'", "more than 200 MiB of memory"),
    ("x=$(head -c 300000000 /dev/zero | tr '\\0' a); sleep 20", "more than 200 MiB of memory"),
    ("for i in 1 2 3 4 5; do PYTHON -IS -c 'x = bytearray(6 * 10**7); x[::4096] = bytes(len(x[::4096])); import time; time.sleep(20)' & done; wait", "more than 200 MiB of memory"),
    ("for i in {1..8}; do head -c 16000000 /dev/zero > part$i; sleep 0.3; done; sleep 20", "more than 60 MiB of the disk"),
])
def test_it_is_stopped(shell: Shell, command: str, why: str) -> None:
    if "bomb" in why and shell.sandbox.level == "landlock" and os.geteuid() != 0:
        pytest.skip("the user's other processes count against ulimit -u")
    started = time.monotonic()
    done = shell.run(command.replace("PYTHON", shlex.quote(PYTHON)), timeout=60)
    assert (done.ended, done.restarted) == ("died", True) and why in done.reason, done
    assert f"stopped: {done.reason}" in done.output and time.monotonic() - started < 40
    after = shell.run("rm -f part*; echo alive")
    assert (after.output, after.restarted) == ("alive\n", False)
    assert shell._bash is not None and not shell._bash.below()


@pytest.mark.parametrize("command, words", [
    ("head -c 50000000 /dev/zero > big; s=$?; rm -f big; (exit $s)", ("File size limit exceeded", "File too large")),
    ("timeout 30 bash -c 'while :; do :; done'", ("Killed", "CPU time limit exceeded", "")),
    ("ulimit -f unlimited", ("Operation not permitted", "cannot modify limit")),
    ("ulimit -t unlimited", ("Operation not permitted", "cannot modify limit")),
])
def test_the_kernels_own_limits(shell: Shell, command: str, words: tuple[str, ...]) -> None:
    if os.geteuid() == 0 and shell.sandbox.level == "none" and "unlimited" in command:
        pytest.skip("root may")
    done = shell.run(command, timeout=60)
    assert done.status != 0 and any(word in done.output for word in words) and done.seconds < 30, done
    assert shell.run("echo alive").output == "alive\n"


def test_jobs_between_commands(shell: Shell) -> None:
    assert shell.run(f"(sleep 0.3; {BOMB}) >/dev/null 2>&1 &").status == 0
    for _ in range(200):
        time.sleep(0.05)
        if not shell._bash or not shell._bash.alive():
            break
    done = shell.run("echo alive")
    assert done.output == "nimllm: what ran in the background was stopped: it started more than 150 processes\nalive\n"


def test_a_small_disk_is_not_filled(tmp_path: Path, enforced: Enforced) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        with Shell(disk, enforced(disk)) as shell:
            done = shell.run("while :; do head -c 1000000 /dev/zero >> all; sleep 0.02; done", timeout=60)
            assert done.ended == "died" and "nearly full" in done.reason, done
            assert (watch.free(disk) or 0) > 4 << 20
            done = shell.run("head -c 100000000 /dev/zero > more")  # faster than any watch: the disk itself says no
            assert done.status != 0 and ("No space left" in done.output or "nearly full" in done.reason), done
            assert shell.run("rm -f all more; echo alive").output == "alive\n"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_memory_that_is_no_process(enforced: Enforced, tmp_path: Path) -> None:
    """Files in /dev/shm and other memory of bubblewrap's own mounts are bounded, too."""
    box = enforced(tmp_path)
    if "--disable-userns" not in box.flags:
        pytest.skip("this bubblewrap cannot bound its mounts")
    with Shell(tmp_path, box) as shell:
        size = int(shell.run("df --output=size -B1 /dev/shm | tail -1").output)
        assert size <= sandbox.SHARED_MEMORY
        assert shell.run("echo x > /dev/shm/x && python3 -c 'import multiprocessing; multiprocessing.Lock()'").status == 0
        for place in ("/dev", "/run", "/run/nimllm"):
            assert shell.run(f"echo x > {place}/x").status != 0


def test_the_kernel_ends_commands_before_anything_else(shell: Shell) -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(shell.run("cat /proc/self/oom_score_adj").output) == 1000 >= own


def test_a_look_is_cheap(tmp_path: Path) -> None:
    looked = watch.Watch(sandbox.Limits(), [tmp_path], lambda: [os.getpid()])
    started = time.perf_counter()
    for _ in range(100):
        looked.begin()
        assert looked.reason() == ""
    assert (time.perf_counter() - started) / 100 < 0.005
    assert looked.resident() > 1 << 20 and (watch.available() or 0) > 0 and watch.free(tmp_path / "gone") is None
