"""``nimllm memory study FILE...``: reads texts into the weights, and says what each book costs the others."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from nimllm import places
from nimllm.errors import INTERRUPTED, OK, TERMINATED, NimError, UsageError

if TYPE_CHECKING:
    from nimllm.alignment.memory.books import Redactor
    from nimllm.alignment.memory.study import Study, StudyProgress

LOCK_SECONDS = 20.0


def _settings(args: Namespace) -> Any:
    from nimllm.alignment.memory.study import StudySettings

    for name, value, good in (
        ("--rows", args.rows, args.rows > 0), ("--steps", args.steps, args.steps > 0),
        ("--step", args.step, 0 < args.step <= 1), ("--budget", args.budget, 0 < args.budget <= 1),
        ("--perplexity", args.perplexity, args.perplexity > 1), ("--plain-lr", args.plain_lr, args.plain_lr > 0),
    ):
        if not good:
            raise UsageError(f"{name} {value} is out of range")
    return StudySettings(args.rows, args.steps, args.step, args.budget, args.delta, args.perplexity, args.plain_lr)


def main(args: Namespace, redactor: Callable[[], Redactor] | None = None) -> int:
    """Exit code 0 when all is read; 130 or 143 when it was stopped, with every whole chunk kept; NimError for the
    rest."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: see worker.py
    import torch

    from nimllm.alignment.memory.books import read_book, spread
    from nimllm.alignment.memory.fine_tuning import FineTuning
    from nimllm.alignment.memory.store import MemoryStore
    from nimllm.alignment.memory.study import Stopped, Study
    from nimllm.alignment.memory.worker import free_cores
    from nimllm.llm.tokenizer import Tokenizer

    torch.set_num_threads(min(free_cores(), torch.get_num_threads()))
    settings = _settings(args)
    run = Path(args.model) if args.model else places.shipped_model()
    with ExitStack() as stack:
        store = stack.enter_context(MemoryStore(run, wait=LOCK_SECONDS))
        store.must_write()
        tokenizer, context = Tokenizer.load(run), store.config.context
        books = [read_book(Path(path), tokenizer, context, redactor) for path in args.books]
        general = spread(read_book(Path(args.general), tokenizer, context, redactor).rows, 32) if args.general else []
        asked: list[int] = []

        def ask(number: int, frame: FrameType | None) -> None:
            if number in asked:
                raise KeyboardInterrupt
            asked.append(number)
            display.say("stopping after this chunk (once more: at once; what was read before it is kept)")

        display = stack.enter_context(Display(args.plain or args.json))
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, ask))
        display.say(f"preparing the memory of {run.name or run}")
        study = Study(store, books, settings, general, args.again)
        if study.finished:
            display.say("these texts have been read with these settings; --again reads them once more")
        try:
            beside = FineTuning(study, display.show, lambda: bool(asked)) if args.compare else None
            study.run(display.show, lambda: bool(asked), beside)
        except Stopped as stopped:
            raise NimError(str(stopped), "they are kept", "the same command goes on",
                           TERMINATED if signal.SIGTERM in asked else INTERRUPTED) from None
        found = report(study)
    if args.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        show_report(found)
    return OK


def report(study: Study) -> dict[str, Any]:
    """What was measured at the start and after each book, in bits per byte; and what reading the later books cost each
    earlier one (``forgotten``: now, less after it was read)."""
    from dataclasses import asdict

    from nimllm.alignment.memory.study import chunks_of

    books = []
    for index, book in enumerate(study.books):
        records = [record.id for record in study.records(index)]
        books.append({"name": book.name, "sha256": book.sha256, "bytes": book.bytes,
                      "tokens": sum(len(row) - 1 for row in book.rows),
                      "chunks": len(chunks_of(book, study.settings.rows)),
                      "left_out": len(study.about["lost"].get(str(index), [])), "records": records})
    measured = study.about["measured"]
    forgotten = []
    for index, book in enumerate(study.books[:-1]):
        row = {"book": book.name, "memory": measured[-1]["books"][index] - measured[index + 1]["books"][index]}
        if all("plain" in one for one in measured):
            row["plain"] = (measured[-1]["plain"]["books"][index] - measured[index + 1]["plain"]["books"][index])
        forgotten.append(row)
    return {"base": study.store.base, "weights": study.store.hash(), "settings": asdict(study.settings), "books": books,
            "measured": measured, "forgotten": forgotten}


def show_report(found: dict[str, Any]) -> None:
    """One table per way of reading: rows are moments, columns are texts."""
    from rich.console import Console
    from rich.table import Table

    console, lines = Console(highlight=False), Console(highlight=False, soft_wrap=True)
    names = [book["name"] for book in found["books"]]
    for title, pick in (("by this memory", lambda one: one), ("by plain fine-tuning", lambda one: one.get("plain"))):
        rows = [pick(one) for one in found["measured"]]
        if not all(rows):
            continue
        table = Table(box=None, pad_edge=False, header_style="bold", title=f"bits per byte, {title}",
                      title_justify="left", title_style="")
        table.add_column("", overflow="fold")
        for name in (*names, "general text", *(["--general"] if "own" in rows[0] else [])):
            table.add_column(name, justify="right", overflow="fold")
        for moment, row in zip(("before", *(f"after {name}" for name in names)), rows, strict=True):
            table.add_row(moment, *(f"{value:.4f}" for value in (*row["books"], row["general"])),
                          *([f"{row['own']:.4f}"] if "own" in row else []))
        console.print(table)
    for row in found["forgotten"]:
        plain = f", by plain fine-tuning {row['plain']:+.4f}" if "plain" in row else ""
        lines.print(f"what came later cost {row['book']} {row['memory']:+.4f} bits per byte{plain}", markup=False)
    for book in found["books"]:
        left_out = f", {book['left_out']} of {book['chunks']} chunks left out by the gate" if book["left_out"] else ""
        span = (f"{book['records'][0]} to {book['records'][-1]}" if len(book["records"]) > 1 else
                "".join(book["records"]) or "no record")
        lines.print(f"{book['name']}: {book['bytes']:,} bytes, {span}{left_out}", markup=False)


class Display:
    """Progress on stderr: one line redrawn in place on a terminal, else a line every few seconds."""

    def __init__(self, plain: bool, seconds: float = 5.0) -> None:
        self.live = not plain and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.seconds, self._last = seconds, 0.0

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def _clear(self) -> None:
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def say(self, message: str) -> None:
        self._clear()
        print(message, file=sys.stderr, flush=True)

    def show(self, progress: StudyProgress) -> None:
        from nimllm.llm.quantities import duration

        text = (f"{progress.book} {progress.chunk}/{progress.chunks}  "
                f"{progress.before:.3f} to {progress.after:.3f} bits per byte  general ×{progress.ratio:.4f}"
                f"{'' if progress.kept else '  left out'}  ETA {duration(progress.eta)}"
                f"{'  (fine-tuning)' if progress.way == 'plain' else ''}")
        now = time.monotonic()
        if self.live:
            width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
            print(f"\r\x1b[K{text[:width]}", end="", file=sys.stderr, flush=True)
        elif progress.chunk == progress.chunks or now - self._last >= self.seconds:
            self._last = now
            print(text, file=sys.stderr, flush=True)
