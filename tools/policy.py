# ruff: noqa: SIM905, E501 (word lists read better as words)
"""What a proposed command gets: run, ask or refuse.

| mode      | known to only read | everything else | catastrophic | unreadable |
| read-only | run                | refuse          | refuse       | refuse     |
| ask       | run                | ask             | ask          | ask        |
| auto      | run                | run             | ask          | ask        |
| full      | run                | run             | run          | ask        |

Unreadable: it does not parse, is too long for a person to read, or holds invisible characters. A user's own rules
(``tools/rules.py``) can spare questions of the mode ``ask``, ask in every mode, and refuse in every mode.

The policy spares the user questions; it protects nobody. That is the sandbox's work.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nimllm.errors import USAGE, NimError
from nimllm.tools import carriers, catastrophes, readers
from nimllm.tools.commands import UNKNOWN, Script, Simple, parse

if TYPE_CHECKING:
    from nimllm.tools.rules import Rules, Spoken

Action = Literal["run", "ask", "refuse"]
MODES = ("read-only", "ask", "auto", "full")
MAX_LENGTH = 10_000
MAX_NESTING = 6  # scripts inside scripts: bash -c "bash -c …"

# Programs that run the command they are given; the options that take a value, and how many words come before it.
_WRAPPERS: dict[str, tuple[str, int]] = {
    "env": ("uCS", 0),
    "command": ("", 0),
    "builtin": ("", 0),
    "exec": ("a", 0),
    "nohup": ("", 0),
    "time": ("of", 0),
    "nice": ("n", 0),
    "ionice": ("cn", 0),
    "timeout": ("ks", 1),
    "setsid": ("", 0),
    "stdbuf": ("ioe", 0),
    "xargs": ("InPLdaEs", 0),
    "watch": ("n", 0),
    "flock": ("wE", 1),
    "coproc": ("", 0),
    "busybox": ("", 0),
    "strace": ("oeps", 0),
    "sudo": ("ughpCrtUD", 0),
    "doas": ("uC", 0),
    "chroot": ("", 1),
    "parallel": ("jINa", 0),
    "unshare": ("", 0),
    "script": ("", 0),
    "su": ("", 0),
    "ssh": ("iplFoLRDJ", 1),
    "chronic": ("", 0),
    "unbuffer": ("", 0),
    "trap": ("", 0),
    "jobs": ("", 0),
    **dict.fromkeys(
        "taskset chrt numactl prlimit ltrace valgrind perf gosu fakeroot proot xvfb-run dbus-run-session systemd-run "
        "systemd-inhibit firejail torify torsocks proxychains proxychains4 caffeinate gtimeout setarch linux32 linux64 "
        "i386 x86_64 runcon sg newgrp rlwrap ts sem entr cgexec setpriv capsh hyperfine uvx npx pipx direnv dotenv pee "
        "ifne mispipe arch".split(),
        ("", 0),
    ),
}
_SHELLS = frozenset("sh bash dash zsh ksh ash".split())
# Programs whose second word says what they do: "always git commit" must not mean "always git push".
_NOUNS = frozenset(
    "git npm pnpm yarn cargo go docker podman pip pip3 uv poetry conda apt apt-get brew kubectl terraform gh aws gcloud "
    "sh bash dash zsh ksh source . perl ruby php lua Rscript npx uvx pipx systemctl make just python python3 node deno bundle gem dotnet mvn gradle helm svn hg rustup tox nox hatch".split()
)


@dataclass(frozen=True)
class Verdict:
    """``reason``: a clause for the user. ``rule`` names the rule that spoke: ``reader``, ``always:…``, ``mode:…``,
    ``catastrophe``, ``unreadable``; ``rule:PREFIX`` is one the user has written."""

    action: Action
    reason: str
    rule: str


def judge(
    command: str,
    mode: str,
    always: Iterable[str] = (),
    workspace: Path | None = None,
    rules: Rules | None = None,
) -> Verdict:
    """The verdict on ``command``. ``always``: prefixes as :func:`prefixes` makes them, which the user has accepted for
    good; they are compared word by word with each parsed simple command, and never excuse a catastrophe. ``rules``:
    what the user has written down; the strictest that matches one of the simple commands speaks."""
    if mode not in MODES:
        raise NimError(f"unknown mode {mode!r}", mend=f"use {', '.join(MODES)}", code=USAGE)
    careful: Action = "refuse" if mode == "read-only" else "ask"
    problem = unreadable(command)
    if problem:
        return Verdict(careful, problem, "unreadable")
    view = look(command, workspace)
    if view.problem:
        return Verdict(careful, view.problem, "unreadable")
    spoken = _strictest(view, rules)
    if spoken and spoken.decision == "forbid":
        return Verdict("refuse", spoken.reason, f"rule:{spoken.rule.spelled}")
    if mode == "full" and not spoken:
        return Verdict("run", "everything runs in full mode", "mode:full")
    if view.catastrophe and mode != "full":
        return Verdict(careful, view.catastrophe, "catastrophe")
    if spoken:
        return Verdict(careful, spoken.reason, f"rule:{spoken.rule.spelled}")
    asks = [(simple, reason) for simple, reason in view.simples if reason]
    if not asks and not view.hazard:
        return Verdict("run", "it only reads", "reader")
    accepted = [tuple(rule.split()) for rule in always if rule.split()]
    excused = _allowed(view, rules)
    mine = [simple for simple, _ in asks if not _accepted(simple, accepted)]
    accepted += excused
    left = [(simple, reason) for simple, reason in asks if not _accepted(simple, accepted)]
    if mode == "auto":
        return Verdict("run", "the sandbox holds it in the workspace", "mode:auto")
    if view.hazard:
        return Verdict(careful, view.hazard, f"mode:{mode}")
    if not left and mode == "ask":
        if mine:
            return Verdict("run", "your rules allow it", "rule:" + "; ".join(dict.fromkeys(map(" ".join, excused))))
        names = "; ".join(dict.fromkeys(prefix(simple) for simple, _ in asks))
        return Verdict("run", "you said always to this", f"always:{names}")
    return Verdict(careful, left[0][1] if left else asks[0][1], f"mode:{mode}")


def prefixes(command: str) -> list[str]:
    """What "always" would accept for ``command``: one prefix per simple command that does more than read; ``>`` for a
    redirection into a file. Empty when it cannot be taken apart, or is a catastrophe: there is no "always" then."""
    if unreadable(command):
        return []
    view = look(command)
    if view.problem or view.catastrophe or view.hazard:
        return []
    found = []
    for simple, reason in view.simples:
        if reason:
            found += ([prefix(simple)] if simple.words else []) + ([">"] if simple.writes else [])
            if not simple.words and not simple.writes:
                found.append(f"{simple.assigns[0][0]}=")
    found = list(dict.fromkeys(found))
    # Some things have no "always": setting PATH, say, is accepted once or not at all.
    return found if judge(command, "ask", found).action == "run" else []


def unreadable(command: str) -> str:
    """Why a person could not judge ``command`` by looking at it, or an empty string."""
    if len(command) > MAX_LENGTH:
        return f"it is {len(command)} characters long"
    for letter in command:
        if _invisible(letter):
            return f"it holds an invisible character (U+{ord(letter):04X})"
    if re.search(r"[ \t]{60,}\S|\n\s*(?:\n\s*){20,}\S", command):
        return "a wide gap may hide the end of it"
    return ""


def _invisible(letter: str) -> bool:
    """A character that shows as nothing, as a blank, or turns the direction of what follows. Newline and tab are none."""
    if letter in "\n\t" or " " <= letter <= "~":
        return False
    kind = unicodedata.category(letter)
    return (
        kind[0] == "C"
        or kind in ("Zl", "Zp", "Zs")
        or unicodedata.normalize("NFKC", letter).strip() == ""
        or letter in "\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5"
        or "\ufe00" <= letter <= "\ufe0f"
        or "\U000e0100" <= letter <= "\U000e01ef"
    )


def spelled(command: str) -> str:
    """``command`` as a person may look at it: what is invisible is spelled (``\\u202e``), and so is a long gap."""
    text = "".join(
        letter if not _invisible(letter)
        else f"\\x{ord(letter):02x}" if ord(letter) < 0x100
        else f"\\u{ord(letter):04x}" if ord(letter) < 0x10000
        else f"\\U{ord(letter):08x}"
        for letter in command
    )
    return re.sub(r"[ \t]{60,}(?=\S)", lambda gap: f" [{len(gap[0])} blanks] ", text)


@dataclass
class View:
    """A command taken apart: every simple command with why it does more than read (empty when it does not)."""

    simples: list[tuple[Simple, str]]
    catastrophe: str = ""
    problem: str = ""
    hazard: str = ""  # a text that bash evaluates although it looks like a word


def look(command: str, workspace: Path | None = None, depth: int = 0) -> View:
    """Parse, follow wrappers (``env``, ``xargs``, ``bash -c``, ``find -exec`` …), and mark what does more than read."""
    if "\\\n" in command and depth <= MAX_NESTING:
        # The grammar and bash do not join the same lines: what either of them sees counts.
        joined, split = (_look(text, workspace, depth) for text in (command.replace("\\\n", ""), command))
        return View(
            [*joined.simples, *split.simples],
            joined.catastrophe or split.catastrophe,
            joined.problem or split.problem,
            joined.hazard or split.hazard,
        )
    return _look(command, workspace, depth)


def _look(command: str, workspace: Path | None, depth: int) -> View:
    script = parse(command)
    view = View([], problem=script.problem)
    if script.problem:
        return view
    if depth > MAX_NESTING:
        view.problem = "it is a script in a script in a script"
        return view
    view.catastrophe = catastrophes.fork_bomb(script)
    if script.hazards:
        view.hazard = script.hazards[0]
        for text in script.quoted:  # bash may expand what stands in quotes here
            inside = look('echo "' + text.replace('"', "") + '"', workspace, depth + 1)
            view.catastrophe = view.catastrophe or inside.catastrophe
    for simple in script.simples:
        _follow(simple, script, view, workspace, depth)
    for simple in script.simples:
        if simple.name in ("xargs", "parallel") and any(
            word.rsplit("/", 1)[-1] in ("rm", "mv", "shred") for word in simple.words
        ):
            for other in script.simples:
                if other.name in simple.feeders:
                    view.catastrophe = view.catastrophe or catastrophes.lists_everything(other, workspace)
    if script.unknown_nodes and view.simples:
        view.simples.append((Simple((sorted(script.unknown_nodes)[0],)), "part of it is not understood"))
    return view


def _follow(simple: Simple, script: Script, view: View, workspace: Path | None, depth: int) -> None:
    reason = readers.reads(simple)
    if simple.words and script.defined.get(simple.words[0], simple.at + 1) <= simple.at:
        reason = ""  # a function; its body is judged where it is defined
    wrapped = _inner(simple)
    view.catastrophe = view.catastrophe or catastrophes.why(simple, workspace)
    if simple.words and (UNKNOWN in simple.words[0] or re.search(r"[*?\[]", simple.words[0].strip("["))):
        view.catastrophe = view.catastrophe or "the name of a command is known only when it runs"
    if simple.name in _WRAPPERS or simple.name in ("find", "fd", "fdfind"):
        # Options of wrappers are many: a catastrophe anywhere behind one counts, whatever was parsed.
        more = (UNKNOWN,) if simple.name in ("xargs", "parallel") else ()
        for cut in range(1, len(simple.words)):
            inner = Simple((*simple.words[cut:], *more), (), (), simple.feeders)
            if inner.name not in _WRAPPERS and not (simple.name in ("find", "fd", "fdfind") and inner.name == "find"):
                view.catastrophe = view.catastrophe or catastrophes.why(inner, workspace)
    for text in _scripts(simple):
        if UNKNOWN in text:
            if not (simple.name == "alias" or (text == UNKNOWN and simple.name == "trap")):
                view.catastrophe = view.catastrophe or _blind(text)
            continue
        inside = look(text, workspace, depth + 1)
        view.catastrophe = view.catastrophe or inside.catastrophe
        view.problem = view.problem or (f"the script it starts: {inside.problem}" if inside.problem else "")
        view.hazard = view.hazard or inside.hazard
        view.simples += inside.simples
    for text in carriers.texts(simple) if reason and depth < MAX_NESTING else ():
        view.catastrophe = view.catastrophe or look(text, workspace, MAX_NESTING).catastrophe
    for command in readers.executed(simple.words[1:]) if simple.name == "find" else ():
        if command and depth < MAX_NESTING:
            _follow(Simple(command), script, view, workspace, depth + 1)
    if wrapped and reason and depth < MAX_NESTING:
        inner = Simple(wrapped, simple.assigns, simple.writes, simple.feeders)
        _follow(inner, script, view, workspace, depth + 1)
    view.simples.append((simple, reason))


def _blind(text: str) -> str:
    """Script text with unknown parts: judged with the unknown parts taken for plain words."""
    if text.startswith(UNKNOWN):
        return "it runs text that is known only when it runs"
    inside = look(text.replace(UNKNOWN, '"$UNKNOWN_PART"'))
    return inside.catastrophe or inside.problem


def _scripts(simple: Simple) -> list[str]:
    """Texts that ``simple`` hands to a shell."""
    name, args = simple.name, list(simple.words[1:])
    if name in _WRAPPERS or name in ("find", "fd", "fdfind"):
        found = []
        for index, word in enumerate(args):
            if word.rsplit("/", 1)[-1] in _SHELLS | {"eval"}:
                found += _scripts(Simple(tuple(args[index:]), stdin=simple.stdin))
        if name in ("trap", "script", "su", "flock", "watch", "ssh", "parallel"):
            found += [word for word in args if " " in word or UNKNOWN in word]
        if name == "env":
            for index, word in enumerate(args):
                split = re.fullmatch(r"(?s)-[a-zA-Z]*?S(.*)|--split-string(?:=(.*))?", word)
                if split:
                    found.append(" ".join([split[1] or split[2] or "", *args[index + 1 :]]).strip())
        return found
    if name == "eval":
        return [" ".join(args)] if args else []
    if name == "alias":
        return [word.split("=", 1)[1] for word in args if "=" in word]
    if name in ("source", ".") and args[:1] in (["/dev/stdin"], ["/dev/fd/0"]):
        return list(simple.stdin)
    if name in _SHELLS:
        if not any(re.fullmatch(r"-[a-zA-Z]*c[a-zA-Z]*", word) for word in args) and all(
            word.startswith(("-", "+")) or word == "/dev/stdin" for word in args[:1]
        ):
            return list(simple.stdin)
        for index, word in enumerate(args):
            if re.fullmatch(r"-[a-zA-Z]*c[a-zA-Z]*", word):
                rest = [other for other in args[index + 1 :] if not other.startswith(("-", "+"))]
                return rest[:1]
            if not word.startswith(("-", "+")):
                return []
    return []


def _inner(simple: Simple) -> tuple[str, ...]:
    """The command behind a wrapper, when its options are understood."""
    if simple.name not in _WRAPPERS:
        return ()
    takes, skip = _WRAPPERS[simple.name]
    words = list(simple.words[1:])
    while words and (words[0].startswith("-") or (simple.name == "env" and "=" in words[0])):
        word = words.pop(0)
        if word == "--":
            break
        if len(word) == 2 and word[1:] in takes and words:
            words.pop(0)
    return tuple(words[skip:])


def prefix(simple: Simple) -> str:
    """First word, and the second where the first is a noun (``git commit``, ``python -m pytest``)."""
    words = simple.words
    if not words:
        return ">" if simple.writes else ""
    if words[0] in _NOUNS and len(words) > 1:
        if words[1] == "-m" and len(words) > 2:
            return " ".join(words[:3])
        return " ".join(words[:2])
    return words[0]


def simples(command: str) -> tuple[list[Simple], str]:
    """Every simple command of ``command``, also those behind wrappers, and why it cannot be judged (or "")."""
    problem = unreadable(command)
    if problem:
        return [], problem
    view = look(command)
    return [simple for simple, _ in view.simples], view.problem


def _strictest(view: View, rules: Rules | None) -> Spoken | None:
    """What a rule forbids, else what one asks about; None when the rules spare the command a question, or are silent."""
    found = [rules.about(simple) for simple, _ in view.simples] if rules else []
    strict = [spoken for spoken in found if spoken and spoken.decision != "allow"]
    return max(strict, key=lambda spoken: spoken.decision == "forbid", default=None)


def _allowed(view: View, rules: Rules | None) -> list[tuple[str, ...]]:
    """The beginnings of simple commands that an ``allow`` rule excuses, as ``always`` has them."""
    found = [rules.about(simple) for simple, _ in view.simples] if rules else []
    return [spoken.simple.words[: len(spoken.rule.prefix)] for spoken in found if spoken]


def _accepted(simple: Simple, accepted: Sequence[tuple[str, ...]]) -> bool:
    if simple.writes and (">",) not in accepted:
        return False
    if any(readers.risky(name) for name, _ in simple.assigns):
        return False
    if not simple.words:
        return all((f"{name}=",) in accepted for name, _ in simple.assigns)
    # What starts programs of its own is accepted once, not for good, unless the rule spells all of it.
    whole = bool(carriers.why(simple))
    return any(
        simple.words[: len(rule)] == rule and (not whole or len(simple.words) == len(rule) > 1) for rule in accepted
    )
