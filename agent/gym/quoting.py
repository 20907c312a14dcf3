"""How the gym quotes: single quotes, and double ones around an apostrophe, as people do; never ``'\\''``."""

from __future__ import annotations

import re
import shlex


def word(text: str) -> str:
    """A text as one word of bash; quotes only where it needs them."""
    quoted = shlex.quote(text)
    return quoted if quoted == text else string(text)


def string(text: str) -> str:
    """A text in quotes, always."""
    if "'" not in text:
        return f"'{text}'"
    return shlex.quote(text) if re.search(r"[\"$`\\!]", text) else f'"{text}"'
