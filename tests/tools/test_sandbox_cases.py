# ruff: noqa: E501 (commands under test stay on one line)
"""What must not work, tried at both levels of the sandbox, each beside a control: the same command, held by nothing, in
a place of its own, where it does work. A tool that is missing is skipped by name and proves nothing.

OUT is a folder outside the workspace, HARNESS this process, PORT, UDP, NAME and SOCKET listen on the host.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nimllm.tools import sandbox
from nimllm.tools.shell import Result, Shell

PYTHON = os.path.realpath(sys.executable)  # an environment below /tmp is not seen in the sandbox

Enforced = Callable[..., sandbox.Sandbox]
BOTH, BWRAP = ("bwrap", "landlock"), ("bwrap",)


@dataclass(frozen=True)
class Case:
    """``control``: what is run outside instead, when the command itself must not be (it would change the machine).
    ``root``: the control needs to be root."""

    command: str
    levels: tuple[str, ...] = BOTH
    control: str = ""
    root: bool = False


def py(code: str) -> str:
    return f"{shlex.quote(PYTHON)} -IS -c '{code}'"


FILES = {
    "a redirection": Case("echo x > OUT/new"),
    "an existing file": Case("echo x >> OUT/file"),
    "truncation": Case(": > OUT/file"),
    "truncate": Case("truncate -s 0 OUT/file"),
    "the system call truncate": Case(py('import os; os.truncate("OUT/file", 0)')),
    "truncation by a reader": Case(py('import os; os.open("OUT/file", os.O_RDONLY | os.O_TRUNC)')),
    "a program": Case(py('open("OUT/new", "w")')),
    "a link to the folder": Case("ln -sfn OUT link; echo x > link/new"),
    "a link to the file": Case("ln -sfn OUT/file link2; echo x > link2"),
    "a link to the root": Case("ln -sfn / root; echo x > root/OUT/new"),
    "a hard link": Case("rm -f hard; ln OUT/file hard && echo x >> hard"),
    "a rename out": Case("touch mine; mv mine OUT/new"),
    "a rename in": Case("mv OUT/file mine2"),
    "a folder renamed": Case("mv OUT/folder here"),
    "names exchanged": Case("touch mine3; " + py('import ctypes, sys; r = ctypes.CDLL(None).renameat2(-100, b"mine3", -100, b"OUT/file", 2); sys.exit(r != 0)')),
    "removal": Case("rm OUT/file"),
    "removal of a tree": Case("rm -r OUT/folder"),
    "a folder": Case("mkdir OUT/new"),
    "a folder removed": Case("rmdir OUT/folder"),
    "a copy": Case("echo x > c; cp c OUT/new"),
    "install": Case("echo x > i; install -m 755 i OUT/new"),
    "dd": Case("dd if=/dev/zero of=OUT/new count=1 status=none"),
    "tee": Case("echo x | tee OUT/new"),
    "sed": Case("sed -i s/u/x/ OUT/file"),
    "a symbolic link": Case("ln -s x OUT/new"),
    "a FIFO": Case("mkfifo OUT/new"),
    "a socket file": Case(py('import socket; socket.socket(socket.AF_UNIX).bind("OUT/new")')),
    "a database": Case(py('import sqlite3; sqlite3.connect("OUT/new").execute("create table t (a)")')),
    "an archive with absolute names": Case("mkdir -p a && echo x > a/new && tar -cf a.tar --transform s,^a,OUT, -P a/new && tar -xPf a.tar"),
    "git": Case("git init -q OUT/new"),
    "parents": Case("echo x > ../../../../../../../..OUT/new"),
    "the home": Case("HOME=OUT; echo x >> ~/.bashrc"),
    "the root of a process": Case("touch /proc/self/root/OUT/new"),
    "a working folder": Case("cd OUT && touch new"),
    "a folder of the PATH": Case("touch /usr/local/bin/nimllm-escaped", control="test -d /usr/local/bin"),
    "a system file": Case("echo x >> /etc/hosts", control="test -f /etc/hosts"),
    "a child of bash": Case("bash -c '(echo x > OUT/new)'"),
    "a job": Case("echo x > OUT/new & wait $!"),
    # Landlock does not know of these: a stated limitation of that level.
    "rights": Case("chmod 777 OUT/file", BWRAP),
    "times": Case("touch -d 2001-01-01 OUT/file", BWRAP),
    "attributes": Case(py('import os; os.setxattr("OUT/file", "user.x", b"y")'), BWRAP),
}
NETWORK = {
    "bash, TCP": Case("exec 3<>/dev/tcp/127.0.0.1/PORT"),
    "bash, UDP": Case("echo x > /dev/udp/127.0.0.1/UDP"),
    "python, TCP": Case(py('import socket; socket.create_connection(("127.0.0.1", PORT), 3)')),
    "python, another address of this machine": Case(py('import socket; socket.create_connection(("ADDRESS", PORT), 3)')),
    "python, UDP": Case(py('import socket; socket.socket(2, 2).sendto(b"x", ("127.0.0.1", UDP))')),
    "python, IPv6": Case(py('import socket; socket.create_connection(("::1", PORT6), 3)')),
    "python, async": Case(py('import asyncio; asyncio.run(asyncio.open_connection("127.0.0.1", PORT))')),
    "curl": Case("curl -sS -m 3 http://127.0.0.1:PORT/"),
    "wget": Case("wget -q -T 3 -t 1 -O - http://127.0.0.1:PORT/"),
    "ssh": Case("ssh -o BatchMode=yes -o ConnectTimeout=3 -p PORT 127.0.0.1 true"),
    "nc": Case("nc -w 3 127.0.0.1 PORT </dev/null"),
    "perl": Case("""perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => "127.0.0.1:PORT", Timeout => 3) or exit 1'"""),
    "git": Case("git -c http.lowSpeedTime=3 ls-remote http://127.0.0.1:PORT/x"),
    "an abstract socket": Case(py('import socket; socket.socket(socket.AF_UNIX).connect("\\0NAME")')),
    "a socket with a path": Case(py('import socket; socket.socket(socket.AF_UNIX).connect("SOCKET")')),
    "a datagram to a socket with a path": Case(py('import socket; socket.socket(socket.AF_UNIX, 2).sendto(b"x", "DATAGRAM")')),
}
SOCKETS = {  # made, not connected: what no namespace or only a capability holds
    "vsock": Case(py("import socket; socket.socket(40, 1)")),
    "raw": Case(py("import socket; socket.socket(2, 3, 1)"), root=True),
    "packet": Case(py("import socket; socket.socket(17, 3, 768)"), root=True),
    "the kernel's ciphers": Case(py("import socket; socket.socket(38, 5)")),
    "ping's": Case("ping -c 1 -W 1 127.0.0.1", ("landlock",)),
}
OTHERS = {
    "memory of the harness": Case("head -c 1 /proc/HARNESS/mem", control=f"test -r /proc/{os.getpid()}/mem"),
    "environment of the harness": Case("head -c 1 /proc/HARNESS/environ | grep -q ."),
    "descriptors of the harness": Case("ls /proc/HARNESS/fd/0"),
    "a signal to the harness": Case("kill -0 HARNESS"),
    "a debugger": Case("gdb -p HARNESS -batch 2>&1 | grep -q 'Inferior 1'", control="gdb --version"),
    "strace": Case("strace -o /dev/null true"),
    "a mount": Case("mkdir -p m && mount -t tmpfs none m", control="mount --version"),
    "a remount": Case("mount -o remount,rw,bind /", control="mount --version"),
    "a new root": Case("chroot / true", root=True),
    "a user namespace": Case("unshare -Ur true"),
    "a mount namespace": Case("unshare -m true", root=True),
    "another's namespaces": Case("nsenter -t HARNESS -u true", root=True),
    "a device": Case("rm -f dev; mknod dev b 7 0", root=True),
    "another user": Case(py("import os; os.setuid(12345)"), root=True),
    "su": Case("su -s /bin/sh nobody -c true", root=True),
    "a setuid file": Case("cp /bin/true s && chmod u+s s"),
    "a setgid file": Case("cp /bin/true g && chmod 2755 g"),
    "a file that is made setuid": Case(py('import os; os.umask(0); fd = os.open("made", os.O_CREAT | os.O_EXCL, 0o4755); raise SystemExit(not os.fstat(fd).st_mode & 0o4000)')),
    "a setting of the kernel": Case("v=$(cat /proc/sys/kernel/panic) && echo $v > /proc/sys/kernel/panic", root=True),
    "a program for crashes": Case("echo x > /proc/sys/kernel/core_pattern", control="test -w /proc/sys/kernel/core_pattern", root=True),
    "a name for the machine": Case("hostname nimllm-escaped", control="hostname"),
    "the clock": Case("date -s @0", control="date"),
    "typing into the terminal": Case(py('import fcntl, os; fd = os.open("/dev/tty", os.O_RDWR); fcntl.ioctl(fd, 0x5412, b"#")'), control="test -c /dev/tty"),
    "the kernel's log": Case("dmesg -n 8", root=True),
    "a process of its own namespace": Case("unshare -p -f true", root=True),
}
CASES = {f"{kind}: {name}": case for kind, cases in
         (("file", FILES), ("network", NETWORK), ("socket", SOCKETS), ("other", OTHERS)) for name, case in cases.items()}


