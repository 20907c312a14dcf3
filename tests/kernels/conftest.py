"""Where the Triton kernels are tested: on the GPU when there is one, else in Triton's interpreter on the CPU.

Triton decides when a kernel's file is imported, so one process tests one of the two: test files import nothing of
``nimllm.kernels.gpu`` that this file would not have prepared. A test takes ``device`` and runs under both:
``pytest tests/kernels/gpu`` in the interpreter, ``pytest -m gpu tests/kernels/gpu`` on the GPU. On a machine with a GPU
the interpreter's run needs ``TRITON_INTERPRET=1`` in the environment. A test of what only a GPU can show takes
``device`` as well, and carries the mark ``gpu`` itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

collect_ignore_glob = [] if find_spec("triton") else ["gpu"]  # they import it, and so do the kernels


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """The device a Triton kernel runs on in this test. The interpreter works on small tensors: a second thread of torch
    does nothing but wait for them, with all its might (52 -> 44 s of processor for test_gpu_attention)."""
    if request.param == "cpu" and not INTERPRETED:
        pytest.skip("the interpreter was not asked for: TRITON_INTERPRET=1")
    if request.param == "cuda" and (INTERPRETED or not torch.cuda.is_available()):
        pytest.skip("needs a GPU, and TRITON_INTERPRET unset")
    threads = torch.get_num_threads()
    if request.param == "cpu":
        torch.set_num_threads(1)
    yield torch.device(request.param)
    torch.set_num_threads(threads)
