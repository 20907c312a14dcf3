"""``nimllm memory``: what was learnt, what it does to the answers, and how to undo it."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from nimllm import places
from nimllm.alignment.memory.display import (
    coloured,
    progress,
    show_difference,
    show_list,
    show_record,
    show_verified,
    show_why,
)
from nimllm.alignment.memory.ledger import tail
from nimllm.alignment.memory.store import MemoryStore
from nimllm.errors import MEMORY, OK, UsageError

__all__ = ["main", "plot", "show_list", "show_record"]

LOCK_SECONDS = 20.0  # an update by a running session takes a few
DONE = {"approve": "is in the weights now", "reject": "is refused", "revert": "is out of the weights"}
# verify writes nothing; with the lock it does not look at a head that is being written
WRITES = (*DONE, "apply", "gc", "compact", "sleep", "verify")


def main(args: Namespace) -> int:
    """One action on the memory of ``args.model`` (default: the shipped one). Exit code 0, or 7 when ``verify`` found
    something wrong; NimError for everything else."""
    with open_store(args) as store:
        return ACTIONS[args.memory_command](store, args) or OK


def open_store(args: Namespace) -> MemoryStore:
    """The store of ``args.model``, for writing when the action writes."""
    run = Path(args.model) if args.model else places.shipped_model()
    return MemoryStore(run, writable=args.memory_command in WRITES, wait=LOCK_SECONDS)


def _print_json(data: object) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=1))


def _tell(text: str) -> None:
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def _list(store: MemoryStore, args: Namespace) -> None:
    inbox = args.memory_command == "inbox"
    records = [record for record in store.records() if not inbox or record.state == "pending"]
    if args.json:
        _print_json([record.model_dump(mode="json") for record in records])
    else:
        show_list(store, records, args.memory_command)


def _show(store: MemoryStore, args: Namespace) -> None:
    record = store.get(args.id)
    if args.json:
        events = [tail(event) for event in store.ledger.events if event.id == record.id]
        _print_json({**record.model_dump(mode="json"), "part_of": store.ledger.part_of(record.id), "events": events})
    else:
        show_record(store, record)


def _decide(store: MemoryStore, args: Namespace) -> None:
    action = args.memory_command
    record = {"approve": store.approve, "reject": store.reject, "revert": store.revert}[action](args.id)
    if args.json:
        _print_json({**record.model_dump(mode="json"), "weights": store.hash()})
        return
    _tell(f"{record.id} {DONE[action]}; weights {store.hash()[:16]}")
    if record.members and action == "revert":
        _tell(f"back in the weights: {len(record.members)} memories, {record.members[0]} to {record.members[-1]}")


def _verify(store: MemoryStore, args: Namespace) -> int:
    with progress("reading deltas") as show:
        found = store.verify(show)
    if args.json:
        _print_json({"records": found.records, "accepted": found.accepted, "weights": found.weights,
                     "problems": found.problems})
    else:
        show_verified(store, found)
    return MEMORY if found.problems else OK


def _diff(store: MemoryStore, args: Namespace) -> None:
    from nimllm.alignment.memory.differences import difference

    found = difference(store, args.id, args.ask, args.request)
    if args.json:
        _print_json(found.data())
    else:
        show_difference(found)


def _why(store: MemoryStore, args: Namespace) -> None:
    from nimllm.alignment.memory.influence import why

    found = why(store, args.prompt, args.request, args.answer, args.exact)
    if args.json:
        _print_json(found.data())
    else:
        show_why(found)


def _export(store: MemoryStore, args: Namespace) -> None:
    from nimllm.alignment.memory.exchange import export

    path = Path(args.file)
    ids = export(store, path, args.ids, args.force)
    if args.json:
        _print_json({"file": str(path), "base": store.base, "ids": ids, "bytes": path.stat().st_size})
    else:
        _tell(f"{len(ids)} memories in {path}, {path.stat().st_size:,} bytes, for the base {store.base[:16]}")


def _apply(store: MemoryStore, args: Namespace) -> None:
    from nimllm.alignment.memory.exchange import apply

    with progress("applying") as show:
        done = apply(store, Path(args.file), args.accept, show)
    if args.json:
        _print_json({"accepted": done.accepted, "waiting": done.waiting, "known": done.known, "weights": store.hash()})
        return
    _tell(f"{len(done.accepted)} accepted, {len(done.waiting)} wait for your approval, {len(done.known)} were here")
    if done.waiting:
        _tell("nimllm memory inbox lists them; diff ID shows what one would change; approve ID or reject ID decides")


def _gc(store: MemoryStore, args: Namespace) -> None:
    from nimllm.alignment.memory.upkeep import gc

    done = gc(store, args.rejected, args.dry_run)
    if args.json:
        _print_json({"files": done.files, "discarded": done.records, "bytes": done.bytes, "dry_run": args.dry_run})
        return
    parts = [f"{count} × {what}" for what, count in done.files.items()]
    parts += [f"deltas of {', '.join(done.records)}"] if done.records else []
    verb = "would go" if args.dry_run else "deleted"
    _tell(f"{verb}: {'; '.join(parts)} ({done.bytes:,} bytes)" if parts else "there is nothing to delete")


def _sleep(store: MemoryStore, args: Namespace) -> None:
    if not 1 <= args.epochs <= 1000:
        raise UsageError(f"--epochs {args.epochs} makes no sense", "it lies between 1 and 1000")
    store.must_write()
    from nimllm.alignment.memory.sleep import Night, Progress, sleep
    from nimllm.alignment.memory.update import Session

    def show(progress: Progress) -> None:
        if not args.json:
            _tell(f"{progress.epoch} of {progress.epochs}: {progress.held} of {progress.asked} facts held, "
                  f"{progress.general:.4f} nats per token of general text")

    record = sleep(Session(store), Night(epochs=args.epochs), show)
    if args.json:
        _print_json(record.model_dump(mode="json") if record is not None else None)
    elif record is None:
        _tell("there are fewer than two facts in the weights: nothing to learn together")
    else:
        verb = "takes the place of" if record.state == "accepted" else "waits for your approval, it would replace"
        _tell(f"{record.id} {verb} {len(record.members)} memories; {record.reason or 'revert ' + record.id} "
              f"{'' if record.reason else 'brings them back'}".rstrip())


def _compact(store: MemoryStore, args: Namespace) -> None:
    from nimllm.alignment.memory.upkeep import compact

    with progress("packing") as show:
        moved, fewer = compact(store, show)
    if args.json:
        _print_json({"deltas": moved, "files_fewer": fewer, "packs": len(store.archive.packs())})
    else:
        _tell(f"{moved} deltas packed, {fewer} files fewer" if moved or fewer else "there is nothing to pack")


ACTIONS: dict[str, Callable[[MemoryStore, Namespace], int | None]] = {
    "list": _list, "inbox": _list, "show": _show, "diff": _diff, "why": _why, "approve": _decide, "reject": _decide,
    "revert": _decide, "verify": _verify, "export": _export, "apply": _apply, "gc": _gc, "compact": _compact,
    "sleep": _sleep,
}


def plot(args: Namespace, attempts: Sequence[tuple[int, float, int, float, int]]) -> int:
    """``memory plot``; ``attempts`` come from the task log, which is the agent's (see :class:`figures.Figures`)."""
    from nimllm.alignment.memory import figures

    with open_store(args) as store, progress("asking the memories") as show:
        found = figures.measure(store, show)
    found.attempts = list(attempts)
    if args.png:
        figures.save_png(found, Path(args.png))
    if args.json:
        _print_json(found.data())
    else:
        print(figures.chart(found, colour=coloured()))
    return OK
