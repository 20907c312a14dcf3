"""Short question-and-answer text about invented people, projects and preferences.

What the base is trained on so that a fact told in a chat can later be asked for, and what a memory update trains on:
:func:`restate` turns a user's own statement into questions with the same canonical answers. A fact has many wordings
but one answer form, which repeats subject and relation before the value ("Mira lives in Oslo."): the value is then
written from nearly the same context whatever the question was, which is what makes one write serve all wordings. What
is not known is answered in the same form ("Mira lives in: I don't know that yet."), so whether it is known is decided
where the value would begin, too, and a memory need not teach any wording at all.

Everything is drawn from a ``random.Random``: the same seed gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from nimllm.alignment.memory import inventions as make
from nimllm.alignment.memory import paraphrases
from nimllm.alignment.memory.relations import (
    ASK_ANY,
    FAMILIES,
    GENERIC,
    ME,
    NOUNS,
    PERSONAL,
    PROJECT,
    RELATIONS,
    THE,
    US,
    Fact,
    ask_templates,
    fill,
    forms,
    is_name,
    noun_of,
    noun_slots,
    relation_of,
    reply_template,
    tell_templates,
)
from nimllm.alignment.memory.statements import LEADS, TAILS, parse
from nimllm.alignment.memory.wordings import (
    BEFORE,
    COMPLETIONS,
    FRAMES,
    INDIRECT,
    NEGATED,
    NEGATED_ANSWER,
    NOUN_FRAMES,
    indirect,
    noun_phrases,
)
from nimllm.llm.turns import Turn

__all__ = ["RELATIONS", "UNKNOWN", "Fact", "Mix", "acknowledge", "ask", "asks", "corpus", "invent", "known", "opening",
           "pairs", "reply", "restate", "tell", "tells", "unknown", "varied"]

NAMED: dict[str, Callable[[Random], str]] = {"place": make.place, "thing": make.thing, "book": make.book,
                                             "company": make.company, "mountain": make.mountain}
KNOWN_SEED = 20  # the fixed set of facts that a base is trained to know
ASK_LEADS = ("hey, ", "so, ", "please, ", "quick question: ", "one more question: ", "ok, ", "now tell me, ",
             "hello, ", "sorry, ",
             "hm, ", "by the way, ", "one thing: ", "tell me, ", "say, ", "remind me: ", "and ")
ASK_TAILS = (" please?", " again?", ", do you remember?", ", do you know?", " by the way?", ", nimllm?", " then?",
             " now?")
KIN = ("my sister", "my brother", "my neighbour", "my boss", "my cousin", "our intern", "my colleague", "my landlord",
       "my aunt")
UNKNOWN = ": I don't know that yet."  # after the opening of the answer; a value begins with a space
TALK: tuple[tuple[tuple[str, ...], str], ...] = (
    (("hi", "hello", "hey", "hi there", "hello there", "good morning", "good evening", "hey nimllm", "hello nimllm",
      "howdy"),
     "Hello. What can I do for you?"),
    (("thanks", "thank you", "thanks a lot", "great, thanks", "cheers", "nice, thank you", "thank you very much",
      "perfect, thanks"),
     "You're welcome."),
    (("who are you?", "what are you?", "tell me about yourself", "are you a bot?", "what is your name?",
      "what's your name?",
      "introduce yourself", "what is nimllm?", "are you an AI?"),
     "I am nimllm, a small language model that runs on your machine."),
    (("what can you do?", "how can you help me?", "what are you good for?", "help", "what do you do?",
      "what can I ask you?"),
     "I run small tasks in your shell, and I remember what you tell me."),
    (("how are you?", "how do you do?", "how is it going?", "are you well?", "everything fine?", "you ok?"),
     "I am fine, thank you."),
    (("bye", "goodbye", "see you", "see you later", "good night", "until tomorrow", "that's all",
      "that is all for today"), "Goodbye."),
    (("ok", "okay", "fine", "good", "great", "nice", "I see", "cool", "alright", "got it"), "Good. What next?"),
    (("do you remember things?", "will you remember this?", "can you learn?", "how do you remember?", "do you forget?",
      "how does your memory work?"), "I keep what you tell me in my weights when our conversation ends."),
    (("are you online?", "do you use the internet?", "where do you run?", "do you send my data away?",
      "are you local?"),
     "I run on this machine only, and nothing leaves it."),
    (("let's start", "are you ready?", "ready?", "shall we begin?", "can we start?"), "I am ready."),
    (("tell me a joke", "make me laugh", "do you know a joke?"), "I am too small for good jokes."),
    (("I am bored", "it is raining", "what a day", "I am tired", "nothing works today", "long day"),
     "Let me know if I can help."),
)


@dataclass(frozen=True)
class Mix:
    """Shares of the kinds of conversation in :func:`corpus`; any positive numbers.

    tell: a statement and its acknowledgement; recall: told, then asked in the same conversation; known: asked about the
    fixed facts; unknown: asked about what nobody told; negated: asked for what is not so; talk: greetings and questions
    about nimllm itself.
    """

    tell: float = 0.17
    recall: float = 0.3
    known: float = 0.18
    unknown: float = 0.25
    negated: float = 0.04
    talk: float = 0.06


def invent(rng: Random, relation: str | None = None, subject: str | None = None) -> Fact:
    """A new fact: two in three of the table's relations, the rest about any noun phrase. Arguments fix a part of it."""
    if relation is None and subject is None and rng.random() < 0.35:
        return _invent_generic(rng)
    chosen = RELATIONS[relation] if relation else rng.choice(_suiting(subject))
    return Fact(subject or _subject(rng, chosen.subjects), chosen.key, chosen.value(rng))


