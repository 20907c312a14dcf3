"""Optimizers and learning-rate schedules.

AdamW for everything, or Muon for the hidden matrices with AdamW for the rest (embedding, head, norms, biases). Muon is
torch's own, with the update's RMS matched to AdamW's (Moonlight, arXiv 2502.16982), so one learning rate serves both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn


def optimizers(
    model: nn.Module, kind: str, lr: float, weight_decay: float, betas: tuple[float, float]
) -> list[torch.optim.Optimizer]:
    """One optimizer per kind of parameter. Matrices decay; embeddings, gains and biases do not."""
    hidden: list[Tensor] = []
    outer: list[Tensor] = []
    vectors: list[Tensor] = []
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            vectors.append(parameter)
        elif "embed" in name or name.startswith("lm_head"):
            outer.append(parameter)
        else:
            hidden.append(parameter)
    if kind == "adamw":
        groups = [{"params": hidden, "weight_decay": weight_decay}, {"params": outer + vectors, "weight_decay": 0.0}]
        return [torch.optim.AdamW(groups, lr=lr, betas=betas, eps=1e-8)]
    if kind == "muon":
        return [
            torch.optim.Muon(
                hidden, lr=lr, weight_decay=weight_decay, momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(outer + vectors, lr=lr, betas=betas, eps=1e-8, weight_decay=0.0),
        ]
    raise ValueError(f"no optimizer is called {kind!r}")


def schedule(
    step: int, steps: int, warmup: int, kind: str = "cosine", floor: float = 0.1, cooldown: float = 0.4
) -> float:
    """Factor of the peak learning rate at ``step`` (0-based): linear warmup, then cosine, or constant and a linear
    cooldown over the last ``cooldown`` share of the steps ("wsd"); never below ``floor`` after the warmup."""
    if step < warmup:
        return (step + 1) / warmup
    if kind == "cosine":
        progress = (step - warmup) / max(1, steps - warmup)
        return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    start = steps - int(steps * cooldown)
    if step < start:
        return 1.0
    return max(floor, 1.0 - (1.0 - floor) * (step - start) / max(1, steps - start))


def moments(model: nn.Module, all_optimizers: list[torch.optim.Optimizer]) -> Iterator[tuple[str, Tensor]]:
    """(``parameter name::state name``, tensor) of every optimizer state, to be saved."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for optimizer in all_optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                for key, value in optimizer.state.get(parameter, {}).items():
                    yield f"{names[id(parameter)]}::{key}", torch.as_tensor(value)


@torch.no_grad()
def restore_moments(model: nn.Module, all_optimizers: list[torch.optim.Optimizer], saved: dict[str, Tensor]) -> None:
    """Put the states saved by :func:`moments` back."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_name: dict[str, dict[str, Tensor]] = {}
    for full, tensor in saved.items():
        name, key = full.rsplit("::", 1)
        by_name.setdefault(name, {})[key] = tensor
    for optimizer in all_optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                state = by_name.get(names[id(parameter)])
                if state:
                    optimizer.state[parameter] = {
                        key: value.clone() if value.dim() == 0 else value.to(parameter.device).clone()
                        for key, value in state.items()
                    }