class Host:
    """What stands outside: a folder, and listeners that count who connects."""

    def __init__(self, place: Path) -> None:
        self.out = place / "out"
        self.seen = 0
        self._open: list[socket.socket] = []
        name = f"nimllm-test-{os.getpid()}-{place.name}"
        self.words = {"HARNESS": str(os.getpid()), "NAME": name, "SOCKET": str(place / "s"), "DATAGRAM": str(place / "d")}
        self.words["PORT6"] = self._listen(socket.AF_INET6, ("::1", 0))
        self.words["PORT"] = self._listen(socket.AF_INET, ("0.0.0.0", 0))
        self.words["UDP"] = self._listen(socket.AF_INET, ("127.0.0.1", 0), socket.SOCK_DGRAM)
        self._listen(socket.AF_UNIX, "\0" + name)
        self._listen(socket.AF_UNIX, str(place / "s"))
        self._listen(socket.AF_UNIX, str(place / "d"), socket.SOCK_DGRAM)
        self.words["ADDRESS"] = _own_address()
        self.renew()

    def _listen(self, family: int, address: object, kind: int = socket.SOCK_STREAM) -> str:
        listener = socket.socket(family, kind)
        try:
            listener.bind(address)
        except OSError:  # no IPv6 here
            return "0"
        if kind == socket.SOCK_STREAM:
            listener.listen()
        self._open.append(listener)
        threading.Thread(target=self._count, args=(listener, kind), daemon=True).start()
        return str(listener.getsockname()[1]) if family in (socket.AF_INET, socket.AF_INET6) else ""

    def _count(self, listener: socket.socket, kind: int) -> None:
        while True:
            try:
                if kind == socket.SOCK_DGRAM:
                    listener.recv(1)
                    self.seen += 1
                    continue
                client, _ = listener.accept()
                self.seen += 1
                with client:
                    client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            except OSError:
                return

    def renew(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        (self.out / "folder").mkdir(parents=True)
        (self.out / "file").write_text("untouched")
        os.utime(self.out / "file", (1e9, 1e9))

    def state(self) -> tuple[object, ...]:
        about = (self.out / "file").stat()
        attributes = os.listxattr(self.out / "file")
        return (sorted(os.listdir(self.out)), os.listdir(self.out / "folder"), (self.out / "file").read_text(),
                about.st_mode, about.st_mtime, about.st_nlink, attributes)

    def close(self) -> None:
        for listener in self._open:
            listener.close()


def _own_address() -> str:
    """An address of this machine that is not the loopback's, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    # not below /tmp, which bubblewrap replaces: there, everything would fail for the wrong reason
    place = Path(tempfile.mkdtemp(prefix="nimllm-cases-", dir="/var/tmp" if os.access("/var/tmp", os.W_OK) else None))
    found = Host(place)
    yield found
    found.close()
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Held by nothing: for the controls."""
    folder = tmp_path_factory.mktemp("free")
    with Shell(folder, sandbox.probe(folder, want="none")) as shell:
        yield shell


@pytest.fixture(scope="module", params=BOTH)
def held(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, host: Host, enforced: Enforced
         ) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("held")
    with Shell(folder, enforced(folder, want=request.param)) as shell:
        yield shell


@pytest.fixture(scope="module")
def controls(free: Shell, host: Host) -> Callable[[str], Result]:
    """Each control runs once for both levels."""
    known: dict[str, Result] = {}

    def run(name: str) -> Result:
        if name not in known:
            case, before = CASES[name], host.seen
            known[name] = free.run(_filled(case.control or case.command, host), timeout=20)
            if name.startswith("network:"):
                _settle(host, before)
                assert host.seen > before, f"nobody was reached even outside: {known[name]}"
            host.renew()
        return known[name]

    return run


def _filled(command: str, host: Host) -> str:
    for word, value in {**host.words, "OUT": str(host.out)}.items():
        command = command.replace(word, value)
    return f"( {command} )"  # one that changes its folder does not change the next one's


def _settle(host: Host, before: int) -> None:
    for _ in range(50):
        if host.seen > before:
            return
        threading.Event().wait(0.01)


@pytest.mark.parametrize("name", CASES)
def test_it_is_not_possible(held: Shell, controls: Callable[[str], Result], host: Host, name: str) -> None:
    case, level = CASES[name], held.sandbox.level
    if level not in case.levels:
        pytest.skip(f"not promised at level {level}")
    program = case.command.split()[0]
    if program in ("nc", "ping", "wget", "curl", "ssh", "perl") and shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if case.root and os.geteuid() != 0:
        pytest.skip("the control needs to be root")
    if "PORT6" in case.command and host.words["PORT6"] == "0":
        pytest.skip("no IPv6 here")
    control = controls(name)
    if control.status == 127 or "command not found" in control.output:
        pytest.skip(f"{program} is not installed")
    if "Address family not supported" in control.output or "Protocol not supported" in control.output:
        pytest.skip("this kernel has no such sockets")
    if case.root and control.status:  # root of a container that may not do it either
        pytest.skip(f"not possible outside, either: {control.output[:200]}")
    if not name.startswith("network:"):
        assert control.status == 0, f"it does not even work outside: {control}"
    reached, before = host.seen, host.state()
    done = held.run(_filled(case.command, host), timeout=20)
    assert host.state() == before, done
    if name.startswith("network:"):
        threading.Event().wait(0.02)
        assert host.seen == reached, done
    # a datagram may be lost without a word; whether it came is what counts
    assert done.status not in (0, 127) or "UDP" in case.command, done
    assert held.run("echo still here").output == "still here\n"


def test_there_are_enough_cases() -> None:
    assert sum(len(case.levels) for case in CASES.values()) >= 120
