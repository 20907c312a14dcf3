"""What the answers come to: how many of the taught conventions are found in other words, by age, and what it costs."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nimllm.agent.choose import normal
from nimllm.agent.gym.evaluate import line, rate
from nimllm.agent.taught.bank import Convention
from nimllm.llm.plots import Curve, draw

Answers = Mapping[str, Mapping[str, Sequence[str]]]
MOST = 3  # wordings of four that make "3 of 4"
ENDS = 10  # conventions taught first, and last, that are counted apart


def right_of(one: Convention, answers: Answers) -> int:
    """Wordings that brought the taught command."""
    return sum(normal(said) == normal(one.command) for said in answers[one.request]["asked"])


def score(conventions: Sequence[Convention], answers: Answers) -> dict[str, Any]:
    """Of the conventions taught so far, oldest first. ``same``: asked in the very words that taught; ``all4``,
    ``most``, ``wordings``: [right, of]; ``oldest`` and ``newest``: the same of the ends, none where they would overlap;
    ``controls``: [wrong, of], a control being wrong when it brings any command that was taught; ``other``: wordings
    that brought the command of another convention."""
    counts = [right_of(one, answers) for one in conventions]
    taught = {normal(one.command) for one in conventions}
    controls = [normal(said) in taught for one in conventions for said in answers[one.request]["controls"]]
    other = sum(normal(said) in taught - {normal(one.command)} for one in conventions
                for said in answers[one.request]["asked"])

    def part(some: Sequence[int]) -> dict[str, list[int]]:
        asked = sum(len(one.asked) for one in conventions[: len(some)])
        return {"all4": [sum(count == 4 for count in some), len(some)],
                "most": [sum(count >= MOST for count in some), len(some)], "wordings": [sum(some), asked]}

    same = [normal(answers[one.request]["taught"][0]) == normal(one.command) for one in conventions]
    ends = {"oldest": part(counts[:ENDS]), "newest": part(counts[-ENDS:])} if len(counts) >= 2 * ENDS else {}
    return {"taught": len(counts), "same": [sum(same), len(same)], **part(counts), **ends,
            "controls": [sum(controls), len(controls)], "other": other}


def wrong(conventions: Sequence[Convention], answers: Answers) -> list[dict[str, str]]:
    """Each wording that brought another command, and each control that brought a taught one."""
    taught = {normal(one.command) for one in conventions}
    found = []
    for one in conventions:
        rows = answers[one.request]
        found += [{"kind": "asked", "taught": one.request, "asked": asked, "right": one.command, "came": said}
                  for asked, said in zip(one.asked, rows["asked"], strict=True) if normal(said) != normal(one.command)]
        found += [{"kind": "control", "taught": one.request, "asked": asked, "right": "", "came": said}
                  for asked, said in zip(one.controls, rows["controls"], strict=True) if normal(said) in taught]
    return found


def costs(updates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the updates: what became of them, seconds and bytes each, and why those wait that wait."""
    def spread(values: Sequence[float]) -> dict[str, float | None]:
        ordered = sorted(values)
        return {"median": statistics.median(ordered) if ordered else None,
                "p95": ordered[min(len(ordered) - 1, math.ceil(0.95 * len(ordered)) - 1)] if ordered else None}

    return {"states": dict(Counter(one["state"] for one in updates)),
            "ways": dict(Counter(one["way"] for one in updates)),
            "guessed": sum(bool(one["guessed"]) for one in updates),
            "seconds": spread([one["seconds"] for one in updates]),
            "bytes": spread([one["bytes"] for one in updates if one["bytes"]]),
            "waiting": dict(Counter(_reason(one["why"]) for one in updates if one["state"] != "accepted"))}


def _reason(why: str) -> str:
    """Without the details: "the gate: answered, perplexity"."""
    head, _, checks = why.partition("the gate: ")
    names = [check.split(":")[0] for check in checks.split("; ")] if checks else []
    return head + ("the gate: " + ", ".join(names) if names else "")


def skill(before: Sequence[bool], after: Sequence[bool]) -> dict[str, Any]:
    """Generated tasks with the base and with what was taught; ``loss`` in points of 100."""
    pairs = list(zip(before, after, strict=True))
    count = max(1, len(pairs))
    return {"before": rate(sum(before), len(pairs)), "after": rate(sum(after), len(pairs)),
            "loss": 100 * (sum(before) - sum(after)) / count,
            "lost": sum(was and not now for was, now in pairs), "won": sum(now and not was for was, now in pairs)}


# ---- for people --------------------------------------------------------------------------------------------------


def _share(pair: Sequence[int] | None) -> str:
    return f"{pair[0]}/{pair[1]}" if pair else "-"


