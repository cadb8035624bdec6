import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.sources.image_text import tables
from tests.pipeline.sources.helpers import archive, pick, problems
from tests.pipeline.sources.image_text.helpers import (
    CAPTIONS,
    EXPECTED,
    LISTS,
    URLS,
    check_list,
    fake_image,
    img2dataset_members,
    read_pairs,
)

ODD = {
    "duration": pa.array([1, 2, None, 4], pa.duration("s")),
    "invalid binary": pa.array([b"\xff", b"a", None, "犬".encode()]),
    "large binary": pa.array([b"\xff"] * 4, pa.large_binary()),
    "fixed binary": pa.array([b"\xff\xfe"] * 4, pa.binary(2)),
    "dictionary of binary": pa.array([b"\xff"] * 4).dictionary_encode(),
    "decimal": pa.array([1] * 4, pa.decimal256(50, 2)),
    "timestamp": pa.array([1] * 4, pa.timestamp("us", "Asia/Tokyo")),
    "time": pa.array([1] * 4, pa.time64("us")),
    "half": pa.array([0.5] * 4, pa.float16()),
    "boolean": pa.array([True] * 4),
    "list": pa.array([[1], [], None, [2]]),
    "list of binary": pa.array([[b"\xff"], [b"a", b"b"], None, []]),
    "struct": pa.array([{"a": 1}] * 4),
    "map": pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(4),
    "struct of numbers": pa.array([{"bytes": [1, 2], "path": "a"}] * 4),
    "struct of binary": pa.array([{"bytes": b"x", "path": b"\xff"}] * 4),
    "struct without bytes": pa.array([{"bytes": None, "path": {"a": 1}}] * 4),
}


@pytest.mark.parametrize("kind", ODD)
def test_no_type_of_a_column_is_too_odd(tmp_path, images, kind, capfd):
    for name in ("url", "caption", "captions", "license", "width", "similarity", "status", "key", "image"):
        table = pa.table({"url": URLS, "caption": CAPTIONS} | {name: ODD[kind]})
        pq.write_table(table, tmp_path / "a.parquet")
        with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as out:
            out.write_table(table)
        for path in (tmp_path / "a.parquet", tmp_path / "a.arrow"):
            result = read_pairs(path, images)
            if result.rows or name != "url":
                assert result.state.damage is None and len({row["locator"] for row in result.rows}) == len(result.rows) >= 4
            else:
                assert "neither images nor url or file_name" in result.state.damage
            if name in ("license", "width", "similarity", "key") and kind != "struct of binary":  # which are images by any name
                assert pick(result.rows, "image", "caption") == [*zip(EXPECTED, CAPTIONS)]
        tar = archive(tmp_path / "b.tar", img2dataset_members("000"))
        keys = [f"{i:03}" for i in range(4)]
        pq.write_table(pa.table({"key": keys, "url": URLS} | {name: ODD[kind]}), tmp_path / "b.parquet")
        result = read_pairs(tar)
        assert fake_image("000") in [row["image"] for row in result.rows] and result.state.damage is None
    assert "panicked" not in capfd.readouterr().err


def test_binary_texts_that_are_no_utf8(tmp_path, images):
    urls = pa.array([URLS[0].encode(), b"\xff", URLS[2].encode(), URLS[3].encode()])
    captions = pa.array(["犬".encode(), b"a", b"\xe7\x8a", None])
    pq.write_table(pa.table({"url": urls, "caption": captions}), tmp_path / "a.parquet")
    result = read_pairs(tmp_path / "a.parquet", images)
    assert pick(result.rows, "url", "caption", "image") == [
        (URLS[0], "犬", EXPECTED[0]), (None, "a", None), (URLS[2], "\ufffd", None), (URLS[3], None, EXPECTED[3]),
    ]  # fmt: skip
    assert problems(result.rows)["0000000002"] == "caption: invalid UTF-8: byte 0xE7 at 0 of 2"
    # A tar's own captions come before those of its sidecar.
    path = archive(tmp_path / "a.tar", [*img2dataset_members("1", "箱の"), *img2dataset_members("2", None)])
    (tmp_path / "a.parquet").unlink()
    pq.write_table(pa.table({"key": [b"1", b"2"], "caption": [b"\xff", b"\xff"]}), tmp_path / "a.parquet")
    result = read_pairs(path)
    assert pick(result.rows, "locator", "caption") == [("1", "箱の"), ("2", "\ufffd")] and result.state.warning is None
    assert problems(result.rows) == {"2": "caption: invalid UTF-8: byte 0xFF at 0 of 1"}


def test_a_column_that_cannot_be_read_is_named_where_it_is_needed(tmp_path, images):
    union = pa.UnionArray.from_sparse(pa.array([0] * 4, pa.int8()), [pa.array(CAPTIONS)])
    for name, column in {"other": union, "caption": union, "説明": union}.items():
        table = pa.table({"url": pa.array(URLS), "caption": pa.array(CAPTIONS)} | {name: column})
        with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as out:
            out.write_table(table)
        result = read_pairs(tmp_path / "a.arrow", images, columns={"caption": "説明"} if name == "説明" else {})
        if name == "other":
            assert pick(result.rows, "image", "caption") == [*zip(EXPECTED, CAPTIONS)] and result.state.damage is None
        else:
            assert f"has a column '{name}' of type sparse_union" in result.state.damage


