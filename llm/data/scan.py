"""The first pass over a corpus: what each document measures, which are duplicates, and a sample for the tokenizer.

Nothing of the text stays in memory but the sample: 27 bytes a document (about 70 while near duplicates are sought), and
9 for each further part of a long one.
"""

from __future__ import annotations

import json
import tempfile
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nimllm.errors import NimError
from nimllm.llm.data import duplicates
from nimllm.llm.data.pool import Pool
from nimllm.llm.data.sample import Sample
from nimllm.llm.data.tally import Tally
from nimllm.llm.data.work import MEASURES, Item, Message, Setup, job, turns_to_json
from nimllm.llm.text import Document

BATCH = 1 << 19  # characters of a job
SAMPLE = 100_000_000  # bytes the tokenizer learns from
DEDUP = ("off", "exact", "near")
Report = Callable[[str], None]


@dataclass
class Scan:
    """Per part of a document: ``sizes`` (UTF-8 bytes after cleaning) and ``opens`` (a document begins). Per document:
    ``hashes``, ``origins`` (the number of its path), ``drop``. Sums over everything that was read, before ``drop``."""

    sizes: np.ndarray
    opens: np.ndarray
    hashes: np.ndarray
    origins: np.ndarray
    characters: np.ndarray
    drop: np.ndarray
    sample: Sample
    alphabet: str
    effects: dict[str, list[int]]
    scripts: dict[str, int]
    duplicates: dict[str, int]
    seconds: float

    def document_sizes(self) -> np.ndarray:
        """Bytes of each document, int64."""
        starts = np.flatnonzero(self.opens)
        return np.add.reduceat(self.sizes, starts) if len(starts) else np.zeros(0, np.int64)


@dataclass
class _Collected:
    sizes: array[int] = field(default_factory=lambda: array("q"))
    opens: bytearray = field(default_factory=bytearray)
    hashes: array[int] = field(default_factory=lambda: array("Q"))
    characters: array[int] = field(default_factory=lambda: array("q"))
    origins: array[int] = field(default_factory=lambda: array("H"))
    pending: list[int] = field(default_factory=list)  # hashes of the parts of the document that is open
    minima: np.ndarray | None = None


def item(document: Document, raw: bool = False) -> Item:
    """A document, or a part of one, for a worker."""
    if document.turns:
        return Item(turns_to_json(document.turns), True)
    return Item(document.text.encode(), False, document.first, document.last, raw)


