"""Conversations from files, in the forms that they are passed around in, and what of each a model learns.

A row of JSONL or parquet is one of ``{"messages" or "turns": [{"role", "content" or "text"}, …]}``,
``{"conversations": [{"from", "value"}, …]}`` (ShareGPT), ``{"prompt", "completion" or "response"}`` and
``{"instruction", "input", "output" or "response"}`` (Alpaca), the last two with a "system" if there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nimllm.alignment.rows import json_rows
from nimllm.errors import NimError
from nimllm.llm.data.tally import Tally
from nimllm.llm.text import read_turns
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import LEARNED, Rendered, Turn, render

Turns = tuple[Turn, ...]
Rule = Literal["auto", "assistant", "model"]
LISTS = ("messages", "turns", "conversations")
PAIRS = (("instruction", ("output", "response")), ("prompt", ("completion", "response")))
_FORM = 'rows look like {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'
# names of roles besides ours and those that read_turns knows
_ROLES = {"developer": "system", "function": "output", "observation": "output", "chatgpt": "assistant",
          "bot": "assistant"}


def turns_of(row: dict[str, Any], where: str) -> Turns:
    """The turns of a row in any of the forms; NimError naming ``where``."""
    name = next((name for name in LISTS if row.get(name) is not None), None)
    if name is not None:
        return checked(read_turns(_plain(row[name]), where), where)
    for asked, answers in PAIRS:
        said = next((name for name in answers if row.get(name) is not None), None)
        if row.get(asked) is None or said is None:
            continue
        if row.get("label") is False:
            raise NimError(f"{where} is a bad answer", "its label is false", "nimllm align kto learns from it")
        question = row[asked]
        if asked == "instruction" and isinstance(question, str) and isinstance(row.get("input"), str) and row["input"]:
            question = f"{question}\n\n{row['input']}"
        return checked((*side(row.get("system"), "system", where), *side(question, "user", where),
                        *side(row[said], "assistant", where)), where)
    fields = ", ".join(map(str, row))[:200]
    raise NimError(f"{where} is not a conversation", f"its fields are {fields or 'none'}", _FORM)


def side(value: object, role: str, where: str) -> Turns:
    """What one side said: a text, or a list of turns."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = [{"role": role, "text": value}]
    if not isinstance(value, list):
        raise NimError(f"{where} is not a conversation", f"a {role} says {str(value)[:80]}", _FORM)
    return read_turns(_plain(value), where)


def _plain(rows: object) -> object:
    """Turns with the role names of others as ours, and the parts of OpenAI's contents joined."""
    if not isinstance(rows, list):
        return rows
    made: list[object] = []
    for given in rows:
        if not isinstance(given, dict):
            made.append(given)
            continue
        turn = {key: value for key, value in given.items() if value is not None}
        for key in ("role", "from"):
            if isinstance(turn.get(key), str):
                turn[key] = _ROLES.get(turn[key], turn[key])
        content = turn.get("content")
        if isinstance(content, list) and all(isinstance(part, dict) and isinstance(part.get("text"), str)
                                             for part in content):
            turn["content"] = "".join(part["text"] for part in content)
        made.append(turn)
    return made


def checked(turns: Turns, where: str) -> Turns:
    """The turns; NimError when there are none or a text holds a NUL."""
    if not turns:
        raise NimError(f"{where} is not a conversation", "it has no turns", _FORM)
    if any("\0" in turn.text for turn in turns):
        raise NimError(f"{where} holds a NUL", "", "mend the row")
    return turns


def conversations(paths: Iterable[Path], tally: Tally) -> Iterator[tuple[str, Turns]]:
    """(where it stands, its turns) of every conversation in the files. Bad rows are counted in ``tally``, which raises
    the first when it is strict."""
    for path in paths:
        for where, row in json_rows(path, tally):
            try:
                turns = turns_of(row, where)
            except NimError as error:
                tally.bad("NULs" if "NUL" in error.what else "lone surrogates" if "Unicode" in error.what else
                          "not a conversation", error, where)
                continue
            yield where, turns


