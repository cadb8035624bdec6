"""Batches from a worker process: the same ones, and an error ends both processes with its reason."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.core.errors import BuildError, InputError
from trainers.data import worker_process
from trainers.data.batches import Batch, Skip, stream
from trainers.data.reader import Reader
from trainers.data.record_assignment import Span
from trainers.data.shards import Shards
from trainers.data.worker_process import read_in_worker_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a worker process")


def endless() -> Iterator[int]:
    yield os.getpid()
    yield from itertools.count()


def test_the_same_batches_in_the_same_order(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": list(range(100))}), tmp_path / "train-00000-of-00001.parquet", row_group_size=9)

    def decode(record: dict[str, Any]) -> tuple[np.ndarray, str]:
        if record["n"] % 10 == 3:
            raise Skip("three")
        return np.full(5, record["n"]), f"文{record['n']}"

    def collate(items: list[tuple[np.ndarray, str]]) -> tuple[dict[str, Any], float]:
        return {"x": torch.from_numpy(np.stack([x for x, _ in items])), "texts": [text for _, text in items]}, float(len(items))

    def batches() -> Iterator[Batch]:
        reader = Reader(Shards(tmp_path, "train", ["n"], ""), 1, 200)
        return stream(reader, iter([Span(0, 5, 100), Span(1, 0, 100)]), 8, collate, decode, taken=5)

    torch.manual_seed(1)
    state = torch.get_rng_state()
    direct, from_worker = list(batches()), list(read_in_worker_process(batches))
    assert torch.equal(state, torch.get_rng_state())
    assert len(direct) == len(from_worker) == 22
    for one, other in zip(direct, from_worker, strict=True):
        assert torch.equal(one.inputs.pop("x"), other.inputs.pop("x"))
        assert one == other
    assert from_worker[-1].taken == 200 and sum(batch.skipped for batch in from_worker) == 19


def test_what_stops_the_reader_is_raised_as_it_is_after_what_came_before() -> None:
    def damaged() -> Iterator[int]:
        yield 1
        raise InputError("row group 3 of train-00000-of-00001.parquet cannot be read")

    batches = read_in_worker_process(damaged)
    assert next(batches) == 1
    with pytest.raises(InputError, match="^row group 3 of train-00000-of-00001.parquet cannot be read$"):
        next(batches)

    def wrong() -> Iterator[int]:
        yield from [1][5]  # type: ignore[misc]

    with pytest.raises(IndexError, match="in wrong"):
        next(read_in_worker_process(wrong))


def test_a_killed_worker_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "LOOK_SECONDS", 0.2)
    batches = read_in_worker_process(endless)
    child = next(batches)
    assert child != os.getpid()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(BuildError, match=r"died \(.*exited unexpectedly\).*/dev/shm.*train\.apart=false"):
        for _ in batches:
            pass


def test_a_stopped_worker_is_ended_and_a_slow_one_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker_process, "LOOK_SECONDS", 0.2)
    monkeypatch.setenv("SEIMAI_STUCK_SECONDS", "1")

    def slow() -> Iterator[int]:
        time.sleep(1.5)
        yield 7

    assert list(read_in_worker_process(slow)) == [7]
    assert "has given no batch for 1 second; it is waited for" in capfd.readouterr().err
    batches = read_in_worker_process(endless)
    child = next(batches)
    os.kill(child, signal.SIGSTOP)
    with pytest.raises(BuildError, match=rf"reads the shards \({child}\) was stopped, and gave no batch for 1 seconds"):
        for _ in batches:
            pass


def test_the_worker_ends_with_the_process_that_takes_its_batches() -> None:
    batches = read_in_worker_process(endless)
    child = next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not psutil.pid_exists(child)
    code = (
        "import itertools, os; from trainers.data.worker_process import read_in_worker_process\n"
        "import torch.utils.data._utils.worker as worker; worker.MP_STATUS_CHECK_INTERVAL = 0.2\n"
        "for _ in read_in_worker_process(lambda: itertools.chain([print(os.getpid(), flush=True)], itertools.count())): pass"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        process.kill()
    for _ in range(200):
        if not psutil.pid_exists(child):
            return
        time.sleep(0.1)
    raise AssertionError("it lives on")
