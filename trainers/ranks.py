"""Which of the processes that `torchrun` started this one is, and what it computes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import torch


def own_rank() -> tuple[int, int]:
    """The number of this process, and how many there are: 0 and 1 without torchrun."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def own_device() -> torch.device:
    """Its GPU where there are any."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else torch.device("cpu")


def wait(there: Callable[[], bool]) -> None:
    """Until another process has made it."""
    while not there():
        time.sleep(0.2)
