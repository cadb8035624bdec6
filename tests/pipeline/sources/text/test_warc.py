import gzip
import hashlib
import io
import random
import tracemalloc
from collections import Counter

import numpy as np
import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.sources import SOURCES
from pipeline.sources.base import CutState, Fields
from pipeline.sources.formats import members
from pipeline.sources.inputs import resolve
from pipeline.sources.text import warc, warc_walk
from pipeline.sources.text.warc import WARCSource
from tests.support.warcs import (
    BY_RECORD,
    BZIP2,
    GZIP,
    JOINED_GZIP,
    LAYOUTS,
    PLAIN,
    XZ,
    ZSTD,
    chunked,
    http,
    info,
    pack,
    page,
    record,
    uuid,
)

SOURCE = WARCSource()
LIMITS = {"partition": 32_000_000, "max_document": 64_000_000}
NO_FIELDS = Fields({}, {})
MANY = Fields({}, {"truncated": pl.String(), "warc_ip_address": pl.String(), "size": pl.Int64(), "own": pl.Boolean()})


class Result:
    """What the source made of a file."""

    def __init__(self, path, fields=NO_FIELDS, **options):
        self.state = CutState(**LIMITS | options)
        self.ranges, self.rows, self.bodies, self.passed_over = [], [], [], Counter()
        file = resolve([str(path)])[0]
        for piece, body in SOURCE.cut(file, 3, self.state):
            rows = SOURCE.read(piece, file, np.frombuffer(body, np.uint8), fields)
            assert len(rows.frame) == piece.records
            self.passed_over.update(rows.passed_over)
            self.ranges.append(piece)
            self.bodies.append(bytes(body))
            for row, start, end in zip(rows.frame.to_dicts(), rows.text.starts, rows.text.ends):
                self.rows.append(row | {"text": rows.text.data[start:end].tobytes()})

    @property
    def texts(self):
        return {row["locator"]: row["text"] for row in self.rows if row["problem"] is None}

    @property
    def problems(self):
        return {row["locator"]: row["problem"] for row in self.rows if row["problem"] is not None}


@pytest.fixture
def source_of(tmp_path):
    def run(raw, **options):
        path = tmp_path / "a.warc"
        path.write_bytes(raw)
        return Result(path, **options)

    return run


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """As source_of, for hypothesis: with any size of what is read from the file at a time."""
    folder = tmp_path_factory.mktemp("warc")

    def run(raw, block=1 << 20, **options):
        path = folder / "a.warc"
        path.write_bytes(raw)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(members, "_BLOCK", block)
            patch.setattr(members._Gzip, "first_input", min(block, 1 << 14))
            patch.setattr(warc_walk, "CHUNK", block)
            return Result(path, **options)

    return run


def body_of(number, text="本文"):
    return f"<html><title>{number}</title><body>{text} {number}</body></html>".encode()


# -- what records say


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pages_and_what_is_said_of_them(source_of, layout):
    records = [info(), page(1), record(b"GET / HTTP/1.1\r\n\r\n", "request", 7), page(2), record(b"x: y", "metadata", 8)]
    raw = pack(records, layout)
    result = source_of(raw)
    assert result.texts == {uuid(1): body_of(1), uuid(2): body_of(2)}
    first = result.rows[0]
    assert (first["url"], first["date"]) == ("http://example.jp/1", "2024-05-01T00:00:00Z")
    assert (first["media_type"], first["charset"]) == ("text/html", "UTF-8")
    assert result.state.damage is None
    assert result.state.checksum == hashlib.sha256(raw).hexdigest()
    assert result.passed_over == {"warcinfo": 1, "request": 1, "metadata": 1}
    assert [(r.file, r.records, r.format) for r in result.ranges] == [(3, 2, "warc")]


def test_wet(source_of):
    text = "一行目\n二行目".encode()
    result = source_of(pack([info(), record(text, "conversion", 5)]))
    assert result.rows == [
        {
            "locator": uuid(5), "problem": None, "url": "http://example.jp/", "date": "2024-05-01T00:00:00Z",
            "media_type": "text/plain", "charset": "utf-8", "text": text,
        }
    ]  # fmt: skip


