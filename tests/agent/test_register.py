"""The casual register: half of the requests are noisy, in many ways, and no name is ever touched."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimllm.agent.gym import register
from nimllm.agent.gym.register import humanise, pieces

REQUEST = "show me the number of lines with don't in access.log of the folder data notes and do not sort them"
NAMES = ("access.log", "data notes", "don't")


def many(request: str, names: tuple[str, ...] = (), commands: tuple[str, ...] = (), count: int = 1500) -> list[str]:
    return [humanise(random.Random(seed), request, names, commands) for seed in range(count)]


def test_half_stay_and_no_name_is_touched() -> None:
    made = many(REQUEST, NAMES)
    for text in made:
        assert all(name in text for name in NAMES), text
    clean = sum(text.rstrip(".").lower() == REQUEST.lower() for text in made)
    assert 0.4 < clean / len(made) < 0.6
    assert len(set(made)) > 500


def test_every_kind_of_noise_is_met() -> None:
    made = many(REQUEST, NAMES, count=4000)
    for sign in (r"\bpls\b", r"\bdir\b", r"\bw/", r"\bthx\b", r"^hey", r"\.\.\.$", r"`access\.log`", r"^(?!.*the )",
                 r"\bdont sort", "  ", r"for the report", r"no rush", r"\bnum\b", r"in a hurry", r"[a-z] !$"):
        assert any(re.search(sign, text, re.IGNORECASE) for text in made), sign
    words = Counter(word for text in made for word in re.findall(r"[a-z]+", text.lower()))
    assert sum(count == 1 for count in words.values()) > 30, "no typos"


def test_contractions_lose_their_apostrophe_but_not_in_names() -> None:
    said = "what's in it's.txt? I don't know what is in 'don't'"
    text = register._contracted(random.Random(0), said, ("it's.txt",), ())
    assert text == "whats in it's.txt? i dont know whats in 'don't'"


def test_articles_are_dropped_only_before_words() -> None:
    said = "the lines that start with a in a file of the folder the"
    assert register._articles(random.Random(0), said, ("the",), ()) == said.replace("a file", "file")
    assert register._articles(random.Random(0), "all the lines of a file", (), ()) == "all lines of file"


def test_what_the_commands_repeat_is_a_name_too() -> None:
    for text in many("find the word zebra in it", (), ("grep -n 'zebra' notes.txt",)):
        assert "zebra" in text
    assert any(re.search("find", text) is None for text in many("find the word zebra", (), ("find . -name x",)))


@pytest.mark.parametrize("request_", ["commit everything with message improve the water", "write tall green house"])
def test_nothing_follows_words_that_are_copied(request_: str) -> None:
    """A remark behind them would become a part of them."""
    names = ("improve the water", "tall green house")
    for text in many(request_, names):
        assert re.search(r"(improve the water|tall green house)(['\"`”][ !.:)]*| ?)$", text), text


@pytest.mark.parametrize("name", ["a", "x y", "*.txt", "it's", '"', "(", "the", "I", "12", "ümlaut.md", "-n",
                                  "/a/b c/d"])
def test_odd_names_survive(name: str) -> None:
    for text in many(f"please show the {name} of my documents and the number of it", (name,), count=600):
        assert name in text, text


@given(st.text(min_size=1, max_size=60), st.lists(st.text(min_size=1, max_size=8), max_size=3))
def test_pieces_are_the_text(text: str, names: list[str]) -> None:
    assert "".join(piece for piece, _ in pieces(text, names)) == text
    assert humanise(random.Random(len(text)), text, tuple(names))


def test_a_seed_makes_one_wording() -> None:
    assert many(REQUEST, NAMES, count=50) == many(REQUEST, NAMES, count=50)
