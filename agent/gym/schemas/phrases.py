"""Several wordings of one request, drawn without repetition."""

from __future__ import annotations

import random
import shlex
from collections.abc import Sequence
from typing import Any

from nimllm.agent.gym.schema import Draft
from nimllm.agent.gym.wordings import say

_NAMED = frozenset({"f", "s", "d", "a", "b", "l", "folder"})  # slots that hold a file or folder in most schemas


def spoken(rng: random.Random, name: Any) -> Any:
    """A file's name as it is typed: in quotes often when it holds a blank, now and then when it does not."""
    if not isinstance(name, str) or not any(sign in name for sign in "./ ") or any(sign in name for sign in "'\"`"):
        return name
    if ", " in name or " and " in name:  # several names
        return name
    if rng.random() > (0.45 if " " in name else 0.06):
        return name
    return rng.choice(("'{}'", '"{}"', '"{}"', "`{}`")).format(name)


def several(rng: random.Random, templates: Sequence[str], least: int = 2, most: int = 4, **slots: object) -> list[str]:
    """Between ``least`` and ``most`` different requests of one meaning, each from another template."""
    wanted = rng.randint(least, most)
    found: dict[str, None] = {}
    for template in rng.sample(list(templates), len(templates)):
        found[squeeze(say(rng, template, **slots))] = None
        if len(found) == wanted:
            break
    return list(found)


def squeeze(text: str) -> str:
    """Without the blanks and commas that an empty slot leaves."""
    text = text.replace("  ", " ").replace(" :", ":").replace(" ;", ";").replace(" ,", ",").replace(",,", ",")
    return text.strip().removesuffix(",")


def quoted(*paths: str) -> str:
    """Paths as one stretch of a command; quotes only where bash needs them."""
    return " ".join(shlex.quote(path) for path in paths)


def string(text: str) -> str:
    """A text between single quotes, always quoted: the one form that the gym teaches for free text."""
    return "'" + text.replace("'", "'\\''") + "'"


def single(rng: random.Random, templates: Sequence[str], command: str, plan: str, asks: bool, answer: str | None = None,
           ordered: bool = False, protected: Sequence[str] = (), **slots: Any) -> Draft:
    """A draft of one command. Every slot's value is protected against typos, too; names may come in quotes."""
    names = (*protected, *(str(value) for value in slots.values() if str(value)))
    slots = {key: spoken(rng, value) if key in _NAMED else value for key, value in slots.items()}
    return Draft(several(rng, templates, **slots), [command], [plan], asks, ordered, answer, protected=names)
