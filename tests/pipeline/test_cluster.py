"""A scheduler and workers that were started by hand."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from distributed import Client

from tests.support.builds import find_temporaries, hash_outputs, run_in_process, wait_until
from tests.support.texts import SMALL_PARTITIONS


@dataclass
class DaskCluster:
    address: str
    workers: list[subprocess.Popen]


def kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def dask_cluster(tmp_path):
    """A scheduler and two workers as their commands start them."""
    file = tmp_path / "scheduler.json"
    scheduler_options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    worker_options = ["--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard", "--no-nanny", "--memory-limit", "0"]
    with ExitStack() as stack:

        def start(program, *options):
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", *options],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=tmp_path,
            )  # fmt: skip
            stack.callback(kill, process)
            return process

        scheduler = start("dask_scheduler", *scheduler_options)
        workers = [start("dask_worker", *worker_options, "--local-directory", str(tmp_path)) for _ in range(2)]
        wait_until(lambda: file.is_file() and file.stat().st_size, scheduler)
        yield DaskCluster(json.loads(file.read_text())["address"], workers)


@pytest.mark.e2e
def test_same_bytes_with_one_worker_killed_half_way(start_build, dask_cluster, mixed, reference, tmp_path):
    with Client(dask_cluster.address, timeout=30) as client:
        client.wait_for_workers(2, timeout=60)
    out = tmp_path / "out"
    options = ("--input", mixed, "--out", out, "--set", SMALL_PARTITIONS, "--scheduler", dask_cluster.address)
    process = start_build("cc100-ja", *options)
    wait_until(lambda: len([*out.rglob("part-*.json")]) >= 3, process)
    assert process.poll() is None, process.communicate()
    os.killpg(dask_cluster.workers[0].pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert dask_cluster.workers[1].poll() is None
    assert hash_outputs(out) == hash_outputs(reference)
    assert find_temporaries(out / "data", out / "ledger") == []


def test_scheduler_and_workers_exclude_one_another(tmp_path):
    done = run_in_process(["cc100-ja", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"], tmp_path)
    assert done.returncode == 2 and "--workers is for the local cluster" in done.stderr
