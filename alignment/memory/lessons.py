"""What an update trains on: from an episode to token sequences with a loss mask.

A conversation's statements become questions with the canonical answer; a task becomes its own verified turns. Beside
them stand the lessons that must not change: other people's facts, this subject's other facts, and the same subject told
another value. numpy and torch are not needed here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from random import Random

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory import facts
from nimllm.alignment.memory import inventions as make
from nimllm.alignment.memory.events import Form, Record
from nimllm.alignment.memory.relations import GENERIC, ME, RELATIONS, US, Fact, is_name, relation_of
from nimllm.alignment.memory.statements import parse
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import LEARNED, Turn, render

MAX_FACTS = 12  # of one conversation; the newest win
FORMS = {1: 8, 2: 7, 3: 6}  # questions per fact, by how many facts there are; more facts: 4
CORRECTED = 2  # times as many where an older memory must give way, which holds wordings this one would not reach
PROBES = 2  # wordings per fact that the update does not train on


@dataclass(frozen=True)
class Lesson:
    """Token ids and which of them must be written. ``question`` is "" for a task."""

    ids: tuple[int, ...]
    learn: tuple[bool, ...]
    question: str
    answer: str

    @property
    def prompt(self) -> list[int]:
        """Everything before the first learnt id."""
        return list(self.ids[: self.learn.index(True)])


@dataclass
class Lessons:
    """All of one episode. ``new``: to be learnt; ``probes``: the same in wordings that are not trained on;
    ``controls``: prompts whose answers must stay; ``contrast``: what must still be read from the context."""

    facts: list[Fact] = field(default_factory=list)
    new: list[Lesson] = field(default_factory=list)
    probes: list[Lesson] = field(default_factory=list)
    controls: list[Lesson] = field(default_factory=list)
    contrast: list[Lesson] = field(default_factory=list)
    openings: list[list[int]] = field(default_factory=list)  # more such prompts: how their answers begin must stay
    unread: list[str] = field(default_factory=list)  # statements in which nothing was recognised


def seed_of(text: str) -> int:
    """A seed that depends on nothing but the text (Python's own hash changes with every process)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def question_lesson(tokenizer: Tokenizer, question: str, answer: str, before: Sequence[Turn] = ()) -> Lesson:
    """One question and its answer. The marker that opens the answer is the harness's, so it is not learnt."""
    asked = [*render([*before, Turn("user", question)], tokenizer).ids, tokenizer.marker("assistant")]
    body = [*tokenizer.encode(answer), tokenizer.marker("end")]
    return Lesson((*asked, *body), (False,) * len(asked) + (True,) * len(body), question, answer)


def own_side(answer: str) -> str:
    """An answer of the assistant's as the user would have said it: "You live in Oslo." -> "I live in Oslo."."""
    text = re.sub(r"\b(Y|y)our\b", lambda match: "My" if match[1] == "Y" else "my", answer)
    text = re.sub(r"\b[Yy]ou are\b", "I am", text)
    return re.sub(r"\b[Yy]ou\b", "I", text)


def read_facts(told: str, acknowledged: str) -> list[Fact]:
    """Facts of a statement. Where the rules read nothing, the model's own acknowledgement ("Noted. Mira lives in
    Oslo.") is believed if its value and its subject are words of the user's."""
    found = parse(told)
    if found or not acknowledged.startswith("Noted. "):
        return found
    said = told.lower()
    return [
        fact for fact in parse(own_side(acknowledged.removeprefix("Noted. ")))
        if fact.value.lower() in said and (not is_name(fact.subject) or fact.subject.lower() in said)
    ]


def conversation_facts(episode: Episode) -> tuple[list[Fact], list[str]]:
    """What a conversation told, the last value of each (subject, relation); and the statements nothing was read in."""
    told: dict[tuple[str, str], Fact] = {}
    unread: list[str] = []
    wanted = episode.told()
    for index, turn in enumerate(episode.turns):
        if turn.role != "user" or turn.tainted or turn.text not in wanted:
            continue
        following = episode.turns[index + 1] if index + 1 < len(episode.turns) else None
        answer = following.text if following is not None and following.role == "assistant" else ""
        found = read_facts(turn.text, answer)
        for fact in found:
            told.pop((fact.subject, fact.relation), None)
            told[fact.subject, fact.relation] = fact
        if not found and not turn.text.rstrip().endswith("?"):
            unread.append(turn.text)
    return list(told.values())[-MAX_FACTS:], unread


def _controls(rng: Random, fact: Fact, count: int) -> list[Fact]:
    """At least ``count`` questions that have nothing to do with the fact, the nearest first.

    About oneself, what must not spread is "my … is known": other things of mine. About a name: other names' same
    thing, and other things of the name."""
    relation = relation_of(fact.subject, fact.relation)
    found: list[Fact] = []
    if fact.relation in GENERIC:
        found += [Fact(make.word(rng), fact.relation, "") for _ in range(3)]
    elif is_name(fact.subject):
        name = make.project if relation is not None and relation.family == "project" else make.person
        found += [Fact(name(rng), fact.relation, ""), _another(rng, fact), Fact(name(rng), fact.relation, "")]
        found.append(Fact(US if name is make.project else ME, fact.relation, ""))
    else:
        found += [_another(rng, fact) for _ in range(count // 2)]
    return found + [facts.invent(rng) for _ in range(count)]


def _another(rng: Random, fact: Fact) -> Fact:
    """The same subject, something else of it."""
    relation = relation_of(fact.subject, fact.relation)
    if relation is None or rng.random() < 0.3:
        return Fact(fact.subject, make.noun_phrase(rng), "")
    return Fact(fact.subject, rng.choice([other.key for other in facts.FAMILIES[relation.family]
                                          if other.key != fact.relation]), "")


def _other_value(rng: Random, fact: Fact) -> str:
    relation = RELATIONS.get(fact.relation)
    while (value := relation.value(rng) if relation else make.anything(rng)) == fact.value:
        pass
    return value


def conversation_lessons(episode: Episode, tokenizer: Tokenizer, controls: int, openings: int,
                         known: Container[tuple[str, str]] = ()) -> Lessons:
    """Lessons of what the user told; none when nothing was recognised. Its facts share the counts."""
    told, unread = conversation_facts(episode)
    out = Lessons(facts=told, unread=unread)
    count = FORMS.get(len(told), 4)
    subjects = {(fact.subject, fact.relation) for fact in told}
    for fact in told:
        rng = Random(seed_of(f"{episode.id}/{fact.subject}/{fact.relation}"))
        everything = facts.pairs(fact, 99)
        probes = everything[-PROBES:]
        times = CORRECTED if (fact.subject, fact.relation) in known else 1
        out.new += [question_lesson(tokenizer, *pair) for pair in everything[:-PROBES][: times * count]]
        out.probes += [question_lesson(tokenizer, *pair) for pair in probes]
        few, many = -(-controls // len(told)), -(-openings // len(told))
        near = [control for control in _controls(rng, fact, few + many)
                if (control.subject, control.relation) not in subjects]
        asked = [question_lesson(tokenizer, facts.ask(rng, control), "") for control in near]
        out.controls += asked[:few]
        out.openings += [lesson.prompt for lesson in asked[few : few + many]]
        other = Fact(fact.subject, fact.relation, _other_value(rng, fact))
        for stated in (fact, other):  # what is said now is heard now, whatever is remembered
            out.contrast.append(question_lesson(tokenizer, facts.tell(rng, stated), facts.acknowledge(stated)))
    return out


def task_lessons(episode: Episode, tokenizer: Tokenizer, context: int) -> Lessons:
    """The task in the very turns the model saw; learnt are the turns that somebody vouched for, never an output.

    A task longer than the context is cut at its end. The probe is what comes up to the first verified turn.
    """
    ids: list[int] = []
    learn: list[bool] = []
    for index, turn in enumerate(episode.turns):
        part = render([turn.turn()], tokenizer, bos=index == 0)
        ids += part.ids
        learn += [flag and turn.learn and turn.role in LEARNED for flag in part.learn]
    ids, learn = ids[:context], learn[:context]
    out = Lessons()
    if any(learn):
        commands = [turn.text for turn in episode.turns if turn.learn and turn.role == "bash"]
        answer = commands[0] if commands else next(turn.text for turn in episode.turns if turn.learn)
        lesson = Lesson(tuple(ids), tuple(learn), "", answer)
        out.new, out.probes = [lesson], [lesson]
    return out


def lessons(episode: Episode, tokenizer: Tokenizer, context: int, controls: int = 4, openings: int = 24,
            known: Container[tuple[str, str]] = ()) -> Lessons:
    """Lessons of an episode that fit the context. ``controls``: questions whose answers must stay, ``openings``: more
    of them, of which only the first id of the answer is kept; ``known``: what older memories are about."""
    if episode.kind == "task":
        return task_lessons(episode, tokenizer, context)
    out = conversation_lessons(episode, tokenizer, controls, openings, known)
    for part in (out.new, out.probes, out.controls, out.contrast):
        part[:] = [lesson for lesson in part if len(lesson.ids) <= context]
    out.openings = [prompt for prompt in out.openings if len(prompt) < context]
    return out


def old_lessons(records: Sequence[Record], tokenizer: Tokenizer, context: int, rng: Random, count: int,
                superseded: Sequence[Fact] = ()) -> list[Lesson]:
    """One question each of up to ``count`` accepted memories, none about a fact that was told anew since."""
    newest: dict[tuple[str, str], str] = {(fact.subject, fact.relation): "" for fact in superseded}
    chosen: list[Form] = []
    for record in reversed([record for record in records if record.state == "accepted"]):
        fresh = [fact for fact in record.facts if newest.setdefault((fact[0], fact[1]), record.id) == record.id]
        forms = [form for form in record.forms if form.question]
        if len(fresh) == len(record.facts) and forms:
            chosen.append(rng.choice(forms))
    rng.shuffle(chosen)
    found = [question_lesson(tokenizer, form.question, form.answer) for form in chosen[:count]]
    return [lesson for lesson in found if len(lesson.ids) <= context]
