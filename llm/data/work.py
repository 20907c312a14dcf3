"""What a worker does with a batch of texts: clean, measure, fingerprint (the first pass), or clean and encode (the
second). ``python -m nimllm.llm.data.work`` does it for its standard input; no torch is imported.

A message is two little-endian uint32 lengths, a JSON header and a body of bytes. The first one is the setup; then every
job gets one answer, in order. A job's items are texts or conversations (JSON), UTF-8, one after the other.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from nimllm.errors import NimError
from nimllm.llm.data import duplicates
from nimllm.llm.data.clean import Cleaner
from nimllm.llm.data.encoding import BulkEncoder
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render

_LENGTHS = struct.Struct("<II")
_SCRIPT_PROBE = 1000  # characters of a text that are looked at for its script
# first code point of a range, and its script; "" counts for none (digits, punctuation, symbols, spaces)
_SCRIPTS = ((0x0, ""), (0x41, "Latin"), (0x5B, ""), (0x61, "Latin"), (0x7B, ""), (0xC0, "Latin"), (0x250, ""),
            (0x370, "Greek"), (0x400, "Cyrillic"), (0x530, "Armenian"), (0x590, "Hebrew"), (0x600, "Arabic"),
            (0x780, ""), (0x900, "Indic"), (0xE00, "Thai"), (0xE80, ""), (0x10A0, "Georgian"), (0x1100, "Hangul"),
            (0x1200, ""), (0x1E00, "Latin"), (0x1F00, "Greek"), (0x2000, ""), (0x3040, "Kana"), (0x3100, ""),
            (0x3400, "Han"), (0xA000, ""), (0xAC00, "Hangul"), (0xD7B0, ""), (0xF900, "Han"), (0xFB00, ""),
            (0x20000, "Han"), (0x32000, ""))
_FIRSTS = np.array([first for first, _ in _SCRIPTS])
MEASURES = np.dtype([("bytes", "<i8"), ("characters", "<i8"), ("hash", "<u8")])

Message = tuple[dict[str, Any], bytes]


@dataclass(frozen=True)
class Setup:
    """What all jobs of a pool have in common. ``run``: the folder with the tokenizer, for encoding."""

    clean: tuple[str, ...] = ()
    near: bool = False
    characters: bool = False  # the first pass collects the set of characters
    run: str = ""
    own_turns: bool = False
    room: int = 0  # words an encoder remembers (0: its default); changes the memory, not the ids


@dataclass(frozen=True)
class Item:
    """A text or conversation of a job. ``raw``: it is cleaned already."""

    data: bytes
    turns: bool = False
    first: bool = True
    last: bool = True
    raw: bool = False


def job(task: str, items: Sequence[Item], sample: bool = False) -> Message:
    """The message of a batch; ``task`` is "scan" or "encode"; ``sample``: send the cleaned texts back."""
    flags = [item.turns | item.first << 1 | item.last << 2 | item.raw << 3 for item in items]
    return ({"task": task, "sizes": [len(item.data) for item in items], "flags": flags, "sample": sample},
            b"".join(item.data for item in items))


def turns_to_json(turns: Sequence[Turn]) -> bytes:
    """A conversation as an item's data."""
    return json.dumps([[turn.role, turn.text, turn.tainted] for turn in turns], ensure_ascii=False).encode()


