"""System calls that no command needs and many escapes do: a filter that the kernel applies to everything below a shell.

The filter is a classic BPF program (bytes), made before the fork. It lets everything pass but what is listed here,
since a list of what programs need is never complete. What is refused fails with EPERM, what a library can do another
way with ENOSYS. x86-64 and aarch64; :func:`available` says why not elsewhere.
"""

from __future__ import annotations

import errno
import os
import platform
import socket
import stat
import struct
from dataclasses import dataclass

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*

# name -> number on x86-64, on aarch64 (None: the call does not exist there)
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # creates sockets and opens files behind a filter's back
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # other processes' memory and descriptors
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    # new namespaces, mounts, roots (clone and clone3 below)
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428), "open_tree_attr": (467, 467),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    # keys of the user's session, programs in the kernel, its counters and its page faults
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "fanotify_init": (300, 262), "syslog": (103, 116),
    # the machine
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "vhangup": (153, 58), "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42),
}
# Their arguments are behind a pointer, which a filter cannot follow; glibc then uses the older call.
_UNREADABLE = {"clone3": (435, 435), "openat2": (437, 437)}
# calls with a mode: name -> numbers, place of the mode, place of the flags that say whether the mode counts
_MODES: dict[str, tuple[int | None, int | None, int, int | None]] = {
    "chmod": (90, None, 1, None), "fchmod": (91, 52, 1, None), "fchmodat": (268, 53, 2, None),
    "fchmodat2": (452, 452, 2, None), "mknod": (133, None, 1, None), "mknodat": (259, 33, 2, None),
    "creat": (85, None, 1, None), "open": (2, None, 2, 1), "openat": (257, 56, 3, 2),
}
_TRUNCATE = (76, 45)
_CLONE, _IOCTL, _SOCKET, _SOCKETPAIR = (56, 220), (16, 29), (41, 198), (53, 199)
# CLONE_NEW: NS, CGROUP, UTS, IPC, USER, PID, NET. (NEWTIME is the signal mask of clone, and only clone3 and unshare
# know it.)
_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_TIOCSTI, _TIOCLINUX, _TIOCSETD = 0x5412, 0x541C, 0x5423
_SET_ID = stat.S_ISUID | stat.S_ISGID

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06  # BPF_LD|W|ABS, BPF_JMP|…|K
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_X32 = 0x40000000  # the x32 ABI: the same calls under other numbers

Instruction = tuple[int, int, int, int]  # code, jump when true, jump when false, constant


@dataclass(frozen=True)
class Filter:
    """``families``: address families a socket may have. ``truncates``: whether truncate(2) and O_RDONLY|O_TRUNC may be
    used, which Landlock knows about since its third version only."""

    families: tuple[int, ...]
    truncates: bool = True

    def program(self, machine: str | None = None) -> bytes:
        """The filter as an array of ``struct sock_filter``; ValueError for a machine it does not know."""
        name = _machine(machine)
        if name not in _ARCHITECTURES:
            raise ValueError(f"no system call numbers of {name}")
        here = 0 if name == "x86_64" else 1
        code: list[Instruction] = [
            (_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _ARCHITECTURES[name]), *_refuse(errno.ENOSYS),  # 32-bit programs
            (_LOAD, 0, 0, 0),
        ]
        if here == 0:
            code += [(_AT_LEAST, 0, 1, _X32), *_refuse(errno.ENOSYS)]
        for numbers in _REFUSED.values():
            code += _when(numbers[here], _refuse())
        for numbers in _UNREADABLE.values():
            code += _when(numbers[here], _refuse(errno.ENOSYS))
        if not self.truncates:
            code += _when(_TRUNCATE[here], _refuse())
        code += _when(_CLONE[here], [_argument(0), (_ANY_BIT, 0, 1, _NAMESPACES), *_refuse(), *_allow()])
        # Typing into a terminal (as if the user had), and the console's own ioctls.
        code += _when(_IOCTL[here], [_argument(1), *_refuse_equal((_TIOCSTI, _TIOCLINUX, _TIOCSETD)), *_allow()])
        code += _when(_SOCKET[here], [_argument(0), *_allow_equal(self.families), *_refuse()])
        code += _when(_SOCKETPAIR[here], [_argument(0), *_allow_equal((int(socket.AF_UNIX),)), *_refuse()])
        for x86, arm, mode, flags in _MODES.values():
            body = [_argument(mode), (_ANY_BIT, 0, 1, _SET_ID), *_refuse(), *_allow()]
            if flags is not None:
                # O_TMPFILE makes a file, too; of its two bits the other one is O_DIRECTORY, and does not count
                making = os.O_CREAT | (os.O_TMPFILE & ~os.O_DIRECTORY)
                body = [_argument(flags), (_ANY_BIT, 0, len(body), making), *body, *_allow()]
                if not self.truncates:
                    body = [*_read_only_truncation(flags), *body]
            code += _when((x86, arm)[here], body)
        code += _allow()
        return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def available(machine: str | None = None) -> str | None:
    """None when filters can be used here, else why not."""
    name = _machine(machine)
    if name not in _ARCHITECTURES:
        return f"system call filters are not written for {name}"
    if machine is None and not os.path.exists("/proc/sys/kernel/seccomp/actions_avail"):
        return "the kernel has no system call filters (seccomp)"
    return None


def _machine(given: str | None) -> str:
    name = given or platform.machine()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name.lower(), name.lower())


def _refuse(number: int = errno.EPERM) -> list[Instruction]:
    return [(_RETURN, 0, 0, _ERRNO | number)]


def _allow() -> list[Instruction]:
    return [(_RETURN, 0, 0, _ALLOW)]


def _argument(place: int) -> Instruction:
    """Load the lower half of an argument: little-endian, eight bytes each, after nr, arch and instruction pointer."""
    return (_LOAD, 0, 0, 16 + 8 * place)


def _when(number: int | None, body: list[Instruction]) -> list[Instruction]:
    """``body``, which returns in every case, for the call ``number``."""
    return [] if number is None else [(_EQUAL, 0, len(body), number), *body]


def _refuse_equal(values: tuple[int, ...]) -> list[Instruction]:
    return [step for value in values for step in ((_EQUAL, 0, 1, value), *_refuse())]


def _allow_equal(values: tuple[int, ...]) -> list[Instruction]:
    return [step for value in values for step in ((_EQUAL, 0, 1, value), *_allow())]


def _read_only_truncation(flags: int) -> list[Instruction]:
    """Refuses O_TRUNC together with O_RDONLY, which truncates a file without the right to write it."""
    return [_argument(flags), (_AND, 0, 0, os.O_TRUNC | os.O_ACCMODE), (_EQUAL, 0, 1, os.O_TRUNC), *_refuse()]
