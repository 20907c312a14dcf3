"""The options of ``nimllm --train``; argparse only, since every ``--help`` imports it."""

from __future__ import annotations

import argparse
import os

from nimllm.llm.data.options import add as add_data
from nimllm.llm.presets import SIZES

CONTINUED = "continued.json"  # in a run folder that was started from another model


def continues(args: argparse.Namespace) -> bool:
    """Whether there is a model to start from, or the run to be resumed had one."""
    return bool(args.base) or (args.resume and bool(args.out) and os.path.exists(os.path.join(args.out, CONTINUED)))


def add(parser: argparse.ArgumentParser) -> None:
    """Onto the parser of the command."""
    parser.add_argument(
        "data", nargs="*", metavar="FILE", help="text files, folders, .jsonl, .parquet, or - for standard input"
    )
    parser.add_argument("--out", metavar="DIR", help="run folder (default: runs/<name of the first file>)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--from", dest="base", metavar="MODEL",
                        help="go on with a trained model (shipped, or a run folder) on your shell history and texts, "
                             "secrets redacted, with replay of what it could do; measured before and after")
    parser.add_argument("--replay", type=float, default=0.75, metavar="SHARE",
                        help="with --from: share of the tokens that is replayed (default 0.75)")
    parser.add_argument("--skill-tasks", type=int, default=100, metavar="N",
                        help="with --from: generated tasks that measure skill before and after (default 100; 0: none)")
    parser.add_argument("--size", metavar="NAME", help=f"{', '.join(SIZES)} (default: by corpus)")
    parser.add_argument("--tokenizer", choices=("bpe", "char"), help="default: that of the size, mostly bpe")
    parser.add_argument("--vocab-size", type=int, metavar="N", help="default: by size and corpus")
    parser.add_argument("--context", type=int, metavar="N", help="tokens the model sees at once")
    parser.add_argument("--steps", type=int, metavar="N", help="optimizer steps (default: from --epochs)")
    parser.add_argument("--minutes", type=float, metavar="N", help="as many steps as fit into so much time, by a trial")
    parser.add_argument("--epochs", type=float, default=4.0, metavar="N", help="passes over the text (default 4)")
    parser.add_argument("--batch-tokens", type=int, metavar="N", help="tokens per step (default: by size)")
    parser.add_argument("--micro-batch", type=int, metavar="ROWS", help="rows computed at once (default: by memory)")
    parser.add_argument("--lr", type=float, help="peak learning rate (default by size and optimizer)")
    parser.add_argument("--warmup", type=int, metavar="STEPS")
    parser.add_argument("--optimizer", choices=("adamw", "muon"), default="muon",
                        help="muon: hidden matrices by Muon, the rest by AdamW (default)")
    parser.add_argument("--schedule", choices=("cosine", "wsd"), default="cosine")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--eval-every", type=int, metavar="STEPS")
    parser.add_argument("--val-fraction", type=float, default=0.05)
    parser.add_argument("--save-seconds", type=float, default=60.0, help="seconds between checkpoints (default 60)")
    parser.add_argument("--sample", default="", metavar="TEXT", help="prompt of the samples shown while training")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    parser.add_argument("--compile", action="store_true", help="torch.compile (15-20 s before the first step)")
    parser.add_argument("--shard", action="store_true",
                        help="under torchrun: divide the model itself, too (FSDP2), for one that does not fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="any other field of the shape or the settings in config.json, such as qk_norm=false")
    parser.add_argument("--tensorboard", action="store_true", help="write events for TensorBoard into the run folder")
    parser.add_argument("--plain", action="store_true", help="plain progress lines")
    add_data(parser)
