"""What a run of the bench is: its frozen settings, its folders, its command line's values checked."""

from __future__ import annotations

import hashlib
import json
from argparse import Namespace
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nimllm import places
from nimllm.alignment.memory.bench.options import POINTS
from nimllm.errors import UsageError


@dataclass(frozen=True)
class Sizes:
    """How much is measured; the same for every method and every N."""

    windows: int = 512
    window_tokens: int = 128
    control_items: int = 100  # of the shuffle control, at most
    reverted: int = 5
    every: int = 1  # of the questions that no fact decides (known, untold, everyday), every so-manyth is asked


@dataclass(frozen=True)
class Plan:
    """One run. ``controls``: methods whose shuffle and revert checks are made, on the first seed."""

    run: Path
    out: Path
    methods: tuple[str, ...]
    seeds: tuple[str, ...] = ("test-1", "test-2", "test-3")
    points: tuple[int, ...] = POINTS
    wordings: str = "test"
    mix: str = "standard"
    controls: tuple[str, ...] = ()
    text: Path | None = None
    sizes: Sizes = field(default_factory=Sizes)

    @property
    def count(self) -> int:
        return self.points[-1]

    def frozen(self) -> dict[str, Any]:
        """What must be the same for a run to go on: everything that decides a figure but the methods and seeds."""
        return {"wordings": self.wordings, "mix": self.mix, "sizes": asdict(self.sizes), "bank": bank_hash(),
                "text": self.text.name if self.text else None}

    def folder(self, seed: str, method: str) -> Path:
        return self.out / seed / method

    def stream_file(self, seed: str, count: int | None = None) -> Path:
        return self.out / seed / f"stream-{count or self.count}.json"


def digest(data: object) -> str:
    """SHA-256 of JSON data, keys sorted."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def bank_hash() -> str:
    """Of every wording, every pool, and the talk around them."""
    from nimllm.alignment.memory.bench import conventions, talk
    from nimllm.alignment.memory.bench.bank import relations

    return digest([[asdict(relation) for relation in relations().values()], talk.FRAMES, talk.CORRECTIONS, talk.IDLE,
                   talk.BEFORE, [asdict(kind) for kind in conventions.KINDS], conventions.EVERYDAY])


def of_arguments(args: Namespace) -> Plan:
    """UsageError for methods, seeds or points that there are not."""
    from nimllm.alignment.memory.bench.methods.registry import WAYS
    from nimllm.alignment.memory.bench.stream import seed_of

    methods = _list(args.methods)
    if methods == ("all",):
        methods = tuple(WAYS)
    unknown = [name for name in methods if name not in WAYS]
    if unknown or not methods:
        raise UsageError(f"no way of learning is called {unknown[0] if unknown else ''!r}", "",
                         f"there are {', '.join(WAYS)}, or all")
    seeds = _list(args.seeds)
    for seed in seeds:
        seed_of(seed)
    if not seeds:
        raise UsageError("no seed was given")
    ours = tuple(name for name in methods if WAYS[name].kind == "ours")
    controls = _list(args.controls) if args.controls is not None else ours
    strangers = [name for name in controls if name not in methods]
    if strangers:
        raise UsageError(f"--controls names {strangers[0]!r}", "it is none of --methods", "name it in both")
    run = Path(args.model) if args.model else places.shipped_model()
    out = Path(args.out) if args.out else places.state_folder("bench") / "memory"
    return Plan(run, out, methods, seeds, _points(args.n), args.wordings, args.mix, controls,
                Path(args.text) if args.text else None)


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _points(text: str) -> tuple[int, ...]:
    try:
        found = sorted({int(part) for part in _list(text)})
    except ValueError:
        raise UsageError(f"--n {text}", "points are numbers of items", "such as --n 1,10,100") from None
    if not found or found[0] < 1 or found[-1] > 10_000:
        raise UsageError(f"--n {text}", "points lie between 1 and 10000")
    return tuple(found)
