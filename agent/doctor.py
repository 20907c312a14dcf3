"""``nimllm doctor``: what is in force on this machine, and why."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nimllm import __version__, errors, places
from nimllm.agent import equipment, retention
from nimllm.agent.display import size
from nimllm.agent.face import STYLES, coloured
from nimllm.errors import NimError

State = Literal["good", "warn", "bad"]
RANK: dict[str, int] = {"good": 0, "warn": 1, "bad": 2}


@dataclass
class Finding:
    """One line of the report; ``code``: the exit code a ``bad`` one stands for."""

    name: str
    state: State
    said: str
    facts: dict[str, Any] = field(default_factory=dict)
    code: int = errors.OK


def main(args: Namespace) -> int:
    """Examines everything, prints it (``--json``: one object), exits with the first bad finding's code."""
    findings: list[Finding] = []
    for examine in (_system, _shell, _sandbox, _state, _engine, _model, _memory, _kernels):
        findings += _safely(examine, args)
    code = next((finding.code for finding in findings if finding.state == "bad"), errors.OK)
    if args.json:
        rows = [{"name": finding.name, "state": finding.state, "said": finding.said, **finding.facts}
                for finding in findings]
        print(json.dumps({"version": __version__, "exit_code": code, "findings": rows}, default=str))
        return code
    colour = coloured(sys.stdout)
    for finding in findings:
        word = {"good": "ok", "warn": "note", "bad": "BAD"}[finding.state]
        mark = f"\x1b[{STYLES[finding.state]}m{word:<5}\x1b[0m" if colour else f"{word:<5}"
        print(f"{mark}{finding.name:<10} {finding.said}")
    return code


def _safely(examine: Callable[[Namespace], list[Finding]], args: Namespace) -> list[Finding]:
    try:
        return examine(args)
    except NimError as error:
        return [Finding(examine.__name__.strip("_"), "bad", error.message(), code=error.code)]
    except ImportError as error:
        return [Finding(examine.__name__.strip("_"), "bad", f"{error}; install nimllm again", code=errors.CONFIG)]


def _system(args: Namespace) -> list[Finding]:
    said = f"nimllm {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return [Finding("system", "good", f"{said}, {len(os.sched_getaffinity(0))} CPUs")]


def _shell(args: Namespace) -> list[Finding]:
    path = shutil.which("bash")
    if path is None:
        return [Finding("bash", "bad", "not found: install bash", code=errors.SHELL)]
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    return [Finding("bash", "good", f"{path}, {done.stdout.splitlines()[0] if done.stdout else 'version unknown'}")]


def _sandbox(args: Namespace) -> list[Finding]:
    """Every level, probed in a repository of its own, as every session does before it trusts the sandbox. The first
    that holds is the one in force; that the others do not is a note only when none does."""
    import tempfile

    from nimllm.tools import sandbox

    levels: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="nimllm-doctor-") as folder:
        hooks = Path(folder, ".git", "hooks")
        hooks.mkdir(parents=True)
        for protected in (hooks / "pre-commit", hooks.parent / "config"):
            protected.write_text("")
        for level in ("bwrap", "landlock"):
            try:
                box = sandbox.probe(Path(folder), want=level)
                checks = [{"name": check.name, "held": check.held, "detail": check.detail} for check in box.checks]
                levels[level] = {"works": True, "said": box.reason, "checks": checks}
            except NimError as error:
                levels[level] = {"works": False, "said": f"{error.why}. {error.mend}", "checks": []}
    used = next((level for level, found in levels.items() if found["works"]), "none")
    if used == "none":
        said = ["not enforced; the agent refuses to start without --sandbox none"]
    else:
        said = [levels[used]["said"], *(f"{check['name']}" + (f" ({check['detail']})" if check["detail"] else "")
                                        for check in levels[used]["checks"])]
    for level, found in levels.items():
        if level != used:
            ready = f"would also work: {found['said']}" if found["works"] else f"does not work: {found['said']}"
            said.append(f"{level} {ready}")
    return [Finding("sandbox", "good" if used != "none" else "warn", ("\n" + " " * 16).join(said),
                    {"level": used, "levels": levels})]


