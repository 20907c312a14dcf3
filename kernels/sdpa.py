"""torch's scaled_dot_product_attention on a GPU with the order of its kernels chosen.

torch's own default is flash even where cuDNN is twice as fast (Hopper). Each function here asks for one kernel first
and falls back, since every kernel has inputs that it refuses: flash and cuDNN take fp16 and bf16 only. Setting the
order costs some microseconds of Python a call; a CUDA graph or torch.compile takes it out of the step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from nimllm.kernels import fused

_FLASH = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
_CUDNN = [SDPBackend.CUDNN_ATTENTION, *_FLASH]


def _attention(q_bhtd: Tensor, k_bgsd: Tensor, v_bgsd: Tensor, causal: bool, order: list[SDPBackend]) -> Tensor:
    h, g = q_bhtd.shape[1], k_bgsd.shape[1]
    if q_bhtd.dtype == torch.float32 and h != g:  # the memory-efficient kernel, the only fp32 one, has no groups
        k_bgsd, v_bgsd = (x.repeat_interleave(h // g, dim=1) for x in (k_bgsd, v_bgsd))
    with sdpa_kernel(order, set_priority=True):
        return fused.attention(q_bhtd, k_bgsd, v_bgsd, causal)


def attention_cudnn(q_bhtd: Tensor, k_bgsd: Tensor, v_bgsd: Tensor, causal: bool = True) -> Tensor:
    """As reference.attention: cuDNN for whole sequences, else flash, else what takes the input.

    cuDNN makes a plan for every new length (pytorch/pytorch #155958), which takes longer than the attention: it is not
    for generation, where the number of keys grows with every token.
    """
    whole = q_bhtd.shape[2] == k_bgsd.shape[2] and q_bhtd.shape[2] > 1
    return _attention(q_bhtd, k_bgsd, v_bgsd, causal, _CUDNN if whole else _FLASH)


def attention_flash(q_bhtd: Tensor, k_bgsd: Tensor, v_bgsd: Tensor, causal: bool = True) -> Tensor:
    """As reference.attention: flash, else what takes the input; never cuDNN."""
    return _attention(q_bhtd, k_bgsd, v_bgsd, causal, _FLASH)