class Work:
    """The worker's side, without the pipes: also what a preparation without worker processes uses."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.cleaner = Cleaner(setup.clean)
        self.bulk: BulkEncoder | None = None
        if setup.run:
            self.tokenizer = Tokenizer.load(Path(setup.run))
            self.bulk = BulkEncoder(self.tokenizer, setup.room)

    def answer(self, header: dict[str, Any], body: bytes) -> Message:
        """Does one job. Answers of "scan": {effects, scripts, characters, sizes}, MEASURES, if asked for the signatures
        of whole documents and the minima of parts, then the sample's text; of "encode": {tokens, sizes, masked}, ids,
        then the mask."""
        effects: dict[str, list[int]] = {}
        texts: list[str | tuple[Turn, ...]] = []
        at = 0
        for size, flag in zip(header["sizes"], header["flags"], strict=True):
            data = body[at:at + size].decode()
            at += size
            cleaner = None if flag & 8 or not self.cleaner.steps else self.cleaner
            texts.append(_conversation(data, cleaner, effects) if flag & 1
                         else cleaner.apply(data, effects) if cleaner else data)
        if header["task"] == "scan":
            return self._scan(texts, header["flags"], header["sample"], effects)
        return self._encode(texts, header["flags"])

    def _scan(self, texts: list[str | tuple[Turn, ...]], flags: list[int], sample: bool,
              effects: dict[str, list[int]]) -> Message:
        found = np.zeros(len(texts), MEASURES)
        minima = np.zeros((len(texts) if self.setup.near else 0, duplicates.BYTES), np.uint64)
        parts = np.array([flag & 6 != 6 for flag in flags], bool)
        characters: set[str] = set()
        probes: list[str] = []
        sampled: list[str] = []
        for number, given in enumerate(texts):
            text = given if isinstance(given, str) else "\n".join(turn.text for turn in given)
            size = len(text.encode()) - (0 if isinstance(given, str) else max(0, len(given) - 1))
            found[number] = (size, len(text), duplicates.exact_hash(text))
            if self.setup.near:
                minima[number] = duplicates.minima(text)
            if self.setup.characters:
                characters.update(text)
            probes.append(text[:_SCRIPT_PROBE])
            if sample:
                sampled.append(text)
        codes = np.frombuffer("".join(probes).encode("utf-32-le"), "<u4")
        kinds = np.bincount(np.searchsorted(_FIRSTS, codes, "right") - 1, minlength=len(_SCRIPTS))
        scale = int(found["characters"].sum()) / max(1, len(codes))  # the probes stand for all of the batch
        shares: dict[str, int] = {}
        for (_, name), count in zip(_SCRIPTS, kinds.tolist(), strict=True):
            if name and count:
                shares[name] = shares.get(name, 0) + round(count * scale)
        words = "\n".join(sampled).encode()
        signatures = duplicates.signatures(minima[~parts[:len(minima)]])
        body = found.tobytes(), signatures.tobytes(), minima[parts[:len(minima)]].tobytes(), words
        return ({"effects": effects, "scripts": shares, "characters": "".join(sorted(characters)),
                 "sizes": [len(part) for part in body]}, b"".join(body))

    def _encode(self, texts: list[str | tuple[Turn, ...]], flags: list[int]) -> Message:
        assert self.bulk is not None
        places = [number for number, text in enumerate(texts) if isinstance(text, str)]
        ids, counts = self.bulk.encode([text for text in texts if isinstance(text, str)],
                                       [bool(flags[number] & 2) for number in places],
                                       [bool(flags[number] & 4) for number in places])
        if len(places) == len(texts):
            return ({"tokens": counts.tolist(), "sizes": [ids.nbytes, 0], "masked": False}, ids.tobytes())
        ends = np.cumsum(counts)
        coded = {number: ids[end - count:end] for number, count, end in zip(places, counts, ends, strict=True)}
        pieces: list[np.ndarray] = []
        masks: list[np.ndarray] = []
        for number, text in enumerate(texts):
            if isinstance(text, str):
                pieces.append(coded[number])
                masks.append(np.ones(len(coded[number]), np.uint8))
            else:
                rendered = render(text, self.tokenizer)
                pieces.append(np.asarray(rendered.ids, self.bulk.dtype))
                masks.append(np.asarray(rendered.learn, np.uint8))
        own = self.setup.own_turns
        body = np.concatenate(pieces).tobytes(), np.concatenate(masks).tobytes() if own else b""
        return ({"tokens": [len(piece) for piece in pieces], "sizes": [len(part) for part in body], "masked": own},
                b"".join(body))


def _conversation(data: str, cleaner: Cleaner | None, effects: dict[str, list[int]]) -> tuple[Turn, ...]:
    """The turns; what is no command and no output of one is cleaned."""
    return tuple(Turn(role, cleaner.apply(text, effects) if cleaner and role not in ("bash", "output") else text,
                      tainted) for role, text, tainted in json.loads(data))


def send(stream: IO[bytes], header: dict[str, Any], body: bytes) -> None:
    """Writes one message."""
    words = json.dumps(header, ensure_ascii=False).encode()
    stream.write(_LENGTHS.pack(len(words), len(body)) + words)
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> Message | None:
    """Reads one message; None at the end of the stream."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    first, second = _LENGTHS.unpack(lengths)
    words, body = stream.read(first), stream.read(second)
    if len(words) < first or len(body) < second:
        return None
    return json.loads(words), body


def main() -> int:
    """The worker process: until its standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for the one who gives the jobs, and ends the input
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand between the answers
    first = receive(jobs)
    if first is None:
        return 0
    try:
        work = Work(Setup(**{**first[0], "clean": tuple(first[0]["clean"])}))
        while (message := receive(jobs)) is not None:
            send(answers, *work.answer(*message))
    except NimError as error:
        send(answers, {"error": [error.what, error.why, error.mend, error.code]}, b"")
    except BrokenPipeError:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
