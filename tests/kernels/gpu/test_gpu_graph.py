"""A training step as a CUDA graph: the same training, one launch; without a GPU, the step itself and a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nimllm.kernels.gpu import graph
from nimllm.kernels.gpu.launch import INTERPRETED
from nimllm.kernels.gpu.loss import linear_cross_entropy
from nimllm.kernels.gpu.optimizer import clip_adamw


class Trainee:
    """A small model with everything a step has: embedding, matrices, the fused loss, the fused optimizer."""

    def __init__(self, device: torch.device) -> None:
        torch.manual_seed(0)
        self.embedding, self.hidden = nn.Embedding(50, 32).to(device), nn.Linear(32, 32).to(device)
        self.parameters = [*self.embedding.parameters(), *self.hidden.parameters()]
        self.gradients = graph.static_gradients(self.parameters)
        self.first, self.second = ([torch.zeros_like(p) for p in self.parameters] for _ in range(2))
        self.number, self.rate = torch.zeros((), device=device), torch.zeros((), device=device)
        self.calls = 0

    def step(self, ids: Tensor, targets: Tensor) -> Tensor:
        self.calls += 1
        for gradient in self.gradients:
            gradient.zero_()
        with torch.autocast(ids.device.type, torch.bfloat16):
            x = F.gelu(self.hidden(self.embedding(ids)))
            loss = linear_cross_entropy(x, self.embedding.weight, targets)
        loss.backward()
        self.number.add_(1)
        clip_adamw(self.parameters, self.gradients, self.first, self.second, self.number, self.rate, (0.9, 0.95), 1e-8,
                   0.01, 1.0)
        return loss.detach()


def batches(count: int, rows: int = 24) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    drawn = [torch.randint(50, (rows,), generator=generator) for _ in range(count)]
    return [(ids, (ids * 7 + 3) % 50) for ids in drawn]


def train(trainee: Trainee, step: Callable[..., Tensor], work: list[tuple[Tensor, Tensor]], device: torch.device
          ) -> list[float]:
    losses = []
    for index, (ids, targets) in enumerate(work):
        trainee.rate.fill_(0.02 / (1 + index))  # every step its own: a replay must see it
        losses.append(step(ids.to(device), targets.to(device)).item())
    return losses


@pytest.mark.skipif(not INTERPRETED, reason="its kernels would run on the CPU: TRITON_INTERPRET=1")
def test_without_a_gpu_it_is_the_step_itself_and_says_why() -> None:
    plain, graphed = Trainee(torch.device("cpu")), Trainee(torch.device("cpu"))
    wrapped = graph.GraphedStep(graphed.step, "cpu")
    assert wrapped.reason is not None and "cpu" in wrapped.reason and not wrapped.recorded
    cpu = torch.device("cpu")
    assert train(plain, plain.step, batches(6), cpu) == train(graphed, wrapped, batches(6), cpu)
    assert graphed.calls == 6 and graphed.number.item() == 6
    assert all(torch.equal(one, other) for one, other in zip(plain.parameters, graphed.parameters, strict=True))
    if not torch.cuda.is_available():
        assert "no GPU" in str(graph.unavailable("cuda"))


def test_gradients_stay_where_they_are() -> None:
    parameters = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2), requires_grad=False)]
    gradients = graph.static_gradients(parameters)
    assert len(gradients) == 1 and parameters[0].grad is gradients[0] and parameters[1].grad is None
    address = gradients[0].data_ptr()
    (parameters[0].sum() * 2).backward()
    assert gradients[0].data_ptr() == address and gradients[0].tolist() == [2.0, 2.0, 2.0]
    assert graph.static_gradients(parameters)[0] is gradients[0]


def test_a_step_must_run_before_it_is_recorded() -> None:
    with pytest.raises(ValueError, match="once"):
        graph.GraphedStep(lambda: None, "cpu", warmup=0)


def cuda_only(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("graphs need a GPU")


@pytest.mark.gpu
def test_a_replay_trains_as_the_step_does(device: torch.device) -> None:
    cuda_only(device)
    plain, graphed = Trainee(device), Trainee(device)
    wrapped = graph.GraphedStep(graphed.step, device)
    want, got = train(plain, plain.step, batches(20), device), train(graphed, wrapped, batches(20), device)
    assert wrapped.reason is None and wrapped.recorded
    assert graphed.calls == 3 + 1  # the warm-up and the recording: the other 16 never reached Python
    assert graphed.number.item() == 20
    assert got == pytest.approx(want, rel=1e-5)
    for one, other in zip(plain.parameters, graphed.parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
def test_another_shape_runs_beside_the_graph(device: torch.device) -> None:
    cuda_only(device)
    plain, graphed = Trainee(device), Trainee(device)
    wrapped = graph.GraphedStep(graphed.step, device)
    work = [*batches(6), *batches(1, rows=7), *batches(3)]
    assert train(graphed, wrapped, work, device) == pytest.approx(train(plain, plain.step, work, device), rel=1e-5)
    assert wrapped.recorded and graphed.calls == 3 + 1 + 1


@pytest.mark.gpu
def test_inputs_may_lie_on_the_host(device: torch.device) -> None:
    cuda_only(device)
    plain, graphed = Trainee(device), Trainee(device)
    wrapped = graph.GraphedStep(graphed.step, device)
    pinned = [(ids.pin_memory(), targets.pin_memory()) for ids, targets in batches(8)]
    cpu = torch.device("cpu")
    assert train(graphed, wrapped, pinned, cpu) == pytest.approx(train(plain, plain.step, batches(8), device), rel=1e-5)


@pytest.mark.gpu
def test_a_step_that_waits_for_the_gpu_falls_back(device: torch.device) -> None:
    cuda_only(device)
    trainee = Trainee(device)

    def step(ids: Tensor, targets: Tensor) -> Tensor:
        loss = trainee.step(ids, targets)
        assert loss.item() > 0
        return loss

    wrapped = graph.GraphedStep(step, device)
    stream = torch.cuda.current_stream()
    with pytest.warns(RuntimeWarning, match="cannot be recorded"):
        losses = train(trainee, wrapped, batches(6), device)
    assert wrapped.reason is not None and not wrapped.recorded
    assert torch.cuda.current_stream() == stream
    other = Trainee(device)
    assert losses == pytest.approx(train(other, other.step, batches(6), device), rel=1e-5)


@pytest.mark.gpu
def test_tables_are_not_made_while_recording(device: torch.device) -> None:
    cuda_only(device)
    tensors = [torch.ones(100, device=device) for _ in range(4)]
    with pytest.raises(RuntimeError, match="before a CUDA graph"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        clip_adamw(*([x] for x in tensors), 1, 1e-2, (0.9, 0.95), 1e-8, 0.0, 1.0)
