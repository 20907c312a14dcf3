# ruff: noqa: E501 (a pattern cut in two is two patterns to a reader)
"""Secrets in text: replaced before the text is written to a record or learned from.

Found by their shape (tokens, keys, what stands behind ``password=``), and by value: whatever the environment keeps from
commands because of its name (``tools/environment.py``) is known, and is found wherever it turns up. Linear in the length
of the text, about 10 MB a second where nothing looks like a secret and 1 MB where everything does.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import os
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from nimllm.tools.environment import secret


class Span(NamedTuple):
    """``text[start:end]`` is a secret of ``kind``."""

    start: int
    end: int
    kind: str


# Each pattern's group "secret" (or the whole match) is what goes; the words around it stay readable.
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "private key",
        re.compile(
            r"-----BEGIN (?P<kind>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----[\s\S]{0,20000}?(?:-----END (?P=kind)-----|\Z)"
            r"|-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s\\:,.-]{0,20000}"
        ),
    ),
    (
        "AWS key id",
        re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|AIPA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ),
    ("GitHub token", re.compile(r"(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255})")),
    ("GitLab token", re.compile(r"(?<![A-Za-z0-9_])gl(?:pat|dt|rt|cbt|ptt|ft)-[A-Za-z0-9_-]{20,}")),
    (
        "Slack token",
        re.compile(r"(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,}|(?<![A-Za-z0-9])xapp-[A-Za-z0-9-]{10,}"),
    ),
    ("Slack webhook", re.compile(r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_+-]{20,}")),
    ("API key", re.compile(r"(?<![A-Za-z0-9])sk-(?:ant-|proj-|or-|svcacct-|live-|test-)?[A-Za-z0-9_-]{20,}")),
    ("Stripe key", re.compile(r"(?<![A-Za-z0-9])(?:sk|rk|pk|whsec)_(?:live_|test_)?[A-Za-z0-9]{20,}")),
    ("Google key", re.compile(r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}|(?<![A-Za-z0-9])ya29\.[A-Za-z0-9_-]{20,}")),
    ("Google secret", re.compile(r"(?<![A-Za-z0-9])GOCSPX-[A-Za-z0-9_-]{20,}")),
    ("npm token", re.compile(r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}")),
    ("PyPI token", re.compile(r"(?<![A-Za-z0-9])pypi-[A-Za-z0-9_-]{40,}")),
    ("Hugging Face token", re.compile(r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}")),
    ("SendGrid key", re.compile(r"(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}")),
    ("DigitalOcean token", re.compile(r"(?<![A-Za-z0-9])do[oprt]_v1_[a-f0-9]{64}")),
    ("Telegram token", re.compile(r"(?<![A-Za-z0-9])\d{8,10}:AA[A-Za-z0-9_-]{32,}")),
    ("age key", re.compile(r"AGE-SECRET-KEY-1[A-Z0-9]{50,}")),
    ("JWT", re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?")),
    (
        "authorization",
        re.compile(
            r"(?i)\b(?:bearer|basic|token|apikey|digest)[ \t]+(?P<secret>(?=[A-Za-z0-9._~+/=-]*[0-9=._~+/-])[A-Za-z0-9._~+/-]{12,}=*)"
            r"|\b(?:proxy-)?authorization['\"]?[ \t]*[:=][ \t]*['\"]?(?:\w+[ \t]+)?(?P<secret2>[^\s'\",;]{8,})"
            r"|\b(?:x-api-key|x-auth-token|cookie|set-cookie|x-amz-security-token)['\"]?[ \t]*:[ \t]*['\"]?(?P<secret3>[^\s'\";]{8,})"
        ),
    ),
    ("password in a URL", re.compile(r"(?<=[A-Za-z0-9])://[^\s/:@'\"]{0,200}:(?P<secret>[^\s/@'\"]{1,300})@")),
    (
        "password of curl",
        re.compile(r"(?:^|\s)curl\b[^\n|;]{0,500}?\s(?:-u|--user)[ =]?['\"]?[^\s:'\"]+:(?P<secret>[^\s'\"]+)"),
    ),
    ("password", re.compile(r"(?:^|\s)(?:sshpass\s+-p\s*|mysql\b[^\n|;]{0,300}?\s-p)(?P<secret>[^\s'\"-][^\s]*)")),
)

# One of these stands, in small letters, in every text that the shape matches. Looking for them first spares the pattern,
# and with it nine tenths of the time, where nothing looks like a secret.
_HINTS = {
    kind: tuple(words.split())
    for kind, words in {
        "private key": "-----begin",
        "AWS key id": "akia asia agpa aida aroa anpa anva aipa",
        "GitHub token": "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        "GitLab token": "glpat- gldt- glrt- glcbt- glptt- glft-",
        "Slack token": "xox xapp-",
        "Slack webhook": "hooks.slack.com",
        "API key": "sk-",
        "Stripe key": "sk_ rk_ pk_ whsec_",
        "Google key": "aiza ya29.",
        "Google secret": "gocspx-",
        "npm token": "npm_",
        "PyPI token": "pypi-",
        "Hugging Face token": "hf_",
        "SendGrid key": "sg.",
        "DigitalOcean token": "_v1_",
        "Telegram token": ":aa",
        "age key": "age-secret-key-1",
        "JWT": "eyj",
        "authorization": "bearer basic token apikey digest authorization x-api-key x-auth-token cookie x-amz-security",
        "password in a URL": "://",
        "password of curl": "curl",
        "password": "sshpass mysql",
    }.items()
}
_PASSWORD_HINTS = ("passw", "passphrase", "pwd", "pass", "secret", "credential")
_NAMED_HINTS = (
    "key", "token", "secret", "credential", "auth", "cookie", "session", "signature", "webhook", "dsn", "salt",
)  # fmt: skip

# They begin at the telling word, not at the name around it: a leading [\w.-]* would be quadratic in a long word.
_PASSWORD = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|passwd|(?<![a-z])pwd|(?<![a-z])pass|secret|credentials?)[\w.-]{0,60}+"
    r"(?P<gap>\\{0,3}['\"]?\]?[ \t]*(?::=|=>|==|[:=])[ \t]*\\{0,3}|[ \t]+is[ \t]+)"
    r"(?:(?P<quote>['\"])(?P<quoted>(?:\\.|(?!(?P=quote))[^\\\n]){1,500})(?P=quote)?|(?P<bare>[^\s'\"`,;)}\]&|<>]{3,500}))"
)
_NAMED = re.compile(
    r"(?i)(?:key|token|secret|credentials?|auth|cookie|session_?id|signature|webhook|dsn|salt)[\w.-]{0,60}+"
    r"(?P<gap>\\{0,3}['\"]?\]?[ \t]*(?::=|=>|[:=])[ \t]*\\{0,3}|[ \t]+)"
    r"(?:(?P<quote>['\"])(?P<quoted>[^'\"\n]{8,500})(?P=quote)?|(?P<bare>[A-Za-z0-9+/=_.~-]{12,500}))"
)
# Values that are references or placeholders, not secrets.
_HARMLESS = re.compile(
    r"(?i)\$.*|<[^>]*>?|\{\{?.*|%[\w(].*|\*+|x{3,}|\.{3,}|none|null|nil|true|false|yes|no|undefined|empty|required|optional|"
    r"str|string|int|bool|bytes|os\.environ.*|os\.getenv.*|process\.env.*|getpass.*|input\(?.*|env\..*|config\..*|self\..*|"
    r"args\..*|request\..*|settings\..*|(?:your|my|the|a|some|new|old)[-_ ].*|change[-_]?me.*|example.*|placeholder|redacted|"
    r"\[redacted.*|[\w.]+\(.*|hidden|prompt|ask|password|passwd|secret|token|key|hash(?:ed)?|field|incorrect|wrong|expired|invalid"
)
MASK = "[redacted {kind}]"
_MASKS = " ".join(MASK.format(kind=kind) for kind in (*_HINTS, "secret", "environment variable"))


def find(text: str, known: Iterable[str] | None = None) -> list[Span]:
    """Secrets of ``text``, in order, without overlap (the earlier, then the longer one wins). ``known``: values that are
    secrets wherever they stand; None: those of this process's environment."""
    small = text.lower()
    found: list[Span] = []
    values = (*environment_values(), *_seen) if known is None else known
    for value in values:
        start = text.find(value)
        while start >= 0:
            found.append(Span(start, start + len(value), "environment variable"))
            start = text.find(value, start + len(value))
    for kind, shape in _SHAPES:
        if not any(hint in small for hint in _HINTS[kind]):
            continue
        for match in shape.finditer(text):
            group = next((name for name in ("secret", "secret2", "secret3") if match.groupdict().get(name)), None)
            start, end = match.span(group) if group else match.span()
            if group and _HARMLESS.fullmatch(match[group]):
                continue
            found.append(Span(start, end, kind))
    for match in _PASSWORD.finditer(text) if any(hint in small for hint in _PASSWORD_HINTS) else ():
        group = "quoted" if match["quoted"] is not None else "bare"
        value = match[group]
        if "is" in match["gap"] and not re.search(r"[0-9\W_]", value):
            continue
        if not _HARMLESS.fullmatch(value) and not value.startswith(("(", "[")):
            found.append(Span(*match.span(group), "password"))
    for match in _NAMED.finditer(text) if any(hint in small for hint in _NAMED_HINTS) else ():
        group = "quoted" if match["quoted"] is not None else "bare"
        if not _HARMLESS.fullmatch(match[group]) and random_looking(match[group]):
            found.append(Span(*match.span(group), "secret"))
    found.sort(key=lambda span: (span.start, -span.end))
    kept: list[Span] = []
    for span in found:
        if span.end <= span.start:
            continue
        if kept and span.start < kept[-1].end:
            if span.end > kept[-1].end:
                kept[-1] = Span(kept[-1].start, span.end, kept[-1].kind)
            continue
        kept.append(span)
    return kept


