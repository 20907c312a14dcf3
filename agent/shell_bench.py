"""``nimllm bench shell``: what a command costs on its way through the shell, beside a bare bash behind a pipe."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from nimllm.errors import INTERRUPTED, OK, NimError, UsageError
from nimllm.llm.bench.report import Report
from nimllm.llm.bench.rounds import Contestant, Kind, contest
from nimllm.tools import sandbox
from nimllm.tools.shell import Shell

OUTPUT = 700_000  # bytes of the command that writes much
KINDS = {
    "round_trip": Kind("ms", higher_is_better=False),
    "round_trip_p90": Kind("ms", higher_is_better=False),
    "read": Kind("ms", higher_is_better=False),
    "start": Kind("ms", higher_is_better=False),
}


def _text() -> bytes:
    line = b"%d: all work and no play makes a dull boy\n"
    lines = b"".join(line % number for number in range(OUTPUT // 40))
    return lines[:OUTPUT]


class ShellContestant:
    """Our shell at one level of the sandbox (which stands in the place of a dtype)."""

    name = "nimllm"

    def __init__(self, folder: Path, level: str, commands: int, stack: ExitStack) -> None:
        self._box = sandbox.probe(folder, want=level)
        self.dtype: str = self._box.level
        self.what = self._box.reason
        self._folder, self._commands = folder, commands
        self._shell = stack.enter_context(Shell(folder, self._box))
        for _ in range(20):
            self._shell.run("true")

    def measure(self) -> dict[str, float]:
        trips = sorted(self._shell.run("true").seconds * 1e3 for _ in range(self._commands))
        reads = []
        for _ in range(9):
            done = self._shell.run("cat long")
            if done.bytes != OUTPUT or done.truncated:
                raise NimError("the shell lost output", f"{done.bytes} bytes of {OUTPUT}")
            reads.append(done.seconds * 1e3)
        began = time.perf_counter()
        Shell(self._folder, self._box).close()
        return {"round_trip": median(trips), "round_trip_p90": trips[len(trips) * 9 // 10], "read": median(reads),
                "start": (time.perf_counter() - began) * 1e3}  # fmt: skip

    def close(self) -> None:
        self._shell.close()


class BareBash:
    """The floor: a bash that reads commands from a pipe and writes into another, with nothing around it. It can be
    wedged by an unterminated quote, and is fooled by whoever prints its marker."""

    name, dtype, what = "bare bash", "none", "bash --norc over two pipes"

    def __init__(self, folder: Path, commands: int) -> None:
        self._commands = commands
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, bufsize=0
        )

    def _run(self, command: bytes) -> tuple[float, int]:
        assert self._bash.stdin is not None and self._bash.stdout is not None
        began = time.perf_counter()
        self._bash.stdin.write(command + b"; echo =$?=\n")
        output = bytearray()
        while not output.endswith(b"=\n"):
            part = os.read(self._bash.stdout.fileno(), 1 << 18)
            if not part:
                raise NimError("bash ended")
            output += part
        return (time.perf_counter() - began) * 1e3, len(output) - 4

    def measure(self) -> dict[str, float]:
        trips = sorted(self._run(b"true")[0] for _ in range(self._commands))
        reads = [self._run(b"cat long") for _ in range(9)]
        began = time.perf_counter()
        subprocess.run(["bash", "--norc", "--noprofile", "-c", ":"], check=True)
        start = (time.perf_counter() - began) * 1e3
        return {"round_trip": median(trips), "round_trip_p90": trips[len(trips) * 9 // 10],
                "read": median(took for took, _ in reads), "start": start}  # fmt: skip

    def close(self) -> None:
        self._bash.kill()
        self._bash.wait()


def main(args: Namespace) -> int:
    """Measures, prints, exits with 0, or with 130 after ^C."""
    if args.rounds < 1 or args.commands < 1:
        raise UsageError("--rounds and --commands must be positive")
    with ExitStack() as stack, Report("shell", args.json) as report:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nimllm-bench-")))
        (folder / "long").write_bytes(_text())
        contestants: list[Contestant] = []
        for level in ("none", "bwrap", "landlock"):
            try:
                contestants.append(ShellContestant(folder, level, args.commands, stack))
            except NimError as error:
                report.note(f"{level} is left out: {error.message()}")
        bare = BareBash(folder, args.commands)
        stack.callback(bare.close)
        figures, interrupted = contest([*contestants, bare], KINDS, args.rounds, None, report.tell)
        report.add(figures, "shell", {"commands": args.commands, "output_bytes": OUTPUT, "rounds": args.rounds})
    return INTERRUPTED if interrupted else OK
