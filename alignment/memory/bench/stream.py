"""The stream: what is told, in which order. Drawn from a seed and nothing else.

Of every 20 items, in an order of their own: 16 new facts, 2 corrections of earlier ones, 1 conversation without a fact,
1 agent task with a lesson that its command can be checked by. An item is one episode, and one call of ``learn``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal

from nimllm.alignment.episodes import Episode, EpisodeTurn, Outcome
from nimllm.alignment.memory.bench import conventions, talk
from nimllm.alignment.memory.bench.bank import Relation, relations
from nimllm.alignment.memory.bench.names import Names
from nimllm.errors import UsageError

ItemKind = Literal["fact", "correction", "chat", "task"]
MIXES: dict[str, tuple[tuple[ItemKind, int], ...]] = {  # of 20 items
    "standard": (("fact", 16), ("correction", 2), ("chat", 1), ("task", 1)),
    "facts": (("fact", 20),),
}
# The seeds of the test. sha256("nimllm memory bench/<name>/<salt>") was committed with this file; the numbers follow
# from the salts, so that nobody chose them by how they turn out.
SALTS = {"test-1": "a lantern at noon", "test-2": "seven grey kettles", "test-3": "the orchard is closed"}
COMMITTED = {
    "test-1": "b4995823f01753ec5e2b30fad363bb6883e56ff925871b15fd1e80413f6ebdc4",
    "test-2": "3b36aeb3603144e55046b9e403032b5c55702f3a2e6a44c6f9e1ca231ea6c604",
    "test-3": "755fc9ddc9bbf9cf827196e9a8a6b25935e25a85fc1c2f5b727eb62fb3437cf4",
}
TIME = "2026-01-01T00:00:00Z"  # of every episode: a stream must not depend on the clock
NEVER_TOLD = 200
AGAIN = 0.3  # of the new facts are about somebody of whom something else was told already
TOGETHER = {"capital": ("currency",), "currency": ("capital",), "founded": ("river",), "river": ("founded",),
            "inventor": (), "author": ()}


def digest_of(name: str) -> str:
    return hashlib.sha256(f"nimllm memory bench/{name}/{SALTS[name]}".encode()).hexdigest()


def seed_of(name: str) -> int:
    """"test-1" to "test-3", or a number for development (below a million, which no test seed is). UsageError."""
    if name in SALTS:
        found = digest_of(name)
        assert found == COMMITTED[name], "the test's seeds were changed"
        return int(found[:15], 16)
    if name.isdecimal() and int(name) < 1_000_000:
        return int(name)
    raise UsageError(f"no seed {name!r}", "", f"a number below a million, or one of {', '.join(SALTS)}")


@dataclass(frozen=True)
class Told:
    """One fact. ``place``: of the item that told it last; ``old``: values that it had before."""

    id: str
    relation: str
    subject: str
    value: str
    place: int
    old: tuple[str, ...] = ()

    @property
    def about(self) -> Relation:
        return relations()[self.relation]


@dataclass(frozen=True)
class Item:
    """One call of ``learn``. ``says``: the user's messages of a conversation; the assistant's replies are the base's
    own, so they are put in when there is a base (:func:`episode`)."""

    place: int
    kind: ItemKind
    says: tuple[str, ...] = ()
    fact: Told | None = None  # as it is after this item
    lesson: conventions.Convention | None = None


@dataclass
class Stream:
    """All items, and entities that nothing is ever told of. ``controls``: fact id -> an untold name of its kind;
    ``untold``: (relation, name)."""

    seed: str
    mix: str
    items: list[Item] = field(default_factory=list)
    controls: dict[str, str] = field(default_factory=dict)
    untold: list[tuple[str, str]] = field(default_factory=list)

    def facts(self, count: int) -> list[Told]:
        """Every fact told in the first ``count`` items, with its last value."""
        found: dict[str, Told] = {}
        for item in self.items[:count]:
            if item.fact is not None:
                found[item.fact.id] = item.fact
        return list(found.values())

    def lessons(self, count: int) -> list[conventions.Convention]:
        return [item.lesson for item in self.items[:count] if item.lesson is not None]

    def hash(self) -> str:
        """SHA-256 of everything that is told and asked about."""
        content = [[item.place, item.kind, item.says, None if item.fact is None else
                    [item.fact.id, item.fact.relation, item.fact.subject, item.fact.value],
                    None if item.lesson is None else item.lesson.data()] for item in self.items]
        text = json.dumps([self.seed, self.mix, content, self.controls, self.untold], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


class _Drawing:
    """The drawing of one stream. Every item has a generator of its own, so a longer stream begins like a shorter."""

    def __init__(self, seed: str, mix: str, refused: frozenset[tuple[str, str]]) -> None:
        self.number, self.mix, self.refused = seed_of(seed), mix, refused
        self.names = Names(Random(f"{self.number}/names"))
        self.values: dict[str, set[str]] = {name: set() for name in relations()}
        self.facts: dict[str, Told] = {}
        self.of: dict[str, list[str]] = {}  # subject -> relations told of it
        self.stream = Stream(seed, mix)

    def value(self, rng: Random, relation: Relation, fact: str) -> str:
        """One that nothing else of the relation has; not one that the base says by itself (``refused``)."""
        taken = self.values[relation.name]
        while True:
            value = relation.pool.draw(rng)
            if value not in taken:
                taken.add(value)
                if (fact, value) not in self.refused:
                    return value

    def kinds(self, block: int) -> list[ItemKind]:
        out = [kind for kind, count in MIXES[self.mix] for _ in range(count)]
        Random(f"{self.number}/block/{block}").shuffle(out)
        if block == 0:  # something must have been told before it can be corrected
            at = out.index("fact")
            out[0], out[at] = out[at], out[0]
        return out

    def item(self, place: int, kind: ItemKind) -> Item:
        rng = Random(f"{self.number}/item/{place}")
        if kind == "chat":
            return Item(place, kind, tuple(rng.sample(talk.IDLE, rng.choice((1, 2, 3)))))
        if kind == "task":
            return Item(place, kind, lesson=conventions.draw(rng, self.names.draw("project")))
        fact = self.new_fact(rng, place) if kind == "fact" else self.correction(rng, place)
        self.facts[fact.id] = fact
        return Item(place, kind, tell(rng, fact, talk.FRAMES if kind == "fact" else talk.CORRECTIONS), fact)

    def new_fact(self, rng: Random, place: int) -> Told:
        relation = rng.choice(list(relations().values()))
        subject = ""
        if rng.random() < AGAIN:
            fitting = [name for name, told in self.of.items() if len(told) < 3 and _suits(relation, told)]
            subject = rng.choice(fitting) if fitting else ""
        subject = subject or self.names.draw(relation.subject)
        self.of.setdefault(subject, []).append(relation.name)
        id = f"f{place:04}"
        self.stream.controls[id] = self.names.draw(relation.subject, subject)
        return Told(id, relation.name, subject, self.value(rng, relation, id), place)

    def correction(self, rng: Random, place: int) -> Told:
        once = [fact for fact in self.facts.values() if len(fact.old) < 2]
        fact = rng.choice(once or list(self.facts.values()))
        return replace(fact, value=self.value(rng, fact.about, fact.id), place=place, old=(*fact.old, fact.value))

    def untold(self) -> list[tuple[str, str]]:
        rng, names = Random(f"{self.number}/untold"), Names(Random(f"{self.number}/untold names"))
        told = set(self.of) | set(self.stream.controls.values())
        out: list[tuple[str, str]] = []
        while len(out) < NEVER_TOLD:
            relation = rng.choice(list(relations().values()))
            name = names.draw(relation.subject)
            if name not in told:
                out.append((relation.name, name))
        return out


def _suits(relation: Relation, told: Sequence[str]) -> bool:
    """Whether one subject can have this relation beside those."""
    if relation.name in told or any(relations()[name].subject != relation.subject for name in told):
        return False
    return relation.subject != "name" or all(name in TOGETHER[relation.name] for name in told)


def tell(rng: Random, fact: Told, frames: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The user's messages of a conversation that tells a fact."""
    sentence = rng.choice(fact.about.told).format(s=fact.subject, v=fact.value)
    return tuple(message.replace("{fact}", sentence) for message in rng.choice(frames))


