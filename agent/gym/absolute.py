"""The same request with absolute paths: of the things it names, or of the folder that it is about.

Two ways, whatever the kind of request:

- named: "how many lines has notes.txt?" -> "how many lines has /srv/x/notes.txt?", ``wc -l < /srv/x/notes.txt``
- rooted: "find the python files here" -> "find the python files in /srv/x", ``find /srv/x -type f -name '*.py'``; a
  repository by ``git -C``, what must be started in its folder by ``cd /srv/x &&``.

Nothing here knows what a command does: the rewritten draft is executed like any other, a rooted one in a shell that
stands elsewhere, and the draft is taken as it was when that fails. A name is rewritten only where every one of its
places in the commands is seen to be a path. Plans and answers keep the short names.
"""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from nimllm.agent.gym import quoting
from nimllm.agent.gym.schema import Draft
from nimllm.agent.gym.worlds import World

SHARE = 0.52  # of the drafts; many kinds cannot be rewritten, about 0.3 of the episodes are
_AT_HOME = 0.07  # of the named ones: ~/notes.txt (the executor's home is the world's root)
_ROOTED = 0.45  # of those that could be either
_WORD = re.compile(r"(?:'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|[^\s'\"\\|&;<>()])+")
_GAP = re.compile(r"[|&;<>()\s]*")
_FOREIGN = re.compile(r"\n|<<|\$\(\(|\b(for|while|until|case|function)\b|\bzip\b|\b7z\b")
_TEXTUAL = frozenset(("echo", "printf", "basename", "dirname", "kill", "pkill", "pgrep", "git", "export", "alias",
                      "type", "which", "man"))
_TESTERS, _TESTED = frozenset(("test", "[")), re.compile(r"-[defrswxL]")
_BEFORE = frozenset(("sudo", "xargs", "env", "nohup", "time", "nice", "command", "exec", "-exec", "then", "do", "if",
                     "!"))
_NOT_PATHS = re.compile(r"-(name|iname|path|ipath|wholename|regex|iregex|e|m|n|k|t|F|d|S|type|size|maxdepth|"
                        r"mindepth|perm|user|printf|mtime|mmin)|--(include|exclude|exclude-dir|date|format|regexp)")
_TAR = re.compile(r"tar -?c\w*f ('[^']*'|[^\s'\"$]+)(?= [^|;&<>]*$)(?!.* -C)")  # makes an archive, no more
_UNTAR = re.compile(r"tar -?x\w*f ('[^']*'|[^\s'\"$]+)$")
_MAKERS = {"tar": 0, "touch": 0, "mkdir": 0, "tee": 0, "mktemp": 0, "mv": -1, "cp": -1, "ln": -1, "install": -1,
           "split": -1, "csplit": -1}
_LISTERS = re.compile(r"^(ls|tree|du|find)((?: -[\w-]+(?:=\S+)?)*)(?=$| *[|>])")
_STARTERS = re.compile(r"^(make|npm|cargo|go|pytest|python3? -m|pip|\./|bash |sh |docker|node |python3? )")
_FOLDER = r"(?:current |working |)(?:folder|directory|dir|tree|repo|repository|project|place)\b"
_HERE = re.compile(
    r"\b(?P<word>in|of|inside|under|from|within|below|for)(?: all of| the whole of|) "
    rf"(?:this|the current|the working|my) {_FOLDER}|\b(?P<here>(?:right |)here)\b|"
    rf"\b(?P<bare>(?:this|the current|the working) {_FOLDER})", re.IGNORECASE)
_RENAMED = re.compile(r"\b(rename|call|named|name)\b", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z]+")  # such a name may be a word of the request, too


@dataclass(frozen=True)
class Word:
    """A word of a command: where it stands, its text, its value, and whether it is a path."""

    start: int
    end: int
    raw: str
    value: str
    path: bool
    new: bool  # a path that the command makes


@dataclass(frozen=True)
class Rewritten:
    """``anywhere``: the commands mean the same in whichever folder they start; ``root``: what the texts name (empty:
    they say ``~``)."""

    draft: Draft
    anywhere: bool
    root: str


