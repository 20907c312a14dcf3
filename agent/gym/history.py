"""The git side of a world: what its history holds, changes that are not committed, more commits, and commit ids.

The ids are known before git has made the commits, so that a right command can name one; the object format,
``sha1("<kind> <size>\\0" + body)``, is that of git-hash-object(1).
"""

from __future__ import annotations

import hashlib
import random
import shlex

from nimllm.agent.gym import contents
from nimllm.agent.gym.worlds import Unsuitable, World

# bash of a world's setup: a bare repository inside .git (where no digest looks) as remote origin, and main pushed to it
REMOTE = "git init -q --bare .git/origin.git; git remote add origin .git/origin.git"
PUSHED = f"{REMOTE}; git push -qu origin main 2>/dev/null"


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


def committed(world: World, least: int = 1) -> list[str]:
    """Text files that the history holds."""
    paths = [path for _, _, part in world.commits for path in part if b"\0" not in world.entries[path].content]
    if len(paths) < least:
        raise Unsuitable("too few committed files")
    return sorted(paths)


def unlink(world: World) -> None:
    """Drop symbolic links: the history leaves them out, so that they would count as untracked."""
    for path in [path for path, entry in world.entries.items() if entry.kind == "link"]:
        del world.entries[path]


def edit(world: World, rng: random.Random, path: str) -> None:
    """Change a committed file without staging it."""
    lines = world.read(path).split("\n")
    at = rng.randrange(len(lines))
    lines[at:at + rng.randint(0, 1)] = [" ".join(world.words(rng.randint(1, 4)))]
    world.edits[path] = ("\n".join(lines).strip("\n") + "\n").encode()
    if world.edits[path] == world.entries[path].content:
        world.edits[path] += world.word().encode() + b"\n"


def dirty(world: World, rng: random.Random, most: int = 3) -> None:
    """One to ``most`` changes that are not committed: edits, new files, deletions."""
    paths = committed(world)
    for path in rng.sample(paths, min(len(paths), rng.randint(1, most))):
        how = rng.random()
        if how < 0.55:
            edit(world, rng, path)
        elif how < 0.85:
            name = world.new_name()
            world.add_file(name, world.content(name))
        else:
            world.setup.append(f"rm {shlex.quote(path)}")


def grow(world: World, rng: random.Random, path: str, number: int = 1) -> list[tuple[str, str]]:
    """``number`` more commits that append a line to ``path``: their (author, message) pairs."""
    authors = [*sorted({author for author, _, _ in world.commits}), world.name()]
    made = []
    for _ in range(number):
        author, message = rng.choice(authors), contents.commit_message(rng, [path]).replace("'", "")
        world.setup.append(f"echo {shlex.quote(' '.join(world.words(3)))} >> {shlex.quote(path)} && git -c "
                           f"user.name={shlex.quote(author)} -c user.email=a@example.org commit -qam '{message}'")
        made.append((author, message))
    return made


def branch_name(world: World, rng: random.Random) -> str:
    parts = "-".join("".join(letter for letter in word if letter.isascii() and letter.isalnum()).lower() or "x"
                     for word in world.words(rng.choice((1, 1, 2))))
    return rng.choice(("", "", "", "feature/", "fix/", "bugfix-", "release-")) + parts


def other_branches(world: World, rng: random.Random, number: int) -> list[str]:
    names = list(dict.fromkeys(branch_name(world, rng) for _ in range(number)))
    names = [name for name in names if name not in ("main", "master")]
    world.setup += [f"git branch {name}" for name in names]
    return names
