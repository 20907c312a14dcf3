"""Plan only: the command the agent would run first for a request; nothing is executed, nothing is learnt."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nimllm.agent import equipment
from nimllm.agent.display import visible
from nimllm.agent.hooks import Hooks
from nimllm.agent.loop import Agent
from nimllm.errors import BLOCKED, GAVE_UP, OK, USAGE, NimError, UsageError

if TYPE_CHECKING:
    from nimllm.agent.events import Events
    from nimllm.tools.sandbox import Sandbox


class Folder:
    """Stands where the loop expects a shell, and can only say where it is, and what would hold a trial."""

    def __init__(self, cwd: Path, sandbox: Sandbox | None = None) -> None:
        self.cwd, self.sandbox = cwd, sandbox


def main(args: Namespace) -> int:
    """``--plan-only``: with ``-p`` one request; with ``--requests`` rows of a JSONL file, to ``--output`` or standard
    output. Exit 9 when the model wrote no usable command for the one request of ``-p``."""
    if args.requests is None and args.prompt is None:
        raise UsageError("--plan-only needs a request", "", "give -p TEXT, or --requests FILE")
    if args.requests is not None and args.prompt is not None:
        raise UsageError("--plan-only takes either -p or --requests", "", "give one of them")
    if args.output is not None and args.requests is None:
        raise UsageError("--output goes with --requests", "", "redirect standard output instead")
    workspace = equipment.workspace_of(args)
    if args.requests is None:
        from nimllm.agent.command import read_prompt

        request = read_prompt(args.prompt)
        model = equipment.load_model(args, args.memory != "off")
        plan, command = _planner(args, model.generator, workspace).first_command(request, _Words())
        if args.json:
            print(json.dumps({"query": request, "plan": plan, "command": command}))
        elif command:
            print(command)
        if not command:
            print("nimllm: the model wrote no usable command", file=sys.stderr)
        return OK if command else GAVE_UP
    rows = list(_rows(Path(args.requests)))  # all of them are read before the first is answered
    model = equipment.load_model(args, args.memory != "off")
    planner = _planner(args, model.generator, workspace)
    if args.output is None:
        _answer(rows, planner, sys.stdout)
        return OK
    target = Path(args.output)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as out:
            _answer(rows, planner, out)
        os.replace(temporary, target)
    except OSError as error:
        raise NimError(f"cannot write {target}", error.strerror or str(error), "give another --output", USAGE) from None
    finally:
        temporary.unlink(missing_ok=True)
    return OK


def dry_run(args: Namespace, events: Events, request: str, mode: str, workspace: Path, asking: bool) -> int:
    """``--dry-run``: plan, command and what the policy says of it; nothing is executed, nothing is learnt.

    The exit code is that of the run as far as it can be told: 4 when the command would not run without a person, and
    there is none; 9 without a command.
    """
    from nimllm.tools import policy, rules

    model = equipment.load_model(args, args.memory != "off")
    plan, command = _planner(args, model.generator, workspace, mode).first_command(request, _Words())
    code, verdict = GAVE_UP, None
    if command:
        code, verdict = OK, policy.judge(command, mode, (), workspace, rules.load(workspace))
    if verdict is not None and (verdict.action == "refuse" or (verdict.action == "ask" and not asking)):
        code = BLOCKED
    events.started(model=model.name, base=model.base, mode=mode, network=args.network, workspace=str(workspace),
                   memory="off", dry_run=True)
    events.emit("task.started", task="1", request=request)
    events.emit("plan", task="1", text=plan)
    if verdict is not None:
        events.emit("step.proposed", task="1", step=1, command=command, verdict=verdict.action, reason=verdict.reason,
                    rule=verdict.rule)
    events.emit("session.ended", exit_code=code, tasks=1, passed=0, failed=0, seconds=0.0)
    if not args.json:
        print(f"plan     {visible(plan)}")
        print(f"command  {visible(command)}" if verdict else "command  (none that can be used)")
        if verdict is not None:
            print(f"verdict  {verdict.action}: {visible(verdict.reason)}")
    return code


class _Words(Hooks):
    """Says on standard error what the loop has to say, and nothing twice."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def notice(self, text: str) -> None:
        if text not in self._said:
            print(f"nimllm: {visible(text)}", file=sys.stderr)
        self._said.add(text)


def _planner(args: Namespace, generator: Any, workspace: Path, mode: str = "auto") -> Agent:
    """Chooses what mode auto would run, unless told otherwise. What a trial is made in is probed only for trials; and
    only then is this machine the one that counts, so that a program it lacks speaks against a command."""
    options = equipment.agent_options(args)
    box = equipment.open_sandbox(args, workspace, "read-only") if options["try_first"] else None
    agent = Agent(generator, Folder(workspace, box), mode, seed=args.seed, **options)  # type: ignore[arg-type]
    agent.here = options["try_first"]
    return agent


def _rows(path: Path) -> Iterator[str]:
    """The queries; NimError 2 naming the line for whatever is not ``{"query": text}`` (other keys are allowed)."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise NimError(f"cannot read {path}", error.strerror or str(error), "give a JSONL file", USAGE) from None
    except UnicodeDecodeError as error:
        raise NimError(f"{path} is not UTF-8 text", f"byte {error.start}", "save it as UTF-8", USAGE) from None
    count = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise NimError(f"{path}, line {number} is not JSON", str(error), 'write one {"query": …} per line', USAGE
                           ) from None
        if not isinstance(row, dict) or not isinstance(row.get("query"), str):
            raise NimError(f"{path}, line {number} has no query", "", 'write one {"query": …} per line', USAGE)
        count += 1
        yield row["query"]
    if not count:
        raise NimError(f"{path} holds no request", "", 'write one {"query": …} per line', USAGE)


def _answer(rows: list[str], planner: Agent, out: IO[str]) -> None:
    """One row per query, in order; a query that cannot be answered gets an empty command."""
    from nimllm.agent.progress import Progress

    words = _Words()
    with Progress(len(rows), "planning") as progress:
        for query in rows:
            try:
                command = planner.first_command(query, words)[1]
            except NimError:  # too long, or empty: the row must still be there
                command = ""
            except Exception as error:  # so it must after an error of our own, of which somebody should hear
                words.notice(f"a row has no answer: {type(error).__name__}: {error}")
                command = ""
            out.write(json.dumps({"query": query, "command": command}, ensure_ascii=False) + "\n")
            out.flush()
            progress.step()
