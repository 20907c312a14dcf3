"""Many wordings of one request: a small alternation grammar; ``humanise`` adds the noise of people who type."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym.register import humanise

__all__ = ["humanise", "say"]

_GROUP = re.compile(r"\(([^()]*)\)")


def say(rng: random.Random, template: str, **slots: object) -> str:
    """Expand ``(a|b|)`` alternations (nested too), fill ``{slot}``s, squeeze blanks.

    Slots are filled last, so a value may hold any character.
    """
    while (match := _GROUP.search(template)) is not None:
        options = match.group(1).split("|")
        template = template[: match.start()] + rng.choice(options) + template[match.end() :]
    template = re.sub(r" ([,?]|\.(?!\w))", r"\1", re.sub(r"\s+", " ", template).strip())
    return re.sub(r"\{(\w+)\}", lambda found: str(slots[found.group(1)]), template)