PAGES = {
    "chunked": (http(chunked(b"<html>a"), b"Transfer-Encoding: chunked"), None, "text/html", "UTF-8", b"<html>a"),
    "gzip": (http(gzip.compress(b"<html>a", mtime=0), b"Content-Encoding: gzip"), None, "text/html", "UTF-8", b"<html>a"),
    "both": (
        http(chunked(gzip.compress(b"<p>", mtime=0)), b"Content-Encoding: gzip", b"Transfer-Encoding: chunked"),
        None, "text/html", "UTF-8", b"<p>",
    ),
    "plain text": (http(b"a", content_type="text/plain; charset=Shift_JIS"), None, "text/plain", "Shift_JIS", b"a"),
    "quoted charset": (http(b"a", content_type="Text/HTML;Charset=\"euc-jp\" ; a=b"), None, "text/html", "euc-jp", b"a"),
    "no type, HTML": (http(b"\n<!-- x --><!DOCTYPE html><p>", content_type=None), None, "text/html", None, None),
    "no type, text": (http("文".encode(), content_type=None), None, "text/plain", None, None),
    "no type, binary": (http(b"\x89PNG\0\0", content_type=None), "content of an unknown type is no text", None, None, None),
    "unknown type, UTF-16": (http("<html>あ".encode("utf-16"), content_type="application/octet-stream"), None, "text/html", None, None),
    "image": (http(b"\x89PNG\0\0", content_type="image/png"), "image/png is no text", "image/png", None, b"\x89PNG\0\0"),
    "plain, said; HTML": (http(b" <html><p>", content_type="text/plain"), None, "text/html", None, None),
    "WAP": (http(b"<html>", content_type="application/vnd.wap.xhtml+xml"), None, "application/xhtml+xml", None, None),
    "HTML, said; PNG": (
        http(b"\x89PNG\r\n\x1a\n\0"), "said to be text/html, but is a PNG image", "text/html", "UTF-8", b"\x89PNG\r\n\x1a\n\0",
    ),
    "HTML, said; PDF": (http(b"%PDF-1.4 "), "said to be text/html, but is PDF", "text/html", "UTF-8", b"%PDF-1.4 "),
    "binary, unknown": (
        http(b"\0\1", content_type="application/octet-stream"), "content of an unknown type is no text", "application/octet-stream",
        None, None,
    ),
    "PDF": (http(b"%PDF", content_type="application/pdf"), "application/pdf is no text", "application/pdf", None, b"%PDF"),
    "script": (http(b"a()", content_type="text/javascript"), "text/javascript is no text", "text/javascript", None, b"a()"),
    "status 404": (http(b"<html>", status=b"HTTP/1.1 404 Not Found"), "HTTP status 404", None, None, b"<html>"),
    "status 301": (http(b"", status=b"HTTP/1.1 301 Moved"), "HTTP status 301", None, None, b""),
    "no status line": (b"<html>a", "HTTP status line is missing", None, None, b"<html>a"),
    "empty block": (b"", "HTTP status line is missing", None, None, b""),
    "empty body": (http(b""), None, "text/html", "UTF-8", b""),
    "nested": (http(pack([page(9)]), content_type="application/gzip"), "application/gzip is no text", "application/gzip", None, None),
    "nested, plain": (http(page(9), content_type="application/warc"), "application/warc is no text", "application/warc", None, page(9)),
}  # fmt: skip


@pytest.mark.parametrize("layout", [GZIP, PLAIN])
@pytest.mark.parametrize("name", PAGES)
def test_responses(source_of, name, layout):
    block, problem, media_type, charset, text = PAGES[name]
    result = source_of(pack([page(1), record(block, record_id=2), page(3)], layout))
    row = result.rows[1]
    assert len(result.rows) == 3
    assert (row["problem"], row["media_type"], row["charset"]) == (problem, media_type, charset)
    assert text is None or row["text"] == text
    assert list(result.texts)[0] == uuid(1) and list(result.texts)[-1] == uuid(3)


def test_the_identified_type_counts_more_than_that_of_the_server(source_of):
    blocks = [
        record(http(b"<html>", content_type="text/plain"), record_id=1, WARC_Identified_Payload_Type="application/xhtml+xml"),
        record(http(b"<html>", content_type="text/html"), record_id=2, WARC_Identified_Payload_Type="image/gif"),
        record(b"a", "resource", 3, Content_Type="text/plain; charset=utf-8"),
        record(b"1.2.3.4", record_id=4, Content_Type="text/dns"),
    ]
    result = source_of(pack(blocks))
    assert [(row["media_type"], row["problem"]) for row in result.rows] == [
        ("application/xhtml+xml", None), ("image/gif", "image/gif is no text"), ("text/plain", None),
        (None, "text/dns is no HTTP response"),
    ]  # fmt: skip


