"""The options of ``nimllm memory bench``. Light: the command line is parsed before anything else is imported."""

from __future__ import annotations

import argparse

POINTS = (1, 3, 10, 30, 100, 300, 1000)
TEXT = """How much a model keeps of what it is told, one item per update: invented facts with corrections, idle talk and
agent tasks in between, asked for in other words by free greedy generation in a process that gets a weight file and the
questions. Takes hours; a run that was stopped goes on with the same command."""


def add(parser: argparse.ArgumentParser) -> None:
    """To the parser of ``memory bench``."""
    parser.description = TEXT
    parser.add_argument("--methods", default="base,literal,ours", metavar="A,B",
                        help="ways of learning, or all (default: base,literal,ours)")
    parser.add_argument("--seeds", default="test-1,test-2,test-3", metavar="A,B",
                        help="test-1 to test-3, whose numbers are fixed, or numbers of your own for development")
    parser.add_argument("--n", default=",".join(map(str, POINTS)), metavar="N,M",
                        help="after how many items to measure (default: %(default)s)")
    parser.add_argument("--wordings", default="test", choices=("test", "dev", "seen"),
                        help="test: wordings that base and update never met; seen: the base met them about others; "
                        "dev: the bank's other wordings, to develop with")
    parser.add_argument("--mix", default="standard", choices=("standard", "facts"),
                        help="standard: 80 %% facts, 10 %% corrections, 5 %% idle talk, 5 %% tasks; facts: only these")
    parser.add_argument("--controls", metavar="A,B",
                        help="methods to check with shuffled values and with reverts, on the first seed; '' for "
                        "none (default: ours)")
    parser.add_argument("--text", metavar="FILE", help="general text that the base was not trained on, up to 200,000 "
                        "tokens, for one more perplexity ratio at the last point")
    parser.add_argument("--tune", action="store_true", help="choose each baseline's settings from its grid, on a seed "
                        "and wordings of development, instead of measuring")
    parser.add_argument("--out", metavar="DIR", help="where the run keeps its state (default: the state folder)")
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON; - for standard output, no tables")
