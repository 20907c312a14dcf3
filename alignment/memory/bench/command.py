"""``nimllm memory bench``: how much of what it is told a model keeps, as one command."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nimllm.alignment.memory.bench.plan import of_arguments
from nimllm.alignment.memory.bench.prepare import write_json
from nimllm.errors import OK

EVERY = 30.0  # seconds between two lines of progress where there is no terminal


@contextlib.contextmanager
def _shown() -> Iterator[Callable[[str, int, int], None]]:
    """Progress with an estimate of the time left of each part, on standard error: a bar, or a line now and then."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        began: dict[str, float] = {}
        last = 0.0

        def line(what: str, done: int, whole: int) -> None:
            nonlocal last
            now = time.monotonic()
            fresh = what not in began
            start = began.setdefault(what, now)
            if fresh or now - last >= EVERY or done == whole:
                last = now
                left = f", about {(now - start) / done * (whole - done):.0f} s left" if done and not fresh else ""
                print(f"{what}: {done} of {whole}{left}", file=sys.stderr, flush=True)

        yield line
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                  TimeRemainingColumn(), console=console) as bar:
        tasks: dict[str, Any] = {}

        def move(what: str, done: int, whole: int) -> None:
            if what not in tasks:
                for old in tasks.values():
                    bar.remove_task(old)
                tasks.clear()
                tasks[what] = bar.add_task(what, total=whole)
            bar.update(tasks[what], completed=done, total=whole)

        yield move


def main(args: Namespace) -> int:
    """Runs or goes on; a table, or JSON with ``--json`` ("-": only that, to standard output). NimError for all else."""
    from nimllm.alignment.memory.bench.runner import Bench

    plan = of_arguments(args)
    if args.tune:
        from nimllm.alignment.memory.bench.tune import finish, tune, tuned_plan

        with _interruptible(plan.out), _shown() as tell:
            held = tune(tuned_plan(plan), tell)
        return finish(held, args.json)
    with _interruptible(plan.out), _shown() as tell:
        report = Bench(plan, tell).run()
    if args.json == "-":
        print(json.dumps(report, ensure_ascii=False, indent=1))
        return OK
    if args.json:
        write_json(Path(args.json), report)
    from nimllm.alignment.memory.bench.display import show

    show(report)
    return OK


@contextlib.contextmanager
def _interruptible(out: Path) -> Iterator[None]:
    """SIGTERM ends it as ^C does; both say how it goes on."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        print(f"what was measured is kept in {out}; the same command goes on", file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, old)
