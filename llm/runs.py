"""``nimllm runs``: what was trained here, how far it came and how well; curves over one another, settings that differ.

Reads JSON and locks only; no torch.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nimllm.errors import CONFIG, OK, NimError, UsageError
from nimllm.llm.config import ModelConfig, read_config
from nimllm.llm.plots import Curve, draw, save_png, smoothed
from nimllm.llm.presets import PRESETS
from nimllm.llm.quantities import amount
from nimllm.llm.run_folder import METRICS, Curves, is_held, read_curves

DEFAULT = Path("runs")
DEPTH = 2  # runs/shipped/tune is found from runs
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
RUNNING, INTERRUPTED, FINISHED, UNTRAINED = "running", "interrupted", "finished", "not begun"
WEIGHTS = "weights only"  # a model without the history of its training, such as an imported one


@dataclass(frozen=True)
class Run:
    """One run folder. What was never measured is None."""

    path: Path
    name: str
    size: str | None  # the preset whose shape it has
    parameters: int
    state: str
    step: int
    steps: int | None
    tokens: int  # seen
    validation: float | None  # the best, nats per token: that of model.safetensors
    bits_per_byte: float | None
    tokens_per_second: float | None  # median of the last 50 steps
    seconds: float | None
    changed: datetime
    settings: dict[str, Any]  # flat: "model.d_model", "training.lr", "data"
    curves: Curves

    def row(self) -> dict[str, Any]:
        """What --json prints."""
        last = self.curves.last_validation.get("val_loss")
        return {"path": str(self.path), "name": self.name, "size": self.size, "parameters": self.parameters,
                "state": self.state, "step": self.step, "steps": self.steps, "tokens": self.tokens,
                "validation": self.validation, "bits_per_byte": self.bits_per_byte, "last_validation": last,
                "tokens_per_second": self.tokens_per_second, "seconds": self.seconds,
                "changed": self.changed.isoformat(timespec="seconds"), "settings": self.settings}  # fmt: skip


def _json(path: Path) -> dict[str, Any]:
    """An object from a file that may be missing or damaged; then it says nothing."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _size(config: ModelConfig) -> str | None:
    """The preset of this shape, whatever the vocabulary, the context and the dropout."""
    free = {"vocab_size", "context", "dropout"}
    shape = {key: value for key, value in config.model_dump().items() if key not in free}
    for name, preset in PRESETS.items():
        model = ModelConfig(vocab_size=preset.vocab, **preset.shape).model_dump()
        if all(model[key] == value for key, value in shape.items()):
            return name
    return None


def _number(row: dict[str, Any], key: str) -> float | None:
    value = row.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def read_run(path: Path) -> Run:
    """NimError when the folder is no run of ours or its config.json is damaged. metrics.jsonl may be missing."""
    config = read_config(path)
    about = _json(path / "config.json")
    training = about.get("training")
    training = training if isinstance(training, dict) else {}
    try:
        curves = read_curves(path)
        changed = (path / METRICS).stat().st_mtime
    except OSError:
        curves, changed = Curves(), (path / "config.json").stat().st_mtime
    data = _json(path / "arguments.json").get("data")
    settings = dict(_flat({key: about[key] for key in ("model", "tokenizer", "training") if key in about}))
    if isinstance(data, list):
        settings["data"] = ", ".join(Path(str(name)).name for name in data)
    steps = training.get("steps")
    steps = steps if isinstance(steps, int) else None
    step = int(curves.last.get("step", 0))
    tokens = _number(curves.last, "tokens") or 0.0
    if is_held(path):
        state = RUNNING
    elif step == 0:
        state = WEIGHTS if (path / "model.safetensors").exists() else UNTRAINED
    else:
        state = FINISHED if steps is not None and step >= steps else INTERRUPTED
    return Run(path, path.resolve().name, _size(config), config.parameters(), state, step, steps, int(tokens),
               _number(curves.best_validation, "val_loss"), _number(curves.best_validation, "val_bpb"),
               statistics.median(curves.speeds) if curves.speeds else None, _number(curves.last, "seconds"),
               datetime.fromtimestamp(changed), settings, curves)  # fmt: skip


