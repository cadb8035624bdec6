"""The embedded sample of speech, built as a new user builds it: every verdict is that of the sample's truth."""

import json
from importlib.resources import files

import polars as pl
import pytest

from tests.support.builds import read_keyed_ledger, read_shards


@pytest.fixture(scope="module")
def sample(build_as_user):
    return build_as_user("speech-ja")


@pytest.fixture(scope="module")
def rows(sample):
    lines = (files("manifests") / "samples" / "speech-ja.truth.jsonl").read_text("utf-8").splitlines()
    truth = pl.DataFrame([json.loads(line) for line in lines], infer_schema_length=None).rename({"verdict": "expected"})
    ledger = read_keyed_ledger(sample.out)
    assert sorted(ledger["key"]) == sorted(truth["key"])
    return ledger.join(truth, on="key", maintain_order="left")


def test_it_says_that_this_is_the_sample(sample):
    assert sample.returncode == 0, sample.errors
    assert "sample" in sample.output.splitlines()[0] and "--input" in sample.output.splitlines()[0]
    for word in ("polishing ratio", "of the raw hours", "hours in", "top reasons", "\ncorpora/speech-ja\n"):
        assert word in sample.output
    card = (sample.out / "README.md").read_text("utf-8")
    assert "license: cc0-1.0" in card and "- automatic-speech-recognition" in card and "時間" in card


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


def test_shards(sample, rows):
    shards = read_shards(sample.out)
    assert sorted(shards["id"]) == sorted(rows.filter(verdict="kept")["id"])
    by_key = {row["id"].split("/")[-1]: row for row in shards.iter_rows(named=True)}
    assert by_key["tags"]["transcript"] == "弟は庭の柿の木に登って、実をひとつ取りました。"
    assert by_key["spelling"]["reading"] == by_key["plain-001"]["reading"]
    assert shards["sampling_rate"].unique().to_list() == [16000] and shards["reading"].null_count() == 0
