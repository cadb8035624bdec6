"""A Dask cluster that outlives single tests: `python -m tests.support.cluster ADDRESS_FILE PID`.

Two workers that stay up, so that most builds need not start their own. The cluster ends with the test run, the process PID.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

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
