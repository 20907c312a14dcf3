"""The hundred conventions of a seed: invented projects, commands that nobody could guess, the order of teaching.

A run with fewer takes the first ones, so that it can go on to more. Half of the projects share a part of their name
with another one, and some are what several conventions are about: what was taught of one must not be done to another.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from random import Random

from nimllm.agent.taught import wordings
from nimllm.agent.taught.wordings import Kind
from nimllm.alignment.memory.bench.names import Names

SIZE = 100
SHARED = 0.3  # share of the conventions about a project that another one is about already
_FOLDERS = ("ops", "bin", "tools", "scripts", "ci", "dev")
_VERBS = ("heft", "fold", "carve", "weave", "purl", "tilt", "graft", "knit", "braid", "plane", "chime", "skim",
          "latch", "brew", "husk", "dredge", "anneal", "buff", "crimp", "dab", "etch", "flip", "gild", "hem")
_THINGS = ("lantern", "walnut", "ferrule", "cobble", "thistle", "gasket", "marrow", "pebble", "quiver", "saddle",
           "tassel", "velvet", "anchor", "bobbin", "cinder", "dowel", "ember", "funnel", "gimlet", "hamper", "kettle",
           "lozenge", "mallet", "nutmeg", "oyster", "pulley", "radish", "sprocket", "trowel", "urchin", "wicket",
           "yoke", "zither", "acorn", "barrel", "clover", "drum", "elbow", "feather", "goblet")
_FLAGS = ("lane", "shade", "grade", "berth", "tier", "depth", "gauge", "pace", "batch", "crew")
_VALUES = ("teal", "amber", "north", "seven", "plum", "dusk", "coral", "ivory", "south", "nine", "slate", "dawn",
           "ochre", "rust", "mint", "sage")


@dataclass(frozen=True)
class Convention:
    """``request``: how it is taught; ``asked``: the other wordings; ``controls``: requests that must not bring
    ``command``, nor any other that was taught. ``scripts``: files that the command needs to end well."""

    request: str
    command: str
    asked: tuple[str, ...]
    controls: tuple[str, ...]
    scripts: tuple[str, ...]
    kind: str
    edit: bool  # taught by an edit, else by !COMMAND


@lru_cache(maxsize=8)
def bank(seed: int, size: int = SIZE) -> tuple[Convention, ...]:
    """The conventions of a seed, in the order in which they are taught; the same on every machine."""
    rng = Random(f"taught/{seed}")
    named, nameless = list(wordings.named()), list(wordings.nameless())
    count = size - len(nameless)
    kinds = [kind for _ in range(-(-count // len(named))) for kind in rng.sample(named, len(named))][:count]
    names, told = Names(rng), list[tuple[Kind, str]]()
    for kind in kinds:
        busy = {name for other, name in told if other is kind}
        free = [name for name in dict.fromkeys(name for _, name in told) if name not in busy]
        told.append((kind, rng.choice(free) if free and rng.random() < SHARED else names.draw("project")))
    drawn = [*told, *((kind, "") for kind in nameless)]
    rng.shuffle(drawn)
    commands: dict[str, tuple[str, ...]] = {}
    while len(commands) < size:
        command, scripts = _command(rng)
        commands[command] = scripts
    found = []
    for number, ((kind, name), (command, scripts)) in enumerate(zip(drawn, commands.items(), strict=True)):
        controls = [kind.near.format(p=name)]
        if name:  # the same wish about a project of which nothing was said
            controls.append(rng.choice(kind.asked).format(p=names.draw("project", like=name)))
        found.append(Convention(kind.taught.format(p=name), command, tuple(text.format(p=name) for text in kind.asked),
                                tuple(controls), scripts, kind.taught, number % 2 == 0))
    return tuple(found)


def _command(rng: Random) -> tuple[str, tuple[str, ...]]:
    """One of a few million commands, and the scripts in it."""
    folder, verb, thing = rng.choice(_FOLDERS), rng.choice(_VERBS), rng.choice(_THINGS)
    flag, value, number = rng.choice(_FLAGS), rng.choice(_VALUES), rng.randrange(2, 100)
    other = rng.choice([name for name in _VERBS if name != verb])
    return rng.choice((
        (f"./{folder}/{verb} {thing} --{flag} {value}", (f"{folder}/{verb}",)),
        (f"sh {folder}/{thing}.sh {value} {number}", (f"{folder}/{thing}.sh",)),
        (f"bash {folder}/{verb}-{thing}.sh --{flag}={value}", (f"{folder}/{verb}-{thing}.sh",)),
        (f"{flag.upper()}={value} ./{folder}/{verb} {thing}", (f"{folder}/{verb}",)),
        (f"./{folder}/{verb} {thing} && ./{folder}/{other} {value}", (f"{folder}/{verb}", f"{folder}/{other}")),
    ))


def digest(seed: int) -> str:
    """SHA-256 of everything that is taught and asked."""
    data = [asdict(one) for one in bank(seed)]
    return hashlib.sha256(json.dumps(data, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
