"""Workers on Dask: a local cluster that nobody else can reach, or any cluster by address.

Whoever can connect to a worker or a scheduler can run code there, as the user who started it. The processes of a local cluster talk over
TLS with a certificate that is made for the run and never leaves their memory: who has none is refused, other users and other programs
of the same user alike.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from pipeline.core import local_worker
from pipeline.core.errors import BuildError
from pipeline.core.interrupts import delay_interrupt
from pipeline.core.processes import find_import_path

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
CONNECT_SECONDS = 15  # for the scheduler to answer
_START_SECONDS = 120  # at least, for a worker to connect
_CLOSE_SECONDS = 10
_POLL_SECONDS = 0.1
_SECONDS_BEFORE_REPLACING = 1.0  # so that workers that die as soon as they start do not keep the machine busy


def connect(scheduler: str) -> Any:
    """Return a client of a cluster that has workers. Raises BuildError where it cannot be reached, or has none."""
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError, RuntimeError, TimeoutError) as error:
        hint = ""
        if scheduler.startswith("tls:"):
            hint = (
                ". Over tls:// this command needs the certificates of the cluster: name them in Dask's configuration "
                "(distributed.comm.tls.ca-file, .client.cert and .client.key)"
            )
        raise BuildError(f"the scheduler {scheduler} cannot be reached ({error or type(error).__name__}){hint}") from None
    try:
        client.wait_for_workers(1, timeout=60)
    except TimeoutError:
        with suppress(Exception):
            client.close(timeout=_CLOSE_SECONDS)
        raise BuildError(
            f"the scheduler {scheduler} has no workers: start some with `dask worker {shlex.quote(scheduler)}`"
        ) from None
    return client


class LocalWorkers:
    """A local cluster of one process per worker, started by `start`. A worker that dies is started again."""

    def __init__(self) -> None:
        self._cluster: Any = None
        self._settings = ExitStack()  # of Dask, while there are workers
        self._processes: list[subprocess.Popen[bytes]] = []
        self._instructions: dict[str, Any] = {}
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None  # replaces workers that die
        self.deaths: list[str] = []  # how worker processes ended that nobody asked to

    def start(self, workers: int, scratch: Path, seconds: float) -> Any:
        """Start the workers; return a client. Raises BuildError where they do not connect in `seconds`, or two minutes."""
        import dask
        from distributed import Client, LocalCluster
        from distributed.security import Security

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "worker.profile.enabled": False,  # workers would profile themselves a hundred times a second, for nobody
            "scheduler.worker-ttl": None,  # `pipeline.core.watch` looks after them
            # Dask's servers of pages, which cannot be turned off, have none: they would show tasks and logs to all users.
            "scheduler.http.routes": [],
            "worker.http.routes": [],
        }
        try:
            scratch.chmod(0o700)
            # Dask's own defaults: what a user has set is for clusters of theirs (timeouts, lifetimes, preloads, ways to fork).
            defaults = {"distributed": dask.config.merge(*dask.config.defaults)["distributed"], "scheduler-address": None}
            settings = defaults | {f"distributed.{key}": value for key, value in settings.items()}
            self._settings.enter_context(dask.config.set(settings))
            with delay_interrupt():
                security = Security.temporary()
                self._cluster = LocalCluster(
                    n_workers=0,
                    protocol="tls://",
                    host="127.0.0.1",
                    security=security,
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    silence_logs=logging.CRITICAL,
                )
                options = {
                    "nthreads": 1,
                    "memory_limit": 0,  # bounded by the size of a partition; Dask's guesses would pause sound workers
                    "host": "127.0.0.1",
                    "protocol": "tls://",
                    "dashboard": False,
                    "silence_logs": logging.CRITICAL,
                    "local_directory": str(scratch),
                    "death_timeout": max(seconds, _START_SECONDS),
                }
                self._instructions = {
                    "address": self._cluster.scheduler_address,
                    "security": security,
                    "config": dask.config.config,
                    "options": options,
                }
                # Processes that are started while Ctrl-C is held back never get it: it is the driver's.
                for _ in range(workers):
                    self._processes.append(self._start_process())
            self._wait_for_workers(workers, max(seconds, _START_SECONDS))
            client = Client(self._cluster, security=security)
        except BaseException as error:  # Dask raises what went wrong in its own state, too
            self.close()
            if not isinstance(error, Exception) or isinstance(error, BuildError):
                raise
            raise BuildError(
                f"the workers could not be started ({error or type(error).__name__}). Run the same command again to go on."
            ) from error
        self._keeper = threading.Thread(target=self._replace_the_dead, daemon=True, name="seimai-workers")
        self._keeper.start()
        return client

    def _start_process(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-P", local_worker.__file__], stdin=subprocess.PIPE, env=_worker_environment()
        )
        assert process.stdin is not None
        root = str(Path(__file__).parents[2])
        with suppress(BrokenPipeError):  # it is dead already, which is noticed
            local_worker.write_instructions(process.stdin, find_import_path(), root, self._instructions)
        return process

    def _wait_for_workers(self, workers: int, seconds: float) -> None:
        """Block until all have connected. Raises BuildError where one ends, or the time is over."""
        deadline = time.monotonic() + seconds
        while len(self.list_processes()) < workers:
            if dead := next((process for process in self._processes if process.poll() is not None), None):
                raise BuildError(
                    f"the workers could not be started ({_describe_end(dead)}). Run the same command again to go on."
                )
            if time.monotonic() > deadline:
                raise BuildError(
                    f"the workers did not connect within {seconds:.0f} seconds: the machine has too much to do. Use fewer --workers, or "
                    "run the same command again later."
                )
            time.sleep(_POLL_SECONDS)

    def _replace_the_dead(self) -> None:
        """Start a worker for each that dies, and remember how it died."""
        while not self._closing.wait(_POLL_SECONDS):
            for number, process in enumerate(self._processes):
                if process.poll() is None or self._closing.is_set():
                    continue
                if not any(
                    f"worker {process.pid} " in death for death in self.deaths
                ):  # those that were given up are there already
                    self.deaths.append(_describe_end(process))
                if self._closing.wait(_SECONDS_BEFORE_REPLACING):
                    return
                self._processes[number] = self._start_process()

    def list_processes(self) -> dict[str, int]:
        """Return the process id of each worker that has connected, by its address."""
        own = {process.pid for process in self._processes}
        workers = list(self._cluster.scheduler.workers.values()) if self._cluster is not None else []
        return {worker.address: worker.pid for worker in workers if worker.pid in own}

    def close(self) -> None:
        """End all workers, those that are stopped too."""
        self._closing.set()
        if self._keeper is not None:
            self._keeper.join()
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
        if self._cluster is not None:
            with suppress(Exception):  # the cluster may be gone already; that must not hide how the build ended
                self._cluster.close(timeout=_CLOSE_SECONDS)
        self._settings.close()


def _worker_environment() -> dict[str, str]:
    utf8 = {"PYTHONUTF8": "1"} if sys.flags.utf8_mode else {}
    return os.environ | _WORKER_ENVIRONMENT | utf8


def _describe_end(process: subprocess.Popen[bytes]) -> str:
    status = process.returncode
    how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
    return f"Worker process {process.pid} {how}"
