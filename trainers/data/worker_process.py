"""Batches made in a process of their own. Decoding and the training loop hold one another's lock of the interpreter otherwise: threads
decode outside it, but are started and gathered within, as kernels of a GPU are."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from pipeline.core.errors import BuildError, SeimaiError

AHEAD = 2  # batches that wait in shared memory


class _Made(IterableDataset[Any]):
    """What `make` yields; what stops it comes last, and is not made a RuntimeError with a traceback in it."""

    def __init__(self, make: Callable[[], Iterator[Any]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self.make()
        except SeimaiError as error:
            yield error


def _begun(_: int) -> None:
    """Signals that go to all processes of a run are for the loop, which ends its step, saves, and lets this one end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _same(value: Any) -> Any:
    return value


def apart(make: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """What `make()` yields, in the same order, made by a forked process; where systems are not safe to fork, by this one.

    Tensors come through shared memory. Raises what `make` raised, and BuildError where the process died.
    """
    if sys.platform != "linux":
        yield from make()
        return
    loader: DataLoader[Any] = DataLoader(
        _Made(make), batch_size=None, collate_fn=_same, num_workers=1, prefetch_factor=AHEAD, worker_init_fn=_begun,
        multiprocessing_context="fork", generator=torch.Generator(),
    )  # fmt: skip
    before = signal.getsignal(signal.SIGCHLD)
    batches = iter(loader)
    if signal.getsignal(signal.SIGCHLD) != before:
        signal.signal(signal.SIGCHLD, before)  # torch's raises where the loop just is, be it while a checkpoint is written
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise BuildError(
                f"the process that reads the shards died ({str(error).splitlines()[0].rstrip('. ')}): of too little memory, or of too "
                "little room in /dev/shm (docker's --shm-size). With --set train.apart=false there is none."
            ) from error
        if isinstance(batch, SeimaiError):
            raise batch
        yield batch
