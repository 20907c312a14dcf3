"""How the processes of a run hold its model: each of them all of it, or a part of every tensor.

:class:`Copies` is data parallel training (torch's DistributedDataParallel), and one process alone. 103M parameters, the
largest preset, are 1.65 GB with gradients and AdamW's moments in fp32 (16 bytes each), so copies fit everywhere.
:class:`Shards` (``--shard``, torch's FSDP2) is for models of billions, whose 16 bytes a parameter no device holds: each
process keeps 1/N of them and gathers one layer at a time.

Both leave the same checkpoint, and compute the same step up to rounding.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from nimllm.errors import UsageError
from nimllm.kernels.linear import forget_copies
from nimllm.llm.distributed import Group
from nimllm.llm.model import GPT
from nimllm.llm.muon import Muon
from nimllm.llm.optim import clip_and_step, moments, optimizers, restore_moments
from nimllm.llm.settings import TrainSettings


class Copies:
    """The whole model in every process."""

    lockstep = False  # a process may run the model when the others do not

    def __init__(self, model: GPT, settings: TrainSettings, group: Group, states: dict[str, Tensor]) -> None:
        """``states``: moments of a checkpoint to go on with."""
        self.model, self.group = model, group
        self.optimizers = optimizers(model, settings)
        restore_moments(model, self.optimizers, states)
        if settings.compile:  # the head picks its rows by the targets, which no graph can hold
            model.model.compile()
        self.forward: Callable[..., Tensor] = model
        if group.size > 1:
            device = model.head.device
            self.forward = DistributedDataParallel(
                model, device_ids=None if device.type == "cpu" else [device], gradient_as_bucket_view=True)

    def backward(self, last: bool) -> AbstractContextManager[None]:
        """Around forward and backward of a micro-batch: the last one of a step sends the sum of all gradients."""
        if isinstance(self.forward, DistributedDataParallel) and not last:
            return self.forward.no_sync()
        return nullcontext()

    def step(self, clip: float) -> float:
        """Clip and step; the norm of all gradients before that."""
        grads = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(grads)
        clip_and_step(self.model, self.optimizers, clip)
        return float(norm)

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Whole parameters by name; every process must ask, and the first one gets them."""
        return self.model.named_parameters()

    def moments(self) -> Iterator[tuple[str, Tensor]]:
        """Whole states of the optimizers by name; every process must ask, and the first one gets them."""
        return moments(self.model, self.optimizers)


class _Parts(nn.Module):
    """What the optimizers of one process work on: plain tensors under the parameters' names."""

    def __init__(self, parts: dict[str, nn.Parameter]) -> None:
        super().__init__()
        self.parts = parts

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        yield from self.parts.items()


