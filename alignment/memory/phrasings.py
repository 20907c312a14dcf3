"""The same request in other words, and requests near it that mean something else: a small grammar with a seed.

A request is what somebody types to have something done: a verb with an object ("deploy the site"), or a name for a job
("nightly backup"). Its core is put into frames of politeness, wish and urgency, its verb into its gerund or a common
synonym. The frames are data: whoever measures whether a taught request is found in other words uses others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random

# {v}: the request as a verb phrase, {g}: the same as a gerund, {n}: as a noun phrase with its article, {b}: without
PLAIN = ("{v}", "please {v}", "{v} please", "{v} now")
VERB_FRAMES = (
    "can you {v}", "can you {v}?", "could you {v}?", "could you please {v}?", "can you please {v}", "I want to {v}",
    "I want you to {v}", "I need to {v}", "I'd like to {v}", "time to {v}", "let's {v}", "go ahead and {v}",
    "would you {v}", "we need to {v}", "ok, {v}", "hey, {v}", "{v} again", "{v} for me", "just {v}", "{v}, please",
    "it is time to {v}", "will you {v}", "you can {v} now", "I would like you to {v}", "help me {v}", "start to {v}",
)
GERUND_FRAMES = ("start {g}", "begin {g}", "try {g}", "how about {g}", "{g}, please")
NOUN_FRAMES = (
    "do the {b}", "the {b}", "the {b}, please", "run the {b}", "start the {b}", "time for the {b}", "make the {b}",
    "can you do the {b}?", "I want the {b}", "I need the {b} now", "let's do the {b}", "please do the {b}",
    "could you run the {b}?", "go for the {b}",
)
# verbs that are said for one another; the first of a group is its commonest
SYNONYMS = (
    ("deploy", "release", "ship", "roll out"), ("publish", "put out"), ("delete", "remove", "get rid of", "erase"),
    ("show", "display", "print", "let me see"), ("make", "create"), ("build", "compile"),
    ("check", "verify", "look over"), ("start", "launch", "bring up", "fire up"), ("stop", "shut down", "halt", "end"),
    ("restart", "reboot", "bounce"), ("fetch", "get", "pull in"), ("send", "mail"), ("copy", "duplicate"),
    ("install", "set up"), ("update", "refresh", "bring up to date"), ("clean", "clean up", "tidy up", "tidy"),
    ("save", "store", "keep"), ("find", "look for", "search for", "locate"), ("count", "add up"), ("fix", "repair"),
    ("rename", "give a new name to"), ("back up", "make a backup of"), ("upload", "push up"), ("download", "pull down"),
    ("archive", "pack up", "put away"), ("format", "tidy the format of"), ("sync", "synchronise", "bring in step"),
    ("list", "enumerate"), ("rotate", "turn over"), ("reset", "put back"), ("open", "open up"), ("close", "close down"),
)
VERBS = frozenset(word for group in SYNONYMS for word in group) | frozenset(re.findall(r"\S+", """
    run test lint push pull commit merge tag draw plot render measure profile benchmark train evaluate encrypt
    decrypt sign unpack zip seed migrate warm drain feed water wipe mount unmount ping watch record play post
    call log read write sort split join convert export import generate load flush scale lock unlock enable
    disable rebuild regenerate prune freeze thaw scrub index validate package stage preview notify page wake
    join leave mark file prepare switch track trace dump restore roll bump turn spin kick set do cut tell
    rebase stash trim shuffle greet bless charge park polish summon toast brew rinse"""))
# objects that a request near this one may be about, and everyday requests
OBJECTS = ("the docs", "the tests", "the old logs", "the invoices", "the photos", "the database", "notes.txt",
           "the cache", "the report", "the archive", "the mirror", "the index", "the settings", "main.py",
           "the branch", "the queue")
EVERYDAY = (
    "list the files", "how many files are here?", "show the first lines of notes.txt", "count the lines of main.py",
    "make a folder called old", "delete the file data.csv", "which folder am I in?", "how big is this folder?",
    "show the newest file", "find files that contain TODO", "copy notes.txt to old", "rename data.csv to table.csv",
    "sort the lines of names.txt", "what is the date?", "show the git log", "which processes use most memory?",
    "count the python files", "show hidden files", "how much disk space is left?", "write hello to a.txt",
    "compress the folder src", "show the last 5 lines of the log", "find empty files", "who am I?",
    "replace foo with bar in notes.txt", "compare a.txt and b.txt", "show the size of each file",
    "make run.sh executable",
)
_POLITE = re.compile(
    r"^(?:please|can you|could you|would you|will you|i want (?:you )?to|i'd like (?:you )?to|i would like (?:you )?to"
    r"|i need (?:you )?to|we need to|let's|go ahead and|ok|okay|hey|now|time to|just)(?:,)? +", re.IGNORECASE)
_TAIL = re.compile(r"(?:,? +(?:please|now|for me|again|thanks))+$", re.IGNORECASE)
_DETERMINERS = frozenset(re.findall(r"\S+", """
    the a an my our all every this these that those it them everything"""))
_KEEP_E = re.compile(r"(?:ee|oe|ye)$")


def core(request: str) -> str:
    """A request without its politeness, its end mark and its first capital: "Could you deploy, please?" -> "deploy"."""
    text = " ".join(request.split()).rstrip(".!?").strip()
    before = ""
    while text != before:
        before = text
        text = _TAIL.sub("", _POLITE.sub("", text)).strip().rstrip(",.!?")
    if len(text) > 1 and text[0].isupper() and text[1:2].islower():
        text = text[0].lower() + text[1:]
    first, gap, rest = text.partition(" ")
    text = _gerunds().get(first, first) + gap + rest
    return text or request.strip()


@lru_cache(maxsize=1)
def _gerunds() -> dict[str, str]:
    return {gerund(verb): verb for verb in VERBS if " " not in verb}


@dataclass(frozen=True)
class Core:
    """A request taken apart. ``verb`` "" for a name of a job; ``rest``: what follows the verb, with its space."""

    text: str
    verb: str
    rest: str

    @property
    def nominal(self) -> bool:
        """It may be said as "the ..."; a bare verb, too ("do the deploy"), but no verb with its object."""
        return not self.verb or not self.rest


def take_apart(request: str) -> Core:
    """The verb is one of the table's, or any first word before an article; of a single unknown word both are true."""
    text = core(request)
    low = text.lower()
    for verb in sorted(VERBS, key=len, reverse=True):
        if low == verb or low.startswith(verb + " "):
            return Core(text, text[: len(verb)], text[len(verb):])
    first, _, rest = text.partition(" ")
    if not rest or (rest.split()[0].lower() in _DETERMINERS and first.isalpha()
                    and first.lower() not in _DETERMINERS):
        return Core(text, first if first.isalpha() else "", f" {rest}" if rest else "")
    return Core(text, "", "")