def find(folders: Iterable[Path]) -> tuple[list[Run], list[str]]:
    """Every run in and under the folders, the one that changed last at the end, and a line about each folder that was
    passed over."""
    runs: list[Run] = []
    skipped: list[str] = []

    def visit(folder: Path, depth: int, base: Path) -> bool:
        """Whether there was a run."""
        if (folder / "config.json").exists():
            try:
                runs.append(read_run(folder))
                return True
            except (NimError, OSError, ValueError, RecursionError) as error:  # the last: JSON as deep as a well
                skipped.append(error.message() if isinstance(error, NimError) else f"{folder}: {error}")
                return True
        found = False
        if depth:
            try:
                inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
            except OSError as error:
                skipped.append(f"cannot read {folder}: {error.strerror}")
                return True
            for path in inside:
                found = visit(path, depth - 1, base) or found
        if not found and depth >= DEPTH - 1:
            skipped.append(f"{folder}: no run is in it")
        return found

    for folder in folders:
        if not folder.is_dir():
            skipped.append(f"{folder}: there is no such folder")
        else:
            visit(folder, DEPTH, folder)
    unique = {run.path.resolve(): run for run in runs}
    return sorted(unique.values(), key=lambda run: run.changed), skipped


_COLUMNS = ("run", "size", "params", "steps", "state", "tokens", "val loss", "bits/byte", "tok/s", "changed")
_LEFT = ("run", "size", "state")
_LEAST = ("size", "tok/s", "tokens", "params", "changed")  # left out, in this order, where the terminal is too narrow


def table(runs: list[Run], width: int | None, letters: bool = False) -> str:
    """One line per run, in at most ``width`` columns where that is possible at all."""
    rows: list[dict[str, str]] = []
    same_year = all(run.changed.year == datetime.now().year for run in runs)
    for number, run in enumerate(runs):
        rows.append({
            "run": (f"{_LETTERS[number % 26]} " if letters else "") + run.name,
            "size": run.size or "-",
            "params": amount(run.parameters),
            "steps": f"{run.step}/{run.steps}" if run.steps is not None else str(run.step),
            "state": run.state,
            "tokens": amount(run.tokens) if run.tokens else "-",
            "val loss": "-" if run.validation is None else f"{run.validation:.4f}",
            "bits/byte": "-" if run.bits_per_byte is None else f"{run.bits_per_byte:.4f}",
            "tok/s": "-" if run.tokens_per_second is None else f"{run.tokens_per_second:,.0f}",
            "changed": run.changed.strftime("%m-%d %H:%M" if same_year else "%Y-%m-%d"),
        })  # fmt: skip
    columns = list(_COLUMNS)

    def wide(name: str) -> int:
        return max(len(name), *(len(row[name]) for row in rows))

    def total() -> int:
        return sum(wide(name) for name in columns) + 2 * (len(columns) - 1)

    for name in _LEAST:
        if width is None or total() <= width:
            break
        if total() - wide("run") + min(wide("run"), 24) <= width:
            break  # a shorter name is enough
        columns.remove(name)
    if width is not None and total() > width:
        most = max(8, wide("run") - (total() - width))
        for row in rows:
            row["run"] = row["run"] if len(row["run"]) <= most else row["run"][: most - 1] + "…"
    lines = []
    for row in [{name: name for name in columns}, *rows]:
        cells = [row[name].ljust(wide(name)) if name in _LEFT else row[name].rjust(wide(name)) for name in columns]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def differences(runs: list[Run]) -> list[tuple[str, list[str]]]:
    """(setting, its value in every run) where they are not all the same; "-" where a run has no such setting."""
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    result = []
    for name in names:
        values = [json.dumps(run.settings[name]) if name in run.settings else "-" for run in runs]
        if len(set(values)) > 1:
            result.append((name, [value.strip('"') for value in values]))
    return result


