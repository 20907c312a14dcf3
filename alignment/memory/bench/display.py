"""The report as a person reads it: a table per point of interest, and the lines that a figure is nothing without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def _percent(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:g}" if value < 100 else f"{value:,.0f}"


def _size(value: float | None) -> str:
    if value is None:
        return "-"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f} B"


# title of a column -> (headline, how it is written)
COLUMNS: tuple[tuple[str, str, Any], ...] = (
    ("held", "held", _plain), ("share", "held_share", lambda v: _percent(v, 1)), ("strict", "strict", _plain),
    ("old", "old", _percent), ("corrected", "corrections", _percent), ("reverse", "reverse", _percent),
    ("ppl", "ratio", lambda v: "-" if v is None else f"×{v:.4f}"),
    ("agree", "agreement", lambda v: "-" if v is None else f"{v:.4f}"),
    ("known", "known", _percent), ("tasks", "everyday", _percent), ("taught", "taught", _percent),
    ("invented", "hallucinated", lambda v: _percent(v, 1)),
    ("s", "seconds_median", lambda v: "-" if v is None else f"{v:.2f}"), ("delta", "bytes_median", _size),
)  # fmt: skip


def table(report: Mapping[str, Any], count: str) -> Table:
    """All methods at one point: the worst seed of each figure, and the median of what is held."""
    out = Table(box=None, pad_edge=False, header_style="bold", title=f"after {count} items, the worst of the seeds",
                title_justify="left")
    out.add_column("method", no_wrap=True)
    out.add_column("C90", justify="right")
    out.add_column("median", justify="right")
    for title, _, _ in COLUMNS:
        out.add_column(title, justify="right", no_wrap=True)
    for name, method in report["methods"].items():
        row = method["summary"].get("points", {}).get(count)
        if row is None:
            continue
        kind = method["settings"]["kind"]
        style = {"ours": "bold green", "reference": "dim", "upper bound": "dim"}.get(kind, "")
        mark = "" if method["settings"].get("tuned", True) or kind == "ours" else " *"
        cells = [written(row[key]["worst"] if key in row else None) for _, key, written in COLUMNS]
        median = row["held"]["median"] if "held" in row else None
        out.add_row(Text(name + mark, style), str(method["summary"]["c90"]["worst"]), _plain(median), *cells)
    return out


def curve(report: Mapping[str, Any]) -> Table:
    """Held by N, the worst of the seeds."""
    counts = list(dict.fromkeys(count for method in report["methods"].values()
                                for count in method["summary"].get("points", {})))
    out = Table(box=None, pad_edge=False, header_style="bold", title="held of told, by number of items",
                title_justify="left")
    out.add_column("method", no_wrap=True)
    for count in counts:
        out.add_column(count, justify="right", no_wrap=True)
    for name, method in report["methods"].items():
        points = method["summary"].get("points", {})
        out.add_row(name, *(f"{_plain(points[c]['held']['worst'])}/{_plain(points[c]['told']['worst'])}"
                            if c in points else "-" for c in counts))
    return out


def ages(report: Mapping[str, Any], count: str) -> Table:
    """The forgetting curve of the last point, all seeds together: share held, by how many items ago it was told."""
    rows: dict[str, dict[str, list[int]]] = {}
    for name, method in report["methods"].items():
        sums = rows.setdefault(name, {})
        for points in method["seeds"].values():
            for age, (held, told) in points.get(count, {"facts": {"ages": {}}})["facts"]["ages"].items():
                have = sums.setdefault(age, [0, 0])
                have[0] += held
                have[1] += told
    buckets = sorted({age for row in rows.values() for age in row}, key=lambda age: int(age.split("-")[0].rstrip("+")))
    out = Table(box=None, pad_edge=False, header_style="bold", title="held, by age in items", title_justify="left")
    out.add_column("method", no_wrap=True)
    for age in buckets:
        out.add_column(age, justify="right", no_wrap=True)
    for name, row in rows.items():
        out.add_row(name, *(_percent(row[age][0] / row[age][1]) if age in row else "-" for age in buckets))
    return out


def lines(report: Mapping[str, Any]) -> list[str]:
    """Under which circumstances, and beside which limit."""
    machine, base, limits = report["machine"], report["base"], report["limits"]
    cpu, versions = machine["cpu"], machine["versions"]
    out = [
        f"{cpu['model']}, {machine['threads']} threads; torch {versions['torch']}; nimllm {versions['nimllm']} "
        f"{(machine['commit'] or 'no commit')[:16]}; {machine['date'][:10]}",
        f"base {base['fingerprint'][:16]} ({base['parameters']:,} parameters); settings {report['frozen_hash'][:16]}",
        f"limit: {limits['facts_at_1_bit']:,} facts of {limits['bits_per_fact']} bits at 1 bit a parameter, "
        f"{limits['facts_at_2_bits']:,} at 2; {limits['written_once']:,} written once each without being revisited; "
        f"chance at most {100 * limits['chance']:.2f} %",
    ]
    for seed, stream in report["streams"].items():
        fixed = f", fixed by {stream['committed'][:16]}" if stream["committed"] else ", for development"
        out.append(f"{seed}: stream {stream['hash'][:16]}{fixed}; {stream['refused']} values refused; the rules read "
                   f"{_percent(stream['read_share'])} of what was told; wordings {report['wordings']}, "
                   f"mix {report['mix']}")
    for name, check in report["controls"].items():
        out += [*_shuffle(name, check["shuffle"]), *_revert(name, check["revert"])]
    untuned = [name for name, method in report["methods"].items()
               if method["settings"]["kind"] == "baseline" and not method["settings"]["tuned"]]
    if untuned:
        out.append(f"* not tuned on this base: {', '.join(untuned)}")
    return out


def _shuffle(name: str, check: Mapping[str, Any]) -> list[str]:
    return [f"{name}, values permuted: {check['recalled']} of {check['moved']} permuted values recalled, "
            f"{check['original_recalled']} of the original ones ({check['items']} items)"]


def _revert(name: str, check: Mapping[str, Any]) -> list[str]:
    if not check["possible"]:
        return [f"{name}, reverts: none was possible"]
    same = "the same bits in both orders" if check["same_in_both_orders"] else "OTHER BITS in the other order"
    if check["rebuilt"] is not None:
        same += " and as the ledger without them" if check["rebuilt"] else ", NOT what the ledger makes without them"
    return [f"{name}, {check['reverted']} reverts: {same}; of theirs {check['recalled_after']} of "
            f"{check['recalled_before']} still recalled, of the others {check['others_lost']} of "
            f"{check['others']} lost"]


def show(report: Mapping[str, Any], console: Console | None = None) -> None:
    console = console or Console(highlight=False, soft_wrap=True)
    counts = [str(count) for count in report["frozen"]["points"]]
    for part in (table(report, counts[-1]), curve(report), ages(report, counts[-1])):
        console.print(part)
        console.print()
    for line in lines(report):
        console.print(line, markup=False)
