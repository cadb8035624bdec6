"""Running tasks on Dask: a local cluster with one process per core, or any cluster by address. Tasks return counts, never data."""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from pipeline.core.errors import BuildError, SeimaiError, explain_os_error

# Set before workers start: one thread each (a process per core uses all cores already), and memory given back to the system.
_WORKER_ENVIRONMENT = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    "ARROW_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "33554432",
    "MALLOC_MMAP_THRESHOLD_": "16777216",
    "MALLOC_ARENA_MAX": "2",
}
RETRIES = 2
_PATIENCE = 6  # times ten seconds without a single worker
CONNECT_SECONDS = 15  # for the scheduler to answer
Task = tuple[Callable[..., Any], tuple[Any, ...]]


class Step:
    """The progress line of one step: records, megabytes per second, time left."""

    def __init__(self, progress: Progress, name: str, total: float | None) -> None:
        self._progress, self.name, self.began = progress, name, time.perf_counter()
        self.records, self.bytes, self.total = 0, 0.0, total
        self._task = progress.add_task(name, total=total, info="")

    def advance(self, size: float, records: int = 0, total: float | None = None) -> None:
        self.bytes += size
        self.records += records
        self.total = total if total is not None else self.total
        seconds = max(time.perf_counter() - self.began, 1e-6)
        left = ""
        if self.total and self.bytes and self.bytes < self.total:
            remaining = int(seconds * (self.total - self.bytes) / self.bytes)
            left = f"{remaining // 3600}:{remaining // 60 % 60:02d}:{remaining % 60:02d} left"
        info = f"{self.records:>11,} records  {self.bytes / 1e6 / seconds:7.1f} MB/s  {left}"
        self._progress.update(self._task, completed=self.bytes, total=self.total, info=info)

    def reach(self, share: float) -> None:
        """For work that is not counted in bytes: how far it is, from 0 to 1 (of a total of 1)."""
        seconds = time.perf_counter() - self.began
        self._progress.update(self._task, completed=share, total=1.0, info=f"{seconds:>11.1f} s")

    def finish(self) -> float:
        seconds = time.perf_counter() - self.began
        speed = f"{self.bytes / 1e6 / max(seconds, 1e-6):7.1f} MB/s  " if self.bytes else ""
        self._progress.update(
            self._task,
            completed=self.bytes or 1,
            total=self.bytes or 1,
            info=f"{self.records:>11,} records  {speed}{seconds:.1f} s",
        )
        return seconds


