"""The options that say how text is read; argparse only, since every ``--help`` imports it. And what they mean."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nimllm.llm.text import Reading


@dataclass(frozen=True)
class DataOptions:
    """How a corpus is read, cleaned and thinned. ``workers`` does not change what comes out."""

    columns: tuple[str, ...] = ("text",)
    where: str = ""
    format: str = "auto"
    clean: tuple[str, ...] = ()
    dedup: str = "off"
    strict: bool = False
    workers: int = 0

    @staticmethod
    def of(args: argparse.Namespace) -> DataOptions:
        """From the parsed command line. UsageError for a condition, step or number that makes no sense."""
        from nimllm.errors import UsageError
        from nimllm.llm.data.clean import Cleaner

        columns = tuple(name.strip() for name in args.column.split(",") if name.strip())
        if not columns:
            raise UsageError("--column names nothing", "", "such as: --column text, or --column title,body")
        if args.workers < 0:
            raise UsageError(f"--workers {args.workers} makes no sense", "it must be positive")
        steps = Cleaner(name.strip() for name in args.clean.split(",") if name.strip() and name.strip() != "none")
        options = DataOptions(columns, args.where, args.format, steps.names, args.dedup, args.strict, args.workers)
        options.reading()
        return options

    def reading(self) -> Reading:
        """For the readers."""
        from nimllm.llm.data.filters import Where
        from nimllm.llm.text import Reading

        return Reading(self.columns, Where(self.where) if self.where.strip() else None, self.format)

    def describe(self) -> dict[str, Any]:
        """What decides which text comes out."""
        return {"columns": list(self.columns), "where": self.where.strip(), "format": self.format,
                "clean": list(self.clean), "dedup": self.dedup, "strict": self.strict}


def add(parser: argparse.ArgumentParser) -> None:
    """Onto the parser of a command that reads text."""
    group = parser.add_argument_group("data")
    group.add_argument("--column", default="text", metavar="NAME[,NAME…]",
                       help="text column of parquet and JSONL, several joined by a blank line (default: text)")
    group.add_argument("--where", default="", metavar="CONDITION",
                       help="rows to keep, such as \"score >= 6 and lang in ('en', 'de') and not flagged\"")
    group.add_argument("--format", choices=("auto", "text", "jsonl"), default="auto",
                       help="what files and standard input are (default: by their names)")
    group.add_argument("--clean", default="", metavar="STEP[,STEP…]",
                       help="change the text: gutenberg, html, urls, nfc, controls, quotes, dashes, ellipsis, yo, "
                       "spaces, runs; done in this order (default: nothing; nimllm data --steps explains them)")
    group.add_argument("--dedup", choices=("off", "exact", "near"), default="off",
                       help="drop documents that repeat an earlier one, or nearly do (default: count them only)")
    group.add_argument("--strict", action="store_true", help="stop at the first bad row instead of counting it")
    group.add_argument("--workers", type=int, default=0, metavar="N",
                       help="processes that clean and encode (default: one per core); the result is the same")


def add_command(parser: argparse.ArgumentParser) -> None:
    """``nimllm data``."""
    parser.add_argument("data", nargs="*", metavar="FILE",
                        help="text files, folders, .jsonl, .parquet, or - for standard input")
    parser.add_argument("--model", metavar="DIR", help="whose tokenizer counts the tokens (default: the shipped one)")
    parser.add_argument("--val-fraction", type=float, default=0.05)
    parser.add_argument("--steps", action="store_true", help="explain the steps of --clean and leave")
    parser.add_argument("--json", action="store_true", help="the report as JSON on standard output")
    add(parser)
