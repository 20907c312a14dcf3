"""The same books by plain fine-tuning of a copy: every weight, Adam, as many steps on the same chunks, no gate."""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from nimllm.alignment.memory.books import Book, row_bytes
from nimllm.alignment.memory.curvature import mean_loss, to_array
from nimllm.alignment.memory.study import Show, Stop, Stopped, Study, StudyProgress, chunks_of, gradient_of, measure
from nimllm.errors import UsageError
from nimllm.llm.model import GPT

SAVE_SECONDS = 60.0


class FineTuning:
    """A copy of the weights as they were when the study began, with its own working file. Adam: Kingma and Ba 2015."""

    def __init__(self, study: Study, show: Show, stop: Stop) -> None:
        self.study, self.show, self.stop = study, show, stop
        self.model = GPT(study.store.config).eval()
        self.parameters = dict(self.model.named_parameters())
        self.optimizer = torch.optim.Adam(list(self.parameters.values()), lr=study.settings.plain_lr)
        found = None if study.fresh else study.state.read("plain")
        if found is None and not study.fresh:
            raise UsageError("this study began without --compare", "the weights it began with are not kept",
                             "go on without it, or read the books --again when it is finished")
        self.about: dict[str, Any] = found[1] if found else {"book": 0, "chunk": 0, "steps": 0, "general": math.nan}
        if found is None:
            self.model.load_numpy(study.store.current())
            self.about["general"] = mean_loss(self.model, study.session.curvature.judged, study.tokenizer.pad)
            self.save()
        else:
            self.model.load_numpy({name: found[0][f"weights::{name}"] for name in self.parameters})
            if self.about["steps"]:
                for name, parameter in self.parameters.items():
                    self.optimizer.state[parameter] = {
                        "step": torch.tensor(float(self.about["steps"])),
                        "exp_avg": torch.from_numpy(found[0][f"first::{name}"].copy()),
                        "exp_avg_sq": torch.from_numpy(found[0][f"second::{name}"].copy())}

    def save(self) -> None:
        arrays = {f"weights::{name}": to_array(parameter) for name, parameter in self.parameters.items()}
        for name, parameter in self.parameters.items():
            moments = self.optimizer.state.get(parameter)
            if moments:
                arrays[f"first::{name}"] = to_array(moments["exp_avg"])
                arrays[f"second::{name}"] = to_array(moments["exp_avg_sq"])
        self.study.state.write("plain", arrays, self.about)

    def __call__(self, index: int, book: Book) -> dict[str, Any]:
        """Reads a book (-1: none), and measures."""
        if index >= 0 and self.about["book"] <= index:
            self.read(index, book)
        return measure(self.model, self.study)

    def read(self, index: int, book: Book) -> None:
        tokenizer, settings = self.study.tokenizer, self.study.settings
        chunks = chunks_of(book, settings.rows)
        began = saved = time.monotonic()
        first = self.about["chunk"]
        for number in range(first, len(chunks)):
            if self.stop():
                self.save()
                raise Stopped(f"{number} of {len(chunks)} chunks of {book.name} are read by fine-tuning")
            rows, before = chunks[number], math.nan
            for step in range(settings.steps):
                self.optimizer.zero_grad()
                loss = gradient_of(self.model, rows, tokenizer.pad)
                before = loss if step == 0 else before
                self.optimizer.step()
                self.about["steps"] += 1
            self.about["chunk"] = number + 1
            judged = mean_loss(self.model, self.study.session.curvature.judged, tokenizer.pad)
            per_byte = sum(len(row) - 1 for row in rows) / math.log(2) / max(1, row_bytes(tokenizer, rows))
            self.show(StudyProgress(
                "plain", book.name, number + 1, len(chunks), before * per_byte,
                mean_loss(self.model, rows, tokenizer.pad) * per_byte, math.exp(judged - self.about["general"]), True,
                (time.monotonic() - began) / (number + 1 - first) * (len(chunks) - number - 1)))
            if time.monotonic() - saved > SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
        self.optimizer.zero_grad()
        self.about |= {"book": index + 1, "chunk": 0}
        self.save()
