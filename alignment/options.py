"""The options of ``nimllm align``; argparse only, since every ``--help`` imports it."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Onto the parser of the command."""
    methods = parser.add_subparsers(dest="method", metavar="METHOD", required=True)
    sft = methods.add_parser(
        "sft",
        help="supervised fine-tuning on conversations",
        description=("Fine-tune on conversations; the loss is on the assistant's tokens only."),
    )
    sft.add_argument("data", nargs="+", metavar="FILE", help='JSONL or parquet with "messages" or "turns"')
    sft.add_argument("--model", metavar="DIR", help="run folder to start from (default: the shipped one)")
    sft.add_argument("--out", metavar="DIR", required=True)
    sft.add_argument("--resume", action="store_true")
    sft.add_argument("--epochs", type=float, default=2.0)
    sft.add_argument("--lr", type=float, default=3e-4)
    sft.add_argument("--batch-tokens", type=int, default=8192)
    sft.add_argument("--val-fraction", type=float, default=0.05)
    sft.add_argument("--skip-long", action="store_true", help="leave out conversations longer than the context")
    sft.add_argument("--device", default="auto")
    sft.add_argument("--threads", type=int, default=0)
    sft.add_argument("--seed", type=int, default=0)
    sft.add_argument("--plain", action="store_true")
