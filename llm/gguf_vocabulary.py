"""Our tokenizers in GGUF's terms, so that llama.cpp cuts a text into the same ids.

llama.cpp joins neighbours by the scores of the pieces, as SentencePiece does. Two things it cannot say: the character
U+2581 is read as a space, and a marker spelled in a text is not cut in halves (it is no marker either, as long as the
caller does not ask for special tokens in it).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from nimllm.errors import NimError
from nimllm.llm.imported_tokenizer import ImportedTokenizer, parts_of
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
    normalised: bool = False  # the tokenizer changes texts first, and llama.cpp does not
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
    """The tokens of a tokenizer, named up to ``size``, the rows of the embedding. NimError: it cuts texts in a way for
    which llama.cpp has no name."""
    if isinstance(tokenizer, ImportedTokenizer):
        return _imported(tokenizer, size)
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


# llama.cpp knows ways of cutting texts by name. In tokenizer.json they are the steps before BPE: a regular expression,
# or the switches of ByteLevel (its own is GPT-2's) and Digits.
_QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
_CUTS = {("bytes",): "gpt-2", ("digits", "bytes"): "smollm", (_QWEN2,): "qwen2",
         (_QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|"),): "llama-bpe"}


def _imported(tokenizer: ImportedTokenizer, size: int) -> Vocabulary:
    """Byte-level BPE: tokens in GPT-2's letters, and merges."""
    content = json.loads(tokenizer.source)
    steps: list[str] = []
    for step in parts_of(content["pre_tokenizer"]):
        if step["type"] == "Split":
            steps.append(str(step["pattern"].get("Regex")))
        elif step["type"] == "Digits" and step.get("individual_digits"):
            steps.append("digits")
        elif step["type"] != "ByteLevel" or step.get("use_regex", True):
            steps.append("bytes" if step["type"] == "ByteLevel" else str(step["type"]))
    if tuple(steps) not in _CUTS:
        raise NimError("this model cannot be written as a GGUF file",
                       "its tokenizer cuts texts in a way for which we know no name of llama.cpp's",
                       "nimllm export hf writes it, and llama.cpp's convert_hf_to_gguf.py may know it")
    made = Vocabulary("gpt2", _CUTS[tuple(steps)], normalised=bool(parts_of(content.get("normalizer"))))
    names = {index: name for name, index in content["model"]["vocab"].items()}
    plain = {int(one["id"]) for one in content["added_tokens"] if not one["special"]}
    for index in range(tokenizer.vocab_size):
        if index in tokenizer.special:
            made.add(tokenizer.special[index], 0.0, USER_DEFINED if index in plain else CONTROL)
        elif index in names:
            made.add(names[index], 0.0, NORMAL)
        else:
            made.add(f"[PAD{index}]", 0.0, UNUSED)
    made.fill(size)
    made.merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in content["model"]["merges"]]
    return made
