"""A run that was stopped or killed goes on as if it had not been: bit for bit, on one rank and on two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainers.data.shards import Shards

SMALL = [
    "--config", "tiny", "--set", "model.n_embd=16", "--set", "model.n_layer=1", "--set", "model.n_head=2", "--set", "model.n_positions=32",
    "--set", "train.batch=2", "--set", "train.steps=75", "--set", "train.log_every=1", "--set", "train.save_every=10",
    "--set", "train.evaluate_every=40", "--set", "train.evaluate_records=9",
    "--set", "model.resid_pdrop=0.1", "--set", "model.attn_pdrop=0.1",  # something is drawn at every step
]  # fmt: skip


def command(corpus: Path, out: Path, *more: str, **how: Any) -> dict[str, Any]:
    return {"trainer": "gpt", "arguments": [str(corpus), "--out", str(out), *SMALL, *more]} | how


@pytest.fixture(scope="module")
def undisturbed_run(tokenised, train, tmp_path_factory) -> Path:
    """A run on one rank that nothing disturbs."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    assert train("gpt", *command(tokenised, out)["arguments"]) == 0
    return out


@pytest.mark.parametrize(("by", "at"), [("SIGTERM", 1), ("SIGINT", 10), ("SIGTERM", 17)])
def test_a_run_stopped_by_a_signal_goes_on_bit_for_bit(tokenised, train, undisturbed_run, losses_of, tmp_path, by, at):
    out = tmp_path / "run"
    assert train("gpt", *command(tokenised, out)["arguments"], signal=by, at=at) == 128 + getattr(signal, by)
    assert max(losses_of(out)) == at  # the step under way is finished, and saved
    assert train("gpt", *command(tokenised, out, "--resume")["arguments"]) == 0
    assert losses_of(out) == losses_of(undisturbed_run)


def test_a_run_that_was_killed_goes_on_bit_for_bit(tokenised, train, train_on_ranks, undisturbed_run, losses_of, tmp_path):
    out = tmp_path / "run"
    done = train_on_ranks(1, [command(tokenised, out, signal="SIGKILL", at=24)])
    assert done.returncode == -9
    assert max(losses_of(out)) == 23
    assert train("gpt", *command(tokenised, out, "--resume")["arguments"]) == 0
    assert losses_of(out) == losses_of(undisturbed_run)


def test_ctrl_c_takes_the_reader_of_what_is_said_along_but_not_the_checkpoint(tokenised, tmp_path):
    """In `… 2>&1 | tee log` both get the signal, and the pipe is broken before the run can print anything."""
    out = tmp_path / "run"
    arguments = [*command(tokenised, out)["arguments"], "--set", "train.steps=100000", "--set", "train.save_every=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "trainers.gpt", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    next(line for line in process.stderr if "step 4/" in line)
    process.stderr.close()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert [*(out / "checkpoints").glob("step-*")]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a worker process")
def test_a_run_with_a_worker_process_is_the_same_and_saved_when_all_its_processes_get_the_signal(
    tokenised, train, undisturbed_run, losses_of, tmp_path
):
    """A scheduler sends SIGTERM to every process of a job."""
    out = tmp_path / "run"
    arguments = command(tokenised, out, "--set", "train.apart=true", "--set", "train.threads=2")["arguments"]
    process = subprocess.Popen(
        [sys.executable, "-m", "trainers.gpt", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    next(line for line in process.stderr if "step 4/" in line)
    os.killpg(process.pid, signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 143 and "--resume goes on" in said
    assert train("gpt", *command(tokenised, out, "--resume")["arguments"]) == 0
    assert losses_of(out) == losses_of(undisturbed_run)


def test_two_ranks(tokenised, train, train_on_ranks, losses_of, tmp_path):
    """Stopped, killed, and begun on one rank: all goes on."""
    shards = Shards(tokenised / "tokens", "train", ["input_ids"], "")
    total, rows = shards.total, shards.read(range(len(shards.row_groups))).take(np.arange(shards.total))["input_ids"]
    one, seen = tmp_path / "one", tmp_path / "seen"
    assert train("gpt", *command(tokenised, one)["arguments"], signal="SIGTERM", at=15, record=seen) == 143
    steps = 15 + (total - 2 * 15) // 4  # to the end of the epoch, with four records a step
    undisturbed, stopped, killed = (tmp_path / name for name in ("undisturbed", "stopped", "killed"))
    done = train_on_ranks(2, [
        command(tokenised, undisturbed),
        command(tokenised, stopped, signal="SIGTERM", at=18, rank=1),
        command(tokenised, stopped, "--resume"),
        command(tokenised, one, "--resume", "--set", f"train.steps={steps}", record=f"{seen}-two"),
        command(tokenised, killed, signal="SIGKILL", at=26, rank=1),
    ])  # fmt: skip
    assert done.returncode != 0, "a rank was killed"
    reference = losses_of(undisturbed)
    assert len(reference) == 75
    assert losses_of(stopped) == reference
    assert max(losses_of(killed)) <= 26
    done = train_on_ranks(2, [command(tokenised, killed, "--resume")])
    assert "codes [0]" in done.stdout, done.stderr
    assert losses_of(killed) == reference
    # One rank saw 30 records, two the rest of the epoch but for what makes no whole step.
    read = Counter(line for path in tmp_path.glob("seen*") for line in path.read_text().splitlines())
    times = [read[str(row.tolist())] for row in rows]  # validation was read, too
    assert sum(times) == 30 + 4 * (steps - 15) and total - sum(times) < 4
    assert max(times) == 1
