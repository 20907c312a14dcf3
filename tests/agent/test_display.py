"""Nothing a program prints may act on the user's terminal."""

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimllm.agent.display import Stream, one_line, plain, size, visible
from nimllm.agent.face import Face
from nimllm.agent.results import Step
from nimllm.tools.policy import Verdict

HOSTILE = ["\x1b]52;c;aGk=\x07", "\x1b[2J\x1b[H", "\x1b]0;title\x1b\\", "\x9b31m", "\x1bP1$r\x1b\\", "\x07\x08",
           "\x1bc", "\u202e reversed", "\u200b", "\x1b]8;;http://x\x07link\x1b]8;;\x07", "\x1b]unterminated"]


def _dangerous(text: str) -> bool:
    return any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or c in "\u200b\u202e" for c in text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_harmless(text: str) -> None:
    assert not _dangerous(visible(text)) and not _dangerous(plain(text))
    stream = Stream()
    assert not _dangerous("".join(stream.feed(char) for char in text) + stream.close())


@given(st.text())
def test_any_text_is_harmless_and_can_be_encoded(text: str) -> None:
    for shown in (visible(text), plain(text)):
        assert not _dangerous(shown)
        shown.encode()


def test_plain_drops_colour_and_keeps_the_last_state_of_an_overwritten_line() -> None:
    assert plain("\x1b[1;31mred\x1b[0m\r\n") == "red\n"
    assert plain("10%\r50%\r100%\ndone\n") == "100%\ndone\n"


def test_an_escape_sequence_cut_in_two_is_still_dropped() -> None:
    stream = Stream()
    assert stream.feed("a\x1b[3") + stream.feed("1mb") + stream.close() == "ab"


def test_short_forms() -> None:
    assert one_line("first\nsecond") == "first…" and one_line("x" * 300, 10) == "x" * 9 + "…"
    assert [size(n) for n in (0, 999, 3100, 2_000_000, 5_000_000_000)] == ["0 B", "999 B", "3.1 kB", "2.0 MB", "5.0 GB"]


LETTERS = "ab\n\r\t\x1b[]P;m?52c\\\x07\x08\x00\x7f\x9b\x9d\x90\x85\u202e\u2028\ud800\U000e0041"


@pytest.mark.parametrize("plain_lines", [True, False])
@given(st.lists(st.text(st.sampled_from(LETTERS)), max_size=8))
def test_a_face_prints_no_escape_of_a_program_in_any_of_its_words(plain_lines: bool, pieces: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        face = Face(live=True, plain=plain_lines)
        hostile = "".join(pieces)
        for piece in pieces:
            face.plan_text(piece)
        face.plan(hostile)
        face.started(hostile, Verdict("run", hostile, ""))
        for piece in pieces:
            face.output(piece)
        face.finished(Step(hostile, ended="refused", reason=hostile))
        face.finished(Step(hostile, status=1, output=hostile))
        for piece in pieces:
            face.answer_text(piece)
        face.answer(hostile)
        face.notice(hostile)
    for text in (out.getvalue(), err.getvalue()):
        text.encode()
        assert all((ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0) or c in "\n\t" for c in text), repr(text)
