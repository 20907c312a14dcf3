"""The options of ``nimllm align``; argparse only, since every ``--help`` imports it."""

from __future__ import annotations

import argparse


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults that say something, where the text does not say them itself."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        said = action.default is None or action.default is False or "default" in (action.help or "")
        return action.help if said else super()._get_help_string(action)


def add(parser: argparse.ArgumentParser) -> None:
    """Onto the parser of the command."""
    methods = parser.add_subparsers(dest="method", metavar="METHOD", required=True)
    sft = methods.add_parser(
        "sft",
        help="supervised fine-tuning on conversations",
        description="Fine-tune on conversations; the loss is on the assistant's text and its end marker. Conversations "
        "are packed, none sees another, and none is cut.",
    )
    sft.add_argument("data", nargs="+", metavar="FILE", help='JSONL or parquet with "messages", "turns", '
                     '"conversations", "prompt" and "completion", or "instruction" and "output"')
    sft.add_argument("--model", metavar="DIR", help="run folder to start from (default: the shipped one)")
    sft.add_argument("--out", metavar="DIR", required=True)
    sft.add_argument("--resume", action="store_true")
    sft.add_argument("--epochs", type=float, default=2.0)
    sft.add_argument("--lr", type=float, default=3e-4)
    sft.add_argument("--batch-tokens", type=int, default=8192)
    sft.add_argument("--val-fraction", type=float, default=0.05)
    sft.add_argument("--learn", choices=("auto", "assistant", "model"), default="auto",
                     help="what carries loss: the assistant's text and its end marker; all that the model writes, "
                     "opening markers too; or (auto, default) the second for tasks of the agent and the first for all "
                     "else")
    sft.add_argument("--drop-turns", choices=("none", "oldest"), default="none",
                     help="shorten what is longer than the context by whole exchanges, the oldest first")
    sft.add_argument("--skip-long", action="store_true", help="leave out conversations longer than the context")
    sft.add_argument("--skip-empty", action="store_true", help="leave out conversations without an answer to learn")
    sft.add_argument("--strict", action="store_true", help="stop at the first bad row instead of counting them")
    sft.add_argument("--device", default="auto")
    sft.add_argument("--threads", type=int, default=0)
    sft.add_argument("--seed", type=int, default=0)
    sft.add_argument("--plain", action="store_true")
    for name, what in (("dpo", "learn from pairs of a better and a worse answer (DPO)"),
                       ("kto", "learn from answers that are labelled good or bad (KTO)")):
        _preference(methods.add_parser(
            name, help=what, formatter_class=_Defaults,
            description=what[0].upper() + what[1:] + ". A guard stops the run before the model collapses, and the best "
            "checkpoint before that is kept.",
        ), name)  # fmt: skip
    _collect(methods.add_parser(
        "collect",
        help="answers for preference tuning, from the model or from what you did with the agent's commands",
        description="Write rows for align dpo and align kto. From prompts with their good answers: rejected answers "
        "that the model writes itself, in the way a preset makes it go wrong. From the agent's task log: commands that "
        "you accepted, edited or rejected, and those that failed. What is in --out is not made again.",
    ))


def _preference(parser: argparse.ArgumentParser, method: str) -> None:
    parser.add_argument("data", nargs="+", metavar="FILE", help='JSONL or parquet: {"prompt", "chosen", "rejected"} or '
                        '{"prompt", "completion", "label"}')
    parser.add_argument("--model", metavar="DIR", help="run folder to start from (default: the shipped one)",
                        default=argparse.SUPPRESS)
    parser.set_defaults(model=None)
    parser.add_argument("--out", metavar="DIR", required=True, help="run folder to make")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--beta", type=float, default=0.1, help="how dear it is to move away from the reference")
    parser.add_argument("--lr", type=float, default=2e-5, help="peak learning rate")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=16 if method == "dpo" else 32, metavar="N",
                        help="pairs of one forward pass" if method == "dpo" else "answers of one forward pass")
    parser.add_argument("--accumulate", type=int, default=1, metavar="N", help="forward passes of one step")
    parser.add_argument("--held-out", type=int, default=100, metavar="N",
                        help="prompts to measure on, a fifth of all at most")
    parser.add_argument("--text", metavar="FILE", default=argparse.SUPPRESS,
                        help="held-out text whose bits per byte are watched (default: the model's probe_text.txt)")
    parser.set_defaults(text=None)
    parser.add_argument("--guard", choices=("stop", "watch", "off"), default="stop",
                        help="what happens when a budget is passed")
    parser.add_argument("--guard-every", type=int, default=0, metavar="STEPS", help="0: ten times in the run")
    parser.add_argument("--max-kl", type=float, default=0.1, metavar="NATS", help="KL to the reference, per token")
    parser.add_argument("--max-fall", type=float, default=0.5, metavar="NATS",
                        help="what chosen answers may lose, per token")
    parser.add_argument("--max-bits", type=float, default=1.0, metavar="PERCENT",
                        help="growth of the bits per byte of the held-out text")
    parser.add_argument("--max-repetition", type=float, default=15.0, metavar="POINTS",
                        help="rise of the share of answers that loop")
    parser.add_argument("--max-invalid", type=float, default=15.0, metavar="POINTS",
                        help="rise of the share of answers that cannot be used")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad row instead of counting them")
    parser.add_argument("--skip-long", action="store_true", help="leave out rows longer than the context")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="plain progress lines")


def _collect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="*", metavar="FILE", help='JSONL or parquet: {"prompt", "chosen"}, {"prompt"} or '
                        "conversations, whose last turn is the good answer")
    parser.add_argument("--out", metavar="FILE", required=True, help="JSONL to append to")
    parser.add_argument("--preset", choices=("loops", "canned", "tutorial"),
                        help="loops: temperature 1.2, no repetition penalty, 400 tokens; canned: 0.4, 1.15, 80; "
                        "tutorial: 0.7, 1.1, 500")
    parser.add_argument("--from-episodes", action="store_true", help="read the agent's task log instead")
    parser.add_argument("--model", metavar="DIR", help="run folder that writes the answers (default: the shipped one)")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="answers for each prompt (default 1)")
    parser.add_argument("--limit", type=int, default=0, metavar="N",
                        help="only the first N prompts, or the last N tasks")
    parser.add_argument("--dedup", action="store_true", help="leave out an answer that another prompt got in this run")
    parser.add_argument("--temperature", type=float, help="in place of the preset's")
    parser.add_argument("--repetition-penalty", type=float, help="in place of the preset's")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="in place of the preset's")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad row instead of counting them")
    parser.add_argument("--dtype", choices=("fp32", "bf16", "q8", "q4"), default="fp32")
    parser.add_argument("--threads", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
