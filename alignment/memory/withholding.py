"""What is never learnt although the user said it: secrets, by what they are called.

Secrets that have a shape (keys, tokens, what stands behind ``password=``) were replaced before an episode was made;
the replacement is refused here. What has no shape is known by its name: "my pin is 4821". Such a value is replaced,
too, wherever it stands in its episode (:func:`redacted`), before anything else reads the episode.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nimllm.alignment.episodes import MASK, Convention, Episode, EpisodeTurn
from nimllm.alignment.memory.relations import Fact

_PASS = r"pass ?-?words?|passwd|pass ?-?phrases?|pass ?-?codes?|pwd"
_GUARDED = r"door|gate|alarm|lock|safe|access|security|entry|entrance|recovery|backup|unlock"
# a thing, not what one does: "pin numpy to 1.26"
_PIN = (r"(?:(?<=\w )(?<!\bto )(?<!\bplease )(?<!\bmust )(?<!\bshould )(?<!\balways )(?<!\bwe )(?<!\bi )pins?"
        r"|pins?(?!\s+(?!(?:is|are|was|were|codes?|numbers?|of|for|to|now)\b)[A-Za-z]))")
# names of nothing but secrets; the rest of the kinds are also words for other things
_CERTAIN = (
    rf"{_PASS}|pin (?:codes?|numbers?)|{_PIN}"
    r"|(?:api|access|secret|private|master|encryption|licen[cs]e|recovery|ssh|signing|account|signature) ?-?keys?"
    rf"|(?:{_GUARDED}|two-factor|2fa|verification|login)(?: \w+)? codes?"
    rf"|codes? (?:for|of|to) (?:[\w'-]+ ){{0,3}}(?:{_GUARDED})"
    r"|seed phrases?|cvv|cvc|(?:credit |debit |bank )?card numbers?|account numbers?|iban"
    r"|social security(?: numbers?)?|ssn")
_KINDS = rf"\b(?:{_CERTAIN}|credentials?|(?:[\w-]+ )?tokens?|mnemonics?|secrets?|login|combination)"
_NAMES = re.compile(_KINDS + r"\s*$", re.IGNORECASE)
_MENTION = re.compile(_KINDS + r"\b", re.IGNORECASE)
_NAMED = re.compile(rf"(?<![^\W_])(?:{_CERTAIN})(?!\w)", re.IGNORECASE)
# a password may be a word: "the password is tulipbridge", but not "the password is wrong"
_WORDED = re.compile(
    rf"(?<![^\W_])(?:{_PASS})(?: (?:for|of|to|on|at) (?:[\w'-]+ ){{1,4}}?| )?"
    r"(?:\s*[:=]\s*|\s*(?:is|was|are|to|be|becomes)\s+)"
    r"(?:now\s+|still\s+)?(?:[\"'`](?P<quoted>[^\"'`\n]{3,})[\"'`]|(?P<bare>[^\s,;]{3,}))", re.IGNORECASE)
_NO_VALUES = frozenset(re.findall(r"\S+", """
    wrong right correct incorrect invalid valid expired required needed missing empty stored saved kept written
    hidden set not never always the that this there here what where which who how why known unknown secret safe
    strong weak short long old new same changed different my our your his her their its mine ours yours some any one
    none nothing good bad fine asked used use you me us open login log protect check find see"""))
_PARTS = re.compile(r"(?<=[.!?])\s+|\n+")
_DIGITS = re.compile(r"(?<!\w)\d(?:[ .-]?\d){2,}(?!\w)")
_WORDS = re.compile(r"[^\s\"'`“”‘’,;|&<>(){}\[\]=]+")
_FILE = re.compile(r"(?:[.~]{0,2}/)\S*|[\w./-]+\.[A-Za-z]\w{0,4}")
_HIDDEN = "[redacted secret]"


def names_a_secret(noun: str) -> bool:
    """Whether a thing so called is a secret: "garage door code", "API key"; not "secret santa", "key"."""
    return bool(_NAMES.search(noun.strip()))


def mentions_a_secret(text: str) -> bool:
    """Whether a question or an answer speaks of one, anywhere, or one was replaced in it."""
    return bool(_MENTION.search(text) or MASK.search(text))


def tells_a_secret(text: str) -> bool:
    """Whether a statement tells one: "my pin is 4821", not "where is my pin?"."""
    if values(text, told=True):
        return True
    if not mentions_a_secret(text):
        return False
    from nimllm.alignment.memory.statements import parse

    return any(is_secret(fact) for fact in parse(text))


def is_secret(fact: Fact) -> bool:
    """A replaced secret, or a thing whose value nobody should know. A subject counts, too: "the password is X" may be
    read as what the password *is*."""
    if any(MASK.search(part) for part in (fact.subject, fact.relation, fact.value)):
        return True
    noun = fact.relation.replace("_", " ")
    return names_a_secret(noun) or (fact.relation in ("is", "means") and names_a_secret(fact.subject))


def sentence(kept_back: Iterable[str]) -> str:
    """What the user is told: "a secret is never learnt: your wifi password"."""
    names = list(dict.fromkeys(kept_back))
    return f"secrets are never learnt: {', '.join(names)}" if names else ""


def called(fact: Fact) -> str:
    """A withheld fact by its name, without its value."""
    if fact.relation in ("is", "means"):
        return MASK.sub("...", fact.subject)
    owner = {"me": "your", "us": "our", "the": "the"}.get(fact.subject, f"{fact.subject}'s")
    return MASK.sub("...", f"{owner} {fact.relation.replace('_', ' ')}")


# ---- values, wherever they stand ---------------------------------------------------------------------------------


def redacted(episode: Episode) -> Episode:
    """The episode in which every secret that it tells by name is replaced, in every turn of it. What holds a
    replacement is neither learnt nor pushed (``episodes.py``), and no title, question or context shows the value.

    A value is what a person would take for one: in a sentence that names a secret, whatever has digits (but no file's
    name), and what a password is said to be; where a secret is asked for, the digits of what comes back.
    """
    found: set[str] = set()
    asked = False
    for turn in episode.turns:
        if turn.role == "user":
            asked = names_one(turn.text)
        found |= values(turn.text, turn.role == "user", asked and turn.role in ("output", "assistant"))
        for text in turn.rejected:
            found |= values(text, asked=asked and turn.role == "assistant")
    for one in episode.conventions:
        found |= values(one.request, told=True) | values(one.command, asked=names_one(one.request))
    if not found:
        return episode

    def hide(text: str) -> str:
        return _hide(text, found)

    return Episode(
        **episode.model_dump(exclude={"turns", "conventions", "outcome"}),
        outcome=episode.outcome.model_copy(update={"detail": hide(episode.outcome.detail)}),
        turns=[EpisodeTurn(role=turn.role, text=hide(turn.text), tainted=turn.tainted, learn=turn.learn,
                           rejected=[hide(text) for text in turn.rejected]) for turn in episode.turns],
        conventions=[Convention(request=hide(one.request), command=hide(one.command)) for one in episode.conventions])


def names_one(text: str) -> bool:
    """Whether a text speaks of a secret under a name that means nothing else."""
    return bool(_NAMED.search(MASK.sub(" ", text)))


def values(text: str, told: bool = False, asked: bool = False) -> set[str]:
    """The values of secrets that a text names. ``told``: it is prose of the user's, so that words count, too;
    ``asked``: it answers a question for a secret."""
    found: set[str] = set()
    waiting = False  # "My pin? 4821."
    for part in _PARTS.split(MASK.sub(" ", text)):
        named = bool(_NAMED.search(part))
        if not (asked or waiting or named):
            continue
        here = {match[0] for match in _DIGITS.finditer(part)}
        here |= {word for word in (match[0].strip(".:!?") for match in _WORDS.finditer(part)) if _valuable(word)}
        if told:
            here |= {(match["quoted"] or match["bare"]).strip(".,!?\"'`") for match in _WORDED.finditer(part)}
        waiting = named and not here
        found |= here
    if told and mentions_a_secret(text):
        from nimllm.alignment.memory.statements import parse

        found |= {fact.value for fact in parse(text) if is_secret(fact) and not MASK.search(fact.value)}
    return {value for value in found if len(value) > 2 and value.lower() not in _NO_VALUES}


def _valuable(word: str) -> bool:
    """Has digits, as values have: "4821", "hunter2"; not "12", nor "log2.txt"."""
    digits = sum(letter.isdigit() for letter in word)
    if not digits or _FILE.fullmatch(word):
        return False
    return digits > 2 or (len(word) > 4 and any(letter.isalpha() for letter in word))


def _hide(text: str, found: Iterable[str]) -> str:
    longest = sorted(found, key=lambda value: (-len(value), value))
    spelled = "|".join(re.escape(value) for value in longest)
    return re.sub(rf"({MASK.pattern})|(?<![^\W_])(?:{spelled})(?![^\W_])", lambda match: match[1] or _HIDDEN, text,
                  flags=re.IGNORECASE)
