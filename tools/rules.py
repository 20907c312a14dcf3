"""Rules about commands that a user writes down, in TOML; each brings examples, and a wrong example is an error.

``policy.toml`` in the configuration folder holds a user's rules; ``.nimllm/policy.toml`` of a workspace may only
tighten: an ``allow`` there is ignored, and that is said. ::

    [[rule]]
    prefix = ["git", ["push", "fetch"]]   # words of one simple command; a list gives alternatives; "git push" works too
    decision = "forbid"                   # allow: as if answered "always" · ask: in every mode · forbid: in every mode
    reason = "releases are pushed by hand"
    match = ["git push origin main", "git -C x push"]
    not_match = ["git commit -m push"]

Every simple command is judged, also those in wrappers, pipes, substitutions and ``bash -c``; the strictest rule that
matches wins. ``allow`` is exact, and excuses neither a catastrophe nor what nobody can read, nor an option that starts
a program. ``ask`` and ``forbid`` are generous: the folder of the program and options before the next word do not
matter, and a word that is known only when it runs may be any word (then the most they do is ask).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nimllm.errors import CONFIG, NimError
from nimllm.places import config_home
from nimllm.tools.commands import UNKNOWN, Simple

Decision = Literal["allow", "ask", "forbid"]
STRICTNESS = ("allow", "ask", "forbid")
NAME = "policy.toml"
PROJECT = Path(".nimllm") / NAME
MAX_BYTES = 1_000_000
_KEYS = frozenset(("prefix", "decision", "reason", "match", "not_match"))


@dataclass(frozen=True)
class Rule:
    """``prefix``: for each place the words that may stand there. ``number`` counts from 1 in ``source``."""

    prefix: tuple[tuple[str, ...], ...]
    decision: Decision
    reason: str = ""
    match: tuple[str, ...] = ()
    not_match: tuple[str, ...] = ()
    source: Path = Path(NAME)
    number: int = 0

    @property
    def spelled(self) -> str:
        """The prefix for people: ``git push|fetch``."""
        return " ".join("|".join(words) for words in self.prefix)

    @property
    def place(self) -> str:
        return f"{self.source}, rule {self.number} ({self.spelled})"


@dataclass(frozen=True)
class Spoken:
    """What a rule says about a simple command. ``certain`` is False where a part decides that is known only when it
    runs."""

    rule: Rule
    simple: Simple
    certain: bool

    @property
    def decision(self) -> Decision:
        return "ask" if self.rule.decision == "forbid" and not self.certain else self.rule.decision

    @property
    def reason(self) -> str:
        said = self.rule.reason or f"a rule of {self.rule.source} {_VERBS[self.rule.decision]} {self.rule.spelled}"
        return said if self.certain else f"it may turn out to be {self.rule.spelled}: {said}"


_VERBS = {"allow": "allows", "ask": "asks about", "forbid": "forbids"}


@dataclass(frozen=True)
class Rules:
    """The rules in force. ``files``: where they came from. ``ignored``: a sentence for each part not obeyed."""

    rules: tuple[Rule, ...] = ()
    files: tuple[Path, ...] = ()
    ignored: tuple[str, ...] = ()
    examples: int = field(default=0, compare=False)

    def about(self, simple: Simple) -> Spoken | None:
        """The strictest rule that matches ``simple``; of equals the first."""
        best: Spoken | None = None
        for rule in self.rules:
            certain = matches(rule, simple)
            if certain is None:
                continue
            spoken = Spoken(rule, simple, certain)
            if best is None or STRICTNESS.index(spoken.decision) > STRICTNESS.index(best.decision):
                best = spoken
        return best


def matches(rule: Rule, simple: Simple) -> bool | None:
    """None: not; True: certainly; False: perhaps (never for ``allow``)."""
    if not simple.words:
        return None
    if rule.decision == "allow":
        exact = len(simple.words) >= len(rule.prefix) and all(
            word in wanted for word, wanted in zip(simple.words, rule.prefix, strict=False)
        )
        return True if exact else None
    first = simple.words[0] if any("/" in word for word in rule.prefix[0]) else simple.name
    certain = _is(first, rule.prefix[0])
    if certain is None:
        return None
    rest = list(simple.words[1:])
    for wanted in rule.prefix[1:]:
        found = None
        options = 0  # words that may be the value of an option before them
        for index, word in enumerate(rest):
            found = _is(word, wanted)
            if found is not None:
                rest = rest[index + 1 :]
                break
            if word.startswith("-"):
                options = 1
            elif options:
                options = 0
            else:
                break
        if found is None:
            return None
        certain = certain and found
    return certain


def _is(word: str, wanted: Sequence[str]) -> bool | None:
    if word in wanted:
        return True
    if UNKNOWN not in word:
        return None
    # The unknown part may be anything; what is known must fit around it.
    head, _, rest = word.partition(UNKNOWN)
    tail = rest.rpartition(UNKNOWN)[2]
    fits = any(
        len(head) + len(tail) <= len(one) and one.startswith(head) and one.endswith(tail) for one in wanted
    )
    return False if fits else None


# ---- reading -----------------------------------------------------------------------------------------------------


def user_file() -> Path:
    return config_home() / NAME


def load(workspace: Path | None = None) -> Rules:
    """The user's rules and those of the workspace, examples checked. NimError 3 names file, rule and what is wrong."""
    found: list[Rule] = []
    files: list[Path] = []
    ignored: list[str] = []
    for path, own in ((user_file(), True), (workspace / PROJECT if workspace else None, False)):
        if path is None or (text := _text(path)) is None:
            continue
        files.append(path)
        for rule in parse(text, path):
            if rule.decision == "allow" and not own:
                ignored.append(f"{rule.place} is ignored: a project's rules may only tighten")
            else:
                found.append(rule)
    return Rules(tuple(found), tuple(files), tuple(ignored), sum(len(r.match) + len(r.not_match) for r in found))


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise NimError(f"cannot read the rules {path}", error.strerror or str(error), "mend or remove it", CONFIG
                       ) from None
    if len(raw) > MAX_BYTES:
        raise NimError(f"the rules {path} are too long", f"more than {MAX_BYTES} bytes", "shorten the file", CONFIG)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NimError(f"the rules {path} are not UTF-8 text", f"byte {error.start}", "save the file as UTF-8", CONFIG
                       ) from None


