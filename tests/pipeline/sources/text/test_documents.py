"""Plain text with a document in every line, or in every file."""

from __future__ import annotations

import gzip
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.sources.inputs import describe_file
from pipeline.sources.text.documents import FilesSource, LinesSource
from pipeline.sources.text.sniffing import CARRIAGE_RETURNS, LINE_SEPARATORS, sniff_format
from tests.pipeline.sources.text.helpers import check_resuming, read_all

PROSE = "吾輩は猫である。\n名前はまだ無い。\n\nどこで生れたか\r\n"


@pytest.fixture
def write(tmp_path):
    def write_bytes(raw, name="a.txt"):
        (tmp_path / name).write_bytes(raw if isinstance(raw, bytes) else raw.encode())
        return describe_file(str(tmp_path / name))

    return write_bytes


def test_every_line_is_a_document(write):
    read = read_all(LinesSource(), write(PROSE))
    assert read.texts() == ["吾輩は猫である。", "名前はまだ無い。", "どこで生れたか"]


@given(
    lines=st.lists(st.sampled_from(["", "\r", "あ", "い\r", " ", "\u3000", "\u2028う"]), max_size=9),
    partition=st.integers(1, 30),
)
@settings(max_examples=80, deadline=None)
def test_lines_are_those_of_the_definition(tmp_path_factory, lines, partition):
    path = tmp_path_factory.mktemp("lines") / "a"
    path.write_bytes("\n".join(lines).encode())
    if sniff_format(path.read_bytes()) in (CARRIAGE_RETURNS, LINE_SEPARATORS):  # refused, which another test is about
        return
    read = read_all(LinesSource(), describe_file(str(path)), partition=partition)
    assert read.texts() == [line for line in (line.rstrip("\r") for line in lines) if line]
    check_resuming(LinesSource(), describe_file(str(path)), read, partition=partition)


@pytest.mark.parametrize("partition", [1, 32_000_000])
def test_a_file_is_one_document(write, partition):
    read = read_all(FilesSource(), write(PROSE * 20), partition=partition)
    assert read.texts() == [PROSE * 20] and read.rows[0]["locator"] == 0
    assert read.rows[0]["media_type"] is None and read.state.warning is None and read.state.checksum


def test_a_compressed_file_is_one_document(write):
    assert read_all(FilesSource(), write(gzip.compress(PROSE.encode()), "a.gz")).texts() == [PROSE]


def test_an_empty_file_is_no_document(write):
    assert read_all(FilesSource(), write("")).rows == []


@pytest.mark.parametrize(
    ("name", "start"), [("a.html", "まえがき"), ("a.HTM", "text\n"), ("a.txt", "<!DOCTYPE html>\n<html>"), ("a", "<html><p>")]
)
def test_a_page_is_html_by_its_name_or_its_content(write, name, start):
    row = read_all(FilesSource(), write(start + PROSE, name)).rows[0]
    assert row["media_type"] == "text/html" and row["charset"] is None and row["text"].endswith(PROSE)


def test_a_page_keeps_its_bytes(write):
    raw = b"<html><meta charset=Shift_JIS><p>" + PROSE.encode("cp932")
    rows = [*FilesSource().cut(write(raw), 0, read_all(FilesSource(), write(raw)).state)]
    assert rows[0][0].size == len(raw)


def test_a_file_that_is_too_large_is_one_unreadable_record(write):
    read = read_all(FilesSource(), write("あ" * 10_000), partition=100, max_document=1000)
    assert read.problems() == {0: "document of 30,000 bytes, over source.max_document = 1,000"}


@pytest.mark.parametrize("source", [LinesSource(), FilesSource()])
@pytest.mark.parametrize("raw", [b'{"text": "a"}\n', b"PAR1...", b"WARC/1.0\r\n", "吾輩は猫である".encode("cp932") * 9])
def test_what_is_something_else_is_told(write, source, raw):
    with pytest.raises(UsageError):
        read_all(source, write(raw))


def test_files_of_a_folder_whose_names_are_not_utf8_are_told(tmp_path):
    (tmp_path / os.fsdecode("文書.txt".encode("cp932"))).write_text("一\n\n二\n")
    with pytest.raises(
        UsageError, match=r"文書\.txt is not read: names that are not UTF-8 can stand in no id\. Rename them: convmv"
    ):
        LinesSource().find_inputs([str(tmp_path)])
    (tmp_path / "次.txt").write_text("三\n\n四\n")
    files = LinesSource().find_inputs([str(tmp_path)])
    assert [file.name for file in files] == ["次.txt"] and "文書.txt is not read" in files[0].note
