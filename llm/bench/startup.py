"""``nimllm bench startup``: whole processes, from exec to the first byte of a reply, to the end, and to ``--help``."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nimllm.errors import NimError
from nimllm.llm.bench import llamacpp
from nimllm.llm.bench.peers import Peer
from nimllm.llm.bench.report import Report
from nimllm.llm.bench.rounds import Contestant, Kind, contest
from nimllm.llm.bench.shapes import Subject, random_tensors
from nimllm.llm.tokenizer import Tokenizer
from nimllm.places import shipped_model

KINDS = {
    "first_token": Kind("s", higher_is_better=False),  # exec to the first byte of the reply on standard output
    "whole": Kind("s", higher_is_better=False),  # exec to exit
    "peak_rss": Kind("MB", higher_is_better=False),
    "help": Kind("s", higher_is_better=False),  # nimllm --help, exec to exit
    "modules": Kind("modules", higher_is_better=False),  # imported on the way to the end of the reply
    "torch_modules": Kind("modules", higher_is_better=False),
}
_SILENT_IDS = 300  # special ids, markers and bytes: a reply of half characters would not be printed until it ends
_WORDS = "a cat sat on the mat and saw the red hen run to the old barn by the sea"


class Timed:
    """One process: seconds to its first byte of standard output and to its end.

    ``watch``: also the most memory it held, MB, which is read every two milliseconds and so disturbs the seconds. (What
    wait4 tells is no help: a child's ru_maxrss begins with that of the process it was forked from.)
    """

    def __init__(self, words: Sequence[str], environment: dict[str, str] | None = None, limit: float = 120.0,
                 watch: bool = False) -> None:
        with tempfile.TemporaryFile() as errors:
            began = time.perf_counter()
            try:
                process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                           env={**os.environ, **(environment or {})})
            except OSError as error:
                raise NimError(f"{words[0]} cannot be run", error.strerror or str(error)) from None
            assert process.stdout is not None
            descriptor, self.output, self.first, self.peak_rss = process.stdout.fileno(), b"", 0.0, 0.0
            try:
                while True:
                    left = began + limit - time.perf_counter()
                    if left <= 0:
                        raise NimError(f"{words[0]} took longer than {limit:.0f} s")
                    if watch:
                        self.peak_rss = max(self.peak_rss, peak_memory(process.pid))
                    if not select.select([descriptor], [], [], 0.002 if watch else left)[0]:
                        continue
                    data = os.read(descriptor, 1 << 16)
                    if data and not self.output:
                        self.first = time.perf_counter() - began
                    self.output += data
                    if not data:
                        break
                process.wait()
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                process.stdout.close()
            self.seconds = time.perf_counter() - began
            errors.seek(0)
            self.errors = errors.read().decode("utf-8", "replace")
        if process.returncode:
            said = self.errors.strip().splitlines()
            raise NimError(f"{' '.join(words[:4])} … failed", said[-1][:300] if said else f"code {process.returncode}")


def peak_memory(process: int) -> float:
    """MB that a running process held at most until now; 0 where the system does not tell, or when it has gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), 0.0)


def make_run(subject: Subject, folder: Path) -> Path:
    """A run folder for the subject: the one it has, or random weights with a vocabulary of the model's size."""
    if subject.run is not None:
        return subject.run
    from nimllm.llm.bench.vocabulary import enlarged
    from nimllm.llm.checkpoint import write_tensors

    config = subject.config
    try:
        tokenizer = Tokenizer("bpe", enlarged((shipped_model() / "tokenizer.model").read_bytes(), config.vocab_size))
    except ValueError as error:
        raise NimError(f"no vocabulary can be made for {subject.name}", str(error),
                       "choose --shape 48m, 10m or shipped", 2) from None
    run = folder / subject.name
    run.mkdir()
    tokenizer.save(run)
    write_tensors(run / "model.safetensors", random_tensors(config, silent=_SILENT_IDS))
    (run / "config.json").write_text(json.dumps({
        "format": "nimllm-run", "version": 1, "model": config.model_dump(), "tokenizer": tokenizer.describe()}))
    return run


