"""Mixtures by tokens: the tokenizer that counts is trained on the parts, or named; the mixture is encoded with it, and a GPT reads that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.core.ownership import STATE_FOLDER
from pipeline.verify import verify
from pipeline.workspace import is_step_file
from tests.pipeline.mixture.conftest import Mixed, Parts
from tests.support import run_trainers
from tests.support.builds import hash_outputs, list_times
from tests.support.damage import damage

SETTINGS = "[tokenizer]\nvocab_size = 640\nsequence_length = 64\n[shards]\nvalidation = 0.1"
WEIGHTS = "gamma weight = 0.2; epochs = 3\nbeta weight = 0.3\nalpha weight = 0.5"


def settings_of(mixed: Mixed, more: str = "") -> str:
    return f'[tokenizer]\npath = "{mixed.out}/tokenizer"\nsequence_length = 64\n[shards]\nvalidation = 0.1\n{more}'


@pytest.fixture(scope="module")
def trained(mix: Callable[..., Mixed], parts: Parts) -> Mixed:
    return mix(parts.mixture(WEIGHTS, SETTINGS, "trained"))


def test_weights_are_met_by_tokens(trained: Mixed) -> None:
    ledger = trained.ledger.with_columns(all_tokens=pl.col("tokens").cast(pl.Int64) * pl.col("epochs"))
    tokens = dict(ledger.filter(verdict="kept").group_by("part").agg(pl.sum("all_tokens")).iter_rows())
    total = sum(tokens.values())
    for name, weight in (("gamma", 0.2), ("beta", 0.3), ("alpha", 0.5)):
        assert abs(tokens[name] / total - weight) < 0.001
    encoded = json.loads((trained.out / "tokens" / "tokens.json").read_text("utf-8"))["splits"]
    assert sum(split["tokens"] for split in encoded.values()) == total
    record = json.loads((trained.out / "tokenizer" / "training.json").read_text("utf-8"))
    assert [(c["name"], c["weight"]) for c in record["sample"]["corpora"]] == [("gamma", 0.2), ("beta", 0.3), ("alpha", 0.5)]
    assert "tokenizer     unigram, 640 pieces" in trained.stdout and "## Tokenizer" in trained.card


def test_the_tokenizer_s_text_is_drawn_by_the_weights(trained: Mixed, parts: Parts) -> None:
    """However much more one part has than another: the memory would take all text of all."""
    record = json.loads((trained.out / "tokenizer" / "training.json").read_text("utf-8"))
    drawn = {corpus["name"]: corpus["drawn"] / record["sample"]["bytes"] for corpus in record["sample"]["corpora"]}
    assert drawn == {name: pytest.approx(weight, abs=0.07) for name, weight in (("gamma", 0.2), ("beta", 0.3), ("alpha", 0.5))}
    shares = ", ".join(f"{name} {share:.1%}" for name, share in drawn.items())
    assert f" of text ({shares});" in trained.card and f"of text: {shares}" in trained.stdout
    assert "のテキストから学習したトークナイザ" in trained.card
    # Its figures are of the held-out text of every part.
    held_out = [pl.read_parquet(parts.folder / name / "data" / "validation-*.parquet") for name in ("gamma", "beta", "alpha")]
    assert record["figures"]["texts"] == sum(map(len, held_out))
    assert "On the parts' held-out text" in trained.card and "各部分の検証用テキストで" in trained.card


def test_a_tokenizer_that_is_named(trained: Mixed, mix: Callable[..., Mixed], parts: Parts, build: Callable[..., Any]) -> None:
    manifest = parts.mixture("alpha tokens = 20_000\nbeta tokens = 9_000", settings_of(trained), "named")
    mixed = mix(manifest)
    ledger = mixed.ledger.filter(verdict="kept")
    for name, budget in (("alpha", 20_000), ("beta", 9_000)):
        assert abs(ledger.filter(part=name)["tokens"].sum() - budget) <= 0.001 * budget
    assert (mixed.out / "tokenizer" / "tokenizer.model").read_bytes() == (
        trained.out / "tokenizer" / "tokenizer.model"
    ).read_bytes()
    before = list_times(mixed.out)
    assert "up to date" in build(manifest, "--out", mixed.out).stdout and list_times(mixed.out) == before
    # What is lost of the last step is made again, and no more.
    shutil.rmtree(mixed.out / "tokenizer")
    data = hash_outputs(mixed.out), list_times(mixed.out / "data")
    done = build(manifest, "--out", mixed.out)
    assert done.returncode == 0 and "count tokens" not in done.stdout, done.stderr
    assert (hash_outputs(mixed.out), list_times(mixed.out / "data")) == data
    (mixed.out / STATE_FOLDER / "tokenizer.json").unlink()  # as if somebody had put it there by hand
    done = build(manifest, "--out", mixed.out)
    assert done.returncode == 0 and "tokenizer was not put there by this build: a copy of it is kept" in done.stderr.replace(
        "\n", " "
    )
    assert {path.name for path in (mixed.out / "tokenizer.kept").iterdir()} >= {"tokenizer.model", "training.json"}
    lock = (mixed.out / "manifest.lock.toml").read_text("utf-8")
    assert "vocab_size" not in lock and 'path = "tokenizer"' in lock  # without what leads there


def test_budgets_in_characters_with_a_tokenizer(
    trained: Mixed, mix: Callable[..., Mixed], parts: Parts, tmp_path: Path
) -> None:
    """Of which there are no figures, and that lies among a user's files: all that is put beside the shards is listed."""
    shutil.copytree(trained.out / "tokenizer", tmp_path / "tokenizer")
    (tmp_path / "tokenizer" / "training.json").unlink()
    (tmp_path / "tokenizer" / "notes.md").write_text("notes", "utf-8")
    settings = settings_of(trained).replace(f"{trained.out}/tokenizer", f"{tmp_path}/tokenizer")
    mixed = mix(parts.mixture("alpha chars = 20_000", settings, "chars"))
    entries, differences = verify(mixed.out)
    assert differences == [] and {"tokenizer/notes.md", "tokenizer/tokenizer.json"} <= {entry["path"] for entry in entries}
    assert abs(mixed.shards["chars"].sum() - 20_000) <= 20
    assert "in characters" in mixed.card and mixed.ledger.filter(verdict="kept")["tokens"].min() > 0


