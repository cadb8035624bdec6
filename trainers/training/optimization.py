"""One step of optimisation: micro-batches, mixed precision, clipping, the schedule of the learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from trainers.data.batches import Batch
from trainers.training.settings import Train

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class StepResult:
    metrics: dict[str, torch.Tensor]  # `loss` and the module's own, averaged over micro-batches
    gradient_norm: torch.Tensor
    lr: float
    taken: int  # records that the rank has taken
    skipped: int
    amount: float


class Optimization:
    """Train a module, whose forward takes a batch's inputs and returns (loss, metrics), on one of several ranks.

    `unused_parameters`: a step may leave parameters out, as layer dropout does.
    """

    def __init__(self, module: nn.Module, settings: Train, device: torch.device, ranks: int, unused_parameters: bool) -> None:
        from transformers import get_scheduler  # late: heavy

        self.module, self.settings, self.device, self.ranks = module.to(device), settings, device, ranks
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in self.parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
            {"params": [p for p in self.parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, settings.lr, settings.betas, settings.eps, fused=device.type == "cuda")
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.schedule = get_scheduler(settings.schedule, self.optimizer, settings.warmup, settings.steps)
        self._unused_parameters = unused_parameters

    def stateful_parts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, by the names in it."""
        return {"model": self.module, "optimizer": self.optimizer, "scaler": self.scaler, "schedule": self.schedule}

    def wrap(self) -> None:
        """Distribute and compile the module, once its weights are those to go on from."""
        self._wrapped: nn.Module = self.module
        if self.ranks > 1:
            self._wrapped = DistributedDataParallel(self.module, find_unused_parameters=self._unused_parameters)
        self._forward: Any = torch.compile(self._wrapped) if self.settings.compile else self._wrapped

    def step(self, batches: Iterator[Batch], step: int, rank: int) -> StepResult:
        """Take one step. What the module draws at random is seeded by (seed, step, micro-batch, rank)."""
        accumulate, metrics = self.settings.accumulate, dict[str, torch.Tensor]()
        taken, skipped, amount = 0, 0, 0.0
        precision = PRECISIONS[self.settings.precision]
        for micro in range(accumulate):
            batch = next(batches)
            taken, skipped, amount = batch.taken, skipped + batch.skipped, amount + batch.amount
            torch.manual_seed(int(np.random.SeedSequence([self.settings.seed, step, micro, rank]).generate_state(1)[0]))
            inputs = {name: to_device(value, self.device) for name, value in batch.inputs.items()}
            # Ranks exchange gradients once, with the last micro-batch.
            keep_local = self.ranks > 1 and micro < accumulate - 1
            cast = torch.autocast(self.device.type, precision) if precision else nullcontext()
            with self._wrapped.no_sync() if keep_local else nullcontext(), cast:  # type: ignore[operator]
                loss, own_metrics = self._forward(**inputs)
            self.scaler.scale(loss / accumulate).backward()
            for name, value in (own_metrics | {"loss": loss}).items():
                metrics[name] = metrics.get(name, 0) + torch.as_tensor(value).detach().float() / accumulate
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        lr = self.schedule.get_last_lr()[0]
        self.schedule.step()
        return StepResult(metrics, norm, lr, taken, skipped, amount)


def to_device(value: Any, device: torch.device) -> Any:
    """Move a tensor to the device; anything else stays. From pinned memory the copy does not wait for kernels in the queue."""
    if not torch.is_tensor(value):
        return value
    return (value.pin_memory() if device.type == "cuda" else value).to(device, non_blocking=True)
