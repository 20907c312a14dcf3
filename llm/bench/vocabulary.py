"""A SentencePiece vocabulary of any size for a model with random weights: a real one takes time to load, which a start
must show."""

from __future__ import annotations

import struct
from collections.abc import Iterator

# fields of sentencepiece_model.proto: ModelProto.pieces = 1, SentencePiece.piece = 1, .score = 2 (float)
_PIECES, _PIECE, _SCORE = b"\x0a", b"\x0a", b"\x15"
_LETTERS = "etaoinsrhldcumfpgwybvk"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _words() -> Iterator[str]:
    """Endless different words, short ones first."""
    row = [""]
    while True:
        row = [word + letter for word in row for letter in _LETTERS]
        yield from row


def enlarged(model: bytes, size: int) -> bytes:
    """``model`` (a tokenizer.model) with made-up words appended until it has ``size`` pieces.

    A repeated field of protocol buffers may go on at the end of a message, so nothing of the model is parsed here.
    ValueError when it has more pieces already.
    """
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor()
    processor.LoadFromSerializedProto(model)
    count = processor.vocab_size()
    if count > size:
        raise ValueError(f"the tokenizer has {count} pieces, more than {size}")
    known = {processor.id_to_piece(index) for index in range(count)}
    parts, words = [model], _words()
    while count < size:
        word = next(words)
        if word in known:
            continue
        text = word.encode()
        piece = _PIECE + _varint(len(text)) + text + _SCORE + struct.pack("<f", -float(count))
        parts.append(_PIECES + _varint(len(piece)) + piece)
        count += 1
    return b"".join(parts)


def pieces(model: bytes, size: int) -> list[tuple[bytes, float, int]]:
    """(text, score, llama.cpp's token type: normal 1, unknown 2, control 3, user-defined 4, byte 6) of each of ``size``
    ids; ids past the tokenizer's are unused control tokens."""
    import sentencepiece

    from nimllm.llm.turns import MARKERS

    processor = sentencepiece.SentencePieceProcessor()
    processor.LoadFromSerializedProto(model)
    found: list[tuple[bytes, float, int]] = []
    for index in range(min(size, processor.vocab_size())):
        text = processor.id_to_piece(index)
        if processor.is_unknown(index):
            kind = 2
        elif processor.is_control(index):
            kind = 3
        elif processor.is_byte(index):
            kind = 6
        else:
            kind = 4 if text in MARKERS else 1
        found.append((text.encode(), processor.get_score(index), kind))
    found += [(f"<|unused {index}|>".encode(), 0.0, 3) for index in range(len(found), size)]
    return found
