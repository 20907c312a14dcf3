"""The training loop: one function from shards to a run folder, exactly resumable.

Everything random is a pure function of (seed, step): the data order (``batches.py``), dropout and samples. A checkpoint
holds weights, moments and the step in one file that is replaced atomically, so a run killed at any moment goes on with
the same loss trace as one that was never killed (same machine, threads and settings).
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from nimllm.errors import CONFIG, INTERRUPTED, TERMINATED, NimError
from nimllm.kernels.native import keep_freed_memory
from nimllm.llm import plots
from nimllm.llm.batches import open_rows
from nimllm.llm.checkpoint import write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.model import GPT, KeyValues
from nimllm.llm.optim import clip_and_step, moments, optimizers, restore_moments, schedule, set_rate
from nimllm.llm.settings import TrainSettings
from nimllm.llm.shards import Shard
from nimllm.llm.tokenizer import Tokenizer


@dataclass(frozen=True)
class Progress:
    """What the display shows after a step."""

    step: int
    steps: int
    loss: float
    lr: float
    tokens_per_second: float
    eta: float  # seconds
    validation: float | None = None
    bits_per_byte: float | None = None
    best: float | None = None
    sample: str | None = None


@dataclass(frozen=True)
class Outcome:
    step: int
    loss: float
    validation: float
    bits_per_byte: float
    seconds: float


class Interrupted(NimError):
    """The run was stopped by a signal after its last step was saved."""


def pick_device(wanted: str) -> torch.device:
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise NimError(f"cannot use the device {wanted!r}", str(error).split("\n")[0], "use --device cpu") from None
    return device


def gains_by_bf16(device: torch.device) -> bool:
    """Whether matrix products in bf16 are faster than in fp32: tensor cores, or AVX-512 BF16 / AMX on a CPU."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        try:
            flags = Path("/proc/cpuinfo").read_text("utf-8", "replace")
        except OSError:
            return False
        return "avx512_bf16" in flags or "amx_bf16" in flags
    return False


def write_json(path: Path, data: Any) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _trim_heap() -> None:
    """Give freed memory back to the system. Tensors of ever-changing sizes (the learnt rows of a batch) fragment the
    heap of glibc: without this a run of nimllm-10m grew by 10 MB a step."""
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass  # another C library


