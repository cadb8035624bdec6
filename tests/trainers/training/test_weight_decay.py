"""Which weights of the models that are trained here decay."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM

from pipeline.core.errors import UsageError
from trainers.models.configuration import model_config
from trainers.training.weight_decay import check_same_division, split_by_decay

SMALL = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
MODELS: dict[str, tuple[dict[str, Any], set[str], set[str]]] = {  # weights that decay and that do not, by the ends of their names
    "gpt2": (
        {"model_type": "gpt2", "n_layer": 1, "n_embd": 16, "n_head": 2},
        {"attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"},
        {"wte.weight", "wpe.weight", "ln_1.weight", "ln_f.bias", "c_attn.bias"},
    ),
    "gpt_neox": (
        SMALL | {"model_type": "gpt_neox"},
        {"query_key_value.weight", "dense.weight", "dense_h_to_4h.weight", "dense_4h_to_h.weight", "embed_out.weight", "lm_head.weight"},
        {"embed_in.weight", "input_layernorm.weight", "final_layer_norm.bias", "query_key_value.bias"},
    ),
    "vit": (
        SMALL | {"model_type": "vit", "image_size": 32, "patch_size": 8},
        {"patch_embeddings.projection.weight", "query.weight", "q_proj.weight", "pooler.dense.weight"},
        {"cls_token", "position_embeddings", "patch_embeddings.projection.bias", "layernorm.weight", "layernorm_before.weight"},
    ),
    "clip_vision_model": (
        SMALL | {"model_type": "clip_vision_model", "image_size": 32, "patch_size": 8},
        {"patch_embedding.weight", "q_proj.weight", "fc1.weight"},
        {"class_embedding", "position_embedding.weight", "post_layernorm.weight", "fc1.bias"},
    ),
    "bert": (
        SMALL | {"model_type": "bert"},
        {"query.weight", "intermediate.dense.weight"},
        {"word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight", "LayerNorm.weight", "query.bias"},
    ),
    "hubert": (
        SMALL | {"model_type": "hubert", "conv_dim": [16, 16], "conv_kernel": [10, 3], "conv_stride": [5, 2], "num_feat_extract_layers": 2,
                 "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2},
        {"conv_layers.0.conv.weight", "feature_projection.projection.weight", "pos_conv_embed.conv.parametrizations.weight.original1"},
        {"masked_spec_embed", "feature_projection.layer_norm.weight", "pos_conv_embed.conv.parametrizations.weight.original0"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_matrices_decay_biases_norms_embeddings_tokens_and_positions_do_not(kind: str) -> None:
    table, decaying, spared = MODELS[kind]
    auto = AutoModelForCausalLM if kind.startswith("gpt") else AutoModel
    model = auto.from_config(model_config(table, "model", **({} if kind == "hubert" or "vi" in kind else {"vocab_size": 50})))
    names = {id(weight): name for name, weight in model.named_parameters()}
    found = [{names[id(weight)] for weight in group} for group in split_by_decay(model)]
    assert len(found[0]) + len(found[1]) == len(names) and not found[0] & found[1]
    everything = found[0] | found[1]
    for names_of_group, ends in zip(found, (decaying, spared), strict=True):
        for end in ends:
            there = {name for name in everything if name.endswith(end)}
            assert there <= names_of_group, end
        assert any(name.endswith(tuple(ends)) for name in names_of_group)
    assert not [name for name in found[0] if name.endswith("bias")]


def test_what_is_frozen_is_in_neither() -> None:
    layer = torch.nn.Linear(3, 3)
    layer.weight.requires_grad_(False)
    assert split_by_decay(layer) == ([], [layer.bias])


def test_a_run_of_an_earlier_version_is_not_taken_for_damaged(tmp_path) -> None:
    layer = torch.nn.Sequential(torch.nn.Embedding(3, 3), torch.nn.Linear(3, 3))

    def optimizer(decaying: list[Any], spared: list[Any]) -> torch.optim.Optimizer:
        return torch.optim.AdamW([{"params": decaying}, {"params": spared, "weight_decay": 0.0}])

    embedding, matrix, bias = layer.parameters()
    before, now = optimizer([embedding, matrix], [bias]), optimizer([matrix], [embedding, bias])
    check_same_division(now, now.state_dict(), tmp_path)
    with pytest.raises(UsageError, match="by an earlier version, in which embeddings, .* decayed"):
        check_same_division(now, before.state_dict(), tmp_path)