def test_a_page_that_the_crawler_cut_off_is_a_page(source_of):
    cut_off = gzip.compress(b"<html>" + random.Random(1).randbytes(500).hex().encode())[:-100]
    blocks = [
        record(http(cut_off, b"Content-Encoding: gzip"), record_id=i, WARC_Truncated=said)
        for i, said in ((1, "length"), (2, None))
    ]
    result = source_of(pack(blocks), fields=MANY)
    assert [row["truncated"] for row in result.rows] == ["length", None]
    assert list(result.texts) == [uuid(1)] and result.texts[uuid(1)].startswith(b"<html>")
    assert "ends too early" in result.problems[uuid(2)]


def test_a_page_in_segments_is_not_taken_for_a_page(source_of):
    records = [page(1), page(2, WARC_Segment_Number="1"), record(b"more", "continuation", 3, WARC_Segment_Number="2")]
    result = source_of(pack(records))
    assert [*result.texts] == [uuid(1)] and "continuation" in result.problems[uuid(2)]
    assert result.passed_over == {"continuation": 1}


def test_any_field_of_a_record_can_be_kept(source_of):
    fields = [{"WARC_IP_Address": "10.0.0.1", "WARC_Size": "7", "Own": "true"}, {"WARC_Size": "x"}]
    result = source_of(pack([page(n, **said) for n, said in enumerate(fields)]), fields=MANY)
    columns = ("warc_ip_address", "size", "own")
    assert [tuple(row[name] for name in columns) for row in result.rows] == [("10.0.0.1", 7, True), (None, None, None)]


def test_a_field_that_no_record_has_is_refused(tmp_path):
    path = tmp_path / "a.warc"
    path.write_bytes(pack([page(1, WARC_Own="x")]))
    files = resolve([str(path)])
    SOURCE.check_fields(files, Fields({}, {name: pl.String() for name in ("url", "title", "truncated", "own", "ip_address")}))
    with pytest.raises(UsageError, match="records have no field WARC-TRUNKATED. Known: .*truncated"):
        SOURCE.check_fields(files, Fields({}, {"trunkated": pl.String()}))


def test_ids(source_of):
    records = [
        page(1), page(1, text="again"), record(http(b"<p>a"), url="http://a/"), record(http(b"<p>b"), WARC_Record_ID="<http://a/b\t\x1b>"),
        record(http(b"<p>c"), WARC_Record_ID="<urn:uuid:>"), record(http(b"<p>d"), WARC_Record_ID=f"<{'x' * 5000}>"),
    ]  # fmt: skip
    result = source_of(pack(records))
    sizes = np.cumsum([0, *(len(pack([one])) for one in records)])
    locators = [uuid(1), f"{sizes[1]:010}", f"{sizes[2]:010}", "http://a/b\ufffd\ufffd", f"{sizes[4]:010}", f"{sizes[5]:010}"]
    assert [row["locator"] for row in result.rows] == locators


@pytest.mark.parametrize("layout", [GZIP, PLAIN, JOINED_GZIP])
def test_heads_as_they_come(source_of, layout):
    odd = {"X-Long": "a\r\n  b\r\n\tc", "WARC-Target-URI": "<http://例.jp/>", "X-Bytes": "ÿ"}
    records = [page(1, eol=b"\n"), page(2, **odd), page(3, version=b"WARC/1.1"), page(4, version=b"WARC/0.18 ")]
    records[1] = records[1].replace("ÿ".encode(), b"\xff\xfe").replace(b"Content-Length:", b"content-length :")
    result = source_of(b"\r\n\r\n" * (layout == PLAIN) + pack(records, layout))
    assert list(result.texts) == [uuid(n) for n in (1, 2, 3, 4)]
    assert result.rows[1]["url"] == "http://例.jp/"
    assert result.problems == {} and result.state.damage is None


# -- bad input


def test_a_gzip_member_may_hold_more_than_one_record_or_none(source_of):
    raw = pack([page(1), b"", page(2) + record(http(b"<p>")), b"\r\n\r\n", page(3)])
    result = source_of(raw)
    second = raw.index(gzip.compress(page(2) + record(http(b"<p>")), 1, mtime=0))
    assert list(result.texts) == [uuid(1), uuid(2), f"{second:010}+{len(page(2))}", uuid(3)]
    assert result.problems == {}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("missing", [5, 700, 16_000])
