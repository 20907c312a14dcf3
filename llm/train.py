"""The training loop: one function from shards to a run folder, exactly resumable, in one process or several.

Everything random is a pure function of (seed, step): the data order (``batches.py``), dropout and samples. A checkpoint
holds weights, moments and the step in one file that is replaced atomically, so a run killed at any moment goes on with
the same loss trace as one that was never killed (same machine, threads and settings).

Several processes (``distributed.py``) divide the rows of each step among them and weigh their losses by the tokens that
all of them learn, so they see what one process sees and compute the same gradient up to rounding; a run may be resumed
with another number of them. Only dropout differs: every process draws its own.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from nimllm.errors import CONFIG, INTERRUPTED, TERMINATED, NimError
from nimllm.kernels.native import keep_freed_memory
from nimllm.llm import plots
from nimllm.llm.batches import Batch, open_rows
from nimllm.llm.checkpoint import write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.device import gains_by_bf16, operations, peak, pick_device
from nimllm.llm.distributed import Group
from nimllm.llm.model import GPT, IGNORE, KeyValues
from nimllm.llm.optim import schedule, set_rate
from nimllm.llm.parallel import Copies, Shards
from nimllm.llm.progress import Outcome, Progress
from nimllm.llm.run_folder import METRICS, add_sample, hold, read_curves, read_metrics, rewind, write_json
from nimllm.llm.settings import TrainSettings
from nimllm.llm.shards import Shard
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.training_state import copy_weights, give_back_freed_memory, read_state, write_state

__all__ = ["Interrupted", "Outcome", "Progress", "Trainer", "pick_device", "read_metrics", "write_json"]


class Interrupted(NimError):
    """The run was stopped by a signal after its last step was saved."""


class Trainer:
    """One run: model, optimizers, data and the folder they are saved in. ``group``: the processes that share it;
    ``shard``: each of them holds a part of the model only."""

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
        group: Group | None = None,
        shard: bool = False,
    ) -> None:
        self.config, self.settings, self.run, self.tokenizer = config, settings, run, tokenizer
        self.bytes_per_token = bytes_per_token
        self.group = group or Group()
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.device = pick_device(settings.device, self.group.local)
        if self.device.type == "cpu":
            keep_freed_memory()
        elif self.group.size > 1:
            if self.device.type != "cuda":
                raise NimError(f"several processes cannot share the device {settings.device}", "",
                               "use --device cpu, or start one process")
            if self.device.index is None:
                self.device = torch.device("cuda", self.group.local)
            torch.cuda.set_device(self.device)
        self.bf16 = settings.dtype == "bf16" or (settings.dtype == "auto" and gains_by_bf16(self.device))
        self.train = open_rows(Shard(train), config.context, settings, tokenizer, training=True)
        self.validation = open_rows(Shard(validation), config.context, settings, tokenizer, training=False)
        self.bytes_per_token *= self.validation.tokens_per_prediction
        torch.manual_seed(settings.seed)
        self.model = GPT(config)
        self.model.reset(torch.Generator().manual_seed(settings.seed))
        self.step, self.best, self.seconds = 0, math.inf, 0.0
        self.gradient_norm = 0.0  # of the last step, before clipping
        if start is not None and not resume:
            from nimllm.llm.checkpoint import check_tensors, read_tensors

            tensors = read_tensors(start)
            check_tensors(config, tensors, start)
            self.model.load_numpy(tensors)
        self.model.to(self.device)
        states = self._restore() if resume else {}
        if self.group.size > 1:
            self.group.join("gloo" if self.device.type == "cpu" else "nccl")
        kind = Shards if shard and self.group.size > 1 else Copies
        self.parallel: Copies | Shards = kind(self.model, settings, self.group, states)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    @property
    def last(self) -> Path:
        return self.run / "last.safetensors"

    def save(self) -> None:
        """Weights, moments and position in one file, replaced atomically; by the first process."""
        about = {
            "step": str(self.step),
            "best": repr(self.best),
            "seconds": repr(self.seconds),
            "settings": self._identity(),
        }
        weights, states = self.parallel.weights(), self.parallel.moments()
        if self.group.first:
            write_state(self.last, weights, states, about)
        elif self.parallel.lockstep:
            deque(chain(weights, states), maxlen=0)  # send this process's parts of them

    def _identity(self) -> str:
        """What must be the same for a resume to continue the same trace."""
        keep = self.settings.model_dump(
            exclude={"stop_after", "save_seconds", "device", "threads", "sample", "sample_tokens", "compile"}
        )
        return json.dumps({"model": self.config.model_dump(), "settings": keep}, sort_keys=True)

    def _restore(self) -> dict[str, Tensor]:
        """Weights and position of the checkpoint; its moments."""
        if not self.last.exists():
            return {}  # killed before the first checkpoint: the same seed starts the same trace from step 0
        weights, states, about = read_state(self.last)
        if about.get("settings") != self._identity():
            raise NimError(
                f"{self.run} was trained with other settings",
                "a resumed run must have the settings it was started with",
                "leave out the options that differ, or choose another --out",
            )
        copy_weights(self.model, weights, self.last)
        self.step, self.best, self.seconds = int(about["step"]), float(about["best"]), float(about["seconds"])
        return states

    def _keep_best(self) -> None:
        weights = self.parallel.weights()
        if self.group.first:
            tensors = {name: weight.detach().float().cpu().numpy().copy() for name, weight in weights}
            write_tensors(self.run / "model.safetensors", tensors, "fp32", {"step": str(self.step)})
        elif self.parallel.lockstep:
            deque(weights, maxlen=0)

    # -- one step ------------------------------------------------------------------------------------------------

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def _loss(self, batch: Batch) -> Tensor:
        """Mean over the batch's learnt tokens."""
        batch = batch.to(self.device)
        forward = self.parallel.forward if self.model.training else self.model
        with self._autocast():
            return forward(batch.inputs, batch.targets, documents=batch.documents)

    def train_step(self) -> tuple[float, float]:
        """One optimizer step; (mean loss in nats per learnt token of all processes, learning rate)."""
        s, group = self.settings, self.group
        rate = s.lr * schedule(self.step, s.steps, s.warmup, s.schedule, s.floor, s.cooldown)
        set_rate(self.parallel.optimizers, rate)
        torch.manual_seed(s.seed * 1_000_003 + self.step + group.rank * 1_000_000_007)
        rows = s.batch_rows * s.accumulate
        part = group.part(rows)
        micro = [
            self.train.batch(self.step * rows + at, min(s.batch_rows, part.stop - at))
            for at in range(part.start, part.stop, s.batch_rows)
        ]
        work = [(batch, count) for batch in micro if (count := batch.learnt)]
        total, loss_sum = group.sum([sum(count for _, count in work)])[0], torch.zeros((), device=self.device)
        # the others wait for this process's share of the gradient, and of every layer: zeros where it has nothing
        least = math.ceil(math.ceil(rows / group.size) / s.batch_rows) if self.parallel.lockstep else 1
        if total and len(work) < least and group.size > 1:
            batch = self.train.batch(self.step * rows, 1)
            work += [(batch._replace(targets=torch.full_like(batch.targets, IGNORE)), 0)] * (least - len(work))
        self.model.train()
        for number, (batch, count) in enumerate(work, 1):
            share = count / total  # micro-batches weigh by their learnt tokens: accumulation changes nothing
            with self.parallel.backward(last=number == len(work)):
                mean = self._loss(batch)
                (mean * (share * group.size)).backward()  # the mean over processes, which DDP takes, becomes the sum
            if count:
                loss_sum += mean.detach() * share
        self.gradient_norm = self.parallel.step(s.clip)
        self.step += 1
        loss = group.sum([float(loss_sum)])[0]
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
        """Mean validation loss in nats per learnt token over the first ``eval_rows`` windows (always the same ones);
        the processes take turns with the batches."""
        self.model.eval()
        total, count = 0.0, 0
        rows, size = min(self.settings.eval_rows, self.validation.count), self.settings.batch_rows
        for turn in range(-(-rows // (size * self.group.size))):
            first = (turn * self.group.size + self.group.rank) * size
            mine = first < rows
            if not mine and not self.parallel.lockstep:
                continue
            batch = self.validation.batch(first if mine else 0, min(size, rows - first) if mine else 1)
            learnt = batch.learnt
            if learnt or self.parallel.lockstep:
                mean = float(self._loss(batch))
                total += mean * learnt if mine and learnt else 0.0
                count += learnt if mine else 0
        total, everywhere = self.group.sum([total, count])
        return total / everywhere if everywhere else math.nan

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
            if self.parallel.lockstep:  # one text in all processes, for they compute it together
                choice = int(self.group.sum([choice if self.group.first else 0])[0])
            if choice == self.tokenizer.eos:
                break
            ids.append(choice)
            new = [choice]
        return self.tokenizer.decode(ids[1:])

    # -- the run -------------------------------------------------------------------------------------------------

    def _peak(self) -> float | None:
        """Operations per second of all processes' devices together, None where one is unknown."""
        own = peak(self.device, self.bf16)
        total, unknown = self.group.sum([own or 0.0, own is None])
        return None if unknown else total

    def fit(self, show: Callable[[Progress], None] | None = None) -> Outcome:
        """Run to the last step. SIGINT and SIGTERM end it after the current step, with everything saved."""
        stop: list[int] = []

        def asked(number: int, frame: FrameType | None) -> None:
            stop.append(number)

        with ExitStack() as stack:
            if self.group.first:
                stack.enter_context(hold(self.run))
                rewind(self.run, self.step)
            try:
                for number in (signal.SIGINT, signal.SIGTERM):
                    stack.callback(signal.signal, number, signal.signal(number, asked) or signal.SIG_DFL)
            except ValueError:
                pass  # not in the main thread: signals stay with whoever owns them
            try:
                return self._fit(show, stop)
            except BrokenPipeError:
                raise  # whoever read the progress has gone
            except OSError as error:
                raise NimError(f"cannot write in the run folder {self.run}", error.strerror or str(error),
                               "mend that and go on with --resume") from None

    def _fit(self, show: Callable[[Progress], None] | None, stop: list[int]) -> Outcome:
        s, group = self.settings, self.group
        tokens = s.batch_rows * s.accumulate * self.config.context
        limit, cost = self._peak(), operations(self.config, self.config.context)
        saved = time.monotonic()
        loss = validation = math.nan
        first, speed = self.step, 0.0
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
                "gradient_norm": round(self.gradient_norm, 6),
                "tokens": self.step * tokens,
                "tok_s": round(tokens / took),
                "seconds": round(self.seconds, 2),
            }
            if limit:
                row["mfu"] = round(tokens / took * cost / limit, 5)
            event: dict[str, Any] = {}
            if self.step % s.eval_every == 0 or self.step == s.steps:
                validation = self.evaluate()
                bits = validation / math.log(2) / self.bytes_per_token
                row |= {"val_loss": round(validation, 6), "val_bpb": round(bits, 6)}
                event = {"validation": validation, "bits_per_byte": bits}
            if event and (group.first or self.parallel.lockstep):
                event["sample"] = self.sample()
            if group.first:
                if event:
                    add_sample(self.run, self.step, validation, event["sample"])
                with open(self.run / METRICS, "a", encoding="utf-8") as log:
                    log.write(json.dumps(row) + "\n")
            if event and not validation >= self.best:
                self.best = validation
                self._keep_best()
            if show is not None:
                left = (s.steps - self.step) * tokens / speed
                show(Progress(self.step, s.steps, loss, rate, speed, left, best=self.best,
                              tokens=row["tokens"], gradient_norm=self.gradient_norm,
                              utilisation=speed * cost / limit if limit else None, **event))  # fmt: skip
            due = group.first and time.monotonic() - saved > s.save_seconds
            interrupt, terminate, save = group.sum([signal.SIGINT in stop, signal.SIGTERM in stop, due])
            enough = s.stop_after and self.step - first >= s.stop_after
            ends = bool(interrupt or terminate or enough)  # in every process after the same step
            if ends or save or self.step == s.steps:
                self.save()
                give_back_freed_memory()
                saved = time.monotonic()
            if ends and self.step < s.steps:
                self.plot()
                group.sum([0.0])  # nobody ends before the checkpoint is written: torchrun would then end the writer
                raise Interrupted(
                    f"stopped at step {self.step} of {s.steps}",
                    "everything is saved",
                    "go on with --resume",
                    TERMINATED if terminate else INTERRUPTED,
                )
        self.plot()
        if math.isnan(validation):
            validation = self.evaluate()
        if math.isnan(loss) and group.first:  # it had come to its end before: the last one that was written
            loss = next((value for _, value in reversed(read_curves(self.run).train)), loss)
        if group.sum([group.first and not (self.run / "model.safetensors").exists()])[0]:
            self._keep_best()
        return Outcome(self.step, loss, validation, validation / math.log(2) / self.bytes_per_token, self.seconds)

    def plot(self) -> None:
        """Write loss.png, where matplotlib is installed."""
        if self.group.first:
            curves = read_curves(self.run)
            name = self.run.resolve().name
            plots.save_png(self.run / "loss.png", [(name, curves.train, curves.validation)], name)


if __name__ == "__main__":  # torchrun --nproc-per-node N -m nimllm.llm.train FILE …
    import runpy
    import sys

    sys.argv[1:1] = ["train"]
    runpy.run_module("nimllm", run_name="__main__")  # parsing, and errors as messages
