"""What is asked at a point of the stream, and how an answer is judged.

A question is data: the turns before it, its words, and by which kind of turn it is answered. Who answers it
(``examine``) gets nothing else. Judging needs no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from nimllm.alignment.memory.bench import conventions, talk
from nimllm.alignment.memory.bench.bank import TALK_TURNS, Relation, relations
from nimllm.alignment.memory.bench.stream import Stream, Told, seed_of
from nimllm.llm.turns import Turn

Wordings = Literal["test", "dev", "seen"]
FORMS, NEEDED = 4, 3  # of the wordings that are not the reverse: drawn for a fact, and right for it to be held
REVERSE = 7  # place of the reverse among the test's eight
KNOWN = 400  # facts of facts.known()


@dataclass(frozen=True)
class Question:
    """``before``: (role, text) of the turns that stand before; ``task``: answered by a plan and a command."""

    id: str
    text: str
    before: tuple[tuple[str, str], ...] = ()
    task: bool = False

    def turns(self) -> list[Turn]:
        """Up to and with the user's last turn. What a folder's note says is tainted, as in a session."""
        out = [Turn(role, text, role == "system") for role, text in self.before]  # type: ignore[arg-type]
        return [*out, Turn("user", self.text)]

    def data(self) -> dict[str, Any]:
        return {"id": self.id, "text": self.text, "before": [list(turn) for turn in self.before], "task": self.task}

    @staticmethod
    def of(data: Mapping[str, Any]) -> Question:
        return Question(data["id"], data["text"], tuple((role, text) for role, text in data["before"]), data["task"])


@dataclass(frozen=True)
class Answer:
    """What was written, and whether it came to its end mark by itself."""

    text: str
    ended: bool


def asked(fact: Told, wordings: Wordings) -> list[str]:
    """Every wording in which a fact is asked for, the reverse last (of "dev": none)."""
    about = fact.about
    if wordings == "seen":
        texts = [*seen(fact), about.reverse]
    else:
        texts = list(about.test if wordings == "test" else about.dev)
    return [text.format(s=fact.subject, v=fact.value) for text in texts]


def seen(fact: Told) -> list[str]:
    """Up to seven of the base's own plain wordings, which it has met about other subjects. An update draws its few
    forms from hundreds, so now and then it draws one of these."""
    from nimllm.alignment.memory import facts
    from nimllm.alignment.memory.relations import Fact

    own = facts.pairs(Fact("{s}", fact.about.key or fact.about.noun, "{v}"), 99)
    return [question for question, _ in own[-REVERSE:]]


def drawn(stream: Stream, fact: Told, wordings: Wordings) -> list[int]:
    """Which of its wordings decide whether a fact is held: four that are not the reverse, the same at every point."""
    count = len(asked(fact, wordings)) - (wordings != "dev")
    return sorted(Random(f"{seed_of(stream.seed)}/forms/{fact.id}").sample(range(count), min(FORMS, count)))


def probe(stream: Stream, fact: Told) -> Literal["negated", "other"]:
    """Which of the two probes decides for a fact. Both are asked."""
    return Random(f"{seed_of(stream.seed)}/probe/{fact.id}").choice(("negated", "other"))


def other_relation(stream: Stream, fact: Told) -> Relation:
    """Another relation that the subject could have and that was never told of it."""
    told = {item.fact.relation for item in stream.items if item.fact is not None and item.fact.subject == fact.subject}
    every = [relation for relation in relations().values()
             if relation.subject == fact.about.subject and relation.name not in told]
    return Random(f"{seed_of(stream.seed)}/other/{fact.id}").choice(every)


def _after_talk(rng: Random) -> tuple[tuple[str, str], ...]:
    exchanges = rng.sample(talk.BEFORE, TALK_TURNS)
    return tuple(turn for user, assistant in exchanges for turn in (("user", user), ("assistant", assistant)))


def of_fact(stream: Stream, fact: Told, wordings: Wordings) -> list[Question]:
    """All wordings, the control entity, and both probes of one fact."""
    number, out = seed_of(stream.seed), []
    for place, text in enumerate(asked(fact, wordings)):
        talked = wordings != "dev" and place == REVERSE - 1
        before = _after_talk(Random(f"{number}/talk/{fact.id}")) if talked else ()
        out.append(Question(f"{fact.id}/{place}", text, before))
    first = drawn(stream, fact, wordings)[0]
    control = asked(_renamed(fact, stream.controls[fact.id]), wordings)[first]
    other = other_relation(stream, fact).questions[0]
    out.append(Question(f"{fact.id}/control", control))
    out.append(Question(f"{fact.id}/negated", fact.about.negated.format(s=fact.subject)))
    out.append(Question(f"{fact.id}/other", other.format(s=fact.subject)))
    return out


def _renamed(fact: Told, subject: str) -> Told:
    return Told(fact.id, fact.relation, subject, fact.value, fact.place, fact.old)


def of_point(stream: Stream, count: int, wordings: Wordings, every: int = 1) -> list[Question]:
    """Everything that is asked after ``count`` items: the facts told so far, the lessons of the tasks, names that
    nothing was told of, what the base was trained to know, and tasks of every day (of these three, every so-manyth)."""
    out = [question for fact in stream.facts(count) for question in of_fact(stream, fact, wordings)]
    for index, lesson in enumerate(stream.lessons(count)):
        out.append(Question(f"task/{index}", lesson.asked, (("system", lesson.note),), True))
    for index, (relation, name) in list(enumerate(stream.untold))[::every]:
        out.append(Question(f"untold/{index}", relations()[relation].questions[0].format(s=name)))
    return [*out, *standing(every)]


def standing(every: int = 1) -> list[Question]:
    """What no stream changes: the base's facts, each in one of its training wordings, and everyday tasks."""
    from nimllm.alignment.memory import facts

    rng, out = Random("nimllm memory bench/known"), []
    for index, fact in enumerate(facts.known(count=KNOWN)):
        out.append(Question(f"known/{index}", rng.choice(facts.asks(fact))))
    out = out[::every]
    for index, request in list(enumerate(conventions.EVERYDAY))[::every]:
        out.append(Question(f"everyday/{index}", request, (("system", conventions.EVERYDAY_NOTE),), True))
    return out