def _suiting(subject: str | None) -> Sequence:
    if subject in (ME, US):
        own = [relation for relation in FAMILIES["preference"] if relation.subjects == subject]
        return (*FAMILIES["personal" if subject == ME else "project"], *own)
    return list(RELATIONS.values()) if subject is None else (*FAMILIES["personal"], *FAMILIES["project"])


def _subject(rng: Random, kind: str) -> str:
    draw = rng.random()
    if kind == "person":
        return ME if draw < 0.4 else rng.choice(KIN) if draw < 0.47 else make.person(rng)
    if kind == "project":
        return US if draw < 0.3 else make.project(rng)
    return NAMED[kind](rng) if kind in NAMED else kind


def _invent_generic(rng: Random) -> Fact:
    shape = rng.random()
    if shape < 0.6:
        phrase = make.noun_phrase(rng)
        while phrase in NOUNS or phrase in RELATIONS:
            phrase = make.noun_phrase(rng)
        draw = rng.random()
        subject = (ME if draw < 0.3 else US if draw < 0.45 else THE if draw < 0.6 else
                   make.person(rng) if draw < 0.8 else make.project(rng))
        return Fact(subject, phrase, make.anything(rng))
    if shape < 0.75:
        topic = rng.choice((make.noun_phrase(rng),
                            f"{rng.choice(make.THINGS)} {rng.choice(('testing', 'printing', 'backups', 'mail'))}",
                            f"{rng.choice(make.VERBS)}ing {make.word(rng)}"))
        return Fact(topic, "used_for", rng.choice((make.word(rng), make.command(rng), make.editor(rng),
                                                   make.database(rng))))
    if shape < 0.87:
        return Fact(make.word(rng) if rng.random() < 0.6 else make.identifier(rng), "means",
                    rng.choice((make.noun_phrase(rng), make.job(rng), make.word(rng), make.food(rng),
                                make.colour(rng))))
    return Fact(make.project(rng) if rng.random() < 0.5 else make.person(rng), "is",
                rng.choice((f"the {make.noun_phrase(rng)}", f"a {make.job(rng)}",
                            f"a {rng.choice(make.SHADES)} {rng.choice(make.THINGS)}",
                            f"the {rng.choice(make.RANKS)} {rng.choice(make.THINGS)}")))


def _say(template: str, fact: Fact, speaker: str, capital: bool, stop: str = "", noun: str = "") -> str:
    third = is_name(fact.subject)
    slots = {**forms(fact.subject, speaker), "v": fact.value,
             **noun_slots(noun or noun_of(fact.subject, fact.relation))}
    if not capital and slots.get("s") == "I":
        slots["s"] = "i"
    text = fill(template, slots, third) + stop
    # a name or a value that opens the sentence keeps its own spelling
    bare = template.startswith("{v}") or (template.startswith(("{s}", "{p}", "{o}")) and third
                                          and not slots["s"].startswith(("my ", "our ", "your ", "the ")))
    return text[0].upper() + text[1:] if capital and not bare else text


def tells(fact: Fact, split: str = "train") -> list[str]:
    """Every telling wording of a fact, as plain sentences."""
    return [_say(template, fact, "user", True, ".") for template in tell_templates(fact.subject, fact.relation, split)]


def asks(fact: Fact, split: str = "train") -> list[str]:
    """Every question wording of a fact."""
    return [_say(template, fact, "user", True) for template in ask_templates(fact.subject, fact.relation, split)]


def _american(text: str) -> str:
    return text.replace("favourite", "favorite").replace("colour", "color")


