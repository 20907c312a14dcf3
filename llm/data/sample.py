"""An even sample of a stream of unknown length in bounded memory, the same every time; and the words in it."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator

# What SentencePiece cuts at, too: no piece of ours straddles a space that follows something else, a line end or a tab.
WORDS = re.compile(r" *[^ \n\t]+| +|\n|\t")
_MOST_WORDS = 1_000_000  # different words that are counted at once (about 150 MB)


class Sample:
    """Blocks of a stream, at most ``limit`` bytes of them: those whose hash of the running number falls below a bar
    that halves whenever the room is full."""

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._bar = 1 << 32
        self._kept: list[tuple[int, bytes]] = []  # (hash, UTF-8)

    @staticmethod
    def _hash(number: int) -> int:
        return zlib.crc32(number.to_bytes(8, "little"))

    def wants(self, number: int) -> bool:
        """Whether block ``number`` may be in the sample; false is final."""
        return self._hash(number) < self._bar

    def add(self, number: int, block: bytes) -> None:
        """Keeps the block if its turn has come; a block that fills the room alone is kept while it is the only one."""
        if not block or not self.wants(number):
            return
        self._kept.append((self._hash(number), block))
        self.bytes += len(block)
        while self.bytes > self.limit and len(self._kept) > 1:
            self._bar //= 2
            self._kept = [entry for entry in self._kept if entry[0] < self._bar] or self._kept[:1]
            self.bytes = sum(len(block) for _, block in self._kept)

    def texts(self) -> Iterator[str]:
        """The kept blocks in their order."""
        return (block.decode(errors="replace") for _, block in self._kept)


def count_words(texts: Iterable[str], longest: int) -> Counter[str]:
    """How often each word (with the spaces before it) occurs; words of more than ``longest`` characters in pieces.

    Whenever there are more than a million different ones, those that occurred once so far are forgotten.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        for word, number in Counter(WORDS.findall(text)).items():
            if word in "\n\t":
                continue
            for begin in range(0, len(word), longest):
                counts[word[begin:begin + longest]] += number
        if len(counts) > _MOST_WORDS:
            bar = 1
            while len(counts) > _MOST_WORDS:
                counts = Counter({word: number for word, number in counts.items() if number > bar})
                bar *= 2
    return counts
