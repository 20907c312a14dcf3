"""A face that can be asked: approval of a command by a single key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimllm.agent.console import Console
from nimllm.agent.display import visible
from nimllm.agent.face import SHOWN, Face, Stdio
from nimllm.agent.results import Decision

if TYPE_CHECKING:
    from nimllm.tools.policy import Verdict

APPROVAL = {"y": "accept", "a": "always", "e": "edit", "n": "reject", "q": "abort"}
ASK = "  [y]es{always}  [e]dit  [n]o  [q]uit the task"


class AskingFace(Face):
    """The terminal's face: also asks for approval. ``out`` and ``err`` as :class:`Face` has them."""

    def __init__(self, console: Console, out: Stdio, err: Stdio, plain: bool, shown: int = SHOWN) -> None:
        super().__init__(out, err, live=console.rich, plain=plain, shown=shown)
        self.console = console

    def approve(self, command: str, verdict: Verdict) -> Decision:
        from nimllm.tools import policy

        self.fresh(self.err)
        self.write(self.err, "? " + visible(policy.spelled(command)).replace("\n", "\n  ") + "\n", "command")
        self.say(f"  {verdict.reason}", "dim")
        rules = [] if verdict.rule.startswith("rule:") else policy.prefixes(command)
        keys = {key: name for key, name in APPROVAL.items() if name != "always" or rules}
        always = f"  [a]lways ({', '.join(rules)})" if rules else ""
        while True:
            said = self.console.key(ASK.format(always=always), keys, "abort")
            if said == "edit":
                edited = self.console.line("edit › ", command)
                if edited is None or not edited.strip():
                    continue  # changed their mind
                return Decision("edit", edited.strip())
            if said == "reject":
                reason = self.console.line("why not? (Enter: just another) › ")
                return Decision("reject", reason=(reason or "").strip())
            return Decision("accept" if said == "accept" else "always" if said == "always" else "abort")
