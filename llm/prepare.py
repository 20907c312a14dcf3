"""From a user's files to a tokenizer and two token shards in a run folder, once, in bounded memory.

Two passes: one measures (``data/scan.py``: sizes, duplicates, a sample for the tokenizer), one encodes, both with
worker processes that change nothing of the result. ``data.json`` is written last and says what the shards were made of
and what was left out: when it matches, a second call returns at once; when it is missing, whatever else lies there is
made again. So a killed preparation leaves nothing half-usable.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nimllm.errors import NimError
from nimllm.llm.checkpoint import replacing
from nimllm.llm.data.clean import Cleaner
from nimllm.llm.data.options import DataOptions
from nimllm.llm.data.pool import Pool, workers_for
from nimllm.llm.data.report import add_tokens, describe, lines
from nimllm.llm.data.sample import Sample
from nimllm.llm.data.scan import Scan, batches, scan
from nimllm.llm.data.split import TRAIN, VALIDATION, Split, sides, split
from nimllm.llm.data.tally import Tally
from nimllm.llm.data.work import Item, Message, Setup, job
from nimllm.llm.shards import Shard, ShardWriter
from nimllm.llm.text import documents, files
from nimllm.llm.tokenizer import Tokenizer, train_bpe, train_char

Report = Callable[[str], None]
_MANIFEST, _STDIN = "data.json", "stdin.txt"
_BEFORE = {"where": "", "format": "auto", "clean": [], "dedup": "off", "strict": False}  # a data.json without them


@dataclass(frozen=True)
class Prepared:
    """The data of one run. ``bytes_per_token``: UTF-8 bytes of the validation text by its tokens, for bits per byte."""

    train: Path
    val: Path
    tokenizer: Tokenizer
    bytes_per_token: float
    train_tokens: int
    val_tokens: int
    val_bytes: int


def prepare(paths: Iterable[Path | str], run: Path, tokenizer: Tokenizer | None = None,
            vocab_size: int | Callable[[int], int] = 8192,
            kind: Literal["bpe", "char"] = "bpe", val_fraction: float = 0.05, context: int = 512,
            report: Report = lambda message: None, own_turns: bool = False, options: DataOptions | None = None
            ) -> Prepared:
    """Tokenizer (trained unless given) and shards of the documents, in the run folder.

    Validation gets ``val_fraction`` of the bytes, at least one context: whole documents drawn at random (seed 0), or
    the tail of the text when there are too few documents for that. A folder that holds the run folder is read without
    it. ``own_turns``: in conversations, only what the model writes carries loss. NimError: unusable text, less of it
    than two and a half contexts, or a run folder with weights that were trained on something else. ``vocab_size`` may
    be decided by the bytes of the text.
    """
    run, options = Path(run), options or DataOptions()
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NimError(f"cannot make the run folder {run}", error.strerror or str(error),
                       "choose a folder you can write") from None
    given = [Path(path) for path in paths]
    sources = copied(given, run)
    fixed = vocab_size if isinstance(vocab_size, int) and tokenizer is None else None
    settings = {"kind": tokenizer.kind if tokenizer else kind, "vocab_size": fixed,
                "val_fraction": val_fraction, "context": context, "own_turns": own_turns, **options.describe()}
    inputs = [_stamp(path) for path, _ in files(sources, run)]
    done = _reuse(run, inputs, settings, tokenizer)
    if done is not None:
        report(f"the prepared data of {run} is reused")
        return done
    if any((run / name).exists() for name in ("model.safetensors", "last.safetensors")):
        raise NimError(f"{run} holds a model that was trained on other text or other settings",
                       "preparing again would replace its tokenizer", "choose another --out, or delete the folder")
    _clear(run)
    size = sum(entry["bytes"] for entry in inputs)
    report(f"reading {len(inputs):,} file{'s' * (len(inputs) != 1)}, {size / 1e6:,.1f} MB")
    for entry in inputs:
        entry.setdefault("sha256", _sha256(Path(entry["path"])))

    tally, reading = Tally(options.strict), options.reading()
    workers = workers_for(options.workers, size)
    scanned = scan(documents(sources, reading, tally, run), options.clean, options.dedup,
                   tokenizer is None and kind == "char", workers, run, tally, report)
    if scanned.drop.all():
        raise NimError("nothing is left of the text", tally.since({}) or "there is none", "give other text or options")
    about = describe(scanned, tally, [str(path) for path in given], options.dedup, options.clean)
    for line in lines(about):
        report(line)
    if tokenizer is None:
        report("training the tokenizer")
        entries = vocab_size if isinstance(vocab_size, int) else vocab_size(about["bytes"])
        tokenizer = (train_char([scanned.alphabet]) if kind == "char"
                     else train_bpe(scanned.sample, entries, report=report))
    scanned.sample = Sample(0)  # its memory is needed
    tokenizer.save(run)

    fraction = val_fraction
    while True:
        chosen = split(scanned, fraction)
        stream = sides(documents(sources, reading, Tally(), run), chosen, Cleaner(options.clean))
        # all workers together remember as much as four would: their memory is bounded on a machine of many cores, too
        setup = Setup(options.clean, run=str(run), own_turns=own_turns, room=min(500_000, 2_000_000 // workers))
        encoded = _encode(run, stream, scanned, chosen, tokenizer, setup, workers, report)
        counts = encoded.counts
        needed = context + context // 2 + 1, context + 1  # of training and validation: what Windows asks for
        if counts["train_tokens"] >= needed[0] and counts["val_tokens"] >= needed[1]:
            break
        if sum(needed) > counts["train_tokens"] + counts["val_tokens"] or fraction >= 0.5:
            _clear(run)
            raise NimError(f"the text is too small: {counts['train_tokens'] + counts['val_tokens']} tokens",
                           f"a context of {context} needs {sum(needed)} of them for training and validation",
                           "give more text, or a smaller --context")
        fraction = min(0.5, max(2 * fraction, 0.01))
    _complete(about, scanned, chosen, encoded)
    report(f"{about['tokens']['characters_per_token']:.2f} characters and "
           f"{about['tokens']['bytes_per_token']:.2f} bytes per token")
    manifest = {"format": "nimllm-data", "version": 2, "inputs": inputs, "settings": settings,
                "tokenizer": tokenizer.fingerprint(), "documents": about["documents"], **counts,
                "checksums": encoded.checksums, "report": about}
    with replacing(run / _MANIFEST) as file:
        file.write(json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    report(f"{counts['train_tokens']:,} tokens for training, {counts['val_tokens']:,} for validation")
    return _prepared(run, tokenizer, counts)


@dataclass(frozen=True)
class _Encoded:
    counts: dict[str, int]
    checksums: list[int]
    by_origin: dict[int, int]  # tokens
    seconds: float


def _encode(run: Path, stream: Iterable[tuple[int, Item, int]], scanned: Scan, chosen: Split, tokenizer: Tokenizer,
            setup: Setup, workers: int, report: Report) -> _Encoded:
    """Encodes what is kept into the two shards."""
    began = said = time.monotonic()
    total = int(scanned.sizes[np.isin(chosen.sides, (TRAIN, VALIDATION))].sum())
    done = 0
    val_bytes = int(scanned.sizes[chosen.sides == VALIDATION].sum())
    by_origin: dict[int, int] = {}
    under_way: deque[list[tuple[int, Item, int]]] = deque()

    def jobs() -> Iterator[Message]:
        nonlocal val_bytes
        for batch in batches(stream, lambda entry: len(entry[1].data)):
            # what was cut in two is cleaned already, and its size is known only now
            val_bytes += sum(len(item.data) for side, item, _ in batch if side == VALIDATION and item.raw)
            under_way.append(batch)
            yield job("encode", [item for _, item, _ in batch])

    width = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    with ShardWriter(run / "train.shard", tokenizer.vocab_size) as train, \
            ShardWriter(run / "val.shard", tokenizer.vocab_size) as val, Pool(setup, workers) as pool:
        for header, body in pool.map(jobs()):
            batch = under_way.popleft()
            ids = np.frombuffer(body, width, header["sizes"][0] // width.itemsize)
            mask = np.frombuffer(body, np.uint8, header["sizes"][1], header["sizes"][0]) if header["masked"] else None
            begin = end = 0
            for number, (side, item, origin) in enumerate(batch):
                end += header["tokens"][number]
                by_origin[origin] = by_origin.get(origin, 0) + header["tokens"][number]
                done += len(item.data)
                if number + 1 == len(batch) or batch[number + 1][0] != side:  # the end of a run on one side
                    (val if side == VALIDATION else train).append(ids[begin:end],
                                                                  None if mask is None else mask[begin:end])
                    begin = end
            if time.monotonic() - said > 2:
                said = time.monotonic()
                rate = done / (said - began)
                report(f"encoding: {done / 1e6:,.0f} of about {total / 1e6:,.0f} MB, {rate / 1e6:.1f} MB/s, "
                       f"{max(0, total - done) / rate:,.0f} s to go")
    return _Encoded({"train_tokens": train.count, "val_tokens": val.count, "val_bytes": val_bytes},
                    [train.checksum, val.checksum], by_origin, time.monotonic() - began)


def _complete(about: dict[str, Any], scanned: Scan, chosen: Split, encoded: _Encoded) -> None:
    """What is known only after the encoding."""
    for number, source in enumerate(about["sources"]):
        source["tokens"] = encoded.by_origin.get(number, 0)
    counts = encoded.counts
    add_tokens(about, counts["train_tokens"] + counts["val_tokens"], about["bytes"], about["characters"], "all of it")
    about["split"] = {"train_bytes": about["bytes"] - counts["val_bytes"], "validation_bytes": counts["val_bytes"],
                      "train_tokens": counts["train_tokens"], "validation_tokens": counts["val_tokens"]}
    of_document = chosen.sides[np.flatnonzero(scanned.opens)]
    held, learnt = scanned.hashes[of_document == VALIDATION], scanned.hashes[of_document == TRAIN]
    about["duplicates"]["validation_also_in_training"] = int(np.isin(held, learnt).sum())
    about["seconds"] = {"reading": round(scanned.seconds, 2), "encoding": round(encoded.seconds, 2)}


def _prepared(run: Path, tokenizer: Tokenizer, counts: dict[str, int]) -> Prepared:
    return Prepared(run / "train.shard", run / "val.shard", tokenizer,
                    counts["val_bytes"] / max(1, counts["val_tokens"]), **counts)


def load_prepared(run: Path) -> Prepared:
    """What :func:`prepare` left in the run folder; NimError when there is nothing or it is damaged."""
    try:
        manifest = json.loads((Path(run) / _MANIFEST).read_text("utf-8"))
        counts = {key: int(manifest[key]) for key in ("train_tokens", "val_tokens", "val_bytes")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NimError(f"{run} holds no prepared data", f"{_MANIFEST}: {error}", "give the text files again") from None
    return _prepared(Path(run), Tokenizer.load(run), counts)


def _clear(run: Path) -> None:
    """Removes the data and what killed preparations left of it; the manifest first."""
    (run / _MANIFEST).unlink(missing_ok=True)
    for pattern in ("train.shard", "val.shard", ".train.shard.*.tmp", ".val.shard.*.tmp", ".tokenizer.*.tmp"):
        for path in run.glob(pattern):
            path.unlink(missing_ok=True)


def copied(paths: Iterable[Path | str], run: Path) -> list[Path]:
    """The paths, stdin replaced by a copy in the run folder, which must be there: the text is read more than once, and
    again on a resume. Called again, it finds the copy. NimError when there is nothing on stdin."""
    sources = [Path(path) for path in paths]
    if Path("-") not in sources:
        return sources
    copy = run / _STDIN
    if not sys.stdin.isatty():
        with replacing(run / f"{_STDIN}.new") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        new = run / f"{_STDIN}.new"
        if new.stat().st_size or not copy.exists():
            new.replace(copy)
        new.unlink(missing_ok=True)
    if not copy.exists():
        raise NimError("there is nothing on stdin", "it is a terminal", "pipe it: cat book.txt | nimllm --train -")
    return [copy if path == Path("-") else path for path in sources]


def _stamp(path: Path) -> dict[str, Any]:
    try:
        state = path.stat()
    except OSError as error:
        raise NimError(f"cannot read {path}", error.strerror or str(error), "make it readable") from None
    return {"path": str(path.resolve()), "bytes": state.st_size, "mtime_ns": state.st_mtime_ns}


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # inside a folder it will be skipped and counted; a file named itself fails when it is read


def _reuse(run: Path, inputs: list[dict[str, Any]], settings: dict[str, Any], tokenizer: Tokenizer | None
           ) -> Prepared | None:
    """The data that is already there when it was made of the same bytes in the same way."""
    try:
        manifest = json.loads((run / _MANIFEST).read_text("utf-8"))
        old = manifest["inputs"]
        given = {"kind", "vocab_size"} if tokenizer else set()  # its fingerprint says more
        made = {**_BEFORE, "columns": [manifest["settings"].get("column", "text")], **manifest["settings"]}
        if manifest["version"] == 1 and settings["vocab_size"] is None:
            given.add("vocab_size")  # the size of the vocabulary was not decided by the text then
        if any(made[key] != settings[key] for key in settings.keys() - given):
            return None
        if len(old) != len(inputs):
            return None
        for was, now in zip(old, inputs, strict=True):
            if any(was[key] != now[key] for key in now):
                now["sha256"] = _sha256(Path(now["path"]))
                if was["sha256"] != now["sha256"]:
                    return None
        own = Tokenizer.load(run)
        wanted = tokenizer or own
        if not own.fingerprint() == wanted.fingerprint() == manifest["tokenizer"]:
            return None
        for name, checksum in zip(("train.shard", "val.shard"), manifest["checksums"], strict=True):
            if Shard(run / name).checksum != checksum:
                return None
        return _prepared(run, own, {key: int(manifest[key]) for key in ("train_tokens", "val_tokens", "val_bytes")})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, NimError):
        return None  # not ours, or damaged: made again
