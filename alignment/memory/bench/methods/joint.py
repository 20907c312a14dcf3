"""Joint training on everything told so far, from the base: what weights of this shape can hold when nothing comes one
after the other. An upper bound, and not a way to learn from a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory.bench.methods.baseline import Weights, as_rows, of_row, still_true
from nimllm.alignment.memory.bench.methods.objective import Objective, Stays, beside
from nimllm.alignment.memory.bench.methods.settings import EPOCHS, JOINT_ROWS
from nimllm.alignment.memory.curvature import to_array
from nimllm.alignment.memory.gate import judge
from nimllm.alignment.memory.lessons import Lesson, Lessons
from nimllm.alignment.memory.state import Arrays
from nimllm.llm.model import GPT

AROUND = 2000  # lessons of what must stay that are kept, the latest
GOOD = 0.995  # share of the lessons that are answered when training ends


class Joint(Weights):
    """``learn`` only collects; :meth:`tensors` trains when it is asked, once per set of lessons. Every step sees
    JOINT_ROWS new lessons, a quarter as many of what must stay, and KL to the base on general text. A training that was
    killed goes on from its last epoch."""

    def take(self, episode: Episode, plan: Lessons) -> tuple[int, int]:
        held: list[Any] = self.about.setdefault("held", [])
        around = [[list(lesson.ids), list(lesson.learn), lesson.question, lesson.answer, None, lesson.pivot]
                  for lesson in beside(self.model, self.tokenizer, plan)]
        self.about["held"] = [*still_true(held, plan), *as_rows(plan)]
        self.about["around"] = [*self.about.get("around", []), *around][-AROUND:]
        return 0, sum(4 * len(row[0]) for row in (*as_rows(plan), *around))

    def arrays(self) -> Arrays:
        return {}  # the weights are the base's until they are asked for

    def restore(self, arrays: Arrays) -> None:
        pass

    def side_bytes(self) -> int:
        return self.state.bytes("state")

    def tensors(self) -> Mapping[str, np.ndarray]:
        held = [of_row(row) for row in self.about.get("held", [])]
        if not held:
            return self.base
        name = f"trained-{len(self.about['updates'])}"
        found = self.state.read(name)
        if found is None or not found[1]["done"]:
            self._train(name, held, [of_row(row) for row in self.about["around"]])
            found = self.state.read(name)
            assert found is not None
        return {key.removeprefix("weights::"): array for key, array in found[0].items() if key.startswith("weights::")}

    def _train(self, name: str, held: list[Lesson], around: list[Lesson]) -> None:
        """Writes ``name`` after every epoch: weights, Adam's moments, and whether it is done. ``self.model`` stays the
        base."""
        model = GPT(self.config).load_numpy(self.base).eval()
        parameters = dict(model.named_parameters())
        optimizer = torch.optim.Adam(list(parameters.values()), lr=float(self.point["lr"]))
        begun = self.state.read(name)
        epoch = 0
        if begun is not None:
            epoch = begun[1]["epoch"]
            model.load_numpy({key: begun[0][f"weights::{key}"] for key in parameters})
            for key, parameter in parameters.items():
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(begun[1]["steps"])),
                    "exp_avg": torch.from_numpy(begun[0][f"first::{key}"].copy()),
                    "exp_avg_sq": torch.from_numpy(begun[0][f"second::{key}"].copy())}
        steps = begun[1]["steps"] if begun is not None else 0
        done = False
        while not done:
            rng = self.rng("joint", name, epoch)
            order = rng.sample(held, len(held))
            for start in range(0, len(order), JOINT_ROWS):
                rows = order[start : start + JOINT_ROWS]
                rows += rng.sample(around, min(len(around), JOINT_ROWS // 4))
                general = Stays(model, self.some_general(rng), self.tokenizer.pad, before=self.model)
                optimizer.zero_grad()
                Objective(model, self.tokenizer.pad, self.settings, rows, extras=[general]).backward()
                optimizer.step()
                steps += 1
            epoch += 1
            _, right = judge(model, held)
            done = epoch >= EPOCHS or sum(right) >= GOOD * len(held)
            arrays = {f"weights::{key}": to_array(parameter) for key, parameter in parameters.items()}
            if not done:
                for key, parameter in parameters.items():
                    moments = optimizer.state[parameter]
                    arrays[f"first::{key}"] = to_array(moments["exp_avg"])
                    arrays[f"second::{key}"] = to_array(moments["exp_avg_sq"])
            self.state.write(name, arrays, {"done": done, "epoch": epoch, "steps": steps,
                                            "right": sum(right) / len(held)})
