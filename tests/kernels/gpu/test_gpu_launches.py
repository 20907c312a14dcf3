"""Every launch compiles for GPUs that are not here: what the interpreter cannot tell, being Python.

A process of its own, without the interpreter, calls the ops on tensors of the CPU. Triton's driver is replaced by one
that names the target; each launch ends when its machine code is made, so the numbers that come out mean nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TARGETS = {"hopper": "('cuda', 90, 32)", "ampere": "('cuda', 80, 32)", "mi300": "('hip', 'gfx942', 64)"}
CODE = r"""
import re, sys
import torch, triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

class Driver:
    def get_current_device(self): return 0
    def get_current_stream(self, device): return 0
    def get_current_target(self): return GPUTarget(*TARGET)

triton.runtime.driver.set_active(Driver())
made, wide = set(), set()
run = JITFunction.run
def compile_only(self, *args, grid, warmup, **options):
    kernel = run(self, *args, grid=grid, warmup=True, **options)
    assert kernel is not None and len(kernel.asm[BINARY]) > 500
    made.add(self.fn.__name__)
    if "ptx" not in kernel.asm or re.search(r"ld\.global[^;]*\.v[24]", kernel.asm["ptx"]):
        wide.add(self.fn.__name__)
JITFunction.run = compile_only

from nimllm.kernels.gpu import loss, newton_schulz, optimizer, sparse

for dtype in (torch.float32, torch.bfloat16, torch.float16):
    hidden, weight = torch.zeros(5, 8, dtype=dtype, requires_grad=True), torch.zeros(5000, 8, dtype=dtype)
    targets = torch.zeros(5, dtype=torch.int64)
    for op in (loss.linear_cross_entropy, loss.token_logprobs):
        op(hidden, weight, targets).sum().backward()
        op(hidden.detach(), weight, targets)
    one = torch.zeros(1, 1, dtype=dtype)  # a size of 1 is a constant in the kernel
    loss.linear_cross_entropy(one, one, targets[:1])
    newton_schulz.newton_schulz(one)
    matrix = torch.zeros(2, 40, 48, dtype=dtype)
    newton_schulz.symmetric_product(matrix)
    newton_schulz.newton_schulz(torch.zeros(1, 800, 900, dtype=dtype))
    newton_schulz.newton_schulz(matrix)
    for held in (1, torch.ones(())):
        for bound in (None, 1.0):
            four = [[torch.zeros(70, dtype=kind)] for kind in (dtype, dtype, torch.float32, torch.float32)]
            optimizer.clip_adamw(*four, held, 1e-3, (0.9, 0.95), 1e-8, 0.1, bound)
    sparse.top_saliency([torch.ones(5000, dtype=dtype)], 7)
base, sums = torch.zeros(64), torch.zeros(64, dtype=torch.int32)
for where in (None, sums == 0, torch.arange(64), torch.arange(64, dtype=torch.int32)):
    sparse.grid_add(base, where, sums, -12)
# bandwidth is what these kernels live from: 16 bytes an access, which a mask or an unknown alignment would prevent
assert made == wide, made - wide
print(sorted(made))
"""


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_every_kernel_compiles(target: str, tmp_path: Path) -> None:
    binary = "hsaco" if target == "mi300" else "cubin"
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", f"TARGET, BINARY = {TARGETS[target]}, {binary!r}\n{CODE}"], cwd=ROOT,
                          env={**environment, "TRITON_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True,
                          timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == str(sorted({
        "_log_softmax_rows", "_logprob_gradient_rows", "_symmetric_product", "_sum_squares", "_adamw", "_count_digits",
        "_choose_digit", "_count_ties", "_write_masks", "_grid_add"}))
