"""Which base a run folder's weights are: their fingerprint, remembered by the file's place, size and time.

Hashing 12M weights takes 0.1 s. The fingerprint names the memory's folder, so each line of the cache has a checksum: a
flipped bit must not lead to another, empty memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nimllm.alignment.memory import sealed
from nimllm.errors import NimError
from nimllm.llm.checkpoint import fingerprint, replacing

KEPT = 64


def cache_file(root: Path) -> Path:
    """``root``: the state folder."""
    return root / "memory" / "bases.json"


def _read(path: Path) -> dict[str, Any]:
    """ValueError: it is not JSON of the right form."""
    try:
        known = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    if not isinstance(known, dict):
        raise ValueError("it is not an object")
    return known


def _right(key: str, line: Any) -> bool:
    return (isinstance(line, list) and len(line) == 2 and all(isinstance(part, str) for part in line)
            and line[1] == sealed.check(key, line[0]))


def name_base(weights: Path, root: Path, read: Callable[[], Mapping[str, np.ndarray]]) -> tuple[str, str]:
    """(fingerprint of the weights file, what was wrong with the cache and has been made again: "" if nothing).
    ``read`` gives its tensors. NimError 3 when the weights cannot be read."""
    try:
        state = weights.stat()
    except OSError as error:
        raise NimError(f"cannot read {weights}", error.strerror or str(error), "give a folder made by --train"
                       ) from None
    key = f"{weights.resolve()}:{state.st_size}:{state.st_mtime_ns}:{state.st_ino}"
    cache = cache_file(root)
    wrong = problem(root)
    try:
        known = {name: line for name, line in _read(cache).items() if _right(name, line)}
    except (OSError, ValueError):
        known = {}
    if key in known and not wrong:
        return known[key][0], ""
    name = known[key][0] if key in known else fingerprint(read())
    kept = dict(list(known.items())[-(KEPT - 1):])
    try:
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(cache) as file:
            file.write(json.dumps({**kept, key: [name, sealed.check(key, name)]}).encode())
    except (OSError, NimError):
        pass  # only a cache
    return name, wrong


def problem(root: Path) -> str:
    """What is damaged in the cache; "" when nothing is. Lines of the first version had no checksum: they are old."""
    path = cache_file(root)
    try:
        wrong = [key for key, line in _read(path).items() if not _right(key, line) and not isinstance(line, str)]
    except (OSError, ValueError) as error:
        return f"{path} is damaged ({str(error)[:80]}). It is a cache: delete it"
    return f"{path} is damaged: the line of {wrong[0][:200]} is not what was written. It is a cache" if wrong else ""
