"""The context window: which text of a task or a conversation the model still sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from nimllm.errors import USAGE, NimError
from nimllm.llm.turns import Encoder, Rendered, Turn, render

OLD_OUTPUT = 120  # characters kept of an output when the window is short
LEFT_OUT = "[output left out]"
REQUEST_SHARE = 0.5  # of the context that one request may fill


class Window(Protocol):
    """What is needed of a model's configuration."""

    context: int


class Overflow(Exception):
    """The turns do not fit, whatever is shortened."""


def check_request(text: str, tokenizer: Encoder, context: int, share: float = REQUEST_SHARE) -> None:
    """NimError (exit 2) when a request is empty or fills more than ``share`` of the context.

    The length in characters is looked at first: a token holds 32 characters at most in practice, and a request of
    100 kB should not be tokenized to learn that it is too long.
    """
    if not text.strip():
        raise NimError("the request is empty", "", "say what to do", USAGE)
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise NimError("the request is not text", "it holds a NUL byte or is not UTF-8", "give plain text", USAGE)
    limit = int(context * share)
    count = len(tokenizer.encode(text)) if len(text) <= limit * 32 else len(text) // 4
    if count > limit:
        raise NimError(
            f"the request is too long ({len(text):,} characters, about {count:,} tokens)",
            f"this model reads {context} tokens, of which a request may fill {limit}",
            "shorten it, or put the text in a file and name the file",
            USAGE,
        )


def fit_task(turns: Sequence[Turn], tokenizer: Encoder, context: int, reserve: int) -> Rendered:
    """Ids of a task's turns, with room for ``reserve`` new tokens. Old outputs are shortened first, the latest last.

    Raises :class:`Overflow` when even without outputs the turns do not fit.
    """
    shown = list(turns)
    outputs = [index for index, turn in enumerate(shown) if turn.role == "output"]
    rendered = render(shown, tokenizer)
    for keep in (OLD_OUTPUT, 0):
        for index in outputs:
            if len(rendered.ids) + reserve <= context:
                return rendered
            text = turns[index].text
            if len(text) > keep + len(LEFT_OUT):
                shown[index] = replace(turns[index], text=f"{text[:keep]}{LEFT_OUT}" if keep else LEFT_OUT)
                rendered = render(shown, tokenizer)
    if len(rendered.ids) + reserve <= context:
        return rendered
    raise Overflow(f"{len(rendered.ids)} tokens and {reserve} more do not fit into {context}")


def fit_chat(turns: Sequence[Turn], tokenizer: Encoder, context: int, reserve: int) -> tuple[Rendered, int]:
    """Ids of a conversation's newest turns, and how many of the oldest were dropped (always whole exchanges, so that
    the first turn left is the user's). Raises :class:`Overflow` when the last turn alone does not fit."""
    for first in range(len(turns)):
        if turns[first].role != "user":
            continue
        rendered = render(turns[first:], tokenizer)
        if len(rendered.ids) + reserve <= context:
            return rendered, first
    raise Overflow(f"the last message does not fit into {context} tokens")
