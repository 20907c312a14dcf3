"""Many wordings of one request: a small alternation grammar, and the noise of people who type."""

# ruff: noqa: SIM905 (word lists are read and edited as text)
from __future__ import annotations

import random
import re

_GROUP = re.compile(r"\(([^()]*)\)")


def say(rng: random.Random, template: str, **slots: object) -> str:
    """Expand ``(a|b|)`` alternations (nested too), fill ``{slot}``s, squeeze blanks.

    Slots are filled last, so a value may hold any character.
    """
    while (match := _GROUP.search(template)) is not None:
        options = match.group(1).split("|")
        template = template[: match.start()] + rng.choice(options) + template[match.end() :]
    template = re.sub(r" ([,?]|\.(?!\w))", r"\1", re.sub(r"\s+", " ", template).strip())
    return re.sub(r"\{(\w+)\}", lambda found: str(slots[found.group(1)]), template)


_IMPERATIVES = frozenset(
    """
    add append align archive back build calculate change check cd clean clear collect combine commit compare
    compress compute concatenate convert copy count create cut decode decompress define delete diff display
    divide do drop duplicate echo edit empty encode enter erase extend extract fetch filter find fix format get
    give go grep group gunzip gzip hash hide highlight insert install join keep leave let link list locate look
    lock make mark measure merge mkdir move multiply name number open order output overwrite pack paste pick
    prefix prepend preview print pull put read rebuild relocate remove rename repair repeat replace reset
    restore retrieve reverse run save search set show skip sort split stage store strip substitute subtract sum
    swap switch symlink tag take tar tell throw tidy total touch translate trim truncate try turn undo unpack
    untar unzip update use wipe write zip""".split()
)
_UNLUCKY = frozenset({"count", "shift"})  # words that one lost letter makes rude
_POLITE_BEFORE = (
    "please ",
    "can you ",
    "could you ",
    "I want to ",
    "I need to ",
    "help me ",
    "hey, ",
    "now ",
    "go and ",
)
_POLITE_AFTER = (" please", ", please", " for me", ", thanks", " now")


def humanise(rng: random.Random, request: str, protected: tuple[str, ...] = ()) -> str:
    """Politeness, capitals, punctuation and, rarely, a typo. ``protected`` substrings (names) are never touched."""
    text = request
    question = text.endswith("?") or text.split(" ", 1)[0].lower() in (
        "what",
        "which",
        "how",
        "who",
        "where",
        "when",
        "is",
        "are",
        "does",
        "do",
        "did",
    )
    if text.split(" ", 1)[0].lower() in _IMPERATIVES and rng.random() < 0.25:
        before = rng.choice(_POLITE_BEFORE)
        text = before + text
        if before.startswith(("can", "could")):
            text += rng.choice(("?", ""))
    elif rng.random() < 0.1:
        text = text.rstrip("?.") + rng.choice(_POLITE_AFTER)
    if rng.random() < 0.4 and not any(text.startswith(name) for name in protected):
        text = text[0].upper() + text[1:]
    if rng.random() < 0.2 and text[-1].isalpha() and not question:
        text += "."
    if rng.random() < 0.05:
        words = [
            i
            for i, word in enumerate(text.split(" "))
            if word.isalpha()
            and len(word) > 4
            and word.lower() not in _UNLUCKY
            and not any(word in name or name in word for name in protected)
        ]
        if words:
            parts = text.split(" ")
            at = rng.choice(words)
            word = parts[at]
            cut = rng.randrange(1, len(word) - 1)
            parts[at] = rng.choice(
                (word[:cut] + word[cut + 1 :], word[: cut - 1] + word[cut] + word[cut - 1] + word[cut + 1 :])
            )
            text = " ".join(parts)
    return text
