"""Attention that computes only what documents see of themselves: torch's FlexAttention, which skips blocks that are masked whole.

On a GPU, compiled. It has no backward pass on processors and no dropout; where it does not fit, models keep the attention that they come
with (`sdpa`), which computes everything and masks it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

NAME = "seimai_documents"  # among transformers' implementations of attention


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: BlockMask,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """float[batch, length, heads, d] of float[batch, heads, length, d]; by the interface of transformers."""
    found: Any = flex_attention(query, key, value, block_mask=mask, scale=scaling)
    return found.transpose(1, 2).contiguous(), None


def _mask(*, batch_size: int, q_length: int, kv_length: int, mask_function: Any, device: Any, **_: Any) -> BlockMask:
    """transformers' own compiles by itself, which divides a model that is compiled into parts."""
    return create_block_mask(mask_function, batch_size, None, q_length, kv_length, device=device)


def implementation(shape: Any, compiled: bool, device: torch.device) -> str:
    """The name of the attention that a model of this configuration is trained with, which is made known to transformers.

    A document begins where positions begin anew.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    dropout = any(getattr(shape, key, 0) for key in ("attn_pdrop", "attention_dropout"))
    if device.type != "cuda" or not compiled or dropout:
        return "sdpa"

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, _mask)
    return NAME
