"""``nimllm bench attention``: every implementation of the op on this device against every other, and torch's own."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from nimllm.errors import UsageError
from nimllm.kernels import ops
from nimllm.llm.bench.limits import Arithmetic, Limit, Sheet
from nimllm.llm.bench.report import Report
from nimllm.llm.bench.rounds import Kind, contest, steady

KINDS = {"forward": Kind("GFLOP/s", limited=True), "forward_backward": Kind("GFLOP/s", limited=True)}
# device -> lengths; (batch, query heads, key/value heads, head width) keep the tokens of a step about constant
LENGTHS = {"cpu": (256, 512, 1024), "cuda": (512, 1024, 2048, 4096)}
HEADS, KV_HEADS, WIDTH = 8, 8, 64


class AttentionContestant:
    """One implementation; the rate counts the causal half of the products only, so that it compares with the peak."""

    def __init__(self, name: str, what: str, function: Callable[..., Any], shape: dict[str, int], dtype: str,
                 device: str) -> None:
        import torch

        self.name, self.dtype, self.what = name, dtype, what
        self._function, self._torch, self._device = function, torch, device
        kind = torch.bfloat16 if dtype == "bf16" else torch.float32
        rng = torch.Generator(device).manual_seed(20)

        def draw(heads: int) -> Any:
            return torch.randn(shape["batch"], heads, shape["length"], shape["width"], generator=rng, device=device,
                               dtype=kind).requires_grad_()

        self._q, self._k, self._v = draw(shape["heads"]), draw(shape["kv_heads"]), draw(shape["kv_heads"])
        self._operations = operations(shape)
        with torch.no_grad():
            self._grad = torch.randn(self._q.shape, generator=rng, device=device, dtype=kind)
        self._both()
        self._wait()  # an implementation that cannot do this shape says so here

    def _wait(self) -> None:
        if self._device == "cuda":
            self._torch.cuda.synchronize()

    def _forward(self) -> Any:
        return self._function(self._q, self._k, self._v, True)

    def _both(self) -> None:
        self._torch.autograd.grad(self._forward(), (self._q, self._k, self._v), self._grad)

    def _rate(self, work: Callable[[], Any], operations: float) -> float:
        count = 1 if self._device == "cpu" else 20

        def once() -> float:
            self._wait()
            began = time.perf_counter()
            for _ in range(count):
                work()
            self._wait()
            return count * operations / (time.perf_counter() - began) / 1e9

        return steady(once, 0.2, 15)

    def measure(self) -> dict[str, float]:
        with self._torch.no_grad():
            forward = self._rate(self._forward, self._operations)
        return {"forward": forward, "forward_backward": self._rate(self._both, 3.5 * self._operations)}

    def close(self) -> None:
        del self._q, self._k, self._v, self._grad


def operations(shape: dict[str, int]) -> float:
    """Forward operations: two products over the causal half. Backward: 2.5 times that (five products)."""
    length = shape["length"]
    return 4.0 * shape["batch"] * shape["heads"] * shape["width"] * length * (length + 1) / 2


def _torch_kernels(device: str) -> dict[str, Callable[..., Any]]:
    """torch's fused kernels one by one; on a CPU there is only the one that the table's "torch" calls."""
    if device != "cuda":
        return {}
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def with_backend(backend: Any) -> Callable[..., Any]:
        def call(q: Any, k: Any, v: Any, causal: bool) -> Any:
            with sdpa_kernel(backend):
                return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal,
                                                                        enable_gqa=q.shape[1] != k.shape[1])
        return call

    return {f"sdpa-{name}": with_backend(backend) for name, backend in (
        ("flash", SDPBackend.FLASH_ATTENTION), ("cudnn", SDPBackend.CUDNN_ATTENTION),
        ("efficient", SDPBackend.EFFICIENT_ATTENTION))}  # fmt: skip


def implementations(device: str) -> dict[str, Callable[..., Any]]:
    """Name -> function of every row of the table that can be used on the device."""
    return {row.name: row.function for row in ops.rows("attention") if row.fits(device) and row.available() is None}


def run(dtype: str, args: Namespace, report: Report) -> bool:
    """All lengths in one dtype: measured and reported. Whether ^C ended it."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    used = ops.choose("attention", args.device).name
    for length in args.lengths or LENGTHS.get(args.device, LENGTHS["cpu"]):
        batch = args.rows or max(1, (16384 if args.device == "cuda" else 4096) // length)
        shape = {"batch": batch, "heads": args.heads, "kv_heads": args.kv_heads, "length": length,
                 "width": args.head_dim}
        everyone: list[AttentionContestant] = []
        known = {**implementations(args.device), **_torch_kernels(args.device)}
        for name, function in known.items():
            try:
                who = AttentionContestant(name, "used by the table" if name == used else "", function, shape, dtype,
                                          args.device)
            except (RuntimeError, ValueError, TypeError) as error:
                report.note(f"{name} cannot do {shape}: {str(error).splitlines()[0][:200]}")
                continue
            who.name = "nimllm" if name == used else name
            who.what = f"{name}, the table's choice" if name == used else name
            everyone.append(who)
        threads = torch.get_num_threads()
        limit: Limit = Sheet(1e9, dtype) if args.device == "cuda" else Arithmetic(1e9, dtype, threads)
        figures, interrupted = contest(everyone, KINDS, args.rounds, dict.fromkeys(range(len(everyone)), limit),
                                       report.tell)
        report.add(figures, f"{batch}x{args.heads}x{length}x{args.head_dim}",
                   {**shape, "causal": True, "threads": threads, "device": args.device, "rounds": args.rounds})
        if interrupted:
            return True
    return False


def check(args: Namespace) -> None:
    """UsageError for sizes that make no sense."""
    if args.heads < 1 or args.kv_heads < 1 or args.heads % args.kv_heads or args.head_dim < 1:
        raise UsageError(f"{args.heads} query heads, {args.kv_heads} key/value heads of {args.head_dim}",
                         "the query heads must be a multiple of the key/value heads")
