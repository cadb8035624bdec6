"""Which attention a GPT is trained with."""

from __future__ import annotations

import torch

from trainers.models.attention import choose_attention
from trainers.models.configuration import model_config

GPT2 = {"model_type": "gpt2", "n_layer": 2, "n_embd": 16, "n_head": 2, "n_positions": 32}


def test_attention_is_the_plain_one_where_the_fast_one_does_not_fit() -> None:
    shape, gpu = model_config(GPT2, "model", vocab_size=50), torch.device("cuda")
    assert choose_attention(shape, True, gpu) == "sdpa"  # GPT-2's own dropout
    shape.attn_pdrop = 0.0
    assert choose_attention(shape, False, gpu) == choose_attention(shape, True, torch.device("cpu")) == "sdpa"
    assert choose_attention(shape, True, gpu) != "sdpa"
