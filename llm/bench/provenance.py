"""Under which circumstances a figure was taken: machine, versions, commit, date."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from nimllm import __version__

_PACKAGE = Path(__file__).resolve().parents[2]  # the checkout, or site-packages/nimllm
_FLAGS = ("avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16",
          "avx512_fp16", "amx_bf16", "amx_int8", "asimd", "asimddp", "i8mm", "bf16", "sve")  # fmt: skip


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _output(*words: str, cwd: Path | None = None) -> str | None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, cwd=cwd, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu() -> dict[str, Any]:
    info: dict[str, str] = {}
    for line in _lines("/proc/cpuinfo"):
        name, colon, value = line.partition(":")
        if colon:
            info.setdefault(name.strip(), value.strip())  # of the first processor
    flags = set((info.get("flags") or info.get("Features") or "").split())
    caches: dict[str, str] = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ("".join(_lines(f"{index}/{name}")) for name in ("level", "type", "size"))
        caches[f"L{level}{'' if kind == 'Unified' else kind[:1].lower()}"] = size
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"model": info.get("model name") or platform.processor() or platform.machine(), "cpus": os.cpu_count(),
            "cpus_allowed": allowed, "flags": [flag for flag in _FLAGS if flag in flags], "caches": caches}


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit(folder: Path) -> str | None:
    """The commit checked out in ``folder``, with "+changes" when files differ from it; None where git knows none."""
    if not (folder / ".git").exists():
        return None
    head = _output("git", "rev-parse", "HEAD", cwd=folder)
    if head is None:
        return None
    changed = _output("git", "status", "--porcelain", "--untracked-files=no", cwd=folder)
    return head + ("+changes" if changed else "")


def _compiler() -> str | None:
    said = _output(os.environ.get("CXX", "c++"), "--version")
    return said.splitlines()[0] if said else None


def _gpus() -> list[dict[str, Any]]:
    torch = sys.modules.get("torch")  # who did not need torch has measured nothing on a GPU
    if torch is None or not torch.cuda.is_available():
        return []
    found = []
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        found.append({"name": about.name, "memory_bytes": about.total_memory, "processors": about.multi_processor_count,
                      "runtime": torch.version.cuda or torch.version.hip})
    return found


@cache
def _machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(), "memory_bytes": _memory_bytes(), "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "versions": {"nimllm": __version__, "python": platform.python_version(),
                     **{name: _version(name) for name in ("numpy", "torch", "triton", "sentencepiece")},
                     "compiler": _compiler()},
        "commit": commit(_PACKAGE),
    }  # fmt: skip


def provenance() -> dict[str, Any]:
    """What a JSON line carries: cpu, caches, memory, system, versions, commit (of a checkout), the machine's load and
    the time (UTC) when the figure was reported, and the kernels' override when there is one."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        **_machine(), "gpus": _gpus(), "load_1min": load,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "kernels": os.environ.get("NIMLLM_KERNELS") or None,
    }  # fmt: skip