class Shards:
    """1/N of the rows of every tensor in each process, of weights, gradients and moments.

    Muon needs whole matrices: each of them has one process that owns it, keeps its weights and momentum whole, and
    makes its update from the gathered gradient (as modded-nanogpt and Moonlight distribute it), so that its memory and
    its work are divided, too.
    """

    lockstep = True  # every forward and backward gathers layers from all processes

    def __init__(self, model: GPT, settings: TrainSettings, group: Group, states: dict[str, Tensor]) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        if settings.compile:
            raise UsageError("--compile cannot be used with --shard", "", "leave one of them out")
        self.model, self.group = model, group
        whole = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        self.mesh = init_device_mesh(model.head.device.type, (group.size,))
        for layer in model.layers:
            fully_shard(layer, mesh=self.mesh)
        fully_shard(model, mesh=self.mesh, reshard_after_forward=True)
        self.forward: Callable[..., Tensor] = model

        self.sharded: dict[str, Any] = dict(model.named_parameters())  # DTensors
        local = {name: nn.Parameter(p.detach().to_local()) for name, p in self.sharded.items()}  # the same memory
        self.owner = self._owners(_Parts(local), settings)
        if self.owner and len(set(self.owner.values())) < group.size:
            raise UsageError(f"{group.size} processes are more than there are matrices for Muon", "",
                             "start fewer, or use --optimizer adamw")
        parts = {name: part for name, part in local.items() if name not in self.owner}
        parts |= {name: nn.Parameter(whole[name]) for name, rank in self.owner.items() if rank == group.rank}
        self.local, self.parts = local, _Parts(parts)
        self.optimizers = optimizers(self.parts, settings)
        self._restore(states)

    def _owners(self, local: _Parts, settings: TrainSettings) -> dict[str, int]:
        """The process that owns each of Muon's matrices: the largest first, each to whom has the least."""
        of_muon = {
            id(parameter)
            for optimizer in optimizers(local, settings) if isinstance(optimizer, Muon)
            for parameters in optimizer.param_groups for parameter in parameters["params"]
        }  # fmt: skip
        names = [name for name, parameter in local.named_parameters() if id(parameter) in of_muon]
        load = [0] * self.group.size
        owner: dict[str, int] = {}
        for name in sorted(names, key=lambda name: -self.sharded[name].numel()):
            rank = load.index(min(load))
            owner[name] = rank
            load[rank] += self.sharded[name].numel()
        return {name: owner[name] for name in names}

    def _rows(self, whole: Tensor) -> Tensor:
        """This process's rows of a whole tensor, as FSDP cuts it: as torch.chunk, the first ones larger."""
        size = -(-whole.shape[0] // self.group.size)
        return whole[size * self.group.rank : size * (self.group.rank + 1)]

    def _restore(self, states: dict[str, Tensor]) -> None:
        own: dict[str, Tensor] = {}
        for full, tensor in states.items():
            name = full.rsplit("::", 1)[0]
            if self.owner.get(name, self.group.rank) == self.group.rank:
                cut = name not in self.owner and tensor.dim() > 0
                own[full] = self._rows(tensor) if cut else tensor
        restore_moments(self.parts, self.optimizers, own)

    def backward(self, last: bool) -> AbstractContextManager[None]:
        """As :meth:`Copies.backward`."""
        self.model.set_requires_gradient_sync(last)  # type: ignore[operator]  # fully_shard gives the model this method
        return nullcontext()

    @torch.no_grad()
    def step(self, clip: float) -> float:
        """As :meth:`Copies.step`."""
        norm = 0.0
        if any(parameter.grad is not None for parameter in self.sharded.values()):
            squares = sum(float(p.grad.to_local().double().square().sum()) for p in self.sharded.values())
            norm = math.sqrt(self.group.sum([squares])[0])
            factor = min(1.0, clip / (norm + 1e-6)) if clip else 1.0
            for name, parameter in self.sharded.items():
                if name in self.owner:
                    grad = parameter.grad.full_tensor()
                    if self.owner[name] == self.group.rank:
                        self.parts.parts[name].grad = grad.mul_(factor)
                else:
                    self.parts.parts[name].grad = parameter.grad.to_local().mul_(factor)
        clip_and_step(self.parts, self.optimizers, 0.0)
        for name, rank in self.owner.items():
            self.local[name].copy_(self._rows(self._sent(name, rank)))
        self.model.zero_grad(set_to_none=True)
        forget_copies()  # FSDP writes the gathered weights behind the version counters
        return norm

    def _sent(self, name: str, rank: int) -> Tensor:
        """The whole matrix from the process that owns it."""
        mine = rank == self.group.rank
        part = self.sharded[name]
        whole = self.parts.parts[name].detach() if mine else torch.empty(part.shape, device=part.device)
        dist.broadcast(whole, rank)
        return whole

    @torch.no_grad()
    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """As :meth:`Copies.weights`."""
        for name, parameter in self.sharded.items():
            yield name, parameter.full_tensor()

    @torch.no_grad()
    def moments(self) -> Iterator[tuple[str, Tensor]]:
        """As :meth:`Copies.moments`."""
        from torch.distributed.tensor import DTensor, Shard

        own = dict(moments(self.parts, self.optimizers))
        for full, tensor in own.items():
            name = full.rsplit("::", 1)[0]
            if name in self.owner:
                continue
            if tensor.dim():
                shape = self.sharded[name].shape
                tensor = DTensor.from_local(tensor, self.mesh, [Shard(0)], run_check=False, shape=shape,
                                            stride=torch.empty(shape, device="meta").stride()).full_tensor()
            yield full, tensor
        # only its owner knows which states a matrix has
        shapes = [[full, list(tensor.shape)] for full, tensor in own.items() if full.rsplit("::", 1)[0] in self.owner]
        for rank, told in enumerate(self.group.exchange(json.dumps(shapes))):
            for full, shape in json.loads(told):
                mine = rank == self.group.rank
                device = self.model.head.device
                tensor = own[full].to(device) if mine else torch.empty(shape, device=device)
                dist.broadcast(tensor, rank)
                yield full, tensor
