from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.shards import choose_held_out
from pipeline.manifest.loading import load
from pipeline.modalities.text.manifest import TextManifest
from pipeline.steps.decide import decide
from pipeline.steps.write import group_partitions, join_validation, write
from pipeline.workspace import Layout, RecordIds, write_layout
from tests.support.parts import measure_documents
from tests.support.texts import make_sentences

OVERRIDES = ["shards.row_group=8", "shards.validation=0.3", "deduplicate.enabled=false", "rules.chars.at_least=60"]


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 100))
def test_groups_cover_every_partition_once_and_in_order(sizes, size):
    found = group_partitions(sizes, size)
    assert [i for g in found for i in range(g.first, g.stop)] == [*range(len(sizes))]
    assert [g.number for g in found] == [*range(len(found))]
    for group in found:
        assert sum(sizes[group.first : group.stop - 1]) < size
    for group in found[:-1]:
        assert sum(sizes[group.first : group.stop]) >= size


@dataclass
class Decided:
    """What the step `write` begins with."""

    manifest: TextManifest
    layout: Layout
    ids: RecordIds
    documents: list[str]


@pytest.fixture
def decided(tmp_path):
    """Three measured and decided partitions of 30 documents each."""
    manifest = load("cc100-ja", OVERRIDES)
    documents, parts = [], []
    for index in range(3):
        here = [make_sentences(f"{index}-{i}") if i % 5 else "短い文。" for i in range(30)]
        parts.append(measure_documents(manifest, tmp_path / "measured", index, here, 100_000 * index))
        decide(manifest, parts[index], index, tmp_path / "decided")
        documents += here
    table = write_layout(tmp_path / "layout.parquet", parts, [30, 30, 30])
    layout = Layout(table, tmp_path / "decided", tmp_path / "none", 72, manifest.deduplicate)
    return Decided(manifest, layout, RecordIds("x"), documents)


def test_shards_and_ledger(decided, tmp_path):
    cuts = group_partitions([10, 10, 10], 20)
    counts = [write(decided.manifest, decided.layout, None, group, len(cuts), decided.ids, tmp_path / "out") for group in cuts]
    names = join_validation(decided.manifest, tmp_path / "out", len(cuts))["shards"]
    assert names == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet", "validation-00000-of-00001.parquet"]
    ledger = pl.read_parquet(tmp_path / "out" / "ledger" / "*.parquet")
    assert ledger["excerpt"].to_list() == [d[:200] for d in decided.documents]
    assert ledger["verdict"].to_list() == ["dropped" if d == "短い文。" else "kept" for d in decided.documents]
    kept = ledger.filter(verdict="kept")
    assert (kept["cluster_id"] == kept["id"]).all() and (kept["cluster_size"] == 1).all()
    data = tmp_path / "out" / "data"
    train, validation = (pl.read_parquet(data / f"{split}-*.parquet") for split in ("train", "validation"))
    assert validation["id"].to_list() == kept["id"].filter(pl.Series(choose_held_out(kept["id"], 0.3))).to_list()
    assert sorted([*train["id"], *validation["id"]]) == kept["id"].to_list()
    text = dict(zip(ledger["id"], decided.documents))
    assert all(text[id_] == t for id_, t in pl.concat([train, validation]).select("id", "text").iter_rows())
    for name in names:
        meta = pq.read_metadata(data / name)
        sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
        assert sizes[:-1] == [8] * (len(sizes) - 1) and 0 < sizes[-1] <= 8
        assert meta.row_group(0).column(0).compression == "ZSTD"
    assert sum(c["verdicts"]["kept"][0] for c in counts) == len(kept)
    assert sum(c["splits"]["validation"][0] for c in counts) == len(validation)


def test_a_finished_group_is_not_written_again(decided, tmp_path):
    [group] = group_partitions([1, 1, 1], 3)
    first = write(decided.manifest, decided.layout, None, group, 1, decided.ids, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    assert write(decided.manifest, decided.layout, None, group, 1, decided.ids, tmp_path / "out") == first
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before


def test_a_failure_half_way_leaves_no_file(decided, tmp_path):

    class Failing(RecordIds):
        def __call__(self, index, records):
            if index == 2:
                raise OSError(28, "No space left on device")
            return super().__call__(index, records)

    [group] = group_partitions([1, 1, 1], 3)
    with pytest.raises(OSError, match="No space left"):
        write(decided.manifest, decided.layout, None, group, 1, Failing("x"), tmp_path / "out")
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
