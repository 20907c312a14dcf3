"""A face that can be asked: approval of a command by a single key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nimllm.agent.display import visible
from nimllm.agent.face import SHOWN, Face, Stdio
from nimllm.agent.results import Decided, Decision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nimllm.tools.policy import Verdict

APPROVAL: dict[str, Decided] = {"y": "accept", "a": "always", "e": "edit", "n": "reject", "q": "abort"}
WHY_NOT = "why not? (Enter: just another) "


class Asker(Protocol):
    """What asks: a Screen or a Console."""

    rich: bool

    def key(self, question: str, keys: Mapping[str, str], cancel: str) -> str: ...
    def line(self, question: str, default: str = "") -> str | None: ...


class AskingFace(Face):
    """The terminal's face: also asks for approval. ``out`` and ``err`` as :class:`Face` has them."""

    def __init__(self, console: Asker, out: Stdio, err: Stdio, plain: bool, shown: int = SHOWN) -> None:
        super().__init__(out, err, live=console.rich, plain=plain, shown=shown)
        self.console = console
        self.verbose = False  # say of every command why it may run
        self._approved = ""  # it stands on the screen already
        self.asked: Callable[[], None] = lambda: None  # told when somebody is asked

    def approve(self, command: str, verdict: Verdict) -> Decision:
        from nimllm.tools import policy

        self._approved = ""
        self.asked()
        self.command_line("? ", policy.spelled(command))
        self.say(f"  {visible(verdict.reason)}", "dim")
        rules = [] if verdict.rule.startswith("rule:") else policy.prefixes(command)
        keys = {key: str(name) for key, name in APPROVAL.items() if name != "always" or rules}
        always = f"  [a]lways ({visible(', '.join(rules))})" if rules else ""
        question = f"  [y]es{always}  [e]dit  [n]o  [q]uit the task"
        if not self.console.rich:  # numbers too: a screen reader says them, a switch has them
            keys |= {str(number): name for number, name in enumerate(list(keys.values()), 1)}
            question = "  " + ", ".join(f"{number} {part}" for number, part in enumerate(
                ["[y]es", *([f"[a]lways ({visible(', '.join(rules))})"] if rules else []), "[e]dit", "[n]o",
                 "[q]uit the task"], 1))
        while True:
            said = self.console.key(question, keys, "abort")
            if said == "edit":
                edited = self.console.line(f"edit {self.glyphs.prompt}", command)
                if edited is None or not edited.strip():
                    continue  # changed their mind
                return Decision("edit", edited.strip())
            if said == "reject":
                reason = self.console.line(WHY_NOT + self.glyphs.prompt)
                reason = " ".join((reason or "").split())
                self.say("  no" + (f": {visible(reason)}" if reason else ""), "dim")
                return Decision("reject", reason=reason)
            if said == "abort":
                return Decision("abort")
            self._approved = command
            if said == "always":
                self.say(f"  always from now on, in this session: {visible(', '.join(rules))}", "dim")
                return Decision("always")
            self.say("  yes", "dim")
            return Decision("accept")

    def on_screen(self, command: str) -> None:
        """The user typed it; it is not shown a second time."""
        self._approved = command

    def started(self, command: str, verdict: Verdict) -> None:
        if command == self._approved:
            self.begin_output()
        else:
            super().started(command, verdict)
            if self.verbose:
                self.say(f"  {visible(verdict.reason)} [{visible(verdict.rule)}]", "dim")
        self._approved = ""