def redact(text: str, known: Iterable[str] | None = None) -> str:
    """``text`` with every secret replaced by ``[redacted kind]``; redacting twice changes nothing more.

    ``known`` as :func:`find` has it. Without it, what is found is remembered in this process: an answer that repeats,
    without the words around it, a password that an output told is redacted, too.
    """
    spans = find(text, known)
    if known is None and spans and remember(text[span.start : span.end] for span in spans):
        spans = find(text)
    parts, position = [], 0
    for span in spans:
        parts += [text[position : span.start], MASK.format(kind=span.kind)]
        position = span.end
    parts.append(text[position:])
    return "".join(parts)


def together(texts: Iterable[str]) -> Callable[[str], str]:
    """:func:`redact` for texts that belong together: what one of them tells is a secret in all of them, be it a word
    ("the passphrase = tulip", then ``echo tulip``) or digits alone."""
    values = {text[span.start : span.end] for text in texts for span in find(text)}
    values |= {line.strip() for value in values if "\n" in value for line in value.split("\n")
               if len(line) >= 12 and not line.startswith("-----")}
    longest = sorted((value for value in values if len(value) > 3 and value not in _MASKS),
                     key=lambda value: (-len(value), value))
    if not longest:
        return redact
    spelled = re.compile(rf"(\[redacted [^\]\n]*\])|(?<![^\W_])(?:{'|'.join(map(re.escape, longest))})(?![^\W_])")
    mask = MASK.format(kind="secret")
    return lambda text: spelled.sub(lambda match: match[1] or mask, redact(text))