def parse(text: str, source: Path) -> list[Rule]:
    """The rules of one file, each checked against its own examples."""
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NimError(f"{source} is not TOML", str(error), "mend or remove the file", CONFIG) from None
    unknown = sorted(set(data) - {"rule"})
    if unknown:
        raise NimError(f"{source} holds {unknown[0]!r}", "only [[rule]] tables are known", "remove it", CONFIG)
    tables = data.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise NimError(f"{source}: rule is not a list of tables", "", "write [[rule]] with two brackets", CONFIG)
    rules = [_rule(table, source, number) for number, table in enumerate(tables, 1)]
    for rule in rules:
        check(rule)
    return rules


def _rule(table: dict[str, Any], source: Path, number: int) -> Rule:
    def wrong(why: str, mend: str) -> NimError:
        return NimError(f"{source}, rule {number} is wrong", why, mend, CONFIG)

    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise wrong(f"it holds {unknown[0]!r}", f"a rule has {', '.join(sorted(_KEYS))}")
    if table.get("decision") not in STRICTNESS:
        raise wrong(f"its decision is {table.get('decision')!r}", "use allow, ask or forbid")
    places = table.get("prefix")
    if isinstance(places, str):
        places = places.split()
    if not isinstance(places, list) or not places:
        raise wrong("it has no prefix", 'write prefix = ["git", "push"]')
    prefix = []
    for words in places:
        words = [words] if isinstance(words, str) else words
        if not isinstance(words, list) or not words or not all(
            isinstance(word, str) and word and "\0" not in word for word in words
        ):
            raise wrong("a place of its prefix is neither a word nor a list", 'write ["git", ["push", "fetch"]]')
        prefix.append(tuple(words))
    reason = table.get("reason", "")
    if not isinstance(reason, str) or not reason.isprintable():
        raise wrong("its reason is not one line of text", 'write reason = "…"')
    examples = {}
    for name in ("match", "not_match"):
        given = table.get(name, [])
        if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            raise wrong(f"its {name} is not a list of commands", f'write {name} = ["git push"]')
        examples[name] = tuple(given)
    return Rule(tuple(prefix), table["decision"], reason, examples["match"], examples["not_match"], source, number)


def check(rule: Rule) -> None:
    """Runs the rule's own examples; NimError 3 for the first that is not as it says."""
    from nimllm.tools.policy import simples

    for wanted, examples in ((True, rule.match), (False, rule.not_match)):
        for example in examples:
            found, problem = simples(example)
            if problem:
                raise NimError(f"{rule.place} has an example that cannot be judged", f"{example!r}: {problem}",
                               "write a command that parses", CONFIG)
            if any(matches(rule, simple) for simple in found) != wanted:
                does = "does not match" if wanted else "matches"
                raise NimError(f"{rule.place} {does} its own example", repr(example),
                               f"mend the prefix, or the example in {'match' if wanted else 'not_match'}", CONFIG)


# ---- writing -----------------------------------------------------------------------------------------------------


def as_toml(prefix: Iterable[str], decision: Decision, reason: str, example: str) -> str:
    """One rule as it is written into a file."""
    import json  # a JSON string is a TOML basic string, except for characters that JSON leaves bare: U+007F

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

    words = ", ".join(map(quoted, prefix))
    return (f"[[rule]]\nprefix = [{words}]\ndecision = {quoted(decision)}\nreason = {quoted(reason)}\n"
            f"match = [{quoted(example)}]\n")


def add(prefix: Sequence[str], decision: Decision, reason: str, example: str) -> Path:
    """Appends a rule to the user's file (0600, by a temporary file and a rename); NimError 3 when that cannot be."""
    import os

    path = Path(os.path.realpath(user_file()))  # a link into somebody's dotfiles stays a link
    before = _text(path) or ""
    text = (before.rstrip("\n") + "\n\n" if before.strip() else "") + as_toml(prefix, decision, reason, example)
    parse(text, path)
    temporary = path.with_name(f".{NAME}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except (OSError, UnicodeEncodeError) as error:
        temporary.unlink(missing_ok=True)
        raise NimError(f"cannot write the rules {path}", getattr(error, "strerror", None) or str(error),
                       "set XDG_CONFIG_HOME to a folder you can write", CONFIG) from None
    return path


def told(rules: Rules) -> Iterator[str]:
    """The rules in force, for people."""
    for rule in rules.rules:
        yield f"{rule.decision:<7} {rule.spelled:<30} {rule.source}:{rule.number}" + (
            f"   {rule.reason}" if rule.reason else "")