def rewritten(draft: Draft, world: World, root: str, rng: random.Random) -> Rewritten | None:
    """The draft with absolute paths below ``root``; None when it cannot be done."""
    if draft.fails or any(_strange(command) for command in draft.commands):
        return None
    ways = [named, rooted] if rng.random() >= _ROOTED else [rooted, named]
    if rng.random() < _AT_HOME and (made := named(draft, world, "~", rng)) is not None:
        return Rewritten(made, False, "")
    for way in ways:
        made = way(draft, world, root, rng)
        if made is not None:
            return Rewritten(made, way is rooted, root)
    return None


def moved(text: str, root: str, folder: str) -> str:
    """A text that names ``root`` with another folder instead."""
    return re.sub(rf"(?<![\w/.-]){re.escape(root)}(?![\w-])", lambda _: folder, text)


# ---- commands


def _strange(command: str) -> bool:
    """Whether the command is none that this module can read."""
    return bool(_FOREIGN.search(command) or (re.search(r"\btar -?[cruA]", command) and not _TAR.match(command)))


def words(command: str, world: World, earlier: Collection[str] = ()) -> Iterator[Word]:
    """The words of a command of simple parts (no loops, no here-documents). ``earlier``: paths that commands before it
    have made."""
    program, after, at = "", "", 0
    makers: list[tuple[int, int, str, str]] = []
    found: list[Word] = []
    for match in _WORD.finditer(command):
        gap = command[at:match.start()]
        at = match.end()
        raw = match[0]
        if re.search(r"[|;(]|&(?!\d)|&$", re.sub(r"[<>]&|&>", "", gap)) and not gap.strip().endswith((">", "<")):
            program, after = "", ""
            found += _made(makers, world)
            makers = []
        value = _value(raw)
        if gap.rstrip().endswith((">", "<")):
            found.append(Word(match.start(), match.end(), raw, value, value != "/dev/null" and "$" not in raw,
                              gap.rstrip().endswith(">")))
            continue
        if not program and "=" not in raw and raw not in _BEFORE and not raw.startswith("-"):
            program = raw
            found.append(Word(match.start(), match.end(), raw, value, "/" in raw and _known(value, world, earlier),
                              False))
            after = ""
            continue
        if program in _TESTERS and _TESTED.fullmatch(after):  # what is asked for may be missing: a new path
            new = not _known(value, world, earlier)
            found.append(Word(match.start(), match.end(), raw, value, "$" not in raw, new))
            after = raw
            continue
        path = not (raw.startswith("-") or program in _TEXTUAL or program in _TESTERS or _NOT_PATHS.fullmatch(after)
                    or "$" in raw or "{}" in raw) and (_known(value, world, earlier) or value == "." or _globs(raw))
        if not path and program in _MAKERS and not raw.startswith("-") and not _NOT_PATHS.fullmatch(after):
            makers.append((match.start(), match.end(), raw, program))
        elif path:
            makers.append((match.start(), match.end(), "", program))
            found.append(Word(match.start(), match.end(), raw, value, True, False))
        else:
            found.append(Word(match.start(), match.end(), raw, value, False, False))
        after = raw
    yield from sorted([*found, *_made(makers, world)], key=lambda word: word.start)


def _made(arguments: Sequence[tuple[int, int, str, str]], world: World) -> list[Word]:
    """The arguments of a program that makes files, of those that are no paths of the world: which are new paths."""
    made = []
    for number, (start, end, raw, program) in enumerate(arguments):
        if raw:
            value = _value(raw)
            new = (_MAKERS[program] == 0 or number == len(arguments) - 1) and not value.isdigit() \
                and re.search(r"[$*?{}~]|^/", value) is None
            made.append(Word(start, end, raw, value, new, new))
    return made


def _value(raw: str) -> str:
    try:
        return "".join(shlex.split(raw))
    except ValueError:
        return raw


def _known(value: str, world: World, earlier: Collection[str]) -> bool:
    path = value.removeprefix("./").rstrip("/")
    above = [str(parent) for parent in PurePosixPath(path).parents if str(parent) != "."]
    return any(name in world.entries or name in earlier for name in (path, *above))


