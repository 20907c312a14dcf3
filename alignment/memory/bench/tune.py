"""``nimllm memory bench --tune``: which point of its grid each baseline uses, decided on a development seed.

Every point learns the same COUNT items, and is asked in the bank's development wordings: no test seed and no test
wording is seen. The point that holds most wins; of equals, the one whose general text got worse least, then the first.
The choices go into ``methods/choices.json``, which is committed beside the code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm.alignment.memory.bench.methods.settings import CHOICES, GRIDS, write_choices
from nimllm.errors import OK, UsageError

if TYPE_CHECKING:
    from nimllm.alignment.memory.bench.plan import Plan
    from nimllm.alignment.memory.bench.runner import Tell

SEED = "20"  # a development seed
COUNT = 100


def tuned_plan(plan: Plan, count: int = COUNT) -> Plan:
    """The plan of a tuning: all points of the grids of ``plan.methods``, on the development seed. UsageError: none of
    the methods has a grid."""
    names = [f"{name}@{number}" for name in plan.methods for number in range(len(GRIDS.get(name, ())))]
    if not names:
        raise UsageError(f"there is nothing to tune in {', '.join(plan.methods)}", "only baselines have a grid",
                         f"--methods takes {', '.join(GRIDS)}, or all")
    return replace(plan, methods=tuple(names), seeds=(SEED,), points=(count,), wordings="dev", mix="standard",
                   controls=(), text=None, out=plan.out / "tune")


def figures_of(point: Mapping[str, float | str], result: Mapping[str, Any]) -> dict[str, Any]:
    """What decides between points, and what it cost."""
    return {"point": dict(point), "held": result["facts"]["held"], "told": result["facts"]["told"],
            "ratio": result["far"]["windows"]["ratio"], "seconds": result["cost"]["seconds_median"]}


def best(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Most held, then the lowest perplexity ratio, then the first. A ratio that is no number is the worst."""
    def rank(row: Mapping[str, Any]) -> tuple[int, float]:
        ratio = float(row["ratio"])
        return -int(row["held"]), ratio if math.isfinite(ratio) else math.inf

    return min(rows, key=rank)


def tune(plan: Plan, tell: Tell | None = None, path: Path = CHOICES) -> dict[str, Any]:
    """Runs what was not run yet (``plan`` as :func:`tuned_plan` makes it), writes the choices after each method, and
    returns what each of its points held."""
    from nimllm.alignment.memory.bench.runner import Bench, Track

    bench = Bench(plan, tell)
    about = {"seed": SEED, "n": plan.count, "wordings": plan.wordings, "bank": bench.about["bank"]}
    held: dict[str, Any] = {}
    for name in dict.fromkeys(method.partition("@")[0] for method in plan.methods):
        rows = [figures_of(point, bench.point(Track(SEED, f"{name}@{number}"), plan.count))
                for number, point in enumerate(GRIDS[name])]
        held[name] = rows
        write_choices(bench.about["base"], about, {name: best(rows)["point"]}, {name: rows}, path)
    return held


def finish(held: Mapping[str, Sequence[Mapping[str, Any]]], target: str | None) -> int:
    """A table of every point and the file that was written, or JSON (``target``: a file, or - for standard output)."""
    from nimllm.alignment.memory.bench.prepare import write_json

    if target == "-":
        print(json.dumps(held, indent=1))
        return OK
    if target:
        write_json(Path(target), held)
    show(held)
    return OK


def show(held: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (("method", False), ("point", False), ("held", True), ("ppl", True), ("s", True), ("", False)):
        table.add_column(name, justify="right" if right else "left")
    for name, rows in held.items():
        for row in rows:
            point = ", ".join(f"{key} {value}" for key, value in row["point"].items())
            table.add_row(name, point, f"{row['held']} of {row['told']}", f"×{row['ratio']:.3f}",
                          f"{row['seconds']:.2f}", "chosen" if row is best(rows) else "")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"written to {CHOICES}: commit it with the code", markup=False)
