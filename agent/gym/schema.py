"""What a kind of request is: a function from a random world to a draft episode.

A schema never states what a command prints or does: it gives the request and the right commands, and execution in the
sandbox makes the outputs and the truth (``episodes.py``).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nimllm.agent.gym.worlds import Unsuitable, World

__all__ = ["SCHEMAS", "Draft", "Make", "Schema", "Unsuitable", "schema"]


@dataclass(frozen=True)
class Draft:
    """One episode before it is executed.

    ``requests``: wordings of the same request, at least one (2 to 4 are better; training uses several).
    ``commands``: the right bash commands, in order, run in one persistent shell that starts in the world's root.
    ``plan``: one short line per command ("count the lines of notes.txt"); none for a repair, since the plan is made
    before anything has failed.
    ``asks``: True when the user wants to know something: then the output of the last command is the truth and the
    model's output must match it; False when only the state of the files (and git) afterwards matters.
    ``ordered``: whether the order of output lines matters to the user.
    ``answer``: the assistant's last words. ``{output}`` is replaced by the last command's output (stripped) when that
    is at most 200 characters; otherwise, or when None, a neutral sentence is used.
    ``fails``: index of commands that are meant to fail (a repair follows); all others must exit 0.

    A request that nobody should carry out has no commands (its schema has ``steps=0``): one line of plan that says why,
    and an ``answer`` that says it to the user. Right is then that no command ran.
    """

    requests: Sequence[str]
    commands: Sequence[str]
    plan: Sequence[str]
    asks: bool
    ordered: bool = False
    answer: str | None = None
    fails: frozenset[int] = field(default_factory=frozenset)
    protected: tuple[str, ...] = ()  # names and patterns in the request that no typo may touch
    volatile: bool = False  # the output depends on the machine or the moment: only the state is checked
    literals: tuple[tuple[str, str], ...] = ()  # (kind, text) of what the command must repeat, where that is counted
    times: tuple[str, ...] = ()  # paths whose modification time (whole seconds) is part of the state


Make = Callable[[World, random.Random], Draft]


@dataclass(frozen=True)
class Schema:
    name: str  # "find.by_extension"
    tools: tuple[str, ...]  # the programs of the right commands
    steps: int  # commands of an episode; 0: the right behaviour is to run none
    make: Make
    weight: float = 1.0
    git: bool = False  # the world must be a git repository with some commits
    theme: str | None = None  # of the world; None: any


SCHEMAS: dict[str, Schema] = {}


def schema(
    name: str, tools: str, steps: int = 1, weight: float = 1.0, git: bool = False, theme: str | None = None
) -> Callable[[Make], Make]:
    """Register a schema; ``tools`` is a blank-separated list."""

    def register(make: Make) -> Make:
        if name in SCHEMAS:
            raise ValueError(f"two schemas are called {name}")
        SCHEMAS[name] = Schema(name, tuple(tools.split()), steps, make, weight, git, theme)
        return make

    return register
