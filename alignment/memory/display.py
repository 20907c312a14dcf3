"""Records, differences and findings on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nimllm.alignment.memory.events import Record
from nimllm.alignment.memory.store import MemoryStore

if TYPE_CHECKING:
    from nimllm.alignment.memory.archive import Show
    from nimllm.alignment.memory.differences import Difference
    from nimllm.alignment.memory.influence import Why
    from nimllm.alignment.memory.verification import Verified

COLOURS = {"accepted": "green", "pending": "yellow", "rejected": "red", "reverted": "dim", "consolidated": "cyan"}


@contextmanager
def progress(what: str) -> Iterator[Show]:
    """A bar on standard error for work of more than a second, where somebody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console,
                   transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


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
        console.print("nimllm memory show ID tells why, diff ID what it would change; approve ID or reject ID decides")


def summary(record: Record) -> str:
    """What was learnt, in one line: the facts, or the task."""
    if record.members:
        return f"{record.title or 'sleep'} ({len(record.members)} memories: {record.members[0]} … {record.members[-1]})"
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
    if sleep := store.ledger.part_of(record.id):
        add("", f"{sleep} has taken its place in the weights; nimllm memory revert {sleep} brings it back")
    add("when", f"{record.time}  from the {record.kind} {record.episode}")
    add("said", record.title)
    if record.members:
        add("instead of", " ".join(record.members))
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


def show_difference(found: Difference) -> None:
    """Both answers to every question side by side; what differs is coloured, and marked where there are no colours."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(f"{found.record.id}: {summary(found.record)}", markup=False, style="bold")
    console.print(f"compared: {found.when}", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for name in ("", "question", "without", "with"):
        table.add_column(name, overflow="fold", no_wrap=not name)
    for row in found.said:
        style = ("red", "green") if row.changed else ("dim", "dim")
        mark = "≠" if row.changed else "="
        table.add_row(f"{mark} {row.about}", Text(row.question), Text(row.before or "(nothing)", style[0]),
                      Text(row.after or "(nothing)", style[1]))
    console.print(table)
    changed = sum(row.changed for row in found.said)
    ratio = found.perplexity_ratio
    general = f"; perplexity ×{ratio:.4f} on a general text" if ratio == ratio else ""
    console.print(f"{changed} of {len(found.said)} answers differ{general}", markup=False)


def show_why(found: Why) -> None:
    """The answer, and each memory's share in it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text.assemble(("answer   ", "bold"), found.answer or "(nothing)",
                                f"   log p {found.likelihood:.2f} nats"))
    console.print(Text.assemble(("base     ", "bold"), found.base_answer or "(nothing)",
                                f"   log p of the answer above {found.base_likelihood:.2f} nats"))
    if not found.memories:
        console.print("no memory is in the weights: the base says this by itself")
        return
    how = (f"each of {found.memories} memories was taken out in turn" if found.measured == found.memories else
           f"{found.memories} memories were ranked by one gradient, and the first {found.measured} taken out in turn")
    touching = found.touching
    if not touching:
        console.print(f"no memory touches this answer ({how}; the strongest moves it by "
                      f"{max(abs(one.effect) for one in found.influences):.3f} nats)")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (("id", False), ("nats", True), ("what it taught", False), ("without it", False)):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for one in touching:
        title = f"{one.title} ({len(one.members)} memories)" if one.members else one.title
        changed = one.without and one.without != found.answer
        table.add_row(one.id, Text(f"{one.effect:+.2f}", "green" if one.effect > 0 else "red"), Text(title),
                      Text(one.without if changed else "the same" if one.without else "", "" if changed else "dim"))
    console.print(table)
    console.print(f"{how}; nats: what the memory adds to the answer's log-likelihood", style="dim")


def coloured() -> bool:
    return sys.stdout.isatty()
