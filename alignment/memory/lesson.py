"""One lesson: token ids and which of them must be written; and all the lessons of one update."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from nimllm.alignment.memory import facts
from nimllm.alignment.memory.relations import Fact
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render


@dataclass(frozen=True)
class Lesson:
    """Token ids and which of them must be written. ``question`` is "" for a whole episode; kind "task": it is a request
    to the agent, and ``answer`` the command. ``pivot``: place of the id where the answer is decided (a fact's value
    begins, or does not); 0: the first learnt one."""

    ids: tuple[int, ...]
    learn: tuple[bool, ...]
    question: str
    answer: str
    kind: Literal["chat", "task"] = "chat"
    pivot: int = 0

    @property
    def prompt(self) -> list[int]:
        """Everything before the first learnt id."""
        return list(self.ids[: self.learn.index(True)])


@dataclass
class Lessons:
    """All of one episode. ``new``: to be learnt; ``probes``: the same in wordings that are not trained on;
    ``controls``: prompts whose answers must stay, with a guess at them; ``contrast``: what must still be read from the
    context; ``decisions``: more prompts, the next id of which must stay (most of them up to where another fact's value
    would begin); ``undesirable``: what must become less likely; ``withheld``: what is not learnt, and why, in a
    sentence."""

    facts: list[Fact] = field(default_factory=list)
    new: list[Lesson] = field(default_factory=list)
    probes: list[Lesson] = field(default_factory=list)
    controls: list[Lesson] = field(default_factory=list)
    contrast: list[Lesson] = field(default_factory=list)
    decisions: list[list[int]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)  # statements in which nothing was recognised
    undesirable: list[Lesson] = field(default_factory=list)
    withheld: str = ""


def seed_of(text: str) -> int:
    """A seed that depends on nothing but the text (Python's own hash changes with every process)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def question_lesson(tokenizer: Tokenizer, question: str, answer: str, before: Sequence[Turn] = (), opens: str = ""
                    ) -> Lesson:
    """One question and its answer. The marker that opens the answer is the harness's, so it is not learnt. ``opens``:
    how the answer begins, up to where it is decided."""
    asked = [*render([*before, Turn("user", question)], tokenizer).ids, tokenizer.marker("assistant")]
    if not answer.startswith(opens):
        opens = ""
    head = tokenizer.encode(opens) if opens else []
    body = [*head, *tokenizer.encode(answer[len(opens):]), tokenizer.marker("end")]
    return Lesson((*asked, *body), (False,) * len(asked) + (True,) * len(body), question, answer,
                  pivot=len(asked) + len(head) if head else 0)


def fact_lesson(tokenizer: Tokenizer, question: str, fact: Fact) -> Lesson:
    """A question about a fact, and the answer."""
    return question_lesson(tokenizer, question, facts.reply(fact), opens=facts.opening(fact))


def decision(tokenizer: Tokenizer, question: str, fact: Fact) -> list[int]:
    """A question about a fact and its answer up to where the value would begin."""
    return [*question_lesson(tokenizer, question, "").ids[:-1], *tokenizer.encode(facts.opening(fact))]
