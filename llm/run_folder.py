"""The files of a run folder that change while it trains: metrics, samples, and the lock of whoever writes them.

No torch and no numpy here: ``nimllm runs`` reads a hundred folders in the time torch takes to import.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nimllm.errors import NimError

METRICS, SAMPLES, LOCK = "metrics.jsonl", "samples.txt", "training.lock"
_SAMPLE = re.compile(r"--- step (\d+), (?:validation loss|wins) ")
_HELD: dict[Path, int] = {}  # the run folders this process holds, and how many times: the command holds it, then fit


def write_json(path: Path, data: Any) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@dataclass
class Curves:
    """The whole history of a run. ``last``: the newest row of metrics.jsonl, and the newest with a validation loss."""

    train: list[tuple[float, float]] = field(default_factory=list)  # (step, nats per learnt token)
    validation: list[tuple[float, float]] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)
    last_validation: dict[str, Any] = field(default_factory=dict)
    best_validation: dict[str, Any] = field(default_factory=dict)
    speeds: list[float] = field(default_factory=list)  # tokens per second of the last 50 steps


def read_curves(run: Path, until: int | None = None, x: str = "step") -> Curves:
    """What metrics.jsonl says, up to step ``until``, over "step", "tokens" or "seconds"; torn and foreign lines are
    left out. OSError without the file."""
    curves = Curves()
    with open(run / METRICS, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
                step, loss, at = int(row["step"]), float(row["loss"]), row[x]
                validation = float(row["val_loss"]) if "val_loss" in row else None
                speed = float(row["tok_s"]) if "tok_s" in row else None
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # the last line of a killed process
            if (until is not None and step > until) or not isinstance(at, int | float):
                continue
            curves.train.append((at, loss))
            curves.last = row
            if speed is not None:
                curves.speeds = [*curves.speeds[-49:], speed]
            if validation is not None:
                curves.validation.append((at, validation))
                curves.last_validation = row
                best = curves.best_validation
                if not best or validation < float(best["val_loss"]):
                    curves.best_validation = row
    return curves


def read_metrics(run: Path) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(step, loss) and (step, validation loss) of a run's metrics.jsonl."""
    curves = read_curves(run)
    return curves.train, curves.validation


def _replace_text(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)


def rewind(run: Path, step: int) -> None:
    """Drop the metrics and samples that were written after ``step``, the checkpoint that a run goes on from."""
    path = run / METRICS
    if path.exists():
        rows = []
        for line in path.read_text("utf-8", "replace").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    rows.append(line)
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        _replace_text(path, "".join(row + "\n" for row in rows))
    path = run / SAMPLES
    if path.exists():
        kept, keep = [], True
        for line in path.read_text("utf-8", "replace").splitlines(keepends=True):
            if found := _SAMPLE.match(line):
                keep = int(found[1]) <= step
            if keep:
                kept.append(line)
        _replace_text(path, "".join(kept))


def add_sample(run: Path, step: int, validation: float, text: str) -> None:
    with open(run / SAMPLES, "a", encoding="utf-8") as file:
        file.write(f"--- step {step}, validation loss {validation:.4f}\n{text}\n")


@contextmanager
def hold(run: Path) -> Iterator[None]:
    """Be the one process that writes this run. NimError when another one does. The system lets go of the lock when the
    process ends in whatever way; where files cannot be locked (some network folders), nothing is held."""
    key = run.resolve()
    if key in _HELD:
        _HELD[key] += 1
        try:
            yield
        finally:
            _HELD[key] -= 1
        return
    try:
        import fcntl

        run.mkdir(parents=True, exist_ok=True)
        file = open(run / LOCK, "a+", encoding="utf-8")  # noqa: SIM115  # held as long as the block lasts
    except ImportError:  # no POSIX
        yield
        return
    except OSError as error:
        raise NimError(f"cannot write the run folder {run}", error.strerror or str(error),
                       "choose a folder you can write with --out") from None
    with file:
        for attempt in range(20):  # ``nimllm runs`` holds it for a moment to see whether it is free
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 19:
                    file.seek(0)
                    raise NimError(f"{run} is being trained by another process", file.read(100).strip(),
                                   "wait for it, stop it, or choose another --out") from None
                time.sleep(0.05)
            except OSError:
                break
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}\n")
        file.flush()
        _HELD[key] = 1
        try:
            yield
        finally:
            del _HELD[key]
            file.truncate(0)


def is_held(run: Path) -> bool:
    """Whether a process is training in this folder now (on this machine, or where the file system's locks reach)."""
    try:
        import fcntl

        with open(run / LOCK, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        return False
    return False