def _compare(runs: list[Run], args: argparse.Namespace, width: int, colour: bool) -> None:
    """Curves over one another, the table, and the settings that differ."""
    curves = [run.curves if args.by == "step" else read_curves(run.path, x=args.by) for run in runs]
    names = [f"{_LETTERS[number % 26]} {run.name}" for number, run in enumerate(runs)]
    for title, drawn in (
        ("training loss, smoothed", [Curve(n, smoothed(c.train)) for n, c in zip(names, curves, strict=True)]),
        ("validation loss", [Curve(n, c.validation) for n, c in zip(names, curves, strict=True)]),
    ):
        plot = draw(drawn, min(110, width - 11), 10, args.log_x, colour, letters=not colour)
        if plot:
            print(f"{title}, by {args.by}\n{plot}\n")
    print(table(runs, width, letters=True))
    different = differences(runs)
    print("\nno setting differs" if not different else "\nsettings that differ")
    left = max((len(name) for name, _ in different), default=0)
    cell = max(8, (width - left - 2) // max(1, len(runs)) - 2)
    wide = [min(cell, max([1, *(len(values[number]) for _, values in different)])) for number in range(len(runs))]
    if different:
        print(" " * left + "".join(f"  {_LETTERS[n % 26]:<{wide[n]}}" for n in range(len(runs))).rstrip())
    for name, values in different:
        cut = [value if len(value) <= wide[n] else value[: wide[n] - 1] + "…" for n, value in enumerate(values)]
        print(f"{name:<{left}}" + "".join(f"  {value:<{wide[n]}}" for n, value in enumerate(cut)).rstrip())
    if args.png:
        pictured = [(run.name, c.train, c.validation) for run, c in zip(runs, curves, strict=True)]
        title = " and ".join(run.name for run in runs)[:80]
        try:
            done = save_png(Path(args.png), pictured, title, args.log_x, args.by)
        except OSError as error:
            raise NimError(f"cannot write {args.png}", error.strerror or str(error), "choose another file") from None
        if not done:
            raise NimError("--png needs matplotlib", "it is not installed", 'pip install "nimllm[plots]"')
        print(f"\n{args.png} written")


def main(args: argparse.Namespace) -> int:
    """``nimllm runs [DIR…] [--json]`` and ``nimllm runs compare A B… [--png FILE]``. Exit 0; 3 when folders were named
    and none of them holds a run."""
    words = list(args.folders)
    compare = args.compare or args.png is not None
    if words and words[0] == "compare" and not Path("compare").is_dir():
        words, compare = words[1:], True
        if not words:
            raise UsageError("nothing to compare", "no run was named", "nimllm runs compare runs/a runs/b")
    folders = [Path(word) if Path(word).exists() or not (DEFAULT / word).exists() else DEFAULT / word for word in words]
    if not folders and not DEFAULT.is_dir():
        raise NimError("there are no runs here", f"no folder {DEFAULT} in {Path.cwd()}",
                       "name the folders, or start a run: nimllm --train yourdata.txt", CONFIG)
    runs, skipped = find(folders or [DEFAULT])
    if compare and folders:  # in the order they were named
        order = [folder.resolve() for folder in folders]
        runs.sort(key=lambda run: order.index(run.path.resolve()) if run.path.resolve() in order else len(order))
    for line in skipped:
        print(f"skipped: {line}", file=sys.stderr)
    if not runs:
        raise NimError("there is no run to show", f"{len(skipped)} folders were looked at and passed over" if skipped
                       else f"{DEFAULT} is empty", "start one: nimllm --train yourdata.txt", CONFIG)
    if compare and len(runs) < 2:
        raise UsageError("nothing to compare", f"only {runs[0].path} is a run", "name two runs or more")
    if args.json:
        different = {"different": dict(differences(runs))} if compare else {}
        json.dump({"runs": [run.row() for run in runs], "skipped": skipped, **different}, sys.stdout)
        print()
        return OK
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns
    if compare:
        _compare(runs, args, width if terminal else 120, terminal and not os.environ.get("NO_COLOR"))
    else:
        print(table(runs, width if terminal else None))
    return OK
