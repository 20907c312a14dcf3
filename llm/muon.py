"""Muon: momentum whose matrices are made orthogonal, for the hidden matrices of a network.

Jordan et al. 2024 (github.com/KellerJordan/Muon); the update has the RMS of an AdamW step (Moonlight, arXiv
2502.16982), so one learning rate serves both. Optionally it decays only what the update shrinks too (cautious decay,
arXiv 2510.12402), and gives all rows one size (NorMuon, arXiv 2510.05491).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from nimllm.kernels import ops
from nimllm.llm.optimizer import Optimizer

ADAMW_RMS = 0.2  # of an AdamW update divided by its learning rate (Moonlight, section 2.2)
_EPS = 1e-10


class Muon(Optimizer):
    """For parameters of two dimensions. The momentum's state has the name torch.optim.Muon gives it."""

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float = 0.0, momentum: float = 0.95,
                 cautious: bool = False, rows: bool = False, beta_rows: float = 0.95) -> None:
        """cautious: decay only entries that the update shrinks too. rows: divide every row of the update by the root of
        the running mean of its square, at an unchanged norm of the whole."""
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "cautious": cautious,
                                  "rows": rows, "beta_rows": beta_rows})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            # matrices of one shape make one batch: a dozen small products are what a GPU would wait for
            shapes: dict[Any, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault((parameter.device, parameter.shape), []).append(parameter)
            for parameters in shapes.values():
                self._step(parameters, group)

    def _step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        momentum, rate = group["momentum"], group["lr"]
        buffers = []
        for parameter in parameters:
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
                if group["rows"]:
                    state["row_square"] = torch.zeros_like(parameter[:, :1])
                    state["step"] = torch.zeros(())
            buffers.append(state["momentum_buffer"])
        grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        torch._foreach_lerp_(buffers, grads, 1.0 - momentum)
        nesterov_bmn = torch.stack(grads).lerp_(torch.stack(buffers), momentum)
        updates_bmn = ops.get("newton_schulz", parameters[0].device)(nesterov_bmn).float()
        if group["rows"]:
            updates_bmn = self._even_rows(parameters, updates_bmn, group["beta_rows"])
        size = rate * ADAMW_RMS * math.sqrt(max(parameters[0].shape))
        decay = rate * group["weight_decay"]
        for parameter, update_mn in zip(parameters, updates_bmn, strict=True):
            if decay and group["cautious"]:
                parameter.sub_(parameter * (parameter * update_mn > 0), alpha=decay)
            elif decay:
                parameter.mul_(1.0 - decay)
            parameter.add_(update_mn, alpha=-size)

    def _even_rows(self, parameters: list[Tensor], updates_bmn: Tensor, beta: float) -> Tensor:
        norms_b11 = torch.linalg.matrix_norm(updates_bmn, keepdim=True)
        squares_bm1 = updates_bmn.square().mean(-1, keepdim=True)
        for i, parameter in enumerate(parameters):
            state = self.state[parameter]
            state["step"] += 1
            state["row_square"].lerp_(squares_bm1[i], 1.0 - beta)
            squares_bm1[i] = state["row_square"] / (1.0 - beta ** float(state["step"]))
        updates_bmn = updates_bmn / (squares_bm1.sqrt() + _EPS)
        return updates_bmn * (norms_b11 / torch.linalg.matrix_norm(updates_bmn, keepdim=True).clamp(min=_EPS))
