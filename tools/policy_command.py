"""``nimllm policy check | list | allow``: what would happen to a command, why, and the rules behind it."""

from __future__ import annotations

import json
import shlex
from argparse import Namespace
from pathlib import Path
from typing import Any

from nimllm.errors import BLOCKED, OK, TASK_FAILED, USAGE, NimError, UsageError
from nimllm.tools import policy, rules
from nimllm.tools.commands import UNKNOWN

CODES = {"run": OK, "ask": TASK_FAILED, "refuse": BLOCKED}


def main(args: Namespace) -> int:
    """Exit 0: it would run (or the rules are good); 1: it would ask; 4: it is refused; 3: a rule file is wrong."""
    workspace = Path(args.cd).expanduser().resolve() if args.cd else Path.cwd()
    if not workspace.is_dir():
        raise UsageError(f"--cd {args.cd} is not a folder", "", "give an existing folder")
    if args.policy_command == "allow":
        return _allow(_text(args.words))
    in_force = rules.load(workspace)
    if args.policy_command == "list":
        return _list(in_force, args.json)
    return _check(_text(args.words), args.mode, workspace, in_force, args.json)


def _text(words: list[str]) -> str:
    """One word is a line of bash; several are the words of one command."""
    text = words[0] if len(words) == 1 else shlex.join(words)
    if not text.strip():
        raise UsageError("there is no command", "", "write it behind --: nimllm policy check -- git push")
    return text


def _check(command: str, mode: str, workspace: Path, in_force: rules.Rules, as_json: bool) -> int:
    verdict = policy.judge(command, mode, (), workspace, in_force)
    parts = list(_parts(command, workspace, in_force))
    always = [] if verdict.rule.startswith("rule:") else policy.prefixes(command)
    if as_json:
        print(json.dumps({
            "v": 1, "command": command, "mode": mode, "action": verdict.action, "reason": verdict.reason,
            "rule": verdict.rule, "always": always, "commands": parts, "files": [str(path) for path in in_force.files],
            "rules": len(in_force.rules), "examples_checked": in_force.examples, "ignored": list(in_force.ignored),
        }))
        return CODES[verdict.action]
    print(f"{verdict.action}: {policy.spelled(verdict.reason)}  [{verdict.rule}]")
    for part in parts:
        said = part["reason"] or "only reads"
        ruled = f"  [{part['rule']}]" if part["rule"] else ""
        print(f"  {policy.spelled(' '.join(part['words']))}  : {policy.spelled(said)}{ruled}")
    for sentence in in_force.ignored:
        print(f"  {sentence}")
    return CODES[verdict.action]


def _parts(command: str, workspace: Path, in_force: rules.Rules) -> Any:
    """Each simple command with why it does more than read, and the rule about it."""
    if policy.unreadable(command):
        return
    for simple, reason in policy.look(command, workspace).simples:
        spoken = in_force.about(simple)
        yield {
            "words": [word.replace(UNKNOWN, "…") for word in (*simple.words, *(f">{name}" for name in simple.writes))],
            "reason": reason,
            "rule": f"{spoken.decision}: {spoken.rule.place}" if spoken else "",
        }


def _list(in_force: rules.Rules, as_json: bool) -> int:
    if as_json:
        print(json.dumps({
            "v": 1, "files": [str(path) for path in in_force.files], "ignored": list(in_force.ignored),
            "examples_checked": in_force.examples,
            "rules": [{"prefix": [list(words) for words in rule.prefix], "decision": rule.decision,
                       "reason": rule.reason, "source": str(rule.source), "number": rule.number}
                      for rule in in_force.rules],
        }))
        return OK
    for line in rules.told(in_force):
        print(line)
    for sentence in in_force.ignored:
        print(sentence)
    if not in_force.files:
        print(f"no rules: neither {rules.user_file()} nor {rules.PROJECT} is there")
    else:
        print(f"{len(in_force.rules)} rules, {in_force.examples} examples checked")
    return OK


def _allow(command: str) -> int:
    """Writes "always" into the user's rules: a rule for each simple command that does more than read."""
    found = policy.prefixes(command)
    if not found or any(name == ">" or name.endswith("=") for name in found):
        verdict = policy.judge(command, "ask")
        if verdict.action == "run":
            print("it only reads, and runs without a rule")
            return OK
        raise NimError("no rule can allow this", verdict.reason, "it is asked about each time it comes", USAGE)
    in_force = rules.load()
    for name in found:
        if any(rule.decision == "allow" and rule.spelled == name for rule in in_force.rules):
            print(f"allowed already: {name}")
            continue
        path = rules.add(name.split(), "allow", "nimllm policy allow", name)
        print(f"allowed: {name}   ({path})")
    return OK
