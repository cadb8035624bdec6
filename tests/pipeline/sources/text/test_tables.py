"""Documents in Parquet and Arrow: ranges of rows, columns, values that do not fit, damage, and files over HTTP."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
import os
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import BuildError, UsageError
from pipeline.sources.base import Fields
from pipeline.sources.formats import table_files
from pipeline.sources.formats.columns import MISFIT
from pipeline.sources.formats.json_columns import parse_lines
from pipeline.sources.formats.table_files import Group
from pipeline.sources.inputs import describe_file
from pipeline.sources.text import tables
from pipeline.sources.text.any_text import AnyTextSource
from pipeline.sources.text.arrow import ArrowSource
from pipeline.sources.text.conversions import convert_column
from pipeline.sources.text.dividers import LINES, find_documents
from pipeline.sources.text.parquet import ParquetSource
from pipeline.sources.text.sniffing import sniff_format
from pipeline.sources.text.tables import cut_rows
from tests.pipeline.sources.text.helpers import check_resuming, read_all
from tests.support.server import serve

TEXTS = [f"文書{i}。\n" + "あいうえお" * (i % 7) for i in range(50)]


def write_parquet(path, table, rows=10, **options):
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, row_group_size=rows, **options)
    return describe_file(str(path))


def write_arrow(path, table, rows=10, new=pa.ipc.new_stream, **options):
    table = table if isinstance(table, pa.Table) else pa.table(table)
    with pa.OSFile(str(path), "wb") as out, new(out, table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return describe_file(str(path))


def write_arrow_file(path, table, rows=10):
    return write_arrow(path, table, rows, pa.ipc.new_file, options=pa.ipc.IpcWriteOptions(compression="zstd"))


FORMATS = [(ParquetSource(), write_parquet), (ArrowSource(), write_arrow), (ArrowSource(), write_arrow_file)]
formats = pytest.mark.parametrize(("source", "write"), FORMATS, ids=["parquet", "stream", "file"])


@formats
@pytest.mark.parametrize("partition", [1, 300, 32_000_000])
def test_rows_in_order_with_their_numbers(tmp_path, source, write, partition):
    file = write(tmp_path / "a", {"id": [*range(50)], "text": TEXTS, "url": [f"https://a.b/{i}" for i in range(50)]})
    read = read_all(source, file, partition=partition)
    assert read.texts() == TEXTS
    assert [row["locator"] for row in read.rows] == [*range(50)]
    assert read.rows[7]["url"] == "https://a.b/7" and read.problems() == {}
    assert [piece.records for piece in read.ranges] == [len(rows) for rows in read.rows_by_range]
    assert (len(read.ranges) == 1) == (partition > 300)
    assert read.state.checksum == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()
    check_resuming(source, file, read, partition=partition)


@formats
def test_a_limit_reads_the_first_rows(tmp_path, source, write):
    read = read_all(source, write(tmp_path / "a", {"text": TEXTS}), partition=1, limit=23)
    assert read.texts() == TEXTS[:23] and read.state.checksum is None


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
@formats
def test_every_type_of_text(tmp_path, source, write, kind):
    texts = ["あ", None, "", "い"] * 5
    array = pa.array(texts).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(texts).cast(kind)
    read = read_all(source, write(tmp_path / "a", {"text": array, "title": array}))
    assert read.texts() == [text or "" for text in texts]
    assert read.problems() == dict.fromkeys(range(1, 20, 4), "no text: 'text' is null")
    assert [row["title"] for row in read.rows] == texts


@formats
def test_a_list_where_text_is_expected_names_columns_and_types(tmp_path, source, write):
    read = read_all(source, write(tmp_path / "a", {"text": [["a"]], "n": [1]}))
    assert not read.ranges
    assert (
        "'text' (list<" in read.state.damage
        and "'n' (int64)" in read.state.damage
        and "source.columns.text=NAME" in read.state.damage
    )


@formats
def test_a_table_without_the_named_column_names_those_that_are_there(tmp_path, source, write):
    read = read_all(source, write(tmp_path / "a", {"body": ["a"], "n": [1]}), Fields({"text": "main"}))
    assert (
        "has no column 'main', which source.columns.text names. Its columns: 'body' (string), 'n' (int64)" in read.state.damage
    )


@formats
def test_a_mapped_column_must_be_text(tmp_path, source, write):
    read = read_all(source, write(tmp_path / "a", {"body": ["a"], "n": [1]}), Fields({"text": "n"}))
    assert "has int64 in 'n', which source.columns.text names" in read.state.damage


@formats
def test_columns_are_mapped_and_kept_with_their_types(tmp_path, source, write):
    table = {
        "body": ["a", "b", "c"],
        "score": ["0.5", "many", None],
        "n": [1.0, float("nan"), 1.5],
        "when": [datetime.datetime(2024, 2, 29, 12, 30), None, datetime.datetime(2024, 3, 1)],
        "tags": [["x"], [], None],
    }
    keep = {"score": pl.Float64(), "n": pl.Int64(), "tags": pl.String(), "absent": pl.Boolean(), "date": pl.String()}
    read = read_all(source, write(tmp_path / "a", table), Fields({"date": "when"}, keep))
    assert [row["score"] for row in read.rows] == [0.5, None, None] and [row["n"] for row in read.rows] == [1, None, None]
    assert read.rows[0]["date"].startswith("2024-02-29T12:30:00") and read.rows[1]["date"] is None
    assert [row["tags"] for row in read.rows] == ['["x"]', "[]", None] and "absent" not in read.rows[0]
    assert not read.problems()
    assert [(row[f"{MISFIT}score"], row[f"{MISFIT}n"]) for row in read.rows] == [(None, None), ("many", None), (None, "1.5")]


@formats
def test_bytes_that_are_not_utf8_cost_one_value(tmp_path, source, write):
    raw = pa.array([b"abc", b"\xff\xfe", "あ".encode()] * 4, pa.binary())
    strings = pa.StringArray.from_buffers(12, raw.buffers()[1], raw.buffers()[2])
    read = read_all(source, write(tmp_path / "a", {"text": strings, "title": strings}), partition=1)
    assert read.texts() == ["abc", "\ufffd\ufffd", "あ"] * 4  # whose bytes measuring refuses
    assert [row["title"] for row in read.rows] == ["abc", None, "あ"] * 4
    assert [row.get(f"{MISFIT}title") for row in read.rows] == [None, "\ufffd\ufffd", None] * 4 and not read.problems()


@formats
@pytest.mark.parametrize("kept", [0, 3, 100, -5, -400])
def test_a_truncated_file_is_told(tmp_path, source, write, kept):
    write(tmp_path / "a", {"text": TEXTS})
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes()[:kept])
    read = read_all(source, describe_file(str(tmp_path / "b")))
    assert read.state.damage is None or str(tmp_path / "b") in read.state.damage
    assert read.texts() == TEXTS[: len(read.rows)]
    assert read.state.damage or len(read.rows) == 50  # a stream may lack nothing but its end


def test_a_damaged_page_costs_the_rows_around_it(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "_FEWEST", 10)
    file = write_parquet(tmp_path / "a", {"text": TEXTS}, compression="zstd", use_dictionary=False)
    start = pq.read_metadata(tmp_path / "a").row_group(2).column(0).data_page_offset
    raw = bytearray((tmp_path / "a").read_bytes())
    raw[start + 40 : start + 60] = b"\xff" * 20
    (tmp_path / "a").write_bytes(raw)
    read = read_all(ParquetSource(), file)
    assert set(range(20, 30)) <= set(read.problems()) and len(read.problems()) < 40
    assert all("the Parquet file is damaged in rows" in problem for problem in read.problems().values())
    assert len(read.rows) == 50
    assert [row["text"] for row in read.rows if not row["problem"]] == [TEXTS[i] for i in range(50) if i not in read.problems()]


@formats
def test_what_is_no_table_is_told(tmp_path, source, write):
    (tmp_path / "a").write_bytes(b"PAR1 ARROW1 neither" * 100)
    assert f"is not a whole {source.label} file" in read_all(source, describe_file(str(tmp_path / "a"))).state.damage


@formats
def test_a_file_that_changes_during_a_build_is_told(tmp_path, source, write):
    file = write(tmp_path / "a", {"text": TEXTS})
    tables.open_table.cache_clear()
    with pytest.raises(BuildError, match="has changed since the build began"):
        read_all(source, replace(file, size=file.size + 1))


@formats
def test_a_text_that_is_too_large_is_not_read(tmp_path, source, write):
    read = read_all(source, write(tmp_path / "a", {"text": ["a", "あ" * 2000, "b"]}), Fields(max_document=500))
    assert read.problems() == {1: "document of 6000 bytes, over source.max_document = 500"}
    assert read.texts()[::2] == ["a", "b"] and read.texts()[1].startswith("あ" * 1300)  # for the ledger's excerpt


@formats
def test_no_rows(tmp_path, source, write):
    read = read_all(source, write(tmp_path / "a", {"text": pa.array([], pa.string())}))
    assert not read.ranges and read.state.damage is None


@given(
    groups=st.lists(st.builds(Group, st.integers(0, 300_000), st.integers(0, 1000)), max_size=8), partition=st.integers(1, 500)
)
def test_ranges_cover_all_rows_once(groups, partition):
    ranges = [*cut_rows(groups, partition, 2 * partition)]
    reached = 0
    for start, end, _ in ranges:
        assert start == reached and 0 < end - start <= tables.MOST_ROWS
        reached = end
    assert reached == sum(group.rows for group in groups)


@pytest.mark.parametrize("partition", [200, 32_000_000])
def test_a_large_row_group_is_divided(tmp_path, partition):
    file = write_parquet(tmp_path / "a", {"text": TEXTS}, rows=50)
    read = read_all(ParquetSource(), file, partition=partition)
    assert read.texts() == TEXTS and (len(read.ranges) > 1) == (partition == 200)


@pytest.mark.parametrize(("source", "write"), [FORMATS[0], FORMATS[2]], ids=["parquet", "file"])
def test_a_remote_file_is_read_in_parts(tmp_path, source, write):
    filler = [os.urandom(3000) for _ in range(50)]
    local = write(tmp_path / "a", {"text": TEXTS, "unread": filler})
    with serve() as server:
        server.files["a"] = (tmp_path / "a").read_bytes()
        file = describe_file(f"{server.url}/a")
        read = read_all(source, file, partition=700)
        expected = read_all(source, local)
        assert read.rows == expected.rows and read.state.checksum is None
        if source.name == "parquet":
            assert len(read.ranges) > 1 and all(request.first for request in server.requests if request.method == "GET")


def test_a_connection_that_drops_is_taken_up_again(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files.time, "sleep", lambda _: None)
    write_parquet(tmp_path / "a", {"text": TEXTS})
    with serve() as server:
        server.files["a"] = (tmp_path / "a").read_bytes()
        file = describe_file(f"{server.url}/a")
        server.drops = [5, 5, 5]
        assert read_all(ParquetSource(), file).texts() == TEXTS


def test_a_remote_stream_is_refused_with_a_way_out(tmp_path):
    write_arrow(tmp_path / "a", {"text": TEXTS})
    with serve() as server:
        server.files["a"] = (tmp_path / "a").read_bytes()
        assert "download it" in read_all(ArrowSource(), describe_file(f"{server.url}/a")).state.damage


@pytest.mark.parametrize(("source", "write"), [FORMATS[0], FORMATS[2]], ids=["parquet", "file"])
@pytest.mark.parametrize("says_so", [True, False])
def test_a_server_without_ranges_is_told_at_once(tmp_path, source, write, says_so):
    write(tmp_path / "a", {"text": [os.urandom(2000).hex() for _ in range(500)]})
    with serve() as server:
        server.files["a"], server.ranges, server.says_so = (tmp_path / "a").read_bytes(), False, says_so
        with pytest.raises(BuildError, match="does not serve ranges.* download the file first"):
            read_all(source, describe_file(f"{server.url}/a"))
        assert len(server.requests) < 5


@formats
def test_a_value_that_would_change_is_a_misfit(tmp_path, source, write):
    table = {
        "text": ["a"] * 3,
        "price": pa.array([decimal.Decimal("1.9"), decimal.Decimal("2.0"), None]),
        "flag": [1, 0, 2],
        "label": pa.array(["7", "8", "9"]).dictionary_encode(),
    }
    keep = {"price": pl.Int64(), "flag": pl.Boolean(), "label": pl.Int64()}
    read = read_all(source, write(tmp_path / "a", table), Fields({}, keep))
    assert [tuple(row[name] for name in keep) for row in read.rows] == [(None, True, 7), (2, False, 8), (None, None, 9)]
    assert not read.problems()
    assert [(row[f"{MISFIT}price"], row[f"{MISFIT}flag"]) for row in read.rows] == [("1.9", None), (None, None), (None, "2")]


ODD = {
    "span": pa.array([1, 2], pa.duration("s")),
    "list": pa.array([["a"], None]),
    "bytes": pa.array([b"\xff", b"ok"]),
    "struct": pa.array([{"a": "\u3042", "b": [1.5]}, None]),
    "time": pa.array([1, 2], pa.time64("us")),
    "raw": pa.array([[b"a"], None]),
    "zone": pa.array([1, 2], pa.timestamp("us", "Mars/X")),
}


@formats
@pytest.mark.parametrize("odd", ODD)
def test_metadata_of_an_odd_type_is_not_used(tmp_path, source, write, odd):
    fields = Fields({}, dict.fromkeys(("url", "title", "date"), pl.String()))
    file = write(tmp_path / "a", {"text": ["a", "b"], "title": ODD[odd], "date": ODD[odd], "source": ODD[odd]})
    source.check_fields([file], fields)
    read = read_all(source, file, fields)
    assert read.texts() == ["a", "b"] and not read.problems()
    assert bool(read.rows[0].get("title")) == (odd == "time")


@formats
@pytest.mark.parametrize(
    ("column", "kind"), [("span", pl.String()), ("time", pl.Int64()), ("time", pl.Boolean()), ("list", pl.Int64()), ("raw", pl.String())]
)  # fmt: skip
def test_a_column_that_cannot_be_kept_is_refused(tmp_path, source, write, column, kind):
    file = write(tmp_path / "a", {"text": ["a", "b"], column: ODD[column]})
    for one in (source, AnyTextSource({source.name: source})):
        with pytest.raises(UsageError, match=f"/a has .* in '{column}', which source.keep names: it cannot be kept as {kind}"):
            one.check_fields([file], Fields({}, {column: kind}))


@formats
@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us")])
def test_a_date_beyond_the_calendar_is_null_and_shown(tmp_path, source, write, kind):
    numbers = pa.array([1, 2**31 - 1 if kind == pa.date32() else 2**62], pa.int32() if kind == pa.date32() else pa.int64())
    if source.name == "parquet" and kind == pa.timestamp("s"):
        return  # which Parquet does not have
    read = read_all(source, write(tmp_path / "a", {"text": ["a", "b"], "date": numbers.view(kind)}))
    first, second = read.rows
    assert first["date"].startswith("1970-01-0") and second["date"] is None and not read.problems()
    assert first[f"{MISFIT}date"] is None and second[f"{MISFIT}date"].isdigit()


@formats
def test_a_kept_column_that_no_file_has_is_refused(tmp_path, source, write):
    files = [write(tmp_path / "a", {"text": ["a"], "score": [1.0]}), write(tmp_path / "b", {"text": ["a"], "other": [1.0]})]
    one = AnyTextSource({source.name: source})
    one.check_fields(files, Fields({}, {"other": pl.Float64(), "date": pl.String()}))
    with pytest.raises(
        UsageError, match="no column 'scroe', which source.keep names; did you mean 'score'.* Its columns: 'text'"
    ):
        one.check_fields(files, Fields({}, {"scroe": pl.Float64(), "date": pl.String()}))


@formats
def test_two_columns_of_text_of_one_name_are_told(tmp_path, source, write):
    table = pa.table([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], names=["text", "text", "content"])
    file = write(tmp_path / "a", table)
    with pytest.raises(UsageError, match="has two columns 'text': rename one"):
        source.check_fields([file], Fields())
    assert read_all(source, file, Fields({"text": "content"})).texts() == ["c"]


@formats
def test_a_file_that_is_gone_is_named(tmp_path, source, write):
    file = write(tmp_path / "a", {"text": TEXTS})
    read = read_all(source, file)
    (tmp_path / "a").unlink()
    with pytest.raises(BuildError, match="/a is gone since the build began: put it back"):
        source.read(read.ranges[0], file, None, Fields())


def test_encrypted_parquet_is_called_that():
    assert sniff_format(b"PARE" + b"\0" * 100).label == "encrypted Parquet"


CELLS = [
    (pl.Boolean(), [1, 0, 2, -1], [True, False, None, None]),
    (pl.Boolean(), [1.0, 0.0, 0.5, None], [True, False, None, None]),
    (pl.Boolean(), ["true", "1", "True", "false"], [True, None, None, False]),
    (pl.Int64(), ["5", "５", "٣", "0" * 40 + "1"], [5, None, None, 1]),
    (pl.Float64(), ["5", "５.5", "٣", "1e-5"], [5.0, None, None, 1e-5]),
    (pl.Float64(), [1.5, float("inf"), float("-inf"), None], [1.5, None, None, None]),
]


@pytest.mark.parametrize(("kind", "cells", "values"), CELLS)
def test_a_cell_is_the_same_from_a_table_and_from_json_lines(kind, cells, values):
    lines = "".join(json.dumps({"text": "a", "x": cell}) + "\n" for cell in cells).encode()
    frame = parse_lines(find_documents(LINES, np.frombuffer(lines, np.uint8), 2**62), "text", {"x": kind})
    converted, misfits = convert_column(pl.Series("x", cells), kind)
    assert frame["x"].to_list() == converted.to_list() == values
    assert frame[f"{MISFIT}x"].is_null().to_list() == misfits.is_null().to_list()
