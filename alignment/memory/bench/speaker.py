"""Free greedy generation of many prompts side by side, with a cache, until each one's own end mark. torch.

There is no padding, so each prompt gets the arithmetic it would get alone: a batch reads as many ids as its shortest
prompt has, and then goes on id by id; the longer ones are given theirs while the others already write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from nimllm.alignment.memory.bench.questions import Answer, Question
from nimllm.llm.model import GPT, KeyValues
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import ROLES, Turn, render

ROWS, SPREAD = 128, 24  # prompts of one batch; how much longer its longest is than its shortest, in tokens
ANSWER_TOKENS, PLAN_TOKENS = 48, 64
Told = Callable[[int], None]  # is told how many prompts were finished


def _batches(prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Places of prompts of similar length, short ones first."""
    group: list[int] = []
    for place in sorted(range(len(prompts)), key=lambda place: len(prompts[place])):
        if group and (len(group) == ROWS or len(prompts[place]) - len(prompts[group[0]]) > SPREAD):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _chosen(cache: KeyValues, rows: torch.Tensor) -> KeyValues:
    out = KeyValues()
    out.layers = {layer: (keys[rows], values[rows]) for layer, (keys, values) in cache.layers.items()}
    return out


@torch.no_grad()
def continued(model: GPT, tokenizer: Tokenizer, prompts: Sequence[Sequence[int]], limit: int, tell: Told | None = None
              ) -> list[tuple[list[int], bool]]:
    """(ids without the end mark, did it come) for each prompt. Like a session's writer, it cannot write a marker of its
    own. An answer that reaches ``limit`` tokens or the context's end has not ended."""
    end = tokenizer.marker("end")
    shut = [0, 1, 2, 3, *(tokenizer.marker(role) for role in ROLES)]
    out: list[tuple[list[int], bool]] = [([], False)] * len(prompts)
    for places in _batches(prompts):
        written: dict[int, list[int]] = {place: [] for place in places}
        room = {place: min(limit, model.config.context - len(prompts[place])) for place in places}
        at = len(prompts[places[0]])
        new = torch.tensor([list(prompts[place][:at]) for place in places])
        cache, going = KeyValues(), list(places)
        while going:
            logits_bv = (model.hidden(new, cache)[:, -1] @ model.head.T).float()
            logits_bv[:, shut] = -torch.inf
            keep, following = [], []
            for row, choice in enumerate(logits_bv.argmax(1).tolist()):
                place = going[row]
                if at < len(prompts[place]):
                    choice = prompts[place][at]
                elif choice == end and room[place] > 0:
                    out[place] = (written[place], True)
                    continue
                elif len(written[place]) < room[place]:
                    written[place].append(choice)
                if at >= len(prompts[place]) and len(written[place]) >= room[place]:
                    out[place] = (written[place], False)
                    continue
                keep.append(row)
                following.append(choice)
            if len(keep) < len(going):
                cache, going = _chosen(cache, torch.tensor(keep, dtype=torch.long)), [going[row] for row in keep]
            new = torch.tensor(following, dtype=torch.long)[:, None]
            at += 1
        if tell:
            tell(len(places))
    return out


def _prompt(tokenizer: Tokenizer, turns: Sequence[Turn], role: str, context: int, limit: int) -> list[int]:
    """Ids up to the marker that opens the answer. What does not fit is left out turn by turn from the beginning, the
    last one's own beginning at the very last."""
    turns = list(turns)
    room = context - min(limit, context // 2)
    ids = [*render(turns, tokenizer).ids, tokenizer.marker(role)]
    while len(ids) > room and len(turns) > 1:
        turns = turns[1:]
        ids = [*render(turns, tokenizer).ids, tokenizer.marker(role)]
    return ids if len(ids) <= room else [ids[0], *ids[-(room - 1):]]


def answer(model: GPT, tokenizer: Tokenizer, asked: Sequence[Sequence[Turn]], role: str, limit: int,
           tell: Told | None = None) -> list[Answer]:
    """The model's next turn, of the given role, to each conversation."""
    prompts = [_prompt(tokenizer, turns, role, model.config.context, limit) for turns in asked]
    return [Answer(tokenizer.decode(ids).strip(), ended)
            for ids, ended in continued(model, tokenizer, prompts, limit, tell)]


def answer_all(model: GPT, tokenizer: Tokenizer, questions: Sequence[Question], tell: Told | None = None
               ) -> dict[str, Answer]:
    """By id. A task is answered by a plan, and then by the command whose text counts."""
    talks = [question for question in questions if not question.task]
    tasks = [question for question in questions if question.task]
    out = dict(zip((question.id for question in talks),
                   answer(model, tokenizer, [question.turns() for question in talks], "assistant", ANSWER_TOKENS, tell),
                   strict=True))
    plans = answer(model, tokenizer, [question.turns() for question in tasks], "plan", PLAN_TOKENS)
    planned = [[*question.turns(), Turn("plan", plan.text)] for question, plan in zip(tasks, plans, strict=True)]
    commands = answer(model, tokenizer, planned, "bash", ANSWER_TOKENS, tell)
    return {**out, **{question.id: command for question, command in zip(tasks, commands, strict=True)}}