def prompt_of(run: Path, length: int) -> str:
    """A message whose rendering, with bos and markers, has ``length`` tokens (or as few as one word makes)."""
    from nimllm.llm.turns import Turn, render

    tokenizer = Tokenizer.load(run)
    words: list[str] = []
    for index in range(length):
        longer = [*words, _WORDS.split()[index % len(_WORDS.split())]]
        if words and len(render([Turn("user", " ".join(longer))], tokenizer).ids) + 1 > length:
            break
        words = longer
    return " ".join(words)


class NimllmProcess:
    """``nimllm --chat -p`` with memory off, and ``nimllm --help``."""

    name = "nimllm"

    def __init__(self, run: Path, prompt: str, dtype: str, threads: int | None, tokens: int) -> None:
        self.dtype, self.what = dtype, "nimllm --chat -p"
        self._words = [sys.executable, "-m", "nimllm", "--chat", "--model", str(run), "--dtype", dtype, "--memory",
                       "off", "--plain", "--max-tokens", str(tokens), "-p", prompt]
        if threads:
            self._words += ["--threads", str(threads)]
        Timed(self._words)  # files in the system's cache, a packed copy made where the first start makes one
        self._once = {**self._modules(), "peak_rss": Timed(self._words, watch=True).peak_rss}

    def _modules(self) -> dict[str, float]:
        said = Timed(self._words, {"PYTHONPROFILEIMPORTTIME": "1"}).errors
        names = {line.rpartition("|")[2].strip() for line in said.splitlines() if line.startswith("import time:")}
        names.discard("imported package")
        heavy = [name for name in names if name.partition(".")[0] == "torch"]
        return {"modules": float(len(names)), "torch_modules": float(len(heavy))}

    def measure(self) -> dict[str, float]:
        once, self._once = self._once, {}
        reply = Timed(self._words)
        if not reply.output.strip():
            raise NimError("nimllm answered nothing", "", "run it: " + " ".join(self._words))
        help_ = Timed([sys.executable, "-m", "nimllm", "--help"])
        return {**once, "first_token": reply.first, "whole": reply.seconds, "help": help_.seconds}

    def close(self) -> None:
        pass


class LlamaCompletion:
    """llama-completion on the same weights and prompt; it echoes nothing, so its first byte is its first token."""

    name = "llama.cpp"

    def __init__(self, where: str, subject: Subject, run: Path, prompt: str, dtype: str, threads: int, tokens: int,
                 folder: Path) -> None:
        from nimllm.llm.bench.vocabulary import pieces

        path = folder / f"{subject.name}.{dtype}.gguf"
        model = (run / "tokenizer.model").read_bytes()
        llamacpp.write_gguf(subject, dtype, path, pieces(model, subject.config.vocab_size))
        self.dtype, self.what = dtype, f"llama-completion {llamacpp.version(where)}"
        self._words = [llamacpp.program(where, "llama-completion"), "-m", str(path), "-t", str(threads), "-n",
                       str(tokens), "-p", prompt, "--temp", "0", "--no-display-prompt", "-no-cnv", "--ignore-eos",
                       "-c", str(subject.config.context)]
        self._once = {"peak_rss": Timed(self._words, watch=True).peak_rss}

    def measure(self) -> dict[str, float]:
        once, self._once = self._once, {}
        reply = Timed(self._words)
        return {**once, "first_token": reply.first, "whole": reply.seconds}

    def close(self) -> None:
        pass


def run(subject: Subject, dtype: str, args: Namespace, against: list[Peer], report: Report) -> bool:
    """One shape in one dtype: measured and reported. Whether ^C ended it."""
    with tempfile.TemporaryDirectory(prefix="nimllm-bench-") as name:
        folder = Path(name)
        place = make_run(subject, folder)
        prompt = prompt_of(place, args.prompt_tokens)
        ours = NimllmProcess(place, prompt, dtype, args.threads, args.tokens)
        everyone: list[Contestant] = [ours]
        threads = args.threads or min(2, os.cpu_count() or 1)
        everyone += [LlamaCompletion(peer.where, subject, place, prompt, dtype, threads, args.tokens, folder)
                     for peer in against]
        figures, interrupted = contest(everyone, KINDS, args.rounds, None, report.tell)
    conditions: dict[str, Any] = {"prompt_tokens": args.prompt_tokens, "tokens": args.tokens, "threads": threads,
                                  "rounds": args.rounds, "files": "in the system's cache"}
    report.add(figures, subject.name, conditions, subject.geometry)
    return interrupted
