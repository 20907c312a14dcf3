"""Better than one guess: which of several sampled commands is run.

What does not parse, names a program that is not there, is refused by the policy or has just failed falls away; what
says the same is merged. With time allowed, the rest is tried in throw-away views of the workspace
(``tools/overlay.py``), and the command wins whose effect most of the samples agree on: minimum Bayes risk over
execution results (Shi et al. 2022, "Natural Language to Code Translation with Execution", arXiv 2204.11454), here with
a graded likeness of effects. A command that fails and does nothing loses to one that does not.

Only what mode auto would run unasked is tried, whatever the session's mode: a trial reaches nothing outside, so that
what would be asked about may be tried before it is asked about, but a catastrophe, or what nobody can read, never is.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nimllm.agent import copying

if TYPE_CHECKING:
    from nimllm.tools.overlay import Overlay, Trial
    from nimllm.tools.policy import Verdict

# A trial that fails for one of these says something about the trial, not about the command.
_EXCUSES = re.compile(
    r"Read-only file system|Permission denied|Operation not permitted|[Cc]ould not resolve|Network is unreachable"
    r"|Temporary failure in name resolution|No space left|unable to access 'http")
_ABSENT = re.compile(r"['‘\"]([^'’\"\n]+)['’\"][^\n]*(?:No such file|does not exist|did not match any)"
                     r"|(?:^|: )([^:'‘\"\n]+): (?:No such file|does not exist)", re.MULTILINE)
_MAKES = re.compile(r"\b(cd|pushd|tar|unzip|make|git)\b")  # what may bring a program into reach
_WORD = re.compile(r"[\w./~*+@:-]*[\w*]")
_PATH = re.compile(r"(?<![\w.:/~-])(/[\w.+@-]+(?:/[\w.+@-]+)*)")


@dataclass
class Candidate:
    """One command and the samples that said it. ``fault``: why it should not run (a clause), or empty; ``score``: how
    much of the samples' weight agrees with it."""

    command: str
    plan: str = ""
    weight: float = 1
    logprob: float = 0.0
    fault: str = ""
    refused: bool = False  # by the policy: it is proposed nonetheless when there is nothing else, so that it is said
    trial: Trial | None = None
    score: float = 0.0
    said: str = ""  # what the model wrote, when the harness mended a name in it


@dataclass
class Choice:
    """``why``: a sentence when the first guess was passed over, or nothing could be tried."""

    candidate: Candidate
    candidates: list[Candidate] = field(default_factory=list)
    why: str = ""
    seconds: float = 0.0


def merge(samples: Iterable[Candidate]) -> list[Candidate]:
    """One candidate for each command, in the order in which they were said first; weights add up, the likeliest
    spelling and the plan it was said under stay."""
    found: dict[str, Candidate] = {}
    for sample in samples:
        key = normal(sample.command)
        old = found.get(key)
        if old is None:
            found[key] = sample
        else:
            old.weight += sample.weight
            old.logprob = max(old.logprob, sample.logprob)
    return list(found.values())


def normal(command: str) -> str:
    """``command`` without what makes no difference: space at its ends and between words, where nothing is quoted."""
    command = command.strip()
    if re.search(r"['\"\\\n#`]|<<", command):
        return command
    return " ".join(command.rstrip(";").split())


def parses(command: str) -> bool:
    """Whether bash accepts the syntax. Nothing is executed; an empty environment keeps BASH_ENV out."""
    if "\0" in command:
        return False
    try:
        done = subprocess.run(
            ["bash", "--norc", "--noprofile", "-n"], input=command.encode("utf-8", "replace"), capture_output=True,
            env={"PATH": os.environ.get("PATH", os.defpath)}, timeout=10, check=False, cwd=Path("/"),
        )
    except FileNotFoundError:
        return True  # the shell, which needs bash too, gives the error that says so
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and not done.stderr  # a here-document without its end only warns


# ---- programs that do not exist ------------------------------------------------------------------------------------


