"""What a fact and a relation are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

ME, US, THE = "me", "us", "the"  # subjects that are not names: "my …", "our …", "the …"


@dataclass(frozen=True)
class Fact:
    """One thing somebody told. ``subject``: a name, or ME, US, THE; ``relation``: a key of RELATIONS or GENERIC, or any
    noun phrase ("backup window")."""

    subject: str
    relation: str
    value: str


@dataclass(frozen=True)
class Relation:
    """One relation. ``held_*`` wordings never reach a training corpus; tests and the bench use them."""

    key: str
    family: str  # personal | project | preference | world
    noun: str  # "Mira's {noun} is …"
    value: Callable[[Random], str]
    tells: tuple[str, ...]
    asks: tuple[str, ...]
    held_tell: str
    held_ask: str
    reply: str = "{p} {n} {is} {v}"
    nouns: tuple[str, ...] = ()  # other names of the noun
    subjects: str = "person"  # person: a name or me; project: a name or us; me; us; the rest are names
