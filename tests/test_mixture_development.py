"""The shipped mixture, of three small real corpora from the development data: shares, duplicates and what is said about them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.support.builds import read_ledger, read_shards

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"
INPUTS = {"wikipedia-ja": "wikipedia/*.parquet", "cc100-ja": "ja.txt.xz", "c4-ja": "c4/*.json.gz"}
WEIGHTS = {"wikipedia-ja": 0.1, "cc100-ja": 0.45, "c4-ja": 0.45}

pytestmark = pytest.mark.skipif(not (DATA / "ja.txt.xz").is_file(), reason="needs the development data")


@pytest.fixture(scope="module")
def mixed(build, shared_folders):
    def fill(folder):
        for name, pattern in INPUTS.items():
            done = build(name, "--input", DATA / pattern, "--limit", 600, cwd=folder)
            assert done.returncode == 0, done.stderr
        manifest = folder / "gpt-ja.toml"  # the shipped one, without the tokenizer that it trains
        shipped = (Path(__file__).resolve().parents[1] / "manifests" / "gpt-ja.toml").read_text("utf-8")
        manifest.write_text(shipped[: shipped.index("[tokenizer]")], "utf-8")
        done = build(manifest, cwd=folder)
        assert done.returncode == 0, done.stderr

    return shared_folders.make("mixture-development", fill) / "corpora" / "gpt-ja"


def test_weights_are_met(mixed):
    chars = dict(read_shards(mixed).group_by("part").agg(pl.sum("chars")).iter_rows())
    total = sum(chars.values())
    assert {name: abs(chars[name] / total - weight) < 0.001 for name, weight in WEIGHTS.items()} == dict.fromkeys(WEIGHTS, True)


def test_columns_of_the_parts_are_there(mixed):
    shards = read_shards(mixed)
    assert shards.filter(part="c4-ja").select(pl.col("url", "date").null_count()).row(0) == (0, 0)
    assert shards.filter(part="wikipedia-ja")["title"].null_count() == 0
    assert shards.filter(part="cc100-ja")["url"].null_count() == shards.filter(part="cc100-ja").height


def test_the_ledger_has_what_the_parts_kept(mixed):
    ledger = read_ledger(mixed)
    for name in INPUTS:
        kept = read_ledger(mixed.parent / name).filter(verdict="kept")["id"]
        assert ledger.filter(part=name)["id"].to_list() == kept.to_list()
    duplicates = ledger.filter(verdict="duplicate")
    survivors = ledger.select(pl.col("id").alias("duplicate_of"), pl.col("verdict").alias("of"))
    assert set(duplicates.join(survivors, on="duplicate_of")["of"]) <= {"kept", "dropped"}
