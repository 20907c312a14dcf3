"""Output as it is kept and shown: nothing a terminal obeys, nothing lost but what is said to be left out."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.tools.capture import Capture, Stream, clean, decode


@pytest.mark.parametrize(
    "raw, shown",
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("abcdef\rXY\n", "XYcdef\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "xlink"),
        ("\x1b]52;c;ZXZpbA==\x07", ""),
        ("\x1bP1$r\x1b\\x", "x"),
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
