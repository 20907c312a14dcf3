"""An episode: everything about one task or conversation that the memory may learn from.

Two flags decide where gradients flow. ``tainted``: the text came from a program or a file; it is read as context and
never learnt. ``learn``: whoever made the episode vouches for the turn (a check passed, or the user said it).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nimllm.errors import MEMORY, NimError
from nimllm.llm.turns import LEARNED, Role, Turn


class EpisodeTurn(BaseModel):
    """One turn with its two flags."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    text: str
    tainted: bool = False
    learn: bool = False

    @model_validator(mode="after")
    def _outputs_are_tainted(self) -> EpisodeTurn:
        """An output is tainted whatever was said, and what is tainted is never learnt."""
        if self.role == "output":
            self.tainted = True
        if self.tainted:
            self.learn = False
        return self

    def turn(self) -> Turn:
        return Turn(self.role, self.text, self.tainted)


class Outcome(BaseModel):
    """How it ended and who said so: a check's exit status, the user, or nobody."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["success", "failure", "aborted"]
    by: Literal["check", "user", "nobody"] = "nobody"
    detail: str = ""


class Episode(BaseModel):
    """One task or conversation. ``model``: fingerprint of the base it was made with ("" when unknown)."""

    model_config = ConfigDict(extra="forbid")

    id: str
    kind: Literal["task", "chat"]
    time: str = Field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    model: str = ""
    turns: list[EpisodeTurn] = Field(default_factory=list)
    outcome: Outcome

    def verified(self) -> bool:
        """A check or the user said that it went well."""
        return self.outcome.kind == "success" and self.outcome.by in ("check", "user")

    def told(self) -> list[str]:
        """What the user said in a conversation: the turns marked ``learn``, or all untainted ones when none is."""
        users = [turn for turn in self.turns if turn.role == "user" and not turn.tainted]
        return [turn.text for turn in users if turn.learn or not any(other.learn for other in users)]

    def learnable(self) -> bool:
        """Something in it may be learnt at all."""
        if self.kind == "chat":
            return bool(self.told())
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
