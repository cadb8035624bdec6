"""A scheduler and workers that were started by hand."""

import os
import signal

import pytest
from distributed import Client

from tests.support.builds import find_temporaries, hash_outputs, run_in_process, wait_until
from tests.support.cluster import run_dask_commands
from tests.support.texts import SMALL_PARTITIONS


@pytest.fixture
def dask_cluster(tmp_path):
    with run_dask_commands(tmp_path, workers=2) as cluster:
        yield cluster


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
