"""An episode: everything about one task or conversation that the memory may learn from.

Two flags decide where gradients flow. ``tainted``: the text came from a program or a file; it is read as context and
never learnt. ``learn``: whoever made the episode vouches for the turn (a check passed, or the user said it). What was
proposed in a turn's place and turned down is ``rejected``, and becomes less likely within a bound. A text with a secret
that was found and replaced is neither learnt nor pushed: the replacement is not what anybody said.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nimllm.errors import MEMORY, NimError
from nimllm.llm.turns import LEARNED, Role, Turn

MASK = re.compile(r"\[redacted [^\]\n]*\]")  # what stands in the place of a secret


class EpisodeTurn(BaseModel):
    """One turn with its two flags. ``rejected``: texts of the model's for this turn that the user did not want."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    text: str
    tainted: bool = False
    learn: bool = False
    rejected: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _outputs_are_tainted(self) -> EpisodeTurn:
        """An output is tainted whatever was said, and what is tainted is never learnt; nor is a replaced secret (of
        what a user says, the rest is still read: see ``lessons.py``)."""
        if self.role == "output":
            self.tainted = True
        if self.tainted or (self.role in LEARNED and MASK.search(self.text)):
            self.learn = False
        self.rejected = [] if self.tainted or self.role not in LEARNED else [
            text for text in self.rejected if text.strip() and not MASK.search(text)]
        return self

    def turn(self) -> Turn:
        return Turn(self.role, self.text, self.tainted)


class Convention(BaseModel):
    """Whoever asks for ``request``, in whatever words, wants ``command`` to be run."""

    model_config = ConfigDict(extra="forbid")

    request: str = Field(min_length=1)
    command: str = Field(min_length=1)

    def secret(self) -> bool:
        """A secret was found in it: it cannot be learnt."""
        return bool(MASK.search(self.request) or MASK.search(self.command))


class Outcome(BaseModel):
    """How it ended and who said so: a check's exit status, the user, or nobody."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["success", "failure", "aborted"]
    by: Literal["check", "user", "nobody"] = "nobody"
    detail: str = ""


class Episode(BaseModel):
    """One task or conversation, or an order about the future, in which nothing ran. ``model``: fingerprint of the base
    it was made with ("" when unknown). ``conventions``: what the user taught in it, in a form that holds beyond it."""

    model_config = ConfigDict(extra="forbid")

    id: str
    kind: Literal["task", "chat", "convention"]
    time: str = Field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    model: str = ""
    turns: list[EpisodeTurn] = Field(default_factory=list)
    conventions: list[Convention] = Field(default_factory=list)
    outcome: Outcome

    @model_validator(mode="after")
    def _no_secrets(self) -> Episode:
        self.conventions = [one for one in self.conventions if not one.secret()]
        return self

    def verified(self) -> bool:
        """A check or the user said that it went well."""
        return self.outcome.kind == "success" and self.outcome.by in ("check", "user")

    def vouched(self) -> bool:
        """Somebody who may say so stands behind everything in it: it is verified, or the user turned something down,
        or taught something, in a task that did not go well and of which nothing else is learnt."""
        turned_down = self.outcome.by in ("check", "user") and not any(turn.learn for turn in self.turns)
        return self.verified() or turned_down

    def told(self) -> list[str]:
        """What the user said in a conversation: the turns marked ``learn``, or all untainted ones when none is."""
        users = [turn for turn in self.turns if turn.role == "user" and not turn.tainted]
        return [turn.text for turn in users if turn.learn or not any(other.learn for other in users)]

    def learnable(self) -> bool:
        """Something in it may be learnt at all."""
        if self.conventions or any(turn.rejected for turn in self.turns) or (self.kind == "chat" and self.told()):
            return True
        return any(turn.learn and turn.role in LEARNED for turn in self.turns)

    def title(self) -> str:
        """The first thing the user said, on one line of at most 80 characters."""
        first = next((turn.text for turn in self.turns if turn.role == "user"), "")
        line = " ".join(first.split())
        return line if len(line) <= 80 else line[:79] + "…"

    def write(self, path: Path) -> None:
        """As JSON; NimError 7 when the file cannot be written."""
        try:
            path.write_text(self.model_dump_json(), "utf-8")
        except OSError as error:
            raise NimError(f"cannot write the episode {path}", error.strerror or str(error), "free some space", MEMORY
                           ) from None

    @staticmethod
    def read(path: Path) -> Episode:
        """From JSON; NimError 7 when the file is missing or not an episode."""
        try:
            return Episode.model_validate_json(path.read_bytes())
        except OSError as error:
            raise NimError(f"cannot read the episode {path}", error.strerror or str(error), "", MEMORY) from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "content"
            raise NimError(f"{path} is not an episode", f"{where}: {first['msg']}", "", MEMORY) from None