class Trainer:
    """One run: model, optimizers, data and the folder they are saved in."""

    def __init__(
        self,
        config: ModelConfig,
        settings: TrainSettings,
        run: Path,
        tokenizer: Tokenizer,
        train: Path,
        validation: Path,
        bytes_per_token: float,
        start: Path | None = None,
        resume: bool = False,
    ) -> None:
        self.config, self.settings, self.run, self.tokenizer = config, settings, run, tokenizer
        self.bytes_per_token = bytes_per_token
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.device = pick_device(settings.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.bf16 = settings.dtype == "bf16" or (settings.dtype == "auto" and gains_by_bf16(self.device))
        self.train = open_rows(Shard(train), config.context, settings, tokenizer, training=True)
        self.validation = open_rows(Shard(validation), config.context, settings, tokenizer, training=False)
        torch.manual_seed(settings.seed)
        self.model = GPT(config)
        self.model.reset(torch.Generator().manual_seed(settings.seed))
        self.step, self.best, self.seconds = 0, math.inf, 0.0
        if start is not None and not resume:
            from nimllm.llm.checkpoint import check_tensors, read_tensors

            tensors = read_tensors(start)
            check_tensors(config, tensors, start)
            self.model.load_numpy(tensors)
        self.model.to(self.device)
        self.optimizers = optimizers(self.model, settings)
        if resume:
            self._restore()
        if settings.compile:  # the head picks its rows by the targets, which no graph can hold
            self.model.model.compile()

    # -- checkpoints ---------------------------------------------------------------------------------------------

    @property
    def last(self) -> Path:
        return self.run / "last.safetensors"

    def save(self) -> None:
        """Weights, moments and position in one file, replaced atomically."""
        tensors = {f"weight::{name}": p.detach().cpu().contiguous() for name, p in self.model.named_parameters()}
        tensors |= {
            f"moment::{name}": t.detach().cpu().contiguous().clone() for name, t in moments(self.model, self.optimizers)
        }
        about = {
            "step": str(self.step),
            "best": repr(self.best),
            "seconds": repr(self.seconds),
            "settings": self._identity(),
        }
        temporary = self.last.with_name(self.last.name + ".tmp")
        try:
            save_file(tensors, temporary, about)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(self.last)
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            raise NimError(
                f"cannot write the checkpoint {self.last}",
                str(error),
                "free some space and run again with --resume; the last good checkpoint is kept",
            ) from None

    def _identity(self) -> str:
        """What must be the same for a resume to continue the same trace."""
        keep = self.settings.model_dump(
            exclude={"stop_after", "save_seconds", "device", "threads", "sample", "sample_tokens", "compile"}
        )
        return json.dumps({"model": self.config.model_dump(), "settings": keep}, sort_keys=True)

    def _restore(self) -> None:
        if not self.last.exists():
            return  # killed before the first checkpoint: the same seed starts the same trace from step 0
        try:
            with safe_open(self.last, "pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise NimError(
                f"the checkpoint {self.last} is damaged",
                str(error),
                "delete it to start the run again from its first step",
            ) from None
        if about.get("settings") != self._identity():
            raise NimError(
                f"{self.run} was trained with other settings",
                "a resumed run must have the settings it was started with",
                "leave out the options that differ, or choose another --out",
            )
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors[f"weight::{name}"])
        restore_moments(
            self.model, self.optimizers, {name[8:]: t for name, t in tensors.items() if name.startswith("moment::")}
        )
        self.step, self.best, self.seconds = int(about["step"]), float(about["best"]), float(about["seconds"])

    def _keep_best(self) -> None:
        write_tensors(self.run / "model.safetensors", self.model.to_numpy(), "fp32", {"step": str(self.step)})

    # -- one step ------------------------------------------------------------------------------------------------

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def train_step(self) -> tuple[float, float]:
        """One optimizer step; (mean loss in nats per learnt token, learning rate)."""
        s = self.settings
        rate = s.lr * schedule(self.step, s.steps, s.warmup, s.schedule, s.floor, s.cooldown)
        set_rate(self.optimizers, rate)
        torch.manual_seed(s.seed * 1_000_003 + self.step)
        rows = s.batch_rows
        micro = [self.train.batch((self.step * s.accumulate + i) * rows, rows) for i in range(s.accumulate)]
        learnt = [batch.learnt for batch in micro]
        total, loss_sum = max(1, sum(learnt)), torch.zeros((), device=self.device)
        self.model.train()
        for batch, count in zip(micro, learnt, strict=True):
            if not count:
                continue
            batch = batch.to(self.device)
            with self._autocast():
                loss = self.model(batch.inputs, batch.targets, documents=batch.documents)
            share = count / total  # micro-batches weigh by their learnt tokens: accumulation changes nothing
            (loss * share).backward()
            loss_sum += loss.detach() * share
        clip_and_step(self.model, self.optimizers, s.clip)
        self.step += 1
        loss = float(loss_sum)
        if not math.isfinite(loss):
            raise NimError(
                f"the loss became {loss} at step {self.step}",
                "the learning rate is too high for this model",
                "start again with a smaller --lr; the last good checkpoint is kept",
                CONFIG,
            )
        return loss, rate

    @torch.no_grad()
    def evaluate(self) -> float:
        """Mean validation loss in nats per learnt token over the first ``eval_rows`` windows (always the same ones)."""
        self.model.eval()
        total, count = 0.0, 0
        rows = min(self.settings.eval_rows, self.validation.count)
        for first in range(0, rows, self.settings.batch_rows):
            batch = self.validation.batch(first, min(self.settings.batch_rows, rows - first))
            learnt = batch.learnt
            if learnt:
                batch = batch.to(self.device)
                with self._autocast():
                    total += float(self.model(batch.inputs, batch.targets, documents=batch.documents)) * learnt
                count += learnt
        return total / count if count else math.nan

    @torch.no_grad()
    def sample(self) -> str:
        """A short text at temperature 0.8; its randomness does not touch the run's."""
        self.model.eval()
        rng = torch.Generator().manual_seed(self.settings.seed + self.step)
        ids = [self.tokenizer.bos, *self.tokenizer.encode(self.settings.sample)]
        cache, new = KeyValues(), ids
        for _ in range(min(self.settings.sample_tokens, self.config.context - len(ids))):
            logits = self.model(torch.tensor([new], device=self.device), cache=cache)[0, -1].float().cpu()
            choice = int(torch.multinomial(torch.softmax(logits / 0.8, 0), 1, generator=rng))
            if choice == self.tokenizer.eos:
                break
            ids.append(choice)
            new = [choice]
        return self.tokenizer.decode(ids[1:])

    # -- the run -------------------------------------------------------------------------------------------------

    def _rewind_metrics(self) -> None:
        """Drop the rows that were written after the checkpoint we start from."""
        path = self.run / "metrics.jsonl"
        if not path.exists():
            return
        rows = []
        for line in path.read_text("utf-8", "replace").splitlines():
            try:
                if json.loads(line)["step"] <= self.step:
                    rows.append(line)
            except (json.JSONDecodeError, KeyError, TypeError):
                continue  # the last line of a killed process
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text("".join(row + "\n" for row in rows), "utf-8")
        temporary.replace(path)

    def fit(self, show: Callable[[Progress], None] | None = None) -> Outcome:
        """Run to the last step. SIGINT and SIGTERM end it after the current step, with everything saved."""
        s = self.settings
        stop: list[int] = []

        def asked(number: int, frame: FrameType | None) -> None:
            stop.append(number)

        main_thread = signal.getsignal(signal.SIGINT) is not None
        try:
            previous = [(number, signal.signal(number, asked)) for number in (signal.SIGINT, signal.SIGTERM)]
        except ValueError:
            main_thread, previous = False, []  # not in the main thread: signals stay with whoever owns them
        self._rewind_metrics()
        tokens = s.batch_rows * s.accumulate * self.config.context
        saved = time.monotonic()
        loss = validation = math.nan
        first, speed = self.step, 0.0
        try:
            with open(self.run / "metrics.jsonl", "a", encoding="utf-8") as log:
                while self.step < s.steps:
                    began = time.monotonic()
                    loss, rate = self.train_step()
                    took = time.monotonic() - began
                    self.seconds += took
                    speed = tokens / took if not speed else 0.9 * speed + 0.1 * tokens / took
                    row: dict[str, Any] = {
                        "step": self.step,
                        "loss": round(loss, 6),
                        "lr": rate,
                        "tokens": self.step * tokens,
                        "tok_s": round(tokens / took),
                        "seconds": round(self.seconds, 2),
                    }
                    event: dict[str, Any] = {}
                    if self.step % s.eval_every == 0 or self.step == s.steps:
                        validation = self.evaluate()
                        bits = validation / math.log(2) / self.bytes_per_token
                        row |= {"val_loss": round(validation, 6), "val_bpb": round(bits, 6)}
                        event = {"validation": validation, "bits_per_byte": bits, "sample": self.sample()}
                        with open(self.run / "samples.txt", "a", encoding="utf-8") as samples:
                            samples.write(
                                f"--- step {self.step}, validation loss {validation:.4f}\n{event['sample']}\n"
                            )
                    log.write(json.dumps(row) + "\n")
                    log.flush()
                    if event and not validation >= self.best:
                        self.best = validation
                        self._keep_best()
                    if show is not None:
                        left = (s.steps - self.step) * tokens / speed
                        show(Progress(self.step, s.steps, loss, rate, speed, left, best=self.best, **event))
                    enough = s.stop_after and self.step - first >= s.stop_after
                    if stop or enough or self.step == s.steps or time.monotonic() - saved > s.save_seconds:
                        self.save()
                        _trim_heap()
                        saved = time.monotonic()
                    if (stop or enough) and self.step < s.steps:
                        raise Interrupted(
                            f"stopped at step {self.step} of {s.steps}",
                            "everything is saved",
                            "go on with --resume",
                            TERMINATED if signal.SIGTERM in stop else INTERRUPTED,
                        )
        finally:
            if main_thread:
                for number, handler in previous:
                    signal.signal(number, handler)
        self.plot()
        if math.isnan(validation):
            validation = self.evaluate()
        if not (self.run / "model.safetensors").exists():
            self._keep_best()
        return Outcome(self.step, loss, validation, validation / math.log(2) / self.bytes_per_token, self.seconds)

    def plot(self) -> str:
        """Write loss.png (where matplotlib is installed) and return the terminal plot."""
        train, validation = read_metrics(self.run)
        plots.save_png(self.run / "loss.png", train, validation, self.run.name)
        return plots.terminal_plot(train)


def read_metrics(run: Path) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(step, loss) and (step, validation loss) of a run's metrics.jsonl."""
    train: list[tuple[float, float]] = []
    validation: list[tuple[float, float]] = []
    for line in (run / "metrics.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        train.append((row["step"], row["loss"]))
        if "val_loss" in row:
            validation.append((row["step"], row["val_loss"]))
    return train, validation
