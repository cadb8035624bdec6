import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.text import range_buffer
from pipeline.sources.text.cc100 import CC100Source
from tests.pipeline.sources.text.helpers import cut_in_chunks
from tests.support.texts import split_documents

# Characters that other tools take for line ends, and spaces that are not an empty line.
LINE = st.text(st.sampled_from("あ漢a \u3000\u2028\x85\v\f\r\0"), min_size=1, max_size=12).map(lambda s: s.encode() + b".")
INNER = st.one_of(LINE, LINE, st.sampled_from(["\u3000".encode(), b" ", b"\t", b"\r.", b"\xff\xfe"]))
DOCUMENT = st.lists(INNER, min_size=1, max_size=4)
ENDS = st.sampled_from([b"\n", b"\r\n"])
SEPARATOR = st.lists(ENDS, min_size=1, max_size=4).map(b"".join)
SIZES = st.one_of(st.integers(1, 80), st.just(10_000))
CHUNKS = st.one_of(st.integers(8, 80), st.just(10_000))


@st.composite
def corpora(draw):
    raw = draw(st.one_of(st.just(b""), SEPARATOR))
    documents = draw(st.lists(DOCUMENT, max_size=6))
    for number, lines in enumerate(documents):
        end = draw(ENDS)
        raw += end.join(lines)
        if number + 1 < len(documents):
            raw += end + draw(SEPARATOR)
    return raw + draw(st.sampled_from([b"", b"\n", b"\r\n", b"\n\n", b"\n\r\n\n", b"\r", b"\n\r"]))


class Cut(CC100Source):
    """The source, for bytes that are no text as well."""

    def check_head(self, file, head):
        pass


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """Cut bytes as a file: (ranges, documents by offset, state)."""
    folder = tmp_path_factory.mktemp("cut")

    def cut_bytes(raw, *sizes, **options):
        ranges, rows, state = cut_in_chunks(Cut(), folder / "raw", raw, *sizes, **options)
        found = []
        for one in rows:
            for start, end, offset in zip(one.text.starts, one.text.ends, one.frame["locator"]):
                found.append((int(offset), one.text.data[start:end].tobytes()))
        return ranges, found, state

    return cut_bytes


def test_documents_of_a_few_bytes_are_all_found(cut):
    """Many more than there is room for at first."""
    _, found, _ = cut(b"a\n\n" * 500)
    assert found == [(3 * number, b"a") for number in range(500)]


@given(raw=corpora(), partition=SIZES, chunk=CHUNKS)
@settings(max_examples=150, deadline=None)
def test_documents_and_offsets_are_those_of_the_definition(cut, raw, partition, chunk):
    ranges, found, state = cut(raw, partition, chunk)
    assert found == split_documents(raw)
    assert [p.line for p in ranges] == [1 + raw[: p.start].count(b"\n") for p in ranges]
    assert all(p.file == 3 and p.problem is None for p in ranges)
    assert all(a.end <= b.start for a, b in zip(ranges, ranges[1:]))
    assert (state.size, state.damage) == (len(raw), None)
    assert state.checksum == hashlib.sha256(raw).hexdigest()


@given(raw=corpora(), partition=SIZES, chunks=st.tuples(CHUNKS, CHUNKS), data=st.data())
@settings(max_examples=150, deadline=None)
def test_cutting_goes_on_from_any_range(cut, raw, partition, chunks, data):
    ranges, found, state = cut(raw, partition, chunks[0])
    done = data.draw(st.integers(0, len(ranges)))
    start = ranges[done - 1].end if done else 0
    rest, rest_found, rest_state = cut(raw, partition, chunks[1], start=start)
    assert rest == ranges[done:]
    assert rest_found == [f for f in found if f[0] >= start]
    assert (rest_state.size, rest_state.checksum) == (state.size, state.checksum)


@given(raw=corpora(), partition=SIZES, limit=st.integers(1, 7))
@settings(max_examples=150, deadline=None)
def test_limit(cut, raw, partition, limit):
    _, found, _ = cut(raw, partition, limit=limit)
    assert found == split_documents(raw)[:limit]


@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    partition=st.integers(1, 100), chunk=CHUNKS, tail=st.sampled_from([b"", b"\n", b"\n\n"]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_too_large_documents_become_one_flawed_record(cut, lengths, partition, chunk, tail):
    largest = 200
    documents = [b"x" * n for n in lengths]
    raw = b"\n\n".join(documents) + tail
    ranges, found, _ = cut(raw, partition, chunk, max_document=largest)
    assert [offset for offset, _ in found] == [offset for offset, _ in split_documents(raw)]
    flawed = {p.start: p for p in ranges if p.problem}
    for (offset, document), (_, body) in zip(split_documents(raw), found):
        if offset in flawed:
            end = flawed[offset].end
            assert f"document of {end - offset:,} bytes, over source.max_document = 200" == flawed[offset].problem
            assert len(document) <= end - offset <= len(document) + 2  # with the empty line after it
            assert body.rstrip() == document
        else:
            assert body == document
        if len(document) > largest:
            assert offset in flawed
        if len(document) <= largest - 2:
            assert offset not in flawed
    # The same from any range on.
    for done in range(len(ranges)):
        again, _, _ = cut(raw, partition, 10_000, max_document=largest, start=ranges[done - 1].end if done else 0)
        assert again == ranges[done:]


def test_only_the_head_of_a_too_large_document_is_kept(cut):
    raw = b"a\n\n" + b"y" * 1_000_000 + b"\n\nb\n"
    ranges, found, state = cut(raw, 100, 4096, max_document=10_000)
    assert found == [(0, b"a"), (3, b"y" * range_buffer.EXCERPT_BYTES), (1_000_005, b"b")]
    assert [p.problem is None for p in ranges] == [True, False, True]
    assert state.size == len(raw)


def test_ranges_are_as_large_as_they_may_be(cut):
    raw = b"\n\n".join(b"z" * 9 for _ in range(1000))
    ranges, _, _ = cut(raw, 110)
    assert {p.end - p.start for p in ranges[:-1]} == {110}


@pytest.mark.parametrize("size", [10, 100, 10_000])
def test_a_damaged_file_gives_what_came_before(cut, size):
    import gzip

    raw = b"\n\n".join(f"文書{i}の本文。".encode() * 5 for i in range(2000))
    packed = gzip.compress(raw, 1)
    packed = packed[: len(packed) // 2]
    ranges, found, state = cut(packed, size)
    assert len(found) > 100
    assert found[:-1] == split_documents(raw)[: len(found) - 1]
    assert "ends inside this document" in ranges[-1].problem
    assert "ends too early" in state.damage and state.checksum is None
    assert replace(ranges[-1], problem=None).start == found[-1][0]
    # Going on from there finds no more, and the damage again.
    again, _, state_again = cut(packed, size, start=ranges[-1].end)
    assert (again, state_again.damage) == ([], state.damage)
