"""Encoding in bulk gives the ids of Tokenizer.encode, for whatever text."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.llm import tokenizer as module
from nimllm.llm.data import encoding
from nimllm.llm.data.encoding import BulkEncoder
from nimllm.llm.data.sample import Sample, count_words
from nimllm.llm.tokenizer import Tokenizer, train_bpe, train_char

SOURCE = ["def f(x):\n\treturn x  # a comment, 12345\n\n\n    deeper = {'a': 1}\n" * 40,
          "the quick brown fox jumps over the lazy dog; Größe, наука, 漢字 and ▁ and <|user|>\r\n" * 40]
BPE = train_bpe(SOURCE, 400)
CHAR = train_char(SOURCE)
TEXTS = st.lists(st.tuples(
    st.text(st.sampled_from("abe \n\t▁漢ü<|user>1\r\u3000\U0001f600") | st.characters(codec="utf-8"), max_size=80),
    st.booleans(), st.booleans()), max_size=8)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from([BPE, CHAR]), st.integers(3, 30))
def test_bulk_is_the_same_as_one_by_one(rows: list[tuple[str, bool, bool]], tokenizer: Tokenizer, line: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LINE", line)  # so that the cut of long lines is met, too
        patch.setattr(encoding, "_ROOM", 20)  # and the forgetting
        bulk = BulkEncoder(tokenizer)
        for _ in range(2):
            ids, counts = bulk.encode([text for text, _, _ in rows], [row[1] for row in rows],
                                      [row[2] for row in rows])
            ends = [0, *itertools.accumulate(counts.tolist())]
            got = [ids[a:b].tolist() for a, b in itertools.pairwise(ends)]
            want = [[tokenizer.bos] * first + tokenizer.encode(text) + [tokenizer.eos] * last
                    for text, first, last in rows]
            assert got == want and ends[-1] == len(ids)


def test_a_vocabulary_whose_pieces_straddle_spaces_goes_the_ordinary_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tokenizer, "pieces", lambda self: iter(["a", "of▁the"]))
    ids, _ = BulkEncoder(BPE).encode(SOURCE, [True, True], [False, False])
    assert ids.tolist() == [i for text in SOURCE for i in [1, *BPE.encode(text)]]


def test_the_sample_is_even_bounded_and_the_same_every_time() -> None:
    def drawn(limit: int) -> list[str]:
        sample = Sample(limit)
        for number in range(1000):
            sample.add(number, f"{number:08d}".encode())
        assert sample.bytes <= limit
        return list(sample.texts())

    kept = drawn(800)
    assert kept == drawn(800) and 25 <= len(kept) <= 100
    assert kept == sorted(kept) and int(kept[0]) < 200 and int(kept[-1]) > 800
    assert len(drawn(8000)) == 1000
    large = Sample(10)
    large.add(0, b"longer than the room")
    assert list(large.texts()) == ["longer than the room"], "a block stays while it is the only one"


def test_words_are_counted_as_sentencepiece_sees_them() -> None:
    assert count_words(["a a  b\n\tc", " a", "wxyz"], 2) == {"a": 1, " a": 2, "  ": 1, "b": 1, "c": 1, "wx": 1, "yz": 1}


def test_counting_forgets_the_rare_when_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimllm.llm.data.sample._MOST_WORDS", 50)
    texts = [f"common{number % 7} rare{number}\n" for number in range(500)]
    counts = count_words(texts, 100)
    assert len(counts) <= 50
    assert all(counts[f"common{number}"] >= 60 for number in range(7))
