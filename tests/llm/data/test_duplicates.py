"""Duplicates: which go, which stay, and the curve between."""

from __future__ import annotations

import random
import tempfile

import numpy as np
import pytest

from nimllm.llm.data.duplicates import BANDS, BYTES, ROWS, equal, exact_hash, minima, shingles, signatures, similar

WORDS = [f"w{number}" for number in range(5000)]


def signature(found: np.ndarray) -> np.ndarray:
    return signatures(found[None])[0]


def dropped(texts: list[str]) -> list[bool]:
    with tempfile.TemporaryFile() as file:
        for text in texts:
            file.write(signature(minima(text)).tobytes())
        file.flush()
        return similar(file, len(texts), np.zeros(len(texts), bool)).tolist()


def pair(rng: random.Random, similarity: float, length: int = 400) -> tuple[str, str]:
    """Two texts whose five-word shingles have about that Jaccard similarity: single words of one are replaced."""
    words = rng.choices(WORDS, k=length)
    shared = 2 * similarity / (1 + similarity)  # of its shingles
    other = list(words)
    changes = round((1 - shared) * length / 5)
    for place in range(changes):
        other[int((place + 0.5) * length / max(1, changes))] = "new" + str(rng.random())
    return " ".join(words), " ".join(other)


def jaccard(a: str, b: str) -> float:
    one, two = set(shingles(a).tolist()), set(shingles(b).tolist())
    return len(one & two) / len(one | two)


def test_equal_but_for_white_space() -> None:
    assert exact_hash("a  b\n\nc") == exact_hash(" a b c\t") != exact_hash("a b d")
    hashes = np.array([5, 7, 5, 9, 7, 5], np.uint64)
    assert equal(hashes).tolist() == [False, False, True, False, True, True]
    assert equal(np.zeros(0, np.uint64)).tolist() == []


def test_shingles_are_five_words_without_case_and_punctuation() -> None:
    assert len(shingles("one two three four five six seven")) == 3
    assert len(shingles("one two")) == 1 and len(shingles(" ,;! ")) == 0
    a = shingles("The quick, brown “fox” jumps over it")
    assert a.tolist() == shingles("the QUICK brown fox: jumps over (it)").tolist()
    assert a[1] == shingles("quick brown fox jumps over")[0], "a window's hash does not depend on its place"
    assert len(shingles("漢字仮名交じり文です")) == 6, "each Chinese or Japanese character is a word"
    assert len(set(shingles(" ".join(WORDS)).tolist())) == len(WORDS) - 4


@pytest.mark.parametrize(("similarity", "low", "high"), [(0.25, 0, 0.01), (0.5, 0, 0.06), (0.75, 0.4, 0.95),
                                                         (0.9, 0.97, 1.0), (0.97, 1.0, 1.0)])
def test_the_curve(similarity: float, low: float, high: float) -> None:
    rng = random.Random(round(similarity * 100))
    hit, measured = 0, 0.0
    for _ in range(100):
        a, b = pair(rng, similarity)
        measured += jaccard(a, b) / 100
        hit += dropped([a, b]) == [False, True]
    assert measured == pytest.approx(similarity, abs=0.04)
    assert low <= hit / 100 <= high


def test_bands_meet_as_the_formula_says() -> None:
    rng = random.Random(3)
    met, expected = 0, 0.0
    for _ in range(300):
        a, b = pair(rng, 0.7)
        one, two = (signature(minima(text)).reshape(BANDS, ROWS) for text in (a, b))
        met += bool((one == two).all(1).any())
        expected += (1 - (1 - jaccard(a, b) ** ROWS) ** BANDS) / 300
    assert met / 300 == pytest.approx(expected, abs=0.1)


def test_signatures_estimate_the_similarity_also_of_short_texts() -> None:
    rng = random.Random(5)
    for length, tolerance in ((400, 0.06), (30, 0.15)):
        errors = []
        for _ in range(60):
            a, b = pair(rng, 0.6, length)
            alike = float((signature(minima(a)) == signature(minima(b))).mean())
            errors.append((alike - 1 / 256) / (1 - 1 / 256) - jaccard(a, b))
        assert abs(float(np.mean(errors))) < tolerance / 2 and float(np.std(errors)) < 2 * tolerance


def test_signatures_do_not_depend_on_their_neighbours() -> None:
    texts = ["", "one", "one two three four five six", *(" ".join(WORDS[:n]) for n in (3, 30, 3000))]
    found = np.stack([minima(text) for text in texts])
    assert (signatures(found) == np.stack([signature(row) for row in found])).all()
    assert signatures(found[:0]).shape == (0, BYTES)
    assert not signatures(found)[0].any() and len(set(signatures(found)[1].tolist())) == 1


def test_the_earliest_stays_and_texts_without_words_are_left_alone() -> None:
    rng = random.Random(1)
    a, b = pair(rng, 0.97)
    c, _ = pair(rng, 0.5)
    assert dropped([c, a, "...", b, a, "...", "", c.upper()]) == [False, False, False, True, True, False, False, True]
    assert dropped([]) == []


def test_a_document_in_parts_has_the_minimum_of_its_parts() -> None:
    rng = random.Random(2)
    a, b = (" ".join(rng.choices(WORDS, k=300)) for _ in range(2))
    joined = np.minimum(minima(a), minima(b))
    whole = minima(a + " " + b)
    assert (joined == whole).mean() > 0.95, "only the shingles across the border differ"
    assert len(signature(joined)) == BYTES


def test_many_copies_and_many_kinds_in_one_band() -> None:
    rng = random.Random(4)
    kinds = [pair(rng, 0.97) for _ in range(20)]
    texts = [text for _ in range(5) for kind in kinds for text in kind]
    drop = dropped(texts)
    assert [number for number, gone in enumerate(drop) if not gone] == list(range(0, 40, 2))
