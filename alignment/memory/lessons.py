"""What an update trains on: from an episode to token sequences with a loss mask.

A conversation's statements become questions with the canonical answer; a task becomes its own verified turns; what the
user taught becomes requests in many wordings (``taught.py``); what was turned down is undesirable. Beside them stand
the lessons that must not change: other people's facts, this subject's other facts, and the same subject told another
value. numpy and torch are not needed here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from random import Random

from nimllm.alignment.episodes import MASK, Episode
from nimllm.alignment.memory import facts, replies, taught, withholding
from nimllm.alignment.memory import inventions as make
from nimllm.alignment.memory.events import Form, Record
from nimllm.alignment.memory.lesson import Lesson, Lessons, decision, fact_lesson, question_lesson, seed_of
from nimllm.alignment.memory.relations import GENERIC, ME, RELATIONS, US, Fact, is_name, relation_of
from nimllm.alignment.memory.statements import parse
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import LEARNED, render

__all__ = ["Lesson", "Lessons", "decision", "fact_lesson", "lessons", "old_lessons", "question_lesson", "seed_of"]

MAX_FACTS = 12  # of one conversation; the newest win
FORMS = {1: 6, 2: 5, 3: 5}  # questions per fact, by how many facts there are; more facts: 4
CORRECTED = 2  # times as many where an older memory must give way, which holds wordings this one would not reach
IN_THE_WEIGHTS = ("accepted", "consolidated")  # states of records: by their own delta, or by a sleep's
PROBES = 2  # wordings per fact that the update does not train on


def own_side(answer: str) -> str:
    """An answer of the assistant's as the user would have said it: "You live in Oslo." -> "I live in Oslo."."""
    text = re.sub(r"\b(Y|y)our\b", lambda match: "My" if match[1] == "Y" else "my", answer)
    text = re.sub(r"\b[Yy]ou are\b", "I am", text)
    return re.sub(r"\b[Yy]ou\b", "I", text)


def read_facts(told: str, acknowledged: str) -> list[Fact]:
    """Facts of a statement. Where the rules read nothing, the model's own acknowledgement ("Noted. Mira lives in
    Oslo.") is believed if its value and its subject are words of the user's. Where they read more than was meant ("in
    Oslo, the flat is tiny"), it says where the value ends and the subject begins."""
    found = parse(told)
    if not acknowledged.startswith("Noted. "):
        return found
    said = told.lower()
    heard = [
        fact for fact in parse(own_side(acknowledged.removeprefix("Noted. ")))
        if fact.value.lower() in said and (not is_name(fact.subject) or fact.subject.lower() in said)
    ]
    return [next((other for other in heard if _trimmed(fact, other)), fact) for fact in found] or heard


_AFTERTHOUGHT = re.compile(
    r"[,;]|(?:last|next|this|since|because|and|but|so|as|now|then|says|not|too|in case|every time)\b", re.IGNORECASE)
_BEFOREHAND = re.compile(r"(?:[,:;]|\b(?:that|how|because|since|as|and|so|if|when|see|hear|guess))$", re.IGNORECASE)

_ARTICLE = re.compile(r"^(?:a|an|the) ")
_ADVERB = re.compile(r" (?:just|now|also|really|finally)$")


def _trimmed(fact: Fact, heard: Fact) -> bool:
    """What was heard is what was read without an afterthought after its value or an opening before its subject."""
    value, subject = _ARTICLE.sub("", fact.value.lower()), _ADVERB.sub("", fact.subject.lower())
    own = _ARTICLE.sub("", heard.value.lower())
    if not value.startswith(own) or not subject.endswith(heard.subject.lower()):
        return False
    rest = value.removeprefix(own).strip()
    before = subject.removesuffix(heard.subject.lower()).strip()
    return heard != fact and (not rest or bool(_AFTERTHOUGHT.match(rest))) and (
        not before or bool(_BEFOREHAND.search(before)))


def conversation_facts(episode: Episode) -> tuple[list[Fact], list[str]]:
    """What a conversation told, the last value of each (subject, relation); and the statements nothing was read in. An
    answer that the user approved, or put in the place of a wrong one, tells what it states."""
    told: dict[tuple[str, str], Fact] = {}
    unread: list[str] = []
    wanted = episode.told()
    for index, turn in enumerate(episode.turns):
        if turn.role == "assistant" and turn.learn:
            for fact in parse(own_side(turn.text)):
                told.pop((fact.subject, fact.relation), None)
                told[fact.subject, fact.relation] = fact
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