@cache
def _builtins() -> frozenset[str]:
    try:
        done = subprocess.run(["bash", "--norc", "--noprofile", "-c", "compgen -bk"], capture_output=True, text=True,
                              env={"PATH": os.defpath}, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(done.stdout.split())


def missing(command: str, cwd: Path, path: str, ask: Callable[[Collection[str]], Collection[str]] | None = None
            ) -> str:
    """The first program that ``command`` names and nobody has, or an empty string.

    ``path``: the live shell's PATH. ``ask``: names that are neither builtins nor on it -> those the live shell knows
    (functions, aliases). A relative path counts as missing only when the command itself does not make it or go there.
    """
    from nimllm.tools.commands import UNKNOWN, parse

    script = parse(command)
    if script.problem:
        return ""
    unknown: list[str] = []
    for simple in script.simples:
        first = simple.words[0] if simple.words else ""
        if not first or UNKNOWN in first or first in script.functions or first in _builtins():
            continue
        if "/" in first:
            at = cwd / os.path.expanduser(first)
            made = command.count(os.path.basename(first)) > 1 or _MAKES.search(command)
            if not made and not (os.path.isfile(at) and os.access(at, os.X_OK)):
                return first
        elif shutil.which(first, path=path) is None:
            unknown.append(first)
    known = ask(unknown) if ask is not None and unknown else ()
    return next((name for name in unknown if name not in known), "")


def search_path(exports: bytes) -> str:
    """PATH out of what ``export -p`` wrote; the harness's own when it is not there."""
    found = re.search(rb'^declare -x PATH="((?:[^"\\]|\\.)*)"', exports, re.MULTILINE)
    if found is None:
        return os.environ.get("PATH", os.defpath)
    return os.fsdecode(re.sub(rb"\\(.)", rb"\1", found[1]))


# ---- effects -------------------------------------------------------------------------------------------------------


def likeness(one: Trial, two: Trial) -> float:
    """How alike two effects are, 0 to 1: files changed, output, and whether they succeeded. 1 only for equal ones."""
    files = 1.0 if one.changes == two.changes else 0.7 * _dice(one.changes.items(), two.changes.items())
    text = _text_likeness(_lines(one.out), _lines(two.out))
    if one.status != 0 and two.status != 0:
        text = min(text, _text_likeness(_lines(one.err), _lines(two.err)))
    alike = 0.7 * files + 0.3 * text if one.changes or two.changes else text
    return alike if (one.status == 0) == (two.status == 0) else alike / 2


def _lines(text: str) -> list[str]:
    """Lines without the spaces and the ``./`` in which programs that say the same differ."""
    return [" ".join(line.split()).replace(" ./", " ").removeprefix("./") for line in text.splitlines() if line.strip()]


def _text_likeness(one: list[str], two: list[str]) -> float:
    if one == two:
        return 1.0
    if Counter(one) == Counter(two):
        return 0.9
    return 0.6 * _dice((word for line in one for word in line.split()), (word for line in two for word in line.split()))


def _dice(one: Iterable[object], two: Iterable[object]) -> float:
    """Dice's coefficient of two multisets."""
    left, right = Counter(one), Counter(two)
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 1.0


def failed(trial: Trial, request: str = "") -> bool:
    """It ended with an error message and did nothing else. Not when the trial is to blame for that, nor when what it
    did not find is what the request itself names: then it did as it was told."""
    if trial.status == 0 or trial.changes or not trial.err.strip() or _EXCUSES.search(trial.err):
        return False
    named = {word.strip("./") for word in _WORD.findall(request)} - {""}
    absent = {(quoted or plain).strip("./") for quoted, plain in _ABSENT.findall(trial.err)}
    return not any(name in named or os.path.basename(name) in named for name in absent)


def agree(candidates: Sequence[Candidate], request: str = "") -> Candidate:
    """The candidate that most of the samples agree with; of equals the likelier one. Sets every ``score``.

    One that failed loses to all that did not, when one of those did or showed something: doing nothing is no success.
    """
    for one in candidates:
        one.score = float(one.weight)
        for two in candidates:
            if two is not one and one.trial is not None and two.trial is not None and one.trial.ran and two.trial.ran:
                one.score += two.weight * likeness(one.trial, two.trial)
    good = [one for one in candidates if one.trial is not None and one.trial.ran and not failed(one.trial, request)
            and (one.trial.changes or one.trial.out.strip() or one.trial.status)]
    bad = [one for one in candidates if one.trial is not None and one.trial.ran and failed(one.trial, request)]
    pool = [one for one in candidates if not any(one is other for other in bad)] if good else candidates
    return max(pool, key=lambda one: (one.score, one.logprob))


def elsewhere(request: str) -> str:
    """A path the request speaks of that this machine does not have (nor the folder it would be in), or an empty string:
    a trial would show nothing but that."""
    for path in _PATH.findall(request):
        if not os.path.lexists(path) and not os.path.isdir(os.path.dirname(path)):
            return path
        if os.path.dirname(path) == "/" and not os.path.lexists(path):
            return path
    return ""


# ---- choosing ------------------------------------------------------------------------------------------------------


class Chooser:
    """Sifts and tries candidates. ``judge``: the policy's verdict on a command in a mode; ``view``: where to try, or
    None; ``ask``: see :func:`missing`; ``here``: a program that this machine lacks counts as missing."""

    def __init__(self, judge: Callable[[str, str], Verdict], mode: str, view: Overlay | None = None,
                 seconds: float = 2.0, ask: Callable[[Collection[str]], Collection[str]] | None = None,
                 should_stop: Callable[[], bool] = lambda: False, here: bool = True) -> None:
        self.judge, self.mode, self.view, self.seconds, self.ask = judge, mode, view, seconds, ask
        self.should_stop, self.here = should_stop, here

    def sift(self, samples: Iterable[Candidate], cwd: Path, exports: bytes, not_these: Collection[str] = (),
             request: str = "", known: str = "") -> list[Candidate]:
        """Merged candidates, each with its ``fault``; names that only can be copied are mended (``agent/copying.py``).
        Those of ``not_these``, and what is no command, are left out. ``known``: what else the model has read."""
        shut = {normal(command) for command in not_these}
        path = search_path(exports)
        kept = []
        for one in merge(self._mended(sample, request, known, cwd) for sample in samples if sample.command.strip()):
            if normal(one.command) in shut or not parses(one.command):
                continue
            lacking = missing(one.command, cwd, path, self.ask) if self.here else ""
            if lacking:
                one.fault = f"there is no program {lacking}"
            elif self.judge(one.command, self.mode).action == "refuse":
                one.fault, one.refused = "the policy refuses it", True
            kept.append(one)
        return kept

    def _mended(self, sample: Candidate, request: str, known: str, cwd: Path) -> Candidate:
        command = copying.repaired(sample.command, request, cwd, known)
        if self.judge(command, "read-only").action == "run":  # what only reads may look for its file elsewhere
            command = copying.placed(command, cwd)
        if command != sample.command:
            sample.command, sample.said = command, sample.command
        return sample

    def choose(self, candidates: Sequence[Candidate], request: str, cwd: Path, exports: bytes) -> Choice:
        """The best of ``candidates`` (at least one, the first guess first), tried where there is a doubt."""
        began = time.monotonic()
        first = candidates[0]
        usable = [one for one in candidates if not one.fault] or [one for one in candidates if one.refused]
        if not usable:
            return Choice(first, list(candidates))
        total = round(sum(one.weight for one in usable))
        if self.view is not None and not self.view.problem and not elsewhere(request):
            usable += self._elsewhere(usable, cwd)
            if len(usable) > 1:
                self._try(usable, total, request, cwd, exports)
        best = agree(usable, request)
        return Choice(best, list(candidates), _why(first, best, total, request), time.monotonic() - began)

    def _try(self, usable: Sequence[Candidate], total: int, request: str, cwd: Path, exports: bytes) -> None:
        """First the one that most samples said: when that is more than half and it works, no other can win."""
        assert self.view is not None
        until = time.monotonic() + self.seconds
        open_ones = [one for one in usable if self._may_try(one.command)]
        ordered = sorted(open_ones, key=lambda one: (-one.weight, -one.logprob))
        heavy = [one for one in ordered[:1] if one.weight * 2 > total]
        for group in (heavy, ordered[len(heavy):]):
            left = until - time.monotonic()
            if not group or left <= 0 or self.should_stop():
                continue
            trials = self.view.run_all([one.command for one in group], cwd, exports, left, self.should_stop)
            for one, trial in zip(group, trials, strict=True):
                one.trial = trial
            if group is heavy and trials[0].ran and not failed(trials[0], request):
                return


    def _elsewhere(self, usable: Sequence[Candidate], cwd: Path) -> list[Candidate]:
        """Commands that write, with the file they lack taken from the one place where it is: worth a trial, and less
        than what the model said. Nothing is removed that was not named."""
        found = []
        for one in usable:
            command = copying.placed(one.command, cwd)
            if command != one.command and not re.search(r"\b(rm|shred|unlink|rmdir|truncate)\b", command):
                found.append(Candidate(command, one.plan, one.weight / 2, one.logprob, said=one.command))
        return found

    def _may_try(self, command: str) -> bool:
        return self.judge(command, "auto").action == "run"


def _why(first: Candidate, best: Candidate, total: int, request: str) -> str:
    if best is first:
        return ""
    said = shlex.quote(first.command) if "\n" in first.command else first.command
    if first.fault:
        reason = first.fault
    elif first.trial is not None and first.trial.ran and failed(first.trial, request):
        line = first.trial.err.strip().splitlines()[0]
        reason = f"it fails ({line})"
    elif best.trial is not None and best.trial.ran:
        reason = f"the effect of another is nearer to that of all {total} samples"
    else:
        reason = f"{best.weight} of {total} samples say another"
    return f"passed over: {said[:200]}: {reason[:200]}"