_seen: dict[str, None] = {}  # values that were found once, oldest first
MOST_SEEN = 256


def remember(values: Iterable[str]) -> bool:
    """Makes values known in this process, wherever they stand; whether any of them was new. Words are not taken."""
    new = False
    for value in values:
        if not 8 <= len(value) <= 300 or value in _seen or not re.search(r"\d", value) or value.isdigit():
            continue
        if not re.search(r"[A-Za-z]", value) or value in _MASKS:
            continue
        _seen[value] = None
        new = True
        if len(_seen) > MOST_SEEN:
            del _seen[next(iter(_seen))]
    return new


def remember_exports(values: Mapping[str, str]) -> None:
    """Makes the secrets among exported variables known: whoever exports one in the shell means to use it there."""
    remember(value for name, value in values.items() if secret(name, value) and _telling(name, value))


def redact_data(value: Any) -> Any:
    """JSON data with :func:`redact` applied to every text in it."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redact_data(item) for key, item in value.items()}
    return [redact_data(item) for item in value] if isinstance(value, list | tuple) else value


# ---- what the environment holds ----------------------------------------------------------------------------------


def environment_values(env: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Values of the variables that commands do not get to see, and the ways they are usually written; longest first."""
    return _values(frozenset((os.environ if env is None else env).items()))


@lru_cache(maxsize=8)
def _values(pairs: frozenset[tuple[str, str]]) -> tuple[str, ...]:
    found: set[str] = set()
    for name, value in pairs:
        if secret(name, value) and _telling(name, value):
            found |= _spellings(value)
    return tuple(sorted((value for value in found if value not in _MASKS), key=lambda value: (-len(value), value)))


def _telling(name: str, value: str) -> bool:
    """Whether ``value`` is a secret, and no path, switch or word that stands in any text."""
    bare = value.strip()
    if len(bare) < 6 or re.match(r"/|~|\.{1,2}/|unix:|\w+:path=", bare):
        return False
    if re.fullmatch(r"(?i)undefined|required|optional|example|placeholder|change[-_]?me|redacted|password|secret", bare):
        return False
    if re.search(r"PASS|PWD|SECRET", name, re.IGNORECASE):
        return True
    return len(bare) >= 8 and not re.fullmatch(r"[a-z]{1,14}|[A-Z][a-z]{1,14}|\d{1,9}", bare)


