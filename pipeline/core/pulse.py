"""The pulse of a worker's tasks: what grows while one makes progress, told to the scheduler with every heartbeat.

A thread that stands still uses no processor, reads and writes nothing, and is never switched to. The event loop of its process goes on
all the while, so that heartbeats say nothing of a task.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

METRIC = "seimai"
_THREADS = Path("/proc/self/task")


@dataclass(frozen=True)
class _Running:
    """A task that runs in a thread. `others`: the Python threads that were there before, which do nothing for it."""

    label: str
    thread: int
    began: float = field(default_factory=time.monotonic)
    others: frozenset[int] = field(default_factory=lambda: frozenset(t.native_id or 0 for t in threading.enumerate()))


_running: dict[int, _Running] = {}


def run_task(label: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Run a task on a worker, and let its pulse be felt meanwhile."""
    from distributed import get_worker

    get_worker().metrics.setdefault(METRIC, _take_pulse)
    with _felt(label):
        return function(*arguments)


@contextmanager
def _felt(label: str) -> Iterator[None]:
    thread = threading.get_native_id()
    _running[thread] = _Running(label, thread)
    try:
        yield
    finally:
        del _running[thread]


def _take_pulse(worker: Any) -> dict[str, Any]:
    """Return where this worker is and, for each of its tasks, how long it has run and two numbers that grow as it does something."""
    tasks = []
    for running in list(_running.values()):
        events, ticks = _count_activity(running)
        tasks.append({"task": running.label, "seconds": time.monotonic() - running.began, "events": events, "cpu": ticks})
    return {"host": platform.node(), "pid": os.getpid(), "tasks": tasks}


def _count_activity(running: _Running) -> tuple[int, float]:
    """Return the switches and bytes of a task's thread, and the processor seconds of it and of all threads that may work for it."""
    if not _THREADS.is_dir():  # no Linux: the event loop counts along
        return 0, time.process_time()
    events, ticks = 0, 0
    for entry in os.scandir(_THREADS):
        thread = int(entry.name)
        if thread != running.thread and thread in running.others:
            continue
        try:
            fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
            if thread == running.thread:
                events += _sum_numbers(Path(entry.path, "status"), ("voluntary_ctxt", "nonvoluntary_ctxt"))
                events += _sum_numbers(Path(entry.path, "io"), ("rchar", "wchar"))
        except OSError:  # a thread that has ended, or a system that does not tell
            continue
    return events, ticks / os.sysconf("SC_CLK_TCK")


def _sum_numbers(path: Path, names: tuple[str, ...]) -> int:
    """Return the sum of the numbers on the lines of a file under /proc that begin with one of the names."""
    return sum(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(names))
