"""The learning rate: the curves of transformers, and no jump where a run is resumed with more steps, or fewer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import get_scheduler

from trainers.training.schedule import Schedule
from trainers.training.settings import Train

HIGHEST = 3e-3


def settings(kind: str, steps: int, warmup: int = 5) -> Train:
    return Train(steps=steps, batch=1, lr=HIGHEST, schedule=kind, warmup=warmup)


def begin(train: Train) -> tuple[torch.optim.Optimizer, Schedule]:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], train.lr)
    return optimizer, Schedule(optimizer, train)


def advance(optimizer: torch.optim.Optimizer, schedule: Schedule, steps: int) -> list[float]:
    """Return the rates of so many steps."""
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def resume(train: Train, state: dict[str, Any]) -> tuple[torch.optim.Optimizer, Schedule, str]:
    optimizer, schedule = begin(train)
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    return optimizer, schedule, schedule.smooth_transition()


def stop(optimizer: torch.optim.Optimizer, schedule: Schedule) -> dict[str, Any]:
    return {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant_with_warmup", "polynomial"])
def test_the_curves_are_those_of_transformers_also_after_a_stop(kind: str) -> None:
    train = settings(kind, 30)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], HIGHEST)
    expected = advance(optimizer, get_scheduler(kind, optimizer, 5, 30), 30)
    assert advance(*begin(train), 30) == expected
    run = begin(train)
    first = advance(*run, 17)
    *run, said = resume(train, stop(*run))
    assert first + advance(*run, 13) == expected and not said


@pytest.mark.parametrize("kind", ["linear", "cosine", "polynomial"])
@pytest.mark.parametrize(("stopped", "steps", "warmup"), [(30, 60, 5), (30, 60, 0), (17, 60, 5), (17, 20, 5), (30, 31, 5)])
def test_another_number_of_steps_is_told_and_makes_no_jump(kind: str, stopped: int, steps: int, warmup: int) -> None:
    run = begin(settings(kind, 30, warmup))
    before = advance(*run, stopped)
    train = settings(kind, steps, warmup)
    optimizer, schedule, said = resume(train, stop(*run))
    assert f"at step {stopped} the learning rate was" in said
    half = (steps - stopped) // 2
    after = advance(optimizer, schedule, half)
    # Stopped on the way, it goes on as if it had not been.
    optimizer, schedule, said = resume(train, stop(optimizer, schedule))
    assert not said
    after += advance(optimizer, schedule, steps - stopped - half)
    rates = before + after
    length = max(warmup, (steps - stopped + 9) // 10)
    largest = max(abs(one - other) for one, other in zip(rates[stopped - 1 :], rates[stopped:]))
    assert largest <= 1.01 * HIGHEST / min(length, steps - stopped)
    # Then it is the schedule of so many steps.
    expected = advance(*begin(train), steps)
    assert rates[stopped + length :] == pytest.approx(expected[stopped + length :], rel=1e-9)


def test_a_finished_run_that_is_to_be_shorter_is_left_in_peace() -> None:
    run = begin(settings("cosine", 30))
    advance(*run, 30)
    assert resume(settings("cosine", 20), stop(*run))[2] == ""


def test_checkpoints_of_earlier_versions_go_on() -> None:
    """They hold LambdaLR's state with nothing about a transition."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], HIGHEST)
    old = get_scheduler("cosine", optimizer, 5, 30)
    first = advance(optimizer, old, 10)
    optimizer, schedule, said = resume(
        settings("cosine", 30), {"optimizer": optimizer.state_dict(), "schedule": old.state_dict()}
    )
    assert first + advance(optimizer, schedule, 20) == advance(*begin(settings("cosine", 30)), 30) and not said
