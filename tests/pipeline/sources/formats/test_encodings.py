"""Lists in other encodings than UTF-8: read as if they were UTF-8."""

from __future__ import annotations

import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.formats.csv import read_csv
from pipeline.sources.formats.encodings import find_encoding, read_as_utf8
from pipeline.sources.formats.lines import find_line_end, peek_lines, read_file_lines, split_cells

ENCODINGS = ["utf-8", "utf-8-sig", "cp932", "euc-jp", "iso-2022-jp", "utf-16", "utf-16-le", "utf-16-be"]
ROWS = [("写真/猫.jpg", "縁側で眠る猫、午後の光"), ("写真/ソ表.jpg", "能力の表示を示す一覧です")] * 3  # with 0x5C in CP932


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_csv_and_tsv_are_read_in_any_encoding(tmp_path, encoding, line_end):
    path = tmp_path / "一覧"
    for separator in (",", "\t"):
        text = line_end.join(separator.join(row) for row in [("file_name", "caption"), *ROWS, ()]).replace("\n" * 2, "\n")
        path.write_bytes(text.encode(encoding))
        assert peek_lines(path, line_end=find_line_end(path))[:2] == [
            separator.join(row) for row in [("file_name", "caption"), ROWS[0]]
        ]
        if separator == ",":
            frame = pl.concat(read_csv(path, True, 1 << 20, 100))
        else:
            lines = pl.concat(read_file_lines(path, line_end=find_line_end(path)))
            frame = split_cells(lines[1:], ["file_name", "caption"])
        assert frame.select("file_name", "caption").rows() == ROWS and frame[PROBLEM].null_count() == len(ROWS)


@given(
    text=st.text(st.sampled_from("あいう漢字表ソ、。\nabc,\t"), min_size=20, max_size=200),
    encoding=st.sampled_from(ENCODINGS),
    size=st.integers(1, 9),
)
def test_what_is_read_is_the_text_or_its_bytes(text, encoding, size):
    raw = text.encode(encoding)
    read = read_as_utf8(io.BytesIO(raw).read)
    blocks = [*iter(lambda: read(size), b"")]
    known = find_encoding(raw)
    assert b"".join(blocks) == (raw if known is None or known.name is None else raw.decode(known.name, "replace").encode())


def test_bytes_that_are_no_text_stay_as_they_are():
    raw = bytes(range(256)) * 300
    read = read_as_utf8(io.BytesIO(raw).read)
    assert b"".join(iter(lambda: read(1000), b"")) == raw
