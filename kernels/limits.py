"""What this processor can do at most: read bandwidth at a working-set size, multiply-adds per second in registers.

The native loops check their sums, so that no compiler can leave the work out. No numpy, no torch.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

# name -> (kind in csrc/limits.h, the dtype of the factors, the instruction)
INSTRUCTIONS: dict[str, tuple[int, str, str]] = {
    "avx512-bf16": (3, "bf16", "vdpbf16ps, 512 bits"),
    "avx512-vnni": (5, "int8", "vpdpbusd, 512 bits"),
    "avx-vnni": (4, "int8", "vpdpbusd, 256 bits"),
    "avx512": (2, "fp32", "vfmadd, 512 bits"),
    "avx2": (1, "fp32", "vfmadd, 256 bits"),
    "portable": (0, "fp32", "multiply and add, 128 bits, as compiled"),
}
_OK, _NO_MEMORY, _NO_ISA = 0, 3, 7


@cache
def _library() -> tuple[ctypes.CDLL | None, str | None]:
    found = sorted(Path(__file__).resolve().parent.glob("_engine*.so"))
    if not found:
        return None, "the C++ engine was not built (pip install it again where a C++17 compiler is)"
    try:
        library = ctypes.CDLL(str(found[0]))
        i32, f64 = ctypes.c_int32, ctypes.c_double
        library.nimllm_bandwidth.argtypes = [ctypes.c_int64, i32, f64, ctypes.POINTER(f64)]
        library.nimllm_peak.argtypes = [i32, i32, f64, ctypes.POINTER(f64)]
    except (OSError, AttributeError) as error:
        return None, f"{found[0].name} has no limits to measure: {error}"
    return library, None


def available() -> str | None:
    """None when the limits can be measured, else the reason in a sentence."""
    return _library()[1]


def cores() -> int:
    """CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _call(name: str, *arguments: int | float) -> float:
    library, reason = _library()
    if library is None:
        raise RuntimeError(f"the limits of this machine cannot be measured: {reason}")
    result = ctypes.c_double()
    code = getattr(library, f"nimllm_{name}")(*arguments, ctypes.byref(result))
    if code == _NO_MEMORY:
        raise MemoryError(f"not enough memory to measure {name}")
    if code:
        raise ValueError(f"{name}{arguments} cannot be measured (code {code})")
    return result.value


def read_bandwidth(size: int, threads: int, seconds: float = 0.05) -> float:
    """Bytes per second that ``threads`` threads read from an array of ``size`` bytes, over and over for ``seconds``.

    ValueError: size below 4096, threads outside 1..1024, seconds outside (0, 60]. MemoryError. RuntimeError without the
    library.
    """
    return _call("bandwidth", size, threads, seconds)


def instructions() -> list[str]:
    """The names of INSTRUCTIONS that this processor has; empty without the library."""
    library, _ = _library()
    result = ctypes.c_double()
    return [] if library is None else [
        name for name, (kind, _, _) in INSTRUCTIONS.items()
        if library.nimllm_peak(kind, 1, 1e-6, ctypes.byref(result)) == _OK
    ]


def peak(instruction: str, threads: int, seconds: float = 0.02) -> float:
    """Operations per second (a multiply and an add are two) of one instruction, registers only. Errors as above, and
    ValueError for an instruction that this processor lacks; KeyError for an unknown one."""
    return _call("peak", INSTRUCTIONS[instruction][0], threads, seconds)
