"""Checkpoints: which runs may be resumed, and what a failure leaves."""

from __future__ import annotations

import shutil
import subprocess

import psutil
import pytest
import torch

from pipeline.core.errors import BuildError
from pipeline.core.locks import hold_lock
from tests.support.damage import DAMAGES, damage
from trainers.training.checkpoints import Checkpoints


def test_runs_that_do_not_go_on(gpt_run, tokenised, train, tmp_path, small_gpt, refused) -> None:
    assert "--resume" in refused(tokenised, "--out", gpt_run, *small_gpt)
    said = refused(tokenised, "--out", gpt_run, *small_gpt, "--resume", "--set", "model.n_embd=64")
    assert "another configuration" in said and "model.n_embd was 32 and is 64" in said
    assert "no checkpoint" in refused(tokenised, "--out", tmp_path / "none", *small_gpt, "--resume")
    broken = tmp_path / "broken"
    shutil.copytree(gpt_run, broken)
    state = broken / "checkpoints" / "step-000000030" / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    assert "step-000000030 cannot be read" in refused(tokenised, "--out", broken, *small_gpt, "--resume")
    shutil.rmtree(state.parent)
    assert train("gpt", tokenised, "--out", broken, *small_gpt, "--resume") == 0


def test_what_a_run_left_is_neither_overwritten_nor_in_the_way(
    gpt_run, tokenised, train, capsys, tmp_path, small_gpt, refused
) -> None:
    left = tmp_path / "left"
    shutil.copytree(gpt_run, left)
    with (left / "metrics.jsonl").open("a") as file:
        file.write('{"x": 1}\n{"bro}\n')
    with hold_lock(left):
        assert "another process" in refused(tokenised, "--out", left, *small_gpt, "--resume")
    assert train("gpt", tokenised, "--out", left, *small_gpt, "--resume") == 0
    assert "at step 30 already" in capsys.readouterr().err
    newest = max((left / "checkpoints").iterdir()) / "state.pt"
    torch.save({k: v for k, v in torch.load(newest, weights_only=True).items() if k != "deal"}, newest)
    assert "--resume goes on from step-000000015" in refused(tokenised, "--out", left, *small_gpt, "--resume")
    shutil.rmtree(left / "checkpoints")
    weights = (left / "model" / "model.safetensors").read_bytes()
    assert "holds what a run left" in refused(tokenised, "--out", left, *small_gpt)
    assert (left / "model" / "model.safetensors").read_bytes() == weights
    (tmp_path / "file").touch()
    assert "is a file" in refused(tokenised, "--out", tmp_path / "file" / "run", *small_gpt)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(
    tokenised, train, tmp_path, small_gpt, refused
) -> None:
    arguments = [tokenised, "--out", tmp_path / "run", *small_gpt, "--set", "train.save_every=2", "--set", "train.warmup=2"]
    said = refused(*arguments, "--set", "train.lr=1e30", "--set", "train.clip=1e30")
    assert "not finite from step 3 on" in said and "step-000000002" in said
    kept = torch.load(tmp_path / "run" / "checkpoints" / "step-000000002" / "state.pt", weights_only=True)
    assert kept["step"] == 2 and not (tmp_path / "run" / "model").exists()


def test_a_full_disk_leaves_the_last_checkpoint(tokenised, train, tmp_path, small_gpt, refused) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2300k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("needs root, to mount a small disk")
    try:
        arguments = [tokenised, "--out", disk / "run", *small_gpt, "--set", "train.keep=9", "--set", "train.save_every=5"]
        said = refused(*arguments)
        assert "could not be written" in said and "The last complete checkpoint is step-0000000" in said
        kept = sorted((disk / "run" / "checkpoints").iterdir())
        assert kept and all(torch.load(p / "state.pt", weights_only=True)["step"] for p in kept)
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert train("gpt", *arguments, "--resume") == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_checkpoint_is_not_read_into_memory_as_a_whole(tmp_path) -> None:
    """Every rank opens it; what it holds is copied weight by weight."""
    checkpoints, process = Checkpoints(tmp_path, 1), psutil.Process()
    checkpoints.save(1, {"config": {}, "model": {str(i): torch.full((1 << 20,), float(i)) for i in range(40)}})
    before = process.memory_info().rss
    state = checkpoints.load_newest({}, True)
    assert state
    assert process.memory_info().rss - before < 20e6 < 40 * 4 * (1 << 20)
    assert state["model"]["39"][-1] == 39


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("file", ["state.pt", "state.json"])
def test_a_damaged_checkpoint_is_refused(tmp_path, how, file) -> None:
    checkpoints = Checkpoints(tmp_path, 2)
    for step in (1, 2):
        checkpoints.save(step, {"config": {}, "model": {"w": torch.full((1 << 16,), float(step))}})
    damage(tmp_path / "checkpoints" / "step-000000002" / file, how)
    with pytest.raises(BuildError, match=r"step-000000002 cannot be read .*--resume goes on from step-000000001"):
        checkpoints.load_newest({}, True)
