"""Lessons of what the user said about answers in a conversation: that one was good, or wrong, or what it should be.

An answer is learnt as the reply to its question alone, in some wordings of the question, and once in its conversation.
Where it states a fact that can be read ("Your dog is called Rex."), the fact is learnt instead, in all its wordings.
"""

from __future__ import annotations

from random import Random

from nimllm.alignment.episodes import Episode, EpisodeTurn
from nimllm.alignment.memory import facts, withholding
from nimllm.alignment.memory.lesson import Lesson, Lessons, decision, question_lesson, seed_of
from nimllm.alignment.memory.relations import GENERIC
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn

WORDINGS = 6  # of a question whose answer is learnt word for word
BEFORE = 4  # turns of the conversation that stand before it once
_LEADS = ("tell me, {q}", "so {q}", "one question: {q}", "again: {q}", "please tell me: {q}", "and {q}", "say, {q}",
          "I'd like to know: {q}", "once more, {q}")  # fmt: skip


def wordings(question: str, seed: int) -> list[str]:
    """The question, typed with more or less care, and with some talk in front."""
    low = question[:1].lower() + question[1:] if question[1:2].islower() else question
    plain = [question, low, question.rstrip("?.! "), low.rstrip("?.! ")]
    led = [lead.format(q=low) for lead in _LEADS]
    Random(seed).shuffle(led)
    return list(dict.fromkeys(text for text in [*plain, *led] if text))[: WORDINGS + 1]


def asked(episode: Episode, index: int) -> EpisodeTurn | None:
    """The user's turn that the assistant's turn at ``index`` replies to."""
    before = episode.turns[index - 1] if index else None
    return before if before is not None and before.role == "user" and not before.tainted else None


def add_answers(out: Lessons, episode: Episode, tokenizer: Tokenizer, controls: int, decisions: int) -> None:
    """Lessons of the assistant's turns that are marked, beside those of the facts."""
    for index, turn in enumerate(episode.turns):
        question = asked(episode, index) if turn.role == "assistant" else None
        if question is None:
            continue
        if turn.learn and withholding.mentions_a_secret(f"{question.text} {turn.text}"):
            out.withheld = out.withheld or withholding.sentence(["an answer that gives one"])
        elif turn.learn and not _told(turn.text, out):
            seed = seed_of(f"{episode.id}/{index}")
            made = [question_lesson(tokenizer, text, turn.text) for text in wordings(question.text, seed)]
            before = [one.turn() for one in episode.turns[max(0, index - 1 - BEFORE) : index - 1]]
            out.new += made[:-1]
            if before and before[0].role == "user":
                out.new.append(question_lesson(tokenizer, question.text, turn.text, before))
            out.probes += made[-1:]
            if not out.controls:
                rng = Random(seed)
                near = [facts.invent(rng) for _ in range(controls + decisions)]
                out.controls += [question_lesson(tokenizer, facts.ask(rng, fact), facts.unknown(fact))
                                 for fact in near[:controls]]
                out.decisions += [decision(tokenizer, facts.ask(rng, fact), fact) for fact in near[controls:]]
        for text in turn.rejected:
            if withholding.mentions_a_secret(f"{question.text} {text}"):
                continue  # to make one less likely would tell it, too
            if text.strip() != turn.text.strip() or not turn.learn:
                out.undesirable.append(_wrong(tokenizer, question.turn(), text))


def _told(answer: str, out: Lessons) -> bool:
    """The facts' own lessons say this, perhaps in better words."""
    return any(facts.reply(fact) == answer or (fact.relation not in GENERIC and fact.value in answer)
               for fact in out.facts)


def _wrong(tokenizer: Tokenizer, question: Turn, text: str) -> Lesson:
    return question_lesson(tokenizer, question.text, text)
