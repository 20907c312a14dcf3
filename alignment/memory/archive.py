"""Where the deltas' bytes lie: a file each, or many in one pack.

A pack is a safetensors file: one row of bytes per delta, named by its id, exactly the bytes of the file it was. The
pack's own name holds the sha256 of its bytes, so it is checked without anything else, and what it gives out is checked
against the ledger as before. Packing is: write the pack, fsync, read it back, then delete what it holds; whatever is
killed, each delta is somewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from nimllm.errors import NimError
from nimllm.llm.checkpoint import read_header, replacing, sync_folder

PACK_BYTES = 64 << 20  # of one pack, so that packing needs little memory
FEW = 8  # small packs that may lie side by side before they are made one
Show = Callable[[int, int], None]  # (deltas done, deltas in all)


class Archive:
    """The folder ``deltas`` of one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._fresh: set[Path] = set()  # packs of the packing in progress
        self._index: dict[str, tuple[Path, int, int]] | None = None  # id -> (pack, where its bytes begin and end)

    def path(self, id: str) -> Path:
        """Where a delta's own file is, if it has one."""
        return self.folder / f"{id}.safetensors"

    def read(self, id: str) -> bytes:
        """The bytes of a delta; OSError when they are nowhere."""
        try:
            return self.path(id).read_bytes()
        except FileNotFoundError:
            for _ in range(2):  # it may have been packed, or its pack made anew, since the index was read
                pack, begin, end = (self._index or {}).get(id, (None, 0, 0))
                if pack is not None:
                    try:
                        with open(pack, "rb") as file:
                            file.seek(begin)
                            return file.read(end - begin)
                    except FileNotFoundError:
                        pass
                self._index = self._read_index()
            raise

    def write(self, id: str, raw: bytes) -> None:
        """A new delta, on the disk when this returns. NimError when it cannot be written."""
        with replacing(self.path(id)) as file:
            file.write(raw)

    def loose(self) -> list[str]:
        """Ids that have a file of their own."""
        return sorted(path.stem for path in self.folder.glob("m*.safetensors"))

    def packs(self) -> list[Path]:
        return sorted(self.folder.glob("pack-*.safetensors"))

    def packed(self) -> dict[str, Path]:
        """id -> the pack that holds it."""
        self._index = self._read_index()
        return {id: place[0] for id, place in self._index.items()}

    def strays(self, known: Collection[str]) -> Iterator[Path]:
        """Files of no record, and what a kill left half written."""
        for path in self.folder.iterdir():
            if path.name.startswith(".") or (path.suffix == ".safetensors" and path.stem not in known
                                             and not path.name.startswith("pack-")):
                yield path

    def _read_index(self) -> dict[str, tuple[Path, int, int]]:
        index: dict[str, tuple[Path, int, int]] = {}
        for pack in self.packs():
            try:
                header, offset = read_header(pack)
            except NimError:
                continue  # named by verify; the deltas in it, when they are asked for
            for id, entry in header.items():
                begin, end = entry["data_offsets"]
                index[id] = (pack, offset + begin, offset + end)
        return index

    # -- packing ---------------------------------------------------------------------------------------------------

    def pack(self, checksums: Mapping[str, str], show: Show | None = None) -> tuple[int, int]:
        """Puts the deltas of ``checksums`` (id -> sha256 of its bytes: all that shall stay) that have a file of their
        own into packs, makes packs anew that hold others, and joins small packs when they are many.

        Returns (deltas moved, files fewer). NimError 3 when there is no room, ValueError naming a delta whose bytes
        are not the ledger's; then everything is as before.
        """
        before = len(list(self.folder.glob("*.safetensors")))
        old = {pack: set(read_header(pack)[0]) for pack in self.packs()}
        small = [pack for pack in old if pack.stat().st_size < PACK_BYTES // 2]
        redo = [pack for pack, ids in old.items()
                if not ids <= checksums.keys() or (pack in small and len(small) > FEW)]
        loose = [id for id in self.loose() if id in checksums]
        for pack, ids in old.items():  # what a kill left twice goes only if the packed one is right
            if pack not in redo and ids & set(loose) and pack_problem(pack):
                redo.append(pack)
        stay = {id for pack, ids in old.items() if pack not in redo for id in ids}
        wanted = sorted({*loose, *(id for pack in redo for id in old[pack] if id in checksums)} - stay)
        if len(loose) < 2 and not redo and not stay & set(loose):
            return 0, 0
        group: dict[str, np.ndarray] = {}
        size = 0
        self._fresh.clear()
        for number, id in enumerate(wanted):
            raw = self.read(id)
            if hashlib.sha256(raw).hexdigest() != checksums[id]:
                raise ValueError(id)
            group[id] = np.frombuffer(raw, np.uint8)
            size += len(raw)
            if size >= PACK_BYTES or number == len(wanted) - 1:
                self._write_pack(group)
                group, size = {}, 0
            if show is not None:
                show(number + 1, len(wanted))
        for pack in redo:
            if pack not in self._fresh:
                pack.unlink(missing_ok=True)
        for id in loose:
            self.path(id).unlink(missing_ok=True)
        sync_folder(self.folder)
        self._index = None
        return len(wanted), before - len(list(self.folder.glob("*.safetensors")))

    def _write_pack(self, group: Mapping[str, np.ndarray]) -> None:
        raw = save(dict(group), {"format": "nimllm-deltas"})
        path = self.folder / f"pack-{hashlib.sha256(raw).hexdigest()[:32]}.safetensors"
        with replacing(path) as file:
            file.write(raw)
        if problem := pack_problem(path):
            raise NimError(f"cannot write {path}", problem, "the disk gives back other bytes than it was given")
        self._fresh.add(path)


def pack_problem(path: Path) -> str:
    """Why a pack is not what was written; "" when it is."""
    try:
        raw = path.read_bytes()
        if f"pack-{hashlib.sha256(raw).hexdigest()[:32]}" != path.stem:
            return "its checksum is not the one in its name"
        load(raw)
    except (OSError, SafetensorError) as error:
        return str(error)
    return ""
