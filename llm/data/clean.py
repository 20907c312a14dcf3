"""``--clean``: named steps that change a text, always in the order in which they are listed here.

None is taken by default: code, shell commands and tables stay as they are, byte for byte. In conversations the turns
``bash`` and ``output`` are never changed. A file of more than 4 MB is cleaned in parts, cut between lines.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nimllm.errors import UsageError


@dataclass(frozen=True)
class Step:
    """``summary``: what it changes, for the help and the report."""

    name: str
    summary: str
    apply: Callable[[str], str]


_TAGS = ("a abbr address article aside b blockquote body br button caption center cite code dd del details div dl "
         "dt em figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd "
         "label li link main mark meta nav noscript ol option p picture pre q s samp section select small source span "
         "strike strong sub summary sup svg table tbody td textarea tfoot th thead time title tr tt u ul var video")
_OPENS = re.compile(r"<!--|<(script|style)\b[^>]{0,4096}>", re.IGNORECASE)
_CLOSES = {name: re.compile(close, re.IGNORECASE) for name, close in
           (("", "-->"), ("script", r"</script\s{0,9}>"), ("style", r"</style\s{0,9}>"))}
_DOCTYPE = re.compile(r"<!doctype[^>]{0,4096}>", re.IGNORECASE)
_BREAK = re.compile(r"</?(?:address|article|aside|blockquote|br|caption|center|dd|div|dl|dt|figure|footer|form|h[1-6]|"
                    r"header|hr|li|main|nav|ol|p|pre|section|table|tr|ul)\b[^<>]{0,4096}>\n?", re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{'|'.join(_TAGS.split())})\b[^<>]{{0,4096}}>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")


def _shown(text: str) -> str:
    """Without comments, scripts and styles that end; in linear time whatever the text."""
    kept: list[str] = []
    at = begin = 0
    endless: set[str] = set()
    while opened := _OPENS.search(text, at):
        at, name = opened.end(), (opened.group(1) or "").lower()
        closed = None if name in endless else _CLOSES[name].search(text, at)
        if closed is None:
            endless.add(name)
            continue
        kept.append(text[begin:opened.start()])
        at = begin = closed.end()
    return "".join([*kept, text[begin:]])


def _html(text: str) -> str:
    if "<" in text:
        text = _DOCTYPE.sub("", _shown(text))
        text = _TAG.sub("", _BREAK.sub("\n", text))
    if "&" in text:  # only whole entities: "a&lt" of a program stays; a NUL or half a character cannot come of one
        text = _ENTITY.sub(lambda match: html.unescape(match.group()), text)
    return text


_URL = re.compile(r"\b(?:https?|ftp)://[^\s<>\"')\]]+|\bwww\.[^\s<>\"')\]]+"
                  r"|\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+", re.ASCII)


def _urls(text: str) -> str:
    return _URL.sub("", text) if "://" in text or "www." in text or "@" in text else text


def _nfc(text: str) -> str:
    return text if text.isascii() or unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


# C0 and C1 controls but tab and line end, soft hyphen, zero-width and bidirectional marks, byte order marks
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e"
                       "\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb]")


def _controls(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text)


def _replacer(pairs: dict[str, str]) -> Callable[[str], str]:
    """One pass for all pairs; a text of ASCII is returned at once."""
    pattern = re.compile("|".join(map(re.escape, sorted(pairs, key=len, reverse=True))))

    def apply(text: str) -> str:
        return text if text.isascii() else pattern.sub(lambda match: pairs[match.group()], text)

    return apply


_BLANK = re.compile(r"\n{4,}")
_WIDE = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_BREAKS = re.compile("[\x85\u2028\u2029]")


def _spaces(text: str) -> str:
    if not text.isascii():
        text = _WIDE.sub(" ", _BREAKS.sub("\n", text))
    return _BLANK.sub("\n\n\n", "\n".join([line.rstrip(" \t") for line in text.split("\n")]))


_RUN = re.compile(r"(?<=[^\s])[ \t]{2,}|(?<=[^\s])\t")


def _runs(text: str) -> str:
    return _RUN.sub(" ", text)


_BEGIN = re.compile(r"^[ \t]*\*{3}[ \t]*START OF (?:THE|THIS) PROJECT GUTENBERG.*$"
                    r"|^\*END\*?[ \t]*THE SMALL PRINT.*$", re.MULTILINE)
_END = re.compile(r"^[ \t]*(?:\*{3}[ \t]*)?END OF (?:THE |THIS )?PROJECT GUTENBERG.*",
                  re.MULTILINE | re.DOTALL | re.IGNORECASE)


def _gutenberg(text: str) -> str:
    if "GUTENBERG" not in text and "Gutenberg" not in text:
        return text
    begins = list(_BEGIN.finditer(text))
    if begins:
        text = text[begins[-1].end():].lstrip("\n")
    return _END.sub("", text)


STEPS: tuple[Step, ...] = (
    Step("gutenberg", "the header and the licence around a Project Gutenberg book go", _gutenberg),
    Step("html", "tags, comments, scripts and styles go, entities become characters (not for C++ or shell)", _html),
    Step("urls", "web and mail addresses go", _urls),
    Step("nfc", "letters with accents become one character each (Unicode NFC)", _nfc),
    Step("controls", "control characters, soft hyphens and zero-width marks go; \\r\\n and \\r become \\n", _controls),
    Step("quotes", "curly, low and angle quotation marks become \" and '",
         _replacer(dict.fromkeys("“”„‟«»〝〞＂", '"') | dict.fromkeys("‘’‚‛‹›＇", "'"))),
    Step("dashes", "dashes, the minus sign and special hyphens become -",
         _replacer(dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"))),
    Step("ellipsis", "… becomes three full stops", _replacer({"…": "..."})),
    Step("yo", "ё becomes е, Ё becomes Е",
         _replacer({"ё": "е", "Ё": "Е", "е\u0308": "е", "Е\u0308": "Е"})),
    Step("spaces", "no-break and wide spaces become spaces; spaces at line ends and a third blank line go", _spaces),
    Step("runs", "several spaces or a tab inside a line become one space (destroys tables)", _runs),
)
NAMES = tuple(step.name for step in STEPS)


class Cleaner:
    """Some of the steps. UsageError for a name that is none."""

    def __init__(self, names: Iterable[str]) -> None:
        wanted = list(names)
        for name in wanted:
            if name not in NAMES:
                raise UsageError(f"no cleaning step is called {name!r}", "", f"the steps are {', '.join(NAMES)}")
        self.steps = tuple(step for step in STEPS if step.name in wanted)
        self.names = tuple(step.name for step in self.steps)

    def apply(self, text: str, effects: dict[str, list[int]] | None = None) -> str:
        """The cleaned text. ``effects``: {step: [texts changed, characters gone]} is added to."""
        for step in self.steps:
            new = step.apply(text)
            if effects is not None and new != text:
                entry = effects.setdefault(step.name, [0, 0])
                entry[0] += 1
                entry[1] += len(text) - len(new)
            text = new
        return text
