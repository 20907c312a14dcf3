"""The one turn format: markers, rendering, what the model sees of a program's output.

The harness writes the markers, the model fills the gaps. Every turn is ``<|role|> text <|end|>``; a sequence starts
with bos. Text never becomes a marker: ``Tokenizer.encode`` splits marker spellings, so they round-trip as plain text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant", "plan", "bash", "output"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "plan", "bash", "output")
MARKERS = (*(f"<|{role}|>" for role in ROLES), "<|end|>")
LEARNED: frozenset[str] = frozenset({"assistant", "plan", "bash"})  # roles the model writes
OUTPUT_HEAD, OUTPUT_TAIL = 320, 160  # characters of an observation that reach the model
NOTE_NAMES, NOTE_CHARACTERS = 24, 240


class Encoder(Protocol):
    """What rendering needs of a tokenizer."""

    bos: int

    def encode(self, text: str) -> list[int]: ...
    def marker(self, name: str) -> int: ...


@dataclass(frozen=True)
class Turn:
    """One turn. ``tainted``: the text came from a program or a file, so no gradient may flow from it."""

    role: Role
    text: str
    tainted: bool = False


@dataclass(frozen=True)
class Rendered:
    """Token ids of some turns; ``learn[i]``: id i is one the model should write (its text and its end marker)."""

    ids: list[int]
    learn: list[bool]


def render(turns: Sequence[Turn], tokenizer: Encoder, bos: bool = True,
           learn: Literal["model", "assistant"] = "model") -> Rendered:
    """Ids and loss mask of whole turns. Tainted text is never learnt.

    "model": all that the model writes, and the marker that opens its turn: it is the model's choice between planning,
    running and answering. "assistant": the text and the end of the assistant's turns; the marker is the harness's.
    """
    ids: list[int] = [tokenizer.bos] if bos else []
    flags = [False] * len(ids)
    end = tokenizer.marker("end")
    for turn in turns:
        own = not turn.tainted and (turn.role in LEARNED if learn == "model" else turn.role == "assistant")
        body = tokenizer.encode(turn.text)
        ids += [tokenizer.marker(turn.role), *body, end]
        flags += [own and learn == "model"] + [own] * (len(body) + 1)
    return Rendered(ids, flags)


def observation(output: str, status: int | None) -> str:
    """What the model reads of a command: a status line when it is not 0, then head and tail of the output."""
    text = output.strip("\n")
    if len(text) > OUTPUT_HEAD + OUTPUT_TAIL + 40:
        cut = len(text) - OUTPUT_HEAD - OUTPUT_TAIL
        text = f"{text[:OUTPUT_HEAD]}\n[{cut} characters left out]\n{text[-OUTPUT_TAIL:]}"
    if status == 0:
        return text
    line = f"[exit {status}]" if status is not None else "[no exit status]"
    return f"{line}\n{text}" if text else line


def workspace_note(names: Sequence[str]) -> str:
    """The system turn: what lies in the folder, from the names of its entries (folders end in "/"), sorted, capped."""
    shown: list[str] = []
    room = NOTE_CHARACTERS
    ordered = sorted(name for name in names if not name.startswith("."))
    for name in ordered[:NOTE_NAMES]:
        room -= len(name) + 1
        if room < 0:
            break
        shown.append(name)
    more = len(ordered) - len(shown)
    return "files: " + " ".join(shown) + (f" and {more} more" if more else "") if ordered else "files: none"
