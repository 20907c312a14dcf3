"""Caches with a checksum of their own, so that a flipped bit in one is noticed and named.

A sealed file is safetensors whose metadata hold the sha256 of the other metadata and of every tensor. numpy only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

SEAL = "sha256"


def seal(tensors: Mapping[str, np.ndarray], about: Mapping[str, str]) -> str:
    found = hashlib.sha256(json.dumps({key: about[key] for key in sorted(about) if key != SEAL}).encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        found.update(f"{name}\0{tensor.dtype}\0{tensor.shape}\0".encode())
        found.update(tensor.data)
    return found.hexdigest()


def write(path: Path, tensors: Mapping[str, np.ndarray], about: Mapping[str, str]) -> bool:
    """Replaces the file, without fsync: it is a cache, and a full disk only costs its making. False: not written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    arrays = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    try:
        temporary.write_bytes(save(arrays, {**about, SEAL: seal(arrays, about)}))
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        return False
    return True


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]] | None:
    """(tensors, metadata), or None: there is none, or it is not what was written."""
    found = _parsed(path)
    return found if found is not None and found[1].get(SEAL) == seal(*found) else None


def _parsed(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]] | None:
    try:
        raw = path.read_bytes()
        about = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")]).get("__metadata__") or {}
        return load(raw), about
    except (OSError, ValueError, SafetensorError, AttributeError):
        return None


def problem(path: Path) -> str:
    """What ``verify`` says of a cache; "" when it is whole or absent."""
    if not path.exists() or read(path) is not None or _unsealed(path):
        return ""
    return f"{path} is damaged: its checksum is not the one it was written with. It is a cache: delete it"


def _unsealed(path: Path) -> bool:
    """Written before caches were sealed; the next update makes it anew. No flipped bit makes a sealed file one."""
    found = _parsed(path)
    if found is None:
        return False
    tensors, about = found
    if about.keys() == {"position", SEAL}:  # sums had a checksum of their own
        old = hashlib.sha256()
        for name in sorted(tensors):
            old.update(name.encode() + b"\0" + np.ascontiguousarray(tensors[name]).tobytes())
        return about[SEAL] == old.hexdigest()
    return about.keys() in ({"base", "judged"}, {"base", "ids", "weights", "general"})


def check(key: str, value: str) -> str:
    """A short checksum of one line of a JSON cache."""
    return hashlib.sha256(f"{key}\0{value}".encode()).hexdigest()[:16]
