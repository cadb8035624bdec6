"""The loop's options, and what it says of ranks and steps."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from trainers import gpt
from trainers.data.shards import Shards
from trainers.training.optimization import PRECISIONS


def read_lines(out: Path, split: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [line for line in lines if line["split"] == split]


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


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_evaluation_computes_as_training_does(tokenised, train, monkeypatch, tmp_path, small_gpt, precision: str) -> None:
    evaluate, seen = gpt.evaluate_tokens, list[Any]()

    def watched(*arguments: Any) -> dict[str, float]:
        seen.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32)
        return evaluate(*arguments)

    monkeypatch.setattr(gpt, "evaluate_tokens", watched)
    options = ["--set", "train.steps=1", "--set", f"train.precision={precision}"]
    assert train("gpt", tokenised, "--out", tmp_path / "run", *small_gpt, *options) == 0
    assert seen == [PRECISIONS[precision] or torch.float32]
    assert ("overflows" in read_lines(tmp_path / "run", "train")[0]) == (precision == "fp16")


def test_a_loss_beyond_fp16_is_skipped_as_its_gradient_is_and_ends_no_run(
    tokenised, train, monkeypatch, tmp_path, small_gpt
) -> None:
    forward, calls = gpt.PackedLanguageModel.forward, list[int]()

    def overflowing(self: Any, *arguments: Any, **inputs: Any) -> Any:
        loss, found = forward(self, *arguments, **inputs)
        calls.append(1)
        return (loss * math.inf if self.training and len(calls) == 3 else loss), found

    monkeypatch.setattr(gpt.PackedLanguageModel, "forward", overflowing)
    options = ["--set", "train.steps=8", "--set", "train.log_every=2", "--set", "train.precision=fp16"]
    assert train("gpt", tokenised, "--out", tmp_path / "run", *small_gpt, *options) == 0
    lines = read_lines(tmp_path / "run", "train")
    assert [line["overflows"] for line in lines] == [0, 1, 0, 0]
    assert all(0 < line["loss"] < 20 for line in lines)


def test_lines_are_means_since_the_last_one(tokenised, train, losses_of, tmp_path, small_gpt) -> None:
    steps = ["--set", "train.steps=12", "--set", "train.save_every=7"]
    for every in (1, 5):
        assert (
            train("gpt", tokenised, "--out", tmp_path / str(every), *small_gpt, *steps, "--set", f"train.log_every={every}")
            == 0
        )
    single, means = losses_of(tmp_path / "1"), losses_of(tmp_path / "5")
    spans = {5: (1, 5), 7: (6, 7), 10: (8, 10), 12: (11, 12)}  # a checkpoint has a line, too
    expected = {
        end: sum(single[step] for step in range(first, end + 1)) / (end + 1 - first) for end, (first, _) in spans.items()
    }
    assert means == pytest.approx(expected, rel=1e-6)
    norms = {line["step"]: line["gradient_norm"] for line in read_lines(tmp_path / "1", "train")}
    assert read_lines(tmp_path / "5", "train")[0]["gradient_norm"] == pytest.approx(sum(norms[i] for i in range(1, 6)) / 5)


def test_a_finished_run_goes_on_without_a_jump_of_the_rate(tokenised, train, capsys, tmp_path, small_gpt) -> None:
    arguments = [tokenised, "--out", tmp_path / "run", *small_gpt, "--set", "train.log_every=1"]
    assert train("gpt", *arguments, "--set", "train.steps=15") == 0
    assert "learning rate" not in capsys.readouterr().err
    assert train("gpt", *arguments, "--set", "train.steps=40", "--resume") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "warning: train.steps is another than before: at step 15 the learning rate was 0, and with 40 steps it would be" in said
    )
    rates = [line["lr"] for line in read_lines(tmp_path / "run", "train")]
    assert len(rates) == 40 and max(abs(one - other) for one, other in zip(rates, rates[1:])) <= 3e-3 / 5 * 1.01


def test_layers_that_are_computed_again_give_the_same_losses(tokenised, train, losses_of, tmp_path, small_gpt) -> None:
    """Dropout is drawn as it was the first time."""
    common = [
        *small_gpt,
        *(x for name in ("train.steps=4", "train.log_every=1", "model.resid_pdrop=0.1") for x in ("--set", name)),
    ]
    for name, again in (("kept", "false"), ("again", "true")):
        assert train("gpt", tokenised, "--out", tmp_path / name, *common, "--set", f"train.gradient_checkpointing={again}") == 0
    assert losses_of(tmp_path / "again") == losses_of(tmp_path / "kept")


def test_a_run_says_what_it_needs_before_it_begins(tokenised, train, capsys, tmp_path, small_gpt) -> None:
    total = Shards(tokenised / "tokens", "train", ["input_ids"], "").total
    assert train("gpt", tokenised, "--out", tmp_path / "run", *small_gpt, "--set", "train.steps=3") == 0
    said = capsys.readouterr().err
    assert said.index("parameters  ") < said.index("memory      ") < said.index("batch       ") < said.index("train      step")
    assert "4 records a step (4 × 1 accumulated × 1 ranks), 128 tokens" in said
    assert f"3 steps, 384 tokens, {12 / total:.2f} epochs of {total:,} records" in said


def test_a_rank_tells_torchrun_why_it_failed(tokenised, train, monkeypatch, tmp_path, small_gpt, refused) -> None:
    """As torchrun starts it; its report ends with what stands in this file."""
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("TORCHELASTIC_ERROR_FILE", tmp_path / "error.json")):
        monkeypatch.setenv(name, str(value))
    refused(tokenised, "--out", tmp_path / "run", *small_gpt, "--set", "train.stepz=3")
    message = json.loads((tmp_path / "error.json").read_text())["message"]["message"]
    assert message.startswith("UsageError: --set train.stepz=3: there is no such setting")


def test_a_step_larger_than_the_corpus_and_a_damaged_account(tokenised, train, capsys, tmp_path, small_gpt, refused) -> None:
    few = ("--set", "train.batch=600", "--set", "train.accumulate=2", "--set", "train.steps=1")
    assert train("gpt", tokenised, "--out", tmp_path / "run", *small_gpt, *few) == 0
    assert "a step takes 1,200 records, and there are " in " ".join(capsys.readouterr().err.split())
    shutil.copytree(tokenised / "tokens", tmp_path / "tokens")
    (tmp_path / "tokens" / "tokens.json").write_text('{"shards": [')
    said = refused(tokenised, "--tokens", tmp_path / "tokens", "--out", tmp_path / "other", *small_gpt)
    assert "tokens.json is damaged" in said
