"""Every way of learning that the bench compares, by name. Nothing heavy is imported before one is made.

``NAME@2`` is the way NAME at the third point of its grid, whatever was chosen: what tuning compares.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nimllm.alignment.memory.bench.method import Maker, Method
from nimllm.alignment.memory.bench.methods.settings import GRIDS, TUNED, chosen
from nimllm.errors import UsageError

_HERE = "nimllm.alignment.memory.bench.methods"


@dataclass(frozen=True)
class Way:
    """``what``: a line for the table's foot. ``target``: module and class; ``given``: its own arguments. ``kind``: what
    the row is beside the claim."""

    what: str
    target: str
    given: tuple[tuple[str, Any], ...] = ()
    kind: str = "baseline"  # or "ours", "reference", "upper bound"


WAYS: dict[str, Way] = {
    "base": Way("the base, which learns nothing", "references:Base", kind="reference"),
    "constant": Way("the value told most often, to every question", "references:Constant", kind="reference"),
    "literal": Way("one step on the told text, top 1 % by magnitude, all pulled to the base by 2 %", "thinned:Literal"),
    "full-adam": Way("full fine-tuning with Adam", "dense:FullAdam"),
    "full-sgd": Way("full fine-tuning, normalised gradient descent", "dense:FullSGD"),
    "lora": Way("LoRA, rank 8, one pair for all facts", "lora:LoRA", (("merged", False),)),
    "lora-merged": Way("LoRA, rank 8, merged after each fact", "lora:LoRA", (("merged", True),)),
    "ewc": Way("full fine-tuning with a diagonal online EWC", "dense:OnlineEWC"),
    "top": Way("top 1 % by magnitude", "thinned:Top"),
    "fisher": Way("top 1 % by g^2 / F", "thinned:FisherTop"),
    "replay": Way("top 1 % by magnitude, 8 earlier facts beside", "thinned:TopReplay"),
    "replay-kl": Way("the same, and KL on general text", "thinned:TopReplayKL"),
    "memit": Way("least squares on feed-forward outputs, key covariance (MEMIT)", "closed_form:ClosedForm",
                 (("projected", False),)),
    "alphaedit": Way("least squares in the null space of general keys (AlphaEdit)", "closed_form:ClosedForm",
                     (("projected", True),)),
    "joint": Way("training on all facts at once", "joint:Joint", kind="upper bound"),
    "in-context": Way("the told text in the prompt", "references:InContext", kind="reference"),
    "ours": Way("sparse writes by a Kronecker-factored EWC, behind the gate", "ours:Ours", kind="ours"),
    "ours-approved": Way("the same, with everything in the inbox approved", "ours:Ours", (("approve", True),), "ours"),
    "ours-sleep": Way("ours, with a sleep after every 50 memories", "ours:Ours", (("nights", 50),), "ours"),
}


def way_of(name: str) -> tuple[Way, str, dict[str, float | str] | None]:
    """(the way, its plain name, the point behind an @ or None). UsageError: no such way, or no such point."""
    plain, mark, number = name.partition("@")
    if plain not in WAYS:
        raise UsageError(f"no way of learning is called {plain!r}", "", f"there are {', '.join(WAYS)}")
    if not mark:
        return WAYS[plain], plain, None
    grid = GRIDS.get(plain, ())
    if not number.isdecimal() or int(number) >= len(grid):
        raise UsageError(f"the grid of {plain} has no point {number!r}", "", f"it has {len(grid)}, numbered from 0")
    return WAYS[plain], plain, dict(grid[int(number)])


def make(name: str, run: Path, state: Path, seed: int, point: Mapping[str, float | str] | None = None) -> Method:
    """One way of learning with its state in ``state``. ``point``: of its grid (default: the one that was chosen).
    UsageError: no such name."""
    way, _, fixed = way_of(name)
    module, kind = way.target.split(":")
    found: Callable[..., Method] = getattr(importlib.import_module(f"{_HERE}.{module}"), kind)
    if module == "ours":  # the product's settings are its own
        return found(name, run, state, seed, **dict(way.given))
    if point is None:
        point = fixed or settings(name, run)["point"]
    return found(name, run, state, seed, point, **dict(way.given))


def settings(name: str, run: Path) -> dict[str, Any]:
    """For the report: the point of its grid that a method uses, whether it is the one chosen for this very base (or
    there is none to choose), how it was come by, and what all are given."""
    from dataclasses import asdict

    from nimllm.alignment.memory.update import Settings
    from nimllm.llm.checkpoint import fingerprint, read_tensors

    way, plain, fixed = way_of(name)
    point, how = (fixed, "a point of the grid") if fixed else chosen(
        plain, fingerprint(read_tensors(run / "model.safetensors")))
    return {"what": way.what, "kind": way.kind, "point": point, "tuned": how in ("", TUNED), "tuning": how,
            "shared": asdict(Settings())}


class _Makers(dict[str, Maker]):
    def __missing__(self, name: str) -> Maker:
        way_of(name)
        return partial(make, name)


METHODS: dict[str, Maker] = _Makers({name: partial(make, name) for name in WAYS})
