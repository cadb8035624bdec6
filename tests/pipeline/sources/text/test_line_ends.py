"""Line ends as other systems write them: cut rightly, or refused with the command that mends them, at any size and any compression."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.sources import SOURCES
from pipeline.sources.text.cc100 import CC100Source
from pipeline.sources.text.documents import FilesSource, LinesSource
from pipeline.sources.text.jsonl import JsonlSource
from pipeline.sources.text.sniffing import CARRIAGE_RETURNS, HEAD_BYTES, LINE_SEPARATORS, sniff_format
from tests.pipeline.sources.text.helpers import cut_in_chunks, read_all

DOCUMENTS = ["一行目\n二行目", "次の文書", "三つ目\nおわり"]
COMPRESSIONS = [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
compressed = pytest.mark.parametrize("compress", COMPRESSIONS, ids=["plain", "gzip", "bzip2", "xz", "zstd"])


def write(tmp_path, raw, compress=bytes, name="入力.txt"):
    (tmp_path / name).write_bytes(compress(raw))
    return str(tmp_path / name)


@compressed
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r\r\n"])
def test_documents_between_empty_lines(tmp_path, line_end, compress):
    path = write(tmp_path, "\n\n".join(DOCUMENTS).replace("\n", line_end).encode(), compress)
    for name in ("cc100", "text"):
        file = SOURCES[name].find_inputs([path])[0]
        texts = read_all(SOURCES[name], file).texts()
        assert [text.replace("\r", "") for text in texts] == DOCUMENTS


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r\r\n"])
def test_documents_in_lines(tmp_path, line_end):
    file = LinesSource().find_inputs([write(tmp_path, line_end.join(["一", "二", "", "三", ""]).encode())])[0]
    assert read_all(LinesSource(), file).texts() == ["一", "二", "三"]
    rows = line_end.join(['{"text": "一"}', '{"text": "二"}', ""]).encode()
    file = JsonlSource().find_inputs([write(tmp_path, rows, name="a.jsonl")])[0]
    assert read_all(JsonlSource(), file).texts() == ["一", "二"]


REFUSED = {
    "returns alone": (("一\r二\r三\r" * 3).encode(), CARRIAGE_RETURNS),
    "two returns": (("一\r\r二\r\r三").encode(), CARRIAGE_RETURNS),
    "two lines": ("一\r二".encode(), CARRIAGE_RETURNS),
    "mixed": (("一\r二\n三\r\n四\r" * 3).encode(), CARRIAGE_RETURNS),
    "beyond the head": (("長い行である。" * 10 + "\r").encode() * 3000, CARRIAGE_RETURNS),
    "CP932 apart": (b"a,b\rc,d\r", CARRIAGE_RETURNS),
    "JSON lines": (b'{"text": "a"}\r{"text": "b"}\r', CARRIAGE_RETURNS),
    "U+2028": ("一\u2028二\u2028三".encode(), LINE_SEPARATORS),
    "NEL": ("一\x85二\x85三\x85".encode(), LINE_SEPARATORS),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("name", ["text", "cc100", "lines", "jsonl"])
def test_other_line_ends_are_refused_with_the_command_that_mends_them(tmp_path, raw, name):
    content, expected = raw
    assert sniff_format(content[:HEAD_BYTES]) == expected
    with pytest.raises(UsageError, match=r"perl -pe 's/.*/\\n/g' \S*入力.txt'? > \S*入力.txt'?.lf"):
        SOURCES[name].find_inputs([write(tmp_path, content)])


@pytest.mark.skipif(shutil.which("perl") is None or shutil.which("bash") is None, reason="no perl")
@compressed
@pytest.mark.parametrize("raw", ["一\r二\r\r三", "一\r二\r\n三\r\r\n四\n", "一\u2028二\x85三"])
def test_the_command_mends_them(tmp_path, raw, compress):
    path = write(tmp_path, raw.encode(), compress, "a b'c.txt")
    with pytest.raises(UsageError) as refused:
        LinesSource().find_inputs([path])
    if compress is not bytes and shutil.which(str(refused.value).split("<(")[1].split()[0]) is None:
        pytest.skip("the tool that unpacks is missing")
    subprocess.run(["bash", "-c", str(refused.value).split(": ", 2)[2]], check=True)
    mended = LinesSource().find_inputs([path + ".lf"])[0]
    assert read_all(LinesSource(), mended).texts() == [line for line in raw.splitlines() if line]


def test_a_file_that_is_one_document_may_have_any(tmp_path):
    for raw, _ in REFUSED.values():
        if not raw.startswith(b"{"):
            file = FilesSource().find_inputs([write(tmp_path, raw)])[0]
            assert read_all(FilesSource(), file).texts() == [raw.decode()]


def test_single_slips_stay_in_their_lines(tmp_path):
    raw = ("行\n" * 20 + "途中で\r切れた行\n\n" + "次\n" * 20).encode()
    assert sniff_format(raw).name == "cc100"
    read = read_all(CC100Source(), CC100Source().find_inputs([write(tmp_path, raw)])[0])
    assert len(read.rows) == 2 and read.state.warning is None


def test_returns_that_begin_late_are_told(tmp_path):
    raw = ("一行\n\n" * 20_000 + "一行\r" * 30_000).encode()
    read = read_all(CC100Source(), CC100Source().find_inputs([write(tmp_path, raw)])[0], partition=100_000)
    assert "carriage returns, which divide nothing here" in read.state.warning and "perl -pe" in read.state.warning


@compressed
def test_an_encoding_that_begins_late_is_told(tmp_path, compress):
    raw = b"one line\n\n" * 20_000 + "二つ目の行である。\n\n".encode("cp932") * 500
    file = CC100Source().find_inputs([write(tmp_path, raw, compress)])[0]
    warning = read_all(CC100Source(), file, partition=50_000).state.warning
    assert "goes on as text in Shift_JIS from byte 200,000 on" in warning and "iconv -f CP932" in warning


@pytest.mark.parametrize("lines", [2, 3, 200])
def test_lines_without_an_empty_one_are_told_at_any_size(tmp_path, lines):
    path = write(tmp_path, b"line\n" * lines)
    read = read_all(CC100Source(), CC100Source().find_inputs([path])[0])
    assert len(read.rows) == 1 and "has no empty line" in read.state.warning
    with pytest.raises(UsageError, match="source.format=lines"):
        SOURCES["text"].find_inputs([path])


@given(raw=st.lists(st.sampled_from([b"a", b"b", b"\n", b"\r"]), max_size=30).map(b"".join), partition=st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_documents_do_not_depend_on_partitions(tmp_path_factory, raw, partition):
    folder = tmp_path_factory.getbasetemp() / "line-ends"
    folder.mkdir(exist_ok=True)
    if sniff_format(raw).name != "cc100":
        return
    texts = []
    for size in (partition, 1000):
        _, rows, _ = cut_in_chunks(CC100Source(), folder / "x", raw, partition=size, chunk=3, max_document=1000)
        texts.append([one.text.data[a:b].tobytes() for one in rows for a, b in zip(one.text.starts, one.text.ends)])
    assert texts[0] == texts[1]
