"""The choice of the next token, in numpy: the definition that the engine's own sampler (csrc/sampler.h) is held to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from nimllm.errors import NimError

_GOLDEN, _WORD = 0x9E3779B97F4A7C15, (1 << 64) - 1


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. Temperature 0 takes the most probable one; the others narrow the choice, in this
    order: the ``top_k`` best, then the fewest that hold ``top_p`` of the mass, then those of at least ``min_p`` times
    the best one's probability. ``repetition_penalty``: Keskar et al. 2019 (CTRL), on every token seen."""

    temperature: float = 0.0
    top_k: int = 0  # 0: all
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        sane = {"temperature": 0 <= self.temperature < np.inf, "top_k": self.top_k >= 0, "top_p": 0 < self.top_p <= 1,
                "min_p": 0 <= self.min_p <= 1, "repetition_penalty": 0 < self.repetition_penalty < np.inf}
        for name, good in sane.items():
            if not good:
                raise NimError(f"{name} cannot be {getattr(self, name)}", "", "temperature and top_k start at 0, min_p "
                               "lies in [0, 1], top_p in (0, 1], the repetition penalty is above 0", 2)


class Drawn(NamedTuple):
    """Tokens drawn by a decoder's ``generate``; a stop id is the last of them. ``logprobs``: nats, under the raw
    logits. The last id drawn is not in the KV cache, all before it are."""

    ids: list[int]
    logprobs: list[float]
    reason: Literal["length", "stop", "context", "cancelled"]


def uniform(seed: int, index: int) -> float:
    """In [0, 1), for the token at ``index`` of its sequence: SplitMix64's finaliser (Steele, Lea, Flood 2014) on a
    counter, so that a text does not depend on how many calls drew it, nor on the implementation."""
    def mix(z: int) -> int:
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _WORD
        return z ^ (z >> 31)

    start = mix(seed + _GOLDEN & _WORD)
    return (mix(start + (index + 1) * _GOLDEN & _WORD) >> 11) * 2.0**-53


def candidates(logits: np.ndarray, sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
    """(ids, their probabilities) after temperature, top-k, top-p and min-p; most probable first after a
    cut by top-k or top-p, ties to the smaller id.

    ``logits``: fp32 [vocab], -inf where forbidden; temperature above 0. Sorting 8192 of them takes 0.4 ms, so only what
    top-k and top-p can still want is sorted: 0.07 ms and 0.11 ms on logits with a standard deviation of 3.
    """
    ids = np.flatnonzero(logits > -np.inf)
    scaled = logits[ids].astype(np.float64) / sampling.temperature
    if 0 < sampling.top_k < len(ids):
        keep = scaled >= np.partition(scaled, -sampling.top_k)[-sampling.top_k]
        ids, scaled = ids[keep], scaled[keep]
        order = np.argsort(-scaled, kind="stable")[:sampling.top_k]
        ids, scaled = ids[order], scaled[order]
    chances = np.exp(scaled - scaled.max())
    chances /= chances.sum()
    if sampling.top_p < 1:
        # all that are rarer than this hold less than 1 - top_p together
        keep = chances >= (1 - sampling.top_p) / len(chances)
        ids, chances = ids[keep], chances[keep]
        order = np.argsort(-scaled[keep], kind="stable")  # logits tell apart what exp rounds to the same chance
        ids, chances = ids[order], chances[order]
        count = int(np.searchsorted(np.cumsum(chances), sampling.top_p - 1e-12)) + 1
        ids, chances = ids[:count], chances[:count]
    if sampling.min_p > 0:
        keep = chances >= sampling.min_p * chances.max()
        ids, chances = ids[keep], chances[keep]
    return ids, chances / chances.sum()


def penalised(logits: np.ndarray, seen: Collection[int], penalty: float) -> np.ndarray:
    """A copy in which the tokens seen are less likely: positive logits divided by the penalty, negative multiplied."""
    logits = logits.copy()
    if penalty != 1 and seen:
        where = np.fromiter(seen, np.int64, len(seen))
        values = logits[where]
        logits[where] = np.where(values > 0, values / penalty, values * penalty)
    return logits


def choose(logits: np.ndarray, index: int, sampling: Sampling, seen: Collection[int] = (),
           banned: Collection[int] = (), first: Collection[int] = (), limit: int = 0) -> tuple[int, float]:
    """(id, its log-probability in nats under the raw logits) of the token at ``index`` of its sequence.

    ``logits``: fp32 [vocab]. ``seen``: what the penalty is for. ``banned`` and the ids from ``limit`` on (0: none)
    never come; ``first``, when not empty: it is one of these. The kept ids, ascending, share [0, 1); :func:`uniform`
    points at one. FloatingPointError: the largest logit is not finite. ValueError: every token is banned.
    """
    top = float(logits.max())
    if not np.isfinite(top):
        raise FloatingPointError(f"the highest logit is {top}")
    allowed = penalised(logits, seen, sampling.repetition_penalty)
    if banned:
        allowed[np.fromiter(banned, np.int64, len(banned))] = -np.inf
    if limit:
        allowed[limit:] = -np.inf
    if first:
        only = np.fromiter(first, np.int64, len(first))
        mask = np.full_like(allowed, -np.inf)
        mask[only] = allowed[only]
        allowed = mask
    choice = int(allowed.argmax())
    if allowed[choice] == -np.inf:
        raise ValueError("every token is banned")
    if sampling.temperature > 0:
        ids, chances = candidates(allowed, sampling)
        order = np.argsort(ids)
        place = np.searchsorted(np.cumsum(chances[order]), uniform(sampling.seed, index), "right")
        choice = int(ids[order[min(int(place), len(ids) - 1)]])
    return choice, float(logits[choice]) - top - float(np.log(np.exp(logits - top).sum(dtype=np.float64)))
