# ruff: noqa: E501 (messages and calls stay on one line)
"""The filter of system calls: read as the kernel would read it, for both machines, and in force in both sandboxes."""

from __future__ import annotations

import errno
import json
import os
import shlex
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nimllm.tools import landlock, sandbox, seccomp
from nimllm.tools.shell import Shell

PYTHON = os.path.realpath(sys.executable)  # an environment below /tmp is not seen in the sandbox

Enforced = Callable[..., sandbox.Sandbox]
X86, ARM = 0xC000003E, 0xC00000B7
EPERM, ENOSYS, ALLOWED = errno.EPERM, errno.ENOSYS, 0


def decide(program: bytes, number: int, *arguments: int, architecture: int = X86) -> int:
    """What the program returns: 0 when the call is allowed, else the error. A small classic BPF machine."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(*arguments, *[0] * (6 - len(arguments))))
    steps = list(struct.iter_unpack("<HBBI", program))
    at, value = 0, 0
    while True:
        code, true, false, constant = steps[at]
        at += 1
        if code == 0x20:
            value = struct.unpack_from("<I", data, constant)[0]
        elif code == 0x54:
            value &= constant
        elif code in (0x15, 0x35, 0x45):
            held = {0x15: value == constant, 0x35: value >= constant, 0x45: bool(value & constant)}[code]
            at += true if held else false
        else:
            assert code == 0x06
            return 0 if constant == 0x7FFF0000 else constant & 0xFFFF


@pytest.fixture(scope="module")
def strict() -> bytes:
    return seccomp.Filter((), truncates=False).program("x86_64")


@pytest.fixture(scope="module")
def wide() -> bytes:
    return seccomp.Filter((1, 2, 10, 16)).program("x86_64")


def test_what_is_decided(strict: bytes, wide: bytes) -> None:
    for name, (x86, arm) in seccomp._REFUSED.items():
        assert x86 is not None and decide(wide, x86) == EPERM, name
        if arm is not None:
            assert decide(seccomp.Filter((1,)).program("aarch64"), arm, architecture=ARM) == EPERM, name
    for number in (0, 1, 3, 9, 59, 60, 62, 202, 231, 500):
        assert decide(wide, number) == decide(strict, number) == ALLOWED
    assert decide(wide, 435) == decide(wide, 437) == ENOSYS
    assert decide(wide, 1, architecture=0x40000003) == ENOSYS, "a 32-bit program"
    assert decide(wide, 0x40000000 | 41, 2) == ENOSYS, "the x32 calls"
    assert decide(wide, 56, 0x11 | 0x01000000) == ALLOWED, "fork"
    assert decide(wide, 56, 0x3D0F00) == ALLOWED, "a thread"
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert decide(wide, 56, 0x11 | flag) == EPERM


def test_sockets(strict: bytes, wide: bytes) -> None:
    assert [decide(wide, 41, family) for family in (1, 2, 10, 16)] == [ALLOWED] * 4
    assert {decide(wide, 41, family) for family in (3, 17, 31, 38, 40, 44)} == {EPERM}
    assert {decide(strict, 41, family) for family in range(46)} == {EPERM}
    assert decide(strict, 53, 1) == ALLOWED and decide(strict, 53, 2) == EPERM
    assert decide(strict, 41, 1 << 32 | 2) == EPERM


def test_modes_and_truncation(strict: bytes, wide: bytes) -> None:
    for number, place in ((90, 1), (91, 1), (268, 2), (452, 2), (133, 1), (259, 2), (85, 1)):
        for mode, want in ((0o755, ALLOWED), (0o1777, ALLOWED), (0o4755, EPERM), (0o2755, EPERM)):
            assert decide(wide, number, *[0] * place, mode) == want
    making = os.O_CREAT | os.O_WRONLY
    assert decide(wide, 257, 0, 0, making, 0o4755) == decide(wide, 2, 0, making, 0o4755) == EPERM
    assert decide(wide, 257, 0, 0, os.O_TMPFILE | os.O_RDWR, 0o4755) == EPERM
    assert decide(wide, 257, 0, 0, making, 0o755) == ALLOWED
    assert decide(wide, 257, 0, 0, os.O_RDONLY | os.O_DIRECTORY, 0o4755) == ALLOWED, "a mode that is not looked at"
    assert decide(wide, 257, 0, 0, os.O_RDONLY | os.O_TRUNC) == decide(wide, 76) == ALLOWED
    assert decide(strict, 257, 0, 0, os.O_RDONLY | os.O_TRUNC) == decide(strict, 76) == EPERM
    assert decide(strict, 2, 0, os.O_RDONLY | os.O_TRUNC) == EPERM
    assert decide(strict, 257, 0, 0, os.O_WRONLY | os.O_TRUNC) == decide(strict, 77) == ALLOWED
    assert decide(strict, 257, 0, 0, making | os.O_TRUNC, 0o4755) == EPERM


def test_terminals(wide: bytes) -> None:
    assert decide(wide, 16, 0, 0x5412) == decide(wide, 16, 0, 0x541C) == EPERM
    assert decide(wide, 16, 0, 0xFFFFFFFF00005412) == EPERM, "the kernel looks at the lower half only"
    assert decide(wide, 16, 0, 0x5413) == ALLOWED


def test_the_numbers_are_the_systems_own() -> None:
    """Against the C library's headers, where they are installed."""
    header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h"
    for column, path in enumerate(header):
        if not os.path.exists(path):
            continue
        known = {}
        for line in Path(path).read_text().splitlines():
            words = line.split()
            if len(words) == 3 and words[0] == "#define" and words[1].startswith("__NR") and words[2].isdigit():
                known[words[1].replace("__NR3264_", "").replace("__NR_", "")] = int(words[2])
        tables = {**seccomp._REFUSED, **seccomp._UNREADABLE, **{name: row[:2] for name, row in seccomp._MODES.items()}}
        checked = [name for name, row in tables.items() if name in known and row[column] is not None]
        assert [name for name in checked if tables[name][column] != known[name]] == [] and len(checked) > 40