def _globs(raw: str) -> bool:
    """Whether a word is a pattern of names that bash expands, or a list of them in braces."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", raw)
    return bool(re.fullmatch(r"[\w./*?\[\]{},-]+", bare) and re.search(r"[*?]|\{.*(?:,|\.\.).*\}", bare)
                and not raw.startswith("/"))


def _absolute(word: Word, root: str) -> str:
    if root == "~":
        return f"~/{word.raw.removeprefix('./')}"
    if word.value in (".", "./"):
        return quoting.word(root)
    if _globs(word.raw):
        return f"{quoting.word(root)}/{word.raw.removeprefix('./')}"
    return quoting.word(f"{root}/{word.value.removeprefix('./')}")


def _put(command: str, changes: Sequence[tuple[Word, str]], root: str) -> str:
    packing = _TAR.match(command)
    if packing and changes:  # the members keep their names: tar -czf /r/x.tgz -C /r x
        start, end = packing.span(1)
        archive = next((text for word, text in changes if word.start == start), packing[1])
        return f"{command[:start]}{archive} -C {root if root == '~' else quoting.word(root)}{command[end:]}"
    for word, text in sorted(changes, key=lambda change: -change[0].start):
        command = command[:word.start] + text + command[word.end:]
    return command


def _holds(name: str) -> re.Pattern[str]:
    """Where a name stands in a text as a whole (with ``./`` before it, or ``/`` behind it)."""
    return re.compile(rf"(?<![\w/.~$-])(?:\./)?{re.escape(name)}(?![\w-]|\.\w)(/(?=[\s\"'`,.?!:;)]|$))?")


# ---- the two ways


def named(draft: Draft, world: World, root: str, rng: random.Random) -> Draft | None:
    """Every path that the wordings name, made absolute in them and in the commands."""
    spoken: list[list[Word]] = []
    for command in draft.commands:
        earlier = {word.value.rstrip("/") for before in spoken for word in before if word.new}
        spoken.append(list(words(command, world, earlier)))
    new_too = not any(word.value == "cd" for command in spoken for word in command)  # where would it be made?
    changes: dict[str, list[tuple[int, Word]]] = {}
    for number, parts in enumerate(spoken):
        for word in parts:
            if not word.path or word.value == "." or (word.new and not new_too):
                continue
            mention = _mention(word, draft.requests, draft.protected if word.new else None)
            if mention:
                changes.setdefault(mention, []).append((number, word))
    for mention in list(changes):
        if not _all_are_paths(mention, spoken) or (_PLAIN.fullmatch(mention) and mention not in draft.protected):
            del changes[mention]
    if not changes:
        return None
    short = {mention for mention, places in changes.items()
             if all(word.new for _, word in places) and len(changes) > 1
             and all(_RENAMED.search(request) for request in draft.requests)}
    requests = [made for request in draft.requests if (made := _said(request, changes, short, root)) is not None]
    if not requests or set(changes) == short:
        return None
    if root == "~" and any(re.search(r"[^\w./*?-]", word.raw) for places in changes.values() for _, word in places):
        return None  # within quotes it would be no home
    commands = [_put(command, [(word, _absolute(word, root)) for places in changes.values() for at, word in places
                               if at == number], root) for number, command in enumerate(draft.commands)]
    protected = (*draft.protected, root, *(f"{root}/{mention}" for mention in changes))
    return replace(draft, requests=requests, commands=commands, protected=protected)


def _mention(word: Word, requests: Sequence[str], among: Sequence[str] | None) -> str:
    """How the wordings call the path, or the nearest folder above it that they name; an empty string if they do not.
    ``among``: a new path must be one of these."""
    path = PurePosixPath(word.value.removeprefix("./").rstrip("/"))
    for name in (str(path), *(str(parent) for parent in path.parents if str(parent) != ".")):
        pattern = _holds(name)
        count = sum(bool(pattern.search(request)) for request in requests)
        if 2 * count > len(requests) and (among is None or name in among or word.value in among):
            return name
    return ""


def _all_are_paths(mention: str, spoken: Sequence[Sequence[Word]]) -> bool:
    """Whether the name stands in no word that is not a path: a pattern, a program of awk, an option's value."""
    loose = re.compile(rf"(?<![\w.-]){re.escape(mention)}(?![\w-]|\.\w)")
    return not any(not word.path and loose.search(word.value) for command in spoken for word in command)


