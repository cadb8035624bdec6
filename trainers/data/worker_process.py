"""Batches made in a worker process, so that reading does not hold up the training loop.

Threads decode outside Python's lock, but they are started and gathered inside it, and so are the kernels of a GPU.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import torch
from torch.utils.data import DataLoader, IterableDataset

from pipeline.core.errors import BuildError, SeimaiError
from pipeline.core.terminal import Terminal
from pipeline.core.watch import read_patience

PREFETCH = 2  # batches that wait in shared memory
LOOK_SECONDS = 5.0  # between looks at the process, while no batch comes


class _Batches(IterableDataset[Any]):
    """Yield what `make_batches` yields. An error of ours comes last as a value, because torch would wrap it with a traceback."""

    def __init__(self, make_batches: Callable[[], Iterator[Any]]) -> None:
        self.make_batches = make_batches

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self.make_batches()
        except SeimaiError as error:
            yield error


def _ignore_signals(_: int) -> None:
    """Leave signals to the loop, which ends its step, saves, and then lets this process end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _return_unchanged(value: Any) -> Any:
    return value


def _tell_silence(pid: int, seconds: float) -> None:
    """Say that the process that reads has given no batch for a while. Raises BuildError, and ends it, where it is stopped."""
    if psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
        os.kill(pid, signal.SIGKILL)
        raise BuildError(
            f"the process that reads the shards ({pid}) was stopped, and gave no batch for {seconds:.0f} seconds: it was ended"
        )
    Terminal(stderr=True).print(
        f"the process that reads the shards ({pid}) has given no batch for {seconds:.0f} seconds; it is waited for",
        soft_wrap=True,
    )


def read_in_worker_process(make_batches: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """Yield what `make_batches()` yields, in the same order, from a forked process. Only Linux forks safely; elsewhere this process reads.

    Tensors come through shared memory. Raises what `make_batches` raised, and BuildError if the process died or stays stopped. One
    that works and gives no batch for minutes is told.
    """
    if sys.platform != "linux":
        yield from make_batches()
        return
    loader: DataLoader[Any] = DataLoader(
        _Batches(make_batches), batch_size=None, collate_fn=_return_unchanged, num_workers=1, prefetch_factor=PREFETCH,
        worker_init_fn=_ignore_signals, timeout=LOOK_SECONDS, multiprocessing_context="fork", generator=torch.Generator(),
    )  # fmt: skip
    handler = signal.getsignal(signal.SIGCHLD)
    batches = iter(loader)
    if signal.getsignal(signal.SIGCHLD) != handler:
        signal.signal(signal.SIGCHLD, handler)  # torch's raises wherever the loop is, even while a checkpoint is written
    patience = limit = read_patience()
    quiet = 0.0
    try:
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if "timed out" in str(error):
                    quiet += LOOK_SECONDS
                    if quiet >= limit:
                        _tell_silence(batches._workers[0].pid, quiet)  # type: ignore[attr-defined]
                        limit *= 2
                    continue
                if "DataLoader worker" not in str(error):
                    raise
                raise BuildError(
                    f"the process that reads the shards died ({str(error).splitlines()[0].rstrip('. ')}): it had too little memory, or "
                    "too little room in /dev/shm (docker's --shm-size). With --set train.apart=false there is no such process."
                ) from error
            if isinstance(batch, SeimaiError):
                raise batch
            quiet, limit = 0.0, patience
            yield batch
    finally:  # even where a traceback holds the iterator: a worker that ignores SIGTERM would hold up the end of this process
        batches._shutdown_workers()  # type: ignore[attr-defined]
