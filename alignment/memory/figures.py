"""What ``memory plot`` draws: recall by age as measured now, perplexity along the ledger, repeated tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nimllm.alignment.memory.events import Record
from nimllm.alignment.memory.store import MemoryStore
from nimllm.errors import CONFIG, NimError
from nimllm.llm.plots import Curve, draw

AGES = ((0, 9), (10, 29), (30, 99), (100, 299), (300, 999), (1000, 10**9))  # memories made since
Show = Callable[[int, int], None]


@dataclass(frozen=True)
class Recalled:
    """One memory: ``age`` in memories made since, the share of its probes that are answered now."""

    id: str
    age: int
    held: float


@dataclass
class Figures:
    """``perplexity``: (memories so far, product of the ratios that the gate measured); ``now``: the ratio of head to
    base measured now, nan without a general text; ``attempts``: (attempt, success with memory, how many, success
    without, how many) of requests made more than once, nan where there were none."""

    recalled: list[Recalled]
    superseded: int
    perplexity: list[tuple[int, float]]
    now: float
    attempts: list[tuple[int, float, int, float, int]] = field(default_factory=list)

    def by_age(self) -> list[tuple[str, int, float]]:
        """(ages, memories, mean held) of each bucket that has any."""
        rows = []
        for low, high in AGES:
            held = [one.held for one in self.recalled if low <= one.age <= high]
            if held:
                rows.append((f"{low}-{high}" if high < 10**9 else f"{low}+", len(held), sum(held) / len(held)))
        return rows

    def data(self) -> dict[str, Any]:
        def number(value: float) -> float | None:
            return None if math.isnan(value) else value

        return {"recall": [asdict(one) for one in self.recalled], "superseded": self.superseded,
                "recall_by_age": [{"age": age, "memories": count, "held": held} for age, count, held in self.by_age()],
                "perplexity": [{"memories": count, "ratio": ratio} for count, ratio in self.perplexity],
                "perplexity_ratio_now": number(self.now),
                "repeated_tasks": [{"attempt": attempt, "with_memory": number(on), "tasks_with": many,
                                    "without_memory": number(off), "tasks_without": few}
                                   for attempt, on, many, off, few in self.attempts]}


def measure(store: MemoryStore, show: Show | None = None) -> Figures:
    """Asks every memory in the weights its own probes, under the weights in use. Memories whose facts were all told
    anew since are left out, and counted."""
    from nimllm.alignment.memory import lessons
    from nimllm.alignment.memory.answers import Voice
    from nimllm.alignment.memory.gate import judge

    records = store.records()
    living = [record for record in records if record.alive and not record.members]
    voice = Voice(store, store.current())
    newest: dict[tuple[str, str], str] = {(fact[0], fact[1]): record.id for record in living for fact in record.facts}
    found: list[Recalled] = []
    superseded = 0
    for place, record in enumerate(living):
        fresh = [fact for fact in record.facts if newest[fact[0], fact[1]] == record.id]
        if record.facts and not fresh:
            superseded += 1
        else:
            asked = [lessons.question_lesson(voice.tokenizer, probe.question, probe.expected)
                     for probe in record.probes if probe.expected and record.kind != "task"]
            asked = [lesson for lesson in asked if len(lesson.ids) <= store.config.context]
            if asked:
                right = judge(voice.model, asked)[1]
                found.append(Recalled(record.id, len(living) - 1 - place, sum(right) / len(right)))
        if show is not None:
            show(place + 1, len(living))
    after = voice.general_loss()
    voice.put(store.base_tensors())
    return Figures(found, superseded, _along(living), math.exp(after - voice.general_loss()))


def _along(living: Sequence[Record]) -> list[tuple[int, float]]:
    product, points = 1.0, []
    for count, record in enumerate(living, 1):
        product *= record.perplexity_ratio
        points.append((count, product))
    return points


def _series(figures: Figures) -> list[tuple[str, str, str, list[Curve]]]:
    """(title, x, y, curves) of each chart that has anything to show."""
    charts = []
    ages = sorted((one.age, one.held) for one in figures.recalled)
    if len(ages) > 1:
        window = max(1, len(ages) // 20)
        smooth = [(float(age), sum(held for _, held in ages[max(0, at - window):at + window + 1])
                   / len(ages[max(0, at - window):at + window + 1])) for at, (age, _) in enumerate(ages)]
        charts.append(("recall by age", "memories made since", "share of probes answered now",
                       [Curve("recall", smooth)]))
    if len(figures.perplexity) > 1:
        charts.append(("perplexity along the ledger", "memories", "ratio to the base (product of the gate's)",
                       [Curve("perplexity ratio", [(float(x), y) for x, y in figures.perplexity])]))
    with_memory = [(float(row[0]), row[1]) for row in figures.attempts if not math.isnan(row[1])]
    without = [(float(row[0]), row[3]) for row in figures.attempts if not math.isnan(row[3])]
    curves = [Curve(name, points, mark) for name, points, mark in
              (("with memory", with_memory, "o"), ("without", without, "x")) if points]
    if len({x for curve in curves for x, _ in curve.points}) > 1:
        charts.append(("success on repeated tasks", "attempt", "share that succeeded", curves))
    return charts


def chart(figures: Figures, width: int = 60, colour: bool = False) -> str:
    """Everything as text."""
    parts = []
    for title, x, y, curves in _series(figures):
        parts.append(f"{title} ({y}, over {x})\n{draw(curves, width, 8, colour=colour)}")
    rows = [f"  {age:>9}  {count:5}  {100 * held:5.1f} %" for age, count, held in figures.by_age()]
    if rows:
        parts.append("\n".join(["   made since  memories  held now", *rows]))
    if figures.superseded:
        parts.append(f"{figures.superseded} more were told anew since")
    if not math.isnan(figures.now):
        parts.append(f"perplexity of the head by that of the base, measured now: ×{figures.now:.4f}")
    for attempt, on, many, off, few in figures.attempts:
        told = [f"{name} {100 * share:.0f} % of {count}" for name, share, count in
                (("with memory", on, many), ("without", off, few)) if count]
        parts.append(f"repeated tasks, attempt {attempt}: " + ", ".join(told))
    return "\n\n".join(parts) if parts else "nothing has been remembered yet"


def save_png(figures: Figures, path: Path) -> None:
    """The charts as a picture. NimError 3: as :func:`save_charts`."""
    save_charts(_series(figures), path)


def save_charts(charts: Sequence[tuple[str, str, str, Sequence[Curve]]], path: Path) -> None:
    """Charts (title, x, y, curves) one below the other. NimError 3: matplotlib is missing, there is nothing to draw, or
    it cannot be written."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib.figure import Figure
    except ImportError:
        raise NimError("matplotlib is not installed", "pictures need it", "pip install 'nimllm[plots]'", CONFIG
                       ) from None
    if not charts:
        raise NimError("there is nothing to draw yet", "a curve needs two memories or two attempts at a task",
                       "nimllm memory list shows what there is", CONFIG)
    figure = Figure(figsize=(7, 3 * len(charts)), layout="constrained")
    for axes, (title, x, y, curves) in zip(figure.subplots(len(charts), squeeze=False)[:, 0], charts, strict=True):
        for curve in curves:
            axes.plot([px for px, _ in curve.points], [py for _, py in curve.points], marker="o", markersize=3,
                      linewidth=1.2, label=curve.name)
        axes.set(title=title, xlabel=x, ylabel=y)
        axes.grid(alpha=0.3)
        axes.legend()
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=120)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise NimError(f"cannot write {path}", error.strerror or str(error), "choose a folder you can write", CONFIG
                       ) from None
