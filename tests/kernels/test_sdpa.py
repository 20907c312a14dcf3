"""The orders of SDPA kernels: right on every device (on a CPU, torch has its own), and nothing is left behind."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import _cur_sdpa_kernel_backends

from nimllm.kernels import reference, sdpa


@pytest.mark.parametrize("implementation", [sdpa.attention_cudnn, sdpa.attention_flash])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("h,g,t,s,causal", [(4, 2, 9, 9, True), (2, 2, 1, 7, True), (6, 2, 3, 8, True),
                                            (2, 1, 5, 6, False)])
def test_orders(implementation, dtype, h, g, t, s, causal) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    before = _cur_sdpa_kernel_backends(with_priority=True)
    q, k, v = (torch.randn(2, heads, length, 16).to(dtype) for heads, length in ((h, t), (g, s), (g, s)))
    want = reference.attention(q.float(), k.float(), v.float(), causal)
    got = implementation(q, k, v, causal)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), want, rtol=0, atol=1e-5 if dtype == torch.float32 else 0.02)
    assert _cur_sdpa_kernel_backends(with_priority=True) == before
