"""Rows to read the others by: the base alone, one answer to everything, and the told text in the prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory.bench.methods.baseline import Kept
from nimllm.alignment.memory.lessons import Lessons, conversation_facts
from nimllm.llm.turns import Turn, render

ANSWER_TOKENS = 64  # left free for an answer when the context is filled with what was told


class Base(Kept):
    """Learns nothing."""

    def take(self, episode: Episode, plan: Lessons) -> tuple[int, int]:
        return 0, 0


class Constant(Kept):
    """Answers every question with the value that was told most often, the latest of several: what a score is worth
    that a collapsed model would get."""

    def take(self, episode: Episode, plan: Lessons) -> tuple[int, int]:
        values = [fact.value for fact in plan.facts]
        self.about.setdefault("values", []).extend(values)
        return 0, sum(len(value.encode()) for value in values)

    @property
    def added_bytes(self) -> int:  # type: ignore[override]
        return len(self.value().encode())

    def value(self) -> str:
        told: list[str] = self.about.get("values", [])
        counts = Counter(reversed(told))  # of equal counts the first one met stands first
        return counts.most_common(1)[0][0] if counts else ""

    def answer(self, questions: Sequence[Sequence[Turn]]) -> list[str]:
        return [self.value()] * len(questions)

    def side_bytes(self) -> int:
        return self.state.bytes("state")


class InContext(Kept):
    """The told conversations that share most words with a question stand in front of it. Retrieval and reading, no
    learning: a reference for what the model makes of a fact that it can see."""

    def learnable(self, episode: Episode, plan: Lessons) -> bool:
        return episode.learnable()

    def take(self, episode: Episode, plan: Lessons) -> tuple[int, int]:
        """Keeps the turns that no program wrote. Of a conversation: those that told something, with their answers,
        where the product reads facts in it, else all."""
        turns = [[turn.role, turn.text] for turn in episode.turns if not turn.tainted]
        if episode.kind == "chat" and conversation_facts(episode)[0]:
            turns = telling(turns) or turns
        self.about.setdefault("told", []).append(turns)
        return 0, sum(len(text.encode()) for _, text in turns)

    @property
    def added_bytes(self) -> int:  # type: ignore[override]
        return sum(len(text.encode()) for turns in self.about.get("told", []) for _, text in turns)

    def context(self, question: Sequence[Turn]) -> list[Turn]:
        """What was told with the rarest words in common (the sum of their inverse document frequencies), the latest of
        equals last; as many conversations as fit, nothing where no word is shared."""
        told: list[list[list[str]]] = self.about.get("told", [])
        bags = [words(" ".join(text for _, text in turns)) for turns in told]
        counts = Counter(word for bag in bags for word in bag)
        asked = words(question[-1].text)
        scored = sorted(((sum(1 / counts[word] for word in asked & bag), index) for index, bag in enumerate(bags)),
                        reverse=True)
        room = self.config.context - ANSWER_TOKENS - len(render(list(question), self.tokenizer).ids)
        out: list[Turn] = []
        for score, index in scored[:3]:
            turns = [Turn(role, text) for role, text in told[index]]  # type: ignore[arg-type]
            room -= len(render(turns, self.tokenizer, bos=False).ids)
            if not score or room < 0:
                break
            out = [*turns, *out]  # the best one stands nearest to the question
        return out

    def side_bytes(self) -> int:
        return self.state.bytes("state")


def words(text: str) -> set[str]:
    return {"".join(filter(str.isalnum, word)).lower() for word in text.replace("'s", " ").split()} - {""}


def telling(turns: Sequence[Sequence[str]]) -> list[list[str]]:
    """The user's turns in which a fact is read, each with the answer to it."""
    from nimllm.alignment.memory.statements import parse

    out: list[list[str]] = []
    for index, (role, text) in enumerate(turns):
        if role == "user" and parse(text):
            out.append([role, text])
            if index + 1 < len(turns) and turns[index + 1][0] == "assistant":
                out.append(list(turns[index + 1]))
    return out
