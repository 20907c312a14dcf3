"""Lines and parts of byte streams: whatever the block size and the text, nothing is lost and nothing is long."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.errors import NimError
from nimllm.llm.data import streams
from nimllm.llm.data.tally import Tally

TEXT = st.text(st.sampled_from("ab \t\n\n\n\r漢ü\U0001f600"), max_size=120)


@settings(max_examples=300, deadline=None)
@given(TEXT, st.integers(8, 40), st.booleans())
def test_parts_add_up_to_the_text(text: str, part: int, marked: bool) -> None:
    data = b"\xef\xbb\xbf" * marked + text.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "PART", part)
        found = list(streams.parts(io.BytesIO(data), "x", Tally(strict=True)))
    assert "".join(text for text, _ in found) == text.replace("\r\n", "\n"), "no line end is torn apart"
    assert [last for _, last in found] == [False] * (len(found) - 1) + [True]
    assert all(len(text.encode()) <= 3 * part for text, _ in found)


def test_blank_lines_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PART", 20)
    text = "".join(f"line {number}\n\n\n  indented\n" for number in range(30))
    found = [text for text, _ in streams.parts(io.BytesIO(text.encode()), "x", Tally())]
    assert "".join(found) == text and len(found) > 10
    assert all(part.strip(" ")[0] != "\n" for part in found)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=12), st.integers(1, 25),
       st.integers(5, 25))
def test_rows_are_the_lines(lines: list[bytes], part: int, longest: int) -> None:
    data = b"\n".join(lines)
    wanted = [(number, line if len(line) <= longest else None)
              for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
              if line.strip() or len(line) > longest]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "PART", max(3, part))
        assert list(streams.rows(io.BytesIO(data), longest)) == wanted
        assert list(streams.rows(io.BytesIO(data + b"\n"), longest)) == wanted


def test_a_long_row_is_never_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PART", 100)

    class Endless(io.RawIOBase):
        left = 50_000

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b"x" * size if self.left > 0 else b"\nshort\n" if self.left == 0 else b""

    assert list(streams.rows(Endless(), 1000)) == [(1, None), (2, b"short")]  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=12), max_size=20))
def test_bytes_that_are_no_text_are_counted_or_refused(lines: list[bytes]) -> None:
    tally = Tally()
    data = b"\n".join([*lines, *[b"good"] * 100])
    try:
        text = "".join(part for part, _ in streams.parts(io.BytesIO(data), "x", tally))
    except NimError as error:
        assert "UTF-" in error.message() or "NUL" in error.message()
        return
    text.encode()
    assert text.endswith("good\n" * 99 + "good") and "\0" not in text
    assert tally.total() <= 1