def _said(request: str, changes: dict[str, list[tuple[int, Word]]], short: set[str], root: str) -> str | None:
    """The wording with absolute paths; None when it lacks one, or when a name may be an ordinary word of it."""
    for mention in changes:
        count = len(_holds(mention).findall(request))
        if count == 0 or (count > 1 and _PLAIN.fullmatch(mention)):
            return None
    longest = sorted(changes.keys() - short, key=len, reverse=True)
    whole = re.compile("|".join(f"(?:{_holds(mention).pattern})" for mention in longest))
    return whole.sub(lambda match: f"{root}/{match[0].removeprefix('./')}", request)


def rooted(draft: Draft, world: World, root: str, rng: random.Random) -> Draft | None:
    """The folder of the world named by its absolute path, in place of "here" or of nothing."""
    if len(draft.commands) != 1:
        return None
    command = _command(draft.commands[0], world, root)
    if command is None:
        return None
    seen = [_placed(request, root, command, rng) for request in draft.requests]
    requests = [request for request in seen if request is not None]
    if not requests:
        return None
    return replace(draft, requests=requests, commands=[command], protected=(*draft.protected, root))


def _command(command: str, world: World, root: str) -> str | None:
    """A command that does in ``root`` what it did in its own folder, from anywhere."""
    there = quoting.word(root)
    if command.startswith("cd ") or re.search(r"(?<![\w.])/(?:etc|proc|usr|dev/(?!null)|tmp|home|var)\b|~|\.\./|\$HOME|"
                                              r"\$PWD|\b(?:pwd|df)\b", command):
        return None
    if command.startswith("git "):
        if re.search(r"xargs|(?<!<)[<>](?!&)|^git (init|clone)", command):
            return None
        return re.sub(r"(^|[|;&(] ?)git ", lambda match: f"{match[1]}git -C {there} ", command)
    if _STARTERS.match(command):
        return f"cd {there} && {command}"
    listed = _LISTERS.match(command)
    if listed:
        return f"{listed[0]} {there}{command[listed.end():]}"
    found = list(words(command, world))
    changes = [(word, _absolute(word, root)) for word in found if word.path]
    made = _put(command, changes, root) if changes else None
    return f"{made} -C {there}" if made and _UNTAR.match(command) else made


def _placed(request: str, root: str, command: str, rng: random.Random) -> str | None:
    """The wording with the folder's path where it says "here", or at an end."""
    if _HERE.search(request):
        def there(match: re.Match[str]) -> str:
            kind = rng.choice(("", "", "", "the folder ", "the directory ", "folder "))
            if match["word"]:
                return f"{match['word']} {kind}{root}"
            return f"in {kind}{root}" if match["here"] else root
        return _HERE.sub(there, request, count=1) if len(_HERE.findall(request)) == 1 else None
    repository = command.startswith("git ")
    kind = rng.choice(("the repo ", "the repository ", "the repo at ", "", "") if repository else
                      ("", "", "", "", "the folder ", "the directory ", "folder "))
    at, end = rng.random(), re.search(r"[?.!]?$", request)
    assert end is not None
    plain = not re.search(r"[,;:]|\b(and|then|with|as|to|into)\b", request)
    if plain and at < 0.6:
        return f"{request[:end.start()]} {rng.choice(('in', 'in', 'in', 'under', 'inside'))} {kind}{root}{end[0]}"
    if at < 0.85:
        return f"in {kind}{root}{rng.choice((',', ',', ''))} {request}"
    return rng.choice((f"{root}: {request}", f"{request} (in {kind}{root})", f"{request} - the folder is {root}",
                       f"go to {root} and {request}", f"folder {root}: {request}", f"I'm looking at {root}. {request}"))
