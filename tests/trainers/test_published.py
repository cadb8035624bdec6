"""The configurations of GPT beside what their authors published: shapes as they stand in `config.json`, steps, tokens, parameters."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from trainers import clip, diffusion, gpt, hubert
from trainers.models.configuration import model_config
from trainers.training.needs import count_parameters
from trainers.training.settings import list_configs, load_config

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "models.md"
RANKS = 8  # GPUs that the configurations are for

# config.json of the models on the Hub. `rotary_pct` and `rotary_emb_base` are `rope_parameters` in transformers 5.
NEOX_SMALL = {
    "hidden_act": "gelu", "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-05,
    "max_position_embeddings": 2048, "num_attention_heads": 12, "num_hidden_layers": 12, "rotary_emb_base": 10000, "rotary_pct": 1.0,
    "tie_word_embeddings": False, "use_parallel_residual": False, "vocab_size": 44416,
}  # fmt: skip
NEOX_3_6B = {
    "hidden_act": "gelu", "hidden_size": 2816, "initializer_range": 0.02, "intermediate_size": 11264, "layer_norm_eps": 1e-05,
    "max_position_embeddings": 2048, "num_attention_heads": 22, "num_hidden_layers": 36, "rotary_emb_base": 10000, "rotary_pct": 1.0,
    "tie_word_embeddings": False, "use_parallel_residual": False, "vocab_size": 32000,
}  # fmt: skip
BILINGUAL_4B = NEOX_3_6B | {"attention_bias": True, "hidden_dropout": 0.1, "vocab_size": 65536}
GPT2 = {
    "activation_function": "gelu_new", "embd_pdrop": 0.1, "resid_pdrop": 0.1, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
    "n_positions": 1024, "vocab_size": 32000,
}  # fmt: skip
XSMALL = GPT2 | {"n_embd": 512, "n_head": 8, "n_inner": 2304, "n_layer": 6}
SMALL = GPT2 | {"n_embd": 768, "n_head": 12, "n_inner": 3072, "n_layer": 12}
MEDIUM = GPT2 | {"n_embd": 1024, "n_head": 16, "n_inner": 4096, "n_layer": 24}
GPT_1B = GPT2 | {
    "activation_function": "gelu_fast", "n_embd": 2048, "n_head": 16, "n_inner": 8192, "n_layer": 24, "vocab_size": 44928,
}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2-xsmall": XSMALL, "gpt2-small": SMALL, "gpt2-medium": MEDIUM, "gpt-1b": GPT_1B, "gpt-neox-small": NEOX_SMALL,
    "gpt-neox-3.6b": NEOX_3_6B, "bilingual-gpt-neox-4b": BILINGUAL_4B,
}  # fmt: skip
NOT_TAKEN_OVER = {"attn_pdrop": 0.0, "attention_dropout": 0.0}  # FlexAttention has no dropout

PARAMETERS = {  # the authors say 37 M, 110 M, 336 M, 1.3 B, nothing, 3.6 B, 3.8 B
    "gpt2-xsmall": 37_398_016, "gpt2-small": 110_418_432, "gpt2-medium": 336_128_000, "gpt-1b": 1_302_712_320,
    "gpt-neox-small": 153_278_976, "gpt-neox-3.6b": 3_607_245_312, "bilingual-gpt-neox-4b": 3_796_120_064,
}  # fmt: skip


@lru_cache
def shape_of(name: str) -> Any:
    return model_config(load_config(gpt.Config, "gpt", name).model, "model", vocab_size=SHAPES[name]["vocab_size"])


def test_every_model_is_here() -> None:
    assert {*list_configs("gpt")} - {"tiny"} == {*SHAPES} == {*PARAMETERS}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_those_that_were_published(name: str) -> None:
    shape = shape_of(name)
    rope = getattr(shape, "rope_parameters", None) or {}
    ours = {"rotary_pct": rope.get("partial_rotary_factor"), "rotary_emb_base": rope.get("rope_theta")} | shape.to_dict()
    assert {key: ours[key] for key in SHAPES[name]} == SHAPES[name]
    assert all(ours.get(key, value) == value for key, value in NOT_TAKEN_OVER.items())


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name: str) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape_of(name))
    assert count_parameters(model) == (PARAMETERS[name], PARAMETERS[name])


def test_a_layer_of_the_3_6b_is_sequential() -> None:
    """The MLP sees what attention put out. In a parallel residual it does not."""
    small = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    table = load_config(gpt.Config, "gpt", "gpt-neox-3.6b").model | small
    torch.manual_seed(0)
    layer = AutoModelForCausalLM.from_config(model_config(table, "model", vocab_size=50)).eval().gpt_neox.layers[0]
    seen = list[torch.Tensor]()
    layer.post_attention_layernorm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    hidden = torch.randn(1, 4, 16)
    angles = torch.zeros(1, 4, 8)
    with torch.no_grad():
        layer(hidden, attention_mask=None, position_embeddings=(angles.cos(), angles.sin()))
    assert not torch.allclose(seen[0], hidden)


# rinna's repository, src/task/pretrain_gpt2/train.py: n_training_steps and n_warmup_steps are counted in micro-batches of each GPU.
@pytest.mark.parametrize(
    ("name", "micro_steps", "batch", "accumulate", "lr"),
    [("gpt2-xsmall", 1_600_000, 20, 3, 7e-4), ("gpt2-small", 4_000_000, 8, 8, 6e-4), ("gpt2-medium", 13_000_000, 3, 20, 3e-4)],
)
def test_steps_are_those_of_the_optimiser(name: str, micro_steps: int, batch: int, accumulate: int, lr: float) -> None:
    train = load_config(gpt.Config, "gpt", name).train
    assert (train.batch, train.accumulate, train.lr, train.schedule) == (batch, accumulate, lr, "linear")
    assert (train.steps, train.warmup) == (micro_steps // accumulate, round(2_000 / accumulate))
    assert (train.betas, train.eps, train.weight_decay, train.clip) == ((0.9, 0.95), 1e-8, 0.01, 1.0)


@pytest.mark.parametrize(
    ("name", "a_step", "billions"),
    [
        ("gpt2-xsmall", 491_520, 262.1), ("gpt2-small", 524_288, 262.1), ("gpt2-medium", 491_520, 319.5),
        ("gpt-neox-small", 524_288, 262.1), ("gpt-1b", 1_048_576, 300), ("gpt-neox-3.6b", 1_048_576, 312.5),
        ("bilingual-gpt-neox-4b", 1_048_576, 524),
    ],
)  # fmt: skip
def test_tokens(name: str, a_step: int, billions: float) -> None:
    """Of the last two the authors say how many their models saw."""
    train = load_config(gpt.Config, "gpt", name).train
    tokens = train.batch * train.accumulate * RANKS * shape_of(name).max_position_embeddings
    assert tokens == a_step and tokens * train.steps / 1e9 == pytest.approx(billions, rel=1e-3)


def test_other_families() -> None:
    """The parameters that docs/models.md names."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import AutoModel, CLIPTextModel, HubertModel

    def count(model: torch.nn.Module) -> int:
        return count_parameters(model)[0]

    with torch.device("meta"):
        vision = count(AutoModel.from_config(model_config({"model_type": "vit"}, "vision"), add_pooling_layer=False))
        for name in ("clip-vit-b-16", "cloob-vit-b-16"):
            pairs = load_config(clip.Config, "clip", name)
            table = {"max_position_embeddings": pairs.text_length} | pairs.text
            towers = vision + count(AutoModel.from_config(model_config(table, "text", vocab_size=32_000)))
            assert towers + 2 * 768 * pairs.projection + 1 == 196_867_585
        stages = load_config(diffusion.Config, "diffusion", "stable-diffusion")
        text = CLIPTextModel(
            model_config({"model_type": "clip_text_model"} | stages.text, "", vocab_size=32_000, bos_token_id=1, eos_token_id=2)
        )
        blocks = [f"{kind}EncoderBlock2D" for kind in ("Down",) * 4], [f"{kind}DecoderBlock2D" for kind in ("Up",) * 4]
        vae = AutoencoderKL(  # Stable Diffusion 1's
            down_block_types=blocks[0], up_block_types=blocks[1], block_out_channels=[128, 256, 512, 512], layers_per_block=2,
            latent_channels=4,
        )  # fmt: skip
        assert count(text) == 109_691_136
        assert count(UNet2DConditionModel(cross_attention_dim=768)) + count(vae) + count(text) == 1_052_865_963
        for name, alone, head in (("hubert-base", 94_371_712, 324_864), ("hubert-large", 315_438_720, 1_171_200)):
            units = load_config(hubert.Config, "hubert", name)
            model = HubertModel(model_config(units.model, "model"))
            assert count(model) == alone and count(hubert.MaskedPrediction(model, units.second.k, units)) == alone + head


@pytest.mark.parametrize("name", SHAPES)
def test_the_table_in_the_documents(name: str) -> None:
    row = next(line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith(f"| `{name}` |")).replace("*", "")
    train, length = load_config(gpt.Config, "gpt", name).train, shape_of(name).max_position_embeddings
    a_step = RANKS * train.batch * train.accumulate * length
    for number in (PARAMETERS[name], train.steps, a_step, train.warmup, length):
        assert f"{number:,}" in row
    assert f"({RANKS} × {train.batch} × {train.accumulate} × {length:,})" in row and train.schedule in row
