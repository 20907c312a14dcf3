"""``nimllm eval taught``: see options.py. A table and curves, or JSON."""

from __future__ import annotations

import json
import signal
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from nimllm.errors import OK, TERMINATED


def main(args: Namespace) -> int:
    """Measures, or goes on with what was begun; exit 0 whatever the figures are, NimError for all else."""
    from nimllm.agent.taught import figures, run

    plan = run.of_arguments(args)
    measured = run.Run(plan)
    with _stoppable(measured.out):
        report = measured.report()
    if args.plot:
        figures.save_png(report, Path(args.plot))
    if args.failures:
        for row in report["points"][-1]["wrong"]:
            print(f"{row['taught']} ({row['kind']}): {row['asked']}\n"
                  + (f"  right: {row['right']}\n" if row["right"] else "")
                  + f"  came:  {row['came']}", file=sys.stderr)
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
        return OK
    print("\n".join(figures.lines(report)))
    drawn = figures.chart(report, colour=sys.stdout.isatty())
    if drawn:
        print(f"\n{drawn}")
    print(f"kept, with the memory, in {measured.out}", file=sys.stderr)
    return OK


@contextmanager
def _stoppable(out: Path) -> Iterator[None]:
    """SIGTERM ends it as ^C does, with its own code; both say how it goes on."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    old = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        print(f"what was measured is kept in {out}; the same command goes on", file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, old)