def _spellings(value: str) -> set[str]:
    """The value, each of its long lines, the password in a URL; and these as URL, JSON string and base64."""
    bare = value.strip()
    pieces = {bare, *(line.strip() for line in bare.split("\n") if len(line.strip()) >= 12)}
    pieces |= {piece for piece in re.findall(r"://[^/\s:@]*:([^/\s@]+)@", bare) if len(piece) >= 6}
    found = set(pieces)
    for piece in pieces:
        found.add(urllib.parse.quote(piece, safe=""))
        found.add(json.dumps(piece)[1:-1])
        raw = piece.encode("utf-8", "surrogateescape")
        found |= {base64.b64encode(raw + end).decode().rstrip("=") for end in (b"", b"\n")} if len(raw) >= 8 else set()
    return found


# ---- text that comes in pieces -----------------------------------------------------------------------------------

LINE = 16_384  # characters of an unfinished line that are held back before a part of it goes
CONTEXT = 4096  # characters before such a cut, and before a secret, that stay together
KEY = 24_000  # characters of a private key block that are held back until its end comes
_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")


class Stream:
    """:func:`redact` for text in pieces: a secret cut in two is put together first. Whole lines go at once."""

    def __init__(self, known: Iterable[str] | None = None) -> None:
        self._known = None if known is None else tuple(known)
        self._held: list[str] = []
        self._size = 0

    def feed(self, piece: str) -> str:
        """What may be written now."""
        self._held.append(piece)
        self._size += len(piece)
        if "\n" not in piece and self._size < LINE:
            return ""
        text = "".join(self._held)
        cut = text.rfind("\n") + 1
        cut = self._before_a_key(text, cut) if "-----BEGIN" in text else cut
        if not cut and len(text) >= LINE:
            cut = self._inside_a_line(text)
        self._held, self._size = ([text[cut:]] if text[cut:] else []), len(text) - cut
        return redact(text[:cut], self._known)

    def close(self) -> str:
        """What was held back."""
        rest, self._held, self._size = "".join(self._held), [], 0
        return redact(rest, self._known)

    def _before_a_key(self, text: str, cut: int) -> int:
        """The line where a private key begins whose end has not come."""
        begin = max((found.start() for found in _BEGIN.finditer(text)), default=-1)
        if begin < 0 or "-----END" in text[begin:cut] or len(text) - begin > KEY:
            return cut
        return text.rfind("\n", 0, begin) + 1

    def _inside_a_line(self, text: str) -> int:
        """A place in a long line that parts no secret from the words that tell of it."""
        if _BEGIN.search(text) and len(text) <= KEY:
            return 0
        spans = find(text, self._known)
        cut = len(text) - CONTEXT
        for span in reversed(spans):
            if span.start - CONTEXT // 4 < cut < span.end + 1:
                cut = span.start - CONTEXT // 4
        if cut > 0:
            return cut
        # Secrets everywhere: between two of them, the last of which may still grow.
        return spans[-2].end if len(spans) > 1 else 0 if len(text) < 4 * LINE else len(text)


def random_looking(value: str) -> bool:
    """Whether ``value`` looks drawn at random: Shannon entropy per character near the most its length allows.

    Measured: random base64 of 20 characters has about 3.9 bit, of 40 about 4.6; English identifiers of the same lengths
    stay under 3.5 and hold few digits. Random hexadecimal of 32 characters has about 3.6.
    """
    if len(value) < 12 or " " in value:
        return False
    counts = Counter(value)
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    digits = sum(letter.isdigit() for letter in value)
    if re.fullmatch(r"[0-9a-fA-F]{16,}", value):
        return entropy > 2.8 and digits > 0 and digits < len(value)
    if re.fullmatch(r"[\w./~-]*/[\w./~-]*", value) and value.count("/") >= 2 and not re.search(r"[0-9]{2}", value):
        return False  # a path
    mixed = sum(bool(re.search(shape, value)) for shape in ("[a-z]", "[A-Z]", "[0-9]"))
    # Letters alone: names change case at the beginnings of words, random ones at every second letter.
    switches = sum(one.isupper() != two.isupper() for one, two in itertools.pairwise(value)) / len(value)
    return entropy > min(3.3, 0.85 * math.log2(len(value))) and (
        mixed == 3 or (mixed == 2 and (digits >= 4 or switches > 0.35))
    )