def table(report: Mapping[str, Any]) -> list[str]:
    """A row a point."""
    rows: list[tuple[str, ...]] = [("taught", "same words", "all 4", "3 of 4", "wordings", "oldest 10", "newest 10",
                                    "controls wrong", "another's")]
    for point in report["points"]:
        ends = [_share(point[end]["most"] if end in point else None) for end in ("oldest", "newest")]
        rows.append((str(point["taught"]), *(_share(point[key]) for key in ("same", "all4", "most", "wordings")), *ends,
                     _share(point["controls"]), str(point["other"])))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def lines(report: Mapping[str, Any]) -> list[str]:
    """The whole report; the picture is :func:`chart`."""
    out = ["asked in four other wordings each; the ends count those with 3 of 4 right", *table(report)]
    if report["points"]:
        last = report["points"][-1]
        out.append(f"after {last['taught']}: all 4 right {line(*last['all4'])}; 3 of 4 {line(*last['most'])}")
    costs = report["updates"]
    ways = ", ".join(f"{count} {_WAYS[way]}" for way, count in costs["ways"].items())
    out.append(f"taught: {ways}; {', '.join(f'{count} {state}' for state, count in costs['states'].items())}; "
               f"{costs['guessed']} commands were proposed before they were taught")
    out += [f"  {count} not in the weights: {why or 'no reason'}" for why, count in costs["waiting"].items()]
    if costs["seconds"]["median"] is not None:
        size = costs["bytes"]["median"]
        out.append(f"an update: {costs['seconds']['median']:.2f} s (95 %: {costs['seconds']['p95']:.2f} s), its "
                   f"process included" + (f"; delta {size / 1000:.1f} kB" if size else ""))
    if report.get("skill"):
        found = report["skill"]
        out.append(f"eval shell, {found['before']['total']} tasks: {found['before']['passed']} before, "
                   f"{found['after']['passed']} after ({found['lost']} lost, {found['won']} won): "
                   f"{found['loss']:.1f} points lost")
    if report.get("repeat"):
        out += repeat_lines(report["repeat"])
    return [*out, *_circumstances(report)]


_WAYS = {"edit": "by an edit", "typed": "by !COMMAND", "fix": "by /fix"}


def repeat_lines(repeat: Mapping[str, Any]) -> list[str]:
    """A row a round."""
    out = [f"{repeat['tasks']} generated tasks that the model fails ({repeat['tried']} tried); with memory, an edit "
           f"after each failure ({repeat['learnt']} of {repeat['corrections']} learnt):",
           "  round  with memory  without"]
    for row in repeat["rounds"]:
        out.append(f"  {row['round']:5}  {_share(row['on']):>11}  {_share(row['off']):>7}")
    return out


def _circumstances(report: Mapping[str, Any]) -> list[str]:
    machine, base = report["machine"], report["base"]
    versions = machine["versions"]
    return [f"{machine['cpu']['model']}, load {machine['load_1min']:.1f}; torch {versions['torch']}; nimllm "
            f"{versions['nimllm']} {(machine['commit'] or 'no commit')[:16]}; {machine['date'][:10]}",
            f"base {base['fingerprint'][:16]} ({base['parameters']:,} parameters), {base['dtype']}; method "
            f"{report['frozen']['method']}; bank {report['frozen']['bank'][:16]} (seed {report['frozen']['seed']})"]


def charts(report: Mapping[str, Any]) -> list[tuple[str, str, str, list[Curve]]]:
    """(title, x, y, curves) of what has at least two points."""
    def share(pair: Sequence[int]) -> float:
        return pair[0] / pair[1] if pair[1] else 0.0

    found = []
    points = report["points"]
    if len(points) > 1:
        curves = [Curve(name, [(float(point["taught"]), share(point[key])) for point in points], mark)
                  for name, key, mark in (("3 of 4 wordings", "most", "o"), ("all 4", "all4", "x"),
                                          ("controls wrong", "controls", "c"))]
        found.append(("taught commands, asked in other words", "conventions taught", "share right", curves))
    repeat = report.get("repeat")
    if repeat and len(repeat["rounds"]) > 1:
        curves = [Curve(name, [(float(row["round"]), share(row[key])) for row in repeat["rounds"]], mark)
                  for name, key, mark in (("with memory", "on", "o"), ("without", "off", "x"))]
        found.append(("success on repeated tasks", "round", "share that succeeded", curves))
    return found


def chart(report: Mapping[str, Any], colour: bool = False) -> str:
    """The same as text; "" while there is nothing to draw."""
    return "\n\n".join(f"{title} ({y}, over {x})\n{draw(curves, 60, 8, colour=colour)}"
                       for title, x, y, curves in charts(report))


def save_png(report: Mapping[str, Any], path: Path) -> None:
    """As ``memory plot`` does. NimError 3: see :func:`figures.save_charts`."""
    from nimllm.alignment.memory.figures import save_charts

    save_charts(charts(report), path)
