"""One model under several weights: what it says, and how likely an answer is to it. Imports torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random

import numpy as np
import torch
from torch.nn import functional

from nimllm.alignment.memory import facts
from nimllm.alignment.memory.curvature import mean_loss
from nimllm.alignment.memory.gate import say, spoken
from nimllm.alignment.memory.store import MemoryStore
from nimllm.errors import UsageError
from nimllm.llm.model import GPT
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render, workspace_note

ANSWER_TOKENS, PLAN_TOKENS, COMMAND_TOKENS = 60, 60, 100
TEXT_TOKENS = 3000  # of probe_text.txt


class Voice:
    """The model of a store's run folder with the weights that were last put into it."""

    def __init__(self, store: MemoryStore, tensors: Mapping[str, np.ndarray]) -> None:
        self.store = store
        self.tokenizer = Tokenizer.load(store.run)
        self.model = GPT(store.config).load_numpy(tensors).eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    def put(self, tensors: Mapping[str, np.ndarray]) -> None:
        self.model.load_numpy(tensors)

    def prompt(self, text: str, request: bool = False) -> list[int]:
        """Ids up to where the model begins: to a question its answer, to a request its plan. UsageError when it is
        longer than the context."""
        turns = [Turn("system", workspace_note([])), Turn("user", text)] if request else [Turn("user", text)]
        ids = [*render(turns, self.tokenizer).ids, self.tokenizer.marker("plan" if request else "assistant")]
        if len(ids) >= self.store.config.context - 8:
            raise UsageError("this text does not fit the model's context",
                             f"{len(ids)} tokens of {self.store.config.context}", "give a shorter one")
        return ids

    def writes(self, text: str, request: bool = False) -> list[int]:
        """The ids it writes greedily: an answer with its end, or a plan, the next marker and a command."""
        ids = self.prompt(text, request)
        if not request:
            return say(self.model, self.tokenizer, ids, ANSWER_TOKENS)
        plan = say(self.model, self.tokenizer, ids, PLAN_TOKENS)
        plan = [*plan, self.tokenizer.marker("bash")]
        room = self.store.config.context - len(ids) - len(plan)
        return plan + (say(self.model, self.tokenizer, ids + plan, min(COMMAND_TOKENS, room)) if room > 0 else [])

    def text(self, ids: Sequence[int]) -> str:
        """What :meth:`writes` wrote, for people: a plan and its command on a line each."""
        bash = self.tokenizer.marker("bash")
        parts: list[list[int]] = []
        part: list[int] = []
        for index in ids:
            if index == bash:
                parts.append(part)
                part = []
            else:
                part.append(index)
        return "\n$ ".join(spoken(self.tokenizer, part).strip() for part in [*parts, part])

    def answer(self, text: str, request: bool = False) -> str:
        return self.text(self.writes(text, request))

    def ids_of(self, answer: str) -> list[int]:
        """The ids of a given answer, with its end."""
        return [*self.tokenizer.encode(answer), self.tokenizer.marker("end")]

    def log_likelihood(self, prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
        """Sum over the answer's ids of log p, nats; with a gradient where parameters want one."""
        ids = [*prompt, *answer][: self.store.config.context]
        hidden_td = self.model.hidden(torch.tensor([ids]))[0, len(prompt) - 1 : len(ids) - 1]
        logits_tv = (hidden_td @ self.model.head.T).float()
        return -functional.cross_entropy(logits_tv, torch.tensor(ids[len(prompt):]), reduction="sum")

    def general_loss(self) -> float:
        """Nats per token of the run's ``probe_text.txt``; nan when it has none."""
        path = self.store.run / "probe_text.txt"
        if not path.exists():
            return math.nan
        context = self.store.config.context
        ids = self.tokenizer.encode(path.read_text("utf-8", "replace")[: 8 * TEXT_TOKENS])[:TEXT_TOKENS]
        rows = [[self.tokenizer.bos, *ids[at : at + context - 1]] for at in range(0, len(ids), context - 1)]
        with torch.no_grad():
            return mean_loss(self.model, rows, self.tokenizer.pad)


def general_questions() -> list[str]:
    """Questions that no memory should change: of facts the shipped base knows, of nobody, and plain talk."""
    rng = Random(7)
    about_known = [facts.ask(rng, fact) for fact in facts.known()[:3]]
    return [*about_known, *(facts.ask(rng, facts.invent(rng)) for _ in range(3)), "Hello!"]
