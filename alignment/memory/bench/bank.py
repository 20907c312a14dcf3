"""The bank: what invented things have, and the wordings in which it is told and asked for.

24 relations in 4 families. Each has 16 wordings written by hand: 4 that tell it, 4 to develop with, and 8 that are
kept for the test: 3 questions, 2 unfinished sentences, 1 that needs a thought, 1 that is asked after three turns about
other things, and 1 the other way round. Slots: ``{s}`` the subject, ``{v}`` the value. A test holds that the three
groups share no run of four words, and that none of the test's wordings is one the base was trained on or that an
update can make by itself (``relations.py``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from random import Random
from typing import Any, Literal

Family = Literal["personal", "project", "world", "preference"]
Subject = Literal["person", "project", "name"]
TALK_TURNS = 3  # unrelated turns before the test's seventh wording


@dataclass(frozen=True)
class Pool:
    """The values a relation may have: every combination of the parts."""

    pattern: str
    parts: tuple[tuple[str, ...], ...]

    @property
    def size(self) -> int:
        return math.prod(map(len, self.parts))

    @property
    def bits(self) -> float:
        return math.log2(self.size)

    def draw(self, rng: Random) -> str:
        return self.pattern.format(*(rng.choice(part) for part in self.parts))

    def every(self) -> Iterator[str]:
        return (self.pattern.format(*parts) for parts in product(*self.parts))


@dataclass(frozen=True)
class Relation:
    """One relation with its wordings. ``noun``: what the base calls it ("the {noun} of X", "X's {noun}"); ``key``: the
    relation of ``relations.py`` that it is, "" when the base has none such. ``negated``: asks for what is not so."""

    name: str
    family: Family
    subject: Subject
    noun: str
    key: str
    pool: Pool
    told: tuple[str, ...]
    dev: tuple[str, ...]
    questions: tuple[str, ...]
    completions: tuple[str, ...]
    indirect: str
    after: str
    reverse: str
    negated: str

    @property
    def test(self) -> tuple[str, ...]:
        """The eight test wordings in their fixed order; the seventh comes after talk, the eighth is the reverse."""
        return (*self.questions, *self.completions, self.indirect, self.after, self.reverse)


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def phrases(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|"))


def numbers(first: int, last: int) -> tuple[str, ...]:
    return tuple(map(str, range(first, last + 1)))


@lru_cache(maxsize=1)
def relations() -> dict[str, Relation]:
    """All 24, by name, in the order of the families."""
    from nimllm.alignment.memory.bench import wordings_personal, wordings_preference, wordings_project, wordings_world

    every = (*wordings_personal.RELATIONS, *wordings_project.RELATIONS, *wordings_world.RELATIONS,
             *wordings_preference.RELATIONS)
    return {relation.name: relation for relation in every}


_SLOT = re.compile(r"\{[sv]\}")
_WORD = re.compile(r"[a-z0-9']+")


def grams(template: str, size: int) -> set[tuple[str, ...]]:
    """Runs of ``size`` words of a wording that hold no slot."""
    found: set[tuple[str, ...]] = set()
    for piece in _SLOT.split(template):
        # 's belongs to the subject before it
        spoken = _WORD.findall(re.sub(r"^'s\b", "", piece.casefold()))
        found |= {tuple(spoken[at : at + size]) for at in range(len(spoken) - size + 1)}
    return found


def shape(template: str) -> str:
    """A wording as one may compare it: slots alike, no case, no punctuation."""
    return " ".join(_WORD.findall(_SLOT.sub(" slot ", template).casefold().replace("'s", " s")))


def shared(first: Sequence[str], second: Sequence[str], size: int) -> set[tuple[str, ...]]:
    """Runs of ``size`` words that two groups of wordings have in common."""
    left = set().union(*(grams(text, size) for text in first)) if first else set()
    right = set().union(*(grams(text, size) for text in second)) if second else set()
    return left & right


def trained() -> list[str]:
    """Every wording that the base was trained on or that an update makes by itself, in the bank's slots: those of
    ``relations.py`` for a name as the subject, with each relation's nouns, and those of its generic forms."""
    from nimllm.alignment.memory import relations as known

    out: list[str] = []
    for relation in known.RELATIONS.values():
        for noun in (relation.noun, *relation.nouns):
            templates = (*relation.tells, *relation.asks, *known.TELL_ANY, *known.TELL_NAMED, *known.ASK_ANY,
                         *known.ASK_NAMED, relation.reply)
            out += [_plain(template, noun) for template in templates]
    nouns = {relation.noun for relation in relations().values()}
    for noun in sorted(nouns):
        out += [_plain(template, noun) for template in
                (*known.TELL_ANY, *known.TELL_NAMED, known.TELL_NOUN, *known.ASK_ANY, *known.ASK_NAMED)]
    for tells, asks, reply in known.GENERIC.values():
        out += [_plain(template, "") for template in (*tells, *asks, reply)]
    out += [_plain(template, relation.noun) for relation in known.RELATIONS.values() for template in _framed(relation)]
    return list(dict.fromkeys(out))


def _framed(relation: Any) -> Iterator[str]:
    """The questions of a relation of ``relations.py`` in every frame of ``wordings.py``."""
    from nimllm.alignment.memory import paraphrases, wordings
    from nimllm.alignment.memory import relations as known

    yield from wordings.INDIRECT.get(relation.key, ())
    yield from paraphrases.of(relation.key).questions(True)
    yield from paraphrases.of(relation.key).statements(True)
    inner = {wordings.indirect(ask) for ask in (*relation.asks, *known.ASK_ANY, *known.ASK_NAMED)} - {""}
    for frame in wordings.FRAMES:
        for question in sorted(inner):
            yield frame.replace("{q}", question)
    for phrase in set(wordings.noun_phrases(True)):
        for frame in wordings.NOUN_FRAMES:
            yield frame.replace("{x}", phrase)
    for frame in (*wordings.COMPLETIONS, *wordings.NEGATED):
        yield frame.replace("{r}", relation.reply.partition("{v}")[0].strip()).replace("{x}", "{p} {n}")


def _plain(template: str, noun: str) -> str:
    """A wording of ``relations.py`` about a name, with the bank's two slots."""
    from nimllm.alignment.memory import relations as known

    slots = {**known.forms("{s}", "user"), "v": "{v}", **known.noun_slots(noun)}
    return known.fill(template, slots, True)