def draw(seed: str, count: int, mix: str = "standard", refused: frozenset[tuple[str, str]] = frozenset()) -> Stream:
    """The first ``count`` items of a seed's stream. ``refused``: (fact id, value) pairs that the base knows already."""
    if mix not in MIXES:
        raise UsageError(f"no mix {mix!r}", "", f"one of {', '.join(MIXES)}")
    if count < 1:
        raise UsageError("a stream needs at least one item")
    drawing = _Drawing(seed, mix, refused)
    place = block = 0
    while place < count:
        for kind in drawing.kinds(block):
            if place < count:
                drawing.stream.items.append(drawing.item(place, kind))
            place += 1
        block += 1
    drawing.stream.untold = drawing.untold()
    return drawing.stream


def shuffled(stream: Stream) -> Stream:
    """The control: the same stream with the values of each relation passed on in a circle, first values among first
    values and corrected among corrected. Nobody has what they had; a relation told once keeps its one."""
    rounds: dict[tuple[str, int], list[Told]] = {}
    for item in stream.items:
        if item.fact is not None:
            rounds.setdefault((item.fact.relation, len(item.fact.old)), []).append(item.fact)
    value = {(fact.id, turn): told[(at + 1) % len(told)].value
             for (_, turn), told in rounds.items() for at, fact in enumerate(told)}
    out = replace(stream, items=[])
    for item in stream.items:
        fact = item.fact
        if fact is None:
            out.items.append(item)
            continue
        new = replace(fact, value=value[fact.id, len(fact.old)],
                      old=tuple(value[fact.id, turn] for turn in range(len(fact.old))))
        says = tuple(message.replace(fact.value, new.value) for message in item.says)
        out.items.append(replace(item, fact=new, says=says))
    return out


def episode(stream: Stream, item: Item, replies: Sequence[str]) -> Episode:
    """An item as the product would have recorded it. ``replies``: the assistant's, one for each message."""
    id = f"bench-{stream.seed}-{item.place:04}"
    if item.lesson is not None:
        return conventions.episode(id, item.lesson, TIME)
    turns = []
    for message, reply in zip(item.says, replies, strict=True):
        turns += [EpisodeTurn(role="user", text=message, learn=True), EpisodeTurn(role="assistant", text=reply)]
    return Episode(id=id, kind="chat", time=TIME, turns=turns,
                   outcome=Outcome(kind="success", by="user", detail="a conversation"))
