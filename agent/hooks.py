"""What the loop tells while it works, and the one thing it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimllm.agent.results import Decision, Step

if TYPE_CHECKING:
    from nimllm.agent.choose import Choice
    from nimllm.tools.policy import Verdict


class Hooks:
    """What the loop tells and asks; this class tells nobody and lets nothing run that needs a word from a person."""

    def plan_text(self, piece: str) -> None:
        """A piece of the plan, as it is written."""

    def plan(self, text: str) -> None:
        """The whole plan."""

    def approve(self, command: str, verdict: Verdict) -> Decision:
        """The policy wants a person to look at ``command``."""
        return Decision("blocked")

    def chosen(self, choice: Choice) -> None:
        """One of several sampled commands is proposed next. Its plan, when it is another one, was told by ``plan``."""

    def started(self, command: str, verdict: Verdict) -> None:
        """The command runs now."""

    def output(self, text: str) -> None:
        """A piece of the command's output, raw: whoever shows it makes control characters visible."""

    def finished(self, step: Step) -> None:
        """The step is over, run or not."""

    def answer_text(self, piece: str) -> None:
        """A piece of the answer, as it is written."""

    def answer(self, text: str) -> None:
        """The whole answer."""

    def notice(self, text: str) -> None:
        """Something the user should know: the shell was restarted, the model repeats itself."""
