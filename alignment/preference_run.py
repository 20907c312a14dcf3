"""A preference run: TRL's trainer around our model, our checkpoints, signals, the guard.

The only module that needs TRL at import. Checkpoints are ours, safetensors and JSON: transformers' own hold pickles.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from safetensors.torch import save_file
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from nimllm.alignment import preferences
from nimllm.alignment.guard import Guard, Measured
from nimllm.alignment.hf_model import from_run
from nimllm.alignment.hf_tokenizer import TurnTokenizer
from nimllm.alignment.preference import Outcome, PreferenceSettings, describe, messages
from nimllm.alignment.preference_display import PreferenceProgress
from nimllm.alignment.preferences import Preferences
from nimllm.errors import INTERRUPTED, TERMINATED, NimError
from nimllm.kernels.native import keep_freed_memory
from nimllm.llm import plots
from nimllm.llm.checkpoint import write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.device import pick_device
from nimllm.llm.generate import Generator
from nimllm.llm.optim import moments, restore_moments
from nimllm.llm.run_folder import METRICS, SAMPLES, read_metrics, rewind, write_json
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.train import Interrupted
from nimllm.llm.training_state import copy_weights, read_state, write_state

BETAS = (0.9, 0.95)


class OwnTokens:
    """TRL's collator, less what programs said: an output inside an answer is read and never learnt."""

    def __init__(self, collate: Callable[[list[dict[str, Any]]], dict[str, Any]], tokenizer: Tokenizer) -> None:
        self.collate, self.output, self.end = collate, tokenizer.marker("output"), tokenizer.marker("end")

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = self.collate(rows)
        for prefix in ("", "KL_"):
            if f"{prefix}completion_mask" in batch:
                ids, mask = batch[f"{prefix}input_ids"], batch[f"{prefix}completion_mask"]
                for row, start in (ids == self.output).nonzero().tolist():
                    ends = (ids[row, start:] == self.end).nonzero()
                    stop = start + int(ends[0]) + 1 if len(ends) else ids.shape[1]
                    mask[row, start:stop] = 0
        return batch