def _state(args: Namespace) -> list[Finding]:
    folder = places.state_folder()
    free = shutil.disk_usage(folder).free
    mode = folder.stat().st_mode & 0o777
    held = retention.kept()
    said = ", ".join(f"{row.name} {row.count} ({size(row.bytes)}"
                     + (f", at most {row.most} and {size(row.most_bytes)})" if row.most else ")") for row in held)
    found = [Finding("state", "good" if free > 200e6 else "warn", f"{folder}, {free / 1e9:.1f} GB free",
                     {"folder": str(folder), "free_bytes": free})]
    found.append(Finding("kept", "good", said, {row.name: vars(row) for row in held}))
    if mode & 0o077:
        found.append(Finding("state", "warn", f"{folder} can be entered by others (mode {mode:03o}); chmod 700 it"))
    return found


def _engine(args: Namespace) -> list[Finding]:
    from nimllm.kernels import engine

    why = engine.available()
    if why is not None:
        return [Finding("engine", "warn", f"not available ({why}); torch is used, and starts slowly")]
    sets = engine.instruction_sets()
    return [Finding("engine", "good", f"C++ engine with {sets[0]} (of {', '.join(sets)})", {"isa": sets})]


def _model(args: Namespace) -> list[Finding]:
    from nimllm.llm.checkpoint import check_tensors, fingerprint, read_tensors
    from nimllm.llm.config import read_config
    from nimllm.llm.tokenizer import Tokenizer

    run = equipment.model_folder(args.model)
    config = read_config(run)
    tensors = read_tensors(run / "model.safetensors")
    check_tensors(config, tensors, run / "model.safetensors")
    tokenizer = Tokenizer.load(run)
    if tokenizer.vocab_size > config.vocab_size:
        raise NimError(f"the tokenizer in {run} has more tokens than the model", f"{tokenizer.vocab_size} and "
                       f"{config.vocab_size}", "restore the folder")
    mark = fingerprint(tensors)
    return [Finding("model", "good", f"{run}, {config.parameters() / 1e6:.1f}M parameters, context {config.context}, "
                    f"fingerprint {mark[:16]}", {"run": str(run), "fingerprint": mark})]


def _memory(args: Namespace) -> list[Finding]:
    store = equipment.open_store(equipment.model_folder(args.model))
    found = store.verify()
    facts = {"accepted": found.accepted, "records": found.records, "weights": found.weights,
             "folder": str(store.folder)}
    if found.problems:
        return [Finding("memory", "bad", "; ".join(found.problems), facts, errors.MEMORY)]
    return [Finding("memory", "good", f"{found.accepted} memories in the weights, verified", facts)]


def _kernels(args: Namespace) -> list[Finding]:
    """The table of implementations: for each op the one in force, what else could be named, and why not the rest."""
    from nimllm.kernels import ops

    rows = ops.table()
    override = os.environ.get(ops.VARIABLE)
    lines = [f"{ops.VARIABLE}={override}" if override else
             f"for each op what is in force (and what {ops.VARIABLE} could name instead)"]
    lines += _in_force("cpu", rows)
    facts = {"table": rows}
    # torch, which knows GPUs best, takes seconds to import: not where there is no device file of one
    if any(os.path.exists(path) for path in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")):
        facts["cuda"] = ops.table("cuda")
        lines += _in_force("cuda", facts["cuda"])
    return [Finding("kernels", "good", ("\n" + " " * 16).join(lines), facts)]


def _in_force(device: str, rows: list[dict[str, str]]) -> list[str]:
    """Lines of text for one device's table. A reason that keeps several implementations out is told once."""
    used: dict[str, str] = {}
    ready: dict[str, list[str]] = {}
    out: dict[str, dict[str, None]] = {}
    for row in rows:
        name = row["implementation"]
        if row["state"] == "used":
            used[row["op"]] = name
        elif row["state"] == "ready":
            ready.setdefault(row["op"], []).append(name)
        elif not row["state"].startswith("not for "):
            out.setdefault(row["state"], {})[name] = None
    width = max(map(len, used), default=0)
    lines = [f"{device}  {op:<{width}}  {name}" + (f" ({', '.join(ready[op])})" if op in ready else "")
             for op, name in used.items()]
    return lines + [f"{device}  not {', '.join(names)}: {reason}" for reason, names in out.items()]