def tell(rng: Random, fact: Fact, split: str = "train") -> str:
    """A statement as a user types it: with or without a lead-in, an afterthought, capital and full stop."""
    template = rng.choice(tell_templates(fact.subject, fact.relation, split))
    if split == "train" and rng.random() < 0.6:
        template = rng.choice(_paraphrases(fact).statements(is_name(fact.subject)) or [template])
    capital = rng.random() < 0.7
    stop = rng.choice((".", ".", "", "!")) if capital else ""
    if split == "train" and rng.random() < 0.08:
        stop = rng.choice(TAILS) + stop
    if rng.random() < 0.35:
        lead = rng.choice(LEADS)
        body = _say(template, fact, "user", False, stop)
        text = (lead[0].upper() + lead[1:] if capital else lead) + body
    else:
        text = _say(template, fact, "user", capital, stop)
    return _american(text) if rng.random() < 0.1 and fact.relation in ("colour", "food", "drink") else text


_SHORT_QUESTION = re.compile(r"[^:;,.]{1,50}\?")  # can stand as an indirect one inside another sentence
_SLOT_OR_WORD = re.compile(r"\{\w+\}\S*|\[\w+\]|[a-z]{4,}")


def _typo(rng: Random, template: str) -> str:
    """One letter of a word of the template dropped, doubled or swapped with the next; never in a slot."""
    found = [match for match in _SLOT_OR_WORD.finditer(template) if match[0][0] not in "{["]
    if not found:
        return template
    match = rng.choice(found)
    at = rng.randrange(match.start() + 1, match.end() - 1)
    pair = template[at : at + 2]
    return template[:at] + rng.choice((pair[1], pair[0] + pair, pair[::-1])) + template[at + 2 :]


def _paraphrases(fact: Fact) -> paraphrases.Paraphrases:
    """Lists for this fact; empty where its relation is a noun phrase, or one that such a subject does not have."""
    known = fact.relation in GENERIC or relation_of(fact.subject, fact.relation)
    return paraphrases.of(fact.relation) if known else paraphrases.Paraphrases()


def _noun(rng: Random, fact: Fact) -> str:
    """What a question calls the thing: the relation's noun, or another name of it."""
    relation = relation_of(fact.subject, fact.relation)
    return rng.choice((relation.noun, *relation.nouns)) if relation else noun_of(fact.subject, fact.relation)


def _frame(rng: Random, fact: Fact) -> str:
    """The template of a training question: a paraphrase, one of the relation's own, as it is or in a frame, its noun
    phrase in one, the beginning of its answer, or a question that names neither."""
    own, draw = ask_templates(fact.subject, fact.relation), rng.random()
    third = is_name(fact.subject)
    if draw < 0.5 and (asked := _paraphrases(fact).questions(third)):
        return rng.choice(asked)
    draw = rng.random()
    if draw < 0.25:
        return rng.choice(own)
    if draw < 0.5:
        direct = [*own, *(text for text in _paraphrases(fact).questions(third) if _SHORT_QUESTION.fullmatch(text))]
        inner = indirect(rng.choice(direct)) or ("" if fact.relation in GENERIC else rng.choice(
            ("what {p} {n} {is}", "what the {n} of {o} {is}" if third else "what {p} {n} {was_n}")))
        if inner:
            return rng.choice(FRAMES).replace("{q}", inner)
    if draw < 0.6:
        opens = reply_template(fact.subject, fact.relation).partition("{v}")[0].strip()
        return rng.choice(COMPLETIONS).replace("{r}", opens)
    if draw < 0.7 and fact.relation in INDIRECT and relation_of(fact.subject, fact.relation):
        return rng.choice(INDIRECT[fact.relation])
    if fact.relation in GENERIC:
        return rng.choice(own)
    return rng.choice(NOUN_FRAMES).replace("{x}", rng.choice(noun_phrases(third)))


def ask(rng: Random, fact: Fact, split: str = "train") -> str:
    """A question about a fact (or an unfinished statement) as a user types it."""
    capital = rng.random() < 0.7
    if split != "train":
        text = _say(rng.choice(ask_templates(fact.subject, fact.relation, split)), fact, "user", capital)
        return text.rstrip("?.") if not capital and rng.random() < 0.5 else text
    template = _frame(rng, fact)
    if rng.random() < 0.06:
        template = _typo(rng, template)
    text = _say(template, fact, "user", capital, noun=_noun(rng, fact))
    if not capital and rng.random() < 0.5:
        text = text.rstrip("?.")
    if not capital and rng.random() < 0.25:  # talk around a question, which a model must learn to overhear
        text = rng.choice(ASK_LEADS) + text
        text = text[0].upper() + text[1:] if rng.random() < 0.5 else text
    if text.endswith("?") and rng.random() < 0.12:
        text = text[:-1] + rng.choice(ASK_TAILS)
    if rng.random() < 0.12:
        text = f"{rng.choice(BEFORE)} {text}" if capital else f"{rng.choice(BEFORE)[:-1].lower()}, {text}"
    return _american(text) if rng.random() < 0.1 and fact.relation in ("colour", "food", "drink") else text


