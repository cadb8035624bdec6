"""Dask clusters: one that outlives single tests, `python -m tests.support.cluster ADDRESS_FILE PID`, and those that are started by hand.

The first has two workers that stay up, so that most builds need not start their own. It ends with the test run, the process PID.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.builds import wait_until

ROOT = Path(__file__).parents[2]


def start_cluster(folder: Path, owner: int) -> None:
    """Start a cluster that ends with the process `owner`, and write its address to `folder`/address."""
    address = folder / "address"
    with open(folder / "errors", "wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.cluster", str(address), str(owner)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
        )  # fmt: skip
    while not address.exists():
        if process.poll() is not None:
            raise RuntimeError(f"the cluster of the tests did not start: {(folder / 'errors').read_text('utf-8', 'replace')}")
        time.sleep(0.05)


@dataclass
class DaskCluster:
    """A scheduler and workers as their commands start them."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]
    start_worker: Callable[..., subprocess.Popen[bytes]]  # with further variables of its environment


@contextmanager
def run_dask_commands(folder: Path, workers: int, options: Sequence[str] = ()) -> Iterator[DaskCluster]:
    """Start a scheduler and workers; `options` are for both commands. All are killed at the end, those that are stopped too."""
    file = folder / "scheduler.json"
    with ExitStack() as stack:

        def start(program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", "--no-dashboard", *arguments, *options],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | dict(environment or {}),
            )  # fmt: skip
            stack.callback(kill_group, process)
            return process

        def start_worker(**environment: str) -> subprocess.Popen[bytes]:
            arguments = ["--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
            return start("dask_worker", *arguments, "--local-directory", str(folder), environment=environment)

        host = ["--host", "tls://127.0.0.1" if "--tls-ca-file" in options else "127.0.0.1", "--port", "0"]
        scheduler = start("dask_scheduler", *host, "--scheduler-file", str(file))
        started = [start_worker() for _ in range(workers)]
        wait_until(lambda: file.is_file() and file.stat().st_size, scheduler)
        yield DaskCluster(json.loads(file.read_text())["address"], scheduler, started, start_worker)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a group, and the group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(address: Path, owner: int) -> None:
    import dask
    import psutil
    from distributed import LocalCluster

    single_threaded = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "ARROW_NUM_THREADS"), "1")
    # It is idle most of the time, and shall cost nothing then.
    quiet = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"}
    with dask.config.set({"distributed.nanny.pre-spawn-environ": single_threaded} | quiet):
        with LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=50,
            local_directory=str(address.parent),
        ) as cluster:
            unfinished = address.with_suffix(".tmp")
            unfinished.write_text(cluster.scheduler_address)
            unfinished.rename(address)
            while psutil.pid_exists(owner) and psutil.Process(owner).status() != psutil.STATUS_ZOMBIE:
                time.sleep(2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
