"""Builds that are killed and started again."""

import os
import random
import signal

import polars as pl

from tests.support.builds import find_temporaries, hash_outputs, wait_until
from tests.support.texts import SMALL_PARTITIONS


def test_killed_at_random_moments_the_build_goes_on_and_makes_the_same(kill_at, build_on_cluster, mixed, reference, tmp_path):
    """Begun on two workers, gone on with in one process, finished on two workers again."""
    out = tmp_path / "out"
    arguments = ("cc100-ja", "--input", mixed, "--out", out, "--set", SMALL_PARTITIONS)
    drawn = random.Random(20)
    seen = []
    # A whole build writes some 55 such files, a few dozen a second, each at the end of a piece of work.
    for workers, low, high in ((2, 1, 12), (0, 14, 36), (0, 38, 52)):
        seen.append(kill_at(drawn.randint(low, high), out, *arguments, "--workers", workers, pause=drawn.uniform(0, 0.05)))
        # What is under a final name is whole.
        for path in (p for p in out.rglob("*.parquet") if not p.name.startswith(".")):
            pl.read_parquet(path)
    done = build_on_cluster(*arguments)
    assert done.returncode == 0, done.stderr
    assert hash_outputs(out) == hash_outputs(reference)
    assert find_temporaries(out) == []
    assert len(set(seen)) > 1, "every kill met the same state"


def test_an_interrupt_says_how_to_go_on(start_build, mixed, tmp_path):
    out = tmp_path / "out"
    process = start_build("cc100-ja", "--input", mixed, "--out", out, "--set", SMALL_PARTITIONS, "--workers", 1)
    wait_until(lambda: [*out.rglob("cut/*.json")], process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to go on" in errors and "Traceback" not in errors
    assert not (out / "data").exists()
