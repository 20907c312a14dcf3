"""Packed weights on disk: the engine's own layout in a safetensors file (csrc/weights_file.h), mapped as it is."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from nimllm.errors import NimError
from nimllm.kernels import engine


def check(path: Path) -> None:
    """Reads the header and compares every size with the file's; no weight is touched.

    NimError: no such file, truncated, sizes that do not fit each other, another format (GGUF, a pickle, a checkpoint
    that was never packed). RuntimeError: the C++ library is not there.
    """
    library, reason = engine._load()
    if library is None:
        raise RuntimeError(f"the C++ engine cannot be used: {reason}")
    message = ctypes.create_string_buffer(1024)
    if library.nimllm_check_file(os.fsencode(path), message, ctypes.c_size_t(len(message))):
        why = message.value.decode("utf-8", "replace").removeprefix(f"{path}: ")
        raise NimError(f"{path} cannot be used as packed weights", why, "pack the checkpoint again")
