# ruff: noqa: E501 (a pattern cut in two is two patterns to a reader)
"""Secrets in text: found by their shape, replaced before the text is written to a record or learned from."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from typing import NamedTuple


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

# They begin at the telling word, not at the name around it: a leading [\w.-]* would be quadratic in a long word.
_PASSWORD = re.compile(
    r"(?i)(?:passw(?:or)?d|passphrase|passwd|(?<![a-z])pwd|(?<![a-z])pass|secret|credentials?)[\w.-]{0,60}"
    r"(?P<gap>['\"]?\]?[ \t]*(?::=|=>|==|[:=])[ \t]*|[ \t]+is[ \t]+)"
    r"(?:(?P<quote>['\"])(?P<quoted>(?:\\.|(?!(?P=quote))[^\\\n]){1,500})(?P=quote)?|(?P<bare>[^\s'\"`,;)}\]&|<>]{3,500}))"
)
_NAMED = re.compile(
    r"(?i)(?:key|token|secret|credentials?|auth|cookie|session_?id|signature|webhook|dsn|salt)[\w.-]{0,60}"
    r"(?P<gap>['\"]?\]?[ \t]*(?::=|=>|[:=])[ \t]*|[ \t]+)"
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


def find(text: str) -> list[Span]:
    """Secrets of ``text``, in order, without overlap (the earlier, then the longer one wins)."""
    found: list[Span] = []
    for kind, shape in _SHAPES:
        for match in shape.finditer(text):
            group = next((name for name in ("secret", "secret2", "secret3") if match.groupdict().get(name)), None)
            start, end = match.span(group) if group else match.span()
            if group and _HARMLESS.fullmatch(match[group]):
                continue
            found.append(Span(start, end, kind))
    for match in _PASSWORD.finditer(text):
        group = "quoted" if match["quoted"] is not None else "bare"
        value = match[group]
        if "is" in match["gap"] and not re.search(r"[0-9\W_]", value):
            continue
        if not _HARMLESS.fullmatch(value) and not value.startswith(("(", "[")):
            found.append(Span(*match.span(group), "password"))
    for match in _NAMED.finditer(text):
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


def redact(text: str) -> str:
    """``text`` with every secret replaced by ``[redacted kind]``; redacting twice changes nothing more."""
    parts, position = [], 0
    for span in find(text):
        parts += [text[position : span.start], MASK.format(kind=span.kind)]
        position = span.end
    parts.append(text[position:])
    return "".join(parts)


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
