"""``nimllm bench train``: tokens per second of an optimizer step on random ids, each program in its own process."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from nimllm.llm.bench import peers
from nimllm.llm.bench.engines import close_all
from nimllm.llm.bench.limits import Arithmetic, Limit, Sheet
from nimllm.llm.bench.report import Report
from nimllm.llm.bench.rounds import Contestant, Kind, contest
from nimllm.llm.bench.shapes import Subject, training_operations

KINDS = {
    "train": Kind("tok/s", limited=True),
    "first_step": Kind("s", higher_is_better=False),  # from the start of the process, imports and compilation included
    "peak_rss": Kind("MB", higher_is_better=False),
}
# rows of one context in a step: those of the published comparisons on two cores
ROWS = {"char-10m": 12, "10m": 8, "48m": 4, "48m-gpt2": 4, "103m": 2, "103m-gpt2": 2, "7m": 64, "tiny": 8}
TRAINING_CONTEXT = 512  # of the shapes that can more


def run(subject: Subject, dtype: str, args: Namespace, against: list[peers.Peer], report: Report) -> bool:
    """One shape in one dtype: measured and reported. Whether ^C ended it."""
    config = subject.config
    context = min(args.context or TRAINING_CONTEXT, config.context)
    subject = Subject(subject.name, config.model_copy(update={"context": context, "dropout": 0.0}), subject.read,
                      subject.run)
    rows = args.rows or ROWS.get(subject.name, 8)
    for peer in against:
        peers.check_torch_peer(peer.name, subject)
    spec: dict[str, Any] = {
        "task": "train", "dtype": dtype, "device": args.device, "rows": rows, "steps": args.steps, "seed": 20,
        "threads": args.threads or 0, "optimizer": args.optimizer, "compile": False,
    }  # fmt: skip
    everyone: list[Contestant] = []
    try:
        ours = peers.ChildContestant("nimllm", "nimllm", "", subject, spec)
        everyone.append(ours)
        for peer in against:
            everyone.append(peers.ChildContestant(peer.name, peer.name, peer.where, subject, spec))
            if args.compile:
                everyone.append(peers.ChildContestant(f"{peer.name}-compiled", peer.name, peer.where, subject,
                                                      {**spec, "compile": True}))
        cost = training_operations(subject.config, context)
        limit: Limit = Sheet(cost, dtype) if args.device == "cuda" else Arithmetic(cost, dtype, ours.threads)
        figures, interrupted = contest(everyone, KINDS, args.rounds, dict.fromkeys(range(len(everyone)), limit),
                                       report.tell)
    finally:
        close_all(everyone)
    conditions = {"rows": rows, "context": context, "tokens_per_step": rows * context, "steps_per_round": args.steps,
                  "optimizer": args.optimizer, "clip": 1.0, "threads": ours.threads, "device": args.device,
                  "rounds": args.rounds, "data": "random ids"}
    report.add(figures, subject.name, conditions, subject.geometry)
    return interrupted
