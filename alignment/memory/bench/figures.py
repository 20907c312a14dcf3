"""From verdicts and notes to the figures of the report. No model, no torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from nimllm.alignment.memory.bench import conventions
from nimllm.alignment.memory.bench.bank import relations
from nimllm.alignment.memory.bench.learner import Note
from nimllm.alignment.memory.bench.questions import (
    Answer,
    Verdict,
    command_of,
    holds,
    known_values,
    learnt,
)
from nimllm.alignment.memory.bench.stream import Stream

AGES = ((0, 9), (10, 29), (30, 99), (100, 299), (300, 999), (1000, 10**9))
FIRST = (10, 30, 100)  # how many of the first facts are still held
SHARE, RATIO, AGREEMENT = 0.90, 1.01, 0.99  # of C90
BITS_PER_FACT, BITS_PER_PARAMETER = 30, (1.0, 2.0)  # 16 for the value, about 10 for whose it is
DIRECTIONS, FREE = 4, 0.5  # that a fact needs; share of them that the base leaves


def share(part: int, whole: int) -> float | None:
    """None of nothing: a share that was not measured is not a bad one."""
    return part / whole if whole else None


def percentile(values: Sequence[float], at: float) -> float | None:
    """The value that a share ``at`` of them does not exceed; None of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(at * len(ordered)) - 1)] if ordered else None


def of_facts(verdicts: Sequence[Verdict], count: int) -> dict[str, Any]:
    """What was kept of what was told in ``count`` items."""
    told = len(verdicts)
    old = [verdict for verdict in verdicts if verdict.age >= count / 2]
    changed = [verdict for verdict in verdicts if verdict.corrected]
    ordered = sorted(verdicts, key=lambda verdict: verdict.id)
    reverse = [verdict.forms[-1] for verdict in verdicts if len(verdict.forms) > 4]
    ages = {}
    for low, high in AGES:
        some = [verdict.held for verdict in verdicts if low <= verdict.age <= high]
        if some:
            ages[f"{low}-{high}" if high < 10**9 else f"{low}+"] = [sum(some), len(some)]
    return {
        "told": told, "held": sum(v.held for v in verdicts), "held_share": share(sum(v.held for v in verdicts), told),
        "recalled": sum(v.recalled for v in verdicts), "strict": sum(v.strict for v in verdicts),
        "reverse": [sum(reverse), len(reverse)],
        "forms": [share(sum(v.forms[place] for v in verdicts if place < len(v.forms)), told)
                  for place in range(max((len(v.forms) for v in verdicts), default=0))],
        "old": [sum(v.held for v in old), len(old)], "ages": ages,
        "first": {str(n): sum(v.held for v in ordered[:n]) for n in FIRST if n <= told},
        "corrections": {"told": len(changed), "new_held": sum(v.held for v in changed),
                        "old_gone": sum(v.gone for v in changed),
                        "both": sum(v.held and v.gone for v in changed)},
        "gates": {"control": sum(v.control for v in verdicts), "negated": sum(v.negated for v in verdicts),
                  "other": sum(v.other for v in verdicts)},
    }  # fmt: skip


def of_locality(stream: Stream, count: int, answers: Mapping[str, Answer], base: Mapping[str, Answer]
                ) -> dict[str, Any]:
    """What should not have moved. ``base``: the base's answers to what no stream changes."""
    values = known_values()
    before = [index for index, value in enumerate(values)
              if f"known/{index}" in base and holds(base[f"known/{index}"], value)]
    kept = sum(holds(answers[f"known/{index}"], values[index]) for index in before)
    facts = stream.facts(count)
    told: dict[str, list[str]] = {}
    for fact in facts:
        told.setdefault(fact.relation, []).append(fact.value)
    untold = [(index, relation) for index, (relation, _) in enumerate(stream.untold) if f"untold/{index}" in answers]
    invented = sum(any(holds(answers[f"untold/{index}"], value) for value in told.get(relation, ()))
                   for index, relation in untold)
    everyday = range(len(conventions.EVERYDAY))
    commands = [index for index in everyday if f"everyday/{index}" in base and base[f"everyday/{index}"].ended]
    same = sum(command_of(answers[f"everyday/{index}"].text) == command_of(base[f"everyday/{index}"].text)
               for index in commands)
    taught = learnt(stream.lessons(count), answers)
    return {"known": [kept, len(before)], "hallucinated": [invented, len(untold)],
            "everyday": [same, len(commands)], "taught": [sum(taught), len(taught)]}


