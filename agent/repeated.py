"""``nimllm memory plot``: success on requests that were made more than once, from the task log, with memory and
without. It begins here because alignment, which draws, knows nothing of the log."""

from __future__ import annotations

import math
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from nimllm import places
from nimllm.agent import records
from nimllm.agent.records import TaskRecord

MOST = 20_000  # newest records that are read
ATTEMPTS = 12  # of a request that are shown


def attempts(log: Iterable[TaskRecord]) -> list[tuple[int, float, int, float, int]]:
    """(attempt, success with memory, how many, success without, how many), 1 to :data:`ATTEMPTS`, of requests made at
    least twice in the same way; nan where there were none. ``log``: oldest first. A task that nobody judged is left
    out: its end says nothing."""
    seen: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    for record in log:
        if record.kind == "task" and record.outcome != "aborted" and record.by != "nobody":
            key = " ".join(record.request.casefold().split())
            seen[key, record.memory.state != "off"].append(record.outcome == "success")
    rows = []
    for attempt in range(ATTEMPTS):
        row: list[float] = []
        for memory in (True, False):
            found = [done[attempt] for (_, on), done in seen.items()
                     if on is memory and len(done) > max(1, attempt)]
            row += [sum(found) / len(found) if found else math.nan, len(found)]
        if row[1] or row[3]:
            rows.append((attempt + 1, row[0], int(row[1]), row[2], int(row[3])))
    return rows


def main(args: Namespace) -> int:
    """Measures and draws; exit code 0, NimError for everything else."""
    from nimllm.alignment.memory.command import plot

    run = Path(args.model) if args.model else places.shipped_model()
    name = "shipped" if run.resolve() == places.shipped_model() else run.resolve().name
    log = [record for record in records.newest(MOST) if record.model == name]
    return plot(args, attempts(reversed(log)))
