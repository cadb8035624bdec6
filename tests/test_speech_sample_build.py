"""The embedded sample of speech, built as a new user builds it: every verdict is that of the sample's truth."""

import json
import subprocess
import sys
from importlib.resources import files

import polars as pl
import pytest


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("elsewhere")
    run = subprocess.run([sys.executable, "-m", "pipeline.build", "speech-ja"], cwd=cwd, capture_output=True, text=True)
    return run, cwd / "corpora" / "speech-ja"


@pytest.fixture(scope="module")
def rows(build):
    lines = (files("manifests") / "samples" / "speech-ja.truth.jsonl").read_text("utf-8").splitlines()
    truth = pl.DataFrame([json.loads(line) for line in lines], infer_schema_length=None).rename({"verdict": "expected"})
    ledger = pl.read_parquet(build[1] / "ledger").with_columns(key=pl.col("id").str.split("/").list.last())
    assert sorted(ledger["key"]) == sorted(truth["key"])
    return ledger.join(truth, on="key", maintain_order="left")


def test_it_says_that_this_is_the_sample(build):
    run, out = build
    assert run.returncode == 0, run.stderr
    assert "sample" in run.stdout.splitlines()[0] and "--input" in run.stdout.splitlines()[0]
    for word in ("polishing ratio", "of the raw hours", "hours in", "top reasons", str(out)):
        assert word in run.stdout
    card = (out / "README.md").read_text("utf-8")
    assert "license_name: CC0-1.0" in card and "- automatic-speech-recognition" in card and "時間" in card


def test_verdicts(rows):
    decided = rows.filter(pl.col("expected").is_not_null())
    wrong = decided.filter(pl.col("verdict") != pl.col("expected"))
    assert wrong.select("key", "why", "verdict", "expected", "rule", "value", "bound").rows() == []


def test_dropped_for_the_reason_that_was_planted(rows):
    dropped = rows.filter(verdict="dropped").select("key", "why", "rule")
    assert [row for row in dropped.rows() if row[1] != row[2]] == []


def test_one_of_every_group_is_left(rows):
    for group, why in (("samples", "exact"), ("sound", "acoustic"), ("sentence", "same_sentence")):
        here = rows.filter(group=group)
        assert len(here) == 2 and (here["verdict"] == "kept").sum() == 1
        assert here.filter(pl.col("verdict") != "kept")["rule"].to_list() == [why]


def test_shards(build, rows):
    shards = pl.read_parquet(build[1] / "data" / "*.parquet")
    assert sorted(shards["id"]) == sorted(rows.filter(verdict="kept")["id"])
    by_key = {row["id"].split("/")[-1]: row for row in shards.iter_rows(named=True)}
    assert by_key["tags"]["transcript"] == "弟は庭の柿の木に登って、実をひとつ取りました。"
    assert by_key["spelling"]["reading"] == by_key["plain-001"]["reading"]
    assert shards["sampling_rate"].unique().to_list() == [16000] and shards["reading"].null_count() == 0
