"""Orders about the future: "deploy means `make ship ENV=staging`", "when I say X, run Y", "to X use Y here".

Rules only: what is not one of these shapes is a request like any other. The right side must be a command: in quotes or
backquotes, behind a word that says that it is run, or beginning with a program (``is_program``).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from nimllm.alignment.memory.phrasings import core

MOST_WORDS, MOST_CHARACTERS = 12, 200  # of a request, of a command
_LEAD = re.compile(
    r"^(?:(?:ok|okay|hey|please|note|remember|fyi|btw|by the way|from now on|in future|in this (?:project|folder|repo)"
    r"|here|always|for the record|just so you know|keep in mind|don't forget)(?: that)?[,:]? +)+", re.IGNORECASE)
_HERE = r"(?:,? +(?:here|instead|please|for (?:that|it|this)|from now on|in this (?:project|folder|repo)|always))*"
_SAY = (r"(?:i (?:say|type|ask(?: you)? (?:to|for)|tell you to|want(?: you)? to|write)"
        r"|you (?:hear|read|are asked to)|asked to)")
_RUN = r"(?:please +)?(?:you +)?(?:always +|must +|should +|have to +|just +)?(?:run|execute|do|call|type|use)"
# (pattern, whether its words alone say that a command follows)
_SHAPES = tuple((re.compile(f"^{shape}{_HERE}[.!]?$", re.IGNORECASE | re.DOTALL), certain) for shape, certain in (
    (rf"(?:when(?:ever)?|if|each time|every time) +{_SAY} +(?P<x>.+?),? *(?:then +)?{_RUN} +(?P<c>.+?)", True),
    (rf"(?:always +)?(?:run|execute|call|use) +(?P<c>.+?) +(?:when(?:ever)?|if) +{_SAY} +(?P<x>.+?)", True),
    (r"by +(?P<x>.+?),? +i mean:? +(?P<c>.+?)", False),
    (r"to +(?P<x>.+?),? +(?:please +)?(?:you +|we +|I +)?(?:always +|must +|should +|need to +|have to +)?"
     r"(?:use|run|call|execute|type):? +(?P<c>.+?)", False),
    (r"for +(?P<x>.+?),? +(?:please +)?(?:always +)?(?:use|run|call|execute):? +(?P<c>.+?)", False),
    (r"the +command +(?:for|to) +(?P<x>.+?) +is:? +(?P<c>.+?)", True),
    (r"the +(?P<x>.+?) +command +is:? +(?P<c>.+?)", True),
    (r"(?P<x>.+?) +is done (?:with|by|through|via)(?: running)?:? +(?P<c>.+?)", False),
    (r"(?P<x>.+?) +(?:means|stands for|is short for|should (?:run|mean|do)|=>|->):? +(?:run(?:ning)? +)?(?P<c>.+?)",
     False),
))
_QUOTES = {"`": "`", "'": "'", '"': '"', "“": "”", "‘": "’"}
_ARTICLES = frozenset(re.findall(r"\S+", """
    the a an my your our his her their its it this that these those some not no i you we he she they there
    very more less what how"""))
_BUILTINS = frozenset(re.findall(r"\S+", """
    cd export source alias echo printf test set unset eval exec trap ulimit umask time for if while ."""))


@dataclass(frozen=True)
class Order:
    """Whoever asks for ``request`` wants ``command`` to be run."""

    request: str
    command: str


def is_program(word: str) -> bool:
    """A word that begins a command on this machine: a program, a path, a builtin."""
    return word in _BUILTINS or bool(re.match(r"(?:\.{0,2}|~)/\S", word)) or shutil.which(word, path=os.environ.get(
        "PATH", os.defpath)) is not None


def _unquoted(text: str) -> tuple[str, bool]:
    """(without the quotes around all of it, were there any)."""
    text = text.strip()
    for opening, closing in _QUOTES.items():
        if len(text) > 2 and text.startswith(opening) and text.endswith(closing) and opening not in text[1:-1]:
            return text[1:-1].strip(), True
    return text, False


def _command(text: str, certain: bool, known: Callable[[str], bool]) -> str:
    """The command, or "" when it is none."""
    command, quoted = _unquoted(text)
    if not quoted and command.startswith("$ "):
        command, quoted = command[2:].strip(), True
    if not command or len(command) > MOST_CHARACTERS or "\n" in command:
        return ""
    words = command.split()
    first = next((word for word in words if not re.match(r"[A-Za-z_]\w*=", word)), words[0])
    if quoted:
        return command
    if first.lower() in _ARTICLES or not re.match(r"[\w./~-]+$", first):
        return ""
    return command if certain or known(first) else ""


def order(text: str, known: Callable[[str], bool] = is_program) -> Order | None:
    """The order in what a user typed; None when it is a request or a question. ``known``: whether a word is a program.
    Without quotes, "to X use Y" and "for X use Y" must say that they are about the future (here, always, from now on):
    "to count them use wc" may also be asked for now."""
    said = " ".join(text.replace("’", "'").split())
    if not said or said.endswith("?") or len(said) > 600:
        return None
    bare = _LEAD.sub("", said)
    lasting = bare != said or re.search(_HERE + "[.!]?$", said, re.IGNORECASE)[0].strip(" .!") != ""  # type: ignore[index]
    for shape, certain in _SHAPES:
        match = shape.match(bare)
        if match is None:
            continue
        request, _ = _unquoted(match["x"].strip().strip(","))
        loose = shape.pattern.startswith(("^to ", "^for "))
        command = _command(match["c"], certain, known)
        if not command or (loose and not lasting and not _unquoted(match["c"])[1]):
            continue
        request = core(request)
        if request and len(request.split()) <= MOST_WORDS and not any(mark in request for mark in "`\n;|"):
            return Order(request, command)
    return None
