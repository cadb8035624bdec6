"""Lists in other encodings than UTF-8: read as if they were UTF-8."""

from __future__ import annotations

import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.formats.columns import PROBLEM
from pipeline.sources.formats.csv import read_csv
from pipeline.sources.formats.encodings import find_encoding, find_late_encoding, read_as_utf8
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


@pytest.mark.parametrize(
    "text",
    [
        "東京都千代田区霞が関一丁目\n大阪府大阪市北区\n",
        "番号,氏名,住所\n1,山田太郎,東京都\n2,鈴木一郎,大阪府\n",
        "山田\n鈴木\n佐藤\n高橋\n田中\n",
        "令和五年度、予算案。閣議決定！\n",
    ],
)
@pytest.mark.parametrize("encoding", ["CP932", "EUC-JP"])
def test_text_of_kanji_alone(text, encoding):
    assert find_encoding(text.encode(encoding)).name == encoding


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("今天天气真好，我们一起去公园玩吧。\n北京市朝阳区人民政府\n", "gb18030"),
        ("中华人民共和国\n北京市海淀区\n上海市\n广东省\n", "gb18030"),
        ("臺灣大學電機工程學系\n國立故宮博物院\n", "big5"),
        ("서울특별시\n부산광역시\n대한민국\n", "euc_kr"),
        ("Привет мир, как дела\n", "koi8-r"),
        ("ﾊﾝｶｸｶﾀｶﾅ\nﾃｽﾄ\n", "cp932"),
    ],
)
def test_text_of_an_encoding_that_nobody_can_tell_is_no_utf8(text, encoding):
    found = find_encoding(text.encode(encoding))
    assert found.name is None and "iconv" in found.advice


@pytest.mark.parametrize("encoding", ["CP932", "EUC-JP", "ISO-2022-JP", "UTF-16LE"])
def test_text_that_goes_on_in_another_encoding(encoding):
    line = "吾輩は猫である。名前はまだ無い。\n"
    for before in (b"abc\n" * 20_000, line.encode() * 100):
        at, found = find_late_encoding(before + line.encode(encoding) * 20)
        assert (at, found.name) == (len(before), encoding)
    assert find_late_encoding(line.encode() * 100) is None
    assert find_late_encoding(line.encode() * 9 + b"\xff\n" + line.encode() * 9) is None  # one broken line
