"""Files of shards: row groups, and which records are held out."""

import itertools

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.kernels import buffers
from pipeline.core import shards
from pipeline.core.shards import ShardWriter, choose_held_out, hash_strings, name_shard

TEXT_SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("text", pa.string())])
IMAGE_SCHEMA = pa.schema([pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])


def count_group_rows(path):
    metadata = pq.read_metadata(path)
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def test_held_out_depends_on_the_cluster_alone_and_grows_with_the_share():
    ids = pl.Series([f"corpus/{i:010d}" for i in range(20_000)])
    some, more = choose_held_out(ids, 0.01), choose_held_out(ids, 0.1)
    assert 150 < some.sum() < 250 and 1850 < more.sum() < 2150
    assert (more | ~some).all()
    assert (choose_held_out(ids.reverse(), 0.1)[::-1] == more).all()
    assert not choose_held_out(ids, 0).any()
    assert choose_held_out(ids, 1).all()


def test_hashes_are_those_of_earlier_versions():
    """The split of every corpus depends on them."""
    hashes = hash_strings(*buffers(pl.Series(["", "a", "精米"]))).tolist()
    assert hashes == [17665956581633026203, 198367012849983736, 11040865554838711858]


def test_names_are_those_of_hugging_face():
    assert name_shard("train", 0, 12) == "train-00000-of-00012.parquet"


def test_a_document_of_many_bytes_makes_a_row_group_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_GROUP_BYTES", 10_000)
    writer = ShardWriter(tmp_path / "x.parquet", TEXT_SCHEMA, 8, None, 3, [])
    frame = pl.DataFrame({"id": [str(i) for i in range(20)], "text": ["あ" * 1500] * 20})
    writer.write(frame.to_arrow())
    writer.close()
    assert pq.read_metadata(tmp_path / "x.parquet").num_row_groups > 5
    assert pl.read_parquet(tmp_path / "x.parquet").equals(frame)


@pytest.mark.parametrize("lengths", [[], [0], [8], [3, 5, 1], [20, 0, 20], [7, 2], [1] * 17])
def test_row_groups_do_not_depend_on_how_records_arrive(tmp_path, lengths):
    path = tmp_path / "x.parquet"
    writer = ShardWriter(path, TEXT_SCHEMA, 8, None, 3, [])
    ids = iter(range(1000))
    for length in lengths:
        writer.write(pa.table({"id": [str(next(ids)) for _ in range(length)], "text": ["文"] * length}))
    writer.close()
    total = sum(lengths)
    assert count_group_rows(path) == [8] * (total // 8) + [total % 8] * bool(total % 8)
    assert pl.read_parquet(path)["id"].to_list() == [str(i) for i in range(total)]


@pytest.mark.parametrize("piece", [1, 3, 10])
def test_weighed_row_groups_end_with_the_record_that_fills_them(tmp_path, piece):
    sizes = [400, 700, 1500, 10, 10, 990, 0, 5]
    writer = ShardWriter(tmp_path / "x.parquet", IMAGE_SCHEMA, 1000, "image.bytes", 3, [])
    images = [{"bytes": bytes(size), "path": f"{i}.jpg"} for i, size in enumerate(sizes)]
    for start in range(0, len(images), piece):
        writer.write(pa.table({"image": pa.array(images[start : start + piece], IMAGE_SCHEMA.field("image").type)}))
    writer.close()
    assert count_group_rows(tmp_path / "x.parquet") == [2, 1, 3, 2]
    column = pq.read_metadata(tmp_path / "x.parquet").row_group(0).column(0)
    assert column.path_in_schema == "image.bytes" and column.compression == "UNCOMPRESSED"
    assert pq.read_table(tmp_path / "x.parquet")["image"].to_pylist() == images


def write_text(path, frame, cuts=(), row_group=64):
    writer = ShardWriter(path, TEXT_SCHEMA, row_group, None, 3, [])
    for start, stop in itertools.pairwise([0, *cuts, len(frame)]):
        writer.write(frame[start:stop].to_arrow())
    writer.close()
    return path.read_bytes()


def random_texts(count, characters):
    drawn = np.random.default_rng(7)
    texts = ["".join(map(chr, drawn.integers(0x4E00, 0x9FA0, characters))) for _ in range(count)]
    return pl.DataFrame({"id": [f"corpus/{i:010d}" for i in range(count)], "text": texts})


def test_bytes_do_not_depend_on_how_records_arrive(tmp_path):
    frame = random_texts(300, 2000).with_columns(text=pl.when(pl.int_range(300) % 7 != 3).then("text"))
    whole = write_text(tmp_path / "a.parquet", frame, row_group=128)
    for cuts in ([1], [100, 101, 250], range(3, 300, 3)):
        assert write_text(tmp_path / "b.parquet", frame, cuts, row_group=128) == whole
    assert pl.read_parquet(tmp_path / "b.parquet").equals(frame)


def test_a_small_edit_leaves_most_pages_of_text_as_they_were(tmp_path):
    frame = random_texts(1000, 2000)
    longer = pl.when(pl.int_range(1000) == 30).then(pl.col("text") + "追加した文。").otherwise("text")

    def pages(frame):
        """What follows the head of each compressed page."""
        content = write_text(tmp_path / "x.parquet", frame, row_group=1000)
        column = pq.read_metadata(tmp_path / "x.parquet").row_group(0).column(1)
        start = column.data_page_offset
        return content[start : start + column.total_compressed_size].split(b"\x28\xb5\x2f\xfd")[1:]

    before, after = pages(frame), pages(frame.with_columns(text=longer))
    assert len(before) > 6
    assert len(set(before) & set(after)) >= len(before) - 3


def test_statistics_are_of_ids_and_numbers_alone(tmp_path):
    schema = pa.schema([*TEXT_SCHEMA, pa.field("chars", pa.int32())])
    writer = ShardWriter(tmp_path / "x.parquet", schema, 2, None, 3, [])
    writer.write(pa.table({"id": ["c/1", "c/2", "c/3"], "text": ["a", "b", "c"], "chars": pa.array([1, 1, 1], pa.int32())}))
    writer.close()
    group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
    ids, texts, chars = (group.column(i) for i in range(3))
    assert (ids.statistics.min, ids.statistics.max, chars.statistics.max) == ("c/1", "c/2", 1)
    assert texts.statistics is None
    assert ids.has_column_index and texts.has_offset_index and not texts.has_column_index


def test_a_row_group_is_no_larger_than_a_viewer_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_GROUP_BYTES", 10_000)
    frame = pl.DataFrame({"id": [""] * 7, "text": ["a" * n for n in (4000, 6000, 1, 9999, 1, 30_000, 5)]})
    write_text(tmp_path / "x.parquet", frame)
    assert count_group_rows(tmp_path / "x.parquet") == [2, 2, 1, 1, 1]
