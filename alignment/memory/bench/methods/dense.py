"""Every weight may move: full fine-tuning, and the same held by a diagonal EWC."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory.bench.methods.baseline import Weights, diagonal_fisher
from nimllm.alignment.memory.bench.methods.objective import Extra, Objective, beside, descend
from nimllm.alignment.memory.curvature import to_array
from nimllm.alignment.memory.lessons import Lessons
from nimllm.alignment.memory.sparse import polyak_step
from nimllm.alignment.memory.state import Arrays


class FullAdam(Weights):
    """Adam (Kingma and Ba 2015) on all parameters. Its moments begin anew with every episode: those of the last fact
    would push this one's first steps."""

    def extras(self) -> list[Extra]:
        return []

    def write(self, episode: Episode, plan: Lessons) -> None:
        around = beside(self.model, self.tokenizer, plan)
        objective = Objective(self.model, self.tokenizer.pad, self.settings, plan.new, lambda: around, self.extras())
        optimizer = torch.optim.Adam(list(self.parameters.values()), lr=float(self.point["lr"]))

        def take(loss: float) -> bool:
            optimizer.step()
            return True

        descend(objective, self.settings.max_steps, take)


class FullSGD(Weights):
    """Gradient descent on all parameters, each step normalised by the loss and the gradient's own length (Polyak's
    rule, as ours has it)."""

    def write(self, episode: Episode, plan: Lessons) -> None:
        around = beside(self.model, self.tokenizer, plan)
        objective = Objective(self.model, self.tokenizer.pad, self.settings, plan.new, lambda: around)

        def take(loss: float) -> bool:
            directions = {name: parameter.grad.clone() for name, parameter in self.parameters.items()
                          if parameter.grad is not None}
            return polyak_step(self.parameters, directions, loss, float(self.point["step"]))

        descend(objective, self.settings.max_steps, take)


def ewc_penalty(parameters: Mapping[str, Tensor], anchor: Mapping[str, Tensor], fisher: Mapping[str, Tensor],
                strength: float) -> Tensor:
    """strength / 2 * sum of F (theta - anchor)^2 (Kirkpatrick et al. 2017, equation 3)."""
    return 0.5 * strength * torch.stack([(fisher[name] * (parameters[name] - anchor[name]).square()).sum()
                                         for name in anchor]).sum()


class RunningFisher(Weights):
    """One running sum of Fisher diagonals, of general text and of every memory."""

    def prepare(self) -> None:
        super().prepare()
        self.fisher = self.base_fisher()

    def write(self, episode: Episode, plan: Lessons) -> None:
        super().write(episode, plan)
        new = diagonal_fisher(self.model, [lesson.ids for lesson in plan.new], [lesson.learn for lesson in plan.new],
                              len(self.about["updates"]))
        for name, values in new.items():
            self.fisher[name] += values

    def arrays(self) -> Arrays:
        return {**super().arrays(), **{f"fisher::{name}": to_array(values) for name, values in self.fisher.items()}}

    def restore(self, arrays: Arrays) -> None:
        super().restore(arrays)
        self.fisher = {name: torch.from_numpy(arrays[f"fisher::{name}"].copy()) for name in self.parameters}

    def side_bytes(self) -> int:
        return sum(4 * values.numel() for values in self.fisher.values())


class OnlineEWC(RunningFisher, FullAdam):
    """Full fine-tuning with a diagonal EWC in its online form: one running sum of Fisher diagonals, of general text and
    of every memory, and one anchor, the weights before this episode (Schwarz et al. 2018, section 3.2, gamma 1)."""

    def extras(self) -> list[Extra]:
        anchor = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        strength = float(self.point["strength"])
        return [lambda: ewc_penalty(self.parameters, anchor, self.fisher, strength)]
