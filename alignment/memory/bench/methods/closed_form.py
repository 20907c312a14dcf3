"""Editors in closed form: MEMIT (Meng et al. 2023, arXiv 2210.07229), AlphaEdit (Fang et al. 2025, arXiv 2410.02355).

Both see a down projection W [d, n] as a memory of key -> value. For the places where the new lessons are decided, a
search finds what a layer's output should be; the weights of several layers below are then solved for in least squares,
with what general text uses as the price (MEMIT) or as forbidden directions (AlphaEdit).

Axes: n inputs of a down projection (keys), d its outputs (values), m edited places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory.bench.methods.baseline import Weights
from nimllm.alignment.memory.bench.methods.settings import VALUE_STEPS, Point
from nimllm.alignment.memory.curvature import covariance, down_name, inputs_of_down, to_array
from nimllm.alignment.memory.lessons import Lesson, Lessons
from nimllm.alignment.memory.packed import Packed
from nimllm.alignment.memory.relations import is_name
from nimllm.alignment.memory.state import Arrays
from nimllm.llm.model import GPT

VALUE_RATE = 0.1  # Adam's, in units of an output's usual entry
VALUE_DECAY = 0.05  # weight of |change|^2 / |output|^2 in the search, against the drift of the value's norm
VALUE_LIMIT = 4.0  # |change| / |output| at most: MEMIT clamps at 0.75 in models of 28 layers; here few layers do it all
NULL_SHARE = 0.02  # of the energy of general keys that lies in what AlphaEdit takes for their null space


def memit_delta(keys_mn: Tensor, residuals_md: Tensor, prior_nn: Tensor) -> Tensor:
    """R K^T (C + K K^T)^-1 [d, n], with K the keys and R the residuals as columns: the minimum of
    sum |D k_i - r_i|^2 + tr(D C D^T) (MEMIT, equation 14). fp64."""
    k_mn, r_md = keys_mn.double(), residuals_md.double()
    normal_nn = prior_nn.double() + k_mn.T @ k_mn
    return torch.linalg.solve(normal_nn, k_mn.T @ r_md).T


def null_projection(covariance_nn: Tensor, share: float = NULL_SHARE) -> Tensor:
    """P [n, n] onto the eigenvectors of the covariance with the smallest eigenvalues, as many as hold ``share`` of its
    trace (AlphaEdit, section 3.1, takes those below an absolute 1e-2: these keys have another scale). fp64."""
    values_n, vectors_nn = torch.linalg.eigh(covariance_nn.double())  # ascending
    null = vectors_nn[:, values_n.clamp_min(0).cumsum(0) <= share * values_n.sum()]
    return null @ null.T


def alphaedit_delta(keys_mn: Tensor, residuals_md: Tensor, earlier_nn: Tensor, projection_nn: Tensor, ridge: float
                    ) -> Tensor:
    """R K^T P (Kp Kp^T P + K K^T P + ridge I)^-1 [d, n], Kp the keys of earlier edits (AlphaEdit, equation 14): the
    minimum of sum |D P k_i - r_i|^2 + sum over earlier keys |D P k|^2 + ridge |D P|^2, taken as D P. fp64."""
    k_mn, r_md = keys_mn.double(), residuals_md.double()
    kept_nn = earlier_nn.double() + k_mn.T @ k_mn
    normal_nn = projection_nn @ kept_nn + ridge * torch.eye(len(kept_nn), dtype=torch.float64)
    return torch.linalg.solve(normal_nn, projection_nn @ k_mn.T @ r_md).T


class ClosedForm(Weights):
    """``places`` of the point: where keys and values lie. "subject": the last id of the subject in the question, as in
    the papers; "prompt": the last id before the answer; "answer": every id from which one of the answer is written. A
    lesson that does not name its subject falls back to "prompt"."""

    def __init__(self, name: str, run: Path, state: Path, seed: int, point: Point, projected: bool) -> None:
        self.projected = projected
        super().__init__(name, run, state, seed, point)

    def prepare(self) -> None:
        super().prepare()
        layers = self.config.n_layers
        self.layers = list(range(layers // 4, layers - layers // 4))  # the middle half
        self.earlier = {layer: torch.zeros(self.config.d_ff, self.config.d_ff) for layer in self.layers}

        def make() -> Arrays:
            base = GPT(self.config).load_numpy(self.base).eval()
            sums, count = covariance(base, self.general(), self.tokenizer.pad)
            return {str(layer): to_array(sums[layer] / count) for layer in self.layers}

        self.covariance = {int(layer): torch.from_numpy(array)
                           for layer, array in self.prepared("covariance", make).items()}
        self.projection = {layer: null_projection(matrix) for layer, matrix in self.covariance.items()
                           } if self.projected else {}

    def names(self) -> list[str]:
        return [down_name(layer) for layer in self.layers]

    # -- places and values -------------------------------------------------------------------------------------------

    def places(self, lesson: Lesson, subjects: Sequence[str]) -> list[int]:
        """Positions of a lesson at which it is edited."""
        first = (lesson.pivot or lesson.learn.index(True)) - 1
        if self.point["places"] == "answer":
            return [at - 1 for at, flag in enumerate(lesson.learn) if flag]
        if self.point["places"] == "subject":
            for subject in subjects:
                at = self.end_of(lesson, subject)
                if at is not None:
                    return [at]
        return [first]

    def end_of(self, lesson: Lesson, subject: str) -> int | None:
        """Position of the id that ends the subject's name in the question; None when it is not named there."""
        if not is_name(subject) or subject not in lesson.question:
            return None
        ids, wanted = lesson.prompt, subject.encode()
        text = b""
        for at, index in enumerate(ids):
            text += b"" if self.tokenizer.is_marker(index) or index == self.tokenizer.bos else (
                self.tokenizer.token_bytes(index))
            if wanted in text:
                return at
        return None

    @contextmanager
    def stream(self, layer: int, at: Tensor, change_md: Tensor | None = None) -> Iterator[list[Tensor]]:
        """The residual stream behind a block at the places [m, d], of every forward pass inside; with ``change_md``
        that is added to it there."""
        seen: list[Tensor] = []

        def hook(module: torch.nn.Module, arguments: object, output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            branch_btd, x_btd = output  # the block's last branch is still to be added to the stream
            if change_md is not None:
                branch_btd = branch_btd.index_put((torch.zeros_like(at), at), change_md, accumulate=True)
            seen.append((branch_btd + x_btd)[0, at])
            return branch_btd, x_btd

        handle = self.model.layers[layer].register_forward_hook(hook)
        try:
            yield seen
        finally:
            handle.remove()

    def search(self, packed: Packed, at: Tensor) -> Tensor:
        """What the residual stream behind the last edited layer should be at the places [m, d]: Adam on what is added
        to it, until every lesson is answered or for VALUE_STEPS (MEMIT, section 4.1; without its KL term on "subject
        is a", which these lessons have no counterpart of)."""
        last = self.layers[-1]
        with torch.no_grad(), self.stream(last, at) as seen:
            self.model.hidden(packed.ids_1t, documents=packed.documents)
        old_md = seen[0]
        size_m = old_md.norm(dim=1)
        unit = size_m.mean() / self.config.d_model**0.5
        change_md = torch.zeros_like(old_md, requires_grad=True)
        optimizer = torch.optim.Adam([change_md], lr=VALUE_RATE)
        for _ in range(VALUE_STEPS):
            optimizer.zero_grad()
            with self.stream(last, at, change_md * unit):
                nats_m, hit_m = packed.nats(self.model, thin=False)
            if bool(hit_m.all()) and float(packed.mean(nats_m.detach()).max()) < self.settings.enough:
                break
            loss = packed.mean(nats_m, torch.where(packed.pivot_m, self.settings.pivot, 1.0)).mean()
            decay = ((change_md * unit).square().sum(1) / size_m.square()).mean()
            (loss + VALUE_DECAY * decay).backward()
            optimizer.step()
            with torch.no_grad():  # never longer than the limit
                length_m = (change_md * unit).norm(dim=1).clamp_min(1e-9)
                change_md.mul_((VALUE_LIMIT * size_m / length_m).clamp_max(1.0)[:, None])
        return old_md + change_md.detach() * unit

    # -- the edit ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def now(self, layer: int, packed: Packed, at: Tensor) -> tuple[Tensor, Tensor]:
        """(keys of a layer at the places [m, n], the stream behind the last edited layer there [m, d])."""
        with inputs_of_down(self.model) as keys, self.stream(self.layers[-1], at) as seen:
            self.model.hidden(packed.ids_1t, documents=packed.documents)
        return keys[layer][0, at], seen[0]

    def write(self, episode: Episode, plan: Lessons) -> None:
        packed = Packed.of(plan.new)
        subjects = [fact.subject for fact in plan.facts]
        at = torch.tensor([int(packed.starts[number]) + place for number, lesson in enumerate(plan.new)
                           for place in self.places(lesson, subjects)])
        for parameter in self.parameters.values():
            parameter.requires_grad_(False)
        wanted_md = self.search(packed, at)
        strength = float(self.point["strength"])
        for index, layer in enumerate(self.layers):  # each layer takes an equal share of what is left
            keys_mn, now_md = self.now(layer, packed, at)
            residuals_md = (wanted_md - now_md) / (len(self.layers) - index)
            cost_nn = self.covariance[layer]
            trace = float(cost_nn.diagonal().sum())
            if self.projected:
                delta_dn = alphaedit_delta(keys_mn, residuals_md, self.earlier[layer], self.projection[layer],
                                           strength * trace)
            else:
                prior_nn = strength * cost_nn
                prior_nn.diagonal().add_(1e-4 * strength * trace / len(cost_nn))  # C has directions no text uses
                delta_dn = memit_delta(keys_mn, residuals_md, prior_nn)
            with torch.no_grad():
                self.parameters[down_name(layer)].add_(delta_dn.float())
        if self.projected:
            for layer in self.layers:
                keys_mn, _ = self.now(layer, packed, at)
                self.earlier[layer] += keys_mn.T @ keys_mn

    def arrays(self) -> Arrays:
        earlier = {f"earlier::{layer}": to_array(matrix) for layer, matrix in self.earlier.items()}
        return {**super().arrays(), **(earlier if self.projected else {})}

    def restore(self, arrays: Arrays) -> None:
        super().restore(arrays)
        if self.projected:
            self.earlier = {layer: torch.from_numpy(arrays[f"earlier::{layer}"].copy()) for layer in self.layers}

    def side_bytes(self) -> int:
        matrices = [*self.covariance.values(), *(self.earlier.values() if self.projected else ())]
        return sum(4 * matrix.numel() for matrix in matrices)
