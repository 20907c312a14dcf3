"""Working state on disk: arrays and JSON in one safetensors file, so that a kill leaves all before or all after."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nimllm.errors import MEMORY, NimError

Arrays = dict[str, np.ndarray]


class State:
    """Files of one piece of work in ``folder``, all of one ``identity`` (base, seed, settings): what another wrote
    is refused, not continued. ``mend``: what to do about a file that cannot be used."""

    def __init__(self, folder: Path, identity: Mapping[str, Any],
                 mend: str = "give the bench another --out folder, or delete this one") -> None:
        self.folder, self.mend = folder, mend
        self.identity = json.dumps(dict(identity), sort_keys=True)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._error(folder, error) from None
        for path in folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)

    @staticmethod
    def _error(path: Path, error: OSError) -> NimError:
        return NimError(f"cannot write {path}", error.strerror or str(error),
                        "free some space or choose a folder you can write", MEMORY)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def read(self, name: str) -> tuple[Arrays, dict[str, Any]] | None:
        """What :meth:`write` wrote; None when there is nothing. NimError 7: damaged, or not of this identity."""
        path = self.path(name)
        if not path.exists():
            return None
        try:
            with safe_open(path, "np") as file:
                held = file.metadata() or {}
                if held.get("identity") != self.identity:
                    raise NimError(f"{path} was made with another base, seed or setting", "", self.mend, MEMORY)
                return {key: file.get_tensor(key) for key in file.keys()}, json.loads(held["about"])  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise NimError(f"{path} is damaged", str(error), self.mend, MEMORY) from None

    def write(self, name: str, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
        """Replaces a file atomically. Without fsync: work that is killed goes on, and after a power cut it may have to
        begin again."""
        path = self.path(name)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        whole = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        try:
            temporary.write_bytes(save(whole, {"identity": self.identity, "about": json.dumps(about)}))
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise self._error(path, error) from None

    def bytes(self, name: str) -> int:
        path = self.path(name)
        return path.stat().st_size if path.exists() else 0
