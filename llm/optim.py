"""Optimizers and learning-rate schedules.

AdamW for everything, or Muon (muon.py) for the hidden matrices with AdamW for the rest: embedding, head, norms, biases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nimllm.kernels import ops
from nimllm.llm.muon import Muon
from nimllm.llm.optimizer import Optimizer
from nimllm.llm.settings import TrainSettings


class AdamW(Optimizer):
    """AdamW through the op ``clip_adamw``, which also clips: one pass over all tensors. The states are those of torch's
    AdamW (step, exp_avg, exp_avg_sq), so a checkpoint of either goes on with the other."""

    def __init__(self, params: Iterable[Any], lr: float, betas: tuple[float, float], weight_decay: float = 0.0,
                 eps: float = 1e-8) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None,  # type: ignore[override]
             max_norm: float | None = None) -> None:
        """max_norm: clip the gradients' common norm to it, None for not at all."""
        if closure is not None:
            raise ValueError("AdamW takes no closure")
        parts: dict[Any, list[tuple[Tensor, float]]] = {}
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.zeros(())
                    state["exp_avg"] = torch.zeros_like(parameter)
                    state["exp_avg_sq"] = torch.zeros_like(parameter)
                state["step"] += 1
                key = parameter.device, int(state["step"]), float(group["lr"]), tuple(group["betas"]), group["eps"]
                parts.setdefault(key, []).append((parameter, group["weight_decay"]))
        if max_norm is not None and len(parts) > 1:  # the norm is of all of them
            torch.nn.utils.clip_grad_norm_([p for part in parts.values() for p, _ in part], max_norm)
            max_norm = None
        for (device, step, lr, betas, eps), part in parts.items():
            parameters = [parameter for parameter, _ in part]
            ops.get("clip_adamw", device)(
                parameters, [p.grad for p in parameters], [self.state[p]["exp_avg"] for p in parameters],
                [self.state[p]["exp_avg_sq"] for p in parameters], step, lr, betas, eps, [decay for _, decay in part],
                max_norm)  # fmt: skip


def clip_and_step(model: nn.Module, all_optimizers: list[torch.optim.Optimizer], max_norm: float) -> None:
    """Clip the common norm of all gradients (0: not at all), step every optimizer, and drop the gradients."""
    if len(all_optimizers) == 1 and isinstance(all_optimizers[0], AdamW):
        all_optimizers[0].step(max_norm=max_norm or None)
    else:
        if max_norm:
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        for optimizer in all_optimizers:
            optimizer.step()
    for optimizer in all_optimizers:
        optimizer.zero_grad(set_to_none=True)


def optimizers(model: nn.Module, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """One optimizer per kind of parameter. Matrices decay; embeddings, gains and biases do not.

    A group's ``scale`` multiplies the scheduled learning rate (:func:`set_rate`).
    """
    hidden: list[Tensor] = []
    embeddings: list[Tensor] = []
    head: list[Tensor] = []  # one of its own; a tied one is an embedding
    vectors: list[Tensor] = []
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            vectors.append(parameter)
        elif "embed" in name:
            embeddings.append(parameter)
        elif name.startswith("lm_head"):
            head.append(parameter)
        else:
            hidden.append(parameter)
    s = settings
    rest: list[dict[str, Any]] = [
        {"params": embeddings, "weight_decay": 0.0, "scale": s.embed_scale},
        *([{"params": head, "weight_decay": 0.0}] if head else []),
        {"params": vectors, "weight_decay": 0.0, "scale": s.vector_scale},
    ]
    if s.optimizer == "adamw":
        return [AdamW([{"params": hidden, "weight_decay": s.weight_decay}, *rest], s.lr, s.betas)]
    return [
        Muon(hidden, s.lr, s.weight_decay, s.momentum, s.cautious, s.even_rows),
        AdamW(rest, s.lr, s.betas),
    ]


def set_rate(all_optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    """The scheduled learning rate into every group, times the group's scale."""
    for optimizer in all_optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)


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
