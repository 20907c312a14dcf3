"""Text to token ids and back, exactly: SentencePiece BPE, or one id per character.

Ids 0 to 3 are unk, bos, eos and pad, then the turn markers. ``encode`` never yields one of these from text: a marker's
spelling is encoded in two halves, so that what a user or a program writes can never open a turn.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import sentencepiece

from nimllm.errors import NimError
from nimllm.llm.checkpoint import replacing
from nimllm.llm.data.sample import Sample, count_words
from nimllm.llm.turns import MARKERS

SPECIALS = ("<unk>", "<s>", "</s>", "<pad>")
REPLACEMENT = "\ufffd"
_SPACE = "\u2581"  # SentencePiece writes a space so; the character itself must go through byte fallback
_DELICATE = re.compile("|".join(re.escape(marker) for marker in MARKERS) + "|" + _SPACE)
_SPACE_BYTES = tuple(f"<0x{byte:02X}>" for byte in _SPACE.encode())
# SentencePiece is n log n in the length of one string (8.4 MB/s by lines, 3.0 MB/s as one string of 1 MB), so longer
# lines are cut before a run of spaces, where no piece can straddle.
_LINE = 8192
_BLOCK = 1 << 16  # characters; the unit by which an oversized corpus is thinned out
Kind = Literal["bpe", "char", "hf"]
_FILES: dict[Kind, str] = {"bpe": "tokenizer.model", "char": "tokenizer.json", "hf": "tokenizer.imported.json"}


class _PieceBytes(dict[int, bytes]):
    """id -> bytes, looked up when they are first wanted: 32,000 pieces would add 33 ms to every start. IndexError for
    an id that is none."""

    def __init__(self, pieces: sentencepiece.SentencePieceProcessor) -> None:
        super().__init__()
        self._pieces = pieces

    def __missing__(self, index: int) -> bytes:
        if not 0 <= index < self._pieces.vocab_size():
            raise IndexError(f"no id {index}")
        piece = self._pieces.id_to_piece(int(index))
        if index < len(SPECIALS):
            found = REPLACEMENT.encode() if index == 0 else b""
        elif self._pieces.is_byte(int(index)):
            found = bytes([int(piece[3:5], 16)])
        else:
            found = piece.replace(_SPACE, " ").encode()
        self[int(index)] = found
        return found


class Tokenizer:
    """Made by :func:`train_bpe`, :func:`train_char` or :meth:`load`; ``imported_tokenizer`` adds those of others."""

    unk, bos, eos, pad = 0, 1, 2, 3
    stops: tuple[int, ...] = (eos,)  # end any text
    never: tuple[int, ...] = (unk, bos, pad)  # are no part of a text

    def __init__(self, kind: Kind, data: bytes) -> None:
        """``data``: the bytes of tokenizer.model (bpe) or tokenizer.json (char). ValueError when they are neither."""
        self.kind: Kind = kind
        self.data = data
        self.vocab_size: int
        self._bytes: dict[int, bytes]  # what decode shows for an id
        self._markers: dict[str, int] = {}
        if kind == "bpe":
            self._read_bpe(data)
        else:
            self._read_characters(data)
        self._marker_ids = frozenset(self._markers.values())

    def _read_bpe(self, data: bytes) -> None:
        pieces = sentencepiece.SentencePieceProcessor()
        try:
            loaded = pieces.LoadFromSerializedProto(data)
        except (RuntimeError, OSError) as error:
            raise ValueError(f"SentencePiece cannot read it ({error})") from None
        if not loaded or not data:
            raise ValueError("SentencePiece cannot read it")
        if (pieces.unk_id(), pieces.bos_id(), pieces.eos_id(), pieces.pad_id()) != (0, 1, 2, 3):
            raise ValueError("its unk, bos, eos, pad are not 0, 1, 2, 3")
        self.vocab_size = pieces.vocab_size()
        self._bytes = _PieceBytes(pieces)
        for spelling in MARKERS:
            index = pieces.piece_to_id(spelling)
            if index == self.unk:
                raise ValueError(f"it has no {spelling} marker")
            self._markers[spelling[2:-2]] = index
        self._newline = pieces.piece_to_id("\n")
        self._space = [pieces.piece_to_id(piece) for piece in _SPACE_BYTES]
        if self.unk in (self._newline, *self._space):
            raise ValueError("it has no newline or no byte pieces")
        self._pieces = pieces

    def _read_characters(self, data: bytes) -> None:
        try:
            content = json.loads(data)
            if content["format"] != "nimllm-characters" or content["version"] != 1:
                raise ValueError("its format field is not 'nimllm-characters'")
            characters, markers = content["characters"], tuple(content["markers"])
        except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
            raise ValueError("it is not what a character tokenizer writes") from None
        if not isinstance(characters, str) or not characters or list(characters) != sorted(set(characters)):
            raise ValueError("its characters are not a sorted string without repeats")
        if markers != MARKERS:
            raise ValueError("its turn markers are not ours")
        first = len(SPECIALS)
        self._markers = {spelling[2:-2]: first + index for index, spelling in enumerate(MARKERS)}
        first += len(MARKERS)
        self._characters = {character: first + index for index, character in enumerate(characters)}
        spelled = [REPLACEMENT, "", "", "", *MARKERS, *characters]
        self.vocab_size = len(spelled)
        self._bytes = {index: text.encode() for index, text in enumerate(spelled)}

    def encode(self, text: str) -> list[int]:
        """Ids of the text, no bos and no eos. NimError for a lone surrogate, the one str UTF-8 cannot hold."""
        return self.encode_batch([text])[0]

    def _encode_lines(self, lines: Sequence[str], threads: int) -> list[list[int]]:
        # a list makes SentencePiece start a thread pool for each call, ten times the work of a few short lines
        if threads > 1 and lines:
            return self._pieces.encode(list(lines), out_type=int, num_threads=threads)
        return [self._pieces.encode(line, out_type=int) for line in lines]

    def encode_batch(self, texts: Sequence[str], threads: int = 1) -> list[list[int]]:
        """:meth:`encode` of each text; SentencePiece works on all their lines in one call."""
        refuse_surrogates(texts)
        if self.kind == "char":
            return [[self._characters.get(character, self.unk) for character in text] for text in texts]
        joined = "".join(texts)
        if "\n" not in joined and not _DELICATE.search(joined) and max(map(len, texts), default=0) <= _LINE:
            return self._encode_lines(texts, threads)
        lines: list[str] = []
        layouts = [self._layout(text, lines) for text in texts]
        coded = iter(self._encode_lines(lines, threads))
        results: list[list[int]] = []
        for layout in layouts:
            ids: list[int] = []
            for part in layout:
                ids += next(coded) if part is None else part
            results.append(ids)
        return results

    def _layout(self, text: str, lines: list[str]) -> list[list[int] | None]:
        """Appends the stretches SentencePiece shall encode to ``lines``; returns their places (None) between ids."""
        layout: list[list[int] | None] = []
        newline = [self._newline]

        def plain(stretch: str) -> None:
            for piece in _cut(stretch, _LINE) if len(stretch) > _LINE else (stretch,):
                lines.append(piece)
                layout.append(None)

        delicate = _DELICATE.search(text) is not None
        for number, line in enumerate(text.split("\n")):
            if number:
                layout.append(newline)
            if not line:
                continue
            if not delicate:
                plain(line)
                continue
            begin = 0
            for match in _DELICATE.finditer(line):
                if match.group() == _SPACE:
                    if begin < match.start():
                        plain(line[begin:match.start()])
                    layout.append(self._space)
                    begin = match.end()
                else:  # "<|us" + "er|>": halves that no symbol matches
                    middle = (match.start() + match.end()) // 2
                    plain(line[begin:middle])
                    begin = middle
            if begin < len(line):
                plain(line[begin:])
        return layout

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; markers as they are spelled, bos, eos and pad as nothing, broken UTF-8 as U+FFFD."""
        return b"".join(map(self._bytes.__getitem__, ids)).decode(errors="replace")

    def marker(self, name: str) -> int:
        """The id of ``<|name|>``; KeyError for a name that is no marker."""
        return self._markers[name]

    def is_marker(self, index: int) -> bool:
        """Whether the id is one of the turn markers."""
        return index in self._marker_ids

    def token_bytes(self, index: int) -> bytes:
        """The bytes :meth:`decode` shows for the id; they may end in the middle of a character."""
        return self._bytes[index]

    def pieces(self) -> Iterator[str]:
        """SentencePiece's spelling of every id of a bpe vocabulary."""
        return (self._pieces.id_to_piece(index) for index in range(self.vocab_size))

    def fingerprint(self) -> str:
        """sha256 hex of the saved file."""
        return hashlib.sha256(self.data).hexdigest()

    def describe(self) -> dict[str, object]:
        """What config.json says of it."""
        return {"kind": self.kind, "vocab_size": self.vocab_size, "sha256": self.fingerprint()}

    def save(self, run: Path) -> None:
        """Writes the kind's file into the run folder, and removes those of the others."""
        with replacing(Path(run) / _FILES[self.kind]) as file:
            file.write(self.data)
        for kind, name in _FILES.items():
            if kind != self.kind:
                (Path(run) / name).unlink(missing_ok=True)

    @staticmethod
    def load(run: Path) -> Tokenizer:
        """The tokenizer of a run folder; NimError when there is none or it cannot be used."""
        for kind, name in _FILES.items():
            path = Path(run) / name
            if not path.exists():
                continue
            mend = "restore the file from a copy: another tokenizer would not fit the weights"
            try:
                data = path.read_bytes()
                if kind == "hf":
                    from nimllm.llm.imported_tokenizer import ImportedTokenizer

                    return ImportedTokenizer(data)
                return Tokenizer(kind, data)
            except OSError as error:
                raise NimError(f"cannot read {path}", error.strerror or str(error), mend) from None
            except ValueError as error:
                raise NimError(f"{path} is not a tokenizer of ours", str(error), mend) from None
        raise NimError(f"{run} holds no tokenizer", f"none of {', '.join(_FILES.values())} is there",
                       "give a run folder made by --train")


