"""Orders about the future, and a request in other words: what is read, what is not, and what the grammar promises."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.alignment.memory import phrasings
from nimllm.alignment.memory.conventions import Order, is_program, order

SHIP = Order("deploy", "make ship ENV=staging")


@pytest.mark.parametrize("text", [
    "deploy means `make ship ENV=staging`", "Deploy means 'make ship ENV=staging'.",
    "when I say deploy, run make ship ENV=staging", "whenever I say “deploy” please run `make ship ENV=staging`",
    "if I ask you to deploy, use make ship ENV=staging instead", "to deploy use make ship ENV=staging here",
    "to deploy, always run `make ship ENV=staging`", "from now on, deploy means `make ship ENV=staging`",
    "remember that deploy stands for `make ship ENV=staging`", "by deploy I mean `make ship ENV=staging`",
    "run make ship ENV=staging when I say deploy", "the command for deploying is make ship ENV=staging",
    "the deploy command is `make ship ENV=staging`", "in this project, deploy is done with `make ship ENV=staging`",
    "note: when I want to deploy, you should run make ship ENV=staging", "deploy -> `make ship ENV=staging`",
])
def test_orders_are_read(text: str) -> None:
    assert order(text, lambda word: word in ("make", "sh")) == SHIP


@pytest.mark.parametrize("text", [
    "", "deploy", "count the files", "deploy means the end of the world", "what does deploy mean?",
    "to count the lines use wc -l", "for each file run wc -l", "when the build is done, run the tests",
    "404 means not found",
    "if it rains take an umbrella", "run pytest to see what fails", "list the files when you can", "time means money",
    "does deploy mean `make ship`?", "deploy means `make ship` and what does release mean?",
    "show what make ship means", "delete the file means.txt", "find files that mean `x`",
])
def test_requests_are_not_orders(text: str) -> None:
    assert order(text, is_program) is None


WORD = st.text(string.ascii_lowercase, min_size=2, max_size=8).filter(lambda word: word not in ("or", "to", "in", "is"))
# words that the shapes themselves are made of are not requests anybody would teach
PLAIN = WORD.filter(lambda word: phrasings.core(word) == word and word not in phrasings.VERBS)
NAMED = st.lists(PLAIN, min_size=1, max_size=3).map(" ".join)
ARGUMENT = st.text(string.ascii_letters + string.digits + "-=/._", min_size=1, max_size=8)
COMMAND = st.builds(lambda program, words: " ".join([program, *words]), WORD, st.lists(ARGUMENT, max_size=4))


@settings(max_examples=60, deadline=None)
@given(NAMED, COMMAND, st.sampled_from([
    "{x} means `{c}`", "when I say {x}, run `{c}`", "to {x} use `{c}` here", "from now on {x} means `{c}`",
    "run `{c}` when I say {x}", "by {x} I mean `{c}`"]))
def test_a_quoted_command_comes_back_to_the_letter(request_: str, command: str, shape: str) -> None:
    found = order(shape.format(x=request_, c=command))
    assert found is not None and found.command == command
    assert found.request == phrasings.core(request_)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=120))
def test_any_text_is_an_order_or_none(text: str) -> None:
    found = order(text)
    assert found is None or (found.request and found.command and "\n" not in found.command)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60).filter(str.strip), st.integers(0, 2**32), st.integers(1, 14))
def test_wordings_are_different_deterministic_and_begin_with_the_request(text: str, seed: int, count: int) -> None:
    found = phrasings.paraphrases(text, seed, count)
    assert found == phrasings.paraphrases(text, seed, count)
    assert 1 <= len(found) <= count and len(set(found)) == len(found) and found[0] == text.strip()


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60).filter(str.strip), st.integers(0, 2**32))
def test_near_requests_are_never_a_wording_of_the_request(text: str, seed: int) -> None:
    own = set(phrasings.everything(text))
    found = phrasings.near(text, seed, 12)
    assert len(found) == 12 and not {near.lower() for near in found} & own


@pytest.mark.parametrize("text", ["deploy the site", "nightly backup", "zorble", "Please back up the photos",
                                  "frobnicate it"])
def test_everything_covers_what_is_drawn(text: str) -> None:
    everything = set(phrasings.everything(text))
    for seed in range(5):
        assert {wording.lower() for wording in phrasings.paraphrases(text, seed, 14)} <= everything
    assert len(everything) > 30 or text == "nightly backup"


def test_spelling() -> None:
    said = {"ship": "shipping", "make": "making", "tie": "tying", "roll out": "rolling out", "deploy": "deploying",
            "set up": "setting up", "see": "seeing", "tidy": "tidying", "run": "running"}
    assert {verb: phrasings.gerund(verb) for verb in said} == said
    assert phrasings.core("Could you please deploy the site now, please?") == "deploy the site"
    assert phrasings.core("deploying the site") == "deploy the site"
    assert phrasings.core("please") == "please"