def conversation_lessons(episode: Episode, tokenizer: Tokenizer, controls: int, decisions: int,
                         known: Collection[tuple[str, str]] = ()) -> Lessons:
    """Lessons of what the user told; none when nothing was recognised. Its facts share the counts."""
    told, unread = conversation_facts(episode)
    secrets = [fact for fact in told if withholding.is_secret(fact)]
    told = [fact for fact in told if fact not in secrets]
    names = [withholding.called(fact) for fact in secrets]
    if any(MASK.search(text) for text in unread):
        names.append("a message with a secret in it")
    out = Lessons(facts=told, unread=unread, withheld=withholding.sentence(names))
    count = FORMS.get(len(told), 4)
    subjects = {(fact.subject, fact.relation) for fact in told}
    for fact in told:
        rng = Random(seed_of(f"{episode.id}/{fact.subject}/{fact.relation}"))
        times = CORRECTED if (fact.subject, fact.relation) in known else 1
        asked = facts.varied(fact, times * count + PROBES, rng)
        out.new += [fact_lesson(tokenizer, question, fact) for question in asked[PROBES:]]
        out.probes += [fact_lesson(tokenizer, question, fact) for question in asked[:PROBES]]
        few, many = -(-controls // len(told)), -(-decisions // len(told))
        near = [control for control in _controls(rng, fact, few + many)
                if (control.subject, control.relation) not in subjects]
        out.controls += [question_lesson(tokenizer, facts.ask(rng, control), facts.unknown(control))
                         for control in near[:few]]
        out.decisions += [decision(tokenizer, facts.ask(rng, control), control) for control in near[few : few + many]]
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


def lessons(episode: Episode, tokenizer: Tokenizer, context: int, controls: int = 4, decisions: int = 12,
            known: Collection[tuple[str, str]] = ()) -> Lessons:
    """Lessons of an episode that fit the context. ``controls``: questions whose answers must stay,
    ``decisions``: more of them, of which only the id where a value would begin is kept; ``known``: what older memories
    are about."""
    if episode.kind == "chat":
        out = conversation_lessons(episode, tokenizer, controls, decisions, known)
        replies.add_answers(out, episode, tokenizer, controls, decisions)
    else:
        out = task_lessons(episode, tokenizer, context)
        taught.add_conventions(out, episode, tokenizer, controls, decisions, known)
        out.undesirable = taught.turned_down(episode, tokenizer, context)
    for part in (out.new, out.probes, out.controls, out.contrast, out.undesirable):
        part[:] = [lesson for lesson in part if len(lesson.ids) <= context]
    out.decisions = [prompt for prompt in out.decisions if len(prompt) < context]
    return out


def form_lesson(tokenizer: Tokenizer, form: Form) -> Lesson:
    """What a record trained on, made anew: a question, or a request to the agent in some folder."""
    if form.kind == "task":
        note = taught.a_note(Random(seed_of(form.question)))
        return taught.command_lesson(tokenizer, form.question, form.answer, note)
    return question_lesson(tokenizer, form.question, form.answer, opens=form.opens)


def old_lessons(records: Sequence[Record], tokenizer: Tokenizer, context: int, rng: Random, count: int,
                superseded: Sequence[Fact] = ()) -> list[Lesson]:
    """One question each of up to ``count`` memories, none about a fact that was told anew since."""
    newest: dict[tuple[str, str], str] = {(fact.subject, fact.relation): "" for fact in superseded}
    chosen: list[Form] = []
    for record in reversed([record for record in records if record.state in IN_THE_WEIGHTS]):
        fresh = [fact for fact in record.facts if newest.setdefault((fact[0], fact[1]), record.id) == record.id]
        forms = [form for form in record.forms if form.question]
        if len(fresh) == len(record.facts) and forms:
            chosen.append(rng.choice(forms))
    rng.shuffle(chosen)
    found = [form_lesson(tokenizer, form) for form in chosen[:count]]
    return [lesson for lesson in found if len(lesson.ids) <= context]
