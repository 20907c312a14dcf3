"""``nimllm eval shell --set everyday``: two hundred requests in people's own words (``everyday.yaml``), judged by what
the agent's commands print and leave behind, beside what right commands do in the same world.

Nothing of the set may be trained on. Whoever writes the generator does not read it, and where a short request is the
same by chance ("uptime"), the recipes leave it out by :class:`Kept`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nimllm.agent.gym import truth
from nimllm.agent.gym.evaluate import STEP_SECONDS, Ran, Report, Verdict, Work, clear
from nimllm.agent.gym.executor import ENVIRONMENT
from nimllm.errors import SHELL, NimError
from nimllm.tools.commands import parse
from nimllm.tools.sandbox import Sandbox, probe
from nimllm.tools.shell import Shell

FILE = Path(__file__).with_name("everyday.yaml")


@dataclass(frozen=True)
class Request:
    """``runs``: right commands; ``quiet``: only what they leave behind counts; ``live``: the answer belongs to the
    machine or the moment, so that the same program must have been asked, with success."""

    say: str
    world: str
    runs: tuple[str, ...]
    ordered: bool = True
    quiet: bool = False
    live: bool = False

    def at(self, folder: Path) -> Request:
        """With ``{here}`` replaced."""
        runs = tuple(run.replace("{here}", str(folder)) for run in self.runs)
        return replace(self, say=self.say.replace("{here}", str(folder)), runs=runs)


@dataclass(frozen=True)
class Right:
    """What one right command did: its output, and the folder afterwards."""

    output: str
    state: str


def load(path: Path = FILE) -> tuple[dict[str, str], list[Request]]:
    """Worlds (bash that makes them in an empty folder) and requests."""
    import yaml

    data: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    found = []
    for row in data["requests"]:
        runs = row["run"] if isinstance(row["run"], list) else [row["run"]]
        found.append(Request(row["say"], row["world"], tuple(runs), row.get("order", True), row.get("quiet", False),
                             row.get("about") == "live"))
    return data["worlds"], found


class Kept:
    """Which requests are the set's own, in whatever case and punctuation, alone or in a longer text."""

    LONG = 4  # words; a shorter one within a text says nothing

    def __init__(self) -> None:
        bare = [_bare(request.say) for request in load()[1]]
        self._alone = frozenset(bare)
        self._within = tuple(f" {text} " for text in bare if len(text.split()) >= self.LONG)

    def holds(self, text: str) -> bool:
        bare = _bare(text)
        return bare in self._alone or any(long in f" {bare} " for long in self._within)


def _bare(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9./_]+", text.lower()))


class Worlds:
    """Each world made once, and copied into the work folder for every try."""

    def __init__(self, scripts: dict[str, str], work: Path, store: Path) -> None:
        self.scripts, self.work, self.store = scripts, work, store

    def lay_out(self, name: str) -> None:
        made = self.store / name
        if not made.exists():
            made.mkdir()
            done = subprocess.run(["bash", "-ec", self.scripts[name]], cwd=made, env=ENVIRONMENT, capture_output=True,
                                  stdin=subprocess.DEVNULL, check=False)
            if done.returncode:
                raise NimError(f"the world {name!r} cannot be made", done.stderr.decode("utf-8", "replace").strip(),
                               "install git, gzip and tar", SHELL)
        clear(self.work)
        for entry in made.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.copytree(entry, self.work / entry.name, symlinks=True)
            else:
                shutil.copy2(entry, self.work / entry.name, follow_symlinks=False)


def state(folder: Path) -> str:
    git = ""
    if (folder / ".git").exists():
        git = subprocess.run(["bash", "-c", f"{truth.GIT_STATE}; git stash list | wc -l"], cwd=folder, env=ENVIRONMENT,
                             capture_output=True, text=True, errors="replace", check=False).stdout
    return truth.state(folder, (), git)


