"""Workers on Dask: a local cluster that nobody else can reach, or any cluster by address.

Whoever can connect to a worker or a scheduler can run code there, as the user who started it. The processes of a local cluster talk over
TLS with a certificate that is made for the run and never leaves their memory: who has none is refused, other users and other programs
of the same user alike.
"""

from __future__ import annotations

import logging
import shlex
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

from pipeline.core.errors import BuildError
from pipeline.core.interrupts import delay_interrupt

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
    """A local cluster of one process per worker, started by `start`."""

    def __init__(self) -> None:
        self._cluster: Any = None
        self._settings = ExitStack()  # of Dask, while there are workers
        self.deaths: list[str] = []  # how worker processes ended that nobody asked to

    def start(self, workers: int, scratch: Path, seconds: float) -> Any:
        """Start the workers; return a client. Raises BuildError where they do not connect in `seconds`, or two minutes."""
        import dask
        from distributed import Client, LocalCluster
        from distributed.security import Security

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "worker.daemon": True,
            "worker.profile.enabled": False,  # workers would profile themselves a hundred times a second, for nobody
            "scheduler.worker-ttl": None,  # `pipeline.core.watch` looks after them
            "nanny.pre-spawn-environ": _WORKER_ENVIRONMENT,
            # Dask's servers of pages, which cannot be turned off, have none: they would show tasks and logs to all users.
            "scheduler.http.routes": [],
            "worker.http.routes": [],
        }
        try:
            scratch.chmod(0o700)
            # Ctrl-C is for the driver: it ends the build in order, and the workers with it.
            # Dask's own defaults: what a user has set is for clusters of theirs (timeouts, lifetimes, preloads, ways to fork).
            defaults = {"distributed": dask.config.merge(*dask.config.defaults)["distributed"], "scheduler-address": None}
            settings = defaults | {f"distributed.{key}": value for key, value in settings.items()}
            self._settings.enter_context(dask.config.set(settings))
            with delay_interrupt():
                security = Security.temporary()
                self._cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    protocol="tls://",
                    host="127.0.0.1",
                    security=security,
                    memory_limit=0,  # bounded by the size of a partition; the nanny's guesses kill sound workers
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    silence_logs=logging.CRITICAL,
                    local_directory=str(scratch),
                    death_timeout=max(seconds, _START_SECONDS),
                )
                client = Client(self._cluster, security=security)
        except Exception as error:  # Dask raises what went wrong in its own state, too
            raise BuildError(
                f"the workers could not be started ({error or type(error).__name__}). Run the same command again to go on."
            ) from error
        _listen_to_nannies(self.deaths)
        return client

    def list_processes(self) -> dict[str, int]:
        """Return the process id of each worker, by its address."""
        nannies = list(self._cluster.workers.values()) if self._cluster is not None else []
        return {nanny.worker_address: nanny.pid for nanny in nannies if nanny.worker_address and nanny.pid}

    def close(self) -> None:
        """End all workers, those that are stopped too."""
        with self._settings:
            self._end_workers()

    def _end_workers(self) -> None:
        if self._cluster is None:
            return
        processes = []
        for pid in self.list_processes().values():
            with suppress(psutil.Error):
                processes.append(psutil.Process(pid))
        with suppress(Exception):  # the cluster may be gone already; that must not hide how the build ended
            self._cluster.close(timeout=_CLOSE_SECONDS)
        for process in processes:
            with suppress(psutil.Error):
                process.kill()


def _listen_to_nannies(deaths: list[str]) -> None:
    """Keep what nannies log of workers that died by a signal, which they tell nobody else."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "killed by signal" in (message := record.getMessage()):
                worker = message.removeprefix("Worker process ").split()[0]
                if not any(f"worker {worker} " in death for death in deaths):  # those that were given up are there already
                    deaths.append(message)

    logger = logging.getLogger("distributed.nanny")
    logger.handlers = [handler for handler in logger.handlers if type(handler).__name__ != Listener.__name__] + [Listener()]
    logger.setLevel(logging.INFO)
    logger.propagate = False
