"""Batches made in a worker process, so that reading does not hold up the training loop.

Threads decode outside Python's lock, but they are started and gathered inside it, and so are the kernels of a GPU.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from pipeline.core.errors import BuildError, SeimaiError

PREFETCH = 2  # batches that wait in shared memory


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


def read_in_worker_process(make_batches: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """Yield what `make_batches()` yields, in the same order, from a forked process. Only Linux forks safely; elsewhere this process reads.

    Tensors come through shared memory. Raises what `make_batches` raised, and BuildError if the process died.
    """
    if sys.platform != "linux":
        yield from make_batches()
        return
    loader: DataLoader[Any] = DataLoader(
        _Batches(make_batches), batch_size=None, collate_fn=_return_unchanged, num_workers=1, prefetch_factor=PREFETCH,
        worker_init_fn=_ignore_signals, multiprocessing_context="fork", generator=torch.Generator(),
    )  # fmt: skip
    handler = signal.getsignal(signal.SIGCHLD)
    batches = iter(loader)
    if signal.getsignal(signal.SIGCHLD) != handler:
        signal.signal(signal.SIGCHLD, handler)  # torch's raises wherever the loop is, even while a checkpoint is written
    try:
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                raise BuildError(
                    f"the process that reads the shards died ({str(error).splitlines()[0].rstrip('. ')}): it had too little memory, or "
                    "too little room in /dev/shm (docker's --shm-size). With --set train.apart=false there is no such process."
                ) from error
            if isinstance(batch, SeimaiError):
                raise batch
            yield batch
    finally:  # even where a traceback holds the iterator: a worker that ignores SIGTERM would hold up the end of this process
        batches._shutdown_workers()  # type: ignore[attr-defined]
