"""``nimllm memory list | inbox | show | approve | reject | revert | verify``: what was learnt, and how to undo it."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from nimllm import places
from nimllm.alignment.memory.events import Record
from nimllm.alignment.memory.ledger import tail
from nimllm.alignment.memory.store import MemoryStore, Verified
from nimllm.errors import MEMORY, OK

LOCK_SECONDS = 20.0  # an update by a running session takes a few
COLOURS = {"accepted": "green", "pending": "yellow", "rejected": "red", "reverted": "dim"}


def main(args: Namespace) -> int:
    """One action on the memory of ``args.model`` (default: the shipped one). Exit code 0, or 7 when ``verify`` found
    something wrong; NimError for everything else."""
    run = Path(args.model) if args.model else places.shipped_model()
    action = args.memory_command
    writes = action in ("approve", "reject", "revert")
    with MemoryStore(run, writable=writes, wait=LOCK_SECONDS) as store:
        if action in ("list", "inbox"):
            records = [record for record in store.records() if action == "list" or record.state == "pending"]
            if args.json:
                _print_json([record.model_dump(mode="json") for record in records])
            else:
                show_list(store, records, action)
        elif action == "show":
            record = store.get(args.id)
            if args.json:
                events = [tail(event) for event in store.ledger.events if event.id == record.id]
                _print_json({**record.model_dump(mode="json"), "events": events})
            else:
                show_record(store, record)
        elif action == "verify":
            found = store.verify()
            if args.json:
                _print_json({"records": found.records, "accepted": found.accepted, "weights": found.weights,
                             "problems": found.problems})
            else:
                show_verified(store, found)
            return MEMORY if found.problems else OK
        else:
            record = {"approve": store.approve, "reject": store.reject, "revert": store.revert}[action](args.id)
            if args.json:
                _print_json({**record.model_dump(mode="json"), "weights": store.hash()})
            else:
                from rich.console import Console

                done = {"approve": "is in the weights now", "reject": "is refused", "revert": "is out of the weights"}
                Console(highlight=False, soft_wrap=True).print(
                    f"{record.id} {done[action]}; weights {store.hash()[:16]}", markup=False)
    return OK


def _print_json(data: object) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=1))


def show_list(store: MemoryStore, records: list[Record], action: str) -> None:
    """A table, oldest first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not records:
        empty = "nothing waits for your approval" if action == "inbox" else "nothing has been remembered yet"
        console.print(f"{empty} (base {store.base[:16]})")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (("id", False), ("when", False), ("state", False), ("what", False), ("loss", True),
                        ("ppl", True), ("probes", True)):
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "what")
    for record in records:
        table.add_row(
            record.id, record.time[5:16].replace("T", " "), Text(record.state, COLOURS[record.state]),
            Text(summary(record)),
            f"{record.loss_before:.2f} → {record.loss_after:.2f}", f"×{record.perplexity_ratio:.3f}",
            f"{record.probes_before} → {record.probes_after}")
    console.print(table)
    if action == "inbox":
        console.print("nimllm memory show ID tells why; approve ID or reject ID decides")


def summary(record: Record) -> str:
    """What was learnt, in one line: the facts, or the task."""
    if record.facts:
        return "; ".join(dict.fromkeys(form.answer for form in record.forms)) or record.title
    return record.title


def show_record(store: MemoryStore, record: Record) -> None:
    """Everything a person needs to judge one memory."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    lines = Table(box=None, show_header=False, pad_edge=False)
    lines.add_column(style="bold", no_wrap=True)
    lines.add_column(overflow="fold")

    def add(name: str, value: str, style: str = "") -> None:
        lines.add_row(name, Text(value, style))

    add("memory", f"{record.id}  {record.state}" + (f"  ({record.reason})" if record.reason else ""),
        COLOURS[record.state])
    add("when", f"{record.time}  from the {record.kind} {record.episode}")
    add("said", record.title)
    for subject, relation, value in record.facts:
        add("fact", f"{subject} · {relation} · {value}")
    add("method", f"{record.method}, {record.steps} steps, {record.seconds:.1f} s")
    add("loss", f"{record.loss_before:.3f} → {record.loss_after:.3f} nats per token")
    add("change", f"{record.entries:,} entries, {record.bytes:,} bytes, {100 * record.norm:.2f} % of the tensors' norm")
    add("weights", f"{record.weights_before[:16]} → {record.weights_after[:16]}")
    for check in record.checks:
        add("gate", f"{'passed' if check.passed else 'FAILED'}  {check.name}: {check.detail}",
            "" if check.passed else "red")
    for probe in record.probes:
        marks = f"{'right' if probe.right_before else 'wrong'} → {'right' if probe.right_after else 'wrong'}"
        add("probe", f"{probe.question}   [{marks}]")
        if probe.before or probe.after:
            add("", f"before: {probe.before or '(nothing)'}", "dim")
            add("", f"after:  {probe.after or '(nothing)'}")
    for event in store.ledger.events:
        if event.id == record.id:
            add("ledger", f"{event.seq}  {event.time}  {event.event}  {event.detail}".rstrip(), "dim")
    console.print(lines)


def show_verified(store: MemoryStore, found: Verified) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"base     {store.base[:16]}\nrecords  {found.records}, {found.accepted} of them in the weights\n"
                  f"weights  {found.weights[:16]}, rebuilt from the base and the ledger", markup=False)
    for problem in found.problems:
        console.print(problem, style="red", markup=False)
    if not found.problems:
        console.print("every checksum and the head are right", style="green")
