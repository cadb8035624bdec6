"""Run tasks on Dask: on a local cluster with one process per core, or on any cluster by address. Tasks return counts, never data.

Dask is imported late, since it takes a second and most commands end without it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import cloudpickle
import psutil
from rich.console import Console

from pipeline.core.cluster import LocalWorkers, connect
from pipeline.core.code_identity import ByValue, describe_code, enter
from pipeline.core.errors import BuildError
from pipeline.core.failures import explain_failure, refuse_worker
from pipeline.core.progress import ProgressDisplay, StepProgress
from pipeline.core.pulse import run_task
from pipeline.core.watch import KEY_MARK, Watch, read_patience

_RETRIES = 2
_POLL_SECONDS = 1
_MOST_SECONDS_WITHOUT_WORKERS = 180  # those that died are started again meanwhile
_PATIENCE_SECONDS = 3600  # of a producer whose items nobody takes: its driver is gone
Task = tuple[Callable[..., Any], tuple[Any, ...]]  # a function and its arguments


class Engine:
    """A Dask client with progress lines and a watch on memory. Use it as a context manager."""

    def __init__(self, workers: int | None, scheduler: str | None, scratch: Path, console: Console) -> None:
        self.scheduler, self.scratch = scheduler, scratch
        self.worker_count = workers or _count_cores()
        self.peak_memory = 0  # bytes, of this process and all workers
        self._patience = read_patience()
        self._progress = ProgressDisplay(console)
        self._client: Any = None
        self._local = LocalWorkers()
        self._watch: Any = None
        self._enter = ByValue(enter)
        self._stop = threading.Event()

    def __enter__(self) -> Engine:
        self._progress.start()
        try:
            if self.scheduler:
                self._client = connect(self.scheduler)
            else:
                self._client = self._local.start(self.worker_count, self.scratch, self._patience)
            self._watch = Watch(self._client, self._local.list_processes, self._patience, self.say, self._local.deaths)
            self._watch.start()
        except BaseException:
            self._progress.stop()
            self._close()
            raise
        if self.scheduler:
            self.worker_count = max(1, len(self._watch.workers))
        threading.Thread(target=self._watch_memory, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._progress.stop()
        self._close()

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        # What Dask still waits for when it is ended, it would report with a traceback, from a thread of its own.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        if self._client is not None:
            with suppress(Exception):  # the cluster may be gone already; that must not hide how the build ended
                self._client.close(timeout=10)
        self._local.close()

    def say(self, text: str) -> None:
        """Print a line above those of progress."""
        self._progress.say(text)

    def _watch_memory(self) -> None:
        driver = psutil.Process()
        while not self._stop.wait(0.5):
            try:
                total = sum(process.memory_info().rss for process in (driver, *driver.children(recursive=True)))
                if self.scheduler:
                    total += sum(int(worker.get("metrics", {}).get("memory", 0)) for worker in self._watch.workers.values())
                self.peak_memory = max(self.peak_memory, total)
            except Exception:  # a process may end while it is looked at
                continue

    def step(self, name: str, total: float | None = None) -> StepProgress:
        """Start the progress line of a step. `total`: its bytes, where they are known."""
        return self._progress.step(name, total, self.worker_count)

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
                pending[self._submit(f"{activity}, part {number}", function, arguments)] = number
                while len(pending) >= limit:
                    yield from self._collect(activity, pending, meanwhile)
            while pending:
                yield from self._collect(activity, pending, meanwhile)
        finally:
            for future in pending:
                future.cancel()
            if isinstance(tasks, Generator):
                tasks.close()  # now, while there is a cluster: it may hold a producer

    def _submit(self, label: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Send a task to the cluster; return its future. A worker does it if its code is the same as this process's."""
        payload = cloudpickle.dumps((run_task, (label, function, arguments)))
        key = f"{label}{KEY_MARK}{uuid.uuid4().hex}"
        return self._client.submit(self._enter, describe_code(), payload, key=key, pure=False, retries=_RETRIES)

    def _take_result(self, activity: str, future: Any) -> Any:
        answer = future.result()
        if "refused" in answer:
            raise refuse_worker(activity, describe_code(), answer["refused"], is_local=self.scheduler is None)
        return answer["result"]

    def produce(
        self, activity: str, function: Callable[..., Iterator[Any]], arguments: tuple[Any, ...], ahead: int
    ) -> Iterator[Any]:
        """Run a generator function on a worker, beside the worker's other tasks; yield what it yields, which is JSON.

        It goes on only while fewer than `ahead` of its items have not been taken. Where its worker dies it is run again from the
        beginning on another, so that items may come twice.
        """
        from distributed import Queue

        queue = Queue(f"seimai-{uuid.uuid4().hex}", client=self._client, maxsize=ahead)
        future = self._submit(activity, _produce, (queue.name, function, arguments))
        try:
            while True:
                try:
                    # An answer that comes after `callback_timeout` is lost, so that is the end.
                    item = queue.get(timeout=_POLL_SECONDS, callback_timeout=self._patience + _POLL_SECONDS)
                except TimeoutError:
                    self._check_cluster()
                    if future.status == "finished":
                        self._take_result(activity, future)  # which raises where the worker refused the task
                    if future.status in ("error", "cancelled", "lost"):
                        raise self._explain(activity, 0, future) from None
                    continue
                if item is None:
                    return
                yield item
        finally:
            with suppress(Exception):  # the cluster may be gone already; that must not hide how the step ended
                future.cancel()
                queue.close()

    def _explain(self, activity: str, number: int, future: Any) -> BaseException:
        failure = future.exception() if future.status == "error" else None
        return explain_failure(activity, number, failure, self.scratch.parent, self._local.deaths)

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
            if future.status != "finished":
                raise self._explain(activity, number, future)
            yield number, self._take_result(activity, future)
            future.release()

    def _wait_for_some(self, futures: list[Any], meanwhile: Callable[[], None] | None) -> Any:
        """Return the finished futures, once there are some. Raises BuildError after three minutes without any worker."""
        from distributed import wait

        without_workers = 0.0
        while True:
            try:
                return wait(futures, timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                self._check_cluster()
                if meanwhile is not None:
                    meanwhile()
                without_workers = 0 if self._watch.workers else without_workers + _POLL_SECONDS
                if without_workers >= _MOST_SECONDS_WITHOUT_WORKERS:
                    last = "".join(f" Of the last one: {death}." for death in self._local.deaths[-1:])
                    raise BuildError(
                        f"all workers are gone and none came back.{last} Run the same command again to go on."
                    ) from None

    def _check_cluster(self) -> None:
        """Raise BuildError where the cluster does not answer."""
        if self._watch.failure is not None:
            raise self._watch.failure


def _produce(queue_name: str, function: Callable[..., Iterator[Any]], arguments: tuple[Any, ...]) -> None:
    """Put what a generator function yields into a queue, and None at the end."""
    from distributed import Queue, secede

    secede()  # the worker takes other tasks meanwhile
    queue = Queue(queue_name)
    for item in function(*arguments):
        _put(queue, item)
    _put(queue, None)


def _put(queue: Any, item: Any) -> None:
    """Put an item into a queue once there is room. Waiting in short turns, the task does not look as if it stood still."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            queue.put(item, timeout=_POLL_SECONDS)
            return
        except TimeoutError:
            if time.monotonic() > deadline:
                raise


def count_workers(wanted: int | None) -> int:
    """Return how many processes work where so many are wanted: 0 stands for the command's own, None for one per core."""
    return _count_cores() if wanted is None else max(wanted, 1)


def _count_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
