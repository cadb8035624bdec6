"""Choose what runs a command's tasks: workers on Dask, or, with `--workers 0`, this process itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import click
from rich.console import Console

from pipeline.core.engine import Engine, Task, count_workers
from pipeline.core.errors import SeimaiError, UsageError
from pipeline.core.failures import explain_failure

_MOST_PER_CORE = 16  # each takes 300 MB at least: thousands by a slip of the finger take the machine down
WORKERS_HELP = f"Worker processes, at most {_MOST_PER_CORE} per core; 0: all in this process.  [default: one per core]"
workers_option = click.option("--workers", type=click.IntRange(min=0), help=WORKERS_HELP)
scheduler_option = click.option(
    "--scheduler", metavar="tcp://HOST:PORT", help="Address of a running Dask scheduler, over shared storage."
)


class InlineEngine(Engine):
    """Run tasks in this process, one after the other, without a cluster: for small inputs, notebooks and debuggers.

    Outputs have the bytes that they have on workers. A task that fails is not tried again, and one that kills its process ends the command.
    """

    def __init__(self, scratch: Path, console: Console) -> None:
        super().__init__(1, None, scratch, console)

    def __enter__(self) -> InlineEngine:
        self._progress.start()
        threading.Thread(target=self._watch_memory, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._progress.stop()

    def run(
        self,
        activity: str,
        tasks: Iterable[Task],
        in_flight: int | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """Run tasks in order; yield (number, result) of each. There is no `meanwhile`, and only one task at a time."""
        try:
            for number, (function, arguments) in enumerate(tasks):
                with self._explain_failures(activity, number):
                    result = function(*arguments)
                yield number, result
        finally:
            if isinstance(tasks, Generator):
                tasks.close()

    def produce(
        self, activity: str, function: Callable[..., Iterator[Any]], arguments: tuple[Any, ...], ahead: int
    ) -> Iterator[Any]:
        """Yield what a generator function yields, each item when it is asked for."""
        with self._explain_failures(activity, 0):
            yield from function(*arguments)

    @contextmanager
    def _explain_failures(self, activity: str, number: int) -> Iterator[None]:
        """Raise what a failure in the block means, as `explain_failure` says it."""
        try:
            yield
        except SeimaiError:
            raise
        except Exception as error:
            raise explain_failure(activity, number, error, self.scratch.parent) from error


def check_options(workers: int | None, scheduler: str | None) -> None:
    """Raise UsageError where the options exclude one another, or ask for more processes than any machine has use for."""
    if scheduler and workers is not None:
        raise UsageError("--workers is for the local cluster; a scheduler has the workers that were started for it")
    most = _MOST_PER_CORE * count_workers(None)
    if workers is not None and workers > most:
        raise UsageError(f"--workers {workers}: this machine has use for at most {most:,}, {_MOST_PER_CORE} for each core")


def make_engine(workers: int | None, scheduler: str | None, scratch: Path, console: Console) -> Engine:
    """Return the engine that the options ask for, not yet started."""
    return InlineEngine(scratch, console) if workers == 0 else Engine(workers, scheduler, scratch, console)
