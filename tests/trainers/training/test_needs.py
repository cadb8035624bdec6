"""What is said of a run before it begins."""

from __future__ import annotations

import torch
from torch import nn
from transformers import AutoModelForCausalLM

from trainers import gpt
from trainers.models.configuration import model_config
from trainers.training.needs import count_fixed_bytes, describe_data, describe_memory
from trainers.training.settings import Train, load_config


def test_the_3_6b_on_eight_gpus() -> None:
    config = load_config(gpt.Config, "gpt", "gpt-neox-3.6b")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(model_config(config.model, "model", vocab_size=32_000))
    lines, warning = describe_memory([model], config.train, 85_000_000_000)
    assert lines == [
        "parameters  3,607,245,312, of which 3,607,245,312 are trained",
        "memory      64.9 GB per rank for weights and their copies in bf16, gradients and Adam's averages; what layers compute comes on "
        "top, of one layer at a time",
    ]
    assert not warning
    assert "64.9 GB are more than the 42.5 GB of this GPU" in describe_memory([model], config.train, 42_500_000_000)[1]
    assert describe_data(config.train, 8, 10_000_000, "tokens", 2048) == [
        "batch       512 records a step (2 × 32 accumulated × 8 ranks), 1,048,576 tokens",
        "run         298,000 steps, 312.5 billion tokens, 15.26 epochs of 10,000,000 records",
    ]


def test_what_is_frozen_has_no_gradient_and_no_averages() -> None:
    train = Train(steps=1, batch=1, lr=1.0)
    assert count_fixed_bytes(10, 10, train) == 160 and count_fixed_bytes(10, 4, train) == 40 + 48
    layer = nn.Linear(2, 2)
    layer.weight.requires_grad_(False)
    assert "6, of which 2 are trained" in describe_memory([layer], train, None)[0][0]
    frozen = nn.Linear(10, 10).requires_grad_(False)  # used beside the module, as the VAE of a diffusion model is
    lines, _ = describe_memory([layer, layer, frozen], train.model_copy(update={"precision": "bf16"}), None, averaged=True)
    assert (
        "116, of which 2 are trained" in lines[0]
        and "0.0 MB" in lines[1]
        and "Adam's averages and those of weights" in lines[1]
    )
    assert count_fixed_bytes(116, 2, train, averaged=True) == 116 * 4 + 2 * 16


def test_the_formula_is_what_tensors_take() -> None:
    """Weights, gradients and averages of a step, counted byte by byte."""
    layer = nn.Linear(30, 20)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 30)).sum().backward()
    optimizer.step()
    averages = [value for state in optimizer.state.values() for value in state.values() if value.ndim]
    tensors = [*layer.parameters(), *(weight.grad for weight in layer.parameters()), *averages]
    counted = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    assert counted == count_fixed_bytes(620, 620, Train(steps=1, batch=1, lr=1.0))


def test_amounts_that_nobody_knows_are_left_out() -> None:
    train = Train(steps=100, batch=4, lr=1.0)
    assert describe_data(train, 1, 1_000, "audio_seconds", None) == [
        "batch       4 records a step (4 × 1 accumulated × 1 ranks)",
        "run         100 steps, 0.40 epochs of 1,000 records",
    ]
    assert describe_data(train, 1, 1_000, "pairs", 1)[1] == "run         100 steps, 400 pairs, 0.40 epochs of 1,000 records"


def test_settings_for_far_more_than_there_is_are_told() -> None:
    train = Train(steps=500_000, batch=4, lr=1.0)
    assert "2,000.00 epochs of 1,000 records: these settings are for far more" in describe_data(train, 1, 1_000, "tokens", 8)[1]
    assert "these settings" not in describe_data(train, 1, 2_000, "tokens", 8)[1]


def test_batches_by_seconds() -> None:
    train = Train(steps=400_000, batch=48, seconds=87.5, accumulate=4, lr=1.0)
    assert describe_data(train, 8, 15_000_000, "audio_seconds", None, 14.5) == [
        "batch       2,800.0 s of sound a step, at most (87.5 s × 4 accumulated × 8 ranks), about 464 records",
        "run         400,000 steps, 311,111.1 hours, at most, about 12.37 epochs of 15,000,000 records",
    ]
