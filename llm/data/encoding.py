"""Encoding in bulk: the same ids as ``Tokenizer.encode``, about as fast as SentencePiece itself where words are new
(7.7 and 7.3 MB per CPU second), faster where they come again.

No piece of our vocabularies straddles a space that follows something else, so a text's ids are those of its words, and
most words were met before. Words become rows of a table of ids, and numpy gathers the rows. Where a vocabulary breaks
the rule (an imported one may) everything goes the ordinary way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, repeat

import numpy as np

from nimllm.llm.data.sample import WORDS
from nimllm.llm.tokenizer import Tokenizer

_ROOM = 500_000  # words remembered (about 100 MB); then the rarer half is forgotten
_LONG = 64  # characters; longer words hardly come twice
_BOS, _EOS = "\n\n", "\n\n\n"  # names of two rows that no word has
_CODES = 0x110000
_STRADDLES = re.compile("[^▁]▁")


class BulkEncoder:
    """For one tokenizer. ``dtype``: of the ids, uint16 or uint32. ``room``: words that are remembered."""

    def __init__(self, tokenizer: Tokenizer, room: int = 0) -> None:
        self._tokenizer, self._room = tokenizer, room or _ROOM
        self.dtype = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
        self._codes: np.ndarray | None = None  # character tokenizer: id of each code point
        self._by_words = False
        if tokenizer.kind == "char":
            self._codes = np.full(_CODES, tokenizer.unk, self.dtype)
            for index in range(tokenizer.vocab_size):
                text = tokenizer.token_bytes(index).decode()
                if len(text) == 1 and index != tokenizer.unk and not tokenizer.is_marker(index):
                    self._codes[ord(text)] = index
        elif tokenizer.kind == "bpe":
            self._by_words = not any(_STRADDLES.search(piece) for piece in tokenizer.pieces())
        self._rows: dict[str, int] = {_BOS: 0, _EOS: 1}  # word -> its row
        self._pool = np.array([tokenizer.bos, tokenizer.eos], self.dtype)  # the ids of all rows
        # of each row: where it begins in the pool, how many ids it has, how often it was used
        self._starts, self._lengths = np.array([0, 1], np.int64), np.array([1, 1], np.int64)
        self._uses = np.zeros(2, np.int64)

    def _forget(self) -> None:
        """Keeps the words that were used more often than the median."""
        rows = np.fromiter(self._rows.values(), np.int64, len(self._rows))
        keep = self._uses[rows] > np.median(self._uses[rows])
        keep[:2] = True
        kept = rows[keep]
        self._pool, self._lengths, self._uses = self._gather(kept), self._lengths[kept], self._uses[kept] // 2
        self._starts = np.cumsum(self._lengths) - self._lengths
        words = (word for word, stays in zip(self._rows, keep.tolist(), strict=True) if stays)
        self._rows = {word: row for row, word in enumerate(words)}

    def _gather(self, rows: np.ndarray) -> np.ndarray:
        """The ids of the rows, one after the other."""
        lengths = self._lengths[rows]
        ends = np.cumsum(lengths)
        # place of every id in the pool: the start of its word's row, and how far it is inside
        shift = self._starts[rows] - (ends - lengths)
        return self._pool[np.repeat(shift, lengths) + np.arange(int(lengths.sum()))]

    def encode(self, texts: Sequence[str], first: Sequence[bool], last: Sequence[bool]
               ) -> tuple[np.ndarray, np.ndarray]:
        """(ids of all texts one after the other [sum of counts], counts [texts]); bos before a text that is ``first``
        and eos behind one that is ``last``. NimError for a lone surrogate."""
        if self._by_words:
            return self._words(texts, first, last)
        found: list[np.ndarray] = []
        coded = iter(self._tokenizer.encode_batch(texts) if self._codes is None else ())
        for text, opens, closes in zip(texts, first, last, strict=True):
            if self._codes is None:
                ids = np.asarray(next(coded), self.dtype)
            else:
                ids = self._codes[np.frombuffer(text.encode("utf-32-le"), "<u4")]
            ends = [np.array([index], self.dtype) for index in (self._tokenizer.bos, self._tokenizer.eos)]
            found.append(np.concatenate([*ends[:1] * opens, ids, *ends[1:] * closes]))
        counts = np.array([len(ids) for ids in found], np.int64)
        return np.concatenate([np.zeros(0, self.dtype), *found]), counts

    def _words(self, texts: Sequence[str], first: Sequence[bool], last: Sequence[bool]
               ) -> tuple[np.ndarray, np.ndarray]:
        words: list[str] = []
        sizes = np.zeros(len(texts), np.int64)  # words of each text
        for number, (text, opens, closes) in enumerate(zip(texts, first, last, strict=True)):
            before = len(words)
            if opens:
                words.append(_BOS)
            words += WORDS.findall(text)
            if closes:
                words.append(_EOS)
            sizes[number] = len(words) - before
        if len(self._rows) > self._room or len(self._pool) > 8 * self._room:
            self._forget()
        rows = np.fromiter(map(self._rows.get, words, repeat(-1)), np.int64, len(words))
        missing = np.flatnonzero(rows < 0)
        new: dict[str, int] = {}  # word -> its row among the new ones
        if len(missing):
            places = [new.setdefault(words[place], len(new)) for place in missing.tolist()]
            rows[missing] = len(self._lengths) + np.array(places)
            self._learn(list(new))
        ids = self._gather(rows)
        self._uses += np.bincount(rows, minlength=len(self._uses))
        ends = np.cumsum(self._lengths[rows])
        borders = np.concatenate([[0], ends])[np.concatenate([[0], np.cumsum(sizes)])]
        for word in new:
            if len(word) > _LONG:
                del self._rows[word]
        return ids, np.diff(borders)

    def _learn(self, words: list[str]) -> None:
        coded = self._tokenizer.encode_batch(words)
        lengths = np.fromiter(map(len, coded), np.int64, len(coded))
        ids = np.fromiter(chain.from_iterable(coded), self.dtype, int(lengths.sum()))
        starts = len(self._pool) + np.cumsum(lengths) - lengths
        first = len(self._lengths)
        self._pool = np.concatenate([self._pool, ids])
        self._starts = np.concatenate([self._starts, starts])
        self._lengths = np.concatenate([self._lengths, lengths])
        self._uses = np.concatenate([self._uses, np.zeros(len(words), np.int64)])
        self._rows.update(zip(words, range(first, first + len(words)), strict=True))
