"""Alternating rounds: limits, ours, the peers, ours again … so that a noisy neighbour meets all of them alike."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

from nimllm.errors import NimError
from nimllm.llm.bench.limits import Limit


class Contestant(Protocol):
    """Somebody who is measured. ``dtype``: of the weights; ``what``: the program and how it runs, in a few words."""

    name: str  # "nimllm", or the peer's
    dtype: str
    what: str

    def measure(self) -> dict[str, float]:
        """One round: figure -> value."""

    def close(self) -> None:
        """Ends its processes and frees its memory."""


@dataclass
class Figure:
    """One number per round. ``limit``: rates per second of the same rounds, for a figure in something per second."""

    name: str
    unit: str
    contestant: str
    dtype: str
    what: str
    rounds: list[float] = field(default_factory=list)
    higher_is_better: bool = True
    limit: Limit | None = None
    ratios: dict[str, list[float]] = field(default_factory=dict)  # peer -> ours over theirs, per round; above 1 is won

    def row(self) -> dict[str, Any]:
        """The figure's part of a JSON line."""
        return {
            "figure": self.name, "unit": self.unit, "who": self.contestant, "what": self.what, "dtype": self.dtype,
            "better": "higher" if self.higher_is_better else "lower",
            **_spread(self.rounds), "rounds": [round(value, 6) for value in self.rounds],
            "limit": self._limit(),
            "ratios": {peer: {**_spread(values), "rounds": [round(value, 4) for value in values]}
                       for peer, values in self.ratios.items()},
        }  # fmt: skip

    def _limit(self) -> dict[str, Any] | None:
        if self.limit is None or not self.limit.measured:
            return None
        rates = [self.limit.rate(index) for index in range(min(len(self.rounds), len(self.limit.measured)))]
        shares = [value / rate for value, rate in zip(self.rounds, rates, strict=False)]
        return {**self.limit.about(), "unit": self.unit, **_spread(rates), "share": _spread(shares)}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 6), "min": round(min(values), 6), "max": round(max(values), 6)}


@dataclass(frozen=True)
class Kind:
    """What a figure of a benchmark is called and counted in; ``limited``: the contestant's limit stands beside it."""

    unit: str
    higher_is_better: bool = True
    limited: bool = False


def contest(contestants: Sequence[Contestant], kinds: dict[str, Kind], rounds: int,
            limits: dict[int, Limit] | None = None, tell: Callable[[str], None] = lambda text: None,
            ) -> tuple[list[Figure], bool]:
    """(figures of what was measured, whether ^C ended it). ``limits``: of a contestant, by its number in the list.

    Ours stand against every peer of the same dtype; a peer of another dtype is compared under its name and dtype.
    A round that ^C cut short keeps the values it has; ratios need both.
    """
    limits = limits or {}
    found: dict[tuple[int, str], Figure] = {}
    interrupted = False
    try:
        for number in range(rounds):
            for limit in {id(limit): limit for limit in limits.values()}.values():
                limit.measure()
            for index, who in enumerate(contestants):
                for name, value in who.measure().items():
                    kind = kinds[name]
                    figure = found.setdefault((index, name), Figure(
                        name, kind.unit, who.name, who.dtype, who.what, higher_is_better=kind.higher_is_better,
                        limit=limits.get(index) if kind.limited else None))
                    figure.rounds.append(value)
                    tell(f"round {number + 1}/{rounds}  {who.name} {who.dtype}  {name} {value:,.4g} {kind.unit}")
    except KeyboardInterrupt:
        interrupted = True
    for (index, name), ours in found.items():
        if contestants[index].name != "nimllm":
            continue
        for (other, same), theirs in found.items():
            if same == name and contestants[other].name != "nimllm":
                label = theirs.contestant if theirs.dtype == ours.dtype else f"{theirs.contestant} {theirs.dtype}"
                pairs = zip(ours.rounds, theirs.rounds, strict=False)
                ours.ratios[label] = [a / b if ours.higher_is_better else b / a for a, b in pairs]
    return list(found.values()), interrupted


def steady(once: Callable[[], float], least: float = 0.4, most: int = 9) -> float:
    """The median of ``once()`` (a rate), repeated until ``least`` seconds are over: one run of 200 tokens of a small
    model takes 0.03 s, in which a single interrupt shows."""
    values = [once()]
    began = time.perf_counter()
    while time.perf_counter() - began < least and len(values) < most:
        values.append(once())
    return median(values)


class Worker:
    """A contestant's process: it prints one JSON object when it is ready, then one for every line it is asked.

    Its standard output must hold nothing else (:mod:`nimllm.llm.bench.drivers`); what it says on standard error is
    quoted when it fails. ``name`` is for messages.
    """

    def __init__(self, name: str, words: Sequence[str], about: dict[str, Any], cwd: str | None = None,
                 environment: dict[str, str] | None = None) -> None:
        self.name = name
        self._stack = ExitStack()
        self._errors = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self.began = time.perf_counter()
        try:
            self._process = subprocess.Popen(
                [*words, json.dumps(about)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                cwd=cwd, env={**os.environ, **(environment or {})}, text=True)  # fmt: skip
        except OSError as error:
            self._stack.close()
            raise NimError(f"{name} cannot be run", f"{words[0]}: {error.strerror}", "check the path") from None
        try:
            self.ready = self._answer()
        except BaseException:
            self.close()
            raise
        self.start_seconds = time.perf_counter() - self.began

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            try:
                return json.loads(line)
            except json.JSONDecodeError:
                raise NimError(f"{self.name} gave no measurement", f"it printed {line[:200]!r}") from None
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        raise NimError(f"{self.name} failed", said[-1][:500] if said else f"exit code {self._process.returncode}",
                       "run the program by itself to see more")

    def ask(self, **question: Any) -> dict[str, Any]:
        """One round; NimError when the process has died."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it is gone: reading tells why
        return self._answer()

    def close(self) -> None:
        """Ends the process; harmless when repeated."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass
        self._stack.close()