def gerund(verb: str) -> str:
    """``roll out`` -> ``rolling out``; rules of spelling only, no list of irregular ones (gerunds have none)."""
    first, _, rest = verb.partition(" ")
    if re.search(r"(?:^|[^aeiou])[aeiou][bdgmnpt]$", first) and len(first) <= 4:
        first += first[-1]
    elif first.endswith("ie"):
        first = first[:-2] + "y"
    elif first.endswith("e") and not _KEEP_E.search(first):
        first = first[:-1]
    return f"{first}ing" + (f" {rest}" if rest else "")


def synonyms(verb: str) -> tuple[str, ...]:
    """Verbs that are said for this one."""
    low = verb.lower()
    return next((tuple(other for other in group if other != low) for group in SYNONYMS if low in group), ())


def _bare(text: str) -> str:
    words = text.split(" ", 1)
    return words[1] if len(words) == 2 and words[0].lower() in ("the", "a", "an", "my", "our") else text


def _said(frame: str, one: Core) -> str:
    verb = one.verb or f"do the {_bare(one.text)}"
    phrase = verb + one.rest
    return frame.format(v=phrase, g=gerund(verb) + one.rest, b=_bare(one.text), n=one.text)


def frames(one: Core) -> list[str]:
    """The frames that suit a request."""
    found = list(PLAIN)
    if one.verb:
        found += [*VERB_FRAMES, *GERUND_FRAMES]
    if one.nominal:
        found += NOUN_FRAMES
    return found


