"""A scheduler and workers that were started by hand."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.builds import find_temporaries, hash_outputs
from tests.support.texts import SMALL_PARTITIONS


@pytest.fixture
def by_hand(tmp_path):
    """A scheduler and two workers as their commands start them: (address, worker processes)."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True, "cwd": tmp_path}
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    started = [subprocess.Popen([*command, "--scheduler-file", str(file)], **quiet)]
    try:
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1"]
        worker += ["--no-dashboard", "--no-nanny", "--memory-limit", "0", "--local-directory", str(tmp_path)]
        started += [subprocess.Popen(worker, **quiet) for _ in range(2)]
        import json

        deadline = time.monotonic() + 60
        while not (file.is_file() and file.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield json.loads(file.read_text())["address"], started[1:]
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_same_bytes_with_one_worker_killed_half_way(start_build, by_hand, mixed, reference, tmp_path):
    from distributed import Client

    address, workers = by_hand
    with Client(address, timeout=30) as client:
        client.wait_for_workers(2, timeout=60)
    out = tmp_path / "out"
    process = start_build("cc100-ja", "--input", mixed, "--out", out, "--set", SMALL_PARTITIONS, "--scheduler", address)
    deadline = time.monotonic() + 60
    while len([*out.rglob("part-*.json")]) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()
    os.killpg(workers[0].pid, signal.SIGKILL)
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert workers[1].poll() is None
    assert hash_outputs(out) == hash_outputs(reference)
    assert find_temporaries(out / "data", out / "ledger") == []


def test_scheduler_and_workers_exclude_one_another(start_build):
    process = start_build("cc100-ja", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and "--workers is for the local cluster" in errors
