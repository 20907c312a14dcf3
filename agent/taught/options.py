"""The options of ``nimllm eval taught``. Light: the command line is parsed before anything else is imported."""

from __future__ import annotations

import argparse

POINTS = (10, 25, 50, 100)
TASKS = 20  # of --repeat
TEXT = """A hundred invented conventions, request -> command, each taught once as a user does it in a session: half of
them by editing the command that the model proposes, half by !COMMAND after turning it down. Each is then asked for in
four other wordings, in a fresh folder, and the first command that the agent plans is compared. Everything is kept in a
memory of its own; a run that was stopped goes on with the same command."""


def add(parser: argparse.ArgumentParser) -> None:
    """To the parser of ``eval taught``."""
    parser.description = TEXT
    parser.add_argument("--n", default=",".join(map(str, POINTS)), metavar="N,M",
                        help="after how many conventions to ask (default: %(default)s; 100 at most)")
    parser.add_argument("--seed", type=int, default=1, help="names, commands and order (default: 1)")
    parser.add_argument("--memory-method", choices=("kewc", "topk", "literal"), default="kewc",
                        help="update method (default: kewc)")
    parser.add_argument("--skill", type=int, default=0, metavar="N",
                        help="N generated tasks of eval shell before and after, and the loss in points")
    parser.add_argument("--repeat", type=int, nargs="?", const=TASKS, default=0, metavar="N",
                        help=f"N generated tasks that the model fails (default {TASKS}), attempted three times with "
                        "memory, corrected by an edit after each failure, and without")
    parser.add_argument("--plot", metavar="FILE.png", help="the curves as a picture, too (needs matplotlib)")
    parser.add_argument("--failures", action="store_true", help="print each wording that brought another command")
    parser.add_argument("--out", metavar="DIR", help="where the run keeps its state and its memory (default: the state "
                        "folder)")
    parser.add_argument("--json", action="store_true")
