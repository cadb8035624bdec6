"""Run tasks on Dask: on a local cluster with one process per core, or on any cluster by address. Tasks return counts, never data.

Dask is imported late, since it takes a second and most commands end without it.
"""

from __future__ import annotations

import errno
import logging
import os
import shlex
import signal
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from pipeline.core.errors import BuildError, SeimaiError, explain_os_error

# Set before workers start: one thread each, since a process per core uses all cores already, and memory given back to the system.
_WORKER_ENVIRONMENT = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    "ARROW_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "33554432",
    "MALLOC_MMAP_THRESHOLD_": "16777216",
    "MALLOC_ARENA_MAX": "2",
}
_RETRIES = 2
_WAIT_SECONDS = 10
_POLL_SECONDS = 1
_MOST_SECONDS_WITHOUT_WORKERS = 60
_PATIENCE_SECONDS = 3600  # of a producer whose items nobody takes: its driver is gone
CONNECT_SECONDS = 15  # for the scheduler to answer
Task = tuple[Callable[..., Any], tuple[Any, ...]]  # a function and its arguments


class StepProgress:
    """The progress line of one step: records, megabytes per second, time left."""

    def __init__(self, progress: Progress, name: str, total: float | None) -> None:
        self._progress, self.name, self.began = progress, name, time.perf_counter()
        self.records, self.bytes, self.total = 0, 0.0, total
        self._task = progress.add_task(name, total=total, info="")

    def advance(self, size: float, records: int = 0, total: float | None = None) -> None:
        """Add `size` bytes and `records`; `total` replaces the estimate of all bytes."""
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

    def set_share(self, share: float) -> None:
        """Show how much is done, from 0 to 1, of work that is not counted in bytes."""
        seconds = time.perf_counter() - self.began
        self._progress.update(self._task, completed=share, total=1.0, info=f"{seconds:>11.1f} s")

    def finish(self) -> float:
        """Show the step as done; return its seconds."""
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
    """A Dask client with progress lines and a watch on memory. Use it as a context manager."""

    def __init__(self, workers: int | None, scheduler: str | None, scratch: Path, console: Console) -> None:
        self.scheduler, self.scratch = scheduler, scratch
        self.worker_count = workers or _count_cores()
        self.peak_memory = 0  # bytes, of this process and all workers
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[info]}"),
            console=console,
            transient=False,
        )
        self._client: Any = None
        self._cluster: Any = None
        self._stop = threading.Event()

    def __enter__(self) -> Engine:
        self._progress.start()
        try:
            if self.scheduler:
                self._connect(self.scheduler)
            else:
                self._start_local_cluster()
        except BaseException:
            self._progress.stop()
            raise
        threading.Thread(target=self._watch_memory, daemon=True).start()
        return self

    def _connect(self, scheduler: str) -> None:
        from distributed import Client

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            self._client = Client(scheduler, timeout=CONNECT_SECONDS)
        except (OSError, ValueError, TimeoutError) as error:
            raise BuildError(f"the scheduler {scheduler} cannot be reached ({error or type(error).__name__})") from None
        try:
            self._client.wait_for_workers(1, timeout=60)
        except TimeoutError:
            self._client.close()
            raise BuildError(
                f"the scheduler {scheduler} has no workers: start some with `dask worker {shlex.quote(scheduler)}`"
            ) from None
        self.worker_count = len(self._list_workers())

    def _start_local_cluster(self) -> None:
        import dask
        from distributed import Client, LocalCluster

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        # Ctrl-C is for the driver: it ends the build in order, and the workers with it.
        is_main = threading.current_thread() is threading.main_thread()
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
        # Workers would profile themselves a hundred times a second, for nobody.
        settings = {"worker.daemon": True, "worker.profile.enabled": False, "nanny.pre-spawn-environ": _WORKER_ENVIRONMENT}
        with dask.config.set({f"distributed.{key}": value for key, value in settings.items()}):
            try:
                self._cluster = LocalCluster(
                    n_workers=self.worker_count,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=0,  # bounded by the size of a partition; the nanny's guesses kill sound workers
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    silence_logs=logging.CRITICAL,
                    local_directory=str(self.scratch),
                )
            except (RuntimeError, OSError, TimeoutError) as error:
                raise BuildError(
                    f"the workers could not be started ({error or type(error).__name__}). Run the same command again to go on."
                ) from error
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        self._client = Client(self._cluster)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._progress.stop()
        for closing in (self._client, self._cluster):
            if closing is not None:
                try:
                    closing.close(timeout=10)
                except Exception:  # the cluster may be gone already; that must not hide how the build ended
                    logging.getLogger(__name__).debug("closing failed", exc_info=True)

    def _list_workers(self) -> dict[str, Any]:
        return self._client.scheduler_info(n_workers=-1)["workers"]

    def _watch_memory(self) -> None:
        driver = psutil.Process()
        while not self._stop.wait(0.5):
            try:
                total = sum(process.memory_info().rss for process in (driver, *driver.children(recursive=True)))
                if self.scheduler:
                    total += sum(int(worker.get("metrics", {}).get("memory", 0)) for worker in self._list_workers().values())
                self.peak_memory = max(self.peak_memory, total)
            except Exception:  # a process may end while it is looked at
                continue

    def step(self, name: str, total: float | None = None) -> StepProgress:
        """Start the progress line of a step. `total`: its bytes, where they are known."""
        return StepProgress(self._progress, name, total)

    def run(
        self,
        activity: str,
        tasks: Iterable[Task],
        in_flight: int | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """Run tasks; yield (number, result) as they finish. At most `in_flight` are taken from `tasks` before they finish.

        `meanwhile` is called now and then while they run. A task that fails is tried again. If it still fails, the step stops with a
        BuildError that says what to do.
        """
        limit = in_flight or 4 * self.worker_count
        pending: dict[Any, int] = {}
        try:
            for number, (function, arguments) in enumerate(tasks):
                future = self._client.submit(function, *arguments, pure=False, retries=_RETRIES)
                pending[future] = number
                while len(pending) >= limit:
                    yield from self._collect(activity, pending, meanwhile)
            while pending:
                yield from self._collect(activity, pending, meanwhile)
        finally:
            for future in pending:
                future.cancel()
            if isinstance(tasks, Generator):
                tasks.close()  # now, while there is a cluster: it may hold a producer

    def produce(
        self, activity: str, function: Callable[..., Iterator[Any]], arguments: tuple[Any, ...], ahead: int
    ) -> Iterator[Any]:
        """Run a generator function on a worker, beside the worker's other tasks; yield what it yields, which is JSON.

        It goes on only while fewer than `ahead` of its items have not been taken. Where its worker dies it is run again from the
        beginning on another, so that items may come twice.
        """
        from distributed import Queue

        queue = Queue(f"seimai-{uuid.uuid4().hex}", client=self._client, maxsize=ahead)
        future = self._client.submit(_produce, queue.name, function, arguments, pure=False, retries=_RETRIES)
        try:
            while True:
                try:
                    item = queue.get(timeout=_POLL_SECONDS)
                except TimeoutError:
                    if future.status in ("error", "cancelled", "lost"):
                        failure = future.exception() if future.status == "error" else None
                        raise _explain_failure(activity, 0, failure, self.scratch.parent) from None
                    continue
                if item is None:
                    return
                yield item
        finally:
            with suppress(Exception):  # the cluster may be gone already; that must not hide how the step ended
                future.cancel()
                queue.close()

    def _collect(
        self, activity: str, pending: dict[Any, int], meanwhile: Callable[[], None] | None
    ) -> Iterator[tuple[int, Any]]:
        """Wait for some tasks to finish, take them from `pending`, and yield their results."""
        try:
            finished = self._wait_for_some(list(pending), meanwhile)
        except BuildError:
            raise
        except Exception as error:
            raise BuildError(
                f"{activity}: the cluster is gone ({type(error).__name__}). Run the same command again to go on."
            ) from None
        for future in finished:
            number = pending.pop(future)
            failure = future.exception() if future.status == "error" else None
            if failure is None and future.status == "finished":
                yield number, future.result()
                future.release()
                continue
            raise _explain_failure(activity, number, failure, self.scratch.parent)

    def _wait_for_some(self, futures: list[Any], meanwhile: Callable[[], None] | None) -> Any:
        """Return the finished futures, once there are some. Raises BuildError after a minute without any worker."""
        from distributed import wait

        without_workers = 0.0
        seconds = _WAIT_SECONDS if meanwhile is None else _POLL_SECONDS
        while True:
            try:
                return wait(futures, timeout=seconds, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                if meanwhile is not None:
                    meanwhile()
                without_workers = 0 if self._list_workers() else without_workers + seconds
                if without_workers >= _MOST_SECONDS_WITHOUT_WORKERS:
                    raise BuildError("all workers are gone and none came back. Run the same command again to go on.") from None


def _produce(queue_name: str, function: Callable[..., Iterator[Any]], arguments: tuple[Any, ...]) -> None:
    """Put what a generator function yields into a queue, and None at the end."""
    from distributed import Queue, secede

    secede()  # the worker takes other tasks meanwhile
    queue = Queue(queue_name)
    for item in function(*arguments):
        queue.put(item, timeout=_PATIENCE_SECONDS)
    queue.put(None, timeout=_PATIENCE_SECONDS)


def _explain_failure(activity: str, number: int, error: BaseException | None, work: Path) -> BaseException:
    """Return the error to raise for task `number`, with what to do about it."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, SeimaiError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return explain_os_error(error, activity)
    # Polars (in an error of its own) and numpy report a full disk without the system's error number.
    if "No space left on device" in str(error) or (isinstance(error, OSError) and "requested and" in str(error)):
        return explain_os_error(OSError(errno.ENOSPC, "No space left on device"), activity)
    if isinstance(error, KilledWorker):
        return BuildError(
            f"{activity}: a worker died again and again on part {number}, most likely out of memory. "
            "Use fewer --workers or a smaller --set source.partition, and run the same command again: finished parts are kept."
        )
    if error is None:
        return BuildError(f"{activity}: part {number} was lost with its worker. Run the same command again to go on.")
    failure = BuildError(
        f"{activity} failed on part {number}: {type(error).__name__}: {error}\n"
        f"Where a file under {work} was damaged, delete that folder and run the same command again."
    )
    failure.__cause__ = error
    return failure


def _count_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
