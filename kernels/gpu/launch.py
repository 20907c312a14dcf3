"""What every launch of a Triton kernel depends on: interpreter or device, the device's size, list of configurations.

``TRITON_INTERPRET=1``, read when Triton is imported, runs the kernels of this folder on CPU tensors with numpy. Its
bf16 is not bf16: arithmetic and ``tl.dot`` on it give garbage without an error (Triton 3.9), conversion to it
truncates. So kernels convert to fp32 right after a load, and operands of ``tl.dot`` too where ``UPCAST`` says so.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
import triton
from torch import Tensor

# A product and a sum become one instruction, rounded once. That is the default up to Triton 3.9, which warns that 3.10
# does otherwise: asked for, a kernel rounds the same way under all of them.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

INTERPRETED: bool = bool(triton.knobs.runtime.interpret)
DTYPES = (torch.float32, torch.float16, torch.bfloat16)

Choice = tuple[dict[str, int], int, int]  # constants of the kernel, warps, stages of the software pipeline


def tuned(choices: Sequence[Choice], interpreted: dict[str, int], key: list[str], last_resort: Choice | None = None,
          needs_last_resort: Callable[[dict[str, Any]], bool] | None = None) -> Any:
    """Decorator of a jitted kernel: the fastest of the choices, measured once per value of the arguments in ``key``.

    Timings are kept in Triton's cache folder. ``last_resort`` is used alone for the arguments of which
    ``needs_last_resort`` is true. The interpreter takes ``interpreted``: blocks so small that few numbers cross their
    boundaries.
    """
    if INTERPRETED:
        return triton.autotune([triton.Config(interpreted)], key=key)
    configs = [triton.Config(meta, num_warps=warps, num_stages=stages) for meta, warps, stages in choices]
    prune = None
    if last_resort is not None and needs_last_resort is not None:
        meta, warps, stages = last_resort
        last = triton.Config(meta, num_warps=warps, num_stages=stages)

        def select(configs: list[Any], arguments: dict[str, Any], **constants: Any) -> list[Any]:
            return [last] if needs_last_resort({**arguments, **constants}) else configs[:-1]

        configs, prune = [*configs, last], {"early_config_prune": select}
    # 3 ms of warm-up and 15 ms of measuring instead of 25 and 100: a training step meets a dozen kernels for the first
    # time, and the choices differ by more than the noise or it does not matter which is taken
    bench = functools.partial(triton.testing.do_bench, warmup=3, rep=15)
    return triton.autotune(configs, key=key, prune_configs_by=prune, cache_results=True,
                           do_bench=lambda call, quantiles: bench(call, quantiles=quantiles))


def on_device(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Triton launches on the current device, which need not be the tensor's."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()


@functools.cache
def processors(device: torch.device) -> int:
    """How many streaming multiprocessors (compute units) the device has; 2 in the interpreter."""
    if device.type != "cuda":
        return 2
    return torch.cuda.get_device_properties(device).multi_processor_count


def upcast(x: Tensor) -> bool:
    """Whether the operands of ``tl.dot`` must be converted to fp32: bf16 in the interpreter."""
    return INTERPRETED and x.dtype == torch.bfloat16


def precision() -> str:
    """Of fp32 products: "tf32" where torch would use it for its own matrix products, else "ieee"."""
    allowed = torch.backends.cuda.matmul.fp32_precision == "tf32" and torch.version.hip is None
    return "tf32" if allowed else "ieee"


def check_floating(**tensors: Tensor) -> None:
    """ValueError unless every tensor is fp32, fp16 or bf16 and all are on one device."""
    first = next(iter(tensors.values()))
    for name, x in tensors.items():
        if x.dtype not in DTYPES:
            raise ValueError(f"{name} is {x.dtype}; the Triton kernels take fp32, fp16 and bf16")
        if x.device != first.device:
            raise ValueError(f"{name} is on {x.device}, another argument on {first.device}")
    if first.is_cuda == INTERPRETED:
        raise ValueError("TRITON_INTERPRET=1 is for tensors on the CPU" if INTERPRETED
                         else f"Triton kernels need a GPU, the tensors are on {first.device}")
