"""What a run needs to go on where it was: weights, moments and the step, in one file that is replaced atomically.

The file says nothing of how many processes wrote it: a run may go on with another number of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nimllm.errors import NimError

WEIGHT, MOMENT = "weight::", "moment::"


def write_state(path: Path, weights: Iterable[tuple[str, Tensor]], moments: Iterable[tuple[str, Tensor]],
                about: dict[str, str]) -> None:
    """One safetensors file; NimError when it cannot be written, and then the one before is kept."""
    tensors = {f"{WEIGHT}{name}": tensor.detach().cpu().contiguous() for name, tensor in weights}
    tensors |= {f"{MOMENT}{name}": tensor.detach().cpu().contiguous().clone() for name, tensor in moments}
    temporary = path.with_name(path.name + ".tmp")
    try:
        save_file(tensors, temporary, about)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise NimError(
            f"cannot write the checkpoint {path}",
            str(error),
            "free some space and run again with --resume; the last good checkpoint is kept",
        ) from None


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, str]]:
    """(weights, moments, about) by name; NimError when the file is damaged."""
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        int(about["step"]), float(about["best"]), float(about["seconds"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise NimError(
            f"the checkpoint {path} is damaged",
            str(error),
            "delete it to start the run again from its first step",
        ) from None
    weights = {name.removeprefix(WEIGHT): t for name, t in tensors.items() if name.startswith(WEIGHT)}
    moments = {name.removeprefix(MOMENT): t for name, t in tensors.items() if name.startswith(MOMENT)}
    return weights, moments, about


def give_back_freed_memory() -> None:
    """Give freed memory back to the system: tensors of changing sizes, and a checkpoint's copies, fragment the heap of
    glibc."""
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass  # another C library


def copy_weights(model: torch.nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Into the model's parameters, by name; NimError naming the first that is missing or of another shape."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            tensor = weights.get(name)
            if tensor is None or tensor.shape != parameter.shape:
                found = "missing" if tensor is None else f"of shape {list(tensor.shape)}"
                raise NimError(f"the checkpoint {path} is damaged", f"the weight {name} is {found}",
                               "delete it to start the run again from its first step")
            parameter.copy_(tensor)