def refuse_surrogates(texts: Sequence[str]) -> None:
    """NimError for a text with a lone surrogate, the one str UTF-8 cannot hold."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise NimError(f"cannot encode a text with the lone surrogate {text[error.start]!r}",
                           f"character {error.start} of it is no Unicode text", "mend the text") from None


def _cut(line: str, limit: int) -> Iterator[str]:
    """Pieces of at most ``limit`` characters, cut before a run of spaces where there is one, else anywhere."""
    begin = 0
    while len(line) - begin > limit:
        end = line.rfind(" ", begin + 1, begin + limit)
        while end > begin and line[end - 1] == " ":
            end -= 1
        if end <= begin:
            end = begin + limit
        yield line[begin:end]
        begin = end
    yield line[begin:]


def _sampled(texts: Iterable[str], limit: int) -> Sample:
    """At most ``limit`` bytes of the texts, spread evenly over all."""
    sample, number = Sample(limit), 0
    for text in texts:
        for begin in range(0, len(text), _BLOCK):
            if sample.wants(number):
                sample.add(number, text[begin:begin + _BLOCK].encode(errors="replace"))
            number += 1
    return sample


def train_bpe(texts: Iterable[str] | Sample, vocab_size: int, sample_bytes: int = 100_000_000,
              coverage: float = 0.9995, report: Callable[[str], None] = lambda message: None) -> Tokenizer:
    """BPE over at most ``sample_bytes`` of the texts, deterministic, with flags chosen for exact round trips.

    SentencePiece gets every different word once with its count, which gives the same vocabulary as the text would.

    A vocabulary that the texts cannot fill is made smaller, and ``report`` says so. ``coverage``: the share of the
    characters that get symbols of their own, the rest goes to bytes (1.0 lets rare scripts fill a small vocabulary).
    NimError: no text, or a vocabulary too small for the bytes and markers.
    """
    least = len(SPECIALS) + len(MARKERS) + 2 + 256
    if vocab_size <= least:
        raise NimError(f"a vocabulary of {vocab_size} is too small", f"bytes and markers alone take {least}",
                       f"choose at least {least + 128}, or the character tokenizer")
    counts = count_words((texts if isinstance(texts, Sample) else _sampled(texts, sample_bytes)).texts(), _LINE)
    if not counts:
        raise NimError("the corpus holds no text", "there is nothing to learn a tokenizer from", "give more text")
    for attempt in range(4):
        buffer = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=(f"{word}\t{count}" for word, count in sorted(counts.items())), input_format="tsv",
                model_writer=buffer, vocab_size=vocab_size, model_type="bpe",
                byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False,
                remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True,
                character_coverage=coverage, unk_id=0, bos_id=1, eos_id=2, pad_id=3,
                user_defined_symbols=[*MARKERS, "\n", "\t"], max_sentence_length=1 << 20, num_threads=2,
                minloglevel=2)
            return Tokenizer("bpe", buffer.getvalue())
        except RuntimeError as error:
            most = re.search(r"(?:<=|less than or equal to) (\d+)", str(error))
            if "too high" in str(error) and most and attempt < 3 and least < int(most.group(1)) < vocab_size:
                report(f"the corpus is too small for a vocabulary of {vocab_size}: using {most.group(1)}")
                vocab_size = int(most.group(1))
            elif "smaller than required_chars" in str(error) and attempt < 3:
                seen: Counter[str] = Counter()
                for word, count in counts.items():
                    for character in word:
                        seen[character] += count
                room = (vocab_size - least) // 2
                rare = dict.fromkeys(map(ord, sorted(seen, key=lambda key: (-seen[key], key))[room:]))
                report(f"{len(seen)} different characters do not fit: all but the {room} most frequent become bytes")
                shorter: Counter[str] = Counter()
                for word, count in counts.items():
                    shorter[word.translate(rare)] += count
                del shorter[""]
                counts = shorter
            else:
                raise NimError(f"cannot train a vocabulary of {vocab_size} on this corpus",
                               str(error).splitlines()[-1], "give more text or the character tokenizer") from None
    raise AssertionError("the last attempt returns or raises")


def train_char(texts: Iterable[str]) -> Tokenizer:
    """One id per character of the texts, sorted; NimError when there is no text."""
    characters: set[str] = set()
    for text in texts:
        characters.update(text)
    characters = {character for character in characters if not "\ud800" <= character <= "\udfff"}
    if not characters:
        raise NimError("the corpus holds no text", "there is nothing to learn a tokenizer from", "give more text")
    content = {"format": "nimllm-characters", "version": 1, "markers": MARKERS,
               "characters": "".join(sorted(characters))}
    return Tokenizer("char", json.dumps(content, ensure_ascii=False).encode())
