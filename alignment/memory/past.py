"""The weights as they were: right after a record first entered them.

Rebuilt from the base and the ledger into a file of its own beside the head, checked at every use, and never written
into. numpy only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nimllm.errors import MEMORY, NimError
from nimllm.llm.checkpoint import fingerprint, read_tensors, write_tensors

if TYPE_CHECKING:
    from nimllm.alignment.memory.store import MemoryStore

KEPT = 4  # heads of the past that stay; the least recently used go


def folder(store: MemoryStore) -> Path:
    return store.folder / "past"


def moment(store: MemoryStore, id: str) -> int:
    """How many events the ledger held right after a record first was in the weights. NimError 7: it never was."""
    record = store.get(id)
    count = store.ledger.entered(id)
    if count is None:
        raise NimError(f"there are no weights of {id}", f"it is {record.state}, and has never been in them",
                       f"nimllm memory diff {id} shows what it would change", MEMORY)
    return count


def tensors_at(store: MemoryStore, count: int, without: str = "") -> dict[str, np.ndarray]:
    """The weights after the ledger's first ``count`` events, if wanted without one of the records in them."""
    return store.apply(store.sums_of([id for id in store.ledger.states_at(count).accepted() if id != without]))


def weights_at(store: MemoryStore, id: str) -> Path:
    """A weights file of that moment. NimError 7: it never was in the weights, or the file cannot be written."""
    count = moment(store, id)
    accepted = store.ledger.states_at(count).accepted()
    if accepted == store.ledger.accepted():
        return store.weights()
    path = folder(store) / f"{store.ledger.entries[count - 1].hash[:32]}.safetensors"
    if _right(path):
        path.touch()
        return path
    tensors = tensors_at(store, count)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise NimError(f"cannot write {path.parent}", error.strerror or str(error),
                       "free some space or make the folder writable", MEMORY) from None
    write_tensors(path, tensors, metadata={"weights": fingerprint(tensors)})
    for old in sorted(path.parent.glob("*.safetensors"), key=lambda file: -file.stat().st_mtime)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def _right(path: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            wanted = (file.metadata() or {}).get("weights")
        return fingerprint(read_tensors(path)) == wanted
    except (SafetensorError, OSError, NimError):
        return False


def problems(store: MemoryStore) -> list[str]:
    """What ``verify`` says of these files."""
    return [f"{path} is damaged: it is not the weights it says. It is a cache: delete it"
            for path in sorted(folder(store).glob("*.safetensors")) if not _right(path)]
