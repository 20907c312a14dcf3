"""What a session works with: the model with its memories, the folder, the sandbox and the shell."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm import places
from nimllm.errors import SANDBOX, NimError, UsageError

if TYPE_CHECKING:
    from nimllm.alignment.memory.store import MemoryStore
    from nimllm.llm.generate import Generator
    from nimllm.tools.sandbox import Sandbox

MODES = ("read-only", "ask", "auto", "full")


@dataclass
class Model:
    """A loaded model. ``base``: fingerprint that names its memory store, empty when memory is off."""

    run: Path
    name: str
    generator: Generator
    base: str = ""
    memories: int = 0


def model_folder(given: str | None) -> Path:
    """The run folder asked for, or the shipped one; NimError 3 when there is none."""
    if given is None:
        return places.shipped_model()
    run = Path(given).expanduser()
    if not run.is_dir():
        why = "it is a file" if run.exists() else "there is no such folder"
        raise NimError(f"no model at {run}", why, "give a run folder made by nimllm --train")
    return run.resolve()


def load_model(args: Namespace, memory: bool) -> Model:
    """The model with every accepted memory in its weights (``memory`` False: the base; ``--memory-at``: those of then).
    Imports no torch. NimError 7: there is no such memory."""
    from nimllm.llm.generate import Generator

    run = model_folder(args.model)
    weights: Path | None = None
    base, memories = "", 0
    at = getattr(args, "memory_at", None)
    if memory or at:
        store = open_store(run)
        base = store.base
        if at:
            from nimllm.alignment.memory import past

            weights = past.weights_at(store, at)
            memories = len(store.ledger.states_at(past.moment(store, at)).alive())
        else:
            weights, memories = store.weights(), len(store.ledger.alive())
    generator = Generator.load(run, weights=weights, dtype=args.dtype or "fp32", threads=args.threads)
    name = "shipped" if run == places.shipped_model() else run.name
    return Model(run, name, generator, base, memories)


def hold_memory(args: Namespace) -> None:
    """``--memory-at``: nothing is learnt, and it is said. Call it once the settings are known."""
    if getattr(args, "memory_at", None):
        args.memory = "off"
        print(f"nimllm: the weights are those right after {args.memory_at}; nothing is learnt", file=sys.stderr)


def memory_word(args: Namespace, model: Model) -> str:
    """What a status line says of the memory."""
    if getattr(args, "memory_at", None):
        return f"at {args.memory_at}"
    return "off" if args.memory == "off" else str(model.memories)


def open_store(run: Path) -> MemoryStore:
    """The model's memory, for reading: whoever writes is the worker."""
    from nimllm.alignment.memory.store import MemoryStore

    return MemoryStore(run, writable=False)


def mode_of(args: Namespace, interactive: bool) -> str:
    """The policy's mode: what was asked for, else ``ask`` where somebody can answer and ``read-only`` elsewhere; never
    more than the project allows."""
    if args.yes and args.mode not in (None, "auto"):
        raise UsageError("--yes means --mode auto", f"--mode {args.mode} was given too", "give one of them")
    mode = "auto" if args.yes else args.mode or ("ask" if interactive else "read-only")
    most = getattr(args, "mode_at_most", mode)  # what the project allows
    return min(mode, most, key=MODES.index)


def apply_settings(args: Namespace) -> list[str]:
    """Fills in from the config files what the command line left open; sentences about what was ignored. NimError 3 when
    a file is wrong."""
    from nimllm.agent import settings

    given = getattr(args, "given", None)
    if given is None:  # called by somebody who has said everything
        return []
    return settings.apply(args, given, None if args.tasks else workspace_of(args))


def workspace_of(args: Namespace) -> Path:
    """The folder to work in; UsageError when it is not one."""
    try:
        folder = Path(args.cd).expanduser().resolve() if args.cd else Path.cwd()
    except FileNotFoundError:
        raise UsageError("the current folder no longer exists", "", "go to another, or give one with --cd") from None
    if not folder.is_dir():
        raise UsageError(f"cannot work in {folder}", "it is not a folder", "give an existing folder to --cd")
    return folder


def open_sandbox(args: Namespace, workspace: Path, mode: str, throwaway: bool = False) -> Sandbox:
    """The sandbox in force for ``workspace``; the model in use is closed in it. ``throwaway``: nobody works in this
    folder afterwards, so that commands may write the settings of its repositories.

    NimError 5 when the one asked for cannot be enforced, when none works and none was not asked for, and when mode
    auto, which asks nobody, would run without one.
    """
    from nimllm.tools import sandbox

    added = [Path(name).expanduser().resolve() for name in args.add_dir or ()]
    for folder in added:
        if not folder.is_dir():
            raise UsageError(f"--add-dir {folder} is not a folder", "", "give an existing folder")
    box = sandbox.probe(
        workspace, add_dirs=added, network=args.network == "on", want=args.sandbox,
        git_config=throwaway or getattr(args, "allow_git_config", False), keep=(model_folder(args.model),),
    )
    if box.level == "none" and args.sandbox != "none":
        raise NimError("commands cannot be held in a sandbox here", box.reason.removeprefix("not enforced: "),
                       "--sandbox none runs them with no protection", SANDBOX)
    if mode == "auto" and box.level == "none":
        raise NimError("mode auto runs commands without asking, and there is no sandbox", box.reason,
                       "install bubblewrap, use --mode ask, or accept the risk with --mode full", SANDBOX)
    return box


def agent_options(args: Namespace) -> dict[str, Any]:
    """What the command line says of how the agent works, for its constructor, beyond limits and the seed."""
    count = args.samples if args.samples is not None else 8 if args.try_first else 1
    if not 1 <= count <= 64 or not args.try_seconds > 0:
        raise UsageError("--samples is 1 to 64, and --try-seconds positive")
    if args.try_first and count == 1:
        raise UsageError("--try-first needs --samples of at least 2", "one sample leaves nothing to choose")
    return {"samples": count, "try_first": args.try_first, "try_seconds": args.try_seconds}


def interactive() -> bool:
    """Somebody sits at a terminal who can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
