"""The sentences around a request: one phrase for what is wanted becomes the many ways of asking for it.

A phrase is a template of :func:`nimllm.agent.gym.wordings.say`; so are the results.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from nimllm.agent.gym.schema import Draft
from nimllm.agent.gym.schemas.phrases import single

__all__ = ["called", "change", "deed", "mark", "number", "show", "sought", "spelled"]

_SHOWN = ("(||||show |show me |print |give me |display |output |get |I need |I'd like |I want |I'd like to see |"
          "I want to see |let me see |I'm looking for |please show |find |what I need: )")
_ASKED = ("(can|could) you (show|give|print) me {}?", "(can|may) I (see|have|get) {}?", "{}, please",
          "I was asked for {}", "how do I (get|see|print) {}?",
          "we need {}", "{}?")
_DONE = ("(||||||I want to |I need to |I'd like to |we (need|have) to |you (should|can) |let's |please |go ahead and |"
         "I'd like you to |your task: )")
_NUMBERS = ("how many {}(| are there)?", "how many {} (are there|do we have|can you find)?",
            "(count|count up|tally) (the|all|) {}", "(number|count|total number) of {}",
            "(give me|I need|tell me|show|print|get|what is) the (number|count) of {}",
            "I'd like to know how many {} there are", "{}: how many?", "(tell me|find out|check) how many {} there are",
            "I want to count the {}", "how many {}? (just the number|only the number|the number is enough)",
            "(the|) number of {}, nothing else", "{}, (counted|the count|just the count)")
_NUMERALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_QUOTES = ('"{}"', "'{}'", "`{}`")


def sought(*nouns: str, tool: str = "") -> tuple[str, ...]:
    """Requests to be shown something: ``nouns`` are phrases such as "the blank lines of {f}"."""
    found = [_SHOWN + noun for noun in nouns]
    found += [frame.replace("{}", "(" + "|".join(nouns) + ")") for frame in _ASKED]
    if tool:
        some = "(" + "|".join(nouns) + ")"
        found += [f"use {tool} to (show|print|get) {some}", f"(with|using) {tool}, (show|print|get) {some}",
                  f"{some} (with|using) {tool}"]
    return tuple(found)


def number(*nouns: str) -> tuple[str, ...]:
    """Requests to count something: ``nouns`` are plurals without an article, such as "blank lines in {f}"."""
    some = "(" + "|".join(nouns) + ")"
    return tuple(frame.replace("{}", some) for frame in _NUMBERS)


def deed(*orders: str, tool: str = "") -> tuple[str, ...]:
    """Requests to do something: ``orders`` are imperatives such as "delete line {n} of {f}"."""
    placed = [order for order in orders if order.startswith(("in ", "on ", "(in ", "(on "))]
    orders = tuple(order for order in orders if order not in placed)
    found = [_DONE + order for order in orders] + placed  # no verb goes before "in notes.txt, ..."
    some = "(" + "|".join(orders) + ")"
    found += ["(can|could|would) you " + some + "?", "(I was told to|someone should|we agreed to) " + some]
    if tool:
        found += [f"use {tool} to {some}", f"{some} (with|using) {tool}"]
    return tuple(found)


def spelled(rng: random.Random, number: int) -> str:
    """The number as people write it: small ones often as a word."""
    return _NUMERALS[number] if 0 < number < len(_NUMERALS) and rng.random() < 0.3 else str(number)


def called(rng: random.Random, path: str) -> str:
    """A path as people write it: mostly bare; one with a blank mostly between quotes."""
    return rng.choice(_QUOTES).format(path) if rng.random() < (0.6 if " " in path else 0.08) else path


def mark(rng: random.Random, text: str, share: float = 0.45) -> str:
    """A word or text of the request, in quotes with that probability; always when it could not be told apart."""
    odd = not text.replace(" ", "").replace("-", "").replace("_", "").isalnum()
    return rng.choice(_QUOTES[:2]).format(text) if (odd or rng.random() < share) and "'" not in text else text


def _prepared(rng: random.Random, templates: Sequence[str], slots: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    for name in ("f", "g", "t"):
        if name in slots:
            slots[name] = called(rng, str(slots[name]))
    said = [template.replace("{f}", "(||||||||the file |file ){f}").replace("{t}", "(||||||||the file ){t}")
            for template in templates]
    return said, slots


def show(rng: random.Random, templates: Sequence[str], command: str, plan: str, ordered: bool = True,
         answer: str | None = None, protected: Sequence[str] = (), **slots: Any) -> Draft:
    """A draft whose output is the answer. The slots f, g and t are files."""
    said, slots = _prepared(rng, templates, slots)
    return single(rng, said, command, plan, True, answer, ordered, protected, **slots)


def change(rng: random.Random, templates: Sequence[str], command: str, plan: str, answer: str | None = None,
           protected: Sequence[str] = (), **slots: Any) -> Draft:
    """A draft that changes or makes files. The slots f, g and t are files."""
    said, slots = _prepared(rng, templates, slots)
    return single(rng, said, command, plan, False, answer, False, protected, **slots)
