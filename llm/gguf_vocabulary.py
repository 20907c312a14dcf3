"""Our tokenizers in GGUF's terms, so that llama.cpp cuts a text into the same ids.

llama.cpp joins neighbours by the scores of the pieces, as SentencePiece does. Two things it cannot say: the character
U+2581 is read as a space, and a marker spelled in a text is not cut in halves (it is no marker either, as long as the
caller does not ask for special tokens in it).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nimllm.llm.tokenizer import SPECIALS, Tokenizer
from nimllm.llm.tokenizer_json import pieces_of
from nimllm.llm.turns import MARKERS

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # gguf.TokenType
_SPACE = "\u2581"


@dataclass
class Vocabulary:
    """What the file says of its tokens; lists by id. ``model``: "llama" (scores) or "gpt2" (merges)."""

    model: str
    pre: str
    tokens: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    copied: list[int] = field(default_factory=list)  # rows that the embedding needs beyond its own: copies of these

    def add(self, token: str, score: float, kind: int) -> None:
        """The next id."""
        self.tokens.append(token)
        self.scores.append(score)
        self.types.append(kind)

    def fill(self, size: int) -> None:
        """Names for rows of a padded embedding that no token has."""
        for index in range(len(self.tokens), size):
            self.add(f"[PAD{index}]", -1e9, UNUSED)


def vocabulary(tokenizer: Tokenizer, size: int) -> Vocabulary:
    """The tokens of a "bpe" or "char" tokenizer, named up to ``size``, the rows of the embedding."""
    made = Vocabulary("llama", "default")
    if tokenizer.kind == "bpe":
        pieces = pieces_of(tokenizer)
        names = [pieces.id_to_piece(index) for index in range(tokenizer.vocab_size)]
        special = {*range(len(SPECIALS)), *(tokenizer.marker(name[2:-2]) for name in MARKERS)}
        for index, name in enumerate(names):
            kind = (UNKNOWN if index == tokenizer.unk else CONTROL if index in special
                    else BYTE if pieces.is_byte(index) else USER_DEFINED if name in ("\n", "\t") else NORMAL)
            made.add(name, pieces.get_score(index), kind)
        made.fill(size)
        return made
    for index in range(tokenizer.vocab_size):
        name = [*SPECIALS, *MARKERS][index] if index < len(SPECIALS) + len(MARKERS) else (
            tokenizer.token_bytes(index).decode())
        kind = UNKNOWN if index == tokenizer.unk else CONTROL if index < len(SPECIALS) + len(MARKERS) else NORMAL
        made.add(_SPACE if name == " " else f"[{_SPACE}]" if name == _SPACE else name, 0.0, kind)
    made.fill(size)
    # an unknown character is an error in llama.cpp where there are no bytes; here it is one unk for each of its bytes
    for byte in range(256):
        made.add(f"<0x{byte:02X}>", -1e9, BYTE)
        made.copied.append(tokenizer.unk)
    return made
