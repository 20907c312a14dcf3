"""Lessons of what a user taught the agent: a request and the command for it, in many wordings, and what lies near.

A lesson is an agent's task up to its first command: the note of a folder, the request, the plan, the command. The plan
names the command ("run make ship"), so that what a request brings back is one thing, and no other plan leads to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from random import Random

from nimllm.alignment.episodes import Convention, Episode
from nimllm.alignment.memory import facts, phrasings
from nimllm.alignment.memory.events import Record
from nimllm.alignment.memory.lesson import Lesson, Lessons, decision, seed_of
from nimllm.alignment.memory.relations import Fact
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render, workspace_note

RUNS = "runs"  # the relation of a request to its command, in a record's facts
WORDINGS = {1: 10, 2: 7, 3: 6}  # per convention, by how many there are; more: 5
PROBES = 2  # wordings per convention that the update does not train on
_NAMES = ("a.txt", "b.log", "data.csv", "docs/", "main.py", "Makefile", "notes.txt", "old/", "ops/", "README.md",
          "run.sh", "scripts/", "src/", "tests/", "todo.md")  # fmt: skip


def plan_of(command: str) -> str:
    """The plan that leads to a taught command."""
    return f"run {command}"


def a_note(rng: Random) -> str:
    """The note of some folder: a taught command holds wherever it is asked for."""
    return workspace_note(rng.sample(_NAMES, rng.choice((0, 2, 4, 7))))


def command_lesson(tokenizer: Tokenizer, request: str, command: str, note: str) -> Lesson:
    """From the note to the command. The marker that opens the plan is the harness's; the one that opens the command is
    the model's choice, and learnt."""
    asked = [*render([Turn("system", note, tainted=True), Turn("user", request)], tokenizer).ids,
             tokenizer.marker("plan")]
    end = tokenizer.marker("end")
    body = [*tokenizer.encode(plan_of(command)), end, tokenizer.marker("bash"), *tokenizer.encode(command), end]
    return Lesson((*asked, *body), (False,) * len(asked) + (True,) * len(body), request, command, "task")


def taught_before(records: Iterable[Record]) -> list[str]:
    """Requests whose commands the accepted records hold."""
    return list(dict.fromkeys(fact[0] for record in records if record.state in ("accepted", "consolidated")
                              for fact in record.facts if fact[1] == RUNS))


def notes_of(episode: Episode) -> list[str]:
    return [turn.text for turn in episode.turns if turn.role == "system"][:1]


def add_conventions(out: Lessons, episode: Episode, tokenizer: Tokenizer, controls: int, decisions: int,
                    known: Collection[tuple[str, str]] = ()) -> None:
    """The lessons of an episode's conventions. ``known``: what older memories are about."""
    taught = list({phrasings.core(one.request).lower(): one for one in episode.conventions}.values())
    if not taught:
        return
    requests = [one.request for one in taught]
    taken = [subject for subject, relation in known if relation == RUNS]
    count = WORDINGS.get(len(taught), 5)
    few, many = -(-controls // len(taught)), -(-decisions // len(taught))
    for one in taught:
        subject = phrasings.core(one.request).lower()
        seed = seed_of(f"{episode.id}/{subject}")
        rng = Random(seed)
        others = [text for text in (*taken, *requests) if phrasings.core(text).lower() != subject]
        wordings = phrasings.paraphrases(one.request, seed, count + PROBES, others)
        notes = [*notes_of(episode), *(a_note(rng) for _ in wordings)]
        made = [command_lesson(tokenizer, wording, one.command, note)
                for wording, note in zip(wordings, notes, strict=False)]
        # the request in its own words is always learnt; the last wordings are for measuring
        held = min(PROBES, len(made) - 1)
        out.facts.append(Fact(subject, RUNS, one.command))
        out.new += made[: len(made) - held]
        out.probes += made[len(made) - held :] or made[:1]
        asked = [_asked(tokenizer, text, a_note(rng)) for text in phrasings.near(one.request, seed, few + many, others)]
        out.controls += asked[:few]
        out.decisions += [lesson.prompt for lesson in asked[few:]]
        # and how questions of a conversation are met
        others_known = [facts.invent(rng) for _ in range(2)]
        out.decisions += [decision(tokenizer, facts.ask(rng, fact), fact) for fact in others_known]


def _asked(tokenizer: Tokenizer, request: str, note: str) -> Lesson:
    """A request whose plan is to stay what it is (the update fills in what the model says now)."""
    ids = render([Turn("system", note, tainted=True), Turn("user", request)], tokenizer).ids
    body = (tokenizer.marker("plan"), tokenizer.marker("end"))
    return Lesson((*ids, *body), (False,) * (len(ids) + 1) + (True,), request, "", "task")


def turned_down(episode: Episode, tokenizer: Tokenizer, context: int) -> list[Lesson]:
    """What the user did not want, where the model had proposed it: the turns before it, and the text."""
    found: list[Lesson] = []
    before: list[Turn] = []
    for turn in episode.turns:
        for text in turn.rejected:
            if text.strip() == turn.text.strip() and turn.learn:
                continue  # the same words were wanted after all
            prompt = [*render(before, tokenizer).ids, tokenizer.marker(turn.role)]
            body = [*tokenizer.encode(text), tokenizer.marker("end")]
            if len(prompt) + len(body) <= context:
                found.append(Lesson((*prompt, *body), (False,) * len(prompt) + (True,) * len(body), "", text))
        before.append(turn.turn())
    return found


def command_forms(records: Sequence[Record]) -> list[Convention]:
    """What the accepted records taught, the newest command of each request."""
    newest: dict[str, Convention] = {}
    for record in records:
        if record.state in ("accepted", "consolidated"):
            for subject, relation, value in record.facts:
                if relation == RUNS:
                    newest[subject] = Convention(request=subject, command=value)
    return list(newest.values())
