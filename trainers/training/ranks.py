"""The process as one of the ranks that `torchrun` started: its number, its device, how it stops, how it reports an error."""

from __future__ import annotations

import atexit
import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
import torch.distributed as dist


def own_rank() -> tuple[int, int]:
    """Return the number of this process and the number of ranks: 0 and 1 without torchrun."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def own_device() -> torch.device:
    """Return the GPU of this rank, or the CPU if there is no GPU."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else torch.device("cpu")


def join_group(device: torch.device) -> None:
    """Make this process one of the group of ranks that torchrun started, until it ends."""
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        atexit.register(leave_group)


def leave_group() -> None:
    """Leave the group while Python still runs: a thread of gloo that meets the interpreter's end aborts the process.

    Modules that are wrapped must be gone before: torch 2.13 may wait for them without end.
    """
    gc.collect()
    if dist.is_initialized():
        dist.destroy_process_group()


class StopSignals:
    """Note SIGTERM and Ctrl-C, so that a run can end its step and save. A second Ctrl-C interrupts at once.

    A signal that was ignored when the run began stays ignored: a shell lets its background jobs ignore Ctrl-C.
    """

    def __init__(self, ranks: int) -> None:
        self.received = 0  # number of the signal
        self._message = "stopping: what is under way is ended and saved" + "; once more to stop at once, without" * (ranks == 1)
        heeded = [number for number in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(number) is not signal.SIG_IGN]
        self._handlers = {number: signal.signal(number, self._note) for number in heeded}

    def _note(self, number: int, _: Any) -> None:
        if self.received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
        if number == signal.SIGINT:
            with suppress(OSError):  # the same Ctrl-C may have ended whoever reads stderr
                os.write(2, f"{self._message}\n".encode())

    def restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)


@contextmanager
def report_to_torchrun() -> Iterator[None]:
    """Record what ends one of several ranks, because torchrun's own report would only show its inner workings."""
    try:
        yield
    except Exception as error:
        if own_rank()[1] > 1:
            from torch.distributed.elastic.multiprocessing.errors import get_error_handler  # late: only under torchrun

            handler = get_error_handler()
            handler.initialize()
            handler.record_exception(error)
        raise