def of_cost(notes: Sequence[Note], point: Mapping[str, Any], told: int) -> dict[str, Any]:
    """Of the updates so far. ``unread``: facts in whose conversations the method found nothing to learn; ``refused``:
    those it learnt and did not accept; ``quiet_changed``: conversations without a fact that changed weights."""
    told_of = [note.update for note in notes if note.kind in ("fact", "correction")]
    changing = [update for update in told_of if update.accepted]
    slept = [note.slept for note in notes if note.slept is not None]
    quiet = [note.update for note in notes if note.kind == "chat"]
    return {
        "updates": len(notes), "accepted": len(changing),
        "refused": sum(not update.accepted and update.id != "" for update in told_of),
        "unread": sum(not update.accepted and update.id == "" for update in told_of),
        "seconds_median": percentile([note.update.seconds for note in notes], 0.5),
        "seconds_p95": percentile([note.update.seconds for note in notes], 0.95),
        "seconds": sum(note.update.seconds for note in notes) + sum(update.seconds for update in slept),
        "bytes_median": percentile([update.bytes for update in changing], 0.5),
        "entries_median": percentile([update.entries for update in changing], 0.5),
        "sleeps": len(slept), "quiet_changed": sum(update.entries > 0 and update.accepted for update in quiet),
        "quiet": len(quiet), "side_bytes": point["side_bytes"], "peak_bytes": point["peak_bytes"],
        "added_bytes": point["added_bytes"], "added_bytes_per_fact": share(point["added_bytes"], told),
    }  # fmt: skip


def is_good(point: Mapping[str, Any]) -> bool:
    """Whether a point counts for C90."""
    held, far = point["facts"]["held_share"], point["far"]["windows"]
    return held is not None and held >= SHARE and far["ratio"] <= RATIO and far["agreement"] >= AGREEMENT


def c90(points: Mapping[str, Mapping[str, Any]]) -> int:
    """The largest measured N that is good; 0 when none is."""
    return max((int(count) for count, point in points.items() if is_good(point)), default=0)


def summary(seeds: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Over the seeds of one method: median and worst of each headline figure at each point that all seeds have."""
    if not seeds:
        return {}
    common = set.intersection(*(set(points) for points in seeds.values()))
    out: dict[str, Any] = {"seeds": len(seeds)}
    reached = [c90(points) for points in seeds.values()]
    out["c90"] = {"median": statistics.median(reached), "worst": min(reached)}
    out["points"] = {}
    for count in sorted(common, key=int):
        rows = [points[count] for points in seeds.values()]
        out["points"][count] = {
            name: {"median": statistics.median(values), "worst": (max if lower else min)(values)}
            for name, lower, values in ((name, lower, [value for value in map(read, rows) if value is not None])
                                        for name, (lower, read) in HEADLINES.items()) if values}
    return out


def pair(row: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        row = row[name]
    part, whole = row  # type: ignore[misc]
    return share(part, whole)  # type: ignore[arg-type]


# name -> (smaller is better, how it is read from a point)
HEADLINES: dict[str, tuple[bool, Any]] = {
    "told": (False, lambda row: row["facts"]["told"]),
    "held": (False, lambda row: row["facts"]["held"]),
    "held_share": (False, lambda row: row["facts"]["held_share"]),
    "recalled": (False, lambda row: row["facts"]["recalled"]),
    "strict": (False, lambda row: row["facts"]["strict"]),
    "old": (False, lambda row: pair(row, "facts", "old")),
    "reverse": (False, lambda row: pair(row, "facts", "reverse")),
    "corrections": (False, lambda row: share(row["facts"]["corrections"]["both"],
                                             row["facts"]["corrections"]["told"])),
    "ratio": (True, lambda row: row["far"]["windows"]["ratio"]),
    "kl": (True, lambda row: row["far"]["windows"]["kl"]),
    "agreement": (False, lambda row: row["far"]["windows"]["agreement"]),
    "known": (False, lambda row: pair(row, "locality", "known")),
    "hallucinated": (True, lambda row: pair(row, "locality", "hallucinated")),
    "everyday": (False, lambda row: pair(row, "locality", "everyday")),
    "taught": (False, lambda row: pair(row, "locality", "taught")),
    "seconds_median": (True, lambda row: row["cost"]["seconds_median"]),
    "seconds_p95": (True, lambda row: row["cost"]["seconds_p95"]),
    "bytes_median": (True, lambda row: row["cost"]["bytes_median"]),
    "peak_bytes": (True, lambda row: row["cost"]["peak_bytes"]),
    "side_bytes": (True, lambda row: row["cost"]["side_bytes"]),
    "added_bytes": (True, lambda row: row["cost"]["added_bytes"]),
}


def limits(parameters: int, layers: int, d_ff: int, facts: int) -> dict[str, Any]:
    """What the size allows: facts of 30 bits at 1 and 2 bits a parameter (Allen-Zhu and Li 2024, arXiv 2404.05405, for
    100 and 1000 exposures each); facts written once each while their keys in the down projections are separable, at
    half of the directions free and four for a fact; and the share of the bits that ``facts`` are."""
    bits = [parameters * rate for rate in BITS_PER_PARAMETER]
    return {"bits_per_fact": BITS_PER_FACT, "facts_at_1_bit": int(bits[0] // BITS_PER_FACT),
            "facts_at_2_bits": int(bits[1] // BITS_PER_FACT), "written_once": int(layers * d_ff * FREE / DIRECTIONS),
            "share_of_bits": facts * BITS_PER_FACT / bits[1],
            "value_bits": {name: round(relation.pool.bits, 2) for name, relation in relations().items()},
            "chance": max(1 / relation.pool.size for relation in relations().values())}
