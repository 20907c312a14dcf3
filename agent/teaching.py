"""What the user's corrections teach: episodes for the memory, and a sentence about what will be learnt of them.

An edited command wins over the proposed one; a command typed by the user where the model failed is the right one for
that request; ``/fix`` says what should have been; an order ("deploy means `make ship`") holds from now on. Each makes a
convention, request -> command, and what the model had proposed in its place becomes less likely, within a bound.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from nimllm.agent.display import one_line
from nimllm.agent.loop import NEUTRAL
from nimllm.agent.results import Step, TaskResult

if TYPE_CHECKING:
    from nimllm.agent.records import TaskRecord
    from nimllm.alignment.episodes import Episode

Redact = Callable[[str], str]
# a command that begins with one of these, and does nothing else, may be the user looking round
_LOOKS = frozenset(re.findall(r"\S+", """
    ls ll la dir cd pwd cat less more head tail man type which whereis history clear help echo file stat tree
    bat vi vim nano emacs fg bg jobs"""))
_GIT_LOOKS = frozenset(("status", "log", "diff", "show", "branch"))
_JOINED = re.compile(r"[|;&<>`]|\$\(")
_QUOTED = re.compile(r"^(?:`(?P<code>[^`]+)`|[!$] ?(?P<typed>\S.*))$", re.DOTALL)


def only_looks(command: str) -> bool:
    """Whether a command of the user's is no more than a look at things: ``ls``, ``git status``; not ``ls | wc -l``."""
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    if not words or _JOINED.search(command):
        return not words
    return words[0] in _LOOKS or (words[0] == "git" and len(words) > 1 and words[1] in _GIT_LOOKS)


def failed(result: TaskResult) -> bool:
    """Whether the model got nowhere with a request, so that a command typed next is the right one for it: it failed, or
    a proposal of its was turned down and none ran."""
    kind = result.outcome[0]
    if kind == "failure":
        return bool(result.request)
    turned_down = any(step.decision in ("reject", "abort") for step in result.steps)
    return kind == "aborted" and turned_down and result.ended == "aborted"


def turned_down(result: TaskResult, step: Step) -> list[str]:
    """What the model had proposed where ``step`` ran in the end: rejected without a word (a reason makes another plan,
    hence another place), or edited."""
    found: list[str] = []
    at = next(number for number, one in enumerate(result.steps) if one is step)
    for before in reversed(result.steps[:at]):
        if before.decision != "reject" or before.plan is not None:
            break
        found.insert(0, before.edited_from or before.command)
    if step.edited_from is not None:
        found.append(step.edited_from)
    return list(dict.fromkeys(text for text in found if text.strip() != step.command.strip()))


def edited(result: TaskResult) -> Step | None:
    """The one command of a task, when the user edited it and it worked: it is the command for such a request."""
    ran = result.commands
    if len(ran) != 1 or ran[0].edited_from is None or ran[0].status != 0:
        return None
    return ran[0] if ran[0].edited_from.strip() != ran[0].command.strip() else None


def proposals(result: TaskResult) -> list[str]:
    """The model's first proposals, up to the first that ran: what it would do again."""
    found: list[str] = []
    for step in result.steps:
        if step.by != "model" or step.plan is not None:
            break
        found.append(step.edited_from or step.command)
        if step.ran:
            break
    return list(dict.fromkeys(found))


def blamed(result: TaskResult) -> bool:
    """Whether it is clear what was wrong in a task that the user calls wrong: one command, or an answer alone."""
    return len([step for step in result.steps if step.by == "model"]) == 1 or bool(
        not result.steps and result.answer and result.answer != NEUTRAL)


def command_of(text: str) -> str:
    """A command that is marked as one (`in backquotes`, with ! or $ in front), without the marks; "" otherwise."""
    match = _QUOTED.match(text.strip())
    return (match["code"] or match["typed"]).strip() if match else ""


def is_command(text: str) -> bool:
    """Whether ``text`` reads as a command: it begins with a program, and does not end like a sentence."""
    from nimllm.alignment.memory.conventions import is_program

    first = text.split(None, 1)[0] if text.strip() else ""
    return bool(first) and is_program(first) and not re.search(r"\w[.!?]$", text.strip()[-2:])


def episode(record: TaskRecord, result: TaskResult, redact: Redact, command: str = "", answer: str = "") -> Episode:
    """A task that went wrong: what the model did is undesirable, and ``command`` or ``answer`` is what should have been
    run or said. With neither, it is only undesirable."""
    from nimllm.alignment.episodes import Convention, Episode, EpisodeTurn, Outcome

    turns = [EpisodeTurn(role="system", text=redact(result.note), tainted=True),
             EpisodeTurn(role="user", text=redact(result.request)),
             EpisodeTurn(role="plan", text=redact(result.plan))]
    wrong = [redact(text) for text in proposals(result) if text.strip() != command.strip()]
    if answer:
        old = [redact(result.answer)] if result.answer and result.answer != NEUTRAL else []
        turns.append(EpisodeTurn(role="assistant", text=redact(answer), learn=True, rejected=old))
    elif wrong and (command or blamed(result)):
        turns.append(EpisodeTurn(role="bash", text=wrong[0], rejected=wrong))
    elif not command and blamed(result):
        turns.append(EpisodeTurn(role="assistant", text=redact(result.answer), rejected=[redact(result.answer)]))
    taught = [Convention(request=redact(result.request), command=redact(command))] if command else []
    outcome = Outcome(kind="success" if command or answer else "failure", by="user", detail=record.detail)
    return Episode(id=record.id, kind="task", model=record.base, turns=turns, conventions=taught, outcome=outcome)


def order_episode(record: TaskRecord, text: str, request: str, command: str, redact: Redact) -> Episode:
    """An order about the future; nothing ran."""
    from nimllm.alignment.episodes import Convention, Episode, EpisodeTurn, Outcome

    return Episode(id=record.id, kind="convention", model=record.base,
                   turns=[EpisodeTurn(role="user", text=redact(text))],
                   conventions=[Convention(request=redact(request), command=redact(command))],
                   outcome=Outcome(kind="success", by="user", detail=record.detail))


def sentence(learnt: Episode) -> str:
    """What will be learnt of a correction; "" where nothing was corrected."""
    parts = [f"“{one_line(one.request, 50)}” means {one_line(one.command, 80)}" for one in learnt.conventions]
    if not parts and any(turn.role == "assistant" and turn.learn and turn.rejected for turn in learnt.turns):
        parts.append("the answer you gave")
    less = list(dict.fromkeys(text for turn in learnt.turns for text in turn.rejected))
    if less:
        parts.append(f"less likely: {one_line(', '.join(less), 80)}")
    return "; ".join(parts)
