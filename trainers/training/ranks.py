"""Which of the processes that `torchrun` started this one is, what it computes on, how it is told to stop and tells why it failed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

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


class Stopping:
    """Notes SIGTERM and Ctrl-C, so that a run can end a step and save; a second Ctrl-C interrupts as ever.

    What is ignored when a run begins, as Ctrl-C by what a script starts in the background, stays so.
    """

    def __init__(self, ranks: int) -> None:
        self.by = 0  # the number of the signal that came
        self._told = "stopping: what is under way is ended and saved" + "; once more to stop at once, without" * (ranks == 1)
        heeded = [n for n in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(n) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in heeded}

    def _note(self, number: int, _: Any) -> None:
        if self.by == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.by = number
        if number == signal.SIGINT:
            with suppress(OSError):  # whoever reads it may be gone by the same Ctrl-C
                os.write(2, f"{self._told}\n".encode())

    def end(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def recorded() -> Iterator[None]:
    """What ends one of several ranks is told to `torchrun`, whose report would else be of its own workings alone."""
    try:
        yield
    except Exception as error:
        if own_rank()[1] > 1:
            from torch.distributed.elastic.multiprocessing.errors import get_error_handler

            handler = get_error_handler()
            handler.initialize()
            handler.record_exception(error)
        raise
