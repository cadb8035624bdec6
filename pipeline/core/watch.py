"""A watch on workers: whatever stands still is named, and its tasks are done elsewhere. What takes long, and works, is named and left.

A worker stands still when it has sent no heartbeat for a while, or when the pulse of its task has not changed (`pipeline.core.pulse`).
A local one that sends none may be busy in a library that lets nothing else run: then the processor time of its process grows.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from pipeline.core.code_identity import ByValue
from pipeline.core.errors import BuildError, UsageError
from pipeline.core.pulse import METRIC

_STUCK_SECONDS = 240.0  # so that nothing is silent for five minutes
_LEAST_CPU = 0.05  # seconds: less may be other threads of the process
KEY_MARK = " #"  # in the key of a task, behind what it is called
_SETTING = "SEIMAI_STUCK_SECONDS"


def read_patience() -> float:
    """Return after how many seconds without progress something counts as stuck. Raises UsageError for a setting that is no number."""
    text = os.environ.get(_SETTING)
    try:
        seconds = float(text) if text else _STUCK_SECONDS
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds < float("inf"):
        raise UsageError(f"{_SETTING}={text}: expected a number of seconds, at least 1")
    return seconds


@dataclass
class _Sign:
    """The last sign of life of a worker or a task, and for how many seconds there has been none by the clock of who tells."""

    events: Any
    cpu: float
    clock: float
    quiet: float = 0.0

    def update(self, events: Any, cpu: float, clock: float) -> None:
        if events != self.events or cpu - self.cpu >= _LEAST_CPU:
            self.events, self.cpu, self.clock = events, cpu, clock
        self.quiet = clock - self.clock


class Watch:
    """A thread that looks at all workers of a client.

    `failure` is set where the cluster itself does not answer; `workers` has what the scheduler last said of them, by address.
    `list_processes`: the process id of each worker that is this command's own, by address; these are killed when they stand still.
    `deaths`: gets a sentence for every worker that was given up.
    """

    def __init__(
        self,
        client: Any,
        list_processes: Callable[[], dict[str, int]],
        patience: float,
        say: Callable[[str], None],
        deaths: list[str],
    ) -> None:
        self.failure: BuildError | None = None
        self.workers: dict[str, Any] = {}
        self._client, self._list_processes, self._patience, self._say, self._deaths = (
            client, list_processes, patience, say, deaths,
        )  # fmt: skip
        self._interval = min(2.0, patience / 10)
        self._clock = 0.0  # seconds that this process was awake
        self._stop = threading.Event()
        self._signs: dict[tuple[str, str], _Sign] = {}  # by address and task; the worker itself has the task ""
        self._told: dict[tuple[str, str], float] = {}  # after how many seconds a long task was last named
        self._given_up: set[str] = set()
        self._thread = threading.Thread(target=self._run, daemon=True, name="seimai-watch")

    def start(self) -> None:
        self._look(0.0)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(self._interval):
            now = time.monotonic()
            # A command that was itself stopped for a while must not count that against its workers.
            seconds, last = min(now - last, 3 * self._interval), now
            try:
                self._look(seconds)
            except Exception:  # the cluster is closing, or gone, which those notice who wait for its tasks
                continue

    def _look(self, seconds: float) -> None:
        """Look at all workers; `seconds` have gone by since the last look."""
        self._clock += seconds
        scheduler = self._client.scheduler
        try:
            answer = self._client.sync(scheduler.identity, n_workers=-1, callback_timeout=self._patience)
        except TimeoutError:
            if not self._stop.is_set():
                address = getattr(scheduler, "address", "")
                self.failure = BuildError(
                    f"the scheduler {address} has not answered for {self._patience:.0f} seconds: its process is stopped, or its "
                    "machine cannot be reached. Start it anew, and run the same command again: finished parts are kept."
                )
            return
        self._given_up &= set(answer["workers"])
        self.workers = {address: worker for address, worker in answer["workers"].items() if address not in self._given_up}
        processes = self._list_processes()
        signs = {}
        for address, worker in self.workers.items():
            pulse = worker["metrics"].get(METRIC) or {}
            running = {task["task"]: task for task in pulse.get("tasks", ())}
            where = self._name_worker(address, pulse, processes)
            seen, used = worker["last_seen"], 0.0
            if address in processes:
                seen, used = _look_at_process(processes[address], seen)
            own = ("", seen, used, self._clock)
            # The clock of a task comes with its pulse: where no heartbeat comes, its worker is judged alone.
            tasks = ((label, task["events"], task["cpu"], task["seconds"]) for label, task in running.items())
            for label, events, cpu, clock in (own, *tasks):
                sign = self._signs.get((address, label)) or _Sign(events, cpu, clock)
                sign.update(events, cpu, clock)
                signs[address, label] = sign
                if sign.quiet >= self._patience:
                    self._give_up(address, where, label or ", ".join(running), sign.quiet, processes.get(address))
                    break
            else:
                self._name_long_tasks(address, where, running)
        self._signs = {key: sign for key, sign in signs.items() if key[0] not in self._given_up}

    def _name_worker(self, address: str, pulse: dict[str, Any], processes: dict[str, int]) -> str:
        pid = processes.get(address) or pulse.get("pid")
        if address in processes:
            return f"worker {pid}"
        return f"worker {pid} on {pulse.get('host')} ({address})" if pid else f"worker {address}"

    def _name_long_tasks(self, address: str, where: str, running: dict[str, Any]) -> None:
        """Name tasks that have run for a long time; again after twice the time."""
        for label, task in running.items():
            key = (address, label)
            if task["seconds"] >= self._told.get(key, self._patience / 2) * 2:
                self._told[key] = task["seconds"]
                self._say(f"{label} has been running for {_format_seconds(task['seconds'])} on {where}; it is at work")

    def _give_up(self, address: str, where: str, task: str, quiet: float, pid: int | None) -> None:
        """Name a worker that stands still, and let its tasks be done by others: kill it where it is our own."""
        since = time.strftime("%H:%M:%S", time.localtime(time.time() - quiet))
        task = task or self._ask_for_tasks(address)
        doing = f" on {task}" if task else ""
        what = f"{where} has made no progress{doing} for {_format_seconds(quiet)}, since {since}"
        self._deaths.append(what)
        self._given_up.add(address)
        if pid is not None:
            self._say(f"{what}: it is killed, and what it was doing is tried again")
            _kill_tree(pid)
        else:
            self._say(f"{what}: what it was doing is given to others. Look after that worker, and start it anew")
        # In a thread of its own, since the scheduler may be the next that does not answer.
        arguments = (ByValue(_forget_worker), address)
        threading.Thread(target=self._client.run_on_scheduler, args=arguments, daemon=True).start()

    def _ask_for_tasks(self, address: str) -> str:
        """Return which tasks a scheduler has given to a worker that did not live to tell."""
        with suppress(Exception):
            answer = self._client.sync(self._client.scheduler.processing, workers=[address], callback_timeout=10)
            return "; ".join(sorted({str(key).partition(KEY_MARK)[0] for key in answer.get(address, ())}))
        return ""


async def _forget_worker(address: str, dask_scheduler: Any) -> None:
    """Let a scheduler give the tasks of a worker to others."""
    await dask_scheduler.remove_worker(address=address, stimulus_id="seimai-stuck")


def _look_at_process(pid: int, last_seen: float) -> tuple[float, float]:
    """Return the time of the last sign of life of a process, and its processor seconds with those of what it started.

    A process that waits for a processor, on a machine with too much to do, is alive.
    """
    try:
        process = psutil.Process(pid)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        if process.status() == psutil.STATUS_RUNNING:
            last_seen = time.time()
    except psutil.Error:
        return last_seen, 0.0
    return last_seen, sum(one.user + one.system for one in times)


def _kill_tree(pid: int) -> None:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (*process.children(recursive=True), process):
            with suppress(psutil.Error):
                one.kill()


def _format_seconds(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