class Judge:
    """One work folder. A context manager; wants a sandbox (NimError 5), for the model's commands run unasked."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nimllm-everyday-")
        top = Path(os.path.realpath(self._folder.name))
        self.work = top / "work"
        self.work.mkdir()
        (top / "worlds").mkdir()
        scripts, self.requests = load()
        self.worlds = Worlds(scripts, self.work, top / "worlds")
        self.sandbox: Sandbox = probe(self.work, want="bwrap")
        self.env = {**ENVIRONMENT, "HOME": str(self.work), "USER": "user", "LOGNAME": "user"}
        self._known: Shell | None = None  # runs the right commands
        self._umask = os.umask(0o022)

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        if self._known is not None:
            self._known.close()
        os.umask(self._umask)
        clear(self.work)
        self._folder.cleanup()

    def shell(self) -> Shell:
        return Shell(self.work, self.sandbox, env=self.env)

    def rights(self, request: Request) -> list[Right]:
        """What each right command does. One that this machine lacks, or that fails without a word, is left out."""
        found = []
        for run in request.runs:
            self.worlds.lay_out(request.world)
            if self._known is None:
                self._known = self.shell()
            self._known.run(f"cd {shlex.quote(str(self.work))}")
            done = self._known.run(run, timeout=STEP_SECONDS)
            if done.status == 0 or (done.status != 127 and done.output.strip()):
                found.append(Right(done.output, state(self.work)))
        return found

    def judge(self, work: Work, request: Request) -> Verdict:
        """Do the request with ``work`` in a fresh copy of its world, and compare."""
        request = request.at(self.work)
        rights = self.rights(request)
        self.worlds.lay_out(request.world)
        before = state(self.work)
        began, why, answer = time.monotonic(), "", ""
        steps: list[Ran] = []
        shell = self.shell()
        try:
            result = work(shell, request.say)
            steps = [step for step in result.steps if step.status is not None]
            answer = result.answer
        except NimError as error:
            why = error.message()
        finally:
            shell.close()
        took = time.monotonic() - began
        why = why or self._wrong(request, rights, steps, before)
        return Verdict(request.world, max(1, len(steps)), 0, request.say, list(request.runs[:1]),
                       [step.command for step in steps], answer, why, took)

    def _wrong(self, request: Request, rights: Sequence[Right], steps: Sequence[Ran], before: str) -> str:
        """Empty when the answer is right, else where it went wrong: plan, quoting, program, copying, option."""
        if not steps:
            return "plan: no command ran"
        now = state(self.work)
        wanted = set().union(*(_programs(run) for run in request.runs))
        asked = [step for step in steps if _programs(step.command) & wanted and step.status == 0]
        if request.live:
            return "" if any(step.output.strip() for step in asked) else "program: the machine was not asked for it"
        for right in rights:
            if not right.output.strip() and right.state == before and not asked:
                continue  # silence and no trace: any command that does nothing would do
            said = request.quiet or (not right.output.strip() and now == right.state) or any(
                truth.matches(truth.normalise(right.output, request.ordered), step.output, request.ordered)
                for step in steps)
            if now == right.state and said:
                return ""
        last = steps[-1].command
        if parse(last).problem:
            return "quoting: it does not parse"
        if not _programs(last) & wanted:
            return "program: another one was needed"
        missing = [word for word in _literals(request.say) if word not in " ".join(step.command for step in steps)]
        if missing:
            return f"copying: {missing[0]} is not in the command"
        return "option: the right program, the wrong result"


def _programs(command: str) -> set[str]:
    return {simple.name for simple in parse(command).simples if simple.name}


def _literals(say: str) -> list[str]:
    """Words of a request that can only be copied: with a dot, slash, digit, underscore or capital inside."""
    words = re.findall(r"[\w./:+-]*[./_\d][\w./:+-]*", say)
    return [word.strip(".,:?") for word in words if len(word.strip(".,:?")) > 2]


def evaluate(work: Work, on_verdict: Callable[[Verdict], None] | None = None, only: str = "") -> Report:
    """Judge ``work`` on every request whose text matches ``only`` (a regular expression)."""
    report = Report()
    with Judge() as judge:
        for request in judge.requests:
            if only and not re.search(only, request.say):
                continue
            verdict = judge.judge(work, request)
            report.verdicts.append(verdict)
            if on_verdict is not None:
                on_verdict(verdict)
    return report
