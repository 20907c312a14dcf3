"""Loss curves: in the terminal, and as PNG where matplotlib is installed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

Points = Sequence[tuple[float, float]]

_BRAILLE = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_COLOURS = (36, 33, 35, 32, 31, 34)  # of the terminal: cyan, yellow, magenta, green, red, blue
TRAINING, VALIDATION = "training", "validation"


@dataclass(frozen=True)
class Curve:
    """Points (x, y) in the order of x. ``mark``: the character that stands at every point, "" for a line of dots."""

    name: str
    points: Points
    mark: str = ""


def smoothed(points: Points, share: float = 0.02) -> list[tuple[float, float]]:
    """Every point's mean with its neighbours, ``share`` of all points. On both sides: a mean over the past alone lies
    above a loss that falls."""
    finite = [(x, y) for x, y in points if math.isfinite(y)]
    sums = [0.0, *accumulate(y for _, y in finite)]
    half = round(share * len(finite) / 2)
    result = []
    for at, (x, _) in enumerate(finite):
        begin, end = max(0, at - half), min(len(finite), at + half + 1)
        result.append((x, (sums[end] - sums[begin]) / (end - begin)))
    return result


def draw(curves: Sequence[Curve], width: int = 60, height: int = 10, log_x: bool = False, colour: bool = False,
         letters: bool = False) -> str:
    """The curves over one another, with the y range at the left and the x range below; "" without two points.

    A curve without marks is a line of braille dots (2 x 4 to a character) in a colour of its own; ``letters``: a line
    of the first letters of their names, where there are no colours, and * where they meet. Else the later one of two
    that meet in a character shows.
    """
    kept = [
        Curve(curve.name, [(x, y) for x, y in curve.points if math.isfinite(y) and (x > 0 or not log_x)], curve.mark)
        for curve in curves
    ]
    kept = [curve for curve in kept if curve.points]
    xs, ys = [x for curve in kept for x, _ in curve.points], [y for curve in kept for _, y in curve.points]
    if len(xs) < 2:
        return ""
    scale = math.log if log_x else float
    low, high = min(ys), max(ys)
    start, span_x, span_y = scale(min(xs)), (scale(max(xs)) - scale(min(xs))) or 1.0, (high - low) or 1.0
    dots = [[0] * width for _ in range(height)]
    owner = [[-1] * width for _ in range(height)]
    marks: dict[tuple[int, int], str] = {}

    def put(index: int, column: int, y: float, mark: str) -> None:
        row = round((high - y) / span_y * (4 * height - 1))
        cell = row // 4, column // 2
        if mark:
            covers = letters and marks.get(cell, mark) != mark
            marks[cell] = "*" if covers else mark
        else:
            marks.pop(cell, None)
            if owner[cell[0]][cell[1]] != index and colour:
                dots[cell[0]][cell[1]] = 0
            dots[cell[0]][cell[1]] |= _BRAILLE[column % 2][row % 4]
        owner[cell[0]][cell[1]] = index

    for index, curve in enumerate(kept):
        before: tuple[int, float] | None = None
        for x, y in curve.points:
            column = round((scale(x) - start) / span_x * (2 * width - 1))
            if before is not None and not curve.mark:
                for between in range(before[0] + 1, column):  # a line from point to point
                    part = (between - before[0]) / (column - before[0])
                    put(index, between, before[1] + part * (y - before[1]), curve.name[:1] if letters else "")
            put(index, column, y, curve.mark or (curve.name[:1] if letters else ""))
            before = column, y
    lines = []
    for number in range(height):
        label = high if number == 0 else low if number == height - 1 else None
        text = ""
        for column in range(width):
            character = marks.get((number, column)) or chr(0x2800 + dots[number][column])
            if colour and owner[number][column] >= 0:
                character = f"\x1b[{_COLOURS[owner[number][column] % len(_COLOURS)]}m{character}\x1b[0m"
            text += character
        lines.append(("        " if label is None else f"{label:8.3f}") + " │" + text)
    lines.append(" " * 9 + "└" + "─" * width)
    left, right = f"{min(xs):g}", f"{max(xs):g}"
    middle = "log" if log_x else ""
    gap = width - len(left) - len(right) - len(middle)
    lines.append(" " * 10 + left + " " * max(1, gap // 2) + middle + " " * max(1, gap - gap // 2) + right)
    if len(kept) > 1:
        legend = []
        for index, curve in enumerate(kept):
            sign = curve.mark or ("" if letters else "⠤⠤")
            code = _COLOURS[index % len(_COLOURS)]
            legend.append(((f"\x1b[{code}m{sign}\x1b[0m" if colour else sign) + f" {curve.name}").strip())
        lines.append(" " * 10 + "   ".join(legend))
    return "\n".join(lines)


def terminal_plot(points: Points, width: int = 60, height: int = 10, validation: Points = (), log_x: bool = False,
                  colour: bool = False) -> str:
    """A run's training loss as a line of dots, its validation loss as an o at every measurement."""
    return draw([Curve(TRAINING, points), Curve(VALIDATION, validation, "o")], width, height, log_x, colour)


def save_png(path: Path, runs: Sequence[tuple[str, Points, Points]], title: str, log_x: bool = False,
             x: str = "step") -> bool:
    """Write the plot of some runs, (name, training, validation) each: the training loss pale with its moving average
    over it, the validation loss as points. False when matplotlib is not installed (it is an extra)."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for number, (name, train, validation) in enumerate(runs):
        label, paint = (f"{name}, " if len(runs) > 1 else ""), f"C{number}"
        finite = [(x, y) for x, y in train if math.isfinite(y)]
        if finite:
            xs = [x for x, _ in finite]
            if len(runs) == 1:
                axes.plot(xs, [y for _, y in finite], linewidth=0.6, alpha=0.35, color=paint)
            axes.plot(xs, [y for _, y in smoothed(finite)], linewidth=1.2, color=paint,
                      label=f"{label}{TRAINING} (smoothed)")
        if validation:
            axes.plot([x for x, _ in validation], [y for _, y in validation], marker="o", markersize=3, linewidth=0.8,
                      linestyle="--", color=paint if len(runs) > 1 else "C1", label=f"{label}{VALIDATION}")
    if log_x:
        axes.set_xscale("log")
    axes.set(xlabel=x, ylabel="loss (nats per token)", title=title)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png", dpi=120)
    temporary.replace(path)
    return True