class PreferenceRun:
    """One run: model, reference, data, and the folder they are saved in."""

    def __init__(self, run: Path, out: Path, config: ModelConfig, tokenizer: Tokenizer, data: Preferences,
                 settings: PreferenceSettings, about: dict[str, Any], text: str | None,
                 trainer_class: type | None = None) -> None:
        self.run, self.out, self.config, self.tokenizer = run, out, config, tokenizer
        self.data, self.settings, self.about = data, settings, about
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.device = pick_device(settings.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.model, self.reference = from_run(run), from_run(run).eval()
        self.reference.requires_grad_(False)
        self.trainer = self._trainer(trainer_class)
        self.chief = self.trainer.accelerator.is_main_process
        self.guard: Guard | None = None
        if self.chief:
            coded = None
            if text is not None and text.strip():
                coded = ([tokenizer.bos, *tokenizer.encode(text)], len(text.encode()))
            generator = Generator.load(run, threads=min(2, torch.get_num_threads()))
            self.guard = Guard(self.reference, generator, data.held_out, coded, settings.budgets, settings.sampled,
                               settings.sample_tokens, settings.seed)

    # -- what TRL is given -----------------------------------------------------------------------------------------

    def _trainer(self, trainer_class: type | None) -> Any:
        s, cpu = self.settings, self.device.type == "cpu"
        bf16 = s.dtype == "bf16" or (s.dtype == "auto" and self.device.type == "cuda" and
                                     torch.cuda.is_bf16_supported())
        options: dict[str, Any] = dict(
            output_dir=str(self.out), beta=s.beta, learning_rate=s.lr, num_train_epochs=s.epochs,
            per_device_train_batch_size=s.batch, gradient_accumulation_steps=s.accumulate, seed=s.seed,
            data_seed=s.seed, weight_decay=s.weight_decay, max_grad_norm=s.clip, lr_scheduler_type="cosine",
            warmup_steps=s.warmup, logging_steps=1, save_strategy="no", eval_strategy="no", report_to="none",
            disable_tqdm=True, log_level="error", log_level_replica="error", use_cpu=cpu, bf16=bf16,
            gradient_checkpointing=False, max_length=self.config.context, pad_to_multiple_of=None,
            dataloader_drop_last=True, dataloader_pin_memory=not cpu, ddp_find_unused_parameters=False,
            train_sampling_strategy="sequential",
        )  # fmt: skip
        rows = self._rows()
        if len(rows) < s.batch * int(os.environ.get("WORLD_SIZE", "1")):
            raise NimError("there is too little preference data", f"{len(rows)} rows make no batch of {s.batch}",
                           "give more, or a smaller --batch")
        kind: Any = trainer_class or {"dpo": DPOTrainer, "kto": KTOTrainer}[s.method]
        if s.method == "kto":
            good, bad = sum(rows["label"]), len(rows) - sum(rows["label"])
            # both kinds weigh alike: the paper's equation 8, at its lower end
            options |= {"desirable_weight": max(1.0, bad / good), "undesirable_weight": max(1.0, good / bad)}
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=s.lr, betas=BETAS, weight_decay=s.weight_decay)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names that this or the next version of transformers calls old
            arguments: Any = {"dpo": DPOConfig, "kto": KTOConfig}[s.method](**options)
            if arguments.n_gpu > 1:
                arguments._n_gpu = 1  # nn.DataParallel is not for this; torchrun uses them all
            trainer = kind(model=self.model, ref_model=self.reference, args=arguments, train_dataset=rows,
                           processing_class=TurnTokenizer(self.tokenizer), optimizers=(optimizer, None))
        trainer.data_collator = OwnTokens(trainer.data_collator, self.tokenizer)
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _rows(self) -> Dataset:
        """What is trained on, in an order of its own: KTO's trainer needs a fixed one."""
        rows: list[dict[str, Any]]
        if self.settings.method == "dpo":
            order = random.Random(self.settings.seed).sample(self.data.pairs, len(self.data.pairs))
            rows = [{"prompt": messages(pair.prompt), "chosen": messages(pair.chosen),
                     "rejected": messages(pair.rejected)} for pair in order]
        else:
            judged = preferences.batched(self.data.judged, self.settings.batch, self.settings.seed)
            rows = [{"prompt": messages(row.prompt), "completion": messages(row.answer), "label": row.good}
                    for row in judged]
        return Dataset.from_list(rows)

    # -- checkpoints -------------------------------------------------------------------------------------------------

    @property
    def last(self) -> Path:
        return self.out / "last.safetensors"

    def save(self, state: TrainerState, optimizer: Any, seconds: float, course: Mapping[str, Any]) -> None:
        """Weights, moments, the trainer's state and the guard's in one file, replaced atomically."""
        plain = {"global_step": state.global_step, "epoch": state.epoch, "max_steps": state.max_steps,
                 "num_train_epochs": state.num_train_epochs, "train_batch_size": state.train_batch_size}
        about = {"step": str(state.global_step), "best": repr(course["kept"]["wins"]), "seconds": repr(seconds),
                 "state": json.dumps(plain), "course": json.dumps(course), "data": self.about["data"]["sha256"]}
        write_state(self.last, self.model.named_parameters(), moments(self.model, [_bare(optimizer)]), about)

    def restore(self) -> tuple[dict[str, str], dict[str, Tensor]] | None:
        """(metadata, moments) of the last checkpoint, its weights put into the model; None when there is none yet."""
        if not self.last.exists():
            return None  # killed before the first checkpoint: the same seed starts the same trace from step 0
        weights, saved, about = read_state(self.last)
        if about.get("data") != self.about["data"]["sha256"]:
            raise NimError(f"{self.last} is of another run", "it was made with other preferences",
                           "delete it to start the run again from its first step")
        copy_weights(self.model, weights, self.last)
        return about, saved

    # -- the run -----------------------------------------------------------------------------------------------------

    def fit(self, say: Callable[[str], None], show: Callable[[PreferenceProgress], None] | None, resume: bool
            ) -> Outcome:
        """To the last step. SIGINT and SIGTERM end it after the current step, with everything saved; a second one at
        once."""
        found = self.restore() if resume else None
        course = Course(self, say, show, found)
        folder: Path | None = None
        if found is not None:  # what transformers wants to see of a checkpoint, without its pickles
            folder = self.out / f".resume-{os.environ.get('RANK', '0')}"
            folder.mkdir(exist_ok=True)
            (folder / "trainer_state.json").write_text(json.dumps(
                asdict(TrainerState()) | json.loads(found[0]["state"]) | {"logging_steps": 1}), "utf-8")
            save_file({name: p.detach().cpu().contiguous() for name, p in self.model.named_parameters()},
                      folder / "model.safetensors", {"format": "pt"})
        self.trainer.add_callback(course)
        try:
            if not course.finished:
                with course.signals(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self.trainer.train(resume_from_checkpoint=str(folder) if folder else None)
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        if course.asked and not course.finished:
            raise Interrupted(f"stopped at step {course.step} of {course.steps}", "everything is saved",
                              "go on with --resume", TERMINATED if signal.SIGTERM in course.asked else INTERRUPTED)
        return course.outcome()


def _bare(optimizer: Any) -> Any:
    """The optimizer inside accelerate's."""
    return getattr(optimizer, "optimizer", optimizer)


class Course(TrainerCallback):
    """What happens around the steps: the guard, checkpoints, metrics, signals."""

    def __init__(self, run: PreferenceRun, say: Callable[[str], None],
                 show: Callable[[PreferenceProgress], None] | None,
                 found: tuple[dict[str, str], dict[str, Tensor]] | None) -> None:
        self.run, self.say, self.show, self.found = run, say, show, found
        self.step = self.steps = 0
        self.first = 0  # step this process began at
        self.asked: list[int] = []
        self.stopped: tuple[str, ...] = ()
        self.kept: Measured | None = None
        self.newest: Measured | None = None
        self.fresh = False
        self.finished = False
        self.due = False  # a checkpoint
        self.before = 0.0  # tokens of the processes that this one goes on from
        self.seconds, self.saved, self.began, self.speed, self.tokens = 0.0, time.monotonic(), 0.0, 0.0, 0.0
        if found is not None:
            state, course = json.loads(found[0]["state"]), json.loads(found[0]["course"])
            self.step, self.steps, self.seconds = state["global_step"], state["max_steps"], float(found[0]["seconds"])
            self.stopped, self.tokens = tuple(course["stopped"]), course["tokens"]
            self.before = self.tokens
            self.kept, self.newest = (_measured(course[name]) for name in ("kept", "newest"))
            if run.guard is not None:
                run.guard.baseline = _measured(course["baseline"])
            self.baseline = _measured(course["baseline"])
            self.finished = bool(self.stopped) or self.step >= self.steps
        else:
            self.baseline = None

    # -- signals -----------------------------------------------------------------------------------------------------

    def signals(self) -> Any:
        """A context in which the first signal is noted and the second one ends the program."""
        from contextlib import contextmanager

        def asked(number: int, frame: FrameType | None) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked.append(number)

        @contextmanager
        def listening() -> Any:
            try:
                before = [(number, signal.signal(number, asked)) for number in (signal.SIGINT, signal.SIGTERM)]
            except ValueError:
                before = []  # not in the main thread: signals stay with whoever owns them
            try:
                yield
            finally:
                for number, handler in before:
                    signal.signal(number, handler)

        return listening()

    # -- transformers' hooks -----------------------------------------------------------------------------------------

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
                       ) -> None:
        self.steps, self.first = state.max_steps, state.global_step
        if self.found is not None:
            restore_moments(self.run.model, [_bare(given["optimizer"])], self.found[1])
            schedule = given["lr_scheduler"]
            inner = getattr(schedule, "scheduler", schedule)
            inner.last_epoch = inner._step_count = state.global_step
            rates = [base * factor(state.global_step) for base, factor in zip(inner.base_lrs, inner.lr_lambdas,
                                                                              strict=True)]
            for group, rate in zip(inner.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
            inner._last_lr = rates
            self.say_chief(f"{self.steps} steps, resumed after step {state.global_step}")
        else:
            self.say_chief(f"{self.steps} steps of {self.run.settings.batch * self.run.settings.accumulate} "
                           f"{'pairs' if self.run.settings.method == 'dpo' else 'answers'}")
        if self.run.chief:
            describe(self.run.out, self.run.config, self.run.tokenizer, self.run.settings, steps=self.steps)
            rewind(self.run.out, state.global_step)
            if self.baseline is None:
                self._measure(0)
        self.began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        self.step = state.global_step
        settings = self.run.settings
        took = time.monotonic() - self.began
        self.seconds += took
        self.took = took
        every = settings.guard_every or max(1, round(self.steps / 10))
        if settings.guard != "off" and (self.step % every == 0 or self.step == self.steps):
            self._watch()
        enough = settings.stop_after and self.step - self.first >= settings.stop_after
        stop = self._agree(bool(self.asked) or bool(enough))
        if stop and not self.asked:
            self.asked.append(signal.SIGINT)
        if self.stopped or stop:
            control.should_training_stop = True
        self.finished = bool(self.stopped) or self.step == self.steps
        self.due = self.finished or stop or time.monotonic() - self.saved > settings.save_seconds

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
               logs: dict[str, float] | None = None, **given: Any) -> None:
        if logs is None or "loss" not in logs or not self.run.chief:
            self.began = time.monotonic()
            return
        tokens = self.before + float(logs.get("num_tokens", 0.0))  # TRL counts those of this process
        new, self.tokens = tokens - self.tokens, tokens
        rate = new / max(self.took, 1e-9)
        self.speed = rate if not self.speed else 0.9 * self.speed + 0.1 * rate
        names = {"rewards/margins": "margin", "rewards/accuracies": "accuracy", "rewards/chosen": "reward_chosen",
                 "rewards/rejected": "reward_rejected", "logps/chosen": "logp_chosen",
                 "logps/rejected": "logp_rejected", "kl": "z_ref", "entropy": "entropy", "grad_norm": "grad_norm"}
        row: dict[str, Any] = {"step": self.step, "loss": round(float(logs["loss"]), 6),
                               "lr": float(logs.get("learning_rate", 0.0)), "tokens": round(tokens),
                               "tok_s": round(rate), "seconds": round(self.seconds, 2)}
        row |= {ours: round(float(logs[theirs]), 6) for theirs, ours in names.items() if theirs in logs}
        if self.fresh and self.newest is not None:
            row |= {f"held_{name}": value for name, value in self.newest.row().items()}
        with open(self.run.out / METRICS, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self.show is not None:
            left = (self.steps - self.step) * self.seconds / max(1, self.step)
            self.show(PreferenceProgress(
                self.step, self.steps, row["loss"], row["lr"], self.speed, left, row.get("margin"),
                row.get("accuracy"), row.get("logp_chosen"), row.get("logp_rejected"), row.get("z_ref"),
                row.get("entropy"), self.newest, self.fresh))
        self.fresh = False
        if self.due:  # not at the step's end: the tokens are known only now
            self.run.save(state, given["optimizer"], self.seconds, self._course())
            self.saved, self.due = time.monotonic(), False
        self.began = time.monotonic()

    # -- the guard ---------------------------------------------------------------------------------------------------

    def _measure(self, step: int) -> Measured:
        """Measures the model as it is now, and keeps it when it is the best within the budgets."""
        guard, run = self.run.guard, self.run
        assert guard is not None  # the chief has one
        candidate = run.out / "candidate.safetensors"
        training = run.model.training
        run.model.eval()
        write_tensors(candidate, run.model.to_numpy(), "fp32", {"step": str(step)})
        found = guard.measure(run.model, candidate, step)
        run.model.train(training)
        self.newest, self.fresh = found, True
        if self.baseline is None:
            self.baseline = found
        if self.kept is None or (not guard.passed(found) and found.better(self.kept)):
            self.kept = found
            candidate.replace(run.out / "model.safetensors")
        else:
            candidate.unlink()
        with open(run.out / SAMPLES, "a", encoding="utf-8") as file:
            file.write(f"--- step {step}, wins {found.wins:.0%}, KL {found.kl:.4f}\n" + "\n".join(found.shown) + "\n")
        write_json(run.out / "preference.json", run.about | self._course())
        return found

    def _finite(self) -> bool:
        return all(bool(torch.isfinite(parameter).all()) for parameter in self.run.model.parameters())

    def _watch(self) -> None:
        stopped: list[Any] = [()]
        if self.run.chief:
            assert self.run.guard is not None
            lost = not self._finite()  # nothing can be measured any more, nor learnt
            said = ("the weights are not finite any more",) if lost else tuple(
                self.run.guard.passed(self._measure(self.step)))
            if said and (lost or self.run.settings.guard == "stop"):
                stopped = [said]
            elif said:
                self.say_chief(f"a budget was passed at step {self.step}: {'; '.join(said)}")
        if self.run.trainer.accelerator.num_processes > 1:
            broadcast_object_list(stopped, from_process=0)
        self.stopped = tuple(stopped[0])
        if self.stopped and self.run.chief:
            write_json(self.run.out / "preference.json", self.run.about | self._course())

    def _agree(self, stop: bool) -> bool:
        """Whether any process was asked to stop: all must leave the loop at the same step."""
        accelerator = self.run.trainer.accelerator
        if accelerator.num_processes == 1:
            return stop
        flags = accelerator.gather(torch.tensor([int(stop)], device=accelerator.device))
        return bool(flags.any())

    def _course(self) -> dict[str, Any]:
        return {"stopped": list(self.stopped), "tokens": self.tokens} | {
            name: None if found is None else asdict(found)
            for name, found in (("baseline", self.baseline), ("kept", self.kept), ("newest", self.newest))}

    def outcome(self) -> Outcome:
        """After the last step; with the guard off, the last weights are the ones kept."""
        run = self.run
        if run.chief and run.settings.guard == "off" and not self.stopped:
            if not self._finite():
                raise NimError("the weights became infinite or no number", "the learning rate is too high for this "
                               "model", "start again with a smaller --lr")
            self.kept = None
            self._measure(self.step)
        if run.chief:
            plots.save_png(run.out / "loss.png", [(run.out.name, read_metrics(run.out)[0], [])], run.out.name)
        course: list[Any] = [self._course()]
        if run.trainer.accelerator.num_processes > 1:
            broadcast_object_list(course, from_process=0)
        baseline, kept = (_measured(course[0][name]) for name in ("baseline", "kept"))
        assert baseline is not None and kept is not None
        return Outcome(self.step, self.steps, baseline, kept, self.stopped)

    def say_chief(self, text: str) -> None:
        if self.run.chief:
            self.say(text)


def _measured(found: Any) -> Measured | None:
    if found is None:
        return None
    return Measured(**(found | {"shown": tuple(found["shown"])}))
