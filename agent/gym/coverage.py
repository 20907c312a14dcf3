"""What a set of episodes holds: programs, options, lengths, and how varied its requests are beside other people's.

    python -m nimllm.agent.gym.coverage tasks.jsonl [--against pairs.jsonl.xz ...] [--json]

Requests are compared without their literals (names, quoted texts, numbers, paths), so that random names do not count as
variety. For each n: how many different n-grams a thousand n-grams hold (the mean over samples of one size, since the
share falls with the length of a text), and with ``--against`` which share of the other requests' n-grams occur here.
``--against`` reads JSONL rows with ``nl`` and ``bash``.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nimllm.errors import NimError, UsageError
from nimllm.tools.commands import UNKNOWN, parse

ORDERS = (1, 2, 3)
SAMPLE = 1000  # n-grams that are counted at a time
ROUNDS = 40
_OPTION = re.compile(r"--?[A-Za-z][\w-]*")
_LITERAL = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\S*[/\d._*@$-]\S*")


def words(request: str, names: Sequence[str] = ()) -> list[str]:
    """The words of a request in lower case; literals and ``names`` become ``_``."""
    for name in sorted(names, key=len, reverse=True):
        request = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " _ ", request) if name else request
    return re.findall(r"_|[a-z']+", _LITERAL.sub(" _ ", request).lower())


def grams(texts: Iterable[list[str]], n: int) -> list[tuple[str, ...]]:
    return [tuple(text[at : at + n]) for text in texts for at in range(len(text) - n + 1)]


def variety(found: Sequence[tuple[str, ...]], rng: random.Random) -> float:
    """Different ones of :data:`SAMPLE` drawn n-grams; nan when there are fewer."""
    if len(found) < SAMPLE:
        return float("nan")
    return statistics.mean(len(set(rng.sample(found, SAMPLE))) for _ in range(ROUNDS))


def programs(commands: Iterable[str]) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """How many commands use a program, and a program with an option."""
    used: Counter[str] = Counter()
    options: Counter[tuple[str, str]] = Counter()
    for command in commands:
        seen = {(simple.name, word) for simple in parse(command).simples for word in simple.words
                if simple.name and UNKNOWN not in simple.name}
        used.update({program for program, _ in seen})
        named = ((program, word.split("=")[0]) for program, word in seen)
        options.update({(program, option) for program, option in named if _OPTION.fullmatch(option)})
    return used, options


def _quantiles(values: Sequence[int]) -> dict[str, float]:
    if len(values) < 2:
        return {}
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return {"5 %": cuts[0], "median": cuts[9], "95 %": cuts[18], "most": float(max(values))}


def report(rows: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """``rows``: episodes as the generator writes them."""
    rng = random.Random(0)
    requests = [words(turn["text"], row.get("protected", ())) for row in rows for turn in row["turns"]
                if turn["role"] == "user"]
    commands = [command for row in rows for command in row["commands"]]
    used, options = programs(commands)
    found: dict[str, Any] = {
        "episodes": len(rows),
        "kinds": len({row["schema"] for row in rows}),
        "steps": dict(sorted(Counter(row["steps"] for row in rows).items())),
        "programs": dict(used.most_common()),
        "options": {f"{program} {option}": count for (program, option), count in options.most_common()},
        "words of a request": _quantiles([len(text) for text in requests]),
        "characters of a command": _quantiles([len(command) for command in commands]),
        "variety": {n: variety(grams(requests, n), rng) for n in ORDERS},
    }
    if others:
        theirs = [words(row["nl"]) for row in others]
        their_used, their_options = programs(row["bash"] for row in others)
        shares = {}
        for n in ORDERS:
            own, all_theirs = set(grams(requests, n)), Counter(grams(theirs, n))
            shares[n] = sum(count for gram, count in all_theirs.items() if gram in own) / max(1, all_theirs.total())
        found["against"] = {
            "requests": len(others),
            "variety": {n: variety(grams(theirs, n), rng) for n in ORDERS},
            "of their n-grams": shares,
            "of their uses of programs": _share(their_used, used),
            "of their uses of options": _share(their_options, options),
            "programs only they use": [program for program, _ in their_used.most_common() if program not in used][:30],
        }
    return found


def _share(theirs: Counter[Any], own: Counter[Any]) -> float:
    return sum(count for item, count in theirs.items() if item in own) / max(1, theirs.total())


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    shown = [f"{found['episodes']:,} episodes of {found['kinds']:,} kinds; by commands: "
             + ", ".join(f"{steps}: {count:,}" for steps, count in found["steps"].items()),
             f"{len(found['programs'])} programs, {len(found['options'])} of their options"]
    shown.append("programs: " + ", ".join(f"{name} {count}" for name, count in list(found["programs"].items())[:60]))
    for what in ("words of a request", "characters of a command"):
        shown.append(f"{what}: " + ", ".join(f"{name} {value:.0f}" for name, value in found[what].items()))
    shown.append(f"different n-grams of {SAMPLE}: " + _by_order(found["variety"], "{:.0f}"))
    if "against" in found:
        other = found["against"]
        shown += [f"beside {other['requests']:,} other requests: different n-grams of {SAMPLE} there: "
                  + _by_order(other["variety"], "{:.0f}"),
                  "of their n-grams, here too: " + _by_order(other["of their n-grams"], "{:.0%}"),
                  f"of their uses of programs, here too: {other['of their uses of programs']:.0%}; of options "
                  f"{other['of their uses of options']:.0%}",
                  "programs only they use: " + ", ".join(other["programs only they use"])]
    return shown


def _by_order(values: dict[int, float], form: str) -> str:
    return ", ".join(f"n = {n} {form.format(value)}" for n, value in values.items())


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file, packed with xz or not; NimError 2 naming the line for what is none."""
    try:
        with (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield json.loads(line)
                    except ValueError as error:
                        raise UsageError(f"{path}, line {number} is not JSON", str(error)) from None
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise UsageError(f"cannot read {path}", str(error), "give JSONL files") from None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nimllm.agent.gym.coverage", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("episodes", type=Path, nargs="+")
    parser.add_argument("--against", type=Path, nargs="+", default=[])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = report([row for path in given.episodes for row in read(path)],
                   [row for path in given.against for row in read(path)])
    print(json.dumps(found, ensure_ascii=False) if given.json else "\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NimError as error:
        print(f"coverage: {error.message()}", file=sys.stderr)
        sys.exit(error.code)
