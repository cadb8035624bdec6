"""Attention within documents that share a sequence: torch's FlexAttention, which skips blocks that are masked completely.

It runs compiled on a GPU. It has no backward pass on CPUs and no dropout; models that it does not fit keep transformers' `sdpa`,
which computes everything and masks it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

NAME = "seimai_documents"  # among transformers' implementations of attention


def choose_attention(config: Any, compiled: bool, device: torch.device) -> str:
    """Return the name of the attention to train a model of this configuration with, and register it with transformers.

    A document begins where positions start anew.
    """
    from transformers import AttentionInterface, AttentionMaskInterface  # late: heavy

    has_dropout = any(getattr(config, key, 0) for key in ("attn_pdrop", "attention_dropout"))
    if device.type != "cuda" or not compiled or has_dropout:
        return "sdpa"
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, _make_mask)
    return NAME


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: BlockMask,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Return float[batch, length, heads, d] of float[batch, heads, length, d], by the interface of transformers."""
    output: Any = flex_attention(query, key, value, block_mask=mask, scale=scaling)
    return output.transpose(1, 2).contiguous(), None


def _make_mask(*, batch_size: int, q_length: int, kv_length: int, mask_function: Any, device: Any, **_: Any) -> BlockMask:
    """Replace transformers' own function, which compiles by itself and so breaks the graph of a compiled model."""
    return create_block_mask(mask_function, batch_size, None, q_length, kv_length, device=device)
