"""The table: which implementation an op uses on a device.

``ops.get("rms_norm", device)`` gives a callable with the signature of :mod:`nimllm.kernels.reference`. The first
implementation in an op's list that fits the device and is available is used, chosen once per op and device. The
environment variable ``NIMLLM_KERNELS`` overrides it: a comma-separated list of ``op=implementation``, or of a bare
implementation name for every op that has it (``NIMLLM_KERNELS=reference``, or
``linear_cross_entropy=reference,decode=torch``).

A new piece of hardware is one new file beside this one, which ends with calls of :func:`register`, and one entry for
it in ``_TABLE``'s neighbour ``_PLUGINS``. docs/porting.md tells the steps. To torch, ROCm's devices are called "cuda".

An implementation can be in the table without being a default: ``passed_over`` says why, and naming it in
``NIMLLM_KERNELS`` uses it all the same. So Triton's interpreter stays reachable on a CPU (``TRITON_INTERPRET=1
NIMLLM_KERNELS=triton-interpreter``), and every kind of SDPA on every GPU.

Importing this module imports neither torch nor numpy; an implementation's module is imported when it is first used.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

from nimllm.errors import NimError, UsageError

VARIABLE = "NIMLLM_KERNELS"
ANY = ("*",)  # every device torch knows


def _always() -> str | None:
    return None


def _never_passed_over(device: str) -> str | None:
    return None


@dataclass(frozen=True)
class Impl:
    """One implementation of one op."""

    name: str
    devices: tuple[str, ...]  # torch device types ("cpu", "cuda", "mps"), or ANY
    target: str  # "module:attribute", imported at first use
    available: Callable[[], str | None] = _always  # None, or why it cannot be used, in a sentence
    passed_over: Callable[[str], str | None] = _never_passed_over  # why it is no default on a device it fits, or None

    def fits(self, device: str) -> bool:
        return self.devices == ANY or device in self.devices

    @property
    def function(self) -> Callable[..., Any]:
        module, attribute = self.target.split(":")
        return getattr(importlib.import_module(module), attribute)


def _engine_available() -> str | None:
    from nimllm.kernels import engine

    return engine.available()


def _compiled() -> str | None:
    from nimllm.kernels import native

    return native.available()


def _compiled_packed() -> str | None:
    from nimllm.kernels import native

    return native.lacks("nimllm_attention_packed")


def _avx512() -> str | None:
    from nimllm.kernels import native

    return native.available_avx512()


def _gpu() -> str | None:
    import torch

    return None if torch.cuda.is_available() else "no GPU: torch sees neither CUDA nor ROCm"


def _triton() -> str | None:
    """Why Triton's kernels cannot run on this machine's GPU."""
    if find_spec("triton") is None:
        return "triton is not installed"
    if os.environ.get("TRITON_INTERPRET") == "1":
        return "TRITON_INTERPRET=1 keeps Triton's kernels on the CPU"
    if reason := _gpu():
        return reason
    import torch

    if torch.version.hip is None and torch.cuda.get_device_capability() < (8, 0):
        return "no GPU that they are written for: compute capability 8.0 or later"
    if not (os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")):
        return "no C compiler, which Triton needs to start its kernels"
    return None


def _interpreter() -> str | None:
    if find_spec("triton") is None:
        return "triton is not installed"
    return None if os.environ.get("TRITON_INTERPRET") == "1" else "Triton's interpreter needs TRITON_INTERPRET=1"


def _for_tests(device: str) -> str | None:
    return "it is for tests: numpy, thousands of times slower than a GPU"


def _not_before_hopper(device: str) -> str | None:
    """cuDNN's attention against flash, training shapes: 1.7 to 2.3 times on an H100, but 0.82 on an A100, 0.93 on an
    A10G, 1.00 on an L40S, 0.88 on a Blackwell workstation card (huggingface/transformers #48163)."""
    import torch

    if torch.version.hip is not None:
        return "there is no cuDNN on ROCm"
    if torch.cuda.is_available() and torch.cuda.get_device_capability()[0] in (9, 10):
        return None
    return "flash is level or faster on this GPU"


def _not_measured(device: str) -> str | None:
    return "not yet measured against SDPA on this device"


def _reference(op: str) -> Impl:
    return Impl("reference", ANY, f"nimllm.kernels.reference:{op}")


def _in_cpp(file: str, op: str) -> Impl:
    """The row of a kernel of csrc/train, which has the op's name."""
    return Impl("cpp", ("cpu",), f"nimllm.kernels.{file}:{op}", _compiled)


def _in_triton(file: str, op: str, passed_over: Callable[[str], str | None] = _never_passed_over) -> list[Impl]:
    """The rows of a kernel of ``nimllm/kernels/gpu``, which has the op's name."""
    target = f"nimllm.kernels.gpu.{file}:{op}"
    return [
        Impl("triton", ("cuda",), target, _triton, passed_over),
        Impl("triton-interpreter", ("cpu",), target, _interpreter, _for_tests),
    ]


# op -> implementations, best first; plain torch is always last
_TABLE: dict[str, list[Impl]] = {
    "rms_norm": [*_in_triton("norms", "rms_norm"), _in_cpp("norms", "rms_norm"), _reference("rms_norm")],
    "add_rms_norm": [
        *_in_triton("norms", "add_rms_norm"),
        _in_cpp("norms", "add_rms_norm"),
        _reference("add_rms_norm"),
    ],
    "layer_norm": [
        *_in_triton("norms", "layer_norm"),
        _in_cpp("norms", "layer_norm"),
        Impl("torch", ANY, "nimllm.kernels.fused:layer_norm"),
        _reference("layer_norm"),
    ],
    "add_layer_norm": [
        *_in_triton("norms", "add_layer_norm"),
        _in_cpp("norms", "add_layer_norm"),
        _reference("add_layer_norm"),
    ],
    "rope": [*_in_triton("rotary", "rope"), _in_cpp("rotary", "rope"), _reference("rope")],
    "qk_norm_rope": [
        *_in_triton("rotary", "qk_norm_rope"),
        _in_cpp("rotary", "qk_norm_rope"),
        _reference("qk_norm_rope"),
    ],
    # The order on a GPU is from literature until it is measured (see _not_before_hopper). Triton: at head dim 64 plain
    # Triton beats flash 2 by 10 to 20 %, at 128 it loses (triton-lang/triton #5437); cuDNN on Hopper beats both.
    "attention": [
        _in_cpp("attention", "attention"),
        Impl("sdpa-cudnn", ("cuda",), "nimllm.kernels.sdpa:attention_cudnn", _gpu, _not_before_hopper),
        Impl("sdpa-flash", ("cuda",), "nimllm.kernels.sdpa:attention_flash", _gpu),
        *_in_triton("attention", "attention", _not_measured),
        Impl("torch", ANY, "nimllm.kernels.fused:attention"),
        _reference("attention"),
    ],
    "attention_packed": [
        *_in_triton("attention", "attention_packed"),
        Impl("cpp", ("cpu",), "nimllm.kernels.attention:attention_packed", _compiled_packed),
        Impl("torch", ANY, "nimllm.kernels.fused:attention_packed"),
        _reference("attention_packed"),
    ],
    "swiglu": [*_in_triton("activations", "swiglu"), _in_cpp("activations", "swiglu"), _reference("swiglu")],
    "gelu": [*_in_triton("activations", "gelu"), _in_cpp("activations", "gelu"), _reference("gelu")],
    "relu2": [*_in_triton("activations", "relu2"), _in_cpp("activations", "relu2"), _reference("relu2")],
    "linear": [Impl("onednn", ("cpu",), "nimllm.kernels.linear:linear", _avx512), _reference("linear")],
    "linear_cross_entropy": [
        *_in_triton("loss", "linear_cross_entropy"),
        Impl("cpp", ("cpu",), "nimllm.kernels.loss:linear_cross_entropy_cpp", _compiled),
        Impl("chunked", ANY, "nimllm.kernels.loss:linear_cross_entropy_chunked"),
        _reference("linear_cross_entropy"),
    ],
    "token_logprobs": [
        *_in_triton("loss", "token_logprobs"),
        Impl("chunked", ANY, "nimllm.kernels.logprobs:token_logprobs"),
        _reference("token_logprobs"),
    ],
    "clip_adamw": [
        *_in_triton("optimizer", "clip_adamw"),
        _in_cpp("optimizer", "clip_adamw"),
        _reference("clip_adamw"),
    ],
    "newton_schulz": [
        *_in_triton("newton_schulz", "newton_schulz"),
        Impl("one-by-one", ("cpu",), "nimllm.kernels.newton_schulz:newton_schulz"),
        _reference("newton_schulz"),
    ],
    "top_saliency": [*_in_triton("sparse", "top_saliency"), _reference("top_saliency")],
    "grid_add": [*_in_triton("sparse", "grid_add"), _reference("grid_add")],
    # a class, not a function: Engine's face (config, tensors, dtype, threads), logits of a growing sequence
    "decode": [
        Impl("engine", ("cpu",), "nimllm.kernels.engine:Engine", _engine_available),
        Impl("torch", ("cpu",), "nimllm.kernels.decoder:Decoder"),
    ],
}
# modules that register further implementations when they are imported
_PLUGINS: list[str] = []


def register(op: str, implementation: Impl) -> None:
    """Put ``implementation`` first in ``op``'s list (a new op starts a new list)."""
    rows = _TABLE.setdefault(op, [])
    if any(row.name == implementation.name for row in rows):
        raise ValueError(f"op {op} already has an implementation called {implementation.name}")
    rows.insert(0, implementation)
    _choose.cache_clear()


def get(op: str, device: Any = "cpu") -> Callable[..., Any]:
    """The callable for ``op`` on ``device`` (a torch.device or its name); NimError when nothing fits."""
    return choose(op, device).function


def choose(op: str, device: Any = "cpu") -> Impl:
    """The implementation that :func:`get` would call."""
    return _choose(op, str(device).partition(":")[0], os.environ.get(VARIABLE, ""))


@cache
def _choose(op: str, device: str, override: str) -> Impl:
    rows = _rows(op)
    wanted = _wanted(op, override)
    if wanted is not None:
        row = next(row for row in rows if row.name == wanted)
        if not row.fits(device):
            raise UsageError(f"{VARIABLE} asks for {op}={wanted}", f"it does not run on {device}",
                             f"it runs on {', '.join(row.devices)}")
        if reason := row.available():
            raise UsageError(f"{VARIABLE} asks for {op}={wanted}", reason, f"unset {VARIABLE}")
        return row
    reasons = []
    for row in rows:
        if not row.fits(device):
            continue
        reason = row.passed_over(device) or row.available()
        if reason is None:
            return row
        reasons.append(f"{row.name}: {reason}")
    raise NimError(f"no implementation of {op} runs on {device}", "; ".join(reasons), "see nimllm doctor")


def names() -> tuple[str, ...]:
    """Every op."""
    _load_plugins()
    return tuple(_TABLE)


def rows(op: str) -> tuple[Impl, ...]:
    """Every implementation of an op, best first, whether or not it can be used here; UsageError for an unknown op."""
    return tuple(_rows(op))


def _rows(op: str) -> list[Impl]:
    _load_plugins()
    if op not in _TABLE:
        raise UsageError(f"no op is called {op!r}", "", f"the ops are {', '.join(_TABLE)}")
    return _TABLE[op]


@lru_cache(maxsize=1)
def _load_plugins() -> None:
    for module in _PLUGINS:
        importlib.import_module(module)


def _wanted(op: str, override: str) -> str | None:
    """The implementation that the override names for this op; the last word on an op wins. UsageError if unknown."""
    chosen: str | None = None
    for part in filter(None, (part.strip() for part in override.split(","))):
        name, equals, implementation = (piece.strip() for piece in part.partition("="))
        if not equals:
            if not any(row.name == name for rows in _TABLE.values() for row in rows):
                raise UsageError(f"{VARIABLE}: no implementation is called {name!r}", "", _known())
            if any(row.name == name for row in _TABLE[op]):
                chosen = name
        elif name not in _TABLE or not any(row.name == implementation for row in _TABLE[name]):
            raise UsageError(f"{VARIABLE}: {part!r} names nothing in the table", "", _known())
        elif name == op:
            chosen = implementation
    return chosen


def _known() -> str:
    return "known: " + "; ".join(f"{op}={'|'.join(row.name for row in rows)}" for op, rows in _TABLE.items())


def table(device: Any = "cpu") -> list[dict[str, str]]:
    """Rows for ``nimllm doctor``: op, implementation, devices, state ("used", "ready", or why not).

    "ready" comes after the one in use. A reason is why it cannot be used, or else why it is no default here.
    """
    _load_plugins()
    name = str(device).partition(":")[0]
    result = []
    for op, rows in _TABLE.items():
        try:
            used = choose(op, device)
        except UsageError:
            raise  # NIMLLM_KERNELS asks for what cannot be
        except NimError:
            used = None
        for row in rows:
            if not row.fits(name):
                state = f"not for {name}"
            else:
                state = "used" if row is used else row.available() or row.passed_over(name) or "ready"
            result.append({"op": op, "implementation": row.name, "devices": ", ".join(row.devices), "state": state})
    return result
