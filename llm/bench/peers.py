"""Whom to measure against: ``--against NAME=WHERE``, and the contestants it makes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nimllm.errors import UsageError
from nimllm.llm.bench import llamacpp
from nimllm.llm.bench.llama2c import Llama2c
from nimllm.llm.bench.rounds import Contestant, Worker
from nimllm.llm.bench.shapes import Subject

KNOWN = {
    "llama.cpp": "llama.cpp=PATH of llama-bench or its folder",
    "llama2.c": "llama2.c=DIR with run and runq compiled",
    "nanogpt": "nanogpt=DIR of a checkout",
    "transformers": "transformers, or transformers=PYTHON of an environment that has it",
}
_TASKS = {
    "decode": tuple(KNOWN), "prefill": ("llama.cpp", "nanogpt", "transformers"), "train": ("nanogpt", "transformers"),
    "startup": ("llama.cpp",), "attention": (), "tokenize": (),
}  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """One ``--against``."""

    name: str
    where: str


def parse(given: list[str], bench: str) -> list[Peer]:
    """The peers asked for; UsageError for an unknown one, one without its place, or one that cannot do this."""
    peers: list[Peer] = []
    for text in given:
        name, _, where = text.partition("=")
        if name not in KNOWN:
            raise UsageError(f"no peer is called {name!r}", "", f"known: {'; '.join(KNOWN.values())}")
        if name not in _TASKS[bench]:
            able = ", ".join(_TASKS[bench]) or "nobody"
            raise UsageError(f"bench {bench} cannot measure {name}", f"it measures against {able}", "leave it out")
        if not where and name != "transformers":
            raise UsageError(f"--against {name} needs a place", "", f"write {KNOWN[name]}")
        if name == "nanogpt" and not (Path(where).expanduser() / "model.py").is_file():
            raise UsageError(f"{where} is no checkout of nanoGPT", "it has no model.py",
                             "get it: git clone https://github.com/karpathy/nanoGPT")
        peers.append(Peer(name, where))
    return peers


class ChildContestant:
    """A torch program in a process of its own (:mod:`nimllm.llm.bench.child`)."""

    def __init__(self, name: str, program: str, where: str, subject: Subject, spec: dict[str, Any]) -> None:
        self.name, self.dtype = name, spec["dtype"]
        interpreter = where if program == "transformers" and where else sys.executable
        child = str(Path(__file__).with_name("child.py"))
        words = [interpreter, "-m", "nimllm.llm.bench.child"] if program == "nimllm" else [interpreter, child]
        about = {**spec, "program": program, "where": str(Path(where).expanduser().resolve()) if where else "",
                 "config": subject.config.model_dump()}
        folder = about["where"] if program == "nanogpt" else None
        threads = {"OMP_NUM_THREADS": str(spec["threads"])} if spec["threads"] else {}
        # a compiler that finds the last run's graphs in its cache would take 5 s instead of 30
        fresh = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"} if spec.get("compile") else {}
        self._worker = Worker(name, words, about, cwd=folder, environment={**threads, **fresh})
        ready = self._worker.ready
        self.threads = ready["threads"]
        self._once = {"first_step": self._worker.start_seconds} if "first_step" in ready else {}
        parts = [f"{library} {ready[library]}" for library in ("transformers", "torch") if library in ready]
        self.what = ", ".join([*parts, *(["torch.compile"] if spec.get("compile") else [])])

    def measure(self) -> dict[str, float]:
        once, self._once = self._once, {}  # the first step happens once
        return {**once, **self._worker.ask()}

    def close(self) -> None:
        self._worker.close()


def check_torch_peer(program: str, subject: Subject) -> None:
    """UsageError when the program has no model of the subject's shape."""
    c = subject.config
    if program == "nanogpt" and ((c.pos, c.norm, c.ffn, c.qk_norm, c.tied, c.embed_norm) != (
            "learned", "layer", "gelu", False, True, False) or c.n_kv_heads != c.n_heads or c.d_ff != 4 * c.d_model
            or c.n_heads * c.head_dim != c.d_model):
        raise UsageError(f"nanoGPT cannot run {subject.name}", "it knows GPT-2's shape only",
                         "choose --shape char-10m, 48m-gpt2, 103m-gpt2 or 7m")
    if program == "transformers" and ((c.pos, c.norm, c.ffn, c.bias, c.embed_norm) != (
            "rope", "rms", "swiglu", False, False)):
        raise UsageError(f"transformers is measured on Llama and Qwen3 shapes, and {subject.name} is none", "",
                         "choose --shape 10m, 48m, 103m or shipped")


def contestants(peers: list[Peer], task: str, subject: Subject, dtype: str, threads: int, device: str, folder: Path,
                prompt: int, tokens: int) -> list[Contestant]:
    """The peers' side of decode and prefill; one that has no such dtype is left out. UsageError when it has no such
    shape. ``folder``: where converted weights may lie."""
    made: list[Contestant] = []
    try:
        for peer in peers:
            if peer.name == "llama.cpp":
                made.append(llamacpp.LlamaBench(peer.where, subject, dtype, threads, prompt, tokens, folder))
            elif peer.name == "llama2.c" and dtype in ("fp32", "q8"):
                made.append(Llama2c(peer.where, subject, dtype, threads, prompt + tokens, folder))
            elif peer.name in ("nanogpt", "transformers") and dtype in ("fp32", "bf16"):
                check_torch_peer(peer.name, subject)
                spec = {"task": task, "dtype": dtype, "threads": threads if device == "cpu" else 0, "device": device,
                        "seed": 20, "prompt": prompt, "tokens": tokens, "compile": False}
                made.append(ChildContestant(peer.name, peer.name, peer.where, subject, spec))
    except BaseException:
        for contestant in made:
            contestant.close()
        raise
    return made
