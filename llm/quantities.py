"""Numbers as people read them."""

from __future__ import annotations


def amount(count: float) -> str:
    """ "950", "12.3k", "10.4M" or "1.2B"."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= 0.99995 * size:
            return f"{count / size:.1f}{letter}"
    return f"{count:.0f}"


def duration(seconds: float) -> str:
    """ "1:05" or "2:03:04"."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