def test_cut_off_in_the_middle_of_a_record(source_of, layout, missing):
    texts = [random.Random(n).randbytes(9000).hex() for n in range(6)]
    pages = [page(n, text=text) for n, text in enumerate(texts)]
    raw = pack(pages, layout)
    raw = raw[: len(raw) - missing]
    result = source_of(raw, partition=100)
    whole = {uuid(n): body_of(n, text) for n, text in enumerate(texts)}
    assert result.texts.items() <= whole.items()
    if layout in (*BY_RECORD, PLAIN):
        ends = np.cumsum([len(pack([one], layout)) for one in pages])
        assert len(result.texts) == (ends <= len(raw)).sum()
    assert result.problems == {} and result.state.checksum is None
    assert "ends inside the" in result.state.damage or "ends too early" in result.state.damage
    # Going on from any range finds the rest, and the damage again.
    for done in range(len(result.ranges)):
        again = source_of(raw, partition=100, start=result.ranges[done].end)
        assert (again.ranges, again.bodies) == (result.ranges[done + 1 :], result.bodies[done + 1 :])
        assert again.state.damage == result.state.damage


@pytest.mark.parametrize("layout", [JOINED_GZIP, BZIP2, XZ])
def test_what_a_damaged_stream_gives_is_kept(source_of, layout):
    pages = [page(n, text=random.Random(n).randbytes(30_000).hex()) for n in range(60)]
    raw = bytearray(pack(pages, layout))
    at = len(raw) * 9 // 10
    raw[at : at + 50] = bytes(50)
    result = source_of(bytes(raw))
    assert [*result.texts][:40] == [uuid(n) for n in range(40)] or layout == BZIP2  # whose blocks are large
    assert "is damaged" in result.state.damage


def test_a_record_whose_last_line_end_is_missing_is_one(source_of):
    result = source_of(pack([page(1), page(2)], PLAIN)[:-4])
    assert len(result.texts) == 2 and result.state.damage is None


