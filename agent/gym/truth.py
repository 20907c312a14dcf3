"""What counts as the same result: a digest of a folder, and outputs compared as a user would compare them."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

_IGNORED = frozenset({".git", "__pycache__", ".pytest_cache", ".bash_history", ".python_history", ".lesshst"})
_KEY = re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----|ssh-(?:ed25519|rsa)(?= AAAA)")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
GIT_STATE = (  # the last commits' subjects stand for the ids, which depend on the moment
    "git log --format='%s|%an' 2>/dev/null; echo --; git for-each-ref --format='%(refname)%(HEAD) %(subject)'; "
    "echo --; git status --porcelain; echo --; git diff --cached; echo --; "
    "git config --local --get-regexp '^(user|remote)[.]'")


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def _members(pairs: Iterable[tuple[str, bytes]]) -> str:
    lines = sorted(f"{name.removeprefix('./').rstrip('/')} {_digest(data)}" for name, data in pairs)
    return _digest("\n".join(line for line in lines if line.split(" ")[0]).encode())


def content(data: bytes) -> str:
    """Digest of a file's content; of an archive, its members' names and contents (not times, owners or order); of an
    SSH key, that it is one (each is new)."""
    if key := _KEY.match(data):
        return f"key:{key[0].decode()}"
    try:
        if data[:2] == b"\x1f\x8b":
            return "gz:" + content(gzip.decompress(data))
        if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return "zip:" + _members((item.filename, archive.read(item)) for item in archive.infolist())
        if data[257:262] == b"ustar" or data[:3] == b"BZh" or data[:6] == b"\xfd7zXZ\0":
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                found = []
                for member in tar.getmembers():
                    file = tar.extractfile(member) if member.isfile() else None
                    found.append((member.name, file.read() if file else member.linkname.encode()))
                return "tar:" + _members(found)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError):
        pass
    return _digest(data)


def tree(folder: Path, times: Iterable[str] = ()) -> dict[str, str]:
    """Path -> kind, mode and content of everything below ``folder``, without the insides of .git."""
    timed, found = frozenset(times), {}

    def walk(path: str, prefix: str) -> None:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name in _IGNORED:
                    continue
                name = prefix + entry.name
                if entry.is_symlink():
                    found[name] = f"link {os.readlink(entry.path)}"
                    continue
                info = entry.stat(follow_symlinks=False)
                mode = stat.S_IMODE(info.st_mode)
                if entry.is_dir():
                    found[name] = f"dir {mode:o}"
                    if mode & 0o500 == 0o500 or os.geteuid() == 0:
                        walk(entry.path, name + "/")
                elif stat.S_ISREG(info.st_mode):
                    try:
                        with open(entry.path, "rb") as file:
                            found[name] = f"file {mode:o} {content(file.read())}"
                    except PermissionError:
                        found[name] = f"file {mode:o} unreadable {info.st_size}"
                else:
                    found[name] = f"other {mode:o}"
                if name in timed:
                    found[name] += f" {int(info.st_mtime)}"

    walk(os.fspath(folder), "")
    return found


def state(folder: Path, times: Iterable[str] = (), git: str = "") -> str:
    """Digest of :func:`tree` and of what :data:`GIT_STATE` printed in the folder (empty when it is no repository)."""
    lines = [f"{name}\0{value}" for name, value in sorted(tree(folder, times).items())]
    return _digest(("\n".join(lines) + "\0\0" + git.strip()).encode("utf-8", "surrogateescape"))


def normalise(output: str, ordered: bool) -> str:
    """Blanks squeezed, leading ``./`` dropped, empty lines at both ends dropped; lines sorted unless ``ordered``."""
    lines = [" ".join(line.split()) for line in output.split("\n")]
    lines = [line.removeprefix("./") if line != "./" else "." for line in lines]
    if not ordered:
        return "\n".join(sorted(line for line in lines if line))
    return "\n".join(lines).strip("\n")


def _numbers(text: str) -> str:
    """Every number token in one spelling: 12.50 and 12.5, 3.0 and 3 are the same."""

    def canonical(token: str) -> str:
        if not _NUMBER.fullmatch(token) or (len(token) > 1 and token[0] == "0" and token[1] != "."):
            return token
        return f"{float(token):.6g}" if "." in token or "e" in token.lower() else str(int(token))

    return "\n".join(" ".join(canonical(token) for token in line.split(" ")) for line in text.split("\n"))


def matches(expect: str, got: str, ordered: bool) -> bool:
    """Whether a user who expected ``expect`` (normalised) has the same answer in ``got``.

    A lone number may come with the name of its file (``12 notes.txt``), and either may lack it; unordered names may
    stand in columns.
    """
    if not expect:
        return not got.strip()
    want, have = _numbers(normalise(expect, ordered)), _numbers(normalise(got, ordered))
    if want == have:
        return True
    if "\n" not in want and "\n" not in have and want and have:
        first, other = want.split(" "), have.split(" ")
        return (len(first) <= 2 and len(other) <= 2 and len(first) != len(other)
                and first[0] == other[0] and bool(re.fullmatch(r"-?[\d.]+[KMGTB]?", first[0])))
    return not ordered and sorted(want.split()) == sorted(have.split())
