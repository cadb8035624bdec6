import gzip

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.formats.http_messages import CodingError, decode_body, join_chunks, parse_head
from tests.support.warcs import chunked, deflate

BODY = "<html><body>ページの本文である。</body></html>".encode() * 20
CODINGS = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    "deflate": deflate(BODY, True),
    "Deflate": deflate(BODY, False),
    "br": brotli.compress(BODY),
    "zstd": zstandard.compress(BODY),
    "gzip, br": brotli.compress(gzip.compress(BODY)),
    "identity": BODY,
    "": BODY,
}
MOST = 100_000


def decode(content, encoding, most=MOST, is_cut=False, **fields):
    return bytes(decode_body({"content-encoding": encoding, **fields}, memoryview(content), most, is_cut))


@pytest.mark.parametrize("encoding", CODINGS)
def test_codings_are_undone(encoding):
    assert decode(CODINGS[encoding], encoding) == BODY
    assert decode(chunked(CODINGS[encoding]), encoding, **{"transfer-encoding": "Chunked"}) == BODY


@pytest.mark.parametrize("encoding", CODINGS)
def test_a_body_whose_coding_the_crawler_undid_stands_as_it_is(encoding):
    assert decode(BODY, encoding) == BODY
    assert decode(BODY, encoding, **{"transfer-encoding": "chunked"}) == BODY
    assert decode(b"", encoding) == b""


@pytest.mark.parametrize("encoding", [name for name in CODINGS if name not in ("identity", "", "gzip, br")])
def test_a_coded_body_that_is_cut_off(encoding):
    cut = CODINGS[encoding][:-12]
    with pytest.raises(CodingError, match="ends too early|damaged"):
        decode(cut, encoding)
    assert BODY.startswith(decode(cut, encoding, is_cut=True))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_a_problem_with_its_bound(encoding):
    zeros = bytes(5_000_000)
    bombs = {
        "gzip": gzip.compress,
        "deflate": lambda b: deflate(b, True),
        "br": lambda b: brotli.compress(b, quality=1),
        "zstd": zstandard.compress,
    }
    with pytest.raises(CodingError, match="expands to more than source.max_document = 100,000"):
        decode(bombs[encoding](zeros), encoding)


def test_damage_inside_a_coded_body():
    damaged = bytearray(CODINGS["gzip"])
    damaged[len(damaged) // 2] ^= 0xFF
    with pytest.raises(CodingError, match="gzip is damaged"):
        decode(bytes(damaged), "gzip")
    with pytest.raises(CodingError, match="Content-Encoding: rot13 is not known"):
        decode(b"uryyb", "rot13")


def test_members_of_gzip_are_one_body():
    assert decode(gzip.compress(b"a") + gzip.compress(b"b") + b"rest", "gzip") == b"ab"


@given(st.binary(max_size=300), st.integers(1, 50))
def test_chunks_are_joined(body, size):
    assert bytes(join_chunks(memoryview(chunked(body, size)), False)) == body


@pytest.mark.parametrize(
    ("raw", "cut", "problem"),
    [
        (b"3\r\nabc\r\n5\r\nde", b"abcde", "ends inside a chunk, at byte 13"),
        (b"3\r\nabc\r\n", b"abc", "has no last chunk after byte 8"),
        (b"3\r\nabc\r\nxyz", None, "is broken at byte 8 of 11"),
        (b"3\r\nabc\r\n2\r\nabc\r\n0\r\n\r\n", None, "is broken at byte 8 of 21"),
        (b"7fffffffffffff\r\nabc", b"abc", "ends inside a chunk"),
    ],
)
def test_broken_chunks(raw, cut, problem):
    with pytest.raises(CodingError, match=problem):
        join_chunks(raw, False)
    if cut is None:
        with pytest.raises(CodingError, match=problem):
            join_chunks(raw, True)
    else:
        assert bytes(join_chunks(raw, True)) == cut


@pytest.mark.parametrize(
    "raw", [b"-3\r\nabc", b"abc\r\nde and more, " * 200, b"", "あ".encode(), b"ffffffffffffffffffffff\r\n"]
)
def test_what_does_not_begin_with_a_chunk_stands_as_it_is(raw):
    assert bytes(join_chunks(raw, False)) == raw


def test_chunk_extensions_and_spaces():
    assert bytes(join_chunks(b"3;name=value\r\nabc\r\n 2 \nde\n0\r\n", False)) == b"abcde"


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_the_head_of_a_response(end):
    raw = end.join(
        [
            b"HTTP/1.1 404 Not Found",
            b"content-type:text/html",
            b"X-A: 1",
            b"\tand more",
            b"X-\xff: \xfe",
            b"no colon",
            b"",
            b"body",
        ]
    )
    head = parse_head(memoryview(raw))
    assert head.status == 404
    assert head.fields["content-type"] == "text/html"
    assert head.fields["x-a"] == "1 and more"
    assert raw[head.size :] == b"body"


@pytest.mark.parametrize("raw", [b"", b"<html>", b"HTTP/1.1 2000 OK", b"HTTP/1.1", b"http/1.1 200 OK", b"ICY 200 OK"])
def test_no_status_line(raw):
    assert parse_head(memoryview(raw)) is None


@pytest.mark.parametrize("raw", [b"HTTP/1.0 200", b"HTTP/2 200 \r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b"])
def test_a_head_without_an_end_has_no_body(raw):
    head = parse_head(memoryview(raw))
    assert (head.status, head.size) == (200, len(raw))


@given(st.binary(max_size=200), st.sampled_from([*CODINGS, "chunked"]), st.booleans())
def test_no_body_raises_anything_else(body, encoding, is_cut):
    fields = {"transfer-encoding": "chunked"} if encoding == "chunked" else {"content-encoding": encoding}
    try:
        decode_body(fields, memoryview(body), 1000, is_cut)
    except CodingError:
        pass
