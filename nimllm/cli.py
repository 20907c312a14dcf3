"""The command line: parses, then imports one thing.

Nothing heavy is imported here: ``--help`` of anything must answer in under 0.15 s. Each command names the function that
does the work as ``module:function``; it gets the parsed arguments and returns the exit code.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from nimllm import __version__
from nimllm.errors import INTERRUPTED, NimError

EXIT_CODES = """exit codes:
  0 all succeeded   1 a task or check failed   2 usage   3 configuration, model, tokenizer or data
  4 blocked (an approval was needed)   5 sandbox not enforceable   6 a limit was reached   7 memory store
  8 shell could not be started   9 the model produced nothing usable   130 interrupted   143 terminated"""

_MODES = ("--train", "--chat", "--agent")


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="DIR", help="run folder of the model (default: the shipped one)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads of the engine (default: 2 at most)")
    parser.add_argument("--dtype", choices=("fp32", "bf16", "q8", "q4"), default="fp32",
                        help="weights in memory: 32, 16, 8.25 or 4.5 bits each (default: fp32)")


def _samples(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--samples", type=int, metavar="K",
                        help="sample the next command K times and take the best (default 1; 8 with --try-first)")
    parser.add_argument("--try-first", action="store_true",
                        help="try the samples in throw-away views of the workspace; the effect most agree on wins")
    parser.add_argument("--try-seconds", type=float, default=2.0, metavar="S", help="time for that (default 2)")


def _memory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--memory",
        choices=("off", "review", "auto"),
        default="auto",
        help="what is learnt afterwards: nothing, only what you approve, or what was verified (default)",
    )
    parser.add_argument(
        "--memory-method",
        choices=("kewc", "topk", "literal"),
        default="kewc",
        help="update method: curvature-weighted (default), plain top 1 %%, or the literal one",
    )
    parser.add_argument("--memory-at", metavar="ID",
                        help="the weights as they were right after this memory entered them; nothing is learnt then")


def _train(parser: argparse.ArgumentParser) -> None:
    from nimllm.llm.options import add

    add(parser)


def _data(parser: argparse.ArgumentParser) -> None:
    from nimllm.llm.data.options import add_command

    add_command(parser)


def _chat(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _memory(parser)
    parser.add_argument("-p", dest="prompt", metavar="TEXT", help="one message, then exit (- reads standard input)")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 (default) is greedy")
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--min-p", type=float, default=0.0)
    parser.add_argument("--repetition-penalty", type=float, default=1.0)
    parser.add_argument("--max-tokens", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="no colours, no cursor movement")


def _agent(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    _memory(parser)
    parser.add_argument("-p", dest="prompt", metavar="TEXT", help="one task, then exit (- reads standard input)")
    parser.add_argument("--dry-run", action="store_true", help="show plan, command and verdict; run nothing")
    parser.add_argument("--output-last", metavar="FILE", help="with -p: write last output and answer there, too")
    _scripted(parser)
    parser.add_argument("--plan-only", action="store_true", help="print the command for each request; run nothing")
    parser.add_argument("--requests", metavar="FILE", help='with --plan-only: JSONL rows {"query": …}')
    parser.add_argument("--output", metavar="FILE", help='with --requests: write rows {"query": …, "command": …}')
    parser.add_argument("--json", action="store_true", help="JSONL events on standard output")
    parser.add_argument("--continue", dest="continue_", action="store_true",
                        help="go on with this folder's last session")
    parser.add_argument("--resume", metavar="ID", help="go on with a session that nimllm sessions list shows")
    parser.add_argument("--ephemeral", action="store_true",
                        help="save nothing: no session, no task log, no undo, no history, nothing learnt")
    parser.add_argument("-C", "--cd", metavar="DIR", help="workspace (default: the current folder)")
    parser.add_argument("--add-dir", action="append", default=[], metavar="DIR", help="another writable folder")
    parser.add_argument(
        "--mode",
        choices=("read-only", "ask", "auto", "full"),
        help="what may run unasked (default: ask on a terminal, else read-only)",
    )
    parser.add_argument("-y", dest="yes", action="store_true", help="--mode auto; refuses without a sandbox")
    parser.add_argument(
        "--sandbox",
        choices=("auto", "bwrap", "landlock", "none"),
        default="auto",
        help="what holds commands (default: the strongest that works here; refuses to start without any)",
    )
    parser.add_argument(
        "--allow-git-config",
        action="store_true",
        help="let commands write .git/config, which is otherwise protected (git config, git remote add)",
    )
    parser.add_argument("--network", choices=("off", "on"), default="off")
    _samples(parser)
    parser.add_argument("--max-steps", type=int, default=6, metavar="N", help="commands per task (default 6)")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds per command (default 60)")
    parser.add_argument("--task-timeout", type=float, default=600.0, metavar="S")
    parser.add_argument("--max-output", type=int, metavar="BYTES", help="stop a task that prints more than this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="flat text lines, no cursor movement")
    parser.add_argument("--notify", type=float, default=10.0, metavar="S",
                        help="ring when a task took longer than S seconds (default 10; 0: never)")
    parser.add_argument("-q", "--quiet", action="store_true", help="with -p and --tasks: outputs and answers only")
    parser.add_argument("-v", "--verbose", action="store_true", help="with -p: why each command may run, and counts")


def _scripted(parser: argparse.ArgumentParser) -> None:
    of = parser.add_argument_group("scripted tasks")
    of.add_argument("--tasks", metavar="PATH",
                    help="tasks with checks: a YAML or JSONL file, or a folder as harbor has it")
    of.add_argument("--only", metavar="GLOB", help="those whose id matches")
    of.add_argument("--repeat", type=int, default=1, metavar="N", help="each N times")
    of.add_argument("--jobs", type=int, default=1, metavar="N", help="N at a time")
    of.add_argument("--fail-fast", action="store_true", help="end with the first that fails")
    of.add_argument("--solution", action="store_true", help="run each task's own solution instead of the model")
    of.add_argument("--report", metavar="FILE", help="write a JSON report")
    of.add_argument("--junit", metavar="FILE", help="write a JUnit XML report")
    of.add_argument("--record", metavar="DIR", help="write each task's events to DIR/ID.jsonl")


def _memory_command(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="DIR", help="run folder of the model (default: the shipped one)")
    actions = parser.add_subparsers(dest="memory_command", metavar="ACTION", required=True)
    from nimllm.alignment.memory.options import add

    add(actions)
    _memory_study(actions)
    _memory_bench(actions)


def _memory_study(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from nimllm.alignment.memory.study_options import add

    text = "read whole texts into the weights, and measure what each costs the others"
    add(actions.add_parser("study", help=text, description=text))


def _memory_bench(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from nimllm.alignment.memory.bench.options import add

    bench = actions.add_parser("bench", help="how much it keeps of what it is told: protocol, baselines, controls")
    bench.add_argument("--model", metavar="DIR", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    add(bench)


def _policy(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="policy_command", metavar="ACTION", required=True)
    for name, text, takes_words in (
        ("check", "what would happen to a command: exit 0 it runs, 1 it asks, 4 it is refused", True),
        ("list", "the rules in force, their examples checked", False),
        ("allow", "write a rule: this command needs no question any more, in any session", True),
    ):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument("-C", "--cd", metavar="DIR", help="workspace (default: the current folder)")
        if name == "check":
            action.add_argument("--mode", choices=("read-only", "ask", "auto", "full"), default="ask")
        if name != "allow":
            action.add_argument("--json", action="store_true")
        if takes_words:
            action.add_argument("words", nargs="+", metavar="CMD",
                                help="behind --; one argument is a line of bash, several are the words of one command")


def _undo(parser: argparse.ArgumentParser) -> None:
    _changes(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; do nothing")
    parser.add_argument("--list", action="store_true", help="the tasks that changed something here, newest first")
    parser.add_argument("--json", action="store_true")


def _changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", nargs="?", metavar="TASK",
                        help="its id or the id's beginning (default: the newest task that changed something here)")
    parser.add_argument("-C", "--cd", metavar="DIR", help="workspace (default: the current folder)")


def _sessions(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="sessions_command", metavar="ACTION", required=True)
    for name, text in (("list", "every saved session, newest first"), ("show", "what a session did"),
                       ("export", "write a session for other programs or for people"),
                       ("delete", "remove a session's file")):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == "list":
            action.add_argument("-C", "--cd", metavar="DIR", help="only those of this folder")
            action.add_argument("--json", action="store_true")
            continue
        action.add_argument("id", metavar="ID", help="the session's id, or its beginning")
        if name == "export":
            form = action.add_mutually_exclusive_group()
            form.add_argument("--atif", action="store_true", help="Agent Trajectory Interchange Format 1.8")
            form.add_argument("--markdown", action="store_true", help="for people (default)")
            form.add_argument("--json", action="store_true", help="the events, one JSON object a line")
            action.add_argument("-o", "--output", metavar="FILE", help="a new file (default: standard output)")


def _align(parser: argparse.ArgumentParser) -> None:
    from nimllm.alignment.options import add

    add(parser)


def _eval(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="WHAT", required=True)
    shell = kinds.add_parser("shell", help="generated shell tasks of unseen seeds, judged by execution")
    _model(shell)
    shell.add_argument("--set", choices=("generated", "everyday", "copying"), default="generated",
                       help="generated tasks; 200 requests in people's own words; or whether names, numbers and texts "
                            "arrive in the first command letter by letter")
    shell.add_argument("--only", default="", metavar="REGEX", help="with --set everyday: requests that match")
    shell.add_argument("--tasks", type=int, metavar="N", help="default: 200, with --set copying 500")
    shell.add_argument("--seed", type=int, default=2**31, help="evaluation seeds start at 2**31 (default)")
    shell.add_argument("--steps", type=int, choices=(1, 2, 3), help="only tasks of this many steps")
    shell.add_argument("--schemas", default="*", metavar="GLOB")
    _samples(shell)
    shell.add_argument("--pass-at", type=int, metavar="K",
                       help="then do each task K times more with sampled plans and commands; pass@1 to pass@K")
    shell.add_argument("--temperature", type=float, default=1.0, metavar="T", help="of those samples (default 1)")
    shell.add_argument("--failures", action="store_true", help="print each failed task")
    shell.add_argument("--json", action="store_true")
    _eval_taught(kinds)
    loss = kinds.add_parser("loss", help="nats per token and bits per byte on a text")
    _model(loss)
    loss.add_argument("data", nargs="+", metavar="FILE")
    loss.add_argument("--json", action="store_true")


def _eval_taught(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from nimllm.agent.taught.options import add

    taught = kinds.add_parser("taught", help="commands that a user teaches in a session, asked in other words")
    _model(taught)
    add(taught)
    session = argparse.ArgumentParser()
    _agent(session)
    taught.set_defaults(session=session.parse_args([]))  # a session's options as nobody has set them


def _export(parser: argparse.ArgumentParser) -> None:
    from nimllm.llm.interchange_options import add_export

    add_export(parser)


def _import(parser: argparse.ArgumentParser) -> None:
    from nimllm.llm.interchange_options import add_import

    add_import(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="DIR")
    parser.add_argument("--json", action="store_true")


def _runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="*", metavar="DIR",
                        help="runs or folders of runs (default: runs); first the word compare: to compare them")
    parser.add_argument("--compare", action="store_true", help="curves over one another, and the settings that differ")
    parser.add_argument("--by", choices=("step", "tokens", "seconds"), default="step", help="what the curves run over")
    parser.add_argument("--log-x", action="store_true", help="logarithmic, so that the beginning can be seen")
    parser.add_argument("--png", metavar="FILE", help="write the compared curves as a picture, too")
    parser.add_argument("--json", action="store_true")


def _bench(parser: argparse.ArgumentParser) -> None:
    from nimllm.llm.bench.options import add

    add(parser)


# name: (what it does, arguments, target)
COMMANDS = {
    "train": ("train a tokenizer and a GPT on your text", _train, "nimllm.llm.command:main"),
    "data": ("what a text holds and what would be left out of it; trains nothing", _data,
             "nimllm.llm.data.command:main"),
    "chat": ("talk; the weights remember it afterwards", _chat, "nimllm.agent.chat:main"),
    "agent": ("plan, run bash, observe, learn from the outcome", _agent, "nimllm.agent.command:main"),
    "memory": (
        "see, question, approve, revert and carry over what was learnt",
        _memory_command,
        "nimllm.alignment.memory.command:main",
    ),
    "policy": ("check a command against the policy; list and write its rules", _policy,
               "nimllm.tools.policy_command:main"),
    "sessions": ("list, show, export and delete saved sessions", _sessions, "nimllm.agent.sessions_command:main"),
    "undo": ("take back what the agent's commands changed in the files, and nothing else", _undo,
             "nimllm.agent.undo:main"),
    "diff": ("show what the agent's commands changed in the files", _changes, "nimllm.agent.difference:main"),
    "align": ("fine-tune a trained model", _align, ""),
    "eval": ("measure a model", _eval, ""),
    "export": ("write a model for other programs: Hugging Face, llama.cpp", _export, "nimllm.alignment.export:main"),
    "import": ("make a run folder of another program's model", _import, "nimllm.llm.import_hf:main"),
    "runs": ("list trained models, and compare them", _runs, "nimllm.llm.runs:main"),
    "bench": ("measure speed beside the machine's limits and other programs", _bench, "nimllm.llm.bench.command:main"),
    "doctor": ("what is in force on this machine, and why", _doctor, "nimllm.agent.doctor:main"),
}
_EVALUATIONS = {"shell": "nimllm.agent.gym.evaluate:main", "taught": "nimllm.agent.taught.command:main",
                "loss": "nimllm.llm.evaluate:main"}
_ALIGNMENTS = {"sft": "nimllm.alignment.sft:main", "dpo": "nimllm.alignment.preference:main",
               "kto": "nimllm.alignment.preference:main", "collect": "nimllm.alignment.collect:main"}


def parser(words: list[str] | None = None) -> argparse.ArgumentParser:
    """The whole command line; with ``words``, only the options of the commands among them (each costs imports)."""
    top = argparse.ArgumentParser(
        prog="nimllm",
        description="A local coding agent whose language model you own. --train, --chat and --agent may be written "
        "with or without the dashes.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"nimllm {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, (text, arguments, _) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if words is None or name in words:
            arguments(command)
    return top


def given(words: list[str], command: str) -> frozenset[str]:
    """The names of the options of ``command`` that ``words`` set, so that settings may fill in the others."""
    fresh = parser(words)
    [commands] = [action for action in fresh._actions if isinstance(action, argparse._SubParsersAction)]
    for action in commands.choices[command]._actions:
        action.default = argparse.SUPPRESS
    return frozenset(vars(fresh.parse_args(words)))


def _spell(argv: list[str]) -> list[str]:
    """``--agent`` and its like, wherever they stand, become the subcommand in front."""
    own = argv[: argv.index("--")] if "--" in argv else argv  # behind -- stand somebody else's words
    modes = [word for word in own if word in _MODES]
    if len(modes) > 1:
        raise NimError(f"{' and '.join(modes)} cannot be used together", "", "give one of them", 2)
    if not modes:
        return argv
    at = argv.index(modes[0])
    return [modes[0][2:], *argv[:at], *argv[at + 1 :]]


def _open_streams() -> None:
    """Standard streams that were closed lead to /dev/null: else the next file opened gets their numbers, and a program
    that is started takes it for its own."""
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(fd)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            setattr(sys, name, open(fd, "w" if fd else "r", closefd=False))  # noqa: SIM115


def main(argv: list[str] | None = None) -> int:
    """Parse, run, and turn every error a user can mend into one message and its exit code."""
    _open_streams()
    try:
        words = _spell(list(sys.argv[1:] if argv is None else argv))
        arguments = parser(words).parse_args(words)
        if arguments.command is None:
            parser([]).print_help()
            return 0
        target = COMMANDS[arguments.command][2]
        if arguments.command == "agent":
            arguments.given = given(words, "agent")
        if arguments.command == "train" and (arguments.base or arguments.resume):
            from nimllm.llm.options import continues

            if continues(arguments):  # the replay of what the model can do is the agent's
                target = "nimllm.agent.continuing:main"
        if arguments.command == "memory" and arguments.memory_command == "study":
            target = "nimllm.agent.studying:main"  # with the redactor of tools/
        if arguments.command == "memory" and arguments.memory_command == "bench":
            target = "nimllm.alignment.memory.bench.command:main"
        if arguments.command == "eval":
            target = _EVALUATIONS[arguments.kind]
        elif arguments.command == "bench" and arguments.bench == "shell":
            target = "nimllm.agent.shell_bench:main"  # below the agent nobody knows both the shell and the benchmarks
        elif arguments.command == "memory" and arguments.memory_command == "plot":
            target = "nimllm.agent.repeated:main"  # the task log is the agent's
        elif arguments.command == "align":
            episodes = getattr(arguments, "from_episodes", False)  # the task log is the agent's
            target = "nimllm.agent.labels:main" if episodes else _ALIGNMENTS[arguments.method]
        module, function = target.split(":")
        return int(getattr(importlib.import_module(module), function)(arguments) or 0)
    except NimError as error:
        print(f"nimllm: {error.message()}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("nimllm: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