# ---- what is learnt ----


def rule_of(turns: Sequence[Turn], rule: Rule) -> Literal["assistant", "model"]:
    """"auto" is "model" for a task of the agent, where the marker that opens a turn is the model's choice between
    planning, running and answering, and "assistant" for everything else, where the harness writes it."""
    if rule != "auto":
        return rule
    return "model" if any(turn.role in ("plan", "bash") for turn in turns) else "assistant"


def rendered(turns: Sequence[Turn], tokenizer: Tokenizer, rule: Rule = "auto") -> Rendered:
    """Ids and loss mask of a conversation. "assistant": the text and the end marker of the assistant's turns;
    "model": of everything that the model writes, opening markers too. Tainted text is never learnt."""
    return render(turns, tokenizer, learn=rule_of(turns, rule))


def learnt(turns: Sequence[Turn], rule: Rule) -> list[Turn]:
    """The turns that carry loss."""
    roles = LEARNED if rule_of(turns, rule) == "model" else {"assistant"}
    return [turn for turn in turns if turn.role in roles and not turn.tainted]


def flaw(turns: Sequence[Turn], rule: Rule) -> str:
    """Why nothing can be learnt of a conversation, or "": a mask must hold text, not end markers alone."""
    own = learnt(turns, rule)
    if not own:
        return "the model writes none of it (" + ", ".join(dict.fromkeys(turn.role for turn in turns)) + ")"
    if any(turn.role == "assistant" and not turn.text.strip() for turn in own):
        return "an answer in it is empty"
    return "" if any(turn.text.strip() for turn in own) else "what the model writes in it is empty"


def without_oldest(turns: Turns) -> Turns:
    """The conversation without its oldest exchange (from one user turn to the next); the same when there is one only.
    What the system said at the beginning stays."""
    begin = next((i for i, turn in enumerate(turns) if turn.role != "system"), len(turns))
    users = [i for i, turn in enumerate(turns) if turn.role == "user" and i > begin]
    return turns[:begin] + turns[users[0]:] if users else turns


@dataclass
class Fitting:
    """Conversations that fit a context, whole. ``shortened``: how many lost their oldest exchanges to that end."""

    tokenizer: Tokenizer
    context: int
    rule: Rule = "auto"
    drop_turns: bool = False
    skip_long: bool = False
    skip_empty: bool = False
    shortened: int = 0
    dropped: int = 0

    def fit(self, where: str, turns: Turns, tally: Tally) -> tuple[Turns, Rendered] | None:
        """The turns and their ids, or None when they are left out, and counted.

        NimError naming the row: nothing in it can be learnt (unless ``skip_empty``), or it is longer than the context
        (unless ``skip_long``). An answer is never cut.
        """
        why = flaw(turns, self.rule)
        if why:
            if not self.skip_empty:
                raise NimError(f"{where} has nothing to learn", why, "each conversation needs an answer that is not "
                               "tainted: mend it, or leave such rows out with --skip-empty")
            tally.left("nothing to learn", where)
            return None
        made = rendered(turns, self.tokenizer, self.rule)
        whole, size = len(turns), len(made.ids)
        while self.drop_turns and len(made.ids) > self.context:
            fewer = without_oldest(turns)
            if len(fewer) == len(turns) or flaw(fewer, self.rule):
                break
            turns, made = fewer, rendered(fewer, self.tokenizer, self.rule)
        if len(made.ids) > self.context:
            if not self.skip_long:
                raise NimError(f"{where} is longer than the context", f"{size} tokens of {self.context}",
                               "shorten it, leave out its oldest exchanges with --drop-turns oldest, or leave such "
                               "rows out with --skip-long")
            tally.left("longer than the context", where)
            return None
        self.shortened += len(turns) < whole
        self.dropped += whole - len(turns)
        return turns, made
