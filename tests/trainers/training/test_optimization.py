"""One step of optimisation: what overflows in fp16, and what random numbers depend on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core.errors import BuildError, UsageError
from trainers.data.batches import Batch
from trainers.training.optimization import Optimization
from trainers.training.settings import Train


class Draws(nn.Module):
    """A module whose metric is what the three generators draw."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        drawn = [torch.rand(()), torch.tensor(np.random.random()), torch.tensor(random.random())]
        return self.layer(x).mean(), {"drawn": torch.stack([value.double() for value in drawn])}


def batches(*values: float) -> Iterator[Batch]:
    for number, value in enumerate(values, 1):
        yield Batch({"x": torch.full((1, 1), value)}, 1.0, number, 0)


def optimization(module: nn.Module, **changes: Any) -> Optimization:
    made = Optimization(module, Train(**{"steps": 10, "batch": 1, "lr": 0.1} | changes), torch.device("cpu"), 1, False)
    made.wrap()
    return made


def test_torch_numpy_and_python_draw_the_same_at_the_same_step() -> None:
    """fairseq's and transformers' masks come from numpy's generator."""
    drawn = {}
    for run in range(2):
        one = optimization(Draws(), accumulate=2)
        np.random.seed(run), random.seed(run), torch.manual_seed(run)
        for step in range(3):
            drawn[run, step] = one.step(batches(1.0, 1.0), step, 0).metrics["drawn"].tolist()
    assert all(drawn[0, step] == drawn[1, step] for step in range(3))
    assert all(len({drawn[0, step][number] for step in range(3)}) == 3 for number in range(3))
    assert one.step(batches(1.0, 1.0), 0, 1).metrics["drawn"].tolist() != drawn[0, 0]  # another rank


def test_gradients_of_micro_batches_are_averaged() -> None:
    """The loss of a micro-batch `x` is weight * x + bias, so that its gradient is (x, 1)."""
    one = optimization(Draws(), accumulate=2, clip=1e9).step(batches(1.0, 3.0), 0, 0)
    assert float(one.gradient_norm) == pytest.approx(5**0.5)


def test_steps_that_overflow_are_told_and_leave_weights_and_schedule_alone() -> None:
    module = Draws()
    one = optimization(module, precision="fp16", schedule="linear", warmup=4, clip=1e9)
    before = module.layer.weight.clone()
    # The gradient times 65,536, the first scale, is beyond fp16's 65,504; times half of that it is not.
    results = [one.step(batches(1.5), step, 0) for step in range(3)]
    assert [result.overflowed for result in results] == [True, False, False]
    assert [result.lr for result in results] == pytest.approx([0.0, 0.0, 0.025])
    assert not torch.equal(module.layer.weight, before)
    assert one.schedule.lr == pytest.approx(0.05)


def test_gradients_that_never_fit_end_the_run() -> None:
    one = optimization(Draws(), precision="fp16")
    with pytest.raises(BuildError, match="train.precision=bf16"):
        for step in range(60):
            one.step(batches(float("inf")), step, 0)
    assert 25 < step < 35


def test_gradient_checkpointing_needs_a_model_that_can() -> None:
    with pytest.raises(UsageError, match="train.gradient_checkpointing"):
        optimization(Draws(), gradient_checkpointing=True)