# Calls with arguments that do nothing: outside, the kernel complains of these; inside, the filter is faster.
CALLS = """
import ctypes, json
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    ctypes.set_errno(0)
    done = libc.syscall(*[ctypes.c_long(word) for word in words])
    return ctypes.get_errno() if done < 0 else 0
calls = {"io_uring_setup": (425, 0, 0), "io_uring_enter": (426, -1, 0, 0, 0, 0), "io_uring_register": (427, -1, 0, 0, 0),
 "process_vm_readv": (310, 1 << 30, 0, 0, 0, 0, 0), "process_vm_writev": (311, 1 << 30, 0, 0, 0, 0, 0),
 "ptrace": (101, 16, 1 << 30, 0, 0), "pidfd_getfd": (438, -1, 0, 0), "kcmp": (312, 1 << 30, 1, 9, 0, 0),
 "unshare": (272, 1), "setns": (308, -1, 0), "mount": (165, 0, 0, 0, 0, 0), "open_tree": (428, -1, 0, 0),
 "fsopen": (430, 0, 0), "move_mount": (429, -1, 0, -1, 0, 0), "keyctl": (250, 999, 0, 0, 0, 0), "add_key": (248, 0, 0, 0, 0, 0),
 "bpf": (321, 999, 0, 0), "perf_event_open": (298, 0, 0, 0, -1, 0), "userfaultfd": (323, 0xffff), "quotactl": (179, 0, 0, 0, 0),
 "clock_settime": (227, 99, 0), "open_by_handle_at": (304, -1, 0, 0), "fanotify_init": (300, 0xffffff, 0), "acct": (163, 1),
 "kexec_load": (246, 0, 99, 0, 0), "delete_module": (176, 0, 0), "swapon": (167, 0, 0), "sethostname": (170, 0, -1),
 "clone3": (435, 0, 0), "openat2": (437, -1, 0, 0, 0)}
print(json.dumps({name: call(*words) for name, words in calls.items()}))
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
@pytest.mark.parametrize("level", ["bwrap", "landlock"])
def test_it_is_in_force(enforced: Enforced, tmp_path: Path, level: str) -> None:
    outside = json.loads(subprocess.run([sys.executable, "-IS", "-c", CALLS], capture_output=True, check=True).stdout)
    with Shell(tmp_path, enforced(tmp_path, want=level)) as shell:
        inside = json.loads(shell.run(f"{shlex.quote(PYTHON)} -IS -c {shlex.quote(CALLS)}").output)
    assert {name for name, number in inside.items() if number != EPERM} == {"clone3", "openat2"}
    assert inside["clone3"] == inside["openat2"] == ENOSYS
    reached = {name for name, number in outside.items() if number not in (EPERM, ENOSYS)}
    assert len(reached) >= (20 if os.geteuid() == 0 else 8), f"outside they are not refused: {outside}"


def test_an_older_landlock(tmp_path: Path, enforced: Enforced) -> None:
    """Versions 1 and 2 know no truncation (Debian 12's kernel): there the filter holds it."""
    from dataclasses import replace

    (tmp_path / "work").mkdir()
    (tmp_path / "file").write_text("untouched")
    box = enforced(tmp_path / "work", want="landlock")
    for version in range(1, box.abi + 1):
        with Shell(tmp_path / "work", replace(box, abi=version)) as shell:
            for command in ("truncate -s 0 ../file", ": > ../file", "PY 'import os; os.truncate(\"../file\", 0)'",
                            "PY 'import os; os.open(\"../file\", os.O_RDONLY | os.O_TRUNC)'", "mv ../file .", "ln ../file x"):
                done = shell.run(command.replace("PY", f"{shlex.quote(PYTHON)} -IS -c"))
                assert done.status not in (0, 127), (version, done)
            assert shell.run("echo a > b && mv b c && mkdir -p d && cp c d && truncate -s 1 c && : > c").status == 0
            assert shell.run("echo x > ../new").status != 0
        assert (tmp_path / "file").read_text() == "untouched" and sorted(os.listdir(tmp_path)) == ["file", "work"]


def test_around(tmp_path: Path) -> None:
    for folder in ("a/b/c", "a/d", "e"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "a/file").write_text("")
    (tmp_path / "link").symlink_to("/etc")
    assert landlock.around(tmp_path, []) == [(tmp_path, landlock.FOLDER)]
    opened = dict(landlock.around(tmp_path, [tmp_path / "a/b/c"]))
    assert opened == {tmp_path / "a/d": landlock.FOLDER, tmp_path / "a/file": landlock.FILE, tmp_path / "e": landlock.FOLDER}
    assert landlock.around(tmp_path / "gone", [tmp_path / "gone/x"]) == []


def test_machines_it_does_not_know(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert seccomp.available("riscv64") is not None and seccomp.available("AMD64") is None
    with pytest.raises(ValueError):
        seccomp.Filter(()).program("riscv64")
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    box = sandbox.probe(tmp_path)
    assert box.level != "landlock" and not box.filtered
    with pytest.raises(Exception, match="riscv64"):
        sandbox.probe(tmp_path, want="landlock")
