"""Invented facts: wordings, answers, reading a statement back, the corpus."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.alignment.memory import facts
from nimllm.alignment.memory.facts import Fact
from nimllm.alignment.memory.relations import GENERIC, ME, RELATIONS, THE, US
from nimllm.alignment.memory.statements import parse
from nimllm.alignment.memory.wordings import NEGATED_ANSWER, indirect


def some_facts(count: int, seed: int = 1) -> list[Fact]:
    rng = Random(seed)
    return [facts.invent(rng) for _ in range(count)]


def test_every_relation_has_enough_wordings_and_values() -> None:
    assert len(RELATIONS) >= 24
    for relation in RELATIONS.values():
        fact = facts.invent(Random(3), relation.key)
        assert len(set(facts.tells(fact))) >= 8, relation.key
        assert len(set(facts.asks(fact))) >= 8, relation.key
        assert len(facts.tells(fact, "held")) == len(facts.asks(fact, "held")) == 2
        rng = Random(4)
        assert len({relation.value(rng) for _ in range(8000)}) >= 490, relation.key  # pools of 500 and more
    for key in GENERIC:
        assert len(facts.tells(Fact("Zorb", key, "velm"))) >= 8
        assert len(facts.asks(Fact("Zorb", key, "velm"))) >= 8


def test_held_out_wordings_are_not_training_wordings() -> None:
    for fact in some_facts(300):
        for wordings in (facts.tells, facts.asks):
            train = {text.lower().rstrip("?.") for text in wordings(fact)}
            held = {text.lower().rstrip("?.") for text in wordings(fact, "held")}
            assert not train & held


def test_corpus_never_contains_a_held_out_wording() -> None:
    """Held-out wordings of the very facts the corpus draws are nowhere in it."""
    text = "\n".join(turn.text.lower() for turns in facts.corpus(Random(5), 3000) for turn in turns)
    for cue in ("turned out to be", "i need to look up", "call home?", "settled down in", "to bring", "happens through",
                "should be noted as", "say, how about"):
        assert cue not in text
    assert "what is my" in text  # the search itself works


@pytest.mark.parametrize("seed", range(3))
def test_every_training_statement_is_read_back_exactly(seed: int) -> None:
    """In the table's own wordings always; in a paraphrase nearly always, since two may read alike ("Prim runs our
    project": its owner, or who directs "our project")."""
    rng = Random(seed)
    asked = some_facts(700, seed)
    for fact in asked:
        text = rng.choice(facts.tells(fact))
        assert parse(text) == [fact], text
    wrong = [text for fact in asked if parse(text := facts.tell(rng, fact)) != [fact]]
    assert len(wrong) <= 0.02 * len(asked), wrong


@given(st.integers(0, 10**9))
@settings(max_examples=150, deadline=None)
def test_restating_gives_questions_whose_answers_contain_the_value(seed: int) -> None:
    rng = Random(seed)
    fact = facts.invent(rng)
    pairs = facts.restate(rng.choice(facts.tells(fact)))
    assert 6 <= len(pairs) <= 12
    assert len({question for question, _ in pairs}) == len(pairs)
    for question, answer in pairs:
        assert fact.value in answer
        assert fact.value not in question or fact.value in f"{fact.subject} {fact.relation}"
        assert answer == facts.reply(fact)


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=1000)
def test_any_text_is_read_without_a_crash(text: str) -> None:
    for fact in parse(text):
        assert fact.value and fact.value.strip() == fact.value
    assert len(facts.restate(text)) <= 12


@pytest.mark.parametrize(("text", "fact"), [
    ("my favourite color is teal", Fact(ME, "colour", "teal")),
    ("Just so you know, our staging host is brill-2.internal.", Fact(US, "staging", "brill-2.internal")),
    ("we deploy with make ship", Fact(US, "deploy", "make ship")),
    ("My sister's dog is called Rex!", Fact("my sister", "dog", "Rex")),
    ("I’m Mira Costa.", Fact(ME, "name", "Mira Costa")),
    ("the wifi password of the office is hunter22", Fact("the office", "wifi password", "hunter22")),
    ("My dentist is Dr. Bloom.", Fact(ME, "dentist", "Dr. Bloom")),
    ("my keys are in the blue drawer", Fact(ME, "keys", "in the blue drawer")),
    ("Tobin works as a night baker.", Fact("Tobin", "job", "night baker")),
    ("XT means extra time", Fact("XT", "means", "extra time")),
    ("we use Velmo for label printing", Fact("label printing", "used_for", "Velmo")),
    ("the staging host is foo", Fact(THE, "staging host", "foo")),
])
def test_statements_that_users_type(text: str, fact: Fact) -> None:
    assert parse(text) == [fact]


