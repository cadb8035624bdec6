"""The embedded sample of pairs, built as a new user builds it: every verdict is that of the sample's truth."""

import json
from importlib.resources import files

import polars as pl
import pytest

from tests.support.builds import read_keyed_ledger, read_shards


@pytest.fixture(scope="module")
def sample(build_as_user):
    return build_as_user("image-text-ja")


@pytest.fixture(scope="module")
def rows(sample):
    lines = (files("manifests") / "samples" / "image-text-ja.truth.jsonl").read_text("utf-8").splitlines()
    truth = pl.DataFrame([json.loads(line) for line in lines], infer_schema_length=None).rename({"verdict": "expected"})
    ledger = read_keyed_ledger(sample.out)
    assert ledger["key"].to_list() == truth["key"].to_list()
    return ledger.join(truth, on="key", maintain_order="left")


def test_it_says_that_this_is_the_sample(sample):
    assert sample.returncode == 0, sample.errors
    assert "sample" in sample.output.splitlines()[0] and "--input" in sample.output.splitlines()[0]
    for word in ("polishing ratio", "image bytes in", "top reasons", "\ncorpora/image-text-ja\n"):
        assert word in sample.output
    card = (sample.out / "README.md").read_text("utf-8")
    assert "embedded sample" in card and "license: cc0-1.0" in card and "of the raw pairs are left" in card


def test_verdicts(rows):
    assert (
        rows.filter(pl.col("verdict") != pl.col("expected"))
        .select("key", "why", "verdict", "expected", "rule", "value", "value_text")
        .rows()
        == []
    )


def test_duplicates_name_the_survivor_that_was_planted(rows):
    duplicates = rows.filter(verdict="duplicate")
    assert duplicates["duplicate_of"].str.split("/").list.last().to_list() == duplicates["survivor"].to_list()
    exact = duplicates["why"].str.starts_with("exact")
    assert (duplicates["rule"] == "exact").to_list() == exact.to_list()


def test_dropped_for_the_reason_that_was_planted(rows):
    rules = {
        "navigation": {"navigation_share"}, "placeholder": {"navigation_share"}, "empty": {"chars"},
        "chinese": {"caption_language"}, "english": {"caption_language"}, "korean": {"caption_language"},
        "file_name": {"label_share", "caption_language", "navigation_share"}, "icon": {"shorter_side", "longer_side"},
        "banner": {"aspect_ratio"}, "blank": {"blank_share", "colours"},
    }  # fmt: skip
    for why, rule in rows.filter(verdict="dropped").select("why", "rule").iter_rows():
        assert why not in rules or rule in rules[why], why


def test_shards(sample, rows):
    shards = read_shards(sample.out)
    assert sorted(shards["id"]) == sorted(rows.filter(verdict="kept")["id"])
    gathered = shards.filter(pl.col("captions").list.len() > 1)
    assert len(gathered) > 5 and (gathered["caption"] == gathered["captions"].list.first()).all()
    assert shards["caption"].value_counts().filter(pl.col("count") > 1).height >= 2
