"""The learning rate by step, without a jump where a run is resumed with another number of steps."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR

from trainers.training.settings import Train

LEAST_SHARE = 0.1  # of the remaining steps, over which the rate goes over to another curve if there is little or no warm-up


class Factor:
    """The rate of a step as a share of the highest, after a curve.

    LambdaLR keeps `__dict__` in checkpoints: the transition to this curve from the one of before, but not the curve itself.
    """

    __slots__ = ("__dict__", "_curve")

    def __init__(self, curve: Any) -> None:
        self._curve = curve
        self.first, self.level, self.length = 0, 0.0, 0  # step and factor where the transition began; its steps

    def __call__(self, step: int) -> float:
        due = float(self._curve(step))
        if step >= self.first + self.length:
            return due
        return self.level + (due - self.level) * (step - self.first) / self.length


class Schedule:
    """The schedule of an optimiser. `state_dict` is LambdaLR's, as it has been from the beginning."""

    def __init__(self, optimizer: torch.optim.Optimizer, settings: Train) -> None:
        from transformers import get_scheduler  # late: heavy

        self.settings = settings
        curve = get_scheduler(settings.schedule, optimizer, settings.warmup, settings.steps).lr_lambdas[0]
        self._factor = Factor(curve)
        self._scheduler = LambdaLR(optimizer, self._factor)

    @property
    def lr(self) -> float:
        """The rate of the next step."""
        return float(self._scheduler.get_last_lr()[0])

    def step(self) -> None:
        self._scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return self._scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._scheduler.load_state_dict(state)

    def smooth_transition(self) -> str:
        """Go over gradually from the rate of a checkpoint to the one that is due. Return a warning if they differ, else nothing.

        They do where `train.steps` is another than before: a finished run would begin again at a high rate.
        """
        step, due, current = self._scheduler.last_epoch, self.settings.lr * self._factor(self._scheduler.last_epoch), self.lr
        if step >= self.settings.steps or math.isclose(due, current, rel_tol=1e-9, abs_tol=1e-12 * self.settings.lr):
            return ""
        remaining = max(self.settings.steps - step, 1)
        length = min(remaining, max(self.settings.warmup, math.ceil(LEAST_SHARE * remaining)))
        self._factor.first, self._factor.level, self._factor.length = step, current / self.settings.lr, length
        return (
            f"train.steps is another than before: at step {step:,} the learning rate was {current:.3g}, and with {self.settings.steps:,} "
            f"steps it would be {due:.3g}. It goes over to that schedule within {length:,} steps. "
            "What comes out is not what a single run of so many steps would have made."
        )