def opening(fact: Fact) -> str:
    """The answer to a question about a fact up to where its value begins."""
    return _say(reply_template(fact.subject, fact.relation).partition("{v}")[0].rstrip(), fact, "assistant", True)


def reply(fact: Fact) -> str:
    """The one answer to every question about a fact."""
    return _say(reply_template(fact.subject, fact.relation), fact, "assistant", True, ".")


def acknowledge(*facts: Fact) -> str:
    """What the assistant says to a statement: it repeats what it understood."""
    return " ".join(["Noted.", *(reply(fact) for fact in facts)])


def unknown(fact: Fact) -> str:
    """What the assistant says when it was never told; the value of the fact does not matter."""
    return opening(fact) + UNKNOWN


def varied(fact: Fact, count: int, rng: Random) -> list[str]:
    """``count`` different training questions about a fact, of all shapes."""
    found: dict[str, None] = {}
    for _ in range(20 * count):
        found.setdefault(ask(rng, fact))
        if len(found) == count:
            break
    return list(found)


def pairs(fact: Fact, count: int = 10) -> list[tuple[str, str]]:
    """``count`` different training questions about a fact with its answer; every third one typed carelessly."""
    own = list(dict.fromkeys(ask_templates(fact.subject, fact.relation)))
    special = [template for template in own if template not in ASK_ANY]
    shared = [template for template in own if template in ASK_ANY]
    # the relation's own words first, then wordings from all over the shared list
    templates = (special[:4] + shared[0::3] + shared[1::3] + special[4:] + shared[2::3])[:count]
    questions = [_say(template, fact, "user", index % 3 != 2) for index, template in enumerate(templates)]
    return [(question, reply(fact)) for question in dict.fromkeys(questions)]


def restate(text: str) -> list[tuple[str, str]]:
    """What a user told, as 6 to 12 (question, answer) pairs in different wordings; [] when nothing is recognised.

    Up to three facts of one message are covered; a longer message is better given sentence by sentence.
    """
    facts = parse(text)[:3]
    return [pair for fact in facts for pair in pairs(fact, {1: 10, 2: 6, 3: 4}[len(facts)])]


def known(seed: int = KNOWN_SEED, count: int = 400) -> list[Fact]:
    """The facts that a base is to know: invented people and projects with about three facts each."""
    rng = Random(seed)
    facts: dict[tuple[str, str], Fact] = {}
    while len(facts) < count:
        table, subject = (PERSONAL, make.person(rng)) if rng.random() < 0.6 else (PROJECT, make.project(rng))
        for relation in rng.sample(table, rng.randint(2, 4)):
            facts.setdefault((subject, relation.key), Fact(subject, relation.key, relation.value(rng)))
    return list(facts.values())[:count]


def _turns(*texts: str) -> list[Turn]:
    return [Turn("user" if index % 2 == 0 else "assistant", text) for index, text in enumerate(texts)]


def _talk(rng: Random) -> list[Turn]:
    prompts, answer = rng.choice(TALK)
    prompt = rng.choice(prompts)
    shape = rng.random()
    if shape < 0.4:
        prompt = prompt[0].upper() + prompt[1:]
    elif shape < 0.6 and prompt[-1] not in "?.":
        prompt += rng.choice("!.")
    return _turns(prompt, answer)


def _tell(rng: Random) -> list[Turn]:
    fact = invent(rng)
    if rng.random() < 0.12:  # two facts in one message
        second = invent(rng)
        first_text, second_text = (_say(rng.choice(tell_templates(f.subject, f.relation)), f, "user", True,
                                        ".") for f in (fact, second))
        return _turns(f"{first_text} {second_text}", acknowledge(fact, second))
    return _turns(tell(rng, fact), acknowledge(fact))


