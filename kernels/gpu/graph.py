"""A training step as one CUDA graph: hundreds of launches become one.

A launch costs the host some microseconds, whatever it does; below about 50M parameters a step's kernels are shorter
than that and the GPU waits for Python. Replaying a recorded graph takes the host out. Above, kernels are long enough to
hide their launches, and the graph's private memory is only a cost. On ROCm the same calls record a HIP graph.

    gradients = static_gradients(model.parameters())

    def step(ids, targets):
        torch._foreach_zero_(gradients)                # begin by clearing them, at fixed addresses
        with torch.autocast("cuda", torch.bfloat16):   # entered inside: a cast made before would be a constant
            loss = model(ids, targets)
        loss.backward()
        number.add_(1)                                 # step and learning rate are tensors on the GPU,
        clip_adamw(parameters, gradients, first, second, number, rate, betas, eps, decays, 1.0)
        return loss.detach()

    graphed = GraphedStep(step, device)
    for ids, targets in batches:
        rate.fill_(schedule(...))                      # so that a replay sees new values
        loss = graphed(ids, targets)

What is recorded is what the GPU does, once: a step may not wait for the GPU (``.item()``, printing a tensor, selecting
rows by a mask), may not depend on values in Python, and its tensors keep their shapes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# parameters. GPT-2 124M gains nothing (karpathy/build-nanogpt #6: 130k -> 127k tokens a second); not measured here yet
PAYS_UP_TO = 50_000_000


def unavailable(device: torch.device | str) -> str | None:
    """Why a step on ``device`` cannot be a graph, in a sentence; None when it can."""
    kind = torch.device(device).type
    if kind != "cuda":
        return f"graphs are recorded on CUDA and ROCm devices only, not on {kind}"
    if not torch.cuda.is_available():
        return "no GPU: torch sees neither CUDA nor ROCm"
    return None


def static_gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Gives every parameter that learns a gradient of zeros, where there is none, and returns the gradients.

    Backward then adds to them where they are: the optimizer's tables of addresses, and the graph, stay valid.
    """
    gradients = []
    for parameter in parameters:
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
            gradients.append(parameter.grad)
    return gradients


class GraphedStep:
    """Calls ``step(*tensors)``: at first as it is, then as a recorded graph. One call is one step, always.

    The first ``warmup`` calls run ``step`` on a side stream, where libraries choose their algorithms, kernels are
    compiled, and tables and workspaces are made. The next call records it, which computes nothing, and replays it. From
    then on a call copies its tensors into the recorded ones and replays. A call whose tensors have other shapes or
    dtypes than the recorded ones runs ``step`` itself.

    ``reason`` says why every call runs ``step`` itself (no GPU, or a step that cannot be recorded: a warning is given
    once), and is None otherwise. Outputs of a replay, a tensor or a tuple of tensors, are overwritten by the next one:
    clone what is to be kept.
    """

    def __init__(self, step: Callable[..., Any], device: torch.device | str, warmup: int = 3) -> None:
        if warmup < 1:
            raise ValueError("a step has to run once before it is recorded")
        self.device, self.reason = torch.device(device), unavailable(device)
        self._step, self._left = step, warmup
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream: torch.cuda.Stream | None = None
        self._inputs: list[Tensor] = []
        self._outputs: Any = None

    @property
    def recorded(self) -> bool:
        return self._graph is not None

    def __call__(self, *inputs: Tensor) -> Any:
        """One step. ``inputs`` may lie on the host: from pinned memory the copy waits for nothing."""
        if self.reason is None and self._graph is None:
            if self._left > 0:
                self._left -= 1
                return self._on_the_side(inputs)
            self._record(inputs)
        if self._graph is None or not self._fits(inputs):
            return self._step(*self._moved(inputs))
        for static, given in zip(self._inputs, inputs, strict=True):
            static.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._outputs

    def _moved(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        return [tensor.to(self.device, non_blocking=True) for tensor in inputs]

    def _fits(self, inputs: tuple[Tensor, ...]) -> bool:
        return len(inputs) == len(self._inputs) and all(
            given.shape == static.shape and given.dtype == static.dtype
            for given, static in zip(inputs, self._inputs, strict=True))

    def _on_the_side(self, inputs: tuple[Tensor, ...]) -> Any:
        with torch.cuda.device(self.device):
            if self._stream is None:
                self._stream = torch.cuda.Stream()
            current = torch.cuda.current_stream()
            moved = self._moved(inputs)
            self._stream.wait_stream(current)
            with torch.cuda.stream(self._stream):
                outputs = self._step(*moved)
            current.wait_stream(self._stream)
        return outputs

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        """Sets ``_graph``, or ``reason`` when the step does what no graph can hold."""
        with torch.cuda.device(self.device):
            static = [tensor.to(self.device, copy=True) for tensor in inputs]
            current = torch.cuda.current_stream()
            torch.clear_autocast_cache()  # a weight that was cast during the warm-up would be recorded as a constant
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=self._stream):
                    outputs = self._step(*static)
            except RuntimeError as error:
                torch.cuda.set_stream(current)  # torch leaves the side stream in force when the recording's end fails
                first = error.__context__ if isinstance(error.__context__, RuntimeError) else error
                self.reason = f"the step cannot be recorded as a graph: {str(first).splitlines()[0]}"
                warnings.warn(self.reason, RuntimeWarning, stacklevel=3)
                return
        self._graph, self._inputs, self._outputs = graph, static, outputs
