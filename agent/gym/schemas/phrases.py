"""Several wordings of one request, drawn without repetition."""

from __future__ import annotations

import random
import shlex
from collections.abc import Sequence
from typing import Any

from nimllm.agent.gym.schema import Draft
from nimllm.agent.gym.wordings import say


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
    """Without the blanks that an empty slot leaves."""
    return text.replace("  ", " ").replace(" :", ":").replace(" ;", ";").strip()


def quoted(*paths: str) -> str:
    """Paths as one stretch of a command; quotes only where bash needs them."""
    return " ".join(shlex.quote(path) for path in paths)


def string(text: str) -> str:
    """A text between single quotes, always quoted: the one form that the gym teaches for free text."""
    return "'" + text.replace("'", "'\\''") + "'"


def single(rng: random.Random, templates: Sequence[str], command: str, plan: str, asks: bool, answer: str | None = None,
           ordered: bool = False, protected: Sequence[str] = (), **slots: Any) -> Draft:
    """A draft of one command. Every slot's value is protected against typos, too."""
    names = (*protected, *(str(value) for value in slots.values() if str(value)))
    return Draft(several(rng, templates, **slots), [command], [plan], asks, ordered, answer, protected=names)
