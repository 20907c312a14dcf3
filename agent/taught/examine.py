"""What the agent would run first for a request, in a folder it has not seen: the planning of one step, as --plan-only
does it, under the weights of some moment."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from nimllm.agent.plans import Folder
from nimllm.agent.taught.bank import Convention
from nimllm.errors import NimError

if TYPE_CHECKING:
    from nimllm.llm.generate import Generator

FOLDERS = 6  # fresh workspaces; each request is asked in one of them
_NAMES = ("README.md", "notes.txt", "a.txt", "b.log", "data.csv", "main.py", "src", "docs", "tests", "todo.md",
          "results.json", "old", "setup.sh", "photo.png", "index.html")  # fmt: skip
Show = Callable[[], None]


def weights_after(run: Path, state: Path, ids: Sequence[str]) -> Path:
    """The weights file with these memories, oldest first, and none that came later; the base's where there is none.
    NimError 7: the store does not know one of them."""
    from nimllm.alignment.memory import past
    from nimllm.alignment.memory.store import MemoryStore

    if not ids:
        return run / "model.safetensors"
    return past.weights_at(MemoryStore(run, state, writable=False), ids[-1])


def examine(generator: Generator, options: Namespace, conventions: Sequence[Convention], show: Show = lambda: None
            ) -> dict[str, dict[str, list[str]]]:
    """Request of each convention -> itself (``taught``), its ``asked`` and its ``controls``, each the command that came
    ("": none)."""
    from nimllm.agent.equipment import agent_options
    from nimllm.agent.loop import Agent

    found: dict[str, dict[str, list[str]]] = {}
    with tempfile.TemporaryDirectory(prefix="nimllm-taught-") as temporary:
        folders = _folders(Path(temporary))
        agents = [Agent(generator, Folder(folder), "auto", **agent_options(options))  # type: ignore[arg-type]
                  for folder in folders]
        for one in conventions:
            rng = Random(one.request)
            rows: dict[str, list[str]] = {}
            for part, requests in (("taught", (one.request,)), ("asked", one.asked), ("controls", one.controls)):
                rows[part] = []
                for request in requests:
                    agent = rng.choice(agents)
                    agent.here = False  # no command is run, so that no program is missing
                    rows[part].append(_first(agent, request))
                    show()
            found[one.request] = rows
    return found


def _first(agent: Any, request: str) -> str:
    try:
        return str(agent.first_command(request)[1])
    except NimError:  # longer than the context of this model
        return ""


def _folders(root: Path) -> list[Path]:
    """Fresh workspaces with some names at their top, the first one empty; the same everywhere."""
    rng, made = Random(0), []
    for number in range(FOLDERS):
        folder = root / f"work{number}"
        folder.mkdir()
        for name in rng.sample(_NAMES, 2 * number):
            if "." in name:
                (folder / name).touch()
            else:
                (folder / name).mkdir()
        made.append(folder)
    return made
