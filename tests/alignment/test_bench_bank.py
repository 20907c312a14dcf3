"""The bench's bank, stream and judging: what makes a score mean something. No model."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimllm.alignment.memory import facts
from nimllm.alignment.memory.bench import conventions, figures, questions, stream, talk
from nimllm.alignment.memory.bench.bank import Relation, grams, relations, shape, shared, trained, words
from nimllm.alignment.memory.bench.questions import Answer, asked, drawn, judge, of_point, right
from nimllm.alignment.memory.relations import Fact
from nimllm.errors import UsageError

EVERY = list(relations().values())
# words that carry no meaning of their own: they may stand in a told and in a test wording
COMMON = words(
    "the a an of in on to is are was does do did what which who whose whom where when how that this these it its i my "
    "you we they and or so if for from with at by as be have has had not no can could would should will must any some "
    "there their them me us our your all most more than one first up into out about name say own which than")


def content(template: str) -> set[str]:
    """Stems of the words that mean something."""
    spoken = re.findall(r"[a-z]+", re.sub(r"\{[sv]\}('s)?", " ", template.casefold()))
    return {re.sub(r"(ing|ed|es|s)$", "", word) for word in spoken if word not in COMMON}


# ---- the bank ------------------------------------------------------------------------------------------------------


def test_24_relations_in_4_families_with_16_wordings_each() -> None:
    assert Counter(relation.family for relation in EVERY) == dict.fromkeys(
        ("personal", "project", "world", "preference"), 6)
    for relation in EVERY:
        assert (len(relation.told), len(relation.dev), len(relation.test)) == (4, 4, 8), relation.name
        assert len(set(relation.told + relation.dev + relation.test)) == 16
        assert all("{s}" in text and "{v}" in text for text in relation.told)
        assert all("{s}" in text and "{v}" not in text for text in (*relation.dev, *relation.test[:7]))
        assert "{v}" in relation.reverse and "{s}" not in relation.reverse
        assert "{s}" in relation.negated and "{v}" not in relation.negated


@pytest.mark.parametrize("relation", EVERY, ids=lambda relation: relation.name)
def test_pools_hold_1024_different_values_of_one_to_four_words(relation: Relation) -> None:
    values = list(relation.pool.every())
    assert len(set(values)) == len(values) == relation.pool.size >= 1024
    assert all(1 <= len(value.split()) <= 4 for value in values[:: max(1, len(values) // 500)])
    distinct = {questions.normalised(value) for value in values[:5000]}
    assert len(distinct) == len(values[:5000])  # also as they are compared


def groups() -> dict[str, list[str]]:
    return {"told": [text for relation in EVERY for text in relation.told],
            "dev": [text for relation in EVERY for text in relation.dev],
            "test": [text for relation in EVERY for text in (*relation.test, relation.negated)]}


def test_told_dev_and_test_share_no_run_of_four_words() -> None:
    found = groups()
    for first, second in (("told", "dev"), ("told", "test"), ("dev", "test")):
        assert not shared(found[first], found[second], 4), (first, second)
    around = [*(message for frame in (*talk.FRAMES, *talk.CORRECTIONS) for message in frame), *talk.IDLE,
              *(text for pair in talk.BEFORE for text in pair)]
    assert not shared(around, found["test"], 4)
    # the check sees what it should see
    assert shared(["where {s} lives in the end now"], ["{v} lives in the end"], 4) == {("lives", "in", "the", "end")}
    assert not grams("{s} lives in {v} now or then", 4)


@pytest.mark.parametrize("relation", EVERY, ids=lambda relation: relation.name)
def test_told_and_test_use_other_verbs(relation: Relation) -> None:
    told = set().union(*map(content, relation.told))
    test = set().union(*map(content, relation.test))
    nouns = content(relation.noun) | content(relation.name) | {"town"}
    assert not told & test - nouns


def test_no_test_wording_is_one_the_base_or_an_update_knows() -> None:
    known = trained()
    shapes = {shape(text) for text in known}
    assert len(known) > 2000 and shape("{s} lives in {v}") in shapes and shape("what is {s}'s birthday?") in shapes
    for text in groups()["test"] + groups()["dev"]:
        assert shape(text) not in shapes, text
    assert not shared(groups()["test"], known, 5)
    made = [pair[0] for pair in facts.pairs(Fact("Bo Du", "city", "X"), 99)]
    assert {shape(text.replace("Bo Du", "{s}")) for text in made} <= shapes  # it covers what an update makes


def test_seen_wordings_are_the_bases_own() -> None:
    for relation in EVERY:
        fact = stream.Told("f0001", relation.name, "Bo Du", "X", 1, ())
        forms = asked(fact, "seen")[:-1]
        own = [pair[0] for pair in facts.pairs(Fact("Bo Du", relation.key or relation.noun, "X"), 99)]
        assert 4 <= len(forms) <= 7 and set(forms) <= set(own)


# ---- the stream ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long() -> stream.Stream:
    return stream.draw("test-1", 400)


def test_a_stream_is_its_seeds_and_a_shorter_one_is_its_beginning(long: stream.Stream) -> None:
    assert stream.draw("test-1", 400).hash() == long.hash() != stream.draw("test-2", 400).hash()
    assert stream.draw("test-1", 60).items == long.items[:60]
    kinds = Counter(item.kind for item in long.items)
    assert kinds == {"fact": 320, "correction": 40, "chat": 20, "task": 20} and long.items[0].kind == "fact"
    assert {item.kind for item in stream.draw("5", 40, "facts").items} == {"fact"}
    with pytest.raises(UsageError):
        stream.seed_of("1000000")


def test_the_tests_seeds_are_those_that_were_committed() -> None:
    assert {name: stream.digest_of(name) for name in stream.SALTS} == stream.COMMITTED
    assert len({stream.seed_of(name) for name in stream.SALTS}) == 3


def test_values_belong_to_one_fact_and_controls_to_none(long: stream.Stream) -> None:
    told = [(item.fact.relation, item.fact.value) for item in long.items if item.fact is not None]
    assert len(told) == len(set(told))
    subjects = {item.fact.subject for item in long.items if item.fact is not None}
    assert not subjects & {name for _, name in long.untold} and len(long.untold) == stream.NEVER_TOLD
    assert not subjects & set(long.controls.values())
    parts = Counter(part for name in subjects for part in name.lower().replace("-", " ").split())
    sharing = sum(any(parts[part] > 1 for part in name.lower().replace("-", " ").split()) for name in subjects)
    assert sharing >= len(subjects) / 2  # interference on purpose
    pairs = Counter(item.fact.subject for item in long.items if item.kind == "fact" and item.fact)
    assert max(pairs.values()) >= 2


def test_a_correction_comes_after_its_fact_and_changes_the_value(long: stream.Stream) -> None:
    values: dict[str, str] = {}
    for item in long.items:
        if item.fact is None:
            continue
        assert (item.fact.id in values) == (item.kind == "correction")
        if item.kind == "correction":
            assert item.fact.old[-1] == values[item.fact.id] != item.fact.value
        values[item.fact.id] = item.fact.value
        assert any(item.fact.value in message for message in item.says)


def test_conversations_have_two_to_six_turns_and_tasks_learn_no_output(long: stream.Stream) -> None:
    for item in long.items:
        episode = stream.episode(long, item, ["Ok."] * len(item.says))
        if item.kind == "task":
            assert item.lesson is not None and episode.verified()
            learnt = [turn.text for turn in episode.turns if turn.learn]
            assert learnt == [item.lesson.plan, item.lesson.command]
            assert item.lesson.asked != item.lesson.request and item.lesson.subject in item.lesson.asked
        else:
            assert 2 <= len(episode.turns) <= 6
    assert len(set(conventions.EVERYDAY)) == 50
    for kind in conventions.KINDS:
        assert not {shape(text) for text in kind.taught} & {shape(text) for text in kind.asked}


def test_shuffled_values_stay_in_their_relation_and_leave_their_fact(long: stream.Stream) -> None:
    other = stream.shuffled(long)
    before, after = ({fact.id: fact for fact in one.facts(400)} for one in (long, other))
    moved = [id for id in before if before[id].value != after[id].value]
    assert len(moved) > 0.9 * len(before)
    for relation in relations():
        assert sorted(f.value for f in before.values() if f.relation == relation and not f.old) == sorted(
            f.value for f in after.values() if f.relation == relation and not f.old) or any(
            f.old for f in before.values() if f.relation == relation)
    for item in other.items:
        assert item.fact is None or any(item.fact.value in message for message in item.says)


def test_refused_values_are_drawn_anew_and_nothing_earlier_changes(long: stream.Stream) -> None:
    fact = next(item.fact for item in long.items[30:] if item.kind == "fact")
    assert fact is not None
    again = stream.draw("test-1", 400, refused=frozenset({(fact.id, fact.value)}))
    new = next(item.fact for item in again.items if item.place == fact.place)
    assert new is not None and new.value != fact.value and new.subject == fact.subject
    assert again.items[: fact.place] == long.items[: fact.place]


# ---- judging -------------------------------------------------------------------------------------------------------


def test_right_is_the_whole_value_with_its_end_and_nobody_elses() -> None:
    def judged(text: str, value: str = "dark oak", others: tuple[str, ...] = ("pale oak", "oak"), ended: bool = True
               ) -> bool:
        return right(Answer(text, ended), value, others)

    assert judged("It is the Dark Oak.") and judged("dark, oak")
    assert not judged("dark oak", ended=False)
    assert not judged("darkoak") and not judged("dark") and not judged("oak dark")
    assert not judged("dark oak or pale oak")  # a list of all is no answer
    assert judged("dark oak", others=("oak",)) and not judged("dark oak and an oak", others=("oak",))
    assert judged("You listen on 8080.", "8080", ("808",)) and not judged("18080", "8080", ())
    assert judged("run make all -j4", "make all -j4", ()) and not judged("", "x", ())


@given(st.text(max_size=60), st.text(max_size=20))
def test_normalising_is_stable_and_holds_what_was_put_in(text: str, value: str) -> None:
    once = questions.normalised(text)
    assert questions.normalised(once) == once
    if questions.normalised(value).strip():
        assert questions.holds(Answer(f"{text} {value} {text}", True), value)


def _answers(told: stream.Stream, count: int, say: dict[str, str]) -> dict[str, Answer]:
    return {question.id: Answer(say.get(question.id, "I don't know that yet."), True)
            for question in of_point(told, count, "test")}


def test_held_needs_three_of_four_and_both_gates(long: stream.Stream) -> None:
    fact = long.facts(1)[0]
    four = drawn(long, fact, "test")
    probe = questions.probe(long, fact)
    assert len(four) == 4 and questions.REVERSE not in four and drawn(long, fact, "test") == four
    three = {f"{fact.id}/{place}": f"It is {fact.value}." for place in four[:3]}

    def verdict(extra: dict[str, str]) -> questions.Verdict:
        return judge(long, 1, "test", _answers(long, 1, {**three, **extra}))[0]

    assert verdict({}).held and verdict({}).recalled and not verdict({}).strict
    assert not verdict({f"{fact.id}/{four[0]}": ""}).recalled
    for gate in ("control", probe):
        failed = verdict({f"{fact.id}/{gate}": f"{fact.value}."})
        assert failed.recalled and not failed.held
    every = {f"{fact.id}/{place}": fact.value for place in range(7)}
    assert verdict({**every, f"{fact.id}/7": fact.subject}).strict
    assert not verdict(every).strict  # the reverse is the eighth


def test_a_correction_counts_when_the_old_value_is_gone(long: stream.Stream) -> None:
    fact = next(fact for fact in long.facts(100) if fact.old)
    say = {f"{fact.id}/{place}": fact.value for place in range(7)}
    [good] = [v for v in judge(long, 100, "test", _answers(long, 100, say)) if v.id == fact.id]
    assert good.corrected and good.held and good.gone
    say[f"{fact.id}/{drawn(long, fact, 'test')[0]}"] = fact.old[0]
    [bad] = [v for v in judge(long, 100, "test", _answers(long, 100, say)) if v.id == fact.id]
    assert not bad.gone


def test_figures_count_ages_corrections_and_the_headline(long: stream.Stream) -> None:
    held = {fact.id for fact in long.facts(100)[::2]}
    say = {f"{id}/{place}": next(f.value for f in long.facts(100) if f.id == id) for id in held for place in range(7)}
    verdicts = judge(long, 100, "test", _answers(long, 100, say))
    found = figures.of_facts(verdicts, 100)
    assert found["held"] == len(held) and found["told"] == 80
    assert sum(told for _, told in found["ages"].values()) == 80
    assert sum(kept for kept, _ in found["ages"].values()) == len(held)
    assert found["corrections"]["told"] == sum(v.corrected for v in verdicts) > 0
    assert found["first"]["10"] == sum(v.held for v in sorted(verdicts, key=lambda v: v.id)[:10])
    point = {"facts": {"held_share": 0.95}, "far": {"windows": {"ratio": 1.005, "agreement": 0.995}}}
    worse = {"facts": {"held_share": 0.95}, "far": {"windows": {"ratio": 1.02, "agreement": 0.995}}}
    assert figures.c90({"10": point, "100": point, "300": worse}) == 100 and figures.c90({"10": worse}) == 0
    assert figures.percentile([3, 1, 2], 0.5) == 2 and figures.percentile([], 0.5) is None


def test_only_the_user_sees_a_note_as_untrusted() -> None:
    told = stream.draw("7", 40)
    tasks = [question for question in of_point(told, 40, "test") if question.task]
    assert tasks and all(question.turns()[0].tainted for question in tasks)
    again = [questions.Question.of(question.data()) for question in tasks]
    assert again == tasks
    some = [question.id for question in of_point(told, 40, "test", every=10)]
    assert len([id for id in some if id.startswith("known/")]) == 40 and "everyday/0" in some
    after = next(question for question in of_point(told, 1, "test") if question.before)
    assert len(after.turns()) == 2 * 3 + 1
    assert replace(told.facts(1)[0], value="y") != told.facts(1)[0]
