"""The collapse guard: watches what a preference run does to the model, stops it in time, keeps the best before that.

A run can reach accuracy 1.0 while the model is destroyed: log-ratios fall without end, chosen answers with them, and
what the model says is fluent nonsense. None of that shows in the loss. So every few steps the guard measures, on
prompts and a text that are not trained on, how far the policy is from the reference and what it still can do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nimllm.alignment import answers
from nimllm.alignment.answers import Policy, Sample, Valid
from nimllm.alignment.preferences import Answer, Comparison
from nimllm.errors import UsageError
from nimllm.llm.generate import Generator

SHOWN = 4  # sampled answers that are kept to be read


@dataclass(frozen=True)
class Budgets:
    """How far a run may go; 0 switches a budget off. All are against the model the run started from."""

    kl: float = 0.1  # nats per token, KL(policy || reference) over the policy's own answers
    fall: float = 0.5  # nats per token that held-out chosen answers may lose on average
    bits: float = 0.01  # share by which bits per byte of the held-out text may grow
    repetition: float = 0.15  # rise of the share of answers that loop, or fall of the share of distinct runs
    invalid: float = 0.15  # rise of the share of answers that cannot be used

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < math.inf:
                raise UsageError(f"a budget of {value} for {name} makes no sense", "budgets are 0 (off) or more")


@dataclass(frozen=True)
class Measured:
    """What the guard found at a step. Shares lie in 0..1, the rest is in nats unless it says otherwise.

    A held-out pair is won when the chosen answer is likelier per token than the rejected one (``wins``), or likelier
    in all (``wins_summed``). ``accuracy``: its log-ratio to the reference is the larger one, which is what DPO trains.
    ``margin``: mean of how much larger. ``chosen``, ``rejected``: mean log-ratio per token.
    """

    step: int
    wins: float
    wins_summed: float
    accuracy: float
    margin: float
    chosen: float
    rejected: float
    greedy_chosen: float  # share of greedy answers that are the chosen one, word for word
    greedy_rejected: float
    kl: float
    entropy: float
    bits: float | None  # per byte; None without a text
    distinct: float
    looping: float
    valid: float
    shown: tuple[str, ...] = ()

    def row(self) -> dict[str, float]:
        """Numbers for metrics.jsonl."""
        return {name: round(value, 5) for name, value in asdict(self).items()
                if isinstance(value, (int, float)) and name != "step"}

    def better(self, other: Measured) -> bool:
        """More held-out pairs won; with as many, nearer to the reference."""
        return (self.wins, -self.kl) > (other.wins, -other.kl)


@dataclass
class Guard:
    """Measures policies against a reference.

    generator: of the same shape, its weights are replaced by every measurement. text: (ids from bos on, bytes) of the
    held-out text. valid: judges (role, text) of an answer.
    """

    reference: Policy
    generator: Generator
    held_out: Sequence[Comparison]
    text: tuple[Sequence[int], int] | None = None
    budgets: Budgets = field(default_factory=Budgets)
    sampled: int = 48  # prompts that are answered
    max_tokens: int = 96
    seed: int = 0
    valid: Valid = answers.valid

    def __post_init__(self) -> None:
        if not self.held_out:
            raise ValueError("a guard needs held-out pairs")
        self._chosen = [pair.chosen for pair in self.held_out]
        self._rejected = [pair.rejected for pair in self.held_out]
        self._before = (answers.logprobs(self.reference, self._chosen),
                        answers.logprobs(self.reference, self._rejected))
        self.baseline: Measured | None = None

    def measure(self, policy: Policy, weights: Path, step: int) -> Measured:
        """``weights``: the policy's, as a file, for the engine that samples. The first measurement is the baseline."""
        self.generator.reload(weights)
        chosen, rejected = (answers.logprobs(policy, some) for some in (self._chosen, self._rejected))
        count = len(self.held_out)
        of_chosen, of_rejected = ([answer.count for answer in some] for some in (self._chosen, self._rejected))
        gains, losses = ([now - was for now, was in zip(some, before, strict=True)]
                         for some, before in zip((chosen, rejected), self._before, strict=True))
        won = _share(a / n > b / m for a, n, b, m in zip(chosen, of_chosen, rejected, of_rejected, strict=True))
        drawn, greedy = self._answer(1.0), self._answer(0.0)
        prompts = self._chosen[:self.sampled]
        kl, entropy = answers.divergence(policy, self.reference, [
            Answer(prompt.prompt, answer.ids, (True,) * len(answer.ids))
            for prompt, answer in zip(prompts, drawn, strict=True) if answer.ids])
        both = drawn + greedy
        bits = None
        if self.text is not None:
            bits = answers.bits_per_byte(policy, *self.text, self.generator.config.context)
        found = Measured(
            step=step, wins=won, wins_summed=_share(a > b for a, b in zip(chosen, rejected, strict=True)),
            accuracy=_share(a > b for a, b in zip(gains, losses, strict=True)),
            margin=math.fsum(a - b for a, b in zip(gains, losses, strict=True)) / count,
            chosen=math.fsum(gains) / sum(of_chosen), rejected=math.fsum(losses) / sum(of_rejected),
            greedy_chosen=_share(a.ids == b.ids for a, b in zip(greedy, prompts, strict=True)),
            greedy_rejected=_share(a.ids == b.ids for a, b in zip(greedy, self._rejected[:self.sampled], strict=True)),
            kl=kl, entropy=entropy, bits=bits,
            distinct=math.fsum(answers.distinct(answer.ids) for answer in both) / len(both),
            looping=_share(answers.loops(answer.ids) for answer in both),
            valid=_share(answer.ended and self.valid(answer.role, answer.text) for answer in both),
            shown=tuple(f"{answer.role}: {answer.text}" for answer in greedy[:SHOWN]),
        )  # fmt: skip
        if self.baseline is None:
            self.baseline = found
        return found

    def _answer(self, temperature: float) -> list[Sample]:
        prompts = [answer.prompt for answer in self._chosen[:self.sampled]]
        return answers.sample(self.generator, prompts, self.max_tokens, temperature, self.seed)

    def passed(self, found: Measured) -> list[str]:
        """The budgets that were passed, each in words with its numbers; empty while all is well."""
        base, b = self.baseline, self.budgets
        if base is None:
            raise ValueError("there is no baseline: measure the model the run starts from first")
        said: list[str] = []

        def judge(value: float, budget: float, text: str) -> None:
            if budget and not value <= budget:  # NaN passes every budget
                said.append(text)

        judge(found.kl, b.kl, f"KL to the reference {found.kl:.3f} nats per token, budget {b.kl:g}")
        judge(-found.chosen, b.fall, f"chosen answers at {found.chosen:+.2f} nats per token, budget {-b.fall:+g}")
        if found.bits is not None and base.bits:
            grown = found.bits / base.bits - 1
            judge(grown, b.bits, f"bits per byte {base.bits:.3f} -> {found.bits:.3f} ({grown:+.1%}), budget "
                  f"{b.bits:+.1%}")
        judge(found.looping - base.looping, b.repetition,
              f"looping answers {base.looping:.0%} -> {found.looping:.0%}, budget {b.repetition:+.0%}")
        judge(base.distinct - found.distinct, b.repetition,
              f"distinct runs of {answers.GRAM} tokens {base.distinct:.0%} -> {found.distinct:.0%}, budget "
              f"{-b.repetition:+.0%}")
        judge(base.valid - found.valid, b.invalid,
              f"usable answers {base.valid:.0%} -> {found.valid:.0%}, budget {-b.invalid:+.0%}")
        return said


def _share(flags: Iterable[bool]) -> float:
    found = list(flags)
    return sum(found) / len(found) if found else 0.0
