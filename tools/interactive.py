"""Commands that need somebody at a terminal, told from their text: they are not started, and the reason is given."""

from __future__ import annotations


def refusal(command: str) -> str:
    return ""
