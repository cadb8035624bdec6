"""Documents in JSON lines: which keys are read, what broken lines cost, and cutting."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.sources.base import Fields
from pipeline.sources.formats.columns import MISFIT
from pipeline.sources.inputs import resolve
from pipeline.sources.text.columns import ColumnError
from pipeline.sources.text.jsonl import JsonlSource, check_keys
from tests.pipeline.sources.text.helpers import check_resuming, read_all

PAGES = [
    {"text": f"本文{i}\n二行目", "timestamp": f"2019-04-0{i}T12:57:54Z", "url": f"https://example.com/{i}"} for i in range(1, 6)
]


@pytest.fixture
def write(tmp_path):
    def write_lines(lines, name="a.jsonl"):
        raw = (
            b"\n".join(line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in lines)
            + b"\n"
        )
        (tmp_path / name).write_bytes(raw)
        return resolve([str(tmp_path / name)])[0]

    return write_lines


def test_c4_is_read_with_url_and_date(write):
    read = read_all(JsonlSource(), write(PAGES))
    assert read.texts() == [page["text"] for page in PAGES]
    assert [row["url"] for row in read.rows] == [page["url"] for page in PAGES]
    assert [row["date"] for row in read.rows] == [page["timestamp"] for page in PAGES]
    assert all(row["title"] is None and row["license"] is None for row in read.rows)
    assert read.problems() == {} and read.state.damage is None and read.state.checksum


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress])
def test_compressed_files_give_the_same_rows(tmp_path, write, compress):
    plain = write(PAGES)
    (tmp_path / "b").write_bytes(compress((tmp_path / "a.jsonl").read_bytes()))
    assert read_all(JsonlSource(), resolve([str(tmp_path / "b")])[0]).rows == read_all(JsonlSource(), plain).rows


def test_locators_are_offsets_of_lines(write, tmp_path):
    file = write([PAGES[0], b"", PAGES[1], b"\r", PAGES[2]])
    raw = (tmp_path / "a.jsonl").read_bytes()
    for row in read_all(JsonlSource(), file).rows:
        assert json.loads(raw[row["locator"] :].split(b"\n", 1)[0])["text"] == row["text"]


@pytest.mark.parametrize(
    ("names", "text", "others"),
    [
        (["text", "content", "url", "uri"], "text", {"url": "url"}),
        (["content", "body"], "content", {}),
        (["id", "Body", "source_url", "headline", "crawl_date"], "Body", {"url": "source_url", "title": "headline", "date": "crawl_date"}),
        (["本文", "タイトル", "日付"], "本文", {"title": "タイトル", "date": "日付"}),
        (["raw_content", "license", "source"], "raw_content", {"license": "license", "source": "source"}),
    ],
)  # fmt: skip
def test_columns_are_known_by_their_usual_names(write, names, text, others):
    row = read_all(JsonlSource(), write([{name: f"({name})" for name in names}])).rows[0]
    assert row["text"] == f"({text})"
    for standard in ("url", "title", "date", "license", "source"):
        assert row[standard] == (f"({others[standard]})" if standard in others else None)


def test_columns_can_be_named(write):
    file = write([{"text": "要約", "main": "本文", "where": "https://a.b"}])
    row = read_all(JsonlSource(), file, Fields({"text": "main", "url": "where"})).rows[0]
    assert (row["text"], row["url"]) == ("本文", "https://a.b")


def test_a_text_that_is_no_string_gives_way_to_one_that_is(write):
    assert read_all(JsonlSource(), write([{"text": ["a"], "content": "b"}])).texts() == ["b"]


def test_a_file_without_text_names_the_columns_that_are_there(write):
    file = write([{"id": 1, "value": "a"}, {"tags": ["b"]}])
    with pytest.raises(
        ColumnError, match=r"'id' \(a number\), 'value' \(a string\), 'tags' \(a list\).*source.columns.text=NAME"
    ):
        check_keys(file, Fields())
    read = read_all(JsonlSource(), file)
    assert not read.ranges and "known by its name" in read.state.damage and file.url in read.state.damage


def test_a_named_column_that_is_missing_is_an_error(write):
    with pytest.raises(ColumnError, match="no column 'main', which source.columns.text names. Its columns: 'text'"):
        check_keys(write([{"text": "a"}]), Fields({"text": "main"}))


def test_a_kept_key_that_is_misspelt_is_refused_and_a_rare_one_is_not(write):
    file = write([{"text": "a", "doc_id": "1"}, {"text": "b", "doc_id": "2"}])
    with pytest.raises(
        UsageError, match="no column 'dco_id', which source.keep names; did you mean 'doc_id'.* Its columns: 'text'"
    ):
        JsonlSource().check_fields([file], Fields({}, {"dco_id": pl.String()}))
    JsonlSource().check_fields([file], Fields({}, {"doc_id": pl.String(), "quality_label": pl.String(), "url": pl.String()}))


def test_kept_columns_have_their_types(write):
    file = write(
        [
            {"text": "a", "score": 0.5, "n": 3, "tags": ["x"], "date": "2024"},
            {"text": "b", "score": "1e-2", "n": None, "late": True},
        ]
    )
    keep = {
        "score": pl.Float64(),
        "n": pl.Int64(),
        "tags": pl.String(),
        "late": pl.Boolean(),
        "own_date": pl.String(),
        "url": pl.String(),
    }
    rows = read_all(JsonlSource(), file, Fields({"own_date": "date"}, keep)).rows
    assert [row["score"] for row in rows] == [0.5, 0.01] and [row["n"] for row in rows] == [3, None]
    assert [row["tags"] for row in rows] == ['["x"]', None] and [row["late"] for row in rows] == [None, True]
    assert [row["own_date"] for row in rows] == ["2024", None] and [row["date"] for row in rows] == ["2024", None]


def test_a_kept_value_that_does_not_fit_is_null_and_shown(write):
    read = read_all(JsonlSource(), write([{"text": "a", "n": "many"}, {"text": "b", "n": 1}]), Fields(keep={"n": pl.Int64()}))
    assert [(row["n"], row[f"{MISFIT}n"]) for row in read.rows] == [(None, '"many"'), (1, None)] and not read.problems()


def test_a_broken_line_in_the_middle_is_one_record_with_its_line_number(write):
    lines = [PAGES[0], b"", PAGES[1], b'{"text": "torn', PAGES[2], b"\xff", PAGES[3]]
    for partition in (1, 150, 32_000_000):
        read = read_all(JsonlSource(), write(lines), partition=partition)
        assert [problem.split(":")[0] for problem in read.problems().values()] == ["line 4", "line 6"]
        assert [row["text"] for row in read.rows if not row["problem"]] == [page["text"] for page in PAGES[:4]]
        assert [row["text"] for row in read.rows if row["problem"]] == ['{"text": "torn', "\N{REPLACEMENT CHARACTER}"]


def test_a_line_that_is_too_large_is_told_by_its_number(write):
    lines = [PAGES[0], {"text": "あ" * 1000}, PAGES[1]]
    read = read_all(JsonlSource(), write(lines), partition=200, max_document=500)
    assert [*read.problems().values()] == ["line 2: document of 3,013 bytes, over source.max_document = 500"]
    assert len(read.rows) == 3


def test_a_truncated_file_keeps_what_could_be_read(tmp_path, write):
    write(PAGES * 400)
    raw = gzip.compress((tmp_path / "a.jsonl").read_bytes())
    (tmp_path / "b").write_bytes(raw[: len(raw) // 2])
    read = read_all(JsonlSource(), resolve([str(tmp_path / "b")])[0])
    assert "ends too early" in read.state.damage
    assert read.texts()[0] == PAGES[0]["text"] and len(read.rows) > 5


def test_a_first_line_beyond_the_head_says_the_columns(write):
    assert read_all(JsonlSource(), write([{"body": "あ" * 100_000}])).texts() == ["あ" * 100_000]


def test_a_file_of_broken_lines_is_unreadable_records(write):
    assert len(read_all(JsonlSource(), write([b'{"text": 1', b"["])).problems()) == 2


LINE = st.one_of(
    st.fixed_dictionaries({"text": st.text(max_size=20), "url": st.none() | st.text(max_size=5)}).map(lambda d: json.dumps(d).encode()),
    st.sampled_from([b"", b"\r", b"{", b"{}", b"  ", b'{"text":1}', "{\"text\":\"あ\"}".encode()]),
)  # fmt: skip


@given(lines=st.lists(LINE, max_size=8), partition=st.sampled_from([1, 30, 80, 10_000]))
@settings(max_examples=60, deadline=None)
def test_where_a_file_is_cut_changes_no_row(tmp_path_factory, lines, partition):
    path = tmp_path_factory.mktemp("jsonl") / "a"
    path.write_bytes(b"\n".join([b'{"text": "a"}', *lines]))
    file = resolve([str(path)])[0]
    read = read_all(JsonlSource(), file, partition=partition)
    assert read.rows == read_all(JsonlSource(), file).rows
    assert len(read.rows) == sum(1 for line in path.read_bytes().split(b"\n") if line.removesuffix(b"\r"))
    check_resuming(JsonlSource(), file, read, partition=partition)
