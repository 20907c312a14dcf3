"""Ids of a world's commits, known before git has made them, so that a right command can name a commit.

Git's object format: ``sha1("<kind> <size>\\0" + body)``; see gitformat-pack(5) and git-hash-object(1).
"""

from __future__ import annotations

import hashlib

from nimllm.agent.gym.worlds import World


def _object(kind: str, body: bytes) -> bytes:
    return hashlib.sha1(f"{kind} {len(body)}\0".encode() + body, usedforsecurity=False).digest()


def _tree(files: dict[str, tuple[str, bytes]]) -> bytes:
    """Id of the tree of these paths, each with its mode and blob."""
    rows: list[tuple[bytes, bytes]] = []
    folders: dict[str, dict[str, tuple[str, bytes]]] = {}
    for path, (mode, blob) in files.items():
        name, _, rest = path.partition("/")
        if rest:
            folders.setdefault(name, {})[rest] = (mode, blob)
        else:
            rows.append((name.encode(), f"{mode} {name}\0".encode() + blob))
    rows += [(f"{name}/".encode(), f"40000 {name}\0".encode() + _tree(inner)) for name, inner in folders.items()]
    return _object("tree", b"".join(row for _, row in sorted(rows)))


def commit_ids(world: World) -> list[str]:
    """Forty hexadecimal digits per commit of ``world.commits``."""
    files: dict[str, tuple[str, bytes]] = {}
    ids: list[str] = []
    for number, (author, message, paths) in enumerate(world.commits, 1):
        for path in paths:
            entry = world.entries[path]
            if entry.kind == "link":
                files[path] = ("120000", _object("blob", entry.target.encode()))
            else:
                files[path] = ("100755" if entry.mode & 0o100 else "100644", _object("blob", entry.content))
        who = f"{author} <{author.split()[0].lower()}@example.org> {1_750_000_000 + number * 3_600} +0000"
        parent = f"parent {ids[-1]}\n" if ids else ""
        body = f"tree {_tree(files).hex()}\n{parent}author {who}\ncommitter {who}\n\n{message}\n"
        ids.append(_object("commit", body.encode()).hex())
    return ids
