"""The embedded sample, built as a new user builds it: every planted defect comes out as the sample's truth says."""

import json
from importlib.resources import files

import polars as pl
import pytest

from tests.support.builds import read_ledger, read_shards


@pytest.fixture(scope="module")
def sample(build_as_user):
    return build_as_user("cc100-ja")


@pytest.fixture(scope="module")
def rows(sample):
    lines = (files("manifests") / "samples" / "cc100-ja.truth.jsonl").read_text("utf-8").splitlines()
    truth = pl.DataFrame([json.loads(line) for line in lines], infer_schema_length=None).rename({"rule": "expected_rule"})
    ledger = read_ledger(sample.out).with_columns(offset=pl.col("id").str.split("/").list.last().cast(pl.Int64))
    assert ledger["offset"].to_list() == truth["offset"].to_list()
    return ledger.join(truth, on="offset", maintain_order="left")


def test_it_says_that_this_is_the_sample_and_how_to_get_the_real_thing(sample):
    assert sample.returncode == 0, sample.errors
    first = sample.output.splitlines()[0]
    assert "embedded sample" in first and "--input" in first and "--download" in first and "https://" in sample.output
    assert sample.output.count("embedded sample") == 1
    for word in ("polishing ratio", "peak memory", "records in", "top reasons", "scan_parquet", "\ncorpora/cc100-ja\n"):
        assert word in sample.output
    assert "embedded sample" in (sample.out / "README.md").read_text("utf-8")


def test_verdicts(rows):
    expected = rows.filter(pl.col("expect").is_not_null())
    assert expected.filter(pl.col("verdict") != pl.col("expect")).select("id", "kind", "verdict", "expect", "rule").rows() == []
    ruled = rows.filter((pl.col("expect") == "dropped") & pl.col("expected_rule").is_not_null())
    assert ruled.filter(pl.col("rule") != pl.col("expected_rule")).select("id", "rule", "expected_rule").rows() == []
    assert set(ruled["rule"]) >= set(rows.filter(verdict="dropped")["rule"])


def test_one_of_every_planted_cluster_is_kept_and_the_rest_name_it(rows):
    planted = rows.filter(pl.col("cluster").is_not_null())
    for _, cluster in planted.group_by("cluster"):
        kept = cluster.filter(verdict="kept")
        assert kept.height == 1 and cluster.filter(verdict="duplicate").height == cluster.height - 1
        assert set(cluster.filter(verdict="duplicate")["duplicate_of"]) == set(kept["id"])
        assert cluster["cluster_size"].unique().to_list() == [cluster.height]


def test_values_and_bounds_say_why(rows):
    dropped = rows.filter(verdict="dropped")
    assert dropped.select(pl.col("step", "rule", "bound_text", "excerpt").is_null().any()).row(0) == (False,) * 4
    assert (dropped["value"].is_null() ^ dropped["value_text"].is_null()).all()
    sign, limit = dropped["bound_text"].str.head(3), pl.col("bound_text").str.slice(3).cast(pl.Float64)
    for side, is_beyond in (("<= ", pl.col("value") > pl.col("bound")), (">= ", pl.col("value") < pl.col("bound"))):
        broken = dropped.filter(sign == side)
        assert broken.select(is_beyond & (pl.col("bound") == limit)).to_series().all() and broken.height > 15, side
    words = dropped.filter(pl.col("value").is_null())
    assert set(words["rule"]) == {"language"} and set(words["bound_text"]) == {"one of ja"} and words["bound"].is_null().all()
    unreadable = rows.filter(verdict="unreadable")
    assert unreadable["value_text"].str.contains("invalid UTF-8").all() and unreadable.height == 4


def test_traps_leave_no_trace_in_the_text(sample):
    text = "\n".join(read_shards(sample.out)["text"])
    assert not set(text) & {chr(c) for c in range(32) if chr(c) not in "\n\t"}
    assert not set(text) & set("\u2028\u0085\u200b\ufeff\r")
    # A short line with a phrase of the list is boilerplate; a long one that mentions it is prose, and stays.
    mentions = [line for line in text.split("\n") if "JavaScriptを有効" in line]
    assert mentions and all(len(line) > 60 for line in mentions)