def paraphrases(request: str, seed: int, count: int, taken: Collection[str] = ()) -> list[str]:
    """Up to ``count`` different wordings, the request itself first; every third one begins with a capital. A synonym of
    the verb is used now and then, unless ``taken`` (what other conventions are about) has a request with it."""
    rng = Random(seed)
    one = take_apart(request)
    others = {core(text).lower() for text in taken} - {one.text.lower()}
    chosen = frames(one)
    # a wish, an urgency, a name: some of each, in an order of the seed's
    rng.shuffle(chosen)
    swapped = [Core(verb + one.rest, verb, one.rest) for verb in synonyms(one.verb)
               if (verb + one.rest).lower() not in others]
    found = {request.strip(): None, one.text: None}
    for index, frame in enumerate(chosen * 3):
        if len(found) >= count:
            break
        variant = rng.choice(swapped) if swapped and index % 4 == 3 else one
        text = _said(frame, variant)
        if index % 3 == 2:
            text = text[0].upper() + text[1:]
        if core(text).lower() not in others:
            found.setdefault(text)
    return list(found)[:count]


def everything(request: str) -> Iterator[str]:
    """Every wording that :func:`paraphrases` can make of a request, in small letters."""
    one = take_apart(request)
    variants = [one, *(Core(verb + one.rest, verb, one.rest) for verb in synonyms(one.verb))]
    for variant in variants:
        for frame in frames(variant):
            yield _said(frame, variant).lower()
    yield request.strip().lower()
    yield one.text.lower()


def near(request: str, seed: int, count: int, taken: Collection[str] = ()) -> list[str]:
    """``count`` requests that must not be taken for this one: its verb with another object, its object with another
    verb, talk about it, its opposite; every third one an everyday request. None is a wording of the request itself, or
    one of ``taken``, whose commands are known."""
    rng = Random(seed)
    one = take_apart(request)
    own = set(everything(request)) | {core(text).lower() for text in taken}
    same = {one.verb.lower(), *synonyms(one.verb)}
    verbs = sorted(VERBS - same - {"do", "run", "start", "make", "create", "launch"})
    found: dict[str, None] = {}
    turn = 0
    while len(found) < count and turn < 20 * count:
        kind = turn % 6
        turn += 1
        if kind in (2, 5):
            text = rng.choice(EVERYDAY)
        elif kind == 0:
            text = f"{rng.choice(verbs)}{one.rest or ' ' + rng.choice(OBJECTS)}" if one.verb else \
                f"{rng.choice(verbs)} the {_bare(one.text)}"
        elif kind == 1:
            text = f"{one.verb} {rng.choice(OBJECTS)}" if one.verb and one.rest else \
                f"{rng.choice(verbs)} {rng.choice(OBJECTS)}"
        elif kind == 3:
            text = rng.choice((f"what does {one.text} mean?", f"when did we last {one.verb or 'do'}{one.rest}?",
                               f"do not {one.verb or 'do'}{one.rest}",
                               f"is there a log of the last {_bare(one.text)}?"))
        else:
            text = f"{rng.choice(verbs)} {rng.choice(OBJECTS)}"
        if text.lower() not in own and core(text).lower() not in own:
            found.setdefault(text)
    return list(found)
