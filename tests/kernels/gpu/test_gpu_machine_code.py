"""What the compiler makes of the model's ops for GPUs that are not here: tensor cores, shared memory, spills.

Triton needs no device to compile, but must not be in its interpreter, so a process of its own calls the ops on tensors
of the CPU, with a driver that only names the target; each launch ends when its machine code is made:
``python tests/kernels/gpu/test_gpu_machine_code.py 90`` prints a line of JSON for each.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

TARGETS = {"80": ("cuda", 80, 32), "90": ("cuda", 90, 32), "gfx942": ("hip", "gfx942", 64)}
SHARED = {"80": 163 * 1024, "90": 227 * 1024, "gfx942": 64 * 1024}  # bytes a program may have
KERNELS = {
    "attention_forward.forward", "attention_backward.row_sums", "attention_backward.backward_keys",
    "attention_backward.backward_queries", "norms._forward", "norms._backward", "rotary._forward", "rotary._backward",
    "activations._forward", "activations._backward",
}


def compile_only(target: tuple[str, Any, int]) -> list[dict[str, Any]]:
    """From now on each launch compiles for the target and adds a line to the list."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.runtime.jit import JITFunction

    from nimllm.kernels.gpu import launch

    class Driver:
        def get_current_device(self) -> int:
            return 0

        def get_current_stream(self, device: int) -> int:
            return 0

        def get_current_target(self) -> GPUTarget:
            return GPUTarget(*target)

    triton.runtime.driver.set_active(Driver())
    launch.check_floating = lambda **tensors: None  # it would refuse tensors of the CPU
    made: list[dict[str, Any]] = []
    run = JITFunction.run

    def record(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        kernel = run(self, *args, grid=grid, warmup=True, **options)
        file = self.fn.__module__.rpartition(".")[2]
        line = {"kernel": f"{file}.{self.fn.__name__}", "shared": kernel.metadata.shared,
                **{name: value for name, value in options.items() if isinstance(value, int)}}
        if "cubin" in kernel.asm:
            line |= {"stack": spilled(kernel.asm["cubin"]), "approximate": kernel.asm["ptx"].count("cos.approx"),
                     "products": len(re.findall(r"wgmma\.mma_async|mma\.sync", kernel.asm["ptx"]))}
        made.append(line)

    JITFunction.run = record
    return made


def spilled(cubin: bytes) -> int:
    """Bytes of stack of each thread; from the disassembler that comes with Triton."""
    import triton

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
        report = subprocess.run([tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True)
    return int(re.search(r"STACK:(\d+)", report.stdout).group(1))  # type: ignore[union-attr]


def attend(b: int, h: int, g: int, t: int, s: int, d: int, dtype: Any, causal: bool = True,
           packed: bool = False) -> None:
    import torch

    from nimllm.kernels.gpu import attention

    q = torch.zeros(b, t, h, d, dtype=dtype, requires_grad=True)
    k, v = (torch.zeros(b, s, g, d, dtype=dtype, requires_grad=True) for _ in range(2))
    if packed:
        out = attention.attention_packed(q[0], k[0], v[0], torch.tensor([0, t]), t, causal)
    else:
        out = attention.attention(*(x.transpose(1, 2) for x in (q, k, v)), causal)
    torch.autograd.grad(out, (q, k, v), torch.zeros_like(out))


def main(arch: str) -> None:
    made = compile_only(TARGETS[arch])
    import torch

    from nimllm.kernels.gpu import activations, attention_backward, attention_forward, norms, rotary

    tuned = (attention_forward.forward, attention_backward.backward_keys, attention_backward.backward_queries)
    for kernel in tuned:  # the way through the tuner and its cache, with a clock that finds all choices equal
        kernel._do_bench = lambda call, quantiles: [call(), 1.0, 1.0, 1.0][1:]
    attend(1, 2, 2, 128, 128, 64, torch.bfloat16)
    attend(1, 2, 2, 128, 128, 256, torch.float16)
    for kernel in tuned:
        assert [len(c.kwargs) for c in kernel.cache.values()] == [2, 2] and kernel.best_config is kernel.configs[-1]
    choices = [kernel.configs for kernel in tuned]
    for each in zip(*(configs[:-1] for configs in choices), strict=True):
        for kernel, config in zip(tuned, each, strict=True):
            kernel.configs = [config]  # one choice is not measured
        attend(2, 4, 2, 256, 256, 64, torch.bfloat16)
    for kernel, configs in zip(tuned, choices, strict=True):
        kernel.configs = configs[-2:-1]
    attend(2, 6, 2, 100, 300, 48, torch.float16, causal=False)
    attend(1, 1, 1, 1, 1, 32, torch.bfloat16)
    attend(1, 6, 2, 77, 77, 64, torch.bfloat16, packed=True)
    attend(1, 2, 2, 100, 100, 64, torch.float32)
    for kernel, configs in zip(tuned, choices, strict=True):
        kernel.configs = configs[-1:]  # the last resort
    attend(1, 2, 1, 64, 64, 256, torch.bfloat16)
    attend(1, 2, 1, 64, 64, 128, torch.float32)
    for dtype in (torch.float32, torch.bfloat16):
        for n, d in ((8, 1024), (1, 1), (3, 1000)):
            x = torch.zeros(n, d, dtype=dtype, requires_grad=True)
            weight = torch.zeros(d, requires_grad=True)
            norms.rms_norm(x, weight).sum().backward()
            norms.layer_norm(x, weight, weight).sum().backward()
            sum(norms.add_rms_norm(x, x, weight)).sum().backward()
            norms.add_layer_norm(x, x, weight, weight)[0].sum().backward()
            for op in (activations.gelu, activations.relu2):
                op(x).sum().backward()
            activations.swiglu(x, x).sum().backward()
            activations.swiglu_fused(torch.cat((x, x), -1)).sum().backward()
        for b, t, h, g, d in ((2, 64, 8, 2, 64), (1, 1, 1, 1, 2), (1, 7, 3, 1, 48)):
            q, k = (torch.zeros(b, t, heads, d, dtype=dtype, requires_grad=True) for heads in (h, g))
            gain = torch.zeros(d, requires_grad=True)
            for args in ((gain, gain, 1e-6, torch.arange(t)), (None, gain, 1e-6, None, None)):
                q_out, k_out = rotary.qk_norm_rope(q, k, *args)
                (q_out.sum() + k_out.sum()).backward()
            rotary.rope(q, torch.arange(t)).sum().backward()
    for line in made:
        print(json.dumps(line))


@pytest.mark.slow
@pytest.mark.parametrize("arch", TARGETS)
def test_machine_code(arch: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment |= {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    done = subprocess.run([sys.executable, __file__, arch], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["kernel"] for line in lines} == KERNELS
    assert max(line["shared"] for line in lines) <= SHARED[arch]
    if arch.startswith("gfx"):
        return
    assert not any(line["approximate"] for line in lines), "sine or cosine without reduction of the angle"
    products = {"attention_forward.forward": 2, "attention_backward.backward_keys": 4,
                "attention_backward.backward_queries": 3}
    for kernel, count in products.items():
        tuned = [line for line in lines if line["kernel"] == kernel and line["BLOCK_D"] == 64 and line["GROUP"] == 2]
        assert len(tuned) == 5
        assert all(line["products"] >= 2 * count for line in tuned), "a product that is not on the tensor cores"
        assert sum(line["stack"] == 0 for line in tuned) >= 3, "registers spilled: too few good choices for the tuner"
    assert all(line["stack"] == 0 for line in lines if line["kernel"].startswith(("norms", "activations")))


if __name__ == "__main__":
    main(sys.argv[1])