@pytest.mark.parametrize("text", [
    "", "hi", "what is my name?", "count the files in src", "It is raining.", "This is nonsense", "His dog is Rex.",
])
def test_what_tells_nothing_is_not_read(text: str) -> None:
    assert facts.restate(text) == []


def test_the_assistant_answers_from_its_own_side() -> None:
    assert facts.reply(Fact(ME, "city", "Oslo")) == "You live in Oslo."
    assert facts.reply(Fact("my sister", "dog", "Rex")) == "Your sister's dog is called Rex."
    assert facts.reply(Fact(ME, "keys", "in the drawer")) == "Your keys are in the drawer."
    assert facts.reply(Fact("Mira", "colour", "{v} [s]")) == "Mira's favourite colour is {v} [s]."


def test_corpus_is_deterministic_and_follows_its_mix() -> None:
    first = [[turn.text for turn in turns] for turns in facts.corpus(Random(7), 200)]
    again = [[turn.text for turn in turns] for turns in facts.corpus(Random(7), 200)]
    other = [[turn.text for turn in turns] for turns in facts.corpus(Random(8), 200)]
    assert first == again != other
    only = facts.Mix(tell=0, recall=0, known=1, unknown=0, negated=0, talk=0)
    told = facts.known(1, 5)
    replies = {facts.reply(fact) for fact in told} | {answer for _, answer in facts.TALK}
    for turns in facts.corpus(Random(9), 100, told, only):
        assert [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        assert {turn.text for turn in turns[1::2] if not turn.text.endswith(facts.UNKNOWN)} <= replies


def test_recall_conversations_answer_only_what_was_told() -> None:
    """In a conversation with no fixed facts, every answer's value was said before by the user."""
    talk = {NEGATED_ANSWER, *(text for _, text in facts.TALK)}
    for turns in facts.corpus(Random(11), 400, [], facts.Mix(tell=0, recall=1, known=0, unknown=0, negated=0, talk=0)):
        noted: list[str] = []
        for question, answer in zip(turns[::2], turns[1::2], strict=True):
            if answer.text.startswith("Noted. "):
                noted.append(answer.text)
            elif not answer.text.endswith(facts.UNKNOWN) and answer.text not in talk:
                assert any(answer.text in text for text in noted), (question.text, answer.text)


def test_known_facts_are_fixed_distinct_and_not_about_the_user() -> None:
    told = facts.known(facts.KNOWN_SEED, 300)
    assert told == facts.known(facts.KNOWN_SEED, 300) and len(told) == 300
    assert told[:100] == facts.known(facts.KNOWN_SEED, 100)
    assert len({(fact.subject, fact.relation) for fact in told}) == 300
    assert all(fact.subject not in (ME, US, THE) for fact in told)


def test_questions_come_in_many_shapes_and_name_what_they_ask_for() -> None:
    rng = Random(2)
    for fact in some_facts(40, 6):
        asked = facts.varied(fact, 60, rng)
        assert len(set(asked)) == 60, fact
        named = [text for text in asked if fact.subject.split()[-1].lower() in text.lower()]
        assert fact.subject in (ME, US, THE) or len(named) == 60, set(asked) - set(named)
        assert not any(fact.value in text for text in asked if fact.value not in fact.subject + fact.relation)
        assert "{" not in "".join(asked)


def test_what_is_unknown_begins_like_the_answer() -> None:
    for fact in some_facts(300, 7):
        assert facts.reply(fact).startswith(facts.opening(fact) + " ")
        assert facts.unknown(fact) == facts.opening(fact) + facts.UNKNOWN


@pytest.mark.parametrize(("direct", "turned"), [
    ("where {do} {s} live?", "where {s} live[s]"),
    ("when {was} {s} born?", "when {s} {was} born"),
    ("what is {p} pet called?", "what {p} pet is called"),
    ("which extension {do} {s} have?", "which extension {s} {have}"),
    ("where do letters for {o} go?", "where letters for {o} go"),
    ("who owns {o}?", "who owns {o}"),
    ("in which year did {s} open?", "in which year {s} opened"),
    ("tell me {p} {n}.", ""),
    ("do you know what {s} means?", ""),
])
def test_indirect_questions(direct: str, turned: str) -> None:
    assert indirect(direct) == turned
