"""Where training runs, and how fast that device could multiply at most."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from nimllm.errors import NimError
from nimllm.kernels import limits
from nimllm.llm.bench.limits import instruction
from nimllm.llm.bench.shapes import matmul_weights
from nimllm.llm.config import ModelConfig

# Dense bf16 operations per second with fp32 accumulation, by the vendors' data sheets (the larger figure beside them is
# 2:4 sparsity). A name must be there to the word: "H100 PCIe" is no "H100", and a laptop's 4090 is no 4090.
_SHEETS = {
    "B200": 2250e12, "H200": 989e12, "H200 NVL": 836e12, "GH200 480GB": 989e12, "GH200 120GB": 989e12,
    "H100 80GB HBM3": 989e12, "H100 SXM5 80GB": 989e12, "H100 NVL": 835e12, "H100 PCIe": 756e12, "H800": 989e12,
    "A100-SXM4-40GB": 312e12, "A100-SXM4-80GB": 312e12, "A100-SXM-80GB": 312e12, "A100-PCIE-40GB": 312e12,
    "A100 80GB PCIe": 312e12, "A800-SXM4-80GB": 312e12, "A40": 149.7e12, "A30": 165e12, "L40S": 362e12, "L40": 181e12,
    "L4": 121e12, "GeForce RTX 5090": 209.5e12, "GeForce RTX 4090": 165.2e12, "GeForce RTX 3090": 71e12,
    "Instinct MI300X": 1307e12, "Instinct MI325X": 1307e12,
}  # fmt: skip


def pick_device(wanted: str, local: int = 0) -> torch.device:
    """The device of this name; "auto" and "cuda" are the GPU number ``local`` where there is one. NimError."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and local:
        if local >= torch.cuda.device_count():
            raise NimError(f"process {local} of this machine has no GPU", f"there are {torch.cuda.device_count()}",
                           "start as many processes as there are GPUs: torchrun --nproc-per-node gpu")
        wanted = f"cuda:{local}"
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise NimError(f"cannot use the device {wanted!r}", str(error).split("\n")[0], "use --device cpu") from None
    return device


def gains_by_bf16(device: torch.device) -> bool:
    """Whether matrix products in bf16 are faster than in fp32: tensor cores, or AVX-512 BF16 / AMX on a CPU."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        try:
            flags = Path("/proc/cpuinfo").read_text("utf-8", "replace")
        except OSError:
            return False
        return "avx512_bf16" in flags or "amx_bf16" in flags
    return False


def sheet(name: str) -> float | None:
    """Dense bf16 operations per second of the GPU that calls itself ``name``; None for one that the table lacks."""
    return _SHEETS.get(re.sub(r"^(NVIDIA|AMD|Tesla)\s+|\s+OAM$", "", name.strip()))


def peak(device: torch.device, bf16: bool) -> float | None:
    """Operations per second that the device cannot exceed (a multiply and an add are two), None where nobody knows.

    A GPU's by its data sheet, in bf16 only; a CPU's by multiplying in registers on torch's number of threads for 0.06 s
    with the best instruction for the dtype. AMX is not among those, so a CPU that has it and uses bf16 is unknown.
    """
    if device.type == "cuda":
        return sheet(torch.cuda.get_device_name(device)) if bf16 else None
    if device.type != "cpu" or limits.available() is not None:
        return None
    if bf16:
        try:
            if "amx_bf16" in Path("/proc/cpuinfo").read_text("utf-8", "replace"):
                return None
        except OSError:
            return None
    name = instruction("bf16" if bf16 else "fp32")
    return max(limits.peak(name, torch.get_num_threads(), 0.02) for _ in range(3))


def operations(config: ModelConfig, length: int) -> float:
    """Operations of forward and backward per token, as model FLOPs utilisation counts them: 6 N + 12 L d T, d being all
    query heads together (Chowdhery et al. 2022, PaLM, appendix B; nanoGPT's estimate_mfu). N: the weights that every
    token is multiplied with, the head once, no look-up tables. Attention is not halved for causality."""
    return 6.0 * matmul_weights(config) + 12.0 * config.n_layers * config.n_heads * config.head_dim * length
