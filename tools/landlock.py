"""Landlock: what a process and all below it may change in the file system, held by the kernel without a privilege.

Only what changes something is held; reading and running stay free. Rules name folders, and hold for all that lies below
them: a hole in a writable folder can be had only by naming everything else in it (:func:`around`), and then no new name
can be made beside the hole. Not held by Landlock at all: chmod, chown, times and extended attributes of the user's own
files, and connections to sockets that have a path.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

WRITE, REMOVE_DIR, REMOVE_FILE = 1 << 1, 1 << 4, 1 << 5
MAKE = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12  # folder, file, socket, FIFO, symbolic link
_MAKE_DEVICE = 1 << 6 | 1 << 11
REFER, TRUNCATE, IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_SINCE = {REFER: 2, TRUNCATE: 3, IOCTL_DEVICE: 5}  # the version of Landlock that knows it
FOLDER = WRITE | REMOVE_DIR | REMOVE_FILE | MAKE | REFER | TRUNCATE
FILE = WRITE | TRUNCATE
DEVICE = WRITE | TRUNCATE | IOCTL_DEVICE

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_BENEATH = 1
_NO_TCP = 1 | 2  # bind, connect; version 4
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2  # scopes; version 6
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER, _DROP_BOUNDING, _AMBIENT, _CLEAR_AMBIENT = 38, 22, 2, 24, 47, 4
MOST_ENTRIES = 5_000  # of a folder around a hole


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("code", ctypes.c_void_p))


def version() -> int:
    """The kernel's Landlock version; 0 where it has none or it is switched off."""
    try:
        return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))
    except (OSError, AttributeError):
        return 0


def around(folder: Path, holes: Iterable[Path]) -> list[tuple[Path, int]]:
    """Grants that open ``folder`` but for ``holes`` below it. With holes, only what is there now is opened: no name can
    be made, removed or renamed in a folder between."""
    holes = [hole for hole in holes if hole != folder and hole.is_relative_to(folder)]
    if not holes:
        return [(folder, FOLDER)]
    found: list[tuple[Path, int]] = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)[:MOST_ENTRIES]
    except OSError:
        return []
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() or path in holes:
            continue
        if entry.is_dir():
            found += around(path, holes)
        elif entry.is_file():
            found.append((path, FILE))
    return found


def ruleset(grants: Iterable[tuple[Path, int]], network: bool, abi: int) -> int:
    """Descriptor of a ruleset that allows ``grants`` (path, rights) and no other change; OSError when it fails.

    With version 4 it refuses TCP unless ``network``, with 6 abstract sockets of, and signals to, processes outside.
    """
    libc = _libc()
    everything = FOLDER | _MAKE_DEVICE | IOCTL_DEVICE
    handled = sum(right for right in _bits(everything) if _SINCE.get(right, 1) <= abi)
    about = _Ruleset(handled, _NO_TCP if abi >= 4 and not network else 0, _ABSTRACT_SOCKETS | _SIGNALS)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    fd = int(libc.syscall(_CREATE_RULESET, ctypes.byref(about), ctypes.c_size_t(size), ctypes.c_uint32(0)))
    _check(fd, "landlock_create_ruleset")
    try:
        for path, rights in grants:
            _allow(libc, fd, path, rights & handled)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile, or never there: nothing to open
        return
    try:
        mode = os.fstat(target).st_mode
        if stat.S_ISLNK(mode):
            return
        if not stat.S_ISDIR(mode):
            rights &= WRITE | TRUNCATE | IOCTL_DEVICE
        rule = _Beneath(rights, target)
        done = libc.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_BENEATH), ctypes.byref(rule),
                            ctypes.c_uint32(0))
        _check(int(done), f"landlock_add_rule for {path}")
    finally:
        os.close(target)


def confinement(ruleset: int, program: bytes) -> Callable[[], None]:
    """What a forked child calls before exec: no privilege can be gained, no capability is left, ``ruleset`` (closed
    afterwards) and the seccomp ``program`` are in force. OSError in the child when one of them is refused.

    Everything is made here, before the fork: the child only makes system calls.
    """
    libc = _libc()
    buffer = ctypes.create_string_buffer(program, len(program))
    about = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    nothing = (ctypes.c_uint32 * 6)()
    zero, one = ctypes.c_ulong(0), ctypes.c_ulong(1)
    capabilities = [ctypes.c_ulong(number) for number in range(64)]
    kept = (buffer, about)

    def confine() -> None:
        for number in capabilities:  # refused to who has none to drop
            libc.prctl(_DROP_BOUNDING, number, zero, zero, zero)
        libc.prctl(_AMBIENT, ctypes.c_ulong(_CLEAR_AMBIENT), zero, zero, zero)
        _check(libc.prctl(_NO_NEW_PRIVILEGES, one, zero, zero, zero), "no_new_privs")
        _check(libc.capset(header, nothing), "capset")
        _check(int(libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))), "landlock_restrict_self")
        os.close(ruleset)
        _check(libc.prctl(_SET_SECCOMP, ctypes.c_ulong(_FILTER), ctypes.byref(kept[1]), zero, zero), "seccomp")

    return confine


def _bits(mask: int) -> list[int]:
    return [1 << place for place in range(mask.bit_length()) if mask >> place & 1]


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
