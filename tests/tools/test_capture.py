# ruff: noqa: E501 (bytes that belong together stay on one line)
"""Output as it is kept and shown: nothing a terminal obeys, nothing lost but what is said to be left out."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.tools.capture import SEQUENCES, Capture, Stream, clean, decode


@pytest.mark.parametrize(
    "raw, shown",
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("abcdef\rXY\n", "XYcdef\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "\\x1b]0;title\\x07x\\x1b]8;;http://x\\x1b\\link\\x1b]8;;\\x1b\\"),
        ("\x1b]52;c;ZXZpbA==\x07", "\\x1b]52;c;ZXZpbA==\\x07"),
        ("\x1bP1$r\x1b\\x", "\\x1bP1$r\\x1b\\x"),
        ("a\U000e0041b\u2028c\ud800", "a\\U000e0041b\\u2028c\\ud800"),
        ("\x1b[8mhidden\x1b[0m", "hidden"),
        ("\x1bcreset", "reset"),
        ("\x1b(Bx", "x"),
        ("\x1b]0;never closed\nnext", "\\x1b]0;never closed\nnext"),
        ("\x9b31mx", "\\x9b31mx"),
        ("a\x00b\x07", "a\\x00b\\x07"),
        ("N\x08NA\x08AM\x08M", "NAM"),
        ("safe\u202eevil", "safe\\u202eevil"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
    ],
)
def test_clean(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab\n\r\x1b[]0;m\x07\\P\x08\x9b\x00\u202e"), max_size=60))
def test_nothing_a_terminal_obeys_is_left(text: str) -> None:
    done = clean(text)
    assert all(letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf") for letter in done)
    assert clean(done) == done


def test_invalid_utf8_is_spelled() -> None:
    assert decode(b"a\xff\xc3b\xc3\xa9") == "a\\xff\\xc3b\u00e9"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(2, 60))
def test_head_and_tail_are_true(chunks: list[bytes], limit: int) -> None:
    capture = Capture(limit=limit)
    for chunk in chunks:
        capture.add(chunk)
    whole = b"".join(chunks)
    assert capture.total == len(whole)
    assert capture.truncated == (len(whole) > limit // 2 * 2)
    if not capture.truncated:
        assert capture.text() == clean(decode(whole))
    else:
        assert "bytes left out" in capture.text()


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "deep" / "log", limit=1000)
    lines = [b"line %d\n" % number for number in range(1000)]
    for line in lines:
        capture.add(line)
    text = capture.text()
    head, _middle, tail = text.partition("\n[... ")
    count, _, tail = tail.partition(" bytes left out ...]\n")
    assert head.startswith("line 0\n") and tail.endswith("line 999\n") and tail.startswith("line ")
    assert int(count) + len(head) + len(tail) == capture.total == sum(map(len, lines))
    capture.close()
    assert capture.log is not None and capture.log.read_bytes() == b"".join(lines)


def test_a_log_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    capture = Capture(tmp_path / "file" / "log", limit=10)
    capture.add(b"x" * 100)
    assert capture.truncated and capture.log is None
    capture.close()


@settings(max_examples=150, deadline=None)
@given(
    st.text(st.sampled_from("abé\n\r\x1b[m\u202e"), max_size=80), st.lists(st.integers(1, 7), min_size=1, max_size=30)
)
def test_a_stream_shows_the_same_as_the_whole(text: str, sizes: list[int]) -> None:
    data, shown, position = text.encode(), [], 0
    stream = Stream(shown.append)
    while position < len(data):
        size = sizes[position % len(sizes)]
        stream.add(data[position : position + size])
        position += size
    stream.flush(final=True)
    assert "".join(shown) == clean(text)


# ---- nothing reaches a terminal ---------------------------------------------------------------------------------------

PIECES = [
    b"\x1b[31m", b"\x1b[2J", b"\x1b]52;c;ZXZpbA==\x07", b"\x1b]0;t\x1b\\", b"\x1bP1;2q", b"\x1b\\", b"\x9b6n", b"\x9d52;c;QQ==\x9c",
    b"\xc2\x9b31m", b"\xc2\x9d0;t\xc2\x9c", b"\xc2\x90q", b"\x1b[?1049h", b"\x1bc", b"\x1b", b"\x1b[", b"\x1b]", b"\xc2", b"\xe2\x80",
    b"\xe2\x80\xae", b"\xf3\xa0\x81\x81", b"\xed\xa0\x80", b"\r", b"\r\n", b"\n", b"\x08", b"\x00", b"\x07", b"\x0e", b"\x7f", b"\xff",
    b"rm -rf /", b"a", b" ", "\u00e9".encode(), b"\x1b(0", b"\x1b[>0c", b"\x1b_G", b"\x1b^", b"\x1bX", b"\x85", b"\xc2\x85",
]  # fmt: skip
HOSTILE = st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=24).map(b"".join)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def harmless(text: str) -> bool:
    """No control, format or surrogate character but newline and tab, so that no terminal sees an escape, 7 bits or 8."""
    text.encode()
    return all(
        letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp") or letter in HARMLESS
        for letter in text
    )


HARMLESS = "\u00ad" + "".join(map(chr, range(0x600, 0x606))) + "\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, position = [], 0
    while position < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[position : position + size])
        position += size
    return pieces


@settings(max_examples=400, deadline=None)
@given(HOSTILE, SIZES, st.integers(2, 40))
def test_no_escape_survives_in_what_is_kept_or_streamed(data: bytes, sizes: list[int], limit: int) -> None:
    whole, short, shown = Capture(), Capture(limit=limit), []
    stream = Stream(shown.append)
    for piece in cut(data, sizes):
        whole.add(piece)
        short.add(piece)
        stream.add(piece)
        stream.flush()
    stream.flush(final=True)
    for text in (whole.text(), short.text(), *shown):
        assert harmless(text), text


@settings(max_examples=60, deadline=None)
@given(HOSTILE, SIZES)
def test_long_lines_are_cut_without_letting_an_escape_through(data: bytes, sizes: list[int]) -> None:
    shown: list[str] = []
    stream = Stream(shown.append)
    for piece in (b"x" * 4090, *cut(data, sizes), b"y" * 4090, *cut(data, sizes)):
        stream.add(piece)
    stream.flush(final=True)
    assert all(map(harmless, shown))


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab/\x1b[]P_^X;?0mhJ\\\x07 \x9b\x9c"), max_size=40))
def test_only_sequences_without_text_go_without_a_trace(text: str) -> None:
    """What is left, with its spelling undone, is the text without colours and movements, and nothing else is missing."""
    undone = clean(text)
    for code in (0x1B, 0x07, 0x9B, 0x9C):
        undone = undone.replace(f"\\x{code:02x}", chr(code))
    assert undone == SEQUENCES.sub("", text)
    assert all(not any(letter.isalpha() for letter in found[0][2:-1]) for found in SEQUENCES.finditer(text))