@pytest.mark.parametrize("layout", [GZIP, ZSTD])
def test_damage_inside_a_member_costs_that_member_alone(source_of, layout):
    pages = [pack([page(n, text=random.Random(n).randbytes(500).hex())], layout) for n in range(5)]
    start = len(pages[0]) + len(pages[1])
    damaged = bytearray(pages[2])
    for at in range(len(damaged) // 2, len(damaged) // 2 + 40):
        damaged[at] ^= 0x5A
    result = source_of(b"".join([*pages[:2], bytes(damaged), *pages[3:]]))
    assert list(result.texts) == [uuid(n) for n in (0, 1, 3, 4)]
    assert list(result.problems) == [f"{start:010}"]
    assert f"the {len(damaged):,} bytes from byte {start:,} of the file as stored are no" in result.problems[f"{start:010}"]
    assert result.state.damage is None
    assert [row["locator"] for row in result.rows][2] == f"{start:010}"


def test_behind_damage_in_a_very_large_member_nothing_is_read(cut, monkeypatch):
    monkeypatch.setattr(members, "_KEPT", 1000)
    monkeypatch.setattr(members, "_TRIAL", 1000)
    large = bytearray(pack([page(2, text=random.Random(2).randbytes(5000).hex())]))
    large[-6] ^= 1  # of its CRC
    result = cut(pack([page(1)]) + bytes(large) + pack([page(3)]), 300)
    assert [*result.texts] == [uuid(1)]
    assert "incorrect data check), and it is too large to go on behind it" in result.state.damage


@pytest.mark.parametrize(
    "junk", [b"garbage!", bytes(3000), b"\x1f\x8b\x08garbage", b"\x1f\x8b\x08", gzip.compress(b"no record", mtime=0)]
)
@pytest.mark.parametrize("block", [7, 1 << 20])
def test_junk_between_members(cut, junk, block):
    first = pack([page(1)])
    result = cut(first + junk + pack([page(2)]), block)
    assert list(result.texts) == [uuid(1), uuid(2)]
    assert list(result.problems) == [f"{len(first):010}"]
    assert result.state.damage is None


def test_junk_before_the_first_member(source_of):
    result = source_of(b"\x1f\x8b\x08" + b"x" * 30 + pack([page(1), page(2)]))
    assert list(result.texts) == [uuid(1), uuid(2)] and len(result.problems) == 1


@pytest.mark.parametrize("layout", [GZIP, PLAIN])
def test_zeros_and_junk_at_the_end_of_the_file(source_of, layout):
    raw = pack([page(1), page(2)], layout)
    padded, unwritten, junk = (source_of(raw + end) for end in (bytes(10_000), bytes(100_000), b"junk" * 100))
    assert [*padded.texts] == [*unwritten.texts] == [uuid(1), uuid(2)]
    assert padded.problems == unwritten.problems == {} and padded.state.damage is None
    start = f"bytes, from byte {len(raw):,} on, are"
    assert f"its last 100,000 {start} zeros, which were never written" in unwritten.state.damage
    if layout == GZIP:
        assert f"its last 400 {start} no gzip member" in junk.state.damage and len(junk.texts) == 2
    else:  # perhaps the Content-Length before it is wrong
        assert len(junk.texts) == 1 and "the record does not end there" in junk.problems[uuid(2)]


def test_zeros_between_records(source_of):
    result = source_of(pack([page(1), bytes(5000), page(2)], PLAIN))
    assert [*result.texts] == [uuid(1), uuid(2)]
    assert result.problems == {f"{len(page(1)):010}": "5,000 zeros are where a record should begin"}


LENGTHS = {
    "too long": (5000, "Content-Length is 5000"),
    "too long by little": (len(http(body_of(2))) + 9, "Content-Length is"),
    "too short": (40, "Content-Length is 40, but the record does not end there"),
    "negative": (-1, "Content-Length is '-1'"),
    "absent": ("", "Content-Length is missing"),
    "huge": (10**15, "record of 1,000,000,000,000,"),
    "beyond numbers": (10**40, "Content-Length is '10000000"),
    "no number": ("many", "Content-Length is 'many'"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", LENGTHS)
def test_a_wrong_length_spoils_its_record_alone(source_of, name, layout):
    length, problem = LENGTHS[name]
    result = source_of(pack([page(1), page(2, length=length), page(3), page(4), page(5)], layout))
    assert list(result.texts) == [uuid(n) for n in (1, 3, 4, 5)]
    assert list(result.problems) == [uuid(2)] and problem in result.problems[uuid(2)]
    assert [row["problem"] is None for row in result.rows] == [True, False, True, True, True]
    assert result.rows[1]["text"].startswith(b"HTTP/1.1 200 OK")
    assert result.state.damage is None


@pytest.mark.parametrize("layout", BY_RECORD)
def test_a_page_cannot_pass_for_records(source_of, layout):
    forged = page(9)
    result = source_of(pack([page(1), record(http(b"<pre>\r\n\r\n" + forged), record_id=2, length=60), page(3)], layout))
    assert list(result.texts) == [uuid(1), uuid(3)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_too_large_a_page_is_a_problem_with_its_size(source_of, layout):
    large = http(b"<html>" + b"x" * 3_000_000)
    raw = pack([page(1), record(large, record_id=2), page(3)], layout)
    result = source_of(raw, max_document=100_000, partition=100_000)
    size = len(record(large, record_id=2)) - 4
    assert list(result.texts) == [uuid(1), uuid(3)]
    assert [*result.problems.values()] == [f"record of {size:,} bytes, over source.max_document = 100,000"]
    assert 3000 < len(result.rows[1]["text"]) <= 4096


@pytest.mark.parametrize("layout", [GZIP, JOINED_GZIP, ZSTD])
def test_a_page_of_100_mb_is_not_held_in_memory(tmp_path, layout):
    path = tmp_path / "large.warc.gz"
    large = record(http(b"<html>"), record_id=2, length=len(http(b"<html>")) + 100_000_000)[:-4]
    new = (
        (lambda: zstandard.ZstdCompressor().compressobj())
        if layout == ZSTD
        else (lambda: __import__("zlib").compressobj(1, wbits=31))
    )
    with open(path, "wb") as file:
        packer = new()
        for piece in [page(1), None, large, *[bytes(1_000_000)] * 100, b"\r\n\r\n", None, page(3)]:
            if piece is None:
                if layout != JOINED_GZIP:
                    file.write(packer.flush())
                    packer = new()
            else:
                file.write(packer.compress(piece))
        file.write(packer.flush())
    tracemalloc.start()
    result = Result(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (
        list(result.texts) == [uuid(1), uuid(3)] and "over source.max_document = 64,000,000" in [*result.problems.values()][0]
    )
    assert peak < 100_000_000


def test_an_expanded_body_is_bounded(source_of):
    bomb = http(gzip.compress(bytes(1_000_000)), b"Content-Encoding: gzip")
    result = source_of(pack([record(bomb, record_id=1), page(2)]), max_document=100_000)
    assert "expands to more than source.max_document = 100,000 bytes" in result.problems[uuid(1)]


@pytest.mark.parametrize("raw", [b"<html><body>a page</body></html>" * 50, b'{"text": "a"}\n' * 50, b"WARP/1.0 " * 50])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_no_warc_is_refused(source_of, raw, layout):
    result = source_of(pack([raw], layout))
    assert result.rows == []
    assert f"a.warc is no WARC: its content begins with {raw[:24]!r}" in result.state.damage
    assert 'source.format = "text"' in result.state.damage


def test_an_arc_is_told(source_of):
    assert (
        "is an ARC"
        in source_of(gzip.compress(b"filedesc://a.arc.gz 0.0.0.0 2001 text/plain 73\n1 0 A\n", mtime=0)).state.damage
    )


def test_a_file_without_pages_says_what_it_has(source_of):
    result = source_of(pack([info(), record(b"a", "request"), record(b"a", "request"), record(b"b", "new")]))
    assert result.state.warning.endswith("a.warc has no pages: 2 request, 1 unknown, 1 warcinfo")


def test_a_format_that_damage_hides_is_no_empty_file(tmp_path):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(pack([page(1)])[:10] + bytes(20) + pack([page(2)]))
    state = CutState(**LIMITS)
    assert [*SOURCES["text"].cut(resolve([str(path)])[0], 0, state)] == []
    assert "is damaged" in state.damage and "--set source.format=warc" in state.damage
    assert [*Result(path).texts] == [uuid(2)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_file(source_of, layout):
    result = source_of(pack([], layout))
    assert (result.rows, result.state.damage) == ([], None)


def test_a_dictionary_of_zstd(source_of):
    pages = [page(n) for n in range(50)]
    trained = zstandard.train_dictionary(2000, pages * 20)
    packer = zstandard.ZstdCompressor(dict_data=trained)
    for content in (trained.as_bytes(), zstandard.compress(trained.as_bytes())):
        frame = b"\x5d\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content
        raw = frame + b"".join(packer.compress(one) for one in pages)
        result = source_of(raw, partition=1000)
        assert list(result.texts) == [uuid(n) for n in range(50)] and result.state.damage is None
        again = source_of(raw, partition=1000, start=result.ranges[2].end)
        assert again.bodies == result.bodies[3:]


def test_many_records_in_a_member_of_a_warc_that_has_them_alone_are_refused(source_of):
    result = source_of(pack([page(1), b"".join(page(n, text="x" * 900) for n in range(500))]), max_document=10_000)
    assert list(result.texts) == [uuid(1)]
    assert "compress it anew" in result.state.damage


@pytest.mark.parametrize("layout", [GZIP, JOINED_GZIP])
def test_over_http_with_a_connection_that_drops(server, layout):
    raw = pack([page(n, text=random.Random(n).randbytes(60_000).hex()) for n in range(80)], layout)
    server.files["a.warc.gz"] = raw
    server.drops = [len(raw) // 2, len(raw) // 3]
    result = Result(f"{server.url}/a.warc.gz", partition=1_000_000)
    assert [*result.texts] == [uuid(n) for n in range(80)]
    assert result.state.checksum == hashlib.sha256(raw).hexdigest() and server.drops == []


# -- nothing is lost


@st.composite
def pages(draw, number):
    body = draw(st.sampled_from([b"", b"<p>", "あ".encode() * 50]))  # and no magic number of another format
    body = body and body + draw(st.binary(max_size=60))
    kind = draw(st.sampled_from(["response", "response", "resource", "conversion", "request", "warcinfo", "revisit"]))
    coded = {
        b"Content-Encoding: gzip": gzip.compress(body, mtime=0), b"Transfer-Encoding: chunked": chunked(body, 20), b"X: y": body,
    }  # fmt: skip
    line = draw(st.sampled_from([*coded])) if kind == "response" else b"X: y"
    block = http(coded[line], line) if kind == "response" else body
    raw = record(block, kind, draw(st.sampled_from([number, None])), eol=draw(st.sampled_from([b"\r\n", b"\n"])))
    return raw, body if kind in ("response", "resource", "conversion") else None


@st.composite
def archives(draw):
    count = draw(st.integers(0, 12))
    made = [draw(pages(n)) for n in range(count)]
    return [info(), *(raw for raw, _ in made)], [body for _, body in made if body is not None]


SIZES = st.one_of(st.integers(1, 2000), st.just(10**6))
BLOCKS = st.one_of(st.integers(1, 300), st.just(10**6))


@given(archive=archives(), layout=st.sampled_from(LAYOUTS), partition=SIZES, block=BLOCKS)
@settings(deadline=None)
def test_every_page_comes_back(cut, archive, layout, partition, block):
    records, bodies = archive
    raw = pack(records, layout)
    result = cut(raw, block, partition=partition)
    assert [row["text"] for row in result.rows] == bodies
    assert not result.problems and result.state.damage is None
    if bodies:
        assert len(bodies) + result.passed_over.total() == len(records)
    assert result.state.checksum == hashlib.sha256(raw).hexdigest()
    assert result.rows == cut(raw).rows


@given(archive=archives(), layout=st.sampled_from(LAYOUTS), partition=SIZES, blocks=st.tuples(BLOCKS, BLOCKS), data=st.data())
@settings(deadline=None)
def test_cutting_goes_on_from_any_range(cut, archive, layout, partition, blocks, data):
    raw = pack(archive[0], layout)
    result = cut(raw, blocks[0], partition=partition)
    assert all(a.end == b.start for a, b in zip(result.ranges, result.ranges[1:]))
    done = data.draw(st.integers(0, len(result.ranges)))
    start = result.ranges[done - 1].end if done else 0
    rest = cut(raw, blocks[1], partition=partition, start=start)
    assert (rest.ranges, rest.bodies) == (result.ranges[done:], result.bodies[done:])
    assert rest.state.checksum == result.state.checksum


@given(archive=archives(), layout=st.sampled_from(LAYOUTS), partition=SIZES, limit=st.integers(1, 14))
@settings(deadline=None)
def test_limit(cut, archive, layout, partition, limit):
    result = cut(pack(archive[0], layout), partition=partition, limit=limit)
    assert [row["text"] for row in result.rows] == archive[1][:limit]
    assert result.state.limit == limit - len(result.rows)


@given(archive=archives(), layout=st.sampled_from(LAYOUTS), data=st.data(), block=BLOCKS, partition=SIZES)
@settings(deadline=None)
def test_no_damage_raises_and_ranges_stay_the_same(cut, archive, layout, data, block, partition):
    raw = bytearray(pack(archive[0], layout))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(raw) - 1)))
        raw[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
    # How much a decoder of one long stream gives before an error depends on how much it is given at a time.
    block = block if layout in (*BY_RECORD, PLAIN) else 1 << 20
    result, again = cut(bytes(raw), partition=partition), cut(bytes(raw), block, partition=partition)
    assert (result.ranges, result.bodies, result.state.damage) == (again.ranges, again.bodies, again.state.damage)
    done = data.draw(st.integers(0, len(result.ranges)))
    rest = cut(bytes(raw), partition=partition, start=result.ranges[done - 1].end if done else 0)
    assert (rest.ranges, rest.bodies, rest.state.damage) == (result.ranges[done:], result.bodies[done:], result.state.damage)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ranges_hold_no_more_records_than_they_may(source_of, layout, monkeypatch):
    monkeypatch.setattr(warc, "MOST_RECORDS", 7)
    result = source_of(pack([page(n) for n in range(30)], layout))
    assert [piece.records for piece in result.ranges] == [7, 7, 7, 7, 2]


def test_the_same_as_other_readers(source_of):
    warcio = pytest.importorskip("warcio.archiveiterator")
    raw = pack([info(), *(page(n, text="あ" * n) for n in range(40)), *(record(b"a" * n, "conversion", n) for n in range(3))])
    theirs = [one.content_stream().read() for one in warcio.ArchiveIterator(io.BytesIO(raw)) if one.rec_type != "warcinfo"]
    assert [row["text"] for row in source_of(raw).rows] == theirs
