"""What the ways of learning are given: the same budget for all, and for each the few numbers that the dev seed decides.

Fairness is here to be read: every gradient method but the literal one sees the lessons that ours makes of an episode,
may take as many steps, and stops by the same rule (``alignment/memory/update.py``). What differs is what the method is
about, and its own learning rate, chosen from GRIDS by ``nimllm memory bench --tune`` and written to ``choices.json``
beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nimllm.errors import NimError

Point = Mapping[str, float | str]

SHARE = 0.01  # of the model's entries: what "top 1 %" keeps
PULL = 0.02  # of the literal method, towards the base
RANK, ALPHA = 8, 16  # of LoRA; the product B A is scaled by ALPHA / RANK
REPLAYED = 8  # earlier memories beside the new one, drawn anew for every step
GENERAL = 8  # rows of general text on which the distribution must stay, where a method has that term
GENERAL_TOKENS = 64  # of each such row
FISHER_ROWS = 128  # of general text, for a diagonal Fisher
VALUE_STEPS = 20  # of the search for a value in the closed forms (MEMIT, appendix: 25 at 6B)
EPOCHS = 20  # of joint training at most
JOINT_ROWS = 32  # lessons per step of joint training

# name -> the points that are tried, the first one is used until somebody has tuned. ``lr``: of Adam. ``step``: share
# of the loss that a step would take off if the loss were linear. ``strength``: of what holds the old.
GRIDS: dict[str, tuple[dict[str, float | str], ...]] = {
    "full-adam": ({"lr": 3e-4}, {"lr": 3e-5}, {"lr": 1e-4}, {"lr": 1e-3}),
    "full-sgd": ({"step": 0.5}, {"step": 0.1}, {"step": 0.25}, {"step": 1.0}),
    "lora": ({"lr": 1e-3}, {"lr": 3e-4}, {"lr": 3e-3}, {"lr": 1e-2}),
    "lora-merged": ({"lr": 1e-3}, {"lr": 3e-4}, {"lr": 3e-3}, {"lr": 1e-2}),
    "ewc": ({"lr": 3e-4, "strength": 100.0}, {"lr": 3e-4, "strength": 3.0}, {"lr": 3e-4, "strength": 3000.0},
            {"lr": 1e-3, "strength": 3.0}, {"lr": 1e-3, "strength": 100.0}, {"lr": 1e-3, "strength": 3000.0}),
    "top": ({"step": 0.5}, {"step": 0.1}, {"step": 0.25}, {"step": 1.0}),
    "literal": ({"step": 1.0}, {"step": 0.25}, {"step": 0.5}, {"step": 2.0}),
    "fisher": ({"step": 0.5}, {"step": 0.1}, {"step": 0.25}, {"step": 1.0}),
    "replay": ({"step": 0.5}, {"step": 0.1}, {"step": 0.25}, {"step": 1.0}),
    "replay-kl": ({"step": 0.5}, {"step": 0.1}, {"step": 0.25}, {"step": 1.0}),
    "memit": tuple({"strength": strength, "places": places} for places in ("answer", "prompt", "subject")
                   for strength in (10.0, 1.0, 100.0)),
    "alphaedit": tuple({"strength": strength, "places": places} for places in ("answer", "prompt", "subject")
                       for strength in (0.1, 0.01, 1.0)),
    "joint": ({"lr": 1e-3}, {"lr": 3e-4}, {"lr": 3e-3}),
}
TUNED = "tuned on the dev seed"
CHOICES = Path(__file__).with_name("choices.json")


def write_choices(base: str, about: Mapping[str, Any], choices: Mapping[str, Point], held: Mapping[str, Any],
                  path: Path = CHOICES) -> None:
    """Adds what was chosen to the file; what was chosen for another base is dropped. NimError: it cannot be written."""
    from nimllm.llm.checkpoint import replacing

    known = read_choices(path)
    same = known if known.get("base") == base and all(known.get(name) == value for name, value in about.items()) else {}
    whole = {"base": base, **about, "choices": {**same.get("choices", {}), **choices},
             "held": {**same.get("held", {}), **held}}
    with replacing(path) as file:
        file.write((json.dumps(whole, indent=1, sort_keys=True) + "\n").encode())


def read_choices(path: Path = CHOICES) -> dict[str, Any]:
    """What was tuned: ``{"base": fingerprint, "seed": …, "n": …, "choices": {name: point}, "held": {name: [...]}}``;
    {} before anything was. NimError 3 when the file is damaged, or names a point that no grid has."""
    try:
        found = json.loads(path.read_text("utf-8"))
        choices = found["choices"]
        for name, point in choices.items():
            if point not in GRIDS[name]:
                raise ValueError(f"{point} is no point of the grid of {name}")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NimError(f"the tuned settings {path} cannot be used", f"{type(error).__name__}: {error}",
                       "delete the file to go by the defaults, or tune again with nimllm memory bench --tune") from None
    return found


def chosen(name: str, base: str, path: Path = CHOICES) -> tuple[dict[str, float | str], str]:
    """A method's point, and how it was come by: "" for a method without a grid, else a phrase for the output. ``base``:
    fingerprint of the model that is to learn."""
    if name not in GRIDS:
        return {}, ""
    tuned = read_choices(path)
    if name not in tuned.get("choices", {}):
        return dict(GRIDS[name][0]), "untuned (the default)"
    same = tuned.get("base") == base
    return dict(tuned["choices"][name]), TUNED if same else "tuned on another base"
