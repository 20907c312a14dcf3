"""The C++ library of the training kernels (``csrc/train``), through ctypes.

Its loops run on torch's own threads: torch's matrix products keep a pool of OpenMP workers that spin between regions,
and a second pool would fight it for the cores. :func:`pool` says which threads are in force. The number of threads is
torch's (``torch.set_num_threads``); ctypes gives the GIL back during a call.

A caller passes addresses (``tensor.data_ptr()``) and sizes, and answers for shape, dtype and contiguity.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

_ABI = 1
_ISA = ("portable", "avx2", "avx512", "avx512bf16")  # the order of the enum in parallel.h
_KINDS: dict[str, Any] = {
    "p": ctypes.c_void_p, "i": ctypes.c_int64, "f": ctypes.c_float, "d": ctypes.c_double, "b": ctypes.c_bool,
    "n": None,
}  # fmt: skip


@cache
def _load() -> tuple[ctypes.CDLL | None, str | None]:
    """The library with its threads set up, or why there is none."""
    found = sorted(Path(__file__).resolve().parent.glob("_train*.so"))
    if not found:
        return None, "the C++ training kernels were not built (pip install again where a C++17 compiler is)"
    try:
        library = ctypes.CDLL(str(found[0]))
        abi = library.nimllm_train_abi()
    except (OSError, AttributeError) as error:
        return None, f"{found[0].name} cannot be loaded: {error}"
    if abi != _ABI:
        return None, f"{found[0].name} has interface {abi}, this version needs {_ABI}: install again"
    library.nimllm_train_pool.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    library.nimllm_train_pool.restype = None
    return library, None


@cache
def _start() -> tuple[ctypes.CDLL, str]:
    """The library with its threads chosen, and which they are. Imports torch."""
    import torch

    library, reason = _load()
    if library is None:
        raise OSError(reason)
    gomp = None
    for found in sorted((Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*")):
        try:  # dlsym looks through what libtorch_cpu itself was linked with, so this is torch's runtime and no other
            gomp = ctypes.cast(ctypes.CDLL(str(found)).GOMP_parallel, ctypes.c_void_p).value
        except (OSError, AttributeError):
            continue
    library.nimllm_train_pool(gomp, torch.get_num_threads())
    return library, "torch's OpenMP threads" if gomp else f"{torch.get_num_threads()} threads of its own"


def available() -> str | None:
    """None when the library can be loaded, else the reason in a sentence. Does not import torch."""
    return _load()[1]


def lacks(name: str) -> str | None:
    """None when the library has the function, else why it cannot be used: one built before it was written."""
    library, reason = _load()
    if library is not None and not hasattr(library, name):
        return f"the C++ training kernels were built before {name}: install again"
    return reason


def available_avx512() -> str | None:
    """None when the kernels that beat torch's only with AVX-512 can be used, else the reason."""
    reason = available()
    if reason is None and _ISA.index(isa()) < _ISA.index("avx512"):
        reason = f"this processor has no AVX-512 (best here: {isa()}), and elsewhere torch's own kernels are as good"
    return reason


def isa() -> str:
    """The instruction set in force: portable, avx2, avx512 or avx512bf16. OSError without the library."""
    library, reason = _load()
    if library is None:
        raise OSError(reason)
    return _ISA[library.nimllm_train_isa()]


def limit_isa(name: str) -> str:
    """Use nothing above ``name`` from now on (tests); returns what is then in force."""
    library, reason = _load()
    if library is None:
        raise OSError(reason)
    return _ISA[library.nimllm_train_limit_isa(_ISA.index(name))]


def pool() -> str:
    """Whose threads the kernels run on. Imports torch."""
    return _start()[1]


def function(name: str, arguments: str, result: str = "n") -> Callable[..., Any]:
    """The C function ``name``; ``arguments`` and ``result`` are one letter each: p address (0: null), i int64, f float,
    d double, b bool, n nothing. OSError without the library. Look it up once, not per call."""
    call = getattr(_start()[0], name)
    call.argtypes, call.restype = [_KINDS[letter] for letter in arguments], _KINDS[result]
    return call


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, instead of asking the system for the same pages again in every step; True
    where the C library is glibc, else nothing is done.

    glibc gives every tensor above 32 MB, and the top of the heap, back at once, and each page that comes again is a
    fault and 4 KB of zeros: 370,000 of them in a training step (10.4M parameters, V 32000, 8 x 512 tokens, bf16), which
    took 1.20 s with them and 0.73 s without, on the same two cores; peak memory grew by 3 to 12 %. For processes that
    train: the memory comes back with ``malloc_trim`` or when the process ends.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # TypeError: Windows
        return False
    trim_threshold, mmap_max = -1, -4  # malloc.h
    return bool(mallopt(mmap_max, 0)) and bool(mallopt(trim_threshold, -1))