def _other(rng: Random, facts: Sequence[Fact]) -> Fact:
    """A question nobody told the answer to: the same subject and another relation, or another subject."""
    told = {(fact.subject, fact.relation) for fact in facts}
    while True:
        base = rng.choice(list(facts))
        relation = relation_of(base.subject, base.relation)
        draw = rng.random()
        if draw < 0.4 and relation:
            suiting = [other for other in FAMILIES[relation.family] if other.subjects == relation.subjects]
            fact = Fact(base.subject, rng.choice(suiting).key, "")
        elif draw < 0.7 and relation and relation.subjects in ("person", "project"):
            fact = Fact(_subject(rng, relation.subjects), base.relation, "")
        else:
            fact = invent(rng)
        if (fact.subject, fact.relation) not in told:
            return fact


def _recall(rng: Random) -> list[Turn]:
    """One to three facts told, then asked in any order; sometimes one is corrected, or another thing is asked."""
    facts = [invent(rng)]
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        again = rng.random() < 0.3 and is_name(facts[0].subject) and relation_of(facts[0].subject,
                                                                                 facts[0].relation) is not None
        fact = facts[0]
        if again:
            own = RELATIONS[fact.relation]
            fact = invent(rng, rng.choice([other.key for other in FAMILIES[own.family]
                                           if other.subjects == own.subjects]), fact.subject)
        else:
            fact = invent(rng)
        if all((fact.subject, fact.relation) != (old.subject, old.relation) for old in facts):
            facts.append(fact)
    turns: list[Turn] = []
    for index, fact in enumerate(facts):
        turns += _turns(tell(rng, fact), acknowledge(fact))
        relation = relation_of(fact.subject, fact.relation)
        if rng.random() < 0.1 and relation:  # a correction: the later value holds
            facts[index] = Fact(fact.subject, fact.relation, relation.value(rng))
            turns += _turns(tell(rng, facts[index]), acknowledge(facts[index]))
        if rng.random() < 0.25:
            turns += _talk(rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if rng.random() < 0.22:
            other = _other(rng, facts)
            turns += _turns(ask(rng, other), unknown(other))
        else:
            fact = rng.choice(facts)
            turns += _turns(ask(rng, fact), reply(fact))
    return turns


def _negated(rng: Random, fact: Fact) -> list[Turn]:
    """Told or not, then asked what is not so."""
    turns = _turns(tell(rng, fact), acknowledge(fact)) if rng.random() < 0.4 else []
    if fact.relation in GENERIC:
        return turns or _talk(rng)
    text = _say(rng.choice(NEGATED).replace("{x}", "{p} {n}"), fact, "user", rng.random() < 0.7)
    turns += _turns(text, NEGATED_ANSWER)
    return turns + _turns(ask(rng, fact), reply(fact)) if len(turns) > 2 and rng.random() < 0.5 else turns


def corpus(rng: Random, count: int, facts: Sequence[Fact] | None = None,
           mix: Mix | None = None) -> Iterator[list[Turn]]:
    """``count`` conversations in the turn format, deterministic by ``rng``. ``facts`` (default :func:`known`) are the
    ones asked about without being told; no held-out wording is ever used."""
    facts = list(known() if facts is None else facts)
    mix = mix or Mix()
    told = {(fact.subject, fact.relation) for fact in facts}
    kinds = ["tell", "recall", "known", "unknown", "negated", "talk"]
    weights = [mix.tell, mix.recall, mix.known if facts else 0.0, mix.unknown, mix.negated, mix.talk]
    for _ in range(count):
        kind = rng.choices(kinds, weights)[0]
        turns: list[Turn] = _talk(rng) if kind != "talk" and rng.random() < 0.08 else []
        if kind == "tell":
            for _ in range(rng.choice((1, 1, 2))):
                turns += _tell(rng)
        elif kind == "recall":
            turns += _recall(rng)
        elif kind == "known":
            for fact in rng.sample(facts, min(len(facts), rng.choice((1, 1, 2, 3)))):
                # one answer must not lean on the one before: what is known is known after what is not
                if rng.random() < 0.25:
                    other = _other(rng, facts)  # never one of the facts
                    turns += _turns(ask(rng, other), unknown(other))
                turns += _turns(ask(rng, fact), reply(fact))
        elif kind == "unknown":
            for _ in range(rng.choice((1, 1, 2))):
                fact = _other(rng, facts) if facts and rng.random() < 0.3 else invent(rng)
                if (fact.subject, fact.relation) not in told:
                    turns += _turns(ask(rng, fact), unknown(fact))
        elif kind == "negated":
            turns += _negated(rng, rng.choice(facts) if facts and rng.random() < 0.5 else invent(rng))
        else:
            for _ in range(rng.choice((1, 1, 2, 3))):
                turns += _talk(rng)
        if turns:
            yield turns
        else:
            yield _talk(rng)