def scan(stream: Iterable[Document], clean: tuple[str, ...], dedup: str, characters: bool, workers: int, folder: Path,
         tally: Tally, report: Report) -> Scan:
    """Reads everything once. ``characters``: collect the alphabet; ``folder``: for temporary files.
    Documents that cleaning left nothing of are dropped and counted; duplicates, too."""
    began = time.monotonic()
    got, sample = _Collected(), Sample(SAMPLE)
    alphabet: set[str] = set()
    effects: dict[str, list[int]] = {}
    scripts: dict[str, int] = {}
    under_way: deque[tuple[list[tuple[bool, bool, int, str]], Message]] = deque()
    read, said = 0, began
    with ExitStack() as stack:
        signatures = stack.enter_context(tempfile.TemporaryFile(dir=folder)) if dedup == "near" else None
        pool = stack.enter_context(Pool(Setup(clean, dedup == "near", characters), workers))

        def jobs() -> Iterator[Message]:
            for number, batch in enumerate(batches(stream)):
                message = job("scan", [item(document) for document in batch], bool(clean) and sample.wants(number))
                under_way.append(([(document.first, document.last, document.origin, document.source)
                                   for document in batch], message))
                yield message

        for number, (header, body) in enumerate(pool.map(jobs())):
            flags, message = under_way.popleft()
            first, second, third, _ = header["sizes"]
            found = np.frombuffer(body, MEASURES, first // MEASURES.itemsize)
            whole = np.frombuffer(body, np.uint8, second, first).reshape(-1, duplicates.BYTES)
            minima = np.frombuffer(body, np.uint64, third // 8, first + second).reshape(-1, duplicates.BYTES)
            if sample.wants(number):
                sample.add(number, body[first + second + third:] if clean else _text_of(message))
            for name, (changed, gone) in header["effects"].items():
                entry = effects.setdefault(name, [0, 0])
                entry[0] += changed
                entry[1] += gone
            for name, count in header["scripts"].items():
                scripts[name] = scripts.get(name, 0) + count
            alphabet.update(header["characters"])
            _collect(got, flags, found, tally)
            if signatures is not None:
                _sign(got, flags, whole, minima, signatures)
            read += int(found["bytes"].sum())
            if time.monotonic() - said > 2:
                said = time.monotonic()
                report(f"reading: {read / 1e6:,.0f} MB of text, {read / 1e6 / (said - began):.1f} MB/s")
        opens = np.frombuffer(bytes(got.opens), np.uint8).astype(bool)
        result = Scan(np.frombuffer(got.sizes, np.int64), opens, np.frombuffer(got.hashes, np.uint64),
                      np.frombuffer(got.origins, np.uint16), np.frombuffer(got.characters, np.int64),
                      np.zeros(len(got.hashes), bool), sample, "".join(sorted(alphabet)), effects, scripts, {}, 0.0)
        blank = result.document_sizes() == 0
        result.drop |= blank
        equal = duplicates.equal(result.hashes) & ~blank
        result.duplicates = {"exact": int(equal.sum())}
        if dedup != "off":
            result.drop |= equal
            if result.duplicates["exact"]:
                tally.left("exact duplicates", count=result.duplicates["exact"])
        if signatures is not None:
            report("comparing documents")
            signatures.flush()
            similar = duplicates.similar(signatures, len(got.hashes), result.drop)
            result.duplicates["near"] = int(similar.sum())
            result.drop |= similar
            if result.duplicates["near"]:
                tally.left("near duplicates", count=result.duplicates["near"])
    result.seconds = time.monotonic() - began
    return result


def _text_of(message: Message) -> bytes:
    """The texts of a job, a line end between them; of conversations what is said."""
    header, body = message
    texts: list[bytes] = []
    at = 0
    for size, flag in zip(header["sizes"], header["flags"], strict=True):
        data = body[at:at + size]
        at += size
        texts.append("\n".join(text for _, text, _ in json.loads(data)).encode() if flag & 1 else data)
    return b"\n".join(texts)


def _sign(got: _Collected, flags: list[tuple[bool, bool, int, str]], whole: np.ndarray, parts: np.ndarray,
          file: BinaryIO) -> None:
    """Writes the signatures of the documents that end in a job. ``whole``: of those that also begin there."""
    if not len(parts):
        file.write(whole.tobytes())
        return
    ready, pieces = iter(whole), iter(parts)
    for first, last, _, _ in flags:
        if first and last:
            file.write(next(ready).tobytes())
            continue
        minima = next(pieces)
        got.minima = minima if first or got.minima is None else np.minimum(got.minima, minima)
        if last:
            file.write(duplicates.signatures(got.minima[None]).tobytes())


def _collect(got: _Collected, flags: list[tuple[bool, bool, int, str]], found: np.ndarray, tally: Tally) -> None:
    got.sizes.frombytes(np.ascontiguousarray(found["bytes"]).tobytes())
    hashes, counts = found["hash"].tolist(), found["characters"].tolist()
    for number, (first, last, origin, source) in enumerate(flags):
        got.opens.append(first)
        if first:
            got.characters.append(0)
            got.origins.append(min(origin, 65535))
            got.pending = []
        got.characters[-1] += counts[number]
        got.pending.append(hashes[number])
        if last:
            got.hashes.append(duplicates.joined_hash(got.pending))
            if got.characters[-1] == 0:
                tally.left("empty after cleaning", source)


def batches(stream: Iterable[Any], size: Callable[[Any], int] = lambda document: length(document)
            ) -> Iterator[list[Any]]:
    """Items of about BATCH characters together, in their order."""
    batch: list[Any] = []
    total = 0
    for entry in stream:
        batch.append(entry)
        total += size(entry)
        if total >= BATCH:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def length(document: Document) -> int:
    """Characters, of text or of turns."""
    return len(document.text) + sum(len(turn.text) for turn in document.turns) + 1


def changed() -> NimError:
    """What to say when the second pass meets other documents than the first."""
    return NimError("a file changed while it was read", "its documents are not those of a moment ago",
                    "run it again when nothing writes to the data")
