import gzip
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.text.cirrussearch import CirrusSearchSource
from tests.pipeline.sources.text.helpers import cut_in_chunks
from tests.support.wikipedia import cirrus_lines


class Cut(CirrusSearchSource):
    """The source, for bytes that do not begin like a dump as well."""

    def check_head(self, file, head):
        pass


SOURCE = Cut()
CHUNKS = st.one_of(st.integers(8, 80), st.just(10_000))
ACTION = b'{"index":{"_type":"page","_id":"1"}}'
LINE = st.one_of(
    st.text(st.sampled_from('あa\\"{}'), max_size=6).map(lambda text: json.dumps({"text": text, "title": "甲"}).encode()),
    st.sampled_from([ACTION, ACTION, b"", b'{"index"', b'{"index":', b"{}", b"\xff", b'{"text":1}', b'{"text":"x"']),
)


def split_documents(raw):
    """The definition: lines that are neither empty nor an action, by offset."""
    documents, offset = [], 0
    for line in raw.split(b"\n"):
        content = line.removesuffix(b"\r") if offset + len(line) < len(raw) or line != b"\r" else line
        if content not in (b"", b"\r") and not content.startswith(b'{"index":'):
            documents.append((offset, content))
        offset += len(line) + 1
    return documents


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """Cut bytes as a file: (ranges, rows with their text, state)."""
    folder = tmp_path_factory.mktemp("cut")

    def cut_bytes(raw, *sizes, **options):
        ranges, rows, state = cut_in_chunks(SOURCE, folder / "raw", raw, *sizes, **options)
        found = []
        for one in rows:
            for row, start, end in zip(one.frame.to_dicts(), one.text.starts, one.text.ends):
                found.append(row | {"text": one.text.data[start:end].tobytes().decode("utf-8", "replace")})
        return ranges, found, state

    return cut_bytes


@given(
    lines=st.lists(LINE, max_size=10), end=st.sampled_from([b"\n", b"\r\n"]), last=st.booleans(),
    partition=st.integers(50, 300), chunk=CHUNKS,
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_documents_and_offsets_are_those_of_the_definition(cut, lines, end, last, partition, chunk):
    raw = end.join(lines) + (end if last and lines else b"")
    ranges, found, state = cut(raw, partition, chunk)
    documents = split_documents(raw)
    assert [f["locator"] for f in found] == [offset for offset, _ in documents]
    for row, (offset, document) in zip(found, documents):
        try:
            text = json.loads(document)["text"]
        except (ValueError, KeyError):
            text = None
        if isinstance(text, str):
            assert row["problem"] is None and row["text"] == text
        else:
            assert row["problem"].startswith(f"line {1 + raw[:offset].count(10)}: ")
    assert all(a.end <= b.start for a, b in zip(ranges, ranges[1:]))
    assert state.size == len(raw) and state.checksum == hashlib.sha256(raw).hexdigest()


@given(lines=st.lists(LINE, max_size=10), partition=st.integers(50, 300), chunks=st.tuples(CHUNKS, CHUNKS), data=st.data())
@settings(max_examples=100, deadline=None)
def test_cutting_goes_on_from_any_range(cut, lines, partition, chunks, data):
    raw = b"\n".join(lines)
    ranges, found, state = cut(raw, partition, chunks[0])
    done = data.draw(st.integers(0, len(ranges)))
    start = ranges[done - 1].end if done else 0
    rest, rest_found, rest_state = cut(raw, partition, chunks[1], start=start)
    assert rest == ranges[done:]
    assert rest_found == [f for f in found if f["locator"] >= start]
    assert (rest_state.size, rest_state.checksum) == (state.size, state.checksum)


@given(lines=st.lists(LINE, max_size=10), partition=st.integers(50, 300), limit=st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_limit(cut, lines, partition, limit):
    raw = b"\n".join(lines)
    assert [f["locator"] for f in cut(raw, partition, limit=limit)[1]] == [offset for offset, _ in split_documents(raw)][:limit]


def test_a_page_has_its_metadata(cut):
    raw = cirrus_lines("東京都 (行政)", "東京は\u3042町。", 7) + cirrus_lines(
        "x", "y", wiki="zh_yuewiktionary", namespace=10, page_id=9
    )
    _, found, _ = cut(gzip.compress(raw.encode()))
    assert found[0] == {
        "locator": raw.index("\n") + 1, "problem": None, "title": "東京都 (行政)", "date": "2024-01-02T03:04:05Z", "page_id": None,
        "namespace": 0, "text": "東京は\u3042町。", "url": "https://ja.wikipedia.org/wiki/%E6%9D%B1%E4%BA%AC%E9%83%BD_(%E8%A1%8C%E6%94%BF)",
    }  # fmt: skip
    assert (found[1]["url"], found[1]["namespace"]) == ("https://zh-yue.wiktionary.org/wiki/x", 10)


def test_a_page_without_text_is_one_unreadable_record(cut):
    raw = cirrus_lines("甲", "前") + '{"index":{"_id":"2"}}\n{"title":"乙"}\n' + cirrus_lines("丙", "後")
    _, found, _ = cut(raw.encode())
    assert [f["text"] for f in found if f["problem"] is None] == ["前", "後"]
    assert found[1]["problem"].startswith("line 4: no text")


def test_a_dump_that_is_cut_off_is_damaged(cut):
    packed = gzip.compress("".join(cirrus_lines(f"題{i}", f"本文{i * 7919 % 1000}。" * 20) for i in range(500)).encode(), 1)
    _, found, state = cut(packed[: len(packed) // 2], 10_000)
    assert "ends too early" in state.damage and len(found) > 50
    assert "ends inside this document" in found[-1]["problem"] and all(f["problem"] is None for f in found[:-1])
