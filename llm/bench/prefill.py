"""``nimllm bench prefill``: tokens per second of reading a prompt; the limit is the peak of the multiply-adds."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path

from nimllm.llm.bench import peers
from nimllm.llm.bench.engines import EngineContestant, close_all
from nimllm.llm.bench.limits import FACTORS, Arithmetic, Limit, Sheet
from nimllm.llm.bench.report import Report
from nimllm.llm.bench.rounds import Contestant, Kind, contest
from nimllm.llm.bench.shapes import Subject, attention_operations, matmul_weights

KINDS = {"prefill": Kind("tok/s", limited=True)}


def operations(subject: Subject, length: int) -> float:
    """Forward operations per token of a prompt of ``length``: the head works once, on the last position."""
    config = subject.config
    head = config.vocab_size * config.d_model
    return 2.0 * (matmul_weights(config) - head + head / length) + attention_operations(config, length)


def run(subject: Subject, dtype: str, args: Namespace, against: list[peers.Peer], report: Report) -> bool:
    """One shape in one dtype: measured and reported. Whether ^C ended it.

    llama.cpp runs in ``dtype`` and in every one of ``args.peer_dtypes``: its fastest prompt is not always in the format
    it decodes best with.
    """
    ours = EngineContestant(subject, dtype, args.threads, args.device, args.prompt_tokens, 0)
    everyone: list[Contestant] = [ours]
    with tempfile.TemporaryDirectory(prefix="nimllm-bench-") as folder:
        try:
            for peer_dtype in dict.fromkeys((dtype, *args.peer_dtypes)):
                able = [peer for peer in against if peer_dtype == dtype or peer.name == "llama.cpp"]
                everyone += peers.contestants(able, "prefill", subject, peer_dtype, ours.threads, args.device,
                                              Path(folder), args.prompt_tokens, 0)
            cost = operations(subject, args.prompt_tokens)
            limits: dict[int, Limit] = {
                index: Arithmetic(cost, FACTORS[who.dtype], ours.threads) if args.device == "cpu" else
                Sheet(cost, who.dtype) for index, who in enumerate(everyone)}  # fmt: skip
            figures, interrupted = contest(everyone, KINDS, args.rounds, limits, report.tell)
        finally:
            close_all(everyone)
    conditions = {"prompt_tokens": args.prompt_tokens, "threads": ours.threads, "device": args.device,
                  "rounds": args.rounds}
    report.add(figures, subject.name, conditions, subject.geometry)
    return interrupted
