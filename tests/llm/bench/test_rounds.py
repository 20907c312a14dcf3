"""Rounds alternate, ratios are per round, ^C keeps what was measured, and a contestant's process fails in words."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from nimllm.errors import NimError
from nimllm.llm.bench.limits import Bandwidth
from nimllm.llm.bench.report import table
from nimllm.llm.bench.rounds import Kind, Worker, contest, steady

KINDS = {"speed": Kind("tok/s", limited=True), "memory": Kind("MB", higher_is_better=False)}


class Runner:
    """Somebody with known speeds; ``log`` is shared, so that the order of the rounds shows."""

    def __init__(self, name: str, speeds: list[float], log: list[str], dtype: str = "bf16",
                 memory: float = 10.0, at: Callable[[int], None] = lambda number: None) -> None:
        self.name, self.dtype, self.what = name, dtype, ""
        self._speeds, self._log, self._memory, self._at, self._number = speeds, log, memory, at, 0

    def measure(self) -> dict[str, float]:
        self._at(self._number)
        self._log.append(self.name)
        self._number += 1
        return {"speed": self._speeds[self._number - 1], "memory": self._memory}

    def close(self) -> None:
        self._log.append(f"closed {self.name}")


def test_rounds_alternate_and_ratios_are_taken_within_a_round() -> None:
    log: list[str] = []
    ours, theirs = Runner("nimllm", [10, 40, 90], log, memory=5), Runner("peer", [10, 20, 30], log, memory=20)
    figures, interrupted = contest([ours, theirs], KINDS, 3)
    assert log == ["nimllm", "peer"] * 3 and not interrupted
    rows = {(f.contestant, f.name): f.row() for f in figures}
    speed = rows["nimllm", "speed"]
    assert speed["ratios"]["peer"] == {"rounds": [1, 2, 3], "median": 2, "min": 1, "max": 3}
    assert (speed["median"], speed["min"], speed["max"], speed["rounds"]) == (40, 10, 90, [10, 40, 90])
    memory = rows["nimllm", "memory"]
    assert memory["better"] == "lower" and memory["ratios"]["peer"]["median"] == 4  # less memory is a win
    assert rows["peer", "speed"]["ratios"] == {} and speed["limit"] is None


def test_a_peer_of_another_dtype_is_named_with_it() -> None:
    log: list[str] = []
    figures, _ = contest([Runner("nimllm", [4], log), Runner("peer", [2], log), Runner("peer", [8], log, "q4")],
                         KINDS, 1)
    ratios = figures[0].row()["ratios"]
    assert {name: ratio["median"] for name, ratio in ratios.items()} == {"peer": 2, "peer q4": 0.5}


def test_interrupted_rounds_keep_what_was_measured() -> None:
    def interrupt(number: int) -> None:
        if number == 1:
            raise KeyboardInterrupt

    log: list[str] = []
    figures, interrupted = contest(
        [Runner("nimllm", [1, 2, 3], log), Runner("peer", [1, 1, 1], log, at=interrupt)], KINDS, 3)
    assert interrupted
    rows = {(f.contestant, f.name): f.row() for f in figures}
    assert rows["nimllm", "speed"]["rounds"] == [1, 2] and rows["peer", "speed"]["rounds"] == [1]
    assert rows["nimllm", "speed"]["ratios"]["peer"]["rounds"] == [1]


def test_the_limit_is_measured_in_every_round_and_the_share_is_of_that_round() -> None:
    limit = Bandwidth(size=1 << 20, threads=1, units_per_pass=2)
    figures, _ = contest([Runner("nimllm", [100, 100], [])], KINDS, 2, {0: limit})
    row = figures[0].row()["limit"]
    assert len(limit.measured) == len(row["gb_per_second"]) == 2 and row["bytes"] == 1 << 20
    shares = [100 / (rate / (1 << 20) * 2) for rate in limit.measured]
    assert row["share"]["min"] == pytest.approx(min(shares), abs=1e-6)
    assert figures[1].row()["limit"] is None  # memory has none


def test_the_table_shows_units_shares_and_ratios() -> None:
    log: list[str] = []
    limit = Bandwidth(size=1 << 20, threads=1)
    figures, _ = contest([Runner("nimllm", [4], log), Runner("peer", [2], log)], KINDS, 1, {0: limit})
    lines = table([{"shape": "48m", **figure.row()} for figure in figures])
    assert len(lines) == 5 and len({line.index("tok/s") for line in lines if "tok/s" in line}) == 1
    assert "peer 2.00x (2.00 … 2.00)" in lines[1] and "%" in lines[1] and "nimllm" in lines[1]


def test_steady_takes_the_median_of_repeated_runs() -> None:
    values = iter([1.0, 100.0, 3.0])
    assert steady(lambda: next(values), least=10.0, most=3) == 3.0


CHILD = """
import json, sys
spec = json.loads(sys.argv[1])
print("noise", file=sys.stderr)
print(json.dumps({"hello": spec["name"]}), flush=True)
for line in sys.stdin:
    if json.loads(line).get("die"):
        sys.exit("died of it")
    print(json.dumps({"speed": 7.0}), flush=True)
"""


def test_a_worker_answers_and_tells_why_it_died() -> None:
    worker = Worker("child", [sys.executable, "-c", CHILD], {"name": "x"})
    try:
        assert worker.ready == {"hello": "x"} and worker.start_seconds > 0
        assert worker.ask() == {"speed": 7.0}
        with pytest.raises(NimError, match="child failed: died of it"):
            worker.ask(die=True)
        with pytest.raises(NimError):
            worker.ask()
    finally:
        worker.close()
        worker.close()


@pytest.mark.parametrize("words, message", [
    (["/no/such/program"], "cannot be run"),
    ([sys.executable, "-c", "raise SystemExit('no such module')"], "failed: no such module"),
    ([sys.executable, "-c", "print('not json')"], "gave no measurement"),
    ([sys.executable, "-c", "raise SystemExit(3)"], "exit code 3"),
])  # fmt: skip
def test_a_worker_that_cannot_start_is_one_error(words: list[str], message: str) -> None:
    with pytest.raises(NimError, match=message):
        Worker("child", words, {})
