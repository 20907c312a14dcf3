"""``nimllm bench decode``: tokens per second after a prompt; the limit is the bandwidth at the weights' size."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path

from nimllm.llm.bench import peers
from nimllm.llm.bench.engines import EngineContestant, close_all
from nimllm.llm.bench.limits import Bandwidth, Copy, Limit
from nimllm.llm.bench.report import Report
from nimllm.llm.bench.rounds import Contestant, Kind, contest
from nimllm.llm.bench.shapes import Subject, matmul_weights

KINDS = {"decode": Kind("tok/s", limited=True)}
# bytes per weight of a peer's format: a block of 32 weights with its scale, or of 64 with an fp32 scale (llama2.c)
_PEER_BYTES = {"fp32": 4.0, "bf16": 2.0, "q8": 34 / 32, "q4": 18 / 32}
_LLAMA2C_BYTES = {"fp32": 4.0, "q8": 68 / 64}


def _limit(who: Contestant, subject: Subject, threads: int, device: str, samples: int) -> Limit:
    """``samples`` texts share one reading of the weights."""
    size: float | None = None
    if isinstance(who, EngineContestant):
        size = who.bytes_per_token
    if size is None:
        table = _LLAMA2C_BYTES if who.name == "llama2.c" else _PEER_BYTES
        size = matmul_weights(subject.config) * table[who.dtype]
    return Copy(size, samples) if device != "cpu" else Bandwidth(size, threads, samples)


def run(subject: Subject, dtype: str, args: Namespace, against: list[peers.Peer], report: Report) -> bool:
    """One shape in one dtype: measured and reported. Whether ^C ended it."""
    ours = EngineContestant(subject, dtype, args.threads, args.device, args.prompt_tokens, args.tokens, args.samples)
    everyone: list[Contestant] = [ours]
    if args.samples > 1:  # the ratio is that of all texts' tokens; samples / ratio is what they cost of one text's time
        alone = EngineContestant(subject, dtype, args.threads, args.device, args.prompt_tokens, args.tokens)
        alone.name = "one text"
        everyone.append(alone)
    with tempfile.TemporaryDirectory(prefix="nimllm-bench-") as folder:
        try:
            everyone += peers.contestants(against, "decode", subject, dtype, ours.threads, args.device, Path(folder),
                                          args.prompt_tokens, args.tokens)
            limits = {index: _limit(who, subject, ours.threads, args.device, args.samples if who is ours else 1)
                      for index, who in enumerate(everyone)}
            figures, interrupted = contest(everyone, KINDS, args.rounds, limits, report.tell)
        finally:
            close_all(everyone)
    conditions = {"prompt_tokens": args.prompt_tokens, "tokens": args.tokens, "samples": args.samples,
                  "greedy": True, "threads": ours.threads, "device": args.device, "rounds": args.rounds}
    report.add(figures, subject.name, conditions, subject.geometry)
    return interrupted
