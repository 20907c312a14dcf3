"""The options of ``nimllm memory``; argparse only, since every ``--help`` imports it."""

from __future__ import annotations

import argparse

Actions = argparse._SubParsersAction  # what add_subparsers gives

BUDGET = 0.0075  # share of the model's entries that one episode may change (RUNS.md: as much is held as with 1 %)


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """The actions on one model's memory."""
    _action(actions, "list", "every record, oldest first")
    _action(actions, "inbox", "records that wait for your approval")
    _action(actions, "show", "one record with its evidence", "id")
    diff = _action(actions, "diff", "what the model says with one memory and without it, side by side", "id")
    diff.add_argument("--ask", action="append", default=[], metavar="TEXT",
                      help="a question of yours, too (repeatable)")
    diff.add_argument("--request", action="append", default=[], metavar="TEXT",
                      help="a request to the agent, too: its plan and first command (repeatable)")
    why = _action(actions, "why", "which memories an answer comes from: its likelihood with all, and without each")
    why.add_argument("prompt", metavar="PROMPT")
    why.add_argument("--request", action="store_true", help="a request to the agent instead of a question")
    why.add_argument("--answer", metavar="TEXT", help="this answer instead of the one the model gives")
    why.add_argument("--exact", type=int, default=24, metavar="N",
                     help="take N memories out one by one; more are estimated from one gradient (default 24)")
    _action(actions, "approve", "accept a waiting record", "id")
    _action(actions, "reject", "refuse a waiting record", "id")
    _action(actions, "revert", "take an accepted record out of the weights, bit for bit", "id")
    sleep = _action(actions, "sleep", "learn every fact in the weights once more, together, as one record")
    sleep.add_argument("--epochs", type=int, default=4, metavar="N", help="times that every fact is met (default 4)")
    plot = _action(actions, "plot", "recall by age, perplexity along the ledger, success on repeated tasks")
    plot.add_argument("--png", metavar="FILE", help="write a picture, too (needs matplotlib)")
    export = _action(actions, "export", "write memories with their evidence to one file, for a sibling of this base")
    export.add_argument("file", metavar="FILE")
    export.add_argument("ids", metavar="ID", nargs="*", help="which (default: all that are in the weights)")
    export.add_argument("--force", action="store_true", help="replace FILE")
    apply = _action(actions, "apply", "take over the memories of an exported file; they wait for your approval")
    apply.add_argument("file", metavar="FILE")
    apply.add_argument("--accept", action="store_true", help="accept at once what passes the gate here")
    _action(actions, "verify", "check every file of the store, and rebuild the weights from the ledger")
    gc = _action(actions, "gc", "delete what nobody needs: left-overs of kills, rebuilt heads of the past")
    gc.add_argument("--rejected", type=float, metavar="DAYS",
                    help="the deltas of what you rejected at least DAYS ago, too; it cannot be shown or approved then")
    gc.add_argument("--dry-run", action="store_true", help="say what would go; delete nothing")
    _action(actions, "compact", "pack the deltas' files into few; every revert stays exact")


def _action(actions: Actions[argparse.ArgumentParser], name: str, text: str, *words: str) -> argparse.ArgumentParser:
    action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    if "id" in words:
        action.add_argument("id", help="such as m0007")
    action.add_argument("--json", action="store_true")
    action.add_argument("--model", metavar="DIR", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return action
