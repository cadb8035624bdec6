"""One step of optimisation: micro-batches, mixed precision, clipping, the schedule of the learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.core.errors import BuildError, UsageError
from trainers.data.batches import Batch
from trainers.training.schedule import Schedule
from trainers.training.seeds import mix_seeds, seed_generators
from trainers.training.settings import Train
from trainers.training.weight_decay import split_by_decay

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
LEAST_SCALE = 1e-4  # fairseq's min_loss_scale


@dataclass
class StepResult:
    metrics: dict[str, torch.Tensor]  # `loss` and the module's own, averaged over micro-batches
    gradient_norm: torch.Tensor
    overflowed: bool  # fp16 had no room for the gradient: the weights, and the schedule, are where they were
    lr: float
    taken: int  # records that the rank has taken
    skipped: int
    amount: float


class Optimization:
    """Train a module, whose forward takes a batch's inputs and returns (loss, metrics), on one of several ranks.

    `unused_parameters`: a step may leave parameters out, as layer dropout does.
    """

    def __init__(self, module: nn.Module, settings: Train, device: torch.device, ranks: int, unused_parameters: bool) -> None:
        if settings.gradient_checkpointing:
            checkpoint_gradients(module)
        self.module, self.settings, self.device, self.ranks = module.to(device), settings, device, ranks
        decaying, others = split_by_decay(module)
        self.parameters = decaying + others
        groups = [
            {"params": decaying, "weight_decay": settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, settings.lr, settings.betas, settings.eps, fused=device.type == "cuda")
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.schedule = Schedule(self.optimizer, settings)
        self._unused_parameters = unused_parameters

    def stateful_parts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, by the names in it."""
        return {"model": self.module, "optimizer": self.optimizer, "scaler": self.scaler, "schedule": self.schedule}

    def own_state(self) -> None:
        """Copy what was loaded to the CPU, so that nothing depends on the checkpoint's file any more, which will be removed."""
        for state in self.optimizer.state.values():
            for name, value in state.items():
                if torch.is_tensor(value) and value.device.type == "cpu":
                    state[name] = value.clone()

    def wrap(self) -> None:
        """Distribute and compile the module, once its weights are those to go on from."""
        self._wrapped: nn.Module = self.module
        if self.ranks > 1:
            # Gradients lie in the buckets that ranks exchange: a copy fewer of them.
            self._wrapped = DistributedDataParallel(
                self.module, find_unused_parameters=self._unused_parameters, gradient_as_bucket_view=True
            )
        self._forward: Any = torch.compile(self._wrapped) if self.settings.compile else self._wrapped

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which a forward pass computes, in training as in evaluation."""
        precision = PRECISIONS[self.settings.precision]
        return torch.autocast(self.device.type, precision) if precision else nullcontext()

    def step(self, batches: Iterator[Batch], step: int, rank: int) -> StepResult:
        """Take one step. What the module draws at random is seeded by (seed, step, micro-batch, rank)."""
        accumulate, metrics = self.settings.accumulate, dict[str, torch.Tensor]()
        taken, skipped, amount = 0, 0, 0.0
        for micro in range(accumulate):
            batch = next(batches)
            taken, skipped, amount = batch.taken, skipped + batch.skipped, amount + batch.amount
            seed_generators(mix_seeds(self.settings.seed, step, micro, rank))
            inputs = {name: to_device(value, self.device) for name, value in batch.inputs.items()}
            # Ranks exchange gradients once, with the last micro-batch.
            keep_local = self.ranks > 1 and micro < accumulate - 1
            with self._wrapped.no_sync() if keep_local else nullcontext(), self.autocast():  # type: ignore[operator]
                loss, own_metrics = self._forward(**inputs)
            self.scaler.scale(loss / accumulate).backward()
            for name, value in (own_metrics | {"loss": loss}).items():
                metrics[name] = metrics.get(name, 0) + torch.as_tensor(value).detach().float() / accumulate
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        scale, lr = self.scaler.get_scale(), self.schedule.lr
        self.scaler.step(self.optimizer)
        self.scaler.update()
        overflowed = self.scaler.get_scale() < scale
        if overflowed and scale < LEAST_SCALE:
            raise BuildError(
                f"fp16 has no room for the gradients: they overflow even when the loss is multiplied by {scale:.1g}. Begin anew with "
                "train.precision=bf16, or a lower train.lr"
            )
        self.optimizer.zero_grad(set_to_none=True)
        if not overflowed:
            self.schedule.step()
        return StepResult(metrics, norm, overflowed, lr, taken, skipped, amount)


def checkpoint_gradients(module: nn.Module) -> None:
    """Let the models in a module forget what their layers computed, and compute it again when gradients are. Raises UsageError."""
    models = [model for model in module.modules() if getattr(model, "supports_gradient_checkpointing", False)]
    if not models:
        raise UsageError("train.gradient_checkpointing: no part of this model can compute its layers again")
    for model in models:
        if hasattr(model, "activation_checkpointing_enable"):  # its name in newer transformers, with the same default
            model.activation_checkpointing_enable()  # type: ignore[operator]
        else:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})  # type: ignore[operator]


def to_device(value: Any, device: torch.device) -> Any:
    """Move a tensor to the device; anything else stays. From pinned memory the copy does not wait for kernels in the queue."""
    if not torch.is_tensor(value):
        return value
    return (value.pin_memory() if device.type == "cuda" else value).to(device, non_blocking=True)
