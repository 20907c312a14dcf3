"""The training library's loops: every index once, on torch's threads or its own, and its loader."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nimllm.kernels import native

pytestmark = pytest.mark.skipif(native.available() is not None, reason=str(native.available()))


@pytest.fixture(autouse=True)
def threads_as_they_were():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count,grain", [(0, 1), (1, 1), (7, 0), (1000, 1), (1001, 64), (5, 100)])
def test_every_index_once(threads: int, count: int, grain: int) -> None:
    torch.set_num_threads(threads)
    out = torch.zeros(count + 1, dtype=torch.int64)
    native.function("nimllm_train_count", "pii")(out.data_ptr(), count, grain)
    assert out.tolist() == [*range(count), 0]


def test_the_pool_is_torchs_where_torch_uses_openmp() -> None:
    if "OpenMP" in torch.__config__.parallel_info().split("backend:")[-1] and sys.platform == "linux":
        assert native.pool() == "torch's OpenMP threads"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_torch_and_the_library_share_their_threads() -> None:
    code = (
        "import os, torch; torch.set_num_threads(3); from nimllm.kernels import native;"
        "a = torch.randn(600, 600); a @ a; torch.randn(10**6).exp(); before = len(os.listdir('/proc/self/task'));"
        "out = torch.zeros(10**6, dtype=torch.int64);"
        "native.function('nimllm_train_count', 'pii')(out.data_ptr(), 10**6, 1);"
        "assert native.pool() != 'torch\\'s OpenMP threads' or len(os.listdir('/proc/self/task')) == before;"
        "assert bool((out == torch.arange(10**6)).all())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OMP_NUM_THREADS": "3"})


def test_without_torchs_runtime_its_own_team_does_the_work() -> None:
    code = (
        "import torch; from nimllm.kernels import native; count = native.function('nimllm_train_count', 'pii');"
        "library, _ = native._load(); out = torch.zeros(10**5, dtype=torch.int64);"
        "[(library.nimllm_train_pool(None, n), count(out.data_ptr(), 10**5, 7)) for n in (3, 1, 2)];"
        "assert bool((out == 3 * torch.arange(10**5)).all())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_isa_can_be_limited_and_is_said() -> None:
    best = native.isa()
    try:
        assert native.limit_isa("portable") == native.isa() == "portable"
        assert "AVX-512" in str(native.available_avx512())
    finally:
        assert native.limit_isa("avx512bf16") == best


def test_asking_costs_no_torch() -> None:
    code = "import sys; from nimllm.kernels import native; native.available(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_function() -> None:
    with pytest.raises(AttributeError):
        native.function("nimllm_train_nonsense", "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts page faults")
@pytest.mark.slow
def test_freed_memory_comes_back_without_page_faults() -> None:
    code = (
        "import resource, sys, torch; from nimllm.kernels import native;"
        "kept = native.keep_freed_memory() if sys.argv[1] == 'keep' else True;"
        "step = lambda: [torch.ones(n * 2**20) for n in (1, 2, 10, 3, 12, 1)];"
        "sum(len(step()) for _ in range(8)); before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt;"
        "sum(len(step()) for _ in range(8));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before if kept else -1)"
    )
    faults = [int(subprocess.check_output([sys.executable, "-c", code, how])) for how in ("leave", "keep")]
    if faults[1] == -1:
        pytest.skip("this C library is not glibc")
    assert faults[1] < 0.3 * faults[0], faults


def test_the_table_of_a_cpu_is_told_without_torch() -> None:
    code = "import sys; from nimllm.kernels import ops; ops.table('cpu'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