class Engine:
    """A Dask client with progress lines and a watch on memory. Use as a context manager."""

    def __init__(self, workers: int | None, scheduler: str | None, scratch: Path, console: Console) -> None:
        self.workers, self.scheduler, self.scratch, self.console = workers, scheduler, scratch, console
        self.peak = 0
        self._client: Any = None
        self._cluster: Any = None
        self._stop = threading.Event()

    def __enter__(self) -> Engine:
        self._progress = Progress(
            TextColumn("{task.description:<12}"), BarColumn(24), TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.fields[info]}"),
            console=self.console, transient=False,
        )  # fmt: skip
        self._progress.start()
        try:
            self._connect()
        except BaseException:
            self._progress.stop()
            raise
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def _connect(self) -> None:
        import dask
        from distributed import Client, LocalCluster

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if self.scheduler:
            try:
                self._client = Client(self.scheduler, timeout=CONNECT_SECONDS)
            except (OSError, ValueError, TimeoutError) as error:
                raise BuildError(
                    f"the scheduler {self.scheduler} cannot be reached ({error or type(error).__name__})"
                ) from None
            try:
                self._client.wait_for_workers(1, timeout=60)
            except TimeoutError:
                self._client.close()
                raise BuildError(
                    f"the scheduler {self.scheduler} has no workers: start some with `dask worker {self.scheduler}`"
                ) from None
            self.count = len(self._client.scheduler_info(n_workers=-1)["workers"])
            return
        self.count = self.workers or _cores()
        # Ctrl-C is for the driver: it ends the build in order, workers with it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if threading.current_thread() is threading.main_thread() else None
        # Nobody looks at the profile that workers would take of themselves a hundred times a second.
        settings = {"worker.daemon": True, "worker.profile.enabled": False, "nanny.pre-spawn-environ": _WORKER_ENVIRONMENT}
        with dask.config.set({f"distributed.{key}": value for key, value in settings.items()}):
            self._cluster = LocalCluster(
                n_workers=self.count,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,  # bounded by the size of a partition; the nanny's guesses kill sound workers
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                silence_logs=logging.CRITICAL,
                local_directory=str(self.scratch),
            )
        if before is not None:
            signal.signal(signal.SIGINT, before)
        self._client = Client(self._cluster)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._progress.stop()
        for closing in (self._client, self._cluster):
            if closing is not None:
                try:
                    closing.close(timeout=10)
                except Exception:  # the cluster may be gone already; that is no reason to hide how the build ended
                    logging.getLogger(__name__).debug("closing failed", exc_info=True)

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.5):
            try:
                total = me.memory_info().rss
                for child in me.children(recursive=True):
                    total += child.memory_info().rss
                if self.scheduler:
                    info = self._client.scheduler_info(n_workers=-1)["workers"]
                    total += sum(int(w.get("metrics", {}).get("memory", 0)) for w in info.values())
                self.peak = max(self.peak, total)
            except Exception:  # a process that ends while it is looked at
                continue

    def step(self, name: str, total: float | None = None) -> Step:
        return Step(self._progress, name, total)

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False)

    def run(self, what: str, tasks: Iterable[Task], in_flight: int | None = None) -> Iterator[tuple[int, Any]]:
        """Run tasks, yielding (number, result) as they end; at most `in_flight` are taken from `tasks` ahead of their ending.

        A task that fails is tried again; what still fails stops the step with a BuildError that says what to do.
        """
        from distributed import wait

        limit = in_flight or 4 * self.count
        pending: dict[Any, int] = {}
        try:
            for number, (function, arguments) in enumerate(tasks):
                future = self._client.submit(function, *arguments, pure=False, retries=RETRIES)
                pending[future] = number
                while len(pending) >= limit:
                    yield from self._collect(what, pending, wait)
            while pending:
                yield from self._collect(what, pending, wait)
        finally:
            for future in pending:
                future.cancel()

    def _first(self, futures: list[Any], wait: Any) -> Any:
        """The futures that are done, once there are some. Raises BuildError where no worker has been there for a minute."""
        alone = 0
        while True:
            try:
                return wait(futures, timeout=10, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                alone = 0 if self._client.scheduler_info(n_workers=-1)["workers"] else alone + 1
                if alone >= _PATIENCE:
                    raise BuildError("all workers are gone and none came back. Run the same command again to go on.") from None

    def _collect(self, what: str, pending: dict[Any, int], wait: Any) -> Iterator[tuple[int, Any]]:
        try:
            done = self._first(list(pending), wait)
        except BuildError:
            raise
        except Exception as error:
            raise BuildError(
                f"{what}: the cluster is gone ({type(error).__name__}). Run the same command again to go on."
            ) from None
        for future in done:
            number = pending.pop(future)
            failure = future.exception() if future.status == "error" else None
            if failure is None and future.status == "finished":
                yield number, future.result()
                future.release()
                continue
            raise _explained(what, number, failure, self.scratch.parent)


def _explained(what: str, number: int, error: BaseException | None, work: Path) -> BaseException:
    from distributed.scheduler import KilledWorker

    if isinstance(error, SeimaiError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return explain_os_error(error, what)
    # As polars has it, in an error of its own, and numpy, without the system's number.
    if "No space left on device" in str(error) or (isinstance(error, OSError) and "requested and" in str(error)):
        return explain_os_error(OSError(errno.ENOSPC, "No space left on device"), what)
    if isinstance(error, KilledWorker):
        return BuildError(
            f"{what}: a worker died again and again on part {number}, most likely out of memory. "
            "Use fewer --workers or a smaller --set source.partition, and run the same command again: finished parts are kept."
        )
    if error is None:
        return BuildError(f"{what}: part {number} was lost with its worker. Run the same command again to go on.")
    failure = BuildError(
        f"{what} failed on part {number}: {type(error).__name__}: {error}\n"
        f"Where a file under {work} was damaged, delete that folder and run the same command again."
    )
    failure.__cause__ = error
    return failure


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