def test_columns_that_pairs_are_not_made_of_are_not_read(tmp_path, images):
    raw = pa.array([b"x" * 1000] * 4)
    table = pa.table({"url": URLS, "caption": CAPTIONS, "thumbnail": raw, "a.url": ["?"] * 4, "meta": [{"url": "?"}] * 4})
    pq.write_table(table, tmp_path / "a.parquet")
    frame = next(tables.read_table(tmp_path / "a.parquet"))
    assert frame.columns == table.column_names and frame["thumbnail"].null_count() == 4
    assert next(tables.read_table(tmp_path / "a.parquet", all_columns=True))["thumbnail"].null_count() == 0
    check_list(tmp_path / "a.parquet", images)
    result = read_pairs(tmp_path / "a.parquet", images, columns={"caption": "a.url"})
    assert {row["caption"] for row in result.rows} == {"?"}


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_images_are_read_a_few_at_a_time(tmp_path, kind):
    pq.write_table(pa.table({"image": pa.array([b"x"] * 100, kind), "caption": ["x"] * 100}), tmp_path / "a.parquet")
    assert [len(frame) for frame in tables.read_table(tmp_path / "a.parquet")] == [64, 36]
    assert [row["image"] for row in read_pairs(tmp_path / "a.parquet").rows] == [b"x"] * 100


@pytest.mark.parametrize("form", ["parquet", "arrow", "jsonl", "csv", "tsv"])
def test_a_column_of_the_name_that_problems_have(tmp_path, images, form):
    path, frame = tmp_path / f"a.{form}", pl.DataFrame({"url": URLS, "caption": CAPTIONS, "seimai:problem": [1, 2, 3, 4]})
    if form in ("parquet", "arrow"):
        frame = frame.with_columns(pl.concat_list("seimai:problem"))
        frame.write_parquet(path) if form == "parquet" else frame.write_ipc(path)
    elif form == "jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if form == "tsv" else ",", quote_style="never" if form == "tsv" else "necessary")
    check_list(path, images)


LISTED = [[CAPTIONS[0], "二"], ["三"], ["四", "五"], ["六"]]
OF_LISTS = {
    "list": pa.list_(pa.string()), "large": pa.large_list(pa.large_string()),
    "dictionary": pa.list_(pa.dictionary(pa.int32(), pa.string())),
    "fixed": pa.list_(pa.string(), 2), "binary": pa.list_(pa.binary()), "view": pa.list_(pa.string_view()),
}  # fmt: skip


@pytest.mark.parametrize("name", ["caption", "captions", "説明"])
@pytest.mark.parametrize("kind", [*OF_LISTS, "jsonl"])
def test_lists_of_captions(tmp_path, images, kind, name):
    lists = [[*texts, "二"][:2] for texts in LISTED] if kind == "fixed" else LISTED
    expected = [(url, text) for url, texts in zip(URLS, lists) for text in texts]
    columns = {"caption": name} if name == "説明" else {}
    path = tmp_path / ("a.jsonl" if kind == "jsonl" else "a.parquet")
    for beside in ({}, {"caption": ["x"] * 4}) if name == "captions" else ({}, {"captions": [["x"]] * 4}):
        if kind == "jsonl":
            pl.DataFrame({"url": URLS, name: lists} | beside).write_ndjson(path)
        else:
            pq.write_table(pa.table({"url": URLS, name: pa.array(lists, OF_LISTS[kind])} | beside), path)
        if beside and name == "caption":
            expected = [(url, "x") for url in URLS]  # a list named captions has all of them
        result = read_pairs(path, images, columns=columns)
        assert pick(result.rows, "url", "caption") == expected and result.state.damage is None


def test_captions_alone_beside_lists_of_them(tmp_path, images):
    held = [
        {"caption": "一", "captions": ["一", "二"]},
        {"caption": "三"},
        {"caption": "四", "captions": []},
        {"captions": ["五"]},
    ]
    texts = "\n".join(json.dumps({"url": url} | row) for url, row in zip(URLS, held))
    (tmp_path / "a.jsonl").write_text(texts)
    schema = {"url": pl.String, "caption": pl.String, "captions": pl.List(pl.String)}
    pl.DataFrame([{"url": url} | row for url, row in zip(URLS, held)], schema=schema).write_parquet(tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        assert [row["caption"] for row in read_pairs(tmp_path / name, images).rows] == ["一", "二", "三", "四", "五"]
    (tmp_path / "a.jsonl").write_text(texts.replace('"caption"', '"text"'))
    assert [row["caption"] for row in read_pairs(tmp_path / "a.jsonl", images).rows] == ["一", "二", "三", "四", "五"]
    (tmp_path / "a.jsonl").write_text(
        "\n".join(json.dumps({"url": u, "text": t}) for u, t in zip(URLS, ["a", ["b", "c"], [1], "d"]))
    )
    assert [row["caption"] for row in read_pairs(tmp_path / "a.jsonl", images).rows] == ["a", "b", "c", None, "d"]


def test_lines_may_lack_what_source_columns_names(tmp_path, images, monkeypatch):
    monkeypatch.setattr(tables, "BATCH", 2)
    told = [{"説明": "一"}, {"説明": "二"}, {"text": "x"}, {"caption": "y"}, {"説明": "三"}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"url": URLS[0]} | row) for row in told))
    result = read_pairs(tmp_path / "a.jsonl", images, columns={"caption": "説明"})
    assert [row["caption"] for row in result.rows] == ["一", "二", None, None, "三"] and result.state.damage is None
    result = read_pairs(tmp_path / "a.jsonl", images, columns={"caption": "題"})
    assert result.rows == [] and "has no column '題', which source.columns names. Its columns: url, 説明" in result.state.damage


def test_a_column_cannot_be_two(tmp_path, images):
    for name in ("cc12m", "header", "csv", "jsonl"):
        (tmp_path / "a").write_bytes(LISTS[name])
        state = read_pairs(tmp_path / "a", images, columns={"caption": "a", "url": "a"}).state
        assert "source.columns names 'a' as caption and as url" in state.damage