def known_values() -> list[str]:
    from nimllm.alignment.memory import facts

    return [fact.value for fact in facts.known(count=KNOWN)]


# ---- judging -----------------------------------------------------------------------------------------------------

_ARTICLES = frozenset({"a", "an", "the"})
_WORDS = re.compile(r"[^\W_]+")


def normalised(text: str) -> str:
    """Words only, no case, no articles, one space around each: what is compared."""
    return " " + " ".join(word for word in _WORDS.findall(text.casefold()) if word not in _ARTICLES) + " "


def holds(answer: Answer, value: str) -> bool:
    """The whole value stands in the answer."""
    wanted = normalised(value)
    return wanted.strip() != "" and wanted in normalised(answer.text)


def right(answer: Answer, value: str, others: Iterable[str]) -> bool:
    """The answer ended by itself, holds the value, and holds none of ``others``, which somebody else has.

    A value that is a part of the right one ("oak" in "dark oak") counts only where it stands by itself, too."""
    if not answer.ended or not holds(answer, value):
        return False
    said, own = normalised(answer.text), normalised(value)
    rest = said.replace(own, " ")
    return not any(normalised(other) in rest for other in others)


@dataclass(frozen=True)
class Verdict:
    """One fact at one point. ``forms``: right, for each wording; ``recalled``: enough of those that decide;
    ``held``: and neither the control entity nor the probe that decides got the value; ``gone``: the old values."""

    id: str
    age: int
    corrected: bool
    forms: tuple[bool, ...]
    recalled: bool
    control: bool
    negated: bool
    other: bool
    held: bool
    strict: bool
    gone: bool


def judge(stream: Stream, count: int, wordings: Wordings, answers: Mapping[str, Answer]) -> list[Verdict]:
    """Every fact told in the first ``count`` items."""
    facts = stream.facts(count)
    values: dict[str, set[str]] = {}
    for fact in facts:
        values.setdefault(fact.relation, set()).update((fact.value, *fact.old))
    return [_verdict(stream, count, wordings, fact, values[fact.relation], answers) for fact in facts]


def _verdict(stream: Stream, count: int, wordings: Wordings, fact: Told, values: set[str],
             answers: Mapping[str, Answer]) -> Verdict:
    others = values - {fact.value}
    texts = asked(fact, wordings)
    forms = []
    for place in range(len(texts)):
        answer = answers[f"{fact.id}/{place}"]
        reverse = wordings != "dev" and place == len(texts) - 1
        forms.append(answer.ended and holds(answer, fact.subject) if reverse else right(answer, fact.value, others))
    deciding = drawn(stream, fact, wordings)
    recalled = sum(forms[place] for place in deciding) >= min(NEEDED, len(deciding))
    control, negated, other = (not holds(answers[f"{fact.id}/{name}"], fact.value)
                               for name in ("control", "negated", "other"))
    gate = {"negated": negated, "other": other}[probe(stream, fact)]
    said = [answers[f"{fact.id}/{place}"] for place in deciding]
    gone = not any(holds(answer, old) for answer in said for old in fact.old)
    return Verdict(fact.id, count - 1 - fact.place, bool(fact.old), tuple(forms), recalled, control, negated, other,
                   recalled and control and gate, all(forms) and control and negated and other, gone)


def command_of(text: str) -> str:
    """A command as it is compared: runs of space are one."""
    return " ".join(text.split())


def learnt(lessons: Sequence[conventions.Convention], answers: Mapping[str, Answer]) -> list[bool]:
    """Which of the taught commands the model gives when it is asked in other words."""
    return [answers[f"task/{index}"].ended and command_of(answers[f"task/{index}"].text) == command_of(lesson.command)
            for index, lesson in enumerate(lessons)]
