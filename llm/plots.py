"""The loss plot: in the terminal, and as PNG where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_BRAILLE = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def terminal_plot(points: Sequence[tuple[float, float]], width: int = 60, height: int = 10) -> str:
    """A braille line plot of (x, y), with the y range at the left and the x range below."""
    points = [(x, y) for x, y in points if y == y]  # nan is what an empty evaluation gives
    if len(points) < 2:
        return ""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(ys), max(ys)
    span_x, span_y = (max(xs) - min(xs)) or 1.0, (high - low) or 1.0
    cells = [[0] * width for _ in range(height)]
    for x, y in points:
        column = round((x - min(xs)) / span_x * (2 * width - 1))
        row = round((high - y) / span_y * (4 * height - 1))
        cells[row // 4][column // 2] |= _BRAILLE[column % 2][row % 4]
    lines = []
    for index, dots in enumerate(cells):
        label = high if index == 0 else low if index == height - 1 else None
        lines.append(("        " if label is None else f"{label:8.3f}") + " │" + "".join(chr(0x2800 + c) for c in dots))
    lines.append(" " * 9 + "└" + "─" * width)
    left, right = f"{min(xs):g}", f"{max(xs):g}"
    lines.append(" " * 10 + left + " " * max(1, width - len(left) - len(right)) + right)
    return "\n".join(lines)


def save_png(
    path: Path, train: Sequence[tuple[float, float]], validation: Sequence[tuple[float, float]], title: str
) -> bool:
    """Write the plot; False when matplotlib is not installed (it is an extra)."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    if train:
        axes.plot([x for x, _ in train], [y for _, y in train], linewidth=0.8, label="training")
    if validation:
        axes.plot([x for x, _ in validation], [y for _, y in validation], marker="o", markersize=3, label="validation")
    axes.set(xlabel="step", ylabel="loss (nats per token)", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, format="png", dpi=120)
    temporary.replace(path)
    return True
