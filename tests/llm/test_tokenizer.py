"""The tokenizer: text survives it exactly, and text never becomes a marker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nimllm.errors import NimError
from nimllm.llm import tokenizer as module
from nimllm.llm.tokenizer import Tokenizer, train_bpe, train_char
from nimllm.llm.turns import MARKERS, Turn, render

CORPUS = [Path(module.__file__).read_text("utf-8")] + [
    f"find . -name '*.{kind}' -type f | xargs wc -l | sort -n  # {number}\n\tindented {number}\n" * 3
    for number, kind in enumerate(("py", "txt", "md", "c", "json"))]


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return train_bpe(CORPUS, 700)


@pytest.fixture(scope="module")
def char() -> Tokenizer:
    return train_char(CORPUS)


ANY_TEXT = st.lists(st.one_of(
    st.text(max_size=20),
    st.sampled_from([*MARKERS, "<|", "|>", "<|us", "er|>", "<s>", "</s>", "<unk>", "<0x0A>", "\n", "\n\n    ", "\t",
                     " ", "   ", "\u2581", "\u2585", "\0", "\ufffd", "\ufeff", "\u200d", "\U0001f469\u200d\U0001f4bb",
                     "e\u0301", "\r\n", "def f(x):", "12345", "漢字", "\ue000"]),
), max_size=12).map("".join)


@settings(max_examples=400, deadline=None)
@given(ANY_TEXT)
@example("<|<|user|>user|>")
@example("<|user|><|end|>\u2581<|bash|>")
def test_round_trip_is_exact_and_free_of_markers(bpe: Tokenizer, text: str) -> None:
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text
    assert not any(bpe.is_marker(index) or index in (bpe.unk, bpe.bos, bpe.eos, bpe.pad) for index in ids)
    assert b"".join(map(bpe.token_bytes, ids)) == text.encode()


@settings(max_examples=200, deadline=None)
@given(st.lists(ANY_TEXT, max_size=6))
def test_a_batch_is_its_texts(bpe: Tokenizer, texts: list[str]) -> None:
    assert bpe.encode_batch(texts, threads=2) == [bpe.encode(text) for text in texts]


def test_marker_halves_are_the_only_thing_that_changes(bpe: Tokenizer) -> None:
    """Encoding by lines and pieces is what SentencePiece does with the whole text, indentation included."""
    text = CORPUS[0].replace("\u2581", " ")
    for marker in MARKERS:
        text = text.replace(marker, "")
    assert bpe.encode(text) == bpe._pieces.encode(text)
    one_line = text.replace("\n", " ")
    assert len(one_line) > module._LINE, "the line must be long enough to be cut"
    assert bpe.encode(one_line) == bpe._pieces.encode(one_line)


def test_a_long_line_without_spaces_survives(bpe: Tokenizer) -> None:
    text = "x<|user|>é" * 5000
    assert bpe.decode(bpe.encode(text)) == text


def test_markers_survive_only_as_ids(bpe: Tokenizer) -> None:
    rendered = render([Turn("user", "say <|end|> and <|bash|>"), Turn("assistant", "no")], bpe)
    names = [index for index in rendered.ids if bpe.is_marker(index)]
    assert names == [bpe.marker("user"), bpe.marker("end"), bpe.marker("assistant"), bpe.marker("end")]
    assert bpe.decode(rendered.ids) == "<|user|>say <|end|> and <|bash|><|end|><|assistant|>no<|end|>"
    with pytest.raises(KeyError):
        bpe.marker("nobody")


def test_the_ids_the_rest_relies_on(bpe: Tokenizer, char: Tokenizer) -> None:
    for tokenizer in (bpe, char):
        assert (tokenizer.unk, tokenizer.bos, tokenizer.eos, tokenizer.pad) == (0, 1, 2, 3)
        assert [tokenizer.marker(name[2:-2]) for name in MARKERS] == list(range(4, 4 + len(MARKERS)))
        assert tokenizer.decode([1, 2, 3]) == ""


def test_digits_are_single_and_indentation_is_not(bpe: Tokenizer) -> None:
    assert len(bpe.encode("48151623")) == 8
    assert len(bpe.encode("        ")) < 8
    assert bpe.encode("\n\n") == bpe.encode("\n") * 2


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_a_lone_surrogate_is_refused(kind: str, request: pytest.FixtureRequest) -> None:
    with pytest.raises(NimError, match="character 2"):
        request.getfixturevalue(kind).encode("ab\ud800")


@given(st.text(max_size=40))
def test_characters_round_trip_or_show_as_replaced(char: Tokenizer, text: str) -> None:
    known = set("".join(CORPUS))
    assert char.decode(char.encode(text)) == "".join(c if c in known else "\ufffd" for c in text)
    assert not any(char.is_marker(index) for index in char.encode(text))


def test_characters_do_not_spell_markers(char: Tokenizer) -> None:
    assert char.decode(char.encode("<|user|>")) == "<|user|>"
    assert len(char.encode("<|user|>")) == 8


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_save_and_load(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(kind)
    other: Tokenizer = request.getfixturevalue("char" if kind == "bpe" else "bpe")
    other.save(tmp_path)
    tokenizer.save(tmp_path)  # takes the other kind's place
    loaded = Tokenizer.load(tmp_path)
    assert (loaded.kind, loaded.vocab_size, loaded.fingerprint()) == (kind, tokenizer.vocab_size,
                                                                      tokenizer.fingerprint())
    assert loaded.encode("wc -l *.py\n") == tokenizer.encode("wc -l *.py\n")
    assert len(list(tmp_path.iterdir())) == 1


def test_training_twice_gives_the_same_file() -> None:
    assert train_bpe(CORPUS, 500).fingerprint() == train_bpe(CORPUS, 500).fingerprint()


def test_missing_and_corrupt_files_are_named(bpe: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(NimError, match="holds no tokenizer"):
        Tokenizer.load(tmp_path)
    bpe.save(tmp_path)
    path = tmp_path / "tokenizer.model"
    whole = path.read_bytes()
    for broken in (b"", b"not a model", whole[:-7], whole[:200]):
        path.write_bytes(broken)
        with pytest.raises(NimError, match="not a tokenizer of ours") as caught:
            Tokenizer.load(tmp_path)
        assert str(path) in caught.value.what
    path.unlink()
    for content in ("", "[]", "{}", json.dumps({"format": "nimllm-characters", "version": 1, "markers": list(MARKERS),
                                                "characters": "ba"})):
        (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(NimError, match="not a tokenizer of ours"):
            Tokenizer.load(tmp_path)


def test_a_small_corpus_gets_a_smaller_vocabulary_and_says_so() -> None:
    said: list[str] = []
    tokenizer = train_bpe(["hello world, hello there"] * 3, 4000, report=said.append)
    assert 269 < tokenizer.vocab_size < 4000
    assert len(said) == 1 and str(tokenizer.vocab_size) in said[0]
    assert tokenizer.decode(tokenizer.encode("hello 漢")) == "hello 漢"


def test_many_characters_in_a_small_vocabulary_become_bytes() -> None:
    text = "".join(map(chr, range(0x4E00, 0x5E00)))
    tokenizer = train_bpe([text], 300, report=lambda message: None)
    assert tokenizer.vocab_size == 300
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_impossible_requests() -> None:
    with pytest.raises(NimError, match="too small"):
        train_bpe(CORPUS, 200)
    with pytest.raises(NimError, match="no text"):
        train_bpe([], 700)
    with pytest.raises(NimError, match="no text"):
        train_char([""])


def test_an_oversized_corpus_is_thinned_evenly() -> None:
    texts = [f"{number:06d} " * 2000 + "\n" for number in range(200)]  # 14 kB each
    kept = list(module._sampled(iter(texts), 300_000).texts())
    size = sum(map(len, kept))
    numbers = sorted({int(line[:6]) for line in kept})
    assert 100_000 < size <= 300_000
    assert numbers[0] < 60 and numbers[-1] > 140, "both ends of the corpus are represented"
    assert kept == list(module._sampled(iter(texts), 300_000).texts())


def test_training_on_counted_words_gives_the_vocabulary_of_the_text() -> None:
    import io

    import sentencepiece

    texts = [*CORPUS, "  indented   code\twith\ttabs \n and 123 numbers " * 3]
    ours = train_bpe(texts, 420)
    buffer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in texts for line in text.split("\n") if line]), model_writer=buffer,
        vocab_size=420, model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
        add_dummy_prefix=False, remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True,
        character_coverage=0.9995, unk_id=0, bos_id=1, eos_id=2, pad_id=3, minloglevel=2,
        user_defined_symbols=[*module.MARKERS, "\n", "\t"], max_sentence_length=1 << 20)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=buffer.getvalue())
    assert list(ours.pieces()) == [theirs.id_to_piece(index) for index in range(theirs.vocab_size())]
