"""The loop's options, and what it says of ranks and steps."""

from __future__ import annotations

import json
import shutil

import pytest


def test_options_of_the_loop(tokenised, train, losses_of, tmp_path, small_gpt) -> None:
    """The same losses where a batch comes in two halves; nearly the same in bf16."""
    dropouts = [f"model.{name}_pdrop=0.0" for name in ("resid", "embd", "attn")]
    common = [*small_gpt, *(x for name in ("train.steps=6", "train.log_every=1", *dropouts) for x in ("--set", name))]
    runs = {
        "plain": [],
        "halves": ["--set", "train.batch=2", "--set", "train.accumulate=2"],
        "bf16": ["--set", "train.precision=bf16"],
    }
    for name, more in runs.items():
        assert train("gpt", tokenised, "--out", tmp_path / name, *common, *more) == 0
    plain = losses_of(tmp_path / "plain")
    assert losses_of(tmp_path / "halves") == pytest.approx(plain, rel=1e-4)
    assert losses_of(tmp_path / "bf16") == pytest.approx(plain, rel=1e-2) and losses_of(tmp_path / "bf16") != plain


def test_a_rank_tells_torchrun_why_it_failed(tokenised, train, monkeypatch, tmp_path, small_gpt, refused) -> None:
    """As torchrun starts it; its report ends with what stands in this file."""
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("TORCHELASTIC_ERROR_FILE", tmp_path / "error.json")):
        monkeypatch.setenv(name, str(value))
    refused(tokenised, "--out", tmp_path / "run", *small_gpt, "--set", "train.stepz=3")
    message = json.loads((tmp_path / "error.json").read_text())["message"]["message"]
    assert message.startswith("UsageError: --set train.stepz=3: there is no such setting")


def test_a_step_larger_than_the_corpus_and_a_damaged_account(tokenised, train, capsys, tmp_path, small_gpt, refused) -> None:
    few = ("--set", "train.accumulate=300", "--set", "model.n_layer=1", "--set", "train.steps=1")
    assert train("gpt", tokenised, "--out", tmp_path / "run", *small_gpt, *few) == 0
    assert "a step takes 1,200 records, and there are " in " ".join(capsys.readouterr().err.split())
    shutil.copytree(tokenised / "tokens", tmp_path / "tokens")
    (tmp_path / "tokens" / "tokens.json").write_text('{"shards": [')
    said = refused(tokenised, "--tokens", tmp_path / "tokens", "--out", tmp_path / "other", *small_gpt)
    assert "tokens.json is damaged" in said
