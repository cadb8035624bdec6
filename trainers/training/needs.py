"""What a run needs, in words: parameters, memory, records, epochs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from trainers.training.settings import Train

_MOST_EPOCHS = 1000  # of the bundled samples, tiny configurations take tens

WEIGHT, GRADIENT, AVERAGES, CAST = (
    4,
    4,
    8,
    2,
)  # bytes: single precision, its gradient, Adam's two averages, a copy in bf16 or fp16


def count_parameters(*modules: nn.Module) -> tuple[int, int]:
    """Return how many parameters modules have, and how many of them are trained. Shared ones count once."""
    weights = {id(weight): weight for module in modules for weight in module.parameters()}.values()
    return sum(weight.numel() for weight in weights), sum(weight.numel() for weight in weights if weight.requires_grad)


def count_fixed_bytes(parameters: int, trained: int, settings: Train, averaged: bool = False) -> int:
    """Return the bytes that training takes on every rank, whatever the batch: weights, gradients, averages and copies of weights.

    Autocast keeps a copy of the weights from their use in a forward pass until its gradients are computed. `averaged`: there is a
    moving average of the trained weights, too.
    """
    copies = 0 if settings.precision == "fp32" else CAST
    return parameters * (WEIGHT + copies) + trained * (GRADIENT + AVERAGES + WEIGHT * averaged)


def describe_memory(
    modules: Sequence[nn.Module], settings: Train, available: int | None, averaged: bool = False
) -> tuple[list[str], str]:
    """Return what modules need, and a warning if that is more than the `available` bytes of a GPU."""
    parameters, trained = count_parameters(*modules)
    needed = count_fixed_bytes(parameters, trained, settings, averaged)
    copies = "" if settings.precision == "fp32" else f" and their copies in {settings.precision}"
    further = " and those of weights" if averaged else ""
    activations = ", of one layer at a time" if settings.gradient_checkpointing else ", and grows with train.batch"
    lines = [
        f"parameters  {parameters:,}, of which {trained:,} are trained",
        f"memory      {_size(needed)} per rank for weights{copies}, gradients and Adam's averages{further}; "
        f"what layers compute comes on top{activations}",
    ]
    if available is None or needed < available:
        return lines, ""
    return lines, f"{_size(needed)} are more than the {_size(available)} of this GPU: the run will not fit"


def describe_data(
    settings: Train,
    ranks: int,
    records: int,
    unit: str,
    amount_per_record: float | None,
    records_per_batch: float | None = None,
) -> list[str]:
    """Return what a step and the run read. `records` are those of an epoch, `amount_per_record` is in `unit`, if it is known.

    Batches of so many seconds (`train.seconds`) have `records_per_batch` on the mean, which is an estimate.
    """
    others = f"{settings.accumulate:,} accumulated × {ranks:,} ranks"
    run = f"{settings.steps:,} steps"
    per_step = (records_per_batch or settings.batch) * settings.accumulate * ranks
    times = settings.steps * per_step / records
    epochs = f"{times:,.2f} epochs of {records:,} records"
    if times > _MOST_EPOCHS:
        epochs += ": these settings are for far more than there is; --config tiny is for little, train.steps sets how long"
    if settings.seconds and records_per_batch:
        seconds = settings.seconds * settings.accumulate * ranks
        step = (
            f"{seconds:,.1f} s of sound a step, at most ({settings.seconds:,.1f} s × {others}), about {per_step:,.0f} records"
        )
        return [
            f"batch       {step}",
            f"run         {run}, {settings.steps * seconds / 3600:,.1f} hours, at most, about {epochs}",
        ]
    step = f"{per_step:,} records a step ({settings.batch:,} × {others})"
    if amount_per_record:
        name, amount = unit.replace("_", " "), per_step * amount_per_record
        step += f", {amount:,.0f} {name}"
        run += f", {_round(settings.steps * amount)} {name}"
    return [f"batch       {step}", f"run         {run}, {epochs}"]


def _size(number: int) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"


def _round(number: float) -> str:
    """Return a number in words that one can compare.

    >>> _round(312_475_648_000), _round(2_096_000), _round(1_500)
    ('312.5 billion', '2.1 million', '1,500')
    """
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:,.1f} {name}"
    return f"{number:,.0f}"
