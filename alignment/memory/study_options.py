"""The options of ``nimllm memory study``; imports nothing heavy."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("books", nargs="+", metavar="FILE",
                        help="texts, each one file or folder, read in this order (- is standard input)")
    parser.add_argument("--compare", action="store_true",
                        help="read them into a copy by plain fine-tuning, too, and measure that beside it")
    parser.add_argument("--delta", choices=("chunk", "book"), default="chunk",
                        help="what one record of the ledger holds (default: a chunk)")
    parser.add_argument("--rows", type=int, default=8, metavar="N", help="contexts in a chunk (default 8)")
    parser.add_argument("--steps", type=int, default=2, metavar="N", help="steps on each chunk (default 2)")
    parser.add_argument("--step", type=float, default=0.05, metavar="X",
                        help="share of the loss that a step would take off if the loss were linear (default 0.05)")
    parser.add_argument("--budget", type=float, default=0.01, metavar="X",
                        help="share of the model's entries that one record may change (default 0.01)")
    parser.add_argument("--perplexity", type=float, default=1.02, metavar="X",
                        help="what a book may cost: perplexity ratio of general text (default 1.02)")
    parser.add_argument("--plain-lr", type=float, default=1e-4, metavar="X",
                        help="with --compare: Adam's learning rate (default 1e-4)")
    parser.add_argument("--general", metavar="FILE", help="measure the general text of this file, too")
    parser.add_argument("--again", action="store_true", help="read texts once more that this memory has read")
    parser.add_argument("--json", action="store_true", help="the report as JSON on standard output")
    parser.add_argument("--model", metavar="DIR", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help="flat text lines, no cursor movement")
