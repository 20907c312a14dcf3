"""Measuring a policy by its answers: log-probabilities, divergence from the reference, repetition, validity.

A policy is whatever has ``hidden(ids) -> [b, t, d]`` and ``head`` [v, d]: the GPT and its face for transformers.

Axes in names: b batch, t time, d model width, v vocabulary, n tokens of answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nimllm.alignment.preferences import Answer
from nimllm.kernels import ops
from nimllm.kernels.sampling import Sampling
from nimllm.llm.generate import Generator
from nimllm.llm.tokenizer import REPLACEMENT, Tokenizer
from nimllm.llm.turns import LEARNED, ROLES

BATCH_TOKENS = 4096  # of one forward pass
CHUNK = 256  # rows of logits held at a time
GRAM = 4  # tokens; distinct runs of so many tell repetition
PERIOD, TURNS = 24, 4  # a loop: at most so many tokens, so many times in a row, and LOOP tokens in all
LOOP = 16


class Policy(Protocol):
    @property
    def head(self) -> Tensor: ...
    def hidden(self, ids_bt: Tensor) -> Tensor: ...


def _batches(answers: Sequence[Answer], pad: int, device: torch.device
             ) -> Iterator[tuple[list[int], Tensor, Tensor, Tensor]]:
    """(which answers, inputs [b, t], targets [b, t], mask [b, t] of the model's own tokens), alike in length."""
    order = sorted(range(len(answers)), key=lambda i: answers[i].length)
    while order:
        longest = answers[order[-1]].length
        take = max(1, BATCH_TOKENS // longest)
        some, order = order[-take:], order[:-take]
        ids = torch.full((len(some), longest), pad, dtype=torch.long)
        own = torch.zeros((len(some), longest), dtype=torch.bool)
        for row, index in enumerate(some):
            answer = answers[index]
            ids[row, :answer.length] = torch.tensor(answer.prompt + answer.ids)
            own[row, len(answer.prompt):answer.length] = torch.tensor(answer.own)
        ids, own = ids.to(device), own.to(device)
        yield some, ids[:, :-1], ids[:, 1:], own[:, 1:]


@torch.no_grad()
def logprobs(policy: Policy, answers: Sequence[Answer], pad: int = Tokenizer.pad) -> list[float]:
    """Sum of log p over the model's own tokens of each answer, in nats."""
    head = policy.head
    op = ops.get("token_logprobs", head.device)
    sums = [0.0] * len(answers)
    for some, inputs, targets, mask in _batches(answers, pad, head.device):
        x_btd = policy.hidden(inputs)
        row_n, _ = mask.nonzero(as_tuple=True)
        found_n = op(x_btd[mask], head.to(x_btd.dtype), targets[mask]).double()
        totals = torch.zeros(len(some), dtype=torch.float64, device=head.device).index_add_(0, row_n, found_n)
        for index, total in zip(some, totals.tolist(), strict=True):
            sums[index] = total
    return sums


@torch.no_grad()
def divergence(policy: Policy, reference: Policy, answers: Sequence[Answer], pad: int = Tokenizer.pad
               ) -> tuple[float, float]:
    """(KL(policy || reference), entropy of the policy) in nats per token, over the model's own tokens of the answers.

    Both are exact sums over the vocabulary at each place. Over answers that were sampled from the policy, the first is
    an unbiased estimate of the sequences' KL divided by their length, of less variance than the mean log-ratio.
    """
    kl = entropy = 0.0
    count = 0
    for _, inputs, _, mask in _batches(answers, pad, policy.head.device):
        ours, theirs = policy.hidden(inputs)[mask], reference.hidden(inputs)[mask]
        for start in range(0, len(ours), CHUNK):
            part = slice(start, start + CHUNK)
            p, q = (torch.log_softmax((x[part] @ model.head.to(x.dtype).T).float(), -1)
                    for x, model in ((ours, policy), (theirs, reference)))
            kl += float((p.exp() * (p - q)).sum(dtype=torch.float64))
            entropy -= float((p.exp() * p).sum(dtype=torch.float64))
        count += len(ours)
    return (kl / count, entropy / count) if count else (0.0, 0.0)


@torch.no_grad()
def bits_per_byte(policy: Policy, ids: Sequence[int], size: int, context: int, pad: int = Tokenizer.pad) -> float:
    """Of a text of ``size`` bytes, in windows of one context that follow one another. ``ids`` begin with bos."""
    windows = [ids[start:start + context + 1] for start in range(0, len(ids) - 1, context)]
    parts = [Answer((window[0],), tuple(window[1:]), (True,) * (len(window) - 1)) for window in windows]
    return -math.fsum(logprobs(policy, parts, pad)) / math.log(2) / size


@dataclass(frozen=True)
class Sample:
    """An answer that a model wrote: one turn, its marker and end included when they came."""

    ids: tuple[int, ...]
    role: str  # "" when it begins with no marker of the model's own
    text: str
    ended: bool


def sample(generator: Generator, prompts: Sequence[Sequence[int]], max_tokens: int, temperature: float, seed: int
           ) -> list[Sample]:
    """One answer to each prompt; its randomness depends on the seed and the prompt's number only."""
    tokenizer = generator.tokenizer
    markers = {tokenizer.marker(role): role for role in sorted(LEARNED)}
    shut = [tokenizer.marker(role) for role in ROLES]
    end = tokenizer.marker("end")
    found = []
    for number, prompt in enumerate(prompts):
        room = min(max_tokens, generator.config.context - len(prompt))
        sampling = Sampling(temperature=temperature, seed=seed + number)
        first = generator.complete(prompt, 1, allowed_first=tuple(markers), stop_ids=(end,), sampling=sampling)
        rest = generator.complete([*prompt, *first.ids], max(0, room - 1), stop_ids=(end,), banned=shut,
                                  sampling=sampling)
        ended = rest.stop_id == end
        ids = (*first.ids, *rest.ids, *((end,) if ended else ()))
        role = markers.get(first.ids[0], "") if first.ids else ""
        found.append(Sample(ids, role, rest.text.strip(), ended))
    return found


def distinct(ids: Sequence[int], gram: int = GRAM) -> float:
    """Share of different runs of ``gram`` ids among all; 1 for texts shorter than one."""
    runs = [tuple(ids[i:i + gram]) for i in range(len(ids) - gram + 1)]
    return len(set(runs)) / len(runs) if runs else 1.0


def loops(ids: Sequence[int]) -> bool:
    """Whether a stretch of at least LOOP ids is one run of at most PERIOD ids, TURNS times or more."""
    for period in range(1, min(PERIOD, len(ids) // TURNS) + 1):
        same = 0
        for i in range(period, len(ids)):
            same = same + 1 if ids[i] == ids[i - period] else 0
            if same + period >= max(LOOP, TURNS * period):
                return True
    return False


Valid = Callable[[str, str], bool]


def valid(role: str, text: str) -> bool:
    """Whether a turn's text can be used at all: whole characters, not empty, and for bash something bash can parse."""
    if not text.strip() or REPLACEMENT in text:
        return False
    return role != "bash" or _parses(text)


def _parses(command: str) -> bool:
    import tree_sitter
    import tree_sitter_bash

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))
    return not parser.parse(command.encode()).root_node.has_error
