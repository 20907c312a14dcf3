"""From a user's files to a tokenizer and two token shards in a run folder, once.

``data.json`` is written last and says what the shards were made of: when it matches, a second call returns at once;
when it is missing, whatever else lies there is made again. So a killed preparation leaves nothing half-usable.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nimllm.errors import NimError
from nimllm.llm.checkpoint import replacing
from nimllm.llm.shards import Shard, ShardWriter
from nimllm.llm.text import Document, documents, files
from nimllm.llm.tokenizer import Tokenizer, train_bpe, train_char
from nimllm.llm.turns import render

Report = Callable[[str], None]
_BATCH = 1 << 20  # characters encoded in one call
_MANIFEST, _STDIN = "data.json", "stdin.txt"


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


@dataclass(frozen=True)
class _Split:
    """What belongs to validation: these documents, or everything from byte ``cut`` of all text on."""

    chosen: frozenset[int] = frozenset()
    cut: int = -1


def prepare(paths: Iterable[Path | str], run: Path, tokenizer: Tokenizer | None = None, vocab_size: int = 8192,
            kind: Literal["bpe", "char"] = "bpe", val_fraction: float = 0.05, context: int = 512,
            report: Report = lambda message: None, column: str = "text", own_turns: bool = False) -> Prepared:
    """Tokenizer (trained unless given) and shards of the documents, in the run folder.

    Validation gets ``val_fraction`` of the bytes, at least one context: whole documents drawn at random (seed 0), or
    the tail of the text when there are too few documents for that. A folder that holds the run folder is read without
    it. ``own_turns``: in conversations, only what the model writes carries loss. NimError: unusable text, less of it
    than two and a half contexts, or a run folder with weights that were trained on something else.
    """
    run = Path(run)
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NimError(f"cannot make the run folder {run}", error.strerror or str(error),
                       "choose a folder you can write") from None
    sources = _sources(paths, run)
    settings = {"kind": tokenizer.kind if tokenizer else kind, "vocab_size": None if tokenizer else vocab_size,
                "val_fraction": val_fraction, "context": context, "column": column, "own_turns": own_turns}
    inputs = [_stamp(path) for path, _ in files(sources, without=run)]
    done = _reuse(run, inputs, settings, tokenizer)
    if done is not None:
        report(f"the prepared data of {run} is reused")
        return done
    if any((run / name).exists() for name in ("model.safetensors", "last.safetensors")):
        raise NimError(f"{run} holds a model that was trained on other text or other settings",
                       "preparing again would replace its tokenizer", "choose another --out, or delete the folder")
    _clear(run)
    for entry in inputs:
        entry.setdefault("sha256", _sha256(Path(entry["path"])))

    skipped: Counter[str] = Counter()
    sizes = array("q")
    for document in documents(sources, column, skipped, run):
        if document.first:
            sizes.append(0)
        sizes[-1] += _bytes_of(document)
    total = sum(sizes)
    left_out = "".join(f", {count} {reason} left out" for reason, count in sorted(skipped.items()))
    report(f"{len(sizes)} documents, {total / 1e6:.1f} MB of text{left_out}")
    if tokenizer is None:
        report("training the tokenizer")
        texts = (text for document in documents(sources, column, without=run) for text in _texts(document))
        tokenizer = train_char(texts) if kind == "char" else train_bpe(texts, vocab_size, report=report)
    tokenizer.save(run)

    fraction = val_fraction
    while True:
        split = _choose(sizes, fraction)
        counts = _write(run, documents(sources, column, without=run), tokenizer, split, own_turns, total, report)
        needed = context + context // 2 + 1, context + 1  # of training and validation: what Windows asks for
        if counts["train_tokens"] >= needed[0] and counts["val_tokens"] >= needed[1]:
            break
        if sum(needed) > counts["train_tokens"] + counts["val_tokens"] or fraction >= 0.5:
            _clear(run)
            raise NimError(f"the text is too small: {counts['train_tokens'] + counts['val_tokens']} tokens",
                           f"a context of {context} needs {sum(needed)} of them for training and validation",
                           "give more text, or a smaller --context")
        fraction = min(0.5, max(2 * fraction, 0.01))
    manifest = {"format": "nimllm-data", "version": 1, "inputs": inputs, "settings": settings,
                "tokenizer": tokenizer.fingerprint(), "documents": len(sizes), **counts,
                "checksums": [Shard(run / name).checksum for name in ("train.shard", "val.shard")]}
    with replacing(run / _MANIFEST) as file:
        file.write(json.dumps(manifest, indent=1).encode())
    report(f"{counts['train_tokens']:,} tokens for training, {counts['val_tokens']:,} for validation")
    return _prepared(run, tokenizer, counts)


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


def _sources(paths: Iterable[Path | str], run: Path) -> list[Path]:
    """The paths, stdin replaced by a copy in the run folder: the text is read more than once, and again on a resume."""
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
        if any(manifest["settings"][key] != settings[key] for key in settings.keys() - given):
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


def _texts(document: Document) -> Iterator[str]:
    if document.turns:
        yield from (turn.text for turn in document.turns)
    else:
        yield document.text


def _bytes_of(document: Document) -> int:
    return sum(len(text.encode()) for text in _texts(document))


def _choose(sizes: array[int], fraction: float) -> _Split:
    """Documents at random until the fraction is reached without going far over it, else the tail."""
    target = fraction * sum(sizes)
    chosen: set[int] = set()
    got = 0
    for number in np.random.default_rng(0).permutation(len(sizes)).tolist():
        if got + sizes[number] <= 1.25 * target:
            chosen.add(number)
            got += sizes[number]
            if got >= target:
                break
    if got >= 0.75 * target:
        return _Split(frozenset(chosen))
    return _Split(cut=int(sum(sizes) - target))


def _sides(stream: Iterable[Document], split: _Split) -> Iterator[tuple[str, Document]]:
    """("train" or "val", document or part of one)."""
    number, at, crossed = -1, 0, False
    for document in stream:
        number += document.first
        if split.cut < 0:
            yield "val" if number in split.chosen else "train", document
            continue
        size = _bytes_of(document)
        if crossed or at >= split.cut or (document.turns and at + size > split.cut):
            # the first validation text opens a document of its own
            yield "val", document if crossed or document.turns else Document(document.text, document.source, (), True,
                                                                             document.last)
            crossed = True
        elif at + size <= split.cut:
            yield "train", document
        else:
            raw = document.text.encode()
            head = raw[:raw.rfind(b"\n", 0, split.cut - at) + 1 or split.cut - at].decode(errors="ignore")
            if head:
                yield "train", Document(head, document.source, (), document.first, False)
            yield "val", Document(document.text[len(head):], document.source, (), True, document.last)
            crossed = True
        at += size


def _write(run: Path, stream: Iterable[Document], tokenizer: Tokenizer, split: _Split, own_turns: bool, total: int,
           report: Report) -> dict[str, int]:
    """Encodes everything into the two shards; tokens and validation bytes."""
    began = said = time.monotonic()
    done = val_bytes = 0
    with ShardWriter(run / "train.shard", tokenizer.vocab_size) as train, \
            ShardWriter(run / "val.shard", tokenizer.vocab_size) as val:
        for batch in _batches(_sides(stream, split)):
            coded = iter(tokenizer.encode_batch([document.text for _, document in batch if not document.turns], 2))
            for side, document in batch:
                size = _bytes_of(document)
                done += size
                val_bytes += size if side == "val" else 0
                shard = val if side == "val" else train
                if document.turns:
                    rendered = render(document.turns, tokenizer)
                    shard.append(rendered.ids, rendered.learn if own_turns else None)
                    continue
                ids = next(coded)
                shard.append([tokenizer.bos] * document.first + ids + [tokenizer.eos] * document.last)
            if time.monotonic() - said > 2:
                said = time.monotonic()
                report(f"encoding: {done / 1e6:.0f} of {total / 1e6:.0f} MB, {done / 1e6 / (said - began):.1f} MB/s")
    return {"train_tokens": train.count, "val_tokens": val.count, "val_bytes": val_bytes}


def _batches(sides: Iterable[tuple[str, Document]]) -> Iterator[list[tuple[str, Document]]]:
    batch: list[tuple[str, Document]] = []
    size = 0
    for side, document in sides:
        batch.append((side, document))
        size += len(document.text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
