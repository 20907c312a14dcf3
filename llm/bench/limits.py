"""The physical limit beside a figure, measured in the same round: bandwidth at the working set, or multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from nimllm.kernels import limits as native

# dtype of the factors -> instructions that multiply them, best first; the last ones also do, after a conversion
_BY_DTYPE: dict[str, tuple[str, ...]] = {
    "fp32": ("avx512", "avx2", "portable"),
    "bf16": ("avx512-bf16", "avx512", "avx2", "portable"),
    "int8": ("avx512-vnni", "avx-vnni", "avx512", "avx2", "portable"),
}
FACTORS = {"fp32": "fp32", "bf16": "bf16", "q8": "int8", "q4": "int8"}  # what quantised weights are multiplied as
# dense bf16 operations per second by the vendor's data sheets, with fp32 accumulation
_SHEETS = {
    "H200": 989e12, "H100 80GB HBM3": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "B200": 2250e12, "A100": 312e12,
    "L40S": 362e12, "L40": 181e12, "L4": 121e12, "RTX 4090": 165e12, "RTX 3090": 71e12, "MI300X": 1307e12,
}  # fmt: skip


@dataclass
class Bandwidth:
    """No decoder reads its weights faster than this. ``size``: bytes of weights read in one pass, which makes
    ``units_per_pass`` tokens."""

    size: float
    threads: int
    units_per_pass: int = 1
    measured: list[float] = field(default_factory=list)  # bytes per second, one per round

    def measure(self) -> None:
        """One round."""
        if native.available() is None:
            size = max(1 << 16, int(self.size))
            self.measured.append(median(native.read_bandwidth(size, self.threads, 0.03) for _ in range(3)))

    def rate(self, index: int) -> float:
        """Units per second at most, in a round."""
        return self.measured[index] / self.size * self.units_per_pass

    def about(self) -> dict[str, Any]:
        return {"kind": "read bandwidth at the working set", "bytes": self.size, "threads": self.threads,
                "gb_per_second": [round(value / 1e9, 2) for value in self.measured]}


@dataclass
class Arithmetic:
    """No implementation multiplies faster than the registers do. ``operations_per_unit``: of one token."""

    operations_per_unit: float
    dtype: str
    threads: int
    measured: list[float] = field(default_factory=list)  # operations per second, one per round
    instruction: str = ""

    def measure(self) -> None:
        """One round."""
        if native.available() is not None:
            return
        self.instruction = self.instruction or instruction(self.dtype)
        self.measured.append(max(native.peak(self.instruction, self.threads, 0.02) for _ in range(3)))

    def rate(self, index: int) -> float:
        """Units per second at most, in a round."""
        return self.measured[index] / self.operations_per_unit

    def about(self) -> dict[str, Any]:
        return {"kind": "register peak", "operations": self.operations_per_unit, "threads": self.threads,
                "instruction": native.INSTRUCTIONS[self.instruction][2] if self.instruction else None,
                "gflops": [round(value / 1e9, 1) for value in self.measured]}


@dataclass
class Sheet:
    """The data sheet of a GPU, and beside it what a large matrix product of torch reached."""

    operations_per_unit: float
    dtype: str
    measured: list[float] = field(default_factory=list)  # operations per second of the product, one per round
    name: str = ""

    def measure(self) -> None:
        """One round: 8192^3, three times."""
        import torch

        self.name = torch.cuda.get_device_name()
        kind = torch.float32 if self.dtype == "fp32" else torch.bfloat16
        a, b = (torch.randn(8192, 8192, device="cuda", dtype=kind) for _ in range(2))
        best = 0.0
        for _ in range(4):  # the first one warms up
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            a @ b
            end.record()
            torch.cuda.synchronize()
            best = max(best, 2 * 8192**3 / (begin.elapsed_time(end) / 1e3))
        self.measured.append(best)

    @property
    def sheet(self) -> float | None:
        """Operations per second in bf16 as the vendor says; None for a GPU or dtype that the table lacks."""
        known = (value for name, value in _SHEETS.items() if name in self.name)
        return next(known, None) if self.dtype != "fp32" else None

    def rate(self, index: int) -> float:
        """Units per second at most: by the sheet, else by the product."""
        return (self.sheet or self.measured[index]) / self.operations_per_unit

    def about(self) -> dict[str, Any]:
        return {"kind": "data sheet" if self.sheet else "matrix product of torch, 8192^3", "gpu": self.name,
                "operations": self.operations_per_unit, "sheet_tflops": (self.sheet or 0) / 1e12 or None,
                "product_tflops": [round(value / 1e12, 1) for value in self.measured]}


@dataclass
class Copy:
    """A GPU's read bandwidth: the sum of an array of the working set's size, by torch."""

    size: float
    units_per_pass: int = 1
    measured: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """One round."""
        import torch

        size = max(1 << 22, int(self.size))
        array = torch.ones(size // 4, device="cuda")
        best = 0.0
        for _ in range(6):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for _ in range(10):
                array.sum()
            end.record()
            torch.cuda.synchronize()
            best = max(best, 10 * size / (begin.elapsed_time(end) / 1e3))
        self.measured.append(best)

    def rate(self, index: int) -> float:
        """Units per second at most, in a round."""
        return self.measured[index] / self.size * self.units_per_pass

    def about(self) -> dict[str, Any]:
        return {"kind": "read bandwidth of the GPU, torch's sum at the working set", "bytes": self.size,
                "gb_per_second": [round(value / 1e9, 2) for value in self.measured]}


Limit = Bandwidth | Arithmetic | Sheet | Copy


def instruction(dtype: str) -> str:
    """The fastest instruction of this processor for factors of this dtype (fp32, bf16, int8)."""
    have = native.instructions()
    return next(name for name in _BY_DTYPE[dtype] if name in have)