def test_a_tokenizer_that_is_damaged_among_intermediates_is_trained_anew(
    trained: Mixed, parts: Parts, build: Callable[..., Any], tmp_path: Path
) -> None:
    assert verify(trained.out)[1] == []
    shutil.copytree(trained.out, tmp_path / "out", symlinks=True)
    (work,) = (tmp_path / "out" / STATE_FOLDER / "work").glob("tokenizer-*")
    assert all(is_step_file(path.name) for path in work.iterdir())
    assert damage(work / "tokenizer.json", "flipped bit")
    shutil.rmtree(tmp_path / "out" / "tokenizer")
    done = build(parts.mixture(WEIGHTS, SETTINGS, "trained"), "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for name in ("tokenizer.json", "tokenizer.model"):
        assert (tmp_path / "out" / "tokenizer" / name).read_bytes() == (trained.out / "tokenizer" / name).read_bytes()
    assert verify(tmp_path / "out")[1] == []


@pytest.mark.train
def test_a_tiny_gpt_trains_on_it(trained: Mixed, tmp_path: Path) -> None:
    """By the command that the build prints, for a few steps."""
    assert f"python -m trainers.gpt {trained.out}" in trained.stdout
    shorter = [
        word
        for setting in ("steps=2", "evaluate_every=2", "save_every=2", "log_every=1")
        for word in ("--set", f"train.{setting}")
    ]
    arguments = [str(trained.out), "--config", "tiny", "--out", str(tmp_path / "run"), *shorter]
    assert run_trainers.run({"trainer": "gpt", "arguments": arguments}) == 0
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert any("loss" in key for line in metrics for key in line) and (tmp_path / "run" / "model").is_dir()
